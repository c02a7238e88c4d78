/*
 * http_listen.c - where the HTTP edge listens and under which names it may be called.
 *
 * Without authentication the API belongs on the machine itself: only loopback addresses are taken,
 * and a request whose Host names something else is refused, so that a web page cannot reach it by
 * pointing its own name at 127.0.0.1 (DNS rebinding).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coordinator/http_internal.h"

#define HOST_NAME_SIZE 256

/* Splits "name:port", "[::1]:port" or either without port. */
static bool host_split(const char *text, char ret_name[HOST_NAME_SIZE], char ret_port[8])
{
    const bool bracketed = text[0] == '[';
    const char *start = bracketed ? text + 1 : text;
    const char *end = bracketed ? strchr(start, ']') : start + strcspn(start, ":");
    if (end == NULL) {
        return false;
    }
    const char *rest = bracketed ? end + 1 : end;
    const size_t length = (size_t)(end - start);
    if (length == 0 || length >= HOST_NAME_SIZE || (rest[0] != '\0' && rest[0] != ':')) {
        return false;
    }
    const char *port = rest[0] == ':' ? rest + 1 : "";
    if (strlen(port) > 5 || strspn(port, "0123456789") != strlen(port)) {
        return false;
    }
    memcpy(ret_name, start, length);
    ret_name[length] = '\0';
    (void)snprintf(ret_port, 8, "%.7s", port);
    return true;
}

static bool name_is_loopback(const char *name)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, name, &v4) == 1) {
        return (ntohl(v4.s_addr) >> 24) == 127;
    }
    if (inet_pton(AF_INET6, name, &v6) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&v6);
    }
    return strcasecmp(name, "localhost") == 0 || strcasecmp(name, "localhost.") == 0;
}

bool host_allowed(const char *host, char *const *extra_names)
{
    char name[HOST_NAME_SIZE];
    char port[8];
    if (!host_split(host, name, port)) {
        return false;
    }
    if (name_is_loopback(name)) {
        return true;
    }
    for (size_t i = 0; extra_names[i] != NULL; i++) {
        if (strcasecmp(extra_names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static bool address_parse(const char *address, struct sockaddr_storage *ret_socket_address,
                          socklen_t *ret_length, struct error *ret_error)
{
    char name[HOST_NAME_SIZE];
    char port_text[8];
    if (!host_split(address, name, port_text) || port_text[0] == '\0' ||
        strtoul(port_text, NULL, 10) > 65535) {
        error_set(ret_error, ERROR_INVALID, "cannot listen on \"%s\": not an address with a port",
                  address);
        return error_hint(ret_error, "write it like 127.0.0.1:7400 or [::1]:7400");
    }
    if (!name_is_loopback(name)) {
        error_set(ret_error, ERROR_INVALID,
                  "cannot listen on \"%s\": the API has no authentication yet, so only loopback "
                  "addresses are accepted",
                  address);
        return error_hint(ret_error,
                          "use 127.0.0.1:PORT and put a proxy that authenticates before it");
    }
    const uint16_t port = (uint16_t)strtoul(port_text, NULL, 10);
    *ret_socket_address = (struct sockaddr_storage){0};
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_socket_address;
    if (inet_pton(AF_INET6, name, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        *ret_length = sizeof *v6;
        return true;
    }
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret_socket_address;
    *ret_socket_address = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, name, &v4->sin_addr) != 1) {
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK); /* "localhost" */
    }
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    *ret_length = sizeof *v4;
    return true;
}

static bool socket_prepare(int fd, const struct sockaddr_storage *address, socklen_t length,
                           const char *text, struct error *ret_error)
{
    const int on = 1;
    /* A restart must not wait for the old process's connections to leave TIME_WAIT. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) {
        return error_set_errno(ret_error, ERROR_SYSTEM, errno,
                               "cannot set up the listening socket");
    }
    if (bind(fd, (const struct sockaddr *)address, length) != 0 || listen(fd, SOMAXCONN) != 0) {
        const int errnum = errno;
        error_set_errno(ret_error, ERROR_UNAVAILABLE, errnum, "cannot listen on %s", text);
        return errnum == EADDRINUSE
                   ? error_hint(ret_error,
                                "another process has this port (ss -ltnp shows which); stop "
                                "it or choose another port")
                   : false;
    }
    return true;
}

bool listen_open(const char *address, int *ret_fd, uint16_t *ret_port, struct error *ret_error)
{
    struct sockaddr_storage socket_address;
    socklen_t length = 0;
    if (!address_parse(address, &socket_address, &length, ret_error)) {
        return false;
    }
    const int fd = socket(socket_address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return error_set_errno(ret_error, ERROR_SYSTEM, errno, "cannot make a listening socket");
    }
    if (!socket_prepare(fd, &socket_address, length, address, ret_error)) {
        (void)close(fd);
        return false;
    }
    if (getsockname(fd, (struct sockaddr *)&socket_address, &length) != 0) {
        error_set_errno(ret_error, ERROR_SYSTEM, errno, "cannot read the listening address");
        (void)close(fd);
        return false;
    }
    const in_port_t port = socket_address.ss_family == AF_INET6
                               ? ((const struct sockaddr_in6 *)&socket_address)->sin6_port
                               : ((const struct sockaddr_in *)&socket_address)->sin_port;
    *ret_fd = fd;
    *ret_port = ntohs(port);
    return true;
}
