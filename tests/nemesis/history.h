/*
 * history.h - the history of a run as JSON lines (docs/HISTORY.md), written line by line by any thread. A line
 * is in the kernel's hands when the function returns: what a killed run has written stays.
 */
#ifndef ASSENT_TESTS_NEMESIS_HISTORY_H
#define ASSENT_TESTS_NEMESIS_HISTORY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct history;

bool history_open(const char *path, struct history **ret_history, struct error *ret_error);

/* Microseconds since history_open, on CLOCK_MONOTONIC. */
int64_t history_now_us(const struct history *history);

/* Takes the line. A line that cannot be written is remembered, and told by history_close. */
void history_write(struct history *history, json_t *line);

/* Writes the last line and closes. reason NULL: "complete". */
bool history_close(struct history *history, const char *reason, struct error *ret_error);

#endif
