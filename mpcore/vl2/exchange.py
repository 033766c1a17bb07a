"""How a config is asked for and how it travels (spec/vl2-config.md 2, 3, 7)."""

import struct

from micropython import const

from mpcore import limits
from mpcore.crypto.slices import finish
from mpcore.vl2 import config, dictionary
from mpcore.vl2.credentials import MAX_RULES
from mpcore.vl2.dictionary import number

FAST_PROPAGATE = const(0x01)     # flag of a chunk: pass it on

_CHUNK = const(9740)             # bytes of dictionary in one chunk
_SIGNATURE = const(96)
_PROTOCOL = const(12)
_VENDOR = const(0)               # unspecified; 1 is the reference itself


def metadata(version, system=b"", join_credential=b""):
    """What a member says of itself in a request (section 2).

    version: (major, minor, revision). system: such as b"linux/x86_64". join_credential: such as
    b"token:secret", which may authorise the member.
    """
    pairs = [(b"v", number(config.VERSION)), (b"vend", number(_VENDOR)),
             (b"pv", number(_PROTOCOL)), (b"majv", number(version[0])),
             (b"minv", number(version[1])), (b"revv", number(version[2])),
             (b"mr", number(limits.RULES)),
             (b"mc", number(config.MAX_CAPABILITIES)), (b"mcr", number(MAX_RULES)),
             (b"mt", number(config.MAX_TAGS)), (b"f", number(0)), (b"revr", number(1))]
    if system:
        pairs.append((b"o", system))
    if join_credential:
        pairs.append((b"a", join_credential))
    return dictionary.encode(pairs)


def build_request(network_id, metadata_text, revision=0, timestamp=0):
    """Payload of a NETWORK_CONFIG_REQUEST; revision and timestamp of the config held now."""
    return (network_id + struct.pack(">H", len(metadata_text)) + metadata_text
            + struct.pack(">QQ", revision, timestamp))


def parse_request(buf, at, end):
    """(network ID, metadata as a dict) of a NETWORK_CONFIG_REQUEST. Raises ValueError."""
    network_id, text, _ = _network_and_text(buf, at, end)
    if len(text) > limits.METADATA_BYTES:
        raise ValueError("request with too much metadata")
    return network_id, dictionary.decode(text)


def parse_error(buf, at, end):
    """(network ID, details as a dict) that follow the code of an ERROR (section 7)."""
    if end - at == 8:
        return bytes(buf[at:end]), {}
    network_id, text, _ = _network_and_text(buf, at, end)
    return network_id, dictionary.decode(text)


class Chunk:
    """A part of a config's dictionary on its way (section 3).

    body: as it goes into OK or NETWORK_CONFIG. data: bytes of the dictionary, which belong at
    `index` of `total`. A signature of None marks the old unsigned form, which is always whole.
    """

    def __init__(self, body, length, signed):
        self.body = body
        self.network_id = body[:8]
        self.data = body[10:10 + length]
        if signed:
            self.flags = body[10 + length]
            self.update_id = body[11 + length:19 + length]
            self.total, self.index = struct.unpack_from(">II", body, 19 + length)
            self._end = 27 + length
            self.signature = body[30 + length:]
        else:
            self.flags = self.index = 0
            self.update_id = bytes(8)
            self.total = length
            self.signature = None

    @staticmethod
    def from_bytes(buf, at, end):
        """The chunk at buf[at:end]. Raises ValueError; the signature is not verified."""
        _, text, tail = _network_and_text(buf, at, end)
        length = len(text)
        if length == 0:
            raise ValueError("empty chunk")
        signed = tail < end
        if signed:
            if end - tail < 20 + _SIGNATURE or bytes(buf[tail + 17:tail + 20]) != b"\1\0\x60":
                raise ValueError("chunk without a signature of a known kind")
            end = tail + 20 + _SIGNATURE
        chunk = Chunk(bytes(buf[at:end]), length, signed)
        if chunk.index + length > chunk.total:
            raise ValueError("chunk beyond the end of its config")
        return chunk

    def verify(self, controller):
        """Whether the network's controller, whose Identity is given, signed this."""
        return finish(self.verification(controller))

    def verification(self, controller):
        """As verify(), in slices (crypto/slices.py)."""
        return (self.signature is not None and controller.address == self.network_id[:5]
                and (yield from controller.verification(self.body[:self._end], self.signature)))


