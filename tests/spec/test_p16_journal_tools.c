/*
 * test_p16_journal_tools.c - `assent journal`: verify, dump and backup beside a daemon; a copy is not
 * started by accident (P-10, P-16) but adopted knowingly.
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/journal_kit.h"

struct tools {
    struct journal_kit kit;
    struct journal_kit copy; /* in a folder of its own */
};

static int set_up(void **state)
{
    struct tools *tools = calloc(1, sizeof *tools);
    kit_init(&tools->kit, false);
    kit_init(&tools->copy, false);
    tools->copy.options.create = false;
    *state = tools;
    return 0;
}

static int tear_down(void **state)
{
    struct tools *tools = *state;
    kit_done(&tools->kit);
    kit_done(&tools->copy);
    free(tools);
    return 0;
}

static void fill(struct journal_kit *kit)
{
    kit_start(kit);
    kit_finished(kit, 1, "key-1", 10);
    (void)kit_append(kit, kit_commit(kit_gtrid(KIT_EPOCH, 2), NULL));
}

/* verify beside the running daemon reports the state and leaves the daemon undisturbed. */
static void test_p16_verify_runs_beside_the_daemon(void **state)
{
    struct tools *tools = *state;
    struct journal_report report;
    struct error error = {0};
    fill(&tools->kit);
    for (uint64_t sequence = 3; sequence < 6; sequence++) {
        assert_success(journal_verify(tools->kit.path, &report, &error), &error);
        assert_false(report.damaged);
        assert_int_equal(report.record_count, sequence + 1);
        assert_int_equal(report.live_count, sequence - 2);
        assert_int_equal(report.state.last_epoch, 1);
        assert_true(journal_id_equal(&report.state.id, &kit_id));
        journal_report_done(&report);
        (void)kit_append(&tools->kit, kit_commit(kit_gtrid(KIT_EPOCH, sequence), NULL));
    }
}

