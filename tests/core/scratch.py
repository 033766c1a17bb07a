"""A directory for a test's files."""

import os

from mpcore.port import entropy


class Scratch:
    """`with Scratch() as path:` gives a path that does not exist yet and is removed afterwards."""

    def __enter__(self):
        self.path = "/tmp/filament-test-" + entropy(8).hex()
        return self.path

    def __exit__(self, kind, error, traceback):
        _remove(self.path)


def _remove(path):
    try:
        directory = os.stat(path)[0] & 0x4000
    except OSError:
        return
    if not directory:
        os.remove(path)
        return
    for name in os.listdir(path):
        _remove(path + "/" + name)
    os.rmdir(path)
