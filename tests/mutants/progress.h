/* progress.h - one line on standard error that says what goes on, on a terminal only. Callers see to it that one thread
 * at a time says something. */
#ifndef ASSENT_TESTS_MUTANTS_PROGRESS_H
#define ASSENT_TESTS_MUTANTS_PROGRESS_H

void progress_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void progress_end(void); /* takes the line away */

#endif
