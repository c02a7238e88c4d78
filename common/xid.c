/*
 * xid.c - identifiers as text and back. One value has one text; anything else is refused (P-6).
 *
 * A small cursor walks the text: each take_ function moves it past what it understood or returns
 * false.
 */
#include "common/xid.h"

#include <stdio.h>
#include <string.h>

#include "common/check.h"

_Static_assert(JOURNAL_ID_TEXT_SIZE == 2 * JOURNAL_ID_BYTES + 1, "two hex digits per byte");
/* 32 + 20 + 16 + 20 digits and three dashes; and the prefix, two colons, a name and 16 digits. */
_Static_assert(32 + 20 + 16 + 20 + 3 < GTRID_TEXT_SIZE, "the longest gtrid fits");
_Static_assert(sizeof GID_PREFIX - 1 + 91 + 1 + PARTICIPANT_NAME_SIZE - 1 + 1 + 16 < GID_TEXT_SIZE,
               "the longest gid fits into what PostgreSQL takes");

static bool take_text(const char **cursor, const char *expected)
{
    size_t length = strlen(expected);
    if (strncmp(*cursor, expected, length) != 0) {
        return false;
    }
    *cursor += length;
    return true;
}

static int hex_digit_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    return -1;
}

/* Exactly 16 lower-case hex digits. */
static bool take_hex64(const char **cursor, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (int i = 0; i < 16; i++) {
        int digit = hex_digit_value((*cursor)[i]);
        if (digit < 0) {
            return false; /* also at the final NUL */
        }
        value = value << 4 | (uint64_t)digit;
    }
    *cursor += 16;
    *ret_value = value;
    return true;
}

/* Decimal without sign or leading zeros, up to UINT64_MAX. */
static bool take_decimal(const char **cursor, uint64_t *ret_value)
{
    const char *digit = *cursor;
    if (*digit < '0' || *digit > '9' || (digit[0] == '0' && digit[1] >= '0' && digit[1] <= '9')) {
        return false;
    }
    uint64_t value = 0;
    for (; *digit >= '0' && *digit <= '9'; digit++) {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*digit - '0'), &value)) {
            return false;
        }
    }
    *cursor = digit;
    *ret_value = value;
    return true;
}

