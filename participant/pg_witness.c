/*
 * pg_witness.c - what the database remembers of journals (P-10), and one step of the ring of outcomes (P-12).
 *
 * Run by the keeper. Writing goes through functions of schema assent that check the agent's token (pg_setup.h).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "participant/pg_classify.h"
#include "participant/pg_internal.h"
#include "participant/pg_text.h"

/* Inserts must not queue up behind a TRUNCATE that waits. */
#define ROTATE_LOCK_TIMEOUT "200ms"

static bool run(struct pg_member *keeper, const struct pg_query *query,
                struct command_result *result, PGresult **ret_result)
{
    struct pg_session *session = &keeper->session;
    PGresult *answer = NULL;
    session->warned = false;
    result->class = PG_UNKNOWN;
    enum pg_wait wait =
        pg_session_query(session, query, clock_monotonic_ms() + PG_KEEPER_TIMEOUT_MS, &answer);
    if (wait != PG_WAIT_OK) {
        pg_text_copy(result->detail, sizeof result->detail,
                     wait == PG_WAIT_LOST ? session->last_error
                                          : "no answer from PostgreSQL in time");
        return false;
    }
    if (PQresultStatus(answer) != PGRES_TUPLES_OK && PQresultStatus(answer) != PGRES_COMMAND_OK) {
        pg_text_copy(result->detail, sizeof result->detail,
                     PQresultErrorField(answer, PG_DIAG_MESSAGE_PRIMARY));
        result->class = pg_classify_finish(&(struct pg_error){
            .sqlstate = PQresultErrorField(answer, PG_DIAG_SQLSTATE),
            .severity = PQresultErrorField(answer, PG_DIAG_SEVERITY_NONLOCALIZED),
        });
        /* "Undefined object" here is a damaged set-up, not an answer. */
        result->class = result->class == PG_NOT_FOUND ? PG_REFUSED : result->class;
    } else if (session->warned) {
        pg_text_copy(result->detail, sizeof result->detail, session->warning);
        result->class = PG_RETRY;
    } else {
        result->class = PG_OK;
    }
    *ret_result = answer;
    return true;
}

static uint64_t number(const PGresult *result, int column)
{
    return strtoull(PQgetvalue(result, 0, column), NULL, 10);
}

static bool parse_hex(const char *text, uint8_t *bytes, size_t size)
{
    if (strlen(text) != 2 * size) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        unsigned int byte = 0;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1) {
            return false;
        }
        bytes[i] = (uint8_t)byte;
    }
    return true;
}

bool pg_witness_load(struct pg_member *keeper, const struct journal_id *journal,
                     struct command_result *result)
{
    char id[JOURNAL_ID_TEXT_SIZE];
    journal_id_format(journal, id);
    const struct pg_query query = {
        .sql =
            "SELECT w.epoch, w.epoch_nonce, w.head_number, pg_catalog.encode(w.head_hash, 'hex'),"
            " w.floor_epoch, w.floor_sequence, w.floor_first, w.address"
            " FROM assent.witness w WHERE w.journal OPERATOR(pg_catalog.=) $1",
        .param_count = 1,
        .types = (const Oid[]){PG_OID_TEXT},
        .values = (const char *const[]){id},
    };
    PGresult *answer = NULL;
    struct witness witness = {.journal = *journal};
    if (!run(keeper, &query, result, &answer)) {
        return false;
    }
    if (result->class == PG_OK && PQntuples(answer) == 1) {
        witness.epoch = number(answer, 0);
        witness.epoch_nonce = strtoull(PQgetvalue(answer, 0, 1), NULL, 16);
        witness.head.number = number(answer, 2);
        witness.floor.epoch = number(answer, 4);
        witness.floor.sequence = number(answer, 5);
        witness.floor.first_number = number(answer, 6);
        pg_text_copy(witness.address, sizeof witness.address, PQgetvalue(answer, 0, 7));
        if (!parse_hex(PQgetvalue(answer, 0, 3), witness.head.hash, sizeof witness.head.hash)) {
            result->class = PG_REFUSED;
            pg_text_copy(result->detail, sizeof result->detail,
                         "assent.witness has a damaged hash");
        }
    }
    PQclear(answer);
    result->witness = witness;
    return true;
}

