/*
 * A scenario: nodes in a world, a phase in which everything may fail and nothing may go wrong, then
 * a phase in which nothing fails and everything must come right.
 *
 *     setup ─► SAFETY: random faults; `safe` holds at every look ─► heal ─► LIVENESS: no faults;
 *     `safe` still holds, `converged` becomes true before the time is up ─► end
 *
 * One number, the seed, decides everything; a failure is repeated by running the same seed again.
 */
#ifndef TERN_RUNTIME_SIM_SCENARIO_H
#define TERN_RUNTIME_SIM_SCENARIO_H

#include "runtime/sim/faults.h"
#include "runtime/sim/world.h"

struct sim_scenario {
    const char *name;
    /* Makes what the scenario needs for one run, from the seed; fills in the options, which hold
     * the defaults. */
    void *(*open)(uint64_t seed, struct sim_world_options *world,
                  struct sim_faults_options *faults);
    void (*setup)(void *self, struct sim_world *world); /* adds the nodes and starts them */
    bool (*safe)(void *self, struct sim_world *world);
    void (*healed)(void *self, struct sim_world *world); /* the second phase begins; may be NULL */
    bool (*converged)(void *self, struct sim_world *world);
    void (*close)(void *self); /* after the world is gone */
    tern_time safety_ns;       /* how long the first phase lasts */
    tern_time liveness_ns;     /* at most so long lasts the second */
    tern_time look_ns;         /* how often `safe` and `converged` are asked */
};

enum sim_verdict {
    SIM_VERDICT_GOOD,
    SIM_VERDICT_UNSAFE,    /* `safe` did not hold */
    SIM_VERDICT_STUCK,     /* `converged` did not become true */
    SIM_VERDICT_NOT_BEGUN, /* a node did not start after the heal */
};

struct sim_scenario_result {
    enum sim_verdict verdict;
    tern_time at;           /* when that was seen */
    tern_time converged_ns; /* from the heal on */
    uint64_t trace_hash;
    struct sim_counters counters;
    uint64_t faults[SIM_FAULT_KINDS];
};

/* sim_scenario_run runs it; true: the verdict is good. Traces are seen by the
 * sink of the world's options. */
bool sim_scenario_run(const struct sim_scenario *scenario, uint64_t seed,
                      struct sim_scenario_result *result);

const char *sim_verdict_name(enum sim_verdict verdict);

/* sim_world_options_draw fills in a network at random from the seed, which becomes the world's too:
 * near or far, steady or not, lossy or not, wide or narrow, with disorder or without. */
void sim_world_options_draw(struct sim_world_options *options, uint64_t seed);

#endif
