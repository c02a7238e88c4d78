/*
 * check.h - assertions that stay on in release builds.
 *
 * CHECK is for a programmer's error only: an invariant of our own code that, once broken, makes
 * every further step dangerous. The process stops, and recovery finishes what it left (that path is
 * tested). Never CHECK what came from outside (peers, files, SQL): that is an operating error with
 * a struct error.
 */
#ifndef ASSENT_COMMON_CHECK_H
#define ASSENT_COMMON_CHECK_H

/* Prints the place and the expression on stderr and aborts. */
_Noreturn void check_failed(const char *expression, const char *file, int line);

#define CHECK(expression)                                                                          \
    do {                                                                                           \
        if (__builtin_expect(!(expression), 0)) {                                                  \
            check_failed(#expression, __FILE__, __LINE__);                                         \
        }                                                                                          \
    } while (0)

#endif
