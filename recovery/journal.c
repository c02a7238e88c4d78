/*
 * journal.c - the journal's interface: dispatch to the backend, and release of what the calls give out.
 */
#include "recovery/journal.h"

#include <stdlib.h>

#include "common/check.h"
#include "recovery/journal_backend.h"

void journal_close(struct journal *journal)
{
    if (journal != NULL) {
        journal->ops->close(journal);
    }
}

const struct journal_state *journal_state(const struct journal *journal)
{
    return &journal->found;
}

bool journal_replay(struct journal *journal, journal_visit visit, void *user,
                    struct error *ret_error)
{
    return journal->ops->replay(journal, visit, user, ret_error);
}

bool journal_append(struct journal *journal, uint64_t epoch, const struct record *records,
                    size_t count, struct journal_head *ret_head, struct error *ret_error)
{
    return journal->ops->append(journal, epoch, records, count, ret_head, ret_error);
}

bool journal_has_space(struct journal *journal)
{
    return journal->ops->has_space(journal);
}

bool journal_trim(struct journal *journal, const struct journal_trim *trim,
                  struct journal_head *ret_head, struct journal_floor *ret_floor, bool *ret_more,
                  struct error *ret_error)
{
    CHECK(trim->slice_records > 0);
    return journal->ops->trim(journal, trim, ret_head, ret_floor, ret_more, ret_error);
}

void journal_entry_done(struct journal_entry *entry)
{
    record_done(&entry->commit);
    for (size_t i = 0; i < entry->note_count; i++) {
        record_done(&entry->notes[i]);
    }
    free(entry->notes);
    *entry = (struct journal_entry){0};
}

bool journal_find_gtrid(struct journal *journal, const struct gtrid *gtrid, bool *ret_found,
                        struct journal_entry *ret_entry, struct error *ret_error)
{
    return journal->ops->find_gtrid(journal, gtrid, ret_found, ret_entry, ret_error);
}

bool journal_find_key(struct journal *journal, const char *key, size_t key_bytes, bool *ret_found,
                      struct journal_entry *ret_entry, struct error *ret_error)
{
    return journal->ops->find_key(journal, key, key_bytes, ret_found, ret_entry, ret_error);
}

bool journal_find_request(struct journal *journal, const struct gtrid *id, bool *ret_found,
                          struct journal_entry *ret_entry, struct error *ret_error)
{
    return journal->ops->find_request(journal, id, ret_found, ret_entry, ret_error);
}

bool journal_list(struct journal *journal, enum journal_lists lists, uint64_t before_number,
                  const char *participant, size_t limit, struct journal_entry **ret_entries,
                  size_t *ret_count, struct error *ret_error)
{
    return journal->ops->list(journal, lists, before_number, participant, limit, ret_entries,
                              ret_count, ret_error);
}

bool journal_read_floor(struct journal *journal, struct journal_floor *ret_floor,
                        struct error *ret_error)
{
    return journal->ops->read_floor(journal, ret_floor, ret_error);
}

bool journal_hash_at(struct journal *journal, uint64_t number, bool *ret_found,
                     uint8_t ret_hash[HASH_BYTES], struct error *ret_error)
{
    return journal->ops->hash_at(journal, number, ret_found, ret_hash, ret_error);
}
