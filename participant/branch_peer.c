/*
 * branch_peer.c - coordinators: witness, claim, fencing, heads and health (P-10, P-14).
 *
 *   UNLOADED --database up--> LOADING --WITNESS--> WITNESSED --CLAIM--> CLAIMED --> STORING
 *       ^                        |                    |                 ^ | ^         | |
 *       +------- failed ---------+                    +-stale-> FENCED -+ | +-failed--+ | durable
 *                                                               ^  ^      |             v
 *                                                               |  +-stale+          WELCOMED
 *                                                               +------- replaced ------+
 *
 *   state      true in it                                          durable
 *   UNLOADED   the database has not told its witness yet           an earlier session's witness
 *   LOADING    LOAD_WITNESS runs                                   the same
 *   WITNESSED  WITNESS was sent, and is repeated until CLAIM came  the same
 *   CLAIMED    a claim that is not stale waits to be stored        the same
 *   STORING    STORE_WITNESS runs                                  the old or the new epoch
 *   WELCOMED   its epoch is stored; its word counts                its epoch and nonce
 *   FENCED     a higher epoch, or a newer session of it, is known  the higher epoch
 *
 * STORING goes back to UNLOADED where the database refuses the claim: what it knows tells why; and to WITNESSED if an earlier
 * coordinator told a newer head meanwhile, which the claim has not confirmed.
 * The epoch is stored before WELCOME: if we die in between, the next process refuses the older
 * coordinator all the same, and the newer one simply claims again.
 */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "participant/branch_internal.h"

#define TO(state) (1u << (state))

static const unsigned allowed[PEER_STATE_COUNT] = {
    [PEER_UNLOADED] = TO(PEER_LOADING),
    [PEER_LOADING] = TO(PEER_UNLOADED) | TO(PEER_WITNESSED),
    [PEER_WITNESSED] = TO(PEER_CLAIMED) | TO(PEER_FENCED),
    [PEER_CLAIMED] = TO(PEER_STORING) | TO(PEER_FENCED),
    [PEER_STORING] = TO(PEER_UNLOADED) | TO(PEER_WITNESSED) | TO(PEER_CLAIMED) | TO(PEER_WELCOMED) |
                     TO(PEER_FENCED),
    [PEER_WELCOMED] = TO(PEER_CLAIMED) | TO(PEER_FENCED),
    [PEER_FENCED] = TO(PEER_CLAIMED),
};

/* Nobody speaks for its journal any more. */
static void peer_resign(struct agent *agent, const struct agent_peer *peer)
{
    if (peer->journal->session == peer->session) {
        peer->journal->session = 0;
        agent_compare_pause(agent, peer->journal);
    }
}

static void peer_move(struct agent *agent, struct agent_peer *peer, enum peer_state to)
{
    CHECK((allowed[peer->state] & TO(to)) != 0);
    bool was_welcomed = peer->state == PEER_WELCOMED;
    if (was_welcomed) {
        peer_resign(agent, peer);
    }
    peer->state = to;
    agent_timer_set(agent, &peer->timer, UINT64_MAX);
    if (was_welcomed) {
        agent_branches_abandon(agent, peer->session, to == PEER_FENCED);
    }
}

struct agent_peer *agent_peer_find(struct agent *agent, uint64_t session)
{
    for (size_t i = 0; i < agent->peer_count; i++) {
        if (agent->peers[i]->session == session) {
            return agent->peers[i];
        }
    }
    return NULL;
}

struct agent_journal *agent_journal_find(struct agent *agent, const struct journal_id *id)
{
    for (size_t i = 0; i < agent->journal_count; i++) {
        if (journal_id_equal(&agent->journals[i]->id, id)) {
            return agent->journals[i];
        }
    }
    return NULL;
}

uint64_t agent_session_for(struct agent *agent, const struct gtrid *gtrid)
{
    const struct agent_journal *journal = agent_journal_find(agent, &gtrid->journal);
    return journal == NULL ? 0 : journal->session;
}

