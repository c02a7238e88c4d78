/* operations.c - see operations.h. */
#include "participant/operations.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/sql_text.h"
#include "participant/pg_guard.h"
#include "participant/pg_text.h"

#define SECTION_PREFIX "operation "
#define BLANKS         " \t"

/* Built-in types: their OIDs are the same in every database and every version (pg_type.dat). */
static const struct {
    const char *name;
    uint32_t oid;
    uint32_t array_oid;
} types[] = {
    {"any", 0, 0}, /* the server infers it */
    {"bigint", 20, 1016},
    {"bool", 16, 1000},
    {"boolean", 16, 1000},
    {"bytea", 17, 1001},
    {"cidr", 650, 651},
    {"date", 1082, 1182},
    {"double precision", 701, 1022},
    {"float4", 700, 1021},
    {"float8", 701, 1022},
    {"inet", 869, 1041},
    {"int", 23, 1007},
    {"int2", 21, 1005},
    {"int4", 23, 1007},
    {"int8", 20, 1016},
    {"integer", 23, 1007},
    {"interval", 1186, 1187},
    {"json", 114, 199},
    {"jsonb", 3802, 3807},
    {"numeric", 1700, 1231},
    {"real", 700, 1021},
    {"smallint", 21, 1005},
    {"text", 25, 1009},
    {"time", 1083, 1183},
    {"timestamp", 1114, 1115},
    {"timestamptz", 1184, 1185},
    {"uuid", 2950, 2951},
    {"varchar", 1043, 1015},
};

static bool find_type(const char *text, uint32_t *ret_oid)
{
    size_t size = strlen(text);
    bool array = size > 2 && strcmp(text + size - 2, "[]") == 0;
    size -= array ? 2 : 0;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strlen(types[i].name) == size && strncmp(types[i].name, text, size) == 0) {
            *ret_oid = array ? types[i].array_oid : types[i].oid;
            return !array || types[i].array_oid != 0;
        }
    }
    return false;
}

/* What one call carries down. */
struct reading {
    struct config_file *file;
    const char *section;
    struct operation *operation;
    struct error *error;
};

/* "name type", already cut out of the list; changes it. */
static bool read_param(const struct reading *reading, char *text)
{
    struct operation *operation = reading->operation;
    char *name = text + strspn(text, BLANKS);
    for (size_t size = strlen(name); size > 0 && strchr(BLANKS, name[size - 1]) != NULL; size--) {
        name[size - 1] = '\0';
    }
    char *type = name + strcspn(name, BLANKS);
    if (*type != '\0') {
        *type++ = '\0';
        type += strspn(type, BLANKS);
    }
    if (!policy_name_valid(name)) {
        config_file_fail(reading->file, reading->section, "params", reading->error,
                         "\"%.80s\" is not a parameter's name", name);
        return error_hint(reading->error, "write name type, as in: account text, amount numeric; a "
                                          "name has 1 to 63 of a-z 0-9 _ -");
    }
    for (size_t i = 0; i < operation->param_count; i++) {
        if (strcmp(operation->param_names[i], name) == 0) {
            return config_file_fail(reading->file, reading->section, "params", reading->error,
                                    "\"%s\" stands there twice", name);
        }
    }
    uint32_t oid = 0;
    if (!find_type(type, &oid)) {
        config_file_fail(reading->file, reading->section, "params", reading->error,
                         "\"%.80s\" is not a type of those known here, for \"%s\"", type, name);
        return error_hint(reading->error, "a built-in type such as text, numeric, int8 or text[]; "
                                          "for others write any, and cast in SQL: $1::mood");
    }
    (void)snprintf(operation->param_names[operation->param_count], POLICY_NAME_SIZE, "%s", name);
    operation->param_types[operation->param_count++] = oid;
    return true;
}

static bool read_params(const struct reading *reading)
{
    struct operation *operation = reading->operation;
    const char *text = NULL;
    if (!config_file_get_optional(reading->file, reading->section, "params", &text,
                                  reading->error) ||
        text == NULL) {
        return reading->error->kind == ERROR_NONE;
    }
    size_t count = 1;
    for (const char *at = text; *at != '\0'; at++) {
        count += *at == ',';
    }
    if (count > OPERATION_ARGS_MAX) {
        return config_file_fail(reading->file, reading->section, "params", reading->error,
                                "%zu parameters, and %d is the limit", count, OPERATION_ARGS_MAX);
    }
    operation->param_names = alloc_array(count, sizeof operation->param_names[0]);
    operation->param_types = alloc_array(count, sizeof operation->param_types[0]);
    char *copy = alloc_string(text);
    char *rest = copy;
    bool read = true;
    for (size_t i = 0; read && i < count; i++) {
        char *one = rest;
        rest += strcspn(rest, ",");
        if (*rest == ',') {
            *rest++ = '\0';
        }
        read = read_param(reading, one);
    }
    free(copy);
    return read;
}

/* Marks which of $1 to $64 the SQL has outside of quotes; the highest number, at most 9999. */
static unsigned mark_params(const char *sql, bool used[OPERATION_ARGS_MAX + 1])
{
    unsigned highest = 0;
    char quote = '\0';
    for (const char *at = sql; *at != '\0'; at++) {
        if (quote != '\0' || *at == '\'' || *at == '"') {
            quote = quote == '\0' ? *at : *at == quote ? '\0' : quote;
        } else if (*at == '$' && at[1] >= '0' && at[1] <= '9') {
            unsigned number = 0;
            for (; at[1] >= '0' && at[1] <= '9'; at++) {
                number = number < 1000 ? number * 10 + (unsigned)(at[1] - '0') : 9999;
            }
            highest = number > highest ? number : highest;
            if (number <= OPERATION_ARGS_MAX) {
                used[number] = true;
            }
        }
    }
    return highest;
}

