/*
 * Random faults for the safety phase of a scenario: crashes and restarts, cuts of pairs and
 * partitions of the whole, resets, clocks that jump, stores that fail, addresses that change. When,
 * where and for how long is drawn from the world's seed, apart from all other draws.
 *
 *     struct sim_faults faults;
 *     sim_faults_start(&faults, world, &options);
 *     sim_world_run(world, safety_ns);
 *     sim_faults_stop(&faults);              everything heals, every node is up
 *     … now the nodes must converge …
 *
 * A fault's time of the next one is drawn evenly from 0 to twice its every_ns, and how long it
 * lasts evenly from 0 to its most_ns. every_ns 0: never.
 */
#ifndef TERN_RUNTIME_SIM_FAULTS_H
#define TERN_RUNTIME_SIM_FAULTS_H

#include "runtime/sim/world.h"

enum sim_fault_kind {
    SIM_FAULT_CRASH,     /* a node goes down, by process or host, and starts again */
    SIM_FAULT_CUT,       /* a pair, one way or both */
    SIM_FAULT_PARTITION, /* the nodes fall into two groups; one partition at a time */
    SIM_FAULT_RESET,     /* all links of a random pair that has some; at once over */
    SIM_FAULT_CLOCK,     /* a wall clock jumps by up to skew_ns_max either way, and back */
    SIM_FAULT_STORE,     /* a node's store fails */
    SIM_FAULT_REBIND,    /* a NAT shows a node's sockets at other ports */
    SIM_FAULT_MOVE,      /* a node has other addresses, and then its own again */
    SIM_FAULT_KINDS
};

enum { SIM_FAULTS_ACTIVE_MAX = 64 };

struct sim_faults_options {
    struct {
        tern_time every_ns; /* in the mean, in the whole world */
        tern_time most_ns;  /* it lasts no longer */
    } kinds[SIM_FAULT_KINDS];
    uint32_t down_max;     /* nodes that are down at one time, at most */
    tern_time skew_ns_max; /* of CLOCK */
    /* Which nodes may be hit (cuts and partitions hit all); NULL: all. */
    bool (*may_hit)(void *context, enum sim_fault_kind kind, uint32_t node);
    void *context;
};

/* sim_faults_options_draw fills in options at random: each kind is there or not, rare or frequent;
 * MOVE is not, since not every machine finds peers that moved. */
void sim_faults_options_draw(struct sim_faults_options *options, uint64_t seed);

struct sim_fault_active {
    enum sim_fault_kind kind;
    uint32_t a;
    uint32_t b;
    tern_time ends;
};

struct sim_faults {
    struct sim_world *world;
    struct sim_faults_options options;
    uint64_t rng;
    uint64_t rng_addresses; /* of REBIND and MOVE */
    bool stopped;
    tern_time next[SIM_FAULT_KINDS];
    tern_time called_at; /* of the call that is in the world's heap */
    struct sim_fault_active active[SIM_FAULTS_ACTIVE_MAX];
    size_t active_count;
    uint64_t counts[SIM_FAULT_KINDS];
};

/* sim_faults_start begins; the struct must outlive the world. */
void sim_faults_start(struct sim_faults *faults, struct sim_world *world,
                      const struct sim_faults_options *options);

/* sim_faults_stop ends all faults: cuts heal, nodes that this crashed start (it is a fault of the
 * test if one cannot: its factory's error is returned), clocks are right, stores work. */
TERN_NODISCARD tern_err sim_faults_stop(struct sim_faults *faults);

#endif
