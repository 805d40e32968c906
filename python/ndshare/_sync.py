# SPDX-License-Identifier: MIT
"""Locks, semaphores, events, conditions, barriers: multiprocessing's."""
import operator
import threading
import time
from multiprocessing import current_process, util

from . import _core
from ._handle import Handle

SEM_VALUE_MAX = 2**31 - 1


class OwnerDiedWarning(RuntimeWarning):
    """A lock was taken over from a process that died while it held it.

    The lock is held as always; what it guards may be half done. Made an
    error (`warnings.simplefilter`), it lets the lock go and is raised.
    """


_core._set_owner_died(OwnerDiedWarning)


class _Sync(Handle):
    def _revive(self):
        pass

    def close(self):
        """Drop the handle; the name and others' handles stay."""
        self._parcel = None
        self._close()

    @classmethod
    def attach(cls, name, wait=0):
        """The one of that name, waiting so many seconds for it to appear.

        `wait` None waits for ever; FileNotFoundError or TimeoutError if it
        does not appear.
        """
        self = cls.__new__(cls)
        self._attach(name, wait)
        self._name = name
        self._revive()
        return self


def _who(lock):
    """Of whom it is, for a lock's repr; as multiprocessing says it."""
    try:
        if lock._is_mine():
            name = current_process().name
            if threading.current_thread().name != "MainThread":
                name += "|" + threading.current_thread().name
            return name
        if lock._holder():
            return "SomeOtherThread"
        return "SomeOtherProcess" if lock.locked() else None
    except Exception:
        return "unknown"


class Lock(_Sync, _core.Mutex):
    """A lock between processes, as `multiprocessing.Lock`.

    Only the thread that acquired it can release it. If its process dies, the
    next one gets it, with `OwnerDiedWarning`. A program in C attaches it by
    its name as an nds_mutex.

    Parameters
    ----------
    name : str, optional
        Other programs join by ``Lock.attach(name)``.

    Examples
    --------
    >>> lock = ndshare.Lock()
    >>> with lock:
    ...     lock.acquire(False)
    False
    """

    _recursive = False

    def __init__(self, *, ctx=None, name=None):
        self._create(name, self._recursive)
        self._name = name
        self._revive()

    def _revive(self):
        self._set(self._recursive)
        util.register_after_fork(self, type(self)._forget)

    def __repr__(self):
        return f"<{type(self).__name__}(owner={_who(self)})>"


class RLock(Lock):
    """A lock that its thread can acquire again, as `multiprocessing.RLock`;
    else as `Lock`."""

    _recursive = True

    def __repr__(self):
        who = _who(self)
        count = self._count() or (0 if who is None else "nonzero")
        return f"<RLock({who}, {count})>"


class Semaphore(_Sync, _core.Sem):
    """Permits to acquire and release, as `multiprocessing.Semaphore`.

    Parameters
    ----------
    value : int
        Permits at the start.
    name : str, optional
        Other programs join by ``Semaphore.attach(name)``.
    owned : bool
        Permits belong to the process that acquired them, and come free when
        it dies; only it can release them.
    """

    _bounded = False

    def __init__(self, value=1, *, ctx=None, name=None, owned=False):
        value = operator.index(value)
        if not 0 <= value <= SEM_VALUE_MAX:
            raise ValueError(f"a semaphore's value must be 0 to "
                             f"{SEM_VALUE_MAX}, not {value}")
        self._create(name, value, value if self._bounded else 0, owned)
        self._name = name

    def locked(self):
        """Whether there are no permits at this moment."""
        return self.get_value() == 0

    def __repr__(self):
        return f"<{type(self).__name__}(value={self.get_value()})>"


class BoundedSemaphore(Semaphore):
    """A `Semaphore` that never has more permits than at the start:
    ValueError if it is released more often than acquired."""

    _bounded = True


class Event(_Sync, _core.Event):
    """A flag to wait for, as `multiprocessing.Event`; by its name also an
    nds_event in C."""

    def __init__(self, *, ctx=None, name=None):
        self._create(name)
        self._name = name

    def __repr__(self):
        state = "set" if self.is_set() else "unset"
        return f"<{type(self).__qualname__} at {id(self):#x} {state}>"


