/* SPDX-License-Identifier: MIT */
/*
 * py_array.c - NumPy arrays over arrays of ours
 *
 * An Owner holds one nds_array and gives its block through the buffer
 * protocol. numpy.ndarray is built over that from outside, so that one
 * extension serves NumPy 1 and 2, and keeps the Owner as its base: the memory
 * goes with the last view of it and never before. There is no close.
 */
#include "nd_py.h"

#include <stdlib.h>
#include <string.h>

struct owner {
    PyObject_HEAD
    nds_array *array;
};

/* ---- Owner -------------------------------------------------------------- */

static void
owner_dealloc(PyObject *self)
{
    struct owner *o = (struct owner *)self;
    PyTypeObject *type = Py_TYPE(self);
    nds_array *a = o->array;

    o->array = NULL;
    if (a != NULL) {
        // Unmapping much memory takes a while.
        Py_BEGIN_ALLOW_THREADS
        nds_array_close(a);
        Py_END_ALLOW_THREADS
    }
    type->tp_free(self);
    Py_DECREF(type);
}

static int
owner_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
    static char nothing; // NumPy takes no buffer of zero bytes
    const nds_array *a = ((struct owner *)self)->array;
    const nds_block *b = nds_array_block(a);
    bool readonly = nds_block_is_readonly(b) ||
                    (nds_array_view(a)->flags & NDS_VIEW_READONLY) != 0;
    size_t nbytes = nds_block_nbytes(b);

    return PyBuffer_FillInfo(view, self,
                             nbytes > 0 ? nds_block_data(b) : &nothing,
                             nbytes > 0 ? (Py_ssize_t)nbytes : 1, readonly,
                             flags);
}

static PyObject *
owner_name(PyObject *self, void *closure)
{
    const char *name = nds_array_name(((struct owner *)self)->array);

    (void)closure;
    if (name[0] == '\0') {
        Py_RETURN_NONE;
    }
    return PyUnicode_FromString(name);
}

