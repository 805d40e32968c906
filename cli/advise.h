/* SPDX-License-Identifier: MIT */
/*
 * advise.h - which of the nine ways fits, and why
 *
 * The rules of docs/guide/which-way.md: a way is ruled out by the first thing
 * it cannot do, and of those that can the first of an order is taken.
 */
#ifndef NDI_ADVISE_H
#define NDI_ADVISE_H

#include "bench.h"

enum advise_writes { ADVISE_NONE, ADVISE_CHILD, ADVISE_BOTH };

struct advise_need {
    int64_t nbytes;
    int readers;
    enum advise_writes writes;
    bool related;
    int ndim;
    bool numpy;   /* the other side uses NumPy's methods on it */
    bool many;    /* arrays, one after another */
    bool keep;    /* it must outlive all processes */
    bool results; /* only results of it cross, not the array */
    enum nds_start start;
};

/* Why way 1..9 cannot do it (lends), or NULL. `text` is for a reason with
 * figures. */
const char *advise_refusal(int way, const struct advise_need *need,
                           char text[160]);
/* Ways 1..9, those first that are taken first. */
void advise_order(const struct advise_need *need, int order[BENCH_WAYS]);
/* What speaks for it. */
const char *advise_reason(int way, const struct advise_need *need);
/* What n bytes cost: "no copy". */
const char *advise_cost(int way, const struct advise_need *need);
/* The calls to write, a line each. */
const char *advise_c(int way, const struct advise_need *need);
const char *advise_python(int way, const struct advise_need *need);
const char *advise_example(int way); /* "01_argument" */

#endif
