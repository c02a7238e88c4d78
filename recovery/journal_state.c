/*
 * journal_state.c - the backends' common rules: hash chain, form of a batch, and the summary of epochs,
 * participants and running time that recovery starts from. See journal_backend.h.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "recovery/journal_backend.h"
#include "recovery/record_codec.h"

void journal_chain(const struct journal_id *id, const uint8_t previous[HASH_BYTES], uint64_t number,
                   enum record_kind kind, const uint8_t *body, size_t body_bytes,
                   uint8_t ret_hash[HASH_BYTES])
{
    _Static_assert(HASH_BYTES == crypto_hash_sha256_BYTES, "the chain is SHA-256");
    uint8_t prefix[JOURNAL_ID_BYTES + HASH_BYTES + 8 + 1];
    uint8_t *at = prefix;
    memcpy(at, id->bytes, JOURNAL_ID_BYTES);
    at += JOURNAL_ID_BYTES;
    memcpy(at, previous, HASH_BYTES);
    at += HASH_BYTES;
    for (int shift = 56; shift >= 0; shift -= 8) {
        *at++ = (uint8_t)(number >> shift);
    }
    *at = (uint8_t)kind;

    crypto_hash_sha256_state state;
    (void)crypto_hash_sha256_init(&state);
    (void)crypto_hash_sha256_update(&state, prefix, sizeof prefix);
    (void)crypto_hash_sha256_update(&state, body, body_bytes);
    (void)crypto_hash_sha256_final(&state, ret_hash);
}

bool journal_check_batch(const struct journal_state *now, uint64_t epoch,
                         const struct record *records, size_t count, struct error *ret_error)
{
    if (now->is_marked_copy) {
        return error_set(ret_error, ERROR_DENIED, "this journal is a copy that was never adopted");
    }
    if (count == 0) {
        return error_set(ret_error, ERROR_INVALID, "an empty batch of records");
    }
    if (records[0].kind == RECORD_EPOCH) {
        uint64_t raised = records[0].as.epoch.epoch;
        if (raised <= now->last_epoch || (epoch != raised && epoch != now->last_epoch)) {
            return error_set(ret_error, ERROR_LOCKED,
                             "fenced: epoch %llu does not follow the journal's epoch %llu",
                             (unsigned long long)raised, (unsigned long long)now->last_epoch);
        }
    } else if (epoch != now->last_epoch) {
        return error_set(ret_error, ERROR_LOCKED, "fenced: the journal is at epoch %llu, not %llu",
                         (unsigned long long)now->last_epoch, (unsigned long long)epoch);
    }
    for (size_t i = 0; i < count; i++) {
        struct gtrid gtrid;
        if ((i > 0 && records[i].kind == RECORD_EPOCH) || records[i].kind == RECORD_FLOOR) {
            return error_set(ret_error, ERROR_INVALID, "a %s record does not belong here",
                             record_kind_text(records[i].kind));
        }
        bool is_ours =
            !record_gtrid(&records[i], &gtrid) || journal_id_equal(&gtrid.journal, &now->id);
        if (records[i].kind == RECORD_COMMIT && records[i].as.commit.has_request) {
            is_ours =
                is_ours && journal_id_equal(&records[i].as.commit.request.id.journal, &now->id);
        }
        if (!is_ours) {
            return error_set(ret_error, ERROR_INVALID, "a %s record of another journal",
                             record_kind_text(records[i].kind));
        }
    }
    return true;
}

static size_t find_participant(const struct journal_state *state, const char *name)
{
    size_t i = 0;
    while (i < state->participant_count && strcmp(state->participants[i], name) != 0) {
        i++;
    }
    return i;
}

static void add_participant(struct journal_state *state, const char *name)
{
    if (find_participant(state, name) < state->participant_count) {
        return;
    }
    size_t count = state->participant_count + 1;
    state->participants = alloc_resize(state->participants, count, PARTICIPANT_NAME_SIZE);
    memset(state->participants[count - 1], 0, PARTICIPANT_NAME_SIZE);
    memcpy(state->participants[count - 1], name, strlen(name));
    state->participant_count = count;
}

static void remove_participant(struct journal_state *state, const char *name)
{
    size_t i = find_participant(state, name);
    if (i == state->participant_count) {
        return;
    }
    size_t after = state->participant_count - i - 1;
    memmove(state->participants[i], state->participants[i + 1], after * PARTICIPANT_NAME_SIZE);
    state->participant_count--;
}

static void add_epoch(struct journal_state *state, uint64_t epoch, uint64_t nonce)
{
    for (size_t i = state->epoch_count; i-- > 0;) {
        if (state->epochs[i].epoch == epoch) {
            return; /* an EPOCH that trimming appended again */
        }
    }
    size_t count = state->epoch_count + 1;
    state->epochs = alloc_resize(state->epochs, count, sizeof *state->epochs);
    state->epochs[count - 1] = (struct epoch_entry){.epoch = epoch, .nonce = nonce};
    state->epoch_count = count;
}

