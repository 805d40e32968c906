/* SPDX-License-Identifier: MIT */
/*
 * random.c - NumPy's Generator(Philox(seed)).random(), bit for bit
 *
 * The seed goes through SeedSequence's hash into a 128-bit key; Philox 4x64
 * with ten rounds turns the counters 1, 2, 3, ... into four words each
 * (kernels/random_loops.c). A double takes a word's upper 53 bits; a float
 * takes 24 bits of a half word, the lower half first.
 */
#include "ops_impl.h"

#include <base/fail.h>

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

struct stream {
    uint64_t key[2];
    bool floats;
};

static void
random_row(void *ctx, char *const data[], const int64_t step[], int64_t at,
           int64_t count)
{
    const struct stream *s = ctx;
    enum nds_type t = s->floats ? NDS_TYPE_FLOAT32 : NDS_TYPE_FLOAT64;
    int64_t item = ndi_ops_itemsize(t);
    char *to = data[0];
    double buf[512];
    int64_t most = (int64_t)sizeof(buf) / item;

    if (step[0] == item && (uintptr_t)to % (size_t)item == 0) {
        ndi_kernels()->random(s->key, s->floats, at, count, to);
        return;
    }
    for (int64_t n; count > 0; count -= n, at += n, to += n * step[0]) {
        n = count < most ? count : most;
        ndi_kernels()->random(s->key, s->floats, at, n, buf);
        ndi_ops_convert(t, to, step[0], t, buf, item, n);
    }
}

int
nds_random(const nds_view *dst, uint64_t seed)
{
    struct stream s = {.floats = dst->dtype->type == NDS_TYPE_FLOAT32};
    struct ndi_iter it;
    int rc = ndi_check_writable(dst);

    if (rc < 0) {
        return rc;
    }
    if (!ndi_is_number(dst->dtype) ||
        (dst->dtype->type != NDS_TYPE_FLOAT64 && !s.floats)) {
        return ndi_refuse_dtype("random", dst->dtype);
    }
    seed_key(seed, s.key);
    if (ndi_iter_init(&it, 1, &dst, NDI_ITER_C_ORDER)) {
        // A number costs as much as moving eight: smaller pieces pay.
        ndi_walk_rows(&it, 8 * (size_t)dst->dtype->itemsize, random_row, &s);
    }
    return 0;
}
