/*
 * What QUIC costs by itself: two endpoints in one process that hand each other their batches in
 * memory, as segmentation offload would. Each figure is for one core that sends and receives, all
 * cryptography included.
 *
 *     one stream       bytes a second, and processor seconds a GB of both ends together, with
 *                      datagrams as large as given
 *     idle             bytes that one end of a session holds at rest, by the two allocators'
 *                      accounts and by the growth of resident memory
 *
 * Usage: bench_quic [SECONDS] | bench_quic idle COUNT
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>

#include "base/check.h"
#include "crypto/start.h"
#include "quic/quic.h"

enum { BATCH_MAX = TERN_DATAGRAMS_SIZE_MAX, WRITE_SIZE = 64 << 10, SESSIONS_MAX = 1 << 14 };

struct bench_end {
    struct tern_mem mem;
    struct tern_scope scope;
    struct tern_scope windows;
    struct tern_random random;
    struct tern_private_key key;
    struct tern_quic_identity *identity;
    struct tern_session_transport transport;
    struct tern_endpoint at;
    struct tern_session *sessions; /* by tag */
    size_t sessions_count;
    size_t confirmed_count;
    uint64_t read_bytes;
};

struct bench {
    struct bench_end ends[2]; /* 0 dials */
    tern_time now;
    tern_time ahead; /* of the clock: nobody waits here */
    uint64_t carried_bytes;
    uint64_t carried_batches;
    uint64_t carried_datagrams;
};

static uint64_t bench_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * TERN_SECOND + (uint64_t)t.tv_nsec;
}

