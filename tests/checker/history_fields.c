/*
 * history_fields.c - members of a JSON object by type; see reader.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "tests/checker/reader.h"

#define NAME_MAX_BYTES 255

bool reader_fail(struct reader *reader, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    reader->problem->exit_code = EX_DATAERR;
    reader->problem->line = reader->line;
    vsnprintf(reader->problem->text, sizeof reader->problem->text, format, arguments);
    va_end(arguments);
    return false;
}

/* The member, or NULL if it is absent or null; false if it must be there. */
static bool find(struct reader *reader, const json_t *object, const char *field,
                 enum presence presence, const json_t **ret_value)
{
    const json_t *value = json_object_get(object, field);
    if (json_is_null(value)) {
        value = NULL;
    }
    if (!value && presence == REQUIRED) {
        return reader_fail(reader, "\"%s\" is missing", field);
    }
    *ret_value = value;
    return true;
}

bool value_integer(struct reader *reader, const json_t *value, const char *what, int64_t *ret_value)
{
    if (!json_is_integer(value)) {
        return reader_fail(reader, "%s is not an integer", what);
    }
    *ret_value = json_integer_value(value);
    return true;
}

bool value_name(struct reader *reader, const json_t *value, const char *what, uint32_t *ret_name)
{
    if (!json_is_string(value)) {
        return reader_fail(reader, "%s is not a string", what);
    }
    size_t length = json_string_length(value);
    if (length == 0 || length > NAME_MAX_BYTES) {
        return reader_fail(reader, "%s has %zu bytes; 1 to %d are allowed", what, length,
                           NAME_MAX_BYTES);
    }
    *ret_name = names_add(&reader->history->names, json_string_value(value));
    return true;
}

bool value_integers(struct reader *reader, const json_t *array, const char *what)
{
    size_t count = json_array_size(array);
    if (count >= NONE / 2) {
        return reader_fail(reader, "%s is too long", what);
    }
    reader->numbers.count = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t number = 0;
        if (!value_integer(reader, json_array_get(array, i), what, &number)) {
            return false;
        }
        *vec_add(&reader->numbers) = number;
    }
    return true;
}

bool field_integer(struct reader *reader, const json_t *object, const char *field,
                   enum presence presence, int64_t *ret_value)
{
    const json_t *value = NULL;
    char what[80];
    snprintf(what, sizeof what, "\"%s\"", field);
    return find(reader, object, field, presence, &value) &&
           (!value || value_integer(reader, value, what, ret_value));
}

bool field_bool(struct reader *reader, const json_t *object, const char *field, bool *ret_value)
{
    const json_t *value = NULL;
    if (!find(reader, object, field, OPTIONAL, &value)) {
        return false;
    }
    if (value && !json_is_boolean(value)) {
        return reader_fail(reader, "\"%s\" is neither true nor false", field);
    }
    if (value) {
        *ret_value = json_is_true(value);
    }
    return true;
}

bool field_name(struct reader *reader, const json_t *object, const char *field,
                enum presence presence, uint32_t *ret_name)
{
    const json_t *value = NULL;
    char what[80];
    snprintf(what, sizeof what, "\"%s\"", field);
    return find(reader, object, field, presence, &value) &&
           (!value || value_name(reader, value, what, ret_name));
}

bool field_text(struct reader *reader, const json_t *object, const char *field, uint32_t *ret_name)
{
    const json_t *value = NULL;
    if (!find(reader, object, field, OPTIONAL, &value)) {
        return false;
    }
    if (value && !json_is_string(value)) {
        return reader_fail(reader, "\"%s\" is not a string", field);
    }
    if (value && ret_name) {
        char text[NAME_MAX_BYTES + 1];
        snprintf(text, sizeof text, "%s", json_string_value(value));
        /* Not in the middle of a character: the report must stay UTF-8. */
        size_t length = strlen(text);
        if (length == NAME_MAX_BYTES) {
            while (length > 0 && ((unsigned char)text[length - 1] & 0x80)) {
                text[--length] = 0;
            }
        }
        *ret_name = names_add(&reader->history->names, text);
    }
    return true;
}

bool field_choice(struct reader *reader, const json_t *object, const char *field,
                  enum presence presence, const char *words, int *ret_index)
{
    const json_t *value = NULL;
    if (!find(reader, object, field, presence, &value)) {
        return false;
    }
    if (!value) {
        return true;
    }
    const char *text = json_string_value(value);
    if (!text) {
        return reader_fail(reader, "\"%s\" is not a string", field);
    }
    size_t length = strlen(text);
    int index = 0;
    for (const char *word = words; *word; index++) {
        size_t word_length = strcspn(word, " ");
        if (word_length == length && memcmp(word, text, length) == 0) {
            *ret_index = index;
            return true;
        }
        word += word_length + (word[word_length] == ' ');
    }
    return reader_fail(reader, "\"%s\" is \"%.40s\", which is none of: %s", field, text, words);
}

bool field_database(struct reader *reader, const json_t *object, uint16_t *ret_db)
{
    uint32_t name = NAME_NONE;
    if (!field_name(reader, object, "db", REQUIRED, &name)) {
        return false;
    }
    const struct history *history = reader->history;
    for (size_t i = 0; i < history->databases.count; i++) {
        if (history->databases.items[i].name == name) {
            *ret_db = (uint16_t)i;
            return true;
        }
    }
    return reader_fail(reader, "\"db\" is \"%.60s\", which is not a database of \"meta\"",
                       names_text(&history->names, name));
}

bool field_array(struct reader *reader, const json_t *object, const char *field,
                 enum presence presence, const json_t **ret_array)
{
    if (!find(reader, object, field, presence, ret_array)) {
        return false;
    }
    if (*ret_array && !json_is_array(*ret_array)) {
        return reader_fail(reader, "\"%s\" is not an array", field);
    }
    return true;
}

bool field_object(struct reader *reader, const json_t *object, const char *field,
                  json_t **ret_object)
{
    json_t *value = json_object_get(object, field);
    if (value && !json_is_null(value) && !json_is_object(value)) {
        return reader_fail(reader, "\"%s\" is not an object", field);
    }
    *ret_object = json_is_object(value) ? value : NULL;
    return true;
}

bool reader_object(struct reader *reader, uint16_t db, const char *name, enum object_kind kind,
                   uint32_t *ret_object)
{
    static const char *const kinds[] = {"unknown", "list", "register", "account", "effect"};
    struct history *history = reader->history;
    size_t length = strlen(name);
    if (length == 0 || length > NAME_MAX_BYTES) {
        return reader_fail(reader, "\"k\" has %zu bytes; 1 to %d are allowed", length,
                           NAME_MAX_BYTES);
    }
    uint32_t text = names_add(&history->names, name);
    bool is_new;
    uint32_t index = pairs_add(&history->object_pairs, db, text, &is_new);
    if (is_new) {
        *vec_add(&history->objects) =
            (struct object){.name = text, .db = db, .kind = OBJECT_UNKNOWN, .longest_op = NONE};
    }
    struct object *object = &history->objects.items[index];
    /* A name that only rows of effects mention, or of which only null was read, may become anything. */
    bool open = object->kind == OBJECT_UNKNOWN || object->kind == OBJECT_EFFECT;
    if (kind != OBJECT_UNKNOWN && kind != OBJECT_EFFECT && !open && object->kind != kind) {
        return reader_fail(reader, "\"%.60s\" is a %s here and was a %s before", name, kinds[kind],
                           kinds[object->kind]);
    }
    if (open && kind != OBJECT_UNKNOWN) {
        object->kind = (uint8_t)kind;
    }
    *ret_object = index;
    return true;
}
