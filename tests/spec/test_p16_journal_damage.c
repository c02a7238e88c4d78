/*
 * test_p16_journal_damage.c - P-16: a gap or a mismatch refuses to start and says where; a torn last record
 * is not written. From a damaged journal nothing is presumed.
 */
#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/journal_kit.h"

#define WAL_HEADER_BYTES 32
#define FRAME_BYTES      (24 + 4096)

static int set_up(void **state)
{
    struct journal_kit *kit = calloc(1, sizeof *kit);
    kit_init(kit, false);
    *state = kit;
    return 0;
}

static int tear_down(void **state)
{
    kit_done(*state);
    free(*state);
    return 0;
}

/* 1 EPOCH, 2 COMMIT, 3 END, 4 COMMIT, 5 HEURISTIC, 6 COMMIT */
static void fill(struct journal_kit *kit)
{
    kit_start(kit);
    kit_finished(kit, 1, "key-1", 10);
    (void)kit_append(kit, kit_commit(kit_gtrid(KIT_EPOCH, 2), "key-2"));
    (void)kit_append(kit, kit_heuristic(kit_gtrid(KIT_EPOCH, 2), "order"));
    (void)kit_append(kit, kit_commit(kit_gtrid(KIT_EPOCH, 3), NULL));
}

static void assert_refused(struct journal_kit *kit, enum error_kind kind, const char *text)
{
    struct error error = {0};
    assert_false(kit_open(kit, &error));
    assert_int_equal(error.kind, kind);
    if (strstr(error.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.text, text);
    }
}

/* Runs the SQL on a good journal and expects that it is refused with this text, by verify as well. */
static void assert_sql_refused(const char *sql, const char *text)
{
    struct journal_kit kit;
    struct journal_report report;
    struct error error = {0};
    kit_init(&kit, false);
    fill(&kit);
    kit_close(&kit);
    kit_sql(&kit, sql);
    assert_refused(&kit, ERROR_DAMAGED, text);
    assert_success(journal_verify(kit.path, &report, &error), &error);
    assert_true(report.damaged);
    assert_non_null(strstr(report.damage, text));
    journal_report_done(&report);
    kit_done(&kit);
}

/* A record changed anywhere but in the future is refused, naming its number. */
static void test_p16_changed_record_is_refused_by_number(void **state)
{
    (void)state;
    assert_sql_refused("UPDATE record SET body = CAST(body || x'00' AS BLOB) WHERE number = 3",
                       "record 3:");
    assert_sql_refused("UPDATE record SET kind = 9 WHERE number = 4", "record 4:");
    assert_sql_refused("UPDATE record SET hash = zeroblob(32) WHERE number = 2", "record 2:");
    assert_sql_refused("UPDATE record SET hash = x'00' WHERE number = 6", "record 6:");
    assert_sql_refused("UPDATE record SET body = (SELECT body FROM record WHERE number = 6)"
                       " WHERE number = 4",
                       "record 4:");
}

/* A gap in the numbering is refused, in the middle and at the front. */
static void test_p16_gap_is_refused(void **state)
{
    (void)state;
    assert_sql_refused("DELETE FROM record WHERE number = 3", "record 3: missing");
    assert_sql_refused("DELETE FROM record WHERE number = 1", "record 1: missing");
    assert_sql_refused("UPDATE record SET number = 20 WHERE number = 6", "record 6: missing");
}

/* The index must agree with the records: a COMMIT that it hides would be presumed aborted. */
static void test_p16_index_that_disagrees_is_refused(void **state)
{
    (void)state;
    assert_sql_refused("DELETE FROM txn WHERE sequence = 2", "record 4:");
    assert_sql_refused("UPDATE txn SET end_number = 3 WHERE sequence = 3", "ended transactions");
    assert_sql_refused("UPDATE txn SET end_number = NULL WHERE sequence = 1", "record 3:");
    assert_sql_refused("UPDATE txn SET commit_number = 6 WHERE sequence = 2", "record 4:");
    assert_sql_refused("UPDATE txn SET key_hash = 1 WHERE sequence = 1", "record 2:");
    assert_sql_refused("UPDATE txn SET key_hash = 1 WHERE sequence = 3", "record 6:");
    assert_sql_refused("INSERT INTO txn VALUES(9, 9, 2, NULL, NULL, NULL, 0)", "transactions");
    assert_sql_refused("DELETE FROM note", "record 5:");
    assert_sql_refused("UPDATE note SET participant = 'payment'", "record 5:");
    assert_sql_refused("UPDATE note SET is_open = 0", "HEURISTIC");
    assert_sql_refused("UPDATE txn SET open_notes = 0", "HEURISTIC");
    assert_sql_refused("INSERT INTO note VALUES(1, 2, 6, 7, 'order', 0)", "notes");
}

