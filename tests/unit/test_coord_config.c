/* test_coord_config.c - assentd.conf: defaults, and errors that name line and remedy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "coordinator/config.h"

static char folder[] = "/tmp/assent-config-XXXXXX";
static char config_path[64];
static char secret_path[64];

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(config_path, sizeof(config_path), "%s/assentd.conf", folder);
    snprintf(secret_path, sizeof(secret_path), "%s/secret", folder);
    write_file(secret_path, "0123456789abcdef0123456789abcdef\n", 0600);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(config_path);
    unlink(secret_path);
    return rmdir(folder);
}

static bool load(const char *head, const char *participant, struct config *ret_config,
                 struct error *ret_error)
{
    char text[2048];
    snprintf(text, sizeof(text), "%s%s", head, participant);
    write_file(config_path, text, 0644);
    memset(ret_error, 0, sizeof(*ret_error));
    return config_load(config_path, ret_config, ret_error);
}

static const char *participant_text(void)
{
    static char text[256];
    snprintf(text, sizeof(text),
             "[participant order]\naddress = 127.0.0.1:7410\nsecret_file = %s\n", secret_path);
    return text;
}

/* A participant is all that must be said; the rest has the documented defaults, loopback only. */
static void test_config_defaults_are_safe(void **state)
{
    (void)state;
    struct config config;
    struct error error;
    assert_true(load("", participant_text(), &config, &error));
    assert_string_equal(config.http, "127.0.0.1:7400");
    assert_string_equal(config.client, "127.0.0.1:7401");
    assert_string_equal(config.listen, "127.0.0.1:7402");
    assert_null(config.advertise); /* agents dial what is listened on */
    assert_string_equal(config.journal, "/var/lib/assent/journal.db");
    assert_int_equal(config.core.max_active, 64);
    assert_int_equal(config.core.retention_ms, UINT64_C(7) * 24 * 3600 * 1000);
    assert_int_equal(config.core.interactive_max, 256);
    assert_int_equal(config.core.queue_active, 16);
    assert_int_equal(config.core.queue_max, 10000);
    assert_int_equal(config.core.queue_max_each, 1000);
    assert_int_equal(config.core.queue_max_bytes, 256 << 20);
    assert_int_equal(config.core.queue_retry_min_ms, 500);
    assert_int_equal(config.core.queue_retry_max_ms, 60000);
    assert_int_equal(config.core.queue_attempts, 0);
    assert_int_equal(config.core.interactive_idle_ms, 60000);
    assert_int_equal(config.core.interactive_result_bytes, 1 << 20);
    assert_int_equal(config.participant_count, 1);
    assert_string_equal(config.participants[0].name, "order");
    config_done(&config);
}

struct bad {
    const char *head;
    const char *text; /* part of the error */
    const char *hint; /* part of the remedy, or NULL */
};

/* Each mistake is refused with the place, and where it helps with the remedy. */
static void test_config_errors_name_line_and_remedy(void **state)
{
    (void)state;
    static const struct bad table[] = {
        {"[assentd]\nhttp = 0.0.0.0:7400\n", "assentd.conf:2", "127.0.0.1:7400"},
        {"[assentd]\nhttp = 127.0.0.1\n", "assentd.conf:2", NULL},
        {"[assentd]\nlisten = 127.0.0.1:99999\n", "assentd.conf:2", NULL},
        {"[assentd]\nadvertise = 10.0.0.1:7402\n", "assentd.conf:2", "127.0.0.1:7402"},
        {"[assentd]\n\nmax_activ = 7\n", "assentd.conf:3", NULL},
        {"[assentd]\nmax_active = 0\n", "assentd.conf:2", NULL},
        {"[assentd]\nmax_active = many\n", "assentd.conf:2", NULL},
        {"[assentd]\ntimeout_default = 5\n", "assentd.conf:2", NULL},
        {"[assentd]\nlog_level = loud\n", "assentd.conf:2", NULL},
        {"[assentd]\nmax_body = 1\n", "assentd.conf:2", NULL},
        {"[assentd]\ninteractive_max = 0\n", "assentd.conf:2", NULL},
        {"[assentd]\ninteractive_idle = 5\n", "assentd.conf:2", NULL},
        {"[assentd]\ninteractive_result_bytes = 1\n", "assentd.conf:2", NULL},
        {"[assentd]\nqueue_active = 0\n", "assentd.conf:2", NULL},
        {"[assentd]\nqueue_max_bytes = 7\n", "assentd.conf:2", NULL},
        {"[assentd]\nqueue_max = 40001\n", "assentd.conf:2", NULL},
        {"[assentd]\nqueue_retry_min = 2m\n", "assentd.conf:1", "queue_retry_max"},
        {"[asentd]\nhttp = 127.0.0.1:7400\n", "asentd", NULL},
        {"[participant Order]\naddress = 127.0.0.1:1\nsecret_file = x\n", "Order", "a-z"},
        {"[assentd]\nclient = 127.example.com:7401\n", "assentd.conf:2", "127.0.0.1:7401"},
        {"[assentd]\nclient = localhost.example.com:7401\n", "not a loopback", NULL},
        {"[assentd]\nlisten = 127.0.0.1:-0\n", "HOST:PORT", "127.0.0.1:7400"},
        {"[assentd]\nlisten = 127.0.0.1: 7402\n", "HOST:PORT", NULL},
        {"[assentd]\nlisten = [::2]:7402\n", "not a loopback", NULL},
        {"[assentd]\nlisten = [::1:7402\n", "HOST:PORT", NULL},
        {"[assentd]\ntimeout_max = 5s\ntimeout_default = 6s\n", "assentd.conf:3", "timeout_max"},
        {"[assentd]\nretry_min = 5s\n", "assentd.conf:1", "retry_min"},
        {"[participant far]\naddress = 127.0.0.1.example.com:7410\nsecret_file = x\n",
         "assentd.conf:2", "TLS"},
        {"[participant far]\naddress = 10.0.0.1:7410\nsecret_file = x\n", "loopback", "TLS"},
        {"[participant x]\naddress = 127.0.0.1:1\n", "assentd.conf:1", "secret_file"},
        {"[participant x]\naddress = 127.0.0.1:1\nsecret_file = /nowhere/secret\n",
         "assentd.conf:3", "openssl"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct config config;
        struct error error;
        assert_false(load(table[i].head, participant_text(), &config, &error));
        if (strstr(error.text, table[i].text) == NULL) {
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, error.text, table[i].text);
        }
        if (table[i].hint != NULL && strstr(error.hint, table[i].hint) == NULL) {
            fail_msg("case %zu: hint \"%s\" does not say \"%s\"", i, error.hint, table[i].hint);
        }
    }
}

