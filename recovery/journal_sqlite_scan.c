/*
 * journal_sqlite_scan.c - reads every retained record and believes none of them unchecked (P-16).
 *
 * Called at every start, by `assent journal verify`, and before a copy is adopted. One pass in order over
 * `record`: numbers without gaps, hash chain, bodies well-formed, and for each record what the index says
 * about it. Then the other way round, by counting: an index row that no record stands for would make the
 * counts differ. Last the order of the two indexes that look-ups by key and recovery rely on.
 */
#include <inttypes.h>
#include <string.h>

#include "common/fault.h"
#include "recovery/journal_sqlite.h"

struct scan {
    sqlite3 *db;
    sqlite3_stmt *rows;
    sqlite3_stmt *find_txn;
    sqlite3_stmt *find_note;
    sqlite3_stmt *find_later_note;
    sqlite3_stmt *find_later_request;
    struct scan_result result;
    bool has_floor_record;
    uint64_t commit_count; /* records that the index must have, counted for the way back */
    uint64_t end_count;
    uint64_t note_count;
    uint64_t key_sum; /* over all COMMITs with a key: order-free sum of what txn_key must contain */
};

static bool damaged_at(uint64_t number, const char *what, struct error *ret_error)
{
    (void)error_set(ret_error, ERROR_DAMAGED, "record %" PRIu64 ": %s", number, what);
    return error_hint(ret_error,
                      "nothing is guessed from a damaged journal: see `assent journal verify`, "
                      "then restore a backup or what is said in docs/JOURNAL.md");
}

bool sqlite_decode_row(sqlite3_stmt *statement, uint64_t number, int kind_column,
                       struct record *ret_record, struct error *ret_error)
{
    int kind = sqlite3_column_int(statement, kind_column);
    const uint8_t *body = sqlite3_column_blob(statement, kind_column + 1);
    size_t body_bytes = (size_t)sqlite3_column_bytes(statement, kind_column + 1);
    struct error error = {0};
    static const uint8_t nothing[1];
    if (!record_decode((enum record_kind)kind, body == NULL ? nothing : body, body_bytes,
                       ret_record, &error)) {
        return damaged_at(number, error.text, ret_error);
    }
    return true;
}

/* Columns: kind, body, hash from first_column on. */
static bool check_hash(sqlite3_stmt *statement, int first_column, const struct journal_id *id,
                       const uint8_t previous[HASH_BYTES], uint64_t number,
                       uint8_t ret_hash[HASH_BYTES])
{
    const void *body = sqlite3_column_blob(statement, first_column + 1);
    size_t body_bytes = (size_t)sqlite3_column_bytes(statement, first_column + 1);
    const void *stored = sqlite3_column_blob(statement, first_column + 2);
    size_t stored_bytes = (size_t)sqlite3_column_bytes(statement, first_column + 2);
    journal_chain(id, previous, number,
                  (enum record_kind)sqlite3_column_int(statement, first_column), body, body_bytes,
                  ret_hash);
    return stored_bytes == HASH_BYTES && memcmp(stored, ret_hash, HASH_BYTES) == 0;
}

static bool find_txn(struct scan *scan, const struct gtrid *gtrid, bool *ret_found,
                     struct error *ret_error)
{
    (void)sqlite3_reset(scan->find_txn);
    db_bind_u64(scan->find_txn, 1, gtrid->epoch);
    db_bind_u64(scan->find_txn, 2, gtrid->sequence);
    return db_step(scan->find_txn, ret_found, ret_error);
}

static uint64_t mix(uint64_t value)
{
    value ^= value >> 31;
    value *= 0x9e3779b97f4a7c15u;
    value ^= value >> 29;
    value *= 0xbf58476d1ce4e5b9u;
    return value ^ value >> 32;
}

static uint64_t key_entry(uint64_t key_hash, uint64_t epoch, uint64_t sequence)
{
    return mix(mix(mix(key_hash) + epoch) + sequence);
}

