/* SPDX-License-Identifier: MIT */
/*
 * module.c - ndshare._core: what the Python package is made of
 *
 * Multi-phase, with all state in the module. The package's Python files give
 * these parts their faces; nothing here is public by itself.
 */
#include "nd_py.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define SLICE_NS NDS_MSEC(50)

struct py_state *
py_state_of(PyObject *m)
{
    return PyModule_GetState(m);
}

PyTypeObject *
py_add_type(PyObject *m, PyType_Spec *spec)
{
    PyType_Spec plain = *spec;
    PyObject *type;
    const char *dot;

#if PY_VERSION_HEX < 0x030A0000
    plain.flags &= ~(unsigned)Py_TPFLAGS_DISALLOW_INSTANTIATION;
#endif
    type = PyType_FromModuleAndSpec(m, &plain, NULL);
    if (type == NULL) {
        return NULL;
    }
#if PY_VERSION_HEX < 0x030A0000
    if ((spec->flags & Py_TPFLAGS_DISALLOW_INSTANTIATION) != 0) {
        ((PyTypeObject *)type)->tp_new = NULL;
    }
#endif
    dot = strrchr(spec->name, '.');
    if (PyModule_AddObject(m, dot != NULL ? dot + 1 : spec->name, type) < 0) {
        Py_DECREF(type);
        return NULL;
    }
    // The module has taken the count.
    return (PyTypeObject *)type;
}

/* ---- errors ------------------------------------------------------------- */

/* Where exceptions live that are no built-ins. */
static const struct {
    const char *name;
    const char *module;
} elsewhere[] = {
    {"BrokenBarrierError", "threading"},
    {"AuthenticationError", "multiprocessing"},
    {"UnpicklingError", "pickle"},
    {"RemoteError", "multiprocessing.managers"},
};

static PyObject *
exception_named(const char *name)
{
    const char *module = "builtins";
    PyObject *m, *type;

    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
        if (strcmp(name, elsewhere[i].name) == 0) {
            module = elsewhere[i].module;
        }
    }
    m = PyImport_ImportModule(module);
    if (m == NULL) {
        return NULL;
    }
    type = PyObject_GetAttrString(m, name);
    Py_DECREF(m);
    return type;
}

/* What errno would have said, for the exceptions that carry one. */
static int
errno_of(int rc, int saved)
{
    if (saved != 0) {
        return saved;
    }
    switch (rc) {
    case NDS_EEXIST:
        return EEXIST;
    case NDS_ENOENT:
        return ENOENT;
    case NDS_EPERM:
        return EACCES;
    case NDS_ENOSPC:
        return ENOSPC;
    case NDS_ETIMEDOUT:
        return ETIMEDOUT;
    case NDS_EAGAIN:
        return EAGAIN;
    case NDS_EBUSY:
        return EBUSY;
    case NDS_ESTALE:
        return ESTALE;
    case NDS_EPROTO:
        return EPROTO;
    default:
        return EIO;
    }
}

PyObject *
py_raise(int rc)
{
    const nds_error *e = nds_last_error();
    bool outcome = rc == NDS_ETIMEDOUT || rc == NDS_EAGAIN ||
                   rc == NDS_EOWNERDEAD || e->code != rc;
    const char *text = outcome ? nds_strerror(rc) : e->message;
    int number = errno_of(rc, outcome ? 0 : e->saved_errno);
    PyObject *type = exception_named(nds_error_python(rc));
    PyObject *message, *args = NULL;

    if (type == NULL) {
        return NULL;
    }
    message = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
    if (message != NULL &&
        PyObject_IsSubclass(type, PyExc_OSError) == 1) {
        args = Py_BuildValue("(iO)", number, message);
    } else if (message != NULL) {
        args = PyTuple_Pack(1, message);
    }
    if (args != NULL) {
        PyErr_SetObject(type, args);
    }
    Py_XDECREF(args);
    Py_XDECREF(message);
    Py_DECREF(type);
    return NULL;
}

/* ---- waiting ------------------------------------------------------------ */

static int64_t
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return NDS_SEC(t.tv_sec) + t.tv_nsec;
}

int
py_deadline(PyObject *timeout, int64_t *deadline)
{
    double seconds;

    *deadline = NDS_FOREVER;
    if (timeout == NULL || timeout == Py_None) {
        return 0;
    }
    seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (seconds != seconds) {
        PyErr_SetString(PyExc_ValueError, "a time-out that is not a number");
        return -1;
    }
    if (seconds < 1e9) { // more is for ever
        *deadline = now_ns() + (seconds > 0 ? (int64_t)(seconds * 1e9) : 0);
    }
    return 0;
}

int
py_wait(int (*fn)(void *ctx, int64_t timeout_ns), void *ctx, int64_t deadline)
{
    for (;;) {
        int64_t slice = SLICE_NS;
        int rc;

        if (deadline != NDS_FOREVER) {
            int64_t left = deadline - now_ns();

            slice = left <= 0 ? 0 : left < SLICE_NS ? left : SLICE_NS;
        }
        Py_BEGIN_ALLOW_THREADS
        rc = fn(ctx, slice);
        Py_END_ALLOW_THREADS
        if (rc != NDS_ETIMEDOUT && rc != NDS_EAGAIN) {
            return rc;
        }
        if (PyErr_CheckSignals() < 0) {
            return PY_RAISED;
        }
        if (slice < SLICE_NS) {
            return NDS_ETIMEDOUT;
        }
    }
}

/* ---- the module --------------------------------------------------------- */

static int (*const parts[])(PyObject *m) = {
    py_add_array,
    py_add_shared,
    py_add_item,
    py_add_loan,
    py_add_queue,
    py_add_pipe,
    py_add_sync,
    py_add_serve,
};

static int
exec_module(PyObject *m)
{
    int rc = nds_guard_install();

    if (rc < 0) {
        py_raise(rc);
        return -1;
    }
    if (PyModule_AddStringConstant(m, "version", nds_version()) < 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i](m) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
traverse_module(PyObject *m, visitproc visit, void *arg)
{
    struct py_state *st = py_state_of(m);

    Py_VISIT(st->owner);
    Py_VISIT(st->loan);
    Py_VISIT(st->ndarray);
    Py_VISIT(st->load_dtype);
    Py_VISIT(st->dtypes);
    for (int i = 0; i < PY_REF_COUNT; i++) {
        Py_VISIT(st->refs[i]);
    }
    for (int i = 0; i < NDS_TYPE_COUNT; i++) {
        Py_VISIT(st->builtin[i]);
    }
    return 0;
}

static int
clear_module(PyObject *m)
{
    struct py_state *st = py_state_of(m);

    Py_CLEAR(st->owner);
    Py_CLEAR(st->loan);
    Py_CLEAR(st->ndarray);
    Py_CLEAR(st->load_dtype);
    Py_CLEAR(st->dtypes);
    for (int i = 0; i < PY_REF_COUNT; i++) {
        Py_CLEAR(st->refs[i]);
    }
    for (int i = 0; i < NDS_TYPE_COUNT; i++) {
        Py_CLEAR(st->builtin[i]);
    }
    return 0;
}

static void
free_module(void *m)
{
    (void)clear_module(m);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, exec_module},
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "ndshare._core",
    .m_doc = "The C part of the package ndshare.",
    .m_size = sizeof(struct py_state),
    .m_slots = slots,
    .m_traverse = traverse_module,
    .m_clear = clear_module,
    .m_free = free_module,
};

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&module);
}
