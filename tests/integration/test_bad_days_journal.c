/*
 * test_bad_days_journal.c - bad days of the journal, with real daemons: two coordinators want it, it
 * was copied, restored from an older copy, deleted. (Its disk is full: test_bad_days_disk.c.)
 */
#include "test_bad_days_kit.h"

#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

/* --- two coordinators ------------------------------------------------------------------------- */

static void expect_text(const char *output, const char *text)
{
    if (strstr(output, text) == NULL) {
        fail_msg("\"%s\" is not said in: %s", text, output);
    }
}

/* A second coordinator on a journal that is in use leaves with an error that names the first one's
 * process; the first one does not notice. */
static void test_second_coordinator_on_one_journal_is_refused(void **state)
{
    struct day *day = *state;
    struct deal deal;
    char pid[32];
    int code = 0;
    char *config = day_other_config(day, NULL);
    char *output = day_run_assentd(day, config, &code);
    assert_int_equal(code, EX_UNAVAILABLE);
    (void)snprintf(pid, sizeof pid, "process %d", stack_daemon_pid(stack_coordinator(day->stack)));
    expect_text(output, pid);
    deal_make(day, &deal, (struct checkout){0});
    deal_submit(day, &deal);
    deal_expect(day, &deal, TOLD_COMMITTED, 1);
    free(config);
    free(output);
    deal_done(&deal);
}

static void stop_coordinator(struct day *day)
{
    struct error error;
    assert_success(stack_daemon_stop(stack_coordinator(day->stack), &error), &error);
}

static void copy_path(struct day *day, char ret_path[256])
{
    (void)snprintf(ret_path, 256, "%s/copy.db", stack_folder(day->stack));
}

/* A copy that is started after the original went on is told by the agents that it lacks what they
 * know, and leaves; the original goes on. */
static void test_copied_journal_behind_the_original_is_refused(void **state)
{
    struct day *day = *state;
    struct deal deal;
    char copy[256];
    int code = 0;
    deal_make(day, &deal, (struct checkout){0});
    copy_path(day, copy);
    stop_coordinator(day);
    day_copy_journal(day, stack_journal_path(day->stack), copy);
    day_start(day);
    char *config = day_other_config(day, copy);
    char *output = day_run_assentd(day, config, &code);
    if (code != EX_DATAERR && code != EX_NOPERM) {
        fail_msg("exit code %d: %s", code, output);
    }
    expect_text(output, code == EX_DATAERR ? "journal behind" : "fenced");
    /* The copy's links may have taken the place of the original's for a moment. */
    day_expect_whole(day);
    deal_submit(day, &deal);
    deal_expect(day, &deal, TOLD_COMMITTED, 1);
    free(config);
    free(output);
    deal_done(&deal);
}

/* A copy of a running coordinator's journal takes the next epoch: the agents follow it and refuse the
 * original, which leaves as fenced. Never do both have the agents' ear. */
static void test_copy_with_a_higher_epoch_fences_the_original(void **state)
{
    struct day *day = *state;
    struct stack_daemon *coordinator = stack_coordinator(day->stack);
    char copy[256];
    struct deal deal;
    struct error error;
    copy_path(day, copy);
    day_copy_journal(day, stack_journal_path(day->stack), copy);
    char *config = day_other_config(day, copy);
    off_t offset = stack_daemon_log_size(coordinator);
    day_second_start(day, config);
    assert_int_equal(day_exit_code(day, coordinator), EX_NOPERM);
    assert_true(stack_daemon_log_contains(coordinator, offset, "fenced"));
    day_second_wait_log(day, "participant ready");
    /* Started again, the original hears from the agents whose the journal is now. */
    assert_success(stack_daemon_start(coordinator, NULL, &error), &error);
    int code = day_exit_code(day, coordinator);
    assert_true(code == EX_NOPERM || code == EX_DATAERR);
    deal_make(day, &deal, (struct checkout){0});
    deal_submit(day, &deal);
    deal_expect(day, &deal, TOLD_NOTHING, 0);
    free(config);
    deal_done(&deal);
}

/* --- lost and restored ------------------------------------------------------------------------ */

