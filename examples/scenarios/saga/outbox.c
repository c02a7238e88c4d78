/*
 * outbox.c - what carries the saga's messages (checkout.h).
 *
 * Each service's database has an outbox, written by the same local transaction as the work. Relays take a message from it, hand it to
 * the recipient's handler, and delete it when the handler's own transaction has committed. A relay that dies in between delivers
 * again: at least once, and the inbox makes that once.
 *
 * All of this is as quick as it can be, so that the comparison is a hard one: no broker lies between outbox and consumer, a handler is
 * one round trip, the deletion is not synced (if it is lost the message comes twice), relays are woken through memory, and all are
 * connected before the first message comes.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "examples/scenarios/saga/checkout.h"

#define WORKERS 8 /* of each outbox */
#define IDLE_MS                                                                                    \
    100 /* between looks at an outbox that nobody has written to, for messages that are due again */
#define ATTEMPTS_MAX 10000
#define EMPTY_MS     30000
#define TAKE                                                                                       \
    "BEGIN; SET LOCAL synchronous_commit = off;"                                                   \
    "DELETE FROM outbox WHERE id = (SELECT id FROM outbox WHERE due <= now() ORDER BY id LIMIT 1"  \
    " FOR UPDATE SKIP LOCKED) RETURNING id, recipient, kind, body, attempts"
#define POSTPONE                                                                                   \
    "UPDATE outbox SET attempts = attempts + 1,"                                                   \
    " due = now() + least(attempts + 1, 10) * interval '20 ms' WHERE id = $1"

struct relay {
    struct outbox *outbox;
    const char *participant;
    pthread_cond_t changed;
    uint64_t written; /* messages that no worker has looked for yet; under the mutex */
    bool is_stopped;  /* the same */
    pthread_t workers[WORKERS];
};

struct outbox {
    struct kit *kit;
    const struct handler *handlers;
    size_t handler_count;
    void (*ended)(void *context, const char *body, enum outcome outcome);
    void *context;
    pthread_mutex_t mutex;
    bool is_over; /* under the mutex */
    sem_t connected;
    size_t relay_count;
    struct relay relays[];
};

static struct relay *find_relay(struct outbox *outbox, const char *participant)
{
    for (size_t i = 0; i < outbox->relay_count; i++) {
        if (strcmp(outbox->relays[i].participant, participant) == 0) {
            return &outbox->relays[i];
        }
    }
    abort(); /* no such service */
}

static const struct handler *find_handler(const struct outbox *outbox, const char *recipient,
                                          const char *kind)
{
    for (size_t i = 0; i < outbox->handler_count; i++) {
        const struct handler *handler = &outbox->handlers[i];
        if (strcmp(handler->recipient, recipient) == 0 && strcmp(handler->kind, kind) == 0) {
            return handler;
        }
    }
    abort(); /* no service sends that */
}

static void wake(struct relay *relay)
{
    pthread_mutex_lock(&relay->outbox->mutex);
    relay->written++;
    pthread_cond_signal(&relay->changed);
    pthread_mutex_unlock(&relay->outbox->mutex);
}

static bool is_stopped(struct relay *relay)
{
    pthread_mutex_lock(&relay->outbox->mutex);
    const bool stopped = relay->is_stopped;
    pthread_mutex_unlock(&relay->outbox->mutex);
    return stopped;
}

/* What failed may go well later: the server went away, or two transactions were in each other's way. Anything else is a mistake that
 * repetition does not mend; a service would put the message aside for a person. */
static void judge_failure(const struct outbox *outbox, PGconn *connection, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const bool is_transient = PQstatus(connection) != CONNECTION_OK || sqlstate == NULL ||
                              strncmp(sqlstate, "40", 2) == 0 || strncmp(sqlstate, "53", 2) == 0 ||
                              strncmp(sqlstate, "55", 2) == 0 || strncmp(sqlstate, "57", 2) == 0;
    if (!is_transient) {
        kit_give_up(outbox->kit, EX_SOFTWARE, NULL, "the saga's statement: %s",
                    PQerrorMessage(connection));
    }
}

