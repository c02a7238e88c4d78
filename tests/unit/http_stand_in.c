/*
 * http_stand_in.c - see http_stand_in.h.
 */
#include "tests/lib/test.h"

#include "tests/unit/http_stand_in.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/check.h"

#define RECEIVE_WAIT_MS 20000

enum { ITEM_CALL = 1, ITEM_RELEASE, ITEM_PUBLISH, ITEM_STOP };

struct publish_item {
    struct inbox_item item; /* first */
    struct stand_in_change change;
};

static void submission_keep(struct stand_in *stand_in, struct api_call *call)
{
    if (call->operation != API_SUBMIT) {
        return;
    }
    if (stand_in->has_submission) {
        submission_done(&stand_in->submission);
    }
    stand_in->submission = call->submission; /* taken, as the owner thread would */
    call->submission = (struct submission){0};
    stand_in->has_submission = true;
}

static void call_answer(struct stand_in *stand_in, struct api_call *call)
{
    stand_in->answer(call, stand_in->user);
    call->done(call);
}

static void on_call(struct stand_in *stand_in, struct api_call *call)
{
    CHECK(pthread_mutex_lock(&stand_in->lock) == 0);
    stand_in->call_count++;
    stand_in->list = call->list;
    stand_in->resolve = call->resolve;
    stand_in->gtrid = call->gtrid;
    stand_in->want_events = call->want_events;
    submission_keep(stand_in, call);
    const bool hold = stand_in->hold;
    if (hold) {
        call->item.next = stand_in->held;
        stand_in->held = &call->item;
        stand_in->held_count++;
    }
    CHECK(pthread_cond_broadcast(&stand_in->changed) == 0);
    CHECK(pthread_mutex_unlock(&stand_in->lock) == 0);
    if (!hold) {
        call_answer(stand_in, call);
    }
    CHECK(pthread_mutex_lock(&stand_in->lock) == 0);
    stand_in->answered_count += hold ? 0 : 1;
    CHECK(pthread_cond_broadcast(&stand_in->changed) == 0);
    CHECK(pthread_mutex_unlock(&stand_in->lock) == 0);
}

static struct blob *results_of(size_t size_bytes)
{
    char *text = alloc_zeroed(size_bytes + 1);
    memset(text, 'x', size_bytes);
    char *values[] = {text};
    static char name[] = "v";
    static char type[] = "text";
    static char command[] = "SELECT 1";
    struct result_column column = {.name = name, .type = type, .oid = 25};
    struct result result = {.command = command,
                            .rows_affected = 1,
                            .column_count = 1,
                            .columns = &column,
                            .row_count = 1,
                            .values = values};
    const struct results results = {.result_count = 1, .results = &result};
    struct blob *blob = results_encode(&results);
    free(text);
    return blob;
}

static void view_fill(const struct stand_in_change *change, struct txn_view *ret_view)
{
    *ret_view = (struct txn_view){.gtrid = stand_in_gtrid(change->sequence),
                                  .state = change->state,
                                  .completed = change->state == TXN_COMMITTED,
                                  .branch_count = 1,
                                  .branches = alloc_array(1, sizeof(struct branch_view))};
    ret_view->request.is_request = change->run_sequence != 0;
    ret_view->request.has_run = change->run_sequence != 0;
    ret_view->request.run = stand_in_gtrid(change->run_sequence);
    struct branch_view *branch = &ret_view->branches[0];
    branch->state = BRANCH_WORKING;
    (void)snprintf(branch->participant, sizeof branch->participant, "%s",
                   change->participant == NULL ? "order" : change->participant);
    branch->results = change->result_bytes == 0 ? NULL : results_of(change->result_bytes);
}

static void on_publish(struct stand_in *stand_in, const struct publish_item *item)
{
    stand_in->published_state =
        item->change.run_state != 0 ? item->change.run_state : item->change.state;
    if (http_wants_changes(stand_in->http)) {
        struct txn_view view;
        view_fill(&item->change, &view);
        http_publish(stand_in->http, &view);
    }
    CHECK(pthread_mutex_lock(&stand_in->lock) == 0);
    stand_in->published_count++;
    CHECK(pthread_cond_broadcast(&stand_in->changed) == 0);
    CHECK(pthread_mutex_unlock(&stand_in->lock) == 0);
}

