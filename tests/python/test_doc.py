# SPDX-License-Identifier: MIT
"""The examples in the docstrings and in the guide are true."""
import ast
import doctest
import inspect
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


def stub_names(path):
    """What a stub defines: function -> its parameters, class -> members."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            a = node.args
            found[node.name] = [
                p.arg for p in [*a.posonlyargs, *a.args, a.vararg,
                                *a.kwonlyargs, a.kwarg] if p is not None]
        elif isinstance(node, ast.ClassDef):
            found[node.name] = {
                n.name for n in node.body
                if isinstance(n, ast.FunctionDef)}
    return found


@pytest.mark.parametrize("stub", sorted(
    p.stem for p in (ROOT / "python/ndshare").glob("*.pyi")))
def test_stubs_and_package_agree(stub):
    module = __import__(f"ndshare.{stub}", fromlist=["_"])
    names = stub_names(ROOT / "python/ndshare" / f"{stub}.pyi")
    for name, inside in names.items():
        if name not in ndshare.__all__:
            continue  # names that only stubs need
        thing = getattr(module, name)
        if isinstance(inside, set):
            missing = {n for n in inside if not hasattr(thing, n)}
            assert not missing, (name, missing)
        elif isinstance(thing, type(stub_names)):
            assert list(inspect.signature(thing).parameters) == inside, name


def test_every_public_thing_is_in_its_stub():
    for name in ndshare.__all__:
        module = getattr(ndshare, name).__module__.rpartition(".")[2]
        path = ROOT / "python/ndshare" / f"{module}.pyi"
        if path.exists():
            assert name in stub_names(path), name


def test_the_guide():
    failed, tried = doctest.testfile(
        str(ROOT / "docs/guide/python.md"), module_relative=False)
    assert tried > 10 and failed == 0
