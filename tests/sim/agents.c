/*
 * agents.c - an agent process: the real core, and around it what agent*.c and the threads of pg_*.c do.
 *
 * The edge's rules mirrored here: workers take EXECUTEs in order; one keeper carries out everything else one after the
 * other and judges the server (P-14); a worker or finisher touches only the server that the keeper has accepted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/sim/coverage.h"
#include "tests/sim/probe.h"
#include "tests/sim/world.h"

#define BEAT_MS 1000

static void agent_step_event(struct sim_world *world, uint32_t index, struct agent_event *event);

static struct sim_database *its_database(struct sim_world *world, const struct sim_agent *agent)
{
    return &world->databases[agent->database];
}

/* ---- queues of the edge ---- */

static void jobs_put(struct sim_jobs *jobs, struct command *command)
{
    struct sim_job *job = alloc_zeroed(sizeof(*job));
    job->command = *command;
    memset(command, 0, sizeof(*command));
    if (jobs->last != NULL) {
        jobs->last->next = job;
    } else {
        jobs->first = job;
    }
    jobs->last = job;
    jobs->count++;
}

static bool jobs_take(struct sim_jobs *jobs, struct command *ret_command)
{
    struct sim_job *job = jobs->first;
    if (job == NULL) {
        return false;
    }
    jobs->first = job->next;
    jobs->last = jobs->first == NULL ? NULL : jobs->last;
    jobs->count--;
    *ret_command = job->command;
    free(job);
    return true;
}

static void jobs_drop(struct sim_jobs *jobs)
{
    struct command command;
    while (jobs_take(jobs, &command)) {
        command_done(&command);
    }
}

void agent_post_result(struct sim_world *world, uint32_t index, uint64_t incarnation,
                       struct command_result *result, uint64_t delay_ms)
{
    struct sim_event *event = queue_new(world, EVENT_AGENT_RESULT);
    event->as.result = *result;
    memset(result, 0, sizeof(*result));
    event->process = world_agent_process(index);
    event->incarnation = incarnation;
    event->posted_ms = world->now_ms;
    queue_push(world, event, world->now_ms + delay_ms);
}

/* pg_refuse: what was not sent was not done, what was not asked is not known. */
static void edge_refuse(struct sim_world *world, uint32_t index, const struct command *command,
                        enum reason reason)
{
    struct command_result result = {.id = command->id, .kind = command->kind, .class = PG_UNKNOWN};
    if (command->kind == COMMAND_EXECUTE || command->kind == COMMAND_STATEMENT ||
        command->kind == COMMAND_PREPARE || command->kind == COMMAND_VERIFY) {
        result.class = PG_ROLLED_BACK;
        result.failure.reason = reason;
    } else if (command->kind == COMMAND_FINISH) {
        result.class = PG_RETRY;
    } else if (command->kind == COMMAND_CANCEL) {
        return;
    }
    agent_post_result(world, index, world->agents[index].process.incarnation, &result, 1);
}

/* ---- judging the server ---- */

static bool server_is_fit(const struct sim_database *database)
{
    return database->is_up && !database->is_read_only;
}

/* As accept_server of pg_keeper.c. */
static bool edge_accept(struct sim_agent *agent, const struct sim_database *database)
{
    struct sim_edge *edge = &agent->edge;
    struct identity here = {.system_id = database->system_id,
                            .timeline = database->timeline,
                            .database_oid = 16384 + database->index,
                            .lsn = database->lsn};
    memcpy(here.database, database->name, PARTICIPANT_NAME_SIZE);
    bool first = !edge->was_known;
    bool behind = here.lsn < edge->lsn_seen;
    bool changed = !first && (edge->identity.system_id != here.system_id ||
                              edge->identity.timeline != here.timeline || behind);
    if (behind && !first) {
        if (edge->lost_to_lsn == 0 || here.lsn < edge->lost_from_lsn) {
            edge->lost_from_lsn = here.lsn;
        }
        edge->lost_to_lsn = edge->lsn_seen > edge->lost_to_lsn ? edge->lsn_seen : edge->lost_to_lsn;
    }
    if (edge->starts != database->starts) {
        edge->lsn_at_connect = here.lsn;
    }
    edge->identity = here;
    if (changed) {
        edge->voted_count = 0;
        edge->history_changes++;
    }
    if (changed || here.lsn > edge->lsn_seen) {
        edge->lsn_seen = here.lsn;
    }
    edge->is_known = true;
    edge->was_known = true;
    edge->starts = database->starts;
    return changed;
}

