/*
 * clients.c - clients that submit, repeat, go away and ask again. What they are told is judged here, against the truth
 * (D1, X1, Q1).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/sim/world.h"

#define TRIES_MAX 12

enum client_act { ACT_SEND = 1, ACT_TWICE, ACT_OTHER, ACT_AGAIN };

/* ---- the plan ---- */

static void op_draw(struct sim_world *world, struct sim_op *op)
{
    struct sim_random *random = &world->client_random;
    uint32_t everybody = (1U << world->database_count) - 1;
    op->mask = (uint32_t)sim_between(random, 1, everybody);
    if (sim_one_in(random, 2)) {
        op->mask = everybody;
    }
    op->has_key = !sim_one_in(random, 5);
    op->ack = sim_one_in(random, 3) ? ACK_MODE_DECIDED : ACK_MODE_COMPLETED;
    op->timeout_ms = (uint32_t)sim_between(random, 500, world->is_brisk ? 1000 : 5000);
    op->isolation = sim_one_in(random, 8) ? ISOLATION_SERIALIZABLE : ISOLATION_READ_COMMITTED;
    int64_t amount = (int64_t)sim_between(random, 1, 40);
    uint32_t first = SIM_DATABASES;
    uint32_t members = 0;
    for (uint32_t i = 0; i < world->database_count; i++) {
        if ((op->mask & (1U << i)) == 0) {
            continue;
        }
        op->account[i] = (uint32_t)sim_below(random, SIM_ACCOUNTS);
        if (sim_one_in(random, 8)) {
            op->read_only_mask |= 1U << i;
            continue;
        }
        first = first == SIM_DATABASES ? i : first;
        op->amount[i] = amount;
        members++;
    }
    if (members > 0) { /* money moves from the first to the others: the sum stays (C1) */
        op->amount[first] = -amount * (int64_t)(members - 1);
    }
}

static void act_later(struct sim_world *world, size_t op, enum client_act act, uint64_t delay_ms)
{
    struct sim_event *event = queue_new(world, EVENT_CLIENT);
    event->number = op;
    event->a = act;
    queue_push(world, event, world->now_ms + delay_ms);
}

void clients_later(struct sim_world *world, size_t op, uint64_t delay_ms)
{
    act_later(world, op, ACT_AGAIN, delay_ms);
}

/* Everybody takes part, both at once, on different rows. */
static void clients_init_explored(struct sim_world *world)
{
    for (size_t i = 0; i < world->op_count; i++) {
        struct sim_op *op = &world->ops[i];
        op->mask = (1U << world->database_count) - 1;
        op->has_key = true;
        op->timeout_ms = 5000;
        for (uint32_t k = 0; k < world->database_count; k++) {
            op->account[k] = (uint32_t)i;
            op->amount[k] = k == 0 ? -1 : 1;
        }
        if (world->options.is_spoken) {
            talk_explore(world, i);
        }
        if (world->options.is_handed) {
            accepted_explore(world, i);
        }
        act_later(world, i, ACT_SEND, 300);
    }
}

void clients_init(struct sim_world *world)
{
    struct sim_random *random = &world->client_random;
    world->op_count = sim_between(
        random, 16, 56); /* drawn also where it is given: the first ones stay the same */
    if (world->options.op_count != 0) {
        world->op_count = world->options.op_count;
    }
    world->ops = alloc_array(world->op_count, sizeof(world->ops[0]));
    if (world->options.is_explored) {
        clients_init_explored(world);
        return;
    }
    uint64_t span_ms = world->chaos_ms * 9 / 10;
    for (size_t i = 0; i < world->op_count; i++) {
        op_draw(world, &world->ops[i]);
        talk_draw(world, i);
        accepted_draw(world, i);
        act_later(world, i, ACT_SEND, 300 + sim_below(random, span_ms));
    }
}

/* ---- sending ---- */

void clients_call(struct sim_world *world, enum call_kind kind, uint32_t op, uint32_t variant)
{
    if (world->call_count == world->call_capacity) {
        world->call_capacity = world->call_capacity == 0 ? 64 : world->call_capacity * 2;
        world->calls = alloc_resize(world->calls, world->call_capacity, sizeof(world->calls[0]));
    }
    world->calls[world->call_count++] =
        (struct sim_call){.kind = kind, .op = op, .variant = variant, .coord = world->main_coord};
}

