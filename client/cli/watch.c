/*
 * watch.c - `assent watch`: changes of transactions as they happen, a line each, from GET /v1/stream.
 *
 * Server-sent events come over a connection that does not end; when it does, it is made again and goes on behind the last event
 * that was printed (Last-Event-ID). What the server cannot tell any more it says ("reset"), and so does this.
 */
#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/http_call.h"
#include "common/alloc.h"
#include "common/version.h"

#define LINE_MAX_BYTES     (256u << 20)
#define PROBLEM_MAX_BYTES  (1u << 20)
#define CONNECT_TIMEOUT_MS 5000L
#define PAUSE_FIRST_MS     1000 /* before it connects again; doubles up to */
#define PAUSE_MAX_MS       15000
#define PROBE_AFTER_S      30L /* of silence: is the other side's host still there? */
#define ID_SIZE            64

static const struct argp_child children[] = {{&options_argp, 0, NULL, 0}, {0}};

struct watch {
    struct options *options;
    const char *state, *participant;
    unsigned long count_max; /* 0: any number */
    unsigned long count;     /* printed */
    char last_id[ID_SIZE];   /* of the last event, or of where the stream stands */
    CURL *curl;
    long status;        /* of this connection's answer */
    struct reply reply; /* a problem, where the status is not 200 */
    struct text_line {
        char *bytes;
        size_t size_bytes, capacity_bytes;
    } line;
    char kind[32], id[ID_SIZE];
    char *data; /* owned */
    bool is_connected, is_malformed;
};

static bool is_done(const struct watch *watch)
{
    return watch->count_max != 0 && watch->count >= watch->count_max;
}

/* ---- events */

static void print_participants(struct json transaction, char **ret_text)
{
    char *text = alloc_string("");
    const struct json branches = json_get(transaction, "branches");
    struct json branch = {0};
    while (json_next(branches, &branch)) {
        char *name = json_get_text(branch, "participant");
        char *longer = text_format("%s%s%s", text, text[0] == 0 ? "" : ",", name);
        free(name);
        free(text);
        text = longer;
    }
    *ret_text = text;
}

/* When the state was entered: the latest time that the transaction tells. */
static char *time_of(struct json transaction)
{
    static const char *const members[] = {"ended", "decided", "created"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        char *time = json_get_text(transaction, members[i]);
        if (time[0] != 0) {
            return time;
        }
        free(time);
    }
    return alloc_string("-");
}

static void print_change(struct json transaction)
{
    char *time = time_of(transaction);
    char *state = json_get_text(transaction, "state");
    char *id = json_get_text(transaction, "id");
    char *reason = json_get_text(transaction, "reason");
    char *key = json_get_text(transaction, "key");
    char *participants = NULL;
    print_participants(transaction, &participants);
    const int padding = (int)strlen("committing") - (int)strlen(state);
    printf("%s  %s%*s  %s  %s%s%s%s%s\n", time, paint_state(state), padding > 0 ? padding : 0, "",
           id, participants, key[0] != 0 ? "  key=" : "", key, reason[0] != 0 ? "  " : "", reason);
    free(time);
    free(state);
    free(id);
    free(reason);
    free(key);
    free(participants);
}

static void event_print(struct watch *watch)
{
    const size_t size_bytes = strlen(watch->data);
    if (!json_check(watch->data, size_bytes, NULL)) {
        watch->is_malformed = true;
        return;
    }
    const struct json data = json_root(watch->data, size_bytes);
    if (watch->options->json) {
        printf("{\"event\":\"%s\",\"id\":\"%s\",\"data\":%s}\n", watch->kind, watch->id,
               watch->data);
    } else if (strcmp(watch->kind, "reset") == 0) {
        char *reason = json_get_text(data, "reason");
        fprintf(stderr, "assent: changes may be missing here (%s): see `assent list`\n", reason);
        free(reason);
    } else {
        print_change(data);
    }
    fflush(stdout); /* somebody waits for this line */
    watch->count += strcmp(watch->kind, "reset") == 0 ? 0 : 1;
}

static bool word_is_plain(const char *text)
{
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_")] == 0;
}

/* An empty line: what came before it is an event, if it has data. */
static void event_end(struct watch *watch)
{
    if (watch->data != NULL && word_is_plain(watch->kind) && !is_done(watch)) {
        event_print(watch);
    }
    if (watch->id[0] != 0) {
        memcpy(watch->last_id, watch->id, sizeof watch->last_id);
    }
    free(watch->data);
    watch->data = NULL;
    watch->kind[0] = 0;
    watch->id[0] = 0;
}

