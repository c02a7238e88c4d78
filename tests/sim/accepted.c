/*
 * accepted.c - clients that hand a request over (respond-async), in queues and without, people who requeue and drop, and what
 * must hold for it (docs/adr/0017): one outcome for each ACCEPT, none lost, nothing told that is not durable, the order of a queue.
 *
 * What it believes of a request it takes from the durable records alone, so that it knows nothing of the core's own states.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/sim/world.h"

#define QUEUES         2
#define EXPLORED_PRICE 1500

/* Half of all seeds; so chosen that those of the failures kept in tests/repro/ before any request was handed over are not among
 * them: there every operation stays what it was when they were found. */
#define HAS_ACCEPTED 618

enum accept_state { ACCEPT_WAITING = 1, ACCEPT_DEAD, ACCEPT_COMMITTED, ACCEPT_DROPPED };

struct sim_accept { /* of one ACCEPT */
    struct gtrid id;
    uint32_t op, variant, queue;
    uint32_t disk; /* the journal that has its newest record */
    uint64_t position_epoch, position_sequence;
    enum accept_state state;
    bool was_refused;
    uint32_t requeues;
    const struct sim_truth *decided;
    struct sim_accept *next;
};

/* ---- the plan ---- */

void accepted_config(struct sim_world *world)
{
    struct sim_random random = {.state = sim_mix(world->options.seed, 500)};
    world->coord_config.queue_active = (uint32_t)sim_between(&random, 1, 4);
    world->coord_config.queue_max_each = (uint32_t)sim_between(&random, 3, 30);
    world->coord_config.queue_retry_min_ms = (uint32_t)sim_between(&random, 10, 400);
    world->coord_config.queue_retry_max_ms = (uint32_t)sim_between(&random, 400, 1500);
    world->coord_config.queue_attempts =
        sim_one_in(&random, 3) ? (uint32_t)sim_between(&random, 1, 4) : 0;
    world->has_accepted = sim_mix(world->options.seed, HAS_ACCEPTED) % 2 == 0;
}

/* In half of all worlds one operation in two is handed over. Draws of its own, so that all others stay what they are. */
void accepted_draw(struct sim_world *world, size_t index)
{
    struct sim_random random = {.state = sim_mix(world->options.seed, 20000 + index)};
    struct sim_op *op = &world->ops[index];
    if (!world->has_accepted || op->is_interactive || !sim_one_in(&random, 2)) {
        return;
    }
    op->is_accepted = true;
    op->queue = (uint32_t)sim_below(&random, QUEUES + 1);
}

/* The first one has not the money for it, until somebody pays it in: its first run is refused for good. */
void accepted_explore(struct sim_world *world, size_t index)
{
    struct sim_op *op = &world->ops[index];
    world->has_accepted = true;
    op->is_accepted = true;
    op->queue = 1;
    if (index == 0) {
        op->amount[0] = -EXPLORED_PRICE;
    }
}

void accepted_make(struct sim_world *world, size_t index, struct submission *submission)
{
    const struct sim_op *op = &world->ops[index];
    if (!op->is_accepted) {
        return;
    }
    /* Who asks again does it now and then without the wish to be answered at once. */
    submission->is_async = !op->has_key || op->tries % ACCEPTED_ASKS != ACCEPTED_ASKS - 1;
    submission->timeout_ms = op->timeout_ms;
    if (op->queue > 0) {
        (void)snprintf(submission->queue, sizeof(submission->queue), "q%u", op->queue);
    }
}

/* ---- what is durable ---- */

static struct sim_accept *accept_find(const struct sim_world *world, const struct gtrid *id)
{
    struct sim_accept *accept = world->accepts;
    while (accept != NULL && !gtrid_equal(&accept->id, id)) {
        accept = accept->next;
    }
    return accept;
}

static void durable_accept(struct sim_world *world, uint32_t disk,
                           const struct record_accept *record)
{
    struct sim_accept *accept = alloc_zeroed(sizeof(*accept));
    accept->id = record->gtrid;
    accept->op = record->body_hash[0] | (uint32_t)record->body_hash[1] << 8;
    accept->variant = record->body_hash[2];
    accept->queue = record->queue[0] == '\0' ? 0 : (uint32_t)(record->queue[1] - '0');
    accept->disk = disk;
    accept->position_epoch = record->gtrid.epoch;
    accept->position_sequence = record->gtrid.sequence;
    accept->state = ACCEPT_WAITING;
    accept->next = world->accepts;
    world->accepts = accept;
}

