/* SPDX-License-Identifier: MIT */
/*
 * py_plain.h - small plain objects as pickles, without the pickle module
 *
 * Plain is what consists of None, bool, int, float, str, bytes, tuple, list
 * and dict only, and of arrays of numbers. What is written is a pickle that
 * anybody can load; what is read is any pickle of the opcodes that are written.
 */
#ifndef PY_PLAIN_H
#define PY_PLAIN_H

#include "nd_py.h"

/* Opcodes of pickles, by the names that pickletools has for them. */
enum py_plain_op {
    MARK = '(',
    STOP = '.',
    BININT = 'J',
    BININT1 = 'K',
    BININT2 = 'M',
    NONE = 'N',
    BINUNICODE = 'X',
    APPEND = 'a',
    APPENDS = 'e',
    SETITEM = 's',
    SETITEMS = 'u',
    TUPLE = 't',
    BINBYTES = 'B',
    SHORT_BINBYTES = 'C',
    BINFLOAT = 'G',
    EMPTY_DICT = '}',
    EMPTY_LIST = ']',
    EMPTY_TUPLE = ')',
    PROTO = 0x80,
    TUPLE1 = 0x85,
    TUPLE2 = 0x86,
    TUPLE3 = 0x87,
    NEWTRUE = 0x88,
    NEWFALSE = 0x89,
    LONG1 = 0x8a,
    SHORT_BINUNICODE = 0x8c,
    REDUCE = 'R',
    STACK_GLOBAL = 0x93,
    BYTEARRAY8 = 0x96,
    NEXT_BUFFER = 0x97,
};

#define PY_PLAIN_ROOM 4096 /* more is left to the pickle module */

/* Large arrays that have only their place in the pickle: NEXT_BUFFER. */
#define PY_PLAIN_ARRAYS 16
struct py_plain_arrays {
    int count;
    struct {
        PyObject *obj; /* lent */
        size_t nbytes;
    } at[PY_PLAIN_ARRAYS];
};

/* The bytes written at `to`, at most `room`; 0: not plain, or too much, or
 * something in it must stay one object in two places. No exceptions. */
size_t py_plain_write(struct py_state *st, PyObject *obj, unsigned char *to,
                      size_t room, struct py_plain_arrays *arrays);

/* `buffers`: a list, or NULL. NULL without an exception: not of this kind, or
 * wrong; pickle.loads is to say what. */
PyObject *py_plain_read(struct py_state *st, const unsigned char *from,
                        size_t nbytes, PyObject *buffers);

#endif