static PyGetSetDef owner_getset[] = {
    {"name", owner_name, NULL, "Its name in shared memory, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot owner_slots[] = {
    {Py_tp_doc, "The memory under an array; goes with its last view."},
    {Py_tp_dealloc, owner_dealloc},
    {Py_tp_getset, owner_getset},
    {Py_bf_getbuffer, owner_getbuffer},
    {0, NULL},
};

static PyType_Spec owner_spec = {
    .name = "ndshare._core.Owner",
    .basicsize = sizeof(struct owner),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = owner_slots,
};

/* Takes over a, also on failure. */
static PyObject *
owner_new(struct py_state *st, nds_array *a)
{
    struct owner *o = (struct owner *)st->owner->tp_alloc(st->owner, 0);

    if (o == NULL) {
        nds_array_close(a);
        return NULL;
    }
    o->array = a;
    return (PyObject *)o;
}

/* ---- an ndarray over it ------------------------------------------------- */

static PyObject *
tuple_of(int ndim, const int64_t *numbers)
{
    PyObject *t = PyTuple_New(ndim);

    for (int i = 0; t != NULL && i < ndim; i++) {
        PyObject *n = PyLong_FromLongLong(numbers[i]);

        if (n == NULL) {
            Py_CLEAR(t);
        } else {
            PyTuple_SET_ITEM(t, i, n);
        }
    }
    return t;
}

PyObject *
py_dtype_named(struct py_state *st, PyObject *text)
{
    PyObject *found = PyDict_GetItemWithError(st->dtypes, text);

    Py_XINCREF(found);
    if (found == NULL && !PyErr_Occurred()) {
        found = PyObject_CallOneArg(st->load_dtype, text);
        if (found != NULL && PyDict_SetItem(st->dtypes, text, found) < 0) {
            Py_CLEAR(found);
        }
    }
    return found;
}

static PyObject *
dtype_object(struct py_state *st, const nds_dtype *dtype)
{
    enum nds_type type = nds_dtype_type(dtype);
    bool builtin = nds_dtype_builtin(type) == dtype;
    PyObject *key, *found;
    char *text = NULL;
    int rc;

    if (builtin && st->builtin[type] != NULL) {
        return Py_NewRef(st->builtin[type]); // no text to be made
    }
    rc = nds_dtype_str(dtype, &text);

    if (rc < 0) {
        return py_raise(rc);
    }
    key = PyUnicode_FromString(text);
    free(text);
    if (key == NULL) {
        return NULL;
    }
    found = py_dtype_named(st, key);
    Py_DECREF(key);
    if (builtin && found != NULL) {
        Py_XSETREF(st->builtin[type], Py_NewRef(found));
    }
    return found;
}

PyObject *
py_memory_over(struct py_state *st, nds_array *a)
{
    const nds_view *v = nds_array_view(a);
    const nds_block *b = nds_array_block(a);
    Py_ssize_t nbytes = (Py_ssize_t)nds_view_nbytes(v);
    Py_ssize_t off = nbytes == 0 ? 0
                                 : (char *)v->data - (char *)nds_block_data(b);
    PyObject *owner = owner_new(st, a);
    PyObject *all = owner == NULL ? NULL : PyMemoryView_FromObject(owner);
    PyObject *mine = NULL;

    Py_XDECREF(owner);
    if (all != NULL) {
        mine = PySequence_GetSlice(all, off, off + nbytes);
        Py_DECREF(all);
    }
    return mine;
}

PyObject *
py_ndarray_over(struct py_state *st, nds_array *a)
{
    const nds_view *v = nds_array_view(a);
    const nds_block *b = nds_array_block(a);
    PyObject *owner = owner_new(st, a);
    PyObject *args[5] = {NULL};
    PyObject *made = NULL;

    if (owner == NULL) {
        return NULL;
    }
    args[0] = tuple_of(v->ndim, v->shape);
    args[1] = dtype_object(st, v->dtype);
    args[2] = owner;
    args[3] = PyLong_FromLongLong(
        nds_block_nbytes(b) > 0
            ? (char *)v->data - (char *)nds_block_data(b)
            : 0);
    args[4] = tuple_of(v->ndim, v->strides);
    if (args[0] != NULL && args[1] != NULL && args[3] != NULL &&
        args[4] != NULL) {
        made = PyObject_Vectorcall(st->ndarray, args, 5, NULL);
    }
    for (int i = 0; i < 5; i++) {
        Py_XDECREF(args[i]);
    }
    return made;
}

nds_array *
py_array_under(struct py_state *st, PyObject *array)
{
    PyObject *at = Py_NewRef(array);
    nds_array *found = NULL;

    while (at != NULL && Py_TYPE(at) != st->owner && at != Py_None) {
        PyObject *base = PyObject_GetAttrString(at, "base");

        Py_DECREF(at);
        at = base;
    }
    if (at != NULL && Py_TYPE(at) == st->owner) {
        found = ((struct owner *)at)->array; // the array given keeps it alive
    }
    PyErr_Clear();
    Py_XDECREF(at);
    return found;
}

nds_array *
py_need_array(PyObject *m, PyObject *array)
{
    nds_array *a = py_array_under(py_state_of(m), array);

    if (a == NULL) {
        PyErr_SetString(PyExc_ValueError,
                        "this array is private memory of this process; arrays "
                        "made by ndshare are shared, and so are views of them");
    }
    return a;
}

/* ---- making and finding ------------------------------------------------- */

int
py_shape_from(PyObject *tuple, int *ndim, int64_t *shape)
{
    Py_ssize_t n = PyTuple_GET_SIZE(tuple);

    if (n > NDS_MAX_NDIM) {
        PyErr_Format(PyExc_ValueError,
                     "maximum supported dimension for an ndarray is %d, "
                     "found %zd", NDS_MAX_NDIM, n);
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        shape[i] = PyLong_AsLongLong(PyTuple_GET_ITEM(tuple, i));
        if (shape[i] == -1 && PyErr_Occurred()) {
            return -1;
        }
    }
    *ndim = (int)n;
    return 0;
}

/* The first element everywhere, when the library can write it as memory is
 * made: numbers in native order. */
static const nds_scalar *
fill_from(const Py_buffer *bytes, const nds_dtype *dtype, nds_scalar *value)
{
    const nds_dtype *builtin = nds_dtype_builtin(nds_dtype_type(dtype));

    if (bytes->buf == NULL || builtin == NULL ||
        !nds_dtype_equal(builtin, dtype) ||
        (size_t)bytes->len > sizeof value->data) {
        return NULL;
    }
    value->dtype = builtin;
    memcpy(value->data, bytes->buf, (size_t)bytes->len);
    return value;
}

PyDoc_STRVAR(create_doc,
"_create(name, dtype, shape, order, mode, lifetime, replace, raw, fill)\n"
"\n"
"An array and whether it is filled already; name None: no name.");

static PyObject *
create(PyObject *m, PyObject *args)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    const char *name, *text;
    const nds_dtype *dtype = NULL;
    nds_array *a = NULL;
    int64_t shape[NDS_MAX_NDIM];
    PyObject *extents, *made;
    Py_buffer fill = {0};
    nds_scalar value;
    int ndim, order, while_used, replace, raw, rc;

    if (!PyArg_ParseTuple(args, "zsO!CIpppz*:_create", &name, &text,
                          &PyTuple_Type, &extents, &order, &opts.mode_bits,
                          &while_used, &replace, &raw, &fill)) {
        return NULL;
    }
    if (py_shape_from(extents, &ndim, shape) < 0) {
        PyBuffer_Release(&fill);
        return NULL;
    }
    opts.order = (char)order;
    opts.lifetime = while_used ? NDS_WHILE_USED : NDS_UNTIL_UNLINKED;
    opts.replace = replace != 0;
    opts.uninitialised = raw != 0;
    Py_BEGIN_ALLOW_THREADS
    rc = nds_dtype_parse(&dtype, text);
    if (rc == 0) {
        opts.fill = fill_from(&fill, dtype, &value);
        rc = name != NULL
                 ? nds_array_create(&a, name, dtype, ndim, shape, &opts)
                 : nds_array_new(&a, dtype, ndim, shape, &opts);
    }
    Py_END_ALLOW_THREADS
    nds_dtype_put(dtype);
    PyBuffer_Release(&fill);
    if (rc < 0) {
        return py_raise(rc);
    }
    made = py_ndarray_over(py_state_of(m), a);
    return made == NULL ? NULL
                        : Py_BuildValue("NN", made,
                                        PyBool_FromLong(opts.fill != NULL));
}

