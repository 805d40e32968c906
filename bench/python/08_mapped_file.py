# Way 8: a memory-mapped file.
import os
from multiprocessing import get_context
from numpy import memmap


def task():
    data = memmap("data.np", dtype="f4", mode="r+", shape=(1000,))
    print(f"Child: {data[:10]}")
    data[:] += 1
    data.flush()
    print(f"Child: {data[:10]}")


if __name__ == "__main__":
    data = memmap("data.np", dtype="f4", mode="w+", shape=(1000,))
    data.fill(1)
    data.flush()
    print(data[:10])
    child = get_context(os.environ.get("START", "fork")).Process(target=task)
    child.start()
    child.join()
    print(data[:10])
    os.unlink("data.np")
