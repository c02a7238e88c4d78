/*
 * run.h - what the parts of `assent-fault run` share: the options, the world (clusters, daemons, the proxy
 * between them), the clients' shop, and the run itself.
 *
 * Threads: main makes the world, starts and ends processes (they die with the thread that started them) and
 * is the nemesis; each client has one; one takes samples; the proxy has its own. They meet in the history, in
 * the atomics below, and at the stop.
 */
#ifndef ASSENT_TESTS_NEMESIS_RUN_H
#define ASSENT_TESTS_NEMESIS_RUN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "history.h"
#include "random.h"
#include "tests/lib/stack.h"
#include "tests/proxy/proxy.h"

#define RUN_TEXT_(number_) #number_
#define RUN_TEXT(number_)  RUN_TEXT_(number_) /* a constant's number as a string */

#define RUN_DATABASES_MAX 5
#define RUN_CLIENTS_MAX   64
#define RUN_PATH_SIZE     256
#define RUN_FOLDER_MAX    200   /* bytes of --dir, so that the paths within it fit */
#define RUN_HEAL_MS       10000 /* the promise: README.md, "Live" */

#define RUN_TIME_LEAST_MS 30000
#define RUN_TIME_MOST_MS  (72 * 3600000ULL)

/* A request takes, measured over an hour (README.md): 470 bytes of history, 300 in three databases, 200 of logs, and 640 bytes of
 * the judge's memory. So this stays within 2 GB of disk and 1 GB of memory. */
#define RUN_REQUESTS_MAX 1500000

/* The least that assentd takes. The journal is level when it has begun to forget: its hours are those that assentd ran. */
#define RUN_RETENTION_HOURS   1
#define RUN_JOURNAL_STEADY_MS (RUN_RETENTION_HOURS * 4500000ULL)

enum run_mode {
    MODE_LOCKING = 1, /* every read locks */
    MODE_PLAIN,       /* plain reads in snapshots */
    MODE_BOTH,        /* each transaction draws one */
};

struct run_options {
    uint64_t seed;
    uint64_t time_ms, profile_ms; /* the second counts where the first was not given */
    uint64_t requests_max;        /* in all; pace.c */
    size_t client_count;
    size_t participant_count;
    enum run_mode mode;
    unsigned faults;    /* by bit: fault.h */
    unsigned workloads; /* by bit: workload.h */
    bool corrupt;       /* negative control: spoil one row behind everybody's back */
    bool json, quiet;
    const char *folder, *html;
};

/* --- world.c ---------------------------------------------------------------------------------- */

enum world_process { WORLD_COORDINATOR = 0, WORLD_AGENT = 1 /* + its index */ };
#define WORLD_PROCESSES_MAX (WORLD_AGENT + RUN_DATABASES_MAX)

struct clock_shift; /* clock_shift.h: shared with the daemons */

struct world {
    size_t database_count;
    struct pgcluster *clusters[RUN_DATABASES_MAX];
    const char *names[RUN_DATABASES_MAX];
    struct stack *stack;
    struct proxy *proxy;
    size_t database_route[RUN_DATABASES_MAX]; /* agent to PostgreSQL */
    size_t agent_route[RUN_DATABASES_MAX];    /* coordinator to agent */
    size_t coordinator_route;                 /* agents to coordinator */
    size_t client_route, http_route;
    char client_address[64], http_address[64]; /* through the proxy */
    _Atomic(pid_t) pids[WORLD_PROCESSES_MAX];  /* 0: does not run */
    /* What cannot be done on this machine, with the reason; "" if it can. */
    char no_disk[160], no_clock[160];
    char disk_folder[64]; /* a small file system for the journal; "": none */
    struct clock_shift *clock;
    char clock_path[RUN_PATH_SIZE];
    char preload_variable[RUN_PATH_SIZE], clock_variable[RUN_PATH_SIZE];
    const char *env[3];
};

bool world_make(struct world *world, const struct run_options *options, struct error *ret_error);
void world_free(struct world *world);
/* Starts the process if it does not run, and says so in `pids`. */
bool world_start(struct world *world, size_t process, struct error *ret_error);
void world_kill(struct world *world, size_t process);
struct stack_daemon *world_daemon(const struct world *world, size_t process);
/* "assentd", "agent:order"; lent. */
const char *world_process_name(const struct world *world, size_t process,
                               char ret_name[STREAM_PEER_SIZE]);
size_t world_process_count(const struct world *world);
/* `to` must not exist. */
bool world_copy_file(const char *from, const char *to, struct error *ret_error);
/* Leaves so many bytes in the journal's file system; SIZE_MAX: all of it again. */
bool world_limit_disk(struct world *world, size_t free_bytes, struct error *ret_error);

/* --- the run ---------------------------------------------------------------------------------- */

