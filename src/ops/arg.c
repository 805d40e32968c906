/* SPDX-License-Identifier: MIT */
/*
 * arg.c - where the smallest or the largest element is
 *
 * The first of equals in C order; the first NaN beats every number.
 *
 * Results whose elements follow one another are looked through one by one.
 * Where these are few, or lie further apart than the results do, many results
 * go side by side, a lane for each (arg_lanes.c). Threads take whole results,
 * or stretches of one, whose bests are then compared: of equals the earlier
 * one wins, so it does not matter which comes first.
 */
#include "arg_impl.h"

#include <os/os.h>

#include <stdatomic.h>

#define BLOCK 1024 /* gathered at a time */
#define FIRST 64   /* of bools: it may well be there */
#define SHORT 16   /* elements of a result, for which a call is too much */

void
ndi_best_merge(const struct ndi_search *s, struct ndi_best *a,
               const struct ndi_best *b)
{
    struct ndi_best was = *b;

    if (a->place < 0) {
        *a = *b;
    } else if (s->loops->run(b->value, 1, a->value) >= 0 ||
               (b->place < a->place &&
                s->loops->run(a->value, 1, was.value) < 0)) {
        a->place = b->place;
    }
}

/* ---- one result after the other ------------------------------------------ */
struct stretch {
    const struct ndi_search *s;
    struct ndi_best best; /* place -1: nothing was looked at */
};

static void
look(struct stretch *t, const void *x, int64_t at, int64_t n)
{
    struct ndi_best *best = &t->best;
    int64_t i;

    if (best->place < 0) {
        memcpy(best->value, x, (size_t)t->s->item);
        best->place = at;
    }
    i = t->s->loops->run(x, n, best->value);
    if (i >= 0) {
        best->place = at + i;
    }
}

/* Whether nothing can beat it: a NaN, or the one value of a bool. */
static bool
is_final(const struct ndi_search *s, const struct ndi_best *best)
{
    double d[2];

    if (best->place < 0 || s->type < NDS_TYPE_FLOAT32) {
        return best->place >= 0 && best->value[0] == s->last;
    }
    ndi_ops_convert(NDS_TYPE_COMPLEX128, d, 0, s->type, best->value, 0, 1);
    return d[0] != d[0] || d[1] != d[1];
}

static void
look_row(void *ctx, char *const data[], const int64_t step[], int64_t at,
         int64_t count)
{
    struct stretch *t = ctx;
    const struct ndi_search *s = t->s;
    _Alignas(16) unsigned char buf[BLOCK * 16];
    const char *src = data[0];
    int64_t room = s->last >= 0 ? FIRST : BLOCK;

    if (s->from == s->type && (step[0] == s->item || count == 1) &&
        (uintptr_t)src % (size_t)s->item == 0) {
        look(t, src, at, count);
        return;
    }
    for (int64_t n; count > 0; src += n * step[0], at += n, count -= n) {
        n = count < room ? count : room;
        room = BLOCK;
        if (t->best.place >= 0 && t->best.value[0] == s->last) {
            break;
        }
        ndi_ops_convert(s->type, buf, s->item, s->from, src, step[0], n);
        look(t, buf, at, n);
    }
}

/* One result, perhaps by several threads. */
struct whole {
    const struct ndi_search *s;
    const struct ndi_iter *it;
    pthread_mutex_t lock;
    struct ndi_best best;
    _Atomic int64_t end; /* what comes after this place cannot be it */
};

static void
look_range(void *ctx, int64_t from, int64_t to)
{
    struct whole *w = ctx;
    struct stretch t = {w->s, {.place = -1}};
    int64_t end = atomic_load(&w->end);

    if (from > end) {
        return;
    }
    ndi_walk_range(w->it, from, to, look_row, &t);
    while (is_final(w->s, &t.best) && t.best.place < end &&
           !atomic_compare_exchange_weak(&w->end, &end, t.best.place)) {
    }
    pthread_mutex_lock(&w->lock);
    ndi_best_merge(w->s, &w->best, &t.best);
    pthread_mutex_unlock(&w->lock);
}