static bool journal_is_used(const struct agent *agent, const struct agent_journal *journal)
{
    CHECK(journal != NULL);
    for (size_t i = 0; i < agent->peer_count; i++) {
        if (agent->peers[i]->journal == journal) {
            return true;
        }
    }
    return journal->store_id != 0;
}

/* What is forgotten here stands in the database and is loaded with the next session. */
static void journals_make_room(struct agent *agent)
{
    for (size_t i = 0; agent->journal_count == JOURNAL_MAX && i < agent->journal_count; i++) {
        if (!journal_is_used(agent, agent->journals[i])) {
            free(agent->journals[i]);
            agent->journals[i] = agent->journals[--agent->journal_count];
        }
    }
}

static struct agent_journal *journal_need(struct agent *agent, const struct journal_id *id)
{
    struct agent_journal *journal = agent_journal_find(agent, id);
    if (journal != NULL) {
        return journal;
    }
    journals_make_room(agent);
    if (agent->journal_count == JOURNAL_MAX) {
        return NULL;
    }
    journal = alloc_zeroed(sizeof(*journal));
    journal->id = *id;
    journal->witness.journal = *id;
    agent->journals[agent->journal_count++] = journal;
    return journal;
}

static void peer_load(struct agent *agent, struct agent_peer *peer)
{
    if (!agent_database_up(agent)) {
        return; /* agent_peers_retry comes when it is */
    }
    peer_move(agent, peer, PEER_LOADING);
    struct command *command = agent_command(agent, COMMAND_LOAD_WITNESS);
    command->as.load = peer->journal->id;
    peer->load_id = command->id;
    peer->load_history = agent->history;
}

void agent_peer_up(struct agent *agent, uint64_t session, const struct journal_id *id)
{
    if (agent_peer_find(agent, session) != NULL || agent->peer_count == PEER_MAX) {
        agent_notice(agent, AGENT_NOTICE_REFUSED, NULL, "too many coordinators are connected");
        return;
    }
    struct agent_journal *journal = journal_need(agent, id);
    if (journal == NULL) {
        agent_notice(agent, AGENT_NOTICE_REFUSED, NULL, "too many journals are connected");
        return;
    }
    struct agent_peer *peer = alloc_zeroed(sizeof(*peer));
    agent_timer_init(&peer->timer, OWNER_PEER);
    peer->session = session;
    peer->journal = journal;
    peer->state = PEER_UNLOADED;
    agent->peers[agent->peer_count++] = peer;
    agent->health_due = true;
    peer_load(agent, peer);
}

void agent_peer_down(struct agent *agent, uint64_t session)
{
    for (size_t i = 0; i < agent->peer_count; i++) {
        struct agent_peer *peer = agent->peers[i];
        if (peer->session == session) {
            peer_resign(agent, peer);
            agent_timer_set(agent, &peer->timer, UINT64_MAX);
            agent->peers[i] = agent->peers[--agent->peer_count];
            free(peer);
            agent_branches_abandon(agent, session, true);
            return;
        }
    }
}

static void peer_retry_later(struct agent *agent, struct agent_peer *peer)
{
    peer->tries++;
    agent_timer_set(agent, &peer->timer,
                    agent->now_ms + agent_backoff(agent, peer->tries, agent->config.retry_min_ms,
                                                  agent->config.retry_max_ms));
}

static void peer_send_witness(struct agent *agent, struct agent_peer *peer)
{
    const struct witness *witness = &peer->journal->witness;
    peer->known_number = witness->head.number;
    struct message *message = agent_send(agent, peer->session, MESSAGE_WITNESS);
    message->as.witness = (struct message_witness){
        .epoch = witness->epoch,
        .epoch_nonce = witness->epoch_nonce,
        .head = witness->head,
        .identity = agent->status.identity,
    };
    peer_retry_later(agent, peer); /* a frame may be lost */
}

void agent_peer_due(struct agent *agent, struct agent_peer *peer)
{
    switch (peer->state) {
    case PEER_UNLOADED:
        peer_load(agent, peer);
        break;
    case PEER_WITNESSED:
        peer_send_witness(agent, peer);
        break;
    case PEER_CLAIMED: /* agent_journals_due stores it, now that no timer holds it back */
    case PEER_LOADING:
    case PEER_STORING:
    case PEER_WELCOMED:
    case PEER_FENCED:
    case PEER_STATE_COUNT:
        break;
    }
}

