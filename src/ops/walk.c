/* SPDX-License-Identifier: MIT */
/* walk.c - the elements of views row by row, in C order or by threads */
#include "ops_impl.h"

#include <base/fail.h>
#include <nd/spread.h>
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

void
ndi_walk_range(const struct ndi_iter *walk, int64_t from, int64_t to,
               ndi_row_fn *row, void *ctx)
{
    struct ndi_iter it = *walk;
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
        row(ctx, data, it.step, from, n);
        from += n;
        skip = 0;
        ndi_iter_next(&it);
    }
}

struct shared_walk {
    const struct ndi_iter *it; /* at its beginning */
    ndi_row_fn *row;
    void *ctx;
};

static void
walk_range(void *ctx, int64_t from, int64_t to)
{
    const struct shared_walk *w = ctx;

    ndi_walk_range(w->it, from, to, w->row, w->ctx);
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

bool
ndi_is_streamed(const nds_view *to)
{
    const char *last = to->data;

    if (nds_view_nbytes(to) < NDI_STREAM_NBYTES) {
        return false;
    }
    for (int i = 0; i < to->ndim; i++) {
        last += (to->shape[i] - 1) * to->strides[i];
    }
    return ndi_map_has_memory(last);
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
ndi_stream_fill(char *to, int64_t nbytes, const void *element, int64_t item)
{
    // Of so large a fill, and one line holds a whole number of elements.
    unsigned char some[BUFFER + NDI_LINE];
    int64_t head = to_line(to), part;

    ndi_spread(to, 0, (uint64_t)head, element, (size_t)item);
    ndi_spread(some, 0, sizeof(some), element, (size_t)item);
    for (int64_t i = head; i < nbytes; i += part) {
        part = nbytes - i < BUFFER ? nbytes - i : BUFFER;
        if (part < BUFFER) {
            memcpy(to + i, some + head % item, (size_t)part);
        } else {
            ndi_kernels()->stream(to + i, some + head % item, BUFFER);
        }
    }
    fence();
}
