/*
 * test_checker_cycles.c - G1: each class of anomaly, planted by hand, is found under its name with its shortest
 * cycle; and what is allowed is not found.
 */
#include "tests/checker/kit.h"

/* A history without anything wrong passes, reads and writes in both databases included. */
static void test_checker_valid_history_passes(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", APPEND("a", "x", 1) "," APPEND("b", "y", 1));
    kit_op(&kit, 2, 20, 30, "L", "ok", READ("a", "x", "[1]") "," APPEND("b", "y", 2));
    kit_op(&kit, 3, 25, 50, "L", "ok",
           APPEND("a", "x", 3) "," READ("a", "x", "[1,3]") "," READ("b", "y", "[1,2]"));
    kit_op(&kit, 4, 60, 70, "L", "fail", APPEND("a", "x", 4));
    kit_op(&kit, 5, 60, 70, "L", "unknown", APPEND("a", "x", 5));
    kit_op(&kit, 6, 60, 70, "L", "unknown", APPEND("b", "y", 6));
    kit_op(&kit, 7, 80, 90, "L", "ok", READ("b", "y", "[1,2,6]") "," READ("b", "empty", "null"));
    kit_rest(&kit, "'lists':{'x':[1,3]},", "'lists':{'y':[1,2,6],'empty':[]},");
    kit_judge(&kit);
    kit_passes(&kit);
    assert_int_equal(kit.report.status[CHECK_G1], STATUS_PASSED);
    assert_int_equal(kit.report.figures.resolved_committed, 1);
    kit_done(&kit);
}

/* Dirty write: two transactions overwrite each other in opposite orders. */
static void test_checker_g0_is_named(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", APPEND("a", "x", 1) "," APPEND("b", "y", 1));
    kit_op(&kit, 2, 0, 10, "L", "ok", APPEND("a", "x", 2) "," APPEND("b", "y", 2));
    kit_op(&kit, 3, 0, 10, "L", "ok", READ("a", "x", "[1,2]") "," READ("b", "y", "[2,1]"));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "G0");
    kit_cycle(&kit, "G0", "1 2", false);
    kit_done(&kit);
}

/* Aborted read: what was told to be undone is seen. */
static void test_checker_g1a_is_named(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "fail", APPEND("a", "x", 1));
    kit_op(&kit, 2, 20, 30, "S", "ok", READ("a", "x", "[1]"));
    kit_op(&kit, 3, 0, 10, "L", "fail", WRITE("b", "r", 7));
    kit_op(&kit, 4, 20, 30, "S", "ok", READ("b", "r", "7"));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "G1a");
    assert_int_equal(kit_count(&kit, CHECK_G1, "G1a"), 2);
    kit_done(&kit);
}

/* Intermediate read: a version that its own transaction replaced. */
static void test_checker_g1b_is_named(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", APPEND("a", "x", 1) "," APPEND("a", "x", 2));
    kit_op(&kit, 2, 0, 10, "S", "ok", READ("a", "x", "[1]"));
    kit_op(&kit, 3, 0, 10, "L", "ok", READ("a", "x", "[1,2]"));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "G1b");
    kit_done(&kit);
}

/* Circular information flow: each of two transactions sees the other. */
static void test_checker_g1c_is_named_in_both_modes(void **state)
{
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        struct kit kit;
        const char *text = mode == 0 ? "L" : "S";
        kit_begin(&kit);
        kit_op(&kit, 1, 0, 10, text, "ok", APPEND("a", "x", 1) "," READ("b", "y", "[2]"));
        kit_op(&kit, 2, 0, 10, text, "ok", APPEND("b", "y", 2) "," READ("a", "x", "[1]"));
        kit_judge(&kit);
        kit_only(&kit, CHECK_G1, "G1c");
        kit_cycle(&kit, "G1c", "1 2", false);
        kit_done(&kit);
    }
}

