/* SPDX-License-Identifier: MIT */
/*
 * py_loan.c - `with queue.loan(...) as a` and `with queue.take() as a`
 *
 * The ndarray looks at the channel's memory through a handle of its own, so it
 * can be kept past the block without harm to this process: what it shows then
 * is the next user's. A loan's array can only be read after publishing.
 */
#include "py_shared.h"

#include <string.h>

struct loan {
    PyObject_HEAD
    PyObject *channel; /* entered */
    const struct py_loan_ops *ops;
    nds_array *array;  /* NULL once it is over; or a None item */
    PyObject *ndarray; /* or None */
    nds_tag tag;
    bool over;
};

static void
end(struct loan *l)
{
    PyObject *channel = l->channel;

    l->over = true;
    l->channel = NULL;
    if (channel != NULL) {
        py_shared_leave(channel);
        Py_DECREF(channel);
    }
}

static void *
handle_of(const struct loan *l)
{
    return ((struct py_shared *)l->channel)->handle;
}

/* A loan is dropped, an item goes back to the front. */
static void
give_up(struct loan *l)
{
    nds_array *a = l->array;

    l->array = NULL;
    if (a != NULL) {
        void *handle = handle_of(l);

        Py_BEGIN_ALLOW_THREADS
        l->ops->discard(handle, &a);
        Py_END_ALLOW_THREADS
    }
    end(l);
}

