/*
 * main.c - `assent`: finds the subcommand and hands over. See assent(1).
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"

static const struct command {
    const char *name;
    int (*run)(struct options *options, int argc, char **argv);
} commands[] = {
    {"submit", submit_main},   {"status", status_main},   {"list", list_main},
    {"history", history_main}, {"resolve", resolve_main}, {"participants", participants_main},
    {"queues", queues_main},   {"requeue", requeue_main}, {"drop", drop_main},
    {"journal", journal_main}, {"demo", demo_main},       {"watch", watch_main},
};

static const char doc[] =
    "Runs transactions through the coordinator of Assent and shows what became of them."
    "\v"
    "Commands:\n"
    "  submit FILE|-              run the transaction described in FILE (JSON)\n"
    "  status ID|--key KEY        what became of one transaction\n"
    "  list [--in-doubt]          transactions, newest first\n"
    "  history ID                 a transaction step by step\n"
    "  watch                      changes of transactions as they happen\n"
    "  participants               the databases and whether they are ready\n"
    "  queues                     accepted requests that wait, queue by queue\n"
    "  requeue ID                 put a dead request back into its queue\n"
    "  drop ID [--comment TEXT]   give up a request that is dead, or waits\n"
    "  resolve ID commit|rollback|forget --participant P --comment TEXT\n"
    "                             decide by hand what cannot be decided otherwise\n"
    "  journal verify|dump|backup|adopt|release\n"
    "                             look after the coordinator's journal\n"
    "  demo up|down|status        a complete system in a folder of its own\n"
    "  demo run NAME|--list       a story played in it, and what came of it\n"
    "\n"
    "`assent COMMAND --help` tells more. Exit codes: 0 done or committed, 1 aborted or a check "
    "failed, 2 outcome not known yet, 64 usage, 69 unavailable, 77 no permission.\n"
    "\n"
    "Environment: ASSENT_API, NO_COLOR.";

static const struct argp_option common_options[] = {
    {"api", 'a', "URL", 0, "The coordinator (default $ASSENT_API or http://127.0.0.1:7400)", 1},
    {"json", 'j', NULL, 0, "Print JSON", 1},
    {0},
};

static error_t parse_common(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case 'a':
        options->api = argument;
        /* A trailing slash would make "//v1". */
        for (size_t length = strlen(argument); length > 0 && argument[length - 1] == '/';
             length--) {
            argument[length - 1] = 0;
        }
        return 0;
    case 'j':
        options->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp options_argp = {common_options, parse_common, NULL, NULL, NULL, NULL, NULL};

struct call {
    struct options options;
    int index; /* of the command in argv */
};

static error_t parse_top(int key, char *argument, struct argp_state *state)
{
    struct call *call = state->input;
    (void)argument;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &call->options;
        return 0;
    case ARGP_KEY_ARG:
        call->index = state->next - 1;
        state->next = state->argc; /* the rest is the command's */
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which command?");
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int fail_with(const struct error *error)
{
    cli_print_error("assent", error);
    switch (error->kind) {
    case ERROR_INVALID:
    case ERROR_LIMIT:
        return EX_USAGE;
    case ERROR_UNAVAILABLE:
    case ERROR_LOCKED:
        return EX_UNAVAILABLE;
    case ERROR_DENIED:
        return EX_NOPERM;
    case ERROR_NONE:
    case ERROR_IO:
    case ERROR_NO_SPACE:
    case ERROR_DAMAGED:
    case ERROR_VERSION:
    case ERROR_NOT_FOUND:
    case ERROR_SYSTEM:
        break;
    }
    return CLI_EXIT_FAILED;
}

static int run(const struct command *command, struct call *call, int argc, char **argv)
{
    static char name[64];
    char *given_api = getenv("ASSENT_API");
    if (call->options.api == NULL) {
        call->options.api =
            given_api != NULL && given_api[0] != 0 ? given_api : "http://127.0.0.1:7400";
    }
    snprintf(name, sizeof name, "assent %s", command->name);
    argv[call->index] = name;
    return command->run(&call->options, argc - call->index, argv + call->index);
}

int main(int argc, char **argv)
{
    static const struct argp_child children[] = {{&options_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {NULL, parse_top, "COMMAND [ARGUMENT...]", doc, children,
                                     NULL, NULL};
    struct call call = {0};
    cli_init("assent");
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &call);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, argv[call.index]) == 0) {
            curl_global_init(CURL_GLOBAL_DEFAULT);
            const int code = run(&commands[i], &call, argc, argv);
            curl_global_cleanup();
            if (fflush(stdout) != 0 || ferror(stdout)) {
                return EX_IOERR;
            }
            return code;
        }
    }
    fprintf(stderr, "assent: there is no command \"%s\"\nTry `assent --help'.\n", argv[call.index]);
    return EX_USAGE;
}
