/* SPDX-License-Identifier: MIT */
/*
 * py_mutex.c - Lock and RLock
 *
 * A mutex of the library, and what multiprocessing says of one that is
 * released too often or waited for by the thread that holds it.
 */
#include "py_sync.h"

PY_SYNC_KIND(mutex, "lock");

static PyObject *
mutex_create(PyObject *self, PyObject *args)
{
    nds_mutex *m = NULL;
    const char *name;
    int recursive, rc;

    if (!PyArg_ParseTuple(args, "zp:_create", &name, &recursive)) {
        return NULL;
    }
    rc = name != NULL
             ? nds_mutex_create(&m, name, recursive ? NDS_MUTEX_RECURSIVE
                                                    : NDS_MUTEX_PLAIN)
             : nds_mutex_new(&m, recursive ? NDS_MUTEX_RECURSIVE
                                           : NDS_MUTEX_PLAIN);
    return py_sync_made(self, m, rc);
}

static int
mutex_wait(void *handle, int64_t timeout_ns)
{
    return nds_mutex_lock(handle, timeout_ns);
}

/* Nobody else can release what this thread waits for itself. */
static int
sit_it_out(void *ctx, int64_t timeout_ns)
{
    (void)ctx;
    py_nap(timeout_ns);
    return NDS_ETIMEDOUT;
}

/* Forgets first: from the unlock on these fields are the next holder's. */
static int
unlock_mutex(struct py_sync *x)
{
    unsigned long holder = x->holder;
    int rc;

    if (x->depth > 1) {
        x->depth--;
    } else {
        x->holder = 0;
        x->depth = 0;
        x->owner_died = false;
    }
    rc = nds_mutex_unlock(x->s.handle);
    if (rc == NDS_ENOTOWNER) {
        x->holder = holder;
    }
    return rc;
}

/* As py_hold_answer. */
static int
lock_mutex(PyObject *self, bool once, int64_t deadline)
{
    struct py_sync *x = (struct py_sync *)self;
    void *handle = py_shared_enter(self);
    int rc;

    if (handle == NULL) {
        return -1;
    }
    if (x->recursive && py_is_mine(x)) { // the library counts too
        rc = nds_mutex_lock(handle, 0);
        x->depth += rc == 0;
        py_shared_leave(self);
        return py_hold_answer(rc);
    }
    rc = py_wait_or_try(mutex_wait, handle, once, deadline);
    if (rc == NDS_EDEADLK && once) {
        rc = NDS_EAGAIN;
    } else if (rc == NDS_EDEADLK && deadline != NDS_FOREVER) {
        rc = py_wait(sit_it_out, NULL, deadline);
    }
    rc = py_hold_outcome(x, rc, unlock_mutex);
    py_shared_leave(self);
    return py_hold_answer(rc);
}

static PyObject *
mutex_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames)
{
    return py_hold_acquire(self, args, nargs, kwnames, lock_mutex);
}

static PyObject *
mutex_release(PyObject *self, PyObject *unused)
{
    (void)unused;
    return py_hold_release(self, unlock_mutex,
                           ((struct py_sync *)self)->recursive);
}

static PyObject *
mutex_enter(PyObject *self, PyObject *unused)
{
    (void)unused;
    return lock_mutex(self, false, NDS_FOREVER) < 0 ? NULL
                                                    : Py_NewRef(Py_True);
}

static PyObject *
mutex_exit(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    (void)args;
    (void)nargs;
    return mutex_release(self, NULL);
}

static PyObject *
mutex_poison(PyObject *self, PyObject *unused)
{
    struct py_sync *x = (struct py_sync *)self;
    void *handle = py_shared_enter(self);
    int rc;

    (void)unused;
    if (handle == NULL) {
        return NULL;
    }
    rc = nds_mutex_poison(handle);
    py_shared_leave(self);
    if (rc == 0) {
        x->holder = 0;
        x->depth = 0;
    }
    return rc == NDS_ENOTOWNER ? py_not_held(x->recursive)
           : rc < 0            ? py_raise(rc)
                               : Py_NewRef(Py_None);
}

static PyObject *
mutex_set(PyObject *self, PyObject *recursive)
{
    ((struct py_sync *)self)->recursive = recursive == Py_True;
    Py_RETURN_NONE;
}

static PyObject *
held_here(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLong(((struct py_sync *)self)->holder);
}

static PyObject *
mutex_locked(PyObject *self, PyObject *unused)
{
    nds_mutex *handle = py_shared_enter(self);
    bool locked;

    (void)unused;
    if (handle == NULL) {
        return NULL;
    }
    locked = nds_mutex_is_locked(handle);
    py_shared_leave(self);
    return PyBool_FromLong(locked);
}

static PyMethodDef methods[] = {
    {"_create", mutex_create, METH_VARARGS, "_create(name, recursive)"},
    {"_set", mutex_set, METH_O, "_set(recursive)"},
    {"acquire", PY_FAST(mutex_acquire), PY_SYNC_FAST, py_acquire_doc},
    {"release", mutex_release, METH_NOARGS,
     "release($self, /)\n--\n\nLet it go; ValueError if this thread does not\n"
     "hold it (AssertionError of an RLock)."},
    {"locked", mutex_locked, METH_NOARGS,
     "locked($self, /)\n--\n\nWhether somebody holds it at this moment, or\n"
     "died holding it and nobody has had it since."},
    {"poison", mutex_poison, METH_NOARGS,
     "poison($self, /)\n--\n\nInstead of release: everybody gets RuntimeError\n"
     "from now on, for what it guards is beyond repair."},
    {"__enter__", mutex_enter, METH_NOARGS, NULL},
    {"__exit__", PY_FAST(mutex_exit), METH_FASTCALL, NULL},
    {"_is_mine", py_hold_is_mine, METH_NOARGS, "Whether this thread holds it."},
    {"_count", py_hold_count, METH_NOARGS, "How often this thread holds it."},
    {"_holder", held_here, METH_NOARGS, "The thread here that holds it."},
    PY_SYNC_METHODS,
};

static PyGetSetDef getset[] = {
    PY_HOLD_GETSET,
};

int
py_add_mutex(PyObject *m)
{
    return py_sync_add(m, "ndshare._core.Mutex", new_mutex, methods, getset);
}
