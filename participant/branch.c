/*
 * branch.c - the step of the agent's core: who handles which event, timers, drain, counters. See
 * branch.h.
 */
#include "participant/branch.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "participant/branch_internal.h"

struct agent *agent_new(const struct agent_config *config, uint64_t now_ms)
{
    CHECK(participant_name_valid(config->participant));
    CHECK(config->outcomes_page > 0);
    CHECK(config->retry_min_ms > 0 && config->sweep_interval_ms > 0 && config->heartbeat_ms > 0);
    struct agent *agent = alloc_zeroed(sizeof(*agent));
    agent->config = *config;
    agent->now_ms = now_ms;
    agent->scan_due_ms = now_ms;
    agent->heartbeat_due_ms = now_ms;
    agent->rotate_due_ms = now_ms + ROTATE_MS;
    agent->status.health = HEALTH_DOWN;
    TAILQ_INIT(&agent->live);
    TAILQ_INIT(&agent->done);
    TAILQ_INIT(&agent->erases);
    TAILQ_INIT(&agent->tombstone_list);
    return agent;
}

void agent_free(struct agent *agent)
{
    if (agent == NULL) {
        return;
    }
    struct agent_erase *erase = NULL;
    while ((erase = TAILQ_FIRST(&agent->erases)) != NULL) {
        erase->pending.id = 0;
        agent_erase_free(agent, erase);
    }
    struct agent_branch *branch = NULL;
    while ((branch = TAILQ_FIRST(&agent->live)) != NULL) {
        branch->pending.id = 0;
        agent_branch_free(agent, branch);
    }
    agent_branch_drop_answers(agent);
    struct agent_tombstone *tombstone = NULL;
    while ((tombstone = TAILQ_FIRST(&agent->tombstone_list)) != NULL) {
        TAILQ_REMOVE(&agent->tombstone_list, tombstone, list);
        free(tombstone);
    }
    for (size_t i = 0; i < agent->peer_count; i++) {
        free(agent->peers[i]);
    }
    for (size_t i = 0; i < agent->journal_count; i++) {
        free(agent->journals[i]);
    }
    map_done(&agent->txns);
    map_done(&agent->commands);
    map_done(&agent->tombstones);
    heap_done(&agent->timers);
    free(agent);
}

/* splitmix64 over the event's random bits: one event may need several draws (P-15: never from a
 * clock). */
uint64_t agent_random(struct agent *agent)
{
    agent->random += 0x9e3779b97f4a7c15u;
    uint64_t bits = agent->random;
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
    return bits ^ (bits >> 31);
}

/* min, doubling to max, less up to a quarter: so that branches which failed together do not come
 * back together. */
uint64_t agent_backoff(struct agent *agent, uint32_t tries, uint32_t min_ms, uint32_t max_ms)
{
    uint64_t delay = min_ms;
    for (uint32_t i = 1; i < tries && delay < max_ms; i++) {
        delay *= 2;
    }
    delay = delay < max_ms ? delay : max_ms;
    return delay - agent_random(agent) % (delay / 4 + 1);
}

void agent_timer_init(struct agent_timer *timer, enum agent_owner owner)
{
    heap_node_init(&timer->node);
    timer->owner = owner;
}

void agent_timer_set(struct agent *agent, struct agent_timer *timer, uint64_t due_ms)
{
    heap_set(&agent->timers, &timer->node, due_ms);
}

bool agent_database_up(const struct agent *agent)
{
    return agent->status.health == HEALTH_UP;
}

static uint64_t command_hash(uint64_t id)
{
    return map_hash_bytes(&id, sizeof(id));
}

static bool command_match(const void *value, const void *wanted)
{
    return ((const struct agent_pending *)value)->id == *(const uint64_t *)wanted;
}