static bool witness_is_new(void *user)
{
    const struct day *day = user;
    double head = 0;
    char *value = NULL;
    bool is_new = stack_metric(day->stack, "assent_journal_head", &head, NULL) &&
                  stack_sql(day->stack, DAY_ORDER, "SELECT max(head_number) FROM assent.witness",
                            &value, NULL) &&
                  value != NULL && strtod(value, NULL) >= head;
    free(value);
    return is_new;
}

/* A journal that was restored from an older copy refuses to start, names who knows better, and
 * leaves the prepared rows alone; with the newest journal back everything is finished. */
static void test_restored_journal_refuses_to_start(void **state)
{
    struct day *day = *state;
    struct stack_daemon *coordinator = stack_coordinator(day->stack);
    struct deal known, decided;
    struct error error;
    char old[256], newest[256];
    const char *journal = stack_journal_path(day->stack);
    (void)snprintf(old, sizeof old, "%s/old.db", stack_folder(day->stack));
    (void)snprintf(newest, sizeof newest, "%s/newest.db", stack_folder(day->stack));
    stop_coordinator(day);
    day_copy_journal(day, journal, old);
    day_start(day);
    deal_make(day, &known, (struct checkout){0});
    deal_submit(day, &known);
    deal_expect(day, &known, TOLD_COMMITTED, 1);
    assert_true(stack_poll(coordinator, day_soon(), witness_is_new, day));
    deal_make(day, &decided, (struct checkout){0});
    day_leave_at(day, &decided, "c.decide.post_sync");

    day_copy_journal(day, journal, newest);
    day_remove_journal(journal);
    day_copy_journal(day, old, journal);
    off_t offset = stack_daemon_log_size(coordinator);
    assert_success(stack_daemon_start(coordinator, NULL, &error), &error);
    int code = day_exit_code(day, coordinator);
    assert_true(code == EX_DATAERR || code == EX_NOPERM);
    assert_true(stack_daemon_log_contains(coordinator, offset,
                                          code == EX_DATAERR ? "journal behind" : "fenced"));
    assert_int_equal(stack_prepared_total(day->stack), 2);

    day_remove_journal(journal);
    day_copy_journal(day, newest, journal);
    day_start(day);
    day_expect_whole(day);
    deal_expect_rows(day, &decided, 1);
    deal_again(day, &known, TOLD_COMMITTED, 1);
    deal_done(&known);
    deal_done(&decided);
}

/* A deleted journal is a new one: the old rows are foreign to it, shown, and never touched; new work
 * goes on beside them. */
static void test_deleted_journal_leaves_old_rows_to_a_person(void **state)
{
    struct day *day = *state;
    struct deal lost, fresh;
    deal_make(day, &lost, (struct checkout){0});
    day_leave_at(day, &lost, "c.decide.post_sync");
    day_remove_journal(stack_journal_path(day->stack));
    day_start(day);
    day_wait_participant(day, "order", "foreign", 1);
    day_wait_participant(day, "payment", "foreign", 1);
    deal_make(day, &fresh, (struct checkout){0});
    deal_submit(day, &fresh);
    deal_expect(day, &fresh, TOLD_COMMITTED, 1);
    assert_int_equal(stack_prepared_total(day->stack), 2);
    for (size_t i = DAY_ORDER; i <= DAY_PAYMENT; i++) { /* a person decides */
        char sql[256];
        char *gid = day_gid(day, i);
        (void)snprintf(sql, sizeof sql, "COMMIT PREPARED '%s'", gid);
        day_sql(day, i, sql);
        free(gid);
    }
    deal_expect_rows(day, &lost, 1);
    day_wait_participant(day, "order", "foreign", 0);
    deal_done(&lost);
    deal_done(&fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        day_test(test_second_coordinator_on_one_journal_is_refused),
        day_test(test_copied_journal_behind_the_original_is_refused),
        day_test(test_copy_with_a_higher_epoch_fences_the_original),
        day_test(test_restored_journal_refuses_to_start),
        day_test(test_deleted_journal_leaves_old_rows_to_a_person),
    };
    return cmocka_run_group_tests(tests, day_clusters_make, day_clusters_free);
}
