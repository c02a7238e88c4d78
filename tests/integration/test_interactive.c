/*
 * test_interactive.c - interactive transactions over HTTP on real daemons and databases (P-22, docs/adr/0014): the common walk, every
 * way in which one ends before its commit, and what bad input leaves behind: nothing.
 */
#include "test_bad_days_kit.h"

#include <pthread.h>
#include <sys/stat.h>

#include "common/alloc.h"

/* --- speaking --------------------------------------------------------------------------------- */

static struct http_reply post(struct day *day, const char *path, const char *body)
{
    struct http_reply reply;
    struct error error;
    assert_success(stack_http(day->stack, path, NULL, body, &reply, &error), &error);
    return reply;
}

/* The body of the answer, owned, which must have this status and, where it is a problem, this slug. */
static char *ask(struct day *day, const char *path, const char *body, int status, const char *slug)
{
    struct http_reply reply = post(day, path, body);
    char wanted[128];
    (void)snprintf(wanted, sizeof wanted, "urn:assent:problem:%s\"", slug == NULL ? "" : slug);
    if (reply.status != status || (slug != NULL && strstr(reply.body, wanted) == NULL)) {
        fail_msg("%s %.300s: %d %s", path, body, reply.status, reply.body);
    }
    char *text = alloc_string(reply.body);
    http_reply_done(&reply);
    return text;
}

static void expect(struct day *day, const char *path, const char *body, int status,
                   const char *slug, const char *said)
{
    char *text = ask(day, path, body, status, slug);
    if (strstr(text, said) == NULL) {
        fail_msg("%s %.300s: %s", path, body, text);
    }
    free(text);
}

struct talk {
    char id[160];
    char statements[256], commit[256], rollback[256], look[256];
};

static void talk_open(struct day *day, struct talk *talk, uint32_t timeout_ms)
{
    char body[64];
    (void)snprintf(body, sizeof body, "{\"timeout_ms\":%u}", timeout_ms);
    char *text = ask(day, "/v1/transactions/open", body, 200, NULL);
    assert_int_equal(sscanf(text, "{\"id\":\"%159[^\"]\",\"state\":\"active\"}", talk->id), 1);
    free(text);
    (void)snprintf(talk->look, sizeof talk->look, "/v1/transactions/%s", talk->id);
    (void)snprintf(talk->statements, sizeof talk->statements, "%s/statements", talk->look);
    (void)snprintf(talk->commit, sizeof talk->commit, "%s/commit", talk->look);
    (void)snprintf(talk->rollback, sizeof talk->rollback, "%s/rollback", talk->look);
}

/* An INSERT of a note; seq 0: without. */
static void note_body(char *ret_body, size_t size_bytes, size_t participant, const char *note,
                      unsigned seq)
{
    char number[32] = "";
    if (seq > 0) {
        (void)snprintf(number, sizeof number, ",\"seq\":%u", seq);
    }
    (void)snprintf(ret_body, size_bytes,
                   "{\"participant\":\"%s\",\"sql\":\"INSERT INTO notes VALUES ($1)\","
                   "\"params\":[\"%s\"]%s}",
                   participant == DAY_ORDER ? "order" : "payment", note, number);
}

static void talk_note(struct day *day, const struct talk *talk, size_t participant,
                      const char *note, unsigned seq)
{
    char body[512];
    note_body(body, sizeof body, participant, note, seq);
    expect(day, talk->statements, body, 200, NULL, "\"command\":\"INSERT 0 1\"");
}

static void talk_in_both(struct day *day, struct talk *talk, const char *note)
{
    talk_open(day, talk, 30000);
    talk_note(day, talk, DAY_ORDER, note, 1);
    talk_note(day, talk, DAY_PAYMENT, note, 2);
}

/* --- looking ---------------------------------------------------------------------------------- */

static int number_of(struct day *day, size_t participant, const char *sql)
{
    struct error error;
    char *value = NULL;
    assert_success(stack_sql(day->stack, participant, sql, &value, &error), &error);
    int number = atoi(value);
    free(value);
    return number;
}

static void expect_notes(struct day *day, const char *note, int count)
{
    char sql[256];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM notes WHERE note = '%s'", note);
    assert_int_equal(number_of(day, DAY_ORDER, sql), count);
    assert_int_equal(number_of(day, DAY_PAYMENT, sql), count);
}

/* Sessions of agents that are within a transaction, in this stack's databases. */
static int open_count(struct day *day)
{
    static const char sql[] =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND usename LIKE 'assent%' AND xact_start IS NOT NULL"
        " AND state <> 'active'";
    return number_of(day, DAY_ORDER, sql) + number_of(day, DAY_PAYMENT, sql);
}

static bool is_nothing_open(void *user)
{
    return open_count(user) == 0;
}

