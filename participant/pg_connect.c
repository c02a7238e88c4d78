/* pg_connect.c - see pg_connect.h. */
#include "participant/pg_connect.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/clock.h"
#include "participant/pg_text.h"

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 2000   /* everything must be over 10 s after the server is back */
#define VERSION_MIN    140000 /* pg_terminate_backend with a timeout */

#define OID_BYTEA 17

void pg_application_name(const char *participant, uint64_t incarnation, const char *role,
                         char ret_name[PG_APPLICATION_NAME_SIZE])
{
    (void)snprintf(ret_name, PG_APPLICATION_NAME_SIZE, "assent-agent/%.22s/%016" PRIx64 "/%.8s",
                   participant, incarnation, role);
}

void pg_session_init(struct pg_session *session, int stop_fd, uint64_t seed)
{
    memset(session, 0, sizeof *session);
    session->stop_fd = stop_fd;
    session->jitter = seed | 1;
}

static void receive_notice(void *arg, const PGresult *result)
{
    struct pg_session *session = arg;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0)) {
        session->dying = true; /* the server's farewell to an idle connection comes as a notice */
    }
    if (severity != NULL && strcmp(severity, "WARNING") == 0) {
        session->warned = true;
        pg_text_copy(session->warning, sizeof session->warning,
                     PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
    }
}

/* Waits for the socket; PG_WAIT_OK when it may have become ready. */
static enum pg_wait wait_socket(const struct pg_session *session, short events,
                                uint64_t deadline_ms, short *ret_events)
{
    uint64_t now = clock_monotonic_ms();
    if (now >= deadline_ms) {
        return PG_WAIT_DEADLINE;
    }
    uint64_t left = deadline_ms - now;
    struct pollfd fds[2] = {
        {.fd = PQsocket(session->conn), .events = events},
        {.fd = session->stop_fd, .events = POLLIN}, /* poll ignores -1 */
    };
    if (fds[0].fd < 0) {
        *ret_events = POLLERR;
        return PG_WAIT_OK;
    }
    int count = poll(fds, 2, left > 3600000 ? 3600000 : (int)left);
    if (count < 0 && errno != EINTR) {
        return PG_WAIT_LOST;
    }
    if (count > 0 && (fds[1].revents & POLLIN) != 0) {
        return PG_WAIT_STOPPED;
    }
    *ret_events = count > 0 ? fds[0].revents : 0;
    return PG_WAIT_OK;
}

static enum pg_wait connect_wait(struct pg_session *session, uint64_t deadline_ms)
{
    short wanted = POLLOUT;
    for (;;) {
        short ready = 0;
        enum pg_wait wait = wait_socket(session, wanted, deadline_ms, &ready);
        if (wait != PG_WAIT_OK) {
            return wait;
        }
        if (ready == 0) {
            continue;
        }
        switch (PQconnectPoll(session->conn)) {
        case PGRES_POLLING_OK:
            return PG_WAIT_OK;
        case PGRES_POLLING_READING:
            wanted = POLLIN;
            break;
        case PGRES_POLLING_WRITING:
            wanted = POLLOUT;
            break;
        case PGRES_POLLING_FAILED:
        case PGRES_POLLING_ACTIVE:
            return PG_WAIT_LOST;
        }
    }
}

void pg_session_back_off(struct pg_session *session)
{
    uint32_t shift = session->failures < 7 ? session->failures : 7;
    uint64_t delay = (uint64_t)BACKOFF_MIN_MS << shift;
    if (delay > BACKOFF_MAX_MS) {
        delay = BACKOFF_MAX_MS;
    }
    session->failures++;
    /* xorshift: jitter needs no quality, only that many agents do not come back in step. */
    session->jitter ^= session->jitter << 13;
    session->jitter ^= session->jitter >> 7;
    session->jitter ^= session->jitter << 17;
    session->retry_at_ms = clock_monotonic_ms() + delay / 2 + session->jitter % (delay / 2 + 1);
}

