# SPDX-License-Identifier: MIT
"""Stock Python's side of `ndshare bench --vs python`, driven by lines.

    begin KIND WAY NBYTES START PROCESSES   ok CREATE TOUCH HAND READ
    batch NANOSECONDS                       ok CHILDREN_CPU_NS TIME...
    end                                     ok

Work and clocks (all ns) are those of the command (cli/bench_ways.c and
bench_flow.c). transfer: an array that is ready goes to each worker, which adds
up all of it and says so through a pipe of its own. trips: there and back. rate:
many in flight; answers with the number of items and the time of a thousand.
Round i carries i in its first element and ones in the others, and the sums are
compared. Anything wrong: "error TEXT". End of input ends it.
"""
import multiprocessing as mp
import os
import resource
import struct
import sys
import tempfile
import time
from multiprocessing import connection, resource_tracker
from multiprocessing.managers import BaseManager
from multiprocessing.shared_memory import SharedMemory

import numpy as np

REPLY = struct.Struct("qqd")  # when it had the array, had read it; the sum
inherited = None


class Manager(BaseManager):
    pass


Manager.register("empty", np.empty, exposed=["sum", "fill"])


class Hosted:
    """A proxy, so that adding up is a call."""

    def __init__(self, proxy):
        self.sum = proxy.sum


def get(way, thing):
    """The array, and how to give it back."""
    if way == 1:
        return thing, None
    if way == 2:
        return inherited, None
    if way == 3:
        return thing.get(), None
    if way == 4:
        return thing.recv(), None
    if way == 5:
        thing.acquire()
        return np.frombuffer(thing.get_obj()), thing.release
    if way == 6:
        return np.frombuffer(thing), None
    if way == 7:
        block = SharedMemory(thing[0])
        return (np.ndarray((thing[1],), buffer=block.buf), block.close)
    if way == 8:
        return np.memmap(thing, "f8", "r"), None
    return Hosted(thing), None


def work(way, thing, go, reply):
    while True:
        if way > 4 and go.recv_bytes() != b"g":
            return
        array, give_back = get(way, thing)
        if array is None:
            return
        got = time.monotonic_ns()
        total = float(array.sum())
        answer = REPLY.pack(got, time.monotonic_ns(), total)
        del array
        if give_back is not None:
            give_back()
        reply.send_bytes(answer)
        if way <= 2:
            return


class Cell:
    def __init__(self, way, nbytes, start, processes):
        self.way, self.count, self.processes = way, nbytes // 8, processes
        self.ctx = mp.get_context(start)
        self.workers, self.round, self.array = [], 0, None
        self.replies = [self.ctx.Pipe(False) for _ in range(processes)]
        self.gos = [self.ctx.Pipe(False) for _ in range(processes)]
        self.things = [None] * processes
        self.manager = self.shared = self.path = None
        if way == 3:
            self.things = [self.ctx.Queue()] * processes
        elif way == 4:
            self.pipes = [self.ctx.Pipe(False) for _ in range(processes)]
            self.things = [receiver for receiver, _ in self.pipes]
        elif way == 7:
            # The name is known before the memory is there.
            name = f"ndshare-bench-python-{os.getpid()}"
            self.things = [(name, self.count)] * processes
        elif way == 8:
            self.path = os.path.join(
                tempfile.gettempdir(), f"ndshare-bench-python-{os.getpid()}")
            self.things = [self.path] * processes
        elif way == 9:
            self.manager = Manager(ctx=self.ctx)
            self.manager.start()
        if way in (3, 4, 7, 8):
            self.start()

    def start(self):
        self.workers = [
            self.ctx.Process(target=work, daemon=True, args=(
                self.way, thing, go[0], reply[1]))
            for thing, go, reply in zip(self.things, self.gos, self.replies)]
        for worker in self.workers:
            worker.start()

    def create(self):
        global inherited
        way, n = self.way, self.count
        if way == 5:
            typed = self.ctx.Array("d", n)
            self.things = [typed] * self.processes
            self.array = np.frombuffer(typed.get_obj())
        elif way == 6:
            raw = self.ctx.RawArray("d", n)
            self.things = [raw] * self.processes
            self.array = np.frombuffer(raw)
        elif way == 7:
            self.shared = SharedMemory(self.things[0][0], True, 8 * n)
            self.array = np.ndarray((n,), buffer=self.shared.buf)
        elif way == 8:
            self.array = np.memmap(self.path, "f8", "w+", shape=(n,))
        elif way == 9:
            self.proxy = self.manager.empty(n)
            self.things = [self.proxy] * self.processes
        else:
            self.array = np.empty(n)
            inherited = self.array
            if way == 1:
                self.things = [self.array] * self.processes

    def touch(self):
        (self.proxy if self.way == 9 else self.array).fill(1)

    def begin(self):
        times = []
        for step in self.create, self.touch:
            since = time.monotonic_ns()
            step()
            times.append(time.monotonic_ns() - since)
        return times + list(self.transfer(True)[1:])

    def batch(self, budget):
        until, times = time.monotonic_ns() + budget, []
        while not times or time.monotonic_ns() < until:
            times.append(self.transfer()[0])
        return times

    def transfer(self, first=False):
        """ns from before the hand-over; and of hand-over and read the last"""
        self.round += 1
        want = self.count
        if self.way != 9:
            self.array[0] = self.round
            want = self.count - 1 + self.round
        since = time.monotonic_ns()
        if self.way <= 2 or (first and self.way in (5, 6, 9)):
            self.start()
        if self.way == 3:
            for queue in self.things:
                queue.put(self.array)
        elif self.way == 4:
            for _, sender in self.pipes:
                sender.send(self.array)
        elif self.way > 4:
            for _, go in self.gos:
                go.send_bytes(b"g")
        # In a queue a quick worker may take two: any reply, so many in all.
        left, hand, read = self.processes, 0, 0
        waiting = [receiver for receiver, _ in self.replies]
        while left > 0:
            ready = (waiting if len(waiting) == 1
                     else connection.wait(waiting))
            for receiver in ready:
                got, done, total = REPLY.unpack(receiver.recv_bytes())
                hand, read = max(hand, got - since), max(read, done - got)
                left -= 1
                if total != want:
                    raise RuntimeError(f"way {self.way}: the sum is {total}, "
                                       f"not {want}")
        took = time.monotonic_ns() - since
        if self.way <= 2:
            for worker in self.workers:
                worker.join()
        return took, hand, read

    def end(self):
        global inherited
        for worker in self.workers:
            worker.kill()
            worker.join()
        if self.manager is not None:
            self.proxy = self.things = None
            self.manager.shutdown()
        self.array = inherited = None
        if self.shared is not None:
            self.shared.close()
            self.shared.unlink()
        if self.path is not None and os.path.exists(self.path):
            os.unlink(self.path)


