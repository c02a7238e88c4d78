/*
 * xid.h - names of transactions, branches, participants and queues, as values and as text.
 *
 *     gtrid  <journal identity, 32 hex>-<epoch, decimal>-<epoch nonce, 16 hex>-<sequence, decimal>
 *     gid    assent:<gtrid>:<participant>:<attempt nonce, 16 hex>        (under 200 bytes)
 *
 * Parsing is strict: one value has exactly one text (lower case, no leading zeros in decimals), so
 * text equality and value equality agree and a foreign gid is never taken for ours (P-6).
 */
#ifndef ASSENT_COMMON_XID_H
#define ASSENT_COMMON_XID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_ID_BYTES      16
#define JOURNAL_ID_TEXT_SIZE  33
#define GTRID_TEXT_SIZE       96  /* with the final NUL */
#define PARTICIPANT_NAME_SIZE 64  /* with the final NUL: 1..63 of [a-z0-9_-], first one a letter */
#define QUEUE_NAME_SIZE       65  /* with the final NUL: 1..64 of [A-Za-z0-9._:-] */
#define GID_TEXT_SIZE         200 /* PostgreSQL's GIDSIZE, with the final NUL */
#define GID_PREFIX            "assent:"

struct journal_id {
    uint8_t bytes[JOURNAL_ID_BYTES];
};

/* The global transaction's identifier (P-10). sequence counts from 1 within an epoch. */
struct gtrid {
    struct journal_id journal;
    uint64_t epoch;
    uint64_t epoch_nonce;
    uint64_t sequence;
};

/* One execution of one branch (P-20): attempt is new for every execution. */
struct gid {
    struct gtrid gtrid;
    uint64_t attempt;
    char participant[PARTICIPANT_NAME_SIZE];
};

bool journal_id_equal(const struct journal_id *a, const struct journal_id *b);
void journal_id_format(const struct journal_id *id, char ret_text[JOURNAL_ID_TEXT_SIZE]);
bool journal_id_parse(const char *text, struct journal_id *ret_id);

bool gtrid_equal(const struct gtrid *a, const struct gtrid *b);
uint64_t gtrid_hash(const struct gtrid *gtrid);
void gtrid_format(const struct gtrid *gtrid, char ret_text[GTRID_TEXT_SIZE]);
bool gtrid_parse(const char *text, struct gtrid *ret_gtrid);

bool gid_equal(const struct gid *a, const struct gid *b);
void gid_format(const struct gid *gid, char ret_text[GID_TEXT_SIZE]);
bool gid_parse(const char *text, struct gid *ret_gid);

bool participant_name_valid(const char *name);
bool queue_name_valid(const char *name);

#endif