static void apply_epoch(struct journal_state *state, const struct record_epoch *epoch)
{
    state->last_epoch = epoch->epoch;
    add_epoch(state, epoch->epoch, epoch->nonce);
    state->participant_count = 0; /* named in the last EPOCH or a later COMMIT */
    for (size_t i = 0; i < epoch->participant_count; i++) {
        add_participant(state, epoch->participants[i]);
    }
}

static void apply_floor(struct journal_state *state, const struct record_floor *floor)
{
    state->floor = floor->floor;
    state->epoch_count = 0; /* a FLOOR repeats every one that is still needed */
    for (size_t i = 0; i < floor->epoch_count; i++) {
        add_epoch(state, floor->epochs[i].epoch, floor->epochs[i].nonce);
    }
    if (floor->epoch_count > 0 && state->last_epoch < floor->epochs[floor->epoch_count - 1].epoch) {
        state->last_epoch = floor->epochs[floor->epoch_count - 1].epoch;
    }
    if (state->running_ms < floor->running_ms) {
        state->running_ms = floor->running_ms;
    }
}

void journal_state_apply(struct journal_state *state, const struct record *record)
{
    switch (record->kind) {
    case RECORD_EPOCH:
        apply_epoch(state, &record->as.epoch);
        break;
    case RECORD_COMMIT:
        for (size_t i = 0; i < record->as.commit.branch_count; i++) {
            add_participant(state, record->as.commit.branches[i].gid.participant);
        }
        break;
    case RECORD_END:
        if (state->running_ms < record->as.end.running_ms) {
            state->running_ms = record->as.end.running_ms;
        }
        break;
    case RECORD_FLOOR:
        apply_floor(state, &record->as.floor);
        break;
    case RECORD_RELEASE:
        remove_participant(state, record->as.release.participant);
        break;
    case RECORD_ACCEPT:
    case RECORD_REFUSED:
    case RECORD_HEURISTIC:
    case RECORD_RESOLVED:
    case RECORD_ADOPT:
    case RECORD_REQUEUED:
        break;
    case RECORD_DROPPED:
        if (state->running_ms < record->as.dropped.running_ms) {
            state->running_ms = record->as.dropped.running_ms;
        }
        break;
    }
}

void journal_state_copy(const struct journal_state *from, struct journal_state *ret_state)
{
    struct journal_state copy = *from;
    copy.epochs = NULL;
    copy.participants = NULL;
    if (from->epoch_count > 0) {
        copy.epochs = alloc_array(from->epoch_count, sizeof *copy.epochs);
        memcpy(copy.epochs, from->epochs, from->epoch_count * sizeof *copy.epochs);
    }
    if (from->participant_count > 0) {
        copy.participants = alloc_array(from->participant_count, PARTICIPANT_NAME_SIZE);
        memcpy(copy.participants, from->participants,
               from->participant_count * PARTICIPANT_NAME_SIZE);
    }
    *ret_state = copy;
}

void journal_state_done(struct journal_state *state)
{
    free(state->epochs);
    free(state->participants);
    *state = (struct journal_state){0};
}

int journal_floor_compare(const struct journal_floor *floor, uint64_t epoch, uint64_t sequence)
{
    if (floor->epoch != epoch) {
        return floor->epoch < epoch ? -1 : 1;
    }
    if (floor->sequence != sequence) {
        return floor->sequence < sequence ? -1 : 1;
    }
    return 0;
}

void journal_floor_raise(struct journal_floor *floor, uint64_t epoch, uint64_t sequence)
{
    if (journal_floor_compare(floor, epoch, sequence) < 0) {
        floor->epoch = epoch;
        floor->sequence = sequence;
    }
}

void journal_floor_record(const struct journal_state *now, const struct journal_floor *floor,
                          uint64_t running_ms, struct record *ret_record)
{
    struct record record = {.kind = RECORD_FLOOR};
    record.as.floor.floor = *floor;
    record.as.floor.running_ms = running_ms > now->running_ms ? running_ms : now->running_ms;
    record.as.floor.epochs = alloc_array(now->epoch_count + 1, sizeof *record.as.floor.epochs);
    for (size_t i = 0; i < now->epoch_count; i++) {
        /* A gtrid of a lower epoch is below the floor, and needs no nonce to be told UNKNOWN (P-8). */
        if (now->epochs[i].epoch >= floor->epoch || now->epochs[i].epoch == now->last_epoch) {
            record.as.floor.epochs[record.as.floor.epoch_count++] = now->epochs[i];
        }
    }
    *ret_record = record;
}

