#include "mux/mux_model.h"

#include <stdlib.h>

enum { MODEL_STREAMS_MAX = 24, MODEL_KEY_SIZE = 4, MODEL_WIRE_MAX = 1 << 20 };

/* A stream as both ends should see it. Index 0 and 1 are the ends. */
struct model_stream {
    bool used;
    int opener;
    uint32_t key;
    tern_stream_id id[2];  /* NONE: not known there (yet) */
    bool dead[2];          /* the id has been said dead, or was reset there */
    bool was_reset[2];     /* by this end */
    bool closed[2];        /* this end's writing */
    bool said_readable[2]; /* READABLE came since read last said AGAIN */
    bool owed_writable[2];
    uint64_t written[2]; /* by this end */
    uint64_t read[2];    /* by this end */
    unsigned key_read;   /* bytes of the key that the acceptor has */
};

struct model_wire {
    uint8_t *bytes;
    size_t size;
};

struct model {
    struct tern_mem mem[2];
    struct tern_scope scope[2];
    struct tern_scope windows[2];
    struct tern_mux mux[2];
    struct model_wire wire[2];     /* from end i, not yet delivered */
    struct session_pair *sessions; /* instead of the wires, where datagrams carry them */
    struct model_stream streams[MODEL_STREAMS_MAX];
    tern_time now;
    uint32_t key_next;
    const char *what;
    bool has_credit;
    bool has_stops;
    struct tern_random random;
    bool scripted;
    struct tern_view script;
};

static void model_wrong(struct model *m, const char *what)
{
    if (m->what == NULL)
        m->what = what;
}

static void model_check(struct model *m, bool ok, const char *what)
{
    if (!ok)
        model_wrong(m, what);
}

/* model_choose draws 0 .. bound - 1. */
static uint64_t model_choose(struct model *m, uint64_t bound)
{
    if (!m->scripted)
        return tern_random_below(&m->random, bound);
    uint64_t value = 0;
    for (uint64_t reach = 1; reach < bound && m->script.size > 0; reach <<= 8) {
        value = value << 8 | m->script.data[0];
        m->script = tern_view_of(m->script.data + 1, m->script.size - 1);
    }
    return value % bound;
}

/* model_byte is what end writes at an offset. The opener begins with the key. */
static uint8_t model_byte(const struct model_stream *s, int end, uint64_t offset)
{
    if (end == s->opener && offset < MODEL_KEY_SIZE)
        return (uint8_t)(s->key >> (8 * offset));
    return (uint8_t)(s->key * 131 + (uint64_t)end * 17 + offset * 7 + (offset >> 8) * 31);
}

static struct model_stream *model_find(struct model *m, int end, tern_stream_id id)
{
    for (size_t i = 0; i < MODEL_STREAMS_MAX; i++) {
        struct model_stream *s = &m->streams[i];
        if (s->used && s->id[end] == id && !s->dead[end])
            return s;
    }
    return NULL;
}

/* model_forget frees the entry when nobody can speak of the stream any more. */
static void model_forget(struct model_stream *s)
{
    bool unknown_there = s->id[1 - s->opener] == TERN_STREAM_NONE;
    bool gone = s->dead[s->opener] && (s->dead[1 - s->opener] || unknown_there);
    if (gone)
        s->used = false;
}

static struct model_stream *model_slot(struct model *m)
{
    for (size_t i = 0; i < MODEL_STREAMS_MAX; i++) {
        if (!m->streams[i].used)
            return &m->streams[i];
    }
    return NULL;
}

static void model_on_opened(struct model *m, int end, tern_stream_id id)
{
    model_check(m, model_find(m, end, id) == NULL, "OPENED for an id that lives");
    struct model_stream *s = model_slot(m);
    if (s == NULL) {
        m->mux[end].ops->reset(m->mux[end].self, id, 9);
        return;
    }
    /* An entry of its own until its key tells which stream it is. */
    *s = (struct model_stream){.used = true, .opener = -1};
    s->id[end] = id;
}

/* model_identify joins the acceptor's entry with the opener's. */
static void model_identify(struct model *m, int end, struct model_stream *s)
{
    for (size_t i = 0; i < MODEL_STREAMS_MAX; i++) {
        struct model_stream *o = &m->streams[i];
        if (!o->used || o == s || o->opener != 1 - end || o->key != s->key)
            continue;
        model_check(m, o->id[end] == TERN_STREAM_NONE, "a stream was opened twice");
        o->id[end] = s->id[end];
        o->said_readable[end] = s->said_readable[end];
        o->read[end] = MODEL_KEY_SIZE;
        s->used = false;
        return;
    }
    /* The opener has reset it and forgotten; nothing more can be checked. */
    m->mux[end].ops->reset(m->mux[end].self, s->id[end], 8);
    s->used = false;
}

