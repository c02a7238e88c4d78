/*
 * note.c - what goes into a run's hash, beside times, kinds and strikes: the contents of messages and results, answers, and at
 * the end every row. Two runs of a seed that agree in it agree in what was said and in what became of it.
 *
 * Members are folded one by one: what lies between them in memory may differ.
 */
#include <string.h>

#include "tests/sim/world.h"

static uint64_t fold(uint64_t hash, uint64_t value)
{
    return sim_scramble(hash ^ (value + UINT64_C(0x9e3779b97f4a7c15) + (hash << 6)));
}

static uint64_t fold_text(uint64_t hash, const char *text)
{
    return fold(hash, map_hash_bytes(text, strlen(text)));
}

static uint64_t fold_gid(uint64_t hash, const struct gid *gid)
{
    hash = fold(hash, gtrid_hash(&gid->gtrid));
    hash = fold(hash, gid->attempt);
    return fold_text(hash, gid->participant);
}

static uint64_t fold_head(uint64_t hash, const struct journal_head *head)
{
    uint64_t bits = 0;
    memcpy(&bits, head->hash, sizeof(bits)); /* of a SHA-256 */
    return fold(fold(hash, head->number), bits);
}

static uint64_t fold_floor(uint64_t hash, const struct journal_floor *floor)
{
    return fold(fold(fold(hash, floor->epoch), floor->sequence), floor->first_number);
}

static uint64_t fold_identity(uint64_t hash, const struct identity *identity)
{
    hash = fold(hash, identity->system_id);
    hash = fold(hash, (uint64_t)identity->timeline << 32 | identity->database_oid);
    return fold(hash, identity->lsn);
}

static uint64_t fold_proof(uint64_t hash, const struct proof *proof)
{
    hash = fold(hash, (uint64_t)proof->kind << 32 | proof->timeline);
    hash = fold(hash, (uint64_t)proof->database_oid);
    hash = fold(hash, proof->xid8);
    hash = fold(hash, proof->system_id);
    return fold(hash, proof->lsn);
}

static uint64_t fold_failure(uint64_t hash, const struct failure *failure)
{
    return fold_text(fold(hash, failure->reason), failure->sqlstate);
}

static uint64_t fold_work(uint64_t hash, const struct message_work *work)
{
    struct sim_work body;
    memcpy(&body, work->work->bytes, sizeof(body));
    hash = fold(hash, gtrid_hash(&work->gtrid));
    hash = fold(hash, work->remaining_ms);
    hash = fold(hash, (uint64_t)work->isolation << 1 | work->read_only);
    hash = fold(hash, (uint64_t)body.op << 32 | body.variant);
    for (uint32_t i = 0; i < body.account_count; i++) {
        hash = fold(fold(hash, body.account[i]), (uint64_t)body.amount[i]);
    }
    return fold(hash, body.is_split);
}

/* Results are those of one execution (backend.c). */
static uint64_t fold_results(uint64_t hash, const struct blob *results)
{
    struct gid gid;
    if (results == NULL || results->size_bytes != sizeof(gid)) {
        return fold(hash,
                    results == NULL ? 0 : map_hash_bytes(results->bytes, results->size_bytes));
    }
    memcpy(&gid, results->bytes, sizeof(gid));
    return fold_gid(hash, &gid);
}

static uint64_t fold_rollback(uint64_t hash, const struct message_rollback *rollback)
{
    hash = fold(hash, gtrid_hash(&rollback->gtrid));
    if (!rollback->has_gid) {
        return hash;
    }
    return fold_proof(fold_gid(hash, &rollback->gid), &rollback->proof);
}

static uint64_t fold_vote(uint64_t hash, const struct message_vote *vote)
{
    hash = fold(fold_gid(hash, &vote->gid), vote->vote);
    hash = fold_failure(fold_proof(hash, &vote->proof), &vote->failure);
    return fold_results(hash, vote->results);
}

static uint64_t fold_health(uint64_t hash, const struct message_health *health)
{
    hash = fold_identity(fold(hash, health->health), &health->identity);
    hash = fold(hash, health->swept_number);
    hash = fold(hash, (uint64_t)health->prepared_count << 32 | health->foreign_count);
    hash = fold(hash, health->misplaced_count);
    return fold_text(fold(hash, health->oldest_prepared_ms), health->text);
}

