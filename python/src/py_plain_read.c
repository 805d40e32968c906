/* SPDX-License-Identifier: MIT */
/*
 * py_plain_read.c - pickles of small plain objects, read without the module
 *
 * Whatever is not of the few opcodes that py_plain_write.c writes, or does not
 * add up, is left to pickle.loads, which then says what is wrong with it.
 */
#include "py_plain.h"

#include <stdbool.h>
#include <string.h>

#define MOST 512 /* objects on the stack */

struct reader {
    const unsigned char *at;
    size_t left;
    struct py_state *st;
    PyObject *buffers; /* or NULL */
    Py_ssize_t buffers_used;
    int count;
    PyObject *stack[MOST]; /* NULL is a mark */
};

/* The new reference obj becomes the top; false if it is NULL. */
static bool
push(struct reader *r, PyObject *obj)
{
    if (obj != NULL && r->count < MOST) {
        r->stack[r->count++] = obj;
        return true;
    }
    Py_XDECREF(obj);
    return false;
}

static bool
push_mark(struct reader *r)
{
    if (r->count == MOST) {
        return false;
    }
    r->stack[r->count++] = NULL;
    return true;
}

static const unsigned char *
take(struct reader *r, size_t n)
{
    const unsigned char *at = r->at;

    if (n > r->left) {
        return NULL;
    }
    r->at += n;
    r->left -= n;
    return at;
}

static bool
take_number(struct reader *r, int width, uint64_t *n)
{
    const unsigned char *at = take(r, (size_t)width);

    *n = 0;
    for (int i = 0; at != NULL && i < width; i++) {
        *n |= (uint64_t)at[i] << (8 * i);
    }
    return at != NULL;
}

static bool
push_int(struct reader *r, int width)
{
    uint64_t n;

    return take_number(r, width, &n) &&
           push(r, PyLong_FromLongLong(width == 4 ? (int32_t)(uint32_t)n
                                                  : (int64_t)n));
}

static bool
push_float(struct reader *r)
{
    uint64_t bits, swapped = 0;
    double x;

    if (!take_number(r, 8, &bits)) {
        return false;
    }
    for (int i = 0; i < 8; i++) {
        swapped = swapped << 8 | (bits >> (8 * i) & 0xff);
    }
    memcpy(&x, &swapped, sizeof x);
    return push(r, PyFloat_FromDouble(x));
}

static bool
push_run(struct reader *r, int width, bool text)
{
    const unsigned char *at;
    uint64_t n;

    if (!take_number(r, width, &n) || (at = take(r, n)) == NULL) {
        return false;
    }
    return push(r, text ? PyUnicode_DecodeUTF8((const char *)at,
                                               (Py_ssize_t)n, NULL)
                        : PyBytes_FromStringAndSize((const char *)at,
                                                    (Py_ssize_t)n));
}

/* Where what stands above the last mark begins; -1: there is none. */
static int
above_mark(const struct reader *r)
{
    int i = r->count - 1;

    while (i >= 0 && r->stack[i] != NULL) {
        i--;
    }
    return i < 0 ? -1 : i + 1;
}

static bool
make_tuple(struct reader *r, int first, bool mark)
{
    int n = r->count - first;
    PyObject *tuple;

    for (int i = 0; i < n; i++) {
        if (first < 0 || r->stack[first + i] == NULL) {
            return false;
        }
    }
    tuple = first < 0 ? NULL : PyTuple_New(n);
    if (tuple == NULL) {
        return false;
    }
    for (int i = 0; i < n; i++) {
        PyTuple_SET_ITEM(tuple, i, r->stack[first + i]);
    }
    r->count = mark ? first - 1 : first;
    return push(r, tuple);
}

/* Puts all from `first` on into the container below them. */
static bool
fill(struct reader *r, int first, bool mark, bool dict)
{
    int below = mark ? first - 2 : first - 1;
    PyObject *into = below < 0 ? NULL : r->stack[below];
    int n = r->count - first, rc = 0;

    if (into == NULL || n <= 0 || (dict && n % 2 != 0) ||
        !(dict ? PyDict_CheckExact(into) : PyList_CheckExact(into))) {
        return false;
    }
    for (int i = first; rc == 0 && i < r->count; i += dict ? 2 : 1) {
        if (r->stack[i] == NULL || (dict && r->stack[i + 1] == NULL)) {
            return false;
        }
        rc = dict ? PyDict_SetItem(into, r->stack[i], r->stack[i + 1])
                  : PyList_Append(into, r->stack[i]);
    }
    while (r->count > below + 1) {
        Py_XDECREF(r->stack[--r->count]);
    }
    return rc == 0;
}

static bool
push_bytearray(struct reader *r)
{
    const unsigned char *at;
    uint64_t n;

    return take_number(r, 8, &n) && (at = take(r, n)) != NULL &&
           push(r, PyByteArray_FromStringAndSize((const char *)at,
                                                 (Py_ssize_t)n));
}

