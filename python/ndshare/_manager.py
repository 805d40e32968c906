# SPDX-License-Identifier: MIT
"""A manager: Python's client over a server in C."""
import ast
import signal
import threading
from multiprocessing import connection, get_context, managers, parent_process

from . import _core
from ._array import array, ndarray

_ARRAYS = ("ones", "zeros", "full", "empty", "arange", "random", "load")


def _to_ours(address):
    """Python's spelling of an address as the library's."""
    if address is None:
        return None
    if isinstance(address, tuple):
        return f"{address[0]}:{address[1]}"
    return "@" + address[1:] if address.startswith("\0") else address


def _to_python(address):
    if address.startswith("@"):
        return "\0" + address[1:]
    if address.startswith("/"):
        return address
    host, _, port = address.rpartition(":")
    return host, int(port)


def _maker(callable):
    """Calls it as a client asked, and shares the array it gives."""
    def make(args, kwds):
        made = callable(*ast.literal_eval(args), **ast.literal_eval(kwds))
        return made if isinstance(made, ndarray) else array(made)
    return make


def _stop_with_parent(server, parent):
    connection.wait([parent.sentinel])
    server.stop()


class SyncManager(managers.SyncManager):
    """`multiprocessing.managers.SyncManager`, served by the library.

    Proxies, registering and sharing are Python's own. The server runs without
    the GIL, sees clients die, and ends with its starter. It also hosts arrays:
    `ones`, `zeros`, `full`, `empty`, `arange`, `random`, `load`, with NumPy's
    arguments; proxies on them have an array's methods. What a registered
    callable gives must be an array; `Pool` and other types with code of their
    own need Python's server.

    Examples
    --------
    >>> with ndshare.Manager() as m:
    ...     d = m.dict(a=1)
    ...     a = m.ones((1000, 1000))
    ...     d['a'], a.sum()
    (1, 1000000.0)
    """

    def list(self, *args):
        """A proxy on a list; of anything that can be iterated over."""
        if args and not isinstance(args[0], (list, tuple, set)):
            args = (list(args[0]),) + args[1:]
        return super().list(*args)

    if "set" in managers.SyncManager._registry:  # from CPython 3.14 on
        def set(self, *args):
            """A proxy on a set; of anything that can be iterated over."""
            if args and hasattr(args[0], "__iter__") and not isinstance(
                    args[0], (list, tuple, str, dict, range)):
                args = (set(args[0]),) + args[1:]
            return super().set(*args)

    @classmethod
    def _run_server(cls, registry, address, authkey, serializer, writer,
                    initializer=None, initargs=()):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if initializer is not None:
            initializer(*initargs)
        for typeid, (callable, *_) in registry.items():
            if callable is not None and typeid not in _STOCK:
                _core._register_factory(typeid, _maker(callable))
        server = _core.Server(_to_ours(address), bytes(authkey))
        parent = parent_process()
        if parent is not None:
            threading.Thread(target=_stop_with_parent, args=(server, parent),
                             daemon=True).start()
        writer.send(_to_python(server.address))
        writer.close()
        server.run()


_STOCK = frozenset(managers.SyncManager._registry)
for _typeid in _ARRAYS:
    SyncManager.register(_typeid)


def Manager(*, address=None, authkey=None, ctx=None):
    """A started `SyncManager`, as `multiprocessing.Manager`.

    Parameters
    ----------
    address, authkey
        As for `multiprocessing.managers.BaseManager`: None for a socket that
        only this program's children can find, and the process's key.
    """
    m = SyncManager(address, authkey, ctx=ctx or get_context())
    m.start()
    return m