bool pg_witness_store(struct pg_member *keeper, const struct witness *witness,
                      struct command_result *result)
{
    char journal[JOURNAL_ID_TEXT_SIZE];
    char numbers[7][32];
    char nonce[32];
    const uint64_t values64[] = {witness->epoch,
                                 witness->head.number,
                                 witness->floor.epoch,
                                 witness->floor.sequence,
                                 witness->floor.first_number,
                                 witness->compared_xid,
                                 witness->compared_timeline};
    journal_id_format(&witness->journal, journal);
    (void)snprintf(nonce, sizeof nonce, "%016" PRIx64, witness->epoch_nonce);
    for (size_t i = 0; i < sizeof values64 / sizeof values64[0]; i++) {
        (void)snprintf(numbers[i], sizeof numbers[i], "%" PRId64, (int64_t)values64[i]);
    }
    const struct pg_query query = {
        .sql = "SELECT assent.store_witness($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12),"
               " pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')",
        .param_count = 12,
        .types = (const Oid[]){PG_OID_BYTEA, PG_OID_TEXT, PG_OID_INT8, PG_OID_TEXT, PG_OID_INT8,
                               PG_OID_BYTEA, PG_OID_INT8, PG_OID_INT8, PG_OID_INT8, PG_OID_TEXT,
                               PG_OID_INT8, PG_OID_INT8},
        .values =
            (const char *const[]){(const char *)keeper->pg->token, journal, numbers[0], nonce,
                                  numbers[1], (const char *)witness->head.hash, numbers[2],
                                  numbers[3], numbers[4], witness->address, numbers[5], numbers[6]},
        .lengths = (const int[]){PG_TOKEN_BYTES, 0, 0, 0, 0, HASH_BYTES, 0, 0, 0, 0, 0, 0},
        .formats = (const int[]){1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0},
    };
    PGresult *answer = NULL;
    bool kept = run(keeper, &query, result, &answer);
    if (kept && result->class == PG_OK) {
        result->proof.lsn = number(answer, 1);
    }
    PQclear(kept ? answer : NULL);
    result->witness = *witness;
    return kept;
}

/* The lock timeout is for this one statement's transaction; a second statement takes it back. */
bool pg_witness_rotate(struct pg_member *keeper, struct command_result *result)
{
    static const char *const timeouts[] = {
        "SELECT pg_catalog.set_config('lock_timeout', '" ROTATE_LOCK_TIMEOUT "', false)",
        "SELECT pg_catalog.set_config('lock_timeout', '0', false)"};
    const struct pg_query rotate = {
        .sql = "SELECT r.ring, r.note FROM assent.rotate($1) r",
        .param_count = 1,
        .types = (const Oid[]){PG_OID_BYTEA},
        .values = (const char *const[]){(const char *)keeper->pg->token},
        .lengths = (const int[]){PG_TOKEN_BYTES},
        .formats = (const int[]){1},
    };
    struct pg *pg = keeper->pg;
    struct command_result ignored = {0};
    PGresult *answer = NULL;
    if (!run(keeper, &(struct pg_query){.sql = timeouts[0]}, result, &answer)) {
        return false;
    }
    PQclear(answer);
    if (!run(keeper, &rotate, result, &answer)) {
        return false;
    }
    if (result->class == PG_OK) {
        (void)pthread_mutex_lock(&pg->mutex);
        pg->ring = (uint32_t)number(answer, 0);
        (void)pthread_mutex_unlock(&pg->mutex);
        pg_text_copy(result->detail, sizeof result->detail, PQgetvalue(answer, 0, 1));
    }
    PQclear(answer);
    bool kept = run(keeper, &(struct pg_query){.sql = timeouts[1]}, &ignored, &answer);
    PQclear(kept ? answer : NULL);
    return kept;
}
