/*
 * crash_table.c - makes the table: all points times flows times deaths, the surveys, and the
 * hand-written cells. See crash_cells.h.
 *
 * What crash_path.c says is not on a flow's way becomes an impossible combination, with the reason;
 * nothing is left out silently.
 */
#include "tests/crash/crash_cells.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"

/* --- texts ------------------------------------------------------------------------------------ */

const char *crash_action_text(enum crash_action action)
{
    static const char *const texts[] = {
        [ACTION_KILL] = "kill",   [ACTION_HANG] = "hang",   [ACTION_STOP] = "stop",
        [ACTION_TRACE] = "trace", [ACTION_FAULT] = "fault", [ACTION_DROP] = "drop",
        [ACTION_HOLD] = "hold",   [ACTION_CUT] = "cut",     [ACTION_BEHIND] = "behind",
        [ACTION_MUTE] = "mute"};
    return texts[action];
}

const char *crash_victim_text(enum crash_victim victim)
{
    static const char *const texts[] = {
        [VICTIM_COORDINATOR] = "assentd", [VICTIM_FIRST] = "first",   [VICTIM_MIDDLE] = "middle",
        [VICTIM_LAST] = "last",           [VICTIM_CLIENT] = "client", [VICTIM_NOBODY] = "all"};
    return texts[victim];
}

const char *crash_flow_text(enum crash_flow flow)
{
    static const char *const texts[] = {[FLOW_COMMIT] = "commit",
                                        [FLOW_PLAIN] = "plain",
                                        [FLOW_CLIENT] = "client",
                                        [FLOW_DUPLICATE] = "duplicate",
                                        [FLOW_SINGLE] = "single",
                                        [FLOW_READ_ONLY] = "read-only",
                                        [FLOW_SERIAL] = "serializable",
                                        [FLOW_REFUSE] = "refuse",
                                        [FLOW_TIMEOUT] = "timeout",
                                        [FLOW_STALL] = "stall",
                                        [FLOW_BULK] = "bulk",
                                        [FLOW_START] = "start",
                                        [FLOW_DRAIN] = "drain",
                                        [FLOW_RECONNECT] = "reconnect",
                                        [FLOW_SEVER] = "sever",
                                        [FLOW_FORGET] = "forget",
                                        [FLOW_WAIT] = "wait",
                                        [FLOW_ACCEPTED] = "accepted",
                                        [FLOW_DEAD] = "dead",
                                        [FLOW_REQUEUE] = "requeue",
                                        [FLOW_DROP] = "drop",
                                        [FLOW_EXTERNAL] = "external",
                                        [FLOW_UNPREPARED] = "unprepared"};
    return texts[flow];
}

const char *crash_prelude_text(enum crash_prelude prelude)
{
    static const char *const texts[] = {[PRELUDE_NONE] = "",
                                        [PRELUDE_UNDECIDED] = "undecided",
                                        [PRELUDE_DECIDED] = "decided",
                                        [PRELUDE_TWO_UNDECIDED] = "two-undecided",
                                        [PRELUDE_TWO_DECIDED] = "two-decided",
                                        [PRELUDE_LOST_ACK] = "lost-ack",
                                        [PRELUDE_HEURISTIC] = "heuristic",
                                        [PRELUDE_EXPIRED] = "expired"};
    return texts[prelude];
}

const char *crash_expect_text(enum crash_expect expect)
{
    static const char *const texts[] = {[EXPECT_NONE] = "none",
                                        [EXPECT_ONCE] = "once",
                                        [EXPECT_EITHER] = "either",
                                        [EXPECT_HEURISTIC] = "heuristic"};
    return texts[expect];
}

static const struct {
    const char *name, *text;
} faults[CRASH_FAULT_COUNT] = {
#define SERVER_FAULT(id, name, text) [id] = {name, text},
#define CLIENT_FAULT(id, name, text) [id] = {name, text},
#define WIRE_FAULT(id, name, text)   [id] = {name, text},
#include "tests/crash/crash_faults.def"
#undef SERVER_FAULT
#undef CLIENT_FAULT
#undef WIRE_FAULT
};

bool crash_cell_is_wired(const struct crash_cell *cell)
{
    return cell->action >= ACTION_DROP;
}

const char *crash_cell_subject(const struct crash_cell *cell)
{
    switch (cell->action) {
    case ACTION_FAULT:
    case ACTION_DROP:
    case ACTION_HOLD:
    case ACTION_CUT:
    case ACTION_BEHIND:
    case ACTION_MUTE:
        return faults[cell->fault].name;
    case ACTION_TRACE:
        return "survey";
    case ACTION_KILL:
    case ACTION_HANG:
    case ACTION_STOP:
        break;
    }
    return fault_point_name(cell->point);
}

