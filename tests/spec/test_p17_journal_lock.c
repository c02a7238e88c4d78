/*
 * test_p17_journal_lock.c - P-17: one journal, one coordinator, by a lock that lives as long as the process.
 */
#include "tests/lib/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/journal_kit.h"

static int set_up(void **state)
{
    struct journal_kit *kit = calloc(1, sizeof *kit);
    kit_init(kit, false);
    *state = kit;
    return 0;
}

static int tear_down(void **state)
{
    kit_done(*state);
    free(*state);
    return 0;
}

enum child_answer { CHILD_OPENED = 0, CHILD_LOCKED = 10, CHILD_OTHER = 11 };

/* Lets another process try to open the journal at this path. */
static int open_in_child(const char *path, const char *expected_text)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct journal_options options = {.path = path, .reserve_bytes = 4096};
        struct journal *journal;
        struct error error = {0};
        if (journal_open_sqlite(&options, &journal, &error)) {
            _exit(CHILD_OPENED);
        }
        _exit(error.kind == ERROR_LOCKED && strstr(error.text, expected_text) != NULL
                  ? CHILD_LOCKED
                  : CHILD_OTHER);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* A second process is turned away at once and told who has the journal. */
static void test_p17_second_process_is_told_the_holder(void **state)
{
    struct journal_kit *kit = *state;
    char pid_text[32];
    kit_start(kit);
    (void)snprintf(pid_text, sizeof pid_text, "process %ld", (long)getpid());
    assert_int_equal(open_in_child(kit->path, pid_text), CHILD_LOCKED);
}

/* Another name for the same file is no way around. */
static void test_p17_symbolic_link_is_no_way_around(void **state)
{
    struct journal_kit *kit = *state;
    char link_path[128];
    kit_start(kit);
    (void)snprintf(link_path, sizeof link_path, "%s/other.db", kit->folder);
    assert_int_equal(symlink(kit->path, link_path), 0);
    assert_int_equal(open_in_child(link_path, "in use"), CHILD_LOCKED);
}

/* Opening and closing the lock file elsewhere in the process, which would drop a classic POSIX lock, keeps it. */
static void test_p17_unrelated_close_keeps_the_lock(void **state)
{
    struct journal_kit *kit = *state;
    char lock_path[128];
    struct journal_report report;
    struct error error = {0};
    kit_start(kit);
    (void)snprintf(lock_path, sizeof lock_path, "%s.lock", kit->path);
    int descriptor = open(lock_path, O_RDWR);
    assert_true(descriptor >= 0);
    assert_int_equal(close(descriptor), 0);
    assert_success(journal_verify(kit->path, &report, &error), &error); /* looks at it, too */
    journal_report_done(&report);
    assert_int_equal(open_in_child(kit->path, "in use"), CHILD_LOCKED);
}

/* Closing lets it go; the lock file stays. */
static void test_p17_closed_journal_can_be_opened(void **state)
{
    struct journal_kit *kit = *state;
    kit_start(kit);
    kit_close(kit);
    assert_int_equal(open_in_child(kit->path, ""), CHILD_OPENED);
}

/* A killed holder leaves no lock behind, whatever stands in the file. */
static void test_p17_killed_holder_leaves_no_lock(void **state)
{
    struct journal_kit *kit = *state;
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct error error;
        bool opened = kit_open(kit, &error);
        (void)!write(ready[1], opened ? "y" : "n", 1);
        for (;;) {
            (void)pause();
        }
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    (void)close(ready[0]);
    (void)close(ready[1]);
    assert_int_equal(open_in_child(kit->path, "in use"), CHILD_LOCKED);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(open_in_child(kit->path, ""), CHILD_OPENED);
}

/* Two have the journal open: its lock did not work. */
static void open_twice(struct journal_kit *kit, struct journal_kit *other)
{
    struct error error = {0};
    char lock_path[128];
    kit_start(kit);
    (void)snprintf(lock_path, sizeof lock_path, "%s.lock", kit->path);
    assert_int_equal(unlink(lock_path), 0); /* the evil hand */
    assert_success(kit_open(other, &error), &error);
}

/* Should the lock not have worked (a network file system), a journal that somebody else has written to is
 * not written to again: the append is fenced. */
static void test_p17_foreign_write_fences_the_append(void **state)
{
    struct journal_kit *kit = *state;
    struct journal_kit other = *kit;
    struct journal_head head;
    struct error error = {0};
    open_twice(kit, &other);
    struct record epoch = kit_epoch(2, 0, NULL);
    assert_success(journal_append(other.journal, 2, &epoch, 1, &head, &error), &error);
    struct record commit = kit_commit(kit_gtrid(KIT_EPOCH, 1), NULL);
    assert_false(journal_append(kit->journal, KIT_EPOCH, &commit, 1, &head, &error));
    assert_int_equal(error.kind, ERROR_LOCKED);
    record_done(&commit);
    record_done(&epoch);
    journal_close(other.journal);
}

/* The other way round: what the owner writes between another start's reading and its EPOCH, that start does not know of. It would
 * presume aborted what is decided, and run what is refused. */
static void test_p17_record_after_the_reading_fences_the_epoch(void **state)
{
    struct journal_kit *kit = *state;
    struct journal_kit other = *kit;
    struct journal_head head;
    struct error error = {0};
    open_twice(kit, &other);
    (void)kit_append(kit, kit_commit(kit_gtrid(KIT_EPOCH, 1), NULL));
    struct record epoch = kit_epoch(2, 0, NULL);
    assert_false(journal_append(other.journal, 2, &epoch, 1, &head, &error));
    assert_int_equal(error.kind, ERROR_LOCKED);
    record_done(&epoch);
    journal_close(other.journal);
    (void)kit_append(kit, kit_end(kit_gtrid(KIT_EPOCH, 1), 0)); /* the owner goes on */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LOCK_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
        LOCK_TEST(test_p17_second_process_is_told_the_holder),
        LOCK_TEST(test_p17_symbolic_link_is_no_way_around),
        LOCK_TEST(test_p17_unrelated_close_keeps_the_lock),
        LOCK_TEST(test_p17_closed_journal_can_be_opened),
        LOCK_TEST(test_p17_killed_holder_leaves_no_lock),
        LOCK_TEST(test_p17_foreign_write_fences_the_append),
        LOCK_TEST(test_p17_record_after_the_reading_fences_the_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
