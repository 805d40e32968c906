/* SPDX-License-Identifier: MIT */
/*
 * arg_lanes.c - the places of many results at once, a lane for each
 *
 * Row by row of the reduced axis, each lane keeps its best so far and where
 * that was. A loop counts rows in as many bits as an element has; before they
 * run out, places move to numbers of 64 bits. Where one row follows another
 * without a gap and is short, several make one: a result then has several
 * lanes. Those, and stretches of rows that threads take, are merged at the end.
 */
#include "arg_impl.h"

#include <base/fail.h>
#include <os/os.h>

#define LANES 1024
#define CACHED 16384 /* bytes that stay in the first cache */
#define FEW 8        /* rows that are not worth a merge */

struct lanes {
    const struct ndi_arg_job *j;
    int64_t block; /* results at a time */
    int64_t blocks;
    int64_t wide;  /* rows side by side */
    int64_t rows;  /* of a stretch: a multiple of wide */
    int64_t stretches;
    struct ndi_best *shared; /* of all results; NULL: nothing to merge */
    pthread_mutex_t lock;
};

/* The bests of a few results; lane l is result l % n, row l / n of a wide. */
struct tally {
    int64_t width; /* lanes in use */
    int64_t base;  /* the row of place 0 */
    int64_t row[LANES];
    _Alignas(64) unsigned char best[LANES * 16];
    _Alignas(64) unsigned char place[LANES * 8];
};

#define MOVE(T)                                                               \
    do {                                                                      \
        T *p = (T *)(void *)t->place;                                         \
                                                                              \
        for (int64_t l = 0; l < t->width; l++) {                              \
            if (p[l] != 0) {                                                  \
                t->row[l] = t->base + (int64_t)p[l] * wide + l / n;           \
                p[l] = 0;                                                     \
            }                                                                 \
        }                                                                     \
    } while (0)

/* Places become rows. */
static void
move_places(struct tally *t, int64_t item, int64_t wide, int64_t n)
{
    switch (item) {
    case 1:
        MOVE(uint8_t);
        break;
    case 2:
        MOVE(uint16_t);
        break;
    case 4:
        MOVE(uint32_t);
        break;
    default:
        MOVE(uint64_t);
    }
}

/* m elements that are compared where they are, or in buf. */
static const void *
fetch(const struct ndi_arg_job *j, const char *src, int64_t m, void *buf)
{
    const struct ndi_search *s = j->s;

    if (s->from == s->type && j->kept[0].in == s->item &&
        (uintptr_t)src % (size_t)s->item == 0) {
        return src;
    }
    ndi_ops_convert(s->type, buf, s->item, s->from, src, j->kept[0].in, m);
    return buf;
}

/* Rows [from, to) of n results, the first of which is at src. */
static void
look_rows(const struct lanes *c, const char *src, int64_t n, int64_t from,
          int64_t to, struct tally *t)
{
    const struct ndi_arg_job *j = c->j;
    int64_t item = j->s->item, wide = c->wide;
    uint64_t most = item < 4 ? (1ULL << 8 * item) - 1 : UINT32_MAX;
    _Alignas(64) unsigned char buf[LANES * 16];
    uint64_t place = 0;

    t->width = n * (to - from < wide ? to - from : wide);
    t->base = from;
    src += from * j->step;
    memcpy(t->best, fetch(j, src, t->width, buf), (size_t)(t->width * item));
    memset(t->place, 0, (size_t)(t->width * (item < 8 ? item : 8)));
    for (int64_t l = 0; l < t->width; l++) {
        t->row[l] = from + l / n;
    }
    for (int64_t r = from + wide; r < to; r += wide) {
        int64_t m = n * (to - r < wide ? to - r : wide);

        src += wide * j->step;
        j->s->loops->each(fetch(j, src, m, buf), m, ++place, t->best,
                          t->place);
        if (place == most) {
            move_places(t, item, wide, n);
            t->base = r;
            place = 0;
        }
    }
    move_places(t, item, wide, n);
}

