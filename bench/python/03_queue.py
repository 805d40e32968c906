# Way 3: a queue of random arrays, one producer, four consumers.
import os
from multiprocessing import get_context
from random import randint
from numpy.random import random


def task(queue):
    while True:
        item = queue.get()
        if item is None:
            queue.put(None)
            break
        print(f"Task read an array {item.shape}, max={item.max()}", flush=True)
    print("Task done.", flush=True)


if __name__ == "__main__":
    context = get_context(os.environ.get("START", "fork"))
    queue = context.Queue()
    tasks = [context.Process(target=task, args=(queue,)) for _ in range(4)]
    for t in tasks:
        t.start()
    for _ in range(20):
        queue.put(random((randint(500, 2000), randint(500, 2000))))
    queue.put(None)
    for t in tasks:
        t.join()
    print("Done.", flush=True)
