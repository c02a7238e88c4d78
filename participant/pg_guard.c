/* pg_guard.c - see pg_guard.h. */
#include "participant/pg_guard.h"

#include <stdio.h>
#include <string.h>

#include "common/sql_text.h"

static const char *const refused_words[] = {
    "ABORT", "BEGIN",    "COMMIT",    "COPY",   "DEALLOCATE", "DISCARD",
    "END",   "EXECUTE",  "LISTEN",    "NOTIFY", "PREPARE",    "RELEASE",
    "RESET", "ROLLBACK", "SAVEPOINT", "START",  "UNLISTEN",
};

/* A role's defaults are those of our own next connections, and its objects and rights are what we live on. DO and
 * functions can still do it: the edge's connections set for themselves what they need. */
static const char *const refused_pairs[][2] = {
    {"ALTER", "ROLE"},
    {"ALTER", "USER"},
    {"DROP", "OWNED"},
    {"REASSIGN", "OWNED"},
};

/* SET LOCAL of these changes how a statement is planned or shown, and ends with the branch. */
static const char *const local_names[] = {
    "BYTEA_OUTPUT",
    "CONSTRAINT_EXCLUSION",
    "CPU_INDEX_TUPLE_COST",
    "CPU_OPERATOR_COST",
    "CPU_TUPLE_COST",
    "CURSOR_TUPLE_FRACTION",
    "DATESTYLE",
    "DEFAULT_STATISTICS_TARGET",
    "DEFAULT_TEXT_SEARCH_CONFIG",
    "EFFECTIVE_CACHE_SIZE",
    "EXTRA_FLOAT_DIGITS",
    "FORCE_PARALLEL_MODE",
    "FROM_COLLAPSE_LIMIT",
    "GEQO",
    "GIN_FUZZY_SEARCH_LIMIT",
    "HASH_MEM_MULTIPLIER",
    "INTERVALSTYLE",
    "JIT",
    "JOIN_COLLAPSE_LIMIT",
    "MAINTENANCE_WORK_MEM",
    "MAX_PARALLEL_WORKERS_PER_GATHER",
    "PARALLEL_SETUP_COST",
    "PARALLEL_TUPLE_COST",
    "PLAN_CACHE_MODE",
    "QUOTE_ALL_IDENTIFIERS",
    "RANDOM_PAGE_COST",
    "SEARCH_PATH",
    "SEQ_PAGE_COST",
    "TEMP_BUFFERS",
    "TIME",
    "TIMEZONE",
    "WORK_MEM",
    "XMLBINARY",
    "XMLOPTION",
};

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A')
                                : c; /* keywords are ASCII in every locale */
}

