/*
 * work_decode.c - payloads from bytes that nobody has checked yet.
 *
 * Each reader counts what it allocated in the struct it fills, so the usual _done function releases
 * a half-read payload. Allocation is bounded by the input: an element's smallest encoding is
 * compared with the bytes that remain before its array is made.
 */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/codec_read.h"
#include "common/work.h"
#include "common/work_format.h"

/* Smallest encodings: an array header and one byte for each element. */
#define STATEMENT_BYTES (1 + STATEMENT_ELEMENTS)
#define RESULT_BYTES    (1 + RESULT_ELEMENTS)
#define COLUMN_BYTES    (1 + COLUMN_ELEMENTS)

static bool read_text_copy(struct read_cursor *cursor, char **ret_text)
{
    const char *text;
    size_t size_bytes;
    if (!read_text(cursor, &text, &size_bytes)) {
        return false;
    }
    *ret_text = alloc_bytes(text, size_bytes);
    return true;
}

static bool read_text_copy_or_nil(struct read_cursor *cursor, char **ret_text)
{
    if (read_nil(cursor)) {
        *ret_text = NULL;
        return true;
    }
    return read_text_copy(cursor, ret_text);
}

static bool read_version(struct read_cursor *cursor)
{
    uint64_t version;
    if (!read_uint(cursor, UINT32_MAX, &version)) {
        return false;
    }
    return version == PAYLOAD_VERSION || read_fail(cursor, "another version of the format");
}

/* Nothing may follow a payload. */
static bool finish(struct read_cursor *cursor, bool well, const char *what, struct error *ret_error)
{
    if (well && read_remaining(cursor) > 0) {
        well = read_fail(cursor, "bytes are left over at the end");
    }
    return well || error_set(ret_error, ERROR_INVALID, "unreadable %s: %s", what, cursor->fault);
}

static bool read_params(struct read_cursor *cursor, struct statement *statement)
{
    size_t count;
    if (!read_array(cursor, 1, &count)) {
        return false;
    }
    if (count > 0) {
        statement->params = alloc_array(count, sizeof *statement->params);
    }
    while (statement->param_count < count) {
        if (!read_text_copy_or_nil(cursor, &statement->params[statement->param_count])) {
            return false;
        }
        statement->param_count++;
    }
    return true;
}

/* One form for one content, so that the hash of a key does not depend on an order (P-18). */
static bool read_args(struct read_cursor *cursor, struct statement *statement)
{
    size_t count;
    if (!read_array(cursor, 1, &count)) {
        return false;
    }
    if (count > OPERATION_ARGS_MAX) {
        return read_fail(cursor, "an operation has too many arguments");
    }
    /* What is not read yet is NULL, and released like the rest. */
    statement->param_count = count;
    statement->arg_names = alloc_array(count, sizeof *statement->arg_names);
    statement->params = alloc_array(count, sizeof *statement->params);
    for (size_t i = 0; i < count; i++) {
        if (!read_text_copy(cursor, &statement->arg_names[i])) {
            return false;
        }
        if (i > 0 && strcmp(statement->arg_names[i - 1], statement->arg_names[i]) >= 0) {
            return read_fail(cursor, "the names of arguments do not ascend");
        }
    }
    if (!read_array_of(cursor, count)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!read_text_copy_or_nil(cursor, &statement->params[i])) {
            return false;
        }
    }
    return true;
}

static bool read_statement(struct read_cursor *cursor, struct statement *statement)
{
    size_t elements;
    if (!read_array(cursor, 1, &elements)) {
        return false;
    }
    if (elements != STATEMENT_ELEMENTS && elements != OPERATION_ELEMENTS) {
        return read_fail(cursor, "a statement has the wrong number of elements");
    }
    bool well = elements == STATEMENT_ELEMENTS
                    ? read_text_copy(cursor, &statement->sql) && read_params(cursor, statement)
                    : read_text_copy(cursor, &statement->operation) && read_args(cursor, statement);
    if (!well) {
        return false;
    }
    if (read_nil(cursor)) {
        statement->expect_rows = EXPECT_ROWS_ANY;
        return true;
    }
    return read_int(cursor, 0, INT64_MAX, &statement->expect_rows);
}

static bool read_work(struct read_cursor *cursor, struct work *work)
{
    size_t count;
    if (!read_array_of(cursor, 2) || !read_version(cursor) ||
        !read_array(cursor, STATEMENT_BYTES, &count)) {
        return false;
    }
    if (count > 0) {
        work->statements = alloc_array(count, sizeof *work->statements);
    }
    while (work->statement_count < count) {
        work->statement_count++; /* a half-read statement is released like a whole one */
        if (!read_statement(cursor, &work->statements[work->statement_count - 1])) {
            return false;
        }
    }
    return true;
}