static void model_on_dead(struct model *m, int end, struct model_stream *s,
                          const struct tern_mux_event *event)
{
    bool reset = event->kind == TERN_MUX_RESET;
    if (s->opener < 0) {
        model_check(m, reset, "CLOSED before anything was read");
        s->used = false;
        return;
    }
    int other = 1 - end;
    if (reset && !m->has_credit && event->code == TERN_MUX_CODE_RESOURCE_LIMIT) {
        s->was_reset[end] = true; /* by the muxer itself: it was not read for too long */
    } else if (reset) {
        bool known = s->id[other] != TERN_STREAM_NONE;
        model_check(m, s->was_reset[other] || !known, "RESET that nobody asked for");
    } else {
        model_check(m, s->closed[0] && s->closed[1], "CLOSED before both sides ended");
        model_check(m, s->read[end] == s->written[other], "CLOSED before all was read");
    }
    s->dead[end] = true;
    model_forget(s);
}

static void model_event(struct model *m, int end, const struct tern_mux_event *event)
{
    if (event->kind == TERN_MUX_STREAM_OPENED) {
        model_on_opened(m, end, event->stream);
        return;
    }
    if (event->kind == TERN_MUX_RTT || event->kind == TERN_MUX_GOAWAY ||
        event->kind == TERN_MUX_CONFIRMED)
        return;
    struct model_stream *s = model_find(m, end, event->stream);
    if (s == NULL) {
        model_wrong(m, "an event for an id that is dead");
        return;
    }
    if (event->kind == TERN_MUX_READABLE) {
        s->said_readable[end] = true;
    } else if (event->kind == TERN_MUX_WRITABLE) {
        model_check(m, s->owed_writable[end], "WRITABLE without a short write");
        s->owed_writable[end] = false;
    } else {
        model_on_dead(m, end, s, event);
    }
}

static void model_drain(struct model *m, int end)
{
    struct tern_mux_event event;
    for (int i = 0; i < 100000 && m->mux[end].ops->next(m->mux[end].self, &event); i++)
        model_event(m, end, &event);
}

/* model_read_key reads the first bytes of a stream that is not identified yet. */
static void model_read_key(struct model *m, int end, struct model_stream *s)
{
    const struct tern_mux_ops *ops = m->mux[end].ops;
    while (s->key_read < MODEL_KEY_SIZE) {
        struct tern_slice bytes;
        if (ops->read(m->mux[end].self, s->id[end], &bytes) != TERN_OK)
            return;
        s->key |= (uint32_t)bytes.view.data[0] << (8 * s->key_read);
        s->key_read++;
        ops->consume(m->mux[end].self, s->id[end], 1);
    }
    model_identify(m, end, s);
}

static void model_read_end(struct model *m, int end, struct model_stream *s, tern_err err)
{
    int other = 1 - end;
    if (err == TERN_ERR_AGAIN) {
        s->said_readable[end] = false;
        return;
    }
    model_check(m, err == TERN_ERR_END, "read failed");
    model_check(m, s->closed[other], "END before the other side closed");
    model_check(m, s->read[end] == s->written[other], "END before the last byte");
}

static void model_read(struct model *m, int end, struct model_stream *s, size_t size)
{
    const struct tern_mux_ops *ops = m->mux[end].ops;
    if (s->opener < 0) {
        model_read_key(m, end, s);
        return;
    }
    while (size > 0) {
        struct tern_slice bytes;
        tern_err err = ops->read(m->mux[end].self, s->id[end], &bytes);
        if (err == TERN_ERR_RESET)
            return;
        if (err != TERN_OK) {
            model_read_end(m, end, s, err);
            return;
        }
        model_check(m, s->said_readable[end], "bytes without READABLE");
        size_t part = tern_min_size(size, bytes.view.size);
        for (size_t i = 0; i < part; i++) {
            uint8_t expected = model_byte(s, 1 - end, s->read[end] + i);
            model_check(m, bytes.view.data[i] == expected, "a byte is wrong");
        }
        s->read[end] += part;
        model_check(m, s->read[end] <= s->written[1 - end], "more was read than written");
        ops->consume(m->mux[end].self, s->id[end], part);
        size -= part;
    }
}

