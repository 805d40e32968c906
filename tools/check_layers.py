#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fails on an include that goes up the house, or a file past 800 lines.

    tools/check_layers.py [ROOT]

Rooms and arrows are those of docs/design/rooms.md. The command, the examples
and the Python package may include public headers only; nobody but src/os may
include the kernel's own headers named in KERNEL.
"""
import pathlib
import re
import sys

ROOMS = {
    "base": [],
    "os": ["base"],
    "sync": ["base", "os"],
    "mem": ["base", "os", "sync"],
    "nd": ["base"],
    "npy": ["base", "os", "nd"],
    "ops": ["base", "os", "nd"],
    "array": ["base", "os", "sync", "mem", "nd", "npy"],
    "chan": ["base", "os", "sync", "mem", "nd", "array"],
    "proc": ["base", "os", "sync", "mem", "nd", "array"],
    "pickle": ["base", "nd", "array"],
    "wire": ["base", "os", "pickle"],
    "mgr": ["base", "os", "sync", "mem", "nd", "npy", "ops", "array", "chan",
            "proc", "pickle", "wire"],
}
KERNEL = {"sys/mman.h", "sys/socket.h", "sys/un.h", "linux/futex.h",
          "sys/syscall.h", "fcntl.h", "sys/wait.h", "poll.h", "sys/file.h",
          "netinet/in.h", "arpa/inet.h", "netdb.h", "sys/eventfd.h",
          "sys/epoll.h", "spawn.h", "sys/statvfs.h", "sys/vfs.h"}
# Constants only, or what POSIX itself asks of a caller.
ALLOWED = {("sync", "fcntl.h"), ("mem", "fcntl.h"), ("npy", "fcntl.h"), ("array", "fcntl.h"),
           ("proc", "fcntl.h"), ("chan", "fcntl.h"), ("mgr", "fcntl.h"),
           ("wire", "fcntl.h"), ("proc", "poll.h"), ("wire", "poll.h"),
           ("mgr", "poll.h"), ("chan", "poll.h")}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)
LONGEST = 800


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    faults = []
    files = []
    for top in ("src", "cli", "examples", "include", "tests", "tools",
                "python", "bench", "fuzz", "packaging", "scripts"):
        files += [f for f in (root / top).rglob("*")
                  if f.suffix in (".c", ".h", ".hpp", ".py")]
    for f in files:
        text = f.read_text(encoding="utf-8")
        where = f.relative_to(root)
        lines = text.count("\n")
        if lines > LONGEST:
            faults.append(f"{where}: {lines} lines; split it by idea")
        parts = where.parts
        for inc in INCLUDE.findall(text) if f.suffix != ".py" else []:
            # <array> is C++'s; rooms are included by their folder.
            head = inc.split("/")[0] if "/" in inc else ""
            if parts[0] == "src":
                room = parts[1]
                if head in ROOMS and head != room and head not in ROOMS[room]:
                    faults.append(f"{where}: {room} may not include {inc}")
                if (inc in KERNEL and room != "os"
                        and (room, inc) not in ALLOWED):
                    faults.append(f"{where}: {inc} belongs behind src/os")
            elif (parts[0] in ("cli", "examples", "python")
                  and head in {*ROOMS, "src", ".."}):
                faults.append(f"{where}: public headers only, not {inc}")
            elif parts[0] == "include" and head in ROOMS:
                faults.append(f"{where}: a public header includes {inc}")
    for fault in faults:
        print(fault)
    print(f"check_layers: {len(files)} files, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
