/*
 * commit.pml - one transaction over two participants, from WORK to END, with everything that may fail on the way.
 *
 * Modelled:     coordinator/core*.c, participant/branch*.c (one attempt of each branch), the journal's thread and its
 *               disk, PostgreSQL's prepared rows, the client. A step of a core is one atomic block, because one
 *               thread owns each core; what leaves in a step's ready is in flight when the block ends.
 * Fails:        either process at any point, the machine under the journal, a sync, links, single messages; messages
 *               are repeated and overtake each other; PREPARE fails, its reply is lost, its backend outlives the agent; a
 *               person says ROLLBACK PREPARED; a database fails over to a standby without the row. Each has a budget below.
 * Elsewhere:    several attempts of one branch and the fence step by step (fence.pml); epochs, witnesses, the floor (epoch.pml)
 *
 * Rules:        P-1 P-2 P-3 P-4 P-5 P-6 P-7 P-8 P-9 P-11 P-12 P-14 P-16, invariants I1 to I4 (docs/PROTOCOL.md says where).
 * Faults end:   `environment` stops at any moment of its choice. From then on every run must come to rest
 *               (check_model.sh looks for cycles: there must be none), and where nothing can move any more `rest` demands that
 *               all is resolved. Together: after the last fault everything ends, whoever is scheduled.
 */
#include "names.pml"

/* Faults: `environment` begins with one of these mixes of budgets, how often each may happen in one run; -DMIX=n takes the
 * n-th alone. What happens to one participant only happens to participant 0: everything here is the same for both, so
 * a run in which it happens to the other is this one with the two names exchanged. Where two such faults meet, the second
 * one (cuts, duplicates) may happen to the same participant or to the other: `other_hit`. */
#ifndef MIX
#define MIX 0 /* any of them */
#endif
byte crashes;       /* of the coordinator */
byte power_losses;  /* of these crashes; loses what was not synced */
byte agent_crashes;
byte cuts;          /* links lost without a crash */
byte losses;        /* messages, and replies of PostgreSQL */
byte duplicates;
byte sync_failures;
byte hands;         /* ROLLBACK PREPARED by a person */
byte failovers;     /* to a standby that never had the prepared row */
byte other_hit;     /* the participant whose link is cut, whose messages come twice */

inline choose_other()
{
    if
    :: other_hit = 0
    :: other_hit = 1
    fi
}

inline choose_mix()
{
    if
    :: MIX == 0 || MIX == 1 -> crashes = 2; power_losses = 1; agent_crashes = 1
    :: MIX == 0 || MIX == 2 -> crashes = 1; duplicates = 1
    :: MIX == 0 || MIX == 3 -> losses = 1
    :: MIX == 0 || MIX == 4 -> cuts = 1; hands = 1; choose_other()
    :: MIX == 0 || MIX == 5 -> crashes = 1; power_losses = 1; sync_failures = 1
    :: MIX == 0 || MIX == 6 -> failovers = 1
    :: MIX == 0 || MIX == 7 -> duplicates = 1; agent_crashes = 1; choose_other()
    :: MIX == 0 || MIX == 8 -> crashes = 1; losses = 1 /* also EXECUTE's reply: its backend prepares late */
#if MIX == 9
    :: crashes = 1; duplicates = 1; agent_crashes = 1; choose_other()
#endif
    fi
}

bool faults_over;

/* ---- the wire: sets of messages in flight, so that they overtake each other; a session's end empties them ---- */

/* to_agent */
#define MESSAGE_WORK           1
#define MESSAGE_COMMIT         2
#define MESSAGE_ROLLBACK       4 /* without a gid */
#define MESSAGE_ROLLBACK_GID   8
#define MESSAGE_VERDICT_COMMIT 16
#define MESSAGE_VERDICT_ABORT  32
#define MESSAGE_VERDICT_WAIT   64
#define MESSAGE_WORDS          58
#define MESSAGE_VERDICTS       112
/* to_coord */
#define MESSAGE_VOTE_COMMIT            1
#define MESSAGE_VOTE_ABORT             2
#define MESSAGE_VOTE_UNKNOWN           4
#define MESSAGE_VOTE_REFUSED           8 /* VOTE_ABORT with attempt 0: nothing was executed */
#define MESSAGE_VOTES                  15
#define MESSAGE_ACK_COMMITTED          16
#define MESSAGE_ACK_ROLLED_BACK        32
#define MESSAGE_ACK_ERASED             64 /* ACK_ROLLED_BACK with attempt 0 */
#define MESSAGE_ACKS                   112
#define MESSAGE_ACK_HEURISTIC_ROLLBACK 128
#define MESSAGE_INQUIRY                256

short to_agent[2], to_coord[2];
bool coord_session[2], agent_session[2]; /* welcomed, as either side sees it */

#define arrives(set, kind) ((set) & (kind))

inline send(set, kind) { set = set | (kind) }

/* Every message may come once more, as long as the budget lasts. (p: the process's own participant) */
inline receive(set, kind)
{
    if
    :: set = set & ~(kind)
    :: duplicates > 0 && p == other_hit -> duplicates--
    fi
}

inline lose_one(set)
{
    losses--;
    if
    :: arrives(set, 1) -> set = set & ~1
    :: arrives(set, 2) -> set = set & ~2
    :: arrives(set, 4) -> set = set & ~4
    :: arrives(set, 8) -> set = set & ~8
    :: arrives(set, 16) -> set = set & ~16
    :: arrives(set, 32) -> set = set & ~32
    :: arrives(set, 64) -> set = set & ~64
    :: arrives(set, 128) -> set = set & ~128
    :: arrives(set, 256) -> set = set & ~256
    fi
}

/* ---- the coordinator's memory and its journal ---- */

bool coord_up = true;
mtype txn_state = TXN_PREPARING; /* NOTHING: not in memory */
mtype branch_state[2] = BRANCH_WORKING;
bool has_gid[2];
bool decided_commit;
bool reported[2] = true; /* in this epoch (P-10) */
#ifdef BUG_5
byte votes; /* counted, in place of the set */
#endif

