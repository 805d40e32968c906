/* SPDX-License-Identifier: MIT */
/*
 * py_pipe.c - ndshare._core.Pipe: one end, with multiprocessing's Connection
 * in mind
 *
 * Messages are items. send_bytes marks its own, for recv of multiprocessing
 * takes them for pickles.
 */
#include "py_parts.h"
#include "py_plain.h"
#include "py_shared.h"

#include <string.h>

struct end {
    struct py_shared s;
    bool readable, writable;
    bool pickles;
};

static void
close_pipe(void *handle)
{
    nds_pipe_close(handle);
}

static const struct py_kind pipe_kind = {"pipe", "Connection", close_pipe,
                                         NULL};

static PyObject *
pipe_new(PyTypeObject *type, PyObject *args, PyObject *kwds)
{
    PyObject *self = py_shared_new(type, &pipe_kind);

    (void)args;
    (void)kwds;
    if (self != NULL) {
        ((struct end *)self)->pickles = true;
    }
    return self;
}

static nds_pipe *
enter(PyObject *self)
{
    const struct end *e = (struct end *)self;

    if (e->s.handle == NULL || e->s.closed) {
        PyErr_SetString(PyExc_OSError, "handle is closed");
        return NULL;
    }
    return py_shared_enter(self);
}

static nds_pipe *
enter_to(PyObject *self, bool send)
{
    const struct end *e = (struct end *)self;
    nds_pipe *p = enter(self);

    if (p != NULL && !(send ? e->writable : e->readable)) {
        py_shared_leave(self);
        PyErr_SetString(PyExc_OSError, send ? "connection is read-only"
                                            : "connection is write-only");
        return NULL;
    }
    return p;
}

PyDoc_STRVAR(create_doc,
"_create(other, duplex, max_items, max_bytes): this end and the other one.");

static PyObject *
pipe_create(PyObject *self, PyObject *args)
{
    nds_pipe_options opts = {.size = sizeof opts};
    struct end *e = (struct end *)self, *o;
    nds_pipe *a = NULL, *b = NULL;
    unsigned long long max_bytes;
    PyObject *other;
    int duplex, rc;

    if (!PyArg_ParseTuple(args, "O!pIK:_create", Py_TYPE(self), &other,
                          &duplex, &opts.max_items, &max_bytes)) {
        return NULL;
    }
    o = (struct end *)other;
    opts.duplex = duplex != 0;
    opts.max_bytes = max_bytes;
    Py_BEGIN_ALLOW_THREADS
    rc = nds_pipe_new(&a, &b, &opts);
    Py_END_ALLOW_THREADS
    if (py_shared_made(self, a, rc) < 0) {
        nds_pipe_close(b);
        return NULL;
    }
    if (py_shared_made(other, b, rc) < 0) {
        return NULL;
    }
    e->readable = o->writable = true;
    e->writable = o->readable = opts.duplex;
    Py_RETURN_NONE;
}

static PyObject *
pipe_set(PyObject *self, PyObject *args)
{
    struct end *e = (struct end *)self;
    int readable, writable, pickles;

    if (!PyArg_ParseTuple(args, "ppp:_set", &readable, &writable, &pickles)) {
        return NULL;
    }
    e->readable = readable != 0;
    e->writable = writable != 0;
    e->pickles = pickles != 0;
    Py_RETURN_NONE;
}

/* ---- in place ---------------------------------------------------------- */

static int
publish(void *p, nds_array **a, const nds_tag *tag)
{
    return nds_pipe_publish(p, a, tag);
}

static void
discard(void *p, nds_array **a)
{
    nds_pipe_discard(p, a);
}

static int
loan(void *p, nds_array **a, const nds_dtype *dtype, int ndim,
     const int64_t *shape, int64_t timeout_ns)
{
    return nds_pipe_loan(p, a, dtype, ndim, shape, timeout_ns);
}

static int
move(void *p, nds_array **a, const nds_tag *tag, int64_t timeout_ns)
{
    return nds_pipe_send_move(p, a, tag, timeout_ns);
}

static const struct py_loan_ops loan_ops = {publish, discard, NULL, loan,
                                            move};

/* ---- send --------------------------------------------------------------- */

struct sending {
    nds_pipe *p;
    struct py_item *it;
    bool move;
};

static int
send_slice(void *ctx, int64_t timeout_ns)
{
    const struct sending *w = ctx;
    struct py_item *it = w->it;

    return w->move && it->array != NULL
               ? nds_pipe_send_move(w->p, &it->array, &it->tag, timeout_ns)
               : nds_pipe_send(w->p, it->array, &it->tag, timeout_ns);
}

