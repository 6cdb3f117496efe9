#include "webrtc/webrtc_world.h"

#include "base/check.h"
#include "tern_test.h"

/* host_place is a place for a session: when all are taken, that of one that has ended. */
static size_t host_place(struct webrtc_host *host)
{
    if (host->seen_count < WEBRTC_WORLD_SESSIONS_MAX)
        return host->seen_count++;
    for (size_t i = 0; i < host->seen_count; i++) {
        if (!host->seen[i].live)
            return i;
    }
    fail_msg("too many sessions");
    return 0;
}

static struct webrtc_seen *host_new_seen(struct webrtc_host *host)
{
    struct webrtc_seen *seen = &host->seen[host_place(host)];
    memset(seen, 0, sizeof *seen);
    seen->echo = host->echo;
    seen->sink = host->sink;
    seen->holds_jobs = host->holds_jobs;
    host->last = seen;
    return seen;
}

static uint64_t host_tag(const struct webrtc_host *host, const struct webrtc_seen *seen)
{
    return (uint64_t)(seen - host->seen);
}

static void world_offer(struct webrtc_world *w, struct webrtc_host *host)
{
    const struct tern_session_transport *transport = &host->transport;
    host->offers_count++;
    if (host->refuses) {
        transport->ops->refuse(transport->self, w->world.now, TERN_SESSION_REFUSE);
        return;
    }
    struct webrtc_seen *seen = host_new_seen(host);
    host->accept_err = transport->ops->accept(transport->self, w->world.now, &host->scope,
                                              host_tag(host, seen), &seen->session);
    seen->live = host->accept_err == TERN_OK;
}

/* seen_serve reads what a stream has, as the owner likes to. */
static void seen_serve(struct webrtc_seen *seen, tern_stream_id stream)
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

static void seen_event(struct webrtc_seen *seen, const struct tern_mux_event *event, tern_time now)
{
    bool serves = seen->echo || seen->sink;
    bool stream = event->kind == TERN_MUX_READABLE || event->kind == TERN_MUX_WRITABLE;
    if (!serves || !stream) {
        assert_true(seen->log_count < WEBRTC_WORLD_LOG_MAX);
        seen->at[seen->log_count] = now;
        seen->log[seen->log_count++] = *event;
    }
    if (event->kind == TERN_MUX_JOB) {
        assert_null(seen->job);
        seen->job = event->job;
        if (!seen->holds_jobs)
            webrtc_seen_job(seen, now);
    } else if (serves && stream) {
        seen_serve(seen, event->stream);
    }
}

static void seen_drain(struct webrtc_seen *seen, tern_time now)
{
    const struct tern_mux *mux = &seen->session.mux;
    struct tern_mux_event event;
    while (!seen->deaf && seen->job == NULL && mux->ops->next(mux->self, &event))
        seen_event(seen, &event, now);
}

bool webrtc_seen_job(struct webrtc_seen *seen, tern_time now)
{
    struct tern_job *job = seen->job;
    if (job == NULL)
        return false;
    seen->job = NULL;
    job->run(job);
    seen->session.ops->job_done(seen->session.mux.self, now, job);
    return true;
}

static void world_event(void *context, size_t node, const struct tern_session_event *event)
{
    struct webrtc_world *w = context;
    for (size_t i = 0; i < w->hosts_count; i++) {
        struct webrtc_host *host = &w->hosts[i];
        if (host->node != node)
            continue;
        if (event->kind == TERN_SESSION_OFFER) {
            world_offer(w, host);
            return;
        }
        assert_true(event->tag < host->seen_count);
        if (host->seen[event->tag].live)
            seen_drain(&host->seen[event->tag], w->world.now);
    }
}

void webrtc_world_init(struct webrtc_world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    session_world_init(&w->world, seed, world_event, w);
}

void webrtc_world_fini(struct webrtc_world *w)
{
    for (size_t i = 0; i < w->hosts_count; i++) {
        struct webrtc_host *host = &w->hosts[i];
        for (size_t j = 0; j < host->seen_count; j++)
            webrtc_seen_end(&host->seen[j]);
        for (size_t r = 0; r < TERN_RESOURCE_COUNT; r++)
            assert_int_equal(host->scope.used[r], 0);
    }
    session_world_fini(&w->world);
    for (size_t i = 0; i < w->hosts_count; i++)
        tern_mem_fini(&w->hosts[i].mem);
}

struct webrtc_host *webrtc_world_add(struct webrtc_world *w, struct tern_webrtc_options options,
                                     const struct datagram_link *link)
{
    assert_true(w->hosts_count < WEBRTC_WORLD_HOSTS_MAX);
    unsigned n = (unsigned)w->hosts_count;
    struct webrtc_host *host = &w->hosts[w->hosts_count++];
    const struct webrtc_testing_host *identity = webrtc_testing_host(n);
    host->world = &w->world;
    tern_mem_init(&host->mem, 0);
    tern_random_init_u64(&host->random, 500 + n);
    tern_scope_init(&host->scope, "sessions", NULL, NULL);
    options.mem = &host->mem;
    options.random = &host->random;
    options.metrics = &host->metrics;
    options.aead = webrtc_testing_aead();
    options.noise = &identity->noise;
    options.certificate = identity->certificate;
    assert_ok(tern_webrtc_new(&options, w->world.now, &host->transport));
    host->node = session_world_add(&w->world, host->transport);
    host->at = datagram_endpoint((uint8_t)(n + 1), 4001);
    host->socket = session_world_bind(&w->world, host->node, &host->at, link);
    return host;
}

void webrtc_world_pair(struct webrtc_world *w, const struct datagram_link *link)
{
    for (int i = 0; i < 2; i++)
        webrtc_world_add(w, (struct tern_webrtc_options){.mem = NULL}, link);
}