struct attaching {
    nds_array **out;
    const char *name;
    enum nds_mode mode;
};

static int
attach_slice(void *ctx, int64_t timeout_ns)
{
    const struct attaching *w = ctx;

    return nds_array_attach(w->out, w->name, w->mode, timeout_ns);
}

int
py_mode_from(const char *text, enum nds_mode *mode)
{
    if (strcmp(text, "r") == 0) {
        *mode = NDS_READ;
    } else if (strcmp(text, "r+") == 0) {
        *mode = NDS_READWRITE;
    } else if (strcmp(text, "c") == 0) {
        *mode = NDS_COPY;
    } else if (strcmp(text, "w+") == 0) {
        *mode = NDS_CREATE;
    } else {
        PyErr_Format(PyExc_ValueError,
                     "mode must be one of 'r', 'r+', 'w+', 'c', not '%s'",
                     text);
        return -1;
    }
    return 0;
}

PyDoc_STRVAR(attach_doc,
"attach(name, mode='r+', wait=0)\n"
"--\n"
"\n"
"The shared array of that name.\n"
"\n"
"Parameters\n"
"----------\n"
"name : str\n"
"    As given to `zeros`, `array` and the others.\n"
"mode : {'r', 'r+', 'c'}\n"
"    Read-only, read and write, or copy-on-write: writes stay here.\n"
"wait : float or None\n"
"    Seconds to wait for the name to appear; None waits for ever.\n"
"\n"
"Returns\n"
"-------\n"
"ndshare.ndarray\n"
"\n"
"Raises\n"
"------\n"
"FileNotFoundError\n"
"    There is no such name (TimeoutError after waiting).\n"
"\n"
"Examples\n"
"--------\n"
">>> a = ndshare.zeros(3, name='doc_attach')\n"
">>> ndshare.attach('doc_attach')[:] = 7\n"
">>> a\n"
"ndarray([7., 7., 7.])\n"
">>> ndshare.unlink('doc_attach')\n");

