# Way 9: an array hosted by a manager process.
import os
from multiprocessing import get_context
from multiprocessing.managers import BaseManager
from numpy import ones


class Manager(BaseManager):
    pass


def make(n):
    return ones((n,))


EXPOSED = ["sum", "max", "min", "mean", "__getitem__", "__len__", "tolist"]


def task(array):
    print(f"Array sum (in child): {array.sum()}")


if __name__ == "__main__":
    context = get_context(os.environ.get("START", "fork"))
    Manager.register("shared_array", make, exposed=EXPOSED)
    with Manager(ctx=context) as manager:
        array = manager.shared_array(100000000)
        print(f"Array created on host: {array}")
        print(f"Array sum: {array.sum()}")
        child = context.Process(target=task, args=(array,))
        child.start()
        child.join()
