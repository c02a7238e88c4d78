/*
 * http.c - libcurl's easy interface behind one function.
 */
#include "tests/lib/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "common/alloc.h"

#define REPLY_MAX_BYTES ((size_t)64 * 1024 * 1024)

struct buffer {
    char *bytes;
    size_t size_bytes;
};

static size_t append(char *bytes, size_t one, size_t count, void *user)
{
    struct buffer *buffer = user;
    size_t size_bytes = one * count;
    if (size_bytes > REPLY_MAX_BYTES - buffer->size_bytes) {
        return 0; /* curl reports a write error */
    }
    buffer->bytes = alloc_resize(buffer->bytes, buffer->size_bytes + size_bytes + 1, 1);
    memcpy(buffer->bytes + buffer->size_bytes, bytes, size_bytes);
    buffer->size_bytes += size_bytes;
    buffer->bytes[buffer->size_bytes] = '\0';
    return size_bytes;
}

static struct curl_slist *header_list(const char *const *headers)
{
    /* An empty Expect: curl would wait a second for "100 Continue" before larger bodies. */
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; headers != NULL && headers[i] != NULL; i++) {
        list = curl_slist_append(list, headers[i]);
    }
    return list;
}

static void set_options(CURL *curl, const struct http_request *request)
{
    (void)curl_easy_setopt(curl, CURLOPT_URL, request->url);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
                           request->timeout_ms == 0 ? 30000L : (long)request->timeout_ms);
    if (request->body != NULL) {
        size_t body_bytes = request->body_bytes == 0 ? strlen(request->body) : request->body_bytes;
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body_bytes);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
    }
    if (request->method != NULL && strcmp(request->method, "HEAD") == 0) {
        (void)curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    } else if (request->method != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    }
}

static void complete(struct buffer *buffer)
{
    if (buffer->bytes == NULL) {
        buffer->bytes = alloc_string("");
    }
}

bool http_perform(const struct http_request *request, struct http_reply *ret_reply,
                  struct error *ret_error)
{
    CURL *curl = curl_easy_init();
    if (curl == NULL) {
        return error_set(ret_error, ERROR_SYSTEM, "cannot start curl");
    }
    struct buffer headers = {0};
    struct buffer body = {0};
    char reason[CURL_ERROR_SIZE] = "";
    struct curl_slist *list = header_list(request->headers);
    set_options(curl, request);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, append);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, &headers);
    CURLcode code = curl_easy_perform(curl);
    long status = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(list);
    curl_easy_cleanup(curl);
    if (code != CURLE_OK) {
        free(headers.bytes);
        free(body.bytes);
        return error_set(ret_error, ERROR_UNAVAILABLE, "%s: %s", request->url,
                         reason[0] != '\0' ? reason : curl_easy_strerror(code));
    }
    complete(&headers);
    complete(&body);
    *ret_reply = (struct http_reply){
        .status = (int)status,
        .headers = headers.bytes,
        .headers_bytes = headers.size_bytes,
        .body = body.bytes,
        .body_bytes = body.size_bytes,
    };
    return true;
}

bool http_get(const char *url, struct http_reply *ret_reply, struct error *ret_error)
{
    return http_perform(&(struct http_request){.url = url}, ret_reply, ret_error);
}

bool http_post_json(const char *url, const char *json, struct http_reply *ret_reply,
                    struct error *ret_error)
{
    const char *const headers[] = {"Content-Type: application/json", NULL};
    return http_perform(&(struct http_request){.url = url, .headers = headers, .body = json},
                        ret_reply, ret_error);
}

char *http_reply_header(const struct http_reply *reply, const char *name)
{
    size_t name_length = strlen(name);
    for (const char *line = reply->headers; *line != '\0';) {
        size_t length = strcspn(line, "\r\n");
        if (length > name_length && strncasecmp(line, name, name_length) == 0 &&
            line[name_length] == ':') {
            const char *value = line + name_length + 1;
            const char *end = line + length;
            value += strspn(value, " \t");
            while (end > value && (end[-1] == ' ' || end[-1] == '\t')) {
                end--;
            }
            return value > end ? alloc_string("") : alloc_bytes(value, (size_t)(end - value));
        }
        line += length;
        line += strspn(line, "\r\n");
    }
    return NULL;
}

void http_reply_done(struct http_reply *reply)
{
    free(reply->headers);
    free(reply->body);
    *reply = (struct http_reply){0};
}
