/* SPDX-License-Identifier: MIT */
/*
 * py_hold.c - what this process knows of a hold of its own
 *
 * Which of its threads holds a mutex or a condition, how often, and whether
 * the lock came from a holder that died: it is held then, and a warning says
 * so.
 */
#include "py_sync.h"

int
py_warn_owner_died(struct py_sync *x)
{
    x->owner_died = true;
    return PyErr_WarnFormat(
        x->s.st->refs[PY_OWNER_DIED], 2,
        "the last holder of this %s died while it held it: what it guards may "
        "be half done", x->s.kind->noun);
}

void
py_note_hold(struct py_sync *x)
{
    x->holder = PyThread_get_thread_ident();
    x->depth = 1;
    x->owner_died = false;
}

bool
py_is_mine(const struct py_sync *x)
{
    return x->holder == PyThread_get_thread_ident() && x->depth > 0;
}

int
py_hold_outcome(struct py_sync *x, int rc, int (*unlock)(struct py_sync *x))
{
    if (rc != 0 && rc != NDS_EOWNERDEAD) {
        return rc;
    }
    py_note_hold(x);
    if (rc == NDS_EOWNERDEAD && py_warn_owner_died(x) < 0) {
        // The warning is an error here: nobody is left to unlock.
        (void)unlock(x);
        return PY_RAISED;
    }
    return 0;
}

int
py_hold_answer(int rc)
{
    if (rc == NDS_ETIMEDOUT || rc == NDS_EAGAIN) {
        return 1;
    }
    if (rc < 0) {
        py_raise(rc);
    }
    return rc == 0 ? 0 : -1;
}

PyObject *
py_not_held(bool recursive)
{
    if (recursive) {
        PyErr_SetString(PyExc_AssertionError, "attempt to release recursive "
                        "lock not owned by thread");
    } else {
        PyErr_SetString(PyExc_ValueError, "semaphore or lock released too "
                        "many times: this thread does not hold it");
    }
    return NULL;
}

PyObject *
py_hold_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                PyObject *kwnames,
                int (*lock)(PyObject *self, bool once, int64_t deadline))
{
    int64_t deadline;
    bool once;
    int rc;

    if (py_block_args("acquire", args, nargs, kwnames, &once, &deadline) < 0) {
        return NULL;
    }
    rc = lock(self, once, deadline);
    return rc < 0 ? NULL : PyBool_FromLong(rc == 0);
}

PyObject *
py_hold_release(PyObject *self, int (*unlock)(struct py_sync *x),
                bool recursive)
{
    struct py_sync *x = (struct py_sync *)self;
    int rc;

    if (py_shared_enter(self) == NULL) {
        return NULL;
    }
    rc = py_is_mine(x) ? unlock(x) : NDS_ENOTOWNER;
    py_shared_leave(self);
    if (rc == NDS_ENOTOWNER) {
        return py_not_held(recursive);
    }
    return rc < 0 ? py_raise(rc) : Py_NewRef(Py_None);
}

PyObject *
py_hold_is_mine(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(py_is_mine((struct py_sync *)self));
}

PyObject *
py_hold_count(PyObject *self, PyObject *unused)
{
    const struct py_sync *x = (struct py_sync *)self;

    (void)unused;
    return PyLong_FromUnsignedLong(py_is_mine(x) ? x->depth : 0);
}

PyObject *
py_hold_owner_died(PyObject *self, void *closure)
{
    const struct py_sync *x = (struct py_sync *)self;

    (void)closure;
    return PyBool_FromLong(x->owner_died && py_is_mine(x));
}

const char py_acquire_doc[] = PyDoc_STR(
"acquire($self, block=True, timeout=None)\n"
"--\n"
"\n"
"True once it is held; False if it did not come at once (`block` False) or\n"
"within `timeout` seconds. A holder that died passes it on: it is held then,\n"
"and `ndshare.OwnerDiedWarning` says so.\n");

static PyObject *
set_owner_died(PyObject *m, PyObject *class)
{
    Py_INCREF(class);
    Py_XSETREF(py_state_of(m)->refs[PY_OWNER_DIED], class);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"_set_owner_died", set_owner_died, METH_O, "The warning's class."},
    {NULL, NULL, 0, NULL},
};

int
py_add_hold(PyObject *m)
{
    return PyModule_AddFunctions(m, functions);
}
