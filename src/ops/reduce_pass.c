/* SPDX-License-Identifier: MIT */
/*
 * reduce_pass.c - one pass over an array into accumulators
 *
 * Elements are visited in iteration order (reduce_plan.c) and folded into
 * accumulators that lie in iteration order too; the caller writes these to the
 * output. Variance makes a second pass over (x - mean)^2, computed on the fly.
 * Halves are computed in float and rounded whenever an inner loop ends.
 *
 * How threads share a pass: by accumulators where there are enough of them;
 * else by nodes of one pairwise tree, by stretches that may be folded on their
 * own, or by inner loops whose sums are then added in order. Every accumulator
 * meets its elements as one thread would bring them.
 */
#include "ops_impl.h"

#include <base/fail.h>
#include <os/os.h>

#include <stdlib.h>

#define LEAF NDI_PASS_LEAF
#define NODE_NBYTES ((int64_t)4 << 20) /* worth a thread's while */
#define DEPTH 6                        /* nodes of one tree: 2 to the power */
#define PARTS 32
#define LOOPS 4096
#define BLOCK 16384 /* bytes of accumulators that stay in the first cache */
#define AHEAD 2048

struct slot {
    _Alignas(16) unsigned char acc[32];
};

/* The element at lin, and how many follow at even distances, it included. */
static const char *
locate(const struct ndi_pass *p, int64_t lin, int64_t *run)
{
    const struct ndi_dim *d = p->where;
    const char *src = p->a->data;

    *run = d->n - lin % d->n;
    for (int i = 0; i < p->nwhere; i++) {
        src += lin % d[i].n * d[i].in;
        lin /= d[i].n;
    }
    return src;
}

/* Whether loops may read elements where they are. */
static bool
is_readable(const struct ndi_pass *p, const char *src)
{
    size_t item = (size_t)ndi_ops_itemsize(p->from);

    return ((uintptr_t)src | (size_t)p->where->in) %
               (item > 8 ? 16 : item) == 0;
}

/* Elements [lin, lin + n) as p->type, side by side in buf. */
static void
collect(const struct ndi_pass *p, int64_t lin, int64_t n, unsigned char *buf)
{
    int64_t item = ndi_ops_itemsize(p->type);

    while (n > 0) {
        int64_t run;
        const char *src = locate(p, lin, &run);
        int64_t m = n < run ? n : run;

        ndi_ops_convert(p->type, buf, item, p->from, src, p->where->in, m);
        buf += m * item;
        lin += m;
        n -= m;
    }
}

/* ---- one inner loop into one accumulator --------------------------------- */
static void
sum_collected(const struct ndi_pass *p, int64_t lin, int64_t n,
              const void *mean, void *sum)
{
    _Alignas(64) unsigned char buf[LEAF * 16];
    struct ndi_terms t = {p->type, p->type, ndi_ops_itemsize(p->type), mean,
                          p->half};

    collect(p, lin, n, buf);
    ndi_kernels()->pairwise(&t, (const char *)buf, n, sum);
}

static void
sum_serial(const struct ndi_pass *p, int64_t lin, int64_t n, const void *mean,
           void *sum)
{
    int64_t run;
    const char *src = locate(p, lin, &run);

    if (n <= run && is_readable(p, src)) {
        struct ndi_terms t = {p->from, p->type, p->where->in, mean, p->half};

        ndi_kernels()->pairwise(&t, src, n, sum);
    } else if (n <= LEAF) {
        sum_collected(p, lin, n, mean, sum);
    } else {
        int64_t half = ndi_pairwise_split(p->acc, n);
        struct slot right;

        sum_serial(p, lin, half, mean, sum);
        sum_serial(p, lin + half, n - half, mean, right.acc);
        p->join->fold(sum, right.acc, 16, 1);
    }
}

/* The top of a tree: its nodes, from left to right. */
struct top {
    const struct ndi_pass *p;
    const void *mean;
    int nodes;
    int64_t lin[1 << DEPTH];
    int64_t count[1 << DEPTH];
    struct slot sum[1 << DEPTH];
};

static void
cut(struct top *t, int64_t lin, int64_t n, int depth)
{
    int64_t half = ndi_pairwise_split(t->p->acc, n);

    if (depth == 0) {
        t->lin[t->nodes] = lin;
        t->count[t->nodes++] = n;
        return;
    }
    cut(t, lin, half, depth - 1);
    cut(t, lin + half, n - half, depth - 1);
}