static bool take_journal_id(const char **cursor, struct journal_id *ret_id)
{
    struct journal_id id;
    const char *text = *cursor;
    for (int i = 0; i < JOURNAL_ID_BYTES; i++) {
        int high = hex_digit_value(text[2 * i]);
        int low = high < 0 ? -1 : hex_digit_value(text[2 * i + 1]);
        if (low < 0) {
            return false;
        }
        id.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *cursor = text + (size_t)2 * JOURNAL_ID_BYTES;
    *ret_id = id;
    return true;
}

static bool take_gtrid(const char **cursor, struct gtrid *ret_gtrid)
{
    return take_journal_id(cursor, &ret_gtrid->journal) && take_text(cursor, "-") &&
           take_decimal(cursor, &ret_gtrid->epoch) && take_text(cursor, "-") &&
           take_hex64(cursor, &ret_gtrid->epoch_nonce) && take_text(cursor, "-") &&
           take_decimal(cursor, &ret_gtrid->sequence);
}

static bool name_char_valid(char c, bool is_first)
{
    if (c >= 'a' && c <= 'z') {
        return true;
    }
    return !is_first && ((c >= '0' && c <= '9') || c == '_' || c == '-');
}

/* How many bytes of a participant's name stand at the start of text; 0 if none, or too many. */
static size_t name_length(const char *text)
{
    size_t length = 0;
    while (name_char_valid(text[length], length == 0)) {
        length++;
        if (length >= PARTICIPANT_NAME_SIZE) {
            return 0;
        }
    }
    return length;
}

static bool take_name(const char **cursor, char ret_name[PARTICIPANT_NAME_SIZE])
{
    size_t length = name_length(*cursor);
    if (length == 0) {
        return false;
    }
    memset(ret_name, 0, PARTICIPANT_NAME_SIZE);
    memcpy(ret_name, *cursor, length);
    *cursor += length;
    return true;
}

bool journal_id_equal(const struct journal_id *a, const struct journal_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

void journal_id_format(const struct journal_id *id, char ret_text[JOURNAL_ID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < JOURNAL_ID_BYTES; i++) {
        ret_text[2 * i] = digits[id->bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[id->bytes[i] & 0xF];
    }
    ret_text[JOURNAL_ID_TEXT_SIZE - 1] = '\0';
}

bool journal_id_parse(const char *text, struct journal_id *ret_id)
{
    struct journal_id id;
    if (!take_journal_id(&text, &id) || *text != '\0') {
        return false;
    }
    *ret_id = id;
    return true;
}

bool gtrid_equal(const struct gtrid *a, const struct gtrid *b)
{
    return a->sequence == b->sequence && a->epoch == b->epoch && a->epoch_nonce == b->epoch_nonce &&
           journal_id_equal(&a->journal, &b->journal);
}

/* Spreads every input bit over the result (the finalizer of splitmix64). */
static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

uint64_t gtrid_hash(const struct gtrid *gtrid)
{
    uint64_t halves[2];
    _Static_assert(sizeof halves == JOURNAL_ID_BYTES, "two words of identity");
    memcpy(halves, gtrid->journal.bytes, sizeof halves);
    uint64_t hash = mix(halves[0]);
    hash = mix(hash ^ halves[1]);
    hash = mix(hash ^ gtrid->epoch);
    hash = mix(hash ^ gtrid->epoch_nonce);
    return mix(hash ^ gtrid->sequence);
}

void gtrid_format(const struct gtrid *gtrid, char ret_text[GTRID_TEXT_SIZE])
{
    char journal[JOURNAL_ID_TEXT_SIZE];
    journal_id_format(&gtrid->journal, journal);
    int length = snprintf(ret_text, GTRID_TEXT_SIZE, "%s-%llu-%016llx-%llu", journal,
                          (unsigned long long)gtrid->epoch, (unsigned long long)gtrid->epoch_nonce,
                          (unsigned long long)gtrid->sequence);
    CHECK(length > 0 && length < GTRID_TEXT_SIZE);
}

bool gtrid_parse(const char *text, struct gtrid *ret_gtrid)
{
    struct gtrid gtrid;
    if (!take_gtrid(&text, &gtrid) || *text != '\0') {
        return false;
    }
    *ret_gtrid = gtrid;
    return true;
}

bool gid_equal(const struct gid *a, const struct gid *b)
{
    return a->attempt == b->attempt && gtrid_equal(&a->gtrid, &b->gtrid) &&
           strcmp(a->participant, b->participant) == 0;
}

void gid_format(const struct gid *gid, char ret_text[GID_TEXT_SIZE])
{
    char gtrid[GTRID_TEXT_SIZE];
    gtrid_format(&gid->gtrid, gtrid);
    int length = snprintf(ret_text, GID_TEXT_SIZE, GID_PREFIX "%s:%s:%016llx", gtrid,
                          gid->participant, (unsigned long long)gid->attempt);
    CHECK(length > 0 && length < GID_TEXT_SIZE);
}

bool gid_parse(const char *text, struct gid *ret_gid)
{
    struct gid gid;
    if (!take_text(&text, GID_PREFIX) || !take_gtrid(&text, &gid.gtrid) || !take_text(&text, ":") ||
        !take_name(&text, gid.participant) || !take_text(&text, ":") ||
        !take_hex64(&text, &gid.attempt) || *text != '\0') {
        return false;
    }
    *ret_gid = gid;
    return true;
}

bool participant_name_valid(const char *name)
{
    size_t length = name_length(name);
    return length > 0 && name[length] == '\0';
}

bool queue_name_valid(const char *name)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";
    size_t length = strnlen(name, QUEUE_NAME_SIZE);
    return length > 0 && length < QUEUE_NAME_SIZE && strspn(name, letters) == length;
}
