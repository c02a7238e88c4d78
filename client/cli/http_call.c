/* http_call.c - see http_call.h. */
#include "client/cli/http_call.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/version.h"

#define CONNECT_TIMEOUT_MS 5000L
#define ANSWER_TIMEOUT_MS                                                                          \
    300000L /* beyond any timeout_ms that a server allows by default, twice over */
#define BODY_MAX_BYTES (256u << 20)

static size_t receive(char *bytes, size_t size, size_t count, void *user)
{
    struct reply *reply = user;
    const size_t more = size * count;
    if (reply->body_bytes + more > BODY_MAX_BYTES) {
        return 0;
    }
    reply->body = alloc_resize(reply->body, reply->body_bytes + more + 1, 1);
    memcpy(reply->body + reply->body_bytes, bytes, more);
    reply->body_bytes += more;
    reply->body[reply->body_bytes] = 0;
    return more;
}

void reply_done(struct reply *reply)
{
    free(reply->body);
    *reply = (struct reply){0};
}

char *url_escape(const char *text)
{
    char *escaped = curl_easy_escape(NULL, text, (int)strlen(text));
    char *copy = alloc_string(escaped != NULL ? escaped : "");
    curl_free(escaped);
    return copy;
}

static void call_prepare(CURL *curl, const struct options *options, const char *url,
                         struct curl_slist *headers, const char *body, struct reply *reply)
{
    const long timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : ANSWER_TIMEOUT_MS;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "assent/" ASSENT_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
    if (body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
    }
}

/* Before a connection stood nothing can have been done; after that, anything. */
static enum call_result call_failed(CURL *curl, CURLcode code, const struct options *options,
                                    struct error *ret_error)
{
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
        error_set(ret_error, ERROR_INVALID, "%s: %s", options->api, curl_easy_strerror(code));
        error_hint(ret_error, "--api and ASSENT_API are written like http://127.0.0.1:7400");
        return CALL_NOT_SENT;
    }
    curl_off_t connected_us = 0;
    curl_easy_getinfo(curl, CURLINFO_CONNECT_TIME_T, &connected_us);
    const bool was_connected = connected_us > 0 && code != CURLE_COULDNT_CONNECT;
    error_set(ret_error, ERROR_UNAVAILABLE, "%s: %s", options->api, curl_easy_strerror(code));
    error_hint(ret_error, was_connected
                              ? "ask again, with the same key"
                              : "is assentd running there? --api or ASSENT_API names another one");
    return was_connected ? CALL_LOST : CALL_NOT_SENT;
}

enum call_result http_call(const struct options *options, const char *path, const char *body,
                           struct reply *ret_reply, struct error *ret_error)
{
    CURL *curl = curl_easy_init();
    if (curl == NULL) {
        error_set(ret_error, ERROR_SYSTEM, "libcurl does not start");
        return CALL_NOT_SENT;
    }
    char *url = NULL;
    struct reply reply = {0};
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    headers = curl_slist_append(headers, "Expect:");
    if (body != NULL) {
        headers = curl_slist_append(headers, "Content-Type: application/json");
    }
    if (options->prefer != NULL) {
        char *prefer = text_format("Prefer: %s", options->prefer);
        headers = curl_slist_append(headers, prefer);
        free(prefer);
    }
    enum call_result result = CALL_NOT_SENT;
    if (asprintf(&url, "%s%s", options->api, path) < 0) {
        url = NULL;
    }
    call_prepare(curl, options, url, headers, body, &reply);
    const CURLcode code = curl_easy_perform(curl);
    if (code == CURLE_OK) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
        if (reply.body != NULL && json_check(reply.body, reply.body_bytes, NULL)) {
            reply.json = json_root(reply.body, reply.body_bytes);
        }
        *ret_reply = reply;
        result = CALL_ANSWERED;
    } else {
        reply_done(&reply);
        result = call_failed(curl, code, options, ret_error);
    }
    free(url);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return result;
}

void print_body(const struct reply *reply)
{
    if (reply->body_bytes > 0) {
        fwrite(reply->body, 1, reply->body_bytes, stdout);
        if (reply->body[reply->body_bytes - 1] != '\n') {
            putchar('\n');
        }
    }
}

int http_get_or_fail(const struct options *options, const char *path, struct reply *ret_reply)
{
    struct error error = {0};
    struct reply reply = {0};
    if (http_call(options, path, NULL, &reply, &error) != CALL_ANSWERED) {
        return fail_with(&error);
    }
    if (reply.status != 200 || reply.json.at == NULL) {
        const int code = print_problem(options, &reply);
        reply_done(&reply);
        return code;
    }
    *ret_reply = reply;
    return CLI_EXIT_DONE;
}

static int problem_exit_code(const struct reply *reply)
{
    if (json_get_is(reply->json, "state", "unknown")) {
        return CLI_EXIT_UNKNOWN;
    }
    switch (reply->status) {
    case 400:
    case 413:
    case 415:
    case 422:
        return EX_USAGE;
    case 401:
        return EX_NOPERM;
    case 403: /* the policy's verdict on SQL is an abort, anything else a matter of rights */
        return json_get_is(reply->json, "reason", "rejected_by_policy") ? CLI_EXIT_FAILED
                                                                        : EX_NOPERM;
    case 429:
    case 503:
        return EX_UNAVAILABLE;
    case 500:
        return CLI_EXIT_UNKNOWN;
    default:
        return CLI_EXIT_FAILED;
    }
}

static void print_member(struct json object, const char *name, const char *label)
{
    char *text = json_get_text(object, name);
    if (text[0] != 0) {
        fprintf(stderr, "  %-12s %s\n", label, text);
    }
    free(text);
}

static void print_problem_text(const struct reply *reply)
{
    char *title = json_get_text(reply->json, "title");
    char *detail = json_get_text(reply->json, "detail");
    char *state = json_get_text(reply->json, "state");
    if (reply->json.at == NULL) {
        fprintf(stderr, "assent: the server answered %ld\n", reply->status);
    } else {
        fprintf(stderr, "assent: %s%s%s%s%s\n", state, state[0] != 0 ? ": " : "", title,
                title[0] != 0 && detail[0] != 0 ? ": " : "", detail);
    }
    print_member(reply->json, "reason", "reason");
    print_member(reply->json, "participant", "participant");
    print_member(reply->json, "id", "transaction");
    const struct json postgresql = json_get(reply->json, "postgresql");
    print_member(postgresql, "message", "PostgreSQL");
    print_member(postgresql, "detail", "detail");
    print_member(postgresql, "hint", "hint");
    print_member(postgresql, "constraint", "constraint");
    print_member(postgresql, "statement", "statement");
    print_member(reply->json, "sqlstate", "sqlstate");
    if (json_is_true(json_get(reply->json, "retryable"))) {
        fprintf(stderr, "  %-12s the same request may succeed later\n", "retryable");
    }
    free(title);
    free(detail);
    free(state);
}

int print_problem(const struct options *options, const struct reply *reply)
{
    if (options->json) {
        print_body(reply);
    } else {
        print_problem_text(reply);
    }
    return problem_exit_code(reply);
}
