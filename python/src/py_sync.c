/* SPDX-License-Identifier: MIT */
/*
 * py_sync.c - locks, semaphores, events, conditions and barriers
 *
 * What these types do here is what the library does; ndshare._sync makes of
 * them the classes of multiprocessing. A lock that came from a dead holder is
 * held, and a warning says so.
 */
#include "py_shared.h"

#include <time.h>

struct sync {
    struct py_shared s;
    /* Of mutexes and conditions: what this process knows of its own hold. */
    unsigned long holder; /* thread, 0: none */
    unsigned depth;
    bool recursive;
    bool owner_died; /* the present hold began with a dead holder's lock */
};

#define KIND(noun, text)                                                      \
    static void close_##noun(void *handle)                                    \
    {                                                                         \
        nds_##noun##_close(handle);                                           \
    }                                                                         \
    static const struct py_kind noun##_kind = {#noun, text, close_##noun};    \
    static PyObject *new_##noun(PyTypeObject *type, PyObject *args,           \
                                PyObject *kwds)                               \
    {                                                                         \
        (void)args;                                                           \
        (void)kwds;                                                           \
        return py_shared_new(type, &noun##_kind);                             \
    }                                                                         \
    struct noun##_kind_needs_semicolon
KIND(mutex, "lock");
KIND(sem, "semaphore");
KIND(event, "event");
KIND(cond, "condition");
KIND(barrier, "barrier");
KIND(rwlock, "lock");

static int
init_any(PyObject *self, PyObject *args, PyObject *kwds)
{
    (void)self;
    (void)args;
    (void)kwds;
    return 0;
}

/* ---- by name ------------------------------------------------------------ */

struct attaching {
    const struct py_kind *kind;
    const char *name;
    void *handle;
};

static int
attach_once(struct attaching *w)
{
    if (w->kind == &mutex_kind) {
        return nds_mutex_attach((nds_mutex **)&w->handle, w->name);
    }
    if (w->kind == &sem_kind) {
        return nds_sem_attach((nds_sem **)&w->handle, w->name);
    }
    if (w->kind == &event_kind) {
        return nds_event_attach((nds_event **)&w->handle, w->name);
    }
    if (w->kind == &cond_kind) {
        return nds_cond_attach((nds_cond **)&w->handle, w->name);
    }
    if (w->kind == &barrier_kind) {
        return nds_barrier_attach((nds_barrier **)&w->handle, w->name);
    }
    return nds_rwlock_attach((nds_rwlock **)&w->handle, w->name);
}

static void
nap(int64_t ns)
{
    struct timespec t = {ns / NDS_SEC(1), ns % NDS_SEC(1)};

    nanosleep(&t, NULL);
}

/* The library does not wait for these names: look again every 5 ms. */
static int
attach_slice(void *ctx, int64_t timeout_ns)
{
    int rc = attach_once(ctx);

    if (rc == NDS_ENOENT && timeout_ns > 0) {
        nap(timeout_ns < NDS_MSEC(5) ? timeout_ns : NDS_MSEC(5));
        return NDS_ETIMEDOUT;
    }
    return rc;
}

static PyObject *
attach_any(PyObject *self, PyObject *args)
{
    struct attaching w = {.kind = ((struct sync *)self)->s.kind};
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

static PyObject *
close_any(PyObject *self, PyObject *unused)
{
    (void)unused;
    py_shared_close(self);
    Py_RETURN_NONE;
}

/* In a child of fork, which holds nothing of its parent's. */
static PyObject *
forget_any(PyObject *self, PyObject *unused)
{
    struct sync *x = (struct sync *)self;

    (void)unused;
    x->holder = 0;
    x->depth = 0;
    x->owner_died = false;
    Py_RETURN_NONE;
}

static PyObject *
made_any(PyObject *self, void *handle, int rc)
{
    return py_shared_made(self, handle, rc) < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- calls that share their shape --------------------------------------- */

typedef int (*wait_fn)(void *handle, int64_t timeout_ns);

/* What a wait came to: True, False at the time-out, or an exception. */
static PyObject *
waited(int rc)
{
    if (rc == PY_RAISED) {
        return NULL;
    }
    if (rc == NDS_ETIMEDOUT || rc == NDS_EAGAIN) {
        Py_RETURN_FALSE;
    }
    return rc < 0 ? py_raise(rc) : Py_NewRef(Py_True);
}

static int
block_args(const char *function, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames, bool *once, int64_t *deadline)
{
    static const char *const names[] = {"block", "timeout", NULL};
    PyObject *given[2];

    return py_args(function, args, nargs, kwnames, names, 0, given) < 0
               ? -1 : py_block(given[0], given[1], once, deadline);
}

/* ---- mutex -------------------------------------------------------------- */

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
    return made_any(self, m, rc);
}

static int
mutex_wait(void *handle, int64_t timeout_ns)
{
    return nds_mutex_lock(handle, timeout_ns);
}

static int
cond_lock_wait(void *handle, int64_t timeout_ns)
{
    return nds_cond_lock(handle, timeout_ns);
}

/* Nobody else can release what this thread waits for itself. */
static int
sit_it_out(void *ctx, int64_t timeout_ns)
{
    (void)ctx;
    nap(timeout_ns);
    return NDS_ETIMEDOUT;
}

/* The warning of a lock that came from a dead holder. 0: go on. */
static int
warn_owner_died(struct sync *x)
{
    x->owner_died = true;
    return PyErr_WarnFormat(
        x->s.st->refs[PY_OWNER_DIED], 2,
        "the last holder of this %s died while it held it: what it guards may "
        "be half done", x->s.kind->noun);
}

static void
note_hold(struct sync *x)
{
    x->holder = PyThread_get_thread_ident();
    x->depth = 1;
    x->owner_died = false;
}

static bool
is_mine(const struct sync *x)
{
    return x->holder == PyThread_get_thread_ident() && x->depth > 0;
}

/* After the library's wait: 0 held; PY_RAISED an exception; else not held. */
static int
lock_outcome(struct sync *x, int rc, int (*unlock)(struct sync *x))
{
    if (rc != 0 && rc != NDS_EOWNERDEAD) {
        return rc;
    }
    note_hold(x);
    if (rc == NDS_EOWNERDEAD && warn_owner_died(x) < 0) {
        // The warning is an error here: nobody is left to unlock.
        (void)unlock(x);
        return PY_RAISED;
    }
    return 0;
}

/* 0 held, 1 not within the time, -1 an exception. */
static int
lock_answer(int rc)
{
    if (rc == NDS_ETIMEDOUT || rc == NDS_EAGAIN) {
        return 1;
    }
    if (rc < 0) {
        py_raise(rc);
    }
    return rc == 0 ? 0 : -1;
}

/* Forgets first: from the unlock on these fields are the next holder's. */
static int
unlock_mutex(struct sync *x)
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

static int
unlock_cond(struct sync *x)
{
    if (x->depth > 1) {
        x->depth--;
        return 0;
    }
    x->holder = 0;
    x->depth = 0;
    x->owner_died = false;
    return nds_cond_unlock(x->s.handle);
}

/* As lock_answer. */
static int
lock_mutex(PyObject *self, bool once, int64_t deadline)
{
    struct sync *x = (struct sync *)self;
    void *handle = py_shared_enter(self);
    int rc;

    if (handle == NULL) {
        return -1;
    }
    if (x->recursive && is_mine(x)) { // the library counts too
        rc = nds_mutex_lock(handle, 0);
        x->depth += rc == 0;
        py_shared_leave(self);
        return lock_answer(rc);
    }
    rc = py_wait_or_try(mutex_wait, handle, once, deadline);
    if (rc == NDS_EDEADLK && once) {
        rc = NDS_EAGAIN;
    } else if (rc == NDS_EDEADLK && deadline != NDS_FOREVER) {
        rc = py_wait(sit_it_out, NULL, deadline);
    }
    rc = lock_outcome(x, rc, unlock_mutex);
    py_shared_leave(self);
    return lock_answer(rc);
}

PyDoc_STRVAR(acquire_doc,
"acquire($self, block=True, timeout=None)\n"
"--\n"
"\n"
"True once it is held; False if it did not come at once (`block` False) or\n"
"within `timeout` seconds. A holder that died passes it on: it is held then,\n"
"and `ndshare.OwnerDiedWarning` says so.\n");

static PyObject *
mutex_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames)
{
    int64_t deadline;
    bool once;
    int rc;

    if (block_args("acquire", args, nargs, kwnames, &once, &deadline) < 0) {
        return NULL;
    }
    rc = lock_mutex(self, once, deadline);
    return rc < 0 ? NULL : PyBool_FromLong(rc == 0);
}

static PyObject *
not_held(const struct sync *x)
{
    if (x->recursive) {
        PyErr_SetString(PyExc_AssertionError, "attempt to release recursive "
                        "lock not owned by thread");
    } else {
        PyErr_SetString(PyExc_ValueError, "semaphore or lock released too "
                        "many times: this thread does not hold it");
    }
    return NULL;
}

static PyObject *
mutex_release(PyObject *self, PyObject *unused)
{
    struct sync *x = (struct sync *)self;
    int rc;

    (void)unused;
    if (py_shared_enter(self) == NULL) {
        return NULL;
    }
    rc = is_mine(x) ? unlock_mutex(x) : NDS_ENOTOWNER;
    py_shared_leave(self);
    if (rc == NDS_ENOTOWNER) {
        return not_held(x);
    }
    return rc < 0 ? py_raise(rc) : Py_NewRef(Py_None);
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
    struct sync *x = (struct sync *)self;
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
    return rc == NDS_ENOTOWNER ? not_held(x)
           : rc < 0            ? py_raise(rc)
                               : Py_NewRef(Py_None);
}

static PyObject *
mutex_set(PyObject *self, PyObject *recursive)
{
    ((struct sync *)self)->recursive = recursive == Py_True;
    Py_RETURN_NONE;
}

static PyObject *
mine(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(is_mine((struct sync *)self));
}

static PyObject *
count(PyObject *self, PyObject *unused)
{
    const struct sync *x = (struct sync *)self;

    (void)unused;
    return PyLong_FromUnsignedLong(is_mine(x) ? x->depth : 0);
}

static PyObject *
held_here(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLong(((struct sync *)self)->holder);
}

static PyObject *
owner_died(PyObject *self, void *closure)
{
    const struct sync *x = (struct sync *)self;

    (void)closure;
    return PyBool_FromLong(x->owner_died && is_mine(x));
}

/* ---- condition ---------------------------------------------------------- */

static PyObject *
cond_create(PyObject *self, PyObject *args)
{
    nds_cond *c = NULL;
    const char *name;
    int rc;

    if (!PyArg_ParseTuple(args, "z:_create", &name)) {
        return NULL;
    }
    rc = name != NULL ? nds_cond_create(&c, name) : nds_cond_new(&c);
    return made_any(self, c, rc);
}

static int
lock_cond(PyObject *self, bool once, int64_t deadline)
{
    struct sync *x = (struct sync *)self;
    void *handle = py_shared_enter(self);
    int rc;

    if (handle == NULL) {
        return -1;
    }
    if (is_mine(x)) {
        x->depth++;
        py_shared_leave(self);
        return 0;
    }
    rc = lock_outcome(x, py_wait_or_try(cond_lock_wait, handle, once,
                                        deadline), unlock_cond);
    py_shared_leave(self);
    return lock_answer(rc);
}

static PyObject *
cond_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    int64_t deadline;
    bool once;
    int rc;

    if (block_args("acquire", args, nargs, kwnames, &once, &deadline) < 0) {
        return NULL;
    }
    rc = lock_cond(self, once, deadline);
    return rc < 0 ? NULL : PyBool_FromLong(rc == 0);
}

