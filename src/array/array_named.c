/* SPDX-License-Identifier: MIT */
/*
 * array_named.c - shared arrays: header, names, locks, generations
 *
 * The truth about dtype, shape and order is the .npy header at the start of
 * the file, so that stock NumPy reads the same file. It is rewritten only by
 * nds_array_resize: under the array's lock, with shape_gen odd meanwhile, by
 * one pwrite within one page, which the kernel finishes even for a process
 * being killed. A holder that dies with shape_gen odd leaves a whole header,
 * old or new; the next holder makes the generation even.
 */
#include <array/array_impl.h>

#include <base/checked.h>
#include <base/fail.h>
#include <base/options.h>
#include <mem/names.h>
#include <npy/npy_header.h>
#include <os/os.h>
#include <sync/word.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A reader that meets an odd generation looks again this long: 2 s. */
#define HEADER_WAIT_NS (ndi_patience_ns / 5)

static int
write_header(int fd, const struct ndi_buf *head)
{
    int rc = ndi_os_pwrite(fd, head->data, head->nbytes, 0);

    return rc < 0 ? ndi_fail_errno(-rc, "write a .npy header of %zu bytes",
                                   head->nbytes)
                  : 0;
}

/* The header for this geometry, and where the data start after it. */
static int
format_header(struct ndi_buf *head, uint64_t *data_off, const nds_dtype *dtype,
              int ndim, const int64_t *shape, char order)
{
    int rc;

    *data_off = NDI_DATA_OFF;
    rc = ndi_npy_format(head, dtype, ndim, shape, order, NDI_DATA_OFF);
    if (rc == NDS_ELIMIT) {
        head->nbytes = 0;
        *data_off = NDI_DATA_OFF_LONG;
        rc = ndi_npy_format(head, dtype, ndim, shape, order,
                            NDI_DATA_OFF_LONG);
    }
    return rc;
}

/* Bytes the data may grow to: opts->capacity counts extents of the axis that
 * grows, axis 0 in C order, the last one in Fortran order. */
static int
capacity_nbytes(const nds_dtype *dtype, int ndim, const int64_t *shape,
                const nds_array_options *opts, int64_t nbytes,
                uint64_t *capacity)
{
    int64_t most[NDS_MAX_NDIM];
    int64_t grown;
    int axis = opts->order == 'F' ? ndim - 1 : 0;
    int rc;

    *capacity = (uint64_t)nbytes;
    if (opts->capacity == 0) {
        return 0;
    }
    if (ndim == 0 || opts->capacity < shape[axis]) {
        return ndi_fail(NDS_EINVAL, "a capacity of %lld is less than the "
                        "array's extent of %lld",
                        (long long)opts->capacity,
                        ndim == 0 ? 1LL : (long long)shape[axis]);
    }
    memcpy(most, shape, (size_t)ndim * sizeof most[0]);
    most[axis] = opts->capacity;
    rc = ndi_array_nbytes(dtype, ndim, most, &grown);
    *capacity = (uint64_t)grown;
    return rc;
}

/* A handle over a segment whose body holds this geometry at data_off. Takes
 * over the count on s. */
static int
array_of_segment(nds_array **out, struct ndi_segment *s,
                 const nds_dtype *dtype, int ndim, const int64_t *shape,
                 char order, uint64_t data_off)
{
    nds_view v;
    int rc = nds_view_init_strided(&v, dtype, s->body, s->body_nbytes,
                                   (int64_t)data_off, ndim, shape, NULL,
                                   order);

    return ndi_array_finish_segment(out, s, &v, rc);
}

struct begin {
    struct ndi_buf head;
    struct ndi_pattern pattern;
    uint64_t data_off;
    uint64_t nbytes;
};

static int
fill_header(struct ndi_segment *s, void *ctx)
{
    const struct begin *b = ctx;

    return write_header(s->fd, &b->head);
}

