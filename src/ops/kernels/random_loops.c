/* SPDX-License-Identifier: MIT */
/* random_loops.c - a stretch of Philox 4x64-10 as floats in [0, 1) */
#include "kernels.h"

#include <Random123/philox.h>

#define DOUBLES 4 /* in a block */
#define FLOATS 8

static inline void
block(const uint64_t key[2], uint64_t counter, uint64_t word[4])
{
    philox4x64_ctr_t at = {{counter, 0, 0, 0}};
    philox4x64_key_t k = {{key[0], key[1]}};
    philox4x64_ctr_t words = philox4x64(at, k);

    memcpy(word, words.v, 4 * sizeof(*word));
}

static inline void
doubles(const uint64_t word[4], double *out)
{
    for (int k = 0; k < DOUBLES; k++) {
        out[k] = (double)(int64_t)(word[k] >> 11) * 0x1p-53;
    }
}

/* The lower half of a word comes first. */
static inline void
floats(const uint64_t word[4], float *out)
{
    for (int k = 0; k < FLOATS; k++) {
        uint32_t bits = (uint32_t)(word[k / 2] >> 32 * (k % 2));

        out[k] = (float)(int32_t)(bits >> 8) * 0x1p-24f;
    }
}

/* Whole blocks go where they belong, the ends by way of one. */
#define STREAM(NAME, T, PER, PUT)                                             \
    static void NAME(const uint64_t key[2], int64_t at, int64_t count, T *to) \
    {                                                                         \
        uint64_t counter = (uint64_t)(at / PER);                              \
        int64_t skip = at % PER;                                              \
        uint64_t word[4];                                                     \
        T some[PER];                                                          \
                                                                              \
        while (count > 0) {                                                   \
            int64_t n = count < PER - skip ? count : PER - skip;              \
                                                                              \
            block(key, ++counter, word);                                      \
            if (n == PER) {                                                   \
                PUT(word, to);                                                \
            } else {                                                          \
                PUT(word, some);                                              \
                memcpy(to, some + skip, (size_t)n * sizeof(T));               \
            }                                                                 \
            skip = 0;                                                         \
            to += n;                                                          \
            count -= n;                                                       \
        }                                                                     \
    }

STREAM(stream_doubles, double, DOUBLES, doubles)
STREAM(stream_floats, float, FLOATS, floats)

void
NDI_OF(ndi_philox)(const uint64_t key[2], bool as_floats, int64_t at,
                   int64_t count, void *to)
{
    if (as_floats) {
        stream_floats(key, at, count, to);
    } else {
        stream_doubles(key, at, count, to);
    }
}
