/* config_file.c - see config_file.h: what is in a file that was read (config_file_read.c), and what is wrong with it. */
#include "common/config_file_internal.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

struct config_entry *config_file_find(const struct config_file *file, const char *section,
                                      const char *key)
{
    for (size_t i = 0; i < file->entry_count; i++) {
        if (strcmp(file->entries[i].section, section) == 0 &&
            strcmp(file->entries[i].key, key) == 0) {
            return &file->entries[i];
        }
    }
    return NULL;
}

void config_file_free(struct config_file *file)
{
    if (file == NULL) {
        return;
    }
    for (size_t i = 0; i < file->entry_count; i++) {
        free(file->entries[i].section);
        free(file->entries[i].key);
        free(file->entries[i].value);
    }
    for (size_t i = 0; i < file->section_count; i++) {
        free(file->sections[i]);
    }
    for (size_t i = 0; i < file->asked_count; i++) {
        free(file->asked[i].section);
        free(file->asked[i].key);
    }
    free(file->asked);
    free(file->entries);
    free(file->sections);
    free(file->section_lines);
    free(file->path);
    free(file);
}

size_t config_file_section_count(const struct config_file *file)
{
    return file->section_count;
}

const char *config_file_section(const struct config_file *file, size_t index)
{
    return index < file->section_count ? file->sections[index] : NULL;
}

bool config_file_has(const struct config_file *file, const char *section, const char *key)
{
    return config_file_find(file, section, key) != NULL;
}

/* "FILE:LINE: [SECTION] KEY": the key's line, else its section's, else none. */
static void file_place(const struct config_file *file, const char *section, const char *key,
                       char *ret_place, size_t size)
{
    const struct config_entry *entry = config_file_find(file, section, key);
    int line = entry != NULL ? entry->line : 0;
    for (size_t i = 0; line == 0 && i < file->section_count; i++) {
        line = strcmp(file->sections[i], section) == 0 ? file->section_lines[i] : 0;
    }
    if (line > 0) {
        snprintf(ret_place, size, "%s:%d: [%s] %s", file->path, line, section, key);
    } else {
        snprintf(ret_place, size, "%s: [%s] %s", file->path, section, key);
    }
}

