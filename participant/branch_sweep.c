/*
 * branch_sweep.c - the endless sweep and the inquiries (P-6, P-8, P-11, P-13, P-14).
 *
 * The order of P-11, and why it is kept:
 *   1. prepared set   SCAN reads pg_prepared_xacts
 *   2. live set       the branches of this process, looked at when the scan's result is here: a
 *                     row whose branch is known is left to that branch
 *   3. decisions      an INQUIRY per row without a word; nobody acts on silence, WAIT or UNKNOWN
 *   4. prepared set   FINISH itself finds out whether the row is still there
 * With 1 after 2, a branch that prepares between them would look like nobody's.
 *
 * A scan that failed says nothing (never "no rows"). Rows are compared with what was true in the
 * step that issued the scan: a branch that became prepared later may rightly be missing from it,
 * and one that was finished later may rightly still be in it.
 */
#include <string.h>

#include "common/check.h"
#include "participant/branch_internal.h"

void agent_scan(struct agent *agent)
{
    struct command *command = agent_command(agent, COMMAND_SCAN);
    command->as.scan.look_for_others = !agent->has_fenced;
    command->as.scan.end_others =
        agent->others_since_ms != 0 && agent->now_ms - agent->others_since_ms >= OTHERS_GRACE_MS;
    agent->scan_id = command->id;
    agent->scan_history = agent->history;
    agent->scan_step = agent->step;
    agent->scan_number++;
    agent->scan_after_fence = agent->has_fenced;
    for (size_t i = 0; i < agent->journal_count; i++) {
        agent->journals[i]->scan_head = agent->journals[i]->witness.head.number;
    }
}

/* Sets when a branch without a word asks (P-6). Without a coordinator nobody can be asked: the
 * welcome does it. */
void agent_branch_await(struct agent *agent, struct agent_branch *branch)
{
    const struct agent_config *config = &agent->config;
    uint64_t due_ms = UINT64_MAX;
    if (agent_session_for(agent, &branch->gid.gtrid) != 0) {
        if (branch->state == BRANCH_UNOWNED) {
            due_ms = agent->now_ms + UNOWNED_ASK_MS;
        } else if (branch->tries == 0) {
            due_ms = branch->prepared_ms + config->inquiry_grace_ms;
        } else {
            uint32_t min_ms = config->inquiry_grace_ms > config->retry_min_ms
                                  ? config->inquiry_grace_ms
                                  : config->retry_min_ms;
            uint32_t max_ms = config->retry_max_ms > min_ms ? config->retry_max_ms : min_ms;
            due_ms = agent->now_ms + agent_backoff(agent, branch->tries, min_ms, max_ms);
        }
    }
    agent_timer_set(agent, &branch->timer, due_ms);
}

void agent_branch_ask(struct agent *agent, struct agent_branch *branch)
{
    uint64_t session = agent_session_for(agent, &branch->gid.gtrid);
    if (session == 0) {
        return;
    }
    struct message *message = agent_send(agent, session, MESSAGE_INQUIRY);
    message->as.inquiry.gid = branch->gid;
    message->as.inquiry.prepared_ms = agent->now_ms - branch->prepared_ms;
    message->as.inquiry.of_outcome = branch->compare_mark != 0;
    agent->counters.inquiries++;
    branch->tries++;
    agent_branch_await(agent, branch);
}

static bool branch_is_waiting(const struct agent_branch *branch)
{
    return branch->state == BRANCH_PREPARED || branch->state == BRANCH_DOUBTFUL ||
           branch->state == BRANCH_UNOWNED;
}

void agent_branches_await(struct agent *agent, const struct journal_id *journal)
{
    struct agent_branch *branch = NULL;
    TAILQ_FOREACH(branch, &agent->live, list)
    {
        if (branch->state == BRANCH_TELLING &&
            journal_id_equal(&branch->gid.gtrid.journal, journal)) {
            branch->tries = 0;
            agent_timer_set(agent, &branch->timer, agent->now_ms);
        } else if (branch_is_waiting(branch) &&
                   journal_id_equal(&branch->gid.gtrid.journal, journal)) {
            branch->tries = 0;
            if (branch->state == BRANCH_UNOWNED) {
                /* Another coordinator process of this journal may know more. */
                agent_branch_move(agent, branch, BRANCH_DOUBTFUL);
            }
            agent_branch_await(agent, branch);
        }
    }
}

