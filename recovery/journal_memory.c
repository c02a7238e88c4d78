/*
 * journal_memory.c - the journal without a disk, for tests and the simulator; same rules, same hashes.
 *
 * Written apart from the SQLite backend and run through the same tests, so that each checks the other. What
 * both must decide alike (batches, chain, what trimming does with a COMMIT) is in journal_state.c.
 */
#include "recovery/journal_memory.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/fault.h"
#include "recovery/journal_memory_internal.h"

uint64_t memory_first_number(const struct memory_journal *journal)
{
    return journal->now.floor.first_number;
}

struct row *memory_row_at(const struct memory_journal *journal, uint64_t number)
{
    CHECK(number >= memory_first_number(journal) && number <= journal->now.head.number);
    return &journal->rows[number - memory_first_number(journal)];
}

/* ---- the index ---- */

static bool match_gtrid(const void *value, const void *wanted)
{
    return gtrid_equal(&((const struct txn *)value)->gtrid, wanted);
}

bool memory_match_key(const void *value, const void *wanted)
{
    const struct txn *txn = value;
    const struct record_commit *commit = wanted;
    return txn->key_bytes == commit->key_bytes &&
           memcmp(txn->key, commit->key, txn->key_bytes) == 0;
}

struct txn *memory_find_txn(const struct memory_journal *journal, const struct gtrid *gtrid)
{
    return map_find(&journal->by_gtrid, gtrid_hash(gtrid), match_gtrid, gtrid);
}

static struct txn *need_txn(struct memory_journal *journal, const struct gtrid *gtrid)
{
    struct txn *txn = memory_find_txn(journal, gtrid);
    if (txn == NULL) {
        txn = alloc_zeroed(sizeof *txn);
        txn->gtrid = *gtrid;
        map_insert(&journal->by_gtrid, gtrid_hash(gtrid), txn);
    }
    return txn;
}

static void free_txn(struct txn *txn)
{
    free(txn->notes);
    free(txn);
}

void memory_remove_txn(struct memory_journal *journal, struct txn *txn)
{
    if (txn->key_bytes > 0) {
        (void)map_remove(&journal->by_key, map_hash_bytes(txn->key, txn->key_bytes), txn);
    }
    (void)map_remove(&journal->by_gtrid, gtrid_hash(&txn->gtrid), txn);
    free_txn(txn);
}

static void add_note(struct memory_journal *journal, const struct record *record,
                     const char *participant, bool is_open)
{
    struct gtrid gtrid = {0};
    (void)record_gtrid(record, &gtrid);
    struct txn *txn = need_txn(journal, &gtrid);
    txn->notes = alloc_resize(txn->notes, txn->note_count + 1, sizeof *txn->notes);
    struct note *note = &txn->notes[txn->note_count++];
    *note =
        (struct note){.number = journal->now.head.number, .kind = record->kind, .is_open = is_open};
    memcpy(note->participant, participant, strlen(participant));
    txn->place.open_notes += record->kind == RECORD_HEURISTIC && is_open;
}

/* Returns how many it has closed. */
static size_t close_notes(struct txn *txn, enum record_kind kind, const char *participant)
{
    size_t closed = 0;
    for (size_t i = 0; txn != NULL && i < txn->note_count; i++) {
        struct note *note = &txn->notes[i];
        if (note->kind == kind && note->is_open &&
            journal_resolves(participant, note->participant)) {
            note->is_open = false;
            txn->place.open_notes -= kind == RECORD_HEURISTIC;
            closed++;
        }
    }
    return closed;
}

static void index_resolved(struct memory_journal *journal, const struct record *record)
{
    const struct record_resolved *resolved = &record->as.resolved;
    struct txn *txn = memory_find_txn(journal, &resolved->gtrid);
    bool has_commit = txn != NULL && txn->place.found;
    bool stays = close_notes(txn, RECORD_HEURISTIC, resolved->participant) == 0 && !has_commit &&
                 resolved->action != RESOLVE_FORGET &&
                 journal_needs_person(&journal->now, &resolved->gtrid);
    add_note(journal, record, resolved->participant, stays);
}

