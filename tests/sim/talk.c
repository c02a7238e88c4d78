/*
 * talk.c - clients that speak statement by statement (P-22): they open, say their statements in order, each with its number, think in
 * between, sometimes for too long, and commit or change their mind. Who gets no answer says the same again.
 *
 * What they are told is judged here: a statement's answer is its own, and of one execution; the end is judged as a submission's (clients.c).
 */
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/sim/world.h"

#define REFUSALS_MAX  6
#define TRIES_MAX     12
#define AFTERTHOUGHTS 4

/* ---- the plan ---- */

static void step_add(struct sim_talk *talk, uint32_t database, uint32_t account, int64_t amount)
{
    CHECK(talk->step_count < SIM_STEPS_MAX);
    talk->databases[talk->step_count] = database;
    talk->account[talk->step_count] = account;
    talk->amount[talk->step_count++] = amount;
}

static void step_drop(struct sim_talk *talk, uint32_t at)
{
    for (uint32_t i = at; i + 1 < talk->step_count; i++) {
        talk->databases[i] = talk->databases[i + 1];
        talk->account[i] = talk->account[i + 1];
        talk->amount[i] = talk->amount[i + 1];
        talk->is_external[i] = talk->is_external[i + 1];
    }
    talk->step_count--;
}

/* In one of two such operations some participants' branches are prepared by the application itself, in one step each. */
static void externals_draw(struct sim_world *world, struct sim_op *op)
{
    struct sim_talk *talk = &op->talk;
    if (!sim_one_in(&talk->random, 2)) {
        return;
    }
    for (uint32_t database = 0; database < world->database_count; database++) {
        bool is_external = sim_one_in(&talk->random, 2);
        bool is_first = true;
        if (!is_external || (op->read_only_mask & (1U << database)) != 0) {
            continue;
        }
        for (uint32_t i = 0; i < talk->step_count; i++) {
            if (talk->databases[i] != database) {
                continue;
            }
            if (!is_first) {
                step_drop(talk, i);
                break; /* there are two at most */
            }
            talk->is_external[i] = true;
            is_first = false;
        }
    }
    if (talk->regret_at != UINT32_MAX && talk->regret_at > talk->step_count) {
        talk->regret_at = talk->step_count;
    }
}

/* One operation in four is spoken. Draws of its own, so that all others stay what they are. What a participant does is said in one
 * statement or in two, the second one after all others have begun. */
void talk_draw(struct sim_world *world, size_t index)
{
    struct sim_op *op = &world->ops[index];
    struct sim_talk *talk = &op->talk;
    talk->random.state = sim_mix(world->options.seed, 10000 + index);
    op->is_interactive = sim_one_in(&talk->random, 4);
    if (!op->is_interactive) {
        return;
    }
    op->has_key = false;
    bool is_split[SIM_DATABASES];
    for (uint32_t i = 0; i < world->database_count; i++) {
        is_split[i] = sim_one_in(&talk->random, 2);
        if ((op->mask & (1U << i)) != 0) {
            step_add(talk, i, op->account[i], is_split[i] ? op->amount[i] / 2 : op->amount[i]);
        }
    }
    for (uint32_t i = 0; i < world->database_count; i++) {
        if ((op->mask & (1U << i)) != 0 && is_split[i]) {
            step_add(talk, i, (op->account[i] + 1) % SIM_ACCOUNTS,
                     op->amount[i] - op->amount[i] / 2);
        }
    }
    talk->regret_at = sim_one_in(&talk->random, 6)
                          ? (uint32_t)sim_between(&talk->random, 1, talk->step_count)
                          : UINT32_MAX;
    externals_draw(world, op);
}

/* The money goes from the first database to the others, and a part of it to another account of the first one, by a second statement
 * there. */
void talk_explore(struct sim_world *world, size_t index)
{
    struct sim_op *op = &world->ops[index];
    op->is_interactive = true;
    op->has_key = false;
    op->talk.random.is_still = true;
    op->talk.regret_at = UINT32_MAX;
    for (uint32_t i = 0; i < world->database_count; i++) {
        step_add(&op->talk, i, op->account[i], i == 0 ? op->amount[i] - 1 : op->amount[i]);
    }
    step_add(&op->talk, 0, op->account[0] + 2, 1);
}

