"""What a controller signs for its members, and how it travels (spec/vl2-credentials.md).

Every credential keeps its wire form in `raw`, which is what others are sent, verbatim. All have
TYPE, network_id (8 bytes), timestamp (ms of the controller's clock), id, issued_to and
`verify(controller)`, in slices `verification(controller)`. `X.from_bytes(buf, off, end)` reads one
and gives (credential, length), or raises ValueError; `X.issue(controller, ...)` makes one, signed
by an Identity that has its private key.
"""

from micropython import const

from mpcore.crypto.slices import finish
from mpcore.vl2.bundle import bundle

# Type codes, as revocations name them
COM_TYPE = const(1)
CAPABILITY_TYPE = const(2)
TAG_TYPE = const(3)
OWNERSHIP_TYPE = const(4)
REVOCATION_TYPE = const(6)

# Kinds of things in a certificate of ownership
MAC = const(1)
IPV4 = const(2)
IPV6 = const(3)

FAST_PROPAGATE = const(0x01)     # flag of a revocation: spread it further
MAX_RULES = const(64)            # entries of one capability
MAX_OWNED = const(16)            # the reference misreads a longer certificate of ownership

_SIGNATURE = const(96)
_TRAILER = const(101)            # signature type, length, signature, length of an extension
_MARK = b"\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f"
_NOBODY = b"\0\0\0\0\0"

_QUALIFIER = const(24)
_MAX_QUALIFIERS = const(8)
_ANY = b"\xff\xff\xff\xff\xff\xff\xff\xff"
_TIMESTAMP_ID = b"\0\0\0\0\0\0\0\0"
_NETWORK_ID = b"\0\0\0\0\0\0\0\1"
_MEMBER_ID = b"\0\0\0\0\0\0\0\2"
_HASH_IDS = tuple([b"\0\0\0\0\0\0\0" + bytes((i,)) for i in range(3, 7)])

_MAX_CUSTODY = const(7)
_CUSTODY = const(109)

_SIZES = {4: IPV4, 6: MAC, 16: IPV6}


