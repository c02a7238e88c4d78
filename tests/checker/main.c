/*
 * main.c - `assent-fault check`: reads a history and judges it. See assent-fault-check(1).
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "tests/checker/report.h"

#define EXIT_VIOLATED 1

const char *argp_program_version = "assent-fault-check " ASSENT_VERSION;

struct options {
    const char *history, *html, *draw, *require;
    bool json, partial;
};

static const char doc[] =
    "Judges a history of `assent-fault run`: were transactions atomic, durable, executed once and "
    "isolated as promised, and did everything heal? It shares no code with Assent."
    "\v"
    "HISTORY is a file as docs/HISTORY.md describes it, or - for standard input.\n"
    "\n"
    "Exit codes: 0 no violation, 1 violations (or a required check had no material), 64 usage, 65 "
    "the history is malformed (the message has the line), 66 it cannot be opened, 71 out of "
    "memory, "
    "74 reading or writing failed.";

enum { OPTION_REQUIRE = 256, OPTION_PARTIAL, OPTION_DRAW };

static const struct argp_option option_list[] = {
    {"json", 'j', NULL, 0, "Print the report as JSON", 0},
    {"html", 'H', "FILE", 0, "Also write the report as one HTML page", 0},
    {"draw", OPTION_DRAW, "FOLDER", 0, "Also write each cycle there as SVG and DOT", 0},
    {"partial", OPTION_PARTIAL, NULL, 0, "Accept a history without an end: check as far as it goes",
     0},
    {"require", OPTION_REQUIRE, "LIST", 0,
     "Fail if one of these checks (A1,D1,...) has no material; `all` for every one", 0},
    {0},
};

static bool is_check_list(const char *list)
{
    if (!*list) {
        return false;
    }
    while (*list) {
        size_t length = strcspn(list, ",");
        bool known = length == 3 && memcmp(list, "all", 3) == 0;
        for (int check = 0; check < CHECK_COUNT && !known; check++) {
            known = length == 2 && memcmp(list, check_about[check].id, 2) == 0;
        }
        if (!known) {
            return false;
        }
        list += length + (list[length] == ',');
    }
    return true;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case 'j':
        options->json = true;
        return 0;
    case 'H':
        options->html = argument;
        return 0;
    case OPTION_DRAW:
        options->draw = argument;
        return 0;
    case OPTION_PARTIAL:
        options->partial = true;
        return 0;
    case OPTION_REQUIRE:
        if (!is_check_list(argument)) {
            argp_error(state, "--require takes names of checks, such as A1,D1");
        }
        options->require = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (options->history) {
            argp_error(state, "one history at a time");
        }
        options->history = argument;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which history?");
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool complain(const char *path)
{
    fprintf(stderr, "assent-fault-check: %s: %s\n", path, strerror(errno));
    return false;
}

/* Closes the file; false, with a message, if anything could not be written. */
static bool finish(FILE *file, const char *path)
{
    bool good = !ferror(file);
    good = fclose(file) == 0 && good;
    return good || complain(path);
}

static bool write_html(const struct history *history, const struct report *report, const char *path)
{
    FILE *file = fopen(path, "we");
    if (!file) {
        return complain(path);
    }
    report_print_html(history, report, file);
    return finish(file, path);
}

static bool write_drawing(const struct cycle *cycle, const char *folder, size_t number,
                          const char *suffix, void (*draw)(const struct cycle *, FILE *))
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/cycle-%02zu-%s.%s", folder, number, cycle->class_name, suffix);
    FILE *file = fopen(path, "we");
    if (!file) {
        return complain(path);
    }
    draw(cycle, file);
    return finish(file, path);
}

static bool write_drawings(const struct report *report, const char *folder)
{
    bool good = mkdir(folder, 0777) == 0 || errno == EEXIST || complain(folder);
    for (size_t i = 0; i < report->cycles.count && good; i++) {
        const struct cycle *cycle = &report->cycles.items[i];
        good = write_drawing(cycle, folder, i + 1, "svg", cycle_draw_svg) &&
               write_drawing(cycle, folder, i + 1, "dot", cycle_draw_dot);
    }
    return good;
}

static void require(struct report *report, const char *list)
{
    for (int check = 0; check < CHECK_COUNT && list; check++) {
        report->required[check] = strstr(list, check_about[check].id) || strstr(list, "all");
    }
}

/* Can it be written? Asked before hours of history are read; what is not there is left so. */
static bool can_write(const char *path)
{
    bool existed = access(path, F_OK) == 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        return complain(path);
    }
    close(fd);
    if (!existed) {
        unlink(path);
    }
    return true;
}

/* The same of a folder. */
static bool can_draw(const char *folder)
{
    bool made = mkdir(folder, 0777) == 0;
    if (!made && errno != EEXIST) {
        return complain(folder);
    }
    errno = ENOTDIR;
    struct stat status;
    bool good =
        stat(folder, &status) == 0 && S_ISDIR(status.st_mode) && access(folder, W_OK | X_OK) == 0;
    good = good || complain(folder);
    if (made) {
        rmdir(folder);
    }
    return good;
}

static int judge(struct history *history, const struct options *options, struct report *report)
{
    bool written = true;
    require(report, options->require);
    if (options->json) {
        written = report_print_json(history, report, stdout);
    } else {
        report_print_text(history, report, stdout);
    }
    written = fflush(stdout) == 0 && written;
    if (!written) {
        complain("standard output");
    }
    if (options->html) {
        written = write_html(history, report, options->html) && written;
    }
    if (options->draw) {
        written = write_drawings(report, options->draw) && written;
    }
    if (report_verdict(report) != VERDICT_PASSED) {
        return EXIT_VIOLATED;
    }
    return written ? 0 : EX_IOERR;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct history history;
    struct report report;
    struct problem problem;
    const struct argp argp = {option_list, parse, "HISTORY", doc, NULL, NULL, NULL};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    int status;
    if ((options.html && !can_write(options.html)) || (options.draw && !can_draw(options.draw))) {
        return EX_IOERR;
    }
    if (!history_read(options.history, options.partial, &history, &problem)) {
        status = problem.exit_code;
    } else if (!report_make(&history, &report, &problem)) {
        status = problem.exit_code;
        history_done(&history);
    } else {
        status = judge(&history, &options, &report);
        report_done(&report);
        history_done(&history);
        return status;
    }
    if (problem.line > 0) {
        fprintf(stderr, "assent-fault-check: %s: line %llu: %s\n", options.history,
                (unsigned long long)problem.line, problem.text);
    } else {
        fprintf(stderr, "assent-fault-check: %s\n", problem.text);
    }
    return status;
}