mtype journal_commit = RECORD_NONE, journal_end = RECORD_NONE;
mtype journal_heuristic[2] = RECORD_NONE;
bool durable_event; /* DURABLE is in the inbox */

mtype client_told = NOTHING;

/* ---- each participant: the agent's memory and its database ---- */

bool agent_up[2] = true;
mtype agent_branch[2] = NOTHING;
mtype word[2] = WORD_NONE;
bool asked_by_gid[2];
mtype agent_vote[2] = NOTHING;
mtype agent_ack[2] = NOTHING; /* of a BRANCH_DONE */
mtype erase[2] = NOTHING;
bool tombstone[2];
bool told_to_wait[2]; /* the last verdict was WAIT */
#ifdef BUG_17
bool swept[2];
#endif

mtype row[2] = ROW_NONE;
bool backend[2];      /* one may still prepare the branch */
mtype reply[2] = NOTHING; /* to the agent's EXECUTE, not read yet */
bool by_hand[2];      /* a person or a failover ended the row */
bool history_changed[2]; /* the agent does not know yet (P-14) */

/* ---- what is always true ---- */

/* A1 and I1, after every change of a row. What a person or a failover did is H1's business. */
inline check_rows()
{
    assert(!(row[0] == ROW_COMMITTED && row[1] == ROW_GONE && !by_hand[1]));
    assert(!(row[1] == ROW_COMMITTED && row[0] == ROW_GONE && !by_hand[0]));
    assert(!(client_told == TXN_ABORTED && (row[0] == ROW_COMMITTED || row[1] == ROW_COMMITTED))) /* D1 */
}

/* D1, Q1, P-1 and P-4: no word to the client before it is durable, and never two different ones. */
inline tell_client(outcome)
{
    assert(client_told == NOTHING || client_told == outcome);
    assert(outcome != TXN_COMMITTED || journal_commit == RECORD_DURABLE);
    assert(outcome != TXN_ABORTED || (journal_commit == RECORD_NONE || journal_commit == RECORD_QUEUED));
    client_told = outcome
}

/* ---- coordinator/core_finish.c ---- */

inline finish_tell(p)
{
    if
    :: coord_session[p] && branch_state[p] == BRANCH_COMMITTING ->
#ifndef BUG_1
        assert(journal_commit == RECORD_DURABLE); /* P-4, I2 */
#endif
        send(to_agent[p], MESSAGE_COMMIT)
    :: coord_session[p] && branch_state[p] == BRANCH_ROLLING_BACK && has_gid[p] ->
        send(to_agent[p], MESSAGE_ROLLBACK_GID)
    :: coord_session[p] && branch_state[p] == BRANCH_ROLLING_BACK && !has_gid[p] ->
        send(to_agent[p], MESSAGE_ROLLBACK)
    :: !coord_session[p] && branch_state[p] == BRANCH_ROLLING_BACK ->
        branch_state[p] = BRANCH_ROLLED_BACK; /* left to the sweep */
        has_gid[p] = false
    :: else
    fi
}

#define branch_is_open(p)                                                                                             \
    (branch_state[p] == BRANCH_WORKING || branch_state[p] == BRANCH_PREPARED || branch_state[p] == BRANCH_COMMITTING  \
     || branch_state[p] == BRANCH_ROLLING_BACK)
#define branch_is_heuristic(p) (branch_state[p] == BRANCH_HEURISTIC_ROLLBACK)

#ifdef BUG_12 /* END at the first acknowledgement */
#define txn_is_over \
    ((!branch_is_open(0) || !branch_is_open(1)) && !branch_is_heuristic(0) && !branch_is_heuristic(1))
#else
#define txn_is_over \
    (!branch_is_open(0) && !branch_is_open(1) && !branch_is_heuristic(0) && !branch_is_heuristic(1))
#endif

inline finish_check()
{
    if
    :: txn_is_over && txn_state == TXN_COMMITTING ->
        txn_state = TXN_COMMITTED;
        assert((row[0] == ROW_COMMITTED || by_hand[0]) && (row[1] == ROW_COMMITTED || by_hand[1])); /* P-5, I4 */
        journal_end = RECORD_WRITTEN /* lazy: whether it survives does not matter */
    :: txn_is_over && txn_state == TXN_ABORTING -> txn_state = TXN_ABORTED
    :: else
    fi
}

inline finish_drive()
{
    finish_tell(0);
    finish_tell(1)
}

inline finish_durable()
{
    txn_state = TXN_COMMITTING;
    branch_state[0] = BRANCH_COMMITTING;
    branch_state[1] = BRANCH_COMMITTING;
    finish_drive();
    tell_client(TXN_COMMITTED) /* "decided"; "completed" comes later and says the same */
}

inline finish_heuristic(p)
{
    assert(by_hand[p]); /* H1, P-12: none without a person or a lost database */
    branch_state[p] = BRANCH_HEURISTIC_ROLLBACK;
    txn_state = TXN_HEURISTIC;
    journal_heuristic[p] = RECORD_QUEUED
}

/* ---- coordinator/core_vote.c ---- */

#ifdef BUG_9 /* the deadline counts in DECIDING, too */
#define branch_may_hold(p) (branch_state[p] != BRANCH_REFUSED)
#else
#define branch_may_hold(p) \
    (branch_state[p] == BRANCH_WORKING || branch_state[p] == BRANCH_PREPARED || branch_state[p] == BRANCH_UNKNOWN)
#endif

inline branch_abort(p)
{
    if
    :: branch_may_hold(p) -> branch_state[p] = BRANCH_ROLLING_BACK
    :: else
    fi
}

inline vote_abort()
{
#ifndef BUG_9
    assert(!decided_commit); /* P-2 */
#endif
    txn_state = TXN_ABORTING;
    branch_abort(0);
    branch_abort(1);
    tell_client(TXN_ABORTED);
    finish_drive();
    finish_check()
}

