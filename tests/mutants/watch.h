/*
 * watch.h - the work happens in a child, and its orphans come to this process: whoever interrupts the program ends compilers,
 * tests and what those have started with it, and only then is the folder removed in which they worked.
 *
 * Called by main.c, while the process has one thread; knows nothing of what the work is.
 */
#ifndef ASSENT_TESTS_MUTANTS_WATCH_H
#define ASSENT_TESTS_MUTANTS_WATCH_H

#include "common/error.h"

/* Runs work(argument) in a child and waits until nothing of it runs any more. *ret_status is what it returned, or 128 +
 * the number of the signal that ended it. *ret_signal is the SIGINT, SIGTERM or SIGHUP that this process got meanwhile (0:
 * none); it was passed on, and the caller ends by it when it has tidied up. False: no child could be started. */
bool watch_run(int (*work)(void *argument), void *argument, int *ret_status, int *ret_signal,
               struct error *ret_error);

#endif