/* Once for each ACCEPT; on another copy of the journal again only if nobody could have told it when it was decided (the hole of P-10). */
static void durable_commit(struct sim_world *world, uint32_t disk,
                           const struct record_commit *commit)
{
    struct sim_accept *accept = accept_find(world, &commit->request.id);
    if (accept == NULL || (accept->state == ACCEPT_DROPPED && accept->disk == disk)) {
        law_broken(world, "X1", "a COMMIT names a request that %s",
                   accept == NULL ? "was never accepted" : "was dropped");
        return;
    }
    struct sim_truth *truth = law_truth_need(world, &commit->gtrid);
    if (accept->state == ACCEPT_COMMITTED && (accept->disk == disk || truth->is_told_second)) {
        law_broken(world, "X1", "the request of operation %u is committed a second time",
                   accept->op);
    }
    accept->state = ACCEPT_COMMITTED;
    accept->disk = disk;
    accept->decided = truth;
}

/* A second COMMIT is judged by when it was handed to its journal, not by when it got there: from then on nobody can take it back
 * (P-2), and its sync may be slower than all that the other copy does. */
static void second_is_told(struct sim_world *world, const struct record_commit *commit,
                           struct sim_truth *truth)
{
    const struct sim_accept *accept =
        commit->has_request ? accept_find(world, &commit->request.id) : NULL;
    truth->is_told_second = accept != NULL && accept->state == ACCEPT_COMMITTED &&
                            law_is_witnessed(world, accept->decided);
}

/* Its participants have lost every trace of the first COMMIT with the tail of their WAL. */
static bool is_undone(const struct sim_world *world, const struct sim_accept *accept)
{
    const struct sim_truth *truth = accept->decided;
    for (uint32_t i = 0; i < world->database_count; i++) {
        if ((world->ops[accept->op].mask & (1U << i)) != 0 && !world->databases[i].has_lost) {
            return false;
        }
    }
    for (const struct sim_attempt *attempt = truth->attempts; attempt != NULL;
         attempt = attempt->next_of_truth) {
        bool is_there = attempt->is_prepared || attempt->is_committed || attempt->is_rolled_back;
        if (law_names(truth, &attempt->gid) && (!attempt->is_lost || is_there)) {
            return false;
        }
    }
    return true;
}

/* Then a coordinator that accepted the request itself, and whose journal was copied afterwards, owes it still. It was shut out of these
 * participants by the copy's claim, which each of them wrote before any work of the copy and has lost with it; whoever else knows of the
 * copy need not be asked (docs/adr/0017: only a recovered request waits for every participant). */
static void forget_undone(struct sim_world *world, uint32_t disk,
                          const struct record_commit *commit)
{
    struct sim_accept *accept = accept_find(world, &commit->request.id);
    if (accept != NULL && accept->state == ACCEPT_COMMITTED && accept->disk != disk &&
        accept->id.epoch == commit->gtrid.epoch && is_undone(world, accept)) {
        accept->state = ACCEPT_WAITING;
    }
}

static struct sim_accept *accept_need(struct sim_world *world, uint32_t disk,
                                      const struct gtrid *id)
{
    struct sim_accept *accept = accept_find(world, id);
    CHECK(accept != NULL); /* the journal has looked */
    accept->disk = disk;
    return accept;
}

void accepted_durable(struct sim_world *world, uint32_t disk, const struct record *record)
{
    struct sim_accept *accept = NULL;
    switch (record->kind) {
    case RECORD_ACCEPT:
        durable_accept(world, disk, &record->as.accept);
        return;
    case RECORD_COMMIT:
        if (record->as.commit.has_request) {
            forget_undone(world, disk, &record->as.commit);
            durable_commit(world, disk, &record->as.commit);
        }
        return;
    case RECORD_REFUSED:
        accept = accept_need(world, disk, &record->as.refused.gtrid);
        accept->state = ACCEPT_DEAD;
        accept->was_refused = true;
        return;
    case RECORD_REQUEUED:
        accept = accept_need(world, disk, &record->as.requeued.gtrid);
        accept->state = ACCEPT_WAITING;
        accept->requeues++;
        accept->position_epoch = record->as.requeued.epoch;
        accept->position_sequence = record->as.requeued.sequence;
        return;
    case RECORD_DROPPED:
        accept_need(world, disk, &record->as.dropped.gtrid)->state = ACCEPT_DROPPED;
        return;
    case RECORD_EPOCH:
    case RECORD_END:
    case RECORD_HEURISTIC:
    case RECORD_RESOLVED:
    case RECORD_FLOOR:
    case RECORD_RELEASE:
    case RECORD_ADOPT:
        return;
    }
}

