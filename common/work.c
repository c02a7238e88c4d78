/*
 * work.c - payloads to bytes, and their release. Reading them is in work_decode.c.
 */
#include "common/work.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/codec_write.h"
#include "common/work_format.h"

static struct blob *buffer_to_blob(struct codec_buffer *buffer)
{
    struct blob *blob = blob_new(buffer->bytes, buffer->size_bytes);
    codec_buffer_done(buffer);
    return blob;
}

/* Statements and parameters go as they are: a changed byte would be another statement. What is not
 * UTF-8 is refused by the reader, hence a no vote. */
static void write_exact_or_nil(struct codec_buffer *buffer, const char *text)
{
    if (text == NULL) {
        write_nil(buffer);
    } else {
        write_text_exact(buffer, text, strlen(text));
    }
}

static void write_texts(struct codec_buffer *buffer, size_t count, char **texts)
{
    write_array(buffer, count);
    for (size_t i = 0; i < count; i++) {
        write_exact_or_nil(buffer, texts[i]);
    }
}

static void write_statement(struct codec_buffer *buffer, const struct statement *statement)
{
    CHECK((statement->sql == NULL) != (statement->operation == NULL));
    if (statement->operation == NULL) {
        write_array(buffer, STATEMENT_ELEMENTS);
        write_exact_or_nil(buffer, statement->sql);
    } else {
        write_array(buffer, OPERATION_ELEMENTS);
        write_exact_or_nil(buffer, statement->operation);
        write_texts(buffer, statement->param_count, statement->arg_names);
    }
    write_texts(buffer, statement->param_count, statement->params);
    if (statement->expect_rows == EXPECT_ROWS_ANY) {
        write_nil(buffer);
    } else {
        write_int(buffer, statement->expect_rows);
    }
}

struct blob *work_encode(const struct work *work)
{
    struct codec_buffer buffer = {0};
    write_array(&buffer, 2);
    write_uint(&buffer, PAYLOAD_VERSION);
    write_array(&buffer, work->statement_count);
    for (size_t i = 0; i < work->statement_count; i++) {
        write_statement(&buffer, &work->statements[i]);
    }
    return buffer_to_blob(&buffer);
}

/* There are at most OPERATION_ARGS_MAX, so the plainest way will do. */
bool statement_sort_args(struct statement *statement)
{
    char **names = statement->arg_names;
    for (size_t i = 1; i < statement->param_count; i++) {
        char *name = names[i], *param = statement->params[i];
        size_t at = i;
        for (; at > 0 && strcmp(names[at - 1], name) > 0; at--) {
            names[at] = names[at - 1];
            statement->params[at] = statement->params[at - 1];
        }
        names[at] = name;
        statement->params[at] = param;
    }
    for (size_t i = 1; i < statement->param_count; i++) {
        if (strcmp(names[i - 1], names[i]) == 0) {
            return false;
        }
    }
    return true;
}

void work_done(struct work *work)
{
    for (size_t i = 0; i < work->statement_count; i++) {
        struct statement *statement = &work->statements[i];
        for (size_t p = 0; p < statement->param_count; p++) {
            free(statement->params[p]);
            if (statement->arg_names != NULL) {
                free(statement->arg_names[p]);
            }
        }
        free(statement->params);
        free(statement->arg_names);
        free(statement->operation);
        free(statement->sql);
    }
    free(work->statements);
    *work = (struct work){0};
}

static void write_result(struct codec_buffer *buffer, const struct result *result)
{
    write_array(buffer, RESULT_ELEMENTS);
    write_text_or_nil(buffer, result->command == NULL ? "" : result->command);
    write_int(buffer, result->rows_affected);
    write_array(buffer, result->column_count);
    for (size_t c = 0; c < result->column_count; c++) {
        const struct result_column *column = &result->columns[c];
        write_array(buffer, COLUMN_ELEMENTS);
        write_text_or_nil(buffer, column->name == NULL ? "" : column->name);
        write_text_or_nil(buffer, column->type == NULL ? "" : column->type);
        write_uint(buffer, column->oid);
    }
    write_array(buffer, result->row_count);
    for (size_t row = 0; row < result->row_count; row++) {
        write_array(buffer, result->column_count);
        for (size_t c = 0; c < result->column_count; c++) {
            write_text_or_nil(buffer, result->values[row * result->column_count + c]);
        }
    }
}

struct blob *results_encode(const struct results *results)
{
    struct codec_buffer buffer = {0};
    write_array(&buffer, 2);
    write_uint(&buffer, PAYLOAD_VERSION);
    write_array(&buffer, results->result_count);
    for (size_t i = 0; i < results->result_count; i++) {
        write_result(&buffer, &results->results[i]);
    }
    return buffer_to_blob(&buffer);
}

static void result_done(struct result *result)
{
    for (size_t c = 0; c < result->column_count; c++) {
        free(result->columns[c].name);
        free(result->columns[c].type);
    }
    for (size_t v = 0; v < result->row_count * result->column_count; v++) {
        free(result->values[v]);
    }
    free(result->columns);
    free(result->values);
    free(result->command);
}

void results_done(struct results *results)
{
    for (size_t i = 0; i < results->result_count; i++) {
        result_done(&results->results[i]);
    }
    free(results->results);
    *results = (struct results){0};
}

struct blob *pg_report_encode(const struct pg_report *report)
{
    struct codec_buffer buffer = {0};
    write_array(&buffer, REPORT_ELEMENTS);
    write_uint(&buffer, PAYLOAD_VERSION);
    write_text_or_nil(&buffer, report->message);
    write_text_or_nil(&buffer, report->detail);
    write_text_or_nil(&buffer, report->hint);
    write_text_or_nil(&buffer, report->constraint);
    write_text_or_nil(&buffer, report->table);
    write_text_or_nil(&buffer, report->column);
    write_int(&buffer, report->statement_index);
    return buffer_to_blob(&buffer);
}

void pg_report_done(struct pg_report *report)
{
    free(report->message);
    free(report->detail);
    free(report->hint);
    free(report->constraint);
    free(report->table);
    free(report->column);
    *report = (struct pg_report){0};
}
