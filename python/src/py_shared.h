/* SPDX-License-Identifier: MIT */
/*
 * py_shared.h - Python objects over one handle of the library
 *
 * Locks, queues and ends of pipes are the same thing to Python: a handle that
 * is made, attached by name or unpacked, used by several threads, closed once
 * and sent to other processes. The GIL guards the fields; a handle closes when
 * the last call that uses it has come back.
 */
#ifndef PY_SHARED_H
#define PY_SHARED_H

#include "nd_py.h"

struct py_kind {
    const char *kind; /* as nds_handle_pack knows it */
    const char *noun; /* as error messages say it */
    void (*close)(void *handle);
    /* NULL: has no name */
    int (*attach)(void **handle, const char *name, int64_t timeout_ns);
};

struct py_shared {
    PyObject_HEAD
    const struct py_kind *kind;
    PyObject *module;
    struct py_state *st;
    void *handle;
    int busy;    /* calls at work */
    bool closed; /* by the user */
};

/* tp_new and tp_dealloc of these types. */
PyObject *py_shared_new(PyTypeObject *type, const struct py_kind *kind);
void py_shared_dealloc(PyObject *self);

/* The handle for a call, or NULL with ValueError; each followed by leave. */
void *py_shared_enter(PyObject *self);
void py_shared_leave(PyObject *self);
/* Nobody can enter any more; the handle goes with the last call at work. */
void py_shared_close(PyObject *self);
/* Takes over what was just made. -1 and the exception for rc. */
int py_shared_made(PyObject *self, void *handle, int rc);

/* One call that does not wait, without the GIL; None or the exception. */
PyObject *py_shared_call(PyObject *self, int (*fn)(void *handle));
/* A method without arguments that does so. */
#define PY_CALL_METHOD(method, function)                                      \
    static int method##_call(void *handle) { return function(handle); }       \
    static PyObject *method(PyObject *self, PyObject *unused)                 \
    {                                                                         \
        (void)unused;                                                         \
        return py_shared_call(self, method##_call);                           \
    }

/* The method _attach(name, wait) of those that have names. */
PyObject *py_shared_attach(PyObject *self, PyObject *args);

/* Methods that all of them have. */
PyObject *py_shared_pack(PyObject *self, PyObject *unused);
PyObject *py_shared_unpack(PyObject *self, PyObject *args);
PyObject *py_shared_is_closed(PyObject *self, void *closure);
#define PY_SHARED_METHODS                                                     \
    {"_pack", py_shared_pack, METH_NOARGS,                                    \
     "What another process needs: (bytes, (descriptor, ...))."},              \
    {"_unpack", py_shared_unpack, METH_VARARGS,                               \
     "_unpack(bytes, descriptors): becomes what was packed."}

/*
 * Arguments of a vectorcall by the names in `names` (NULL at the end) into
 * out, NULL where none was given; `required` of them must be. -1: TypeError.
 */
int py_args(const char *function, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames, const char *const *names, int required,
            PyObject **out);
#define PY_FAST(f) (PyCFunction)(void (*)(void))(f)

/* Of `block` and `timeout` (both may be NULL), a deadline for py_wait; *once:
 * try without waiting. -1: an exception. */
int py_block(PyObject *block, PyObject *timeout, bool *once,
             int64_t *deadline);

/* py_wait, or one try. */
static inline int
py_wait_or_try(int (*fn)(void *ctx, int64_t timeout_ns), void *ctx, bool once,
               int64_t deadline)
{
    int rc;

    if (!once) {
        return py_wait(fn, ctx, deadline);
    }
    Py_BEGIN_ALLOW_THREADS
    rc = fn(ctx, 0);
    Py_END_ALLOW_THREADS
    return rc;
}

/* ---- items of channels (py_item.c) -------------------------------------- */

/* A Python object on its way into a channel. */
struct py_item {
    nds_array *array; /* NULL: None, or parts */
    struct py_parts *parts;
    nds_tag tag;
    PyObject *keep;   /* what the array's memory belongs to */
    Py_buffer buffer;
};

enum py_item_what {
    PY_ITEM_FOREIGN = 0,  /* an array, or None; a tag of the user's */
    PY_ITEM_PICKLE = 'P', /* of any Python object */
    PY_ITEM_PARTS = 'A',  /* such a pickle, and arrays beside it: py_parts.h */
    PY_ITEM_BYTES = 'B',  /* a bytes object */
    PY_ITEM_RAW = 'R'     /* Connection.send_bytes */
};

/* Memory for small pickles, that the items made with it look at. */
struct py_scratch {
    unsigned char *at;
    size_t left;
};

/* -1: an exception. The item is to be finished in any case. */
int py_item_from(struct py_state *st, PyObject *obj,
                 struct py_scratch *scratch, struct py_item *it);
/* Raw bytes of anything with a buffer. */
int py_item_from_buffer(PyObject *obj, Py_ssize_t off, Py_ssize_t nbytes,
                        enum py_item_what what, struct py_item *it);
int py_item_set_tag(struct py_item *it, PyObject *tag); /* user's; NULL fine */
void py_item_fini(struct py_item *it);
/* An ndarray whose memory is another's now: it can only be read. */
int py_let_go(struct py_state *st, PyObject *array);

nds_tag py_item_tag(enum py_item_what what);
enum py_item_what py_item_what(const nds_array *a, const nds_tag *tag);
/* Takes over a, also on failure. */
PyObject *py_item_to(struct py_state *st, nds_array *a, const nds_tag *tag,
                     bool pickles);
PyObject *py_item_bytes(nds_array *a); /* its elements; a is taken over */
PyObject *py_tag_bytes(const nds_tag *tag);

/* 1 and our dtype for a numpy.dtype, lent for good; 0: it cannot cross; -1. */
int py_dtype_from(struct py_state *st, PyObject *dtype, const nds_dtype **out);

/* ---- in place (py_loan.c) ----------------------------------------------- */

/* `queue.loan` and `queue.take`: what they do with a channel's array. */
struct py_loan_ops {
    int (*publish)(void *handle, nds_array **a, const nds_tag *tag);
    void (*discard)(void *handle, nds_array **a);
    int (*release)(void *handle, nds_array **a); /* NULL: a loan */
    int (*loan)(void *handle, nds_array **a, const nds_dtype *dtype, int ndim,
                const int64_t *shape, int64_t timeout_ns);
    int (*move)(void *handle, nds_array **a, const nds_tag *tag,
                int64_t timeout_ns);
};

/* A call that waits for a loan: `py_loan_slice` is for py_wait. */
struct py_loaning {
    const struct py_loan_ops *ops;
    void *handle;
    nds_array *array;
    const nds_dtype *dtype;
    int ndim;
    int64_t shape[NDS_MAX_NDIM];
};
int py_loan_slice(void *ctx, int64_t timeout_ns);

/* The object for `with`; takes over a (NULL: None) and the entered channel,
 * which it leaves at its end. */
PyObject *py_loan_new(PyObject *channel, const struct py_loan_ops *ops,
                      nds_array *a, const nds_tag *tag);
/* (shape, dtype) of a call to loan. -1: an exception. */
int py_loan_args(struct py_state *st, PyObject *shape, PyObject *dtype,
                 struct py_loaning *w);

/* NDS_EBROKEN of a channel is no barrier's. Returns NULL. */
PyObject *py_raise_chan(int rc);

#endif
