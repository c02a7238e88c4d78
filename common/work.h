/*
 * work.h - what travels inside blobs: a branch's statements, its results, and PostgreSQL's
 * complaint.
 *
 * The edges build and read these; the cores pass the blobs on unread. The encodings are msgpack
 * (see docs/PROTOCOL.md, "Payloads"); decoders check every count against the bytes that remain
 * before they allocate anything (R1), so a hostile payload costs at most a small multiple of its
 * own size.
 */
#ifndef ASSENT_COMMON_WORK_H
#define ASSENT_COMMON_WORK_H

#include "common/blob.h"
#include "common/error.h"

/* Any number of rows is fine where expect_rows is this. */
#define EXPECT_ROWS_ANY (-1)

/* Either SQL with its parameters, or a named operation of the agent (participant/policy.h) with its arguments. All texts
 * are owned, UTF-8, and have no NUL inside. */
struct statement {
    char *sql;       /* NULL: an operation */
    char *operation; /* its name; NULL: SQL */
    size_t param_count;
    char **arg_names; /* of an operation, one for each of params, strictly ascending; else NULL */
    char **params;    /* text, or NULL for SQL NULL */
    int64_t expect_rows; /* EXPECT_ROWS_ANY or the exact number */
};

#define OPERATION_ARGS_MAX 64 /* in one call, and parameters of one operation */

/* Puts an operation's arguments into the order of their names. False: one of them is given twice. */
bool statement_sort_args(struct statement *statement);

struct work {
    size_t statement_count;
    struct statement *statements;
};

struct blob *work_encode(const struct work *work); /* returns owned */
bool work_decode(const struct blob *blob, struct work *ret_work, struct error *ret_error);
void work_done(struct work *work);

struct result_column {
    char *name;
    char *type; /* PostgreSQL's type name, "int4" */
    uint32_t oid;
};

struct result {
    char *command; /* command tag, "INSERT 0 1" */
    int64_t rows_affected;
    size_t column_count;
    struct result_column *columns;
    size_t row_count;
    char **values; /* row_count * column_count texts, NULL for SQL NULL */
};

struct results {
    size_t result_count;
    struct result *results;
};

struct blob *results_encode(const struct results *results);
bool results_decode(const struct blob *blob, struct results *ret_results, struct error *ret_error);
void results_done(struct results *results);

/* What PostgreSQL said, every text may be NULL. statement_index is 0-based, -1 where none is to
 * blame. */
struct pg_report {
    char *message;
    char *detail;
    char *hint;
    char *constraint;
    char *table;
    char *column;
    int32_t statement_index;
};

struct blob *pg_report_encode(const struct pg_report *report);
bool pg_report_decode(const struct blob *blob, struct pg_report *ret_report,
                      struct error *ret_error);
void pg_report_done(struct pg_report *report);

#endif
