/*
 * history_op.c - reads `op` lines: requests, their micro-operations, and which requests are one transaction.
 */
#include <string.h>

#include "tests/checker/reader.h"

#define LIST_MAX   UINT32_C(0x7fffffff)
#define MICROS_MAX 10000 /* some comparisons within one request are quadratic */

bool list_take(struct reader *reader, uint32_t index, uint32_t op)
{
    struct history *history = reader->history;
    struct object *object = &history->objects.items[index];
    const int64_t *numbers = reader->numbers.items;
    uint32_t count = (uint32_t)reader->numbers.count;
    uint32_t common = count < object->length ? count : object->length;
    for (uint32_t i = 0; i < common; i++) {
        if (numbers[i] != object->elements[i]) {
            *vec_add(&history->conflicts) = (struct conflict){
                index, op, object->longest_op, i, numbers[i], object->elements[i]};
            return false;
        }
    }
    if (count > object->length) {
        if (count > object->size) {
            object->size = count < 16 ? 16 : count + count / 2;
            object->elements =
                mem_resized(object->elements, object->size, sizeof *object->elements);
        }
        memcpy(object->elements + common, numbers + common,
               (count - common) * sizeof *object->elements);
        object->length = count;
        object->longest_op = op;
    }
    return true;
}

/* How much of the end of the list just read the transaction had appended itself; false if something of it is
 * not there. */
static bool own_tail(const struct reader *reader, uint32_t micro_first, uint32_t object,
                     uint32_t *ret_count)
{
    const struct history *history = reader->history;
    uint32_t own = 0;
    for (size_t i = micro_first; i < history->micros.count; i++) {
        const struct micro *micro = &history->micros.items[i];
        own += micro->kind == F_APPEND && micro->object == object;
    }
    *ret_count = own;
    if (own > reader->numbers.count) {
        return false;
    }
    size_t place = reader->numbers.count - own;
    for (size_t i = micro_first; i < history->micros.count; i++) {
        const struct micro *micro = &history->micros.items[i];
        if (micro->kind == F_APPEND && micro->object == object &&
            reader->numbers.items[place++] != micro->v) {
            return false;
        }
    }
    return true;
}

static bool read_list(struct reader *reader, const json_t *value, uint32_t micro_first,
                      struct micro *micro)
{
    struct history *history = reader->history;
    uint32_t op = (uint32_t)history->ops.count; /* that of this line, added when it is complete */
    if (!value_integers(reader, value, "an element of \"v\"")) {
        return false;
    }
    uint32_t own;
    bool sees_own = own_tail(reader, micro_first, micro->object, &own);
    if (!sees_own) {
        *vec_add(&history->unseen) = (struct unseen){op, (uint32_t)history->micros.count};
    }
    micro->n = (int64_t)reader->numbers.count;
    micro->v = sees_own ? micro->n - own : micro->n;
    micro->odd = !list_take(reader, micro->object, op) || !sees_own;
    return true;
}

/* No list at all, which is not what it found if it had appended to it. */
static void note_empty_read(struct reader *reader, uint32_t micro_first, struct micro *micro)
{
    struct history *history = reader->history;
    uint32_t own;
    reader->numbers.count = 0;
    if (!own_tail(reader, micro_first, micro->object, &own)) {
        *vec_add(&history->unseen) =
            (struct unseen){(uint32_t)history->ops.count, (uint32_t)history->micros.count};
        micro->odd = true;
    }
}

/* The value of `r`. What a request without an answer is said to have read is looked at and dropped. */
static bool read_read(struct reader *reader, const json_t *object, const char *name,
                      enum result result, uint32_t micro_first, struct micro *micro)
{
    const json_t *value = json_object_get(object, "v");
    enum object_kind kind = OBJECT_UNKNOWN;
    if (json_is_array(value)) {
        kind = OBJECT_LIST;
        micro->value = VALUE_LIST;
    } else if (json_is_integer(value)) {
        kind = OBJECT_REGISTER;
        micro->value = VALUE_INTEGER;
    } else if (json_is_null(value)) {
        micro->value = VALUE_NULL;
    } else if (value) {
        return reader_fail(reader, "\"v\" of \"r\" is neither an array nor an integer nor null");
    } else if (result == RESULT_OK) {
        return reader_fail(reader, "\"r\" of a request that is \"ok\" has no \"v\"");
    }
    if (!reader_object(reader, micro->db, name, kind, &micro->object)) {
        return false;
    }
    if (result != RESULT_OK) {
        micro->value = VALUE_NONE;
        return kind != OBJECT_LIST || value_integers(reader, value, "an element of \"v\"");
    }
    if (micro->value == VALUE_LIST) {
        return read_list(reader, value, micro_first, micro);
    }
    if (micro->value == VALUE_NULL) {
        note_empty_read(reader, micro_first, micro);
    }
    micro->v = json_integer_value(value);
    micro->n = -1;
    if (!field_integer(reader, object, "n", OPTIONAL, &micro->n)) {
        return false;
    }
    micro->has_n = micro->n >= 0;
    return true;
}

