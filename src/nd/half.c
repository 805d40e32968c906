/* SPDX-License-Identifier: MIT */
/* half.c - float16 to double, exactly */
#include <nd/half.h>

#include <string.h>

double
ndi_half_to_double(uint16_t bits)
{
    uint64_t sign = (uint64_t)(bits & 0x8000) << 48;
    uint64_t exponent = (bits >> 10) & 0x1f, fraction = bits & 0x3ff, out;
    double value;

    if (exponent == 0x1f) {
        out = sign | 0x7ff0000000000000u | fraction << 42;
    } else if (exponent != 0) {
        out = sign | (exponent + 1008) << 52 | fraction << 42;
    } else {
        value = (double)fraction * 0x1p-24;
        memcpy(&out, &value, sizeof out);
        out |= sign;
    }
    memcpy(&value, &out, sizeof value);
    return value;
}
