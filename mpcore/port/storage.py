"""Small named blobs in a directory, replaced atomically: identity, planet, network configs.

A name is a relative path with forward slashes ("networks.d/<nwid>.conf"). Names that contain
"secret" are readable by their owner only.
"""

import os

from micropython import const

_TEMPORARY = ".tmp"
_KIND = const(0xF000)
_DIRECTORY = const(0x4000)


class Storage:
    """The blobs below the directory `home`, which is made when the first one is stored."""

    def __init__(self, home):
        self.home = home

    def load(self, name):
        """The blob's bytes, or None where there is none. Raises OSError when it cannot be read."""
        path = self._path(name)
        if _mode(path) is None:
            return None
        with open(path, "rb") as file:
            return file.read()

    def store(self, name, data):
        """Replace the blob: a crash leaves either the old content or the new, never a part.

        Raises OSError when the storage is full or not writable; the old content then remains.
        """
        path = self._path(name)
        self._make_directories(path)
        temporary = path + _TEMPORARY
        if _mode(temporary) is not None:
            os.remove(temporary)
        try:
            with self._create(temporary, "secret" in name) as file:
                file.write(data)
                file.flush()
                self._settle(file)
            self._replace(temporary, path)
        except BaseException:
            if _mode(temporary) is not None:
                os.remove(temporary)
            raise

    def remove(self, name):
        """Forget the blob; no error where there is none."""
        path = self._path(name)
        if _mode(path) is not None:
            os.remove(path)

    def names(self, prefix=""):
        """The sorted names of all blobs that begin with prefix, at any depth."""
        directory = prefix[:prefix.rfind("/") + 1]
        return sorted(name for name in self._walk(directory) if name.startswith(prefix))

    def _walk(self, directory):
        path = self._path(directory + ".")
        if _mode(path) is None:
            return
        for entry in os.listdir(path):
            if (_mode(path + "/" + entry) or 0) & _KIND == _DIRECTORY:
                for name in self._walk(directory + entry + "/"):
                    yield name
            elif not entry.endswith(_TEMPORARY):
                yield directory + entry

    def _path(self, name):
        if not name or name.startswith("/") or ".." in name.split("/"):
            raise ValueError("bad storage name: " + name)
        return self.home + "/" + name

    def _make_directories(self, path):
        at = path.find("/", 1)
        while at > 0:
            if _mode(path[:at]) is None:
                self._make_directory(path[:at])
            at = path.find("/", at + 1)

    # What differs from platform to platform.

    def _make_directory(self, path):
        os.mkdir(path)

    def _create(self, path, secret):
        return open(path, "wb")

    def _settle(self, file):
        """Force what was written onto the medium, where the platform can."""

    def _replace(self, temporary, path):
        os.rename(temporary, path)


def _mode(path):
    """The file's mode, or None where there is no such file."""
    try:
        return os.stat(path)[0]
    except OSError:
        return None
