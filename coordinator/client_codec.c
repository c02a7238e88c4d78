/* client_codec.c - decoding half, see client_codec.h; client_codec_answer.c is the other half. */
#include "coordinator/client_codec.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/sql_text.h"
#include "common/work.h"
#include "coordinator/submission_hash.h"

#define LIST_LIMIT_DEFAULT 100
#define LIST_LIMIT_MAX     1000

struct decode {
    struct unpack in;
    const struct client_limits *limits;
    struct api_call *call;
    uint32_t seen;
    struct client_refusal *refusal;
};

static bool refuse(struct decode *decode, enum client_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool refuse(struct decode *decode, enum client_status status, const char *format, ...)
{
    *decode->refusal = (struct client_refusal){.status = status};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(decode->refusal->text, sizeof decode->refusal->text, format, arguments);
    va_end(arguments);
    return false;
}

static bool malformed(struct decode *decode, const char *what)
{
    return refuse(decode, CLIENT_MALFORMED, "%s", what);
}

static bool decode_name(struct decode *decode, char ret_name[PARTICIPANT_NAME_SIZE])
{
    struct unpack_text text;
    if (!unpack_text(&decode->in, &text) ||
        !unpack_text_copy(&text, ret_name, PARTICIPANT_NAME_SIZE) ||
        !participant_name_valid(ret_name)) {
        return malformed(decode, "participant must be a participant's name: 1 to 63 of a-z, 0-9, _ "
                                 "and -, beginning with a letter");
    }
    return true;
}

static bool decode_key(struct decode *decode, size_t *ret_bytes, char ret_key[KEY_MAX_BYTES + 1])
{
    struct unpack_text text;
    if (!unpack_text(&decode->in, &text) || !unpack_text_copy(&text, ret_key, KEY_MAX_BYTES + 1)) {
        return refuse(decode, CLIENT_MALFORMED, "key must be a text of 1 to %d bytes without NUL",
                      KEY_MAX_BYTES);
    }
    *ret_bytes = text.size_bytes;
    return true;
}

static bool decode_gtrid(struct decode *decode, const char *field, struct gtrid *ret_gtrid)
{
    struct unpack_text text;
    char copy[GTRID_TEXT_SIZE];
    if (!unpack_text(&decode->in, &text)) {
        return refuse(decode, CLIENT_MALFORMED, "%s must be a text", field);
    }
    if (!unpack_text_copy(&text, copy, sizeof copy) || !gtrid_parse(copy, ret_gtrid)) {
        return refuse(decode, CLIENT_NOT_FOUND, "%s is not a transaction's id", field);
    }
    return true;
}

static bool decode_isolation(struct decode *decode, enum isolation *ret_isolation)
{
    static const char *const names[] = {
        [ISOLATION_READ_COMMITTED] = "read committed",
        [ISOLATION_REPEATABLE_READ] = "repeatable read",
        [ISOLATION_SERIALIZABLE] = "serializable",
    };
    struct unpack_text text;
    if (unpack_text(&decode->in, &text)) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            if (unpack_text_is(&text, names[i])) {
                *ret_isolation = (enum isolation)i;
                return true;
            }
        }
    }
    return malformed(decode, "isolation must be \"read committed\", \"repeatable read\" or "
                             "\"serializable\"");
}

static bool work_has_commands(const struct work *work)
{
    for (size_t i = 0; i < work->statement_count; i++) {
        const struct statement *statement = &work->statements[i];
        if (statement->operation == NULL && sql_is_blank(statement->sql)) {
            return false;
        }
    }
    return true;
}

/* The statements come in work.h's form, are opened to be checked, and encoded again: whoever
 * encoded them, and however loosely, the same content has the same bytes and thus the same hash. */