static void line_take(struct watch *watch, const char *line)
{
    if (line[0] == 0) {
        event_end(watch);
    } else if (strncmp(line, "event: ", 7) == 0) {
        snprintf(watch->kind, sizeof watch->kind, "%s", line + 7);
    } else if (strncmp(line, "id: ", 4) == 0 && strlen(line + 4) < ID_SIZE &&
               word_is_plain(line + 4)) {
        snprintf(watch->id, sizeof watch->id, "%s", line + 4);
    } else if (strncmp(line, "data: ", 6) == 0) {
        free(watch->data);
        watch->data = alloc_string(line + 6);
    } /* "retry: ", comments, and what later versions may add */
}

static bool line_add(struct text_line *line, const char *bytes, size_t size_bytes)
{
    if (line->size_bytes + size_bytes >= LINE_MAX_BYTES) {
        return false;
    }
    if (line->size_bytes + size_bytes + 1 > line->capacity_bytes) {
        line->capacity_bytes = 2 * (line->size_bytes + size_bytes + 1);
        line->bytes = alloc_resize(line->bytes, line->capacity_bytes, 1);
    }
    memcpy(line->bytes + line->size_bytes, bytes, size_bytes);
    line->size_bytes += size_bytes;
    line->bytes[line->size_bytes] = 0;
    return true;
}

static bool stream_take(struct watch *watch, const char *bytes, size_t size_bytes)
{
    while (size_bytes > 0 && !is_done(watch) && !watch->is_malformed) {
        const char *end = memchr(bytes, '\n', size_bytes);
        const size_t part = end == NULL ? size_bytes : (size_t)(end - bytes);
        if (!line_add(&watch->line, bytes, part)) {
            watch->is_malformed = true;
            return false;
        }
        if (end == NULL) {
            return true;
        }
        watch->line.size_bytes = 0;
        line_take(watch, watch->line.bytes);
        bytes = end + 1;
        size_bytes -= part + 1;
    }
    return !is_done(watch) && !watch->is_malformed && !ferror(stdout);
}

static size_t receive(char *bytes, size_t size, size_t count, void *user)
{
    struct watch *watch = user;
    const size_t size_bytes = size * count;
    curl_easy_getinfo(watch->curl, CURLINFO_RESPONSE_CODE, &watch->status);
    if (watch->status == 200) {
        watch->is_connected = true;
        return stream_take(watch, bytes, size_bytes) ? size_bytes : 0;
    }
    struct reply *reply = &watch->reply;
    if (reply->body_bytes + size_bytes > PROBLEM_MAX_BYTES) {
        return 0;
    }
    reply->body = alloc_resize(reply->body, reply->body_bytes + size_bytes + 1, 1);
    memcpy(reply->body + reply->body_bytes, bytes, size_bytes);
    reply->body_bytes += size_bytes;
    reply->body[reply->body_bytes] = 0;
    return size_bytes;
}

/* ---- connections */

static char *watch_url(const struct watch *watch)
{
    char *state = url_escape(watch->state == NULL ? "" : watch->state);
    char *participant = url_escape(watch->participant == NULL ? "" : watch->participant);
    char *url = text_format("%s/v1/stream%s%s%s%s%s", watch->options->api,
                            state[0] != 0 || participant[0] != 0 ? "?" : "",
                            state[0] != 0 ? "state=" : "", state,
                            participant[0] == 0 ? ""
                            : state[0] != 0     ? "&participant="
                                                : "participant=",
                            participant);
    free(state);
    free(participant);
    return url;
}

