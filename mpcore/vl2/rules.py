"""The rules engine: which frames a network lets through (spec/vl2-rules.md).

A set on the wire is a byte string. `parse` makes of it a tuple of (type byte, operand) entries,
which is what everything else here takes; `emit` is its inverse. To judge a frame:

    frame = Frame(inbound, source, destination, self_address, source_mac, destination_mac,
                  ethertype, payload, local_tags, remote_tags, flags)
    verdict = evaluate(rules, frame)        # NO_MATCH, DROP, ACCEPT, SUPER_ACCEPT or REDIRECT

after which `frame.copy` is None or (address, length, is_watch), and `frame.redirect` is the
address to send to instead when the verdict is REDIRECT.
"""

from micropython import const

from mpcore import limits

NO_MATCH = const(0)
DROP = const(1)
ACCEPT = const(2)
SUPER_ACCEPT = const(3)
REDIRECT = const(4)

# Flags of the type byte, section 1
NOT = const(0x80)
OR = const(0x40)
_TYPE = const(0x3F)

# Actions
_DROP = const(0)
_ACCEPT = const(1)
_TEE = const(2)
_WATCH = const(3)
_REDIRECT = const(4)
_BREAK = const(5)
_PRIORITY = const(6)
_FIRST_MATCH = const(16)

# Matches that are told apart inside a shared function
_IPV4_SOURCE = const(31)
_IPV6_SOURCE = const(33)
_SOURCE_PORT = const(39)
_CHARACTERISTICS = const(41)
_DIFFERENCE = const(44)
_BITWISE_AND = const(45)
_BITWISE_OR = const(46)
_BITWISE_XOR = const(47)
_TAG_SENDER = const(49)
_TAG_RECEIVER = const(50)

# Config flag 0x08: an unknown match type counts as a match
UNKNOWN_MATCHES = const(0x08)

# Characteristics, section 4, by byte of the 8-byte mask
_INBOUND = const(0x80)
_MULTICAST = const(0x40)
_BROADCAST = const(0x20)
_IP_AUTHENTICATED = const(0x10)
_MAC_AUTHENTICATED = const(0x08)

_IPV4 = const(0x0800)
_ARP = const(0x0806)
_IPV6 = const(0x86DD)
_ICMP = const(1)
_TCP = const(6)
_ICMPV6 = const(58)
_PORTED = b"\x06\x11\x84\x88"           # TCP, UDP, SCTP, UDPLite
_EXTENSIONS = b"\x00\x2b\x3c\x87"       # headers a walk steps over: 0, 43, 60, 135

# A match that cannot be judged has a final value, which NOT does not invert (section 2).
_FINAL = const(2)
_FALSE = const(2)
_TRUE = const(3)


class Frame:
    """One Ethernet frame as the rules see it, and what they asked for besides a verdict.

    inbound: True when it came from a peer. source, destination, self_address: 5-byte addresses;
    destination is five zero bytes where it is not one member (multicast, bridged). source_mac,
    destination_mac: 6 bytes. ethertype: int. payload: bytes-like, no MAC header. local_tags: dict
    of tag ID to value. remote_tags: the same for the other member, or None when nothing is known.
    flags: the network's flags (UNKNOWN_MATCHES is looked at). owns: callable(ip or mac bytes) ->
    bool, "a certificate of ownership of the sender holds it". random: callable(n) -> n bytes,
    needed for the match RANDOM.
    """

    def __init__(self, inbound, source, destination, self_address, source_mac, destination_mac,
                 ethertype, payload, local_tags, remote_tags=None, flags=0, owns=None,
                 random=None):
        self.inbound = inbound
        self.source = source
        self.destination = destination
        self.self_address = self_address
        self.source_mac = source_mac
        self.destination_mac = destination_mac
        self.ethertype = ethertype
        self.payload = payload
        self.local_tags = local_tags
        self.remote_tags = remote_tags
        self.flags = flags
        self.owns = owns
        self.random = random
        self.copy = self.redirect = None
        self.super = self.lenient = False

    def ipv6_payload(self):
        """(upper protocol, where it starts), or (None, 0) when the headers are broken."""
        data = self.payload
        n = len(data)
        if n < 40:
            return None, 0
        protocol, at = data[6], 40
        while protocol in _EXTENSIONS:
            if at + 8 > n:
                return None, 0
            protocol, at = data[at], at + 8 * data[at + 1] + 8
        return protocol, at

    def transport(self):
        """(protocol, where its header starts) of an IP packet, else (None, 0)."""
        if self.ethertype == _IPV4 and len(self.payload) >= 20:
            return self.payload[9], 4 * (self.payload[0] & 15)
        if self.ethertype == _IPV6:
            return self.ipv6_payload()
        return None, 0

    def sender_ip_is_authenticated(self):
        data, n = self.payload, len(self.payload)
        if self.ethertype == _IPV4 and n >= 20:
            ip = data[12:16]
        elif self.ethertype == _IPV6 and n >= 40:
            neighbour = n >= 64 and data[6] == _ICMPV6
            if neighbour and data[40] == 0x87:
                return True     # a solicitation has no address of its own that could be checked
            ip = data[48:64] if neighbour and data[40] == 0x88 else data[8:24]
        elif self.ethertype == _ARP and n >= 28:
            ip = data[14:18]
        else:
            return False
        return self.owns is not None and self.owns(bytes(ip))


