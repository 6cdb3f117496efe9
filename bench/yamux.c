/*
 * What yamux costs by itself: two sessions in memory, no link and no cipher between them. Each
 * figure is for one core that sends and receives.
 *
 *     bulk, 16 KiB writes, copied      bytes a second through write → send → recv → read
 *     bulk, 64 KiB writes, referenced  the same through write_slice
 *     small frames                     64-byte messages on 64 streams, frames a second
 *
 * Usage: bench_yamux [SECONDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "mux/yamux.h"

enum { FRAME_MAX = 65519, STREAMS = 64, SMALL = 64 };

struct bench_end {
    struct tern_mem mem;
    struct tern_scope parents[3]; /* as deep as a node's: system, peer, connection */
    struct tern_scope windows;
    struct tern_mux mux;
};

struct bench {
    struct bench_end ends[2];
    tern_stream_id ours[STREAMS];
    uint64_t bytes;
    uint64_t frames;
};

static uint64_t bench_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * TERN_SECOND + (uint64_t)t.tv_nsec;
}

static void bench_end_init(struct bench_end *end, bool initiator)
{
    tern_mem_init(&end->mem, 0);
    tern_scope_init(&end->parents[0], "system", NULL, NULL);
    for (size_t i = 1; i < TERN_COUNT_OF(end->parents); i++)
        tern_scope_init(&end->parents[i], "scope", &end->parents[i - 1], NULL);
    tern_scope_init(&end->windows, "windows", NULL, NULL);
    const struct tern_yamux_options options = {
        .initiator = initiator,
        .mem = &end->mem,
        .scope = &end->parents[TERN_COUNT_OF(end->parents) - 1],
        .windows = &end->windows,
        .hash_seed = 7,
    };
    TERN_CHECK(tern_yamux_new(&options, bench_clock(), &end->mux) == TERN_OK);
}

/* bench_read consumes what there is, looking at one byte of each segment. */
static void bench_read(struct bench *b, struct bench_end *end, tern_stream_id stream)
{
    struct tern_slice bytes;
    while (end->mux.ops->read(end->mux.self, stream, &bytes) == TERN_OK) {
        TERN_CHECK(bytes.view.data[0] == 0x42);
        b->bytes += bytes.view.size;
        end->mux.ops->consume(end->mux.self, stream, bytes.view.size);
    }
}

/* bench_carry moves one Noise frame's worth; the chunk is what a channel would have decrypted into.
 */
static void bench_carry(struct bench *b, int from, tern_time now)
{
    struct bench_end *a = &b->ends[from];
    struct bench_end *z = &b->ends[1 - from];
    struct tern_chunk *chunk = tern_chunk_new(&z->mem, FRAME_MAX);
    TERN_CHECK(chunk != NULL);
    struct tern_writer out = tern_writer_of(chunk->data, FRAME_MAX);
    a->mux.ops->send(a->mux.self, now, &out);
    chunk->size = (uint32_t)out.size;
    struct tern_slice in = {.chunk = chunk, .view = tern_chunk_view(chunk)};
    size_t used = 0;
    TERN_CHECK(z->mux.ops->recv(z->mux.self, now, in, &used) == TERN_OK);
    tern_chunk_unref(chunk);
    struct tern_mux_event event;
    while (z->mux.ops->next(z->mux.self, &event)) {
        if (event.kind == TERN_MUX_READABLE)
            bench_read(b, z, event.stream);
    }
    while (a->mux.ops->next(a->mux.self, &event))
        continue;
}

static struct bench *bench_new(size_t streams)
{
    struct bench *b = calloc(1, sizeof(*b));
    TERN_CHECK(b != NULL);
    bench_end_init(&b->ends[0], true);
    bench_end_init(&b->ends[1], false);
    for (size_t i = 0; i < streams; i++) {
        struct tern_mux *mux = &b->ends[0].mux;
        TERN_CHECK(mux->ops->open(mux->self, TERN_STREAM_BULK, &b->ours[i]) == TERN_OK);
    }
    return b;
}

static void bench_free(struct bench *b)
{
    for (int i = 0; i < 2; i++) {
        struct bench_end *end = &b->ends[i];
        end->mux.ops->fini(end->mux.self);
        tern_mem_fini(&end->mem);
    }
    free(b);
}

static void bench_bulk(const char *name, size_t size, bool by_reference, tern_time duration)
{
    struct bench *b = bench_new(1);
    struct bench_end *a = &b->ends[0];
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    struct tern_chunk *chunk = tern_chunk_new(&mem, size);
    TERN_CHECK(chunk != NULL);
    memset(chunk->data, 0x42, size);
    chunk->size = (uint32_t)size;
    struct tern_slice slice = {.chunk = chunk, .view = tern_chunk_view(chunk)};
    tern_time start = bench_clock();
    tern_time now = start;
    while (now - start < duration) {
        for (size_t accepted = size; accepted == size;) {
            tern_err err;
            if (by_reference) {
                err = a->mux.ops->write_slice(a->mux.self, b->ours[0], slice);
                accepted = err == TERN_OK ? size : 0;
            } else {
                err = a->mux.ops->write(a->mux.self, b->ours[0], slice.view, &accepted);
            }
            TERN_CHECK(err == TERN_OK || err == TERN_ERR_AGAIN);
        }
        while (a->mux.ops->queued(a->mux.self, b->ours[0]) > size) {
            bench_carry(b, 0, now);
            bench_carry(b, 1, now);
        }
        now = bench_clock();
    }
    double seconds = (double)(now - start) / 1e9;
    printf("%-36s %8.2f GB/s  %7.1f Gbit/s\n", name, (double)b->bytes / seconds / 1e9,
           (double)b->bytes * 8 / seconds / 1e9);
    bench_free(b);
    tern_chunk_unref(chunk);
    tern_mem_fini(&mem);
}

static void bench_small(tern_time duration)
{
    struct bench *b = bench_new(STREAMS);
    struct bench_end *a = &b->ends[0];
    uint8_t message[SMALL];
    memset(message, 0x42, sizeof(message));
    tern_time start = bench_clock();
    tern_time now = start;
    while (now - start < duration) {
        for (size_t i = 0; i < STREAMS; i++) {
            size_t accepted;
            TERN_CHECK(a->mux.ops->write(a->mux.self, b->ours[i],
                                         tern_view_of(message, sizeof(message)),
                                         &accepted) == TERN_OK);
            TERN_CHECK(accepted == sizeof(message));
        }
        bench_carry(b, 0, now);
        bench_carry(b, 1, now);
        b->frames += STREAMS;
        now = bench_clock();
    }
    double seconds = (double)(now - start) / 1e9;
    printf("%-36s %8.2f million frames/s\n", "64-byte messages on 64 streams",
           (double)b->frames / seconds / 1e6);
    bench_free(b);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 1.0;
    tern_time duration = (tern_time)(seconds * 1e9);
    bench_bulk("16 KiB writes, copied", 16 * 1024, false, duration);
    bench_bulk("64 KiB writes, copied", 64 * 1024, false, duration);
    bench_bulk("16 KiB writes, by reference", 16 * 1024, true, duration);
    bench_bulk("64 KiB writes, by reference", 64 * 1024, true, duration);
    bench_small(duration);
    return 0;
}