bool work_decode(const struct blob *blob, struct work *ret_work, struct error *ret_error)
{
    struct read_cursor cursor;
    struct work work = {0};
    read_start(&cursor, blob->bytes, blob->size_bytes);
    if (!finish(&cursor, read_work(&cursor, &work), "work", ret_error)) {
        work_done(&work);
        return false;
    }
    *ret_work = work;
    return true;
}

static bool read_columns(struct read_cursor *cursor, struct result *result)
{
    size_t count;
    if (!read_array(cursor, COLUMN_BYTES, &count)) {
        return false;
    }
    if (count > 0) {
        result->columns = alloc_array(count, sizeof *result->columns);
    }
    while (result->column_count < count) {
        struct result_column *column = &result->columns[result->column_count++];
        uint64_t oid;
        if (!read_array_of(cursor, COLUMN_ELEMENTS) || !read_text_copy(cursor, &column->name) ||
            !read_text_copy(cursor, &column->type) || !read_uint(cursor, UINT32_MAX, &oid)) {
            return false;
        }
        column->oid = (uint32_t)oid;
    }
    return true;
}

static bool read_rows(struct read_cursor *cursor, struct result *result)
{
    size_t count;
    /* Each row has an array header of its own, even without columns, so rows are never free. */
    if (!read_array(cursor, 1 + result->column_count, &count)) {
        return false;
    }
    if (count > 0 && result->column_count > 0) {
        result->values = alloc_array(count * result->column_count, sizeof *result->values);
    }
    for (size_t row = 0; row < count; row++) {
        if (!read_array_of(cursor, result->column_count)) {
            return false;
        }
        result->row_count = row + 1; /* values not yet read are NULL */
        for (size_t c = 0; c < result->column_count; c++) {
            if (!read_text_copy_or_nil(cursor, &result->values[row * result->column_count + c])) {
                return false;
            }
        }
    }
    return true;
}

static bool read_results(struct read_cursor *cursor, struct results *results)
{
    size_t count;
    if (!read_array_of(cursor, 2) || !read_version(cursor) ||
        !read_array(cursor, RESULT_BYTES, &count)) {
        return false;
    }
    if (count > 0) {
        results->results = alloc_array(count, sizeof *results->results);
    }
    while (results->result_count < count) {
        struct result *result = &results->results[results->result_count++];
        if (!read_array_of(cursor, RESULT_ELEMENTS) || !read_text_copy(cursor, &result->command) ||
            !read_int(cursor, INT64_MIN, INT64_MAX, &result->rows_affected) ||
            !read_columns(cursor, result) || !read_rows(cursor, result)) {
            return false;
        }
    }
    return true;
}

bool results_decode(const struct blob *blob, struct results *ret_results, struct error *ret_error)
{
    struct read_cursor cursor;
    struct results results = {0};
    read_start(&cursor, blob->bytes, blob->size_bytes);
    if (!finish(&cursor, read_results(&cursor, &results), "results", ret_error)) {
        results_done(&results);
        return false;
    }
    *ret_results = results;
    return true;
}

static bool read_report(struct read_cursor *cursor, struct pg_report *report)
{
    int64_t statement_index;
    if (!read_array_of(cursor, REPORT_ELEMENTS) || !read_version(cursor) ||
        !read_text_copy_or_nil(cursor, &report->message) ||
        !read_text_copy_or_nil(cursor, &report->detail) ||
        !read_text_copy_or_nil(cursor, &report->hint) ||
        !read_text_copy_or_nil(cursor, &report->constraint) ||
        !read_text_copy_or_nil(cursor, &report->table) ||
        !read_text_copy_or_nil(cursor, &report->column) ||
        !read_int(cursor, -1, INT32_MAX, &statement_index)) {
        return false;
    }
    report->statement_index = (int32_t)statement_index;
    return true;
}

bool pg_report_decode(const struct blob *blob, struct pg_report *ret_report,
                      struct error *ret_error)
{
    struct read_cursor cursor;
    struct pg_report report = {0};
    read_start(&cursor, blob->bytes, blob->size_bytes);
    if (!finish(&cursor, read_report(&cursor, &report), "report", ret_error)) {
        pg_report_done(&report);
        return false;
    }
    *ret_report = report;
    return true;
}
