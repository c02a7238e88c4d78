/*
 * world.c - see world.h.
 *
 * Transaction number s is decided at time (s + 1) * STEP; requests are sent up to SPREAD before and answered up to
 * SPREAD after that, so that some ten overlap. Lists, registers and accounts are taken in turn; a list is done with after
 * LIST_LENGTH elements.
 */
#include "tests/checker/world.h"

#include <inttypes.h>
#include <string.h>

#include "tests/checker/vec.h"

#define DATABASES   3
#define ACCOUNTS    8
#define REGISTERS   4
#define LIST_LENGTH 24
#define STEP        200
#define SPREAD      1000
#define FAULT_EVERY 4000

struct effect_row {
    uint32_t txn, seq, v_is_set;
    int64_t xid, v;
    char k[24];
};

struct list {
    int64_t elements[LIST_LENGTH + 1];
    uint32_t count;
};

struct world {
    const struct world_options *options;
    struct world_result *result;
    FILE *file;
    uint64_t random, lines;
    uint32_t s, i; /* transaction, line */
    uint32_t plant_at;
    int64_t balances[DATABASES][ACCOUNTS];
    int64_t registers[DATABASES][REGISTERS], versions[DATABASES][REGISTERS];
    VEC_OF(struct list) lists[DATABASES]; /* the last one is in use */
    VEC_OF(struct effect_row) rows[DATABASES];
    /* The last transaction that appended to two lists: for fractured reads. */
    bool has_pair;
    uint32_t pair_s, pair_db[2];
};

