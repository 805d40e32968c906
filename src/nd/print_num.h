/* SPDX-License-Identifier: MIT */
/*
 * print_num.h - from a float to its decimal digits, exactly
 *
 * A value travels as a long double, which holds every smaller type exactly;
 * its own type's precision decides how many digits name it.
 */
#ifndef NDI_PRINT_NUM_H
#define NDI_PRINT_NUM_H

#include <base/attr.h>

/* What an IEEE-like type looks like: stored fraction bits and the exponent of
 * its smallest normal number. */
struct ndi_fp_type {
    int mant_bits;
    int exp_min;
};

extern const struct ndi_fp_type ndi_fp_half;
extern const struct ndi_fp_type ndi_fp_single;
extern const struct ndi_fp_type ndi_fp_double;
extern const struct ndi_fp_type ndi_fp_long;

#define NDI_DIGITS_MAX 64

struct ndi_digits {
    int count; /* >= 1 */
    int first; /* the power of ten of d[0] */
    char d[NDI_DIGITS_MAX]; /* '0'..'9' */
};

/* Where digits end. Either bound may be absent (-1). */
struct ndi_cut {
    bool total; /* bounds count significant digits, else fraction digits */
    int most;   /* no digit beyond this one */
    int least;  /* the shortest name may not end before this one */
};

/*
 * The digits of |x| (finite): the fewest that name x among the values of its
 * type, within the bounds of `cut`, the last one rounded correctly.
 */
void ndi_digits_make(struct ndi_digits *out, long double x,
                     const struct ndi_fp_type *type, struct ndi_cut cut);

/* Half precision to float, from its bits. */
float ndi_half_value(uint16_t bits);

#endif
