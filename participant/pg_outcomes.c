/*
 * pg_outcomes.c - the outcomes that were not compared with the coordinator's decisions yet (P-12).
 *
 * Run by the keeper. From where the last comparison ended (assent.witness) in the order of their transaction ids, a page at a
 * time. What the floor has passed was compared before, since no sweep counts earlier (P-13), and can not be asked about any more.
 *
 * A page is looked for in windows of transaction ids, narrow ones first. One query for all that lies above would read and sort all
 * of it for each page: seconds for a million rows, and longer than the keeper waits for ten. So many are above the mark after an
 * adoption, or where some transaction, of whichever database of the cluster, has held the horizon for hours.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "participant/pg_inquest.h"
#include "participant/pg_text.h"

/* Of ids, most of which belong to other transactions. The widest bounds what one query sorts. */
#define WINDOW_MIN 8192
#define WINDOW_MAX 1048576

/* $1: the journal; $2: the first id that is wanted. From where on, and the id above all that were given out. GREATEST passes over
 * NULL: without a witness nothing counts as compared. */
#define ABOVE_MARK                                                                                 \
    "GREATEST($2, (SELECT w.compared_xid FROM assent.witness w"                                    \
    " WHERE w.journal OPERATOR(pg_catalog.=) $1))"
#define NEXT_ID "pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())"
static const char next_bounds_sql[] = "SELECT " ABOVE_MARK ", " NEXT_ID;
/* Once, for the first page: the mark may lie billions below the first row. */
static const char first_bounds_sql[] =
    "SELECT pg_catalog.min(o.xid), " NEXT_ID
    " FROM assent.outcome o WHERE o.xid OPERATOR(pg_catalog.>=) " ABOVE_MARK;

/* $1: the journal; $2 to $3: the window; $4: how many at most. The epoch is text in the gid, and compared as a number. */
static const char window_sql[] =
    "SELECT o.gid, o.xid FROM assent.outcome o LEFT JOIN assent.witness w"
    "  ON w.journal OPERATOR(pg_catalog.=) $1"
    " WHERE o.xid OPERATOR(pg_catalog.>=) $2 AND o.xid OPERATOR(pg_catalog.<) $3"
    " AND pg_catalog.split_part(pg_catalog.split_part(o.gid, ':', 2), '-', 1)"
    "  OPERATOR(pg_catalog.=) $1"
    " AND (w.journal IS NULL"
    "  OR pg_catalog.split_part(pg_catalog.split_part(o.gid, ':', 2), '-', 2)::pg_catalog.numeric"
    "   OPERATOR(pg_catalog.>) w.floor_epoch::pg_catalog.numeric"
    "  OR (pg_catalog.split_part(pg_catalog.split_part(o.gid, ':', 2), '-', 2)::pg_catalog.numeric"
    "    OPERATOR(pg_catalog.=) w.floor_epoch::pg_catalog.numeric"
    "   AND o.sequence OPERATOR(pg_catalog.>) w.floor_sequence))"
    " ORDER BY o.xid LIMIT $4";

struct window {
    char journal[JOURNAL_ID_TEXT_SIZE];
    int64_t from;    /* INT64_MAX: nothing is left */
    int64_t next_id; /* no row is above it, but those that came from another cluster */
    int64_t width;
    size_t limit;
};

static int64_t number(const PGresult *result, int row, int column)
{
    return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

static bool window_begin(struct inquest *inquest, struct window *window,
                         const struct command_outcomes *outcomes)
{
    char first[32];
    (void)snprintf(first, sizeof first, "%" PRId64, (int64_t)(outcomes->after_xid + 1));
    const struct pg_query query = {
        .sql = outcomes->after_xid == 0 ? first_bounds_sql : next_bounds_sql,
        .param_count = 2,
        .types = (const Oid[]){PG_OID_TEXT, PG_OID_INT8},
        .values = (const char *const[]){window->journal, first},
    };
    PGresult *answer = NULL;
    if (!inquest_ask(inquest, &query, &answer)) {
        return false;
    }
    window->from = PQgetisnull(answer, 0, 0) != 0 ? INT64_MAX : number(answer, 0, 0);
    window->next_id = number(answer, 0, 1);
    window->width = WINDOW_MIN;
    PQclear(answer);
    return true;
}

/* Appends what this window has to the page, and moves on to the next one. */
static bool window_read(struct inquest *inquest, struct window *window)
{
    struct command_result *result = inquest->result;
    char from[32];
    char to[32];
    char limit[32];
    int64_t end =
        window->from < window->next_id ? window->from + window->width : INT64_MAX; /* the last */
    (void)snprintf(from, sizeof from, "%" PRId64, window->from);
    (void)snprintf(to, sizeof to, "%" PRId64, end);
    (void)snprintf(limit, sizeof limit, "%zu", window->limit - result->row_count);
    const struct pg_query query = {
        .sql = window_sql,
        .param_count = 4,
        .types = (const Oid[]){PG_OID_TEXT, PG_OID_INT8, PG_OID_INT8, PG_OID_INT8},
        .values = (const char *const[]){window->journal, from, to, limit},
    };
    PGresult *answer = NULL;
    if (!inquest_ask(inquest, &query, &answer)) {
        return false;
    }
    for (int i = 0; i < PQntuples(answer) && result->row_count < window->limit; i++) {
        struct prepared_row *row = &result->rows[result->row_count++];
        pg_text_copy(row->gid_text, sizeof row->gid_text, PQgetvalue(answer, i, 0));
        result->proof.xid8 = (uint64_t)number(answer, i, 1);
    }
    PQclear(answer);
    window->from = end;
    window->width = window->width < WINDOW_MAX ? 2 * window->width : WINDOW_MAX;
    return true;
}

/* Ends: each window begins above the one before, the last one at INT64_MAX, and all have one deadline. */
static bool read_page(struct inquest *inquest, const struct command_outcomes *outcomes)
{
    struct window window = {.limit = outcomes->limit};
    journal_id_format(&outcomes->journal, window.journal);
    if (!window_begin(inquest, &window, outcomes)) {
        return false;
    }
    while (window.from != INT64_MAX && inquest->result->row_count < window.limit) {
        if (!window_read(inquest, &window)) {
            return false;
        }
    }
    inquest->result->class = PG_OK;
    return true;
}

bool pg_outcomes_read(struct pg_member *keeper, const struct command_outcomes *outcomes,
                      struct command_result *result)
{
    struct inquest inquest = {.keeper = keeper,
                              .result = result,
                              .deadline_ms = clock_monotonic_ms() + PG_KEEPER_TIMEOUT_MS};
    result->rows = alloc_array(outcomes->limit, sizeof result->rows[0]);
    if (!read_page(&inquest, outcomes)) {
        result->row_count = 0; /* a part of a page is none */
    }
    return !inquest.broken;
}
