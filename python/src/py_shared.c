/* SPDX-License-Identifier: MIT */
/* py_shared.c - the life of a handle in Python, and how it crosses */
#include "py_shared.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The module of the C type at the bottom; subclasses in Python have none. */
static PyObject *
module_of(PyTypeObject *type)
{
    for (; type != NULL; type = type->tp_base) {
        PyObject *m = NULL;

        if ((type->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0) {
            m = PyType_GetModule(type);
        }
        if (m != NULL) {
            return m;
        }
        PyErr_Clear();
    }
    PyErr_SetString(PyExc_SystemError, "a type without its module");
    return NULL;
}

PyObject *
py_shared_new(PyTypeObject *type, const struct py_kind *kind)
{
    PyObject *m = module_of(type);
    struct py_shared *s = m == NULL ? NULL
                          : (struct py_shared *)type->tp_alloc(type, 0);

    if (s == NULL) {
        return NULL;
    }
    Py_INCREF(m);
    s->module = m;
    s->st = py_state_of(m);
    s->kind = kind;
    return (PyObject *)s;
}

static void
drop(struct py_shared *s)
{
    void *handle = s->handle;

    s->handle = NULL;
    if (handle != NULL) {
        Py_BEGIN_ALLOW_THREADS
        s->kind->close(handle);
        Py_END_ALLOW_THREADS
    }
}

void
py_shared_dealloc(PyObject *self)
{
    struct py_shared *s = (struct py_shared *)self;
    PyTypeObject *type = Py_TYPE(self);

    drop(s);
    Py_XDECREF(s->module);
    type->tp_free(self);
    Py_DECREF(type);
}

void *
py_shared_enter(PyObject *self)
{
    struct py_shared *s = (struct py_shared *)self;

    if (s->handle == NULL || s->closed) {
        PyErr_Format(PyExc_ValueError,
                     s->handle == NULL && !s->closed
                         ? "%s %R has not been made"
                         : "%s %R is closed", s->kind->noun, self);
        return NULL;
    }
    s->busy++;
    return s->handle;
}

void
py_shared_leave(PyObject *self)
{
    struct py_shared *s = (struct py_shared *)self;

    if (--s->busy == 0 && s->closed) {
        drop(s);
    }
}

void
py_shared_close(PyObject *self)
{
    struct py_shared *s = (struct py_shared *)self;

    s->closed = true;
    if (s->busy == 0) {
        drop(s);
    }
}

PyObject *
py_shared_call(PyObject *self, int (*fn)(void *handle))
{
    void *handle = py_shared_enter(self);
    int rc;

    if (handle == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    rc = fn(handle);
    Py_END_ALLOW_THREADS
    py_shared_leave(self);
    return rc < 0 ? py_raise(rc) : Py_NewRef(Py_None);
}

int
py_shared_made(PyObject *self, void *handle, int rc)
{
    struct py_shared *s = (struct py_shared *)self;

    if (rc < 0) {
        py_raise(rc);
        return -1;
    }
    if (s->handle != NULL) {
        s->kind->close(handle);
        PyErr_Format(PyExc_RuntimeError, "%s %R has been made already",
                     s->kind->noun, self);
        return -1;
    }
    s->handle = handle;
    s->closed = false;
    return 0;
}

struct attaching {
    const struct py_kind *kind;
    const char *name;
    void *handle;
};

static int
attach_slice(void *ctx, int64_t timeout_ns)
{
    struct attaching *w = ctx;

    return w->kind->attach(&w->handle, w->name, timeout_ns);
}

PyObject *
py_shared_attach(PyObject *self, PyObject *args)
{
    struct attaching w = {.kind = ((struct py_shared *)self)->kind};
    PyObject *wait;
    int64_t deadline;
    int rc;

    if (!PyArg_ParseTuple(args, "sO:_attach", &w.name, &wait) ||
        py_deadline(wait, &deadline) < 0) {
        return NULL;
    }
    rc = py_wait(attach_slice, &w, deadline);
    if (rc == PY_RAISED || py_shared_made(self, w.handle, rc) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
py_shared_is_closed(PyObject *self, void *closure)
{
    const struct py_shared *s = (struct py_shared *)self;

    (void)closure;
    return PyBool_FromLong(s->closed || s->handle == NULL);
}

/* ---- to another process ------------------------------------------------- */

/* (bytes, (descriptor, ...)); the descriptors are the caller's. */
static PyObject *
pack(const char *kind, void *handle)
{
    void *bytes = NULL;
    int fds[NDS_HANDLE_FDS];
    PyObject *descriptors, *made = NULL;
    size_t nbytes;
    int nfds, rc;

    Py_BEGIN_ALLOW_THREADS
    rc = nds_handle_pack(kind, handle, &bytes, &nbytes, fds, &nfds);
    Py_END_ALLOW_THREADS
    if (rc < 0) {
        return py_raise(rc);
    }
    descriptors = PyTuple_New(nfds);
    for (int i = 0; descriptors != NULL && i < nfds; i++) {
        PyObject *n = PyLong_FromLong(fds[i]);

        if (n == NULL) {
            Py_CLEAR(descriptors);
        } else {
            PyTuple_SET_ITEM(descriptors, i, n);
        }
    }
    if (descriptors != NULL) {
        made = Py_BuildValue("y#N", bytes, (Py_ssize_t)nbytes, descriptors);
    }
    for (int i = 0; made == NULL && i < nfds; i++) {
        close(fds[i]);
    }
    free(bytes);
    return made;
}

PyObject *
py_shared_pack(PyObject *self, PyObject *unused)
{
    void *handle = py_shared_enter(self);
    PyObject *made;

    (void)unused;
    if (handle == NULL) {
        return NULL;
    }
    made = pack(((struct py_shared *)self)->kind->kind, handle);
    py_shared_leave(self);
    return made;
}

/* Descriptors of a list or tuple; those found are the caller's on failure. */
static int
descriptors_from(PyObject *list, int *fds, int *nfds)
{
    PyObject *fast = PySequence_Fast(list, "descriptors must be a sequence");
    Py_ssize_t n = fast == NULL ? -1 : PySequence_Fast_GET_SIZE(fast);

    *nfds = 0;
    if (n > NDS_HANDLE_FDS) {
        PyErr_SetString(PyExc_ValueError, "too many descriptors");
        n = -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        long fd = PyLong_AsLong(PySequence_Fast_GET_ITEM(fast, i));

        if (fd == -1 && PyErr_Occurred()) {
            n = -1;
        } else {
            fds[(*nfds)++] = (int)fd;
        }
    }
    Py_XDECREF(fast);
    return n < 0 ? -1 : 0;
}

/* Of (bytes, descriptors); *rc is the library's. -1: an exception. */
static int
unpack(const char *kind, PyObject *args, void **handle, int *rc)
{
    int fds[NDS_HANDLE_FDS];
    const char *bytes;
    Py_ssize_t nbytes;
    PyObject *list;
    int nfds;

    *handle = NULL;
    if (!PyArg_ParseTuple(args, "y#O:_unpack", &bytes, &nbytes, &list)) {
        return -1;
    }
    if (descriptors_from(list, fds, &nfds) < 0) {
        for (int i = 0; i < nfds; i++) {
            close(fds[i]);
        }
        return -1;
    }
    Py_BEGIN_ALLOW_THREADS
    *rc = nds_handle_unpack(kind, bytes, (size_t)nbytes, fds, nfds, handle);
    Py_END_ALLOW_THREADS
    return 0;
}

PyObject *
py_shared_unpack(PyObject *self, PyObject *args)
{
    void *handle;
    int rc;

    if (unpack(((struct py_shared *)self)->kind->kind, args, &handle,
               &rc) < 0 || py_shared_made(self, handle, rc) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
array_pack(PyObject *m, PyObject *array)
{
    nds_array *a = py_array_under(py_state_of(m), array);

    if (a == NULL) {
        PyErr_SetString(PyExc_TypeError, "not a shared array");
        return NULL;
    }
    return pack("array", a);
}

static PyObject *
array_unpack(PyObject *m, PyObject *args)
{
    void *handle;
    int rc;

    if (unpack("array", args, &handle, &rc) < 0) {
        return NULL;
    }
    return rc < 0 ? py_raise(rc) : py_ndarray_over(py_state_of(m), handle);
}

static PyMethodDef functions[] = {
    {"_array_pack", array_pack, METH_O,
     "What another process needs for the whole array under this one."},
    {"_array_unpack", array_unpack, METH_VARARGS,
     "_array_unpack(bytes, descriptors): the array."},
    {NULL, NULL, 0, NULL},
};

int
py_add_shared(PyObject *m)
{
    return PyModule_AddFunctions(m, functions);
}

/* ---- arguments ---------------------------------------------------------- */

static int
index_of(const char *const *names, PyObject *name)
{
    for (int i = 0; names[i] != NULL; i++) {
        if (PyUnicode_CompareWithASCIIString(name, names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

int
py_args(const char *function, PyObject *const *args, Py_ssize_t nargs,
        PyObject *kwnames, const char *const *names, int required,
        PyObject **out)
{
    Py_ssize_t more = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);
    int room = 0;

    while (names[room] != NULL) {
        out[room] = room < nargs ? args[room] : NULL;
        room++;
    }
    if (nargs > room) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %d arguments (%zd "
                     "given)", function, room, nargs);
        return -1;
    }
    for (Py_ssize_t k = 0; k < more; k++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, k);
        int i = index_of(names, name);

        if (i < 0 || out[i] != NULL) {
            PyErr_Format(PyExc_TypeError,
                         i < 0 ? "%s() got an unexpected keyword argument %R"
                               : "%s() got multiple values for argument %R",
                         function, name);
            return -1;
        }
        out[i] = args[nargs + k];
    }
    for (int i = 0; i < required; i++) {
        if (out[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() missing required argument: "
                         "'%s'", function, names[i]);
            return -1;
        }
    }
    return 0;
}

int
py_block(PyObject *block, PyObject *timeout, bool *once, int64_t *deadline)
{
    int yes = block == NULL || block == Py_True ? 1 : PyObject_IsTrue(block);

    *deadline = NDS_FOREVER;
    *once = yes == 0;
    if (yes < 0) {
        return -1;
    }
    return *once ? 0 : py_deadline(timeout, deadline);
}
