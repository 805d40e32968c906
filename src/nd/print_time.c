/* SPDX-License-Identifier: MIT */
/*
 * print_time.c - datetime64 and timedelta64 as text
 *
 * The calendar is the Gregorian one, extended both ways. Values near the ends
 * of 64 bits wrap round as NumPy's do, so they print what NumPy prints.
 */
#include <nd/print_impl.h>

static int64_t
wrap_mul(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a * (uint64_t)b);
}

static int64_t
floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;

    return a % b < 0 ? q - 1 : q;
}

static int64_t
floor_mod(int64_t a, int64_t b)
{
    int64_t rest = a % b;

    return rest < 0 ? rest + b : rest;
}

/* Days from 1970-01-01 to year, month, day: whole 400-year cycles, counted
 * from 2000, then years that begin in March so that the leap day is last. */
static void
split_days(struct ndi_date *out, int64_t days)
{
    int64_t since = (int64_t)((uint64_t)days - 10957u);
    int64_t cycle = floor_div(since, 146097);
    int64_t in_cycle = floor_mod(since, 146097) - 60;
    int64_t year, in_year, month;

    if (in_cycle < 0) {
        in_cycle += 146097;
        cycle--;
    }
    year = (in_cycle - in_cycle / 1460 + in_cycle / 36524 -
            in_cycle / 146096) / 365;
    in_year = in_cycle - (365 * year + year / 4 - year / 100);
    month = (5 * in_year + 2) / 153;
    out->day = (int)(in_year - (153 * month + 2) / 5 + 1);
    out->month = (int)(month < 10 ? month + 3 : month - 9);
    out->year = 2000 + cycle * 400 + year + (out->month <= 2 ? 1 : 0);
}

static void
split_seconds(struct ndi_date *out, int64_t seconds)
{
    int64_t days = floor_div(seconds, 86400);
    int rest = (int)floor_mod(seconds, 86400);

    split_days(out, days);
    out->hour = rest / 3600;
    out->minute = rest / 60 % 60;
    out->second = rest % 60;
}

/* Ticks of the unit in one second; 0 for units longer than that. */
static int64_t
ticks_per_second(enum ndi_time_unit unit)
{
    int64_t ticks = 1;

    if (unit < NDI_UNIT_s || unit == NDI_UNIT_GENERIC) {
        return 0;
    }
    for (int i = NDI_UNIT_s; i < (int)unit; i++) {
        ticks *= 1000;
    }
    return ticks;
}

void
ndi_date_split(struct ndi_date *out, const nds_dtype *dt, int64_t value)
{
    int64_t v = wrap_mul(value, dt->unit_count), days, seconds;
    int64_t ticks = ticks_per_second(dt->unit);

    *out = (struct ndi_date){.year = 1970, .month = 1, .day = 1};
    switch (dt->unit) {
    case NDI_UNIT_Y:
        out->year = (int64_t)((uint64_t)v + 1970);
        return;
    case NDI_UNIT_M:
        out->year = 1970 + floor_div(v, 12);
        out->month = (int)floor_mod(v, 12) + 1;
        return;
    case NDI_UNIT_W:
        split_days(out, wrap_mul(v, 7));
        return;
    case NDI_UNIT_D:
        split_days(out, v);
        return;
    case NDI_UNIT_h:
        days = floor_div(v, 24);
        split_days(out, days);
        out->hour = (int)floor_mod(v, 24);
        return;
    case NDI_UNIT_m:
        days = floor_div(v, 1440);
        split_days(out, days);
        out->hour = (int)floor_mod(v, 1440) / 60;
        out->minute = (int)floor_mod(v, 1440) % 60;
        return;
    default:
        break;
    }
    if (ticks == 0) {
        return;
    }
    seconds = floor_div(v, ticks);
    split_seconds(out, seconds);
    out->attos = floor_mod(v, ticks) *
                 (INT64_C(1000000000000000000) / ticks);
}