static bool find_note(sqlite3_stmt *find, const struct gtrid *gtrid, uint64_t number,
                      bool *ret_found, struct error *ret_error)
{
    (void)sqlite3_reset(find);
    db_bind_u64(find, 1, gtrid->epoch);
    db_bind_u64(find, 2, gtrid->sequence);
    db_bind_u64(find, 3, number);
    return db_step(find, ret_found, ret_error);
}

/* The request that this COMMIT ended is found by its id. */
static bool check_pointer(struct scan *scan, uint64_t number, const struct record_request *request,
                          struct error *ret_error)
{
    bool found;
    if (!find_note(scan->find_note, &request->id, number, &found, ret_error)) {
        return false;
    }
    if (!found || sqlite3_column_int(scan->find_note, 0) != RECORD_COMMIT ||
        !journal_id_equal(&request->id.journal, &scan->result.meta.id)) {
        return damaged_at(number, "the index does not know the request of this COMMIT", ret_error);
    }
    scan->note_count++;
    return true;
}

/* txn columns: commit_number, end_number, key_hash, end_running_ms */
static bool check_commit(struct scan *scan, uint64_t number, const struct record_commit *commit,
                         struct error *ret_error)
{
    bool found;
    if (!find_txn(scan, &commit->gtrid, &found, ret_error)) {
        return false;
    }
    if (!found || db_column_u64(scan->find_txn, 0) != number) {
        return damaged_at(number, "the index does not know this COMMIT", ret_error);
    }
    uint64_t key_hash = 0;
    bool has_key = commit->key_bytes > 0;
    if (has_key) {
        key_hash = db_key_hash(&scan->result.meta.id, commit->key, commit->key_bytes);
        scan->key_sum += key_entry(key_hash, commit->gtrid.epoch, commit->gtrid.sequence);
    }
    if (has_key != (sqlite3_column_type(scan->find_txn, 2) != SQLITE_NULL) ||
        key_hash != db_column_u64(scan->find_txn, 2)) {
        return damaged_at(number, "the index has another key for this COMMIT", ret_error);
    }
    scan->commit_count++;
    return !commit->has_request || check_pointer(scan, number, &commit->request, ret_error);
}

/* Not indexed, and rightly so: what is left of a forgotten transaction, or a row that trimming has
 * appended again further up. */
static bool is_left_over(const struct scan *scan, bool txn_found, const struct gtrid *gtrid,
                         uint64_t number)
{
    if (txn_found) {
        return db_column_u64(scan->find_txn, 0) > number;
    }
    return journal_floor_compare(&scan->result.meta.floor, gtrid->epoch, gtrid->sequence) >= 0;
}

static bool check_end(struct scan *scan, uint64_t number, const struct record_end *end,
                      struct error *ret_error)
{
    bool found;
    if (!find_txn(scan, &end->gtrid, &found, ret_error)) {
        return false;
    }
    if (found && db_column_u64(scan->find_txn, 1) == number &&
        db_column_u64(scan->find_txn, 3) == end->running_ms) {
        scan->end_count++;
        return true;
    }
    return is_left_over(scan, found, &end->gtrid, number) ||
           damaged_at(number, "the index does not know this END", ret_error);
}

/* A record about a request that the index does not have: superseded, moved, or the request is over; then something about
 * it stands further up, since the walk of trimming comes to that last. */
static bool check_old_state(struct scan *scan, uint64_t number, enum record_kind kind,
                            const struct gtrid *id, struct error *ret_error)
{
    bool found;
    sqlite3_stmt *find = kind == RECORD_ACCEPT ? scan->find_later_request : scan->find_later_note;
    return find_note(find, id, number, &found, ret_error) &&
           (found || damaged_at(number, "the index does not know this record", ret_error));
}

