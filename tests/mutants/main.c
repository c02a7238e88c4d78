/* main.c - `assent-fault mutants`: do the tests notice when the code is wrong? What is run, and what is left behind: nothing. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cli.h"
#include "tests/lib/process.h"
#include "tests/mutants/files.h"
#include "tests/mutants/look.h"
#include "tests/mutants/planted.h"
#include "tests/mutants/report.h"
#include "tests/mutants/watch.h"

#define PROGRAM "assent-fault-mutants"

/* ---- running ---- */

static bool run_planted(const struct options *options, const struct bug_list *bugs, json_t *json,
                        bool *ret_good, struct error *ret_error)
{
    const struct planted_options planted = {
        .only_count = options->bug_count,
        .only = options->bugs,
        .every = options->planted_every,
        .named = options->named,
        .jobs = options->jobs,
        .work = options->work,
    };
    struct planted_report report;
    if (!planted_run(options->source, bugs, &planted, &report, ret_error)) {
        return false;
    }
    *ret_good = report_planted_good(&report) && *ret_good;
    if (options->json) {
        (void)json_object_set_new(json, "planted", report_planted_json(&report));
    } else {
        report_planted_text(&report);
    }
    planted_report_free(&report);
    return true;
}

static bool run_automatic(const struct options *options, struct survivor_list *survivors,
                          json_t *json, bool *ret_good, struct error *ret_error)
{
    const struct automatic_options automatic = {
        .only_count = options->mutant_count,
        .only = options->mutants,
        .every = options->automatic_every,
        .time_sim_s = options->time_sim_s,
        .until = options->until,
        .seeds = options->seeds,
        .jobs = options->jobs,
        .work = options->work,
    };
    bool is_sample = options->mutant_count != 0 || options->automatic_every != 0;
    struct automatic_report report;
    if (!automatic_run(options->source, survivors, &automatic, &report, ret_error)) {
        return false;
    }
    struct automatic_sums sums = report_automatic_sums(&report, survivors);
    *ret_good = report_automatic_good(&sums, is_sample) && *ret_good;
    if (options->json) {
        (void)json_object_set_new(json, "automatic", report_automatic_json(&report, &sums));
    } else {
        report_automatic_text(&report, survivors, &sums, is_sample);
    }
    automatic_report_free(&report);
    return true;
}

static int run_all(const struct options *options, const struct bug_list *bugs,
                   struct survivor_list *survivors, struct error *ret_error)
{
    bool good = true;
    json_t *json = json_object();
    bool ran = (!options->planted || run_planted(options, bugs, json, &good, ret_error)) &&
               (!options->automatic || run_automatic(options, survivors, json, &good, ret_error));
    if (ran && options->json) {
        (void)json_dumpf(json, stdout, JSON_INDENT(2));
        (void)putchar('\n');
    }
    json_decref(json);
    return !ran ? -1 : good ? CLI_EXIT_DONE : CLI_EXIT_FAILED;
}

/* One run at a time in a folder: two would build over each other. */
static bool work_lock(const char *work, int *ret_lock, struct error *ret_error)
{
    if (!folder_make(work, ret_error)) {
        return false;
    }
    char *path = file_path(work, "lock");
    *ret_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    free(path);
    if (*ret_lock < 0 || flock(*ret_lock, LOCK_EX | LOCK_NB) != 0) {
        return error_set(ret_error, ERROR_LOCKED, "%s is in use by another run", work);
    }
    return true;
}

static int error_status(const struct error *error)
{
    cli_print_error(PROGRAM, error);
    return error->kind == ERROR_NOT_FOUND ? EX_UNAVAILABLE : EX_OSERR;
}

struct job {
    const struct options *options;
    const struct bug_list *bugs;
    struct survivor_list *survivors;
};

/* In a process of its own, see watch.h. */
static int job_main(void *argument)
{
    const struct job *job = argument;
    struct error error = {0};
    int lock = -1;
    int status = -1;
    if (work_lock(job->options->work, &lock, &error)) {
        status = run_all(job->options, job->bugs, job->survivors, &error);
    }
    if (lock >= 0) {
        (void)close(lock);
    }
    return status < 0 ? error_status(&error) : status;
}

/* Returns owned; NULL: none could be made. */
static char *make_folder(void)
{
    const char *parent = getenv("TMPDIR"); /* NOLINT(concurrency-mt-unsafe): nobody sets it */
    char *folder = file_path(parent != NULL && parent[0] == '/' ? parent : "/var/tmp",
                             "assent-mutants.XXXXXX");
    if (mkdtemp(folder) == NULL) {
        free(folder);
        return NULL;
    }
    return folder;
}

static int run(struct options *options, const struct bug_list *bugs,
               struct survivor_list *survivors, struct error *ret_error)
{
    char *folder = NULL;
    int status = -1, told = 0;
    if (options->work == NULL) {
        folder = make_folder();
        options->work = folder;
        if (folder == NULL) {
            (void)error_set(ret_error, ERROR_IO, "cannot make a temporary folder");
            return -1;
        }
    }
    struct job job = {.options = options, .bugs = bugs, .survivors = survivors};
    bool good = watch_run(job_main, &job, &status, &told, ret_error);
    if (folder != NULL) {
        (void)process_remove_folder(folder, NULL);
        options->work = NULL;
        free(folder);
    }
    if (told != 0) { /* as whoever sent it expects */
        (void)signal(told, SIG_DFL);
        (void)raise(told);
    }
    return good ? status : -1;
}

/* ---- what there is ---- */

static bool read_lists(const struct options *options, struct bug_list *ret_bugs,
                       struct survivor_list *ret_survivors, struct mutant_list *ret_mutants,
                       struct error *ret_error)
{
    char *folder = file_path(options->source, "tests/mutants/planted");
    char *path = file_path(options->source, "tests/mutants/survivors.txt");
    bool good = file_exists(folder);
    if (!good) {
        (void)error_set(ret_error, ERROR_NOT_FOUND, "%s is no source tree of Assent",
                        options->source);
        (void)error_hint(ret_error, "mutants are made of the sources: name them with --source");
    }
    good = good && bug_list_read(folder, ret_bugs, ret_error) &&
           survivors_read(path, ret_survivors, ret_error) &&
           (!options->automatic || automatic_list(options->source, ret_mutants, ret_error));
    free(folder);
    free(path);
    return good;
}

static int look_or_run(struct options *options, const struct bug_list *bugs,
                       struct survivor_list *survivors, const struct mutant_list *mutants,
                       struct error *ret_error)
{
    if (!look_knows(options, bugs, mutants)) {
        return EX_USAGE;
    }
    if (options->list) {
        look_list(options, bugs, survivors, mutants);
        return CLI_EXIT_DONE;
    }
    if (options->check) {
        return look_check(options, bugs, survivors, mutants) ? CLI_EXIT_DONE : CLI_EXIT_FAILED;
    }
    return run(options, bugs, survivors, ret_error);
}

int main(int argc, char **argv)
{
    struct options options;
    struct bug_list bugs = {0};
    struct survivor_list survivors = {0};
    struct mutant_list mutants = {0};
    struct error error = {0};
    int status = -1;
    cli_init(PROGRAM);
    options_parse(argc, argv, &options);
    if (read_lists(&options, &bugs, &survivors, &mutants, &error)) {
        status = look_or_run(&options, &bugs, &survivors, &mutants, &error);
    }
    if (status < 0) {
        status = error_status(&error);
    }
    mutant_list_free(&mutants);
    bug_list_free(&bugs);
    survivors_free(&survivors);
    options_done(&options);
    return status;
}