/* One connection, to its end. */
static CURLcode watch_connect(struct watch *watch)
{
    char *url = watch_url(watch);
    char *last = text_format("Last-Event-ID: %s", watch->last_id);
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: text/event-stream");
    if (watch->last_id[0] != 0) {
        headers = curl_slist_append(headers, last);
    }
    reply_done(&watch->reply);
    watch->status = 0;
    watch->line.size_bytes = 0;
    watch->kind[0] = 0;
    watch->id[0] = 0;
    free(watch->data);
    watch->data = NULL;
    curl_easy_reset(watch->curl);
    curl_easy_setopt(watch->curl, CURLOPT_URL, url);
    curl_easy_setopt(watch->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(watch->curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(watch->curl, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
    curl_easy_setopt(watch->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(watch->curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(watch->curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(watch->curl, CURLOPT_TCP_KEEPIDLE, PROBE_AFTER_S);
    curl_easy_setopt(watch->curl, CURLOPT_USERAGENT, "assent/" ASSENT_VERSION);
    curl_easy_setopt(watch->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(watch->curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(watch->curl, CURLOPT_WRITEDATA, watch);
    const CURLcode code = curl_easy_perform(watch->curl);
    curl_slist_free_all(headers);
    free(last);
    free(url);
    return code;
}

static int watch_problem(struct watch *watch)
{
    struct reply *reply = &watch->reply;
    reply->status = watch->status;
    if (reply->body != NULL && json_check(reply->body, reply->body_bytes, NULL)) {
        reply->json = json_root(reply->body, reply->body_bytes);
    }
    return print_problem(watch->options, reply);
}

static int watch_unreachable(const struct watch *watch, CURLcode code)
{
    struct error error = {0};
    const bool is_usage = code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
    error_set(&error, is_usage ? ERROR_INVALID : ERROR_UNAVAILABLE, "%s: %s", watch->options->api,
              curl_easy_strerror(code));
    error_hint(&error, is_usage
                           ? "--api and ASSENT_API are written like http://127.0.0.1:7400"
                           : "is assentd running there? --api or ASSENT_API names another one");
    return fail_with(&error);
}

/* May it be tried again? A server that has never answered is told at once; one that stops or is at a limit comes back. */
static bool is_passing(const struct watch *watch)
{
    return watch->is_connected && (watch->status == 0 || watch->status == 200 ||
                                   watch->status == 429 || watch->status == 503);
}

static int watch_run(struct watch *watch)
{
    int pause_ms = PAUSE_FIRST_MS;
    for (;;) {
        const unsigned long count_before = watch->count;
        const CURLcode code = watch_connect(watch);
        if (is_done(watch)) {
            return CLI_EXIT_DONE;
        }
        if (ferror(stdout)) {
            return EX_IOERR;
        }
        if (watch->is_malformed) {
            fprintf(stderr, "assent: what came is no stream of assentd\n");
            return CLI_EXIT_FAILED;
        }
        if (!is_passing(watch)) {
            return watch->status != 0 && watch->status != 200 ? watch_problem(watch)
                                                              : watch_unreachable(watch, code);
        }
        if (watch->status == 200) {
            fprintf(stderr, "assent: the connection ended; trying again\n");
        }
        pause_ms = watch->status == 200 || watch->count > count_before ? PAUSE_FIRST_MS : pause_ms;
        (void)poll(NULL, 0, pause_ms); /* leaves a server alone that is not there */
        pause_ms = 2 * pause_ms < PAUSE_MAX_MS ? 2 * pause_ms : PAUSE_MAX_MS;
    }
}

/* ---- command line */

static error_t parse_watch(int key, char *argument, struct argp_state *state)
{
    struct watch *watch = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = watch->options;
        return 0;
    case 's':
        watch->state = argument;
        return 0;
    case 'p':
        watch->participant = argument;
        return 0;
    case 'f':
        if (strlen(argument) >= ID_SIZE || !word_is_plain(argument)) {
            argp_error(state, "--after: %s is no id of an event", argument);
        }
        snprintf(watch->last_id, sizeof watch->last_id, "%s", argument);
        return 0;
    case 'n': {
        char *end = NULL;
        watch->count_max = strtoul(argument, &end, 10);
        if (*end != 0 || watch->count_max == 0 || argument[0] == '-') {
            argp_error(state, "--count: %s is no number from 1", argument);
        }
        return 0;
    }
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int watch_main(struct options *options, int argc, char **argv)
{
    static const struct argp_option arguments[] = {
        {"state", 's', "STATE", 0, "Only transactions that are now in this state", 0},
        {"participant", 'p', "NAME", 0, "Only transactions with a branch there", 0},
        {"count", 'n', "COUNT", 0, "End after so many changes", 0},
        {"after", 'f', "EVENT", 0, "Go on behind the event with this id (--json prints ids)", 0},
        {0}};
    static const struct argp argp = {
        arguments,
        parse_watch,
        "",
        "Shows changes of transactions as they happen, a line each, until it is interrupted. When "
        "the connection is lost it goes on behind the last line; where lines may be missing, it "
        "says so.\vWith --json each line is an object: event, id, data.",
        children,
        NULL,
        NULL};
    struct watch watch = {.options = options};
    argp_parse(&argp, argc, argv, 0, NULL, &watch);
    watch.curl = curl_easy_init();
    if (watch.curl == NULL) {
        fprintf(stderr, "assent: libcurl does not start\n");
        return CLI_EXIT_FAILED;
    }
    const int code = watch_run(&watch);
    curl_easy_cleanup(watch.curl);
    reply_done(&watch.reply);
    free(watch.line.bytes);
    free(watch.data);
    return code;
}
