/*
 * test_external.c - branches that the application prepares itself (docs/adr/0016): whole stacks, an application in a role of its own, and
 * everything that it may do wrong. Each test asks in the end that nothing is left behind.
 */
#include "test_interactive_kit.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/xid.h"

#define SHOP     "shop_app"
#define STRANGER "stranger_app"

static const char *const names[] = {[DAY_ORDER] = "order", [DAY_PAYMENT] = "payment"};

/* ---- the application ---- */

/* As superuser in the participant's database; must succeed. */
static void run(struct day *day, size_t participant, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void run(struct day *day, size_t participant, const char *format, ...)
{
    char sql[1024];
    struct error error;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    assert_success(stack_sql(day->stack, participant, sql, NULL, &error), &error);
}

/* Roles of applications, and the grant that lets the agents finish what SHOP prepares. */
static void roles_make(struct day *day)
{
    for (size_t i = DAY_ORDER; i <= DAY_PAYMENT; i++) {
        run(day, i,
            "DO $$ BEGIN CREATE ROLE " SHOP "; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
            "DO $$ BEGIN CREATE ROLE " STRANGER
            "; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
            "GRANT ALL ON notes TO " SHOP ", " STRANGER ";"
            "DO $$ BEGIN EXECUTE format('GRANT " SHOP
            " TO %%I', (SELECT login_role FROM assent.identity)); END $$");
    }
}

static int begin(void **state)
{
    int failed = talk_begin(state);
    if (failed == 0) {
        roles_make(*state);
    }
    return failed;
}

#define external_test(test_) cmocka_unit_test_setup_teardown(test_, begin, talk_end)

static void prepare_as(struct day *day, size_t participant, const char *role, const char *gid,
                       const char *note)
{
    run(day, participant,
        "SET ROLE %s; BEGIN; INSERT INTO notes VALUES ('%s'); PREPARE TRANSACTION '%s'; RESET ROLE",
        role, note, gid);
}

static void ask_body(char ret_body[128], size_t participant)
{
    (void)snprintf(ret_body, 128, "{\"participant\":\"%s\",\"mode\":\"external\"}",
                   names[participant]);
}

static void branches_path(char ret_path[256], const struct talk *talk)
{
    (void)snprintf(ret_path, 256, "%s/branches", talk->look);
}

static void ask(struct day *day, const struct talk *talk, size_t participant,
                char ret_gid[GID_TEXT_SIZE])
{
    char path[256], body[128];
    branches_path(path, talk);
    ask_body(body, participant);
    char *text = talk_ask(day, path, body, 200, NULL);
    const char *gid = strstr(text, "\"gid\":");
    assert_non_null(gid);
    assert_int_equal(sscanf(gid, "\"gid\":\"%199[^\"]\"", ret_gid), 1);
    free(text);
}

static void refuse(struct day *day, const struct talk *talk, size_t participant, int status,
                   const char *slug)
{
    char path[256], body[128];
    branches_path(path, talk);
    ask_body(body, participant);
    free(talk_ask(day, path, body, status, slug));
}

struct gid_wait {
    struct day *day;
    size_t participant;
    const char *gid;
};

static bool is_gone(void *user)
{
    const struct gid_wait *wait = user;
    char sql[GID_TEXT_SIZE + 64];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM pg_prepared_xacts WHERE gid = '%s'",
                   wait->gid);
    return talk_number(wait->day, wait->participant, sql) == 0;
}

static void await_gone(struct day *day, size_t participant, const char *gid)
{
    struct gid_wait wait = {.day = day, .participant = participant, .gid = gid};
    if (!stack_poll(NULL, clock_monotonic_ms() + DAY_HEAL_MS, is_gone, &wait)) {
        fail_msg("%s stays prepared", gid);
    }
}

/* ---- the good way ---- */

