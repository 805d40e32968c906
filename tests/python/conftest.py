# SPDX-License-Identifier: MIT
"""What the tests of the Python package share."""
import gc
import os
import time

import pytest

import ndshare


@pytest.fixture
def name(request):
    """A name of this test's own, gone afterwards."""
    name = f"pyt-{os.getpid()}-{request.node.name[:60]}"
    name = "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
    yield name
    try:
        ndshare.unlink(name)
    except FileNotFoundError:
        pass


def mappings():
    """Mappings of shared memory that this process has, and uses."""
    ndshare.trim()
    with open("/proc/self/maps", encoding="ascii") as maps:
        return sum("/dev/shm" in line for line in maps)


def eventually(condition, timeout=10):
    """Waits for another process or thread to make it true."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.002)


@pytest.fixture
def nothing_left():
    """No memory of ours is mapped that was not before: it is not leaked."""
    gc.collect()
    before = mappings()
    yield
    gc.collect()
    eventually(lambda: mappings() <= before)
