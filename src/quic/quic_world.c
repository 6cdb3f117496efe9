#include "quic/quic_world.h"

#include "tern_test.h"

/* host_new_seen is a place for a session: when all are taken, that of one that has ended. */
static struct quic_seen *host_new_seen(struct quic_host *host)
{
    struct quic_seen *seen = NULL;
    if (host->seen_count < QUIC_WORLD_SESSIONS_MAX)
        seen = &host->seen[host->seen_count++];
    for (size_t i = 0; i < host->seen_count && seen == NULL; i++)
        if (!host->seen[i].live)
            seen = &host->seen[i];
    assert_non_null(seen);
    memset(seen, 0, sizeof *seen);
    host->last = seen;
    return seen;
}

static uint64_t host_tag(const struct quic_host *host, const struct quic_seen *seen)
{
    return (uint64_t)(seen - host->seen);
}

static void world_offer(struct quic_world *w, struct quic_host *host,
                        const struct tern_session_offer *offer)
{
    const struct tern_session_transport_ops *ops = host->transport.ops;
    host->offers_count++;
    host->offer = *offer;
    if (host->retry_first && !offer->validated) {
        ops->refuse(host->transport.self, w->world.now, TERN_SESSION_RETRY);
        return;
    }
    if (!host->accepts) {
        ops->refuse(host->transport.self, w->world.now, host->refusal);
        return;
    }
    struct quic_seen *seen = host_new_seen(host);
    seen->echo = host->echo;
    seen->sink = host->sink;
    tern_err err = ops->accept(host->transport.self, w->world.now, &host->scope,
                               host_tag(host, seen), &seen->session);
    seen->live = err == TERN_OK;
}

/* seen_serve reads what a stream has, as the owner likes to. */
static void seen_serve(struct quic_seen *seen, tern_stream_id stream)
{
    const struct tern_mux *mux = &seen->session.mux;
    struct tern_slice bytes;
    tern_err err;
    while ((err = mux->ops->read(mux->self, stream, &bytes)) == TERN_OK) {
        size_t size = bytes.view.size;
        if (seen->echo && mux->ops->write(mux->self, stream, bytes.view, &size) != TERN_OK) {
            mux->ops->reset(mux->self, stream, TERN_MUX_CODE_RESOURCE_LIMIT);
            return;
        }
        mux->ops->consume(mux->self, stream, size);
        seen->read_bytes += size;
        if (size < bytes.view.size)
            return;
    }
    if (err == TERN_ERR_END)
        (void)!mux->ops->close_write(mux->self, stream);
}

static void seen_drain(struct quic_seen *seen, tern_time now)
{
    const struct tern_mux *mux = &seen->session.mux;
    struct tern_mux_event event;
    while (mux->ops->next(mux->self, &event)) {
        if (event.kind == TERN_MUX_JOB) {
            event.job->run(event.job);
            seen->session.ops->job_done(mux->self, now, event.job);
        }
        if (event.kind != TERN_MUX_READABLE || !(seen->echo || seen->sink)) {
            assert_true(seen->log_count < QUIC_WORLD_LOG_MAX);
            seen->at[seen->log_count] = now;
            seen->log[seen->log_count++] = event;
        }
        bool serve = event.kind == TERN_MUX_READABLE || event.kind == TERN_MUX_WRITABLE;
        if ((seen->echo || seen->sink) && serve)
            seen_serve(seen, event.stream);
    }
}

static void world_event(void *context, size_t node, const struct tern_session_event *event)
{
    struct quic_world *w = context;
    struct quic_host *host = &w->hosts[node];
    if (event->kind == TERN_SESSION_OFFER) {
        world_offer(w, host, &event->offer);
        return;
    }
    assert_true(event->tag < host->seen_count);
    struct quic_seen *seen = &host->seen[event->tag];
    assert_true(seen->live);
    seen_drain(seen, w->world.now);
}

void quic_world_init(struct quic_world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    session_world_init(&w->world, seed, world_event, w);
}

void quic_world_fini(struct quic_world *w)
{
    for (size_t i = 0; i < w->hosts_count; i++)
        for (size_t j = 0; j < w->hosts[i].seen_count; j++)
            quic_seen_end(&w->hosts[i].seen[j]);
    for (size_t i = 0; i < w->hosts_count; i++) {
        for (size_t r = 0; r < TERN_RESOURCE_COUNT; r++) {
            assert_int_equal(w->hosts[i].scope.used[r], 0);
            assert_int_equal(w->hosts[i].windows.used[r], 0);
        }
    }
    session_world_fini(&w->world);
    for (size_t i = 0; i < w->hosts_count; i++)
        tern_mem_fini(&w->hosts[i].mem);
}

struct quic_host *quic_world_add(struct quic_world *w, struct tern_quic_options options,
                                 const struct datagram_link *link)
{
    assert_true(w->hosts_count < QUIC_WORLD_HOSTS_MAX);
    unsigned n = (unsigned)w->hosts_count;
    struct quic_host *host = &w->hosts[w->hosts_count++];
    tern_mem_init(&host->mem, 0);
    tern_random_init_u64(&host->random, 500 + n);
    tern_scope_init(&host->scope, "sessions", NULL, NULL);
    tern_scope_init(&host->windows, "windows", NULL, NULL);
    options.mem = &host->mem;
    options.random = &host->random;
    options.metrics = &host->metrics;
    if (options.identity == NULL)
        options.identity = quic_testing_identity(n);
    if (options.windows == NULL)
        options.windows = &host->windows;
    assert_ok(tern_quic_new(&options, w->world.now, &host->transport));
    host->accepts = true;
    host->node = session_world_add(&w->world, host->transport);
    host->at = datagram_endpoint((uint8_t)(n + 1), 4001);
    host->socket = session_world_bind(&w->world, host->node, &host->at, link);
    return host;
}

