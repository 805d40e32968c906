#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What this library wants to reach, measured here: a row for each promise.

    bench/figures.py [--runs 7] [--only REGEX] [--build DIR] [--json FILE]

Each group of rows is one command whose sides take turns; it is printed above
its rows and can be run by itself. `holds`, `FAILS`, or `-` where something that
is needed is not here. Medians of at least RUNS. --only chooses groups: channels
spawn named programs operations manager peers. Nothing else should run meanwhile.
A limit within one processor's cache cannot be reached by two; the indented row
below such a one says what part of two bare threads' rate was reached.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench" / "peers"))
KIB, MIB = 1 << 10, 1 << 20
LARGE = 800000000
TEN_MB = 10000000


class Row:
    """value is None where it was not measured; least: it must be reached."""

    def __init__(self, work, value, bar, form="{:.2f}", least=True):
        self.work, self.value, self.bar = work, value, bar
        self.form, self.least = form, least

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


def size(nbytes):
    return (f"{nbytes // MIB} MiB" if nbytes % MIB == 0 else
            f"{nbytes // KIB} KiB" if nbytes % KIB == 0 else
            f"{nbytes // 1000000} MB")


def find(report, kind, way, nbytes, variant="plain", who="ndshare"):
    for e in report[kind]:
        if (e["way"], e["nbytes"], e["variant"], e["who"]) == (
                way, nbytes, variant, who):
            return e
    return None


def times(report, kind, way, nbytes, key="median_ns"):
    """How many times as long stock Python takes."""
    ours = find(report, kind, way, nbytes)
    theirs = find(report, kind, way, nbytes, who="python")
    return theirs[key] / ours[key]


def channels(report):
    """Of `ndshare bench --ways 3,4`."""
    yield Row("1 KiB round trip, queue: times faster than Python's Queue",
              times(report, "latency", 3, KIB), 40, "{:.1f}")
    yield Row("1 KiB one way in runs: times as many as Python's Queue",
              find(report, "rate", 3, KIB, "runs")["items_per_s"]
              / find(report, "rate", 3, KIB, who="python")["items_per_s"],
              50, "{:.1f}")
    for nbytes in MIB, 8 * MIB, 80 * MIB:
        for way, name in (3, "queue"), (4, "pipe"):
            for variant, kind, of, bare, bar in (
                    ("plain", "transfer", "memcpy + read, one at a time",
                     "copies", 0.8),
                    ("plain", "rate", "memcpy, many in flight", "copies",
                     0.8),
                    ("loan", "transfer", "write + read, one at a time",
                     "writes", 0.9),
                    ("loan", "rate", "the slower of write and read, many in "
                     "flight", "writes", 0.9)):
                e = find(report, kind, way, nbytes, variant)
                work = (f"{size(nbytes)} by {name}"
                        f"{', loan' if variant == 'loan' else ''}: part of ")
                yield Row(work + of, e["fraction"], bar)
                yield Row(f"    of two bare threads, one {bare}, one reads",
                          e.get("bare_fraction"), bar)
    yield Row("80 MiB through a queue: times faster than Python's Queue",
              times(report, "transfer", 3, 80 * MIB), 100, "{:.0f}")
    # The sender's array and the one in flight.
    yield Row("queue memory: PSS of the tree above the array and the item in "
              "flight, MB",
              (find(report, "transfer", 3, 80 * MIB)["pss_bytes"]
               - 2 * 80 * MIB) / 1e6, TEN_MB / 1e6, "{:.1f}", False)


def spawn(report):
    """Of `ndshare bench --ways 1 --start-method spawn --sizes 800MB`."""
    yield Row("800 MB to a spawned child by value: times faster than Python",
              times(report, "transfer", 1, LARGE), 20, "{:.1f}")


def named(report):
    """Of `ndshare bench --ways 6,7 --sizes 800MB`."""
    raw, name = (find(report, "transfer", way, LARGE) for way in (6, 7))
    first = raw["phases"]["create"] + raw["phases"]["first_touch"]
    fresh = name["phases"]["hand_over"] + name["phases"]["read"]
    yield Row("first use of a never-used 800 MB block, GB/s", LARGE / first,
              5, "{:.1f}")
    yield Row("attach a named 800 MB array and add it up, for the first time: "
              "part of one that is mapped", raw["median_ns"] / fresh, 0.7)


def programs(report):
    """Of `ndshare bench --vs python`, whole programs."""
    bars = {1: 8, 2: 8, 3: 20, 4: 80, 9: 4}
    for p in report["programs"]:
        if p["way"] in bars:
            yield Row(f"whole program {p['way']} {p['name']}, by {p['start']}"
                      ": times faster than Python", p["ratio"],
                      bars[p["way"]], "{:.1f}")


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
                  "round trip", float(ratio), 1.5, least=False)