static bool check_note(struct scan *scan, uint64_t number, const struct record *record,
                       struct error *ret_error)
{
    struct gtrid gtrid = {0};
    bool found;
    (void)record_gtrid(record, &gtrid);
    if (!find_note(scan->find_note, &gtrid, number, &found, ret_error)) {
        return false;
    }
    if (found) {
        const char *participant =
            record->kind == RECORD_HEURISTIC
                ? record->as.heuristic.gid.participant
                : (record->kind == RECORD_RESOLVED ? record->as.resolved.participant : "");
        const unsigned char *indexed = sqlite3_column_text(scan->find_note, 1);
        if (sqlite3_column_int(scan->find_note, 0) != (int)record->kind || indexed == NULL ||
            strcmp((const char *)indexed, participant) != 0) {
            return damaged_at(number, "the index has something else for this record", ret_error);
        }
        scan->note_count++;
        return true;
    }
    bool txn_found;
    bool moved;
    if (record->kind != RECORD_HEURISTIC && record->kind != RECORD_RESOLVED) {
        return check_old_state(scan, number, record->kind, &gtrid, ret_error);
    }
    if (!find_txn(scan, &gtrid, &txn_found, ret_error)) {
        return false;
    }
    /* Notes of an aborted transaction move together, too. */
    if (!find_note(scan->find_later_note, &gtrid, number, &moved, ret_error)) {
        return false;
    }
    return is_left_over(scan, txn_found, &gtrid, number) || moved ||
           damaged_at(number, "the index does not know this record", ret_error);
}

static bool check_indexed(struct scan *scan, uint64_t number, const struct record *record,
                          struct error *ret_error)
{
    struct gtrid gtrid;
    if (record_gtrid(record, &gtrid) && !journal_id_equal(&gtrid.journal, &scan->result.meta.id)) {
        return damaged_at(number, "it names another journal", ret_error);
    }
    switch (record->kind) {
    case RECORD_COMMIT:
        return check_commit(scan, number, &record->as.commit, ret_error);
    case RECORD_END:
        return check_end(scan, number, &record->as.end, ret_error);
    case RECORD_HEURISTIC:
    case RECORD_RESOLVED:
    case RECORD_ACCEPT:
    case RECORD_REFUSED:
    case RECORD_REQUEUED:
    case RECORD_DROPPED:
        return check_note(scan, number, record, ret_error);
    case RECORD_EPOCH:
        scan->result.last_epoch_number = number;
        return true;
    case RECORD_FLOOR:
        scan->has_floor_record = true;
        return true;
    case RECORD_RELEASE:
    case RECORD_ADOPT:
        return true;
    }
    return damaged_at(number, "unknown kind", ret_error);
}

/* Row columns: number, kind, body, hash. */
static bool scan_row(struct scan *scan, struct error *ret_error)
{
    struct journal_head *head = &scan->result.state.head;
    uint64_t expected = head->number + 1;
    uint64_t number = db_column_u64(scan->rows, 0);
    struct record record;
    if (number != expected) {
        return damaged_at(expected, "missing (a gap in the numbering)", ret_error);
    }
    if (!check_hash(scan->rows, 1, &scan->result.meta.id, head->hash, number, head->hash)) {
        return damaged_at(number, "its hash does not match (it, or the one before, was changed)",
                          ret_error);
    }
    if (!sqlite_decode_row(scan->rows, number, 1, &record, ret_error)) {
        return false;
    }
    bool checked = check_indexed(scan, number, &record, ret_error);
    journal_state_apply(&scan->result.state, &record);
    record_done(&record);
    head->number = number;
    scan->result.record_count++;
    return checked;
}

/* One number from one row. */
static bool query_u64(sqlite3 *db, const char *sql, uint64_t *ret_value, struct error *ret_error)
{
    sqlite3_stmt *statement;
    bool row = false;
    if (!db_prepare(db, sql, &statement, ret_error)) {
        return false;
    }
    bool read = db_step(statement, &row, ret_error);
    if (read) {
        *ret_value = row ? db_column_u64(statement, 0) : 0;
    }
    (void)sqlite3_finalize(statement);
    return read;
}

