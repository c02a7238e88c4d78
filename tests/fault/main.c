/*
 * main.c - `assent-fault`: finds the program of a subcommand beside itself and becomes it, as git does.
 *
 * Knows the names only. Each subcommand is a program of its own, assent-fault-NAME, in the same folder.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static const struct command {
    const char *name, *what;
} commands[] = {
    {"sim", "the real cores in a simulated world, from a seed"},
    {"explore", "every schedule of a small world, deduplicated"},
    {"matrix", "every fault point times every flow, on real processes"},
    {"run", "faults against real processes under load; writes a history"},
    {"demo", "faults for the processes of a demo, while a command runs there"},
    {"check", "judges a history, offline"},
    {"mutants", "the sources broken on purpose: is it noticed, and by which stage?"},
};

#define COMMANDS (sizeof commands / sizeof commands[0])

static void print_help(FILE *file)
{
    fputs("Usage: assent-fault COMMAND [OPTION...]\n"
          "Tries to break Assent, and judges what became of it.\n\n",
          file);
    for (size_t i = 0; i < COMMANDS; i++) {
        fprintf(file, "  %-9s %s\n", commands[i].name, commands[i].what);
    }
    fputs(
        "\n`assent-fault COMMAND --help` tells more; `assent-fault help COMMAND` does too.\n"
        "Exit codes: those of the command; 64 no such command, 69 its program is not installed.\n",
        file);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

/* "<folder of this program>/assent-fault-NAME". */
static int find_program(const char *name, char *buffer, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", buffer, size);
    if (length < 0 || (size_t)length >= size) {
        fprintf(stderr, "assent-fault: cannot find its own folder: %s\n",
                length < 0 ? strerror(errno) : "the path is too long");
        return EX_OSERR;
    }
    buffer[length] = 0;
    char *slash = strrchr(buffer, '/');
    size_t folder = slash ? (size_t)(slash - buffer) + 1 : 0;
    int written = snprintf(buffer + folder, size - folder, "assent-fault-%s", name);
    if (written < 0 || (size_t)written >= size - folder) {
        fputs("assent-fault: the path of its folder is too long\n", stderr);
        return EX_OSERR;
    }
    return 0;
}

/* Does not return if the program is there. */
static int become(const struct command *command, char **argv)
{
    char path[PATH_MAX];
    int status = find_program(command->name, path, sizeof path);
    if (status != 0) {
        return status;
    }
    argv[0] = path;
    execv(path, argv);
    if (errno == ENOENT) {
        fprintf(stderr,
                "assent-fault: `%s` is not installed here: there is no %s\n"
                "  hint: it is built with the tests: cmake --preset release && cmake --build "
                "build\n",
                command->name, path);
        return EX_UNAVAILABLE;
    }
    fprintf(stderr, "assent-fault: %s: %s\n", path, strerror(errno));
    return EX_OSERR;
}

int main(int argc, char **argv)
{
    static char help[] = "--help";
    if (argc < 2) {
        print_help(stderr);
        return EX_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("assent-fault " ASSENT_VERSION);
        return 0;
    }
    bool asks_help = strcmp(argv[1], "help") == 0;
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || (asks_help && argc == 2)) {
        print_help(stdout);
        return 0;
    }
    const char *name = argv[asks_help ? 2 : 1];
    const struct command *command = find_command(name);
    if (!command) {
        fprintf(stderr,
                "assent-fault: there is no command `%s`\n"
                "  hint: `assent-fault --help` lists them\n",
                name);
        return EX_USAGE;
    }
    if (asks_help) {
        char *arguments[] = {argv[0], help, NULL};
        return become(command, arguments);
    }
    return become(command, argv + 1);
}
