/*
 * workload.c - draws plans. See workload.h.
 */
#include "workload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *code;
} workloads[WORKLOAD_COUNT] = {{"bank", "W1"},   {"append", "W2"},   {"register", "W3"},
                               {"skew", "W4"},   {"conflict", "W5"}, {"duplicates", "W6"},
                               {"novote", "W7"}, {"single", "W8"},   {"upgrade", "W9"}};

const char *workload_name(enum workload workload)
{
    return workloads[workload].name;
}

const char *workload_code(enum workload workload)
{
    return workloads[workload].code;
}

bool workload_parse(const char *list, unsigned *ret_set)
{
    unsigned set = 0;
    while (*list != '\0') {
        size_t length = strcspn(list, ",");
        unsigned found =
            length == 3 && strncmp(list, "all", 3) == 0 ? (1U << WORKLOAD_COUNT) - 1 : 0;
        for (unsigned i = 0; i < WORKLOAD_COUNT; i++) {
            if (strlen(workloads[i].name) == length &&
                strncmp(workloads[i].name, list, length) == 0) {
                found |= 1U << i;
            }
        }
        if (found == 0) {
            return false;
        }
        set |= found;
        list += length + (list[length] == ',' ? 1 : 0);
    }
    *ret_set = set;
    return set != 0;
}

/* --- drawing ---------------------------------------------------------------------------------- */

struct draw {
    struct run *run;
    struct random *random;
    struct plan *plan;
};

static struct micro *add(struct draw *draw, enum micro_kind kind, size_t database)
{
    struct plan *plan = draw->plan;
    if (plan->micro_count == PLAN_MICROS_MAX) {
        return &plan->micros[PLAN_MICROS_MAX -
                             1]; /* draws stay far below; the last one is replaced */
    }
    struct micro *micro = &plan->micros[plan->micro_count++];
    *micro = (struct micro){.kind = kind, .database = database, .seq = -1};
    return micro;
}

static size_t any_database(struct draw *draw)
{
    return random_below(draw->random, (uint32_t)draw->run->world.database_count);
}

static size_t other_database(struct draw *draw, size_t database)
{
    size_t count = draw->run->world.database_count;
    return (database + 1 + random_below(draw->random, (uint32_t)count - 1)) % count;
}

static int64_t new_value(struct draw *draw)
{
    return (int64_t)atomic_fetch_add(&draw->run->next_value, 1) + 1;
}

static void add_transfer(struct draw *draw, const char *prefix, uint32_t accounts, size_t from,
                         size_t to, int seq)
{
    int64_t amount = random_between(draw->random, 1, 9);
    struct micro *minus = add(draw, MICRO_ADD, from);
    (void)snprintf(minus->k, sizeof minus->k, "%s%u", prefix, random_below(draw->random, accounts));
    minus->v = -amount;
    minus->seq = seq;
    minus->covered = random_percent(draw->random, 20);
    struct micro *plus = add(draw, MICRO_ADD, to);
    (void)snprintf(plus->k, sizeof plus->k, "%s%u", prefix, random_below(draw->random, accounts));
    plus->v = amount;
    plus->seq = seq;
}

static void draw_bank(struct draw *draw)
{
    size_t count = draw->run->world.database_count;
    draw->plan->timeout_ms = random_between(draw->random, 1500, 3000);
    if (random_percent(draw->random, 12)) {
        for (size_t i = 0; i < count; i++) {
            (void)add(draw, MICRO_TOTAL, i);
        }
        return;
    }
    size_t from = any_database(draw);
    add_transfer(draw, "a", SHOP_ACCOUNTS, from, other_database(draw, from), 0);
    if (random_percent(draw->random, 30)) {
        from = any_database(draw);
        add_transfer(draw, "a", SHOP_ACCOUNTS, from, other_database(draw, from), 1);
    }
    draw->plan->decided_is_enough = random_percent(draw->random, 25);
}

