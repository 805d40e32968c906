/* SPDX-License-Identifier: MIT */
/*
 * py_rwlock.c - a lock of readers and writers
 */
#include "py_sync.h"

PY_SYNC_KIND(rwlock, "lock");

static PyObject *
rwlock_create(PyObject *self, PyObject *args)
{
    nds_rwlock *l = NULL;
    const char *name;
    int rc;

    if (!PyArg_ParseTuple(args, "z:_create", &name)) {
        return NULL;
    }
    rc = name != NULL ? nds_rwlock_create(&l, name) : nds_rwlock_new(&l);
    return py_sync_made(self, l, rc);
}

static int
read_slice(void *handle, int64_t timeout_ns)
{
    return nds_rwlock_rdlock(handle, timeout_ns);
}

static int
write_slice(void *handle, int64_t timeout_ns)
{
    return nds_rwlock_wrlock(handle, timeout_ns);
}

static PyObject *
rwlock_acquire(PyObject *self, py_wait_fn fn, bool once, int64_t deadline)
{
    struct py_sync *x = (struct py_sync *)self;
    void *handle = py_shared_enter(self);
    int rc;

    if (handle == NULL) {
        return NULL;
    }
    rc = py_wait_or_try(fn, handle, once, deadline);
    if (rc == NDS_EOWNERDEAD && py_warn_owner_died(x) < 0) {
        (void)nds_rwlock_unlock(handle);
        rc = PY_RAISED;
    }
    py_shared_leave(self);
    return py_waited(rc == NDS_EOWNERDEAD ? 0 : rc);
}

static PyObject *
rwlock_read(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    int64_t deadline;
    bool once;

    if (py_block_args("acquire_read", args, nargs, kwnames, &once,
                   &deadline) < 0) {
        return NULL;
    }
    return rwlock_acquire(self, read_slice, once, deadline);
}

static PyObject *
rwlock_write(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    int64_t deadline;
    bool once;

    if (py_block_args("acquire_write", args, nargs, kwnames, &once,
                   &deadline) < 0) {
        return NULL;
    }
    return rwlock_acquire(self, write_slice, once, deadline);
}

static PyObject *
rwlock_release(PyObject *self, PyObject *unused)
{
    struct py_sync *x = (struct py_sync *)self;
    void *handle = py_shared_enter(self);
    int rc;

    (void)unused;
    if (handle == NULL) {
        return NULL;
    }
    x->owner_died = false;
    rc = nds_rwlock_unlock(handle);
    py_shared_leave(self);
    return rc == NDS_ENOTOWNER ? py_not_held(x->recursive)
           : rc < 0            ? py_raise(rc)
                               : Py_NewRef(Py_None);
}

static PyMethodDef methods[] = {
    {"_create", rwlock_create, METH_VARARGS, "_create(name)"},
    {"acquire_read", PY_FAST(rwlock_read), PY_SYNC_FAST,
     "acquire_read($self, block=True, timeout=None)\n--\n\n"
     "Hold it with other readers; False if it did not come."},
    {"acquire_write", PY_FAST(rwlock_write), PY_SYNC_FAST,
     "acquire_write($self, block=True, timeout=None)\n--\n\n"
     "Hold it alone; False if it did not come."},
    {"release", rwlock_release, METH_NOARGS,
     "release($self, /)\n--\n\nLet it go."},
    PY_SYNC_METHODS,
};

static PyGetSetDef getset[] = {
    PY_SYNC_GETSET,
};

int
py_add_rwlock(PyObject *m)
{
    return py_sync_add(m, "ndshare._core.RWLock", new_rwlock, methods, getset);
}
