/* SPDX-License-Identifier: MIT */
/* bench_plot.c - transfer time against size, and bars of whole programs */
#include "bench_plot.h"

#include "bench.h"
#include "bench_canvas.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WIDTH 1200.0
#define LEFT 90.0
#define RIGHT 226.0 /* for the names of the lines */
#define TOP 92.0
#define CURVES 640.0 /* height of the first chart */
#define BOTTOM 58.0
#define BAR_ROW 46.0
#define POINTS_MAX BENCH_LIST_MAX
#define LINES_MAX (2 * BENCH_WAYS)
#define LABEL_STEP 17.0
#define BARS_MAX 32

struct line {
    int way;
    bool python;
    int count;
    double nbytes[POINTS_MAX], ns[POINTS_MAX];
    char name[48];
    double label_y;
};

struct chart {
    struct bench_canvas *canvas;
    struct line lines[LINES_MAX];
    int nlines;
    struct line limit; /* one read and a word */
    char start[16];
    int processes;
    double x0, x1, y0, y1; /* log10 of bytes and ns at the edges */
};

/* ---- what the report has ------------------------------------------------ */
static struct line *
line_of(struct chart *c, int way, bool python)
{
    for (int i = 0; i < c->nlines; i++) {
        if (c->lines[i].way == way && c->lines[i].python == python) {
            return &c->lines[i];
        }
    }
    if (c->nlines == LINES_MAX) {
        return NULL;
    }
    c->lines[c->nlines] = (struct line){.way = way, .python = python};
    return &c->lines[c->nlines++];
}

/* By size. */
static void
add_point(struct line *l, double nbytes, double ns)
{
    int i = l->count;

    if (nbytes < 1 || nbytes > 1e15 || ns <= 0 || ns > 1e15 ||
        l->count == POINTS_MAX) {
        return;
    }
    for (; i > 0 && l->nbytes[i - 1] > nbytes; i--) {
        l->nbytes[i] = l->nbytes[i - 1];
        l->ns[i] = l->ns[i - 1];
    }
    l->nbytes[i] = nbytes;
    l->ns[i] = ns;
    l->count++;
}

static void
collect(struct chart *c, const json_t *report)
{
    const json_t *words = json_object_get(report, "round_trips"), *e;
    double word = bench_number(words, "spin_ns");
    size_t i;

    json_array_foreach(json_object_get(report, "transfer"), i, e)
    {
        int way = bench_int(e, "way");
        bool python = strcmp(bench_string(e, "who"), "python") == 0;
        struct line *l;

        if (c->start[0] == '\0') {
            snprintf(c->start, sizeof c->start, "%s",
                     bench_string(e, "start"));
            c->processes = bench_int(e, "processes");
        }
        if (way < 1 || way > BENCH_WAYS ||
            strcmp(bench_string(e, "variant"), "plain") != 0 ||
            strcmp(bench_string(e, "start"), c->start) != 0 ||
            bench_int(e, "processes") != c->processes) {
            continue;
        }
        l = line_of(c, way, python);
        if (l != NULL) {
            snprintf(l->name, sizeof l->name, python ? "%d %s, Python"
                                                     : "%d %s",
                     way, bench_way_name(way));
            add_point(l, bench_number(e, "nbytes"),
                      bench_number(e, "median_ns"));
        }
    }
    word = word > 0 ? word : bench_number(words, "futex_ns");
    json_array_foreach(json_object_get(report, "limits"), i, e)
    {
        add_point(&c->limit, bench_number(e, "nbytes"),
                  bench_number(e, "read_ns") + (word > 0 ? word : 0));
    }
}

static void
widen(const struct line *l, double *x0, double *x1, double *y0, double *y1)
{
    for (int i = 0; i < l->count; i++) {
        *x0 = fmin(*x0, log10(l->nbytes[i]));
        *x1 = fmax(*x1, log10(l->nbytes[i]));
        *y0 = fmin(*y0, log10(l->ns[i]));
        *y1 = fmax(*y1, log10(l->ns[i]));
    }
}

