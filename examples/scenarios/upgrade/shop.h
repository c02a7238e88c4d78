/*
 * shop.h - a shop whose payment database goes and comes back.
 *
 *   shoppers.c  what a shopper does: a wish, a press, and later another or a question
 *   notes.c     what became of each, as rows; figures; the verdict
 *   upgrade.c   the shop, the upgrade itself, the order of things
 */
#ifndef ASSENT_SCENARIOS_UPGRADE_SHOP_H
#define ASSENT_SCENARIOS_UPGRADE_SHOP_H

#include <pthread.h>

#include "examples/scenarios/kit/kit.h"

#define PATIENT_MS 30000
#define BALANCE    "1000.00"

#define QUARTERS     4
#define AWAY_QUARTER 2 /* comes while the database is away */

/* What is going on around a press; one after the other. */
enum moment { BEFORE, BETWEEN, AWAY, RESTART, BACK, MOMENT_COUNT };

/* What the progress line counts. */
enum { BOUGHT, ACCEPTED, TOLD_503, NOBODY_THERE, OTHERWISE };

/* What the first press came to, and what was known in the end. */
struct press {
    enum moment moment;
    long status; /* 0: nobody answered */
    char *reason;
    bool may_retry;
    uint64_t took_us;
    uint64_t sent_us;     /* the first time */
    uint64_t accepted_us; /* when it was known to be accepted */
    char *accepted_as;    /* its id; NULL: not accepted, or not known yet */
    bool has_left;        /* for good, after a 503 */
    long told_status;
    char *told_state;
};

struct shop {
    uint64_t count;
    uint64_t rate;
    pthread_mutex_t mutex; /* over the next five */
    pthread_cond_t changed;
    enum moment moment;
    uint64_t since_us[MOMENT_COUNT];
    uint64_t came[QUARTERS];
    uint64_t accepted_away, told_away; /* while the database was away */
    struct press *presses;
    uint64_t *waiting; /* those who have to press again, in the order in which they came */
    atomic_uint_fast64_t waiting_count;
    atomic_uint_fast64_t told_count; /* who was told 503 */
};

/* ---- upgrade.c */

enum moment shop_moment(struct shop *shop);
/* Waits until it is this shopper's turn. */
void shop_await_turn(struct shop *shop, uint64_t index);
void shop_note_came(struct shop *shop, uint64_t index);
/* The first of a quarter; of QUARTERS: how many there are. */
uint64_t shop_quarter_first(const struct shop *shop, uint64_t quarter);

/* ---- shoppers.c */

/* Every second shopper leaves the order in the queue; the others want to know at once. */
bool shopper_is_queued(uint64_t number);
/* Returns owned. */
char *shopper_cart(const struct kit *kit, uint64_t number);
/* The queue of this run. Returns owned. */
char *shopper_queue(const struct kit *kit);
/* For crowd_run; the context is the shop. One shopper: a wish, and one press. */
void shopper_act(struct kit *kit, uint64_t index, void *context);
/* One of those who wait: the same press with the same key, until it is accepted or final. */
void shopper_act_again(struct kit *kit, uint64_t index, void *context);
/* One of all, after that: whose order was accepted learns what came of it. */
void shopper_act_learn(struct kit *kit, uint64_t index, void *context);

/* ---- notes.c */

/* Everybody's answers become rows of the outside reader's notes. */
void notes_write(struct kit *kit, const struct shop *shop);
/* Figures for people and the summary. away_ms: how long it was away; caught_up_ms: how long after that all was known. */
void notes_tell(struct kit *kit, uint64_t away_ms, uint64_t caught_up_ms);
/* away_count: how many must have come while it was away. */
void notes_judge(struct kit *kit, uint64_t away_count);

#endif
