/* setup.c - see setup.h. */
#include "participant/setup.h"

#include <errno.h>
#include <jansson.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/cli.h"
#include "participant/config.h"
#include "participant/pg_conninfo.h"
#include "participant/pg_setup.h"
#include "participant/pg_text.h"

#define PROGRAM          "assent-agent setup"
#define APPLY_TIMEOUT_MS 30000
#define EXTERNAL_MAX     64 /* --external-role on one command line; setup may be repeated */

struct setup {
    const char *config_path;
    const char *participant, *database, *role, *token_file;
    const char *admin_conninfo;
    size_t external_count;
    const char *external[EXTERNAL_MAX];
    bool apply;
    bool adopt;
    bool json;
};

enum setup_key {
    SETUP_KEY_APPLY = 0x300,
    SETUP_KEY_ADMIN,
    SETUP_KEY_ADOPT,
    SETUP_KEY_TOKEN_FILE,
    SETUP_KEY_EXTERNAL,
};

static const struct argp_option options[] = {
    {"config", 'c', "FILE", 0,
     "The agent's configuration: gives participant, token file, and (from conninfo) database and "
     "role",
     0},
    {"participant", 'p', "NAME", 0, "The participant's name (without --config)", 0},
    {"database", 'd', "NAME", 0, "The database (without --config)", 0},
    {"role", 'r', "NAME", 0, "The agent's login role; used by nothing else (without --config)", 0},
    {"token-file", SETUP_KEY_TOKEN_FILE, "FILE", 0,
     "Made with mode 0600 if it is not there (without --config)", 0},
    {"external-role", SETUP_KEY_EXTERNAL, "NAME", 0,
     "A role of an application that prepares branches itself: GRANT it to the agent's login role, "
     "which "
     "then can finish them; may be repeated",
     0},
    {"apply", SETUP_KEY_APPLY, NULL, 0, "Run the SQL instead of printing it; needs --admin", 0},
    {"admin", SETUP_KEY_ADMIN, "CONNINFO", 0,
     "An administrator's connection to that database, without a password", 0},
    {"adopt", SETUP_KEY_ADOPT, NULL, 0,
     "This copy of the database is the participant from now on (planned move, pg_upgrade)", 0},
    {"json", 'j', NULL, 0, "Print JSON", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct setup *setup = state->input;
    switch (key) {
    case 'c':
        setup->config_path = argument;
        return 0;
    case 'p':
        setup->participant = argument;
        return 0;
    case 'd':
        setup->database = argument;
        return 0;
    case 'r':
        setup->role = argument;
        return 0;
    case SETUP_KEY_TOKEN_FILE:
        setup->token_file = argument;
        return 0;
    case SETUP_KEY_EXTERNAL:
        if (setup->external_count == EXTERNAL_MAX) {
            argp_error(state, "--external-role is given more than %d times", EXTERNAL_MAX);
        }
        setup->external[setup->external_count++] = argument;
        return 0;
    case SETUP_KEY_APPLY:
        setup->apply = true;
        return 0;
    case SETUP_KEY_ADMIN:
        setup->admin_conninfo = argument;
        return 0;
    case SETUP_KEY_ADOPT:
        setup->adopt = true;
        return 0;
    case 'j':
        setup->json = true;
        return 0;
    case ARGP_KEY_END:
        if (setup->apply && setup->admin_conninfo == NULL) {
            argp_error(state, "--apply needs --admin CONNINFO");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The value of one keyword of a connection string; NULL if it is not in it. Returns owned. */
static char *conninfo_value(const char *conninfo, const char *keyword)
{
    PQconninfoOption *all = PQconninfoParse(conninfo, NULL);
    char *value = NULL;
    for (PQconninfoOption *one = all; one != NULL && one->keyword != NULL; one++) {
        if (strcmp(one->keyword, keyword) == 0 && one->val != NULL) {
            value = alloc_string(one->val);
        }
    }
    PQconninfoFree(all);
    return value;
}

/* What the command line leaves open comes from the configuration file. */
static bool setup_complete(struct setup *setup, struct agent_settings *settings,
                           char **ret_database, char **ret_role, struct error *ret_error)
{
    if (setup->config_path != NULL) {
        if (!agent_settings_load(setup->config_path, settings, ret_error)) {
            return false;
        }
        *ret_database = conninfo_value(settings->conninfo, "dbname");
        *ret_role = conninfo_value(settings->conninfo, "user");
        setup->participant =
            setup->participant != NULL ? setup->participant : settings->core.participant;
        setup->database = setup->database != NULL ? setup->database : *ret_database;
        setup->role = setup->role != NULL ? setup->role : *ret_role;
        if (setup->token_file == NULL && settings->token_file[0] != '\0') {
            setup->token_file = settings->token_file;
        }
    }
    /* Everybody on the machine can read a command line. */
    if (setup->admin_conninfo != NULL && !pg_conninfo_check(setup->admin_conninfo, ret_error)) {
        return error_wrap(ret_error, "--admin");
    }
    const struct {
        const char *value;
        const char *name;
    } needed[] = {{setup->participant, "--participant"},
                  {setup->database, "--database"},
                  {setup->role, "--role"},
                  {setup->token_file, "--token-file"}};
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        if (needed[i].value == NULL) {
            error_set(ret_error, ERROR_INVALID, "%s is not known", needed[i].name);
            return error_hint(ret_error,
                              "give %s, or a --config whose conninfo names dbname and "
                              "user and that has a token_file",
                              needed[i].name);
        }
    }
    return true;
}

/* For people: the SQL goes where it can be piped into psql, what remains to be done beside it. */
static void print_text(const struct setup *setup, const char *sql, const char *notes)
{
    if (sql == NULL) {
        printf("database %s is ready to be participant %s\n", setup->database, setup->participant);
    } else {
        fputs(sql, stdout);
    }
    fputs(notes, stderr);
}

static void print_json(const struct setup *setup, const char *sql, const char *notes)
{
    char *token_file = pg_text_clean(setup->token_file); /* a path may be any bytes */
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:s, s:b, s:s?, s:s}", "participant", setup->participant,
                  "database", setup->database, "role", setup->role, "token_file", token_file,
                  "applied", sql == NULL, "sql", sql, "notes", notes);
    CHECK(object != NULL); /* all is UTF-8: pg_setup.h refuses names that are not */
    (void)json_dumpf(object, stdout, JSON_COMPACT); /* an error stays with stdout */
    putchar('\n');
    json_decref(object);
    free(token_file);
}

static bool setup_run(const struct setup *setup, struct error *ret_error)
{
    struct pg_setup_options sql_options = {
        .participant = setup->participant,
        .database = setup->database,
        .login_role = setup->role,
        .external_role_count = setup->external_count,
        .external_roles = setup->external,
        .adopt = setup->adopt,
    };
    uint8_t token[PG_TOKEN_BYTES];
    if (!pg_token_make(setup->token_file, token, ret_error)) {
        return false;
    }
    pg_token_hash(token, sql_options.token_hash);
    explicit_bzero(token, sizeof(token));
    char *sql = NULL;
    if (setup->apply
            ? !pg_setup_apply(setup->admin_conninfo, &sql_options, APPLY_TIMEOUT_MS, ret_error)
            : !pg_setup_sql(&sql_options, &sql, ret_error)) {
        return false;
    }
    char *notes = pg_setup_notes(&sql_options);
    (setup->json ? print_json : print_text)(setup, sql, notes);
    free(notes);
    free(sql);
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        return error_set_errno(ret_error, ERROR_IO, errno, "the output could not be written");
    }
    return true;
}

int agent_setup_main(int argc, char **argv)
{
    static const char doc[] = "Prints the SQL that makes a database ready to take part in global "
                              "transactions, or applies it. It may be repeated.";
    const struct argp argp = {options, parse_option, "", doc, NULL, NULL, NULL};
    struct setup setup = {0};
    struct agent_settings settings;
    struct error error = {0};
    char *database = NULL, *role = NULL;
    char name[] = PROGRAM; /* what usage and errors call it */
    argv[0] = name;
    argp_parse(&argp, argc, argv, 0, NULL, &setup);
    bool ok =
        setup_complete(&setup, &settings, &database, &role, &error) && setup_run(&setup, &error);
    if (!ok) {
        cli_print_error(PROGRAM, &error);
    }
    free(database);
    free(role);
    return ok ? EX_OK : cli_exit_code(error.kind);
}