static int64_t
look_whole(const struct ndi_search *s, const nds_view *part)
{
    struct ndi_iter it;
    struct whole w = {s, &it, PTHREAD_MUTEX_INITIALIZER, {.place = -1},
                      INT64_MAX};
    int64_t count = nds_view_count(part);

    ndi_iter_init(&it, 1, &part, NDI_ITER_C_ORDER);
    look_range(&w, 0, count < BLOCK ? count : BLOCK);
    if (count > BLOCK && !is_final(s, &w.best)) {
        ndi_in_pieces(count, (size_t)part->dtype->itemsize, look_range, &w);
    }
    pthread_mutex_destroy(&w.lock);
    return w.best.place;
}

static void
look_results(void *ctx, int64_t from, int64_t to)
{
    const struct ndi_arg_job *j = ctx;

    for (int64_t k = from; k < to; k++) {
        struct stretch t = {j->s, {.place = -1}};
        char *data = ndi_arg_result(j, 0, k);

        look_row(&t, &data, &j->step, 0, j->n);
        j->found[k] = t.best.place;
    }
}

static void
one_by_one(const struct ndi_arg_job *j)
{
    nds_view part = {.dtype = j->a->dtype, .ndim = 1};
    int64_t nbytes = j->n * part.dtype->itemsize;

    if (nbytes < NDI_ARG_LARGE) {
        ndi_in_pieces(j->results, (size_t)nbytes, look_results, (void *)j);
        return;
    }
    part.shape[0] = j->n;
    part.strides[0] = j->step;
    for (int64_t k = 0; k < j->results; k++) {
        part.data = ndi_arg_result(j, 0, k);
        j->found[k] = look_whole(j->s, &part);
    }
}

/* ---- which way ----------------------------------------------------------- */
char *
ndi_arg_result(const struct ndi_arg_job *j, int first, int64_t k)
{
    char *data = j->a->data;

    for (int i = first; i < j->nkept; i++) {
        data += k % j->kept[i].n * j->kept[i].in;
        k /= j->kept[i].n;
    }
    return data;
}

static void
init_search(struct ndi_search *s, enum nds_type from, bool largest)
{
    s->from = from;
    s->type = from == NDS_TYPE_FLOAT16 ? NDS_TYPE_FLOAT32
              : from == NDS_TYPE_BOOL  ? NDS_TYPE_UINT8
                                       : from;
    s->item = ndi_ops_itemsize(s->type);
    s->last = from == NDS_TYPE_BOOL ? largest : -1;
    s->loops = &ndi_kernels()->arg[s->type][largest];
}

/* The axes that are kept, joined, and the one that is not. */
static void
init_job(struct ndi_arg_job *j, const bool *reduced,
         const struct ndi_dim *dims)
{
    for (int i = 0; i < j->a->ndim; i++) {
        struct ndi_dim d = dims[i];
        struct ndi_dim *was = j->nkept > 0 ? &j->kept[j->nkept - 1] : NULL;

        d.in = j->a->strides[d.axis];
        if (reduced[d.axis]) {
            j->n = d.n;
            j->step = d.in;
        } else if (d.out != 0 && was && was->n * was->in == d.in) {
            was->n *= d.n;
        } else if (d.out != 0) {
            j->kept[j->nkept++] = d;
        }
    }
}

int
ndi_arg_run(bool largest, const nds_view *a, const bool *reduced,
            const struct ndi_dim *dims, int64_t results, int64_t *found)
{
    struct ndi_search s;
    struct ndi_arg_job j = {.s = &s, .a = a, .results = results,
                            .found = found};

    if (results == 0) {
        return 0;
    }
    init_search(&s, a->dtype->type, largest);
    init_job(&j, reduced, dims);
    if (results == 1) {
        nds_view part = {.dtype = a->dtype, .data = a->data};

        for (int i = 0; i < a->ndim; i++) {
            if (reduced[i]) {
                part.shape[part.ndim] = a->shape[i];
                part.strides[part.ndim++] = a->strides[i];
            }
        }
        found[0] = look_whole(&s, &part);
        return 0;
    }
    if (j.n < SHORT || llabs(j.kept[0].in) < llabs(j.step)) {
        return ndi_arg_lanes(&j);
    }
    one_by_one(&j);
    return 0;
}
