/* A stand-in for the connection core and the crypto under it, for the swarm's own tests: plain
 * frames of type, number, size; hello with the identity key, whose "verification" is a job. */
#include "base/check.h"
#include "conn/conn.h"
#include "crypto/aead.h"
#include "crypto/key.h"
#include "secure/noise.h"

enum { FAKE_STREAMS = 64, FAKE_EVENTS = 512, FAKE_BUFFER = 1 << 17, FAKE_STREAM_BUFFER = 1 << 14 };
enum fake_type {
    F_HELLO = 1,
    F_OPEN,
    F_AGREE,
    F_REFUSE,
    F_DATA,
    F_FIN,
    F_RESET,
    F_GOAWAY,
    F_PING,
    F_PONG
};

struct fake_stream {
    bool used, ours, fin_in, fin_out, refused_full;
    uint32_t generation, wire;
    uint8_t *in;
    size_t in_size;
};

struct tern_conn {
    const struct tern_conn_config *config;
    struct tern_conn_options options;
    struct tern_peer_id expected;
    struct tern_peer_id remote_id;
    struct tern_public_key remote_key;
    struct tern_secure_remote remote;
    struct tern_job job;
    bool job_out, job_queued, freed, established, closing, closed, failed, said;
    tern_err err;
    tern_time upgrade_at, ping_at, pong_by;
    uint32_t wire_next;
    struct fake_stream streams[FAKE_STREAMS];
    struct tern_conn_event events[FAKE_EVENTS];
    size_t events_first, events_count;
    uint8_t *out, *in;
    size_t out_size, in_size;
};

static void fake_run(struct tern_job *job)
{
    (void)job;
}

static void fake_event(struct tern_conn *c, struct tern_conn_event event)
{
    TERN_CHECK(c->events_count < FAKE_EVENTS);
    c->events[(c->events_first + c->events_count++) % FAKE_EVENTS] = event;
}

static void fake_fail(struct tern_conn *c, tern_err err)
{
    if (c->failed || c->closed)
        return;
    c->failed = true;
    c->err = err;
}

static void fake_frame(struct tern_conn *c, enum fake_type type, uint32_t number,
                       struct tern_view body)
{
    struct tern_writer w = tern_writer_of(c->out + c->out_size, FAKE_BUFFER - c->out_size);
    tern_writer_u8(&w, (uint8_t)type);
    tern_writer_u32be(&w, number);
    tern_writer_u16be(&w, (uint16_t)body.size);
    tern_writer_bytes(&w, body);
    if (!tern_writer_ok(&w))
        fake_fail(c, TERN_ERR_FULL);
    else
        c->out_size += w.size;
}

struct tern_conn *tern_conn_new(const struct tern_conn_config *config,
                                const struct tern_conn_options *options, tern_time now)
{
    struct tern_conn *c = tern_mem_zalloc(config->mem, sizeof *c);
    if (c == NULL)
        return NULL;
    c->out = tern_mem_alloc(config->mem, FAKE_BUFFER);
    c->in = c->out == NULL ? NULL : tern_mem_alloc(config->mem, FAKE_BUFFER);
    if (c->in == NULL) {
        tern_mem_free(config->mem, c->out, FAKE_BUFFER);
        tern_mem_free(config->mem, c, sizeof *c);
        return NULL;
    }
    c->config = config;
    c->options = *options;
    if (options->expected_peer != NULL)
        c->expected = *options->expected_peer;
    c->upgrade_at = tern_time_add(now, config->upgrade_timeout_ns);
    c->ping_at = c->pong_by = TERN_TIME_NEVER;
    c->wire_next = options->role == TERN_ROLE_INITIATOR ? 1 : 2;
    fake_frame(c, F_HELLO, 0, tern_view_of(config->identity->public_key.as.ed25519, 32));
    return c;
}

static void fake_stream_free(struct tern_conn *c, struct fake_stream *st)
{
    tern_scope_release(c->options.scope,
                       st->ours ? TERN_RESOURCE_STREAMS_OUT : TERN_RESOURCE_STREAMS_IN, 1);
    tern_mem_free(c->config->mem, st->in, FAKE_STREAM_BUFFER);
    uint32_t generation = st->generation + 1;
    *st = (struct fake_stream){.generation = generation};
}