/* The meta row is checked against its seal and against the records. */
static void test_p16_meta_row_that_disagrees_is_refused(void **state)
{
    (void)state;
    assert_sql_refused("UPDATE meta SET id = zeroblob(16)", "meta row");
    assert_sql_refused("UPDATE meta SET is_copy = 1", "meta row");
    assert_sql_refused("UPDATE meta SET first_number = 2", "meta row");
    assert_sql_refused("DELETE FROM meta", "meta row");
}

/* A table that is gone is not an empty table. */
static void test_p16_missing_table_is_refused(void **state)
{
    struct journal_kit *kit = *state;
    struct error error = {0};
    fill(kit);
    kit_close(kit);
    kit_sql(kit, "DROP TABLE note");
    assert_false(kit_open(kit, &error));
}

/* A journal of a newer format is refused with a message that says so, and is left as it was. */
static void test_p16_newer_format_is_refused(void **state)
{
    struct journal_kit *kit = *state;
    struct error error = {0};
    fill(kit);
    kit_close(kit);
    kit_sql(kit, "PRAGMA user_version = 3");
    assert_refused(kit, ERROR_VERSION, "format 3");
    kit_sql(kit, "PRAGMA user_version = 2");
    assert_success(kit_open(kit, &error), &error);
}

/* A journal of format 1, which has neither accepted requests nor COMMITs that name one, is read as it is; written to, it is one of
 * format 2, so that an older version of Assent does not take it for its own. */
static void test_p16_older_format_is_read_and_marked(void **state)
{
    struct journal_kit *kit = *state;
    struct error error = {0};
    fill(kit);
    kit_close(kit);
    kit_sql(kit, "PRAGMA user_version = 1");
    assert_success(kit_open(kit, &error), &error);
    (void)kit_append(kit, kit_accept(kit_gtrid(KIT_EPOCH, 900), "k"));
    kit_close(kit);
    kit_sql(kit, "SELECT CASE user_version WHEN 2 THEN 1 ELSE abs(-9223372036854775807 - 1) END"
                 " FROM pragma_user_version"); /* an error unless it is 2 */
    assert_success(kit_open(kit, &error), &error);
}

/* Another program's database is not taken for a journal, nor is a file that is none at all. */
static void test_p16_foreign_file_is_refused(void **state)
{
    struct journal_kit *kit = *state;
    kit_sql(kit, "CREATE TABLE t(x)");
    assert_refused(kit, ERROR_VERSION, "no Assent journal");
    assert_int_equal(unlink(kit->path), 0);
    FILE *file = fopen(kit->path, "w");
    for (int i = 0; i < 2000; i++) {
        assert_true(fputs("this is no database\n", file) >= 0);
    }
    assert_int_equal(fclose(file), 0);
    assert_refused(kit, ERROR_DAMAGED, "not a database");
}

/* Without leave to create, a missing or empty file is no journal; with it, an empty one becomes one. */
static void test_p16_missing_journal_needs_leave_to_create(void **state)
{
    struct journal_kit *kit = *state;
    struct error error = {0};
    kit->options.create = false;
    assert_refused(kit, ERROR_NOT_FOUND, "no journal");
    assert_int_equal(close(open(kit->path, O_CREAT | O_WRONLY, 0600)), 0);
    assert_refused(kit, ERROR_NOT_FOUND, "no journal");
    kit->options.create = true;
    assert_success(kit_open(kit, &error), &error);
}

