/*
 * test_p16_journal_io.c - every call for a file fails, SQLite's and our own, while a journal is made, recovered, read, written,
 * trimmed, checkpointed, verified, copied, adopted: the n-th, once and for ever, for every n until the operation gets
 * through (P-16).
 *
 * The operation says an error, and not that the journal is damaged or something is not there; or it gets through and what
 * it gave is right. Afterwards the files hold all that was acknowledged. test_p16_journal_failing_disk.c looks closer at what is
 * written.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/failing_calls.h"
#include "tests/lib/failing_vfs.h"
#include "tests/lib/journal_kit.h"

#define N_MAX    5000
#define FINISHED 3 /* and a fourth that is not */
#define APPENDED 3 /* by the operation that writes */

static struct journal_kit template; /* as a killed process left it */
static struct journal_kit kit;      /* a copy of it for each n */
static char copy_path[128];

/* ---- what fails ---- */

struct fault {
    const char *name;
    enum failing_operation operation; /* 0: our own calls */
    int code;                         /* SQLite's, or errno */
};

static const struct fault faults[] = {
    {"writes", FAILING_WRITE, SQLITE_IOERR_WRITE},
    {"a full disk", FAILING_WRITE, SQLITE_FULL},
    {"syncs", FAILING_SYNC, SQLITE_IOERR_FSYNC},
    {"reads", FAILING_READ, SQLITE_IOERR_READ},
    {"opening", FAILING_OPEN, SQLITE_IOERR},
    {"locks", FAILING_LOCK, SQLITE_IOERR_LOCK},
    {"our own calls", 0, EIO},
    {"our own calls, full", 0, ENOSPC},
};

static void fault_arm(const struct fault *fault, size_t n, bool for_ever)
{
    if (fault->operation != 0) {
        failing_vfs_arm(fault->operation, n, fault->code, for_ever);
    } else {
        failing_calls_arm(n, fault->code, for_ever);
    }
}

static bool fault_disarm(const struct fault *fault)
{
    bool struck = fault->operation != 0 ? failing_vfs_struck() : failing_calls_struck();
    failing_vfs_disarm();
    failing_calls_disarm();
    return struck;
}

/* ---- files ---- */

static void begin_empty(void)
{
    kit_empty(&kit);
}

static void begin_with_copy(void)
{
    kit_copy(&kit, &template);
}

static void open_kit(void)
{
    struct error error = {0};
    kit.options.create = false;
    assert_success(kit_open(&kit, &error), &error);
}

static void begin_open(void)
{
    begin_with_copy();
    open_kit();
}

/* ---- what is in it ---- */

static bool find(uint64_t sequence, bool *ret_found, struct error *ret_error)
{
    struct gtrid gtrid = kit_gtrid(KIT_EPOCH, sequence);
    struct journal_entry entry;
    if (!journal_find_gtrid(kit.journal, &gtrid, ret_found, &entry, ret_error)) {
        return false;
    }
    if (*ret_found) {
        assert_int_equal(entry.ended, sequence != FINISHED + 1);
        journal_entry_done(&entry);
    }
    return true;
}

static bool count_one(void *user, uint64_t number, const struct record *record)
{
    size_t *count = user;
    (void)number;
    (void)record;
    (*count)++;
    return true;
}

static bool read_all(struct error *ret_error)
{
    struct journal_entry entry;
    struct journal_entry *entries = NULL;
    size_t count = 0, live = 0;
    bool found = false;
    for (uint64_t sequence = 1; sequence <= FINISHED + 1; sequence++) {
        if (!find(sequence, &found, ret_error)) {
            return false;
        }
        assert_true(found);
    }
    if (!journal_find_key(kit.journal, "key", 3, &found, &entry, ret_error)) {
        return false;
    }
    assert_true(found);
    journal_entry_done(&entry);
    if (!journal_list(kit.journal, JOURNAL_LISTS_COMMITS, UINT64_MAX, NULL, 10, &entries, &count,
                      ret_error)) {
        return false;
    }
    assert_true(count >= FINISHED + 1);
    for (size_t i = 0; i < count; i++) {
        journal_entry_done(&entries[i]);
    }
    free(entries);
    if (!journal_replay(kit.journal, count_one, &live, ret_error)) {
        return false;
    }
    assert_int_equal(live, 1);
    return true;
}

/* Nothing is lost, and the journal can be used again. */
static void end_with_all(void)
{
    struct error error = {0};
    kit_close(&kit);
    open_kit();
    assert_success(read_all(&error), &error);
    kit_close(&kit);
}

/* ---- operations ---- */

static bool run_create(struct error *ret_error)
{
    kit.options.create = true;
    if (!kit_open(&kit, ret_error)) {
        return false;
    }
    assert_int_equal(journal_state(kit.journal)->head.number, 0);
    kit_close(&kit);
    return true;
}

static void end_created(void)
{
    struct error error = {0};
    assert_success(run_create(&error), &error);
}