inline vote_decide()
{
    assert(has_gid[0] && has_gid[1]); /* P-7: a yes of each one, by its gid; two of one are one */
    decided_commit = true;
    txn_state = TXN_DECIDING;
    journal_commit = RECORD_QUEUED;
#ifdef BUG_1
    send(to_agent[0], MESSAGE_COMMIT);
    send(to_agent[1], MESSAGE_COMMIT)
#endif
#ifdef BUG_2
    client_told = TXN_COMMITTED
#endif
}

#ifdef BUG_5
#define vote_all_in (votes >= 2)
#else
#define vote_all_in (branch_state[0] == BRANCH_PREPARED && branch_state[1] == BRANCH_PREPARED)
#endif

inline vote_no(p)
{
    has_gid[p] = has_gid[p] || vote == VOTE_UNKNOWN;
    if
    :: vote == VOTE_UNKNOWN || branch_state[p] == BRANCH_PREPARED -> branch_state[p] = BRANCH_UNKNOWN
    :: else -> branch_state[p] = BRANCH_REFUSED
    fi;
    vote_abort()
}

inline vote_step(p)
{
    if
    :: txn_state == TXN_PREPARING && branch_state[p] == BRANCH_WORKING && vote == VOTE_COMMIT ->
        branch_state[p] = BRANCH_PREPARED;
        has_gid[p] = true;
#ifdef BUG_5
        votes++;
#endif
        if
        :: vote_all_in -> vote_decide()
        :: else
        fi
#ifdef BUG_5
    :: txn_state == TXN_PREPARING && branch_state[p] == BRANCH_PREPARED && vote == VOTE_COMMIT ->
        votes++;
        if
        :: vote_all_in -> vote_decide()
        :: else
        fi
#endif
    :: (txn_state == TXN_PREPARING && vote != VOTE_COMMIT
        && (branch_state[p] == BRANCH_WORKING || (branch_state[p] == BRANCH_PREPARED && !refused))) ->
        vote_no(p) /* the first vote, or a yes that is taken back */
    :: (txn_state == TXN_ABORTING || txn_state == TXN_ABORTED) && !refused && vote != VOTE_ABORT ->
        send(to_agent[p], MESSAGE_ROLLBACK_GID) /* vote_stale */
    :: else
    fi
}

/* ---- coordinator/core_inquiry.c ---- */

#define txn_is_undecided (txn_state == TXN_PREPARING || txn_state == TXN_DECIDING)
#define inquiry_must_wait \
    (txn_is_undecided \
     || (txn_state == NOTHING && journal_commit != RECORD_DURABLE && !(reported[0] && reported[1])))

inline inquiry_step(p)
{
    if
    :: inquiry_must_wait -> send(to_agent[p], MESSAGE_VERDICT_WAIT)
    :: !inquiry_must_wait && (decided_commit || (txn_state == NOTHING && journal_commit == RECORD_DURABLE)) ->
        assert(journal_commit == RECORD_DURABLE); /* P-8, I2 */
        send(to_agent[p], MESSAGE_VERDICT_COMMIT)
    :: else ->
#ifdef BUG_11 /* what is not there committed */
        send(to_agent[p], MESSAGE_VERDICT_COMMIT)
#else
        assert(journal_commit == RECORD_NONE); /* P-1, I5 */
        send(to_agent[p], MESSAGE_VERDICT_ABORT)
#endif
    fi
}

/* ---- coordinator/core_peer.c ---- */

inline peer_down(p)
{
    coord_session[p] = false;
    to_coord[p] = 0;
    if
    :: txn_state == TXN_PREPARING -> vote_abort()
    :: txn_state == TXN_ABORTING ->
        finish_drive();
        finish_check()
    :: else
    fi
}

/* From the connection to WELCOME in one step: epoch.pml takes it apart. */
inline peer_welcome(p)
{
    to_agent[p] = 0;
    to_coord[p] = 0;
    coord_session[p] = true;
    agent_session[p] = true;
    reported[p] = true;
    told_to_wait[p] = false; /* agent_branches_await: it asks again */
    if
    :: txn_state == TXN_COMMITTING || txn_state == TXN_HEURISTIC || txn_state == TXN_ABORTING ->
        finish_tell(p);
        finish_check()
    :: else
    fi
}

/* A repetition that changes nothing but timers is left out, or the model would never rest: while the last message or
 * its answer is on the way, or the agent is busy with it. The budget for duplicates makes such repetitions, too. */
#define agent_is_busy(p)                                                                                              \
    (erase[p] != NOTHING || agent_branch[p] == BRANCH_EXECUTING || agent_branch[p] == BRANCH_CANCELLING               \
     || agent_branch[p] == BRANCH_LOOKING || agent_branch[p] == BRANCH_FINISHING || agent_branch[p] == BRANCH_PROVING)
#define may_repeat(p) \
    (coord_session[p] && agent_session[p] && to_agent[p] == 0 && to_coord[p] == 0 && !agent_is_busy(p))