static bool read_written(struct reader *reader, const json_t *object, const char *name,
                         struct micro *micro)
{
    static const enum object_kind kinds[] = {
        [F_APPEND] = OBJECT_LIST, [F_WRITE] = OBJECT_REGISTER, [F_ADD] = OBJECT_ACCOUNT};
    micro->value = VALUE_INTEGER;
    micro->n = -1;
    if (!reader_object(reader, micro->db, name, kinds[micro->kind], &micro->object) ||
        !field_integer(reader, object, "v", REQUIRED, &micro->v) ||
        !field_integer(reader, object, "n", OPTIONAL, &micro->n)) {
        return false;
    }
    micro->has_n = micro->kind == F_WRITE && micro->n >= 0;
    reader->history->has_accounts |= micro->kind == F_ADD;
    return true;
}

static bool read_effect_only(struct reader *reader, const json_t *object, const char *name,
                             struct micro *micro)
{
    if (micro->seq < 0) {
        return reader_fail(reader, "\"effect\" has no \"seq\"");
    }
    if (name && !reader_object(reader, micro->db, name, OBJECT_EFFECT, &micro->object)) {
        return false;
    }
    const json_t *value = json_object_get(object, "v");
    micro->value = value && !json_is_null(value) ? VALUE_INTEGER : VALUE_NONE;
    return field_integer(reader, object, "v", OPTIONAL, &micro->v);
}

static bool read_micro(struct reader *reader, const json_t *object, enum result result,
                       uint32_t micro_first)
{
    struct history *history = reader->history;
    struct micro micro = {.object = NONE, .seq = -1};
    if (!json_is_object(object)) {
        return reader_fail(reader, "a micro-operation is not an object");
    }
    int kind = 0;
    int64_t seq = -1;
    if (!field_choice(reader, object, "f", REQUIRED, "append w r add total effect", &kind) ||
        !field_database(reader, object, &micro.db) ||
        !field_integer(reader, object, "seq", OPTIONAL, &seq)) {
        return false;
    }
    if (seq < -1 || seq > INT32_MAX) {
        return reader_fail(reader, "\"seq\" is not between 0 and %d", INT32_MAX);
    }
    micro.kind = (uint8_t)kind;
    micro.seq = (int32_t)seq;
    if (seq >= 0 && (kind == F_READ || kind == F_TOTAL)) {
        return reader_fail(reader, "a read has a \"seq\"");
    }
    const char *name = json_string_value(json_object_get(object, "k"));
    if (!name && kind != F_TOTAL && kind != F_EFFECT) {
        return reader_fail(reader, "\"k\" is missing or not a string");
    }
    bool good = true;
    switch ((enum micro_kind)kind) {
    case F_APPEND:
    case F_WRITE:
    case F_ADD:
        good = read_written(reader, object, name, &micro);
        break;
    case F_READ:
        good = read_read(reader, object, name, result, micro_first, &micro);
        break;
    case F_TOTAL:
        micro.value = result == RESULT_OK ? VALUE_INTEGER : VALUE_NONE;
        history->has_totals = true;
        good =
            field_integer(reader, object, "v", result == RESULT_OK ? REQUIRED : OPTIONAL, &micro.v);
        break;
    case F_EFFECT:
        good = read_effect_only(reader, object, name, &micro);
        break;
    }
    if (good) {
        *vec_add(&history->micros) = micro;
    }
    return good;
}

static void txn_begin(struct history *history, uint32_t op_index, struct op *op)
{
    bool is_new = true;
    if (op->key == NAME_NONE) {
        /* Never equal to a real pair: a key is below NAME_NONE. */
        op->txn = pairs_add(&history->txn_pairs, UINT64_MAX, op_index, &is_new);
    } else {
        op->txn = pairs_add(&history->txn_pairs, op->key, op->body, &is_new);
    }
    if (!is_new) {
        return;
    }
    struct txn *txn = vec_add(&history->txns);
    *txn = (struct txn){.t_inv = TIME_NEVER,
                        .t_ret = TIME_NEVER,
                        .op = op_index,
                        .key = op->key,
                        .next_of_key = NONE};
    if (op->key != NAME_NONE) {
        while (history->key_txns.count <= op->key) {
            *vec_add(&history->key_txns) = NONE;
        }
        txn->next_of_key = history->key_txns.items[op->key];
        history->key_txns.items[op->key] = op->txn;
    }
}

/* Where the decision lies: after the first request that was not told "nothing was done" had been sent, and
 * before the first answer "ok". */
