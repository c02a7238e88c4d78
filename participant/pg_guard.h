/*
 * pg_guard.h - may this statement of a client be sent inside a branch? (P-21)
 *
 * Pure and without libpq. Called by pg_execute.c before anything of a branch is sent. Looks only at
 * the first words: the extended protocol runs one statement each, and a procedure or DO block
 * cannot end a transaction that a BEGIN opened, so the first keyword is all that can end or escape
 * the branch.
 */
#ifndef ASSENT_PARTICIPANT_PG_GUARD_H
#define ASSENT_PARTICIPANT_PG_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#define PG_GUARD_WORD_SIZE 64

/* True if the statement may be sent. Otherwise ret_word gets the words that it was refused for, in
 * upper case
 * ("COMMIT", "SET", "SET LOCAL ROLE"). A statement without any word may be sent: it does nothing.
 */
bool pg_guard_allows(const char *sql, char ret_word[PG_GUARD_WORD_SIZE]);

/* False if the statement's first word is not that of a command that reads or changes rows, and so may change the schema;
 * ret_word gets it. For policies that refuse DDL: a guess from the text that spares the locks; the tag decides. */
bool pg_guard_looks_like_dml(const char *sql, char ret_word[PG_GUARD_WORD_SIZE]);

/* The same of the command tag that the server answered with ("SELECT 5"). described: it sent a description of rows,
 * which CREATE TABLE AS and SELECT INTO do not, though their tag is a query's. */
bool pg_guard_tag_is_dml(const char *tag, bool described);

/* False only if the statement is a plain INSERT, UPDATE, DELETE or MERGE that has no word RETURNING
 * anywhere: then no rows are to be expected from it. A wrong "true" costs one round trip; a wrong
 * "false" (a rule that answers an INSERT with rows) is caught by the limit on results. */
bool pg_guard_may_return_rows(const char *sql);

#endif
