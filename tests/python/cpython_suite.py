#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""CPython's own tests of multiprocessing, run against ndshare.

    cpython_suite.py [--stock] [--method fork] [--json FILE] [PATTERN ...]

A shim gives multiprocessing our names before `test._test_multiprocessing` is
imported, so that its classes for queues, connections, locks, shared memory and
managers test us. Each test runs in a process of its own with a time-out. What
is expected to fail stands in `DIFFERS` with the reason; anything else that
fails is an error, and so is what passes in spite of it. `--stock` leaves the
shim out.

The tests are those of this interpreter, or of the directory NDS_CPYTHON_TESTS
(a `test` package of the same minor version); without either, exit code 77.
"""
import argparse
import concurrent.futures
import fnmatch
import glob
import importlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile

METHODS = ("fork", "spawn", "forkserver")
CLASSES = """
WithProcessesTestQueue WithProcessesTestLock WithProcessesTestSemaphore
WithProcessesTestCondition WithProcessesTestEvent WithProcessesTestBarrier
WithProcessesTestValue WithProcessesTestArray WithProcessesTestConnection
WithProcessesTestPoll WithProcessesTestPicklingConnections
WithProcessesTestSharedCTypes WithProcessesTestSharedMemory
WithProcessesTestPollEintr TestSimpleQueue TestWait TestSyncManagerTypes
WithManagerTestQueue WithManagerTestLock WithManagerTestSemaphore
WithManagerTestCondition WithManagerTestEvent WithManagerTestBarrier
WithManagerTestContainers
""".split()

SPURIOUS = ("Condition.wait may come back without a notification: a wake-up "
            "is never lost with a process that is killed before it acts on it")
NO_STREAM = ("fileno of an end is for waiting; there is no stream under it "
             "to pass descriptors or bytes through")
AT_ONCE = ("put pickles in the caller, who is told what is wrong, not a thread "
           "that prints it later")
INSIDE = "looks at multiprocessing's own semaphores inside the condition"
BELL = ("a descriptor turns readable a moment after the message is there "
        "(poll is exact)")
COMES_FREE = ("what a client holds when its process ends comes free, so there "
              "is nothing left to release")
NO_CODE = "the server is in C and runs no functions of the client's"
HOLDER = ("only the thread that acquired a lock can release it: that it is known "
          "whose it is lets it come free when its process dies")
DIFFERS = {
    "WithProcessesTestQueue.test_queue_feeder_donot_stop_onexc": AT_ONCE,
    "WithProcessesTestQueue.test_queue_feeder_on_queue_feeder_error": AT_ONCE,
    "WithProcessesTestLock.test_repr_lock": HOLDER,
    "WithProcessesTestCondition.test_notify": SPURIOUS,
    "WithProcessesTestCondition.test_notify_n": SPURIOUS,
    "WithProcessesTestCondition.test_notify_all": INSIDE,
    "WithProcessesTestConnection.test_fd_transfer": NO_STREAM,
    "WithProcessesTestConnection.test_large_fd_transfer": NO_STREAM,
    "WithProcessesTestConnection.test_missing_fd_transfer": NO_STREAM,
    "TestWait.test_wait_integer": BELL,
    "TestSyncManagerTypes.test_lock": COMES_FREE,
    "TestSyncManagerTypes.test_bounded_semaphore": COMES_FREE,
    "TestSyncManagerTypes.test_pool": NO_CODE,
    "WithManagerTestBarrier.test_action": NO_CODE,
}
# CPython's own listen at "localhost", which not every bare system knows.
AT_LOCALHOST = ("WithProcessesTestPicklingConnections.test_pickling",
                "TestWait.test_wait_socket", "TestWait.test_wait_socket_slow")
LIMIT_S = 60


def find_tests():
    """A directory with the `test` package of this version, or None."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    places = [os.environ.get("NDS_CPYTHON_TESTS", ""),
              os.path.dirname(os.__file__)]
    places += sorted(glob.glob(os.path.expanduser(
        f"~/.pyenv/versions/{version}.*/lib/python{version}")), reverse=True)
    for place in places:
        if os.path.exists(os.path.join(place, "test",
                                       "_test_multiprocessing.py")):
            return place
    return None


def shim():
    """multiprocessing with our names."""
    import multiprocessing
    import multiprocessing.managers
    import multiprocessing.queues
    import multiprocessing.shared_memory
    import multiprocessing.sharedctypes

    import ndshare

    for name in ("Queue SimpleQueue JoinableQueue Pipe Lock RLock Semaphore "
                 "BoundedSemaphore Event Condition Barrier Array RawArray "
                 "Value RawValue Manager").split():
        setattr(multiprocessing, name, getattr(ndshare, name))
    for name in ("Queue", "SimpleQueue", "JoinableQueue"):
        setattr(multiprocessing.queues, name, getattr(ndshare, name))
    for name in ("Array", "RawArray", "Value", "RawValue"):
        setattr(multiprocessing.sharedctypes, name, getattr(ndshare, name))
    for name in ("SharedMemory", "ShareableList"):
        setattr(multiprocessing.shared_memory, name, getattr(ndshare, name))
    multiprocessing.managers.SyncManager = ndshare.SyncManager


