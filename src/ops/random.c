/* SPDX-License-Identifier: MIT */
/*
 * random.c - NumPy's Generator(Philox(seed)).random(), bit for bit
 *
 * The seed goes through SeedSequence's hash into a 128-bit key; Philox 4x64
 * with ten rounds turns the counters 1, 2, 3, ... into four words each. A
 * double takes a word's upper 53 bits; a float takes 24 bits of a half word,
 * the lower half first.
 */
#include "ops_impl.h"

#include <base/fail.h>
#include <os/os.h>

#include <Random123/philox.h>

struct philox {
    uint64_t key[2];
    uint64_t counter;
    uint64_t word[4];
    int next;       /* of word; 4: none left */
    bool half_left; /* of float32: the upper half of `last` comes next */
    uint64_t last;
};

NDI_INLINE static void
block(struct philox *g)
{
    philox4x64_ctr_t counter = {{g->counter, 0, 0, 0}};
    philox4x64_key_t key = {{g->key[0], g->key[1]}};
    philox4x64_ctr_t words = philox4x64(counter, key);

    memcpy(g->word, words.v, sizeof(g->word));
}

static uint32_t
hash_word(uint32_t value, uint32_t *state, uint32_t mult)
{
    value ^= *state;
    *state *= mult;
    value *= *state;
    return value ^ value >> 16;
}

/* SeedSequence(seed).generate_state(2, uint64) */
static void
seed_key(uint64_t seed, uint64_t key[2])
{
    uint32_t pool[4] = {(uint32_t)seed, (uint32_t)(seed >> 32), 0, 0};
    uint32_t state = 0x43b0d7e5U;
    uint32_t out[4];

    for (int i = 0; i < 4; i++) {
        pool[i] = hash_word(pool[i], &state, 0x931e8875U);
    }
    for (int from = 0; from < 4; from++) {
        for (int to = 0; to < 4; to++) {
            uint32_t h;

            if (from == to) {
                continue;
            }
            h = hash_word(pool[from], &state, 0x931e8875U);
            h = 0xca01f9ddU * pool[to] - 0x4973f715U * h;
            pool[to] = h ^ h >> 16;
        }
    }
    state = 0x8b51f9ddU;
    for (int i = 0; i < 4; i++) {
        out[i] = hash_word(pool[i], &state, 0x58f38dedU);
    }
    key[0] = out[0] | (uint64_t)out[1] << 32;
    key[1] = out[2] | (uint64_t)out[3] << 32;
}

static inline uint64_t
next_word(struct philox *g)
{
    if (g->next == 4) {
        g->counter++;
        block(g);
        g->next = 0;
    }
    return g->word[g->next++];
}

static void
doubles(void *ctx, char *data, int64_t stride, int64_t count)
{
    for (int64_t i = 0; i < count; i++, data += stride) {
        double d = (double)(int64_t)(next_word(ctx) >> 11) * 0x1p-53;

        memcpy(data, &d, sizeof(d));
    }
}

static void
floats(void *ctx, char *data, int64_t stride, int64_t count)
{
    struct philox *g = ctx;

    for (int64_t i = 0; i < count; i++, data += stride) {
        uint32_t bits;
        float f;

        if (!g->half_left) {
            g->last = next_word(g);
        }
        bits = (uint32_t)(g->half_left ? g->last >> 32 : g->last);
        g->half_left = !g->half_left;
        f = (float)(bits >> 8) * 0x1p-24f;
        memcpy(data, &f, sizeof(f));
    }
}

struct stretch {
    const struct philox *g;
    char *data;
    bool floats;
};

/* Begins with a fresh block. */
static void
stretch_range(void *ctx, int64_t from, int64_t to)
{
    const struct stretch *s = ctx;

    ndi_kernels()->random(s->g->key, s->floats, s->data, from, to);
}

int
nds_random(const nds_view *dst, uint64_t seed)
{
    struct philox g = {.next = 4};
    struct stretch s = {&g, dst->data, dst->dtype->type == NDS_TYPE_FLOAT32};
    size_t item = (size_t)dst->dtype->itemsize;
    int rc = ndi_check_writable(dst);

    if (rc < 0) {
        return rc;
    }
    if (!ndi_is_number(dst->dtype) ||
        (dst->dtype->type != NDS_TYPE_FLOAT64 && !s.floats)) {
        return ndi_refuse_dtype("random", dst->dtype);
    }
    seed_key(seed, g.key);
    if (nds_view_is_contiguous(dst, 'C') && (uintptr_t)dst->data % item == 0) {
        // A number costs as much as moving eight: smaller pieces pay.
        ndi_in_pieces(nds_view_count(dst), 8 * item, stretch_range, &s);
    } else {
        ndi_walk_runs(dst, s.floats ? floats : doubles, &g);
    }
    return 0;
}
