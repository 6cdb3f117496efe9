/*
 * What gossip costs by itself: one core, three peers in its mesh, messages of 100 bytes without
 * signatures, each from one peer and forwarded to the two others. No stream, no cipher.
 *
 *     new         messages a second through decode → id → seen → deliver → forward → cache
 *     duplicates  messages a second that were seen before
 *     allocs      allocations of a new message once the core has grown
 *
 * Usage: bench_gossip_core [SECONDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "protocol/gossip/gossip.h"
#include "protocol/gossip/rpc.h"

enum { PEERS = 3, DATA = 100, RPC_MAX = 256, BATCH = 1000 };

struct bench {
    struct tern_mem mem;
    struct tern_random random;
    struct tern_gossip *core;
    uint32_t peers[PEERS];
    tern_time now;
    uint64_t number;
    uint64_t delivered;
    uint64_t sent;
};

static uint64_t bench_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * TERN_SECOND + (uint64_t)t.tv_nsec;
}

static void bench_drain(struct bench *b)
{
    struct tern_gossip_out out;
    while (tern_gossip_next(b->core, &out)) {
        b->delivered += out.kind == TERN_GOSSIP_DELIVER;
        b->sent += out.kind == TERN_GOSSIP_SEND ? out.peers_count : 0;
    }
}

static void bench_begin(struct bench *b)
{
    struct tern_gossip_options options = {
        .mem = &b->mem, .random = &b->random, .policy = TERN_GOSSIP_STRICT_NO_SIGN};
    *b = (struct bench){.now = TERN_SECOND};
    tern_mem_init(&b->mem, 0);
    tern_random_init_u64(&b->random, 1);
    tern_gossip_params_defaults(&options.params);
    TERN_CHECK(tern_gossip_new(&options, b->now, &b->core) == TERN_OK);
    TERN_CHECK(tern_gossip_subscribe(b->core, b->now, tern_view_str("bench"), 0) == TERN_OK);
    for (size_t i = 0; i < PEERS; i++) {
        uint8_t bytes[64];
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        struct tern_gossip_peer_options peer = {.kind = TERN_GOSSIP_V11, .outbound = true};
        peer.id = (struct tern_peer_id){.size = 3, .bytes = {0, 1, (uint8_t)i}};
        TERN_CHECK(tern_gossip_peer_up(b->core, b->now, &peer, &b->peers[i]) == TERN_OK);
        bench_drain(b);
        tern_gossip_write_subscription(&w, true, tern_view_str("bench"));
        tern_gossip_rpc(b->core, b->now, b->peers[i], tern_writer_view(&w));
        bench_drain(b);
    }
}

static void bench_message(struct bench *b, uint64_t number)
{
    uint8_t data[DATA] = {0};
    uint8_t bytes[RPC_MAX];
    struct tern_view view = tern_view_of(data, sizeof data);
    struct tern_view topic = tern_view_str("bench");
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    memcpy(data, &number, sizeof number);
    tern_pb_write_header(&w, TERN_GOSSIP_RPC_PUBLISH,
                         tern_pb_bytes_size(2, DATA) + tern_pb_bytes_size(4, topic.size));
    tern_pb_write_bytes(&w, 2, view);
    tern_pb_write_bytes(&w, 4, topic);
    tern_gossip_rpc(b->core, b->now, b->peers[number % PEERS], tern_writer_view(&w));
    bench_drain(b);
}

/* Virtual time goes as if 100,000 messages came a second, so that heartbeats have their share. */
static double bench_run(struct bench *b, double seconds, bool duplicates)
{
    uint64_t started = bench_clock();
    uint64_t limit = started + (uint64_t)(seconds * (double)TERN_SECOND);
    uint64_t done = 0;
    while (bench_clock() < limit) {
        for (int i = 0; i < BATCH; i++)
            bench_message(b, duplicates ? b->number : ++b->number);
        done += BATCH;
        if (duplicates)
            continue; /* time stands still: what was seen is rightly forgotten after a while */
        b->now += BATCH * TERN_SECOND / 100000;
        tern_gossip_tick(b->core, b->now);
        bench_drain(b);
    }
    return (double)done / ((double)(bench_clock() - started) / (double)TERN_SECOND);
}

int main(int argc, char **argv)
{
    static struct bench b;
    double seconds = argc > 1 ? atof(argv[1]) : 2;
    bench_begin(&b);
    (void)bench_run(&b, seconds / 2, false);
    uint64_t allocs = b.mem.allocs, number = b.number;
    double fresh = bench_run(&b, seconds, false);
    double each = (double)(b.mem.allocs - allocs) / (double)(b.number - number);
    TERN_CHECK(b.delivered == b.number && b.sent >= 2 * b.number);
    double seen = bench_run(&b, seconds, true);
    TERN_CHECK(b.delivered == b.number);
    printf("new         %9.0f messages/s\n", fresh);
    printf("duplicates  %9.0f messages/s\n", seen);
    printf("allocs      %9.3f of each new message\n", each);
    tern_gossip_free(b.core);
    tern_mem_fini(&b.mem);
    return 0;
}
