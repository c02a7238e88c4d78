/* sql_text.c - see sql_text.h. */
#include "common/sql_text.h"

#include <stddef.h>
#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

/* After a comment that opens at sql, or NULL if it is not closed. Comments nest. */
static const char *skip_block_comment(const char *sql)
{
    size_t depth = 0;
    while (*sql != '\0') {
        if (sql[0] == '/' && sql[1] == '*') {
            depth++;
            sql += 2;
        } else if (sql[0] == '*' && sql[1] == '/') {
            depth--;
            sql += 2;
            if (depth == 0) {
                return sql;
            }
        } else {
            sql++;
        }
    }
    return NULL;
}

const char *sql_skip_blank(const char *sql, bool semicolons)
{
    for (;;) {
        if (is_space(*sql) || (semicolons && *sql == ';')) {
            sql++;
        } else if (strncmp(sql, "\xEF\xBB\xBF", 3) == 0) {
            sql += 3;
        } else if (sql[0] == '-' && sql[1] == '-') {
            sql += strcspn(sql, "\n\r");
        } else if (sql[0] == '/' && sql[1] == '*') {
            const char *behind = skip_block_comment(sql);
            if (behind == NULL) {
                return sql;
            }
            sql = behind;
        } else {
            return sql;
        }
    }
}

bool sql_is_blank(const char *sql)
{
    return *sql_skip_blank(sql, true) == '\0';
}
