/* The guard of P-21: what a client's statement may begin with. */
#include "tests/lib/test.h"

#include "participant/pg_guard.h"

static bool allows(const char *sql)
{
    char word[PG_GUARD_WORD_SIZE];
    return pg_guard_allows(sql, word);
}

/* Every keyword that controls the transaction or the session is refused, in any case of letters. */
static void test_guard_control_words_are_refused(void **state)
{
    (void)state;
    const char *const refused[] = {
        "BEGIN",
        "START TRANSACTION",
        "COMMIT",
        "COMMIT AND CHAIN",
        "COMMIT PREPARED 'x'",
        "END",
        "ROLLBACK",
        "ROLLBACK TO a",
        "ABORT",
        "SAVEPOINT a",
        "RELEASE a",
        "PREPARE x AS SELECT 1",
        "PREPARE TRANSACTION 'x'",
        "EXECUTE x",
        "DEALLOCATE ALL",
        "COPY item FROM STDIN",
        "LISTEN x",
        "UNLISTEN *",
        "NOTIFY x",
        "DISCARD ALL",
        "SET work_mem = 1",
        "SET SESSION work_mem = 1",
        "SET ROLE x",
        "SET SESSION AUTHORIZATION x",
        "SET TRANSACTION READ ONLY",
        "SET CONSTRAINTS ALL DEFERRED",
        "RESET ALL",
        "RESET ROLE",
        "ALTER ROLE CURRENT_USER SET a = b",
        "ALTER /* x */ USER x",
        "DROP OWNED BY x",
        "REASSIGN OWNED BY x TO y",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char lower[64] = "";
        for (size_t k = 0; refused[i][k] != '\0'; k++) {
            lower[k] = refused[i][k] >= 'A' && refused[i][k] <= 'Z' ? (char)(refused[i][k] + 32)
                                                                    : refused[i][k];
        }
        if (allows(refused[i]) || allows(lower)) {
            fail_msg("allowed: %s", refused[i]);
        }
    }
}

/* White space, comments (nested ones too), semicolons and a byte order mark hide no keyword. */
static void test_guard_word_behind_comments_is_found(void **state)
{
    (void)state;
    const char *const refused[] = {
        " \t\r\n\f commit",
        ";;commit",
        ";/* x */ commit",
        "/* a /* b */ c */commit",
        "-- x\ncommit",
        "-- x\rcommit",
        "--\n--y\n;/**/ -- z\n COMMIT",
        "\xEF\xBB\xBF"
        "commit",
        "/*/**/*/commit",
        "commit/**/and chain",
        "commit;",
        "commit--",
        "SET/**/ROLE x",
        "/* -- */ commit",
        "-- /*\ncommit",
        "/***/commit",
        "\vcommit",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (allows(refused[i])) {
            fail_msg("allowed: %s", refused[i]);
        }
    }
}

/* Statements that work on data are let through, also when a control word stands elsewhere in them. */
static void test_guard_ordinary_statements_are_allowed(void **state)
{
    (void)state;
    const char *const allowed[] = {
        "SELECT 1",
        "INSERT INTO commit VALUES (1)",
        "WITH x AS (SELECT 1) DELETE FROM y",
        "(SELECT 1)",
        "VALUES (1)",
        "TABLE x",
        "DO $$ BEGIN END $$",
        "CALL p()",
        "LOCK TABLE x",
        "CREATE TABLE t ()",
        "ALTER TABLE role ADD a int",
        "DROP TABLE owned",
        "/* commit */ SELECT 1",
        "-- commit\nSELECT 1",
        "",
        " ; ",
        "/* never closed commit",
        "committed",
        "endless",
        "beginning()",
        "\"commit\"",
        "commit_log",
        "set_config('a','b',true)",
    };
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        if (!allows(allowed[i])) {
            fail_msg("refused: %s", allowed[i]);
        }
    }
}

/* SET LOCAL is let through for names that end with the branch and cannot harm it, and for no other. */
static void test_guard_set_local_by_name(void **state)
{
    (void)state;
    const char *const allowed[] = {
        "SET LOCAL work_mem = '1MB'",         "set local search_path to a, b",
        "SET LOCAL enable_seqscan = off",     "SET LOCAL app.user_id = '7'",
        "SET LOCAL \"app\".\"user\" = '7'",   "SET LOCAL TIME ZONE 'UTC'",
        "SET /* x */ LOCAL -- y\n jit = off", "SET LOCAL \"work_mem\" = 1",
        "SET LOCAL DateStyle = ISO",
    };
    const char *const refused[] = {"SET LOCAL role = x",
                                   "SET LOCAL ROLE x",
                                   "SET LOCAL \"role\" = x",
                                   "SET LOCAL synchronous_commit = off",
                                   "SET LOCAL statement_timeout = 0",
                                   "SET LOCAL lock_timeout = 0",
                                   "SET LOCAL SESSION AUTHORIZATION x",
                                   "SET LOCAL client_min_messages = error",
                                   "SET LOCAL assent.x = 1",
                                   "SET LOCAL client_encoding = x",
                                   "SET LOCAL transaction_read_only = on",
                                   "SET LOCAL",
                                   "SET LOCAL U&\"role\" = x",
                                   "SET LOCAL TRANSACTION READ ONLY",
                                   "SET LOCAL XML OPTION DOCUMENT"};
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        if (!allows(allowed[i])) {
            fail_msg("refused: %s", allowed[i]);
        }
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (allows(refused[i])) {
            fail_msg("allowed: %s", refused[i]);
        }
    }
}

