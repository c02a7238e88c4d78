/*
 * test_checker_bad_files.c - histories that are malformed: refused with the line, whatever the bytes.
 */
#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "tests/checker/report.h"
#include "tests/checker/world.h"

#define META                                                                                       \
    "{\"type\":\"meta\",\"version\":1,\"seed\":1,\"started\":\"x\",\"workloads\":[],"              \
    "\"databases\":[\"a\"]}\n"
#define OP(rest_)                                                                                  \
    META "{\"type\":\"op\",\"i\":1,\"client\":\"c\",\"workload\":\"w\",\"t_inv\":1,\"t_ret\":2,"   \
         "\"result\":\"ok\"," rest_ "}\n"
#define MICRO(micro_) OP("\"ops\":[" micro_ "]")

static const struct bad {
    const char *text;
    int line;
    const char *says;
} bad_files[] = {
    {"", 1, "empty"},
    {"\n", 1, "not JSON"},
    {"nonsense\n", 1, "not JSON"},
    {"[]\n", 1, "not a JSON object"},
    {"{}\n", 1, "\"type\""},
    {"{\"type\":\"op\"}\n", 1, "the first line is not \"meta\""},
    {META, 2, "no \"end\""},
    {META "{\"type\":\"op\"", 2, "ends within this line"},
    {META META, 2, "a second \"meta\""},
    {META "{\"type\":\"strange\"}\n", 2, "strange"},
    {META "{\"type\":\"end\",\"t\":1,\"lines\":7}\n", 2, "lines"},
    {META "{\"type\":\"end\",\"t\":1,\"lines\":1}\n{}\n", 3, "\"type\""},
    {META "{\"type\":\"end\",\"t\":1,\"lines\":1}\n{\"type\":\"state\"}\n", 3, "after \"end\""},
    {"{\"type\":\"meta\",\"version\":2}\n", 1, "version 2"},
    {"{\"type\":\"meta\",\"version\":\"1\"}\n", 1, "not an integer"},
    {"{\"type\":\"meta\",\"version\":1,\"seed\":1,\"started\":\"x\",\"workloads\":[],"
     "\"databases\":[\"a\",\"a\"]}\n",
     1, "twice"},
    {"{\"type\":\"meta\",\"version\":1,\"seed\":1,\"started\":\"x\",\"workloads\":[],"
     "\"databases\":[]}\n",
     1, "databases"},
    {META "{\"type\":\"op\",\"type\":\"op\"}\n", 2, "not JSON"},
    {META "{\"type\":\"state\",\"t\":1e3,\"unfinished\":[],\"in_doubt\":[]}\n", 2,
     "not an integer"},
    {META "{\"type\":\"state\",\"t\":99999999999999999999,\"unfinished\":[]}\n", 2, "not JSON"},
    {META "{\"type\":\"state\",\"t\":-5,\"unfinished\":[],\"in_doubt\":[]}\n", 2, "negative"},
    {META "{\"type\":\"state\",\"t\":5,\"unfinished\":{},\"in_doubt\":[]}\n", 2, "not an array"},
    {META "{\"type\":\"state\",\"t\":5,\"unfinished\":[\"\"],\"in_doubt\":[]}\n", 2, "0 bytes"},
    {META "{\"type\":\"state\",\"t\":5,\"unfinished\":[\"\xff\"],\"in_doubt\":[]}\n", 2,
     "not JSON"},
    {OP("\"ops\":7"), 2, "not an array"},
    {OP("\"mode\":\"X\",\"ops\":[]"), 2, "none of: L S"},
    {OP("\"completed\":1,\"ops\":[]"), 2, "neither true nor false"},
    {OP("\"key\":5,\"ops\":[]"), 2, "not a string"},
    {MICRO("7"), 2, "not an object"},
    {MICRO("{\"f\":\"fly\"}"), 2, "fly"},
    {MICRO("{\"f\":\"r\",\"db\":\"z\",\"k\":\"x\",\"v\":1}"), 2, "not a database"},
    {MICRO("{\"f\":\"r\",\"db\":\"a\",\"k\":\"x\"}"), 2, "no \"v\""},
    {MICRO("{\"f\":\"r\",\"db\":\"a\",\"k\":\"x\",\"v\":\"y\"}"), 2, "neither an array"},
    {MICRO("{\"f\":\"r\",\"db\":\"a\",\"k\":\"x\",\"v\":[1,\"y\"]}"), 2, "not an integer"},
    {MICRO("{\"f\":\"r\",\"db\":\"a\",\"k\":7,\"v\":[]}"), 2, "\"k\""},
    {MICRO("{\"f\":\"append\",\"db\":\"a\",\"k\":\"x\",\"v\":1,\"seq\":0}"), 2, "no \"key\""},
    {MICRO("{\"f\":\"append\",\"db\":\"a\",\"k\":\"x\",\"v\":1,\"seq\":-7}"), 2, "seq"},
    {MICRO("{\"f\":\"append\",\"db\":\"a\",\"k\":\"x\",\"v\":1},"
           "{\"f\":\"w\",\"db\":\"a\",\"k\":\"x\",\"v\":1}"),
     2, "is a register here and was a list"},
    {MICRO(
         "") "{\"type\":\"op\",\"i\":1,\"client\":\"c\",\"workload\":\"w\",\"t_inv\":1,\"t_ret\":2,"
             "\"result\":\"ok\",\"ops\":[]}\n",
     3, "twice"},
    {MICRO("{\"f\":\"append\",\"db\":\"a\",\"k\":\"x\",\"v\":1}") "{\"type\":\"op\",\"i\":2,"
                                                                  "\"client\":"
                                                                  "\"c\",\"workload\":\"w\",\"t_"
                                                                  "inv\":1,"
                                                                  "\"t_ret\":2,\"result\":\"ok\","
                                                                  "\"ops\":"
                                                                  "[{\"f\":\"append\",\"db\":\"a\","
                                                                  "\"k\":"
                                                                  "\"x\",\"v\":1}]}\n{\"type\":"
                                                                  "\"end\","
                                                                  "\"t\":1,\"lines\":3}\n",
     3, "unique"},
    {META "{\"type\":\"op\",\"i\":1,\"client\":\"c\",\"workload\":\"w\",\"t_inv\":3,\"t_ret\":2,"
          "\"result\":\"ok\",\"ops\":[]}\n",
     2, "later than"},
    {META "{\"type\":\"dump\",\"t\":1,\"at\":\"end\",\"db\":\"a\",\"effects\":[[1,2]]}\n", 2,
     "[key, seq, xid, k, v]"},
    {META "{\"type\":\"dump\",\"t\":1,\"at\":\"end\",\"db\":\"a\",\"balances\":{\"p\":1.5}}\n", 2,
     "not an integer"},
    {META "{\"type\":\"dump\",\"t\":1,\"at\":\"end\",\"db\":\"a\",\"lists\":{\"p\":1}}\n", 2,
     "not an array"},
    {META "{\"type\":\"dump\",\"t\":1,\"at\":\"end\",\"db\":\"a\",\"registers\":{\"p\":[]}}\n", 2,
     "[v, n]"},
    {META "{\"type\":\"dump\",\"t\":1,\"at\":\"noon\",\"db\":\"a\"}\n", 2, "noon"},
    {META "{\"type\":\"heuristic\",\"t\":1,\"outcome\":\"mixed\"}\n", 2, "neither \"key\""},
    {META "{\"type\":\"nemesis\",\"t\":1,\"n\":1,\"fault\":\"f\",\"target\":\"t\"}\n", 2, "phase"},
    {META "{\"type\":\"sample\",\"t\":1,\"processes\":{\"p\":1}}\n", 2, "not an object"},
    {META "{\"type\":\"sample\",\"t\":1,\"tps\":\"fast\"}\n", 2, "not a number"},
};

