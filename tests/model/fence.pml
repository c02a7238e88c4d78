/*
 * fence.pml - one branch, executed more than once: late prepares, the fence step by step, and attempts.
 *
 * Modelled:  the participant of participant/branch_work.c, branch_erase.c, branch_sweep.c, pg_proof.c with several
 *            executions (attempts) of one transaction, on backends that outlive their agent; the coordinator's view of
 *            this branch (the other branches always say yes, so this vote decides).
 * Fails:     the agent dies; WORK lies somewhere and arrives again, at another incarnation or after its answer was forgotten.
 * Elsewhere: everything else (commit.pml). This wire is worse than the real one: copies survive sessions, so P-20 is tested
 *            without the link's help.
 * Rules:     P-3 P-6 P-8 P-9 P-11 P-12 P-20.
 */
#include "names.pml"

#ifndef AGENT_CRASHES
#define AGENT_CRASHES 2
#endif
#ifndef WORK_COPIES
#define WORK_COPIES 2
#endif
#define ATTEMPTS 3 /* attempts 1 and 2; 0 is "no gid" */

byte agent_crashes = AGENT_CRASHES, work_copies = WORK_COPIES;
bool faults_over;

/* coordinator */
mtype txn_state = TXN_PREPARING;
byte gid;      /* the attempt that was voted for; 0: none */
bool recorded; /* the COMMIT record names it, durably */
bool acked;
bool vote_in_flight[ATTEMPTS];
bool rollback_in_flight; /* without a gid */
bool ack_in_flight;

/* agent */
bool agent_up = true;
mtype agent_branch[ATTEMPTS] = NOTHING;
mtype word[ATTEMPTS] = WORD_NONE;
bool mine[ATTEMPTS];   /* this incarnation runs it */
mtype erase = NOTHING;
bool erase_fenced;     /* LOOK's first half is done */
bool is_found[ATTEMPTS]; /* what LOOK read */
bool tombstone;
bool swept;

/* database */
bool backend[ATTEMPTS];
mtype row[ATTEMPTS] = ROW_NONE;

/* X1, P-20: the effects of one execution, at most. */
#define check_once() assert(!(row[1] == ROW_COMMITTED && row[2] == ROW_COMMITTED))

#if defined(BUG_25) || defined(BUG_13) /* the gid is the transaction's, whatever execution it was */
#define is_named(a) recorded
#else
#define is_named(a) (recorded && gid == a)
#endif

active proctype coordinator()
{
    byte a;
end:
    do
    :: atomic { txn_state == TXN_PREPARING && (vote_in_flight[1] || vote_in_flight[2]) ->
        if
        :: vote_in_flight[1] -> a = 1
        :: vote_in_flight[2] -> a = 2
        fi;
        assert(row[a] == ROW_PREPARED); /* P-3 */
        vote_in_flight[a] = false;
        gid = a;
        recorded = true;
        a = 0;
        txn_state = TXN_COMMITTING }
    :: atomic { txn_state != TXN_PREPARING && (vote_in_flight[1] || vote_in_flight[2]) -> /* stale */
        vote_in_flight[1] = false;
        vote_in_flight[2] = false }
    :: atomic { txn_state == TXN_PREPARING -> /* deadline: nobody voted, so there is no name */
        txn_state = TXN_ABORTING;
        rollback_in_flight = true }
    :: atomic { txn_state == TXN_ABORTING && ack_in_flight ->
        ack_in_flight = false;
        txn_state = TXN_ABORTED }
    :: atomic { txn_state == TXN_ABORTING && agent_up && !rollback_in_flight && !ack_in_flight && erase == NOTHING ->
        rollback_in_flight = true } /* again */
    od
}

inline agent_branch_adopt(a)
{
    agent_branch[a] = BRANCH_DOUBTFUL;
    word[a] = (erase != NOTHING -> WORD_ROLLBACK : WORD_NONE)
}

