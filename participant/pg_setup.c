/* pg_setup.c - see pg_setup.h. */
#include "participant/pg_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium/crypto_hash_sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "participant/pg_setup_sql.h"
#include "participant/pg_text.h"

#define NAME_MAX_BYTES 63 /* PostgreSQL cuts longer names silently */

static const char begin_format[] =
    "-- Sets up a database for Assent; may be run again at any time.\n"
    "BEGIN;\n"
    "SET LOCAL client_min_messages = warning;\n"
    "SET LOCAL standard_conforming_strings = on;\n"
    "SET LOCAL search_path = pg_catalog;\n"
    "SET LOCAL lock_timeout = '10s';\n"
    "CREATE TEMPORARY TABLE assent_setup ON COMMIT DROP AS SELECT\n"
    "    %s::text AS participant,\n"
    "    %s::text AS database,\n"
    "    %s::text AS login_role,\n"
    "    '\\x%s'::bytea AS token_hash,\n"
    "    %s AS adopt;\n";

static const char external_begin[] = "CREATE TEMPORARY TABLE assent_external ON COMMIT DROP AS\n"
                                     "    SELECT pg_catalog.unnest(ARRAY[";
static const char external_end[] = "]::text[]) AS role;\n";

static bool check_name(const char *what, const char *name, struct error *ret_error)
{
    size_t length = name == NULL ? 0 : strlen(name);
    if (length == 0 || length > NAME_MAX_BYTES || !pg_text_valid(name)) {
        return error_set(ret_error, ERROR_INVALID, "%s must have 1 to %d bytes of UTF-8", what,
                         NAME_MAX_BYTES);
    }
    for (const char *c = name; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20) {
            return error_set(ret_error, ERROR_INVALID, "%s has a control character", what);
        }
    }
    return true;
}

/* A standard-conforming literal: only the quote is special. */
static void quote_literal(const char *text, char ret_quoted[2 * NAME_MAX_BYTES + 3])
{
    char *to = ret_quoted;
    *to++ = '\'';
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            *to++ = '\'';
        }
        *to++ = *text;
    }
    *to++ = '\'';
    *to = '\0';
}

static void hex_format(const uint8_t *bytes, size_t size, char *ret_text)
{
    for (size_t i = 0; i < size; i++) {
        (void)snprintf(ret_text + 2 * i, 3, "%02x", bytes[i]);
    }
}

bool pg_setup_sql(const struct pg_setup_options *options, char **ret_sql, struct error *ret_error)
{
    if (options->participant == NULL || !participant_name_valid(options->participant)) {
        return error_set(
            ret_error, ERROR_INVALID,
            "a participant's name has 1 to 63 of a-z, 0-9, _ and -, and begins with a letter");
    }
    if (!check_name("the database's name", options->database, ret_error) ||
        !check_name("the login role's name", options->login_role, ret_error)) {
        return false;
    }
    for (size_t i = 0; i < options->external_role_count; i++) {
        if (!check_name("an external role's name", options->external_roles[i], ret_error)) {
            return false;
        }
    }
    char participant[2 * NAME_MAX_BYTES + 3];
    char database[2 * NAME_MAX_BYTES + 3];
    char login_role[2 * NAME_MAX_BYTES + 3];
    char hash[2 * PG_TOKEN_HASH_BYTES + 1];
    quote_literal(options->participant, participant);
    quote_literal(options->database, database);
    quote_literal(options->login_role, login_role);
    hex_format(options->token_hash, PG_TOKEN_HASH_BYTES, hash);

    static const char *const parts[] = {setup_roles_sql,     setup_tables_sql, setup_identity_sql,
                                        setup_functions_sql, setup_grants_sql, setup_external_sql,
                                        "COMMIT;\n"};
    size_t size = sizeof begin_format + sizeof participant + sizeof database + sizeof login_role +
                  sizeof hash + 8 + sizeof external_begin + sizeof external_end +
                  options->external_role_count * (2 * NAME_MAX_BYTES + 5);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size += strlen(parts[i]);
    }
    char *sql = alloc_array(size, 1);
    size_t length = (size_t)snprintf(sql, size, begin_format, participant, database, login_role,
                                     hash, options->adopt ? "true" : "false");
    length += (size_t)snprintf(sql + length, size - length, "%s", external_begin);
    for (size_t i = 0; i < options->external_role_count; i++) {
        char role[2 * NAME_MAX_BYTES + 3];
        quote_literal(options->external_roles[i], role);
        length += (size_t)snprintf(sql + length, size - length, "%s%s", i == 0 ? "" : ", ", role);
    }
    length += (size_t)snprintf(sql + length, size - length, "%s", external_end);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t part = strlen(parts[i]);
        memcpy(sql + length, parts[i], part);
        length += part;
    }
    *ret_sql = sql;
    return true;
}

