/* law_agent.c - the invariants of what an agent hears and hands out (law.c). */
#include "tests/sim/world.h"

/* More than a seed has transactions. */
#define TOMBSTONES_ENOUGH 100

/* P-9: a repeated WORK is the same work, as long as its process remembers: a read-only branch leaves nothing to
 * remember, a row that a person took away is nobody's any more, and after a change of history what was remembered is of
 * another one. (P-20 makes a second execution harmless.) */
static void executed_once(struct sim_world *world, uint32_t agent, const struct gid *gid)
{
    const struct sim_agent *its = &world->agents[agent];
    const struct sim_truth *truth = law_truth_need(world, &gid->gtrid);
    for (const struct sim_attempt *attempt = truth->attempts; attempt != NULL;
         attempt = attempt->next_of_truth) {
        if (attempt->database == its->database && attempt->made_by == its->process.incarnation &&
            !attempt->is_read_only && !attempt->by_human &&
            !world->databases[its->database].has_lost) {
            law_broken(world, "P-9", "%s executes %s a second time",
                       world->databases[its->database].name, law_say_gtrid(&gid->gtrid));
        }
    }
}

/* P-9: WORK that comes behind its ROLLBACK finds a tombstone. A seed whose agents keep but a few shows nothing. */
void law_agent_hears(struct sim_world *world, uint32_t agent, const struct message *message)
{
    const struct sim_agent *its = &world->agents[agent];
    if (message->kind == MESSAGE_ROLLBACK &&
        world->agent_config.tombstone_max >= TOMBSTONES_ENOUGH) {
        law_truth_need(world, &message->as.rollback.gtrid)->buried_by[its->database] =
            its->process.incarnation;
    }
}

void law_session_over(struct sim_world *world, uint32_t agent, uint64_t session)
{
    const struct sim_agent *its = &world->agents[agent];
    for (struct sim_truth *truth = world->truth_list; truth != NULL; truth = truth->next) {
        for (struct sim_attempt *attempt = truth->attempts; attempt != NULL;
             attempt = attempt->next_of_truth) {
            attempt->is_abandoned =
                attempt->is_abandoned ||
                (attempt->session == session && attempt->made_by == its->process.incarnation &&
                 !attempt->voted_yes);
        }
    }
}

/* One that was fenced, or that a newer one of its journal took over from. That one may be sent another WITNESS instead of a
 * WELCOME, where its claim was stored and is too old by now (P-10). */
static void sessions_overtaken(struct sim_world *world, uint32_t agent,
                               const struct agent_send *send)
{
    const struct sim_agent *its = &world->agents[agent];
    bool takes_over =
        send->message.kind == MESSAGE_WELCOME || send->message.kind == MESSAGE_WITNESS;
    uint32_t slot = 0;
    while (slot < SIM_COORDS && its->sessions[slot] != send->session) {
        slot++;
    }
    if (send->message.kind == MESSAGE_FENCED) {
        law_session_over(world, agent, send->session);
    }
    for (uint32_t i = 0; i < SIM_COORDS && takes_over && slot < SIM_COORDS; i++) {
        if (i != slot && its->sessions[i] != 0 &&
            journal_id_equal(&its->journals[i], &its->journals[slot])) {
            law_session_over(world, agent, its->sessions[i]);
        }
    }
}

static void buried_stays_buried(struct sim_world *world, uint32_t agent, const struct gid *gid)
{
    const struct sim_agent *its = &world->agents[agent];
    const struct sim_truth *truth = law_truth_need(world, &gid->gtrid);
    if (truth->buried_by[its->database] == its->process.incarnation) {
        law_broken(world, "P-9", "%s executes %s after it was told to roll it back",
                   world->databases[its->database].name, law_say_gtrid(&gid->gtrid));
    }
}