static PyObject *
cond_release(PyObject *self, PyObject *unused)
{
    struct sync *x = (struct sync *)self;
    int rc;

    (void)unused;
    if (py_shared_enter(self) == NULL) {
        return NULL;
    }
    rc = is_mine(x) ? unlock_cond(x) : NDS_ENOTOWNER;
    py_shared_leave(self);
    if (rc == NDS_ENOTOWNER) {
        PyErr_SetString(PyExc_AssertionError, "attempt to release recursive "
                        "lock not owned by thread");
        return NULL;
    }
    return rc < 0 ? py_raise(rc) : Py_NewRef(Py_None);
}

static PyObject *
need_lock(const char *what)
{
    PyErr_SetString(PyExc_AssertionError, what);
    return NULL;
}

/* One slice of a wait. The lock is held again after it, except with NDS_EBUSY:
 * then somebody keeps it for longer than the library is patient. */
static int
cond_slice(void *ctx, int64_t timeout_ns)
{
    int rc = nds_cond_wait(ctx, timeout_ns);

    return rc != NDS_EBUSY                         ? rc
           : (rc = nds_cond_lock(ctx, NDS_FOREVER)) ? rc : 0;
}

PyDoc_STRVAR(wait_doc,
"wait($self, timeout=None)\n"
"--\n"
"\n"
"Let the lock go, sleep until notified, and hold it again. False after\n"
"`timeout` seconds. May wake up without being notified: look at what you wait\n"
"for, or use `wait_for`.\n");

