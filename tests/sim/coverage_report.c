/* coverage_report.c - what a run has not reached, less what can not be reached, with the reason; and what it has reached
 * although it is declared impossible. */
#include <string.h>

#include "coordinator/core.h"
#include "tests/sim/coverage.h"
#include "tests/sim/probe.h"

static const char *const coord_events[MEETS_COORD_COUNT] = {
    [MEETS_SUBMIT_AGAIN] = "SUBMIT with its key",
    [MEETS_VOTE_COMMIT] = "VOTE commit",
    [MEETS_VOTE_ABORT] = "VOTE abort",
    [MEETS_VOTE_READONLY] = "VOTE read-only",
    [MEETS_VOTE_UNKNOWN] = "VOTE unknown",
    [MEETS_ACK_COMMITTED] = "ACK committed",
    [MEETS_ACK_ROLLED_BACK] = "ACK rolled back",
    [MEETS_ACK_HEURISTIC_COMMIT] = "ACK heuristic commit",
    [MEETS_ACK_HEURISTIC_ROLLBACK] = "ACK heuristic rollback",
    [MEETS_ACK_HAZARD] = "ACK hazard",
    [MEETS_INQUIRY] = "INQUIRY",
    [MEETS_RESOLVE_COMMIT] = "RESOLVE commit",
    [MEETS_RESOLVE_ROLLBACK] = "RESOLVE rollback",
    [MEETS_RESOLVE_FORGET] = "RESOLVE forget",
    [MEETS_PEER_DOWN] = "PEER_DOWN",
    [MEETS_WELCOME] = "WELCOME",
    [MEETS_DURABLE] = "DURABLE",
    [MEETS_TIMER] = "TIMER",
    [MEETS_DRAIN] = "DRAIN",
    [MEETS_STATEMENT] = "client's STATEMENT",
    [MEETS_CLOSE_COMMIT] = "client's COMMIT",
    [MEETS_CLOSE_ROLLBACK] = "client's ROLLBACK",
    [MEETS_ANSWER] = "ANSWER",
    [MEETS_EXTERNAL] = "client's EXTERNAL",
};

static const char *const agent_events[MEETS_AGENT_COUNT] = {
    [MEETS_WORK] = "WORK",
    [MEETS_COMMIT] = "COMMIT",
    [MEETS_ROLLBACK] = "ROLLBACK by name",
    [MEETS_ROLLBACK_NAMELESS] = "ROLLBACK without gid",
    [MEETS_VERDICT_COMMIT] = "VERDICT commit",
    [MEETS_VERDICT_ABORT] = "VERDICT abort",
    [MEETS_VERDICT_WAIT] = "VERDICT wait",
    [MEETS_VERDICT_UNKNOWN] = "VERDICT unknown",
    [MEETS_NOTED] = "NOTED",
    [MEETS_RESULT_OK] = "RESULT ok",
    [MEETS_RESULT_ROLLED_BACK] = "RESULT rolled back",
    [MEETS_RESULT_NOT_FOUND] = "RESULT not found",
    [MEETS_RESULT_RETRY] = "RESULT retry",
    [MEETS_RESULT_REFUSED] = "RESULT refused",
    [MEETS_RESULT_UNKNOWN] = "RESULT unknown",
    [MEETS_PROVED_PREPARED] = "PROVE prepared",
    [MEETS_PROVED_COMMITTED] = "PROVE committed",
    [MEETS_PROVED_ABSENT] = "PROVE absent",
    [MEETS_PROVED_CANNOT_TELL] = "PROVE cannot tell",
    [MEETS_SCAN_WITH_ROW] = "SCAN with its row",
    [MEETS_SCAN_WITHOUT_ROW] = "SCAN without its row",
    [MEETS_HISTORY_CHANGED] = "history changed",
    [MEETS_DATABASE_UP] = "database up",
    [MEETS_SESSION_UP] = "PEER_UP",
    [MEETS_SESSION_DOWN] = "PEER_DOWN",
    [MEETS_AGENT_TIMER] = "its timer",
    [MEETS_AGENT_DRAIN] = "DRAIN",
    [MEETS_FIRST_STATEMENT] = "STATEMENT 1",
    [MEETS_LATER_STATEMENT] = "STATEMENT n",
    [MEETS_PREPARE] = "PREPARE",
    [MEETS_VERIFY] = "VERIFY",
};

