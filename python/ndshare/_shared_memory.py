# SPDX-License-Identifier: MIT
"""SharedMemory and ShareableList without Python's resource tracker.

The tracker of CPython up to 3.12 unlinks a name when the program that merely
attached it ends. Names made here stay until somebody unlinks them.
"""
import mmap
import os
import types
from multiprocessing import shared_memory

import _posixshmem

_TRIES = 100


class SharedMemory:
    """A block of bytes with a name, as
    `multiprocessing.shared_memory.SharedMemory`; each attaches the other's.

    Examples
    --------
    >>> block = ndshare.SharedMemory(create=True, size=100)
    >>> block.buf[0] = 7
    >>> again = ndshare.SharedMemory(block.name)
    >>> again.buf[0]
    7
    >>> again.close(), block.close(), block.unlink()
    (None, None, None)
    """

    _fd = -1
    _mmap = None
    _buf = None
    _name = ""

    def __init__(self, name=None, create=False, size=0, *, track=False):
        if size < 0:
            raise ValueError("'size' must be a positive integer")
        if create and size == 0:
            raise ValueError("'size' must be a positive number different from "
                             "zero")
        if name is None and not create:
            raise ValueError("'name' can only be None if create=True")
        flags = os.O_RDWR | (os.O_CREAT | os.O_EXCL if create else 0)
        if name is None:
            self._make_name(flags)
        else:
            self._name = name if name.startswith("/") else "/" + name
            self._fd = _posixshmem.shm_open(self._name, flags, mode=0o600)
        try:
            if create:
                os.ftruncate(self._fd, size)
            self._size = os.fstat(self._fd).st_size
            self._mmap = mmap.mmap(self._fd, self._size)
        except (OSError, ValueError):
            self.close()
            if create:
                self.unlink()
            raise
        self._buf = memoryview(self._mmap)

    def _make_name(self, flags):
        for _ in range(_TRIES):
            self._name = shared_memory._make_filename()
            try:
                self._fd = _posixshmem.shm_open(self._name, flags, mode=0o600)
                return
            except FileExistsError:
                continue
        raise FileExistsError("no free name was found")

    def __del__(self):
        try:
            self.close()
        except (OSError, BufferError):
            pass

    def __reduce__(self):
        return SharedMemory, (self.name,)

    def __repr__(self):
        return f"{type(self).__name__}({self.name!r}, size={self.size})"

    @property
    def buf(self):
        """The memory, as a memoryview."""
        return self._buf

    @property
    def name(self):
        """What others attach it by."""
        return self._name.lstrip("/")

    @property
    def size(self):
        """Bytes."""
        return self._size

    def close(self):
        """Give up this process's view of it. BufferError while others of its
        memoryviews are in use."""
        if self._buf is not None:
            self._buf.release()
            self._buf = None
        if self._mmap is not None:
            self._mmap.close()
            self._mmap = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def unlink(self):
        """Remove the name; the memory goes with its last user."""
        if self._name:
            _posixshmem.shm_unlink(self._name)


def _with_ours(function):
    """The same code, with SharedMemory meaning ours."""
    names = dict(vars(shared_memory), SharedMemory=SharedMemory)
    ours = types.FunctionType(function.__code__, names, function.__name__,
                              function.__defaults__, function.__closure__)
    ours.__kwdefaults__ = function.__kwdefaults__
    return ours


class ShareableList(shared_memory.ShareableList):
    """`multiprocessing.shared_memory.ShareableList` in a block that the
    resource tracker does not unlink.

    Examples
    --------
    >>> a = ndshare.ShareableList([1, 'two', None])
    >>> b = ndshare.ShareableList(name=a.shm.name)
    >>> b[0] = 5
    >>> list(a)
    [5, 'two', None]
    >>> b.shm.close(), a.shm.close(), a.shm.unlink()
    (None, None, None)
    """

    __init__ = _with_ours(shared_memory.ShareableList.__init__)