void stand_in_publish(struct stand_in *stand_in, const struct stand_in_change *change)
{
    struct publish_item *item = alloc_zeroed(sizeof *item);
    item->item.kind = ITEM_PUBLISH;
    item->change = *change;
    assert_int_equal(pthread_mutex_lock(&stand_in->lock), 0);
    const size_t wanted = stand_in->published_count + 1;
    inbox_post(stand_in->inbox, &item->item);
    while (stand_in->published_count < wanted) {
        assert_int_equal(pthread_cond_wait(&stand_in->changed, &stand_in->lock), 0);
    }
    assert_int_equal(pthread_mutex_unlock(&stand_in->lock), 0);
}

void stand_in_answer_published(struct api_call *call, void *user)
{
    const struct stand_in *stand_in = user;
    const struct stand_in_change change = {.sequence = call->gtrid.sequence,
                                           .state = stand_in->published_state};
    call->answer.status = API_OK;
    call->answer.view_count = 1;
    call->answer.views = alloc_array(1, sizeof *call->answer.views);
    view_fill(&change, &call->answer.views[0]);
}

static void on_release(struct stand_in *stand_in)
{
    CHECK(pthread_mutex_lock(&stand_in->lock) == 0);
    struct inbox_item *held = stand_in->held;
    stand_in->held = NULL;
    stand_in->held_count = 0;
    CHECK(pthread_mutex_unlock(&stand_in->lock) == 0);
    while (held != NULL) {
        struct inbox_item *next = held->next;
        call_answer(stand_in, (struct api_call *)held);
        held = next;
    }
}

static void *stand_in_run(void *user)
{
    struct stand_in *stand_in = user;
    _Static_assert(offsetof(struct api_call, item) == 0, "items are calls");
    for (;;) {
        struct inbox_item *item = inbox_take(stand_in->inbox, UINT64_MAX);
        while (item != NULL) {
            struct inbox_item *next = item->next;
            const int kind = item->kind;
            if (kind == ITEM_CALL) {
                on_call(stand_in, (struct api_call *)item);
            } else if (kind == ITEM_PUBLISH) {
                on_publish(stand_in, (struct publish_item *)item);
                free(item);
            } else {
                free(item);
            }
            if (kind == ITEM_RELEASE) {
                on_release(stand_in);
            }
            if (kind == ITEM_STOP) {
                return NULL;
            }
            item = next;
        }
    }
}

static void on_post(void *user, struct api_call *call)
{
    struct stand_in *stand_in = user;
    call->item.kind = ITEM_CALL;
    inbox_post(stand_in->inbox, &call->item);
}

static void item_post(struct stand_in *stand_in, int kind)
{
    struct inbox_item *item = alloc_zeroed(sizeof *item);
    item->kind = kind;
    inbox_post(stand_in->inbox, item);
}

void stand_in_start(struct stand_in *stand_in, const struct http_options *options,
                    void (*answer)(struct api_call *call, void *user), void *user)
{
    *stand_in = (struct stand_in){.answer = answer, .user = user};
    assert_int_equal(pthread_mutex_init(&stand_in->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&stand_in->changed, NULL), 0);
    stand_in->inbox = inbox_new();
    struct http_options effective = options == NULL ? (struct http_options){0} : *options;
    effective.listen = effective.listen == NULL ? "127.0.0.1:0" : effective.listen;
    effective.version = "test";
    effective.sink = (struct api_sink){.user = stand_in, .post = on_post};
    struct error error = {0};
    assert_success(http_start(&effective, &stand_in->http, &error), &error);
    stand_in->port = http_port(stand_in->http);
    assert_int_equal(pthread_create(&stand_in->thread, NULL, stand_in_run, stand_in), 0);
}

void stand_in_stop_http(struct stand_in *stand_in)
{
    http_stop(stand_in->http);
    stand_in->http = NULL;
}

