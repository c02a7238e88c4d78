/*
 * client.c - a client: draws a plan, submits it through libassent, writes down what it was told, and asks again
 * when it was told nothing. As many as the run wants, a thread and a connection each.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assent/assent.h"
#include "common/alloc.h"
#include "tests/lib/http.h"
#include "workload.h"

#define RETRIES_MAX      3 /* of a request without an answer, before it is left for the end */
#define RETRY_PAUSE_MS   100
#define REFUSED_PAUSE_MS 50   /* a client that is told "not now" */
#define REFUSED_MOST_MS  1000 /* however long the coordinator advises */

struct client {
    struct run *run;
    size_t index;
    pthread_t thread;
    struct random random;
    struct assent_client *connection;
    char name[16];
};

/* One submission and what became of it. */
struct submission {
    struct client *client;
    const struct plan *plan;
    int64_t sent_us;
    enum assent_outcome outcome; /* 0: no answer yet */
    bool retryable;
    uint32_t retry_after_ms;
};

/* --- writing down ----------------------------------------------------------------------------- */

/* ok, fail or unknown, as docs/HISTORY.md means them. A heuristic outcome is neither committed nor
 * aborted: what is where is for the databases to say. */
static const char *result_of(enum assent_outcome outcome)
{
    switch (outcome) {
    case ASSENT_COMMITTED:
        return "ok";
    case ASSENT_ABORTED:
    case ASSENT_UNAVAILABLE:
    case ASSENT_REFUSED:
        return "fail";
    case ASSENT_UNKNOWN:
    case ASSENT_NOT_FOUND:
    case ASSENT_ACTIVE:   /* of interactive transactions */
    case ASSENT_ACCEPTED: /* of requests that are to run later */
    case ASSENT_DEAD:
    case ASSENT_HEURISTIC:
        return "unknown";
    }
    return "unknown";
}

static uint64_t mix(uint64_t hash, const char *text)
{
    do {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    } while (*text++ != '\0');
    return hash;
}

/* All that the answer says of the transaction, but for what tells the present state. */
static void digest_answer(const struct run *run, const struct assent_answer *answer,
                          char ret_digest[24])
{
    uint64_t hash = mix(UINT64_C(14695981039346656037), assent_answer_id(answer));
    for (size_t db = 0; db < run->world.database_count; db++) {
        const struct assent_result *result;
        for (size_t i = 0; (result = assent_answer_result(answer, run->world.names[db], i)) != NULL;
             i++) {
            hash = mix(hash, assent_result_command(result));
            size_t rows = assent_result_row_count(result);
            size_t columns = assent_result_column_count(result);
            for (size_t cell = 0; cell < rows * columns; cell++) {
                const char *value = assent_result_value(result, cell / columns, cell % columns);
                hash = mix(hash, value == NULL ? "\x01" : value);
            }
        }
    }
    (void)snprintf(ret_digest, 24, "%016" PRIx64, hash);
}

static void set_text(json_t *line, const char *name, const char *text)
{
    if (text[0] != '\0') {
        (void)json_object_set_new(line, name, json_string(text));
    }
}

static void count_outcome(struct run *run, enum assent_outcome outcome)
{
    const char *result = result_of(outcome);
    atomic_fetch_add(result[0] == 'o'   ? &run->committed
                     : result[0] == 'f' ? &run->failed
                                        : &run->unknown,
                     1);
}

/* committed: what was read, where libassent told; else NULL. */
static json_t *begin_op(const struct submission *submission, const struct assent_answer *committed,
                        int64_t answered_us)
{
    struct run *run = submission->client->run;
    const struct plan *plan = submission->plan;
    json_t *line =
        json_pack("{s:s,s:I,s:s,s:s,s:s,s:s,s:I,s:I,s:o,s:s}", "type", "op", "i",
                  (json_int_t)atomic_fetch_add(&run->next_i, 1), "client", submission->client->name,
                  "workload", workload_code(plan->workload), "key", plan->key, "mode",
                  plan->locking ? "L" : "S", "t_inv", (json_int_t)submission->sent_us, "t_ret",
                  (json_int_t)answered_us, "ops", plan_ops(run, plan, committed), "result",
                  result_of(submission->outcome));
    if (plan->workload == WORKLOAD_DUPLICATES) {
        char digest[24];
        plan_digest(plan, digest);
        set_text(line, "body", digest);
    }
    return line;
}