/* The keeper looks at the server and tells the core; false if it is not fit. The core may be gone afterwards. */
static bool edge_judge(struct sim_world *world, uint32_t index)
{
    struct sim_agent *agent = &world->agents[index];
    const struct sim_database *database = its_database(world, agent);
    struct database_status status = {.health = HEALTH_UP};
    uint64_t incarnation = agent->process.incarnation;
    bool is_reconnect = agent->edge.was_known && agent->edge.starts != database->starts;
    if (server_is_fit(database)) {
        if (is_reconnect && world_point(world, world_agent_process(index), FAULT_A_RECONNECT)) {
            return false;
        }
        status.history_changed = edge_accept(agent, database);
    } else {
        agent->edge.is_known = false;
        status.health = database->is_up ? HEALTH_READ_ONLY : HEALTH_DOWN;
        (void)snprintf(status.text, sizeof(status.text), "%s",
                       database->is_up ? "read-only" : "no connection");
    }
    status.identity = agent->edge.identity;
    agent->edge.health = status.health;
    if (status.history_changed) {
        TRACE(world, LANE_AGENT(index), "history changed");
    }
    struct agent_event event = {.kind = AGENT_EVENT_STATUS, .status = &status};
    agent_step_event(world, index, &event);
    return status.health == HEALTH_UP && agent->process.is_alive &&
           agent->process.incarnation == incarnation;
}

static void beat_later(struct sim_world *world, uint32_t index, uint64_t delay_ms)
{
    world_post(world, world_agent_process(index), queue_new(world, EVENT_AGENT_BEAT), delay_ms);
}

static void edge_beat(struct sim_world *world, uint32_t index)
{
    beat_later(world, index, BEAT_MS);
    (void)edge_judge(world, index);
}

/* May a worker or finisher use the server? As pg_member_ready and same_server. */
static bool edge_member_ready(struct sim_world *world, uint32_t index)
{
    struct sim_agent *agent = &world->agents[index];
    const struct sim_database *database = its_database(world, agent);
    const struct sim_edge *edge = &agent->edge;
    bool same = server_is_fit(database) && edge->is_known &&
                edge->identity.system_id == database->system_id &&
                edge->identity.timeline == database->timeline && database->lsn >= edge->lsn_seen;
    if (!same && server_is_fit(database)) {
        beat_later(world, index, 0); /* recheck */
    }
    return same;
}

/* ---- EXECUTE on workers ---- */

static void edge_execute_begin(struct sim_world *world, uint32_t index, struct command *command)
{
    struct sim_agent *agent = &world->agents[index];
    uint32_t process = world_agent_process(index);
    if (world_point(world, process, FAULT_A_BEGIN)) {
        command_done(command);
        return;
    }
    if (!edge_member_ready(world, index)) {
        edge_refuse(world, index, command, REASON_PARTICIPANT_UNAVAILABLE);
        command_done(command);
        return;
    }
    if (world->now_ms >= command->as.execute.deadline_ms) {
        edge_refuse(world, index, command, REASON_TIMEOUT);
        command_done(command);
        return;
    }
    if (world_point(world, process, FAULT_A_PREP_PRE_SEND)) {
        command_done(command);
        return;
    }
    agent->edge.running++;
    backend_execute(world, index, command);
    (void)world_point(world, process, FAULT_A_PREP_IN_FLIGHT);
}

void edge_worker_free(struct sim_world *world, uint32_t index)
{
    struct sim_agent *agent = &world->agents[index];
    struct command command;
    CHECK(agent->edge.running > 0);
    agent->edge.running--;
    for (size_t i = agent->edge.execute.count;
         i > 0 && agent->process.is_alive && agent->edge.running < SIM_WORKERS &&
         jobs_take(&agent->edge.execute, &command);
         i--) {
        edge_execute_begin(world, index, &command);
    }
}

