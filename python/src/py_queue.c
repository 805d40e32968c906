/* SPDX-License-Identifier: MIT */
/*
 * py_queue.c - ndshare._core.Queue: one call of the library a put or get
 *
 * ndshare._queue gives it multiprocessing's face: names, pickling, and what a
 * queue without a bound does when shared memory is full (`_spill`).
 */
#include "py_shared.h"

#include <string.h>

struct queue {
    struct py_shared s;
    bool unbounded; /* put does not wait: what does not fit is spilled */
    bool spilling;  /* puts go behind what was spilled */
    bool pickles;
};

static void
close_queue(void *handle)
{
    nds_queue_close(handle);
}

static const struct py_kind queue_kind = {"queue", "Queue", close_queue};

static PyObject *
queue_new(PyTypeObject *type, PyObject *args, PyObject *kwds)
{
    PyObject *self = py_shared_new(type, &queue_kind);

    (void)args;
    (void)kwds;
    if (self != NULL) {
        ((struct queue *)self)->pickles = true;
    }
    return self;
}

/* Subclasses in Python have what arguments they like. */
static int
queue_init(PyObject *self, PyObject *args, PyObject *kwds)
{
    (void)self;
    (void)args;
    (void)kwds;
    return 0;
}

/* ---- making ------------------------------------------------------------- */

PyDoc_STRVAR(create_doc,
"_create(name, max_items, max_bytes, policy, max_deliveries, acknowledge,\n"
"mode, lifetime): a new queue; name None: no name.");

