/* look.c - `assent status`, `list`, `history`, `participants`: what became of transactions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/http_call.h"
#include "client/cli/look.h"
#include "common/alloc.h"

static const struct argp_child children[] = {{&options_argp, 0, NULL, 0}, {0}};

char *look_path(const char *pattern, const char *argument)
{
    char *escaped = url_escape(argument);
    const size_t size_bytes = strlen(pattern) + strlen(escaped) + 1;
    char *path = alloc_zeroed(size_bytes);
    const size_t hole = strcspn(pattern, "*");
    snprintf(path, size_bytes, "%.*s%s%s", (int)hole, pattern, escaped, pattern + hole + 1);
    free(escaped);
    return path;
}

static int state_exit_code(struct json transaction)
{
    static const char *const failed[] = {"aborted", "aborting", "dead", "heuristic"};
    if (json_get_is(transaction, "state", "committed") ||
        json_get_is(transaction, "state", "committing")) {
        return CLI_EXIT_DONE;
    }
    for (size_t i = 0; i < sizeof failed / sizeof *failed; i++) {
        if (json_get_is(transaction, "state", failed[i])) {
            return CLI_EXIT_FAILED;
        }
    }
    return CLI_EXIT_UNKNOWN;
}

static void print_field(struct json object, const char *name, const char *label)
{
    char *text = json_get_text(object, name);
    if (text[0] != 0) {
        printf("%-12s %s\n", label, text);
    }
    free(text);
}

/* One row of a table: the members of an object, each cell as it stands; "state" in its colour. */
static void add_members(struct table *table, struct json object, const char *const *members,
                        size_t count)
{
    char *texts[8] = {NULL};
    const char *cells[8] = {NULL};
    for (size_t i = 0; i < count && i < 8; i++) {
        texts[i] = json_get_text(object, members[i]);
        cells[i] = strcmp(members[i], "state") == 0 || strcmp(members[i], "health") == 0
                       ? paint_state(texts[i])
                       : texts[i];
    }
    table_add(table, cells);
    for (size_t i = 0; i < count && i < 8; i++) {
        free(texts[i]);
    }
}

static void print_branches(struct json transaction)
{
    static const char *const heads[] = {"BRANCH", "STATE", "GID", "DETAIL"};
    static const char *const members[] = {"participant", "state", "gid", "detail"};
    struct table *table = table_new(4, heads);
    const struct json branches = json_get(transaction, "branches");
    struct json branch = {0};
    while (json_next(branches, &branch)) {
        add_members(table, branch, members, 4);
    }
    table_print(table);
}

void look_print_transaction(struct json transaction)
{
    char *state = json_get_text(transaction, "state");
    print_field(transaction, "id", "transaction");
    printf("%-12s %s%s%s\n", "state", paint_state(state),
           json_is_true(json_get(transaction, "in_doubt")) ? ", in doubt" : "",
           json_is_true(json_get(transaction, "completed")) ? ", completed" : "");
    free(state);
    print_field(transaction, "key", "key");
    print_field(transaction, "created", "created");
    print_field(transaction, "decided", "decided");
    print_field(transaction, "ended", "ended");
    print_field(transaction, "reason", "reason");
    print_field(transaction, "participant", "participant");
    print_field(transaction, "sqlstate", "sqlstate");
    print_field(transaction, "detail", "detail");
    const struct json request = json_get(transaction, "request");
    print_field(request, "queue", "queue");
    print_field(request, "attempts", "attempts");
    print_field(request, "next_attempt_ms", "again in ms");
    print_field(request, "waiting_for", "waits for");
    print_field(request, "run", "last run");
    print_field(transaction, "run_of", "run of");
    print_branches(transaction);
}

/* ---- status */

struct status {
    struct options *options;
    const char *id;
    const char *key;
};

