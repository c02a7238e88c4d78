/*
 * http_submit.c - see http_submit.h.
 *
 * What the body means is decided here and nowhere else; the branch's statements leave as a blob
 * (work.h).
 */
#include "coordinator/http_submit.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/sql_text.h"
#include "coordinator/http_queues.h"
#include "coordinator/http_submit_parts.h"
#include "coordinator/submission_hash.h"

static bool param_parse(const struct submit_parser *parser, const struct json_value *value,
                        char **ret_param)
{
    switch (value->type) {
    case JSON_VALUE_NULL:
        *ret_param = NULL;
        return true;
    case JSON_VALUE_BOOLEAN:
        *ret_param = alloc_string(value->boolean ? "true" : "false");
        return true;
    case JSON_VALUE_NUMBER: /* as written: the digits are the client's, not ours */
    case JSON_VALUE_STRING:
        *ret_param = alloc_bytes(value->text, value->text_bytes);
        return true;
    case JSON_VALUE_ARRAY:
    case JSON_VALUE_OBJECT:
        return problem_at(parser->problem, PROBLEM_MALFORMED, value,
                          "must be a string, number, boolean or null, not %s (write arrays and "
                          "documents as PostgreSQL text)",
                          json_value_type_text(value->type));
    }
    CHECK(false);
    return false;
}

static bool params_parse(const struct submit_parser *parser, const struct json_value *params,
                         struct statement *statement)
{
    if (params->child_count > STATEMENT_PARAMS_MAX) {
        problem_at(parser->problem, PROBLEM_LIMIT, params,
                   "%zu parameters, and PostgreSQL takes at most %d in a statement",
                   params->child_count, STATEMENT_PARAMS_MAX);
        parser->problem->limit_name = "params";
        parser->problem->limit = STATEMENT_PARAMS_MAX;
        return false;
    }
    statement->params = alloc_array(params->child_count, sizeof *statement->params);
    for (const struct json_value *value = params->first; value != NULL; value = value->next) {
        if (!param_parse(parser, value, &statement->params[statement->param_count])) {
            return false;
        }
        statement->param_count++;
    }
    return true;
}

/* The reader of JSON has seen to it that names differ, have no NUL, and are no more than fit. */
static bool args_parse(const struct submit_parser *parser, const struct json_value *args,
                       struct statement *statement)
{
    _Static_assert(JSON_MEMBERS_MAX <= OPERATION_ARGS_MAX, "arguments that work cannot carry");
    statement->arg_names = alloc_array(args->child_count, sizeof *statement->arg_names);
    statement->params = alloc_array(args->child_count, sizeof *statement->params);
    for (const struct json_value *value = args->first; value != NULL; value = value->next) {
        if (!param_parse(parser, value, &statement->params[statement->param_count])) {
            return false;
        }
        statement->arg_names[statement->param_count++] = alloc_string(value->name);
    }
    CHECK(statement_sort_args(statement));
    return true;
}

/* "operation" with "args" in place of "sql" with "params"; which operations there are is the agent's to say. */
static bool sql_or_operation_parse(const struct submit_parser *parser,
                                   const struct json_value *value,
                                   const struct statement_members *members,
                                   struct statement *statement)
{
    if (members->sql == NULL && members->operation == NULL) {
        return problem_at(parser->problem, PROBLEM_MALFORMED, value,
                          "\"sql\" or \"operation\" is missing");
    }
    const bool is_sql = members->sql != NULL;
    const struct json_value *text = is_sql ? members->sql : members->operation;
    const struct json_value *other = is_sql ? members->operation : members->params;
    other = other == NULL && is_sql ? members->args : other;
    if (other != NULL) {
        return problem_at(parser->problem, PROBLEM_INVALID, other,
                          "does not go together with \"%s\"", text->name);
    }
    if (text->text_bytes == 0) {
        return problem_at(parser->problem, PROBLEM_INVALID, text, "is empty");
    }
    if (is_sql && sql_is_blank(text->text)) {
        return problem_at(parser->problem, PROBLEM_INVALID, text, "has no command");
    }
    if (is_sql) {
        statement->sql = alloc_bytes(text->text, text->text_bytes);
        return members->params == NULL || params_parse(parser, members->params, statement);
    }
    statement->operation = alloc_bytes(text->text, text->text_bytes);
    return members->args == NULL || args_parse(parser, members->args, statement);
}