void agent_peers_retry(struct agent *agent)
{
    for (size_t i = 0; i < agent->peer_count; i++) {
        struct agent_peer *peer = agent->peers[i];
        if (peer->state == PEER_UNLOADED) {
            peer_load(agent, peer);
        } else if (peer->state == PEER_CLAIMED) {
            agent_timer_set(agent, &peer->timer, UINT64_MAX);
        }
    }
}

/* P-14: the epoch stood in a database that is another one now. It is stored there before anything else is heard, and the new
 * WELCOME tells the coordinator where that database stands. */
void agent_peers_claim_again(struct agent *agent)
{
    for (size_t i = 0; i < agent->peer_count; i++) {
        if (agent->peers[i]->state == PEER_WELCOMED) {
            peer_move(agent, agent->peers[i], PEER_CLAIMED);
        }
    }
}

/* A head never goes back here: it is what this database was told to be durable. */
static bool head_raise(struct journal_head *head, const struct journal_head *told)
{
    if (told->number <= head->number) {
        return false;
    }
    *head = *told;
    return true;
}

static bool floor_raise(struct journal_floor *floor, const struct journal_floor *told)
{
    bool is_higher = told->epoch > floor->epoch ||
                     (told->epoch == floor->epoch && told->sequence > floor->sequence);
    if (is_higher) {
        floor->epoch = told->epoch;
        floor->sequence = told->sequence;
    }
    if (told->first_number > floor->first_number) {
        floor->first_number = told->first_number;
        is_higher = true;
    }
    return is_higher;
}

static void journal_loaded(struct agent_journal *journal, const struct witness *loaded)
{
    struct witness *witness = &journal->witness;
    if (loaded->epoch > witness->epoch) {
        witness->epoch = loaded->epoch;
        witness->epoch_nonce = loaded->epoch_nonce;
    }
    /* A database set back behind our memory (a restore) gets the newer head again. */
    journal->is_dirty = journal->is_dirty || loaded->head.number < witness->head.number;
    head_raise(&witness->head, &loaded->head);
    floor_raise(&witness->floor, &loaded->floor);
    if (witness->address[0] == '\0') {
        agent_text_copy(witness->address, sizeof(witness->address), loaded->address);
    }
}

/* The highest generation known of this journal: stored, or claimed and on its way to be stored. */
static void journal_highest(const struct agent_journal *journal, uint64_t *ret_epoch,
                            uint64_t *ret_nonce)
{
    bool is_claimed = journal->claimed_epoch > journal->witness.epoch;
    *ret_epoch = is_claimed ? journal->claimed_epoch : journal->witness.epoch;
    *ret_nonce = is_claimed ? journal->claimed_nonce : journal->witness.epoch_nonce;
}

/* P-10: a lower epoch, or the same one with another nonce: an older coordinator, or a copied
 * journal. */
static bool claim_is_stale(const struct agent_journal *journal, const struct message_claim *claim)
{
    uint64_t epoch = 0, nonce = 0;
    journal_highest(journal, &epoch, &nonce);
    return claim->epoch == 0 || claim->epoch < epoch ||
           (claim->epoch == epoch && claim->epoch_nonce != nonce);
}

static void peer_fence(struct agent *agent, struct agent_peer *peer)
{
    uint64_t epoch = 0, nonce = 0;
    journal_highest(peer->journal, &epoch, &nonce);
    struct message *message = agent_send(agent, peer->session, MESSAGE_FENCED);
    message->as.fenced = (struct message_fenced){.epoch = epoch, .epoch_nonce = nonce};
    if (peer->state != PEER_FENCED) {
        peer_move(agent, peer, PEER_FENCED);
    }
    agent->counters.fenced++;
    agent_notice(agent, AGENT_NOTICE_FENCED, NULL,
                 "a coordinator claimed epoch %llu where epoch %llu is known",
                 (unsigned long long)peer->claim.epoch, (unsigned long long)epoch);
}