class Condition(_Sync, _core.Cond):
    """A lock and a wait for a change under it, as `multiprocessing.Condition`.

    `wait` may return without a notification, also when another one was meant:
    no wake-up is lost with a process that is killed before it acts on it. Use
    `wait_for`, or look again.

    Parameters
    ----------
    lock : Lock or RLock, optional
        A lock to share with others. Without it, the condition has one of its
        own that works as an `RLock`; by name it is an nds_cond in C.
    name : str, optional
        Other programs join by ``Condition.attach(name)``.
    """

    _lock = None

    def __init__(self, lock=None, *, ctx=None, name=None):
        if lock is not None and name is not None:
            raise ValueError("a condition with a name has a lock of its own")
        self._create(name)
        self._name = name
        self._revive(lock)

    def _extra(self):
        return {} if self._lock is None else {"lock": self._lock}

    def _revive(self, lock=None):
        util.register_after_fork(self, Condition._forget)
        if lock is not None:
            self._lock = lock
            self.acquire = lock.acquire
            self.release = lock.release
            self.wait = self._wait_under
            self.notify = self._notify_under
            self.notify_all = self._notify_all_under

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *exc):
        self.release()

    def wait_for(self, predicate, timeout=None):
        """Wait until `predicate()` is true; what it said last.

        Examples
        --------
        >>> c = ndshare.Condition()
        >>> with c:
        ...     c.wait_for(lambda: False, timeout=0.01)
        False
        """
        result = predicate()
        if result:
            return result
        end = None if timeout is None else time.monotonic() + timeout
        while not result:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
            result = predicate()
        return result

    # ---- with somebody else's lock: our own one is held for moments, from
    # before the other is let go until we sleep, so that no notification is
    # missed.

    def _need_lock(self, message):
        mine = getattr(self._lock, "_is_mine", None)
        if mine is None:
            mine = self._lock._semlock._is_mine  # multiprocessing's own
        if not mine():
            raise AssertionError(message)

    def _wait_under(self, timeout=None):
        self._need_lock("must acquire() condition before using wait()")
        count = getattr(self._lock, "_count", None)
        if count is None:
            count = self._lock._semlock._count
        times = count()
        cond = super()
        cond.acquire()
        for _ in range(times):
            self._lock.release()
        try:
            return cond.wait(timeout)
        finally:
            cond.release()
            for _ in range(times):
                self._lock.acquire()

    def _notify_under(self, n=1):
        self._need_lock("lock is not owned")
        cond = super()
        cond.acquire()
        try:
            cond.notify(n)
        finally:
            cond.release()

    def _notify_all_under(self):
        self._notify_under(SEM_VALUE_MAX)

    def __repr__(self):
        return f"<Condition({self._lock or 'its own lock'})>"


class Barrier(_Sync, _core.Barrier):
    """All arrive, then all go on; as `multiprocessing.Barrier`.

    A member that dies while it waits, or is called away by a signal, breaks
    the barrier for the others.

    Parameters
    ----------
    parties : int
        How many pass together.
    action : callable, optional
        One of them calls it before they go on; all must give the same.
    timeout : float, optional
        Seconds for waits that give none.
    name : str, optional
        Other programs join by ``Barrier.attach(name)``.
    """

    _action = _timeout = None

    def __init__(self, parties, action=None, timeout=None, *, ctx=None,
                 name=None):
        parties = operator.index(parties)
        if parties < 1:
            raise ValueError("parties must be > 0")
        self._create(name, parties)
        self._name = name
        self._revive(action, timeout)

    def _extra(self):
        return {"action": self._action, "timeout": self._timeout}

    def _revive(self, action=None, timeout=None):
        self._action = action
        self._timeout = timeout

    def wait(self, timeout=None):
        """Wait for the others; 0 to parties - 1, for each another number.

        Raises
        ------
        threading.BrokenBarrierError
            Broken: by a time-out, `abort`, `reset`, or a member's death.
        """
        if timeout is None:
            timeout = self._timeout
        index = self._wait(timeout)
        if self._action is not None:
            if index == 0:
                try:
                    self._action()
                except BaseException:
                    self.abort()
                    raise
            self._wait(timeout)
        return index


class _Side:
    """One of the two ways to hold an RWLock."""

    def __init__(self, acquire, release):
        self.acquire = acquire
        self.release = release

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *exc):
        self.release()


class RWLock(_Sync, _core.RWLock):
    """Many readers or one writer; by its name also an nds_rwlock in C.

    New readers queue behind a writer that waits. After a writer's death
    `OwnerDiedWarning` comes with the lock until a writer has let it go.

    Examples
    --------
    >>> lock = ndshare.RWLock()
    >>> with lock.reader:
    ...     lock.acquire_write(timeout=0.01)
    False
    >>> with lock.writer:
    ...     pass
    """

    def __init__(self, *, name=None):
        self._create(name)
        self._name = name

    @property
    def reader(self):
        """To read: `with lock.reader:`."""
        return _Side(self.acquire_read, self.release)

    @property
    def writer(self):
        """To write: `with lock.writer:`."""
        return _Side(self.acquire_write, self.release)