static void
sum_node(void *ctx, int64_t i)
{
    struct top *t = ctx;

    sum_serial(t->p, t->lin[i], t->count[i], t->mean, t->sum[i].acc);
}

static void
sum_loop(const struct ndi_pass *p, int64_t lin, int64_t n, const void *mean,
         void *sum)
{
    int64_t nbytes = n * ndi_ops_itemsize(p->from);
    struct top t;
    int depth = 0;

    while (depth < DEPTH && nbytes >> (depth + 1) >= NODE_NBYTES) {
        depth++;
    }
    if (depth == 0) {
        sum_serial(p, lin, n, mean, sum);
        return;
    }
    t.p = p;
    t.mean = mean;
    t.nodes = 0;
    cut(&t, lin, n, depth);
    ndi_parallel(t.nodes, sum_node, &t);
    for (int m = t.nodes / 2; m > 0; m /= 2) {
        for (int i = 0; i < m; i++) {
            p->join->fold(t.sum[2 * i].acc, t.sum[2 * i + 1].acc, 16, 1);
            t.sum[i] = t.sum[2 * i];
        }
    }
    memcpy(sum, t.sum[0].acc, (size_t)ndi_ops_itemsize(p->acc));
}

static void
fold_serial(const struct ndi_pass *p, int64_t lin, int64_t n, void *acc)
{
    _Alignas(64) unsigned char buf[LEAF * 16];

    while (n > 0) {
        int64_t run;
        const char *src = locate(p, lin, &run);
        int64_t m = n < run ? n : run;

        if (p->from == p->type && is_readable(p, src)) {
            p->fold->fold(acc, src, p->where->in, m);
        } else {
            m = n < LEAF ? n : LEAF;
            collect(p, lin, m, buf);
            p->fold->fold(acc, buf, ndi_ops_itemsize(p->type), m);
        }
        lin += m;
        n -= m;
    }
}

struct parts {
    const struct ndi_pass *p;
    int64_t lin;
    int64_t count;
    struct slot acc[PARTS];
};

static void
fold_part(void *ctx, int64_t i)
{
    struct parts *f = ctx;
    int64_t from = f->count / PARTS * i;
    int64_t to = i + 1 == PARTS ? f->count : f->count / PARTS * (i + 1);

    memcpy(f->acc[i].acc, f->p->identity, sizeof(f->p->identity));
    fold_serial(f->p, f->lin + from, to - from, f->acc[i].acc);
}

/* What is folded in any order, in stretches if it is long. */
static void
fold_loop(const struct ndi_pass *p, int64_t lin, int64_t n, void *acc)
{
    struct parts f;

    if (!p->free_order ||
        n < 2 * NODE_NBYTES / ndi_ops_itemsize(p->from)) {
        fold_serial(p, lin, n, acc);
        return;
    }
    f.p = p;
    f.lin = lin;
    f.count = n;
    ndi_parallel(PARTS, fold_part, &f);
    for (int i = 0; i < PARTS; i++) {
        p->join->fold(acc, f.acc[i].acc, 16, 1);
    }
}

/* ---- the reduced axes are innermost -------------------------------------- */
static int64_t
accumulator_of(const struct ndi_pass *p, int64_t lin)
{
    int64_t at = 0;

    for (int i = 0; i < p->plan.ndim; i++) {
        at += lin % p->plan.dim[i].n * p->plan.dim[i].out;
        lin /= p->plan.dim[i].n;
    }
    return at;
}

static const void *
mean_of(const struct ndi_pass *p, int64_t at)
{
    return p->mean ? p->mean + at * ndi_ops_itemsize(p->type) : NULL;
}

static void
end_loop(const struct ndi_pass *p, int64_t at, const void *sum)
{
    unsigned char *acc = p->sums + at * ndi_ops_itemsize(p->acc);

    if (sum && p->acc == NDS_TYPE_FLOAT64) {
        *(double *)(void *)acc += *(const double *)sum;
    } else if (sum) {
        p->join->fold(acc, sum, 16, 1);
    }
    if (p->half) {
        ndi_kernels()->halve((float *)(void *)acc, 1);
    }
}

static void
run_loop(const struct ndi_pass *p, int64_t lin, int64_t inner)
{
    int64_t at = accumulator_of(p, lin);
    struct slot sum;

    if (p->tree) {
        sum_loop(p, lin, inner, mean_of(p, at), sum.acc);
        end_loop(p, at, sum.acc);
    } else {
        fold_loop(p, lin, inner, p->sums + at * ndi_ops_itemsize(p->acc));
        end_loop(p, at, NULL);
    }
}

