/*
 * history_dump.c - reads `dump` lines: what a database holds at the beginning and at the end.
 */
#include <stdio.h>

#include "tests/checker/reader.h"

struct dump {
    uint16_t db;
    bool at_end;
};

/* One row [key, seq, xid, k, v]. */
static bool read_effect(struct reader *reader, const struct dump *dump, const json_t *row)
{
    if (!json_is_array(row) || json_array_size(row) != 5) {
        return reader_fail(reader, "a row of \"effects\" is not [key, seq, xid, k, v]");
    }
    const json_t *xid = json_array_get(row, 2), *k = json_array_get(row, 3),
                 *v = json_array_get(row, 4);
    struct effect effect = {.db = dump->db, .k = NAME_NONE};
    int64_t seq = 0;
    if (!value_name(reader, json_array_get(row, 0), "the key of an effect", &effect.key) ||
        !value_integer(reader, json_array_get(row, 1), "the seq of an effect", &seq)) {
        return false;
    }
    if (seq < 0 || seq > INT32_MAX) {
        return reader_fail(reader, "the seq of an effect is not between 0 and %d", INT32_MAX);
    }
    effect.seq = (int32_t)seq;
    effect.has_xid = !json_is_null(xid);
    effect.has_v = !json_is_null(v);
    if ((effect.has_xid && !value_integer(reader, xid, "the xid of an effect", &effect.xid)) ||
        (!json_is_null(k) && !value_name(reader, k, "the k of an effect", &effect.k)) ||
        (effect.has_v && !value_integer(reader, v, "the v of an effect", &effect.v))) {
        return false;
    }
    *vec_add(&reader->history->effects) = effect;
    return true;
}

static bool read_effects(struct reader *reader, const struct dump *dump, const json_t *line)
{
    const json_t *rows = NULL;
    if (!field_array(reader, line, "effects", OPTIONAL, &rows)) {
        return false;
    }
    if (rows && dump->at_end) {
        reader->history->databases.items[dump->db].has_effects = true;
    }
    for (size_t i = 0; i < json_array_size(rows); i++) {
        if (!read_effect(reader, dump, json_array_get(rows, i))) {
            return false;
        }
    }
    if (reader->history->effects.count >= NONE / 2) {
        return reader_fail(reader, "the history is too long for this program");
    }
    return true;
}

static bool read_balances(struct reader *reader, const struct dump *dump, const json_t *line)
{
    json_t *balances = NULL;
    if (!field_object(reader, line, "balances", &balances)) {
        return false;
    }
    struct history *history = reader->history;
    if (balances) {
        struct database *database = &history->databases.items[dump->db];
        *(dump->at_end ? &database->has_balances_end : &database->has_balances_begin) = true;
        history->has_accounts = true;
    }
    for (void *i = json_object_iter(balances); i; i = json_object_iter_next(balances, i)) {
        int64_t balance = 0;
        uint32_t index = NONE;
        if (!value_integer(reader, json_object_iter_value(i), "a balance", &balance) ||
            !reader_object(reader, dump->db, json_object_iter_key(i), OBJECT_ACCOUNT, &index)) {
            return false;
        }
        struct object *account = &history->objects.items[index];
        if (dump->at_end) {
            account->end_balance = balance;
            account->has_end = true;
        } else {
            account->begin_balance = balance;
            account->has_begin = true;
        }
    }
    return true;
}

static bool read_lists(struct reader *reader, const struct dump *dump, const json_t *line)
{
    json_t *lists = NULL;
    if (!field_object(reader, line, "lists", &lists)) {
        return false;
    }
    struct history *history = reader->history;
    for (void *i = json_object_iter(lists); i; i = json_object_iter_next(lists, i)) {
        const json_t *value = json_object_iter_value(i);
        uint32_t index = NONE;
        if (!json_is_array(value)) {
            return reader_fail(reader, "a list of \"lists\" is not an array");
        }
        if (!reader_object(reader, dump->db, json_object_iter_key(i), OBJECT_LIST, &index) ||
            !value_integers(reader, value, "an element of a list")) {
            return false;
        }
        bool agrees = list_take(reader, index, NONE);
        struct object *list = &history->objects.items[index];
        /* A dump that contradicts a read is told as such; nothing is derived from it. */
        if (agrees && dump->at_end) {
            list->has_final = true;
            list->final_length = (uint32_t)reader->numbers.count;
        } else if (agrees) {
            list->begin_length = (uint32_t)reader->numbers.count;
        }
    }
    return true;
}

