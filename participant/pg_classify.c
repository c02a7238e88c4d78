/* pg_classify.c - see pg_classify.h. */
#include "participant/pg_classify.h"

#include <string.h>

static const char *text_of(const char *text)
{
    return text == NULL ? "" : text;
}

static bool has_class(const char *sqlstate, const char *prefix)
{
    return strncmp(sqlstate, prefix, strlen(prefix)) == 0;
}

/* Too few or too many parameters for a statement: an ERROR after which the server reads on to the next Sync. Where the
 * connection ends with this code the severity is FATAL. */
static bool is_refused_bind(const struct pg_error *error)
{
    return strcmp(text_of(error->sqlstate), "08P01") == 0 &&
           strcmp(text_of(error->severity), "ERROR") == 0;
}

bool pg_classify_lost(const struct pg_error *error)
{
    const char *sqlstate = text_of(error->sqlstate);
    if (is_refused_bind(error)) {
        return false;
    }
    return sqlstate[0] == '\0' || has_class(sqlstate, "08") || has_class(sqlstate, "57P0") ||
           strcmp(text_of(error->severity), "FATAL") == 0 ||
           strcmp(text_of(error->severity), "PANIC") == 0;
}

/* Exact codes first, then classes; the order of the table is the order of the search. */
static const struct {
    const char *prefix;
    enum reason reason;
} statement_reasons[] = {
    {"40001", REASON_SERIALIZATION},
    {"40P01", REASON_DEADLOCK},
    {"40002", REASON_CONSTRAINT},
    {"55P03", REASON_LOCK_TIMEOUT}, /* also NOWAIT */
    {"57014", REASON_TIMEOUT}, /* statement_timeout is ours; a cancel is told apart by the caller */
    {"25P03", REASON_TIMEOUT}, /* the server's idle_in_transaction_session_timeout */
    {"25P04", REASON_TIMEOUT}, /* the server's transaction_timeout */
    {"2D000",
     REASON_REJECTED_BY_POLICY}, /* a procedure or DO block that would end the transaction */
    {"23", REASON_CONSTRAINT},
    {"53", REASON_CAPACITY},
    {"08", REASON_PARTICIPANT_UNAVAILABLE},
    {"57P0", REASON_PARTICIPANT_UNAVAILABLE},
};

enum reason pg_classify_statement(const struct pg_error *error)
{
    const char *sqlstate = text_of(error->sqlstate);
    if (sqlstate[0] == '\0') {
        return REASON_PARTICIPANT_UNAVAILABLE;
    }
    if (is_refused_bind(error)) {
        return REASON_STATEMENT_FAILED;
    }
    for (size_t i = 0; i < sizeof statement_reasons / sizeof statement_reasons[0]; i++) {
        if (has_class(sqlstate, statement_reasons[i].prefix)) {
            return statement_reasons[i].reason;
        }
    }
    return REASON_STATEMENT_FAILED;
}

enum pg_class pg_classify_prepare(const struct pg_error *error, enum reason *ret_reason)
{
    const char *sqlstate = text_of(error->sqlstate);
    /* 40003 says "completion unknown"; a dying backend may have prepared before it died. PREPARE has no parameters
     * that a bind could be refused for, so its 08P01 tells nothing. */
    if (pg_classify_lost(error) || strcmp(sqlstate, "40003") == 0 || is_refused_bind(error)) {
        *ret_reason = REASON_PARTICIPANT_UNAVAILABLE;
        return PG_UNKNOWN;
    }
    if (strcmp(sqlstate, "0A000") == 0 || strcmp(sqlstate, "54000") == 0) {
        *ret_reason =
            REASON_NOT_PREPARABLE; /* temp objects, NOTIFY, WITH HOLD ...; state too large */
    } else if (strcmp(sqlstate, "55000") == 0) {
        /* At PREPARE 55000 can only be max_prepared_transactions = 0 (MarkAsPreparing). */
        *ret_reason = REASON_CAPACITY;
    } else {
        *ret_reason =
            pg_classify_statement(error); /* 53200 "no more slots" is capacity by its class */
    }
    return PG_ROLLED_BACK;
}

enum pg_class pg_classify_finish(const struct pg_error *error)
{
    const char *sqlstate = text_of(error->sqlstate);
    if (pg_classify_lost(error)) {
        return PG_UNKNOWN;
    }
    if (strcmp(sqlstate, "42704") == 0) {
        return PG_NOT_FOUND;
    }
    if (strcmp(sqlstate, "55000") == 0) {
        /* Busy: another backend is finishing it, or its PREPARE still waits for the standby.
         * MarkAsPreparing's 55000 cannot come from here; if it does, the server is not what we
         * think. */
        return strcmp(text_of(error->function), "MarkAsPreparing") == 0 ? PG_REFUSED : PG_RETRY;
    }
    if (strcmp(sqlstate, "42501") == 0 || strcmp(sqlstate, "0A000") == 0) {
        return PG_REFUSED; /* not the owner; belongs to another database */
    }
    if (has_class(sqlstate, "53") || strcmp(sqlstate, "57014") == 0 ||
        strcmp(sqlstate, "55P03") == 0 || strcmp(sqlstate, "25006") == 0) {
        return PG_RETRY; /* out of something, cancelled before it began, or a standby for now */
    }
    return PG_UNKNOWN;
}