static uint64_t fold_audit(uint64_t hash, const struct message_audit *audit)
{
    hash = fold(hash, audit->serial);
    for (size_t i = 0; i < audit->list.count; i++) {
        hash = fold_gid(hash, &audit->list.items[i].gid);
        hash = fold_proof(hash, &audit->list.items[i].proof);
    }
    return hash;
}

static uint64_t fold_message(uint64_t hash, const struct message *message)
{
    switch (message->kind) {
    case MESSAGE_CLAIM: {
        const struct message_claim *claim = &message->as.claim;
        hash = fold_head(fold(fold(hash, claim->epoch), claim->epoch_nonce), &claim->head);
        return fold_text(fold_floor(hash, &claim->floor), claim->address);
    }
    case MESSAGE_WORK:
        return fold_work(hash, &message->as.work);
    case MESSAGE_COMMIT:
        return fold_proof(fold_gid(hash, &message->as.commit.gid), &message->as.commit.proof);
    case MESSAGE_ROLLBACK:
        return fold_rollback(hash, &message->as.rollback);
    case MESSAGE_VERDICT:
        hash = fold(fold_gid(hash, &message->as.verdict.gid), message->as.verdict.verdict);
        return fold_proof(hash, &message->as.verdict.proof);
    case MESSAGE_HEAD:
        return fold_floor(fold_head(hash, &message->as.head.head), &message->as.head.floor);
    case MESSAGE_AUDIT:
        return fold_audit(hash, &message->as.audit);
    case MESSAGE_WITNESS: {
        const struct message_witness *witness = &message->as.witness;
        hash = fold_head(fold(fold(hash, witness->epoch), witness->epoch_nonce), &witness->head);
        return fold_identity(hash, &witness->identity);
    }
    case MESSAGE_WELCOME:
        hash = fold(fold(hash, message->as.welcome.epoch), message->as.welcome.history);
        return fold_identity(hash, &message->as.welcome.identity);
    case MESSAGE_FENCED:
        return fold(fold(hash, message->as.fenced.epoch), message->as.fenced.epoch_nonce);
    case MESSAGE_VOTE:
        return fold_vote(hash, &message->as.vote);
    case MESSAGE_ACK:
        hash = fold(fold_gid(hash, &message->as.ack.gid), message->as.ack.ack);
        return fold_text(hash, message->as.ack.detail);
    case MESSAGE_INQUIRY:
        return fold(fold_gid(hash, &message->as.inquiry.gid), message->as.inquiry.prepared_ms);
    case MESSAGE_HEALTH:
        return fold_health(hash, &message->as.health);
    case MESSAGE_STATEMENT:
        hash = fold(hash, gtrid_hash(&message->as.statement.gtrid));
        hash = fold(fold(hash, message->as.statement.attempt), message->as.statement.ordinal);
        hash = fold(hash, message->as.statement.remaining_ms);
        return fold_results(hash, message->as.statement.work);
    case MESSAGE_PREPARE:
        hash = fold(fold_gid(hash, &message->as.prepare.gid), message->as.prepare.count);
        return fold(hash, message->as.prepare.remaining_ms);
    case MESSAGE_VERIFY:
        return fold(fold_gid(hash, &message->as.verify.gid), message->as.verify.remaining_ms);
    case MESSAGE_ANSWER:
        hash = fold(fold_gid(hash, &message->as.answer.gid), message->as.answer.ordinal);
        return fold_results(hash, message->as.answer.results);
    case MESSAGE_AUDITED:
        return fold_results(fold(hash, message->as.audited.serial), message->as.audited.findings);
    }
    return hash;
}

static uint64_t fold_result(uint64_t hash, const struct command_result *result)
{
    hash = fold(fold(hash, result->id), (uint64_t)result->class << 8 | (uint64_t)result->proved);
    hash = fold_failure(fold_proof(hash, &result->proof), &result->failure);
    for (size_t i = 0; i < result->row_count; i++) {
        hash = fold_text(fold(hash, result->rows[i].xid), result->rows[i].gid_text);
    }
    hash = fold(hash, result->witness.epoch);
    return fold_results(fold_head(hash, &result->witness.head), result->results);
}

