/* SPDX-License-Identifier: MIT */
/*
 * print_float.c - floats as text: two forms, and which of them an array takes
 *
 * NumPy writes all elements of an array in one form, padded to one width. The
 * form follows from the largest and smallest magnitude, the widths from the
 * shortest texts of all elements; nan and inf are put in afterwards.
 */
#include <nd/print_impl.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PRECISION 8 /* NumPy's default: fraction digits at most */

static const struct ndi_fp_type *
fp_type(enum nds_type type)
{
    switch (type) {
    case NDS_TYPE_FLOAT16:
        return &ndi_fp_half;
    case NDS_TYPE_FLOAT32:
        return &ndi_fp_single;
    case NDS_TYPE_FLOAT64:
        return &ndi_fp_double;
    default:
        return &ndi_fp_long;
    }
}

/* Zeros added or dropped at the end of a fraction, as the style asks. */
static void
trim_fraction(char *frac, enum ndi_trim trim, int min_digits)
{
    size_t n = strlen(frac);

    if (trim == NDI_TRIM_NONE) {
        while ((int)n < min_digits && n < NDI_DIGITS_MAX) {
            frac[n++] = '0';
        }
    } else {
        while (n > 0 && frac[n - 1] == '0') {
            n--;
        }
    }
    if (n == 0 && trim == NDI_TRIM_ONE_ZERO) {
        frac[n++] = '0';
    }
    frac[n] = '\0';
}

static const char *
sign_text(long double x, bool plus)
{
    return signbit(x) ? "-" : plus ? "+" : "";
}

/* Text in a caller's array; what does not fit is left out. */
struct pen {
    char *at;
    char *end; /* room for the NUL */
};

static struct pen
pen_on(char *out)
{
    *out = '\0';
    return (struct pen){out, out + NDI_FLOAT_TEXT_MAX - 1};
}

static void
pen_char(struct pen *p, char c)
{
    if (p->at < p->end) {
        *p->at++ = c;
        *p->at = '\0';
    }
}

static void
pen_text(struct pen *p, const char *text)
{
    for (; *text != '\0'; text++) {
        pen_char(p, *text);
    }
}

/* Spaces for what is missing from `have` to `want`. */
static void
pen_pad(struct pen *p, int want, int have)
{
    for (; have < want; have++) {
        pen_char(p, ' ');
    }
}

/* Sign and at least two digits. */
static void
pen_exponent(struct pen *p, int exp, int min_digits)
{
    char text[16];
    int n = snprintf(text, sizeof text, "%d", exp < 0 ? -exp : exp);

    pen_char(p, exp < 0 ? '-' : '+');
    for (; n < (min_digits > 2 ? min_digits : 2); n++) {
        pen_char(p, '0');
    }
    pen_text(p, text);
}

/* The digits on both sides of the point; each part has room for twice
 * NDI_DIGITS_MAX. */
static void
split_at_point(const struct ndi_digits *dg, char *whole, char *frac)
{
    int n = 0, at = 0;

    if (dg->first < 0) {
        whole[n++] = '0';
        for (int i = -1; i > dg->first && at < NDI_DIGITS_MAX; i--) {
            frac[at++] = '0';
        }
    }
    for (int i = 0; i <= dg->first && i < 2 * NDI_DIGITS_MAX - 1; i++) {
        whole[n++] = i < dg->count ? dg->d[i] : '0';
    }
    whole[n] = '\0';
    for (int i = dg->first < 0 ? 0 : dg->first + 1; i < dg->count; i++) {
        frac[at++] = dg->d[i];
    }
    frac[at] = '\0';
}

