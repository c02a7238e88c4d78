/*
 * check_cycles.c - G1: dependencies between transactions, and cycles among them.
 *
 * Every cycle is a violation but those that need a plain read (mode S) not to have seen something: an edge of
 * kind rw that no lock protects. ww and wr edges follow the order of the decisions whatever the mode: a branch
 * commits after the decision, and who overwrites or sees it decides later. So do edges of time. Cycles that do
 * need a plain read are counted, an example is shown, and the check does not fail.
 */
#include "tests/checker/checks.h"
#include "tests/checker/explain.h"
#include "tests/checker/fractured.h"

#define COMPONENTS_SEARCHED                                                                        \
    200 /* more are counted, but a broken run has the same cause in most of them */
#define EXAMPLES 3

struct cycle_check {
    const struct history *history;
    struct report *report;
    const struct versions *versions;
    const struct graph *graph;
    struct search search;
};

static int keep_cycle(struct cycle_check *check, const char *class_name, bool allowed,
                      const edge_list *edges)
{
    struct report *report = check->report;
    struct cycle *cycle = vec_add(&report->cycles);
    cycle->class_name = class_name;
    cycle->allowed = allowed;
    explain_cycle(check->history, check->versions, check->graph, edges, cycle);
    return (int)report->cycles.count - 1;
}

static bool has_two_rw(const struct graph *graph, const edge_list *edges)
{
    int count = 0;
    for (size_t i = 0; i < edges->count; i++) {
        count += graph->edges.items[edges->items[i]].kind == EDGE_RW;
    }
    return count >= 2;
}

static bool has_weak(const struct graph *graph, const edge_list *edges)
{
    for (size_t i = 0; i < edges->count; i++) {
        if (graph->edges.items[edges->items[i]].weak) {
            return true;
        }
    }
    return false;
}

/* The classes found in one component. Of the variants with time only those are told that are worse than
 * everything found without. */
static bool judge_component(struct cycle_check *check, const struct components *components,
                            uint32_t component)
{
    edge_list edges = {0};
    int worst = CYCLE_CLASSES;
    for (int i = 0; i < CYCLE_CLASSES; i++) {
        const struct cycle_class *class = &cycle_classes[i];
        if (class->realtime && class->strength >= worst) {
            continue;
        }
        if (!cycle_find(&check->search, components, component, class, false, &edges)) {
            continue;
        }
        /* With another rw edge on the way back allowed, what was found may be a G-single. */
        bool two = has_two_rw(check->graph, &edges);
        if (class->special == EDGE_RW && two != (class->strength == 3)) {
            continue;
        }
        worst = class->strength < worst ? class->strength : worst;
        if (check->report->cycles.count >= REPORT_KEPT) {
            report_add(check->report, CHECK_G1, class->name, -1, "one more cycle");
            continue;
        }
        int cycle = keep_cycle(check, class->name, false, &edges);
        char *text = explain_text(&check->report->cycles.items[cycle]);
        report_add(check->report, CHECK_G1, class->name, cycle, "%s", text);
        free(text);
    }
    vec_done(&edges);
    return worst < CYCLE_CLASSES;
}

/* A component is a cycle, also where the search gave up before it knew which. */
static void tell_unnamed(struct cycle_check *check, const struct components *components,
                         uint32_t component)
{
    uint32_t count = components->first[component + 1] - components->first[component];
    const struct op *op = NULL;
    for (uint32_t i = components->first[component]; i < components->first[component + 1] && !op;
         i++) {
        if (components->members[i] < check->graph->txn_nodes) {
            op = txn_op(check->history, check->graph->txn_of[components->members[i]]);
        }
    }
    report_add(
        check->report, CHECK_G1, "cycle", -1,
        "%u transactions (with barriers of time) depend on each other in a circle; T%lld is one",
        count, op ? (long long)op->i : -1);
}

static void judge_strict(struct cycle_check *check)
{
    struct components components;
    components_make(check->graph, false, &components);
    for (uint32_t i = 0; i < components.count; i++) {
        if (i >= COMPONENTS_SEARCHED || !judge_component(check, &components, i)) {
            tell_unnamed(check, &components, i);
        }
    }
    components_done(&components);
}

/* Cycles through plain reads: examples for the report. */
static void show_weak(struct cycle_check *check)
{
    struct components components;
    edge_list edges = {0};
    int shown = 0;
    components_make(check->graph, true, &components);
    check->report->figures.weak_sccs = components.count;
    for (uint32_t i = 0; i < components.count && i < COMPONENTS_SEARCHED && shown < EXAMPLES; i++) {
        for (int c = 0; c < CYCLE_CLASSES && shown < EXAMPLES; c++) {
            const struct cycle_class *class = &cycle_classes[c];
            if (class->special != EDGE_RW ||
                !cycle_find(&check->search, &components, i, class, true, &edges) ||
                !has_weak(check->graph, &edges) ||
                has_two_rw(check->graph, &edges) != (class->strength == 3)) {
                continue;
            }
            keep_cycle(check, class->name, true, &edges);
            shown++;
            break;
        }
    }
    vec_done(&edges);
    components_done(&components);
}

static bool has_dependencies(const struct history *history)
{
    for (size_t i = 0; i < history->objects.count; i++) {
        uint8_t kind = history->objects.items[i].kind;
        if (kind == OBJECT_LIST || kind == OBJECT_REGISTER) {
            return true;
        }
    }
    return false;
}

bool check_cycles(struct history *history, struct report *report, struct problem *ret_problem)
{
    struct versions versions;
    struct graph graph;
    if (!has_dependencies(history)) {
        report_skipped(report, CHECK_G1, "no lists and no registers in this history");
        return true;
    }
    report_checked(report, CHECK_G1);
    if (!versions_make(history, report, &versions, ret_problem)) {
        return false;
    }
    fractured_count(history, report, &versions);
    graph_make(history, &versions, &graph);
    report->figures.nodes = graph.node_count;
    report->figures.edges = graph.edges.count;
    struct cycle_check check = {
        .history = history, .report = report, .versions = &versions, .graph = &graph};
    search_init(&check.search, &graph);
    judge_strict(&check);
    if (report->figures.snapshot_reads > 0) {
        show_weak(&check);
    }
    search_done(&check.search);
    graph_done(&graph);
    versions_done(&versions);
    return true;
}
