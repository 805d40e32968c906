/* SPDX-License-Identifier: MIT */
/*
 * py_barrier.c - barriers: a number of parties that pass together
 *
 * A signal whose handler raises takes a party out, which breaks the barrier.
 */
#include "py_sync.h"

PY_SYNC_KIND(barrier, "barrier");

static PyObject *
barrier_create(PyObject *self, PyObject *args)
{
    nds_barrier *b = NULL;
    const char *name;
    unsigned parties;
    int rc;

    if (!PyArg_ParseTuple(args, "zI:_create", &name, &parties)) {
        return NULL;
    }
    rc = name != NULL ? nds_barrier_create(&b, name, parties)
                      : nds_barrier_new(&b, parties);
    return py_sync_made(self, b, rc);
}

/* A signal's handler that raises calls us away, and so breaks the barrier. */
static bool
called_away(void *ctx)
{
    PyThreadState **save = ctx;
    bool leave;

    PyEval_RestoreThread(*save);
    leave = PyErr_CheckSignals() < 0;
    *save = PyEval_SaveThread();
    return leave;
}

static PyObject *
barrier_wait(PyObject *self, PyObject *timeout)
{
    int64_t deadline, left = NDS_FOREVER;
    PyThreadState *save;
    nds_barrier *b;
    unsigned index;
    int rc;

    if (py_deadline(timeout, &deadline) < 0 ||
        (b = py_shared_enter(self)) == NULL) {
        return NULL;
    }
    if (deadline != NDS_FOREVER) {
        left = (int64_t)(PyFloat_AsDouble(timeout) * 1e9);
        left = left < 0 ? 0 : left;
    }
    save = PyEval_SaveThread();
    rc = nds_barrier_wait_unless(b, left, &index, called_away, &save);
    PyEval_RestoreThread(save);
    py_shared_leave(self);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (rc == NDS_EBROKEN) { // as multiprocessing: without a text
        PyErr_SetNone(((struct py_sync *)self)->s.st->refs[PY_BROKEN_BARRIER]);
        return NULL;
    }
    return rc < 0 ? py_raise(rc) : PyLong_FromUnsignedLong(index);
}

PY_CALL_METHOD(barrier_abort, nds_barrier_abort)
PY_CALL_METHOD(barrier_reset, nds_barrier_reset)

enum { PARTIES, WAITING, BROKEN };

static PyObject *
barrier_look(PyObject *self, void *closure)
{
    nds_barrier *b = py_shared_enter(self);
    unsigned value;

    if (b == NULL) {
        return NULL;
    }
    value = (intptr_t)closure == PARTIES   ? nds_barrier_parties(b)
            : (intptr_t)closure == WAITING ? nds_barrier_waiting(b)
                                           : nds_barrier_is_broken(b);
    py_shared_leave(self);
    return (intptr_t)closure == BROKEN ? PyBool_FromLong(value != 0)
                                       : PyLong_FromUnsignedLong(value);
}

static PyMethodDef methods[] = {
    {"_create", barrier_create, METH_VARARGS, "_create(name, parties)"},
    {"_wait", barrier_wait, METH_O, "_wait(timeout)"},
    {"abort", barrier_abort, METH_NOARGS,
     "abort($self, /)\n--\n\nBreak it: who waits, now or later, gets\n"
     "threading.BrokenBarrierError."},
    {"reset", barrier_reset, METH_NOARGS,
     "reset($self, /)\n--\n\nMake it whole; who waits in it gets\n"
     "threading.BrokenBarrierError."},
    PY_SYNC_METHODS,
};

static PyGetSetDef getset[] = {
    {"parties", barrier_look, NULL, "How many pass together.",
     (void *)PARTIES},
    {"n_waiting", barrier_look, NULL, "How many wait now.", (void *)WAITING},
    {"broken", barrier_look, NULL, "Whether it is broken.", (void *)BROKEN},
    PY_SYNC_GETSET,
};

int
py_add_barrier(PyObject *m)
{
    return py_sync_add(m, "ndshare._core.Barrier", new_barrier, methods,
                       getset);
}