void stand_in_stop(struct stand_in *stand_in)
{
    stand_in_stop_http(stand_in);
    item_post(stand_in, ITEM_RELEASE);
    item_post(stand_in, ITEM_STOP);
    assert_int_equal(pthread_join(stand_in->thread, NULL), 0);
    inbox_free(stand_in->inbox);
    if (stand_in->has_submission) {
        submission_done(&stand_in->submission);
    }
    (void)pthread_cond_destroy(&stand_in->changed);
    (void)pthread_mutex_destroy(&stand_in->lock);
}

void stand_in_hold(struct stand_in *stand_in, bool hold)
{
    assert_int_equal(pthread_mutex_lock(&stand_in->lock), 0);
    stand_in->hold = hold;
    assert_int_equal(pthread_mutex_unlock(&stand_in->lock), 0);
}

void stand_in_wait_held(struct stand_in *stand_in, size_t count)
{
    assert_int_equal(pthread_mutex_lock(&stand_in->lock), 0);
    while (stand_in->held_count < count) {
        assert_int_equal(pthread_cond_wait(&stand_in->changed, &stand_in->lock), 0);
    }
    assert_int_equal(pthread_mutex_unlock(&stand_in->lock), 0);
}

void stand_in_wait_answered(struct stand_in *stand_in, size_t count)
{
    assert_int_equal(pthread_mutex_lock(&stand_in->lock), 0);
    while (stand_in->answered_count < count) {
        assert_int_equal(pthread_cond_wait(&stand_in->changed, &stand_in->lock), 0);
    }
    assert_int_equal(pthread_mutex_unlock(&stand_in->lock), 0);
}

void stand_in_release(struct stand_in *stand_in)
{
    item_post(stand_in, ITEM_RELEASE);
}

struct gtrid stand_in_gtrid(uint64_t sequence)
{
    struct gtrid gtrid = {.epoch = 3, .epoch_nonce = 0x0123456789abcdef, .sequence = sequence};
    memset(gtrid.journal.bytes, 0xab, sizeof gtrid.journal.bytes);
    return gtrid;
}

const char *stand_in_gtrid_text(uint64_t sequence)
{
    static char text[GTRID_TEXT_SIZE];
    const struct gtrid gtrid = stand_in_gtrid(sequence);
    gtrid_format(&gtrid, text);
    return text;
}

void stand_in_answer_committed(struct api_call *call, void *user)
{
    (void)user;
    call->answer.status = API_OK;
    call->answer.view_count = 1;
    call->answer.views = alloc_array(1, sizeof *call->answer.views);
    struct txn_view *view = &call->answer.views[0];
    view->gtrid = stand_in_gtrid(7);
    view->state = TXN_COMMITTED;
    view->completed = true;
}

/* Plain sockets */

int wire_connect(uint16_t port)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

bool wire_try_send(int fd, const char *bytes, size_t size_bytes)
{
    size_t sent = 0;
    while (sent < size_bytes) {
        const ssize_t result = send(fd, bytes + sent, size_bytes - sent, MSG_NOSIGNAL);
        if (result <= 0) {
            return false;
        }
        sent += (size_t)result;
    }
    return true;
}

void wire_send(int fd, const char *bytes, size_t size_bytes)
{
    assert_true(wire_try_send(fd, bytes, size_bytes));
}

/* One byte-wise chunk; false at the end. */
static bool wire_read(int fd, char *bytes, size_t size_bytes)
{
    size_t got = 0;
    while (got < size_bytes) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, RECEIVE_WAIT_MS) <= 0) {
            fail_msg("no answer in time");
        }
        const ssize_t result = recv(fd, bytes + got, size_bytes - got, 0);
        if (result <= 0) {
            return false;
        }
        got += (size_t)result;
    }
    return true;
}

