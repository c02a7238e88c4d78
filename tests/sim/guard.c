/* guard.c - see guard.h. */
#include "tests/sim/guard.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static sigjmp_buf guard_place;
static volatile sig_atomic_t guard_is_armed;

static void guard_caught(int signal_number)
{
    if (guard_is_armed) {
        guard_is_armed = 0;
        siglongjmp(guard_place,
                   signal_number); // NOLINT(cert-sig30-c): the process only goes on to report
    }
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

void guard_run(const struct sim_options *options, struct sim_verdict *ret_verdict)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = guard_caught;
    action.sa_flags = SA_NODEFER;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGABRT, &action, NULL);
    (void)sigaction(SIGSEGV, &action, NULL);
    int caught = sigsetjmp(guard_place, 1);
    if (caught == 0) {
        guard_is_armed = 1;
        sim_run(options, ret_verdict);
        guard_is_armed = 0;
        return;
    }
    ret_verdict->failed = true;
    (void)snprintf(ret_verdict->rule, sizeof(ret_verdict->rule), "CHECK");
    (void)snprintf(ret_verdict->text, sizeof(ret_verdict->text),
                   "the code under test ended itself with signal %d", caught);
}