bool memory_has_open_note(const struct txn *txn)
{
    for (size_t i = 0; i < txn->note_count; i++) {
        if (txn->notes[i].is_open) {
            return true;
        }
    }
    return false;
}

static bool is_accepted(const struct memory_journal *journal, const struct gtrid *id)
{
    const struct txn *txn = memory_find_txn(journal, id);
    for (size_t i = 0; txn != NULL && i < txn->note_count; i++) {
        if (txn->notes[i].kind == RECORD_ACCEPT) {
            return true;
        }
    }
    return false;
}

/* A new state of a request takes the place of the one before, its outcome that of everything. */
static void index_request(struct memory_journal *journal, const struct record *record,
                          const struct gtrid *id, bool is_over)
{
    struct txn *txn = need_txn(journal, id);
    size_t kept = 0;
    for (size_t i = 0; i < txn->note_count; i++) {
        enum record_kind kind = txn->notes[i].kind;
        bool is_state =
            kind == RECORD_REFUSED || kind == RECORD_REQUEUED || (is_over && kind == RECORD_ACCEPT);
        if (!is_state) { /* also what a person said of this gtrid */
            txn->notes[kept++] = txn->notes[i];
        }
    }
    txn->note_count = kept;
    txn->notes = alloc_resize(txn->notes, kept + 1, sizeof *txn->notes);
    txn->notes[txn->note_count++] =
        (struct note){.number = journal->now.head.number, .kind = record->kind};
}

static void index_commit(struct memory_journal *journal, const struct record *record)
{
    const struct record_commit *commit = &record->as.commit;
    struct txn *txn = need_txn(journal, &commit->gtrid);
    txn->place.found = true;
    txn->place.commit_number = journal->now.head.number;
    if (commit->has_request) {
        txn->has_request = true;
        txn->request = commit->request.id;
        index_request(journal, record, &commit->request.id, true);
    }
    if (commit->key_bytes > 0) {
        uint64_t hash = map_hash_bytes(commit->key, commit->key_bytes);
        struct txn *older = map_find(&journal->by_key, hash, memory_match_key, commit);
        if (older != NULL) {
            (void)map_remove(&journal->by_key, hash, older);
        }
        txn->key_bytes = commit->key_bytes;
        memcpy(txn->key, commit->key, commit->key_bytes);
        map_insert(&journal->by_key, hash, txn);
    }
}

static void index_end(struct memory_journal *journal, const struct record_end *end)
{
    struct txn *txn = memory_find_txn(journal, &end->gtrid);
    txn->place.ended = true;
    txn->place.end_number = journal->now.head.number;
    txn->place.end_running_ms = end->running_ms;
}

/* Can be carried out: batch_fits has looked. */
static void index_record(struct memory_journal *journal, const struct record *record)
{
    switch (record->kind) {
    case RECORD_COMMIT:
        index_commit(journal, record);
        return;
    case RECORD_END:
        index_end(journal, &record->as.end);
        return;
    case RECORD_HEURISTIC:
        add_note(journal, record, record->as.heuristic.gid.participant, true);
        return;
    case RECORD_RESOLVED:
        index_resolved(journal, record);
        return;
    case RECORD_ACCEPT:
        add_note(journal, record, "", true);
        return;
    case RECORD_REFUSED:
        index_request(journal, record, &record->as.refused.gtrid, false);
        return;
    case RECORD_REQUEUED:
        index_request(journal, record, &record->as.requeued.gtrid, false);
        return;
    case RECORD_DROPPED:
        index_request(journal, record, &record->as.dropped.gtrid, true);
        return;
    case RECORD_EPOCH:
        journal->last_epoch_number = journal->now.head.number;
        return;
    case RECORD_FLOOR:
    case RECORD_RELEASE:
    case RECORD_ADOPT:
        return;
    }
}