/* Whole decades upwards; a little air at either side. */
static bool
set_axes(struct chart *c)
{
    double x0 = 99, x1 = -99, y0 = 99, y1 = -99;

    for (int i = 0; i < c->nlines; i++) {
        widen(&c->lines[i], &x0, &x1, &y0, &y1);
    }
    widen(&c->limit, &x0, &x1, &y0, &y1);
    c->x0 = x0 - 0.15;
    c->x1 = x1 + 0.15;
    c->y0 = floor(y0);
    c->y1 = fmax(ceil(y1), c->y0 + 1);
    return x1 >= x0;
}

/* ---- the curves --------------------------------------------------------- */
static double
at_x(const struct chart *c, double nbytes)
{
    return LEFT + (log10(nbytes) - c->x0) / (c->x1 - c->x0) *
        (WIDTH - LEFT - RIGHT);
}

static double
at_y(const struct chart *c, double ns)
{
    return CURVES - BOTTOM - (log10(ns) - c->y0) / (c->y1 - c->y0) *
        (CURVES - BOTTOM - TOP);
}

static void
line_points(const struct chart *c, const struct line *l, double *xy)
{
    for (int i = 0; i < l->count; i++) {
        xy[2 * i] = at_x(c, l->nbytes[i]);
        xy[2 * i + 1] = at_y(c, l->ns[i]);
    }
}

static void
draw_limit(struct chart *c)
{
    double xy[2 * POINTS_MAX + 4];
    int n = c->limit.count;

    if (n < 2) {
        return;
    }
    line_points(c, &c->limit, xy);
    xy[2 * n] = xy[2 * n - 2];
    xy[2 * n + 1] = xy[2 * n + 3] = CURVES - BOTTOM;
    xy[2 * n + 2] = xy[0];
    bench_canvas_area(c->canvas, BENCH_SHADE, n + 2, xy);
    bench_canvas_line(c->canvas, BENCH_MUTED, 1.2, false, n, xy);
    bench_canvas_text(c->canvas, BENCH_MUTED, 13, false, 1, xy[2 * n] - 14,
                      CURVES - BOTTOM - 14,
                      "the machine's limit: to read the array once, and a "
                      "word there and back");
}

static void
draw_axes(struct chart *c)
{
    static const char *const units[] = {"ns", "\u00b5s", "ms", "s"};
    double last = -1;
    char text[32];

    for (double d = c->y0; d <= c->y1; d++) {
        double ns = pow(10, d), y = at_y(c, ns);
        int u = d < 3 ? 0 : d < 6 ? 1 : d < 9 ? 2 : 3;

        bench_canvas_line(c->canvas, BENCH_GRID, 1, false, 2,
                          (double[]){LEFT, y, WIDTH - RIGHT, y});
        snprintf(text, sizeof text, "%.0f %s", ns / pow(1000, u), units[u]);
        bench_canvas_text(c->canvas, BENCH_MUTED, 13, false, 1, LEFT - 10,
                          y + 4.5, text);
    }
    for (int i = 0; i < c->nlines; i++) {
        if (c->lines[i].count < c->lines[0].count) {
            continue;
        }
        for (int k = 0; k < c->lines[i].count; k++) {
            double x = at_x(c, c->lines[i].nbytes[k]);
            double y = CURVES - BOTTOM;

            if (x < last + 50) {
                continue;
            }
            last = x;
            bench_canvas_line(c->canvas, BENCH_MUTED, 1, false, 2,
                              (double[]){x, y, x, y + 6});
            bench_canvas_text(c->canvas, BENCH_MUTED, 13, false, 0.5, x,
                              y + 23,
                              bench_size_text(text, c->lines[i].nbytes[k]));
        }
        break;
    }
    bench_canvas_text(c->canvas, BENCH_MUTED, 13, false, 0.5,
                      (LEFT + WIDTH - RIGHT) / 2, CURVES - BOTTOM + 44,
                      "size of the array");
}

static int
higher(const void *a, const void *b)
{
    const struct line *x = *(struct line *const *)a;
    const struct line *y = *(struct line *const *)b;

    return (x->label_y > y->label_y) - (x->label_y < y->label_y);
}

