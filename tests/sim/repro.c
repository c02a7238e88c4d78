/* repro.c - see repro.h. */
#include "tests/sim/repro.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/lib/commit.h"

#define LINE_MAX_BYTES 1024

bool repro_save(const char *path, const struct sim_options *options,
                const struct sim_verdict *verdict, struct error *ret_error)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot write %s", path);
    }
    fprintf(file, "# assent-fault sim --replay %s\n# broke %s: %s\n# version " COMMIT_FORMAT "\n",
            path, verdict->rule, verdict->text, COMMIT_ARGUMENTS);
    fprintf(file, "seed %" PRIu64 "\n", options->seed);
    if (options->op_count != 0) {
        fprintf(file, "ops %" PRIu32 "\n", options->op_count);
    }
    if (options->participant_count != 0) {
        fprintf(file, "participants %" PRIu32 "\n", options->participant_count);
    }
    for (size_t i = 0; i < options->strike_count; i++) {
        fprintf(file, "strike %s %" PRIu32 "\n", sim_fault_name(options->strikes[i].fault),
                options->strikes[i].ordinal);
    }
    fputs(options->has_strikes ? "end\n" : "end drawn\n", file);
    bool written = ferror(file) == 0;
    if (fclose(file) != 0 || !written) {
        return error_set(ret_error, ERROR_IO, "cannot write %s", path);
    }
    return true;
}

static bool take_number(const char *text, uint64_t limit, uint64_t *ret_number)
{
    char *end = NULL;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || (*end != '\n' && *end != '\0') || number > limit) {
        return false;
    }
    *ret_number = number;
    return true;
}

struct loading {
    struct sim_options options;
    struct sim_strike *strikes;
    bool has_seed, has_end;
};

static bool take_strike(char *line, struct loading *loading)
{
    uint64_t number = 0;
    char *space = strchr(line, ' ');
    enum sim_fault fault = SIM_FAULT_COUNT;
    if (space == NULL) {
        return false;
    }
    *space = '\0';
    if (!sim_fault_parse(line, &fault) || !take_number(space + 1, UINT32_MAX, &number)) {
        return false;
    }
    size_t count = loading->options.strike_count++;
    loading->strikes = alloc_resize(loading->strikes, count + 1, sizeof(loading->strikes[0]));
    loading->strikes[count] = (struct sim_strike){.fault = fault, .ordinal = (uint32_t)number};
    return true;
}

static bool take_line(char *line, struct loading *loading)
{
    struct sim_options *options = &loading->options;
    uint64_t number = 0;
    if (line[0] == '#' || line[0] == '\n') {
        return true;
    }
    if (loading->has_end) {
        return false;
    }
    if (strncmp(line, "seed ", 5) == 0) {
        loading->has_seed = true;
        return take_number(line + 5, UINT64_MAX, &options->seed);
    }
    if (strncmp(line, "ops ", 4) == 0 && take_number(line + 4, 10000, &number)) {
        options->op_count = (uint32_t)number;
        return number > 0;
    }
    if (strncmp(line, "participants ", 13) == 0 && take_number(line + 13, 5, &number)) {
        options->participant_count = (uint32_t)number;
        return number >= 2;
    }
    if (strcmp(line, "end\n") == 0 || strcmp(line, "end drawn\n") == 0) {
        loading->has_end = true;
        options->has_strikes = line[3] == '\n';
        return true;
    }
    return strncmp(line, "strike ", 7) == 0 && take_strike(line + 7, loading);
}

/* Half a file would run as something else, and pass. */
static bool is_whole(const char *path, const struct loading *loading, struct error *ret_error)
{
    if (!loading->has_seed) {
        return error_set(ret_error, ERROR_DAMAGED, "%s is not whole: no line \"seed N\"", path);
    }
    if (!loading->has_end) {
        return error_set(ret_error, ERROR_DAMAGED, "%s is not whole: no line \"end\" at its end",
                         path);
    }
    if (!loading->options.has_strikes && loading->options.strike_count > 0) {
        return error_set(ret_error, ERROR_DAMAGED,
                         "%s: \"end drawn\" lets the seed draw its faults, and faults are listed",
                         path);
    }
    return true;
}

bool repro_load(const char *path, struct sim_options *ret_options, struct sim_strike **ret_strikes,
                struct error *ret_error)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot read %s", path);
    }
    struct loading loading = {0};
    char line[LINE_MAX_BYTES];
    unsigned number = 0;
    bool good = true;
    while (good && fgets(line, sizeof(line), file) != NULL) {
        number++;
        good = take_line(line, &loading);
    }
    bool read = ferror(file) == 0;
    (void)fclose(file);
    if (!read) {
        (void)error_set(ret_error, ERROR_IO, "cannot read %s", path);
    } else if (!good) {
        (void)error_set(ret_error, ERROR_DAMAGED, "%s, line %u: not understood", path, number);
    }
    if (!read || !good || !is_whole(path, &loading, ret_error)) {
        free(loading.strikes);
        return false;
    }
    loading.options.strikes = loading.strikes;
    *ret_options = loading.options;
    *ret_strikes = loading.strikes;
    return true;
}
