/*
 * reader.h - what the files that read a history share: the position, and members of a JSON object by type.
 *
 * Every function that returns bool returns false after it has filled reader->problem, which names the line.
 * Known to history_*.c only; they alone know jansson.
 */
#ifndef ASSENT_TESTS_CHECKER_READER_H
#define ASSENT_TESTS_CHECKER_READER_H

#include <jansson.h>

#include "tests/checker/history.h"

enum presence { OPTIONAL, REQUIRED };

struct reader {
    struct history *history;
    struct problem *problem;
    uint64_t line;
    VEC_OF(int64_t) numbers; /* scratch: one list */
};

bool reader_fail(struct reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Members of an object. An optional one that is absent or null leaves *ret_ as it was. */
bool field_integer(struct reader *reader, const json_t *object, const char *field,
                   enum presence presence, int64_t *ret_value);
bool field_bool(struct reader *reader, const json_t *object, const char *field, bool *ret_value);
bool field_name(struct reader *reader, const json_t *object, const char *field,
                enum presence presence, uint32_t *ret_name);
/* Free text for the report, of any length; all after 255 bytes is left out. NULL: only look. */
bool field_text(struct reader *reader, const json_t *object, const char *field, uint32_t *ret_name);
/* One of words, separated by spaces; its index. */
bool field_choice(struct reader *reader, const json_t *object, const char *field,
                  enum presence presence, const char *words, int *ret_index);
/* The index of one of the databases of meta. */
bool field_database(struct reader *reader, const json_t *object, uint16_t *ret_db);
/* An array of that member; *ret_array is NULL if it is optional and absent. */
bool field_array(struct reader *reader, const json_t *object, const char *field,
                 enum presence presence, const json_t **ret_array);
bool field_object(struct reader *reader, const json_t *object, const char *field,
                  json_t **ret_object);

/* A string of 1 to 255 bytes. */
bool value_name(struct reader *reader, const json_t *value, const char *what, uint32_t *ret_name);
bool value_integer(struct reader *reader, const json_t *value, const char *what,
                   int64_t *ret_value);
/* All integers of an array, into reader->numbers. */
bool value_integers(struct reader *reader, const json_t *array, const char *what);

/* The object of that name in that database; its kind may not change. */
bool reader_object(struct reader *reader, uint16_t db, const char *name, enum object_kind kind,
                   uint32_t *ret_object);

/* One kind of line each. */
bool read_op(struct reader *reader, const json_t *line);
bool read_meta(struct reader *reader, const json_t *line);
bool read_answer(struct reader *reader, const json_t *line);
bool read_nemesis(struct reader *reader, const json_t *line);
bool read_heuristic(struct reader *reader, const json_t *line);
bool read_sample(struct reader *reader, const json_t *line);
bool read_dump(struct reader *reader, const json_t *line);
bool read_state(struct reader *reader, const json_t *line);
bool read_end(struct reader *reader, const json_t *line);

/* A list of which reader->numbers was read (by op, or NONE for the dump) is compared with what is known and
 * kept if it is longer. Returns false, with no problem, if the two contradict each other. */
bool list_take(struct reader *reader, uint32_t object, uint32_t op);

#endif