static void fake_release(struct tern_conn *c)
{
    struct tern_mem *mem = c->config->mem;
    for (size_t i = 0; i < FAKE_STREAMS; i++)
        if (c->streams[i].used)
            fake_stream_free(c, &c->streams[i]);
    tern_mem_free(mem, c->out, FAKE_BUFFER);
    tern_mem_free(mem, c->in, FAKE_BUFFER);
    tern_mem_free(mem, c, sizeof *c);
}

void tern_conn_free(struct tern_conn *c)
{
    if (c == NULL)
        return;
    if (c->job_out)
        c->freed = true;
    else
        fake_release(c);
}

static tern_stream_id fake_id(const struct tern_conn *c, const struct fake_stream *st)
{
    return (uint64_t)(st->generation + 1) << 32 | (uint64_t)(st - c->streams);
}

static struct fake_stream *fake_find(struct tern_conn *c, tern_stream_id id)
{
    uint32_t i = (uint32_t)id;
    return i < FAKE_STREAMS && c->streams[i].used && fake_id(c, &c->streams[i]) == id
               ? &c->streams[i]
               : NULL;
}

static struct fake_stream *fake_by_wire(struct tern_conn *c, uint32_t wire)
{
    for (size_t i = 0; i < FAKE_STREAMS; i++)
        if (c->streams[i].used && c->streams[i].wire == wire)
            return &c->streams[i];
    return NULL;
}

static tern_err fake_new_stream(struct tern_conn *c, bool ours, uint32_t wire,
                                struct fake_stream **out)
{
    for (size_t i = 0; i < FAKE_STREAMS; i++) {
        struct fake_stream *st = &c->streams[i];
        if (st->used)
            continue;
        TERN_TRY(tern_scope_reserve(c->options.scope,
                                    ours ? TERN_RESOURCE_STREAMS_OUT : TERN_RESOURCE_STREAMS_IN, 1,
                                    NULL));
        st->in = tern_mem_alloc(c->config->mem, FAKE_STREAM_BUFFER);
        st->used = true;
        st->ours = ours;
        st->wire = wire;
        if (st->in == NULL) {
            fake_stream_free(c, st);
            return TERN_ERR_MEMORY;
        }
        *out = st;
        return TERN_OK;
    }
    return TERN_ERR_FULL;
}

static void fake_maybe_closed(struct tern_conn *c, struct fake_stream *st)
{
    if (!st->fin_in || !st->fin_out || st->in_size > 0)
        return;
    fake_event(c,
               (struct tern_conn_event){.kind = TERN_CONN_STREAM_CLOSED, .stream = fake_id(c, st)});
    fake_stream_free(c, st);
}

static void fake_open(struct tern_conn *c, uint32_t wire, struct tern_view name)
{
    struct fake_stream *st = NULL;
    for (size_t i = 0; i < c->config->protocols->count; i++) {
        const struct tern_protocol *p = &c->config->protocols->protocols[i];
        if (!tern_view_equal(p->name, name))
            continue;
        if (c->closing || fake_new_stream(c, false, wire, &st) != TERN_OK)
            break;
        fake_frame(c, F_AGREE, wire, name);
        fake_event(c, (struct tern_conn_event){.kind = TERN_CONN_STREAM_OPENED,
                                               .stream = fake_id(c, st),
                                               .protocol = p});
        return;
    }
    fake_frame(c, F_REFUSE, wire, name);
}

static void fake_hello(struct tern_conn *c, struct tern_view body)
{
    if (body.size != 32 || c->job_out || c->established) {
        fake_fail(c, TERN_ERR_MALFORMED);
        return;
    }
    tern_public_key_of_ed25519(body.data, &c->remote_key);
    tern_public_key_peer_id(&c->remote_key, &c->remote_id);
    c->remote = (struct tern_secure_remote){.peer_id = &c->remote_id, .public_key = &c->remote_key};
    c->job.run = fake_run;
    c->job_out = true;
    fake_event(c, (struct tern_conn_event){.kind = TERN_CONN_JOB, .job = &c->job});
}

