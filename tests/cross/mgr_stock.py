# SPDX-License-Identifier: MIT
"""Our client drives a stock SyncManager, and our server the same way.

    python3 mgr_stock.py DRIVE DRIVER
"""
import multiprocessing as mp
import os
import subprocess
import sys
from multiprocessing.managers import SyncManager

from mgr_peer import Server

DRIVE, DRIVER = sys.argv[1:3]
KEY = b"secret"


class Thing:
    def __init__(self, n):
        self.n = n

    def scale(self, k, by=1):
        return self.n * k * by

    def fail(self, words):
        raise ValueError(words)

    def both(self):
        return self.n, vars(self)


class Stock(SyncManager):
    pass


Stock.register("Thing", Thing)


def drive(address, whose):
    done = subprocess.run([DRIVE, address, KEY.decode(), whose],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=100, universal_newlines=True)
    assert done.returncode == 0, (whose, done.returncode, done.stdout)


def main():
    path = "/tmp/t-xstock-%d.sock" % os.getpid()
    m = Stock(path, KEY, ctx=mp.get_context("fork")) \
        if sys.version_info >= (3, 11) else Stock(path, KEY)
    m.start()
    try:
        drive(path, "stock")
    finally:
        m.shutdown()
    with Server(DRIVER, "@t-xstock-%d" % os.getpid()) as s:
        drive(s.address.replace("\0", "@"), "ours")
    print("driven from C: %s" % sys.version.split()[0])


if __name__ == "__main__":
    main()
