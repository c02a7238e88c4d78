/*
 * test_out_of_memory_journal.c - memory runs out while a journal is made, recovered, read, verified, copied, adopted (S1, R1).
 *
 * SQLite gives an error, our own allocations end the process. Neither may be told as something else: a journal that could not
 * be read is not a damaged one, and what is not found for want of memory is not "not there" (P-1, P-8). Whatever
 * happens, the files hold afterwards what they held before.
 */
#include "tests/lib/test.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/failing_loop.h"
#include "tests/lib/failing_vfs.h"
#include "tests/lib/journal_kit.h"

/* The journal that is worked on: 1 to 3 finished, 3 by hand, 4 not; and its records in all. */
#define FINISHED     3
#define COMMITS      4
#define RECORD_COUNT 9

struct work {
    struct journal_kit template; /* as a killed process left it: with a log */
    struct journal_kit kit;      /* a copy of it for each child */
    char copy_path[128];
};

/* Processes die here, not the machine: nothing waits for the disk, SQLite (work_make) as little as our own code. */
int fsync(int fd)
{
    (void)fd;
    return 0;
}

/* ---- files ---- */

/* The files of the template, its log among them. */
static void begin_with_copy(void *user)
{
    struct work *work = user;
    kit_copy(&work->kit, &work->template);
}

static void begin_empty(void *user)
{
    struct work *work = user;
    kit_empty(&work->kit);
}

static void fill(struct journal_kit *kit)
{
    kit_start(kit);
    kit_finished(kit, 1, "key-1", 1);
    kit_finished(kit, 2, NULL, 2);
    (void)kit_append(kit, kit_commit(kit_gtrid(KIT_EPOCH, 3), "key-3"));
    (void)kit_append(kit, kit_heuristic(kit_gtrid(KIT_EPOCH, 3), "order"));
    (void)kit_append(kit, kit_end(kit_gtrid(KIT_EPOCH, 3), 3));
    (void)kit_append(kit, kit_commit(kit_gtrid(KIT_EPOCH, 4), "key-4"));
}

static void work_make(struct work *work, bool is_marked_copy)
{
    struct error error = {0};
    char original[160];
    failing_vfs_install();
    failing_vfs_skip_syncs();
    kit_init(&work->template, false);
    kit_init(&work->kit, false);
    (void)snprintf(work->copy_path, sizeof work->copy_path, "%s/copy.db", work->kit.folder);
    fill(&work->template);
    if (is_marked_copy) {
        (void)snprintf(original, sizeof original, "%s/original.db", work->template.folder);
        kit_close(&work->template);
        assert_int_equal(rename(work->template.path, original), 0);
        assert_success(journal_backup(original, work->template.path, &error), &error);
    }
}

static void work_done_with(struct work *work)
{
    kit_done(&work->template);
    kit_done(&work->kit);
}

/* ---- what is in it ---- */

static bool count_live(void *user, uint64_t number, const struct record *record)
{
    size_t *count = user;
    (void)number;
    (void)record;
    (*count)++;
    return true;
}

static void check_entry(struct journal_entry *entry, uint64_t sequence)
{
    struct gtrid gtrid = kit_gtrid(KIT_EPOCH, sequence);
    loop_check(gtrid_equal(&entry->commit.as.commit.gtrid, &gtrid));
    loop_check(entry->ended == (sequence <= FINISHED));
    loop_check(entry->note_count == (sequence == 3 ? 1 : 0));
    loop_check(entry->commit.as.commit.branch_count == 2);
    loop_check(entry->commit.as.commit.branches[0].results->size_bytes == 6);
    journal_entry_done(entry);
}

static bool read_by_gtrid(struct journal *journal, uint64_t sequence, bool is_there,
                          struct error *ret_error)
{
    struct gtrid gtrid = kit_gtrid(KIT_EPOCH, sequence);
    struct journal_entry entry;
    bool found = false;
    if (!journal_find_gtrid(journal, &gtrid, &found, &entry, ret_error)) {
        return false;
    }
    loop_check(found == is_there);
    if (found) {
        check_entry(&entry, sequence);
    }
    return true;
}

static bool read_by_key(struct journal *journal, const char *key, uint64_t sequence,
                        struct error *ret_error)
{
    struct journal_entry entry;
    bool found = false;
    if (!journal_find_key(journal, key, strlen(key), &found, &entry, ret_error)) {
        return false;
    }
    loop_check(found == (sequence != 0));
    if (found) {
        check_entry(&entry, sequence);
    }
    return true;
}

