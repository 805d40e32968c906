# SPDX-License-Identifier: MIT
"""Arrays made, found and removed from Python."""
import os
import subprocess
import sys

import numpy as np
import pytest

import ndshare


@pytest.fixture
def name():
    """A name of this test's own, gone afterwards."""
    name = f"pyt_{os.getpid()}"
    yield name
    try:
        ndshare.unlink(name)
    except FileNotFoundError:
        pass


def test_zeros_is_an_ndarray_of_zeros():
    a = ndshare.zeros((3, 4), "<i4", "F")
    assert isinstance(a, np.ndarray)
    assert a.shape == (3, 4) and a.dtype == np.int32
    assert a.flags.f_contiguous and not a.any()


def test_another_process_sees_the_same_memory(name):
    a = ndshare.zeros((2, 3), name=name)
    subprocess.run([sys.executable, "-c",
                    f"import ndshare; ndshare.attach({name!r})[1] = 5"],
                   check=True)
    assert a.tolist() == [[0, 0, 0], [5, 5, 5]]
    assert np.load(f"/dev/shm/{name}").tolist() == a.tolist()


def test_a_name_that_is_missing(name):
    with pytest.raises(FileNotFoundError, match=name):
        ndshare.attach(name)
    with pytest.raises(TimeoutError):
        ndshare.attach(name, wait=0.01)
