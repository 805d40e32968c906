#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`ndshare bench` with tiny sizes: what it reports, not how fast it is.

    bench.py NDSHARE report|start|stop|plot|vs|usage
"""
import glob
import html.parser
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

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


def check_transfer(t, nbytes, start, processes, who="ndshare"):
    for key in ("way", "name", "variant", "runs", "min_ns", "median_ns",
                "p99_ns", "p999_ns", "throughput_bytes_per_s", "cpu_ns",
                "pss_bytes", "phases"):
        check(key in t, f"no {key} in {t}")
    check(WAYS[t["way"]] == t["name"], f"another name: {t}")
    check(t["nbytes"] in nbytes and t["start"] == start, f"not asked: {t}")
    check(t["processes"] == processes and t["who"] == who, f"who: {t}")
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
          and t["fraction"] > 0, f"fraction: {t}")
    parts = t["limit"].split(" + ")
    check(parts[-2] == "read" and ("write" in parts) ==
          (t["variant"] == "loan"), f"limit: {t}")


def check_flows(got, want_trips, want_rates, python=False):
    """Trips and rates: (way, variant, bytes) of ours."""
    for kind, want in ("latency", want_trips), ("rate", want_rates):
        seen = [(t["way"], t["variant"], t["nbytes"]) for t in got[kind]
                if t["who"] == "ndshare"]
        check(sorted(seen) == sorted(want), f"{kind}: {seen}")
        theirs = [(t["way"], t["variant"], t["nbytes"]) for t in got[kind]
                  if t["who"] == "python"]
        check(sorted(theirs) == sorted(w for w in want if python
                                       and w[1] == "plain"), theirs)
        for t in got[kind]:
            bare = (kind == "rate" and t["processes"] == 1 and
                    os.cpu_count() > 1)
            check(("bare_fraction" in t) == bare, f"bare: {t}")
            check(t["median_ns"] > 0 and t["fraction"] > 0 and t["cpu_ns"] > 0
                  and t["pss_bytes"] > 1e5, t)
    for t in got["latency"]:
        counts = [count for _, count in t["histogram"]]
        check(sum(counts) == t["runs"] and t["histogram"] ==
              sorted(t["histogram"]), f"histogram: {t}")
        check(t["min_ns"] <= t["median_ns"] * 1.02 and
              t["median_ns"] <= t["max_ns"] * 1.02, f"order: {t}")
    for t in got["rate"]:
        check(abs(t["items_per_s"] * t["median_ns"] / 1e9 - 1) < 1e-6
              and abs(t["throughput_bytes_per_s"] / t["items_per_s"]
                      / t["nbytes"] - 1) < 1e-6, f"rate: {t}")


def flows(sizes, processes=1):
    trips = {(w, v, n) for w in (3, 4, 9) for v in ("plain", "loan")
             for n in sizes if v == "plain" or w != 9}
    rates = {(w, v, n) for w in (3, 4) for v in ("plain", "loan", "runs")
             for n in sizes if v != "runs" or (w == 3 and n <= 65536)}
    if processes > 1:
        return [], [r for r in rates if r[0] == 3]
    return list(trips), list(rates)


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
    check_flows(got, *flows((1024, 64000)))
    text = bench(command, *TINY, "--ways", "3,7", "--size", "1K").stdout
    for word in "queue, loan", "queue, runs", "shared memory", "items/s", "p99.9", "hand", "pss", "futex", "of it":
        check(word in text, f"no '{word}' in\n{text}")
    check("pipe" not in text, f"a way that was not asked for\n{text}")


def start(command):
    """Other start methods, more processes."""
    for method, count in ("spawn", 1), ("forkserver", 2), ("fork", 3):
        done = bench(command, *TINY, "--sizes", "1M", "--start", method,
                     "--processes", str(count), "--json")
        check_flows(json.loads(done.stdout), *flows((1 << 20,), count))
        got = json.loads(done.stdout)["transfer"]
        check(len(got) == (11 if method == "fork" else 10), len(got))
        for t in got:
            check_transfer(t, (1 << 20,), method, count)


def vs(command):
    """Stock Python in turns with ours, each way and whole programs."""
    done = bench(command, *TINY, "--sizes", "1K,64K", "--quick", "--vs",
                 "python", "--start", "fork,spawn", "--json")
    got = json.loads(done.stdout)
    check(got["python"]["numpy"][0].isdigit(), got["python"])
    seen = [(t["way"], t["start"], t["nbytes"]) for t in got["transfer"]
            if t["who"] == "python"]
    want = {(w, s, n) for w in WAYS for s in ("fork", "spawn")
            for n in (1024, 65536) if w != 2 or s == "fork"}
    check(set(seen) == want and len(seen) == len(want), set(seen) ^ want)
    for t in got["transfer"]:
        check_transfer(t, (1024, 65536), t["start"], 1, t["who"])
    for method in "fork", "spawn":
        check_flows({k: [t for t in got[k] if t["start"] == method]
                     for k in ("latency", "rate")}, *flows((1024, 65536)),
                    python=True)
    # Programs: the three that are small.
    done = bench(command, *TINY, "--sizes", "1K", "--ways", "5,7,8", "--vs",
                 "python", "--json")
    got = json.loads(done.stdout)["programs"]
    check([p["way"] for p in got] == [5, 7, 8], got)
    for p in got:
        check(abs(p["python_s"] / p["ndshare_s"] / p["ratio"] - 1) < 1e-6
              and 0 < p["ndshare_s"] < 60 and p["runs"] == 1, p)
    # Where no Python has NumPy, that is said before anything is measured.
    # (Told by a directory whose numpy is none, in every Python's path.)
    with tempfile.TemporaryDirectory(prefix="ndshare-cli-") as place:
        with open(f"{place}/numpy.py", "w") as f:
            f.write("raise ImportError")
        env = dict(os.environ, PYTHONPATH=place)
        done = subprocess.run([command, "bench", "--vs", "python"], env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=60)
        check(done.returncode == 1 and "NumPy" in done.stderr, done.stderr)


def stop(command):
    """A signal ends it soon, whatever it is at, and nothing stays."""
    shm = tempfile.mkdtemp(prefix="ndshare-t-", dir="/dev/shm")
    os.environ["NDSHARE_SHM_DIR"] = shm
    try:
        stop_in(command, shm)
        kill_in(command, shm)
    finally:
        shutil.rmtree(shm)


def kill_in(command, shm):
    """Killed at any moment: nobody goes on alone."""
    for k in range(15):
        proc = subprocess.Popen(
            [command, "bench", "--sizes", "1K", "--ways", "1", "--budget-ms",
             "60000"], stdout=subprocess.PIPE, start_new_session=True)
        time.sleep(0.013 * k)  # the moment itself is what differs
        proc.kill()
        proc.communicate(timeout=30)
        end = time.monotonic() + 10
        while left(proc.pid, shm) and time.monotonic() < end:
            subprocess.run([command, "gc"], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
            time.sleep(0.01)
        check(not left(proc.pid, shm),
              f"killed after {13 * k} ms: {left(proc.pid, shm)}")


def stop_in(command, shm):
    for sig in signal.SIGINT, signal.SIGTERM, signal.SIGKILL:
        for way in "1", "3", "7", "8", "9", "3 --vs python", "7 --vs python":
            proc = subprocess.Popen(
                [command, "bench", "--sizes", "1M", "--budget-ms", "60000",
                 "--ways", *way.split()], stdout=subprocess.PIPE,
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
            # What Python started ends soon after it.
            end = time.monotonic() + 10
            while left(proc.pid, shm) and time.monotonic() < end:
                time.sleep(0.01)
            check(not left(proc.pid, shm),
                  f"way {way}, {sig}: left {left(proc.pid, shm)}")


def a_report(**more):
    """A report as if measured, with whole programs."""
    sizes = [1024, 1 << 20, 80 << 20]
    transfer = [{"way": w, "name": WAYS[w], "variant": v, "nbytes": n,
                 "start": "fork", "processes": 1, "who": who,
                 "runs": 9, "median_ns": (500 * w + n / 10) * f,
                 "limit_ns": 400, "fraction": 0.5}
                for w in WAYS for v in ("plain", "loan") for n in sizes
                for who, f in (("ndshare", 1), ("python", 40))]
    report = {"schema": "ndshare-bench/1",
              "machine": {"processor": "A & B <C>", "processors": 2},
              "limits": [{"nbytes": n, "read_ns": n / 50} for n in sizes],
              "round_trips": {"spin_ns": 130, "futex_ns": 15000},
              "transfer": transfer,
              "programs": [{"way": w, "name": WAYS[w], "start": "fork",
                            "ndshare_s": 0.1 * w, "python_s": 2.5,
                            "ratio": 25 / w} for w in WAYS]}
    report.update(more)
    return report


class Page(html.parser.HTMLParser):
    """What an HTML page has: words, and attributes that would fetch."""

    def __init__(self, text):
        super().__init__()
        self.words, self.fetched, self.tags = "", [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [a for a in attrs if a[0] in
                         ("src", "href", "xlink:href", "srcset", "data")]

    def handle_data(self, data):
        self.words += data


def plot(command):
    """Files that are what their name says, of a good report and of others."""
    with tempfile.TemporaryDirectory(prefix="ndshare-cli-") as place:
        def drawn(report, ending):
            source, path = f"{place}/report.json", f"{place}/chart{ending}"
            with open(source, "w") as f:
                json.dump(report, f)
            bench(command, "--from", source, "--plot", path)
            with open(path, "rb") as f:
                return f.read()

        tall = xml.etree.ElementTree.fromstring(drawn(a_report(), ".svg"))
        text = [e.text for e in tall.iter("{http://www.w3.org/2000/svg}text")]
        for w, name in WAYS.items():
            check(f"{w} {name}" in text and f"{w} {name}, Python" in text,
                  f"way {w} has no line: {text}")
        check("1 KiB" in text and "80 MiB" in text, f"sizes: {text}")
        check(any("times faster" in t for t in text), f"bars: {text}")
        check(any("A & B <C>" in t for t in text), f"machine: {text}")
        low = xml.etree.ElementTree.fromstring(
            drawn(a_report(programs=[]), ".svg"))
        check(float(low.get("height")) < float(tall.get("height")), "height")

        page = Page(drawn(a_report(), ".html").decode())
        check(page.tags[0] == "html" and "svg" in page.tags, page.tags)
        check(not page.fetched, f"fetched: {page.fetched}")
        check("script" not in page.tags and "link" not in page.tags, "script")
        check("9 manager" in page.words and "50%" in page.words, page.words)

        has_png = command_has_cairo(command, place)
        if has_png:
            png = drawn(a_report(), ".png")
            check(png[:8] == b"\x89PNG\r\n\x1a\n" and png[-8:-4] == b"IEND",
                  "not a PNG")
            width, height = struct.unpack(">II", png[16:24])
            check((width, height) == (2400, 2 * float(tall.get("height"))),
                  (width, height))

        # Of anybody: no figure is drawn that is none, and no markup.
        evil = "</svg><script>alert(1)</script>"
        for other in (
                a_report(transfer=[], limits=[], programs=[]),
                a_report(transfer=7, limits={}, programs="x", machine=[]),
                a_report(transfer=[None, {}, {"way": 1e300}, {"way": -4}]),
                a_report(transfer=[{"way": w % 12, "variant": "plain",
                                    "start": evil, "who": evil, "nbytes": n,
                                    "median_ns": t, "processes": 1}
                                   for w in range(12) for n in range(-3, 40)
                                   for t in (-1, 0, 1e-300, 1e300, 5)]),
                a_report(machine={"processor": evil, "release": evil}),
                a_report(machine={"processor": "\u00b5" * 99,
                                  "release": "x" + "\u2603" * 99}),
                a_report(programs=[{"way": w, "start": evil, "ndshare_s": 1e9,
                                    "python_s": 1e-9} for w in range(99)])):
            xml.etree.ElementTree.fromstring(drawn(other, ".svg"))
            page = Page(drawn(other, ".html").decode())
            check("script" not in page.tags, f"markup of {other}")
            if has_png:
                drawn(other, ".png")
        for text in "", "[]", '{"schema": "other"}', "{":
            with open(f"{place}/other.json", "w") as f:
                f.write(text)
            bench(command, "--from", f"{place}/other.json", "--plot",
                  f"{place}/none.svg", code=1)
        check(not os.path.exists(f"{place}/none.svg"), "a chart of nothing")
        bench(command, "--from", f"{place}/none.json", code=1)
        bench(command, "--plot", f"{place}/none/chart.svg", code=1)


def command_has_cairo(command, place):
    """Or else the refusal says what is missing."""
    done = subprocess.run([command, "bench", "--from", f"{place}/none.json",
                           "--plot", f"{place}/chart.png"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    check(done.returncode == 1 or "cairo" in done.stderr, done.stderr)
    return done.returncode == 1


def usage(command):
    for args in (["--ways", "0"], ["--ways", "1,x"], ["--sizes", "12"],
                 ["--sizes", "1X"], ["--sizes", "1KiBs"], ["--runs", "0"],
                 ["--start-method", "thread"], ["--processes", "0"],
                 ["--processes", "65"], ["--budget-ms", "0"], ["--colour"],
                 ["frames"], ["--sizes"], ["--plot", "a.gif"],
                 ["--plot", ".svg"], ["--vs", "perl"]):
        done = bench(command, *args, code=2)
        check("usage: ndshare bench" in done.stderr and not done.stdout,
              f"{args}: {done.stderr}")
    check("--sizes" in bench(command, "--help").stdout, "no help")


if __name__ == "__main__":
    {"report": report, "start": start, "stop": stop, "plot": plot, "vs": vs,
     "usage": usage}[sys.argv[2]](sys.argv[1])