static PyObject *
cond_wait(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    static const char *const names[] = {"timeout", NULL};
    struct sync *x = (struct sync *)self;
    PyObject *timeout;
    int64_t deadline;
    unsigned depth;
    void *handle;
    int rc;

    if (py_args("wait", args, nargs, kwnames, names, 0, &timeout) < 0 ||
        py_deadline(timeout, &deadline) < 0) {
        return NULL;
    }
    if (!is_mine(x)) {
        return need_lock("must acquire() condition before using wait()");
    }
    handle = py_shared_enter(self);
    if (handle == NULL) {
        return NULL;
    }
    depth = x->depth;
    x->holder = 0;
    x->depth = 0;
    rc = py_wait(cond_slice, handle, deadline);
    py_shared_leave(self);
    note_hold(x);
    x->depth = depth;
    if (rc == NDS_EOWNERDEAD) {
        return warn_owner_died(x) < 0 ? NULL : Py_NewRef(Py_True);
    }
    return waited(rc);
}

static PyObject *
notify(PyObject *self, int n)
{
    void *handle;
    int rc;

    if (!is_mine((struct sync *)self)) {
        return need_lock("lock is not owned");
    }
    handle = py_shared_enter(self);
    if (handle == NULL) {
        return NULL;
    }
    rc = nds_cond_notify(handle, n);
    py_shared_leave(self);
    return rc < 0 ? py_raise(rc) : Py_NewRef(Py_None);
}