/* [from, to) of the body has just got its memory. */
static void
fill_data(struct ndi_segment *s, uint64_t from, uint64_t to, void *ctx)
{
    const struct begin *b = ctx;
    uint64_t end = b->data_off + b->nbytes;

    from = from < b->data_off ? b->data_off : from;
    to = to > end ? end : to;
    if (from < to) {
        ndi_pattern_write(&b->pattern, s->body + b->data_off,
                          from - b->data_off, to - b->data_off);
    }
}

/* Adds what was to be made to a failure for want of room. */
static int
say_which(int rc, const char *name, const nds_dtype *dtype, int ndim,
          const int64_t *shape)
{
    char text[256];
    char *dt = NULL;

    // What a bad shape is said of has no other name.
    if (rc != NDS_ENOSPC && (rc != NDS_ESHAPE || name == NULL)) {
        return rc;
    }
    nds_dtype_str(dtype, &dt);
    rc = ndi_fail_more(rc, "array %s%s%sof shape %s, dtype %s",
                       name != NULL ? "'" : "", name != NULL ? name : "",
                       name != NULL ? "' " : "",
                       ndi_shape_text(text, sizeof text, ndim, shape),
                       dt != NULL ? dt : "?");
    free(dt);
    return rc;
}

/* opts: a copy of the caller's, all of it there. */
static int
create(nds_array **out, const char *name, const nds_dtype *dtype, int ndim,
       const int64_t *shape, const nds_array_options *opts)
{
    struct ndi_segment_spec spec = {.kind = NDI_KIND_ARRAY,
                                    .name = name,
                                    .mode_bits = opts->mode_bits,
                                    .lifetime = opts->lifetime,
                                    .replace = opts->replace,
                                    .huge = opts->huge};
    struct begin b = {.data_off = NDI_DATA_OFF};
    struct ndi_segment *s = NULL;
    char order = opts->order == 'F' ? 'F' : 'C';
    int64_t nbytes;
    int rc;

    *out = NULL;
    rc = ndi_array_nbytes(dtype, ndim, shape, &nbytes);
    if (rc == 0) {
        rc = capacity_nbytes(dtype, ndim, shape, opts, nbytes,
                             &spec.capacity);
    }
    if (rc < 0) {
        return say_which(rc, name, dtype, ndim, shape);
    }
    b.nbytes = (uint64_t)nbytes;
    spec.ctx = &b;
    if (name != NULL) {
        rc = format_header(&b.head, &b.data_off, dtype, ndim, shape, order);
        spec.fill = fill_header;
    }
    spec.data_off = b.data_off;
    if (rc == 0 && opts->fill != NULL) {
        rc = ndi_pattern_init(&b.pattern, dtype, opts->fill);
        spec.backed = b.pattern.any ? fill_data : NULL;
    }
    if (spec.backed != NULL || (opts->uninitialised && opts->fill == NULL)) {
        spec.any_off = b.data_off;
        spec.any_nbytes = b.nbytes;
    }
    if (rc == 0 &&
        !ndi_add_u64(spec.data_off, spec.capacity, &spec.body_nbytes)) {
        rc = ndi_fail(NDS_ESHAPE, "the capacity does not fit 64 bits");
    }
    if (rc == 0) {
        rc = ndi_segment_create(&s, &spec);
    }
    ndi_buf_fini(&b.head);
    ndi_pattern_fini(&b.pattern);
    return rc < 0 ? say_which(rc, name, dtype, ndim, shape)
                  : array_of_segment(out, s, dtype, ndim, shape, order,
                                     spec.data_off);
}

int
ndi_array_new_shareable(nds_array **out, const nds_dtype *dtype, int ndim,
                        const int64_t *shape, const nds_array_options *opts)
{
    return create(out, NULL, dtype, ndim, shape, opts);
}

int
nds_array_create(nds_array **out, const char *name, const nds_dtype *dtype,
                 int ndim, const int64_t *shape,
                 const nds_array_options *opts)
{
    nds_array_options o;
    int rc;

    *out = NULL;
    if (dtype == NULL) {
        return ndi_fail(NDS_EDTYPE, "an array needs a dtype");
    }
    rc = ndi_name_check(name);
    if (rc == 0) {
        ndi_options_copy(&o, sizeof o, opts);
        rc = create(out, name, dtype, ndim, shape, &o);
    }
    return rc;
}

