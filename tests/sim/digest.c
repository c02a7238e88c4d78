/* digest.c - a hash of the whole world: equal situations give equal hashes, however they came about. */
#include "tests/sim/explore_act.h"
#include "tests/sim/probe.h"

static uint64_t fold(uint64_t hash, uint64_t value)
{
    return sim_scramble(hash ^ (value + UINT64_C(0x9e3779b97f4a7c15) + (hash << 6)));
}

static uint64_t digest_message(const struct message *message)
{
    uint64_t hash = message->kind;
    switch (message->kind) {
    case MESSAGE_CLAIM:
        return fold(fold(hash, message->as.claim.epoch), message->as.claim.head.number);
    case MESSAGE_WORK:
        return fold(fold(hash, message->as.work.gtrid.epoch), message->as.work.gtrid.sequence);
    case MESSAGE_COMMIT:
        return fold(hash, message->as.commit.gid.attempt);
    case MESSAGE_ROLLBACK:
        hash = fold(hash, message->as.rollback.gtrid.sequence);
        return fold(hash, message->as.rollback.has_gid ? message->as.rollback.gid.attempt : 0);
    case MESSAGE_VERDICT:
        return fold(fold(hash, message->as.verdict.gid.attempt), message->as.verdict.verdict);
    case MESSAGE_HEAD:
        return fold(hash, message->as.head.head.number);
    case MESSAGE_WITNESS:
        return fold(fold(hash, message->as.witness.epoch), message->as.witness.head.number);
    case MESSAGE_WELCOME:
        return fold(hash, message->as.welcome.epoch);
    case MESSAGE_FENCED:
        return fold(hash, message->as.fenced.epoch);
    case MESSAGE_VOTE:
        hash = fold(hash, message->as.vote.gid.gtrid.sequence);
        return fold(fold(hash, message->as.vote.gid.attempt), message->as.vote.vote);
    case MESSAGE_ACK:
        hash = fold(hash, message->as.ack.gid.gtrid.sequence);
        return fold(fold(hash, message->as.ack.gid.attempt), message->as.ack.ack);
    case MESSAGE_INQUIRY:
        return fold(hash, message->as.inquiry.gid.attempt);
    case MESSAGE_AUDIT:
        return fold(hash, message->as.audit.serial);
    case MESSAGE_AUDITED:
        return fold(hash, message->as.audited.serial);
    case MESSAGE_STATEMENT:
        hash = fold(hash, message->as.statement.gtrid.sequence);
        return fold(fold(hash, message->as.statement.attempt), message->as.statement.ordinal);
    case MESSAGE_PREPARE:
        return fold(fold(hash, message->as.prepare.gid.attempt), message->as.prepare.count);
    case MESSAGE_VERIFY:
        return fold(hash, message->as.verify.gid.attempt);
    case MESSAGE_ANSWER:
        return fold(fold(hash, message->as.answer.gid.attempt), message->as.answer.ordinal);
    case MESSAGE_HEALTH:
        return fold(hash, message->as.health.health);
    }
    return hash;
}

static uint64_t digest_result(const struct command_result *result)
{
    uint64_t hash = fold(result->kind, result->class);
    hash = fold(hash, result->proved);
    hash = fold(hash, result->row_count);
    if (result->kind == COMMAND_LOAD_WITNESS || result->kind == COMMAND_STORE_WITNESS) {
        hash = fold(hash, result->witness.epoch);
        hash = fold(hash, result->witness.head.number);
    }
    if (result->kind == COMMAND_STATEMENT && result->results != NULL) {
        hash = fold(hash, map_hash_bytes(result->results->bytes, result->results->size_bytes));
    }
    for (size_t i = 0; i < result->row_count; i++) {
        hash = fold(hash, map_hash_bytes(result->rows[i].gid_text, GID_TEXT_SIZE));
    }
    return hash;
}

static uint64_t digest_backend(const struct sim_backend *backend)
{
    bool finishes = backend->stage == BACKEND_FINISH;
    uint64_t hash =
        fold(backend->stage, finishes ? backend->finish.gid.attempt : backend->execute.gid.attempt);
    return fold(hash, (uint64_t)backend->is_attached << 3 | (uint64_t)backend->is_cancelled << 2 |
                          (uint64_t)backend->holds_locks << 1 |
                          (finishes && backend->finish.commit));
}

/* Is it of the session that is up, and of the one that its receiver knows? */
static uint64_t digest_session(struct sim_world *world, const struct sim_event *event)
{
    bool is_agent = event->process >= SIM_COORDS;
    const struct sim_agent *agent = &world->agents[is_agent ? event->process - SIM_COORDS : 0];
    uint32_t coord = is_agent ? event->a : event->process;
    uint32_t database = is_agent ? agent->database : event->a;
    uint64_t known = is_agent ? agent->sessions[coord] : world->coords[coord].sessions[database];
    return (uint64_t)(world->links[coord][database].session == event->session) << 1 |
           (known == event->session);
}

/* How many of the same direction of the same session must come before it: messages, and its UP and DOWN; and is it held to that order
 * itself, or a copy? */
