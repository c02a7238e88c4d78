/* config_file_read.c - reading a file into a struct config_file. The only user of inih. */
#include "common/config_file_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "common/alloc.h"

#define SECTION_NAME_SIZE 128

/* What the reader and the handler share while inih parses. inih tells the handler neither the line
 * nor (beyond 50 bytes) the whole section name, so the reader, which sees every line, remembers
 * both. */
struct parse {
    struct config_file *file;
    FILE *stream;
    int line;
    bool continues; /* the present line is indented: it goes on with the value before */
    bool failed;
    bool exact;
    char section[SECTION_NAME_SIZE];
    struct error *error;
};

static bool parse_fail(struct parse *parse, const char *text, const char *hint)
{
    if (!parse->failed) {
        parse->failed = true;
        error_set(parse->error, ERROR_INVALID, "%s:%d: %s", parse->file->path, parse->line, text);
        error_hint(parse->error, "%s", hint);
    }
    return false;
}

static void file_add_section(struct config_file *file, const char *name, int line)
{
    for (size_t i = 0; i < file->section_count; i++) {
        if (strcmp(file->sections[i], name) == 0) {
            return;
        }
    }
    if (file->section_count == file->section_capacity) {
        file->section_capacity = file->section_capacity == 0 ? 8 : file->section_capacity * 2;
        file->sections =
            alloc_resize(file->sections, file->section_capacity, sizeof(*file->sections));
        file->section_lines =
            alloc_resize(file->section_lines, file->section_capacity, sizeof(*file->section_lines));
    }
    file->sections[file->section_count] = alloc_string(name);
    file->section_lines[file->section_count] = line;
    file->section_count++;
}

static void parse_section_line(struct parse *parse, const char *text)
{
    const char *end = strchr(text, ']');
    if (end == NULL) {
        parse_fail(parse, "a section's closing bracket is missing", "write [section]");
        return;
    }
    size_t size = (size_t)(end - text - 1);
    if (size == 0 || size >= sizeof(parse->section)) {
        parse_fail(parse, "the section's name is empty or too long", "write [section]");
        return;
    }
    const char *rest = end + 1 + strspn(end + 1, " \t\r\n");
    if (parse->exact && *rest != '\0' && *rest != ';' && *rest != '#') {
        parse_fail(parse, "what stands behind the section's bracket would be lost",
                   "write each key on a line of its own");
        return;
    }
    if (parse->file->section_count == CONFIG_FILE_ENTRY_MAX) { /* they are compared pairwise */
        parse_fail(parse, "too many sections in one file", "4096 is the limit");
        return;
    }
    memcpy(parse->section, text + 1, size);
    parse->section[size] = '\0';
    file_add_section(parse->file, parse->section, parse->line);
}

/* What inih would take for a comment, and its reader for a section. text: the line without its indentation. */
static void parse_check_exact(struct parse *parse, const char *line, const char *text)
{
    if (parse->continues && (*text == ';' || *text == '#' || *text == '[')) {
        parse_fail(parse, "an indented line that begins with ';', '#' or '[' is no part of a value",
                   "let it begin with another word; comments begin in the first column");
        return;
    }
    if (*text == ';' || *text == '#' || *text == '[') {
        return;
    }
    for (const char *c = line; *c != '\0'; c++) {
        if (isspace((unsigned char)c[0]) && c[1] == ';') {
            parse_fail(parse, "what follows a blank and a semicolon would be lost as a comment",
                       "leave the blank or the semicolon out; comments are lines of their own");
            return;
        }
    }
}

/* Has fgets read a NUL? The line was filled with something else before, so fgets's own NUL is the last there is. */
static bool line_has_nul(const char *line, size_t size)
{
    while (size > 0 && line[size - 1] != '\0') {
        size--;
    }
    return size > 0 && strlen(line) != size - 1;
}

/* fgets for inih: also counts lines, watches for lines that inih would cut, and keeps the section's
 * name. */
static char *parse_read_line(char *line, int size, void *user)
{
    struct parse *parse = user;
    memset(line, '\n', (size_t)size);
    if (parse->failed || fgets(line, size, parse->stream) == NULL) {
        return NULL;
    }
    parse->line++;
    if (line_has_nul(line, (size_t)size)) {
        parse_fail(parse, "the line has a NUL byte, and what follows it would be lost",
                   "this is no text file, or a damaged one");
        return NULL;
    }
    size_t length = strlen(line);
    if (length + 1 == (size_t)size && line[length - 1] != '\n') {
        parse_fail(parse, "the line is too long (199 bytes is the limit)",
                   "continue the value on the next line, indented");
        return NULL;
    }
    const char *text = line;
    while (isspace((unsigned char)*text)) {
        text++;
    }
    parse->continues = text != line && *text != '\0';
    if (parse->exact) {
        parse_check_exact(parse, line, text);
    }
    if (*text == '[') {
        parse_section_line(parse, text);
    }
    return parse->failed ? NULL : line;
}

