/*
 * test_checker_canaries.c - A1, D1, X1, C1, L1, K1, B1, H1: one planted violation each is found, under the right
 * invariant, and what is excused is not.
 */
#include "tests/checker/kit.h"

#define BEGIN_A "{'type':'dump','t':0,'at':'begin','db':'a','balances':{'p':100}}"
#define BEGIN_B "{'type':'dump','t':0,'at':'begin','db':'b','balances':{'q':100}}"
#define MOVE    ADD("a", "p", -5, 0) "," ADD("b", "q", 5, 0)
#define NO_ROWS "'effects':[],"

/* A transfer of 5 from a:p to b:q under key k, told `result`; then what the databases hold. */
static void transfer(struct kit *kit, const char *result, const char *extra, const char *in_a,
                     const char *in_b)
{
    kit_begin(kit);
    kit_line(kit, BEGIN_A);
    kit_line(kit, BEGIN_B);
    kit_keyed(kit, 1, 0, 10, "k", result, extra, MOVE);
    kit_rest(kit, in_a, in_b);
}

#define DONE_A "'effects':[['k',0,7,'p',-5]],'balances':{'p':95},"
#define DONE_B "'effects':[['k',0,8,'q',5]],'balances':{'q':105},"
#define NONE_A "'effects':[],'balances':{'p':100},"
#define NONE_B "'effects':[],'balances':{'q':100},"

/* Committed and there, aborted and not there, unknown and either: all pass. */
static void test_checker_honest_transfers_pass(void **state)
{
    static const struct {
        const char *result, *in_a, *in_b;
    } cases[] = {
        {"ok", DONE_A, DONE_B},
        {"fail", NONE_A, NONE_B},
        {"unknown", DONE_A, DONE_B},
        {"unknown", NONE_A, NONE_B},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kit kit;
        transfer(&kit, cases[i].result, "", cases[i].in_a, cases[i].in_b);
        kit_judge(&kit);
        kit_passes(&kit);
        for (enum check check = CHECK_A1; check < CHECK_B1; check++) {
            assert_int_equal(kit.report.status[check], STATUS_PASSED);
        }
        kit_done(&kit);
    }
}

/* Half a transaction that nobody was answered about. */
static void test_checker_torn_transaction_is_a1(void **state)
{
    struct kit kit;
    (void)state;
    transfer(&kit, "unknown", "", DONE_A, "'effects':[],'balances':{'q':105},");
    kit_judge(&kit);
    assert_int_equal(kit_count(&kit, CHECK_A1, "torn"), 1);
    kit_done(&kit);
}

/* An effect with another amount than was asked for, where all sums still agree. */
static void test_checker_corrupted_effect_is_a1(void **state)
{
    struct kit kit;
    (void)state;
    transfer(&kit, "ok", "", "'effects':[['k',0,7,'p',-6]],'balances':{'p':94},",
             "'effects':[['k',0,8,'q',6]],'balances':{'q':106},");
    kit_judge(&kit);
    kit_only(&kit, CHECK_A1, "corrupted-effect");
    assert_int_equal(kit_count(&kit, CHECK_A1, "corrupted-effect"), 2);
    kit_done(&kit);
}

/* Effects that no client asked for. */
static void test_checker_unasked_effect_is_a1(void **state)
{
    struct kit kit;
    (void)state;
    transfer(&kit, "ok", "",
             "'effects':[['k',0,7,'p',-5],['z',0,9,null,null]],'balances':{'p':95},",
             "'effects':[['k',0,8,'q',5],['k',3,8,null,null]],'balances':{'q':105},");
    kit_judge(&kit);
    kit_only(&kit, CHECK_A1, "unasked-effect");
    assert_int_equal(kit_count(&kit, CHECK_A1, "unasked-effect"), 2);
    kit_done(&kit);
}

/* An acknowledged commit of which nothing is there. */
static void test_checker_lost_commit_is_d1(void **state)
{
    struct kit kit;
    (void)state;
    transfer(&kit, "ok", "", NONE_A, NONE_B);
    kit_judge(&kit);
    kit_only(&kit, CHECK_D1, "lost-commit");
    kit_done(&kit);
}

