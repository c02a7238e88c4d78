/* sim_json.c - see sim_json.h. */
#include "tests/sim/sim_json.h"

#include <inttypes.h>

#include "tests/lib/commit.h"

static void json_text(FILE *file, const char *text)
{
    (void)fputc('"', file);
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') {
            fprintf(file, "\\%c", byte);
        } else if (byte < 0x20) {
            fprintf(file, "\\u%04x", byte);
        } else {
            (void)fputc(byte, file);
        }
    }
    (void)fputc('"', file);
}

void json_runner(FILE *file, const struct runner_result *result, size_t not_as_declared)
{
    const struct runner_sums *sums = &result->sums;
    fprintf(file,
            "{\"version\":\"%s\",\"commit\":\"%s\",\"seeds\":%" PRIu64 ",\"transactions\":%" PRIu64
            ",\"committed\":%" PRIu64 ",\"aborted\":%" PRIu64 ",\"events\":%" PRIu64
            ",\"virtual_ms\":%" PRIu64
            ",\"seconds\":%.3f,\"transactions_per_minute\":%.0f,\"ran_twice\":%" PRIu64
            ",\"canaries\":%" PRIu64 ",\"holes\":%" PRIu64 ",\"excused\":%" PRIu64
            ",\"longest_heal_ms\":%" PRIu64
            ",\"not_as_declared\":%zu,\"interrupted\":%s,\"failures\":[",
            ASSENT_VERSION, assent_commit, sums->seeds, sums->transactions, sums->committed,
            sums->aborted, sums->events, sums->virtual_ms, result->seconds,
            (double)sums->transactions / result->seconds * 60, sums->twice, sums->canaries,
            sums->holes, sums->excused, sums->heal_max_ms, not_as_declared,
            result->is_interrupted ? "true" : "false");
    for (size_t i = 0; i < result->failure_count; i++) {
        fprintf(file, "%s{\"seed\":%" PRIu64 ",\"rule\":\"%s\"}", i == 0 ? "" : ",",
                result->failures_kept[i].seed, result->failures_kept[i].rule);
    }
    fprintf(file, "]}\n");
}

void json_run(FILE *file, uint64_t seed, const char *path, const struct sim_verdict *verdict)
{
    fprintf(file, "{\"version\":\"%s\",\"commit\":\"%s\",\"seed\":%" PRIu64, ASSENT_VERSION,
            assent_commit, seed);
    if (path != NULL) {
        fprintf(file, ",\"file\":");
        json_text(file, path);
    }
    fprintf(file,
            ",\"transactions\":%" PRIu64 ",\"committed\":%" PRIu64 ",\"aborted\":%" PRIu64
            ",\"events\":%" PRIu64 ",\"virtual_ms\":%" PRIu64 ",\"hash\":\"%016" PRIx64
            "\",\"strikes\":[",
            verdict->transactions, verdict->committed, verdict->aborted, verdict->events,
            verdict->virtual_ms, verdict->hash);
    for (size_t i = 0; i < verdict->strike_count; i++) {
        fprintf(file, "%s{\"fault\":\"%s\",\"ordinal\":%" PRIu32 "}", i == 0 ? "" : ",",
                sim_fault_name(verdict->strikes[i].fault), verdict->strikes[i].ordinal);
    }
    fprintf(file, "],\"failed\":%s,\"rule\":\"%s\",\"text\":", verdict->failed ? "true" : "false",
            verdict->rule);
    json_text(file, verdict->text);
    (void)fputc('}', file);
}