/* Each name beside its line's end, moved apart where they would touch. */
static void
place_labels(struct line **order, int n)
{
    double most = CURVES - BOTTOM;

    qsort(order, (size_t)n, sizeof *order, higher);
    for (int i = 1; i < n; i++) {
        order[i]->label_y = fmax(order[i]->label_y,
                                 order[i - 1]->label_y + LABEL_STEP);
    }
    for (int i = n - 1; i >= 0; i--) {
        order[i]->label_y = fmin(order[i]->label_y, most);
        most = order[i]->label_y - LABEL_STEP;
    }
}

static void
draw_lines(struct chart *c)
{
    struct line *order[LINES_MAX];
    double xy[2 * POINTS_MAX];
    int n = 0;

    for (int i = 0; i < c->nlines; i++) {
        struct line *l = &c->lines[i];

        if (l->count > 0) {
            l->label_y = at_y(c, l->ns[l->count - 1]);
            order[n++] = l;
        }
    }
    place_labels(order, n);
    for (int i = 0; i < n; i++) {
        const struct line *l = order[i];
        enum bench_ink ink = BENCH_WAY + (enum bench_ink)l->way;
        double *end = xy + 2 * (l->count - 1);

        line_points(c, l, xy);
        bench_canvas_line(c->canvas, ink, l->python ? 1.6 : 2.4, l->python,
                          l->count, xy);
        for (int k = 0; k < l->count; k++) {
            bench_canvas_dot(c->canvas, ink, xy[2 * k], xy[2 * k + 1],
                             l->python ? 2.5 : 3.5);
        }
        bench_canvas_line(
            c->canvas, ink, 1, false, 4,
            (double[]){end[0] + 6, end[1], WIDTH - RIGHT + 4, end[1],
                       WIDTH - RIGHT + 24, l->label_y, WIDTH - RIGHT + 32,
                       l->label_y});
        bench_canvas_text(c->canvas, l->python ? BENCH_MUTED : BENCH_INK, 13,
                          false, 0, WIDTH - RIGHT + 37, l->label_y + 4.5,
                          l->name);
    }
}

static void
machine_line(const json_t *report, char *out, size_t room)
{
    const json_t *m = json_object_get(report, "machine");

    snprintf(out, room,
             "%.60s, %d processors, %.0f GB, %.20s %.40s \u00b7 ndshare %.20s",
             bench_string(m, "processor"),
             bench_int(m, "processors"),
             bench_number(m, "memory_bytes") / 1e9, bench_string(m, "system"),
             bench_string(m, "release"), bench_string(m, "ndshare"));
}

static void
draw_curves(struct chart *c, const json_t *report)
{
    bool python = false;
    char text[200];

    for (int i = 0; i < c->nlines; i++) {
        python = python || c->lines[i].python;
    }
    bench_canvas_text(c->canvas, BENCH_INK, 22, true, 0, LEFT - 66, 38,
                      "An array to another process, and added up there");
    snprintf(text, sizeof text, "median time until %s has added up all of it; "
             "processes started by %.12s%s",
             c->processes > 1 ? "the last process" : "the other process",
             c->start, python ? "; dashed: stock Python" : "");
    bench_canvas_text(c->canvas, BENCH_MUTED, 14, false, 0, LEFT - 66, 61,
                      text);
    if (!set_axes(c)) {
        bench_canvas_text(c->canvas, BENCH_MUTED, 14, false, 0.5, WIDTH / 2,
                          CURVES / 2, "the report has no transfers");
        return;
    }
    draw_limit(c);
    draw_axes(c);
    draw_lines(c);
    machine_line(report, text, sizeof text);
    bench_canvas_text(c->canvas, BENCH_MUTED, 12, false, 1, WIDTH - 14,
                      CURVES - 8, text);
}

/* ---- the bars ----------------------------------------------------------- */
static int
count_bars(const json_t *report)
{
    size_t n = json_array_size(json_object_get(report, "programs"));

    return n < BARS_MAX ? (int)n : BARS_MAX;
}

static double
bars_height(const json_t *report)
{
    int n = count_bars(report);

    return n > 0 ? 96 + n * BAR_ROW + 16 : 0;
}