/* How many loops from lin on are short rows that lie at one distance and may be
 * read where they are; 0: not even the first. */
static int64_t
short_rows(const struct ndi_pass *p, int64_t lin, int64_t inner, int64_t count)
{
    const struct ndi_dim *d = p->where;
    int64_t left, run;

    if (p->nwhere < 2 || d[0].n != inner || inner > LEAF || d[0].out != 0 ||
        d[1].out == 0 || lin % inner != 0 ||
        (!p->tree && p->from != p->type) ||
        !is_readable(p, locate(p, lin, &run) + d[1].in) ||
        !is_readable(p, locate(p, lin, &run))) {
        return 0;
    }
    left = d[1].n - lin / inner % d[1].n;
    return left < count / inner ? left : count / inner;
}

/* `step` bytes apart. */
static void
sum_rows(const struct ndi_pass *p, struct ndi_terms *t, const char *src,
         int64_t inner, int64_t step, int64_t rows, int64_t at)
{
    t->mean = mean_of(p, at);
    ndi_kernels()->pairwise_rows(t, src, inner, step, rows,
                                 p->sums + at * ndi_ops_itemsize(p->acc),
                                 p->where[1].out);
}

/* Rows without a gap that have to be converted, several at a time. */
static void
sum_converted_rows(const struct ndi_pass *p, const char *src, int64_t inner,
                   int64_t rows, int64_t at)
{
    const struct ndi_dim *d = p->where;
    _Alignas(64) unsigned char buf[LEAF * 16];
    int64_t item = ndi_ops_itemsize(p->type);
    struct ndi_terms t = {p->type, p->type, item, NULL, p->half};

    for (int64_t m; rows > 0; rows -= m, at += m * d[1].out) {
        m = rows < LEAF / inner ? rows : LEAF / inner;
        ndi_ops_convert(p->type, buf, item, p->from, src, d[0].in, m * inner);
        sum_rows(p, &t, (const char *)buf, inner, inner * item, m, at);
        src += m * d[1].in;
    }
}

static void
run_short_rows(const struct ndi_pass *p, int64_t lin, int64_t inner,
               int64_t rows)
{
    const struct ndi_dim *d = p->where;
    int64_t at = accumulator_of(p, lin), run;
    struct ndi_terms t = {p->from, p->type, d[0].in, NULL, p->half};
    const char *src = locate(p, lin, &run);

    if (p->tree && p->from != p->type && d[1].in == inner * d[0].in) {
        sum_converted_rows(p, src, inner, rows, at);
    } else if (p->tree) {
        sum_rows(p, &t, src, inner, d[1].in, rows, at);
    } else {
        for (; rows > 0; rows--, src += d[1].in, at += d[1].out) {
            p->fold->fold(p->sums + at * ndi_ops_itemsize(p->acc), src,
                          d[0].in, inner);
        }
    }
}

/* Elements [from, to), loop by loop; neither is within a loop. */
static void
run_loops(const struct ndi_pass *p, int64_t from, int64_t to)
{
    while (from < to) {
        int64_t inner;
        int64_t count = ndi_plan_piece(&p->plan, from, &inner);

        count = count < to - from ? count : to - from;
        for (int64_t i = 0, rows; i < count; i += rows * inner) {
            rows = short_rows(p, from + i, inner, count - i);
            if (rows > 0) {
                run_short_rows(p, from + i, inner, rows);
            } else {
                run_loop(p, from + i, inner);
                rows = 1;
            }
        }
        from += count;
    }
}

struct results {
    const struct ndi_pass *p;
    int64_t each; /* elements of one result */
};

static void
run_results(void *ctx, int64_t from, int64_t to)
{
    const struct results *r = ctx;

    run_loops(r->p, from * r->each, to * r->each);
}

/* Sums of many short loops, added in order when they are there. */
struct loops {
    const struct ndi_pass *p;
    int64_t count;
    int64_t lin[LOOPS];
    int64_t inner[LOOPS];
    int64_t at[LOOPS];
    struct slot sum[LOOPS];
};

static void
sum_loops(void *ctx, int64_t from, int64_t to)
{
    struct loops *l = ctx;

    for (int64_t i = from; i < to; i++) {
        sum_serial(l->p, l->lin[i], l->inner[i], mean_of(l->p, l->at[i]),
                   l->sum[i].acc);
    }
}