const char *crash_cell_explained(const struct crash_cell *cell)
{
    switch (cell->action) {
    case ACTION_FAULT:
    case ACTION_DROP:
    case ACTION_HOLD:
    case ACTION_CUT:
    case ACTION_BEHIND:
    case ACTION_MUTE:
        return faults[cell->fault].text;
    case ACTION_TRACE:
        return "which points the flow comes by, and how often, is what the table of paths says";
    case ACTION_KILL:
    case ACTION_HANG:
    case ACTION_STOP:
        break;
    }
    return fault_point_text(cell->point);
}

void crash_cell_row(const struct crash_cell *cell, char ret_row[CRASH_NAME_SIZE])
{
    char hit[16] = "";
    if (cell->hit > 1) {
        (void)snprintf(hit, sizeof hit, ":%u", cell->hit);
    }
    (void)snprintf(ret_row, CRASH_NAME_SIZE, "%s%s@%s", crash_cell_subject(cell), hit,
                   crash_victim_text(cell->victim));
}

void crash_cell_name(const struct crash_cell *cell, char ret_name[CRASH_NAME_SIZE])
{
    char row[CRASH_NAME_SIZE];
    crash_cell_row(cell, row);
    (void)snprintf(ret_name, CRASH_NAME_SIZE, "%.60s/%s%s%s/%s", row, crash_flow_text(cell->flow),
                   cell->prelude == PRELUDE_NONE ? "" : "+", crash_prelude_text(cell->prelude),
                   crash_action_text(cell->action));
}

/* --- the table -------------------------------------------------------------------------------- */

/* How often a point may be reached within one transaction of this many participants. */
static unsigned repeats(enum fault_point point)
{
    switch (point) {
    case FAULT_C_PREPARE_SENT:
    case FAULT_C_VOTE_RECV:
    case FAULT_C_COMMIT_SENT:
    case FAULT_C_ACK_RECV:
    case FAULT_C_ABORT_SENT:
        return CRASH_PARTICIPANTS;
    case FAULT_C_DECODED: /* of two requests */
    case FAULT_C_REPLY_PRE:
    case FAULT_C_REPLY_POST:
    case FAULT_A_STMT: /* of two statements */
        return 2;
    default:
        return 1;
    }
}

static void add(struct crash_cell **cells, size_t *count, const struct crash_cell *cell)
{
    *cells = alloc_resize(*cells, *count + 1, sizeof **cells);
    (*cells)[(*count)++] = *cell;
}

static void cross(struct crash_table *table, struct crash_cell cell)
{
    const char *reason = NULL;
    const unsigned hits = crash_path_hits(cell.flow, cell.point, cell.victim, &reason);
    if (cell.hit <= hits) {
        cell.expect = crash_expect(&cell);
        add(&table->cells, &table->count, &cell);
        return;
    }
    cell.impossible = hits == 0 ? reason : "it is reached less often in this flow";
    add(&table->impossible, &table->impossible_count, &cell);
}

static bool is_coordinators(enum fault_point point)
{
    return fault_point_name(point)[0] == 'c';
}

static void cross_point(struct crash_table *table, enum fault_point point, enum crash_action action)
{
    static const enum crash_victim agents[] = {VICTIM_FIRST, VICTIM_MIDDLE, VICTIM_LAST};
    const size_t victims = is_coordinators(point) ? 1 : sizeof agents / sizeof agents[0];
    for (int flow = FLOW_COMMIT; flow < FLOW_GRID_COUNT; flow++) {
        for (size_t i = 0; i < victims; i++) {
            for (unsigned hit = 1; hit <= repeats(point); hit++) {
                const struct crash_cell cell = {
                    .point = point,
                    .victim = is_coordinators(point) ? VICTIM_COORDINATOR : agents[i],
                    .hit = hit,
                    .flow = (enum crash_flow)flow,
                    .action = action};
                cross(table, cell);
            }
        }
    }
}

static void add_surveys(struct crash_table *table)
{
    for (int flow = FLOW_COMMIT; flow < FLOW_GRID_COUNT; flow++) {
        const struct crash_cell cell = {
            .victim = VICTIM_NOBODY,
            .flow = (enum crash_flow)flow,
            .expect = crash_flow_commits((enum crash_flow)flow) ? EXPECT_ONCE : EXPECT_NONE,
            .action = ACTION_TRACE};
        add(&table->cells, &table->count, &cell);
    }
}