uint32_t talk_steps(const struct sim_op *op, uint32_t database)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < op->talk.step_count; i++) {
        count += op->talk.databases[i] == database && !op->talk.is_external[i];
    }
    return count;
}

/* The number that a statement has for the coordinator, which counts nothing else. */
static uint64_t step_seq(const struct sim_talk *talk, uint32_t step)
{
    uint64_t seq = 0;
    for (uint32_t i = 0; i <= step && i < talk->step_count; i++) {
        seq += !talk->is_external[i];
    }
    return seq;
}

/* ---- saying it ---- */

static enum call_kind kind_of(const struct sim_talk *talk)
{
    switch (talk->phase) {
    case TALK_OPENING:
        return CALL_OPEN;
    case TALK_SPEAKING:
        return talk->is_external[talk->step] ? CALL_EXTERNAL : CALL_STATEMENT;
    case TALK_COMMITTING:
        return CALL_COMMIT;
    case TALK_ROLLING_BACK:
        return CALL_ROLLBACK;
    }
    CHECK(!"not a phase");
    return CALL_OPEN;
}

static void say(struct sim_world *world, size_t index, enum call_kind kind, uint64_t delay_ms)
{
    struct sim_op *op = &world->ops[index];
    uint32_t coord = world->main_coord;
    clients_call(world, kind, (uint32_t)index, 0);
    op->calls_open++;
    struct sim_call *call = &world->calls[world->call_count - 1];
    call->incarnation = world->coords[coord].process.incarnation;
    call->gtrid = op->talk.gtrid;
    call->seq = op->talk.step + (op->talk.step < op->talk.step_count ? 1 : 0);
    call->is_gone = fault_strikes(world, SIM_CLIENT_GONE);
    struct sim_event *event = queue_new(world, EVENT_COORD_SUBMIT);
    event->number = world->call_count;
    world_post(world, world_coord_process(coord), event, delay_ms + sim_below(&op->talk.random, 3));
    ARROW(world, LANE_CLIENT, LANE_COORD(coord), "op %zu talks: %u of %u", index, op->talk.step,
          op->talk.step_count);
}

/* It does not wait for the answer: it wants to roll back, or has its last statement said once more. */
static void interrupt(struct sim_world *world, size_t index)
{
    const struct sim_talk *talk = &world->ops[index].talk;
    bool says_again = talk->phase == TALK_COMMITTING && fault_below(world, 2) == 0;
    if (talk->phase != TALK_OPENING) {
        enum call_kind last =
            talk->is_external[talk->step_count - 1] ? CALL_EXTERNAL : CALL_STATEMENT;
        say(world, index, says_again ? last : CALL_ROLLBACK,
            fault_below(world, fault_below(world, 2) == 0 ? 6 : 60));
    }
}

/* It is over for its client; and later somebody says something of it once more, as from a queue that was forgotten. */
static void settle(struct sim_world *world, uint32_t index)
{
    struct sim_op *op = &world->ops[index];
    op->is_settled = true;
    if (op->talk.gtrid.sequence != 0 && fault_strikes(world, SIM_CLIENT_TWICE)) {
        op->talk.afterthoughts = AFTERTHOUGHTS;
        clients_later(world, index, fault_below(world, 6000));
    }
}

/* All that there is to say, since what is rare is the situation: a heuristic outcome, an operator's word. A commit only of a whole one:
 * what this client was told is over may be open at a coordinator on another copy of the journal. */
static void say_afterwards(struct sim_world *world, size_t index)
{
    static const enum call_kind kinds[AFTERTHOUGHTS] = {CALL_COMMIT, CALL_STATEMENT, CALL_EXTERNAL,
                                                        CALL_ROLLBACK};
    struct sim_talk *talk = &world->ops[index].talk;
    if (talk->afterthoughts == 0 || !coord_proc_serves(world, world->main_coord)) {
        return;
    }
    enum call_kind kind = kinds[--talk->afterthoughts];
    if (kind != CALL_COMMIT || talk->step == talk->step_count) {
        say(world, index, kind, 0);
    }
    clients_later(world, index, 5);
}