static void
flush_loops(struct loops *l)
{
    int64_t nbytes = l->inner[0] * ndi_ops_itemsize(l->p->from);

    ndi_in_pieces(l->count, (size_t)nbytes, sum_loops, l);
    for (int64_t i = 0; i < l->count; i++) {
        end_loop(l->p, l->at[i], l->sum[i].acc);
    }
    l->count = 0;
}

/* False: too little memory. */
static bool
run_batches(const struct ndi_pass *p)
{
    struct loops *l = malloc(sizeof(*l));
    int64_t lin = 0;

    if (!l) {
        return false;
    }
    l->p = p;
    l->count = 0;
    while (lin < p->plan.total) {
        int64_t inner;
        int64_t count = ndi_plan_piece(&p->plan, lin, &inner);

        for (int64_t i = 0; i < count; i += inner) {
            l->lin[l->count] = lin + i;
            l->inner[l->count] = inner;
            l->at[l->count++] = accumulator_of(p, lin + i);
            if (l->count == LOOPS) {
                flush_loops(l);
            }
        }
        lin += count;
    }
    if (l->count > 0) {
        flush_loops(l);
    }
    free(l);
    return true;
}

/* The elements of a result, if they follow one another and results can be
 * computed on their own; else 0. */
static int64_t
elements_apart(const struct ndi_plan *plan)
{
    int64_t each = 1;
    int i = 0;

    while (i < plan->ndim && plan->dim[i].out == 0) {
        each *= plan->dim[i++].n;
    }
    if (plan->old && i > 1) {
        return 0;
    }
    for (; i < plan->ndim; i++) {
        if (plan->dim[i].out == 0) {
            return 0;
        }
    }
    return each;
}

static void
run_rows(const struct ndi_pass *p)
{
    int64_t item = ndi_ops_itemsize(p->from);
    struct results r = {p, elements_apart(&p->plan)};
    int64_t inner;

    if (p->plan.total < 2 * NODE_NBYTES / item) {
        run_loops(p, 0, p->plan.total);
    } else if (r.each > 0 && r.each < p->plan.total &&
               r.each < 2 * NODE_NBYTES / item) {
        ndi_in_pieces(p->plan.total / r.each, (size_t)(r.each * item),
                      run_results, &r);
    } else if (r.each == p->plan.total && p->free_order) {
        fold_loop(p, 0, p->plan.total, p->sums);
        end_loop(p, 0, NULL);
    } else if (ndi_plan_piece(&p->plan, 0, &inner) > 0 && p->tree &&
               inner < 2 * NODE_NBYTES / item && run_batches(p)) {
        return;
    } else {
        run_loops(p, 0, p->plan.total);
    }
}

/* ---- the innermost axis is kept ------------------------------------------ */
/* Blocks of it are taken through the reduced axes one by one. */
struct columns {
    const struct ndi_pass *p;
    int64_t block;  /* elements */
    int64_t blocks; /* of the innermost axis */
};

static void
fold_each(const struct ndi_pass *p, const char *src, int64_t at, int64_t n)
{
    int64_t item = ndi_ops_itemsize(p->type);
    int64_t width = ndi_ops_itemsize(p->acc);
    unsigned char *acc = p->sums + at * width;
    _Alignas(64) unsigned char buf[LEAF * 16];

    if (p->from == p->type && !p->mean && is_readable(p, src)) {
        p->fold->each(acc, src, p->where->in, n);
        return;
    }
    for (int64_t m; n > 0; n -= m, at += m, acc += m * width,
                           src += m * p->where->in) {
        m = n < LEAF ? n : LEAF;
        ndi_ops_convert(p->type, buf, item, p->from, src, p->where->in, m);
        if (p->mean) {
            ndi_kernels()->square(p->type, p->half, buf, mean_of(p, at), 1, m);
        }
        p->fold->each(acc, buf, p->mean ? width : item, m);
        if (p->half) {
            ndi_kernels()->halve((float *)(void *)acc, m);
        }
    }
}

/* One row's part of a block. The processor does not guess where the next row's
 * begins: it is fetched ahead, a little at a time. */
static void
fold_row(const struct ndi_pass *p, const char *src, int64_t at, int64_t n)
{
    const struct ndi_dim *d = p->where;
    int64_t next = p->nwhere > 1 ? d[1].in : 0;
    int64_t few = AHEAD / ndi_ops_itemsize(p->from);

    for (int64_t m; n > 0; n -= m, at += m, src += m * d->in) {
        m = n < few ? n : few;
        for (int64_t i = 0; i < AHEAD; i += NDI_LINE) {
            __builtin_prefetch(src + next + i);
        }
        fold_each(p, src, at, m);
    }
}