static PyObject *
cond_notify(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    static const char *const names[] = {"n", NULL};
    PyObject *given;
    long n = 1;

    if (py_args("notify", args, nargs, kwnames, names, 0, &given) < 0) {
        return NULL;
    }
    if (given != NULL) {
        n = PyLong_AsLong(given);
        if (n == -1 && PyErr_Occurred()) {
            return NULL;
        }
    }
    return notify(self, n > INT32_MAX ? INT32_MAX : (int)n);
}

static PyObject *
cond_notify_all(PyObject *self, PyObject *unused)
{
    (void)unused;
    return notify(self, INT32_MAX);
}

/* ---- semaphore ---------------------------------------------------------- */

static PyObject *
sem_create(PyObject *self, PyObject *args)
{
    nds_sem *s = NULL;
    unsigned value, bound;
    const char *name;
    int owned, rc;

    if (!PyArg_ParseTuple(args, "zIIp:_create", &name, &value, &bound,
                          &owned)) {
        return NULL;
    }
    if (owned) {
        rc = name != NULL ? nds_sem_create_owned(&s, name, value)
                          : nds_sem_new_owned(&s, value);
    } else {
        rc = name != NULL ? nds_sem_create(&s, name, value, bound)
                          : nds_sem_new(&s, value, bound);
    }
    return made_any(self, s, rc);
}

static int
sem_wait_slice(void *handle, int64_t timeout_ns)
{
    return nds_sem_acquire(handle, timeout_ns);
}

static PyObject *
acquire_any(PyObject *self, wait_fn fn, bool once, int64_t deadline)
{
    void *handle = py_shared_enter(self);
    int rc;

    if (handle == NULL) {
        return NULL;
    }
    rc = py_wait_or_try(fn, handle, once, deadline);
    py_shared_leave(self);
    return waited(rc);
}

PyDoc_STRVAR(sem_acquire_doc,
"acquire($self, block=True, timeout=None)\n"
"--\n"
"\n"
"True once a permit is had; False if none came at once (`block` False) or\n"
"within `timeout` seconds.\n");

