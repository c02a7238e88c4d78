/*
 * test_http.c - the HTTP helper against a server that gives one canned answer.
 */
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/http.h"

/* Accepts one connection, reads until the request holds `until`, answers, closes. */
struct server {
    int fd;
    char url[64];
    const char *until;
    const char *answer;
    char request[4096];
    pthread_t thread;
};

static void *serve_one(void *argument)
{
    struct server *server = argument;
    int fd = accept(server->fd, NULL, NULL);
    size_t length = 0;
    while (fd >= 0 && strstr(server->request, server->until) == NULL &&
           length < sizeof server->request - 1) {
        ssize_t got = recv(fd, server->request + length, sizeof server->request - 1 - length, 0);
        if (got <= 0) {
            break;
        }
        length += (size_t)got;
    }
    if (fd >= 0) {
        (void)send(fd, server->answer, strlen(server->answer), MSG_NOSIGNAL);
        (void)close(fd);
    }
    return NULL;
}

static void server_start(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(server->fd >= 0);
    assert_int_equal(bind(server->fd, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(listen(server->fd, 1), 0);
    (void)snprintf(server->url, sizeof server->url, "http://127.0.0.1:%u/x",
                   ntohs(address.sin_port));
    assert_int_equal(pthread_create(&server->thread, NULL, serve_one, server), 0);
}

static void server_stop(struct server *server)
{
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    assert_int_equal(close(server->fd), 0);
}

/* Status, headers and body come back, also for an answer that is an error. */
static void test_http_get_gives_status_headers_body(void **state)
{
    (void)state;
    struct server server = {
        .until = "\r\n\r\n",
        .answer = "HTTP/1.1 503 No\r\nRetry-After:  7 \r\nEmpty:\r\nContent-Length: 2\r\n\r\nhi"};
    struct http_reply reply;
    struct error error;
    server_start(&server);
    assert_success(http_get(server.url, &reply, &error), &error);
    server_stop(&server);
    assert_memory_equal(server.request, "GET /x HTTP/1.1\r\n", 17);
    assert_int_equal(reply.status, 503);
    assert_string_equal(reply.body, "hi");
    assert_int_equal(reply.body_bytes, 2);
    char *value = http_reply_header(&reply, "retry-after");
    assert_string_equal(value, "7");
    free(value);
    value = http_reply_header(&reply, "Empty");
    assert_string_equal(value, "");
    free(value);
    assert_null(http_reply_header(&reply, "Retry"));
    http_reply_done(&reply);
}

/* A body is posted as JSON, with its length. */
static void test_http_post_json_sends_body(void **state)
{
    (void)state;
    struct server server = {.until = "{\"a\":1}", .answer = "HTTP/1.1 204 No Content\r\n\r\n"};
    struct http_reply reply;
    struct error error;
    server_start(&server);
    assert_success(http_post_json(server.url, "{\"a\":1}", &reply, &error), &error);
    server_stop(&server);
    assert_int_equal(reply.status, 204);
    assert_string_equal(reply.body, "");
    assert_memory_equal(server.request, "POST /x HTTP/1.1\r\n", 18);
    assert_non_null(strstr(server.request, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(server.request, "Content-Length: 7\r\n"));
    http_reply_done(&reply);
}

/* Another method and headers of the caller are sent as given. */
static void test_http_perform_sends_method_and_headers(void **state)
{
    (void)state;
    struct server server = {.until = "\r\n\r\n",
                            .answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    const char *const headers[] = {"Idempotency-Key: k-1", NULL};
    struct http_reply reply;
    struct error error;
    server_start(&server);
    const struct http_request request = {.method = "DELETE", .url = server.url, .headers = headers};
    assert_success(http_perform(&request, &reply, &error), &error);
    server_stop(&server);
    assert_memory_equal(server.request, "DELETE /x HTTP/1.1\r\n", 20);
    assert_non_null(strstr(server.request, "Idempotency-Key: k-1\r\n"));
    http_reply_done(&reply);
}

/* No answer is an error with the address in it. */
static void test_http_without_answer_is_error(void **state)
{
    (void)state;
    struct server server = {.until = "\r\n\r\n", .answer = ""};
    struct http_reply reply;
    struct error error;
    server_start(&server);
    assert_false(http_get(server.url, &reply, &error));
    server_stop(&server);
    assert_int_equal(error.kind, ERROR_UNAVAILABLE);
    assert_non_null(strstr(error.text, server.url));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_get_gives_status_headers_body),
        cmocka_unit_test(test_http_post_json_sends_body),
        cmocka_unit_test(test_http_perform_sends_method_and_headers),
        cmocka_unit_test(test_http_without_answer_is_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