/* ---- what a coordinator hands out ---- */

static bool is_completed(struct sim_world *world, const struct sim_accept *accept)
{
    const struct sim_truth *truth = accept->decided;
    for (size_t i = 0; i < truth->gid_count && !truth->is_excused; i++) {
        const struct sim_attempt *attempt = law_attempt(world, &truth->gids[i]);
        if (attempt != NULL && !attempt->committed_once && !attempt->is_reported &&
            !attempt->in_hole && !attempt->is_lost) {
            return false;
        }
    }
    return true;
}

/* FIFO: whoever starts has nobody before him in his queue, and whoever was there has committed everywhere. */
static void start_is_in_order(struct sim_world *world, uint32_t disk,
                              const struct sim_accept *starts)
{
    for (const struct sim_accept *other = world->accepts; other != NULL; other = other->next) {
        if (other == starts || other->queue != starts->queue || other->disk != disk) {
            continue;
        }
        bool is_before = other->position_epoch != starts->position_epoch
                             ? other->position_epoch < starts->position_epoch
                             : other->position_sequence < starts->position_sequence;
        if (other->state == ACCEPT_WAITING && is_before) {
            law_broken(world, "FIFO", "operation %u starts before operation %u of its queue",
                       starts->op, other->op);
        } else if (other->state == ACCEPT_COMMITTED && !is_completed(world, other)) {
            law_broken(world, "FIFO",
                       "operation %u starts before operation %u of its queue is completed",
                       starts->op, other->op);
        }
    }
}

/* The request that a run of this operation is of: the one of this journal that is not over. On a copy of the journal it may be one
 * that is over on the other. */
static struct sim_accept *accept_of_op(const struct sim_world *world, uint32_t op, uint32_t disk)
{
    struct sim_accept *elsewhere = NULL;
    for (struct sim_accept *accept = world->accepts; accept != NULL; accept = accept->next) {
        if (accept->op != op) {
            continue;
        }
        if (accept->disk == disk && accept->state != ACCEPT_COMMITTED &&
            accept->state != ACCEPT_DROPPED) {
            return accept;
        }
        if (accept->disk != disk && elsewhere == NULL) {
            elsewhere = accept;
        }
    }
    return elsewhere;
}

void accepted_work(struct sim_world *world, uint32_t coord, struct sim_truth *truth)
{
    uint32_t disk = world->coords[coord].disk;
    if (truth->op == SIM_NOBODY || !world->ops[truth->op].is_accepted || truth->request != NULL) {
        return;
    }
    const struct sim_accept *accept = accept_of_op(world, truth->op, disk);
    if (accept == NULL) {
        return; /* asked for without respond-async; or it was accepted on another copy */
    }
    truth->request = accept;
    if (accept->disk != disk) {
        return;
    }
    if (accept->state == ACCEPT_DEAD) {
        law_broken(world, "P-1", "the dead request of operation %u runs", accept->op);
    }
    if (accept->queue > 0) {
        start_is_in_order(world, disk, accept);
    }
}

static const struct gtrid *record_request(const struct record *record)
{
    switch (record->kind) {
    case RECORD_ACCEPT:
        return &record->as.accept.gtrid;
    case RECORD_REFUSED:
        return &record->as.refused.gtrid;
    case RECORD_REQUEUED:
        return &record->as.requeued.gtrid;
    case RECORD_DROPPED:
        return &record->as.dropped.gtrid;
    case RECORD_EPOCH:
    case RECORD_COMMIT:
    case RECORD_END:
    case RECORD_HEURISTIC:
    case RECORD_RESOLVED:
    case RECORD_FLOOR:
    case RECORD_RELEASE:
    case RECORD_ADOPT:
        return NULL;
    }
    return NULL;
}

/* The structural law for requests: nobody is told of what leaves for the journal just now. */
static void nothing_is_told_with(struct sim_world *world, const struct coord_ready *ready,
                                 const struct record *record)
{
    const struct gtrid *id = record_request(record);
    for (size_t i = 0; id != NULL && i < ready->answer_count; i++) {
        const struct api_answer *answer = &ready->answers[i].answer;
        bool is_about = answer->view_count == 1 && gtrid_equal(&answer->views[0].gtrid, id);
        bool says = (record->kind == RECORD_ACCEPT && answer->status == API_ACCEPTED) ||
                    (record->kind == RECORD_REFUSED && answer->status == API_ABORTED) ||
                    ((record->kind == RECORD_REQUEUED || record->kind == RECORD_DROPPED) &&
                     answer->status == API_OK);
        if (is_about && says) {
            law_broken(world, "LAW", "what a %s record says is told together with it",
                       record_kind_text(record->kind));
        }
    }
}

