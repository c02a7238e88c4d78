/*
 * test_log.c - diagnostics: escaping, JSON that stays JSON, cutting, levels, and lines that never
 * mix.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

#define CAPTURE_BYTES 262144

static char captured[CAPTURE_BYTES];
static int saved_stderr;
static FILE *capture_file;

/* Standard error goes to a file between these two; the second reads it into `captured`. */
static void begin_capture(void)
{
    capture_file = tmpfile();
    assert_non_null(capture_file);
    saved_stderr = dup(STDERR_FILENO);
    assert_true(saved_stderr >= 0);
    assert_true(dup2(fileno(capture_file), STDERR_FILENO) >= 0);
}

static void end_capture(void)
{
    assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
    (void)close(saved_stderr);
    ssize_t length = pread(fileno(capture_file), captured, sizeof captured - 1, 0);
    assert_true(length >= 0);
    captured[length] = '\0';
    (void)fclose(capture_file);
}

/* The line without its time stamp, which is 24 characters between `before` and the next field. */
static const char *after_time(const char *before)
{
    assert_memory_equal(captured, before, strlen(before));
    const char *stamp = captured + strlen(before);
    assert_int_equal(stamp[4], '-');
    assert_int_equal(stamp[10], 'T');
    assert_int_equal(stamp[19], '.');
    assert_int_equal(stamp[23], 'Z');
    return stamp + 24;
}

/* Plain values stand bare, others in quotes with escapes; numbers keep their full range. */
static void test_log_text_quotes_where_needed(void **state)
{
    (void)state;
    log_configure("assentd", LOG_DEBUG, LOG_FORMAT_TEXT);
    begin_capture();
    log_event(LOG_WARN, "peer down", LOG_S("participant", "order"), LOG_S("empty", ""),
              LOG_S("odd", "a \"b\" \\ = \n\t\x01\xff \xc3\xa9"), LOG_I("i", INT64_MIN),
              LOG_U("u", UINT64_MAX));
    end_capture();
    assert_string_equal(
        after_time("time="),
        " level=warn program=assentd event=\"peer down\" participant=order empty=\"\""
        " odd=\"a \\\"b\\\" \\\\ = \\n\\t\\x01\\xff \xc3\xa9\""
        " i=-9223372036854775808 u=18446744073709551615\n");
}

/* JSON has the same fields; control characters are escaped and invalid UTF-8 replaced. */
static void test_log_json_escapes(void **state)
{
    (void)state;
    log_configure("assentd", LOG_DEBUG, LOG_FORMAT_JSON);
    begin_capture();
    log_event(LOG_ERROR, "x", LOG_S("t", "a\"\\\n\x01\xff\xed\xa0\x80\xc3\xa9"), LOG_I("i", -1),
              LOG_U("u", 2));
    end_capture();
    assert_string_equal(after_time("{\"time\":\""),
                        "\",\"level\":\"error\",\"program\":\"assentd\",\"event\":\"x\","
                        "\"t\":\"a\\\"\\\\\\n\\u0001\\ufffd\\ufffd\\ufffd\\ufffd\xc3\xa9\","
                        "\"i\":-1,\"u\":2}\n");
}

/* A NULL text leaves its field out. */
static void test_log_null_text_is_left_out(void **state)
{
    (void)state;
    log_configure("p", LOG_DEBUG, LOG_FORMAT_TEXT);
    begin_capture();
    log_event(LOG_INFO, "e", LOG_S("none", NULL), LOG_U("n", 1));
    end_capture();
    assert_string_equal(after_time("time="), " level=info program=p event=e n=1\n");
}