/* P-13: a sweep waits for the rows that were there when it began. A fence sees to it that none of an executed branch comes after
 * "rolled back"; nobody can fence an application:
 *   1. it is late; its transaction aborts, the agent finds nothing, and a sweep that knows of later records is complete;
 *   2. it prepares; the coordinator is restarted, and answers WAIT while another participant is away, for longer than the retention;
 *   3. that one comes back, and the floor rises as far as 1 allows: over the row, and nobody may say ABORT any more.
 * So what was told is taken back until the row has ended. */
static void sweep_take_back(struct agent *agent, struct agent_branch *branch)
{
    if (!branch->is_late) {
        branch->is_late = true;
        agent->late_open++;
        agent->health_due = true;
    }
}

static void sweep_give_back(struct agent *agent, struct agent_branch *branch)
{
    if (branch->is_late) {
        branch->is_late = false;
        agent->late_open--;
        agent->health_due = true;
    }
}

/* Looked for, and not counted with its journal, which may be let go and come again while the row is there (JOURNAL_MAX). */
uint64_t agent_sweep_number(const struct agent *agent, const struct agent_journal *journal)
{
    const struct agent_branch *branch = NULL;
    if (agent->late_open == 0) {
        return journal->swept_number;
    }
    TAILQ_FOREACH(branch, &agent->live, list)
    {
        if (branch->is_late && journal_id_equal(&branch->gid.gtrid.journal, &journal->id)) {
            return 0;
        }
    }
    return journal->swept_number;
}

/* A row of ours that no branch of this process stands for: an earlier incarnation left it, or it
 * came late. */
void agent_branch_adopt(struct agent *agent, struct agent_branch *branch, uint64_t age_ms)
{
    branch->prepared_ms = age_ms < agent->now_ms ? agent->now_ms - age_ms : 0;
    branch->tries = 0;
    agent_compare_resolved(agent, branch); /* its row came back: it is a branch like any other */
    agent_branch_move(agent, branch, BRANCH_DOUBTFUL);
    agent_branch_await(agent, branch);
    if (agent_tombstone_has(agent, &branch->gid.gtrid)) {
        agent->counters.late_prepares++;
        agent_notice(agent, AGENT_NOTICE_LATE_PREPARE, &branch->gid,
                     "prepared after its abort was told");
        sweep_take_back(agent, branch);
    }
    if (branch->txn->erase != NULL) {
        agent_branch_roll_back(agent, branch); /* the word for all attempts of its gtrid is there */
    }
}

/* NULL: there is no room; a later sweep comes back to it. */
static struct agent_branch *row_seen(struct agent *agent, const struct gid *gid,
                                     const struct prepared_row *row)
{
    uint64_t age_ms = row->age_ms;
    struct agent_branch *branch = agent_branch_find(agent, gid);
    if (branch == NULL) {
        if (agent->live_count >= BRANCH_LIVE_MAX) {
            return NULL;
        }
        branch = agent_branch_new(agent, gid);
        agent_branch_adopt(agent, branch, age_ms);
    } else if ((branch->state == BRANCH_DONE || branch->state == BRANCH_TELLING) &&
               branch->since_step < agent->scan_step) {
        /* It was over before the scan was issued, and is prepared again: a late second PREPARE. */
        branch->word = WORD_NONE;
        branch->asked_by_gid = false;
        branch->vote = VOTE_UNKNOWN;
        agent_branch_adopt(agent, branch, age_ms);
    } else {
        agent_external_seen(agent, branch, row->xid);
    }
    branch->seen_scan = agent->scan_number;
    return branch;
}

static void branch_notice_owner(struct agent *agent, struct agent_branch *branch)
{
    if (!branch->noticed_owner && agent->now_ms - branch->found_ms >= UNKNOWN_OWNER_GRACE_MS) {
        branch->noticed_owner = true;
        agent_notice(agent, AGENT_NOTICE_UNKNOWN_OWNER, &branch->gid,
                     "prepared for %llu s, and no coordinator of its journal is connected",
                     (unsigned long long)((agent->now_ms - branch->prepared_ms) / 1000));
    }
}

