/*
 * plot.c - see plot.h.
 */
#include "tests/checker/plot.h"

#include <math.h>

#define WIDTH      1000.0
#define LEFT       64.0
#define RIGHT      26.0
#define TOP        26.0
#define BOTTOM     24.0
#define POINTS_MAX 600
#define TICKS_MAX  30

struct frame {
    double t_max, y_max, height;
    FILE *file;
};

static double x_of(const struct frame *frame, double t)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * t / frame->t_max;
}

static double y_of(const struct frame *frame, double y)
{
    return frame->height - BOTTOM - (frame->height - TOP - BOTTOM) * y / frame->y_max;
}

/* 1, 2 or 5 times a power of ten, not below. */
static double round_up(double value)
{
    double power = pow(10, floor(log10(value)));
    double first = value / power;
    return power * (first <= 1 ? 1 : first <= 2 ? 2 : first <= 5 ? 5 : 10);
}

static void draw_axes(const struct frame *frame, const struct plot *plot)
{
    FILE *file = frame->file;
    double step = round_up(frame->y_max / plot->divide / 4);
    for (int i = 0; i <= TICKS_MAX && step * i <= frame->y_max / plot->divide + 1e-9; i++) {
        double y = step * i;
        double at = y_of(frame, y * plot->divide);
        fprintf(file,
                "<line class=\"grid\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<text class=\"tick\" x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
                LEFT, WIDTH - RIGHT, at, at, LEFT - 6, at + 4, y);
    }
    double seconds = frame->t_max / 1e6;
    double every = round_up(seconds / 12);
    for (int i = 0; i <= TICKS_MAX && every * i <= seconds; i++) {
        double t = every * i;
        fprintf(file,
                "<text class=\"tick\" x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%g s</text>\n",
                x_of(frame, t * 1e6), frame->height - 6, t);
    }
    fprintf(file, "<text class=\"title\" x=\"%.0f\" y=\"16\">", LEFT);
    markup_escape(plot->title, file);
    fprintf(file, " (%s)</text>\n", plot->unit);
}

static void draw_faults(const struct history *history, const struct report *report,
                        const struct frame *frame)
{
    FILE *file = frame->file;
    for (size_t i = 0; i < report->faults.count; i += report->faults.count / PLOT_FAULTS_MAX + 1) {
        const struct fault_span *fault = &report->faults.items[i];
        double end = fault->t_end < 0 ? frame->t_max : (double)fault->t_end;
        double x = x_of(frame, (double)fault->t_begin), width = x_of(frame, end) - x;
        fprintf(file,
                "<g><rect class=\"fault\" x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"%.0f\"/>",
                x, TOP, fmax(width, 1.5), frame->height - TOP - BOTTOM);
        if (report->faults.count <= 40) {
            fprintf(file, "<text class=\"mark\" x=\"%.1f\" y=\"%.0f\">%lld</text>", x + 2,
                    TOP + 10 + 11 * (double)(i % 3), (long long)fault->n);
        }
        fprintf(file, "<title>%lld: ", (long long)fault->n);
        markup_escape(names_text(&history->names, fault->fault), file);
        fputs(" of ", file);
        markup_escape(names_text(&history->names, fault->target), file);
        fprintf(file, ", %.3f s to %.3f s</title></g>\n", (double)fault->t_begin / 1e6, end / 1e6);
    }
}

static void draw_line(const struct frame *frame, const struct plot *plot, const plot_points *points)
{
    FILE *file = frame->file;
    size_t group = (points->count + POINTS_MAX - 1) / POINTS_MAX;
    double before = -1;
    fputs("<path class=\"line\" d=\"", file);
    for (size_t i = 0; i < points->count; i += group) {
        double t = 0, y = 0, first = points->items[i].t;
        size_t count = 0;
        for (; count < group && i + count < points->count; count++) {
            t += points->items[i + count].t;
            y += points->items[i + count].y;
        }
        bool jump = before < 0 || (plot->gap > 0 && first - before > plot->gap);
        before = points->items[i + count - 1].t;
        fprintf(file, "%s%.1f %.1f", jump ? "M" : "L", x_of(frame, t / (double)count),
                y_of(frame, y / (double)count));
    }
    fputs("\"/>\n", file);
}

static void draw_steps(const struct frame *frame, const plot_points *points)
{
    FILE *file = frame->file;
    double before = 0;
    fprintf(file, "<path class=\"area\" d=\"M%.1f %.1f", x_of(frame, 0), y_of(frame, 0));
    for (size_t i = 0; i < points->count; i++) {
        double y = y_of(frame, points->items[i].y);
        fprintf(file, "L%.1f %.1fL%.1f %.1f", x_of(frame, before), y,
                x_of(frame, points->items[i].t), y);
        before = points->items[i].t;
    }
    fprintf(file, "L%.1f %.1fZ\"/>\n", x_of(frame, before), y_of(frame, 0));
}

void plot_draw(const struct history *history, const struct report *report, const struct plot *plot,
               const plot_points *points, FILE *file)
{
    struct frame frame = {fmax((double)history->t_last, 1), plot->divide, plot->height, file};
    for (size_t i = 0; i < points->count; i++) {
        frame.y_max = fmax(frame.y_max, points->items[i].y * 1.08);
    }
    fprintf(file, "<svg class=\"plot\" viewBox=\"0 0 %.0f %d\" role=\"img\">\n", WIDTH,
            plot->height);
    if (plot->faults) {
        draw_faults(history, report, &frame);
    }
    draw_axes(&frame, plot);
    if (plot->steps) {
        draw_steps(&frame, points);
    } else {
        draw_line(&frame, plot, points);
    }
    fputs("</svg>\n", file);
}
