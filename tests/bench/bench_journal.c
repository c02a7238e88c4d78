/*
 * bench_journal.c - how fast the journal appends, trims and starts. Run by hand:
 *
 *     bench_journal [FOLDER] [SECONDS]
 *
 * For batches of 1, 8 and 32 transactions (a COMMIT with two branches and a small result, and the END of an
 * earlier one): batches and records per second, time and CPU per batch. Then what trimming costs the journal
 * thread, and how long opening takes per retained record. The folder should be on the disk that counts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "recovery/journal.h"

#define BATCH_MAX 64

static struct journal *journal;
static struct journal_options options;
static uint64_t next_sequence = 1;

static void die(const char *what, const struct error *error)
{
    (void)fprintf(stderr, "bench_journal: %s: %s\n", what, error->text);
    exit(1);
}

static double cpu_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static struct gtrid make_gtrid(uint64_t sequence)
{
    return (struct gtrid){
        .journal = options.new_id, .epoch = 1, .epoch_nonce = 77, .sequence = sequence};
}

static void make_commit(uint64_t sequence, struct blob *results, struct record_branch branches[2],
                        struct record *ret_record)
{
    static const char *const names[] = {"order", "payment"};
    struct record record = {.kind = RECORD_COMMIT};
    struct record_commit *commit = &record.as.commit;
    commit->gtrid = make_gtrid(sequence);
    commit->wall_ms = 1700000000000u;
    commit->key_bytes =
        (size_t)snprintf(commit->key, sizeof commit->key, "checkout-%llu-%x",
                         (unsigned long long)sequence, (unsigned)(sequence * 2654435761u));
    commit->branch_count = 2;
    commit->branches = branches;
    for (size_t i = 0; i < 2; i++) {
        branches[i] = (struct record_branch){.results = results};
        branches[i].gid.gtrid = commit->gtrid;
        branches[i].gid.attempt = sequence * 0x9e3779b97f4a7c15u + i;
        (void)snprintf(branches[i].gid.participant, sizeof branches[i].gid.participant, "%s",
                       names[i]);
        branches[i].proof = (struct proof){.kind = PROOF_ROW,
                                           .timeline = 1,
                                           .database_oid = 16384,
                                           .xid8 = 700 + sequence,
                                           .system_id = 7301234567890123456u,
                                           .lsn = 0x16b3740 + sequence};
    }
    *ret_record = record;
}

/* COMMITs of `count` new transactions and ENDs of the `count` before them. */
static void append_batch(size_t count, struct blob *results)
{
    static struct record records[2 * BATCH_MAX];
    static struct record_branch branches[BATCH_MAX][2];
    struct journal_head head;
    struct error error;
    size_t filled = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t sequence = next_sequence++;
        make_commit(sequence, results, branches[i], &records[filled++]);
        if (sequence > BATCH_MAX) {
            records[filled] = (struct record){.kind = RECORD_END};
            records[filled].as.end.gtrid = make_gtrid(sequence - BATCH_MAX);
            records[filled++].as.end.running_ms = sequence - BATCH_MAX;
        }
    }
    if (!journal_append(journal, 1, records, filled, &head, &error)) {
        die("append", &error);
    }
}

static void bench_append(size_t count, double seconds, struct blob *results)
{
    uint64_t begin_ms = clock_monotonic_ms();
    uint64_t end_ms = begin_ms + (uint64_t)(seconds * 1000);
    double cpu_begin_us = cpu_us();
    size_t batches = 0;
    while (clock_monotonic_ms() < end_ms) {
        append_batch(count, results);
        batches++;
    }
    double elapsed_s = (double)(clock_monotonic_ms() - begin_ms) / 1e3;
    double cpu_batch_us = (cpu_us() - cpu_begin_us) / (double)batches;
    printf("batch of %2zu transactions: %7.0f batches/s %8.0f transactions/s %8.0f us/batch"
           " %7.1f us CPU/batch %6.1f us CPU/transaction\n",
           count, (double)batches / elapsed_s, (double)(batches * count) / elapsed_s,
           1e6 * elapsed_s / (double)batches, cpu_batch_us, cpu_batch_us / (double)count);
}

