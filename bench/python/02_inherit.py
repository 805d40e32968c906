# Way 2: inheritance of a global by fork.
import os
from multiprocessing import get_context
from numpy import ones


def task(fill):
    global data
    print(data[:5, :5])
    data.fill(fill)
    print(data[:5, :5])


if __name__ == "__main__":
    n = int(os.environ.get("N", "10000"))
    data = ones((n, n))
    child = get_context("fork").Process(
        target=task, args=(float(os.environ.get("FILL", "0")),))
    child.start()
    child.join()
    print(data[:5, :5])
