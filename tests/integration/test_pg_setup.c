/* `assent-agent setup`'s SQL: idempotent, and it refuses what would be unsafe. */
#include "tests/spec/pg_world.h"

#include <libpq-fe.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"

static struct world *world;
static char *admin;

static int set_up(void **state)
{
    (void)state;
    world = world_new(NULL);
    admin = pgcluster_conninfo_for(world->cluster, WORLD_DATABASE, "postgres");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(admin);
    world_free(world);
    return 0;
}

static struct pg_setup_options usual(void)
{
    struct pg_setup_options options = {
        .participant = WORLD_PARTICIPANT, .database = WORLD_DATABASE, .login_role = WORLD_ROLE};
    pg_token_hash(world->token, options.token_hash);
    return options;
}

static const char schema_dump_sql[] =
    "SELECT md5(string_agg(t, E'\\n' ORDER BY t)) FROM ("
    " SELECT format('%s %s %s', relname, relkind, relacl) AS t FROM pg_class"
    "  WHERE relnamespace = 'assent'::regnamespace"
    " UNION ALL SELECT format('%s %s', oid::regprocedure, proacl) FROM pg_proc"
    "  WHERE pronamespace = 'assent'::regnamespace"
    " UNION ALL SELECT format('%s %s %s %s %s %s %s', c.relname, attname, atttypid::regtype,"
    "  attnotnull, attinhcount, attacl, pg_get_expr(adbin, adrelid))"
    "  FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid AND c.relkind IN ('r', 'p')"
    "  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
    "  WHERE relnamespace = 'assent'::regnamespace AND attnum > 0 AND NOT attisdropped"
    " UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'assent'"
    " UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint"
    "  WHERE connamespace = 'assent'::regnamespace"
    " UNION ALL SELECT i::text FROM assent.identity i) x";

/* Running it again changes nothing, also while branches are prepared and have written rows. */
static void test_setup_again_changes_nothing(void **state)
{
    (void)state;
    struct error error = {0};
    struct pg_setup_options options = usual();
    char before[64];
    (void)snprintf(before, sizeof before, "%s", world_sql(world, schema_dump_sql));
    world_start(world, NULL);
    struct gid gid = world_gid(world, 1);
    assert_int_equal(world_execute(world, &gid, world_work("SELECT 1", NULL))->class, PG_OK);
    assert_true(pg_setup_apply(admin, &options, 10000, &error));
    assert_string_equal(world_sql(world, schema_dump_sql), before);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_OK);
    world_stop(world);
}

/* The printed SQL runs in psql as well, and does not contain the token. */
static void test_setup_printed_sql_runs_by_hand(void **state)
{
    (void)state;
    struct error error = {0};
    struct pg_setup_options options = usual();
    char *sql = NULL;
    char token[2 * PG_TOKEN_BYTES + 1];
    for (size_t i = 0; i < PG_TOKEN_BYTES; i++) {
        (void)snprintf(token + 2 * i, 3, "%02x", world->token[i]);
    }
    assert_true(pg_setup_sql(&options, &sql, &error));
    assert_null(strstr(sql, token));
    (void)world_sql(world, sql);
    free(sql);
}

/* A login role that is a superuser is refused, and nothing is changed. */
static void test_setup_superuser_as_login_role_is_refused(void **state)
{
    (void)state;
    struct error error = {0};
    struct pg_setup_options options = usual();
    options.login_role = "postgres";
    assert_false(pg_setup_apply(admin, &options, 10000, &error));
    assert_non_null(strstr(error.text, "superuser"));
    assert_string_equal(world_sql(world, "SELECT login_role FROM assent.identity"), WORLD_ROLE);
}

/* Roles of applications become roles that the login role may take, whatever their names are; those that clients' SQL must never have
 * are refused, and so is one that is not there. Nothing is changed where one of them is refused. */
