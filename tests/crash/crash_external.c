/*
 * crash_external.c - branches that applications prepare themselves (docs/adr/0016): a checkout of which the first and the last
 * participant's part is an application's, each a process that prepares under its name and is killed at once, and the middle one's a
 * branch of statements. See crash_stage.h.
 *
 * No key belongs to it: whoever was not answered asks by id, and does it anew under another one if nothing came of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/xid.h"
#include "tests/crash/crash_stage.h"

#define SHOP      "shop_app"
#define OPEN_MS   8000 /* two processes that start, and less than CRASH_STOP_MS */
#define ANSWER_MS 3000 /* from a coordinator that sleeps there is none */
#define SQL_SIZE  (GID_TEXT_SIZE + 1024)

bool crash_flow_is_external(enum crash_flow flow)
{
    return flow == FLOW_EXTERNAL || flow == FLOW_UNPREPARED;
}

/* --- the application -------------------------------------------------------------------------- */

/* A role of its own, of which each agent is a member. */
static bool roles_make(struct stack *stack, struct error *ret_error)
{
    static const char sql[] =
        "DO $$ BEGIN CREATE ROLE " SHOP " LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
        "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO " SHOP ";"
        "DO $$ BEGIN EXECUTE format('GRANT " SHOP
        " TO %I', (SELECT login_role FROM assent.identity)); END $$";
    for (size_t i = 0; i < CRASH_PARTICIPANTS; i++) {
        if (!stack_sql(stack, i, sql, NULL, ret_error)) {
            return error_wrap(ret_error, "the application's role");
        }
    }
    return true;
}

/* Its work, and if it lives so long its PREPARE. A row that a branch on its way back still holds is waited for, for a while. */
static void application_sql(const struct sale *sale, size_t participant, const char *gid,
                            bool prepares, char ret_sql[SQL_SIZE])
{
    char work[512];
    char prepare[GID_TEXT_SIZE + 32] = "";
    if (participant == CRASH_FIRST) {
        (void)snprintf(work, sizeof work,
                       "INSERT INTO orders(id, customer, amount) VALUES ('%s', '%s', 12.50);"
                       "INSERT INTO order_lines(order_id, item) VALUES ('%s', 'a book')",
                       sale->id, sale->account, sale->id);
    } else {
        (void)snprintf(work, sizeof work,
                       "UPDATE accounts SET balance = balance - 12.50 WHERE id = '%s';"
                       "INSERT INTO payments(order_id, account, amount) VALUES ('%s', '%s', 12.50)",
                       sale->account, sale->id, sale->account);
    }
    if (prepares) {
        (void)snprintf(prepare, sizeof prepare, ";PREPARE TRANSACTION '%s'", gid);
    }
    (void)snprintf(ret_sql, SQL_SIZE, "BEGIN; SET LOCAL lock_timeout = '3s'; %s%s", work, prepare);
}

/* Never returns: it dies with its connection as it is. */
static void application_main(const char *conninfo, const char *sql, int done_fd)
{
    PGconn *conn = PQconnectdb(conninfo);
    const PGresult *result = PQstatus(conn) == CONNECTION_OK ? PQexec(conn, sql) : NULL;
    if (PQresultStatus(result) == PGRES_COMMAND_OK && write(done_fd, "+", 1) == 1) {
        (void)raise(SIGKILL);
    }
    _exit(1);
}

/* A process, started for this and dead at the end of it. Did it get so far? */
static bool application_run(const struct crash_stage *stage, const struct sale *sale,
                            size_t participant, const char *gid)
{
    const bool prepares = stage->cell->flow == FLOW_EXTERNAL || participant != CRASH_LAST;
    const pid_t parent = getpid();
    char sql[SQL_SIZE];
    char word = '-';
    int ends[2];
    pid_t waited;
    application_sql(sale, participant, gid, prepares, sql);
    char *conninfo = pgcluster_conninfo_for(stack_cluster(stage->stack, participant),
                                            stack_database(stage->stack), SHOP);
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
            _exit(1);
        }
        application_main(conninfo, sql, ends[1]);
    }
    free(conninfo);
    (void)close(ends[1]);
    const bool done = read(ends[0], &word, 1) == 1 && word == '+';
    (void)close(ends[0]);
    do {
        waited = waitpid(pid, NULL, 0);
    } while (waited < 0 && errno == EINTR);
    return done;
}

/* --- its words to the coordinator ------------------------------------------------------------- */

/* False: no answer. tail NULL: GET of the transaction itself. */
static bool say(const struct crash_stage *stage, const char *id, const char *tail, const char *body,
                struct http_reply *ret_reply)
{
    char url[512];
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    (void)snprintf(url, sizeof url, "%s/v1/transactions/%s%s", stack_api(stage->stack), id,
                   tail == NULL ? "" : tail);
    const struct http_request request = {
        .url = url, .headers = headers, .body = body, .timeout_ms = ANSWER_MS};
    return http_perform(&request, ret_reply, NULL);
}

static void say_at_the_end(const struct crash_stage *stage, const char *id, const char *tail,
                           const char *body, struct answer *ret_answer)
{
    struct http_reply reply;
    if (!say(stage, id, tail, body, &reply)) {
        *ret_answer = (struct answer){.told = TOLD_NOTHING, .body = alloc_string("")};
        return;
    }
    answer_read(&reply, ret_answer);
    http_reply_done(&reply);
}

static bool open_one(const struct crash_stage *stage, char ret_id[160])
{
    struct http_reply reply;
    char body[64];
    (void)snprintf(body, sizeof body, "{\"timeout_ms\":%d}", OPEN_MS);
    if (!say(stage, "open", NULL, body, &reply)) {
        return false;
    }
    const bool opened = reply.status == 200 && sscanf(reply.body, "{\"id\":\"%159[^\"]\"", ret_id);
    http_reply_done(&reply);
    return opened;
}