void
ndi_add_iso(struct ndi_buf *b, const nds_dtype *dt, int64_t value)
{
    enum ndi_time_unit unit = dt->unit;
    struct ndi_date d;

    ndi_date_split(&d, dt, value);
    ndi_buf_add_fmt(b, "%04lld", (long long)d.year);
    if (unit >= NDI_UNIT_M) {
        ndi_buf_add_fmt(b, "-%02d", d.month);
    }
    if (unit >= NDI_UNIT_W) {
        ndi_buf_add_fmt(b, "-%02d", d.day);
    }
    if (unit >= NDI_UNIT_h) {
        ndi_buf_add_fmt(b, "T%02d", d.hour);
    }
    if (unit >= NDI_UNIT_m) {
        ndi_buf_add_fmt(b, ":%02d", d.minute);
    }
    if (unit >= NDI_UNIT_s) {
        ndi_buf_add_fmt(b, ":%02d", d.second);
    }
    if (unit > NDI_UNIT_s && unit < NDI_UNIT_GENERIC) {
        ndi_buf_add_fmt(b, ".%0*lld", 3 * (unit - NDI_UNIT_s),
                        (long long)(d.attos /
                                    (INT64_C(1000000000000000000) /
                                     ticks_per_second(unit))));
    }
}

void
ndi_add_duration(struct ndi_buf *b, const nds_dtype *dt, int64_t value)
{
    static const char *const names[] = {
        "years",        "months",       "weeks",        "days",
        "hours",        "minutes",      "seconds",      "milliseconds",
        "microseconds", "nanoseconds",  "picoseconds",  "femtoseconds",
        "attoseconds",  "generic time units"};

    ndi_buf_add_fmt(b, "%lld %s", (long long)wrap_mul(value, dt->unit_count),
                    names[dt->unit]);
}

/* Python's date and datetime know the years 1 to 9999 and microseconds; what
 * does not fit stays the number it is. */
void
ndi_add_date_object(struct ndi_buf *b, const nds_dtype *dt, int64_t value)
{
    struct ndi_date d;
    long long micros;

    if (value == NDI_NAT || dt->unit == NDI_UNIT_GENERIC) {
        ndi_buf_add_str(b, "None");
        return;
    }
    ndi_date_split(&d, dt, value);
    if (dt->unit > NDI_UNIT_us || d.year < 1 || d.year > 9999) {
        ndi_buf_add_fmt(b, "%lld", (long long)value);
        return;
    }
    if (dt->unit <= NDI_UNIT_D) {
        ndi_buf_add_fmt(b, "datetime.date(%d, %d, %d)", (int)d.year, d.month,
                        d.day);
        return;
    }
    micros = d.attos / INT64_C(1000000000000);
    ndi_buf_add_fmt(b, "datetime.datetime(%d, %d, %d, %d, %d", (int)d.year,
                    d.month, d.day, d.hour, d.minute);
    if (d.second != 0 || micros != 0) {
        ndi_buf_add_fmt(b, ", %d", d.second);
    }
    if (micros != 0) {
        ndi_buf_add_fmt(b, ", %lld", micros);
    }
    ndi_buf_add_char(b, ')');
}

void
ndi_add_delta_object(struct ndi_buf *b, const nds_dtype *dt, int64_t value)
{
    static const int64_t micros_per_unit[] = {
        [NDI_UNIT_W] = 604800000000, [NDI_UNIT_D] = 86400000000,
        [NDI_UNIT_h] = 3600000000,   [NDI_UNIT_m] = 60000000,
        [NDI_UNIT_s] = 1000000,      [NDI_UNIT_ms] = 1000,
        [NDI_UNIT_us] = 1};
    __extension__ typedef __int128 wide;
    wide total, days;
    int64_t rest;
    const char *gap = "";

    if (value == NDI_NAT) {
        ndi_buf_add_str(b, "None");
        return;
    }
    if (dt->unit < NDI_UNIT_W || dt->unit > NDI_UNIT_us) {
        ndi_buf_add_fmt(b, "%lld", (long long)value);
        return;
    }
    total = (wide)wrap_mul(value, dt->unit_count) * micros_per_unit[dt->unit];
    days = total / 86400000000;
    if (total % 86400000000 < 0) {
        days--;
    }
    if (days < -999999999 || days > 999999999) {
        ndi_buf_add_fmt(b, "%lld", (long long)value);
        return;
    }
    rest = (int64_t)(total - days * 86400000000);
    ndi_buf_add_str(b, "datetime.timedelta(");
    if (days != 0) {
        ndi_buf_add_fmt(b, "days=%lld", (long long)days);
        gap = ", ";
    }
    if (rest / 1000000 != 0) {
        ndi_buf_add_fmt(b, "%sseconds=%lld", gap, (long long)(rest / 1000000));
        gap = ", ";
    }
    if (rest % 1000000 != 0) {
        ndi_buf_add_fmt(b, "%smicroseconds=%lld", gap,
                        (long long)(rest % 1000000));
        gap = ", ";
    }
    ndi_buf_add_str(b, gap[0] == '\0' ? "0)" : ")");
}