/* Runs a script of several statements; the first error is the answer. */
static bool run_script(struct pg_session *session, const char *sql, uint64_t deadline_ms,
                       struct error *ret_error)
{
    if (PQsendQuery(session->conn, sql) == 0) {
        return error_set(ret_error, ERROR_UNAVAILABLE, "%s", PQerrorMessage(session->conn));
    }
    bool done = true;
    for (;;) {
        PGresult *result = NULL;
        enum pg_wait wait = pg_session_result(session, deadline_ms, &result);
        if (wait != PG_WAIT_OK) {
            return error_set(ret_error, ERROR_UNAVAILABLE, "%s",
                             wait == PG_WAIT_LOST ? session->last_error : "no answer in time");
        }
        if (result == NULL) {
            return done;
        }
        if (done && PQresultStatus(result) == PGRES_FATAL_ERROR) {
            const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
            const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
            done = error_set(ret_error, ERROR_INVALID, "%s", text == NULL ? "unknown error" : text);
            (void)error_hint(ret_error, "%s", hint == NULL ? "" : hint);
        }
        PQclear(result);
    }
}

bool pg_setup_apply(const char *admin_conninfo, const struct pg_setup_options *options,
                    uint32_t timeout_ms, struct error *ret_error)
{
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    char *sql = NULL;
    if (!pg_setup_sql(options, &sql, ret_error)) {
        return false;
    }
    struct pg_session session;
    struct pg_target target = {.conninfo = admin_conninfo,
                               .application_name = "assent-agent setup"};
    pg_session_init(&session, -1, 1);
    bool done = pg_session_connect(&session, &target, deadline_ms, ret_error) &&
                run_script(&session, sql, deadline_ms, ret_error);
    pg_session_close(&session);
    free(sql);
    return done || error_wrap(ret_error, "setup");
}

char *pg_setup_notes(const struct pg_setup_options *options)
{
    char *notes = NULL;
    if (asprintf(
            &notes,
            "Grant %s what its branches need on your own tables, for example:\n"
            "    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \"%s\";\n"
            "Let it log in without a password in the agent's conninfo: peer or certificate in "
            "pg_hba.conf, "
            "or a passfile.\n"
            "max_prepared_transactions must not be 0; max_connections of the server is a good "
            "value.\n",
            options->login_role, options->login_role) < 0) {
        return alloc_string("");
    }
    return notes;
}

bool pg_token_load(const char *path, uint8_t ret_token[PG_TOKEN_BYTES], struct error *ret_error)
{
    char text[2 * PG_TOKEN_BYTES + 2] = "";
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        int errnum = errno;
        (void)error_set_errno(ret_error, ERROR_IO, errnum, "token file %s", path);
        return error_hint(ret_error, "`assent-agent setup` makes it");
    }
    ssize_t size = fstat(fd, &status) == 0 ? read(fd, text, sizeof text - 1) : -1;
    int errnum = errno;
    (void)close(fd);
    if (size < 0) {
        return error_set_errno(ret_error, ERROR_IO, errnum, "token file %s", path);
    }
    if ((status.st_mode & 077) != 0) {
        (void)error_set(ret_error, ERROR_DENIED, "token file %s can be read by others", path);
        return error_hint(ret_error, "chmod 600 it, then make a new one with `assent-agent setup`");
    }
    uint8_t token[PG_TOKEN_BYTES];
    bool valid =
        size >= 2 * PG_TOKEN_BYTES && strspn(text, "0123456789abcdef") == 2 * PG_TOKEN_BYTES;
    for (size_t i = 0; valid && i < PG_TOKEN_BYTES; i++) {
        unsigned int byte = 0;
        valid = sscanf(text + 2 * i, "%2x", &byte) == 1;
        token[i] = (uint8_t)byte;
    }
    if (!valid) {
        return error_set(ret_error, ERROR_INVALID, "token file %s is not 32 hex digits", path);
    }
    memcpy(ret_token, token, sizeof token);
    return true;
}

bool pg_token_make(const char *path, uint8_t ret_token[PG_TOKEN_BYTES], struct error *ret_error)
{
    uint8_t token[PG_TOKEN_BYTES];
    char text[2 * PG_TOKEN_BYTES + 2];
    if (getrandom(token, sizeof token, 0) != (ssize_t)sizeof token) {
        return error_set_errno(ret_error, ERROR_SYSTEM, errno, "random numbers");
    }
    hex_format(token, sizeof token, text);
    text[2 * PG_TOKEN_BYTES] = '\n';
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
        return pg_token_load(path, ret_token, ret_error);
    }
    if (fd < 0) {
        return error_set_errno(ret_error, ERROR_IO, errno, "token file %s", path);
    }
    bool written =
        write(fd, text, 2 * PG_TOKEN_BYTES + 1) == 2 * PG_TOKEN_BYTES + 1 && fsync(fd) == 0;
    int errnum = errno;
    (void)close(fd);
    if (!written) {
        (void)unlink(path); /* half a token would be refused for ever after */
        return error_set_errno(ret_error, ERROR_IO, errnum, "token file %s", path);
    }
    memcpy(ret_token, token, sizeof token);
    return true;
}

void pg_token_hash(const uint8_t token[PG_TOKEN_BYTES], uint8_t ret_hash[PG_TOKEN_HASH_BYTES])
{
    (void)crypto_hash_sha256(ret_hash, token, PG_TOKEN_BYTES);
}
