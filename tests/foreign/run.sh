#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the built tree aside and builds a program against it, once through
# CMake's find_package and once through pkg-config.
set -eu
build=$1
here=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

cmake --install "$build" --prefix "$dir/prefix" >/dev/null
libdir=$(dirname "$(find "$dir/prefix" -name libndshare.so)")

cmake -S "$here/program" -B "$dir/cmake" \
    -DCMAKE_PREFIX_PATH="$dir/prefix" >"$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
cmake --build "$dir/cmake" >"$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
one=$(LD_LIBRARY_PATH=$libdir "$dir/cmake/foreign")

PKG_CONFIG_PATH=$libdir/pkgconfig
export PKG_CONFIG_PATH
# shellcheck disable=SC2046
cc -std=c11 "$here/program/main.c" -o "$dir/pc" \
    $(pkg-config --cflags --libs ndshare)
two=$(LD_LIBRARY_PATH=$libdir "$dir/pc")
# shellcheck disable=SC2046
c++ -std=c++17 "$here/program/main.cpp" -o "$dir/cpp" \
    $(pkg-config --cflags --libs ndshare)
three=$(LD_LIBRARY_PATH=$libdir "$dir/cpp")

echo "find_package: $one; pkg-config: $two; C++: $three"
[ "$one" = "0.1.0 24.0" ] && [ "$two" = "$one" ] && [ "$three" = "$one" ]