static double bench_processor(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
           (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
}

static void bench_end_init(struct bench_end *end, unsigned n, uint16_t datagram_max)
{
    end->sessions = calloc(SESSIONS_MAX, sizeof *end->sessions);
    TERN_CHECK(end->sessions != NULL);
    tern_mem_init(&end->mem, 0);
    tern_scope_init(&end->scope, "sessions", NULL, NULL);
    tern_scope_init(&end->windows, "windows", NULL, NULL);
    tern_random_init_u64(&end->random, 1 + n);
    TERN_CHECK(tern_private_key_generate(TERN_KEY_ED25519, &end->random, &end->key) == TERN_OK);
    TERN_CHECK(tern_quic_identity_new(&end->mem, &end->random, &end->key, &end->identity) ==
               TERN_OK);
    const struct tern_quic_options options = {
        .mem = &end->mem,
        .random = &end->random,
        .identity = end->identity,
        .windows = &end->windows,
        .datagram_max = datagram_max,
        .half_open_max = 4096,
        .idle_timeout_ns = TERN_HOUR,
    };
    end->at = (struct tern_endpoint){.family = 4, .ip = {10, 0, 0, (uint8_t)(1 + n)}, .port = 4001};
    TERN_CHECK(tern_quic_new(&options, bench_clock(), &end->transport) == TERN_OK);
}

static struct bench *bench_new(uint16_t datagram_max)
{
    struct bench *b = calloc(1, sizeof *b);
    TERN_CHECK(b != NULL);
    for (unsigned i = 0; i < 2; i++)
        bench_end_init(&b->ends[i], i, datagram_max);
    b->now = bench_clock();
    return b;
}

static void bench_free(struct bench *b)
{
    for (unsigned i = 0; i < 2; i++) {
        struct bench_end *end = &b->ends[i];
        end->transport.ops->fini(end->transport.self);
        tern_quic_identity_free(end->identity);
        tern_private_key_fini(&end->key);
        tern_mem_fini(&end->mem);
        free(end->sessions);
    }
    free(b);
}

static void bench_drain(struct bench_end *end, const struct tern_session *session)
{
    const struct tern_mux *mux = &session->mux;
    struct tern_mux_event event;
    while (mux->ops->next(mux->self, &event)) {
        if (event.kind == TERN_MUX_CONFIRMED)
            end->confirmed_count++;
        struct tern_slice bytes;
        while (event.kind == TERN_MUX_READABLE &&
               mux->ops->read(mux->self, event.stream, &bytes) == TERN_OK) {
            TERN_CHECK(bytes.view.data[0] == 0x42);
            end->read_bytes += bytes.view.size;
            mux->ops->consume(mux->self, event.stream, bytes.view.size);
        }
    }
    TERN_CHECK(mux->ops->error(mux->self) == TERN_OK);
}

static void bench_events(struct bench *b, struct bench_end *end)
{
    struct tern_session_event event;
    while (end->transport.ops->next(end->transport.self, &event)) {
        if (event.kind == TERN_SESSION_ACTIVE) {
            bench_drain(end, &end->sessions[event.tag]);
            continue;
        }
        size_t tag = end->sessions_count++;
        TERN_CHECK(tag < SESSIONS_MAX);
        TERN_CHECK(end->transport.ops->accept(end->transport.self, b->now, &end->scope, tag,
                                              &end->sessions[tag]) == TERN_OK);
    }
}

/* bench_carry hands over one batch; false: there is none. */
static bool bench_carry(struct bench *b, unsigned from)
{
    struct bench_end *a = &b->ends[from];
    struct bench_end *z = &b->ends[1 - from];
    struct tern_chunk *chunk = tern_chunk_new(&z->mem, BATCH_MAX);
    TERN_CHECK(chunk != NULL);
    struct tern_datagrams_out out = {.writer = tern_writer_of(chunk->data, BATCH_MAX)};
    bool any = a->transport.ops->send(a->transport.self, b->now, 1, &out);
    if (any) {
        chunk->size = (uint32_t)out.writer.size;
        const struct tern_datagrams in = {.path = {.local = z->at, .remote = a->at},
                                          .ecn = out.ecn,
                                          .segment_size = out.segment_size,
                                          .chunk = chunk,
                                          .data = tern_chunk_view(chunk)};
        b->carried_bytes += out.writer.size;
        b->carried_batches++;
        b->carried_datagrams += (out.writer.size + out.segment_size - 1) / out.segment_size;
        z->transport.ops->recv(z->transport.self, b->now, 1, &in);
    }
    tern_chunk_unref(chunk);
    bench_events(b, a);
    bench_events(b, z);
    return any;
}

static void bench_step(struct bench *b)
{
    bool any = bench_carry(b, 0);
    any = bench_carry(b, 1) || any;
    b->now = bench_clock() + b->ahead;
    tern_time due = TERN_TIME_NEVER;
    for (unsigned i = 0; i < 2; i++)
        due = tern_time_min(due, b->ends[i].transport.ops->deadline(b->ends[i].transport.self));
    if (!any && due > b->now && due - b->now < TERN_SECOND) {
        b->ahead += due - b->now;
        b->now = due;
    }
    for (unsigned i = 0; i < 2 && due <= b->now; i++)
        b->ends[i].transport.ops->tick(b->ends[i].transport.self, b->now);
}

/* bench_dial makes one more session; returns the dialler's. */
static struct tern_session *bench_dial(struct bench *b)
{
    struct bench_end *a = &b->ends[0];
    size_t tag = a->sessions_count++;
    TERN_CHECK(tag < SESSIONS_MAX);
    const struct tern_session_dial dial = {
        .socket = 1, .remote = b->ends[1].at, .scope = &a->scope, .tag = tag};
    TERN_CHECK(a->transport.ops->dial(a->transport.self, b->now, &dial, &a->sessions[tag]) ==
               TERN_OK);
    while (a->confirmed_count <= tag || b->ends[1].confirmed_count <= tag)
        bench_step(b);
    return &a->sessions[tag];
}

static void bench_hang_up(struct bench *b)
{
    for (unsigned i = 0; i < 2; i++) {
        struct bench_end *end = &b->ends[i];
        for (size_t n = 0; n < end->sessions_count; n++)
            end->sessions[n].mux.ops->fini(end->sessions[n].mux.self);
        end->sessions_count = end->confirmed_count = 0;
    }
    while (bench_carry(b, 0) || bench_carry(b, 1))
        continue;
}

static void bench_stream(uint16_t datagram_max, tern_time duration)
{
    struct bench *b = bench_new(datagram_max);
    const struct tern_mux *mux = &bench_dial(b)->mux;
    tern_stream_id stream;
    TERN_CHECK(mux->ops->open(mux->self, TERN_STREAM_BULK, &stream) == TERN_OK);
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    struct tern_chunk *chunk = tern_chunk_new(&mem, WRITE_SIZE);
    TERN_CHECK(chunk != NULL);
    memset(chunk->data, 0x42, WRITE_SIZE);
    chunk->size = WRITE_SIZE;
    const struct tern_slice slice = {.chunk = chunk, .view = tern_chunk_view(chunk)};
    /* Until the path's largest datagram is known. */
    tern_time start = bench_clock();
    double processor = bench_processor();
    uint64_t before = 0;
    for (int phase = 0; phase < 2; phase++) {
        start = bench_clock();
        processor = bench_processor();
        before = b->ends[1].read_bytes;
        b->carried_bytes = b->carried_batches = b->carried_datagrams = 0;
        tern_time length = phase == 0 ? 300 * TERN_MILLISECOND : duration;
        while (bench_clock() - start < length) {
            while (mux->ops->write_slice(mux->self, stream, slice) == TERN_OK)
                continue;
            bench_step(b);
        }
    }
    double seconds = (double)(bench_clock() - start) / 1e9;
    double read = (double)(b->ends[1].read_bytes - before);
    printf("one stream, datagrams of %5.0f        %6.2f GB/s %7.1f Gbit/s  %5.2f s/GB  %4.1f a "
           "batch\n",
           (double)b->carried_bytes / (double)b->carried_datagrams, read / seconds / 1e9,
           read * 8 / seconds / 1e9, (bench_processor() - processor) / (read / 1e9),
           (double)b->carried_datagrams / (double)b->carried_batches);
    bench_hang_up(b);
    tern_chunk_unref(chunk);
    tern_mem_fini(&mem);
    bench_free(b);
}

static size_t bench_resident(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    TERN_CHECK(file != NULL && fscanf(file, "%*u %lu", &pages) == 1);
    fclose(file);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* bench_rest lets all timers of the beginning run out. */
static void bench_rest(struct bench *b)
{
    tern_time until = b->now + 20 * TERN_SECOND;
    for (;;) {
        bool any = bench_carry(b, 0);
        any = bench_carry(b, 1) || any;
        if (any)
            continue;
        tern_time due = TERN_TIME_NEVER;
        for (unsigned i = 0; i < 2; i++)
            due = tern_time_min(due, b->ends[i].transport.ops->deadline(b->ends[i].transport.self));
        if (due > until)
            return;
        b->now = due > b->now ? due : b->now;
        for (unsigned i = 0; i < 2; i++)
            b->ends[i].transport.ops->tick(b->ends[i].transport.self, b->now);
    }
}

static void bench_idle(unsigned count)
{
    struct bench *b = bench_new(1472);
    size_t before[2] = {0};
    size_t resident = 0;
    size_t handed_out = 0;
    for (unsigned n = 0; n <= count; n++) {
        (void)bench_dial(b);
        if (n > 0)
            continue;
        bench_rest(b); /* what is shared is there */
        for (unsigned i = 0; i < 2; i++)
            before[i] = b->ends[i].mem.used;
        resident = bench_resident();
        handed_out = mallinfo2().uordblks + mallinfo2().hblkhd;
    }
    bench_rest(b);
    malloc_trim(0);
    double ours = (double)(b->ends[0].mem.used - before[0] + b->ends[1].mem.used - before[1]);
    double all = (double)(mallinfo2().uordblks + mallinfo2().hblkhd - handed_out);
    double pages = (double)(bench_resident() - resident);
    printf("idle, an end: %.1f KB from our account, %.1f KB with GnuTLS, %.1f KB resident\n",
           ours / count / 2e3, all / count / 2e3, pages / count / 2e3);
    bench_hang_up(b);
    bench_free(b);
}

int main(int argc, char **argv)
{
    static const uint16_t datagrams[] = {1200, 1472, 8952, 16384, 32768};
    TERN_CHECK(tern_crypto_start() == TERN_OK);
    if (argc == 3 && strcmp(argv[1], "idle") == 0) {
        bench_idle((unsigned)strtoul(argv[2], NULL, 10));
        return 0;
    }
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 1.0;
    for (size_t i = 0; i < TERN_COUNT_OF(datagrams); i++)
        bench_stream(datagrams[i], (tern_time)(seconds * 1e9));
    return 0;
}