/* P-10: the claim of a newer generation confirms the witness that was told to it, not one that grew since:
 *   1. a copy of the journal is started; the witness that it is told lies below its end;
 *   2. the coordinator it was copied from makes a decision durable, and this agent hears of it;
 *   3. the claim of the copy arrives. What 2 told would be forgotten, and the copy decides otherwise. */
static bool claim_is_outdated(const struct agent_peer *peer, const struct message_claim *claim)
{
    const struct witness *witness = &peer->journal->witness;
    return !claim_is_stale(peer->journal, claim) && claim->epoch > witness->epoch &&
           witness->head.number > peer->known_number;
}

static void peer_take_claim(struct agent *agent, struct agent_peer *peer)
{
    if (claim_is_stale(peer->journal, &peer->claim)) {
        peer_fence(agent, peer);
        return;
    }
    peer->journal->claimed_epoch = peer->claim.epoch;
    peer->journal->claimed_nonce = peer->claim.epoch_nonce;
    /* While an older claim of this session is being stored, its result will see that it was
     * overtaken. */
    if (peer->state != PEER_CLAIMED && peer->state != PEER_STORING) {
        peer_move(agent, peer, PEER_CLAIMED);
    }
}

static void peer_loaded(struct agent *agent, struct agent_peer *peer,
                        const struct command_result *result)
{
    peer->load_id = 0;
    if (result->class != PG_OK || peer->load_history != agent->history) {
        peer_move(agent, peer, PEER_UNLOADED);
        peer_retry_later(agent, peer);
        return;
    }
    journal_loaded(peer->journal, &result->witness);
    for (size_t i = 0; i < agent->peer_count; i++) {
        struct agent_peer *other = agent->peers[i];
        if (other->journal == peer->journal && other->state == PEER_WELCOMED &&
            claim_is_stale(other->journal, &other->claim)) {
            peer_fence(agent, other); /* another agent process has served a newer coordinator */
        }
    }
    peer_move(agent, peer, PEER_WITNESSED);
    if (peer->claim.epoch != 0 && !claim_is_outdated(peer, &peer->claim)) {
        peer_take_claim(agent, peer); /* the database had refused it; what it knows tells why */
        return;
    }
    peer->tries = 0;
    peer_send_witness(agent, peer);
}

static void peer_send_welcome(struct agent *agent, const struct agent_peer *peer)
{
    struct message *message = agent_send(agent, peer->session, MESSAGE_WELCOME);
    message->as.welcome = (struct message_welcome){
        .epoch = peer->claim.epoch,
        .identity = agent->status.identity,
        .history = agent->history,
    };
    /* Read when the claim was stored: the status is up to a heartbeat old, and votes may have gone beyond it. */
    if (peer->stored_lsn != 0) {
        message->as.welcome.identity.lsn = peer->stored_lsn;
    }
    agent->health_due = true;
}

static void peer_knows(struct agent_peer *peer, const struct journal_head *head)
{
    if (head->number > peer->known_number) {
        peer->known_number = head->number;
    }
}

void agent_claim(struct agent *agent, struct agent_peer *peer, const struct message_claim *claim)
{
    bool is_same =
        claim->epoch == peer->claim.epoch && claim->epoch_nonce == peer->claim.epoch_nonce;
    switch (peer->state) {
    case PEER_UNLOADED:
    case PEER_LOADING:
        agent->counters.fenced++; /* the witness comes first (P-10); it will ask again */
        return;
    case PEER_WELCOMED:
        if (is_same) {
            peer_send_welcome(agent, peer); /* the first one was lost */
            return;
        }
        break;
    case PEER_CLAIMED:
    case PEER_STORING:
        if (is_same) {
            return;
        }
        break;
    case PEER_WITNESSED:
    case PEER_FENCED:
        break;
    case PEER_STATE_COUNT:
        CHECK(!"no peer is in this state");
    }
    if (claim_is_outdated(peer, claim)) {
        peer_send_witness(agent, peer); /* it claims again, or sees that it is behind */
        return;
    }
    peer->claim = *claim;
    peer_knows(peer, &claim->head);
    peer->tries = 0;
    peer_take_claim(agent, peer);
}

