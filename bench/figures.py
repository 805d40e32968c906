#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What this library wants to reach, measured here: a row for each promise.

    bench/figures.py [--runs 7] [--only REGEX] [--build DIR] [--json FILE]
                     [--python PYTHON] [--list]

Each group of rows is one command whose sides take turns, the same that
docs/design/performance.md names for them; it is printed above its rows and can
be run by itself. `holds`, `FAILS`, or `-` where something that is needed is not
here. Where it fails and a floor was measured in the same run, the row says what
that reached: the same passes by calls of the kernel alone, or between two bare
threads. Medians of at least RUNS. --only chooses groups by name, --list prints
them. Nothing else should run meanwhile.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench" / "peers"))
KIB, MIB = 1 << 10, 1 << 20
LARGE = 800000000
TEN_MB = 10


class Row:
    """value is None where it was not measured; least: it must be reached."""

    def __init__(self, work, value, bar, form="{:.2f}", least=True,
                 floor=None):
        self.work, self.value, self.bar = work, value, bar
        self.form, self.least, self.floor = form, least, floor

    def verdict(self):
        if self.value is None:
            return "-"
        good = (self.value >= self.bar if self.least
                else self.value <= self.bar)
        return "holds" if good else "FAILS"

    def wanted(self):
        return (">= " if self.least else "<= ") + self.form.format(self.bar)

    def measured(self):
        return "-" if self.value is None else self.form.format(self.value)

    def text(self):
        reached = ("" if self.floor is None or self.verdict() != "FAILS" else
                   ", the floor " + self.form.format(self.floor))
        return (f"{self.verdict():6} {self.work}: wanted {self.wanted()}, "
                f"measured {self.measured()}{reached}")


def small(text):
    """Of tests/bench_chan small."""
    for what, ratio in re.findall(r"^(pipe|queues), 1 KiB round trip .* "
                                  r"([\d.]+) times the ring's$", text, re.M):
        yield Row(f"1 KiB round trip, {what}: times a bare ring that sleeps",
                  float(ratio), 2, least=False, floor=1)
    for run, bar in ("singly", 5), ("in runs", 10):
        rate, part = re.search(rf"^queue, 1 KiB, {run} +([\d.]+) million/s, +"
                               r"([\d.]+) of", text, re.M).groups()
        yield Row(f"1 KiB one way {run}: millions a second", float(rate), bar,
                  "{:.1f}", floor=float(rate) / max(float(part), 0.01))


def large(text):
    """Of tests/bench_chan large."""
    limits = {"by value, one at a time": (0.8, "memcpy + read"),
              "by value, many": (0.8, "memcpy"),
              "by loan, one at a time": (0.9, "write + read"),
              "by loan, many": (0.9, "the slower of write and read")}
    for mib, how, part, ring, two in re.findall(
            r"^queue, (\d+) MiB, (by .*?(?:many|time)) +[\d.]+ us .* "
            r"limit +[\d.]+ us, fraction ([\d.]+), the bare ring's ([\d.]+), "
            r".* fraction ([\d.]+)$", text, re.M):
        bar, limit = limits[how]
        # One at a time nothing is at once: there the ring is what crosses.
        at_once = float(part) / max(float(two), 0.01)
        yield Row(f"{mib} MiB {how}: part of {limit} in one processor",
                  float(part), bar,
                  floor=at_once if "many" in how else float(ring))


def against_python(report):
    """Of `ndshare bench --ways 3 --sizes 80MB --vs python`."""
    took = {e["who"]: e["median_ns"] for e in report["transfer"]
            if (e["way"], e["variant"]) == (3, "plain")}
    yield Row("80 MB through a queue: times faster than Python's Queue",
              took["python"] / took["ndshare"], 100, "{:.0f}")


def spawn(text):
    """Of bench/spawn_sum.py."""
    yield Row("800 MB to a spawned child by value, until it has the sum: times "
              "faster than Python",
              float(re.search(r"^medians: .* ([\d.]+) times$", text,
                              re.M)[1]), 20, "{:.1f}")


def memory(text):
    """Of tests/bench_mem -k."""
    rate = {name: float(gbs) for name, gbs in re.findall(
        r"^(\w[\w ,:/]*?)  +(?:[\d.]+ +){5}([\d.]+) +[\d.]+ +\d+ %$", text,
        re.M)}
    for name in "heap array", "named array":
        yield Row(f"first use of a never-used 800 MB block, {name}: GB/s",
                  rate[name], 5, "{:.1f}")


