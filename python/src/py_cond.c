/* SPDX-License-Identifier: MIT */
/*
 * py_cond.c - conditions, with the lock of their own
 *
 * The library's lock of a condition is held once; how often its thread
 * acquired it is counted here.
 */
#include "py_sync.h"

PY_SYNC_KIND(cond, "condition");

static PyObject *
cond_create(PyObject *self, PyObject *args)
{
    nds_cond *c = NULL;
    const char *name;
    int rc;

    if (!PyArg_ParseTuple(args, "z:_create", &name)) {
        return NULL;
    }
    rc = name != NULL ? nds_cond_create(&c, name) : nds_cond_new(&c);
    return py_sync_made(self, c, rc);
}

static int
cond_lock_wait(void *handle, int64_t timeout_ns)
{
    return nds_cond_lock(handle, timeout_ns);
}

static int
unlock_cond(struct py_sync *x)
{
    if (x->depth > 1) {
        x->depth--;
        return 0;
    }
    x->holder = 0;
    x->depth = 0;
    x->owner_died = false;
    return nds_cond_unlock(x->s.handle);
}

static int
lock_cond(PyObject *self, bool once, int64_t deadline)
{
    struct py_sync *x = (struct py_sync *)self;
    void *handle = py_shared_enter(self);
    int rc;

    if (handle == NULL) {
        return -1;
    }
    if (py_is_mine(x)) {
        x->depth++;
        py_shared_leave(self);
        return 0;
    }
    rc = py_wait_or_try(cond_lock_wait, handle, once, deadline);
    rc = py_hold_outcome(x, rc, unlock_cond);
    py_shared_leave(self);
    return py_hold_answer(rc);
}

static PyObject *
cond_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    return py_hold_acquire(self, args, nargs, kwnames, lock_cond);
}

static PyObject *
cond_release(PyObject *self, PyObject *unused)
{
    (void)unused;
    return py_hold_release(self, unlock_cond, true);
}

static PyObject *
need_lock(const char *what)
{
    PyErr_SetString(PyExc_AssertionError, what);
    return NULL;
}

/* One slice of a wait. The lock is held again after it, except with NDS_EBUSY:
 * then somebody keeps it for longer than the library is patient. */
static int
cond_slice(void *ctx, int64_t timeout_ns)
{
    int rc = nds_cond_wait(ctx, timeout_ns);

    return rc != NDS_EBUSY                         ? rc
           : (rc = nds_cond_lock(ctx, NDS_FOREVER)) ? rc : 0;
}

PyDoc_STRVAR(wait_doc,
"wait($self, timeout=None)\n"
"--\n"
"\n"
"Let the lock go, sleep until notified, and hold it again. False after\n"
"`timeout` seconds. May wake up without being notified: look at what you wait\n"
"for, or use `wait_for`.\n");

static PyObject *
cond_wait(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    static const char *const names[] = {"timeout", NULL};
    struct py_sync *x = (struct py_sync *)self;
    PyObject *timeout;
    int64_t deadline;
    unsigned depth;
    void *handle;
    int rc;

    if (py_args("wait", args, nargs, kwnames, names, 0, &timeout) < 0 ||
        py_deadline(timeout, &deadline) < 0) {
        return NULL;
    }
    if (!py_is_mine(x)) {
        return need_lock("must acquire() condition before using wait()");
    }
    handle = py_shared_enter(self);
    if (handle == NULL) {
        return NULL;
    }
    depth = x->depth;
    x->holder = 0;
    x->depth = 0;
    rc = py_wait(cond_slice, handle, deadline);
    py_shared_leave(self);
    py_note_hold(x);
    x->depth = depth;
    if (rc == NDS_EOWNERDEAD) {
        return py_warn_owner_died(x) < 0 ? NULL : Py_NewRef(Py_True);
    }
    return py_waited(rc);
}

static PyObject *
notify(PyObject *self, int n)
{
    void *handle;
    int rc;

    if (!py_is_mine((struct py_sync *)self)) {
        return need_lock("lock is not owned");
    }
    handle = py_shared_enter(self);
    if (handle == NULL) {
        return NULL;
    }
    rc = nds_cond_notify(handle, n);
    py_shared_leave(self);
    return rc < 0 ? py_raise(rc) : Py_NewRef(Py_None);
}

static PyObject *
cond_notify(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    static const char *const names[] = {"n", NULL};
    PyObject *given;
    long n = 1;

    if (py_args("notify", args, nargs, kwnames, names, 0, &given) < 0) {
        return NULL;
    }
    if (given != NULL) {
        n = PyLong_AsLong(given);
        if (n == -1 && PyErr_Occurred()) {
            return NULL;
        }
    }
    return notify(self, n > INT32_MAX ? INT32_MAX : (int)n);
}

static PyObject *
cond_notify_all(PyObject *self, PyObject *unused)
{
    (void)unused;
    return notify(self, INT32_MAX);
}

static PyMethodDef methods[] = {
    {"_create", cond_create, METH_VARARGS, "_create(name)"},
    {"acquire", PY_FAST(cond_acquire), PY_SYNC_FAST, py_acquire_doc},
    {"release", cond_release, METH_NOARGS,
     "release($self, /)\n--\n\nLet the lock go."},
    {"wait", PY_FAST(cond_wait), PY_SYNC_FAST, wait_doc},
    {"notify", PY_FAST(cond_notify), PY_SYNC_FAST,
     "notify($self, n=1)\n--\n\nWake n that wait, or more."},
    {"notify_all", cond_notify_all, METH_NOARGS,
     "notify_all($self, /)\n--\n\nWake all that wait."},
    {"_is_mine", py_hold_is_mine, METH_NOARGS, "Whether this thread holds it."},
    {"_count", py_hold_count, METH_NOARGS, "How often this thread holds it."},
    PY_SYNC_METHODS,
};

static PyGetSetDef getset[] = {
    PY_HOLD_GETSET,
};

int
py_add_cond(PyObject *m)
{
    return py_sync_add(m, "ndshare._core.Cond", new_cond, methods, getset);
}