static bool expect_count(struct scan *scan, const char *sql, uint64_t expected, const char *what,
                         struct error *ret_error)
{
    uint64_t count;
    if (!query_u64(scan->db, sql, &count, ret_error)) {
        return false;
    }
    return count == expected || error_set(ret_error, ERROR_DAMAGED,
                                          "the index has %" PRIu64 " %s, the records say %" PRIu64,
                                          count, what, expected);
}

/* Every entry of txn_key, in the order a look-up relies on. */
static bool check_key_index(struct scan *scan, struct error *ret_error)
{
    sqlite3_stmt *entries;
    uint64_t sum = 0;
    int64_t previous = INT64_MIN;
    bool ordered = true;
    bool row = false;
    if (!db_prepare(scan->db,
                    "SELECT key_hash, epoch, sequence FROM txn INDEXED BY txn_key"
                    " WHERE key_hash IS NOT NULL",
                    &entries, ret_error)) {
        return false;
    }
    bool read = db_step(entries, &row, ret_error);
    while (read && row) {
        int64_t key_hash = sqlite3_column_int64(entries, 0);
        ordered = ordered && key_hash >= previous;
        previous = key_hash;
        sum += key_entry((uint64_t)key_hash, db_column_u64(entries, 1), db_column_u64(entries, 2));
        read = db_step(entries, &row, ret_error);
    }
    (void)sqlite3_finalize(entries);
    if (read && (!ordered || sum != scan->key_sum)) {
        return error_set(ret_error, ERROR_DAMAGED, "the index by key disagrees with the records");
    }
    return read;
}

static bool check_counts(struct scan *scan, struct error *ret_error)
{
    uint64_t unfinished = scan->commit_count - scan->end_count;
    return expect_count(scan, "SELECT count(*) FROM txn", scan->commit_count, "transactions",
                        ret_error) &&
           expect_count(scan, "SELECT count(end_number) FROM txn", scan->end_count,
                        "ended transactions", ret_error) &&
           expect_count(scan, "SELECT count(*) FROM note", scan->note_count, "notes", ret_error) &&
           expect_count(scan,
                        "SELECT count(*) FROM txn INDEXED BY txn_live"
                        " WHERE (end_number IS NULL OR open_notes > 0) AND end_number IS NULL",
                        unfinished, "unfinished transactions", ret_error) &&
           /* is_open follows from the order of the notes */
           expect_count(scan,
                        "SELECT count(*) FROM note h WHERE h.kind = 6 AND h.is_open = EXISTS("
                        "SELECT 1 FROM note r WHERE r.epoch = h.epoch AND r.sequence = h.sequence"
                        " AND r.kind = 7 AND r.number > h.number"
                        " AND (r.participant = '' OR r.participant = h.participant))",
                        0, "wrongly marked HEURISTIC notes", ret_error) &&
           expect_count(scan,
                        "SELECT count(*) FROM note h WHERE h.kind = 6 AND h.is_open = 1 AND EXISTS("
                        "SELECT 1 FROM txn t WHERE t.epoch = h.epoch AND t.sequence = h.sequence"
                        " AND t.open_notes <> (SELECT count(*) FROM note n WHERE n.epoch = h.epoch"
                        " AND n.sequence = h.sequence AND n.kind = 6 AND n.is_open = 1))",
                        0, "miscounted HEURISTIC notes", ret_error) &&
           expect_count(scan, "SELECT count(*) FROM note WHERE kind = 4 AND is_open = 0", 0,
                        "closed ACCEPT notes", ret_error) &&
           check_key_index(scan, ret_error);
}

static bool check_meta(struct scan *scan, struct error *ret_error)
{
    const struct journal_floor *meta = &scan->result.meta.floor;
    const struct journal_floor *floor = &scan->result.state.floor;
    bool trimmed = meta->first_number > 1;
    if (trimmed != scan->has_floor_record ||
        (trimmed && (meta->epoch != floor->epoch || meta->sequence != floor->sequence ||
                     meta->first_number != floor->first_number))) {
        return error_set(ret_error, ERROR_DAMAGED,
                         "the floor in the meta row disagrees with the records");
    }
    return true;
}