/* ---- append ---- */

void memory_put_row(struct memory_journal *journal, struct record record)
{
    struct journal_head *head = &journal->now.head;
    if (journal->row_count == journal->row_capacity) {
        journal->row_capacity = journal->row_capacity == 0 ? 64 : journal->row_capacity * 2;
        journal->rows = alloc_resize(journal->rows, journal->row_capacity, sizeof *journal->rows);
    }
    record_encode(&record, &journal->body);
    journal_chain(&journal->now.id, head->hash, head->number + 1, record.kind, journal->body.bytes,
                  journal->body.size_bytes, head->hash);
    head->number++;
    struct row *row = &journal->rows[journal->row_count++];
    row->record = record;
    memcpy(row->hash, head->hash, HASH_BYTES);
}

static void put_record(struct memory_journal *journal, const struct record *record)
{
    struct record copy;
    record_copy(record, &copy);
    memory_put_row(journal, copy);
    journal_state_apply(&journal->now, record);
    index_record(journal, record);
}

static bool has_kind(const struct record *records, size_t count, enum record_kind kind)
{
    for (size_t i = 0; i < count; i++) {
        if (records[i].kind == kind) {
            return true;
        }
    }
    return false;
}

/* The fault that a test has ordered: true if it strikes now. */
static bool fails_now(struct memory_journal *journal)
{
    if (!journal->fails) {
        return false;
    }
    if (journal->fail_countdown > 0) {
        journal->fail_countdown--;
        return false;
    }
    journal->fails = false;
    return true;
}

static bool holds(const struct record *records, size_t count, enum record_kind kind,
                  const struct gtrid *gtrid)
{
    for (size_t i = 0; i < count; i++) {
        struct gtrid own;
        if (records[i].kind == kind && record_gtrid(&records[i], &own) &&
            gtrid_equal(&own, gtrid)) {
            return true;
        }
    }
    return false;
}

/* What a record says of a request; NULL if nothing. */
static const struct gtrid *request_of(const struct record *record)
{
    switch (record->kind) {
    case RECORD_COMMIT:
        return record->as.commit.has_request ? &record->as.commit.request.id : NULL;
    case RECORD_REFUSED:
        return &record->as.refused.gtrid;
    case RECORD_REQUEUED:
        return &record->as.requeued.gtrid;
    case RECORD_DROPPED:
        return &record->as.dropped.gtrid;
    case RECORD_EPOCH:
    case RECORD_END:
    case RECORD_ACCEPT:
    case RECORD_HEURISTIC:
    case RECORD_RESOLVED:
    case RECORD_FLOOR:
    case RECORD_RELEASE:
    case RECORD_ADOPT:
        return NULL;
    }
    return NULL;
}

static bool ends_request(const struct record *record, const struct gtrid *id)
{
    const struct gtrid *its = request_of(record);
    return its != NULL && gtrid_equal(its, id) &&
           (record->kind == RECORD_COMMIT || record->kind == RECORD_DROPPED);
}

static bool request_fits(const struct memory_journal *journal, const struct record *records,
                         size_t index, struct error *ret_error)
{
    const struct gtrid *id = request_of(&records[index]);
    if (id == NULL) {
        return true;
    }
    bool fits = is_accepted(journal, id) || holds(records, index, RECORD_ACCEPT, id);
    for (size_t i = 0; i < index; i++) {
        fits = fits && !ends_request(&records[i], id);
    }
    return fits || error_set(ret_error, ERROR_INVALID,
                             "it names a request that was never accepted, or is over");
}

