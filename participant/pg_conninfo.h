/*
 * pg_conninfo.h - is this a connection string that may stand in a file or on a command line?
 *
 * For configuration and setup. libpq itself takes it apart, so that no quoting or URI form of a
 * password gets past. Connects to nothing and logs nothing.
 */
#ifndef ASSENT_PARTICIPANT_PG_CONNINFO_H
#define ASSENT_PARTICIPANT_PG_CONNINFO_H

#include <stdbool.h>

#include "common/error.h"

/* False for what libpq cannot read and for what holds a password; then the text never repeats it. */
bool pg_conninfo_check(const char *conninfo, struct error *ret_error);

#endif
