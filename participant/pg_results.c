/* pg_results.c - see pg_results.h. */
#include "participant/pg_results.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "participant/pg_text.h"

#define VALUE_OVERHEAD 8 /* counted per value besides its bytes */
#define LEARNED_MAX    256

void pg_results_init(struct pg_results *collected, size_t limit_bytes)
{
    *collected = (struct pg_results){.limit_bytes = limit_bytes};
}

void pg_results_done(struct pg_results *collected)
{
    results_done(&collected->results);
    *collected = (struct pg_results){0};
}

void pg_results_begin(struct pg_results *collected)
{
    struct results *results = &collected->results;
    if (results->result_count == collected->result_capacity) {
        size_t capacity = collected->result_capacity == 0 ? 8 : 2 * collected->result_capacity;
        results->results = alloc_resize(results->results, capacity, sizeof results->results[0]);
        collected->result_capacity = capacity;
    }
    results->results[results->result_count++] = (struct result){0};
    collected->value_capacity = 0;
}

static struct result *current(struct pg_results *collected)
{
    CHECK(collected->results.result_count > 0);
    return &collected->results.results[collected->results.result_count - 1];
}

/* Counts before it copies, so that memory never exceeds the limit by more than one libpq row. */
static bool count_bytes(struct pg_results *collected, size_t bytes)
{
    collected->size_bytes += bytes + VALUE_OVERHEAD;
    if (collected->size_bytes > collected->limit_bytes) {
        collected->too_large = true;
    }
    return !collected->too_large;
}

static bool add_columns(struct pg_results *collected, struct result *to, const PGresult *result)
{
    size_t count = (size_t)PQnfields(result);
    to->columns = alloc_array(count, sizeof to->columns[0]);
    to->column_count = count;
    for (size_t i = 0; i < count; i++) {
        const char *name = PQfname(result, (int)i);
        to->columns[i] = (struct result_column){
            .name = pg_text_clean(name), .type = alloc_string(""), .oid = PQftype(result, (int)i)};
        if (!count_bytes(collected, strlen(name))) {
            return false;
        }
    }
    return true;
}

static void reserve_row(struct pg_results *collected, struct result *to)
{
    size_t needed = (to->row_count + 1) * to->column_count;
    if (needed > collected->value_capacity) {
        size_t capacity =
            collected->value_capacity == 0 ? 4 * to->column_count : 2 * collected->value_capacity;
        to->values = alloc_resize(to->values, capacity, sizeof to->values[0]);
        collected->value_capacity = capacity;
    }
}

static bool add_row(struct pg_results *collected, struct result *to, const PGresult *result,
                    int row)
{
    size_t bytes = 0;
    for (int i = 0; i < PQnfields(result); i++) {
        bytes += (size_t)PQgetlength(result, row, i) + VALUE_OVERHEAD;
    }
    if (!count_bytes(collected, bytes)) {
        return false;
    }
    reserve_row(collected, to);
    char **values = to->values + to->row_count * to->column_count;
    for (int i = 0; i < PQnfields(result); i++) {
        const char *text = PQgetisnull(result, row, i) ? NULL : PQgetvalue(result, row, i);
        if (text != NULL && !pg_text_valid(text)) {
            collected->invalid = true;
        }
        values[i] = alloc_string(text);
    }
    to->row_count++;
    return true;
}

bool pg_results_add(struct pg_results *collected, const PGresult *result)
{
    struct result *to = current(collected);
    if (to->columns == NULL && PQnfields(result) > 0 && !add_columns(collected, to, result)) {
        return false;
    }
    for (int row = 0; row < PQntuples(result); row++) {
        if (!add_row(collected, to, result, row)) {
            return false;
        }
    }
    return true;
}

void pg_results_end(struct pg_results *collected, const PGresult *result)
{
    struct result *to = current(collected);
    PGresult *unconst = (PGresult *)(uintptr_t)result; /* libpq's prototypes lack the const */
    to->command = pg_text_clean(PQcmdStatus(unconst));
    to->rows_affected = strtoll(PQcmdTuples(unconst), NULL, 10);
}