static PyObject *
sem_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    int64_t deadline;
    bool once;

    if (block_args("acquire", args, nargs, kwnames, &once, &deadline) < 0) {
        return NULL;
    }
    return acquire_any(self, sem_wait_slice, once, deadline);
}

static PyObject *
sem_release(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    static const char *const names[] = {"n", NULL};
    PyObject *given;
    unsigned long n = 1;
    void *handle;
    int rc;

    if (py_args("release", args, nargs, kwnames, names, 0, &given) < 0) {
        return NULL;
    }
    if (given != NULL) {
        n = PyLong_AsUnsignedLong(given);
        if (PyErr_Occurred()) {
            return NULL;
        }
    }
    if (n < 1 || n > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "n must be one or more");
        return NULL;
    }
    handle = py_shared_enter(self);
    if (handle == NULL) {
        return NULL;
    }
    rc = nds_sem_release(handle, (unsigned)n);
    py_shared_leave(self);
    if (rc == NDS_ELIMIT || rc == NDS_ENOTOWNER) {
        PyErr_Format(PyExc_ValueError, "semaphore or lock released too many "
                     "times%s", rc == NDS_ENOTOWNER
                                    ? ": this process does not hold it" : "");
        return NULL;
    }
    return rc < 0 ? py_raise(rc) : Py_NewRef(Py_None);
}

static PyObject *
sem_enter(PyObject *self, PyObject *unused)
{
    (void)unused;
    return acquire_any(self, sem_wait_slice, false, NDS_FOREVER);
}

static PyObject *
sem_exit(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    (void)args;
    (void)nargs;
    return sem_release(self, NULL, 0, NULL);
}

static PyObject *
sem_value(PyObject *self, PyObject *unused)
{
    void *handle = py_shared_enter(self);
    unsigned value;

    (void)unused;
    if (handle == NULL) {
        return NULL;
    }
    value = nds_sem_value(handle);
    py_shared_leave(self);
    return PyLong_FromUnsignedLong(value);
}

/* ---- event -------------------------------------------------------------- */

static PyObject *
event_create(PyObject *self, PyObject *args)
{
    nds_event *e = NULL;
    const char *name;
    int rc;

    if (!PyArg_ParseTuple(args, "z:_create", &name)) {
        return NULL;
    }
    rc = name != NULL ? nds_event_create(&e, name) : nds_event_new(&e);
    return made_any(self, e, rc);
}

static int
event_wait_slice(void *handle, int64_t timeout_ns)
{
    return nds_event_wait(handle, timeout_ns);
}

static PyObject *
event_wait(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames)
{
    static const char *const names[] = {"timeout", NULL};
    PyObject *timeout;
    int64_t deadline;

    if (py_args("wait", args, nargs, kwnames, names, 0, &timeout) < 0 ||
        py_deadline(timeout, &deadline) < 0) {
        return NULL;
    }
    return acquire_any(self, event_wait_slice, false, deadline);
}

static PyObject *
event_turn(PyObject *self, int (*fn)(nds_event *e))
{
    void *handle = py_shared_enter(self);
    int rc;

    if (handle == NULL) {
        return NULL;
    }
    rc = fn(handle);
    py_shared_leave(self);
    return rc < 0 ? py_raise(rc) : Py_NewRef(Py_None);
}

static PyObject *
event_set(PyObject *self, PyObject *unused)
{
    (void)unused;
    return event_turn(self, nds_event_set);
}

static PyObject *
event_clear(PyObject *self, PyObject *unused)
{
    (void)unused;
    return event_turn(self, nds_event_clear);
}

static PyObject *
event_is_set(PyObject *self, PyObject *unused)
{
    void *handle = py_shared_enter(self);
    bool yes;

    (void)unused;
    if (handle == NULL) {
        return NULL;
    }
    yes = nds_event_is_set(handle);
    py_shared_leave(self);
    return PyBool_FromLong(yes);
}

/* ---- barrier ------------------------------------------------------------ */

static PyObject *
barrier_create(PyObject *self, PyObject *args)
{
    nds_barrier *b = NULL;
    const char *name;
    unsigned parties;
    int rc;

    if (!PyArg_ParseTuple(args, "zI:_create", &name, &parties)) {
        return NULL;
    }
    rc = name != NULL ? nds_barrier_create(&b, name, parties)
                      : nds_barrier_new(&b, parties);
    return made_any(self, b, rc);
}

