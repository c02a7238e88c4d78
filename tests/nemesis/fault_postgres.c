/*
 * fault_postgres.c - faults of the databases: servers stopped and killed, backends killed and terminated, and a
 * human who finishes prepared transactions by hand. See fault.h.
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "fault.h"
#include "tests/lib/process.h"
#include "workload.h"

#define RECOVERY_MS 30000
#define CATCH_MS    2000 /* how long a human waits for a prepared transaction to put his hand on */
#define HOLD_MS     1500 /* and how long it is kept from being finished meanwhile */

static struct pgcluster *cluster_of(struct run *run, struct fault *fault, const char *detail)
{
    (void)snprintf(fault->target, sizeof fault->target, "%s", run->world.names[fault->database]);
    (void)snprintf(fault->detail, sizeof fault->detail, "%s", detail);
    return run->world.clusters[fault->database];
}

bool fault_pg_immediate_begin(struct run *run, struct fault *fault, struct random *random,
                              struct error *ret_error)
{
    (void)random;
    return pgcluster_stop(cluster_of(run, fault, "immediate stop"), PGCLUSTER_IMMEDIATE, ret_error);
}

bool fault_pg_fast_begin(struct run *run, struct fault *fault, struct random *random,
                         struct error *ret_error)
{
    (void)random;
    return pgcluster_stop(cluster_of(run, fault, "fast stop"), PGCLUSTER_FAST, ret_error);
}

bool fault_pg_kill_begin(struct run *run, struct fault *fault, struct random *random,
                         struct error *ret_error)
{
    (void)random;
    return pgcluster_kill(cluster_of(run, fault, "SIGKILL of the postmaster"), ret_error);
}

bool fault_pg_end(struct run *run, struct fault *fault, struct error *ret_error)
{
    return pgcluster_start(run->world.clusters[fault->database], ret_error);
}

/* --- backends --------------------------------------------------------------------------------- */

/* A busy one, if there is any. */
static bool find_backend(struct run *run, struct fault *fault, pid_t *ret_pid,
                         struct error *ret_error)
{
    char sql[192];
    char *text = NULL;
    (void)cluster_of(run, fault, "");
    (void)snprintf(sql, sizeof sql,
                   "SELECT pid FROM pg_stat_activity WHERE usename = 'assent_%s'"
                   " ORDER BY (state = 'active') DESC, random() LIMIT 1",
                   run->world.names[fault->database]);
    if (!stack_sql(run->world.stack, fault->database, sql, &text, ret_error)) {
        return false;
    }
    long pid = text == NULL ? 0 : strtol(text, NULL, 10);
    free(text);
    if (pid <= 1) {
        return error_set(ret_error, ERROR_NOT_FOUND, "the agent has no backend");
    }
    *ret_pid = (pid_t)pid;
    return true;
}

/* The server ends all its other backends, too, and recovers as after a crash. */
bool fault_backend_begin(struct run *run, struct fault *fault, struct random *random,
                         struct error *ret_error)
{
    pid_t pid = 0;
    (void)random;
    if (!find_backend(run, fault, &pid, ret_error)) {
        return false;
    }
    const char *log = pgcluster_log_path(run->world.clusters[fault->database]);
    struct stat status;
    off_t offset = stat(log, &status) == 0 ? status.st_size : 0;
    (void)snprintf(fault->detail, sizeof fault->detail, "SIGKILL, backend %d", (int)pid);
    if (kill(pid, SIGKILL) != 0) {
        return error_set(ret_error, ERROR_NOT_FOUND, "the backend is gone");
    }
    /* Its recovery takes seconds; they are the fault's, not Assent's. */
    struct error error;
    if (!process_wait_line(NULL, log, offset, "database system is ready to accept",
                           clock_monotonic_ms() + RECOVERY_MS, NULL, 0, NULL, &error)) {
        run_say(run, "%s: %s", fault->target, error.text);
    }
    return true;
}

/* Whatever locks it holds, also the server's own inner ones, stay held. */
bool fault_backend_stop_begin(struct run *run, struct fault *fault, struct random *random,
                              struct error *ret_error)
{
    (void)random;
    if (!find_backend(run, fault, &fault->backend, ret_error)) {
        return false;
    }
    (void)snprintf(fault->detail, sizeof fault->detail, "SIGSTOP, then SIGCONT, backend %d",
                   (int)fault->backend);
    return kill(fault->backend, SIGSTOP) == 0 ||
           error_set(ret_error, ERROR_NOT_FOUND, "the backend is gone");
}

bool fault_backend_stop_end(struct run *run, struct fault *fault, struct error *ret_error)
{
    (void)run;
    (void)ret_error;
    (void)kill(fault->backend, SIGCONT); /* it may have been killed meanwhile */
    return true;
}

bool fault_terminate_begin(struct run *run, struct fault *fault, struct random *random,
                           struct error *ret_error)
{
    char sql[256];
    char *count = NULL;
    (void)cluster_of(run, fault, "");
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity"
                   " WHERE usename = 'assent_%s' ORDER BY random() LIMIT %u) AS some",
                   run->world.names[fault->database], random_between(random, 1, 30));
    if (!stack_sql(run->world.stack, fault->database, sql, &count, ret_error)) {
        return false;
    }
    (void)snprintf(fault->detail, sizeof fault->detail, "pg_terminate_backend of %s",
                   count == NULL ? "0" : count);
    free(count);
    return true;
}

/* --- a human ---------------------------------------------------------------------------------- */