void accepted_ready(struct sim_world *world, const struct coord_ready *ready)
{
    for (size_t i = 0; i < ready->append_count; i++) {
        const struct record *record = &ready->appends[i].record;
        nothing_is_told_with(world, ready, record);
        if (record->kind != RECORD_COMMIT) {
            continue;
        }
        const struct record_commit *commit = &record->as.commit;
        struct sim_truth *truth = law_truth_need(world, &commit->gtrid);
        second_is_told(world, commit, truth);
        const struct sim_accept *request = truth->request;
        /* Beside a second coordinator, on a copy or on the same journal, the journal has the last word (durable_commit). */
        bool is_alone = world->disk_count == 1 && !world->coords[1].is_used;
        if (is_alone && ((request != NULL) != commit->has_request ||
                         (request != NULL && !gtrid_equal(&commit->request.id, &request->id)))) {
            law_broken(world, "P-1", "the COMMIT of a run of operation %u does not name its ACCEPT",
                       truth->op);
        }
    }
}

/* ---- what clients are told ---- */

static void act_on_dead(struct sim_world *world, const struct gtrid *id);

void accepted_told(struct sim_world *world, const struct sim_call *call,
                   const struct api_answer *answer)
{
    struct sim_op *op = &world->ops[call->op];
    const struct gtrid *id = &answer->views[0].gtrid;
    const struct sim_accept *accept = accept_find(world, id);
    if (accept == NULL) {
        law_broken(world, "P-1", "operation %u is told accepted, and that is not durable",
                   call->op);
        return;
    }
    if (accept->op != call->op || accept->variant != call->variant) {
        law_broken(world, "X1", "operation %u is told the request of operation %u", call->op,
                   accept->op);
    }
    const struct sim_accept *before = op->was_accepted ? accept_find(world, &op->accepted) : NULL;
    if (op->has_key && before != NULL && before != accept && before->disk == accept->disk &&
        (before->state == ACCEPT_WAITING || before->state == ACCEPT_DEAD)) {
        law_broken(world, "X1", "operation %u has two requests", call->op);
    }
    op->was_accepted = true;
    op->accepted = *id;
    op->is_settled = op->is_settled || !op->has_key; /* it has no key to ask by */
}

void accepted_told_aborted(struct sim_world *world, const struct sim_call *call,
                           const struct txn_view *view)
{
    const struct sim_accept *accept = accept_find(world, &view->gtrid);
    bool is_true = accept != NULL && (view->state == TXN_DEAD ? accept->was_refused
                                                              : accept->state == ACCEPT_DROPPED);
    if (!is_true) {
        law_broken(world, "P-1",
                   "operation %u is told that its request is %s, and that is not durable", call->op,
                   txn_state_text(view->state));
    }
    world->ops[call->op].saw_aborted = true;
    if (world->options.is_handed && view->state == TXN_DEAD && !world->a_person_came) {
        act_on_dead(world, &view->gtrid);
    }
}

/* ---- people ---- */

static void act_after(struct sim_world *world, const struct gtrid *id, enum request_act act,
                      uint64_t delay_ms)
{
    struct sim_event *event = queue_new(world, EVENT_COORD_ACT);
    event->as.act = alloc_zeroed(sizeof(struct api_request_act));
    event->as.act->id = *id;
    event->as.act->act = act;
    clients_call(world, CALL_ACT, 0, (uint32_t)act);
    world->calls[world->call_count - 1].incarnation =
        world->coords[world->main_coord].process.incarnation;
    event->number = world->call_count;
    world_post(world, world_coord_process(world->main_coord), event, delay_ms);
}

/* A small world: who sees that it is dead pays the money in and requeues, and somebody else drops. Their words come in either order, and
 * whenever they like: while it is dead, waits, runs, or is over. */
static void act_on_dead(struct sim_world *world, const struct gtrid *id)
{
    struct sim_database *database = &world->databases[0];
    const struct sim_op *op = &world->ops[0];
    world->a_person_came = true;
    database->paid_in[op->account[0]] += EXPLORED_PRICE;
    database->balance[op->account[0]] += EXPLORED_PRICE;
    database->owed[op->account[0]] += EXPLORED_PRICE;
    act_after(world, id, REQUEST_ACT_REQUEUE, 0);
    act_after(world, id, REQUEST_ACT_DROP, 0);
}