static void send(struct sim_world *world, size_t index, uint32_t variant)
{
    struct sim_op *op = &world->ops[index];
    uint32_t coord = world->main_coord;
    if (!coord_proc_serves(world, coord)) { /* connection refused: nothing was done */
        if (op->calls_open == 0 && (op->tries < TRIES_MAX || world->phase != PHASE_CHAOS)) {
            op->tries++;
            act_later(world, index, ACT_AGAIN, 100 + sim_below(&world->client_random, 400));
        } else if (op->calls_open == 0 && !op->has_key) {
            op->is_settled = true;
        }
        return;
    }
    clients_call(world, CALL_SUBMIT, (uint32_t)index, variant);
    op->calls_open++;
    op->variants |= 1U << variant;
    struct sim_call *call = &world->calls[world->call_count - 1];
    call->incarnation = world->coords[coord].process.incarnation;
    call->is_gone = fault_strikes(world, SIM_CLIENT_GONE);
    struct sim_event *event = queue_new(world, EVENT_COORD_SUBMIT);
    event->number = world->call_count;
    world_post(world, world_coord_process(coord), event, sim_below(&world->client_random, 3));
    ARROW(world, LANE_CLIENT, LANE_COORD(coord), "op %zu%s", index, variant != 0 ? " (other)" : "");
}

void clients_event(struct sim_world *world, const struct sim_event *event)
{
    size_t index = event->number;
    struct sim_op *op = &world->ops[index];
    if (op->is_interactive) {
        talk_go_on(world, index);
        return;
    }
    switch ((enum client_act)event->a) {
    case ACT_SEND:
        send(world, index, 0);
        if (op->has_key && fault_strikes(world, SIM_CLIENT_TWICE)) {
            act_later(world, index, ACT_TWICE,
                      fault_below(world, 3) == 0 ? fault_below(world, 3000)
                                                 : fault_below(world, 20));
        }
        if (op->has_key && fault_strikes(world, SIM_CLIENT_OTHER)) {
            act_later(world, index, ACT_OTHER, fault_below(world, 2000));
        }
        return;
    case ACT_TWICE:
        send(world, index, 0);
        return;
    case ACT_OTHER:
        send(world, index, 1);
        return;
    case ACT_AGAIN:
        op->is_settled = op->is_settled || accepted_is_dropped(world, op);
        if (!op->is_settled && op->calls_open == 0) {
            send(world, index, 0);
        }
        return;
    }
}

static void submission_make(struct sim_world *world, size_t index, uint32_t variant,
                            struct submission *submission)
{
    struct sim_op *op = &world->ops[index];
    memset(submission, 0, sizeof(*submission));
    if (op->has_key) {
        submission->key_bytes =
            (size_t)snprintf(submission->key, sizeof(submission->key), "op-%zu", index);
    }
    submission->body_hash[0] = (uint8_t)index;
    submission->body_hash[1] = (uint8_t)(index >> 8);
    submission->body_hash[2] = (uint8_t)variant;
    submission->timeout_ms = op->timeout_ms;
    if (fault_strikes(world, SIM_CLIENT_SHORT)) {
        submission->timeout_ms = (uint32_t)fault_below(world, 15) + 1;
    }
    accepted_make(world, index, submission);
    submission->ack = op->ack;
    submission->branches = alloc_array(SIM_DATABASES, sizeof(submission->branches[0]));
    for (uint32_t i = 0; i < world->database_count; i++) {
        if ((op->mask & (1U << i)) == 0) {
            continue;
        }
        struct submission_branch *branch = &submission->branches[submission->branch_count++];
        memcpy(branch->participant, world->databases[i].name, PARTICIPANT_NAME_SIZE);
        branch->isolation = op->isolation;
        branch->read_only = (op->read_only_mask & (1U << i)) != 0;
        struct sim_work work;
        memset(&work, 0, sizeof(work));
        work.op = (uint32_t)index;
        work.variant = variant;
        work.account_count = op->amount[i] != 0 || sim_one_in(&world->payload, 2) ? 1 : 0;
        work.account[0] = op->account[i];
        work.amount[0] = op->amount[i];
        work.is_split = sim_one_in(&world->payload, 2);
        branch->work = blob_new(&work, sizeof(work));
    }
}