static uint64_t next_random(struct world *world)
{
    /* splitmix64 */
    uint64_t z = world->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint32_t below(struct world *world, uint32_t bound)
{
    return (uint32_t)(next_random(world) % bound);
}

/* The corruption is planted at the first chance after plant_at transactions. */
static bool plant(struct world *world, enum corruption corruption)
{
    if (world->options->corruption != corruption || world->result->planted ||
        world->s < world->plant_at) {
        return false;
    }
    world->result->planted = true;
    return true;
}

static void end_line(struct world *world)
{
    fputc('\n', world->file);
    world->lines++;
}

static int64_t decided(const struct world *world)
{
    return ((int64_t)world->s + 1) * STEP + SPREAD;
}

static void begin_op(struct world *world, const char *mode, const char *result, const char *txid)
{
    int64_t t = decided(world);
    fprintf(world->file,
            "{\"type\":\"op\",\"i\":%u,\"client\":\"c%u\",\"workload\":\"W\",\"key\":\"k%u\","
            "\"mode\":\"%s\",\"t_inv\":%" PRId64 ",\"t_ret\":%" PRId64
            ",\"result\":\"%s\",\"txid\":\"%s%u\",\"ops\":[",
            world->i++, world->s % 8, world->s, mode, t - 1 - below(world, SPREAD),
            t + 1 + below(world, SPREAD), result, txid, world->s);
}

static void end_op(struct world *world)
{
    fputs("]}", world->file);
    end_line(world);
}

static struct list *current_list(struct world *world, uint32_t db)
{
    return &world->lists[db].items[world->lists[db].count - 1];
}

static void add_row(struct world *world, uint32_t db, uint32_t seq, const char *k, int64_t v)
{
    struct effect_row *row = vec_add(&world->rows[db]);
    *row =
        (struct effect_row){.txn = world->s, .seq = seq, .xid = (int64_t)world->s + 1000, .v = v};
    snprintf(row->k, sizeof row->k, "%s", k);
    if (plant(world, CORRUPT_DROP_EFFECT)) {
        world->rows[db].count--;
    } else if (plant(world, CORRUPT_CHANGE_EFFECT)) {
        row->v++;
    } else if (plant(world, CORRUPT_REPEAT_EFFECT)) {
        struct effect_row again = *row;
        again.xid++;
        *vec_add(&world->rows[db]) = again;
    }
}

static void print_list(struct world *world, const int64_t *elements, uint32_t count)
{
    fputc('[', world->file);
    for (uint32_t i = 0; i < count; i++) {
        fprintf(world->file, "%s%" PRId64, i > 0 ? "," : "", elements[i]);
    }
    fputc(']', world->file);
}

static void print_read(struct world *world, uint32_t db, uint32_t missing)
{
    struct list copy = *current_list(world, db);
    copy.count -= missing;
    if (copy.count > 0 && plant(world, CORRUPT_FUTURE_READ)) {
        copy.elements[copy.count++] = ((int64_t)world->s + 20) * 10; /* see write_appends */
    } else if (copy.count > 1 && plant(world, CORRUPT_SWAP_READ)) {
        int64_t swap = copy.elements[0];
        copy.elements[0] = copy.elements[1];
        copy.elements[1] = swap;
    }
    fprintf(world->file, "{\"f\":\"r\",\"db\":\"d%u\",\"k\":\"l%zu\",\"v\":", db,
            world->lists[db].count - 1);
    print_list(world, copy.elements, copy.count);
    fputc('}', world->file);
}

static void print_append(struct world *world, uint32_t db, uint32_t seq, int64_t v, bool done)
{
    char k[24];
    snprintf(k, sizeof k, "l%zu", world->lists[db].count - 1);
    fprintf(world->file,
            "%s{\"f\":\"append\",\"db\":\"d%u\",\"k\":\"%s\",\"v\":%" PRId64 ",\"seq\":%u}",
            seq > 0 ? "," : "", db, k, v, seq);
    if (!done) {
        return;
    }
    struct list *list = current_list(world, db);
    if (!plant(world, CORRUPT_DROP_ELEMENT)) {
        list->elements[list->count++] = v;
    }
    add_row(world, db, seq, k, v);
}

/* Appends to the lists of two databases. Values are s * 10 and s * 10 + 1: see CORRUPT_FUTURE_READ. */
static void write_appends(struct world *world, const char *result, bool done)
{
    uint32_t first = below(world, DATABASES), second = (first + 1) % DATABASES;
    for (uint32_t db = 0; db < DATABASES; db++) {
        if (current_list(world, db)->count >= LIST_LENGTH) {
            *vec_add(&world->lists[db]) = (struct list){0};
        }
    }
    begin_op(world, "L", result, "t");
    print_append(world, first, 0, (int64_t)world->s * 10, done);
    print_append(world, second, 1, (int64_t)world->s * 10 + 1, done);
    end_op(world);
    if (done) {
        world->has_pair = strcmp(result, "ok") == 0;
        world->pair_s = world->s;
        world->pair_db[0] = first;
        world->pair_db[1] = second;
    }
}

static void write_reads(struct world *world)
{
    bool snapshot = below(world, 100) < (uint32_t)world->options->snapshot_percent;
    bool fractured = snapshot && world->has_pair && world->pair_s + 1 == world->s &&
                     below(world, 100) < (uint32_t)world->options->fractured_percent;
    uint32_t first = fractured ? world->pair_db[0] : below(world, DATABASES);
    uint32_t second = fractured ? world->pair_db[1] : (first + 1) % DATABASES;
    uint32_t missing = fractured;
    if (!snapshot && world->has_pair && world->pair_s + 2 * SPREAD / STEP < world->s &&
        current_list(world, world->pair_db[1])->count > 0 && plant(world, CORRUPT_STALE_READ)) {
        second = world->pair_db[1];
        first = (second + 1) % DATABASES;
        missing = 1;
    }
    world->result->fractured += fractured;
    begin_op(world, snapshot ? "S" : "L", "ok", "t");
    print_read(world, first, 0);
    fputc(',', world->file);
    print_read(world, second, missing);
    end_op(world);
}

static void write_register(struct world *world)
{
    uint32_t db = below(world, DATABASES), r = below(world, REGISTERS);
    int64_t v = world->s;
    char k[24];
    snprintf(k, sizeof k, "r%u", r);
    begin_op(world, "L", "ok", "t");
    if (world->versions[db][r] > 0) {
        fprintf(world->file,
                "{\"f\":\"r\",\"db\":\"d%u\",\"k\":\"%s\",\"v\":%" PRId64 ",\"n\":%" PRId64 "},",
                db, k, world->registers[db][r], world->versions[db][r]);
        if (plant(world, CORRUPT_REGISTER_VERSION)) {
            world->versions[db][r]--;
        }
    }
    world->registers[db][r] = v;
    fprintf(world->file,
            "{\"f\":\"w\",\"db\":\"d%u\",\"k\":\"%s\",\"v\":%" PRId64 ",\"n\":%" PRId64
            ",\"seq\":0}",
            db, k, v, ++world->versions[db][r]);
    end_op(world);
    add_row(world, db, 0, k, v);
}

static void print_move(struct world *world, const uint32_t *db, const uint32_t *account, int64_t v)
{
    for (uint32_t i = 0; i < 2; i++) {
        fprintf(world->file,
                "%s{\"f\":\"add\",\"db\":\"d%u\",\"k\":\"a%u\",\"v\":%" PRId64 ",\"seq\":%u}",
                i > 0 ? "," : "", db[i], account[i], i == 0 ? -v : v, i);
    }
}

/* A transfer; now and then sent twice, unknown, failed. */
static void write_transfer(struct world *world)
{
    uint32_t db[2] = {below(world, DATABASES), 0},
             account[2] = {below(world, ACCOUNTS), below(world, ACCOUNTS)};
    int64_t v = 1 + below(world, 50);
    uint32_t luck = below(world, 20);
    bool failed = luck == 0, unknown = luck == 1 || luck == 2;
    bool done = !failed && luck != 1, repeated = luck >= 16;
    db[1] = (db[0] + 1 + below(world, DATABASES - 1)) % DATABASES;
    begin_op(world, "L", failed ? "fail" : unknown ? "unknown" : "ok", "t");
    print_move(world, db, account, v);
    end_op(world);
    if (repeated) {
        begin_op(world, "L", "ok", plant(world, CORRUPT_ANSWER) ? "x" : "t");
        print_move(world, db, account, v);
        end_op(world);
    }
    if (failed && plant(world, CORRUPT_KEEP_ABORT)) {
        done = true;
    }
    if (!unknown && done && plant(world, CORRUPT_DROP_COMMIT)) {
        done = false;
    }
    for (uint32_t i = 0; i < 2 && done; i++) {
        char k[24];
        snprintf(k, sizeof k, "a%u", account[i]);
        world->balances[db[i]][account[i]] += i == 0 ? -v : v;
        add_row(world, db[i], i, k, i == 0 ? -v : v);
    }
}

/* A fault every FAULT_EVERY transactions, and a sample for each second that has begun. */
static void write_events(struct world *world)
{
    int64_t t = decided(world);
    uint32_t at = world->s % FAULT_EVERY, n = world->s / FAULT_EVERY;
    static const char *const phases[] = {"begin", "end", "healed"};
    for (uint32_t i = 0; i < 3; i++) {
        if (at == 1000 + 200 * i) {
            fprintf(world->file,
                    "{\"type\":\"nemesis\",\"t\":%" PRId64
                    ",\"n\":%u,\"fault\":\"%s\",\"target\":\"%s\",\"phase\":\"%s\",\"detail\":"
                    "\"<planted> & \\\"quoted\\\"\"}",
                    t, n, n % 2 ? "kill" : "partition", n % 2 ? "assentd" : "d1", phases[i]);
            end_line(world);
        }
    }
    if (t / 1000000 != (t - STEP) / 1000000) {
        fprintf(world->file,
                "{\"type\":\"sample\",\"t\":%" PRId64
                ",\"journal\":%u,\"processes\":{\"assentd\":{\"pid\":%u,\"rss\":%u,\"fds\":%u},"
                "\"agent:d0\":{\"pid\":7,\"rss\":%u,\"fds\":20}}}",
                t, 5000000 + below(world, 100000), 100 + n, 20000000 + below(world, 500000),
                30 + below(world, 4), 9000000 + below(world, 100000));
        end_line(world);
    }
}

static void write_one(struct world *world)
{
    uint32_t kind = below(world, 10);
    if (world->options->samples) {
        write_events(world);
    }
    if (kind < 3) {
        static const char *const results[] = {"ok", "ok", "ok",      "ok",
                                              "ok", "ok", "unknown", "fail"};
        const char *result = results[below(world, 8)];
        bool done = strcmp(result, "ok") == 0 || (*result == 'u' && below(world, 2) == 0);
        write_appends(world, result, done);
    } else if (kind < 6) {
        write_reads(world);
    } else if (kind < 8) {
        write_transfer(world);
    } else {
        write_register(world);
    }
}

static void write_rows(struct world *world, uint32_t db)
{
    for (size_t i = 0; i < world->rows[db].count || i == 0; i++) {
        if (i % 1000 == 0) {
            if (i > 0) {
                fputs("]}", world->file);
                end_line(world);
            }
            fprintf(world->file,
                    "{\"type\":\"dump\",\"t\":%" PRId64
                    ",\"at\":\"end\",\"db\":\"d%u\",\"effects\":[",
                    decided(world) + SPREAD, db);
        }
        if (i < world->rows[db].count) {
            const struct effect_row *row = &world->rows[db].items[i];
            fprintf(world->file, "%s[\"k%u\",%u,%" PRId64 ",\"%s\",%" PRId64 "]",
                    i % 1000 > 0 ? "," : "", row->txn, row->seq, row->xid, row->k, row->v);
        }
    }
    fputs("]}", world->file);
    end_line(world);
}

static void write_dump(struct world *world, uint32_t db)
{
    write_rows(world, db);
    fprintf(world->file,
            "{\"type\":\"dump\",\"t\":%" PRId64 ",\"at\":\"end\",\"db\":\"d%u\",\"balances\":{",
            decided(world) + SPREAD, db);
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        fprintf(world->file, "%s\"a%u\":%" PRId64, i > 0 ? "," : "", i,
                world->balances[db][i] + plant(world, CORRUPT_BALANCE));
    }
    fputs("},\"registers\":{", world->file);
    for (uint32_t i = 0, count = 0; i < REGISTERS; i++) {
        if (world->versions[db][i] > 0) {
            fprintf(world->file, "%s\"r%u\":[%" PRId64 ",%" PRId64 "]", count++ > 0 ? "," : "", i,
                    world->registers[db][i], world->versions[db][i]);
        }
    }
    fprintf(world->file, "},\"prepared\":[%s],\"locks\":0,\"idle\":0,\"lists\":{",
            plant(world, CORRUPT_PREPARED) ? "\"assent:1\"" : "");
    for (size_t i = 0; i < world->lists[db].count; i++) {
        fprintf(world->file, "%s\"l%zu\":", i > 0 ? "," : "", i);
        print_list(world, world->lists[db].items[i].elements, world->lists[db].items[i].count);
    }
    fputs("}}", world->file);
    end_line(world);
}