static error_t parse_status(int key, char *argument, struct argp_state *state)
{
    struct status *status = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = status->options;
        return 0;
    case 'k':
        status->key = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (status->id != NULL) {
            argp_error(state, "one ID only");
        }
        status->id = argument;
        return 0;
    case ARGP_KEY_END:
        if ((status->id == NULL) == (status->key == NULL)) {
            argp_error(state, "either an ID or --key KEY");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int print_status(const struct status *status, struct json transaction)
{
    if (transaction.at == NULL) {
        fprintf(stderr, "assent: no transaction with the key \"%s\" is known\n", status->key);
        return CLI_EXIT_FAILED;
    }
    if (status->options->json) {
        printf("%.*s\n", (int)(transaction.end - transaction.at), transaction.at);
    } else {
        look_print_transaction(transaction);
    }
    return state_exit_code(transaction);
}

int status_main(struct options *common, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"key", 'k', "KEY", 0, "The transaction with this idempotency key", 0},
        {0},
    };
    static const struct argp argp = {
        options,  parse_status, "[ID]", "Tells what became of one transaction.",
        children, NULL,         NULL};
    struct status status = {.options = common};
    argp_parse(&argp, argc, argv, 0, NULL, &status);
    char *path = status.id != NULL ? look_path("/v1/transactions/*", status.id)
                                   : look_path("/v1/transactions?key=*&limit=1", status.key);
    struct reply reply = {0};
    int code = http_get_or_fail(common, path, &reply);
    free(path);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    struct json transaction = reply.json;
    if (status.key != NULL) {
        transaction = (struct json){0};
        json_next(json_get(reply.json, "transactions"), &transaction);
    }
    code = print_status(&status, transaction);
    reply_done(&reply);
    return code;
}

/* ---- list */

struct list {
    struct options *options;
    const char *state;
    const char *participant;
    const char *after;
    const char *limit;
};

static error_t parse_list(int key, char *argument, struct argp_state *state)
{
    struct list *list = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = list->options;
        return 0;
    case 'd':
    case 's':
        if (list->state != NULL) {
            argp_error(state, "either --in-doubt or one --state");
        }
        list->state = key == 'd' ? "in-doubt" : argument;
        return 0;
    case 'p':
        list->participant = argument;
        return 0;
    case 'f':
        list->after = argument;
        return 0;
    case 'n':
        if (argument[0] == 0 || strspn(argument, "0123456789") != strlen(argument)) {
            argp_error(state, "--limit takes a number, not \"%s\"", argument);
        }
        list->limit = argument;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument \"%s\"", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static char *add_query(char *path, const char *name, const char *value)
{
    if (value == NULL) {
        return path;
    }
    char *escaped = url_escape(value);
    char *longer =
        text_format("%s%c%s=%s", path, strchr(path, '?') == NULL ? '?' : '&', name, escaped);
    free(escaped);
    free(path);
    return longer;
}

/* "order payment" */
static char *branch_names(struct json transaction)
{
    char *names = alloc_string("");
    const struct json branches = json_get(transaction, "branches");
    struct json branch = {0};
    while (json_next(branches, &branch)) {
        char *name = json_get_text(branch, "participant");
        char *longer = text_format("%s%s%s", names, names[0] != 0 ? " " : "", name);
        free(names);
        free(name);
        names = longer;
    }
    return names;
}

static void print_list(struct json body)
{
    static const char *const heads[] = {"CREATED", "STATE", "PARTICIPANTS", "KEY", "REASON", "ID"};
    static const char *const members[] = {"created", "state", NULL, "key", "reason", "id"};
    struct table *table = table_new(6, heads);
    const struct json transactions = json_get(body, "transactions");
    struct json transaction = {0};
    while (json_next(transactions, &transaction)) {
        char *texts[6];
        const char *cells[6];
        for (size_t i = 0; i < 6; i++) {
            texts[i] = members[i] != NULL ? json_get_text(transaction, members[i])
                                          : branch_names(transaction);
            cells[i] = i == 1 ? paint_state(texts[i]) : texts[i];
        }
        table_add(table, cells);
        for (size_t i = 0; i < 6; i++) {
            free(texts[i]);
        }
    }
    table_print(table);
    char *next = json_get_text(body, "next");
    if (next[0] != 0) {
        printf("more: --after %s\n", next);
    }
    free(next);
}

/* GET, then either the JSON as it came or a table. */
static int get_and_print(struct options *common, const char *path, void (*print)(struct json body))
{
    struct reply reply = {0};
    const int code = http_get_or_fail(common, path, &reply);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    if (common->json) {
        print_body(&reply);
    } else {
        print(reply.json);
    }
    reply_done(&reply);
    return CLI_EXIT_DONE;
}

int list_main(struct options *common, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"in-doubt", 'd', NULL, 0, "Prepared somewhere and not yet finished there", 0},
        {"state", 's', "STATE", 0, "In this state", 0},
        {"participant", 'p', "NAME", 0, "With a branch there", 0},
        {"limit", 'n', "COUNT", 0, "At most so many (default 100)", 0},
        {"after", 'f', "ID", 0, "Behind this one: the next page", 0},
        {0},
    };
    static const struct argp argp = {options,  parse_list, "",  "Lists transactions, newest first.",
                                     children, NULL,       NULL};
    struct list list = {.options = common};
    argp_parse(&argp, argc, argv, 0, NULL, &list);
    char *path = alloc_string("/v1/transactions");
    path = add_query(path, "state", list.state);
    path = add_query(path, "participant", list.participant);
    path = add_query(path, "limit", list.limit);
    path = add_query(path, "after", list.after);
    const int code = get_and_print(common, path, print_list);
    free(path);
    return code;
}