static bool name_branch(const struct crash_stage *stage, const char *id, size_t participant,
                        char ret_gid[GID_TEXT_SIZE])
{
    struct http_reply reply;
    char body[128];
    (void)snprintf(body, sizeof body, "{\"participant\":\"%s\",\"mode\":\"external\"}",
                   stack_participant(stage->stack, participant));
    if (!say(stage, id, "/branches", body, &reply)) {
        return false;
    }
    const char *gid = strstr(reply.body, "\"gid\":");
    const bool named =
        reply.status == 200 && gid != NULL && sscanf(gid, "\"gid\":\"%199[^\"]\"", ret_gid) == 1;
    http_reply_done(&reply);
    return named;
}

static bool say_statement(const struct crash_stage *stage, const char *id, unsigned seq,
                          const char *sql, const char *params)
{
    struct http_reply reply;
    char body[512];
    (void)snprintf(body, sizeof body,
                   "{\"participant\":\"%s\",\"seq\":%u,\"sql\":\"%s\",\"params\":[%s]}",
                   stack_participant(stage->stack, 1), seq, sql, params);
    if (!say(stage, id, "/statements", body, &reply)) {
        return false;
    }
    const bool good = reply.status == 200;
    http_reply_done(&reply);
    return good;
}

static bool pay_in_the_middle(const struct crash_stage *stage, const struct sale *sale,
                              const char *id)
{
    char account[80], both[160];
    (void)snprintf(account, sizeof account, "\"%s\"", sale->account);
    (void)snprintf(both, sizeof both, "\"%s\",\"%s\"", sale->id, sale->account);
    return say_statement(stage, id, 1,
                         "UPDATE accounts SET balance = balance - 12.50 WHERE id = $1", account) &&
           say_statement(stage, id, 2,
                         "INSERT INTO payments(order_id, account, amount) VALUES ($1, $2, 12.50)",
                         both);
}

/* Everything from the beginning. The answer is the caller's; id "": it was not even opened. */
static void check_out(const struct crash_stage *stage, const struct sale *sale, char ret_id[160],
                      struct answer *ret_answer)
{
    char gid[GID_TEXT_SIZE];
    ret_id[0] = '\0';
    const bool said = open_one(stage, ret_id) && name_branch(stage, ret_id, CRASH_FIRST, gid) &&
                      application_run(stage, sale, CRASH_FIRST, gid) &&
                      pay_in_the_middle(stage, sale, ret_id) &&
                      name_branch(stage, ret_id, CRASH_LAST, gid) &&
                      application_run(stage, sale, CRASH_LAST, gid);
    if (!said) {
        *ret_answer =
            (struct answer){.told = TOLD_NOTHING, .status = 503, .body = alloc_string("no commit")};
        return;
    }
    say_at_the_end(stage, ret_id, "/commit", "{}", ret_answer);
}

bool crash_run_external(struct crash_stage *stage, struct error *ret_error)
{
    struct sale *sale = &stage->sales[0];
    if (!roles_make(stage->stack, ret_error)) {
        return false;
    }
    check_out(stage, sale, sale->txn, &sale->answers[sale->answer_count++]);
    return true;
}

/* --- afterwards ------------------------------------------------------------------------------- */

bool crash_external_agrees(const struct crash_stage *stage, const struct sale *sale, int times,
                           struct error *ret_error)
{
    struct answer answer = {.told = TOLD_REFUSED};
    if (sale->txn[0] != '\0') {
        say_at_the_end(stage, sale->txn, NULL, NULL, &answer);
    }
    const bool agrees = times == 1 ? answer.told == TOLD_COMMITTED
                                   : answer.told == TOLD_ABORTED || answer.told == TOLD_REFUSED;
    if (!agrees) {
        (void)error_set(ret_error, ERROR_INVALID,
                        "by id it is told %s, and %d execution(s) are there: %.200s",
                        told_text(answer.told), times, answer.body == NULL ? "" : answer.body);
    }
    answer_done(&answer);
    return agrees;
}

struct again {
    const struct crash_stage *stage;
    const struct sale *sale;
    bool is_anew;
    struct answer answer;
};

static bool is_served(void *user)
{
    struct again *again = user;
    char id[160];
    answer_done(&again->answer);
    if (again->is_anew) {
        check_out(again->stage, again->sale, id, &again->answer);
    } else {
        say_at_the_end(again->stage, again->sale->txn, "/commit", "{}", &again->answer);
    }
    return again->answer.status != 503;
}

bool crash_external_again(const struct crash_stage *stage, const struct sale *sale, int times,
                          struct error *ret_error)
{
    const bool commits = crash_flow_commits(stage->cell->flow);
    const struct answer *first = &sale->answers[0];
    struct again again = {.stage = stage, .sale = sale, .is_anew = times == 0};
    (void)stack_poll(NULL, stage->heal_deadline_ms, is_served, &again);
    bool good = again.answer.told == (commits ? TOLD_COMMITTED : TOLD_ABORTED);
    if (!good) {
        (void)error_set(ret_error, ERROR_INVALID, "%s: told %s: %.200s",
                        again.is_anew ? "done anew" : "asked to commit again",
                        told_text(again.answer.told), again.answer.body);
    } else if (first->told == TOLD_COMMITTED && !answer_same(first, &again.answer)) {
        good = error_set(ret_error, ERROR_INVALID, "asked again: \"%.150s\", first \"%.150s\"",
                         again.answer.body, first->body);
    }
    answer_done(&again.answer);
    return good;
}
