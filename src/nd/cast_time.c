/* SPDX-License-Identifier: MIT */
/*
 * cast_time.c - datetime64 and timedelta64 in other units
 *
 * Between units of fixed length a value is scaled by a fraction and rounded
 * down. Months and years of a datetime64 go through the calendar; those of a
 * timedelta64 count as the mean of 400 years, as in NumPy. NaT stays NaT. A
 * result beyond 64 bits wraps; a date whose month or day count passes MAX_DATE
 * becomes NaT.
 */
#include <nd/cast.h>

#include <base/fail.h>
#include <nd/dtype_impl.h>

#include <string.h>

#define NAT INT64_MIN
#define DAYS_400Y 146097
#define MAX_DATE (1ll << 44) // times 2**77 attoseconds it fits 128 bits

static int64_t
load(const char *at, const nds_dtype *dt)
{
    uint64_t v;

    memcpy(&v, at, sizeof v);
    return (int64_t)(dt->swapped ? __builtin_bswap64(v) : v);
}

static void
store(char *at, int64_t value, const nds_dtype *dt)
{
    uint64_t v = (uint64_t)value;

    v = dt->swapped ? __builtin_bswap64(v) : v;
    memcpy(at, &v, sizeof v);
}

static __int128
floor_div(__int128 a, __int128 b)
{
    return a / b - (a % b < 0);
}

/* One of `unit` as num/den attoseconds is too much for 64 bits: both relative
 * to the finer one, which is enough. */
static bool
unit_ratio(enum ndi_time_unit from, enum ndi_time_unit to, __int128 *num,
           __int128 *den)
{
    /* how many of the next finer unit; a month is 146097/4800 days */
    static const int32_t finer[] = {[NDI_UNIT_Y] = 12,   [NDI_UNIT_W] = 7,
                                    [NDI_UNIT_D] = 24,   [NDI_UNIT_h] = 60,
                                    [NDI_UNIT_m] = 60,   [NDI_UNIT_s] = 1000,
                                    [NDI_UNIT_ms] = 1000, [NDI_UNIT_us] = 1000,
                                    [NDI_UNIT_ns] = 1000, [NDI_UNIT_ps] = 1000,
                                    [NDI_UNIT_fs] = 1000};
    enum ndi_time_unit u = from < to ? from : to, last = from < to ? to : from;

    *num = *den = 1;
    while (u < last) {
        if (u == NDI_UNIT_M) {
            *num *= DAYS_400Y;
            *den *= last == NDI_UNIT_W ? 4800 * 7 : 4800;
            u = last == NDI_UNIT_W ? NDI_UNIT_W : NDI_UNIT_D;
            continue;
        }
        *num *= finer[u];
        u++;
        if (*num > ((__int128)1 << 90)) {
            return false;
        }
    }
    if (from > to) {
        __int128 swap = *num;

        *num = *den;
        *den = swap;
    }
    return true;
}

static __int128
gcd(__int128 a, __int128 b)
{
    while (b != 0) {
        __int128 rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

/* ---- the calendar ------------------------------------------------------- */

/* Days since 1970-01-01 of the first of a month counted from 1970-01. */
static int64_t
days_of_month(int64_t month)
{
    int64_t y = 1970 + (int64_t)floor_div(month, 12);
    int64_t m = month - 12 * (int64_t)floor_div(month, 12); // 0 = January
    int64_t era, yoe, doy;

    y -= m < 2;
    era = (int64_t)floor_div(y, 400);
    yoe = y - era * 400;
    doy = (153 * ((m + 10) % 12) + 2) / 5;
    return era * DAYS_400Y + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

/* The month, counted from 1970-01, that a day lies in. */
static int64_t
month_of_day(int64_t day)
{
    int64_t z = day + 719468, era = (int64_t)floor_div(z, DAYS_400Y);
    int64_t doe = z - era * DAYS_400Y;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153; // 0 = March

    return (yoe + era * 400 - 1970) * 12 + mp + 2;
}

static bool
is_calendar(enum ndi_time_unit unit)
{
    return unit == NDI_UNIT_Y || unit == NDI_UNIT_M;
}

/* v * num / den, down, modulo 2**64 */
static int64_t
scale(int64_t v, __int128 num, __int128 den)
{
    return (int64_t)(uint64_t)floor_div((__int128)v * num, den);
}

/* A datetime64 across the line between months and days. */
static int64_t
cross_calendar(int64_t v, const nds_dtype *from, const nds_dtype *to)
{
    __int128 num, den, count;

    if (is_calendar(from->unit)) {
        count = (__int128)v * from->unit_count *
                (from->unit == NDI_UNIT_Y ? 12 : 1);
        if (count > MAX_DATE || count < -MAX_DATE) {
            return NAT;
        }
        unit_ratio(NDI_UNIT_D, to->unit, &num, &den);
        return scale(days_of_month((int64_t)count), num,
                     den * to->unit_count);
    }
    unit_ratio(from->unit, NDI_UNIT_D, &num, &den);
    count = floor_div(num * from->unit_count * v, den);
    if (count > MAX_DATE || count < -MAX_DATE) {
        return NAT;
    }
    return scale(month_of_day((int64_t)count), 1,
                 (__int128)to->unit_count * (to->unit == NDI_UNIT_Y ? 12 : 1));
}

static int
run_calendar(const struct ndi_cast *c, char *dst, int64_t dst_stride,
             const char *src, int64_t src_stride, int64_t count)
{
    for (int64_t i = 0; i < count; i++, dst += dst_stride, src += src_stride) {
        int64_t v = load(src, c->from);

        store(dst, v == NAT ? NAT : cross_calendar(v, c->from, c->to), c->to);
    }
    return 0;
}

static int
run_scale(const struct ndi_cast *c, char *dst, int64_t dst_stride,
          const char *src, int64_t src_stride, int64_t count)
{
    for (int64_t i = 0; i < count; i++, dst += dst_stride, src += src_stride) {
        int64_t v = load(src, c->from);

        store(dst, v == NAT ? NAT : scale(v, c->num, c->den), c->to);
    }
    return 0;
}

static int
fail_units(const struct ndi_cast *c)
{
    return ndi_fail(NDS_ECAST, "cannot cast %s units '%s' to '%s'",
                    c->from->kind == 'M' ? "datetime64" : "timedelta64",
                    ndi_time_unit_name(c->from->unit),
                    ndi_time_unit_name(c->to->unit));
}

int
ndi_cast_time_init(struct ndi_cast *c)
{
    const nds_dtype *from = c->from, *to = c->to;
    __int128 num, den, common;

    c->run = run_scale;
    c->num = c->den = 1;
    if (from->unit == NDI_UNIT_GENERIC) {
        return 0; // takes the other's unit
    }
    if (to->unit == NDI_UNIT_GENERIC) {
        return fail_units(c);
    }
    if (from->kind == 'M' && is_calendar(from->unit) != is_calendar(to->unit)) {
        c->run = run_calendar;
        return 0;
    }
    if (!unit_ratio(from->unit, to->unit, &num, &den)) {
        return fail_units(c);
    }
    num *= from->unit_count;
    den *= to->unit_count;
    common = gcd(num, den);
    num /= common;
    den /= common;
    if (num > INT64_MAX || den > INT64_MAX) {
        return fail_units(c);
    }
    c->num = (int64_t)num;
    c->den = (int64_t)den;
    return 0;
}
