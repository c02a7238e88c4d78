/*
 * verdict.c - what came of it, asked from the databases by plain SQL: each line is a question, the statement that answers it, and
 * its result, so that anybody can ask again with psql (kit.h).
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "examples/scenarios/kit/kit.h"

#define SETTLE_TIMEOUT_MS 30000
#define SHOWN_BYTES       100 /* of a long result, for people */

static bool colours_wanted(void)
{
    const char *no_color = getenv("NO_COLOR");
    return (no_color == NULL || no_color[0] == 0) && isatty(STDOUT_FILENO);
}

void kit_say(const struct kit *kit, const char *format, ...)
{
    if (kit->options.json) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    fputs("  ", stdout);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

void kit_title(const struct kit *kit, const char *title)
{
    if (!kit->options.json) {
        printf(colours_wanted() ? "\n\033[1m%s\033[0m\n" : "\n%s\n", title);
    }
}

struct statement {
    const char *participant, *sql;
    char *result; /* owned */
};

static void answer(struct kit *kit, struct statement *statement)
{
    statement->result = database_value(kit, statement->participant, statement->sql);
}

static void print_check(const struct kit *kit, const char *question, bool is_yes,
                        const struct statement *statements, size_t count, const char *expected)
{
    if (kit->options.json) {
        return;
    }
    const char *colour = !colours_wanted() ? "" : is_yes ? "\033[32m" : "\033[31m";
    printf("  %s%s%s %s\n", colour, is_yes ? "yes" : "NO ", colour[0] != 0 ? "\033[0m" : "",
           question);
    for (size_t i = 0; i < count; i++) {
        const struct statement *statement = &statements[i];
        const bool is_long = is_yes && strlen(statement->result) > SHOWN_BYTES;
        printf("      %s=# %s\n        %.*s%s\n", statement->participant, statement->sql,
               is_long ? SHOWN_BYTES : -1, statement->result, is_long ? " ..." : "");
    }
    if (!is_yes && expected != NULL) {
        printf("        wanted: %s\n", expected);
    }
}

/* Shown and kept. Takes the statements' results. */
static void conclude(struct kit *kit, const char *question, bool is_yes,
                     struct statement *statements, size_t count, const char *expected)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(array,
                              json_pack("{s:s, s:s, s:s}", "participant", statements[i].participant,
                                        "sql", statements[i].sql, "result", statements[i].result));
    }
    json_array_append_new(kit->checks,
                          json_pack("{s:s, s:b, s:s?, s:o}", "question", question, "yes", is_yes,
                                    "expected", expected, "statements", array));
    print_check(kit, question, is_yes, statements, count, expected);
    kit->is_well = kit->is_well && is_yes;
    for (size_t i = 0; i < count; i++) {
        free(statements[i].result);
    }
}

void verdict_is(struct kit *kit, const char *question, const char *participant, const char *sql,
                const char *expected)
{
    struct statement one = {.participant = participant, .sql = sql};
    answer(kit, &one);
    conclude(kit, question, strcmp(one.result, expected) == 0, &one, 1, expected);
}

void verdict_same(struct kit *kit, const char *question, const char *participant, const char *sql,
                  const char *other, const char *other_sql)
{
    struct statement both[] = {{.participant = participant, .sql = sql},
                               {.participant = other, .sql = other_sql}};
    answer(kit, &both[0]);
    answer(kit, &both[1]);
    conclude(kit, question, strcmp(both[0].result, both[1].result) == 0, both, 2, NULL);
}

void verdict_settled(struct kit *kit)
{
    /* What the wait says does not matter: the next statements tell what is there. */
    (void)database_settle(kit, SETTLE_TIMEOUT_MS);
    /* A prepared transaction holds its locks without a process. */
    char *sql = kit_text("SELECT count(*) FROM pg_locks JOIN pg_class ON relation = pg_class.oid "
                         "WHERE pid IS NULL AND relnamespace = '%s'::regnamespace",
                         kit->schema);
    for (size_t i = 0; i < kit->scenario->schema_count; i++) {
        const char *participant = kit->scenario->schemas[i].participant;
        char *question = kit_text("nothing is left prepared in %s", participant);
        verdict_is(kit, question, participant, sql, "0");
        free(question);
    }
    free(sql);
}

int verdict_end(struct kit *kit)
{
    json_object_set_new(kit->summary, "verdict", json_string(kit->is_well ? "yes" : "no"));
    json_object_set_new(kit->summary, "duration_ms",
                        json_integer((json_int_t)(kit_now_ms() - kit->begin_ms)));
    if (kit->options.json) {
        json_dumpf(kit->summary, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        printf("\n%s\n", kit->is_well ? "Everything is as it should be."
                                      : "Something is NOT as it should be.");
        printf("The tables stay until the next run: SET search_path = %s\n", kit->schema);
    }
    return kit->is_well ? 0 : 1;
}