/* Nothing is open, prepared, or in doubt: all of it within the time in which everything heals. */
static void expect_nothing_left(struct day *day)
{
    day_expect_whole(day);
    if (!stack_poll(NULL, clock_monotonic_ms() + DAY_HEAL_MS, is_nothing_open, day)) {
        fail_msg("%d transactions are left open", open_count(day));
    }
    assert_int_equal(stack_prepared_total(day->stack), 0);
}

struct state_wait {
    struct day *day;
    const struct talk *talk;
    const char *state;
};

static bool has_state(void *user)
{
    const struct state_wait *wait = user;
    struct http_reply reply;
    char wanted[64];
    if (!stack_http(wait->day->stack, wait->talk->look, NULL, NULL, &reply, NULL)) {
        return false;
    }
    (void)snprintf(wanted, sizeof wanted, "\",\"state\":\"%s\"", wait->state);
    bool has = reply.status == 200 && strstr(reply.body, wanted) != NULL;
    http_reply_done(&reply);
    return has;
}

static void wait_state(struct day *day, const struct talk *talk, const char *state)
{
    struct state_wait wait = {day, talk, state};
    assert_true(stack_poll(stack_coordinator(day->stack), day_soon(), has_state, &wait));
}

static void notes_make(struct day *day)
{
    day_sql(day, DAY_ORDER,
            "CREATE TABLE notes(note text PRIMARY KEY); GRANT ALL ON notes TO assent_order");
    day_sql(day, DAY_PAYMENT,
            "CREATE TABLE notes(note text PRIMARY KEY); GRANT ALL ON notes TO assent_payment");
}

/* Most tests leave a stack as they found it, and it takes seconds to make one. */
static struct day *shared;

static int talk_begin(void **state)
{
    if (shared == NULL) {
        (void)day_begin(state);
        shared = *state;
        notes_make(shared);
    }
    *state = shared;
    day_sql(shared, DAY_ORDER, "DELETE FROM notes");
    day_sql(shared, DAY_PAYMENT, "DELETE FROM notes");
    return 0;
}

/* One that a failed test has left otherwise is not shared any more. */
static int talk_end(void **state)
{
    struct error error;
    if (!stack_wait_whole(shared->stack, clock_monotonic_ms() + 5000, &error)) {
        (void)day_end(state);
        shared = NULL;
    }
    return 0;
}

static void shared_end(void)
{
    if (shared != NULL) {
        void *day = shared;
        (void)day_end(&day);
        shared = NULL;
    }
}

/* With a stack of its own, and without the shared one: once its agents have opened every connection that they may, a cluster
 * has too few left for another stack. These come last. */
static int alone_begin(void **state)
{
    shared_end();
    return day_begin_idle(state);
}

static int group_end(void **state)
{
    shared_end();
    return day_clusters_free(state);
}

#define talk_test(test_)  cmocka_unit_test_setup_teardown(test_, talk_begin, talk_end)
#define alone_test(test_) cmocka_unit_test_setup_teardown(test_, alone_begin, day_end)

static void stack_with(struct day *day, struct stack_options options)
{
    day_stack(day, options);
    day_start(day);
    notes_make(day);
}

/* --- the common walk -------------------------------------------------------------------------- */

/* Nothing is seen by others before the commit, all of it after; commit may be repeated, also after a crash, and has one answer. */
static void test_commit_shows_everything_at_once_and_may_be_repeated(void **state)
{
    struct day *day = *state;
    struct talk talk;
    struct error error;
    talk_in_both(day, &talk, "walk");
    expect(day, talk.statements,
           "{\"participant\":\"order\",\"seq\":3,\"sql\":\"SELECT count(*) FROM notes\"}", 200,
           NULL,
           "\"seq\":3,\"results\":[{\"command\":\"SELECT 1\",\"rows_affected\":1,\"columns\":[{"
           "\"name\":\"count\",\"type\":\"int8\",\"oid\":20}],\"rows\":[[\"1\"]]}]}");
    expect_notes(day, "walk", 0);
    char *first = ask(day, talk.commit, "{}", 200, NULL);
    assert_non_null(strstr(first, "\"state\":\"committed\",\"completed\":true"));
    expect_notes(day, "walk", 1);
    char *second = ask(day, talk.commit, "{}", 200, NULL);
    assert_string_equal(first, second);
    expect(day, talk.rollback, "{}", 409, "conflict", "committed");
    expect(day, talk.statements, "{\"participant\":\"order\",\"sql\":\"SELECT 1\"}", 409,
           "conflict", "no statements");
    stack_daemon_kill(stack_coordinator(day->stack));
    assert_success(stack_start(day->stack, &error), &error);
    char *third = ask(day, talk.commit, "{}", 200, NULL);
    assert_string_equal(first, third);
    expect(day, talk.rollback, "{}", 409, "conflict", "committed");
    expect_notes(day, "walk", 1);
    expect_nothing_left(day);
    free(first);
    free(second);
    free(third);
}

