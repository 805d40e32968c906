/* SPDX-License-Identifier: MIT */
/*
 * print_num.c - the shortest digits that name a float, within bounds
 *
 * The value is a fraction r/s of two big integers, with half the gap to the
 * neighbour below (low) and above (high) over the same s. Long division by s
 * gives digit after digit; the name is long enough when what is left is less
 * than half a gap away from r or from r rounded up. All of it is exact, so the
 * last digit is right by construction, also where a bound stops us early.
 *
 * Numbers are little-endian arrays of 32-bit words in the caller's frame. The
 * largest, an 80-bit extended one near either end of its range, takes about
 * 33 000 bits.
 */
#include <nd/print_num.h>

#include <float.h>
#include <math.h>
#include <string.h>

const struct ndi_fp_type ndi_fp_half = {10, -14};
const struct ndi_fp_type ndi_fp_single = {23, -126};
const struct ndi_fp_type ndi_fp_double = {52, -1022};
const struct ndi_fp_type ndi_fp_long = {LDBL_MANT_DIG - 1, LDBL_MIN_EXP - 1};

#define BIG_WORDS 1056

struct big {
    int len; /* no leading zero words; 0 is the number zero */
    uint32_t w[BIG_WORDS];
};

static void
big_set(struct big *b, uint64_t hi, uint64_t lo)
{
    b->w[0] = (uint32_t)lo;
    b->w[1] = (uint32_t)(lo >> 32);
    b->w[2] = (uint32_t)hi;
    b->w[3] = (uint32_t)(hi >> 32);
    b->len = 4;
    while (b->len > 0 && b->w[b->len - 1] == 0) {
        b->len--;
    }
}

