# SPDX-License-Identifier: MIT
"""Making, finding and removing shared arrays."""
import ast
import collections
import contextlib
import multiprocessing
import multiprocessing.util
import operator
import os
import time

import numpy as np

from . import _core
from ._core import attach, trim, unlink  # noqa: F401 (part of the package)


class ndarray(np.ndarray):
    """A `numpy.ndarray` over shared memory.

    Everything that NumPy does works as it does elsewhere. Views (slices,
    transposes, reshapes) keep the memory alive and are shared as well; results
    of arithmetic and copies are plain, private arrays.

    Pickling one (by a `multiprocessing.Queue`, `Pool.map`, `joblib`, ...) makes
    a handle of some 100 bytes, and whoever unpickles it has the same memory.
    The memory is kept for the receiver until it has it, this process ends, or
    `hold_seconds` are over. To store values in a file, pickle `a.copy()`.
    """

    __slots__ = ()
    __array_priority__ = -100.0  # beside plain arrays, plain results

    def __array_wrap__(self, arr, context=None, return_scalar=False):
        if self is arr:
            return arr
        if arr.shape == () and (return_scalar or _NUMPY_1):
            return arr[()]
        return arr.view(np.ndarray)

    # ---- other processes ----

    def __reduce_ex__(self, protocol):
        token = _token(self, _hold)
        if token is None:
            return self.view(np.ndarray).__reduce_ex__(protocol)
        return _core._import, (token,)

    def __reduce__(self):
        return self.__reduce_ex__(2)

    # ---- copies are private and plain, as of any array ----

    def copy(self, order="C"):
        """A private copy: a plain `numpy.ndarray`."""
        return np.array(self, order=order, copy=True)

    def __copy__(self):
        return np.array(self, order="K", copy=True)

    def __deepcopy__(self, memo):
        return np.array(self, order="K", copy=True)

    # ---- what shared memory has beside its data ----

    @property
    def name(self):
        """The name in shared memory, or None."""
        owner = _owner(self)
        return None if owner is None else owner.name

    @property
    def lock(self):
        """The lock that lies in the array's own memory: `with a.lock:`."""
        return _core.ArrayLock(self)

    @property
    def generation(self):
        """How often the data changed: rises with `changed`, with every
        release of `lock` and at the end of `writing`."""
        return _core._generation(self)

    def changed(self):
        """Tells that the data changed; whoever waits for it goes on."""
        _core._changed(self)

    def wait_changed(self, timeout=None, after=None):
        """Waits until `generation` is higher than `after` (None: than now).

        Returns False if that took longer than `timeout` seconds.

        Examples
        --------
        >>> a = ndshare.zeros(3)
        >>> seen = a.generation
        >>> with a.lock:
        ...     a[:] = 1
        >>> a.wait_changed(after=seen)
        True
        >>> a.wait_changed(timeout=0.01)
        False
        """
        return _core._wait_changed(self, timeout, after)

    @contextlib.contextmanager
    def writing(self, timeout=None):
        """The time in which data is written that `snapshot` must see whole.

        One writer at a time; gives whether the writer before it died at work,
        and then all of the data should be written.

        Examples
        --------
        >>> a = ndshare.zeros(3)
        >>> with a.writing():
        ...     a[:] = 1, 2, 3
        >>> a.snapshot()
        array([1., 2., 3.])
        """
        yield_value = _core._write_begin(self, timeout)
        try:
            yield yield_value
        finally:
            _core._write_end(self)

    def snapshot(self, timeout=None):
        """A private copy of one state, never of half of one.

        Does not make a writer (`writing`) wait: it copies again when one was
        at work meanwhile. RuntimeError if a writer died at work.
        """
        out = np.empty(self.shape, self.dtype,
                       "F" if self.flags.fnc else "C")
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if end is None else end - time.monotonic()
            seen = _core._read_begin(self, left)
            np.copyto(out, self)
            if not _core._read_retry(self, seen):
                return out
            if left is not None and left <= 0:
                raise TimeoutError(f"no copy within {timeout} s that no "
                                   "writer wrote into")

    def flush(self):
        """Writes an array in a file (`from_file`) through to the disk."""
        _core._flush(self)


_NUMPY_1 = np.lib.NumpyVersion(np.__version__) < "2.0.0"
_hold = 60.0


def hold_seconds(seconds):
    """How long pickled arrays are kept for a receiver; from now on, here.

    Returns what it was before; 60 at first. None: until this process ends.
    """
    global _hold
    before = _hold
    _hold = float("inf") if seconds is None else float(seconds)
    return None if before == float("inf") else before


