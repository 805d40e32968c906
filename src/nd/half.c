/* SPDX-License-Identifier: MIT */
/* half.c - float16 from and to double, in integers, exactly rounded */
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

/* n / 2**shift to the nearest integer, ties to even; shift 1..63. */
static uint64_t
shift_round(uint64_t n, int shift)
{
    uint64_t half = 1ull << (shift - 1);
    uint64_t rest = n & ((half << 1) - 1), out = n >> shift;

    return out + (rest > half || (rest == half && (out & 1) != 0));
}

uint16_t
ndi_half_from_double(double value)
{
    uint64_t in, fraction;
    int exponent;
    uint16_t sign;

    memcpy(&in, &value, sizeof in);
    sign = (uint16_t)((in >> 48) & 0x8000);
    exponent = (int)((in >> 52) & 0x7ff) - 1023;
    fraction = in & 0xfffffffffffffu;
    if (exponent == 1024) {
        uint64_t payload = fraction >> 42;

        // A NaN must not lose all its bits and become infinite.
        return (uint16_t)(sign | 0x7c00 | payload |
                          (fraction != 0 && payload == 0));
    }
    if (exponent > 15) {
        return (uint16_t)(sign | 0x7c00);
    }
    if (exponent < -25) {
        return sign;
    }
    fraction |= 1ull << 52;
    if (exponent < -14) {
        return (uint16_t)(sign | shift_round(fraction, 28 - exponent));
    }
    // Rounding may carry into the exponent, up to infinity: as it should.
    return (uint16_t)(sign | (((uint64_t)(exponent + 14) << 10) +
                              shift_round(fraction, 42)));
}
