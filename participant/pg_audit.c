/*
 * pg_audit.c - are branches that had committed still there? (P-14)
 *
 * Run by the keeper. The order matters: a row that came back as prepared may be committed by a finisher meanwhile, so the
 * prepared rows are read before the outcome rows, in a statement of their own. What is in neither of them was lost, unless
 * the outcome rows of that time have been emptied (the floor of the journal's witness, read last).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "participant/pg_inquest.h"
#include "participant/pg_text.h"

struct audit {
    struct inquest inquest;
    const struct audit_list *list;
    char (*gids)[GID_TEXT_SIZE];
    char *gid_array; /* PostgreSQL's text form of an array; a gid needs no quotes */
    char *sequence_array;
    uint8_t *findings;
};

static void audit_init(struct audit *audit)
{
    const struct audit_list *list = audit->list;
    size_t gid_bytes = list->count * GID_TEXT_SIZE + 3;
    size_t sequence_bytes = list->count * 24 + 3;
    size_t at = 0, sequence_at = 0;
    audit->gids = alloc_array(list->count, GID_TEXT_SIZE);
    audit->gid_array = alloc_zeroed(gid_bytes);
    audit->sequence_array = alloc_zeroed(sequence_bytes);
    audit->findings = alloc_zeroed(list->count);
    for (size_t i = 0; i < list->count; i++) {
        const char *mark = i == 0 ? "{" : ",";
        gid_format(&list->items[i].gid, audit->gids[i]);
        at += (size_t)snprintf(audit->gid_array + at, gid_bytes - at, "%s%s", mark, audit->gids[i]);
        sequence_at +=
            (size_t)snprintf(audit->sequence_array + sequence_at, sequence_bytes - sequence_at,
                             "%s%" PRId64, mark, (int64_t)list->items[i].gid.gtrid.sequence);
    }
    (void)snprintf(audit->gid_array + at, gid_bytes - at, "}");
    (void)snprintf(audit->sequence_array + sequence_at, sequence_bytes - sequence_at, "}");
}

static void audit_done(struct audit *audit)
{
    free(audit->gids);
    free(audit->gid_array);
    free(audit->sequence_array);
    free(audit->findings);
}

/* Gives each item that the rows name, and that has none yet, this finding. */
static bool mark_named(struct audit *audit, const struct pg_query *query,
                       enum audit_finding finding)
{
    PGresult *result = NULL;
    if (!inquest_ask(&audit->inquest, query, &result)) {
        return false;
    }
    for (int row = 0; row < PQntuples(result); row++) {
        for (size_t i = 0; i < audit->list->count; i++) {
            if (audit->findings[i] == 0 &&
                strcmp(audit->gids[i], PQgetvalue(result, row, 0)) == 0) {
                audit->findings[i] = (uint8_t)finding;
            }
        }
    }
    PQclear(result);
    return true;
}

static bool mark_prepared(struct audit *audit)
{
    const struct pg_query query = {
        .sql = "SELECT p.gid FROM pg_catalog.pg_prepared_xacts p"
               " WHERE p.gid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text[])",
        .param_count = 1,
        .types = (const Oid[]){PG_OID_TEXT},
        .values = (const char *const[]){audit->gid_array},
    };
    return mark_named(audit, &query, AUDIT_PREPARED);
}

static bool mark_committed(struct audit *audit)
{
    const struct pg_query query = {
        .sql = "SELECT o.gid FROM assent.outcome o"
               " WHERE o.sequence OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.int8[])"
               " AND o.gid OPERATOR(pg_catalog.=) ANY ($2::pg_catalog.text[])",
        .param_count = 2,
        .types = (const Oid[]){PG_OID_TEXT, PG_OID_TEXT},
        .values = (const char *const[]){audit->sequence_array, audit->gid_array},
    };
    return mark_named(audit, &query, AUDIT_COMMITTED);
}

static bool read_floor(struct audit *audit, struct journal_floor *ret_floor)
{
    char journal[JOURNAL_ID_TEXT_SIZE];
    journal_id_format(&audit->list->items[0].gid.gtrid.journal, journal); /* one coordinator asks */
    const struct pg_query query = {
        .sql = "SELECT w.floor_epoch, w.floor_sequence FROM assent.witness w"
               " WHERE w.journal OPERATOR(pg_catalog.=) $1",
        .param_count = 1,
        .types = (const Oid[]){PG_OID_TEXT},
        .values = (const char *const[]){journal},
    };
    PGresult *result = NULL;
    if (!inquest_ask(&audit->inquest, &query, &result)) {
        return false;
    }
    *ret_floor = (struct journal_floor){0};
    if (PQntuples(result) == 1) {
        ret_floor->epoch = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
        ret_floor->sequence = strtoull(PQgetvalue(result, 0, 1), NULL, 10);
    }
    PQclear(result);
    return true;
}

static bool is_below(const struct gtrid *gtrid, const struct journal_floor *floor)
{
    return gtrid->epoch < floor->epoch ||
           (gtrid->epoch == floor->epoch && gtrid->sequence <= floor->sequence);
}

/* What neither list names. */
static bool mark_rest(struct audit *audit)
{
    struct journal_floor floor;
    if (!read_floor(audit, &floor)) {
        return false;
    }
    for (size_t i = 0; i < audit->list->count; i++) {
        const struct audit_item *item = &audit->list->items[i];
        enum proof_result proved = PROOF_CANNOT_TELL;
        if (audit->findings[i] != 0) {
            continue;
        }
        if (item->proof.kind != PROOF_ROW) {
            if (!pg_prove_by_xid(&audit->inquest, &item->gid, &item->proof, &proved)) {
                return false;
            }
        } else if (!is_below(&item->gid.gtrid, &floor)) {
            proved = PROOF_SAYS_ABSENT;
        }
        audit->findings[i] = (uint8_t)(proved == PROOF_SAYS_COMMITTED ? AUDIT_COMMITTED
                                       : proved == PROOF_SAYS_ABSENT  ? AUDIT_LOST
                                                                      : AUDIT_CANNOT_TELL);
    }
    return true;
}

bool pg_audit(struct pg_member *keeper, const struct audit_list *list,
              struct command_result *result)
{
    struct audit audit = {.inquest = {.keeper = keeper,
                                      .result = result,
                                      .deadline_ms = clock_monotonic_ms() + PG_KEEPER_TIMEOUT_MS},
                          .list = list};
    audit_init(&audit);
    if (mark_prepared(&audit) && mark_committed(&audit) && mark_rest(&audit)) {
        result->class = PG_OK;
        result->results = blob_new(audit.findings, list->count);
    }
    audit_done(&audit);
    return !audit.inquest.broken;
}