static bool scan_rows(struct scan *scan, struct error *ret_error)
{
    bool row = false;
    bool read = db_step(scan->rows, &row, ret_error);
    while (read && row) {
        read = scan_row(scan, ret_error) && db_step(scan->rows, &row, ret_error);
    }
    return read;
}

static bool scan_all(struct scan *scan, struct error *ret_error)
{
    if (!db_meta_load(scan->db, &scan->result.meta, ret_error) ||
        !db_prepare(scan->db, "SELECT number, kind, body, hash FROM record ORDER BY number",
                    &scan->rows, ret_error) ||
        !db_prepare(scan->db,
                    "SELECT commit_number, end_number, key_hash, end_running_ms FROM txn"
                    " WHERE epoch = ?1 AND sequence = ?2",
                    &scan->find_txn, ret_error) ||
        !db_prepare(scan->db,
                    "SELECT kind, participant FROM note"
                    " WHERE epoch = ?1 AND sequence = ?2 AND number = ?3",
                    &scan->find_note, ret_error) ||
        !db_prepare(scan->db,
                    "SELECT 1 FROM note"
                    " WHERE epoch = ?1 AND sequence = ?2 AND number > ?3",
                    &scan->find_later_note, ret_error) ||
        !db_prepare(scan->db,
                    "SELECT 1 FROM note" /* ACCEPT, COMMIT, DROPPED */
                    " WHERE epoch = ?1 AND sequence = ?2 AND number > ?3 AND kind IN (4, 2, 12)",
                    &scan->find_later_request, ret_error)) {
        return false;
    }
    struct journal_state *state = &scan->result.state;
    state->id = scan->result.meta.id;
    state->is_marked_copy = scan->result.meta.is_marked_copy;
    state->floor.first_number = 1;
    state->head.number = scan->result.meta.floor.first_number - 1;
    memcpy(state->head.hash, scan->result.meta.previous_hash, HASH_BYTES);
    return scan_rows(scan, ret_error) && check_meta(scan, ret_error) &&
           check_counts(scan, ret_error) &&
           query_u64(scan->db,
                     "SELECT (SELECT count(*) FROM txn WHERE end_number IS NULL OR open_notes > 0)"
                     " + (SELECT count(*) FROM note WHERE is_open = 1 AND kind = 4)",
                     &scan->result.live_count, ret_error);
}

bool sqlite_scan(sqlite3 *db, struct scan_result *ret_result, struct error *ret_error)
{
    struct scan scan = {.db = db};
    /* One snapshot: a daemon may be appending beside us. */
    bool scanned = db_execute(db, "BEGIN", ret_error) && scan_all(&scan, ret_error);
    (void)sqlite3_finalize(scan.rows);
    (void)sqlite3_finalize(scan.find_txn);
    (void)sqlite3_finalize(scan.find_note);
    (void)sqlite3_finalize(scan.find_later_note);
    (void)sqlite3_finalize(scan.find_later_request);
    if (sqlite3_get_autocommit(db) == 0) {
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL); /* it only read */
    }
    if (!scanned) {
        journal_state_done(&scan.result.state);
        return false;
    }
    *ret_result = scan.result;
    return true;
}

/* ---- single records and live ones ---- */

static bool previous_hash(sqlite3_stmt *read, const struct journal_meta *meta, uint64_t number,
                          uint8_t ret_hash[HASH_BYTES], struct error *ret_error)
{
    bool row = true;
    if (number == meta->floor.first_number) {
        memcpy(ret_hash, meta->previous_hash, HASH_BYTES);
        return true;
    }
    db_bind_u64(read, 1, number - 1);
    if (!db_step(read, &row, ret_error)) {
        return false;
    }
    bool whole = row && sqlite3_column_bytes(read, 2) == HASH_BYTES;
    if (whole) {
        memcpy(ret_hash, sqlite3_column_blob(read, 2), HASH_BYTES);
    }
    (void)sqlite3_reset(read);
    return whole || damaged_at(number - 1, "missing (a gap in the numbering)", ret_error);
}

