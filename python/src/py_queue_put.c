/* SPDX-License-Identifier: MIT */
/*
 * py_queue_put.c - objects into a queue: one call of the library a put or run
 *
 * Where a queue without a bound has no room, ndshare._queue's `_spill` takes
 * the object, and a thread puts it later through `_put_spilled`.
 */
#include "py_parts.h"
#include "py_plain.h"
#include "py_queue.h"

struct putting {
    nds_queue *q;
    struct py_item *it;
    bool move;
};

static int
put_slice(void *ctx, int64_t timeout_ns)
{
    const struct putting *w = ctx;
    struct py_item *it = w->it;

    if (it->array == NULL) {
        return nds_queue_put_none(w->q, timeout_ns);
    }
    return w->move
               ? nds_queue_put_move(w->q, &it->array, &it->tag, timeout_ns)
               : nds_queue_put(w->q, it->array, &it->tag, timeout_ns);
}

/* What py_wait returns. The queue is entered. */
static int
put_entered(struct py_queue *q, struct py_item *it, bool move, bool once,
            int64_t deadline)
{
    struct putting w = {q->s.handle, it, move};

    if (q->unbounded) {
        once = true;
        deadline = 0;
    }
    return it->parts != NULL
               ? py_parts_put(q->s.st, it->parts, &py_queue_loan_ops, w.q,
                              once, deadline)
               : py_wait_or_try(put_slice, &w, once, deadline);
}

/* 0, or -1 and an exception. */
static int
put_item(PyObject *self, struct py_item *it, bool move, bool once,
         int64_t deadline)
{
    struct py_queue *q = (struct py_queue *)self;
    int rc;

    if (py_shared_enter(self) == NULL) {
        return -1;
    }
    rc = put_entered(q, it, move, once, deadline);
    py_shared_leave(self);
    if (rc == PY_RAISED) {
        return -1;
    }
    if (py_queue_timed_out(rc)) {
        PyErr_SetNone(q->s.st->refs[PY_FULL]);
    } else if (rc < 0) {
        py_raise_chan(rc);
    }
    return rc < 0 ? -1 : 0;
}

/* What does not fit is put by a thread of this process, later. */
static PyObject *
spill(PyObject *self, PyObject *obj)
{
    PyErr_Clear();
    return PyObject_CallMethodOneArg(
        self, ((struct py_queue *)self)->s.st->refs[PY_STR_SPILL], obj);
}

static bool
spills(struct py_queue *q)
{
    return q->unbounded && (PyErr_ExceptionMatches(q->s.st->refs[PY_FULL]) ||
                            PyErr_ExceptionMatches(PyExc_BrokenPipeError));
}