/* Read skew with locks is a violation; the words say who did not see what. */
static void test_checker_g_single_with_locking_reads_is_a_violation(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", APPEND("a", "x", 1) "," APPEND("b", "y", 3));
    kit_op(&kit, 2, 0, 10, "L", "ok", READ("a", "x", "[1]") "," READ("b", "y", "[]"));
    kit_rest(&kit, "'lists':{'x':[1]},", "'lists':{'y':[3]},");
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "G-single");
    kit_cycle(&kit, "G-single", "1 2", false);
    assert_string_equal(kit.report.findings.items[0].text,
                        "T2 < T1 because T2 found nothing in b:y (a locking read), before T1 "
                        "appended 3; but T1 < T2 because T2 read T1's append of 1 to a:x");
    kit_done(&kit);
}

/* The same with plain reads is counted as fractured, shown, and allowed. */
static void test_checker_g_single_with_plain_reads_is_counted(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "S", "ok", APPEND("a", "x", 1) "," APPEND("b", "y", 3));
    kit_op(&kit, 2, 0, 10, "S", "ok", READ("a", "x", "[1]") "," READ("b", "y", "[]"));
    kit_op(&kit, 3, 0, 10, "S", "ok", READ("a", "x", "[1]") "," READ("b", "y", "[3]"));
    kit_op(&kit, 4, 0, 10, "S", "ok", READ("a", "x", "[]") "," READ("b", "y", "[]"));
    kit_judge(&kit);
    kit_passes(&kit);
    kit_cycle(&kit, "G-single", "1 2", true);
    assert_int_equal(kit.report.figures.snapshot_reads, 3);
    assert_int_equal(kit.report.figures.fractured_reads, 1);
    kit_done(&kit);
}

/* A plain read that misses T1 in one list and sees in another what came after T1's. */
static void test_checker_fractured_read_of_a_later_version_is_counted(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", APPEND("a", "x", 1) "," APPEND("b", "y", 1));
    kit_op(&kit, 2, 0, 10, "L", "ok", APPEND("a", "x", 2));
    kit_op(&kit, 3, 0, 10, "S", "ok", READ("a", "x", "[1,2]") "," READ("b", "y", "null"));
    kit_rest(&kit, "'lists':{'x':[1,2]},", "'lists':{'y':[1]},");
    kit_judge(&kit);
    kit_passes(&kit);
    assert_int_equal(kit.report.figures.fractured_reads, 1);
    kit_done(&kit);
}

/* Write skew: two reads that each miss the other's write. */
static void test_checker_g2_is_named(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", READ("a", "x", "[]") "," APPEND("b", "y", 1));
    kit_op(&kit, 2, 0, 10, "L", "ok", READ("b", "y", "[]") "," APPEND("a", "x", 2));
    kit_rest(&kit, "'lists':{'x':[2]},", "'lists':{'y':[1]},");
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "G2");
    kit_cycle(&kit, "G2", "1 2", false);
    kit_done(&kit);
}

/* Long fork: two readers see two writers in opposite orders. */
static void test_checker_long_fork_is_a_g2(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", APPEND("a", "x", 1));
    kit_op(&kit, 2, 0, 10, "L", "ok", APPEND("b", "y", 2));
    kit_op(&kit, 3, 0, 10, "L", "ok", READ("a", "x", "[1]") "," READ("b", "y", "[]"));
    kit_op(&kit, 4, 0, 10, "L", "ok", READ("a", "x", "[]") "," READ("b", "y", "[2]"));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "G2");
    kit_cycle(&kit, "G2", "1 3 2 4", false);
    kit_done(&kit);
}

/* The order of versions contradicts the clock. */
static void test_checker_g0_realtime_is_named(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "S", "ok", APPEND("a", "x", 1));
    kit_op(&kit, 2, 20, 30, "S", "ok", APPEND("a", "x", 2));
    kit_rest(&kit, "'lists':{'x':[2,1]},", "");
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "G0-realtime");
    kit_cycle(&kit, "G0-realtime", "1 2", false);
    kit_done(&kit);
}

/* A read from the future. */
static void test_checker_g1c_realtime_is_named(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "S", "ok", READ("a", "x", "[1]"));
    kit_op(&kit, 9, 12, 15, "S", "ok", READ("b", "z", "[]"));
    kit_op(&kit, 2, 20, 30, "S", "ok", APPEND("a", "x", 1));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "G1c-realtime");
    kit_cycle(&kit, "G1c-realtime", "1 2", false);
    kit_done(&kit);
}

