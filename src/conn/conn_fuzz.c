/*
 * Two connections against each other, the input being the script of what happens to the bytes
 * between them (moved in pieces, cut, flipped, swapped, added) and of what their owners do. With
 * the plaintext channel the changes reach the muxer and the streams' negotiation.
 *
 * Byte 0: bit 0 plaintext, bit 1 and 2 late muxers, bit 3 both dial, bit 4 TLS unless plaintext,
 * bit 5 mplex (the second end has yamux, too), bit 6 WebSocket, bit 7 a listener takes any form.
 * Then pairs (what, argument).
 */
#include "conn/conn.h"

#include "base/check.h"
#include "crypto/aead.h"
#include "secure/noise.h"
#include "secure/tls.h"

enum { FUZZ_WIRE_MAX = 1 << 18, FUZZ_EVENTS_MAX = 100000, FUZZ_OPS_MAX = 600, FUZZ_KINDS = 12 };

struct fuzz_end {
    struct tern_conn_config config;
    struct tern_scope scope;
    struct tern_conn *conn;
    struct tern_job *job;
    tern_stream_id streams[8];
    uint8_t next_stream;
    bool closed;
    bool freed;
    uint8_t wire[FUZZ_WIRE_MAX]; /* what it has sent and the other has not taken */
    size_t wire_size;
};

struct fuzz_host {
    struct tern_mem mem;
    struct tern_random random;
    struct tern_private_key key;
    struct tern_noise_identity noise;
    struct tern_tls_identity tls;
    struct tern_aead_engine aead;
};