static void
deliver(struct lanes *c, const struct tally *t, int64_t first, int64_t n)
{
    size_t item = (size_t)c->j->s->item;

    if (!c->shared) {
        memcpy(c->j->found + first, t->row, (size_t)n * sizeof(*t->row));
        return;
    }
    pthread_mutex_lock(&c->lock);
    for (int64_t l = 0; l < t->width; l++) {
        struct ndi_best best = {.place = t->row[l]};

        memcpy(best.value, t->best + (size_t)l * item, item);
        ndi_best_merge(c->j->s, &c->shared[first + l % n], &best);
    }
    pthread_mutex_unlock(&c->lock);
}

/* Unit i: a block of results, or a stretch of it. */
static void
look_unit(void *ctx, int64_t i)
{
    struct lanes *c = ctx;
    const struct ndi_dim *d = c->j->kept;
    int64_t from = i % c->stretches * c->rows;
    int64_t to = c->j->n - from < c->rows ? c->j->n : from + c->rows;
    int64_t first, n;
    struct tally t;
    const char *src;

    i /= c->stretches;
    src = ndi_arg_result(c->j, 1, i / c->blocks);
    first = i % c->blocks * c->block;
    n = d->n - first < c->block ? d->n - first : c->block;
    look_rows(c, src + first * d->in, n, from, to, &t);
    deliver(c, &t, i / c->blocks * d->n + first, n);
}

static void
look_units(void *ctx, int64_t from, int64_t to)
{
    while (from < to) {
        look_unit(ctx, from++);
    }
}

/* How wide, and in which stretches. */
static void
divide_work(struct lanes *c, int64_t total)
{
    const struct ndi_arg_job *j = c->j;
    const struct ndi_dim *d = j->kept;
    int64_t span = llabs(d->in) > llabs(j->step) ? llabs(d->in) : j->s->item;
    int64_t crew = total < NDI_ARG_LARGE ? 1 : ndi_crew();
    int64_t units, most;

    c->block = CACHED / span < LANES / 16 ? LANES / 16 : CACHED / span;
    c->block = c->block < LANES ? c->block : LANES;
    c->block = c->block < d->n ? c->block : d->n;
    c->blocks = (d->n + c->block - 1) / c->block;
    c->wide = 1;
    if (j->step == d->n * d->in && c->blocks == 1) {
        c->wide = LANES / d->n < j->n / FEW ? LANES / d->n : j->n / FEW;
        c->wide = c->wide > 1 ? c->wide : 1;
    }
    units = j->results / d->n * c->blocks;
    c->stretches = units < 4 * crew && crew > 1 ? 4 * crew / units : 1;
    most = total / units / (NDI_ARG_LARGE / 2);
    c->stretches = c->stretches < most ? c->stretches : most;
    c->stretches = c->stretches > 1 ? c->stretches : 1;
    c->rows = (j->n / c->wide / c->stretches + 1) * c->wide;
    c->stretches = (j->n + c->rows - 1) / c->rows;
}

int
ndi_arg_lanes(const struct ndi_arg_job *j)
{
    int64_t total = j->results * j->n * j->a->dtype->itemsize, units;
    struct lanes c = {.j = j, .lock = PTHREAD_MUTEX_INITIALIZER};

    divide_work(&c, total);
    units = j->results / j->kept[0].n * c.blocks * c.stretches;
    if (c.wide > 1 || c.stretches > 1) {
        c.shared = malloc((size_t)j->results * sizeof(*c.shared));
        if (!c.shared) {
            return ndi_fail_nomem((size_t)j->results * sizeof(*c.shared),
                                  "the places of extremes");
        }
        for (int64_t k = 0; k < j->results; k++) {
            c.shared[k].place = -1;
        }
    }
    if (total >= NDI_ARG_LARGE && total / units >= NDI_ARG_LARGE / 2) {
        ndi_parallel(units, look_unit, &c);
    } else {
        ndi_in_pieces(units, (size_t)(total / units), look_units, &c);
    }
    for (int64_t k = 0; c.shared && k < j->results; k++) {
        j->found[k] = c.shared[k].place;
    }
    pthread_mutex_destroy(&c.lock);
    free(c.shared);
    return 0;
}
