/* test_agent_config.c - configuration files (common/config_file.h) and the agent's own
 * (participant/config.h). */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config_file.h"
#include "participant/config.h"

static struct config_file *parsed(const char *text)
{
    struct config_file *file = NULL;
    struct error error = {0};
    assert_success(config_file_parse("a.conf", text, &file, &error), &error);
    return file;
}

static void assert_refused(const char *text, const char *wanted)
{
    struct config_file *file = NULL;
    struct error error = {0};
    assert_false(config_file_parse("a.conf", text, &file, &error));
    if (strstr(error.text, wanted) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", wanted, error.text);
    }
    assert_int_not_equal(error.hint[0], '\0');
}

/* Values come with their types, sections in file order, comments and continuation lines as
 * documented. */
static void test_config_file_values_are_typed(void **state)
{
    (void)state;
    struct config_file *file = parsed("; first\n[one]\nname = a b ; comment\nlong = x\n   y\n"
                                      "[two three]\nwait = 2s\nsize=16KiB\ncount=-3\nyes = on\n"
                                      "kind = red\nzero = 0\n");
    static const char *const kinds[] = {"blue", "red", NULL};
    struct error error = {0};
    const char *text = NULL;
    int64_t number = 0;
    bool flag = false;
    int index = 0;
    assert_int_equal(config_file_section_count(file), 2);
    assert_string_equal(config_file_section(file, 1), "two three");
    assert_success(config_file_get_text(file, "one", "name", NULL, &text, &error), &error);
    assert_string_equal(text, "a b");
    assert_success(config_file_get_text(file, "one", "long", NULL, &text, &error), &error);
    assert_string_equal(text, "x y");
    assert_success(
        config_file_get_duration_ms(file, "two three", "wait", 1, 0, 9000, &number, &error),
        &error);
    assert_int_equal(number, 2000);
    assert_success(
        config_file_get_size_bytes(file, "two three", "size", 1, 0, 1 << 20, &number, &error),
        &error);
    assert_int_equal(number, 16384);
    assert_success(config_file_get_int(file, "two three", "count", 1, -5, 5, &number, &error),
                   &error);
    assert_int_equal(number, -3);
    assert_success(config_file_get_bool(file, "two three", "yes", false, &flag, &error), &error);
    assert_true(flag);
    assert_success(config_file_get_choice(file, "two three", "kind", kinds, 0, &index, &error),
                   &error);
    assert_int_equal(index, 1);
    assert_success(config_file_get_duration_ms(file, "two three", "zero", 1, 0, 9, &number, &error),
                   &error);
    assert_int_equal(number, 0);
    assert_success(config_file_finish(file, &error), &error);
    config_file_free(file);
}

/* What cannot be read is refused with its line and a remedy. */
static void test_config_file_malformed_text_names_the_line(void **state)
{
    (void)state;
    char longest[300];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    memcpy(longest, "[a]\nk = ", 8);
    assert_refused("key = 1\n", "a.conf:1");
    assert_refused("[a]\nnonsense\n", "a.conf:2");
    assert_refused("[a]\nk = 1\n\nk = 2\n", "a.conf:4");
    assert_refused("[a\nk = 1\n", "a.conf:1");
    assert_refused("[]\nk = 1\n", "a.conf:1");
    assert_refused(longest, "too long");
}

/* A value of the wrong kind or out of range is refused with its line, and the hint says what is
 * right. */
static void test_config_file_wrong_values_are_refused(void **state)
{
    (void)state;
    struct config_file *file = parsed("[a]\nwait = 5\nbig = 99999s\nsize = 1TB\n"
                                      "count = 12x\nhuge = 99999999999999999999\nempty =\n");
    struct error error = {0};
    int64_t number = 7;
    const char *text = NULL;
    assert_false(config_file_get_duration_ms(file, "a", "wait", 1, 0, 9000, &number, &error));
    assert_non_null(strstr(error.text, "a.conf:2: [a] wait"));
    assert_false(config_file_get_duration_ms(file, "a", "big", 1, 50, 9000, &number, &error));
    assert_non_null(strstr(error.hint, "50ms to 9s"));
    assert_false(config_file_get_size_bytes(file, "a", "size", 1, 0, 9, &number, &error));
    assert_false(config_file_get_int(file, "a", "count", 1, 0, 99, &number, &error));
    assert_false(config_file_get_int(file, "a", "huge", 1, 0, INT64_MAX, &number, &error));
    assert_false(config_file_get_text(file, "a", "empty", "x", &text, &error));
    assert_false(config_file_get_text(file, "a", "missing", NULL, &text, &error));
    assert_non_null(strstr(error.text, "required"));
    assert_int_equal(number, 7);
    config_file_free(file);
}