struct command *agent_command_for(struct agent *agent, struct agent_pending *pending,
                                  enum command_kind kind)
{
    CHECK(pending->id == 0);
    struct command *command = agent_command(agent, kind);
    pending->id = command->id;
    pending->history = agent->history;
    map_insert(&agent->commands, command_hash(command->id), pending);
    return command;
}

static void branch_result(struct agent *agent, struct agent_branch *branch,
                          struct command_result *result)
{
    switch (branch->state) {
    case BRANCH_EXECUTING:
    case BRANCH_CANCELLING:
        agent_executed(agent, branch, result);
        break;
    case BRANCH_ANSWERING:
        agent_answered(agent, branch, result);
        break;
    case BRANCH_CLOSING:
        agent_branch_closed(agent, branch, result);
        break;
    case BRANCH_LOOKING:
        agent_looked(agent, branch, result);
        break;
    case BRANCH_FINISHING:
        agent_finished(agent, branch, result);
        break;
    case BRANCH_PROVING:
        agent_proved(agent, branch, result);
        break;
    case BRANCH_VERIFYING:
        agent_verified(agent, branch, result);
        break;
    case BRANCH_NEW:
    case BRANCH_UNSURE:
    case BRANCH_PREPARED:
    case BRANCH_DOUBTFUL:
    case BRANCH_UNOWNED:
    case BRANCH_PAUSED:
    case BRANCH_TELLING:
    case BRANCH_OPEN:
    case BRANCH_DONE:
    case BRANCH_STATE_COUNT:
        CHECK(!"a branch in this state has no command in flight");
    }
}

static void step_result(struct agent *agent, struct command_result *result)
{
    struct agent_pending *pending =
        map_find(&agent->commands, command_hash(result->id), command_match, &result->id);
    if (pending != NULL) {
        map_remove(&agent->commands, command_hash(result->id), pending);
        pending->id = 0;
        /* P-14: what another history answered proves nothing in this one. */
        if (pending->history != agent->history) {
            result->class = PG_UNKNOWN;
        }
        if (pending->owner == OWNER_BRANCH) {
            branch_result(agent,
                          (struct agent_branch *)(void *)((char *)pending -
                                                          offsetof(struct agent_branch, pending)),
                          result);
        } else {
            agent_erase_looked(
                agent,
                (struct agent_erase *)(void *)((char *)pending -
                                               offsetof(struct agent_erase, pending)),
                result);
        }
    } else if (result->kind == COMMAND_SCAN && result->id == agent->scan_id) {
        agent_scanned(agent, result);
    } else if (result->kind == COMMAND_ROTATE && result->id == agent->rotate_id) {
        agent->rotate_id = 0;
        /* Only tidies: a failure is tried again after the usual while. */
        agent->rotate_wanted = agent->rotate_wanted || result->class != PG_OK;
    } else if (!agent_audited(agent, result) && !agent_compared(agent, result)) {
        /* A witness, or an answer for a session that is gone. */
        agent_witness_result(agent, result);
    }
    command_result_done(result);
}

