/* SPDX-License-Identifier: MIT */
/*
 * py_guard.c - an array's lock, its generations and its sequence lock
 *
 * ArrayLock stands for the lock that lies in the array's own memory: any two
 * of the same array, here or elsewhere, are the same lock.
 */
#include "nd_py.h"

struct array_lock {
    PyObject_HEAD
    PyObject *array; /* keeps the memory */
    nds_array *under;
    PyObject *warning; /* lent by the module */
    bool owner_died; /* the holder before us; until we let go */
};

/* ---- waiting on an array ------------------------------------------------ */

struct wait {
    nds_array *a;
    uint64_t number;
};

static int
lock_slice(void *ctx, int64_t timeout_ns)
{
    return nds_array_lock(((struct wait *)ctx)->a, timeout_ns);
}

static int
changed_slice(void *ctx, int64_t timeout_ns)
{
    const struct wait *w = ctx;

    return nds_array_wait_changed(w->a, w->number, timeout_ns);
}

static int
write_slice(void *ctx, int64_t timeout_ns)
{
    return nds_array_write_begin(((struct wait *)ctx)->a, timeout_ns);
}

static int
read_slice(void *ctx, int64_t timeout_ns)
{
    struct wait *w = ctx;

    return nds_array_read_begin(w->a, &w->number, timeout_ns);
}

/* ---- ArrayLock ---------------------------------------------------------- */

static PyObject *
lock_new(PyTypeObject *type, PyObject *args, PyObject *kwds)
{
    PyObject *array, *m = PyType_GetModule(type);
    struct array_lock *l;
    nds_array *a;

    (void)kwds;
    if (m == NULL || !PyArg_ParseTuple(args, "O:ArrayLock", &array)) {
        return NULL;
    }
    a = py_need_array(m, array);
    if (a == NULL) {
        return NULL;
    }
    l = (struct array_lock *)type->tp_alloc(type, 0);
    if (l != NULL) {
        l->array = Py_NewRef(array);
        l->under = a;
        l->warning = py_state_of(m)->refs[PY_OWNER_DIED];
    }
    return (PyObject *)l;
}

static int
lock_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((struct array_lock *)self)->array);
#if PY_VERSION_HEX >= 0x03090000
    Py_VISIT(Py_TYPE(self));
#endif
    return 0;
}

static void
lock_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    Py_CLEAR(((struct array_lock *)self)->array);
    type->tp_free(self);
    Py_DECREF(type);
}

/* 1 held, 0 not within the time, -1 an exception. */
static int
take(struct array_lock *l, int64_t deadline)
{
    struct wait w = {.a = l->under};
    int rc = nds_array_lock(l->under, 0);

    if (rc == NDS_EAGAIN || rc == NDS_ETIMEDOUT) {
        rc = py_wait(lock_slice, &w, deadline);
    }
    if (rc == NDS_ETIMEDOUT) {
        return 0;
    }
    l->owner_died = rc == NDS_EOWNERDEAD;
    if (l->owner_died &&
        PyErr_WarnEx(l->warning,
                     "the process that held this array's lock died; what it "
                     "was writing may be half done", 2) < 0) {
        nds_array_unlock(l->under);
        return -1;
    }
    if (rc < 0 && rc != NDS_EOWNERDEAD) {
        py_raise(rc);
        return -1;
    }
    return rc == PY_RAISED ? -1 : 1;
}

PyDoc_STRVAR(acquire_doc,
"acquire($self, /, block=True, timeout=None)\n"
"--\n"
"\n"
"Takes the lock; False if that took longer than `timeout` seconds.\n"
"\n"
"If the process that held it was killed, the lock comes to you all the same:\n"
"with OwnerDiedWarning, and `owner_died` true until you release it.\n");

