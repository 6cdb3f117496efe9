/*
 * How fast is a TLS channel, and how near to the bare cost of its cryptography? One core, no
 * network.
 *
 *     ninja -C build bench/bench_tls && build/bench/bench_tls
 *
 * 64 KiB at a time, four records, are sealed into a buffer and opened there in place, by the
 * channel and by the AEAD engine alone, in turns. A handshake is both ends of it; what it could
 * cost at least is bench_handshake's to tell. The best of several rounds counts, because others use
 * the machine too. Time is this process's alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "crypto/aead.h"
#include "crypto/start.h"
#include "secure/tls_internal.h"

enum {
    BURST = 4, /* records at a time */
    BURSTS = 64,
    ROUNDS = 60,
    HANDSHAKES = 50,
    HANDSHAKE_ROUNDS = 12,
};

struct host {
    struct tern_private_key key;
    struct tern_tls_identity identity;
};

struct bench {
    struct tern_mem mem;
    struct tern_random random;
    struct tern_aead_engine aead;
    struct host hosts[2];
    struct tern_channel ends[2];
    uint8_t *buffer;
    size_t buffer_size;
    double jobs[3]; /* the best time of each flight's job */
};

static const struct tern_view bench_muxers[] = {{(const uint8_t *)"/yamux/1.0.0", 12}};

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(tern_err err)
{
    if (err == TERN_OK)
        return;
    fprintf(stderr, "%s\n", tern_err_text(err));
    exit(1);
}

static void make_hosts(struct bench *b, bool slow_aes)
{
    for (int i = 0; i < 2; i++) {
        struct host *host = &b->hosts[i];
        must(tern_private_key_generate(TERN_KEY_ED25519, &b->random, &host->key));
        must(tern_tls_identity_init(&host->identity,
                                    &(struct tern_tls_identity_options){.mem = &b->mem,
                                                                        .random = &b->random,
                                                                        .host_key = &host->key,
                                                                        .slow_aes = slow_aes}));
    }
}

static void end_hosts(struct bench *b)
{
    for (int i = 0; i < 2; i++) {
        tern_tls_identity_fini(&b->hosts[i].identity);
        tern_private_key_fini(&b->hosts[i].key);
    }
}

/* ---- handshakes ---- */

static void drain_handshake(struct tern_channel *end, double *best)
{
    struct tern_channel_event event;
    while (end->ops->next(end->self, &event)) {
        if (event.kind != TERN_CHANNEL_JOB)
            continue;
        double start = seconds();
        event.job->run(event.job);
        double took = seconds() - start;
        *best = took < *best ? took : *best;
        must(end->ops->job_done(end->self, 0, event.job));
    }
}

static void open_channel(struct bench *b)
{
    for (int i = 0; i < 2; i++) {
        const struct tern_tls_options options = {
            .role = i == 0 ? TERN_ROLE_INITIATOR : TERN_ROLE_RESPONDER,
            .mem = &b->mem,
            .aead = &b->aead,
            .identity = &b->hosts[i].identity,
            .muxers = bench_muxers,
            .muxers_count = 1,
        };
        must(tern_tls_new(&options, &b->ends[i]));
    }
    for (int flight = 0; flight < 3; flight++) {
        uint8_t bytes[8192];
        struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
        struct tern_channel *from = &b->ends[flight % 2];
        struct tern_channel *to = &b->ends[1 - flight % 2];
        from->ops->control(from->self, 0, &out);
        struct tern_slice in = {.view = tern_writer_view(&out)};
        while (in.view.size > 0) {
            size_t used;
            must(to->ops->recv(to->self, 0, in, &used));
            in.view = tern_view_part(in.view, used, in.view.size - used);
            drain_handshake(to, &b->jobs[flight]);
        }
    }
    TERN_CHECK(b->ends[1].ops->remote(b->ends[1].self) != NULL);
}

static void close_channel(struct bench *b)
{
    for (int i = 0; i < 2; i++)
        b->ends[i].ops->fini(b->ends[i].self);
}

static void bench_handshakes(struct bench *b)
{
    double best = 1e9;
    for (int round = 0; round < HANDSHAKE_ROUNDS; round++) {
        double start = seconds();
        for (int i = 0; i < HANDSHAKES; i++) {
            open_channel(b);
            close_channel(b);
        }
        double took = seconds() - start;
        best = took < best ? took : best;
    }
    printf("handshake, both ends: %.0f/s (%.0f us)\n", HANDSHAKES / best, best * 1e6 / HANDSHAKES);
    printf("jobs: responder %.0f us, initiator %.0f us, responder %.0f us\n", b->jobs[0] * 1e6,
           b->jobs[1] * 1e6, b->jobs[2] * 1e6);
    size_t before = b->mem.used;
    open_channel(b);
    printf("memory of an end at rest: %zu bytes\n", (b->mem.used - before) / 2);
    close_channel(b);
}