#define row_is_unknown(a) (row[a] == ROW_PREPARED && (agent_branch[a] == NOTHING || agent_branch[a] == BRANCH_DONE))
#ifdef BUG_17
#define sweep_goes_on !swept
#else
#define sweep_goes_on true
#endif
#define branch_is_over(a) (agent_branch[a] == NOTHING || agent_branch[a] == BRANCH_DONE)

inline work_execute(a)
{
    assert(erase == NOTHING && !tombstone); /* P-9 */
    agent_branch[a] = BRANCH_EXECUTING;
    word[a] = WORD_NONE;
    mine[a] = true;
    backend[a] = true
}

active proctype agent()
{
end:
    do
    :: atomic { agent_up && work_copies > 0 -> /* agent_work */
        work_copies--;
        if
#ifdef BUG_36 /* no tombstones */
        :: erase != NOTHING || tombstone -> work_execute(2)
#else
        :: erase != NOTHING || tombstone /* refused */
#endif
#ifndef BUG_13
        :: erase == NOTHING && !tombstone && (agent_branch[1] != NOTHING || agent_branch[2] != NOTHING) /* repeated */
        :: erase == NOTHING && !tombstone && agent_branch[1] == NOTHING && agent_branch[2] == NOTHING ->
#else
        :: erase == NOTHING && !tombstone ->
#endif
            if /* P-20: a fresh nonce for each execution */
            :: row[1] == ROW_NONE && !backend[1] && agent_branch[1] == NOTHING -> work_execute(1)
            :: (row[1] != ROW_NONE || backend[1] || agent_branch[1] != NOTHING) && row[2] == ROW_NONE && !backend[2] ->
                work_execute(2)
            :: else
            fi
        fi }
    :: atomic { agent_up && rollback_in_flight -> /* agent_rollback, agent_erase_start */
        rollback_in_flight = false;
        tombstone = true;
        if
        :: erase == NOTHING ->
            erase = ERASE_LOOKING;
            erase_fenced = false;
            if
            :: agent_branch[1] != NOTHING -> word[1] = WORD_ROLLBACK
            :: else
            fi;
            if
            :: agent_branch[2] != NOTHING -> word[2] = WORD_ROLLBACK
            :: else
            fi
        :: else
        fi }
    /* LOOK: fence, and then read (P-11). */
#ifndef BUG_32
    :: atomic { agent_up && erase == ERASE_LOOKING && !erase_fenced ->
#ifndef BUG_17
        backend[1] = false;
        backend[2] = false;
#endif
        erase_fenced = true }
    :: atomic { agent_up && erase == ERASE_LOOKING && erase_fenced ->
        is_found[1] = (row[1] == ROW_PREPARED);
        is_found[2] = (row[2] == ROW_PREPARED);
        erase = ERASE_ENDING }
#else /* reads first: what prepares in between is overlooked */
    :: atomic { agent_up && erase == ERASE_LOOKING && !erase_fenced ->
        is_found[1] = (row[1] == ROW_PREPARED);
        is_found[2] = (row[2] == ROW_PREPARED);
        erase_fenced = true }
    :: atomic { agent_up && erase == ERASE_LOOKING && erase_fenced ->
        backend[1] = false;
        backend[2] = false;
        erase = ERASE_ENDING }
#endif
    :: atomic { agent_up && erase == ERASE_ENDING && is_found[1] ->
        is_found[1] = false;
        if
        :: row_is_unknown(1) -> agent_branch_adopt(1)
        :: else
        fi }
    :: atomic { agent_up && erase == ERASE_ENDING && is_found[2] ->
        is_found[2] = false;
        if
        :: row_is_unknown(2) -> agent_branch_adopt(2)
        :: else
        fi }
    :: atomic { (agent_up && erase == ERASE_ENDING && !is_found[1] && !is_found[2]
                 && branch_is_over(1) && branch_is_over(2)) ->
        erase = NOTHING;
        assert(!backend[1] && !backend[2]); /* P-11: nothing is prepared, and nothing will be */
        assert(row[1] != ROW_PREPARED && row[2] != ROW_PREPARED);
        ack_in_flight = true }
    od
}

