/* coordinator_carry.c - carries out a ready: records to the journal thread, messages to the link, answers to the
 * edges, notices to the log. The named fault points of the coordinator's protocol steps stand here. */
#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "coordinator/coordinator_internal.h"

static void fault_if(bool condition, enum fault_point point)
{
    if (condition) {
        FAULT(point);
    }
}

static bool appends_contain(const struct coord_ready *ready, enum record_kind kind)
{
    for (size_t i = 0; i < ready->append_count; i++) {
        if (ready->appends[i].record.kind == kind) {
            return true;
        }
    }
    return false;
}

static void carry_appends(struct coordinator *coordinator)
{
    struct coord_ready *ready = &coordinator->ready;
    if (ready->append_count == 0) {
        return;
    }
    fault_if(appends_contain(ready, RECORD_COMMIT), FAULT_C_DECIDE_ENTER);
    fault_if(appends_contain(ready, RECORD_END), FAULT_C_END_PRE_LOG);
    fault_if(appends_contain(ready, RECORD_ACCEPT), FAULT_C_ACCEPTED_PRE_LOG);
    fault_if(appends_contain(ready, RECORD_REFUSED), FAULT_C_REFUSED_PRE_LOG);
    fault_if(appends_contain(ready, RECORD_REQUEUED), FAULT_C_REQUEUED_PRE_LOG);
    fault_if(appends_contain(ready, RECORD_DROPPED), FAULT_C_DROPPED_PRE_LOG);
    struct coord_counters counters;
    coord_counters_read(coordinator->coord, &counters);
    journal_thread_append(coordinator->journal_thread, counters.epoch, ready->appends,
                          ready->append_count);
}

static void fault_sent(const struct message *messages, size_t count, bool before)
{
    for (size_t i = 0; i < count; i++) {
        switch (messages[i].kind) {
        case MESSAGE_WORK:
        case MESSAGE_PREPARE:
        case MESSAGE_VERIFY:
            fault_if(!before, FAULT_C_PREPARE_SENT);
            break;
        case MESSAGE_COMMIT:
            fault_if(!before, FAULT_C_COMMIT_SENT);
            break;
        case MESSAGE_ROLLBACK:
            fault_if(!before, FAULT_C_ABORT_SENT);
            break;
        case MESSAGE_VERDICT:
            fault_if(before, FAULT_C_INQUIRY_PRE_REPLY);
            break;
        case MESSAGE_CLAIM:
        case MESSAGE_HEAD:
        case MESSAGE_AUDIT:
        case MESSAGE_AUDITED:
        case MESSAGE_WITNESS:
        case MESSAGE_WELCOME:
        case MESSAGE_FENCED:
        case MESSAGE_VOTE:
        case MESSAGE_ACK:
        case MESSAGE_INQUIRY:
        case MESSAGE_HEALTH:
        case MESSAGE_STATEMENT:
        case MESSAGE_ANSWER:
            break;
        }
    }
}

/* What is ready for one peer leaves together, in one frame where it fits. */
static void carry_sends(struct coordinator *coordinator)
{
    struct coord_ready *ready = &coordinator->ready;
    if (ready->send_count == 0) {
        return;
    }
    struct message *batch = calloc(ready->send_count, sizeof(*batch));
    enum message_kind *kinds = calloc(ready->send_count, sizeof(*kinds));
    if (batch == NULL || kinds == NULL) {
        abort(); /* as alloc.h: out of memory ends the process, recovery does the rest */
    }
    for (size_t first = 0; first < ready->send_count; first++) {
        uint64_t session = ready->sends[first].session;
        if (session == 0) {
            continue; /* went with an earlier one */
        }
        size_t count = 0;
        for (size_t i = first; i < ready->send_count; i++) {
            if (ready->sends[i].session == session) {
                kinds[count] = ready->sends[i].message.kind;
                batch[count++] = ready->sends[i].message;
                memset(&ready->sends[i].message, 0, sizeof(ready->sends[i].message));
                ready->sends[i].session = 0;
            }
        }
        if (fault_armed) {
            fault_sent(batch, count, true);
        }
        link_send(coordinator->link, session, batch, count);
        if (fault_armed) {
            for (size_t i = 0; i < count; i++) {
                batch[i].kind = kinds[i];
            }
            fault_sent(batch, count, false);
        }
        memset(batch, 0, count * sizeof(*batch));
    }
    free(batch);
    free(kinds);
}

/* A participant that the new configuration leaves out: let go, or kept with the reason. */
static void carry_removal(struct coordinator *coordinator, const struct api_answer *answer)
{
    if (answer->status == API_OK) {
        link_remove_participant(coordinator->link, answer->participant);
        log_event(LOG_INFO, "participant removed", LOG_S("participant", answer->participant));
    } else {
        log_event(LOG_WARN, "participant not removed", LOG_S("participant", answer->participant),
                  LOG_S("reason", answer->text),
                  LOG_S("hint", "try again later; if its database is gone for good, stop assentd "
                                "and use `assent journal release`"));
    }
}