static bool decode_work(struct decode *decode, size_t *statements_left, struct blob **ret_work)
{
    const uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    if (!unpack_bytes(&decode->in, &bytes, &size_bytes)) {
        return malformed(decode, "a branch's work must be binary");
    }
    struct blob *given = blob_new(bytes, size_bytes);
    struct work work;
    struct error error;
    const bool decoded = work_decode(given, &work, &error);
    blob_free(given);
    if (!decoded) {
        return refuse(decode, CLIENT_MALFORMED, "a branch's work: %.400s", error.text);
    }
    const size_t count = work.statement_count;
    if (count > *statements_left) {
        work_done(&work);
        return refuse(decode, CLIENT_LIMIT,
                      "more than %" PRIu32 " statements in one transaction (limit max_statements)",
                      decode->limits->statements);
    }
    if (!work_has_commands(&work)) {
        work_done(&work);
        return malformed(decode, "a statement's sql has no command");
    }
    *statements_left -= count;
    if (count > 0) {
        *ret_work = work_encode(&work);
    }
    work_done(&work);
    return count > 0 || malformed(decode, "a branch needs at least one statement");
}

enum branch_field {
    BRANCH_FIELD_PARTICIPANT = 1,
    BRANCH_FIELD_ISOLATION = 2,
    BRANCH_FIELD_READ_ONLY = 4,
    BRANCH_FIELD_WORK = 8,
};

static bool decode_branch_field(struct decode *decode, const struct unpack_text *name,
                                struct submission_branch *branch, size_t *statements_left,
                                uint32_t *seen)
{
    uint32_t field = 0;
    bool ok = false;
    if (unpack_text_is(name, "participant")) {
        field = BRANCH_FIELD_PARTICIPANT;
        ok = decode_name(decode, branch->participant);
    } else if (unpack_text_is(name, "isolation")) {
        field = BRANCH_FIELD_ISOLATION;
        ok = decode_isolation(decode, &branch->isolation);
    } else if (unpack_text_is(name, "read_only")) {
        field = BRANCH_FIELD_READ_ONLY;
        ok = unpack_bool(&decode->in, &branch->read_only) ||
             malformed(decode, "read_only must be true or false");
    } else if (unpack_text_is(name, "work") && branch->work == NULL) {
        field = BRANCH_FIELD_WORK;
        ok = decode_work(decode, statements_left, &branch->work);
    } else {
        return refuse(decode, CLIENT_MALFORMED, "unknown member \"%.*s\" in a branch",
                      (int)(name->size_bytes > 64 ? 64 : name->size_bytes), name->text);
    }
    if (ok && (*seen & field) != 0) {
        return malformed(decode, "a member stands twice in a branch");
    }
    *seen |= field;
    return ok;
}

static bool decode_branch(struct decode *decode, size_t *statements_left,
                          struct submission_branch *branch, uint32_t *ret_seen)
{
    uint32_t members = 0;
    uint32_t seen = 0;
    if (!unpack_map(&decode->in, &members)) {
        return malformed(decode, "a branch must be a map");
    }
    for (uint32_t i = 0; i < members; i++) {
        struct unpack_text name;
        if (!unpack_text(&decode->in, &name)) {
            return malformed(decode, "a branch's member names must be texts");
        }
        if (!decode_branch_field(decode, &name, branch, statements_left, &seen)) {
            return false;
        }
    }
    const uint32_t required = BRANCH_FIELD_PARTICIPANT | BRANCH_FIELD_WORK;
    *ret_seen = seen;
    return (seen & required) == required ||
           malformed(decode, "a branch needs participant and work");
}

