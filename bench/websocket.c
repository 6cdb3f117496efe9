/*
 * What WebSocket costs by itself: masking, and frames through two ends in memory, no link and
 * nothing else between them. Each figure is for one core.
 *
 *     mask, SIZE             XOR in place
 *     client to server       seal (mask) → recv (unmask), frames of 65,535 bytes
 *     server to client       the same without masks
 *
 * Usage: bench_websocket [SECONDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "websocket/mask.h"
#include "websocket/websocket.h"

enum { CLIENT, SERVER, FRAME_MAX = 1 << 17 };

static uint64_t bench_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * TERN_SECOND + (uint64_t)t.tv_nsec;
}

static void bench_print(const char *name, uint64_t bytes, tern_time elapsed)
{
    printf("%-28s %8.2f GB/s\n", name, (double)bytes / (double)elapsed);
}

static void bench_mask(size_t size, tern_time duration)
{
    static uint8_t bytes[1 << 20];
    static const uint8_t key[] = {1, 2, 3, 4};
    char name[40];
    uint64_t done = 0;
    tern_time start = bench_clock();
    tern_time now = start;
    while (now - start < duration) {
        for (int i = 0; i < 64; i++)
            tern_websocket_mask((struct tern_span){bytes + 3, size}, key, (size_t)i);
        done += 64 * size;
        now = bench_clock();
    }
    snprintf(name, sizeof name, "mask, %zu bytes", size);
    bench_print(name, done, now - start);
}

struct bench {
    struct tern_mem mem;
    struct tern_random random;
    struct tern_channel ends[2];
    struct tern_chunk *chunk;
};

/* bench_carry moves what is in the chunk to an end; returns how much data came. */
static uint64_t bench_carry(struct bench *b, int to, struct tern_view bytes)
{
    struct tern_channel *channel = &b->ends[to];
    uint64_t got = 0;
    while (bytes.size > 0) {
        size_t used = 0;
        struct tern_channel_event event;
        TERN_CHECK(channel->ops->recv(channel->self, 0,
                                      (struct tern_slice){.chunk = b->chunk, .view = bytes},
                                      &used) == TERN_OK);
        while (channel->ops->next(channel->self, &event))
            got += event.kind == TERN_CHANNEL_DATA ? event.data.view.size : 0;
        bytes = tern_view_part(bytes, used, bytes.size - used);
    }
    return got;
}

static void bench_open(struct bench *b)
{
    tern_mem_init(&b->mem, 0);
    tern_random_init_u64(&b->random, 1);
    b->chunk = tern_chunk_new(&b->mem, FRAME_MAX);
    TERN_CHECK(b->chunk != NULL);
    for (int i = 0; i < 2; i++) {
        const struct tern_websocket_options options = {
            .role = i == CLIENT ? TERN_ROLE_INITIATOR : TERN_ROLE_RESPONDER,
            .mem = &b->mem,
            .random = &b->random,
            .host = tern_view_str("a"),
        };
        TERN_CHECK(tern_websocket_new(&options, &b->ends[i]) == TERN_OK);
    }
    for (int i = 0; i < 2; i++) {
        struct tern_writer out = tern_writer_of(b->chunk->data, FRAME_MAX);
        b->ends[i].ops->control(b->ends[i].self, 0, &out);
        bench_carry(b, 1 - i, tern_writer_view(&out));
    }
}

static void bench_frames(const char *name, int from, tern_time duration)
{
    struct bench b;
    uint64_t got = 0;
    bench_open(&b);
    struct tern_channel *channel = &b.ends[from];
    tern_time start = bench_clock();
    tern_time now = start;
    while (now - start < duration) {
        struct tern_writer out = tern_writer_of(b.chunk->data, FRAME_MAX);
        struct tern_span room = channel->ops->seal_begin(channel->self, &out);
        channel->ops->seal_end(channel->self, &out, room.size);
        got += bench_carry(&b, 1 - from, tern_writer_view(&out));
        now = bench_clock();
    }
    bench_print(name, got, now - start);
    for (int i = 0; i < 2; i++)
        b.ends[i].ops->fini(b.ends[i].self);
    tern_chunk_unref(b.chunk);
    tern_mem_fini(&b.mem);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 1.0;
    tern_time duration = (tern_time)(seconds * 1e9);
    static const size_t sizes[] = {125, 1500, 16384, 65535, 1000000};
    for (size_t i = 0; i < TERN_COUNT_OF(sizes); i++)
        bench_mask(sizes[i], duration);
    bench_frames("client to server", CLIENT, duration);
    bench_frames("server to client", SERVER, duration);
    return 0;
}
