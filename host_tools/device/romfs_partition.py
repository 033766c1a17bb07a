"""The ROMFS partition of a board: what is in it, and an image written there by mpremote's code."""

import contextlib
import hashlib
import io
import tempfile
from pathlib import Path
from types import SimpleNamespace

from mpremote import commands as mpremote

from host_tools.device.link import LinkError

_WRITE_S = 900
_NOT_WRITTEN = "the ROMFS partition could not be written; repeat this"
_HASH = """
import vfs, hashlib, binascii
_d = memoryview(vfs.rom_ioctl(2, 0))
_h = hashlib.sha256()
for _i in range(0, min({size}, len(_d)), 4096):
    _h.update(_d[_i:min(_i + 4096, {size})])
print('"' + binascii.hexlify(_h.digest()).decode() + '"')
"""


def has(link, image):
    """Whether the first partition begins with an image."""
    return link.ask(_HASH.format(size=len(image)), _WRITE_S) == hashlib.sha256(image).hexdigest()


def write(link, image):
    """Write an image into the first partition. Raises LinkError; what is there then is no image
    that the board would mount, unless it is the whole of it."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "image.romfs")
        path.write_bytes(image)
        state = SimpleNamespace(transport=link.transport(_WRITE_S, 64 * len(image)),
                                ensure_raw_repl=lambda: None, did_action=lambda: None)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                mpremote._do_romfs_deploy(
                    state, SimpleNamespace(path=str(path), partition=0, mpy=False))
        except (mpremote.CommandError, mpremote.TransportError, SystemExit) as error:
            raise LinkError(f"{link.target}: {_NOT_WRITTEN} ({error})") from error
