/*
 * test.h - cmocka with what it needs to be included before it. Every cmocka test includes this
 * first.
 */
#ifndef ASSENT_TESTS_LIB_TEST_H
#define ASSENT_TESTS_LIB_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* For functions that take a struct error: fails the test with its text.
 *
 *     struct error error;
 *     assert_success(pgcluster_new(NULL, &cluster, &error), &error);
 */
#define assert_success(call_, error_)                                                              \
    do {                                                                                           \
        if (!(call_)) {                                                                            \
            fail_msg("%s: %s", #call_, (error_)->text);                                            \
        }                                                                                          \
    } while (0)

#endif
