# Way 5: a ctypes array, the lock off.
import os
from multiprocessing import get_context
from multiprocessing.sharedctypes import Array
from numpy import ones


def task(array):
    print(array[:10], len(array))
    array[:] = [0.0] * len(array)
    print(array[:10], len(array))


if __name__ == "__main__":
    context = get_context(os.environ.get("START", "fork"))
    data = ones((10000,))
    print(data[:10], data.shape)
    array = context.Array("d", data, lock=False)
    print(array[:10], len(array))
    child = context.Process(target=task, args=(array,))
    child.start()
    child.join()
    print(array[:10], len(array))