static bool
push_buffer(struct reader *r)
{
    return r->buffers != NULL &&
           r->buffers_used < PyList_GET_SIZE(r->buffers) &&
           push(r, Py_NewRef(PyList_GET_ITEM(r->buffers, r->buffers_used++)));
}

static bool
is_text(PyObject *obj, const char *text)
{
    return obj != NULL && PyUnicode_CheckExact(obj) &&
           PyUnicode_CompareWithASCIIString(obj, text) == 0;
}

/* numpy.ndarray, the only name. */
static bool
find_name(struct reader *r)
{
    PyObject **top = &r->stack[r->count];

    if (r->count < 2 || !is_text(top[-2], "numpy") ||
        !is_text(top[-1], "ndarray")) {
        return false;
    }
    Py_DECREF(top[-1]);
    Py_DECREF(top[-2]);
    r->count -= 2;
    return push(r, Py_NewRef(r->st->refs[PY_NUMPY_NDARRAY]));
}

static bool
make_array(struct reader *r)
{
    PyObject **top = &r->stack[r->count], *args[6], *dtype, *made;

    if (r->count < 2 || top[-2] != r->st->refs[PY_NUMPY_NDARRAY] ||
        top[-1] == NULL || !PyTuple_CheckExact(top[-1]) ||
        PyTuple_GET_SIZE(top[-1]) != 6 ||
        !PyUnicode_CheckExact(PyTuple_GET_ITEM(top[-1], 1))) {
        return false;
    }
    dtype = py_dtype_named(r->st, PyTuple_GET_ITEM(top[-1], 1));
    for (int i = 0; i < 6; i++) {
        args[i] = i == 1 ? dtype : PyTuple_GET_ITEM(top[-1], i);
    }
    made = dtype == NULL ? NULL : PyObject_Vectorcall(top[-2], args, 6, NULL);
    Py_XDECREF(dtype);
    Py_DECREF(top[-1]);
    Py_DECREF(top[-2]);
    r->count -= 2;
    return push(r, made);
}

static bool
read_array_op(struct reader *r, unsigned char op)
{
    switch (op) {
    case BYTEARRAY8:
        return push_bytearray(r);
    case NEXT_BUFFER:
        return push_buffer(r);
    case STACK_GLOBAL:
        return find_name(r);
    case REDUCE:
        return make_array(r);
    default:
        return false;
    }
}

static bool
read_atom(struct reader *r, unsigned char op)
{
    switch (op) {
    case BINUNICODE:
        return push_run(r, 4, true);
    case SHORT_BINUNICODE:
        return push_run(r, 1, true);
    case BININT:
        return push_int(r, 4);
    case BININT1:
        return push_int(r, 1);
    case BININT2:
        return push_int(r, 2);
    case LONG1:
        return r->left > 0 && *take(r, 1) == 8 && push_int(r, 8);
    case BINFLOAT:
        return push_float(r);
    case NONE:
        return push(r, Py_NewRef(Py_None));
    case NEWTRUE:
        return push(r, Py_NewRef(Py_True));
    case NEWFALSE:
        return push(r, Py_NewRef(Py_False));
    case BINBYTES:
        return push_run(r, 4, false);
    case SHORT_BINBYTES:
        return push_run(r, 1, false);
    default:
        return read_array_op(r, op);
    }
}

static bool
read_op(struct reader *r, unsigned char op)
{
    switch (op) {
    case MARK:
        return push_mark(r);
    case EMPTY_DICT:
        return push(r, PyDict_New());
    case SETITEM:
        return fill(r, r->count - 2, false, true);
    case SETITEMS:
        return fill(r, above_mark(r), true, true);
    case EMPTY_LIST:
        return push(r, PyList_New(0));
    case APPEND:
        return fill(r, r->count - 1, false, false);
    case APPENDS:
        return fill(r, above_mark(r), true, false);
    case EMPTY_TUPLE:
        return push(r, PyTuple_New(0));
    case TUPLE1:
    case TUPLE2:
    case TUPLE3:
        return make_tuple(r, r->count - (op - TUPLE1 + 1), false);
    case TUPLE:
        return make_tuple(r, above_mark(r), true);
    default:
        return read_atom(r, op);
    }
}

PyObject *
py_plain_read(struct py_state *st, const unsigned char *from, size_t nbytes,
              PyObject *buffers)
{
    struct reader r;
    PyObject *obj = NULL;
    bool good;

    r.at = from;
    r.left = nbytes;
    r.st = st;
    r.buffers = buffers;
    r.buffers_used = 0;
    r.count = 0;
    good = nbytes > 2 && from[0] == PROTO && from[1] <= 5;
    r.at += good ? 2 : 0;
    r.left -= good ? 2 : 0;
    while (good && r.left > 0 && *r.at != STOP) {
        good = read_op(&r, *take(&r, 1));
    }
    if (good && r.left > 0 && r.count == 1) {
        obj = r.stack[0];
        r.count = 0;
    }
    while (r.count > 0) {
        Py_XDECREF(r.stack[--r.count]);
    }
    PyErr_Clear();
    return obj;
}
