#include "runtime/sim/topology.h"

#include "base/check.h"
#include "runtime/sim/rng.h"

enum { TOPOLOGY_DEGREE_MAX = 256 };

void sim_topology_line(uint32_t nodes, const struct sim_edges *edges)
{
    for (uint32_t i = 1; i < nodes; i++)
        edges->edge(edges->context, i, i - 1);
}

void sim_topology_ring(uint32_t nodes, const struct sim_edges *edges)
{
    sim_topology_line(nodes, edges);
    if (nodes > 2)
        edges->edge(edges->context, nodes - 1, 0);
}

void sim_topology_star(uint32_t nodes, const struct sim_edges *edges)
{
    for (uint32_t i = 1; i < nodes; i++)
        edges->edge(edges->context, i, 0);
}

void sim_topology_full(uint32_t nodes, const struct sim_edges *edges)
{
    for (uint32_t i = 1; i < nodes; i++) {
        for (uint32_t j = 0; j < i; j++)
            edges->edge(edges->context, i, j);
    }
}

static bool topology_has(const uint32_t *chosen, size_t count, uint32_t node)
{
    for (size_t i = 0; i < count; i++) {
        if (chosen[i] == node)
            return true;
    }
    return false;
}

/* Floyd's way to draw a sample without repetition: exactly `degree` draws. */
void sim_topology_random(struct tern_random *random, uint32_t nodes, uint32_t degree,
                         const struct sim_edges *edges)
{
    uint32_t chosen[TOPOLOGY_DEGREE_MAX];
    TERN_CHECK(degree > 0 && degree <= TOPOLOGY_DEGREE_MAX);
    for (uint32_t i = 1; i < nodes; i++) {
        uint32_t count = 0;
        for (uint32_t j = i > degree ? i - degree : 0; j < i; j++) {
            uint32_t drawn = (uint32_t)tern_random_below(random, (uint64_t)j + 1);
            chosen[count] = topology_has(chosen, count, drawn) ? j : drawn;
            edges->edge(edges->context, i, chosen[count]);
            count++;
        }
    }
}

/* Coordinates have 20 bits. */
enum { PLACE_BITS = 20 };

static uint32_t place_gap(uint32_t a, uint32_t b)
{
    return a > b ? a - b : b - a;
}

static void place_of(const struct sim_places *places, uint32_t node, uint32_t at[2])
{
    uint64_t state = places->seed ^ (UINT64_C(0xd1342543de82ef95) * (node + UINT64_C(1)));
    at[0] = (uint32_t)sim_rng_below(&state, 1U << PLACE_BITS);
    at[1] = (uint32_t)sim_rng_below(&state, 1U << PLACE_BITS);
}

void sim_places_path(void *context, uint32_t from, uint32_t to, struct sim_path *path)
{
    const struct sim_places *places = context;
    uint32_t a[2];
    uint32_t b[2];
    place_of(places, from, a);
    place_of(places, to, b);
    uint32_t x = place_gap(a[0], b[0]);
    uint32_t y = place_gap(a[1], b[1]);
    uint64_t distance = x > y ? x : y;
    path->latency_ns = places->base_ns + (places->span_ns / 1024 * distance >> (PLACE_BITS - 10));
    path->jitter_ns = path->latency_ns / 1000 * places->jitter_permille;
    path->bytes_per_second = places->bytes_per_second;
    path->loss_ppm = places->loss_ppm;
}
