/*
 * pgcluster.h - a private PostgreSQL 15 cluster for a test.
 *
 * Lives in a new folder under /tmp (short: the path of its Unix socket is limited to 107 bytes),
 * listens on a socket in that folder alone unless asked otherwise, keeps fsync on, and has its own
 * system identifier. Run by root, PostgreSQL runs as the user `postgres`; otherwise as the caller.
 * When the test dies, the kernel makes the postmaster stop at once (see process.h: start clusters
 * from the test's main thread).
 *
 * The superuser is always called postgres and needs no password. ASSENT_PG_BINDIR overrides where
 * the programs are. All waits are on events and end with an error after a generous time.
 */
#ifndef ASSENT_TESTS_LIB_PGCLUSTER_H
#define ASSENT_TESTS_LIB_PGCLUSTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

struct pgcluster;

struct pgcluster_options {
    uint32_t max_prepared_transactions; /* as it is: 0 means that none are allowed */
    bool listens_on_tcp;                /* also on 127.0.0.1, at pgcluster_port() */
    const char *extra_conf;             /* lines for postgresql.conf, read last; may be NULL */
};

enum pgcluster_stop_mode {
    PGCLUSTER_FAST = 1,  /* sessions are ended, a checkpoint is made */
    PGCLUSTER_IMMEDIATE, /* as after a crash: recovery at the next start */
};

/* Makes and starts one. options NULL: 64 prepared transactions, no TCP. Returns owned. */
bool pgcluster_new(const struct pgcluster_options *options, struct pgcluster **ret_cluster,
                   struct error *ret_error);

/* Stops it at once and removes the folder. NULL is fine. */
void pgcluster_free(struct pgcluster *cluster);

/* Starting what runs and stopping what does not are errors: a test should know. */
bool pgcluster_start(struct pgcluster *cluster, struct error *ret_error);
bool pgcluster_stop(struct pgcluster *cluster, enum pgcluster_stop_mode mode,
                    struct error *ret_error);
bool pgcluster_restart(struct pgcluster *cluster, enum pgcluster_stop_mode mode,
                       struct error *ret_error);

/* SIGKILL for the postmaster, and waits until the last of its processes is gone too. */
bool pgcluster_kill(struct pgcluster *cluster, struct error *ret_error);

/* Starts it after a crash, and kills it like pgcluster_kill in the middle of its recovery. An error
 * if there was nothing to recover. */
bool pgcluster_kill_in_recovery(struct pgcluster *cluster, struct error *ret_error);

/* Adds lines to postgresql.conf, where the last one counts. They are read at the next start. */
bool pgcluster_configure(struct pgcluster *cluster, const char *conf_lines,
                         struct error *ret_error);

const char *pgcluster_folder(const struct pgcluster *cluster); /* also the socket's folder */
const char *pgcluster_data_folder(const struct pgcluster *cluster);
const char *pgcluster_log_path(const struct pgcluster *cluster);
const char *pgcluster_os_user(const struct pgcluster *cluster); /* NULL: the caller's own */
uint16_t pgcluster_port(const struct pgcluster *cluster);
pid_t pgcluster_pid(const struct pgcluster *cluster); /* postmaster's; 0 while stopped */

/* Superuser, database postgres. Lent until pgcluster_free. */
const char *pgcluster_conninfo(const struct pgcluster *cluster);
/* For another database and user (names without blanks or quotes). Returns owned. */
char *pgcluster_conninfo_for(const struct pgcluster *cluster, const char *database,
                             const char *user);

/* Runs SQL (may be several statements) as superuser on a connection of its own. *ret_value (may be
 * NULL) is the first column of the last result's first row: owned, NULL where there is none or it
 * is SQL NULL. */
bool pgcluster_sql(const struct pgcluster *cluster, const char *database, const char *sql,
                   char **ret_value, struct error *ret_error);

#endif
