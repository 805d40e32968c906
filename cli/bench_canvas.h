/* SPDX-License-Identifier: MIT */
/*
 * bench_canvas.h - lines, areas and words, as SVG text or as PNG through cairo
 *
 * Units are pixels of a canvas of the given size, y downwards. In SVG text
 * stays text; inside a page its colours are the page's, light or dark.
 */
#ifndef NDI_BENCH_CANVAS_H
#define NDI_BENCH_CANVAS_H

#include <stdbool.h>
#include <stdio.h>

enum bench_ink {
    BENCH_INK,
    BENCH_MUTED,
    BENCH_GRID,
    BENCH_PAPER,
    BENCH_SHADE,
    BENCH_PYTHON,
    BENCH_WAY, /* BENCH_WAY + 1 .. BENCH_WAY + 9 */
    BENCH_INKS = BENCH_WAY + 10
};

struct bench_canvas;

/* SVG into `out`; `page`: part of an HTML page. NULL: no memory. */
struct bench_canvas *bench_canvas_svg(FILE *out, bool page, double width,
                                      double height, const char *title);
/* NULL: no memory, or built without cairo. */
struct bench_canvas *bench_canvas_png(double width, double height);
/* Frees it, after writing the PNG to path (SVG: path NULL). 0 or -1. */
int bench_canvas_end(struct bench_canvas *c, const char *path);

/* xy: x0, y0, x1, y1, ... of n points; dashed or not. */
void bench_canvas_line(struct bench_canvas *c, enum bench_ink ink,
                       double width, bool dashed, int n, const double *xy);
void bench_canvas_area(struct bench_canvas *c, enum bench_ink ink, int n,
                       const double *xy);
void bench_canvas_dot(struct bench_canvas *c, enum bench_ink ink, double x,
                      double y, double radius);
/* (x, y) is on the base line: its start (0), middle (0.5) or end (1). */
void bench_canvas_text(struct bench_canvas *c, enum bench_ink ink,
                       double size, bool bold, double anchor, double x,
                       double y, const char *text);

/* As CSS: "--ink:#111;--muted:...;" */
void bench_canvas_css(FILE *out, bool dark);
/* For text of HTML and SVG. */
void bench_canvas_escape(FILE *out, const char *text);

#endif