static bool decode_branches(struct decode *decode)
{
    struct submission *submission = &decode->call->submission;
    uint32_t count = 0;
    if (!unpack_array(&decode->in, &count) || count == 0) {
        return malformed(decode, "branches must be an array of at least one");
    }
    if (count > decode->limits->branches) {
        return refuse(decode, CLIENT_LIMIT, "more than %" PRIu32 " branches (limit max_branches)",
                      decode->limits->branches);
    }
    size_t statements_left = decode->limits->statements;
    submission->branches = alloc_array(count, sizeof *submission->branches);
    for (uint32_t i = 0; i < count; i++) {
        struct submission_branch *branch = &submission->branches[i];
        uint32_t seen = 0;
        submission->branch_count = i + 1; /* so that a failure half-way releases what is there */
        if (!decode_branch(decode, &statements_left, branch, &seen)) {
            return false;
        }
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(submission->branches[k].participant, branch->participant) == 0) {
                return refuse(decode, CLIENT_MALFORMED, "participant %s stands in two branches",
                              branch->participant);
            }
        }
    }
    return true;
}

/* A branch as of a submission, of an interactive transaction, with one statement. */
static bool decode_statement(struct decode *decode)
{
    struct interactive_statement *statement = &decode->call->statement;
    struct submission_branch branch = {0};
    uint32_t seen = 0;
    size_t statements_left = decode->limits->statements;
    const bool ok = decode_branch(decode, &statements_left, &branch, &seen);
    statement->work = branch.work; /* released with the call, whatever it is */
    if (!ok) {
        return false;
    }
    if (decode->limits->statements - statements_left != 1) {
        return malformed(decode, "a statement's branch has exactly one statement");
    }
    memcpy(statement->participant, branch.participant, sizeof statement->participant);
    statement->has_mode = (seen & (BRANCH_FIELD_ISOLATION | BRANCH_FIELD_READ_ONLY)) != 0;
    statement->isolation = branch.isolation;
    statement->read_only = branch.read_only;
    return true;
}

static bool decode_seq(struct decode *decode)
{
    int64_t value = 0;
    if (!unpack_range(&decode->in, 1, INT64_MAX, &value)) {
        return malformed(decode, "seq must be a number from 1");
    }
    decode->call->statement.seq = (uint64_t)value;
    return true;
}

static bool decode_timeout(struct decode *decode)
{
    int64_t value = 0;
    if (!unpack_range(&decode->in, 1, INT64_MAX, &value)) {
        return malformed(decode, "timeout_ms must be a number from 1");
    }
    if (value > decode->limits->timeout_max_ms) {
        return refuse(decode, CLIENT_LIMIT, "timeout_ms is above %" PRIu32 " (limit timeout_max)",
                      decode->limits->timeout_max_ms);
    }
    if (decode->call->operation == API_OPEN) {
        decode->call->timeout_ms = (uint32_t)value;
    } else {
        decode->call->submission.timeout_ms = (uint32_t)value;
    }
    return true;
}

static bool decode_ack(struct decode *decode)
{
    struct unpack_text text;
    struct api_call *call = decode->call;
    enum ack_mode *ret_ack = call->operation == API_CLOSE ? &call->end.ack
                             : call->operation == API_GET ? &call->wait.ack
                                                          : &call->submission.ack;
    if (unpack_text(&decode->in, &text)) {
        if (unpack_text_is(&text, "completed")) {
            *ret_ack = ACK_MODE_COMPLETED;
            return true;
        }
        if (unpack_text_is(&text, "decided")) {
            *ret_ack = ACK_MODE_DECIDED;
            return true;
        }
    }
    return malformed(decode, "ack must be \"completed\" or \"decided\"");
}

static bool decode_queue(struct decode *decode)
{
    struct unpack_text text;
    char *ret_queue = decode->call->submission.queue;
    if (!unpack_text(&decode->in, &text) || !unpack_text_copy(&text, ret_queue, QUEUE_NAME_SIZE) ||
        !queue_name_valid(ret_queue)) {
        return refuse(decode, CLIENT_MALFORMED,
                      "queue must have 1 to %d of A-Z, a-z, 0-9, \".\", \"_\", \":\" and \"-\"",
                      QUEUE_NAME_SIZE - 1);
    }
    return true;
}

