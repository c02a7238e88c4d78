/* runner.c - see runner.h. */
#include "tests/sim/runner.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/guard.h"
#include "tests/sim/random.h"

#define JOBS_MAX         256
#define ONE_TWICE_IN     20 /* five per cent of the seeds run twice and must agree to the bit */
#define ONE_CANARY_IN    100
#define PROGRESS_EVERY_S 1

struct share {             /* of one process */
    _Atomic uint64_t seed; /* at work on */
    struct runner_sums sums;
    struct coverage coverage;
};

struct shared {
    _Atomic uint64_t next, failures;
    _Atomic uint32_t kept;
    _Atomic bool stop, is_interrupted;
    struct runner_failure failure[RUNNER_FAILURES_MAX];
    struct share shares[];
};

static double seconds_since(const struct timespec *begun)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begun->tv_sec) + (double)(now.tv_nsec - begun->tv_nsec) / 1e9;
}

static void failure_keep(struct shared *shared, uint64_t seed, enum sim_canary canary,
                         const char *rule, const char *text)
{
    atomic_fetch_add(&shared->failures, 1);
    uint32_t at = atomic_fetch_add(&shared->kept, 1);
    if (at < RUNNER_FAILURES_MAX) {
        struct runner_failure *failure = &shared->failure[at];
        failure->seed = seed;
        failure->canary = canary;
        (void)snprintf(failure->rule, sizeof(failure->rule), "%s", rule);
        (void)snprintf(failure->text, sizeof(failure->text), "%s", text);
    }
}

static void run_twice(struct shared *shared, struct share *share, uint64_t seed, uint64_t hash)
{
    struct sim_options options = {.seed = seed};
    struct sim_verdict verdict;
    guard_run(&options, &verdict);
    share->sums.twice++;
    if (verdict.hash != hash) {
        failure_keep(shared, seed, CANARY_NONE, "TWICE",
                     "the same seed ran differently the second time");
    }
    sim_verdict_done(&verdict);
}

/* A corruption on purpose must be seen, or the checker is blind. */
static void run_canary(struct shared *shared, struct share *share, uint64_t seed)
{
    struct sim_options options = {.seed = seed};
    options.canary = (enum sim_canary)(1 + sim_mix(seed, 97) % (CANARY_COUNT - 1));
    struct sim_verdict verdict;
    guard_run(&options, &verdict);
    share->sums.canaries += verdict.canary_sung;
    if (verdict.canary_sung && !verdict.failed) {
        failure_keep(shared, seed, options.canary, "CANARY",
                     "an effect was corrupted on purpose, and nobody noticed");
    }
    sim_verdict_done(&verdict);
}

static void sums_add(struct runner_sums *sums, const struct sim_verdict *verdict)
{
    sums->seeds++;
    sums->transactions += verdict->transactions;
    sums->committed += verdict->committed;
    sums->aborted += verdict->aborted;
    sums->events += verdict->events;
    sums->virtual_ms += verdict->virtual_ms;
    sums->holes += verdict->holes;
    sums->excused += verdict->excused;
    if (verdict->heal_ms > sums->heal_max_ms) {
        sums->heal_max_ms = verdict->heal_ms;
    }
}

static void run_seed(struct shared *shared, struct share *share, uint64_t seed)
{
    struct sim_options options = {.seed = seed, .want_state_coverage = true};
    struct sim_verdict verdict;
    guard_run(&options, &verdict);
    coverage_note_seed(&share->coverage, seed);
    sums_add(&share->sums, &verdict);
    if (verdict.failed) {
        failure_keep(shared, seed, CANARY_NONE, verdict.rule, verdict.text);
    } else {
        if (sim_mix(seed, 99) % ONE_TWICE_IN == 0) {
            run_twice(shared, share, seed, verdict.hash);
        }
        if (sim_mix(seed, 98) % ONE_CANARY_IN == 0) {
            run_canary(shared, share, seed);
        }
    }
    sim_verdict_done(&verdict);
}

static void work(const struct runner_options *options, struct shared *shared, struct share *share,
                 const struct timespec *begun)
{
    sim_coverage = &share->coverage;
    while (!atomic_load(&shared->stop)) {
        uint64_t seed = atomic_fetch_add(&shared->next, 1);
        if (seed > options->last ||
            (options->seconds != 0 && seconds_since(begun) >= (double)options->seconds)) {
            return;
        }
        atomic_store(&share->seed, seed);
        run_seed(shared, share, seed);
        if (atomic_load(&shared->failures) >= options->failures_max) {
            atomic_store(&shared->stop, true);
        }
    }
}

static void sums_collect(const struct shared *shared, unsigned jobs, struct runner_sums *ret_sums)
{
    memset(ret_sums, 0, sizeof(*ret_sums));
    for (unsigned i = 0; i < jobs; i++) {
        const struct runner_sums *part = &shared->shares[i].sums;
        ret_sums->seeds += part->seeds;
        ret_sums->transactions += part->transactions;
        ret_sums->committed += part->committed;
        ret_sums->aborted += part->aborted;
        ret_sums->events += part->events;
        ret_sums->virtual_ms += part->virtual_ms;
        ret_sums->holes += part->holes;
        ret_sums->excused += part->excused;
        ret_sums->twice += part->twice;
        ret_sums->canaries += part->canaries;
        if (part->heal_max_ms > ret_sums->heal_max_ms) {
            ret_sums->heal_max_ms = part->heal_max_ms;
        }
    }
}