class COM:
    """Certificate of membership: its holder was a member at `timestamp` (section 1)."""

    TYPE = COM_TYPE
    id = 0

    def __init__(self, raw):
        """raw: a whole COM, as from_bytes has checked it."""
        self.raw = raw
        self._end = end = 3 + _QUALIFIER * _u16(raw, 1)
        self.timestamp = _int(self._value(_TIMESTAMP_ID))
        self.network_id = self._value(_NETWORK_ID)
        self.issued_to = self._value(_MEMBER_ID)[3:]
        self.signer = raw[end:end + 5]

    @staticmethod
    def from_bytes(buf, off=0, end=None):
        if end is None:
            end = len(buf)
        _need(off, end, 3)
        count = _u16(buf, off + 1)
        if buf[off] != 1 or count > _MAX_QUALIFIERS:
            raise ValueError("not a certificate of membership")
        length = 8 + _QUALIFIER * count
        _need(off, end, length)
        last = b""
        for at in range(off + 3, off + length - 5, _QUALIFIER):
            key = bytes(buf[at:at + 8])
            if key <= last:
                raise ValueError("qualifiers out of order")
            last = key
        if bytes(buf[off + length - 5:off + length]) != _NOBODY:
            length += _SIGNATURE
            _need(off, end, length)
        return COM(bytes(buf[off:off + length])), length

    @staticmethod
    def issue(controller, network_id, timestamp, max_delta, member):
        """A COM for member (an Identity); others' timestamps may differ by max_delta ms."""
        digest = member.fingerprint()
        values = [(_TIMESTAMP_ID, timestamp.to_bytes(8, "big"), max_delta.to_bytes(8, "big")),
                  (_NETWORK_ID, network_id, _TIMESTAMP_ID),
                  (_MEMBER_ID, b"\0\0\0" + member.address, _ANY)]
        for i, key in enumerate(_HASH_IDS):
            values.append((key, digest[8 * i:8 * i + 8], _ANY))
        qualifiers = b"".join([b"".join(value) for value in values])
        return COM(b"\1" + len(values).to_bytes(2, "big") + qualifiers + controller.address
                   + controller.sign(qualifiers))

    def verify(self, controller):
        """Whether this is signed by the network's controller, whose Identity is given."""
        return finish(self.verification(controller))

    def verification(self, controller):
        """As verify(), in slices (crypto/slices.py)."""
        return (self.signer == controller.address == self.network_id[:5]
                and (yield from controller.verification(self.raw[3:self._end],
                                                        self.raw[self._end + 5:])))

    def agrees(self, theirs, peer):
        """Whether a peer (an Identity) holding the COM `theirs` may talk to this one's holder.

        Not symmetric: the differences that this COM allows count. Signatures play no part.
        """
        values = theirs._values()
        if not values or self._end == 3:
            return False
        raw = self.raw
        hashed = False
        for at in range(3, self._end, _QUALIFIER):
            key, value, delta = raw[at:at + 8], raw[at + 8:at + 16], raw[at + 16:at + 24]
            other = values.get(key)
            if other is None:
                return False
            if delta != _ANY and abs(_int(value) - _int(other)) > _int(delta):
                return False
            hashed = hashed or key in _HASH_IDS
        if not hashed:
            return True
        digest = b"".join([values.get(key, b"") for key in _HASH_IDS])
        return digest == peer.fingerprint()[:32]

    def _value(self, key):
        raw, at = self.raw, 3       # they are in order, and most have these first
        while at < self._end and raw[at:at + 8] < key:
            at += _QUALIFIER
        return raw[at + 8:at + 16] if raw[at:at + 8] == key and at < self._end else _TIMESTAMP_ID

    def _values(self):
        raw = self.raw
        return {raw[at:at + 8]: raw[at + 8:at + 16] for at in range(3, self._end, _QUALIFIER)}


class _Credential:
    """What tags, certificates of ownership and revocations share: fields, then one signature.

    A subclass says with `_length(buf, off, end)` how many bytes of fields there are, and reads
    them in `_read(raw)`.
    """

    def __init__(self, raw, end):
        self.raw = raw
        self._end = end
        self._read(raw)

    @classmethod
    def from_bytes(cls, buf, off=0, end=None):
        if end is None:
            end = len(buf)
        fields = cls._length(buf, off, end)
        length = _trailer(buf, off + fields, end) - off
        return cls(bytes(buf[off:off + length]), fields), length

    @classmethod
    def _sign(cls, controller, fields):
        raw = fields + b"\1\0\x60" + controller.sign(_message(fields)) + b"\0\0"
        return cls(raw, len(fields))

    def verify(self, controller):
        """Whether this is signed by the network's controller, whose Identity is given."""
        return finish(self.verification(controller))

    def verification(self, controller):
        """As verify(), in slices (crypto/slices.py)."""
        at = self._end + 3
        return (self.signer == controller.address == self.network_id[:5]
                and (yield from controller.verification(_message(self.raw[:self._end]),
                                                        self.raw[at:at + _SIGNATURE])))


class Tag(_Credential):
    """A number attached to a member, for rules to compare (section 2)."""

    TYPE = TAG_TYPE

    @staticmethod
    def _length(buf, off, end):
        return 34

    def _read(self, raw):
        self.network_id = raw[:8]
        self.timestamp = _int(raw[8:16])
        self.id = _int(raw[16:20])
        self.value = _int(raw[20:24])
        self.issued_to = raw[24:29]
        self.signer = raw[29:34]

    @staticmethod
    def issue(controller, network_id, timestamp, id, value, issued_to):
        """A tag; id and value are unsigned 32-bit integers."""
        return Tag._sign(controller, network_id + timestamp.to_bytes(8, "big")
                         + id.to_bytes(4, "big") + value.to_bytes(4, "big")
                         + issued_to + controller.address)


