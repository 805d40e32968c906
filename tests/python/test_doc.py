# SPDX-License-Identifier: MIT
"""The examples in the docstrings and in the guide are true."""
import doctest
import pathlib
import pkgutil

import pytest

import ndshare

ROOT = pathlib.Path(__file__).parents[2]
MODULES = ["ndshare"] + ["ndshare." + m.name
                         for m in pkgutil.iter_modules(ndshare.__path__)
                         if not m.name.startswith("__main__")]


@pytest.mark.parametrize("module", MODULES)
def test_docstrings(module):
    module = __import__(module, fromlist=["_"])
    failed, _ = doctest.testmod(module, extraglobs={"ndshare": ndshare})
    assert failed == 0


def test_every_public_thing_says_what_it_is():
    for name in ndshare.__all__:
        assert getattr(ndshare, name).__doc__, name