static void submission_drop(struct submission *submission)
{
    for (size_t i = 0; i < submission->branch_count; i++) {
        blob_free(submission->branches[i].work);
    }
    free(submission->branches);
}

static void call_ends(struct sim_world *world, struct sim_call *call)
{
    call->is_answered = true;
    if (call->kind != CALL_RESOLVE && call->kind != CALL_ACT) {
        world->ops[call->op].calls_open--;
    }
}

/* What the client does when nothing more is open: asks again by its key until it knows. */
static void op_continue(struct sim_world *world, uint32_t index, uint64_t delay_ms)
{
    struct sim_op *op = &world->ops[index];
    if (op->is_settled || op->calls_open > 0) {
        return;
    }
    if (!op->has_key || (op->tries >= TRIES_MAX && world->phase == PHASE_CHAOS)) {
        op->is_settled = !op->has_key;
        return;
    }
    op->tries++;
    if (world->options
            .is_handed) { /* nobody asks on its behalf later, and only that counts: accepted_make */
        op->tries %= ACCEPTED_ASKS;
    }
    act_later(world, index, ACT_AGAIN, delay_ms + sim_below(&world->client_random, 300));
}

void clients_submit(struct sim_world *world, uint32_t coord, const struct sim_event *event)
{
    size_t number = event->number;
    struct submission submission;
    uint32_t op = world->calls[number - 1].op;
    world->calls[number - 1].is_delivered = true;
    if (world->calls[number - 1].kind != CALL_SUBMIT) {
        if (!talk_submit(world, coord, number)) {
            call_ends(world, &world->calls[number - 1]);
            talk_unanswered(world, op);
        }
        return;
    }
    submission_make(world, op, world->calls[number - 1].variant, &submission);
    struct coord_event step = {
        .kind = COORD_EVENT_SUBMIT, .submission = &submission, .call = number};
    bool ok = false;
    coord_proc_step_submit(world, coord, &step, &ok);
    if (!ok && !world->calls[number - 1].is_answered) { /* API_FAILED: nothing was done */
        call_ends(world, &world->calls[number - 1]);
        op_continue(world, op, 100);
    }
    submission_drop(&submission);
}

void clients_coord_died(struct sim_world *world, uint32_t coord)
{
    for (size_t i = world->call_count; i-- > 0;) {
        struct sim_call *call = &world->calls[i];
        if (!call->is_answered && call->coord == coord) {
            call_ends(world, call);
            if (call->kind == CALL_SUBMIT) {
                op_continue(world, call->op, 50);
            } else if (call->kind != CALL_RESOLVE && call->kind != CALL_ACT) {
                talk_unanswered(world, call->op);
            }
        }
    }
}

/* ---- what they are told ---- */

static void results_match(struct sim_world *world, const struct txn_view *view,
                          const struct sim_truth *truth)
{
    for (size_t i = 0; i < view->branch_count; i++) {
        const struct branch_view *branch = &view->branches[i];
        struct gid gid;
        if (branch->results == NULL || branch->state == BRANCH_READ_ONLY) {
            continue;
        }
        CHECK(branch->results->size_bytes == sizeof(gid));
        memcpy(&gid, branch->results->bytes, sizeof(gid));
        if (!law_names(truth, &gid) && branch->has_gid) {
            law_broken(world, "D1", "a client gets the results of another execution");
        }
    }
}

/* A heuristic outcome is told only once its record is durable. */
static void heuristics_are_durable(struct sim_world *world, const struct txn_view *view)
{
    for (size_t i = 0; i < view->branch_count; i++) {
        const struct branch_view *branch = &view->branches[i];
        if (!sim_is_heuristic(branch->state) || !branch->has_gid) {
            continue;
        }
        const struct sim_attempt *attempt = law_attempt(world, &branch->gid);
        if (attempt != NULL && !attempt->is_reported) {
            law_broken(world, "Q1", "a client hears of a heuristic outcome that is not durable");
        }
    }
}

