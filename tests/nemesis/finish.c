/*
 * finish.c - the end of a run: everything heals, nobody submits any more; then what is left, what Assent says, and
 * what the databases hold goes into the history. Main thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "run.h"
#include "tests/lib/process.h"

#define VERIFY_MS 120000
#define PAGE_PATH "/v1/transactions?limit=1000&state="

/* --- what Assent lists ------------------------------------------------------------------------ */

/* Calls take(user, transaction) for each one of this state. */
static bool each_transaction(struct run *run, const char *state,
                             void (*take)(void *user, const json_t *transaction), void *user,
                             struct error *ret_error)
{
    char path[512];
    (void)snprintf(path, sizeof path, PAGE_PATH "%s", state);
    for (;;) {
        struct http_reply reply;
        if (!stack_http(run->world.stack, path, NULL, NULL, &reply, ret_error)) {
            return false;
        }
        json_t *body = reply.status == 200 ? json_loads(reply.body, 0, NULL) : NULL;
        http_reply_done(&reply);
        if (body == NULL) {
            return error_set(ret_error, ERROR_UNAVAILABLE, "no list of %s transactions", state);
        }
        size_t i;
        const json_t *transaction;
        json_array_foreach(json_object_get(body, "transactions"), i, transaction)
        {
            take(user, transaction);
        }
        const char *next = json_string_value(json_object_get(body, "next"));
        if (next != NULL) {
            (void)snprintf(path, sizeof path, PAGE_PATH "%s&after=%.200s", state, next);
        }
        json_decref(body);
        if (next == NULL) {
            return true;
        }
    }
}

static void take_id(void *user, const json_t *transaction)
{
    (void)json_array_append(user, json_object_get(transaction, "id"));
}

/* --- heuristic outcomes ----------------------------------------------------------------------- */

/* One branch that went its own way, and that a person now acknowledges. */
static void forget_branch(struct run *run, const char *id, const char *participant)
{
    char path[256], body[256];
    struct http_reply reply;
    (void)snprintf(path, sizeof path, "/v1/transactions/%.200s/resolve", id);
    (void)snprintf(
        body, sizeof body,
        "{\"action\":\"forget\",\"participant\":\"%.60s\",\"comment\":\"seen at the end of"
        " the run\"}",
        participant);
    if (stack_http(run->world.stack, path, NULL, body, &reply, NULL)) {
        http_reply_done(&reply); /* a refusal shows in what is unfinished afterwards */
    }
}

static void take_heuristic(void *user, const json_t *transaction)
{
    struct run *run = user;
    const char *id = json_string_value(json_object_get(transaction, "id"));
    const char *key = json_string_value(json_object_get(transaction, "key"));
    size_t i;
    const json_t *branch;
    json_array_foreach(json_object_get(transaction, "branches"), i, branch)
    {
        const char *state = json_string_value(json_object_get(branch, "state"));
        const char *db = json_string_value(json_object_get(branch, "participant"));
        const char *outcome = state == NULL                              ? NULL
                              : strcmp(state, "heuristic-commit") == 0   ? "commit"
                              : strcmp(state, "heuristic-rollback") == 0 ? "rollback"
                              : strcmp(state, "hazard") == 0             ? "hazard"
                                                                         : NULL;
        if (outcome == NULL || id == NULL || db == NULL) {
            continue;
        }
        json_t *line = json_pack("{s:s,s:I,s:s,s:s,s:s}", "type", "heuristic", "t",
                                 (json_int_t)history_now_us(run->history), "txid", id, "db", db,
                                 "outcome", outcome);
        if (key == NULL) {
            key = json_string_value(json_object_get(run->touched, id));
        }
        if (key != NULL) {
            (void)json_object_set_new(line, "key", json_string(key));
        }
        history_write(run->history, line);
        forget_branch(run, id, db);
    }
}

/* --- state, journal --------------------------------------------------------------------------- */

