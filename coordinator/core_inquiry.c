/* core_inquiry.c - what became of this gid? (P-8) The answer that destroys data, ABORT, is given only where it
 * is certain that no COMMIT record names the gid and that this journal would have it if there were one. */
#include <stdio.h>
#include <string.h>

#include "coordinator/core_internal.h"

static bool inquiry_epoch_is_ours(const struct coord *coord, const struct gtrid *gtrid)
{
    for (size_t i = 0; i < coord->epoch_entry_count; i++) {
        if (coord->epoch_entries[i].epoch == gtrid->epoch &&
            coord->epoch_entries[i].nonce == gtrid->epoch_nonce) {
            return true;
        }
    }
    return false;
}

bool inquiry_above_floor(const struct coord *coord, const struct gtrid *gtrid)
{
    return gtrid->epoch > coord->floor.epoch ||
           (gtrid->epoch == coord->floor.epoch && gtrid->sequence > coord->floor.sequence);
}

static enum verdict inquiry_in_memory(const struct coord *coord, struct txn *txn,
                                      const struct gid *gid, struct proof *ret_proof)
{
    if (txn_is_a_note(txn)) {
        enum verdict forced = resolve_forced(coord, gid);
        return forced != VERDICT_UNKNOWN ? forced : coord_presume(coord, &txn->gtrid);
    }
    if (!txn->decided_commit) {
        bool undecided = txn->state == TXN_ACTIVE || txn_is_at_work(txn);
        undecided = undecided && !external_is_replaced(coord, txn, gid); /* P-20 */
        return undecided ? VERDICT_WAIT : VERDICT_ABORT;
    }
    if (txn->state == TXN_DECIDING) {
        return VERDICT_WAIT; /* P-4: not durable yet */
    }
    const struct branch *branch = txn_branch(coord, txn, gid->participant);
    if (branch != NULL && branch->recorded && gid_equal(&branch->gid, gid)) {
        *ret_proof = branch->proof;
        return VERDICT_COMMIT;
    }
    return VERDICT_ABORT; /* P-20: another attempt */
}

static enum verdict inquiry_in_journal(const struct journal_entry *entry, const struct gid *gid,
                                       struct proof *ret_proof)
{
    const struct record_commit *commit = &entry->commit.as.commit;
    for (size_t i = 0; i < commit->branch_count; i++) {
        if (!commit->branches[i].read_only && gid_equal(&commit->branches[i].gid, gid)) {
            *ret_proof = commit->branches[i].proof;
            return VERDICT_COMMIT;
        }
    }
    return VERDICT_ABORT;
}

enum verdict coord_presume(const struct coord *coord, const struct gtrid *gtrid)
{
    if (!journal_id_equal(&gtrid->journal, &coord->config.journal) ||
        !inquiry_epoch_is_ours(coord, gtrid)) {
        return VERDICT_UNKNOWN; /* a copy of this journal gave it out, or it was made up */
    }
    if (!inquiry_above_floor(coord, gtrid)) {
        return VERDICT_UNKNOWN; /* trimmed, also of this epoch: it may have committed */
    }
    if (gtrid->epoch == coord->epoch) {
        const struct request *request = request_find(coord, gtrid);
        if (request != NULL && !request_is_visible(request)) {
            return VERDICT_WAIT; /* nobody has been told its id yet, but it can be guessed; "aborted" would be for good */
        }
        /* Given out by this process and forgotten: it aborted (a commit would be in the journal). */
        return gtrid->sequence <= coord->next_sequence ? VERDICT_ABORT : VERDICT_UNKNOWN;
    }
    if (!coord->reconciled) {
        return VERDICT_WAIT; /* somebody may yet know that this journal is behind (P-10) */
    }
    return VERDICT_ABORT;
}

static enum verdict inquiry_judge(const struct coord *coord, const struct gid *gid,
                                  const struct coord_prior *prior, struct proof *ret_proof)
{
    const struct gtrid *gtrid = &gid->gtrid;
    if (!journal_id_equal(&gtrid->journal, &coord->config.journal)) {
        return VERDICT_UNKNOWN;
    }
    struct txn *txn = txn_find(coord, gtrid);
    if (txn != NULL) {
        return inquiry_in_memory(coord, txn, gid, ret_proof);
    }
    if (!prior->looked_up) {
        return VERDICT_WAIT; /* the journal could not be read: nobody acts on that */
    }
    if (prior->found) {
        return inquiry_in_journal(prior->entry, gid, ret_proof);
    }
    enum verdict forced = resolve_forced(coord, gid);
    if (forced != VERDICT_UNKNOWN) {
        return forced;
    }
    return coord_presume(coord, gtrid);
}

void inquiry_step(struct coord *coord, uint64_t session, const struct message_inquiry *inquiry,
                  const struct coord_prior *prior, struct coord_ready *ready)
{
    coord->counters.inquiries++;
    struct proof proof = {.kind = PROOF_NONE};
    enum verdict verdict =
        coord->running ? inquiry_judge(coord, &inquiry->gid, prior, &proof) : VERDICT_WAIT;
    /* An outcome is nobody's problem, however old it is. */
    if (verdict == VERDICT_UNKNOWN && !inquiry->of_outcome) {
        coord->counters.unknown_inquiries++;
        ready_notice(ready, COORD_NOTICE_UNKNOWN_INQUIRY, &inquiry->gid.gtrid,
                     inquiry->gid.participant, "%s",
                     "a prepared branch that this journal can not judge; nobody touches it");
    }
    struct message *message = ready_send(ready, session, MESSAGE_VERDICT);
    message->as.verdict.gid = inquiry->gid;
    message->as.verdict.verdict = verdict;
    message->as.verdict.proof = proof;
}
