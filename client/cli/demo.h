/*
 * demo.h - `assent demo`: a complete Assent of ordinary parts in a folder of its own.
 *
 *   demo.c           command line; which folder
 *   demo_user.c      as whom: root hands over to the user postgres
 *   demo_plan.c      what there is to be: participants, ports, folders; kept in demo.ini
 *   demo_files.c     secrets and configuration files
 *   demo_process.c   starting, watching and stopping daemons by pid file
 *   demo_postgres.c  private clusters and what is in them
 *   demo_up.c        up: starts whatever is not running
 *   demo_down.c      down and status
 *   demo_run.c       run: hands over to a scenario's program
 *
 * The folder: demo.ini, assentd.conf, agent-NAME.conf, secrets/ (0700, files 0600), journal/, postgres/NAME/,
 * log/, run/ (pid files). Unix sockets lie in a short folder under /tmp that demo.ini names.
 */
#ifndef ASSENT_CLIENT_CLI_DEMO_H
#define ASSENT_CLIENT_CLI_DEMO_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/cli/cli.h"
#include "common/xid.h"

#define DEMO_PARTICIPANT_MAX 16
#define DEMO_FOLDER_MAX      120 /* inih's lines hold 200 bytes */
#define DEMO_PATH_SIZE       (DEMO_FOLDER_MAX + 2 * PARTICIPANT_NAME_SIZE)
#define DEMO_SOCKET_SIZE     48

enum demo_action { DEMO_UP = 1, DEMO_DOWN, DEMO_STATUS, DEMO_RUN };

struct demo_command {
    struct options *options;
    enum demo_action action;
    const char *given_folder; /* NULL: the default */
    uint16_t port;            /* 0: not given */
    const char *participants; /* "order,payment"; NULL: not given */
    const char *fault_point;
    bool purge;
    char **rest; /* behind `run`: the scenario's name and options; lent from argv */
    size_t rest_count;
};

struct demo_participant {
    char name[PARTICIPANT_NAME_SIZE];
    uint16_t agent_port;
    uint16_t postgres_port; /* in the name of the socket only */
};

struct demo {
    const struct demo_command *command;
    char folder[DEMO_FOLDER_MAX + 1]; /* absolute */
    char sockets[DEMO_SOCKET_SIZE];
    uint16_t api_port, client_port, listen_port;
    size_t participant_count;
    struct demo_participant participants[DEMO_PARTICIPANT_MAX];
};

/* ---- demo_user.c */

/* Programs that are started later, opened while the caller's rights can still reach them. */
struct demo_programs {
    char folder[PATH_MAX]; /* where they are, for people */
    int assentd_fd;
    int agent_fd;
};
extern struct demo_programs demo_programs;

/* Finds the folder (makes it for DEMO_UP), becomes the user the demo runs as, calls run. Returns an exit code. */
int demo_as_user(const struct demo_command *command,
                 int (*run)(const struct demo_command *command, const char *folder));

/* ---- demo_plan.c */

/* *ret_found false: the folder holds no demo. */
bool demo_plan_load(struct demo *demo, bool *ret_found, struct error *ret_error);
bool demo_plan_save(const struct demo *demo, struct error *ret_error);
/* Adds participants named in the list ("order,payment") that are not there yet. */
bool demo_plan_add(struct demo *demo, const char *names, struct error *ret_error);
/* Makes sure that the sockets' folder is there and ours; a new one if not. */
bool demo_plan_sockets(struct demo *demo, struct error *ret_error);
bool demo_port_is_free(uint16_t port);
/* preferred if free and not used in the plan, else any free one. */
bool demo_port_choose(const struct demo *demo, uint16_t preferred, uint16_t *ret_port,
                      struct error *ret_error);

/* A path in the demo's folder: demo_path(demo, path, "run/agent-%s.pid", name). Returns path. */
char *demo_path(const struct demo *demo, char path[DEMO_PATH_SIZE], const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- demo_files.c */

bool demo_make_folder(const char *path, struct error *ret_error); /* 0700; there already is fine */
/* Replaces atomically; *ret_changed (may be NULL) tells whether the contents differ from before. */
bool demo_write(const char *path, const char *text, bool *ret_changed, struct error *ret_error);
bool demo_read(const char *path, char **ret_text, struct error *ret_error); /* returns owned */
/* With everything in it; links are removed, not followed. Not there is fine. */
bool demo_remove_tree(const char *path, struct error *ret_error);
/* Random secrets of a participant, made once: link secret, passwords, passfile. */
bool demo_write_secrets(const struct demo *demo, const struct demo_participant *participant,
                        struct error *ret_error);
/* A password from the participant's passfile. Returns owned. */
bool demo_read_password(const struct demo *demo, const struct demo_participant *participant,
                        const char *role, char **ret_password, struct error *ret_error);
bool demo_write_assentd_conf(const struct demo *demo, bool *ret_changed, struct error *ret_error);
bool demo_write_agent_conf(const struct demo *demo, const struct demo_participant *participant,
                           bool *ret_changed, struct error *ret_error);
/* A connection string; role "postgres" is the superuser. Returns owned. */
char *demo_conninfo(const struct demo *demo, const struct demo_participant *participant,
                    const char *role, const char *database);

/* ---- demo_process.c */

struct demo_process {
    const char *title;       /* "agent order", for messages */
    const char *const *argv; /* NULL at the end */
    int program_fd;          /* executed if not -1, else argv[0] */
    const char *log_path;
    const char *pid_path;
};

/* The process of a pid file if it is still that very process (pid and start time of this boot) and has not been killed; 0 if not. */
pid_t demo_process_find(const char *pid_path);
/* The same, and lets it go on if it was stopped; one that has been killed is waited for, so that 0 means its ports are free. */
pid_t demo_process_wake(const char *pid_path);
/* Starts a daemon and waits until it says READY=1 (sd_notify) or ends. */
bool demo_process_start(const struct demo *demo, const struct demo_process *process,
                        struct error *ret_error);
/* Sends `first`, waits timeout_ms, then `second`, and waits for the end. Not running is fine. */
bool demo_process_stop(const char *title, const char *pid_path, int first, int second,
                       int timeout_ms, struct error *ret_error);
/* Runs a program to its end, output appended to log_path; false with its exit code in the text. */
bool demo_process_run(const struct demo_process *process, struct error *ret_error);
/* Waits (bounded) until no process works in this folder: what a killed postmaster left behind. */
bool demo_process_wait_folder(const char *folder, struct error *ret_error);

/* ---- demo_postgres.c */

bool demo_postgres_up(const struct demo *demo, const struct demo_participant *participant,
                      struct error *ret_error);
bool demo_postgres_down(const struct demo *demo, const struct demo_participant *participant,
                        struct error *ret_error);

/* ---- demo_up.c, demo_down.c */

int demo_up(const struct demo_command *command, const char *folder);
int demo_down(const struct demo_command *command, const char *folder);
/* How down ends: text for people, an object with --json. */
void demo_print_down(const struct demo_command *command, const char *text);
int demo_status(const struct demo_command *command, const char *folder);
void demo_print_status(const struct demo *demo);
/* `run`: becomes the scenario's program, or returns an exit code. */
int demo_run(const struct demo_command *command);
/* Serialises up and down on one folder; released when the process ends. */
bool demo_lock(const char *folder, struct error *ret_error);
bool demo_open(struct demo *demo, const struct demo_command *command, const char *folder,
               bool *ret_found, struct error *ret_error);
bool demo_stop_assentd(const struct demo *demo, struct error *ret_error);

#endif
