/*
 * crash_choice.c - see crash_choice.h.
 */
#include "tests/crash/crash_choice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

void crash_choice_done(struct crash_choice *choice)
{
    free(choice->points);
    free(choice->cells);
    free(choice->flows);
    free(choice->actions);
    *choice = (struct crash_choice){0};
}

bool crash_choice_is_selection(const struct crash_choice *choice)
{
    return choice->point_count + choice->cell_count + choice->flow_count + choice->action_count > 0;
}

const char *crash_choice_text(const struct crash_choice *choice)
{
    static const char *const texts[] = {
        [PROFILE_CI] = "ci", [PROFILE_NIGHTLY] = "nightly", [PROFILE_RELEASE] = "release"};
    return crash_choice_is_selection(choice) ? "selection" : texts[choice->profile];
}

/* --- profiles --------------------------------------------------------------------------------- */

/* Every n-th of the cells that this was asked about; the same ones each time. */
static bool is_nth(size_t *counter, size_t n)
{
    return (*counter)++ % n == 0;
}

struct sampling {
    size_t kills, stops, wires, late_wires;
};

static bool is_special(const struct crash_cell *cell)
{
    return cell->flow >= FLOW_GRID_COUNT || cell->prelude != PRELUDE_NONE;
}

/* All surveys, hangs, and faults of databases and clients; all deaths in a commit and a refusal at
 * assentd and at the outer participants, and those on the way back; of the other deaths and of the
 * zombies a share. */
static bool is_in_ci(const struct crash_cell *cell, struct sampling *sampling)
{
    const bool is_core = (cell->flow == FLOW_COMMIT || cell->flow == FLOW_REFUSE) &&
                         cell->victim != VICTIM_MIDDLE && cell->hit != 2;
    switch (cell->action) {
    case ACTION_KILL:
        return is_core || is_special(cell) || is_nth(&sampling->kills, 11);
    case ACTION_STOP:
        return is_nth(&sampling->stops, 41);
    case ACTION_HANG:
    case ACTION_TRACE:
    case ACTION_FAULT:
        return true;
    case ACTION_DROP:
    case ACTION_CUT:
    case ACTION_BEHIND:
        return is_nth(&sampling->wires, 5);
    case ACTION_HOLD:
    case ACTION_MUTE:
        return is_nth(&sampling->late_wires, 11);
    }
    return true;
}

static bool is_in_nightly(const struct crash_cell *cell)
{
    return cell->action != ACTION_STOP || is_special(cell) || cell->flow == FLOW_COMMIT ||
           cell->flow == FLOW_REFUSE || cell->flow == FLOW_SINGLE;
}

static bool is_in_profile(enum crash_profile profile, const struct crash_cell *cell,
                          struct sampling *sampling)
{
    switch (profile) {
    case PROFILE_CI:
        return is_in_ci(cell, sampling);
    case PROFILE_NIGHTLY:
        return is_in_nightly(cell);
    case PROFILE_RELEASE:
        break;
    }
    return true;
}

/* --- names ------------------------------------------------------------------------------------ */

static bool is_named(const char *const *names, size_t count, const char *text, bool *found)
{
    bool named = count == 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], text) == 0) {
            found[i] = true;
            named = true;
        }
    }
    return named;
}

/* By number or by name. */
static bool is_named_cell(const struct crash_choice *choice, size_t index,
                          const struct crash_cell *cell, bool *found)
{
    char name[CRASH_NAME_SIZE];
    char number[24];
    crash_cell_name(cell, name);
    (void)snprintf(number, sizeof number, "%zu", index + 1);
    const bool by_name = is_named(choice->cells, choice->cell_count, name, found);
    const bool by_number = is_named(choice->cells, choice->cell_count, number, found);
    return by_name || by_number;
}

static bool all_found(const char *what, const char *const *names, const bool *found, size_t count,
                      struct error *ret_error)
{
    for (size_t i = 0; i < count; i++) {
        if (!found[i]) {
            (void)error_set(ret_error, ERROR_NOT_FOUND, "no cell has the %s \"%.200s\"", what,
                            names[i]);
            return error_hint(ret_error, "--list shows them");
        }
    }
    return true;
}

static bool choose_named(const struct crash_choice *choice, const struct crash_table *table,
                         bool *chosen, size_t *ret_count, struct error *ret_error)
{
    bool *found[4];
    const size_t counts[4] = {choice->point_count, choice->cell_count, choice->flow_count,
                              choice->action_count};
    for (size_t i = 0; i < 4; i++) {
        found[i] = alloc_zeroed(counts[i] + 1);
    }
    for (size_t i = 0; i < table->count; i++) {
        const struct crash_cell *cell = &table->cells[i];
        const bool point = is_named(choice->points, counts[0], crash_cell_subject(cell), found[0]);
        const bool itself = is_named_cell(choice, i, cell, found[1]);
        const bool flow = is_named(choice->flows, counts[2], crash_flow_text(cell->flow), found[2]);
        const bool action =
            is_named(choice->actions, counts[3], crash_action_text(cell->action), found[3]);
        chosen[i] = point && itself && flow && action;
        *ret_count += chosen[i] ? 1 : 0;
    }
    bool succeeded = all_found("point", choice->points, found[0], counts[0], ret_error) &&
                     all_found("name or number", choice->cells, found[1], counts[1], ret_error) &&
                     all_found("flow", choice->flows, found[2], counts[2], ret_error) &&
                     all_found("action", choice->actions, found[3], counts[3], ret_error);
    for (size_t i = 0; i < 4; i++) {
        free(found[i]);
    }
    return succeeded;
}

bool crash_choose(const struct crash_choice *choice, const struct crash_table *table,
                  bool **ret_chosen, size_t *ret_count, struct error *ret_error)
{
    size_t count = 0;
    struct sampling sampling = {0};
    bool *chosen = alloc_zeroed(table->count);
    bool succeeded = true;
    if (crash_choice_is_selection(choice)) {
        succeeded = choose_named(choice, table, chosen, &count, ret_error);
    } else {
        for (size_t i = 0; i < table->count; i++) {
            chosen[i] = is_in_profile(choice->profile, &table->cells[i], &sampling);
            count += chosen[i] ? 1 : 0;
        }
    }
    if (succeeded && count == 0) {
        succeeded = error_set(ret_error, ERROR_NOT_FOUND, "no cell is all of this at once");
    }
    if (!succeeded) {
        free(chosen);
        return false;
    }
    *ret_chosen = chosen;
    *ret_count = count;
    return true;
}

size_t *crash_choice_order(const struct crash_table *table, const bool *chosen, size_t count)
{
    size_t *order = alloc_resize(NULL, count, sizeof *order);
    size_t filled = 0;
    for (int pass = 0; pass < 3; pass++) {
        for (size_t i = 0; i < table->count; i++) {
            const int wanted = crash_cell_is_wired(&table->cells[i])   ? 0
                               : table->cells[i].action == ACTION_STOP ? 1
                                                                       : 2;
            if (chosen[i] && wanted == pass) {
                order[filled++] = i;
            }
        }
    }
    return order;
}
