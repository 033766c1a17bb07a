"""The VL1 packet: offsets, verbs and a reusable view of a received packet (spec/packet.md)."""

from micropython import const

# A packet starts one byte past a 4-byte boundary of its buffer: the protected region (byte 27)
# is then 4-aligned, as the 32-bit kernels on boards need it.
START = const(1)

# Header, spec/packet.md 1
ID = const(0)
DESTINATION = const(8)
SOURCE = const(13)
FLAGS = const(18)
MAC = const(19)
VERB = const(27)
PAYLOAD = const(28)
HEADER = const(28)

FRAGMENTED = const(0x40)
HOPS = const(0x07)
COMPRESSED = const(0x80)
VERB_MASK = const(0x1F)

# Cipher suites, spec/crypto.md 2
CIPHER_NONE = const(0)
CIPHER_SALSA = const(1)
CIPHER_TRUSTED_PATH = const(2)
CIPHER_AES = const(3)

# Verbs, spec/verbs.md 1
NOP = const(0x00)
HELLO = const(0x01)
ERROR = const(0x02)
OK = const(0x03)
WHOIS = const(0x04)
RENDEZVOUS = const(0x05)
FRAME = const(0x06)
EXT_FRAME = const(0x07)
ECHO = const(0x08)
MULTICAST_LIKE = const(0x09)
NETWORK_CREDENTIALS = const(0x0A)
NETWORK_CONFIG_REQUEST = const(0x0B)
NETWORK_CONFIG = const(0x0C)
MULTICAST_GATHER = const(0x0D)
MULTICAST_FRAME = const(0x0E)
PUSH_DIRECT_PATHS = const(0x10)
ACK = const(0x12)
QOS_MEASUREMENT = const(0x13)
USER_MESSAGE = const(0x14)
REMOTE_TRACE = const(0x15)
PATH_NEGOTIATION_REQUEST = const(0x16)

# Error codes, spec/verbs.md 5
E_INVALID_REQUEST = const(0x01)
E_BAD_PROTOCOL_VERSION = const(0x02)
E_OBJ_NOT_FOUND = const(0x03)
E_IDENTITY_COLLISION = const(0x04)
E_UNSUPPORTED_OPERATION = const(0x05)
E_NEED_MEMBERSHIP_CERTIFICATE = const(0x06)
E_NETWORK_ACCESS_DENIED = const(0x07)
E_UNWANTED_MULTICAST = const(0x08)
E_NETWORK_AUTHENTICATION_REQUIRED = const(0x09)

# OK and ERROR begin with the verb and the packet ID they answer.
_IN_RE = const(9)


class Packet:
    """A received packet that handlers read in place.

    `buf[off:end]` is the whole packet, decrypted and decompressed; `at` is where the verb's own
    content begins: the payload, or what follows the quoted verb and packet ID of an OK, or what
    follows the error code of an ERROR. One object serves all packets: a handler that wants one
    later stores `keep()`.
    """

    def __init__(self, buf=None, off=0, end=0, endpoint=None):
        self.buf = buf
        self.off = off
        self.end = end
        self.endpoint = endpoint
        self.at = off + PAYLOAD
        self.id = None
        self.verb = self.hops = 0
        self.in_re_verb = self.in_re_id = self.error = None     # of an OK or ERROR only

    def parse(self, packet_id):
        """As read(), when the packet has been in `buf` since this was made."""
        return self.read(self.buf, self.off, self.end, self.endpoint, packet_id)

    def read(self, buf, off, end, endpoint, packet_id):
        """Have this be the packet buf[off:end] from `endpoint`, whose payload is in clear.

        packet_id: 8 bytes as they were on the wire. Raises ValueError when an OK or ERROR is too
        short to quote what it answers (spec/verbs.md 4, 5).
        """
        self.buf = buf
        self.off = off
        self.end = end
        self.endpoint = endpoint
        self.id = packet_id
        self.hops = buf[off + FLAGS] & HOPS
        self.verb = verb = buf[off + VERB] & VERB_MASK
        self.at = at = off + PAYLOAD
        if verb == OK or verb == ERROR:
            self.need(_IN_RE + (verb == ERROR))
            self.in_re_verb = buf[at]
            self.in_re_id = bytes(buf[at + 1:at + 9])
            self.at = at + _IN_RE
            if verb == ERROR:
                self.error = buf[self.at]
                self.at += 1
        return self

    def need(self, n):
        """Raise ValueError unless n bytes of content are there."""
        if self.end - self.at < n:
            raise ValueError("packet too short")

    def head(self):
        """An independent copy without the content, which is all that an answer needs."""
        other = Packet(endpoint=self.endpoint)
        other.id = self.id
        other.verb = self.verb
        return other

    def keep(self):
        """An independent copy that may be stored and given to a handler again."""
        other = Packet(bytearray(self.end - self.off + START), START, 0, self.endpoint)
        other.buf[START:] = memoryview(self.buf)[self.off:self.end]
        other.end = len(other.buf)
        return other.parse(self.id)