# --- encoding, section 1 -------------------------------------------------------------------

def parse(data, off=0, end=None, count=None):
    """Read a rule set from data[off:end].

    count: stop after that many entries (as in a capability), else read to the end. Returns a
    tuple of (type byte, operand bytes). Raises ValueError when an entry is cut off, an operand is
    shorter than its type needs, or there are more than limits.RULES entries.
    """
    end = len(data) if end is None else end
    rules = []
    while off < end if count is None else len(rules) < count:
        if off + 2 > end or off + 2 + data[off + 1] > end:
            raise ValueError("rule is cut off")
        if len(rules) == limits.RULES:
            raise ValueError("too many rules")
        t, n = data[off], data[off + 1]
        if n < _operand_size(t & _TYPE):
            raise ValueError("rule operand is too short")
        rules.append((t, bytes(data[off + 2:off + 2 + n])))
        off += 2 + n
    return tuple(rules)


def emit(rules):
    """The wire form of a sequence of (type byte, operand bytes)."""
    return b"".join([bytes((t, len(operand))) + operand for t, operand in rules])


def unsupported(rules):
    """Name the first entry that this engine does not know, or None when it honours them all."""
    for t, _ in rules:
        t &= _TYPE
        if _PRIORITY < t < _FIRST_MATCH or t >= _FIRST_MATCH and t not in _MATCHES:
            return "rule type %d" % t
    return None


def undecided(rules):
    """Whether a set can end without a verdict, so that capabilities come into play."""
    kinds = [t & _TYPE for t, _ in rules]
    final = kinds and kinds[-1] in (_DROP, _ACCEPT, _PRIORITY) and (
        len(kinds) == 1 or kinds[-2] < _FIRST_MATCH)
    return not final or _BREAK in kinds


def compares_tags(rules):
    """Whether a set asks for the tags of the other member."""
    return any([_DIFFERENCE <= t & _TYPE <= _TAG_RECEIVER for t, _ in rules])


def asks_ownership(rules):
    """Whether a set asks for certificates of ownership."""
    return any([t & _TYPE == _CHARACTERISTICS
                and operand[0] & (_IP_AUTHENTICATED | _MAC_AUTHENTICATED) for t, operand in rules])


def _operand_size(t):
    if t < _FIRST_MATCH:
        return 14 if _TEE <= t <= _REDIRECT else 0
    return _MATCHES[t][0] if t in _MATCHES else 0


# --- evaluation, section 2 -----------------------------------------------------------------