bool sqlite_read_checked(sqlite3_stmt *read, const struct journal_meta *meta, uint64_t number,
                         bool *ret_found, struct record *ret_record, struct error *ret_error)
{
    uint8_t previous[HASH_BYTES];
    uint8_t hash[HASH_BYTES];
    bool row = false;
    if (number < meta->floor.first_number) {
        *ret_found = false;
        return true;
    }
    if (!previous_hash(read, meta, number, previous, ret_error)) {
        return false;
    }
    db_bind_u64(read, 1, number);
    if (!db_step(read, &row, ret_error)) {
        return false;
    }
    bool good = true;
    if (row && !check_hash(read, 0, &meta->id, previous, number, hash)) {
        good = damaged_at(number, "its hash does not match", ret_error);
    } else if (row) {
        good = sqlite_decode_row(read, number, 0, ret_record, ret_error);
    }
    (void)sqlite3_reset(read);
    *ret_found = row;
    return good;
}

/* Numbers of the live records: for a live transaction its COMMIT, its notes, and its END if it has one. */
static const char live_sql[] =
    "SELECT number FROM ("
    " SELECT commit_number AS number FROM txn WHERE end_number IS NULL OR open_notes > 0"
    " UNION ALL SELECT end_number FROM txn"
    "  WHERE (end_number IS NULL OR open_notes > 0) AND end_number IS NOT NULL"
    " UNION ALL SELECT n.number FROM note n WHERE EXISTS("
    "  SELECT 1 FROM txn t WHERE t.epoch = n.epoch AND t.sequence = n.sequence"
    "  AND (t.end_number IS NULL OR t.open_notes > 0))"
    " UNION ALL SELECT n.number FROM note n WHERE NOT EXISTS("
    "  SELECT 1 FROM txn t WHERE t.epoch = n.epoch AND t.sequence = n.sequence)"
    "  AND n.kind <> 2" /* its COMMIT is there already, or not live */
    "  AND EXISTS(SELECT 1 FROM note o WHERE o.epoch = n.epoch AND o.sequence = n.sequence"
    "  AND o.is_open = 1)) ORDER BY number";

static bool visit_live(sqlite3_stmt *numbers, sqlite3_stmt *read, const struct journal_meta *meta,
                       journal_visit visit, void *user, struct error *ret_error)
{
    bool row = false;
    bool wanted = true;
    bool good = db_step(numbers, &row, ret_error);
    while (good && row && wanted) {
        uint64_t number = db_column_u64(numbers, 0);
        struct record record;
        bool found = false;
        if (!sqlite_read_checked(read, meta, number, &found, &record, ret_error)) {
            return false;
        }
        if (!found) {
            return damaged_at(number, "missing, but the index names it as live", ret_error);
        }
        FAULT(FAULT_C_RECOVER_SCAN);
        wanted = visit(user, number, &record);
        record_done(&record);
        good = db_step(numbers, &row, ret_error);
    }
    return good;
}

bool sqlite_replay(sqlite3 *db, journal_visit visit, void *user, struct error *ret_error)
{
    sqlite3_stmt *numbers = NULL;
    sqlite3_stmt *read = NULL;
    struct journal_meta meta;
    bool replayed = db_meta_load(db, &meta, ret_error) &&
                    db_prepare(db, live_sql, &numbers, ret_error) &&
                    db_prepare(db, SQLITE_READ_SQL, &read, ret_error) &&
                    visit_live(numbers, read, &meta, visit, user, ret_error);
    (void)sqlite3_finalize(numbers);
    (void)sqlite3_finalize(read);
    return replayed;
}
