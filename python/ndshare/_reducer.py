# SPDX-License-Identifier: MIT
"""Large plain arrays through shared memory, in code that knows nothing of us."""
import pickle
from multiprocessing.reduction import ForkingPickler

import numpy as np

from . import _array, _core

_before = None  # what ForkingPickler did with arrays; [] for nothing of its own


def install_reducer(min_bytes=1 << 20, hold=60):
    """From now on large arrays leave this process through shared memory.

    Whatever pickles as `multiprocessing` does (its queues and pipes, `Pool`,
    `concurrent.futures`) copies a plain `numpy.ndarray` of `min_bytes` or more
    into shared memory once, instead of into a pickle, through a pipe and out
    again. The receiver gets a plain array over that memory, its own.

    Pickles that go elsewhere (`pickle.dump` to a file) stay as they are.

    Parameters
    ----------
    min_bytes : int
        Smaller arrays are pickled.
    hold : float or None
        Seconds for which the memory is kept for a receiver.
    """
    global _before
    if _before is None:
        extra = ForkingPickler._extra_reducers
        _before = [extra[np.ndarray]] if np.ndarray in extra else []

    def reduce(a):
        if a.nbytes >= min_bytes and not a.dtype.hasobject:
            shared = _array.array(a)
            token = _array._token(shared, _seconds(hold))
            return _received, (token,)
        return a.__reduce_ex__(pickle.DEFAULT_PROTOCOL)

    ForkingPickler.register(np.ndarray, reduce)


def uninstall_reducer():
    """Undoes `install_reducer`."""
    global _before
    if _before is None:
        return
    ForkingPickler._extra_reducers.pop(np.ndarray, None)
    for reduce in _before:
        ForkingPickler.register(np.ndarray, reduce)
    _before = None


def _seconds(hold):
    return float("inf") if hold is None else float(hold)


def _received(token):
    return _core._import(token).view(np.ndarray)