void
ndi_float_positional(char *out, long double x,
                     const struct ndi_float_style *style)
{
    struct ndi_digits dg;
    char whole[2 * NDI_DIGITS_MAX], frac[2 * NDI_DIGITS_MAX + 1];
    const char *sign = sign_text(x, style->plus);
    struct pen pen;

    ndi_digits_make(&dg, x, style->type,
                    (struct ndi_cut){.total = false,
                                     .most = style->precision,
                                     .least = style->min_digits});
    split_at_point(&dg, whole, frac);
    trim_fraction(frac, style->trim, style->min_digits);
    pen = pen_on(out);
    pen_pad(&pen, style->pad_left, (int)(strlen(sign) + strlen(whole)));
    pen_text(&pen, sign);
    pen_text(&pen, whole);
    pen_text(&pen, frac[0] == '\0' && style->trim == NDI_TRIM_ALL ? "" : ".");
    pen_text(&pen, frac);
    pen_pad(&pen, style->pad_right, (int)strlen(frac));
}

void
ndi_float_scientific(char *out, long double x,
                     const struct ndi_float_style *style)
{
    struct ndi_digits dg;
    char frac[2 * NDI_DIGITS_MAX + 1];
    const char *sign = sign_text(x, style->plus);
    struct pen pen;
    int n = 0;

    ndi_digits_make(
        &dg, x, style->type,
        (struct ndi_cut){
            .total = true,
            .most = style->precision >= 0 ? style->precision + 1 : -1,
            .least = style->min_digits >= 0 ? style->min_digits + 1 : -1});
    for (int i = 1; i < dg.count; i++) {
        frac[n++] = dg.d[i];
    }
    frac[n] = '\0';
    trim_fraction(frac, style->trim, style->min_digits);
    pen = pen_on(out);
    pen_pad(&pen, style->pad_left, (int)strlen(sign) + 1);
    pen_text(&pen, sign);
    pen_char(&pen, dg.d[0]);
    pen_text(&pen, frac[0] == '\0' && style->trim == NDI_TRIM_ALL ? "" : ".");
    pen_text(&pen, frac);
    pen_char(&pen, 'e');
    pen_exponent(&pen, dg.first, style->exp_digits);
}

void
ndi_float_scalar(char *out, long double x, enum nds_type type, int numpy,
                 bool one_zero)
{
    struct ndi_float_style style = {
        .type = fp_type(type), .precision = -1, .min_digits = -1};
    long double top = 1e16L;

    if (isnan(x) || isinf(x)) {
        strcpy(out, isnan(x) ? "nan" : x < 0 ? "-inf" : "inf");
        return;
    }
    if (numpy >= 203 && type == NDS_TYPE_FLOAT16) {
        top = 1e3L;
    } else if (numpy >= 203 && type == NDS_TYPE_FLOAT32) {
        top = 1e6L;
    }
    if (x == 0 || (fabsl(x) >= (long double)1e-4 && fabsl(x) < top)) {
        style.trim = one_zero ? NDI_TRIM_ONE_ZERO : NDI_TRIM_ALL;
        ndi_float_positional(out, x, &style);
    } else {
        style.trim = NDI_TRIM_ALL;
        ndi_float_scientific(out, x, &style);
    }
}

/* ---- an array's floats -------------------------------------------------- */

void
ndi_float_fmt_feed(struct ndi_float_fmt *f, long double x)
{
    long double size = fabsl(x);

    if (!isfinite(x)) {
        f->any_other = true;
        f->any_neg_inf = f->any_neg_inf || (isinf(x) && x < 0);
        return;
    }
    f->any_finite = true;
    if (size == 0) {
        return;
    }
    if (f->most == 0 || size > f->most) {
        f->most = size;
    }
    if (f->least == 0 || size < f->least) {
        f->least = size;
    }
}

/* Is most / least > 1000, divided and rounded in the array's own type? */
static bool
ratio_is_large(const struct ndi_float_fmt *f)
{
    switch (f->type) {
    case NDS_TYPE_FLOAT16:
        // The halves around 1000 are 0.5 apart; the tie goes to 1000.
        return (float)f->most / (float)f->least > 1000.25f;
    case NDS_TYPE_FLOAT32: {
        float q = (float)f->most / (float)f->least;

        return q > 1000.0f;
    }
    case NDS_TYPE_FLOAT64: {
        double q = (double)f->most / (double)f->least;

        return q > 1000.0;
    }
    default:
        return f->most / f->least > 1000.0L;
    }
}

