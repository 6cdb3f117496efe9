#include "scenarios.h"

#include <string.h>

#include "runtime/sim/echo_testing.h"
#include "sim/hosts_scenario.h"

/* One row a scenario. */
const struct sim_scenario *const sim_scenarios[] = {
    &echo_scenario,
    &hosts_scenario,
};

const size_t sim_scenarios_count = TERN_COUNT_OF(sim_scenarios);

const struct sim_scenario *sim_scenario_find(const char *name)
{
    for (size_t i = 0; i < sim_scenarios_count; i++) {
        if (strcmp(sim_scenarios[i]->name, name) == 0)
            return sim_scenarios[i];
    }
    return NULL;
}
