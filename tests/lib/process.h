/*
 * process.h - programs under test: started as given user, observed by events, never left behind.
 *
 * Called by C tests and by the other helpers here; knows nothing of Assent. Deadlines are
 * CLOCK_MONOTONIC milliseconds (clock_monotonic_ms() + n). A started program gets a death signal
 * from the kernel when the thread that started it ends, so a test that crashes leaves no process
 * behind: start programs from the test's main thread. Each has a process group of its own: signals of a terminal are the
 * caller's alone.
 */
#ifndef ASSENT_TESTS_LIB_PROCESS_H
#define ASSENT_TESTS_LIB_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

struct process;

struct process_options {
    const char *const
        *argv; /* NULL at the end; argv[0] is looked up in PATH unless it has a slash */
    const char *const *env;  /* "NAME=value" on top of the caller's, NULL at the end; may be NULL */
    const char *user;        /* NULL: the caller's; needs root */
    const char *folder;      /* working directory, NULL: the caller's */
    const char *stdout_path; /* appended to, made if missing; NULL: /dev/null */
    const char *stderr_path; /* the same; may be the same path */
    int death_signal;        /* 0: SIGKILL */
    int kept_fd;             /* a descriptor that the program inherits as it is; 0: none */
};

/* Fails where the program cannot be executed. Returns owned. */
bool process_start(const struct process_options *options, struct process **ret_process,
                   struct error *ret_error);

/* Kills what still runs, waits for its end, frees. NULL is fine. */
void process_free(struct process *process);

pid_t process_pid(const struct process *process);
bool process_is_stopped(const struct process *process); /* by SIGSTOP */

/* Sends a signal; nothing happens once the process was waited for, and never to another process. */
void process_signal(struct process *process, int signal_number);

/* Waits for the end. False at the deadline. *ret_status is as of waitpid (WIFEXITED ...); may be
 * NULL. May be called again after the end. */
bool process_wait(struct process *process, uint64_t deadline_ms, int *ret_status);

/* Waits until a whole line that contains `wanted` stands in the file at or behind `offset`. Fails
 * at the deadline, or as soon as `process` (may be NULL) has ended without it. ret_line (may be
 * NULL, else of line_size bytes) gets the line, cut where it must be; *ret_offset (may be NULL) the
 * place behind it. */
bool process_wait_line(struct process *process, const char *path, off_t offset, const char *wanted,
                       uint64_t deadline_ms, char *ret_line, size_t line_size, off_t *ret_offset,
                       struct error *ret_error);

/* Runs a program to its end and returns its exit code; one that is killed by a signal or passes the
 * deadline is an error. Output goes where options say. */
bool process_run(const struct process_options *options, uint64_t deadline_ms, int *ret_exit_code,
                 struct error *ret_error);

/* Reads a whole file, at most limit_bytes. Returns owned, with a final NUL. */
bool process_read_file(const char *path, size_t limit_bytes, char **ret_text,
                       struct error *ret_error);

/* A TCP port on 127.0.0.1 that was free a moment ago, and that the kernel does not give away by
 * itself. From one thread at a time. */
bool process_free_port(uint16_t *ret_port, struct error *ret_error);

/* Removes a folder with everything in it; links are removed, not followed. */
bool process_remove_folder(const char *path, struct error *ret_error);

#endif
