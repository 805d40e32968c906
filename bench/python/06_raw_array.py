# Way 6: a raw array seen through NumPy.
import os
from multiprocessing import get_context
from numpy import frombuffer


def task(array):
    data = frombuffer(array, dtype="f8", count=len(array))
    print(f"Child {data[:10]}")
    data[:] += 1
    print(f"Child {data[:10]}")


if __name__ == "__main__":
    context = get_context(os.environ.get("START", "fork"))
    array = context.RawArray("d", 10000000)
    data = frombuffer(array, dtype="f8", count=len(array))
    data.fill(1)
    print(data[:10], len(array))
    child = context.Process(target=task, args=(array,))
    child.start()
    child.join()
    print(data[:10])
