/*
 * history_read.c - reads a history line by line and hands each to the function for its type.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "tests/checker/reader.h"

#define LINE_MAX_BYTES (64u << 20)
#define CHUNK_BYTES    (256u << 10)

static const struct line_kind {
    const char *type;
    bool (*read)(struct reader *reader, const json_t *line);
} line_kinds[] = {
    {"op", read_op},           {"sample", read_sample},
    {"nemesis", read_nemesis}, {"heuristic", read_heuristic},
    {"dump", read_dump},       {"answer", read_answer},
    {"state", read_state},     {"meta", read_meta},
    {"end", read_end},
};

/* The file, of which buffer[start..end) is read and not used yet. */
struct source {
    const char *path;
    FILE *file;
    char *buffer;
    size_t start, end, size;
    bool at_end;
};

enum line_status { LINE_GOOD, LINE_CUT, LINE_NONE, LINE_TOO_LONG, LINE_IO };

/* Reads more behind what is there; false at the end of the file. */
static bool source_more(struct source *source)
{
    if (source->start > 0) {
        memmove(source->buffer, source->buffer + source->start, source->end - source->start);
        source->end -= source->start;
        source->start = 0;
    }
    if (source->size - source->end < CHUNK_BYTES) {
        source->size = source->end + source->end / 2 + CHUNK_BYTES;
        source->buffer = mem_resized(source->buffer, source->size, 1);
    }
    size_t count = fread(source->buffer + source->end, 1, source->size - source->end, source->file);
    source->end += count;
    source->at_end = count == 0;
    return count > 0;
}

/* The next line without its newline. Lends until the next call. */
static enum line_status source_line(struct source *source, const char **ret_text,
                                    size_t *ret_length)
{
    size_t looked = 0;
    for (;;) {
        char *begin = source->buffer + source->start;
        size_t length = source->end - source->start;
        char *newline = length > looked ? memchr(begin + looked, '\n', length - looked) : NULL;
        if (newline) {
            *ret_text = begin;
            *ret_length = (size_t)(newline - begin);
            source->start += *ret_length + 1;
            return *ret_length > LINE_MAX_BYTES ? LINE_TOO_LONG : LINE_GOOD;
        }
        if (length > LINE_MAX_BYTES) {
            return LINE_TOO_LONG;
        }
        looked = length;
        if (!source_more(source)) {
            return ferror(source->file) ? LINE_IO : length > 0 ? LINE_CUT : LINE_NONE;
        }
    }
}

static bool read_value(struct reader *reader, const json_t *line)
{
    if (!json_is_object(line)) {
        return reader_fail(reader, "not a JSON object");
    }
    const char *type = json_string_value(json_object_get(line, "type"));
    if (!type) {
        return reader_fail(reader, "\"type\" is missing or not a string");
    }
    if (!reader->history->has_meta && strcmp(type, "meta") != 0) {
        return reader_fail(reader, "the first line is not \"meta\"");
    }
    if (reader->history->has_end) {
        return reader_fail(reader, "a line after \"end\"");
    }
    for (size_t i = 0; i < sizeof line_kinds / sizeof line_kinds[0]; i++) {
        if (strcmp(type, line_kinds[i].type) == 0) {
            return line_kinds[i].read(reader, line);
        }
    }
    return reader_fail(reader, "\"type\" is \"%.40s\", which the format does not have", type);
}

static bool read_line(struct reader *reader, const char *text, size_t length)
{
    json_error_t error;
    json_t *line = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!line) {
        return reader_fail(reader, "not JSON: %s (column %d)", error.text, error.column);
    }
    bool good = read_value(reader, line);
    json_decref(line);
    return good;
}

static bool read_lines(struct reader *reader, struct source *source, bool partial)
{
    for (;;) {
        const char *text = NULL;
        size_t length = 0;
        enum line_status status = source_line(source, &text, &length);
        switch (status) {
        case LINE_NONE:
            return true;
        case LINE_GOOD:
            reader->line++;
            if (reader->line > UINT32_MAX) {
                return reader_fail(reader, "too many lines");
            }
            if (!read_line(reader, text, length)) {
                return false;
            }
            break;
        case LINE_CUT:
            reader->line++;
            return partial ||
                   reader_fail(reader, "the file ends within this line: it was cut (--partial "
                                       "checks it as far as it goes)");
        case LINE_TOO_LONG:
            reader->line++;
            return reader_fail(reader, "longer than %u MiB", LINE_MAX_BYTES >> 20);
        case LINE_IO:
            reader_fail(reader, "%s: %s", source->path, strerror(errno));
            reader->problem->exit_code = EX_IOERR;
            reader->problem->line = 0; /* the whole file's trouble */
            return false;
        }
    }
}

static bool read_whole(struct reader *reader, struct source *source, bool partial)
{
    if (!read_lines(reader, source, partial)) {
        return false;
    }
    struct history *history = reader->history;
    history->line_count = reader->line;
    if (!history->has_meta) {
        reader->line = 1;
        return reader_fail(reader, "the history is empty");
    }
    if (!history->has_end && !partial) {
        reader->line++;
        return reader_fail(reader, "there is no \"end\": the file was cut (--partial checks it as "
                                   "far as it goes)");
    }
    history->cut = !history->has_end;
    return true;
}

bool history_read(const char *path, bool partial, struct history *ret_history,
                  struct problem *ret_problem)
{
    *ret_history = (struct history){.end_reason = NAME_NONE};
    *ret_problem = (struct problem){0};
    struct reader reader = {.history = ret_history, .problem = ret_problem};
    struct source source = {.path = path,
                            .file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re")};
    if (!source.file) {
        reader_fail(&reader, "%s: %s", path, strerror(errno));
        ret_problem->exit_code = EX_NOINPUT;
        return false;
    }
    bool good = read_whole(&reader, &source, partial);
    if (source.file != stdin) {
        fclose(source.file);
    }
    free(source.buffer);
    vec_done(&reader.numbers);
    if (!good) {
        history_done(ret_history);
    }
    return good;
}

void history_done(struct history *history)
{
    names_done(&history->names);
    vec_done(&history->meta.workloads);
    vec_done(&history->databases);
    vec_done(&history->ops);
    vec_done(&history->micros);
    vec_done(&history->txns);
    vec_done(&history->key_txns);
    pairs_done(&history->txn_pairs);
    pairs_done(&history->op_numbers);
    pairs_done(&history->object_pairs);
    for (size_t i = 0; i < history->objects.count; i++) {
        free(history->objects.items[i].elements);
    }
    vec_done(&history->objects);
    vec_done(&history->conflicts);
    vec_done(&history->unseen);
    vec_done(&history->effects);
    vec_done(&history->nemeses);
    vec_done(&history->nemesis_keys);
    vec_done(&history->heuristics);
    vec_done(&history->answers);
    vec_done(&history->samples);
    vec_done(&history->process_samples);
    vec_done(&history->prepared);
    vec_done(&history->unfinished);
    vec_done(&history->in_doubt);
    vec_done(&history->prepared_db);
    *history = (struct history){0};
}

const char *object_name(const struct history *history, uint32_t index, char *buffer, size_t size)
{
    const struct object *object = &history->objects.items[index];
    snprintf(buffer, size, "%s:%s",
             names_text(&history->names, history->databases.items[object->db].name),
             names_text(&history->names, object->name));
    return buffer;
}