/* An abort that was acknowledged and took effect. */
static void test_checker_aborted_with_effects_is_d1(void **state)
{
    struct kit kit;
    (void)state;
    transfer(&kit, "fail", "", DONE_A, DONE_B);
    kit_judge(&kit);
    kit_only(&kit, CHECK_D1, "aborted-with-effects");
    kit_done(&kit);
}

/* What is said later, by key, has to be true as well. */
static void test_checker_false_answers_by_key_are_d1(void **state)
{
    struct kit kit;
    (void)state;
    transfer(&kit, "unknown", "", NONE_A, NONE_B);
    kit_line(&kit, "{'type':'answer','t':50,'key':'k','state':'committed'}");
    kit_judge(&kit);
    kit_only(&kit, CHECK_D1, "answered-committed");
    kit_done(&kit);

    transfer(&kit, "unknown", "", DONE_A, DONE_B);
    kit_line(&kit, "{'type':'answer','t':50,'key':'k','state':'aborted'}");
    kit_judge(&kit);
    kit_only(&kit, CHECK_D1, "answered-aborted");
    kit_done(&kit);

    /* It may have been sent again after that answer. */
    transfer(&kit, "unknown", "", DONE_A, DONE_B);
    kit_line(&kit, "{'type':'answer','t':50,'key':'k','state':'aborted'}");
    kit_keyed(&kit, 2, 60, 70, "k", "ok", "", MOVE);
    kit_judge(&kit);
    kit_passes(&kit);
    kit_done(&kit);
}

/* One key, two executions: by the same row twice, and by rows of two local transactions. */
static void test_checker_executed_twice_is_x1(void **state)
{
    struct kit kit;
    (void)state;
    transfer(&kit, "ok", "", "'effects':[['k',0,7,'p',-5],['k',0,9,'p',-5]],'balances':{'p':90},",
             "'effects':[['k',0,8,'q',5],['k',0,10,'q',5]],'balances':{'q':110},");
    kit_judge(&kit);
    kit_only(&kit, CHECK_X1, "executed-twice");
    assert_int_equal(kit_count(&kit, CHECK_X1, "executed-twice"), 1); /* told once for a key */
    kit_done(&kit);

    kit_begin(&kit);
    kit_keyed(&kit, 1, 0, 10, "k", "ok", "",
              "{'f':'effect','db':'a','seq':0},{'f':'effect','db':'a','seq':1}");
    kit_rest(&kit, "'effects':[['k',0,7,null,null],['k',1,8,null,null]],", NO_ROWS);
    kit_judge(&kit);
    kit_only(&kit, CHECK_X1, "executed-twice");
    kit_done(&kit);
}

/* Duplicates that are told different things. */
static void test_checker_unequal_answers_are_x1(void **state)
{
    static const struct {
        const char *result, *extra;
    } cases[] = {
        {"ok", "'txid':'two',"},
        {"ok", "'txid':'one','answer':'y',"},
        {"fail", "'aborted':true,"},
    };
    struct kit kit;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        transfer(&kit, "ok", "'txid':'one','answer':'x',", DONE_A, DONE_B);
        kit_keyed(&kit, 2, 20, 30, "k", cases[i].result, cases[i].extra, MOVE);
        kit_judge(&kit);
        kit_only(&kit, CHECK_X1, "unequal-answers");
        kit_done(&kit);
    }
    /* Equal ones, a refusal for other reasons, and an abort before the key ran again are fine. */
    transfer(&kit, "ok", "'txid':'one','answer':'x',", DONE_A, DONE_B);
    kit_keyed(&kit, 2, 20, 30, "k", "ok", "'txid':'one','answer':'x',", MOVE);
    kit_keyed(&kit, 3, 20, 30, "k", "fail", "", MOVE);
    kit_keyed(&kit, 4, 2, 8, "k", "fail", "'aborted':true,", MOVE);
    kit_judge(&kit);
    kit_passes(&kit);
    kit_done(&kit);
}

