/*
 * Who is linked to whom, and how far apart they lie. Builders call a function for each edge, and
 * what an edge means (a dial, a bootstrap address) is the scenario's business. Edges are given in a
 * fixed order, each pair once, the later node first: it is the one that dials.
 */
#ifndef TERN_RUNTIME_SIM_TOPOLOGY_H
#define TERN_RUNTIME_SIM_TOPOLOGY_H

#include "base/random.h"
#include "runtime/sim/world.h"

struct sim_edges {
    void (*edge)(void *context, uint32_t from, uint32_t to);
    void *context;
};

void sim_topology_line(uint32_t nodes,
                       const struct sim_edges *edges); /* each to the one before it */
void sim_topology_ring(uint32_t nodes, const struct sim_edges *edges);
void sim_topology_star(uint32_t nodes, const struct sim_edges *edges); /* all to node 0 */
void sim_topology_full(uint32_t nodes, const struct sim_edges *edges);

/* sim_topology_random gives a connected graph: each node but the first has an edge to `degree`
 * different earlier nodes (to all of them while they are fewer), so nodes have 2 * degree edges in
 * the mean. */
void sim_topology_random(struct tern_random *random, uint32_t nodes, uint32_t degree,
                         const struct sim_edges *edges);

/* Nodes at random places of a square. Latency is base_ns and span_ns times the distance, which is
 * the larger of the differences of the coordinates (so it is symmetric and keeps to the triangle
 * inequality); jitter is a part of the latency. Needs no memory: a place follows from seed and
 * node. */
struct sim_places {
    uint64_t seed;
    tern_time base_ns;
    tern_time span_ns; /* one way, from one edge of the square to the other */
    uint32_t jitter_permille;
    uint64_t bytes_per_second;
    uint32_t loss_ppm;
};

/* sim_places_path is for struct sim_world_options.path; its context is a struct sim_places. */
void sim_places_path(void *context, uint32_t from, uint32_t to, struct sim_path *path);

#endif
