/*
 * journal.c - `assent journal`: looking after the coordinator's journal file (recovery/journal.h).
 *
 * verify, dump and backup may run beside assentd; adopt and release need the journal for themselves (P-17).
 */
#include "recovery/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"
#include "common/clock.h"

struct journal_command {
    struct options *options;
    const char *action;
    const char *path;
    const char *target; /* backup: the copy; release: the participant */
    const char *comment;
};

static bool action_is(const struct journal_command *command, const char *action)
{
    return command->action != NULL && strcmp(command->action, action) == 0;
}

static error_t parse_argument(struct journal_command *command, char *argument,
                              struct argp_state *state)
{
    static const char *const actions[] = {"verify", "dump", "backup", "adopt", "release"};
    if (state->arg_num == 0) {
        for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
            if (strcmp(argument, actions[i]) == 0) {
                command->action = argument;
                return 0;
            }
        }
        argp_error(state, "\"%s\" is not verify, dump, backup, adopt or release", argument);
    } else if (state->arg_num == 1) {
        command->path = argument;
    } else if (state->arg_num == 2 &&
               (action_is(command, "backup") || action_is(command, "release"))) {
        command->target = argument;
    } else {
        argp_error(state, "unexpected argument \"%s\"", argument);
    }
    return 0;
}