/* One session speaks for a journal: the newest whose claim is stored. */
static void peers_replace(struct agent *agent, const struct agent_peer *peer)
{
    for (size_t i = 0; i < agent->peer_count; i++) {
        struct agent_peer *other = agent->peers[i];
        if (other != peer && other->journal == peer->journal && other->state == PEER_WELCOMED) {
            if (claim_is_stale(other->journal, &other->claim)) {
                peer_fence(agent, other); /* so that the older coordinator learns it */
            } else {
                peer_move(agent, other, PEER_FENCED); /* its own newer session took over */
            }
        }
    }
}

static void peer_welcome(struct agent *agent, struct agent_peer *peer)
{
    peers_replace(agent, peer);
    peer->tries = 0;
    if (peer->journal->witness.head.number > peer->known_number) {
        /* Told by an earlier coordinator while the claim was stored. From now on it tells nothing more. */
        peer_move(agent, peer, PEER_WITNESSED);
        peer_send_witness(agent, peer);
        return;
    }
    peer_move(agent, peer, PEER_WELCOMED);
    peer->journal->session = peer->session;
    peer_send_welcome(agent, peer);
    agent_branches_await(agent, &peer->journal->id);
}

static void journal_submit_store(struct agent *agent, struct agent_journal *journal,
                                 const struct witness *witness)
{
    struct command *command = agent_command(agent, COMMAND_STORE_WITNESS);
    command->as.store = *witness;
    journal->storing = *witness;
    journal->store_id = command->id;
    journal->store_history = agent->history;
    journal->store_due_ms = agent->now_ms + HEAD_STORE_MS;
}

/* At most one store per journal at a time, so that a head can never overtake a claim on its way
 * down. */
static void journal_pump(struct agent *agent, struct agent_journal *journal)
{
    if (journal->store_id != 0 || !agent_database_up(agent)) {
        return;
    }
    for (size_t i = 0; i < agent->peer_count; i++) {
        struct agent_peer *peer = agent->peers[i];
        if (peer->journal != journal || peer->state != PEER_CLAIMED ||
            peer->timer.node.index != HEAP_OUTSIDE) {
            continue;
        }
        if (claim_is_stale(journal, &peer->claim)) {
            peer_fence(agent, peer);
            continue;
        }
        struct witness witness = journal->witness;
        witness.epoch = peer->claim.epoch;
        witness.epoch_nonce = peer->claim.epoch_nonce;
        head_raise(&witness.head, &peer->claim.head);
        floor_raise(&witness.floor, &peer->claim.floor);
        agent_text_copy(witness.address, sizeof(witness.address), peer->claim.address);
        peer_move(agent, peer, PEER_STORING);
        journal_submit_store(agent, journal, &witness);
        return;
    }
    if (journal->is_dirty && journal->session != 0 && agent->now_ms >= journal->store_due_ms) {
        journal_submit_store(agent, journal, &journal->witness);
        journal->is_dirty = false;
    }
}

void agent_journals_due(struct agent *agent)
{
    for (size_t i = 0; i < agent->journal_count; i++) {
        journal_pump(agent, agent->journals[i]);
    }
}

uint64_t agent_journals_deadline(const struct agent *agent)
{
    uint64_t deadline = UINT64_MAX;
    if (!agent_database_up(agent)) {
        return deadline;
    }
    for (size_t i = 0; i < agent->journal_count; i++) {
        const struct agent_journal *journal = agent->journals[i];
        if (journal->is_dirty && journal->session != 0 && journal->store_id == 0 &&
            journal->store_due_ms < deadline) {
            deadline = journal->store_due_ms;
        }
    }
    return deadline;
}

