/*
 * All scenarios that tern can be put through in the simulated world. Each is one file in this
 * folder; sim-check runs them by name.
 */
#ifndef TERN_SIM_SCENARIOS_H
#define TERN_SIM_SCENARIOS_H

#include "runtime/sim/scenario.h"

extern const struct sim_scenario *const sim_scenarios[];
extern const size_t sim_scenarios_count;

/* sim_scenario_find returns the scenario of that name, or NULL. */
const struct sim_scenario *sim_scenario_find(const char *name);

#endif
