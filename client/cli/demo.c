/* demo.c - `assent demo up|down|status|run`: the command line. See demo.h. */
#include "client/cli/demo.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY_PURGE       0x500
#define KEY_FAULT_POINT 0x501

static error_t parse_action(struct demo_command *command, const char *argument,
                            struct argp_state *state)
{
    static const char *const actions[] = {
        [DEMO_UP] = "up", [DEMO_DOWN] = "down", [DEMO_STATUS] = "status", [DEMO_RUN] = "run"};
    for (int i = DEMO_UP; i <= DEMO_RUN; i++) {
        if (strcmp(actions[i], argument) == 0 && command->action == 0) {
            command->action = (enum demo_action)i;
            if (command->action == DEMO_RUN) {
                /* The rest is the scenario's. */
                command->rest = state->argv + state->next;
                command->rest_count = (size_t)(state->argc - state->next);
                state->next = state->argc;
            }
            return 0;
        }
    }
    argp_error(state, "\"%s\" is not up, down, status or run", argument);
    return 0;
}

static uint16_t parse_port(const char *argument, struct argp_state *state)
{
    char *end = NULL;
    const long port = strtol(argument, &end, 10);
    if (argument[0] == 0 || *end != 0 || port < 1 || port > 65535) {
        argp_error(state, "--port takes 1 to 65535, not \"%s\"", argument);
    }
    return (uint16_t)port;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct demo_command *command = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = command->options;
        return 0;
    case 'd':
        command->given_folder = argument;
        return 0;
    case 'p':
        command->port = parse_port(argument, state);
        return 0;
    case 'P':
        command->participants = argument;
        return 0;
    case KEY_PURGE:
        command->purge = true;
        return 0;
    case KEY_FAULT_POINT:
        command->fault_point = argument;
        return 0;
    case ARGP_KEY_ARG:
        return parse_action(command, argument, state);
    case ARGP_KEY_END:
        if (command->action == 0) {
            argp_error(state, "up, down, status or run?");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* libpq, ours and the daemons', would take hosts, users and passwords from the caller's environment. */
static void forget_postgres_environment(void)
{
    static const char *const names[] = {"PGHOST",
                                        "PGHOSTADDR",
                                        "PGPORT",
                                        "PGDATABASE",
                                        "PGUSER",
                                        "PGPASSWORD",
                                        "PGPASSFILE",
                                        "PGSERVICE",
                                        "PGSERVICEFILE",
                                        "PGOPTIONS",
                                        "PGAPPNAME",
                                        "PGSSLMODE",
                                        "PGREQUIRESSL",
                                        "PGSSLCERT",
                                        "PGSSLKEY",
                                        "PGSSLROOTCERT",
                                        "PGTARGETSESSIONATTRS",
                                        "PGCHANNELBINDING",
                                        "PGDATA",
                                        "PGCLIENTENCODING",
                                        "PGTZ",
                                        "PGDATESTYLE",
                                        "NOTIFY_SOCKET"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        unsetenv(names[i]);
    }
}

int demo_main(struct options *common, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"dir", 'd', "DIR", 0, "The demo's folder (default .assent-demo)", 0},
        {"port", 'p', "PORT", 0, "The API's port (up; default 7400)", 0},
        {"participants", 'P', "NAMES", 0, "Databases to have (up; default order,payment)", 0},
        {"fault-point", KEY_FAULT_POINT, "NAME[:kill|stop[:N]]", 0,
         "Restart the coordinator so that it dies at the named place (up; for demonstrations)", 0},
        {"purge", KEY_PURGE, NULL, 0, "Remove the folder too (down)", 0},
        {0},
    };
    static const struct argp_child children[] = {{&options_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        options,
        parse_option,
        "up|down|status\nrun NAME [OPTION...]\nrun --list",
        "A complete Assent in one folder: private PostgreSQL clusters, an agent beside each, the "
        "coordinator.\v"
        "up starts whatever is not running, so it also repairs; status tells what runs where; down "
        "stops all of it; run plays a scenario (`assent demo run --list`). Run by root, everything "
        "runs as "
        "the user postgres.",
        children,
        NULL,
        NULL};
    static int (*const runs[])(const struct demo_command *, const char *) = {
        [DEMO_UP] = demo_up, [DEMO_DOWN] = demo_down, [DEMO_STATUS] = demo_status};
    struct demo_command command = {.options = common};
    /* In order, since what stands behind `run NAME` is not ours to understand. */
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &command);
    forget_postgres_environment();
    if (command.action == DEMO_RUN) {
        return demo_run(&command);
    }
    return demo_as_user(&command, runs[command.action]);
}