/* Each kind of unit at the first and the last participant that it concerns. A connection to a
 * database can not lose one message and keep the next: TCP would not let it. */
static void add_wires(struct crash_table *table)
{
    static const struct {
        enum crash_fault fault;
        enum crash_flow flow;
        enum crash_prelude prelude;
        enum crash_victim victims[2];
    } units[] = {
        {WIRE_WORK, FLOW_COMMIT, PRELUDE_NONE, {VICTIM_FIRST, VICTIM_LAST}},
        {WIRE_VOTE, FLOW_COMMIT, PRELUDE_NONE, {VICTIM_FIRST, VICTIM_LAST}},
        {WIRE_COMMIT, FLOW_COMMIT, PRELUDE_NONE, {VICTIM_FIRST, VICTIM_LAST}},
        {WIRE_ACK, FLOW_COMMIT, PRELUDE_NONE, {VICTIM_FIRST, VICTIM_LAST}},
        {WIRE_ACK, FLOW_REFUSE, PRELUDE_NONE, {VICTIM_FIRST, VICTIM_MIDDLE}},
        {WIRE_ROLLBACK, FLOW_REFUSE, PRELUDE_NONE, {VICTIM_FIRST, VICTIM_MIDDLE}},
        {WIRE_INQUIRY, FLOW_START, PRELUDE_UNDECIDED, {VICTIM_FIRST, VICTIM_LAST}},
        {WIRE_VERDICT, FLOW_START, PRELUDE_UNDECIDED, {VICTIM_FIRST, VICTIM_LAST}},
        {WIRE_COMMIT, FLOW_START, PRELUDE_DECIDED, {VICTIM_FIRST, VICTIM_LAST}},
        {WIRE_SQL_BEGIN, FLOW_COMMIT, PRELUDE_NONE, {VICTIM_FIRST, VICTIM_LAST}},
        {WIRE_SQL_PREPARE, FLOW_COMMIT, PRELUDE_NONE, {VICTIM_FIRST, VICTIM_LAST}},
        {WIRE_SQL_PREPARE, FLOW_PLAIN, PRELUDE_NONE, {VICTIM_FIRST, VICTIM_LAST}},
        {WIRE_SQL_PREPARED, FLOW_COMMIT, PRELUDE_NONE, {VICTIM_FIRST, VICTIM_LAST}},
        {WIRE_SQL_PREPARED, FLOW_PLAIN, PRELUDE_NONE, {VICTIM_FIRST, VICTIM_LAST}},
        {WIRE_SQL_COMMIT, FLOW_COMMIT, PRELUDE_NONE, {VICTIM_FIRST, VICTIM_LAST}},
        {WIRE_SQL_COMMITTED, FLOW_COMMIT, PRELUDE_NONE, {VICTIM_FIRST, VICTIM_LAST}},
        {WIRE_SQL_ROLLBACK, FLOW_REFUSE, PRELUDE_NONE, {VICTIM_FIRST, VICTIM_MIDDLE}},
        {WIRE_SQL_ROLLED_BACK, FLOW_REFUSE, PRELUDE_NONE, {VICTIM_FIRST, VICTIM_MIDDLE}},
    };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        for (size_t k = 0; k < 2; k++) {
            for (int action = ACTION_DROP; action <= ACTION_MUTE; action++) {
                struct crash_cell cell = {.fault = units[i].fault,
                                          .victim = units[i].victims[k],
                                          .flow = units[i].flow,
                                          .prelude = units[i].prelude,
                                          .action = (enum crash_action)action};
                if (action == ACTION_DROP && cell.fault >= WIRE_SQL_BEGIN) {
                    cell.impossible = "TCP loses no single message; cut and mute are there";
                    add(&table->impossible, &table->impossible_count, &cell);
                    continue;
                }
                cell.expect = crash_expect(&cell);
                add(&table->cells, &table->count, &cell);
            }
        }
    }
}

struct crash_table *crash_table_new(void)
{
    struct crash_table *table = alloc_zeroed(sizeof *table);
    add_surveys(table);
    for (int point = 0; point < FAULT_POINT_COUNT; point++) {
        cross_point(table, (enum fault_point)point, ACTION_KILL);
        cross_point(table, (enum fault_point)point, ACTION_STOP);
    }
    for (size_t i = 0; i < crash_special_count; i++) {
        add(&table->cells, &table->count, &crash_special_cells[i]);
    }
    add_wires(table);
    return table;
}

void crash_table_free(struct crash_table *table)
{
    if (table != NULL) {
        free(table->cells);
        free(table->impossible);
        free(table);
    }
}
