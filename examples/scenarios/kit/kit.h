/*
 * kit.h - what the scenarios of `assent demo run` share.
 *
 * A scenario is a program with one C file of its own that calls kit_main. It plays a service and its customers, through libassent
 * or HTTP as any service would, and then, as an outside reader with nothing but libpq, asks the databases what came of it. The
 * kit knows the system from outside only: `assent demo up` and `assent demo status`, the API, PostgreSQL.
 *
 *   main.c      options, the order of things, the exit code
 *   demo.c      the demo: made or repaired, its addresses, signals to its processes
 *   database.c  libpq: the scenario's schema, questions
 *   reader.c    an outside reader who looks at several databases again and again
 *   verdict.c   questions with their SQL and results; the summary
 *   progress.c  the line on the terminal; the bound of time
 *   crowd.c     threads for shoppers, random numbers from a seed
 *   http.c      the HTTP API
 *   submit.c    libassent
 *
 * Errors. A scenario is a program for a terminal, not a library: what keeps it from going on (no database, a wrong option) ends it,
 * from any thread, by kit_give_up, with a sentence and its remedy. What became of a transaction is never an error.
 *
 * Threads. Everything here may be called by shoppers at the same time, but kit_main, verdicts, stages and demo_* (main thread only).
 */
#ifndef ASSENT_SCENARIOS_KIT_H
#define ASSENT_SCENARIOS_KIT_H

#include <assent/assent.h>
#include <jansson.h>
#include <libpq-fe.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sysexits.h>

#define KIT_RUN_SIZE 13

struct kit;

/* What a scenario is. All of it is lent for the life of the program. */
struct scenario_schema {
    const char *participant;
    const char *sql; /* its tables, without a schema's name: the kit makes one for the scenario */
};

/* An option that is the scenario's own: --rounds N. */
struct scenario_option {
    const char *name; /* "rounds" */
    const char *what; /* for --help, default included */
    uint64_t least, most;
    uint64_t *value; /* has the default */
};

struct scenario {
    const char *name;                      /* "checkout-retry" */
    const char *what;                      /* one sentence */
    const struct scenario_schema *schemas; /* one per participant; the demo gets those it lacks */
    size_t schema_count;
    uint64_t shoppers; /* default of --shoppers */
    uint64_t at_once;  /* default of --at-once; 0: 16 */
    uint64_t seconds;  /* default of --timeout */
    const struct scenario_option *options;
    size_t option_count;
    void (*run)(struct kit *kit);
};

/* Options that all scenarios have. */
struct kit_options {
    const char *folder; /* --dir; NULL: the demo's default */
    const char *port;   /* --port; NULL: the demo's */
    bool json;
    uint64_t seed;
    uint64_t shoppers;
    uint64_t at_once; /* how many of them press at a time */
    uint64_t seconds; /* all of it has to be over by then */
};

/* One run. A scenario reads options, run, schema and summary; the rest is the kit's. */
struct kit {
    const struct scenario *scenario;
    struct kit_options options;
    char run[KIT_RUN_SIZE]; /* random, never the same twice: what idempotency keys begin with */
    char schema[64];        /* of the scenario in each database: "checkout_retry" */
    json_t *summary;        /* what --json prints; a scenario adds members of its own */
    json_t *checks;         /* lent by summary */
    bool is_well;           /* no check has said no */
    uint64_t begin_ms, until_ms;
    json_t *status;    /* what `assent demo status --json` said last; the main thread's */
    json_t *databases; /* of the first one: they stay what they are, and all threads read them */
    char *api;         /* "http://127.0.0.1:7400" */
    char *client;      /* libassent's "127.0.0.1:7401" */
    struct assent_client *assent;
    PGconn *lock; /* held while the scenario runs: it runs once at a time */
    struct progress *progress;
};

int kit_main(const struct scenario *scenario, int argc, char **argv);