static bool
wants_exponent(const struct ndi_float_fmt *f, int numpy)
{
    long double limit = 1e8L, small = (long double)1e-4;

    if (f->most == 0) {
        return false;
    }
    if (numpy >= 203 && f->type == NDS_TYPE_FLOAT16) {
        limit = 1e3L;
    } else if (numpy >= 203 && f->type == NDS_TYPE_FLOAT32) {
        limit = 1e6L;
    }
    if (numpy >= 200 && f->type == NDS_TYPE_FLOAT32) {
        small = 1e-4f;
    } else if (numpy >= 200 && f->type == NDS_TYPE_FLOAT16) {
        small = 0x68ep-24L; // the half nearest to 1e-4
    }
    return f->most >= limit || f->least < small || ratio_is_large(f);
}

void
ndi_float_fmt_turn(struct ndi_float_fmt *f, int numpy)
{
    f->exp_form = wants_exponent(f, numpy);
    f->style.type = fp_type(f->type);
    f->style.precision = PRECISION;
    f->style.min_digits = -1;
    f->style.trim = NDI_TRIM_TO_POINT;
}

static void
keep_longest(int *most, size_t n)
{
    if ((int)n > *most) {
        *most = (int)n;
    }
}

void
ndi_float_fmt_feed_again(struct ndi_float_fmt *f, long double x)
{
    char text[NDI_FLOAT_TEXT_MAX];
    const char *point, *end;

    if (!isfinite(x) || f->scalar) {
        return;
    }
    if (f->exp_form) {
        ndi_float_scientific(text, x, &f->style);
        end = strchr(text, 'e');
        keep_longest(&f->exp_digits, strlen(end) - 2);
    } else {
        ndi_float_positional(text, x, &f->style);
        end = text + strlen(text);
    }
    point = strchr(text, '.');
    keep_longest(&f->left, (size_t)(point - text));
    keep_longest(&f->right, (size_t)(end - point - 1));
}

void
ndi_float_fmt_finish(struct ndi_float_fmt *f)
{
    int neg_inf = f->style.plus || f->any_neg_inf ? 1 : 0;
    int off;

    if (f->any_finite && f->exp_form) {
        f->style.precision = f->style.min_digits = f->right;
        f->style.trim = NDI_TRIM_NONE;
        f->style.exp_digits = f->exp_digits;
        f->right += f->exp_digits + 2;
    } else if (f->any_finite) {
        f->style.min_digits = 0;
        f->style.pad_right = f->right;
    }
    if (f->any_other) {
        off = f->right + 1;
        f->left = f->left > 3 - off ? f->left : 3 - off;
        f->left = f->left > 3 + neg_inf - off ? f->left : 3 + neg_inf - off;
    }
    f->style.pad_left = f->left;
}

void
ndi_float_fmt_write(const struct ndi_float_fmt *f, struct ndi_buf *b,
                    long double x, int numpy)
{
    char text[NDI_FLOAT_TEXT_MAX];

    if (f->scalar) {
        ndi_float_scalar(text, x, f->type, numpy, true);
        ndi_buf_add_str(b, text);
    } else if (!isfinite(x)) {
        const char *plus = f->style.plus ? "+" : "";

        snprintf(text, sizeof text, "%s%s",
                 isinf(x) && x < 0 ? "-" : plus, isnan(x) ? "nan" : "inf");
        ndi_buf_add_fmt(b, "%*s", f->left + f->right + 1, text);
    } else {
        if (f->exp_form) {
            ndi_float_scientific(text, x, &f->style);
        } else {
            ndi_float_positional(text, x, &f->style);
        }
        ndi_buf_add_str(b, text);
    }
}
