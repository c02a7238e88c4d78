/*
 * http_key.c - the Idempotency-Key header: the IETF draft's quoted string, or the bare token that
 * most clients send.
 *
 * Called by http_submit.c.
 */
#include <string.h>

#include "common/check.h"
#include "coordinator/http_submit.h"

/* RFC 9110's token characters, and ":" and "/" which RFC 8941 adds to its own tokens. */
static bool is_token_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~:/", c) != NULL);
}

static bool key_malformed(struct problem *ret_problem, const char *what)
{
    return problem_set(ret_problem, PROBLEM_MALFORMED, "Idempotency-Key: %s", what);
}

static bool key_quoted_parse(const char *value, size_t size_bytes, char key[KEY_MAX_BYTES + 1],
                             size_t *ret_key_bytes, struct problem *ret_problem)
{
    size_t used = 0;
    size_t i = 1;
    while (i < size_bytes && value[i] != '"') {
        if (value[i] == '\\') {
            i++;
            if (i >= size_bytes || (value[i] != '"' && value[i] != '\\')) {
                return key_malformed(ret_problem, "only \\\" and \\\\ may follow a backslash");
            }
        }
        if (value[i] < 0x20 || value[i] > 0x7e) {
            return key_malformed(ret_problem, "a quoted string holds printable ASCII only");
        }
        if (used == KEY_MAX_BYTES) {
            return key_malformed(ret_problem, "longer than 255 bytes");
        }
        key[used++] = value[i++];
    }
    if (i + 1 != size_bytes) {
        return key_malformed(ret_problem, i >= size_bytes ? "the quoted string does not end"
                                                          : "nothing may follow the quoted string");
    }
    *ret_key_bytes = used;
    return true;
}

static bool key_token_parse(const char *value, size_t size_bytes, char key[KEY_MAX_BYTES + 1],
                            size_t *ret_key_bytes, struct problem *ret_problem)
{
    for (size_t i = 0; i < size_bytes; i++) {
        if (!is_token_character(value[i])) {
            return key_malformed(ret_problem, "neither a quoted string nor a token");
        }
    }
    if (size_bytes > KEY_MAX_BYTES) {
        return key_malformed(ret_problem, "longer than 255 bytes");
    }
    memcpy(key, value, size_bytes);
    *ret_key_bytes = size_bytes;
    return true;
}

bool key_header_parse(const char *value, char ret_key[KEY_MAX_BYTES + 1], size_t *ret_key_bytes,
                      struct problem *ret_problem)
{
    const char *start = value + strspn(value, " \t");
    size_t size_bytes = strlen(start);
    while (size_bytes > 0 && (start[size_bytes - 1] == ' ' || start[size_bytes - 1] == '\t')) {
        size_bytes--;
    }
    char key[KEY_MAX_BYTES + 1] = {0};
    size_t key_bytes = 0;
    const bool ok = size_bytes > 0 && start[0] == '"'
                        ? key_quoted_parse(start, size_bytes, key, &key_bytes, ret_problem)
                        : key_token_parse(start, size_bytes, key, &key_bytes, ret_problem);
    if (!ok) {
        return false;
    }
    if (key_bytes == 0) {
        return key_malformed(ret_problem, "empty");
    }
    memcpy(ret_key, key, sizeof key);
    *ret_key_bytes = key_bytes;
    return true;
}