static PyObject *
lock_acquire(PyObject *self, PyObject *args, PyObject *kwds)
{
    static char *names[] = {"block", "timeout", NULL};
    PyObject *timeout = NULL;
    int64_t deadline;
    int block = 1, got;

    if (!PyArg_ParseTupleAndKeywords(args, kwds, "|pO:acquire", names, &block,
                                     &timeout) ||
        py_deadline(timeout, &deadline) < 0) {
        return NULL;
    }
    got = take((struct array_lock *)self, block ? deadline : 0);
    return got < 0 ? NULL : PyBool_FromLong(got);
}

static PyObject *
lock_release(PyObject *self, PyObject *unused)
{
    struct array_lock *l = (struct array_lock *)self;
    int rc = nds_array_unlock(l->under);

    (void)unused;
    if (rc < 0) {
        return py_raise(rc);
    }
    l->owner_died = false;
    Py_RETURN_NONE;
}

static PyObject *
lock_poison(PyObject *self, PyObject *unused)
{
    int rc = nds_array_poison(((struct array_lock *)self)->under);

    (void)unused;
    if (rc < 0) {
        return py_raise(rc);
    }
    Py_RETURN_NONE;
}

static PyObject *
lock_enter(PyObject *self, PyObject *unused)
{
    (void)unused;
    return take((struct array_lock *)self, NDS_FOREVER) < 0 ? NULL
                                                            : Py_NewRef(self);
}

static PyObject *
lock_exit(PyObject *self, PyObject *args)
{
    (void)args;
    return lock_release(self, NULL);
}

static PyObject *
lock_owner_died(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(((struct array_lock *)self)->owner_died);
}