static void write_op(const struct submission *submission, const struct assent_answer *answer,
                     int64_t answered_us)
{
    struct run *run = submission->client->run;
    bool committed = submission->outcome == ASSENT_COMMITTED;
    json_t *line = begin_op(submission, committed ? answer : NULL, answered_us);
    if (committed) {
        char digest[24];
        (void)json_object_set_new(line, "completed", json_boolean(assent_answer_completed(answer)));
        digest_answer(run, answer, digest);
        set_text(line, "answer", digest);
    } else {
        const char *reason = assent_answer_reason(answer);
        set_text(line, "error",
                 reason[0] != '\0' ? reason : assent_outcome_text(submission->outcome));
        set_text(line, "text", assent_answer_text(answer));
    }
    set_text(line, "txid", assent_answer_id(answer));
    history_write(run->history, line);
}

/* --- over HTTP --------------------------------------------------------------------------------- */

/* What was said, in libassent's words (docs/ERRORS.md). */
static enum assent_outcome http_outcome(int status, const json_t *body)
{
    const char *state = json_string_value(json_object_get(body, "state"));
    if (body == NULL || status == 500 || (state != NULL && strcmp(state, "unknown") == 0)) {
        return ASSENT_UNKNOWN;
    }
    if (state != NULL && strcmp(state, "heuristic") == 0) {
        return ASSENT_HEURISTIC;
    }
    if (status == 200 && state != NULL && strcmp(state, "committed") == 0) {
        return ASSENT_COMMITTED;
    }
    if (state != NULL && strcmp(state, "aborted") == 0) {
        return ASSENT_ABORTED;
    }
    return status >= 400 && state == NULL ? ASSENT_REFUSED : ASSENT_UNKNOWN;
}

/* The answer's words but for what tells the present state. */
static void digest_body(json_t *body, char ret_digest[24])
{
    (void)json_object_del(body, "completed");
    (void)json_object_del(body, "pending");
    char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    (void)snprintf(ret_digest, 24, "h%015" PRIx64,
                   mix(UINT64_C(14695981039346656037), text == NULL ? "" : text) >> 4);
    free(text);
}

static void write_http_op(const struct submission *submission, json_t *body, int64_t answered_us)
{
    json_t *line = begin_op(submission, NULL, answered_us);
    const char *id = json_string_value(json_object_get(body, "id"));
    const char *reason = json_string_value(json_object_get(body, "reason"));
    const char *detail = json_string_value(json_object_get(body, "detail"));
    if (submission->outcome == ASSENT_COMMITTED) {
        char digest[24];
        (void)json_object_set_new(line, "completed",
                                  json_boolean(json_is_true(json_object_get(body, "completed"))));
        digest_body(body, digest);
        set_text(line, "answer", digest);
    } else {
        set_text(line, "error", reason == NULL ? assent_outcome_text(submission->outcome) : reason);
        set_text(line, "text", detail == NULL ? "" : detail);
    }
    set_text(line, "txid", id == NULL ? "" : id);
    set_text(line, "via", "http");
    history_write(submission->client->run->history, line);
}

/* Where a plan reads nothing its results are of no interest, and plain HTTP serves as well. */
static void submit_http(struct client *client, struct plan *plan, struct submission *submission)
{
    struct run *run = client->run;
    char url[128], key[96];
    char *body = plan_body(run, plan);
    struct http_reply reply = {0};
    (void)snprintf(url, sizeof url, "http://%s/v1/transactions", run->world.http_address);
    (void)snprintf(key, sizeof key, "Idempotency-Key: %s", plan->key);
    const char *const headers[] = {"Content-Type: application/json", key, NULL};
    const struct http_request request = {
        .url = url, .headers = headers, .body = body, .timeout_ms = 2 * plan->timeout_ms + 5000};
    *submission = (struct submission){
        .client = client, .plan = plan, .sent_us = history_now_us(run->history)};
    bool answered = http_perform(&request, &reply, NULL);
    json_t *said = answered ? json_loads(reply.body, 0, NULL) : NULL;
    submission->outcome = http_outcome(reply.status, said);
    write_http_op(submission, said, history_now_us(run->history));
    count_outcome(run, submission->outcome);
    json_decref(said);
    if (answered) {
        http_reply_done(&reply);
    }
    free(body);
}

/* --- submitting ------------------------------------------------------------------------------- */

/* Called by assent_client_wait, on the client's own thread. */
static void take_answer(void *user, struct assent_answer *answer)
{
    struct submission *submission = user;
    submission->outcome = assent_answer_outcome(answer);
    submission->retryable = assent_answer_retryable(answer);
    submission->retry_after_ms = assent_answer_retry_after_ms(answer);
    write_op(submission, answer, history_now_us(submission->client->run->history));
    count_outcome(submission->client->run, submission->outcome);
    assent_answer_free(answer);
}

/* Sends the request so many times at once, and waits for all answers (each comes: the library has
 * deadlines of its own). */