bool config_file_fail(const struct config_file *file, const char *section, const char *key,
                      struct error *ret_error, const char *format, ...)
{
    char text[ERROR_TEXT_SIZE];
    char place[ERROR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    file_place(file, section, key, place, sizeof(place));
    return error_set(ret_error, ERROR_INVALID, "%s: %s", place, text);
}

bool config_file_wrap(const struct config_file *file, const char *section, const char *key,
                      struct error *error)
{
    char place[ERROR_TEXT_SIZE];
    file_place(file, section, key, place, sizeof(place));
    return error_wrap(error, "%s", place);
}

const char *config_file_path(const struct config_file *file)
{
    return file->path;
}

/* Remembers that section and key exist in this program; NULL if the file does not have it. */
static const struct config_entry *file_ask(struct config_file *file, const char *section,
                                           const char *key)
{
    if (file->asked_count == file->asked_capacity) {
        file->asked_capacity = file->asked_capacity == 0 ? 32 : file->asked_capacity * 2;
        file->asked = alloc_resize(file->asked, file->asked_capacity, sizeof(*file->asked));
    }
    file->asked[file->asked_count++] = (struct config_asked){
        .section = alloc_string(section),
        .key = alloc_string(key),
    };
    struct config_entry *entry = config_file_find(file, section, key);
    if (entry != NULL) {
        entry->asked = true;
    }
    return entry;
}

static bool file_fail_missing(const struct config_file *file, const char *section, const char *key,
                              struct error *ret_error)
{
    config_file_fail(file, section, key, ret_error, "this key is required");
    return error_hint(ret_error, "add \"%s = ...\" under [%s]", key, section);
}

bool config_file_get_optional(struct config_file *file, const char *section, const char *key,
                              const char **ret_value, struct error *ret_error)
{
    const struct config_entry *entry = file_ask(file, section, key);
    if (entry != NULL && entry->value[0] == '\0') {
        config_file_fail(file, section, key, ret_error, "the value is empty");
        return error_hint(ret_error, "give it a value or remove the line");
    }
    *ret_value = entry == NULL ? NULL : entry->value;
    return true;
}

bool config_file_get_text(struct config_file *file, const char *section, const char *key,
                          const char *fallback, const char **ret_value, struct error *ret_error)
{
    const char *value = NULL;
    if (!config_file_get_optional(file, section, key, &value, ret_error)) {
        return false;
    }
    if (value == NULL && fallback == NULL) {
        return file_fail_missing(file, section, key, ret_error);
    }
    *ret_value = value == NULL ? fallback : value;
    return true;
}

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit units_none[] = {{"", 1}, {NULL, 0}};
static const struct unit units_time[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                         {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit units_size[] = {
    {"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {NULL, 0}};

static bool parse_digits(const char *text, int64_t *ret_number, const char **ret_rest)
{
    const char *c = text;
    bool is_negative = *c == '-';
    c += is_negative ? 1 : 0;
    if (!isdigit((unsigned char)*c)) {
        return false;
    }
    int64_t number = 0;
    for (; isdigit((unsigned char)*c); c++) {
        if (__builtin_mul_overflow(number, (int64_t)10, &number) ||
            __builtin_add_overflow(number, (int64_t)(*c - '0'), &number)) {
            return false;
        }
    }
    *ret_number = is_negative ? -number : number;
    *ret_rest = c;
    return true;
}

static bool parse_number(const char *text, const struct unit *units, int64_t *ret_number)
{
    int64_t number = 0;
    const char *rest = NULL;
    if (!parse_digits(text, &number, &rest)) {
        return false;
    }
    if (number == 0 && *rest == '\0') {
        *ret_number = 0;
        return true;
    }
    while (*rest == ' ') {
        rest++;
    }
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (strcmp(unit->name, rest) == 0) {
            return !__builtin_mul_overflow(number, unit->factor, ret_number);
        }
    }
    return false;
}

/* The largest unit that divides the number, so that an error names a range as people write it. */
static const char *format_number(int64_t number, const struct unit *units, char *text, size_t size)
{
    const struct unit *best = &units[0];
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (number != 0 && number % unit->factor == 0) {
            best = unit;
        }
    }
    snprintf(text, size, "%" PRId64 "%s", number / best->factor, best->name);
    return text;
}

static bool get_number(struct config_file *file, const char *section, const char *key,
                       const struct unit *units, const char *kind, const int64_t limits[3],
                       int64_t *ret_value, struct error *ret_error)
{
    const char *text = NULL;
    if (!config_file_get_optional(file, section, key, &text, ret_error)) {
        return false;
    }
    if (text == NULL) {
        if (limits[0] == CONFIG_FILE_REQUIRED) {
            return file_fail_missing(file, section, key, ret_error);
        }
        *ret_value = limits[0];
        return true;
    }
    int64_t number = 0;
    if (!parse_number(text, units, &number)) {
        config_file_fail(file, section, key, ret_error, "\"%s\" is not %s", text, kind);
        return error_hint(ret_error, "write %s", kind);
    }
    if (number < limits[1] || number > limits[2]) {
        char low[40], high[40];
        config_file_fail(file, section, key, ret_error, "%s is out of range", text);
        return error_hint(ret_error, "%s to %s is allowed",
                          format_number(limits[1], units, low, sizeof(low)),
                          format_number(limits[2], units, high, sizeof(high)));
    }
    *ret_value = number;
    return true;
}

bool config_file_get_int(struct config_file *file, const char *section, const char *key,
                         int64_t fallback, int64_t min, int64_t max, int64_t *ret_value,
                         struct error *ret_error)
{
    return get_number(file, section, key, units_none, "a whole number",
                      (const int64_t[3]){fallback, min, max}, ret_value, ret_error);
}

bool config_file_get_duration_ms(struct config_file *file, const char *section, const char *key,
                                 int64_t fallback, int64_t min, int64_t max, int64_t *ret_value,
                                 struct error *ret_error)
{
    return get_number(file, section, key, units_time,
                      "a time with its unit, as in 500ms, 2s, 1m, 6h or 7d",
                      (const int64_t[3]){fallback, min, max}, ret_value, ret_error);
}

bool config_file_get_size_bytes(struct config_file *file, const char *section, const char *key,
                                int64_t fallback, int64_t min, int64_t max, int64_t *ret_value,
                                struct error *ret_error)
{
    return get_number(file, section, key, units_size,
                      "a size with its unit, as in 4096B, 256KiB, 16MiB or 1GiB",
                      (const int64_t[3]){fallback, min, max}, ret_value, ret_error);
}

bool config_file_get_choice(struct config_file *file, const char *section, const char *key,
                            const char *const *names, int fallback, int *ret_index,
                            struct error *ret_error)
{
    const char *text = NULL;
    if (!config_file_get_optional(file, section, key, &text, ret_error)) {
        return false;
    }
    if (text == NULL && fallback >= 0) {
        *ret_index = fallback;
        return true;
    }
    if (text == NULL) {
        return file_fail_missing(file, section, key, ret_error);
    }
    char all[ERROR_TEXT_SIZE] = "";
    size_t used = 0;
    for (int i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], text) == 0) {
            *ret_index = i;
            return true;
        }
        if (used < sizeof(all)) {
            used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s", i > 0 ? ", " : "",
                                     names[i]);
        }
    }
    config_file_fail(file, section, key, ret_error, "\"%s\" is not known here", text);
    return error_hint(ret_error, "one of: %s", all);
}

