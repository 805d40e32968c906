# SPDX-License-Identifier: MIT
"""Pickles for queues and pipes, with large arrays and buffers beside them."""
import copyreg
import io
import pickle
from multiprocessing.reduction import ForkingPickler

import numpy as np

from . import _core

_LEAST = 2048  # bytes of what is not within the pickle; as in py_parts.h
_NOTHING = bytearray()


def pickled(obj):
    """The pickle, and a list of parts and their sizes in turns.

    Arrays are `numpy.ndarray(shape, dtype, buffer, 0, None, order)` in it,
    which any NumPy loads, writable; the buffer of a large one is a part.
    """
    parts = []
    places = {}  # id of a place in the pickle -> it and its array

    def array(a):
        dtype = a.dtype
        if dtype.hasobject:
            return a.__reduce_ex__(4)
        order = "F" if a.flags.fnc else "C"
        if dtype.kind in "biufc" and dtype.metadata is None:
            dtype = dtype.str
        if a.nbytes < _LEAST:
            data = bytearray(a.tobytes(order))
        else:
            data = pickle.PickleBuffer(_NOTHING)  # a writable one
            places[id(data)] = data, a
        return np.ndarray, (a.shape, dtype, data, 0, None, order)

    def beside(buffer):
        _, a = places.pop(id(buffer), (None, None))
        if a is not None:
            parts.extend((a, a.nbytes))
            return False
        with memoryview(buffer) as data:
            if data.nbytes < _LEAST or not data.contiguous:
                return True  # within the pickle
            parts.extend((buffer, data.nbytes))
            return False

    table = {**copyreg.dispatch_table, **ForkingPickler._extra_reducers}
    theirs = table.get(np.ndarray)
    if theirs is None or theirs.__module__ == "ndshare._reducer":
        table[np.ndarray] = array  # one copy, and nothing to be received late
    file = io.BytesIO()
    pickler = pickle.Pickler(file, 5, buffer_callback=beside)
    pickler.dispatch_table = table
    pickler.dump(obj)
    return file.getvalue(), parts


_core._set_pickled(pickled)