void talk_go_on(struct sim_world *world, size_t index)
{
    struct sim_op *op = &world->ops[index];
    if (op->is_settled) {
        say_afterwards(world, index);
        return;
    }
    if (op->calls_open > 0) {
        return;
    }
    if (!coord_proc_serves(world, world->main_coord)) { /* connection refused: nothing was done */
        talk_unanswered(world, (uint32_t)index);
        return;
    }
    say(world, index, kind_of(&op->talk), 0);
    if (fault_strikes(world, SIM_CLIENT_TWICE)) {
        say(world, index, kind_of(&op->talk), 0);
    }
    if (fault_strikes(world, SIM_CLIENT_OTHER)) {
        interrupt(world, index);
    }
}

/* The same again, after a while. */
void talk_unanswered(struct sim_world *world, uint32_t index)
{
    struct sim_op *op = &world->ops[index];
    bool is_explored = world->options.is_explored; /* nobody asks on its behalf later */
    if (op->is_settled || op->calls_open > 0 ||
        (op->tries >= TRIES_MAX && world->phase == PHASE_CHAOS && !is_explored)) {
        return;
    }
    op->tries++;
    clients_later(world, index, is_explored ? 500 : 50 + sim_below(&op->talk.random, 300));
}

static struct blob *step_work(const struct sim_op *op, uint32_t index, uint32_t step)
{
    struct sim_work work;
    memset(&work, 0, sizeof(work));
    work.op = index;
    work.step = step;
    work.account_count = 1;
    work.account[0] = op->talk.account[step];
    work.amount[0] = op->talk.amount[step];
    return blob_new(&work, sizeof(work));
}

bool talk_submit(struct sim_world *world, uint32_t coord, size_t number)
{
    const struct sim_call call = world->calls[number - 1];
    const struct sim_op *op = &world->ops[call.op];
    struct interactive_statement statement = {.gtrid = call.gtrid, .seq = call.seq};
    struct interactive_end end = {
        .gtrid = call.gtrid, .commit = call.kind == CALL_COMMIT, .ack = op->ack};
    struct coord_event step = {.kind = COORD_EVENT_CLOSE, .end = &end, .call = number};
    if (call.kind == CALL_OPEN) {
        step.kind = COORD_EVENT_OPEN;
        step.timeout_ms = op->timeout_ms;
    } else if (call.kind == CALL_STATEMENT) {
        uint32_t at = (uint32_t)call.seq - 1;
        uint32_t database = op->talk.databases[at];
        step.kind = COORD_EVENT_STATEMENT;
        step.statement = &statement;
        statement.seq = step_seq(&op->talk, at);
        memcpy(statement.participant, world->databases[database].name, PARTICIPANT_NAME_SIZE);
        statement.has_mode = true;
        statement.isolation = op->isolation;
        statement.read_only = (op->read_only_mask & (1U << database)) != 0;
        statement.hash[0] = (uint8_t)at;
        statement.work = step_work(op, call.op, at);
    }
    struct interactive_external external = {.gtrid = call.gtrid};
    if (call.kind == CALL_EXTERNAL) {
        step.kind = COORD_EVENT_EXTERNAL;
        step.external = &external;
        memcpy(external.participant, world->databases[op->talk.databases[call.seq - 1]].name,
               PARTICIPANT_NAME_SIZE);
    }
    bool ok = false;
    coord_proc_step_submit(world, coord, &step, &ok);
    blob_free(statement.work);
    return ok || world->calls[number - 1].is_answered;
}

/* ---- what they are told ---- */

