/*
 * How fast is a Noise channel, and how near to the bare cost of its cryptography? One core, no
 * network.
 *
 *     ninja -C build bench/bench_noise && build/bench/bench_noise
 *
 * Frames are sealed into a buffer of 64 of them and opened there in place, by the channel and by
 * the AEAD engine alone, in turns. A handshake is both ends of it: 2 key generations, 6 key
 * agreements, 2 Ed25519 verifications. The best of several rounds counts, because others use the
 * machine too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "crypto/aead.h"
#include "crypto/start.h"
#include "operations.h"
#include "secure/noise.h"

enum { FRAMES = 64, ROUNDS = 60, HANDSHAKES = 400, HANDSHAKE_ROUNDS = 8 };

struct host {
    struct tern_private_key key;
    struct tern_noise_identity identity;
};

struct bench {
    struct tern_mem mem;
    struct tern_random random;
    struct tern_aead_engine aead;
    struct host hosts[2];
    struct tern_channel ends[2];
    uint8_t *buffer;
    size_t buffer_size;
};

static const struct tern_view bench_muxers[] = {{(const uint8_t *)"/yamux/1.0.0", 12}};

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(tern_err err)
{
    if (err == TERN_OK)
        return;
    fprintf(stderr, "%s\n", tern_err_text(err));
    exit(1);
}

static void bench_init(struct bench *b)
{
    must(tern_crypto_start());
    tern_mem_init(&b->mem, 0);
    tern_random_init_u64(&b->random, 1);
    must(tern_aead_engine_init(&b->aead));
    for (int i = 0; i < 2; i++) {
        struct host *host = &b->hosts[i];
        must(tern_private_key_generate(TERN_KEY_ED25519, &b->random, &host->key));
        must(tern_noise_identity_init(&host->identity, &b->mem, &b->random, &host->key));
    }
    b->buffer_size = (size_t)FRAMES * (TERN_NOISE_FRAME_MAX + 2);
    b->buffer = calloc(1, b->buffer_size);
    TERN_CHECK(b->buffer != NULL);
}

static void bench_fini(struct bench *b)
{
    for (int i = 0; i < 2; i++) {
        tern_noise_identity_fini(&b->hosts[i].identity);
        tern_private_key_fini(&b->hosts[i].key);
    }
    tern_aead_engine_fini(&b->aead);
    free(b->buffer);
    tern_mem_fini(&b->mem);
}

/* ---- handshakes ---- */

static void drain_handshake(struct tern_channel *end)
{
    struct tern_channel_event event;
    while (end->ops->next(end->self, &event)) {
        if (event.kind != TERN_CHANNEL_JOB)
            continue;
        event.job->run(event.job);
        must(end->ops->job_done(end->self, 0, event.job));
    }
}