static void test_setup_external_roles_are_granted(void **state)
{
    (void)state;
    static const char *const good[] = {"shop_app", "o'd\"d $assent$ app"};
    static const struct {
        const char *role, *words;
    } bad[] = {{"no_such_role", "does not exist"},
               {"postgres", "superuser"},
               {"almost_postgres", "superuser"},
               {"assent_owner", "assent_owner"},
               {WORLD_ROLE, "own"}};
    struct error error = {0};
    struct pg_setup_options options = usual();
    (void)world_sql(world, "CREATE ROLE shop_app; CREATE ROLE \"o'd\"\"d $assent$ app\";"
                           "CREATE ROLE almost_postgres; GRANT postgres TO almost_postgres");
    options.external_role_count = 2;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *const roles[] = {"shop_app", bad[i].role};
        options.external_roles = roles;
        assert_false(pg_setup_apply(admin, &options, 10000, &error));
        if (strstr(error.text, bad[i].words) == NULL) {
            fail_msg("%s: %s", bad[i].role, error.text);
        }
        assert_string_equal(
            world_sql(world, "SELECT pg_has_role('" WORLD_ROLE "', 'shop_app', 'MEMBER')"), "f");
    }
    options.external_roles = good;
    for (int again = 0; again < 2; again++) {
        error = (struct error){0};
        bool applied = pg_setup_apply(admin, &options, 10000, &error);
        assert_string_equal(error.text, "");
        assert_true(applied);
    }
    assert_string_equal(world_sql(world,
                                  "SELECT count(*) FROM pg_roles WHERE rolname LIKE '%app' AND"
                                  " pg_has_role('" WORLD_ROLE "', oid, 'MEMBER')"),
                        "2");
    (void)world_sql(world, "REVOKE shop_app, \"o'd\"\"d $assent$ app\" FROM " WORLD_ROLE);
}

/* One database is one participant. */
static void test_setup_second_participant_is_refused(void **state)
{
    (void)state;
    struct error error = {0};
    struct pg_setup_options options = usual();
    options.participant = "payment";
    assert_false(pg_setup_apply(admin, &options, 10000, &error));
    assert_non_null(strstr(error.text, "order"));
}

/* The SQL knows which database it is meant for. */
static void test_setup_wrong_database_is_refused(void **state)
{
    (void)state;
    struct error error = {0};
    struct pg_setup_options options = usual();
    options.database = "elsewhere";
    assert_false(pg_setup_apply(admin, &options, 10000, &error));
    assert_non_null(strstr(error.text, "elsewhere"));
}

/* Names with quotes, dollars and blanks are names, not SQL. */
static void test_setup_odd_names_are_quoted(void **state)
{
    (void)state;
    struct error error = {0};
    const char *const database = "o'd\"d $assent$ db";
    const char *const role = "r'o\"le; DROP TABLE $assent$";
    char *conninfo = pgcluster_conninfo_for(world->cluster, "postgres", "postgres");
    PGconn *conn = PQconnectdb(conninfo);
    char *name = PQescapeIdentifier(conn, database, strlen(database));
    char sql[256];
    (void)snprintf(sql, sizeof sql, "CREATE DATABASE %s", name);
    PGresult *result = PQexec(conn, sql);
    assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    PQfreemem(name);
    PQfinish(conn);
    char other[512];
    (void)snprintf(other, sizeof other, "%s dbname='o\\'d\"d $assent$ db'", conninfo);
    struct pg_setup_options options = usual();
    options.database = database;
    options.login_role = role;
    bool applied = pg_setup_apply(other, &options, 10000, &error);
    assert_string_equal(error.text, "");
    assert_true(applied);
    free(conninfo);
}

/* Names that PostgreSQL would cut or that break lines are refused before anything is sent. */
static void test_setup_impossible_names_are_refused(void **state)
{
    (void)state;
    struct error error = {0};
    char *sql = NULL;
    char too_long[65];
    memset(too_long, 'x', 64);
    too_long[64] = '\0';
    struct pg_setup_options options = usual();
    options.login_role = too_long;
    assert_false(pg_setup_sql(&options, &sql, &error));
    options.login_role = "a\nb";
    assert_false(pg_setup_sql(&options, &sql, &error));
    options.login_role = "";
    assert_false(pg_setup_sql(&options, &sql, &error));
    options = usual();
    options.participant = "Order; DROP";
    assert_false(pg_setup_sql(&options, &sql, &error));
}

