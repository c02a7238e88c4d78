/*
 * trace.h - what happened in one run, line by line, and its drawing as a space-time diagram.
 *
 * Only filled where somebody asked for it: seeds run without, and a failing one runs again with it.
 */
#ifndef ASSENT_SIM_TRACE_H
#define ASSENT_SIM_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"

#define TRACE_TEXT_SIZE 160
#define TRACE_NOWHERE   UINT32_MAX /* an arrow that does not arrive */

struct trace_line {
    uint64_t now_ms;
    uint32_t from, to; /* lanes; equal: something that happens there */
    char text[TRACE_TEXT_SIZE];
};

struct trace { /* zero-initialised is empty */
    size_t count, capacity;
    struct trace_line *lines; /* owned */
};

void trace_done(struct trace *trace);
void trace_draw_text(const struct trace *trace, FILE *file);
void trace_draw_svg(const struct trace *trace, const char *title, FILE *file);
bool trace_save_svg(const struct trace *trace, const char *title, const char *path,
                    struct error *ret_error);

#endif
