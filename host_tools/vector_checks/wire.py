"""Opening recorded datagrams as the product opens them: fragments, armor, LZ4, HELLO's mask."""

from mpcore import crypto, limits
from mpcore.vl1 import fragment, hello, identity, packet
from mpcore.vl1.identity import Identity
from mpcore.vl1.packet import HEADER, START, Packet

from host_tools.vector_checks import same

HERE = b"\x0a\0\0\1\x27\x09"      # an endpoint that datagrams come from


def known_identity(entry):
    """The identity of an entry with `secret_text`, whose parts must belong together."""
    one = Identity.from_text(entry["secret_text"])
    same(one.address.hex(), entry["address"], "address")
    same(identity.public_of(one.private), one.public, "public key of the private key")
    return one


class Refused(Exception):
    """A packet that is not authentic, or whose cipher is never accepted."""


class Opened:
    """A packet in clear.

    received: the product's Packet, as handlers get it. cipher: number. compressed: whether it
    was. masked_from: packet offset of HELLO's masked end, None for other verbs.
    """

    def __init__(self, received, cipher, compressed, masked_from):
        self.received = received
        self.cipher = cipher
        self.compressed = compressed
        self.masked_from = masked_from

    @property
    def plaintext(self):
        """The whole packet, bytes."""
        return bytes(self.received.buf[self.received.off:self.received.end])

    @property
    def payload(self):
        return self.plaintext[HEADER:]


class Wire:
    """The packet ciphers of every pair of some identities (with private keys)."""

    def __init__(self, identities):
        self._identities = {one.address: one for one in identities}
        self._ciphers = {}

    def cipher(self, a, b):
        """The PacketCipher of two addresses."""
        pair = (min(a, b), max(a, b))
        if pair not in self._ciphers:
            if a not in self._identities or b not in self._identities:
                raise Refused("packet between unknown nodes")
            key = self._identities[a].agree(self._identities[b])
            self._ciphers[pair] = crypto.PacketCipher(key)
        return self._ciphers[pair]

    def open(self, data):
        """Decrypt and inflate a whole packet. Raises Refused, or ValueError when malformed."""
        if len(data) < HEADER:
            raise ValueError("packet too short")
        n = len(data)
        buf = bytearray(START) + data
        destination = data[packet.DESTINATION:packet.SOURCE]
        cipher = self.cipher(destination, data[packet.SOURCE:packet.FLAGS])
        number = data[packet.FLAGS] >> 3 & 7
        if not cipher.dearmor(buf, START, n):
            raise Refused("packet not authentic")
        compressed = bool(buf[START + packet.VERB] & packet.COMPRESSED)
        if compressed:
            buf[START + packet.VERB] &= packet.VERB_MASK
            if n > HEADER:
                buf, n = inflate(buf, n)
        masked_from = None
        if buf[START + packet.VERB] == packet.HELLO:
            masked_from = _masked_from(buf, n)
            if masked_from < n:
                cipher.mask_hello(buf, START, masked_from, n - masked_from)
        received = Packet(buf, START, START + n, HERE).parse(data[:8])
        return Opened(received, number, compressed, masked_from)


def _masked_from(buf, n):
    """Packet offset at which a HELLO masks its end; n when it has no such end."""
    greeting = hello.Hello(buf, START + HEADER, START + n)
    if greeting.identity.address != bytes(buf[START + packet.SOURCE:START + packet.FLAGS]):
        raise Refused("HELLO from another address than its identity's")
    greeting.read_rest(buf)
    return greeting.masked_from - START


def inflate(buf, n):
    """(buffer, length) of the compressed packet buf[START:START + n]. Raises ValueError."""
    out = bytearray(START + limits.MAX_PACKET)
    out[START:START + HEADER] = buf[START:START + HEADER]
    size = crypto.lz4_decompress(buf, START + HEADER, n - HEADER, out, START + HEADER,
                                 limits.MAX_PACKET - HEADER)
    if not size:
        raise ValueError("nothing inflated")
    return out, HEADER + size


class Receiver:
    """One node's end: datagrams in, whole packets out."""

    def __init__(self):
        self._reassembler = fragment.Reassembler()

    def take(self, now, data):
        """The whole packet that a datagram is or completes, else None. Raises ValueError."""
        if len(data) <= fragment.HEADER:
            raise ValueError("no packet")
        buf = bytearray(START) + data
        if fragment.is_fragment(buf, START):
            whole = self._reassembler.fragment(now, buf, START, len(data))
        elif data[packet.FLAGS] & packet.FRAGMENTED:
            whole = self._reassembler.head(now, HERE, buf, START, len(data))
        else:
            return data
        if whole is None:
            return None
        buf, off, n, _ = whole
        return bytes(buf[off:off + n])