static void entry_append(struct config_entry *entry, const char *value)
{
    size_t old_size = strlen(entry->value);
    size_t size = old_size + 1 + strlen(value) + 1;
    entry->value = alloc_resize(entry->value, size, 1);
    snprintf(entry->value + old_size, size - old_size, " %s", value);
}

static int parse_handle(void *user, const char *inih_section, const char *key, const char *value)
{
    struct parse *parse = user;
    struct config_file *file = parse->file;
    (void)inih_section; /* may be cut; ours is whole */
    if (parse->section[0] == '\0') {
        return parse_fail(parse, "a key before the first section", "put it under a [section]");
    }
    struct config_entry *known = config_file_find(file, parse->section, key);
    if (known != NULL) {
        if (!parse->continues || known != &file->entries[file->entry_count - 1]) {
            return parse_fail(parse, "the key was given before in this section",
                              "keep one of the two lines");
        }
        entry_append(known, value);
        return 1;
    }
    if (file->entry_count == CONFIG_FILE_ENTRY_MAX) {
        return parse_fail(parse, "too many keys in one file", "4096 is the limit");
    }
    if (file->entry_count == file->entry_capacity) {
        file->entry_capacity = file->entry_capacity == 0 ? 32 : file->entry_capacity * 2;
        file->entries = alloc_resize(file->entries, file->entry_capacity, sizeof(*file->entries));
    }
    file->entries[file->entry_count++] = (struct config_entry){
        .section = alloc_string(parse->section),
        .key = alloc_string(key),
        .value = alloc_string(value),
        .line = parse->line,
    };
    return 1;
}

static bool file_read(const char *name, FILE *stream, bool exact, struct config_file **ret_file,
                      struct error *ret_error)
{
    struct config_file *file = alloc_zeroed(sizeof(*file));
    file->path = alloc_string(name);
    struct parse parse = {.file = file, .stream = stream, .exact = exact, .error = ret_error};
    int bad_line = ini_parse_stream(parse_read_line, &parse, parse_handle, &parse);
    if (!parse.failed && ferror(stream)) {
        parse.failed = true;
        error_set_errno(ret_error, ERROR_IO, errno, "cannot read %s", name);
    }
    if (!parse.failed && bad_line != 0) {
        parse.line = bad_line;
        parse_fail(&parse, "neither a section, a key with a value, nor a comment",
                   "write key = value");
    }
    if (parse.failed) {
        config_file_free(file);
        return false;
    }
    *ret_file = file;
    return true;
}

static bool file_load(const char *path, bool exact, struct config_file **ret_file,
                      struct error *ret_error)
{
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        int errnum = errno;
        error_set_errno(ret_error, errnum == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, errnum,
                        "cannot read the configuration file %s", path);
        return error_hint(ret_error, "name it with --config FILE");
    }
    bool ok = file_read(path, stream, exact, ret_file, ret_error);
    fclose(stream);
    return ok;
}

bool config_file_load(const char *path, struct config_file **ret_file, struct error *ret_error)
{
    return file_load(path, false, ret_file, ret_error);
}

bool config_file_load_exact(const char *path, struct config_file **ret_file,
                            struct error *ret_error)
{
    return file_load(path, true, ret_file, ret_error);
}

static bool text_parse(const char *name, const char *text, bool exact,
                       struct config_file **ret_file, struct error *ret_error)
{
    /* fmemopen refuses an empty buffer on some systems; a lone newline says the same. */
    size_t size = strlen(text);
    const char *bytes = size > 0 ? text : "\n";
    char *copy = alloc_string(bytes);
    FILE *stream = fmemopen(copy, strlen(bytes), "r");
    if (stream == NULL) {
        int errnum = errno;
        free(copy);
        return error_set_errno(ret_error, ERROR_SYSTEM, errnum, "cannot read %s", name);
    }
    bool ok = file_read(name, stream, exact, ret_file, ret_error);
    fclose(stream);
    free(copy);
    return ok;
}

bool config_file_parse(const char *name, const char *text, struct config_file **ret_file,
                       struct error *ret_error)
{
    return text_parse(name, text, false, ret_file, ret_error);
}

bool config_file_parse_exact(const char *name, const char *text, struct config_file **ret_file,
                             struct error *ret_error)
{
    return text_parse(name, text, true, ret_file, ret_error);
}