/* A batch is there as a whole or not at all, so what it may not hold is found out before its first record is written. */
static bool batch_fits(const struct memory_journal *journal, const struct record *records,
                       size_t count, struct error *ret_error)
{
    for (size_t i = 0; i < count; i++) {
        struct gtrid gtrid = {0};
        bool is_end = records[i].kind == RECORD_END;
        if (!request_fits(journal, records, i, ret_error)) {
            return false;
        }
        if (!is_end && records[i].kind != RECORD_COMMIT) {
            continue;
        }
        (void)record_gtrid(&records[i], &gtrid);
        const struct txn *txn = memory_find_txn(journal, &gtrid);
        bool has_commit =
            (txn != NULL && txn->place.found) || holds(records, i, RECORD_COMMIT, &gtrid);
        bool has_end =
            is_end && ((txn != NULL && txn->place.ended) || holds(records, i, RECORD_END, &gtrid));
        if (!is_end && has_commit) {
            return error_set(ret_error, ERROR_INVALID, "a second COMMIT record of one transaction");
        }
        if (is_end && (!has_commit || has_end)) {
            return error_set(ret_error, ERROR_INVALID,
                             "an END record without a COMMIT that is not ended");
        }
    }
    return true;
}

static bool write_batch(struct memory_journal *journal, const struct record *records, size_t count,
                        struct error *ret_error)
{
    bool failing = fails_now(journal);
    for (size_t i = 0; (!failing || journal->fail_written) && i < count; i++) {
        put_record(journal, &records[i]);
    }
    if (failing) {
        return error_set(ret_error, journal->fail_kind, "a fault ordered by a test");
    }
    if (has_kind(records, count, RECORD_COMMIT)) {
        FAULT(FAULT_C_DECIDE_POST_SYNC);
    }
    return true;
}

static bool memory_append(struct journal *base, uint64_t epoch, const struct record *records,
                          size_t count, struct journal_head *ret_head, struct error *ret_error)
{
    struct memory_journal *journal = (struct memory_journal *)base;
    struct error error = {0};
    pthread_mutex_lock(&journal->mutex);
    bool appended = !journal->poisoned;
    if (!appended) {
        error = journal->poison;
    } else if (!journal_check_batch(&journal->now, epoch, records, count, &error) ||
               !batch_fits(journal, records, count, &error) ||
               !write_batch(journal, records, count, &error)) {
        appended = false;
        journal->poisoned = true;
        journal->poison = error;
    } else {
        *ret_head = journal->now.head;
    }
    pthread_mutex_unlock(&journal->mutex);
    if (!appended && ret_error != NULL) {
        *ret_error = error;
    }
    return appended;
}

/* ---- replay ---- */

static bool is_live(const struct memory_journal *journal, uint64_t number,
                    const struct record *record)
{
    struct gtrid gtrid;
    if (!record_gtrid(record, &gtrid)) {
        return false;
    }
    const struct txn *txn = memory_find_txn(journal, &gtrid);
    if (txn == NULL) {
        return false;
    }
    bool txn_live = txn->place.found && (!txn->place.ended || txn->place.open_notes > 0);
    bool notes_live = !txn->place.found && memory_has_open_note(txn);
    if (record->kind == RECORD_COMMIT) {
        return txn_live && txn->place.commit_number == number;
    }
    if (record->kind == RECORD_END) {
        return txn_live && txn->place.ended && txn->place.end_number == number;
    }
    for (size_t i = 0; i < txn->note_count; i++) {
        if (txn->notes[i].number == number) {
            return txn_live || notes_live;
        }
    }
    return false; /* moved, or dropped */
}

static bool memory_replay(struct journal *base, journal_visit visit, void *user,
                          struct error *ret_error)
{
    struct memory_journal *journal = (struct memory_journal *)base;
    (void)ret_error;
    for (size_t i = 0; i < journal->row_count; i++) {
        uint64_t number = memory_first_number(journal) + i;
        const struct record *record = &journal->rows[i].record;
        if (is_live(journal, number, record)) {
            FAULT(FAULT_C_RECOVER_SCAN);
            if (!visit(user, number, record)) {
                break;
            }
        }
    }
    return true;
}

