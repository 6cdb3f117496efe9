/*
 * sim-check: runs scenarios by name and seed.
 *
 *   sim-check list                       the scenarios
 *   sim-check SCENARIO SEED              one run: verdict, trace hash, counters
 *   sim-check SCENARIO FIRST LAST        all seeds from FIRST to LAST; stops at the first bad one
 *   sim-check --twice SCENARIO FIRST LAST
 *                                        each seed in two processes, whose trace hashes must be
 * equal
 *
 * Exit status: 0 good, 1 a run was bad or differed, 2 the arguments are not understood. A bad run
 * prints the command that repeats it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "scenarios.h"
#include "testing/entropy.h"

enum { CHECK_GOOD, CHECK_BAD, CHECK_USAGE };

static void print_result(const char *name, uint64_t seed, const struct sim_scenario_result *result)
{
    const struct sim_counters *c = &result->counters;
    printf("%s seed %" PRIu64 ": %s at %" PRIu64 " ms, trace %016" PRIx64 "\n", name, seed,
           sim_verdict_name(result->verdict), result->at / TERN_MILLISECOND, result->trace_hash);
    printf("  %" PRIu64 " events, %" PRIu64 " inputs, %" PRIu64 " commands, %" PRIu64
           " trace events, %" PRIu64 " bytes taken, %" PRIu64 " links, %" PRIu64 " crashes\n",
           c->events, c->inputs, c->commands, c->traces, c->bytes_taken, c->links_opened / 2,
           c->crashes);
    if (c->datagrams_sent > 0)
        printf("  %" PRIu64 " datagrams sent, %" PRIu64 " taken, %" PRIu64 " lost, %" PRIu64
               " dropped, %" PRIu64 " late, %" PRIu64 " twice, %" PRIu64 " marked\n",
               c->datagrams_sent, c->datagrams_taken, c->datagrams_lost, c->datagrams_dropped,
               c->datagrams_late, c->datagrams_twice, c->datagrams_marked);
    if (result->verdict == SIM_VERDICT_GOOD)
        printf("  converged %" PRIu64 " ms after the heal\n",
               result->converged_ns / TERN_MILLISECOND);
    else
        printf("repeat it: sim-check %s %" PRIu64 "\n", name, seed);
}

/* Everything comes from the seed, what libraries draw inside, too. */
static bool run_seed(const struct sim_scenario *scenario, uint64_t seed,
                     struct sim_scenario_result *result)
{
    tern_sim_entropy_seed(seed);
    return sim_scenario_run(scenario, seed, result);
}

static int run_one(const struct sim_scenario *scenario, uint64_t seed)
{
    struct sim_scenario_result result;
    bool good = run_seed(scenario, seed, &result);
    print_result(scenario->name, seed, &result);
    return good ? CHECK_GOOD : CHECK_BAD;
}

static int run_many(const struct sim_scenario *scenario, uint64_t first, uint64_t last)
{
    for (uint64_t seed = first; seed <= last; seed++) {
        struct sim_scenario_result result;
        if (!run_seed(scenario, seed, &result)) {
            print_result(scenario->name, seed, &result);
            return CHECK_BAD;
        }
    }
    printf("%s: seeds %" PRIu64 " to %" PRIu64 " are good\n", scenario->name, first, last);
    return CHECK_GOOD;
}

/* --- in two processes --- */

/* Runs the seed in a child, with malloc filling what it gives with `perturb`, so that whatever
 * depends on memory that was never written differs too; its output goes to out. */
static bool run_child(const char *name, const char *seed, const char *perturb, char *out,
                      size_t out_size)
{
    int ends[2];
    char self[4096] = {0}; /* by its path: under valgrind /proc/self/exe is another program */
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0 || pipe(ends) != 0)
        return false;
    pid_t child = fork();
    if (child < 0)
        return false;
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        setenv("MALLOC_PERTURB_", perturb, 1);
        execl(self, "sim-check", name, seed, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t size = 0;
    ssize_t got = 1;
    while (got > 0 && size + 1 < out_size) {
        got = read(ends[0], out + size, out_size - size - 1);
        size += got > 0 ? (size_t)got : 0;
    }
    out[size] = 0;
    close(ends[0]);
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int run_twice(const struct sim_scenario *scenario, uint64_t first, uint64_t last)
{
    char outputs[2][4096];
    for (uint64_t seed = first; seed <= last; seed++) {
        char text[32];
        snprintf(text, sizeof(text), "%" PRIu64, seed);
        bool good = run_child(scenario->name, text, "85", outputs[0], sizeof(outputs[0])) &&
                    run_child(scenario->name, text, "170", outputs[1], sizeof(outputs[1]));
        if (good && strcmp(outputs[0], outputs[1]) == 0 && outputs[0][0] != 0)
            continue;
        printf("%s seed %" PRIu64 " %s:\n%s%s", scenario->name, seed,
               good ? "differs from process to process" : "is bad", outputs[0], outputs[1]);
        return CHECK_BAD;
    }
    printf("%s: seeds %" PRIu64 " to %" PRIu64 " repeat themselves\n", scenario->name, first, last);
    return CHECK_GOOD;
}

/* --- arguments --- */

static int usage(const char *why)
{
    fprintf(stderr,
            "sim-check: %s\n"
            "usage: sim-check list | SCENARIO SEED | [--twice] SCENARIO FIRST LAST\n",
            why);
    return CHECK_USAGE;
}

static bool parse_seed(const char *text, uint64_t *seed)
{
    char *end = NULL;
    errno = 0;
    *seed = strtoull(text, &end, 0);
    return errno == 0 && end != text && *end == 0 && text[0] != '-';
}

int main(int argc, char **argv)
{
    uint64_t first;
    uint64_t last;
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        for (size_t i = 0; i < sim_scenarios_count; i++)
            puts(sim_scenarios[i]->name);
        return CHECK_GOOD;
    }
    bool twice = argc > 1 && strcmp(argv[1], "--twice") == 0;
    char **args = argv + (twice ? 2 : 1);
    int count = argc - (twice ? 2 : 1);
    if (count < 2 || count > 3 || (twice && count != 3))
        return usage("it needs a scenario and one seed or two");
    const struct sim_scenario *scenario = sim_scenario_find(args[0]);
    if (scenario == NULL)
        return usage("there is no such scenario; 'sim-check list' names them");
    if (!parse_seed(args[1], &first) || !parse_seed(args[count - 1], &last) || last < first)
        return usage("a seed is a number, and the last is not below the first");
    if (twice)
        return run_twice(scenario, first, last);
    return count == 3 ? run_many(scenario, first, last) : run_one(scenario, first);
}