/* Ends the program with this exit code: "assent-demo-NAME: TEXT", and HINT, which may be NULL. */
void kit_give_up(const struct kit *kit, int code, const char *hint, const char *format, ...)
    __attribute__((noreturn, format(printf, 4, 5)));

/* asprintf that cannot fail. Returns owned. */
char *kit_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t kit_now_ms(void); /* monotonic */
uint64_t kit_now_us(void); /* the same clock */
/* Before something is tried again: a random pause, longer with each attempt up to a second, on top of what the server advised.
 * Gives the run up when its time is over; `what` says what was tried. */
void kit_pause(const struct kit *kit, unsigned int attempt, uint64_t advised_ms, const char *what);

/* ---- demo.c */

/* `assent demo up`: makes it, starts what does not run. Up to `attempts` times, since somebody may kill it meanwhile. */
void demo_up(struct kit *kit, unsigned int attempts);
/* A signal to one of the demo's processes, and its end awaited: role "assentd", "agent", "postgres"; participant NULL for assentd.
 * False if it did not run. */
bool demo_end(struct kit *kit, const char *role, const char *participant, int signal_number);

/* ---- database.c */

/* A connection of the demo's superuser, with the scenario's schema as its search_path. Returns owned (PQfinish). Tries again while
 * the database is not there. */
PGconn *database_connect(const struct kit *kit, const char *participant);
/* This thread's own connection, which is kept, made again if it is broken, and closed with the thread. Lent; NULL, with the reason in
 * `why` (owned), while the database is not there. */
PGconn *database_thread(const struct kit *kit, const char *participant, char **ret_why);
/* The rows of one statement, values of a row separated by spaces, rows by ", ", NULL as "-". Returns owned; NULL, with the
 * reason in `why` (owned), if it failed. */
char *database_ask(PGconn *connection, const char *sql, char **ret_why);
/* The same over a connection of its own; what fails ends the program. Returns owned. */
char *database_value(const struct kit *kit, const char *participant, const char *sql);
/* One statement with texts as parameters over the connection; what fails ends the program. */
void database_run(const struct kit *kit, PGconn *connection, const char *sql, size_t param_count,
                  const char *const *params);
/* Rows for a table in one go: tab-separated lines, as COPY takes them. What fails ends the program. */
void database_copy(const struct kit *kit, const char *participant, const char *table,
                   const char *lines);
/* Drops and makes the scenario's schema everywhere. */
void database_prepare(struct kit *kit);
/* Asks again until the statement's value is the expected one. PostgreSQL tells nobody that a transaction has been prepared, so this
 * asks 20 times a second; false when that takes too long. */
bool database_await(const struct kit *kit, const char *participant, const char *sql,
                    const char *expected, uint64_t timeout_ms);
/* Waits until no transaction holds a table of the scenario's any more, prepared ones included. False when that takes too long. */
bool database_settle(const struct kit *kit, uint64_t timeout_ms);

/* ---- reader.c */

struct reader;

struct reader_question {
    const char *participant, *sql;
};

/* A thread that asks all these at the same time, and again every_ms after the answers, which it hands to `see` (not while a database
 * is away). Questions and context are lent until reader_stop, and the context is see's own until then. Returns owned. */
struct reader *reader_start(struct kit *kit, const struct reader_question *questions, size_t count,
                            uint64_t every_ms,
                            void (*see)(void *context, PGresult *const *answers, uint64_t now_us),
                            void *context);
void reader_stop(struct reader *reader); /* takes reader */

/* ---- verdict.c */

/* One question, the statement that answers it, and the result that means yes. */
void verdict_is(struct kit *kit, const char *question, const char *participant, const char *sql,
                const char *expected);
/* Two databases must give the same result. */
void verdict_same(struct kit *kit, const char *question, const char *participant, const char *sql,
                  const char *other, const char *other_sql);