/* Rolled back: nothing is there, and who goes on hears why. */
static void test_rollback_leaves_nothing(void **state)
{
    struct day *day = *state;
    struct talk talk;
    talk_in_both(day, &talk, "back");
    for (unsigned i = 0; i < 2; i++) {
        expect(day, talk.rollback, "{}", 200, NULL,
               "\"state\":\"aborted\",\"reason\":\"rolled_back_by_client\"");
    }
    expect(day, talk.commit, "{}", 409, "rolled_back_by_client", "\"state\":\"aborted\"");
    expect(day, talk.statements, "{\"participant\":\"order\",\"sql\":\"SELECT 1\"}", 409,
           "rolled_back_by_client", "\"state\":\"aborted\"");
    expect_nothing_left(day);
    expect_notes(day, "back", 0);
    talk_open(day, &talk, 5000); /* without any statement */
    expect(day, talk.commit, "{}", 409, "conflict", "no statement");
    expect(day, talk.rollback, "{}", 200, NULL, "\"state\":\"aborted\"");
    expect_nothing_left(day);
}

/* A failed statement ends the transaction everywhere at once: what follows hears its reason, and rollback is all that is left. */
static void test_failed_statement_leaves_only_rollback(void **state)
{
    struct day *day = *state;
    struct talk talk;
    char body[512];
    day_sql(day, DAY_PAYMENT, "INSERT INTO notes VALUES ('taken')");
    talk_open(day, &talk, 30000);
    talk_note(day, &talk, DAY_ORDER, "taken", 1);
    note_body(body, sizeof body, DAY_PAYMENT, "taken", 2);
    expect(day, talk.statements, body, 409, "constraint",
           "\"state\":\"aborted\",\"reason\":\"constraint\",\"participant\":\"payment\"");
    expect_nothing_left(day); /* before anybody says so */
    note_body(body, sizeof body, DAY_ORDER, "other", 3);
    expect(day, talk.statements, body, 409, "constraint", "\"sqlstate\":\"23505\"");
    expect(day, talk.commit, "{}", 409, "constraint", "\"sqlstate\":\"23505\"");
    expect(day, talk.rollback, "{}", 200, NULL, "\"state\":\"aborted\",\"reason\":\"constraint\"}");
    day_sql(day, DAY_PAYMENT, "DELETE FROM notes");
    expect_notes(day, "taken", 0);
    talk_open(day, &talk, 30000);
    talk_note(day, &talk, DAY_PAYMENT, "unexpected", 0);
    expect(day, talk.statements,
           "{\"participant\":\"payment\",\"sql\":\"DELETE FROM notes\",\"expect_rows\":2}", 409,
           "row_count", "\"state\":\"aborted\"");
    expect_nothing_left(day);
    expect_notes(day, "unexpected", 0);
}

/* --- numbers ---------------------------------------------------------------------------------- */

/* A number gives its recorded answer again, and executes nothing; other statements and other numbers are refused and change nothing. */
static void test_seq_replays_and_refuses(void **state)
{
    struct day *day = *state;
    struct talk talk;
    char body[512];
    talk_open(day, &talk, 30000);
    note_body(body, sizeof body, DAY_ORDER, "numbered", 1);
    char *first = ask(day, talk.statements, body, 200, NULL);
    talk_note(day, &talk, DAY_PAYMENT, "numbered", 2);
    struct http_reply reply = post(day, talk.statements, body);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, first);
    char *replayed = http_reply_header(&reply, "Idempotent-Replayed");
    assert_string_equal(replayed, "true");
    note_body(body, sizeof body, DAY_ORDER, "another", 1);
    expect(day, talk.statements, body, 422, "key_conflict", "this seq");
    note_body(body, sizeof body, DAY_ORDER, "another", 4);
    expect(day, talk.statements, body, 409, "conflict", "the next one is 3");
    expect(day, talk.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    expect_notes(day, "numbered", 1);
    expect_notes(day, "another", 0);
    expect_nothing_left(day);
    free(first);
    free(replayed);
    http_reply_done(&reply);
}

struct caller {
    struct day *day;
    const struct talk *talk;
    pthread_t thread;
    struct http_reply reply;
    bool ok;
};

#define GATED                                                                                      \
    "{\"participant\":\"order\",\"seq\":1,\"sql\":\"SELECT pg_advisory_xact_lock_shared(77)\"}"

static void *caller_main(void *user)
{
    struct caller *caller = user;
    caller->ok =
        stack_http(caller->day->stack, caller->talk->statements, NULL, GATED, &caller->reply, NULL);
    return NULL;
}

static void caller_start(struct day *day, const struct talk *talk, struct caller *caller)
{
    *caller = (struct caller){.day = day, .talk = talk};
    assert_int_equal(pthread_create(&caller->thread, NULL, caller_main, caller), 0);
}

static char *caller_end(struct caller *caller, int status)
{
    assert_int_equal(pthread_join(caller->thread, NULL), 0);
    assert_true(caller->ok);
    if (caller->reply.status != status) {
        fail_msg("%d %s", caller->reply.status, caller->reply.body);
    }
    char *body = alloc_string(caller->reply.body);
    http_reply_done(&caller->reply);
    return body;
}