def _owner(a):
    """The Owner under an array or under what it is a view of; or None."""
    while isinstance(a, np.ndarray):
        a = a.base
    return a if isinstance(a, _core.Owner) else None


def _token(a, hold):
    """A handle on a view of shared memory; None if it is private memory."""
    if a.base is None:
        return None
    dtype = _texts.get(a.dtype)
    if dtype is None:
        if a.dtype.hasobject:
            return None
        try:
            dtype = _dtype_text(a.dtype)
        except ValueError:  # fields that overlap
            return None
        if len(_texts) > 1000:
            _texts.clear()
        _texts[a.dtype] = dtype
    if _waits_at_exit != os.getpid():
        _wait_at_exit()
    address, readonly = a.__array_interface__["data"]
    return _core._export(a, address, a.shape, a.strides, dtype, readonly,
                         hold)


_waits_at_exit = None  # the process that does
_EXIT_SECONDS = 10


def _wait_at_exit():
    """A worker may end right after its result: then the memory must stay
    until the result has been received. (A main process just ends.)"""
    global _waits_at_exit
    _waits_at_exit = os.getpid()
    if multiprocessing.parent_process() is not None:
        # After the queues have written what they were given (-5).
        multiprocessing.util.Finalize(None, _core._wait_tokens,
                                      (_EXIT_SECONDS,), exitpriority=-1000)


def handle(a, hold=60):
    """A shared array as some 50 bytes, to be sent by any means.

    Parameters
    ----------
    a : ndshare.ndarray
        Or a view of one.
    hold : float or None
        Seconds for which this process keeps the memory for the receiver;
        it may have the array for longer itself. None: until it is received.

    Returns
    -------
    bytes
        For `from_handle`, in any process of this machine and user.

    Examples
    --------
    >>> a = ndshare.array([1, 2, 3])
    >>> b = ndshare.from_handle(ndshare.handle(a[1:]))
    >>> b[0] = 7
    >>> a
    ndarray([1, 7, 3])
    """
    token = _token(a, float("inf") if hold is None else hold)
    if token is None:
        raise ValueError("only shared arrays have handles; ndshare.array(a) "
                         "makes a shared copy")
    return token


def from_handle(token):
    """The array that `handle` stands for; FileNotFoundError if it is gone."""
    return _core._import(token)


def lock(a):
    """The lock of a shared array: `with ndshare.lock(a):`."""
    return _core.ArrayLock(a)


_texts = {}


def _load_dtype(text):
    if text[0] in "[{":
        return np.lib.format.descr_to_dtype(ast.literal_eval(text))
    return np.dtype(text)


_core._set_faces(ndarray, _load_dtype)


def _dtype_text(dtype):
    # ValueError for fields that overlap or are not in order: no .npy form.
    descr = np.lib.format.dtype_to_descr(dtype)
    return descr if isinstance(descr, str) else repr(descr)


_core._set_dtype_text(_dtype_text)


def _shape(shape):
    try:
        return (operator.index(shape),)
    except TypeError:
        return tuple(operator.index(n) for n in shape)


def _make(shape, dtype, order, name, lifetime, mode, replace, raw=False,
          fill=None):
    dtype = np.dtype(dtype)
    shape = _shape(shape)
    if dtype.subdtype is not None:
        dtype, inner = dtype.subdtype
        shape += inner
    if dtype.hasobject:
        raise TypeError(f"dtype {dtype} holds Python objects, which cannot "
                        "be shared")
    if order not in ("C", "F"):
        raise ValueError(f"order must be 'C' or 'F', not {order!r}")
    if lifetime not in ("unlinked", "used"):
        raise ValueError("lifetime must be 'unlinked' or 'used', not "
                         f"{lifetime!r}")
    value = None
    if fill is not None:
        value = np.asarray(fill).astype(dtype)
        if value.shape != ():
            fill, value = value, None
    a, filled = _core._create(
        name, _dtype_text(dtype), shape, order, mode, lifetime == "used",
        replace, raw, None if value is None else value.tobytes())
    if fill is not None and not filled:
        a[...] = fill
    return a


