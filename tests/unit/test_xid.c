/*
 * test_xid.c - identifiers: one value, one text, and nothing else is taken for ours (P-6, P-10).
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

#include "common/xid.h"

#define JOURNAL_TEXT "00112233445566778899aabbccddeeff"
#define GTRID_TEXT   JOURNAL_TEXT "-7-0123456789abcdef-42"
#define GID_TEXT     "assent:" GTRID_TEXT ":order:fedcba9876543210"

static struct gid sample_gid(void)
{
    struct gid gid = {
        .gtrid = {.epoch = 7, .epoch_nonce = 0x0123456789abcdef, .sequence = 42},
        .attempt = 0xfedcba9876543210,
        .participant = "order",
    };
    for (unsigned i = 0; i < JOURNAL_ID_BYTES; i++) {
        gid.gtrid.journal.bytes[i] = (uint8_t)(i * 0x11);
    }
    return gid;
}

/* The three texts look as documented in xid.h. */
static void test_xid_formatted_has_documented_shape(void **state)
{
    (void)state;
    struct gid gid = sample_gid();
    char journal[JOURNAL_ID_TEXT_SIZE];
    char gtrid[GTRID_TEXT_SIZE];
    char text[GID_TEXT_SIZE];
    journal_id_format(&gid.gtrid.journal, journal);
    gtrid_format(&gid.gtrid, gtrid);
    gid_format(&gid, text);
    assert_string_equal(journal, JOURNAL_TEXT);
    assert_string_equal(gtrid, GTRID_TEXT);
    assert_string_equal(text, GID_TEXT);
}

/* What was formatted parses to an equal value. */
static void test_xid_round_trip_is_equal(void **state)
{
    (void)state;
    struct gid gid = sample_gid();
    struct gid parsed;
    struct gtrid gtrid;
    struct journal_id journal;
    assert_true(gid_parse(GID_TEXT, &parsed));
    assert_true(gtrid_parse(GTRID_TEXT, &gtrid));
    assert_true(journal_id_parse(JOURNAL_TEXT, &journal));
    assert_true(gid_equal(&gid, &parsed));
    assert_true(gtrid_equal(&gid.gtrid, &gtrid));
    assert_true(journal_id_equal(&gid.gtrid.journal, &journal));
}

/* The largest possible gid still fits into what PostgreSQL accepts, and survives the round trip. */
static void test_gid_largest_fits_gidsize(void **state)
{
    (void)state;
    struct gid gid = sample_gid();
    memset(gid.gtrid.journal.bytes, 0xFF, sizeof gid.gtrid.journal.bytes);
    gid.gtrid.epoch = UINT64_MAX;
    gid.gtrid.epoch_nonce = UINT64_MAX;
    gid.gtrid.sequence = UINT64_MAX;
    gid.attempt = UINT64_MAX;
    memset(gid.participant, 'z', PARTICIPANT_NAME_SIZE - 1);
    gid.participant[PARTICIPANT_NAME_SIZE - 1] = '\0';
    char text[GID_TEXT_SIZE];
    struct gid parsed;
    gid_format(&gid, text);
    assert_true(strlen(text) < 200);
    assert_true(gid_parse(text, &parsed));
    assert_true(gid_equal(&gid, &parsed));
}

/* Zero is written as one digit and read back. */
static void test_gtrid_zero_numbers_round_trip(void **state)
{
    (void)state;
    struct gtrid gtrid = {.epoch = 0};
    char text[GTRID_TEXT_SIZE];
    gtrid_format(&gtrid, text);
    assert_string_equal(text, "00000000000000000000000000000000-0-0000000000000000-0");
    gtrid.epoch = 1;
    assert_true(gtrid_parse(text, &gtrid));
    assert_int_equal(gtrid.epoch, 0);
}

