/*
 * test_checker_tails.c - G1 where there is no dump at the end: what nobody saw is behind all that was seen.
 */
#include "tests/checker/kit.h"

/* Without a dump: what was acknowledged and seen by nobody is behind all that was seen. */
static void test_checker_unseen_append_is_behind_all_that_was_seen(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", APPEND("a", "x", 1) "," READ("b", "y", "[]"));
    kit_op(&kit, 2, 0, 10, "L", "ok", APPEND("b", "y", 2) "," READ("a", "x", "null"));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "G2");
    kit_cycle(&kit, "G2", "1 2", false);
    assert_string_equal(
        kit.report.findings.items[0].text,
        "T2 < T1 because T2 found nothing in a:x (a locking read), before T1 appended "
        "1; but T1 < T2 because T1 found nothing in b:y (a locking read), before T2 "
        "appended 2");
    kit_done(&kit);
}

/* So there are also dirty writes of which only one side was seen. */
static void test_checker_unseen_append_shows_a_dirty_write(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "ok", APPEND("a", "x", 1) "," APPEND("b", "y", 1));
    kit_op(&kit, 2, 0, 10, "L", "ok", APPEND("a", "x", 2) "," APPEND("b", "y", 2));
    kit_op(&kit, 3, 0, 10, "L", "ok", READ("a", "x", "[1,2]"));
    kit_op(&kit, 4, 0, 10, "S", "ok", READ("b", "y", "[2]"));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "G0");
    kit_cycle(&kit, "G0", "1 2", false);
    assert_string_equal(
        kit.report.findings.items[0].text,
        "T2 < T1 because nobody saw T1's append of 1 to b:y, so it is behind the last "
        "that was seen, T2's 2; but T1 < T2 because T2 appended 2 to a:x right behind "
        "T1's 1");
    kit_done(&kit);
}

/* Nothing follows from what was not acknowledged, nor from what a person's hand undid, nor if there is a dump:
 * what it lacks is lost. */
static void test_checker_unseen_append_without_proof_tells_nothing(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_op(&kit, 1, 0, 10, "L", "unknown", APPEND("a", "x", 1));
    kit_op(&kit, 2, 0, 10, "L", "fail", APPEND("a", "x", 2));
    kit_keyed(&kit, 3, 0, 10, "k3", "ok", "",
              "{'f':'append','db':'a','k':'x','v':3,'seq':0},"
              "{'f':'append','db':'b','k':'y','v':3,'seq':0}");
    kit_line(&kit, "{'type':'nemesis','t':15,'n':1,'fault':'human-rollback','target':'a',"
                   "'phase':'point','heuristic':true,'keys':['k3']}");
    kit_line(&kit, "{'type':'heuristic','t':16,'txid':'t3','key':'k3','db':'a','outcome':'mixed'}");
    kit_op(&kit, 4, 20, 30, "L", "ok", READ("a", "x", "[]"));
    kit_judge(&kit);
    kit_passes(&kit);
    kit_done(&kit);
}

/* A plain read that misses what was completed long before it is stale, also where no later read shows the order. */
static void test_checker_unseen_append_makes_a_plain_read_stale(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_line(
        &kit,
        "{'type':'op','i':1,'client':'c','workload':'W2','t_inv':0,'t_ret':10,'completed':true,"
        "'result':'ok','ops':[" APPEND("a", "x", 1) "," APPEND("b", "y", 1) "]}");
    kit_op(&kit, 2, 20, 30, "S", "ok", READ("a", "x", "[1]") "," READ("b", "y", "[]"));
    kit_judge(&kit);
    kit_only(&kit, CHECK_G1, "stale-read");
    assert_int_equal(kit.report.figures.fractured_reads, 1);
    kit_done(&kit);
}

/* Whoever found a register without value, or with that of the beginning, comes before all who wrote it. */
static void test_checker_register_as_it_was_comes_before_every_write(void **state)
{
    for (int begin = 0; begin < 2; begin++) {
        struct kit kit;
        (void)state;
        kit_begin(&kit);
        if (begin) {
            kit_line(&kit, "{'type':'dump','t':0,'at':'begin','db':'a','registers':{'r':[9]}}");
        }
        kit_op(&kit, 1, 0, 10, "L", "ok", WRITE("a", "r", 1) "," WRITE("b", "s", 1));
        kit_op(&kit, 2, 0, 10, "L", "ok",
               begin ? READ("a", "r", "9") "," READ("b", "s", "1")
                     : READ("a", "r", "null") "," READ("b", "s", "1"));
        kit_judge(&kit);
        kit_only(&kit, CHECK_G1, "G-single");
        kit_cycle(&kit, "G-single", "1 2", false);
        kit_done(&kit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checker_unseen_append_is_behind_all_that_was_seen),
        cmocka_unit_test(test_checker_unseen_append_shows_a_dirty_write),
        cmocka_unit_test(test_checker_unseen_append_without_proof_tells_nothing),
        cmocka_unit_test(test_checker_unseen_append_makes_a_plain_read_stale),
        cmocka_unit_test(test_checker_register_as_it_was_comes_before_every_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