/* Nothing of the scenario's is prepared: asked in each database. Waits for that first. */
void verdict_settled(struct kit *kit);
/* A line for people (not with --json). */
void kit_say(const struct kit *kit, const char *format, ...) __attribute__((format(printf, 2, 3)));
void kit_title(const struct kit *kit, const char *title);
/* Prints what --json prints; returns the exit code. */
int verdict_end(struct kit *kit);

/* ---- progress.c */

#define PROGRESS_COUNTERS 6 /* of a stage, named by the scenario's source */

struct progress *progress_new(struct kit *kit);
void progress_free(struct progress *progress);
/* A stage begins (the one before it ends): its title, how many things there are to do (0: not known), names of counters with NULL
 * at the end (or NULL). */
void progress_stage(struct kit *kit, const char *title, uint64_t total,
                    const char *const *counters);
void progress_done(struct kit *kit); /* one more of the total */
void progress_count(struct kit *kit, size_t counter);
uint64_t progress_counter(const struct kit *kit, size_t counter);
/* Called by the progress line's thread a few times a second until the stage ends; writes what it sees, for the line. */
void progress_watch(struct kit *kit, void (*look)(void *context, char *ret_text, size_t size_bytes),
                    void *context);
void progress_end(struct kit *kit);
/* The line is taken away, for a text that ends the program. */
void progress_clear(struct progress *progress);

/* ---- crowd.c */

/* Runs act(kit, index, context) for all indices below count, --at-once of them at a time, and waits for all. */
void crowd_run(struct kit *kit, uint64_t count,
               void (*act)(struct kit *kit, uint64_t index, void *context), void *context);
/* The same with so many at a time; the calling thread may do something else until crowd_wait. Returns owned. */
struct crowd *crowd_start(struct kit *kit, uint64_t count, uint64_t at_once,
                          void (*act)(struct kit *kit, uint64_t index, void *context),
                          void *context);
void crowd_wait(struct crowd *crowd); /* takes crowd */
/* Customers who come at a rate, so many a second: waits until it is this one's turn. Rate 0: they do not wait. */
void crowd_await_turn(uint64_t begin_us, uint64_t index, uint64_t rate);
/* A number below `below` (at least 1) for this run's seed, the same whenever it is asked for. */
uint64_t random_below(const struct kit *kit, uint64_t stream, uint64_t index, uint64_t below);

/* ---- http.c */

enum http_fate {
    HTTP_ANSWERED = 1,
    HTTP_NOT_SENT,  /* nobody there: nothing was done */
    HTTP_TIMED_OUT, /* the caller's patience was over: it may have been done */
    HTTP_LOST,      /* the connection broke: it may have been done */
};

struct http_answer {
    enum http_fate fate;
    long status;
    char *body; /* owned, with a final NUL */
    size_t body_bytes;
    bool is_replayed;
    uint64_t retry_after_ms;
    char *text; /* owned: what went wrong, for people */
};

/* One request: POST with a body, GET without. key may be NULL. */
void http_call(const struct kit *kit, const char *path, const char *key, const char *body,
               uint64_t patience_ms, struct http_answer *ret_answer);
/* POST /v1/transactions with `Prefer: respond-async`: 202 says that it is accepted and will run, though not that it has. */
void http_accept(const struct kit *kit, const char *key, const char *body, uint64_t patience_ms,
                 struct http_answer *ret_answer);
void http_answer_done(struct http_answer *answer);
/* Committed, aborted for good, or wrong: sending it again would tell nothing new. Not so of what is accepted only. */
bool http_is_final(const struct http_answer *answer);
/* POST /v1/transactions, with the same key again until the answer is final; counts attempts. */
void http_submit(struct kit *kit, const char *key, const char *body, uint64_t patience_ms,
                 struct http_answer *ret_answer, uint64_t *ret_attempts);

/* ---- submit.c */

/* The transaction through libassent, again with the same key until the answer is final. Returns owned. */
struct assent_answer *submit_until_final(struct kit *kit, const struct assent_request *request);

#endif
