"""HELLO and OK(HELLO): their bytes (spec/verbs.md 3, 4.1)."""

import struct

from micropython import const

from mpcore.vl1 import inet
from mpcore.vl1.identity import Identity

MINIMUM_VERSION = const(4)
_MOON = const(127)
_MOON_ENTRY = const(17)
_FIXED = ">BBBHq"
_FIXED_SIZE = const(13)


def build(version, software, wall_ms, identity, endpoint, world_id, world_timestamp, moons=()):
    """Payload of a HELLO.

    version: VL1 protocol; software: (major, minor, revision); wall_ms: epoch ms; endpoint: where
    it is sent to, or None; moons: [(id 8 bytes, timestamp ms)]. Returns (payload, offset in it of
    the section that is masked before armoring).
    """
    clear = (struct.pack(_FIXED, version, *software, wall_ms) + identity.to_bytes()
             + inet.encode(endpoint) + world_id + struct.pack(">Q", world_timestamp))
    masked = struct.pack(">H", len(moons))
    for world, timestamp in moons:
        masked += struct.pack(">B", _MOON) + world + struct.pack(">Q", timestamp)
    return clear + masked, len(clear)


class Hello:
    """What a received HELLO says. The masked section is read by `read_moons` after unmasking."""

    def __init__(self, buf, at, end):
        """Parse the clear part of buf[at:end]. Raises ValueError when it is malformed."""
        if end - at < _FIXED_SIZE:
            raise ValueError("HELLO too short")
        (self.version, major, minor, revision,
         self.timestamp) = struct.unpack_from(_FIXED, buf, at)
        self.software = (major, minor, revision)
        at += _FIXED_SIZE
        self.identity, length = Identity.from_bytes(buf, at, end)
        if self.identity.private:
            raise ValueError("private key in HELLO")
        self._rest = at + length
        self._end = end
        self.endpoint = None    # our own address as the sender sees it
        self.world_id = None
        self.world_timestamp = 0
        self.masked_from = end  # where the masked section begins in buf

    def read_rest(self, buf):
        """Parse what follows the identity, all of it optional. Raises ValueError."""
        at, end = self._rest, self._end
        if at == end:
            return
        self.endpoint, length = inet.decode(buf, at, end)
        at += length
        if end - at >= 16:
            self.world_id = bytes(buf[at:at + 8])
            self.world_timestamp = struct.unpack_from(">Q", buf, at + 8)[0]
            at += 16
        self.masked_from = at

    def read_moons(self, buf):
        """The moons listed in the unmasked section: [(id 8 bytes, timestamp ms)]."""
        at, end = self.masked_from, self._end
        if at == end:
            return []
        if end - at < 2:
            raise ValueError("moon list too short")
        count = buf[at] << 8 | buf[at + 1]
        at += 2
        if end - at < count * _MOON_ENTRY:
            raise ValueError("moon list too short")
        moons = []
        for _ in range(count):
            if buf[at] == _MOON:
                moons.append((bytes(buf[at + 1:at + 9]), struct.unpack_from(">Q", buf, at + 9)[0]))
            at += _MOON_ENTRY
        return moons


def build_ok(timestamp, version, software, endpoint, worlds=b""):
    """What follows the OK header in OK(HELLO).

    timestamp: copied from the HELLO; endpoint: where the HELLO came from; worlds: serialised
    planets and moons for the asker.
    """
    return (struct.pack(">q", timestamp) + struct.pack(">BBBH", version, *software)
            + inet.encode(endpoint) + struct.pack(">H", len(worlds)) + worlds)


class HelloOk:
    """What a received OK(HELLO) says; `worlds` is a (start, end) range of the buffer."""

    def __init__(self, buf, at, end):
        """Parse buf[at:end]. Raises ValueError when it is malformed."""
        if end - at < _FIXED_SIZE:
            raise ValueError("OK(HELLO) too short")
        self.timestamp = struct.unpack_from(">q", buf, at)[0]
        self.version, major, minor, revision = struct.unpack_from(">BBBH", buf, at + 8)
        self.software = (major, minor, revision)
        at += _FIXED_SIZE
        self.endpoint = None
        self.worlds = (end, end)
        if at < end:
            self.endpoint, length = inet.decode(buf, at, end)
            at += length
            if end - at >= 2:
                size = buf[at] << 8 | buf[at + 1]
                at += 2
                if size > end - at:
                    raise ValueError("worlds beyond the end")
                self.worlds = (at, at + size)