/* One participant's branch is the application's, the other's the agent's; both commit, also when asked for a second time. */
static void test_external_and_executed_branches_commit_together(void **state)
{
    struct day *day = *state;
    struct talk talk;
    char gid[GID_TEXT_SIZE];
    talk_open(day, &talk, 30000);
    ask(day, &talk, DAY_ORDER, gid);
    prepare_as(day, DAY_ORDER, SHOP, gid, "mixed");
    talk_note(day, &talk, DAY_PAYMENT, "mixed", 1);
    talk_expect(day, talk.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    talk_expect(day, talk.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    talk_expect_notes(day, "mixed", 1);
    talk_expect_nothing_left(day);
}

/* Both are the application's, and the history tells who had prepared. */
static void test_external_branches_in_both_databases_commit(void **state)
{
    struct day *day = *state;
    struct talk talk;
    char order[GID_TEXT_SIZE], payment[GID_TEXT_SIZE], events[256];
    talk_open(day, &talk, 30000);
    ask(day, &talk, DAY_ORDER, order);
    ask(day, &talk, DAY_PAYMENT, payment);
    prepare_as(day, DAY_ORDER, SHOP, order, "both");
    prepare_as(day, DAY_PAYMENT, SHOP, payment, "both");
    talk_expect(day, talk.commit, "{\"ack\":\"completed\"}", 200, NULL, "\"completed\":true");
    talk_expect_notes(day, "both", 1);
    (void)snprintf(events, sizeof events, "%s/events", talk.look);
    struct http_reply reply;
    struct error error;
    assert_success(stack_http(day->stack, events, NULL, NULL, &reply, &error), &error);
    assert_non_null(strstr(reply.body, "\"verify-sent\""));
    assert_non_null(strstr(reply.body, SHOP));
    http_reply_done(&reply);
    talk_expect_nothing_left(day);
}

/* P-20: asked again it is another gid; what was prepared under the first is rolled back while the transaction is open. */
static void test_external_asked_again_frees_the_old_one(void **state)
{
    struct day *day = *state;
    struct talk talk;
    char first[GID_TEXT_SIZE], second[GID_TEXT_SIZE];
    talk_open(day, &talk, 30000);
    ask(day, &talk, DAY_ORDER, first);
    prepare_as(day, DAY_ORDER, SHOP, first, "again");
    ask(day, &talk, DAY_ORDER, second);
    assert_string_not_equal(first, second);
    await_gone(day, DAY_ORDER, first);
    prepare_as(day, DAY_ORDER, SHOP, second, "again");
    talk_note(day, &talk, DAY_PAYMENT, "again", 1);
    talk_expect(day, talk.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    talk_expect_notes(day, "again", 1);
    talk_expect_nothing_left(day);
}

static uint64_t shift_undone(uint64_t mixed, unsigned shift)
{
    uint64_t x = mixed;
    for (unsigned known = shift; known < 64; known += shift) {
        x = mixed ^ (x >> shift);
    }
    return x;
}

/* The count behind coordinator_step.c's event_random, which is spread and not secret. */
static uint64_t count_of(uint64_t mixed)
{
    const uint64_t factor = UINT64_C(0xbf58476d1ce4e5b9), step = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t factor_inverse = factor,
             step_inverse = step; /* modulo 8; each turn doubles the bits */
    for (int i = 0; i < 5; i++) {
        factor_inverse *= 2 - factor * factor_inverse;
        step_inverse *= 2 - step * step_inverse;
    }
    return shift_undone(shift_undone(mixed, 27) * factor_inverse, 30) * step_inverse;
}

/* Every role sees the names that are prepared. Could it tell the next ones from them, it could prepare first; and an application that
 * takes "already in use" for its own earlier try would have a stranger's work committed. */
static void test_external_name_can_not_be_foretold(void **state)
{
    struct day *day = *state;
    struct talk talk;
    char text[GID_TEXT_SIZE];
    struct gid first = {0}, second = {0};
    talk_open(day, &talk, 30000);
    ask(day, &talk, DAY_ORDER, text);
    assert_true(gid_parse(text, &first));
    ask(day, &talk, DAY_PAYMENT, text);
    assert_true(gid_parse(text, &second));
    uint64_t distance = count_of(second.attempt) - count_of(first.attempt);
    if (distance < UINT64_C(1) << 32) {
        fail_msg("%" PRIu64 " events after the first name", distance);
    }
    free(talk_ask(day, talk.rollback, "{}", 200, NULL));
    talk_wait_state(day, &talk, "aborted");
    talk_expect_nothing_left(day);
}

/* ---- what the application may do wrong ---- */

/* A participant has statements or an external branch, not both; the refusal changes nothing. */
static void test_external_participant_takes_no_statements(void **state)
{
    struct day *day = *state;
    struct talk talk;
    char gid[GID_TEXT_SIZE], body[512];
    talk_open(day, &talk, 30000);
    ask(day, &talk, DAY_ORDER, gid);
    talk_note(day, &talk, DAY_PAYMENT, "either", 1);
    talk_note_body(body, sizeof body, DAY_ORDER, "either", 0);
    free(talk_ask(day, talk.statements, body, 409, "conflict"));
    refuse(day, &talk, DAY_PAYMENT, 409, "conflict");
    prepare_as(day, DAY_ORDER, SHOP, gid, "either");
    talk_expect(day, talk.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    refuse(day, &talk, DAY_ORDER, 409, "conflict");
    talk_expect_notes(day, "either", 1);
    talk_expect_nothing_left(day);
}

/* Never prepared, or under another name, which is none of Assent's. */
static void test_external_never_prepared_aborts(void **state)
{
    struct day *day = *state;
    struct talk talk;
    char gid[GID_TEXT_SIZE];
    talk_open(day, &talk, 30000);
    ask(day, &talk, DAY_ORDER, gid);
    prepare_as(day, DAY_ORDER, SHOP, "my own name", "never");
    talk_note(day, &talk, DAY_PAYMENT, "never", 1);
    talk_expect(day, talk.commit, "{}", 409, "not_preparable", "no prepared transaction");
    run(day, DAY_ORDER, "ROLLBACK PREPARED 'my own name'"); /* it was left alone */
    talk_expect_notes(day, "never", 0);
    talk_expect_nothing_left(day);
}

/* P-11: prepared after the abort, when nobody waits for it any more. */
static void test_external_prepared_after_the_abort_is_swept(void **state)
{
    struct day *day = *state;
    struct talk talk;
    char gid[GID_TEXT_SIZE];
    talk_open(day, &talk, 30000);
    ask(day, &talk, DAY_ORDER, gid);
    talk_note(day, &talk, DAY_PAYMENT, "late", 1);
    free(talk_ask(day, talk.rollback, "{}", 200, NULL));
    talk_wait_state(day, &talk, "aborted");
    prepare_as(day, DAY_ORDER, SHOP, gid, "late");
    await_gone(day, DAY_ORDER, gid);
    free(talk_ask(day, talk.commit, "{}", 409, "rolled_back_by_client"));
    talk_expect_notes(day, "late", 0);
    talk_expect_nothing_left(day);
}

/* Under another name that Assent might have made: it is nobody's, so it is swept while the transaction's own name stays free. */
static void test_external_prepared_under_another_gid_is_swept(void **state)
{
    struct day *day = *state;
    struct talk talk;
    char gid[GID_TEXT_SIZE];
    talk_open(day, &talk, 30000);
    ask(day, &talk, DAY_ORDER, gid);
    char *last = gid + strlen(gid) - 1;
    *last = *last == '0' ? '1' : '0';
    prepare_as(day, DAY_ORDER, SHOP, gid, "misspelt");
    talk_expect(day, talk.commit, "{}", 409, "not_preparable", "no prepared transaction");
    await_gone(day, DAY_ORDER, gid);
    talk_wait_state(day, &talk, "aborted");
    talk_expect_notes(day, "misspelt", 0);
    talk_expect_nothing_left(day);
}

/* In another participant's database: refused, and left there by both agents, the one whose database it is tells of it. */
static void test_external_in_another_participants_database_is_told_and_left(void **state)
{
    struct day *day = *state;
    struct talk talk;
    char gid[GID_TEXT_SIZE];
    off_t log = stack_daemon_log_size(stack_agent(day->stack, DAY_PAYMENT));
    talk_open(day, &talk, 30000);
    ask(day, &talk, DAY_ORDER, gid);
    prepare_as(day, DAY_PAYMENT, SHOP, gid, "astray");
    talk_expect(day, talk.commit, "{}", 409, "not_preparable", "no prepared transaction");
    talk_wait_state(day, &talk, "aborted");
    day_wait_participant(day, "payment", "misplaced", 1);
    day_wait_participant(day, "order", "misplaced", 0);
    day_wait_log(day, stack_agent(day->stack, DAY_PAYMENT), log, "in the wrong database");
    assert_int_equal(stack_prepared_count(day->stack, DAY_PAYMENT, gid), 1);
    run(day, DAY_PAYMENT, "ROLLBACK PREPARED '%s'", gid);
    day_wait_participant(day, "payment", "misplaced", 0);
    talk_expect_notes(day, "astray", 0);
    talk_expect_nothing_left(day);
}

/* In another database of the cluster: refused with its name, told to the operator, and left to the application. */
static void test_external_in_another_database_is_refused_and_left(void **state)
{
    struct day *day = *state;
    struct talk talk;
    struct error error;
    char gid[GID_TEXT_SIZE], sql[GID_TEXT_SIZE + 128];
    talk_open(day, &talk, 30000);
    ask(day, &talk, DAY_ORDER, gid);
    const struct pgcluster *cluster = stack_cluster(day->stack, DAY_ORDER);
    (void)snprintf(sql, sizeof sql,
                   "BEGIN; SELECT pg_advisory_xact_lock(1); PREPARE TRANSACTION '%s'", gid);
    assert_success(pgcluster_sql(cluster, "postgres", sql, NULL, &error), &error);
    talk_expect(day, talk.commit, "{}", 409, "not_preparable", "in database postgres");
    talk_wait_state(day, &talk, "aborted");
    day_wait_participant(day, "order", "misplaced", 1);
    day_wait_participant(day, "order", "prepared", 0);
    assert_int_equal(stack_prepared_count(day->stack, DAY_ORDER, gid), 1);
    (void)snprintf(sql, sizeof sql, "ROLLBACK PREPARED '%s'", gid);
    assert_success(pgcluster_sql(cluster, "postgres", sql, NULL, &error), &error);
    day_wait_participant(day, "order", "misplaced", 0);
    talk_expect_nothing_left(day);
}

/* A role that the agent is no member of: the answer names the grant, the participant's text too, and with the grant it heals by itself. */
static void test_external_without_the_grant_names_it_and_heals_with_it(void **state)
{
    struct day *day = *state;
    struct talk talk;
    char gid[GID_TEXT_SIZE];
    talk_open(day, &talk, 30000);
    ask(day, &talk, DAY_ORDER, gid);
    talk_note(day, &talk, DAY_PAYMENT, "no grant", 1);
    prepare_as(day, DAY_ORDER, STRANGER, gid, "no grant");
    talk_expect(day, talk.commit, "{}", 403, "rejected_by_policy", "GRANT " STRANGER " TO ");
    run(day, DAY_ORDER,
        "DO $$ BEGIN EXECUTE format('GRANT " STRANGER
        " TO %%I', (SELECT login_role FROM assent.identity)); END $$");
    await_gone(day, DAY_ORDER, gid);
    talk_wait_state(day, &talk, "aborted");
    run(day, DAY_ORDER,
        "DO $$ BEGIN EXECUTE format('REVOKE " STRANGER
        " FROM %%I', (SELECT login_role FROM assent.identity)); END $$");
    talk_expect_notes(day, "no grant", 0);
    talk_expect_nothing_left(day);
}

/* P-6: names that only look like ours are nobody's business. */
static void test_external_strangers_are_left_alone(void **state)
{
    struct day *day = *state;
    struct talk talk;
    char gid[GID_TEXT_SIZE], other[GID_TEXT_SIZE], prefix[GID_TEXT_SIZE + 8];
    talk_open(day, &talk, 30000);
    ask(day, &talk, DAY_ORDER, gid);
    (void)snprintf(other, sizeof other, "%s", gid); /* of a participant that is not this one */
    memcpy(strstr(other, ":order:"), ":other:", 7);
    (void)snprintf(prefix, sizeof prefix, "x%s", gid);
    prepare_as(day, DAY_ORDER, SHOP, other, "stranger");
    prepare_as(day, DAY_ORDER, SHOP, prefix, "another stranger");
    free(talk_ask(day, talk.rollback, "{}", 200, NULL));
    talk_wait_state(day, &talk, "aborted");
    prepare_as(day, DAY_ORDER, SHOP, gid, "ours");
    await_gone(day, DAY_ORDER, gid); /* so the sweep has seen the others as well */
    run(day, DAY_ORDER, "ROLLBACK PREPARED '%s'", other);
    run(day, DAY_ORDER, "ROLLBACK PREPARED '%s'", prefix);
    talk_expect_nothing_left(day);
}

/* ---- who is dead ---- */

static void prepare_and_leave(struct day *day, struct talk *talk, const char *note)
{
    char gid[GID_TEXT_SIZE];
    talk_open(day, talk, 30000);
    ask(day, talk, DAY_ORDER, gid);
    prepare_as(day, DAY_ORDER, SHOP, gid, note);
    talk_note(day, talk, DAY_PAYMENT, note, 1);
}

/* The application is gone since its PREPARE, and the coordinator dies at the decision: before it is written nothing of the branch remains,
 * after that it commits. */
static void test_external_coordinator_killed_at_the_decision(void **state)
{
    talk_expect_killed_at_the_decision(*state, prepare_and_leave);
}

/* The agent dies with the verification done and the decision written: another process finishes what it has never seen. */
static void test_external_agent_killed_before_it_finishes(void **state)
{
    struct day *day = *state;
    struct talk talk;
    struct stack_daemon *agent = stack_agent(day->stack, DAY_ORDER);
    struct error error;
    char gid[GID_TEXT_SIZE];
    assert_success(stack_daemon_stop(agent, &error), &error);
    assert_success(stack_daemon_start_faulty(agent, "a.commit.in_flight", &error), &error);
    assert_success(stack_wait_ready(day->stack, day_soon(), &error), &error);
    talk_open(day, &talk, 30000);
    ask(day, &talk, DAY_ORDER, gid);
    prepare_as(day, DAY_ORDER, SHOP, gid, "agent");
    talk_note(day, &talk, DAY_PAYMENT, "agent", 1);
    talk_expect(day, talk.commit, "{\"ack\":\"decided\"}", 200, NULL, "\"state\":\"comm");
    assert_true(stack_daemon_wait(agent, day_soon(), NULL));
    assert_success(stack_daemon_start(agent, NULL, &error), &error);
    talk_expect_nothing_left(day);
    talk_expect_notes(day, "agent", 1);
}

/* Everybody dies while it is open: the row is found, asked about, and rolled back. */
static void test_external_of_a_dead_coordinator_is_swept(void **state)
{
    struct day *day = *state;
    struct talk talk;
    struct error error;
    char gid[GID_TEXT_SIZE];
    talk_open(day, &talk, 30000);
    ask(day, &talk, DAY_ORDER, gid);
    prepare_as(day, DAY_ORDER, SHOP, gid, "dead");
    stack_daemon_kill(stack_coordinator(day->stack));
    stack_daemon_kill(stack_agent(day->stack, DAY_ORDER));
    assert_success(stack_start(day->stack, &error), &error);
    talk_expect_nothing_left(day);
    talk_expect_notes(day, "dead", 0);
}

static bool is_stopped_there(void *user)
{
    return stack_daemon_fault_hits(user) > 0 && stack_daemon_is_stopped(user);
}

static bool is_nothing_prepared(void *user)
{
    struct day *day = user;
    return stack_prepared_total(day->stack) == 0;
}

/* P-20, at its limit: the row is what was voted when the agent looks, and another one when it commits, since the application has
 * rolled it back and prepared again in between. PostgreSQL finishes by name, so that one commits. It must not pass for the voted one: the agent
 * says what happened, and the transaction that its participant did not follow it. */
static void test_external_replaced_between_look_and_commit_is_told(void **state)
{
    struct day *day = *state;
    struct talk talk;
    struct stack_daemon *agent = stack_agent(day->stack, DAY_ORDER);
    struct error error;
    char gid[GID_TEXT_SIZE];
    assert_success(stack_daemon_stop(agent, &error), &error);
    assert_success(stack_daemon_start_faulty(agent, "a.commit.in_flight:stop", &error), &error);
    assert_success(stack_wait_ready(day->stack, day_soon(), &error), &error);
    off_t from = stack_daemon_log_size(agent);
    talk_open(day, &talk, 30000);
    ask(day, &talk, DAY_ORDER, gid);
    prepare_as(day, DAY_ORDER, SHOP, gid, "voted");
    talk_note(day, &talk, DAY_PAYMENT, "voted", 1);
    talk_expect(day, talk.commit, "{\"ack\":\"decided\"}", 200, NULL, "\"state\":\"comm");
    assert_true(stack_poll(NULL, day_soon(), is_stopped_there, agent));
    run(day, DAY_ORDER, "ROLLBACK PREPARED '%s'", gid);
    prepare_as(day, DAY_ORDER, SHOP, gid, "replaced");
    stack_daemon_signal(agent, SIGCONT);
    assert_success(stack_daemon_wait_line(agent, from, "another one was committed under its name",
                                          day_soon(), &error),
                   &error);
    talk_wait_state(day, &talk, "heuristic");
    assert_int_equal(talk_number(day, DAY_ORDER, "SELECT count(*) FROM notes WHERE note = 'voted'"),
                     0);
    assert_true(stack_poll(NULL, day_soon(), is_nothing_prepared, day));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        external_test(test_external_and_executed_branches_commit_together),
        external_test(test_external_branches_in_both_databases_commit),
        external_test(test_external_asked_again_frees_the_old_one),
        external_test(test_external_name_can_not_be_foretold),
        external_test(test_external_participant_takes_no_statements),
        external_test(test_external_never_prepared_aborts),
        external_test(test_external_prepared_after_the_abort_is_swept),
        external_test(test_external_prepared_under_another_gid_is_swept),
        external_test(test_external_in_another_participants_database_is_told_and_left),
        external_test(test_external_in_another_database_is_refused_and_left),
        external_test(test_external_without_the_grant_names_it_and_heals_with_it),
        external_test(test_external_strangers_are_left_alone),
        external_test(test_external_coordinator_killed_at_the_decision),
        external_test(test_external_agent_killed_before_it_finishes),
        external_test(test_external_of_a_dead_coordinator_is_swept),
        /* The last: its transaction stays, for a person to look at. */
        external_test(test_external_replaced_between_look_and_commit_is_told),
    };
    return cmocka_run_group_tests_name("external", tests, day_clusters_make, talk_group_end);
}
