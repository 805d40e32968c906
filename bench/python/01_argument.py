# Way 1: a function argument. START is fork or spawn, FILL what the child sets.
import os
from multiprocessing import get_context
from numpy import ones


def task(data, fill):
    print(data[:5, :5])
    data.fill(fill)
    print(data[:5, :5])


if __name__ == "__main__":
    n = int(os.environ.get("N", "10000"))
    fill = float(os.environ.get("FILL", "0"))
    data = ones((n, n))
    child = get_context(os.environ.get("START", "fork")).Process(
        target=task, args=(data, fill))
    child.start()
    child.join()
    print(data[:5, :5])
