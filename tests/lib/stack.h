/*
 * stack.h - a whole Assent for a test: a private PostgreSQL cluster and an agent for each
 * participant, and one assentd on its SQLite journal, in a folder of its own under /tmp.
 *
 * Made the way an operator makes it: configuration files, secrets of mode 0600, `assent-agent
 * setup`, the daemons from ASSENT_BIN_DIR. Run by root, everything runs as the user postgres (the
 * programs are copied into the folder, so that this user can reach them). Each daemon is a
 * struct stack_daemon that can be started (also with a fault point armed), signalled, killed,
 * awaited and started again. What a daemon says on standard error goes to a file.
 *
 * Called by the crash matrix and the integration tests. Knows the daemons from outside only: files,
 * signals, HTTP, and PostgreSQL as superuser. Start daemons from the test's main thread: they die
 * with the thread that started them (process.h). Deadlines are CLOCK_MONOTONIC milliseconds.
 */
#ifndef ASSENT_TESTS_LIB_STACK_H
#define ASSENT_TESTS_LIB_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "tests/lib/http.h"
#include "tests/lib/pgcluster.h"

#define STACK_PARTICIPANTS_MAX 8

struct stack;
struct stack_daemon;

struct stack_options {
    size_t participant_count;        /* 0: two, "order" and "payment" */
    const char *const *participants; /* names; NULL: "order", "payment", "p2", "p3" ... */
    /* Borrowed clusters, one per participant, to spare initdb; NULL: the stack makes its own. In
     * each of them the stack makes a database of its own. */
    struct pgcluster *const *clusters;
    /* Lines added to the sections of the configuration files; NULL: none. */
    const char *assentd_lines;  /* [assentd] */
    const char *agent_lines;    /* [agent] */
    const char *database_lines; /* [database] */
    const char *protocol_lines; /* [protocol] */
    const char *journal_folder; /* NULL: inside the stack's folder */
    const char *log_level;      /* of all daemons; NULL: debug */
};

/* Makes folder, clusters, databases, secrets and files, and runs setup; starts no daemon. Returns
 * owned. */
bool stack_new(const struct stack_options *options, struct stack **ret_stack,
               struct error *ret_error);

/* Kills what runs and removes everything that the stack made (not borrowed clusters; its databases
 * in them are left behind). With ASSENT_KEEP=1 in the environment the folder stays. NULL is fine. */
void stack_free(struct stack *stack);

/* Variables ("NAME=value", NULL at the end) that daemons have in their environment from their next
 * start on. Borrowed for as long as the stack lives; NULL: none. */
void stack_set_env(struct stack *stack, const char *const *env);

/* Starts every daemon that does not run, and waits until /readyz says yes. */
bool stack_start(struct stack *stack, struct error *ret_error);

size_t stack_participant_count(const struct stack *stack);
const char *stack_participant(const struct stack *stack, size_t index);
struct pgcluster *stack_cluster(const struct stack *stack, size_t index);
const char *stack_secret_path(const struct stack *stack, size_t index);
const char *stack_database(const struct stack *stack); /* the same name in every cluster */
const char *stack_folder(const struct stack *stack);
const char *stack_journal_path(const struct stack *stack);
const char *stack_api(const struct stack *stack);            /* "http://127.0.0.1:N" */
const char *stack_client_address(const struct stack *stack); /* for libassent */
const char *stack_os_user(const struct stack *stack);        /* NULL: the caller's */

/* --- daemons -------------------------------------------------------------------------------- */

struct stack_daemon *stack_coordinator(struct stack *stack);
struct stack_daemon *stack_agent(struct stack *stack, size_t index);

const char *stack_daemon_name(const struct stack_daemon *daemon); /* "assentd", "agent order" */
const char *stack_daemon_config_path(const struct stack_daemon *daemon);
const char *stack_daemon_log_path(const struct stack_daemon *daemon);
off_t stack_daemon_log_size(const struct stack_daemon *daemon); /* where a later search begins */
bool stack_daemon_runs(const struct stack_daemon *daemon);
pid_t stack_daemon_pid(const struct stack_daemon *daemon); /* 0: does not run */

