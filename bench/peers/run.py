#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The same work through ndshare and through others, in one table.

    bench/peers/run.py [--rounds 7] [--sizes 1024,1048576,83886080]
                       [--only ours,pipe] [--budget-ms 60] [--timeout 40]
                       [--json FILE] [--add FILE ...] [--no-run]

Rounds go over all peers in turn, so that a slow moment of the machine hits all
of them; before each run of a peer the pair of processors is probed (round trip
of a line, both sides spinning: near below 300 ns), for a virtual machine moves
them. The figures are medians over rounds, a row for those near and one for
those far; the ratios are medians of the ratios within a round, where both had
the same. peer.h and harness.c say what the work is. --json keeps the raw figures (`-`: standard output instead of
the table); --add takes those of an earlier run in, --no-run only those.

A peer that is missing, fails, gives a wrong sum or hangs costs its own row,
which then says why. Daemons, sockets and names go also when the run fails or
is interrupted. Standard library only.
"""
import argparse
import collections
import ctypes
import grp
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
MODES = ("trip", "copy", "many", "ltrip", "loan")
# name: program, variant, when idle (None: spins for ever), kind
PEERS = {
    "ours": ("peer_ours", "queue", "sleeps", "ours"),
    "pipe": ("peer_pipe", "-", "sleeps", "peer"),
    "mq": ("peer_mq", "-", "sleeps", "peer"),
    "boost": ("peer_boost", "-", "sleeps", "peer"),
    "nng": ("peer_nng", "-", "sleeps", "peer"),
    "zmq": ("peer_zmq", "-", "sleeps", "peer"),
    "redis": ("peer_redis", "-", "sleeps", "peer"),
    "py-queue": ("peer_python.py", "queue", "sleeps", "peer"),
    "py-pipe": ("peer_python.py", "pipe", "sleeps", "peer"),
    "iox-waitset": ("peer_iceoryx", "waitset", "sleeps", "peer"),
    "iox-poll": ("peer_iceoryx", "poll", "spins", "peer"),
    "mpi": ("peer_mpi", "-", "spins", "peer"),
    "ring-spin": ("peer_ring", "spin", "spins", "reference"),
    "ring": ("peer_ring", "sleep", "sleeps", "reference"),
    "ring-words": ("peer_ring", "words", "sleeps", "reference"),
}
LABEL = {1024: "1 KiB", 1 << 20: "1 MiB", 80 << 20: "80 MiB"}
# What iox-roudi leaves, if it was not there before: its own files and the
# segment of our group.
IOX_LEFT = ("/dev/shm/iceoryx_mgmt", "/tmp/roudi", "/tmp/roudi.lock",
            "/tmp/iox-unique-roudi.lock",
            "/dev/shm/" + grp.getgrgid(os.getgid()).gr_name)
libc = ctypes.CDLL(None, use_errno=True)


class Stop(Exception):
    pass


def dies_with_us():
    libc.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def launch(command, **more):
    return subprocess.Popen(command, start_new_session=True,
                            preexec_fn=dies_with_us, **more)


def end(proc):
    """Ends a process of ours and its group, kindly first."""
    for signo, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, 5)):
        try:
            os.killpg(proc.pid, signo)
        except ProcessLookupError:
            pass
        try:
            proc.wait(patience)
            return
        except subprocess.TimeoutExpired:
            pass


class World:
    """What a run leaves nothing of: a directory and two daemons."""

    def __init__(self, sizes):
        shm = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="nds-peers-",
                                                 dir=shm))
        self.before = self.names()
        self.daemons = {}
        self.reasons = {}
        self.sizes = sizes
        self.running = None

    @staticmethod
    def names():
        found = set()
        for place in ("/dev/shm", "/dev/mqueue", "/tmp"):
            if os.path.isdir(place):
                found |= {f"{place}/{n}" for n in os.listdir(place)}
        return found

    @staticmethod
    def of_the_dead(path):
        """nds-peers-PID-N: a socket or name of a peer that is no more."""
        parts = os.path.basename(path).split("-")
        return (parts[:2] == ["nds", "peers"] and len(parts) > 3 and
                parts[2].isdigit() and not os.path.exists(f"/proc/{parts[2]}"))

    def start_redis(self):
        if not shutil.which("redis-server"):
            return "redis-server is missing"
        sock = self.dir / "redis"
        self.daemons["redis"] = launch(
            ["redis-server", "--port", "0", "--unixsocket", str(sock),
             "--save", "", "--appendonly", "no", "--dir", str(self.dir)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self.comes("redis", sock.exists)

    def start_iceoryx(self):
        if not shutil.which("iox-roudi"):
            return "iox-roudi (package iceoryx) is missing"
        pools = "".join(
            f"[[segment.mempool]]\nsize = {size + 4096}\n"
            f"count = {600 if size <= 65536 else 80 if size <= 4 << 20 else 12}"
            "\n" for size in self.sizes)
        config = self.dir / "roudi.toml"
        config.write_text("[general]\nversion = 1\n[[segment]]\n" + pools)
        log = open(self.dir / "roudi.log", "w+")
        self.daemons["iceoryx"] = launch(
            ["iox-roudi", "-c", str(config), "-m", "off"], stdout=log,
            stderr=log)
        return self.comes("iceoryx", lambda: "ready for clients" in (
            self.dir / "roudi.log").read_text(errors="replace"))

    def comes(self, name, there):
        limit = time.monotonic() + 20
        while time.monotonic() < limit:
            if there():
                return None
            if self.daemons[name].poll() is not None:
                return (f"its daemon ended with {self.daemons[name].poll()}"
                        " (does another run already?)")
            time.sleep(0.01)
        return "its daemon was not ready within 20 s"

    def need(self, program):
        """None, or why this peer cannot be measured."""
        name = {"peer_redis": "redis", "peer_iceoryx": "iceoryx"}.get(program)
        if name is None:
            return None
        if name not in self.reasons:
            self.reasons[name] = getattr(self, "start_" + name)()
        return self.reasons[name]

    def close(self):
        for proc in [self.running, *self.daemons.values()]:
            if proc is not None:
                end(proc)
        iceoryx = self.reasons.get("iceoryx", "") is None  # it was ours
        for path in self.names() - self.before:
            if self.of_the_dead(path) or (iceoryx and path in IOX_LEFT):
                try:
                    os.unlink(path)
                except OSError:
                    pass
        shutil.rmtree(self.dir, ignore_errors=True)


def run_one(world, args, name, nbytes):
    """The figures of one run, or the reason why there are none."""
    program, variant = PEERS[name][:2]
    here = HERE if program.endswith(".py") else args.build
    path = here / program
    if not path.exists():
        reason = here / (program + ".missing")
        return {}, (reason.read_text().strip() if reason.exists()
                    else f"{path} is missing")
    reason = world.need(program)
    if reason:
        return {}, reason
    command = [str(path), variant, str(nbytes)]
    env = dict(os.environ)
    if program.endswith(".py"):
        command.insert(0, args.python)
    if program == "peer_mpi":
        if not shutil.which("mpirun"):
            return {}, "mpirun (package openmpi-bin) is missing"
        command = ["mpirun", "-n", "2", "--bind-to", "none", "--oversubscribe",
                   "--mca", "pml", "ob1", "--mca", "btl", "self,vader",
                   "--mca", "btl_vader_backing_directory", str(world.dir),
                   *command]
        env |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "TMPDIR": str(world.dir),
                "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    # Each run finds the directory without an earlier run's files.
    for old in ("control", "nng", "zmq0", "zmq1"):
        (world.dir / old).unlink(missing_ok=True)
    proc = launch([*command, str(world.dir), str(args.budget_ms)], env=env,
                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    world.running = proc
    try:
        out, err = proc.communicate(timeout=args.timeout)
        reason = None
    except subprocess.TimeoutExpired:
        end(proc)
        out, err = proc.communicate()
        reason = f"hung: not done after {args.timeout:g} s"
    finally:
        if proc.poll() is None:
            end(proc)
        world.running = None
    if reason is None and proc.returncode != 0:
        lines = [x for x in err.splitlines() if x.strip()]
        reason = lines[0] if lines else f"ended with {proc.returncode}"
    figures = {}
    for line in out.splitlines():
        words = line.split()
        if len(words) == 3 and words[0] in MODES:
            figures[words[0]] = [float(words[1]), float(words[2])]
    return figures, reason


def measure(args, rounds):
    world = World(args.sizes)
    dead = {}  # who failed is not waited for in each round again
    try:
        for number in range(args.rounds):
            one = {"sizes": {}}
            for nbytes in args.sizes:
                cells = one["sizes"][str(nbytes)] = {}
                for name in args.only:
                    if (name, nbytes) in dead:
                        continue
                    start = time.monotonic()
                    probed = probe(args)
                    figures, reason = run_one(world, args, name, nbytes)
                    cells[name] = {"figures": figures, "reason": reason,
                                   "probe_ns": probed,
                                   "took_s": time.monotonic() - start}
                    if reason:
                        dead[name, nbytes] = reason
                    print(f"\rround {number + 1} of {args.rounds}: "
                          f"{nbytes} {name:14}", end="", file=sys.stderr)
            rounds.append(one)
    finally:
        # A second Ctrl-C must not leave half of it.
        for signo in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signo, signal.SIG_IGN)
        world.close()
        print("\r" + " " * 60 + "\r", end="", file=sys.stderr)


def probe(args):
    path = args.build / "probe"
    if not path.exists():
        return None
    return int(subprocess.run([path], capture_output=True, text=True,
                              check=True, timeout=20).stdout)


def place(cell):
    ns = cell.get("probe_ns")
    return "-" if ns is None else "near" if ns < 300 else "far"


class Result:
    """Medians and ratios of all rounds."""

    def __init__(self, rounds):
        self.rounds = rounds

    def cells(self, nbytes, name):
        return [r["sizes"].get(str(nbytes), {}).get(name) for r in self.rounds]

    def places(self, nbytes, name):
        """Where its runs had the processors, and how many of them."""
        return sorted(collections.Counter(
            place(c) for c in self.cells(nbytes, name) if c).items(),
            reverse=True)

    def value(self, nbytes, name, mode, which=0, at=None):
        got = [c["figures"][mode][which] for c in self.cells(nbytes, name)
               if c and mode in c["figures"] and at in (None, place(c))]
        return statistics.median(got) if got else None

    def ratio(self, nbytes, name, other, mode, at=None):
        """The median of name / other within a round."""
        got = [a["figures"][mode][0] / b["figures"][mode][0] for a, b in
               zip(self.cells(nbytes, name), self.cells(nbytes, other))
               if a and b and mode in a["figures"] and mode in b["figures"]
               and place(a) == place(b) and at in (None, place(a))]
        return statistics.median(got) if got else None

    def reason(self, nbytes, name):
        for c in self.cells(nbytes, name):
            if c and c["reason"]:
                return c["reason"]
        return None

    def sizes(self):
        return sorted({int(n) for r in self.rounds for n in r["sizes"]})

    def names(self, nbytes):
        return [n for n in PEERS if any(self.cells(nbytes, n))]


def text(v, form="{:.4g}"):
    return "-" if v is None else form.format(v)


def us(v):
    return "-" if v is None else f"{v / 1e3:.2f}" if v < 1e7 else (
        f"{v / 1e3:.0f}")


def rate(v, nbytes):
    if v is None:
        return "-"
    return f"{v / 1e6:.3f}" if nbytes <= 65536 else f"{v * nbytes / 1e9:.2f}"


def row(result, nbytes, name, at, count):
    def v(mode, which=0):
        return result.value(nbytes, name, mode, which, at)

    def r(mode):
        return text(result.ratio(nbytes, name, "ours", mode, at), "{:.2f}")

    star = "*" if PEERS[name][3] == "reference" else ""
    print(f"{name + star:13}{PEERS[name][2]:8}{at + ' ' + str(count):8}"
          f"{us(v('trip')):>10}{us(v('trip', 1)):>10}{r('trip'):>8}"
          f"{rate(v('copy'), nbytes):>10}{r('copy'):>8}"
          f"{rate(v('many'), nbytes):>9}{us(v('ltrip')):>11}{r('ltrip'):>8}"
          f"{rate(v('loan'), nbytes):>10}{r('loan'):>8}")


def table(result):
    for nbytes in result.sizes():
        unit = "M msg/s" if nbytes <= 65536 else "GB/s"
        print(f"\n{LABEL.get(nbytes, f'{nbytes} bytes')} float64, medians of "
              f"{len(result.rounds)} rounds; round trips in us, one way in "
              f"{unit}")
        print(f"{'':13}{'idle':8}{'pair':8}{'trip':>10}{'p99':>10}{'/ours':>8}"
              f"{'one way':>10}{'/ours':>8}{'in runs':>9}{'loan trip':>11}"
              f"{'/ours':>8}{'loan':>10}{'/ours':>8}")
        for name in result.names(nbytes):
            for at, count in result.places(nbytes, name):
                row(result, nbytes, name, at, count)
            reason = result.reason(nbytes, name)
            if reason:
                print(f"    {name}: {reason}")
    print("\n* a reference, not a peer: a bare ring, one process on each "
          "side, no death, no\n  second size; by value of slots, by loan of "
          "offsets. With words: each slot has\n  a state and says what is in "
          "it")


def bars(result):
    """(text, holds, worst) for each bar and size."""
    out = []
    for nbytes in result.sizes():
        label = LABEL.get(nbytes, f"{nbytes} bytes")
        names = [n for n in result.names(nbytes) if n != "ours"]

        def worst(mode, chosen, least):
            """The peer that we do worst against; least: small is good."""
            got = []
            for n in chosen:
                x = result.ratio(nbytes, "ours", n, mode)
                if x is not None:
                    got.append((x, n))
            return (max if least else min)(got) if got else None

        def bar(title, mode, chosen, least, limit):
            w = worst(mode, chosen, least)
            if w is None:
                out.append((f"{label}: {title}", None, "nobody to compare"))
                return
            holds = w[0] <= limit if least else w[0] >= limit
            out.append((f"{label}: {title}", holds,
                        f"ours / {w[1]} = {w[0]:.2f}, limit {limit:.2f}"))

        peers = [n for n in names if PEERS[n][3] == "peer"]
        bar("throughput ahead of all peers by value", "copy", peers, False, 1)
        bar("round trip ahead of all that sleep when idle", "trip",
            [n for n in peers if PEERS[n][2] == "sleeps"], True, 1)
        bar("round trip within 1.5 times of those that spin", "trip",
            [n for n in peers if PEERS[n][2] == "spins"], True, 1.5)
        offsets = [n for n in names if n in ("ring", "ring-spin")]
        bar("by loan, throughput within 1.2 times of an offset ring", "loan",
            offsets, False, 1 / 1.2)
        bar("by loan, round trip within 1.2 times of an offset ring", "ltrip",
            offsets, True, 1.2)
    return out


def parse():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("--rounds", type=int, default=7)
    ap.add_argument("--sizes", default="1024,1048576,83886080")
    ap.add_argument("--only", default=",".join(PEERS))
    ap.add_argument("--budget-ms", type=int, default=60)
    ap.add_argument("--timeout", type=float, default=40)
    ap.add_argument("--json")
    ap.add_argument("--add", nargs="*", default=[])
    ap.add_argument("--no-run", action="store_true")
    ap.add_argument("--python", default="/usr/bin/python3")
    ap.add_argument("--build", type=pathlib.Path,
                    default=HERE.parent.parent / "build" / "peers")
    args = ap.parse_args()
    args.build = args.build.resolve()
    args.sizes = [int(n) for n in args.sizes.split(",")]
    args.only = args.only.split(",")
    for name in args.only:
        if name not in PEERS:
            ap.error(f"no peer {name}; there are {', '.join(PEERS)}")
    return args


def stop(signo, frame):
    raise Stop(f"ended by signal {signo}")


def main():
    args = parse()
    for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signo, stop)
    rounds = []
    for path in args.add:
        rounds += json.loads(pathlib.Path(path).read_text())["rounds"]
    try:
        if not args.no_run:
            measure(args, rounds)
    except Stop as e:
        print(e, file=sys.stderr)
        return 1
    result = Result(rounds)
    verdicts = bars(result)
    if args.json:
        data = json.dumps({"rounds": rounds, "bars": [
            {"bar": b, "holds": h, "detail": d} for b, h, d in verdicts]},
            indent=1)
        if args.json == "-":
            print(data)
            return 0
        pathlib.Path(args.json).write_text(data + "\n")
    table(result)
    print()
    for b, holds, detail in verdicts:
        word = {True: "holds", False: "FAILS", None: "-"}[holds]
        print(f"{word:6} {b}: {detail}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