/* A signal's handler that raises calls us away, and so breaks the barrier. */
static bool
called_away(void *ctx)
{
    PyThreadState **save = ctx;
    bool leave;

    PyEval_RestoreThread(*save);
    leave = PyErr_CheckSignals() < 0;
    *save = PyEval_SaveThread();
    return leave;
}

static PyObject *
barrier_wait(PyObject *self, PyObject *timeout)
{
    int64_t deadline, left = NDS_FOREVER;
    PyThreadState *save;
    nds_barrier *b;
    unsigned index;
    int rc;

    if (py_deadline(timeout, &deadline) < 0 ||
        (b = py_shared_enter(self)) == NULL) {
        return NULL;
    }
    if (deadline != NDS_FOREVER) {
        left = (int64_t)(PyFloat_AsDouble(timeout) * 1e9);
        left = left < 0 ? 0 : left;
    }
    save = PyEval_SaveThread();
    rc = nds_barrier_wait_unless(b, left, &index, called_away, &save);
    PyEval_RestoreThread(save);
    py_shared_leave(self);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (rc == NDS_EBROKEN) { // as multiprocessing: without a text
        PyErr_SetNone(((struct sync *)self)->s.st->refs[PY_BROKEN_BARRIER]);
        return NULL;
    }
    return rc < 0 ? py_raise(rc) : PyLong_FromUnsignedLong(index);
}

static PyObject *
barrier_turn(PyObject *self, int (*fn)(nds_barrier *b))
{
    void *handle = py_shared_enter(self);
    int rc;

    if (handle == NULL) {
        return NULL;
    }
    rc = fn(handle);
    py_shared_leave(self);
    return rc < 0 ? py_raise(rc) : Py_NewRef(Py_None);
}

static PyObject *
barrier_abort(PyObject *self, PyObject *unused)
{
    (void)unused;
    return barrier_turn(self, nds_barrier_abort);
}

static PyObject *
barrier_reset(PyObject *self, PyObject *unused)
{
    (void)unused;
    return barrier_turn(self, nds_barrier_reset);
}

enum { PARTIES, WAITING, BROKEN };

static PyObject *
barrier_look(PyObject *self, void *closure)
{
    nds_barrier *b = py_shared_enter(self);
    unsigned value;

    if (b == NULL) {
        return NULL;
    }
    value = (intptr_t)closure == PARTIES   ? nds_barrier_parties(b)
            : (intptr_t)closure == WAITING ? nds_barrier_waiting(b)
                                           : nds_barrier_is_broken(b);
    py_shared_leave(self);
    return (intptr_t)closure == BROKEN ? PyBool_FromLong(value != 0)
                                       : PyLong_FromUnsignedLong(value);
}

/* ---- readers and writers ------------------------------------------------ */

static PyObject *
rwlock_create(PyObject *self, PyObject *args)
{
    nds_rwlock *l = NULL;
    const char *name;
    int rc;

    if (!PyArg_ParseTuple(args, "z:_create", &name)) {
        return NULL;
    }
    rc = name != NULL ? nds_rwlock_create(&l, name) : nds_rwlock_new(&l);
    return made_any(self, l, rc);
}

static int
read_slice(void *handle, int64_t timeout_ns)
{
    return nds_rwlock_rdlock(handle, timeout_ns);
}

static int
write_slice(void *handle, int64_t timeout_ns)
{
    return nds_rwlock_wrlock(handle, timeout_ns);
}

static PyObject *
rwlock_acquire(PyObject *self, wait_fn fn, bool once, int64_t deadline)
{
    struct sync *x = (struct sync *)self;
    void *handle = py_shared_enter(self);
    int rc;

    if (handle == NULL) {
        return NULL;
    }
    rc = py_wait_or_try(fn, handle, once, deadline);
    if (rc == NDS_EOWNERDEAD && warn_owner_died(x) < 0) {
        (void)nds_rwlock_unlock(handle);
        rc = PY_RAISED;
    }
    py_shared_leave(self);
    return waited(rc == NDS_EOWNERDEAD ? 0 : rc);
}

