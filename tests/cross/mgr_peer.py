# SPDX-License-Identifier: MIT
"""Our server as a process, and what a call must raise: for mgr_*.py."""
import signal
import subprocess


def raises(kind, words, call, *args):
    try:
        call(*args)
    except kind as e:
        assert words in str(e), e
    else:
        raise AssertionError("%s did not raise" % call)


class Server:
    """driver serve ADDRESS; in `address` as multiprocessing spells it."""

    def __init__(self, driver, address):
        self.proc = subprocess.Popen([driver, "serve", address, "secret"],
                                     stdout=subprocess.PIPE,
                                     universal_newlines=True)
        text = self.proc.stdout.readline().strip()
        if "/" in text:
            self.address = text
        elif text.startswith("@"):
            self.address = "\0" + text[1:]
        else:
            host, port = text.split(":")
            self.address = (host, int(port))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
        code = self.proc.wait(30)
        self.proc.stdout.close()
        assert code == 0, code