active [2] proctype coord_hears() /* the messages of participant p */
{
    byte p = _pid % 2;
    mtype vote;
    bool refused;
end:
    do
    :: atomic { coord_up && coord_session[p] && arrives(to_coord[p], MESSAGE_VOTES) ->
        if
        :: arrives(to_coord[p], MESSAGE_VOTE_COMMIT) ->
            receive(to_coord[p], MESSAGE_VOTE_COMMIT);
            vote = VOTE_COMMIT
        :: arrives(to_coord[p], MESSAGE_VOTE_ABORT) ->
            receive(to_coord[p], MESSAGE_VOTE_ABORT);
            vote = VOTE_ABORT
        :: arrives(to_coord[p], MESSAGE_VOTE_UNKNOWN) ->
            receive(to_coord[p], MESSAGE_VOTE_UNKNOWN);
            vote = VOTE_UNKNOWN
        :: arrives(to_coord[p], MESSAGE_VOTE_REFUSED) ->
            receive(to_coord[p], MESSAGE_VOTE_REFUSED);
            vote = VOTE_ABORT;
            refused = true
        fi;
        vote_step(p);
        vote = 0;
        refused = false }
    :: atomic { coord_up && coord_session[p] && arrives(to_coord[p], MESSAGE_ACKS) ->
        if
        :: arrives(to_coord[p], MESSAGE_ACK_COMMITTED) ->
            receive(to_coord[p], MESSAGE_ACK_COMMITTED);
            if
            :: branch_state[p] == BRANCH_COMMITTING -> branch_state[p] = BRANCH_COMMITTED
            :: else
            fi
        :: arrives(to_coord[p], MESSAGE_ACK_ROLLED_BACK) ->
            receive(to_coord[p], MESSAGE_ACK_ROLLED_BACK);
            if
            :: branch_state[p] == BRANCH_ROLLING_BACK -> branch_state[p] = BRANCH_ROLLED_BACK
            :: else
            fi
        :: arrives(to_coord[p], MESSAGE_ACK_ERASED) ->
            receive(to_coord[p], MESSAGE_ACK_ERASED);
            if /* nameless: only where no name is known */
            :: branch_state[p] == BRANCH_ROLLING_BACK && !has_gid[p] -> branch_state[p] = BRANCH_ROLLED_BACK
            :: else
            fi
        fi;
        finish_check() }
    :: atomic { coord_up && coord_session[p] && arrives(to_coord[p], MESSAGE_ACK_HEURISTIC_ROLLBACK) ->
        receive(to_coord[p], MESSAGE_ACK_HEURISTIC_ROLLBACK);
        if
        :: branch_state[p] == BRANCH_COMMITTING -> finish_heuristic(p)
        :: else
        fi }
    :: atomic { coord_up && coord_session[p] && arrives(to_coord[p], MESSAGE_INQUIRY) ->
        receive(to_coord[p], MESSAGE_INQUIRY);
        inquiry_step(p) }
    /* links and timers of this participant */
    :: atomic { (coord_up && coord_session[p] && (!agent_session[p] || (cuts > 0 && p == other_hit))) ->
        if
        :: agent_session[p] -> cuts-- /* a cut that the coordinator sees first */
        :: else
        fi;
        peer_down(p) }
    :: atomic { coord_up && agent_up[p] && !coord_session[p] && !agent_session[p] -> peer_welcome(p) }
    :: atomic { (coord_up && may_repeat(p)
                && (branch_state[p] == BRANCH_COMMITTING || branch_state[p] == BRANCH_ROLLING_BACK)
                && (txn_state == TXN_COMMITTING || txn_state == TXN_ABORTING || txn_state == TXN_HEURISTIC)) ->
        finish_tell(p) }
    od
}

active proctype coord_self() /* deadline, DURABLE, recovery, the client's question */
{
end:
    do
    :: atomic { coord_up && txn_state == TXN_PREPARING -> vote_abort() } /* timer_txn */
#ifdef BUG_9
    :: atomic { coord_up && txn_state == TXN_DECIDING -> vote_abort() }
#endif
    :: atomic { coord_up && durable_event && txn_state == TXN_DECIDING ->
        durable_event = false;
        finish_durable() }
    :: atomic { !coord_up ->
        coord_up = true;
        reported[0] = false;
        reported[1] = false;
        if
        :: journal_commit == RECORD_NONE /* presumed abort: nothing is known of it */
        :: journal_commit != RECORD_NONE ->
#ifndef BUG_31 /* what was read may have been in the page cache alone */
            journal_commit = RECORD_DURABLE;
#endif
            assert(journal_commit == RECORD_DURABLE); /* P-16: before anything of it is told */
            if
#ifndef BUG_10
            :: journal_end == RECORD_NONE ->
                txn_state = TXN_COMMITTING; /* start_commit */
                decided_commit = true;
                branch_state[0] = BRANCH_COMMITTING;
                branch_state[1] = BRANCH_COMMITTING;
                has_gid[0] = true;
                has_gid[1] = true;
                if
                :: journal_heuristic[0] != RECORD_NONE ->
                    branch_state[0] = BRANCH_HEURISTIC_ROLLBACK; txn_state = TXN_HEURISTIC
                :: else
                fi;
                if
                :: journal_heuristic[1] != RECORD_NONE ->
                    branch_state[1] = BRANCH_HEURISTIC_ROLLBACK; txn_state = TXN_HEURISTIC
                :: else
                fi
#endif
            :: else
            fi
        fi }
    /* The client asks by key; only an answer that it has not heard yet is of interest. */
    :: atomic { (coord_up && client_told == NOTHING
                && (txn_state == TXN_COMMITTING || txn_state == TXN_COMMITTED || txn_state == TXN_HEURISTIC
                    || (txn_state == NOTHING && journal_commit == RECORD_DURABLE))) ->
        tell_client(TXN_COMMITTED) }
    :: atomic { coord_up && client_told == NOTHING && txn_state == NOTHING && journal_commit == RECORD_NONE ->
        tell_client(TXN_ABORTED) } /* the key may run again: nothing happened, and nothing of it will */
    od
}

inline coord_crash()
{
    coord_up = false;
    coord_session[0] = false;
    coord_session[1] = false;
    to_coord[0] = 0;
    to_coord[1] = 0;
    txn_state = NOTHING;
    branch_state[0] = NOTHING;
    branch_state[1] = NOTHING;
    has_gid[0] = false;
    has_gid[1] = false;
    decided_commit = false;
    durable_event = false;
    if
    :: journal_commit == RECORD_QUEUED -> journal_commit = RECORD_NONE
    :: else
    fi;
    if
    :: journal_end == RECORD_WRITTEN -> journal_end = RECORD_NONE
    :: journal_end == RECORD_WRITTEN -> journal_end = RECORD_DURABLE
    :: else
    fi;
    if
    :: journal_heuristic[0] == RECORD_QUEUED -> journal_heuristic[0] = RECORD_NONE
    :: else
    fi;
    if
    :: journal_heuristic[1] == RECORD_QUEUED -> journal_heuristic[1] = RECORD_NONE
    :: else
    fi
}

