/* failing_loop.c - see failing_loop.h. */
#include "tests/lib/test.h"

#include "tests/lib/failing_loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/failing_malloc.h"

#define N_MAX     20000
#define HANG_S    60
#define WORDS_MAX 4096
/* The child's last words, where our own allocator ended it. */
#define FATAL_TEXT "common/alloc.c:"

/* Every so many n have their turn. A child costs some ten times as much with the sanitizer; where an operation is costly, some ten
 * milliseconds without. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#define STRIDE       3
#define COSTLY_FRESH 100
#define COSTLY_WARM  200
#else
#define STRIDE       1
#define COSTLY_FRESH 6
#define COSTLY_WARM  28
#endif

enum loop_code { LOOP_DONE = 0, LOOP_REFUSED = 20, LOOP_UNTOUCHED, LOOP_WRONG };

struct round {
    const struct loop_case *operation;
    size_t n;
    bool for_ever;
    bool is_fresh;
    int words; /* the child's standard error: a file in memory */
};

_Noreturn void loop_wrong(const char *condition, const char *file, int line)
{
    failing_malloc_disarm();
    (void)fprintf(stderr, "%s:%d: wrong: %s\n", file, line, condition);
    (void)fflush(stderr);
    _exit(LOOP_WRONG);
}

/* ---- the child ---- */

/* cmocka's handlers would make an exit of every signal. */
static void child_begin(int words)
{
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        (void)signal(signals[i], SIG_DFL);
    }
    (void)dup2(words, STDERR_FILENO);
    (void)alarm(HANG_S);
}

/* The operation once, with the failure. */
static bool run_failing(const struct round *round, struct error *ret_error)
{
    failing_malloc_arm(round->n, round->for_ever);
    bool done = round->operation->run(round->operation->user, ret_error);
    failing_malloc_disarm();
    return done;
}

/* What a library keeps for good the first time that it fails (a translated text) is no leak: what is left a second time is. */
static void check_leaks(const struct round *round)
{
#ifdef __SANITIZE_ADDRESS__
    (void)round;
    loop_check(__lsan_do_recoverable_leak_check() == 0);
#else
    struct error error = {0};
    long before = failing_malloc_live();
    (void)run_failing(round, &error);
    long leaked = failing_malloc_live() - before;
    if (leaked != 0) {
        (void)fprintf(stderr, "%ld blocks leaked\n", leaked);
    }
    loop_check(leaked == 0);
#endif
}

static enum loop_code child_round(const struct round *round)
{
    const struct loop_case *operation = round->operation;
    struct error error = {0};
    if (!round->is_fresh) {
        loop_check(
            operation->run(operation->user, &error)); /* what stays allocated for good is there */
    }
    long before = failing_malloc_live();
    bool done = run_failing(round, &error);
    bool struck = failing_malloc_struck();
    bool has_left_something = failing_malloc_live() != before;
#ifdef __SANITIZE_ADDRESS__
    has_left_something = true; /* it cannot be counted */
#endif
    if (!round->is_fresh && has_left_something) {
        check_leaks(round);
    }
    loop_check(done || (struck && error.text[0] != '\0'));
    if (!done && !operation->only_fresh) {
        error = (struct error){0};
        bool recovered = operation->run(operation->user, &error);
        if (!recovered) {
            (void)fprintf(stderr, "with memory again: %s\n", error.text);
        }
        loop_check(recovered);
    }
    return !struck ? LOOP_UNTOUCHED : done ? LOOP_DONE : LOOP_REFUSED;
}

static _Noreturn void child(const struct round *round)
{
    const struct loop_case *operation = round->operation;
    child_begin(round->words);
    if (operation->open != NULL) {
        operation->open(operation->user);
    }
    enum loop_code code = child_round(round);
    if (operation->close != NULL) {
        operation->close(operation->user);
    }
    _exit(code);
}

/* ---- the parent ---- */

/* True if the allocation was reached. */
static bool judge(const struct round *round, int status)
{
    char words[WORDS_MAX];
    ssize_t length = pread(round->words, words, sizeof words - 1, 0);
    words[length > 0 ? length : 0] = '\0';
    const char *other = round->operation->fatal_text;
    bool is_fatal =
        WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
        (strstr(words, FATAL_TEXT) != NULL || (other != NULL && strstr(words, other) != NULL));
    bool is_clean = WIFEXITED(status) &&
                    (WEXITSTATUS(status) == LOOP_DONE || WEXITSTATUS(status) == LOOP_REFUSED ||
                     WEXITSTATUS(status) == LOOP_UNTOUCHED);
    if (!is_fatal && !is_clean) {
        fail_msg("%s, allocation %zu %s, %s: %s %d%s, and said: %s", round->operation->name,
                 round->n, round->for_ever ? "and all after it" : "alone",
                 round->is_fresh ? "in a fresh process" : "after a success",
                 WIFSIGNALED(status) ? "signal" : "exit",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                 WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? " (a hang)" : "", words);
    }
    return is_fatal || WEXITSTATUS(status) != LOOP_UNTOUCHED;
}

static bool loop_round(const struct round *round)
{
    const struct loop_case *operation = round->operation;
    int status = 0;
    if (operation->begin != NULL) {
        operation->begin(operation->user);
    }
    assert_int_equal(ftruncate(round->words, 0), 0);
    assert_int_equal(lseek(round->words, 0, SEEK_SET), 0);
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        child(round);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    bool reached = judge(round, status);
    if (operation->end != NULL) {
        operation->end(operation->user);
    }
    return reached;
}

/* ASSENT_LOOP_STRIDE: every so many. 1 takes minutes and leaves nothing out. */
static size_t stride_of(const struct loop_case *operation, bool is_fresh)
{
    const char *wanted = getenv("ASSENT_LOOP_STRIDE");
    if (wanted != NULL && strtoul(wanted, NULL, 10) > 0) {
        return strtoul(wanted, NULL, 10);
    }
    size_t costly = is_fresh ? COSTLY_FRESH : COSTLY_WARM;
    return operation->is_costly ? costly : STRIDE;
}

size_t loop_allocations(const struct loop_case *operation)
{
    size_t children = 0, reached = 0;
    struct round round = {.operation = operation, .words = memfd_create("words", MFD_CLOEXEC)};
    assert_true(round.words >= 0);
    for (int mode = 0; mode < 4; mode++) {
        round.for_ever = mode % 2 == 1;
        round.is_fresh = mode < 2;
        if (!round.is_fresh && (operation->only_fresh || operation->is_threaded)) {
            break;
        }
        size_t stride = stride_of(operation, round.is_fresh);
        /* "For ever" begins half a stride later: no place is tried twice before others have their turn. */
        round.n = 1 + (round.for_ever ? stride / 2 : 0);
        for (; loop_round(&round); round.n += stride) {
            children++;
            reached = round.n > reached ? round.n : reached;
            assert_true(round.n < N_MAX);
        }
    }
    (void)close(round.words);
    print_message("%s: %zu allocations, %zu children\n", operation->name, reached, children);
    return reached;
}