void pg_session_close(struct pg_session *session)
{
    if (session->conn != NULL) {
        PQfinish(session->conn);
        session->conn = NULL;
    }
    session->pid = 0;
}

bool pg_session_connect(struct pg_session *session, const struct pg_target *target,
                        uint64_t deadline_ms, struct error *ret_error)
{
    CHECK(session->conn == NULL);
    /* What stands before dbname may be overridden by the conninfo, what stands behind it may not.
     */
    const char *const keywords[] = {"tcp_user_timeout", "keepalives_idle", "dbname",
                                    "application_name", "client_encoding", NULL};
    const char *const values[] = {"10000", "30", target->conninfo, target->application_name,
                                  "UTF8",  NULL};
    session->conn = PQconnectStartParams(keywords, values, 1);
    enum pg_wait wait = PG_WAIT_LOST;
    if (session->conn != NULL && PQstatus(session->conn) != CONNECTION_BAD) {
        (void)PQsetNoticeReceiver(session->conn, receive_notice, session);
        wait = connect_wait(session, deadline_ms);
    }
    if (wait != PG_WAIT_OK || PQsetnonblocking(session->conn, 1) != 0) {
        (void)error_set(ret_error, ERROR_UNAVAILABLE, "%s",
                        wait == PG_WAIT_LOST && session->conn != NULL
                            ? PQerrorMessage(session->conn)
                            : "no connection to PostgreSQL in time");
        pg_session_close(session);
        return false;
    }
    session->pid = PQbackendPID(session->conn);
    session->dying = false;
    return true;
}

bool pg_session_open(struct pg_session *session, const struct pg_target *target,
                     uint64_t deadline_ms, struct error *ret_error)
{
    struct error error = {0};
    if (!pg_session_connect(session, target, deadline_ms, &error) ||
        !pg_session_read_facts(session, target, deadline_ms, &error)) {
        pg_text_copy(session->last_error, sizeof session->last_error, error.text);
        pg_session_close(session);
        pg_session_back_off(session);
        return error_set(ret_error, ERROR_UNAVAILABLE, "%s", error.text);
    }
    return true;
}

bool pg_session_alive(struct pg_session *session)
{
    /* Something that came though nothing was asked is a notice, or the server's farewell and the end. */
    for (int i = 0; i < 100 && session->conn != NULL && !session->dying; i++) {
        struct pollfd fd = {.fd = PQsocket(session->conn), .events = POLLIN};
        if (PQstatus(session->conn) == CONNECTION_BAD || fd.fd < 0) {
            return false;
        }
        if (poll(&fd, 1, 0) <= 0) {
            return true;
        }
        if (PQconsumeInput(session->conn) == 0 || PQisBusy(session->conn) != 0) {
            return false;
        }
        PGresult *unasked = PQgetResult(session->conn);
        PQclear(unasked);
        if (unasked != NULL) {
            return false;
        }
    }
    return false;
}

static enum pg_wait take_result(struct pg_session *session, PGresult **ret_result)
{
    PGresult *result = PQgetResult(session->conn);
    if (result != NULL && PQresultStatus(result) == PGRES_FATAL_ERROR &&
        PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL) {
        /* Made by libpq, not by the server: the connection broke (so nothing is known). */
        pg_text_copy(session->last_error, sizeof session->last_error, PQresultErrorMessage(result));
        PQclear(result);
        return PG_WAIT_LOST;
    }
    *ret_result = result;
    return PG_WAIT_OK;
}

enum pg_wait pg_session_result(struct pg_session *session, uint64_t deadline_ms,
                               PGresult **ret_result)
{
    bool input_ended = false;
    for (;;) {
        int unsent = PQflush(session->conn);
        /* A failed write is not the end: the server's last words may be waiting to be read. */
        if (input_ended || PQisBusy(session->conn) == 0) {
            return take_result(session, ret_result);
        }
        short ready = 0;
        short wanted = (short)(unsent > 0 ? POLLIN | POLLOUT : POLLIN);
        enum pg_wait wait = wait_socket(session, wanted, deadline_ms, &ready);
        if (wait != PG_WAIT_OK) {
            return wait;
        }
        if ((ready & (POLLIN | POLLERR | POLLHUP)) != 0) {
            /* After a failure libpq has closed the socket, so PQgetResult cannot block: it gives
             * what had arrived, and then its own error. */
            input_ended = PQconsumeInput(session->conn) == 0;
        }
    }
}