void world_note_event(struct sim_world *world, const struct sim_event *event)
{
    if (world->options.is_explored) {
        return; /* nobody compares its hash */
    }
    uint64_t what = (uint64_t)event->kind << 48 | (uint64_t)event->process << 40;
    if (event->kind == EVENT_AGENT_MESSAGE || event->kind == EVENT_COORD_MESSAGE) {
        what = fold_message(what | event->as.message.kind, &event->as.message);
    } else if (event->kind == EVENT_AGENT_RESULT) {
        what = fold_result(what | event->as.result.kind, &event->as.result);
    } else if (event->kind == EVENT_COORD_DURABLE) {
        what = fold_head(fold(what, event->number), &event->head);
    } else if (event->kind == EVENT_COORD_TRIMMED) {
        what = fold_floor(fold_head(what, &event->head), &event->floor);
    }
    world_note(world, what);
}

void world_note_answer(struct sim_world *world, const struct coord_answer *answer)
{
    const struct api_answer *said = &answer->answer;
    uint64_t hash = fold(answer->call << 8 | (uint64_t)said->status, said->reason);
    hash = fold_text(fold(hash, said->replayed), said->text);
    if (said->results != NULL) {
        hash = fold_results(fold(hash, said->seq), said->results);
    }
    for (size_t i = 0; i < said->view_count; i++) {
        const struct txn_view *view = &said->views[i];
        hash = fold(fold(hash, gtrid_hash(&view->gtrid)), view->state);
        hash = fold(hash, (uint64_t)view->completed << 2 | (uint64_t)view->in_doubt << 1 |
                              view->acknowledged);
        hash = fold_failure(hash, &view->failure);
        for (size_t k = 0; k < view->branch_count; k++) {
            hash = fold(hash, view->branches[k].state);
            hash = fold_results(hash, view->branches[k].results);
        }
    }
    world_note(world, hash);
}

static uint64_t fold_attempt(uint64_t hash, const struct sim_attempt *attempt)
{
    hash = fold_gid(fold(hash, attempt->database), &attempt->gid);
    hash = fold(hash, attempt->xid8);
    return fold(hash,
                (uint64_t)attempt->is_prepared << 9 | (uint64_t)attempt->is_committed << 8 |
                    (uint64_t)attempt->is_rolled_back << 7 | (uint64_t)attempt->row_visible << 6 |
                    (uint64_t)attempt->is_read_only << 5 | (uint64_t)attempt->voted_yes << 4 |
                    (uint64_t)attempt->told_commit << 3 | (uint64_t)attempt->told_rollback << 2 |
                    (uint64_t)attempt->by_human << 1 | attempt->is_lost);
}

void world_note_rows(struct sim_world *world)
{
    uint64_t hash = world->verdict->committed << 32 | world->verdict->aborted;
    for (uint32_t i = 0; i < world->database_count; i++) {
        const struct sim_database *database = &world->databases[i];
        hash = fold(fold(hash, database->lsn), database->next_xid);
        for (size_t k = 0; k < SIM_ACCOUNTS; k++) {
            hash = fold(hash, (uint64_t)database->balance[k]);
        }
        for (size_t k = 0; k < database->witness_count; k++) {
            hash = fold(hash, database->witnesses[k].epoch);
            hash = fold_head(hash, &database->witnesses[k].head);
        }
    }
    for (const struct sim_attempt *attempt = world->attempt_list; attempt != NULL;
         attempt = attempt->next_of_world) {
        hash = fold_attempt(hash, attempt);
    }
    for (uint32_t i = 0; i < world->disk_count; i++) {
        if (world->disks[i].journal != NULL) {
            hash = fold_head(hash, &journal_state(world->disks[i].journal)->head);
        }
    }
    for (size_t i = 0; i < world->op_count; i++) {
        const struct sim_op *op = &world->ops[i];
        hash = fold(hash, (uint64_t)op->is_settled << 2 | (uint64_t)op->saw_committed << 1 |
                              op->saw_aborted);
    }
    world_note(world, hash);
}
