/*
 * client.c - the public calls on a client: submitting, asking, dispatching (assent.h).
 *
 * Completed exchanges are queued by nng's threads (or the timer's) and turned into answers by the caller's: a
 * synchronous call waits for its own, dispatch takes the queue of the asynchronous ones,
 * whose eventfd is readable while it holds something. Callbacks never run with the lock held.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/connection.h"
#include "client/exchange.h"
#include "client/timer.h"
#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"

#define CLIENT_URL_SIZE           300
#define CLIENT_IN_FLIGHT_MAX      1000
#define CLIENT_CONNECT_TIMEOUT_MS 2000

struct assent_client {
    char url[CLIENT_URL_SIZE];
    struct connection *connection;
    struct timer *timer;
    int event_fd;
    pthread_mutex_t lock; /* guards everything below, and exchanges' is_done */
    uint32_t connect_timeout_ms;
    struct exchange *free_first;
    struct exchange *all_first;
    bool is_closing;
    size_t in_flight;            /* asynchronous ones, until their callback ran */
    struct exchange *done_first; /* asynchronous ones, in the order of their answers */
    struct exchange **done_link;
};

/* HOST:PORT or tcp://HOST:PORT. nng checks the rest. */
static bool client_url(const char *address, char ret_url[CLIENT_URL_SIZE])
{
    if (address == NULL) {
        address = CLIENT_DEFAULT_ADDRESS;
    }
    static const char scheme[] = "tcp://";
    if (strncmp(address, scheme, sizeof scheme - 1) == 0) {
        address += sizeof scheme - 1;
    }
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || colon[1] == 0 || strchr(address, '/') != NULL) {
        return false;
    }
    const int size = snprintf(ret_url, CLIENT_URL_SIZE, "%s%s", scheme, address);
    return size > 0 && size < CLIENT_URL_SIZE;
}

/* What a client has of the system; nothing of it where it fails. */
static int client_equip(struct assent_client *client)
{
    client->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (client->event_fd < 0) {
        return ASSENT_E_SYSTEM;
    }
    int result = connection_take(client->url, &client->connection);
    if (result == ASSENT_OK && !timer_start(client->connection, &client->timer)) {
        connection_park(client->connection);
        result = ASSENT_E_SYSTEM;
    }
    if (result != ASSENT_OK) {
        close(client->event_fd);
    }
    return result;
}

int assent_client_open(const char *address, struct assent_client **ret_client)
{
    struct assent_client *client = alloc_zeroed(sizeof *client);
    const int result = client_url(address, client->url) ? client_equip(client) : ASSENT_E_ARGUMENT;
    if (result != ASSENT_OK) {
        free(client);
        return result;
    }
    CHECK(pthread_mutex_init(&client->lock, NULL) == 0);
    client->connect_timeout_ms = CLIENT_CONNECT_TIMEOUT_MS;
    client->done_link = &client->done_first;
    *ret_client = client;
    return ASSENT_OK;
}

void assent_client_close(struct assent_client *client)
{
    if (client == NULL) {
        return;
    }
    /* A callback that submits from now on is told that it cannot. */
    pthread_mutex_lock(&client->lock);
    client->is_closing = true;
    pthread_mutex_unlock(&client->lock);
    /* Closing an exchange completes it, so that afterwards every accepted request is in the queue.
     */
    struct exchange *next = NULL;
    for (struct exchange *exchange = client->all_first; exchange != NULL; exchange = next) {
        next = exchange->next_of_all;
        exchange_close(exchange);
    }
    (void)assent_client_dispatch(client);
    for (struct exchange *exchange = client->all_first; exchange != NULL; exchange = next) {
        next = exchange->next_of_all;
        pthread_cond_destroy(&exchange->wake);
        free(exchange);
    }
    timer_stop(client->timer);
    connection_park(client->connection);
    close(client->event_fd);
    pthread_mutex_destroy(&client->lock);
    free(client);
}

int assent_client_set_connect_timeout_ms(struct assent_client *client, uint32_t ms)
{
    if (ms == 0 || ms > 3600000) {
        return ASSENT_E_ARGUMENT;
    }
    pthread_mutex_lock(&client->lock);
    client->connect_timeout_ms = ms;
    pthread_mutex_unlock(&client->lock);
    return ASSENT_OK;
}

