/* SPDX-License-Identifier: MIT */
/*
 * bench_canvas.c - the two back ends of a chart
 *
 * The nine colours are Paul Tol's "muted" scheme, which people who see colours
 * differently can tell apart; on dark paper its darkest three are lighter.
 */
#include "bench_canvas.h"

#include <stdlib.h>
#include <string.h>

#ifdef NDI_CAIRO
#include <cairo.h>
#else
typedef struct cairo cairo_t;
#endif

#define TEXT_MAX 256

static const struct ink {
    const char *name;
    unsigned light, dark; /* 0xRRGGBB */
} inks[BENCH_INKS] = {
    {"ink", 0x1f2328, 0xe6e6e6},    {"muted", 0x656d76, 0x9aa2ab},
    {"grid", 0xdfe3e8, 0x333a43},   {"paper", 0xffffff, 0x16191d},
    {"shade", 0xe3e7eb, 0x242a31},  {"python", 0xb4bac2, 0x57606a},
    {"", 0, 0},                     {"w1", 0xcc6677, 0xdb8494},
    {"w2", 0x332288, 0x9184e0},     {"w3", 0x117733, 0x4fb872},
    {"w4", 0x44aa99, 0x56c2b0},     {"w5", 0x88ccee, 0x88ccee},
    {"w6", 0x999933, 0xb5b54c},     {"w7", 0xddcc77, 0xddcc77},
    {"w8", 0xaa4499, 0xc96bba},     {"w9", 0x882255, 0xd16c9d},
};

struct bench_canvas {
    FILE *svg;
    bool page;
    cairo_t *cr;
};

void
bench_canvas_css(FILE *out, bool dark)
{
    for (int i = 0; i < BENCH_INKS; i++) {
        if (inks[i].name[0] != '\0') {
            fprintf(out, "--%s:#%06x;", inks[i].name,
                    dark ? inks[i].dark : inks[i].light);
        }
    }
}

void
bench_canvas_escape(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            // What XML has no place for, whatever a report says.
            fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
        }
    }
}

/* ---- SVG ---------------------------------------------------------------- */
static void
paint(struct bench_canvas *c, const char *what, enum bench_ink ink)
{
    if (c->page) { // an attribute cannot be a variable
        fprintf(c->svg, " style=\"%s:var(--%s)\"", what, inks[ink].name);
    } else {
        fprintf(c->svg, " %s=\"#%06x\"", what, inks[ink].light);
    }
}

static void
points(FILE *out, int n, const double *xy)
{
    fputs(" points=\"", out);
    for (int i = 0; i < n; i++) {
        fprintf(out, "%s%.1f,%.1f", i > 0 ? " " : "", xy[2 * i],
                xy[2 * i + 1]);
    }
    fputs("\"", out);
}

struct bench_canvas *
bench_canvas_svg(FILE *out, bool page, double width, double height,
                 const char *title)
{
    struct bench_canvas *c = calloc(1, sizeof *c);

    if (c == NULL) {
        return NULL;
    }
    c->svg = out;
    c->page = page;
    fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g "
            "%g\"", width, height);
    if (!page) {
        fprintf(out, " width=\"%g\" height=\"%g\"", width, height);
    }
    fputs(" role=\"img\" font-family=\"DejaVu Sans, Helvetica, Arial, "
          "sans-serif\">\n<title>", out);
    bench_canvas_escape(out, title);
    fputs("</title>\n", out);
    return c;
}

/* ---- PNG ---------------------------------------------------------------- */
#ifdef NDI_CAIRO
#define SCALE 2 /* for screens of today */

struct bench_canvas *
bench_canvas_png(double width, double height)
{
    struct bench_canvas *c = calloc(1, sizeof *c);
    cairo_surface_t *surface;

    if (c == NULL) {
        return NULL;
    }
    surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24,
                                         (int)(width * SCALE),
                                         (int)(height * SCALE));
    c->cr = cairo_create(surface);
    cairo_surface_destroy(surface);
    cairo_scale(c->cr, SCALE, SCALE);
    cairo_set_line_join(c->cr, CAIRO_LINE_JOIN_ROUND);
    return c;
}

static void
ink_of(struct bench_canvas *c, enum bench_ink ink)
{
    unsigned rgb = inks[ink].light;

    cairo_set_source_rgb(c->cr, (rgb >> 16) / 255.0,
                         (rgb >> 8 & 0xff) / 255.0, (rgb & 0xff) / 255.0);
}

static void
path_of(struct bench_canvas *c, int n, const double *xy)
{
    cairo_new_path(c->cr);
    for (int i = 0; i < n; i++) {
        cairo_line_to(c->cr, xy[2 * i], xy[2 * i + 1]);
    }
}

static void
png_line(struct bench_canvas *c, enum bench_ink ink, double width,
         bool dashed, int n, const double *xy)
{
    ink_of(c, ink);
    cairo_set_line_width(c->cr, width);
    cairo_set_dash(c->cr, (double[]){6, 4}, dashed ? 2 : 0, 0);
    path_of(c, n, xy);
    cairo_stroke(c->cr);
}