static bool check_numbers(const struct reading *reading)
{
    const struct operation *operation = reading->operation;
    bool used[OPERATION_ARGS_MAX + 1] = {false};
    unsigned highest = mark_params(operation->sql, used);
    if (used[0] || highest > operation->param_count) {
        config_file_fail(reading->file, reading->section, "sql", reading->error,
                         "it mentions $%u, and params has %zu", used[0] ? 0 : highest,
                         operation->param_count);
        return error_hint(reading->error, "params names $1, $2 ... in this order");
    }
    for (size_t i = 0; i < operation->param_count; i++) {
        if (!used[i + 1]) {
            config_file_fail(reading->file, reading->section, "params", reading->error,
                             "\"%s\" is $%zu, which sql does not mention",
                             operation->param_names[i], i + 1);
            return error_hint(reading->error, "params names $1, $2 ... in this order");
        }
    }
    return true;
}

static bool read_sql(const struct reading *reading)
{
    const char *sql = NULL;
    char word[PG_GUARD_WORD_SIZE];
    if (!config_file_get_text(reading->file, reading->section, "sql", NULL, &sql, reading->error)) {
        return false;
    }
    if (!pg_text_valid(sql)) { /* the server would say so of each call, and not of which line */
        return config_file_fail(reading->file, reading->section, "sql", reading->error,
                                "it is not UTF-8");
    }
    if (strstr(sql, "--") != NULL) {
        config_file_fail(
            reading->file, reading->section, "sql", reading->error,
            "\"--\" would make a comment of all that follows, since the lines become one");
        return error_hint(reading->error, "write comments as /* ... */, or between operations");
    }
    if (sql_is_blank(sql)) {
        return config_file_fail(reading->file, reading->section, "sql", reading->error,
                                "there is no command in it");
    }
    if (!pg_guard_allows(sql, word)) {
        return config_file_fail(reading->file, reading->section, "sql", reading->error,
                                "%s controls the transaction or the session; a branch may not",
                                word);
    }
    reading->operation->sql = alloc_string(sql);
    return true;
}

static bool read_caps(const struct reading *reading)
{
    struct operation *operation = reading->operation;
    int64_t max_time_ms = 0;
    if (!config_file_get_int(reading->file, reading->section, "expect_rows", EXPECT_ROWS_ANY, 0,
                             INT32_MAX, &operation->expect_rows, reading->error) ||
        !config_file_get_int(reading->file, reading->section, "max_rows", 0, 1, INT32_MAX,
                             &operation->max_rows, reading->error) ||
        !config_file_get_duration_ms(reading->file, reading->section, "max_time", 0, 1, 86400000,
                                     &max_time_ms, reading->error)) {
        return false;
    }
    operation->max_time_ms = (uint32_t)max_time_ms;
    if (operation->max_rows > 0 && operation->expect_rows > operation->max_rows) {
        return config_file_fail(reading->file, reading->section, "expect_rows", reading->error,
                                "it is above max_rows");
    }
    return true;
}

static bool read_operation(const struct reading *reading)
{
    const char *name = reading->section;
    size_t prefix = strlen(SECTION_PREFIX);
    if (strncmp(name, SECTION_PREFIX, prefix) != 0 || !policy_name_valid(name + prefix)) {
        config_file_fail(reading->file, reading->section, "sql", reading->error,
                         "the section is not an operation");
        return error_hint(reading->error,
                          "write [operation NAME], 1 to 63 of a-z 0-9 _ -, a letter first");
    }
    (void)snprintf(reading->operation->name, POLICY_NAME_SIZE, "%s", name + prefix);
    return read_sql(reading) && read_params(reading) && check_numbers(reading) &&
           read_caps(reading);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct operation *)a)->name, ((const struct operation *)b)->name);
}

static bool read_all(struct config_file *file, struct policy *policy, struct error *ret_error)
{
    struct error error = {0}; /* looked at, so it must be there */
    size_t count = config_file_section_count(file);
    bool read = true;
    policy->operations = alloc_array(count, sizeof policy->operations[0]);
    for (size_t i = 0; read && i < count; i++) {
        struct reading reading = {.file = file,
                                  .section = config_file_section(file, i),
                                  .operation = &policy->operations[policy->operation_count++],
                                  .error = &error};
        read = read_operation(&reading);
    }
    read = read && config_file_finish(file, &error);
    if (read && count == 0) {
        read = error_set(&error, ERROR_INVALID, "%s: there is no operation in it",
                         config_file_path(file));
    }
    if (!read && ret_error != NULL) {
        *ret_error = error;
    }
    if (read) { /* names are different: a section's keys cannot be given twice */
        qsort(policy->operations, count, sizeof policy->operations[0], compare_names);
    }
    return read;
}

bool operations_load(const char *path, struct policy *policy, struct error *ret_error)
{
    struct config_file *file = NULL;
    if (!config_file_load_exact(path, &file, ret_error)) {
        return ret_error == NULL || ret_error->kind == ERROR_INVALID
                   ? false
                   : error_hint(ret_error, "[policy] operations_file names it");
    }
    bool read = read_all(file, policy, ret_error);
    config_file_free(file);
    return read;
}

bool operations_parse(const char *name, const char *text, struct policy *policy,
                      struct error *ret_error)
{
    struct config_file *file = NULL;
    if (!config_file_parse_exact(name, text, &file, ret_error)) {
        return false;
    }
    bool read = read_all(file, policy, ret_error);
    config_file_free(file);
    return read;
}