tern_err quic_world_try_dial(struct quic_world *w, struct quic_host *from,
                             const struct quic_host *to, const struct tern_peer_id *expected,
                             struct quic_seen **seen)
{
    *seen = host_new_seen(from);
    const struct tern_session_dial dial = {.expected_peer = expected,
                                           .socket = from->socket,
                                           .remote = to->at,
                                           .scope = &from->scope,
                                           .tag = host_tag(from, *seen)};
    tern_err err =
        from->transport.ops->dial(from->transport.self, w->world.now, &dial, &(*seen)->session);
    (*seen)->live = err == TERN_OK;
    return err;
}

struct quic_seen *quic_world_dial_web(struct quic_world *w, struct quic_host *from,
                                      const struct quic_host *to, const struct tern_view *hashes,
                                      size_t count)
{
    struct quic_seen *seen = host_new_seen(from);
    const struct tern_session_dial dial = {.socket = from->socket,
                                           .remote = to->at,
                                           .server_name = tern_view_str("example.org"),
                                           .certhashes = hashes,
                                           .certhashes_count = count,
                                           .scope = &from->scope,
                                           .tag = host_tag(from, seen)};
    assert_ok(from->transport.ops->dial(from->transport.self, w->world.now, &dial, &seen->session));
    seen->live = true;
    return seen;
}

struct quic_seen *quic_world_dial(struct quic_world *w, struct quic_host *from,
                                  const struct quic_host *to, const struct tern_peer_id *expected)
{
    struct quic_seen *seen;
    assert_ok(quic_world_try_dial(w, from, to, expected, &seen));
    return seen;
}

void quic_world_run(struct quic_world *w, tern_time duration)
{
    session_world_run(&w->world, duration);
}

bool quic_world_until(struct quic_world *w, bool (*done)(void *context), void *context,
                      tern_time duration)
{
    return session_world_run_until(&w->world, done, context, duration);
}

struct connect_wait {
    struct quic_seen *dialler;
    struct quic_host *to;
    size_t before;
};

static bool connect_done(void *context)
{
    const struct connect_wait *wait = context;
    return quic_seen_count(wait->dialler, TERN_MUX_CONFIRMED) > 0 &&
           wait->to->offers_count > wait->before &&
           quic_seen_count(quic_host_last(wait->to), TERN_MUX_CONFIRMED) > 0;
}

struct quic_seen *quic_world_connect(struct quic_world *w, struct quic_host *from,
                                     struct quic_host *to)
{
    struct connect_wait wait = {.to = to, .before = to->offers_count};
    const struct tern_peer_id *peer = quic_testing_peer((unsigned)to->node);
    wait.dialler = quic_world_dial(w, from, to, peer);
    assert_true(quic_world_until(w, connect_done, &wait, 10 * TERN_SECOND));
    return wait.dialler;
}

struct quic_seen *quic_host_last(struct quic_host *host)
{
    assert_non_null(host->last);
    return host->last;
}

void quic_seen_end(struct quic_seen *seen)
{
    if (seen->live)
        seen->session.mux.ops->fini(seen->session.mux.self);
    seen->live = false;
}

size_t quic_seen_count(const struct quic_seen *seen, enum tern_mux_event_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < seen->log_count; i++)
        count += seen->log[i].kind == kind;
    return count;
}

/* seen_find is the place of the last event of the kind, which must be there. */
static size_t seen_find(const struct quic_seen *seen, enum tern_mux_event_kind kind)
{
    for (size_t i = seen->log_count; i-- > 0;)
        if (seen->log[i].kind == kind)
            return i;
    fail_msg("no event of kind %d", (int)kind);
    return 0;
}

struct tern_mux_event quic_seen_event(const struct quic_seen *seen, enum tern_mux_event_kind kind)
{
    return seen->log[seen_find(seen, kind)];
}

tern_time quic_seen_time(const struct quic_seen *seen, enum tern_mux_event_kind kind)
{
    return seen->at[seen_find(seen, kind)];
}

tern_err quic_seen_error(const struct quic_seen *seen)
{
    return seen->session.mux.ops->error(seen->session.mux.self);
}

tern_stream_id quic_seen_open(struct quic_seen *seen)
{
    tern_stream_id stream;
    assert_ok(seen->session.mux.ops->open(seen->session.mux.self, TERN_STREAM_BULK, &stream));
    return stream;
}

void quic_seen_write(struct quic_seen *seen, tern_stream_id stream, const char *text)
{
    size_t accepted;
    struct tern_view view = tern_view_str(text);
    assert_ok(seen->session.mux.ops->write(seen->session.mux.self, stream, view, &accepted));
    assert_int_equal(accepted, view.size);
}

void quic_seen_expect(struct quic_seen *seen, tern_stream_id stream, const char *text)
{
    const struct tern_mux *mux = &seen->session.mux;
    size_t left = strlen(text);
    while (left > 0) {
        struct tern_slice bytes;
        assert_ok(mux->ops->read(mux->self, stream, &bytes));
        size_t part = tern_min_size(left, bytes.view.size);
        assert_memory_equal(bytes.view.data, text, part);
        mux->ops->consume(mux->self, stream, part);
        text += part;
        left -= part;
    }
}

tern_err quic_seen_read(struct quic_seen *seen, tern_stream_id stream)
{
    struct tern_slice bytes;
    return seen->session.mux.ops->read(seen->session.mux.self, stream, &bytes);
}
