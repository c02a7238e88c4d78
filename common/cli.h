/*
 * cli.h - the options every Assent daemon has in common, for argp, and its exit codes.
 *
 * A daemon's main passes `cli_daemon_argp` as a child parser and reads `struct cli_daemon`
 * afterwards. Not for library code: parsing errors end the process with EX_USAGE as argp does.
 */
#ifndef ASSENT_COMMON_CLI_H
#define ASSENT_COMMON_CLI_H

#include <argp.h>
#include <stdbool.h>
#include <stdio.h>
#include <sysexits.h>

#include "common/error.h"
#include "common/log.h"
#include "common/version.h"

/* Exit codes beside those of sysexits.h, as assent(1) has them: */
#define CLI_EXIT_DONE    0
#define CLI_EXIT_FAILED  1 /* aborted, or a check failed */
#define CLI_EXIT_UNKNOWN 2 /* the outcome is not known yet */

struct cli_daemon {
    const char *config_path; /* NULL: not given */
    enum log_format log_format;
    enum log_level log_level;
    bool has_log_level; /* the command line beats the file */
    bool has_log_format;
    bool check_config; /* read the configuration, say what is wrong with it, leave */
    bool enable_fault_points;
    const char *fault_point; /* NAME[:ACTION[:N]] */
    const char *fault_trace;
};

/* Child parser; its input is a struct cli_daemon *. */
extern const struct argp cli_daemon_argp;

/* Sets argp's version hook and program name ("assent-agent 0.1.0 ..."). Call once in main. */
void cli_init(const char *program);

/* Arms the fault point, if the command line has one; refuses one without --enable-fault-points. */
bool cli_arm_faults(const struct cli_daemon *daemon, struct error *ret_error);

/* "program: text" and "  hint: ..." on stderr, for the time before there is a log. */
void cli_print_error(const char *program, const struct error *error);

/* Whether a file can be written there; for the start of what takes long and writes it at the end. What is there stays as
 * it is, what is not there is not there afterwards. */
bool cli_can_write(const char *path, struct error *ret_error);

/* Which sysexits code an error at start is. */
int cli_exit_code(enum error_kind kind);

#endif
