/* SPDX-License-Identifier: MIT */
/*
 * py_plain_write.c - small plain objects as pickles, without the pickle module
 *
 * The pickle module makes an object, a memo and a buffer for every message,
 * which takes longer than to put the message into shared memory. Without a
 * memo an object that is in two places would arrive as two. For atoms that is
 * nothing anybody sees; a container is written only if a single reference to
 * it exists, its place in another one, or if it is a tuple of such atoms all
 * the way down. Then nothing can hold itself either. An array that comes a
 * second time is seen.
 *
 * Arrays are numpy.ndarray(shape, dtype, buffer, 0, None, order), as the
 * library's own pickles have them.
 */
#include "py_plain.h"
#include "py_parts.h"

#include <stdbool.h>
#include <string.h>

#define DEPTH 24

struct writer {
    unsigned char *at;
    size_t left;
    int depth;
    bool shared; /* inside a tuple that has other references */
    struct py_state *st;
    struct py_plain_arrays *arrays;
    int seen_count;
    PyObject *seen[PY_PLAIN_ARRAYS]; /* arrays of any size */
};

static bool put(struct writer *w, PyObject *obj);

static bool
put_op(struct writer *w, enum py_plain_op op)
{
    if (w->left < 1) {
        return false;
    }
    *w->at++ = (unsigned char)op;
    w->left--;
    return true;
}

/* An opcode and a little-endian number of `width` bytes. */
static bool
put_number(struct writer *w, enum py_plain_op op, uint64_t n, int width)
{
    if (w->left < 1 + (size_t)width) {
        return false;
    }
    *w->at++ = (unsigned char)op;
    for (int i = 0; i < width; i++) {
        *w->at++ = (unsigned char)(n >> (8 * i));
    }
    w->left -= 1 + (size_t)width;
    return true;
}

static bool
put_run(struct writer *w, enum py_plain_op short_op, enum py_plain_op op,
        const char *data, Py_ssize_t n)
{
    if ((size_t)n > w->left ||
        !(n < 256 ? put_number(w, short_op, (uint64_t)n, 1)
                  : put_number(w, op, (uint64_t)n, 4)) ||
        (size_t)n > w->left) {
        return false;
    }
    memcpy(w->at, data, (size_t)n);
    w->at += n;
    w->left -= (size_t)n;
    return true;
}

static bool
put_str(struct writer *w, PyObject *obj)
{
    Py_ssize_t n;
    const char *text = PyUnicode_AsUTF8AndSize(obj, &n);

    if (text == NULL) { // lone surrogates
        PyErr_Clear();
        return false;
    }
    return put_run(w, SHORT_BINUNICODE, BINUNICODE, text, n);
}

static bool
put_long_long(struct writer *w, long long n)
{
    if (n >= 0 && n < 256) {
        return put_number(w, BININT1, (uint64_t)n, 1);
    }
    if (n >= 0 && n < 65536) {
        return put_number(w, BININT2, (uint64_t)n, 2);
    }
    if (n >= INT32_MIN && n <= INT32_MAX) {
        return put_number(w, BININT, (uint64_t)n, 4);
    }
    if (!put_number(w, LONG1, 8, 1) || w->left < 8) {
        return false;
    }
    for (int i = 0; i < 8; i++) {
        *w->at++ = (unsigned char)((uint64_t)n >> (8 * i));
    }
    w->left -= 8;
    return true;
}

static bool
put_int(struct writer *w, PyObject *obj)
{
    int overflow;
    long long n = PyLong_AsLongLongAndOverflow(obj, &overflow);

    return overflow == 0 && put_long_long(w, n);
}

static bool
put_float(struct writer *w, PyObject *obj)
{
    double x = PyFloat_AS_DOUBLE(obj);
    uint64_t bits, swapped = 0;

    memcpy(&bits, &x, sizeof bits);
    for (int i = 0; i < 8; i++) { // big-endian, alone in this
        swapped = swapped << 8 | (bits >> (8 * i) & 0xff);
    }
    return put_number(w, BINFLOAT, swapped, 8);
}

static bool
put_bytes(struct writer *w, const void *data, size_t n)
{
    if (n > w->left) {
        return false;
    }
    memcpy(w->at, data, n);
    w->at += n;
    w->left -= n;
    return true;
}

/* NumPy's name of a type in native order; NULL: not one of these. */
static const char *
dtype_of(const Py_buffer *b)
{
    static const char codes[] = "?bBhHiIlLqQefd";
    static const char names[][4] = {"|b1", "|i1", "|u1", "<i2", "<u2",
                                    "<i4", "<u4", "<i8", "<u8", "<i8",
                                    "<u8", "<f2", "<f4", "<f8"};
    const char *code = b->format == NULL || b->format[0] == '\0' ||
                               b->format[1] != '\0'
                           ? NULL : strchr(codes, b->format[0]);

    return code == NULL ? NULL : names[code - codes];
}

static bool
put_shape(struct writer *w, const Py_buffer *b)
{
    if (b->ndim > 3 && !put_op(w, MARK)) {
        return false;
    }
    for (int i = 0; i < b->ndim; i++) {
        if (!put_long_long(w, b->shape[i])) {
            return false;
        }
    }
    return put_op(w, b->ndim == 0 ? EMPTY_TUPLE
                     : b->ndim > 3 ? TUPLE
                                   : (enum py_plain_op)(TUPLE1 + b->ndim - 1));
}

