/* SPDX-License-Identifier: MIT */
/* arg_impl.h - what arg.c and arg_lanes.c share */
#ifndef NDI_ARG_IMPL_H
#define NDI_ARG_IMPL_H

#include "ops_impl.h"

#include <pthread.h>
#include <stdlib.h>

#define NDI_ARG_LARGE ((int64_t)8 << 20) /* bytes worth several threads */

struct ndi_search {
    const struct ndi_arg *loops;
    enum nds_type from;
    enum nds_type type; /* compared in */
    int64_t item;       /* of type */
    int last; /* of bools: the value that nothing beats; else -1 */
};

struct ndi_best {
    int64_t place; /* -1: none yet */
    _Alignas(16) unsigned char value[16];
};

/* a becomes b if that beats it, or is as good and comes earlier. */
void ndi_best_merge(const struct ndi_search *s, struct ndi_best *a,
                    const struct ndi_best *b);

/* Several results, each along one axis. */
struct ndi_arg_job {
    const struct ndi_search *s;
    const nds_view *a;
    int64_t n;    /* elements of a result */
    int64_t step; /* bytes from one to the next */
    int nkept;
    struct ndi_dim kept[NDS_MAX_NDIM]; /* fastest first */
    int64_t results;
    int64_t *found;
};

/* The first element of the result that k counts on kept axes from `first`. */
char *ndi_arg_result(const struct ndi_arg_job *j, int first, int64_t k);

/* Many results side by side. 0 or NDS_ENOMEM. */
int ndi_arg_lanes(const struct ndi_arg_job *j);

#endif
