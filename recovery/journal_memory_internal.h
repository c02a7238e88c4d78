/*
 * journal_memory_internal.h - the memory journal's insides, shared by journal_memory*.c and
 * nobody else.
 */
#ifndef ASSENT_RECOVERY_JOURNAL_MEMORY_INTERNAL_H
#define ASSENT_RECOVERY_JOURNAL_MEMORY_INTERNAL_H

#include <pthread.h>

#include "common/map.h"
#include "recovery/journal_backend.h"
#include "recovery/record_codec.h"

struct row {
    struct record record;
    uint8_t hash[HASH_BYTES];
};

struct note {
    uint64_t number;
    enum record_kind kind;
    bool is_open;
    char participant[PARTICIPANT_NAME_SIZE];
};

struct txn { /* or an accepted request, by its id */
    struct gtrid gtrid;
    struct trim_txn place; /* found: there is a COMMIT */
    bool has_request;      /* which ended an accepted request; that one has a note at its number */
    struct gtrid request;
    size_t key_bytes;
    char key[KEY_MAX_BYTES + 1];
    size_t note_count;
    struct note *notes;
};

struct memory_journal {
    struct journal base;
    pthread_mutex_t mutex; /* finds come from another thread */
    struct journal_state now;
    uint64_t last_epoch_number;
    struct row *rows; /* record number n lies at rows[n - first_number] */
    size_t row_count;
    size_t row_capacity;
    struct map by_gtrid; /* struct txn, owned */
    struct map by_key;   /* the newest transaction of each key */
    struct record_buffer body;
    bool has_space;
    bool poisoned;
    struct error poison;
    bool fails;
    size_t fail_countdown;
    enum error_kind fail_kind;
    bool fail_written;
};

/* --- journal_memory.c --- */
uint64_t memory_first_number(const struct memory_journal *journal);
struct row *memory_row_at(const struct memory_journal *journal, uint64_t number);
struct txn *memory_find_txn(const struct memory_journal *journal, const struct gtrid *gtrid);
void memory_remove_txn(struct memory_journal *journal, struct txn *txn);
bool memory_has_open_note(const struct txn *txn);
bool memory_match_key(const void *value,
                      const void *wanted); /* map_match; wanted: a struct record_commit */
/* Takes the record as the new head, without indexing it. */
void memory_put_row(struct memory_journal *journal, struct record record);

/* --- journal_memory_find.c --- */
bool memory_find_gtrid(struct journal *base, const struct gtrid *gtrid, bool *ret_found,
                       struct journal_entry *ret_entry, struct error *ret_error);
bool memory_find_key(struct journal *base, const char *key, size_t key_bytes, bool *ret_found,
                     struct journal_entry *ret_entry, struct error *ret_error);
bool memory_find_request(struct journal *base, const struct gtrid *id, bool *ret_found,
                         struct journal_entry *ret_entry, struct error *ret_error);
bool memory_list(struct journal *base, enum journal_lists lists, uint64_t before_number,
                 const char *participant, size_t limit, struct journal_entry **ret_entries,
                 size_t *ret_count, struct error *ret_error);
bool memory_read_floor(struct journal *base, struct journal_floor *ret_floor,
                       struct error *ret_error);
bool memory_hash_at(struct journal *base, uint64_t number, bool *ret_found,
                    uint8_t ret_hash[HASH_BYTES], struct error *ret_error);

/* --- journal_memory_trim.c --- */
bool memory_trim(struct journal *base, const struct journal_trim *trim,
                 struct journal_head *ret_head, struct journal_floor *ret_floor, bool *ret_more,
                 struct error *ret_error);

#endif