/* A free exchange or a new one; NULL if the system gives no more. */
static struct exchange *client_take_exchange(struct assent_client *client,
                                             uint32_t *ret_connect_timeout_ms)
{
    pthread_mutex_lock(&client->lock);
    *ret_connect_timeout_ms = client->connect_timeout_ms;
    const bool is_closing = client->is_closing;
    struct exchange *exchange = is_closing ? NULL : client->free_first;
    if (exchange != NULL) {
        client->free_first = exchange->next;
    }
    pthread_mutex_unlock(&client->lock);
    if (exchange != NULL || is_closing) {
        return exchange;
    }
    exchange = alloc_zeroed(sizeof *exchange);
    exchange->client = client;
    if (exchange_open(client->connection, client->timer, exchange) != ASSENT_OK) {
        free(exchange);
        return NULL;
    }
    CHECK(pthread_cond_init(&exchange->wake, NULL) == 0);
    pthread_mutex_lock(&client->lock);
    exchange->next_of_all = client->all_first;
    client->all_first = exchange;
    pthread_mutex_unlock(&client->lock);
    return exchange;
}

static void client_give_exchange(struct assent_client *client, struct exchange *exchange)
{
    pthread_mutex_lock(&client->lock);
    exchange->next = client->free_first;
    client->free_first = exchange;
    pthread_mutex_unlock(&client->lock);
}

/* Decodes what came; false if no answer of this protocol did, with *ret_answer what to say instead.
 */
static bool exchange_decode(struct exchange *exchange, struct wire_answer *ret_wire,
                            struct assent_answer **ret_answer)
{
    const enum assent_outcome lost = exchange->is_submit ? ASSENT_UNKNOWN : ASSENT_UNAVAILABLE;
    bool decoded = false;
    switch (exchange->result) {
    case EXCHANGE_ANSWERED:
        decoded =
            wire_decode(nng_msg_body(exchange->message), nng_msg_len(exchange->message), ret_wire);
        nng_msg_free(exchange->message);
        exchange->message = NULL;
        if (!decoded) {
            *ret_answer = answer_new(lost, "malformed",
                                     "the coordinator's answer is not "
                                     "understood: another release?");
        }
        break;
    case EXCHANGE_NOT_SENT:
        *ret_answer = answer_new(ASSENT_UNAVAILABLE, "coordinator_unavailable",
                                 "no connection to the coordinator");
        (*ret_answer)->retryable = true;
        break;
    case EXCHANGE_LOST:
        *ret_answer =
            answer_new(lost, exchange->is_timeout ? "no_answer" : "connection_lost",
                       exchange->is_timeout ? "no answer within the time"
                                            : "the connection was lost before the answer came");
        (*ret_answer)->retryable = true;
        break;
    }
    return decoded;
}

static struct assent_answer *exchange_answer(struct exchange *exchange)
{
    struct wire_answer wire;
    struct assent_answer *answer = NULL;
    if (exchange_decode(exchange, &wire, &answer)) {
        answer = wire_to_answer(&wire, exchange->is_submit);
    }
    return answer;
}

static void client_done_sync(struct exchange *exchange)
{
    struct assent_client *client = exchange->client;
    pthread_mutex_lock(&client->lock);
    exchange->is_done = true;
    pthread_cond_signal(&exchange->wake);
    pthread_mutex_unlock(&client->lock);
}

static void client_done_async(struct exchange *exchange)
{
    struct assent_client *client = exchange->client;
    const uint64_t one = 1;
    pthread_mutex_lock(&client->lock);
    exchange->next = NULL;
    *client->done_link = exchange;
    client->done_link = &exchange->next;
    /* Cannot fail: the counter is far from its end. Under the lock, so that close cannot overtake
     * it. */
    (void)!write(client->event_fd, &one, sizeof one);
    pthread_mutex_unlock(&client->lock);
}

/* Runs one exchange and waits for it. Takes the pack's contents. NULL if the system gave none. */
static struct exchange *client_exchange(struct assent_client *client, struct pack *pack,
                                        bool is_submit, uint32_t answer_timeout_ms)
{
    uint32_t connect_timeout_ms = 0;
    struct exchange *exchange = client_take_exchange(client, &connect_timeout_ms);
    if (exchange == NULL) {
        pack_done(pack);
        return NULL;
    }
    exchange->done = client_done_sync;
    exchange->is_submit = is_submit;
    exchange->is_done = false;
    exchange_start(exchange, pack, connect_timeout_ms, answer_timeout_ms);
    pthread_mutex_lock(&client->lock);
    while (!exchange->is_done) {
        pthread_cond_wait(&exchange->wake, &client->lock);
    }
    pthread_mutex_unlock(&client->lock);
    return exchange;
}

static struct assent_answer *answer_no_resources(void)
{
    return answer_new(ASSENT_UNAVAILABLE, "system", assent_error_text(ASSENT_E_SYSTEM));
}

/* NULL if a frame can carry it. A larger one would cost the whole connection, and its other requests their answers. Takes the
 * pack's contents where it cannot. */
static struct assent_answer *pack_check(struct pack *pack)
{
    if (pack->size_bytes <= CLIENT_REQUEST_FRAME_MAX_BYTES) {
        return NULL;
    }
    pack_done(pack);
    return answer_new(ASSENT_REFUSED, "limit", "the request is larger than 4 MiB");
}