active proctype journal() /* the journal's thread */
{
end:
    do
    :: atomic { coord_up && journal_commit == RECORD_QUEUED ->
        journal_commit = RECORD_WRITTEN
#ifdef BUG_3
        ; durable_event = true /* synchronous=NORMAL */
#endif
        }
#ifndef BUG_3
    :: atomic { coord_up && journal_commit == RECORD_WRITTEN && txn_state == TXN_DECIDING ->
        journal_commit = RECORD_DURABLE;
        durable_event = true }
    :: atomic { coord_up && journal_commit == RECORD_WRITTEN && txn_state == TXN_DECIDING && sync_failures > 0 ->
        sync_failures--;
        journal_commit = RECORD_UNSYNCED; /* the kernel calls the page clean now */
#ifdef BUG_4
        durable_event = true /* the second sync "succeeds" */
#else
        coord_crash() /* fail-stop: recovery writes it again */
#endif
        }
#endif
    :: atomic { coord_up && journal_heuristic[0] == RECORD_QUEUED -> journal_heuristic[0] = RECORD_DURABLE }
    :: atomic { coord_up && journal_heuristic[1] == RECORD_QUEUED -> journal_heuristic[1] = RECORD_DURABLE }
    od
}

/* ---- participant/branch_*.c ---- */

inline agent_send(p, kind)
{
    if
    :: agent_session[p] -> send(to_coord[p], kind)
    :: else
    fi
}

inline agent_vote_again(p)
{
    if
    :: agent_vote[p] == VOTE_COMMIT ->
#if !defined(BUG_6) && !defined(BUG_7)
        assert(row[p] != ROW_NONE || history_changed[p]); /* P-3, and P-14: never for another history */
#endif
        agent_send(p, MESSAGE_VOTE_COMMIT)
    :: agent_vote[p] == VOTE_ABORT -> agent_send(p, MESSAGE_VOTE_ABORT)
    :: agent_vote[p] == VOTE_UNKNOWN -> agent_send(p, MESSAGE_VOTE_UNKNOWN)
    :: else
    fi
}

inline agent_branch_finish(p)
{
#ifndef BUG_8
    assert(word[p] != WORD_NONE); /* P-6, I3 */
#endif
    agent_branch[p] = BRANCH_FINISHING;
    told_to_wait[p] = false
}

inline ack_send(p, kind)
{
    if
    :: kind == ACK_COMMITTED ->
        assert(row[p] == ROW_COMMITTED); /* P-5, P-12 */
        agent_send(p, MESSAGE_ACK_COMMITTED)
    :: kind == ACK_ROLLED_BACK ->
        assert(row[p] != ROW_COMMITTED);
        agent_send(p, MESSAGE_ACK_ROLLED_BACK)
    :: kind == ACK_HEURISTIC_ROLLBACK -> agent_send(p, MESSAGE_ACK_HEURISTIC_ROLLBACK)
    fi
}

inline agent_branch_end(p, kind)
{
    agent_branch[p] = BRANCH_DONE;
    agent_ack[p] = kind;
    if
    :: asked_by_gid[p] -> ack_send(p, kind)
    :: else
    fi;
    asked_by_gid[p] = false; /* of no use any more: fewer states */
    agent_vote[p] = NOTHING;
    agent_erase_check(p)
}

inline agent_erase_check(p)
{
    if
    :: (erase[p] == ERASE_ENDING
       && (agent_branch[p] == NOTHING || agent_branch[p] == BRANCH_DONE || word[p] == WORD_COMMIT)) ->
        erase[p] = NOTHING;
        agent_send(p, MESSAGE_ACK_ERASED)
    :: else
    fi
}

inline agent_branch_look(p) { agent_branch[p] = BRANCH_LOOKING }

inline agent_branch_roll_back(p)
{
    if
    :: word[p] == WORD_NONE && agent_branch[p] == BRANCH_EXECUTING ->
        word[p] = WORD_ROLLBACK;
        agent_branch[p] = BRANCH_CANCELLING
    :: word[p] == WORD_NONE && (agent_branch[p] == BRANCH_PREPARED || agent_branch[p] == BRANCH_DOUBTFUL) ->
        word[p] = WORD_ROLLBACK;
        agent_branch_finish(p)
    :: word[p] == WORD_NONE && agent_branch[p] == BRANCH_LOOKING -> word[p] = WORD_ROLLBACK
    :: else
    fi
}

/* P-2: what has not voted when its session ends can only abort. */
inline agent_peer_down(p)
{
    agent_session[p] = false;
    to_agent[p] = 0;
    if
    :: agent_branch[p] == BRANCH_EXECUTING -> agent_branch_roll_back(p) /* agent_branches_abandon */
    :: else
    fi
}

/* A word about the branch, known here or not (branch_hear, gid_hear). */
inline branch_hear(p) /* told: WORD_COMMIT or WORD_ROLLBACK */
{
    assert(word[p] == WORD_NONE || word[p] == told); /* I1: the coordinator never contradicts itself */
    if
    :: agent_branch[p] == BRANCH_EXECUTING ->
#if !defined(BUG_5) && !defined(BUG_6)
        assert(told == WORD_ROLLBACK); /* no vote has left */
#endif
        if
        :: told == WORD_ROLLBACK ->
            asked_by_gid[p] = true;
            agent_branch_roll_back(p)
        :: else
        fi
    :: agent_branch[p] == NOTHING || agent_branch[p] == BRANCH_PREPARED || agent_branch[p] == BRANCH_DOUBTFUL ->
        word[p] = told;
        asked_by_gid[p] = true;
        agent_branch_finish(p)
    :: (agent_branch[p] == BRANCH_CANCELLING || agent_branch[p] == BRANCH_LOOKING
       || agent_branch[p] == BRANCH_FINISHING || agent_branch[p] == BRANCH_PROVING) ->
        word[p] = told;
        asked_by_gid[p] = true
    :: (agent_branch[p] == BRANCH_DONE
       && (told == WORD_COMMIT && agent_ack[p] != ACK_ROLLED_BACK
           || told == WORD_ROLLBACK && agent_ack[p] == ACK_ROLLED_BACK)) ->
        ack_send(p, agent_ack[p])
    :: (agent_branch[p] == BRANCH_DONE
       && !(told == WORD_COMMIT && agent_ack[p] != ACK_ROLLED_BACK
            || told == WORD_ROLLBACK && agent_ack[p] == ACK_ROLLED_BACK)) ->
        word[p] = told;
        asked_by_gid[p] = true;
        agent_branch_finish(p)
    fi
}