/* ---- history */

struct one_id {
    struct options *options;
    const char *id;
};

static error_t parse_one_id(int key, char *argument, struct argp_state *state)
{
    struct one_id *one = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = one->options;
        return 0;
    case ARGP_KEY_ARG:
        if (one->id != NULL) {
            argp_error(state, "one ID only");
        }
        one->id = argument;
        return 0;
    case ARGP_KEY_END:
        if (one->id == NULL) {
            argp_error(state, "which ID?");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_history(struct json body)
{
    static const char *const heads[] = {"TIME", "AFTER", "EVENT", "PARTICIPANT", "DETAIL"};
    struct table *table = table_new(5, heads);
    const struct json events = json_get(body, "events");
    struct json event = {0};
    while (json_next(events, &event)) {
        char *time = json_get_text(event, "time");
        char *since = json_get_text(event, "since_start_us");
        char *kind = json_get_text(event, "kind");
        char *participant = json_get_text(event, "participant");
        char *detail = json_get_text(event, "detail");
        char after[32] = "";
        const long long since_us = strtoll(since, NULL, 10);
        if (since_us > 0) {
            snprintf(after, sizeof after, "%lld.%03lld ms", since_us / 1000, since_us % 1000);
        }
        table_add(table, (const char *const[]){time, after, kind, participant, detail});
        free(time);
        free(since);
        free(kind);
        free(participant);
        free(detail);
    }
    table_print(table);
}

int history_main(struct options *common, int argc, char **argv)
{
    static const struct argp argp = {
        NULL, parse_one_id, "ID", "Shows a transaction step by step.", children, NULL, NULL};
    struct one_id one = {.options = common};
    argp_parse(&argp, argc, argv, 0, NULL, &one);
    char *path = look_path("/v1/transactions/*/events", one.id);
    const int code = get_and_print(common, path, print_history);
    free(path);
    return code;
}

/* ---- participants */

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

static void print_participants(struct json body)
{
    static const char *const heads[] = {"NAME",     "READY",    "DATABASE", "ADDRESS",
                                        "PREPARED", "IN DOUBT", "WHY"};
    static const char *const members[] = {"name",     "ready",    "health", "address",
                                          "prepared", "in_doubt", "text"};
    struct table *table = table_new(7, heads);
    const struct json participants = json_get(body, "participants");
    struct json one = {0};
    while (json_next(participants, &one)) {
        add_members(table, one, members, 7);
    }
    table_print(table);
}

int participants_main(struct options *common, int argc, char **argv)
{
    static const struct argp argp = {
        NULL,     parse_nothing, "",  "Shows the databases and whether transactions may use them.",
        children, NULL,          NULL};
    argp_parse(&argp, argc, argv, 0, NULL, common);
    return get_and_print(common, "/v1/participants", print_participants);
}
