/* SPDX-License-Identifier: MIT */
/*
 * py_item.c - Python objects as items of queues and pipes, and back
 *
 * Arrays and None cross as they are, so that any program can read and send
 * them. Everything else is bytes with a tag of four: "\0py" and what they are.
 * A C program sees a plain array of uint8.
 */
#include "py_parts.h"
#include "py_plain.h"
#include "py_shared.h"

#include <errno.h>
#include <string.h>

#define BIG 65536 /* bytes; larger ones are copied without the GIL */

/* ---- arrays in ---------------------------------------------------------- */

static void
dtype_capsule_free(PyObject *capsule)
{
    nds_dtype_put(PyCapsule_GetPointer(capsule, NULL));
}

/* What the cache keeps for a dtype: a capsule, or None: it cannot cross. */
static PyObject *
dtype_entry(struct py_state *st, PyObject *dtype)
{
    PyObject *text = PyObject_CallOneArg(st->refs[PY_DTYPE_TEXT], dtype);
    const char *utf8 = text == NULL ? NULL : PyUnicode_AsUTF8(text);
    const nds_dtype *dt = NULL;
    PyObject *entry = NULL;

    if (utf8 != NULL && nds_dtype_parse(&dt, utf8) == 0) {
        entry = PyCapsule_New((void *)dt, NULL, dtype_capsule_free);
        if (entry == NULL) {
            nds_dtype_put(dt);
        }
    } else if (utf8 != NULL || PyErr_ExceptionMatches(PyExc_TypeError) ||
               PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyErr_Clear();
        entry = Py_NewRef(Py_None);
    }
    Py_XDECREF(text);
    if (entry != NULL &&
        PyDict_SetItem(st->refs[PY_TO_DTYPE], dtype, entry) < 0) {
        Py_CLEAR(entry);
    }
    return entry;
}

int
py_dtype_from(struct py_state *st, PyObject *dtype, const nds_dtype **out)
{
    PyObject *entry = PyDict_GetItemWithError(st->refs[PY_TO_DTYPE], dtype);
    int found = -1;

    Py_XINCREF(entry);
    if (entry == NULL && !PyErr_Occurred()) {
        entry = dtype_entry(st, dtype);
    }
    if (entry != NULL && (found = entry != Py_None)) {
        *out = PyCapsule_GetPointer(entry, NULL);
    }
    Py_XDECREF(entry); // the cache keeps it
    return found;
}

/* The memory that an exported buffer may touch. */
static void
extent_of(const Py_buffer *b, char **low, size_t *nbytes)
{
    Py_ssize_t below = 0, above = b->itemsize;

    for (int i = 0; i < b->ndim; i++) {
        Py_ssize_t span = b->shape[i] > 0
                              ? (b->shape[i] - 1) * b->strides[i] : 0;

        if (b->shape[i] == 0) {
            above = 0;
            below = 0;
            break;
        }
        below += span < 0 ? span : 0;
        above += span > 0 ? span : 0;
    }
    *low = (char *)b->buf + below;
    *nbytes = (size_t)(above - below);
}

static int
view_of(const Py_buffer *b, const nds_dtype *dtype, nds_view *v)
{
    int64_t shape[NDS_MAX_NDIM], strides[NDS_MAX_NDIM];
    size_t nbytes;
    char *low;

    for (int i = 0; i < b->ndim; i++) {
        shape[i] = b->shape[i];
        strides[i] = b->strides[i];
    }
    extent_of(b, &low, &nbytes);
    return nds_view_init_strided(v, dtype, low, nbytes,
                                 (char *)b->buf - low, b->ndim, shape, strides,
                                 0);
}