#ifdef BUG_36 /* no tombstones */
#define is_refused(p) false
#else
#define is_refused(p) (erase[p] != NOTHING || tombstone[p])
#endif

inline agent_work(p)
{
    if
    :: agent_branch[p] == NOTHING && is_refused(p) -> agent_send(p, MESSAGE_VOTE_REFUSED)
    :: agent_branch[p] == NOTHING && !is_refused(p) ->
        assert(erase[p] == NOTHING && !tombstone[p]); /* P-9: not after a ROLLBACK that this incarnation heard */
        agent_branch[p] = BRANCH_EXECUTING;
        backend[p] = true;
        reply[p] = NOTHING;
#ifdef BUG_6
        agent_vote[p] = VOTE_COMMIT;
        agent_vote_again(p)
#endif
    :: agent_branch[p] == BRANCH_PREPARED -> agent_vote_again(p)
    :: agent_branch[p] == BRANCH_LOOKING || agent_branch[p] == BRANCH_DOUBTFUL ->
        agent_vote[p] = VOTE_UNKNOWN; /* P-3: found is no yes */
        agent_vote_again(p)
    :: agent_branch[p] == BRANCH_DONE && agent_vote[p] == VOTE_ABORT -> agent_vote_again(p)
    :: agent_branch[p] == BRANCH_DONE && agent_vote[p] != VOTE_ABORT -> agent_send(p, MESSAGE_VOTE_REFUSED)
    :: else /* decided already, or it runs */
    fi
}

/* EXECUTE's reply becomes a vote, or goes on with the word that came meanwhile. */
inline agent_executed(p)
{
    if
    :: agent_branch[p] == BRANCH_EXECUTING && (reply[p] == PG_OK
#ifdef BUG_7
        || reply[p] == PG_ROLLED_BACK /* the tag was not looked at */
#endif
        ) ->
        agent_vote[p] = VOTE_COMMIT;
        agent_branch[p] = BRANCH_PREPARED;
        agent_vote_again(p)
#ifndef BUG_7
    :: agent_branch[p] == BRANCH_EXECUTING && reply[p] == PG_ROLLED_BACK ->
        agent_vote[p] = VOTE_ABORT;
        agent_vote_again(p);
        agent_ack[p] = ACK_ROLLED_BACK;
        agent_branch[p] = BRANCH_DONE
#endif
    :: agent_branch[p] == BRANCH_EXECUTING && reply[p] == PG_UNKNOWN ->
        agent_vote[p] = VOTE_UNKNOWN; /* P-2 */
        agent_vote_again(p);
        agent_branch_look(p)
    :: agent_branch[p] == BRANCH_CANCELLING && reply[p] == PG_OK -> agent_branch_finish(p)
    :: agent_branch[p] == BRANCH_CANCELLING && reply[p] == PG_ROLLED_BACK -> ends_as = ACK_ROLLED_BACK
    :: agent_branch[p] == BRANCH_CANCELLING && reply[p] == PG_UNKNOWN -> agent_branch_look(p)
    fi;
    reply[p] = NOTHING
}

/* A backend ends without having prepared: whoever waits for its reply has lost the connection. */
inline backend_end(p)
{
    if
    :: (backend[p] && (agent_branch[p] == BRANCH_EXECUTING || agent_branch[p] == BRANCH_CANCELLING)
        && reply[p] == NOTHING) -> reply[p] = PG_UNKNOWN
    :: else
    fi;
    backend[p] = false
}

#ifdef BUG_17
#define fence(p) skip
#else
#define fence(p) backend_end(p) /* P-11 */
#endif

inline agent_looked(p)
{
    fence(p);
    if
    :: row[p] != ROW_PREPARED && word[p] != WORD_COMMIT -> ends_as = ACK_ROLLED_BACK
    :: (row[p] == ROW_PREPARED || word[p] == WORD_COMMIT) && word[p] != WORD_NONE -> agent_branch_finish(p)
    :: row[p] == ROW_PREPARED && word[p] == WORD_NONE -> agent_branch[p] = BRANCH_DOUBTFUL
    fi
}

/* The sweep: a row that no branch stands for, and a branch whose row is gone. */
#define sweep_adopts(p) \
    (row[p] == ROW_PREPARED && (agent_branch[p] == NOTHING || agent_branch[p] == BRANCH_DONE))
#define sweep_misses(p) \
    (row[p] != ROW_PREPARED && (agent_branch[p] == BRANCH_PREPARED || agent_branch[p] == BRANCH_DOUBTFUL))

inline agent_branch_adopt(p)
{
    agent_branch[p] = BRANCH_DOUBTFUL;
    agent_vote[p] = VOTE_UNKNOWN;
    word[p] = WORD_NONE;
    asked_by_gid[p] = false;
    told_to_wait[p] = false;
    if
    :: erase[p] != NOTHING -> agent_branch_roll_back(p)
    :: else
    fi
}

inline agent_vote_void(p)
{
    if
    :: agent_vote[p] == VOTE_COMMIT ->
        agent_vote[p] = VOTE_UNKNOWN;
        agent_vote_again(p)
    :: else
    fi
}

/* FINISH: COMMIT PREPARED or ROLLBACK PREPARED. */
inline agent_finished(p)
{
    if
    :: row[p] == ROW_PREPARED && word[p] == WORD_COMMIT ->
        assert(journal_commit == RECORD_DURABLE); /* I2, where it counts */
        row[p] = ROW_COMMITTED;
        check_rows();
        if
        :: ends_as = ACK_COMMITTED
        :: losses > 0 && p == 0 -> losses-- /* the reply is lost: BRANCH_PAUSED, and FINISH again */
        fi
    :: row[p] == ROW_PREPARED && word[p] != WORD_COMMIT ->
        row[p] = ROW_GONE;
        check_rows();
        if
        :: ends_as = ACK_ROLLED_BACK
        :: losses > 0 && p == 0 -> losses--
        fi
    :: row[p] != ROW_PREPARED && word[p] == WORD_COMMIT ->
#ifdef BUG_16
        ends_as = ACK_COMMITTED /* "does not exist" taken for success */
#else
        agent_branch[p] = BRANCH_PROVING
#endif
    :: row[p] != ROW_PREPARED && word[p] != WORD_COMMIT -> agent_branch[p] = BRANCH_PROVING
    fi
}