/* The same for all rows of axis k, if there is one. */
static void
fold_rows(const struct ndi_pass *p, const char *src, int64_t at, int64_t n,
          int64_t k)
{
    const struct ndi_dim *d = p->where;
    int64_t rows = k < p->nwhere ? d[k].n : 1;
    int64_t step = rows > 1 ? d[k].in : 0;
    unsigned char *acc = p->sums + at * ndi_ops_itemsize(p->acc);
    bool brief = n <= LEAF && n * ndi_ops_itemsize(p->from) < AHEAD &&
                 !p->mean && !p->half;
    int64_t item = ndi_ops_itemsize(p->type), m;
    _Alignas(64) unsigned char buf[LEAF * 16];

    for (; brief && p->from != p->type && step == n * d->in && rows > 0;
         rows -= m, src += m * step) {
        m = rows < LEAF / n ? rows : LEAF / n;
        ndi_ops_convert(p->type, buf, item, p->from, src, d->in, m * n);
        for (int64_t r = 0; r < m; r++) {
            p->fold->each(acc, buf + r * n * item, item, n);
        }
    }
    brief &= p->from == p->type && is_readable(p, src) &&
             is_readable(p, src + step);
    for (; rows > 0; rows--, src += step) {
        if (brief) {
            p->fold->each(acc, src, d->in, n);
        } else {
            fold_row(p, src, at, n);
        }
    }
}

static void
column_block(const struct columns *c, int64_t i)
{
    const struct ndi_dim *d = c->p->where;
    int64_t first = i % c->blocks * c->block;
    int64_t n = d->n - first < c->block ? d->n - first : c->block;
    const char *src = (const char *)c->p->a->data + first * d->in;
    int64_t index[NDS_MAX_NDIM] = {0};
    int64_t at = first * d->out;
    int k;

    i /= c->blocks;
    for (k = 1; k < c->p->nwhere; k++) {
        if (d[k].out != 0) {
            src += i % d[k].n * d[k].in;
            at += i % d[k].n * d[k].out;
            i /= d[k].n;
        }
    }
    do {
        for (k = 1; k < c->p->nwhere && d[k].out != 0; k++) {
        }
        if (k < c->p->nwhere) {
            index[k] = d[k].n - 1; // all rows of this axis at once
        }
        fold_rows(c->p, src, at, n, k);
        src += k < c->p->nwhere ? d[k].in * index[k] : 0;
        for (; k < c->p->nwhere; k++) {
            if (d[k].out != 0) {
                continue;
            }
            src += d[k].in;
            if (++index[k] < d[k].n) {
                break;
            }
            src -= d[k].in * d[k].n;
            index[k] = 0;
        }
    } while (k < c->p->nwhere);
}

static void
column_blocks(void *ctx, int64_t from, int64_t to)
{
    while (from < to) {
        column_block(ctx, from++);
    }
}

static void
column_one(void *ctx, int64_t i)
{
    column_block(ctx, i);
}

static void
run_columns(const struct ndi_pass *p)
{
    const struct ndi_dim *d = p->where;
    int64_t item = ndi_ops_itemsize(p->from);
    int64_t kept = d->n, reduced, crew, units;
    struct columns c = {p, BLOCK / ndi_ops_itemsize(p->acc), 0};
    bool large = p->plan.total >= 2 * NODE_NBYTES / item;

    for (int k = 1; k < p->nwhere; k++) {
        kept *= d[k].out != 0 ? d[k].n : 1;
    }
    reduced = p->plan.total / kept;
    crew = large ? ndi_crew() : 1;
    // Few columns: as many blocks as there are threads, but not too narrow.
    if (kept < crew * c.block) {
        int64_t few = (kept + crew - 1) / crew;

        few = few * item < 1024 ? 1024 / item : few;
        c.block = few < c.block ? few : c.block;
    }
    c.block = c.block < d->n ? c.block : d->n;
    c.blocks = (d->n + c.block - 1) / c.block;
    units = kept / d->n * c.blocks;
    if (!large) {
        column_blocks(&c, 0, units);
    } else if (c.block * reduced * item >= NODE_NBYTES) {
        ndi_parallel(units, column_one, &c);
    } else {
        ndi_in_pieces(units, (size_t)(c.block * reduced * item),
                      column_blocks, &c);
    }
}

void
ndi_pass_run(const struct ndi_pass *p)
{
    if (p->plan.total == 0) {
        return;
    }
    if (p->plan.dim[0].out == 0) {
        run_rows(p);
    } else {
        run_columns(p);
    }
}