static void open_channel(struct bench *b)
{
    for (int i = 0; i < 2; i++) {
        const struct tern_noise_options options = {
            .role = i == 0 ? TERN_ROLE_INITIATOR : TERN_ROLE_RESPONDER,
            .mem = &b->mem,
            .random = &b->random,
            .aead = &b->aead,
            .identity = &b->hosts[i].identity,
            .muxers = bench_muxers,
            .muxers_count = 1,
        };
        must(tern_noise_new(&options, &b->ends[i]));
    }
    for (int message = 0; message < 3; message++) {
        uint8_t bytes[1024];
        struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
        struct tern_channel *from = &b->ends[message % 2];
        struct tern_channel *to = &b->ends[1 - message % 2];
        from->ops->control(from->self, 0, &out);
        size_t used;
        must(
            to->ops->recv(to->self, 0, (struct tern_slice){.view = tern_writer_view(&out)}, &used));
        drain_handshake(to);
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
    struct operations operations;
    double best[2] = {1e9, 1e9};
    operations_init(&operations);
    for (int round = 0; round < HANDSHAKE_ROUNDS; round++) {
        double t[3];
        t[0] = seconds();
        for (int i = 0; i < HANDSHAKES; i++) {
            open_channel(b);
            close_channel(b);
        }
        t[1] = seconds();
        operations_run(&operations, OPERATIONS_NOISE, HANDSHAKES);
        t[2] = seconds();
        for (int i = 0; i < 2; i++)
            best[i] = t[i + 1] - t[i] < best[i] ? t[i + 1] - t[i] : best[i];
    }
    operations_fini(&operations);
    printf("handshake, both ends: %.0f/s (%.0f us); its public-key operations alone: %.0f/s "
           "(%.0f us): %.1f %%\n",
           HANDSHAKES / best[0], best[0] * 1e6 / HANDSHAKES, HANDSHAKES / best[1],
           best[1] * 1e6 / HANDSHAKES, 100 * best[1] / best[0]);
}

/* ---- frames ---- */

static void seal_by_channel(struct bench *b, size_t size)
{
    struct tern_channel *end = &b->ends[0];
    struct tern_writer out = tern_writer_of(b->buffer, b->buffer_size);
    for (int i = 0; i < FRAMES; i++) {
        struct tern_span room = end->ops->seal_begin(end->self, &out);
        TERN_CHECK(room.size >= size);
        end->ops->seal_end(end->self, &out, size);
    }
}

static void open_by_channel(struct bench *b, size_t size)
{
    struct tern_channel *end = &b->ends[1];
    struct tern_slice in = {.view = {b->buffer, FRAMES * (size + TERN_NOISE_OVERHEAD)}};
    size_t opened = 0;
    while (in.view.size > 0) {
        size_t used;
        must(end->ops->recv(end->self, 0, in, &used));
        in.view = tern_view_of(in.view.data + used, in.view.size - used);
        struct tern_channel_event event;
        while (end->ops->next(end->self, &event))
            opened += event.data.view.size;
    }
    TERN_CHECK(opened == FRAMES * size);
}

static void bare_frames(struct bench *b, size_t size, bool seal, uint64_t nonce)
{
    uint8_t key[TERN_AEAD_KEY_SIZE] = {7};
    for (size_t i = 0; i < FRAMES; i++) {
        uint8_t *at = b->buffer + i * (size + TERN_NOISE_OVERHEAD) + 2;
        struct tern_aead_params params = {.key = key};
        tern_aead_counter_nonce(nonce + i, params.nonce);
        if (seal)
            must(tern_aead_seal(&b->aead, &params, tern_view_of(at, size), at));
        else
            must(
                tern_aead_open(&b->aead, &params, tern_view_of(at, size + TERN_AEAD_TAG_SIZE), at));
    }
}

static void bench_frames(struct bench *b, size_t size)
{
    double best[4] = {1e9, 1e9, 1e9, 1e9};
    open_channel(b);
    for (int round = 0; round < ROUNDS; round++) {
        double t[5];
        t[0] = seconds();
        seal_by_channel(b, size);
        t[1] = seconds();
        open_by_channel(b, size);
        t[2] = seconds();
        bare_frames(b, size, true, (uint64_t)round * FRAMES);
        t[3] = seconds();
        bare_frames(b, size, false, (uint64_t)round * FRAMES);
        t[4] = seconds();
        for (int i = 0; i < 4; i++)
            best[i] = t[i + 1] - t[i] < best[i] ? t[i + 1] - t[i] : best[i];
    }
    close_channel(b);
    double bytes = (double)(FRAMES * size) * 1e-9;
    printf("%6zu B: seal %.2f GB/s, %.1f %% of the AEAD's %.2f; open %.2f GB/s, %.1f %% of %.2f\n",
           size, bytes / best[0], 100 * best[2] / best[0], bytes / best[2], bytes / best[1],
           100 * best[3] / best[1], bytes / best[3]);
}

int main(void)
{
    struct bench b = {.buffer = NULL};
    bench_init(&b);
    static const size_t sizes[] = {1024, 16384, TERN_NOISE_PLAINTEXT_MAX};
    for (size_t i = 0; i < TERN_COUNT_OF(sizes); i++)
        bench_frames(&b, sizes[i]);
    bench_handshakes(&b);
    bench_fini(&b);
    return 0;
}
