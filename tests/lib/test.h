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

#endif