void clients_told_committed(struct sim_world *world, struct sim_call *call,
                            const struct txn_view *view)
{
    struct sim_op *op = &world->ops[call->op];
    const struct gtrid *gtrid = law_view_gtrid(view);
    struct sim_truth *truth = law_truth_need(world, gtrid);
    if (!truth->is_decided) {
        law_broken(world, "Q1", "op %u is told committed, and that is not durable", call->op);
        return;
    }
    if (truth->op != call->op || truth->variant != call->variant) {
        law_broken(world, "X1", "op %u is told the outcome of another request (op %u)", call->op,
                   truth->op);
        return;
    }
    if (op->saw_committed && !gtrid_equal(&op->committed, gtrid) &&
        journal_id_equal(&op->committed.journal, &gtrid->journal) &&
        law_truth_need(world, &op->committed)->decided_journal == truth->decided_journal) {
        law_broken(world, "X1", "op %u is told two outcomes", call->op);
    }
    if (view->completed) {
        for (size_t i = 0; i < truth->gid_count; i++) {
            const struct sim_attempt *attempt = law_attempt(world, &truth->gids[i]);
            if (attempt == NULL ||
                (!attempt->committed_once && !attempt->is_reported && !attempt->in_hole)) {
                law_broken(world, "Q1", "op %u is told completed, and %s has not committed",
                           call->op, truth->gids[i].participant);
            }
        }
    }
    results_match(world, view, truth);
    truth->told_committed = true;
    op->saw_committed = true;
    op->committed = *gtrid;
    op->is_settled = true;
}

void clients_told_aborted(struct sim_world *world, const struct sim_call *call,
                          const struct txn_view *view)
{
    if (view->request.is_request) {
        accepted_told_aborted(world, call, view);
        return;
    }
    struct sim_truth *truth = law_truth_need(world, &view->gtrid);
    if (truth->is_decided && !truth->is_excused) {
        law_broken(world, "Q1", "op %u is told aborted, and it is decided commit", call->op);
    }
    truth->told_aborted = true;
    world->ops[call->op].saw_aborted = true;
    world->verdict->aborted++;
}

static void submit_answered(struct sim_world *world, struct sim_call *call,
                            const struct api_answer *answer)
{
    struct sim_op *op = &world->ops[call->op];
    for (size_t i = 0; i < answer->view_count; i++) {
        heuristics_are_durable(world, &answer->views[i]);
    }
    switch (answer->status) {
    case API_OK:
        clients_told_committed(world, call, &answer->views[0]);
        return;
    case API_ABORTED:
        clients_told_aborted(world, call, &answer->views[0]);
        op->is_settled = op->is_settled || op->calls_open == 0; /* its client gives up */
        return;
    case API_KEY_CONFLICT:
        if ((op->variants & ~(1U << call->variant)) == 0) {
            law_broken(world, "X1", "op %u: its key is refused, and nobody else has used it",
                       call->op);
        }
        op->is_settled = op->is_settled || op->calls_open == 0;
        return;
    case API_REFUSED:
    case API_UNKNOWN_PARTICIPANT:
    case API_LIMIT:
    case API_FAILED:
        if (op->tries >= TRIES_MAX && op->calls_open == 0) {
            op->is_settled = true;
        }
        op_continue(world, call->op, 200);
        return;
    case API_OUTCOME_UNKNOWN:
        op_continue(world, call->op, 100);
        return;
    case API_ACCEPTED:
        accepted_told(world, call, answer);
        op_continue(world, call->op, 300);
        return;
    case API_NOT_FOUND:
    case API_EXPIRED:
    case API_CONFLICT:
        law_broken(world, "LAW", "a submission is answered with \"%s\"",
                   trace_answer_words(answer->status, true));
        return;
    }
}

/* The participant that the configuration leaves out is let go, or kept (carry_removal of coordinator_carry.c). */
static void removal_answered(struct sim_world *world, uint32_t coord,
                             const struct api_answer *answer)
{
    uint32_t database = law_database(world, answer->participant);
    if (answer->status == API_OK && database != SIM_NOBODY) {
        world->coords[coord].removed[database] = true;
        network_break(world, coord, database, true, true);
    }
}