static void draw_append(struct draw *draw)
{
    uint64_t base = shop_list_base(draw->run);
    uint32_t count = random_between(draw->random, 2, 6);
    draw->plan->timeout_ms = random_between(draw->random, 800, 2000);
    for (uint32_t i = 0; i < count; i++) {
        bool reads = random_percent(draw->random, 50);
        struct micro *micro = add(draw, reads ? MICRO_READ_LIST : MICRO_APPEND, any_database(draw));
        (void)snprintf(micro->k, sizeof micro->k, "l%" PRIu64,
                       base + random_below(draw->random, SHOP_LIST_WINDOW));
        if (!reads) {
            micro->v = new_value(draw);
            (void)atomic_fetch_add(&draw->run->appended, 1);
        }
    }
}

static void add_register(struct draw *draw, bool reads, size_t database, uint32_t number)
{
    struct micro *micro = add(draw, reads ? MICRO_READ_REGISTER : MICRO_WRITE, database);
    (void)snprintf(micro->k, sizeof micro->k, "r%u", number);
    micro->v = reads ? 0 : new_value(draw);
}

static void draw_register(struct draw *draw)
{
    uint32_t count = random_between(draw->random, 1, 4);
    draw->plan->timeout_ms = random_between(draw->random, 800, 2000);
    for (uint32_t i = 0; i < count; i++) {
        add_register(draw, random_percent(draw->random, 50), any_database(draw),
                     random_below(draw->random, SHOP_REGISTERS / 2));
    }
}

/* Pairs of registers in two databases. Reading both and writing one is write skew's shape; reading both alone, beside
 * writers of either, is the long fork's; beside writers of both, who see one of them and not the other yet
 * have read a fracture. */
static void draw_skew(struct draw *draw)
{
    size_t first = any_database(draw), second = other_database(draw, first);
    uint32_t number = SHOP_REGISTERS / 2 + random_below(draw->random, SHOP_PAIRS);
    draw->plan->timeout_ms = random_between(draw->random, 500, 1500);
    uint32_t lot = random_below(draw->random, 100);
    if (lot < 45) {
        add_register(draw, false, first, number);
        if (lot < 30) {
            add_register(draw, false, second, number);
        }
        return;
    }
    add_register(draw, true, first, number);
    add_register(draw, true, second, number);
    if (lot < 65) {
        add_register(draw, false, first, number);
    }
}

static void draw_conflict(struct draw *draw)
{
    size_t from = any_database(draw);
    draw->plan->timeout_ms = random_between(draw->random, 200, 900);
    add_transfer(draw, "hot", SHOP_HOT, from, other_database(draw, from), 0);
    from = any_database(draw);
    add_transfer(draw, "hot", SHOP_HOT, from, other_database(draw, from), 1);
}

static void draw_duplicates(struct draw *draw)
{
    size_t from = any_database(draw);
    struct plan *plan = draw->plan;
    plan->timeout_ms = random_between(draw->random, 1500, 3000);
    add_transfer(draw, "a", SHOP_ACCOUNTS, from, other_database(draw, from), 0);
    if (random_percent(draw->random, 20)) {
        plan->copies = random_between(draw->random, 2, 4);
    }
    plan->again = random_percent(draw->random, 20);
    plan->other_body = random_percent(draw->random, 10);
}

/* Statements that a branch cannot commit with, each of another kind (faults: votes no). */
static const char *const refused_statements[] = {
    "INSERT INTO once(id) VALUES ('taken')",       /* unique, at once */
    "INSERT INTO later(id) VALUES ('taken')",      /* unique, deferred: fails at PREPARE */
    "INSERT INTO child(parent) VALUES ('nobody')", /* foreign key, deferred */
    "CREATE TEMPORARY TABLE scratch(a integer)",   /* cannot be prepared */
    "SELECT 1 / (SELECT count(*) FROM once WHERE id = 'absent')", /* an error: tag ROLLBACK */
    "UPDATE once SET id = id WHERE id = 'absent'", /* touches none, one is expected */
    "SELECT pg_sleep(30)",                         /* until the deadline */
};

