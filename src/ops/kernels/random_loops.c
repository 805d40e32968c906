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

#if defined(__AVX512F__)
#include <immintrin.h>

/* The same for many counters in a row: a block to a lane, and enough vectors
 * that one's products do not wait for another's. Multiplying 32-bit halves in
 * eight lanes beats 64-bit words one by one; in four lanes (AVX2) it does not.
 */
#define LANES 8
#define VECTORS 4
#define TOGETHER (LANES * VECTORS)

typedef uint64_t lanes __attribute__((vector_size(8 * LANES)));

static inline lanes
product(lanes a, lanes b)
{
    return (lanes)_mm512_mul_epu32((__m512i)a, (__m512i)b);
}

static inline lanes
mulhilo(lanes a, uint64_t b, lanes *high)
{
    const uint64_t half = 0xffffffffU;
    lanes low_b = (lanes){0} + (b & half);
    lanes high_b = (lanes){0} + (b >> 32);
    lanes first = product(a, low_b);
    lanes mid = product(a >> 32, low_b) + (first >> 32);
    lanes rest = product(a, high_b) + (mid & half);

    *high = product(a >> 32, high_b) + (mid >> 32) + (rest >> 32);
    return rest << 32 | (first & half);
}

static inline void
round_of(lanes x[4], const uint64_t key[2])
{
    lanes high0, high2;
    lanes low0 = mulhilo(x[0], PHILOX_M4x64_0, &high0);
    lanes low2 = mulhilo(x[2], PHILOX_M4x64_1, &high2);

    x[0] = high2 ^ x[1] ^ key[0];
    x[1] = low2;
    x[2] = high0 ^ x[3] ^ key[1];
    x[3] = low0;
}

static void
blocks(const uint64_t key[2], uint64_t counter, uint64_t word[TOGETHER * 4])
{
    uint64_t k[2] = {key[0], key[1]};
    lanes x[VECTORS][4] = {{{0}}};

    for (int v = 0; v < VECTORS; v++) {
        x[v][0] = (lanes){0, 1, 2, 3, 4, 5, 6, 7} + (counter + LANES * v);
    }
    NDI_UNROLL(10)
    for (int r = 0; r < philox4x64_rounds; r++) {
        NDI_UNROLL(4)
        for (int v = 0; v < VECTORS; v++) {
            round_of(x[v], k);
        }
        k[0] += PHILOX_W64_0;
        k[1] += PHILOX_W64_1;
    }
    for (int v = 0; v < VECTORS; v++) {
        for (int i = 0; i < LANES; i++) {
            for (int w = 0; w < 4; w++) {
                word[(v * LANES + i) * 4 + w] = x[v][w][i];
            }
        }
    }
}
#else
#define TOGETHER 1
#define blocks block
#endif

static inline void
doubles(const uint64_t *word, int nblocks, double *out)
{
    for (int k = 0; k < 4 * nblocks; k++) {
        out[k] = (double)(int64_t)(word[k] >> 11) * 0x1p-53;
    }
}

/* The lower half of a word comes first. */
static inline void
floats(const uint64_t *word, int nblocks, float *out)
{
    for (int k = 0; k < 4 * nblocks; k++) {
        uint32_t low = (uint32_t)word[k], high = (uint32_t)(word[k] >> 32);

        out[2 * k] = (float)(int32_t)(low >> 8) * 0x1p-24f;
        out[2 * k + 1] = (float)(int32_t)(high >> 8) * 0x1p-24f;
    }
}

/* Whole blocks go where they belong, the ends by way of one. */
#define STREAM(NAME, T, PER, PUT)                                             \
    static void NAME(const uint64_t key[2], int64_t at, int64_t count, T *to) \
    {                                                                         \
        uint64_t counter = (uint64_t)(at / PER) + 1;                          \
        int64_t skip = at % PER;                                              \
        uint64_t word[TOGETHER * 4];                                          \
        T some[PER];                                                          \
                                                                              \
        while (count > 0) {                                                   \
            int64_t n = count < PER - skip ? count : PER - skip;              \
            int made = 1;                                                     \
                                                                              \
            if (skip == 0 && count >= PER * TOGETHER) {                       \
                made = TOGETHER;                                              \
                n = PER * TOGETHER;                                           \
                blocks(key, counter, word);                                   \
                PUT(word, TOGETHER, to);                                      \
            } else {                                                          \
                block(key, counter, word);                                    \
                PUT(word, 1, some);                                           \
                memcpy(to, some + skip, (size_t)n * sizeof(T));               \
            }                                                                 \
            skip = 0;                                                         \
            counter += (uint64_t)made;                                        \
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