static PyMethodDef lock_methods[] = {
    {"acquire", (PyCFunction)(void (*)(void))lock_acquire,
     METH_VARARGS | METH_KEYWORDS, acquire_doc},
    {"release", lock_release, METH_NOARGS,
     "Lets the lock go; who waits for a change of the array hears of it."},
    {"poison", lock_poison, METH_NOARGS,
     "Instead of release: whoever wants it gets RuntimeError from now on."},
    {"__enter__", lock_enter, METH_NOARGS, NULL},
    {"__exit__", lock_exit, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef lock_getset[] = {
    {"owner_died", lock_owner_died, NULL,
     "Whether the holder before this one died holding it.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot lock_slots[] = {
    {Py_tp_doc, "ArrayLock(array)\n--\n\nThe lock in an array's own memory."},
    {Py_tp_new, lock_new},
    {Py_tp_dealloc, lock_dealloc},
    {Py_tp_traverse, lock_traverse},
    {Py_tp_methods, lock_methods},
    {Py_tp_getset, lock_getset},
    {0, NULL},
};

static PyType_Spec lock_spec = {
    .name = "ndshare._core.ArrayLock",
    .basicsize = sizeof(struct array_lock),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = lock_slots,
};

/* ---- generations -------------------------------------------------------- */

static PyObject *
generation(PyObject *m, PyObject *array)
{
    nds_array *a = py_need_array(m, array);
    uint64_t gen;
    int rc = a == NULL ? 0 : nds_array_generation(a, &gen);

    return a == NULL ? NULL
           : rc < 0  ? py_raise(rc)
                     : PyLong_FromUnsignedLongLong(gen);
}

static PyObject *
changed(PyObject *m, PyObject *array)
{
    nds_array *a = py_need_array(m, array);
    int rc = a == NULL ? 0 : nds_array_changed(a);

    if (a == NULL || rc < 0) {
        return a == NULL ? NULL : py_raise(rc);
    }
    Py_RETURN_NONE;
}

static PyObject *
wait_changed(PyObject *m, PyObject *args)
{
    PyObject *array, *timeout, *after;
    struct wait w = {0};
    int64_t deadline;
    int rc = 0;

    if (!PyArg_ParseTuple(args, "OOO:_wait_changed", &array, &timeout,
                          &after) ||
        py_deadline(timeout, &deadline) < 0) {
        return NULL;
    }
    w.a = py_need_array(m, array);
    if (w.a == NULL) {
        return NULL;
    }
    if (after == Py_None) {
        rc = nds_array_generation(w.a, &w.number);
    } else {
        w.number = PyLong_AsUnsignedLongLong(after);
        if (PyErr_Occurred()) {
            return NULL;
        }
    }
    if (rc == 0) {
        rc = py_wait(changed_slice, &w, deadline);
    }
    return rc == PY_RAISED         ? NULL
           : rc == NDS_ETIMEDOUT   ? Py_NewRef(Py_False)
           : rc < 0                ? py_raise(rc)
                                   : Py_NewRef(Py_True);
}

/* ---- the sequence lock -------------------------------------------------- */

static PyObject *
write_begin(PyObject *m, PyObject *args)
{
    PyObject *array, *timeout;
    struct wait w = {0};
    int64_t deadline;
    int rc;

    if (!PyArg_ParseTuple(args, "OO:_write_begin", &array, &timeout) ||
        py_deadline(timeout, &deadline) < 0) {
        return NULL;
    }
    w.a = py_need_array(m, array);
    if (w.a == NULL) {
        return NULL;
    }
    rc = py_wait(write_slice, &w, deadline);
    return rc == PY_RAISED                      ? NULL
           : rc < 0 && rc != NDS_EOWNERDEAD     ? py_raise(rc)
                                                : PyBool_FromLong(rc < 0);
}

static PyObject *
write_end(PyObject *m, PyObject *array)
{
    nds_array *a = py_need_array(m, array);
    int rc = a == NULL ? 0 : nds_array_write_end(a);

    if (a == NULL || rc < 0) {
        return a == NULL ? NULL : py_raise(rc);
    }
    Py_RETURN_NONE;
}

static PyObject *
read_begin(PyObject *m, PyObject *args)
{
    PyObject *array, *timeout;
    struct wait w = {0};
    int64_t deadline;
    int rc;

    if (!PyArg_ParseTuple(args, "OO:_read_begin", &array, &timeout) ||
        py_deadline(timeout, &deadline) < 0) {
        return NULL;
    }
    w.a = py_need_array(m, array);
    if (w.a == NULL) {
        return NULL;
    }
    rc = py_wait(read_slice, &w, deadline);
    return rc == PY_RAISED ? NULL
           : rc < 0        ? py_raise(rc)
                           : PyLong_FromUnsignedLongLong(w.number);
}

static PyObject *
read_retry(PyObject *m, PyObject *args)
{
    unsigned long long seen;
    PyObject *array;
    nds_array *a;

    if (!PyArg_ParseTuple(args, "OK:_read_retry", &array, &seen)) {
        return NULL;
    }
    a = py_need_array(m, array);
    return a == NULL ? NULL : PyBool_FromLong(nds_array_read_retry(a, seen));
}

static PyObject *
flush(PyObject *m, PyObject *array)
{
    nds_array *a = py_need_array(m, array);
    int rc;

    if (a == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    rc = nds_array_flush(a);
    Py_END_ALLOW_THREADS
    if (rc < 0) {
        return py_raise(rc);
    }
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"_generation", generation, METH_O, "_generation(array): data_gen."},
    {"_changed", changed, METH_O, "_changed(array): raises data_gen."},
    {"_wait_changed", wait_changed, METH_VARARGS,
     "_wait_changed(array, timeout, after): whether data_gen > after."},
    {"_write_begin", write_begin, METH_VARARGS,
     "_write_begin(array, timeout): whether the last writer died writing."},
    {"_write_end", write_end, METH_O, "_write_end(array)"},
    {"_read_begin", read_begin, METH_VARARGS,
     "_read_begin(array, timeout): a number for _read_retry."},
    {"_read_retry", read_retry, METH_VARARGS,
     "_read_retry(array, seen): whether a writer was at work meanwhile."},
    {"_flush", flush, METH_O, "_flush(array): msync of a file."},
    {NULL, NULL, 0, NULL},
};

int
py_add_guard(PyObject *m)
{
    if (py_add_type(m, &lock_spec) == NULL) {
        return -1;
    }
    return PyModule_AddFunctions(m, functions);
}