def peers(report):
    """Of bench/peers/run.py --json -."""
    import run
    result = run.Result(report["rounds"])

    yield Row("1 KiB round trip, queue: times a bare ring that sleeps",
              result.ratio(KIB, "ours", "ring", "trip"), 2, least=False)
    py = result.ratio(KIB, "py-queue", "ours", "trip")
    yield Row("1 KiB round trip: times faster than Python's Queue", py, 40,
              "{:.0f}")
    many = result.value(KIB, "ours", "many")
    boost = result.value(KIB, "boost", "copy")
    yield Row("1 KiB one way in runs: millions a second", many and many / 1e6,
              10, "{:.1f}")
    yield Row("    or: times Boost's message_queue", many and boost and
              many / boost, 2)
    single = result.value(KIB, "ours", "copy")
    yield Row("1 KiB one way singly: millions a second",
              single and single / 1e6, 5, "{:.1f}")
    yield Row("    or: times Boost's message_queue",
              result.ratio(KIB, "ours", "boost", "copy"), 1)
    yield Row("1 KiB one way singly: times Python's Queue",
              result.ratio(KIB, "ours", "py-queue", "copy"), 50, "{:.0f}")
    for bar in report["bars"]:
        found = re.fullmatch(r"(.*) = ([\d.]+), limit ([\d.]+)",
                             bar["detail"])
        if found:
            least = "throughput" in bar["bar"]
            yield Row(f"{bar['bar']}: {found[1]}", float(found[2]),
                      float(found[3]), least=least)


def groups(args):
    """name, what makes its rows of the output, whether that is JSON, command"""
    build, runs = args.build, str(args.runs)
    bench = [f"{build}/bin/ndshare", "bench", "--runs", runs, "--json"]
    python = [sys.executable]
    return [
        ("channels", channels, True,
         bench + ["--ways", "3,4", "--sizes", "1K,1M,8M,80M", "--vs",
                  "python", "--no-programs"]),
        ("spawn", spawn, True,
         bench + ["--ways", "1", "--start-method", "spawn", "--sizes",
                  "800MB", "--vs", "python", "--no-programs"]),
        ("named", named, True, bench + ["--ways", "6,7", "--sizes", "800MB"]),
        ("programs", programs, True,
         bench + ["--ways", "1,2,3,4,9", "--sizes", "1K", "--budget-ms", "5",
                  "--vs", "python"]),
        ("operations", operations, False,
         python + [f"{ROOT}/bench/ops.py", "--build", str(build), "--mb",
                   "800", "--runs", runs, "--json", "--only",
                   "^float64 (sum flat|max flat|add flat)$"]),
        ("manager", manager, True,
         python + [f"{ROOT}/bench/manager.py", "--rounds", runs, "--json"]),
        ("manager", manager_c, False, [f"{build}/tests/bench_mgr", runs]),
        ("peers", peers, True,
         python + [f"{ROOT}/bench/peers/run.py", "--rounds", runs, "--build",
                   f"{build}/peers", "--json", "-"]),
    ]


def measure(command, is_json, make):
    """Its rows, or why there are none."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    except OSError as error:
        return [], f"cannot run it: {error.strerror}"
    try:
        return list(make(json.loads(done.stdout) if is_json
                         else done.stdout)), ""
    except (ValueError, KeyError, TypeError) as error:
        reason = done.stderr.strip().splitlines()
        return [], reason[-1] if reason else f"no figures: {error!r}"


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("--runs", type=int, default=7)
    ap.add_argument("--only", default="")
    ap.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    ap.add_argument("--json", metavar="FILE")
    args = ap.parse_args()
    args.build = args.build.resolve()
    out, count = [], {"holds": 0, "FAILS": 0, "-": 0}
    for name, make, is_json, command in groups(args):
        if not re.search(args.only, name):
            continue
        shown = " ".join(f"'{c}'" if re.search(r"[ ^$|()]", c) else c
                         for c in command).replace(f"{ROOT}/", "")
        print(f"\n$ {shown}", flush=True)
        rows, reason = measure(command, is_json, make)
        if not rows:
            print(f"-      {reason}", flush=True)
            count["-"] += 1
        for r in rows:
            count[r.verdict()] += 1
            print(f"{r.verdict():6} {r.work}: wanted {r.wanted()}, measured "
                  f"{r.measured()}", flush=True)
            out.append({"group": name, "work": r.work, "wanted": r.wanted(),
                        "measured": r.value, "verdict": r.verdict(),
                        "command": shown})
    print(f"\n{count['holds']} hold, {count['FAILS']} fail, {count['-']} not "
          "measured")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(out, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
