/* SPDX-License-Identifier: MIT */
/*
 * py_parts.c - objects with large arrays inside, as one item
 *
 * The bytes of an item, all numbers little-endian 64-bit words:
 *
 *     0            bytes of the pickle
 *     8            count of parts
 *     16           of each part its offset from the item's start, its bytes
 *     16 + 16 * n  the pickle
 *     ...          the parts, each at a multiple of 64
 *
 * The pickle is of protocol 5; its n-th NEXT_BUFFER stands for the n-th part.
 */
#include "py_parts.h"
#include "py_plain.h"

#include <string.h>

#define ALIGN 64
#define HEAD 16
#define ENTRY 16
#define MOST (1u << 20) /* parts of one item */
#define BIG 65536 /* bytes; larger ones are copied without the GIL */

/* ---- in ----------------------------------------------------------------- */

struct py_parts *
py_parts_new(size_t count)
{
    struct py_parts *p = PyMem_Calloc(1, sizeof *p + count * sizeof p->part[0]);

    if (p == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    p->count = count;
    return p;
}

void
py_parts_free(struct py_parts *p)
{
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < p->count; i++) {
        Py_XDECREF(p->part[i].obj);
    }
    Py_XDECREF(p->keep);
    PyMem_Free(p);
}

int
py_parts_layout(struct py_parts *p)
{
    size_t at = HEAD + p->count * ENTRY + p->pickle_nbytes;

    for (size_t i = 0; i < p->count; i++) {
        at = (at + ALIGN - 1) / ALIGN * ALIGN;
        p->part[i].off = at;
        at += p->part[i].nbytes;
        if (at > PY_SSIZE_T_MAX / 2 || p->part[i].nbytes > at) {
            PyErr_SetString(PyExc_OverflowError, "too much for one item");
            return -1;
        }
    }
    p->nbytes = at;
    return 0;
}

static void
store(unsigned char *to, uint64_t n)
{
    for (int i = 0; i < 8; i++) {
        to[i] = (unsigned char)(n >> (8 * i));
    }
}

/* Bytes by the library, which uses all processors for many. */
static int
copy_bytes(void *to, const void *from, size_t nbytes)
{
    int64_t count = (int64_t)nbytes;
    nds_view dst, src;
    int rc;

    if (nbytes < BIG) {
        memcpy(to, from, nbytes);
        return 0;
    }
    Py_BEGIN_ALLOW_THREADS
    rc = nds_view_init(&dst, NDS_UINT8, to, nbytes, 1, &count);
    if (rc == 0) {
        rc = nds_view_init(&src, NDS_UINT8, (void *)from, nbytes, 1, &count);
        if (rc == 0) {
            rc = nds_assign(&dst, &src);
            nds_view_fini(&src);
        }
        nds_view_fini(&dst);
    }
    Py_END_ALLOW_THREADS
    if (rc < 0) {
        py_raise(rc);
    }
    return rc < 0 ? -1 : 0;
}

/* An array whose elements do not lie in one piece, or that has no buffer:
 * NumPy puts it into C order. */
static int
copy_array(struct py_state *st, void *to, const struct py_part *part)
{
    PyObject *memory = PyMemoryView_FromMemory(to, (Py_ssize_t)part->nbytes,
                                               PyBUF_WRITE);
    PyObject *shape = PyObject_GetAttrString(part->obj, "shape");
    PyObject *dtype = PyObject_GetAttr(part->obj, st->refs[PY_STR_DTYPE]);
    PyObject *args[3] = {shape, dtype, memory}, *dst = NULL;
    int rc = -1;

    if (memory != NULL && shape != NULL && dtype != NULL) {
        dst = PyObject_Vectorcall(st->refs[PY_NUMPY_NDARRAY], args, 3, NULL);
    }
    if (dst != NULL) {
        rc = PyObject_SetItem(dst, Py_Ellipsis, part->obj);
    }
    Py_XDECREF(dst);
    Py_XDECREF(dtype);
    Py_XDECREF(shape);
    Py_XDECREF(memory);
    return rc;
}

static int
copy_part(struct py_state *st, void *to, const struct py_part *part)
{
    Py_buffer b;
    int rc;

    if (PyObject_GetBuffer(part->obj, &b, PyBUF_ANY_CONTIGUOUS) < 0) {
        PyErr_Clear();
        return copy_array(st, to, part);
    }
    if ((size_t)b.len != part->nbytes) {
        PyErr_SetString(PyExc_BufferError, "an array changed its size while "
                        "it was being sent");
        rc = -1;
    } else {
        rc = copy_bytes(to, b.buf, part->nbytes);
    }
    PyBuffer_Release(&b);
    return rc;
}

/* All of the item's bytes. -1: an exception. */
static int
write_item(struct py_state *st, const struct py_parts *p, unsigned char *to)
{
    unsigned char *at = to + HEAD;
    int rc = 0;

    store(to, p->pickle_nbytes);
    store(to + 8, p->count);
    for (size_t i = 0; i < p->count; i++) {
        store(at, p->part[i].off);
        store(at + 8, p->part[i].nbytes);
        at += ENTRY;
    }
    memcpy(at, p->pickle, p->pickle_nbytes);
    at += p->pickle_nbytes;
    for (size_t i = 0; rc == 0 && i < p->count; i++) {
        memset(at, 0, (size_t)(to + p->part[i].off - at));
        at = to + p->part[i].off + p->part[i].nbytes;
        rc = copy_part(st, to + p->part[i].off, &p->part[i]);
    }
    return rc;
}