struct assent_answer *client_ask(struct assent_client *client, struct pack *pack, bool is_submit,
                                 uint32_t answer_timeout_ms)
{
    struct assent_answer *refusal = pack_check(pack);
    if (refusal != NULL) {
        return refusal;
    }
    struct exchange *exchange = client_exchange(client, pack, is_submit, answer_timeout_ms);
    if (exchange == NULL) {
        return answer_no_resources();
    }
    struct assent_answer *answer = exchange_answer(exchange);
    client_give_exchange(client, exchange);
    return answer;
}

/* Encodes, or says why the request cannot be sent at all (ASSENT_REFUSED). */
static struct assent_answer *request_encode(const struct assent_request *request,
                                            struct pack *ret_pack)
{
    if (request->error != ASSENT_OK) {
        return answer_new(ASSENT_REFUSED, "malformed", request->error_text);
    }
    if (request->branch_count == 0) {
        return answer_new(ASSENT_REFUSED, "malformed", "the request has no statements");
    }
    for (size_t i = 0; i < request->branch_count; i++) {
        if (request->branches[i].work.statement_count == 0) {
            return answer_new(ASSENT_REFUSED, "malformed", "a branch has no statements");
        }
    }
    struct pack pack = {0};
    wire_encode_submit(&pack, request);
    struct assent_answer *refusal = pack_check(&pack);
    if (refusal == NULL) {
        *ret_pack = pack;
    }
    return refusal;
}

/* The coordinator answers within the decision's deadline and as long again for completion. */
static uint32_t request_answer_timeout_ms(const struct assent_request *request)
{
    return request->timeout_ms * 2 + CLIENT_ANSWER_EXTRA_MS;
}

struct assent_answer *assent_submit(struct assent_client *client,
                                    const struct assent_request *request)
{
    struct pack pack = {0};
    struct assent_answer *refusal = request_encode(request, &pack);
    if (refusal != NULL) {
        return refusal;
    }
    return client_ask(client, &pack, true, request_answer_timeout_ms(request));
}

static bool client_enter(struct assent_client *client)
{
    pthread_mutex_lock(&client->lock);
    const bool has_room = client->in_flight < CLIENT_IN_FLIGHT_MAX;
    client->in_flight += has_room ? 1 : 0;
    pthread_mutex_unlock(&client->lock);
    return has_room;
}

static void client_leave(struct assent_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->in_flight--;
    pthread_mutex_unlock(&client->lock);
}

int assent_submit_async(struct assent_client *client, const struct assent_request *request,
                        assent_callback callback, void *user)
{
    if (callback == NULL || request->error != ASSENT_OK) {
        return callback == NULL ? ASSENT_E_ARGUMENT : request->error;
    }
    if (!client_enter(client)) {
        return ASSENT_E_BUSY;
    }
    struct pack pack = {0};
    struct assent_answer *refusal = request_encode(request, &pack);
    if (refusal != NULL) {
        assent_answer_free(refusal);
        client_leave(client);
        return ASSENT_E_ARGUMENT;
    }
    uint32_t connect_timeout_ms = 0;
    struct exchange *exchange = client_take_exchange(client, &connect_timeout_ms);
    if (exchange == NULL) {
        pack_done(&pack);
        client_leave(client);
        return ASSENT_E_SYSTEM;
    }
    exchange->done = client_done_async;
    exchange->is_submit = true;
    exchange->callback = callback;
    exchange->user = user;
    exchange_start(exchange, &pack, connect_timeout_ms, request_answer_timeout_ms(request));
    return ASSENT_OK;
}

int assent_client_fd(const struct assent_client *client)
{
    return client->event_fd;
}

size_t assent_client_dispatch(struct assent_client *client)
{
    uint64_t count = 0;
    pthread_mutex_lock(&client->lock);
    struct exchange *exchange = client->done_first;
    client->done_first = NULL;
    client->done_link = &client->done_first;
    (void)!read(client->event_fd, &count, sizeof count);
    pthread_mutex_unlock(&client->lock);
    size_t ran = 0;
    while (exchange != NULL) {
        struct exchange *next = exchange->next;
        struct assent_answer *answer = exchange_answer(exchange);
        const assent_callback callback = exchange->callback;
        void *user = exchange->user;
        client_give_exchange(client, exchange);
        client_leave(client);
        callback(user, answer);
        ran++;
        exchange = next;
    }
    return ran;
}

size_t assent_client_in_flight(const struct assent_client *client)
{
    struct assent_client *writable = (struct assent_client *)(uintptr_t)client;
    pthread_mutex_lock(&writable->lock);
    const size_t in_flight = client->in_flight;
    pthread_mutex_unlock(&writable->lock);
    return in_flight;
}

