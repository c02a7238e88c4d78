/* address.c - see address.h. */
#include "common/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define HOST_MAX_BYTES 253 /* the longest name that DNS has */

static bool port_parse(const char *text, uint16_t *ret_port)
{
    const size_t size_bytes = strlen(text);
    if (size_bytes == 0 || size_bytes > 5 || strspn(text, "0123456789") != size_bytes) {
        return false; /* strtoul would also take signs and white space */
    }
    const unsigned long port = strtoul(text, NULL, 10);
    if (port > UINT16_MAX) {
        return false;
    }
    *ret_port = (uint16_t)port;
    return true;
}

static bool host_is_loopback(const char *host, bool is_bracketed)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (is_bracketed) {
        return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
    }
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return (ntohl(v4.s_addr) >> 24) == 127;
    }
    return strcmp(host, "localhost") == 0;
}

enum address_verdict address_judge(const char *address, uint16_t *ret_port)
{
    const bool is_bracketed = address[0] == '[';
    const char *start = is_bracketed ? address + 1 : address;
    const size_t size_bytes = strcspn(start, is_bracketed ? "]" : ":");
    const char *rest = start + size_bytes;
    if (is_bracketed && *rest == ']') {
        rest++;
    }
    char host[HOST_MAX_BYTES + 1];
    uint16_t port = 0;
    if (size_bytes == 0 || size_bytes > HOST_MAX_BYTES || *rest != ':' ||
        !port_parse(rest + 1, &port)) {
        return ADDRESS_MALFORMED;
    }
    memcpy(host, start, size_bytes);
    host[size_bytes] = '\0';
    *ret_port = port;
    return host_is_loopback(host, is_bracketed) ? ADDRESS_LOOPBACK : ADDRESS_FOREIGN;
}
