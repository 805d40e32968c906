# Way 4: a pipe.
import os
from multiprocessing import get_context
from numpy import ones


def task(pipe):
    n = int(os.environ.get("N", "10000"))
    data = ones((n, n))
    print(data[:5, :5])
    pipe.send(data)


if __name__ == "__main__":
    context = get_context(os.environ.get("START", "fork"))
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=task, args=(sender,))
    child.start()
    data = receiver.recv()
    print(data[:5, :5])
    child.join()
