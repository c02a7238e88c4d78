/*
 * history.h - a history (docs/HISTORY.md) in memory, compact: about 200 bytes for a request, whatever its reads
 * returned. A list that was read is compared with the longest one seen of it so far and then only its length
 * is kept.
 *
 * Filled by history_read(); the checks only look. Indexes are 32 bits wide; a history that needs more is
 * refused when it is read.
 */
#ifndef ASSENT_TESTS_CHECKER_HISTORY_H
#define ASSENT_TESTS_CHECKER_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/checker/names.h"
#include "tests/checker/vec.h"

#define HISTORY_VERSION 1
#define NONE            UINT32_MAX
#define TIME_NEVER      INT64_MAX

enum result { RESULT_OK, RESULT_FAIL, RESULT_UNKNOWN };
enum mode { MODE_LOCKING, MODE_SNAPSHOT };
enum micro_kind { F_APPEND, F_WRITE, F_READ, F_ADD, F_TOTAL, F_EFFECT };
enum value_kind { VALUE_NONE, VALUE_NULL, VALUE_INTEGER, VALUE_LIST };
enum object_kind { OBJECT_UNKNOWN, OBJECT_LIST, OBJECT_REGISTER, OBJECT_ACCOUNT, OBJECT_EFFECT };
enum phase { PHASE_BEGIN, PHASE_END, PHASE_POINT, PHASE_HEALED };
enum answer_state { ANSWER_COMMITTED, ANSWER_ABORTED, ANSWER_OPEN };

/* Of a list that was read, v is the length without what the transaction itself had appended before, and n
 * the whole length. */
struct micro {
    int64_t v;
    int64_t n;
    uint32_t object; /* NONE for F_TOTAL, and for F_EFFECT without k */
    int32_t seq;     /* -1: writes no row of effects */
    uint16_t db;
    uint8_t kind;  /* enum micro_kind */
    uint8_t value; /* enum value_kind */
    bool has_n;
    bool odd; /* a list that contradicts another read of it or the own appends; told elsewhere */
};

struct op {
    int64_t i;
    int64_t t_inv, t_ret;                               /* t_ret is TIME_NEVER for unknown ones */
    uint32_t client, workload, key, txid, answer, body; /* names */
    uint32_t line;
    uint32_t micro_first, micro_count;
    uint32_t txn;
    uint8_t result;          /* enum result */
    uint8_t mode;            /* enum mode */
    bool completed, aborted; /* what the answer said, if it did */
};

/* All requests with one key and one body are one transaction; without a key each is its own. */
struct txn {
    int64_t t_inv, t_ret; /* it was decided between the two */
    int64_t t_quiet; /* after which no request of it was sent, and none was still to be answered
                             but those that are unknown */
    uint32_t op;     /* its first ok one, else the first unknown one, else the first */
    uint32_t key;
    uint32_t next_of_key; /* another body with the same key, or NONE */
    uint32_t ok_count, fail_count, unknown_count;
    bool committed;  /* set by the checks: told so, or resolved by its effects */
    bool has_effect; /* a row of it is in some database */
    bool excused;    /* a heuristic outcome that a fault explains and that Assent lists */
};

struct object {
    uint32_t name;
    uint16_t db;
    uint8_t kind; /* enum object_kind */
    bool has_final, has_begin, has_end;
    /* lists: the longest version read */
    int64_t *elements;
    uint32_t length, size;
    uint32_t longest_op;   /* NONE: the dump */
    uint32_t final_length; /* in the dump at the end */
    uint32_t begin_length; /* in the dump at the beginning */
    /* accounts */
    int64_t begin_balance, end_balance;
    /* registers at the beginning and the end */
    int64_t begin_value, end_value, end_n;
    bool begin_value_known, end_value_known, end_has_n;
};

/* Two reads of a list of which neither is a prefix of the other. */
struct conflict {
    uint32_t object, op, other_op; /* op NONE: the dump */
    uint32_t position;
    int64_t saw, other_saw;
};

/* A transaction that did not see its own write. */
struct unseen {
    uint32_t op, micro;
};

struct effect {
    uint32_t key;
    int32_t seq;
    int64_t v, xid;
    uint32_t k; /* name, or NAME_NONE */
    uint16_t db;
    bool has_v, has_xid;
};

struct nemesis {
    int64_t t, n;
    uint32_t fault, target, detail;
    uint32_t key_first, key_count; /* in nemesis_keys */
    uint8_t phase;                 /* enum phase */
    bool heuristic, has_keys;
};

struct heuristic {
    int64_t t;
    uint32_t key, txid, db_name, outcome; /* names */
};

struct answer {
    int64_t t;
    uint32_t key, txid, line;
    uint8_t state; /* enum answer_state */
};

struct process_sample {
    int64_t t, pid, rss, fds; /* -1: not given */
    uint32_t process;         /* name */
};

struct sample {
    int64_t t, journal; /* journal -1: not given */
    double tps;         /* below 0: not given */
};

struct database {
    uint32_t name;
    bool has_effects, has_prepared, has_locks, has_idle, has_balances_begin, has_balances_end;
    int64_t locks, idle;
};

struct meta {
    uint32_t program, command, started; /* names */
    int64_t version, seed, heal_us;
    int64_t steady_from, journal_steady_from; /* -1: not given */
    enum mode mode;
    VEC_OF(uint32_t) workloads;
};

struct history {
    struct names names;
    struct meta meta;
    bool has_meta, has_end, has_state, cut; /* cut: read with --partial, and no end */
    uint32_t end_reason;
    uint64_t line_count;
    VEC_OF(struct database) databases;
    VEC_OF(struct op) ops;
    VEC_OF(struct micro) micros;
    VEC_OF(struct txn) txns;
    VEC_OF(uint32_t) key_txns; /* by name of a key: its first txn, or NONE */
    struct pairs txn_pairs;    /* key, body */
    struct pairs op_numbers;   /* i */
    struct pairs object_pairs; /* db, name */
    VEC_OF(struct object) objects;
    VEC_OF(struct conflict) conflicts;
    VEC_OF(struct unseen) unseen;
    VEC_OF(struct effect) effects;
    VEC_OF(struct nemesis) nemeses;
    VEC_OF(uint32_t) nemesis_keys;
    VEC_OF(struct heuristic) heuristics;
    VEC_OF(struct answer) answers;
    VEC_OF(struct sample) samples;
    VEC_OF(struct process_sample) process_samples;
    VEC_OF(uint32_t) prepared, unfinished, in_doubt; /* names */
    VEC_OF(uint16_t) prepared_db;
    int64_t t_last; /* latest time in the file */
    bool has_accounts, has_totals, has_growth;
};

/* Why a history cannot be checked. */
struct problem {
    int exit_code; /* EX_DATAERR, EX_NOINPUT, EX_IOERR */
    uint64_t line; /* 0: not about a line */
    char text[320];
};

/* Reads the file ("-" is standard input). With partial, a missing end or a last line that was cut is no
 * problem. On failure the history is empty. */
bool history_read(const char *path, bool partial, struct history *ret_history,
                  struct problem *ret_problem);

void history_done(struct history *history);

/* For the texts: "order:a1". */
const char *object_name(const struct history *history, uint32_t object, char *buffer, size_t size);

#define OBJECT_NAME_SIZE 600

static inline const struct op *txn_op(const struct history *history, uint32_t txn)
{
    return &history->ops.items[history->txns.items[txn].op];
}

#endif