/* A text that no value has is refused, and the output stays untouched. */
static void test_gtrid_parse_other_text_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        JOURNAL_TEXT,
        JOURNAL_TEXT "-7-0123456789abcdef",
        JOURNAL_TEXT "-7-0123456789abcdef-",
        JOURNAL_TEXT "-07-0123456789abcdef-42",                   /* leading zero */
        JOURNAL_TEXT "-7-0123456789abcdef-042",                   /* leading zero */
        JOURNAL_TEXT "-7-0123456789abcdef-00",                    /* two zeros */
        JOURNAL_TEXT "-7-0123456789ABCDEF-42",                    /* upper case */
        "00112233445566778899AABBCCDDEEFF-7-0123456789abcdef-42", /* upper case */
        JOURNAL_TEXT "-7-123456789abcdef-42",                     /* short nonce */
        JOURNAL_TEXT "-7-00123456789abcdef-42",                   /* long nonce */
        JOURNAL_TEXT "0-7-0123456789abcdef-42",                   /* long identity */
        "0112233445566778899aabbccddeeff-7-0123456789abcdef-42",  /* short identity */
        JOURNAL_TEXT "-18446744073709551616-0123456789abcdef-1",  /* 2^64 */
        JOURNAL_TEXT "-1-0123456789abcdef-18446744073709551616",
        JOURNAL_TEXT "-1-0123456789abcdef-99999999999999999999999",
        JOURNAL_TEXT "--7-0123456789abcdef-42",
        JOURNAL_TEXT "-+7-0123456789abcdef-42",
        JOURNAL_TEXT "- 7-0123456789abcdef-42",
        " " GTRID_TEXT,
        GTRID_TEXT " ",
        GTRID_TEXT "\n",
        GTRID_TEXT "x",
        GTRID_TEXT "-",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct gtrid gtrid = {.sequence = 99};
        if (gtrid_parse(bad[i], &gtrid) || gtrid.sequence != 99) {
            fail_msg("accepted or touched the output for \"%s\"", bad[i]);
        }
    }
}

/* Every proper prefix of a gid is refused (and nothing is read beyond its end: the sanitizer
 * looks). */
static void test_gid_parse_every_prefix_is_refused(void **state)
{
    (void)state;
    const size_t length = strlen(GID_TEXT);
    for (size_t cut = 0; cut < length; cut++) {
        char text[GID_TEXT_SIZE];
        struct gid gid;
        memcpy(text, GID_TEXT, cut);
        text[cut] = '\0';
        assert_false(gid_parse(text, &gid));
    }
}

/* Replacing any one byte by one that is never allowed is refused. */
static void test_gid_parse_any_bad_byte_is_refused(void **state)
{
    (void)state;
    static const char intruders[] = "GZ @\n\x80\xff.";
    const size_t length = strlen(GID_TEXT);
    for (size_t place = 0; place < length; place++) {
        for (const char *intruder = intruders; *intruder != '\0'; intruder++) {
            char text[GID_TEXT_SIZE] = GID_TEXT;
            struct gid gid;
            text[place] = *intruder;
            assert_false(gid_parse(text, &gid));
        }
    }
}

/* A gid of somebody else, or one of ours with anything added, is not ours. */
static void test_gid_parse_foreign_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        GTRID_TEXT ":order:fedcba9876543210",
        "Assent:" GTRID_TEXT ":order:fedcba9876543210",
        "assent" GTRID_TEXT ":order:fedcba9876543210",
        "assent::" GTRID_TEXT ":order:fedcba9876543210",
        "myassent:" GTRID_TEXT ":order:fedcba9876543210",
        "assent:" GTRID_TEXT "::fedcba9876543210",
        "assent:" GTRID_TEXT ":Order:fedcba9876543210",
        "assent:" GTRID_TEXT ":1order:fedcba9876543210",
        "assent:" GTRID_TEXT ":order:fedcba987654321",
        "assent:" GTRID_TEXT ":order:fedcba98765432100",
        "assent:" GTRID_TEXT ":order:FEDCBA9876543210",
        GID_TEXT " ",
        GID_TEXT ":",
        "_1_gid_of_another_manager",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct gid gid = {.attempt = 99};
        if (gid_parse(bad[i], &gid) || gid.attempt != 99) {
            fail_msg("accepted or touched the output for \"%s\"", bad[i]);
        }
    }
}