/* 1: done; 0: not as an array; -1 and an exception. */
static int
from_ndarray(struct py_state *st, PyObject *obj, struct py_item *it)
{
    PyObject *type = PyObject_GetAttr(obj, st->refs[PY_STR_DTYPE]);
    const nds_dtype *dtype = NULL;
    nds_array *under = NULL;
    nds_view v;
    int rc = type == NULL ? -1 : py_dtype_from(st, type, &dtype);

    Py_XDECREF(type);
    if (rc <= 0) {
        return rc;
    }
    if (PyObject_GetBuffer(obj, &it->buffer, PyBUF_STRIDES) < 0) {
        PyErr_Clear();
        return 0;
    }
    if (it->buffer.itemsize != nds_dtype_itemsize(dtype) ||
        it->buffer.ndim > NDS_MAX_NDIM) {
        return 0;
    }
    rc = view_of(&it->buffer, dtype, &v);
    if (rc < 0) {
        py_raise(rc);
        return -1;
    }
    if (Py_TYPE(obj) == (PyTypeObject *)st->ndarray) {
        under = py_array_under(st, obj);
    }
    rc = under != NULL ? nds_array_wrap(&it->array, under, &v)
                       : nds_array_from_memory(&it->array, &v, NULL, NULL);
    nds_view_fini(&v);
    if (rc < 0) {
        py_raise(rc);
        return -1;
    }
    return 1;
}

/* ---- bytes in ----------------------------------------------------------- */

nds_tag
py_item_tag(enum py_item_what what)
{
    return (nds_tag){4, {'\0', 'p', 'y', (unsigned char)what}};
}

static int
from_memory(const void *data, Py_ssize_t nbytes, enum py_item_what what,
            struct py_item *it)
{
    static char nothing;
    int64_t count = nbytes;
    nds_view v;
    int rc = nds_view_init(&v, NDS_UINT8, nbytes > 0 ? (void *)data : &nothing,
                           (size_t)nbytes, 1, &count);

    if (rc == 0) {
        rc = nds_array_from_memory(&it->array, &v, NULL, NULL);
        nds_view_fini(&v);
    }
    if (rc < 0) {
        py_raise(rc);
        return -1;
    }
    it->tag = py_item_tag(what);
    return 0;
}