static bool decode_wait(struct decode *decode)
{
    int64_t value = 0;
    if (!unpack_range(&decode->in, 0, INT64_MAX, &value)) {
        return malformed(decode, "wait_ms must be a number from 0");
    }
    if (value > CLIENT_WAIT_MAX_MS) {
        return refuse(decode, CLIENT_LIMIT, "wait_ms is above %d (not configurable)",
                      CLIENT_WAIT_MAX_MS);
    }
    decode->call->wait.wait_ms = (uint32_t)value;
    return true;
}

static bool decode_any_key(struct decode *decode)
{
    struct api_call *call = decode->call;
    switch (call->operation) {
    case API_SUBMIT:
        return decode_key(decode, &call->submission.key_bytes, call->submission.key);
    case API_LIST:
        return decode_key(decode, &call->list.key_bytes, call->list.key);
    default:
        call->operation = API_GET_BY_KEY;
        return decode_key(decode, &call->key_bytes, call->key);
    }
}

static bool decode_id(struct decode *decode)
{
    struct api_call *call = decode->call;
    struct gtrid *ret_gtrid = &call->gtrid;
    if (call->operation == API_STATEMENT) {
        ret_gtrid = &call->statement.gtrid;
    } else if (call->operation == API_CLOSE) {
        ret_gtrid = &call->end.gtrid;
    } else if (call->operation == API_EXTERNAL) {
        ret_gtrid = &call->external.gtrid;
    }
    return decode_gtrid(decode, "id", ret_gtrid);
}

static bool decode_events(struct decode *decode)
{
    return unpack_bool(&decode->in, &decode->call->want_events) ||
           malformed(decode, "events must be true or false");
}

static bool decode_state(struct decode *decode)
{
    struct unpack_text text;
    char copy[32];
    struct api_list *list = &decode->call->list;
    if (!unpack_text(&decode->in, &text) || !unpack_text_copy(&text, copy, sizeof copy)) {
        return malformed(decode, "state must be a text");
    }
    if (strcmp(copy, "in-doubt") == 0) {
        list->in_doubt = true;
    } else if (!txn_state_parse(copy, &list->state)) {
        return malformed(decode, "state must be \"in-doubt\" or the name of a state");
    }
    list->any_state = false;
    return true;
}

static bool decode_participant(struct decode *decode)
{
    struct api_call *call = decode->call;
    return decode_name(decode, call->operation == API_EXTERNAL ? call->external.participant
                                                               : call->list.participant);
}

static bool decode_limit(struct decode *decode)
{
    int64_t value = 0;
    if (!unpack_range(&decode->in, 1, LIST_LIMIT_MAX, &value)) {
        return refuse(decode, CLIENT_LIMIT, "limit must be 1 to %d", LIST_LIMIT_MAX);
    }
    decode->call->list.limit = (size_t)value;
    return true;
}

static bool decode_after(struct decode *decode)
{
    decode->call->list.has_after = true;
    return decode_gtrid(decode, "after", &decode->call->list.after);
}

/* Operations as bits, for the table of members. */
enum {
    OP_SUBMIT = 1,
    OP_GET = 2,
    OP_LIST = 4,
    OP_PARTICIPANTS = 8,
    OP_OPEN = 16,
    OP_STATEMENT = 32,
    OP_COMMIT = 64,
    OP_ROLLBACK = 128,
    OP_EXTERNAL = 256,
    OP_ACCEPT = 512,
    OP_WAIT = 1024,
};

static const struct operation {
    const char *name;
    uint32_t bit;
    enum api_operation operation;
} operations[] = {
    {"submit", OP_SUBMIT, API_SUBMIT},
    {"get", OP_GET, API_GET},
    {"list", OP_LIST, API_LIST},
    {"participants", OP_PARTICIPANTS, API_PARTICIPANTS},
    {"open", OP_OPEN, API_OPEN},
    {"statement", OP_STATEMENT, API_STATEMENT},
    {"commit", OP_COMMIT, API_CLOSE},
    {"rollback", OP_ROLLBACK, API_CLOSE},
    {"external", OP_EXTERNAL, API_EXTERNAL},
    {"accept", OP_ACCEPT, API_SUBMIT},
    {"wait", OP_WAIT, API_GET},
};