static void journal_stored(struct agent *agent, struct agent_journal *journal,
                           const struct command_result *result)
{
    bool is_ok = result->class == PG_OK && journal->store_history == agent->history;
    const struct witness *stored = &journal->storing;
    journal->store_id = 0;
    if (is_ok) {
        if (stored->epoch > journal->witness.epoch) {
            journal->witness.epoch = stored->epoch;
            journal->witness.epoch_nonce = stored->epoch_nonce;
        }
        agent_text_copy(journal->witness.address, sizeof(journal->witness.address),
                        stored->address);
        head_raise(&journal->witness.head, &stored->head);
        floor_raise(&journal->witness.floor, &stored->floor);
        /* P-12: what every journal's floor has passed may leave assent.outcome. */
        agent->rotate_wanted = agent->rotate_wanted || stored->floor.epoch > 0;
    } else {
        journal->is_dirty = true;
    }
    for (size_t i = 0; i < agent->peer_count; i++) {
        struct agent_peer *peer = agent->peers[i];
        if (peer->journal != journal || peer->state != PEER_STORING) {
            continue;
        }
        bool is_its =
            peer->claim.epoch == stored->epoch && peer->claim.epoch_nonce == stored->epoch_nonce;
        if (claim_is_stale(journal, &peer->claim)) {
            peer_fence(agent, peer); /* a higher one came while this was stored */
        } else if (is_ok && is_its) {
            peer->stored_lsn = result->proof.lsn;
            peer_welcome(agent, peer);
        } else {
            /* Refused: the database may know more than this process (another agent wrote it). */
            peer_move(agent, peer, result->class == PG_REFUSED ? PEER_UNLOADED : PEER_CLAIMED);
            if (!is_ok) {
                peer_retry_later(agent, peer);
            }
        }
    }
}

bool agent_witness_result(struct agent *agent, const struct command_result *result)
{
    for (size_t i = 0; i < agent->peer_count; i++) {
        if (agent->peers[i]->load_id == result->id && agent->peers[i]->state == PEER_LOADING) {
            peer_loaded(agent, agent->peers[i], result);
            return true;
        }
    }
    for (size_t i = 0; i < agent->journal_count; i++) {
        if (agent->journals[i]->store_id == result->id) {
            journal_stored(agent, agent->journals[i], result);
            return true;
        }
    }
    return false; /* of a session that is gone */
}

void agent_head(struct agent_peer *peer, const struct message_head *head)
{
    struct witness *witness = &peer->journal->witness;
    peer_knows(peer, &head->head);
    bool is_news = head_raise(&witness->head, &head->head);
    is_news = floor_raise(&witness->floor, &head->floor) || is_news;
    peer->journal->is_dirty = peer->journal->is_dirty || is_news;
}

#define MISPLACED "prepared in the wrong database: "
_Static_assert(sizeof(MISPLACED) + GID_TEXT_SIZE <= HEALTH_TEXT_SIZE, "both have room");

/* What the operator should see first. */
static void health_text(const struct agent *agent, char ret_text[HEALTH_TEXT_SIZE])
{
    if (agent_database_up(agent) && agent->refused_count > 0) {
        agent_text_copy(ret_text, HEALTH_TEXT_SIZE, agent->refused_text);
    } else if (agent_database_up(agent) && agent->misplaced_count > 0) {
        memcpy(ret_text, MISPLACED, sizeof(MISPLACED) - 1);
        gid_format(&agent->misplaced_told, ret_text + sizeof(MISPLACED) - 1);
    } else {
        agent_text_copy(ret_text, HEALTH_TEXT_SIZE, agent->status.text);
    }
}

void agent_health_send(struct agent *agent)
{
    for (size_t i = 0; i < agent->peer_count; i++) {
        const struct agent_peer *peer = agent->peers[i];
        if (peer->state == PEER_FENCED) {
            continue;
        }
        /* Also before the welcome: that the database is down is why there is none. */
        struct message *message = agent_send(agent, peer->session, MESSAGE_HEALTH);
        message->as.health = (struct message_health){
            .health = agent->status.health,
            .identity = agent->status.identity,
            .swept_number = agent_sweep_number(agent, peer->journal),
            .prepared_count = agent->prepared_count,
            .foreign_count = agent->foreign_count,
            .misplaced_count = agent->misplaced_count,
            .oldest_prepared_ms = agent->oldest_prepared_ms,
        };
        health_text(agent, message->as.health.text);
    }
}
