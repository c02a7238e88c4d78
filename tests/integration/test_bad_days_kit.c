/*
 * test_bad_days_kit.c - see test_bad_days_kit.h.
 */
#include "test_bad_days_kit.h"

#include <fcntl.h>
#include <jansson.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"

#define PATIENCE_MS 15000

static const char *const journal_suffixes[] = {"", "-wal"};

/* --- clusters and stacks ---------------------------------------------------------------------- */

struct clusters {
    struct pgcluster *all[DAY_CLUSTERS];
};

int day_clusters_make(void **state)
{
    struct clusters *clusters = alloc_zeroed(sizeof *clusters);
    struct error error;
    *state = clusters;
    for (size_t i = 0; i < DAY_CLUSTERS; i++) {
        if (!pgcluster_new(NULL, &clusters->all[i], &error)) {
            print_error("%s\n", error.text);
            return -1;
        }
    }
    return 0;
}

int day_clusters_free(void **state)
{
    struct clusters *clusters = *state;
    for (size_t i = 0; i < DAY_CLUSTERS; i++) {
        pgcluster_free(clusters->all[i]);
    }
    free(clusters);
    return 0;
}

int day_begin_idle(void **state)
{
    const struct clusters *clusters = *state;
    struct day *day = alloc_zeroed(sizeof *day);
    day->clusters = clusters->all;
    *state = day;
    return 0;
}

void day_stack(struct day *day, struct stack_options options)
{
    struct error error;
    options.clusters = day->clusters;
    assert_success(stack_new(&options, &day->stack, &error), &error);
    assert_success(checkout_setup(day->stack, &error), &error);
}

void day_start(struct day *day)
{
    struct error error;
    assert_success(stack_start(day->stack, &error), &error);
}

int day_begin(void **state)
{
    (void)day_begin_idle(state);
    day_stack(*state, (struct stack_options){0});
    day_start(*state);
    return 0;
}

int day_end(void **state)
{
    struct day *day = *state;
    process_free(day->second);
    stack_free(day->stack);
    free(day);
    return 0;
}

uint64_t day_soon(void)
{
    return clock_monotonic_ms() + PATIENCE_MS;
}

/* --- checkouts -------------------------------------------------------------------------------- */

void deal_make(struct day *day, struct deal *deal, struct checkout shape)
{
    struct error error;
    unsigned serial = ++day->serial;
    *deal = (struct deal){0};
    (void)snprintf(deal->id, sizeof deal->id, "order-%u", serial);
    (void)snprintf(deal->key, sizeof deal->key, "key-%u", serial);
    (void)snprintf(deal->account, sizeof deal->account, "account-%u", serial);
    shape.id = deal->id;
    shape.account = deal->account;
    deal->body = checkout_body(day->stack, &shape);
    assert_success(checkout_open_account(day->stack, deal->account, DAY_BALANCE, &error), &error);
}

void deal_done(struct deal *deal)
{
    free(deal->body);
    answer_done(&deal->answer);
    *deal = (struct deal){0};
}

void deal_submit(struct day *day, struct deal *deal)
{
    answer_done(&deal->answer);
    checkout_submit(day->stack, deal->key, deal->body, &deal->answer);
}

void deal_expect_rows(struct day *day, const struct deal *deal, int times)
{
    struct effects effects;
    struct error error;
    assert_success(checkout_effects(day->stack, deal->id, deal->account, &effects, &error), &error);
    assert_success(effects_are(day->stack, &effects, times, DAY_BALANCE, &error), &error);
}

static void expect_told(const struct answer *answer, enum told told)
{
    if (answer->told != told) {
        fail_msg("told %s, not %s: %d %s", told_text(answer->told), told_text(told), answer->status,
                 answer->body);
    }
}

void deal_expect(struct day *day, const struct deal *deal, enum told told, int times)
{
    expect_told(&deal->answer, told);
    deal_expect_rows(day, deal, times);
}

void deal_again(struct day *day, const struct deal *deal, enum told told, int times)
{
    struct answer again;
    checkout_submit(day->stack, deal->key, deal->body, &again);
    expect_told(&again, told);
    if (deal->answer.told == TOLD_COMMITTED && !answer_same(&deal->answer, &again)) {
        fail_msg("other words the second time: %s\nfirst: %s", again.body, deal->answer.body);
    }
    answer_done(&again);
    deal_expect_rows(day, deal, times);
}