def split(network_id, text, update_id, controller, flags=0):
    """Bodies of the signed chunks that a config's text travels in.

    update_id: 8 random bytes, not all zero. controller: an Identity with its private key.
    """
    bodies = []
    for index in range(0, len(text), _CHUNK):
        data = text[index:index + _CHUNK]
        signed = (network_id + struct.pack(">H", len(data)) + data + bytes((flags,)) + update_id
                  + struct.pack(">II", len(text), index))
        bodies.append(signed + b"\1\0\x60" + controller.sign(signed))
    return bodies


class Assembly:
    """Puts the chunks of one network's config updates together (section 3).

    limit: the most bytes of an update that are accepted. updates: a list in which an Assembly
    before this one has left what it knows; it serves this one.
    """

    def __init__(self, limit=limits.CONFIG_BYTES, updates=None):
        self._limit = limit
        # [update ID, total, bytes missing, {index: data}], oldest first; one that was taken has
        # -1 and no more than the indices
        self._updates = [] if updates is None else updates

    def add(self, chunk, sender, controller):
        """Take a chunk from a peer (address) of a network with this controller (Identity).

        Returns whether it was new: only then may it be passed on, and only then may `take` have
        something. Raises ValueError for a chunk that is not the controller's, that is larger
        than the limit or that does not fit to the others of its update.
        """
        return self.expects(chunk, sender, controller) and self.insert(
            chunk, chunk.signature is None or chunk.verify(controller))

    def expects(self, chunk, sender, controller):
        """Whether a chunk is new, so that `insert` is to follow. Otherwise as add()."""
        if chunk.total > self._limit:
            raise ValueError(f"config of {chunk.total} bytes, more than {self._limit}")
        if chunk.signature is None:
            if sender != controller.address:
                raise ValueError("unsigned config not from the controller")
            return True
        return not self._has(chunk)

    def insert(self, chunk, good):
        """Take a chunk that was expected; good: it is the controller's. Otherwise as add()."""
        if not good:
            raise ValueError("config not signed by the controller")
        if chunk.signature is None:
            self._forget(chunk.update_id)
        elif self._has(chunk):
            return False
        update = self._find(chunk.update_id)
        if not update:
            update = [chunk.update_id, chunk.total, chunk.total, {}]
            self._updates.append(update)
            if len(self._updates) > limits.CONFIG_UPDATES:
                self._updates.pop(0)
        if chunk.total != update[1] or len(chunk.data) > update[2]:
            raise ValueError("chunk does not fit to its update")
        update[2] -= len(chunk.data)
        update[3][chunk.index] = chunk.data
        return True

    def take(self, update_id):
        """The text of an update once it is complete, else None; given out once.

        Raises ValueError where its chunks overlap.
        """
        update = self._find(update_id)
        if not update or update[2]:
            return None
        pieces = update[3]
        update[2] = -1       # remembered as done, so that late duplicates are known
        update[3] = tuple(pieces)
        at = 0
        for index in sorted(pieces):
            if index != at:
                raise ValueError("chunks overlap")
            at += len(pieces[index])
        return b"".join([pieces[index] for index in sorted(pieces)])

    def _has(self, chunk):
        update = self._find(chunk.update_id)
        return bool(update and chunk.index in update[3])

    def _find(self, update_id):
        for update in self._updates:
            if update[0] == update_id:
                return update
        return None

    def _forget(self, update_id):
        self._updates[:] = [update for update in self._updates if update[0] != update_id]


def _network_and_text(buf, at, end):
    """(network ID, text, where it ends) of a network ID and a text with its length before it."""
    if end - at < 10:
        raise ValueError("dictionary cut short")
    tail = at + 10 + (buf[at + 8] << 8 | buf[at + 9])
    if tail > end:
        raise ValueError("dictionary cut short")
    return bytes(buf[at:at + 8]), bytes(buf[at + 10:tail]), tail
