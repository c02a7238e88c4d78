/* progress.c - see progress.h. */
#include "tests/mutants/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_MAX_BYTES 100

void progress_say(const char *format, ...)
{
    char text[LINE_MAX_BYTES];
    va_list args;
    if (isatty(STDERR_FILENO) == 0) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)fprintf(stderr, "\r\033[K%s", text);
    (void)fflush(stderr);
}

void progress_end(void)
{
    if (isatty(STDERR_FILENO) != 0) {
        (void)fputs("\r\033[K", stderr);
    }
}