static PyObject *
rwlock_read(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    int64_t deadline;
    bool once;

    if (block_args("acquire_read", args, nargs, kwnames, &once,
                   &deadline) < 0) {
        return NULL;
    }
    return rwlock_acquire(self, read_slice, once, deadline);
}

static PyObject *
rwlock_write(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    int64_t deadline;
    bool once;

    if (block_args("acquire_write", args, nargs, kwnames, &once,
                   &deadline) < 0) {
        return NULL;
    }
    return rwlock_acquire(self, write_slice, once, deadline);
}

static PyObject *
rwlock_release(PyObject *self, PyObject *unused)
{
    struct sync *x = (struct sync *)self;
    void *handle = py_shared_enter(self);
    int rc;

    (void)unused;
    if (handle == NULL) {
        return NULL;
    }
    x->owner_died = false;
    rc = nds_rwlock_unlock(handle);
    py_shared_leave(self);
    return rc == NDS_ENOTOWNER ? not_held(x)
           : rc < 0            ? py_raise(rc)
                               : Py_NewRef(Py_None);
}

/* ---- the types ---------------------------------------------------------- */

#define COMMON                                                                \
    {"_attach", attach_any, METH_VARARGS, "_attach(name, wait)"},             \
    {"_close", close_any, METH_NOARGS, "Drops the handle."},                  \
    {"_forget", forget_any, METH_NOARGS, "In a forked child: not held."},     \
    PY_SHARED_METHODS,                                                        \
    {NULL, NULL, 0, NULL}
#define FAST METH_FASTCALL | METH_KEYWORDS

static PyMethodDef mutex_methods[] = {
    {"_create", mutex_create, METH_VARARGS, "_create(name, recursive)"},
    {"_set", mutex_set, METH_O, "_set(recursive)"},
    {"acquire", PY_FAST(mutex_acquire), FAST, acquire_doc},
    {"release", mutex_release, METH_NOARGS,
     "release($self, /)\n--\n\nLet it go; ValueError if this thread does not\n"
     "hold it (AssertionError of an RLock)."},
    {"poison", mutex_poison, METH_NOARGS,
     "poison($self, /)\n--\n\nInstead of release: everybody gets RuntimeError\n"
     "from now on, for what it guards is beyond repair."},
    {"__enter__", mutex_enter, METH_NOARGS, NULL},
    {"__exit__", PY_FAST(mutex_exit), METH_FASTCALL, NULL},
    {"_is_mine", mine, METH_NOARGS, "Whether this thread holds it."},
    {"_count", count, METH_NOARGS, "How often this thread holds it."},
    {"_holder", held_here, METH_NOARGS, "The thread here that holds it."},
    COMMON,
};
static PyMethodDef cond_methods[] = {
    {"_create", cond_create, METH_VARARGS, "_create(name)"},
    {"acquire", PY_FAST(cond_acquire), FAST, acquire_doc},
    {"release", cond_release, METH_NOARGS,
     "release($self, /)\n--\n\nLet the lock go."},
    {"wait", PY_FAST(cond_wait), FAST, wait_doc},
    {"notify", PY_FAST(cond_notify), FAST,
     "notify($self, n=1)\n--\n\nWake n that wait, or more."},
    {"notify_all", cond_notify_all, METH_NOARGS,
     "notify_all($self, /)\n--\n\nWake all that wait."},
    {"_is_mine", mine, METH_NOARGS, "Whether this thread holds it."},
    {"_count", count, METH_NOARGS, "How often this thread holds it."},
    COMMON,
};
static PyMethodDef sem_methods[] = {
    {"_create", sem_create, METH_VARARGS,
     "_create(name, value, bound, owned)"},
    {"acquire", PY_FAST(sem_acquire), FAST, sem_acquire_doc},
    {"release", PY_FAST(sem_release), FAST,
     "release($self, n=1)\n--\n\nGive n permits back."},
    {"get_value", sem_value, METH_NOARGS,
     "get_value($self, /)\n--\n\nHow many permits there are at this moment."},
    {"__enter__", sem_enter, METH_NOARGS, NULL},
    {"__exit__", PY_FAST(sem_exit), METH_FASTCALL, NULL},
    COMMON,
};
static PyMethodDef event_methods[] = {
    {"_create", event_create, METH_VARARGS, "_create(name)"},
    {"set", event_set, METH_NOARGS,
     "set($self, /)\n--\n\nLet everybody go on, now and later."},
    {"clear", event_clear, METH_NOARGS,
     "clear($self, /)\n--\n\nFrom now on, who waits waits."},
    {"is_set", event_is_set, METH_NOARGS,
     "is_set($self, /)\n--\n\nWhether it is set."},
    {"wait", PY_FAST(event_wait), FAST,
     "wait($self, timeout=None)\n--\n\n"
     "True once it is set; False after `timeout` seconds."},
    COMMON,
};
static PyMethodDef barrier_methods[] = {
    {"_create", barrier_create, METH_VARARGS, "_create(name, parties)"},
    {"_wait", barrier_wait, METH_O, "_wait(timeout)"},
    {"abort", barrier_abort, METH_NOARGS,
     "abort($self, /)\n--\n\nBreak it: who waits, now or later, gets\n"
     "threading.BrokenBarrierError."},
    {"reset", barrier_reset, METH_NOARGS,
     "reset($self, /)\n--\n\nMake it whole; who waits in it gets\n"
     "threading.BrokenBarrierError."},
    COMMON,
};
static PyMethodDef rwlock_methods[] = {
    {"_create", rwlock_create, METH_VARARGS, "_create(name)"},
    {"acquire_read", PY_FAST(rwlock_read), FAST,
     "acquire_read($self, block=True, timeout=None)\n--\n\n"
     "Hold it with other readers; False if it did not come."},
    {"acquire_write", PY_FAST(rwlock_write), FAST,
     "acquire_write($self, block=True, timeout=None)\n--\n\n"
     "Hold it alone; False if it did not come."},
    {"release", rwlock_release, METH_NOARGS,
     "release($self, /)\n--\n\nLet it go."},
    COMMON,
};

