/*
 * nemesis.c - the nemesis: draws faults, one to three at a time, begins and ends them, and measures how long the
 * system takes to heal. Main thread.
 *
 * Faults of one episode end together, so that the time to heal is not counted while another one lasts. Healed
 * means, under load: no transaction that was prepared when the faults ended is prepared any more, and every
 * participant is ready. (That nothing at all is left is seen at the end of the run, when the clients have
 * stopped.)
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>

#include "common/clock.h"
#include "fault.h"

#define EPISODE_FAULTS_MAX 3
#define CALM_LEAST_MS      300
#define CALM_MOST_MS       2500
#define LEAD_MS            1000 /* of work between a rest and a fault */
#define RESTART_PAUSE_MS   200
#define HEAL_PATIENCE_MS                                                                           \
    60000 /* then the run goes on without having healed; the checker will say so */
#define DRAWS_MAX 40

/* --- looking after daemons -------------------------------------------------------------------- */

static void write_nemesis(struct run *run, const struct fault *fault, int64_t t, const char *phase)
{
    json_t *line = json_pack("{s:s,s:I,s:I,s:s,s:s,s:s}", "type", "nemesis", "t", (json_int_t)t,
                             "n", (json_int_t)fault->n, "fault", fault->kind->name, "target",
                             fault->target, "phase", phase);
    if (fault->detail[0] != '\0') {
        (void)json_object_set_new(line, "detail", json_string(fault->detail));
    }
    if (fault->heuristic) {
        (void)json_object_set_new(line, "heuristic", json_true());
        if (fault->key[0] != '\0') {
            (void)json_object_set_new(line, "keys", json_pack("[s]", fault->key));
        }
    }
    history_write(run->history, line);
}

static void count_fault(struct run *run, const char *name)
{
    json_int_t before = json_integer_value(json_object_get(run->faults_by_kind, name));
    (void)json_object_set_new(run->faults_by_kind, name, json_integer(before + 1));
    (void)atomic_fetch_add(&run->faults_done, 1);
}

static int64_t next_n(const struct run *run)
{
    return (int64_t)atomic_load(&run->faults_done) + 1;
}

/* For want of disk assentd stops, and recovers from what is there (P-16). Nothing else ends a daemon. */
static bool may_end(const struct run *run, int status)
{
    return WIFEXITED(status) && clock_monotonic_ms() < run->disk_until_ms &&
           (WEXITSTATUS(status) == EX_IOERR || WEXITSTATUS(status) == EX_UNAVAILABLE ||
            WEXITSTATUS(status) == EX_OSERR || WEXITSTATUS(status) == EX_CANTCREAT);
}