/* A new token replaces the old one: the old agent is refused, the new one works, old rows stay. */
static void test_setup_new_token_replaces_the_old(void **state)
{
    (void)state;
    struct error error = {0};
    char path[sizeof world->token_path + 8];
    uint8_t token[PG_TOKEN_BYTES];
    struct pg_setup_options setup = usual();
    (void)snprintf(path, sizeof path, "%s.new", world->token_path);
    assert_true(pg_token_make(path, token, &error));
    pg_token_hash(token, setup.token_hash);
    assert_true(pg_setup_apply(admin, &setup, 10000, &error));
    world_start_unready(world, NULL);
    world_await_health(world, HEALTH_REFUSED);
    world_stop(world);
    struct pg_options options = world_options(world);
    options.token_file = path;
    world_start(world, &options);
    struct gid gid = world_gid(world, 2);
    assert_int_equal(world_execute(world, &gid, world_work("SELECT 1", NULL))->class, PG_OK);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_OK);
    assert_string_equal(world_sql(world, "SELECT count(*) FROM assent.outcome"), "2");
    world_stop(world);
    setup = usual();
    assert_true(pg_setup_apply(admin, &setup, 10000, &error));
}

/* A token file is made once, for its owner only, and read back the same. */
static void test_token_file_is_made_once_and_private(void **state)
{
    (void)state;
    struct error error = {0};
    char path[sizeof world->token_path + 8];
    uint8_t made[PG_TOKEN_BYTES];
    uint8_t again[PG_TOKEN_BYTES];
    struct stat status;
    (void)snprintf(path, sizeof path, "%s.once", world->token_path);
    assert_true(pg_token_make(path, made, &error));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_true(pg_token_make(path, again, &error));
    assert_memory_equal(made, again, sizeof made);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("0123\n", file);
    (void)fclose(file);
    assert_false(pg_token_load(path, again, &error));
    assert_int_equal(error.kind, ERROR_INVALID);
    assert_int_equal(unlink(path), 0);
    assert_false(pg_token_load(path, again, &error));
}

/* An administrator who is no superuser can set up a database of his own. */
static void test_setup_by_database_owner_works(void **state)
{
    (void)state;
    struct error error = {0};
    assert_true(pgcluster_sql(world->cluster, "postgres", "CREATE ROLE dba LOGIN CREATEROLE", NULL,
                              &error));
    assert_true(
        pgcluster_sql(world->cluster, "postgres", "CREATE DATABASE owned OWNER dba", NULL, &error));
    char *conninfo = pgcluster_conninfo_for(world->cluster, "owned", "dba");
    struct pg_setup_options options = usual();
    options.database = "owned";
    options.login_role = "owned_agent";
    bool applied = pg_setup_apply(conninfo, &options, 10000, &error);
    assert_string_equal(error.text, "");
    assert_true(applied);
    free(conninfo);
}

/* What a journal's witness was is what is read back; a lower epoch or a copied journal's nonce is refused (P-10). */
static void test_witness_is_kept_and_guarded(void **state)
{
    (void)state;
    world_start(world, NULL);
    struct gid any = world_gid(world, 1);
    struct witness stored = {.journal = any.gtrid.journal,
                             .epoch = 7,
                             .epoch_nonce = 0xFEDCBA9876543210u,
                             .head = {.number = 42, .hash = {9, 8, 7}},
                             .floor = {.epoch = 6, .sequence = 5, .first_number = 4},
                             .address = "tcp://127.0.0.1:7401"};
    struct command command = {.kind = COMMAND_LOAD_WITNESS, .as.load = stored.journal};
    struct command_result *result = world_await(world, world_submit(world, &command));
    assert_int_equal(result->class, PG_OK);
    assert_int_equal(result->witness.epoch, 0);

    command = (struct command){.kind = COMMAND_STORE_WITNESS, .as.store = stored};
    assert_int_equal(world_await(world, world_submit(world, &command))->class, PG_OK);
    command = (struct command){.kind = COMMAND_LOAD_WITNESS, .as.load = stored.journal};
    result = world_await(world, world_submit(world, &command));
    assert_int_equal(result->class, PG_OK);
    assert_int_equal(result->witness.epoch, stored.epoch);
    assert_true(result->witness.epoch_nonce == stored.epoch_nonce);
    assert_int_equal(result->witness.head.number, 42);
    assert_memory_equal(result->witness.head.hash, stored.head.hash, HASH_BYTES);
    assert_int_equal(result->witness.floor.sequence, 5);
    assert_string_equal(result->witness.address, stored.address);

    struct witness lower = stored;
    lower.epoch = 6;
    command = (struct command){.kind = COMMAND_STORE_WITNESS, .as.store = lower};
    assert_int_equal(world_await(world, world_submit(world, &command))->class, PG_REFUSED);
    struct witness copied = stored;
    copied.epoch_nonce++;
    command = (struct command){.kind = COMMAND_STORE_WITNESS, .as.store = copied};
    assert_int_equal(world_await(world, world_submit(world, &command))->class, PG_REFUSED);

    /* An older head that arrives late does not take back the newer one. */
    struct witness late = stored;
    late.head.number = 41;
    command = (struct command){.kind = COMMAND_STORE_WITNESS, .as.store = late};
    assert_int_equal(world_await(world, world_submit(world, &command))->class, PG_OK);
    assert_string_equal(world_sql(world, "SELECT head_number FROM assent.witness"), "42");
    world_stop(world);
}

