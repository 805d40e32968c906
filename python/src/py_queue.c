/* SPDX-License-Identifier: MIT */
/*
 * py_queue.c - ndshare._core.Queue: the type, making, and what moves no item
 *
 * ndshare._queue gives it multiprocessing's face: names, pickling, and what a
 * queue without a bound does when shared memory is full (`_spill`).
 */
#include "py_queue.h"

static void
close_queue(void *handle)
{
    nds_queue_close(handle);
}

static int
attach(void **handle, const char *name, int64_t timeout_ns)
{
    nds_queue *q = NULL;
    int rc = nds_queue_attach(&q, name, timeout_ns);

    *handle = q;
    return rc;
}

static const struct py_kind queue_kind = {"queue", "Queue", close_queue,
                                          attach};

static PyObject *
queue_new(PyTypeObject *type, PyObject *args, PyObject *kwds)
{
    PyObject *self = py_shared_new(type, &queue_kind);

    (void)args;
    (void)kwds;
    if (self != NULL) {
        ((struct py_queue *)self)->pickles = true;
    }
    return self;
}

/* Subclasses in Python have what arguments they like. */
static int
queue_init(PyObject *self, PyObject *args, PyObject *kwds)
{
    (void)self;
    (void)args;
    (void)kwds;
    return 0;
}

/* ---- making ------------------------------------------------------------- */

PyDoc_STRVAR(create_doc,
"_create(name, max_items, max_bytes, policy, max_deliveries, acknowledge,\n"
"mode, lifetime): a new queue; name None: no name.");

