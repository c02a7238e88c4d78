/*
 * test_p16_journal_space.c - P-16: space for finishing decided work is kept beforehand; when only the
 * reserve is left, new work is refused, and taken again when space is back.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recovery/journal_files.h"
#include "tests/lib/journal_kit.h"

#define RESERVE_BYTES (1 << 20)

/* ---- the thresholds, on a file system whose free space the test says ---- */

static uint64_t free_now;
static bool free_is_known;

static bool read_free_fake(const struct journal_space *space, uint64_t *ret_free_bytes)
{
    (void)space;
    *ret_free_bytes = free_now;
    return free_is_known;
}

static off_t reserve_size(const struct journal_space *space)
{
    struct stat status = {0};
    (void)stat(space->reserve_path, &status);
    return status.st_size;
}

/* The reserve is given back when the disk is nearly full and taken again when there is room for it and more. */
static void test_p16_reserve_is_given_and_taken(void **state)
{
    struct journal_kit kit;
    struct journal_space space;
    (void)state;
    kit_init(&kit, false);
    journal_space_init(&space, kit.path, RESERVE_BYTES);
    space.read_free = read_free_fake;
    free_is_known = true;

    free_now = 100 << 20;
    assert_true(journal_space_check(&space)); /* takes it */
    assert_int_equal(reserve_size(&space), RESERVE_BYTES);
    free_now = RESERVE_BYTES / 4;
    assert_true(journal_space_check(&space)); /* at the threshold still good */
    free_now = RESERVE_BYTES / 4 - 1;
    assert_false(journal_space_check(&space)); /* gives it back, refuses */
    assert_int_equal(reserve_size(&space), 0);
    free_now += RESERVE_BYTES;                 /* which is what giving it back brings */
    assert_false(journal_space_check(&space)); /* does not flap */
    assert_int_equal(reserve_size(&space), 0);
    free_now = RESERVE_BYTES + RESERVE_BYTES / 2;
    assert_true(journal_space_check(&space)); /* takes it again */
    assert_int_equal(reserve_size(&space), RESERVE_BYTES);

    journal_space_done(&space);
    kit_done(&kit);
}

/* Where the free space cannot be read, all stays as it was. */
static void test_p16_unknown_free_space_changes_nothing(void **state)
{
    struct journal_kit kit;
    struct journal_space space;
    (void)state;
    kit_init(&kit, false);
    journal_space_init(&space, kit.path, RESERVE_BYTES);
    space.read_free = read_free_fake;
    free_is_known = false;
    assert_false(journal_space_check(&space));
    free_is_known = true;
    free_now = 100 << 20;
    assert_true(journal_space_check(&space));
    free_is_known = false;
    assert_true(journal_space_check(&space));
    journal_space_done(&space);
    kit_done(&kit);
}

/* A reserve left by the previous process is its successor's. */
static void test_p16_reserve_outlives_the_process(void **state)
{
    struct journal_kit kit;
    struct journal_space space;
    (void)state;
    kit_init(&kit, false);
    for (int lives = 0; lives < 2; lives++) {
        journal_space_init(&space, kit.path, RESERVE_BYTES);
        assert_int_equal(space.reserve_held, lives > 0);
        space.read_free = read_free_fake;
        free_is_known = true;
        free_now = lives > 0 ? RESERVE_BYTES : 100 << 20; /* too little to take it anew */
        assert_true(journal_space_check(&space));
        journal_space_done(&space);
    }
    kit_done(&kit);
}

/* ---- a disk that is really full ---- */

static int set_up_tmpfs(void **state)
{
    struct journal_kit *kit = calloc(1, sizeof *kit);
    kit_init(kit, false);
    kit->options.reserve_bytes = RESERVE_BYTES;
    *state = kit;
    return 0;
}

static int tear_down_tmpfs(void **state)
{
    struct journal_kit *kit = *state;
    kit_close(kit);
    (void)umount2(kit->folder, MNT_DETACH);
    kit_done(kit);
    free(kit);
    return 0;
}

