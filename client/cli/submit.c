/* submit.c - `assent submit FILE|-`: sends a transaction as it is written and shows its answer. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/http_call.h"
#include "common/alloc.h"

#define FILE_MAX_BYTES (64u << 20)

struct submit {
    struct options *options;
    const char *path;
    const char *key;
    const char *timeout; /* checked to be a number */
    const char *ack;
    const char *queue;
};

static const struct argp_option options[] = {
    {"key", 'k', "KEY", 0, "Idempotency key: the same key never commits twice", 0},
    {"timeout", 't', "MS", 0, "Deadline of the decision in milliseconds", 0},
    {"ack", 'A', "completed|decided", 0, "When to answer", 0},
    {"async", 'y', NULL, 0, "Only have it accepted: it runs when its databases can be reached", 0},
    {"queue", 'q', "NAME", 0, "As --async, in order with the others of this queue", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct submit *submit = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = submit->options;
        return 0;
    case 'k':
        submit->key = argument;
        return 0;
    case 't':
        if (argument[0] == 0 || strspn(argument, "0123456789") != strlen(argument)) {
            argp_error(state, "--timeout takes milliseconds, not \"%s\"", argument);
        }
        submit->timeout = argument;
        return 0;
    case 'A':
        if (strcmp(argument, "completed") != 0 && strcmp(argument, "decided") != 0) {
            argp_error(state, "--ack takes completed or decided, not \"%s\"", argument);
        }
        submit->ack = argument;
        return 0;
    case 'y':
        submit->options->prefer = "respond-async";
        return 0;
    case 'q':
        submit->options->prefer = "respond-async";
        submit->queue = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (submit->path != NULL) {
            argp_error(state, "one FILE only");
        }
        submit->path = argument;
        return 0;
    case ARGP_KEY_END:
        if (submit->path == NULL) {
            argp_error(state, "which FILE? (- is standard input)");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool read_stream(FILE *stream, const char *name, char **ret_text, size_t *ret_size_bytes,
                        struct error *ret_error)
{
    size_t size_bytes = 0;
    size_t capacity_bytes = 65536;
    char *text = alloc_zeroed(capacity_bytes + 1);
    for (;;) {
        size_bytes += fread(text + size_bytes, 1, capacity_bytes - size_bytes, stream);
        if (ferror(stream)) {
            free(text);
            return error_set_errno(ret_error, errno == EISDIR ? ERROR_INVALID : ERROR_IO, errno,
                                   "%s", name);
        }
        if (feof(stream)) {
            break;
        }
        if (size_bytes == FILE_MAX_BYTES) {
            free(text);
            return error_set(ret_error, ERROR_INVALID, "%s: larger than 64 MiB", name);
        }
        capacity_bytes *= 2;
        text = alloc_resize(text, capacity_bytes + 1, 1);
    }
    text[size_bytes] = 0;
    *ret_text = text;
    *ret_size_bytes = size_bytes;
    return true;
}

static bool read_file(const char *path, char **ret_text, size_t *ret_size_bytes,
                      struct error *ret_error)
{
    const bool is_stdin = strcmp(path, "-") == 0;
    FILE *stream = is_stdin ? stdin : fopen(path, "re");
    if (stream == NULL) {
        return error_set_errno(ret_error, errno == EACCES ? ERROR_DENIED : ERROR_INVALID, errno,
                               "%s", path);
    }
    const bool ok = read_stream(stream, is_stdin ? "standard input" : path, ret_text,
                                ret_size_bytes, ret_error);
    if (!is_stdin) {
        fclose(stream);
    }
    return ok;
}

/* Takes text, returns owned. */
static char *override_member(char *text, const char *name, const char *value)
{
    if (value == NULL) {
        return text;
    }
    char *changed = json_set(json_root(text, strlen(text)), name, value);
    free(text);
    return changed;
}

/* The body to send: the file, with what the command line overrides. */
static bool submit_body(const struct submit *submit, char **ret_body, struct error *ret_error)
{
    char *text = NULL;
    size_t size_bytes = 0;
    if (!read_file(submit->path, &text, &size_bytes, ret_error)) {
        return false;
    }
    bool ok = json_check(text, size_bytes, ret_error);
    if (ok && (strlen(text) != size_bytes || *json_root(text, size_bytes).at != '{')) {
        ok = error_set(ret_error, ERROR_INVALID, "not a JSON object");
    }
    if (!ok) {
        free(text);
        return error_wrap(ret_error, "%s", submit->path);
    }
    char *key = submit->key != NULL ? json_quote(submit->key) : NULL;
    char *ack = submit->ack != NULL ? json_quote(submit->ack) : NULL;
    text = override_member(text, "key", key);
    text = override_member(text, "timeout_ms", submit->timeout);
    char *queue = submit->queue != NULL ? json_quote(submit->queue) : NULL;
    text = override_member(text, "ack", ack);
    text = override_member(text, "queue", queue);
    free(queue);
    free(key);
    free(ack);
    *ret_body = text;
    return true;
}

static void print_result(struct json result)
{
    const struct json columns = json_get(result, "columns");
    const size_t count = json_count(columns);
    char *command = json_get_text(result, "command");
    printf("    %s\n", command);
    free(command);
    if (count == 0) {
        return;
    }
    char **cells = alloc_array(count, sizeof *cells);
    struct json item = {0};
    for (size_t i = 0; i < count && json_next(columns, &item); i++) {
        cells[i] = json_get_text(item, "name");
    }
    struct table *table = table_new(count, (const char *const *)cells);
    struct json row = {0};
    const struct json rows = json_get(result, "rows");
    while (json_next(rows, &row)) {
        struct json value = {0};
        for (size_t i = 0; i < count; i++) {
            free(cells[i]);
            cells[i] = json_next(row, &value) ? json_text(value) : alloc_string("");
        }
        table_add(table, (const char *const *)cells);
    }
    for (size_t i = 0; i < count; i++) {
        free(cells[i]);
    }
    free(cells);
    table_indent(table, 4); /* as the command above it */
    table_print(table);
}

/* Of a heuristic outcome each branch has a state, which is all that tells where it stands. */
static void print_branch_head(struct json branch)
{
    char *participant = json_get_text(branch, "participant");
    char *state = json_get_text(branch, "state");
    printf("  %s%s%s\n", paint("bold", participant), state[0] != 0 ? "  " : "", paint_state(state));
    free(participant);
    free(state);
}

static void print_pending(struct json answer)
{
    struct json pending = {0};
    const struct json all = json_get(answer, "pending");
    fputs("decided; still being finished at:", stdout);
    while (json_next(all, &pending)) {
        char *name = json_text(pending);
        printf(" %s", name);
        free(name);
    }
    putchar('\n');
}

static void print_committed(struct json answer)
{
    char *id = json_get_text(answer, "id");
    char *state = json_get_text(answer, "state");
    printf("%s  %s\n", paint_state(state), id);
    free(state);
    struct json branch = {0};
    const struct json branches = json_get(answer, "branches");
    while (json_next(branches, &branch)) {
        print_branch_head(branch);
        struct json result = {0};
        const struct json results = json_get(branch, "results");
        while (json_next(results, &result)) {
            print_result(result);
        }
    }
    if (json_count(json_get(answer, "pending")) > 0) {
        print_pending(answer);
    }
    if (json_get_is(answer, "state", "heuristic")) {
        printf(
            "not committed everywhere: somebody finished a branch by hand. Once it is put right:\n"
            "assent resolve %s forget --participant NAME --comment TEXT\n",
            id);
    }
    free(id);
}

static int print_answer(const struct submit *submit, const struct reply *reply)
{
    if (reply->status != 200 && reply->status != 202) {
        return print_problem(submit->options, reply);
    }
    if (submit->options->json) {
        print_body(reply);
    } else {
        print_committed(reply->json);
    }
    if (reply->status == 202) { /* accepted; whoever asked for no more has what he wanted */
        return submit->options->prefer != NULL ? CLI_EXIT_DONE : CLI_EXIT_UNKNOWN;
    }
    return json_get_is(reply->json, "state", "committed") ? CLI_EXIT_DONE : CLI_EXIT_FAILED;
}

int submit_main(struct options *common, int argc, char **argv)
{
    static const struct argp_child children[] = {{&options_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        options,
        parse_option,
        "FILE|-",
        "Runs the transaction that FILE describes (the JSON of POST /v1/transactions). "
        "Numbers are sent as they are written.",
        children,
        NULL,
        NULL};
    struct submit submit = {.options = common};
    struct error error = {0};
    char *body = NULL;
    argp_parse(&argp, argc, argv, 0, NULL, &submit);
    if (!submit_body(&submit, &body, &error)) {
        return fail_with(&error);
    }
    struct reply reply = {0};
    int code = EX_UNAVAILABLE;
    switch (http_call(common, "/v1/transactions", body, &reply, &error)) {
    case CALL_ANSWERED:
        code = print_answer(&submit, &reply);
        reply_done(&reply);
        break;
    case CALL_NOT_SENT:
        code = fail_with(&error);
        break;
    case CALL_LOST:
        error_wrap(&error, "the outcome is not known");
        fail_with(&error);
        code = CLI_EXIT_UNKNOWN;
        break;
    }
    free(body);
    return code;
}