static void
png_area(struct bench_canvas *c, enum bench_ink ink, int n, const double *xy)
{
    ink_of(c, ink);
    path_of(c, n, xy);
    cairo_fill(c->cr);
}

static void
png_dot(struct bench_canvas *c, enum bench_ink ink, double x, double y,
        double radius)
{
    ink_of(c, ink);
    cairo_new_path(c->cr);
    cairo_arc(c->cr, x, y, radius, 0, 6.283185307179586);
    cairo_fill(c->cr);
}

static void
png_text(struct bench_canvas *c, enum bench_ink ink, double size, bool bold,
         double anchor, double x, double y, const char *text)
{
    cairo_text_extents_t e;

    ink_of(c, ink);
    cairo_select_font_face(c->cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD
                                : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(c->cr, size);
    cairo_text_extents(c->cr, text, &e);
    cairo_move_to(c->cr, x - anchor * e.x_advance, y);
    cairo_show_text(c->cr, text);
}

static int
png_end(struct bench_canvas *c, const char *path)
{
    int rc = cairo_surface_write_to_png(cairo_get_target(c->cr), path) ==
                     CAIRO_STATUS_SUCCESS
                 ? 0
                 : -1;

    cairo_destroy(c->cr);
    return rc;
}
#else
struct bench_canvas *
bench_canvas_png(double width, double height)
{
    (void)width;
    (void)height;
    return NULL;
}
#define png_line(...) ((void)0)
#define png_area(...) ((void)0)
#define png_dot(...) ((void)0)
#define png_text(...) ((void)0)
#define png_end(c, path) ((void)(path), -1)
#endif

/* ---- either ------------------------------------------------------------- */
int
bench_canvas_end(struct bench_canvas *c, const char *path)
{
    int rc = 0;

    if (c->svg != NULL) {
        fputs("</svg>\n", c->svg);
    } else {
        rc = png_end(c, path);
    }
    free(c);
    return rc;
}

void
bench_canvas_line(struct bench_canvas *c, enum bench_ink ink, double width,
                  bool dashed, int n, const double *xy)
{
    if (c->svg == NULL) {
        png_line(c, ink, width, dashed, n, xy);
        return;
    }
    fprintf(c->svg, "<polyline fill=\"none\" stroke-width=\"%g\" "
            "stroke-linejoin=\"round\"%s", width,
            dashed ? " stroke-dasharray=\"6 4\"" : "");
    paint(c, "stroke", ink);
    points(c->svg, n, xy);
    fputs("/>\n", c->svg);
}

void
bench_canvas_area(struct bench_canvas *c, enum bench_ink ink, int n,
                  const double *xy)
{
    if (c->svg == NULL) {
        png_area(c, ink, n, xy);
        return;
    }
    fputs("<polygon", c->svg);
    paint(c, "fill", ink);
    points(c->svg, n, xy);
    fputs("/>\n", c->svg);
}

void
bench_canvas_dot(struct bench_canvas *c, enum bench_ink ink, double x,
                 double y, double radius)
{
    if (c->svg == NULL) {
        png_dot(c, ink, x, y, radius);
        return;
    }
    fprintf(c->svg, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%g\"", x, y, radius);
    paint(c, "fill", ink);
    fputs("/>\n", c->svg);
}

/* A text that was cut may end within a character: what is no UTF-8 becomes
 * a question mark. */
static void
whole_characters(char out[TEXT_MAX], const char *text)
{
    size_t n = 0;

    while (*text != '\0' && n + 4 < TEXT_MAX) {
        unsigned char lead = (unsigned char)*text;
        size_t more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
        bool good = lead < 0x80 || (lead >= 0xc2 && lead < 0xf5);

        for (size_t i = 1; good && i <= more; i++) {
            good = ((unsigned char)text[i] & 0xc0) == 0x80;
        }
        if (good) {
            memcpy(out + n, text, more + 1);
            n += more + 1;
            text += more + 1;
        } else {
            out[n++] = '?';
            text++;
        }
    }
    out[n] = '\0';
}

void
bench_canvas_text(struct bench_canvas *c, enum bench_ink ink, double size,
                  bool bold, double anchor, double x, double y,
                  const char *raw)
{
    char text[TEXT_MAX];

    whole_characters(text, raw);
    if (c->svg == NULL) {
        png_text(c, ink, size, bold, anchor, x, y, text);
        return;
    }
    fprintf(c->svg, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%g\"%s%s", x, y,
            size, bold ? " font-weight=\"bold\"" : "",
            anchor >= 1 ? " text-anchor=\"end\""
            : anchor > 0 ? " text-anchor=\"middle\"" : "");
    paint(c, "fill", ink);
    fputs(">", c->svg);
    bench_canvas_escape(c->svg, text);
    fputs("</text>\n", c->svg);
}
