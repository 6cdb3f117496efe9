#include "bare_pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { PAIR_PORT = 4001 };

static const struct bare_way ways[] = {
    {"tcp+noise", TERN_SECURE_NOISE, TERN_LINK_PLAIN, false},
    {"tcp+tls", TERN_SECURE_TLS, TERN_LINK_PLAIN, false},
    {"ws+noise", TERN_SECURE_NOISE, TERN_LINK_WEBSOCKET, false},
    {"quic", TERN_SECURE_NOISE, TERN_LINK_PLAIN, true},
};

const struct bare_way *bare_way_find(const char *name)
{
    for (size_t i = 0; i < TERN_COUNT_OF(ways); i++)
        if (strcmp(ways[i].name, name) == 0)
            return &ways[i];
    return NULL;
}

static tern_err pair_start(void *context, const struct sim_node_start *start,
                           struct tern_machine *machine)
{
    struct bare_pair *pair = context;
    struct bare *b = pair->ends[start->node];
    bare_init(b, start->seed, start->now);
    *machine = (struct tern_machine){.ops = &bare_ops, .self = b};
    return TERN_OK;
}

static void pair_stop(void *context, uint32_t node, struct tern_machine machine)
{
    (void)context;
    (void)node;
    (void)machine;
}

static const struct sim_node_ops pair_ops = {.start = pair_start, .stop = pair_stop};

static struct bare *pair_end(const struct bare_pair *pair, enum bare_mode mode)
{
    struct bare *b = calloc(1, sizeof *b);
    TERN_CHECK(b != NULL);
    b->mode = mode;
    b->target = sim_world_endpoint(pair->world, 1, PAIR_PORT);
    b->form = pair->way->form;
    b->quic = pair->way->quic;
    b->config.secure[0] = pair->way->secure;
    b->config.secure_count = 1;
    b->config.muxers[0] = TERN_MUXER_YAMUX;
    b->config.muxers_count = 1;
    b->bytes = pair->bytes;
    b->count = pair->count;
    b->concurrency = pair->concurrency;
    b->from_dial = true;
    snprintf(b->host, sizeof b->host, "pair");
    return b;
}

void bare_pair_begin(struct bare_pair *pair)
{
    struct sim_world_options options;
    sim_world_options_defaults(&options);
    options.seed = 1;
    options.path_default = pair->path;
    if (pair->buffer_bytes > 0)
        options.buffer_bytes = pair->buffer_bytes;
    pair->world = sim_world_new(&options);
    for (int i = 0; i < 2; i++)
        (void)sim_world_add(pair->world,
                            &(struct sim_node_options){.ops = &pair_ops, .context = pair});
    pair->ends[0] = pair_end(pair, pair->mode);
    pair->ends[1] = pair_end(pair, MODE_SERVE);
    TERN_CHECK(sim_world_start(pair->world, 1) == TERN_OK);
    sim_world_run(pair->world, TERN_SECOND);
    TERN_CHECK(sim_world_start(pair->world, 0) == TERN_OK);
    sim_world_kick(pair->world, 0);
}

void bare_pair_run(struct bare_pair *pair)
{
    tern_time until = sim_world_now(pair->world) + TERN_HOUR;
    while (!pair->ends[0]->finished)
        TERN_CHECK(sim_world_step(pair->world, until));
}