static void txn_join(struct history *history, uint32_t op_index, const struct op *op)
{
    struct txn *txn = &history->txns.items[op->txn];
    bool first_ok = op->result == RESULT_OK && txn->ok_count == 0;
    bool first_unknown =
        op->result == RESULT_UNKNOWN && txn->ok_count == 0 && txn->unknown_count == 0;
    if (first_ok || first_unknown) {
        txn->op = op_index;
    }
    if (op->result != RESULT_FAIL && op->t_inv < txn->t_inv) {
        txn->t_inv = op->t_inv;
    }
    if (op->result == RESULT_OK && op->t_ret < txn->t_ret) {
        txn->t_ret = op->t_ret;
    }
    int64_t quiet = op->result == RESULT_UNKNOWN ? op->t_inv : op->t_ret;
    txn->t_quiet = quiet > txn->t_quiet ? quiet : txn->t_quiet;
    txn->ok_count += op->result == RESULT_OK;
    txn->fail_count += op->result == RESULT_FAIL;
    txn->unknown_count += op->result == RESULT_UNKNOWN;
    txn->committed = txn->ok_count > 0;
}

static bool read_times(struct reader *reader, const json_t *line, struct op *op)
{
    op->t_ret = TIME_NEVER;
    if (!field_integer(reader, line, "t_inv", REQUIRED, &op->t_inv) ||
        !field_integer(reader, line, "t_ret", op->result == RESULT_UNKNOWN ? OPTIONAL : REQUIRED,
                       &op->t_ret)) {
        return false;
    }
    if (op->t_inv < 0 || op->t_ret < op->t_inv || op->t_inv == TIME_NEVER) {
        return reader_fail(reader, "\"t_inv\" is negative or later than \"t_ret\"");
    }
    int64_t last = op->t_ret == TIME_NEVER ? op->t_inv : op->t_ret;
    if (last > reader->history->t_last) {
        reader->history->t_last = last;
    }
    if (op->result == RESULT_UNKNOWN) {
        op->t_ret = TIME_NEVER;
    }
    return true;
}

static bool read_header(struct reader *reader, const json_t *line, struct op *op)
{
    int result = 0;
    int mode = (int)reader->history->meta.mode;
    int64_t epoch = 0;
    if (!field_integer(reader, line, "i", REQUIRED, &op->i) ||
        !field_choice(reader, line, "result", REQUIRED, "ok fail unknown", &result) ||
        !field_choice(reader, line, "mode", OPTIONAL, "L S", &mode) ||
        !field_name(reader, line, "client", REQUIRED, &op->client) ||
        !field_name(reader, line, "workload", REQUIRED, &op->workload) ||
        !field_name(reader, line, "key", OPTIONAL, &op->key) ||
        !field_name(reader, line, "txid", OPTIONAL, &op->txid) ||
        !field_name(reader, line, "answer", OPTIONAL, &op->answer) ||
        !field_name(reader, line, "body", OPTIONAL, &op->body) ||
        !field_text(reader, line, "error", NULL) ||
        !field_bool(reader, line, "completed", &op->completed) ||
        !field_bool(reader, line, "aborted", &op->aborted) ||
        !field_integer(reader, line, "epoch", OPTIONAL, &epoch)) {
        return false;
    }
    op->result = (uint8_t)result;
    op->mode = (uint8_t)mode;
    return read_times(reader, line, op);
}

bool read_op(struct reader *reader, const json_t *line)
{
    struct history *history = reader->history;
    struct op op = {.key = NAME_NONE,
                    .txid = NAME_NONE,
                    .answer = NAME_NONE,
                    .body = NAME_NONE,
                    .line = (uint32_t)reader->line,
                    .micro_first = (uint32_t)history->micros.count};
    const json_t *micros = NULL;
    if (!read_header(reader, line, &op) || !field_array(reader, line, "ops", REQUIRED, &micros)) {
        return false;
    }
    bool is_new;
    pairs_add(&history->op_numbers, (uint64_t)op.i, 0, &is_new);
    if (!is_new) {
        return reader_fail(reader, "\"i\" %lld is there twice", (long long)op.i);
    }
    if (json_array_size(micros) > MICROS_MAX) {
        return reader_fail(reader, "\"ops\" has more than %d micro-operations", MICROS_MAX);
    }
    for (size_t i = 0; i < json_array_size(micros); i++) {
        if (!read_micro(reader, json_array_get(micros, i), (enum result)op.result,
                        op.micro_first)) {
            return false;
        }
        if (history->micros.items[history->micros.count - 1].seq >= 0 && op.key == NAME_NONE) {
            return reader_fail(reader, "a micro-operation has a \"seq\" and the line no \"key\"");
        }
    }
    if (history->micros.count >= LIST_MAX || history->ops.count >= LIST_MAX ||
        history->names.starts.count >= LIST_MAX) {
        return reader_fail(reader, "the history is too long for this program");
    }
    op.micro_count = (uint32_t)(history->micros.count - op.micro_first);
    uint32_t index = (uint32_t)history->ops.count;
    txn_begin(history, index, &op);
    txn_join(history, index, &op);
    *vec_add(&history->ops) = op;
    return true;
}