/* One key with two bodies that both committed; one that was refused is fine. */
static void test_checker_two_bodies_of_one_key_are_x1(void **state)
{
    struct kit kit;
    (void)state;
    transfer(&kit, "ok", "'body':'one',", DONE_A, DONE_B);
    kit_keyed(&kit, 2, 20, 30, "k", "ok", "'body':'two',", ADD("a", "p", 1, 5));
    kit_judge(&kit);
    assert_int_equal(kit_count(&kit, CHECK_X1, "two-bodies"), 1);
    kit_done(&kit);

    transfer(&kit, "ok", "'body':'one',", DONE_A, DONE_B);
    kit_keyed(&kit, 2, 20, 30, "k", "fail", "'body':'two',", ADD("a", "p", 1, 5));
    kit_judge(&kit);
    kit_passes(&kit);
    kit_done(&kit);
}

/* A balance that its effects do not explain; money that appeared; a locking read of all balances that was torn. */
static void test_checker_wrong_money_is_c1(void **state)
{
    struct kit kit;
    (void)state;
    transfer(&kit, "ok", "", "'effects':[['k',0,7,'p',-5]],'balances':{'p':96},", DONE_B);
    kit_judge(&kit);
    assert_int_equal(kit_count(&kit, CHECK_C1, "wrong-balance"), 1);
    assert_int_equal(kit_count(&kit, CHECK_C1, "money-not-conserved"), 1);
    kit_done(&kit);

    transfer(&kit, "ok", "", DONE_A, DONE_B);
    kit_op(&kit, 2, 5, 15, "L", "ok", TOTAL("a", 95) "," TOTAL("b", 105));
    kit_op(&kit, 3, 5, 15, "S", "ok", TOTAL("a", 95) "," TOTAL("b", 100));
    kit_op(&kit, 4, 5, 15, "L", "ok", TOTAL("a", 95));
    kit_judge(&kit);
    kit_passes(&kit);
    assert_int_equal(kit.report.figures.global_reads, 2);
    assert_int_equal(kit.report.figures.global_reads_fractured, 1);
    kit_done(&kit);

    transfer(&kit, "ok", "", DONE_A, DONE_B);
    kit_op(&kit, 2, 5, 15, "L", "ok", TOTAL("a", 95) "," TOTAL("b", 100));
    kit_judge(&kit);
    kit_only(&kit, CHECK_C1, "global-read");
    kit_done(&kit);
}

/* What is left: prepared, unfinished, in doubt, locks, sessions. */
static void test_checker_leftovers_are_l1_and_k1(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_line(&kit,
             "{'type':'dump','t':90,'at':'end','db':'a','prepared':['assent:1:a:2'],'locks':3,"
             "'idle':1}");
    kit_line(&kit, "{'type':'dump','t':90,'at':'end','db':'b','prepared':[],'locks':0,'idle':0}");
    kit_line(&kit, "{'type':'state','t':90,'unfinished':['one'],'in_doubt':['two']}");
    kit_judge(&kit);
    assert_int_equal(kit_count(&kit, CHECK_L1, "left-prepared"), 1);
    assert_int_equal(kit_count(&kit, CHECK_L1, "left-unfinished"), 1);
    assert_int_equal(kit_count(&kit, CHECK_L1, "left-in-doubt"), 1);
    assert_int_equal(kit_count(&kit, CHECK_K1, "left-locks"), 1);
    assert_int_equal(kit_count(&kit, CHECK_K1, "left-idle"), 1);
    kit_done(&kit);
}

static void fault(struct kit *kit, int n, long long t, const char *phase)
{
    kit_line(kit,
             "{'type':'nemesis','t':%lld,'n':%d,'fault':'kill','target':'assentd','phase':'%s'}", t,
             n, phase);
}

