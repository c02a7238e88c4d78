/* trace.c - filling a trace; see trace.h. */
#include "tests/sim/trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/sim/world.h"

static void trace_add(struct sim_world *world, uint32_t from, uint32_t to, const char *format,
                      va_list arguments)
{
    struct trace *trace = world->options.trace;
    if (trace->count == trace->capacity) {
        trace->capacity = trace->capacity == 0 ? 256 : trace->capacity * 2;
        trace->lines = alloc_resize(trace->lines, trace->capacity, sizeof(trace->lines[0]));
    }
    struct trace_line *line = &trace->lines[trace->count++];
    line->now_ms = world->now_ms - SIM_BEGIN_MS;
    line->from = from;
    line->to = to;
    (void)vsnprintf(line->text, sizeof(line->text), format, arguments);
}

void trace_say(struct sim_world *world, uint32_t lane, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    trace_add(world, lane, lane, format, arguments);
    va_end(arguments);
}

void trace_arrow(struct sim_world *world, uint32_t from, uint32_t to, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    trace_add(world, from, to, format, arguments);
    va_end(arguments);
}

void trace_done(struct trace *trace)
{
    free(trace->lines);
    memset(trace, 0, sizeof(*trace));
}

bool trace_save_svg(const struct trace *trace, const char *title, const char *path,
                    struct error *ret_error)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot write %s", path);
    }
    trace_draw_svg(trace, title, file);
    bool written = ferror(file) == 0;
    written = fclose(file) == 0 && written;
    return written || error_set_errno(ret_error, ERROR_IO, errno, "cannot write %s", path);
}