static void progress_draw(const struct runner_options *options, const struct shared *shared,
                          const struct timespec *begun)
{
    char bar[31];
    struct runner_sums sums;
    sums_collect(shared, options->jobs, &sums);
    double seconds = seconds_since(begun);
    double share = options->seconds != 0 ? seconds / (double)options->seconds : 0;
    double of_seeds = (double)sums.seeds / ((double)(options->last - options->first) + 1);
    share = share > of_seeds ? share : of_seeds;
    share = share < 1 ? share : 1;
    for (size_t i = 0; i < sizeof(bar) - 1; i++) {
        bar[i] = (double)i < share * (double)(sizeof(bar) - 1) ? '#' : '.';
    }
    bar[sizeof(bar) - 1] = '\0';
    fprintf(stderr,
            "\r[%s] %3.0f %%  %" PRIu64 " seeds, %.2f M transactions a minute, %" PRIu64 " failed ",
            bar, share * 100, sums.seeds, (double)sums.transactions / seconds * 60 / 1e6,
            atomic_load(&shared->failures));
}

static sigset_t signals_of(const int *signals, size_t count)
{
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < count; i++) {
        (void)sigaddset(&set, signals[i]);
    }
    return set;
}

static const int awaited_signals[] = {SIGCHLD, SIGINT, SIGTERM};
#define AWAITED signals_of(awaited_signals, 3)
#define ENDING  signals_of(awaited_signals + 1, 2)

/* Every process finishes its seed, and what there is by then is the result. A second signal ends all at once. */
static void interrupt(struct shared *shared)
{
    const sigset_t ending = ENDING;
    atomic_store(&shared->is_interrupted, true);
    atomic_store(&shared->stop, true);
    (void)sigprocmask(SIG_UNBLOCK, &ending, NULL);
}

/* Waits for one process to end, drawing the bar meanwhile. */
static pid_t wait_one(const struct runner_options *options, struct shared *shared,
                      const struct timespec *begun, int *ret_status)
{
    const sigset_t awaited = AWAITED;
    for (;;) {
        pid_t pid = waitpid(-1, ret_status, WNOHANG);
        if (pid != 0) {
            return pid;
        }
        struct timespec pause = {.tv_sec = PROGRESS_EVERY_S};
        int signal = sigtimedwait(&awaited, NULL, &pause);
        if (signal == SIGINT || signal == SIGTERM) {
            interrupt(shared);
        }
        if (options->wants_progress) {
            progress_draw(options, shared, begun);
        }
    }
}

static void processes_wait(const struct runner_options *options, struct shared *shared,
                           const pid_t *pids, const struct timespec *begun)
{
    for (unsigned left = options->jobs; left > 0; left--) {
        int status = 0;
        pid_t pid = wait_one(options, shared, begun, &status);
        for (unsigned i = 0; i < options->jobs && pid > 0; i++) {
            if (pids[i] == pid && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
                failure_keep(shared, atomic_load(&shared->shares[i].seed), CANARY_NONE, "CRASH",
                             "the simulator's process died while it ran this seed");
            }
        }
    }
    if (options->wants_progress) {
        fputs("\r\033[K", stderr);
    }
}

static void result_fill(const struct runner_options *options, const struct shared *shared,
                        struct runner_result *ret_result)
{
    sums_collect(shared, options->jobs, &ret_result->sums);
    for (unsigned i = 0; i < options->jobs; i++) {
        coverage_add(&ret_result->coverage, &shared->shares[i].coverage);
    }
    ret_result->failures = atomic_load(&shared->failures);
    ret_result->is_interrupted = atomic_load(&shared->is_interrupted);
    ret_result->failure_count = atomic_load(&shared->kept);
    if (ret_result->failure_count > RUNNER_FAILURES_MAX) {
        ret_result->failure_count = RUNNER_FAILURES_MAX;
    }
    memcpy(ret_result->failures_kept, shared->failure, sizeof(shared->failure));
}

bool runner_run(const struct runner_options *options, struct runner_result *ret_result,
                struct error *ret_error)
{
    struct timespec begun;
    pid_t pids[JOBS_MAX];
    size_t size = sizeof(struct shared) + options->jobs * sizeof(struct share);
    if (options->jobs == 0 || options->jobs > JOBS_MAX) {
        return error_set(ret_error, ERROR_LIMIT, "1 to %d processes", JOBS_MAX);
    }
    struct shared *shared =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        return error_set_errno(ret_error, ERROR_SYSTEM, errno, "cannot share memory");
    }
    memset(ret_result, 0, sizeof(*ret_result));
    atomic_store(&shared->next, options->first);
    (void)clock_gettime(CLOCK_MONOTONIC, &begun);
    const sigset_t awaited = AWAITED;
    (void)sigprocmask(SIG_BLOCK, &awaited, NULL); /* so that waiting can not miss one */
    for (unsigned i = 0; i < options->jobs; i++) {
        pids[i] = fork();
        if (pids[i] < 0) {
            return error_set_errno(ret_error, ERROR_SYSTEM, errno, "cannot start a process");
        }
        if (pids[i] == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            work(options, shared, &shared->shares[i], &begun);
            _exit(0);
        }
    }
    processes_wait(options, shared, pids, &begun);
    (void)sigprocmask(SIG_UNBLOCK, &awaited, NULL);
    ret_result->seconds = seconds_since(&begun);
    result_fill(options, shared, ret_result);
    (void)munmap(shared, size);
    return true;
}