static bool write_state(struct run *run, struct error *ret_error)
{
    static const char *const unfinished_states[] = {"queued", "active", "preparing", "committing",
                                                    "aborting"};
    json_t *unfinished = json_array();
    json_t *in_doubt = json_array();
    bool succeeded = each_transaction(run, "in-doubt", take_id, in_doubt, ret_error);
    for (size_t i = 0; i < sizeof unfinished_states / sizeof unfinished_states[0] && succeeded;
         i++) {
        succeeded = each_transaction(run, unfinished_states[i], take_id, unfinished, ret_error);
    }
    history_write(run->history, json_pack("{s:s,s:I,s:o,s:o}", "type", "state", "t",
                                          (json_int_t)history_now_us(run->history), "unfinished",
                                          unfinished, "in_doubt", in_doubt));
    return succeeded;
}

/* As an operator would: `assent journal verify FILE`. */
static bool verify_journal(struct run *run, struct error *ret_error)
{
    char program[512], output[512];
    int code = 0;
    (void)snprintf(program, sizeof program, "%s/assent", getenv("ASSENT_BIN_DIR"));
    (void)snprintf(output, sizeof output, "%s/journal-verify.txt", run->options.folder);
    const char *const argv[] = {program, "journal", "verify", stack_journal_path(run->world.stack),
                                NULL};
    const struct process_options options = {
        .argv = argv, .stdout_path = output, .stderr_path = output};
    if (!process_run(&options, clock_monotonic_ms() + VERIFY_MS, &code, ret_error)) {
        return false;
    }
    return code == 0 || error_set(ret_error, ERROR_DAMAGED,
                                  "assent journal verify ended with %d: see %s", code, output);
}

/* The negative control: an effect vanishes that was committed. A checker that does not see it is none. */
static bool spoil_one_row(struct run *run, struct error *ret_error)
{
    return stack_sql(run->world.stack, 0,
                     "DELETE FROM effects WHERE ctid = (SELECT min(ctid) FROM effects)", NULL,
                     ret_error);
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Whatever the last episode left behind. */
static bool mend(struct run *run, struct error *ret_error)
{
    struct world *world = &run->world;
    for (size_t i = 0; i < world->database_count; i++) {
        proxy_set_weather(world->proxy, world->database_route[i], PROXY_BOTH,
                          (struct proxy_weather){0});
        proxy_set_weather(world->proxy, world->agent_route[i], PROXY_BOTH,
                          (struct proxy_weather){0});
        if (pgcluster_pid(world->clusters[i]) == 0 &&
            !pgcluster_start(world->clusters[i], ret_error)) {
            return false;
        }
    }
    proxy_set_weather(world->proxy, world->coordinator_route, PROXY_BOTH,
                      (struct proxy_weather){0});
    proxy_set_weather(world->proxy, world->client_route, PROXY_BOTH, (struct proxy_weather){0});
    proxy_set_weather(world->proxy, world->http_route, PROXY_BOTH, (struct proxy_weather){0});
    memset(run->held_down, 0, sizeof run->held_down);
    nemesis_supervise(run);
    return true;
}

static bool is_quiet(void *user)
{
    struct run *run = user;
    double doubt = 1;
    struct http_reply reply;
    nemesis_supervise(run);
    if (stack_prepared_total(run->world.stack) != 0 ||
        !stack_http(run->world.stack, "/readyz", NULL, NULL, &reply, NULL)) {
        return false;
    }
    bool ready = reply.status == 200;
    http_reply_done(&reply);
    return ready && stack_metric(run->world.stack, "assent_branches_in_doubt", &doubt, NULL) &&
           doubt == 0;
}

bool finish_run(struct run *run, struct error *ret_error)
{
    if (!mend(run, ret_error)) {
        return false;
    }
    uint64_t begin_ms = clock_monotonic_ms();
    bool quiet = stack_poll(NULL, begin_ms + RUN_HEAL_MS, is_quiet, run);
    if (!quiet) {
        run_say(run, "not quiet %d ms after the last fault; the dumps tell what is left",
                RUN_HEAL_MS);
    }
    /* Each of these is worth having without the others. The last error is the one that is told. */
    bool succeeded = each_transaction(run, "heuristic", take_heuristic, run, ret_error);
    succeeded = open_keys_ask(run, 0, ret_error) && succeeded;
    succeeded = (!run->options.corrupt || spoil_one_row(run, ret_error)) && succeeded;
    succeeded = shop_dump(run, "end", ret_error) && succeeded;
    succeeded = write_state(run, ret_error) && succeeded;
    return verify_journal(run, ret_error) && succeeded;
}
