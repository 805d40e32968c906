#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rows of bench/figures.py from reports whose figures are known.

    figures_test.py FIGURES.PY

The texts are what the programs of tests/ print; where one changes its words
the group says that there are no figures.
"""
import importlib.util
import json
import sys

SMALL = """\
bare ring, 1 KiB round trip  0.24 us,     0.34 us p99,  1.00 times the ring's
pipe, 1 KiB round trip       0.55 us,     1.75 us p99,  2.29 times the ring's
queues, 1 KiB round trip     0.45 us,     1.66 us p99,  1.88 times the ring's
bare ring, 1 KiB                26.00 million/s,  1.00 of the ring's
queue, 1 KiB, singly             4.00 million/s,  0.16 of the ring's
queue, 1 KiB, in runs           10.10 million/s,  0.40 of the ring's
"""
LARGE = """\
queue, 1 MiB, by value, one at a time      31.0 us  33.18 GB/s, \
limit     24.4 us, fraction 0.85, the bare ring's 0.78, limit of two at once \
    24.4 us, fraction 0.85
queue, 80 MiB, by loan, many             6384.1 us  13.14 GB/s, \
limit   2248.2 us, fraction 0.40, the bare ring's 0.56, limit of two at once \
  4006.8 us, fraction 0.50
queue, 80 MiB, by loan, two in flight    3867.1 us  21.69 GB/s, \
limit   2342.5 us, fraction 0.61, the bare ring's 0.58, limit of two at once \
  3792.4 us, fraction 0.99
"""
MEMORY = """\
800 MB                            create   first    next   close   reuse ms   \
create+first  reuse GB/s  2 MiB
heap array                         0.080  35.000  25.000   2.000  34.000      \
  22.80         23.50    100 %
named array                       32.000 200.000  25.000   3.000  56.000      \
   3.45         14.30    100 %
"""
ATTACH = """\
800 MB                            attach and sum ms    warm sum ms   of warm   \
2 MiB
k: 4 KiB pages                           53.00          12.90      0.24      0 %
k: 2 MiB pages                           15.70          11.40      0.73    100 %
k: 2 MiB pages       populated           15.70          11.40      0.70    100 %
named array                              13.80          11.40      0.62    100 %
"""
HELD = """\
queue of 4 x 8 MiB      held at most    42.2 MB, in flight at most    41.9 MB, \
after it    4.5 MB (305 looks)
queue of 4 x 160 MB     held at most   521.0 MB, in flight at most   480.0 MB, \
after it    4.5 MB (581 looks)
"""


def check(ok, what):
    if not ok:
        sys.exit(f"figures: {what}")


def verdicts(rows):
    return [r.verdict() for r in rows]


def main():
    spec = importlib.util.spec_from_file_location("figures", sys.argv[1])
    figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figures)
    rows = list(figures.small(SMALL))
    check(verdicts(rows) == ["FAILS", "holds", "FAILS", "holds"], "small")
    check(rows[2].text().endswith("wanted >= 5.0, measured 4.0, the floor "
                                  "25.0"), rows[2].text())
    rows = list(figures.large(LARGE))
    check(verdicts(rows) == ["holds", "FAILS"], "large")
    check(abs(rows[1].floor - 0.8) < 1e-9, "what two reach at once")
    check("floor" not in rows[0].text(), "a row that holds needs no floor")
    check([(r.value, r.verdict()) for r in figures.memory(MEMORY)] ==
          [(22.8, "holds"), (3.45, "FAILS")], "memory")
    (row,) = figures.attach(ATTACH)
    check((row.value, row.bar, row.floor) == (0.62, 0.7, 0.73), "attach")
    (row,) = figures.attach(ATTACH.replace("0.62    100 %", "0.62      0 %"))
    check((row.bar, row.floor, row.verdict()) == (0.5, 0.24, "holds"),
          "attach, 4 KiB pages")
    check(verdicts(figures.held(HELD)) == ["holds", "FAILS"], "held")
    (row,) = figures.against_python({"transfer": [
        {"way": 3, "variant": v, "who": who, "median_ns": ns}
        for v, who, ns in (("plain", "ndshare", 4e6), ("loan", "ndshare", 1e6),
                           ("plain", "python", 6e8))]})
    check((row.value, row.verdict()) == (150, "holds"), "80 MB")
    (row,) = figures.spawn("ours  1 ms\nmedians: ours 77.0 ms, stock Python "
                         "1944.0 ms, 15.6 times\n")
    check((row.value, row.verdict()) == (15.6, "FAILS"), "spawn")
    rows = list(figures.programs([
        {"way": w, "fill": "0", "start": "fork", "times": 21.0, "most": 25.0}
        for w in range(1, 10)]))
    check(verdicts(rows) == ["holds"] * 3 + ["FAILS", "holds"], "programs")
    check("the floor 25.0" in rows[3].text(), rows[3].text())
    rows = list(figures.operations(json.dumps(
        {"case": "float64 sum flat", "numpy": 1.5, "limit": [0.9, 0.8]})))
    check(verdicts(rows) == ["holds", "FAILS"], "operations")
    rows = list(figures.manager_c(
        "small call, two cores     5.00 us   bare socket  4.00 us   "
        "ratio 1.25\n"))
    check([(r.value, r.verdict()) for r in rows] == [(1.25, "holds")], "C")
    # What fails or says nothing is a reason, not a row.
    for command, make, said in ((["false"], figures.spawn, "no figures"),
                                (["true"], figures.large, "no figures"),
                                (["/nowhere/at/all"], figures.spawn,
                                 "cannot run")):
        rows, reason = figures.measure(command, False, make)
        check(not rows and said in reason, (command, reason))
    rows = list(figures.peers({"rounds": [], "bars": [
        {"bar": "1 MiB: throughput ahead", "holds": True,
         "detail": "ours / pipe = 1.20, limit 1.00"}]}))
    check(verdicts(rows) == ["holds"], "peers")


if __name__ == "__main__":
    main()
