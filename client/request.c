/* request.c - building a request (assent.h, "Requests"). Values only; nothing is sent from here. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "client/internal.h"
#include "common/alloc.h"
#include "common/check.h"
#include "common/sql_text.h"

#define REQUEST_STATEMENT_MAX 100000
#define REQUEST_PARAM_MAX     65535 /* PostgreSQL's own */
#define REQUEST_TIMEOUT_MS    5000

/* The first error sticks: later adds would only hide it. */
static int request_fail(struct assent_request *request, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int request_fail(struct assent_request *request, int error, const char *format, ...)
{
    if (request->error == ASSENT_OK) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(request->error_text, sizeof request->error_text, format, arguments);
        va_end(arguments);
        request->error = error;
    }
    return error;
}

/* 128 random bits: two requests never share a key by accident. */
static void request_draw_key(struct assent_request *request)
{
    uint8_t random[16];
    CHECK(getrandom(random, sizeof random, 0) == (ssize_t)sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        snprintf(request->key + 2 * i, 3, "%02x", random[i]);
    }
}

struct assent_request *assent_request_new(void)
{
    struct assent_request *request = alloc_zeroed(sizeof *request);
    request->timeout_ms = REQUEST_TIMEOUT_MS;
    request_draw_key(request);
    return request;
}

void assent_request_free(struct assent_request *request)
{
    if (request == NULL) {
        return;
    }
    for (size_t i = 0; i < request->branch_count; i++) {
        work_done(&request->branches[i].work);
    }
    free(request->branches);
    free(request);
}

/* Finds or makes a participant's branch; NULL after request_fail. */
static struct request_branch *request_branch(struct assent_request *request,
                                             const char *participant)
{
    if (participant == NULL || !participant_name_valid(participant)) {
        request_fail(request, ASSENT_E_ARGUMENT, "\"%.80s\" cannot be a participant's name",
                     participant != NULL ? participant : "");
        return NULL;
    }
    for (size_t i = 0; i < request->branch_count; i++) {
        if (strcmp(request->branches[i].participant, participant) == 0) {
            return &request->branches[i];
        }
    }
    if (request->branch_count == REQUEST_BRANCH_MAX) {
        request_fail(request, ASSENT_E_LIMIT, "more than %d branches", REQUEST_BRANCH_MAX);
        return NULL;
    }
    request->branches =
        alloc_resize(request->branches, request->branch_count + 1, sizeof *request->branches);
    struct request_branch *branch = &request->branches[request->branch_count++];
    *branch = (struct request_branch){0};
    snprintf(branch->participant, sizeof branch->participant, "%s", participant);
    return branch;
}

static bool text_is_valid(const char *text)
{
    return unpack_utf8_is_valid(text, strlen(text));
}

static int request_check_statement(struct assent_request *request, const char *sql,
                                   size_t param_count, const char *const *params,
                                   int64_t expect_rows)
{
    if (sql == NULL || !text_is_valid(sql)) {
        return request_fail(request, ASSENT_E_ARGUMENT,
                            "a statement's text is missing or not UTF-8");
    }
    if (sql_is_blank(sql)) {
        return request_fail(request, ASSENT_E_ARGUMENT, "a statement's text has no command");
    }
    if (param_count > REQUEST_PARAM_MAX) {
        return request_fail(request, ASSENT_E_LIMIT, "more than %d parameters", REQUEST_PARAM_MAX);
    }
    if (param_count > 0 && params == NULL) {
        return request_fail(request, ASSENT_E_ARGUMENT, "parameters are missing");
    }
    if (expect_rows < ASSENT_ANY_ROWS) {
        return request_fail(request, ASSENT_E_ARGUMENT, "expect_rows is negative");
    }
    for (size_t i = 0; i < param_count; i++) {
        if (params[i] != NULL && !text_is_valid(params[i])) {
            return request_fail(request, ASSENT_E_ARGUMENT, "parameter %zu is not UTF-8", i + 1);
        }
    }
    return ASSENT_OK;
}

/* A new statement at the end of a participant's branch; NULL after request_fail. */
static struct statement *request_statement(struct assent_request *request, const char *participant)
{
    struct request_branch *branch = request_branch(request, participant);
    if (branch == NULL) {
        return NULL;
    }
    struct work *work = &branch->work;
    if (work->statement_count == REQUEST_STATEMENT_MAX) {
        request_fail(request, ASSENT_E_LIMIT, "more than %d statements", REQUEST_STATEMENT_MAX);
        return NULL;
    }
    work->statements =
        alloc_resize(work->statements, work->statement_count + 1, sizeof *work->statements);
    return &work->statements[work->statement_count++];
}

int assent_request_add(struct assent_request *request, const char *participant, const char *sql,
                       size_t param_count, const char *const *params, int64_t expect_rows)
{
    int result = request_check_statement(request, sql, param_count, params, expect_rows);
    if (result != ASSENT_OK) {
        return result;
    }
    struct statement *statement = request_statement(request, participant);
    if (statement == NULL) {
        return request->error;
    }
    *statement = (struct statement){
        .sql = alloc_string(sql), .param_count = param_count, .expect_rows = expect_rows};
    if (param_count > 0) {
        statement->params = alloc_array(param_count, sizeof *statement->params);
        for (size_t i = 0; i < param_count; i++) {
            statement->params[i] = alloc_string(params[i]);
        }
    }
    return ASSENT_OK;
}