enum pg_wait pg_session_query(struct pg_session *session, const struct pg_query *query,
                              uint64_t deadline_ms, PGresult **ret_result)
{
    if (PQsendQueryParams(session->conn, query->sql, query->param_count, query->types,
                          query->values, query->lengths, query->formats, 0) == 0) {
        pg_text_copy(session->last_error, sizeof session->last_error,
                     PQerrorMessage(session->conn));
        return PG_WAIT_LOST;
    }
    PGresult *first = NULL;
    enum pg_wait wait = pg_session_result(session, deadline_ms, &first);
    if (wait != PG_WAIT_OK) {
        return wait;
    }
    PGresult *next = first;
    while (wait == PG_WAIT_OK && next != NULL) {
        next = NULL;
        wait = pg_session_result(session, deadline_ms, &next);
        PQclear(next);
    }
    if (wait != PG_WAIT_OK || first == NULL) {
        PQclear(first);
        return wait == PG_WAIT_OK ? PG_WAIT_LOST : wait;
    }
    *ret_result = first;
    return PG_WAIT_OK;
}

static const char *cell(const PGresult *result, int column)
{
    return PQgetvalue(result, 0, column);
}

static bool cell_is(const PGresult *result, int column, const char *text)
{
    return strcmp(cell(result, column), text) == 0;
}

/* The timeline comes from the name of the WAL file being written: the control file names the old
 * timeline for seconds after a promotion. Nothing of that can be asked of a standby. */
/* Every name and operator is qualified: a client could have set the role's search_path (ALTER
 * ROLE), and the token must not pass through an operator of the client's making. */
static const char server_sql[] =
    "SELECT pg_catalog.pg_is_in_recovery(),"
    /* Read-only is what the server or the database says. A role may set its own defaults, so client SQL can: such an
     * entry must not switch the participant off, and our sessions say otherwise for themselves. It hides the server's own
     * setting (not the database's), which then counts as off. */
    " CASE WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_db_role_setting s, pg_catalog.pg_roles r,"
    "  pg_catalog.unnest(s.setconfig) c WHERE r.rolname OPERATOR(pg_catalog.=) session_user"
    "  AND s.setrole OPERATOR(pg_catalog.=) r.oid"
    "  AND s.setdatabase OPERATOR(pg_catalog.=) ANY (ARRAY[0, d.oid]::pg_catalog.oid[])"
    "  AND pg_catalog.starts_with(c, 'default_transaction_read_only='))"
    " THEN EXISTS (SELECT 1 FROM pg_catalog.pg_db_role_setting s,"
    "  pg_catalog.unnest(s.setconfig) c WHERE s.setrole OPERATOR(pg_catalog.=) 0::pg_catalog.oid"
    "  AND s.setdatabase OPERATOR(pg_catalog.=) d.oid"
    "  AND pg_catalog.starts_with(c, 'default_transaction_read_only=')"
    "  AND pg_catalog.split_part(c, '=', 2)::pg_catalog.bool)"
    " ELSE (SELECT s.reset_val OPERATOR(pg_catalog.=) 'on' FROM pg_catalog.pg_settings s"
    "  WHERE s.name OPERATOR(pg_catalog.=) 'default_transaction_read_only') END,"
    " (SELECT r.rolsuper FROM pg_catalog.pg_roles r"
    "  WHERE r.rolname OPERATOR(pg_catalog.=) session_user),"
    " EXISTS (SELECT 1 FROM pg_catalog.pg_roles o"
    "  WHERE o.rolname OPERATOR(pg_catalog.=) 'assent_owner'"
    "  AND pg_catalog.pg_has_role(session_user, o.oid, 'MEMBER')),"
    " pg_catalog.pg_backend_pid(),"
    " pg_catalog.current_setting('max_prepared_transactions'),"
    " pg_catalog.current_setting('fsync'),"
    " pg_catalog.current_setting('full_page_writes'),"
    " pg_catalog.current_setting('synchronous_commit'),"
    " (SELECT c.system_identifier FROM pg_catalog.pg_control_system() c),"
    /* The timeline comes from the name of the WAL file being written: the control file names the
     * old timeline for seconds after a promotion. A standby can be asked none of the next three. */
    " CASE WHEN pg_catalog.pg_is_in_recovery() THEN '' ELSE"
    "  pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) END,"
    " CASE WHEN pg_catalog.pg_is_in_recovery() THEN 0 ELSE pg_catalog.pg_wal_lsn_diff("
    "  pg_catalog.pg_current_wal_insert_lsn(), '0/0') END,"
    " CASE WHEN pg_catalog.pg_is_in_recovery() THEN 0 ELSE pg_catalog.pg_wal_lsn_diff("
    "  pg_catalog.pg_current_wal_flush_lsn(), '0/0') END,"
    " d.oid, d.datname"
    " FROM pg_catalog.pg_database d"
    " WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()";

