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
 */
#include <os/os.h>

#include <pthread.h>
#include <stdint.h>
#include <string.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
/* Sanitizers must see what is read and written. */
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) &&                  \
    !defined(__SANITIZE_THREAD__) && !__has_feature(address_sanitizer) &&     \
    !__has_feature(thread_sanitizer) && !__has_feature(memory_sanitizer)
#include <cpuid.h>

#define LEAST ((size_t)256 << 10) /* below it there is no difference */
#define PAGE 4096
#define ERMS (1u << 9) /* of leaf 7, ebx */

static bool has_string_moves;
static pthread_once_t look_once = PTHREAD_ONCE_INIT;

static void
look(void)
{
    unsigned a, b, c, d;

    // "Enhanced REP MOVSB": before that it was the slow way.
    has_string_moves = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
                       (b & ERMS) != 0;
}

static bool
string_moves(void)
{
    pthread_once(&look_once, look);
    return has_string_moves;
}

static void
copy_range(char *to, const char *from, size_t nbytes)
{
    // A little behind the source within the page, some processors take the
    // stores for loads to come and crawl.
    size_t behind = ((uintptr_t)to - (uintptr_t)from) % PAGE;

    if (nbytes < LEAST || !string_moves() ||
        (behind > 0 && behind < NDI_LINE)) {
        memcpy(to, from, nbytes);
        return;
    }
    __asm__ volatile("rep movsb"
                     : "+D"(to), "+S"(from), "+c"(nbytes)
                     :
                     : "memory");
}
#else
static void
copy_range(char *to, const char *from, size_t nbytes)
{
    memcpy(to, from, nbytes);
}
#endif

struct copy {
    char *to;
    const char *from;
};

static void
copy_piece(void *ctx, int64_t from, int64_t to)
{
    const struct copy *c = ctx;

    copy_range(c->to + from, c->from + from, (size_t)(to - from));
}

void
ndi_copy(void *to, const void *from, size_t nbytes)
{
    struct copy c = {to, from};

    if (nbytes > 0) {
        ndi_in_pieces((int64_t)nbytes, 1, copy_piece, &c);
    }
}