static error_t parse_journal(int key, char *argument, struct argp_state *state)
{
    struct journal_command *command = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = command->options;
        return 0;
    case 'c':
        command->comment = argument;
        return 0;
    case ARGP_KEY_ARG:
        return parse_argument(command, argument, state);
    case ARGP_KEY_END:
        if (command->action == NULL || command->path == NULL) {
            argp_error(state, "an action and the journal's FILE are needed");
        }
        if (command->target == NULL && action_is(command, "backup")) {
            argp_error(state, "backup needs the name of the COPY");
        }
        if (command->target == NULL && action_is(command, "release")) {
            argp_error(state, "release needs the PARTICIPANT's name");
        }
        if ((command->comment == NULL || command->comment[0] == 0) &&
            (action_is(command, "adopt") || action_is(command, "release"))) {
            argp_error(state, "%s needs --comment TEXT, which says why", command->action);
        }
        if (command->comment != NULL && strlen(command->comment) > COMMENT_MAX_BYTES) {
            argp_error(state, "a comment has at most %d bytes", COMMENT_MAX_BYTES);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- verify */

static void print_report_json(const struct journal_report *report)
{
    char id[JOURNAL_ID_TEXT_SIZE];
    journal_id_format(&report->state.id, id);
    char *damage = json_quote(report->damage);
    printf("{\"journal\":\"%s\",\"records\":%" PRIu64 ",\"live\":%" PRIu64 ",\"head\":%" PRIu64
           ",\"first\":%" PRIu64 ",\"epoch\":%" PRIu64 ",\"copy\":%s,\"damaged\":%s,"
           "\"damage\":%s,\"participants\":[",
           id, report->record_count, report->live_count, report->state.head.number,
           report->state.floor.first_number, report->state.last_epoch,
           report->state.is_marked_copy ? "true" : "false", report->damaged ? "true" : "false",
           report->damaged ? damage : "null");
    for (size_t i = 0; i < report->state.participant_count; i++) {
        printf("%s\"%s\"", i > 0 ? "," : "", report->state.participants[i]);
    }
    puts("]}");
    free(damage);
}

static void print_report(const struct journal_report *report)
{
    char id[JOURNAL_ID_TEXT_SIZE];
    journal_id_format(&report->state.id, id);
    printf("journal       %s%s\n", id,
           report->state.is_marked_copy ? " (a backup: `assent journal adopt` makes it usable)"
                                        : "");
    printf("records       %" PRIu64 ", %" PRIu64 " to %" PRIu64 "\n", report->record_count,
           report->state.floor.first_number, report->state.head.number);
    printf("unfinished    %" PRIu64 "\n", report->live_count);
    printf("epoch         %" PRIu64 "\n", report->state.last_epoch);
    printf("participants ");
    for (size_t i = 0; i < report->state.participant_count; i++) {
        printf(" %s", report->state.participants[i]);
    }
    printf("\nverdict       %s%s%s\n",
           report->damaged ? paint("red", "damaged") : paint("green", "sound"),
           report->damaged ? ": " : "", report->damage);
}

static int journal_verify_run(const struct journal_command *command, struct error *ret_error)
{
    struct journal_report report = {0};
    if (!journal_verify(command->path, &report, ret_error)) {
        return fail_with(ret_error);
    }
    if (command->options->json) {
        print_report_json(&report);
    } else {
        print_report(&report);
    }
    const int code = report.damaged ? CLI_EXIT_FAILED : CLI_EXIT_DONE;
    journal_report_done(&report);
    return code;
}

/* ---- dump: one JSON object per line and record */

static void dump_text(const char *name, const char *text)
{
    char *quoted = json_quote(text);
    printf(",\"%s\":%s", name, quoted);
    free(quoted);
}

static void dump_gtrid(const struct gtrid *gtrid)
{
    char text[GTRID_TEXT_SIZE];
    gtrid_format(gtrid, text);
    dump_text("id", text);
}

static void dump_commit(const struct record_commit *commit)
{
    dump_gtrid(&commit->gtrid);
    printf(",\"wall_ms\":%" PRIu64, commit->wall_ms);
    if (commit->key_bytes > 0) {
        dump_text("key", commit->key);
    }
    printf(",\"branches\":[");
    for (size_t i = 0; i < commit->branch_count; i++) {
        char gid[GID_TEXT_SIZE];
        gid_format(&commit->branches[i].gid, gid);
        printf("%s{\"gid\":\"%s\",\"read_only\":%s}", i > 0 ? "," : "", gid,
               commit->branches[i].read_only ? "true" : "false");
    }
    putchar(']');
}

static void dump_epoch(const struct record_epoch *epoch)
{
    printf(",\"epoch\":%" PRIu64 ",\"nonce\":\"%016" PRIx64 "\",\"participants\":[", epoch->epoch,
           epoch->nonce);
    for (size_t i = 0; i < epoch->participant_count; i++) {
        printf("%s\"%s\"", i > 0 ? "," : "", epoch->participants[i]);
    }
    putchar(']');
}

static void dump_resolved(const struct record_resolved *resolved)
{
    static const char *const actions[] = {
        [RESOLVE_COMMIT] = "commit", [RESOLVE_ROLLBACK] = "rollback", [RESOLVE_FORGET] = "forget"};
    dump_gtrid(&resolved->gtrid);
    dump_text("participant", resolved->participant);
    if (resolved->action >= RESOLVE_COMMIT && resolved->action <= RESOLVE_FORGET) {
        dump_text("action", actions[resolved->action]);
    }
    dump_text("comment", resolved->comment);
}

static bool dump_record(void *user, uint64_t number, const struct record *record)
{
    (void)user;
    printf("{\"number\":%" PRIu64 ",\"kind\":\"%s\"", number, record_kind_text(record->kind));
    switch (record->kind) {
    case RECORD_EPOCH:
        dump_epoch(&record->as.epoch);
        break;
    case RECORD_COMMIT:
        dump_commit(&record->as.commit);
        break;
    case RECORD_END:
        dump_gtrid(&record->as.end.gtrid);
        printf(",\"wall_ms\":%" PRIu64, record->as.end.wall_ms);
        break;
    case RECORD_ACCEPT:
        dump_gtrid(&record->as.accept.gtrid);
        dump_text("queue", record->as.accept.queue);
        break;
    case RECORD_REFUSED:
        dump_gtrid(&record->as.refused.gtrid);
        dump_text("reason", reason_text(record->as.refused.failure.reason));
        break;
    case RECORD_REQUEUED:
        dump_gtrid(&record->as.requeued.gtrid);
        printf(",\"wall_ms\":%" PRIu64, record->as.requeued.wall_ms);
        break;
    case RECORD_DROPPED:
        dump_gtrid(&record->as.dropped.gtrid);
        dump_text("queue", record->as.dropped.queue);
        dump_text("comment", record->as.dropped.comment);
        break;
    case RECORD_HEURISTIC: {
        char gid[GID_TEXT_SIZE];
        gid_format(&record->as.heuristic.gid, gid);
        dump_gtrid(&record->as.heuristic.gid.gtrid);
        dump_text("gid", gid);
        dump_text("detail", record->as.heuristic.detail);
        break;
    }
    case RECORD_RESOLVED:
        dump_resolved(&record->as.resolved);
        break;
    case RECORD_FLOOR:
        printf(",\"epoch\":%" PRIu64 ",\"sequence\":%" PRIu64 ",\"first\":%" PRIu64,
               record->as.floor.floor.epoch, record->as.floor.floor.sequence,
               record->as.floor.floor.first_number);
        break;
    case RECORD_RELEASE:
        dump_text("participant", record->as.release.participant);
        dump_text("comment", record->as.release.comment);
        break;
    case RECORD_ADOPT:
        dump_text("comment", record->as.adopt.comment);
        break;
    }
    puts("}");
    return true;
}

/* ---- release */

static bool journal_release(const struct journal_command *command, struct error *ret_error)
{
    if (!participant_name_valid(command->target)) {
        return error_set(ret_error, ERROR_INVALID, "\"%s\" cannot be a participant's name",
                         command->target);
    }
    const struct journal_options options = {.path = command->path};
    struct journal *journal = NULL;
    if (!journal_open_sqlite(&options, &journal, ret_error)) {
        return false;
    }
    const struct journal_state *state = journal_state(journal);
    bool is_known = false;
    for (size_t i = 0; i < state->participant_count; i++) {
        is_known = is_known || strcmp(state->participants[i], command->target) == 0;
    }
    bool ok = true;
    if (!is_known) {
        ok = error_set(ret_error, ERROR_NOT_FOUND, "the journal knows no participant %s",
                       command->target);
    } else {
        struct record record = {.kind = RECORD_RELEASE};
        struct journal_head head;
        snprintf(record.as.release.participant, sizeof record.as.release.participant, "%s",
                 command->target);
        snprintf(record.as.release.comment, sizeof record.as.release.comment, "%s",
                 command->comment);
        record.as.release.wall_ms = clock_wall_ms();
        ok = journal_append(journal, state->last_epoch, &record, 1, &head, ret_error);
    }
    journal_close(journal);
    return ok;
}

/* People need no word where all went well; a program gets one. */
static void print_done(const struct journal_command *command)
{
    if (!command->options->json) {
        return;
    }
    char *path = json_quote(command->path);
    printf("{\"action\":\"%s\",\"journal\":%s", command->action, path);
    free(path);
    if (command->target != NULL) {
        dump_text(action_is(command, "backup") ? "copy" : "participant", command->target);
    }
    puts("}");
}

int journal_main(struct options *common, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"comment", 'c', "TEXT", 0, "Why (adopt, release); kept in the journal", 0},
        {0},
    };
    static const struct argp_child children[] = {{&options_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        options,
        parse_journal,
        "verify FILE\ndump FILE\nbackup FILE COPY\nadopt FILE\nrelease FILE PARTICIPANT",
        "Looks after a coordinator's journal.\v"
        "verify checks numbering and hash chain; dump prints one JSON object per record; backup "
        "copies the journal while assentd runs, marked so that it cannot be started by accident; "
        "adopt removes that mark; release lets a participant go for good, which assentd otherwise "
        "waits for. adopt and release need assentd stopped.",
        children,
        NULL,
        NULL};
    struct journal_command command = {.options = common};
    struct error error = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &command);
    if (action_is(&command, "verify")) {
        return journal_verify_run(&command, &error);
    }
    if (action_is(&command, "dump")) {
        return journal_dump(command.path, dump_record, NULL, &error) ? CLI_EXIT_DONE
                                                                     : fail_with(&error);
    }
    bool ok = false;
    if (action_is(&command, "release")) {
        ok = journal_release(&command, &error);
    } else if (action_is(&command, "backup")) {
        ok = journal_backup(command.path, command.target, &error);
    } else {
        ok = journal_adopt(command.path, command.comment, &error);
    }
    if (!ok) {
        return fail_with(&error);
    }
    print_done(&command);
    return CLI_EXIT_DONE;
}