static PyObject *
put(PyObject *self, PyObject *obj, PyObject *move, PyObject *tag, bool once,
    int64_t deadline)
{
    struct py_queue *q = (struct py_queue *)self;
    int moves = move == NULL ? 0 : PyObject_IsTrue(move);
    unsigned char room[PY_PLAIN_ROOM];
    struct py_scratch scratch = {room, sizeof room};
    struct py_item it;
    int rc;

    if (moves < 0) {
        return NULL;
    }
    if (q->spilling && !q->s.closed) {
        return spill(self, obj);
    }
    rc = py_item_from(q->s.st, obj, &scratch, &it);
    if (rc == 0 && moves && Py_TYPE(obj) != (PyTypeObject *)q->s.st->ndarray) {
        PyErr_SetString(PyExc_TypeError, "only an ndshare array can be moved");
        rc = -1;
    }
    if (rc == 0) {
        rc = py_item_set_tag(&it, tag);
    }
    if (rc == 0) {
        rc = put_item(self, &it, moves, once, deadline);
        if (rc < 0 && spills(q)) {
            py_item_fini(&it);
            return spill(self, obj);
        }
    }
    if (rc == 0 && moves) {
        rc = py_let_go(q->s.st, obj);
    }
    py_item_fini(&it);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

const char py_queue_put_doc[] = PyDoc_STR(
"put($self, obj, block=True, timeout=None, *, move=False, tag=None)\n"
"--\n"
"\n"
"Put an object into the queue.\n"
"\n"
"Parameters\n"
"----------\n"
"obj : object\n"
"    Arrays and None cross as they are and can be read by any program; any\n"
"    other object is pickled, now and not later.\n"
"block, timeout\n"
"    Whether to wait while the queue is full, and how many seconds (None:\n"
"    for ever). A queue without `maxsize` is never full.\n"
"move : bool\n"
"    An `ndshare.ndarray` whose memory becomes the receiver's, without a\n"
"    copy. Here it can only be read from then on.\n"
"tag : bytes, optional\n"
"    At most 60 bytes that go beside an array.\n"
"\n"
"Raises\n"
"------\n"
"queue.Full\n"
"    It was full all the time.\n"
"ValueError\n"
"    The queue is closed here, or was shut down for everybody.\n");

PyObject *
py_queue_put(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                PyObject *kwnames)
{
    static const char *const names[] = {"obj", "block", "timeout", "move",
                                        "tag", NULL};
    PyObject *given[5];
    int64_t deadline;
    bool once;

    if (py_args("put", args, nargs, kwnames, names, 1, given) < 0 ||
        py_block(given[1], given[2], &once, &deadline) < 0) {
        return NULL;
    }
    return put(self, given[0], given[3], given[4], once, deadline);
}

PyObject *
py_queue_put_nowait(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                    PyObject *kwnames)
{
    static const char *const names[] = {"obj", NULL};
    PyObject *obj;

    if (py_args("put_nowait", args, nargs, kwnames, names, 1, &obj) < 0) {
        return NULL;
    }
    return put(self, obj, NULL, NULL, true, 0);
}

/* Also into a queue that is closed here: what was spilled must get out. */
PyObject *
py_queue_put_spilled(PyObject *self, PyObject *args)
{
    struct py_queue *q = (struct py_queue *)self;
    struct py_item it = {.array = NULL};
    struct putting w = {NULL, &it, false};
    struct py_scratch scratch = {NULL, 0}; // what was spilled is bytes
    PyObject *obj, *timeout;
    int64_t deadline;
    int rc, what;

    if (!PyArg_ParseTuple(args, "OiO:_put_spilled", &obj, &what, &timeout) ||
        py_deadline(timeout, &deadline) < 0) {
        return NULL;
    }
    rc = what != 0 ? py_item_from_buffer(obj, 0, PY_SSIZE_T_MIN,
                                         (enum py_item_what)what, &it)
                   : py_item_from(q->s.st, obj, &scratch, &it);
    w.q = q->s.handle;
    if (rc == 0 && w.q == NULL) {
        PyErr_SetString(PyExc_ValueError, "the queue is closed");
        rc = -1;
    }
    if (rc < 0) {
        py_item_fini(&it);
        return NULL;
    }
    rc = py_wait(put_slice, &w, deadline); // q->spilling keeps the handle
    py_item_fini(&it);
    if (rc == PY_RAISED) {
        return NULL;
    }
    return rc < 0 && !py_queue_timed_out(rc) ? py_raise_chan(rc)
                                             : PyBool_FromLong(rc == 0);
}

struct run {
    nds_queue *q;
    struct py_item items[PY_QUEUE_RUN];
    nds_array *arrays[PY_QUEUE_RUN];
    nds_tag tags[PY_QUEUE_RUN];
    int n, done;
    unsigned char room[PY_QUEUE_RUN * 1024];
};

static int
put_run_slice(void *ctx, int64_t timeout_ns)
{
    struct run *r = ctx;
    int done = 0;
    int rc = nds_queue_put_many(r->q, r->n - r->done, r->arrays + r->done,
                                r->tags + r->done, timeout_ns, &done);

    r->done += done;
    return rc;
}

/* Of the objects from `at` on, up to PY_QUEUE_RUN of them; one with parts is
 * alone. -1: an exception. */
static int
run_fill(struct py_state *st, struct run *r, PyObject *objs, Py_ssize_t at)
{
    Py_ssize_t left = PySequence_Fast_GET_SIZE(objs) - at;
    struct py_scratch scratch = {r->room, sizeof r->room};

    r->n = r->done = 0;
    while (r->n < PY_QUEUE_RUN && r->n < left) {
        struct py_item *it = &r->items[r->n];
        int rc = py_item_from(st, PySequence_Fast_GET_ITEM(objs, at + r->n),
                              &scratch, it);

        if (rc == 0 && it->parts != NULL && r->n > 0) {
            py_item_fini(it); // its turn comes
            return 0;
        }
        r->n++;
        if (rc < 0) {
            return -1;
        }
        if (it->parts != NULL) {
            return 0;
        }
        r->arrays[r->n - 1] = it->array;
        r->tags[r->n - 1] = it->tag;
    }
    return 0;
}

static void
run_fini(struct run *r)
{
    for (int i = 0; i < r->n; i++) {
        py_item_fini(&r->items[i]);
    }
    r->n = 0;
}

static int
put_spilling(PyObject *self, PyObject *objs, Py_ssize_t at)
{
    for (; at < PySequence_Fast_GET_SIZE(objs); at++) {
        PyObject *done = spill(self, PySequence_Fast_GET_ITEM(objs, at));

        if (done == NULL) {
            return -1;
        }
        Py_DECREF(done);
    }
    return 0;
}

/* How many of them are in the queue; -1 and an exception. */
static Py_ssize_t
put_all(PyObject *self, struct run *r, PyObject *objs, int64_t deadline)
{
    struct py_queue *q = (struct py_queue *)self;
    Py_ssize_t at = 0;
    int rc = 0;

    while (rc == 0 && at < PySequence_Fast_GET_SIZE(objs)) {
        if (q->spilling) {
            return put_spilling(self, objs, at) < 0
                       ? -1 : PySequence_Fast_GET_SIZE(objs);
        }
        if (run_fill(q->s.st, r, objs, at) < 0) {
            run_fini(r);
            return -1;
        }
        if (r->items[0].parts != NULL) {
            rc = put_entered(q, &r->items[0], false, false, deadline);
            r->done = rc == 0;
        } else {
            rc = py_wait(put_run_slice, r, q->unbounded ? 0 : deadline);
        }
        at += r->done;
        run_fini(r);
        if ((py_queue_timed_out(rc) || rc == NDS_EBROKEN) && q->unbounded) {
            return put_spilling(self, objs, at) < 0
                       ? -1 : PySequence_Fast_GET_SIZE(objs);
        }
    }
    if (rc == PY_RAISED || (rc < 0 && !py_queue_timed_out(rc) && at == 0)) {
        if (rc != PY_RAISED) {
            py_raise_chan(rc);
        }
        return -1;
    }
    return at;
}

const char py_queue_put_many_doc[] = PyDoc_STR(
"put_many($self, objs, timeout=None)\n"
"--\n"
"\n"
"Put several objects in order, in runs, which is quicker than one by one.\n"
"\n"
"Returns\n"
"-------\n"
"int\n"
"    How many were put: fewer than given only if the queue was full until\n"
"    the time-out (seconds; None waits for ever).\n");

PyObject *
py_queue_put_many(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                     PyObject *kwnames)
{
    static const char *const names[] = {"objs", "timeout", NULL};
    PyObject *given[2], *objs;
    struct run *r;
    Py_ssize_t put_count = -1;
    int64_t deadline;

    if (py_args("put_many", args, nargs, kwnames, names, 1, given) < 0 ||
        py_deadline(given[1], &deadline) < 0) {
        return NULL;
    }
    objs = PySequence_Fast(given[0], "put_many() needs an iterable");
    r = objs == NULL ? NULL : PyMem_Malloc(sizeof *r);
    if (objs != NULL && r == NULL) {
        PyErr_NoMemory();
    }
    if (r != NULL && (r->q = py_shared_enter(self)) != NULL) {
        put_count = put_all(self, r, objs, deadline);
        py_shared_leave(self);
    }
    PyMem_Free(r);
    Py_XDECREF(objs);
    return put_count < 0 ? NULL : PyLong_FromSsize_t(put_count);
}