/* ---- reading the header ------------------------------------------------- */

static bool
holder_is_dead(const struct ndi_segment *s)
{
    uint64_t word = ndi_load_acq(&s->ctl->lock.word);

    return (word & NDI_OWNER_MASK) == 0 ||
           ndi_party_is_dead(&s->party, word & NDI_OWNER_MASK);
}

/* Copies the header and parses the copy; checks it against the control area. */
static int
parse_header(struct ndi_npy_info *info, const struct ndi_segment *s)
{
    unsigned char head[NDI_DATA_OFF_LONG];
    size_t nbytes = s->body_nbytes < sizeof head ? s->body_nbytes
                                                 : sizeof head;
    uint64_t data_off = s->ctl->geometry.data_off;
    int rc = ndi_os_pread(s->fd, head, nbytes, 0);

    if (rc < 0) {
        return ndi_fail_errno(-rc, "read the header of '%s'", s->name);
    }
    rc = ndi_npy_parse(info, head, nbytes);
    if (rc < 0) {
        return ndi_fail_more(rc, "in the header of array '%s'", s->name);
    }
    if (info->data_off != data_off ||
        !ndi_range_fits(info->data_off, info->nbytes, s->body_nbytes)) {
        rc = ndi_fail(NDS_ECORRUPT, "array '%s': its header says %llu bytes "
                      "at %llu, the file holds %llu", s->name,
                      (unsigned long long)info->nbytes,
                      (unsigned long long)info->data_off,
                      (unsigned long long)s->body_nbytes);
        ndi_npy_info_fini(info);
    }
    return rc;
}

static int
read_header(struct ndi_npy_info *info, const struct ndi_segment *s,
            uint64_t *gen)
{
    int64_t deadline = ndi_deadline(HEADER_WAIT_NS);

    for (;;) {
        uint64_t before = ndi_load_acq(&s->ctl->gens.shape_gen);
        int rc = parse_header(info, s);

        if (rc < 0) {
            return rc;
        }
        // Pairs with the stores in nds_array_resize.
        ndi_fence_seq();
        if (ndi_load_acq(&s->ctl->gens.shape_gen) == before &&
            (before % 2 == 0 || holder_is_dead(s))) {
            *gen = before & ~UINT64_C(1);
            return 0;
        }
        if (ndi_deadline_over(deadline)) {
            ndi_npy_info_fini(info);
            return ndi_fail(NDS_ETIMEDOUT, "array '%s' is being resized by "
                            "pid %u for too long", s->name,
                            ndi_party_pid(&s->party,
                                          ndi_load_acq(&s->ctl->lock.word) &
                                              NDI_OWNER_MASK));
        }
        ndi_npy_info_fini(info);
        // The word to sleep on is the generation's own futex.
        ndi_futex_wait(&s->ctl->gens.futex,
                       ndi_load_acq(&s->ctl->gens.futex), 1000000);
    }
}

int
nds_array_attach(nds_array **out, const char *name, enum nds_mode mode,
                 int64_t timeout_ns)
{
    struct ndi_segment *s = NULL;
    struct ndi_npy_info info;
    uint64_t gen = 0;
    int rc;

    *out = NULL;
    rc = ndi_segment_attach(&s, name, NDI_KIND_ARRAY, mode, timeout_ns);
    if (rc < 0) {
        return rc;
    }
    rc = read_header(&info, s, &gen);
    if (rc < 0) {
        ndi_segment_put(s);
        return rc;
    }
    rc = array_of_segment(out, s, info.dtype, info.ndim, info.shape,
                          info.order, info.data_off);
    ndi_npy_info_fini(&info);
    if (rc == 0) {
        (*out)->shape_gen = gen;
    }
    return rc;
}

static char
order_of(const nds_view *v)
{
    return !nds_view_is_contiguous(v, 'C') && nds_view_is_contiguous(v, 'F')
               ? 'F'
               : 'C';
}