/* Whose transaction it is, by its id, which is the gid's second part. */
static void find_key(struct run *run, const char *gid, char *ret_key, size_t key_size)
{
    char path[256];
    struct http_reply reply;
    const char *id = strchr(gid, ':');
    size_t length = id == NULL ? 0 : strcspn(id + 1, ":");
    (void)snprintf(path, sizeof path, "/v1/transactions/%.*s", (int)length,
                   id == NULL ? "" : id + 1);
    if (!stack_http(run->world.stack, path, NULL, NULL, &reply, NULL)) {
        return;
    }
    json_t *body = json_loads(reply.body, 0, NULL);
    const char *key = json_string_value(json_object_get(body, "key"));
    (void)snprintf(ret_key, key_size, "%s", key == NULL ? "" : key);
    json_decref(body);
    http_reply_done(&reply);
}

/* A hand that rolls back one branch of a committed transaction breaks more than the transaction: who reads both
 * databases sees it half, and rightly finds a cycle. So he keeps to transactions whose reads nobody compares
 * (money and effects, whose checks know what a hand may do). */
static bool may_be_touched(const char *key)
{
    static const enum workload touchable[] = {WORKLOAD_BANK, WORKLOAD_CONFLICT, WORKLOAD_DUPLICATES,
                                              WORKLOAD_NOVOTE, WORKLOAD_UPGRADE};
    for (size_t i = 0; i < sizeof touchable / sizeof touchable[0]; i++) {
        const char *code = workload_code(touchable[i]);
        if (strncmp(key, code, strlen(code)) == 0 && key[strlen(code)] == '-') {
            return true;
        }
    }
    return false;
}

/* Of the prepared transactions the oldest that he may touch: its gid within the list, and its key. */
static char *choose_gid(struct run *run, struct fault *fault, char *gids)
{
    char *rest = NULL;
    for (char *gid = strtok_r(gids, ",", &rest); gid != NULL; gid = strtok_r(NULL, ",", &rest)) {
        fault->key[0] = '\0';
        find_key(run, gid, fault->key, sizeof fault->key);
        if (may_be_touched(fault->key)) {
            return gid;
        }
    }
    return NULL;
}

static bool lay_hand(struct run *run, struct fault *fault, const char *verb,
                     struct error *ret_error)
{
    char *gids = NULL;
    char sql[320];
    if (!stack_sql(run->world.stack, fault->database,
                   "SELECT string_agg(gid, ',' ORDER BY prepared) FROM pg_prepared_xacts"
                   " WHERE starts_with(gid, 'assent:')",
                   &gids, ret_error)) {
        return false;
    }
    const char *gid = gids == NULL ? NULL : choose_gid(run, fault, gids);
    if (gid != NULL) {
        (void)snprintf(sql, sizeof sql, "%s PREPARED '%s'", verb, gid);
        (void)snprintf(fault->detail, sizeof fault->detail, "%.200s", sql);
        fault->heuristic = true;
    }
    bool succeeded = gid != NULL
                         ? stack_sql(run->world.stack, fault->database, sql, NULL, ret_error)
                         : error_set(ret_error, ERROR_NOT_FOUND, "nothing to lay a hand on");
    if (succeeded) {
        char id_text[192]; /* between the first two colons, as find_key has it */
        const char *id = strchr(gid, ':') + 1;
        (void)snprintf(id_text, sizeof id_text, "%.*s", (int)strcspn(id, ":"), id);
        (void)json_object_set_new(run->touched, id_text, json_string(fault->key));
    }
    free(gids);
    return succeeded;
}

/* Something is prepared for milliseconds only. So a message is held that would have finished it. */
static bool catch_and_lay_hand(struct run *run, struct fault *fault, const struct proxy_rule *rule,
                               const char *verb, struct error *ret_error)
{
    uint64_t id = 0;
    if (!proxy_add_rule(run->world.proxy, rule, &id, ret_error)) {
        return false;
    }
    bool succeeded = proxy_wait_rule(run->world.proxy, id, clock_monotonic_ms() + CATCH_MS)
                         ? lay_hand(run, fault, verb, ret_error)
                         : error_set(ret_error, ERROR_NOT_FOUND, "no transaction came by");
    (void)proxy_remove_rule(run->world.proxy, id, NULL);
    return succeeded;
}

/* Mostly against a decision to commit. */
bool fault_human_rollback_begin(struct run *run, struct fault *fault, struct random *random,
                                struct error *ret_error)
{
    (void)random;
    (void)cluster_of(run, fault, "");
    const struct proxy_rule rule = {.route = run->world.database_route[fault->database],
                                    .direction = PROXY_TO_TARGET,
                                    .text = "sql COMMIT PREPARED",
                                    .action = PROXY_HOLD,
                                    .hold_ms = HOLD_MS};
    return catch_and_lay_hand(run, fault, &rule, "ROLLBACK", ret_error);
}

/* Before the decision, which may be either. */
bool fault_human_commit_begin(struct run *run, struct fault *fault, struct random *random,
                              struct error *ret_error)
{
    (void)cluster_of(run, fault, "");
    const struct proxy_rule rule = {.route = run->world.coordinator_route,
                                    .direction = PROXY_TO_TARGET,
                                    .text = "msg VOTE",
                                    .peer = run->world.names[fault->database],
                                    .action = PROXY_HOLD,
                                    .hold_ms = HOLD_MS + random_below(random, 3000)};
    return catch_and_lay_hand(run, fault, &rule, "COMMIT", ret_error);
}