/* A -wal file whose journal is gone is not silently dropped for a new journal. */
static void test_p16_orphaned_log_is_refused(void **state)
{
    struct journal_kit *kit = *state;
    char wal_path[128];
    (void)snprintf(wal_path, sizeof wal_path, "%s-wal", kit->path);
    FILE *file = fopen(wal_path, "w");
    assert_true(fputs("decisions", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_refused(kit, ERROR_DAMAGED, "-wal");
}

/* ---- the write-ahead log ---- */

struct bytes {
    uint8_t *at;
    size_t size;
};

static struct bytes read_file(const char *path)
{
    struct stat status;
    int descriptor = open(path, O_RDONLY);
    assert_true(descriptor >= 0);
    assert_int_equal(fstat(descriptor, &status), 0);
    struct bytes bytes = {.at = malloc((size_t)status.st_size + 1), .size = (size_t)status.st_size};
    assert_int_equal(read(descriptor, bytes.at, bytes.size), bytes.size);
    (void)close(descriptor);
    return bytes;
}

static void write_file(const char *path, const uint8_t *bytes, size_t size)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, bytes, size), size);
    assert_int_equal(close(descriptor), 0);
}

/* A journal as a killed process leaves it: COMMITs 1..count, one sync each, all in the log. */
struct wreck {
    struct journal_kit *kit;
    char wal_path[128];
    struct bytes db;
    struct bytes wal;
};

static void make_wreck(struct journal_kit *kit, uint64_t count, struct wreck *ret_wreck)
{
    kit_start(kit);
    kit_close(kit);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct error error;
        if (!kit_open(kit, &error)) {
            _exit(1);
        }
        for (uint64_t sequence = 1; sequence <= count; sequence++) {
            (void)kit_append(kit, kit_commit(kit_gtrid(KIT_EPOCH, sequence), NULL));
        }
        _exit(0); /* without closing, like a kill */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ret_wreck->kit = kit;
    (void)snprintf(ret_wreck->wal_path, sizeof ret_wreck->wal_path, "%s-wal", kit->path);
    ret_wreck->db = read_file(kit->path);
    ret_wreck->wal = read_file(ret_wreck->wal_path);
    assert_true(ret_wreck->wal.size > WAL_HEADER_BYTES + FRAME_BYTES);
}

static void restore_wreck(const struct wreck *wreck, size_t wal_bytes)
{
    char shm_path[128];
    (void)snprintf(shm_path, sizeof shm_path, "%s-shm", wreck->kit->path);
    (void)unlink(shm_path);
    write_file(wreck->kit->path, wreck->db.at, wreck->db.size);
    write_file(wreck->wal_path, wreck->wal.at, wal_bytes);
}

static void free_wreck(struct wreck *wreck)
{
    free(wreck->db.at);
    free(wreck->wal.at);
}

/* A log cut off at any length opens, with the transactions that are whole; more log never means fewer. */
static void test_p16_torn_log_tail_is_not_written(void **state)
{
    struct wreck wreck;
    struct error error = {0};
    uint64_t highest = 0;
    make_wreck(*state, 4, &wreck);
    for (size_t size = 0; size <= wreck.wal.size; size += size == wreck.wal.size ? 1 : 1373) {
        restore_wreck(&wreck, size);
        assert_success(kit_open(wreck.kit, &error), &error);
        uint64_t head = journal_state(wreck.kit->journal)->head.number;
        assert_true(head >= 1 && head <= 5 && head >= highest);
        highest = head;
        kit_close(wreck.kit);
        if (size + 1373 > wreck.wal.size && size < wreck.wal.size) {
            size = wreck.wal.size - 1373; /* the whole log comes last */
        }
    }
    assert_int_equal(highest, 5);
    free_wreck(&wreck);
}

static bool frame_commits(const struct wreck *wreck, size_t frame)
{
    const uint8_t *header = wreck->wal.at + WAL_HEADER_BYTES + frame * FRAME_BYTES;
    return (header[4] | header[5] | header[6] | header[7]) != 0;
}

/* A damaged frame with synced transactions after it is refused, wherever in the frame the damage is; SQLite
 * alone would silently drop everything from there on. In the last transaction it cannot be told from a torn
 * tail and is not written. */