static PGresult *next_result(PGconn *conn)
{
    PGresult *result = PQgetResult(conn);
    PGresult *end = PQgetResult(conn);
    assert_null(end);
    return result;
}

/* Two writers that both find no witness do not both win: the one that waited for the other is refused if its epoch is
 * lower, and takes back no head of the same epoch (P-10). */
static void test_witness_first_writers_at_once_keep_the_higher(void **state)
{
    (void)state;
    static const char format[] =
        "SELECT assent.store_witness('\\x%s', repeat('%s', 32), %d, repeat('0', 16), %d, '\\x00',"
        " 0, 0, 0, 'tcp://127.0.0.1:1', 0, 1)";
    static const struct {
        const char *digit;
        int epoch;
        int head;
        const char *sqlstate;
    } seconds[] = {{"c", 8, 5, "42501"}, {"d", 9, 4, NULL}};
    char token[2 * PG_TOKEN_BYTES + 1] = "";
    for (size_t i = 0; i < PG_TOKEN_BYTES; i++) {
        (void)snprintf(token + 2 * i, 3, "%02x", world->token[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        char sql[300];
        PGconn *first = PQconnectdb(admin);
        PGconn *second = PQconnectdb(admin);
        PQclear(PQexec(first, "BEGIN"));
        (void)snprintf(sql, sizeof sql, format, token, seconds[i].digit, 9, 5);
        PGresult *result = PQexec(first, sql);
        assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
        PQclear(result);
        (void)snprintf(sql, sizeof sql, format, token, seconds[i].digit, seconds[i].epoch,
                       seconds[i].head);
        assert_int_equal(PQsendQuery(second, sql), 1);
        world_await_sql(world,
                        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                        " AND query LIKE '%store_witness%'",
                        "1");
        PQclear(PQexec(first, "COMMIT"));
        result = next_result(second);
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        assert_string_equal(sqlstate == NULL ? "" : sqlstate,
                            seconds[i].sqlstate == NULL ? "" : seconds[i].sqlstate);
        PQclear(result);
        PQfinish(first);
        PQfinish(second);
        (void)snprintf(sql, sizeof sql,
                       "SELECT epoch || ' ' || head_number FROM assent.witness"
                       " WHERE journal = repeat('%s', 32)",
                       seconds[i].digit);
        assert_string_equal(world_sql(world, sql), "9 5");
    }
}

/* As the release before left it, with a finished branch and a journal; parameters are not checked here. */
static const char version_1_sql[] =
    "SET ROLE assent_owner;"
    "ALTER TABLE assent.outcome DROP COLUMN xid;"
    "ALTER TABLE assent.witness DROP COLUMN compared_xid;"
    "DROP FUNCTION assent.store_witness(bytea, text, bigint, text, bigint, bytea, bigint, bigint,"
    " bigint, text, bigint, bigint);"
    "CREATE FUNCTION assent.store_witness(bytea, text, bigint, text, bigint, bytea, bigint, bigint,"
    " bigint, text) RETURNS void LANGUAGE sql AS '';"
    "GRANT EXECUTE ON FUNCTION assent.store_witness(bytea, text, bigint, text, bigint, bytea,"
    " bigint, bigint, bigint, text) TO " WORLD_ROLE ";"
    "TRUNCATE assent.outcome, assent.witness;"
    "INSERT INTO assent.witness (journal, epoch, epoch_nonce, head_number, head_hash, floor_epoch,"
    " floor_sequence, floor_first, address) VALUES (repeat('e', 32), 7, repeat('0', 16), 1, '',"
    " 0, 0, 0, '');"
    "UPDATE assent.identity SET version = 1; RESET ROLE";

static void insert_version_1_row(uint64_t sequence, const char *end)
{
    char sql[400];
    char token[2 * PG_TOKEN_BYTES + 1] = "";
    struct gid gid = world_gid(world, sequence);
    for (size_t i = 0; i < PG_TOKEN_BYTES; i++) {
        (void)snprintf(token + 2 * i, 3, "%02x", world->token[i]);
    }
    (void)snprintf(sql, sizeof sql,
                   "BEGIN; INSERT INTO assent.outcome_0 (ring, sequence, gid, token)"
                   " VALUES (0, %lu, '%s', '\\x%s'); %s",
                   (unsigned long)sequence, world_gid_text(&gid), token, end);
    (void)world_sql(world, sql);
}

/* The agent does not work with the schema of the release before, and says what helps. */
static void test_setup_version_1_is_refused_with_the_remedy(void **state)
{
    (void)state;
    struct error error = {0};
    struct pg_setup_options options = usual();
    (void)world_sql(world, version_1_sql);
    world_start_unready(world, NULL);
    world_await_health(world, HEALTH_REFUSED);
    assert_string_equal(
        world->status.text,
        "schema assent has version 1, this agent needs 2; run `assent-agent setup`");
    world_stop(world);
    assert_true(pg_setup_apply(admin, &options, 10000, &error));
    world_start(world, NULL);
    world_stop(world);
}

/* Brought up to date, a schema is the same as a new one; what is in it stays and counts as older than everything. */
static void test_setup_version_1_becomes_version_2(void **state)
{
    (void)state;
    struct error error = {0};
    struct pg_setup_options options = usual();
    char fresh[64];
    (void)snprintf(fresh, sizeof fresh, "%s", world_sql(world, schema_dump_sql));
    (void)world_sql(world, version_1_sql);
    insert_version_1_row(70, "COMMIT");
    assert_string_not_equal(world_sql(world, schema_dump_sql), fresh);
    for (int i = 0; i < 2; i++) {
        bool applied = pg_setup_apply(admin, &options, 10000, &error);
        assert_string_equal(error.text, "");
        assert_true(applied);
        assert_string_equal(world_sql(world, schema_dump_sql), fresh);
    }
    assert_string_equal(world_sql(world, "SELECT string_agg(sequence || ' ' || xid, ',')"
                                         " FROM assent.outcome"),
                        "70 0");
    assert_string_equal(
        world_sql(world,
                  "SELECT string_agg(epoch || ' ' || compared_xid, ',') FROM assent.witness"),
        "7 0");
    assert_string_equal(world_sql(world, "SELECT count(*) FROM pg_proc WHERE pronamespace ="
                                         " 'assent'::regnamespace AND proname = 'store_witness'"),
                        "1");

    /* A new row knows its transaction. */
    world_start(world, NULL);
    struct gid gid = world_gid(world, 71);
    struct command_result *voted = world_execute(world, &gid, world_work("SELECT 1", NULL));
    assert_int_equal(voted->class, PG_OK);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_OK);
    char expected[32];
    (void)snprintf(expected, sizeof expected, "%lu", (unsigned long)voted->proof.xid8);
    assert_string_equal(world_sql(world, "SELECT xid FROM assent.outcome WHERE sequence = 71"),
                        expected);
    world_stop(world);
}

/* A prepared branch holds the table: set-up gives up after its lock timeout, changes nothing and says why. */
static void test_setup_version_1_with_a_prepared_branch_says_why(void **state)
{
    (void)state;
    struct error error = {0};
    struct pg_setup_options options = usual();
    char *sql = NULL;
    (void)world_sql(world, version_1_sql);
    insert_version_1_row(72, "PREPARE TRANSACTION 'of the old agent'");
    assert_true(pg_setup_sql(&options, &sql, &error));
    char *timeout = strstr(sql, "lock_timeout = '10s'");
    assert_non_null(timeout);
    memcpy(timeout, "lock_timeout = '9ms'", strlen("lock_timeout = '9ms'"));
    PGconn *conn = PQconnectdb(admin);
    PGresult *result = PQexec(conn, sql);
    assert_int_equal(PQresultStatus(result), PGRES_FATAL_ERROR);
    assert_string_equal(
        PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY),
        "version 1 of schema assent can not be changed while branches are prepared");
    assert_non_null(strstr(PQresultErrorField(result, PG_DIAG_MESSAGE_HINT), "SIGTERM"));
    PQclear(result);
    PQfinish(conn);
    free(sql);
    assert_string_equal(world_sql(world, "SELECT version FROM assent.identity"), "1");
    (void)world_sql(world, "COMMIT PREPARED 'of the old agent'");
    assert_true(pg_setup_apply(admin, &options, 10000, &error));
    assert_string_equal(world_sql(world, "SELECT version FROM assent.identity"), "2");
    assert_string_equal(world_sql(world, "SELECT sequence || ' ' || xid FROM assent.outcome"),
                        "72 0");
}

