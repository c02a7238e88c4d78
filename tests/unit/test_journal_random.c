/*
 * test_journal_random.c - long random lives of a journal, led by both backends at once: they must agree on
 * every hash, every live record and every answer, and SQLite's must pass its own check at every reopening.
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recovery/journal_memory.h"
#include "tests/lib/journal_kit.h"

#define SEQUENCE_MAX 4000
#define STEPS        1500

enum life {
    LIFE_NONE = 0,
    LIFE_COMMITTED,
    LIFE_ENDED,
    LIFE_ABORTED,
    LIFE_ACCEPTED, /* a request's id */
    LIFE_REQUEST_OVER,
};

struct world {
    struct journal_kit sqlite;
    struct journal_kit memory;
    uint64_t random;
    uint64_t epoch;
    uint64_t running_ms;
    uint64_t next_sequence;
    enum life lives[SEQUENCE_MAX];
    uint64_t epochs[SEQUENCE_MAX];
};

static uint64_t draw(struct world *world, uint64_t below)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return world->random % below;
}

/* Takes the record. */
static void append_both(struct world *world, struct record record)
{
    struct journal_head a = {0};
    struct journal_head b = {0};
    struct error error = {0};
    assert_success(journal_append(world->sqlite.journal, world->epoch, &record, 1, &a, &error),
                   &error);
    assert_success(journal_append(world->memory.journal, world->epoch, &record, 1, &b, &error),
                   &error);
    record_done(&record);
    assert_int_equal(a.number, b.number);
    assert_memory_equal(a.hash, b.hash, HASH_BYTES);
}

static struct gtrid gtrid_of(const struct world *world, uint64_t sequence)
{
    return kit_gtrid(world->epochs[sequence], sequence);
}

static void new_epoch(struct world *world)
{
    static const char *const names[] = {"order", "payment"};
    world->epoch++;
    append_both(world, kit_epoch(world->epoch, draw(world, 3), names));
}

static void new_txn(struct world *world)
{
    uint64_t sequence = world->next_sequence++;
    char key[32];
    world->epochs[sequence] = world->epoch;
    (void)snprintf(key, sizeof key, "key-%llu", (unsigned long long)sequence);
    if (draw(world, 5) == 0) {
        append_both(world, kit_accept(gtrid_of(world, sequence), key));
        world->lives[sequence] = LIFE_ACCEPTED;
        return;
    }
    if (draw(world, 6) == 0) {
        world->lives[sequence] = LIFE_ABORTED;
        return;
    }
    append_both(world, kit_commit(gtrid_of(world, sequence), draw(world, 2) ? key : NULL));
    world->lives[sequence] = LIFE_COMMITTED;
}

static void touch_request(struct world *world, uint64_t sequence)
{
    struct gtrid id = gtrid_of(world, sequence);
    if (draw(world, 8) == 0) { /* by mistake: no branch has this gtrid */
        append_both(world, draw(world, 2) ? kit_heuristic(id, "order") : kit_resolved(id, ""));
        return;
    }
    switch (draw(world, 6)) {
    case 0:
    case 1:
        append_both(world, kit_refused(id));
        return;
    case 2:
        append_both(world, kit_requeued(id, world->next_sequence));
        return;
    case 3:
        append_both(world, kit_dropped(id, world->running_ms));
        break;
    default: {
        uint64_t run = world->next_sequence++;
        world->epochs[run] = world->epoch;
        world->lives[run] = LIFE_COMMITTED;
        append_both(world,
                    kit_commit_of(gtrid_of(world, run), id, draw(world, 2) ? "a-key" : NULL));
        break;
    }
    }
    world->lives[sequence] = LIFE_REQUEST_OVER;
}

static void touch_txn(struct world *world, uint64_t sequence)
{
    struct gtrid gtrid = gtrid_of(world, sequence);
    if (world->lives[sequence] == LIFE_ACCEPTED) {
        touch_request(world, sequence);
        return;
    }
    if (world->lives[sequence] == LIFE_REQUEST_OVER) {
        return;
    }
    const char *participant = draw(world, 2) ? "order" : "payment";
    switch (draw(world, 6)) {
    case 0:
        append_both(world, kit_heuristic(gtrid, participant));
        return;
    case 1:
        append_both(world, kit_resolved(gtrid, draw(world, 3) ? participant : ""));
        return;
    default:
        if (world->lives[sequence] == LIFE_COMMITTED) {
            append_both(world, kit_end(gtrid, world->running_ms));
            world->lives[sequence] = LIFE_ENDED;
        }
        return;
    }
}

static void trim_both(struct world *world)
{
    struct journal_trim trim = {.epoch = world->epoch,
                                .now_running_ms = world->running_ms,
                                .retention_ms = 40 + draw(world, 60),
                                .swept_number = UINT64_MAX - draw(world, 2),
                                .slice_records = 1 + draw(world, 40)};
    struct error error = {0};
    bool more = true;
    for (int slices = 0; more && slices < 5; slices++) {
        struct journal_head a;
        struct journal_head b;
        struct journal_floor floor_a;
        struct journal_floor floor_b;
        bool more_b;
        assert_success(journal_trim(world->sqlite.journal, &trim, &a, &floor_a, &more, &error),
                       &error);
        assert_success(journal_trim(world->memory.journal, &trim, &b, &floor_b, &more_b, &error),
                       &error);
        assert_int_equal(a.number, b.number);
        assert_memory_equal(a.hash, b.hash, HASH_BYTES);
        assert_memory_equal(&floor_a, &floor_b, sizeof floor_a);
        assert_int_equal(more, more_b);
    }
}