/* PROVE: fence, look, the outcome row (P-12). */
inline agent_proved(p)
{
    fence(p);
    if
    :: row[p] == ROW_PREPARED -> agent_branch[p] = BRANCH_FINISHING
    :: row[p] == ROW_COMMITTED -> ends_as = ACK_COMMITTED
    :: (row[p] == ROW_NONE || row[p] == ROW_GONE) && word[p] == WORD_COMMIT ->
        ends_as = ACK_HEURISTIC_ROLLBACK
    :: (row[p] == ROW_NONE || row[p] == ROW_GONE) && word[p] == WORD_ROLLBACK ->
        ends_as = ACK_ROLLED_BACK
    fi
}

#define agent_branch_waits(p) (agent_branch[p] == BRANCH_PREPARED || agent_branch[p] == BRANCH_DOUBTFUL)

active [2] proctype agent()
{
    byte p = _pid % 2;
    mtype told, ends_as;
end:
    do
    :: atomic { agent_up[p] && agent_session[p] && arrives(to_agent[p], MESSAGE_WORK) ->
        receive(to_agent[p], MESSAGE_WORK);
        agent_work(p) }
    :: atomic { agent_up[p] && agent_session[p] && arrives(to_agent[p], MESSAGE_WORDS) ->
        if
        :: arrives(to_agent[p], MESSAGE_COMMIT) ->
            receive(to_agent[p], MESSAGE_COMMIT);
            told = WORD_COMMIT
        :: arrives(to_agent[p], MESSAGE_ROLLBACK_GID) ->
            receive(to_agent[p], MESSAGE_ROLLBACK_GID);
            tombstone[p] = true;
            told = WORD_ROLLBACK
        :: arrives(to_agent[p], MESSAGE_VERDICT_COMMIT) ->
            receive(to_agent[p], MESSAGE_VERDICT_COMMIT);
            told = (agent_branch_waits(p) -> WORD_COMMIT : WORD_NONE)
        :: arrives(to_agent[p], MESSAGE_VERDICT_ABORT) ->
            receive(to_agent[p], MESSAGE_VERDICT_ABORT);
            told = (agent_branch_waits(p) -> WORD_ROLLBACK : WORD_NONE)
        fi;
        if
        :: told != WORD_NONE -> branch_hear(p)
        :: else /* an old answer */
        fi;
        told = 0 }
    :: atomic { agent_up[p] && agent_session[p] && arrives(to_agent[p], MESSAGE_ROLLBACK) ->
        receive(to_agent[p], MESSAGE_ROLLBACK);
        tombstone[p] = true;
        if
        :: erase[p] == NOTHING -> /* agent_erase_start */
            agent_branch_roll_back(p);
            erase[p] = ERASE_LOOKING
        :: else
        fi }
    :: atomic { agent_up[p] && agent_session[p] && arrives(to_agent[p], MESSAGE_VERDICT_WAIT) ->
        receive(to_agent[p], MESSAGE_VERDICT_WAIT);
        told_to_wait[p] = true }
    /* results of commands */
    :: atomic { (agent_up[p]
                 && (reply[p] != NOTHING || agent_branch[p] == BRANCH_LOOKING || agent_branch[p] == BRANCH_FINISHING
                     || agent_branch[p] == BRANCH_PROVING)) ->
        if
        :: reply[p] != NOTHING -> agent_executed(p)
        :: reply[p] == NOTHING && agent_branch[p] == BRANCH_LOOKING -> agent_looked(p)
        :: reply[p] == NOTHING && agent_branch[p] == BRANCH_FINISHING -> agent_finished(p)
        :: reply[p] == NOTHING && agent_branch[p] == BRANCH_PROVING -> agent_proved(p)
        fi;
        if
        :: ends_as != 0 -> agent_branch_end(p, ends_as)
        :: else
        fi;
        ends_as = 0 }
    :: atomic { agent_up[p] && erase[p] == ERASE_LOOKING -> /* agent_erase_looked */
        fence(p);
        erase[p] = ERASE_ENDING;
        if
        :: row[p] == ROW_PREPARED && agent_branch[p] == NOTHING -> agent_branch_adopt(p)
        :: else
        fi;
        agent_erase_check(p) }
    /* the sweep and the inquiries */
#ifdef BUG_17
    :: atomic { agent_up[p] && !swept[p] ->
        swept[p] = true;
        if
        :: sweep_adopts(p) -> agent_branch_adopt(p)
        :: else
        fi }
#else
    :: atomic { agent_up[p] && sweep_adopts(p) -> agent_branch_adopt(p) }
#endif
    :: atomic { agent_up[p] && sweep_misses(p) -> /* scan_vanished */
        agent_vote_void(p);
        agent_branch[p] = NOTHING;
        agent_erase_check(p) }
    :: atomic { (agent_up[p] && agent_session[p] && coord_session[p]
                && (agent_branch[p] == BRANCH_PREPARED || agent_branch[p] == BRANCH_DOUBTFUL)
                && !arrives(to_coord[p], MESSAGE_INQUIRY)
                && !arrives(to_agent[p], MESSAGE_VERDICTS)
                && !(told_to_wait[p] && inquiry_must_wait)) -> /* asked once; again when the answer is another */
        told_to_wait[p] = false;
        send(to_coord[p], MESSAGE_INQUIRY) }
#ifdef BUG_8
    :: atomic { agent_up[p] && agent_branch[p] == BRANCH_PREPARED -> agent_branch_finish(p) }
#endif
    /* links and the database's state */
    :: atomic { agent_up[p] && agent_session[p] && !coord_session[p] -> agent_peer_down(p) }
    :: atomic { agent_up[p] && history_changed[p] -> /* P-14 */
        history_changed[p] = false;
#ifndef BUG_29
        if
        :: reply[p] != NOTHING -> reply[p] = PG_UNKNOWN /* what another history answered proves nothing */
        :: else
        fi;
        if
        :: agent_branch[p] == BRANCH_PREPARED ->
            agent_vote_void(p);
            agent_branch[p] = BRANCH_DOUBTFUL
        :: agent_branch[p] == BRANCH_DONE -> agent_branch[p] = NOTHING /* agent_branch_drop_answers */
        :: else
        fi
#endif
        }
    od
}

