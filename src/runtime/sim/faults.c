#include "runtime/sim/faults.h"

#include "base/check.h"
#include "runtime/sim/rng.h"

enum { FAULT_TRIES = 16 };

void sim_faults_options_draw(struct sim_faults_options *options, uint64_t seed)
{
    static const tern_time every[] = {TERN_SECOND / 2, 3 * TERN_SECOND, 20 * TERN_SECOND};
    static const tern_time most[] = {TERN_SECOND / 5, 5 * TERN_SECOND, 30 * TERN_SECOND};
    uint64_t rng = seed ^ UINT64_C(0x6661756c7473);
    *options = (struct sim_faults_options){.down_max = 1 + (uint32_t)sim_rng_below(&rng, 3)};
    for (size_t i = 0; i <= SIM_FAULT_REBIND; i++) {
        if (i == SIM_FAULT_REBIND) /* in this place since the first seeds were drawn */
            options->skew_ns_max = sim_rng_below(&rng, 2) == 0 ? TERN_SECOND : TERN_HOUR;
        uint64_t there = sim_rng_below(&rng, 2);
        uint64_t how_often = sim_rng_below(&rng, TERN_COUNT_OF(every));
        uint64_t how_long = sim_rng_below(&rng, TERN_COUNT_OF(most));
        if (there == 0)
            continue;
        options->kinds[i].every_ns = every[how_often];
        options->kinds[i].most_ns = most[how_long];
    }
}

static uint32_t faults_below(struct sim_faults *faults, uint32_t bound)
{
    return (uint32_t)sim_rng_below(&faults->rng, bound);
}

/* Changes of addresses draw for themselves, so that what else happens is the same without them. */
static uint64_t *faults_rng(struct sim_faults *faults, enum sim_fault_kind kind)
{
    bool address = kind == SIM_FAULT_REBIND || kind == SIM_FAULT_MOVE;
    return address ? &faults->rng_addresses : &faults->rng;
}

/* --- ending --- */

static tern_err fault_end(struct sim_faults *faults, const struct sim_fault_active *fault)
{
    struct sim_world *world = faults->world;
    switch (fault->kind) {
    case SIM_FAULT_CRASH:
        return sim_world_is_up(world, fault->a) ? TERN_OK : sim_world_start(world, fault->a);
    case SIM_FAULT_CUT:
        sim_world_heal(world, fault->a, fault->b);
        return TERN_OK;
    case SIM_FAULT_PARTITION:
        for (uint32_t i = 0; i < sim_world_nodes_count(world); i++)
            sim_world_set_group(world, i, 0);
        return TERN_OK;
    case SIM_FAULT_CLOCK:
        sim_world_set_skew(world, fault->a, 0);
        return TERN_OK;
    case SIM_FAULT_STORE:
        sim_world_fail_store(world, fault->a, TERN_OK);
        return TERN_OK;
    case SIM_FAULT_REBIND:
    case SIM_FAULT_MOVE:
        sim_world_move_back(world, fault->a);
        return TERN_OK;
    case SIM_FAULT_RESET:
    case SIM_FAULT_KINDS:
        break;
    }
    TERN_UNREACHABLE();
}

/* A node whose factory fails (its store may be failing) is tried again a little later. */
static void faults_end_due(struct sim_faults *faults)
{
    tern_time now = sim_world_now(faults->world);
    size_t kept = 0;
    for (size_t i = 0; i < faults->active_count; i++) {
        struct sim_fault_active fault = faults->active[i];
        if (fault.ends <= now && fault_end(faults, &fault) == TERN_OK)
            continue;
        if (fault.ends <= now)
            fault.ends = now + TERN_SECOND;
        faults->active[kept++] = fault;
    }
    faults->active_count = kept;
}

/* --- beginning --- */

static uint32_t faults_count_active(const struct sim_faults *faults, enum sim_fault_kind kind,
                                    uint32_t node)
{
    uint32_t count = 0;
    for (size_t i = 0; i < faults->active_count; i++)
        count +=
            faults->active[i].kind == kind && (node == UINT32_MAX || faults->active[i].a == node);
    return count;
}

