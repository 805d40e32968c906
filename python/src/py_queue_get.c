/* SPDX-License-Identifier: MIT */
/*
 * py_queue_get.c - objects out of a queue: one call of the library a get or run
 *
 * Also iteration, which ends where the queue was shut down.
 */
#include "py_queue.h"

struct getting {
    nds_queue *q;
    nds_array *array;
    nds_tag tag;
};

static int
get_slice(void *ctx, int64_t timeout_ns)
{
    struct getting *w = ctx;

    return nds_queue_get(w->q, &w->array, &w->tag, timeout_ns);
}

/* 0; -1 and an exception; 1 at the end of a queue that was shut down. */
static int
get(PyObject *self, struct getting *w, bool once, int64_t deadline)
{
    struct py_queue *q = (struct py_queue *)self;
    int rc;

    w->q = py_shared_enter(self);
    w->array = NULL;
    if (w->q == NULL) {
        return -1;
    }
    rc = py_wait_or_try(get_slice, w, once, deadline);
    py_shared_leave(self);
    if (rc == NDS_EEOF) {
        return 1;
    }
    if (py_queue_timed_out(rc)) {
        PyErr_SetNone(q->s.st->refs[PY_EMPTY]);
    } else if (rc < 0) {
        py_raise_chan(rc);
    }
    return rc != 0 ? -1 : 0;
}

static PyObject *
got(PyObject *self, struct getting *w, int rc)
{
    const struct py_queue *q = (struct py_queue *)self;

    if (rc != 0) {
        return rc < 0 ? NULL : py_raise_chan(NDS_EEOF);
    }
    return py_item_to(q->s.st, w->array, &w->tag, q->pickles);
}

const char py_queue_get_doc[] = PyDoc_STR(
"get($self, block=True, timeout=None)\n"
"--\n"
"\n"
"Remove and return the oldest object.\n"
"\n"
"Parameters\n"
"----------\n"
"block, timeout\n"
"    Whether to wait while there is none, and how many seconds (None: for\n"
"    ever).\n"
"\n"
"Raises\n"
"------\n"
"queue.Empty\n"
"    There was none all the time.\n"
"EOFError\n"
"    The queue was shut down, and all it held has been got.\n");

PyObject *
py_queue_get(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                PyObject *kwnames)
{
    static const char *const names[] = {"block", "timeout", NULL};
    PyObject *given[2];
    struct getting w;
    int64_t deadline;
    bool once;

    if (py_args("get", args, nargs, kwnames, names, 0, given) < 0 ||
        py_block(given[0], given[1], &once, &deadline) < 0) {
        return NULL;
    }
    return got(self, &w, get(self, &w, once, deadline));
}

PyObject *
py_queue_get_nowait(PyObject *self, PyObject *unused)
{
    struct getting w;

    (void)unused;
    return got(self, &w, get(self, &w, true, 0));
}

PyObject *
py_queue_get_tagged(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                       PyObject *kwnames)
{
    static const char *const names[] = {"block", "timeout", NULL};
    PyObject *given[2], *obj;
    struct getting w;
    int64_t deadline;
    bool once;

    if (py_args("get_tagged", args, nargs, kwnames, names, 0, given) < 0 ||
        py_block(given[0], given[1], &once, &deadline) < 0) {
        return NULL;
    }
    obj = got(self, &w, get(self, &w, once, deadline));
    return obj == NULL ? NULL
                       : Py_BuildValue("NN", obj, py_tag_bytes(&w.tag));
}

PyObject *
py_queue_next(PyObject *self)
{
    struct getting w;
    int rc = get(self, &w, false, NDS_FOREVER);

    return rc == 1 ? NULL : got(self, &w, rc);
}

struct getting_many {
    nds_queue *q;
    int room, count;
    nds_array *arrays[PY_QUEUE_RUN];
    nds_tag tags[PY_QUEUE_RUN];
};

static int
get_many_slice(void *ctx, int64_t timeout_ns)
{
    struct getting_many *w = ctx;

    return nds_queue_get_many(w->q, w->room, w->arrays, w->tags, timeout_ns,
                              &w->count);
}

/* Appends what was got; -1 when one of them cannot be made an object. */
static int
append_got(const struct py_queue *q, struct getting_many *w, PyObject *list)
{
    int rc = 0;

    for (int i = 0; i < w->count; i++) {
        PyObject *obj;

        if (rc < 0) {
            nds_array_close(w->arrays[i]);
            continue;
        }
        obj = py_item_to(q->s.st, w->arrays[i], &w->tags[i], q->pickles);
        rc = obj == NULL ? -1 : PyList_Append(list, obj);
        Py_XDECREF(obj);
    }
    return rc;
}

/* -1 and an exception; nothing at all got is one too. */
static int
get_all(PyObject *self, struct getting_many *w, Py_ssize_t n, PyObject *list,
        int64_t deadline)
{
    const struct py_queue *q = (struct py_queue *)self;

    while (n > 0) {
        Py_ssize_t had = PyList_GET_SIZE(list);
        int rc;

        w->room = n < PY_QUEUE_RUN ? (int)n : PY_QUEUE_RUN;
        w->count = 0;
        rc = py_wait(get_many_slice, w, had > 0 ? 0 : deadline);
        if (rc == PY_RAISED) {
            return -1;
        }
        if (rc < 0 && had > 0) {
            return 0;
        }
        if (rc < 0) {
            py_queue_timed_out(rc) ? PyErr_SetNone(q->s.st->refs[PY_EMPTY])
                                   : (void)py_raise_chan(rc);
            return -1;
        }
        if (append_got(q, w, list) < 0) {
            return -1;
        }
        n -= w->count;
        if (w->count < w->room) {
            return 0;
        }
    }
    return 0;
}

const char py_queue_get_many_doc[] = PyDoc_STR(
"get_many($self, n, timeout=None)\n"
"--\n"
"\n"
"A list of at most n objects: waits for the first, then takes what is there.\n"
"\n"
"Raises\n"
"------\n"
"queue.Empty\n"
"    There was none within the time-out (seconds; None waits for ever).\n"
"EOFError\n"
"    The queue was shut down, and all it held has been got.\n");

PyObject *
py_queue_get_many(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                     PyObject *kwnames)
{
    static const char *const names[] = {"n", "timeout", NULL};
    PyObject *given[2], *list;
    struct getting_many *w;
    int64_t deadline;
    Py_ssize_t n;
    int rc = -1;

    if (py_args("get_many", args, nargs, kwnames, names, 1, given) < 0 ||
        py_deadline(given[1], &deadline) < 0) {
        return NULL;
    }
    n = PyNumber_AsSsize_t(given[0], PyExc_OverflowError);
    if (n < 1) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "n must be at least 1");
        }
        return NULL;
    }
    list = PyList_New(0);
    w = list == NULL ? NULL : PyMem_Malloc(sizeof *w);
    if (list != NULL && w == NULL) {
        PyErr_NoMemory();
    }
    if (w != NULL && (w->q = py_shared_enter(self)) != NULL) {
        rc = get_all(self, w, n, list, deadline);
        py_shared_leave(self);
    }
    PyMem_Free(w);
    if (rc < 0) {
        Py_CLEAR(list);
    }
    return list;
}
