/*
 * test_checker_elements.c - G1 below cycles: single elements that are lost, invented, doubled or out of order, and
 * the order of registers.
 */
#include "tests/checker/kit.h"

/* An acknowledged append that the database does not hold. */
static void test_checker_lost_element_is_found(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", APPEND("a", "x", 1));
    kit_op(&kit, 2, 20, 30, "L", "ok", APPEND("a", "x", 2));
    kit_rest(&kit, "'lists':{'x':[1]},", "");
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "lost-element");
    assert_int_equal(kit_count(&kit, CHECK_G1, "lost-element"), 1);
    kit_done(&kit);
}

/* One that somebody had read and that is gone at the end, though its client never got an answer. */
static void test_checker_element_that_vanished_is_found(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "unknown", APPEND("a", "x", 1));
    kit_op(&kit, 2, 20, 30, "L", "ok", READ("a", "x", "[1]"));
    kit_rest(&kit, "'lists':{'x':[]},", "");
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "lost-element");
    kit_done(&kit);
}

/* An element that nobody appended. */
static void test_checker_phantom_is_found(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", APPEND("a", "x", 1));
    kit_op(&kit, 2, 20, 30, "L", "ok", READ("a", "x", "[1,7]"));
    kit_op(&kit, 3, 20, 30, "L", "ok", READ("b", "r", "5"));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "phantom");
    assert_int_equal(kit_count(&kit, CHECK_G1, "phantom"), 2);
    kit_done(&kit);
}

/* What was there before the first request is no phantom. */
static void test_checker_beginning_is_no_phantom(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_line(&kit, "{'type':'dump','t':0,'at':'begin','db':'a','lists':{'x':[9]},"
                   "'registers':{'r':[5,1]}}");
    kit_op(&kit, 1, 0, 10, "L", "ok", APPEND("a", "x", 1) "," READ_N("a", "r", 5, 1));
    kit_op(&kit, 2, 20, 30, "L", "ok", READ("a", "x", "[9,1]"));
    kit_judge(&kit);
    kit_passes(&kit);
    kit_done(&kit);
}

/* One append that is there twice. */
static void test_checker_duplicate_element_is_found(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", APPEND("a", "x", 1));
    kit_op(&kit, 2, 20, 30, "L", "ok", READ("a", "x", "[1,1]"));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "duplicate-element");
    kit_done(&kit);
}

/* Two reads that agree on no order. */
static void test_checker_incompatible_orders_are_found(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", APPEND("a", "x", 1));
    kit_op(&kit, 2, 0, 10, "L", "ok", APPEND("a", "x", 2));
    kit_op(&kit, 3, 20, 30, "L", "ok", READ("a", "x", "[1,2]"));
    kit_op(&kit, 4, 20, 30, "L", "ok", READ("a", "x", "[2,1]"));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "incompatible-order");
    kit_done(&kit);
}

/* A transaction that does not see what it wrote itself. */
static void test_checker_internal_contradiction_is_found(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", APPEND("a", "x", 1) "," READ("a", "x", "[]"));
    kit_op(&kit, 2, 0, 10, "L", "ok", WRITE("a", "r", 1) "," READ("a", "r", "null"));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "internal");
    assert_int_equal(kit_count(&kit, CHECK_G1, "internal"), 2);
    kit_done(&kit);
}

/* Registers with version numbers are ordered by them: read skew is seen. */
static void test_checker_registers_with_versions_show_cycles(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", WRITE_N("a", "r", 11, 1) "," WRITE_N("b", "s", 12, 1));
    kit_op(&kit, 2, 0, 10, "L", "ok", WRITE_N("a", "r", 21, 2) "," WRITE_N("b", "s", 22, 2));
    kit_op(&kit, 3, 0, 10, "L", "ok", READ_N("a", "r", 21, 2) "," READ_N("b", "s", 12, 1));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "G-single");
    kit_cycle(&kit, "G-single", "2 3", false);
    kit_done(&kit);
}

/* Two values that claim the same version: one update was lost. */
static void test_checker_same_version_twice_is_found(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", WRITE_N("a", "r", 11, 1));
    kit_op(&kit, 2, 0, 10, "L", "ok", WRITE_N("a", "r", 21, 1));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "incompatible-order");
    kit_done(&kit);
}

/* A register that ends below a version that was acknowledged. */
static void test_checker_lost_register_write_is_found(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", WRITE_N("a", "r", 11, 1));
    kit_op(&kit, 2, 20, 30, "L", "ok", WRITE_N("a", "r", 21, 2));
    kit_rest(&kit, "'registers':{'r':[11,1]},", "");
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "lost-element");
    kit_done(&kit);
}