/* ---- PostgreSQL: EXECUTE, up to PREPARE TRANSACTION, on a backend that may outlive its agent ---- */

active [2] proctype database()
{
    byte p = _pid % 2;
end:
    do
    :: atomic { backend[p] ->
        backend[p] = false;
        row[p] = ROW_PREPARED;
        if
        :: agent_branch[p] == BRANCH_EXECUTING || agent_branch[p] == BRANCH_CANCELLING -> reply[p] = PG_OK
        :: else /* nobody reads it */
        fi }
    :: atomic { backend[p] -> /* a statement failed: the tag is ROLLBACK */
        backend[p] = false;
        if
        :: agent_branch[p] == BRANCH_EXECUTING || agent_branch[p] == BRANCH_CANCELLING -> reply[p] = PG_ROLLED_BACK
        :: else
        fi }
    :: atomic { (backend[p] && losses > 0 && reply[p] == NOTHING
                && (agent_branch[p] == BRANCH_EXECUTING || agent_branch[p] == BRANCH_CANCELLING)) ->
        losses--; /* the connection is lost; the backend goes on */
        reply[p] = PG_UNKNOWN }
    od
}

/* ---- what happens to them ---- */

inline agent_crash(p)
{
    agent_up[p] = false;
    agent_session[p] = false;
    to_agent[p] = 0;
    agent_branch[p] = NOTHING;
    word[p] = WORD_NONE;
    asked_by_gid[p] = false;
    agent_vote[p] = NOTHING;
    agent_ack[p] = NOTHING;
    erase[p] = NOTHING;
    tombstone[p] = false;
    told_to_wait[p] = false;
    reply[p] = NOTHING;
    history_changed[p] = false
}

active proctype environment()
{
    to_agent[0] = MESSAGE_WORK; /* vote_start */
    to_agent[1] = MESSAGE_WORK;
    atomic {
        coord_session[0] = true; coord_session[1] = true;
        agent_session[0] = true; agent_session[1] = true;
        choose_mix()
    };
    do
    :: atomic { crashes > 0 && coord_up ->
        crashes--;
        coord_crash();
        if
        :: true
        :: power_losses > 0 && (journal_commit == RECORD_WRITTEN || journal_commit == RECORD_UNSYNCED) ->
            power_losses--;
            journal_commit = RECORD_NONE
        :: power_losses > 0 && journal_commit == RECORD_WRITTEN ->
            power_losses--;
            journal_commit = RECORD_DURABLE
        fi }
    :: atomic { agent_crashes > 0 && agent_up[0] -> agent_crashes--; agent_crash(0) }
    :: atomic { cuts > 0 && coord_session[other_hit] && agent_session[other_hit] -> /* the agent sees it first */
        cuts--;
        agent_peer_down(other_hit) }
    :: atomic { losses > 0 && to_agent[0] != 0 -> lose_one(to_agent[0]) }
    :: atomic { losses > 0 && to_coord[0] != 0 -> lose_one(to_coord[0]) }
    :: atomic { hands > 0 && row[0] == ROW_PREPARED ->
        hands--;
        by_hand[0] = true;
        row[0] = ROW_GONE }
    :: atomic { failovers > 0 && row[0] == ROW_PREPARED -> /* to a standby that never had it */
        failovers--;
        by_hand[0] = true;
        row[0] = ROW_NONE;
        history_changed[0] = agent_up[0] }
    :: break
    od;
    atomic {
        faults_over = true; /* and what is left of the budgets is void */
        crashes = 0; power_losses = 0; agent_crashes = 0; cuts = 0; losses = 0; duplicates = 0; sync_failures = 0;
        hands = 0; failovers = 0
    }
}

active proctype agents_start()
{
end:
    do
    :: atomic { !agent_up[0] -> agent_up[0] = true
#ifdef BUG_17
        ; swept[0] = false
#endif
        }
    od
}

/* ---- L1 and H1: where nothing moves any more, everything is resolved ---- */

#define resolved(p) (row[p] != ROW_PREPARED && !backend[p])
/* A row that contradicts the decision is listed, durably. (A failover takes only prepared rows here: finished work that is
 * lost after its acknowledgement is a known limit, docs/ARCHITECTURE.md.) */
#define heuristic_is_known(p) \
    (journal_heuristic[p] == RECORD_DURABLE && branch_state[p] == BRANCH_HEURISTIC_ROLLBACK)

active proctype rest()
{
    atomic {
        timeout && faults_over ->
        assert(resolved(0) && resolved(1)); /* L1, K1, P-11 */
        assert(client_told != NOTHING);
        if
        :: journal_commit == RECORD_NONE ->
            assert(row[0] != ROW_COMMITTED && row[1] != ROW_COMMITTED); /* A1 */
            assert(client_told == TXN_ABORTED);
            assert(txn_state == NOTHING || txn_state == TXN_ABORTED) /* P-2 */
        :: else ->
            assert(journal_commit == RECORD_DURABLE);
            assert(client_told == TXN_COMMITTED);
            assert(row[0] == ROW_COMMITTED || heuristic_is_known(0)); /* A1, H1, P-12 */
            assert(row[1] == ROW_COMMITTED);
            assert(txn_state == TXN_COMMITTED || txn_state == TXN_HEURISTIC
                   || (txn_state == NOTHING && journal_end != RECORD_NONE)) /* L1: END, or a person is asked */
        fi;
        assert(branch_state[0] != BRANCH_ROLLING_BACK && branch_state[1] != BRANCH_ROLLING_BACK)
    }
}
