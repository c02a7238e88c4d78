/*
 * journal.h - the durable decision log: an interface with a SQLite and a memory backend.
 *
 * One process, one journal (P-17). All calls but the journal_find_*, list, read_floor and hash_at ones come
 * from one thread (the journal thread); the find calls come from one other thread (the owner
 * thread) and read on a connection of their own. Any false return of append or trim is final for
 * this handle: the caller stops the process and recovers from what is on disk (P-16); a failed sync
 * is never retried.
 *
 * Memory: nothing here grows with the number of finished transactions kept.
 */
#ifndef ASSENT_RECOVERY_JOURNAL_H
#define ASSENT_RECOVERY_JOURNAL_H

#include "recovery/record.h"

struct journal;

struct journal_options {
    const char *path;       /* SQLite: the file; "-wal" and ".lock" and ".reserve" lie beside it */
    uint64_t reserve_bytes; /* kept free for finishing decided work; 0: default 16 MiB */
    bool create;            /* make a new journal (new identity) if there is none */
    struct journal_id new_id; /* the identity to give a new journal (random, drawn by the caller) */
};

/* What is known after opening: everything recovery needs but the live records themselves. */
struct journal_state {
    struct journal_id id;
    struct journal_head head;
    struct journal_floor floor;
    uint64_t last_epoch; /* 0: none yet */
    uint64_t running_ms; /* accumulated running time found */
    bool is_marked_copy; /* a backup that was never adopted: refuse to start it */
    size_t epoch_count;  /* every (epoch, nonce) at or above the floor */
    struct epoch_entry *epochs;
    size_t
        participant_count; /* named in the last EPOCH or a later COMMIT, less the released ones */
    char (*participants)[PARTICIPANT_NAME_SIZE];
};

/* Takes the lock, verifies numbering and hash chain, and makes durable what it read (checkpoint
 * TRUNCATE) before it returns (P-16). ERROR_LOCKED names the holder's pid where known;
 * ERROR_DAMAGED says where and points to `assent journal verify`. */
bool journal_open_sqlite(const struct journal_options *options, struct journal **ret_journal,
                         struct error *ret_error);
bool journal_open_memory(const struct journal_options *options, struct journal **ret_journal,
                         struct error *ret_error);
void journal_close(struct journal *journal);

const struct journal_state *
journal_state(const struct journal *journal); /* as found at open; lent */

/* Calls visit for every live record in order: COMMIT without END, HEURISTIC not yet resolved (with
 * its COMMIT, even if ended), ACCEPT without COMMIT or DROPPED (with the REFUSED or REQUEUED that tells its present
 * state). visit returns false to stop. */
typedef bool (*journal_visit)(void *user, uint64_t number, const struct record *record);
bool journal_replay(struct journal *journal, journal_visit visit, void *user,
                    struct error *ret_error);

/* Appends the records in order as one atomic, synced batch, on the condition that `epoch` is still
 * the journal's last one (a batch that starts with EPOCH must raise it); ERROR_LOCKED means fenced.
 * Borrows. */
bool journal_append(struct journal *journal, uint64_t epoch, const struct record *records,
                    size_t count, struct journal_head *ret_head, struct error *ret_error);

/* Space: false once only the reserve is left (new work must be refused), true again when it is
 * back. */
bool journal_has_space(struct journal *journal);

/* Trims in one bounded slice (P-13): finished transactions whose END is older than retention_ms of
 * running time before now_running_ms and whose END's number is at most swept_number. Writes FLOOR,
 * appends live records again, deletes. *ret_more tells whether another slice is due. Does nothing
 * (and writes nothing) where nothing is due, unless must_write: then EPOCH alone, once more as it was. */
struct journal_trim {
    uint64_t epoch;
    uint64_t now_running_ms;
    uint64_t retention_ms;
    uint64_t swept_number;
    /* Of this epoch: transactions from here on are not passed. One of them has no record and may still be prepared somewhere;
     * below the floor nobody could tell it from a commit that was forgotten (P-8). 0: no such bound. */
    uint64_t keep_sequence;
    /* A sweep is to be told from those before an abort, which has no record: the head has to move. */
    bool must_write;
    size_t slice_records; /* at most this many rows per call */
};
bool journal_trim(struct journal *journal, const struct journal_trim *trim,
                  struct journal_head *ret_head, struct journal_floor *ret_floor, bool *ret_more,
                  struct error *ret_error);

/* A retained transaction: its COMMIT record and what came after. */
struct journal_entry {
    struct record
        commit; /* RECORD_COMMIT; of journal_find_request and journal_list also RECORD_DROPPED */
    uint64_t commit_number;
    bool ended;
    uint64_t end_wall_ms;
    size_t note_count;
    struct record *notes; /* HEURISTIC and RESOLVED records of this gtrid, in order */
};
void journal_entry_done(struct journal_entry *entry);

/* *ret_found false: no such thing is retained (that is no error). */
bool journal_find_gtrid(struct journal *journal, const struct gtrid *gtrid, bool *ret_found,
                        struct journal_entry *ret_entry, struct error *ret_error);
bool journal_find_key(struct journal *journal, const char *key, size_t key_bytes, bool *ret_found,
                      struct journal_entry *ret_entry, struct error *ret_error);
/* An accepted request that is over: `commit` of the entry is the COMMIT that names it, or its DROPPED (then the rest of the entry
 * is empty). One that is live is not found. */
bool journal_find_request(struct journal *journal, const struct gtrid *id, bool *ret_found,
                          struct journal_entry *ret_entry, struct error *ret_error);
/* Which outcomes a list has: COMMITs, requests that were dropped (an entry as of journal_find_request), or both. */
enum journal_lists {
    JOURNAL_LISTS_COMMITS = 1,
    JOURNAL_LISTS_DROPPED,
    JOURNAL_LISTS_BOTH,
};
/* Newest first, those with a number below before_number (UINT64_MAX: from the newest). participant may be NULL; a DROPPED
 * names none. */
bool journal_list(struct journal *journal, enum journal_lists lists, uint64_t before_number,
                  const char *participant, size_t limit, struct journal_entry **ret_entries,
                  size_t *ret_count, struct error *ret_error);
/* The floor as it stands on disk, for the same thread as the find calls. What was not found may have been trimmed
 * a moment ago: to judge it, read the floor afterwards. */
bool journal_read_floor(struct journal *journal, struct journal_floor *ret_floor,
                        struct error *ret_error);
/* The hash of a retained record, to compare with an agent's witness (P-10). */
bool journal_hash_at(struct journal *journal, uint64_t number, bool *ret_found,
                     uint8_t ret_hash[HASH_BYTES], struct error *ret_error);

/* Offline and online tools (`assent journal`). verify and dump only read and may run beside a
 * daemon. */
struct journal_report {
    struct journal_state state; /* owned by the report */
    uint64_t record_count;
    uint64_t live_count;
    bool damaged;
    char damage[ERROR_TEXT_SIZE];
};
void journal_report_done(struct journal_report *report);
bool journal_verify(const char *path, struct journal_report *ret_report, struct error *ret_error);
bool journal_dump(const char *path, journal_visit visit, void *user, struct error *ret_error);
/* Uses SQLite's online backup; the copy is marked so that it cannot be started by accident. */
bool journal_backup(const char *path, const char *copy_path, struct error *ret_error);
/* Clears the mark and writes an ADOPT record with the comment. The journal must not be in use. */
bool journal_adopt(const char *path, const char *comment, struct error *ret_error);

#endif