bool submit_statement_fill(const struct submit_parser *parser, const struct json_value *value,
                           const struct statement_members *members, struct statement *statement)
{
    statement->expect_rows = EXPECT_ROWS_ANY;
    if (!sql_or_operation_parse(parser, value, members, statement)) {
        return false;
    }
    uint64_t rows = 0;
    if (members->expect_rows != NULL) {
        if (!number_whole(members->expect_rows, INT64_MAX, &rows)) {
            return problem_at(parser->problem, PROBLEM_MALFORMED, members->expect_rows,
                              "must be a whole number from 0");
        }
        statement->expect_rows = (int64_t)rows;
    }
    return true;
}

/* Fills *statement, which is zeroed; what it holds after a failure is released with the work. */
static bool statement_parse(const struct submit_parser *parser, const struct json_value *value,
                            struct statement *statement)
{
    enum { SQL, PARAMS, EXPECT_ROWS, OPERATION, ARGS, SEQ, COUNT };
    static const struct member_rule rules[COUNT] = {
        [SQL] = {"sql", MEMBER_OPTIONAL, JSON_VALUE_STRING},
        [PARAMS] = {"params", MEMBER_OPTIONAL, JSON_VALUE_ARRAY},
        [EXPECT_ROWS] = {"expect_rows", MEMBER_OPTIONAL, JSON_VALUE_NUMBER},
        [OPERATION] = {"operation", MEMBER_OPTIONAL, JSON_VALUE_STRING},
        [ARGS] = {"args", MEMBER_OPTIONAL, JSON_VALUE_OBJECT},
        [SEQ] = {"seq", MEMBER_OPENED, JSON_VALUE_NUMBER},
    };
    const struct json_value *members[COUNT];
    if (!members_check(value, rules, COUNT, members, parser->problem)) {
        return false;
    }
    const struct statement_members found = {.sql = members[SQL],
                                            .params = members[PARAMS],
                                            .operation = members[OPERATION],
                                            .args = members[ARGS],
                                            .expect_rows = members[EXPECT_ROWS]};
    return submit_statement_fill(parser, value, &found, statement);
}

static bool statements_parse(struct submit_parser *parser, const struct json_value *statements,
                             struct blob **ret_work)
{
    if (statements->child_count == 0) {
        return problem_at(parser->problem, PROBLEM_INVALID, statements, "is empty");
    }
    parser->statement_count += statements->child_count;
    if (parser->statement_count > parser->limits->statements) {
        return problem_set_limit(parser->problem, PROBLEM_LIMIT, "max_statements",
                                 parser->limits->statements,
                                 "more than %u statements in one transaction, which is the "
                                 "configured limit \"max_statements\"",
                                 parser->limits->statements);
    }
    struct work work = {.statements =
                            alloc_array(statements->child_count, sizeof *work.statements)};
    bool ok = true;
    for (const struct json_value *value = statements->first; ok && value != NULL;
         value = value->next) {
        ok = statement_parse(parser, value, &work.statements[work.statement_count]);
        work.statement_count++;
    }
    if (ok) {
        *ret_work = work_encode(&work);
    }
    work_done(&work);
    return ok;
}

bool submit_isolation_parse(const struct submit_parser *parser, const struct json_value *value,
                            enum isolation *ret_isolation)
{
    if (value == NULL || strcmp(value->text, "read committed") == 0) {
        *ret_isolation = ISOLATION_READ_COMMITTED;
    } else if (strcmp(value->text, "repeatable read") == 0) {
        *ret_isolation = ISOLATION_REPEATABLE_READ;
    } else if (strcmp(value->text, "serializable") == 0) {
        *ret_isolation = ISOLATION_SERIALIZABLE;
    } else {
        return problem_at(parser->problem, PROBLEM_MALFORMED, value,
                          "must be \"read committed\", \"repeatable read\" or \"serializable\"");
    }
    return true;
}

static bool branch_participant_parse(const struct submit_parser *parser,
                                     const struct json_value *value,
                                     const struct submission *submission,
                                     struct submission_branch *branch)
{
    if (!participant_name_valid(value->text)) {
        return problem_at(parser->problem, PROBLEM_UNKNOWN_PARTICIPANT, value,
                          "no participant can have this name (1 to 63 of a-z, 0-9, _ and -, a "
                          "letter first)");
    }
    for (size_t i = 0; i < submission->branch_count; i++) {
        if (strcmp(submission->branches[i].participant, value->text) == 0) {
            return problem_at(
                parser->problem, PROBLEM_INVALID, value,
                "participant \"%s\" has a branch already; put all its statements into "
                "that one",
                value->text);
        }
    }
    CHECK(value->text_bytes < sizeof branch->participant);
    memcpy(branch->participant, value->text, value->text_bytes + 1);
    return true;
}

