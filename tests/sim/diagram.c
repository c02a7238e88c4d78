/* diagram.c - a trace as a space-time diagram: time runs down, one lane for each who takes part. */
#include <inttypes.h>
#include <string.h>

#include "tests/sim/trace.h"
#include "tests/sim/world.h"

#define LANE_WIDTH  13 /* characters between two lanes */
#define TIME_WIDTH  8
#define LINE_SIZE   (TIME_WIDTH + LANE_COUNT * LANE_WIDTH + TRACE_TEXT_SIZE + 8)
#define SVG_LANE    150
#define SVG_LEFT    70
#define SVG_ROW     18
#define LINES_SHOWN 2000 /* the end is where it broke */

static const char *const lane_names[LANE_COUNT] = {
    "client",  "coordinator", "journal", "coordinator2", "journal2", "agent 1", "order", "agent 2",
    "payment", "agent 3",     "stock",   "agent 4",      "ledger",   "agent 5", "mail"};

struct lanes {
    uint32_t count;
    uint32_t column[LANE_COUNT]; /* UINT32_MAX: takes no part */
};

static void lanes_find(const struct trace *trace, struct lanes *lanes)
{
    bool used[LANE_COUNT] = {false};
    for (size_t i = 0; i < trace->count; i++) {
        used[trace->lines[i].from] = true;
        if (trace->lines[i].to != TRACE_NOWHERE) {
            used[trace->lines[i].to] = true;
        }
    }
    lanes->count = 0;
    for (uint32_t i = 0; i < LANE_COUNT; i++) {
        lanes->column[i] = used[i] ? lanes->count++ : UINT32_MAX;
    }
}

static size_t first_shown(const struct trace *trace)
{
    return trace->count > LINES_SHOWN ? trace->count - LINES_SHOWN : 0;
}

/* ---- characters ---- */

static size_t place(uint32_t column)
{
    return TIME_WIDTH + 2 + (size_t)column * LANE_WIDTH;
}

static void put(char *line, size_t at, const char *text)
{
    size_t length = strlen(text);
    memcpy(line + at, text, length);
}

static void draw_arrow(char *line, const struct lanes *lanes, const struct trace_line *entry)
{
    size_t from = place(lanes->column[entry->from]);
    size_t to =
        entry->to == TRACE_NOWHERE ? from + LANE_WIDTH / 2 : place(lanes->column[entry->to]);
    size_t left = from < to ? from : to;
    size_t right = from < to ? to : from;
    for (size_t i = left + 1; i < right; i++) {
        line[i] = '-';
    }
    line[from] = 'o';
    line[to] = entry->to == TRACE_NOWHERE ? 'x' : from < to ? '>' : '<';
    size_t length = strlen(entry->text);
    size_t room = right - left - 1;
    if (length <= room) {
        put(line, left + 1 + (room - length) / 2, entry->text);
    } else {
        put(line, place(lanes->count) + 1, entry->text);
    }
}

static void draw_line(char *line, const struct lanes *lanes, const struct trace_line *entry)
{
    memset(line, ' ', LINE_SIZE - 1);
    line[LINE_SIZE - 1] = '\0';
    for (uint32_t i = 0; i < lanes->count; i++) {
        line[place(i)] = '|';
    }
    if (entry == NULL) {
        return;
    }
    if (entry->from != entry->to) {
        draw_arrow(line, lanes, entry);
        return;
    }
    size_t at = place(lanes->column[entry->from]);
    line[at] = '*';
    put(line, at + 2, entry->text);
}

static void trim_right(char *line)
{
    size_t length = strlen(line);
    while (length > 0 && line[length - 1] == ' ') {
        line[--length] = '\0';
    }
}