static PyObject *
queue_create(PyObject *self, PyObject *args)
{
    nds_queue_options opts = {.size = sizeof opts};
    int policy, acknowledge, while_used, rc;
    unsigned long long max_bytes;
    const char *name;
    nds_queue *q = NULL;

    if (!PyArg_ParseTuple(args, "zIKiIpIp:_create", &name, &opts.max_items,
                          &max_bytes, &policy, &opts.max_deliveries,
                          &acknowledge, &opts.mode_bits, &while_used)) {
        return NULL;
    }
    opts.max_bytes = max_bytes;
    opts.redelivery = (enum nds_redelivery)policy;
    opts.acknowledge = acknowledge != 0;
    opts.lifetime = while_used ? NDS_WHILE_USED : NDS_UNTIL_UNLINKED;
    Py_BEGIN_ALLOW_THREADS
    rc = name != NULL ? nds_queue_create(&q, name, &opts)
                      : nds_queue_new(&q, &opts);
    Py_END_ALLOW_THREADS
    if (py_shared_made(self, q, rc) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- the rest ----------------------------------------------------------- */

static PyObject *
queue_qsize(PyObject *self, PyObject *unused)
{
    nds_queue *q = py_shared_enter(self);
    int64_t n;

    (void)unused;
    if (q == NULL) {
        return NULL;
    }
    n = nds_queue_size(q);
    py_shared_leave(self);
    return n < 0 ? py_raise((int)n) : PyLong_FromLongLong(n);
}

static PyObject *
queue_fileno(PyObject *self, PyObject *unused)
{
    nds_queue *q = py_shared_enter(self);
    int fd, rc;

    (void)unused;
    if (q == NULL) {
        return NULL;
    }
    rc = nds_queue_fd(q, &fd);
    py_shared_leave(self);
    return rc < 0 ? py_raise(rc) : PyLong_FromLong(fd);
}

PY_CALL_METHOD(queue_shutdown, nds_queue_shutdown)
PY_CALL_METHOD(queue_task_done, nds_queue_task_done)

static int
join_slice(void *ctx, int64_t timeout_ns)
{
    return nds_queue_join(ctx, timeout_ns);
}

/* True, or False at the time-out. */
static PyObject *
queue_join(PyObject *self, PyObject *timeout)
{
    nds_queue *q;
    int64_t deadline;
    int rc;

    if (py_deadline(timeout, &deadline) < 0 ||
        (q = py_shared_enter(self)) == NULL) {
        return NULL;
    }
    rc = py_wait(join_slice, q, deadline);
    py_shared_leave(self);
    if (rc == PY_RAISED) {
        return NULL;
    }
    return rc < 0 && rc != NDS_ETIMEDOUT ? py_raise(rc)
                                         : PyBool_FromLong(rc == 0);
}

static PyObject *
queue_info(PyObject *self, PyObject *unused)
{
    nds_queue *q = py_shared_enter(self);
    nds_queue_info i = {.size = sizeof i};
    int rc;

    (void)unused;
    if (q == NULL) {
        return NULL;
    }
    rc = nds_queue_info_get(q, &i);
    py_shared_leave(self);
    if (rc < 0) {
        return py_raise(rc);
    }
    return Py_BuildValue(
        "{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:I,s:I,s:O,s:K,s:I,s:I,s:I}",
        "items", i.items, "taken", i.taken, "parked", i.parked, "loaned",
        i.loaned, "bytes_used", i.bytes_used, "bytes_max", i.bytes_max,
        "unfinished", i.unfinished, "redelivered", i.redelivered, "dropped",
        i.dropped, "slots", i.slots, "participants", i.participants, "closed",
        i.closed ? Py_True : Py_False, "delivered", i.delivered, "consumers",
        i.consumers, "consumers_dead", i.consumers_dead, "max_items",
        i.max_items);
}

static PyObject *
queue_close_handle(PyObject *self, PyObject *unused)
{
    (void)unused;
    py_shared_close(self);
    Py_RETURN_NONE;
}

/* Whether it can be waited for, and what it does with pickles. While it spills
 * the handle stays, also when the queue is closed. */
static PyObject *
queue_set(PyObject *self, PyObject *args)
{
    struct py_queue *q = (struct py_queue *)self;
    int unbounded, spilling, pickles, closed;
    bool before = q->spilling;

    if (!PyArg_ParseTuple(args, "pppp:_set", &unbounded, &spilling, &pickles,
                          &closed)) {
        return NULL;
    }
    q->unbounded = unbounded != 0;
    q->spilling = spilling != 0;
    q->pickles = pickles != 0;
    q->s.closed = closed != 0;
    if (!before && spilling) {
        q->s.busy++;
    } else if (before && !spilling) {
        py_shared_leave(self);
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"_create", queue_create, METH_VARARGS, create_doc},
    {"_attach", py_shared_attach, METH_VARARGS, "_attach(name, wait)"},
    {"_set", queue_set, METH_VARARGS,
     "_set(unbounded, spilling, pickles, closed)"},
    {"_close", queue_close_handle, METH_NOARGS, "Drops the handle."},
    {"_put_spilled", py_queue_put_spilled, METH_VARARGS,
     "_put_spilled(obj, what, timeout): False at the time-out"},
    {"_join", queue_join, METH_O, "_join(timeout): False at the time-out"},
    {"_qsize", queue_qsize, METH_NOARGS, "Items in shared memory."},
    {"put", PY_FAST(py_queue_put), METH_FASTCALL | METH_KEYWORDS,
     py_queue_put_doc},
    {"put_nowait", PY_FAST(py_queue_put_nowait),
     METH_FASTCALL | METH_KEYWORDS,
     "put_nowait($self, obj)\n--\n\nThe same as put(obj, False)."},
    {"put_many", PY_FAST(py_queue_put_many), METH_FASTCALL | METH_KEYWORDS,
     py_queue_put_many_doc},
    {"get", PY_FAST(py_queue_get), METH_FASTCALL | METH_KEYWORDS,
     py_queue_get_doc},
    {"get_nowait", py_queue_get_nowait, METH_NOARGS,
     "get_nowait($self, /)\n--\n\nThe same as get(False)."},
    {"get_tagged", PY_FAST(py_queue_get_tagged), METH_FASTCALL | METH_KEYWORDS,
     "get_tagged($self, block=True, timeout=None)\n--\n\n"
     "As get, but (object, tag): the bytes that were put beside an array."},
    {"get_many", PY_FAST(py_queue_get_many), METH_FASTCALL | METH_KEYWORDS,
     py_queue_get_many_doc},
    {"_loan", py_queue_loan, METH_VARARGS, "_loan(shape, dtype, timeout)"},
    {"take", PY_FAST(py_queue_take), METH_FASTCALL | METH_KEYWORDS,
     py_queue_take_doc},
    {"task_done", queue_task_done, METH_NOARGS,
     "task_done($self, /)\n--\n\nSay that what was got has been dealt with."},
    {"shutdown", queue_shutdown, METH_NOARGS,
     "shutdown($self, /)\n--\n\n"
     "No more puts by anybody; getters drain the queue, then meet its end."},
    {"info", queue_info, METH_NOARGS,
     "info($self, /)\n--\n\nCounters of the queue, as a dict."},
    {"fileno", queue_fileno, METH_NOARGS,
     "fileno($self, /)\n--\n\n"
     "A descriptor that is readable while objects wait, for select and\n"
     "multiprocessing.connection.wait."},
    PY_SHARED_METHODS,
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"closed", py_shared_is_closed, NULL, "Whether it was closed here.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "The C part of ndshare.Queue."},
    {Py_tp_new, queue_new},
    {Py_tp_init, queue_init},
    {Py_tp_dealloc, py_shared_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, py_queue_next},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "ndshare._core.Queue",
    .basicsize = sizeof(struct py_queue),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

int
py_add_queue(PyObject *m)
{
    return py_add_type(m, &spec) == NULL ? -1 : 0;
}
