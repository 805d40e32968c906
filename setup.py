# SPDX-License-Identifier: MIT
"""pip install . : CMake builds extension, library and command into the wheel.

Needs what `make` needs: cmake, a C compiler, the headers of OpenSSL, jansson and
Random123 (scripts/bootstrap run). The wheel needs none of them.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = pathlib.Path(__file__).resolve().parent


class BuildByCMake(build_ext):
    """Copies what CMake built: package/_core, package/lib, package/bin."""

    def build_extension(self, ext):
        tree = pathlib.Path(self.build_temp).resolve() / "cmake"
        tree.mkdir(parents=True, exist_ok=True)
        jobs = str(os.cpu_count() or 1)
        subprocess.run(
            ["cmake", "-S", HERE, "-B", tree, "-DCMAKE_BUILD_TYPE=Release",
             "-DNDS_TESTS=OFF", "-DNDS_WERROR=OFF", "-DNDS_WHEEL=ON",
             f"-DNDS_PYTHONS={sys.executable}"], check=True)
        subprocess.run(["cmake", "--build", tree, "-j", jobs, "--target",
                        "ndshare_python0", "ndshare_cli"], check=True)
        target = pathlib.Path(self.get_ext_fullpath(ext.name)).resolve()
        package = target.parent
        (package / "lib").mkdir(parents=True, exist_ok=True)
        (package / "bin").mkdir(parents=True, exist_ok=True)
        built, = (tree / "python" / "ndshare").glob("_core*.so")
        shutil.copy(built, target)
        library, = (tree / "lib").glob("libndshare.so.[0-9]")
        shutil.copy(library, package / "lib" / library.name)
        shutil.copy(tree / "bin" / "ndshare", package / "bin" / "ndshare")


def version():
    text = (HERE / "CMakeLists.txt").read_text(encoding="utf-8")
    return re.search(r"project\(ndshare VERSION (\S+)", text).group(1)


setup(
    version=version(),
    packages=["ndshare"],
    package_dir={"": "python"},
    package_data={"ndshare": ["py.typed", "*.pyi"]},
    ext_modules=[Extension("ndshare._core", [])],
    cmdclass={"build_ext": BuildByCMake},
)
