# SPDX-License-Identifier: MIT
"""The example of a Python manager that is driven from C.

    python3 mgr_example.py PROGRAM SERVER.py
"""
import subprocess
import sys

WANTED = """Account.deposit(25, note='lunch'): 125
Account.history(): {'Ada': [(25, 'lunch')]}
AsyncResult.get(): 2432902008176640000
"""


def main():
    program, script = sys.argv[1:3]
    server = subprocess.Popen([sys.executable, script],
                              stdout=subprocess.PIPE)
    try:
        line = server.stdout.readline()
        done = subprocess.run([program], input=line, stdout=subprocess.PIPE,
                              timeout=60)
        assert done.returncode == 0, done
        assert done.stdout.decode() == WANTED, done.stdout
        assert server.wait(30) == 0  # the program shut it down
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()
        server.stdout.close()


if __name__ == "__main__":
    main()