static bool is_word(char c)
{
    return (upper(c) >= 'A' && upper(c) <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           (unsigned char)c >= 0x80;
}

/* Reads one word (or quoted identifier, or dotted name) in upper case; "" if there is none. Too
 * long a word is cut: it equals none of the tables' words. */
static const char *read_word(const char *sql, bool dotted, char ret_word[PG_GUARD_WORD_SIZE])
{
    size_t length = 0;
    bool quoted = false;
    for (; *sql != '\0'; sql++) {
        if (dotted && *sql == '"') {
            quoted = !quoted;
            continue;
        }
        if (!quoted && !is_word(*sql) && !(dotted && *sql == '.')) {
            break;
        }
        if (length + 1 < PG_GUARD_WORD_SIZE) {
            ret_word[length++] = upper(*sql);
        }
    }
    ret_word[length] = '\0';
    return sql;
}

/* Custom settings (with a dot) are the application's own, as for row security; ours are not. */
static bool local_name_allowed(const char *name)
{
    if (strchr(name, '.') != NULL) {
        return strncmp(name, "ASSENT.", 7) != 0;
    }
    if (strncmp(name, "ENABLE_", 7) == 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof local_names / sizeof local_names[0]; i++) {
        if (strcmp(name, local_names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool set_allowed(const char *sql, char ret_word[PG_GUARD_WORD_SIZE])
{
    char scope[PG_GUARD_WORD_SIZE];
    char name[PG_GUARD_WORD_SIZE];
    sql = read_word(sql_skip_blank(sql, false), false, scope);
    if (strcmp(scope, "LOCAL") != 0) {
        (void)snprintf(ret_word, PG_GUARD_WORD_SIZE, "SET");
        return false;
    }
    (void)read_word(sql_skip_blank(sql, false), true, name);
    if (!local_name_allowed(name)) {
        (void)snprintf(ret_word, PG_GUARD_WORD_SIZE, "SET LOCAL %.48s", name);
        return false;
    }
    return true;
}

bool pg_guard_allows(const char *sql, char ret_word[PG_GUARD_WORD_SIZE])
{
    char word[PG_GUARD_WORD_SIZE];
    const char *rest = read_word(sql_skip_blank(sql, true), false, word);
    for (size_t i = 0; i < sizeof refused_words / sizeof refused_words[0]; i++) {
        if (strcmp(word, refused_words[i]) == 0) {
            (void)snprintf(ret_word, PG_GUARD_WORD_SIZE, "%s", word);
            return false;
        }
    }
    char second[PG_GUARD_WORD_SIZE];
    (void)read_word(sql_skip_blank(rest, false), false, second);
    for (size_t i = 0; i < sizeof refused_pairs / sizeof refused_pairs[0]; i++) {
        if (strcmp(word, refused_pairs[i][0]) == 0 && strcmp(second, refused_pairs[i][1]) == 0) {
            (void)snprintf(ret_word, PG_GUARD_WORD_SIZE, "%s %s", refused_pairs[i][0],
                           refused_pairs[i][1]);
            return false;
        }
    }
    return strcmp(word, "SET") != 0 || set_allowed(rest, ret_word);
}

/* Lists of what is known not to be DDL, so that a later version's new command is refused. EXPLAIN and DO are not among
 * them: they may run anything and do not show it. */
static const char *const dml_words[] = {
    "SELECT", "VALUES", "TABLE",   "WITH",  "INSERT", "UPDATE", "DELETE",   "MERGE", "CALL",
    "SHOW",   "LOCK",   "DECLARE", "FETCH", "MOVE",   "CLOSE",  "TRUNCATE", "SET",
};

static const char *const dml_tags[] = {
    "",      "SELECT", "INSERT",       "UPDATE",         "DELETE",
    "MERGE", "CALL",   "SHOW",         "LOCK TABLE",     "DECLARE CURSOR",
    "FETCH", "MOVE",   "CLOSE CURSOR", "TRUNCATE TABLE", "SET",
};

bool pg_guard_looks_like_dml(const char *sql, char ret_word[PG_GUARD_WORD_SIZE])
{
    char word[PG_GUARD_WORD_SIZE];
    (void)read_word(sql_skip_blank(sql, true), false, word);
    for (size_t i = 0; i < sizeof dml_words / sizeof dml_words[0]; i++) {
        if (strcmp(word, dml_words[i]) == 0) {
            return true;
        }
    }
    memcpy(ret_word, word, sizeof word);
    return word[0] == '\0'; /* nothing, or a bracket: only the server can tell */
}

bool pg_guard_tag_is_dml(const char *tag, bool described)
{
    /* Numbers of rows stand behind the words. */
    size_t size = strlen(tag);
    while (size > 0 && ((tag[size - 1] >= '0' && tag[size - 1] <= '9') || tag[size - 1] == ' ')) {
        size--;
    }
    for (size_t i = 0; i < sizeof dml_tags / sizeof dml_tags[0]; i++) {
        if (strlen(dml_tags[i]) == size && strncmp(tag, dml_tags[i], size) == 0) {
            return described || strcmp(dml_tags[i], "SELECT") != 0;
        }
    }
    return false;
}

/* Is the word anywhere in the text? Inside a literal or a name too: that only costs a round trip. */
static bool mentions(const char *sql, const char *word)
{
    for (; *sql != '\0'; sql++) {
        size_t length = 0;
        while (word[length] != '\0' && upper(sql[length]) == word[length]) {
            length++;
        }
        if (word[length] == '\0') {
            return true;
        }
    }
    return false;
}

bool pg_guard_may_return_rows(const char *sql)
{
    char word[PG_GUARD_WORD_SIZE];
    (void)read_word(sql_skip_blank(sql, true), false, word);
    if (strcmp(word, "INSERT") != 0 && strcmp(word, "UPDATE") != 0 && strcmp(word, "DELETE") != 0 &&
        strcmp(word, "MERGE") != 0) {
        return true;
    }
    return mentions(sql, "RETURNING");
}
