/* core_external.c - branches that the application prepares itself: their gids are given out here, and VERIFY goes out at the commit
 * (P-3, P-20, docs/adr/0016).
 *
 * The attempt nonce is drawn here, since nobody executes anything that could draw it. It is known before there is a vote, so that a
 * ROLLBACK always names it. Asked for again, the participant's branch gets another one: no record can name the old one any more,
 * and an inquiry about it hears ABORT though the transaction is open (core_inquiry.c). The bad interleaving that this prevents:
 *   1. the application prepares, its connection breaks, and it does not know whether it has;
 *   2. it asks again, does its work once more and prepares under the new gid, or waits for the locks that the first holds;
 *   3. the old row waits for a decision that will never name it.
 *
 * What if we die? A gid that was given out is of an earlier epoch then, and no record names it (P-1). */
#include <stdio.h>

#include "coordinator/core_interactive.h"

static uint64_t attempt_draw(const struct coord *coord)
{
    return coord->random != 0 ? coord->random : 1; /* 0 means "no gid" */
}

static void external_begin(struct coord *coord, const struct txn *txn, struct branch *branch)
{
    branch->is_external = true;
    branch->has_gid = true;
    branch->gid = (struct gid){.gtrid = txn->gtrid, .attempt = attempt_draw(coord)};
    snprintf(branch->gid.participant, sizeof(branch->gid.participant), "%s",
             coord->participants[branch->participant]->name);
    /* Without a transaction id: tells the agent whose row it would be, and proves nothing. */
    branch->proof = (struct proof){.kind = PROOF_EXTERNAL};
}

void external_ask(struct coord *coord, const struct coord_event *event, struct coord_ready *ready)
{
    const struct interactive_external *asked = event->external;
    struct txn *txn = txn_find(coord, &asked->gtrid);
    bool is_new = false;
    if (interactive_answer_early(coord, event->call, ready)) {
        return;
    }
    if (txn == NULL) {
        interactive_answer_absent(coord, event, &asked->gtrid, API_ABORTED, ready);
        return;
    }
    if (!interactive_is_open(coord, txn, event->call, ready)) {
        return;
    }
    struct branch *branch =
        interactive_branch(coord, txn, event->call, asked->participant, &is_new, ready);
    if (branch == NULL) {
        return;
    }
    if (!is_new && !branch->is_external) {
        interactive_answer_conflict(
            ready, event->call,
            "the agent executes this participant's branch: it has had a statement");
        return;
    }
    external_begin(coord, txn, branch);
    txn_note(coord, txn, is_new ? "external" : "external-again", branch->participant, NULL);
    struct api_answer *answer = interactive_answer_view(coord, txn, event->call, API_OK, ready);
    answer->gid = branch->gid;
    answer->replayed = !is_new;
}

void external_verify_send(struct coord *coord, const struct txn *txn, const struct branch *branch,
                          struct coord_ready *ready)
{
    struct message *message = ready_send(ready, branch->session, MESSAGE_VERIFY);
    message->as.verify = (struct message_verify){
        .gid = branch->gid,
        .remaining_ms = txn->deadline_ms - coord->now_ms,
    };
}

bool external_is_replaced(const struct coord *coord, struct txn *txn, const struct gid *gid)
{
    const struct branch *branch = txn_branch(coord, txn, gid->participant);
    return branch != NULL && branch->is_external && !gid_equal(&branch->gid, gid);
}

bool external_fits(const struct branch *branch, const struct proof *proof)
{
    bool names_xid = proof->kind == PROOF_EXTERNAL && proof->xid8 != 0;
    return branch->is_external ? names_xid : proof->kind != PROOF_EXTERNAL;
}
