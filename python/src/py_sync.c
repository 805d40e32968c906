/* SPDX-License-Identifier: MIT */
/*
 * py_sync.c - what locks, semaphores, events and their like share
 *
 * What these types do is what the library does, each in its file;
 * ndshare._sync makes of them the classes of multiprocessing. Here: made and
 * attached by name, waited for, and put into the module.
 */
#include "py_sync.h"

#include <time.h>

/* ---- by name ------------------------------------------------------------ */

void
py_nap(int64_t ns)
{
    struct timespec t = {ns / NDS_SEC(1), ns % NDS_SEC(1)};

    nanosleep(&t, NULL);
}

int
py_named(int rc, int64_t timeout_ns)
{
    if (rc == NDS_ENOENT && timeout_ns > 0) {
        py_nap(timeout_ns < NDS_MSEC(5) ? timeout_ns : NDS_MSEC(5));
        return NDS_ETIMEDOUT;
    }
    return rc;
}

PyObject *
py_sync_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    py_shared_close(self);
    Py_RETURN_NONE;
}

PyObject *
py_sync_forget(PyObject *self, PyObject *unused)
{
    struct py_sync *x = (struct py_sync *)self;

    (void)unused;
    x->holder = 0;
    x->depth = 0;
    x->owner_died = false;
    Py_RETURN_NONE;
}

PyObject *
py_sync_made(PyObject *self, void *handle, int rc)
{
    return py_shared_made(self, handle, rc) < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- calls that share their shape --------------------------------------- */

PyObject *
py_waited(int rc)
{
    if (rc == PY_RAISED) {
        return NULL;
    }
    if (rc == NDS_ETIMEDOUT || rc == NDS_EAGAIN) {
        Py_RETURN_FALSE;
    }
    return rc < 0 ? py_raise(rc) : Py_NewRef(Py_True);
}

int
py_block_args(const char *function, PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames, bool *once, int64_t *deadline)
{
    static const char *const names[] = {"block", "timeout", NULL};
    PyObject *given[2];

    return py_args(function, args, nargs, kwnames, names, 0, given) < 0
               ? -1 : py_block(given[0], given[1], once, deadline);
}

PyObject *
py_acquire(PyObject *self, py_wait_fn fn, bool once, int64_t deadline)
{
    void *handle = py_shared_enter(self);
    int rc;

    if (handle == NULL) {
        return NULL;
    }
    rc = py_wait_or_try(fn, handle, once, deadline);
    py_shared_leave(self);
    return py_waited(rc);
}

/* ---- the types ---------------------------------------------------------- */

static int
init(PyObject *self, PyObject *args, PyObject *kwds)
{
    (void)self;
    (void)args;
    (void)kwds;
    return 0;
}

int
py_sync_add(PyObject *m, const char *name, newfunc make, PyMethodDef *methods,
            PyGetSetDef *getset)
{
    PyType_Slot slots[] = {
        {Py_tp_new, make},
        {Py_tp_init, init},
        {Py_tp_dealloc, py_shared_dealloc},
        {Py_tp_methods, methods},
        {Py_tp_getset, getset},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = name,
        .basicsize = sizeof(struct py_sync),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = slots,
    };

    return py_add_type(m, &spec) == NULL ? -1 : 0;
}

int
py_add_sync(PyObject *m)
{
    if (py_add_mutex(m) < 0 || py_add_cond(m) < 0 || py_add_sem(m) < 0 ||
        py_add_event(m) < 0 || py_add_barrier(m) < 0 ||
        py_add_rwlock(m) < 0) {
        return -1;
    }
    return py_add_hold(m);
}