/* P-22: the answer is this statement's, from the execution that has said all before it. */
static void statement_is_answered(struct sim_world *world, const struct sim_call *call,
                                  const struct api_answer *answer)
{
    struct sim_said said;
    if (answer->results == NULL || answer->results->size_bytes != sizeof(said)) {
        law_broken(world, "P-22", "op %u: statement %llu is answered without its results", call->op,
                   (unsigned long long)call->seq);
        return;
    }
    memcpy(&said, answer->results->bytes, sizeof(said));
    const struct sim_attempt *attempt = law_attempt(world, &said.gid);
    if (answer->seq != step_seq(&world->ops[call->op].talk, (uint32_t)call->seq - 1) ||
        said.step + 1 != call->seq || !gtrid_equal(&said.gid.gtrid, &call->gtrid)) {
        law_broken(world, "P-22", "op %u: statement %llu is answered with the results of %u",
                   call->op, (unsigned long long)call->seq, said.step + 1);
    } else if (attempt == NULL || attempt->statements_done == 0) {
        law_broken(world, "P-22", "op %u: statement %llu was not executed", call->op,
                   (unsigned long long)call->seq);
    }
}

/* A coordinator on an older copy of the journal may not know that it was decided elsewhere (P-10). */
static void told_aborted(struct sim_world *world, const struct sim_call *call,
                         const struct api_answer *answer)
{
    const struct sim_truth *truth = law_truth_need(world, &call->gtrid);
    bool is_elsewhere =
        truth->is_decided && truth->decided_journal != world->coords[call->coord].disk;
    if (answer->view_count == 1 && !is_elsewhere) {
        clients_told_aborted(world, call, &answer->views[0]);
    }
}

static void think(struct sim_world *world, uint32_t index)
{
    struct sim_op *op = &world->ops[index];
    uint64_t pause_ms =
        sim_one_in(&op->talk.random, 24)
            ? sim_below(&op->talk.random, 2 * (uint64_t)world->coord_config.interactive_idle_ms)
            : sim_below(&op->talk.random, 30);
    op->tries = 0;
    op->talk.refusals = 0;
    clients_later(world, index, pause_ms);
}

/* It is over and nothing of it remains: once more from the beginning, or its client gives up. */
static void over(struct sim_world *world, uint32_t index)
{
    struct sim_op *op = &world->ops[index];
    if (op->tries >= TRIES_MAX || world->phase != PHASE_CHAOS || world->options.is_explored ||
        sim_one_in(&op->talk.random, 2)) {
        settle(world, index);
        return;
    }
    op->tries++;
    op->talk.phase = TALK_OPENING;
    op->talk.step = 0;
    op->talk.refusals = 0;
    clients_later(world, index, sim_below(&op->talk.random, 400));
}

static void next_phase(struct sim_talk *talk)
{
    if (talk->step >= talk->regret_at) {
        talk->phase = TALK_ROLLING_BACK;
    } else {
        talk->phase = talk->step < talk->step_count ? TALK_SPEAKING : TALK_COMMITTING;
    }
}

static void step_is_done(struct sim_world *world, uint32_t index)
{
    world->ops[index].talk.step++;
    next_phase(&world->ops[index].talk);
    think(world, index);
}

/* Its application prepares under this name now, or nobody does. */
static void external_is_given(struct sim_world *world, uint32_t index, const struct gid *gid)
{
    struct sim_op *op = &world->ops[index];
    op->talk.gid = *gid;
    switch (application_begin(world, index, gid)) {
    case APPLICATION_WAITS:
        return;
    case APPLICATION_GOES_ON:
        step_is_done(world, index);
        return;
    case APPLICATION_ASKS_AGAIN:
        clients_later(world, index, 20 + sim_below(&op->talk.random, 200));
        return;
    case APPLICATION_DIES:
        op->is_settled = true;
        return;
    }
}

