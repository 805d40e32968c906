/* SPDX-License-Identifier: MIT */
/* walk.c - the elements of views run by run, in C order or by threads */
#include "ops_impl.h"

#include <base/fail.h>
#include <os/os.h>

int
ndi_check_writable(const nds_view *v)
{
    if (v->flags & NDS_VIEW_READONLY) {
        return ndi_fail(NDS_EREADONLY, "assignment destination is read-only");
    }
    return 0;
}

bool
ndi_is_dense(const nds_view *v)
{
    return nds_view_is_contiguous(v, 'C') || nds_view_is_contiguous(v, 'F');
}

/* Drops extents of 1 and joins axes that one stride serves; outermost first.
 * -1 if there is no element. */
static int
join_axes(const nds_view *v, int64_t *shape, int64_t *strides)
{
    int n = 0;

    for (int i = 0; i < v->ndim; i++) {
        if (v->shape[i] == 0) {
            return -1;
        }
        if (v->shape[i] == 1) {
            continue;
        }
        if (n > 0 && strides[n - 1] == v->strides[i] * v->shape[i]) {
            shape[n - 1] *= v->shape[i];
            strides[n - 1] = v->strides[i];
            continue;
        }
        shape[n] = v->shape[i];
        strides[n++] = v->strides[i];
    }
    return n;
}

void
ndi_walk_runs(const nds_view *v, ndi_run_fn *fn, void *ctx)
{
    int64_t shape[NDS_MAX_NDIM];
    int64_t strides[NDS_MAX_NDIM];
    int64_t at[NDS_MAX_NDIM] = {0};
    char *data = v->data;
    int n = join_axes(v, shape, strides);
    int i;

    if (n < 0) {
        return;
    }
    if (n == 0) {
        fn(ctx, data, v->dtype->itemsize, 1);
        return;
    }
    do {
        fn(ctx, data, strides[n - 1], shape[n - 1]);
        for (i = n - 2; i >= 0; i--) {
            data += strides[i];
            if (++at[i] < shape[i]) {
                break;
            }
            data -= strides[i] * shape[i];
            at[i] = 0;
        }
    } while (i >= 0);
}

struct shared_walk {
    const struct ndi_iter *it; /* at its beginning */
    ndi_row_fn *row;
    void *ctx;
};

/* Elements [from, to) of the walk. */
static void
walk_range(void *ctx, int64_t from, int64_t to)
{
    const struct shared_walk *w = ctx;
    struct ndi_iter it = *w->it;
    int64_t rest = from / it.count, skip = from % it.count;

    for (int i = it.ndim - 1; i >= 0; i--) {
        it.index[i] = rest % it.shape[i];
        rest /= it.shape[i];
        for (int v = 0; v < it.nviews; v++) {
            it.data[v] += it.strides[v][i] * it.index[i];
        }
    }
    while (from < to) {
        int64_t n = it.count - skip < to - from ? it.count - skip : to - from;
        char *data[NDI_ITER_MAX];

        for (int v = 0; v < it.nviews; v++) {
            data[v] = it.data[v] + it.step[v] * skip;
        }
        w->row(w->ctx, data, it.step, from, n);
        from += n;
        skip = 0;
        ndi_iter_next(&it);
    }
}

void
ndi_walk_rows(const struct ndi_iter *it, size_t nbytes_each, ndi_row_fn *row,
              void *ctx)
{
    struct shared_walk w = {it, row, ctx};
    int64_t count = it->count;
    bool again = it->step[0] == 0; // what is written twice goes in order

    for (int i = 0; i < it->ndim; i++) {
        count *= it->shape[i];
        again |= it->strides[0][i] == 0;
    }
    if (again || nbytes_each == 0) {
        walk_range(&w, 0, count);
    } else {
        ndi_in_pieces(count, nbytes_each, walk_range, &w);
    }
}

#define BUFFER 4096 /* stays in the first cache */

/* Bytes before `p` begins a line. */
static int64_t
to_line(const char *p)
{
    return (int64_t)(-(uintptr_t)p % NDI_LINE);
}

/* Before whatever says that the result is there. */
static void
fence(void)
{
#if defined(__x86_64__)
    __builtin_ia32_sfence();
#endif
}

void
ndi_stream_row(char *to, int64_t item, int64_t count, ndi_make_fn *make,
               const void *ctx)
{
    _Alignas(64) char buf[BUFFER];
    int64_t i = to_line(to) / item;

    // What does not come to lie on lines of 64 bytes goes as usual.
    i = i < count && NDI_LINE % item == 0 && to_line(to + i * item) == 0
            ? i
            : count;
    make(ctx, to, 0, i);
    while (i < count) {
        int64_t n = (count - i) * item / NDI_LINE * NDI_LINE / item;

        n = n < BUFFER / item ? n : BUFFER / item;
        if (n == 0) {
            make(ctx, to + i * item, i, count - i);
            break;
        }
        make(ctx, buf, i, n);
        ndi_kernels()->stream(to + i * item, buf, (size_t)(n * item));
        i += n;
    }
    fence();
}

void
ndi_stream_copy(char *to, const char *from, int64_t nbytes)
{
    int64_t head = to_line(to) < nbytes ? to_line(to) : nbytes;
    int64_t lines = (nbytes - head) / NDI_LINE * NDI_LINE;

    memcpy(to, from, (size_t)head);
    ndi_kernels()->stream(to + head, from + head, (size_t)lines);
    head += lines;
    memcpy(to + head, from + head, (size_t)(nbytes - head));
    fence();
}
