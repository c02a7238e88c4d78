/*
 * test_http_openapi.c - the document served at /openapi.json says what the code does, and the other way round.
 */
#include "tests/lib/test.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "coordinator/http_problem.h"
#include "coordinator/http_reply.h"
#include "tests/unit/http_stand_in.h"

static json_t *document_load(void)
{
    json_error_t error;
    json_t *document =
        json_loadb(openapi_document, (size_t)(openapi_document_end - openapi_document),
                   JSON_REJECT_DUPLICATES, &error);
    if (document == NULL) {
        fail_msg("line %d: %s", error.line, error.text);
    }
    return document;
}

static json_t *at(json_t *object, const char *name)
{
    json_t *member = json_object_get(object, name);
    if (member == NULL) {
        fail_msg("no member %s", name);
    }
    return member;
}

static bool enum_has(json_t *values, const char *text)
{
    size_t i;
    json_t *value;
    json_array_foreach(values, i, value)
    {
        if (json_is_string(value) && strcmp(json_string_value(value), text) == 0) {
            return true;
        }
    }
    return false;
}

/* The served bytes are the file's. */
static void test_openapi_is_served(void **state)
{
    (void)state;
    struct stand_in stand_in;
    stand_in_start(&stand_in, NULL, stand_in_answer_committed, NULL);
    struct wire_reply reply;
    wire_get(stand_in.port, "/openapi.json", &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(wire_header(&reply, "Content-Type"), "application/json");
    assert_int_equal(reply.body_bytes, openapi_document_end - openapi_document);
    assert_memory_equal(reply.body, openapi_document, reply.body_bytes);
    wire_reply_done(&reply);
    stand_in_stop(&stand_in);
}

/* Every route of the table is described with its method. */
static void test_openapi_describes_every_route(void **state)
{
    (void)state;
    json_t *document = document_load();
    json_t *paths = at(document, "paths");
    for (int route = ROUTE_NONE + 1; route < ROUTE_COUNT; route++) {
        const struct route_row *row = route_row((enum route)route);
        const char *method = strcmp(row->method, "POST") == 0 ? "post" : "get";
        (void)at(at(paths, row->path), method);
    }
    json_decref(document);
}

static bool route_exists(const char *method, const char *path)
{
    for (int route = ROUTE_NONE + 1; route < ROUTE_COUNT; route++) {
        const struct route_row *row = route_row((enum route)route);
        if (strcasecmp(row->method, method) == 0 && strcmp(row->path, path) == 0) {
            return true;
        }
    }
    return false;
}

/* Nothing is described that does not exist. */
static void test_openapi_describes_nothing_else(void **state)
{
    (void)state;
    json_t *document = document_load();
    const char *path;
    json_t *item;
    size_t described = 0;
    json_object_foreach(at(document, "paths"), path, item)
    {
        const char *method;
        json_t *operation;
        json_object_foreach(item, method, operation)
        {
            if (strcmp(method, "parameters") == 0) {
                continue;
            }
            if (!route_exists(method, path)) {
                fail_msg("%s %s is described but not served", method, path);
            }
            described++;
        }
    }
    assert_int_equal(described, ROUTE_COUNT - 1);
    json_decref(document);
}

/* The types of problems in the document are exactly those that the code can send. */
static void test_openapi_lists_every_problem(void **state)
{
    (void)state;
    json_t *document = document_load();
    json_t *schema = at(at(at(document, "components"), "schemas"), "Problem");
    json_t *types = at(at(at(schema, "properties"), "type"), "enum");
    size_t known = 0;
    for (int kind = PROBLEM_NONE + 1; kind < PROBLEM_REASON; kind++) {
        const struct problem problem = {.kind = (enum problem_kind)kind};
        char type[128];
        (void)snprintf(type, sizeof type, "urn:assent:problem:%s", problem_slug(&problem));
        if (!enum_has(types, type)) {
            fail_msg("%s is missing", type);
        }
        known++;
    }
    for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        char type[128];
        (void)snprintf(type, sizeof type, "urn:assent:problem:%s",
                       reason_text((enum reason)reason));
        if (!enum_has(types, type)) {
            fail_msg("%s is missing", type);
        }
        known++;
    }
    assert_int_equal(json_array_size(types), known);
    json_decref(document);
}

