/* test_interactive_kit.c - see test_interactive_kit.h. */
#include "test_interactive_kit.h"

#include "common/alloc.h"

/* --- speaking --------------------------------------------------------------------------------- */

struct http_reply talk_post(struct day *day, const char *path, const char *body)
{
    struct http_reply reply;
    struct error error;
    assert_success(stack_http(day->stack, path, NULL, body, &reply, &error), &error);
    return reply;
}

char *talk_ask(struct day *day, const char *path, const char *body, int status, const char *slug)
{
    struct http_reply reply = talk_post(day, path, body);
    char wanted[128];
    (void)snprintf(wanted, sizeof wanted, "urn:assent:problem:%s\"", slug == NULL ? "" : slug);
    if (reply.status != status || (slug != NULL && strstr(reply.body, wanted) == NULL)) {
        fail_msg("%s %.300s: %d %s", path, body, reply.status, reply.body);
    }
    char *text = alloc_string(reply.body);
    http_reply_done(&reply);
    return text;
}

void talk_expect(struct day *day, const char *path, const char *body, int status, const char *slug,
                 const char *said)
{
    char *text = talk_ask(day, path, body, status, slug);
    if (strstr(text, said) == NULL) {
        fail_msg("%s %.300s: %s", path, body, text);
    }
    free(text);
}

void talk_open(struct day *day, struct talk *talk, uint32_t timeout_ms)
{
    char body[64];
    (void)snprintf(body, sizeof body, "{\"timeout_ms\":%u}", timeout_ms);
    char *text = talk_ask(day, "/v1/transactions/open", body, 200, NULL);
    assert_int_equal(sscanf(text, "{\"id\":\"%159[^\"]\",\"state\":\"active\"}", talk->id), 1);
    free(text);
    (void)snprintf(talk->look, sizeof talk->look, "/v1/transactions/%s", talk->id);
    (void)snprintf(talk->statements, sizeof talk->statements, "%s/statements", talk->look);
    (void)snprintf(talk->commit, sizeof talk->commit, "%s/commit", talk->look);
    (void)snprintf(talk->rollback, sizeof talk->rollback, "%s/rollback", talk->look);
}

void talk_note_body(char *ret_body, size_t size_bytes, size_t participant, const char *note,
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

void talk_note(struct day *day, const struct talk *talk, size_t participant, const char *note,
               unsigned seq)
{
    char body[512];
    talk_note_body(body, sizeof body, participant, note, seq);
    talk_expect(day, talk->statements, body, 200, NULL, "\"command\":\"INSERT 0 1\"");
}

void talk_in_both(struct day *day, struct talk *talk, const char *note)
{
    talk_open(day, talk, 30000);
    talk_note(day, talk, DAY_ORDER, note, 1);
    talk_note(day, talk, DAY_PAYMENT, note, 2);
}

/* --- looking ---------------------------------------------------------------------------------- */

int talk_number(struct day *day, size_t participant, const char *sql)
{
    struct error error;
    char *value = NULL;
    assert_success(stack_sql(day->stack, participant, sql, &value, &error), &error);
    int number = atoi(value);
    free(value);
    return number;
}

void talk_expect_notes(struct day *day, const char *note, int count)
{
    char sql[256];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM notes WHERE note = '%s'", note);
    assert_int_equal(talk_number(day, DAY_ORDER, sql), count);
    assert_int_equal(talk_number(day, DAY_PAYMENT, sql), count);
}

/* Sessions of agents that are within a transaction, also those whose statement still runs, and locks on the notes or advisory ones,
 * in this stack's databases, but for those of the test itself. A keeper's look is one for a moment: the caller asks until there is none. */
static int open_count(struct day *day)
{
    static const char sql[] =
        "SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        "  AND usename LIKE 'assent%' AND xact_start IS NOT NULL)"
        " + (SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
        "  WHERE d.datname = current_database() AND l.pid IS DISTINCT FROM pg_backend_pid()"
        "  AND (l.locktype = 'advisory' OR l.relation = 'notes'::regclass))";
    return talk_number(day, DAY_ORDER, sql) + talk_number(day, DAY_PAYMENT, sql);
}

bool talk_is_nothing_open(void *user)
{
    return open_count(user) == 0;
}

void talk_expect_nothing_left(struct day *day)
{
    day_expect_whole(day);
    if (!stack_poll(NULL, clock_monotonic_ms() + DAY_HEAL_MS, talk_is_nothing_open, day)) {
        fail_msg("%d transactions or locks are left", open_count(day));
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

void talk_wait_state(struct day *day, const struct talk *talk, const char *state)
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

static struct day *shared;

int talk_begin(void **state)
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
int talk_end(void **state)
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

int talk_begin_alone(void **state)
{
    shared_end();
    return day_begin_idle(state);
}

int talk_group_end(void **state)
{
    shared_end();
    return day_clusters_free(state);
}

void talk_stack(struct day *day, struct stack_options options)
{
    day_stack(day, options);
    day_start(day);
    notes_make(day);
}

static void commit_into_crash(struct day *day, const char *point, const char *note,
                              void (*begin)(struct day *, struct talk *, const char *),
                              struct talk *ret_talk)
{
    struct stack_daemon *coordinator = stack_coordinator(day->stack);
    struct http_reply reply;
    struct error error;
    assert_success(stack_daemon_stop(coordinator, &error), &error);
    assert_success(stack_daemon_start_faulty(coordinator, point, &error), &error);
    assert_success(stack_wait_ready(day->stack, day_soon(), &error), &error);
    begin(day, ret_talk, note);
    assert_false(stack_http(day->stack, ret_talk->commit, NULL, "{}", &reply, &error));
    assert_true(stack_daemon_wait(coordinator, day_soon(), NULL));
    assert_int_equal(stack_prepared_total(day->stack), 2);
    assert_success(stack_start(day->stack, &error), &error);
}

void talk_expect_killed_at_the_decision(struct day *day,
                                        void (*begin)(struct day *day, struct talk *talk,
                                                      const char *note))
{
    struct talk talk;
    commit_into_crash(day, "c.decide.pre_sync", "undecided", begin, &talk);
    talk_expect_nothing_left(day);
    talk_expect(day, talk.commit, "{}", 409, "conflict", "\"state\":\"aborted\"");
    talk_expect_notes(day, "undecided", 0);
    commit_into_crash(day, "c.decide.post_sync", "decided", begin, &talk);
    talk_expect_nothing_left(day);
    talk_expect(day, talk.commit, "{}", 200, NULL, "\"state\":\"committed\",\"completed\":true");
    talk_expect_notes(day, "decided", 1);
}
