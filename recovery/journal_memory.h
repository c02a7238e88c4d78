/*
 * journal_memory.h - what the memory journal can do beyond journal.h, for tests and the simulator.
 *
 * It keeps its records in the handle. A simulated crash loses nothing that append has returned for, as with
 * a synced file, so restarting means reopening the handle.
 */
#ifndef ASSENT_RECOVERY_JOURNAL_MEMORY_H
#define ASSENT_RECOVERY_JOURNAL_MEMORY_H

#include "recovery/journal.h"

/* As if the process had died and the journal were opened again: journal_state is what is found now, and a
 * failed append is forgotten. *journal stays valid. */
void journal_memory_reopen(struct journal **journal);

/* The append after `count` further successful ones fails with `kind`; `is_written` says whether its batch
 * is there after reopening (a failed sync leaves either). */
void journal_memory_fail(struct journal *journal, size_t count, enum error_kind kind,
                         bool is_written);

/* A copy as a backup would make it, unmarked: same identity, same records, same hashes. Returns owned. */
struct journal *journal_memory_copy(const struct journal *journal);

/* What journal_has_space answers from now on. */
void journal_memory_set_space(struct journal *journal, bool has_space);

#endif
