#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`ndshare bench` with tiny sizes: what it reports, not how fast it is.

    bench.py NDSHARE report|start|stop|usage
"""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TINY = ["--runs", "1", "--budget-ms", "5"]
WAYS = {1: "argument", 2: "inheritance", 3: "queue", 4: "pipe",
        5: "locked array", 6: "raw array", 7: "shared memory",
        8: "mapped file", 9: "manager"}


def check(ok, what):
    if not ok:
        sys.exit(f"bench: {what}")


def bench(command, *args, code=0):
    done = subprocess.run([command, "bench", *args], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=100)
    check(done.returncode == code,
          f"{args}: exit {done.returncode}, not {code}\n{done.stderr}")
    check(code or not done.stderr, f"{args} remarked\n{done.stderr}")
    return done


def left(pid, shm):
    """Names, files and processes of that bench that are still there."""
    return ([n for n in os.listdir(shm) if n != f".nds-{os.getuid()}"]
            + glob.glob(f"{tempfile.gettempdir()}/ndshare-bench-{pid}*")
            + subprocess.run(["ps", "-o", "pid=", "-g", str(pid)],
                             stdout=subprocess.PIPE,
                             text=True).stdout.split())


def check_transfer(t, nbytes, start, processes):
    for key in ("way", "name", "variant", "runs", "min_ns", "median_ns",
                "p99_ns", "p999_ns", "throughput_bytes_per_s", "cpu_ns",
                "pss_bytes", "phases"):
        check(key in t, f"no {key} in {t}")
    check(WAYS[t["way"]] == t["name"], f"another name: {t}")
    check(t["nbytes"] in nbytes and t["start"] == start, f"not asked: {t}")
    check(t["processes"] == processes and t["who"] == "ndshare", f"who: {t}")
    check(0 < t["min_ns"] <= t["median_ns"] * 1.02, f"times: {t}")
    rate = t["nbytes"] * processes * 1e9 / t["median_ns"]
    check(abs(t["throughput_bytes_per_s"] / rate - 1) < 1e-6, f"rate: {t}")
    for key, least in ("p99_ns", 100), ("p999_ns", 1000):
        check((t[key] is not None) == (t["runs"] >= least), f"{key}: {t}")
    check(t["cpu_ns"] > 0 and t["pss_bytes"] > 1e5, f"cpu, pss: {t}")
    for key in "create", "first_touch":
        check((t["phases"][key] is None) == (t["variant"] == "loan"),
              f"{key}: {t}")
    for key in "hand_over", "read", "steady":
        check(t["phases"][key] > 0, f"{key}: {t}")
    check(abs(t["fraction"] * t["median_ns"] / t["limit_ns"] - 1) < 1e-6
          and 0 < t["fraction"] < 3, f"fraction: {t}")
    parts = t["limit"].split(" + ")
    check(parts[-2] == "read" and ("write" in parts) ==
          (t["variant"] == "loan"), f"limit: {t}")


def check_limits(got, nbytes):
    check([e["nbytes"] for e in got["limits"]] == nbytes, got["limits"])
    for e in got["limits"]:
        for key in "memcpy_ns", "read_ns", "write_ns":
            check(0 < e[key] < 1e9, f"{key}: {e}")
    trips = got["round_trips"]
    for key in "futex_ns", "fork_ns", "spawn_ns":
        check(0 < trips[key] < 1e9, trips)
    check((trips["spin_ns"] is None) == (os.cpu_count() == 1), trips)


def report(command):
    """Every way, two sizes, and the same for people."""
    done = bench(command, *TINY, "--sizes", "1K,64KB", "--json")
    got = json.loads(done.stdout)
    check(got["schema"] == "ndshare-bench/1", got["schema"])
    check(got["machine"]["processors"] == os.cpu_count(), got["machine"])
    check_limits(got, [1024, 64000])
    seen = {(t["way"], t["variant"], t["nbytes"]) for t in got["transfer"]}
    want = {(w, v, n) for w in WAYS for v in ("plain", "loan")
            for n in (1024, 64000) if v == "plain" or w in (3, 4)}
    check(seen == want and len(got["transfer"]) == len(want), seen ^ want)
    for t in got["transfer"]:
        check_transfer(t, (1024, 64000), "fork", 1)
    text = bench(command, *TINY, "--ways", "3,7", "--size", "1K").stdout
    for word in "queue, loan", "shared memory", "p99.9", "hand", "pss", "futex", "of it":
        check(word in text, f"no '{word}' in\n{text}")
    check("pipe" not in text, f"a way that was not asked for\n{text}")


def start(command):
    """Other start methods, more processes."""
    for method, count in ("spawn", 1), ("forkserver", 2), ("fork", 3):
        done = bench(command, *TINY, "--sizes", "1M", "--start", method,
                     "--processes", str(count), "--json")
        got = json.loads(done.stdout)["transfer"]
        check(len(got) == (11 if method == "fork" else 10), len(got))
        for t in got:
            check_transfer(t, (1 << 20,), method, count)


def stop(command):
    """A signal ends it soon, whatever it is at, and nothing stays."""
    shm = tempfile.mkdtemp(prefix="ndshare-t-", dir="/dev/shm")
    os.environ["NDSHARE_SHM_DIR"] = shm
    try:
        stop_in(command, shm)
    finally:
        shutil.rmtree(shm)


def stop_in(command, shm):
    for sig in signal.SIGINT, signal.SIGTERM, signal.SIGKILL:
        for way in "1", "3", "7", "8", "9":
            proc = subprocess.Popen(
                [command, "bench", "--ways", way, "--sizes", "1M",
                 "--budget-ms", "60000"], stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True, start_new_session=True)
            # At work: more than the command itself. (Workers of way 1 come
            # and go: half a second is enough for some.)
            end = time.monotonic() + (0.5 if way == "1" else 20)
            while len(left(proc.pid, shm)) < 2 and time.monotonic() < end:
                time.sleep(0.01)
            proc.send_signal(sig)
            err = proc.communicate(timeout=30)[1]
            killed = sig == signal.SIGKILL
            check(proc.returncode == (-sig if killed else 1),
                  f"way {way}, {sig}: exit {proc.returncode}\n{err}")
            check(killed or "stopped by signal" in err, err)
            if killed:  # a name that nobody uses goes with the next sweep
                for path in glob.glob(f"{tempfile.gettempdir()}/"
                                      f"ndshare-bench-{proc.pid}*"):
                    os.unlink(path)
                end = time.monotonic() + 20
                while left(proc.pid, shm) and time.monotonic() < end:
                    subprocess.run([command, "gc"], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
                    time.sleep(0.05)
            check(not left(proc.pid, shm),
                  f"way {way}, {sig}: left {left(proc.pid, shm)}")


def usage(command):
    for args in (["--ways", "0"], ["--ways", "1,x"], ["--sizes", "12"],
                 ["--sizes", "1X"], ["--sizes", "1KiBs"], ["--runs", "0"],
                 ["--start-method", "thread"], ["--processes", "0"],
                 ["--processes", "65"], ["--budget-ms", "0"], ["--colour"],
                 ["frames"], ["--sizes"]):
        done = bench(command, *args, code=2)
        check("usage: ndshare bench" in done.stderr and not done.stdout,
              f"{args}: {done.stderr}")
    check("--sizes" in bench(command, "--help").stdout, "no help")


if __name__ == "__main__":
    {"report": report, "start": start, "stop": stop,
     "usage": usage}[sys.argv[2]](sys.argv[1])