static void compare_txn(struct world *world, uint64_t sequence)
{
    struct journal_entry a = {0};
    struct journal_entry b = {0};
    struct error error = {0};
    bool found_a;
    bool found_b;
    struct gtrid gtrid = gtrid_of(world, sequence);
    assert_success(journal_find_gtrid(world->sqlite.journal, &gtrid, &found_a, &a, &error), &error);
    assert_success(journal_find_gtrid(world->memory.journal, &gtrid, &found_b, &b, &error), &error);
    assert_int_equal(found_a, found_b);
    if (found_a) {
        assert_int_equal(a.commit_number, b.commit_number);
        assert_int_equal(a.ended, b.ended);
        assert_int_equal(a.end_wall_ms, b.end_wall_ms);
        assert_int_equal(a.note_count, b.note_count);
        journal_entry_done(&a);
        journal_entry_done(&b);
    }
    assert_success(journal_find_request(world->sqlite.journal, &gtrid, &found_b, &a, &error),
                   &error);
    bool found_request = found_b;
    assert_success(journal_find_request(world->memory.journal, &gtrid, &found_b, &b, &error),
                   &error);
    assert_int_equal(found_request, found_b);
    if (found_request) {
        assert_int_equal(world->lives[sequence], LIFE_REQUEST_OVER);
        assert_int_equal(a.commit.kind, b.commit.kind);
        assert_int_equal(a.commit_number, b.commit_number);
        assert_int_equal(a.ended, b.ended);
        journal_entry_done(&a);
        journal_entry_done(&b);
    }
    /* Nothing that is not over may ever be forgotten. */
    assert_true(found_a || world->lives[sequence] != LIFE_COMMITTED);
}

static void compare_worlds(struct world *world)
{
    kit_reopen(&world->sqlite); /* the whole check of P-16 */
    kit_reopen(&world->memory);
    const struct journal_state *a = journal_state(world->sqlite.journal);
    const struct journal_state *b = journal_state(world->memory.journal);
    assert_memory_equal(&a->head, &b->head, sizeof a->head);
    assert_memory_equal(&a->floor, &b->floor, sizeof a->floor);
    assert_int_equal(a->last_epoch, b->last_epoch);
    assert_int_equal(a->running_ms, b->running_ms);
    assert_int_equal(a->epoch_count, b->epoch_count);
    assert_memory_equal(a->epochs, b->epochs, a->epoch_count * sizeof *a->epochs);
    assert_int_equal(a->participant_count, b->participant_count);
    for (size_t i = 0; i < a->participant_count; i++) {
        assert_string_equal(a->participants[i], b->participants[i]);
    }
    char *live_a = kit_live_text(&world->sqlite);
    char *live_b = kit_live_text(&world->memory);
    assert_string_equal(live_a, live_b);
    for (uint64_t sequence = 1; sequence < world->next_sequence; sequence++) {
        compare_txn(world, sequence);
        if (world->lives[sequence] == LIFE_ACCEPTED) {
            char wanted[64];
            (void)snprintf(wanted, sizeof wanted, "accept %llu.%llu",
                           (unsigned long long)world->epochs[sequence],
                           (unsigned long long)sequence);
            assert_non_null(strstr(live_a, wanted)); /* a prefix at least: never forgotten */
        }
    }
    free(live_a);
    free(live_b);
}

static void live_through(uint64_t seed)
{
    struct world *world = calloc(1, sizeof *world);
    struct error error = {0};
    world->random = seed * 0x9e3779b97f4a7c15u + 1;
    world->next_sequence = 1;
    kit_init(&world->sqlite, false);
    kit_init(&world->memory, true);
    assert_success(kit_open(&world->sqlite, &error), &error);
    assert_success(kit_open(&world->memory, &error), &error);
    new_epoch(world);
    for (int step = 0; step < STEPS; step++) {
        world->running_ms += draw(world, 3);
        uint64_t what = draw(world, 100);
        if (what < 35) {
            new_txn(world);
        } else if (what < 90 && world->next_sequence > 1) {
            uint64_t back = draw(world, draw(world, 10) ? 10 : world->next_sequence);
            uint64_t last = world->next_sequence - 1;
            uint64_t sequence = last > back ? last - back : 1;
            struct journal_entry entry;
            bool found = true;
            struct gtrid gtrid = gtrid_of(world, sequence);
            /* As the core does: only a retained transaction has something to add. */
            if (world->lives[sequence] == LIFE_ENDED) {
                assert_success(
                    journal_find_gtrid(world->sqlite.journal, &gtrid, &found, &entry, &error),
                    &error);
                if (found) {
                    journal_entry_done(&entry);
                }
            }
            if (found) {
                touch_txn(world, sequence);
            }
        } else if (what < 96) {
            trim_both(world);
        } else if (what < 98) {
            new_epoch(world);
        } else if (what < 99) {
            append_both(world, kit_release(draw(world, 2) ? "order" : "payment"));
        } else {
            compare_worlds(world);
        }
    }
    compare_worlds(world);
    kit_done(&world->sqlite);
    kit_done(&world->memory);
    free(world);
}

/* Over many random lives with all kinds of records, trims and restarts, the two backends never differ, and
 * no unfinished transaction is ever lost. */
static void test_journal_random_lives_agree(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        live_through(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_journal_random_lives_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