struct fuzz {
    struct tern_mem mem;
    struct tern_scope root;
    struct tern_scope windows;
    struct tern_random random;
    struct tern_metrics metrics;
    struct tern_protocol protocol;
    struct tern_protocol_table table;
    tern_time now;
    struct fuzz_end ends[2];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fuzz_host *fuzz_host(void)
{
    static struct fuzz_host host;
    if (host.noise.mem != NULL)
        return &host;
    tern_mem_init(&host.mem, 0);
    tern_random_init_u64(&host.random, 1);
    TERN_CHECK(tern_private_key_generate(TERN_KEY_ED25519, &host.random, &host.key) == TERN_OK);
    TERN_CHECK(tern_noise_identity_init(&host.noise, &host.mem, &host.random, &host.key) ==
               TERN_OK);
    const struct tern_tls_identity_options tls = {
        .mem = &host.mem, .random = &host.random, .host_key = &host.key};
    TERN_CHECK(tern_tls_identity_init(&host.tls, &tls) == TERN_OK);
    TERN_CHECK(tern_aead_engine_init(&host.aead) == TERN_OK);
    return &host;
}

/* Reads the stream and sends all of it back; ends when the remote has ended. */
static void fuzz_echo(struct fuzz_end *end, tern_stream_id id)
{
    struct tern_slice bytes;
    tern_err err;
    while ((err = tern_conn_read(end->conn, id, &bytes)) == TERN_OK) {
        size_t took = 0;
        TERN_CHECK(bytes.view.size > 0);
        err = tern_conn_write(end->conn, id, bytes.view, &took);
        tern_conn_consume(end->conn, id, err == TERN_OK ? took : bytes.view.size);
        if (took == 0)
            break;
    }
    if (err == TERN_ERR_END)
        TERN_IGNORE(tern_conn_close_write(end->conn, id)); /* it may be reset by now */
}

static void fuzz_serve(struct fuzz_end *end, tern_time now)
{
    struct tern_conn_event event;
    for (int i = 0; tern_conn_next(end->conn, now, &event); i++) {
        TERN_CHECK(i < FUZZ_EVENTS_MAX && !end->closed);
        if (event.kind == TERN_CONN_JOB) {
            TERN_CHECK(end->job == NULL);
            end->job = event.job;
        } else if (event.kind == TERN_CONN_STREAM_READABLE) {
            fuzz_echo(end, event.stream);
        } else if (event.kind == TERN_CONN_CLOSED) {
            end->closed = true;
        }
    }
}

static void fuzz_pull(struct fuzz *f, struct fuzz_end *end)
{
    struct tern_writer out =
        tern_writer_of(end->wire + end->wire_size, sizeof end->wire - end->wire_size);
    tern_conn_send(end->conn, f->now, &out);
    TERN_CHECK(tern_writer_ok(&out));
    end->wire_size += out.size;
    fuzz_serve(end, f->now);
}

static void fuzz_move(struct fuzz *f, unsigned side, size_t size)
{
    struct fuzz_end *from = &f->ends[side];
    struct fuzz_end *to = &f->ends[1 - side];
    size = tern_min_size(size, from->wire_size);
    if (size == 0)
        return;
    struct tern_chunk *chunk = tern_chunk_copy(&f->mem, tern_view_of(from->wire, size));
    TERN_CHECK(chunk != NULL);
    size_t used = 0;
    tern_err err = tern_conn_recv(
        to->conn, f->now,
        (struct tern_slice){.view = tern_view_of(chunk->data, size), .chunk = chunk}, &used);
    TERN_CHECK(used <= size);
    TERN_CHECK(err != TERN_OK || to->job == NULL || used <= size);
    if (err != TERN_OK)
        used = size;
    memmove(from->wire, from->wire + used, from->wire_size - used);
    from->wire_size -= used;
    tern_chunk_unref(chunk);
    fuzz_serve(to, f->now);
}

static void fuzz_job(struct fuzz *f, struct fuzz_end *end)
{
    struct tern_job *job = end->job;
    if (job == NULL)
        return;
    end->job = NULL;
    job->run(job);
    tern_conn_job_done(end->conn, f->now, job);
    if (!end->freed)
        fuzz_serve(end, f->now);
}

/* Changes what is under way: place is one of the first 256 bytes. */
static void fuzz_tamper(struct fuzz_end *from, unsigned how, uint8_t place)
{
    uint8_t *wire = from->wire;
    size_t left = from->wire_size;
    if (place >= left)
        return;
    if (how == 0) {
        wire[place] ^= (uint8_t)(1u << (place % 8));
    } else if (how == 1) {
        memmove(wire + place, wire + place + 1, left - place - 1);
        from->wire_size--;
    } else if (how == 2 && left < FUZZ_WIRE_MAX) {
        memmove(wire + place + 1, wire + place, left - place);
        from->wire_size++;
    } else if (how == 3 && (size_t)place * 2 <= left) {
        for (size_t i = 0; i < place; i++) {
            uint8_t byte = wire[i];
            wire[i] = wire[place + i];
            wire[place + i] = byte;
        }
    }
}

static void fuzz_open(struct fuzz *f, struct fuzz_end *end, uint8_t arg)
{
    static const struct tern_view names[2] = {{(const uint8_t *)"/none", 5},
                                              {(const uint8_t *)"/echo", 5}};
    const struct tern_stream_offer offer = {.names = names + arg % 2,
                                            .names_count = arg % 2 == 0 && arg % 4 != 0 ? 2 : 1};
    tern_stream_id id;
    size_t accepted;
    if (tern_conn_open_stream(end->conn, f->now, &offer, &id) != TERN_OK)
        return;
    end->streams[end->next_stream++ % 8] = id;
    TERN_IGNORE(tern_conn_write(end->conn, id, tern_view_of(end->wire, arg), &accepted));
    fuzz_serve(end, f->now);
}

static void fuzz_own(struct fuzz *f, struct fuzz_end *end, unsigned what, uint8_t arg)
{
    tern_stream_id id = end->streams[arg % 8];
    if (what == 0)
        fuzz_open(f, end, arg);
    else if (what == 1 && id != TERN_STREAM_NONE)
        tern_conn_reset(end->conn, id, arg);
    else if (what == 2 && id != TERN_STREAM_NONE)
        TERN_IGNORE(tern_conn_close_write(end->conn, id)); /* it may be dead */
    else if (what == 3 && arg < 8)
        tern_conn_close(end->conn, f->now, arg);
    else if (what == 3 && arg > 250)
        tern_conn_link_end(end->conn, f->now);
    fuzz_serve(end, f->now);
}

static void fuzz_step(struct fuzz *f, uint8_t what, uint8_t arg)
{
    unsigned side = what & 1;
    struct fuzz_end *end = &f->ends[side];
    unsigned kind = (what >> 1) % FUZZ_KINDS;
    if (kind < 3) {
        fuzz_pull(f, end);
        fuzz_move(f, side, kind == 0 ? SIZE_MAX : kind == 1 ? arg : (size_t)arg * 64);
    } else if (kind == 3) {
        fuzz_job(f, end);
    } else if (kind < 8) {
        fuzz_pull(f, end);
        fuzz_tamper(end, kind - 4, arg);
    } else {
        fuzz_own(f, end, kind - 8, arg);
    }
    if (arg % 16 == 15) {
        f->now += arg * 10 * TERN_MILLISECOND;
        for (int i = 0; i < 2; i++) {
            tern_conn_tick(f->ends[i].conn, f->now);
            fuzz_serve(&f->ends[i], f->now);
        }
    }
}

static enum tern_secure_kind fuzz_secure(uint8_t flags)
{
    if (flags & 1)
        return TERN_SECURE_PLAINTEXT;
    return flags & 16 ? TERN_SECURE_TLS : TERN_SECURE_NOISE;
}

static unsigned fuzz_forms(uint8_t flags, bool dials)
{
    if ((flags & 128) != 0 && !dials)
        return TERN_LINK_PLAIN | TERN_LINK_WEBSOCKET;
    return flags & 64 ? TERN_LINK_WEBSOCKET : TERN_LINK_PLAIN;
}

static void fuzz_open_ends(struct fuzz *f, uint8_t flags)
{
    struct fuzz_host *host = fuzz_host();
    for (unsigned i = 0; i < 2; i++) {
        struct fuzz_end *end = &f->ends[i];
        tern_scope_init(&end->scope, "connection", &f->root, &(struct tern_scope_limits){{0}});
        end->config = (struct tern_conn_config){
            .mem = &f->mem,
            .random = &f->random,
            .metrics = &f->metrics,
            .aead = &host->aead,
            .noise = &host->noise,
            .tls = &host->tls,
            .identity = &host->key,
            .protocols = &f->table,
            .windows = &f->windows,
            .secure = {fuzz_secure(flags)},
            .secure_count = 1,
            .muxers = {flags & 32 ? TERN_MUXER_MPLEX : TERN_MUXER_YAMUX, TERN_MUXER_YAMUX},
            .muxers_count = flags & 32 ? 1 + i : 1,
            .late_muxer = (flags >> (1 + i) & 1) != 0,
            .upgrade_timeout_ns = 10 * TERN_SECOND,
            .negotiate_timeout_ns = 5 * TERN_SECOND,
            .ping_interval_ns = 15 * TERN_SECOND,
            .ping_timeout_ns = 10 * TERN_SECOND,
        };
        bool dials = i == 0 || (flags & 8) != 0;
        end->conn = tern_conn_new(
            &end->config,
            &(struct tern_conn_options){.role = dials ? TERN_ROLE_INITIATOR : TERN_ROLE_RESPONDER,
                                        .scope = &end->scope,
                                        .forms = fuzz_forms(flags, dials),
                                        .host = tern_view_str("host")},
            f->now);
        TERN_CHECK(end->conn != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz fuzz;
    struct fuzz *f = &fuzz;
    if (size < 1)
        return 0;
    memset(f, 0, sizeof *f);
    f->now = TERN_SECOND;
    tern_mem_init(&f->mem, 0);
    tern_random_init_u64(&f->random, data[0]);
    tern_scope_init(&f->root, "system", NULL, &(struct tern_scope_limits){{0}});
    tern_scope_init(&f->windows, "windows", NULL,
                    &(struct tern_scope_limits){{[TERN_RESOURCE_MEMORY] = 1 << 20}});
    f->protocol.name = tern_view_str("/echo");
    f->table = (struct tern_protocol_table){&f->protocol, 1};
    fuzz_open_ends(f, data[0]);
    for (size_t i = 1; i + 1 < size && i < 2 * FUZZ_OPS_MAX; i += 2)
        fuzz_step(f, data[i], data[i + 1]);
    for (int i = 0; i < 2; i++) {
        tern_conn_free(f->ends[i].conn);
        f->ends[i].freed = true;
        fuzz_job(f, &f->ends[i]);
        tern_scope_fini(&f->ends[i].scope);
    }
    tern_scope_fini(&f->windows);
    tern_scope_fini(&f->root);
    tern_mem_fini(&f->mem);
    return 0;
}