def zeros(shape, dtype=float, order="C", *, name=None, lifetime="unlinked",
          mode=0o600, replace=False):
    """A new shared array of zeros.

    Parameters
    ----------
    shape, dtype, order
        As for `numpy.zeros`.
    name : str, optional
        Other programs find it by this name; without one it is shared by
        being passed on (pickled, inherited).
    lifetime : {'unlinked', 'used'}
        Whether a name stays until `unlink`, or goes with its last user.
    mode : int
        Who may open the name, as for `os.chmod`.
    replace : bool
        Take over a name that is there, at one stroke.

    Returns
    -------
    ndshare.ndarray

    Examples
    --------
    >>> ndshare.zeros((2, 2), 'i4')
    ndarray([[0, 0],
             [0, 0]], dtype=int32)
    """
    return _make(shape, dtype, order, name, lifetime, mode, replace)


def ones(shape, dtype=float, order="C", *, name=None, lifetime="unlinked",
         mode=0o600, replace=False):
    """A new shared array of ones; parameters as for `zeros`."""
    return _make(shape, dtype, order, name, lifetime, mode, replace, fill=1)


def full(shape, fill_value, dtype=None, order="C", *, name=None,
         lifetime="unlinked", mode=0o600, replace=False):
    """A new shared array filled with a value; else as `zeros`.

    Examples
    --------
    >>> ndshare.full(3, 1.5)
    ndarray([1.5, 1.5, 1.5])
    """
    if dtype is None:
        dtype = np.asarray(fill_value).dtype
    return _make(shape, dtype, order, name, lifetime, mode, replace,
                 fill=fill_value)


def empty(shape, dtype=float, order="C", *, name=None, lifetime="unlinked",
          mode=0o600, replace=False):
    """A new shared array that is about to be written; else as `zeros`."""
    return _make(shape, dtype, order, name, lifetime, mode, replace, raw=True)


def array(object, dtype=None, *, order="K", name=None, lifetime="unlinked",
          mode=0o600, replace=False):
    """A new shared array with the values of `object`, as `numpy.array`.

    Examples
    --------
    >>> ndshare.array([[1, 2], [3, 4]])
    ndarray([[1, 2],
             [3, 4]])
    """
    source = np.asarray(object, dtype)
    if order not in ("C", "F"):
        order = "F" if source.flags.fnc else "C"
    a = _make(source.shape, source.dtype, order, name, lifetime, mode,
              replace, raw=True)
    a[...] = source
    return a


def from_file(path, mode="r+", dtype=None, shape=None, order="C", offset=0):
    """An array in a file: what one process writes, all who map it see.

    Parameters
    ----------
    path : str or path-like
    mode : {'r', 'r+', 'w+', 'c'}
        As for `numpy.memmap`; 'w+' makes the file anew.
    dtype : data-type, optional
        Of the raw elements in the file; without it a ``.npy`` file, which
        says itself what it holds.
    shape, order, offset
        As for `numpy.memmap`.

    Returns
    -------
    ndshare.ndarray
        Pickled by its path, unless the mode is 'c'.
    """
    if dtype is None:
        if shape is not None or offset != 0:
            raise ValueError("shape and offset go with a dtype; a .npy file "
                             "has its own")
        return _core._from_file(path, mode, None, None, order, 0)
    dtype = np.dtype(dtype)
    if shape is not None:
        shape = _shape(shape)
    if dtype.subdtype is not None:
        raise ValueError("a sub-array is no dtype of a file's elements; "
                         "extend the shape")
    return _core._from_file(path, mode, _dtype_text(dtype), shape, order,
                            offset)


NameInfo = collections.namedtuple(
    "NameInfo", "name kind dtype shape order nbytes capacity lifetime mode "
    "uid users others shape_generation generation lock_state")
NameInfo.__doc__ = """What `ls` and `info` say of a name in shared memory.

`users` counts live participants, `others` tells whether somebody that cannot
be counted has it mapped."""

Swept = collections.namedtuple("Swept", "name removed why")
Swept.__doc__ = "What `gc` did with a name, and why."


def info(name):
    """What is known of one name, as a `NameInfo`.

    Examples
    --------
    >>> a = ndshare.zeros((2, 3), name='doc_info')
    >>> ndshare.info('doc_info')[:5]
    ('doc_info', 'array', '<f8', (2, 3), 'C')
    >>> ndshare.unlink('doc_info')
    """
    return NameInfo._make(_core._info(name))


def ls(all=False):
    """The names in shared memory, a list of `NameInfo`.

    all : also what is not ndshare's, and its hidden names
    """
    return [NameInfo._make(one) for one in _core._names(all)]


def gc(dry_run=False):
    """Removes what processes that died left; a list of `Swept`."""
    return [Swept._make(one) for one in _core._sweep(dry_run)]