static void test_p16_damaged_log_frame_is_refused(void **state)
{
    static const size_t places[] = {20, 24, 24 + 2000, FRAME_BYTES - 1};
    struct wreck wreck;
    struct error error = {0};
    size_t refused = 0;
    size_t accepted = 0;
    make_wreck(*state, 4, &wreck);
    size_t frames = (wreck.wal.size - WAL_HEADER_BYTES) / FRAME_BYTES;
    size_t last_first = frames - 1; /* first frame of the last transaction */
    while (last_first > 0 && !frame_commits(&wreck, last_first - 1)) {
        last_first--;
    }
    assert_true(last_first > 3);
    for (size_t frame = 0; frame < frames; frame++) {
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
            uint8_t *byte = wreck.wal.at + WAL_HEADER_BYTES + frame * FRAME_BYTES + places[i];
            *byte ^= 0x40;
            restore_wreck(&wreck, wreck.wal.size);
            *byte ^= 0x40;
            if (frame < last_first) {
                assert_refused(wreck.kit, ERROR_DAMAGED, "-wal");
                refused++;
            } else {
                assert_success(kit_open(wreck.kit, &error), &error);
                assert_int_equal(journal_state(wreck.kit->journal)->head.number, 4);
                kit_close(wreck.kit);
                accepted++;
            }
        }
    }
    assert_true(refused >= 12 && accepted >= 4);
    free_wreck(&wreck);
}

/* A log whose header is damaged is refused: SQLite would take it for empty. */
static void test_p16_damaged_log_header_is_refused(void **state)
{
    struct wreck wreck;
    make_wreck(*state, 2, &wreck);
    for (size_t at = 0; at < WAL_HEADER_BYTES; at += 5) {
        wreck.wal.at[at] ^= 0x10;
        restore_wreck(&wreck, wreck.wal.size);
        wreck.wal.at[at] ^= 0x10;
        assert_refused(wreck.kit, ERROR_DAMAGED, "-wal");
    }
    free_wreck(&wreck);
}

/* A byte changed anywhere in the journal's file either makes it refuse, or changed nothing that counts: the
 * same head, the same live records, the same answers. */
static void test_p16_changed_byte_never_changes_an_answer(void **state)
{
    struct journal_kit *kit = *state;
    struct error error = {0};
    size_t refused = 0;
    fill(kit);
    kit_reopen(kit);
    struct journal_head head = journal_state(kit->journal)->head;
    char *live = kit_live_text(kit);
    kit_close(kit);
    struct bytes db = read_file(kit->path);
    for (size_t at = 0; at < db.size;
         at += at < 200 || at % 4096 < 16 || at % 4096 > 3000 ? 7 : 211) {
        db.at[at] ^= 0x21;
        write_file(kit->path, db.at, db.size);
        db.at[at] ^= 0x21;
        if (!kit_open(kit, &error)) {
            refused++;
            kit->journal = NULL;
            continue;
        }
        char *now = kit_live_text(kit);
        struct journal_entry entry;
        bool found = false;
        assert_memory_equal(&journal_state(kit->journal)->head, &head, sizeof head);
        assert_string_equal(now, live);
        assert_success(journal_find_key(kit->journal, "key-1", 5, &found, &entry, &error), &error);
        assert_true(found && entry.commit.as.commit.gtrid.sequence == 1);
        journal_entry_done(&entry);
        free(now);
        kit_close(kit);
    }
    assert_true(refused > 20);
    free(db.at);
    free(live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define DAMAGE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
        DAMAGE_TEST(test_p16_changed_record_is_refused_by_number),
        DAMAGE_TEST(test_p16_gap_is_refused),
        DAMAGE_TEST(test_p16_index_that_disagrees_is_refused),
        DAMAGE_TEST(test_p16_meta_row_that_disagrees_is_refused),
        DAMAGE_TEST(test_p16_missing_table_is_refused),
        DAMAGE_TEST(test_p16_newer_format_is_refused),
        DAMAGE_TEST(test_p16_older_format_is_read_and_marked),
        DAMAGE_TEST(test_p16_foreign_file_is_refused),
        DAMAGE_TEST(test_p16_missing_journal_needs_leave_to_create),
        DAMAGE_TEST(test_p16_orphaned_log_is_refused),
        DAMAGE_TEST(test_p16_torn_log_tail_is_not_written),
        DAMAGE_TEST(test_p16_damaged_log_frame_is_refused),
        DAMAGE_TEST(test_p16_damaged_log_header_is_refused),
        DAMAGE_TEST(test_p16_changed_byte_never_changes_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