/* A participant's name of 63 bytes is the longest, in the check and inside a gid. */
static void test_participant_name_length_is_limited(void **state)
{
    (void)state;
    char name[PARTICIPANT_NAME_SIZE + 1];
    char text[GID_TEXT_SIZE + 8];
    struct gid gid;
    memset(name, 'a', sizeof name);
    name[63] = '\0';
    assert_true(participant_name_valid(name));
    (void)snprintf(text, sizeof text, "assent:%s:%s:fedcba9876543210", GTRID_TEXT, name);
    assert_true(gid_parse(text, &gid));
    name[63] = 'a';
    name[64] = '\0';
    assert_false(participant_name_valid(name));
    (void)snprintf(text, sizeof text, "assent:%s:%s:fedcba9876543210", GTRID_TEXT, name);
    assert_false(gid_parse(text, &gid));
}

/* Names are lower case letters, digits, _ and -, and begin with a letter. */
static void test_participant_name_characters_are_limited(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "order", "order-2", "a_b", "z9"};
    static const char *const bad[] = {"", "1a", "-a", "_a", "A", "aB", "a.b", "a:b", "a b", "ä"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(participant_name_valid(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(participant_name_valid(bad[i]));
    }
}

/* Two values that differ in any one member are unequal and (here) hash apart. */
static void test_gtrid_differing_member_is_unequal(void **state)
{
    (void)state;
    const struct gtrid base = sample_gid().gtrid;
    struct gtrid others[4] = {base, base, base, base};
    others[0].journal.bytes[15] ^= 1;
    others[1].epoch++;
    others[2].epoch_nonce++;
    others[3].sequence++;
    for (size_t i = 0; i < 4; i++) {
        assert_false(gtrid_equal(&base, &others[i]));
        assert_true(gtrid_hash(&base) != gtrid_hash(&others[i]));
    }
    assert_true(gtrid_hash(&base) == gtrid_hash(&(struct gtrid){base.journal, base.epoch,
                                                                base.epoch_nonce, base.sequence}));
}

/* Attempt and participant are part of a gid's identity (P-20). */
static void test_gid_other_attempt_or_participant_is_unequal(void **state)
{
    (void)state;
    const struct gid base = sample_gid();
    struct gid other = base;
    other.attempt++;
    assert_false(gid_equal(&base, &other));
    other = base;
    other.participant[0] = 'p';
    assert_false(gid_equal(&base, &other));
}

/* A queue's name has 1 to 64 of the documented characters, and nothing else. */
static void test_queue_name_length_and_characters_are_limited(void **state)
{
    (void)state;
    char longest[QUEUE_NAME_SIZE + 1];
    memset(longest, 'q', sizeof longest);
    longest[QUEUE_NAME_SIZE - 1] = '\0';
    static const char *const good[] = {"a", "Z", "0", "-", "order:4711", "a.b_c-D:9"};
    static const char *const bad[] = {"", "a b", "a/b", "a\n", "\xc3\xa4", "a,b", "a\"b"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(queue_name_valid(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(queue_name_valid(bad[i]));
    }
    assert_true(queue_name_valid(longest));
    longest[QUEUE_NAME_SIZE - 1] = 'q';
    longest[QUEUE_NAME_SIZE] = '\0';
    assert_false(queue_name_valid(longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xid_formatted_has_documented_shape),
        cmocka_unit_test(test_xid_round_trip_is_equal),
        cmocka_unit_test(test_gid_largest_fits_gidsize),
        cmocka_unit_test(test_gtrid_zero_numbers_round_trip),
        cmocka_unit_test(test_gtrid_parse_other_text_is_refused),
        cmocka_unit_test(test_gid_parse_every_prefix_is_refused),
        cmocka_unit_test(test_gid_parse_any_bad_byte_is_refused),
        cmocka_unit_test(test_gid_parse_foreign_is_refused),
        cmocka_unit_test(test_participant_name_length_is_limited),
        cmocka_unit_test(test_participant_name_characters_are_limited),
        cmocka_unit_test(test_queue_name_length_and_characters_are_limited),
        cmocka_unit_test(test_gtrid_differing_member_is_unequal),
        cmocka_unit_test(test_gid_other_attempt_or_participant_is_unequal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