def echo(receive, send):
    while True:
        send(receive())


class Trips(Cell):
    """There and back; of a manager, a call."""

    def start(self):
        if self.way == 3:
            self.back = self.ctx.Queue()
            ends = self.things[0].get, self.back.put
            self.send, self.receive = self.things[0].put, self.back.get
        else:
            near, far = self.ctx.Pipe()
            ends = far.recv, far.send
            self.send, self.receive = near.send, near.recv
        self.workers = [self.ctx.Process(target=echo, args=ends, daemon=True)]
        self.workers[0].start()

    def begin(self):
        self.create()
        self.touch()
        self.batch(20_000_000)
        return [-1] * 4

    def transfer(self, first=False):
        self.round += 1
        since = time.monotonic_ns()
        if self.way == 9:
            right = self.proxy.sum() == self.count
        else:
            self.array[0] = self.round
            self.send(self.array)
            array = self.receive()
            right = array[0] == self.round and array[-1] == 1
        took = time.monotonic_ns() - since
        if not right:
            raise RuntimeError(f"way {self.way}: another array came back")
        return took, 0, 0


def drain(receive, go, reply):
    while go.recv_bytes() == b"g":
        total = 0.0
        while True:
            array = receive()
            if array is None:
                break
            total += float(array.sum())
        reply.send_bytes(REPLY.pack(0, 0, total))


class Rate(Trips):
    """One way; a None for each worker ends a batch."""

    def start(self):
        if self.way == 3:
            self.things = [self.ctx.Queue(256 if self.count < 8192 else 4)]
        self.workers = [
            self.ctx.Process(target=drain, daemon=True, args=(
                self.things[0].get if self.way == 3 else self.things[0].recv,
                go[0], reply[1]))
            for go, reply in zip(self.gos, self.replies)]
        for worker in self.workers:
            worker.start()
        self.send = (self.things[0].put if self.way == 3
                     else self.pipes[0][1].send)

    def batch(self, budget):
        for _, go in self.gos:
            go.send_bytes(b"g")
        items, since = 0, time.monotonic_ns()
        while items == 0 or time.monotonic_ns() < since + budget:
            # A queue pickles in a thread of its own, later: a copy is its due.
            self.send(self.array.copy() if self.way == 3 else self.array)
            items += 1
        for _ in self.workers:
            self.send(None)
        total = sum(REPLY.unpack(receiver.recv_bytes())[2]
                    for receiver, _ in self.replies)
        took = time.monotonic_ns() - since
        if total != items * self.count:
            raise RuntimeError(f"way {self.way}: the sum is {total}, not "
                               f"{items * self.count}")
        return [items, took * 1000 // items]


def begin(words):
    global cell
    kind = {"transfer": Cell, "trips": Trips, "rate": Rate}[words[0]]
    cell = kind(int(words[1]), int(words[2]), words[3], int(words[4]))
    return cell.begin()


def reaped_ns():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((used.ru_utime + used.ru_stime) * 1e9)


def batch(words):
    cpu = reaped_ns()
    times = cell.batch(int(words[0]))
    return [reaped_ns() - cpu] + times


def end(words):
    global cell
    if cell is not None:
        cell.end()
    cell = None
    return []


cell = None


def main():
    # One for all: a worker's own would warn of names that are others'.
    resource_tracker.ensure_running()
    print("ok", sys.version.split()[0], np.__version__, flush=True)
    try:
        for line in sys.stdin:
            words = line.split()
            did = {"begin": begin, "batch": batch, "end": end}[words[0]](
                words[1:])
            print("ok", *did, flush=True)
    except Exception as error:
        print("error", type(error).__name__, str(error).replace("\n", " "),
              flush=True)
    finally:
        end([])


if __name__ == "__main__":
    main()
