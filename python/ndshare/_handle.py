# SPDX-License-Identifier: MIT
"""How locks, queues and pipes cross: by name, or with their descriptors."""
import os
from multiprocessing import reduction


class Parcel:
    """A handle's bytes and descriptors; these close with it."""

    def __init__(self, data, fds):
        self.data = data
        self.fds = fds

    def sent(self):
        """What carries the descriptors in the pickle that is being made."""
        return [reduction.DupFd(fd) for fd in self.fds]

    def __del__(self, close=os.close):
        for fd in self.fds:
            close(fd)


class Handle:
    """What classes over a C handle have in common.

    `multiprocessing` passes descriptors on for us: to a child that is being
    spawned, or to whoever unpickles (its resource sharer). The parcel is kept
    with the handle, for the child may start after `start` has come back.
    """

    _name = None
    _parcel = None

    @property
    def name(self):
        """The name in shared memory, or None."""
        return self._name

    def _extra(self):
        """What else the other side is told: keyword arguments of _revive."""
        return {}

    def _revive(self):
        """Called on the other side, with the handle in place."""

    def __reduce__(self):
        if self._name is not None:
            return _by_name, (type(self), self._name, self._extra())
        if self._parcel is None:
            self._parcel = Parcel(*self._pack())
        return _by_descriptors, (type(self), self._parcel.data,
                                 self._parcel.sent(), self._extra())


def _by_name(cls, name, extra):
    self = cls.__new__(cls)
    self._attach(name, 0)
    self._name = name
    self._revive(**extra)
    return self


def _by_descriptors(cls, data, fds, extra):
    self = cls.__new__(cls)
    self._unpack(data, [fd.detach() for fd in fds])
    self._revive(**extra)
    return self