static void draw_novote(struct draw *draw)
{
    size_t refusing = any_database(draw);
    size_t kinds = sizeof refused_statements / sizeof refused_statements[0];
    bool refuses = random_percent(draw->random, 70);
    draw->plan->over_http = random_percent(draw->random, 50);
    draw->plan->timeout_ms = 1500;
    for (size_t i = 0; i < draw->run->world.database_count; i++) {
        struct micro *effect = add(draw, MICRO_EFFECT, i);
        effect->seq = 0;
        effect->v = new_value(draw);
        if (refuses && i == refusing) {
            uint32_t kind = random_below(draw->random, (uint32_t)kinds);
            add(draw, MICRO_REFUSED, i)->sql = refused_statements[kind];
            draw->plan->timeout_ms = kind + 1 == kinds ? 300 : draw->plan->timeout_ms;
        }
    }
}

static void draw_single(struct draw *draw)
{
    size_t database = any_database(draw);
    uint32_t number = random_below(draw->random, SHOP_REGISTERS / 2);
    draw->plan->timeout_ms = random_between(draw->random, 500, 2000);
    add_register(draw, true, database, number);
    if (random_percent(draw->random, 70)) {
        add_register(draw, false, database, number);
        struct micro *effect = add(draw, MICRO_EFFECT, database);
        effect->seq = 0;
    }
    if (!draw->plan->locking && random_percent(draw->random, 50)) {
        size_t other = other_database(draw, database);
        add_register(draw, true, other, number);
        draw->plan->read_only |= 1U << other;
    }
}

static void draw_upgrade(struct draw *draw)
{
    draw->plan->timeout_ms = random_between(draw->random, 1500, 4000);
    for (size_t i = 0; i < draw->run->world.database_count; i++) {
        struct micro *effect = add(draw, MICRO_EFFECT, i);
        effect->seq = 0;
        effect->v = new_value(draw);
    }
    draw->plan->decided_is_enough = random_percent(draw->random, 25);
    draw->plan->over_http = random_percent(draw->random, 60);
}

/* What is read now and written later is read FOR UPDATE: two readers that both want to write would
 * only wait for each other. */
static void mark_updates(struct plan *plan)
{
    for (size_t i = 0; i < plan->micro_count; i++) {
        for (size_t later = i + 1; later < plan->micro_count; later++) {
            const struct micro *write = &plan->micros[later];
            if ((write->kind == MICRO_APPEND || write->kind == MICRO_WRITE) &&
                write->database == plan->micros[i].database &&
                strcmp(write->k, plan->micros[i].k) == 0) {
                plan->micros[i].for_update = true;
            }
        }
    }
}

static enum workload draw_workload(unsigned set, struct random *random)
{
    uint32_t place = random_below(random, (uint32_t)__builtin_popcount(set));
    for (unsigned i = 0; i < WORKLOAD_COUNT; i++) {
        if ((set & 1U << i) != 0 && place-- == 0) {
            return (enum workload)i;
        }
    }
    return WORKLOAD_BANK; /* the set is never empty */
}

void plan_draw(struct run *run, struct random *random, size_t client, uint64_t number,
               struct plan *ret_plan)
{
    static void (*const draws[WORKLOAD_COUNT])(struct draw *) = {
        draw_bank,       draw_append, draw_register, draw_skew,   draw_conflict,
        draw_duplicates, draw_novote, draw_single,   draw_upgrade};
    *ret_plan = (struct plan){
        .workload = draw_workload(run->options.workloads, random), .timeout_ms = 2000, .copies = 1};
    ret_plan->locking = run->options.mode == MODE_LOCKING ||
                        (run->options.mode == MODE_BOTH && random_percent(random, 50));
    (void)snprintf(ret_plan->key, sizeof ret_plan->key, "%s-c%zu-%" PRIu64,
                   workloads[ret_plan->workload].code, client, number);
    struct draw draw = {.run = run, .random = random, .plan = ret_plan};
    draws[ret_plan->workload](&draw);
    mark_updates(ret_plan);
}