enum {
    MEMBER_KEY = 1,
    MEMBER_TIMEOUT = 2,
    MEMBER_ACK = 4,
    MEMBER_BRANCHES = 8,
    MEMBER_ID = 16,
    MEMBER_EVENTS = 32,
    MEMBER_STATE = 64,
    MEMBER_PARTICIPANT = 128,
    MEMBER_LIMIT = 256,
    MEMBER_AFTER = 512,
    MEMBER_BRANCH = 1024,
    MEMBER_SEQ = 2048,
    MEMBER_QUEUE = 4096,
    MEMBER_WAIT = 8192,
};

static const struct member {
    const char *name;
    uint32_t bit;
    uint32_t operations;
    bool (*decode)(struct decode *decode);
} members[] = {
    {"key", MEMBER_KEY, OP_SUBMIT | OP_ACCEPT | OP_GET | OP_LIST, decode_any_key},
    {"timeout_ms", MEMBER_TIMEOUT, OP_SUBMIT | OP_ACCEPT | OP_OPEN, decode_timeout},
    {"ack", MEMBER_ACK, OP_SUBMIT | OP_ACCEPT | OP_COMMIT | OP_WAIT, decode_ack},
    {"branches", MEMBER_BRANCHES, OP_SUBMIT | OP_ACCEPT, decode_branches},
    {"queue", MEMBER_QUEUE, OP_ACCEPT, decode_queue},
    {"id", MEMBER_ID, OP_GET | OP_WAIT | OP_STATEMENT | OP_COMMIT | OP_ROLLBACK | OP_EXTERNAL,
     decode_id},
    {"wait_ms", MEMBER_WAIT, OP_WAIT, decode_wait},
    {"events", MEMBER_EVENTS, OP_GET, decode_events},
    {"state", MEMBER_STATE, OP_LIST, decode_state},
    {"participant", MEMBER_PARTICIPANT, OP_LIST | OP_EXTERNAL, decode_participant},
    {"limit", MEMBER_LIMIT, OP_LIST, decode_limit},
    {"after", MEMBER_AFTER, OP_LIST, decode_after},
    {"branch", MEMBER_BRANCH, OP_STATEMENT, decode_statement},
    {"seq", MEMBER_SEQ, OP_STATEMENT, decode_seq},
};

static bool decode_member(struct decode *decode, uint32_t operation_bit)
{
    struct unpack_text name;
    if (!unpack_text(&decode->in, &name)) {
        return malformed(decode, "member names must be texts");
    }
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const struct member *member = &members[i];
        if (!unpack_text_is(&name, member->name) || (member->operations & operation_bit) == 0) {
            continue;
        }
        if ((decode->seen & member->bit) != 0) {
            return refuse(decode, CLIENT_MALFORMED, "member %s stands twice", member->name);
        }
        decode->seen |= member->bit;
        return member->decode(decode);
    }
    /* A member that we do not know may be one that changes the meaning: refused, not skipped. */
    return refuse(decode, CLIENT_MALFORMED, "unknown member \"%.*s\"",
                  (int)(name.size_bytes > 64 ? 64 : name.size_bytes), name.text);
}