#define CLOSED                                                                \
    {"closed", py_shared_is_closed, NULL, "Whether it was closed here.",      \
     NULL},                                                                   \
    {NULL, NULL, NULL, NULL, NULL}
static PyGetSetDef plain_getset[] = {
    CLOSED,
};
static PyGetSetDef lock_getset[] = {
    {"owner_died", owner_died, NULL,
     "Whether this hold began with the lock of a holder that died.", NULL},
    CLOSED,
};
static PyGetSetDef barrier_getset[] = {
    {"parties", barrier_look, NULL, "How many pass together.",
     (void *)PARTIES},
    {"n_waiting", barrier_look, NULL, "How many wait now.", (void *)WAITING},
    {"broken", barrier_look, NULL, "Whether it is broken.", (void *)BROKEN},
    CLOSED,
};

static int
add(PyObject *m, const char *name, newfunc make, PyMethodDef *methods,
    PyGetSetDef *getset)
{
    PyType_Slot slots[] = {
        {Py_tp_new, make},
        {Py_tp_init, init_any},
        {Py_tp_dealloc, py_shared_dealloc},
        {Py_tp_methods, methods},
        {Py_tp_getset, getset},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = name,
        .basicsize = sizeof(struct sync),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = slots,
    };

    return py_add_type(m, &spec) == NULL ? -1 : 0;
}

static PyObject *
set_owner_died(PyObject *m, PyObject *class)
{
    Py_INCREF(class);
    Py_XSETREF(py_state_of(m)->refs[PY_OWNER_DIED], class);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"_set_owner_died", set_owner_died, METH_O, "The warning's class."},
    {NULL, NULL, 0, NULL},
};

int
py_add_sync(PyObject *m)
{
    if (add(m, "ndshare._core.Mutex", new_mutex, mutex_methods,
            lock_getset) < 0 ||
        add(m, "ndshare._core.Cond", new_cond, cond_methods,
            lock_getset) < 0 ||
        add(m, "ndshare._core.Sem", new_sem, sem_methods, plain_getset) < 0 ||
        add(m, "ndshare._core.Event", new_event, event_methods,
            plain_getset) < 0 ||
        add(m, "ndshare._core.Barrier", new_barrier, barrier_methods,
            barrier_getset) < 0 ||
        add(m, "ndshare._core.RWLock", new_rwlock, rwlock_methods,
            plain_getset) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(m, functions);
}