static void bench_trim(void)
{
    struct journal_trim trim = {.epoch = 1,
                                .now_running_ms = next_sequence / 2,
                                .swept_number = UINT64_MAX,
                                .slice_records = 1000};
    struct journal_head head;
    struct journal_floor floor = {0};
    struct error error;
    bool more = true;
    size_t slices = 0;
    uint64_t longest_ms = 0;
    uint64_t begin_ms = clock_monotonic_ms();
    while (more) {
        uint64_t slice_ms = clock_monotonic_ms();
        if (!journal_trim(journal, &trim, &head, &floor, &more, &error)) {
            die("trim", &error);
        }
        slice_ms = clock_monotonic_ms() - slice_ms;
        longest_ms = slice_ms > longest_ms ? slice_ms : longest_ms;
        slices++;
    }
    double elapsed_ms = (double)(clock_monotonic_ms() - begin_ms);
    printf("trim: %llu records in slices of 1000: %.2f ms/slice, longest %llu ms\n",
           (unsigned long long)floor.first_number - 1, elapsed_ms / (double)slices,
           (unsigned long long)longest_ms);
}

static void bench_open(void)
{
    struct error error;
    journal_close(journal);
    uint64_t begin_ms = clock_monotonic_ms();
    if (!journal_open_sqlite(&options, &journal, &error)) {
        die("open", &error);
    }
    double elapsed_ms = (double)(clock_monotonic_ms() - begin_ms);
    const struct journal_state *state = journal_state(journal);
    uint64_t records = state->head.number + 1 - state->floor.first_number;
    printf("open: %llu records checked in %.0f ms, %.2f us each\n", (unsigned long long)records,
           elapsed_ms, 1e3 * elapsed_ms / (double)records);
}

static void bench_find(void)
{
    struct error error;
    size_t count = 20000;
    size_t found_count = 0;
    uint64_t begin_ms = clock_monotonic_ms();
    for (size_t i = 0; i < count; i++) {
        struct gtrid gtrid = make_gtrid(1 + (i * 7919) % next_sequence);
        struct journal_entry entry;
        bool found;
        if (!journal_find_gtrid(journal, &gtrid, &found, &entry, &error)) {
            die("find", &error);
        }
        if (found) {
            found_count++;
            journal_entry_done(&entry);
        }
    }
    double elapsed_us = 1e3 * (double)(clock_monotonic_ms() - begin_ms);
    printf("find by gtrid: %.1f us each, %zu of %zu found\n", elapsed_us / (double)count,
           found_count, count);
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "/var/tmp";
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 5;
    char path[512];
    struct error error;
    struct journal_head head;
    (void)snprintf(path, sizeof path, "%s/bench-journal-%ld.db", folder, (long)getpid());
    options = (struct journal_options){.path = path, .create = true};
    memset(options.new_id.bytes, 0x42, JOURNAL_ID_BYTES);
    if (!journal_open_sqlite(&options, &journal, &error)) {
        die("open", &error);
    }
    struct record epoch = {.kind = RECORD_EPOCH, .as.epoch = {.epoch = 1, .nonce = 77}};
    if (!journal_append(journal, 1, &epoch, 1, &head, &error)) {
        die("append", &error);
    }
    static const char result[120] = "[{\"command\":\"INSERT 0 1\",\"rows_affected\":1}]";
    struct blob *results = blob_new(result, sizeof result);
    const size_t counts[] = {1, 8, 32};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        bench_append(counts[i], seconds, results);
    }
    bench_find();
    bench_open();
    bench_trim();
    bench_open();
    blob_free(results);
    journal_close(journal);
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock", ".reserve"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char file[600];
        (void)snprintf(file, sizeof file, "%s%s", path, suffixes[i]);
        (void)unlink(file);
    }
    return 0;
}