def attach(text):
    """Of tests/bench_mem -a."""
    part = {(name, how): (float(of), int(huge)) for name, how, of, huge
            in re.findall(r"^(\w[\w :]*?)  +(populated)? +[\d.]+ +[\d.]+ +"
                          r"([\d.]+) +(\d+) %$", text, re.M)}
    of, huge = part["named array", ""]
    kind = "2 MiB" if huge > 50 else "4 KiB"
    floor = part.get((f"k: {kind} pages", ""))
    yield Row(f"attach a named 800 MB array ({kind} pages) and sum it in a "
              "fresh process: part of the sum of a mapped one", of,
              0.7 if huge > 50 else 0.5, floor=floor and floor[0])


def held(text):
    """Of tests/bench_mem -q."""
    for size, most, flight in re.findall(
            r"^queue of 4 x (\S+ \S+) +held at most +([\d.]+) MB, in flight at "
            r"most +([\d.]+) MB", text, re.M):
        yield Row(f"queue memory, items of {size}: MB of the tree beyond what "
                  "was in flight", float(most) - float(flight), TEN_MB,
                  "{:.1f}", least=False)


def programs(report):
    """Of bench/reference.py --json."""
    bars = {1: 8, 2: 8, 3: 20, 4: 80, 9: 4}
    for p in report:
        if p["way"] in bars:
            yield Row(f"whole program {p['way']}, by {p['start']}, "
                      f"fill({p['fill']}): times faster than Python",
                      p["times"], bars[p["way"]], "{:.1f}",
                      floor=p.get("most"))


def operations(lines):
    """Of bench/ops.py --json."""
    for line in lines.splitlines():
        case = json.loads(line)
        yield Row(f"{case['case']}: one thread, times NumPy", case["numpy"],
                  1)
        yield Row(f"{case['case']}: all cores, part of the limit",
                  case["limit"][1], 0.85)


def manager(report):
    """Of bench/manager.py --json."""
    for row in report["rows"]:
        if row["want"] is not None:
            yield Row(f"manager, stock Python's client, {row['work']}: times "
                      "Python's own manager", row["times"], row["want"])


def manager_c(text):
    """Of tests/bench_mgr."""
    for where, ratio in re.findall(r"small call, (.*?) +[\d.]+ us.*ratio "
                                   r"([\d.]+)", text):
        yield Row(f"manager call from C, {where}: times a bare Unix socket's "
                  "round trip", float(ratio), 1.5, least=False, floor=1)


def peers(report):
    """Of bench/peers/run.py --json -, one size."""
    import run
    result = run.Result(report["rounds"])

    if KIB in result.sizes():
        yield from peers_small(result)
    for bar in report["bars"]:
        found = re.fullmatch(r"(.*) = ([\d.]+), limit ([\d.]+)",
                             bar["detail"])
        if found:
            least = "throughput" in bar["bar"]
            yield Row(f"{bar['bar']}: {found[1]}", float(found[2]),
                      float(found[3]), least=least)


def peers_small(result):
    yield Row("1 KiB round trip, queue: times faster than Python's Queue",
              result.ratio(KIB, "py-queue", "ours", "trip"), 40, "{:.0f}")
    yield Row("1 KiB round trip, queue: times faster than Python's Pipe",
              result.ratio(KIB, "py-pipe", "ours", "trip"), 40, "{:.0f}")
    many = result.value(KIB, "ours", "many")
    boost = result.value(KIB, "boost", "copy")
    yield Row("1 KiB one way in runs, if not 10 million: times Boost's",
              many and boost and many / boost, 2)
    yield Row("1 KiB one way singly, if not 5 million: times Boost's",
              result.ratio(KIB, "ours", "boost", "copy"), 1)
    stock = result.value(KIB, "py-queue", "copy")
    yield Row("1 KiB one way in runs: times Python's Queue", many and stock
              and many / stock, 50, "{:.0f}")
    yield Row("1 KiB one way singly: times Python's Queue",
              result.ratio(KIB, "ours", "py-queue", "copy"), 50, "{:.0f}")


