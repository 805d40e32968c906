/* SPDX-License-Identifier: MIT */
/*
 * pwrite.c - values as pickles that every stock Python loads
 *
 * No frames, no memo, public names only. An array is
 * numpy.ndarray(shape, dtype, bytearray, 0, None, order): that keeps byte
 * order, layout and writability on NumPy 1.x and 2.x alike. Array bytes are
 * not copied: they become a gap, written straight from the array's memory.
 */
#include <pickle/pickle.h>

#include <base/fail.h>

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

struct writer {
    struct ndi_pickle *p;
    int protocol;
    int depth;
};

static int put(struct writer *w, const nds_value *v);

static void
put_op(struct writer *w, int op)
{
    ndi_buf_add_char(&w->p->bytes, (char)op);
}

static void
put_le(struct writer *w, uint64_t n, int width)
{
    for (int i = 0; i < width; i++) {
        put_op(w, (int)(n >> (8 * i) & 0xff));
    }
}

/* A counted run of bytes: opcodes for 1, 4 and 8 byte lengths. */
static void
put_head(struct writer *w, size_t n, int op1, int op4, int op8)
{
    int width = n < 256 && op1 ? 1 : n <= UINT32_MAX && op4 ? 4 : 8;

    put_op(w, width == 1 ? op1 : width == 4 ? op4 : op8);
    put_le(w, n, width);
}

static void
put_str(struct writer *w, const char *text, size_t n)
{
    put_head(w, n, 0x8c, 0x58, 0x8d);
    ndi_buf_add(&w->p->bytes, text, n);
}

static void
put_bytes(struct writer *w, const void *data, size_t n)
{
    put_head(w, n, 0x43, 0x42, 0x8e);
    ndi_buf_add(&w->p->bytes, data, n);
}

static void
put_global(struct writer *w, const char *module, const char *name)
{
    put_str(w, module, strlen(module));
    put_str(w, name, strlen(name));
    put_op(w, 0x93);
}

static void
put_int(struct writer *w, int64_t i)
{
    if (i >= 0 && i < 256) {
        put_op(w, 0x4b);
        put_le(w, (uint64_t)i, 1);
    } else if (i >= 0 && i < 65536) {
        put_op(w, 0x4d);
        put_le(w, (uint64_t)i, 2);
    } else if (i >= INT32_MIN && i <= INT32_MAX) {
        put_op(w, 0x4a);
        put_le(w, (uint64_t)i, 4);
    } else {
        int n = 8;

        while (n > 1 && (i >> (8 * n - 9) == 0 || i >> (8 * n - 9) == -1)) {
            n--;
        }
        put_op(w, 0x8a);
        put_le(w, (uint64_t)n, 1);
        put_le(w, (uint64_t)i, n);
    }
}

static void
put_float(struct writer *w, double d)
{
    uint64_t bits;

    memcpy(&bits, &d, sizeof bits);
    put_op(w, 0x47);
    for (int i = 7; i >= 0; i--) {
        put_op(w, (int)(bits >> (8 * i) & 0xff));
    }
}

/* Items, closed by the opcode of a tuple of so many. */
static int
put_tuple(struct writer *w, nds_value *const *items, size_t n)
{
    int rc = 0;

    if (n > 3) {
        put_op(w, 0x28);
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = put(w, items[i]);
    }
    put_op(w, n == 0 ? 0x29 : n > 3 ? 0x74 : 0x84 + (int)n);
    return rc;
}

/* An empty container, then its items in one go. */
static int
put_filled(struct writer *w, const nds_value *v, int empty, int fill)
{
    int rc = 0;

    put_op(w, empty);
    if (v->count == 0) {
        return 0;
    }
    put_op(w, 0x28);
    for (size_t i = 0; rc == 0 && i < v->count; i++) {
        rc = put(w, v->items[i]);
    }
    put_op(w, fill);
    return rc;
}

static int
put_frozenset(struct writer *w, const nds_value *v)
{
    int rc = 0;

    put_op(w, 0x28);
    for (size_t i = 0; rc == 0 && i < v->count; i++) {
        rc = put(w, v->items[i]);
    }
    put_op(w, 0x91);
    return rc;
}

static int
put_call(struct writer *w, const char *module, const char *name,
         const nds_value *v)
{
    int rc;

    put_global(w, module, name);
    rc = put_tuple(w, v->items, v->count);
    put_op(w, 0x52);
    return rc;
}