/* A locking read that misses what had been answered before it was sent. */
static void test_checker_g_single_realtime_is_named(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", APPEND("a", "x", 1));
    kit_op(&kit, 2, 20, 30, "L", "ok", READ("a", "x", "[]"));
    kit_rest(&kit, "'lists':{'x':[1]},", "");
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "G-single-realtime");
    kit_cycle(&kit, "G-single-realtime", "1 2", false);
    kit_done(&kit);
}

/* Two reads that miss something, joined by time. */
static void test_checker_g2_realtime_is_named(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 20, 30, "L", "ok", READ("a", "x", "[]"));
    kit_op(&kit, 2, 0, 50, "L", "ok", READ("b", "y", "[]") "," APPEND("a", "x", 2));
    kit_op(&kit, 3, 5, 10, "L", "ok", APPEND("b", "y", 3));
    kit_rest(&kit, "'lists':{'x':[2]},", "'lists':{'y':[3]},");
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "G2-realtime");
    kit_cycle(&kit, "G2-realtime", "1 2 3", false);
    kit_done(&kit);
}

/* Equal times order nothing: an answer and a request in the same microsecond may have crossed. */
static void test_checker_equal_times_are_not_ordered(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", APPEND("a", "x", 1));
    kit_op(&kit, 2, 10, 20, "L", "ok", READ("a", "x", "[]"));
    kit_rest(&kit, "'lists':{'x':[1]},", "");
    kit_judge(&kit);
    kit_passes(&kit);
    kit_done(&kit);
}

/* An unknown transaction may take effect at any later time: time orders nothing after it. */
static void test_checker_unknown_transaction_is_not_ordered_by_time(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "unknown", APPEND("a", "x", 1));
    kit_op(&kit, 2, 20, 30, "L", "ok", READ("a", "x", "[]"));
    kit_op(&kit, 3, 40, 50, "L", "ok", READ("a", "x", "[1]"));
    kit_judge(&kit);
    kit_passes(&kit);
    kit_done(&kit);
}

/* Plain reads may be fractured, but not miss what was completed everywhere before they were sent. */
static void test_checker_stale_plain_read_is_a_violation_once_completed(void **state)
{
    (void)state;
    for (int completed = 0; completed < 2; completed++) {
        struct kit kit;
        kit_begin(&kit);
        kit_line(&kit,
                 "{'type':'op','i':1,'client':'c','workload':'W2','t_inv':0,'t_ret':10,"
                 "'completed':%s,'result':'ok','ops':[" APPEND("a", "x", 1) "]}",
                 completed ? "true" : "false");
        kit_op(&kit, 2, 20, 30, "S", "ok", READ("a", "x", "[]"));
        kit_rest(&kit, "'lists':{'x':[1]},", "");
        kit_judge(&kit);
        if (completed) {
            kit_only(&kit, CHECK_G1, "stale-read");
        } else {
            kit_passes(&kit);
        }
        kit_done(&kit);
    }
}

/* A repeated key gets the recorded answer: what it read is as old as the first request, not stale. */
static void test_checker_repeated_plain_read_is_as_old_as_its_first_request(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_line(&kit, "{'type':'op','i':1,'client':'c','workload':'W2','mode':'S','key':'k','t_inv':0,"
                   "'t_ret':null,'result':'unknown','ops':[{'f':'r','db':'a','k':'x'}]}");
    kit_line(&kit, "{'type':'op','i':2,'client':'d','workload':'W2','t_inv':10,'t_ret':20,"
                   "'completed':true,'result':'ok','ops':[" APPEND("a", "x", 1) "]}");
    kit_line(&kit,
             "{'type':'op','i':3,'client':'c','workload':'W2','mode':'S','key':'k','t_inv':30,"
             "'t_ret':40,'result':'ok','ops':[" READ("a", "x", "[]") "]}");
    kit_rest(&kit, "'lists':{'x':[1]},", "");
    kit_judge(&kit);
    kit_passes(&kit);
    kit_done(&kit);
}