static void model_write(struct model *m, int end, struct model_stream *s, size_t size, bool slice)
{
    static uint8_t buffer[1 << 17];
    size = tern_min_size(size, sizeof(buffer));
    for (size_t i = 0; i < size; i++)
        buffer[i] = model_byte(s, end, s->written[end] + i);
    const struct tern_mux_ops *ops = m->mux[end].ops;
    struct tern_view view = tern_view_of(buffer, size);
    size_t accepted = 0;
    tern_err err;
    if (slice) {
        struct tern_chunk *chunk = tern_chunk_copy(&m->mem[end], view);
        if (chunk == NULL)
            return;
        struct tern_slice part = {.chunk = chunk, .view = tern_chunk_view(chunk)};
        err = ops->write_slice(m->mux[end].self, s->id[end], part);
        tern_chunk_unref(chunk);
        accepted = err == TERN_OK ? size : 0;
        s->owed_writable[end] = s->owed_writable[end] || err == TERN_ERR_AGAIN;
        err = err == TERN_ERR_AGAIN ? TERN_OK : err;
    } else {
        err = ops->write(m->mux[end].self, s->id[end], view, &accepted);
        s->owed_writable[end] = s->owed_writable[end] || (err == TERN_OK && accepted < size);
    }
    bool unread = m->has_stops && s->was_reset[1 - end];
    bool closed = s->closed[end] || (unread && err == TERN_ERR_CLOSED);
    tern_err expected = closed ? TERN_ERR_CLOSED : TERN_OK;
    model_check(m, err == expected || err == TERN_ERR_RESET, "write failed");
    s->written[end] += accepted;
}

static void model_open(struct model *m, int end)
{
    struct model_stream *s = model_slot(m);
    if (s == NULL)
        return;
    enum tern_stream_class class = (enum tern_stream_class)model_choose(m, TERN_STREAM_CLASS_COUNT);
    tern_stream_id id;
    tern_err err = m->mux[end].ops->open(m->mux[end].self, class, &id);
    if (err != TERN_OK) {
        model_check(m, err == TERN_ERR_FULL, "open failed");
        return;
    }
    *s = (struct model_stream){.used = true, .opener = end, .key = m->key_next++};
    s->id[end] = id;
    model_write(m, end, s, MODEL_KEY_SIZE, false);
    model_check(m, s->written[end] == MODEL_KEY_SIZE, "the key was not taken");
}

static void model_close(struct model *m, int end, struct model_stream *s)
{
    tern_err err = m->mux[end].ops->close_write(m->mux[end].self, s->id[end]);
    model_check(m, err == TERN_OK || err == TERN_ERR_RESET, "close_write failed");
    s->closed[end] = true;
}

static void model_reset(struct model *m, int end, struct model_stream *s)
{
    m->mux[end].ops->reset(m->mux[end].self, s->id[end], 3);
    struct tern_slice bytes;
    model_check(m, m->mux[end].ops->read(m->mux[end].self, s->id[end], &bytes) == TERN_ERR_STALE,
                "an id lives after reset");
    if (s->opener < 0) {
        s->used = false;
        return;
    }
    s->was_reset[end] = true;
    s->dead[end] = true;
    model_forget(s);
}

/* model_pass lets the network do what it does in so much time. */
static void model_pass(struct model *m, tern_time duration)
{
    tern_time limit = m->now + duration;
    bool more = true;
    while (more) {
        more = session_pair_step(m->sessions, limit);
        m->now = m->sessions->world.now;
        for (int end = 0; end < 2; end++)
            model_drain(m, end);
    }
    model_check(m, !m->sessions->failed, "a session failed");
}

static void model_send(struct model *m, int end, size_t capacity)
{
    struct model_wire *wire = &m->wire[end];
    if (m->sessions != NULL) {
        (void)session_world_send_some(&m->sessions->world, (size_t)end, capacity);
        model_drain(m, end);
        return;
    }
    capacity = tern_min_size(capacity, MODEL_WIRE_MAX - wire->size);
    struct tern_writer out = tern_writer_of(wire->bytes + wire->size, capacity);
    m->mux[end].ops->send(m->mux[end].self, m->now, &out);
    model_check(m, tern_writer_ok(&out), "send wrote too much");
    wire->size += out.size;
    model_drain(m, end);
}