/* Whose branch a message is about; *ret_gtrid is NULL where it is about none. */
static void message_subject(const struct message *message, const struct gtrid **ret_gtrid,
                            const char **ret_participant)
{
    *ret_gtrid = NULL;
    *ret_participant = NULL;
    switch (message->kind) {
    case MESSAGE_WORK:
        *ret_gtrid = &message->as.work.gtrid;
        break;
    case MESSAGE_COMMIT:
        *ret_gtrid = &message->as.commit.gid.gtrid;
        *ret_participant = message->as.commit.gid.participant;
        break;
    case MESSAGE_ROLLBACK:
        *ret_gtrid = &message->as.rollback.gtrid;
        *ret_participant =
            message->as.rollback.has_gid ? message->as.rollback.gid.participant : NULL;
        break;
    case MESSAGE_VERDICT:
        *ret_gtrid = &message->as.verdict.gid.gtrid;
        *ret_participant = message->as.verdict.gid.participant;
        break;
    case MESSAGE_STATEMENT:
        *ret_gtrid = &message->as.statement.gtrid;
        break;
    case MESSAGE_PREPARE:
        *ret_gtrid = &message->as.prepare.gid.gtrid;
        *ret_participant = message->as.prepare.gid.participant;
        break;
    case MESSAGE_VERIFY:
        *ret_gtrid = &message->as.verify.gid.gtrid;
        *ret_participant = message->as.verify.gid.participant;
        break;
    case MESSAGE_CLAIM:
    case MESSAGE_HEAD:
    case MESSAGE_AUDIT: /* looks at each of its gids itself */
    case MESSAGE_AUDITED:
    case MESSAGE_ANSWER:
    case MESSAGE_WITNESS:
    case MESSAGE_WELCOME:
    case MESSAGE_FENCED:
    case MESSAGE_VOTE:
    case MESSAGE_ACK:
    case MESSAGE_INQUIRY:
    case MESSAGE_HEALTH:
        break;
    }
}

/* That it does not know a branch a coordinator may also say of an epoch that is still to come: somebody made the name up. */
static bool message_is_no_word(const struct message *message)
{
    return message->kind == MESSAGE_VERDICT && message->as.verdict.verdict == VERDICT_UNKNOWN;
}

/* P-6, P-10: a coordinator speaks for its own journal, up to its own epoch, and to us about us. */
static bool message_is_in_scope(const struct agent *agent, const struct agent_peer *peer,
                                const struct message *message)
{
    const struct gtrid *gtrid = NULL;
    const char *participant = NULL;
    message_subject(message, &gtrid, &participant);
    if (gtrid != NULL && (!journal_id_equal(&gtrid->journal, &peer->journal->id) ||
                          (gtrid->epoch > peer->claim.epoch && !message_is_no_word(message)))) {
        return false;
    }
    return participant == NULL || strcmp(participant, agent->config.participant) == 0;
}

static void message_hear(struct agent *agent, struct agent_peer *peer, struct message *message)
{
    switch (message->kind) {
    case MESSAGE_WORK:
        agent_work(agent, peer, &message->as.work);
        return;
    case MESSAGE_COMMIT:
        agent_commit(agent, &message->as.commit);
        return;
    case MESSAGE_ROLLBACK:
        agent_rollback(agent, &message->as.rollback);
        return;
    case MESSAGE_VERDICT:
        agent_verdict(agent, &message->as.verdict);
        return;
    case MESSAGE_HEAD:
        agent_head(peer, &message->as.head);
        return;
    case MESSAGE_AUDIT:
        agent_audit(agent, peer, &message->as.audit);
        return;
    case MESSAGE_STATEMENT:
        agent_statement(agent, peer, &message->as.statement);
        return;
    case MESSAGE_PREPARE:
        agent_prepare(agent, peer, &message->as.prepare);
        return;
    case MESSAGE_VERIFY:
        agent_verify(agent, peer, &message->as.verify);
        return;
    case MESSAGE_CLAIM: /* heard in every state of the session: step_message */
        return;
    case MESSAGE_WITNESS:
    case MESSAGE_WELCOME:
    case MESSAGE_FENCED:
    case MESSAGE_VOTE:
    case MESSAGE_ACK:
    case MESSAGE_INQUIRY:
    case MESSAGE_HEALTH:
    case MESSAGE_AUDITED:
    case MESSAGE_ANSWER:
        agent->counters.fenced++; /* an agent's own kind of message: nobody sends us that */
        return;
    }
}