void clients_answer(struct sim_world *world, uint32_t coord, struct coord_answer *answer)
{
    if (answer->call == 0) {
        removal_answered(world, coord, &answer->answer);
        return;
    }
    struct sim_call *call = &world->calls[answer->call - 1];
    if (call->is_answered) {
        law_broken(world, "LAW", "a call is answered twice");
        return;
    }
    call_ends(world, call);
    ARROW(world, LANE_COORD(coord), LANE_CLIENT, "op %u: %s", call->op,
          trace_answer_words(answer->answer.status, call->kind == CALL_SUBMIT));
    world_note_answer(world, answer);
    if (call->kind == CALL_RESOLVE) {
        return;
    }
    if (call->kind == CALL_ACT) {
        accepted_act_answered(world, call, &answer->answer);
        return;
    }
    if (call->kind != CALL_SUBMIT) {
        for (size_t i = 0; i < answer->answer.view_count; i++) {
            heuristics_are_durable(world, &answer->answer.views[i]);
        }
        talk_answered(world, call, &answer->answer);
        return;
    }
    if (call->is_gone) { /* nobody read it */
        call->is_gone = false;
        op_continue(world, call->op, 100);
        return;
    }
    submit_answered(world, call, &answer->answer);
}

/* GET by gtrid, as call_get and answer_presumed of coordinator_calls.c: what is said of a transaction must be true. */
static enum txn_state look_at(struct sim_world *world, const struct gtrid *gtrid)
{
    struct coord *core = world->coords[world->main_coord].core;
    struct journal *journal = world->disks[world->coords[world->main_coord].disk].journal;
    struct txn_view view;
    struct journal_floor floor;
    struct error error;
    bool found = false;
    if (coord_view(core, gtrid, false, &view)) {
        enum txn_state state = view.state;
        txn_view_done(&view);
        return state;
    }
    CHECK(journal_find_gtrid(journal, gtrid, &found, &world->prior_entry, &error));
    if (found) {
        journal_entry_done(&world->prior_entry);
        return TXN_COMMITTED;
    }
    CHECK(journal_read_floor(journal, &floor, &error));
    coord_raise_floor(core, &floor);
    return coord_presume(core, gtrid) == VERDICT_ABORT ? TXN_ABORTED : TXN_QUEUED;
}

void clients_look(struct sim_world *world)
{
    struct sim_truth *truth = world->truth_list;
    if (!coord_proc_serves(world, world->main_coord) || !sim_one_in(&world->client_random, 4)) {
        return;
    }
    for (uint64_t back = sim_below(&world->client_random, 12); back > 0 && truth != NULL; back--) {
        truth = truth->next;
    }
    if (truth == NULL || truth->is_excused) {
        return;
    }
    enum txn_state state = look_at(world, &truth->gtrid);
    bool is_elsewhere =
        truth->is_decided && truth->decided_journal != world->coords[world->main_coord].disk;
    if ((state == TXN_COMMITTING || state == TXN_COMMITTED) && !truth->is_decided) {
        law_broken(world, "Q1", "somebody who looks is shown committed, and that is not durable");
    } else if ((state == TXN_ABORTING || state == TXN_ABORTED) && !is_elsewhere) {
        if (truth->is_decided) {
            law_broken(world, "Q1",
                       "somebody who looks is shown aborted, and it is decided commit");
        }
        truth->told_aborted = true;
    }
}

bool clients_settled(const struct sim_world *world)
{
    for (size_t i = 0; i < world->op_count; i++) {
        if (!world->ops[i].is_settled) {
            return false;
        }
    }
    return true;
}

/* The faults are over: whoever does not know yet asks again, as often as it takes. */
void clients_ask_all(struct sim_world *world)
{
    for (size_t i = 0; i < world->op_count; i++) {
        world->ops[i].tries = 0;
        if (!world->ops[i].is_settled && world->ops[i].calls_open == 0) {
            act_later(world, i, ACT_AGAIN, 200 + sim_below(&world->client_random, 1500));
        }
    }
}