static bool read_register(struct reader *reader, const struct dump *dump, const json_t *value,
                          struct object *reg)
{
    if (!json_is_array(value) || json_array_size(value) < 1 || json_array_size(value) > 2) {
        return reader_fail(reader, "a register of \"registers\" is not [v, n]");
    }
    const json_t *v = json_array_get(value, 0), *n = json_array_get(value, 1);
    bool has_n = n && !json_is_null(n);
    int64_t number = 0, version = 0;
    if ((!json_is_null(v) && !value_integer(reader, v, "the value of a register", &number)) ||
        (has_n && !value_integer(reader, n, "the version of a register", &version))) {
        return false;
    }
    if (dump->at_end) {
        reg->has_final = true;
        reg->end_value = number;
        reg->end_value_known = !json_is_null(v);
        reg->end_n = version;
        reg->end_has_n = has_n;
    } else {
        reg->begin_value = number;
        reg->begin_value_known = !json_is_null(v);
    }
    return true;
}

static bool read_registers(struct reader *reader, const struct dump *dump, const json_t *line)
{
    json_t *registers = NULL;
    if (!field_object(reader, line, "registers", &registers)) {
        return false;
    }
    for (void *i = json_object_iter(registers); i; i = json_object_iter_next(registers, i)) {
        uint32_t index = NONE;
        if (!reader_object(reader, dump->db, json_object_iter_key(i), OBJECT_REGISTER, &index) ||
            !read_register(reader, dump, json_object_iter_value(i),
                           &reader->history->objects.items[index])) {
            return false;
        }
    }
    return true;
}

static bool read_leftovers(struct reader *reader, const struct dump *dump, const json_t *line)
{
    struct history *history = reader->history;
    struct database *database = &history->databases.items[dump->db];
    const json_t *prepared = NULL;
    int64_t locks = -1, idle = -1;
    if (!field_array(reader, line, "prepared", OPTIONAL, &prepared) ||
        !field_integer(reader, line, "locks", OPTIONAL, &locks) ||
        !field_integer(reader, line, "idle", OPTIONAL, &idle)) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(prepared); i++) {
        uint32_t gid = NONE;
        if (!value_name(reader, json_array_get(prepared, i), "a gid of \"prepared\"", &gid)) {
            return false;
        }
        *vec_add(&history->prepared) = gid;
        *vec_add(&history->prepared_db) = dump->db;
    }
    database->has_prepared |= prepared != NULL;
    database->has_locks |= locks >= 0;
    database->has_idle |= idle >= 0;
    database->locks += locks > 0 ? locks : 0;
    database->idle += idle > 0 ? idle : 0;
    return true;
}

bool read_dump(struct reader *reader, const json_t *line)
{
    struct dump dump = {0};
    int at = 0;
    int64_t t = 0;
    if (!field_integer(reader, line, "t", REQUIRED, &t) ||
        !field_choice(reader, line, "at", REQUIRED, "begin end", &at) ||
        !field_database(reader, line, &dump.db)) {
        return false;
    }
    dump.at_end = at == 1;
    const json_t *effects = json_object_get(line, "effects");
    if (!dump.at_end && json_array_size(effects) > 0) {
        return reader_fail(reader, "there are effects before the first request");
    }
    return read_effects(reader, &dump, line) && read_balances(reader, &dump, line) &&
           read_lists(reader, &dump, line) && read_registers(reader, &dump, line) &&
           (!dump.at_end || read_leftovers(reader, &dump, line));
}