static const char setup_sql[] =
    "SELECT i.participant, i.database, i.system_identifier, i.version,"
    " i.token_hash OPERATOR(pg_catalog.=) pg_catalog.sha256($1), r.current"
    " FROM assent.identity i, assent.ring r";

static void read_server(struct pg_facts *facts, const PGconn *conn, const PGresult *result)
{
    facts->version = PQserverVersion(conn);
    facts->in_recovery = cell_is(result, 0, "t");
    facts->read_only = cell_is(result, 1, "t");
    facts->superuser = cell_is(result, 2, "t");
    facts->owns_tables = cell_is(result, 3, "t");
    facts->pooled = strtol(cell(result, 4), NULL, 10) != PQbackendPID(conn);
    facts->max_prepared = strtol(cell(result, 5), NULL, 10);
    facts->fsync_off = cell_is(result, 6, "off");
    facts->full_page_writes_off = cell_is(result, 7, "off");
    facts->synchronous_commit_off = cell_is(result, 8, "off");
    facts->identity.system_id = strtoull(cell(result, 9), NULL, 10);
    facts->identity.timeline = (uint32_t)strtoul(cell(result, 10), NULL, 16);
    facts->identity.lsn = strtoull(cell(result, 11), NULL, 10);
    facts->flush_lsn = strtoull(cell(result, 12), NULL, 10);
    facts->identity.database_oid = (uint32_t)strtoul(cell(result, 13), NULL, 10);
    pg_text_copy(facts->identity.database, sizeof facts->identity.database, cell(result, 14));
}

static void read_setup(struct pg_facts *facts, const PGresult *result)
{
    facts->setup_found = true;
    pg_text_copy(facts->setup_participant, sizeof facts->setup_participant, cell(result, 0));
    pg_text_copy(facts->setup_database, sizeof facts->setup_database, cell(result, 1));
    facts->setup_system_id = strtoull(cell(result, 2), NULL, 10);
    facts->setup_version = (int)strtol(cell(result, 3), NULL, 10);
    facts->setup_token_matches = cell_is(result, 4, "t");
    facts->ring = (uint32_t)strtoul(cell(result, 5), NULL, 10);
}

