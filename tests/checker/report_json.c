/*
 * report_json.c - the report for programs; assent-fault-check(1) describes it.
 */
#include <jansson.h>

#include "tests/checker/report.h"

static const char *const status_words[] = {
    [STATUS_NOT_CHECKED] = "not_checked", [STATUS_PASSED] = "passed", [STATUS_FAILED] = "failed"};
static const char *const kinds[EDGE_KINDS] = {"ww", "wr", "rw", "rt"};

static json_t *cycle_json(const struct cycle *cycle)
{
    json_t *steps = json_array();
    for (size_t i = 0; i < cycle->steps.count; i++) {
        const struct step *step = &cycle->steps.items[i];
        json_array_append_new(steps, json_pack("{s:I, s:I, s:s, s:s}", "from",
                                               (json_int_t)step->from, "to", (json_int_t)step->to,
                                               "kind", kinds[step->kind], "because", step->text));
    }
    return json_pack("{s:s, s:b, s:o}", "class", cycle->class_name, "allowed", (int)cycle->allowed,
                     "steps", steps);
}

static json_t *check_json(const struct report *report, enum check check)
{
    json_t *findings = json_array(), *counts = json_object();
    for (size_t i = 0; i < report->findings.count; i++) {
        const struct finding *finding = &report->findings.items[i];
        if (finding->check != check) {
            continue;
        }
        json_t *object = json_pack("{s:s, s:s}", "name", finding->name, "text", finding->text);
        if (finding->cycle >= 0) {
            json_object_set_new(object, "cycle", cycle_json(&report->cycles.items[finding->cycle]));
        }
        json_array_append_new(findings, object);
    }
    for (size_t i = 0; i < report->tallies.count; i++) {
        const struct tally *tally = &report->tallies.items[i];
        if (tally->check == check) {
            json_object_set_new(counts, tally->name, json_integer((json_int_t)tally->count));
        }
    }
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:I, s:o, s:o}", "id", check_about[check].id, "what",
                  check_about[check].what, "status", status_words[report->status[check]], "count",
                  (json_int_t)report->count[check], "counts", counts, "findings", findings);
    if (report->status[check] == STATUS_NOT_CHECKED) {
        json_object_set_new(object, "why", json_string(report->why_not[check]));
    }
    return object;
}

static json_t *figures_json(const struct figures *figures)
{
    const struct {
        const char *name;
        uint64_t value;
    } list[] = {
        {"requests", figures->ops},
        {"ok", figures->ok},
        {"fail", figures->fail},
        {"unknown", figures->unknown},
        {"transactions", figures->txns},
        {"committed", figures->committed},
        {"resolved_committed", figures->resolved_committed},
        {"reads", figures->reads},
        {"snapshot_reads", figures->snapshot_reads},
        {"fractured_reads", figures->fractured_reads},
        {"snapshot_cycle_groups", figures->weak_sccs},
        {"snapshot_lost_updates", figures->lost_updates_snapshot},
        {"global_reads", figures->global_reads},
        {"global_reads_fractured", figures->global_reads_fractured},
        {"graph_nodes", figures->nodes},
        {"graph_edges", figures->edges},
    };
    json_t *object =
        json_pack("{s:f, s:f}", "seconds", figures->seconds, "throughput", figures->throughput);
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        json_object_set_new(object, list[i].name, json_integer((json_int_t)list[i].value));
    }
    return object;
}

static json_t *seconds_json(int64_t us)
{
    return us < 0 ? json_null() : json_real((double)us / 1e6);
}

static json_t *faults_json(const struct history *history, const struct report *report)
{
    json_t *array = json_array();
    for (size_t i = 0; i < report->faults.count; i++) {
        const struct fault_span *fault = &report->faults.items[i];
        json_array_append_new(
            array,
            json_pack("{s:I, s:s, s:s, s:o, s:o, s:o, s:o}", "n", (json_int_t)fault->n, "fault",
                      names_text(&history->names, fault->fault), "target",
                      names_text(&history->names, fault->target), "begin",
                      seconds_json(fault->t_begin), "end", seconds_json(fault->t_end), "heal",
                      seconds_json(fault->heal_us), "recover", seconds_json(fault->recover_us)));
    }
    return array;
}

static json_t *growth_json(const struct history *history, const struct growth *growth)
{
    json_t *object = json_pack(
        "{s:s, s:s, s:I, s:f, s:f, s:f, s:f, s:b, s:b}", "process",
        growth->process == NAME_NONE ? "journal" : names_text(&history->names, growth->process),
        "what", growth->what, "samples", (json_int_t)growth->samples, "seconds", growth->seconds,
        "per_hour", growth->per_hour, "growth", growth->growth, "allowance", growth->allowance,
        "tested", (int)growth->tested, "failed", (int)growth->failed);
    if (!growth->tested) {
        json_object_set_new(object, "why", json_string(growth->why_not));
    }
    return object;
}

static json_t *growths_json(const struct history *history, const struct report *report)
{
    json_t *array = json_array();
    for (size_t i = 0; i < report->growths.count; i++) {
        json_array_append_new(array, growth_json(history, &report->growths.items[i]));
    }
    return array;
}

bool report_print_json(const struct history *history, const struct report *report, FILE *file)
{
    static const char *const verdicts[] = {[VERDICT_PASSED] = "pass",
                                           [VERDICT_INCOMPLETE] = "incomplete",
                                           [VERDICT_VIOLATED] = "fail"};
    json_t *checks = json_array(), *examples = json_array(), *lacking = json_array();
    for (int check = 0; check < CHECK_COUNT; check++) {
        json_array_append_new(checks, check_json(report, (enum check)check));
        if (report_lacks(report, (enum check)check)) {
            json_array_append_new(lacking, json_string(check_about[check].id));
        }
    }
    for (size_t i = 0; i < report->cycles.count; i++) {
        if (report->cycles.items[i].allowed) {
            json_array_append_new(examples, cycle_json(&report->cycles.items[i]));
        }
    }
    json_t *root = json_pack(
        "{s:s, s:o, s:I, s:s, s:b, s:o, s:o, s:o, s:o, s:o}", "verdict",
        verdicts[report_verdict(report)], "required_not_checked", lacking, "seed",
        (json_int_t)history->meta.seed, "started",
        names_text(&history->names, history->meta.started), "cut", (int)history->cut, "checks",
        checks, "figures", figures_json(&report->figures), "faults", faults_json(history, report),
        "growth", growths_json(history, report), "plain_read_cycles", examples);
    bool good = root && json_dumpf(root, file, JSON_INDENT(2)) == 0 && fputc('\n', file) != EOF;
    json_decref(root);
    return good;
}