int
py_item_from_buffer(PyObject *obj, Py_ssize_t off, Py_ssize_t nbytes,
                    enum py_item_what what, struct py_item *it)
{
    if (PyObject_GetBuffer(obj, &it->buffer, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    if (off < 0) {
        PyErr_SetString(PyExc_ValueError, "offset is negative");
        return -1;
    }
    if (off > it->buffer.len) {
        PyErr_SetString(PyExc_ValueError, "buffer length < offset");
        return -1;
    }
    if (nbytes == PY_SSIZE_T_MIN) {
        nbytes = it->buffer.len - off;
    }
    if (nbytes < 0) {
        PyErr_SetString(PyExc_ValueError, "size is negative");
        return -1;
    }
    if (nbytes > it->buffer.len - off) {
        PyErr_SetString(PyExc_ValueError, "buffer length < offset + size");
        return -1;
    }
    return from_memory((char *)it->buffer.buf + off, nbytes, what, it);
}

/* What py_plain_write wrote: an item as it is, or with parts. */
static int
from_plain(const unsigned char *pickle, size_t nbytes,
           const struct py_plain_arrays *arrays, struct py_item *it)
{
    if (arrays->count == 0) {
        return from_memory(pickle, (Py_ssize_t)nbytes, PY_ITEM_PICKLE, it);
    }
    it->parts = py_parts_new((size_t)arrays->count);
    if (it->parts == NULL) {
        return -1;
    }
    it->parts->pickle = pickle;
    it->parts->pickle_nbytes = nbytes;
    for (int i = 0; i < arrays->count; i++) {
        it->parts->part[i].obj = Py_NewRef(arrays->at[i].obj);
        it->parts->part[i].nbytes = arrays->at[i].nbytes;
    }
    return py_parts_layout(it->parts);
}

/* Of (bytes, [part, its size, ...]). */
static int
from_pickled(PyObject *pickle, PyObject *list, struct py_item *it)
{
    Py_ssize_t n = PyList_GET_SIZE(list) / 2;

    if (n == 0) {
        it->keep = Py_NewRef(pickle);
        return from_memory(PyBytes_AS_STRING(pickle), PyBytes_GET_SIZE(pickle),
                           PY_ITEM_PICKLE, it);
    }
    it->parts = py_parts_new((size_t)n);
    if (it->parts == NULL) {
        return -1;
    }
    it->parts->keep = Py_NewRef(pickle);
    it->parts->pickle = (unsigned char *)PyBytes_AS_STRING(pickle);
    it->parts->pickle_nbytes = (size_t)PyBytes_GET_SIZE(pickle);
    for (Py_ssize_t i = 0; i < n; i++) {
        struct py_part *part = &it->parts->part[i];

        part->obj = Py_NewRef(PyList_GET_ITEM(list, 2 * i));
        part->nbytes = PyLong_AsSize_t(PyList_GET_ITEM(list, 2 * i + 1));
        if (PyErr_Occurred()) {
            return -1;
        }
    }
    return py_parts_layout(it->parts);
}

static int
from_object(struct py_state *st, PyObject *obj, struct py_scratch *scratch,
            struct py_item *it)
{
    struct py_plain_arrays arrays;
    size_t n = py_plain_write(st, obj, scratch->at, scratch->left, &arrays);
    PyObject *pair, *pickle, *list;
    int rc = -1;

    if (n > 0) {
        scratch->at += n;
        scratch->left -= n;
        return from_plain(scratch->at - n, n, &arrays, it);
    }
    pair = PyObject_CallOneArg(st->refs[PY_PICKLED], obj);
    if (pair != NULL && PyArg_ParseTuple(pair, "SO!:pickled", &pickle,
                                         &PyList_Type, &list)) {
        rc = from_pickled(pickle, list, it);
    }
    Py_XDECREF(pair);
    return rc;
}

int
py_item_from(struct py_state *st, PyObject *obj, struct py_scratch *scratch,
             struct py_item *it)
{
    *it = (struct py_item){.array = NULL};
    if (obj == Py_None) {
        return 0;
    }
    if (PyBytes_CheckExact(obj)) {
        it->keep = Py_NewRef(obj);
        return from_memory(PyBytes_AS_STRING(obj), PyBytes_GET_SIZE(obj),
                           PY_ITEM_BYTES, it);
    }
    if (Py_TYPE(obj) == (PyTypeObject *)st->refs[PY_NUMPY_NDARRAY] ||
        Py_TYPE(obj) == (PyTypeObject *)st->ndarray) {
        int rc = from_ndarray(st, obj, it);

        if (rc != 0) {
            return rc < 0 ? -1 : 0;
        }
        py_item_fini(it);
        *it = (struct py_item){.array = NULL};
    }
    return from_object(st, obj, scratch, it);
}

int
py_item_set_tag(struct py_item *it, PyObject *tag)
{
    char *bytes;
    Py_ssize_t nbytes;

    if (tag == NULL || tag == Py_None) {
        return 0;
    }
    if (it->array == NULL || it->tag.nbytes != 0) {
        PyErr_SetString(PyExc_TypeError, "only arrays can have a tag");
        return -1;
    }
    if (PyBytes_AsStringAndSize(tag, &bytes, &nbytes) < 0) {
        return -1;
    }
    if (nbytes > NDS_TAG_MAX) {
        PyErr_Format(PyExc_ValueError, "a tag of %zd bytes, at most %d",
                     nbytes, NDS_TAG_MAX);
        return -1;
    }
    it->tag.nbytes = (uint32_t)nbytes;
    memcpy(it->tag.bytes, bytes, (size_t)nbytes);
    return 0;
}

int
py_let_go(struct py_state *st, PyObject *array)
{
    PyObject *args[2] = {array, Py_False};
    PyObject *done = PyObject_VectorcallMethod(st->refs[PY_STR_SETFLAGS],
                                               args, 2, NULL);

    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

void
py_item_fini(struct py_item *it)
{
    nds_array_close(it->array);
    py_parts_free(it->parts);
    if (it->buffer.obj != NULL) {
        PyBuffer_Release(&it->buffer);
    }
    Py_XDECREF(it->keep);
    it->array = NULL;
    it->parts = NULL;
    it->keep = NULL;
}

/* ---- out ---------------------------------------------------------------- */

enum py_item_what
py_item_what(const nds_array *a, const nds_tag *tag)
{
    const nds_view *v;

    if (a == NULL || tag->nbytes != 4 ||
        memcmp(tag->bytes, "\0py", 3) != 0) {
        return PY_ITEM_FOREIGN;
    }
    v = nds_array_view(a);
    if (v->ndim != 1 || nds_dtype_type(v->dtype) != NDS_TYPE_UINT8 ||
        !nds_view_is_contiguous(v, 'C')) {
        return PY_ITEM_FOREIGN;
    }
    switch (tag->bytes[3]) {
    case PY_ITEM_PICKLE:
    case PY_ITEM_PARTS:
    case PY_ITEM_BYTES:
    case PY_ITEM_RAW:
        return (enum py_item_what)tag->bytes[3];
    default:
        return PY_ITEM_FOREIGN;
    }
}

static int
copy_out(void *to, const nds_view *v)
{
    nds_view dst;
    int rc = nds_view_init(&dst, v->dtype, to, (size_t)nds_view_nbytes(v),
                           v->ndim, v->shape);

    if (rc == 0) {
        rc = nds_assign(&dst, v);
        nds_view_fini(&dst);
    }
    return rc;
}

PyObject *
py_item_bytes(nds_array *a)
{
    const nds_view *v = nds_array_view(a);
    int64_t nbytes = nds_view_nbytes(v);
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)nbytes);
    int rc = 0;

    if (bytes != NULL && nbytes < BIG && nds_view_is_contiguous(v, 'C')) {
        memcpy(PyBytes_AS_STRING(bytes), v->data, (size_t)nbytes);
    } else if (bytes != NULL) {
        Py_BEGIN_ALLOW_THREADS
        rc = copy_out(PyBytes_AS_STRING(bytes), v);
        Py_END_ALLOW_THREADS
    }
    nds_array_close(a);
    if (rc < 0) {
        Py_CLEAR(bytes);
        py_raise(rc);
    }
    return bytes;
}

static PyObject *
refuse_pickle(struct py_state *st, nds_array *a)
{
    nds_array_close(a);
    PyErr_SetString(st->refs[PY_UNPICKLING_ERROR],
                    "the item is a pickle, and this queue was opened with "
                    "pickles=False");
    return NULL;
}

static PyObject *
unpickle(struct py_state *st, nds_array *a)
{
    const nds_view *v = nds_array_view(a);
    PyObject *bytes, *obj;

    if (nds_view_nbytes(v) <= PY_PLAIN_ROOM) {
        obj = py_plain_read(st, v->data, (size_t)nds_view_nbytes(v), NULL);
        if (obj != NULL) {
            nds_array_close(a);
            return obj;
        }
    }
    // Large ones are read where they lie.
    bytes = nds_view_nbytes(v) < BIG
                ? py_item_bytes(a) : py_ndarray_over(st, a);
    if (bytes == NULL) {
        return NULL;
    }
    obj = PyObject_CallOneArg(st->refs[PY_LOADS], bytes);
    Py_DECREF(bytes);
    return obj;
}

PyObject *
py_item_to(struct py_state *st, nds_array *a, const nds_tag *tag,
           bool pickles)
{
    if (a == NULL) {
        return Py_NewRef(Py_None);
    }
    switch (py_item_what(a, tag)) {
    case PY_ITEM_PICKLE:
        return pickles ? unpickle(st, a) : refuse_pickle(st, a);
    case PY_ITEM_PARTS:
        return pickles ? py_parts_read(st, a) : refuse_pickle(st, a);
    case PY_ITEM_BYTES:
    case PY_ITEM_RAW:
        return py_item_bytes(a);
    default:
        return py_ndarray_over(st, a);
    }
}

PyObject *
py_tag_bytes(const nds_tag *tag)
{
    if (tag->nbytes == 4 && memcmp(tag->bytes, "\0py", 3) == 0) {
        return PyBytes_FromStringAndSize("", 0); // ours, not the user's
    }
    return PyBytes_FromStringAndSize((const char *)tag->bytes,
                                     tag->nbytes <= NDS_TAG_MAX
                                         ? (Py_ssize_t)tag->nbytes : 0);
}

PyObject *
py_raise_chan(int rc)
{
    PyObject *args;

    if (rc != NDS_EBROKEN) {
        return py_raise(rc);
    }
    args = Py_BuildValue("(is)", EPIPE, nds_last_error()->message);
    if (args != NULL) {
        PyErr_SetObject(PyExc_BrokenPipeError, args);
        Py_DECREF(args);
    }
    return NULL;
}

/* ---- the module --------------------------------------------------------- */

static const struct {
    enum py_ref ref;
    const char *module;
    const char *name;
} found[] = {
    {PY_FULL, "queue", "Full"},
    {PY_EMPTY, "queue", "Empty"},
    {PY_BUFFER_TOO_SHORT, "multiprocessing", "BufferTooShort"},
    {PY_UNPICKLING_ERROR, "pickle", "UnpicklingError"},
    {PY_DUMPS, "pickle", "dumps"},
    {PY_LOADS, "pickle", "loads"},
    {PY_NUMPY_NDARRAY, "numpy", "ndarray"},
    {PY_BROKEN_BARRIER, "threading", "BrokenBarrierError"},
};

static int
find(struct py_state *st)
{
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++) {
        PyObject *m = PyImport_ImportModule(found[i].module);

        if (m == NULL) {
            return -1;
        }
        st->refs[found[i].ref] = PyObject_GetAttrString(m, found[i].name);
        Py_DECREF(m);
        if (st->refs[found[i].ref] == NULL) {
            return -1;
        }
    }
    return 0;
}

