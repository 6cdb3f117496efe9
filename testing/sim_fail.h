/*
 * Failing each allocation and each reservation in turn. A scenario is a function that builds
 * something from the account and the scope it is given, uses it, and frees it, whatever fails on
 * the way; it is run again and again, with the first allocation failing, then the second, and so on
 * until a run meets no failure.
 *
 *     static tern_err two_streams(void *context, struct tern_mem *mem, struct tern_scope *root) {…}
 *     assert_true(sim_fail_each(two_streams, NULL) > 10);
 *
 * The scenario returns the error it ended with. The run that meets no failure must return TERN_OK;
 * a run that met one may return either (some failures are made good). After every run the account
 * must be empty and nothing reserved: whatever is not ends the process with a line that names the
 * allocation.
 */
#ifndef TERN_TESTING_SIM_FAIL_H
#define TERN_TESTING_SIM_FAIL_H

#include "base/error.h"
#include "base/mem.h"
#include "base/scope.h"

typedef tern_err (*sim_fail_scenario)(void *context, struct tern_mem *mem, struct tern_scope *root);

/* sim_fail_each runs the scenario with each allocation failing alone, then with it and all after it
 * failing. Returns how many allocations an untouched run makes. */
size_t sim_fail_each(sim_fail_scenario scenario, void *context);

/* sim_fail_each_reservation does the same with the reservations of the scope. */
size_t sim_fail_each_reservation(sim_fail_scenario scenario, void *context);

#endif
