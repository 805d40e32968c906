/* SPDX-License-Identifier: MIT */
/*
 * py_parts.h - objects with large arrays inside, as one item
 *
 * The item holds the object's pickle, in which each large array is a place
 * (NEXT_BUFFER of protocol 5), and beside it the arrays' bytes, copied there
 * once. The receiver's arrays lie in the item's memory.
 */
#ifndef PY_PARTS_H
#define PY_PARTS_H

#include "py_shared.h"

/* Bytes of an array that is no longer pickled within its object. */
#define PY_PART_LEAST 2048

struct py_part {
    PyObject *obj; /* an array, or anything else with a buffer */
    size_t nbytes;
    size_t off; /* in the item */
};

struct py_parts {
    PyObject *keep; /* what the pickle's bytes belong to, or NULL */
    const unsigned char *pickle;
    size_t pickle_nbytes;
    size_t nbytes; /* of the item */
    size_t count;
    struct py_part part[];
};

/* Room for `count` parts, to be filled in; NULL and MemoryError. */
struct py_parts *py_parts_new(size_t count);
/* Where everything will lie. -1: too much. */
int py_parts_layout(struct py_parts *p);
void py_parts_free(struct py_parts *p); /* NULL fine */

/* Into a channel that is entered: one loan and one publish. What py_wait
 * returns; PY_RAISED with an exception. */
int py_parts_put(struct py_state *st, const struct py_parts *p,
                 const struct py_loan_ops *ops, void *handle, bool once,
                 int64_t deadline);
/* The item's bytes, as a bytearray. */
PyObject *py_parts_bytes(struct py_state *st, const struct py_parts *p);
/* The object of an item; a is taken over. */
PyObject *py_parts_read(struct py_state *st, nds_array *a);

#endif