size_t assent_client_wait(struct assent_client *client, int timeout_ms)
{
    const uint64_t until_ms = clock_monotonic_ms() + (timeout_ms > 0 ? (uint64_t)timeout_ms : 0);
    for (;;) {
        const size_t ran = assent_client_dispatch(client);
        if (ran > 0 || assent_client_in_flight(client) == 0) {
            return ran;
        }
        int left_ms = -1;
        if (timeout_ms >= 0) {
            const uint64_t now_ms = clock_monotonic_ms();
            left_ms = now_ms < until_ms ? (int)(until_ms - now_ms) : 0;
        }
        struct pollfd ready = {.fd = client->event_fd, .events = POLLIN};
        const int result = poll(&ready, 1, left_ms);
        if (result == 0 || (result < 0 && errno != EINTR)) {
            return 0;
        }
    }
}

/* NULL if it can be asked for. */
static struct assent_answer *check_name(const char *what)
{
    return what == NULL || what[0] == 0 || !unpack_utf8_is_valid(what, strlen(what))
               ? answer_new(ASSENT_REFUSED, "malformed", "an id or key is empty or not UTF-8")
               : NULL;
}

static struct assent_answer *client_status(struct assent_client *client, const char *id,
                                           const char *key)
{
    struct assent_answer *refusal = check_name(id != NULL ? id : key);
    if (refusal != NULL) {
        return refusal;
    }
    struct pack pack = {0};
    wire_encode_get(&pack, id, key);
    return client_ask(client, &pack, false, CLIENT_QUESTION_MS);
}

struct assent_answer *assent_status(struct assent_client *client, const char *id)
{
    return client_status(client, id, NULL);
}

struct assent_answer *assent_status_by_key(struct assent_client *client, const char *key)
{
    return client_status(client, NULL, key);
}

struct assent_answer *assent_wait(struct assent_client *client, const char *id, enum assent_ack ack,
                                  uint32_t timeout_ms)
{
    struct assent_answer *refusal = check_name(id);
    if (refusal != NULL) {
        return refusal;
    }
    if (timeout_ms > CLIENT_WAIT_MAX_MS) {
        return answer_new(ASSENT_REFUSED, "limit", "a wait is at most 60000 ms");
    }
    struct pack pack = {0};
    wire_encode_wait(&pack, id, ack, timeout_ms);
    return client_ask(client, &pack, false, timeout_ms + CLIENT_ANSWER_EXTRA_MS);
}

/* A question whose answer is a list. True with *ret_wire filled, or an explanation in ret_error. */
static bool client_ask_list(struct assent_client *client, struct pack *pack,
                            struct wire_answer *ret_wire, char ret_error[ANSWER_TEXT_SIZE])
{
    struct assent_answer *answer = pack_check(pack);
    struct exchange *exchange =
        answer == NULL ? client_exchange(client, pack, false, CLIENT_QUESTION_MS) : NULL;
    if (exchange == NULL) {
        answer = answer != NULL ? answer : answer_no_resources();
    } else {
        const bool decoded = exchange_decode(exchange, ret_wire, &answer);
        client_give_exchange(client, exchange);
        if (decoded && ret_wire->status == CLIENT_OK) {
            return true;
        }
        if (decoded) {
            answer = wire_to_answer(ret_wire, false);
        }
    }
    snprintf(ret_error, ANSWER_TEXT_SIZE, "%s", assent_answer_text(answer));
    assent_answer_free(answer);
    return false;
}

struct assent_list *assent_list_transactions(struct assent_client *client,
                                             const struct assent_filter *filter)
{
    static const struct assent_filter everything = {0};
    struct assent_list *list = alloc_zeroed(sizeof *list);
    struct pack pack = {0};
    struct wire_answer wire;
    wire_encode_list(&pack, filter != NULL ? filter : &everything);
    if (client_ask_list(client, &pack, &wire, list->error)) {
        list->count = wire.transaction_count;
        list->answers = wire.transactions;
        list->next = wire.next;
        wire.transaction_count = 0;
        wire.transactions = NULL;
        wire.next = NULL;
        wire_answer_done(&wire);
    }
    return list;
}

struct assent_participants *assent_participants_get(struct assent_client *client)
{
    struct assent_participants *participants = alloc_zeroed(sizeof *participants);
    struct pack pack = {0};
    struct wire_answer wire;
    wire_encode_participants(&pack);
    if (client_ask_list(client, &pack, &wire, participants->error)) {
        participants->count = wire.participant_count;
        participants->items = wire.participants;
        wire.participant_count = 0;
        wire.participants = NULL;
        wire_answer_done(&wire);
    }
    return participants;
}
