/* SPDX-License-Identifier: MIT */
/*
 * py_plain.c - small plain objects as pickles, without the pickle module
 *
 * The pickle module makes an object, a memo and a buffer for every message,
 * which takes longer than to put the message into shared memory. Without a
 * memo an object that is in two places would arrive as two. For atoms that is
 * nothing anybody sees; a container is written only if a single reference to
 * it exists, its place in another one, or if it is a tuple of such atoms all
 * the way down. Then nothing can hold itself either.
 */
#include "py_plain.h"

#include <stdbool.h>
#include <string.h>

#define DEPTH 24
#define MOST 512 /* objects on the reader's stack */

enum op {
    MARK = '(',
    STOP = '.',
    BININT = 'J',
    BININT1 = 'K',
    BININT2 = 'M',
    NONE = 'N',
    BINUNICODE = 'X',
    APPEND = 'a',
    APPENDS = 'e',
    SETITEM = 's',
    SETITEMS = 'u',
    TUPLE = 't',
    BINBYTES = 'B',
    SHORT_BINBYTES = 'C',
    BINFLOAT = 'G',
    EMPTY_DICT = '}',
    EMPTY_LIST = ']',
    EMPTY_TUPLE = ')',
    PROTO = 0x80,
    TUPLE1 = 0x85,
    TUPLE2 = 0x86,
    TUPLE3 = 0x87,
    NEWTRUE = 0x88,
    NEWFALSE = 0x89,
    LONG1 = 0x8a,
    SHORT_BINUNICODE = 0x8c,
};

/* ---- writing ------------------------------------------------------------ */

struct writer {
    unsigned char *at;
    size_t left;
    int depth;
    bool shared; /* inside a tuple that has other references */
};

static bool put(struct writer *w, PyObject *obj);

static bool
put_op(struct writer *w, enum op op)
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
put_number(struct writer *w, enum op op, uint64_t n, int width)
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
put_run(struct writer *w, enum op short_op, enum op op, const char *data,
        Py_ssize_t n)
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
put_int(struct writer *w, PyObject *obj)
{
    int overflow;
    long long n = PyLong_AsLongLongAndOverflow(obj, &overflow);

    if (overflow != 0) {
        return false;
    }
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
    return put_op(w, n == 1 ? TUPLE1 : n == 2 ? TUPLE2 : n == 3 ? TUPLE3
                                                               : TUPLE);
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
    return put_container(w, obj);
}

size_t
py_plain_write(PyObject *obj, unsigned char *to, size_t room)
{
    struct writer w = {to, room, 0, false};

    if (!put_number(&w, PROTO, 4, 1) || !put(&w, obj) || !put_op(&w, STOP)) {
        return 0;
    }
    return (size_t)(w.at - to);
}

/* ---- reading ------------------------------------------------------------ */

struct reader {
    const unsigned char *at;
    size_t left;
    PyObject *stack[MOST]; /* NULL is a mark */
    int count;
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
        return false;
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
py_plain_read(const unsigned char *from, size_t nbytes)
{
    struct reader r;
    PyObject *obj = NULL;
    bool good;

    r.at = from;
    r.left = nbytes;
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