static void edge_execute(struct sim_world *world, uint32_t index, struct command *command)
{
    struct sim_agent *agent = &world->agents[index];
    if (agent->edge.running < SIM_WORKERS && agent->edge.execute.count == 0) {
        edge_execute_begin(world, index, command);
    } else {
        jobs_put(&agent->edge.execute, command);
    }
}

static bool job_matches(const struct command *command, const struct gtrid *gtrid,
                        const struct gid *gid)
{
    const struct gid *own = &command->as.execute.gid;
    return gid != NULL ? gid_equal(own, gid) : gtrid_equal(&own->gtrid, gtrid);
}

/* pg_cancel_execute: what has not begun does not begin. */
static void edge_cancel_waiting(struct sim_world *world, uint32_t index, const struct gtrid *gtrid,
                                const struct gid *gid)
{
    struct sim_jobs *jobs = &world->agents[index].edge.execute;
    size_t count = jobs->count;
    struct command command;
    for (size_t i = 0; i < count && jobs_take(jobs, &command); i++) {
        if (job_matches(&command, gtrid, gid)) {
            edge_refuse(world, index, &command, REASON_ROLLED_BACK_BY_CLIENT);
            command_done(&command);
        } else {
            jobs_put(jobs, &command);
        }
    }
}

/* ---- the keeper ---- */

static void keeper_next(struct sim_world *world, uint32_t index)
{
    struct sim_agent *agent = &world->agents[index];
    if (agent->edge.keeper_busy || agent->edge.keeper.first == NULL) {
        return;
    }
    agent->edge.keeper_busy = true;
    struct sim_event *event = queue_new(world, EVENT_KEEPER_RUN);
    event->a = index;
    event->incarnation = agent->process.incarnation;
    uint64_t delay_ms = sim_below(&world->database_random, 3) + agent->edge.late_ms;
    agent->edge.late_ms = 0;
    if (fault_strikes(world, SIM_PG_SLOW)) {
        delay_ms += fault_below(world, world->slow_max_ms);
    }
    queue_push(world, event, world->now_ms + delay_ms);
}

static bool keeper_is_same(const struct sim_agent *agent, uint64_t incarnation)
{
    return agent->process.is_alive && agent->process.incarnation == incarnation;
}

/* False: the agent died on the way. */
static bool keeper_serve(struct sim_world *world, uint32_t index, struct command *command)
{
    struct sim_agent *agent = &world->agents[index];
    const struct sim_database *database = its_database(world, agent);
    uint64_t incarnation = agent->process.incarnation;
    if (command->kind == COMMAND_LOOK || command->kind == COMMAND_PROVE) {
        const struct gid *gid = command->kind == COMMAND_PROVE ? &command->as.prove.gid
                                : command->as.look.has_gid     ? &command->as.look.gid
                                                               : NULL;
        edge_cancel_waiting(world, index, gid != NULL ? &gid->gtrid : &command->as.look.gtrid, gid);
    }
    bool connected =
        agent->edge.is_known && agent->edge.starts == database->starts && database->is_up;
    if (!connected && !edge_judge(world, index)) {
        if (keeper_is_same(agent, incarnation)) {
            edge_refuse(world, index, command, REASON_PARTICIPANT_UNAVAILABLE);
        }
        return keeper_is_same(agent, incarnation);
    }
    struct command_result result = {.id = command->id, .kind = command->kind, .class = PG_UNKNOWN};
    if (command->kind == COMMAND_SCAN && !agent->edge.scanned) {
        agent->edge.scanned = true;
        if (world_point(world, world_agent_process(index), FAULT_A_START_PRE_SCAN)) {
            return false;
        }
    }
    /* The connection may go before the command or after it. */
    bool lost = fault_strikes(world, SIM_PG_KEEPER);
    if (!lost || fault_below(world, 2) == 0) {
        keeper_carry_out(world, index, command, &result);
    }
    if (lost) {
        command_result_done(&result);
        result =
            (struct command_result){.id = command->id, .kind = command->kind, .class = PG_UNKNOWN};
    }
    if (!keeper_is_same(agent, incarnation)) {
        command_result_done(&result);
        return false;
    }
    if (fault_strikes(world, SIM_PG_ANSWER_LATE)) {
        agent->edge.late_ms =
            fault_below(world, 1500); /* and what waits behind it comes after it */
    }
    agent_post_result(world, index, incarnation, &result,
                      sim_below(&world->database_random, 3) + agent->edge.late_ms);
    return true;
}

