/*
 * log.c - one diagnostic line per event on standard error, as text or as JSON.
 *
 * A line is built on the stack and leaves in one write(2), so lines of several threads never mix. It is of one
 * format, though the sink be configured anew by another thread (SIGHUP) meanwhile. A
 * value is cut at VALUE_MAX_BYTES and a field that does not fit into the line any more is dropped;
 * both show as truncated=true. A write that fails is ignored: diagnostics must not stop a
 * transaction.
 */
#include "common/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/check.h"

#define LINE_MAX_BYTES  8192
#define TAIL_BYTES      32 /* kept free for the truncation mark, brace and line end */
#define VALUE_MAX_BYTES 1024

/* Members by themselves: written by whoever reads the configuration again, while others log. */
static struct {
    _Atomic(const char *) program;
    _Atomic(enum log_level) level;
    _Atomic(enum log_format) format;
} sink = {.program = "assent", .level = LOG_INFO, .format = LOG_FORMAT_TEXT};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

struct line {
    enum log_format format;
    size_t length;
    bool truncated;
    char bytes[LINE_MAX_BYTES];
};

void log_configure(const char *program, enum log_level level, enum log_format format)
{
    atomic_store_explicit(&sink.program, program, memory_order_relaxed);
    atomic_store_explicit(&sink.level, level, memory_order_relaxed);
    atomic_store_explicit(&sink.format, format, memory_order_relaxed);
}

bool log_level_parse(const char *text, enum log_level *ret_level)
{
    for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
        if (strcmp(text, level_names[level]) == 0) {
            *ret_level = (enum log_level)level;
            return true;
        }
    }
    return false;
}

bool log_enabled(enum log_level level)
{
    return level >= atomic_load_explicit(&sink.level, memory_order_relaxed);
}

/* False when it does not fit; nothing is written then. */
static bool put(struct line *line, const char *bytes, size_t length)
{
    if (length > LINE_MAX_BYTES - TAIL_BYTES - line->length) {
        return false;
    }
    memcpy(line->bytes + line->length, bytes, length);
    line->length += length;
    return true;
}

static bool put_text(struct line *line, const char *text)
{
    return put(line, text, strlen(text));
}

/* How many bytes the well-formed UTF-8 character at text takes; 0 if it is none (RFC 3629). */
static size_t utf8_length(const unsigned char *text)
{
    unsigned char first = text[0];
    if (first < 0x80) {
        return 1;
    }
    size_t length = first >= 0xF0 && first <= 0xF4   ? 4
                    : first >= 0xE0 && first <= 0xEF ? 3
                    : first >= 0xC2 && first <= 0xDF ? 2
                                                     : 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0; /* also at the final NUL, so nothing beyond it is read */
        }
    }
    bool is_bad = (first == 0xE0 && text[1] < 0xA0) || (first == 0xED && text[1] > 0x9F) ||
                  (first == 0xF0 && text[1] < 0x90) || (first == 0xF4 && text[1] > 0x8F);
    return is_bad ? 0 : length;
}

/* One character of a quoted value; *ret_used is how many bytes of text it stood for. */
static bool put_escaped(struct line *line, const unsigned char *text, size_t *ret_used)
{
    const bool is_json = line->format == LOG_FORMAT_JSON;
    size_t length = utf8_length(text);
    char escape[8];
    *ret_used = length == 0 ? 1 : length;
    if (length > 1) {
        return put(line, (const char *)text, length);
    }
    if (length == 0) {
        (void)snprintf(escape, sizeof escape, is_json ? "\\ufffd" : "\\x%02x", text[0]);
    } else if (*text == '"' || *text == '\\') {
        (void)snprintf(escape, sizeof escape, "\\%c", *text);
    } else if (*text == '\n') {
        (void)snprintf(escape, sizeof escape, "\\n");
    } else if (*text == '\t') {
        (void)snprintf(escape, sizeof escape, "\\t");
    } else if (*text < 0x20 || *text == 0x7F) {
        (void)snprintf(escape, sizeof escape, is_json ? "\\u%04x" : "\\x%02x", *text);
    } else {
        return put(line, (const char *)text, 1);
    }
    return put_text(line, escape);
}

