/* SPDX-License-Identifier: MIT */
/*
 * print_impl.h - how elements become words
 *
 * A formatter is made from the elements that will be shown, because their
 * common width depends on all of them. It is made in three steps: feed every
 * element, turn the page (floats look twice: which form, then how wide), feed
 * again, finish. After that it writes any of those elements.
 */
#ifndef NDI_PRINT_IMPL_H
#define NDI_PRINT_IMPL_H

#include <base/buf.h>
#include <nd/dtype_impl.h>
#include <nd/print_num.h>
#include <ndshare/view.h>

/* What NumPy shows before it shortens: elements, and how many it keeps. */
#define NDI_PRINT_THRESHOLD 1000
#define NDI_PRINT_EDGE 3

enum ndi_trim {
    NDI_TRIM_NONE,      /* keep zeros:      "1.500" */
    NDI_TRIM_TO_POINT,  /* drop zeros:      "1." */
    NDI_TRIM_ONE_ZERO,  /* but keep one:    "1.0" */
    NDI_TRIM_ALL        /* point too:       "1" */
};

/* How one float is written. All zeros but the type: shortest, nothing padded;
 * precision and min_digits count fraction digits, -1 when absent. */
struct ndi_float_style {
    const struct ndi_fp_type *type;
    int precision;
    int min_digits;
    enum ndi_trim trim;
    bool plus;      /* '+' before what is not negative */
    int pad_left;   /* characters before the point, at least */
    int pad_right;  /* and after it */
    int exp_digits; /* at least; 0: two */
};

#define NDI_FLOAT_TEXT_MAX 192

/* Both write at most NDI_FLOAT_TEXT_MAX bytes with the NUL; x is finite. */
void ndi_float_positional(char *out, long double x,
                          const struct ndi_float_style *style);
void ndi_float_scientific(char *out, long double x,
                          const struct ndi_float_style *style);
/* str() of a float scalar, nan and inf included; `one_zero` gives "1.0", else
 * "1" as inside a complex number. */
void ndi_float_scalar(char *out, long double x, enum nds_type type, int numpy,
                      bool one_zero);

/* The elements of one float type, or one half of complex ones. */
struct ndi_float_fmt {
    enum nds_type type; /* FLOAT16, FLOAT32, FLOAT64 or LONGDOUBLE */
    bool scalar;        /* write as str() of a scalar */
    bool exp_form;
    bool any_finite;
    bool any_other; /* nan or inf */
    bool any_neg_inf;
    long double least; /* of |finite and not zero|; 0: none */
    long double most;
    int exp_digits;
    int left;
    int right;
    struct ndi_float_style style;
};

enum ndi_fmt_kind {
    NDI_FMT_BOOL,
    NDI_FMT_INT,
    NDI_FMT_FLOAT,
    NDI_FMT_COMPLEX,
    NDI_FMT_TEXT, /* S, U */
    NDI_FMT_TIME, /* M, m */
    NDI_FMT_VOID,
    NDI_FMT_RECORD,
    NDI_FMT_SUBARRAY
};

struct ndi_fmt {
    enum ndi_fmt_kind kind;
    const nds_dtype *dtype; /* borrowed */
    int numpy;
    bool zero_d;  /* of a 0-d array: True is not padded */
    bool seen;    /* INT, TIME: least and most are set */
    bool any_nat; /* TIME */
    int width;    /* INT, TIME */
    int64_t least;
    int64_t most;
    uint64_t most_unsigned;
    struct ndi_float_fmt real; /* FLOAT, COMPLEX */
    struct ndi_float_fmt imag;
    int64_t nchild; /* RECORD: fields; SUBARRAY: 1 */
    struct ndi_fmt *child;
};

/* `scalar`: floats inside records are written as str() writes scalars. */
int ndi_fmt_init(struct ndi_fmt *fmt, const nds_dtype *dtype, int numpy,
                 bool zero_d, bool scalar);
void ndi_fmt_fini(struct ndi_fmt *fmt);
void ndi_fmt_feed(struct ndi_fmt *fmt, const unsigned char *at);
void ndi_fmt_turn(struct ndi_fmt *fmt);
void ndi_fmt_feed_again(struct ndi_fmt *fmt, const unsigned char *at);
/* NDS_ECAST for a date without unit. */
int ndi_fmt_finish(struct ndi_fmt *fmt);
int ndi_fmt_write(const struct ndi_fmt *fmt, struct ndi_buf *b,
                  const unsigned char *at);

/* The parts, for print_float.c and print_other.c. */
void ndi_float_fmt_feed(struct ndi_float_fmt *f, long double x);
void ndi_float_fmt_turn(struct ndi_float_fmt *f, int numpy);
void ndi_float_fmt_feed_again(struct ndi_float_fmt *f, long double x);
void ndi_float_fmt_finish(struct ndi_float_fmt *f);
void ndi_float_fmt_write(const struct ndi_float_fmt *f, struct ndi_buf *b,
                         long double x, int numpy);

/* Elements in memory, any alignment, either byte order. */
int64_t ndi_load_int(const nds_dtype *dt, const unsigned char *at);
uint64_t ndi_load_uint(const nds_dtype *dt, const unsigned char *at);
bool ndi_load_bool(const unsigned char *at, int64_t itemsize);
/* half 0: the real part or the float itself; 1: the imaginary part */
long double ndi_load_float(const nds_dtype *dt, const unsigned char *at,
                           int half);
/* The float type of a complex type's halves; a float type itself. */
enum nds_type ndi_float_part(enum nds_type type);

/* Texts as Python's repr writes them. */
void ndi_add_bytes_repr(struct ndi_buf *b, const unsigned char *s, size_t n);
void ndi_add_str_repr(struct ndi_buf *b, const nds_dtype *dt,
                      const unsigned char *at);
/* U as UTF-8; a lone surrogate or a number beyond Unicode becomes U+FFFD. */
void ndi_add_str_plain(struct ndi_buf *b, const nds_dtype *dt,
                       const unsigned char *at);
void ndi_add_void_str(struct ndi_buf *b, const unsigned char *s, size_t n);
/* How many bytes of an S element are not trailing NULs. */
size_t ndi_bytes_used(const unsigned char *s, size_t n);
bool ndi_unicode_printable(uint32_t c);

/* Dates and durations. */
#define NDI_NAT INT64_MIN
struct ndi_date {
    int64_t year;
    int month, day, hour, minute, second;
    int64_t attos; /* fraction of a second, in 1e-18 */
};
void ndi_date_split(struct ndi_date *out, const nds_dtype *dt, int64_t value);
/* ISO text without quotes; value is not NaT, the unit not generic. */
void ndi_add_iso(struct ndi_buf *b, const nds_dtype *dt, int64_t value);
/* str() of a 0-d timedelta: "5 days" */
void ndi_add_duration(struct ndi_buf *b, const nds_dtype *dt, int64_t value);
/* As Python objects: datetime.date(1970, 1, 1), None, 12 */
void ndi_add_date_object(struct ndi_buf *b, const nds_dtype *dt,
                         int64_t value);
void ndi_add_delta_object(struct ndi_buf *b, const nds_dtype *dt,
                          int64_t value);

/* The class to print by: `numpy` or, when 0, the environment's, or 203. */
int ndi_print_class(int *out, int numpy);

/* str() of one element, and the element inside str(a.tolist()). */
int ndi_scalar_write(struct ndi_buf *b, const nds_dtype *dt,
                     const unsigned char *at, int numpy);
int ndi_object_write(struct ndi_buf *b, const nds_dtype *dt,
                     const unsigned char *at, int numpy);

#endif
