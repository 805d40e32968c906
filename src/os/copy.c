/* SPDX-License-Identifier: MIT */
/*
 * copy.c - large copies
 *
 * An ordinary store first fetches the line that it changes: from memory, or
 * from another processor's cache if that one has just read it, which is how a
 * queue's memory always is. The processor's own instruction for copying knows
 * that whole lines are overwritten and fetches none; and unlike stores past the
 * caches it leaves the lines where a reader beside us finds them. The C library
 * uses it for no more than a few MiB, and on some processors not at all.
 *
 * What no cache holds until it is read goes past them, and so leaves what the
 * reader beside us is reading there, and the memory's time to him.
 */
#include <os/os.h>

#include <pthread.h>
#include <stdint.h>
#include <string.h>

#define LEAST ((size_t)256 << 10) /* below it there is no difference */

#ifndef __has_feature
#define __has_feature(x) 0
#endif
/* Sanitizers must see what is read and written. */
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) &&                  \
    !defined(__SANITIZE_THREAD__) && !__has_feature(address_sanitizer) &&     \
    !__has_feature(thread_sanitizer) && !__has_feature(memory_sanitizer)
#include <cpuid.h>
#include <immintrin.h>

#define PAGE 4096
#define ERMS (1u << 9) /* of leaf 7, ebx */

static bool has_string_moves, has_wide_stores;
static pthread_once_t look_once = PTHREAD_ONCE_INIT;

static void
look(void)
{
    unsigned a, b, c, d;

    // "Enhanced REP MOVSB": before that it was the slow way.
    has_string_moves = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
                       (b & ERMS) != 0;
    has_wide_stores = __builtin_cpu_supports("avx") != 0;
}

/* Lines of `to`. */
__attribute__((target("avx"))) static void
store_past(char *to, const char *from, size_t nbytes)
{
    for (size_t i = 0; i < nbytes; i += NDI_LINE) {
        __m256i a = _mm256_loadu_si256((const void *)(from + i));
        __m256i b = _mm256_loadu_si256((const void *)(from + i + 32));

        _mm256_stream_si256((void *)(to + i), a);
        _mm256_stream_si256((void *)(to + i + 32), b);
    }
    _mm_sfence(); // before whatever says that they are there
}

static void
copy_range(char *to, const char *from, size_t nbytes)
{
    // A little behind the source within the page, some processors take the
    // stores for loads to come and crawl.
    size_t behind = ((uintptr_t)to - (uintptr_t)from) % PAGE;

    if (nbytes >= LEAST) {
        pthread_once(&look_once, look);
    }
    if (nbytes < LEAST || !has_string_moves ||
        (behind > 0 && behind < NDI_LINE)) {
        memcpy(to, from, nbytes);
        return;
    }
    __asm__ volatile("rep movsb"
                     : "+D"(to), "+S"(from), "+c"(nbytes)
                     :
                     : "memory");
}

void
ndi_copy_past(char *to, const char *from, size_t nbytes)
{
    size_t head = -(uintptr_t)to % NDI_LINE, lines;

    pthread_once(&look_once, look);
    if (!has_wide_stores || nbytes < NDI_LINE) {
        copy_range(to, from, nbytes);
        return;
    }
    lines = (nbytes - head) / NDI_LINE * NDI_LINE;
    memcpy(to, from, head);
    store_past(to + head, from + head, lines);
    head += lines;
    memcpy(to + head, from + head, nbytes - head);
}
#else
static void
copy_range(char *to, const char *from, size_t nbytes)
{
    memcpy(to, from, nbytes);
}

void
ndi_copy_past(char *to, const char *from, size_t nbytes)
{
    memcpy(to, from, nbytes);
}
#endif

/* With what is copied, and what is read meanwhile, more than common processors'
 * last cache holds. */
#define PAST ((size_t)16 << 20)

struct copy {
    char *to;
    const char *from;
    bool past;
};

static void
copy_piece(void *ctx, int64_t from, int64_t to)
{
    const struct copy *c = ctx;

    (c->past ? ndi_copy_past : copy_range)(c->to + from, c->from + from,
                                           (size_t)(to - from));
}

void
ndi_copy(void *to, const void *from, size_t nbytes)
{
    struct copy c = {to, from, nbytes >= PAST};

    if (nbytes >= LEAST) {
        ndi_in_pieces((int64_t)nbytes, 1, copy_piece, &c);
    } else if (nbytes > 0) {
        memcpy(to, from, nbytes);
    }
}