/* One statement in a service's database, over this thread's connection. */
static bool run_once(const struct outbox *outbox, const char *participant, const char *sql,
                     size_t param_count, const char *const *params)
{
    char *why = NULL;
    PGconn *connection = database_thread(outbox->kit, participant, &why);
    free(why);
    if (connection == NULL) {
        return false;
    }
    PGresult *result = PQexecParams(connection, sql, (int)param_count, NULL, params, NULL, NULL, 0);
    const bool is_done = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!is_done) {
        judge_failure(outbox, connection, result);
    }
    PQclear(result);
    return is_done;
}

/* The recipient's local transaction. */
static bool deliver(struct relay *relay, const PGresult *message)
{
    struct outbox *outbox = relay->outbox;
    struct relay *recipient = find_relay(outbox, PQgetvalue(message, 0, 1));
    const struct handler *handler =
        find_handler(outbox, recipient->participant, PQgetvalue(message, 0, 2));
    const char *body = PQgetvalue(message, 0, 3);
    if (is_stopped(recipient)) {
        return false;
    }
    char *number = kit_text("%s-%s", relay->participant, PQgetvalue(message, 0, 0));
    const bool is_done = run_once(outbox, recipient->participant, handler->sql, 2,
                                  (const char *const[]){number, body});
    free(number);
    if (is_done && handler->is_last) {
        outbox->ended(outbox->context, body, handler->outcome);
    } else if (is_done) {
        wake(recipient);
    }
    return is_done;
}

/* The message stays where it is, for later. */
static void postpone(struct relay *relay, PGconn *source, const PGresult *message)
{
    PQclear(PQexec(source, "ROLLBACK"));
    if (strtoull(PQgetvalue(message, 0, 4), NULL, 10) >= ATTEMPTS_MAX) {
        kit_give_up(relay->outbox->kit, EX_UNAVAILABLE, NULL, "a message cannot be delivered to %s",
                    PQgetvalue(message, 0, 1));
    }
    /* If this fails the message is due at once, which does no harm. */
    (void)run_once(relay->outbox, relay->participant, POSTPONE, 1,
                   (const char *const[]){PQgetvalue(message, 0, 0)});
}

/* False: there is none that is due, or the database is away. */
static bool forward_one(struct relay *relay)
{
    char *why = NULL;
    PGconn *source = database_thread(relay->outbox->kit, relay->participant, &why);
    free(why);
    if (source == NULL) {
        return false;
    }
    PGresult *message = PQexec(source, TAKE);
    const bool is_taken = PQresultStatus(message) == PGRES_TUPLES_OK && PQntuples(message) == 1;
    if (!is_taken) {
        PQclear(PQexec(source, "ROLLBACK"));
    } else if (deliver(relay, message)) {
        PQclear(PQexec(source, "COMMIT"));
    } else {
        postpone(relay, source, message);
    }
    PQclear(message);
    return is_taken;
}

/* Until something was written, or it is time to look again. False: it is over. */
static bool await_work(struct relay *relay)
{
    struct outbox *outbox = relay->outbox;
    const uint64_t until_ms = kit_now_ms() + IDLE_MS;
    const struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                                   .tv_nsec = (long)(until_ms % 1000) * 1000000};
    int waited = 0;
    pthread_mutex_lock(&outbox->mutex);
    while (!outbox->is_over && (relay->is_stopped || (relay->written == 0 && waited == 0))) {
        waited = relay->is_stopped
                     ? pthread_cond_wait(&relay->changed, &outbox->mutex)
                     : pthread_cond_timedwait(&relay->changed, &outbox->mutex, &until);
    }
    relay->written -= relay->written > 0 ? 1 : 0;
    const bool goes_on = !outbox->is_over;
    pthread_mutex_unlock(&outbox->mutex);
    return goes_on;
}

static void *relay_main(void *argument)
{
    struct relay *relay = argument;
    struct outbox *outbox = relay->outbox;
    for (size_t i = 0; i < outbox->relay_count; i++) {
        char *why = NULL; /* what is not there now is connected when it is needed */
        (void)database_thread(outbox->kit, outbox->relays[i].participant, &why);
        free(why);
    }
    sem_post(&outbox->connected);
    while (await_work(relay)) {
        bool is_found = true;
        while (is_found && !is_stopped(relay)) { /* as many as there are */
            is_found = forward_one(relay);
        }
    }
    return NULL;
}