/* The refusal names the words that caused it. */
static void test_guard_refusal_names_the_words(void **state)
{
    (void)state;
    char word[PG_GUARD_WORD_SIZE];
    assert_false(pg_guard_allows("; commit and chain", word));
    assert_string_equal(word, "COMMIT");
    assert_false(pg_guard_allows("set local role x", word));
    assert_string_equal(word, "SET LOCAL ROLE");
    assert_false(pg_guard_allows("set x = 1", word));
    assert_string_equal(word, "SET");
}

/* Only a plain change without RETURNING is known to answer without rows. */
static void test_guard_may_return_rows_only_plain_changes_do_not(void **state)
{
    (void)state;
    assert_false(pg_guard_may_return_rows("INSERT INTO a VALUES (1)"));
    assert_false(pg_guard_may_return_rows(" /* x */ update a set b = 1"));
    assert_false(pg_guard_may_return_rows("DELETE FROM a"));
    assert_true(pg_guard_may_return_rows("INSERT INTO a VALUES (1) Returning b"));
    assert_true(pg_guard_may_return_rows("SELECT 1"));
    assert_true(pg_guard_may_return_rows("WITH x AS (SELECT 1) INSERT INTO a SELECT 1"));
    assert_true(pg_guard_may_return_rows("EXPLAIN INSERT INTO a VALUES (1)"));
    assert_true(pg_guard_may_return_rows(""));
}

/* What may be DDL is told from the first word, whatever stands before it; what cannot be told is left to the server. */
static void test_guard_looks_like_dml_by_a_list_of_what_is_known(void **state)
{
    (void)state;
    static const char *const dml[] = {
        "select 1",
        " /* x */ INSERT INTO a VALUES (1)",
        "WITH a AS (SELECT 1) TABLE a",
        "(SELECT 1)",
        "",
        "truncate items",
        "-- x\nupdate a set b = 1",
        "SET LOCAL work_mem = '1MB'",
        "CALL f()",
    };
    static const char *const other[] = {
        "CREATE TABLE a AS SELECT 1",
        "drop table a",
        "/* SELECT */ ALTER TABLE a ADD b int",
        "GRANT ALL ON a TO b",
        "EXPLAIN ANALYZE CREATE TABLE a AS SELECT 1",
        "DO 'BEGIN END'",
        "COMMENT ON TABLE a IS 'x'",
        "REINDEX TABLE a",
        "SECURITY LABEL ON TABLE a IS 'x'",
        "REFRESH MATERIALIZED VIEW a",
        "IMPORT FOREIGN SCHEMA a FROM SERVER b INTO c",
        "SELECTION",
    };
    char word[PG_GUARD_WORD_SIZE] = "";
    for (size_t i = 0; i < sizeof dml / sizeof dml[0]; i++) {
        if (!pg_guard_looks_like_dml(dml[i], word)) {
            fail_msg("refused: %s", dml[i]);
        }
    }
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        if (pg_guard_looks_like_dml(other[i], word)) {
            fail_msg("allowed: %s", other[i]);
        }
    }
    assert_false(pg_guard_looks_like_dml("; drop table a", word));
    assert_string_equal(word, "DROP");
}

/* The server's tag is believed; a query's tag without a description of rows is CREATE TABLE AS or SELECT INTO. */
static void test_guard_tag_of_ddl_is_seen(void **state)
{
    (void)state;
    static const char *const dml[] = {"INSERT 0 1", "UPDATE 12", "DELETE 0",
                                      "MERGE 3",    "CALL",      "LOCK TABLE",
                                      "SET",        "",          "TRUNCATE TABLE"};
    static const char *const other[] = {
        "CREATE TABLE", "SELECT INTO", "CREATE TABLE AS", "DROP TABLE", "DO",
        "EXPLAIN",      "GRANT",       "SET CONSTRAINTS", "LOCK"};
    for (size_t i = 0; i < sizeof dml / sizeof dml[0]; i++) {
        assert_true(pg_guard_tag_is_dml(dml[i], false));
    }
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        assert_false(pg_guard_tag_is_dml(other[i], false));
        assert_false(pg_guard_tag_is_dml(other[i], true));
    }
    assert_true(pg_guard_tag_is_dml("SELECT 0", true));
    assert_false(pg_guard_tag_is_dml("SELECT 5", false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guard_control_words_are_refused),
        cmocka_unit_test(test_guard_word_behind_comments_is_found),
        cmocka_unit_test(test_guard_ordinary_statements_are_allowed),
        cmocka_unit_test(test_guard_set_local_by_name),
        cmocka_unit_test(test_guard_refusal_names_the_words),
        cmocka_unit_test(test_guard_may_return_rows_only_plain_changes_do_not),
        cmocka_unit_test(test_guard_looks_like_dml_by_a_list_of_what_is_known),
        cmocka_unit_test(test_guard_tag_of_ddl_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