/* Values and lines that are too long are cut, marked, and stay well-formed. */
static void test_log_long_values_are_cut_and_marked(void **state)
{
    (void)state;
    char text[4096];
    memset(text, '\x01', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    static const enum log_format formats[] = {LOG_FORMAT_TEXT, LOG_FORMAT_JSON};
    static const char *const tails[] = {" truncated=true\n", ",\"truncated\":true}\n"};
    for (int i = 0; i < 2; i++) {
        log_configure("p", LOG_DEBUG, formats[i]);
        begin_capture();
        log_event(LOG_INFO, "e", LOG_S("a", text), LOG_S("b", text), LOG_S("c", text),
                  LOG_U("n", 7));
        end_capture();
        size_t length = strlen(captured);
        size_t tail = strlen(tails[i]);
        assert_true(length <= 8192);
        assert_string_equal(captured + length - tail, tails[i]);
        assert_ptr_equal(strchr(captured, '\n'), captured + length - 1);
    }
    /* The JSON line's later small field still fitted. */
    assert_non_null(strstr(captured, ",\"n\":7,"));
}

/* Below the configured level nothing is written; log_enabled says so beforehand. errno survives. */
static void test_log_level_filters(void **state)
{
    (void)state;
    log_configure("p", LOG_WARN, LOG_FORMAT_TEXT);
    assert_false(log_enabled(LOG_INFO));
    assert_true(log_enabled(LOG_WARN));
    begin_capture();
    log_event(LOG_INFO, "quiet", LOG_U("n", 1));
    errno = EXDEV;
    log_event(LOG_ERROR, "loud", LOG_U("n", 1));
    int errno_after = errno;
    end_capture();
    assert_int_equal(errno_after, EXDEV);
    assert_null(strstr(captured, "quiet"));
    assert_non_null(strstr(captured, "loud"));
}

/* A line that cannot be written is dropped without a trace, in errno as well. */
static void test_log_failed_write_is_ignored(void **state)
{
    (void)state;
    log_configure("p", LOG_INFO, LOG_FORMAT_TEXT);
    begin_capture();
    int read_only = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(read_only >= 0);
    assert_true(dup2(read_only, STDERR_FILENO) >= 0);
    errno = EXDEV;
    log_event(LOG_ERROR, "lost", LOG_U("n", 1));
    int errno_after = errno;
    end_capture();
    assert_int_equal(close(read_only), 0);
    assert_int_equal(errno_after, EXDEV);
    assert_string_equal(captured, "");
}

/* The four level names are understood, anything else is not. */
static void test_log_level_parse_is_strict(void **state)
{
    (void)state;
    enum log_level level = LOG_ERROR;
    assert_true(log_level_parse("debug", &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_true(log_level_parse("info", &level));
    assert_true(log_level_parse("warn", &level));
    assert_true(log_level_parse("error", &level));
    assert_int_equal(level, LOG_ERROR);
    assert_false(log_level_parse("Error", &level));
    assert_false(log_level_parse("", &level));
    assert_int_equal(level, LOG_ERROR);
}

static void *log_many(void *argument)
{
    for (unsigned i = 0; i < 200; i++) {
        log_event(LOG_INFO, "many", LOG_S("by", argument), LOG_U("end", 12345));
    }
    return NULL;
}

/* Lines of several threads come out whole. */
static void test_log_threads_write_whole_lines(void **state)
{
    (void)state;
    char names[3][2] = {"a", "b", "c"};
    pthread_t threads[3];
    log_configure("p", LOG_INFO, LOG_FORMAT_TEXT);
    begin_capture();
    /* Appending, as a daemon's log is: then one write is one line. */
    assert_true(fcntl(STDERR_FILENO, F_SETFL, O_APPEND) == 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, names[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    end_capture();
    int lines = 0;
    for (const char *line = captured; *line != '\0'; lines++) {
        const char *end = strchr(line, '\n');
        assert_non_null(end);
        assert_memory_equal(line, "time=", 5);
        assert_memory_equal(end - 10, " end=12345", 10);
        line = end + 1;
    }
    assert_int_equal(lines, 600);
}

static void *configure_again(void *argument)
{
    const atomic_bool *over = argument;
    for (unsigned i = 0; !atomic_load(over); i++) {
        log_configure("p", LOG_INFO, i % 2 == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
    }
    return NULL;
}

/* A line that is written while another thread configures the log anew is of one format as a whole. */
static void test_log_configured_meanwhile_lines_are_of_one_format(void **state)
{
    (void)state;
    atomic_bool over = false;
    pthread_t thread;
    log_configure("p", LOG_INFO, LOG_FORMAT_TEXT);
    begin_capture();
    assert_int_equal(pthread_create(&thread, NULL, configure_again, &over), 0);
    for (unsigned i = 0; i < 1500; i++) {
        log_event(LOG_INFO, "e", LOG_S("a", "b c"), LOG_S("d", "e"), LOG_U("n", 1));
    }
    atomic_store(&over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    end_capture();
    for (const char *line = captured; *line != '\0'; line = strchr(line, '\n') + 1) {
        static const char
            text_end[] = " program=p event=e a=\"b c\" d=e n=1\n",
            json_end[] = ",\"program\":\"p\",\"event\":\"e\",\"a\":\"b c\",\"d\":\"e\",\"n\":1}\n";
        const char *wanted = *line == '{' ? json_end : text_end;
        const char *end = strchr(line, '\n');
        assert_non_null(end);
        assert_memory_equal(end + 1 - strlen(wanted), wanted, strlen(wanted));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_text_quotes_where_needed),
        cmocka_unit_test(test_log_json_escapes),
        cmocka_unit_test(test_log_null_text_is_left_out),
        cmocka_unit_test(test_log_long_values_are_cut_and_marked),
        cmocka_unit_test(test_log_level_filters),
        cmocka_unit_test(test_log_failed_write_is_ignored),
        cmocka_unit_test(test_log_level_parse_is_strict),
        cmocka_unit_test(test_log_threads_write_whole_lines),
        cmocka_unit_test(test_log_configured_meanwhile_lines_are_of_one_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
