/*
 * open_keys.c - keys whose requests got no answer: asked for later, by key. See run.h.
 *
 * Not at once: a request may still be on its way, held somewhere. And not only at the end: of a run of days
 * assentd has forgotten the first day by then (retention).
 */
#include <pthread.h>
#include <stdlib.h>

#include "assent/assent.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "run.h"

struct open_key {
    char *text;
    uint64_t noted_ms;
    bool settled;
};

struct open_keys {
    pthread_mutex_t lock;
    size_t count, capacity;
    struct open_key *items; /* in the order of their times */
};

struct open_keys *open_keys_new(void)
{
    struct open_keys *keys = alloc_zeroed(sizeof *keys);
    (void)pthread_mutex_init(&keys->lock, NULL);
    return keys;
}

void open_keys_free(struct open_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        free(keys->items[i].text);
    }
    free(keys->items);
    (void)pthread_mutex_destroy(&keys->lock);
    free(keys);
}

void open_keys_note(struct run *run, const char *key)
{
    struct open_keys *keys = run->open_keys;
    (void)pthread_mutex_lock(&keys->lock);
    if (keys->count == keys->capacity) {
        keys->capacity = keys->capacity == 0 ? 64 : 2 * keys->capacity;
        keys->items = alloc_resize(keys->items, keys->capacity, sizeof keys->items[0]);
    }
    keys->items[keys->count++] =
        (struct open_key){.text = alloc_string(key), .noted_ms = clock_monotonic_ms()};
    (void)pthread_mutex_unlock(&keys->lock);
}

/* The text of the oldest key from *from on that is old enough; NULL: none. Lent: nobody else removes keys. */
static const char *next_key(struct open_keys *keys, uint64_t least_age_ms, size_t from)
{
    const char *text = NULL;
    uint64_t now_ms = clock_monotonic_ms();
    (void)pthread_mutex_lock(&keys->lock);
    if (from < keys->count && now_ms - keys->items[from].noted_ms >= least_age_ms) {
        text = keys->items[from].text;
    }
    (void)pthread_mutex_unlock(&keys->lock);
    return text;
}

static void remove_settled(struct open_keys *keys)
{
    size_t kept = 0;
    (void)pthread_mutex_lock(&keys->lock);
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->items[i].settled) {
            free(keys->items[i].text);
        } else {
            keys->items[kept++] = keys->items[i];
        }
    }
    keys->count = kept;
    (void)pthread_mutex_unlock(&keys->lock);
}

static void settle(struct open_keys *keys, size_t index)
{
    (void)pthread_mutex_lock(&keys->lock);
    keys->items[index].settled = true;
    (void)pthread_mutex_unlock(&keys->lock);
}

static const char *answered_state(enum assent_outcome outcome)
{
    switch (outcome) {
    case ASSENT_COMMITTED:
        return "committed";
    case ASSENT_ABORTED:
    case ASSENT_NOT_FOUND: /* nothing under the key has committed, and nothing is on its way any more */
        return "aborted";
    case ASSENT_UNKNOWN:
    case ASSENT_UNAVAILABLE:
    case ASSENT_REFUSED:
    case ASSENT_ACTIVE:   /* of interactive transactions */
    case ASSENT_ACCEPTED: /* of requests that are to run later */
    case ASSENT_DEAD:
    case ASSENT_HEURISTIC:
        return "open";
    }
    return "open";
}

static void write_answer(struct run *run, const char *key, const struct assent_answer *answer)
{
    json_t *line = json_pack("{s:s,s:I,s:s,s:s}", "type", "answer", "t",
                             (json_int_t)history_now_us(run->history), "key", key, "state",
                             answered_state(assent_answer_outcome(answer)));
    if (assent_answer_id(answer)[0] != '\0') {
        (void)json_object_set_new(line, "txid", json_string(assent_answer_id(answer)));
    }
    history_write(run->history, line);
}

/* False: assentd does not answer at the moment. */
static bool ask(struct run *run, struct assent_client *client, const char *key, size_t index)
{
    struct assent_answer *answer = assent_status_by_key(client, key);
    enum assent_outcome outcome = assent_answer_outcome(answer);
    bool answered = outcome != ASSENT_UNAVAILABLE && outcome != ASSENT_REFUSED;
    if (answered) {
        write_answer(run, key, answer);
        if (outcome != ASSENT_UNKNOWN) {
            settle(run->open_keys, index);
        }
    }
    assent_answer_free(answer);
    return answered;
}

bool open_keys_ask(struct run *run, uint64_t least_age_ms, struct error *ret_error)
{
    struct assent_client *client;
    const char *key = next_key(run->open_keys, least_age_ms, 0);
    if (key == NULL) {
        return true;
    }
    int failure = assent_client_open(run->world.client_address, &client);
    if (failure != ASSENT_OK) {
        return error_set(ret_error, ERROR_SYSTEM, "libassent: %s", assent_error_text(failure));
    }
    bool answered = true;
    for (size_t i = 0; key != NULL && answered; i++) {
        answered = ask(run, client, key, i);
        key = next_key(run->open_keys, least_age_ms, i + 1);
    }
    assent_client_close(client);
    remove_settled(run->open_keys);
    return answered ||
           error_set(ret_error, ERROR_UNAVAILABLE, "assentd does not answer for open keys");
}