/* Without a participant there is nothing to coordinate. */
static void test_config_without_participants_is_refused(void **state)
{
    (void)state;
    struct config config;
    struct error error;
    assert_false(load("[assentd]\n", "", &config, &error));
    assert_non_null(strstr(error.text, "assentd.conf: no [participant"));
    assert_true(error.hint[0] != '\0');
}

/* A secret that others can read is refused. */
static void test_config_open_secret_is_refused(void **state)
{
    (void)state;
    struct config config;
    struct error error;
    assert_int_equal(chmod(secret_path, 0644), 0);
    assert_false(load("", participant_text(), &config, &error));
    assert_int_equal(chmod(secret_path, 0600), 0);
    assert_non_null(strstr(error.text, "order"));
    assert_non_null(strstr(error.hint, "chmod"));
}

/* Two participants at one address: one agent cannot be both. */
static void test_config_two_participants_at_one_address_are_refused(void **state)
{
    (void)state;
    char other[256];
    snprintf(other, sizeof(other),
             "[participant payment]\naddress = 127.0.0.1:7410\nsecret_file = %s\n", secret_path);
    struct config config;
    struct error error;
    assert_false(load(other, participant_text(), &config, &error));
    assert_non_null(strstr(error.text, "assentd.conf:5: [participant order]"));
    assert_non_null(strstr(error.text, "participant payment"));
    assert_true(error.hint[0] != '\0');
}

/* SIGHUP changes participants and the log; a change of anything else must not be taken for done. */
static void test_config_restart_key_names_what_sighup_does_not_change(void **state)
{
    (void)state;
    struct config old, new;
    struct error error;
    assert_true(load("", participant_text(), &old, &error));
    assert_true(load("[assentd]\nlog_level = debug\n", participant_text(), &new, &error));
    assert_null(config_restart_key(&old, &new));
    config_done(&new);
    assert_true(load("[assentd]\nmax_active = 65\n", participant_text(), &new, &error));
    assert_string_equal(config_restart_key(&old, &new), "max_active");
    config_done(&new);
    static const char *const keys[] = {
        "interactive_max", "interactive_idle", "interactive_result_bytes", "queue_active",
        "queue_max",       "queue_max_each",   "queue_max_bytes",          "queue_retry_min",
        "queue_retry_max", "queue_attempts"};
    static const char *const values[] = {"7", "7s",   "7KiB", "7",  "7",
                                         "7", "7MiB", "7ms",  "7s", "7"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char head[64];
        snprintf(head, sizeof(head), "[assentd]\n%s = %s\n", keys[i], values[i]);
        assert_true(load(head, participant_text(), &new, &error));
        assert_string_equal(config_restart_key(&old, &new), keys[i]);
        config_done(&new);
    }
    config_done(&old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_defaults_are_safe),
        cmocka_unit_test(test_config_errors_name_line_and_remedy),
        cmocka_unit_test(test_config_without_participants_is_refused),
        cmocka_unit_test(test_config_open_secret_is_refused),
        cmocka_unit_test(test_config_two_participants_at_one_address_are_refused),
        cmocka_unit_test(test_config_restart_key_names_what_sighup_does_not_change),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