static void write_head(struct world *world)
{
    fprintf(
        world->file,
        "{\"type\":\"meta\",\"version\":1,\"program\":\"world\",\"seed\":%" PRIu64
        ",\"started\":\"2026-11-27T20:00:00Z\",\"workloads\":[\"W1\",\"W2\",\"W3\"],\"databases\":"
        "[\"d0\",\"d1\",\"d2\"]}",
        world->options->seed >> 1);
    end_line(world);
    for (uint32_t db = 0; db < DATABASES; db++) {
        *vec_add(&world->lists[db]) = (struct list){0};
        fprintf(world->file,
                "{\"type\":\"dump\",\"t\":0,\"at\":\"begin\",\"db\":\"d%u\",\"balances\":{", db);
        for (uint32_t i = 0; i < ACCOUNTS; i++) {
            world->balances[db][i] = 1000;
            fprintf(world->file, "%s\"a%u\":1000", i > 0 ? "," : "", i);
        }
        fputs("}}", world->file);
        end_line(world);
    }
}

void world_write(const struct world_options *options, FILE *file, struct world_result *ret_result)
{
    *ret_result = (struct world_result){0};
    struct world world = {.options = options,
                          .result = ret_result,
                          .file = file,
                          .random = options->seed,
                          .plant_at = options->txns / 2};
    write_head(&world);
    for (; world.s < options->txns; world.s++) {
        write_one(&world);
    }
    for (uint32_t db = 0; db < DATABASES; db++) {
        write_dump(&world, db);
    }
    fprintf(file, "{\"type\":\"state\",\"t\":%" PRId64 ",\"unfinished\":[],\"in_doubt\":[]}",
            decided(&world));
    end_line(&world);
    fprintf(file,
            "{\"type\":\"end\",\"t\":%" PRId64 ",\"lines\":%" PRIu64 ",\"reason\":\"complete\"}\n",
            decided(&world), world.lines);
    for (uint32_t db = 0; db < DATABASES; db++) {
        vec_done(&world.lists[db]);
        vec_done(&world.rows[db]);
    }
}
