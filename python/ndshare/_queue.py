# SPDX-License-Identifier: MIT
"""Queues and pipes: multiprocessing's, with arrays as arrays."""
import collections
import operator
import sys
import threading
import time
import traceback
import weakref
from multiprocessing import util

import numpy as np

from . import _core, _pickling  # noqa: F401 (the latter sets itself)
from ._array import _shape, ndarray
from ._core import Loan  # noqa: F401 (what loan and take return)
from ._handle import Handle
from ._sync import Semaphore

_POLICIES = {"again": 0, "drop": 1, "park": 2}
_MAX_ITEMS = 1 << 19
_MAX_SPILLERS = 1 << 20


class Queue(Handle, _core.Queue):
    """A queue of arrays and other objects between processes.

    Names, arguments and exceptions are those of `multiprocessing.Queue`. It
    can be passed to children of any start method, pickled, and with a name be
    joined by any program, in C and C++ too. What differs:

    - Arrays cross as arrays: one copy in, none out (`loan`, `take` and
      ``put(a, move=True)``: none at all). Large ones inside of other objects
      cross beside the pickle, with one copy too.
    - Objects are pickled in `put`, which raises what is wrong with them, and
      not later by a thread.
    - What was put is in shared memory at once: it survives the process that
      put it, and a consumer that is killed before it said `task_done` (with
      ``acknowledge``) or released what it took gives its item back.
    - A thread and unbounded memory are used only if shared memory has no room
      and `maxsize` is 0.

    Parameters
    ----------
    maxsize : int
        The most objects that wait; 0 for no bound.
    name : str, optional
        Other programs join by ``Queue.attach(name)``.
    max_bytes : int
        Shared memory for arrays, reserved at once for named queues. 0: 1 GiB,
        used as it is needed; 64 MiB for a named queue, at most a quarter of
        what is free.
    redelivery : {'again', 'drop', 'park'}
        What becomes of an item whose consumer died.
    max_deliveries : int
        Park an item after so many; 0: never.
    acknowledge : bool
        An item is its consumer's only after `task_done`.
    pickles : bool
        False refuses to unpickle: for queues that strangers can write.
    mode : int
        Who may open the name, as for `os.chmod`.
    lifetime : {'unlinked', 'used'}
        Whether the name stays until `ndshare.unlink`, or goes with its last
        user.

    Examples
    --------
    >>> q = ndshare.Queue()
    >>> q.put(np.arange(3))
    >>> q.put({'a': 1})
    >>> q.get(), q.get()
    (ndarray([0, 1, 2]), {'a': 1})
    """

    _maxsize = 0

    def __init__(self, maxsize=0, *, ctx=None, name=None, max_bytes=0,
                 redelivery="again", max_deliveries=0, acknowledge=False,
                 pickles=True, mode=0o600, lifetime="unlinked"):
        if redelivery not in _POLICIES:
            raise ValueError(f"redelivery must be one of {list(_POLICIES)}, "
                             f"not {redelivery!r}")
        if lifetime not in ("unlinked", "used"):
            raise ValueError("lifetime must be 'unlinked' or 'used', not "
                             f"{lifetime!r}")
        maxsize = max(operator.index(maxsize), 0)
        self._create(name, min(maxsize, _MAX_ITEMS), max_bytes,
                     _POLICIES[redelivery], max_deliveries, acknowledge, mode,
                     lifetime == "used")
        self._name = name
        self._revive(maxsize, pickles)

    @classmethod
    def attach(cls, name, wait=0, *, pickles=True):
        """The queue of that name, waiting so many seconds for it to appear.

        `wait` None waits for ever; FileNotFoundError or TimeoutError if it
        does not appear.
        """
        self = cls.__new__(cls)
        self._attach(name, wait)
        self._name = name
        info = self.info()
        bound = info["max_items"]
        self._revive(0 if bound == info["slots"] else bound, pickles)
        return self

    def _revive(self, maxsize, pickles):
        self._maxsize = maxsize
        self._pickles = pickles
        self._closed_here = False
        self._joins = True
        self._reset()
        util.register_after_fork(self, Queue._reset)

    def _extra(self):
        return {"maxsize": self._maxsize, "pickles": self._pickles}

    def _reset(self):
        """Nothing spilled: at the start, and in a forked child."""
        self._spilled = collections.deque()
        self._changed = threading.Condition()
        self._thread = None
        self._flags(False)

    def _flags(self, spilling):
        self._set(self._unbounded(), spilling, self._pickles,
                  self._closed_here)

    def _unbounded(self):
        return self._maxsize == 0

    def _spills(self, begin):
        """The first object was spilled, or the last one has got out."""

    # ---- a queue without a bound, when shared memory has no room

    def _spill(self, obj):
        if isinstance(obj, np.ndarray) and type(obj) in (np.ndarray, ndarray):
            item, what = np.array(obj), 0
            if item.dtype.hasobject:
                item, what = _core._item_bytes(obj)
        elif obj is None or type(obj) is bytes:
            item, what = obj, 0
        else:
            item, what = _core._item_bytes(obj)
        with self._changed:
            if not self._spilled:
                self._spills(True)
            self._spilled.append((item, what))
            self._flags(True)
            if self._thread is None:
                self._start_thread()

    def _start_thread(self):
        self._thread = threading.Thread(target=self._feed, daemon=True,
                                        name="ndshare.Queue")
        self._thread.start()
        if self._joins:
            self._finalizer = util.Finalize(
                self, Queue._finalize, [weakref.ref(self._thread)],
                exitpriority=-5)

    @staticmethod
    def _finalize(thread):
        thread = thread()
        if thread not in (None, threading.current_thread()):
            thread.join()

    def _feed(self):
        while True:
            with self._changed:
                if not self._spilled:
                    self._thread = None
                    self._flags(False)
                    if self._closed_here:
                        self._close()
                    self._changed.notify_all()
                    return
                item, what = self._spilled[0]
            try:
                if not self._put_spilled(item, what, 1.0):
                    continue
            except BrokenPipeError:  # all consumers died: others may come
                time.sleep(0.1)
                continue
            except Exception as e:
                self._on_queue_feeder_error(e, item)
            with self._changed:
                self._spilled.popleft()
                if not self._spilled:
                    self._spills(False)
                self._changed.notify_all()

    @staticmethod
    def _on_queue_feeder_error(e, obj):
        """Told of what could not be put after `put` had come back."""
        traceback.print_exception(type(e), e, e.__traceback__,
                                  file=sys.stderr)

    # ---- the rest of multiprocessing.Queue

    def qsize(self):
        """How many objects wait, with those this process has spilled."""
        return self._qsize() + len(self._spilled)

    def empty(self):
        """Whether no object waits.

        Of a queue that this process closed: True if nothing waited then, else
        OSError; of a closed `SimpleQueue` always OSError.
        """
        if not self._closed_here:
            return self.qsize() == 0
        if self._left:
            raise OSError(f"{type(self).__name__} {self!r} is closed")
        return True

    def full(self):
        """Whether `maxsize` objects wait; False if there is no bound."""
        return bool(self._maxsize) and self.qsize() >= self._maxsize

    def close(self):
        """No more use of it by this process; what was put stays."""
        with self._changed:
            if not self._closed_here:
                self._left = self.qsize()
            self._closed_here = True
            self._parcel = None
            if self._thread is None:
                self._close()
            else:
                self._flags(True)

    def join_thread(self):
        """Wait until what was spilled is in shared memory; after `close`."""
        if not self._closed_here:
            raise AssertionError(f"Queue {self!r} not closed")
        thread = self._thread
        if thread is not None:
            thread.join()

    def cancel_join_thread(self):
        """Do not wait for that at the end of the process: it may be lost."""
        self._joins = False
        finalizer = self.__dict__.pop("_finalizer", None)
        if finalizer is not None:
            finalizer.cancel()

    def loan(self, shape, dtype=float, timeout=None):
        """An array in the queue's own memory, to be filled and published.

        Parameters
        ----------
        shape, dtype
            As for `numpy.empty`.
        timeout : float, optional
            Seconds to wait for room; None for ever.

        Examples
        --------
        >>> q = ndshare.Queue()
        >>> with q.loan((2, 2), 'i4') as a:
        ...     a[:] = 7
        >>> q.get()
        ndarray([[7, 7],
                 [7, 7]], dtype=int32)
        """
        return self._loan(_shape(shape), np.dtype(dtype), timeout)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    @property
    def _reader(self):  # where multiprocessing has its ends of a pipe
        return self

    _writer = _reader


