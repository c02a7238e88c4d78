/*
 * explain.c - see explain.h.
 */
#include "tests/checker/explain.h"

#include <stdio.h>
#include <string.h>

struct teller {
    const struct history *history;
    const struct versions *versions;
    const struct graph *graph;
};

static long long number(const struct teller *teller, uint32_t node)
{
    return (long long)txn_op(teller->history, teller->graph->txn_of[node])->i;
}

static char *tell_ww(const struct teller *teller, const struct edge *edge)
{
    const struct write *write = &teller->versions->writes.items[edge->what];
    const struct write *before = &teller->versions->writes.items[write->prev];
    bool list = teller->history->objects.items[write->object].kind == OBJECT_LIST;
    char name[OBJECT_NAME_SIZE];
    object_name(teller->history, write->object, name, sizeof name);
    if (!write->placed) {
        return text_format(
            "nobody saw T%lld's append of %lld to %s, so it is behind the last that was "
            "seen, T%lld's %lld",
            number(teller, edge->to), (long long)write->v, name, number(teller, edge->from),
            (long long)before->v);
    }
    return text_format(list ? "T%lld appended %lld to %s right behind T%lld's %lld"
                            : "T%lld wrote %lld to %s right over T%lld's %lld",
                       number(teller, edge->to), (long long)write->v, name,
                       number(teller, edge->from), (long long)before->v);
}

static char *tell_wr(const struct teller *teller, const struct edge *edge)
{
    const struct write *write =
        &teller->versions->writes.items[teller->versions->of_micro[edge->what]];
    bool list = teller->history->objects.items[write->object].kind == OBJECT_LIST;
    char name[OBJECT_NAME_SIZE];
    object_name(teller->history, write->object, name, sizeof name);
    return text_format(
        list ? "T%lld read T%lld's append of %lld to %s" : "T%lld read T%lld's %lld from %s",
        number(teller, edge->to), number(teller, edge->from), (long long)write->v, name);
}

/* What the reader did not see: the version after the one it saw, or else something of the tail. */
static const struct write *not_seen(const struct teller *teller, const struct edge *edge)
{
    uint32_t unseen = versions_unseen(teller->history, teller->versions, edge->what);
    uint32_t txn = teller->graph->txn_of[edge->to], count;
    if (unseen != NONE && teller->versions->writes.items[unseen].txn == txn) {
        return &teller->versions->writes.items[unseen];
    }
    const uint32_t *tail = versions_tail(teller->history, teller->versions, edge->what, &count);
    uint32_t i = 0;
    while (i + 1 < count && teller->versions->writes.items[tail[i]].txn != txn) {
        i++;
    }
    return &teller->versions->writes.items[tail[i]];
}

static char *tell_rw(const struct teller *teller, const struct edge *edge)
{
    const struct micro *micro = &teller->history->micros.items[edge->what];
    uint32_t saw = teller->versions->of_micro[edge->what];
    const struct write *write = not_seen(teller, edge);
    bool list = teller->history->objects.items[micro->object].kind == OBJECT_LIST;
    char name[OBJECT_NAME_SIZE], found[60] = "nothing";
    object_name(teller->history, micro->object, name, sizeof name);
    if (saw != NONE) {
        snprintf(found, sizeof found, list ? "a list that ends with %lld" : "%lld",
                 (long long)teller->versions->writes.items[saw].v);
    }
    return text_format("T%lld found %s in %s (%s), before T%lld %s %lld",
                       number(teller, edge->from), found, name,
                       edge->weak ? "a plain read" : "a locking read", number(teller, edge->to),
                       list ? "appended" : "wrote", (long long)write->v);
}

static char *tell_rt(const struct teller *teller, uint32_t from, uint32_t to)
{
    const struct txn *before = &teller->history->txns.items[teller->graph->txn_of[from]];
    const struct txn *after = &teller->history->txns.items[teller->graph->txn_of[to]];
    return text_format("T%lld was answered at %.6f s, before T%lld was sent at %.6f s",
                       number(teller, from), (double)before->t_ret / 1e6, number(teller, to),
                       (double)after->t_inv / 1e6);
}

static char *tell(const struct teller *teller, const struct edge *edge)
{
    switch ((enum edge_kind)edge->kind) {
    case EDGE_WW:
        return tell_ww(teller, edge);
    case EDGE_WR:
        return tell_wr(teller, edge);
    case EDGE_RW:
        return tell_rw(teller, edge);
    case EDGE_RT:
    case EDGE_KINDS:
        break;
    }
    return text_format("of time");
}

void explain_cycle(const struct history *history, const struct versions *versions,
                   const struct graph *graph, const edge_list *edges, struct cycle *ret_cycle)
{
    struct teller teller = {history, versions, graph};
    for (size_t i = 0; i < edges->count;) {
        const struct edge *edge = &graph->edges.items[edges->items[i++]];
        uint32_t from = edge->from, to = edge->to;
        char *text;
        if (edge->kind == EDGE_RT) {
            /* A cycle begins with an edge between transactions, so barriers end within the list. */
            while (to >= graph->txn_nodes && i < edges->count) {
                to = graph->edges.items[edges->items[i++]].to;
            }
            text = tell_rt(&teller, from, to);
        } else {
            text = tell(&teller, edge);
        }
        *vec_add(&ret_cycle->steps) = (struct step){.from = number(&teller, from),
                                                    .to = number(&teller, to),
                                                    .kind = (enum edge_kind)edge->kind,
                                                    .text = text};
    }
}

char *explain_text(const struct cycle *cycle)
{
    size_t size = 1;
    for (size_t i = 0; i < cycle->steps.count; i++) {
        size += strlen(cycle->steps.items[i].text) + 80;
    }
    char *text = mem_zeroed(size, 1);
    size_t length = 0;
    for (size_t i = 0; i < cycle->steps.count; i++) {
        const struct step *step = &cycle->steps.items[i];
        bool last = i + 1 == cycle->steps.count;
        length += (size_t)snprintf(text + length, size - length, "%sT%lld < T%lld because %s",
                                   i == 0 ? ""
                                   : last ? "; but "
                                          : ", ",
                                   (long long)step->from, (long long)step->to, step->text);
    }
    return text;
}
