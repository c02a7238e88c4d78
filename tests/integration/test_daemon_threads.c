/*
 * test_daemon_threads.c - the threads of the real daemons, all at once: owner thread, HTTP, links, journal and
 * workers, while buyers come over both edges, somebody looks at everything, links are reset, configurations are read
 * again, and daemons drain and come back.
 *
 * Built with ThreadSanitizer (./check tsan) it is red if any daemon reports a race, a deadlock or a thread that was left
 * behind; in every build, if a daemon ends as it should not or the databases disagree. What the daemons do then is
 * test_bad_days_restart's business.
 */
#include "tests/lib/test.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "assent/assent.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "tests/lib/process.h"
#include "tests/lib/stack_checkout.h"
#include "tests/proxy/proxy.h"

#define PATIENCE_MS      30000
#define SHOPPERS         3  /* over HTTP */
#define CALLERS          2  /* through libassent */
#define CALLS_AT_ONCE    4  /* of each caller */
#define STEP_COMMITS     10 /* of each buyer, between two things that happen */
#define REPORT_MAX_BYTES ((size_t)1 << 20)

/* Somebody who buys until the end. */
struct buyer {
    struct stack *stack;
    size_t number;
    atomic_bool *over;
    atomic_size_t committed;
    pthread_t thread;
};

struct day {
    struct stack *stack;
    struct proxy *proxy;
    size_t route;    /* assentd to the first agent */
    char folder[64]; /* what ThreadSanitizer reads and writes */
    char options[256];
    bool loaded;
    atomic_bool over;
    struct buyer shoppers[SHOPPERS], callers[CALLERS];
    pthread_t onlooker;
    pthread_t watchers[2];
};

/* --- ThreadSanitizer -------------------------------------------------------------------------- */

/* The daemons may run as another user, who sees neither the source tree nor this test's files: what their
 * sanitizer needs lies in a folder of its own. */
static void make_reports_folder(struct day *day)
{
    char from[512], to[128];
    char *text = NULL;
    struct error error;
    const struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;
    (void)snprintf(day->folder, sizeof day->folder, "/tmp/assent-threads-XXXXXX");
    assert_non_null(mkdtemp(day->folder));
    (void)snprintf(from, sizeof from, "%s/cmake/tsan.supp", getenv("ASSENT_SOURCE_DIR"));
    (void)snprintf(to, sizeof to, "%s/suppressions", day->folder);
    assert_success(process_read_file(from, REPORT_MAX_BYTES, &text, &error), &error);
    FILE *file = fopen(to, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(to, 0644), 0);
    free(text);
    if (user != NULL) {
        assert_int_equal(chown(day->folder, user->pw_uid, user->pw_gid), 0);
    }
    (void)snprintf(
        day->options, sizeof day->options,
        "halt_on_error=0:exitcode=66:second_deadlock_stack=1:suppressions=%s:log_path=%s/"
        "report",
        to, day->folder);
    /* For the daemons and for setup; this process has read its own long ago. */
    assert_int_equal(setenv("TSAN_OPTIONS", day->options, 1), 0);
}

/* Prints every report of a daemon; how many files of them there are. */
static size_t count_reports(const struct day *day)
{
    size_t count = 0;
    DIR *folder = opendir(day->folder);
    assert_non_null(folder);
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        char path[512];
        char *text = NULL;
        if (strncmp(entry->d_name, "report", strlen("report")) != 0) {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/%.255s", day->folder, entry->d_name);
        if (process_read_file(path, REPORT_MAX_BYTES, &text, NULL)) {
            (void)fprintf(stderr, "%s\n", text);
            free(text);
        }
        count++;
    }
    (void)closedir(folder);
    return count;
}

/* --- load ------------------------------------------------------------------------------------- */

