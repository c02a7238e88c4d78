/*
 * kit.c - see kit.h.
 */
#include "tests/checker/kit.h"

#include <string.h>
#include <unistd.h>

static void put(struct kit *kit, const char *text)
{
    for (; *text; text++) {
        fputc(*text == '\'' ? '"' : *text, kit->file);
    }
}

void kit_line(struct kit *kit, const char *format, ...)
{
    static char text[1 << 20];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert_true(length > 0 && (size_t)length < sizeof text);
    put(kit, text);
    fputc('\n', kit->file);
    kit->lines++;
}

void kit_begin(struct kit *kit)
{
    kit_begin_with(kit, "");
}

void kit_begin_with(struct kit *kit, const char *meta)
{
    *kit = (struct kit){.path = "/tmp/assent-checker-XXXXXX"};
    int fd = mkstemp(kit->path);
    assert_true(fd >= 0);
    kit->file = fdopen(fd, "w");
    assert_non_null(kit->file);
    kit_line(kit,
             "{'type':'meta','version':1,'seed':1,%s'started':'2026-11-27T20:00:00Z',"
             "'workloads':['W2'],'databases':['a','b']}",
             meta);
}

void kit_op(struct kit *kit, int i, int t_inv, int t_ret, const char *mode, const char *result,
            const char *ops)
{
    kit_line(kit,
             "{'type':'op','i':%d,'client':'c','workload':'W2','mode':'%s','t_inv':%d,'t_ret':%d,"
             "'result':'%s','ops':[%s]}",
             i, mode, t_inv, t_ret, result, ops);
}

void kit_keyed(struct kit *kit, int i, int t_inv, int t_ret, const char *key, const char *result,
               const char *extra, const char *ops)
{
    kit_line(kit,
             "{'type':'op','i':%d,'client':'c','workload':'W1','key':'%s','t_inv':%d,'t_ret':%d,%s"
             "'result':'%s','ops':[%s]}",
             i, key, t_inv, t_ret, extra, result, ops);
}

void kit_rest(struct kit *kit, const char *more_a, const char *more_b)
{
    kit_line(kit,
             "{'type':'dump','t':90000,'at':'end','db':'a',%s'prepared':[],'locks':0,'idle':0}",
             more_a);
    kit_line(kit,
             "{'type':'dump','t':90000,'at':'end','db':'b',%s'prepared':[],'locks':0,'idle':0}",
             more_b);
    kit_line(kit, "{'type':'state','t':90000,'unfinished':[],'in_doubt':[]}");
}

void kit_judge(struct kit *kit)
{
    kit_line(kit, "{'type':'end','t':99000,'lines':%llu,'reason':'complete'}",
             (unsigned long long)kit->lines);
    fclose(kit->file);
    kit->file = NULL;
    if (!history_read(kit->path, false, &kit->history, &kit->problem) ||
        !report_make(&kit->history, &kit->report, &kit->problem)) {
        fail_msg("line %llu: %s", (unsigned long long)kit->problem.line, kit->problem.text);
    }
    kit->judged = true;
}

uint64_t kit_count(const struct kit *kit, enum check check, const char *name)
{
    for (size_t i = 0; i < kit->report.tallies.count; i++) {
        const struct tally *tally = &kit->report.tallies.items[i];
        if (tally->check == check && strcmp(tally->name, name) == 0) {
            return tally->count;
        }
    }
    return 0;
}

static void show(const struct kit *kit)
{
    report_print_text(&kit->history, &kit->report, stderr);
}

void kit_only(const struct kit *kit, enum check check, const char *name)
{
    if (kit->report.tallies.count != 1 || kit_count(kit, check, name) == 0) {
        show(kit);
        fail_msg("not exactly %s %s", check_about[check].id, name);
    }
}

/* Whether the cycle leads over the path if one begins at this step. */
static bool follows(const struct cycle *cycle, size_t first, const char *path)
{
    size_t count = cycle->steps.count;
    const char *place = path;
    for (size_t i = 0; i < count; i++) {
        char *end;
        long long wanted = strtoll(place, &end, 10);
        const struct step *step = &cycle->steps.items[(first + i) % count];
        const struct step *next = &cycle->steps.items[(first + i + 1) % count];
        if (end == place || wanted != step->from || step->to != next->from) {
            return false;
        }
        place = end;
    }
    return *place == 0;
}

void kit_cycle(const struct kit *kit, const char *class_name, const char *path, bool allowed)
{
    for (size_t i = 0; i < kit->report.cycles.count; i++) {
        const struct cycle *cycle = &kit->report.cycles.items[i];
        if (strcmp(cycle->class_name, class_name) != 0 || cycle->allowed != allowed) {
            continue;
        }
        for (size_t first = 0; first < cycle->steps.count; first++) {
            if (follows(cycle, first, path)) {
                return;
            }
        }
    }
    show(kit);
    fail_msg("no cycle %s over %s", class_name, path);
}

void kit_passes(const struct kit *kit)
{
    if (!report_passed(&kit->report) || kit->report.findings.count > 0) {
        show(kit);
        fail_msg("findings in a history without fault");
    }
}

void kit_done(struct kit *kit)
{
    if (kit->file) {
        fclose(kit->file);
    }
    if (kit->judged) {
        report_done(&kit->report);
        history_done(&kit->history);
    }
    unlink(kit->path);
}
