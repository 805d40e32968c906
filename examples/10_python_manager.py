# SPDX-License-Identifier: MIT
# A stock manager that 10_python_manager.c drives: nothing of ndshare is here.
import os
import sys
from multiprocessing.managers import SyncManager


class Account:
    def __init__(self, owner, amount):
        self.owner, self.amount, self.past = owner, amount, []

    def deposit(self, amount, note=None):
        self.amount += amount
        self.past.append((amount, note))
        return self.amount

    def history(self):
        return {self.owner: self.past}


class Manager(SyncManager):
    pass


Manager.register("Account", Account)

if __name__ == "__main__":
    key = os.urandom(16).hex()
    path = "/tmp/10_python_manager.%d" % os.getpid()
    server = Manager(path, key.encode()).get_server()

    print(path, key, flush=True)
    sys.stdout = open(os.devnull, "w")
    server.serve_forever()
