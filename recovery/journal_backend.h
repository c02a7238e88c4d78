/*
 * journal_backend.h - what the journal's backends share. Not for anybody outside recovery/.
 *
 * A backend embeds struct journal as its first member and fills in the table of operations; journal.c
 * dispatches. The rules that do not depend on where the rows lie are here as functions, so that SQLite and
 * memory cannot disagree about them: the hash chain, what a batch must look like, and what the records say
 * about epochs, participants and running time.
 */
#ifndef ASSENT_RECOVERY_JOURNAL_BACKEND_H
#define ASSENT_RECOVERY_JOURNAL_BACKEND_H

#include "recovery/journal.h"

struct journal_ops {
    void (*close)(struct journal *journal);
    bool (*replay)(struct journal *journal, journal_visit visit, void *user,
                   struct error *ret_error);
    bool (*append)(struct journal *journal, uint64_t epoch, const struct record *records,
                   size_t count, struct journal_head *ret_head, struct error *ret_error);
    bool (*has_space)(struct journal *journal);
    bool (*trim)(struct journal *journal, const struct journal_trim *trim,
                 struct journal_head *ret_head, struct journal_floor *ret_floor, bool *ret_more,
                 struct error *ret_error);
    bool (*find_gtrid)(struct journal *journal, const struct gtrid *gtrid, bool *ret_found,
                       struct journal_entry *ret_entry, struct error *ret_error);
    bool (*find_key)(struct journal *journal, const char *key, size_t key_bytes, bool *ret_found,
                     struct journal_entry *ret_entry, struct error *ret_error);
    bool (*find_request)(struct journal *journal, const struct gtrid *id, bool *ret_found,
                         struct journal_entry *ret_entry, struct error *ret_error);
    bool (*list)(struct journal *journal, enum journal_lists lists, uint64_t before_number,
                 const char *participant, size_t limit, struct journal_entry **ret_entries,
                 size_t *ret_count, struct error *ret_error);
    bool (*read_floor)(struct journal *journal, struct journal_floor *ret_floor,
                       struct error *ret_error);
    bool (*hash_at)(struct journal *journal, uint64_t number, bool *ret_found,
                    uint8_t ret_hash[HASH_BYTES], struct error *ret_error);
};

struct journal {
    const struct journal_ops *ops;
    struct journal_state found; /* as found at open; never changed afterwards */
};

/* A slice of trimming that forgets no transaction is worth its sync only from this many rows on. */
#define TRIM_ROWS_WORTH_A_SYNC 256
/* How far behind a slice full of live records trimming looks for something that is due. */
#define TRIM_LOOK_AHEAD_ROWS 100000

/* So many epochs are listed before those without transactions are given up: a coordinator restarted in a
 * loop must not make the journal grow for ever. */
#define TRIM_EPOCHS_MAX 1024

/* hash of record `number`: SHA-256 over identity, previous hash, number, kind, body. The identity is inside
 * so that a damaged identity cannot go unnoticed once the journal has a record. */
void journal_chain(const struct journal_id *id, const uint8_t previous[HASH_BYTES], uint64_t number,
                   enum record_kind kind, const uint8_t *body, size_t body_bytes,
                   uint8_t ret_hash[HASH_BYTES]);

/* May this batch follow what `now` describes? ERROR_LOCKED: fenced; ERROR_INVALID: a mistake of ours. */
bool journal_check_batch(const struct journal_state *now, uint64_t epoch,
                         const struct record *records, size_t count, struct error *ret_error);

/* Takes a record's part of journal_state into account; head and marks are the backend's business. */
void journal_state_apply(struct journal_state *state, const struct record *record);
void journal_state_copy(const struct journal_state *from, struct journal_state *ret_state);
void journal_state_done(struct journal_state *state);

/* What trimming does with a record it comes to, first to last; one decision for both backends. */
enum trim_action {
    TRIM_STOP = 1, /* a finished transaction that must be kept still: nothing beyond it is due */
    TRIM_PASS,     /* not needed any more, or moved already */
    TRIM_FORGET,   /* the COMMIT of a transaction that is due */
    TRIM_CARRY,    /* live: its transaction's records are appended again */
};

struct trim_txn { /* what the index knows of a transaction */
    bool found;
    uint64_t commit_number;
    bool ended;
    uint64_t end_number;
    uint64_t end_running_ms;
    uint64_t open_notes;
};
enum trim_action journal_trim_commit(const struct journal_trim *trim, const struct gtrid *gtrid,
                                     const struct trim_txn *txn);
/* Of a request that was dropped: nobody asks agents about it, so only its age counts. */
enum trim_action journal_trim_dropped(const struct journal_trim *trim,
                                      const struct record_dropped *dropped);
bool journal_check_trim(const struct journal_state *now, const struct journal_trim *trim,
                        struct error *ret_error);

/* A slice in the making: fed with one action after the other. */
struct trim_slice {
    const struct journal_trim *trim;
    size_t rows;      /* records the slice takes */
    size_t passed;    /* of these, not carried */
    size_t forgotten; /* transactions */
    size_t seen;      /* records looked at, with those ahead of the slice */
    bool is_full;
    bool is_due; /* worth writing */
    bool more;
};
/* False: the slice ends before this record. */
bool journal_trim_take(struct trim_slice *slice, enum trim_action action);
bool journal_trim_is_due(struct trim_slice *slice);

/* (epoch, sequence) in the order of the floor. */
int journal_floor_compare(const struct journal_floor *floor, uint64_t epoch, uint64_t sequence);
void journal_floor_raise(struct journal_floor *floor, uint64_t epoch, uint64_t sequence);

/* The FLOOR record for a new floor: repeats what must outlive the trimmed records. Owned by the caller. */
void journal_floor_record(const struct journal_state *now, const struct journal_floor *floor,
                          uint64_t running_ms, struct record *ret_record);
/* The current EPOCH again, with everybody who is waited for by now. Owned by the caller. */
void journal_epoch_record(const struct journal_state *now, struct record *ret_record);

void journal_entry_add_note(struct journal_entry *entry,
                            struct record *note); /* takes note's contents */
bool journal_commit_names(const struct record_commit *commit, const char *participant);

/* Below the floor, or of an epoch that is not listed: P-8 has no answer, so a person's COMMIT or ROLLBACK is the only one
 * there will ever be. Its RESOLVED stays live, or a restart would forget what the person was told is done. */
bool journal_needs_person(const struct journal_state *now, const struct gtrid *gtrid);

/* Does this RESOLVED settle a HEURISTIC of that participant? Both are of the same gtrid. */
bool journal_resolves(const char *resolved_participant, const char *heuristic_participant);

#endif