class JoinableQueue(Queue):
    """A `Queue` with `task_done` and `join`.

    Objects that a process got and did not acknowledge by `task_done` count as
    done when it dies (with ``acknowledge``: they come back).

    With a name, `put` waits while shared memory has no room for the object,
    also if `maxsize` is 0.
    """

    # Owned permits: a process that spills has one, until it is done or dies.
    _spillers = None

    def __init__(self, maxsize=0, *, name=None, **options):
        if name is None and operator.index(maxsize) <= 0:
            self._spillers = Semaphore(_MAX_SPILLERS, owned=True)
        super().__init__(maxsize, name=name, **options)

    def _extra(self):
        return {**super()._extra(), "spillers": self._spillers}

    def _revive(self, maxsize, pickles, spillers=None):
        self._spillers = spillers or self._spillers
        super()._revive(maxsize, pickles)

    def _unbounded(self):
        return self._maxsize == 0 and self._spillers is not None

    def _spills(self, begin):
        (self._spillers.acquire if begin else self._spillers.release)()

    def join(self, timeout=None):
        """Wait until every object that was put has been dealt with.

        False if that is not so after `timeout` seconds, else True.
        """
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            if not self._changed.wait_for(lambda: not self._spilled, timeout):
                return False
        pause = 0.001
        while (self._spillers is not None
               and self._spillers.get_value() < _MAX_SPILLERS):
            if end is not None and time.monotonic() + pause > end:
                return False
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
        return self._join(None if end is None
                          else max(0, end - time.monotonic()))