/* Appends to submission->branches on success; the array has room. */
static bool branch_parse(struct submit_parser *parser, const struct json_value *value,
                         struct submission *submission)
{
    enum { PARTICIPANT, STATEMENTS, ISOLATION, READ_ONLY, MODE, COUNT };
    static const struct member_rule rules[COUNT] = {
        [PARTICIPANT] = {"participant", MEMBER_REQUIRED, JSON_VALUE_STRING},
        [STATEMENTS] = {"statements", MEMBER_REQUIRED, JSON_VALUE_ARRAY},
        [ISOLATION] = {"isolation", MEMBER_OPTIONAL, JSON_VALUE_STRING},
        [READ_ONLY] = {"read_only", MEMBER_OPTIONAL, JSON_VALUE_BOOLEAN},
        [MODE] = {"mode", MEMBER_OPENED, JSON_VALUE_STRING},
    };
    const struct json_value *members[COUNT];
    struct submission_branch branch = {0};
    if (!members_check(value, rules, COUNT, members, parser->problem) ||
        !branch_participant_parse(parser, members[PARTICIPANT], submission, &branch) ||
        !submit_isolation_parse(parser, members[ISOLATION], &branch.isolation)) {
        return false;
    }
    branch.read_only = members[READ_ONLY] != NULL && members[READ_ONLY]->boolean;
    if (!statements_parse(parser, members[STATEMENTS], &branch.work)) {
        return false;
    }
    submission->branches[submission->branch_count++] = branch;
    return true;
}

static bool branches_parse(struct submit_parser *parser, const struct json_value *branches,
                           struct submission *submission)
{
    if (branches->child_count == 0) {
        return problem_at(parser->problem, PROBLEM_INVALID, branches, "is empty");
    }
    if (branches->child_count > parser->limits->branches) {
        return problem_set_limit(parser->problem, PROBLEM_LIMIT, "max_branches",
                                 parser->limits->branches,
                                 "%zu branches, and the configured limit \"max_branches\" is %u",
                                 branches->child_count, parser->limits->branches);
    }
    submission->branches = alloc_array(branches->child_count, sizeof *submission->branches);
    for (const struct json_value *value = branches->first; value != NULL; value = value->next) {
        if (!branch_parse(parser, value, submission)) {
            return false;
        }
    }
    return true;
}

bool submit_timeout_parse(const struct submit_parser *parser, const struct json_value *value,
                          uint32_t *ret_timeout_ms)
{
    uint64_t timeout_ms = parser->limits->timeout_default_ms;
    const uint32_t maximum_ms = parser->limits->timeout_max_ms;
    if (value != NULL && (!number_whole(value, UINT64_MAX, &timeout_ms) || timeout_ms == 0)) {
        return problem_at(parser->problem, PROBLEM_MALFORMED, value,
                          "must be a whole number of milliseconds from 1");
    }
    if (timeout_ms > maximum_ms) {
        return problem_set_limit(
            parser->problem, PROBLEM_LIMIT, "timeout_max", maximum_ms,
            "timeout_ms is above the configured limit \"timeout_max\" of %u ms", maximum_ms);
    }
    *ret_timeout_ms = (uint32_t)timeout_ms;
    return true;
}

bool submit_ack_parse(const struct submit_parser *parser, const struct json_value *value,
                      enum ack_mode *ret_ack)
{
    if (value == NULL || strcmp(value->text, "completed") == 0) {
        *ret_ack = ACK_MODE_COMPLETED;
    } else if (strcmp(value->text, "decided") == 0) {
        *ret_ack = ACK_MODE_DECIDED;
    } else {
        return problem_at(parser->problem, PROBLEM_MALFORMED, value,
                          "must be \"completed\" or \"decided\"");
    }
    return true;
}

/* The key of header and body: either alone, or both equal. */
static bool key_parse(const struct submit_parser *parser, const char *key_header,
                      const struct json_value *value, struct submission *submission)
{
    if (key_header != NULL &&
        !key_header_parse(key_header, submission->key, &submission->key_bytes, parser->problem)) {
        return false;
    }
    if (value == NULL) {
        return true;
    }
    if (value->text_bytes == 0 || value->text_bytes > KEY_MAX_BYTES) {
        return problem_at(parser->problem, PROBLEM_MALFORMED, value, "must have 1 to %d bytes",
                          KEY_MAX_BYTES);
    }
    if (key_header != NULL && (submission->key_bytes != value->text_bytes ||
                               memcmp(submission->key, value->text, value->text_bytes) != 0)) {
        return problem_at(parser->problem, PROBLEM_MALFORMED, value,
                          "differs from the Idempotency-Key header");
    }
    memcpy(submission->key, value->text, value->text_bytes + 1);
    submission->key_bytes = value->text_bytes;
    return true;
}