/* Finishes the item. */
static PyObject *
send_item(PyObject *self, struct py_item *it, int rc, bool move)
{
    struct py_state *st = ((struct end *)self)->s.st;
    struct sending w = {NULL, it, move};

    if (rc == 0 && (w.p = enter_to(self, true)) != NULL) {
        rc = it->parts != NULL
                 ? py_parts_put(st, it->parts, &loan_ops, w.p, false,
                                NDS_FOREVER)
                 : py_wait(send_slice, &w, NDS_FOREVER);
        py_shared_leave(self);
        if (rc < 0) {
            py_raise_chan(rc);
        }
    }
    py_item_fini(it);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(send_doc,
"send($self, obj, *, move=False, tag=None)\n"
"--\n"
"\n"
"Send an object. Arrays and None cross as they are, anything else is\n"
"pickled; `move` and `tag` are as for Queue.put.\n");

static PyObject *
pipe_send(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    static const char *const names[] = {"obj", "move", "tag", NULL};
    struct py_state *st = ((struct end *)self)->s.st;
    unsigned char room[PY_PLAIN_ROOM];
    struct py_scratch scratch = {room, sizeof room};
    PyObject *given[3], *done;
    struct py_item it;
    int moves, rc;

    if (py_args("send", args, nargs, kwnames, names, 1, given) < 0) {
        return NULL;
    }
    moves = given[1] == NULL ? 0 : PyObject_IsTrue(given[1]);
    if (moves < 0) {
        return NULL;
    }
    if (enter_to(self, true) == NULL) { // before the work of pickling
        return NULL;
    }
    rc = py_item_from(st, given[0], &scratch, &it);
    if (rc == 0 && moves && Py_TYPE(given[0]) != (PyTypeObject *)st->ndarray) {
        PyErr_SetString(PyExc_TypeError, "only an ndshare array can be moved");
        rc = -1;
    }
    if (rc == 0) {
        rc = py_item_set_tag(&it, given[2]);
    }
    done = send_item(self, &it, rc, moves);
    py_shared_leave(self);
    if (done != NULL && moves && py_let_go(st, given[0]) < 0) {
        Py_CLEAR(done);
    }
    return done;
}

PyDoc_STRVAR(send_bytes_doc,
"send_bytes($self, buf, offset=0, size=None)\n"
"--\n"
"\n"
"Send the bytes of anything with the buffer protocol.\n");

static PyObject *
pipe_send_bytes(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                PyObject *kwnames)
{
    static const char *const names[] = {"buf", "offset", "size", NULL};
    struct py_item it = {.array = NULL};
    Py_ssize_t off = 0, size = PY_SSIZE_T_MIN;
    PyObject *given[3];

    if (py_args("send_bytes", args, nargs, kwnames, names, 1, given) < 0) {
        return NULL;
    }
    if (given[1] != NULL) {
        off = PyNumber_AsSsize_t(given[1], PyExc_OverflowError);
    }
    if (given[2] != NULL && given[2] != Py_None) {
        size = PyNumber_AsSsize_t(given[2], PyExc_OverflowError);
    }
    if (PyErr_Occurred()) {
        return NULL;
    }
    return send_item(self, &it,
                     py_item_from_buffer(given[0], off, size, PY_ITEM_RAW,
                                         &it), false);
}

/* ---- receive ------------------------------------------------------------ */

struct receiving {
    nds_pipe *p;
    nds_array *array;
    nds_tag tag;
};

static int
recv_slice(void *ctx, int64_t timeout_ns)
{
    struct receiving *w = ctx;

    return nds_pipe_recv(w->p, &w->array, &w->tag, timeout_ns);
}

static int
receive(PyObject *self, struct receiving *w)
{
    int rc;

    w->array = NULL;
    w->p = enter_to(self, false);
    if (w->p == NULL) {
        return -1;
    }
    rc = py_wait(recv_slice, w, NDS_FOREVER);
    py_shared_leave(self);
    if (rc < 0) {
        py_raise_chan(rc);
    }
    return rc != 0 ? -1 : 0;
}

static PyObject *
pipe_recv(PyObject *self, PyObject *unused)
{
    const struct end *e = (struct end *)self;
    struct receiving w;

    (void)unused;
    if (receive(self, &w) < 0) {
        return NULL;
    }
    if (py_item_what(w.array, &w.tag) == PY_ITEM_RAW) {
        w.tag.bytes[3] = PY_ITEM_PICKLE; // what it must have been
    }
    return py_item_to(e->s.st, w.array, &w.tag, e->pickles);
}

/* The message as bytes: what send_bytes sent, or what send made of an
 * object. */
static PyObject *
message(PyObject *self, struct receiving *w)
{
    struct py_state *st = ((struct end *)self)->s.st;
    PyObject *obj, *bytes;

    switch (py_item_what(w->array, &w->tag)) {
    case PY_ITEM_RAW:
    case PY_ITEM_PICKLE:
        return py_item_bytes(w->array);
    default:
        obj = py_item_to(st, w->array, &w->tag, ((struct end *)self)->pickles);
        break;
    }
    bytes = obj == NULL ? NULL
                        : PyObject_CallOneArg(st->refs[PY_DUMPS], obj);
    Py_XDECREF(obj);
    return bytes;
}

PyDoc_STRVAR(recv_bytes_doc,
"recv_bytes($self, maxlength=None)\n"
"--\n"
"\n"
"A message as bytes. OSError if it is longer than maxlength.\n");

static PyObject *
pipe_recv_bytes(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                PyObject *kwnames)
{
    static const char *const names[] = {"maxlength", NULL};
    PyObject *most, *bytes;
    Py_ssize_t room = PY_SSIZE_T_MAX;
    struct receiving w;

    if (py_args("recv_bytes", args, nargs, kwnames, names, 0, &most) < 0) {
        return NULL;
    }
    if (most != NULL && most != Py_None) {
        room = PyNumber_AsSsize_t(most, PyExc_OverflowError);
        if (room < 0 && !PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "negative maxlength");
        }
        if (room < 0) {
            return NULL;
        }
    }
    if (receive(self, &w) < 0) {
        return NULL;
    }
    bytes = message(self, &w);
    if (bytes != NULL && PyBytes_GET_SIZE(bytes) > room) {
        Py_CLEAR(bytes);
        PyErr_SetString(PyExc_OSError, "bad message length");
    }
    return bytes;
}