void day_leave_at(struct day *day, struct deal *deal, const char *point)
{
    struct error error;
    struct stack_daemon *coordinator = stack_coordinator(day->stack);
    assert_success(stack_daemon_stop(coordinator, &error), &error);
    assert_success(stack_daemon_start_faulty(coordinator, point, &error), &error);
    assert_success(stack_wait_ready(day->stack, day_soon(), &error), &error);
    deal_submit(day, deal);
    assert_true(stack_daemon_wait(coordinator, day_soon(), NULL));
    assert_int_equal(stack_daemon_fault_hits(coordinator), 1);
    expect_told(&deal->answer, TOLD_NOTHING);
}

/* --- waiting ---------------------------------------------------------------------------------- */

void day_expect_whole(struct day *day)
{
    struct error error;
    assert_success(stack_wait_whole(day->stack, clock_monotonic_ms() + DAY_HEAL_MS, &error),
                   &error);
}

static bool is_not_ready(void *user)
{
    struct http_reply reply;
    if (!stack_http(user, "/readyz", NULL, NULL, &reply, NULL)) {
        return false;
    }
    bool not_ready = reply.status == 503;
    http_reply_done(&reply);
    return not_ready;
}

void day_wait_not_ready(struct day *day)
{
    assert_true(stack_poll(stack_coordinator(day->stack), day_soon(), is_not_ready, day->stack));
}

struct prepared_wait {
    struct stack *stack;
    size_t participant;
    const char *prefix;
    int wanted, found;
};

static bool is_prepared(void *user)
{
    struct prepared_wait *wait = user;
    wait->found = stack_prepared_count(wait->stack, wait->participant, wait->prefix);
    return wait->found == wait->wanted;
}

void day_wait_prepared(struct day *day, size_t participant, const char *prefix, int count)
{
    struct prepared_wait wait = {day->stack, participant, prefix, count, 0};
    if (!stack_poll(NULL, day_soon(), is_prepared, &wait)) {
        fail_msg("%d transactions \"%s...\" are prepared, not %d", wait.found, prefix, count);
    }
}

void day_wait_log(struct day *day, struct stack_daemon *daemon, off_t offset, const char *text)
{
    struct error error;
    (void)day;
    assert_success(stack_daemon_wait_line(daemon, offset, text, day_soon(), &error), &error);
}

struct participant_wait {
    struct stack *stack;
    const char *name, *member;
    double wanted, found;
};

static bool participant_has(void *user)
{
    struct participant_wait *wait = user;
    struct http_reply reply;
    if (!stack_http(wait->stack, "/v1/participants", NULL, NULL, &reply, NULL)) {
        return false;
    }
    json_t *root = json_loads(reply.body, 0, NULL);
    const json_t *list = json_object_get(root, "participants");
    wait->found = -1;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(entry, "name"));
        if (name != NULL && strcmp(name, wait->name) == 0) {
            const json_t *member = json_object_get(entry, wait->member);
            wait->found =
                json_is_boolean(member) ? json_is_true(member) : json_number_value(member);
        }
    }
    json_decref(root);
    http_reply_done(&reply);
    return wait->found == wait->wanted;
}

void day_wait_participant(struct day *day, const char *name, const char *member, double value)
{
    struct participant_wait wait = {day->stack, name, member, value, -1};
    if (!stack_poll(NULL, day_soon(), participant_has, &wait)) {
        fail_msg("participant %s: %s is %g, not %g", name, member, wait.found, value);
    }
}

/* --- databases -------------------------------------------------------------------------------- */

void day_sql(struct day *day, size_t participant, const char *sql)
{
    struct error error;
    assert_success(stack_sql(day->stack, participant, sql, NULL, &error), &error);
}

char *day_gid(struct day *day, size_t participant)
{
    struct error error;
    char *gid = NULL;
    assert_success(stack_sql(day->stack, participant,
                             "SELECT max(gid) FROM pg_prepared_xacts"
                             " WHERE database = current_database()"
                             " HAVING count(*) = 1",
                             &gid, &error),
                   &error);
    assert_non_null(gid);
    return gid;
}

/* --- daemons ---------------------------------------------------------------------------------- */

int day_exit_code(struct day *day, struct stack_daemon *daemon)
{
    int status = 0;
    (void)day;
    assert_true(stack_daemon_wait(daemon, day_soon(), &status));
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0644), 0);
}