static uint64_t digest_rank(const struct sim_world *world, const struct sim_event *event)
{
    uint64_t rank = 0;
    for (size_t i = 0; i < world->queue.count; i++) {
        const struct sim_event *other = world->queue.slots[i].event;
        rank += explore_is_before(other, event);
    }
    return rank << 1 | (event->copy_of != 0);
}

/* What it says, and not which of its client's attempts to say it. */
static uint64_t digest_call(uint64_t hash, const struct sim_call *call)
{
    hash = fold(fold(hash, call->kind), call->op);
    hash = fold(fold(hash, call->seq), call->incarnation);
    return fold(fold(hash, call->gtrid.epoch), call->gtrid.sequence);
}

/* What is still to come, as a set; of one direction of one session in order. */
static uint64_t digest_event(struct sim_world *world, const struct sim_event *event)
{
    uint64_t due_ms = event->due_ms > world->now_ms ? event->due_ms - world->now_ms : 0;
    if (explore_is_moot(world, event)) {
        return 0;
    }
    if (event->kind == EVENT_BACKEND || event->kind == EVENT_LOST_ANSWER ||
        event->kind == EVENT_DEADLINE) { /* whose it is, and not its place in a table */
        uint64_t whose = digest_backend(&world->databases[event->a].backends[event->b]);
        return fold(fold(fold(event->kind, event->a), due_ms), whose);
    }
    uint64_t hash = fold(event->kind, (uint64_t)event->a << 32 | event->b);
    hash = fold(hash, (uint64_t)event->process << 32 | due_ms);
    if (event->session != 0 && event->process != SIM_NOBODY) {
        hash = fold(hash, digest_session(world, event));
        hash = fold(hash, digest_rank(world, event));
    }
    if (event->kind == EVENT_AGENT_MESSAGE || event->kind == EVENT_COORD_MESSAGE) {
        return fold(hash, digest_message(&event->as.message));
    }
    if (event->kind == EVENT_AGENT_RESULT) {
        return fold(hash, digest_result(&event->as.result));
    }
    if (event->kind == EVENT_COORD_ACT) {
        const struct api_request_act *act = event->as.act;
        return fold(fold(fold(hash, act->act), act->id.epoch), act->id.sequence);
    }
    if (event->kind == EVENT_COORD_SUBMIT &&
        (world->options.is_spoken || world->options.is_handed)) {
        return digest_call(hash, &world->calls[event->number - 1]);
    }
    if (event->kind == EVENT_COORD_SUBMIT || event->kind == EVENT_CLIENT) {
        return fold(hash, event->number);
    }
    return hash;
}

static uint64_t digest_database(const struct sim_database *database)
{
    uint64_t hash = database->is_up;
    uint64_t sum = 0;
    for (size_t i = 0; i < database->prepared_count; i++) {
        sum += fold(1, database->prepared[i]->gid.attempt);
    }
    for (size_t i = 0; i < database->backend_count; i++) {
        if (database->backends[i].stage != BACKEND_FREE) {
            sum += digest_backend(&database->backends[i]);
        }
    }
    for (size_t i = 0; i < database->witness_count; i++) {
        sum += fold(database->witnesses[i].epoch, database->witnesses[i].head.number);
    }
    return fold(hash, sum);
}

static uint64_t digest_commands(const struct sim_jobs *jobs)
{
    uint64_t hash = 0;
    for (const struct sim_job *job = jobs->first; job != NULL; job = job->next) {
        hash = fold(hash, job->command.kind);
        if (job->command.kind == COMMAND_EXECUTE) {
            hash = fold(hash, job->command.as.execute.gid.attempt);
        } else if (job->command.kind == COMMAND_PROVE) {
            hash = fold(hash, job->command.as.prove.gid.attempt);
        } else if (job->command.kind == COMMAND_LOOK) {
            hash = fold(hash, job->command.as.look.gtrid.sequence);
        }
    }
    return hash;
}

/* Which agents, as they run now, have heard a ROLLBACK of it. */
static uint64_t digest_burials(const struct sim_world *world, const struct sim_truth *truth)
{
    uint64_t mask = 0;
    for (uint32_t i = 0; i < world->database_count; i++) {
        const struct sim_process *process = &world->agents[i].process;
        mask |= (uint64_t)(process->is_alive && truth->buried_by[i] == process->incarnation) << i;
    }
    return mask;
}

/* By the one start that began it, and once: law.c and law_coord.c take anything else as broken (P-1, S1), whoever voted. */
static bool may_be_decided(const struct sim_world *world, const struct sim_truth *truth)
{
    if (world->options.is_unreduced) {
        return true;
    }
    const struct sim_coord *coord = &world->coords[0];
    return !truth->is_decided && coord->process.is_alive && coord->epoch == truth->gtrid.epoch;
}

/* Of what law*.c and judge.c know about it, what they may still ask for: an answer that was read counts for the process
 * that has read it, a vote while the transaction may be decided or the process that gave it lives (I3). */
