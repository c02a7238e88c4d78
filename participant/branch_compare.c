/*
 * branch_compare.c - the outcomes that stand in the database: did their coordinator decide so? (P-12, H1)
 *
 * What a person does to a prepared branch by hand is noticed by the process that knows the branch, and told until it is on
 * record. Without that process nobody would ask about an abort again:
 *   1. a branch is prepared and its agent ends (or it ends before it could tell);
 *   2. a person says COMMIT PREPARED; the coordinator aborts, which writes nothing and needs no acknowledgement;
 *   3. the next agent finds no prepared row, and the money is gone without an order.
 * The outcome row of 2 remains. So each process, once for each journal, asks about every outcome that no earlier process has
 * compared (assent.witness keeps how far they came, as a transaction id): as an inquiry about a DOUBTFUL branch. COMMIT
 * agrees. ABORT takes the usual way: nothing to roll back, the proof says committed, TELLING.
 *
 * It begins when is_settled: then each gid of an earlier process is either prepared, and known by the scan, or over, and
 * seen here. Sweeps count from its end on, so that the floor does not pass what is still to be asked about; and the mark
 * is what had ended when such a sweep was opened that is complete (journal_raise_compared in branch_sweep.c).
 * Branches without rows (`proof = xid`, external ones) are not covered.
 */
#include <string.h>

#include "common/check.h"
#include "participant/branch_internal.h"

#define COMPARE_PACE_MS 50 /* between pages: its coordinator looks each gid up in the journal */
/* A query that takes too long must not keep the keeper from everything else. */
#define COMPARE_RETRY_MS     1000
#define COMPARE_RETRY_MAX_MS 60000

void agent_compare_resolved(struct agent *agent, struct agent_branch *branch)
{
    if (branch->compare_mark == 0) {
        return;
    }
    struct agent_journal *journal = agent_journal_find(agent, &branch->gid.gtrid.journal);
    if (journal != NULL && journal->compare_mark == branch->compare_mark) {
        CHECK(journal->compare_open > 0);
        journal->compare_open--;
    }
    branch->compare_mark = 0;
}

static bool journal_may_compare(const struct agent *agent, const struct agent_journal *journal)
{
    return !journal->is_compared && journal->compare_id == 0 && journal->compare_open == 0 &&
           journal->session != 0 && agent->is_settled && !agent->is_reconciling &&
           agent_database_up(agent) &&
           agent->live_count + agent->config.outcomes_page <= BRANCH_LIVE_MAX;
}

static void journal_compare(struct agent *agent, struct agent_journal *journal)
{
    if (journal->compare_mark != 0) {
        journal->compare_mark = 0;
        journal->compare_xid = journal->compare_last_xid;
        journal->is_compared = journal->compare_is_last;
        journal->compare_due_ms = agent->now_ms + COMPARE_PACE_MS;
        return;
    }
    struct command *command = agent_command(agent, COMMAND_OUTCOMES);
    command->as.outcomes.journal = journal->id;
    command->as.outcomes.after_xid = journal->compare_xid;
    command->as.outcomes.limit = agent->config.outcomes_page;
    journal->compare_id = command->id;
    journal->compare_history = agent->history;
}

void agent_compares_due(struct agent *agent)
{
    for (size_t i = 0; i < agent->journal_count; i++) {
        struct agent_journal *journal = agent->journals[i];
        if (journal_may_compare(agent, journal) && agent->now_ms >= journal->compare_due_ms) {
            journal_compare(agent, journal);
        }
    }
}

uint64_t agent_compares_deadline(const struct agent *agent)
{
    uint64_t deadline = UINT64_MAX;
    for (size_t i = 0; i < agent->journal_count; i++) {
        const struct agent_journal *journal = agent->journals[i];
        if (journal_may_compare(agent, journal) && journal->compare_due_ms < deadline) {
            deadline = journal->compare_due_ms;
        }
    }
    return deadline;
}

/* A row of ours and of this journal that no branch of this process stands for: what it does to those it knows ends with the
 * proof as well. Asked about at once: since when it stands there nobody knows, and prepared_ms is 0. */
static void row_compare(struct agent *agent, struct agent_journal *journal, const char *gid_text)
{
    struct gid gid = {0};
    if (!gid_parse(gid_text, &gid) || strcmp(gid.participant, agent->config.participant) != 0 ||
        !journal_id_equal(&gid.gtrid.journal, &journal->id) ||
        agent_branch_find(agent, &gid) != NULL) {
        return;
    }
    struct agent_branch *branch = agent_branch_new(agent, &gid);
    branch->certain = true; /* it is over: nothing can prepare it any more */
    branch->proof.kind = PROOF_ROW;
    branch->compare_mark = journal->compare_mark;
    journal->compare_open++;
    agent_branch_move(agent, branch, BRANCH_DOUBTFUL);
    agent_branch_await(agent, branch);
}

static void page_open(struct agent *agent, struct agent_journal *journal,
                      const struct command_result *result)
{
    CHECK(journal->compare_open == 0);
    journal->compare_mark = agent->step;
    journal->compare_is_last = result->row_count < agent->config.outcomes_page;
    journal->compare_last_xid = result->proof.xid8;
    for (size_t i = 0; i < result->row_count; i++) {
        row_compare(agent, journal, result->rows[i].gid_text);
    }
}

bool agent_compared(struct agent *agent, const struct command_result *result)
{
    for (size_t i = 0; i < agent->journal_count; i++) {
        struct agent_journal *journal = agent->journals[i];
        if (journal->compare_id != result->id) {
            continue;
        }
        journal->compare_id = 0;
        if (journal->compare_history != agent->history || journal->session == 0) {
            return true; /* of another history, or nobody to ask: it begins again */
        }
        if (result->class != PG_OK) {
            journal->compare_tries++;
            journal->compare_due_ms =
                agent->now_ms + agent_backoff(agent, journal->compare_tries, COMPARE_RETRY_MS,
                                              COMPARE_RETRY_MAX_MS);
            return true;
        }
        journal->compare_tries = 0;
        page_open(agent, journal, result);
        return true;
    }
    return false;
}

/* What was asked about is asked again from the start of the page; the rows wait in the database, not here. A branch that has
 * a word by now goes on like any other. */
void agent_compare_pause(struct agent *agent, struct agent_journal *journal)
{
    struct agent_branch *branch = NULL, *next = NULL;
    for (branch = TAILQ_FIRST(&agent->live); branch != NULL; branch = next) {
        next = TAILQ_NEXT(branch, list);
        if (branch->compare_mark != 0 && branch->compare_mark == journal->compare_mark &&
            branch->state == BRANCH_DOUBTFUL) {
            agent_branch_free(agent, branch);
        }
    }
    journal->compare_mark = 0;
    journal->compare_open = 0;
}

static void compare_begin(struct agent_journal *journal)
{
    journal->is_compared = false;
    journal->compare_xid = 0;
    journal->compare_due_ms = 0;
}

void agent_compare_anew(struct agent *agent, const struct journal_id *id)
{
    struct agent_journal *journal = agent_journal_find(agent, id);
    if (journal != NULL && journal->is_compared) {
        compare_begin(journal);
    }
}

void agent_compares_restart(struct agent *agent)
{
    for (size_t i = 0; i < agent->journal_count; i++) {
        agent_compare_pause(agent, agent->journals[i]);
        compare_begin(agent->journals[i]);
        agent->journals[i]->witness.compared_xid = 0;
    }
}
