/*
 * fuzz_guard.c - any text as a client's SQL (P-21). What stands before the first word makes no difference to what the
 * guard says, and neither does the case of letters; what is refused is refused for a word.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "participant/pg_guard.h"
#include "tests/fuzz/fuzz.h"

static const char before[] = " \t;/* a /* nested */ comment */\n-- another\n;";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    char word[PG_GUARD_WORD_SIZE] = "", other[PG_GUARD_WORD_SIZE] = "";
    char *sql = alloc_bytes(bytes, size_bytes);
    char *longer = alloc_zeroed(sizeof before + strlen(sql));
    (void)snprintf(longer, sizeof before + strlen(sql), "%s%s", before, sql);
    bool allowed = pg_guard_allows(sql, word);
    CHECK(allowed || word[0] != '\0');
    CHECK(pg_guard_allows(longer, other) == allowed);
    CHECK(allowed || strcmp(word, other) == 0);
    CHECK(pg_guard_may_return_rows(longer) == pg_guard_may_return_rows(sql));
    CHECK(pg_guard_looks_like_dml(longer, word) == pg_guard_looks_like_dml(sql, other));
    (void)pg_guard_tag_is_dml(sql, true);
    for (char *letter = sql; *letter != '\0'; letter++) {
        *letter = (char)toupper((unsigned char)*letter);
    }
    CHECK(pg_guard_allows(sql, other) == allowed);
    free(longer);
    free(sql);
    return 0;
}
