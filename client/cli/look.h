/* look.h - what look.c shares with resolve.c. */
#ifndef ASSENT_CLIENT_CLI_LOOK_H
#define ASSENT_CLIENT_CLI_LOOK_H

#include "client/cli/json.h"

/* The pattern with its '*' replaced by the percent-encoded argument. Returns owned. */
char *look_path(const char *pattern, const char *argument);
void look_print_transaction(struct json transaction);

#endif
