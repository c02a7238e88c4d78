/* honest.c - see honest.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/test.h"

#include "common/alloc.h"
#include "tests/spec/honest.h"

#define LONG_MS 10000

struct gid honest_gid(uint32_t number)
{
    return (struct gid){
        .gtrid = {.journal = {{0xAB, 1, 2, 3}},
                  .epoch = 7,
                  .epoch_nonce = 0x77,
                  .sequence = number % 10},
        .attempt = number,
        .participant = "order",
    };
}

/* ---- words ---- */

static const char *class_text(enum pg_class class)
{
    switch (class) {
    case PG_OK:
        return "ok";
    case PG_ROLLED_BACK:
        return "no";
    case PG_NOT_FOUND:
        return "not found";
    case PG_RETRY:
        return "again";
    case PG_REFUSED:
        return "refused";
    case PG_UNKNOWN:
        break;
    }
    return "unknown";
}

static const char *proved_text(enum proof_result proved)
{
    switch (proved) {
    case PROOF_SAYS_PREPARED:
        return "prepared";
    case PROOF_SAYS_COMMITTED:
        return "committed";
    case PROOF_SAYS_ABSENT:
        return "absent";
    case PROOF_CANNOT_TELL:
        break;
    }
    return "cannot tell";
}

static const char *finding_text(uint8_t finding)
{
    static const char *const texts[] = {[AUDIT_COMMITTED] = "committed",
                                        [AUDIT_PREPARED] = "prepared",
                                        [AUDIT_LOST] = "lost",
                                        [AUDIT_CANNOT_TELL] = "unknown"};
    return finding >= AUDIT_COMMITTED && finding <= AUDIT_CANNOT_TELL ? texts[finding] : "?";
}