/* A key or section that the program does not know is an error, with the nearest known name. */
static void test_config_file_unknown_keys_are_errors(void **state)
{
    (void)state;
    struct error error = {0};
    int64_t number = 0;
    struct config_file *file = parsed("[a]\nretry_mni = 5\n");
    assert_true(config_file_get_int(file, "a", "retry_min", 1, 0, 9, &number, &error));
    assert_false(config_file_finish(file, &error));
    assert_non_null(strstr(error.text, "a.conf:2"));
    assert_non_null(strstr(error.hint, "retry_min"));
    config_file_free(file);
    file = parsed("[a]\nx = 1\n[b]\n");
    assert_true(config_file_get_int(file, "a", "x", 1, 0, 9, &number, &error));
    assert_false(config_file_finish(file, &error));
    assert_non_null(strstr(error.text, "[b]"));
    config_file_free(file);
}

static bool load(const char *text, struct agent_settings *ret_settings, struct error *ret_error)
{
    char path[] = "/tmp/assent-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    bool ok = agent_settings_load(path, ret_settings, ret_error);
    unlink(path);
    return ok;
}

#define AGENT    "[agent]\nparticipant = order\nlisten = 127.0.0.1:7411\nsecret_file = /s\n"
#define DATABASE "[database]\nconninfo = host=/run dbname=orders user=a\n"

/* Three keys and a connection string are enough; everything else has a safe default. */
static void test_agent_config_defaults_are_enough(void **state)
{
    (void)state;
    struct agent_settings settings, other;
    struct error error = {0};
    assert_success(load(AGENT DATABASE, &settings, &error), &error);
    assert_string_equal(settings.core.participant, "order");
    assert_int_equal(settings.worker_count, 16);
    assert_int_equal(settings.core.interactive_max, 16);
    assert_int_equal(settings.core.sweep_interval_ms, 2000);
    assert_int_equal(settings.max_result_bytes, 256 * 1024);
    assert_int_equal(settings.proof, PROOF_ROW);
    assert_success(load(AGENT "log_level = debug\n" DATABASE, &other, &error), &error);
    assert_null(agent_settings_restart_key(&settings, &other));
    assert_success(load(AGENT DATABASE "workers = 3\n", &other, &error), &error);
    assert_string_equal(agent_settings_restart_key(&settings, &other), "workers");
    assert_success(load(AGENT DATABASE "interactive = 0\n", &other, &error), &error);
    assert_string_equal(agent_settings_restart_key(&settings, &other), "interactive");
}

/* The limit that a refused result names is the one that the configuration knows. */
static void test_agent_config_result_limit_has_the_name_that_errors_use(void **state)
{
    (void)state;
    struct agent_settings settings, other;
    struct error error = {0};
    assert_success(load(AGENT DATABASE, &settings, &error), &error);
    assert_success(load(AGENT DATABASE "max_result_bytes = 1MiB\n", &other, &error), &error);
    assert_int_equal(other.max_result_bytes, 1024 * 1024);
    assert_string_equal(agent_settings_restart_key(&settings, &other), "max_result_bytes");
}

/* The example that is installed is a configuration that loads. */
static void test_agent_config_example_loads(void **state)
{
    (void)state;
    const char *source = getenv("ASSENT_SOURCE_DIR");
    char path[1024];
    snprintf(path, sizeof(path), "%s/packaging/examples/agents/order.conf",
             source != NULL ? source : ".");
    struct agent_settings settings;
    struct error error = {0};
    assert_success(agent_settings_load(path, &settings, &error), &error);
    assert_string_equal(settings.conninfo, "host=/run/postgresql dbname=orders user=assent_order");
}

/* What [policy] says becomes the policy, with the operations of the file that it names; nothing is a rule by default, and
 * no restart is needed for any of it. */
static void test_agent_config_policy_is_read(void **state)
{
    (void)state;
    const char *source = getenv("ASSENT_SOURCE_DIR");
    char text[2048];
    (void)snprintf(text, sizeof(text),
                   AGENT DATABASE
                   "[policy]\noperations_file = %s/packaging/examples/agents/order.operations\n"
                   "operations_only = yes\nrole = a \"b\"\nrefuse_ddl = yes\n"
                   "max_rows = 7\nmax_time = 2s\n",
                   source != NULL ? source : ".");
    struct agent_settings plain, settings;
    struct policy *policy = NULL;
    struct error error = {0};
    assert_success(load(AGENT DATABASE, &plain, &error), &error);
    assert_success(agent_settings_policy(&plain, &policy, &error), &error);
    assert_false(policy->operations_only || policy->refuse_ddl || policy->role[0] != '\0');
    assert_int_equal(policy->operation_count + (size_t)policy->max_rows + policy->max_time_ms, 0);
    policy_release(policy);
    assert_success(load(text, &settings, &error), &error);
    assert_null(agent_settings_restart_key(&plain, &settings));
    assert_success(agent_settings_policy(&settings, &policy, &error), &error);
    assert_true(policy->operations_only && policy->refuse_ddl);
    assert_string_equal(policy->role, "a \"b\"");
    assert_int_equal(policy->max_rows, 7);
    assert_int_equal(policy->max_time_ms, 2000);
    assert_non_null(policy_find(policy, "place-order"));
    policy_release(policy);
    assert_success(load(AGENT DATABASE "[policy]\noperations_file = /nowhere\n", &settings, &error),
                   &error);
    assert_false(agent_settings_policy(&settings, &policy, &error));
    assert_non_null(strstr(error.text, "/nowhere"));
    assert_non_null(strstr(error.hint, "operations_file"));
}