static int
put_dtype(struct writer *w, const nds_dtype *dt)
{
    nds_value *descr = ndi_descr_of_dtype(dt);
    int rc;

    if (descr == NULL) {
        return NDS_ENOMEM;
    }
    put_global(w, "numpy", "dtype");
    rc = put(w, descr);
    put_op(w, 0x85);
    put_op(w, 0x52);
    nds_value_free(descr);
    return rc;
}

/* Array memory between two runs of bytes. Takes `a` over. */
static int
put_data(struct writer *w, nds_array *a, const void *data, size_t nbytes)
{
    struct ndi_pickle *p = w->p;

    if (nbytes < NDI_PICKLE_INLINE) {
        ndi_buf_add(&p->bytes, data, nbytes);
        nds_array_close(a);
        return 0;
    }
    if (p->ngaps == p->room) {
        size_t room = p->room == 0 ? 4 : p->room * 2;
        struct ndi_pickle_gap *gaps = realloc(p->gaps, room * sizeof *gaps);

        if (gaps == NULL) {
            nds_array_close(a);
            return ndi_fail_nomem(room * sizeof *gaps, "a pickle");
        }
        p->gaps = gaps;
        p->room = room;
    }
    p->gaps[p->ngaps++] = (struct ndi_pickle_gap){
        .at = p->bytes.nbytes, .data = data, .nbytes = nbytes, .keep = a};
    return 0;
}

static int
put_array(struct writer *w, nds_array *a)
{
    const nds_view *v = nds_array_view(a);
    char order = nds_view_is_contiguous(v, 'C')   ? 'C'
                 : nds_view_is_contiguous(v, 'F') ? 'F'
                                                  : 0;
    bool readonly = (v->flags & NDS_VIEW_READONLY) != 0;
    nds_array *keep = NULL;
    size_t nbytes;
    int rc;

    // A handle of our own: the data must outlive the write.
    rc = order == 0 ? nds_array_copy(&keep, v, NULL)
                    : nds_array_get(&keep, a);
    if (rc < 0) {
        return rc;
    }
    if (order == 0) {
        order = 'C';
        readonly = false;
    }
    v = nds_array_view(keep);
    nbytes = (size_t)nds_view_nbytes(v);
    put_global(w, "numpy", "ndarray");
    put_op(w, 0x28);
    if (v->ndim > 3) {
        put_op(w, 0x28);
    }
    for (int i = 0; i < v->ndim; i++) {
        put_int(w, v->shape[i]);
    }
    put_op(w, v->ndim == 0 ? 0x29 : v->ndim > 3 ? 0x74 : 0x84 + v->ndim);
    rc = put_dtype(w, v->dtype);
    if (rc < 0) {
        nds_array_close(keep);
        return rc;
    }
    if (readonly) {
        put_head(w, nbytes, 0x43, 0x42, 0x8e);
        rc = put_data(w, keep, v->data, nbytes);
    } else if (w->protocol >= 5) {
        put_head(w, nbytes, 0, 0, 0x96);
        rc = put_data(w, keep, v->data, nbytes);
    } else {
        put_global(w, "builtins", "bytearray");
        put_head(w, nbytes, 0x43, 0x42, 0x8e);
        rc = put_data(w, keep, v->data, nbytes);
        put_op(w, 0x85);
        put_op(w, 0x52);
    }
    put_int(w, 0);
    put_op(w, 0x4e);
    put_str(w, order == 'C' ? "C" : "F", 1);
    put_op(w, 0x74);
    put_op(w, 0x52);
    return rc;
}

/* numpy.core.multiarray.scalar(dtype, bytes): loads everywhere, and says any
 * dtype */
static int
put_raw_scalar(struct writer *w, const nds_view *v)
{
    int rc;

    put_global(w, "numpy.core.multiarray", "scalar");
    rc = put_dtype(w, v->dtype);
    put_bytes(w, v->data, (size_t)nds_dtype_itemsize(v->dtype));
    put_op(w, 0x86);
    put_op(w, 0x52);
    return rc;
}

