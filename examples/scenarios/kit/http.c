/* http.c - the HTTP API as a service would use it, with libcurl (kit.h). */
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "examples/scenarios/kit/kit.h"

#define BODY_MAX      (1u << 20)
#define ADVICE_MAX_MS 2000u

/* One handle, and so one connection that is kept, for each thread. */
static pthread_key_t handle_key;
static pthread_once_t handle_once = PTHREAD_ONCE_INIT;

static void handle_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (pthread_key_create(&handle_key, curl_easy_cleanup) != 0) {
        abort();
    }
}

static CURL *handle_get(void)
{
    pthread_once(&handle_once, handle_init);
    CURL *handle = pthread_getspecific(handle_key);
    if (handle == NULL) {
        handle = curl_easy_init();
        if (handle == NULL || pthread_setspecific(handle_key, handle) != 0) {
            abort();
        }
    }
    return handle;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *user)
{
    struct http_answer *answer = user;
    const size_t more = size * count;
    if (answer->body_bytes + more > BODY_MAX) {
        return 0; /* libcurl ends the request */
    }
    char *body = realloc(answer->body, answer->body_bytes + more + 1);
    if (body == NULL) {
        abort();
    }
    memcpy(body + answer->body_bytes, bytes, more);
    answer->body = body;
    answer->body_bytes += more;
    body[answer->body_bytes] = 0;
    return more;
}

static size_t take_header(char *bytes, size_t size, size_t count, void *user)
{
    static const char replayed[] = "Idempotent-Replayed: true";
    static const char retry[] = "Retry-After: ";
    struct http_answer *answer = user;
    const size_t length = size * count;
    if (length >= sizeof replayed - 1 && strncasecmp(bytes, replayed, sizeof replayed - 1) == 0) {
        answer->is_replayed = true;
    }
    if (length >= sizeof retry - 1 && strncasecmp(bytes, retry, sizeof retry - 1) == 0) {
        answer->retry_after_ms = strtoull(bytes + sizeof retry - 1, NULL, 10) * 1000;
    }
    return length;
}

static enum http_fate fate_of(CURLcode code)
{
    if (code == CURLE_OK) {
        return HTTP_ANSWERED;
    }
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST) {
        return HTTP_NOT_SENT;
    }
    return code == CURLE_OPERATION_TIMEDOUT ? HTTP_TIMED_OUT : HTTP_LOST;
}

static void call(const struct kit *kit, const char *path, const char *key, const char *preference,
                 const char *body, uint64_t patience_ms, struct http_answer *ret_answer)
{
    CURL *handle = handle_get();
    char why[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    char *url = kit_text("%s%s", kit->api, path);
    *ret_answer = (struct http_answer){0};
    curl_easy_reset(handle); /* keeps the connection */
    if (key != NULL) {
        char *line = kit_text("Idempotency-Key: %s", key);
        headers = curl_slist_append(headers, line);
        free(line);
    }
    headers = preference != NULL ? curl_slist_append(headers, preference) : headers;
    if (body != NULL) {
        headers = curl_slist_append(headers, "Content-Type: application/json");
        curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body);
    }
    curl_easy_setopt(handle, CURLOPT_URL, url);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, (long)patience_ms);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, ret_answer);
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, ret_answer);
    const CURLcode code = curl_easy_perform(handle);
    ret_answer->fate = fate_of(code);
    if (code == CURLE_OK) {
        curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &ret_answer->status);
        ret_answer->text = kit_text("%ld %s", ret_answer->status,
                                    ret_answer->body != NULL ? ret_answer->body : "");
    } else {
        ret_answer->text = kit_text("%s", why[0] != 0 ? why : curl_easy_strerror(code));
    }
    curl_slist_free_all(headers);
    free(url);
}

void http_call(const struct kit *kit, const char *path, const char *key, const char *body,
               uint64_t patience_ms, struct http_answer *ret_answer)
{
    call(kit, path, key, NULL, body, patience_ms, ret_answer);
}

void http_accept(const struct kit *kit, const char *key, const char *body, uint64_t patience_ms,
                 struct http_answer *ret_answer)
{
    call(kit, "/v1/transactions", key, "Prefer: respond-async", body, patience_ms, ret_answer);
}

void http_answer_done(struct http_answer *answer)
{
    free(answer->body);
    free(answer->text);
    *answer = (struct http_answer){0};
}

bool http_is_final(const struct http_answer *answer)
{
    if (answer->fate != HTTP_ANSWERED || answer->status == 202 || answer->status == 429 ||
        answer->status >= 500) {
        return false;
    }
    json_t *body =
        answer->body != NULL ? json_loadb(answer->body, answer->body_bytes, 0, NULL) : NULL;
    const bool is_retryable = json_is_true(json_object_get(body, "retryable"));
    json_decref(body);
    return !is_retryable;
}

void http_submit(struct kit *kit, const char *key, const char *body, uint64_t patience_ms,
                 struct http_answer *ret_answer, uint64_t *ret_attempts)
{
    for (unsigned int attempt = 0;; attempt++) {
        http_call(kit, "/v1/transactions", key, body, patience_ms, ret_answer);
        if (http_is_final(ret_answer)) {
            *ret_attempts = attempt + 1;
            return;
        }
        const uint64_t advised_ms = ret_answer->retry_after_ms;
        kit_pause(kit, attempt, advised_ms < ADVICE_MAX_MS ? advised_ms : ADVICE_MAX_MS,
                  ret_answer->text);
        http_answer_done(ret_answer);
    }
}
