/* SPDX-License-Identifier: MIT */
/*
 * py_event.c - events: set or not, and who waits for it
 */
#include "py_sync.h"

PY_SYNC_KIND(event, "event");

static PyObject *
event_create(PyObject *self, PyObject *args)
{
    nds_event *e = NULL;
    const char *name;
    int rc;

    if (!PyArg_ParseTuple(args, "z:_create", &name)) {
        return NULL;
    }
    rc = name != NULL ? nds_event_create(&e, name) : nds_event_new(&e);
    return py_sync_made(self, e, rc);
}

static int
event_wait_slice(void *handle, int64_t timeout_ns)
{
    return nds_event_wait(handle, timeout_ns);
}

static PyObject *
event_wait(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames)
{
    static const char *const names[] = {"timeout", NULL};
    PyObject *timeout;
    int64_t deadline;

    if (py_args("wait", args, nargs, kwnames, names, 0, &timeout) < 0 ||
        py_deadline(timeout, &deadline) < 0) {
        return NULL;
    }
    return py_acquire(self, event_wait_slice, false, deadline);
}

PY_CALL_METHOD(event_set, nds_event_set)
PY_CALL_METHOD(event_clear, nds_event_clear)

static PyObject *
event_is_set(PyObject *self, PyObject *unused)
{
    void *handle = py_shared_enter(self);
    bool yes;

    (void)unused;
    if (handle == NULL) {
        return NULL;
    }
    yes = nds_event_is_set(handle);
    py_shared_leave(self);
    return PyBool_FromLong(yes);
}

static PyMethodDef methods[] = {
    {"_create", event_create, METH_VARARGS, "_create(name)"},
    {"set", event_set, METH_NOARGS,
     "set($self, /)\n--\n\nLet everybody go on, now and later."},
    {"clear", event_clear, METH_NOARGS,
     "clear($self, /)\n--\n\nFrom now on, who waits waits."},
    {"is_set", event_is_set, METH_NOARGS,
     "is_set($self, /)\n--\n\nWhether it is set."},
    {"wait", PY_FAST(event_wait), PY_SYNC_FAST,
     "wait($self, timeout=None)\n--\n\n"
     "True once it is set; False after `timeout` seconds."},
    PY_SYNC_METHODS,
};

static PyGetSetDef getset[] = {
    PY_SYNC_GETSET,
};

int
py_add_event(PyObject *m)
{
    return py_sync_add(m, "ndshare._core.Event", new_event, methods, getset);
}