static void fake_take(struct tern_conn *c, enum fake_type type, uint32_t wire,
                      struct tern_view body)
{
    struct fake_stream *st = fake_by_wire(c, wire);
    struct tern_conn_event ev = {.stream = st == NULL ? 0 : fake_id(c, st)};
    switch (type) {
    case F_HELLO:
        fake_hello(c, body);
        return;
    case F_OPEN:
        fake_open(c, wire, body);
        return;
    case F_GOAWAY:
        ev.kind = TERN_CONN_GOAWAY;
        fake_event(c, ev);
        return;
    case F_PING:
        fake_frame(c, F_PONG, 0, (struct tern_view){.size = 0});
        return;
    case F_PONG:
        c->pong_by = TERN_TIME_NEVER;
        return;
    case F_AGREE:
    case F_REFUSE:
    case F_DATA:
    case F_FIN:
    case F_RESET:
        break;
    default:
        fake_fail(c, TERN_ERR_MALFORMED);
        return;
    }
    if (st == NULL)
        return;
    if (type == F_AGREE)
        ev.kind = TERN_CONN_STREAM_READY;
    if (type == F_REFUSE) {
        ev.kind = TERN_CONN_STREAM_REFUSED;
        ev.err = TERN_ERR_NO_PROTOCOL;
    }
    if (type == F_RESET) {
        ev.kind = TERN_CONN_STREAM_RESET;
        ev.code =
            (uint32_t)(body.data[0] << 24 | body.data[1] << 16 | body.data[2] << 8 | body.data[3]);
    }
    if (type == F_DATA || type == F_FIN) {
        ev.kind = TERN_CONN_STREAM_READABLE;
        if (st->in_size + body.size > FAKE_STREAM_BUFFER) {
            fake_fail(c, TERN_ERR_PROTOCOL);
            return;
        }
        if (body.size > 0)
            memcpy(st->in + st->in_size, body.data, body.size);
        st->in_size += body.size;
        st->fin_in = st->fin_in || type == F_FIN;
    }
    fake_event(c, ev);
    if (type == F_REFUSE || type == F_RESET)
        fake_stream_free(c, st);
}

tern_err tern_conn_recv(struct tern_conn *c, tern_time now, struct tern_slice in, size_t *used)
{
    *used = 0;
    (void)now;
    if (c->failed || c->closed) {
        *used = in.view.size;
        return c->err == TERN_OK ? TERN_ERR_CLOSED : c->err;
    }
    if (c->job_out)
        return TERN_OK;
    size_t n = tern_min_size(in.view.size, FAKE_BUFFER - c->in_size);
    memcpy(c->in + c->in_size, in.view.data, n);
    c->in_size += n;
    *used = n;
    size_t at = 0;
    while (!c->failed && !c->job_out && c->in_size - at >= 7) {
        const uint8_t *f = c->in + at;
        if (f[0] < F_HELLO || f[0] > F_PONG) {
            fake_fail(c, TERN_ERR_MALFORMED);
            break;
        }
        size_t size = (size_t)(f[5] << 8 | f[6]);
        if (c->in_size - at < 7 + size)
            break;
        uint32_t wire = (uint32_t)(f[1] << 24 | f[2] << 16 | f[3] << 8 | f[4]);
        fake_take(c, (enum fake_type)f[0], wire, tern_view_of(f + 7, size));
        at += 7 + size;
    }
    memmove(c->in, c->in + at, c->in_size - at);
    c->in_size -= at;
    return c->failed ? c->err : TERN_OK;
}

void tern_conn_job_done(struct tern_conn *c, tern_time now, struct tern_job *job)
{
    (void)job;
    c->job_out = false;
    if (c->freed) {
        fake_release(c);
        return;
    }
    if (c->failed || c->closed)
        return;
    if (c->expected.size != 0 && !tern_peer_id_equal(&c->expected, &c->remote_id)) {
        fake_fail(c, TERN_ERR_PEER_MISMATCH);
        return;
    }
    c->established = true;
    c->upgrade_at = TERN_TIME_NEVER;
    if (c->config->ping_interval_ns != 0)
        c->ping_at = tern_time_add(now, c->config->ping_interval_ns);
    fake_event(c, (struct tern_conn_event){.kind = TERN_CONN_ESTABLISHED});
    size_t used;
    struct tern_slice none = {.view = {.data = (const uint8_t *)"", .size = 0}};
    tern_err err = tern_conn_recv(c, now, none, &used);
    (void)err;
}

