/*
 * epoch.pml - who may speak for a journal: epochs and their nonces, witnesses, the floor; and what is told about a gid
 * after the journal or a database was put back to an older state.
 *
 * Modelled:  one transaction of epoch 1, prepared at both participants by coordinator FIRST, which may decide it, tell it,
 *            end it and trim it. Then the journal is opened again, as one of: the same journal (`SECOND`), and a copy of it made
 *            before or after the decision; and at the same time perhaps a copy of that one, started elsewhere (`TWIN`:
 *            the same epoch with another nonce). coordinator/core_peer.c, core_inquiry.c, participant/branch_peer.c.
 * Fails:     FIRST dies or stays as a zombie; the journal is restored from an older copy; a copied journal is started; participant
 *            0's database is put back to when the branch was prepared.
 * Assumes:   a restored journal is older than one heartbeat: some agent was told of a head that it lacks. Without that,
 *            -DBUG_33 shows the hole that docs/PROTOCOL.md names under P-10.
 *            One disaster at a time: journal and database are not both put back. A copy that is started while its original
 *            still works was made after the decision (-DBUG_35: what happens if it was not).
 * Rules:     P-1 P-8 P-10 P-13, I5.
 */
#include "names.pml"

#define FIRST  0
#define SECOND 1
#define TWIN   2
#define NONE   3

/* Journals. A head is 1 (EPOCH 1), 2 (and COMMIT). The twin's is the second's. */
bool has_commit[3]; /* COMMIT of the transaction is in it */
bool trimmed[3];    /* the floor has passed the transaction */
bool running[3];    /* 0: not started or stopped */
bool stopped[3];    /* FENCED or BEHIND: for good, an operator's alarm */
bool reported[6];   /* [3 * participant + coordinator] */
mtype peer_state[6] = PEER_UNLOADED;
bool restored;      /* SECOND's journal lacks a COMMIT that was decided */
bool decided;       /* COMMIT was durable somewhere, ever */

#define epoch(c) ((c) == FIRST -> 1 : 2) /* and the nonce is c itself */

/* Participants: the witness in the database, and the row. */
byte witness_epoch[2] = 1, witness_nonce[2] = FIRST;
byte witness_head[2] = 1;
bool witness_floor[2];
mtype row[2] = ROW_PREPARED;
mtype agent_branch[2] = BRANCH_PREPARED;
bool set_back; /* participant 0's database was restored */
bool started, copied;
bool faults_over;

#ifdef BUG_35
#define first_may_decide true
#else
#define first_may_decide (!started)
#endif
#ifdef BUG_33
#define restore_is_noticed true
#else
#define restore_is_noticed (witness_head[0] == 2 || witness_head[1] == 2)
#endif
#ifdef BUG_37 /* the floor waits for nobody */
#define may_trim(c) has_commit[c]
#else
#define may_trim(c) \
    (has_commit[c] && row[0] == ROW_COMMITTED && row[1] == ROW_COMMITTED && is_welcomed(0, c) && is_welcomed(1, c))
#endif

inline trim(c)
{
    assert(row[0] == ROW_COMMITTED && row[1] == ROW_COMMITTED); /* P-13: passes only what everybody has finished */
    trimmed[c] = true;
    has_commit[c] = false
}

#define is_welcomed(p, c) (peer_state[3 * (p) + (c)] == PEER_WELCOMED)

/* A1 */
inline check_rows()
{
    assert(!(row[0] == ROW_COMMITTED && row[1] == ROW_GONE));
    assert(!(row[1] == ROW_COMMITTED && row[0] == ROW_GONE))
}

/* F1, P-10: whose word counts here? Only the highest epoch's, and of that one nonce. */
inline check_claim(p, c) { assert(epoch(c) == witness_epoch[p] && c == witness_nonce[p]) }

#ifdef BUG_21
#define is_behind(p, c) false
#else
#define is_behind(p, c) (witness_head[p] == 2 && !has_commit[c] && !trimmed[c])
#endif
#ifdef BUG_28
#define same_nonce(p, c) true
#else
#define same_nonce(p, c) (witness_nonce[p] == c)
#endif

#define claim_is_stale(p, c) (witness_epoch[p] > epoch(c) || (witness_epoch[p] == epoch(c) && !same_nonce(p, c)))
#define claim_is_outdated(p, c) is_behind(p, c) /* it was not when it was told: the witness grew since */
#define is_reconciled(c) (reported[c] && reported[3 + c])
#ifdef BUG_34 /* presumes abort for an earlier epoch before everybody has reported */
#define must_wait(c) (!has_commit[c] && !trimmed[c] && c == FIRST)
#else
#define must_wait(c) (!has_commit[c] && !trimmed[c] && (c == FIRST || !is_reconciled(c)))
#endif

inline coord_stop(c)
{
    running[c] = false;
    stopped[c] = true
}