int
nds_array_publish(nds_array *a, const char *name,
                  const nds_array_options *opts)
{
    struct ndi_buf head = {0};
    uint64_t data_off = 0;
    int rc;

    if (a->segment == NULL || a->segment->memfd) {
        return ndi_fail(NDS_EINVAL, "publish '%s': only a shareable array can "
                        "be given a name", name);
    }
    rc = ndi_name_check(name);
    if (rc < 0) {
        return rc;
    }
    if ((unsigned char *)a->view.data != a->segment->body + NDI_DATA_OFF ||
        !(nds_view_is_contiguous(&a->view, 'C') ||
          nds_view_is_contiguous(&a->view, 'F'))) {
        return ndi_fail(NDS_EINVAL, "publish '%s': a view of part of an array "
                        "cannot be published; copy it", name);
    }
    rc = format_header(&head, &data_off, a->view.dtype, a->view.ndim,
                       a->view.shape, order_of(&a->view));
    if (rc == 0 && data_off != NDI_DATA_OFF) {
        rc = ndi_fail(NDS_ELIMIT, "publish '%s': the header of this dtype is "
                      "too long; create the array by name", name);
    }
    if (rc == 0) {
        rc = write_header(a->segment->fd, &head);
    }
    ndi_buf_fini(&head);
    if (rc == 0 && opts != NULL && opts->mode_bits != 0) {
        rc = ndi_os_chmod(a->segment->fd, opts->mode_bits);
        rc = rc < 0 ? ndi_fail_errno(-rc, "publish '%s': set mode %o", name,
                                     opts->mode_bits)
                    : 0;
    }
    if (rc == 0 && opts != NULL && !a->segment->party.readonly) {
        // Nobody can see it yet; the header is complete before the link.
        a->segment->ctl->header.lifetime = (uint32_t)opts->lifetime;
        a->segment->while_used = opts->lifetime == NDS_WHILE_USED;
    }
    return rc < 0 ? rc
                  : ndi_segment_publish(a->segment, name,
                                        opts != NULL && opts->replace);
}

int
nds_array_unlink(const char *name)
{
    return nds_name_unlink(name);
}

/* ---- the lock and the generations --------------------------------------- */

static int
need_segment(const nds_array *a, const char *what)
{
    if (a->segment == NULL) {
        return ndi_fail(NDS_EINVAL, "%s: only shareable and named arrays have "
                        "a lock and generations", what);
    }
    return 0;
}

static int
need_writable_control(const nds_array *a, const char *what)
{
    int rc = need_segment(a, what);

    if (rc == 0 && a->segment->mode == NDS_READ) {
        rc = ndi_fail(NDS_EPERM, "%s: array '%s' is attached read-only", what,
                      a->segment->name);
    }
    return rc;
}

int
nds_array_lock(nds_array *a, int64_t timeout_ns)
{
    int rc = need_writable_control(a, "lock");
    struct ndi_ctl_gens *gens;

    if (rc < 0) {
        return rc;
    }
    rc = ndi_lock_acquire(&a->segment->party, &a->segment->ctl->lock,
                          ndi_deadline(timeout_ns));
    if (rc == NDS_EOWNERDEAD) {
        gens = &a->segment->ctl->gens;
        // The dead holder may have been resizing: its header is whole.
        if (ndi_load_acq(&gens->shape_gen) % 2 != 0) {
            ndi_add_seq(&gens->shape_gen, 1);
        }
    }
    return rc;
}

static void
raise_data_gen(struct ndi_ctl_gens *gens)
{
    uint64_t gen = ndi_add_seq(&gens->data_gen, 1) + 1;

    NDI_KILL_POINT("array.data_gen_raised");
    ndi_store_seq(&gens->futex, (uint32_t)gen);
    if (ndi_load_seq(&gens->sleepers) != 0) {
        ndi_futex_wake(&gens->futex, INT32_MAX);
    }
}

int
nds_array_unlock(nds_array *a)
{
    int rc = need_writable_control(a, "unlock");

    if (rc < 0) {
        return rc;
    }
    if (ndi_lock_is_mine(&a->segment->party, &a->segment->ctl->lock)) {
        raise_data_gen(&a->segment->ctl->gens);
    }
    return ndi_lock_unlock(&a->segment->party, &a->segment->ctl->lock);
}