void trace_draw_text(const struct trace *trace, FILE *file)
{
    struct lanes lanes;
    char line[LINE_SIZE];
    lanes_find(trace, &lanes);
    memset(line, ' ', sizeof(line));
    for (uint32_t i = 0; i < LANE_COUNT; i++) {
        if (lanes.column[i] != UINT32_MAX) {
            put(line, place(lanes.column[i]), lane_names[i]);
        }
    }
    line[LINE_SIZE - 1] = '\0';
    trim_right(line);
    fprintf(file, "%s\n", line);
    uint64_t last_ms = UINT64_MAX;
    for (size_t i = first_shown(trace); i < trace->count; i++) {
        char time[24];
        const struct trace_line *entry = &trace->lines[i];
        draw_line(line, &lanes, entry);
        if (entry->now_ms != last_ms) {
            (void)snprintf(time, sizeof(time), "%7" PRIu64, entry->now_ms);
            put(line, 0, time);
        }
        last_ms = entry->now_ms;
        trim_right(line);
        fprintf(file, "%s\n", line);
    }
}

/* ---- SVG ---- */

static void svg_text(FILE *file, double x, double y, const char *anchor, const char *text)
{
    fprintf(file, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"%s\">", x, y, anchor);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '<' || *c == '>' || *c == '&') {
            fprintf(file, "&#%d;", *c);
        } else {
            fputc(*c, file);
        }
    }
    fputs("</text>\n", file);
}

static double svg_x(uint32_t column)
{
    return SVG_LEFT + (double)column * SVG_LANE;
}

static void svg_entry(const struct lanes *lanes, const struct trace_line *entry, double y,
                      FILE *file)
{
    double from = svg_x(lanes->column[entry->from]);
    char time[24];
    (void)snprintf(time, sizeof(time), "%" PRIu64, entry->now_ms);
    svg_text(file, 40, y + 4, "end", time);
    if (entry->from == entry->to) {
        bool broken = strncmp(entry->text, "BROKEN", 6) == 0;
        fprintf(file, "<circle cx=\"%.0f\" cy=\"%.0f\" r=\"4\" class=\"%s\"/>\n", from, y,
                broken ? "bad" : "dot");
        svg_text(file, from + 8, y + 4, "start", entry->text);
        return;
    }
    bool lost = entry->to == TRACE_NOWHERE;
    double to = lost ? from + SVG_LANE / 2.0 : svg_x(lanes->column[entry->to]);
    fprintf(file,
            "<line x1=\"%.0f\" y1=\"%.0f\" x2=\"%.0f\" y2=\"%.0f\" class=\"%s\" "
            "marker-end=\"url(#tip)\"/>\n",
            from, y, to, y + 6, lost ? "lost" : "sent");
    svg_text(file, (from + to) / 2, y - 1, "middle", entry->text);
}

void trace_draw_svg(const struct trace *trace, const char *title, FILE *file)
{
    struct lanes lanes;
    lanes_find(trace, &lanes);
    size_t first = first_shown(trace);
    double height = 60 + (double)(trace->count - first) * SVG_ROW;
    fprintf(
        file,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
        "font-family=\"sans-serif\" font-size=\"11\">\n<style>line{stroke:#557}.axis{stroke:#ccc}"
        ".lost{stroke:#c33;stroke-dasharray:4}.dot{fill:#333}.bad{fill:#d00}</"
        "style>\n<defs><marker "
        "id=\"tip\" markerWidth=\"8\" markerHeight=\"6\" refX=\"8\" refY=\"3\" "
        "orient=\"auto\"><path "
        "d=\"M0,0 L8,3 L0,6 z\"/></marker></defs>\n",
        svg_x(lanes.count) + 300, height);
    svg_text(file, SVG_LEFT, 16, "start", title);
    for (uint32_t i = 0; i < LANE_COUNT; i++) {
        if (lanes.column[i] != UINT32_MAX) {
            double x = svg_x(lanes.column[i]);
            svg_text(file, x, 34, "middle", lane_names[i]);
            fprintf(file, "<line class=\"axis\" x1=\"%.0f\" y1=\"40\" x2=\"%.0f\" y2=\"%.0f\"/>\n",
                    x, x, height);
        }
    }
    for (size_t i = first; i < trace->count; i++) {
        svg_entry(&lanes, &trace->lines[i], 52 + (double)(i - first) * SVG_ROW, file);
    }
    fputs("</svg>\n", file);
}