static int request_check_args(struct assent_request *request, size_t text_count,
                              const char *const *args)
{
    if (text_count % 2 != 0) {
        return request_fail(request, ASSENT_E_ARGUMENT,
                            "arguments are a name and a value in turn, and %zu is odd", text_count);
    }
    if (text_count / 2 > OPERATION_ARGS_MAX) {
        return request_fail(request, ASSENT_E_LIMIT, "more than %d arguments", OPERATION_ARGS_MAX);
    }
    for (size_t i = 0; i < text_count; i += 2) {
        if (args[i] == NULL || args[i][0] == 0) {
            return request_fail(request, ASSENT_E_ARGUMENT, "an argument has no name");
        }
    }
    return ASSENT_OK;
}

int assent_request_add_operation(struct assent_request *request, const char *participant,
                                 const char *operation, size_t text_count, const char *const *args,
                                 int64_t expect_rows)
{
    /* The texts have the same rules as SQL and its parameters. */
    int result = request_check_statement(request, operation, text_count, args, expect_rows);
    if (result == ASSENT_OK) {
        result = request_check_args(request, text_count, args);
    }
    if (result != ASSENT_OK) {
        return result;
    }
    struct statement *statement = request_statement(request, participant);
    if (statement == NULL) {
        return request->error;
    }
    const size_t count = text_count / 2;
    *statement = (struct statement){.operation = alloc_string(operation),
                                    .param_count = count,
                                    .arg_names = alloc_array(count, sizeof *statement->arg_names),
                                    .params = alloc_array(count, sizeof *statement->params),
                                    .expect_rows = expect_rows};
    for (size_t i = 0; i < count; i++) {
        statement->arg_names[i] = alloc_string(args[2 * i]);
        statement->params[i] = alloc_string(args[2 * i + 1]);
    }
    return statement_sort_args(statement)
               ? ASSENT_OK
               : request_fail(request, ASSENT_E_ARGUMENT, "an argument is given twice");
}

int assent_request_set_isolation(struct assent_request *request, const char *participant,
                                 enum assent_isolation isolation)
{
    if (isolation < ASSENT_READ_COMMITTED || isolation > ASSENT_SERIALIZABLE) {
        return request_fail(request, ASSENT_E_ARGUMENT, "unknown isolation");
    }
    struct request_branch *branch = request_branch(request, participant);
    if (branch == NULL) {
        return request->error;
    }
    branch->isolation = isolation;
    return ASSENT_OK;
}

int assent_request_set_read_only(struct assent_request *request, const char *participant,
                                 bool read_only)
{
    struct request_branch *branch = request_branch(request, participant);
    if (branch == NULL) {
        return request->error;
    }
    branch->read_only = read_only;
    return ASSENT_OK;
}

int assent_request_set_key(struct assent_request *request, const char *key)
{
    if (key == NULL) {
        request->key[0] = 0;
        return ASSENT_OK;
    }
    const size_t key_bytes = strlen(key);
    if (key_bytes == 0 || key_bytes > REQUEST_KEY_MAX_BYTES || !text_is_valid(key)) {
        return request_fail(request, ASSENT_E_ARGUMENT, "a key has 1 to %d bytes of UTF-8",
                            REQUEST_KEY_MAX_BYTES);
    }
    memcpy(request->key, key, key_bytes + 1);
    return ASSENT_OK;
}

const char *assent_request_key(const struct assent_request *request)
{
    return request->key[0] != 0 ? request->key : NULL;
}

int assent_request_set_timeout_ms(struct assent_request *request, uint32_t ms)
{
    if (ms == 0 || ms > 24u * 3600 * 1000) {
        return request_fail(request, ASSENT_E_ARGUMENT, "a timeout is 1 ms to a day");
    }
    request->timeout_ms = ms;
    return ASSENT_OK;
}

int assent_request_set_ack(struct assent_request *request, enum assent_ack ack)
{
    if (ack != ASSENT_ACK_COMPLETED && ack != ASSENT_ACK_DECIDED) {
        return request_fail(request, ASSENT_E_ARGUMENT, "unknown ack");
    }
    request->ack = ack;
    return ASSENT_OK;
}

int assent_request_set_later(struct assent_request *request, bool later)
{
    request->is_later = later;
    if (!later) {
        request->queue[0] = 0;
    }
    return ASSENT_OK;
}

int assent_request_set_queue(struct assent_request *request, const char *queue)
{
    if (queue == NULL) {
        request->queue[0] = 0;
        return ASSENT_OK;
    }
    if (!queue_name_valid(queue)) {
        return request_fail(request, ASSENT_E_ARGUMENT,
                            "a queue's name has 1 to %d of A-Z, a-z, 0-9, \".\", \"_\", \":\" and "
                            "\"-\"",
                            QUEUE_NAME_SIZE - 1);
    }
    request->is_later = true;
    memcpy(request->queue, queue, strlen(queue) + 1);
    return ASSENT_OK;
}