/* Fills the disk until nothing fits any more. */
static void fill_disk(const char *folder)
{
    static const char block[4096];
    char path[128];
    (void)snprintf(path, sizeof path, "%s/ballast", folder);
    int descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(descriptor >= 0);
    while (write(descriptor, block, sizeof block) == (ssize_t)sizeof block) {
    }
    assert_int_equal(errno, ENOSPC);
    (void)close(descriptor);
}

/* On a full disk the journal says so, can still write END and FLOOR and be opened again, and takes new work
 * when space is back. Needs to mount a small tmpfs. */
static void test_p16_full_disk_leaves_room_to_finish(void **state)
{
    struct journal_kit *kit = *state;
    char ballast[128];
    if (mount("tmpfs", kit->folder, "tmpfs", 0, "size=8m") != 0) {
        skip();
    }
    kit_start(kit);
    for (uint64_t sequence = 1; sequence <= 50; sequence++) {
        (void)kit_append(kit, kit_commit(kit_gtrid(KIT_EPOCH, sequence), NULL));
    }
    assert_true(journal_has_space(kit->journal));
    fill_disk(kit->folder);
    assert_false(journal_has_space(kit->journal)); /* the reserve is free for us now */
    for (uint64_t sequence = 1; sequence <= 25; sequence++) {
        (void)kit_append(kit, kit_end(kit_gtrid(KIT_EPOCH, sequence), sequence));
    }
    assert_true(kit_trim_all(kit, 1000, 100) > 0);
    kit_reopen(kit); /* a restart while the disk is full */
    for (uint64_t sequence = 26; sequence <= 50; sequence++) {
        (void)kit_append(kit, kit_end(kit_gtrid(KIT_EPOCH, sequence), sequence));
    }
    (void)snprintf(ballast, sizeof ballast, "%s/ballast", kit->folder);
    assert_int_equal(unlink(ballast), 0);
    assert_true(journal_has_space(kit->journal));
    kit_reopen(kit);
    char *live = kit_live_text(kit);
    assert_string_equal(live, "");
    free(live);
}

/* A disk that fills up while nobody looks: the append fails as out of space, and nothing that was
 * acknowledged is lost. */
static void test_p16_sudden_full_disk_loses_nothing(void **state)
{
    struct journal_kit *kit = *state;
    struct error error = {0};
    struct journal_head head;
    char ballast[128];
    bool appended = true;
    uint64_t acknowledged = 0;
    if (mount("tmpfs", kit->folder, "tmpfs", 0, "size=8m") != 0) {
        skip();
    }
    kit_start(kit);
    fill_disk(kit->folder);
    for (uint64_t sequence = 1; appended && sequence < 1000; sequence++) {
        struct record commit = kit_commit(kit_gtrid(KIT_EPOCH, sequence), NULL);
        appended = journal_append(kit->journal, KIT_EPOCH, &commit, 1, &head, &error);
        record_done(&commit);
        acknowledged = appended ? sequence : acknowledged;
    }
    assert_false(appended);
    assert_int_equal(error.kind, ERROR_NO_SPACE);
    (void)snprintf(ballast, sizeof ballast, "%s/ballast", kit->folder);
    assert_int_equal(unlink(ballast), 0);
    kit_reopen(kit);
    uint64_t found = journal_state(kit->journal)->head.number - 1;
    assert_true(found == acknowledged || found == acknowledged + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p16_reserve_is_given_and_taken),
        cmocka_unit_test(test_p16_unknown_free_space_changes_nothing),
        cmocka_unit_test(test_p16_reserve_outlives_the_process),
        cmocka_unit_test_setup_teardown(test_p16_full_disk_leaves_room_to_finish, set_up_tmpfs,
                                        tear_down_tmpfs),
        cmocka_unit_test_setup_teardown(test_p16_sudden_full_disk_loses_nothing, set_up_tmpfs,
                                        tear_down_tmpfs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