static PyObject *
set_ref(PyObject *m, enum py_ref ref, PyObject *callable)
{
    Py_INCREF(callable);
    Py_XSETREF(py_state_of(m)->refs[ref], callable);
    Py_RETURN_NONE;
}

static PyObject *
set_dtype_text(PyObject *m, PyObject *callable)
{
    return set_ref(m, PY_DTYPE_TEXT, callable);
}

static PyObject *
set_pickled(PyObject *m, PyObject *callable)
{
    return set_ref(m, PY_PICKLED, callable);
}

/* An object's item as (bytes, what), for what cannot be put yet. */
static PyObject *
item_bytes(PyObject *m, PyObject *obj)
{
    struct py_state *st = py_state_of(m);
    unsigned char room[PY_PLAIN_ROOM];
    struct py_scratch scratch = {room, sizeof room};
    struct py_item it = {.array = NULL};
    PyObject *bytes = NULL;
    enum py_item_what what;

    if (from_object(st, obj, &scratch, &it) < 0) {
        py_item_fini(&it);
        return NULL;
    }
    what = it.parts != NULL ? PY_ITEM_PARTS : PY_ITEM_PICKLE;
    bytes = it.parts != NULL ? py_parts_bytes(st, it.parts)
                             : py_item_bytes(it.array);
    if (it.parts == NULL) {
        it.array = NULL; // py_item_bytes has closed it
    }
    py_item_fini(&it);
    return bytes == NULL ? NULL : Py_BuildValue("Ni", bytes, (int)what);
}

static PyMethodDef functions[] = {
    {"_set_dtype_text", set_dtype_text, METH_O,
     "How the text of a numpy.dtype is made."},
    {"_set_pickled", set_pickled, METH_O, "How objects are pickled."},
    {"_item_bytes", item_bytes, METH_O,
     "_item_bytes(obj): its pickle, with parts, and of which kind that is."},
    {NULL, NULL, 0, NULL},
};

int
py_add_item(PyObject *m)
{
    struct py_state *st = py_state_of(m);

    st->refs[PY_TO_DTYPE] = PyDict_New();
    st->refs[PY_BUFFERS] = Py_BuildValue("(s)", "buffers");
    st->refs[PY_STR_DTYPE] = PyUnicode_InternFromString("dtype");
    st->refs[PY_STR_SETFLAGS] = PyUnicode_InternFromString("setflags");
    st->refs[PY_STR_SPILL] = PyUnicode_InternFromString("_spill");
    if (st->refs[PY_TO_DTYPE] == NULL || st->refs[PY_BUFFERS] == NULL ||
        st->refs[PY_STR_DTYPE] == NULL ||
        st->refs[PY_STR_SETFLAGS] == NULL ||
        st->refs[PY_STR_SPILL] == NULL || find(st) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(m, functions);
}