PyObject *
py_parts_bytes(struct py_state *st, const struct py_parts *p)
{
    PyObject *all = PyByteArray_FromStringAndSize(NULL,
                                                  (Py_ssize_t)p->nbytes);

    if (all != NULL &&
        write_item(st, p, (unsigned char *)PyByteArray_AS_STRING(all)) < 0) {
        Py_CLEAR(all);
    }
    return all;
}

struct moving {
    const struct py_loaning *loan;
    nds_array *array;
    const nds_tag *tag;
};

static int
move_slice(void *ctx, int64_t timeout_ns)
{
    struct moving *w = ctx;

    return w->loan->ops->move(w->loan->handle, &w->array, w->tag, timeout_ns);
}

/* More than the channel's memory holds crosses as a file. */
static int
put_as_file(struct py_state *st, const struct py_parts *p,
            const struct py_loaning *loan, const nds_tag *tag, bool once,
            int64_t deadline)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE,
                              .uninitialised = true};
    struct moving w = {loan, NULL, tag};
    int rc = nds_array_new(&w.array, loan->dtype, 1, loan->shape, &opts);

    if (rc == 0) {
        rc = write_item(st, p, nds_array_data(w.array)) < 0
                 ? PY_RAISED
                 : py_wait_or_try(move_slice, &w, once, deadline);
    }
    nds_array_close(w.array);
    return rc;
}

int
py_parts_put(struct py_state *st, const struct py_parts *p,
             const struct py_loan_ops *ops, void *handle, bool once,
             int64_t deadline)
{
    struct py_loaning w = {.ops = ops, .handle = handle, .dtype = NDS_UINT8,
                           .ndim = 1, .shape = {(int64_t)p->nbytes}};
    nds_tag tag = py_item_tag(PY_ITEM_PARTS);
    int rc = py_wait_or_try(py_loan_slice, &w, once, deadline);

    if (rc == NDS_ELIMIT) {
        return put_as_file(st, p, &w, &tag, once, deadline);
    }
    if (rc != 0) {
        return rc;
    }
    if (write_item(st, p, nds_array_data(w.array)) < 0) {
        rc = PY_RAISED;
    } else {
        Py_BEGIN_ALLOW_THREADS
        rc = ops->publish(handle, &w.array, &tag);
        Py_END_ALLOW_THREADS
    }
    if (w.array != NULL) {
        ops->discard(handle, &w.array);
    }
    return rc;
}

/* ---- out ---------------------------------------------------------------- */

static uint64_t
load(const unsigned char *from)
{
    uint64_t n = 0;

    for (int i = 0; i < 8; i++) {
        n |= (uint64_t)from[i] << (8 * i);
    }
    return n;
}

static PyObject *
malformed(struct py_state *st)
{
    PyErr_SetString(st->refs[PY_UNPICKLING_ERROR],
                    "an item with arrays whose parts are not where it says");
    return NULL;
}

/* Slices of `whole`, one for each part. */
static PyObject *
buffers_of(struct py_state *st, PyObject *whole, const unsigned char *data,
           size_t nbytes, size_t count)
{
    PyObject *list = PyList_New((Py_ssize_t)count);

    for (size_t i = 0; list != NULL && i < count; i++) {
        uint64_t off = load(data + HEAD + i * ENTRY);
        uint64_t n = load(data + HEAD + i * ENTRY + 8);
        PyObject *one;

        if (off > nbytes || n > nbytes - off) {
            Py_DECREF(list);
            return malformed(st);
        }
        one = PySequence_GetSlice(whole, (Py_ssize_t)off,
                                  (Py_ssize_t)(off + n));
        if (one == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SET_ITEM(list, (Py_ssize_t)i, one);
        }
    }
    return list;
}

static PyObject *
load_pickle(struct py_state *st, PyObject *whole, const unsigned char *at,
            size_t off, size_t nbytes, PyObject *buffers)
{
    PyObject *obj = py_plain_read(st, at, nbytes, buffers);
    PyObject *args[2] = {NULL, buffers};

    if (obj != NULL) {
        return obj;
    }
    args[0] = PySequence_GetSlice(whole, (Py_ssize_t)off,
                                  (Py_ssize_t)(off + nbytes));
    if (args[0] != NULL) {
        obj = PyObject_Vectorcall(st->refs[PY_LOADS], args, 1,
                                  st->refs[PY_BUFFERS]);
        Py_DECREF(args[0]);
    }
    return obj;
}

PyObject *
py_parts_read(struct py_state *st, nds_array *a)
{
    const unsigned char *data = nds_array_data(a);
    size_t nbytes = (size_t)nds_view_nbytes(nds_array_view(a));
    PyObject *whole = py_memory_over(st, a), *buffers, *obj = NULL;
    uint64_t pickled, count;
    size_t off;

    if (whole == NULL) {
        return NULL;
    }
    pickled = nbytes < HEAD ? 0 : load(data);
    count = nbytes < HEAD ? MOST : load(data + 8);
    if (count >= MOST || count * ENTRY > nbytes - HEAD ||
        pickled > nbytes - HEAD - count * ENTRY) {
        Py_DECREF(whole);
        return malformed(st);
    }
    off = HEAD + (size_t)count * ENTRY;
    buffers = buffers_of(st, whole, data, nbytes, (size_t)count);
    if (buffers != NULL) {
        obj = load_pickle(st, whole, data + off, off, (size_t)pickled,
                          buffers);
        Py_DECREF(buffers);
    }
    Py_DECREF(whole);
    return obj;
}