static bool wire_receive_header(int fd, struct wire_reply *reply, size_t *ret_header_bytes)
{
    size_t used = 0;
    reply->text = alloc_zeroed(65536);
    while (used < 65535) {
        if (!wire_read(fd, reply->text + used, 1)) {
            return false;
        }
        used++;
        if (used >= 4 && memcmp(reply->text + used - 4, "\r\n\r\n", 4) == 0) {
            *ret_header_bytes = used;
            return sscanf(reply->text, "HTTP/1.1 %d", &reply->status) == 1;
        }
    }
    return false;
}

const char *wire_header(const struct wire_reply *reply, const char *name)
{
    static char value[512];
    const size_t length = strlen(name);
    for (const char *line = strstr(reply->text, "\r\n"); line != NULL && line[2] != '\r';
         line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, length) == 0 && line[2 + length] == ':') {
            const char *start = line + 3 + length + strspn(line + 3 + length, " ");
            (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(start, "\r"), start);
            return value;
        }
    }
    return NULL;
}

bool wire_receive(int fd, struct wire_reply *ret_reply)
{
    struct wire_reply reply = {0};
    size_t header_bytes = 0;
    do {
        free(reply.text);
        reply.text = NULL;
        if (!wire_receive_header(fd, &reply, &header_bytes)) {
            free(reply.text);
            return false;
        }
    } while (reply.status == 100);
    const char *length = wire_header(&reply, "Content-Length");
    reply.body_bytes = length == NULL ? 0 : (size_t)strtoul(length, NULL, 10);
    reply.text = alloc_resize(reply.text, header_bytes + reply.body_bytes + 1, 1);
    reply.text[header_bytes] = '\0';
    if (!wire_read(fd, reply.text + header_bytes, reply.body_bytes)) {
        free(reply.text);
        return false;
    }
    reply.text[header_bytes + reply.body_bytes] = '\0';
    reply.body = reply.text + header_bytes;
    *ret_reply = reply;
    return true;
}

bool wire_is_closed(int fd)
{
    char bytes[4096];
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, RECEIVE_WAIT_MS) <= 0) {
            return false;
        }
        if (recv(fd, bytes, sizeof bytes, 0) <= 0) {
            return true;
        }
    }
}

void wire_reply_done(struct wire_reply *reply)
{
    free(reply->text);
    *reply = (struct wire_reply){0};
}

void wire_request(uint16_t port, const char *method, const char *path, const char *headers,
                  const char *body, size_t body_bytes, struct wire_reply *ret_reply)
{
    char *head = NULL;
    char length[64] = "";
    if (body != NULL) {
        (void)snprintf(length, sizeof length, "Content-Length: %zu\r\n", body_bytes);
    }
    const bool has_host = strcasestr(headers, "host:") != NULL;
    const int head_bytes = asprintf(&head, "%s %s HTTP/1.1\r\n%s%s%s\r\n", method, path,
                                    has_host ? "" : "Host: localhost\r\n", headers, length);
    assert_true(head_bytes > 0);
    const int fd = wire_connect(port);
    wire_send(fd, head, (size_t)head_bytes);
    if (body != NULL) {
        (void)wire_try_send(fd, body, body_bytes);
    }
    assert_true(wire_receive(fd, ret_reply));
    assert_int_equal(close(fd), 0);
    free(head);
}

void wire_post(uint16_t port, const char *path, const char *headers, const char *body,
               struct wire_reply *ret_reply)
{
    char *all = NULL;
    assert_true(asprintf(&all, "Content-Type: application/json\r\n%s", headers) > 0);
    wire_request(port, "POST", path, all, body, strlen(body), ret_reply);
    free(all);
}

void wire_get(uint16_t port, const char *path, struct wire_reply *ret_reply)
{
    wire_request(port, "GET", path, "", NULL, 0, ret_reply);
}

void assert_problem(const struct wire_reply *reply, int status, const char *slug)
{
    char type[128];
    (void)snprintf(type, sizeof type, "{\"type\":\"urn:assent:problem:%s\",", slug);
    if (reply->status != status || strncmp(reply->body, type, strlen(type)) != 0) {
        fail_msg("wanted %d %s, got %d %s", status, slug, reply->status, reply->body);
    }
    assert_string_equal(wire_header(reply, "Content-Type"), "application/problem+json");
}