static void look_at_command(struct sim_world *world, uint32_t agent, const struct command *command)
{
    const struct sim_agent *its = &world->agents[agent];
    struct sim_attempt *attempt = NULL;
    bool begins = command->kind == COMMAND_STATEMENT && command->as.statement.ordinal == 1;
    if (command->kind == COMMAND_EXECUTE || begins) {
        const struct gid *gid =
            begins ? &command->as.statement.execute.gid : &command->as.execute.gid;
        if (law_attempt(world, gid) != NULL) {
            law_broken(world, "P-20", "an attempt's nonce is used twice");
            return;
        }
        if (gid->gtrid.epoch < its->welcomed_epoch[law_identity(world, &gid->gtrid.journal)]) {
            law_broken(world, "F1", "work of epoch %llu is executed after a later one was welcomed",
                       (unsigned long long)gid->gtrid.epoch);
        }
        executed_once(world, agent, gid);
        buried_stays_buried(world, agent, gid);
        attempt = law_attempt_new(world, gid);
        attempt->database = its->database;
        attempt->made_by = its->process.incarnation;
        attempt->session = its->hears;
        return;
    }
    if (command->kind != COMMAND_FINISH && command->kind != COMMAND_VERIFY) {
        return;
    }
    const struct gid *gid =
        command->kind == COMMAND_FINISH ? &command->as.finish.gid : &command->as.verify.gid;
    attempt = law_attempt(world, gid);
    if (attempt == NULL || attempt->is_stranger || attempt->database != its->database) {
        law_broken(world, "F1", "an agent wants to finish what is not its own");
        return;
    }
    if (command->kind == COMMAND_VERIFY) {
        return;
    }
    bool told = command->as.finish.commit
                    ? attempt->told_commit
                    : attempt->told_rollback ||
                          (attempt->truth->told_rollback_mask & (1U << its->database)) != 0 ||
                          (attempt->is_abandoned && !attempt->voted_yes &&
                           attempt->made_by == its->process.incarnation);
    if (!told) {
        law_broken(
            world, "I3", "%s %s %s although nobody said so", world->databases[its->database].name,
            command->as.finish.commit ? "commits" : "rolls back", law_say_gtrid(&gid->gtrid));
    }
}

static bool still_there(const struct sim_world *world, const struct sim_attempt *attempt)
{
    return !attempt->is_lost && !attempt->by_human &&
           (attempt->is_prepared || attempt->is_committed) && world != NULL;
}

/* P-11: "rolled back" is final: not prepared, and nothing that could still prepare it. */
static void rolled_back_is_final(struct sim_world *world, uint32_t agent, const struct gid *gid)
{
    const struct sim_database *database = &world->databases[world->agents[agent].database];
    bool by_name = gid->attempt != 0;
    const struct sim_truth *truth = law_truth_need(world, &gid->gtrid);
    for (const struct sim_attempt *attempt = truth->attempts; attempt != NULL;
         attempt = attempt->next_of_truth) {
        /* An application may prepare at any moment: what comes is the sweep's (L1). */
        if (attempt->database == database->index && !attempt->told_commit &&
            !attempt->is_external && (!by_name || gid_equal(&attempt->gid, gid)) &&
            still_there(world, attempt)) {
            law_broken(world, "P-11", "%s acknowledges a rollback of %s, which is %s",
                       database->name, law_say_gtrid(&gid->gtrid),
                       attempt->is_prepared ? "prepared" : "committed");
        }
    }
    if (!database->had_twin && backend_may_prepare(database, &gid->gtrid, by_name ? gid : NULL)) {
        law_broken(world, "P-11", "%s acknowledges a rollback of %s, which may yet prepare",
                   database->name, law_say_gtrid(&gid->gtrid));
    }
}