def groups(args):
    """name, what makes its rows of the output, whether that is JSON, command"""
    build, runs = args.build, str(args.runs)
    tests, python = f"{build}/tests", [args.python]
    run_peers = python + [f"{ROOT}/bench/peers/run.py", "--build",
                          f"{build}/peers", "--json", "-", "--budget-ms", "20",
                          "--rounds"]
    reference = python + [f"{ROOT}/bench/reference.py", "--build", str(build),
                          "--runs", runs, "--json", "--only"]
    return [
        ("small", small, False, [f"{tests}/bench_chan", "small"]),
        ("large", large, False, [f"{tests}/bench_chan", "large"]),
        ("80MB", against_python, True,
         [f"{build}/bin/ndshare", "bench", "--runs", runs, "--json", "--ways",
          "3", "--sizes", "80MB", "--vs", "python", "--no-programs"]),
        ("spawn", spawn, False,
         python + [f"{ROOT}/bench/spawn_sum.py", "--build", str(build),
                   "--runs", runs]),
        ("memory", memory, False,
         [f"{tests}/bench_mem", "-n", runs, "-k", "array", str(LARGE)]),
        ("attach", attach, False,
         [f"{tests}/bench_mem", "-a", "-n", runs, str(LARGE)]),
        ("held", held, False,
         [f"{tests}/bench_mem", "-q", str(8 * MIB), str(80 * MIB),
          "160000000"]),
    ] + [
        (f"program-{way}", programs, True, reference + [way])
        for way in "12349"
    ] + [
        ("operations", operations, False,
         python + [f"{ROOT}/bench/ops.py", "--build", str(build), "--mb",
                   "800", "--runs", runs, "--json", "--only",
                   "^float64 (sum flat|max flat|add flat)$"]),
        ("manager", manager, True,
         python + [f"{ROOT}/bench/manager.py", "--rounds", runs, "--json"]),
        ("manager-c", manager_c, False, [f"{tests}/bench_mgr", runs]),
    ] + [
        (f"peers-{name}", peers, True,
         run_peers + [str(rounds), "--sizes", str(nbytes)])
        # 80 MiB through a pipe take half a second each way.
        for name, nbytes, rounds in (("1K", KIB, args.runs),
                                     ("1M", MIB, args.runs),
                                     ("80M", 80 * MIB, min(args.runs, 4)))
    ]


def measure(command, is_json, make):
    """Its rows, or why there are none."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    except OSError as error:
        return [], f"cannot run it: {error.strerror}"
    try:
        rows = list(make(json.loads(done.stdout) if is_json else done.stdout))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        rows, said = [], f"no figures: {error!r}"
    else:
        said = "" if rows else "no figures in what it printed"
    reason = done.stderr.strip().splitlines()
    return rows, "" if rows else reason[-1] if reason else said


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("--runs", type=int, default=7)
    ap.add_argument("--only", default="")
    ap.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    ap.add_argument("--python", default="/usr/bin/python3",
                    help="with NumPy, for those that are scripts")
    ap.add_argument("--json", metavar="FILE")
    ap.add_argument("--list", action="store_true")
    args = ap.parse_args()
    args.build = args.build.resolve()
    out, count = [], {"holds": 0, "FAILS": 0, "-": 0}
    todo = [g for g in groups(args) if re.search(args.only, g[0])]
    for n, (name, make, is_json, command) in enumerate(todo):
        shown = " ".join(f"'{c}'" if re.search(r"[ ^$|()]", c) else c
                         for c in command).replace(f"{ROOT}/", "")
        if args.list:
            print(f"{name:11} {shown}")
            continue
        print(f"\n{name} ({n + 1} of {len(todo)})\n$ {shown}", flush=True)
        begun = time.monotonic()
        rows, reason = measure(command, is_json, make)
        if not rows:
            print(f"-      {reason}")
            count["-"] += 1
        for r in rows:
            count[r.verdict()] += 1
            print(r.text())
            out.append({"group": name, "work": r.work, "wanted": r.wanted(),
                        "measured": r.value, "floor": r.floor,
                        "verdict": r.verdict(), "command": shown})
        print(f"       {time.monotonic() - begun:.0f} s", flush=True)
    if args.list:
        return 0
    print(f"\n{count['holds']} hold, {count['FAILS']} fail, {count['-']} not "
          "measured")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(out, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