/* Among several cycles of a class in one component the shortest is told. */
static void test_checker_shortest_cycle_is_told(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    /* 1 -> 2 -> 3 -> 4 -> 1 by reads, and 3 -> 2 as a short cut. */
    kit_op(&kit, 1, 0, 10, "L", "ok", APPEND("a", "p", 1) "," READ("a", "s", "[4]"));
    kit_op(&kit, 2, 0, 10, "L", "ok",
           APPEND("a", "q", 2) "," READ("a", "p", "[1]") "," READ("b", "t", "[33]"));
    kit_op(&kit, 3, 0, 10, "L", "ok",
           APPEND("a", "r", 3) "," READ("a", "q", "[2]") "," APPEND("b", "t", 33));
    kit_op(&kit, 4, 0, 10, "L", "ok", APPEND("a", "s", 4) "," READ("a", "r", "[3]"));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "G1c");
    assert_int_equal(kit.report.cycles.count, 1);
    kit_cycle(&kit, "G1c", "2 3", false);
    kit_done(&kit);
}

/* Time between transactions that are far apart costs one step, however many barriers lie between. */
static void test_checker_time_is_one_step_over_many_barriers(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", READ("a", "x", "[2]"));
    for (int i = 0; i < 50; i++) {
        kit_op(&kit, 100 + i, 20 + 20 * i, 30 + 20 * i, "L", "ok", READ("b", "z", "[]"));
    }
    kit_op(&kit, 2, 5000, 5010, "L", "ok", APPEND("a", "x", 2));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "G1c-realtime");
    kit_cycle(&kit, "G1c-realtime", "1 2", false);
    kit_done(&kit);
}

/* A version that its own transaction replaced is intermediate, also if nobody saw the later one. */
static void test_checker_g1b_is_named_without_a_read_of_the_last_version(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", APPEND("a", "x", 1) "," APPEND("a", "x", 2));
    kit_op(&kit, 2, 0, 10, "S", "ok", READ("a", "x", "[1]"));
    kit_op(&kit, 3, 0, 10, "L", "unknown", WRITE_N("b", "r", 1, 1) "," WRITE_N("b", "r", 2, 2));
    kit_op(&kit, 4, 0, 10, "S", "ok", READ_N("b", "r", 1, 1));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "G1b");
    assert_int_equal(kit_count(&kit, CHECK_G1, "G1b"), 2);
    kit_done(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checker_valid_history_passes),
        cmocka_unit_test(test_checker_g0_is_named),
        cmocka_unit_test(test_checker_g1a_is_named),
        cmocka_unit_test(test_checker_g1b_is_named),
        cmocka_unit_test(test_checker_g1c_is_named_in_both_modes),
        cmocka_unit_test(test_checker_g_single_with_locking_reads_is_a_violation),
        cmocka_unit_test(test_checker_g_single_with_plain_reads_is_counted),
        cmocka_unit_test(test_checker_fractured_read_of_a_later_version_is_counted),
        cmocka_unit_test(test_checker_g2_is_named),
        cmocka_unit_test(test_checker_long_fork_is_a_g2),
        cmocka_unit_test(test_checker_g0_realtime_is_named),
        cmocka_unit_test(test_checker_g1c_realtime_is_named),
        cmocka_unit_test(test_checker_g_single_realtime_is_named),
        cmocka_unit_test(test_checker_g2_realtime_is_named),
        cmocka_unit_test(test_checker_equal_times_are_not_ordered),
        cmocka_unit_test(test_checker_unknown_transaction_is_not_ordered_by_time),
        cmocka_unit_test(test_checker_stale_plain_read_is_a_violation_once_completed),
        cmocka_unit_test(test_checker_repeated_plain_read_is_as_old_as_its_first_request),
        cmocka_unit_test(test_checker_shortest_cycle_is_told),
        cmocka_unit_test(test_checker_time_is_one_step_over_many_barriers),
        cmocka_unit_test(test_checker_g1b_is_named_without_a_read_of_the_last_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
