# SPDX-License-Identifier: MIT
"""NumPy arrays between processes: one memory for Python, C and C++.

>>> import ndshare
>>> a = ndshare.zeros((2, 3), name='doc_first')
>>> b = ndshare.attach('doc_first')     # here, or in any other process
>>> b[0] = 1
>>> float(a.sum())
3.0
>>> ndshare.unlink('doc_first')
"""
from ._array import (NameInfo, Swept, array, attach, empty, from_file,
                     from_handle, full, gc, handle, hold_seconds, info, lock,
                     ls, ndarray, ones, trim, unlink, zeros)
from ._core import version as __version__
from ._manager import Manager, SyncManager
from ._queue import Connection, JoinableQueue, Pipe, Queue, SimpleQueue
from ._reducer import install_reducer, uninstall_reducer
from ._shared_memory import ShareableList, SharedMemory
from ._sharedctypes import Array, RawArray, RawValue, Value
from ._sync import (Barrier, BoundedSemaphore, Condition, Event, Lock,
                    OwnerDiedWarning, RLock, RWLock, Semaphore)

__all__ = ["Array", "Barrier", "BoundedSemaphore", "Condition", "Connection",
           "Event", "JoinableQueue", "Lock", "Manager", "NameInfo",
           "OwnerDiedWarning", "Pipe", "Queue", "RLock", "RWLock", "RawArray",
           "RawValue", "Semaphore", "ShareableList", "SharedMemory",
           "SimpleQueue", "Swept", "SyncManager", "Value", "array", "attach",
           "empty", "from_file", "from_handle", "full", "gc", "handle",
           "hold_seconds", "info", "install_reducer", "lock", "ls", "ndarray",
           "ones", "trim", "uninstall_reducer", "unlink", "zeros"]
