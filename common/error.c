/*
 * error.c - building error texts. Text that does not fit is cut, never overrun; line breaks
 * (PostgreSQL and SQLite like them) become spaces, because an error is one line wherever it is
 * shown.
 */
#include "common/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void make_one_line(char *text)
{
    for (char *c = text; *c != '\0'; c++) {
        if (*c == '\n' || *c == '\r') {
            *c = ' ';
        }
    }
}

/* Cuts at `limit` bytes without leaving half a UTF-8 character. */
static void cut_text(char *text, size_t limit)
{
    size_t length = strlen(text);
    if (length <= limit) {
        return;
    }
    while (limit > 0 && ((unsigned char)text[limit] & 0xC0) == 0x80) {
        limit--;
    }
    text[limit] = '\0';
}

static void __attribute__((format(printf, 2, 0)))
format_text(char ret_text[ERROR_TEXT_SIZE], const char *format, va_list arguments)
{
    char wide[ERROR_TEXT_SIZE + 4]; /* room to see where the last character ends */
    (void)vsnprintf(wide, sizeof wide, format, arguments);
    make_one_line(wide);
    cut_text(wide, ERROR_TEXT_SIZE - 1);
    (void)memcpy(ret_text, wide, strlen(wide) + 1);
}

bool(error_set)(struct error *error, enum error_kind kind, const char *format, ...)
{
    if (error != NULL) {
        char text[ERROR_TEXT_SIZE]; /* an argument may be error->text itself */
        va_list arguments;
        va_start(arguments, format);
        format_text(text, format, arguments);
        va_end(arguments);
        memcpy(error->text, text, sizeof text);
        error->kind = kind;
        error->hint[0] = '\0';
    }
    return false;
}

bool(error_set_errno)(struct error *error, enum error_kind kind, int errnum, const char *format,
                      ...)
{
    if (error != NULL) {
        char reason[128];
        const char *reason_text = strerror_r(errnum, reason, sizeof reason);
        char text[ERROR_TEXT_SIZE];
        va_list arguments;
        va_start(arguments, format);
        format_text(text, format, arguments);
        va_end(arguments);
        (void)error_set(error, kind, "%s: %s", text, reason_text);
    }
    return false;
}

bool(error_wrap)(struct error *error, const char *format, ...)
{
    if (error != NULL) {
        char prefix[ERROR_TEXT_SIZE];
        va_list arguments;
        va_start(arguments, format);
        format_text(prefix, format, arguments);
        va_end(arguments);
        char hint[ERROR_TEXT_SIZE];
        memcpy(hint, error->hint, sizeof hint);
        (void)error_set(error, error->kind, "%s: %s", prefix, error->text);
        memcpy(error->hint, hint, sizeof hint);
    }
    return false;
}

bool(error_hint)(struct error *error, const char *format, ...)
{
    if (error != NULL) {
        char hint[ERROR_TEXT_SIZE];
        va_list arguments;
        va_start(arguments, format);
        format_text(hint, format, arguments);
        va_end(arguments);
        memcpy(error->hint, hint, sizeof hint);
    }
    return false;
}