/* What a later release has made is not taken back to this one. */
static void test_setup_newer_schema_is_left_alone(void **state)
{
    (void)state;
    struct error error = {0};
    struct pg_setup_options options = usual();
    (void)world_sql(world, "UPDATE assent.identity SET version = 3");
    assert_false(pg_setup_apply(admin, &options, 10000, &error));
    assert_non_null(strstr(error.text, "schema assent has version 3, which is newer"));
    assert_string_equal(world_sql(world, "SELECT version FROM assent.identity"), "3");
    (void)world_sql(world, "UPDATE assent.identity SET version = 2");
}

/* P-12: a transaction id of another cluster says nothing here, so what is adopted is compared from the start. */
static void test_setup_adopt_compares_all_again(void **state)
{
    (void)state;
    struct error error = {0};
    struct pg_setup_options options = usual();
    (void)world_sql(world, "UPDATE assent.witness SET compared_xid = 77");
    options.adopt = true;
    assert_true(pg_setup_apply(admin, &options, 10000, &error));
    assert_string_equal(world_sql(world, "SELECT max(compared_xid) FROM assent.witness"), "77");

    (void)world_sql(world, "UPDATE assent.identity SET system_identifier = system_identifier + 1");
    options.adopt = false;
    assert_false(pg_setup_apply(admin, &options, 10000, &error));
    assert_non_null(strstr(error.hint, "--adopt"));
    assert_string_equal(world_sql(world, "SELECT max(compared_xid) FROM assent.witness"), "77");
    options.adopt = true;
    error = (struct error){0};
    assert_true(pg_setup_apply(admin, &options, 10000, &error));
    assert_string_equal(world_sql(world, "SELECT max(compared_xid) FROM assent.witness"), "0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_setup_again_changes_nothing),
        cmocka_unit_test(test_setup_printed_sql_runs_by_hand),
        cmocka_unit_test(test_setup_superuser_as_login_role_is_refused),
        cmocka_unit_test(test_setup_external_roles_are_granted),
        cmocka_unit_test(test_setup_second_participant_is_refused),
        cmocka_unit_test(test_setup_wrong_database_is_refused),
        cmocka_unit_test(test_setup_odd_names_are_quoted),
        cmocka_unit_test(test_setup_impossible_names_are_refused),
        cmocka_unit_test(test_setup_new_token_replaces_the_old),
        cmocka_unit_test(test_token_file_is_made_once_and_private),
        cmocka_unit_test(test_setup_by_database_owner_works),
        cmocka_unit_test(test_witness_is_kept_and_guarded),
        cmocka_unit_test(test_witness_first_writers_at_once_keep_the_higher),
        cmocka_unit_test(test_setup_newer_schema_is_left_alone),
        cmocka_unit_test(test_setup_version_1_is_refused_with_the_remedy),
        cmocka_unit_test(test_setup_version_1_becomes_version_2),
        cmocka_unit_test(test_setup_version_1_with_a_prepared_branch_says_why),
        cmocka_unit_test(test_setup_adopt_compares_all_again),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