static void
bar(struct bench_canvas *k, enum bench_ink ink, double x, double y,
    double width, double height)
{
    bench_canvas_area(k, ink, 4,
                      (double[]){x, y, x + width, y, x + width, y + height, x,
                                 y + height});
}

static void
draw_bars(struct bench_canvas *k, const json_t *report, double top)
{
    const double left = 230, most = WIDTH - left - 205;
    double longest = 0;
    bool pairs = false;
    const json_t *e;
    char text[96];
    size_t i;

    json_array_foreach(json_object_get(report, "programs"), i, e)
    {
        longest = fmax(longest, bench_number(e, "ndshare_s"));
        pairs = pairs || bench_number(e, "python_s") > 0;
    }
    bench_canvas_text(k, BENCH_INK, 22, true, 0, LEFT - 66, top + 38,
                      "Whole programs");
    bench_canvas_text(k, BENCH_MUTED, 14, false, 0, LEFT - 66, top + 61,
                      pairs ? "seconds from start to end; of each pair the "
                              "longer bar has the full width"
                            : "seconds from start to end");
    json_array_foreach(json_object_get(report, "programs"), i, e)
    {
        double ours = bench_number(e, "ndshare_s");
        double python = bench_number(e, "python_s");
        double full = python > 0 ? fmax(python, ours) : longest;
        double y = top + 84 + (double)i * BAR_ROW, width;
        int way = bench_int(e, "way");

        if (way < 1 || way > BENCH_WAYS || ours <= 0 || i >= BARS_MAX) {
            continue;
        }
        snprintf(text, sizeof text, "%d %s", way, bench_way_name(way));
        bench_canvas_text(k, BENCH_INK, 13, false, 1, left - 12, y + 14,
                          text);
        snprintf(text, sizeof text, "%.12s", bench_string(e, "start"));
        bench_canvas_text(k, BENCH_MUTED, 11, false, 1, left - 12, y + 30,
                          text);
        width = fmax(1.5, ours / full * most);
        bar(k, BENCH_WAY + (enum bench_ink)way, left, y, width, 16);
        if (python <= 0) {
            snprintf(text, sizeof text, "%.3f s", ours);
        } else if (python >= ours) {
            snprintf(text, sizeof text, "%.3f s, %.1f times faster", ours,
                     python / ours);
        } else {
            snprintf(text, sizeof text, "%.3f s, %.1f times slower", ours,
                     ours / python);
        }
        bench_canvas_text(k, BENCH_INK, 13, python > 0, 0, left + width + 8,
                          y + 13, text);
        if (python > 0) {
            width = fmax(1.5, python / full * most);
            bar(k, BENCH_PYTHON, left, y + 18, width, 12);
            snprintf(text, sizeof text, "%.3f s, stock Python", python);
            bench_canvas_text(k, BENCH_MUTED, 12, false, 0, left + width + 8,
                              y + 28.5, text);
        }
    }
}

/* ---- files -------------------------------------------------------------- */
static void
draw(struct bench_canvas *k, const json_t *report, double height)
{
    struct chart *c = calloc(1, sizeof *c);

    bar(k, BENCH_PAPER, 0, 0, WIDTH, height);
    if (c != NULL) {
        c->canvas = k;
        collect(c, report);
        draw_curves(c, report);
        free(c);
    }
    if (count_bars(report) > 0) {
        draw_bars(k, report, CURVES);
    }
}

