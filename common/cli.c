/* cli.c - see cli.h. */
#include "common/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/fault.h"

enum cli_key {
    CLI_KEY_LOG_FORMAT = 0x200,
    CLI_KEY_LOG_LEVEL,
    CLI_KEY_CHECK_CONFIG,
    CLI_KEY_ENABLE_FAULTS,
    CLI_KEY_FAULT_POINT,
    CLI_KEY_FAULT_TRACE,
};

static const struct argp_option cli_options[] = {
    {"config", 'c', "FILE", 0, "Read the configuration from FILE", 0},
    {"check-config", CLI_KEY_CHECK_CONFIG, NULL, 0,
     "Read the configuration, print what would be used, and leave", 0},
    {"log-format", CLI_KEY_LOG_FORMAT, "text|json", 0, "How log lines look (default text)", 0},
    {"log-level", CLI_KEY_LOG_LEVEL, "debug|info|warn|error", 0,
     "Least level that is logged (default info; beats the configuration file)", 0},
    {NULL, 0, NULL, 0, "For tests only:", 10},
    {"enable-fault-points", CLI_KEY_ENABLE_FAULTS, NULL, 0,
     "Allow --fault-point (never in production)", 10},
    {"fault-point", CLI_KEY_FAULT_POINT, "NAME[:kill|stop|hang[:N]]", 0,
     "Kill or stop this process, or let the thread hang, when it reaches the named place for the "
     "N-th time",
     10},
    {"fault-trace", CLI_KEY_FAULT_TRACE, "PATH", 0, "Append each hit of the fault point to PATH",
     10},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t cli_parse(int key, char *argument, struct argp_state *state)
{
    struct cli_daemon *daemon = state->input;
    switch (key) {
    case 'c':
        daemon->config_path = argument;
        return 0;
    case CLI_KEY_CHECK_CONFIG:
        daemon->check_config = true;
        return 0;
    case CLI_KEY_LOG_FORMAT:
        daemon->has_log_format = true;
        if (strcmp(argument, "json") == 0) {
            daemon->log_format = LOG_FORMAT_JSON;
        } else if (strcmp(argument, "text") == 0) {
            daemon->log_format = LOG_FORMAT_TEXT;
        } else {
            argp_error(state, "--log-format takes text or json, not \"%s\"", argument);
        }
        return 0;
    case CLI_KEY_LOG_LEVEL:
        daemon->has_log_level = true;
        if (!log_level_parse(argument, &daemon->log_level)) {
            argp_error(state, "--log-level takes debug, info, warn or error, not \"%s\"", argument);
        }
        return 0;
    case CLI_KEY_ENABLE_FAULTS:
        daemon->enable_fault_points = true;
        return 0;
    case CLI_KEY_FAULT_POINT:
        daemon->fault_point = argument;
        return 0;
    case CLI_KEY_FAULT_TRACE:
        daemon->fault_trace = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp cli_daemon_argp = {cli_options, cli_parse, NULL, NULL, NULL, NULL, NULL};

/* argp calls the version hook without an argument of ours, hence this one static. */
static const char *cli_program = "assent";

static void cli_print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    fprintf(stream, "%s %s\n", cli_program, ASSENT_VERSION);
}

void cli_init(const char *program)
{
    cli_program = program;
    argp_program_version_hook = cli_print_version;
    argp_err_exit_status = EX_USAGE;
}

bool cli_arm_faults(const struct cli_daemon *daemon, struct error *ret_error)
{
    if (daemon->fault_point == NULL) {
        return true;
    }
    if (!daemon->enable_fault_points) {
        error_set(ret_error, ERROR_INVALID, "--fault-point without --enable-fault-points");
        return error_hint(ret_error, "fault points kill this process; enable them for tests only");
    }
    return fault_arm(daemon->fault_point, daemon->fault_trace, ret_error);
}

void cli_print_error(const char *program, const struct error *error)
{
    fprintf(stderr, "%s: %s\n", program, error->text);
    if (error->hint[0] != '\0') {
        fprintf(stderr, "%s: hint: %s\n", program, error->hint);
    }
}

bool cli_can_write(const char *path, struct error *ret_error)
{
    bool existed = access(path, F_OK) == 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot write %s", path);
    }
    (void)close(fd);
    if (!existed) {
        (void)unlink(path);
    }
    return true;
}

int cli_exit_code(enum error_kind kind)
{
    switch (kind) {
    case ERROR_NONE:
        return EX_OK;
    case ERROR_INVALID:
    case ERROR_LIMIT:
    case ERROR_NOT_FOUND:
        return EX_CONFIG;
    case ERROR_DENIED:
        return EX_NOPERM;
    case ERROR_UNAVAILABLE:
    case ERROR_LOCKED:
        return EX_UNAVAILABLE;
    case ERROR_DAMAGED:
    case ERROR_VERSION:
        return EX_DATAERR;
    case ERROR_NO_SPACE:
    case ERROR_IO:
        return EX_IOERR;
    case ERROR_SYSTEM:
        return EX_OSERR;
    }
    return EX_SOFTWARE;
}