static void add(char text[HONEST_TEXT], const char *word)
{
    size_t length = strlen(text);
    (void)snprintf(text + length, HONEST_TEXT - length, "%s%s", length == 0 ? "" : " ", word);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Gids by their numbers, other names as they are; in order. */
static void add_names(char text[HONEST_TEXT], const char *const *gids, size_t count)
{
    char(*names)[GID_TEXT_SIZE] = alloc_array(count + 1, sizeof names[0]);
    const char **sorted = alloc_array(count + 1, sizeof sorted[0]);
    for (size_t i = 0; i < count; i++) {
        struct gid gid;
        (void)snprintf(names[i], sizeof names[i], "%s", gids[i]);
        if (gid_parse(gids[i], &gid) && gid.attempt < HONEST_GIDS) {
            struct gid ours = honest_gid((uint32_t)gid.attempt);
            (void)snprintf(names[i], sizeof names[i], "%s%" PRIu64,
                           gid_equal(&gid, &ours)                           ? ""
                           : strcmp(gid.participant, ours.participant) == 0 ? "journal-"
                                                                            : "neighbour-",
                           gid.attempt);
        }
        sorted[i] = names[i];
    }
    qsort(sorted, count, sizeof sorted[0], compare_texts);
    for (size_t i = 0; i < count; i++) {
        add(text, sorted[i]);
    }
    free(sorted);
    free(names);
}

/* A row's transaction is that of the vote, if there was one (P-20). */
static void check_xids(const struct honest_side *side, const struct command_result *result)
{
    for (size_t i = 0; i < result->row_count; i++) {
        struct gid gid;
        if (gid_parse(result->rows[i].gid_text, &gid) && gid.attempt < HONEST_GIDS &&
            side->proofs[gid.attempt].xid8 != 0) {
            assert_int_equal(result->rows[i].xid, (uint32_t)side->proofs[gid.attempt].xid8);
        }
    }
}

/* Of this database, or of others of the server. */
static size_t choose_rows(const struct command_result *result, bool is_here, const char **ret_gids)
{
    size_t count = 0;
    for (size_t i = 0; i < result->row_count; i++) {
        if ((result->rows[i].database[0] == '\0') == is_here) {
            ret_gids[count++] = result->rows[i].gid_text;
        }
    }
    return count;
}

static void add_rows(const struct honest_side *side, const struct command_result *result,
                     char text[HONEST_TEXT])
{
    const char **gids = alloc_array(result->row_count + 1, sizeof gids[0]);
    add_names(text, gids, choose_rows(result, true, gids));
    size_t count = choose_rows(result, false, gids);
    if (count > 0) {
        add(text, "elsewhere");
        add_names(text, gids, count);
    }
    free(gids);
    check_xids(side, result);
}

static void say_execute(const struct command_result *result, char text[HONEST_TEXT])
{
    static const char *const yes[] = {
        [PROOF_NONE] = "read-only", [PROOF_ROW] = "yes by row", [PROOF_XID] = "yes by xid"};
    if (result->class == PG_OK) {
        add(text, yes[result->proof.kind]);
        return;
    }
    add(text, class_text(result->class));
    add(text, reason_text(result->failure.reason));
    if (result->failure.sqlstate[0] != '\0') {
        add(text, result->failure.sqlstate);
    }
}

/* It is never in doubt: without PREPARE nothing of it can stay. */
static void say_statement(const struct command_result *result, char text[HONEST_TEXT])
{
    if (result->class == PG_OK) {
        assert_non_null(result->results);
        add(text, "open");
    } else {
        say_execute(result, text);
    }
}

static void say_verify(struct honest_side *side, const struct honest_op *op,
                       const struct command_result *result, char text[HONEST_TEXT])
{
    if (result->class != PG_OK) {
        say_execute(result, text);
        return;
    }
    assert_int_equal(result->proof.kind, PROOF_EXTERNAL);
    if (op->by_vote) { /* the same row as before (P-20) */
        assert_int_equal(result->proof.xid8, side->proofs[op->gid].xid8);
    }
    add(text, "yes, of");
    add(text, result->owner);
}

static void say_witness(const struct witness *witness, char text[HONEST_TEXT])
{
    (void)snprintf(text, HONEST_TEXT,
                   "epoch %" PRIu64 "/%" PRIu64 " head %" PRIu64 "/%u floor %" PRIu64 "/%" PRIu64
                   " first %" PRIu64 " at %s",
                   witness->epoch, witness->epoch_nonce, witness->head.number,
                   witness->head.hash[0], witness->floor.epoch, witness->floor.sequence,
                   witness->floor.first_number, witness->address);
}

static void say_result(const struct honest_side *side, const struct command_result *result,
                       char text[HONEST_TEXT])
{
    if (result->kind == COMMAND_EXECUTE || result->kind == COMMAND_PREPARE) {
        say_execute(result, text);
    } else if (result->kind == COMMAND_STATEMENT) {
        say_statement(result, text);
    } else if (result->class != PG_OK || result->kind == COMMAND_FINISH ||
               result->kind == COMMAND_CLOSE || result->kind == COMMAND_STORE_WITNESS ||
               result->kind == COMMAND_ROTATE) {
        add(text, class_text(result->class));
        if (result->was_another) {
            add(text, "but another");
        }
    } else if (result->kind == COMMAND_PROVE) {
        add(text, proved_text(result->proved));
    } else if (result->kind == COMMAND_LOOK || result->kind == COMMAND_SCAN) {
        add_rows(side, result, text);
    } else if (result->kind == COMMAND_LOAD_WITNESS) {
        say_witness(&result->witness, text);
    } else {
        for (size_t i = 0; i < result->results->size_bytes; i++) {
            add(text, finding_text(result->results->bytes[i]));
        }
    }
}

/* ---- operations ---- */

static void make_execute(struct honest_side *side, const struct honest_op *op,
                         struct command *command)
{
    command->kind = COMMAND_EXECUTE;
    command->as.execute = (struct command_execute){
        .gid = honest_gid(op->gid),
        .isolation = op->is_serializable ? ISOLATION_SERIALIZABLE : ISOLATION_READ_COMMITTED,
        .read_only = op->is_read_only,
        .deadline_ms = side->now_ms(side) + (op->timeout_ms != 0 ? op->timeout_ms : LONG_MS),
        .work = side->work(side, op),
    };
}

static void make_statement(struct honest_side *side, const struct honest_op *op,
                           struct command *command)
{
    make_execute(side, op, command);
    struct command_execute execute = command->as.execute;
    command->kind = COMMAND_STATEMENT;
    command->as.statement =
        (struct command_statement){.execute = execute, .ordinal = ++side->said[op->gid]};
}

static void make_prepare(struct honest_side *side, const struct honest_op *op,
                         struct command *command)
{
    make_execute(side, op, command);
    blob_free(command->as.execute.work);
    struct command_execute prepare = command->as.execute;
    prepare.work = NULL;
    command->kind = COMMAND_PREPARE;
    command->as.prepare = prepare;
}

static void make_audit(const struct honest_side *side, const struct honest_op *op,
                       struct command *command)
{
    struct audit_list *list = &command->as.audit;
    command->kind = COMMAND_AUDIT;
    list->count = op->count;
    list->items = alloc_array(op->count, sizeof list->items[0]);
    for (uint32_t i = 0; i < op->count; i++) {
        list->items[i] =
            (struct audit_item){.gid = honest_gid(op->gid + i), .proof = {.kind = PROOF_ROW}};
        if (op->by_vote) {
            list->items[i].proof = side->proofs[op->gid + i];
        }
    }
}

static void make_store(const struct honest_op *op, struct command *command)
{
    struct witness *witness = &command->as.store;
    command->kind = COMMAND_STORE_WITNESS;
    *witness = (struct witness){
        .journal = honest_gid(0).gtrid.journal,
        .epoch = op->epoch,
        .epoch_nonce = op->nonce,
        .head = {.number = op->head},
        .floor = {op->floor_epoch, op->floor_sequence, op->floor_first},
    };
    memset(witness->head.hash, (int)(op->head % 256), HASH_BYTES);
    (void)snprintf(witness->address, sizeof witness->address, "tcp://coordinator:%u", op->epoch);
}

static struct proof proof_of(const struct honest_side *side, const struct honest_op *op)
{
    return op->by_vote       ? side->proofs[op->gid]
           : op->is_external ? (struct proof){.kind = PROOF_EXTERNAL}
                             : (struct proof){.kind = PROOF_NONE};
}

static void make_verify(struct honest_side *side, const struct honest_op *op,
                        struct command *command)
{
    uint64_t now_ms = side->now_ms(side);
    command->kind = COMMAND_VERIFY;
    command->as.verify = (struct command_verify){
        .gid = honest_gid(op->gid), .deadline_ms = op->is_late ? now_ms : now_ms + LONG_MS};
}

/* False: nothing at the seam. */
static bool make_command(struct honest_side *side, const struct honest_op *op,
                         struct command *command)
{
    struct gid gid = honest_gid(op->gid);
    bool commit = op->kind == HONEST_COMMIT || op->kind == HONEST_PROVE_COMMIT;
    memset(command, 0, sizeof *command);
    switch (op->kind) {
    case HONEST_EXECUTE:
    case HONEST_BEGIN:
        make_execute(side, op, command);
        return true;
    case HONEST_SAY:
    case HONEST_SAY_BEGIN:
        make_statement(side, op, command);
        return true;
    case HONEST_PREPARE:
        make_prepare(side, op, command);
        return true;
    case HONEST_CLOSE:
        command->kind = COMMAND_CLOSE;
        command->as.close = gid;
        return true;
    case HONEST_CANCEL:
        command->kind = COMMAND_CANCEL;
        command->as.cancel = gid;
        return true;
    case HONEST_COMMIT:
    case HONEST_ROLLBACK:
        command->kind = COMMAND_FINISH;
        command->as.finish =
            (struct command_finish){.gid = gid, .commit = commit, .proof = proof_of(side, op)};
        return true;
    case HONEST_VERIFY:
        make_verify(side, op, command);
        return true;
    case HONEST_PROVE_COMMIT:
    case HONEST_PROVE_ROLLBACK:
        command->kind = COMMAND_PROVE;
        command->as.prove = (struct command_prove){
            .gid = gid, .expect_commit = commit, .fence = op->fence, .proof = proof_of(side, op)};
        return true;
    case HONEST_LOOK:
        command->kind = COMMAND_LOOK;
        command->as.look = (struct command_look){.gtrid = gid.gtrid, .has_gid = true, .gid = gid};
        return true;
    case HONEST_SCAN:
        command->kind = COMMAND_SCAN;
        return true;
    case HONEST_AUDIT:
        make_audit(side, op, command);
        return true;
    case HONEST_LOAD:
        command->kind = COMMAND_LOAD_WITNESS;
        command->as.load = gid.gtrid.journal;
        return true;
    case HONEST_STORE:
        make_store(op, command);
        return true;
    case HONEST_ROTATE:
        command->kind = COMMAND_ROTATE;
        return true;
    default: /* the others happen behind the agent's back */
        return false;
    }
}

static uint64_t submit(struct honest_side *side, const struct honest_op *op,
                       struct command *command)
{
    uint64_t id = side->next_id++;
    command->id = id;
    side->submit(side, op, command);
    return id;
}

static void answered(struct honest_side *side, const struct honest_op *op, uint64_t id,
                     char text[HONEST_TEXT])
{
    const struct command_result *result = side->await(side, id);
    assert_int_equal(result->id, id);
    bool prepares = result->kind == COMMAND_EXECUTE || result->kind == COMMAND_PREPARE;
    bool verifies = result->kind == COMMAND_VERIFY;
    if (verifies) {
        say_verify(side, op, result, text);
    } else {
        say_result(side, result, text);
    }
    if ((prepares || verifies) && result->class == PG_OK) {
        side->proofs[op->gid] = result->proof;
    }
    if (prepares || result->kind == COMMAND_FINISH) {
        char tag[HONEST_TEXT] = "";
        side->tag(side, op, tag);
        if (tag[0] != '\0') {
            add(text, tag);
        }
    }
}

static void run_command(struct honest_side *side, const struct honest_op *op,
                        struct command *command, char text[HONEST_TEXT])
{
    uint64_t id = submit(side, op, command);
    switch (op->kind) {
    case HONEST_CANCEL: /* has no answer of its own */
        break;
    case HONEST_BEGIN:
    case HONEST_SAY_BEGIN:
        side->open[op->gid] = id;
        side->await_wait(side, op);
        break;
    case HONEST_ROTATE:
        (void)side->await(side, id);
        assert_true(make_command(side, op, command));
        answered(side, op, submit(side, op, command), text);
        break;
    default:
        answered(side, op, id, text);
        break;
    }
}

/* ---- behind the agent's back ---- */

static void act_foreign(struct honest_side *side, const struct honest_op *op)
{
    struct gid gid = honest_gid(op->gid);
    char text[GID_TEXT_SIZE];
    bool is_gid = op->foreign >= FOREIGN_NEIGHBOUR;
    if (op->foreign == FOREIGN_NEIGHBOUR) {
        (void)snprintf(gid.participant, sizeof gid.participant, "neighbour");
    } else if (op->foreign == FOREIGN_JOURNAL) {
        gid.gtrid.journal.bytes[0] = 0xEE;
    }
    gid_format(&gid, text);
    if (!is_gid) {
        (void)snprintf(text, sizeof text, "%s%u",
                       op->foreign == FOREIGN_OTHER ? "other-" : GID_PREFIX "old-", op->gid);
    }
    side->act(side, op, text, is_gid ? &gid : NULL);
}

static void act(struct honest_side *side, const struct honest_op *op, char text[HONEST_TEXT])
{
    struct gid gid = honest_gid(op->gid);
    char gid_text[GID_TEXT_SIZE];
    uint64_t before, changes;
    uint32_t timeline_before, timeline;
    if (op->kind == HONEST_ANSWER) {
        answered(side, op, side->open[op->gid], text);
        return;
    }
    if (op->kind == HONEST_FOREIGN) {
        act_foreign(side, op);
        return;
    }
    gid_format(&gid, gid_text);
    if (op->kind == HONEST_APPLICATION) {
        add(text, side->prepare(side, op, gid_text, &gid) ? "prepared" : "failed");
        return;
    }
    side->history(side, &before, &timeline_before);
    side->act(side, op, gid_text, &gid);
    if (op->agent_is_away) {
        return; /* nobody who could compare */
    }
    if (op->kind == HONEST_CRASH || op->kind == HONEST_COPY || op->kind == HONEST_RESTORE ||
        op->kind == HONEST_PROMOTE) {
        side->history(side, &changes, &timeline);
        (void)snprintf(text, HONEST_TEXT, "%s%s",
                       changes == before ? "same history" : "history changed",
                       timeline == timeline_before       ? ""
                       : timeline == timeline_before + 1 ? ", next timeline"
                                                         : ", another timeline");
    }
}

/* ---- the whole ---- */

static void check(const struct honest_side *side, size_t line, const char *said,
                  const char *expected)
{
    if (strcmp(said, expected) != 0) {
        fail_msg("%s, operation %zu: the %s says \"%s\", the script \"%s\"", side->script, line,
                 side->name, said, expected);
    }
}

static void add_gids(char text[HONEST_TEXT], char gids[HONEST_TEXT])
{
    const char *names[HONEST_GIDS];
    size_t count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(gids, " ", &rest); word != NULL && count < HONEST_GIDS;
         word = strtok_r(NULL, " ", &rest)) {
        names[count++] = word;
    }
    add_names(text, names, count);
}

static void look(struct honest_side *side, char text[HONEST_TEXT])
{
    char accounts[HONEST_TEXT] = "", prepared[HONEST_TEXT] = "", outcomes[HONEST_TEXT] = "";
    side->look(side, accounts, prepared, outcomes);
    add(text, accounts[0] != '\0' ? accounts : "-");
    add(text, "| prepared");
    add_gids(text, prepared);
    add(text, "| rows");
    add_gids(text, outcomes);
}

void honest_run(struct honest_side *side, const struct honest_script *script)
{
    char text[HONEST_TEXT];
    size_t line = 0;
    side->script = script->name;
    for (const struct honest_op *op = script->ops; op->kind != 0; op++, line++) {
        struct command command;
        text[0] = '\0';
        if (make_command(side, op, &command)) {
            run_command(side, op, &command, text);
        } else {
            act(side, op, text);
        }
        check(side, line, text, op->says != NULL ? op->says : "");
    }
    text[0] = '\0';
    look(side, text);
    check(side, line, text, script->ends);
}
