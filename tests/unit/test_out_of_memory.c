/*
 * test_out_of_memory.c - the n-th allocation fails, once or for ever, for every n until the work gets through (R1, A1).
 *
 * Our own allocations end the process (alloc.h), a library's give an error: either way nothing may be half done. So each n has
 * a process of its own, which may refuse, succeed or end by a CHECK, and never by anything else; and what it acknowledged
 * before must be in the journal afterwards.
 *
 * Everything else that allocates has the stricter loop of tests/lib/failing_loop.h: test_out_of_memory_*.c beside this file.
 */
#include "tests/lib/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/codec.h"
#include "coordinator/http_submit.h"
#include "tests/lib/failing_malloc.h"
#include "tests/lib/failing_vfs.h"
#include "tests/lib/journal_kit.h"

#define N_MAX    5000
#define BATCHES  3
#define SEED_MAX 4096

enum child_code { CHILD_DONE = 0, CHILD_REFUSED = 10, CHILD_UNTOUCHED, CHILD_BROKEN };

/* The child's exit code, or -1 for an end by CHECK. Anything else fails the test. */
static int child_end(pid_t child, size_t n)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        if (WTERMSIG(status) != SIGABRT) {
            fail_msg("allocation %zu: ended by signal %d", n, WTERMSIG(status));
        }
        return -1;
    }
    assert_true(WEXITSTATUS(status) == CHILD_DONE || WEXITSTATUS(status) == CHILD_REFUSED ||
                WEXITSTATUS(status) == CHILD_UNTOUCHED);
    return WEXITSTATUS(status);
}

/* For the child: a CHECK that fails says so on standard error, thousands of times here; and cmocka's handlers would make an
 * exit of every signal. */
static void child_begin(void)
{
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        (void)signal(signals[i], SIG_DFL);
    }
    if (freopen("/dev/null", "we", stderr) == NULL) {
        _exit(CHILD_BROKEN);
    }
}

/* ---- the journal ---- */

/* Opens, appends and trims; says in shared memory how far it was acknowledged. */
static int journal_work(struct journal_kit *kit, uint64_t *acknowledged)
{
    struct error error;
    if (!kit_open(kit, &error)) {
        return CHILD_REFUSED;
    }
    for (uint64_t sequence = 1; sequence <= BATCHES; sequence++) {
        struct record pair[2] = {kit_commit(kit_gtrid(KIT_EPOCH, sequence), NULL),
                                 kit_end(kit_gtrid(KIT_EPOCH, sequence), sequence)};
        struct journal_head head;
        if (!journal_append(kit->journal, KIT_EPOCH, pair, 2, &head, &error)) {
            return CHILD_REFUSED;
        }
        __atomic_store_n(acknowledged, sequence, __ATOMIC_SEQ_CST); /* before the process may end */
        record_done(&pair[0]);
    }
    struct journal_trim bounds = {.epoch = KIT_EPOCH,
                                  .now_running_ms = BATCHES,
                                  .retention_ms = BATCHES,
                                  .swept_number = UINT64_MAX,
                                  .slice_records = 100};
    struct journal_head head;
    struct journal_floor floor;
    bool more = false;
    return journal_trim(kit->journal, &bounds, &head, &floor, &more, &error) ? CHILD_DONE
                                                                             : CHILD_REFUSED;
}

static void assert_journal_has(struct journal_kit *kit, uint64_t acknowledged)
{
    struct error error = {0};
    assert_success(kit_open(kit, &error), &error);
    for (uint64_t sequence = 1; sequence <= BATCHES; sequence++) {
        struct gtrid gtrid = kit_gtrid(KIT_EPOCH, sequence);
        struct journal_entry entry;
        bool found = false;
        assert_success(journal_find_gtrid(kit->journal, &gtrid, &found, &entry, &error), &error);
        assert_true(found || sequence > acknowledged);
        assert_true(!found || sequence <= acknowledged + 1);
        if (found) {
            assert_true(entry.ended); /* a batch is whole */
            journal_entry_done(&entry);
        }
    }
    kit_close(kit);
}