/* model_deliver gives some of what end has sent to the other. */
static void model_deliver(struct model *m, int end, size_t size)
{
    struct model_wire *wire = &m->wire[end];
    bool chunked = model_choose(m, 2) == 0;
    int to = 1 - end;
    if (m->sessions != NULL) {
        model_pass(m, size * TERN_MICROSECOND);
        return;
    }
    size = tern_min_size(size, wire->size);
    if (size == 0)
        return;
    struct tern_slice slice = {.view = tern_view_of(wire->bytes, size)};
    struct tern_chunk *chunk = chunked ? tern_chunk_copy(&m->mem[to], slice.view) : NULL;
    if (chunk != NULL)
        slice = (struct tern_slice){.chunk = chunk, .view = tern_chunk_view(chunk)};
    size_t used = 0;
    tern_err err = m->mux[to].ops->recv(m->mux[to].self, m->now, slice, &used);
    model_check(m, err == TERN_OK && used <= size, "recv failed");
    tern_chunk_unref(chunk);
    memmove(wire->bytes, wire->bytes + used, wire->size - used);
    wire->size -= used;
    model_drain(m, to);
}

static size_t model_size(struct model *m, size_t max)
{
    /* All magnitudes are equally likely. */
    /* A fuzzer is better off with many short runs. */
    size_t bits = model_choose(m, m->scripted ? 14 : 18);
    return tern_min_size(max, 1 + model_choose(m, UINT64_C(1) << bits));
}

static void model_stream_step(struct model *m, int end, unsigned kind)
{
    struct model_stream *s = &m->streams[model_choose(m, MODEL_STREAMS_MAX)];
    if (!s->used || s->dead[end] || s->id[end] == TERN_STREAM_NONE)
        return;
    if (kind < 5) {
        model_read(m, end, s, model_size(m, SIZE_MAX));
    } else if (kind == 14) {
        if (model_choose(m, 4) == 0)
            model_reset(m, end, s);
    } else if (s->opener < 0) {
        return;
    } else if (kind < 10) {
        model_write(m, end, s, model_size(m, SIZE_MAX), kind == 9);
    } else if (kind < 13) {
        m->mux[end].ops->set_class(
            m->mux[end].self, s->id[end],
            (enum tern_stream_class)model_choose(m, TERN_STREAM_CLASS_COUNT));
    } else {
        model_close(m, end, s);
    }
    model_drain(m, end);
}

static void model_tick(struct model *m)
{
    for (int i = 0; i < 2 && m->sessions == NULL; i++)
        m->mux[i].ops->tick(m->mux[i].self, m->now);
}

static void model_step(struct model *m)
{
    int end = (int)model_choose(m, 2);
    unsigned kind = (unsigned)model_choose(m, 24);
    if (kind < 15)
        model_stream_step(m, end, kind);
    else if (kind < 17)
        model_open(m, end);
    else if (kind < 20)
        model_send(m, end, model_choose(m, 3) == 0 ? model_size(m, 65519) : 65519);
    else if (kind < 23)
        model_deliver(m, end, model_size(m, m->sessions == NULL ? SIZE_MAX : 20000));
    else if (m->sessions == NULL)
        m->now += model_choose(m, 100) * TERN_MILLISECOND;
    else
        model_pass(m, model_choose(m, 100) * TERN_MILLISECOND);
    model_tick(m);
}

static bool model_left(const struct model *m, int end)
{
    const struct tern_mux *mux = &m->mux[end];
    bool carried =
        m->sessions != NULL || (m->wire[end].size == 0 && !mux->ops->want_send(mux->self));
    return !carried || mux->ops->streams_count(mux->self) > 0;
}

/* model_settle carries everything, reads everything and closes everything: in the end nothing may
 * be left. */
static void model_finish(struct model *m)
{
    for (int round = 0; round < 4000 && m->what == NULL; round++) {
        bool left = false;
        for (int end = 0; end < 2; end++) {
            model_send(m, end, 65519);
            model_deliver(m, end, m->sessions == NULL ? SIZE_MAX : 1000);
            left = left || model_left(m, end);
            for (size_t i = 0; i < MODEL_STREAMS_MAX; i++) {
                struct model_stream *s = &m->streams[i];
                if (!s->used || s->dead[end] || s->id[end] == TERN_STREAM_NONE)
                    continue;
                model_read(m, end, s, SIZE_MAX);
                if (s->used && s->opener >= 0 && !s->dead[end] && !s->closed[end])
                    model_close(m, end, s);
            }
            model_drain(m, end);
        }
        if (!left)
            return;
        m->now += TERN_MILLISECOND;
    }
    model_wrong(m, "streams are left at the end");
}