struct run {
    struct run_options options;
    struct world world;
    struct history *history;
    char history_path[RUN_PATH_SIZE];
    uint64_t begin_ms, end_ms; /* of the clients' time */

    /* Clients stop when this is set; who waits is woken. */
    pthread_mutex_t stop_lock;
    pthread_cond_t stopped; /* CLOCK_MONOTONIC */
    bool stopping;          /* under stop_lock */
    bool resting;           /* the same: clients wait although the run goes on (pace.c) */

    atomic_uint_fast64_t next_i, next_value, appended;
    atomic_uint_fast64_t committed, failed, unknown; /* answers */
    atomic_uint_fast64_t lists_ready; /* lists of names below this exist in every database */
    atomic_uint faults_done, faults_now;
    _Atomic(const char *) doing; /* for the progress line; static texts */
    atomic_uint_fast64_t heal_count, heal_sum_ms, heal_max_ms, heal_late;
    atomic_int in_doubt; /* -1: not known */

    struct open_keys *open_keys;

    /* Main thread's: which processes a fault keeps down, and when the others are started again. */
    bool held_down[WORLD_PROCESSES_MAX];
    uint64_t restart_ms[WORLD_PROCESSES_MAX];
    uint64_t disk_until_ms; /* until then a daemon may leave for want of disk */

    /* Main thread's: whose transactions a human touched, as {id: key}. Assent lists an aborted one without
     * its key, which is free again. */
    json_t *touched;
    json_t *faults_by_kind; /* the same thread's: name to count */

    unsigned crashes; /* daemons that ended as none may: main thread's */
    int interrupted;  /* the signal; 0: none */
};

/* False at once when the run stops, true after the time. */
bool run_pause(struct run *run, uint64_t ms);
bool run_is_stopping(struct run *run);
void run_stop(struct run *run);

/* A line for people on standard error, above the progress line. */
void run_say(const struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- pace.c: a bound for all requests, spread over the time ------------------------------------ */

/* A client, before each request of its own: waits until it may. False: the run stops. */
bool pace_wait(struct run *run);
/* The nemesis: the time until which clients are ahead. */
uint64_t pace_rest_until_ms(struct run *run);
/* Makes all clients rest, and work again. */
void pace_rest(struct run *run, bool resting);

/* --- shop.c: the tables that clients work on -------------------------------------------------- */

#define SHOP_ACCOUNTS     20
#define SHOP_REGISTERS    24
#define SHOP_PAIRS        4 /* registers that are read and written over two databases */
#define SHOP_HOT          5
#define SHOP_LIST_WINDOW  8  /* lists that are appended to at the same time, in each database */
#define SHOP_LIST_APPENDS 48 /* so often each, about */
#define SHOP_LISTS_AHEAD  400

bool shop_setup(struct run *run, struct error *ret_error);
bool shop_dump(struct run *run, const char *at, struct error *ret_error);
/* Makes lists ahead of the clients. Any thread; quiet if a database is down. */
void shop_refill(struct run *run);
/* The first name of the lists in use. */
uint64_t shop_list_base(struct run *run);

/* --- open_keys.c: keys whose outcome no client knows yet ---------------------------------------- */

struct open_keys;
struct open_keys *open_keys_new(void);
void open_keys_free(struct open_keys *keys);
void open_keys_note(struct run *run, const char *key);
/* Asks for those that were noted so long ago, and writes what it hears; stops where assentd does not answer. What
 * is unknown is kept for the next time. One thread at a time. */
bool open_keys_ask(struct run *run, uint64_t least_age_ms, struct error *ret_error);

/* --- client.c, sample.c, nemesis.c, finish.c -------------------------------------------------- */

struct client;
bool client_start(struct run *run, size_t index, struct client **ret_client,
                  struct error *ret_error);
void client_join(struct client *client);

struct sampler;
bool sampler_start(struct run *run, struct sampler **ret_sampler, struct error *ret_error);
void sampler_stop(struct sampler *sampler);

/* Faults until the time is over, or a signal came. */
void nemesis_run(struct run *run);
/* Main thread: waits for the time, minding daemons and signals; false when a signal ended the run. */
bool nemesis_wait(struct run *run, uint64_t until_ms);
/* Looks after daemons that ended by themselves, and starts them again, as a supervisor would. */
void nemesis_supervise(struct run *run);

/* Heals, waits, asks, dumps. */
bool finish_run(struct run *run, struct error *ret_error);

/* --- verdict.c -------------------------------------------------------------------------------- */

/* The check's exit code; EX_UNAVAILABLE where it is not installed. With --json its report goes to a file. */
int verdict_judge(const struct run *run);
/* What people, or with --json programs, are told at the end. */
void verdict_print(const struct run *run, bool passed);

#endif