active [6] proctype session() /* coordinator c with participant p */
{
    byte p = _pid / 3, c = _pid % 3;
    mtype verdict;
end:
    do
    /* WITNESS: what the database knows, before any claim (peer_witness) */
    :: atomic { running[c] && peer_state[3 * p + c] == PEER_UNLOADED ->
        if
        :: claim_is_stale(p, c) || is_behind(p, c) -> coord_stop(c)
        :: else -> peer_state[3 * p + c] = PEER_WITNESSED
        fi }
    /* CLAIM, STORE_WITNESS, WELCOME; what is stale is FENCED (claim_is_stale) */
    :: atomic { running[c] && peer_state[3 * p + c] == PEER_WITNESSED ->
        if
        :: claim_is_stale(p, c) -> coord_stop(c)
        :: !claim_is_stale(p, c) && claim_is_outdated(p, c) -> peer_state[3 * p + c] = PEER_UNLOADED /* WITNESS comes again */
        :: else ->
            witness_epoch[p] = epoch(c);
            witness_nonce[p] = c;
#ifndef BUG_28
            if /* one session speaks for a journal */
            :: is_welcomed(p, FIRST) -> peer_state[3 * p + FIRST] = PEER_FENCED
            :: else
            fi;
#endif
            reported[3 * p + c] = true;
            peer_state[3 * p + c] = PEER_WELCOMED
        fi }
    :: atomic { running[c] && peer_state[3 * p + c] == PEER_FENCED -> coord_stop(c) }
    /* HEAD, with the heartbeat */
    :: atomic { (running[c] && is_welcomed(p, c)
                 && (((has_commit[c] || trimmed[c]) && witness_head[p] == 1) || (trimmed[c] && !witness_floor[p]))) ->
        check_claim(p, c);
        witness_head[p] = 2;
        witness_floor[p] = trimmed[c] }
    /* COMMIT, or INQUIRY and VERDICT (inquiry_judge). WAIT changes nothing, so it is left out. */
    :: atomic { (running[c] && is_welcomed(p, c) && row[p] == ROW_PREPARED && agent_branch[p] != BRANCH_UNOWNED
                 && !must_wait(c)) ->
        check_claim(p, c);
        if
        :: has_commit[c] -> verdict = VERDICT_COMMIT
#ifdef BUG_30 /* what is not there did not commit, also below the floor */
        :: !has_commit[c] -> verdict = VERDICT_ABORT
#else
        :: !has_commit[c] && trimmed[c] -> verdict = VERDICT_UNKNOWN
        :: !has_commit[c] && !trimmed[c] -> verdict = VERDICT_ABORT
#endif
        fi;
        if
        :: verdict == VERDICT_COMMIT ->
            assert(decided); /* I2 */
            row[p] = ROW_COMMITTED
        :: verdict == VERDICT_ABORT ->
            assert(!decided); /* P-1, P-8, P-10, I5: certain, or nothing */
            row[p] = ROW_GONE
        :: verdict == VERDICT_UNKNOWN -> agent_branch[p] = BRANCH_UNOWNED
        fi;
        verdict = 0;
        check_rows() }
    od
}

active proctype journals()
{
end:
    do
    :: atomic { (running[FIRST] && !decided && (is_welcomed(0, FIRST) || is_welcomed(1, FIRST)) && first_may_decide) ->
        decided = true;
        has_commit[FIRST] = true }
    /* END, retention, FLOOR: after every acknowledgement and every sweep (P-13) */
    :: atomic { (running[FIRST] && may_trim(FIRST)) -> trim(FIRST) }
    :: atomic { (running[SECOND] && !copied && may_trim(SECOND)) -> trim(SECOND) }
    od
}

active proctype environment()
{
    running[FIRST] = true;
    peer_state[FIRST] = PEER_WELCOMED;
    peer_state[3 + FIRST] = PEER_WELCOMED;
    do
    :: atomic { running[FIRST] && !started -> running[FIRST] = false } /* dies */
    :: atomic { !running[FIRST] && !started -> /* the same journal, under its lock (P-17) */
        started = true;
        running[SECOND] = true;
        has_commit[SECOND] = has_commit[FIRST];
        trimmed[SECOND] = trimmed[FIRST] }
    :: atomic { decided && !started -> /* a copy made since; FIRST may live on as a zombie */
        started = true;
        running[SECOND] = true;
        has_commit[SECOND] = has_commit[FIRST];
        trimmed[SECOND] = trimmed[FIRST] }
    :: atomic { !running[FIRST] && !started && decided && restore_is_noticed && !set_back -> /* an older copy */
        started = true;
        restored = true;
        running[SECOND] = true }
#ifdef BUG_35 /* a copy made before the decision, started while FIRST still works */
    :: atomic { running[FIRST] && !decided && !started ->
        started = true;
        running[SECOND] = true }
#endif
    :: atomic { running[SECOND] && !copied -> /* and a copy of that one elsewhere: the same epoch, another nonce */
        copied = true;
        running[TWIN] = true;
        has_commit[TWIN] = has_commit[SECOND];
        trimmed[TWIN] = trimmed[SECOND] }
    :: atomic { !set_back && !restored && row[0] != ROW_PREPARED -> /* participant 0's database, from a backup */
        set_back = true;
        row[0] = ROW_PREPARED;
        agent_branch[0] = BRANCH_DOUBTFUL;
        witness_epoch[0] = 1;
        witness_nonce[0] = FIRST;
        witness_head[0] = 1;
        witness_floor[0] = false;
        peer_state[FIRST] = PEER_UNLOADED;
        peer_state[SECOND] = PEER_UNLOADED;
        peer_state[TWIN] = PEER_UNLOADED }
    :: break
    od;
    faults_over = true
}

active proctype rest()
{
    atomic {
        timeout && faults_over ->
        assert(!decided || (row[0] != ROW_GONE && row[1] != ROW_GONE)); /* A1, D1 */
        assert(!restored || stopped[SECOND]); /* P-10: refuses, and a person is asked */
        if /* L1: one coordinator whose journal is whole finishes everything */
        :: running[SECOND] && !copied && is_welcomed(0, SECOND) && is_welcomed(1, SECOND) ->
            assert(row[0] != ROW_PREPARED || agent_branch[0] == BRANCH_UNOWNED);
            assert(row[1] != ROW_PREPARED)
        :: else
        fi;
        assert(agent_branch[0] != BRANCH_UNOWNED || set_back); /* P-8, P-13: nothing else is left to a person */
        assert(!(running[SECOND] && !copied) || (is_welcomed(0, SECOND) && is_welcomed(1, SECOND)));
        assert(!(running[SECOND] && running[TWIN])) /* F1 */
    }
}
