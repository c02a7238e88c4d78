/*
 * pg_text.h - texts that came from a server: UTF-8 or made so.
 *
 * Pure. A client's SQL can change client_encoding under us, and server messages before the login
 * come in any encoding; what leaves the agent must be valid UTF-8 or the codec refuses it.
 */
#ifndef ASSENT_PARTICIPANT_PG_TEXT_H
#define ASSENT_PARTICIPANT_PG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

bool pg_text_valid(const char *text);

/* One line into a fixed buffer: control characters become spaces, bytes that are no UTF-8 become
 * '?', and what does not fit is cut between characters. NULL gives "". */
void pg_text_copy(char *to, size_t size, const char *from);

/* Returns owned; line breaks stay. NULL gives NULL. */
char *pg_text_clean(const char *text);

#endif