def package(here, tests):
    """A directory in which `test` is only the one found."""
    os.symlink(os.path.join(tests, "test"), os.path.join(here, "test"))
    for method in METHODS:
        pathlib.Path(here, f"suite_{method}.py").write_text(
            "import os, sys\n"
            f"sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})\n"
            "if not os.environ.get('NDS_STOCK'):\n"
            "    import cpython_suite\n"
            "    cpython_suite.shim()\n"
            "import test._test_multiprocessing as t\n"
            f"t.install_tests_in_module_dict(globals(), {method!r})\n")


def run_inside(method, which):
    """In the test's own process: one line of JSON about it."""
    import unittest

    signal.signal(signal.SIGINT, signal.default_int_handler)
    module = importlib.import_module(f"suite_{method}")
    if which == "?":
        names = []
        for cls in CLASSES:
            found = getattr(module, cls, None)
            if found is not None:
                names += [f"{cls}.{n}"
                          for n in unittest.TestLoader()
                          .getTestCaseNames(found)]
        print(json.dumps(names))
        return
    suite = unittest.TestLoader().loadTestsFromName(which, module)
    module.setUpModule()
    result = unittest.TestResult()
    suite.run(result)
    wrong = result.failures + result.errors
    print("\n" + json.dumps({
        "outcome": "failed" if wrong else
                   "skipped" if result.skipped else "passed",
        "text": wrong[0][1] if wrong else
                result.skipped[0][1] if result.skipped else ""}))
    sys.stdout.flush()
    os._exit(0)


def run_outside(here, method, which, stock):
    """(outcome, text) of one test."""
    env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", NDS_STOCK=stock,
               PYTHONPATH=os.pathsep.join([here] + [
                   os.path.abspath(p) for p in
                   os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]))
    child = subprocess.Popen(
        [sys.executable, __file__, "--inside", method, which], cwd=here,
        env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        out, err = child.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        out, err = "", f"no end after {LIMIT_S} s"
    try:
        os.killpg(child.pid, signal.SIGKILL)  # what it left behind
    except ProcessLookupError:
        pass
    child.wait()
    try:
        line = json.loads(out.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return "failed", err.strip()
    return (line, "") if isinstance(line, list) else (line["outcome"],
                                                      line["text"])


def judge(which, outcome, stock):
    """Whether that was expected. A bell is mostly late, not always."""
    if stock or DIFFERS.get(which) is BELL:
        return True
    return (outcome == "failed") == (which in DIFFERS)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--inside", action="store_true")
    parser.add_argument("--stock", action="store_true")
    parser.add_argument("--method", default="fork", choices=METHODS)
    parser.add_argument("--json", help="where {test: outcome} goes")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("patterns", nargs="*")
    args = parser.parse_args()
    if args.inside:
        return run_inside(*args.patterns)
    tests = find_tests()
    if tests is None:
        print("no test package for this interpreter (NDS_CPYTHON_TESTS)")
        return 77
    stock = "1" if args.stock else ""
    with tempfile.TemporaryDirectory() as here:
        package(here, tests)
        names, why = run_outside(here, args.method, "?", stock)
        if why:
            print(why)
            return 1
        if args.patterns:
            names = [n for n in names
                     if any(fnmatch.fnmatch(n, p) for p in args.patterns)]
        names = without_localhost(names)
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            results = list(pool.map(
                lambda n: run_outside(here, args.method, n, stock), names))
    return report(args, names, results)


def without_localhost(names):
    """Those that can be run where /etc/hosts may be missing."""
    try:
        socket.getaddrinfo("localhost", 0)
        return names
    except socket.gaierror as fault:
        print(f"left out, for localhost has no address here ({fault}): "
              + ", ".join(AT_LOCALHOST))
    return [n for n in names if n not in AT_LOCALHOST]


def report(args, names, results):
    """Prints the sums and what was not expected."""
    bad = 0
    rows = {}
    for name, (outcome, text) in zip(names, results):
        counts = rows.setdefault(name.split(".")[0],
                                 dict(passed=0, failed=0, skipped=0))
        counts[outcome] += 1
        if args.verbose or not judge(name, outcome, args.stock):
            print(f"{name}: {outcome}\n{text}")
        bad += not judge(name, outcome, args.stock)
    lines = ["| class | passed | failed | skipped |", "|---|---|---|---|"]
    for cls, c in rows.items():
        lines.append(f"| {cls} | {c['passed']} | {c['failed']} | "
                     f"{c['skipped']} |")
    total = [sum(c[k] for c in rows.values())
             for k in ("passed", "failed", "skipped")]
    lines.append("| all | " + " | ".join(map(str, total)) + " |")
    print("\n".join(lines))
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(
            {name: outcome for name, (outcome, _) in zip(names, results)}))
    print(f"{bad} not as expected")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
