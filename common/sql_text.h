/*
 * sql_text.h - what can be said of a statement's text without parsing it.
 *
 * Used by the edges, which refuse a statement that has no command, by libassent and the agent's file of operations for the same,
 * and by the agent's guard (participant/pg_guard.h). White space and comments are those of PostgreSQL's scan.l. Pure.
 */
#ifndef ASSENT_COMMON_SQL_TEXT_H
#define ASSENT_COMMON_SQL_TEXT_H

#include <stdbool.h>

/* Behind what stands before a word: white space, comments, a byte order mark, and semicolons if asked. A comment that is not
 * closed is not passed: PostgreSQL refuses it, whatever stands in it. */
const char *sql_skip_blank(const char *sql, bool semicolons);

/* Nothing is asked for: PostgreSQL would call it an empty query and do nothing. */
bool sql_is_blank(const char *sql);

#endif