void tern_conn_link_end(struct tern_conn *c, tern_time now)
{
    (void)now;
    if (c->closing)
        c->closed = true;
    else
        fake_fail(c, TERN_ERR_DISCONNECTED);
}

void tern_conn_send(struct tern_conn *c, tern_time now, struct tern_writer *out)
{
    (void)now;
    size_t n = tern_min_size(c->out_size, tern_writer_left(out));
    tern_writer_bytes(out, tern_view_of(c->out, n));
    memmove(c->out, c->out + n, c->out_size - n);
    c->out_size -= n;
}

bool tern_conn_want_send(const struct tern_conn *c)
{
    return c->out_size > 0;
}

bool tern_conn_next(struct tern_conn *c, struct tern_conn_event *event)
{
    if (c->said)
        return false;
    if (!c->failed && c->events_count > 0) {
        *event = c->events[c->events_first];
        c->events_first = (c->events_first + 1) % FAKE_EVENTS;
        c->events_count--;
        return true;
    }
    if (c->failed || c->closed || (c->closing && c->out_size == 0)) {
        c->said = c->closed = true;
        *event =
            (struct tern_conn_event){.kind = TERN_CONN_CLOSED, .err = c->failed ? c->err : TERN_OK};
        return true;
    }
    return false;
}

tern_time tern_conn_deadline(const struct tern_conn *c)
{
    return c->said ? TERN_TIME_NEVER
                   : tern_time_min(c->upgrade_at, tern_time_min(c->ping_at, c->pong_by));
}

void tern_conn_tick(struct tern_conn *c, tern_time now)
{
    if (c->upgrade_at <= now || c->pong_by <= now)
        fake_fail(c, TERN_ERR_TIMEOUT);
    if (c->ping_at <= now) {
        fake_frame(c, F_PING, 0, (struct tern_view){.size = 0});
        c->ping_at = tern_time_add(now, c->config->ping_interval_ns);
        if (c->pong_by == TERN_TIME_NEVER)
            c->pong_by = tern_time_add(now, c->config->ping_timeout_ns);
    }
}

void tern_conn_close(struct tern_conn *c, tern_time now, uint32_t code)
{
    (void)now;
    (void)code;
    if (!c->established)
        fake_fail(c, TERN_ERR_CLOSED);
    if (c->failed || c->closed)
        return;
    c->closing = true;
    fake_frame(c, F_GOAWAY, 0, (struct tern_view){.size = 0});
}

const struct tern_secure_remote *tern_conn_remote(const struct tern_conn *c)
{
    return &c->remote;
}

tern_time tern_conn_rtt(const struct tern_conn *c)
{
    (void)c;
    return 0;
}

size_t tern_conn_streams_count(const struct tern_conn *c)
{
    size_t n = 0;
    for (size_t i = 0; i < FAKE_STREAMS; i++)
        n += c->streams[i].used;
    return n;
}

tern_err tern_conn_open_stream(struct tern_conn *c, tern_time now,
                               const struct tern_stream_offer *offer, tern_stream_id *stream)
{
    struct fake_stream *st = NULL;
    (void)now;
    if (!c->established || c->closing || c->failed || c->closed)
        return TERN_ERR_CLOSED;
    TERN_TRY(fake_new_stream(c, true, c->wire_next, &st));
    c->wire_next += 2;
    fake_frame(c, F_OPEN, st->wire, offer->names[0]);
    *stream = fake_id(c, st);
    return TERN_OK;
}

tern_err tern_conn_write(struct tern_conn *c, tern_stream_id stream, struct tern_view bytes,
                         size_t *accepted)
{
    struct fake_stream *st = fake_find(c, stream);
    *accepted = 0;
    if (st == NULL)
        return TERN_ERR_STALE;
    if (st->fin_out)
        return TERN_ERR_CLOSED;
    *accepted = tern_min_size(bytes.size, 4096);
    fake_frame(c, F_DATA, st->wire, tern_view_of(bytes.data, *accepted));
    return TERN_OK;
}

