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

#if PY_VERSION_HEX < 0x030A0000
static inline PyObject *
Py_NewRef(PyObject *o)
{
    Py_INCREF(o);
    return o;
}
#define Py_TPFLAGS_DISALLOW_INSTANTIATION (1UL << 7) /* py_add_type sees to it */
#endif

/* Objects that py_item.c finds once. */
enum py_ref {
    PY_FULL,             /* queue.Full */
    PY_EMPTY,            /* queue.Empty */
    PY_BUFFER_TOO_SHORT, /* multiprocessing.BufferTooShort */
    PY_UNPICKLING_ERROR,
    PY_DUMPS,            /* pickle.dumps */
    PY_LOADS,            /* pickle.loads */
    PY_BUFFERS,          /* ("buffers",), for that */
    PY_PICKLED,          /* ndshare._pickling's: object -> pickle, parts */
    PY_NUMPY_NDARRAY,
    PY_TO_DTYPE,         /* dict: numpy.dtype -> capsule of ours, or None */
    PY_STR_DTYPE,        /* "dtype" */
    PY_STR_SETFLAGS,     /* "setflags" */
    PY_STR_SPILL,        /* "_spill" */
    PY_DTYPE_TEXT,       /* ndshare._array's: numpy.dtype -> text */
    PY_BROKEN_BARRIER,   /* threading.BrokenBarrierError */
    PY_OWNER_DIED,       /* ndshare.OwnerDiedWarning */
    PY_REF_COUNT
};

struct py_state {
    PyTypeObject *owner;   /* py_array.c */
    PyObject *ndarray;     /* numpy.ndarray, then ndshare.ndarray */
    PyObject *load_dtype;  /* ndshare._array's: text -> numpy.dtype */
    PyTypeObject *loan;    /* py_loan.c */
    PyObject *dtypes;      /* dict: text -> numpy.dtype */
    PyObject *builtin[NDS_TYPE_COUNT]; /* numpy.dtype of nds_dtype_builtin */
    PyObject *refs[PY_REF_COUNT];
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

/* ---- arrays (py_array.c) ------------------------------------------------ */

/* What py_add_array adds beside arrays. */
int py_add_names(PyObject *m);
int py_add_guard(PyObject *m);

/* A memoryview of a's bytes, which are contiguous; a is taken over, also on
 * failure. */
PyObject *py_memory_over(struct py_state *st, nds_array *a);
/* A numpy.dtype, from the few texts a program uses again and again. */
PyObject *py_dtype_named(struct py_state *st, PyObject *text);
/* A numpy.ndarray over a, which is taken over, also on failure. */
PyObject *py_ndarray_over(struct py_state *st, nds_array *a);
/* The array under a numpy.ndarray or under what that is a view of; lent, NULL
 * if it is none of ours. */
nds_array *py_array_under(struct py_state *st, PyObject *array);
/* The same, or ValueError that says so. */
nds_array *py_need_array(PyObject *m, PyObject *array);
/* The extents of a tuple of ints; -1: an exception. */
int py_shape_from(PyObject *tuple, int *ndim, int64_t *shape);
/* "r", "r+", "w+" or "c"; -1: an exception. */
int py_mode_from(const char *text, enum nds_mode *mode);

/* ---- the parts ---------------------------------------------------------- */
int py_add_array(PyObject *m);
int py_add_shared(PyObject *m);
int py_add_item(PyObject *m);
int py_add_queue(PyObject *m);
int py_add_pipe(PyObject *m);
int py_add_sync(PyObject *m);
int py_add_serve(PyObject *m);
int py_add_loan(PyObject *m);

#endif
