/* SPDX-License-Identifier: MIT */
/*
 * py_queue.h - what the files of ndshare._core.Queue share
 *
 * py_queue.c has the type and its table of methods; the methods that move
 * items are declared here for it.
 */
#ifndef PY_QUEUE_H
#define PY_QUEUE_H

#include "py_shared.h"

struct py_queue {
    struct py_shared s;
    bool unbounded; /* put does not wait: what does not fit is spilled */
    bool spilling;  /* puts go behind what was spilled */
    bool pickles;
};

/* Items that put_many and get_many move in one call of the library. */
#define PY_QUEUE_RUN 64

/* No room, or nothing there, until the time-out: queue.Full, queue.Empty. */
static inline bool
py_queue_timed_out(int rc)
{
    return rc == NDS_EAGAIN || rc == NDS_ETIMEDOUT;
}

/* ---- py_queue_put.c ----------------------------------------------------- */
extern const char py_queue_put_doc[], py_queue_put_many_doc[];
PyObject *py_queue_put(PyObject *self, PyObject *const *args,
                       Py_ssize_t nargs, PyObject *kwnames);
PyObject *py_queue_put_nowait(PyObject *self, PyObject *const *args,
                              Py_ssize_t nargs, PyObject *kwnames);
PyObject *py_queue_put_many(PyObject *self, PyObject *const *args,
                            Py_ssize_t nargs, PyObject *kwnames);
PyObject *py_queue_put_spilled(PyObject *self, PyObject *args);

/* ---- py_queue_get.c ----------------------------------------------------- */
extern const char py_queue_get_doc[], py_queue_get_many_doc[];
PyObject *py_queue_get(PyObject *self, PyObject *const *args,
                       Py_ssize_t nargs, PyObject *kwnames);
PyObject *py_queue_get_nowait(PyObject *self, PyObject *unused);
PyObject *py_queue_get_tagged(PyObject *self, PyObject *const *args,
                              Py_ssize_t nargs, PyObject *kwnames);
PyObject *py_queue_get_many(PyObject *self, PyObject *const *args,
                            Py_ssize_t nargs, PyObject *kwnames);
PyObject *py_queue_next(PyObject *self);

/* ---- py_queue_place.c --------------------------------------------------- */
extern const char py_queue_take_doc[];
extern const struct py_loan_ops py_queue_loan_ops;
PyObject *py_queue_loan(PyObject *self, PyObject *args);
PyObject *py_queue_take(PyObject *self, PyObject *const *args,
                        Py_ssize_t nargs, PyObject *kwnames);

#endif