/* faults_pick draws a node that may be hit and is not; false: none was found in a few tries. */
static bool faults_pick(struct sim_faults *faults, enum sim_fault_kind kind, uint32_t *node)
{
    const struct sim_faults_options *options = &faults->options;
    for (int i = 0; i < FAULT_TRIES; i++) {
        *node =
            (uint32_t)sim_rng_below(faults_rng(faults, kind), sim_world_nodes_count(faults->world));
        if (options->may_hit != NULL && !options->may_hit(options->context, kind, *node))
            continue;
        if (sim_world_is_up(faults->world, *node) && faults_count_active(faults, kind, *node) == 0)
            return true;
    }
    return false;
}

static bool fault_crash(struct sim_faults *faults, struct sim_fault_active *fault)
{
    if (faults_count_active(faults, SIM_FAULT_CRASH, UINT32_MAX) >= faults->options.down_max ||
        !faults_pick(faults, SIM_FAULT_CRASH, &fault->a))
        return false;
    sim_world_crash(faults->world, fault->a,
                    faults_below(faults, 2) == 0 ? SIM_CRASH_PROCESS : SIM_CRASH_HOST);
    return true;
}

static bool fault_pair(struct sim_faults *faults, struct sim_fault_active *fault)
{
    uint32_t nodes = sim_world_nodes_count(faults->world);
    if (nodes < 2)
        return false;
    fault->a = faults_below(faults, nodes);
    fault->b = (fault->a + 1 + faults_below(faults, nodes - 1)) % nodes;
    return true;
}

static bool fault_cut(struct sim_faults *faults, struct sim_fault_active *fault)
{
    if (!fault_pair(faults, fault))
        return false;
    sim_world_cut_one_way(faults->world, fault->a, fault->b);
    if (faults_below(faults, 3) > 0)
        sim_world_cut_one_way(faults->world, fault->b, fault->a);
    return true;
}

static bool fault_partition(struct sim_faults *faults)
{
    if (faults_count_active(faults, SIM_FAULT_PARTITION, UINT32_MAX) > 0)
        return false;
    for (uint32_t i = 0; i < sim_world_nodes_count(faults->world); i++)
        sim_world_set_group(faults->world, i, faults_below(faults, 2));
    return true;
}

static bool fault_reset(struct sim_faults *faults, struct sim_fault_active *fault)
{
    for (int i = 0; i < FAULT_TRIES; i++) {
        if (!fault_pair(faults, fault))
            return false;
        if (sim_world_reset_links(faults->world, fault->a, fault->b) > 0)
            break;
    }
    return false; /* it is over at once */
}

static bool fault_clock(struct sim_faults *faults, struct sim_fault_active *fault)
{
    if (faults->options.skew_ns_max == 0 || !faults_pick(faults, SIM_FAULT_CLOCK, &fault->a))
        return false;
    int64_t most = (int64_t)faults->options.skew_ns_max;
    int64_t skew = (int64_t)sim_rng_below(&faults->rng, 2 * (uint64_t)most + 1) - most;
    sim_world_set_skew(faults->world, fault->a, skew);
    return true;
}

static bool fault_store(struct sim_faults *faults, struct sim_fault_active *fault)
{
    if (!faults_pick(faults, SIM_FAULT_STORE, &fault->a))
        return false;
    sim_world_fail_store(faults->world, fault->a, TERN_ERR_STORAGE);
    return true;
}

static bool fault_address(struct sim_faults *faults, struct sim_fault_active *fault)
{
    if (!faults_pick(faults, fault->kind, &fault->a))
        return false;
    if (fault->kind == SIM_FAULT_MOVE)
        sim_world_move(faults->world, fault->a);
    else
        sim_world_rebind(faults->world, fault->a);
    return true;
}

