/*
 * The scenario `hosts`: 4 to 20 whole hosts that know one address, publish now and then, and meet
 * whatever faults and lines the seed draws. After the heal nobody may be alone, and a message must
 * reach all.
 */
#ifndef TERN_SIM_HOSTS_SCENARIO_H
#define TERN_SIM_HOSTS_SCENARIO_H

#include "runtime/sim/scenario.h"

extern const struct sim_scenario hosts_scenario;

#endif
