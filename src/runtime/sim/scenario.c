#include "runtime/sim/scenario.h"

#include "base/check.h"
#include "runtime/sim/rng.h"

struct scenario_run {
    const struct sim_scenario *scenario;
    void *self;
    bool unsafe;
    bool live; /* ask whether it converged */
};

const char *sim_verdict_name(enum sim_verdict verdict)
{
    switch (verdict) {
    case SIM_VERDICT_GOOD:
        return "good";
    case SIM_VERDICT_UNSAFE:
        return "unsafe";
    case SIM_VERDICT_STUCK:
        return "stuck";
    case SIM_VERDICT_NOT_BEGUN:
        return "not begun";
    }
    TERN_UNREACHABLE();
}

void sim_world_options_draw(struct sim_world_options *options, uint64_t seed)
{
    static const tern_time latencies[] = {TERN_MILLISECOND / 2, 10 * TERN_MILLISECOND,
                                          40 * TERN_MILLISECOND, 150 * TERN_MILLISECOND};
    static const uint64_t rates[] = {0, 0, 12500000, 250000};
    static const uint32_t losses[] = {0, 0, 1000, 20000};
    uint64_t rng = seed ^ UINT64_C(0x6e6574776f726b);
    sim_world_options_defaults(options);
    options->seed = seed;
    struct sim_path *path = &options->path_default;
    path->latency_ns = latencies[sim_rng_below(&rng, TERN_COUNT_OF(latencies))];
    path->jitter_ns = path->latency_ns / 4 * sim_rng_below(&rng, 5);
    path->bytes_per_second = rates[sim_rng_below(&rng, TERN_COUNT_OF(rates))];
    path->loss_ppm = losses[sim_rng_below(&rng, TERN_COUNT_OF(losses))];
    options->cut_segment_ppm = sim_rng_below(&rng, 2) == 0 ? 0 : 300000;
    options->segment_bytes = sim_rng_below(&rng, 2) == 0 ? 16 << 10 : SIM_PACKET_SIZE;
    options->buffer_bytes = sim_rng_below(&rng, 2) == 0 ? 256 << 10 : 16 << 10;
    options->store_write_ns = TERN_MILLISECOND * (1 + sim_rng_below(&rng, 30));
    options->workers = 1 + (uint32_t)sim_rng_below(&rng, 4);
    static const uint32_t rare[] = {0, 0, 1000, 20000};
    static const size_t queues[] = {0, 16 << 10, 64 << 10};
    path->reorder_ppm = rare[sim_rng_below(&rng, TERN_COUNT_OF(rare))];
    path->duplicate_ppm = rare[sim_rng_below(&rng, TERN_COUNT_OF(rare))];
    path->queue_bytes = queues[sim_rng_below(&rng, TERN_COUNT_OF(queues))];
    path->mtu_bytes = sim_rng_below(&rng, 2) == 0 ? 0 : 1280;
}

/* scenario_look ends the phase when something is wrong, or all is well in the second one. */
static bool scenario_look(void *context, struct sim_world *world)
{
    struct scenario_run *run = context;
    run->unsafe = !run->scenario->safe(run->self, world);
    return run->unsafe || (run->live && run->scenario->converged(run->self, world));
}

static bool scenario_phase(struct scenario_run *run, struct sim_world *world, tern_time span)
{
    struct sim_until until = {.done = scenario_look,
                              .context = run,
                              .every_ns = run->scenario->look_ns,
                              .limit = sim_world_now(world) + span};
    return sim_world_run_until(world, &until);
}

static enum sim_verdict scenario_judge(struct scenario_run *run, struct sim_world *world,
                                       struct sim_faults *faults,
                                       struct sim_scenario_result *result)
{
    if (scenario_phase(run, world, run->scenario->safety_ns))
        return SIM_VERDICT_UNSAFE;
    if (sim_faults_stop(faults) != TERN_OK)
        return SIM_VERDICT_NOT_BEGUN;
    tern_time healed = sim_world_now(world);
    run->live = true;
    if (run->scenario->healed != NULL)
        run->scenario->healed(run->self, world);
    bool ended = scenario_phase(run, world, run->scenario->liveness_ns);
    result->converged_ns = sim_world_now(world) - healed;
    if (run->unsafe)
        return SIM_VERDICT_UNSAFE;
    return ended ? SIM_VERDICT_GOOD : SIM_VERDICT_STUCK;
}

bool sim_scenario_run(const struct sim_scenario *scenario, uint64_t seed,
                      struct sim_scenario_result *result)
{
    struct sim_world_options world_options;
    struct sim_faults_options faults_options = {.down_max = 1};
    struct sim_faults faults;
    sim_world_options_defaults(&world_options);
    world_options.seed = seed;
    *result = (struct sim_scenario_result){0};
    struct scenario_run run = {.scenario = scenario};
    run.self = scenario->open(seed, &world_options, &faults_options);
    struct sim_world *world = sim_world_new(&world_options);
    scenario->setup(run.self, world);
    sim_faults_start(&faults, world, &faults_options);
    result->verdict = scenario_judge(&run, world, &faults, result);
    result->at = sim_world_now(world);
    result->trace_hash = sim_world_trace_hash(world);
    result->counters = *sim_world_counters(world);
    memcpy(result->faults, faults.counts, sizeof(result->faults));
    sim_world_free(world);
    scenario->close(run.self);
    return result->verdict == SIM_VERDICT_GOOD;
}