static void look_at_vote(struct sim_world *world, uint32_t agent, const struct message_vote *vote)
{
    struct sim_attempt *attempt = law_attempt(world, &vote->gid);
    uint64_t incarnation = world->agents[agent].process.incarnation;
    if (vote->vote == VOTE_COMMIT) {
        if (attempt == NULL || !attempt->reply_ok || attempt->reply_incarnation != incarnation) {
            law_broken(world, "P-3", "a yes for %s that its process has not seen prepared",
                       law_say_gtrid(&vote->gid.gtrid));
        } else {
            attempt->voted_yes = true;
        }
    } else if (vote->vote == VOTE_READONLY && (attempt == NULL || !attempt->is_read_only)) {
        law_broken(world, "P-19", "a read-only vote for a branch that was not declared so");
    }
}

static void look_at_welcome(struct sim_world *world, uint32_t agent, uint64_t session,
                            uint64_t epoch)
{
    struct sim_agent *its = &world->agents[agent];
    for (uint32_t i = 0; i < SIM_COORDS; i++) {
        if (its->sessions[i] != session) {
            continue;
        }
        struct witness witness;
        const struct journal_id *id = &its->journals[i];
        database_load_witness(&world->databases[its->database], id, &witness);
        if (witness.epoch < epoch && !world->databases[its->database].has_lost) {
            law_broken(world, "P-10", "a coordinator is welcomed before its epoch is stored");
        }
        uint64_t *known = &its->welcomed_epoch[law_identity(world, id)];
        if (epoch < *known) {
            law_broken(world, "F1", "epoch %llu is welcomed after epoch %llu",
                       (unsigned long long)epoch, (unsigned long long)*known);
        }
        *known = epoch > *known ? epoch : *known;
    }
}

static void look_at_ack(struct sim_world *world, uint32_t agent, const struct message_ack *ack)
{
    struct sim_attempt *attempt = law_attempt(world, &ack->gid);
    switch (ack->ack) {
    case ACK_COMMITTED:
        if (attempt != NULL && !attempt->committed_once && !attempt->writes_row &&
            attempt->is_lost) {
            /* P-12's limit without rows: on one timeline a database that was set back gives the same xid out again, and an
             * agent that was not there when it happened cannot see it. */
            law_truth_need(world, &ack->gid.gtrid)->is_excused = true;
            attempt->in_hole = true;
            world->verdict->holes++;
        } else if (attempt == NULL || !attempt->committed_once) {
            law_broken(world, "P-5", "a commit of %s is acknowledged that did not happen",
                       law_say_gtrid(&ack->gid.gtrid));
        }
        return;
    case ACK_ROLLED_BACK:
        rolled_back_is_final(world, agent, &ack->gid);
        return;
    case ACK_HEURISTIC_COMMIT:
        if (attempt != NULL) {
            attempt->told_contrary_by = world->agents[agent].process.incarnation;
        }
        return; /* judged when it is recorded, and at the end */
    case ACK_HEURISTIC_ROLLBACK:
    case ACK_HAZARD:
        return; /* judged when they are recorded */
    }
}

void law_agent_ready(struct sim_world *world, uint32_t agent, const struct agent_ready *ready)
{
    for (size_t i = 0; i < ready->send_count; i++) {
        sessions_overtaken(world, agent, &ready->sends[i]);
    }
    for (size_t i = 0; i < ready->command_count; i++) {
        look_at_command(world, agent, &ready->commands[i]);
    }
    for (size_t i = 0; i < ready->send_count; i++) {
        const struct agent_send *send = &ready->sends[i];
        const struct message *message = &send->message;
        if (message->kind == MESSAGE_VOTE) {
            look_at_vote(world, agent, &message->as.vote);
        } else if (message->kind == MESSAGE_ACK) {
            look_at_ack(world, agent, &message->as.ack);
        } else if (message->kind == MESSAGE_INQUIRY) {
            if (law_database(world, message->as.inquiry.gid.participant) !=
                world->agents[agent].database) {
                law_broken(world, "F1", "an agent asks about another participant's row");
            }
        } else if (message->kind == MESSAGE_WELCOME) {
            look_at_welcome(world, agent, send->session, message->as.welcome.epoch);
        }
    }
}