static PyObject *
queue_create(PyObject *self, PyObject *args)
{
    nds_queue_options opts = {.size = sizeof opts};
    int policy, acknowledge, while_used, rc;
    unsigned long long max_bytes;
    const char *name;
    nds_queue *q = NULL;

    if (!PyArg_ParseTuple(args, "zIKiIpIp:_create", &name, &opts.max_items,
                          &max_bytes, &policy, &opts.max_deliveries,
                          &acknowledge, &opts.mode_bits, &while_used)) {
        return NULL;
    }
    opts.max_bytes = max_bytes;
    opts.redelivery = (enum nds_redelivery)policy;
    opts.acknowledge = acknowledge != 0;
    opts.lifetime = while_used ? NDS_WHILE_USED : NDS_UNTIL_UNLINKED;
    Py_BEGIN_ALLOW_THREADS
    rc = name != NULL ? nds_queue_create(&q, name, &opts)
                      : nds_queue_new(&q, &opts);
    Py_END_ALLOW_THREADS
    if (py_shared_made(self, q, rc) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

struct attaching {
    nds_queue *q;
    const char *name;
};

static int
attach_slice(void *ctx, int64_t timeout_ns)
{
    struct attaching *w = ctx;

    return nds_queue_attach(&w->q, w->name, timeout_ns);
}

static PyObject *
queue_attach(PyObject *self, PyObject *args)
{
    struct attaching w = {NULL, NULL};
    PyObject *wait;
    int64_t deadline;
    int rc;

    if (!PyArg_ParseTuple(args, "sO:_attach", &w.name, &wait) ||
        py_deadline(wait, &deadline) < 0) {
        return NULL;
    }
    rc = py_wait(attach_slice, &w, deadline);
    if (rc == PY_RAISED || py_shared_made(self, w.q, rc) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- put ---------------------------------------------------------------- */

struct putting {
    nds_queue *q;
    struct py_item *it;
    bool move;
};

static int
put_slice(void *ctx, int64_t timeout_ns)
{
    const struct putting *w = ctx;
    struct py_item *it = w->it;

    if (it->array == NULL) {
        return nds_queue_put_none(w->q, timeout_ns);
    }
    return w->move
               ? nds_queue_put_move(w->q, &it->array, &it->tag, timeout_ns)
               : nds_queue_put(w->q, it->array, &it->tag, timeout_ns);
}

static bool
is_full(int rc)
{
    return rc == NDS_EAGAIN || rc == NDS_ETIMEDOUT;
}

/* 0, or -1 and an exception. */
static int
put_item(PyObject *self, struct py_item *it, bool move, bool once,
         int64_t deadline)
{
    struct queue *q = (struct queue *)self;
    struct putting w = {py_shared_enter(self), it, move};
    int rc;

    if (w.q == NULL) {
        return -1;
    }
    if (q->unbounded) {
        once = true;
        deadline = 0;
    }
    rc = py_wait_or_try(put_slice, &w, once, deadline);
    py_shared_leave(self);
    if (rc == PY_RAISED) {
        return -1;
    }
    if (is_full(rc)) {
        PyErr_SetNone(q->s.st->refs[PY_FULL]);
    } else if (rc < 0) {
        py_raise_chan(rc);
    }
    return rc < 0 ? -1 : 0;
}

/* What does not fit is put by a thread of this process, later. */
static PyObject *
spill(PyObject *self, PyObject *obj)
{
    PyErr_Clear();
    return PyObject_CallMethod(self, "_spill", "O", obj);
}

static bool
spills(struct queue *q)
{
    return q->unbounded && (PyErr_ExceptionMatches(q->s.st->refs[PY_FULL]) ||
                            PyErr_ExceptionMatches(PyExc_BrokenPipeError));
}

static PyObject *
put(PyObject *self, PyObject *obj, PyObject *move, PyObject *tag, bool once,
    int64_t deadline)
{
    struct queue *q = (struct queue *)self;
    int moves = move == NULL ? 0 : PyObject_IsTrue(move);
    struct py_item it;
    int rc;

    if (moves < 0) {
        return NULL;
    }
    if (q->spilling && !q->s.closed) {
        return spill(self, obj);
    }
    rc = py_item_from(q->s.st, obj, &it);
    if (rc == 0 && moves && Py_TYPE(obj) != (PyTypeObject *)q->s.st->ndarray) {
        PyErr_SetString(PyExc_TypeError, "only an ndshare array can be moved");
        rc = -1;
    }
    if (rc == 0) {
        rc = py_item_set_tag(&it, tag);
    }
    if (rc == 0) {
        rc = put_item(self, &it, moves, once, deadline);
        if (rc < 0 && spills(q)) {
            py_item_fini(&it);
            return spill(self, obj);
        }
    }
    if (rc == 0 && moves) {
        rc = py_let_go(q->s.st, obj);
    }
    py_item_fini(&it);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(put_doc,
"put($self, obj, block=True, timeout=None, *, move=False, tag=None)\n"
"--\n"
"\n"
"Put an object into the queue.\n"
"\n"
"Parameters\n"
"----------\n"
"obj : object\n"
"    Arrays and None cross as they are and can be read by any program; any\n"
"    other object is pickled, now and not later.\n"
"block, timeout\n"
"    Whether to wait while the queue is full, and how many seconds (None:\n"
"    for ever). A queue without `maxsize` is never full.\n"
"move : bool\n"
"    An `ndshare.ndarray` whose memory becomes the receiver's, without a\n"
"    copy. Here it can only be read from then on.\n"
"tag : bytes, optional\n"
"    At most 60 bytes that go beside an array.\n"
"\n"
"Raises\n"
"------\n"
"queue.Full\n"
"    It was full all the time.\n"
"ValueError\n"
"    The queue is closed here, or was shut down for everybody.\n");

static PyObject *
queue_put(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    static const char *const names[] = {"obj", "block", "timeout", "move",
                                        "tag", NULL};
    PyObject *given[5];
    int64_t deadline;
    bool once;

    if (py_args("put", args, nargs, kwnames, names, 1, given) < 0 ||
        py_block(given[1], given[2], &once, &deadline) < 0) {
        return NULL;
    }
    return put(self, given[0], given[3], given[4], once, deadline);
}

static PyObject *
queue_put_nowait(PyObject *self, PyObject *obj)
{
    return put(self, obj, NULL, NULL, true, 0);
}

/* Also into a queue that is closed here: what was spilled must get out. */
static PyObject *
queue_put_spilled(PyObject *self, PyObject *args)
{
    struct queue *q = (struct queue *)self;
    struct py_item it = {.array = NULL};
    struct putting w = {NULL, &it, false};
    PyObject *obj, *timeout;
    int64_t deadline;
    int rc, what;

    if (!PyArg_ParseTuple(args, "OiO:_put_spilled", &obj, &what, &timeout) ||
        py_deadline(timeout, &deadline) < 0) {
        return NULL;
    }
    rc = what != 0 ? py_item_from_buffer(obj, 0, PY_SSIZE_T_MIN,
                                         (enum py_item_what)what, &it)
                   : py_item_from(q->s.st, obj, &it);
    w.q = q->s.handle;
    if (rc == 0 && w.q == NULL) {
        PyErr_SetString(PyExc_ValueError, "the queue is closed");
        rc = -1;
    }
    if (rc < 0) {
        py_item_fini(&it);
        return NULL;
    }
    q->s.busy++;
    rc = py_wait(put_slice, &w, deadline);
    py_shared_leave(self);
    py_item_fini(&it);
    if (rc == PY_RAISED) {
        return NULL;
    }
    return rc < 0 && !is_full(rc) ? py_raise_chan(rc)
                                  : PyBool_FromLong(rc == 0);
}

#define RUN 64

struct run {
    nds_queue *q;
    struct py_item items[RUN];
    nds_array *arrays[RUN];
    nds_tag tags[RUN];
    int n, done;
};

static int
put_run_slice(void *ctx, int64_t timeout_ns)
{
    struct run *r = ctx;
    int done = 0;
    int rc = nds_queue_put_many(r->q, r->n - r->done, r->arrays + r->done,
                                r->tags + r->done, timeout_ns, &done);

    r->done += done;
    return rc;
}

/* Of the objects from `at` on, up to RUN of them; -1. */
static int
run_fill(struct py_state *st, struct run *r, PyObject *objs, Py_ssize_t at)
{
    Py_ssize_t left = PySequence_Fast_GET_SIZE(objs) - at;

    r->n = r->done = 0;
    while (r->n < RUN && r->n < left) {
        struct py_item *it = &r->items[r->n];
        int rc = py_item_from(st, PySequence_Fast_GET_ITEM(objs, at + r->n),
                              it);

        r->n++;
        if (rc < 0) {
            return -1;
        }
        r->arrays[r->n - 1] = it->array;
        r->tags[r->n - 1] = it->tag;
    }
    return 0;
}

static void
run_fini(struct run *r)
{
    for (int i = 0; i < r->n; i++) {
        py_item_fini(&r->items[i]);
    }
    r->n = 0;
}

static int
put_spilling(PyObject *self, PyObject *objs, Py_ssize_t at)
{
    for (; at < PySequence_Fast_GET_SIZE(objs); at++) {
        PyObject *done = spill(self, PySequence_Fast_GET_ITEM(objs, at));

        if (done == NULL) {
            return -1;
        }
        Py_DECREF(done);
    }
    return 0;
}

/* How many of them are in the queue; -1 and an exception. */
static Py_ssize_t
put_all(PyObject *self, struct run *r, PyObject *objs, int64_t deadline)
{
    struct queue *q = (struct queue *)self;
    Py_ssize_t at = 0;
    int rc = 0;

    while (rc == 0 && at < PySequence_Fast_GET_SIZE(objs)) {
        if (q->spilling) {
            return put_spilling(self, objs, at) < 0
                       ? -1 : PySequence_Fast_GET_SIZE(objs);
        }
        if (run_fill(q->s.st, r, objs, at) < 0) {
            run_fini(r);
            return -1;
        }
        rc = py_wait(put_run_slice, r, q->unbounded ? 0 : deadline);
        at += r->done;
        run_fini(r);
        if ((is_full(rc) || rc == NDS_EBROKEN) && q->unbounded) {
            return put_spilling(self, objs, at) < 0
                       ? -1 : PySequence_Fast_GET_SIZE(objs);
        }
    }
    if (rc == PY_RAISED || (rc < 0 && !is_full(rc) && at == 0)) {
        if (rc != PY_RAISED) {
            py_raise_chan(rc);
        }
        return -1;
    }
    return at;
}

PyDoc_STRVAR(put_many_doc,
"put_many($self, objs, timeout=None)\n"
"--\n"
"\n"
"Put several objects in order, in runs, which is quicker than one by one.\n"
"\n"
"Returns\n"
"-------\n"
"int\n"
"    How many were put: fewer than given only if the queue was full until\n"
"    the time-out (seconds; None waits for ever).\n");

static PyObject *
queue_put_many(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames)
{
    static const char *const names[] = {"objs", "timeout", NULL};
    PyObject *given[2], *objs;
    struct run *r;
    Py_ssize_t put_count = -1;
    int64_t deadline;

    if (py_args("put_many", args, nargs, kwnames, names, 1, given) < 0 ||
        py_deadline(given[1], &deadline) < 0) {
        return NULL;
    }
    objs = PySequence_Fast(given[0], "put_many() needs an iterable");
    r = objs == NULL ? NULL : PyMem_Calloc(1, sizeof *r);
    if (objs != NULL && r == NULL) {
        PyErr_NoMemory();
    }
    if (r != NULL && (r->q = py_shared_enter(self)) != NULL) {
        put_count = put_all(self, r, objs, deadline);
        py_shared_leave(self);
    }
    PyMem_Free(r);
    Py_XDECREF(objs);
    return put_count < 0 ? NULL : PyLong_FromSsize_t(put_count);
}

/* ---- get ---------------------------------------------------------------- */

struct getting {
    nds_queue *q;
    nds_array *array;
    nds_tag tag;
};

static int
get_slice(void *ctx, int64_t timeout_ns)
{
    struct getting *w = ctx;

    return nds_queue_get(w->q, &w->array, &w->tag, timeout_ns);
}

/* 0; -1 and an exception; 1 at the end of a queue that was shut down. */
static int
get(PyObject *self, struct getting *w, bool once, int64_t deadline)
{
    struct queue *q = (struct queue *)self;
    int rc;

    w->q = py_shared_enter(self);
    w->array = NULL;
    if (w->q == NULL) {
        return -1;
    }
    rc = py_wait_or_try(get_slice, w, once, deadline);
    py_shared_leave(self);
    if (rc == NDS_EEOF) {
        return 1;
    }
    if (rc == NDS_ETIMEDOUT || rc == NDS_EAGAIN) {
        PyErr_SetNone(q->s.st->refs[PY_EMPTY]);
    } else if (rc < 0) {
        py_raise_chan(rc);
    }
    return rc != 0 ? -1 : 0;
}

static PyObject *
got(PyObject *self, struct getting *w, int rc)
{
    const struct queue *q = (struct queue *)self;

    if (rc != 0) {
        return rc < 0 ? NULL : py_raise_chan(NDS_EEOF);
    }
    return py_item_to(q->s.st, w->array, &w->tag, q->pickles);
}

PyDoc_STRVAR(get_doc,
"get($self, block=True, timeout=None)\n"
"--\n"
"\n"
"Remove and return the oldest object.\n"
"\n"
"Parameters\n"
"----------\n"
"block, timeout\n"
"    Whether to wait while there is none, and how many seconds (None: for\n"
"    ever).\n"
"\n"
"Raises\n"
"------\n"
"queue.Empty\n"
"    There was none all the time.\n"
"EOFError\n"
"    The queue was shut down, and all it held has been got.\n");

static PyObject *
queue_get(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    static const char *const names[] = {"block", "timeout", NULL};
    PyObject *given[2];
    struct getting w;
    int64_t deadline;
    bool once;

    if (py_args("get", args, nargs, kwnames, names, 0, given) < 0 ||
        py_block(given[0], given[1], &once, &deadline) < 0) {
        return NULL;
    }
    return got(self, &w, get(self, &w, once, deadline));
}

static PyObject *
queue_get_nowait(PyObject *self, PyObject *unused)
{
    struct getting w;

    (void)unused;
    return got(self, &w, get(self, &w, true, 0));
}

static PyObject *
queue_get_tagged(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *kwnames)
{
    static const char *const names[] = {"block", "timeout", NULL};
    PyObject *given[2], *obj;
    struct getting w;
    int64_t deadline;
    bool once;

    if (py_args("get_tagged", args, nargs, kwnames, names, 0, given) < 0 ||
        py_block(given[0], given[1], &once, &deadline) < 0) {
        return NULL;
    }
    obj = got(self, &w, get(self, &w, once, deadline));
    return obj == NULL ? NULL
                       : Py_BuildValue("NN", obj, py_tag_bytes(&w.tag));
}

static PyObject *
queue_next(PyObject *self)
{
    struct getting w;
    int rc = get(self, &w, false, NDS_FOREVER);

    return rc == 1 ? NULL : got(self, &w, rc);
}

struct getting_many {
    nds_queue *q;
    int room, count;
    nds_array *arrays[RUN];
    nds_tag tags[RUN];
};

static int
get_many_slice(void *ctx, int64_t timeout_ns)
{
    struct getting_many *w = ctx;

    return nds_queue_get_many(w->q, w->room, w->arrays, w->tags, timeout_ns,
                              &w->count);
}

/* Appends what was got; -1 when one of them cannot be made an object. */
static int
append_got(const struct queue *q, struct getting_many *w, PyObject *list)
{
    int rc = 0;

    for (int i = 0; i < w->count; i++) {
        PyObject *obj;

        if (rc < 0) {
            nds_array_close(w->arrays[i]);
            continue;
        }
        obj = py_item_to(q->s.st, w->arrays[i], &w->tags[i], q->pickles);
        rc = obj == NULL ? -1 : PyList_Append(list, obj);
        Py_XDECREF(obj);
    }
    return rc;
}

/* -1 and an exception; nothing at all got is one too. */
static int
get_all(PyObject *self, struct getting_many *w, Py_ssize_t n, PyObject *list,
        int64_t deadline)
{
    const struct queue *q = (struct queue *)self;

    while (n > 0) {
        Py_ssize_t had = PyList_GET_SIZE(list);
        int rc;

        w->room = n < RUN ? (int)n : RUN;
        w->count = 0;
        rc = py_wait(get_many_slice, w, had > 0 ? 0 : deadline);
        if (rc == PY_RAISED) {
            return -1;
        }
        if (rc < 0 && had > 0) {
            return 0;
        }
        if (rc < 0) {
            is_full(rc) ? PyErr_SetNone(q->s.st->refs[PY_EMPTY])
                        : (void)py_raise_chan(rc);
            return -1;
        }
        if (append_got(q, w, list) < 0) {
            return -1;
        }
        n -= w->count;
        if (w->count < w->room) {
            return 0;
        }
    }
    return 0;
}

PyDoc_STRVAR(get_many_doc,
"get_many($self, n, timeout=None)\n"
"--\n"
"\n"
"A list of at most n objects: waits for the first, then takes what is there.\n"
"\n"
"Raises\n"
"------\n"
"queue.Empty\n"
"    There was none within the time-out (seconds; None waits for ever).\n"
"EOFError\n"
"    The queue was shut down, and all it held has been got.\n");

static PyObject *
queue_get_many(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames)
{
    static const char *const names[] = {"n", "timeout", NULL};
    PyObject *given[2], *list;
    struct getting_many *w;
    int64_t deadline;
    Py_ssize_t n;
    int rc = -1;

    if (py_args("get_many", args, nargs, kwnames, names, 1, given) < 0 ||
        py_deadline(given[1], &deadline) < 0) {
        return NULL;
    }
    n = PyNumber_AsSsize_t(given[0], PyExc_OverflowError);
    if (n < 1) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "n must be at least 1");
        }
        return NULL;
    }
    list = PyList_New(0);
    w = list == NULL ? NULL : PyMem_Malloc(sizeof *w);
    if (list != NULL && w == NULL) {
        PyErr_NoMemory();
    }
    if (w != NULL && (w->q = py_shared_enter(self)) != NULL) {
        rc = get_all(self, w, n, list, deadline);
        py_shared_leave(self);
    }
    PyMem_Free(w);
    if (rc < 0) {
        Py_CLEAR(list);
    }
    return list;
}

/* ---- in place ----------------------------------------------------------- */

static int
publish(void *q, nds_array **a, const nds_tag *tag)
{
    return nds_queue_publish(q, a, tag);
}

static void
discard(void *q, nds_array **a)
{
    nds_queue_discard(q, a);
}

static int
release(void *q, nds_array **a)
{
    return nds_queue_release(q, a);
}

static const struct py_loan_ops loan_ops = {publish, discard, NULL};
static const struct py_loan_ops take_ops = {publish, discard, release};

struct loaning {
    nds_queue *q;
    nds_array *array;
    const nds_dtype *dtype;
    int ndim;
    int64_t shape[NDS_MAX_NDIM];
};

static int
loan_slice(void *ctx, int64_t timeout_ns)
{
    struct loaning *w = ctx;

    return nds_queue_loan(w->q, &w->array, w->dtype, w->ndim, w->shape,
                          timeout_ns);
}

/* What a call that waits for an array came to. The channel is entered. */
static PyObject *
in_place(PyObject *self, const struct py_loan_ops *ops, int rc, nds_array *a,
         const nds_tag *tag)
{
    const struct queue *q = (struct queue *)self;

    if (rc == 0) {
        return py_loan_new(self, ops, a, tag);
    }
    py_shared_leave(self);
    if (is_full(rc)) {
        PyErr_SetNone(q->s.st->refs[ops->release == NULL ? PY_FULL
                                                         : PY_EMPTY]);
    } else if (rc < 0) {
        py_raise_chan(rc);
    }
    return NULL;
}

static PyObject *
queue_loan(PyObject *self, PyObject *args)
{
    struct loaning w = {.array = NULL};
    PyObject *shape, *dtype, *timeout;
    int64_t deadline;
    int rc;

    if (!PyArg_ParseTuple(args, "OOO:_loan", &shape, &dtype, &timeout) ||
        py_loan_args(((struct queue *)self)->s.st, shape, dtype, &w.ndim,
                     w.shape, &w.dtype) < 0 ||
        py_deadline(timeout, &deadline) < 0 ||
        (w.q = py_shared_enter(self)) == NULL) {
        return NULL;
    }
    rc = py_wait(loan_slice, &w, deadline);
    return in_place(self, &loan_ops, rc, w.array, NULL);
}

static int
take_slice(void *ctx, int64_t timeout_ns)
{
    struct getting *w = ctx;

    return nds_queue_take(w->q, &w->array, &w->tag, timeout_ns);
}

PyDoc_STRVAR(take_doc,
"take($self, timeout=None)\n"
"--\n"
"\n"
"Read the oldest array where it lies, without a copy::\n"
"\n"
"    with queue.take() as a:\n"
"        ...\n"
"\n"
"It stays the queue's until the block ends. If the process dies in the block,\n"
"or the block raises and the array has gone, it is back at the front of the\n"
"queue.\n");

static PyObject *
queue_take(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames)
{
    static const char *const names[] = {"timeout", NULL};
    struct getting w = {.array = NULL};
    PyObject *timeout;
    int64_t deadline;
    int rc;

    if (py_args("take", args, nargs, kwnames, names, 0, &timeout) < 0 ||
        py_deadline(timeout, &deadline) < 0 ||
        (w.q = py_shared_enter(self)) == NULL) {
        return NULL;
    }
    rc = py_wait(take_slice, &w, deadline);
    return in_place(self, &take_ops, rc, w.array, &w.tag);
}

/* ---- the rest ----------------------------------------------------------- */

static PyObject *
queue_qsize(PyObject *self, PyObject *unused)
{
    nds_queue *q = py_shared_enter(self);
    int64_t n;

    (void)unused;
    if (q == NULL) {
        return NULL;
    }
    n = nds_queue_size(q);
    py_shared_leave(self);
    return n < 0 ? py_raise((int)n) : PyLong_FromLongLong(n);
}

static PyObject *
queue_fileno(PyObject *self, PyObject *unused)
{
    nds_queue *q = py_shared_enter(self);
    int fd, rc;

    (void)unused;
    if (q == NULL) {
        return NULL;
    }
    rc = nds_queue_fd(q, &fd);
    py_shared_leave(self);
    return rc < 0 ? py_raise(rc) : PyLong_FromLong(fd);
}

static PyObject *
no_wait(PyObject *self, int (*fn)(nds_queue *q))
{
    nds_queue *q = py_shared_enter(self);
    int rc;

    if (q == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    rc = fn(q);
    Py_END_ALLOW_THREADS
    py_shared_leave(self);
    if (rc < 0) {
        return py_raise(rc);
    }
    Py_RETURN_NONE;
}

static PyObject *
queue_shutdown(PyObject *self, PyObject *unused)
{
    (void)unused;
    return no_wait(self, nds_queue_shutdown);
}

static PyObject *
queue_task_done(PyObject *self, PyObject *unused)
{
    (void)unused;
    return no_wait(self, nds_queue_task_done);
}

static int
join_slice(void *ctx, int64_t timeout_ns)
{
    return nds_queue_join(ctx, timeout_ns);
}

/* True, or False at the time-out. */
static PyObject *
queue_join(PyObject *self, PyObject *timeout)
{
    nds_queue *q;
    int64_t deadline;
    int rc;

    if (py_deadline(timeout, &deadline) < 0 ||
        (q = py_shared_enter(self)) == NULL) {
        return NULL;
    }
    rc = py_wait(join_slice, q, deadline);
    py_shared_leave(self);
    if (rc == PY_RAISED) {
        return NULL;
    }
    return rc < 0 && rc != NDS_ETIMEDOUT ? py_raise(rc)
                                         : PyBool_FromLong(rc == 0);
}

static PyObject *
queue_info(PyObject *self, PyObject *unused)
{
    nds_queue *q = py_shared_enter(self);
    nds_queue_info i = {.size = sizeof i};
    int rc;

    (void)unused;
    if (q == NULL) {
        return NULL;
    }
    rc = nds_queue_info_get(q, &i);
    py_shared_leave(self);
    if (rc < 0) {
        return py_raise(rc);
    }
    return Py_BuildValue(
        "{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:I,s:I,s:O,s:K,s:I,s:I,s:I}",
        "items", i.items, "taken", i.taken, "parked", i.parked, "loaned",
        i.loaned, "bytes_used", i.bytes_used, "bytes_max", i.bytes_max,
        "unfinished", i.unfinished, "redelivered", i.redelivered, "dropped",
        i.dropped, "slots", i.slots, "participants", i.participants, "closed",
        i.closed ? Py_True : Py_False, "delivered", i.delivered, "consumers",
        i.consumers, "consumers_dead", i.consumers_dead, "max_items",
        i.max_items);
}

static PyObject *
queue_close_handle(PyObject *self, PyObject *unused)
{
    (void)unused;
    py_shared_close(self);
    Py_RETURN_NONE;
}

/* Whether it can be waited for, and what it does with pickles. */
static PyObject *
queue_set(PyObject *self, PyObject *args)
{
    struct queue *q = (struct queue *)self;
    int unbounded, spilling, pickles, closed;

    if (!PyArg_ParseTuple(args, "pppp:_set", &unbounded, &spilling, &pickles,
                          &closed)) {
        return NULL;
    }
    q->unbounded = unbounded != 0;
    q->spilling = spilling != 0;
    q->pickles = pickles != 0;
    q->s.closed = closed != 0;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"_create", queue_create, METH_VARARGS, create_doc},
    {"_attach", queue_attach, METH_VARARGS, "_attach(name, wait)"},
    {"_set", queue_set, METH_VARARGS,
     "_set(unbounded, spilling, pickles, closed)"},
    {"_close", queue_close_handle, METH_NOARGS, "Drops the handle."},
    {"_put_spilled", queue_put_spilled, METH_VARARGS,
     "_put_spilled(obj, what, timeout): False at the time-out"},
    {"_join", queue_join, METH_O, "_join(timeout): False at the time-out"},
    {"_qsize", queue_qsize, METH_NOARGS, "Items in shared memory."},
    {"put", PY_FAST(queue_put), METH_FASTCALL | METH_KEYWORDS, put_doc},
    {"put_nowait", queue_put_nowait, METH_O,
     "put_nowait($self, obj, /)\n--\n\nThe same as put(obj, False)."},
    {"put_many", PY_FAST(queue_put_many), METH_FASTCALL | METH_KEYWORDS,
     put_many_doc},
    {"get", PY_FAST(queue_get), METH_FASTCALL | METH_KEYWORDS, get_doc},
    {"get_nowait", queue_get_nowait, METH_NOARGS,
     "get_nowait($self, /)\n--\n\nThe same as get(False)."},
    {"get_tagged", PY_FAST(queue_get_tagged), METH_FASTCALL | METH_KEYWORDS,
     "get_tagged($self, block=True, timeout=None)\n--\n\n"
     "As get, but (object, tag): the bytes that were put beside an array."},
    {"get_many", PY_FAST(queue_get_many), METH_FASTCALL | METH_KEYWORDS,
     get_many_doc},
    {"_loan", queue_loan, METH_VARARGS, "_loan(shape, dtype, timeout)"},
    {"take", PY_FAST(queue_take), METH_FASTCALL | METH_KEYWORDS, take_doc},
    {"task_done", queue_task_done, METH_NOARGS,
     "task_done($self, /)\n--\n\nSay that what was got has been dealt with."},
    {"shutdown", queue_shutdown, METH_NOARGS,
     "shutdown($self, /)\n--\n\n"
     "No more puts by anybody; getters drain the queue, then meet its end."},
    {"info", queue_info, METH_NOARGS,
     "info($self, /)\n--\n\nCounters of the queue, as a dict."},
    {"fileno", queue_fileno, METH_NOARGS,
     "fileno($self, /)\n--\n\n"
     "A descriptor that is readable while objects wait, for select and\n"
     "multiprocessing.connection.wait."},
    PY_SHARED_METHODS,
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"closed", py_shared_is_closed, NULL, "Whether it was closed here.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "The C part of ndshare.Queue."},
    {Py_tp_new, queue_new},
    {Py_tp_init, queue_init},
    {Py_tp_dealloc, py_shared_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, queue_next},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "ndshare._core.Queue",
    .basicsize = sizeof(struct queue),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

int
py_add_queue(PyObject *m)
{
    return py_add_type(m, &spec) == NULL ? -1 : 0;
}