static bool is_waiting_at_gate(void *user)
{
    return number_of(user, DAY_ORDER,
                     "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                     " AND database = (SELECT oid FROM pg_database WHERE datname ="
                     " current_database())") == 1;
}

static void wait_at_gate(struct day *day)
{
    assert_true(stack_poll(NULL, day_soon(), is_waiting_at_gate, day));
}

/* While a statement runs, its repetition waits with it; another one, and a commit, are refused; a rollback ends it. */
static void test_running_statement_is_joined_and_not_overtaken(void **state)
{
    struct day *day = *state;
    struct talk talk;
    struct caller first, second;
    day_sql(day, DAY_ORDER, "SELECT pg_advisory_lock(77)");
    talk_open(day, &talk, 30000);
    caller_start(day, &talk, &first);
    wait_at_gate(day);
    expect(day, talk.commit, "{}", 409, "conflict", "under way");
    expect(day, talk.statements, "{\"participant\":\"payment\",\"sql\":\"SELECT 1\"}", 409,
           "conflict", "under way");
    caller_start(day, &talk, &second);
    day_sql(day, DAY_ORDER, "SELECT pg_advisory_unlock(77)");
    char *one = caller_end(&first, 200);
    char *other = caller_end(&second, 200);
    assert_string_equal(one, other);
    expect(day, talk.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    free(one);
    free(other);
    day_sql(day, DAY_ORDER, "SELECT pg_advisory_lock(77)");
    talk_open(day, &talk, 30000);
    caller_start(day, &talk, &first);
    wait_at_gate(day);
    expect(day, talk.rollback, "{}", 200, NULL, "\"state\":\"aborted\"");
    free(caller_end(&first, 409));
    expect_nothing_left(day); /* the statement was cancelled: the gate is still shut */
    day_sql(day, DAY_ORDER, "SELECT pg_advisory_unlock(77)");
}

/* --- time ------------------------------------------------------------------------------------- */

/* At its deadline a transaction is over, whether anybody asks or not; also while a statement runs. */
static void test_deadline_ends_it(void **state)
{
    struct day *day = *state;
    struct talk talk;
    talk_open(day, &talk, 1500);
    talk_note(day, &talk, DAY_ORDER, "late", 1);
    talk_note(day, &talk, DAY_PAYMENT, "late", 2);
    wait_state(day, &talk, "aborted");
    expect(day, talk.commit, "{}", 504, "timeout", "\"state\":\"aborted\"");
    expect(day, talk.statements, "{\"participant\":\"order\",\"sql\":\"SELECT 1\"}", 504, "timeout",
           "\"state\":\"aborted\"");
    expect(day, talk.rollback, "{}", 200, NULL, "\"reason\":\"timeout\"");
    expect_nothing_left(day);
    expect_notes(day, "late", 0);
    talk_open(day, &talk, 1000);
    expect(day, talk.statements, "{\"participant\":\"order\",\"sql\":\"SELECT pg_sleep(60)\"}", 504,
           "timeout", "\"state\":\"aborted\"");
    expect_nothing_left(day);
}

/* A client that says nothing loses its transaction, and with it its locks, long before the deadline. */
static void test_silent_client_loses_its_transaction(void **state)
{
    struct day *day = *state;
    struct talk talk;
    stack_with(day, (struct stack_options){.assentd_lines = "interactive_idle = 400ms\n"});
    talk_open(day, &talk, 60000);
    talk_note(day, &talk, DAY_ORDER, "silent", 1);
    wait_state(day, &talk, "aborted");
    expect(day, talk.commit, "{}", 504, "timeout", "idle");
    expect_nothing_left(day);
    expect_notes(day, "silent", 0);
}

/* --- who dies --------------------------------------------------------------------------------- */

/* The agent dies between two statements: nobody goes on with half of the work. */
static void test_killed_agent_ends_it(void **state)
{
    struct day *day = *state;
    struct talk talk;
    struct stack_daemon *agent = stack_agent(day->stack, DAY_PAYMENT);
    struct error error;
    talk_in_both(day, &talk, "agentless");
    stack_daemon_kill(agent);
    wait_state(day, &talk, "aborted");
    assert_success(stack_daemon_start(agent, NULL, &error), &error);
    expect_nothing_left(day);
    char body[512];
    note_body(body, sizeof body, DAY_PAYMENT, "more", 3);
    expect(day, talk.statements, body, 503, "participant_unavailable", "\"state\":\"aborted\"");
    expect(day, talk.commit, "{}", 503, "participant_unavailable", "\"state\":\"aborted\"");
    expect_notes(day, "agentless", 0);
    talk_in_both(day, &talk, "again");
    expect(day, talk.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    expect_notes(day, "again", 1);
}

/* A participant that is away refuses its first statement, and the transaction stays open for the others. */
static void test_participant_that_is_away_changes_nothing(void **state)
{
    struct day *day = *state;
    struct talk talk;
    struct error error;
    char body[512];
    talk_open(day, &talk, 30000);
    talk_note(day, &talk, DAY_ORDER, "away", 1);
    stack_daemon_kill(stack_agent(day->stack, DAY_PAYMENT));
    day_wait_not_ready(day);
    note_body(body, sizeof body, DAY_PAYMENT, "away", 2);
    free(ask(day, talk.statements, body, 503, "participant_unavailable"));
    assert_success(stack_daemon_start(stack_agent(day->stack, DAY_PAYMENT), NULL, &error), &error);
    assert_success(stack_wait_ready(day->stack, day_soon(), &error), &error);
    talk_note(day, &talk, DAY_PAYMENT, "away", 2);
    expect(day, talk.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    expect_notes(day, "away", 1);
}

/* The coordinator dies between two statements: the agents roll back by themselves, the next coordinator never says committed. */
static void test_killed_coordinator_makes_everything_vanish(void **state)
{
    struct day *day = *state;
    struct talk talk;
    struct error error;
    char body[512];
    talk_in_both(day, &talk, "orphan");
    stack_daemon_kill(stack_coordinator(day->stack));
    assert_true(stack_poll(NULL, clock_monotonic_ms() + DAY_HEAL_MS, is_nothing_open, day));
    assert_success(stack_start(day->stack, &error), &error);
    note_body(body, sizeof body, DAY_PAYMENT, "more", 3);
    expect(day, talk.statements, body, 409, "conflict", "\"state\":\"aborted\"");
    expect(day, talk.commit, "{}", 409, "conflict", "\"state\":\"aborted\"");
    expect(day, talk.rollback, "{}", 200, NULL, "\"state\":\"aborted\"");
    expect_nothing_left(day);
    expect_notes(day, "orphan", 0);
}

static void commit_into_crash(struct day *day, struct talk *talk, const char *note,
                              const char *point)
{
    struct stack_daemon *coordinator = stack_coordinator(day->stack);
    struct http_reply reply;
    struct error error;
    assert_success(stack_daemon_stop(coordinator, &error), &error);
    assert_success(stack_daemon_start_faulty(coordinator, point, &error), &error);
    assert_success(stack_wait_ready(day->stack, day_soon(), &error), &error);
    talk_in_both(day, talk, note);
    assert_false(stack_http(day->stack, talk->commit, NULL, "{}", &reply, &error));
    assert_true(stack_daemon_wait(coordinator, day_soon(), NULL));
    assert_int_equal(stack_prepared_total(day->stack), 2);
    assert_success(stack_start(day->stack, &error), &error);
}

/* The coordinator dies when all branches are prepared: before its decision is written nothing remains of it, after that all of it. */
static void test_coordinator_killed_at_the_decision(void **state)
{
    struct day *day = *state;
    struct talk talk;
    commit_into_crash(day, &talk, "undecided", "c.decide.pre_sync");
    expect_nothing_left(day);
    expect(day, talk.commit, "{}", 409, "conflict", "\"state\":\"aborted\"");
    expect_notes(day, "undecided", 0);
    commit_into_crash(day, &talk, "decided", "c.decide.post_sync");
    expect_nothing_left(day);
    expect(day, talk.commit, "{}", 200, NULL, "\"state\":\"committed\",\"completed\":true");
    expect_notes(day, "decided", 1);
}

/* A backend that somebody ends takes its branch with it; so does the whole database. */
static void test_lost_backend_ends_it(void **state)
{
    struct day *day = *state;
    struct talk talk;
    struct error error;
    talk_in_both(day, &talk, "backend");
    day_sql(day, DAY_ORDER,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in "
            "transaction' AND usename = 'assent_order'");
    expect(day, talk.commit, "{}", 503, "participant_unavailable", "\"state\":\"aborted\"");
    expect_nothing_left(day);
    expect_notes(day, "backend", 0);
    talk_in_both(day, &talk, "database");
    assert_success(
        pgcluster_restart(stack_cluster(day->stack, DAY_PAYMENT), PGCLUSTER_IMMEDIATE, &error),
        &error);
    expect(day, talk.commit, "{}", 503, "participant_unavailable", "\"state\":\"aborted\"");
    expect_nothing_left(day);
    expect_notes(day, "database", 0);
}

/* Draining does not wait for those who think. */
static void test_drain_aborts_what_is_open(void **state)
{
    struct day *day = *state;
    struct talk talk;
    struct error error;
    talk_in_both(day, &talk, "drained");
    assert_success(stack_daemon_stop(stack_coordinator(day->stack), &error), &error);
    assert_true(stack_poll(NULL, clock_monotonic_ms() + DAY_HEAL_MS, is_nothing_open, day));
    assert_success(stack_start(day->stack, &error), &error);
    expect(day, talk.commit, "{}", 409, "conflict", "\"state\":\"aborted\"");
    talk_in_both(day, &talk, "agent drained");
    assert_success(stack_daemon_stop(stack_agent(day->stack, DAY_ORDER), &error), &error);
    wait_state(day, &talk, "aborted");
    assert_success(stack_start(day->stack, &error), &error);
    expect_nothing_left(day);
    expect_notes(day, "drained", 0);
    expect_notes(day, "agent drained", 0);
}

/* --- bad input and limits --------------------------------------------------------------------- */

/* What cannot be understood is refused before anything is done, and the transaction goes on. */
static void test_bad_statements_change_nothing(void **state)
{
    static const struct {
        const char *body;
        int status;
        const char *slug;
    } rows[] = {
        {"{\"participant\":\"order\",\"sql\":\"SELECT $1\",\"params\":[\"a\\u0000b\"]}", 400,
         "malformed"},
        {"{\"participant\":\"order\",\"sql\":\"SELECT 1\\u0000\"}", 400, "malformed"},
        {"{\"participant\":\"order\",\"sql\":\"SELECT $1\",\"params\":[\"\xc3\x28\"]}", 400,
         "malformed"},
        {"{\"participant\":\"order\",\"sql\":\"SELECT $1\",\"params\":[\"\\ud800\"]}", 400,
         "malformed"},
        {"{\"participant\":\"order\",\"sql\":\"SELECT $1\",\"params\":[{\"a\":1}]}", 400,
         "malformed"},
        {"{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"expect_row\":1}", 400, "malformed"},
        {"{\"participant\":\"order\",\"sql\":7}", 400, "malformed"},
        {"{\"participant\":\"inventory\",\"sql\":\"SELECT 1\"}", 422, "unknown_participant"},
        {"{\"participant\":\"order\",\"operation\":\"\"}", 422, "invalid"},
        {"{\"participant\":\"order\",\"operation\":\"o\",\"sql\":\"SELECT 1\"}", 422, "invalid"},
        {"{\"participant\":\"order\",\"operation\":\"o\",\"params\":[]}", 422, "invalid"},
        {"{\"participant\":\"order\",\"operation\":\"o\",\"args\":{\"a\":\"b\\u0000\"}}", 400,
         "malformed"},
        {"{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"isolation\":\"serializable\"}", 409,
         "conflict"},
        {"not JSON", 400, "malformed"},
    };
    struct day *day = *state;
    struct talk talk;
    talk_in_both(day, &talk, "patient");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = ask(day, talk.statements, rows[i].body, rows[i].status, rows[i].slug);
        assert_null(strstr(text, "\"state\""));
        free(text);
    }
    char *large = alloc_array(2 << 20, 1);
    memset(large, ' ', (2 << 20) - 1);
    free(ask(day, talk.statements, large, 413, "body_too_large"));
    free(large);
    talk_note(day, &talk, DAY_ORDER, "patient too", 3);
    talk_note(day, &talk, DAY_PAYMENT, "patient too", 4);
    expect(day, talk.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    expect_notes(day, "patient", 1);
    expect_notes(day, "patient too", 1);
    expect_nothing_left(day);
}

/* What the agent or PostgreSQL refuses ends the transaction, with the reason, and leaves nothing behind. */
static void test_refused_statements_leave_nothing(void **state)
{
    static const struct {
        const char *sql;
        int status;
        const char *slug;
    } rows[] = {
        {"SELECT $1::integer", 409, "statement_failed"}, /* a parameter of the wrong type */
        {"SELECT $1, $2", 409, "statement_failed"},      /* and one that is missing */
        {"SELECT repeat($1, 300000)", 409, "result_too_large"},
        {"COMMIT", 403, "rejected_by_policy"},
        {"/* */ ROLLBACK", 403, "rejected_by_policy"},
        {"SAVEPOINT s", 403, "rejected_by_policy"},
        {"DO 'BEGIN COMMIT; END'", 403, "rejected_by_policy"},
        {"SELECT 1; SELECT 2", 409, "statement_failed"}, /* one statement each (P-21) */
        {"", 0, NULL},
    };
    struct day *day = *state;
    for (size_t i = 0; rows[i].slug != NULL; i++) {
        struct talk talk;
        char body[512];
        talk_in_both(day, &talk, "refused");
        const char *params = strchr(rows[i].sql, '$') == NULL ? "[]" : "[\"x\"]";
        (void)snprintf(body, sizeof body,
                       "{\"participant\":\"order\",\"sql\":\"%s\",\"params\":%s}", rows[i].sql,
                       params);
        expect(day, talk.statements, body, rows[i].status, rows[i].slug, "\"state\":\"aborted\"");
        expect(day, talk.commit, "{}", rows[i].status, rows[i].slug, "\"state\":\"aborted\"");
    }
    expect_nothing_left(day);
    expect_notes(day, "refused", 0);
}

/* The login role may take it, and it may do nothing but read and write notes. A role is the cluster's, which outlives the stack. */
static void notary_make(struct day *day)
{
    day_sql(day, DAY_PAYMENT,
            "DO $$ BEGIN CREATE ROLE notary; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
            " GRANT notary TO assent_payment; GRANT SELECT, INSERT ON notes TO notary");
}

static void reload(struct day *day, struct stack_daemon *agent, const char *config)
{
    struct error error;
    off_t offset = stack_daemon_log_size(agent);
    assert_success(stack_config_write(agent, config, &error), &error);
    stack_daemon_signal(agent, SIGHUP);
    day_wait_log(day, agent, offset, "policy read again");
}

/* The payments' agent knows one operation, runs it in a role of its own, and runs nothing else. Returns its old configuration. */
static char *payment_policy(struct day *day)
{
    struct stack_daemon *agent = stack_agent(day->stack, DAY_PAYMENT);
    char path[512], config[8192];
    (void)snprintf(path, sizeof path, "%s/notes.operations", stack_folder(day->stack));
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs("[operation note]\n"
                      "sql = INSERT INTO notes VALUES ($1 || ' by ' || current_user)\n"
                      "params = note text\n"
                      "expect_rows = 1\n"
                      "[operation nap]\n"
                      "sql = SELECT pg_sleep(60)\n"
                      "max_time = 100ms\n"
                      "[operation names]\n"
                      "sql = SELECT note FROM notes\n"
                      "max_rows = 1\n",
                      file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0644), 0); /* the agent may be another user */
    char *plain = stack_config_text(agent);
    (void)snprintf(config, sizeof config,
                   "%s\n[policy]\noperations_file = %s\noperations_only = yes\nrole = notary\n",
                   plain, path);
    reload(day, agent, config);
    return plain;
}

/* An operation is a statement like another, under its number and in the policy's role, which the prepared branch does not have;
 * the policy is that of the statement's moment. */
static void test_operation_is_a_statement(void **state)
{
    struct day *day = *state;
    struct talk talk;
    notary_make(day);
    talk_open(day, &talk, 30000);
    talk_note(day, &talk, DAY_ORDER, "called", 1);
    talk_note(day, &talk, DAY_PAYMENT, "called", 2);
    char *plain = payment_policy(day);
    char *first = ask(day, talk.statements,
                      "{\"participant\":\"payment\",\"seq\":3,\"operation\":\"note\",\"args\":{"
                      "\"note\":\"one\"}}",
                      200, NULL);
    assert_non_null(strstr(first, "\"command\":\"INSERT 0 1\""));
    char *again = ask(day, talk.statements,
                      "{\"participant\":\"payment\",\"args\":{\"note\":\"one\"},\"operation\":"
                      "\"note\",\"seq\":3}",
                      200, NULL);
    assert_string_equal(first, again);
    expect(day, talk.statements,
           "{\"participant\":\"payment\",\"seq\":3,\"operation\":\"note\",\"args\":{\"note\":"
           "\"other\"}}",
           422, "key_conflict", "this seq");
    expect(day, talk.statements,
           "{\"participant\":\"payment\",\"operation\":\"note\",\"args\":{\"note\":\"two\"}}", 200,
           NULL, "\"seq\":4");
    expect(day, talk.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    assert_int_equal(
        number_of(day, DAY_PAYMENT,
                  "SELECT count(*) FROM notes WHERE note IN ('called', 'one by notary',"
                  " 'two by notary')"),
        3);
    expect_notes(day, "called", 1);
    reload(day, stack_agent(day->stack, DAY_PAYMENT), plain);
    expect_nothing_left(day);
    free(plain);
    free(first);
    free(again);
}

/* What the policy refuses, before or after it ran, is 403, names its rule, and ends the transaction everywhere. */
static void test_policy_refusal_ends_it(void **state)
{
    static const struct {
        const char *statement, *wanted;
    } rows[] = {
        {"\"sql\":\"SELECT 1\"", "policy operations_only: "},
        {"\"operation\":\"debit\"", "policy operation: "},
        {"\"operation\":\"note\"", "policy args: "},
        {"\"operation\":\"note\",\"args\":{\"note\":\"x\",\"y\":1}", "policy args: "},
        {"\"operation\":\"note\",\"args\":{\"note\":\"x\"},\"expect_rows\":2",
         "policy expect_rows: "},
        {"\"operation\":\"nap\"", "policy max_time: "},
        {"\"operation\":\"names\"", "policy max_rows: "},
    };
    struct day *day = *state;
    notary_make(day);
    day_sql(day, DAY_PAYMENT, "INSERT INTO notes VALUES ('a'), ('b')");
    char *plain = payment_policy(day);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct talk talk;
        char body[512];
        talk_open(day, &talk, 30000);
        talk_note(day, &talk, DAY_ORDER, "refused", 1);
        if (i % 2 == 0) { /* else the refused one is the branch's first */
            expect(day, talk.statements,
                   "{\"participant\":\"payment\",\"operation\":\"note\",\"args\":{\"note\":"
                   "\"refused\"}}",
                   200, NULL, "\"state\":\"active\"");
        }
        (void)snprintf(body, sizeof body, "{\"participant\":\"payment\",%s}", rows[i].statement);
        expect(day, talk.statements, body, 403, "rejected_by_policy", rows[i].wanted);
        expect(day, talk.commit, "{}", 403, "rejected_by_policy", "\"state\":\"aborted\"");
    }
    expect_nothing_left(day);
    assert_int_equal(number_of(day, DAY_PAYMENT, "SELECT count(*) FROM notes"), 2);
    assert_int_equal(number_of(day, DAY_ORDER, "SELECT count(*) FROM notes"), 0);
    reload(day, stack_agent(day->stack, DAY_PAYMENT), plain);
    free(plain);
}

/* Temporary tables do not survive PREPARE: found at the commit, and everything is rolled back. */
static void test_branch_that_cannot_be_prepared_aborts_the_commit(void **state)
{
    struct day *day = *state;
    struct talk talk;
    talk_in_both(day, &talk, "temporary");
    expect(day, talk.statements,
           "{\"participant\":\"order\",\"sql\":\"CREATE TEMPORARY TABLE t(i int)\"}", 200, NULL,
           "");
    expect(day, talk.commit, "{}", 409, "not_preparable", "\"state\":\"aborted\"");
    expect_nothing_left(day);
    expect_notes(day, "temporary", 0);
}

/* Connections for open branches and open transactions are bounded; what does not fit is refused at once and not kept waiting. */
static void test_limits_refuse_at_once(void **state)
{
    struct day *day = *state;
    struct talk first, second, third;
    char body[512];
    stack_with(day, (struct stack_options){.assentd_lines = "interactive_max = 2\n",
                                           .database_lines = "interactive = 1\n"});
    talk_open(day, &first, 30000);
    talk_note(day, &first, DAY_ORDER, "limits", 0);
    talk_open(day, &second, 30000);
    free(ask(day, "/v1/transactions/open", "{}", 429, "overload"));
    note_body(body, sizeof body, DAY_ORDER, "others", 0);
    expect(day, second.statements, body, 503, "capacity", "\"state\":\"aborted\"");
    talk_open(day, &third, 30000); /* the second is over */
    talk_note(day, &first, DAY_PAYMENT, "limits", 0);
    expect(day, first.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    talk_note(day, &third, DAY_ORDER, "freed", 0);
    talk_note(day, &third, DAY_PAYMENT, "freed", 0);
    expect(day, third.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    expect_notes(day, "limits", 1);
    expect_notes(day, "others", 0);
    expect_notes(day, "freed", 1);
    expect_nothing_left(day);
}

/* Isolation is the branch's: what it has seen once it sees again, and a conflict is retryable. */
static void test_isolation_of_a_branch_holds_over_statements(void **state)
{
    struct day *day = *state;
    struct talk talk;
    day_sql(day, DAY_ORDER, "INSERT INTO notes VALUES ('seen')");
    talk_open(day, &talk, 30000);
    expect(day, talk.statements,
           "{\"participant\":\"order\",\"isolation\":\"repeatable read\",\"sql\":"
           "\"SELECT count(*) FROM notes\"}",
           200, NULL, "[[\"1\"]]");
    day_sql(day, DAY_ORDER, "UPDATE notes SET note = 'changed'");
    expect(day, talk.statements, "{\"participant\":\"order\",\"sql\":\"SELECT note FROM notes\"}",
           200, NULL, "[[\"seen\"]]");
    expect(day, talk.statements,
           "{\"participant\":\"order\",\"sql\":\"UPDATE notes SET note = 'mine'\"}", 409,
           "serialization", "\"retryable\":true");
    expect_nothing_left(day);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        talk_test(test_commit_shows_everything_at_once_and_may_be_repeated),
        talk_test(test_rollback_leaves_nothing),
        talk_test(test_failed_statement_leaves_only_rollback),
        talk_test(test_seq_replays_and_refuses),
        talk_test(test_running_statement_is_joined_and_not_overtaken),
        talk_test(test_deadline_ends_it),
        talk_test(test_killed_agent_ends_it),
        talk_test(test_participant_that_is_away_changes_nothing),
        talk_test(test_killed_coordinator_makes_everything_vanish),
        talk_test(test_coordinator_killed_at_the_decision),
        talk_test(test_lost_backend_ends_it),
        talk_test(test_drain_aborts_what_is_open),
        talk_test(test_bad_statements_change_nothing),
        talk_test(test_refused_statements_leave_nothing),
        talk_test(test_operation_is_a_statement),
        talk_test(test_policy_refusal_ends_it),
        talk_test(test_branch_that_cannot_be_prepared_aborts_the_commit),
        talk_test(test_isolation_of_a_branch_holds_over_statements),
        alone_test(test_silent_client_loses_its_transaction),
        alone_test(test_limits_refuse_at_once),
    };
    return cmocka_run_group_tests_name("interactive", tests, day_clusters_make, group_end);
}