class Ownership(_Credential):
    """Certificate of ownership: these IPs and MACs belong to the member (section 3)."""

    TYPE = OWNERSHIP_TYPE

    @staticmethod
    def _length(buf, off, end):
        _need(off, end, 30)
        count = _u16(buf, off + 28)
        if count > MAX_OWNED:
            raise ValueError("certificate of too many things")
        return 40 + 17 * count

    def _read(self, raw):
        self.network_id = raw[:8]
        self.timestamp = _int(raw[8:16])
        self.id = _int(raw[24:28])
        self.issued_to = raw[self._end - 10:self._end - 5]
        self.signer = raw[self._end - 5:self._end]

    @staticmethod
    def issue(controller, network_id, timestamp, id, owned, issued_to):
        """A certificate for at most MAX_OWNED MACs (6 bytes) and IPs (4 or 16 bytes)."""
        if len(owned) > MAX_OWNED:
            raise ValueError("certificate of too many things")
        return Ownership._sign(controller, network_id + timestamp.to_bytes(8, "big") + bytes(8)
                               + id.to_bytes(4, "big") + len(owned).to_bytes(2, "big")
                               + b"".join([_thing(value) for value in owned])
                               + issued_to + controller.address)

    def owns(self, value):
        """Whether a MAC (6 bytes) or IP (4 or 16 bytes) is among the things."""
        thing = _thing(value)
        raw = self.raw
        return any([raw[at:at + 17] == thing for at in range(30, self._end - 10, 17)])


class Revocation(_Credential):
    """Voids what was issued to a member up to `threshold` (section 5).

    issued_to is that member. credential_type is one of the type codes, credential_id is 0 for a
    COM. `timestamp` is the threshold, as this has no other.
    """

    TYPE = REVOCATION_TYPE

    @staticmethod
    def _length(buf, off, end):
        return 51

    def _read(self, raw):
        self.id = _int(raw[4:8])
        self.network_id = raw[8:16]
        self.credential_id = _int(raw[20:24])
        self.timestamp = self.threshold = _int(raw[24:32])
        self.flags = _int(raw[32:40])
        self.issued_to = raw[40:45]
        self.signer = raw[45:50]
        self.credential_type = raw[50]

    @staticmethod
    def issue(controller, network_id, id, credential_type, credential_id, threshold, target,
              flags=FAST_PROPAGATE):
        """A revocation; id is a random unsigned 32-bit integer, threshold in ms."""
        return Revocation._sign(controller, bytes(4) + id.to_bytes(4, "big") + network_id
                                + bytes(4) + credential_id.to_bytes(4, "big")
                                + threshold.to_bytes(8, "big")
                                + flags.to_bytes(8, "big") + target + controller.address
                                + bytes((credential_type,)))