static void act_on_some(struct sim_world *world, enum txn_state state, uint64_t one_in,
                        bool may_requeue)
{
    struct api_list list = {.state = state, .limit = 100};
    struct txn_view *views = NULL;
    size_t count = coord_list(world->coords[world->main_coord].core, &list, &views);
    for (size_t i = 0; i < count; i++) {
        if (sim_one_in(&world->operator_random, one_in)) {
            bool requeue = may_requeue && !sim_one_in(&world->operator_random, 3);
            act_after(world, &views[i].gtrid, requeue ? REQUEST_ACT_REQUEUE : REQUEST_ACT_DROP, 1);
        }
        txn_view_done(&views[i]);
    }
    free(views);
}

void accepted_operate(struct sim_world *world)
{
    if (world->has_accepted) {
        act_on_some(world, TXN_DEAD, 40, true);
        act_on_some(world, TXN_QUEUED, 1500, true); /* a requeue of one that waits is refused */
    }
}

/* Beside rows that only a person may touch (those of a lost journal, say) a request may time out for ever: people give up what waits. */
static bool gives_up(const struct sim_world *world)
{
    return world->has_accepted && world->phase == PHASE_HEAL && world->connected_at_ms != 0 &&
           world->now_ms > world->connected_at_ms + 4000 && judge_rows_stay(world);
}

void accepted_give_up(struct sim_world *world)
{
    if (gives_up(world)) {
        act_on_some(world, TXN_QUEUED, 1, false);
    }
}

/* What runs is not dropped, and between two runs of some seconds each it may wait for some milliseconds only: who looks now and then
 * does not see that. The stream tells it (changes_take of coordinator_step.c), so they watch. */
void accepted_watch(struct sim_world *world, uint32_t coord)
{
    struct txn_view view;
    if (coord != world->main_coord || !gives_up(world)) {
        return;
    }
    while (coord_take_change(world->coords[coord].core, &view)) { /* each once */
        if (view.state == TXN_QUEUED) {
            act_after(world, &view.gtrid, REQUEST_ACT_DROP, 1);
        }
        txn_view_done(&view);
    }
}

/* Who looks at his id sees that somebody has dropped it. */
bool accepted_is_dropped(const struct sim_world *world, const struct sim_op *op)
{
    const struct sim_accept *accept = op->was_accepted ? accept_find(world, &op->accepted) : NULL;
    return accept != NULL && accept->state == ACCEPT_DROPPED;
}

void accepted_act_answered(struct sim_world *world, const struct sim_call *call,
                           const struct api_answer *answer)
{
    if (answer->status != API_OK) {
        return;
    }
    const struct sim_accept *accept = accept_find(world, &answer->views[0].gtrid);
    bool is_true =
        accept != NULL && (call->variant == REQUEST_ACT_DROP ? accept->state == ACCEPT_DROPPED
                                                             : accept->requeues > 0);
    if (!is_true) {
        law_broken(world, "P-1", "a person is told of a %s that is not durable",
                   call->variant == REQUEST_ACT_DROP ? "drop" : "requeue");
    }
}

/* ---- at rest ---- */

bool accepted_is_over(const struct sim_world *world)
{
    for (const struct sim_accept *accept = world->accepts; accept != NULL; accept = accept->next) {
        if (accept->state == ACCEPT_WAITING) {
            return false;
        }
    }
    return true;
}

uint64_t accepted_digest(const struct sim_world *world)
{
    uint64_t sum = world->a_person_came;
    for (const struct sim_accept *accept = world->accepts; accept != NULL; accept = accept->next) {
        uint64_t hash = sim_scramble(accept->id.epoch << 32 ^ accept->id.sequence);
        hash = sim_scramble(hash ^ (accept->position_epoch << 32 | accept->position_sequence));
        sum += sim_scramble(hash ^ ((uint64_t)accept->requeues << 8 |
                                    (uint64_t)accept->was_refused << 4 | (uint64_t)accept->state));
    }
    return sum;
}

/* None is lost: what was accepted has committed, is dead, or was dropped. */
void accepted_judge(struct sim_world *world)
{
    for (const struct sim_accept *accept = world->accepts; accept != NULL; accept = accept->next) {
        if (accept->disk == world->coords[0].disk && accept->state == ACCEPT_WAITING &&
            !world->has_forked) {
            law_broken(world, "L1", "the request of operation %u was accepted, and is lost",
                       accept->op);
        }
    }
}

void accepted_free(struct sim_world *world)
{
    while (world->accepts != NULL) {
        struct sim_accept *accept = world->accepts;
        world->accepts = accept->next;
        free(accept);
    }
}