/* more_args: NULL at the end; may be NULL. Starting what runs is an error. Does not wait. */
bool stack_daemon_start(struct stack_daemon *daemon, const char *const *more_args,
                        struct error *ret_error);
/* With a fault point armed (fault.h: NAME[:ACTION[:N]]) and a new, empty trace. */
bool stack_daemon_start_faulty(struct stack_daemon *daemon, const char *spec,
                               struct error *ret_error);
/* How often the point that was armed last was reached. */
size_t stack_daemon_fault_hits(const struct stack_daemon *daemon);
/* The same for one of several that are traced ("*:trace"). */
size_t stack_daemon_fault_count(const struct stack_daemon *daemon, const char *point);

void stack_daemon_signal(struct stack_daemon *daemon, int signal_number);
bool stack_daemon_is_stopped(const struct stack_daemon *daemon); /* by a fault point's stop, too */
/* Waits for the end; afterwards it counts as not running. False at the deadline. */
bool stack_daemon_wait(struct stack_daemon *daemon, uint64_t deadline_ms, int *ret_status);
/* SIGTERM, and demands that it ends in time with exit code 0. */
bool stack_daemon_stop(struct stack_daemon *daemon, struct error *ret_error);
/* SIGKILL, and waits. Nothing happens if it does not run. */
void stack_daemon_kill(struct stack_daemon *daemon);
/* Waits for a line with this text in its log at or behind offset. */
bool stack_daemon_wait_line(struct stack_daemon *daemon, off_t offset, const char *wanted,
                            uint64_t deadline_ms, struct error *ret_error);
bool stack_daemon_log_contains(const struct stack_daemon *daemon, off_t offset, const char *wanted);

/* Waits until /readyz answers 200; fails at once if assentd ends meanwhile. */
bool stack_wait_ready(struct stack *stack, uint64_t deadline_ms, struct error *ret_error);

/* Waits until nothing is left to do: ready, nothing of Assent's prepared in any cluster, no
 * transaction unfinished, no branch in doubt. */
bool stack_wait_whole(struct stack *stack, uint64_t deadline_ms, struct error *ret_error);

/* Another configuration file, which counts from the daemon's next start or SIGHUP on.
 * stack_config_text gives what stands there now (returns owned). */
bool stack_config_write(struct stack_daemon *daemon, const char *text, struct error *ret_error);
char *stack_config_text(const struct stack_daemon *daemon);

/* --- HTTP ----------------------------------------------------------------------------------- */

/* path begins with '/'. body NULL: GET. key NULL: no Idempotency-Key. */
bool stack_http(const struct stack *stack, const char *path, const char *key, const char *body,
                struct http_reply *ret_reply, struct error *ret_error);
/* The value of an unlabelled metric; an error if assentd does not answer or has no such metric. */
bool stack_metric(const struct stack *stack, const char *name, double *ret_value,
                  struct error *ret_error);

/* --- databases, as superuser ---------------------------------------------------------------- */

/* As pgcluster_sql in the stack's database, on a connection that is kept. */
bool stack_sql(struct stack *stack, size_t participant, const char *sql, char **ret_value,
               struct error *ret_error);
/* For a connection of the participant's agent: its role, in the stack's database. Returns owned. */
char *stack_agent_conninfo(const struct stack *stack, size_t participant);
/* Prepared transactions of the whole cluster whose gid begins with prefix; -1 if it can not be
 * asked. */
int stack_prepared_count(struct stack *stack, size_t participant, const char *prefix);
/* The same in all clusters, with Assent's prefix; -1 if one can not be asked. */
int stack_prepared_total(struct stack *stack);

/* --- journal -------------------------------------------------------------------------------- */

/* Verifies it (recovery/journal.h); may be called while assentd runs. */
bool stack_journal_verify(const struct stack *stack, struct error *ret_error);

/* Calls check(user) about every 20 ms until it says true. False at the deadline, or when `daemon`
 * (may be NULL) has ended. For what offers nothing to wait on: HTTP and SQL. */
bool stack_poll(struct stack_daemon *daemon, uint64_t deadline_ms, bool (*check)(void *user),
                void *user);

#endif