/* One after the other over HTTP, each time a connection of its own. */
static void *run_shopper(void *user)
{
    struct buyer *buyer = user;
    char account[32];
    (void)snprintf(account, sizeof account, "shopper-%zu", buyer->number);
    for (size_t i = 0; !atomic_load(buyer->over); i++) {
        char id[48];
        struct answer answer;
        (void)snprintf(id, sizeof id, "shopper-%zu-%zu", buyer->number, i);
        const struct checkout shape = {.id = id, .account = account, .timeout_ms = 2000};
        char *body = checkout_body(buyer->stack, &shape);
        checkout_submit(buyer->stack, id, body, &answer);
        atomic_fetch_add(&buyer->committed, answer.told == TOLD_COMMITTED);
        if (answer.told == TOLD_NOTHING || answer.told == TOLD_REFUSED) {
            (void)poll(NULL, 0, 5); /* a shopper who looks again, not one who hammers */
        }
        answer_done(&answer);
        free(body);
    }
    return NULL;
}

static void take_answer(void *user, struct assent_answer *answer)
{
    struct buyer *buyer = user;
    enum assent_outcome outcome = assent_answer_outcome(answer);
    atomic_fetch_add(&buyer->committed, outcome == ASSENT_COMMITTED);
    if (outcome == ASSENT_UNAVAILABLE || outcome == ASSENT_REFUSED) {
        (void)poll(NULL, 0, 5);
    }
    assent_answer_free(answer);
}

static void call(struct buyer *buyer, struct assent_client *client, size_t i)
{
    static const char sql[] = "INSERT INTO seats (id) VALUES ($1)";
    char id[48];
    (void)snprintf(id, sizeof id, "caller-%zu-%zu", buyer->number, i);
    struct assent_request *request = assent_request_new();
    for (size_t db = 0; db < stack_participant_count(buyer->stack); db++) {
        assent_request_add(request, stack_participant(buyer->stack, db), sql, ASSENT_PARAMS(id), 1);
    }
    assent_request_set_timeout_ms(request, 2000);
    (void)assent_request_set_key(request, id);
    (void)assent_submit_async(client, request, take_answer, buyer);
    assent_request_free(request);
}

/* Several at a time on one connection of the client protocol. */
static void *run_caller(void *user)
{
    struct buyer *buyer = user;
    struct assent_client *client = NULL;
    if (assent_client_open(stack_client_address(buyer->stack), &client) != ASSENT_OK) {
        return NULL; /* nobody gets on: seen by who waits for commits */
    }
    for (size_t i = 0; !atomic_load(buyer->over); i++) {
        call(buyer, client, i);
        while (assent_client_in_flight(client) >= CALLS_AT_ONCE) {
            (void)assent_client_wait(client, -1);
        }
    }
    while (assent_client_in_flight(client) > 0) {
        (void)assent_client_wait(client, -1);
    }
    assent_client_close(client);
    return NULL;
}

/* Everything that can be looked at, again and again. */
static void *run_onlooker(void *user)
{
    static const char *const paths[] = {"/metrics",         "/v1/participants",
                                        "/v1/transactions", "/v1/transactions?state=in-doubt",
                                        "/readyz",          "/openapi.json"};
    struct day *day = user;
    for (size_t i = 0; !atomic_load(&day->over); i++) {
        struct http_reply reply;
        if (stack_http(day->stack, paths[i % (sizeof paths / sizeof paths[0])], NULL, NULL, &reply,
                       NULL)) {
            http_reply_done(&reply);
        } else {
            (void)poll(NULL, 0, 5);
        }
    }
    return NULL;
}

/* Streams that are read for a moment and left: curl hangs up when its time is over. */
static void *run_watcher(void *user)
{
    struct day *day = user;
    char url[128];
    (void)snprintf(url, sizeof url, "%s/v1/stream", stack_api(day->stack));
    const struct http_request request = {.url = url, .timeout_ms = 300};
    while (!atomic_load(&day->over)) {
        struct http_reply reply;
        struct error error;
        if (http_perform(&request, &reply, &error)) { /* it drained and ended the stream */
            http_reply_done(&reply);
        } else {
            (void)poll(NULL, 0, 5);
        }
    }
    return NULL;
}

