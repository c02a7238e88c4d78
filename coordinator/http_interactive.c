/* http_interactive.c - see http_interactive.h. */
#include "coordinator/http_interactive.h"

#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/http_submit_parts.h"
#include "coordinator/submission_hash.h"

static bool document_parse(const uint8_t *body, size_t body_bytes,
                           struct json_document **ret_document, struct problem *ret_problem)
{
    static const uint8_t nothing[] = "{}";
    struct error error = {0};
    if (body_bytes == 0) {
        body = nothing;
        body_bytes = sizeof nothing - 1;
    }
    return json_document_parse(body, body_bytes, ret_document, &error) ||
           problem_set(ret_problem, PROBLEM_MALFORMED, "%s", error.text);
}

bool open_parse(const struct http_limits *limits, const uint8_t *body, size_t body_bytes,
                uint32_t *ret_timeout_ms, struct problem *ret_problem)
{
    static const struct member_rule rule = {"timeout_ms", MEMBER_OPTIONAL, JSON_VALUE_NUMBER};
    const struct submit_parser parser = {.limits = limits, .problem = ret_problem};
    const struct json_value *timeout_ms = NULL;
    struct json_document *document = NULL;
    if (!document_parse(body, body_bytes, &document, ret_problem)) {
        return false;
    }
    const bool ok =
        members_check(json_document_root(document), &rule, 1, &timeout_ms, ret_problem) &&
        submit_timeout_parse(&parser, timeout_ms, ret_timeout_ms);
    json_document_free(document);
    return ok;
}

static bool seq_parse(const struct json_value *value, uint64_t *ret_seq,
                      struct problem *ret_problem)
{
    uint64_t seq = 0;
    if (value != NULL && (!number_whole(value, INT64_MAX, &seq) || seq == 0)) {
        return problem_at(ret_problem, PROBLEM_MALFORMED, value,
                          "must be a whole number from 1: it counts the transaction's statements");
    }
    *ret_seq = seq;
    return true;
}

static bool name_parse(const struct json_value *value, char ret_name[PARTICIPANT_NAME_SIZE],
                       struct problem *ret_problem)
{
    if (!participant_name_valid(value->text)) {
        return problem_at(ret_problem, PROBLEM_UNKNOWN_PARTICIPANT, value,
                          "no participant can have this name (1 to 63 of a-z, 0-9, _ and -, a "
                          "letter first)");
    }
    CHECK(value->text_bytes < PARTICIPANT_NAME_SIZE);
    memcpy(ret_name, value->text, value->text_bytes + 1);
    return true;
}

static bool statement_root_parse(const struct submit_parser *parser, const struct json_value *root,
                                 struct interactive_statement *statement)
{
    enum {
        PARTICIPANT,
        SQL,
        PARAMS,
        EXPECT_ROWS,
        ISOLATION,
        READ_ONLY,
        SEQ,
        OPERATION,
        ARGS,
        COUNT
    };
    static const struct member_rule rules[COUNT] = {
        [PARTICIPANT] = {"participant", MEMBER_REQUIRED, JSON_VALUE_STRING},
        [SQL] = {"sql", MEMBER_OPTIONAL, JSON_VALUE_STRING},
        [PARAMS] = {"params", MEMBER_OPTIONAL, JSON_VALUE_ARRAY},
        [EXPECT_ROWS] = {"expect_rows", MEMBER_OPTIONAL, JSON_VALUE_NUMBER},
        [ISOLATION] = {"isolation", MEMBER_OPTIONAL, JSON_VALUE_STRING},
        [READ_ONLY] = {"read_only", MEMBER_OPTIONAL, JSON_VALUE_BOOLEAN},
        [SEQ] = {"seq", MEMBER_OPTIONAL, JSON_VALUE_NUMBER},
        [OPERATION] = {"operation", MEMBER_OPTIONAL, JSON_VALUE_STRING},
        [ARGS] = {"args", MEMBER_OPTIONAL, JSON_VALUE_OBJECT},
    };
    const struct json_value *members[COUNT];
    if (!members_check(root, rules, COUNT, members, parser->problem) ||
        !name_parse(members[PARTICIPANT], statement->participant, parser->problem) ||
        !submit_isolation_parse(parser, members[ISOLATION], &statement->isolation) ||
        !seq_parse(members[SEQ], &statement->seq, parser->problem)) {
        return false;
    }
    statement->has_mode = members[ISOLATION] != NULL || members[READ_ONLY] != NULL;
    statement->read_only = members[READ_ONLY] != NULL && members[READ_ONLY]->boolean;
    struct work work = {.statement_count = 1,
                        .statements = alloc_array(1, sizeof *work.statements)};
    const struct statement_members found = {.sql = members[SQL],
                                            .params = members[PARAMS],
                                            .operation = members[OPERATION],
                                            .args = members[ARGS],
                                            .expect_rows = members[EXPECT_ROWS]};
    const bool ok = submit_statement_fill(parser, root, &found, &work.statements[0]);
    if (ok) {
        statement->work = work_encode(&work);
    }
    work_done(&work);
    return ok;
}