static void second_start(struct day *day, const char *config_text, struct process **ret_process)
{
    char program[256], config[256];
    unsigned serial = ++day->serial;
    (void)snprintf(program, sizeof program, "%s/assentd", stack_folder(day->stack));
    (void)snprintf(config, sizeof config, "%s/second-%u.conf", stack_folder(day->stack), serial);
    (void)snprintf(day->second_log, sizeof day->second_log, "%s/second-%u.log",
                   stack_folder(day->stack), serial);
    write_text(config, config_text);
    const char *const argv[] = {program, "--config", config, NULL};
    const struct process_options options = {.argv = argv,
                                            .user = stack_os_user(day->stack),
                                            .folder = stack_folder(day->stack),
                                            .stdout_path = day->second_log,
                                            .stderr_path = day->second_log};
    struct error error;
    assert_success(process_start(&options, ret_process, &error), &error);
}

void day_second_start(struct day *day, const char *config_text)
{
    assert_null(day->second);
    second_start(day, config_text, &day->second);
}

void day_second_wait_log(struct day *day, const char *text)
{
    struct error error;
    assert_success(
        process_wait_line(day->second, day->second_log, 0, text, day_soon(), NULL, 0, NULL, &error),
        &error);
}

char *day_run_assentd(struct day *day, const char *config_text, int *ret_exit_code)
{
    struct process *process = NULL;
    struct error error;
    int status = 0;
    char *output = NULL;
    second_start(day, config_text, &process);
    bool ended = process_wait(process, day_soon(), &status);
    process_free(process);
    assert_success(process_read_file(day->second_log, (size_t)1 << 20, &output, &error), &error);
    if (!ended || !WIFEXITED(status)) {
        fail_msg("it %s: %s", ended ? "was killed" : "did not end", output);
    }
    *ret_exit_code = WEXITSTATUS(status);
    return output;
}

static void add_line(char *to, size_t size, const char *line)
{
    size_t length = strlen(to);
    (void)snprintf(to + length, size - length, "%s\n", line);
}

char *day_other_config(struct day *day, const char *journal)
{
    char *text = stack_config_text(stack_coordinator(day->stack));
    const size_t size = strlen(text) + 1024;
    char *other = alloc_zeroed(size);
    char *rest = text;
    for (const char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        char changed[512];
        const char *keys[] = {"http = ", "client = ", "listen = "};
        (void)snprintf(changed, sizeof changed, "%s", line);
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
            if (strncmp(line, keys[i], strlen(keys[i])) == 0) {
                (void)snprintf(changed, sizeof changed, "%s127.0.0.1:0", keys[i]);
            }
        }
        if (journal != NULL && strncmp(line, "journal = ", 10) == 0) {
            (void)snprintf(changed, sizeof changed, "journal = %s", journal);
        }
        add_line(other, size, changed);
    }
    free(text);
    return other;
}

/* --- journals --------------------------------------------------------------------------------- */

static void copy_file(struct day *day, const char *from, const char *to)
{
    struct stat status;
    if (stat(from, &status) != 0) {
        return; /* no write-ahead log */
    }
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(in >= 0 && out >= 0);
    ssize_t copied;
    do {
        copied = copy_file_range(in, NULL, out, NULL, (size_t)1 << 30, 0);
    } while (copied > 0);
    assert_int_equal(copied, 0);
    const char *user = stack_os_user(day->stack);
    const struct passwd *entry = user == NULL ? NULL : getpwnam(user);
    assert_true(entry == NULL || fchown(out, entry->pw_uid, entry->pw_gid) == 0);
    assert_int_equal(close(in) | close(out), 0);
}

void day_copy_journal(struct day *day, const char *from, const char *to)
{
    for (size_t i = 0; i < sizeof journal_suffixes / sizeof journal_suffixes[0]; i++) {
        char source[256], target[256];
        (void)snprintf(source, sizeof source, "%s%s", from, journal_suffixes[i]);
        (void)snprintf(target, sizeof target, "%s%s", to, journal_suffixes[i]);
        copy_file(day, source, target);
    }
}

void day_remove_journal(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock", ".reserve"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char file[256];
        (void)snprintf(file, sizeof file, "%s%s", path, suffixes[i]);
        (void)unlink(file);
    }
}
