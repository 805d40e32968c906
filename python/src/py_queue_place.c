/* SPDX-License-Identifier: MIT */
/*
 * py_queue_place.c - a queue's arrays in place: loan to write, take to read
 *
 * The call waits for the array; py_loan.c has the `with` block around it.
 */
#include "py_queue.h"

static int
publish(void *q, nds_array **a, const nds_tag *tag)
{
    return nds_queue_publish(q, a, tag);
}

static void
discard(void *q, nds_array **a)
{
    nds_queue_discard(q, a);
}

static int
release(void *q, nds_array **a)
{
    return nds_queue_release(q, a);
}

static int
loan(void *q, nds_array **a, const nds_dtype *dtype, int ndim,
     const int64_t *shape, int64_t timeout_ns)
{
    return nds_queue_loan(q, a, dtype, ndim, shape, timeout_ns);
}

static int
move(void *q, nds_array **a, const nds_tag *tag, int64_t timeout_ns)
{
    return nds_queue_put_move(q, a, tag, timeout_ns);
}

const struct py_loan_ops py_queue_loan_ops = {publish, discard, NULL, loan,
                                              move};
static const struct py_loan_ops take_ops = {publish, discard, release, NULL,
                                            NULL};

/* What a call that waits for an array came to. The channel is entered. */
static PyObject *
in_place(PyObject *self, const struct py_loan_ops *ops, int rc, nds_array *a,
         const nds_tag *tag)
{
    const struct py_queue *q = (struct py_queue *)self;

    if (rc == 0) {
        return py_loan_new(self, ops, a, tag);
    }
    py_shared_leave(self);
    if (py_queue_timed_out(rc)) {
        PyErr_SetNone(q->s.st->refs[ops->release == NULL ? PY_FULL
                                                         : PY_EMPTY]);
    } else if (rc < 0) {
        py_raise_chan(rc);
    }
    return NULL;
}

PyObject *
py_queue_loan(PyObject *self, PyObject *args)
{
    struct py_loaning w = {.ops = &py_queue_loan_ops};
    PyObject *shape, *dtype, *timeout;
    int64_t deadline;
    int rc;

    if (!PyArg_ParseTuple(args, "OOO:_loan", &shape, &dtype, &timeout) ||
        py_loan_args(((struct py_queue *)self)->s.st, shape, dtype, &w) < 0 ||
        py_deadline(timeout, &deadline) < 0 ||
        (w.handle = py_shared_enter(self)) == NULL) {
        return NULL;
    }
    rc = py_wait(py_loan_slice, &w, deadline);
    return in_place(self, &py_queue_loan_ops, rc, w.array, NULL);
}

struct taking {
    nds_queue *q;
    nds_array *array;
    nds_tag tag;
};

static int
take_slice(void *ctx, int64_t timeout_ns)
{
    struct taking *w = ctx;

    return nds_queue_take(w->q, &w->array, &w->tag, timeout_ns);
}

const char py_queue_take_doc[] = PyDoc_STR(
"take($self, timeout=None)\n"
"--\n"
"\n"
"Read the oldest array where it lies, without a copy::\n"
"\n"
"    with queue.take() as a:\n"
"        ...\n"
"\n"
"It stays the queue's until the block ends. If the process dies in the block,\n"
"or the block raises and the array has gone, it is back at the front of the\n"
"queue.\n");

PyObject *
py_queue_take(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *kwnames)
{
    static const char *const names[] = {"timeout", NULL};
    struct taking w = {.array = NULL};
    PyObject *timeout;
    int64_t deadline;
    int rc;

    if (py_args("take", args, nargs, kwnames, names, 0, &timeout) < 0 ||
        py_deadline(timeout, &deadline) < 0 ||
        (w.q = py_shared_enter(self)) == NULL) {
        return NULL;
    }
    rc = py_wait(take_slice, &w, deadline);
    return in_place(self, &take_ops, rc, w.array, &w.tag);
}