def evaluate(rules, frame):
    """Judge a Frame by one rule set and return the verdict; see the top of this module."""
    frame.copy = frame.redirect = None
    frame.super = frame.lenient = False
    matched = True
    for t, operand in rules:
        kind = t & _TYPE
        if kind >= _FIRST_MATCH:
            if matched or t & OR:
                value = _MATCHES[kind][1](frame, kind, operand) if kind in _MATCHES else (
                    frame.flags & UNKNOWN_MATCHES != 0)
                value = value & 1 if value & _FINAL else bool(value) != bool(t & NOT)
                matched = bool(matched or value if t & OR else value)
        elif matched:
            verdict = _act(frame, kind, operand)
            if verdict is not None:
                return verdict
        else:
            if frame.inbound and _TEE <= kind <= _REDIRECT and operand[3:8] == frame.self_address:
                frame.super = True
            matched = True
    return NO_MATCH


def _act(frame, kind, operand):
    if kind == _DROP:
        if not frame.lenient:
            return DROP
        frame.lenient = False
    elif kind == _ACCEPT:
        return SUPER_ACCEPT if frame.super else ACCEPT
    elif kind == _PRIORITY:
        return ACCEPT
    elif kind == _BREAK:
        return NO_MATCH
    elif kind <= _REDIRECT:
        target = operand[3:8]
        if target == frame.source:
            return None
        if target == frame.self_address:
            return SUPER_ACCEPT if frame.inbound else None
        if target == frame.destination:
            return None
        if kind == _REDIRECT:
            frame.redirect = target
            return REDIRECT
        n, length = len(frame.payload), operand[12] << 8 | operand[13]
        frame.copy = (target, min(length, n) if length else n, kind == _WATCH)
    return None


# --- matches -------------------------------------------------------------------------------
# Each takes the frame, its own type and its operand, and returns false, true, or a final value.

def _source_address(frame, kind, operand):
    return operand == frame.source


def _destination_address(frame, kind, operand):
    return operand == frame.destination


def _vlan(frame, kind, operand):
    return not any(operand)         # there are no tagged frames: every VLAN field is 0


def _source_mac(frame, kind, operand):
    return operand == frame.source_mac


def _destination_mac(frame, kind, operand):
    return operand == frame.destination_mac