bool pg_session_read_facts(struct pg_session *session, const struct pg_target *target,
                           uint64_t deadline_ms, struct error *ret_error)
{
    struct pg_facts facts = {0};
    PGresult *result = NULL;
    enum pg_wait wait =
        pg_session_query(session, &(struct pg_query){.sql = server_sql}, deadline_ms, &result);
    if (wait != PG_WAIT_OK) {
        return error_set(ret_error, ERROR_UNAVAILABLE, "no answer from PostgreSQL (%s)",
                         wait == PG_WAIT_LOST ? session->last_error : "deadline");
    }
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1) {
        (void)error_set(ret_error, ERROR_UNAVAILABLE, "%s", PQresultErrorMessage(result));
        PQclear(result);
        return false;
    }
    read_server(&facts, session->conn, result);
    PQclear(result);

    static const uint8_t no_token[PG_TOKEN_BYTES];
    const struct pg_query query = {
        .sql = setup_sql,
        .param_count = 1,
        .types = (const Oid[]){OID_BYTEA},
        .values = (const char *const[]){(const char *)(target->token ? target->token : no_token)},
        .lengths = (const int[]){PG_TOKEN_BYTES},
        .formats = (const int[]){1},
    };
    wait = pg_session_query(session, &query, deadline_ms, &result);
    if (wait != PG_WAIT_OK) {
        return error_set(ret_error, ERROR_UNAVAILABLE, "no answer from PostgreSQL (%s)",
                         wait == PG_WAIT_LOST ? session->last_error : "deadline");
    }
    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1) {
        read_setup(&facts, result);
    } else {
        const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        pg_text_copy(facts.setup_error, sizeof facts.setup_error,
                     text == NULL ? "assent.identity is empty" : text);
    }
    PQclear(result);
    session->facts = facts;
    return true;
}

/* The order matters: what makes the rest meaningless comes first. */
enum health pg_facts_judge(const struct pg_facts *facts, const char *participant,
                           char ret_text[HEALTH_TEXT_SIZE])
{
    const size_t size = HEALTH_TEXT_SIZE;
    ret_text[0] = '\0';
    if (facts->version < VERSION_MIN) {
        (void)snprintf(ret_text, size,
                       "PostgreSQL %d is too old, 14 is the oldest that is supported",
                       facts->version / 10000);
    } else if (facts->pooled) {
        (void)snprintf(ret_text, size,
                       "a connection pooler stands in between; the agent needs direct connections");
    } else if (facts->superuser) {
        (void)snprintf(
            ret_text, size,
            "the login role is a superuser, clients' SQL would be too; use the role that "
            "`assent-agent setup` makes");
    } else if (facts->in_recovery || facts->read_only) {
        (void)snprintf(ret_text, size, "%s",
                       facts->in_recovery ? "the server is a standby (in recovery)"
                                          : "default_transaction_read_only is on");
        return HEALTH_READ_ONLY;
    } else if (facts->max_prepared == 0) {
        (void)snprintf(
            ret_text, size,
            "max_prepared_transactions is 0; set it to at least max_connections and restart "
            "PostgreSQL");
    } else if (!facts->setup_found) {
        (void)snprintf(ret_text, size, "not set up (%.120s); run `assent-agent setup`",
                       facts->setup_error);
    } else if (facts->setup_version != SETUP_VERSION) {
        (void)snprintf(
            ret_text, size,
            "schema assent has version %d, this agent needs %d; run `assent-agent setup`",
            facts->setup_version, SETUP_VERSION);
    } else if (strcmp(facts->setup_participant, participant) != 0) {
        (void)snprintf(ret_text, size, "this is the database of participant %.63s, not of %.63s",
                       facts->setup_participant, participant);
    } else if (facts->setup_system_id != facts->identity.system_id ||
               strcmp(facts->setup_database, facts->identity.database) != 0) {
        (void)snprintf(
            ret_text, size,
            "this is a copy of database %.63s of another cluster; if it is meant to take its "
            "place run `assent-agent setup --adopt`",
            facts->setup_database);
    } else if (!facts->setup_token_matches) {
        (void)snprintf(ret_text, size, "the token file is not the one of this database's setup");
    } else if (facts->owns_tables) {
        (void)snprintf(
            ret_text, size,
            "the login role is a member of assent_owner, clients' SQL could forge outcomes");
    } else {
        return HEALTH_UP;
    }
    return HEALTH_REFUSED;
}