static void
big_mul(struct big *b, uint32_t factor)
{
    uint64_t carry = 0;

    for (int i = 0; i < b->len; i++) {
        carry += (uint64_t)b->w[i] * factor;
        b->w[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry != 0 && b->len < BIG_WORDS) {
        b->w[b->len++] = (uint32_t)carry;
    }
}

static void
big_mul_pow10(struct big *b, int power)
{
    for (; power >= 9; power -= 9) {
        big_mul(b, 1000000000u);
    }
    for (; power > 0; power--) {
        big_mul(b, 10);
    }
}

static void
big_shift(struct big *b, int bits)
{
    int words = bits / 32, rest = bits % 32;

    if (b->len == 0 || b->len + words >= BIG_WORDS) {
        return;
    }
    memmove(b->w + words, b->w, (size_t)b->len * sizeof b->w[0]);
    memset(b->w, 0, (size_t)words * sizeof b->w[0]);
    b->len += words;
    if (rest != 0) {
        big_mul(b, 1u << rest);
    }
}

static int
big_compare(const struct big *a, const struct big *b)
{
    if (a->len != b->len) {
        return a->len < b->len ? -1 : 1;
    }
    for (int i = a->len - 1; i >= 0; i--) {
        if (a->w[i] != b->w[i]) {
            return a->w[i] < b->w[i] ? -1 : 1;
        }
    }
    return 0;
}

/* a + b against c, without storing the sum: the difference c - a - b from the
 * top word down, until it can no longer change its sign. */
static int
big_compare_sum(const struct big *a, const struct big *b, const struct big *c)
{
    int top = a->len > b->len ? a->len : b->len;
    int64_t rest = 0;

    top = c->len > top ? c->len : top;
    for (int i = top - 1; i >= 0; i--) {
        rest = rest * ((int64_t)1 << 32);
        rest += i < c->len ? c->w[i] : 0;
        rest -= i < a->len ? a->w[i] : 0;
        rest -= i < b->len ? b->w[i] : 0;
        if (rest < 0) {
            return 1;
        }
        if (rest > 2) {
            return -1;
        }
    }
    return rest == 0 ? 0 : -1;
}

/* a -= b * factor; the result is known not to be negative. */
static void
big_sub_mul(struct big *a, const struct big *b, uint32_t factor)
{
    uint64_t carry = 0;

    for (int i = 0; i < a->len; i++) {
        uint64_t take, have = a->w[i];

        carry += i < b->len ? (uint64_t)b->w[i] * factor : 0;
        take = (uint32_t)carry;
        carry >>= 32;
        if (have < take) {
            carry++;
        }
        a->w[i] = (uint32_t)(have - take);
    }
    while (a->len > 0 && a->w[a->len - 1] == 0) {
        a->len--;
    }
}

/* Replaces r by r mod s and gives the quotient, which is known to be below
 * ten. The estimate from the top words is never too large. */
static int
big_divide(struct big *r, const struct big *s)
{
    int n = s->len;
    uint64_t top;
    uint32_t q;

    if (r->len < n) {
        return 0;
    }
    top = r->w[n - 1];
    if (r->len > n) {
        top |= (uint64_t)r->w[n] << 32;
    }
    q = (uint32_t)(top / ((uint64_t)s->w[n - 1] + 1));
    if (q > 0) {
        big_sub_mul(r, s, q);
    }
    while (big_compare(r, s) >= 0) {
        big_sub_mul(r, s, 1);
        q++;
    }
    return (int)q;
}

struct division {
    struct big r;    /* what is left of the value, over s */
    struct big s;
    struct big low;  /* half the gap below, over s */
    struct big high; /* half the gap above */
    bool even;       /* a tie belongs to us */
};

/* Fills r, s, low and high for x > 0; gives about log2(x). */
static int
division_start(struct division *dv, long double x,
               const struct ndi_fp_type *type)
{
    int exp, shift;
    bool lowest;
    uint64_t hi, lo;
    long double mant;

    frexpl(x, &exp);
    exp -= 1;
    lowest = exp <= type->exp_min;
    if (lowest) {
        exp = type->exp_min;
    }
    shift = exp - type->mant_bits; /* x = mant * 2^shift */
    mant = ldexpl(x, -shift);
    hi = (uint64_t)ldexpl(mant, -64);
    lo = (uint64_t)(mant - ldexpl((long double)hi, 64));
    dv->even = (lo & 1) == 0;

    // A power of two has its lower neighbour at half the distance.
    bool power = !lowest && mant == ldexpl(1.0L, type->mant_bits);

    big_set(&dv->r, hi, lo);
    big_shift(&dv->r, 2);
    big_set(&dv->s, 0, 4);
    big_set(&dv->high, 0, 2);
    big_set(&dv->low, 0, power ? 1 : 2);
    if (shift >= 0) {
        big_shift(&dv->r, shift);
        big_shift(&dv->high, shift);
        big_shift(&dv->low, shift);
    } else {
        big_shift(&dv->s, -shift);
    }
    frexpl(x, &exp);
    return exp - 1;
}

static void
division_times_ten(struct division *dv)
{
    big_mul(&dv->r, 10);
    big_mul(&dv->low, 10);
    big_mul(&dv->high, 10);
}

/* Divides by 10^power. */
static void
division_scale(struct division *dv, int power)
{
    if (power >= 0) {
        big_mul_pow10(&dv->s, power);
    } else {
        big_mul_pow10(&dv->r, -power);
        big_mul_pow10(&dv->low, -power);
        big_mul_pow10(&dv->high, -power);
    }
}

/* Scales so that the next digit is that of 10^(result - 1), where the result
 * is floor(log10 x) + 1, or `floor_at` if that is larger. */
static int
division_align(struct division *dv, int log2x, int floor_at)
{
    int top = (int)floor(log2x * 0.30102999566398120) + 1;

    if (top < floor_at - 1) {
        division_scale(dv, floor_at - 1);
        return floor_at;
    }
    division_scale(dv, top - 1);
    struct big *ten = &dv->s;
    struct big wide;

    // The estimate is right or one too small.
    memcpy(wide.w, ten->w, (size_t)ten->len * sizeof ten->w[0]);
    wide.len = ten->len;
    big_mul(&wide, 10);
    if (big_compare(&dv->r, &wide) >= 0) {
        big_mul(&dv->s, 10);
        top++;
    }
    if (top < floor_at) {
        big_mul_pow10(&dv->s, floor_at - top);
        top = floor_at;
    }
    return top;
}

/* Makes the divisor's top word large, so that quotients are estimated well. */
static void
division_normalise(struct division *dv)
{
    int shift = __builtin_clz(dv->s.w[dv->s.len - 1]);

    big_shift(&dv->s, shift);
    big_shift(&dv->r, shift);
    big_shift(&dv->low, shift);
    big_shift(&dv->high, shift);
}

/* Adds one in the last place. */
static void
digits_round_up(struct ndi_digits *out)
{
    while (out->count > 0 && out->d[out->count - 1] == '9') {
        out->count--;
    }
    if (out->count > 0) {
        out->d[out->count - 1]++;
        return;
    }
    out->d[out->count++] = '1';
    out->first++;
}

static void
digits_run(struct ndi_digits *out, struct division *dv, int top, int stop_low,
           int stop_high)
{
    int pos = top, digit, half;
    bool low, high, down;

    for (;;) {
        pos--;
        digit = big_divide(&dv->r, &dv->s);
        int below = big_compare(&dv->r, &dv->low);
        int above = big_compare_sum(&dv->r, &dv->high, &dv->s);

        low = dv->even ? below <= 0 : below < 0;
        high = dv->even ? above >= 0 : above > 0;
        if (((low || high) && pos <= stop_low) || pos == stop_high ||
            out->count == NDI_DIGITS_MAX - 1) {
            break;
        }
        out->d[out->count++] = (char)('0' + digit);
        division_times_ten(dv);
    }
    out->d[out->count++] = (char)('0' + digit);
    if (low != high) {
        down = low;
    } else {
        half = big_compare_sum(&dv->r, &dv->r, &dv->s);
        down = half < 0 || (half == 0 && digit % 2 == 0);
    }
    if (!down) {
        digits_round_up(out);
    }
}

void
ndi_digits_make(struct ndi_digits *out, long double x,
                const struct ndi_fp_type *type, struct ndi_cut cut)
{
    struct division dv;
    int top, log2x, stop_low, stop_high = INT32_MIN;

    out->count = 0;
    out->first = 0;
    x = fabsl(x);
    if (x == 0) {
        out->d[out->count++] = '0';
        return;
    }
    log2x = division_start(&dv, x, type);
    top = division_align(&dv, log2x,
                         !cut.total && cut.most >= 0 ? 1 - cut.most
                                                     : INT32_MIN / 2);
    division_normalise(&dv);
    out->first = top - 1;
    if (cut.most >= 0) {
        stop_high = cut.total ? top - cut.most : -cut.most;
    }
    stop_low = top;
    if (cut.least >= 0) {
        int least = cut.total ? top - cut.least : -cut.least;

        stop_low = least < stop_low ? least : stop_low;
    }
    digits_run(out, &dv, top, stop_low, stop_high);
}

float
ndi_half_value(uint16_t bits)
{
    int exp = (bits >> 10) & 31, mant = bits & 1023;
    float value;

    if (exp == 31) {
        value = mant != 0 ? NAN : INFINITY;
    } else if (exp == 0) {
        value = ldexpf((float)mant, -24);
    } else {
        value = ldexpf((float)(mant + 1024), exp - 25);
    }
    return (bits & 0x8000) != 0 ? -value : value;
}
