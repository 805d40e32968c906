# SPDX-License-Identifier: MIT
"""Array, Value and their raw forms: ctypes objects in shared memory."""
import ctypes
import os
import threading
from multiprocessing import sharedctypes

import numpy as np

from . import _core
from ._array import attach as _attach
from ._array import zeros
from ._handle import Parcel
from ._sync import RLock


class _Memory:
    """What sharedctypes keeps under an object: memory that can be sent."""

    _parcel = None

    def __init__(self, array):
        self.array = array

    def create_memoryview(self):
        if self.array.nbytes == 0:
            return memoryview(bytearray(1))
        return memoryview(self.array.reshape(-1).view("u1"))

    def __reduce__(self):
        if self._parcel is None:
            self._parcel = Parcel(*_core._array_pack(self.array))
        return _arrived, (self._parcel.data, self._parcel.sent())


def _arrived(data, fds):
    return _Memory(_core._array_unpack(data, [fd.detach() for fd in fds]))


def _type(code):
    return sharedctypes.typecode_to_type.get(code, code)


def _dtype(type_):
    try:
        return np.dtype(type_)
    except (TypeError, NotImplementedError):  # pointers, unions: only bytes
        return np.dtype((np.void, ctypes.sizeof(type_)))


def _found(type_, shape, name):
    """The array of that name, if it holds such elements."""
    a = _attach(name)
    if a.dtype != _dtype(type_) or a.ndim != len(shape) or \
            not a.flags.c_contiguous:
        raise TypeError(f"'{name}' holds {a.dtype} of shape {a.shape}, not "
                        f"{_dtype(type_)} of {len(shape)} dimensions")
    return a


def _new(type_, shape, name, attach):
    """An object of that ctypes type (shape ()), or an array of them."""
    if attach:
        a = _found(type_, shape, name)
    elif name is not None:
        a = zeros(shape, _dtype(type_), name=name)
    else:
        a = zeros(shape[0] * ctypes.sizeof(type_) if shape
                  else ctypes.sizeof(type_), "u1")
    if attach and shape:
        shape = a.shape
    whole = type_ * shape[0] if shape else type_
    return sharedctypes.rebuild_ctype(whole, _Memory(a), None)


def RawValue(typecode_or_type, *args, name=None, attach=False):
    """A ctypes object in shared memory, without a lock.

    As `multiprocessing.RawValue`; with a `name` it is an array of no
    dimensions to other programs.
    """
    value = _new(_type(typecode_or_type), (), name, attach)
    if args or not attach:
        value.__init__(*args)
    return value


def RawArray(typecode_or_type, size_or_initializer=None, *, name=None,
             attach=False):
    """A ctypes array in shared memory, without a lock.

    As `multiprocessing.RawArray`; `numpy.frombuffer` or
    `numpy.ctypeslib.as_array` show it as an array without a copy. With a
    `name` it is an array to other programs, and with `attach` theirs.

    Examples
    --------
    >>> a = ndshare.RawArray('d', [1, 2, 3])
    >>> np.frombuffer(a)[:] += 1
    >>> a[:]
    [2.0, 3.0, 4.0]
    """
    type_ = _type(typecode_or_type)
    if attach:
        return _new(type_, (0,), name, True)
    if isinstance(size_or_initializer, int):
        return _new(type_, (size_or_initializer,), name, False)
    values = size_or_initializer
    a = _new(type_, (len(values),), name, False)
    if isinstance(values, np.ndarray) and values.ndim == 1 and len(values):
        try:
            np.ctypeslib.as_array(a)[:] = values
            return a
        except (TypeError, ValueError, NotImplementedError):
            pass
    a.__init__(*values)
    return a


def _locked(obj, lock):
    if lock is True or lock is None:
        lock = RLock()
    if not hasattr(lock, "acquire"):
        raise AttributeError(f"{lock!r} has no method 'acquire'")
    return sharedctypes.synchronized(obj, lock)


def Value(typecode_or_type, *args, lock=True, ctx=None, name=None,
          attach=False):
    """A ctypes object in shared memory with a lock, as
    `multiprocessing.Value`.

    The lock is an `RLock`, or the one given; ``lock=False`` is `RawValue`.

    Examples
    --------
    >>> v = ndshare.Value('i', 5)
    >>> with v.get_lock():
    ...     v.value += 1
    >>> v.value
    6
    """
    obj = RawValue(typecode_or_type, *args, name=name, attach=attach)
    return obj if lock is False else _locked(obj, _lock_for(lock, name, obj))


def Array(typecode_or_type, size_or_initializer=None, *, lock=True, ctx=None,
          name=None, attach=False):
    """A ctypes array in shared memory with a lock, as
    `multiprocessing.Array`.

    The lock is an `RLock`, or the one given; ``lock=False`` is `RawArray`.
    With a `name` it is an array to other programs, and the lock is the
    array's own: nds_array_lock in C.

    Examples
    --------
    >>> a = ndshare.Array('i', range(5))
    >>> a[1:3] = [7, 8]
    >>> a[:], len(a)
    ([0, 7, 8, 3, 4], 5)
    """
    obj = RawArray(typecode_or_type, size_or_initializer, name=name,
                   attach=attach)
    return obj if lock is False else _locked(obj, _lock_for(lock, name, obj))


class _ArrayRLock:
    """The lock in a named array's memory, for its thread again and again."""

    def __init__(self, array):
        self._array = array
        self._lock = array.lock
        self._holder = None
        self._depth = 0

    def acquire(self, block=True, timeout=None):
        me = os.getpid(), threading.get_ident()
        if self._holder != me:
            if not self._lock.acquire(block, timeout):
                return False
            self._holder, self._depth = me, 0
        self._depth += 1
        return True

    def release(self):
        if self._holder != (os.getpid(), threading.get_ident()):
            raise AssertionError("attempt to release recursive lock not owned "
                                 "by thread")
        self._depth -= 1
        if self._depth == 0:
            self._holder = None
            self._lock.release()

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *exc):
        self.release()

    def __reduce__(self):
        return _array_lock, (_Memory(self._array),)


def _array_lock(memory):
    return _ArrayRLock(memory.array)


def _lock_for(lock, name, obj):
    """The lock that goes with a name is the one in the array's memory."""
    if name is not None and (lock is True or lock is None):
        return _ArrayRLock(obj._wrapper.array)
    return lock