static int
put_scalar(struct writer *w, nds_array *a)
{
    const nds_view *v = nds_array_view(a);
    char kind = nds_dtype_kind(v->dtype);
    nds_scalar s;
    nds_view to;
    char *name;
    int rc;

    if (strchr("biufc", kind) == NULL ||
        nds_dtype_type(v->dtype) == NDS_TYPE_LONGDOUBLE) {
        return put_raw_scalar(w, v);
    }
    s = kind == 'b'   ? nds_bool(false)
        : kind == 'i' ? nds_int(0)
        : kind == 'u' ? nds_uint(0)
        : kind == 'f' ? nds_float(0)
                      : nds_complex(0, 0);
    nds_scalar_view(&to, &s);
    rc = nds_assign(&to, v);
    nds_view_fini(&to);
    // A scalar is in this machine's order whatever its array was.
    rc = rc < 0 ? rc
                : nds_dtype_name(nds_dtype_builtin(nds_dtype_type(v->dtype)),
                                 &name);
    if (rc < 0) {
        return rc;
    }
    put_global(w, "numpy", kind == 'b' ? "bool_" : name);
    free(name);
    if (kind == 'b') {
        put_op(w, s.data[0] ? 0x88 : 0x89);
    } else if (kind == 'i') {
        put_int(w, nds_scalar_int64(&s));
    } else if (kind == 'u') {
        uint64_t u;
        nds_value *big;

        memcpy(&u, s.data, sizeof u);
        big = nds_value_uint(u);
        rc = big != NULL ? put(w, big) : NDS_ENOMEM;
        nds_value_free(big);
    } else if (kind == 'f') {
        put_float(w, nds_scalar_double(&s));
    } else {
        double part[2];
        nds_value c = {.kind = NDS_VALUE_COMPLEX};

        memcpy(part, s.data, sizeof part);
        c.u.re = part[0];
        c.v.im = part[1];
        rc = put(w, &c);
    }
    put_op(w, 0x85);
    put_op(w, 0x52);
    return rc;
}

static int
put_token(struct writer *w, const nds_value *v)
{
    int rc;

    put_global(w, "multiprocessing.managers", "Token");
    put_op(w, 0x29);
    put_op(w, 0x81);
    rc = put_tuple(w, v->items, v->count);
    put_op(w, 0x62);
    return rc;
}

static int
put_name(struct writer *w, const nds_value *v)
{
    const char *colon = strchr(v->u.text, ':');

    if (colon == NULL) {
        return ndi_fail(NDS_EINVAL, "a name without a module");
    }
    put_str(w, v->u.text, (size_t)(colon - v->u.text));
    put_str(w, colon + 1, strlen(colon + 1));
    put_op(w, 0x93);
    return 0;
}

/* NDI_VALUE_CALL */
static int
put_object(struct writer *w, const nds_value *v)
{
    int rc = put(w, v->items[0]);

    rc = rc < 0 ? rc : put(w, v->items[1]);
    put_op(w, v->count > 2 ? 0x81 : 0x52);
    if (rc == 0 && v->count > 2) {
        rc = put(w, v->items[2]);
        put_op(w, 0x62);
    }
    return rc;
}

static void
put_bigint(struct writer *w, const nds_value *v)
{
    size_t n = v->v.nbytes;

    put_op(w, n < 256 ? 0x8a : 0x8b);
    put_le(w, n, n < 256 ? 1 : 4);
    ndi_buf_add(&w->p->bytes, v->u.text, n);
}

static void
put_bytearray(struct writer *w, const nds_value *v)
{
    if (w->protocol >= 5) {
        put_head(w, v->v.nbytes, 0, 0, 0x96);
        ndi_buf_add(&w->p->bytes, v->u.text, v->v.nbytes);
        return;
    }
    put_global(w, "builtins", "bytearray");
    put_bytes(w, v->u.text, v->v.nbytes);
    put_op(w, 0x85);
    put_op(w, 0x52);
}

static int
put_type(struct writer *w, const nds_value *v)
{
    if (strcmp(v->u.symbol->name, "NoneType") == 0) {
        put_global(w, "builtins", "type");
        put_op(w, 0x4e);
        put_op(w, 0x85);
        put_op(w, 0x52);
    } else {
        put_global(w, v->u.symbol->module, v->u.symbol->name);
    }
    return 0;
}

static int
put_plain(struct writer *w, const nds_value *v)
{
    switch (v->kind) {
    case NDS_VALUE_NONE:
        put_op(w, 0x4e);
        return 0;
    case NDS_VALUE_BOOL:
        put_op(w, v->u.truth ? 0x88 : 0x89);
        return 0;
    case NDS_VALUE_INT:
        put_int(w, v->u.integer);
        return 0;
    case NDS_VALUE_BIGINT:
        put_bigint(w, v);
        return 0;
    case NDS_VALUE_FLOAT:
        put_float(w, v->u.re);
        return 0;
    case NDS_VALUE_COMPLEX:
        put_global(w, "builtins", "complex");
        put_float(w, v->u.re);
        put_float(w, v->v.im);
        put_op(w, 0x86);
        put_op(w, 0x52);
        return 0;
    case NDS_VALUE_STR:
        put_str(w, v->u.text, v->v.nbytes);
        return 0;
    case NDS_VALUE_BYTES:
        put_bytes(w, v->u.text, v->v.nbytes);
        return 0;
    case NDS_VALUE_BYTEARRAY:
        put_bytearray(w, v);
        return 0;
    case NDS_VALUE_ELLIPSIS:
        put_global(w, "builtins", "Ellipsis");
        return 0;
    case NDS_VALUE_NOTIMPLEMENTED:
        put_global(w, "builtins", "NotImplemented");
        return 0;
    default:
        return ndi_fail(NDS_EINVAL, "a value that cannot be pickled");
    }
}

