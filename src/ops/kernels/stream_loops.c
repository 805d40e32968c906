/* SPDX-License-Identifier: MIT */
/*
 * stream_loops.c - stores past the caches
 *
 * An ordinary store reads the line first. Of a result that no cache can hold
 * that is a third of all traffic.
 */
#include "kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define LINE 64

void
NDI_OF(ndi_stream)(void *to, const void *from, size_t n)
{
#if defined(__x86_64__)
    for (size_t i = 0; i < n; i += LINE) {
#if defined(__AVX512F__)
        _mm512_stream_si512((void *)((char *)to + i),
                            _mm512_loadu_si512((const char *)from + i));
#elif defined(__AVX__)
        for (size_t k = i; k < i + LINE; k += 32) {
            _mm256_stream_si256(
                (void *)((char *)to + k),
                _mm256_loadu_si256((const void *)((const char *)from + k)));
        }
#else
        for (size_t k = i; k < i + LINE; k += 16) {
            _mm_stream_si128(
                (void *)((char *)to + k),
                _mm_loadu_si128((const void *)((const char *)from + k)));
        }
#endif
    }
#else
    memcpy(to, from, n);
#endif
}
