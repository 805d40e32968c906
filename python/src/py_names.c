/* SPDX-License-Identifier: MIT */
/* py_names.c - what lives in shared memory: list, describe, remove, sweep */
#include "nd_py.h"

#include <string.h>

/* ---- one name ----------------------------------------------------------- */

static PyObject *
shape_object(const nds_name_info *info)
{
    PyObject *t;

    if (info->dtype[0] == '\0') {
        Py_RETURN_NONE; // no array
    }
    t = PyTuple_New(info->ndim);
    for (int i = 0; t != NULL && i < info->ndim; i++) {
        PyObject *n = PyLong_FromLongLong(info->shape[i]);

        if (n == NULL) {
            Py_CLEAR(t);
        } else {
            PyTuple_SET_ITEM(t, i, n);
        }
    }
    return t;
}

/* In the order of ndshare.NameInfo. */
static PyObject *
info_object(const nds_name_info *info)
{
    return Py_BuildValue(
        "(ssNNsLLsIIiNKKs)", info->name, info->kind,
        info->dtype[0] == '\0' ? Py_NewRef(Py_None)
                               : PyUnicode_FromString(info->dtype),
        shape_object(info),
        info->order == 'F'   ? "F"
        : info->order == 'C' ? "C"
                             : "",
        (long long)info->nbytes, (long long)info->capacity,
        info->lifetime == NDS_WHILE_USED ? "used" : "unlinked",
        info->mode_bits, info->uid, info->users,
        PyBool_FromLong(info->others), (unsigned long long)info->shape_gen,
        (unsigned long long)info->data_gen, info->lock_state);
}

static PyObject *
name_info(PyObject *m, PyObject *args)
{
    nds_name_info info = {.size = sizeof info};
    const char *name;
    int rc;

    (void)m;
    if (!PyArg_ParseTuple(args, "s:_info", &name)) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    rc = nds_name_info_get(name, &info);
    Py_END_ALLOW_THREADS
    return rc < 0 ? py_raise(rc) : info_object(&info);
}

static int
add_info(const nds_name_info *info, void *ctx)
{
    PyObject *one = info_object(info);
    int rc = one == NULL ? -1 : PyList_Append(ctx, one);

    Py_XDECREF(one);
    return rc < 0 ? PY_RAISED : 0;
}

static PyObject *
list_names(PyObject *m, PyObject *args)
{
    PyObject *list;
    int all, rc;

    (void)m;
    if (!PyArg_ParseTuple(args, "p:_names", &all)) {
        return NULL;
    }
    list = PyList_New(0);
    if (list == NULL) {
        return NULL;
    }
    rc = nds_names_walk(all != 0, add_info, list);
    if (rc != 0) {
        Py_DECREF(list);
        return rc == PY_RAISED ? NULL : py_raise(rc);
    }
    return list;
}

/* ---- removing ----------------------------------------------------------- */

PyDoc_STRVAR(unlink_doc,
"unlink(name)\n"
"--\n"
"\n"
"Removes a name of any kind; the memory lives until its last user goes.\n"
"\n"
"Raises FileNotFoundError if there is no such name.\n");

static PyObject *
unlink_name(PyObject *m, PyObject *args)
{
    const char *name;
    int rc;

    (void)m;
    if (!PyArg_ParseTuple(args, "s:unlink", &name)) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    rc = nds_name_unlink(name);
    Py_END_ALLOW_THREADS
    if (rc < 0) {
        return py_raise(rc);
    }
    Py_RETURN_NONE;
}

static void
add_swept(const char *name, bool removed, const char *why, void *ctx)
{
    PyGILState_STATE gil = PyGILState_Ensure();
    PyObject *one = PyErr_Occurred() == NULL
                        ? Py_BuildValue("(sNs)", name,
                                        PyBool_FromLong(removed), why)
                        : NULL;

    if (one != NULL) {
        (void)PyList_Append(ctx, one);
    }
    Py_XDECREF(one);
    PyGILState_Release(gil);
}

static PyObject *
sweep(PyObject *m, PyObject *args)
{
    PyObject *list;
    int dry_run, rc;

    (void)m;
    if (!PyArg_ParseTuple(args, "p:_sweep", &dry_run)) {
        return NULL;
    }
    list = PyList_New(0);
    if (list == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    rc = nds_sweep(dry_run != 0, add_swept, list);
    Py_END_ALLOW_THREADS
    if (rc < 0 || PyErr_Occurred()) {
        Py_DECREF(list);
        return rc < 0 ? py_raise(rc) : NULL;
    }
    return list;
}

PyDoc_STRVAR(trim_doc,
"trim()\n"
"--\n"
"\n"
"Gives memory back that closed arrays left for the next ones of their size.\n"
"\n"
"Some MiB at most are kept (NDSHARE_KEEP in the environment). Returns how many\n"
"bytes went.\n");

static PyObject *
trim(PyObject *m, PyObject *unused)
{
    uint64_t nbytes;

    (void)m;
    (void)unused;
    Py_BEGIN_ALLOW_THREADS
    nbytes = nds_memory_trim();
    Py_END_ALLOW_THREADS
    return PyLong_FromUnsignedLongLong(nbytes);
}

static PyMethodDef functions[] = {
    {"_info", name_info, METH_VARARGS, "_info(name): a tuple."},
    {"_names", list_names, METH_VARARGS, "_names(all): a list of tuples."},
    {"_sweep", sweep, METH_VARARGS,
     "_sweep(dry_run): a list of (name, removed, why)."},
    {"trim", trim, METH_NOARGS, trim_doc},
    {"unlink", unlink_name, METH_VARARGS, unlink_doc},
    {NULL, NULL, 0, NULL},
};

int
py_add_names(PyObject *m)
{
    return PyModule_AddFunctions(m, functions);
}