static int
put(struct writer *w, const nds_value *v)
{
    int rc;

    if (w->depth >= NDI_PICKLE_DEPTH) {
        return ndi_fail(NDS_ELIMIT, "a value nested deeper than %d",
                        NDI_PICKLE_DEPTH);
    }
    w->depth++;
    switch (v->kind) {
    case NDS_VALUE_TUPLE:
        rc = put_tuple(w, v->items, v->count);
        break;
    case NDS_VALUE_LIST:
        rc = put_filled(w, v, 0x5d, 0x65);
        break;
    case NDS_VALUE_DICT:
        rc = put_filled(w, v, 0x7d, 0x75);
        break;
    case NDS_VALUE_SET:
        rc = put_filled(w, v, 0x8f, 0x90);
        break;
    case NDS_VALUE_FROZENSET:
        rc = put_frozenset(w, v);
        break;
    case NDS_VALUE_SLICE:
        rc = put_call(w, "builtins", "slice", v);
        break;
    case NDS_VALUE_RANGE:
        rc = put_call(w, "builtins", "range", v);
        break;
    case NDS_VALUE_EXCEPTION:
        rc = put_call(w, v->u.symbol->module, v->u.symbol->name, v);
        break;
    case NDS_VALUE_PROXY:
        rc = put_call(w, "multiprocessing.managers", "RebuildProxy", v);
        break;
    case NDS_VALUE_TOKEN:
        rc = put_token(w, v);
        break;
    case NDS_VALUE_ARRAY:
        rc = put_array(w, v->u.array);
        break;
    case NDS_VALUE_SCALAR:
        rc = put_scalar(w, v->u.array);
        break;
    case NDS_VALUE_DTYPE:
        rc = put_dtype(w, v->u.dtype);
        break;
    case NDS_VALUE_NAME:
        rc = put_name(w, v);
        break;
    case NDI_VALUE_CALL:
        rc = put_object(w, v);
        break;
    case NDS_VALUE_TYPE:
        rc = put_type(w, v);
        break;
    default:
        rc = put_plain(w, v);
        break;
    }
    w->depth--;
    return rc;
}

int
ndi_pickle_write(struct ndi_pickle *p, const nds_value *v, int protocol)
{
    struct writer w = {.p = p, .protocol = protocol};
    int rc;

    put_op(&w, 0x80);
    put_op(&w, protocol);
    rc = put(&w, v);
    put_op(&w, 0x2e);
    return rc < 0 ? rc : ndi_buf_ok(&p->bytes);
}

size_t
ndi_pickle_nbytes(const struct ndi_pickle *p)
{
    size_t n = p->bytes.nbytes;

    for (size_t i = 0; i < p->ngaps; i++) {
        n += p->gaps[i].nbytes;
    }
    return n;
}

int
ndi_pickle_pieces(const struct ndi_pickle *p, struct iovec **iov, int *count)
{
    size_t room = 2 * p->ngaps + 2;
    size_t done = 0;
    int n = 1;

    *iov = calloc(room, sizeof **iov);
    if (*iov == NULL) {
        return ndi_fail_nomem(room * sizeof **iov, "a pickle's pieces");
    }
    for (size_t i = 0; i < p->ngaps; i++) {
        (*iov)[n++] = (struct iovec){p->bytes.data + done,
                                     p->gaps[i].at - done};
        (*iov)[n++] = (struct iovec){(void *)p->gaps[i].data,
                                     p->gaps[i].nbytes};
        done = p->gaps[i].at;
    }
    (*iov)[n++] = (struct iovec){p->bytes.data + done,
                                 p->bytes.nbytes - done};
    *count = n;
    return 0;
}

void
ndi_pickle_fini(struct ndi_pickle *p)
{
    for (size_t i = 0; i < p->ngaps; i++) {
        nds_array_close(p->gaps[i].keep);
    }
    free(p->gaps);
    ndi_buf_fini(&p->bytes);
    *p = (struct ndi_pickle){0};
}
