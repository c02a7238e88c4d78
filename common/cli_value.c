/* cli_value.c - numbers and times on a command line; see cli.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"

/* strtoull would also take blanks and signs, and give the largest number for what is larger. */
static bool take_number(const char *text, char **ret_end, uint64_t *ret_number)
{
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    *ret_number = strtoull(text, ret_end, 10);
    return errno == 0;
}

bool cli_parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret_number)
{
    char *end = NULL;
    uint64_t number = 0;
    if (!take_number(text, &end, &number) || *end != '\0' || number < least || number > most) {
        return false;
    }
    *ret_number = number;
    return true;
}

bool cli_parse_seconds(const char *text, uint64_t *ret_seconds)
{
    char *end = NULL;
    uint64_t number = 0;
    if (!take_number(text, &end, &number)) {
        return false;
    }
    uint64_t unit = strcmp(end, "") == 0 || strcmp(end, "s") == 0 ? 1
                    : strcmp(end, "m") == 0                       ? 60
                    : strcmp(end, "h") == 0                       ? 3600
                                                                  : 0;
    if (unit == 0 || number == 0 || number > CLI_SECONDS_MAX / unit) {
        return false;
    }
    *ret_seconds = number * unit;
    return true;
}