void edge_keeper_run(struct sim_world *world, uint32_t index, const struct sim_event *event)
{
    struct sim_agent *agent = &world->agents[index];
    struct command command;
    if (!keeper_is_same(agent, event->incarnation)) {
        return;
    }
    if (agent->process.is_stopped) {
        struct sim_event *again = queue_new(world, EVENT_KEEPER_RUN);
        again->a = index;
        again->incarnation = event->incarnation;
        queue_push(world, again, world->now_ms + 2 * SIM_TICK_MS); /* until it goes on */
        return;
    }
    if (!jobs_take(&agent->edge.keeper, &command)) {
        agent->edge.keeper_busy = false;
        return;
    }
    bool lives = keeper_serve(world, index, &command);
    command_done(&command);
    if (lives) {
        agent->edge.keeper_busy = false;
        keeper_next(world, index);
    }
}

/* ---- interactive branches (pg_interactive.c) ---- */

/* Borrows the command, but for a statement's work. */
static void edge_interactive(struct sim_world *world, uint32_t index, struct command *command)
{
    uint32_t process = world_agent_process(index);
    if (command->kind == COMMAND_CLOSE) {
        backend_close(world, index, command);
    } else if (command->kind == COMMAND_STATEMENT && command->as.statement.ordinal == 1) {
        if (world_point(world, process, FAULT_A_BEGIN)) {
            return;
        }
        if (edge_member_ready(world, index)) {
            backend_statement(world, index, command);
        } else {
            edge_refuse(world, index, command, REASON_PARTICIPANT_UNAVAILABLE);
        }
    } else if (command->kind == COMMAND_STATEMENT) {
        backend_statement(world, index, command);
    } else if (!world_point(world, process, FAULT_A_PREP_PRE_SEND)) {
        backend_prepare_open(world, index, command);
        (void)world_point(world, process, FAULT_A_PREP_IN_FLIGHT);
    }
}

/* ---- carrying out a ready ---- */

bool edge_submit(struct sim_world *world, uint32_t index, struct command *command)
{
    uint32_t process = world_agent_process(index);
    switch (command->kind) {
    case COMMAND_EXECUTE:
        edge_execute(world, index, command);
        break;
    case COMMAND_CANCEL: {
        struct gid gid = command->as.cancel;
        edge_cancel_waiting(world, index, &gid.gtrid, &gid);
        backend_cancel(world, index, &gid);
        break;
    }
    case COMMAND_FINISH: {
        bool commit = command->as.finish.commit;
        if (edge_member_ready(world, index)) {
            backend_finish(world, index, command);
            (void)world_point(world, process,
                              commit ? FAULT_A_COMMIT_IN_FLIGHT : FAULT_A_RB_IN_FLIGHT);
        } else {
            edge_refuse(world, index, command, REASON_PARTICIPANT_UNAVAILABLE);
        }
        break;
    }
    case COMMAND_VERIFY:
        if (world_point(world, process, FAULT_A_PREP_PRE_SEND)) {
            break;
        }
        if (edge_member_ready(world, index)) {
            backend_verify(world, index, command);
            (void)world_point(world, process, FAULT_A_PREP_IN_FLIGHT);
        } else {
            edge_refuse(world, index, command, REASON_PARTICIPANT_UNAVAILABLE);
        }
        break;
    case COMMAND_STATEMENT:
    case COMMAND_PREPARE:
    case COMMAND_CLOSE:
        edge_interactive(world, index, command);
        command_done(command);
        break;
    case COMMAND_PROVE:
    case COMMAND_LOOK:
    case COMMAND_SCAN:
    case COMMAND_LOAD_WITNESS:
    case COMMAND_STORE_WITNESS:
    case COMMAND_ROTATE:
    case COMMAND_AUDIT:
    case COMMAND_OUTCOMES:
        jobs_put(&world->agents[index].edge.keeper, command);
        keeper_next(world, index);
        break;
    }
    return world->agents[index].process.is_alive;
}

