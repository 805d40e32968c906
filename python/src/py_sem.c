/* SPDX-License-Identifier: MIT */
/*
 * py_sem.c - semaphores: permits that are counted
 *
 * Plain ones, and owned ones, whose permits come back when their holder dies.
 */
#include "py_sync.h"

PY_SYNC_KIND(sem, "semaphore");

static PyObject *
sem_create(PyObject *self, PyObject *args)
{
    nds_sem *s = NULL;
    unsigned value, bound;
    const char *name;
    int owned, rc;

    if (!PyArg_ParseTuple(args, "zIIp:_create", &name, &value, &bound,
                          &owned)) {
        return NULL;
    }
    if (owned) {
        rc = name != NULL ? nds_sem_create_owned(&s, name, value)
                          : nds_sem_new_owned(&s, value);
    } else {
        rc = name != NULL ? nds_sem_create(&s, name, value, bound)
                          : nds_sem_new(&s, value, bound);
    }
    return py_sync_made(self, s, rc);
}

static int
sem_wait_slice(void *handle, int64_t timeout_ns)
{
    return nds_sem_acquire(handle, timeout_ns);
}

PyDoc_STRVAR(sem_acquire_doc,
"acquire($self, block=True, timeout=None)\n"
"--\n"
"\n"
"True once a permit is had; False if none came at once (`block` False) or\n"
"within `timeout` seconds.\n");

static PyObject *
sem_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    int64_t deadline;
    bool once;

    if (py_block_args("acquire", args, nargs, kwnames, &once, &deadline) < 0) {
        return NULL;
    }
    return py_acquire(self, sem_wait_slice, once, deadline);
}

static PyObject *
sem_release(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    static const char *const names[] = {"n", NULL};
    PyObject *given;
    unsigned long n = 1;
    void *handle;
    int rc;

    if (py_args("release", args, nargs, kwnames, names, 0, &given) < 0) {
        return NULL;
    }
    if (given != NULL) {
        n = PyLong_AsUnsignedLong(given);
        if (PyErr_Occurred()) {
            return NULL;
        }
    }
    if (n < 1 || n > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "n must be one or more");
        return NULL;
    }
    handle = py_shared_enter(self);
    if (handle == NULL) {
        return NULL;
    }
    rc = nds_sem_release(handle, (unsigned)n);
    py_shared_leave(self);
    if (rc == NDS_ELIMIT || rc == NDS_ENOTOWNER) {
        PyErr_Format(PyExc_ValueError, "semaphore or lock released too many "
                     "times%s", rc == NDS_ENOTOWNER
                                    ? ": this process does not hold it" : "");
        return NULL;
    }
    return rc < 0 ? py_raise(rc) : Py_NewRef(Py_None);
}

static PyObject *
sem_enter(PyObject *self, PyObject *unused)
{
    (void)unused;
    return py_acquire(self, sem_wait_slice, false, NDS_FOREVER);
}

static PyObject *
sem_exit(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    (void)args;
    (void)nargs;
    return sem_release(self, NULL, 0, NULL);
}

static PyObject *
sem_value(PyObject *self, PyObject *unused)
{
    void *handle = py_shared_enter(self);
    unsigned value;

    (void)unused;
    if (handle == NULL) {
        return NULL;
    }
    value = nds_sem_value(handle);
    py_shared_leave(self);
    return PyLong_FromUnsignedLong(value);
}

static PyMethodDef methods[] = {
    {"_create", sem_create, METH_VARARGS,
     "_create(name, value, bound, owned)"},
    {"acquire", PY_FAST(sem_acquire), PY_SYNC_FAST, sem_acquire_doc},
    {"release", PY_FAST(sem_release), PY_SYNC_FAST,
     "release($self, n=1)\n--\n\nGive n permits back."},
    {"get_value", sem_value, METH_NOARGS,
     "get_value($self, /)\n--\n\nHow many permits there are at this moment."},
    {"__enter__", sem_enter, METH_NOARGS, NULL},
    {"__exit__", PY_FAST(sem_exit), METH_FASTCALL, NULL},
    PY_SYNC_METHODS,
};

static PyGetSetDef getset[] = {
    PY_SYNC_GETSET,
};

int
py_add_sem(PyObject *m)
{
    return py_sync_add(m, "ndshare._core.Sem", new_sem, methods, getset);
}