bool interactive_statement_parse(const struct http_limits *limits, const uint8_t *body,
                                 size_t body_bytes, struct interactive_statement *ret_statement,
                                 struct problem *ret_problem)
{
    const struct submit_parser parser = {.limits = limits, .problem = ret_problem};
    struct interactive_statement statement = {0};
    struct json_document *document = NULL;
    if (!document_parse(body, body_bytes, &document, ret_problem)) {
        return false;
    }
    const bool ok = statement_root_parse(&parser, json_document_root(document), &statement);
    json_document_free(document);
    if (ok) {
        submission_hash_statement(&statement);
        *ret_statement = statement;
    }
    return ok;
}

static bool mode_is_external(const struct json_value *value, struct problem *ret_problem)
{
    return strcmp(value->text, "external") == 0 ||
           problem_at(ret_problem, PROBLEM_MALFORMED, value,
                      "must be \"external\": a branch that the agent executes begins with its "
                      "first statement");
}

bool interactive_external_parse(const uint8_t *body, size_t body_bytes,
                                struct interactive_external *ret_external,
                                struct problem *ret_problem)
{
    enum { PARTICIPANT, MODE, COUNT };
    static const struct member_rule rules[COUNT] = {
        [PARTICIPANT] = {"participant", MEMBER_REQUIRED, JSON_VALUE_STRING},
        [MODE] = {"mode", MEMBER_REQUIRED, JSON_VALUE_STRING},
    };
    const struct json_value *members[COUNT];
    struct interactive_external external = {0};
    struct json_document *document = NULL;
    if (!document_parse(body, body_bytes, &document, ret_problem)) {
        return false;
    }
    const bool ok =
        members_check(json_document_root(document), rules, COUNT, members, ret_problem) &&
        mode_is_external(members[MODE], ret_problem) &&
        name_parse(members[PARTICIPANT], external.participant, ret_problem);
    json_document_free(document);
    if (ok) {
        *ret_external = external;
    }
    return ok;
}

bool interactive_end_parse(bool commit, const uint8_t *body, size_t body_bytes,
                           struct interactive_end *ret_end, struct problem *ret_problem)
{
    enum { ACK, STATEMENTS, COUNT };
    static const struct member_rule rules[COUNT] = {
        [ACK] = {"ack", MEMBER_OPTIONAL, JSON_VALUE_STRING},
        [STATEMENTS] = {"statements", MEMBER_OPTIONAL, JSON_VALUE_NUMBER},
    };
    const struct submit_parser parser = {.problem = ret_problem};
    const struct json_value *members[COUNT] = {NULL};
    struct interactive_end end = {.commit = commit};
    struct json_document *document = NULL;
    if (!document_parse(body, body_bytes, &document, ret_problem)) {
        return false;
    }
    const bool ok = members_check(json_document_root(document), rules, commit ? COUNT : 0, members,
                                  ret_problem) &&
                    (!commit || (submit_ack_parse(&parser, members[ACK], &end.ack) &&
                                 seq_parse(members[STATEMENTS], &end.statements, ret_problem)));
    json_document_free(document);
    if (ok) {
        *ret_end = end;
    }
    return ok;
}