static void start_buyer(struct day *day, struct buyer *buyer, size_t number, void *(*run)(void *))
{
    *buyer = (struct buyer){.stack = day->stack, .number = number, .over = &day->over};
    assert_int_equal(pthread_create(&buyer->thread, NULL, run, buyer), 0);
}

static void load_begin(struct day *day)
{
    struct error error;
    day->loaded = true;
    for (size_t i = 0; i < SHOPPERS; i++) {
        char account[32];
        (void)snprintf(account, sizeof account, "shopper-%zu", i);
        assert_success(checkout_open_account(day->stack, account, "1000000.00", &error), &error);
        start_buyer(day, &day->shoppers[i], i, run_shopper);
    }
    for (size_t i = 0; i < CALLERS; i++) {
        start_buyer(day, &day->callers[i], i, run_caller);
    }
    assert_int_equal(pthread_create(&day->onlooker, NULL, run_onlooker, day), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&day->watchers[i], NULL, run_watcher, day), 0);
    }
}

static void load_end(struct day *day)
{
    day->loaded = false;
    atomic_store(&day->over, true);
    for (size_t i = 0; i < SHOPPERS; i++) {
        assert_int_equal(pthread_join(day->shoppers[i].thread, NULL), 0);
    }
    for (size_t i = 0; i < CALLERS; i++) {
        assert_int_equal(pthread_join(day->callers[i].thread, NULL), 0);
    }
    assert_int_equal(pthread_join(day->onlooker, NULL), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(day->watchers[i], NULL), 0);
    }
}

struct progress {
    struct day *day;
    size_t shoppers[SHOPPERS], callers[CALLERS]; /* so many commits are wanted */
};

static bool has_progressed(void *user)
{
    const struct progress *progress = user;
    for (size_t i = 0; i < SHOPPERS; i++) {
        if (atomic_load(&progress->day->shoppers[i].committed) < progress->shoppers[i]) {
            return false;
        }
    }
    for (size_t i = 0; i < CALLERS; i++) {
        if (atomic_load(&progress->day->callers[i].committed) < progress->callers[i]) {
            return false;
        }
    }
    return true;
}

/* Until every buyer has bought some more. */
static void load_goes_on(struct day *day)
{
    struct progress progress = {.day = day};
    for (size_t i = 0; i < SHOPPERS; i++) {
        progress.shoppers[i] = atomic_load(&day->shoppers[i].committed) + STEP_COMMITS;
    }
    for (size_t i = 0; i < CALLERS; i++) {
        progress.callers[i] = atomic_load(&day->callers[i].committed) + STEP_COMMITS;
    }
    assert_true(stack_poll(NULL, clock_monotonic_ms() + PATIENCE_MS, has_progressed, &progress));
}

/* --- what happens ------------------------------------------------------------------------------ */

static void read_again(struct stack_daemon *daemon)
{
    struct error error;
    off_t offset = stack_daemon_log_size(daemon);
    stack_daemon_signal(daemon, SIGHUP);
    assert_success(stack_daemon_wait_line(daemon, offset, "configuration read again",
                                          clock_monotonic_ms() + PATIENCE_MS, &error),
                   &error);
}

/* The agent's own connections to its database, in the middle of whatever they do. */
static void end_backends(struct day *day)
{
    struct error error;
    assert_success(stack_sql(day->stack, 0,
                             "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename "
                             "LIKE 'assent\\_%'",
                             NULL, &error),
                   &error);
}

/* SIGTERM under load: what runs is finished, and it ends with 0 (66 if the sanitizer had something to say). */
static void drain_and_restart(struct day *day, struct stack_daemon *daemon)
{
    struct error error;
    bool stopped = stack_daemon_stop(daemon, &error);
    assert_int_equal(count_reports(day), 0);
    assert_success(stopped, &error);
    assert_success(stack_daemon_start(daemon, NULL, &error), &error);
    assert_success(stack_wait_ready(day->stack, clock_monotonic_ms() + PATIENCE_MS, &error),
                   &error);
}

