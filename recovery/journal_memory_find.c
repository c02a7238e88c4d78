/* journal_memory_find.c - the memory journal's look-ups, for another thread; see journal_memory_internal.h. */
#include <string.h>

#include "common/alloc.h"
#include "recovery/journal_memory_internal.h"

static void make_entry(const struct memory_journal *journal, const struct txn *txn,
                       struct journal_entry *ret_entry)
{
    struct journal_entry entry = {.commit_number = txn->place.commit_number,
                                  .ended = txn->place.ended};
    record_copy(&memory_row_at(journal, txn->place.commit_number)->record, &entry.commit);
    if (entry.ended) {
        entry.end_wall_ms = memory_row_at(journal, txn->place.end_number)->record.as.end.wall_ms;
    }
    for (size_t i = 0; i < txn->note_count; i++) {
        struct record note;
        if (txn->notes[i].kind == RECORD_HEURISTIC || txn->notes[i].kind == RECORD_RESOLVED) {
            record_copy(&memory_row_at(journal, txn->notes[i].number)->record, &note);
            journal_entry_add_note(&entry, &note);
        }
    }
    *ret_entry = entry;
}

bool memory_find_gtrid(struct journal *base, const struct gtrid *gtrid, bool *ret_found,
                       struct journal_entry *ret_entry, struct error *ret_error)
{
    struct memory_journal *journal = (struct memory_journal *)base;
    (void)ret_error;
    pthread_mutex_lock(&journal->mutex);
    const struct txn *txn = memory_find_txn(journal, gtrid);
    *ret_found = txn != NULL && txn->place.found;
    if (*ret_found) {
        make_entry(journal, txn, ret_entry);
    }
    pthread_mutex_unlock(&journal->mutex);
    return true;
}

bool memory_find_key(struct journal *base, const char *key, size_t key_bytes, bool *ret_found,
                     struct journal_entry *ret_entry, struct error *ret_error)
{
    struct memory_journal *journal = (struct memory_journal *)base;
    struct record_commit wanted = {.key_bytes = key_bytes};
    (void)ret_error;
    if (key_bytes == 0 || key_bytes > KEY_MAX_BYTES) {
        *ret_found = false;
        return true;
    }
    memcpy(wanted.key, key, key_bytes);
    pthread_mutex_lock(&journal->mutex);
    const struct txn *txn =
        map_find(&journal->by_key, map_hash_bytes(key, key_bytes), memory_match_key, &wanted);
    *ret_found = txn != NULL;
    if (*ret_found) {
        make_entry(journal, txn, ret_entry);
    }
    pthread_mutex_unlock(&journal->mutex);
    return true;
}

bool memory_find_request(struct journal *base, const struct gtrid *id, bool *ret_found,
                         struct journal_entry *ret_entry, struct error *ret_error)
{
    struct memory_journal *journal = (struct memory_journal *)base;
    (void)ret_error;
    pthread_mutex_lock(&journal->mutex);
    *ret_found = false;
    const struct txn *txn = memory_find_txn(journal, id);
    for (size_t i = 0; txn != NULL && !*ret_found && i < txn->note_count; i++) {
        const struct note *note = &txn->notes[i];
        if (note->kind == RECORD_COMMIT) {
            const struct record *commit = &memory_row_at(journal, note->number)->record;
            make_entry(journal, memory_find_txn(journal, &commit->as.commit.gtrid), ret_entry);
            *ret_found = true;
        } else if (note->kind == RECORD_DROPPED) {
            *ret_entry = (struct journal_entry){.commit_number = note->number};
            record_copy(&memory_row_at(journal, note->number)->record, &ret_entry->commit);
            *ret_found = true;
        }
    }
    pthread_mutex_unlock(&journal->mutex);
    return true;
}

bool memory_list(struct journal *base, enum journal_lists lists, uint64_t before_number,
                 const char *participant, size_t limit, struct journal_entry **ret_entries,
                 size_t *ret_count, struct error *ret_error)
{
    struct memory_journal *journal = (struct memory_journal *)base;
    const bool has_dropped = lists != JOURNAL_LISTS_COMMITS && participant == NULL;
    struct journal_entry *entries = NULL;
    size_t count = 0;
    (void)ret_error;
    pthread_mutex_lock(&journal->mutex);
    for (size_t i = journal->row_count; i-- > 0 && count < limit;) {
        const struct record *record = &journal->rows[i].record;
        const uint64_t number = memory_first_number(journal) + i;
        if (record->kind == RECORD_DROPPED && has_dropped && number < before_number) {
            entries = alloc_resize(entries, count + 1, sizeof *entries);
            entries[count] = (struct journal_entry){.commit_number = number};
            record_copy(record, &entries[count++].commit);
            continue;
        }
        if (record->kind != RECORD_COMMIT || lists == JOURNAL_LISTS_DROPPED ||
            number >= before_number ||
            (participant != NULL && !journal_commit_names(&record->as.commit, participant))) {
            continue;
        }
        entries = alloc_resize(entries, count + 1, sizeof *entries);
        make_entry(journal, memory_find_txn(journal, &record->as.commit.gtrid), &entries[count++]);
    }
    pthread_mutex_unlock(&journal->mutex);
    *ret_entries = entries;
    *ret_count = count;
    return true;
}

bool memory_read_floor(struct journal *base, struct journal_floor *ret_floor,
                       struct error *ret_error)
{
    struct memory_journal *journal = (struct memory_journal *)base;
    (void)ret_error;
    pthread_mutex_lock(&journal->mutex);
    *ret_floor = journal->now.floor;
    pthread_mutex_unlock(&journal->mutex);
    return true;
}

bool memory_hash_at(struct journal *base, uint64_t number, bool *ret_found,
                    uint8_t ret_hash[HASH_BYTES], struct error *ret_error)
{
    struct memory_journal *journal = (struct memory_journal *)base;
    (void)ret_error;
    pthread_mutex_lock(&journal->mutex);
    *ret_found = number >= memory_first_number(journal) && number <= journal->now.head.number;
    if (*ret_found) {
        memcpy(ret_hash, memory_row_at(journal, number)->hash, HASH_BYTES);
    }
    pthread_mutex_unlock(&journal->mutex);
    return true;
}
