/*
 * branch_audit.c - AUDIT: a coordinator asks whether branches that had acknowledged are still there (P-14). One question at a
 * time for each session; the coordinator repeats it until AUDITED comes, so whatever goes wrong is simply not answered.
 */
#include <stdlib.h>
#include <string.h>

#include "participant/branch_internal.h"

static bool audit_is_in_scope(const struct agent *agent, const struct agent_peer *peer,
                              const struct audit_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct gid *gid = &list->items[i].gid;
        if (!journal_id_equal(&gid->gtrid.journal, &peer->journal->id) ||
            gid->gtrid.epoch > peer->claim.epoch ||
            strcmp(gid->participant, agent->config.participant) != 0) {
            return false;
        }
    }
    return list->count > 0;
}

void agent_audit(struct agent *agent, struct agent_peer *peer, struct message_audit *audit)
{
    if (!audit_is_in_scope(agent, peer, &audit->list)) {
        agent->counters.fenced++;
        agent_notice(agent, AGENT_NOTICE_REFUSED, NULL,
                     "audit about another journal, epoch or participant was ignored");
        return;
    }
    if (peer->audit_id != 0 || !agent_database_up(agent)) {
        return; /* it will ask again */
    }
    struct command *command = agent_command(agent, COMMAND_AUDIT);
    command->as.audit = audit->list;
    audit->list = (struct audit_list){0};
    peer->audit_id = command->id;
    peer->audit_serial = audit->serial;
    peer->audit_history = agent->history;
}

bool agent_audited(struct agent *agent, struct command_result *result)
{
    for (size_t i = 0; i < agent->peer_count; i++) {
        struct agent_peer *peer = agent->peers[i];
        if (peer->audit_id != result->id) {
            continue;
        }
        peer->audit_id = 0;
        if (result->class == PG_OK && peer->audit_history == agent->history &&
            peer->state == PEER_WELCOMED) {
            struct message_audited *audited =
                &agent_send(agent, peer->session, MESSAGE_AUDITED)->as.audited;
            audited->serial = peer->audit_serial;
            audited->findings = result->results;
            result->results = NULL;
        }
        return true;
    }
    return false;
}