static uint64_t digest_attempt(const struct sim_world *world, const struct sim_attempt *attempt,
                               bool is_open)
{
    const struct sim_process *process = &world->agents[attempt->database].process;
    uint64_t alive = process->is_alive ? process->incarnation : 0;
    bool is_its = attempt->made_by == alive;
    uint64_t spoken = (uint64_t)attempt->statements_begun << 20 | (uint64_t)attempt->statements_done
                                                                      << 12;
    return spoken | (uint64_t)(is_its && attempt->is_abandoned) << 8 | (uint64_t)is_its << 7 |
           (uint64_t)attempt->is_prepared << 6 | (uint64_t)attempt->is_committed << 5 |
           (uint64_t)attempt->is_rolled_back << 4 |
           (uint64_t)(attempt->reply_ok &&
                      (attempt->reply_incarnation == alive || world->options.is_unreduced))
               << 3 |
           (uint64_t)(attempt->voted_yes && (is_open || is_its)) << 2 |
           (uint64_t)attempt->told_commit << 1 | attempt->told_rollback;
}

static uint64_t digest_truths(const struct sim_world *world)
{
    uint64_t sum = 0;
    for (const struct sim_truth *truth = world->truth_list; truth != NULL; truth = truth->next) {
        uint64_t hash = fold(truth->gtrid.epoch, truth->gtrid.sequence);
        hash = fold(hash, (uint64_t)truth->is_decided << 3 | (uint64_t)truth->is_ended << 2 |
                              (uint64_t)truth->told_aborted << 1 | truth->told_committed);
        hash = fold(hash, truth->told_rollback_mask);
        hash = fold(hash, digest_burials(world, truth));
        bool is_open = may_be_decided(world, truth);
        hash = fold(hash, is_open && truth->has_lost_link);
        for (const struct sim_attempt *attempt = truth->attempts; attempt != NULL;
             attempt = attempt->next_of_truth) {
            hash += fold(attempt->gid.attempt, digest_attempt(world, attempt, is_open));
        }
        sum += hash;
    }
    return sum;
}

static uint64_t digest_clients(const struct sim_world *world)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < world->op_count; i++) {
        const struct sim_op *op = &world->ops[i];
        hash = fold(hash, op->tries);
        hash = fold(hash, (uint64_t)op->calls_open << 8 | (uint64_t)op->is_settled << 2 |
                              (uint64_t)op->saw_committed << 1 | op->saw_aborted);
        if (op->is_accepted) {
            hash = fold(hash, op->was_accepted);
            hash = fold(fold(hash, op->accepted.epoch), op->accepted.sequence);
        }
        if (op->is_interactive) {
            hash = fold(hash, (uint64_t)op->talk.phase << 32 | op->talk.step);
            hash = fold(hash, op->talk.refusals);
            hash = fold(fold(hash, op->talk.gtrid.epoch), op->talk.gtrid.sequence);
        }
    }
    return hash;
}

static uint64_t digest_batch(const struct sim_batch *batch)
{
    uint64_t hash = batch->is_forced;
    for (size_t i = 0; i < batch->count; i++) {
        hash = fold(hash, batch->records[i].kind);
    }
    return fold(hash, batch->count);
}

/* What is durable is told by its number and by the truths. */
static uint64_t digest_disk(const struct sim_world *world, const struct sim_coord *coord)
{
    const struct sim_disk *disk = &world->disks[coord->disk];
    uint64_t hash = digest_batch(&coord->thread.waiting);
    hash = fold(hash, digest_batch(&coord->thread.writing));
    hash = fold(hash, (uint64_t)coord->thread.is_writing << 1 | coord->thread.has_failed);
    hash = fold(hash, digest_batch(&disk->kept));
    hash = fold(hash, disk->last_epoch);
    return fold(hash, disk->journal == NULL ? 0 : journal_state(disk->journal)->head.number);
}

uint64_t world_digest(struct sim_world *world)
{
    const struct sim_coord *coord = &world->coords[0];
    uint64_t hash = coord->core == NULL ? 1 : probe_coord_digest(coord->core);
    hash = fold(hash, digest_disk(world, coord));
    for (uint32_t i = 0; i < world->database_count; i++) {
        const struct sim_agent *agent = &world->agents[i];
        hash = fold(hash, agent->core == NULL ? 1 : probe_agent_digest(agent->core));
        hash = fold(hash, (uint64_t)agent->edge.running << 8 | (uint64_t)agent->edge.health << 4 |
                              (uint64_t)(agent->edge.starts == world->databases[i].starts) << 3 |
                              (uint64_t)agent->edge.was_known << 2 |
                              (uint64_t)agent->edge.keeper_busy << 1 | agent->edge.is_known);
        hash = fold(hash, digest_commands(&agent->edge.execute));
        hash = fold(hash, digest_commands(&agent->edge.keeper));
        hash = fold(hash, digest_database(&world->databases[i]));
        hash = fold(hash,
                    (uint64_t)world->links[0][i].failures << 1 | (world->links[0][i].session != 0));
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < world->queue.count; i++) {
        sum += digest_event(world, world->queue.slots[i].event);
    }
    hash = fold(hash, sum);
    hash = fold(hash, digest_truths(world));
    hash = fold(hash, accepted_digest(world));
    return fold(hash, digest_clients(world));
}