def _ipv4(frame, kind, operand):
    data = frame.payload
    if frame.ethertype != _IPV4 or len(data) < 20:
        return _FALSE
    at = 12 if kind == _IPV4_SOURCE else 16
    bits = min(operand[4], 32)
    for i in range((bits + 7) // 8):
        if (data[at + i] ^ operand[i]) >> max(8 - bits + 8 * i, 0):
            return False
    return True


def _ipv6(frame, kind, operand):
    data = frame.payload
    if frame.ethertype != _IPV6 or len(data) < 40:
        return _FALSE
    at = 8 if kind == _IPV6_SOURCE else 24
    bits = operand[16]
    for i in range(16):
        # Host bits left in the operand are compared too, so they never match.
        mask = 0xFF00 >> min(max(bits - 8 * i, 0), 8) & 0xFF
        if data[at + i] & mask != operand[i]:
            return False
    return True


def _tos(frame, kind, operand):
    data = frame.payload
    if frame.ethertype == _IPV4 and len(data) >= 20:
        tos = data[1]
    elif frame.ethertype == _IPV6 and len(data) >= 40:
        tos = data[0] << 4 & 0xF0 | data[1] >> 4
    else:
        return _FALSE
    return operand[1] <= tos & operand[0] <= operand[2]


def _protocol(frame, kind, operand):
    protocol, _ = frame.transport()
    return _FALSE if protocol is None else protocol == operand[0]


def _ethertype(frame, kind, operand):
    return frame.ethertype == operand[0] << 8 | operand[1]


def _icmp(frame, kind, operand):
    data = frame.payload
    protocol, at = frame.transport()
    if protocol != (_ICMP if frame.ethertype == _IPV4 else _ICMPV6) or len(data) < at + 2:
        return _FALSE
    if data[at] != operand[0]:
        return _FALSE
    return data[at + 1] == operand[1] if operand[2] & 1 else _TRUE


def _port(frame, kind, operand):
    data = frame.payload
    protocol, at = frame.transport()
    if protocol is None:
        return _FALSE
    if protocol not in _PORTED or len(data) <= at + 4:
        return False
    if kind != _SOURCE_PORT:
        at += 2
    port = data[at] << 8 | data[at + 1]
    if port == 0 and frame.ethertype == _IPV6:
        return False
    return operand[0] << 8 | operand[1] <= port <= operand[2] << 8 | operand[3]


def _characteristics(frame, kind, operand):
    data, wanted, mac = frame.payload, operand[0], frame.destination_mac
    if (wanted & _INBOUND and frame.inbound
            or wanted & _MULTICAST and mac[0] & 1
            or wanted & _BROADCAST and mac == b"\xff\xff\xff\xff\xff\xff"
            or wanted & _IP_AUTHENTICATED and frame.sender_ip_is_authenticated()
            or wanted & _MAC_AUTHENTICATED and frame.owns is not None
            and frame.owns(frame.source_mac)):
        return True
    if operand[6] & 15 or operand[7]:
        protocol, at = frame.transport()
        if protocol == _TCP and len(data) >= at + 14:
            return (data[at + 13] & operand[7] | data[at + 12] & operand[6] & 15) != 0
    return False


def _frame_size(frame, kind, operand):
    return operand[0] << 8 | operand[1] <= len(frame.payload) <= operand[2] << 8 | operand[3]


def _random(frame, kind, operand):
    return frame.random(4) <= operand[:4]       # bytes compare as the big-endian numbers they are


def _compare_tags(frame, kind, operand):
    tag = int.from_bytes(operand[:4], "big")
    value = int.from_bytes(operand[4:8], "big")
    mine = frame.local_tags.get(tag)
    if mine is None:
        return _FALSE
    theirs = frame.remote_tags.get(tag) if frame.remote_tags is not None else None
    if theirs is None:
        if frame.inbound and not frame.super:
            return _FALSE
        frame.lenient = True
        return _TRUE
    if kind == _DIFFERENCE:
        return abs(mine - theirs) <= value
    if kind == _BITWISE_AND:
        return mine & theirs == value
    if kind == _BITWISE_OR:
        return mine | theirs == value
    if kind == _BITWISE_XOR:
        return mine ^ theirs == value
    return mine == value and theirs == value


def _one_tag(frame, kind, operand):
    if frame.super:
        frame.lenient = True
        return _TRUE
    remote = (kind == _TAG_SENDER) == bool(frame.inbound)
    tags = frame.remote_tags if remote else frame.local_tags
    value = tags.get(int.from_bytes(operand[:4], "big")) if tags is not None else None
    if value is None:
        if not remote or frame.inbound:
            return _FALSE
        frame.lenient = True
        return _TRUE
    return value == int.from_bytes(operand[4:8], "big")


def _integer_range(frame, kind, operand):
    start = int.from_bytes(operand[:8], "big")
    span = (int.from_bytes(operand[8:16], "big") - start) & 0xFFFFFFFF
    at = operand[16] << 8 | operand[17]
    bits = (operand[18] & 63) + 1
    size = (bits + 7) // 8
    little = operand[18] & 0x80
    if not little:
        at += 8 - size
    value = 0
    if at + size <= len(frame.payload):
        field = bytes(frame.payload[at:at + size])
        if little:      # the reference keeps the high bits of what it read
            value = int.from_bytes(field, "little") >> (8 * size - bits)
        else:
            value = int.from_bytes(field, "big") & (1 << bits) - 1
    return start <= value <= start + span


# Type: (operand size, function)
_MATCHES = {
    24: (5, _source_address),
    25: (5, _destination_address),
    26: (2, _vlan),
    27: (1, _vlan),
    28: (1, _vlan),
    29: (6, _source_mac),
    30: (6, _destination_mac),
    31: (5, _ipv4),
    32: (5, _ipv4),
    33: (17, _ipv6),
    34: (17, _ipv6),
    35: (3, _tos),
    36: (1, _protocol),
    37: (2, _ethertype),
    38: (3, _icmp),
    39: (4, _port),
    40: (4, _port),
    41: (8, _characteristics),
    42: (4, _frame_size),
    43: (4, _random),
    44: (8, _compare_tags),
    45: (8, _compare_tags),
    46: (8, _compare_tags),
    47: (8, _compare_tags),
    48: (8, _compare_tags),
    49: (8, _one_tag),
    50: (8, _one_tag),
    51: (19, _integer_range),
}