struct type_name {
    uint32_t oid;
    const char *name;
};

/* PostgreSQL's built-in types never change their OIDs (pg_type.dat). */
static const struct type_name builtin_types[] = {
    {16, "bool"},
    {17, "bytea"},
    {18, "char"},
    {19, "name"},
    {20, "int8"},
    {21, "int2"},
    {23, "int4"},
    {25, "text"},
    {26, "oid"},
    {28, "xid"},
    {114, "json"},
    {142, "xml"},
    {650, "cidr"},
    {700, "float4"},
    {701, "float8"},
    {705, "unknown"},
    {790, "money"},
    {829, "macaddr"},
    {869, "inet"},
    {1000, "_bool"},
    {1001, "_bytea"},
    {1005, "_int2"},
    {1007, "_int4"},
    {1009, "_text"},
    {1015, "_varchar"},
    {1016, "_int8"},
    {1021, "_float4"},
    {1022, "_float8"},
    {1042, "bpchar"},
    {1043, "varchar"},
    {1082, "date"},
    {1083, "time"},
    {1114, "timestamp"},
    {1115, "_timestamp"},
    {1182, "_date"},
    {1184, "timestamptz"},
    {1185, "_timestamptz"},
    {1186, "interval"},
    {1231, "_numeric"},
    {1266, "timetz"},
    {1560, "bit"},
    {1562, "varbit"},
    {1700, "numeric"},
    {2205, "regclass"},
    {2249, "record"},
    {2278, "void"},
    {2950, "uuid"},
    {2951, "_uuid"},
    {3220, "pg_lsn"},
    {3614, "tsvector"},
    {3802, "jsonb"},
    {3807, "_jsonb"},
    {3904, "int4range"},
    {3926, "int8range"},
    {5069, "xid8"},
};

struct pg_types {
    size_t count;
    struct {
        uint32_t oid;
        char *name;
    } learned[LEARNED_MAX];
};

struct pg_types *pg_types_new(void)
{
    return alloc_zeroed(sizeof(struct pg_types));
}

static void forget_all(struct pg_types *types)
{
    for (size_t i = 0; i < types->count; i++) {
        free(types->learned[i].name);
    }
    types->count = 0;
}

void pg_types_free(struct pg_types *types)
{
    if (types != NULL) {
        forget_all(types);
        free(types);
    }
}

static const char *find_name(const struct pg_types *types, uint32_t oid)
{
    for (size_t i = 0; i < sizeof builtin_types / sizeof builtin_types[0]; i++) {
        if (builtin_types[i].oid == oid) {
            return builtin_types[i].name;
        }
    }
    for (size_t i = 0; i < types->count; i++) {
        if (types->learned[i].oid == oid) {
            return types->learned[i].name;
        }
    }
    return NULL;
}

size_t pg_types_apply(const struct pg_types *types, struct results *results, size_t oid_max,
                      uint32_t *ret_oids)
{
    size_t missing = 0;
    for (size_t i = 0; i < results->result_count; i++) {
        struct result *result = &results->results[i];
        for (size_t k = 0; k < result->column_count; k++) {
            struct result_column *column = &result->columns[k];
            const char *name = find_name(types, column->oid);
            if (name != NULL) {
                free(column->type);
                column->type = alloc_string(name);
            } else if (missing < oid_max) {
                ret_oids[missing++] = column->oid;
            }
        }
    }
    return missing;
}

void pg_types_learn(struct pg_types *types, uint32_t oid, const char *name)
{
    if (types->count == LEARNED_MAX) {
        forget_all(types); /* a database with more types than that asks again now and then */
    }
    types->learned[types->count].oid = oid;
    types->learned[types->count].name = pg_text_clean(name);
    types->count++;
}