class Capability:
    """Extra rules that its holder may use (section 4).

    rules: binary, as in vl2-rules.md. custody: [(to, from, signature), ...] from the controller to
    the holder, `issued_to`; max_custody is how long that chain may get.
    """

    TYPE = CAPABILITY_TYPE

    def __init__(self, raw, end, custody):
        self.raw = raw
        self._end = end
        self.network_id = raw[:8]
        self.timestamp = _int(raw[8:16])
        self.id = _int(raw[16:20])
        self.rules = raw[22:end - 1]
        self.max_custody = raw[end - 1]
        self.custody = custody
        self.issued_to = custody[-1][0] if custody else _NOBODY

    @staticmethod
    def from_bytes(buf, off=0, end=None):
        if end is None:
            end = len(buf)
        _need(off, end, 22)
        count = _u16(buf, off + 20)
        if count > MAX_RULES:
            raise ValueError("capability of too many rules")
        at = off + 22
        for _ in range(count):
            _need(at, end, 2)
            at += 2 + buf[at + 1]
        _need(at, end, 1)
        if not 1 <= buf[at] <= _MAX_CUSTODY:
            raise ValueError("capability with a wrong custody limit")
        at += 1
        fields = at - off
        custody = []
        while True:
            _need(at, end, 5)
            to = bytes(buf[at:at + 5])
            if to == _NOBODY:
                break
            _need(at, end, _CUSTODY)
            if len(custody) == _MAX_CUSTODY or bytes(buf[at + 10:at + 13]) != b"\1\0\x60":
                raise ValueError("capability with a malformed custody chain")
            custody.append((to, bytes(buf[at + 5:at + 10]), bytes(buf[at + 13:at + _CUSTODY])))
            at += _CUSTODY
        length = _extension(buf, at + 5, end) - off
        return Capability(bytes(buf[off:off + length]), fields, custody), length

    @staticmethod
    def issue(controller, network_id, timestamp, id, rules, rule_count, issued_to):
        """A capability that may not be handed on; rules: binary, of rule_count entries."""
        fields = (network_id + timestamp.to_bytes(8, "big") + id.to_bytes(4, "big")
                  + rule_count.to_bytes(2, "big") + rules + b"\1")
        signature = controller.sign(_message(fields))
        raw = fields + issued_to + controller.address + b"\1\0\x60" + signature + bytes(7)
        return Capability(raw, len(fields), [(issued_to, controller.address, signature)])

    def verify(self, controller, lookup=None):
        """Whether the custody chain leads from the network's controller to the holder.

        lookup(address) gives the Identity of a former holder, or None; without it only what comes
        straight from the controller passes.
        """
        return finish(self.verification(controller, lookup))

    def verification(self, controller, lookup=None):
        """As verify(), in slices (crypto/slices.py)."""
        if not 1 <= len(self.custody) <= self.max_custody:
            return False
        message = _message(self.raw[:self._end])
        expected = self.network_id[:5]
        signer = controller
        for to, giver, signature in self.custody:
            if signer is None:
                signer = lookup and lookup(giver)
            if not signer or not giver == expected == signer.address:
                return False
            if not (yield from signer.verification(message, signature)):
                return False
            expected = to
            signer = None
        return True


def pack(coms=(), capabilities=(), tags=(), revocations=(), ownerships=()):
    """Payload of a NETWORK_CREDENTIALS (section 6)."""
    return bundle(b"".join([com.raw for com in coms]),
                  [[credential.raw for credential in section]
                   for section in (capabilities, tags, revocations, ownerships)])


def unpack(buf, at, end):
    """The credentials in a NETWORK_CREDENTIALS payload at buf[at:end], in order (section 6).

    Raises ValueError. Nothing is verified. A sender may leave out sections at the end.
    """
    found = []
    while at < end and buf[at]:
        credential, length = COM.from_bytes(buf, at, end)
        found.append(credential)
        at += length
    at += 1
    for kind in (Capability, Tag, Revocation, Ownership):
        if at >= end:
            break
        _need(at, end, 2)
        count = _u16(buf, at)
        at += 2
        for _ in range(count):
            credential, length = kind.from_bytes(buf, at, end)
            found.append(credential)
            at += length
    return found


def _need(off, end, n):
    if end - off < n:
        raise ValueError("credential cut short")


def _u16(buf, off):
    return buf[off] << 8 | buf[off + 1]


def _int(raw):
    return int.from_bytes(raw, "big")


def _message(fields):
    return _MARK + fields + b"\0\0" + _MARK


def _thing(value):
    return bytes((_SIZES[len(value)],)) + value + bytes(16 - len(value))


def _trailer(buf, at, end):
    """Where a signature and an extension at buf[at:end] end."""
    _need(at, end, _TRAILER)
    if bytes(buf[at:at + 3]) != b"\1\0\x60":
        raise ValueError("signature of an unknown type")
    return _extension(buf, at + _TRAILER - 2, end)


def _extension(buf, at, end):
    _need(at, end, 2)
    length = 2 + _u16(buf, at)
    _need(at, end, length)
    return at + length
