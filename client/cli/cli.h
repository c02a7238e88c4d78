/*
 * cli.h - what the subcommands of `assent` share: common options, exit codes, output for people.
 *
 * Each subcommand is a function of (options, argc, argv) that returns the process's exit code. Results go to stdout,
 * everything else to stderr.
 */
#ifndef ASSENT_CLIENT_CLI_CLI_H
#define ASSENT_CLIENT_CLI_CLI_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sysexits.h>

#include "client/cli/json.h"
#include "common/cli.h"
#include "common/error.h"

struct options {
    const char *api; /* "http://127.0.0.1:7400" */
    bool json;
    const char *prefer; /* the Prefer header of a request; NULL: none */
    long timeout_ms;    /* of a whole HTTP request; 0: generous */
};

/* Child parser of every subcommand: --api, --json. Its input is a struct options *. */
extern const struct argp options_argp;

int submit_main(struct options *options, int argc, char **argv);
int status_main(struct options *options, int argc, char **argv);
int list_main(struct options *options, int argc, char **argv);
int history_main(struct options *options, int argc, char **argv);
int participants_main(struct options *options, int argc, char **argv);
int watch_main(struct options *options, int argc, char **argv);
int resolve_main(struct options *options, int argc, char **argv);
int queues_main(struct options *options, int argc, char **argv);
int requeue_main(struct options *options, int argc, char **argv);
int drop_main(struct options *options, int argc, char **argv);
int journal_main(struct options *options, int argc, char **argv);
int demo_main(struct options *options, int argc, char **argv);

/* "assent: text", "  hint: ..." on stderr; returns the exit code for its kind. */
int fail_with(const struct error *error);

/* asprintf that cannot fail. Returns owned. */
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Words for a state, in its colour on a terminal. */
const char *paint_state(const char *state);
const char *paint(const char *colour,
                  const char *text); /* "red", "green", "yellow", "bold", "dim" */

/* A table for people: columns as wide as they must be, the last one open. Cells are copied; NULL is "". */
struct table;
struct table *table_new(size_t column_count, const char *const *heads); /* heads NULL: none */
void table_add(struct table *table, const char *const *cells);
void table_indent(struct table *table, size_t spaces); /* before each row; none by default */
void table_print(struct table *table);                 /* and frees */

#endif