/* A fault heals in ten seconds after its end, or after the end of another one that went on meanwhile. */
static void test_checker_slow_heal_is_l1(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    fault(&kit, 1, 1000000, "begin");
    fault(&kit, 1, 2000000, "end");
    fault(&kit, 1, 12000001, "healed");
    kit_rest(&kit, "", "");
    kit_judge(&kit);
    kit_only(&kit, CHECK_L1, "slow-heal");
    assert_int_equal(kit.report.faults.items[0].heal_us, 10000001);
    kit_done(&kit);

    kit_begin(&kit);
    fault(&kit, 1, 1000000, "begin");
    fault(&kit, 2, 1500000, "begin");
    fault(&kit, 1, 2000000, "end");
    fault(&kit, 2, 9000000, "end");
    fault(&kit, 1, 13000000, "healed");
    fault(&kit, 2, 13000000, "healed");
    kit_op(&kit, 1, 9500000, 9600000, "L", "ok", APPEND("a", "x", 1) "," APPEND("b", "y", 1));
    kit_rest(&kit, "", "");
    kit_judge(&kit);
    kit_passes(&kit);
    assert_int_equal(kit.report.faults.items[0].heal_us, 4000000);
    assert_int_equal(kit.report.faults.items[1].recover_us, 600000);
    kit_done(&kit);
}

/* A fault that never healed is as bad as one that healed late; the last one of a run that was interrupted is none. */
static void test_checker_fault_that_never_healed_is_l1(void **state)
{
    struct kit kit;
    (void)state;
    for (int more = 0; more < 2; more++) {
        kit_begin(&kit);
        fault(&kit, 1, 1000000, "begin");
        fault(&kit, 1, 2000000, "end");
        fault(&kit, 1, 2500000, "healed");
        fault(&kit, 2, 4000000, "begin");
        fault(&kit, 2, 5000000, "end");
        fault(&kit, 3, 6000000, "point"); /* a process that ended meanwhile */
        if (more > 0) {
            fault(&kit, 4, 66000000, "begin");
            fault(&kit, 4, 67000000, "end");
            fault(&kit, 4, 68000000, "healed");
        }
        kit_rest(&kit, "", "");
        kit_judge(&kit);
        if (more > 0) {
            kit_only(&kit, CHECK_L1, "not-healed");
        } else {
            kit_passes(&kit);
        }
        kit_done(&kit);
    }
}

/* A hand commits one branch of an aborted attempt, and the key, free again, is executed with another body: both rows are
 * there and nothing is wrong but what is listed. Where no hand was, or none is listed, it is X1. */
static void test_checker_hand_then_execution_is_not_twice(void **state)
{
    static const char *const in_b[] = {
        "'effects':[['k',0,8,'q',5],['k',0,9,'q',6]],'balances':{'q':111},",
        "'effects':[['k',0,9,'q',6],['k',0,8,'q',5]],'balances':{'q':111},"};
    static const struct {
        const char *listed_in; /* NULL: nowhere */
        uint64_t twice;
    } cases[] = {{"b", 0}, {"a", 1}, {NULL, 1}};
    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        struct kit kit;
        kit_begin(&kit);
        kit_line(&kit, BEGIN_A);
        kit_line(&kit, BEGIN_B);
        kit_keyed(&kit, 1, 0, 10, "k", "fail", "'body':'x',", MOVE);
        kit_keyed(&kit, 2, 20, 30, "k", "ok", "'body':'y',",
                  ADD("a", "p", -6, 0) "," ADD("b", "q", 6, 0));
        kit_line(&kit, "{'type':'nemesis','t':5,'n':1,'fault':'human-commit','target':'b','phase':"
                       "'point','heuristic':true,'keys':['k']}");
        if (cases[i / 2].listed_in) {
            kit_line(
                &kit,
                "{'type':'heuristic','t':40,'key':'k','db':'%s','outcome':'commit','txid':'x'}",
                cases[i / 2].listed_in);
        }
        kit_rest(&kit, "'effects':[['k',0,7,'p',-6]],'balances':{'p':94},", in_b[i % 2]);
        kit_judge(&kit);
        assert_int_equal(kit_count(&kit, CHECK_X1, "executed-twice"), cases[i / 2].twice);
        if (cases[i / 2].twice == 0) {
            kit_passes(&kit);
        }
        kit_done(&kit);
    }
}