/* ---- records ---- */

enum { WIRE_RECORD = TERN_TLS_PLAINTEXT_MAX + TERN_TLS_OVERHEAD };

static void seal_by_channel(struct bench *b)
{
    struct tern_channel *end = &b->ends[0];
    struct tern_writer out = tern_writer_of(b->buffer, b->buffer_size);
    for (int i = 0; i < BURST * BURSTS; i++) {
        struct tern_span room = end->ops->seal_begin(end->self, &out);
        TERN_CHECK(room.size == TERN_TLS_PLAINTEXT_MAX);
        end->ops->seal_end(end->self, &out, room.size);
    }
}

static void open_by_channel(struct bench *b)
{
    struct tern_channel *end = &b->ends[1];
    size_t opened = 0;
    for (size_t burst = 0; burst < BURSTS; burst++) {
        struct tern_slice in = {
            .view = {b->buffer + burst * BURST * WIRE_RECORD, (size_t)BURST * WIRE_RECORD}};
        while (in.view.size > 0) {
            size_t used;
            must(end->ops->recv(end->self, 0, in, &used));
            in.view = tern_view_of(in.view.data + used, in.view.size - used);
            struct tern_channel_event event;
            while (end->ops->next(end->self, &event))
                opened += event.data.view.size;
        }
    }
    TERN_CHECK(opened == (size_t)BURST * BURSTS * TERN_TLS_PLAINTEXT_MAX);
}

static void bare_records(struct bench *b, enum tern_aead_cipher cipher, bool seal, uint64_t nonce)
{
    uint8_t key[TERN_AEAD_KEY_SIZE] = {7};
    uint8_t header[TERN_TLS_HEADER_SIZE] = {1};
    size_t size = TERN_TLS_PLAINTEXT_MAX + 1;
    for (size_t i = 0; i < (size_t)BURST * BURSTS; i++) {
        uint8_t *at = b->buffer + i * WIRE_RECORD + TERN_TLS_HEADER_SIZE;
        struct tern_aead_params params = {
            .cipher = cipher, .key = key, .associated = {header, sizeof header}};
        tern_aead_counter_nonce(nonce + i, params.nonce);
        if (seal)
            must(tern_aead_seal(&b->aead, &params, tern_view_of(at, size), at));
        else
            must(
                tern_aead_open(&b->aead, &params, tern_view_of(at, size + TERN_AEAD_TAG_SIZE), at));
    }
}

static void bench_records(struct bench *b, const char *name)
{
    double best[4] = {1e9, 1e9, 1e9, 1e9};
    open_channel(b);
    enum tern_aead_cipher cipher = ((struct tern_tls *)b->ends[0].self)->suite->cipher;
    for (int round = 0; round < ROUNDS; round++) {
        double t[5];
        t[0] = seconds();
        seal_by_channel(b);
        t[1] = seconds();
        open_by_channel(b);
        t[2] = seconds();
        bare_records(b, cipher, true, (uint64_t)round * BURST * BURSTS);
        t[3] = seconds();
        bare_records(b, cipher, false, (uint64_t)round * BURST * BURSTS);
        t[4] = seconds();
        for (int i = 0; i < 4; i++)
            best[i] = t[i + 1] - t[i] < best[i] ? t[i + 1] - t[i] : best[i];
    }
    close_channel(b);
    double bytes = (double)((size_t)BURST * BURSTS * TERN_TLS_PLAINTEXT_MAX) * 1e-9;
    printf("%s, 64 KiB: seal %.2f GB/s, %.1f %% of the AEAD's %.2f; open %.2f GB/s, %.1f %% of "
           "%.2f; both %.2f GB/s\n",
           name, bytes / best[0], 100 * best[2] / best[0], bytes / best[2], bytes / best[1],
           100 * best[3] / best[1], bytes / best[3], bytes / (best[0] + best[1]));
}

int main(void)
{
    struct bench b = {.jobs = {1e9, 1e9, 1e9}};
    must(tern_crypto_start());
    tern_mem_init(&b.mem, 0);
    tern_random_init_u64(&b.random, 1);
    must(tern_aead_engine_init(&b.aead));
    b.buffer_size = (size_t)BURST * BURSTS * WIRE_RECORD;
    b.buffer = calloc(1, b.buffer_size);
    TERN_CHECK(b.buffer != NULL);
    make_hosts(&b, true);
    bench_records(&b, "ChaCha20-Poly1305");
    end_hosts(&b);
    make_hosts(&b, false);
    bench_records(&b, "AES-128-GCM");
    bench_handshakes(&b);
    end_hosts(&b);
    tern_aead_engine_fini(&b.aead);
    free(b.buffer);
    tern_mem_fini(&b.mem);
    return 0;
}