/* Without versions, who read what before writing orders them: two that read the same lost an update, a
 * violation with locks and counted without. */
static void test_checker_lost_update_depends_on_the_mode(void **state)
{
    (void)state;
    for (int locking = 0; locking < 2; locking++) {
        struct kit kit;
        const char *mode = locking ? "L" : "S";
        kit_begin(&kit);
        kit_op(&kit, 1, 0, 10, mode, "ok", READ("a", "r", "null") "," WRITE("a", "r", 1));
        kit_op(&kit, 2, 20, 40, mode, "ok", READ("a", "r", "1") "," WRITE("a", "r", 2));
        kit_op(&kit, 3, 20, 40, mode, "ok", READ("a", "r", "1") "," WRITE("a", "r", 3));
        kit_judge(&kit);
        if (locking) {
            assert_int_equal(kit_count(&kit, CHECK_G1, "lost-update"), 1);
        } else {
            kit_passes(&kit);
            assert_int_equal(kit.report.figures.lost_updates_snapshot, 1);
        }
        kit_done(&kit);
    }
}

/* Without versions, a chain of reads and writes gives enough order for a cycle. */
static void test_checker_registers_without_versions_show_cycles(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", READ("a", "r", "null") "," WRITE("a", "r", 1));
    kit_op(&kit, 2, 20, 40, "L", "ok", READ("a", "r", "1") "," WRITE("a", "r", 2));
    kit_op(&kit, 3, 50, 60, "L", "ok", READ("a", "r", "1"));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "G-single-realtime");
    kit_cycle(&kit, "G-single-realtime", "2 3", false);
    kit_done(&kit);
}

/* A read that found what its own transaction appended or wrote only afterwards. */
static void test_checker_read_of_an_own_later_write_is_internal(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", READ("a", "x", "[1]") "," APPEND("a", "x", 1));
    kit_op(&kit, 2, 0, 10, "L", "ok", READ("b", "r", "7") "," WRITE("b", "r", 7));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "internal");
    assert_int_equal(kit_count(&kit, CHECK_G1, "internal"), 2);
    kit_done(&kit);
}

/* No list at all is not what a transaction finds that has appended to it; without an append it may be. */
static void test_checker_null_after_an_own_append_is_internal(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", APPEND("a", "x", 1) "," READ("a", "x", "null"));
    kit_op(&kit, 2, 0, 10, "L", "ok", APPEND("a", "x", 2) "," READ("b", "y", "null"));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "internal");
    assert_int_equal(kit_count(&kit, CHECK_G1, "internal"), 1);
    kit_done(&kit);
}

/* What was there before the first request is found by every read. */
static void test_checker_read_without_the_beginning_is_stale(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_line(&kit, "{'type':'dump','t':0,'at':'begin','db':'a','lists':{'x':[8,9],'y':[]},"
                   "'registers':{'r':[5,1],'s':[null]}}");
    kit_op(&kit, 1, 0, 10, "S", "ok", READ("a", "x", "[8]") "," READ("a", "y", "null"));
    kit_op(&kit, 2, 0, 10, "S", "ok", READ("a", "x", "null") "," READ("a", "s", "null"));
    kit_op(&kit, 3, 0, 10, "S", "ok", READ("a", "r", "null") "," READ("a", "x", "[8,9]"));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "stale-read");
    assert_int_equal(kit_count(&kit, CHECK_G1, "stale-read"), 3);
    kit_done(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checker_lost_element_is_found),
        cmocka_unit_test(test_checker_element_that_vanished_is_found),
        cmocka_unit_test(test_checker_phantom_is_found),
        cmocka_unit_test(test_checker_beginning_is_no_phantom),
        cmocka_unit_test(test_checker_duplicate_element_is_found),
        cmocka_unit_test(test_checker_incompatible_orders_are_found),
        cmocka_unit_test(test_checker_internal_contradiction_is_found),
        cmocka_unit_test(test_checker_registers_with_versions_show_cycles),
        cmocka_unit_test(test_checker_same_version_twice_is_found),
        cmocka_unit_test(test_checker_lost_register_write_is_found),
        cmocka_unit_test(test_checker_lost_update_depends_on_the_mode),
        cmocka_unit_test(test_checker_registers_without_versions_show_cycles),
        cmocka_unit_test(test_checker_read_of_an_own_later_write_is_internal),
        cmocka_unit_test(test_checker_null_after_an_own_append_is_internal),
        cmocka_unit_test(test_checker_read_without_the_beginning_is_stale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