static void
loan_dealloc(PyObject *self)
{
    struct loan *l = (struct loan *)self;
    PyTypeObject *type = Py_TYPE(self);

    if (!l->over) {
        give_up(l);
    }
    Py_XDECREF(l->ndarray);
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject *
py_loan_new(PyObject *channel, const struct py_loan_ops *ops, nds_array *a,
            const nds_tag *tag)
{
    struct py_state *st = ((struct py_shared *)channel)->st;
    struct loan *l = (struct loan *)st->loan->tp_alloc(st->loan, 0);
    nds_array *mine = NULL;
    int rc;

    if (l == NULL) {
        nds_array_close(a);
        py_shared_leave(channel);
        return NULL;
    }
    l->channel = Py_NewRef(channel);
    l->ops = ops;
    l->array = a;
    if (tag != NULL) {
        l->tag = *tag;
    }
    if (a == NULL) {
        l->ndarray = Py_NewRef(Py_None);
        return (PyObject *)l;
    }
    rc = nds_array_get(&mine, a);
    if (rc < 0) {
        py_raise(rc);
    } else {
        l->ndarray = py_ndarray_over(st, mine);
    }
    if (l->ndarray == NULL) {
        Py_CLEAR(l);
    }
    return (PyObject *)l;
}

int
py_loan_slice(void *ctx, int64_t timeout_ns)
{
    struct py_loaning *w = ctx;

    return w->ops->loan(w->handle, &w->array, w->dtype, w->ndim, w->shape,
                        timeout_ns);
}

int
py_loan_args(struct py_state *st, PyObject *shape, PyObject *dtype,
             struct py_loaning *w)
{
    int rc;

    if (!PyTuple_Check(shape)) {
        PyErr_SetString(PyExc_TypeError, "shape must be a tuple");
        return -1;
    }
    if (py_shape_from(shape, &w->ndim, w->shape) < 0) {
        return -1;
    }
    rc = py_dtype_from(st, dtype, &w->dtype);
    if (rc == 0) {
        PyErr_Format(PyExc_TypeError, "dtype %S cannot be shared", dtype);
    }
    return rc == 1 ? 0 : -1;
}

static int
check_open(const struct loan *l)
{
    if (l->over) {
        PyErr_SetString(PyExc_ValueError, "the loan is over");
        return -1;
    }
    return 0;
}

/* Publishes a loan or releases an item. */
static PyObject *
finish(struct loan *l)
{
    struct py_state *st;
    nds_array *a = l->array;
    void *handle;
    int rc = 0;

    if (check_open(l) < 0) {
        return NULL;
    }
    st = ((struct py_shared *)l->channel)->st;
    handle = handle_of(l);
    l->array = NULL; // nobody else takes it up meanwhile
    if (a != NULL) {
        Py_BEGIN_ALLOW_THREADS
        rc = l->ops->release != NULL ? l->ops->release(handle, &a)
                                     : l->ops->publish(handle, &a, &l->tag);
        Py_END_ALLOW_THREADS
    }
    l->array = a; // a loan still, if it could not be published
    if (rc < 0) {
        return py_raise_chan(rc);
    }
    if (l->ops->release == NULL && py_let_go(st, l->ndarray) < 0) {
        PyErr_Clear(); // it is published all the same
    }
    end(l);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(publish_doc,
"publish($self, tag=None)\n--\n\n"
"Put the array into the channel, as the end of the block does.");

static PyObject *
loan_publish(PyObject *self, PyObject *args, PyObject *kwds)
{
    static char *names[] = {"tag", NULL};
    struct loan *l = (struct loan *)self;
    const char *tag = NULL;
    Py_ssize_t nbytes = 0;

    if (!PyArg_ParseTupleAndKeywords(args, kwds, "|z#:publish", names, &tag,
                                     &nbytes)) {
        return NULL;
    }
    if (nbytes > NDS_TAG_MAX) {
        PyErr_Format(PyExc_ValueError, "a tag of %zd bytes, at most %d",
                     nbytes, NDS_TAG_MAX);
        return NULL;
    }
    if (l->ops->release != NULL) {
        PyErr_SetString(PyExc_ValueError, "what was taken is released");
        return NULL;
    }
    l->tag.nbytes = (uint32_t)nbytes;
    if (nbytes > 0) {
        memcpy(l->tag.bytes, tag, (size_t)nbytes);
    }
    return finish(l);
}

static PyObject *
loan_release(PyObject *self, PyObject *unused)
{
    struct loan *l = (struct loan *)self;

    (void)unused;
    if (l->ops->release == NULL) {
        PyErr_SetString(PyExc_ValueError, "a loan is published or discarded");
        return NULL;
    }
    return finish(l);
}

static PyObject *
loan_discard(PyObject *self, PyObject *unused)
{
    struct loan *l = (struct loan *)self;

    (void)unused;
    if (check_open(l) < 0) {
        return NULL;
    }
    Py_XSETREF(l->ndarray, Py_NewRef(Py_None));
    give_up(l);
    Py_RETURN_NONE;
}

static PyObject *
loan_enter(PyObject *self, PyObject *unused)
{
    struct loan *l = (struct loan *)self;

    (void)unused;
    return check_open(l) < 0 ? NULL : Py_NewRef(l->ndarray);
}

static PyObject *
loan_exit(PyObject *self, PyObject *args)
{
    struct loan *l = (struct loan *)self;
    PyObject *type, *value, *trace;

    if (!PyArg_ParseTuple(args, "OOO:__exit__", &type, &value, &trace)) {
        return NULL;
    }
    if (l->over) { // published or discarded in the block
        Py_RETURN_NONE;
    }
    return type == Py_None ? finish(l) : loan_discard(self, NULL);
}

static PyObject *
loan_array(PyObject *self, void *closure)
{
    (void)closure;
    return Py_NewRef(((struct loan *)self)->ndarray);
}

static PyObject *
loan_tag(PyObject *self, void *closure)
{
    (void)closure;
    return py_tag_bytes(&((struct loan *)self)->tag);
}

static PyMethodDef methods[] = {
    {"publish", PY_FAST(loan_publish), METH_VARARGS | METH_KEYWORDS,
     publish_doc},
    {"release", loan_release, METH_NOARGS,
     "release($self, /)\n--\n\nGive what was taken back for good."},
    {"discard", loan_discard, METH_NOARGS,
     "discard($self, /)\n--\n\n"
     "Drop a loan; put what was taken back to the front. Either happens when\n"
     "the last view of the array has gone."},
    {"__enter__", loan_enter, METH_NOARGS, NULL},
    {"__exit__", loan_exit, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"array", loan_array, NULL, "The array; None for a None item.", NULL},
    {"tag", loan_tag, NULL, "The bytes beside it.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "An array in a channel's memory: `with` it, or publish, "
                "release, discard it."},
    {Py_tp_dealloc, loan_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "ndshare._core.Loan",
    .basicsize = sizeof(struct loan),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

int
py_add_loan(PyObject *m)
{
    struct py_state *st = py_state_of(m);

    st->loan = py_add_type(m, &spec);
    Py_XINCREF(st->loan);
    return st->loan == NULL ? -1 : 0;
}
