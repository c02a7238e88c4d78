/* coord_lines.h - what test_coord_lines*.c share: looking at a transaction, saying one thing to the core, and a past to start from.
 * The names are short because the tests read as a story; for nobody else. */
#ifndef ASSENT_TESTS_SPEC_COORD_LINES_H
#define ASSENT_TESTS_SPEC_COORD_LINES_H

#include "tests/spec/coord_world.h"

struct coord_counters counters_of(const struct world *world);
struct txn_view view_of(const struct world *world, const struct gtrid *gtrid);
size_t count_events(const struct world *world, const struct gtrid *gtrid, const char *kind);
enum branch_state branch_of(const struct world *world, const struct gtrid *gtrid, size_t index);

void resolve(struct world *world, const struct gid *gid, enum resolve_action action, uint64_t call);
void drain(struct world *world);
void ack_with(struct world *world, const struct gid *gid, enum ack ack,
              const struct coord_prior *prior);
/* Payment refuses, and order has nothing left of it. */
void abort_at_once(struct world *world, const struct pair *pair);

/* A journal with one earlier epoch, and one commit of it over order and (read-only) a participant that nobody knows. */
struct past {
    struct epoch_entry epochs[2];
    char names[1][PARTICIPANT_NAME_SIZE];
    struct journal_state state;
    struct record_branch branches[2];
    struct record records[3];
    size_t count;
    struct gid order;
};

void past_init(struct past *past);
void past_heuristic(struct past *past, enum ack ack);
void past_resolved(struct past *past, enum resolve_action action);

#endif
