/* queues.c - `assent queues`, `requeue`, `drop`: accepted requests that wait, and what a person may do with dead ones. */
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/http_call.h"
#include "client/cli/look.h"

static const struct argp_child children[] = {{&options_argp, 0, NULL, 0}, {0}};

/* ---- queues ---- */

static error_t parse_nothing(int key, char *argument, struct argp_state *state)
{
    if (key == ARGP_KEY_INIT) {
        state->child_inputs[0] = state->input;
        return 0;
    }
    if (key == ARGP_KEY_ARG) {
        argp_error(state, "unexpected argument \"%s\"", argument);
    }
    return ARGP_ERR_UNKNOWN;
}

/* What the head waits for, in words. */
static char *head_remark(struct json head)
{
    char *waiting_for = json_get_text(head, "waiting_for");
    char *next_ms = json_get_text(head, "next_attempt_ms");
    char *remark = waiting_for[0] != 0 ? text_format("waits for %s", waiting_for)
                   : next_ms[0] != 0   ? text_format("again in %s ms", next_ms)
                                       : text_format("%s", "");
    free(waiting_for);
    free(next_ms);
    return remark;
}

static void add_queue(struct table *table, const char *name, struct json queue)
{
    const struct json head = json_get(queue, "head");
    char *length = json_get_text(queue, "length");
    char *dead = json_get_text(queue, "dead");
    char *state = json_get_text(head, "state");
    char *attempts = json_get_text(head, "attempts");
    char *id = json_get_text(head, "id");
    char *remark = head_remark(head);
    table_add(table, (const char *const[]){name, length, dead, state, attempts, id, remark});
    free(length);
    free(dead);
    free(state);
    free(attempts);
    free(id);
    free(remark);
}

static void print_queues(struct json body)
{
    static const char *const heads[] = {"QUEUE", "LENGTH", "DEAD", "HEAD", "ATTEMPTS", "ID", ""};
    struct table *table = table_new(7, heads);
    const struct json queues = json_get(body, "queues");
    struct json one = {0};
    while (json_next(queues, &one)) {
        char *name = json_get_text(one, "name");
        add_queue(table, name, one);
        free(name);
    }
    add_queue(table, "(none)", json_get(body, "unqueued"));
    table_print(table);
}

int queues_main(struct options *common, int argc, char **argv)
{
    static const struct argp argp = {
        NULL,     parse_nothing,
        "",       "Shows the queues of accepted requests, each with the request that is next.",
        children, NULL,
        NULL};
    struct reply reply = {0};
    argp_parse(&argp, argc, argv, 0, NULL, common);
    const int code = http_get_or_fail(common, "/v1/queues", &reply);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    if (common->json) {
        print_body(&reply);
    } else {
        print_queues(reply.json);
    }
    reply_done(&reply);
    return CLI_EXIT_DONE;
}

/* ---- requeue, drop ---- */

struct act {
    struct options *options;
    const char *id;
    const char *comment; /* drop; NULL: none */
};

static error_t parse_act(int key, char *argument, struct argp_state *state)
{
    struct act *act = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = act->options;
        return 0;
    case 'c':
        act->comment = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (act->id != NULL) {
            argp_error(state, "one ID only");
        }
        act->id = argument;
        return 0;
    case ARGP_KEY_END:
        if (act->id == NULL) {
            argp_error(state, "which ID?");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int send_act(const struct act *act, const char *pattern, const char *body)
{
    struct reply reply = {0};
    struct error error = {0};
    char *path = look_path(pattern, act->id);
    int code = CLI_EXIT_DONE;
    const enum call_result result = http_call(act->options, path, body, &reply, &error);
    free(path);
    if (result != CALL_ANSWERED) {
        return fail_with(&error);
    }
    if (reply.status != 200) {
        code = print_problem(act->options, &reply);
    } else if (act->options->json) {
        print_body(&reply);
    } else {
        look_print_transaction(reply.json);
    }
    reply_done(&reply);
    return code;
}

int requeue_main(struct options *common, int argc, char **argv)
{
    static const struct argp argp = {
        NULL,     parse_act,
        "ID",     "Puts a dead request back into its queue, at the tail and as it is.",
        children, NULL,
        NULL};
    struct act act = {.options = common};
    argp_parse(&argp, argc, argv, 0, NULL, &act);
    return send_act(&act, "/v1/transactions/*/requeue", "{}");
}

int drop_main(struct options *common, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"comment", 'c', "TEXT", 0, "Why; kept in the journal", 0},
        {0},
    };
    static const struct argp argp = {
        options,
        parse_act,
        "ID",
        "Gives up an accepted request that is dead, or waits: it ends as aborted, for good.",
        children,
        NULL,
        NULL};
    struct act act = {.options = common};
    argp_parse(&argp, argc, argv, 0, NULL, &act);
    char *comment = act.comment != NULL ? json_quote(act.comment) : NULL;
    char *body = comment != NULL ? text_format("{\"comment\":%s}", comment) : text_format("{}");
    const int code = send_act(&act, "/v1/transactions/*/drop", body);
    free(comment);
    free(body);
    return code;
}