static void done(struct sim_world *world, struct sim_call *call, const struct api_answer *answer,
                 bool is_current)
{
    struct sim_op *op = &world->ops[call->op];
    switch (call->kind) {
    case CALL_OPEN: /* a second one is opened for nobody, and found idle */
        if (is_current) {
            op->talk.gtrid = answer->views[0].gtrid;
            law_truth_need(world, &op->talk.gtrid)->op = call->op;
            next_phase(&op->talk);
            think(world, call->op);
        }
        return;
    case CALL_STATEMENT:
        statement_is_answered(world, call, answer);
        if (is_current) {
            step_is_done(world, call->op);
        }
        return;
    case CALL_EXTERNAL:
        if (is_current) {
            external_is_given(world, call->op, &answer->gid);
        }
        return;
    case CALL_COMMIT: {
        bool was_settled = op->is_settled;
        clients_told_committed(world, call, &answer->views[0]);
        if (!was_settled) {
            settle(world, call->op);
        }
        return;
    }
    case CALL_ROLLBACK:
        told_aborted(world, call, answer);
        if (is_current) {
            settle(world, call->op);
        }
        return;
    case CALL_SUBMIT:
    case CALL_ACT:
    case CALL_RESOLVE:
        break;
    }
    CHECK(!"no step of a talk");
}

/* Refused, and nothing was done: the same again a few times, then it is rolled back, or given up where it is not open. */
static void refused(struct sim_world *world, uint32_t index)
{
    struct sim_op *op = &world->ops[index];
    struct sim_talk *talk = &op->talk;
    talk->refusals++;
    if (talk->refusals >= REFUSALS_MAX && talk->phase == TALK_OPENING) {
        settle(world, index);
        return;
    }
    if (talk->refusals >= REFUSALS_MAX && talk->phase == TALK_SPEAKING) {
        talk->phase = TALK_ROLLING_BACK;
    }
    talk_unanswered(world, index);
}

void talk_prepared(struct sim_world *world, uint32_t index, const struct gid *gid, bool ok)
{
    struct sim_op *op = &world->ops[index];
    /* An application of an earlier try of the same operation may be as late as this. */
    if (op->is_settled || op->talk.phase != TALK_SPEAKING || !gid_equal(&op->talk.gid, gid) ||
        !gtrid_equal(&op->talk.gtrid, &gid->gtrid)) {
        return;
    }
    if (ok) {
        step_is_done(world, index);
    } else {
        refused(world, index);
    }
}

void talk_answered(struct sim_world *world, struct sim_call *call, const struct api_answer *answer)
{
    struct sim_op *op = &world->ops[call->op];
    const struct sim_talk *talk = &op->talk;
    bool is_current = !op->is_settled && call->kind == kind_of(talk) &&
                      (call->kind == CALL_OPEN || gtrid_equal(&call->gtrid, &talk->gtrid)) &&
                      ((call->kind != CALL_STATEMENT && call->kind != CALL_EXTERNAL) ||
                       call->seq == talk->step + 1);
    if (call->is_gone) { /* nobody read it */
        talk_unanswered(world, call->op);
        return;
    }
    if (!is_current) { /* its client may have waited for this one only */
        talk_unanswered(world, call->op);
    }
    switch (answer->status) {
    case API_OK:
        done(world, call, answer, is_current);
        return;
    case API_ABORTED:
        told_aborted(world, call, answer);
        if (is_current) {
            over(world, call->op);
        }
        return;
    case API_REFUSED:
    case API_CONFLICT:
    case API_UNKNOWN_PARTICIPANT:
    case API_LIMIT:
        if (is_current && call->kind == CALL_ROLLBACK && answer->status == API_CONFLICT) {
            settle(world, call->op); /* a commit of its was under way */
        } else if (is_current) {
            refused(world, call->op);
        }
        return;
    case API_NOT_FOUND:
    case API_EXPIRED:
        if (is_current) {
            settle(world, call->op);
        }
        return;
    case API_OUTCOME_UNKNOWN:
    case API_FAILED:
        if (is_current) {
            talk_unanswered(world, call->op);
        }
        return;
    case API_ACCEPTED:
        law_broken(world, "P-22", "op %u is told accepted", call->op);
        return;
    case API_KEY_CONFLICT:
        law_broken(world, "P-22", "op %u: statement %llu is another one for the coordinator",
                   call->op, (unsigned long long)call->seq);
        return;
    }
}
