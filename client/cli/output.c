/* output.c - tables and colours (cli.h). Colours only on a terminal, and not with NO_COLOR (no-color.org). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "common/alloc.h"
#include "common/check.h"

char *text_format(const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    CHECK(vasprintf(&text, format, arguments) >= 0);
    va_end(arguments);
    return text;
}

static bool colours_wanted(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return (no_color == NULL || no_color[0] == 0) && isatty(STDOUT_FILENO) &&
           (term == NULL || strcmp(term, "dumb") != 0);
}

const char *paint(const char *colour, const char *text)
{
    static const struct {
        const char *name;
        const char *code;
    } codes[] = {{"red", "31"}, {"green", "32"}, {"yellow", "33"}, {"bold", "1"}, {"dim", "2"}};
    /* A few at a time may be in one printf. */
    static char buffers[8][256];
    static size_t next;
    for (size_t i = 0; i < sizeof codes / sizeof *codes && colours_wanted(); i++) {
        if (strcmp(codes[i].name, colour) == 0) {
            char *buffer = buffers[next++ % 8];
            snprintf(buffer, sizeof buffers[0], "\033[%sm%.200s\033[0m", codes[i].code, text);
            return buffer;
        }
    }
    return text;
}

const char *paint_state(const char *state)
{
    static const struct {
        const char *state;
        const char *colour;
    } colours[] = {{"committed", "green"}, {"aborted", "yellow"}, {"dead", "red"},
                   {"heuristic", "red"},   {"unknown", "red"},    {"up", "green"},
                   {"down", "red"},        {"refused", "red"},    {"ready", "green"},
                   {"not ready", "red"},   {"running", "green"},  {"stopped", "red"}};
    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++) {
        if (strcmp(colours[i].state, state) == 0) {
            return paint(colours[i].colour, state);
        }
    }
    return state;
}

struct table {
    size_t column_count;
    size_t row_count;
    bool has_heads;
    size_t indent; /* spaces before each row */
    char **cells;
};

struct table *table_new(size_t column_count, const char *const *heads)
{
    struct table *table = alloc_zeroed(sizeof *table);
    table->column_count = column_count;
    if (heads != NULL) {
        table->has_heads = true;
        table_add(table, heads);
    }
    return table;
}

void table_indent(struct table *table, size_t spaces)
{
    table->indent = spaces;
}

void table_add(struct table *table, const char *const *cells)
{
    const size_t count = table->column_count;
    table->cells = alloc_resize(table->cells, (table->row_count + 1) * count, sizeof *table->cells);
    for (size_t i = 0; i < count; i++) {
        table->cells[table->row_count * count + i] = alloc_string(cells[i] != NULL ? cells[i] : "");
    }
    table->row_count++;
}

/* Characters of UTF-8, without the bytes of colours. */
static size_t cell_width(const char *text)
{
    size_t width = 0;
    while (*text != 0) {
        if (*text == '\033') {
            text += strcspn(text, "m");
            text += *text != 0 ? 1 : 0;
            continue;
        }
        width += ((unsigned char)*text & 0xc0) != 0x80 ? 1 : 0;
        text++;
    }
    return width;
}

static void print_row(const struct table *table, size_t row, const size_t *widths)
{
    const bool is_head = table->has_heads && row == 0;
    printf("%*s", (int)table->indent, "");
    for (size_t column = 0; column < table->column_count; column++) {
        const char *cell = table->cells[row * table->column_count + column];
        const bool is_last = column + 1 == table->column_count;
        fputs(is_head ? paint("bold", cell) : cell, stdout);
        if (!is_last) {
            printf("%*s", (int)(widths[column] - cell_width(cell) + 2), "");
        }
    }
    putchar('\n');
}

void table_print(struct table *table)
{
    size_t *widths = alloc_array(table->column_count, sizeof *widths);
    for (size_t i = 0; i < table->row_count * table->column_count; i++) {
        const size_t width = cell_width(table->cells[i]);
        size_t *column = &widths[i % table->column_count];
        *column = width > *column ? width : *column;
    }
    for (size_t row = 0; row < table->row_count; row++) {
        print_row(table, row, widths);
    }
    for (size_t i = 0; i < table->row_count * table->column_count; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
    free(table);
    free(widths);
}
