#include "sim_fail.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { FAIL_RUNS_MAX = 1000000 };

struct fail_run {
    uint64_t alloc;       /* this allocation fails; 0: none */
    uint64_t reservation; /* this reservation fails; 0: none */
    bool onwards;
};

struct fail_result {
    tern_err err;
    uint64_t allocs;
    uint64_t reservations;
};

__attribute__((noreturn)) static void fail_stop(const struct fail_run *run, const char *what,
                                                uint64_t amount)
{
    fprintf(stderr,
            "with allocation %" PRIu64 "%s, reservation %" PRIu64 " failing: %s %" PRIu64 "\n",
            run->alloc, run->onwards ? " and all after it" : "", run->reservation, what, amount);
    abort();
}

static struct fail_result fail_once(sim_fail_scenario scenario, void *context,
                                    const struct fail_run *run)
{
    struct tern_mem mem;
    struct tern_scope root;
    tern_mem_init(&mem, 0);
    tern_mem_fail_at(&mem, run->alloc, run->onwards);
    tern_scope_init(&root, "test", NULL, NULL);
    root.fail_at = run->reservation;
    struct fail_result result = {.err = scenario(context, &mem, &root)};
    result.allocs = mem.allocs;
    result.reservations = root.reservations;
    if (mem.used != 0)
        fail_stop(run, "bytes leaked:", mem.used);
    for (size_t i = 0; i < TERN_RESOURCE_COUNT; i++) {
        if (root.used[i] != 0)
            fail_stop(run, tern_resource_name((enum tern_resource)i), root.used[i]);
    }
    tern_scope_fini(&root);
    tern_mem_fini(&mem);
    return result;
}

static uint64_t fail_untouched(const struct fail_run *run, const struct fail_result *result,
                               uint64_t count)
{
    if (result->err != TERN_OK)
        fail_stop(run, "though it was not met, the scenario failed with error",
                  (uint64_t)result->err);
    return count;
}

static uint64_t fail_allocations(sim_fail_scenario scenario, void *context, bool onwards)
{
    for (uint64_t n = 1; n < FAIL_RUNS_MAX; n++) {
        struct fail_run run = {.alloc = n, .onwards = onwards};
        struct fail_result result = fail_once(scenario, context, &run);
        if (result.allocs < n)
            return fail_untouched(&run, &result, result.allocs);
    }
    abort();
}

size_t sim_fail_each(sim_fail_scenario scenario, void *context)
{
    (void)fail_allocations(scenario, context, true);
    return (size_t)fail_allocations(scenario, context, false);
}

size_t sim_fail_each_reservation(sim_fail_scenario scenario, void *context)
{
    for (uint64_t n = 1; n < FAIL_RUNS_MAX; n++) {
        struct fail_run run = {.reservation = n};
        struct fail_result result = fail_once(scenario, context, &run);
        if (result.reservations < n)
            return (size_t)fail_untouched(&run, &result, result.reservations);
    }
    abort();
}