static void carry_answers(struct coordinator *coordinator)
{
    struct coord_ready *ready = &coordinator->ready;
    for (size_t i = 0; i < ready->answer_count; i++) {
        struct coord_answer *answer = &ready->answers[i];
        if (answer->call == 0) { /* asked by the driver itself (SIGHUP) */
            carry_removal(coordinator, &answer->answer);
            continue;
        }
        struct api_call *call = (struct api_call *)(uintptr_t)answer->call; // NOLINT
        call->answer = answer->answer;
        memset(&answer->answer, 0, sizeof(answer->answer));
        bool is_submit = call->operation == API_SUBMIT;
        fault_if(is_submit, FAULT_C_REPLY_PRE);
        call->done(call);
        fault_if(is_submit, FAULT_C_REPLY_POST);
    }
}

static void carry_changes(struct coordinator *coordinator)
{
    for (size_t i = 0; i < coordinator->change_count; i++) {
        coordinator->hooks->on_change(coordinator->hooks->user, &coordinator->changes[i]);
    }
    coordinator->change_count = 0;
}

struct notice_line {
    enum log_level level;
    const char *event;
};

static const struct notice_line notice_lines[] = {
    [COORD_NOTICE_STARTED] = {LOG_INFO, "started"},
    [COORD_NOTICE_COMMITTED] = {LOG_INFO, "committed"},
    [COORD_NOTICE_ABORTED] = {LOG_INFO, "aborted"},
    [COORD_NOTICE_ENDED] = {LOG_DEBUG, "ended"},
    [COORD_NOTICE_HEURISTIC] = {LOG_ERROR, "heuristic outcome: a branch went the other way"},
    [COORD_NOTICE_HAZARD] = {LOG_ERROR, "hazard: nobody can tell what became of a branch"},
    [COORD_NOTICE_RESOLVED] = {LOG_WARN, "resolved by a person"},
    [COORD_NOTICE_UNKNOWN_INQUIRY] = {LOG_ERROR, "inquiry that can not be judged"},
    [COORD_NOTICE_PEER_READY] = {LOG_INFO, "participant ready"},
    [COORD_NOTICE_PEER_LOST] = {LOG_WARN, "participant lost"},
    [COORD_NOTICE_PEER_STATE] = {LOG_WARN, "participant changed"},
    [COORD_NOTICE_RECOVERED] = {LOG_WARN, "recovered"},
    [COORD_NOTICE_REDRIVE] = {LOG_INFO, "driven again"},
    [COORD_NOTICE_STALE] = {LOG_DEBUG, "stale message"},
    [COORD_NOTICE_DEGRADED] = {LOG_ERROR,
                               "only the journal's reserve is left: new work is refused"},
    [COORD_NOTICE_SPACE_BACK] = {LOG_INFO, "space is back: new work is taken again"},
    [COORD_NOTICE_AUDIT] = {LOG_WARN, "another database: finished transactions are compared"},
    [COORD_NOTICE_AUDITED] = {LOG_WARN, "finished transactions compared"},
    [COORD_NOTICE_RECONCILED] = {LOG_INFO, "reconciled"},
    [COORD_NOTICE_ACCEPTED] = {LOG_INFO, "accepted"},
    [COORD_NOTICE_DEAD] = {LOG_ERROR, "dead: an accepted request cannot succeed"},
    [COORD_NOTICE_REQUEUED] = {LOG_WARN, "requeued by a person"},
    [COORD_NOTICE_DROPPED] = {LOG_WARN, "dropped by a person"},
};

static void carry_notice(const struct coord_notice *notice)
{
    fault_if(notice->kind == COORD_NOTICE_ABORTED, FAULT_C_ABORT_DECIDED);
    fault_if(notice->kind == COORD_NOTICE_COMMITTED, FAULT_C_DECIDE_POST_STATE);
    fault_if(notice->kind == COORD_NOTICE_REDRIVE, FAULT_C_RECOVER_REDRIVE);
    const struct notice_line *line = &notice_lines[notice->kind];
    if (!log_enabled(line->level)) {
        return;
    }
    char gtrid[GTRID_TEXT_SIZE];
    if (notice->has_gtrid) {
        gtrid_format(&notice->gtrid, gtrid);
    }
    log_event(line->level, line->event, LOG_S("gtrid", notice->has_gtrid ? gtrid : NULL),
              LOG_S("participant", notice->participant[0] == '\0' ? NULL : notice->participant),
              LOG_S("detail", notice->detail[0] == '\0' ? NULL : notice->detail));
}

void carry_ready(struct coordinator *coordinator)
{
    struct coord_ready *ready = &coordinator->ready;
    for (size_t i = 0; i < ready->notice_count; i++) {
        carry_notice(&ready->notices[i]);
    }
    carry_appends(coordinator);
    carry_sends(coordinator);
    carry_answers(coordinator);
    carry_changes(coordinator);
    if (ready->trim) {
        journal_thread_trim(coordinator->journal_thread, &ready->trim_bounds);
    }
}
