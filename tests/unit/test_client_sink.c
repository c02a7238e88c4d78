/* test_client_sink.c - see test_client_sink.h. */
#include "tests/unit/test_client_sink.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/work.h"

#define SINK_KEPT_MAX 4096

struct sink {
    sink_answer answer;
    void *user;
    struct inbox *inbox;
    pthread_t thread;
    struct client_edge *edge;
    char address[64];
    pthread_mutex_t lock;
    pthread_cond_t came;
    size_t count;
    size_t kept_count;
    struct api_call *kept[SINK_KEPT_MAX];
};

enum { SINK_CALL = 1, SINK_CHANGE, SINK_STOP };

struct sink_change {
    struct inbox_item item; /* first */
    struct txn_view view;
};

static void sink_post(void *user, struct api_call *call)
{
    struct sink *sink = user;
    call->item.kind = SINK_CALL;
    inbox_post(sink->inbox, &call->item);
}

static void sink_handle(struct sink *sink, struct api_call *call)
{
    call->answer.status = API_OK;
    const bool is_answered = sink->answer(sink->user, call);
    pthread_mutex_lock(&sink->lock);
    sink->count++;
    if (!is_answered) {
        CHECK(sink->kept_count < SINK_KEPT_MAX);
        sink->kept[sink->kept_count++] = call;
    }
    pthread_cond_broadcast(&sink->came);
    pthread_mutex_unlock(&sink->lock);
    if (is_answered) {
        call->done(call);
    }
}

static void *sink_run(void *user)
{
    struct sink *sink = user;
    for (;;) {
        struct inbox_item *item = inbox_take(sink->inbox, UINT64_MAX);
        while (item != NULL) {
            struct inbox_item *next = item->next;
            if (item->kind == SINK_STOP) {
                free(item);
                return NULL;
            }
            if (item->kind == SINK_CHANGE) {
                client_edge_publish(sink->edge, &((struct sink_change *)item)->view);
                free(item);
                item = next;
                continue;
            }
            sink_handle(sink, (struct api_call *)((char *)item - offsetof(struct api_call, item)));
            item = next;
        }
    }
}

struct sink *sink_new(sink_answer answer, void *user, const struct client_edge_options *options,
                      uint16_t port)
{
    struct sink *sink = alloc_zeroed(sizeof *sink);
    sink->answer = answer;
    sink->user = user;
    sink->inbox = inbox_new();
    CHECK(pthread_mutex_init(&sink->lock, NULL) == 0);
    CHECK(pthread_cond_init(&sink->came, NULL) == 0);
    CHECK(pthread_create(&sink->thread, NULL, sink_run, sink) == 0);
    char listen[32];
    snprintf(listen, sizeof listen, "127.0.0.1:%u", port);
    struct client_edge_options own = {0};
    if (options != NULL) {
        own = *options;
    }
    own.listen = listen;
    own.sink = (struct api_sink){.user = sink, .post = sink_post};
    struct error error = {0};
    if (!client_edge_start(&own, &sink->edge, &error)) {
        fprintf(stderr, "%s\n", error.text);
        CHECK(false);
    }
    snprintf(sink->address, sizeof sink->address, "127.0.0.1:%u", client_edge_port(sink->edge));
    return sink;
}

const char *sink_address(const struct sink *sink)
{
    return sink->address;
}

struct client_edge *sink_edge(struct sink *sink)
{
    return sink->edge;
}

size_t sink_call_count(struct sink *sink)
{
    pthread_mutex_lock(&sink->lock);
    const size_t count = sink->count;
    pthread_mutex_unlock(&sink->lock);
    return count;
}

void sink_wait_calls(struct sink *sink, size_t count)
{
    pthread_mutex_lock(&sink->lock);
    while (sink->count < count) {
        pthread_cond_wait(&sink->came, &sink->lock);
    }
    pthread_mutex_unlock(&sink->lock);
}

void sink_publish(struct sink *sink, const struct txn_view *view)
{
    struct sink_change *change = alloc_zeroed(sizeof *change);
    change->item.kind = SINK_CHANGE;
    change->view.gtrid = view->gtrid;
    change->view.state = view->state;
    change->view.request = view->request;
    inbox_post(sink->inbox, &change->item);
}

size_t sink_release(struct sink *sink)
{
    size_t released = 0;
    for (;;) {
        pthread_mutex_lock(&sink->lock);
        struct api_call *call = sink->kept_count > 0 ? sink->kept[--sink->kept_count] : NULL;
        pthread_mutex_unlock(&sink->lock);
        if (call == NULL) {
            return released;
        }
        released++;
        if (call->operation == API_SUBMIT) {
            sink_answer_commit(call);
        }
        call->done(call);
    }
}

void sink_free(struct sink *sink)
{
    sink_release(sink);
    client_edge_stop(sink->edge, 5000); /* first: what it still receives needs answers */
    struct inbox_item *stop = alloc_zeroed(sizeof *stop);
    stop->kind = SINK_STOP;
    inbox_post(sink->inbox, stop);
    pthread_join(sink->thread, NULL);
    inbox_free(sink->inbox);
    pthread_mutex_destroy(&sink->lock);
    pthread_cond_destroy(&sink->came);
    free(sink);
}

/* One row per statement: its SQL's bytes count, its parameter count, a NULL. */
static struct blob *sink_results(const struct blob *blob)
{
    struct work work;
    struct error error;
    CHECK(work_decode(blob, &work, &error));
    struct results results = {.result_count = work.statement_count};
    results.results = alloc_array(work.statement_count, sizeof *results.results);
    for (size_t i = 0; i < work.statement_count; i++) {
        struct result *result = &results.results[i];
        char number[32];
        *result = (struct result){.command = alloc_string("SELECT 1"),
                                  .rows_affected = 1,
                                  .column_count = 3,
                                  .row_count = 1};
        result->columns = alloc_array(3, sizeof *result->columns);
        static const char *const names[] = {"sql", "params", "nothing"};
        for (size_t k = 0; k < 3; k++) {
            result->columns[k] = (struct result_column){
                .name = alloc_string(names[k]), .type = alloc_string("text"), .oid = 25};
        }
        result->values = alloc_array(3, sizeof *result->values);
        result->values[0] = alloc_string(work.statements[i].sql);
        snprintf(number, sizeof number, "%zu", work.statements[i].param_count);
        result->values[1] = alloc_string(number);
    }
    struct blob *encoded = results_encode(&results);
    results_done(&results);
    work_done(&work);
    return encoded;
}

void sink_answer_commit(struct api_call *call)
{
    const struct submission *submission = &call->submission;
    struct txn_view *view = alloc_zeroed(sizeof *view);
    view->gtrid.epoch = 1;
    view->gtrid.sequence = 7;
    view->state = TXN_COMMITTED;
    view->completed = true;
    view->key_bytes = submission->key_bytes;
    memcpy(view->key, submission->key, sizeof view->key);
    view->branch_count = submission->branch_count;
    view->branches = alloc_array(submission->branch_count, sizeof *view->branches);
    for (size_t i = 0; i < submission->branch_count; i++) {
        memcpy(view->branches[i].participant, submission->branches[i].participant,
               PARTICIPANT_NAME_SIZE);
        view->branches[i].state = BRANCH_COMMITTED;
        view->branches[i].results = sink_results(submission->branches[i].work);
    }
    call->answer.status = API_OK;
    call->answer.view_count = 1;
    call->answer.views = view;
}