/* Passwords in the connection string, other addresses than loopback, bad names and contradictions
 * are refused. */
static void test_agent_config_unsafe_settings_are_refused(void **state)
{
    (void)state;
    const char *const refused[] = {
        "[agent]\nparticipant = Order\nlisten = 127.0.0.1:1\nsecret_file = /s\n" DATABASE,
        "[agent]\nparticipant = order\nlisten = 0.0.0.0:7411\nsecret_file = /s\n" DATABASE,
        "[agent]\nparticipant = order\nlisten = 192.168.1.1:7411\nsecret_file = /s\n" DATABASE,
        "[agent]\nparticipant = order\nlisten = 127.0.0.1\nsecret_file = /s\n" DATABASE,
        "[agent]\nparticipant = order\nlisten = 127.0.0.1:70000\nsecret_file = /s\n" DATABASE,
        "[agent]\nparticipant = order\nlisten = 127.example.com:7411\nsecret_file = /s\n" DATABASE,
        "[agent]\nparticipant = order\nlisten = 127.0.0.1:-0\nsecret_file = /s\n" DATABASE,
        AGENT "[database]\nconninfo = host=/run password=x\n",
        AGENT "[database]\nconninfo = host=/run user=password password=x\n",
        AGENT "[database]\nconninfo = host=/run\tpassword = 'x'\n",
        AGENT "[database]\nconninfo = host=/run sslpassword=x\n",
        AGENT "[database]\nconninfo = postgresql://127.0.0.1/orders?password=x\n",
        AGENT "[database]\nconninfo = host=/run dbnam=orders\n",
        AGENT "[database]\nconninfo = postgresql://a:b@127.0.0.1/orders\n",
        AGENT DATABASE "[protocol]\nretry_min = 2s\nretry_max = 1s\n",
        AGENT DATABASE "[protocol]\nsweep_interval = 0\n",
        AGENT DATABASE "[policy]\noperations_only = yes\n",
        AGENT DATABASE "[policy]\nrole = none\n",
        AGENT DATABASE "[policy]\nmax_rows = 0\n",
        AGENT DATABASE "[policy]\nmax_time = 0\n",
        AGENT DATABASE "[policy]\nrefuse_dll = yes\n",
        AGENT DATABASE "worker = 3\n",
        AGENT DATABASE "interactive = 257\n",
        AGENT DATABASE "workers = 400\nfinishers = 50\ninteractive = 51\n",
        AGENT DATABASE "proof = none\n",
        AGENT,
        DATABASE,
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct agent_settings settings;
        struct error error = {0};
        if (load(refused[i], &settings, &error)) {
            fail_msg("accepted: %s", refused[i]);
        }
        assert_int_equal(error.kind, ERROR_INVALID);
        assert_int_not_equal(error.hint[0], '\0');
    }
}

/* A connection string that cannot be read may be one with a mistyped password: it is not repeated. */
static void test_agent_config_refusal_does_not_repeat_a_password(void **state)
{
    (void)state;
    const char *const texts[] = {
        AGENT "[database]\nconninfo = host=/run pasword=topsecret\n",
        AGENT "[database]\nconninfo = host=/run password=top topsecret\n",
        AGENT "[database]\nconninfo = postgresql://a:topsecret@[x/orders\n",
        AGENT "[database]\nconninfo = host=/run password=topsecret\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct agent_settings settings;
        struct error error = {0};
        assert_false(load(texts[i], &settings, &error));
        assert_null(strstr(error.text, "topsecret"));
        assert_null(strstr(error.hint, "topsecret"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_file_values_are_typed),
        cmocka_unit_test(test_config_file_malformed_text_names_the_line),
        cmocka_unit_test(test_config_file_wrong_values_are_refused),
        cmocka_unit_test(test_config_file_unknown_keys_are_errors),
        cmocka_unit_test(test_agent_config_defaults_are_enough),
        cmocka_unit_test(test_agent_config_result_limit_has_the_name_that_errors_use),
        cmocka_unit_test(test_agent_config_example_loads),
        cmocka_unit_test(test_agent_config_policy_is_read),
        cmocka_unit_test(test_agent_config_unsafe_settings_are_refused),
        cmocka_unit_test(test_agent_config_refusal_does_not_repeat_a_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