static void copy_file(const char *from_path, const char *to_path)
{
    int from = open(from_path, O_RDONLY | O_CLOEXEC);
    int to = open(to_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    struct stat status = {0};
    assert_true(from >= 0 && to >= 0);
    assert_int_equal(fstat(from, &status), 0);
    assert_int_equal(sendfile(to, from, NULL, (size_t)status.st_size), status.st_size);
    assert_int_equal(close(from), 0);
    assert_int_equal(close(to), 0);
}

static bool journal_with_failure(const char *template_path, size_t n, bool for_ever)
{
    struct journal_kit kit;
    uint64_t *acknowledged =
        mmap(NULL, sizeof *acknowledged, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(acknowledged, MAP_FAILED);
    kit_init(&kit, false);
    copy_file(template_path, kit.path);
    pid_t child = fork();
    if (child == 0) {
        child_begin();
        failing_malloc_arm(n, for_ever);
        int code = journal_work(&kit, acknowledged);
        failing_malloc_disarm();
        _exit(failing_malloc_struck() ? code : CHILD_UNTOUCHED);
    }
    int code = child_end(child, n);
    assert_journal_has(&kit, *acknowledged);
    kit_done(&kit);
    (void)munmap(acknowledged, sizeof *acknowledged);
    return code != CHILD_UNTOUCHED;
}

/* Whatever allocation fails: the journal opens again, holds what was acknowledged, and no half of a batch (S1, D1). */
static void test_journal_allocation_fails_nothing_is_lost(void **state)
{
    (void)state;
    struct journal_kit template;
    /* Processes die here, not the machine: the disk need not be waited for. */
    failing_vfs_install();
    failing_vfs_arm(FAILING_SYNC, 1, SQLITE_OK, true);
    kit_init(&template, false);
    kit_start(&template);
    kit_close(&template);
    for (int for_ever = 0; for_ever < 2; for_ever++) {
        size_t n = 1;
        while (journal_with_failure(template.path, n, for_ever != 0)) {
            n++;
            assert_true(n < N_MAX);
        }
        print_message("%zu allocations of the journal failed in turn\n", n - 1);
        assert_true(n > 100);
    }
    kit_done(&template);
}

/* ---- what comes from outside ---- */

typedef bool (*decoder)(const uint8_t *bytes, size_t size_bytes);

static bool decode_message(const uint8_t *bytes, size_t size_bytes)
{
    struct message message;
    struct error error;
    size_t used = 0;
    bool taken = codec_decode_message(bytes, size_bytes, &message, &used, &error);
    if (taken) {
        message_done(&message);
    }
    return taken;
}

static bool decode_submission(const uint8_t *bytes, size_t size_bytes)
{
    static const struct http_limits limits = {.body_bytes = 1 << 20,
                                              .branches = 4,
                                              .statements = 8,
                                              .timeout_default_ms = 5000,
                                              .timeout_max_ms = 60000};
    struct submission submission;
    struct problem problem = {0};
    bool taken = submit_parse(&limits, NULL, bytes, size_bytes, &submission, &problem);
    if (taken) {
        submission_done(&submission);
    }
    return taken;
}

static bool decode_with_failure(decoder decode, const uint8_t *bytes, size_t size_bytes, size_t n,
                                bool for_ever)
{
    pid_t child = fork();
    if (child == 0) {
        child_begin();
        failing_malloc_arm(n, for_ever);
        bool taken = decode(bytes, size_bytes);
        failing_malloc_disarm();
        if (!failing_malloc_struck()) {
            _exit(CHILD_UNTOUCHED);
        }
        _exit(taken ? CHILD_DONE : CHILD_REFUSED);
    }
    return child_end(child, n) != CHILD_UNTOUCHED;
}

static size_t decode_folder(const char *name, decoder decode)
{
    char folder[512], path[1024];
    const char *source = getenv("ASSENT_SOURCE_DIR");
    (void)snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/%s", source == NULL ? "." : source,
                   name);
    DIR *listing = opendir(folder);
    assert_non_null(listing);
    size_t struck = 0;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        static uint8_t bytes[SEED_MAX];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "re");
        if (file == NULL) {
            continue;
        }
        size_t size_bytes = fread(bytes, 1, sizeof bytes, file);
        assert_int_equal(fclose(file), 0);
        for (int for_ever = 0; for_ever < 2; for_ever++) {
            size_t n = 1;
            for (; decode_with_failure(decode, bytes, size_bytes, n, for_ever != 0); n++) {
                struck++;
                assert_true(n < N_MAX);
            }
        }
    }
    (void)closedir(listing);
    return struck;
}

/* A message or a request that meets the end of memory is refused, or ends the process by a CHECK. */
static void test_decoders_allocation_fails_end_cleanly(void **state)
{
    (void)state;
    size_t messages = decode_folder("message", decode_message);
    size_t requests = decode_folder("http_json", decode_submission);
    print_message("%zu and %zu allocations of the decoders failed in turn\n", messages, requests);
    assert_true(messages > 0 && requests > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journal_allocation_fails_nothing_is_lost),
        cmocka_unit_test(test_decoders_allocation_fails_end_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