class SimpleQueue(Queue):
    """A `Queue` made as `multiprocessing.SimpleQueue` is."""

    def __init__(self, *, ctx=None, name=None):
        super().__init__(0, name=name)

    def close(self):
        """No more use of it by this process; what was put stays."""
        super().close()
        self._left = True


class Connection(Handle, _core.Pipe):
    """One end of a `Pipe`, as `multiprocessing.connection.Connection`.

    Arrays cross as arrays. There is no descriptor to read or write bytes
    with: `fileno` is for waiting only.
    """

    def __init__(self):
        raise TypeError("made by ndshare.Pipe()")

    def _extra(self):
        return {"readable": self.readable, "writable": self.writable}

    def _revive(self, readable, writable):
        self._set(readable, writable, True)

    def close(self):
        """Drop this end. The other one meets the end of file when nobody
        holds this one any more."""
        self._parcel = None
        self._close()

    def loan(self, shape, dtype=float):
        """An array in the pipe's memory, to be filled and sent; see
        `Queue.loan`."""
        return self._loan(_shape(shape), np.dtype(dtype))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def Pipe(duplex=True, *, max_items=0, max_bytes=0):
    """Two connected ends; with `duplex` False the first only receives.

    `max_items` and `max_bytes` bound what is on its way; 0 for 4096 messages
    and 1 GiB.

    Examples
    --------
    >>> a, b = ndshare.Pipe()
    >>> a.send(np.ones(2))
    >>> b.recv()
    ndarray([1., 1.])
    """
    a = Connection.__new__(Connection)
    b = Connection.__new__(Connection)
    a._create(b, duplex, max_items, max_bytes)
    return a, b
