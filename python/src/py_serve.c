/* SPDX-License-Identifier: MIT */
/*
 * py_serve.c - ndshare._core.Server: the library's manager, run by a process
 * of Python's
 *
 * Calls of clients are served by threads of the library, without the GIL. Only
 * what a registered callable makes needs it.
 */
#include "py_shared.h"

#include <stdlib.h>

struct server {
    PyObject_HEAD
    nds_server *handle;
    bool running;
};

static PyObject *
server_new(PyTypeObject *type, PyObject *args, PyObject *kwds)
{
    static char *names[] = {"address", "authkey", NULL};
    nds_manager_options opts = {.size = sizeof opts};
    struct server *s;
    Py_ssize_t nbytes;
    nds_server *handle = NULL;
    int rc;

    if (!PyArg_ParseTupleAndKeywords(args, kwds, "zy#:Server", names,
                                     &opts.address, &opts.authkey, &nbytes)) {
        return NULL;
    }
    opts.authkey_nbytes = (size_t)nbytes;
    Py_BEGIN_ALLOW_THREADS
    rc = nds_server_new(&handle, &opts);
    Py_END_ALLOW_THREADS
    if (rc < 0) {
        return py_raise(rc);
    }
    s = (struct server *)type->tp_alloc(type, 0);
    if (s == NULL) {
        nds_server_free(handle);
        return NULL;
    }
    s->handle = handle;
    return (PyObject *)s;
}

static void
server_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    nds_server_free(((struct server *)self)->handle);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
server_run(PyObject *self, PyObject *unused)
{
    struct server *s = (struct server *)self;
    int rc;

    (void)unused;
    if (s->running) {
        PyErr_SetString(PyExc_RuntimeError, "the server runs already");
        return NULL;
    }
    s->running = true;
    Py_BEGIN_ALLOW_THREADS
    rc = nds_server_run(s->handle);
    Py_END_ALLOW_THREADS
    s->running = false;
    return rc < 0 ? py_raise(rc) : Py_NewRef(Py_None);
}

static PyObject *
server_stop(PyObject *self, PyObject *unused)
{
    (void)unused;
    nds_server_stop(((struct server *)self)->handle);
    Py_RETURN_NONE;
}

static PyObject *
server_address(PyObject *self, void *closure)
{
    (void)closure;
    return PyUnicode_DecodeFSDefault(
        nds_server_address(((struct server *)self)->handle));
}

/* ---- what callables of Python make -------------------------------------- */

struct maker {
    PyObject *callable; /* (args as text, kwds as text) -> ndshare.ndarray */
    struct py_state *st;
};

/* The failure of a callable becomes the text of the remote error. */
static int
failed(void)
{
    PyObject *type, *value, *trace, *text = NULL;
    const char *utf8;

    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (value != NULL) {
        text = PyUnicode_FromFormat("%s: %S", Py_TYPE(value)->tp_name, value);
    }
    utf8 = text == NULL ? NULL : PyUnicode_AsUTF8(text);
    nds_error_set(NDS_EREMOTE, utf8 != NULL ? utf8 : "a callable failed");
    PyErr_Clear();
    Py_XDECREF(text);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    return NDS_EREMOTE;
}

static PyObject *
call_maker(const struct maker *m, const char *args, const char *kwds)
{
    return PyObject_CallFunction(m->callable, "ss", args, kwds);
}

static int
make(const nds_value *args, const nds_value *kwds, nds_array **out, void *ctx)
{
    const struct maker *m = ctx;
    char *args_text = NULL, *kwds_text = NULL;
    PyGILState_STATE gil;
    nds_array *under = NULL;
    PyObject *made;
    int rc = nds_value_repr(args, &args_text);

    *out = NULL;
    if (rc == 0) {
        rc = nds_value_repr(kwds, &kwds_text);
    }
    if (rc == 0) {
        gil = PyGILState_Ensure();
        made = call_maker(m, args_text, kwds_text);
        under = made == NULL ? NULL : py_array_under(m->st, made);
        rc = under == NULL ? failed() : nds_array_get(out, under);
        Py_XDECREF(made);
        PyErr_Clear();
        PyGILState_Release(gil);
    }
    free(args_text);
    free(kwds_text);
    return rc;
}

PyDoc_STRVAR(register_doc,
"_register_factory(typeid, callable)\n\n"
"callable(args, kwds), both as texts, makes the hosted ndshare.ndarray.");

static PyObject *
register_factory(PyObject *m, PyObject *args)
{
    const char *typeid_;
    PyObject *callable;
    struct maker *maker;
    int rc;

    if (!PyArg_ParseTuple(args, "sO:_register_factory", &typeid_,
                          &callable)) {
        return NULL;
    }
    maker = malloc(sizeof *maker); // as long as the process
    if (maker == NULL) {
        return PyErr_NoMemory();
    }
    maker->callable = Py_NewRef(callable);
    maker->st = py_state_of(m);
    rc = nds_factory_register(typeid_, make, maker);
    if (rc < 0) {
        Py_DECREF(callable);
        free(maker);
        return py_raise(rc);
    }
    Py_RETURN_NONE;
}

/* ---- the type ----------------------------------------------------------- */

static PyMethodDef methods[] = {
    {"run", server_run, METH_NOARGS,
     "run($self, /)\n--\n\nServe until a client asks for the end, or stop."},
    {"stop", server_stop, METH_NOARGS,
     "stop($self, /)\n--\n\nEnd run, which another thread is in."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"address", server_address, NULL, "Where clients connect to.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Server(address, authkey)\n--\n\nA manager's server."},
    {Py_tp_new, server_new},
    {Py_tp_dealloc, server_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "ndshare._core.Server",
    .basicsize = sizeof(struct server),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

static PyMethodDef functions[] = {
    {"_register_factory", register_factory, METH_VARARGS, register_doc},
    {NULL, NULL, 0, NULL},
};

int
py_add_serve(PyObject *m)
{
    return py_add_type(m, &spec) == NULL ? -1
                                         : PyModule_AddFunctions(m, functions);
}