tern_err webrtc_world_try_dial(struct webrtc_host *from, const struct tern_endpoint *to,
                               unsigned as, bool expects, struct webrtc_seen **seen)
{
    const struct webrtc_testing_host *host = webrtc_testing_host(as);
    const struct tern_view hash = tern_view_of(host->certhash, sizeof host->certhash);
    *seen = host_new_seen(from);
    const struct tern_session_dial dial = {.expected_peer = expects ? &host->peer : NULL,
                                           .socket = from->socket,
                                           .remote = *to,
                                           .certhashes = &hash,
                                           .certhashes_count = 1,
                                           .scope = &from->scope,
                                           .tag = host_tag(from, *seen)};
    tern_err err =
        from->transport.ops->dial(from->transport.self, from->world->now, &dial, &(*seen)->session);
    (*seen)->live = err == TERN_OK;
    return err;
}

struct webrtc_seen *webrtc_world_dial(struct webrtc_world *w, struct webrtc_host *from,
                                      const struct webrtc_host *to)
{
    struct webrtc_seen *seen;
    TERN_CHECK(from->world == &w->world);
    assert_ok(webrtc_world_try_dial(from, &to->at, (unsigned)to->node, true, &seen));
    return seen;
}

struct connect_wait {
    const struct webrtc_seen *dialer;
    const struct webrtc_host *to;
    size_t before;
};

static bool connect_done(void *context)
{
    const struct connect_wait *wait = context;
    return webrtc_seen_count(wait->dialer, TERN_MUX_CONFIRMED) > 0 &&
           wait->to->offers_count > wait->before &&
           webrtc_seen_count(wait->to->last, TERN_MUX_CONFIRMED) > 0;
}

struct webrtc_seen *webrtc_world_connect(struct webrtc_world *w, struct webrtc_host *from,
                                         struct webrtc_host *to)
{
    size_t before = to->offers_count;
    struct webrtc_seen *dialer = webrtc_world_dial(w, from, to);
    struct connect_wait wait = {.dialer = dialer, .to = to, .before = before};
    assert_true(session_world_run_until(&w->world, connect_done, &wait, 20 * TERN_SECOND));
    return dialer;
}

void webrtc_world_run(struct webrtc_world *w, tern_time duration)
{
    session_world_run(&w->world, duration);
}

static bool ended(void *context)
{
    return webrtc_seen_error(context) != TERN_OK;
}

tern_err webrtc_world_ended(struct webrtc_world *w, struct webrtc_seen *seen, tern_time duration)
{
    session_world_run_until(&w->world, ended, seen, duration);
    session_world_flush(&w->world);
    return webrtc_seen_error(seen);
}

void webrtc_seen_end(struct webrtc_seen *seen)
{
    if (!seen->live)
        return;
    webrtc_seen_job(seen, 0); /* it has to have come back */
    seen->session.mux.ops->fini(seen->session.mux.self);
    seen->live = false;
}

size_t webrtc_seen_count(const struct webrtc_seen *seen, enum tern_mux_event_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < seen->log_count; i++)
        count += seen->log[i].kind == kind;
    return count;
}

struct tern_mux_event webrtc_seen_event(const struct webrtc_seen *seen,
                                        enum tern_mux_event_kind kind)
{
    for (size_t i = seen->log_count; i-- > 0;) {
        if (seen->log[i].kind == kind)
            return seen->log[i];
    }
    fail_msg("no event of kind %d", (int)kind);
    return seen->log[0];
}

tern_err webrtc_seen_error(const struct webrtc_seen *seen)
{
    return seen->session.mux.ops->error(seen->session.mux.self);
}

tern_fault webrtc_seen_fault(const struct webrtc_seen *seen)
{
    return seen->session.mux.ops->fault(seen->session.mux.self);
}

void webrtc_seen_info(const struct webrtc_seen *seen, struct tern_session_info *info)
{
    seen->session.ops->info(seen->session.mux.self, info);
}

/* ---- verbs ---- */

tern_stream_id webrtc_seen_open(struct webrtc_seen *seen)
{
    tern_stream_id stream;
    assert_ok(seen->session.mux.ops->open(seen->session.mux.self, TERN_STREAM_BULK, &stream));
    return stream;
}

void webrtc_seen_write(struct webrtc_seen *seen, tern_stream_id stream, const char *text)
{
    size_t accepted;
    struct tern_view view = tern_view_str(text);
    assert_ok(seen->session.mux.ops->write(seen->session.mux.self, stream, view, &accepted));
    assert_int_equal(accepted, view.size);
}

size_t webrtc_seen_fill(struct webrtc_seen *seen, tern_stream_id stream, size_t size)
{
    static const uint8_t zeros[4096];
    size_t done = 0;
    while (done < size) {
        size_t part = tern_min_size(sizeof zeros, size - done);
        size_t accepted;
        if (seen->session.mux.ops->write(seen->session.mux.self, stream, tern_view_of(zeros, part),
                                         &accepted) != TERN_OK)
            break;
        done += accepted;
        if (accepted < part)
            break;
    }
    return done;
}

void webrtc_seen_expect(struct webrtc_seen *seen, tern_stream_id stream, const char *text)
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

void webrtc_seen_close(struct webrtc_seen *seen, tern_stream_id stream)
{
    assert_ok(seen->session.mux.ops->close_write(seen->session.mux.self, stream));
}

void webrtc_seen_goaway(struct webrtc_seen *seen)
{
    seen->session.mux.ops->goaway(seen->session.mux.self, 0);
}

tern_err webrtc_seen_read(struct webrtc_seen *seen, tern_stream_id stream)
{
    struct tern_slice bytes;
    return seen->session.mux.ops->read(seen->session.mux.self, stream, &bytes);
}
