/* SPDX-License-Identifier: MIT */
/*
 * dispatch.c - which build of the loops this processor takes
 *
 * The highest level that the processor has and the system switches on, chosen
 * when the first operation runs. NDSHARE_CPU=baseline|v3|v4 asks for a lower
 * one. No ifunc: it works in static programs, under sanitizers, with any
 * compiler.
 */
#include "ops_impl.h"

#include <stdatomic.h>
#include <stdlib.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

extern const struct ndi_kernels ndi_kernels_baseline;
#if NDI_LEVELS >= 3
extern const struct ndi_kernels ndi_kernels_v3;
#endif
#if NDI_LEVELS >= 4
extern const struct ndi_kernels ndi_kernels_v4;
#endif

/* Lowest first. */
static const struct ndi_kernels *const builds[] = {
    &ndi_kernels_baseline,
#if NDI_LEVELS >= 3
    &ndi_kernels_v3,
#endif
#if NDI_LEVELS >= 4
    &ndi_kernels_v4,
#endif
};
#define BUILDS ((int)NDI_ARRAY_LEN(builds))

static _Atomic(const struct ndi_kernels *) chosen;

/* How many of the builds run here. */
static int
usable(void)
{
    int n = 1;
#if defined(__x86_64__) && NDI_LEVELS >= 3
    unsigned a, b, c, d, more_c = 0;
    bool v3;

    __builtin_cpu_init();
    if (!__get_cpuid(1, &a, &b, &c, &d)) {
        return n;
    }
    __get_cpuid(0x80000001, &a, &b, &more_c, &d);
    // The compiler's runtime also asks whether the system saves wide registers.
    v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
         (c & bit_F16C) && (c & bit_MOVBE) && (more_c & bit_LZCNT);
    n += v3;
#if NDI_LEVELS >= 4
    n += v3 && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") &&
         __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
#endif
#endif
    return n;
}

/* -1: unknown here. */
static int
index_of(const char *name)
{
    int i = BUILDS - 1;

    while (i >= 0 && strcmp(builds[i]->name, name) != 0) {
        i--;
    }
    return i;
}

const struct ndi_kernels *
ndi_kernels(void)
{
    const struct ndi_kernels *k =
        atomic_load_explicit(&chosen, memory_order_relaxed);

    if (!k) {
        const char *text = getenv("NDSHARE_CPU");
        int top = usable() - 1;
        int asked = text ? index_of(text) : -1;

        k = builds[asked >= 0 && asked < top ? asked : top];
        atomic_store_explicit(&chosen, k, memory_order_relaxed);
    }
    return k;
}

bool
ndi_kernels_use(const char *name)
{
    int i = index_of(name);

    if (i < 0 || i >= usable()) {
        return false;
    }
    atomic_store_explicit(&chosen, builds[i], memory_order_relaxed);
    return true;
}

int64_t
ndi_ops_itemsize(enum nds_type type)
{
    static const uint8_t sizes[NDI_NUMBERS] = {
        0, 1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8, sizeof(long double), 8, 16};

    return sizes[type];
}

void
ndi_ops_convert(enum nds_type to, void *dst, int64_t dst_stride,
                enum nds_type from, const void *src, int64_t src_stride,
                int64_t count)
{
    ndi_kernels()->convert(to, dst, dst_stride, from, src, src_stride, count);
}

ndi_binary_fn *
ndi_binary_kernel(enum nds_op op, enum nds_type type)
{
    return ndi_kernels()->binary[type][op];
}

const struct ndi_fold *
ndi_fold_kernel(enum nds_reduction op, enum nds_type type)
{
    return &ndi_kernels()->fold[op][type];
}