tern_err tern_conn_write_slice(struct tern_conn *c, tern_stream_id stream, struct tern_slice slice)
{
    size_t accepted;
    return tern_conn_write(c, stream, slice.view, &accepted);
}

tern_err tern_conn_read(struct tern_conn *c, tern_stream_id stream, struct tern_slice *bytes)
{
    struct fake_stream *st = fake_find(c, stream);
    if (st == NULL)
        return TERN_ERR_STALE;
    if (st->in_size == 0) {
        if (!st->fin_in)
            return TERN_ERR_AGAIN;
        fake_maybe_closed(c, st);
        return TERN_ERR_END;
    }
    *bytes = (struct tern_slice){.view = tern_view_of(st->in, st->in_size)};
    return TERN_OK;
}

void tern_conn_consume(struct tern_conn *c, tern_stream_id stream, size_t size)
{
    struct fake_stream *st = fake_find(c, stream);
    if (st == NULL)
        return;
    memmove(st->in, st->in + size, st->in_size - size);
    st->in_size -= size;
}

tern_err tern_conn_close_write(struct tern_conn *c, tern_stream_id stream)
{
    struct fake_stream *st = fake_find(c, stream);
    if (st == NULL)
        return TERN_ERR_STALE;
    if (!st->fin_out)
        fake_frame(c, F_FIN, st->wire, (struct tern_view){.size = 0});
    st->fin_out = true;
    fake_maybe_closed(c, st);
    return TERN_OK;
}

void tern_conn_reset(struct tern_conn *c, tern_stream_id stream, uint32_t code)
{
    struct fake_stream *st = fake_find(c, stream);
    if (st == NULL)
        return;
    uint8_t body[4] = {(uint8_t)(code >> 24), (uint8_t)(code >> 16), (uint8_t)(code >> 8),
                       (uint8_t)code};
    fake_frame(c, F_RESET, st->wire, tern_view_of(body, 4));
    fake_stream_free(c, st);
}

/* --- crypto --- */

void tern_public_key_of_ed25519(const uint8_t bytes[TERN_ED25519_PUBLIC_SIZE],
                                struct tern_public_key *key)
{
    *key = (struct tern_public_key){.type = TERN_KEY_ED25519};
    memcpy(key->as.ed25519, bytes, 32);
}

void tern_public_key_peer_id(const struct tern_public_key *key, struct tern_peer_id *id)
{
    *id = (struct tern_peer_id){.size = 38, .bytes = {0x00, 0x24, 0x08, 0x01, 0x12, 0x20}};
    memcpy(id->bytes + 6, key->as.ed25519, 32);
}

void tern_public_key_copy(const struct tern_public_key *key, struct tern_public_key *copy)
{
    *copy = *key;
}

void tern_public_key_fini(struct tern_public_key *key)
{
    (void)key;
}

void tern_private_key_of_ed25519_seed(const uint8_t seed[32], struct tern_private_key *key)
{
    *key = (struct tern_private_key){.public_key = {.type = TERN_KEY_ED25519}};
    memcpy(key->public_key.as.ed25519, seed, 32);
}

void tern_private_key_fini(struct tern_private_key *key)
{
    (void)key;
}

tern_err tern_aead_engine_init(struct tern_aead_engine *engine)
{
    (void)engine;
    return TERN_OK;
}

void tern_aead_engine_fini(struct tern_aead_engine *engine)
{
    (void)engine;
}

tern_err tern_noise_identity_init(struct tern_noise_identity *identity, struct tern_mem *mem,
                                  struct tern_random *random,
                                  const struct tern_private_key *host_key)
{
    (void)random;
    (void)host_key;
    identity->payload = tern_mem_alloc(mem, 100);
    identity->mem = mem;
    return identity->payload == NULL ? TERN_ERR_MEMORY : TERN_OK;
}

void tern_noise_identity_fini(struct tern_noise_identity *identity)
{
    tern_mem_free(identity->mem, identity->payload, 100);
}
