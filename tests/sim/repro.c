/* repro.c - see repro.h. */
#include "tests/sim/repro.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/version.h"

#define LINE_MAX_BYTES 1024

bool repro_save(const char *path, const struct sim_options *options,
                const struct sim_verdict *verdict, struct error *ret_error)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot write %s", path);
    }
    fprintf(file, "# assent-fault sim --replay %s\n# broke %s: %s\n# version %s\n", path,
            verdict->rule, verdict->text, ASSENT_VERSION);
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
    if (options->has_strikes) {
        fputs("end\n", file); /* only these faults, even if there are none */
    }
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

static bool take_line(char *line, struct sim_options *options, struct sim_strike **strikes)
{
    uint64_t number = 0;
    if (line[0] == '#' || line[0] == '\n') {
        return true;
    }
    if (strncmp(line, "seed ", 5) == 0) {
        return take_number(line + 5, UINT64_MAX, &options->seed);
    }
    if (strncmp(line, "ops ", 4) == 0 && take_number(line + 4, 10000, &number)) {
        options->op_count = (uint32_t)number;
        return true;
    }
    if (strncmp(line, "participants ", 13) == 0 && take_number(line + 13, 5, &number)) {
        options->participant_count = (uint32_t)number;
        return number >= 2;
    }
    if (strcmp(line, "end\n") == 0) {
        options->has_strikes = true;
        return true;
    }
    char *space = strchr(line + 7 < line + strlen(line) ? line + 7 : line, ' ');
    enum sim_fault fault = SIM_FAULT_COUNT;
    if (strncmp(line, "strike ", 7) != 0 || space == NULL) {
        return false;
    }
    *space = '\0';
    if (!sim_fault_parse(line + 7, &fault) || !take_number(space + 1, UINT32_MAX, &number)) {
        return false;
    }
    *strikes = alloc_resize(*strikes, options->strike_count + 1, sizeof(struct sim_strike));
    (*strikes)[options->strike_count++] =
        (struct sim_strike){.fault = fault, .ordinal = (uint32_t)number};
    return true;
}

bool repro_load(const char *path, struct sim_options *ret_options, struct sim_strike **ret_strikes,
                struct error *ret_error)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot read %s", path);
    }
    struct sim_options options = {0};
    struct sim_strike *strikes = NULL;
    char line[LINE_MAX_BYTES];
    unsigned number = 0;
    bool good = true;
    while (good && fgets(line, sizeof(line), file) != NULL) {
        number++;
        good = take_line(line, &options, &strikes);
    }
    (void)fclose(file);
    if (!good) {
        free(strikes);
        return error_set(ret_error, ERROR_INVALID, "%s, line %u: not understood", path, number);
    }
    options.strikes = strikes;
    *ret_options = options;
    *ret_strikes = strikes;
    return true;
}