static bool read_list(struct journal *journal, const char *participant, size_t expected,
                      struct error *ret_error)
{
    struct journal_entry *entries = NULL;
    size_t count = 0;
    if (!journal_list(journal, JOURNAL_LISTS_COMMITS, UINT64_MAX, participant, 10, &entries, &count,
                      ret_error)) {
        return false;
    }
    loop_check(count == expected);
    for (size_t i = 0; i < count; i++) {
        check_entry(&entries[i], COMMITS - i); /* newest first */
    }
    free(entries);
    return true;
}

static bool read_live(struct journal *journal, struct error *ret_error)
{
    size_t live = 0;
    if (!journal_replay(journal, count_live, &live, ret_error)) {
        return false;
    }
    loop_check(live == 4); /* 3's COMMIT, END and note; 4's COMMIT */
    return true;
}

static bool read_all(struct journal *journal, struct error *ret_error)
{
    struct journal_floor floor;
    uint8_t hash[HASH_BYTES];
    bool found = false;
    if (!journal_read_floor(journal, &floor, ret_error) ||
        !journal_hash_at(journal, 2, &found, hash, ret_error)) {
        return false;
    }
    loop_check(found && floor.first_number == 1);
    return read_by_gtrid(journal, 1, true, ret_error) &&
           read_by_gtrid(journal, 3, true, ret_error) &&
           read_by_gtrid(journal, 9, false, ret_error) &&
           read_by_key(journal, "key-4", 4, ret_error) &&
           read_by_key(journal, "no such key", 0, ret_error) &&
           read_list(journal, NULL, COMMITS, ret_error) &&
           read_list(journal, "payment", COMMITS, ret_error) &&
           read_list(journal, "nobody", 0, ret_error) && read_live(journal, ret_error);
}

/* An error of memory is called neither damage nor a wrong format nor absence. */
static bool refused(struct error *error)
{
    if (error->kind == ERROR_DAMAGED || error->kind == ERROR_VERSION ||
        error->kind == ERROR_NOT_FOUND) {
        (void)fprintf(stderr, "said: %s\n", error->text);
    }
    loop_check(error->kind != ERROR_DAMAGED && error->kind != ERROR_VERSION &&
               error->kind != ERROR_NOT_FOUND);
    return false;
}

/* After every child: the journal opens and holds all of it. */
static void end_with_all(void *user)
{
    struct work *work = user;
    struct error error = {0};
    work->kit.options.create = false;
    assert_success(kit_open(&work->kit, &error), &error);
    assert_success(read_all(work->kit.journal, &error), &error);
    kit_close(&work->kit);
}

/* ---- the operations ---- */

static bool run_create(void *user, struct error *ret_error)
{
    struct work *work = user;
    work->kit.options.create = true;
    if (!kit_open(&work->kit, ret_error)) {
        return refused(ret_error);
    }
    loop_check(journal_id_equal(&journal_state(work->kit.journal)->id, &kit_id));
    loop_check(journal_state(work->kit.journal)->head.number == 0);
    kit_close(&work->kit);
    return true;
}

static void end_created(void *user)
{
    struct work *work = user;
    struct error error = {0};
    work->kit.options.create = true; /* a file without tables is a new journal still */
    assert_success(kit_open(&work->kit, &error), &error);
    assert_int_equal(journal_state(work->kit.journal)->head.number, 0);
    kit_close(&work->kit);
}

static bool run_open(void *user, struct error *ret_error)
{
    struct work *work = user;
    work->kit.options.create = false;
    if (!kit_open(&work->kit, ret_error)) {
        return refused(ret_error);
    }
    loop_check(journal_state(work->kit.journal)->head.number == RECORD_COUNT);
    loop_check(journal_state(work->kit.journal)->participant_count == 2);
    loop_check(journal_state(work->kit.journal)->last_epoch == KIT_EPOCH);
    bool read = read_live(work->kit.journal, ret_error);
    kit_close(&work->kit);
    return read || refused(ret_error);
}

static void open_kit(void *user)
{
    struct work *work = user;
    struct error error = {0};
    work->kit.options.create = false;
    loop_check(kit_open(&work->kit, &error));
}

static void close_kit(void *user)
{
    struct work *work = user;
    kit_close(&work->kit);
}

static bool run_read(void *user, struct error *ret_error)
{
    struct work *work = user;
    return read_all(work->kit.journal, ret_error) || refused(ret_error);
}

static bool run_verify(void *user, struct error *ret_error)
{
    struct work *work = user;
    struct journal_report report;
    if (!journal_verify(work->kit.path, &report, ret_error)) {
        return refused(ret_error);
    }
    if (report.damaged) {
        (void)fprintf(stderr, "said: %s\n", report.damage);
    }
    loop_check(!report.damaged && report.record_count == RECORD_COUNT && report.live_count == 2);
    journal_report_done(&report);
    return true;
}