/* The elements, or their place. */
static bool
put_elements(struct writer *w, PyObject *obj, const Py_buffer *b)
{
    struct py_plain_arrays *arrays = w->arrays;
    size_t nbytes = (size_t)b->len;

    if (nbytes < PY_PART_LEAST) {
        return put_number(w, BYTEARRAY8, nbytes, 8) &&
               put_bytes(w, b->buf, nbytes);
    }
    if (!put_op(w, NEXT_BUFFER)) {
        return false;
    }
    arrays->at[arrays->count].obj = obj;
    arrays->at[arrays->count++].nbytes = nbytes;
    return true;
}

static bool
put_exported(struct writer *w, PyObject *obj, const Py_buffer *b)
{
    static const char callable[] = "\x8c\x05numpy\x8c\x07ndarray\x93(";
    const char *dtype = dtype_of(b);
    bool c = PyBuffer_IsContiguous(b, 'C') != 0;

    return dtype != NULL && (c || PyBuffer_IsContiguous(b, 'F')) &&
           put_bytes(w, callable, sizeof callable - 1) && put_shape(w, b) &&
           put_run(w, SHORT_BINUNICODE, BINUNICODE, dtype, 3) &&
           put_elements(w, obj, b) &&
           put_bytes(w, c ? "K\0N\x8c\1CtR" : "K\0N\x8c\1FtR", 8);
}

static bool
put_array(struct writer *w, PyObject *obj)
{
    Py_buffer b;
    bool done;

    for (int i = 0; i < w->seen_count; i++) {
        if (w->seen[i] == obj) {
            return false;
        }
    }
    if (w->seen_count == PY_PLAIN_ARRAYS ||
        PyObject_GetBuffer(obj, &b, PyBUF_FORMAT | PyBUF_STRIDES) < 0) {
        PyErr_Clear();
        return false;
    }
    w->seen[w->seen_count++] = obj;
    done = put_exported(w, obj, &b);
    PyBuffer_Release(&b);
    return done;
}

static bool
put_tuple(struct writer *w, PyObject *obj)
{
    Py_ssize_t n = PyTuple_GET_SIZE(obj);

    if (n == 0) {
        return put_op(w, EMPTY_TUPLE);
    }
    if (n > 3 && !put_op(w, MARK)) {
        return false;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        if (!put(w, PyTuple_GET_ITEM(obj, i))) {
            return false;
        }
    }
    return put_op(w, n == 1 ? TUPLE1 : n == 2 ? TUPLE2
                     : n == 3 ? TUPLE3 : TUPLE);
}

static bool
put_list(struct writer *w, PyObject *obj)
{
    Py_ssize_t n = PyList_GET_SIZE(obj);

    if (!put_op(w, EMPTY_LIST) || (n > 1 && !put_op(w, MARK))) {
        return false;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        if (!put(w, PyList_GET_ITEM(obj, i))) {
            return false;
        }
    }
    return n == 0 || put_op(w, n == 1 ? APPEND : APPENDS);
}

static bool
put_dict(struct writer *w, PyObject *obj)
{
    Py_ssize_t n = PyDict_GET_SIZE(obj), at = 0;
    PyObject *key, *value;

    if (!put_op(w, EMPTY_DICT) || (n > 1 && !put_op(w, MARK))) {
        return false;
    }
    while (PyDict_Next(obj, &at, &key, &value)) {
        if (!put(w, key) || !put(w, value)) {
            return false;
        }
    }
    return n == 0 || put_op(w, n == 1 ? SETITEM : SETITEMS);
}

static bool
put_container(struct writer *w, PyObject *obj)
{
    bool before = w->shared, done = false;

    if (w->depth > 0 && Py_REFCNT(obj) != 1) {
        w->shared = true;
    }
    if (w->depth++ == DEPTH) {
        return false;
    }
    if (PyTuple_CheckExact(obj)) {
        done = put_tuple(w, obj);
    } else if (!w->shared && PyDict_CheckExact(obj)) {
        done = put_dict(w, obj);
    } else if (!w->shared && PyList_CheckExact(obj)) {
        done = put_list(w, obj);
    }
    w->depth--;
    w->shared = before;
    return done;
}

static bool
put(struct writer *w, PyObject *obj)
{
    if (PyUnicode_CheckExact(obj)) {
        return put_str(w, obj);
    }
    if (PyLong_CheckExact(obj)) {
        return put_int(w, obj);
    }
    if (PyFloat_CheckExact(obj)) {
        return put_float(w, obj);
    }
    if (obj == Py_None) {
        return put_op(w, NONE);
    }
    if (PyBool_Check(obj)) {
        return put_op(w, obj == Py_True ? NEWTRUE : NEWFALSE);
    }
    if (PyBytes_CheckExact(obj)) {
        return put_run(w, SHORT_BINBYTES, BINBYTES, PyBytes_AS_STRING(obj),
                       PyBytes_GET_SIZE(obj));
    }
    if (Py_TYPE(obj) == (PyTypeObject *)w->st->refs[PY_NUMPY_NDARRAY]) {
        return put_array(w, obj);
    }
    return put_container(w, obj);
}

size_t
py_plain_write(struct py_state *st, PyObject *obj, unsigned char *to,
               size_t room, struct py_plain_arrays *arrays)
{
    struct writer w;

    w.at = to;
    w.left = room;
    w.depth = 0;
    w.shared = false;
    w.st = st;
    w.arrays = arrays;
    w.seen_count = 0;
    arrays->count = 0;
    if (!put_number(&w, PROTO, 5, 1) || !put(&w, obj) || !put_op(&w, STOP)) {
        return 0;
    }
    return (size_t)(w.at - to);
}