static PyObject *
attach(PyObject *m, PyObject *args, PyObject *kwds)
{
    static char *names[] = {"name", "mode", "wait", NULL};
    struct attaching w;
    const char *mode = "r+";
    PyObject *wait = NULL;
    nds_array *a = NULL;
    int64_t deadline;
    int rc;

    if (!PyArg_ParseTupleAndKeywords(args, kwds, "s|sO:attach", names,
                                     &w.name, &mode, &wait) ||
        py_mode_from(mode, &w.mode) < 0 || py_deadline(wait, &deadline) < 0) {
        return NULL;
    }
    w.out = &a;
    if (wait == NULL) {
        Py_BEGIN_ALLOW_THREADS
        rc = nds_array_attach(&a, w.name, w.mode, 0);
        Py_END_ALLOW_THREADS
    } else {
        rc = py_wait(attach_slice, &w, deadline);
    }
    return rc == PY_RAISED ? NULL
           : rc < 0        ? py_raise(rc)
                           : py_ndarray_over(py_state_of(m), a);
}

PyDoc_STRVAR(from_file_doc,
"_from_file(path, mode, dtype, shape, order, offset)\n"
"\n"
"dtype None: a .npy file. shape None: all of it.");

static PyObject *
from_file(PyObject *m, PyObject *args)
{
    PyObject *path, *extents;
    const char *mode_text, *text;
    const nds_dtype *dtype = NULL;
    nds_array *a = NULL;
    int64_t shape[NDS_MAX_NDIM];
    enum nds_mode mode;
    long long offset;
    int ndim = 1, order, rc;

    if (!PyArg_ParseTuple(args, "O&szOCL:_from_file", PyUnicode_FSConverter,
                          &path, &mode_text, &text, &extents, &order,
                          &offset)) {
        return NULL;
    }
    if (py_mode_from(mode_text, &mode) < 0 ||
        (extents != Py_None && py_shape_from(extents, &ndim, shape) < 0)) {
        Py_DECREF(path);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    if (text == NULL) {
        rc = nds_npy_map(&a, PyBytes_AS_STRING(path), mode);
    } else {
        rc = nds_dtype_parse(&dtype, text);
        if (rc == 0) {
            rc = nds_array_map_file(&a, PyBytes_AS_STRING(path), mode, dtype,
                                    ndim, extents == Py_None ? NULL : shape,
                                    (char)order, offset);
        }
    }
    Py_END_ALLOW_THREADS
    nds_dtype_put(dtype);
    Py_DECREF(path);
    return rc < 0 ? py_raise(rc) : py_ndarray_over(py_state_of(m), a);
}

/* ---- tokens ------------------------------------------------------------- */

/* The view that NumPy has of an array of ours. */
static int
view_from(nds_view *v, const nds_array *a, PyObject *shape, PyObject *strides,
          unsigned long long address, const char *dtype_text, bool readonly)
{
    const nds_block *b = nds_array_block(a);
    const nds_dtype *dtype = NULL;
    int64_t extents[NDS_MAX_NDIM], steps[NDS_MAX_NDIM];
    int ndim, steps_ndim, rc;

    if (py_shape_from(shape, &ndim, extents) < 0 ||
        py_shape_from(strides, &steps_ndim, steps) < 0) {
        return PY_RAISED;
    }
    rc = nds_dtype_parse(&dtype, dtype_text);
    if (rc == 0) {
        // An array without elements may point anywhere.
        int64_t off = (int64_t)(address - (uintptr_t)nds_block_data(b));
        size_t nbytes = nds_block_nbytes(b);

        rc = nds_view_init_strided(v, dtype, nds_block_data(b), nbytes,
                                   off >= 0 && (size_t)off <= nbytes ? off : 0,
                                   ndim, extents, steps, 0);
    }
    nds_dtype_put(dtype);
    if (rc == 0 && readonly) {
        v->flags |= NDS_VIEW_READONLY;
    }
    return rc;
}

PyDoc_STRVAR(export_doc,
"_export(array, address, shape, strides, dtype, readonly, hold)\n"
"\n"
"A token of the view that has these; None: this array goes by value.");

static PyObject *
export_token(PyObject *m, PyObject *args)
{
    PyObject *array, *shape, *strides, *made;
    unsigned long long address;
    const char *dtype;
    nds_array *a, *part = NULL;
    void *token = NULL;
    size_t nbytes = 0;
    double hold;
    nds_view v;
    int readonly, rc;

    if (!PyArg_ParseTuple(args, "OKO!O!spd:_export", &array, &address,
                          &PyTuple_Type, &shape, &PyTuple_Type, &strides,
                          &dtype, &readonly, &hold)) {
        return NULL;
    }
    a = py_array_under(py_state_of(m), array);
    if (a == NULL) {
        Py_RETURN_NONE;
    }
    rc = view_from(&v, a, shape, strides, address, dtype, readonly != 0);
    if (rc == 0) {
        rc = nds_array_wrap(&part, a, &v);
        nds_view_fini(&v);
    }
    if (rc == 0) {
        rc = nds_array_token_export(part, hold < 1e9 ? (int64_t)(hold * 1e9)
                                                     : NDS_FOREVER,
                                    &token, &nbytes);
        nds_array_close(part);
    }
    if (rc == NDS_EINVAL || rc == NDS_EBUFFER) {
        Py_RETURN_NONE; // copy-on-write, memory of a queue, strides of tricks
    }
    if (rc != 0) {
        return rc == PY_RAISED ? NULL : py_raise(rc);
    }
    made = PyBytes_FromStringAndSize(token, (Py_ssize_t)nbytes);
    free(token);
    return made;
}

PyDoc_STRVAR(import_doc,
"_import(token)\n"
"\n"
"The array that a token stands for.");

static PyObject *
import_token(PyObject *m, PyObject *token)
{
    nds_array *a = NULL;
    Py_buffer bytes;
    int rc;

    if (PyObject_GetBuffer(token, &bytes, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    rc = nds_array_token_import(&a, bytes.buf, (size_t)bytes.len);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&bytes);
    return rc < 0 ? py_raise(rc) : py_ndarray_over(py_state_of(m), a);
}

static int
tokens_slice(void *ctx, int64_t timeout_ns)
{
    (void)ctx;
    return nds_array_tokens_wait(timeout_ns);
}

PyDoc_STRVAR(wait_tokens_doc,
"_wait_tokens(timeout)\n"
"\n"
"Whether all tokens were received, or their hold was over, in that time.");

static PyObject *
wait_tokens(PyObject *m, PyObject *timeout)
{
    int64_t deadline;
    int rc;

    (void)m;
    if (py_deadline(timeout, &deadline) < 0) {
        return NULL;
    }
    rc = py_wait(tokens_slice, NULL, deadline);
    return rc == PY_RAISED ? NULL : PyBool_FromLong(rc == 0);
}

PyDoc_STRVAR(set_faces_doc,
"_set_faces(ndarray, load_dtype)\n"
"\n"
"What arrays are made of: the class, and how a dtype's text is read.");

static PyObject *
set_faces(PyObject *m, PyObject *args)
{
    struct py_state *st = py_state_of(m);
    PyObject *class, *load;

    if (!PyArg_ParseTuple(args, "OO:_set_faces", &class, &load)) {
        return NULL;
    }
    Py_INCREF(class);
    Py_XSETREF(st->ndarray, class);
    Py_INCREF(load);
    Py_XSETREF(st->load_dtype, load);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"_create", create, METH_VARARGS, create_doc},
    {"attach", (PyCFunction)(void (*)(void))attach,
     METH_VARARGS | METH_KEYWORDS, attach_doc},
    {"_from_file", from_file, METH_VARARGS, from_file_doc},
    {"_export", export_token, METH_VARARGS, export_doc},
    {"_import", import_token, METH_O, import_doc},
    {"_wait_tokens", wait_tokens, METH_O, wait_tokens_doc},
    {"_set_faces", set_faces, METH_VARARGS, set_faces_doc},
    {NULL, NULL, 0, NULL},
};

int
py_add_array(PyObject *m)
{
    struct py_state *st = py_state_of(m);

    st->owner = py_add_type(m, &owner_spec);
    Py_XINCREF(st->owner);
    st->dtypes = PyDict_New();
    if (st->owner == NULL || st->dtypes == NULL) {
        return -1;
    }
    return PyModule_AddFunctions(m, functions) < 0 || py_add_names(m) < 0 ||
                   py_add_guard(m) < 0
               ? -1
               : 0;
}