/* The words for states are those of the code. */
static void test_openapi_lists_every_state(void **state)
{
    (void)state;
    json_t *document = document_load();
    json_t *schemas = at(at(document, "components"), "schemas");
    json_t *states = at(at(schemas, "State"), "enum");
    for (int txn = TXN_QUEUED; txn <= TXN_HEURISTIC; txn++) {
        assert_true(enum_has(states, txn_state_text((enum txn_state)txn)));
    }
    assert_int_equal(json_array_size(states), TXN_HEURISTIC - 1); /* deciding shows as preparing */
    json_t *branches = at(at(schemas, "BranchState"), "enum");
    for (int branch = BRANCH_IDLE; branch <= BRANCH_FORGOTTEN; branch++) {
        assert_true(enum_has(branches, branch_state_text((enum branch_state)branch)));
    }
    assert_int_equal(json_array_size(branches), BRANCH_FORGOTTEN);
    json_decref(document);
}

static void references_check(json_t *document, json_t *value)
{
    const char *name;
    json_t *member;
    size_t i;
    json_object_foreach(value, name, member)
    {
        if (strcmp(name, "$ref") == 0) {
            char path[256];
            (void)snprintf(path, sizeof path, "%s", json_string_value(member) + strlen("#/"));
            json_t *target = document;
            for (char *rest = path, *part = strsep(&rest, "/"); part != NULL;
                 part = strsep(&rest, "/")) {
                target = at(target, part);
            }
        }
        references_check(document, member);
    }
    if (json_is_array(value)) {
        json_array_foreach(value, i, member)
        {
            references_check(document, member);
        }
    }
}

/* Every reference leads somewhere. */
static void test_openapi_references_resolve(void **state)
{
    (void)state;
    json_t *document = document_load();
    references_check(document, document);
    json_decref(document);
}

/* An abort may carry any reason, and each abort tells the transaction's id in the header; so may a 500 and a 504 whose
 * outcome is unknown. */
static void test_openapi_answers_with_an_outcome_have_the_transaction_header(void **state)
{
    (void)state;
    json_t *document = document_load();
    json_t *operation = at(at(at(document, "paths"), "/v1/transactions"), "post");
    const char *status;
    json_t *response;
    json_object_foreach(at(operation, "responses"), status, response)
    {
        bool has_outcome = strcmp(status, "500") == 0 || strcmp(status, "504") == 0;
        for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
            const struct problem problem = {.kind = PROBLEM_REASON, .reason = (enum reason)reason};
            has_outcome = has_outcome || strtoul(status, NULL, 10) == problem_status(&problem);
        }
        const char *reference = json_string_value(json_object_get(response, "$ref"));
        if (!has_outcome || reference == NULL) {
            continue;
        }
        json_t *responses = at(at(document, "components"), "responses");
        json_t *shared = at(responses, strrchr(reference, '/') + 1);
        if (json_object_get(json_object_get(shared, "headers"), "Assent-Transaction") == NULL) {
            fail_msg("%s does not describe the header Assent-Transaction", status);
        }
    }
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openapi_is_served),
        cmocka_unit_test(test_openapi_describes_every_route),
        cmocka_unit_test(test_openapi_describes_nothing_else),
        cmocka_unit_test(test_openapi_lists_every_problem),
        cmocka_unit_test(test_openapi_lists_every_state),
        cmocka_unit_test(test_openapi_references_resolve),
        cmocka_unit_test(test_openapi_answers_with_an_outcome_have_the_transaction_header),
    };
    return cmocka_run_group_tests_name("http_openapi", tests, NULL, NULL);
}