/* Heuristic outcomes: without a cause; with a cause and listed (and then excused); with a cause and not listed. */
static void test_checker_heuristics_are_h1(void **state)
{
    static const char hand[] =
        "{'type':'nemesis','t':5,'n':1,'fault':'human-rollback','target':'b',"
        "'phase':'point','heuristic':true,'keys':['k']}";
    static const char listed[] =
        "{'type':'heuristic','t':20,'key':'k','txid':'one','outcome':'mixed'}";
    struct kit kit;
    (void)state;
    transfer(&kit, "ok", "", DONE_A, DONE_B);
    kit_line(&kit, listed);
    kit_judge(&kit);
    kit_only(&kit, CHECK_H1, "heuristic-without-cause");
    kit_done(&kit);

    transfer(&kit, "ok", "'txid':'one',", DONE_A, NONE_B);
    kit_line(&kit, hand);
    kit_line(&kit, "{'type':'heuristic','t':20,'txid':'one','outcome':'mixed'}");
    kit_judge(&kit);
    kit_passes(&kit);
    assert_int_equal(kit.report.status[CHECK_H1], STATUS_PASSED);
    kit_done(&kit);

    transfer(&kit, "ok", "", DONE_A, NONE_B);
    kit_line(&kit, hand);
    kit_judge(&kit);
    assert_int_equal(kit_count(&kit, CHECK_H1, "unlisted-heuristic"), 1);
    assert_int_equal(kit_count(&kit, CHECK_A1, "torn"), 1);
    kit_done(&kit);

    /* A hand on another key explains nothing. */
    transfer(&kit, "ok", "", DONE_A, DONE_B);
    kit_line(&kit, "{'type':'nemesis','t':5,'n':1,'fault':'human-rollback','target':'b','phase':"
                   "'point','heuristic':true,'keys':['other']}");
    kit_line(&kit, listed);
    kit_judge(&kit);
    kit_only(&kit, CHECK_H1, "heuristic-without-cause");
    kit_done(&kit);
}

/* A sample a second for ten minutes; the process is restarted every `life` seconds and grows by `rss_step` bytes a
 * second within a life; the journal grows until `journal_until`. */
static void samples(struct kit *kit, int life, int rss_step, int journal_until)
{
    kit_begin(kit);
    for (int second = 0; second < 600; second++) {
        int age = second % life, journal = second < journal_until ? second : journal_until;
        int noise = second * 7919 % 101 * 1000;
        kit_line(
            kit,
            "{'type':'sample','t':%lld,'tps':100.5,'journal':%d,'processes':{'assentd':{'pid':%d,"
            "'rss':%d,'fds':%d}}}",
            second * 1000000LL, 1000000 + journal * 100000, 100 + second / life,
            20000000 + age * rss_step + noise, 40 + second % 3);
    }
}

/* A leak fails; what fills up once, restarts, and noise do not. */
static void test_checker_growth_is_b1(void **state)
{
    struct kit kit;
    (void)state;
    samples(&kit, 10000, 50000, 100);
    kit_judge(&kit);
    kit_only(&kit, CHECK_B1, "growth");
    kit_done(&kit);

    samples(&kit, 10000, 0, 100);
    kit_judge(&kit);
    kit_passes(&kit);
    assert_int_equal(kit.report.status[CHECK_B1], STATUS_PASSED);
    kit_done(&kit);

    /* A leak shows although the process is restarted every two minutes. */
    samples(&kit, 120, 200000, 100);
    kit_judge(&kit);
    kit_only(&kit, CHECK_B1, "growth");
    kit_done(&kit);

    /* The journal grows for ever. */
    samples(&kit, 120, 0, 600);
    kit_judge(&kit);
    kit_only(&kit, CHECK_B1, "growth");
    kit_done(&kit);
}

/* So many samples, one a second, of which each life of the process begins at 9 descriptors and 10 MB, and has what it
 * needs after some seconds: as a daemon does that is killed now and then. */
static void warm_lives(struct kit *kit, int seconds, int life, int fds_step)
{
    kit_begin(kit);
    for (int second = 0; second < seconds; second++) {
        int age = second % life, warm = age < 8 ? age : 8;
        kit_line(kit,
                 "{'type':'sample','t':%lld,'processes':{'assentd':{'pid':%d,'rss':%d,'fds':%d}}}",
                 second * 1000000LL, 100 + second / life, 10000000 + warm * 1200000,
                 9 + (age < 3 ? age : 3) * 9 + age * fds_step + second % 3);
    }
}

