/*
 * pg_classify.h - what a SQLSTATE means for a branch: a class (what may have happened) and a reason
 * (why not).
 *
 * Pure and without libpq. Called by pg_execute.c and pg_finish.c; knows nothing of connections.
 * Sources: PostgreSQL's errcodes, and twophase.c for the errors of PREPARE TRANSACTION and COMMIT
 * PREPARED.
 *
 * Invariant: an error that is not understood is never "does not exist" and never success (P-12).
 */
#ifndef ASSENT_PARTICIPANT_PG_CLASSIFY_H
#define ASSENT_PARTICIPANT_PG_CLASSIFY_H

#include "participant/command.h"

/* The parts of an error that classification looks at; "" or NULL where the server said nothing.
 * None of them is translated by the server, so lc_messages does not matter. */
struct pg_error {
    const char *sqlstate;
    const char *severity; /* "ERROR", "FATAL", "PANIC" */
    const char *function; /* the server's function that raised it: tells two uses of 55000 apart */
};

/* Why a statement failed. A statement that answered with an error aborted its transaction for sure,
 * so there is no class to choose: nothing can be prepared after it. */
enum reason pg_classify_statement(const struct pg_error *error);

/* PREPARE TRANSACTION itself failed: PG_ROLLED_BACK with a reason (the server has rolled back
 * already), or PG_UNKNOWN if the error may have come after the row was prepared. */
enum pg_class pg_classify_prepare(const struct pg_error *error, enum reason *ret_reason);

/* COMMIT PREPARED or ROLLBACK PREPARED failed: NOT_FOUND, RETRY, REFUSED or UNKNOWN; never OK. */
enum pg_class pg_classify_finish(const struct pg_error *error);

/* The connection is gone, or about to be (08xxx, 57P01 and its like, no SQLSTATE). */
bool pg_classify_lost(const struct pg_error *error);

#endif