bool config_file_get_bool(struct config_file *file, const char *section, const char *key,
                          bool fallback, bool *ret_value, struct error *ret_error)
{
    static const char *const names[] = {"no", "yes", "false", "true", "off", "on", NULL};
    int index = 0;
    if (!config_file_get_choice(file, section, key, names, fallback ? 1 : 0, &index, ret_error)) {
        return false;
    }
    *ret_value = index % 2 == 1;
    return true;
}

/* Levenshtein's distance, bounded: names longer than the table are simply far away. */
static size_t text_distance(const char *a, const char *b)
{
    enum { SIZE = 48 };
    size_t a_size = strlen(a), b_size = strlen(b);
    if (a_size >= SIZE || b_size >= SIZE) {
        return SIZE;
    }
    size_t row[SIZE];
    for (size_t j = 0; j <= b_size; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t best = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            best = best < row[j] + 1 ? best : row[j] + 1;
            row[j] = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
        }
    }
    return row[b_size];
}

static const char *file_nearest_key(const struct config_file *file, const char *section,
                                    const char *key)
{
    const char *nearest = NULL;
    size_t best = 4; /* farther than three edits is no misspelling */
    for (size_t i = 0; i < file->asked_count; i++) {
        if (strcmp(file->asked[i].section, section) == 0) {
            size_t distance = text_distance(file->asked[i].key, key);
            if (distance < best) {
                best = distance;
                nearest = file->asked[i].key;
            }
        }
    }
    return nearest;
}

static bool file_asked_section(const struct config_file *file, const char *section)
{
    for (size_t i = 0; i < file->asked_count; i++) {
        if (strcmp(file->asked[i].section, section) == 0) {
            return true;
        }
    }
    return false;
}

bool config_file_finish(const struct config_file *file, struct error *ret_error)
{
    for (size_t i = 0; i < file->section_count; i++) {
        if (!file_asked_section(file, file->sections[i])) {
            error_set(ret_error, ERROR_INVALID, "%s:%d: unknown section [%s]", file->path,
                      file->section_lines[i], file->sections[i]);
            return error_hint(ret_error,
                              "correct its name or remove it; the manual page lists all");
        }
    }
    for (size_t i = 0; i < file->entry_count; i++) {
        const struct config_entry *entry = &file->entries[i];
        if (entry->asked) {
            continue;
        }
        config_file_fail(file, entry->section, entry->key, ret_error, "unknown key");
        const char *nearest = file_nearest_key(file, entry->section, entry->key);
        if (nearest != NULL) {
            return error_hint(ret_error, "did you mean \"%s\"?", nearest);
        }
        return error_hint(ret_error, "correct its name or remove it; the manual page lists all");
    }
    return true;
}
