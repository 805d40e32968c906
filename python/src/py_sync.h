/* SPDX-License-Identifier: MIT */
/*
 * py_sync.h - what the files of the locks and their like have in common
 *
 * One type of the library a file: py_mutex.c, py_cond.c, py_sem.c, py_event.c,
 * py_barrier.c and py_rwlock.c. Each says its kind (PY_SYNC_KIND), its methods
 * and a py_add_ of its own.
 */
#ifndef PY_SYNC_H
#define PY_SYNC_H

#include "py_shared.h"

struct py_sync {
    struct py_shared s;
    /* Of mutexes and conditions: what this process knows of its own hold. */
    unsigned long holder; /* thread, 0: none */
    unsigned depth;
    bool recursive;
    bool owner_died; /* the present hold began with a dead holder's lock */
};

/* <noun>_kind and new_<noun>, the tp_new of a type over nds_<noun>. */
#define PY_SYNC_KIND(noun, text)                                              \
    static void close_##noun(void *handle)                                    \
    {                                                                         \
        nds_##noun##_close(handle);                                           \
    }                                                                         \
    static int attach_##noun(void **handle, const char *name,                 \
                             int64_t timeout_ns)                              \
    {                                                                         \
        nds_##noun *made = NULL;                                              \
        int rc = py_named(nds_##noun##_attach(&made, name), timeout_ns);      \
                                                                              \
        *handle = made;                                                       \
        return rc;                                                            \
    }                                                                         \
    static const struct py_kind noun##_kind = {#noun, text, close_##noun,     \
                                               attach_##noun};                \
    static PyObject *new_##noun(PyTypeObject *type, PyObject *args,           \
                                PyObject *kwds)                               \
    {                                                                         \
        (void)args;                                                           \
        (void)kwds;                                                           \
        return py_shared_new(type, &noun##_kind);                             \
    }                                                                         \
    struct noun##_kind_needs_semicolon

/* ---- of all of them (py_sync.c) ----------------------------------------- */

/* What a _create returns: takes over handle, or the exception for rc. */
PyObject *py_sync_made(PyObject *self, void *handle, int rc);
PyObject *py_sync_close(PyObject *self, PyObject *unused);
/* In a child of fork, which holds nothing of its parent's. */
PyObject *py_sync_forget(PyObject *self, PyObject *unused);

/* The end of a type's methods, and of what can be looked at. */
#define PY_SYNC_METHODS                                                       \
    {"_attach", py_shared_attach, METH_VARARGS, "_attach(name, wait)"},         \
    {"_close", py_sync_close, METH_NOARGS, "Drops the handle."},              \
    {"_forget", py_sync_forget, METH_NOARGS,                                  \
     "In a forked child: not held."},                                         \
    PY_SHARED_METHODS,                                                        \
    {NULL, NULL, 0, NULL}
#define PY_SYNC_GETSET                                                        \
    {"closed", py_shared_is_closed, NULL, "Whether it was closed here.",      \
     NULL},                                                                   \
    {NULL, NULL, NULL, NULL, NULL}
#define PY_SYNC_FAST METH_FASTCALL | METH_KEYWORDS

/* One slice of a wait, or one try: 0, or NDS_E…. */
typedef int (*py_wait_fn)(void *handle, int64_t timeout_ns);

void py_nap(int64_t ns);
/* The library does not wait for these names: what came of looking for one, to
 * be looked for again in 5 ms. */
int py_named(int rc, int64_t timeout_ns);
/* (block=True, timeout=None) of a vectorcall, as py_block. */
int py_block_args(const char *function, PyObject *const *args,
                  Py_ssize_t nargs, PyObject *kwnames, bool *once,
                  int64_t *deadline);
/* What a wait came to: True, False at the time-out, or an exception. */
PyObject *py_waited(int rc);
/* Enters, waits with fn and leaves, as py_waited. */
PyObject *py_acquire(PyObject *self, py_wait_fn fn, bool once,
                     int64_t deadline);

/* Puts a type into the module. */
int py_sync_add(PyObject *m, const char *name, newfunc make,
                PyMethodDef *methods, PyGetSetDef *getset);
int py_add_mutex(PyObject *m);
int py_add_cond(PyObject *m);
int py_add_sem(PyObject *m);
int py_add_event(PyObject *m);
int py_add_barrier(PyObject *m);
int py_add_rwlock(PyObject *m);

/* ---- a hold of this process (py_hold.c) --------------------------------- */

/* This thread holds it now, once. */
void py_note_hold(struct py_sync *x);
bool py_is_mine(const struct py_sync *x);
/* The warning of a lock that came from a dead holder. 0: go on. */
int py_warn_owner_died(struct py_sync *x);
/* After the library's wait: 0 held; PY_RAISED an exception; else not held. */
int py_hold_outcome(struct py_sync *x, int rc,
                    int (*unlock)(struct py_sync *x));
/* 0 held, 1 not within the time, -1 an exception. */
int py_hold_answer(int rc);
/* The exception of a release without a hold. Returns NULL. */
PyObject *py_not_held(bool recursive);
/* The methods of that name. `lock` answers as py_hold_answer. */
PyObject *py_hold_acquire(PyObject *self, PyObject *const *args,
                          Py_ssize_t nargs, PyObject *kwnames,
                          int (*lock)(PyObject *self, bool once,
                                      int64_t deadline));
PyObject *py_hold_release(PyObject *self, int (*unlock)(struct py_sync *x),
                          bool recursive);

extern const char py_acquire_doc[];
PyObject *py_hold_is_mine(PyObject *self, PyObject *unused);
PyObject *py_hold_count(PyObject *self, PyObject *unused);
PyObject *py_hold_owner_died(PyObject *self, void *closure);
#define PY_HOLD_GETSET                                                        \
    {"owner_died", py_hold_owner_died, NULL,                                  \
     "Whether this hold began with the lock of a holder that died.", NULL},   \
    PY_SYNC_GETSET

int py_add_hold(PyObject *m);

#endif