static void start_workers(struct relay *relay)
{
    for (size_t i = 0; i < WORKERS; i++) {
        const int failed = pthread_create(&relay->workers[i], NULL, relay_main, relay);
        if (failed != 0) {
            kit_give_up(relay->outbox->kit, EX_OSERR, NULL, "a thread: %s", strerror(failed));
        }
    }
}

static void init_relay(struct outbox *outbox, size_t index)
{
    struct relay *relay = &outbox->relays[index];
    pthread_condattr_t attributes;
    *relay = (struct relay){.outbox = outbox,
                            .is_stopped = true,
                            .participant = outbox->kit->scenario->schemas[index].participant};
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&relay->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

struct outbox *outbox_open(struct kit *kit, const struct handler *handlers, size_t count,
                           void (*ended)(void *context, const char *body, enum outcome outcome),
                           void *context)
{
    const size_t relay_count = kit->scenario->schema_count;
    struct outbox *outbox = calloc(1, sizeof *outbox + relay_count * sizeof(struct relay));
    if (outbox == NULL) {
        abort();
    }
    *outbox = (struct outbox){.kit = kit,
                              .handlers = handlers,
                              .handler_count = count,
                              .ended = ended,
                              .context = context,
                              .relay_count = relay_count};
    pthread_mutex_init(&outbox->mutex, NULL);
    if (sem_init(&outbox->connected, 0, 0) != 0) {
        abort();
    }
    for (size_t i = 0; i < relay_count; i++) {
        init_relay(outbox, i);
    }
    for (size_t i = 0; i < relay_count; i++) { /* they wake each other */
        start_workers(&outbox->relays[i]);
    }
    for (size_t i = 0; i < relay_count * WORKERS; i++) {
        while (sem_wait(&outbox->connected) != 0) { /* a signal */
        }
    }
    return outbox;
}

void outbox_send(struct kit *kit, struct outbox *outbox, const char *participant, const char *sql,
                 size_t param_count, const char *const *params)
{
    struct relay *relay = find_relay(outbox, participant);
    for (unsigned int attempt = 0;; attempt++) {
        if (!is_stopped(relay) && run_once(outbox, participant, sql, param_count, params)) {
            wake(relay);
            return;
        }
        kit_pause(kit, attempt, 0, "the service is away");
    }
}

void outbox_stop(struct outbox *outbox, const char *participant)
{
    struct relay *relay = find_relay(outbox, participant);
    pthread_mutex_lock(&outbox->mutex);
    relay->is_stopped = true;
    pthread_mutex_unlock(&outbox->mutex);
}

void outbox_start(struct outbox *outbox, const char *participant)
{
    struct relay *relay = find_relay(outbox, participant);
    pthread_mutex_lock(&outbox->mutex);
    relay->is_stopped = false;
    relay->written += WORKERS; /* whatever has come together meanwhile */
    pthread_cond_broadcast(&relay->changed);
    pthread_mutex_unlock(&outbox->mutex);
}

/* A message that has been handled may still be there, to be delivered once more. */
void outbox_drain(struct outbox *outbox)
{
    for (size_t i = 0; i < outbox->relay_count; i++) {
        (void)database_await(outbox->kit, outbox->relays[i].participant,
                             "SELECT count(*) FROM outbox", "0", EMPTY_MS);
    }
}

void outbox_close(struct outbox *outbox)
{
    pthread_mutex_lock(&outbox->mutex);
    outbox->is_over = true;
    for (size_t i = 0; i < outbox->relay_count; i++) {
        pthread_cond_broadcast(&outbox->relays[i].changed);
    }
    pthread_mutex_unlock(&outbox->mutex);
    for (size_t i = 0; i < outbox->relay_count; i++) {
        for (size_t j = 0; j < WORKERS; j++) {
            pthread_join(outbox->relays[i].workers[j], NULL);
        }
        pthread_cond_destroy(&outbox->relays[i].changed);
    }
    sem_destroy(&outbox->connected);
    pthread_mutex_destroy(&outbox->mutex);
    free(outbox);
}