int
ndi_array_unlock_unchanged(nds_array *a)
{
    return ndi_lock_unlock(&a->segment->party, &a->segment->ctl->lock);
}

int
nds_array_poison(nds_array *a)
{
    int rc = need_writable_control(a, "poison");

    return rc < 0 ? rc
                  : ndi_lock_poison(&a->segment->party,
                                    &a->segment->ctl->lock);
}

int
nds_array_changed(nds_array *a)
{
    int rc = need_writable_control(a, "changed");

    if (rc == 0) {
        raise_data_gen(&a->segment->ctl->gens);
    }
    return rc;
}

int
nds_array_generation(const nds_array *a, uint64_t *data_gen)
{
    int rc = need_segment(a, "generation");

    *data_gen = rc < 0 ? 0 : ndi_load_acq(&a->segment->ctl->gens.data_gen);
    return rc;
}

int
nds_array_wait_changed(nds_array *a, uint64_t after, int64_t timeout_ns)
{
    int64_t deadline = ndi_deadline(timeout_ns);
    struct ndi_ctl_gens *gens;
    bool counted;
    int rc = need_segment(a, "wait");

    if (rc < 0) {
        return rc;
    }
    gens = &a->segment->ctl->gens;
    // Who cannot write the count of sleepers is not woken: it looks oftener.
    counted = a->segment->mode != NDS_READ;
    if (counted) {
        ndi_add_seq(&gens->sleepers, 1);
    }
    for (;;) {
        uint32_t seen = ndi_load_seq(&gens->futex);
        int64_t left = ndi_deadline_left(deadline);
        int64_t slice = counted ? NDI_SLICE_NS : NDI_SLICE_NS / 5;

        // Who replaced it may have been killed before it could say so.
        if (ndi_load_seq(&gens->data_gen) > after ||
            ndi_segment_is_superseded(a->segment)) {
            rc = 0;
            break;
        }
        if (left == 0) {
            rc = timeout_ns == 0 ? NDS_EAGAIN : NDS_ETIMEDOUT;
            break;
        }
        ndi_futex_wait(&gens->futex, seen, left < slice ? left : slice);
    }
    if (counted) {
        ndi_sub_seq(&gens->sleepers, 1);
    }
    return rc;
}

/* ---- growing ------------------------------------------------------------ */

/* Takes over what the header says now. Keeps the handle on failure. */
static int
take_header(nds_array *a)
{
    struct ndi_npy_info info;
    nds_view v;
    uint64_t gen = 0;
    int rc = read_header(&info, a->segment, &gen);

    if (rc < 0) {
        return rc;
    }
    rc = nds_view_init_strided(&v, info.dtype, a->segment->body,
                               a->segment->body_nbytes,
                               (int64_t)info.data_off, info.ndim, info.shape,
                               NULL, info.order);
    if (rc == 0) {
        v.flags = a->view.flags;
        nds_view_fini(&a->view);
        a->view = v;
        a->shape_gen = gen;
    }
    ndi_npy_info_fini(&info);
    return rc;
}

int
nds_array_refresh(nds_array *a)
{
    int rc = need_segment(a, "refresh");

    if (rc < 0 || a->segment->name[0] == '\0') {
        return rc; // nameless arrays have no header and never change shape
    }
    if (ndi_segment_is_superseded(a->segment)) {
        return ndi_fail(NDS_ESTALE, "array '%s': another one took the name; "
                        "attach again", a->segment->name);
    }
    return ndi_load_acq(&a->segment->ctl->gens.shape_gen) == a->shape_gen
               ? 0
               : take_header(a);
}

