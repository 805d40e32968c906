/* SPDX-License-Identifier: MIT */
/*
 * nd_py.h - what the files of the extension share
 *
 * One part per file: `int py_add_part(PyObject *m)` adds its types and
 * functions to the module; module.c calls each once. Rules for all of them:
 * the GIL is released around every wait (py_wait) and every copy or fill;
 * failures of the library become exceptions by py_raise.
 */
#ifndef ND_PY_H
#define ND_PY_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <ndshare/ndshare.h>

struct py_state {
    PyTypeObject *owner;   /* py_array.c */
    PyObject *ndarray;     /* numpy.ndarray, then ndshare.ndarray */
    PyObject *load_dtype;  /* ndshare._array's: text -> numpy.dtype */
    PyObject *dtypes;      /* dict: text -> numpy.dtype */
};

/* Of the module object, or of the type a method was found on (METH_METHOD's
 * defining class). */
struct py_state *py_state_of(PyObject *m);

/* Makes a heap type from spec and adds it to the module; lends it. */
PyTypeObject *py_add_type(PyObject *m, PyType_Spec *spec);

/* Sets the Python exception that stands for rc, with the text of this thread's
 * last failure (outcomes: the code's general text). Returns NULL. */
PyObject *py_raise(int rc);

/* A wait's end in nanoseconds of the monotonic clock; NDS_FOREVER for None.
 * Less than zero counts as zero, as in multiprocessing. -1 and an exception
 * if it is no number. */
int py_deadline(PyObject *timeout, int64_t *deadline);

/*
 * Calls fn(ctx, timeout_ns) without the GIL, in slices of at most 50 ms with a
 * look at signals in between, until it gives something else than NDS_ETIMEDOUT
 * or NDS_EAGAIN, or the deadline is over (NDS_ETIMEDOUT). PY_RAISED: a signal
 * handler raised.
 */
#define PY_RAISED 1
int py_wait(int (*fn)(void *ctx, int64_t timeout_ns), void *ctx,
            int64_t deadline);

/* ---- the parts ---------------------------------------------------------- */
int py_add_array(PyObject *m);

#endif