/* Messages of a session that is not welcomed, or out of its scope, count for nothing. */
static void step_message(struct agent *agent, uint64_t session, struct message *message)
{
    struct agent_peer *peer = agent_peer_find(agent, session);
    if (peer != NULL && message->kind == MESSAGE_CLAIM) {
        agent_claim(agent, peer, &message->as.claim);
    } else if (peer == NULL || peer->state != PEER_WELCOMED) {
        agent->counters.fenced++;
    } else if (!message_is_in_scope(agent, peer, message)) {
        agent->counters.fenced++;
        agent_notice(agent, AGENT_NOTICE_REFUSED, NULL,
                     "%s about another journal, epoch or participant was ignored",
                     message_kind_text(message->kind));
    } else {
        message_hear(agent, peer, message);
    }
    message_done(message);
}

static bool status_differs(const struct database_status *a, const struct database_status *b)
{
    return a->health != b->health || a->identity.system_id != b->identity.system_id ||
           a->identity.timeline != b->identity.timeline ||
           a->identity.database_oid != b->identity.database_oid || strcmp(a->text, b->text) != 0;
}

static void step_status(struct agent *agent, const struct database_status *status)
{
    bool was_up = agent_database_up(agent);
    agent->health_due =
        agent->health_due || !agent->has_status || status_differs(&agent->status, status);
    agent->status = *status;
    agent->has_status = true;
    if (status->history_changed) {
        agent_history_changed(agent);
    }
    if (!was_up && agent_database_up(agent)) {
        agent->scan_due_ms = agent->now_ms;
        agent_peers_retry(agent);
        struct agent_branch *branch = NULL;
        TAILQ_FOREACH(branch, &agent->live, list)
        {
            if (branch->state == BRANCH_PAUSED || branch->state == BRANCH_UNSURE) {
                agent_timer_set(agent, &branch->timer, agent->now_ms);
            }
        }
    }
}

static void branch_due(struct agent *agent, struct agent_branch *branch)
{
    switch (branch->state) {
    case BRANCH_PREPARED:
    case BRANCH_DOUBTFUL:
    case BRANCH_UNOWNED:
        agent_branch_ask(agent, branch);
        break;
    case BRANCH_PAUSED:
        agent_branch_finish(agent, branch);
        break;
    case BRANCH_UNSURE:
        agent_branch_look(agent, branch);
        break;
    case BRANCH_TELLING:
        agent_branch_tell(agent, branch, "");
        break;
    case BRANCH_OPEN:
        agent_branch_give_up(agent, branch, REASON_TIMEOUT);
        break;
    case BRANCH_CANCELLING:
    case BRANCH_CLOSING:
        agent_branch_cancel(agent, branch);
        break;
    case BRANCH_ANSWERING: /* the statement has the deadline with it */
    case BRANCH_NEW:
    case BRANCH_EXECUTING:
    case BRANCH_LOOKING:
    case BRANCH_FINISHING:
    case BRANCH_PROVING:
    case BRANCH_VERIFYING:
    case BRANCH_DONE:
    case BRANCH_STATE_COUNT:
        break; /* waits for a result; nothing of its own falls due */
    }
}

/* Every timer that is due goes once; each sets its next time later than now, so this ends. */
static void step_timers(struct agent *agent)
{
    struct heap_node *node = NULL;
    while ((node = heap_first(&agent->timers)) != NULL && node->due_ms <= agent->now_ms) {
        struct agent_timer *timer = (struct agent_timer *)(void *)node;
        agent_timer_set(agent, timer, UINT64_MAX);
        switch (timer->owner) {
        case OWNER_BRANCH:
            branch_due(agent, (struct agent_branch *)(void *)timer);
            break;
        case OWNER_ERASE:
            agent_erase_look(agent, (struct agent_erase *)(void *)timer);
            break;
        case OWNER_PEER:
            agent_peer_due(agent, (struct agent_peer *)(void *)timer);
            break;
        }
    }
}

