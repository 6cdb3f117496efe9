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

#include "bare.h"
#include "base/check.h"
#include "runtime/sim/world.h"

#define PATH_BYTES_PER_SECOND UINT64_C(625000000)
#define PATH_RTT_NS           (63 * TERN_MILLISECOND)
#define PATH_BDP              (PATH_BYTES_PER_SECOND * 63 / 1000)

enum { PATH_PORT = 4001, PATH_SAMPLE_MS = 20 };

static const struct {
    const char *name;
    enum tern_secure_kind secure;
    unsigned form;
    bool quic;
} ways[] = {
    {"tcp+noise", TERN_SECURE_NOISE, TERN_LINK_PLAIN, false},
    {"tcp+tls", TERN_SECURE_TLS, TERN_LINK_PLAIN, false},
    {"ws+noise", TERN_SECURE_NOISE, TERN_LINK_WEBSOCKET, false},
    {"quic", TERN_SECURE_NOISE, TERN_LINK_PLAIN, true},
};

struct path {
    struct sim_world *world;
    struct bare *ends[2]; /* 0 dials */
};

static tern_err path_start(void *context, const struct sim_node_start *start,
                           struct tern_machine *machine)
{
    struct path *p = context;
    struct bare *b = p->ends[start->node];
    bare_init(b, start->seed, start->now);
    *machine = (struct tern_machine){.ops = &bare_ops, .self = b};
    return TERN_OK;
}

static void path_stop(void *context, uint32_t node, struct tern_machine machine)
{
    (void)context;
    (void)node;
    (void)machine;
}

static const struct sim_node_ops path_ops = {.start = path_start, .stop = path_stop};

static struct bare *path_end(size_t way, enum bare_mode mode, struct tern_endpoint at)
{
    struct bare *b = calloc(1, sizeof *b);
    TERN_CHECK(b != NULL);
    b->mode = mode;
    b->target = at;
    b->form = ways[way].form;
    b->quic = ways[way].quic;
    b->config.secure[0] = ways[way].secure;
    b->config.secure_count = 1;
    b->config.muxers[0] = TERN_MUXER_YAMUX;
    b->config.muxers_count = 1;
    b->from_dial = true;
    snprintf(b->host, sizeof b->host, "path");
    return b;
}

/* path_begin lets the client send count times so many bytes, a connection each time. */
static void path_begin(struct path *p, size_t way, uint64_t bytes, uint64_t count)
{
    struct sim_world_options options;
    sim_world_options_defaults(&options);
    options.seed = 1;
    options.path_default = (struct sim_path){.latency_ns = PATH_RTT_NS / 2,
                                             .bytes_per_second = PATH_BYTES_PER_SECOND,
                                             .queue_bytes = PATH_BDP};
    options.buffer_bytes = 2 * PATH_BDP;
    p->world = sim_world_new(&options);
    for (int i = 0; i < 2; i++)
        (void)sim_world_add(p->world, &(struct sim_node_options){.ops = &path_ops, .context = p});
    struct tern_endpoint at = sim_world_endpoint(p->world, 1, PATH_PORT);
    p->ends[0] = path_end(way, MODE_STREAM, at);
    p->ends[0]->bytes = bytes;
    p->ends[0]->count = count;
    p->ends[1] = path_end(way, MODE_SERVE, at);
    TERN_CHECK(sim_world_start(p->world, 1) == TERN_OK);
    sim_world_run(p->world, TERN_SECOND);
    TERN_CHECK(sim_world_start(p->world, 0) == TERN_OK);
    sim_world_kick(p->world, 0);
}

static void path_stream(size_t way, uint64_t bytes)
{
    struct path p;
    uint64_t half_bytes = 0;
    path_begin(&p, way, bytes, 1);
    tern_time half_at = 0;
    while (!p.ends[0]->finished && p.ends[1]->received < bytes) {
        sim_world_run(p.world, sim_world_now(p.world) + PATH_SAMPLE_MS * TERN_MILLISECOND);
        if (half_at == 0 && p.ends[1]->received >= bytes / 2) {
            half_at = sim_world_now(p.world);
            half_bytes = p.ends[1]->received;
        }
    }
    tern_time end = sim_world_now(p.world);
    uint64_t second_half = p.ends[1]->received - half_bytes;
    while (!p.ends[0]->finished)
        TERN_CHECK(sim_world_step(p.world, end + TERN_MINUTE));
    double rate = (double)bytes / ((double)p.ends[0]->took_ns / 1e9);
    double steady = (double)second_half / ((double)(end - half_at) / 1e9);
    printf("%s, %.2f GB: %.1f %% of the path, %.1f %% in the second half\n", ways[way].name,
           (double)bytes / 1e9, 100 * rate / (double)PATH_BYTES_PER_SECOND,
           100 * steady / (double)PATH_BYTES_PER_SECOND);
}

static void path_byte(size_t way)
{
    for (uint64_t count = 1; count <= (ways[way].quic ? 2 : 1); count++) {
        struct path p;
        path_begin(&p, way, 1, count);
        while (!p.ends[0]->finished)
            TERN_CHECK(sim_world_step(p.world, TERN_HOUR));
        printf("%s%s: %.2f round trips\n", ways[way].name, count > 1 ? ", resumed" : "",
               (double)p.ends[0]->took_ns / (double)PATH_RTT_NS);
    }
}

int main(int argc, char **argv)
{
    size_t way = 0;
    while (argc > 2 && way < TERN_COUNT_OF(ways) && strcmp(ways[way].name, argv[2]) != 0)
        way++;
    if (argc == 4 && strcmp(argv[1], "stream") == 0 && way < TERN_COUNT_OF(ways)) {
        path_stream(way, strtoull(argv[3], NULL, 10));
    } else if (argc == 3 && strcmp(argv[1], "byte") == 0 && way < TERN_COUNT_OF(ways)) {
        path_byte(way);
    } else {
        fprintf(stderr, "usage: bench_path stream WAY BYTES | byte WAY\n"
                        "       WAY: tcp+noise, tcp+tls, ws+noise, quic\n");
        return 2;
    }
    return 0;
}