static bool sent_point(struct sim_world *world, uint32_t index, enum message_kind kind, bool before)
{
    uint32_t process = world_agent_process(index);
    if (before) {
        return kind == MESSAGE_WELCOME && world_point(world, process, FAULT_A_REGISTER);
    }
    return (kind == MESSAGE_VOTE && world_point(world, process, FAULT_A_VOTE_SENT)) ||
           (kind == MESSAGE_ACK && world_point(world, process, FAULT_A_ACK_SENT)) ||
           (kind == MESSAGE_INQUIRY && world_point(world, process, FAULT_A_INQUIRY_SENT));
}

/* Commands first, messages at the end of the round, as agent_step.c does. False: it died on the way. */
static bool carry(struct sim_world *world, uint32_t index, struct agent_ready *ready)
{
    uint64_t incarnation = world->agents[index].process.incarnation;
    for (size_t i = 0; i < ready->command_count; i++) {
        if (!edge_submit(world, index, &ready->commands[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < ready->send_count; i++) {
        struct agent_send *send = &ready->sends[i];
        enum message_kind kind = send->message.kind;
        if (sent_point(world, index, kind, true)) {
            return false;
        }
        network_send_to_coord(world, index, send->session, &send->message);
        if (sent_point(world, index, kind, false)) {
            return false;
        }
    }
    return world->agents[index].process.incarnation == incarnation;
}

static void timer_arm(struct sim_world *world, uint32_t index)
{
    struct sim_agent *agent = &world->agents[index];
    if (agent->deadline_ms >= agent->timer_at_ms) {
        return; /* that one comes first, and looks again */
    }
    agent->timer_at_ms = agent->deadline_ms;
    struct sim_event *event = queue_new(world, EVENT_AGENT_TIMER);
    event->number = ++agent->timer_number;
    event->process = world_agent_process(index);
    event->incarnation = agent->process.incarnation;
    queue_push(world, event, agent->deadline_ms + (sim_one_in(&world->schedule, 8) ? 3 : 0));
}

/* For the explorer: the nonce of an execution depends on what is executed, and on nothing else, so that situations that
 * are equal look equal. */
static uint64_t explored_random(struct sim_world *world, uint32_t index,
                                const struct agent_event *event)
{
    if (event->kind != AGENT_EVENT_MESSAGE ||
        (event->message->kind != MESSAGE_WORK && event->message->kind != MESSAGE_STATEMENT)) {
        return 0;
    }
    const struct gtrid *gtrid = event->message->kind == MESSAGE_WORK
                                    ? &event->message->as.work.gtrid
                                    : &event->message->as.statement.gtrid;
    const struct sim_truth *truth = law_truth_need(world, gtrid);
    uint64_t count = 0;
    for (const struct sim_attempt *attempt = truth->attempts; attempt != NULL;
         attempt = attempt->next_of_truth) {
        count += attempt->database == world->agents[index].database;
    }
    return sim_mix(sim_mix(gtrid->epoch, gtrid->sequence), sim_mix(index, count));
}

static void agent_step_event(struct sim_world *world, uint32_t index, struct agent_event *event)
{
    struct sim_agent *agent = &world->agents[index];
    struct agent_ready ready = agent->ready; /* a kill on the way must not pull it away */
    memset(&agent->ready, 0, sizeof(agent->ready));
    event->now_ms = world->now_ms;
    event->random = world->options.is_explored ? explored_random(world, index, event)
                                               : sim_draw(&world->payload);
    coverage_agent(world, agent->core, event);
    agent->hears = event->kind == AGENT_EVENT_MESSAGE ? event->session : 0;
    if (event->kind == AGENT_EVENT_MESSAGE && probe_agent_listens(agent->core, event->session)) {
        law_agent_hears(world, index, event->message);
    } else if (event->kind == AGENT_EVENT_PEER_DOWN) {
        law_session_over(world, index, event->session);
    }
    agent_step(agent->core, event, &ready);
    agent->deadline_ms = ready.deadline_ms;
    bool drained = ready.drained;
    uint64_t incarnation = agent->process.incarnation;
    law_agent_ready(world, index, &ready);
    bool lives = carry(world, index, &ready) && agent->process.is_alive &&
                 agent->process.incarnation == incarnation;
    agent_ready_clear(&ready);
    if (!lives || agent->ready.sends != NULL || agent->ready.commands != NULL ||
        agent->ready.notices != NULL) {
        agent_ready_done(&ready);
    } else {
        agent->ready = ready;
    }
    if (!lives) {
        return;
    }
    if (agent->process.is_draining && drained) {
        agent_proc_kill(world, index);
        process_order_start(world, world_agent_process(index), 50);
        return;
    }
    timer_arm(world, index);
}

/* ---- events ---- */

static uint64_t *message_remaining(struct message *message)
{
    if (message->kind == MESSAGE_WORK) {
        return &message->as.work.remaining_ms;
    }
    if (message->kind == MESSAGE_STATEMENT) {
        return &message->as.statement.remaining_ms;
    }
    if (message->kind == MESSAGE_VERIFY) {
        return &message->as.verify.remaining_ms;
    }
    return message->kind == MESSAGE_PREPARE ? &message->as.prepare.remaining_ms : NULL;
}

static void take_message(struct sim_world *world, uint32_t index, struct sim_event *event)
{
    uint32_t process = world_agent_process(index);
    enum message_kind kind = event->as.message.kind;
    if ((kind == MESSAGE_WORK && world_point(world, process, FAULT_A_PREPARE_RECV)) ||
        (kind == MESSAGE_COMMIT && world_point(world, process, FAULT_A_COMMIT_RECV)) ||
        (kind == MESSAGE_ROLLBACK && world_point(world, process, FAULT_A_RB_RECV))) {
        return;
    }
    uint64_t *remaining_ms = message_remaining(&event->as.message);
    if (remaining_ms != NULL) { /* P-15: what was lost in the inbox is not given to the deadline */
        uint64_t waited_ms = world->now_ms - event->posted_ms;
        *remaining_ms = *remaining_ms > waited_ms ? *remaining_ms - waited_ms : 0;
    }
    struct agent_event step = {
        .kind = AGENT_EVENT_MESSAGE, .session = event->session, .message = &event->as.message};
    agent_step_event(world, index, &step);
}

void edge_note_executed(struct sim_world *world, uint32_t index,
                        const struct command_result *result)
{
    struct sim_agent *agent = &world->agents[index];
    if (result->class != PG_OK || result->proof.kind == PROOF_NONE) {
        return;
    }
    struct sim_edge *edge = &agent->edge;
    edge->voted = alloc_resize(edge->voted, edge->voted_count + 1, sizeof(edge->voted[0]));
    if (result->proof.lsn > edge->lsn_seen) {
        edge->lsn_seen = result->proof.lsn;
    }
    struct gid gid;
    CHECK(result->results != NULL && result->results->size_bytes == sizeof(gid));
    memcpy(&gid, result->results->bytes, sizeof(gid));
    edge->voted[edge->voted_count++] = gid.attempt;
    struct sim_attempt *attempt = law_attempt(world, &gid);
    CHECK(attempt != NULL);
    attempt->reply_ok = true;
    attempt->reply_incarnation = agent->process.incarnation;
}

static void take_result(struct sim_world *world, uint32_t index, struct sim_event *event)
{
    struct command_result *result = &event->as.result;
    uint32_t process = world_agent_process(index);
    if (result->kind == COMMAND_EXECUTE) {
        if (world_point(world, process, FAULT_A_STMT) ||
            world_point(world, process, FAULT_A_PREP_RESULT)) {
            return;
        }
        edge_note_executed(world, index, result);
    } else if (result->kind == COMMAND_PREPARE || result->kind == COMMAND_VERIFY) {
        if (world_point(world, process, FAULT_A_PREP_RESULT)) {
            return;
        }
        edge_note_executed(world, index, result);
        blob_free(result->results); /* the model's own word; statements have given theirs */
        result->results = NULL;
    } else if (result->kind == COMMAND_FINISH &&
               (world_point(world, process, FAULT_A_COMMIT_RESULT) ||
                world_point(world, process, FAULT_A_RB_RESULT))) {
        return;
    }
    struct agent_event step = {.kind = AGENT_EVENT_RESULT, .result = result};
    agent_step_event(world, index, &step);
}

static void take_session(struct sim_world *world, uint32_t index, const struct sim_event *event)
{
    struct sim_agent *agent = &world->agents[index];
    struct agent_event step = {.session = event->session};
    if (event->kind == EVENT_AGENT_DOWN) {
        for (size_t i = 0; i < SIM_COORDS; i++) {
            agent->sessions[i] = agent->sessions[i] == event->session ? 0 : agent->sessions[i];
        }
        step.kind = AGENT_EVENT_PEER_DOWN;
    } else {
        agent->sessions[event->a] = event->session;
        step.kind = AGENT_EVENT_PEER_UP;
        memcpy(step.journal.bytes, event->head.hash, JOURNAL_ID_BYTES); /* it travels there */
        agent->journals[event->a] = step.journal;
    }
    agent_step_event(world, index, &step);
}

void agent_proc_take(struct sim_world *world, uint32_t index, struct sim_event *event)
{
    struct sim_agent *agent = &world->agents[index];
    struct agent_event step = {.kind = AGENT_EVENT_TIMER};
    switch (event->kind) {
    case EVENT_AGENT_MESSAGE:
        take_message(world, index, event);
        return;
    case EVENT_AGENT_UP:
    case EVENT_AGENT_DOWN:
        take_session(world, index, event);
        return;
    case EVENT_AGENT_RESULT:
        take_result(world, index, event);
        return;
    case EVENT_AGENT_BEAT:
        edge_beat(world, index);
        return;
    case EVENT_AGENT_TIMER:
        if (event->number != agent->timer_number) {
            return;
        }
        agent->timer_at_ms = UINT64_MAX;
        if (world->now_ms < agent->deadline_ms) {
            timer_arm(world, index); /* it was moved meanwhile */
        } else {
            agent_step_event(world, index, &step);
        }
        return;
    case EVENT_AGENT_DRAIN:
        agent->process.is_draining = true;
        step.kind = AGENT_EVENT_DRAIN;
        agent_step_event(world, index, &step);
        return;
    default:
        CHECK(!"not an agent's event");
    }
}

/* ---- life ---- */

void agent_proc_start(struct sim_world *world, uint32_t index)
{
    struct sim_agent *agent = &world->agents[index];
    CHECK(!agent->process.is_alive);
    struct agent_config config = world->agent_config;
    (void)snprintf(config.participant, sizeof(config.participant), "%s",
                   its_database(world, agent)->name);
    agent->process.is_alive = true;
    agent->process.is_stopped = false;
    agent->process.is_draining = false;
    agent->process.incarnation = ++world->next_incarnation;
    agent->core = agent_new(&config, world->now_ms);
    agent->timer_at_ms = UINT64_MAX;
    agent->deadline_ms = world->now_ms;
    memset(&agent->edge, 0, sizeof(agent->edge));
    memset(agent->sessions, 0, sizeof(agent->sessions));
    memset(agent->welcomed_epoch, 0, sizeof(agent->welcomed_epoch));
    TRACE(world, LANE_AGENT(index), "start");
    world_note(world, 0xa0000 + index);
    beat_later(world, index, sim_below(&world->schedule, 20));
    timer_arm(world, index);
    for (uint32_t coord = 0; coord < SIM_COORDS; coord++) {
        network_dial(world, coord, agent->database, sim_below(&world->network, 50));
    }
}

void agent_proc_kill(struct sim_world *world, uint32_t index)
{
    struct sim_agent *agent = &world->agents[index];
    if (!agent->process.is_alive) {
        return;
    }
    if (world->phase != PHASE_OVER) {
        TRACE(world, LANE_AGENT(index), "dies");
    }
    world_note(world, 0xb0000 + index);
    agent->process.is_alive = false;
    agent->process.is_stopped = false;
    process_inbox_drop(world, &agent->process);
    agent_free(agent->core);
    agent->core = NULL;
    agent_ready_done(&agent->ready);
    jobs_drop(&agent->edge.execute);
    jobs_drop(&agent->edge.keeper);
    free(agent->edge.voted);
    memset(&agent->edge, 0, sizeof(agent->edge));
    backend_agent_died(world, index);
    network_process_died(world, world_agent_process(index));
}
