/* SPDX-License-Identifier: MIT */
/* spare.c - a list a thread, without locks */
#include <base/spare.h>

#include <pthread.h>
#include <stdlib.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define KEPT_MOST 0
#else
#define KEPT_MOST 160 /* a run of 64 arrays, each a handle and a block */
#endif

union piece {
    union piece *next;
    unsigned char room[NDI_SPARE_NBYTES];
};

struct kept {
    union piece *first;
    int count;
    bool watched; /* the end of this thread gives them back */
};

// Without a call of the loader for its address.
static _Thread_local struct kept kept
    __attribute__((tls_model("initial-exec")));
static pthread_key_t at_end;
static bool at_end_works;

static void
give_back(void *arg)
{
    struct kept *k = arg;

    while (k->first != NULL) {
        union piece *p = k->first;

        k->first = p->next;
        free(p);
    }
    k->count = 0;
    k->watched = false; // what other destructors free after us comes again
}

__attribute__((constructor)) static void
spare_early(void)
{
    at_end_works = pthread_key_create(&at_end, give_back) == 0;
}

static bool
watch(struct kept *k)
{
    k->watched = at_end_works && pthread_setspecific(at_end, k) == 0;
    return k->watched;
}

void *
ndi_spare_new(void)
{
    struct kept *k = &kept;
    union piece *p = k->first;

    if (NDI_UNLIKELY(p == NULL)) {
        return aligned_alloc(NDI_LINE, sizeof *p);
    }
    k->first = p->next;
    k->count--;
    return p;
}

void
ndi_spare_free(void *piece)
{
    struct kept *k = &kept;
    union piece *p = piece;

    if (p == NULL) {
        return;
    }
    if (k->count >= KEPT_MOST || (!k->watched && !watch(k))) {
        free(p);
        return;
    }
    p->next = k->first;
    k->first = p;
    k->count++;
}