static void submit(struct client *client, struct plan *plan, const struct assent_request *request,
                   struct submission *submissions, uint32_t copies)
{
    if (plan->over_http) {
        submit_http(client, plan, &submissions[0]);
        return;
    }
    for (uint32_t i = 0; i < copies; i++) {
        submissions[i] = (struct submission){
            .client = client, .plan = plan, .sent_us = history_now_us(client->run->history)};
        (void)assent_submit_async(client->connection, request, take_answer, &submissions[i]);
    }
    while (assent_client_in_flight(client->connection) > 0) {
        (void)assent_client_wait(client->connection, -1);
    }
}

static bool is_open(enum assent_outcome outcome)
{
    return outcome == ASSENT_UNKNOWN || outcome == ASSENT_NOT_FOUND;
}

/* The same request with the same key is safe; so ask until there is an answer, within reason. */
static void retry_open(struct client *client, struct plan *plan,
                       const struct assent_request *request)
{
    struct submission again;
    for (int i = 0; i < RETRIES_MAX; i++) {
        if (!run_pause(client->run, RETRY_PAUSE_MS)) {
            break;
        }
        submit(client, plan, request, &again, 1);
        if (again.outcome == ASSENT_COMMITTED || again.outcome == ASSENT_ABORTED) {
            return;
        }
    }
    open_keys_note(client->run, plan->key);
}

/* The key with another body: must be refused, whatever became of the first one... unless that one
 * failed, and the key is free. */
static void submit_other_body(struct client *client, const struct plan *plan)
{
    struct plan other = *plan;
    struct submission answer;
    for (size_t i = 0; i < other.micro_count; i++) {
        other.micros[i].v *= 2;
    }
    struct assent_request *request = plan_request(client->run, &other);
    submit(client, &other, request, &answer, 1);
    if (is_open(answer.outcome)) {
        open_keys_note(client->run, other.key);
    }
    assent_request_free(request);
}

static void run_plan(struct client *client, struct plan *plan)
{
    struct submission submissions[4];
    struct assent_request *request = plan_request(client->run, plan);
    uint32_t copies = plan->copies < 1 ? 1 : plan->copies > 4 ? 4 : plan->copies;
    submit(client, plan, request, submissions, copies);
    bool open = true;
    for (uint32_t i = 0; i < copies; i++) {
        open = open && submissions[i].outcome != ASSENT_COMMITTED &&
               submissions[i].outcome != ASSENT_ABORTED;
    }
    bool refused =
        submissions[0].outcome == ASSENT_REFUSED || submissions[0].outcome == ASSENT_UNAVAILABLE;
    if (open && !refused) {
        retry_open(client, plan, request);
    } else if (plan->again) {
        submit(client, plan, request, submissions, 1);
        open = is_open(submissions[0].outcome);
        if (open) {
            open_keys_note(client->run, plan->key);
        }
    }
    if (plan->other_body) {
        submit_other_body(client, plan);
    }
    if (refused) {
        uint32_t pause_ms = submissions[0].retry_after_ms;
        pause_ms = pause_ms < REFUSED_PAUSE_MS  ? REFUSED_PAUSE_MS
                   : pause_ms > REFUSED_MOST_MS ? REFUSED_MOST_MS
                                                : pause_ms;
        (void)run_pause(client->run, pause_ms);
    }
    assent_request_free(request);
}

static void *run_client(void *user)
{
    struct client *client = user;
    for (uint64_t number = 0; pace_wait(client->run); number++) {
        struct plan plan;
        plan_draw(client->run, &client->random, client->index, number, &plan);
        run_plan(client, &plan);
    }
    return NULL;
}

bool client_start(struct run *run, size_t index, struct client **ret_client,
                  struct error *ret_error)
{
    struct client *client = alloc_zeroed(sizeof *client);
    client->run = run;
    client->index = index;
    client->random = random_stream(run->options.seed, 1000 + index);
    (void)snprintf(client->name, sizeof client->name, "c%zu", index);
    int failure = assent_client_open(run->world.client_address, &client->connection);
    if (failure != ASSENT_OK) {
        free(client);
        return error_set(ret_error, ERROR_SYSTEM, "libassent: %s", assent_error_text(failure));
    }
    failure = pthread_create(&client->thread, NULL, run_client, client);
    if (failure != 0) {
        assent_client_close(client->connection);
        free(client);
        return error_set_errno(ret_error, ERROR_SYSTEM, failure, "cannot start a client");
    }
    *ret_client = client;
    return true;
}

void client_join(struct client *client)
{
    if (client == NULL) {
        return;
    }
    (void)pthread_join(client->thread, NULL);
    assent_client_close(client->connection);
    free(client);
}
