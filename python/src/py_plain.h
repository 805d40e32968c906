/* SPDX-License-Identifier: MIT */
/*
 * py_plain.h - small plain objects as pickles, without the pickle module
 *
 * Plain is what consists of None, bool, int, float, str, bytes, tuple, list
 * and dict only. What is written is a pickle that anybody can load; what is
 * read is any pickle of the opcodes that are written.
 */
#ifndef PY_PLAIN_H
#define PY_PLAIN_H

#include "nd_py.h"

#define PY_PLAIN_ROOM 4096 /* more is left to the pickle module */

/* The bytes written at `to`, at most `room`; 0: not plain, or too much, or
 * something in it must stay one object in two places. No exceptions. */
size_t py_plain_write(PyObject *obj, unsigned char *to, size_t room);

/* NULL without an exception: not of this kind, or wrong; pickle.loads is to
 * say what. */
PyObject *py_plain_read(const unsigned char *from, size_t nbytes);

#endif