/* *submission is zeroed; what it holds after a failure is released by the caller. */
static bool root_parse(struct submit_parser *parser, const char *key_header,
                       const struct json_value *root, struct submission *submission)
{
    enum { BRANCHES, KEY, TIMEOUT_MS, ACK, QUEUE, COUNT };
    static const struct member_rule rules[COUNT] = {
        [BRANCHES] = {"branches", MEMBER_REQUIRED, JSON_VALUE_ARRAY},
        [KEY] = {"key", MEMBER_OPTIONAL, JSON_VALUE_STRING},
        [TIMEOUT_MS] = {"timeout_ms", MEMBER_OPTIONAL, JSON_VALUE_NUMBER},
        [ACK] = {"ack", MEMBER_OPTIONAL, JSON_VALUE_STRING},
        [QUEUE] = {"queue", MEMBER_OPTIONAL, JSON_VALUE_STRING},
    };
    const struct json_value *members[COUNT];
    return members_check(root, rules, COUNT, members, parser->problem) &&
           key_parse(parser, key_header, members[KEY], submission) &&
           submit_timeout_parse(parser, members[TIMEOUT_MS], &submission->timeout_ms) &&
           submit_ack_parse(parser, members[ACK], &submission->ack) &&
           queue_member_parse(members[QUEUE], submission->queue, parser->problem) &&
           branches_parse(parser, members[BRANCHES], submission);
}

bool submit_parse(const struct http_limits *limits, const char *key_header, const uint8_t *body,
                  size_t body_bytes, struct submission *ret_submission, struct problem *ret_problem)
{
    struct json_document *document = NULL;
    struct error error = {0};
    if (!json_document_parse(body, body_bytes, &document, &error)) {
        return problem_set(ret_problem, PROBLEM_MALFORMED, "%s", error.text);
    }
    struct submit_parser parser = {.limits = limits, .problem = ret_problem};
    struct submission submission = {0};
    const bool ok = root_parse(&parser, key_header, json_document_root(document), &submission);
    json_document_free(document);
    if (!ok) {
        submission_done(&submission);
        return false;
    }
    submission_hash(&submission, submission.body_hash);
    *ret_submission = submission;
    return true;
}

bool resolve_parse(const uint8_t *body, size_t body_bytes, struct api_resolve *ret_resolve,
                   struct problem *ret_problem)
{
    enum { ACTION, PARTICIPANT, COMMENT, COUNT };
    static const struct member_rule rules[COUNT] = {
        [ACTION] = {"action", MEMBER_REQUIRED, JSON_VALUE_STRING},
        [PARTICIPANT] = {"participant", MEMBER_REQUIRED, JSON_VALUE_STRING},
        [COMMENT] = {"comment", MEMBER_REQUIRED, JSON_VALUE_STRING},
    };
    static const struct {
        const char *text;
        enum resolve_action action;
    } actions[] = {
        {"commit", RESOLVE_COMMIT}, {"rollback", RESOLVE_ROLLBACK}, {"forget", RESOLVE_FORGET}};
    struct json_document *document = NULL;
    struct error error = {0};
    if (!json_document_parse(body, body_bytes, &document, &error)) {
        return problem_set(ret_problem, PROBLEM_MALFORMED, "%s", error.text);
    }
    const struct json_value *members[COUNT];
    struct api_resolve resolve = {0};
    bool ok = members_check(json_document_root(document), rules, COUNT, members, ret_problem);
    for (size_t i = 0; ok && i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(members[ACTION]->text, actions[i].text) == 0) {
            resolve.action = actions[i].action;
        }
    }
    if (ok && resolve.action == 0) {
        ok = problem_at(ret_problem, PROBLEM_MALFORMED, members[ACTION],
                        "must be \"commit\", \"rollback\" or \"forget\"");
    }
    if (ok && !participant_name_valid(members[PARTICIPANT]->text)) {
        ok = problem_at(ret_problem, PROBLEM_UNKNOWN_PARTICIPANT, members[PARTICIPANT],
                        "no participant can have this name");
    }
    if (ok &&
        (members[COMMENT]->text_bytes == 0 || members[COMMENT]->text_bytes > COMMENT_MAX_BYTES)) {
        ok = problem_at(ret_problem, PROBLEM_MALFORMED, members[COMMENT],
                        "must have 1 to %d bytes: say who decided and why", COMMENT_MAX_BYTES);
    }
    if (ok) {
        memcpy(resolve.participant, members[PARTICIPANT]->text, members[PARTICIPANT]->text_bytes);
        memcpy(resolve.comment, members[COMMENT]->text, members[COMMENT]->text_bytes);
        *ret_resolve = resolve;
    }
    json_document_free(document);
    return ok;
}