static bool run_dump(void *user, struct error *ret_error)
{
    struct work *work = user;
    size_t count = 0;
    if (!journal_dump(work->kit.path, count_live, &count, ret_error)) {
        return refused(ret_error);
    }
    loop_check(count == RECORD_COUNT);
    return true;
}

static bool run_backup(void *user, struct error *ret_error)
{
    struct work *work = user;
    char partial[160];
    bool made = journal_backup(work->kit.path, work->copy_path, ret_error);
    (void)snprintf(partial, sizeof partial, "%s.partial", work->copy_path);
    loop_check(access(partial, F_OK) != 0);
    loop_check((access(work->copy_path, F_OK) == 0) == made); /* all of it or nothing */
    (void)unlink(work->copy_path);
    return made || refused(ret_error);
}

static void end_with_backup(void *user)
{
    struct work *work = user;
    struct journal_report report;
    struct error error = {0};
    (void)unlink(work->copy_path);
    assert_success(journal_backup(work->kit.path, work->copy_path, &error), &error);
    assert_success(journal_verify(work->copy_path, &report, &error), &error);
    assert_false(report.damaged);
    assert_true(report.state.is_marked_copy);
    journal_report_done(&report);
    end_with_all(user);
}

static bool run_adopt(void *user, struct error *ret_error)
{
    struct work *work = user;
    return journal_adopt(work->kit.path, "for a test", ret_error) || refused(ret_error);
}

/* Either still a marked copy or adopted with its record, never half. */
static void end_adopted(void *user)
{
    struct work *work = user;
    struct error error = {0};
    work->kit.options.create = false;
    assert_success(kit_open(&work->kit, &error), &error);
    const struct journal_state *found = journal_state(work->kit.journal);
    assert_int_equal(found->head.number, RECORD_COUNT + (found->is_marked_copy ? 0 : 1));
    kit_close(&work->kit);
}

/* ---- tests ---- */

static void run_cases(const struct loop_case *cases, size_t count, bool is_marked_copy)
{
    struct work work;
    work_make(&work, is_marked_copy);
    for (size_t i = 0; i < count; i++) {
        struct loop_case operation = cases[i];
        operation.user = &work;
        operation.is_costly = true;
        assert_true(loop_allocations(&operation) > 10);
    }
    work_done_with(&work);
}

/* A journal is made whole, or the next start makes it. */
static void test_journal_create_allocation_fails_is_made_later(void **state)
{
    static const struct loop_case create = {
        .name = "a new journal", .begin = begin_empty, .run = run_create, .end = end_created};
    (void)state;
    run_cases(&create, 1, false);
}

/* Recovery that runs out of memory refuses to start and loses nothing. */
static void test_journal_recovery_allocation_fails_loses_nothing(void **state)
{
    static const struct loop_case recover = {
        .name = "recovery", .begin = begin_with_copy, .run = run_open, .end = end_with_all};
    (void)state;
    run_cases(&recover, 1, false);
}

/* A look-up gives what is there or an error, and the next one works. */
static void test_journal_reading_allocation_fails_is_never_absence(void **state)
{
    static const struct loop_case read = {.name = "look-ups",
                                          .begin = begin_with_copy,
                                          .open = open_kit,
                                          .run = run_read,
                                          .close = close_kit,
                                          .end = end_with_all};
    (void)state;
    run_cases(&read, 1, false);
}

/* The tools call nothing damaged that they had no memory to read, and a backup is whole or not there. */
static void test_journal_tools_allocation_fails_harm_nothing(void **state)
{
    static const struct loop_case tools[] = {
        {.name = "verify", .begin = begin_with_copy, .run = run_verify, .end = end_with_all},
        {.name = "dump", .begin = begin_with_copy, .run = run_dump, .end = end_with_all},
        {.name = "backup", .begin = begin_with_copy, .run = run_backup, .end = end_with_backup},
    };
    (void)state;
    run_cases(tools, sizeof tools / sizeof tools[0], false);
}

/* A copy is adopted with the record that says why, or is a copy still. */
static void test_journal_adopt_allocation_fails_is_all_or_nothing(void **state)
{
    static const struct loop_case adopt = {.name = "adopt",
                                           .begin = begin_with_copy,
                                           .run = run_adopt,
                                           .end = end_adopted,
                                           .only_fresh = true};
    (void)state;
    run_cases(&adopt, 1, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journal_create_allocation_fails_is_made_later),
        cmocka_unit_test(test_journal_recovery_allocation_fails_loses_nothing),
        cmocka_unit_test(test_journal_reading_allocation_fails_is_never_absence),
        cmocka_unit_test(test_journal_tools_allocation_fails_harm_nothing),
        cmocka_unit_test(test_journal_adopt_allocation_fails_is_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
