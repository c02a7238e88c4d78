/*
 * reader.c - the outside reader who looks at several databases again and again, while others work (kit.h).
 *
 * It has nothing but libpq: a connection to each database, one plain statement in each, sent to all of them before the first
 * answer is read. No snapshot covers more than one database, so a look may see one of them a moment before another; that is what
 * any reader outside sees, and what the scenarios count.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "examples/scenarios/kit/kit.h"

struct reader {
    struct kit *kit;
    const struct reader_question *questions;
    size_t count;
    uint64_t every_ms;
    void (*see)(void *context, PGresult *const *answers, uint64_t now_us);
    void *context;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_over; /* under the mutex */
    PGresult **answers;
};

/* All questions are under way before the first answer is awaited. False: one of the databases is away. */
static bool look_once(struct reader *reader)
{
    bool is_whole = true;
    for (size_t i = 0; i < reader->count; i++) {
        char *why = NULL;
        PGconn *connection = database_thread(reader->kit, reader->questions[i].participant, &why);
        is_whole = connection != NULL && PQsendQuery(connection, reader->questions[i].sql) == 1 &&
                   is_whole;
        free(why);
    }
    for (size_t i = 0; i < reader->count; i++) {
        char *why = NULL;
        PGconn *connection = database_thread(reader->kit, reader->questions[i].participant, &why);
        PGresult *answer = connection != NULL ? PQgetResult(connection) : NULL;
        for (PGresult *more = answer; more != NULL; more = PQgetResult(connection)) {
            if (more != answer) {
                PQclear(more);
            }
        }
        is_whole = PQresultStatus(answer) == PGRES_TUPLES_OK && is_whole;
        reader->answers[i] = answer;
        free(why);
    }
    return is_whole;
}

/* Until the next look is due. False: there is none. */
static bool await_turn(struct reader *reader)
{
    const uint64_t next_ms = kit_now_ms() + reader->every_ms;
    const struct timespec next = {.tv_sec = (time_t)(next_ms / 1000),
                                  .tv_nsec = (long)(next_ms % 1000) * 1000000};
    pthread_mutex_lock(&reader->mutex);
    while (!reader->is_over && kit_now_ms() < next_ms) {
        (void)pthread_cond_timedwait(&reader->changed, &reader->mutex, &next);
    }
    const bool goes_on = !reader->is_over;
    pthread_mutex_unlock(&reader->mutex);
    return goes_on;
}

static void *reader_main(void *argument)
{
    struct reader *reader = argument;
    do {
        if (look_once(reader)) {
            reader->see(reader->context, reader->answers, kit_now_us());
        }
        for (size_t i = 0; i < reader->count; i++) {
            PQclear(reader->answers[i]);
        }
    } while (await_turn(reader));
    return NULL;
}

struct reader *reader_start(struct kit *kit, const struct reader_question *questions, size_t count,
                            uint64_t every_ms,
                            void (*see)(void *context, PGresult *const *answers, uint64_t now_us),
                            void *context)
{
    struct reader *reader = calloc(1, sizeof *reader);
    pthread_condattr_t attributes;
    if (reader == NULL) {
        abort();
    }
    *reader = (struct reader){.kit = kit,
                              .questions = questions,
                              .count = count,
                              .every_ms = every_ms,
                              .see = see,
                              .context = context};
    reader->answers = calloc(count, sizeof(PGresult *));
    if (reader->answers == NULL) {
        abort();
    }
    pthread_mutex_init(&reader->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&reader->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    const int failed = pthread_create(&reader->thread, NULL, reader_main, reader);
    if (failed != 0) {
        kit_give_up(kit, EX_OSERR, NULL, "a thread: %s", strerror(failed));
    }
    return reader;
}

void reader_stop(struct reader *reader)
{
    pthread_mutex_lock(&reader->mutex);
    reader->is_over = true;
    pthread_cond_signal(&reader->changed);
    pthread_mutex_unlock(&reader->mutex);
    pthread_join(reader->thread, NULL);
    pthread_cond_destroy(&reader->changed);
    pthread_mutex_destroy(&reader->mutex);
    free(reader->answers);
    free(reader);
}
