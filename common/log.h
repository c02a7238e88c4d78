/*
 * log.h - diagnostics: one line per event, key=value, on stderr. "Journal" is something else.
 *
 * Only mains and drivers call this (library code returns errors). The sink is the one global that
 * the house style allows. Values are quoted and escaped where needed; JSON with --log-format=json.
 *
 *     log_event(LOG_WARN, "peer down", LOG_S("participant", name), LOG_U("session", session));
 */
#ifndef ASSENT_COMMON_LOG_H
#define ASSENT_COMMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG = 0, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_FORMAT_TEXT = 0, LOG_FORMAT_JSON };

void log_configure(const char *program, enum log_level level, enum log_format format);
bool log_level_parse(const char *text, enum log_level *ret_level);
bool log_enabled(enum log_level level);

enum log_field_kind { LOG_FIELD_END = 0, LOG_FIELD_TEXT, LOG_FIELD_INT, LOG_FIELD_UINT };

struct log_field {
    enum log_field_kind kind;
    const char *key;
    const char *text;
    int64_t i;
    uint64_t u;
};

#define LOG_S(key_, value_)                                                                        \
    ((struct log_field){.kind = LOG_FIELD_TEXT, .key = (key_), .text = (value_)})
#define LOG_I(key_, value_)                                                                        \
    ((struct log_field){.kind = LOG_FIELD_INT, .key = (key_), .i = (value_)})
#define LOG_U(key_, value_)                                                                        \
    ((struct log_field){.kind = LOG_FIELD_UINT, .key = (key_), .u = (value_)})

/* log_event(LOG_INFO, "started", LOG_S("address", a), LOG_U("epoch", e)); at least one field.
 * Thread-safe: one write(2) per line. A NULL text is left out. */
void log_write(enum log_level level, const char *event, const struct log_field *fields);
#define log_event(level_, event_, ...)                                                             \
    log_write((level_), (event_), (const struct log_field[]){__VA_ARGS__, {.kind = LOG_FIELD_END}})

#endif