/* The figures again, for who wants to read or copy them. */
static void
html_table(FILE *out, const json_t *report)
{
    static const char *const keys[] = {"median_ns", "p99_ns", "cpu_ns",
                                       "limit_ns"};
    const json_t *e;
    char text[32];
    size_t i;

    fputs("<details><summary>The figures</summary>\n<table><tr><th>way<th>who"
          "<th>start<th>processes<th>size<th>median<th>p99<th>processors'"
          "<th>limit<th>of it</tr>\n", out);
    json_array_foreach(json_object_get(report, "transfer"), i, e)
    {
        int way = bench_int(e, "way");

        if (way < 1 || way > BENCH_WAYS) {
            continue;
        }
        fprintf(out, "<tr><td>%d %s%s<td>", way, bench_way_name(way),
                strcmp(bench_string(e, "variant"), "loan") == 0 ? ", loan"
                                                                : "");
        bench_canvas_escape(out, bench_string(e, "who"));
        fputs("<td>", out);
        bench_canvas_escape(out, bench_string(e, "start"));
        fprintf(out, "<td>%d<td>%s", bench_int(e, "processes"),
                bench_size_text(text, bench_number(e, "nbytes")));
        for (int k = 0; k < 4; k++) {
            fprintf(out, "<td>%s",
                    bench_time_text(text, bench_number(e, keys[k])));
        }
        if (bench_number(e, "fraction") >= 0) {
            fprintf(out, "<td>%.0f%%", 100 * bench_number(e, "fraction"));
        }
        fputs("</tr>\n", out);
    }
    fputs("</table></details>\n", out);
}

static int
write_text(FILE *out, const json_t *report, double height, bool page)
{
    struct bench_canvas *k;

    if (page) {
        fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta "
              "charset=\"utf-8\">\n<meta name=\"viewport\" "
              "content=\"width=device-width\">\n"
              "<title>ndshare bench</title>\n<style>\n:root{", out);
        bench_canvas_css(out, false);
        fputs("}\n@media (prefers-color-scheme:dark){:root{", out);
        bench_canvas_css(out, true);
        fputs("}}\n"
              "body{background:var(--paper);color:var(--ink);margin:2em auto;"
              "max-width:1200px;padding:0 1em;"
              "font:14px DejaVu Sans,Helvetica,Arial,sans-serif}\n"
              "svg{width:100%;height:auto}\nsummary{cursor:pointer}\n"
              "table{border-collapse:collapse;margin-top:1em}\n"
              "td,th{padding:3px 10px;text-align:right;"
              "border-bottom:1px solid var(--grid)}\n"
              "td:first-child,th:first-child{text-align:left}\n"
              "</style></head><body>\n", out);
    }
    k = bench_canvas_svg(out, page, WIDTH, height,
                         "ndshare bench: time of a transfer against size");
    if (k == NULL) {
        return -1;
    }
    draw(k, report, height);
    bench_canvas_end(k, NULL);
    if (page) {
        html_table(out, report);
        fputs("</body></html>\n", out);
    }
    return 0;
}

static bool
ends_with(const char *path, const char *ending)
{
    size_t n = strlen(path), k = strlen(ending);

    return n > k && strcmp(path + n - k, ending) == 0;
}

bool
bench_plot_has_room(const char *path)
{
    const char *slash = strrchr(path, '/');
    char dir[4096] = ".";

    if (slash != NULL) {
        snprintf(dir, sizeof dir, "%.*s/", (int)(slash - path), path);
    }
    return access(dir, W_OK | X_OK) == 0;
}

const char *
bench_plot_refusal(const char *path)
{
#ifndef NDI_CAIRO
    if (ends_with(path, ".png")) {
        return "this command was built without cairo (Debian: libcairo2-dev), "
               "which makes PNG; .svg and .html need nothing";
    }
#endif
    if (ends_with(path, ".svg") || ends_with(path, ".png") ||
        ends_with(path, ".html")) {
        return NULL;
    }
    return "the name of a chart ends in .svg, .png or .html";
}

int
bench_plot(const json_t *report, const char *path)
{
    double height = CURVES + bars_height(report);
    FILE *out = NULL;
    int rc = -1;

    errno = 0;
    if (ends_with(path, ".png")) {
        struct bench_canvas *k = bench_canvas_png(WIDTH, height);

        if (k != NULL) {
            draw(k, report, height);
            rc = bench_canvas_end(k, path);
        }
    } else if ((out = fopen(path, "we")) != NULL) {
        rc = write_text(out, report, height, ends_with(path, ".html"));
        rc = ferror(out) ? -1 : rc;
        rc = fclose(out) == 0 ? rc : -1;
    }
    if (rc < 0) {
        cli_remark("cannot write %s: %s", path,
                   errno != 0 ? strerror(errno) : "out of memory");
    }
    return rc;
}
