#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "interop/tern/contract/contract.h"

static const char *main_get(const void *environment, const char *name)
{
    (void)environment;
    return getenv(name);
}

/* They are looked for between events. */
static void main_hold_signals(void)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    if (sigprocmask(SIG_BLOCK, &ends, NULL) != 0)
        contract_fail("signals cannot be held back");
}

int main(int argc, char **argv)
{
    struct settings settings;
    main_hold_signals();
    if (argc > 1 || !settings_asked(main_get, NULL)) {
        contract_run_runner(argc, argv);
        return 0;
    }
    const char *wrong = settings_read(&settings, main_get, NULL);
    if (wrong != NULL)
        contract_fail("the variable %s is missing or wrong", wrong);
    if (!settings.dialer)
        contract_run_listener(&settings);
    else if (settings.perf)
        contract_run_perf_dialer(&settings);
    else
        contract_run_dialer(&settings);
    return 0;
}