static void note_end(struct run *run, size_t process, int status)
{
    static const struct fault_kind exit_kind = {.name = "exit"};
    struct fault fault = {.kind = &exit_kind, .n = next_n(run)};
    char name[STREAM_PEER_SIZE];
    atomic_store(&run->world.pids[process], 0);
    (void)snprintf(fault.target, sizeof fault.target, "%s",
                   world_process_name(&run->world, process, name));
    (void)snprintf(fault.detail, sizeof fault.detail, "%s %d",
                   WIFEXITED(status) ? "ended with exit code" : "ended by signal",
                   WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    write_nemesis(run, &fault, history_now_us(run->history), "point");
    count_fault(run, exit_kind.name);
    if (!may_end(run, status)) {
        run->crashes++;
        run_say(run, "%s %s, and nothing was done to it", fault.target, fault.detail);
    }
    run->restart_ms[process] = clock_monotonic_ms() + RESTART_PAUSE_MS;
}

void nemesis_supervise(struct run *run)
{
    for (size_t i = 0; i < world_process_count(&run->world); i++) {
        struct stack_daemon *daemon = world_daemon(&run->world, i);
        struct error error;
        int status = 0;
        if (stack_daemon_runs(daemon) && stack_daemon_wait(daemon, 0, &status)) {
            note_end(run, i, status);
        }
        if (!stack_daemon_runs(daemon) && !run->held_down[i] &&
            clock_monotonic_ms() >= run->restart_ms[i] && !world_start(&run->world, i, &error)) {
            run_say(run, "%s", error.text);
            run->restart_ms[i] = clock_monotonic_ms() + RESTART_PAUSE_MS;
        }
    }
}

/* When somebody has to be started again, at the latest. */
static uint64_t next_restart(const struct run *run, uint64_t until_ms)
{
    for (size_t i = 0; i < world_process_count(&run->world); i++) {
        if (!stack_daemon_runs(world_daemon(&run->world, i)) && !run->held_down[i] &&
            run->restart_ms[i] < until_ms) {
            until_ms = run->restart_ms[i];
        }
    }
    return until_ms;
}

bool nemesis_wait(struct run *run, uint64_t until_ms)
{
    sigset_t awaited;
    (void)sigemptyset(&awaited);
    (void)sigaddset(&awaited, SIGINT);
    (void)sigaddset(&awaited, SIGTERM);
    (void)sigaddset(&awaited, SIGHUP);
    (void)sigaddset(&awaited, SIGCHLD); /* all four are blocked since the start (main.c) */
    uint64_t now_ms;
    do { /* at least once: a signal is noticed also where there is no time to wait */
        nemesis_supervise(run);
        now_ms = clock_monotonic_ms();
        uint64_t wake_ms = next_restart(run, until_ms);
        uint64_t left_ms = wake_ms > now_ms ? wake_ms - now_ms : 0;
        const struct timespec patience = {.tv_sec = (time_t)(left_ms / 1000),
                                          .tv_nsec = (long)(left_ms % 1000) * 1000000};
        int number = sigtimedwait(&awaited, NULL, &patience);
        if (number > 0 && number != SIGCHLD) {
            run->interrupted = number;
        }
        now_ms = clock_monotonic_ms();
    } while (now_ms < until_ms && run->interrupted == 0);
    nemesis_supervise(run);
    return run->interrupted == 0;
}

/* --- drawing ---------------------------------------------------------------------------------- */

struct episode {
    size_t count;
    struct fault faults[EPISODE_FAULTS_MAX];
};

/* Two faults that want the same process or database would only stand in each other's way. */
static bool collides(const struct episode *episode, const struct fault_kind *kind, size_t database)
{
    for (size_t i = 0; i < episode->count; i++) {
        const struct fault *other = &episode->faults[i];
        if (other->kind->on_database == kind->on_database &&
            (!kind->on_database || other->database == database)) {
            return true;
        }
    }
    return false;
}

static const struct fault_kind *draw_kind(const struct run *run, struct random *random)
{
    for (int i = 0; i < DRAWS_MAX * 10; i++) {
        const struct fault_kind *kind =
            &fault_kinds[random_below(random, (uint32_t)fault_kind_count)];
        if ((run->options.faults & 1U << kind->group) != 0 && fault_impossible(run, kind) == NULL) {
            return kind;
        }
    }
    return NULL; /* none is possible here */
}

static uint32_t draw_duration(const struct run *run, const struct fault_kind *kind,
                              struct random *random)
{
    uint32_t most_ms = kind->most_ms;
    if (most_ms > run->options.time_ms / 4) {
        most_ms = (uint32_t)(run->options.time_ms / 4);
    }
    if (most_ms <= kind->least_ms) {
        return kind->least_ms;
    }
    /* Mostly short: more happens in the same time. Sometimes longer than every deadline. */
    uint32_t span_ms = most_ms - kind->least_ms;
    span_ms = random_percent(random, 75) && span_ms > 10 ? span_ms / 6 : span_ms;
    return kind->least_ms + random_below(random, span_ms + 1);
}

/* --- an episode ------------------------------------------------------------------------------- */

static void begin_one(struct run *run, struct episode *episode, const struct fault_kind *kind,
                      size_t database, struct random *random)
{
    struct fault *fault = &episode->faults[episode->count];
    struct error error;
    *fault = (struct fault){.kind = kind, .database = database, .n = next_n(run)};
    int64_t t = history_now_us(run->history);
    atomic_store(&run->doing, kind->name);
    if (!kind->begin(run, fault, random, &error)) {
        return; /* there was nothing to do it to; nothing was done */
    }
    write_nemesis(run, fault, t, kind->group == FAULT_HUMAN ? "point" : "begin");
    episode->count++;
    count_fault(run, kind->name);
    (void)atomic_fetch_add(&run->faults_now, 1);
}

static bool end_all(struct run *run, struct episode *episode)
{
    for (size_t i = 0; i < episode->count; i++) {
        struct fault *fault = &episode->faults[i];
        struct error error;
        if (fault->kind->end != NULL && !fault->kind->end(run, fault, &error)) {
            run_say(run, "%s of %s cannot be undone: %s", fault->kind->name, fault->target,
                    error.text);
            return false;
        }
        (void)atomic_fetch_sub(&run->faults_now, 1);
    }
    int64_t t = history_now_us(run->history);
    for (size_t i = 0; i < episode->count; i++) {
        if (episode->faults[i].kind->group != FAULT_HUMAN) {
            write_nemesis(run, &episode->faults[i], t, "end");
        }
    }
    return true;
}

/* --- healing ---------------------------------------------------------------------------------- */

struct healing {
    struct run *run;
    double
        since; /* the end of the faults by the wall clock, which databases have right and in common */
};

static bool is_healed(void *user)
{
    const struct healing *healing = user;
    struct run *run = healing->run;
    struct http_reply reply;
    if (!nemesis_wait(run, clock_monotonic_ms())) {
        return true; /* nobody wants to know any more */
    }
    for (size_t i = 0; i < run->world.database_count; i++) {
        char sql[192];
        char *count = NULL;
        (void)snprintf(sql, sizeof sql,
                       "SELECT count(*) FROM pg_prepared_xacts WHERE starts_with(gid, 'assent:')"
                       " AND prepared <= to_timestamp(%.6f)",
                       healing->since);
        bool healed = stack_sql(run->world.stack, i, sql, &count, NULL) && count != NULL &&
                      strcmp(count, "0") == 0;
        free(count);
        if (!healed) {
            return false;
        }
    }
    if (!stack_http(run->world.stack, "/readyz", NULL, NULL, &reply, NULL)) {
        return false;
    }
    bool ready = reply.status == 200;
    http_reply_done(&reply);
    return ready;
}

static void measure_healing(struct run *run, const struct episode *episode)
{
    struct healing healing = {.run = run, .since = (double)clock_wall_ms() / 1000.0};
    uint64_t begin_ms = clock_monotonic_ms();
    atomic_store(&run->doing, "healing");
    bool healed = stack_poll(NULL, begin_ms + HEAL_PATIENCE_MS, is_healed, &healing);
    uint64_t took_ms = clock_monotonic_ms() - begin_ms;
    if (run->interrupted != 0) {
        return;
    }
    int64_t t = history_now_us(run->history);
    for (size_t i = 0; healed && i < episode->count; i++) {
        struct fault told = episode->faults[i];
        (void)snprintf(told.detail, sizeof told.detail, "after %llu ms",
                       (unsigned long long)took_ms);
        told.heuristic = false;
        write_nemesis(run, &told, t, "healed");
    }
    (void)atomic_fetch_add(&run->heal_count, 1);
    (void)atomic_fetch_add(&run->heal_sum_ms, took_ms);
    if (took_ms > atomic_load(&run->heal_max_ms)) {
        atomic_store(&run->heal_max_ms, took_ms);
    }
    if (took_ms > RUN_HEAL_MS) {
        (void)atomic_fetch_add(&run->heal_late, 1);
        run_say(run, "%s of %s took %llu ms to heal%s", episode->faults[0].kind->name,
                episode->faults[0].target, (unsigned long long)took_ms,
                healed ? "" : ", and has not");
    }
}

static bool run_episode(struct run *run, struct random *random)
{
    struct episode episode = {0};
    uint32_t lot = random_below(random, 100);
    size_t wanted = lot < 65 ? 1 : lot < 93 ? 2 : 3;
    uint32_t duration_ms = 0;
    for (int draws = 0; episode.count < wanted && draws < DRAWS_MAX; draws++) {
        const struct fault_kind *kind = draw_kind(run, random);
        size_t database = random_below(random, (uint32_t)run->world.database_count);
        if (kind == NULL) {
            break;
        }
        if (collides(&episode, kind, database)) {
            continue;
        }
        uint32_t own_ms = draw_duration(run, kind, random);
        begin_one(run, &episode, kind, database, random);
        duration_ms = own_ms > duration_ms ? own_ms : duration_ms;
    }
    /* Also after a signal: what was begun is ended, whoever is impatient. */
    bool goes_on = nemesis_wait(run, clock_monotonic_ms() + duration_ms);
    if (!end_all(run, &episode)) {
        return false;
    }
    if (episode.count > 0 && goes_on) {
        measure_healing(run, &episode);
    }
    atomic_store(&run->doing, NULL);
    return goes_on;
}

/* Clients that are ahead of their time rest, between episodes, and are at work again when the next one begins. */
static bool let_rest(struct run *run)
{
    uint64_t until_ms = pace_rest_until_ms(run);
    if (until_ms <= clock_monotonic_ms()) {
        return true;
    }
    atomic_store(&run->doing, "at rest");
    pace_rest(run, true);
    bool goes_on = nemesis_wait(run, until_ms < run->end_ms ? until_ms : run->end_ms);
    pace_rest(run, false);
    atomic_store(&run->doing, NULL);
    uint64_t lead_ms = clock_monotonic_ms() + LEAD_MS;
    return goes_on && nemesis_wait(run, lead_ms < run->end_ms ? lead_ms : run->end_ms);
}

void nemesis_run(struct run *run)
{
    struct random random = random_stream(run->options.seed, 1);
    while (clock_monotonic_ms() < run->end_ms) {
        uint64_t calm_ms =
            clock_monotonic_ms() + random_between(&random, CALM_LEAST_MS, CALM_MOST_MS);
        bool last = calm_ms >= run->end_ms;
        if (!nemesis_wait(run, last ? run->end_ms : calm_ms) || last || !let_rest(run) ||
            (run->options.faults != 0 && !run_episode(run, &random))) {
            return;
        }
    }
}