/* What goes by the clock and belongs to no branch. */
static void step_periodic(struct agent *agent)
{
    if (agent->scan_id == 0 && agent->now_ms >= agent->scan_due_ms && agent_database_up(agent)) {
        agent_scan(agent);
    }
    if (agent->now_ms >= agent->heartbeat_due_ms) {
        agent->health_due = true;
    }
    if (agent->health_due) {
        agent_health_send(agent);
        agent->health_due = false;
        agent->heartbeat_due_ms = agent->now_ms + agent->config.heartbeat_ms;
    }
    agent_journals_due(agent);
    agent_compares_due(agent);
    if (agent->rotate_wanted && agent->rotate_id == 0 && agent->now_ms >= agent->rotate_due_ms &&
        agent_database_up(agent)) {
        agent->rotate_wanted = false;
        agent->rotate_due_ms = agent->now_ms + ROTATE_MS;
        agent->rotate_id = agent_command(agent, COMMAND_ROTATE)->id;
    }
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t step_deadline(const struct agent *agent)
{
    uint64_t deadline = least(agent->heartbeat_due_ms, agent_journals_deadline(agent));
    deadline = least(deadline, agent_compares_deadline(agent));
    const struct heap_node *node = heap_first(&agent->timers);
    if (node != NULL) {
        deadline = least(deadline, node->due_ms);
    }
    if (agent_database_up(agent)) {
        if (agent->scan_id == 0) {
            deadline = least(deadline, agent->scan_due_ms);
        }
        if (agent->rotate_wanted && agent->rotate_id == 0) {
            deadline = least(deadline, agent->rotate_due_ms);
        }
    }
    return deadline;
}

/* Nothing runs, and no branch that this incarnation voted yes for waits for its verdict. What only
 * the scan found will be found by the next incarnation as well. */
static bool is_drained(const struct agent *agent)
{
    static const enum branch_state busy[] = {BRANCH_EXECUTING, BRANCH_CANCELLING, BRANCH_LOOKING,
                                             BRANCH_UNSURE,    BRANCH_PREPARED,   BRANCH_FINISHING,
                                             BRANCH_PROVING,   BRANCH_PAUSED,     BRANCH_ANSWERING,
                                             BRANCH_OPEN,      BRANCH_CLOSING,    BRANCH_VERIFYING};
    if (!agent->is_draining || agent->erase_count > 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof(busy) / sizeof(busy[0]); i++) {
        if (agent->state_count[busy[i]] > 0) {
            return false;
        }
    }
    return true;
}

void agent_step(struct agent *agent, struct agent_event *event, struct agent_ready *ready)
{
    CHECK(ready->send_count == 0 && ready->command_count == 0 && ready->notice_count == 0);
    CHECK(event->now_ms >= agent->now_ms);
    agent->ready = ready;
    agent->now_ms = event->now_ms;
    agent->random = event->random;
    agent->step++;
    switch (event->kind) {
    case AGENT_EVENT_PEER_UP:
        agent_peer_up(agent, event->session, &event->journal);
        break;
    case AGENT_EVENT_PEER_DOWN:
        agent_peer_down(agent, event->session);
        break;
    case AGENT_EVENT_MESSAGE:
        step_message(agent, event->session, event->message);
        break;
    case AGENT_EVENT_RESULT:
        step_result(agent, event->result);
        break;
    case AGENT_EVENT_STATUS:
        step_status(agent, event->status);
        break;
    case AGENT_EVENT_TIMER:
        break;
    case AGENT_EVENT_DRAIN:
        agent->is_draining = true;
        agent_interactive_drain(agent);
        break;
    }
    step_timers(agent);
    step_periodic(agent);
    while (agent->done_count > BRANCH_DONE_MAX) {
        agent_branch_free(agent, TAILQ_FIRST(&agent->done));
    }
    ready->deadline_ms = step_deadline(agent);
    ready->drained = is_drained(agent);
    agent->ready = NULL;
}

void agent_counters_read(const struct agent *agent, struct agent_counters *ret_counters)
{
    *ret_counters = agent->counters;
    ret_counters->branches_live = agent->live_count;
    ret_counters->tombstones = agent->tombstone_count;
}
