/* trace_words.c - what an arrow of the diagram says: a message, a record, an answer, in few words. A transaction is
 * "epoch-sequence", since one run has one journal, mostly. */
#include <inttypes.h>
#include <stdio.h>

#include "tests/sim/trace.h"
#include "tests/sim/world.h"

static const char *verdict_words(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_COMMIT:
        return "verdict commit";
    case VERDICT_ABORT:
        return "verdict abort";
    case VERDICT_WAIT:
        return "verdict wait";
    case VERDICT_UNKNOWN:
        return "verdict unknown";
    case VERDICT_NOTED:
        return "noted";
    }
    return "verdict ?";
}

static const char *vote_words(enum vote vote)
{
    switch (vote) {
    case VOTE_COMMIT:
        return "vote yes";
    case VOTE_ABORT:
        return "vote no";
    case VOTE_READONLY:
        return "vote read-only";
    case VOTE_UNKNOWN:
        return "vote unknown";
    }
    return "vote ?";
}

static const char *ack_words(enum ack ack)
{
    switch (ack) {
    case ACK_COMMITTED:
        return "ack committed";
    case ACK_ROLLED_BACK:
        return "ack rolled back";
    case ACK_HEURISTIC_COMMIT:
        return "ack heuristic commit";
    case ACK_HEURISTIC_ROLLBACK:
        return "ack heuristic rollback";
    case ACK_HAZARD:
        return "ack hazard";
    }
    return "ack ?";
}

static void say_gtrid(char text[TRACE_WORDS_SIZE], const char *words, const struct gtrid *gtrid)
{
    (void)snprintf(text, TRACE_WORDS_SIZE, "%s %" PRIu64 "-%" PRIu64, words, gtrid->epoch,
                   gtrid->sequence);
}

static void say_epoch(char text[TRACE_WORDS_SIZE], const char *words, uint64_t epoch)
{
    (void)snprintf(text, TRACE_WORDS_SIZE, "%s %" PRIu64, words, epoch);
}

const char *trace_message_words(const struct message *message, char text[TRACE_WORDS_SIZE])
{
    const char *kind = message_kind_text(message->kind);
    switch (message->kind) {
    case MESSAGE_CLAIM:
        say_epoch(text, kind, message->as.claim.epoch);
        break;
    case MESSAGE_WITNESS:
        say_epoch(text, kind, message->as.witness.epoch);
        break;
    case MESSAGE_WELCOME:
        say_epoch(text, kind, message->as.welcome.epoch);
        break;
    case MESSAGE_FENCED:
        say_epoch(text, kind, message->as.fenced.epoch);
        break;
    case MESSAGE_WORK:
        say_gtrid(text, kind, &message->as.work.gtrid);
        break;
    case MESSAGE_STATEMENT:
        say_gtrid(text, kind, &message->as.statement.gtrid);
        break;
    case MESSAGE_PREPARE:
        say_gtrid(text, kind, &message->as.prepare.gid.gtrid);
        break;
    case MESSAGE_VERIFY:
        say_gtrid(text, kind, &message->as.verify.gid.gtrid);
        break;
    case MESSAGE_ANSWER:
        say_gtrid(text, kind, &message->as.answer.gid.gtrid);
        break;
    case MESSAGE_COMMIT:
        say_gtrid(text, kind, &message->as.commit.gid.gtrid);
        break;
    case MESSAGE_ROLLBACK:
        say_gtrid(text, kind, &message->as.rollback.gtrid);
        break;
    case MESSAGE_VERDICT:
        say_gtrid(text, verdict_words(message->as.verdict.verdict), &message->as.verdict.gid.gtrid);
        break;
    case MESSAGE_VOTE:
        say_gtrid(text, vote_words(message->as.vote.vote), &message->as.vote.gid.gtrid);
        break;
    case MESSAGE_ACK:
        say_gtrid(text, ack_words(message->as.ack.ack), &message->as.ack.gid.gtrid);
        break;
    case MESSAGE_INQUIRY:
        say_gtrid(text, kind, &message->as.inquiry.gid.gtrid);
        break;
    case MESSAGE_HEAD:
    case MESSAGE_AUDIT:
    case MESSAGE_HEALTH:
    case MESSAGE_AUDITED:
        (void)snprintf(text, TRACE_WORDS_SIZE, "%s", kind);
        break;
    }
    return text;
}

const char *trace_record_words(const struct record *record, char text[TRACE_WORDS_SIZE])
{
    const char *kind = record_kind_text(record->kind);
    switch (record->kind) {
    case RECORD_EPOCH:
        say_epoch(text, kind, record->as.epoch.epoch);
        break;
    case RECORD_COMMIT:
        say_gtrid(text, kind, &record->as.commit.gtrid);
        break;
    case RECORD_END:
        say_gtrid(text, kind, &record->as.end.gtrid);
        break;
    case RECORD_ACCEPT:
        say_gtrid(text, kind, &record->as.accept.gtrid);
        break;
    case RECORD_REFUSED:
        say_gtrid(text, kind, &record->as.refused.gtrid);
        break;
    case RECORD_REQUEUED:
        say_gtrid(text, kind, &record->as.requeued.gtrid);
        break;
    case RECORD_DROPPED:
        say_gtrid(text, kind, &record->as.dropped.gtrid);
        break;
    case RECORD_HEURISTIC:
        say_gtrid(text, kind, &record->as.heuristic.gid.gtrid);
        break;
    case RECORD_RESOLVED:
        say_gtrid(text, kind, &record->as.resolved.gtrid);
        break;
    case RECORD_FLOOR:
    case RECORD_RELEASE:
    case RECORD_ADOPT:
        (void)snprintf(text, TRACE_WORDS_SIZE, "%s", kind);
        break;
    }
    return text;
}

const char *trace_answer_words(enum api_status status, bool is_submission)
{
    switch (status) {
    case API_OK:
        return is_submission ? "committed" : "done";
    case API_ABORTED:
        return "aborted";
    case API_REFUSED:
        return "refused";
    case API_OUTCOME_UNKNOWN:
        return "outcome unknown";
    case API_KEY_CONFLICT:
        return "another body";
    case API_UNKNOWN_PARTICIPANT:
        return "no such participant";
    case API_NOT_FOUND:
        return "not found";
    case API_EXPIRED:
        return "expired";
    case API_ACCEPTED:
        return "accepted";
    case API_CONFLICT:
        return "not possible";
    case API_LIMIT:
        return "beyond a limit";
    case API_FAILED:
        return "failed";
    }
    return "?";
}
