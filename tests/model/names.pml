/*
 * names.pml - the names that the models share with the C code. check_names.sh looks each of them up in the
 * headers that the section names, so that a state that is renamed there is missed here.
 *
 * Both sides have an `enum branch_state`; where they share a word (BRANCH_PREPARED) the variable tells whose it
 * is: `branch_state` is the coordinator's view, `agent_branch` the agent's.
 */

/* names: coordinator/view.h */
mtype = {
    TXN_PREPARING, TXN_DECIDING, TXN_COMMITTING, TXN_COMMITTED, TXN_ABORTING, TXN_ABORTED, TXN_HEURISTIC,
    BRANCH_WORKING, BRANCH_REFUSED, BRANCH_UNKNOWN, BRANCH_COMMITTING, BRANCH_COMMITTED, BRANCH_ROLLING_BACK,
    BRANCH_ROLLED_BACK, BRANCH_HEURISTIC_COMMIT, BRANCH_HEURISTIC_ROLLBACK, BRANCH_HAZARD
}

/* names: participant/branch_internal.h */
mtype = {
    BRANCH_NEW, BRANCH_EXECUTING, BRANCH_CANCELLING, BRANCH_LOOKING, BRANCH_PREPARED, BRANCH_DOUBTFUL,
    BRANCH_UNOWNED, BRANCH_FINISHING, BRANCH_PROVING, BRANCH_DONE,
    ERASE_LOOKING, ERASE_ENDING, WORD_NONE, WORD_COMMIT, WORD_ROLLBACK,
    PEER_UNLOADED, PEER_WITNESSED, PEER_CLAIMED, PEER_WELCOMED, PEER_FENCED
}

/* names: common/messages.h common/outcome.h */
mtype = {
    VOTE_COMMIT, VOTE_ABORT, VOTE_UNKNOWN,
    ACK_COMMITTED, ACK_ROLLED_BACK, ACK_HEURISTIC_COMMIT, ACK_HEURISTIC_ROLLBACK, ACK_HAZARD,
    VERDICT_COMMIT, VERDICT_ABORT, VERDICT_WAIT, VERDICT_UNKNOWN
}

/* names: participant/command.h */
mtype = { PG_OK, PG_ROLLED_BACK, PG_UNKNOWN }

/* Of the models alone: what the code has no word for, because it is the absence of a thing, or the world.
 * names: none */
mtype = {
    NOTHING,                                              /* no such transaction, branch, vote, answer */
    ROW_NONE, ROW_PREPARED, ROW_COMMITTED, ROW_GONE,      /* in pg_prepared_xacts and assent.outcome */
    RECORD_NONE, RECORD_QUEUED, RECORD_WRITTEN,           /* with the journal's thread; in the page cache; */
    RECORD_UNSYNCED, RECORD_DURABLE                       /* ... after a sync that failed; on the disk */
}