/* verify of what a killed daemon left reads its log as well, and changes nothing on disk. */
static void test_p16_verify_reads_a_wreck_without_touching_it(void **state)
{
    struct tools *tools = *state;
    struct journal_report report;
    struct error error = {0};
    char wal_path[128];
    struct stat before;
    struct stat after;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fill(&tools->kit);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    (void)snprintf(wal_path, sizeof wal_path, "%s-wal", tools->kit.path);
    assert_int_equal(stat(wal_path, &before), 0);
    assert_true(before.st_size > 0);
    assert_success(journal_verify(tools->kit.path, &report, &error), &error);
    assert_false(report.damaged);
    assert_int_equal(report.record_count, 4);
    journal_report_done(&report);
    assert_int_equal(stat(wal_path, &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    /* and damage in the log is damage for verify as for the daemon */
    FILE *file = fopen(wal_path, "r+");
    assert_int_equal(fseek(file, 100, SEEK_SET), 0);
    assert_true(fputs("damage", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_success(journal_verify(tools->kit.path, &report, &error), &error);
    assert_true(report.damaged);
    journal_report_done(&report);
}

/* verify of nothing is an error, not a clean report. */
static void test_p16_verify_of_missing_journal_is_error(void **state)
{
    struct tools *tools = *state;
    struct journal_report report;
    struct error error = {0};
    assert_false(journal_verify(tools->kit.path, &report, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
}

static bool collect(void *user, uint64_t number, const struct record *record)
{
    char *text = user;
    (void)snprintf(text + strlen(text), 64, "%llu %s,", (unsigned long long)number,
                   record_kind_text(record->kind));
    return number < 3;
}

/* dump shows every record in order, until the visitor has enough. */
static void test_p16_dump_shows_records_in_order(void **state)
{
    struct tools *tools = *state;
    struct error error = {0};
    char text[256] = {0};
    fill(&tools->kit);
    assert_success(journal_dump(tools->kit.path, collect, text, &error), &error);
    assert_string_equal(text, "1 epoch,2 commit,3 end,");
}

/* A backup taken beside the daemon holds what was durable, is marked, and takes no appends. */
static void test_p16_backup_is_marked_and_refused(void **state)
{
    struct tools *tools = *state;
    struct journal_head head;
    struct error error = {0};
    fill(&tools->kit);
    assert_success(journal_backup(tools->kit.path, tools->copy.path, &error), &error);
    (void)kit_append(&tools->kit, kit_commit(kit_gtrid(KIT_EPOCH, 3), NULL)); /* goes on */
    assert_success(kit_open(&tools->copy, &error), &error);
    const struct journal_state *found = journal_state(tools->copy.journal);
    assert_true(found->is_marked_copy);
    assert_int_equal(found->head.number, 4);
    assert_true(journal_id_equal(&found->id, &kit_id));
    struct record epoch = kit_epoch(2, 0, NULL);
    assert_false(journal_append(tools->copy.journal, 2, &epoch, 1, &head, &error));
    assert_int_equal(error.kind, ERROR_DENIED);
    record_done(&epoch);
}

/* A backup overwrites nothing. */
static void test_p16_backup_never_overwrites(void **state)
{
    struct tools *tools = *state;
    struct error error = {0};
    fill(&tools->kit);
    assert_success(journal_backup(tools->kit.path, tools->copy.path, &error), &error);
    assert_false(journal_backup(tools->kit.path, tools->copy.path, &error));
    assert_int_equal(error.kind, ERROR_INVALID);
    assert_false(journal_backup(tools->kit.path, tools->kit.path, &error));
}

/* An adopted copy starts: the mark is gone and an ADOPT record says why. */
static void test_p16_adopted_copy_starts(void **state)
{
    struct tools *tools = *state;
    struct journal_head head;
    struct error error = {0};
    char text[256] = {0};
    fill(&tools->kit);
    assert_success(journal_backup(tools->kit.path, tools->copy.path, &error), &error);
    assert_success(journal_adopt(tools->copy.path, "host a burnt down", &error), &error);
    assert_success(kit_open(&tools->copy, &error), &error);
    const struct journal_state *found = journal_state(tools->copy.journal);
    assert_false(found->is_marked_copy);
    assert_int_equal(found->head.number, 5);
    struct record epoch = kit_epoch(2, 0, NULL);
    assert_success(journal_append(tools->copy.journal, 2, &epoch, 1, &head, &error), &error);
    record_done(&epoch);
    kit_close(&tools->copy);
    assert_success(journal_dump(tools->copy.path, collect, text, &error), &error);
    char *live = NULL;
    kit_reopen(&tools->copy);
    live = kit_live_text(&tools->copy);
    assert_string_equal(live, "commit 1.2");
    free(live);
}

/* Only a marked copy can be adopted, and only one that nobody uses. */
static void test_p16_adopt_needs_a_free_marked_copy(void **state)
{
    struct tools *tools = *state;
    struct error error = {0};
    char comment[COMMENT_MAX_BYTES + 2];
    fill(&tools->kit);
    assert_false(journal_adopt(tools->kit.path, "in use", &error));
    assert_int_equal(error.kind, ERROR_LOCKED);
    kit_close(&tools->kit);
    assert_false(journal_adopt(tools->kit.path, "no copy", &error));
    assert_int_equal(error.kind, ERROR_INVALID);
    memset(comment, 'c', sizeof comment);
    comment[sizeof comment - 1] = 0;
    assert_false(journal_adopt(tools->kit.path, comment, &error));
    assert_int_equal(error.kind, ERROR_LIMIT);
    assert_false(journal_adopt(tools->copy.path, "", &error));
    assert_int_equal(error.kind, ERROR_INVALID);
    assert_false(journal_adopt(tools->copy.path, "nothing there", &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
}

/* A damaged journal is not copied as if it were a good one. */
static void test_p16_backup_of_damaged_journal_fails(void **state)
{
    struct tools *tools = *state;
    struct error error = {0};
    fill(&tools->kit);
    kit_close(&tools->kit);
    kit_sql(&tools->kit, "DELETE FROM record WHERE number = 2");
    assert_false(journal_backup(tools->kit.path, tools->copy.path, &error));
    assert_int_equal(error.kind, ERROR_DAMAGED);
    assert_int_not_equal(access(tools->copy.path, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TOOLS_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
        TOOLS_TEST(test_p16_verify_runs_beside_the_daemon),
        TOOLS_TEST(test_p16_verify_reads_a_wreck_without_touching_it),
        TOOLS_TEST(test_p16_verify_of_missing_journal_is_error),
        TOOLS_TEST(test_p16_dump_shows_records_in_order),
        TOOLS_TEST(test_p16_backup_is_marked_and_refused),
        TOOLS_TEST(test_p16_backup_never_overwrites),
        TOOLS_TEST(test_p16_adopted_copy_starts),
        TOOLS_TEST(test_p16_adopt_needs_a_free_marked_copy),
        TOOLS_TEST(test_p16_backup_of_damaged_journal_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