static bool run_recover(struct error *ret_error)
{
    kit.options.create = false;
    if (!kit_open(&kit, ret_error)) {
        return false;
    }
    assert_int_equal(journal_state(kit.journal)->head.number, 2 * FINISHED + 2);
    kit_close(&kit);
    return true;
}

static uint64_t acknowledged;

static bool run_append(struct error *ret_error)
{
    acknowledged = 0;
    for (uint64_t i = 1; i <= APPENDED; i++) {
        struct gtrid gtrid = kit_gtrid(KIT_EPOCH, 10 + i);
        struct record pair[2] = {kit_commit(gtrid, NULL), kit_end(gtrid, i)};
        struct journal_head head;
        bool appended = journal_append(kit.journal, KIT_EPOCH, pair, 2, &head, ret_error);
        record_done(&pair[0]);
        if (!appended) {
            return false;
        }
        acknowledged = i;
    }
    return true;
}

/* What was acknowledged is there, at most one more, and each whole. */
static void end_appended(void)
{
    struct error error = {0};
    kit_close(&kit);
    open_kit();
    for (uint64_t i = 1; i <= APPENDED; i++) {
        bool found = false;
        assert_success(find(10 + i, &found, &error), &error);
        assert_true(found || i > acknowledged);
        assert_true(!found || i <= acknowledged + 1);
    }
    end_with_all();
}

/* A clean stop copies the log into the journal and takes it away; what fails then loses nothing. */
static bool run_checkpoint(struct error *ret_error)
{
    (void)ret_error;
    kit_close(&kit);
    return true;
}

static bool run_trim(struct error *ret_error)
{
    struct journal_trim bounds = {.epoch = KIT_EPOCH,
                                  .now_running_ms = 100,
                                  .swept_number = UINT64_MAX,
                                  .slice_records = 100};
    struct journal_head head;
    struct journal_floor floor;
    bool more = false;
    return journal_trim(kit.journal, &bounds, &head, &floor, &more, ret_error);
}

/* All of the finished ones were passed, or none; the one that is not is there. */
static void end_trimmed(void)
{
    struct error error = {0};
    kit_close(&kit);
    open_kit();
    uint64_t floor = journal_state(kit.journal)->floor.sequence;
    for (uint64_t sequence = 1; sequence <= FINISHED + 1; sequence++) {
        bool found = false;
        assert_success(find(sequence, &found, &error), &error);
        assert_int_equal(found, sequence > floor);
    }
    assert_true(floor == 0 || floor == FINISHED);
    kit_close(&kit);
}

static bool run_verify(struct error *ret_error)
{
    struct journal_report report;
    if (!journal_verify(kit.path, &report, ret_error)) {
        return false;
    }
    if (report.damaged) {
        fail_msg("called damaged: %s", report.damage);
    }
    assert_int_equal(report.record_count, 2 * FINISHED + 2);
    journal_report_done(&report);
    return true;
}

static bool run_dump(struct error *ret_error)
{
    size_t count = 0;
    bool dumped = journal_dump(kit.path, count_one, &count, ret_error);
    assert_true(!dumped || count == 2 * FINISHED + 2);
    return dumped;
}

static bool run_backup(struct error *ret_error)
{
    char partial[160];
    (void)snprintf(partial, sizeof partial, "%s.partial", copy_path);
    bool made = journal_backup(kit.path, copy_path, ret_error);
    assert_int_not_equal(access(partial, F_OK), 0);
    return made;
}

/* A copy that is there is whole. */
static void end_with_backup(void)
{
    struct journal_report report;
    struct error error = {0};
    if (access(copy_path, F_OK) != 0) {
        assert_success(run_backup(&error), &error);
    }
    assert_success(journal_verify(copy_path, &report, &error), &error);
    assert_false(report.damaged);
    assert_true(report.state.is_marked_copy);
    journal_report_done(&report);
    end_with_all();
}

static void begin_with_marked_copy(void)
{
    struct error error = {0};
    char path[160];
    begin_with_copy();
    (void)snprintf(path, sizeof path, "%s/original.db", kit.folder);
    assert_int_equal(rename(kit.path, path), 0);
    char log_from[192], log_to[192];
    (void)snprintf(log_from, sizeof log_from, "%s-wal", kit.path);
    (void)snprintf(log_to, sizeof log_to, "%s-wal", path);
    assert_int_equal(rename(log_from, log_to), 0);
    assert_success(journal_backup(path, kit.path, &error), &error);
}

static bool run_adopt(struct error *ret_error)
{
    return journal_adopt(kit.path, "for a test", ret_error);
}

/* A marked copy still, or adopted with the record that says so. */
static void end_adopted(void)
{
    open_kit();
    const struct journal_state *found = journal_state(kit.journal);
    assert_int_equal(found->head.number, 2 * FINISHED + 2 + (found->is_marked_copy ? 0 : 1));
    end_with_all();
}