/* fault_begin does it; true: it lasts. */
static bool fault_begin(struct sim_faults *faults, struct sim_fault_active *fault)
{
    switch (fault->kind) {
    case SIM_FAULT_CRASH:
        return fault_crash(faults, fault);
    case SIM_FAULT_CUT:
        return fault_cut(faults, fault);
    case SIM_FAULT_PARTITION:
        return fault_partition(faults);
    case SIM_FAULT_RESET:
        return fault_reset(faults, fault);
    case SIM_FAULT_CLOCK:
        return fault_clock(faults, fault);
    case SIM_FAULT_STORE:
        return fault_store(faults, fault);
    case SIM_FAULT_REBIND:
    case SIM_FAULT_MOVE:
        return fault_address(faults, fault);
    case SIM_FAULT_KINDS:
        break;
    }
    TERN_UNREACHABLE();
}

static tern_time faults_draw_next(struct sim_faults *faults, enum sim_fault_kind kind)
{
    tern_time every = faults->options.kinds[kind].every_ns;
    if (every == 0)
        return TERN_TIME_NEVER;
    return sim_world_now(faults->world) + 1 + sim_rng_below(faults_rng(faults, kind), 2 * every);
}

static void faults_begin_due(struct sim_faults *faults)
{
    tern_time now = sim_world_now(faults->world);
    for (size_t i = 0; i < SIM_FAULT_KINDS; i++) {
        enum sim_fault_kind kind = (enum sim_fault_kind)i;
        if (faults->next[i] > now)
            continue;
        faults->next[i] = faults_draw_next(faults, kind);
        if (faults->active_count == SIM_FAULTS_ACTIVE_MAX)
            continue;
        struct sim_fault_active fault = {.kind = kind};
        fault.ends =
            now + 1 + sim_rng_below(faults_rng(faults, kind), faults->options.kinds[i].most_ns + 1);
        faults->counts[i]++;
        if (fault_begin(faults, &fault))
            faults->active[faults->active_count++] = fault;
    }
}

static void faults_call(void *context, struct sim_world *world);

static void faults_schedule(struct sim_faults *faults)
{
    tern_time next = TERN_TIME_NEVER;
    for (size_t i = 0; i < SIM_FAULT_KINDS; i++)
        next = tern_time_min(next, faults->next[i]);
    for (size_t i = 0; i < faults->active_count; i++)
        next = tern_time_min(next, faults->active[i].ends);
    if (next != TERN_TIME_NEVER)
        sim_world_at(faults->world, next, faults_call, faults);
}

static void faults_call(void *context, struct sim_world *world)
{
    struct sim_faults *faults = context;
    (void)world;
    if (faults->stopped)
        return;
    faults_end_due(faults);
    faults_begin_due(faults);
    faults_schedule(faults);
}

void sim_faults_start(struct sim_faults *faults, struct sim_world *world,
                      const struct sim_faults_options *options)
{
    *faults = (struct sim_faults){.world = world, .options = *options};
    faults->rng = sim_world_seed_of(world, tern_view_str("faults"), 0);
    faults->rng_addresses = sim_world_seed_of(world, tern_view_str("faults"), 1);
    for (size_t i = 0; i < SIM_FAULT_KINDS; i++)
        faults->next[i] = faults_draw_next(faults, (enum sim_fault_kind)i);
    faults_schedule(faults);
}

tern_err sim_faults_stop(struct sim_faults *faults)
{
    tern_err err = TERN_OK;
    faults->stopped = true;
    sim_world_heal_all(faults->world);
    /* Stores work again before nodes start. */
    for (unsigned crashes = 0; crashes < 2; crashes++) {
        for (size_t i = 0; i < faults->active_count; i++) {
            const struct sim_fault_active *fault = &faults->active[i];
            if ((fault->kind == SIM_FAULT_CRASH) != (crashes == 1))
                continue;
            tern_err ended = fault_end(faults, fault);
            err = err == TERN_OK ? ended : err;
        }
    }
    faults->active_count = 0;
    return err;
}