active [2] proctype branch() /* what happens to attempt a at the agent and in the database */
{
    byte a = 1 + _pid % 2;
end:
    do
    :: atomic { backend[a] ->
        backend[a] = false;
        row[a] = ROW_PREPARED }
    :: atomic { backend[a] -> backend[a] = false } /* failed */
    /* EXECUTE ended: its result, or the lost connection (then LOOK, whose answer is the same) */
    :: atomic { agent_up && mine[a] && !backend[a] && agent_branch[a] == BRANCH_EXECUTING ->
        mine[a] = false;
        if
        :: row[a] == ROW_PREPARED && word[a] == WORD_NONE ->
            agent_branch[a] = BRANCH_PREPARED;
            vote_in_flight[a] = true
        :: row[a] == ROW_PREPARED && word[a] != WORD_NONE -> agent_branch[a] = BRANCH_FINISHING
        :: else -> agent_branch[a] = BRANCH_DONE
        fi }
    /* the sweep (P-11) */
    :: atomic { (agent_up && row_is_unknown(a) && sweep_goes_on) -> agent_branch_adopt(a) }
#ifdef BUG_17
    :: atomic { agent_up && !swept -> swept = true }
#endif
    /* COMMIT, or an inquiry and its verdict (P-8, P-20) */
    :: atomic { (agent_up && (agent_branch[a] == BRANCH_PREPARED || agent_branch[a] == BRANCH_DOUBTFUL)
                 && (word[a] != WORD_NONE || txn_state != TXN_PREPARING)) ->
        if
        :: word[a] == WORD_NONE && is_named(a) -> word[a] = WORD_COMMIT
        :: word[a] == WORD_NONE && !is_named(a) -> word[a] = WORD_ROLLBACK
        :: else
        fi;
        agent_branch[a] = BRANCH_FINISHING }
    :: atomic { agent_up && agent_branch[a] == BRANCH_FINISHING ->
        assert(word[a] != WORD_NONE); /* P-6 */
        if
        :: row[a] == ROW_PREPARED && word[a] == WORD_COMMIT -> row[a] = ROW_COMMITTED
        :: row[a] == ROW_PREPARED && word[a] == WORD_ROLLBACK -> row[a] = ROW_GONE
        :: else /* P-12: the outcome row tells; nothing is done twice */
        fi;
        check_once();
        agent_branch[a] = BRANCH_DONE }
    /* a DONE branch is forgotten (BRANCH_DONE_MAX) */
    :: atomic { agent_up && agent_branch[a] == BRANCH_DONE && work_copies > 0 ->
        agent_branch[a] = NOTHING;
        word[a] = WORD_NONE }
    od
}

active proctype environment()
{
    do
    :: atomic { agent_crashes > 0 && agent_up ->
        agent_crashes--;
        agent_branch[1] = NOTHING;
        agent_branch[2] = NOTHING;
        word[1] = WORD_NONE;
        word[2] = WORD_NONE;
        mine[1] = false;
        mine[2] = false;
        erase = NOTHING;
        erase_fenced = false;
        is_found[1] = false;
        is_found[2] = false;
        tombstone = false;
        swept = false } /* and the next incarnation is there */
    :: break
    od;
    atomic {
        faults_over = true;
        agent_crashes = 0
    }
}

active proctype rest()
{
    atomic {
        timeout && faults_over ->
        assert(!backend[1] && !backend[2] && row[1] != ROW_PREPARED && row[2] != ROW_PREPARED); /* L1, P-11 */
        assert(txn_state == TXN_ABORTED || txn_state == TXN_COMMITTING);
        assert(txn_state != TXN_COMMITTING || row[gid] == ROW_COMMITTED); /* A1 */
        assert(txn_state != TXN_ABORTED || (row[1] != ROW_COMMITTED && row[2] != ROW_COMMITTED));
        assert(!recorded || (gid == 1 -> row[2] : row[1]) != ROW_COMMITTED) /* P-20 */
    }
}