/* An application prepared it in another database than that of the participant whose name it has: under another participant's name
 * here, or under ours in another database of the server (there, only of a coordinator that we know: the same name may be used by
 * another installation). No agent may end it (P-6), not even if its transaction aborted: the one that it names is not connected to
 * where it is, and the other one is not named; and COMMIT of the very gid may be right where it belongs. So a person is told. */
static bool row_is_misplaced(struct agent *agent, const struct prepared_row *row,
                             const struct gid *gid)
{
    bool is_here = row->database[0] == '\0';
    bool is_ours = strcmp(gid->participant, agent->config.participant) == 0;
    return is_here ? !is_ours : is_ours && agent_journal_find(agent, &gid->gtrid.journal) != NULL;
}

struct misplaced {
    const struct prepared_row *row; /* NULL: none */
    struct gid gid;
};

/* Each is told of once, when it is the newest that there is. */
static void misplaced_tell(struct agent *agent, const struct misplaced *newest,
                           uint32_t count_before)
{
    if (agent->misplaced_count != count_before) {
        agent->health_due = true;
    }
    bool is_news = newest->row != NULL && !gid_equal(&newest->gid, &agent->misplaced_told);
    agent->misplaced_told = newest->gid;
    if (is_news) {
        const char *database = newest->row->database;
        agent_notice(agent, AGENT_NOTICE_MISPLACED, &newest->gid,
                     "it is in %s and holds its locks until ROLLBACK PREPARED there; %u such rows",
                     database[0] == '\0' ? "this participant's database" : database,
                     agent->misplaced_count);
    }
}

/* False if not every row could be looked at. */
static bool scan_rows(struct agent *agent, const struct command_result *result)
{
    bool is_complete = true;
    agent->prepared_count = 0;
    uint32_t misplaced_before = agent->misplaced_count;
    struct misplaced newest = {0};
    agent->foreign_count = 0;
    agent->misplaced_count = 0;
    agent->oldest_prepared_ms = 0;
    for (size_t i = 0; i < result->row_count; i++) {
        const struct prepared_row *row = &result->rows[i];
        struct gid gid = {0};
        /* P-6: prefix, exact form, participant name and database, or it is not ours to touch. */
        if (!gid_parse(row->gid_text, &gid)) {
            continue;
        }
        if (row_is_misplaced(agent, row, &gid)) {
            agent->misplaced_count++;
            newest = (struct misplaced){.row = row, .gid = gid}; /* rows come in that order */
        }
        if (row->database[0] != '\0' || strcmp(gid.participant, agent->config.participant) != 0) {
            continue;
        }
        agent->prepared_count++;
        if (row->age_ms > agent->oldest_prepared_ms) {
            agent->oldest_prepared_ms = row->age_ms;
        }
        struct agent_branch *branch = row_seen(agent, &gid, row);
        if (branch == NULL) {
            is_complete = false;
        } else if (branch->state == BRANCH_UNOWNED || agent_session_for(agent, &gid.gtrid) == 0) {
            agent->foreign_count++;
            branch_notice_owner(agent, branch);
        }
    }
    misplaced_tell(agent, &newest, misplaced_before);
    return is_complete;
}

/* The row is gone, and nobody here ended it: a person did, one way or the other. It is asked about all the same: the word
 * leads to FINISH, which finds nothing, and to the proof (P-12), or a commit by hand of what was aborted would go unseen
 * (H1). While its coordinator is away it waits (scan_bound_stranded). Where nobody can ever be asked, or the coordinator has said that it does not know, there is nothing to compare with. */
static void branch_vanished(struct agent *agent, struct agent_branch *branch)
{
    if (branch->vote == VOTE_COMMIT) {
        agent_vote_void(agent, branch, "the prepared transaction is gone");
    }
    if (branch->state == BRANCH_UNOWNED ||
        agent_journal_find(agent, &branch->gid.gtrid.journal) == NULL) {
        agent_branch_free(agent, branch);
    } else if (branch->state == BRANCH_PREPARED) {
        agent_branch_move(agent, branch, BRANCH_DOUBTFUL);
        agent_branch_await(agent, branch);
    }
}

