/*
 * pg.h - the PostgreSQL edge of the agent: carries out commands, posts results.
 *
 * Threads: N workers with one connection each run EXECUTE; others, whose connection belongs to one interactive branch at a
 * time and is opened when first needed, run STATEMENT, PREPARE and CLOSE (P-22); the finishers, on connections of their own, run FINISH in
 * pipelines of whatever is waiting (never client SQL, P-5); others, opened when first needed, VERIFY and
 * FINISH what applications have prepared (docs/adr/0016); one keeper thread with its own connection runs PROVE,
 * LOOK, SCAN, witnesses, ROTATE and the identity checks (P-14). All connections are direct libpq ones in
 * the agent's login role, under deadlines with PQconsumeInput, reopened with backoff and jitter.
 */
#ifndef ASSENT_PARTICIPANT_PG_H
#define ASSENT_PARTICIPANT_PG_H

#include "common/error.h"
#include "participant/command.h"
#include "participant/policy.h"

#define PG_CONNECTIONS_MAX                                                                         \
    500 /* of workers, finishers, interactive and external branches together */

struct pg_options {
    const char *participant;
    const char *conninfo; /* without a password: passfile or peer (no password in a process list) */
    const char *
        token_file; /* made by `assent-agent setup`: what lets the agent write schema assent (P-12) */
    size_t worker_count;       /* default 16 */
    size_t finisher_count;     /* default 4 */
    size_t interactive_count;  /* connections for interactive branches, one each; 0: none */
    size_t external_count;     /* for branches that applications prepare, default 2 */
    size_t queue_limit;        /* EXECUTEs waiting beyond it are refused with REASON_CAPACITY */
    uint32_t max_result_bytes; /* default 256 KiB */
    enum proof_kind proof;     /* PROOF_ROW (default) or PROOF_XID */
    struct policy *policy;     /* what clients may do; NULL: everything that P-21 lets them */
    uint64_t incarnation; /* random, new per process: in application_name, for the fence (P-11) */
    void *user;
    /* Any thread; takes the result's contents. */
    void (*on_result)(void *user, struct command_result *result);
    void (*on_status)(void *user, const struct database_status *status);
    void (*on_warning)(void *user, const char *event, const char *text); /* for the log */
};

struct pg;

/* Starts the threads; does not wait for the database. */
bool pg_start(const struct pg_options *options, struct pg **ret_pg, struct error *ret_error);

/* Takes the command's contents; never blocks; exactly one result per command but CANCEL. Any thread. */
void pg_submit(struct pg *pg, struct command *command);

/* For branches that begin from now on; holds it. Any thread. */
void pg_set_policy(struct pg *pg, struct policy *policy);

struct pg_counters {
    uint64_t executed, prepared, refused, finished, retried, unknown, reconnects;
    uint64_t pool_waiting; /* now */
    uint64_t pool_busy;    /* now */
};
void pg_counters_read(const struct pg *pg, struct pg_counters *ret_counters);

/* Stops taking commands, lets running FINISHes end within timeout_ms, cancels the rest, joins. */
void pg_stop(struct pg *pg, uint32_t timeout_ms);

#endif