/* ---- the loop ---- */

struct operation {
    const char *name;
    void (*begin)(void);
    bool (*run)(struct error *ret_error);
    void (*end)(void);
};

static bool round_is_struck(const struct operation *operation, const struct fault *fault, size_t n,
                            bool for_ever)
{
    struct error error = {0};
    operation->begin();
    fault_arm(fault, n, for_ever);
    bool done = operation->run(&error);
    bool struck = fault_disarm(fault);
    if (!done && (!struck || error.text[0] == '\0' || error.kind == ERROR_DAMAGED ||
                  error.kind == ERROR_VERSION || error.kind == ERROR_NOT_FOUND)) {
        fail_msg("%s, %s, the %zu. %s: %s", operation->name, fault->name, n,
                 for_ever ? "and all after it" : "alone", error.text);
    }
    operation->end();
    kit_close(&kit);
    return struck;
}

static void fail_everything(const struct operation *operation)
{
    size_t total = 0;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        for (int for_ever = 0; for_ever < 2; for_ever++) {
            size_t n = 1;
            while (round_is_struck(operation, &faults[i], n, for_ever != 0)) {
                n++;
                assert_true(n < N_MAX);
            }
            total += n - 1;
        }
    }
    print_message("%s: %zu failing calls\n", operation->name, total);
    assert_true(total >= 10);
}

static int set_up(void **state)
{
    (void)state;
    kit_init(&template, false);
    kit_init(&kit, false);
    (void)snprintf(copy_path, sizeof copy_path, "%s/copy.db", kit.folder);
    kit_start(&template);
    for (uint64_t sequence = 1; sequence <= FINISHED; sequence++) {
        kit_finished(&template, sequence, sequence == 1 ? "key" : NULL, sequence);
    }
    (void)kit_append(&template, kit_commit(kit_gtrid(KIT_EPOCH, FINISHED + 1), NULL));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kit_done(&template);
    kit_done(&kit);
    return 0;
}

static const struct operation operations[] = {
    {"create", begin_empty, run_create, end_created},
    {"recover", begin_with_copy, run_recover, end_with_all},
    {"read", begin_open, read_all, end_with_all},
    {"append", begin_open, run_append, end_appended},
    {"checkpoint", begin_open, run_checkpoint, end_with_all},
    {"trim", begin_open, run_trim, end_trimmed},
    {"verify", begin_with_copy, run_verify, end_with_all},
    {"dump", begin_with_copy, run_dump, end_with_all},
    {"backup", begin_with_copy, run_backup, end_with_backup},
    {"adopt", begin_with_marked_copy, run_adopt, end_adopted},
};

/* Whatever call fails: an error that says what it is, or the right result; and nothing acknowledged is lost. */
static void test_p16_any_call_fails_nothing_is_lost(void **state)
{
    fail_everything(*state);
}

/* The reserve: what cannot be made is not believed to be held, and is taken when it can be. */
static void test_p16_reserve_fails_is_taken_later(void **state)
{
    char path[160];
    struct stat status;
    (void)state;
    (void)snprintf(path, sizeof path, "%s.reserve", kit.path);
    size_t struck = 0;
    bool met = true;
    for (size_t n = 1; met; n++) {
        begin_open();
        (void)unlink(path);
        kit_close(&kit);
        open_kit(); /* takes it */
        kit_close(&kit);
        (void)unlink(path);
        failing_calls_arm(n, ENOSPC, true);
        struct error error = {0};
        bool opened = kit_open(&kit, &error);
        bool has_space = opened && journal_has_space(kit.journal);
        met = failing_calls_struck();
        failing_calls_disarm();
        struck += met ? 1 : 0;
        assert_true(!met || !has_space ||
                    (stat(path, &status) == 0 && status.st_size >= 64 * 1024));
        kit_close(&kit);
        open_kit();
        assert_true(journal_has_space(kit.journal));
        assert_int_equal(stat(path, &status), 0);
        assert_true(status.st_size >= 64 * 1024);
        end_with_all();
    }
    assert_true(struck > 3);
}

int main(void)
{
    struct CMUnitTest tests[sizeof operations / sizeof operations[0] + 1];
    char names[sizeof operations / sizeof operations[0]][80];
    size_t count = 0;
    for (; count < sizeof operations / sizeof operations[0]; count++) {
        (void)snprintf(names[count], sizeof names[count], "test_p16_any_call_fails: %s",
                       operations[count].name);
        tests[count] = (struct CMUnitTest){
            .name = names[count],
            .test_func = test_p16_any_call_fails_nothing_is_lost,
            .initial_state = (void *)(uintptr_t)&operations[count],
        };
    }
    tests[count] = (struct CMUnitTest)cmocka_unit_test(test_p16_reserve_fails_is_taken_later);
    failing_vfs_install();
    failing_vfs_skip_syncs();
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
