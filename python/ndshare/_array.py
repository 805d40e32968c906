# SPDX-License-Identifier: MIT
"""Making, finding and removing shared arrays."""
import ast
import operator

import numpy as np

from . import _core
from ._core import attach, unlink  # noqa: F401 (part of the package)


class ndarray(np.ndarray):
    """A `numpy.ndarray` over shared memory.

    Everything that NumPy does works as it does elsewhere. Views (slices,
    transposes, reshapes) keep the memory alive and are shared as well;
    results of arithmetic are plain, private arrays.
    """

    __slots__ = ()
    __array_priority__ = -100.0  # beside plain arrays, plain results

    def __array_wrap__(self, arr, context=None, return_scalar=False):
        if self is arr:
            return arr
        if arr.shape == () and (return_scalar or _NUMPY_1):
            return arr[()]
        return arr.view(np.ndarray)

    @property
    def name(self):
        """The name in shared memory, or None."""
        owner = _owner(self)
        return None if owner is None else owner.name


_NUMPY_1 = np.lib.NumpyVersion(np.__version__) < "2.0.0"


def _owner(a):
    """The Owner under an array or under what it is a view of; or None."""
    while isinstance(a, np.ndarray):
        a = a.base
    return a if isinstance(a, _core.Owner) else None


def _load_dtype(text):
    if text[0] in "[{":
        return np.lib.format.descr_to_dtype(ast.literal_eval(text))
    return np.dtype(text)


_core._set_faces(ndarray, _load_dtype)


def _dtype_text(dtype):
    try:
        descr = np.lib.format.dtype_to_descr(dtype)
    except ValueError:  # overlapping fields, or not in the order of offsets
        descr = {"names": list(dtype.names),
                 "formats": [_descr(dtype.fields[n][0]) for n in dtype.names],
                 "offsets": [dtype.fields[n][1] for n in dtype.names],
                 "itemsize": dtype.itemsize}
    return descr if isinstance(descr, str) else repr(descr)


_core._set_dtype_text(_dtype_text)


def _make(shape, dtype, order, name, lifetime, mode, replace, raw=False,
          fill=None):
    dtype = np.dtype(dtype)
    try:
        shape = (operator.index(shape),)
    except TypeError:
        shape = tuple(operator.index(n) for n in shape)
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
