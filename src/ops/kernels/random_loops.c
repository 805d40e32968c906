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

void
NDI_OF(ndi_philox)(const uint64_t key[2], bool as_floats, char *data,
                   int64_t from, int64_t to)
{
    uint64_t word[4];
    float f[FLOATS];
    double d[DOUBLES];
    float *pf = (float *)(void *)data;
    double *pd = (double *)(void *)data;
    uint64_t counter = (uint64_t)(from / (as_floats ? FLOATS : DOUBLES));

    while (as_floats && from + FLOATS <= to) {
        block(key, ++counter, word);
        floats(word, pf + from);
        from += FLOATS;
    }
    while (!as_floats && from + DOUBLES <= to) {
        block(key, ++counter, word);
        doubles(word, pd + from);
        from += DOUBLES;
    }
    if (from < to) {
        block(key, ++counter, word);
        if (as_floats) {
            floats(word, f);
            memcpy(pf + from, f, (size_t)(to - from) * sizeof(*f));
        } else {
            doubles(word, d);
            memcpy(pd + from, d, (size_t)(to - from) * sizeof(*d));
        }
    }
}
