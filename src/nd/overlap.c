/* SPDX-License-Identifier: MIT */
/*
 * overlap.c - may two views touch the same byte?
 *
 * First the bounds. Then the question as a sum: is there an x with
 * sum(a[k] * x[k]) == target and 0 <= x[k] <= top[k]? All strides of both
 * views are terms, made positive by counting an axis from its other end, and
 * the bytes of an element are two more. A search over the largest first, cut
 * by what the rest can reach and by their common divisor, answers at once for
 * what programs do; past a fixed amount of work the answer is yes.
 */
#include <nd/shape.h>

#include <nd/dtype_impl.h>

#include <stdlib.h>

#define MAX_TERMS (2 * NDS_MAX_NDIM + 2)
#define MAX_WORK 20000

struct term {
    int64_t a;
    int64_t top;
};

struct problem {
    struct term terms[MAX_TERMS];
    int count;
    __int128 reach[MAX_TERMS + 1]; /* of the terms from here on */
    int64_t divisor[MAX_TERMS + 1];
    int work;
};

static int
compare_terms(const void *x, const void *y)
{
    const struct term *a = x, *b = y;

    return (a->a < b->a) - (a->a > b->a);
}

static void
add_term(struct problem *p, int64_t a, int64_t top)
{
    if (a != 0 && top > 0) {
        p->terms[p->count++] = (struct term){a, top};
    }
}

static void
add_view(struct problem *p, const nds_view *v)
{
    for (int i = 0; i < v->ndim; i++) {
        add_term(p, llabs(v->strides[i]), v->shape[i] - 1);
    }
    add_term(p, 1, v->dtype->itemsize - 1);
}

/* Equal factors are one term; then what the tail of the list can reach. */
static void
prepare(struct problem *p)
{
    int to = 0;

    qsort(p->terms, (size_t)p->count, sizeof p->terms[0], compare_terms);
    for (int i = 1; i < p->count; i++) {
        if (p->terms[i].a == p->terms[to].a) {
            p->terms[to].top += p->terms[i].top;
        } else {
            p->terms[++to] = p->terms[i];
        }
    }
    p->count = p->count == 0 ? 0 : to + 1;
    p->reach[p->count] = 0;
    p->divisor[p->count] = 0;
    for (int i = p->count - 1; i >= 0; i--) {
        int64_t a = p->terms[i].a, b = p->divisor[i + 1];

        p->reach[i] = p->reach[i + 1] +
                      (__int128)p->terms[i].a * p->terms[i].top;
        while (b != 0) {
            int64_t rest = a % b;

            a = b;
            b = rest;
        }
        p->divisor[i] = a;
    }
}

static bool
can_reach(struct problem *p, int i, __int128 target)
{
    __int128 low, high;

    if (target < 0 || target > p->reach[i]) {
        return false;
    }
    if (target == 0 || ++p->work > MAX_WORK) {
        return true;
    }
    if (target % p->divisor[i] != 0) {
        return false;
    }
    low = target - p->reach[i + 1];
    low = low <= 0 ? 0 : (low + p->terms[i].a - 1) / p->terms[i].a;
    high = target / p->terms[i].a;
    high = high > p->terms[i].top ? p->terms[i].top : high;
    for (__int128 x = high; x >= low; x--) {
        if (can_reach(p, i + 1, target - x * p->terms[i].a)) {
            return true;
        }
    }
    return false;
}

static bool
bounds(const nds_view *v, uintptr_t *low, uintptr_t *high)
{
    int64_t from, to;

    if (nds_view_count(v) == 0 || v->dtype->itemsize == 0 ||
        !ndi_strides_extent(v->strides, v->dtype->itemsize, v->ndim, v->shape,
                            &from, &to)) {
        return false;
    }
    *low = (uintptr_t)v->data + (uintptr_t)from;
    *high = (uintptr_t)v->data + (uintptr_t)to;
    return true;
}

bool
nds_view_overlaps(const nds_view *a, const nds_view *b)
{
    uintptr_t a_low, a_high, b_low, b_high;
    struct problem p;

    if (!bounds(a, &a_low, &a_high) || !bounds(b, &b_low, &b_high) ||
        a_high <= b_low || b_high <= a_low) {
        return false;
    }
    p.count = 0;
    p.work = 0;
    add_view(&p, a);
    add_view(&p, b);
    prepare(&p);
    // b counted from its end: low_a + sum(a) == last_b - sum(b)
    return can_reach(&p, 0, (__int128)(b_high - 1) - (__int128)a_low);
}