void journal_epoch_record(const struct journal_state *now, struct record *ret_record)
{
    CHECK(now->epoch_count > 0);
    const struct epoch_entry *last = &now->epochs[now->epoch_count - 1];
    CHECK(last->epoch == now->last_epoch);
    struct record_epoch epoch = {.epoch = last->epoch, .nonce = last->nonce};
    struct record lent = {.kind = RECORD_EPOCH, .as.epoch = epoch};
    lent.as.epoch.participant_count = now->participant_count;
    lent.as.epoch.participants = now->participants;
    record_copy(&lent, ret_record);
}

void journal_entry_add_note(struct journal_entry *entry, struct record *note)
{
    entry->notes = alloc_resize(entry->notes, entry->note_count + 1, sizeof *entry->notes);
    entry->notes[entry->note_count++] = *note;
    *note = (struct record){0};
}

bool journal_commit_names(const struct record_commit *commit, const char *participant)
{
    for (size_t i = 0; i < commit->branch_count; i++) {
        if (strcmp(commit->branches[i].gid.participant, participant) == 0) {
            return true;
        }
    }
    return false;
}

bool journal_needs_person(const struct journal_state *now, const struct gtrid *gtrid)
{
    if (journal_floor_compare(&now->floor, gtrid->epoch, gtrid->sequence) >= 0) {
        return true;
    }
    for (size_t i = 0; i < now->epoch_count; i++) {
        if (now->epochs[i].epoch == gtrid->epoch) {
            return now->epochs[i].nonce != gtrid->epoch_nonce;
        }
    }
    return true;
}

bool journal_resolves(const char *resolved_participant, const char *heuristic_participant)
{
    return resolved_participant[0] == 0 || strcmp(resolved_participant, heuristic_participant) == 0;
}

/* ---- trimming ---- */

bool journal_check_trim(const struct journal_state *now, const struct journal_trim *trim,
                        struct error *ret_error)
{
    if (now->is_marked_copy) {
        return error_set(ret_error, ERROR_DENIED, "this journal is a copy that was never adopted");
    }
    if (trim->epoch != now->last_epoch) {
        return error_set(ret_error, ERROR_LOCKED, "fenced: the journal is at epoch %llu, not %llu",
                         (unsigned long long)now->last_epoch, (unsigned long long)trim->epoch);
    }
    return true;
}

enum trim_action journal_trim_commit(const struct journal_trim *trim, const struct gtrid *gtrid,
                                     const struct trim_txn *txn)
{
    if (!txn->ended || txn->open_notes > 0) {
        return TRIM_CARRY;
    }
    /* P-13: the window counts running time, and every participant has swept since the END. */
    bool is_old = trim->now_running_ms >= txn->end_running_ms &&
                  trim->now_running_ms - txn->end_running_ms >= trim->retention_ms;
    bool is_kept = trim->keep_sequence != 0 && gtrid->epoch == trim->epoch &&
                   gtrid->sequence >= trim->keep_sequence;
    return is_old && !is_kept && txn->end_number <= trim->swept_number ? TRIM_FORGET : TRIM_STOP;
}

enum trim_action journal_trim_dropped(const struct journal_trim *trim,
                                      const struct record_dropped *dropped)
{
    bool is_old = trim->now_running_ms >= dropped->running_ms &&
                  trim->now_running_ms - dropped->running_ms >= trim->retention_ms;
    return is_old ? TRIM_PASS : TRIM_STOP;
}

bool journal_trim_take(struct trim_slice *slice, enum trim_action action)
{
    if (action == TRIM_STOP || slice->seen == TRIM_LOOK_AHEAD_ROWS) {
        return false;
    }
    slice->seen++;
    if (slice->is_full) {
        /* Ahead of a slice of live records: they are moved only if something behind them is due, else
         * they would be moved again and again for nothing. */
        slice->is_due = action == TRIM_FORGET;
        return !slice->is_due;
    }
    slice->rows++;
    slice->passed += action != TRIM_CARRY;
    slice->forgotten += action == TRIM_FORGET;
    slice->is_full = slice->rows == slice->trim->slice_records;
    if (slice->is_full) {
        slice->more = true;
        return !journal_trim_is_due(slice);
    }
    return true;
}

bool journal_trim_is_due(struct trim_slice *slice)
{
    slice->is_due =
        slice->is_due || slice->forgotten > 0 || slice->passed >= TRIM_ROWS_WORTH_A_SYNC;
    return slice->is_due;
}
