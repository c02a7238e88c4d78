/* agent_notice.c - the core's notices as lines of the log, so many of a kind in a second. */
#include "participant/agent_internal.h"

#define NOTICES_PER_SECOND 20 /* of one kind; more are counted and told later */

static enum log_level notice_level(enum agent_notice_kind kind)
{
    switch (kind) {
    case AGENT_NOTICE_VOTED:
    case AGENT_NOTICE_FINISHED:
        return LOG_DEBUG;
    case AGENT_NOTICE_REFUSED:
    case AGENT_NOTICE_RETRYING:
        return LOG_INFO;
    case AGENT_NOTICE_FENCED:
    case AGENT_NOTICE_UNKNOWN_OWNER:
    case AGENT_NOTICE_LATE_PREPARE:
    case AGENT_NOTICE_HISTORY_CHANGED:
    case AGENT_NOTICE_OTHERS:
    case AGENT_NOTICE_MISPLACED:
        return LOG_WARN;
    case AGENT_NOTICE_HEURISTIC:
    case AGENT_NOTICE_HAZARD:
        return LOG_ERROR;
    }
    return LOG_ERROR;
}

static const char *notice_text(enum agent_notice_kind kind)
{
    switch (kind) {
    case AGENT_NOTICE_VOTED:
        return "voted";
    case AGENT_NOTICE_FINISHED:
        return "branch finished";
    case AGENT_NOTICE_HEURISTIC:
        return "heuristic outcome";
    case AGENT_NOTICE_HAZARD:
        return "outcome cannot be told";
    case AGENT_NOTICE_FENCED:
        return "coordinator fenced";
    case AGENT_NOTICE_UNKNOWN_OWNER:
        return "prepared branch without owner";
    case AGENT_NOTICE_REFUSED:
        return "refused";
    case AGENT_NOTICE_LATE_PREPARE:
        return "late prepare found";
    case AGENT_NOTICE_HISTORY_CHANGED:
        return "database history changed";
    case AGENT_NOTICE_RETRYING:
        return "trying again";
    case AGENT_NOTICE_OTHERS:
        return "somebody else uses the agent's login role";
    case AGENT_NOTICE_MISPLACED:
        return "prepared under this name in the wrong database";
    }
    return "notice";
}

/* A flood of one kind must not drown the others; errors always pass. */
static bool notice_passes(struct agent_server *server, enum agent_notice_kind kind, uint64_t now_ms)
{
    struct notice_gate *gate = &server->gates[kind];
    if (now_ms - gate->window_ms >= 1000) {
        if (gate->suppressed > 0) {
            log_event(LOG_INFO, "notices left out", LOG_S("kind", notice_text(kind)),
                      LOG_U("count", gate->suppressed));
        }
        *gate = (struct notice_gate){.window_ms = now_ms};
    }
    if (gate->count >= NOTICES_PER_SECOND && notice_level(kind) != LOG_ERROR) {
        gate->suppressed++;
        return false;
    }
    gate->count++;
    return true;
}

void server_log_notices(struct agent_server *server, uint64_t now_ms)
{
    for (size_t i = 0; i < server->ready.notice_count; i++) {
        const struct agent_notice *notice = &server->ready.notices[i];
        enum log_level level = notice_level(notice->kind);
        if (!log_enabled(level) || !notice_passes(server, notice->kind, now_ms)) {
            continue;
        }
        char gtrid[GTRID_TEXT_SIZE] = "";
        if (notice->gid.gtrid.sequence != 0) {
            gtrid_format(&notice->gid.gtrid, gtrid);
        }
        log_event(level, notice_text(notice->kind), LOG_S("gtrid", gtrid[0] != '\0' ? gtrid : NULL),
                  LOG_S("participant", server->settings.core.participant),
                  LOG_S("detail", notice->detail));
    }
}