/* "v" and "op" come first, so that everything behind them can be read by their rules. */
static bool decode_head(struct decode *decode, uint32_t *ret_members, uint32_t *ret_operation)
{
    struct unpack_text text;
    int64_t version = 0;
    if (!unpack_map(&decode->in, ret_members) || *ret_members < 2 ||
        !unpack_text(&decode->in, &text) || !unpack_text_is(&text, "v") ||
        !unpack_int(&decode->in, &version)) {
        return malformed(decode, "a request must be a map that begins with v and op");
    }
    if (version != CLIENT_PROTOCOL_VERSION) {
        return refuse(decode, CLIENT_UNSUPPORTED,
                      "version %" PRId64 " of the client protocol is not supported; this is %d",
                      version, CLIENT_PROTOCOL_VERSION);
    }
    if (!unpack_text(&decode->in, &text) || !unpack_text_is(&text, "op") ||
        !unpack_text(&decode->in, &text)) {
        return malformed(decode, "a request must be a map that begins with v and op");
    }
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (unpack_text_is(&text, operations[i].name)) {
            decode->call = api_call_new(operations[i].operation);
            decode->call->list.any_state = true;
            decode->call->list.limit = LIST_LIMIT_DEFAULT;
            decode->call->timeout_ms = decode->limits->timeout_default_ms;
            decode->call->end.commit = operations[i].bit == OP_COMMIT;
            decode->call->submission.is_async = operations[i].bit == OP_ACCEPT;
            decode->call->wait.is_wait = operations[i].bit == OP_WAIT;
            *ret_operation = operations[i].bit;
            *ret_members -= 2;
            return true;
        }
    }
    return refuse(decode, CLIENT_UNSUPPORTED, "unknown operation \"%.*s\"",
                  (int)(text.size_bytes > 64 ? 64 : text.size_bytes), text.text);
}

/* What no single member can tell. */
static bool decode_finish(struct decode *decode, uint32_t operation_bit)
{
    struct submission *submission = &decode->call->submission;
    if (decode->call->operation == API_SUBMIT) {
        if (submission->branch_count == 0) {
            return malformed(decode, "submit and accept need branches");
        }
        if (submission->timeout_ms == 0) {
            submission->timeout_ms = decode->limits->timeout_default_ms;
        }
        submission_hash(submission, submission->body_hash);
    }
    const bool has_id = (decode->seen & MEMBER_ID) != 0;
    if (operation_bit == OP_GET && ((decode->seen & MEMBER_KEY) != 0) == has_id) {
        return malformed(decode, "get needs either id or key");
    }
    const uint32_t needed = MEMBER_ID | MEMBER_WAIT;
    if (operation_bit == OP_WAIT && (decode->seen & needed) != needed) {
        return malformed(decode, "wait needs id and wait_ms");
    }
    const uint32_t of_open = OP_STATEMENT | OP_COMMIT | OP_ROLLBACK | OP_EXTERNAL;
    if ((operation_bit & of_open) != 0 && !has_id) {
        return malformed(decode, "statement, external, commit and rollback need id");
    }
    if (operation_bit == OP_EXTERNAL && (decode->seen & MEMBER_PARTICIPANT) == 0) {
        return malformed(decode, "external needs participant");
    }
    if (operation_bit == OP_STATEMENT) {
        if (decode->call->statement.work == NULL) {
            return malformed(decode, "statement needs branch");
        }
        submission_hash_statement(&decode->call->statement);
    }
    return true;
}

bool client_decode_request(const void *bytes, size_t size_bytes, const struct client_limits *limits,
                           struct api_call **ret_call, struct client_refusal *ret_refusal)
{
    struct decode decode = {.limits = limits, .refusal = ret_refusal};
    if (size_bytes > limits->body_bytes) {
        return refuse(&decode, CLIENT_LIMIT,
                      "the request is larger than %" PRIu32 " bytes (limit max_body)",
                      limits->body_bytes);
    }
    unpack_init(&decode.in, bytes, size_bytes);
    uint32_t left = 0;
    uint32_t operation_bit = 0;
    bool ok = decode_head(&decode, &left, &operation_bit);
    for (uint32_t i = 0; ok && i < left; i++) {
        ok = decode_member(&decode, operation_bit);
    }
    if (ok && !unpack_is_complete(&decode.in)) {
        ok = malformed(&decode, "bytes follow the request");
    }
    ok = ok && decode_finish(&decode, operation_bit);
    if (!ok) {
        api_call_free(decode.call);
        return false;
    }
    *ret_call = decode.call;
    return true;
}
