/*
 * config_file.h - INI files read strictly: every value typed and ranged, every error with file and
 * line.
 *
 * Both daemons read their configuration through this, at start and on SIGHUP; config.c of each
 * daemon knows the keys, this file knows none. A key that nobody asked for is an error
 * (config_file_finish), because a misspelt setting that is silently ignored is how a safe default
 * gets believed to be changed.
 *
 *     [section] or [section name]     keys before the first section are an error
 *     key = value                     one line each; "; " starts a comment, also behind a value
 *         more                        an indented line continues the value (joined by one space)
 *
 * Read "exact", for values that are texts of another language: a line that INI would silently cut or pass over (a
 * semicolon after white space; ";", "#" or "[" at the beginning of an indented line; words behind a section's bracket) is
 * an error. Comments are then whole lines that begin with ";" or "#" in the first column, or follow a bracket.
 *
 * Single-threaded; no logging; values stay owned by the file until config_file_free.
 */
#ifndef ASSENT_COMMON_CONFIG_FILE_H
#define ASSENT_COMMON_CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define CONFIG_FILE_ENTRY_MAX 4096 /* keys in one file; beyond it is an error */
#define CONFIG_FILE_LINE_MAX                                                                       \
    200 /* inih's own limit for one line; continue long values on the next */

struct config_file;

/* Reads the whole file. Owned by the caller. */
bool config_file_load(const char *path, struct config_file **ret_file, struct error *ret_error);
/* The same from memory; name stands for the path in error texts. */
bool config_file_parse(const char *name, const char *text, struct config_file **ret_file,
                       struct error *ret_error);
bool config_file_load_exact(const char *path, struct config_file **ret_file,
                            struct error *ret_error);
bool config_file_parse_exact(const char *name, const char *text, struct config_file **ret_file,
                             struct error *ret_error);
void config_file_free(struct config_file *file); /* NULL is fine */

/* Sections in file order, each name once. "[participant order]" is "participant order". Lent. */
size_t config_file_section_count(const struct config_file *file);
const char *config_file_section(const struct config_file *file, size_t index);

bool config_file_has(const struct config_file *file, const char *section, const char *key);

/*
 * Getters. A missing key gives the fallback; a missing key whose fallback is CONFIG_FILE_REQUIRED
 * (texts: NULL) is an error that says so. Out of range is an error that names the range. ret_value
 * is written only on success.
 */
#define CONFIG_FILE_REQUIRED INT64_MIN

/* Lends the text until config_file_free; never empty (an empty value is an error). */
bool config_file_get_text(struct config_file *file, const char *section, const char *key,
                          const char *fallback, const char **ret_value, struct error *ret_error);
/* As get_text, but a missing key gives NULL. */
bool config_file_get_optional(struct config_file *file, const char *section, const char *key,
                              const char **ret_value, struct error *ret_error);
/* Plain decimal. */
bool config_file_get_int(struct config_file *file, const char *section, const char *key,
                         int64_t fallback, int64_t min, int64_t max, int64_t *ret_value,
                         struct error *ret_error);
/* "500ms", "2s", "1m", "6h", "7d"; the unit must be there (but for 0). */
bool config_file_get_duration_ms(struct config_file *file, const char *section, const char *key,
                                 int64_t fallback, int64_t min, int64_t max, int64_t *ret_value,
                                 struct error *ret_error);
/* "4096B", "256KiB", "16MiB", "1GiB"; the unit must be there (but for 0). */
bool config_file_get_size_bytes(struct config_file *file, const char *section, const char *key,
                                int64_t fallback, int64_t min, int64_t max, int64_t *ret_value,
                                struct error *ret_error);
/* yes/no, true/false, on/off. */
bool config_file_get_bool(struct config_file *file, const char *section, const char *key,
                          bool fallback, bool *ret_value, struct error *ret_error);
/* One of names (NULL-terminated); ret_index is its place. fallback is an index or negative:
 * required. */
bool config_file_get_choice(struct config_file *file, const char *section, const char *key,
                            const char *const *names, int fallback, int *ret_index,
                            struct error *ret_error);

/* For checks of the caller's own: an ERROR_INVALID text that begins with the key's file and line
 * (the section's line if the key is not there, the file alone without the section). Returns false. */
bool config_file_fail(const struct config_file *file, const char *section, const char *key,
                      struct error *ret_error, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* The same place before an error that the key's value led to, keeping kind and hint. Returns false. */
bool config_file_wrap(const struct config_file *file, const char *section, const char *key,
                      struct error *error);

const char *config_file_path(const struct config_file *file); /* lent */

/* Call last: fails on the first section or key that no getter asked for, and names the nearest
 * known one. */
bool config_file_finish(const struct config_file *file, struct error *ret_error);

#endif