struct table {
    const char *name;
    const uint64_t (*pairs)[COVERAGE_EVENTS];
    const uint64_t (*seeds)[COVERAGE_EVENTS];
    uint32_t state_count, event_count;
    const char *(*state_name)(uint32_t state);
    const char *const *event_names;
};

/* One line of the report, if it is wanted. Returns whether it is not as declared. */
static bool report_line(FILE *file, bool all, const char *what, const char *state,
                        const char *event, uint64_t count, uint64_t seed)
{
    const char *impossible = coverage_impossible(what, state, event);
    const char *elsewhere = coverage_elsewhere(what, state, event);
    bool is_wrong = impossible != NULL ? count > 0 : count == 0 && elsewhere == NULL;
    if (file != NULL && (all || is_wrong)) {
        fprintf(file, "%-12s %-19s %-24s %12llu", what, state, event, (unsigned long long)count);
        if (impossible != NULL) {
            fprintf(file, "  %s: %s", count > 0 ? "reached, and declared impossible" : "impossible",
                    impossible);
            if (count > 0 && seed != 0) {
                fprintf(file, " (--seed %llu)", (unsigned long long)seed);
            }
        } else if (elsewhere != NULL) {
            fprintf(file, "  elsewhere: %s", elsewhere);
        }
        fputc('\n', file);
    }
    return is_wrong;
}

static size_t report_table(const struct table *table, FILE *file, bool all)
{
    size_t wrong = 0;
    for (uint32_t state = 0; state < table->state_count; state++) {
        const char *name = table->state_name(state);
        bool is_state = name[0] != '\0' && name[0] != '-';
        for (uint32_t event = 0; is_state && event < table->event_count; event++) {
            wrong += report_line(file, all, table->name, name, table->event_names[event],
                                 table->pairs[state][event], table->seeds[state][event]);
        }
    }
    return wrong;
}

static size_t report_list(const char *what, const uint64_t *counts, size_t count,
                          const char *(*name)(size_t index), FILE *file, bool all)
{
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++) {
        wrong += report_line(file, all, what, name(i), "", counts[i], 0);
    }
    return wrong;
}

static const char *fault_at(size_t index)
{
    return sim_fault_name((enum sim_fault)index);
}

static const char *point_at(size_t index)
{
    return fault_point_name((enum fault_point)index);
}

size_t coverage_report(const struct coverage *coverage, enum coverage_scope scope, FILE *file,
                       bool all)
{
    const struct table tables[] = {
        {"transaction", coverage->txn, coverage->first_seed[0], TXN_OPEN + 1, MEETS_COORD_COUNT,
         probe_txn_state, coord_events},
        {"branch", coverage->branch, coverage->first_seed[1], BRANCH_FORGOTTEN + 1,
         MEETS_COORD_COUNT, probe_branch_state, coord_events},
        {"agent", coverage->agent, coverage->first_seed[2], COVERAGE_STATES, MEETS_AGENT_COUNT,
         probe_agent_state, agent_events},
    };
    size_t reached = report_list("fault", coverage->faults, SIM_FAULT_COUNT, fault_at, file, all) +
                     report_list("point", coverage->points, FAULT_POINT_COUNT, point_at, file, all);
    FILE *rest = scope == COVERAGE_ALL || all ? file : NULL;
    size_t pairs = report_list("kill", coverage->kills, FAULT_POINT_COUNT, point_at, rest, all);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        pairs += report_table(&tables[i], rest, all);
    }
    return scope == COVERAGE_ALL ? reached + pairs : scope == COVERAGE_NONE ? 0 : reached;
}