static bool memory_has_space(struct journal *base)
{
    return ((struct memory_journal *)base)->has_space;
}

/* ---- open and close ---- */

static void memory_close(struct journal *base)
{
    struct memory_journal *journal = (struct memory_journal *)base;
    for (size_t i = 0; i < journal->row_count; i++) {
        record_done(&journal->rows[i].record);
    }
    for (size_t i = 0; i < journal->by_gtrid.capacity; i++) {
        if (journal->by_gtrid.slots[i].value != NULL) {
            free_txn(journal->by_gtrid.slots[i].value);
        }
    }
    map_done(&journal->by_gtrid);
    map_done(&journal->by_key);
    free(journal->rows);
    record_buffer_done(&journal->body);
    journal_state_done(&journal->now);
    journal_state_done(&journal->base.found);
    pthread_mutex_destroy(&journal->mutex);
    free(journal);
}

static const struct journal_ops memory_ops = {
    .close = memory_close,
    .replay = memory_replay,
    .append = memory_append,
    .has_space = memory_has_space,
    .trim = memory_trim,
    .find_gtrid = memory_find_gtrid,
    .find_key = memory_find_key,
    .find_request = memory_find_request,
    .list = memory_list,
    .read_floor = memory_read_floor,
    .hash_at = memory_hash_at,
};

bool journal_open_memory(const struct journal_options *options, struct journal **ret_journal,
                         struct error *ret_error)
{
    if (!options->create) {
        return error_set(ret_error, ERROR_NOT_FOUND, "a journal in memory is always a new one");
    }
    struct memory_journal *journal = alloc_zeroed(sizeof *journal);
    journal->base.ops = &memory_ops;
    journal->has_space = true;
    journal->now.id = options->new_id;
    journal->now.floor.first_number = 1;
    CHECK(pthread_mutex_init(&journal->mutex, NULL) == 0);
    journal_state_copy(&journal->now, &journal->base.found);
    *ret_journal = &journal->base;
    return true;
}

struct journal *journal_memory_copy(const struct journal *base)
{
    const struct memory_journal *from = (const struct memory_journal *)base;
    struct journal_options options = {.create = true, .new_id = from->now.id};
    struct journal *copied = NULL;
    struct error error;
    CHECK(journal_open_memory(&options, &copied, &error));
    struct memory_journal *to = (struct memory_journal *)copied;
    to->now.floor.first_number = memory_first_number(from);
    to->now.head.number = memory_first_number(from) - 1;
    for (size_t i = 0; i < from->row_count; i++) {
        struct record record;
        record_copy(&from->rows[i].record, &record);
        memory_put_row(to, record);
        /* What came before the first row is gone, and with it what its hash was made of. */
        memcpy(to->rows[i].hash, from->rows[i].hash, HASH_BYTES);
        memcpy(to->now.head.hash, from->rows[i].hash, HASH_BYTES);
        journal_state_apply(&to->now, &to->rows[i].record);
        const struct record *put = &to->rows[i].record;
        /* The END of a transaction whose COMMIT was trimmed may still be there. */
        if (put->kind != RECORD_END || memory_find_txn(to, &put->as.end.gtrid) != NULL) {
            index_record(to, put);
        }
    }
    journal_memory_reopen(&copied);
    return copied;
}

void journal_memory_reopen(struct journal **base)
{
    struct memory_journal *journal = (struct memory_journal *)*base;
    journal_state_done(&journal->base.found);
    journal_state_copy(&journal->now, &journal->base.found);
    journal->poisoned = false;
}

void journal_memory_fail(struct journal *base, size_t count, enum error_kind kind, bool is_written)
{
    struct memory_journal *journal = (struct memory_journal *)base;
    journal->fails = true;
    journal->fail_countdown = count;
    journal->fail_kind = kind;
    journal->fail_written = is_written;
}

void journal_memory_set_space(struct journal *base, bool has_space)
{
    ((struct memory_journal *)base)->has_space = has_space;
}
