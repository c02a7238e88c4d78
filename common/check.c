/*
 * check.c - the end of a process that found itself wrong.
 *
 * Writes with write(2) alone: stdio may be what is broken, and this file is linked into the pure
 * cores.
 */
#include "common/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void check_failed(const char *expression, const char *file, int line)
{
    char text[512];
    int length = snprintf(text, sizeof text, "%s:%d: check failed: %s\n", file, line, expression);
    if (length >= (int)sizeof text) {
        length = (int)sizeof text - 1;
        text[length - 1] = '\n';
    }
    if (length > 0) {
        ssize_t written = write(STDERR_FILENO, text, (size_t)length);
        (void)written; /* nothing is left to be done about it */
    }
    abort();
}
