/*
 * crash_prelude.c - what lies in databases and journal before a cell's fault. See crash_cells.h.
 */
#include <stdio.h>
#include <stdlib.h>

#include <libpq-fe.h>

#include "tests/crash/crash_journal.h"
#include "tests/crash/crash_stage.h"

/* All sales at once, until the daemon has died of them. */
static bool sell_until_death(struct crash_stage *stage, struct stack_daemon *daemon,
                             const char *spec, struct error *ret_error)
{
    if (!crash_rearm(stage, daemon, spec, ret_error)) {
        return error_wrap(ret_error, "prelude");
    }
    for (size_t i = 0; i < stage->sale_count; i++) {
        sale_begin(stage, &stage->sales[i]);
    }
    return crash_await_death(daemon, spec, ret_error) || error_wrap(ret_error, "prelude");
}

struct counter_wait {
    struct stack *stack;
    double wanted;
};

static bool committed_enough(void *user)
{
    const struct counter_wait *wait = user;
    double value = 0;
    return stack_metric(wait->stack, "assent_transactions_committed_total", &value, NULL) &&
           value >= wait->wanted;
}

/* The first agent stops at the first COMMIT: both decisions are made, neither can end. */
static bool prelude_two_decided(struct crash_stage *stage, struct error *ret_error)
{
    struct stack_daemon *agent = stack_agent(stage->stack, CRASH_FIRST);
    struct stack_daemon *coordinator = stack_coordinator(stage->stack);
    struct counter_wait wait = {.stack = stage->stack};
    if (!crash_rearm(stage, agent, "a.commit.recv:stop", ret_error) ||
        !stack_metric(stage->stack, "assent_transactions_committed_total", &wait.wanted,
                      ret_error)) {
        return false;
    }
    wait.wanted += (double)stage->sale_count;
    for (size_t i = 0; i < stage->sale_count; i++) {
        sale_begin(stage, &stage->sales[i]);
    }
    bool decided = stack_poll(coordinator, crash_patience(), committed_enough, &wait);
    stack_daemon_kill(coordinator);
    stack_daemon_kill(agent);
    return decided ? stack_daemon_start(agent, NULL, ret_error)
                   : error_set(ret_error, ERROR_UNAVAILABLE, "prelude: no two decisions");
}

/* A person's hand, as superuser in the last database. */
static bool roll_back_by_hand(struct crash_stage *stage, struct error *ret_error)
{
    char sql[320];
    char *gid = NULL;
    if (!stack_sql(stage->stack, CRASH_LAST,
                   "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()", &gid,
                   ret_error)) {
        return false;
    }
    if (gid == NULL) {
        return error_set(ret_error, ERROR_INVALID, "prelude: the last branch is not prepared");
    }
    (void)snprintf(sql, sizeof sql, "ROLLBACK PREPARED '%s'", gid);
    free(gid);
    return stack_sql(stage->stack, CRASH_LAST, sql, NULL, ret_error);
}

/* A server may notice late that an agent is gone: one of its backends lives on. Until it is ended the successor compares no
 * outcomes (P-12), so what it says about the branch is said after its fence. */
static bool leave_straggler(struct crash_stage *stage, struct error *ret_error)
{
    char *conninfo = stack_agent_conninfo(stage->stack, stage->participant);
    stage->straggler = PQconnectdb(conninfo);
    free(conninfo);
    return PQstatus(stage->straggler) == CONNECTION_OK ||
           error_set(ret_error, ERROR_UNAVAILABLE, "prelude: %s", PQerrorMessage(stage->straggler));
}

bool crash_prelude(struct crash_stage *stage, struct error *ret_error)
{
    struct stack_daemon *coordinator = stack_coordinator(stage->stack);
    switch (stage->cell->prelude) {
    case PRELUDE_NONE:
        return true;
    case PRELUDE_UNDECIDED:
        return sell_until_death(stage, coordinator, "c.decide.enter", ret_error);
    case PRELUDE_DECIDED:
        return sell_until_death(stage, coordinator, "c.decide.post_sync", ret_error);
    case PRELUDE_TWO_UNDECIDED: /* two orders have voted, this is the first payment's vote */
        return sell_until_death(stage, coordinator, "c.vote.recv:kill:3", ret_error);
    case PRELUDE_TWO_DECIDED:
        return prelude_two_decided(stage, ret_error);
    case PRELUDE_LOST_ACK:
        return sell_until_death(stage, stage->victim, "a.commit.result", ret_error) &&
               leave_straggler(stage, ret_error);
    case PRELUDE_HEURISTIC:
        return sell_until_death(stage, coordinator, "c.decide.post_sync", ret_error) &&
               roll_back_by_hand(stage, ret_error);
    case PRELUDE_EXPIRED:
        return sell_until_death(stage, coordinator, "c.end.pre_log", ret_error) &&
               crash_journal_age(stage->stack, ret_error);
    }
    return false;
}