/* Half a minute is enough to see what leaks by the request, and what warms up is no leak, however often it is
 * started again. */
static void test_checker_growth_of_short_lives_is_judged_right(void **state)
{
    static const struct {
        int seconds, life, fds_step;
        enum status status;
    } cases[] = {
        {30, 30, 0, STATUS_PASSED},        {30, 30, 2, STATUS_FAILED},
        {3600, 40, 0, STATUS_PASSED},      {3600, 40, 2, STATUS_FAILED},
        {3600, 20, 0, STATUS_NOT_CHECKED}, /* no life is long enough */
        {20, 20, 0, STATUS_NOT_CHECKED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kit kit;
        warm_lives(&kit, cases[i].seconds, cases[i].life, cases[i].fds_step);
        kit_judge(&kit);
        assert_int_equal(kit.report.status[CHECK_B1], cases[i].status);
        kit_done(&kit);
    }
}

/* A journal grows until it begins to forget: told as not tested before that, and judged after it. */
static void test_checker_growth_of_journal_counts_from_its_time(void **state)
{
    static const struct {
        const char *meta;
        int until;
        enum status status;
    } cases[] = {{"'journal_steady_from':1000000000,", 600, STATUS_NOT_CHECKED},
                 {"'journal_steady_from':300000000,", 300, STATUS_PASSED},
                 {"'journal_steady_from':300000000,", 600, STATUS_FAILED}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kit kit;
        kit_begin_with(&kit, cases[i].meta);
        for (int second = 0; second < 600; second++) {
            int grown = second < cases[i].until ? second : cases[i].until;
            kit_line(&kit, "{'type':'sample','t':%lld,'journal':%d}", second * 1000000LL,
                     1000000 + grown * 100000 + second % 2 * 5000);
        }
        kit_judge(&kit);
        assert_int_equal(kit.report.status[CHECK_B1], cases[i].status);
        assert_int_equal(kit.report.growths.count, 1);
        assert_true(kit.report.growths.items[0].tested ==
                    (kit.report.growths.items[0].why_not == NULL));
        kit_done(&kit);
    }
}

/* Without material nothing is said to hold. */
static void test_checker_nothing_to_check_is_not_passed(void **state)
{
    struct kit kit;
    (void)state;
    kit_begin(&kit);
    kit_judge(&kit);
    for (int check = 0; check < CHECK_COUNT; check++) {
        assert_int_equal(kit.report.status[check], STATUS_NOT_CHECKED);
        assert_non_null(kit.report.why_not[check]);
    }
    kit_done(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checker_honest_transfers_pass),
        cmocka_unit_test(test_checker_torn_transaction_is_a1),
        cmocka_unit_test(test_checker_corrupted_effect_is_a1),
        cmocka_unit_test(test_checker_unasked_effect_is_a1),
        cmocka_unit_test(test_checker_lost_commit_is_d1),
        cmocka_unit_test(test_checker_aborted_with_effects_is_d1),
        cmocka_unit_test(test_checker_false_answers_by_key_are_d1),
        cmocka_unit_test(test_checker_executed_twice_is_x1),
        cmocka_unit_test(test_checker_unequal_answers_are_x1),
        cmocka_unit_test(test_checker_two_bodies_of_one_key_are_x1),
        cmocka_unit_test(test_checker_wrong_money_is_c1),
        cmocka_unit_test(test_checker_leftovers_are_l1_and_k1),
        cmocka_unit_test(test_checker_slow_heal_is_l1),
        cmocka_unit_test(test_checker_fault_that_never_healed_is_l1),
        cmocka_unit_test(test_checker_heuristics_are_h1),
        cmocka_unit_test(test_checker_hand_then_execution_is_not_twice),
        cmocka_unit_test(test_checker_growth_is_b1),
        cmocka_unit_test(test_checker_growth_of_short_lives_is_judged_right),
        cmocka_unit_test(test_checker_growth_of_journal_counts_from_its_time),
        cmocka_unit_test(test_checker_nothing_to_check_is_not_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
