/*
 * draw.c - a cycle as SVG (transactions on a circle, arrows from earlier to later) and as a Graphviz file.
 */
#include <math.h>

#include "tests/checker/report.h"

#define PI     3.14159265358979323846
#define BOX_W  84.0
#define BOX_H  30.0
#define LINE_H 18

static const char *const kinds[EDGE_KINDS] = {"ww", "wr", "rw", "time"};
static const char *const colours[EDGE_KINDS] = {"#7048a8", "#1f7a4d", "#c0392b", "#5f6b7a"};

void markup_escape(const char *text, FILE *file)
{
    for (; *text; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", file);
            break;
        case '>':
            fputs("&gt;", file);
            break;
        case '&':
            fputs("&amp;", file);
            break;
        case '"':
            fputs("&quot;", file);
            break;
        default:
            /* Control characters are not allowed in XML at all. */
            fputc((unsigned char)*text < 0x20 ? ' ' : *text, file);
        }
    }
}

struct layout {
    double centre_x, centre_y, radius;
    size_t count;
};

static void place(const struct layout *layout, size_t index, double *ret_x, double *ret_y)
{
    double angle = -PI / 2 + 2 * PI * (double)index / (double)layout->count;
    *ret_x = layout->centre_x + layout->radius * cos(angle) * 1.4;
    *ret_y = layout->centre_y + layout->radius * sin(angle);
}

/* From the edge of one box to the edge of the other, bent outwards so that both arrows of a pair are seen. */
static void draw_arrow(const struct layout *layout, const struct step *step, size_t index,
                       FILE *file)
{
    double x1, y1, x2, y2;
    place(layout, index, &x1, &y1);
    place(layout, (index + 1) % layout->count, &x2, &y2);
    double dx = x2 - x1, dy = y2 - y1, length = sqrt(dx * dx + dy * dy);
    double middle_x = (x1 + x2) / 2 - dy / length * -34,
           middle_y = (y1 + y2) / 2 - dx / length * 34;
    /* The arrow ends where the line from the bend to the centre of the box meets its border. */
    double bx = middle_x - x2, by = middle_y - y2;
    double scale = fmin(BOX_W / 2 / fmax(fabs(bx), 0.01), BOX_H / 2 / fmax(fabs(by), 0.01));
    const char *colour = colours[step->kind];
    fprintf(file,
            "<path d=\"M%.1f %.1f Q%.1f %.1f %.1f %.1f\" fill=\"none\" stroke=\"%s\" "
            "stroke-width=\"2\"%s marker-end=\"url(#a%s)\"/>\n",
            x1, y1, middle_x, middle_y, x2 + bx * scale, y2 + by * scale, colour,
            step->kind == EDGE_RT ? " stroke-dasharray=\"5 4\"" : "", kinds[step->kind]);
    fprintf(file,
            "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" fill=\"%s\" font-weight=\"bold\">%s"
            "</text>\n",
            middle_x, middle_y + 4, colour, kinds[step->kind]);
}

static void draw_box(const struct layout *layout, const struct step *step, size_t index, FILE *file)
{
    double x, y;
    place(layout, index, &x, &y);
    fprintf(file,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.0f\" height=\"%.0f\" rx=\"6\" fill=\"#fff\" "
            "stroke=\"#222\"/>\n<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" fill=\"#222\">"
            "T%lld</text>\n",
            x - BOX_W / 2, y - BOX_H / 2, BOX_W, BOX_H, x, y + 5, (long long)step->from);
}

void cycle_draw_svg(const struct cycle *cycle, FILE *file)
{
    size_t count = cycle->steps.count;
    size_t shown = count < 24 ? count : 24; /* more cannot be read; the words below are cut too */
    double radius = 60 + 16 * (double)shown;
    double height = 2 * radius + 110 + LINE_H * (double)shown, width = 1000;
    struct layout layout = {width / 2, radius + 60, radius, shown};
    if (shown < 2) {
        return;
    }
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
            "height=\"%.0f\" font-family=\"sans-serif\" font-size=\"14\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n<defs>",
            width, height, width, height);
    for (int kind = 0; kind < EDGE_KINDS; kind++) {
        fprintf(file,
                "<marker id=\"a%s\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"8\" "
                "markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L10 5L0 10z\" fill=\"%s\"/>"
                "</marker>",
                kinds[kind], colours[kind]);
    }
    fputs("</defs>\n", file);
    fprintf(file, "<text x=\"12\" y=\"24\" font-weight=\"bold\" fill=\"#222\">%s%s%s</text>\n",
            cycle->class_name, cycle->allowed ? " (plain read, allowed)" : "",
            shown < count ? " (the first 24 steps)" : "");
    for (size_t i = 0; i < shown; i++) {
        draw_arrow(&layout, &cycle->steps.items[i], i, file);
    }
    for (size_t i = 0; i < shown; i++) {
        draw_box(&layout, &cycle->steps.items[i], i, file);
    }
    for (size_t i = 0; i < shown; i++) {
        const struct step *step = &cycle->steps.items[i];
        fprintf(file, "<text x=\"12\" y=\"%.0f\" font-size=\"12\" fill=\"%s\">T%lld &lt; T%lld: ",
                2 * radius + 110 + LINE_H * (double)i, colours[step->kind], (long long)step->from,
                (long long)step->to);
        markup_escape(step->text, file);
        fputs("</text>\n", file);
    }
    fputs("</svg>\n", file);
}

/* Inside a quoted string of DOT. */
static void dot_escape(const char *text, FILE *file)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            fputc('\\', file);
        }
        fputc((unsigned char)*text < 0x20 ? ' ' : *text, file);
    }
}

void cycle_draw_dot(const struct cycle *cycle, FILE *file)
{
    fprintf(file, "digraph \"%s\" {\n  node [shape=box];\n", cycle->class_name);
    for (size_t i = 0; i < cycle->steps.count; i++) {
        const struct step *step = &cycle->steps.items[i];
        fprintf(file, "  \"T%lld\" -> \"T%lld\" [label=\"%s\", color=\"%s\"%s, tooltip=\"",
                (long long)step->from, (long long)step->to, kinds[step->kind], colours[step->kind],
                step->kind == EDGE_RT ? ", style=dashed" : "");
        dot_escape(step->text, file);
        fputs("\"];\n", file);
    }
    fputs("}\n", file);
}
