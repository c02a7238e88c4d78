/*
 * coord_hostile.h - any events against the coordinator's core, with the invariants as the oracle.
 *
 * The world is hostile: participants vote, acknowledge and inquire whatever they like, on sessions of any state; links
 * break; the journal's records become durable late; the process dies at any point and starts again from what the
 * memory journal holds. What must hold whatever comes:
 *
 *   I1, P-2   a gtrid is never both told to commit and told to abort
 *   I2, P-4   nothing says "commit" before the COMMIT record is durable: no message, no verdict, no answer
 *   P-2, P-7  COMMIT is recorded only for gids whose yes came first, on the session that WORK went out on, before it ended
 *   I4, P-5   END is recorded only when each branch has acknowledged, or a person has for it
 *   P-15      nothing is decided after its deadline
 *   P-14      only what was acknowledged is audited
 *   P-18      a key never stands in two retained COMMIT records
 *   P-22      a statement is sent when the one before was answered, with the attempt that answered; PREPARE names the count
 *   Q1        each call is answered once, and says committed or aborted only if that is so
 * and in the end, when everybody behaves, nothing is left unfinished.
 *
 * Used by test_coord_random.c (seeds) and tests/fuzz/fuzz_coord.c (bytes). A violation ends the process (CHECK).
 */
#ifndef ASSENT_TESTS_SPEC_COORD_HOSTILE_H
#define ASSENT_TESTS_SPEC_COORD_HOSTILE_H

#include "tests/lib/choices.h"

/* What one run reached, so that a run that reached nothing is seen. */
struct coord_hostile_tally {
    uint64_t commits, ends, aborts, verdicts, heuristics, starts, stops, audits, statements;
};

/* At most `events` events, then the settling. */
void coord_hostile_run(struct choices *choices, size_t events, struct coord_hostile_tally *tally);

#endif
