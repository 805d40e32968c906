# Way 7: shared memory by name.
import os
from multiprocessing import get_context
from multiprocessing.shared_memory import SharedMemory
from numpy import ndarray


def task():
    block = SharedMemory("MyMemory")
    data = ndarray((10000,), dtype="f8", buffer=block.buf)
    print(f"Child {data[:10]}")
    data[:] += 1
    print(f"Child {data[:10]}")
    block.close()


if __name__ == "__main__":
    block = SharedMemory(name="MyMemory", create=True, size=80000)
    data = ndarray((10000,), dtype="f8", buffer=block.buf)
    data.fill(1)
    print(data[:10], len(data))
    child = get_context(os.environ.get("START", "fork")).Process(target=task)
    child.start()
    child.join()
    print(data[:10])
    block.close()
    block.unlink()