static bool put_quoted(struct line *line, const char *text)
{
    const unsigned char *cursor = (const unsigned char *)text;
    if (!put_text(line, "\"")) {
        return false;
    }
    while (*cursor != '\0') {
        if (cursor - (const unsigned char *)text >= VALUE_MAX_BYTES) {
            line->truncated = true;
            break;
        }
        size_t used;
        if (!put_escaped(line, cursor, &used)) {
            return false;
        }
        cursor += used;
    }
    return put_text(line, "\"");
}

static bool needs_quotes(const char *text)
{
    if (*text == '\0') {
        return true;
    }
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c <= 0x20 || *c >= 0x7F || *c == '"' || *c == '\\' || *c == '=') {
            return true;
        }
    }
    return strlen(text) > VALUE_MAX_BYTES;
}

static bool put_key(struct line *line, const char *key)
{
    if (line->format == LOG_FORMAT_JSON) {
        return put_text(line, line->length > 1 ? ",\"" : "\"") && put_text(line, key) &&
               put_text(line, "\":");
    }
    return put_text(line, line->length > 0 ? " " : "") && put_text(line, key) &&
           put_text(line, "=");
}

static bool put_value(struct line *line, const struct log_field *field)
{
    char digits[24];
    switch (field->kind) {
    case LOG_FIELD_TEXT:
        if (line->format == LOG_FORMAT_TEXT && !needs_quotes(field->text)) {
            return put_text(line, field->text);
        }
        return put_quoted(line, field->text);
    case LOG_FIELD_INT:
        (void)snprintf(digits, sizeof digits, "%lld", (long long)field->i);
        return put_text(line, digits);
    case LOG_FIELD_UINT:
        (void)snprintf(digits, sizeof digits, "%llu", (unsigned long long)field->u);
        return put_text(line, digits);
    case LOG_FIELD_END:
        break;
    }
    CHECK(false);
}

/* A whole field or nothing of it, so that JSON stays well-formed. */
static void put_field(struct line *line, const struct log_field *field)
{
    if (field->kind == LOG_FIELD_TEXT && field->text == NULL) {
        return;
    }
    size_t before = line->length;
    if (!put_key(line, field->key) || !put_value(line, field)) {
        line->length = before;
        line->truncated = true;
    }
}

static void format_time(char *ret_text, size_t size_bytes)
{
    struct timespec now;
    struct tm parts;
    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
    CHECK(gmtime_r(&now.tv_sec, &parts) != NULL);
    char seconds[32];
    CHECK(strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts) > 0);
    (void)snprintf(ret_text, size_bytes, "%s.%03ldZ", seconds, now.tv_nsec / 1000000L);
}

static void finish_line(struct line *line)
{
    const bool is_json = line->format == LOG_FORMAT_JSON;
    const char *tail = "\n";
    if (line->truncated) {
        tail = is_json ? ",\"truncated\":true}\n" : " truncated=true\n";
    } else if (is_json) {
        tail = "}\n";
    }
    memcpy(line->bytes + line->length, tail, strlen(tail));
    line->length += strlen(tail);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    CHECK(level >= LOG_DEBUG && level <= LOG_ERROR);
    if (!log_enabled(level)) {
        return;
    }
    int saved_errno = errno;
    struct line line;
    line.format = atomic_load_explicit(&sink.format, memory_order_relaxed);
    line.length = 0;
    line.truncated = false;
    if (line.format == LOG_FORMAT_JSON) {
        (void)put_text(&line, "{");
    }
    char now[48];
    format_time(now, sizeof now);
    put_field(&line, &LOG_S("time", now));
    put_field(&line, &LOG_S("level", level_names[level]));
    put_field(&line, &LOG_S("program", atomic_load_explicit(&sink.program, memory_order_relaxed)));
    put_field(&line, &LOG_S("event", event));
    for (const struct log_field *field = fields; field->kind != LOG_FIELD_END; field++) {
        put_field(&line, field);
    }
    finish_line(&line);

    ssize_t written;
    do {
        written = write(STDERR_FILENO, line.bytes, line.length);
    } while (written < 0 && errno == EINTR);
    errno = saved_errno;
}