PyDoc_STRVAR(recv_bytes_into_doc,
"recv_bytes_into($self, buf, offset=0)\n"
"--\n"
"\n"
"Receive a message into a writable buffer; returns its length.\n"
"multiprocessing.BufferTooShort, with the message, if it does not fit.\n");

static PyObject *
pipe_recv_bytes_into(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                     PyObject *kwnames)
{
    static const char *const names[] = {"buf", "offset", NULL};
    struct py_state *st = ((struct end *)self)->s.st;
    PyObject *given[2], *bytes = NULL;
    Py_ssize_t off = 0, n = -1;
    struct receiving w;
    Py_buffer into;

    if (py_args("recv_bytes_into", args, nargs, kwnames, names, 1, given) < 0) {
        return NULL;
    }
    if (given[1] != NULL) {
        off = PyNumber_AsSsize_t(given[1], PyExc_OverflowError);
    }
    if (PyErr_Occurred() ||
        PyObject_GetBuffer(given[0], &into, PyBUF_WRITABLE) < 0) {
        return NULL;
    }
    if (off < 0 || off > into.len) {
        PyErr_SetString(PyExc_ValueError, off < 0 ? "negative offset"
                                                  : "offset too large");
    } else if (receive(self, &w) == 0) {
        bytes = message(self, &w);
    }
    if (bytes != NULL && PyBytes_GET_SIZE(bytes) > into.len - off) {
        PyErr_SetObject(st->refs[PY_BUFFER_TOO_SHORT], bytes);
    } else if (bytes != NULL) {
        n = PyBytes_GET_SIZE(bytes);
        memcpy((char *)into.buf + off, PyBytes_AS_STRING(bytes), (size_t)n);
    }
    Py_XDECREF(bytes);
    PyBuffer_Release(&into);
    return n < 0 ? NULL : PyLong_FromSsize_t(n);
}

static int
poll_slice(void *ctx, int64_t timeout_ns)
{
    return nds_pipe_poll(ctx, timeout_ns);
}

PyDoc_STRVAR(poll_doc,
"poll($self, timeout=0.0)\n"
"--\n"
"\n"
"Whether there is something to receive (or the end), waiting at most so many\n"
"seconds; None waits for ever.\n");

