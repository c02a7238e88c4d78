/*
 * fuzz_http_json.c - any bytes as a request body, a resolution or an Idempotency-Key header.
 *
 * The first byte chooses. Beyond "no crash, no leak" it holds the parser to its promises: what is accepted is
 * within the limits and free of NUL, the same bytes have the same hash, and what is refused is explained by a
 * problem document that is itself valid JSON.
 */
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/work.h"
#include "coordinator/http_submit.h"
#include "tests/fuzz/fuzz.h"

static const struct http_limits limits = {.body_bytes = 1 << 20,
                                          .branches = 4,
                                          .statements = 8,
                                          .timeout_default_ms = 5000,
                                          .timeout_max_ms = 60000};

static void check_problem(const struct problem *problem)
{
    const unsigned status = problem_status(problem);
    CHECK(status >= 400 && status < 500);
    CHECK(problem->detail[0] != '\0');
    struct text body = {0};
    problem_render(problem, &body);
    struct json_document *document = NULL;
    struct error error = {0};
    CHECK(json_document_parse((const uint8_t *)body.bytes, body.size_bytes, &document, &error));
    json_document_free(document);
    text_done(&body);
}

static void check_branch(const struct submission_branch *branch, size_t *statement_count)
{
    CHECK(participant_name_valid(branch->participant));
    struct work work;
    struct error error = {0};
    CHECK(work_decode(branch->work, &work, &error));
    CHECK(work.statement_count > 0);
    *statement_count += work.statement_count;
    work_done(&work);
}

static void fuzz_submit(const uint8_t *body, size_t size_bytes)
{
    struct submission first;
    struct submission second;
    struct problem problem = {0};
    if (!submit_parse(&limits, NULL, body, size_bytes, &first, &problem)) {
        check_problem(&problem);
        return;
    }
    CHECK(first.branch_count > 0 && first.branch_count <= limits.branches);
    CHECK(first.timeout_ms > 0 && first.timeout_ms <= limits.timeout_max_ms);
    CHECK(strlen(first.key) == first.key_bytes && first.key_bytes <= KEY_MAX_BYTES);
    size_t statement_count = 0;
    for (size_t i = 0; i < first.branch_count; i++) {
        check_branch(&first.branches[i], &statement_count);
    }
    CHECK(statement_count <= limits.statements);
    CHECK(submit_parse(&limits, NULL, body, size_bytes, &second, &problem));
    CHECK(memcmp(first.body_hash, second.body_hash, BODY_HASH_BYTES) == 0);
    submission_done(&first);
    submission_done(&second);
}

static void fuzz_resolve(const uint8_t *body, size_t size_bytes)
{
    struct api_resolve resolve;
    struct problem problem = {0};
    if (!resolve_parse(body, size_bytes, &resolve, &problem)) {
        check_problem(&problem);
        return;
    }
    CHECK(resolve.action >= RESOLVE_COMMIT && resolve.action <= RESOLVE_FORGET);
    CHECK(participant_name_valid(resolve.participant));
    CHECK(resolve.comment[0] != '\0');
}

static void fuzz_key(const uint8_t *bytes, size_t size_bytes)
{
    char value[1024];
    const size_t length = size_bytes < sizeof value - 1 ? size_bytes : sizeof value - 1;
    memcpy(value, bytes, length);
    value[length] = '\0';
    char key[KEY_MAX_BYTES + 1];
    size_t key_bytes = 0;
    struct problem problem = {0};
    if (!key_header_parse(value, key, &key_bytes, &problem)) {
        check_problem(&problem);
        return;
    }
    CHECK(key_bytes >= 1 && key_bytes <= KEY_MAX_BYTES && strlen(key) == key_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    if (size_bytes == 0) {
        return 0;
    }
    /* A JSON body starts with '{' or white space: those go whole to the parser, so that seeds are plain files. */
    switch (data[0]) {
    case 'R':
        fuzz_resolve(data + 1, size_bytes - 1);
        break;
    case 'K':
        fuzz_key(data + 1, size_bytes - 1);
        break;
    default:
        fuzz_submit(data, size_bytes);
        break;
    }
    return 0;
}
