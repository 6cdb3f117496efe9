/*
 * Two bare peers (bare.h) at the two ends of a long and wide path, in the simulated world: time is
 * virtual, so the figures are those of the protocols, whatever the machine does.
 *
 *     bench_path stream WAY BYTES    one stream of so many bytes: its share of the path, from the
 *                                    dial to the answer, and in its second half
 *     bench_path byte WAY            from a dial to the answer to one byte, in round trips; with
 *                                    QUIC also when the session is resumed
 *
 * WAY is tcp+noise, tcp+tls, ws+noise or quic. The path has 63 ms of round-trip time and 5 Gbit/s,
 * a queue of one bandwidth-delay product before what is narrow, and no loss. A link of the world
 * (runtime/sim/world.h) is TCP without slow start, with that much buffer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bare_pair.h"

#define PATH_BYTES_PER_SECOND UINT64_C(625000000)
#define PATH_RTT_NS           (63 * TERN_MILLISECOND)
#define PATH_BDP              (PATH_BYTES_PER_SECOND * 63 / 1000)

enum { PATH_SAMPLE_MS = 20 };

/* path_begin lets the client send count times so many bytes, a connection each time. */
static void path_begin(struct bare_pair *pair, const struct bare_way *way, uint64_t bytes,
                       uint64_t count)
{
    *pair = (struct bare_pair){.way = way,
                               .path = {.latency_ns = PATH_RTT_NS / 2,
                                        .bytes_per_second = PATH_BYTES_PER_SECOND,
                                        .queue_bytes = PATH_BDP},
                               .buffer_bytes = 2 * PATH_BDP,
                               .mode = MODE_STREAM,
                               .bytes = bytes,
                               .count = count};
    bare_pair_begin(pair);
}

static void path_stream(const struct bare_way *way, uint64_t bytes)
{
    struct bare_pair p;
    uint64_t half_bytes = 0;
    tern_time half_at = 0;
    path_begin(&p, way, bytes, 1);
    while (!p.ends[0]->finished && p.ends[1]->received < bytes) {
        sim_world_run(p.world, sim_world_now(p.world) + PATH_SAMPLE_MS * TERN_MILLISECOND);
        if (half_at == 0 && p.ends[1]->received >= bytes / 2) {
            half_at = sim_world_now(p.world);
            half_bytes = p.ends[1]->received;
        }
    }
    tern_time end = sim_world_now(p.world);
    uint64_t second_half = p.ends[1]->received - half_bytes;
    bare_pair_run(&p);
    double rate = (double)bytes / ((double)p.ends[0]->took_ns / 1e9);
    double steady = (double)second_half / ((double)(end - half_at) / 1e9);
    printf("%s, %.2f GB: %.1f %% of the path, %.1f %% in the second half\n", way->name,
           (double)bytes / 1e9, 100 * rate / (double)PATH_BYTES_PER_SECOND,
           100 * steady / (double)PATH_BYTES_PER_SECOND);
}

static void path_byte(const struct bare_way *way)
{
    for (uint64_t count = 1; count <= (way->quic ? 2 : 1); count++) {
        struct bare_pair p;
        path_begin(&p, way, 1, count);
        bare_pair_run(&p);
        printf("%s%s: %.2f round trips\n", way->name, count > 1 ? ", resumed" : "",
               (double)p.ends[0]->took_ns / (double)PATH_RTT_NS);
    }
}

int main(int argc, char **argv)
{
    const struct bare_way *way = argc > 2 ? bare_way_find(argv[2]) : NULL;
    if (argc == 4 && strcmp(argv[1], "stream") == 0 && way != NULL) {
        path_stream(way, strtoull(argv[3], NULL, 10));
    } else if (argc == 3 && strcmp(argv[1], "byte") == 0 && way != NULL) {
        path_byte(way);
    } else {
        fprintf(stderr, "usage: bench_path stream WAY BYTES | byte WAY\n"
                        "       WAY: " BARE_WAYS "\n");
        return 2;
    }
    return 0;
}
