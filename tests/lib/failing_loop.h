/*
 * failing_loop.h - one operation over and over, with its n-th allocation failing, once and for ever, until it gets through.
 *
 * Every n has a child process of its own. What may come of it:
 *
 *     success          and what it gave is right (loop_check in `run`)
 *     a clean error    with a text, nothing leaked, and the same operation succeeds once there is memory again
 *     a fatal exit     by our own allocator (common/alloc.h), with its message on standard error
 *
 * Anything else fails the test: another signal, another CHECK, a hang, a leak, wrong data. Each n is tried twice: in a fresh
 * child, so that what libraries set up once fails, too; and after one success, when everything that stays allocated for
 * good is there, so that a leak shows.
 */
#ifndef ASSENT_TESTS_LIB_FAILING_LOOP_H
#define ASSENT_TESTS_LIB_FAILING_LOOP_H

#include "common/error.h"

struct loop_case {
    const char *name;
    void *user;
    /* In the parent, before each child: what the operation works on. May be NULL. */
    void (*begin)(void *user);
    /* In the child, while everything works: what the operation needs to be there. May be NULL. */
    void (*open)(void *user);
    /* In the child: the operation, which must release what it allocated. False: refused, and *ret_error says why. */
    bool (*run)(void *user, struct error *ret_error);
    /* In the child, while everything works: releases what `open` made. May be NULL. */
    void (*close)(void *user);
    /* In the parent, after each child, however it ended: what must hold in files. May be NULL. */
    void (*end)(void *user);
    const char *fatal_text; /* of another CHECK that means the same; may be NULL */
    /* Threads of libraries work on: no leaks are looked for. */
    bool is_threaded;
    bool only_fresh; /* the operation cannot run twice in one process */
    bool is_costly;  /* not every n is tried, unless ASSENT_LOOP_STRIDE=1 */
};

/* Returns how many allocations the operation makes. */
size_t loop_allocations(const struct loop_case *operation);

/* For `open`, `run` and `close`: ends the child, and fails the test, if the condition does not hold. */
#define loop_check(condition) ((condition) ? (void)0 : loop_wrong(#condition, __FILE__, __LINE__))
_Noreturn void loop_wrong(const char *condition, const char *file, int line);

#endif
