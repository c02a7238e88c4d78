/*
 * demo_run.c - `assent demo run NAME`: finds the program of a scenario and becomes it, as assent-fault does (demo.h).
 *
 * Knows the names only. Each scenario is a program of its own, assent-demo-NAME, in this program's folder (a build) or in
 * ../libexec/assent (an installation); its source is in examples/scenarios/.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/demo.h"
#include "common/alloc.h"

static const struct scenario {
    const char *name, *what;
} scenarios[] = {
    {"checkout-retry", "a checkout times out, the shopper presses again: one order, one payment"},
    {"delivery", "lunch hour: order, payment and approval, ten times 9.2 million orders a day"},
    {"expired-card",
     "stock is reserved, the card has expired: all gone again, without compensation"},
    {"reservation", "100 items, 1,000 shoppers, three databases: never oversold, in three ways"},
    {"saga", "the same checkout as one transaction and as a saga: what an outside reader sees"},
    {"upgrade", "the payment database is restarted while shoppers buy: none lost, none twice"},
};

#define SCENARIO_COUNT (sizeof scenarios / sizeof *scenarios)

static void print_usage(FILE *file)
{
    fputs("Usage: assent demo run NAME [OPTION...]\n"
          "  or:  assent demo run --list [--json]\n"
          "Runs a story in the demo, which is made if need be, and asks the databases what came of "
          "it.\n\n",
          file);
    for (size_t i = 0; i < SCENARIO_COUNT; i++) {
        fprintf(file, "  %-15s %s\n", scenarios[i].name, scenarios[i].what);
    }
    fputs("\n`assent demo run NAME --help` tells its options. Exit codes: 0 all answers of the "
          "verdict are yes, 1 one is no, 64 usage, 69 unavailable.\n",
          file);
}

static void print_list(bool as_json)
{
    if (as_json) {
        fputs("{\"scenarios\":[", stdout);
        for (size_t i = 0; i < SCENARIO_COUNT; i++) {
            char *name = json_quote(scenarios[i].name);
            char *what = json_quote(scenarios[i].what);
            printf("%s{\"name\":%s,\"what\":%s}", i > 0 ? "," : "", name, what);
            free(name);
            free(what);
        }
        puts("]}");
        return;
    }
    for (size_t i = 0; i < SCENARIO_COUNT; i++) {
        printf("%-15s %s\n", scenarios[i].name, scenarios[i].what);
    }
}

static bool is_known(const char *name)
{
    for (size_t i = 0; i < SCENARIO_COUNT; i++) {
        if (strcmp(scenarios[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The scenario's arguments: what stood before `run`, then what stands behind the name. Returns owned. */
static char **make_arguments(const struct demo_command *command)
{
    static char dir[] = "--dir", port[] = "--port", json[] = "--json";
    char **argv = alloc_array(command->rest_count + 7, sizeof *argv);
    size_t count = 1; /* [0] is the program's path */
    if (command->given_folder != NULL) {
        argv[count++] = dir;
        argv[count++] = alloc_string(command->given_folder);
    }
    if (command->port != 0) {
        argv[count++] = port;
        argv[count++] = text_format("%u", command->port);
    }
    if (command->options->json) {
        argv[count++] = json;
    }
    for (size_t i = 1; i < command->rest_count; i++) {
        argv[count++] = command->rest[i];
    }
    return argv;
}

/* Does not return if the program is there. */
static int become(const struct demo_command *command, const char *name)
{
    static const char *const places[] = {"", "../libexec/assent/"};
    char self[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    struct error error;
    if (length <= 0) {
        error_set_errno(&error, ERROR_SYSTEM, errno, "the folder of this program");
        return fail_with(&error);
    }
    self[length] = 0;
    /* The scenario asks this very program for the demo. */
    setenv("ASSENT_COMMAND", self, 1);
    *(strrchr(self, '/') + 1) = 0;
    char **argv = make_arguments(command);
    fflush(stdout);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        argv[0] = text_format("%s%sassent-demo-%s", self, places[i], name);
        execv(argv[0], argv);
        if (errno != ENOENT) {
            error_set_errno(&error, ERROR_SYSTEM, errno, "%s", argv[0]);
            return fail_with(&error);
        }
    }
    error_set(&error, ERROR_UNAVAILABLE, "scenario %s is not installed: no assent-demo-%s in %s",
              name, name, self);
    error_hint(&error, "cmake --build build --target assent_scenarios");
    return fail_with(&error);
}

int demo_run(const struct demo_command *command)
{
    const char *first = command->rest_count > 0 ? command->rest[0] : NULL;
    if (first == NULL) {
        print_usage(stderr);
        return EX_USAGE;
    }
    if (strcmp(first, "--help") == 0 || strcmp(first, "-?") == 0) {
        print_usage(stdout);
        return CLI_EXIT_DONE;
    }
    if (strcmp(first, "--list") == 0) {
        const bool is_json = command->rest_count == 2 && strcmp(command->rest[1], "--json") == 0;
        if (command->rest_count > 1 && !is_json) {
            print_usage(stderr);
            return EX_USAGE;
        }
        print_list(is_json || command->options->json);
        return CLI_EXIT_DONE;
    }
    if (!is_known(first)) {
        struct error error;
        error_set(&error, ERROR_INVALID, "there is no scenario \"%s\"", first);
        error_hint(&error, "`assent demo run --list` lists them; options stand behind the name");
        return fail_with(&error);
    }
    return become(command, first);
}