static void expect_same_seats(struct day *day)
{
    struct error error;
    char *seats[2] = {NULL, NULL};
    for (size_t i = 0; i < 2; i++) {
        assert_success(stack_sql(day->stack, i,
                                 "SELECT count(*) || ' ' || coalesce(md5(string_agg(id, ',' ORDER "
                                 "BY id)), '') FROM seats",
                                 &seats[i], &error),
                       &error);
    }
    assert_string_equal(seats[0], seats[1]);
    free(seats[0]);
    free(seats[1]);
}

/* --- the world --------------------------------------------------------------------------------- */

/* assentd reaches the first agent through the proxy. */
static void divert(struct day *day)
{
    static const char key[] = "\naddress = 127.0.0.1:";
    struct error error;
    struct stack_daemon *coordinator = stack_coordinator(day->stack);
    char *config = stack_config_text(coordinator);
    char *place = strstr(config, key), *rest = NULL;
    assert_non_null(place);
    place += strlen(key);
    unsigned long port = strtoul(place, &rest, 10);
    assert_success(proxy_new(&day->proxy, &error), &error);
    const struct proxy_route route = {
        .name = "agent", .kind = STREAM_LINK, .target_port = (uint16_t)port};
    assert_success(proxy_add_route(day->proxy, &route, &day->route, &error), &error);
    char *diverted = NULL;
    assert_true(asprintf(&diverted, "%.*s%u%s", (int)(place - config), config,
                         proxy_port(day->proxy, day->route), rest) > 0);
    assert_success(stack_config_write(coordinator, diverted, &error), &error);
    free(diverted);
    free(config);
}

static int set_up(void **state)
{
    struct day *day = alloc_zeroed(sizeof *day);
    struct error error;
    *state = day;
    make_reports_folder(day);
    assert_success(stack_new(NULL, &day->stack, &error), &error);
    divert(day);
    assert_success(checkout_setup(day->stack, &error), &error);
    for (size_t i = 0; i < 2; i++) {
        assert_success(stack_sql(day->stack, i,
                                 "CREATE TABLE seats (id text PRIMARY KEY);"
                                 "GRANT ALL ON seats TO PUBLIC",
                                 NULL, &error),
                       &error);
    }
    assert_success(stack_start(day->stack, &error), &error);
    return 0;
}

static int tear_down(void **state)
{
    struct day *day = *state;
    struct error error;
    if (day->loaded) { /* the test ended early */
        load_end(day);
    }
    stack_free(day->stack);
    proxy_free(day->proxy);
    bool removed = process_remove_folder(day->folder, &error);
    free(day);
    return removed ? 0 : -1;
}

/* Whatever happens at the same time, no two threads of a daemon get into each other's way. */
static void test_daemon_threads_all_at_once_are_clean(void **state)
{
    struct day *day = *state;
    struct error error;
    struct stack_daemon *coordinator = stack_coordinator(day->stack);
    struct stack_daemon *agent = stack_agent(day->stack, 0);
    load_begin(day);
    load_goes_on(day);
    read_again(coordinator);
    read_again(agent);
    load_goes_on(day);
    assert_true(proxy_reset(day->proxy, day->route) > 0);
    load_goes_on(day);
    end_backends(day);
    load_goes_on(day);
    drain_and_restart(day, agent);
    load_goes_on(day);
    drain_and_restart(day, coordinator);
    load_goes_on(day);
    load_end(day);

    assert_success(stack_wait_whole(day->stack, clock_monotonic_ms() + PATIENCE_MS, &error),
                   &error);
    assert_success(checkout_audit(day->stack, &error), &error);
    expect_same_seats(day);
    bool stopped = stack_daemon_stop(coordinator, &error);
    for (size_t i = 0; i < stack_participant_count(day->stack) && stopped; i++) {
        stopped = stack_daemon_stop(stack_agent(day->stack, i), &error);
    }
    assert_int_equal(count_reports(day), 0);
    assert_success(stopped, &error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_daemon_threads_all_at_once_are_clean, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