/* Prepared before the scan was issued, and not in it: somebody else ended it. */
static void scan_vanished(struct agent *agent)
{
    struct agent_branch *next = NULL;
    for (struct agent_branch *branch = TAILQ_FIRST(&agent->live); branch != NULL; branch = next) {
        next = TAILQ_NEXT(branch, list);
        if (branch_is_waiting(branch) && branch->since_step < agent->scan_step &&
            branch->seen_scan != agent->scan_number) {
            branch_vanished(agent, branch);
        }
    }
}

/* Without a row and without anybody to ask: it holds nothing in the database, and waits for its coordinator. */
static bool branch_is_stranded(const struct agent *agent, const struct agent_branch *branch,
                               uint64_t session)
{
    bool has_no_row = branch->state == BRANCH_DOUBTFUL || branch->state == BRANCH_TELLING;
    return has_no_row && branch->since_step < agent->scan_step &&
           branch->seen_scan != agent->scan_number && session == 0;
}

/* A coordinator that never comes back must not fill this process with branches that exist nowhere else: at BRANCH_LIVE_MAX
 * the work of every coordinator would be refused. Those beyond the bound, found first, are no longer compared. If their
 * coordinator does come back, it drives what it has committed and learns how that ended by the gid; what goes unseen is a
 * commit by hand of what it had aborted. Hence the bound, no time limit, and a word about each. */
static void scan_bound_stranded(struct agent *agent)
{
    if (agent->state_count[BRANCH_DOUBTFUL] + agent->state_count[BRANCH_TELLING] <=
        BRANCH_STRANDED_MAX) {
        return;
    }
    size_t count = 0;
    struct agent_branch *branch = NULL, *next = NULL;
    TAILQ_FOREACH(branch, &agent->live, list)
    {
        uint64_t session = agent_session_for(agent, &branch->gid.gtrid);
        count += branch_is_stranded(agent, branch, session) ? 1 : 0;
    }
    for (branch = TAILQ_FIRST(&agent->live); branch != NULL && count > BRANCH_STRANDED_MAX;
         branch = next) {
        next = TAILQ_NEXT(branch, list);
        if (branch_is_stranded(agent, branch, agent_session_for(agent, &branch->gid.gtrid))) {
            agent->counters.hazards++;
            agent_notice(
                agent, AGENT_NOTICE_HAZARD, &branch->gid,
                "ended by somebody else while its coordinator is away, like too many others "
                "to keep them all");
            agent_compare_anew(
                agent, &branch->gid.gtrid.journal); /* its outcome row, if any, is asked about */
            agent_branch_free(agent, branch);
            count--;
        }
    }
}

/* P-12: a later process need not compare what had ended when this sweep was opened. What a person did to a branch of this
 * process was noticed and is on record by now, what an earlier process left was compared. */
static void journal_raise_compared(struct agent_journal *journal)
{
    if (journal->sweep_xid > journal->witness.compared_xid) {
        journal->witness.compared_xid = journal->sweep_xid;
        journal->witness.compared_timeline = journal->sweep_timeline;
        journal->is_dirty = true;
    }
}

static void journal_swept(struct agent *agent, struct agent_journal *journal)
{
    journal->swept_number = journal->sweep_head;
    journal->sweep_mark = 0;
    journal_raise_compared(journal);
    agent->health_due = true;
}

/* P-13: counts what must be resolved before every row from before sweep_head is known to be gone.
 * Branches that are live now count as well: one of them may be the unnoticed rest of an abort that
 * nobody has recorded. That holds for one whose client still thinks, too, for it may be prepared before this sweep is over, and
 * its coordinator gone; its deadline bounds the wait. */
