/*
 * journal_kit.c - see journal_kit.h.
 */
#include "tests/lib/test.h"

#include "tests/lib/journal_kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "recovery/journal_memory.h"

const struct journal_id kit_id = {.bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

void kit_init(struct journal_kit *kit, bool memory)
{
    *kit = (struct journal_kit){.memory = memory};
    (void)snprintf(kit->folder, sizeof kit->folder, "%s", "/tmp/assent-journal-XXXXXX");
    assert_non_null(mkdtemp(kit->folder));
    (void)snprintf(kit->path, sizeof kit->path, "%s/journal.db", kit->folder);
    kit->options = (struct journal_options){
        .path = kit->path, .reserve_bytes = 64 * 1024, .create = true, .new_id = kit_id};
}

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *place)
{
    (void)status;
    (void)flag;
    (void)place;
    return remove(path);
}

void kit_done(struct journal_kit *kit)
{
    kit_close(kit);
    (void)nftw(kit->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

bool kit_open(struct journal_kit *kit, struct error *ret_error)
{
    return kit->memory ? journal_open_memory(&kit->options, &kit->journal, ret_error)
                       : journal_open_sqlite(&kit->options, &kit->journal, ret_error);
}

void kit_close(struct journal_kit *kit)
{
    journal_close(kit->journal);
    kit->journal = NULL;
}

void kit_reopen(struct journal_kit *kit)
{
    struct error error = {0};
    if (kit->memory) {
        journal_memory_reopen(&kit->journal);
        return;
    }
    kit_close(kit);
    assert_success(kit_open(kit, &error), &error);
}

void kit_start(struct journal_kit *kit)
{
    static const char *const participants[] = {"order", "payment"};
    struct error error = {0};
    assert_success(kit_open(kit, &error), &error);
    (void)kit_append(kit, kit_epoch(KIT_EPOCH, 2, participants));
}

struct gtrid kit_gtrid(uint64_t epoch, uint64_t sequence)
{
    return (struct gtrid){
        .journal = kit_id, .epoch = epoch, .epoch_nonce = epoch * 1000, .sequence = sequence};
}

struct record kit_epoch(uint64_t epoch, size_t count, const char *const *participants)
{
    struct record record = {.kind = RECORD_EPOCH};
    record.as.epoch.epoch = epoch;
    record.as.epoch.nonce = epoch * 1000;
    record.as.epoch.participant_count = count;
    record.as.epoch.participants = alloc_array(count + 1, PARTICIPANT_NAME_SIZE);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(record.as.epoch.participants[i], sizeof record.as.epoch.participants[i],
                       "%s", participants[i]);
    }
    return record;
}

struct record kit_commit(struct gtrid gtrid, const char *key)
{
    static const char *const participants[] = {"order", "payment"};
    struct record record = {.kind = RECORD_COMMIT};
    struct record_commit *commit = &record.as.commit;
    commit->gtrid = gtrid;
    commit->wall_ms = 1700000000000u + gtrid.sequence;
    if (key != NULL) {
        commit->key_bytes = strlen(key);
        (void)snprintf(commit->key, sizeof commit->key, "%s", key);
    }
    memset(commit->body_hash, 0x5a, sizeof commit->body_hash);
    commit->branch_count = 2;
    commit->branches = alloc_array(2, sizeof *commit->branches);
    for (size_t i = 0; i < 2; i++) {
        struct record_branch *branch = &commit->branches[i];
        branch->gid.gtrid = gtrid;
        branch->gid.attempt = gtrid.sequence * 16 + i + 1;
        (void)snprintf(branch->gid.participant, sizeof branch->gid.participant, "%s",
                       participants[i]);
        branch->proof = (struct proof){.kind = PROOF_ROW,
                                       .timeline = 1,
                                       .database_oid = 16384,
                                       .xid8 = 700 + gtrid.sequence,
                                       .system_id = 7301234567890123456u,
                                       .lsn = 0x16b3740};
    }
    commit->branches[0].results = blob_new("result", 6);
    return record;
}

struct record kit_end(struct gtrid gtrid, uint64_t running_ms)
{
    struct record record = {.kind = RECORD_END};
    record.as.end.gtrid = gtrid;
    record.as.end.wall_ms = 1700000001000u + gtrid.sequence;
    record.as.end.running_ms = running_ms;
    return record;
}

struct record kit_heuristic(struct gtrid gtrid, const char *participant)
{
    struct record record = {.kind = RECORD_HEURISTIC};
    record.as.heuristic.gid.gtrid = gtrid;
    record.as.heuristic.gid.attempt = gtrid.sequence * 16 + 1;
    (void)snprintf(record.as.heuristic.gid.participant, sizeof record.as.heuristic.gid.participant,
                   "%s", participant);
    record.as.heuristic.ack = ACK_HEURISTIC_ROLLBACK;
    (void)snprintf(record.as.heuristic.detail, sizeof record.as.heuristic.detail, "%s",
                   "rolled back by hand");
    return record;
}

struct record kit_resolved(struct gtrid gtrid, const char *participant)
{
    struct record record = {.kind = RECORD_RESOLVED};
    record.as.resolved.gtrid = gtrid;
    (void)snprintf(record.as.resolved.participant, sizeof record.as.resolved.participant, "%s",
                   participant);
    record.as.resolved.action = RESOLVE_FORGET;
    (void)snprintf(record.as.resolved.comment, sizeof record.as.resolved.comment, "%s",
                   "booked by hand");
    return record;
}

struct record kit_accept(struct gtrid gtrid, const char *key)
{
    struct record record = {.kind = RECORD_ACCEPT};
    record.as.accept.gtrid = gtrid;
    record.as.accept.key_bytes = strlen(key);
    (void)snprintf(record.as.accept.key, sizeof record.as.accept.key, "%s", key);
    (void)snprintf(record.as.accept.queue, sizeof record.as.accept.queue, "%s", "orders");
    record.as.accept.timeout_ms = 5000;
    record.as.accept.branch_count = 2;
    record.as.accept.branches = alloc_array(2, sizeof record.as.accept.branches[0]);
    (void)snprintf(record.as.accept.branches[0].participant, PARTICIPANT_NAME_SIZE, "%s", "order");
    record.as.accept.branches[0].work = blob_new("work", 4);
    (void)snprintf(record.as.accept.branches[1].participant, PARTICIPANT_NAME_SIZE, "%s",
                   "payment");
    record.as.accept.branches[1].isolation = ISOLATION_SERIALIZABLE;
    record.as.accept.branches[1].read_only = true;
    record.as.accept.branches[1].work = blob_new("more work", 9);
    return record;
}

struct record kit_commit_of(struct gtrid gtrid, struct gtrid request, const char *key)
{
    struct record record = kit_commit(gtrid, key);
    record.as.commit.has_request = true;
    record.as.commit.request.id = request;
    (void)snprintf(record.as.commit.request.queue, sizeof record.as.commit.request.queue, "%s",
                   "orders");
    record.as.commit.request.attempts = 3;
    record.as.commit.request.accepted_wall_ms = 1700000000000;
    return record;
}

struct record kit_requeued(struct gtrid gtrid, uint64_t sequence)
{
    struct record record = {.kind = RECORD_REQUEUED};
    record.as.requeued.gtrid = gtrid;
    record.as.requeued.epoch = gtrid.epoch;
    record.as.requeued.sequence = sequence;
    return record;
}

struct record kit_dropped(struct gtrid gtrid, uint64_t running_ms)
{
    struct record record = {.kind = RECORD_DROPPED};
    record.as.dropped.gtrid = gtrid;
    record.as.dropped.running_ms = running_ms;
    (void)snprintf(record.as.dropped.queue, sizeof record.as.dropped.queue, "%s", "orders");
    (void)snprintf(record.as.dropped.comment, sizeof record.as.dropped.comment, "%s",
                   "sold out for good");
    return record;
}

struct record kit_refused(struct gtrid gtrid)
{
    struct record record = {.kind = RECORD_REFUSED};
    record.as.refused.gtrid = gtrid;
    record.as.refused.failure.reason = REASON_CONSTRAINT;
    (void)snprintf(record.as.refused.failure.sqlstate, sizeof record.as.refused.failure.sqlstate,
                   "%s", "23505");
    record.as.refused.attempts = 2;
    (void)snprintf(record.as.refused.participant, PARTICIPANT_NAME_SIZE, "%s", "order");
    return record;
}

struct record kit_release(const char *participant)
{
    struct record record = {.kind = RECORD_RELEASE};
    (void)snprintf(record.as.release.participant, sizeof record.as.release.participant, "%s",
                   participant);
    return record;
}

uint64_t kit_append(struct journal_kit *kit, struct record record)
{
    struct journal_head head = {0};
    struct error error = {0};
    bool appended = journal_append(kit->journal, KIT_EPOCH, &record, 1, &head, &error);
    record_done(&record);
    assert_success(appended, &error);
    return head.number;
}

void kit_finished(struct journal_kit *kit, uint64_t sequence, const char *key, uint64_t running_ms)
{
    (void)kit_append(kit, kit_commit(kit_gtrid(KIT_EPOCH, sequence), key));
    (void)kit_append(kit, kit_end(kit_gtrid(KIT_EPOCH, sequence), running_ms));
}

size_t kit_trim_all(struct journal_kit *kit, uint64_t now_running_ms, size_t slice_records)
{
    struct journal_trim trim = {.epoch = KIT_EPOCH,
                                .now_running_ms = now_running_ms,
                                .swept_number = UINT64_MAX,
                                .slice_records = slice_records};
    struct journal_head head;
    struct journal_floor floor = journal_state(kit->journal)->floor;
    struct error error = {0};
    bool more = true;
    size_t moved = 0;
    for (size_t slices = 0; more; slices++) {
        assert_true(slices < 10000);
        uint64_t first_number = floor.first_number;
        assert_success(journal_trim(kit->journal, &trim, &head, &floor, &more, &error), &error);
        moved += floor.first_number != first_number;
    }
    return moved;
}

static bool add_live_text(void *user, uint64_t number, const struct record *record)
{
    char **text = user;
    char *longer = NULL;
    struct gtrid gtrid = {0};
    const char *participant = "";
    (void)number;
    switch (record->kind) {
    case RECORD_COMMIT:
        gtrid = record->as.commit.gtrid;
        break;
    case RECORD_END:
        gtrid = record->as.end.gtrid;
        break;
    case RECORD_ACCEPT:
        gtrid = record->as.accept.gtrid;
        break;
    case RECORD_REFUSED:
        gtrid = record->as.refused.gtrid;
        break;
    case RECORD_REQUEUED:
        gtrid = record->as.requeued.gtrid;
        break;
    case RECORD_DROPPED:
        gtrid = record->as.dropped.gtrid;
        break;
    case RECORD_HEURISTIC:
        gtrid = record->as.heuristic.gid.gtrid;
        participant = record->as.heuristic.gid.participant;
        break;
    case RECORD_RESOLVED:
        gtrid = record->as.resolved.gtrid;
        participant = record->as.resolved.participant;
        break;
    default:
        break;
    }
    assert_true(asprintf(&longer, "%s%s%s %llu.%llu%s%s", *text, **text == 0 ? "" : ",",
                         record_kind_text(record->kind), (unsigned long long)gtrid.epoch,
                         (unsigned long long)gtrid.sequence, *participant == 0 ? "" : "/",
                         participant) >= 0);
    free(*text);
    *text = longer;
    return true;
}

char *kit_live_text(struct journal_kit *kit)
{
    struct error error = {0};
    char *text = alloc_string("");
    assert_success(journal_replay(kit->journal, add_live_text, &text, &error), &error);
    return text;
}

void kit_sql(struct journal_kit *kit, const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;
    assert_null(kit->journal);
    assert_int_equal(sqlite3_open(kit->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) {
        fail_msg("%s: %s", sql, message);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* ---- files ---- */

void kit_empty(const struct journal_kit *kit)
{
    char path[512];
    DIR *listing = opendir(kit->folder);
    assert_non_null(listing);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        (void)snprintf(path, sizeof path, "%s/%s", kit->folder, entry->d_name);
        if (entry->d_name[0] != '.') {
            assert_int_equal(unlink(path), 0);
        }
    }
    assert_int_equal(closedir(listing), 0);
}

static void copy_file(const char *from_path, const char *to_path)
{
    struct stat status;
    int from = open(from_path, O_RDONLY | O_CLOEXEC);
    int to = open(to_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(from >= 0 && to >= 0);
    assert_int_equal(fstat(from, &status), 0);
    assert_int_equal(sendfile(to, from, NULL, (size_t)status.st_size), status.st_size);
    assert_int_equal(close(from), 0);
    assert_int_equal(close(to), 0);
}

void kit_copy(const struct journal_kit *kit, const struct journal_kit *template)
{
    static const char *const suffixes[] = {"", "-wal"};
    char from[160], to[160];
    kit_empty(kit);
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        (void)snprintf(from, sizeof from, "%s%s", template->path, suffixes[i]);
        (void)snprintf(to, sizeof to, "%s%s", kit->path, suffixes[i]);
        if (access(from, F_OK) == 0) {
            copy_file(from, to);
        }
    }
}
