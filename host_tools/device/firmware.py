"""MicroPython's firmware for a board: which file that is, from where, and whether it is whole."""

import hashlib
import http.client
import os
import re
import tempfile
import urllib.error
import urllib.request
from collections import namedtuple
from pathlib import Path

from host_tools.boards import uf2
from host_tools.device import esp_image, user_cache

VERSION, DATE = "1.27.0", "2025-12-09"      # what is fetched; nothing else is, ever
SITE = "https://micropython.org/resources/firmware"
_BANNER = re.compile(rb"\bv(\d+\.\d+\.\d+[\w.+-]{0,40}) on (\d{4}-\d\d-\d\d)")
_MAX_SIZE = 16 << 20
_CHUNK = 65536
_PATIENCE_S = 20            # for a site that says nothing

# content: bytes; name: the file's; source: a path or a URL; version, date: of the MicroPython in
# it, None where it has no such name.
Firmware = namedtuple("Firmware", "name source content sha256 version date")


def file_name(facts):
    """The name that micropython.org gives the firmware of a board."""
    suffix = "uf2" if facts.esptool_chip is None else "bin"
    return f"{facts.firmware}-{DATE.replace('-', '')}-v{VERSION}.{suffix}"


def from_file(path, facts):
    """The Firmware in a file that the user names, of whatever version.

    Raises ValueError where it is not for the board or not whole, OSError where it cannot be read.
    """
    path = Path(path)
    with open(path, "rb") as file:
        content = file.read(_MAX_SIZE + 1)
    return _checked(path.name, str(path), content, facts)


def obtain(facts, site=SITE, directory=None, tell=lambda done, size: None):
    """The Firmware of the pinned version: from the cache, or fetched into it.

    site: where it is fetched from, in place of micropython.org. tell(bytes so far, bytes in all
    or None) is called while it comes. Raises OSError, with which file to get from where, when it
    cannot be fetched; ValueError when what came is another version, or not whole. Only what was
    checked gets into the cache.
    """
    directory = Path(directory or user_cache.directory("firmware"))
    name = file_name(facts)
    kept = directory / name
    if kept.exists():
        try:
            return _pinned(from_file(kept, facts))
        except ValueError as error:
            raise ValueError(f"{kept}: {error}; remove that file, and it is fetched anew") \
                from error
    url = f"{site.rstrip('/')}/{name}"
    try:
        content = _fetch(url, tell)
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise OSError(f"{url} cannot be fetched ({reason}): get that file on a machine that "
                      "reaches it, and name it with --firmware") from error
    try:
        found = _pinned(_checked(name, url, content, facts))
    except ValueError as error:
        raise ValueError(f"what came from {url} is not used: {error}") from error
    _keep(kept, content)
    return found


def _checked(name, source, content, facts):
    try:
        if len(content) > _MAX_SIZE:
            raise ValueError(f"it is larger than {_MAX_SIZE >> 20} MB")
        if facts.esptool_chip is not None:
            esp_image.check(content, facts)
            memory = content
        else:
            uf2.check(content, facts.uf2_family, facts.flash_size)
            memory = uf2.memory(content)
    except ValueError as error:
        raise ValueError(f"{source} is no firmware for {facts.board}: {error}") from error
    banner = _BANNER.search(memory)
    version, date = (part.decode() for part in banner.groups()) if banner else (None, None)
    return Firmware(name, source, content, hashlib.sha256(content).hexdigest(), version, date)


def _pinned(found):
    if (found.version, found.date) != (VERSION, DATE):
        raise ValueError(f"it is MicroPython {found.version} of {found.date}, and {VERSION} of "
                         f"{DATE} is wanted")
    return found


def _fetch(url, tell):
    content = bytearray()
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE_S) as answer:
            said = answer.headers.get("Content-Length", "")
            size = int(said) if said.isascii() and said.isdigit() else None
            while len(content) <= _MAX_SIZE and (chunk := answer.read(_CHUNK)):
                content += chunk
                tell(len(content), size)
    except http.client.HTTPException as error:
        raise OSError(f"the server's answer makes no sense: {error!r}") from error
    if size is not None and len(content) < min(size, _MAX_SIZE):
        raise OSError(f"the transfer broke off after {len(content)} of {size} bytes")
    return bytes(content)


def _keep(path, content):
    """Put what was checked into the cache; a cache that cannot be written is no reason to stop."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError:
        pass
