/* SPDX-License-Identifier: MIT */
/*
 * time_unit.c - the [25us] of datetime64 and timedelta64
 *
 * "D/2" names half a day: NumPy turns it into the first finer unit that the
 * divisor divides (12h), and so does this.
 */
#include <nd/dtype_impl.h>

#include <string.h>

static const char *const unit_names[] = {"Y",  "M",  "W",  "D",  "h",
                                         "m",  "s",  "ms", "us", "ns",
                                         "ps", "fs", "as", "generic"};

const char *
ndi_time_unit_name(enum ndi_time_unit unit)
{
    return unit_names[unit];
}

static bool
find_unit(const char *text, size_t nbytes, enum ndi_time_unit *unit)
{
    if (nbytes == 3 && memcmp(text, "\xc2\xb5s", 3) == 0) {
        *unit = NDI_UNIT_us; // the micro sign
        return true;
    }
    if (nbytes == 3 && memcmp(text, "\xce\xbcs", 3) == 0) {
        *unit = NDI_UNIT_us; // the Greek letter
        return true;
    }
    for (size_t i = 0; i < NDI_ARRAY_LEN(unit_names); i++) {
        if (strlen(unit_names[i]) == nbytes &&
            memcmp(unit_names[i], text, nbytes) == 0) {
            *unit = (enum ndi_time_unit)i;
            return true;
        }
    }
    return false;
}

/* Digits at the front; leaves the rest. False for none, 0 or too many. */
static bool
take_count(const char **text, size_t *nbytes, int32_t *count)
{
    int64_t n = 0;
    size_t i = 0;

    while (i < *nbytes && (*text)[i] >= '0' && (*text)[i] <= '9') {
        n = n * 10 + ((*text)[i] - '0');
        if (n > INT32_MAX) {
            return false;
        }
        i++;
    }
    *text += i;
    *nbytes -= i;
    *count = (int32_t)n;
    return i != 0 && n > 0;
}

/* One of `unit` in finer ones, in the order NumPy tries them. */
static bool
divide_unit(enum ndi_time_unit *unit, int32_t *count, int32_t divisor)
{
    static const struct {
        enum ndi_time_unit to[3];
        int64_t factor[3]; // 0: no more
    } finer[] = {
        [NDI_UNIT_Y] = {{NDI_UNIT_M, NDI_UNIT_W, NDI_UNIT_D}, {12, 52, 365}},
        [NDI_UNIT_M] = {{NDI_UNIT_W, NDI_UNIT_D, NDI_UNIT_h}, {4, 30, 720}},
        [NDI_UNIT_W] = {{NDI_UNIT_D, NDI_UNIT_h, NDI_UNIT_m},
                        {7, 168, 10080}},
        [NDI_UNIT_D] = {{NDI_UNIT_h, NDI_UNIT_m, NDI_UNIT_s},
                        {24, 1440, 86400}},
        [NDI_UNIT_h] = {{NDI_UNIT_m, NDI_UNIT_s}, {60, 3600}},
        [NDI_UNIT_m] = {{NDI_UNIT_s, NDI_UNIT_ms}, {60, 60000}},
        [NDI_UNIT_s] = {{NDI_UNIT_ms, NDI_UNIT_us}, {1000, 1000000}},
        [NDI_UNIT_ms] = {{NDI_UNIT_us, NDI_UNIT_ns}, {1000, 1000000}},
        [NDI_UNIT_us] = {{NDI_UNIT_ns, NDI_UNIT_ps}, {1000, 1000000}},
        [NDI_UNIT_ns] = {{NDI_UNIT_ps, NDI_UNIT_fs}, {1000, 1000000}},
        [NDI_UNIT_ps] = {{NDI_UNIT_fs, NDI_UNIT_as}, {1000, 1000000}},
        [NDI_UNIT_fs] = {{NDI_UNIT_as}, {1000}},
        [NDI_UNIT_as] = {{NDI_UNIT_as}, {0}},
        [NDI_UNIT_GENERIC] = {{NDI_UNIT_as}, {0}},
    };

    if (divisor == 1) {
        return true;
    }
    for (int i = 0; i < 3 && finer[*unit].factor[i] != 0; i++) {
        if (finer[*unit].factor[i] % divisor == 0) {
            int64_t n = finer[*unit].factor[i] / divisor * *count;

            if (n > INT32_MAX) {
                return false;
            }
            *count = (int32_t)n;
            *unit = finer[*unit].to[i];
            return true;
        }
    }
    return false;
}

bool
ndi_time_unit_parse(const char *text, size_t nbytes, enum ndi_time_unit *unit,
                    int32_t *count)
{
    const char *slash = memchr(text, '/', nbytes);
    const char *end = text + nbytes;
    size_t left = (size_t)((slash != NULL ? slash : end) - text);
    int32_t divisor;

    *count = 1;
    if (left != 0 && *text >= '0' && *text <= '9' &&
        !take_count(&text, &left, count)) {
        return false;
    }
    if (!find_unit(text, left, unit)) {
        return false;
    }
    if (*unit == NDI_UNIT_GENERIC) {
        return *count == 1 && slash == NULL;
    }
    if (slash == NULL) {
        return true;
    }
    text = slash + 1;
    left = (size_t)(end - text);
    return take_count(&text, &left, &divisor) && left == 0 &&
           divide_unit(unit, count, divisor);
}