/* What the network of a session does to it. */
static const struct datagram_link model_link = {.latency_ns = TERN_MILLISECOND,
                                                .jitter_ns = TERN_MILLISECOND,
                                                .loss_ppm = 20000,
                                                .duplicate_ppm = 10000,
                                                .corrupt_ppm = 5000,
                                                .reorder_ppm = 30000,
                                                .reorder_ns = 3 * TERN_MILLISECOND};

static bool model_connect(struct model *m, const struct tern_mux_factory *factory)
{
    struct session_pair_end ends[2];
    m->sessions = calloc(1, sizeof(*m->sessions));
    if (m->sessions == NULL)
        return false;
    for (int i = 0; i < 2; i++) {
        ends[i] = (struct session_pair_end){
            .mem = &m->mem[i], .scope = &m->scope[i], .windows = &m->windows[i]};
    }
    uint64_t seed = tern_random_u64(&m->random);
    struct datagram_link link = model_link;
    if (factory->fragile_start)
        link.corrupt_ppm = 0;
    if (!session_pair_init(m->sessions, seed, factory->make_transport, ends, &link) ||
        !session_pair_connect(m->sessions))
        return false;
    for (int i = 0; i < 2; i++) {
        m->mux[i] = m->sessions->sessions[i].mux;
        datagram_net_socket(&m->sessions->world.net, m->sessions->sockets[i])->link = model_link;
    }
    m->now = m->sessions->world.now;
    return true;
}

static bool model_init(struct model *m, const struct tern_mux_factory *factory)
{
    m->now = TERN_SECOND;
    m->has_credit = factory->has_credit;
    m->has_stops = factory->has_stops;
    for (int i = 0; i < 2; i++) {
        tern_mem_init(&m->mem[i], 0);
        tern_scope_init(&m->scope[i], "connection", NULL, NULL);
        tern_scope_init(&m->windows[i], "windows", NULL, NULL);
    }
    if (factory->make_transport != NULL)
        return model_connect(m, factory);
    for (int i = 0; i < 2; i++) {
        m->wire[i].bytes = malloc(MODEL_WIRE_MAX);
        if (m->wire[i].bytes == NULL)
            return false;
        if (factory->make(i == 0, &m->mem[i], &m->scope[i], &m->windows[i], &m->mux[i]) != TERN_OK)
            return false;
    }
    return true;
}

static void model_fini(struct model *m)
{
    if (m->sessions != NULL)
        session_pair_fini(m->sessions);
    for (int i = 0; i < 2; i++) {
        if (m->mux[i].ops != NULL && m->sessions == NULL)
            m->mux[i].ops->fini(m->mux[i].self);
        free(m->wire[i].bytes);
        model_check(m, m->mem[i].used == 0, "memory is left");
        for (size_t r = 0; r < TERN_RESOURCE_COUNT; r++) {
            model_check(m, m->scope[i].used[r] == 0, "the scope is still charged");
            model_check(m, m->windows[i].used[r] == 0, "the window budget is still charged");
        }
        tern_mem_trim(&m->mem[i]);
    }
    free(m->sessions);
}

static struct mux_model_result model_run(struct model *m, const struct tern_mux_factory *factory,
                                         unsigned steps)
{
    if (!model_init(m, factory))
        model_wrong(m, "no memory");
    for (unsigned i = 0; i < steps && m->what == NULL; i++) {
        if (m->scripted && m->script.size == 0)
            break;
        model_step(m);
    }
    if (m->what == NULL)
        model_finish(m);
    model_fini(m);
    struct mux_model_result result = {.ok = m->what == NULL, .what = m->what};
    free(m);
    return result;
}

struct mux_model_result mux_model_run(const struct tern_mux_factory *factory, uint64_t seed,
                                      unsigned steps)
{
    struct model *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return (struct mux_model_result){.what = "no memory"};
    tern_random_init_u64(&m->random, seed);
    return model_run(m, factory, steps);
}

struct mux_model_result mux_model_script(const struct tern_mux_factory *factory,
                                         struct tern_view script)
{
    struct model *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return (struct mux_model_result){.what = "no memory"};
    m->scripted = true;
    m->script = script;
    tern_random_init_u64(&m->random, script.size);
    return model_run(m, factory, 20000);
}