struct scratch {
    char path[64];
};

static void scratch_write(struct scratch *scratch, const void *bytes, size_t size)
{
    FILE *file = fopen(scratch->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static int scratch_open(void **state)
{
    struct scratch *scratch = calloc(1, sizeof *scratch);
    snprintf(scratch->path, sizeof scratch->path, "/tmp/assent-checker-XXXXXX");
    int fd = mkstemp(scratch->path);
    *state = scratch;
    return fd < 0 ? -1 : close(fd);
}

static int scratch_close(void **state)
{
    struct scratch *scratch = *state;
    unlink(scratch->path);
    free(scratch);
    return 0;
}

/* Reads and judges; whatever comes out is freed. Returns 0 or the exit code. */
static int judge(const char *path, bool partial, struct problem *ret_problem)
{
    struct history history;
    struct report report;
    if (!history_read(path, partial, &history, ret_problem)) {
        return ret_problem->exit_code;
    }
    int status = 0;
    if (report_make(&history, &report, ret_problem)) {
        FILE *sink = fopen("/dev/null", "w");
        assert_non_null(sink);
        report_print_text(&history, &report, sink);
        report_print_html(&history, &report, sink);
        assert_true(report_print_json(&history, &report, sink));
        fclose(sink);
        report_done(&report);
    } else {
        status = ret_problem->exit_code;
    }
    history_done(&history);
    return status;
}

/* Each kind of mistake is refused with 65, its line, and words about it. */
static void test_checker_malformed_line_is_refused_with_its_number(void **state)
{
    struct scratch *scratch = *state;
    for (size_t i = 0; i < sizeof bad_files / sizeof bad_files[0]; i++) {
        const struct bad *bad = &bad_files[i];
        struct problem problem = {0};
        scratch_write(scratch, bad->text, strlen(bad->text));
        int status = judge(scratch->path, false, &problem);
        if (status != EX_DATAERR || (int)problem.line != bad->line ||
            !strstr(problem.text, bad->says)) {
            fail_msg("case %zu: status %d, line %llu: %s (wanted line %d: %s)", i, status,
                     (unsigned long long)problem.line, problem.text, bad->line, bad->says);
        }
    }
}

/* A file that is not there is another problem than one that is malformed. */
static void test_checker_missing_file_is_no_input(void **state)
{
    struct problem problem = {0};
    (void)state;
    assert_int_equal(judge("/nonexistent/history", false, &problem), EX_NOINPUT);
}

static char *make_world(size_t *ret_size)
{
    char *text = NULL;
    FILE *file = open_memstream(&text, ret_size);
    struct world_options options = {
        .seed = 5, .txns = 60, .snapshot_percent = 30, .fractured_percent = 30, .samples = true};
    struct world_result result;
    assert_non_null(file);
    world_write(&options, file, &result);
    assert_int_equal(fclose(file), 0);
    return text;
}

static uint64_t count_lines(const char *text, size_t size)
{
    uint64_t count = 0;
    for (size_t i = 0; i < size; i++) {
        count += text[i] == '\n';
    }
    return count;
}

/* Wherever a history is cut, that is noticed, with the line where it ends; and --partial checks what is left. */
static void test_checker_cut_history_is_refused_wherever_it_is_cut(void **state)
{
    struct scratch *scratch = *state;
    size_t size;
    char *text = make_world(&size);
    size_t head = strcspn(text, "\n") + 1;
    for (size_t length = 0; length < size; length += 1 + length % 37) {
        struct problem problem = {0};
        scratch_write(scratch, text, length);
        assert_int_equal(judge(scratch->path, false, &problem), EX_DATAERR);
        if (length > 0) {
            assert_int_equal(problem.line, count_lines(text, length) + 1);
        }
        if (length >= head) {
            assert_int_equal(judge(scratch->path, true, &problem), 0);
        }
    }
    scratch_write(scratch, text, size);
    struct problem problem = {0};
    assert_int_equal(judge(scratch->path, false, &problem), 0);
    free(text);
}

/* A damaged history is refused or judged, and nothing else happens (under the sanitizers as well). */
static void test_checker_damaged_bytes_do_no_harm(void **state)
{
    static const char alphabet[] = "{}[]\",:0123456789-nulltruefalse\n\\\xff\xc3";
    struct scratch *scratch = *state;
    size_t size;
    char *text = make_world(&size), *copy = malloc(size);
    uint64_t random = 12345;
    int judged = 0;
    assert_non_null(copy);
    for (int round = 0; round < 1500; round++) {
        memcpy(copy, text, size);
        int changes = 1 + round % 3;
        for (int i = 0; i < changes; i++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
            copy[(random >> 20) % size] = alphabet[(random >> 50) % (sizeof alphabet - 1)];
        }
        struct problem problem = {0};
        scratch_write(scratch, copy, size);
        int status = judge(scratch->path, false, &problem);
        assert_true(status == 0 || (status == EX_DATAERR && problem.line > 0));
        judged += status == 0;
    }
    assert_true(judged > 50); /* digits that changed: still a history */
    free(copy);
    free(text);
}

/* A line without end is refused at 64 MiB, not read into memory. */
static void test_checker_endless_line_is_refused(void **state)
{
    struct problem problem = {0};
    (void)state;
    struct history history;
    assert_false(history_read("/dev/zero", false, &history, &problem));
    assert_int_equal(problem.exit_code, EX_DATAERR);
    assert_int_equal(problem.line, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checker_malformed_line_is_refused_with_its_number),
        cmocka_unit_test(test_checker_missing_file_is_no_input),
        cmocka_unit_test(test_checker_cut_history_is_refused_wherever_it_is_cut),
        cmocka_unit_test(test_checker_damaged_bytes_do_no_harm),
        cmocka_unit_test(test_checker_endless_line_is_refused),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