static PyObject *
pipe_poll(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    static const char *const names[] = {"timeout", NULL};
    PyObject *timeout;
    int64_t deadline = 0;
    nds_pipe *p;
    int rc;

    if (py_args("poll", args, nargs, kwnames, names, 0, &timeout) < 0 ||
        (timeout != NULL && py_deadline(timeout, &deadline) < 0) ||
        (p = enter_to(self, false)) == NULL) {
        return NULL;
    }
    rc = py_wait_or_try(poll_slice, p, timeout == NULL, deadline);
    py_shared_leave(self);
    if (rc == PY_RAISED) {
        return NULL;
    }
    return rc < 0 && rc != NDS_ETIMEDOUT && rc != NDS_EAGAIN
               ? py_raise_chan(rc) : PyBool_FromLong(rc == 0);
}

/* ---- the rest ----------------------------------------------------------- */

static PyObject *
pipe_loan(PyObject *self, PyObject *args)
{
    struct py_loaning w = {.ops = &loan_ops};
    PyObject *shape, *dtype;
    int rc;

    if (!PyArg_ParseTuple(args, "OO:_loan", &shape, &dtype) ||
        py_loan_args(((struct end *)self)->s.st, shape, dtype, &w) < 0 ||
        (w.handle = enter_to(self, true)) == NULL) {
        return NULL;
    }
    rc = py_wait(py_loan_slice, &w, NDS_FOREVER);
    if (rc == 0) {
        return py_loan_new(self, &loan_ops, w.array, NULL);
    }
    py_shared_leave(self);
    return rc == PY_RAISED ? NULL : py_raise_chan(rc);
}

PyDoc_STRVAR(fileno_doc,
"fileno($self, /)\n"
"--\n"
"\n"
"A descriptor that is readable while there is something to receive, for\n"
"select and multiprocessing.connection.wait; nothing is read from it.\n");

static PyObject *
pipe_fileno(PyObject *self, PyObject *unused)
{
    nds_pipe *p = enter_to(self, false);
    int fd, rc;

    (void)unused;
    if (p == NULL) {
        return NULL;
    }
    rc = nds_pipe_fd(p, &fd);
    py_shared_leave(self);
    return rc < 0 ? py_raise(rc) : PyLong_FromLong(fd);
}

static PyObject *
pipe_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    py_shared_close(self);
    Py_RETURN_NONE;
}

static PyObject *
flag(PyObject *self, void *closure)
{
    const struct end *e = (struct end *)self;

    return PyBool_FromLong(closure != NULL ? e->writable : e->readable);
}

static PyMethodDef methods[] = {
    {"_create", pipe_create, METH_VARARGS, create_doc},
    {"_set", pipe_set, METH_VARARGS, "_set(readable, writable, pickles)"},
    {"_close", pipe_close, METH_NOARGS, "Drops the end."},
    {"_loan", pipe_loan, METH_VARARGS, "_loan(shape, dtype)"},
    {"send", PY_FAST(pipe_send), METH_FASTCALL | METH_KEYWORDS, send_doc},
    {"send_bytes", PY_FAST(pipe_send_bytes), METH_FASTCALL | METH_KEYWORDS,
     send_bytes_doc},
    {"recv", pipe_recv, METH_NOARGS,
     "recv($self, /)\n--\n\n"
     "The next object. EOFError when the other end is closed and all it sent\n"
     "has been received."},
    {"recv_bytes", PY_FAST(pipe_recv_bytes), METH_FASTCALL | METH_KEYWORDS,
     recv_bytes_doc},
    {"recv_bytes_into", PY_FAST(pipe_recv_bytes_into),
     METH_FASTCALL | METH_KEYWORDS, recv_bytes_into_doc},
    {"poll", PY_FAST(pipe_poll), METH_FASTCALL | METH_KEYWORDS, poll_doc},
    {"fileno", pipe_fileno, METH_NOARGS, fileno_doc},
    PY_SHARED_METHODS,
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"closed", py_shared_is_closed, NULL, "Whether it was closed here.",
     NULL},
    {"readable", flag, NULL, "Whether this end receives.", NULL},
    {"writable", flag, NULL, "Whether this end sends.", "w"},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "The C part of an end of ndshare.Pipe."},
    {Py_tp_new, pipe_new},
    {Py_tp_dealloc, py_shared_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "ndshare._core.Pipe",
    .basicsize = sizeof(struct end),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

int
py_add_pipe(PyObject *m)
{
    return py_add_type(m, &spec) == NULL ? -1 : 0;
}