/* With the lock held: the new header, in one page, between two generations. */
static int
rewrite_header(nds_array *a, int64_t nbytes, const int64_t *shape)
{
    struct ndi_ctl_gens *gens = &a->segment->ctl->gens;
    uint64_t data_off = a->segment->ctl->geometry.data_off;
    int64_t before = nds_view_nbytes(&a->view);
    unsigned char *data = a->segment->body + NDI_DATA_OFF;
    struct ndi_buf head = {0};
    int rc;

    if (data_off != NDI_DATA_OFF) {
        return ndi_fail(NDS_ENOTSUP, "resize '%s': its header spans two pages",
                        a->segment->name);
    }
    rc = ndi_npy_format(&head, a->view.dtype, a->view.ndim, shape,
                        order_of(&a->view), data_off);
    if (rc < 0) {
        ndi_buf_fini(&head);
        return rc;
    }
    // What shrinking left behind must not come back as data.
    if (nbytes > before) {
        memset(data + before, 0, (size_t)(nbytes - before));
    }
    NDI_KILL_POINT("array.resize_zeroed");
    ndi_add_seq(&gens->shape_gen, 1);
    NDI_KILL_POINT("array.resize_odd");
    rc = write_header(a->segment->fd, &head);
    NDI_KILL_POINT("array.resize_written");
    ndi_add_seq(&gens->shape_gen, 1);
    ndi_buf_fini(&head);
    return rc;
}

int
nds_array_resize(nds_array *a, int64_t extent)
{
    int64_t shape[NDS_MAX_NDIM];
    int64_t nbytes;
    uint64_t capacity;
    int axis, held;
    int rc = need_writable_control(a, "resize");

    if (rc < 0) {
        return rc;
    }
    if (a->view.ndim == 0 || a->segment->name[0] == '\0' ||
        a->segment->mode != NDS_READWRITE || a->segment->frozen) {
        return ndi_fail(NDS_EINVAL, "resize: only named, writable arrays of "
                        "one dimension or more can grow");
    }
    held = nds_array_lock(a, ndi_patience_ns);
    if (held < 0 && held != NDS_EOWNERDEAD) {
        return held == NDS_ETIMEDOUT
                   ? ndi_fail(held, "resize '%s': its lock is held",
                              a->segment->name)
                   : held;
    }
    rc = take_header(a);
    if (rc == 0) {
        axis = order_of(&a->view) == 'F' ? a->view.ndim - 1 : 0;
        memcpy(shape, a->view.shape, (size_t)a->view.ndim * sizeof shape[0]);
        shape[axis] = extent;
        rc = ndi_array_nbytes(a->view.dtype, a->view.ndim, shape, &nbytes);
        capacity = a->segment->body_nbytes - NDI_DATA_OFF;
        if (rc == 0 && (uint64_t)nbytes > capacity) {
            rc = ndi_fail(NDS_ENOSPC, "resize '%s' to %lld along axis %d: %lld "
                          "bytes wanted, its capacity is %llu",
                          a->segment->name, (long long)extent, axis,
                          (long long)nbytes, (unsigned long long)capacity);
        }
    }
    if (rc == 0) {
        rc = rewrite_header(a, nbytes, shape);
    }
    if (rc == 0) {
        rc = take_header(a);
    }
    nds_array_unlock(a);
    return rc;
}

/* ---- for the list of names ---------------------------------------------- */

static int
describe(const unsigned char *head, size_t nbytes, nds_name_info *out)
{
    struct ndi_npy_info info;
    char *text = NULL;
    int rc = ndi_npy_parse(&info, head, nbytes);

    if (rc < 0) {
        return rc;
    }
    rc = nds_dtype_str(info.dtype, &text);
    if (rc == 0) {
        bool cut = strlen(text) >= sizeof out->dtype;

        snprintf(out->dtype, sizeof out->dtype, "%.*s%s",
                 cut ? (int)sizeof out->dtype - 4 : (int)strlen(text), text,
                 cut ? "..." : "");
        out->ndim = info.ndim;
        memcpy(out->shape, info.shape,
               (size_t)info.ndim * sizeof info.shape[0]);
        out->order = info.order;
        out->nbytes = (int64_t)info.nbytes;
    }
    free(text);
    ndi_npy_info_fini(&info);
    return rc;
}

__attribute__((constructor)) static void
register_description(void)
{
    ndi_names_describe_with(describe);
}