static void sweeps_open(struct agent *agent, uint64_t horizon_xid)
{
    for (size_t i = 0; i < agent->journal_count; i++) {
        struct agent_journal *journal = agent->journals[i];
        /* Not before all outcomes were compared: the floor follows a sweep, and below it nobody can be asked (P-12). That
         * begins when all is settled: while an earlier process's backend may still prepare, a sweep without its row says
         * nothing (P-13). */
        if (!journal->is_compared || journal->sweep_mark != 0 ||
            journal->scan_head <= journal->swept_number) {
            continue;
        }
        journal->sweep_mark = agent->scan_number;
        journal->sweep_head = journal->scan_head;
        journal->sweep_xid = horizon_xid;
        journal->sweep_timeline = agent->status.identity.timeline;
        journal->sweep_open = 0;
        struct agent_branch *branch = NULL;
        TAILQ_FOREACH(branch, &agent->live, list)
        {
            if (branch->state != BRANCH_UNOWNED &&
                journal_id_equal(&branch->gid.gtrid.journal, &journal->id)) {
                branch->sweep_mark = journal->sweep_mark;
                journal->sweep_open++;
            }
        }
        if (journal->sweep_open == 0) {
            journal_swept(agent, journal);
        }
    }
}

void agent_sweep_resolved(struct agent *agent, struct agent_branch *branch)
{
    sweep_give_back(agent, branch);
    if (branch->sweep_mark == 0) {
        return;
    }
    struct agent_journal *journal = agent_journal_find(agent, &branch->gid.gtrid.journal);
    if (journal != NULL && journal->sweep_mark == branch->sweep_mark) {
        CHECK(journal->sweep_open > 0);
        journal->sweep_open--;
        if (journal->sweep_open == 0) {
            journal_swept(agent, journal);
        }
    }
    branch->sweep_mark = 0;
}

/* Of an earlier process, which may still prepare something that nobody knows: until it is gone, a complete scan settles nothing. */
static void scanned_others(struct agent *agent, const struct command_result *result)
{
    if (result->is_alone) {
        agent->others_since_ms = 0;
        agent_fenced(agent);
        return;
    }
    if (agent->has_fenced) {
        return; /* it was not looked for */
    }
    if (agent->others_since_ms == 0) {
        agent->others_since_ms = agent->now_ms;
        agent->others_told = false;
    } else if (!agent->others_told && agent->now_ms - agent->others_since_ms >= OTHERS_TELL_MS) {
        agent->others_told = true;
        agent_notice(agent, AGENT_NOTICE_OTHERS, NULL,
                     "%s; no sweep counts and no outcome is compared until it is gone; it is ended "
                     "when it has been there for %d s",
                     result->detail, OTHERS_GRACE_MS / 1000);
    }
}

void agent_scanned(struct agent *agent, const struct command_result *result)
{
    agent->scan_id = 0;
    agent->scan_due_ms = agent->now_ms + agent->config.sweep_interval_ms;
    if (agent->scan_history != agent->history) {
        agent->scan_due_ms = agent->now_ms; /* it may have read another history (P-14) */
        return;
    }
    if (result->class != PG_OK) {
        return;
    }
    bool is_complete = scan_rows(agent, result);
    scan_vanished(agent);
    scan_bound_stranded(agent);
    agent->counters.sweeps++;
    agent->is_reconciling = false;
    if (is_complete) {
        agent->is_settled = agent->is_settled || agent->scan_after_fence;
        sweeps_open(agent, result->proof.xid8);
    }
    scanned_others(agent, result);
}

/* P-14: another server, another timeline, or one set back: nothing that was known of it holds any
 * more. */
void agent_history_changed(struct agent *agent)
{
    agent->history++;
    agent->is_reconciling = true;
    agent->has_fenced = false;
    agent->is_settled = false;
    agent->others_since_ms = 0;
    agent->scan_due_ms = agent->now_ms;
    agent_branch_drop_answers(agent);
    for (size_t i = 0; i < agent->journal_count; i++) {
        agent->journals[i]->swept_number = 0;
        agent->journals[i]->sweep_mark = 0;
    }
    agent_compares_restart(agent);
    agent_notice(agent, AGENT_NOTICE_HISTORY_CHANGED, NULL, "%s", agent->status.text);
    struct agent_branch *branch = NULL;
    TAILQ_FOREACH(branch, &agent->live, list)
    {
        if (branch->state == BRANCH_PREPARED) {
            agent_vote_void(agent, branch, "the database's history changed");
            agent_branch_move(agent, branch, BRANCH_DOUBTFUL);
            agent_branch_await(agent, branch);
        }
    }
    agent_peers_claim_again(agent);
}
