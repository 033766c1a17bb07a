"""Physical addresses: text, wire form and scope (spec/packet.md 9, spec/peers-and-paths.md 3).

An IP address is 4 or 16 bytes; an endpoint is an IP address and a 2-byte port, 6 or 18 bytes.
"""

from micropython import const

# Scopes, spec/peers-and-paths.md 3. The higher one is preferred.
NONE = const(0)
MULTICAST = const(1)
LOOPBACK = const(2)
PSEUDOPRIVATE = const(3)
GLOBAL = const(4)
LINK_LOCAL = const(5)
SHARED = const(6)
PRIVATE = const(7)

_V4 = const(4)
_V6 = const(6)
_ETHERNET = const(1)
_BLUETOOTH = const(2)
_OTHER = const(3)

_ZEROS = bytes(12)
_MAPPED = bytes(10) + b"\xff\xff"    # ::ffff:0:0/96, IPv4 written as IPv6
_TUNNEL_BROKER = b"\x20\x01\x04\x70"  # 2001:470::/32

# /8 blocks that belong to somebody but are not routed in public
_UNROUTED = (6, 11, 21, 22, 25, 26, 28, 29, 30, 51, 55, 56)
_PRIVATE_PREFIXES = (b"\xc0\xa8", b"\xc0\x00\x02", b"\xc6\x33\x64", b"\xcb\x00\x71")


def ip_parse(text):
    """The 4 or 16 bytes of an IP address in text. Raises ValueError."""
    return _v6_parse(text) if ":" in text else _v4_parse(text)


def ip_text(ip):
    """An IP address of 4 or 16 bytes in text; IPv6 as RFC 5952 has it."""
    if len(ip) == 4:
        return ".".join([str(part) for part in ip])
    if ip[:12] == _MAPPED:
        return "::ffff:" + ip_text(ip[12:])
    groups = [ip[i] << 8 | ip[i + 1] for i in range(0, 16, 2)]
    start, length = _longest_zeros(groups)
    if length < 2:
        return _hex_groups(groups)
    return _hex_groups(groups[:start]) + "::" + _hex_groups(groups[start + length:])


def parse(text):
    """An endpoint from "ip/port", "ipv4:port" or "[ipv6]:port". Raises ValueError."""
    if "/" in text:
        ip, port = _halves(text, "/")
    elif text[:1] == "[":
        ip, port = _halves(text[1:], "]:")
        if ":" not in ip:
            raise ValueError("brackets are for IPv6: " + text)
    else:
        ip, port = _halves(text, ":")
    return ip_parse(ip) + _decimal(port, 65535).to_bytes(2, "big")


def text(endpoint):
    """An endpoint as "ip/port", the form that zerotier-one's files use."""
    return f"{ip_text(endpoint[:-2])}/{endpoint[-2] << 8 | endpoint[-1]}"


def encode(endpoint):
    """Wire form of an endpoint, or of None: 1, 7 or 19 bytes (spec/packet.md 9)."""
    if endpoint is None:
        return b"\x00"
    return (b"\x04" if len(endpoint) == 6 else b"\x06") + endpoint


def decode(buf, off, end):
    """Read a wire form from buf[off:end]: (endpoint or None, length in bytes).

    None stands for "no address" and for the reserved kinds, which are skipped. Raises ValueError
    when it is cut short or of an unknown kind.
    """
    if off >= end:
        raise ValueError("address cut short")
    kind = buf[off]
    if kind == 0:
        return None, 1
    if kind == _V4 or kind == _ETHERNET or kind == _BLUETOOTH:
        length = 7
    elif kind == _V6:
        length = 19
    elif kind == _OTHER and end - off >= 3:
        length = 3 + (buf[off + 1] << 8 | buf[off + 2])
    else:
        raise ValueError("address of an unknown kind")
    if end - off < length:
        raise ValueError("address cut short")
    if kind == _V4 or kind == _V6:
        return bytes(buf[off + 1:off + length]), length
    return None, length


def scope(ip):
    """The scope of an IP address of 4 or 16 bytes, one of the constants above."""
    return _v4_scope(ip) if len(ip) == 4 else _v6_scope(ip)


def usable_for_path(ip):
    """Whether a path may lead to this IP address (spec/peers-and-paths.md 3)."""
    reach = scope(ip)
    if reach in (NONE, MULTICAST, LOOPBACK, LINK_LOCAL):
        return False
    return len(ip) == 4 or ip[:4] != _TUNNEL_BROKER


def _v4_scope(ip):
    a, b = ip[0], ip[1]
    if a == 0 or a == 255:
        return NONE
    if a == 127:
        return LOOPBACK
    if a == 169 and b == 254:
        return LINK_LOCAL
    if a >= 224:
        return MULTICAST if a < 240 else PSEUDOPRIVATE
    if a in _UNROUTED:
        return PSEUDOPRIVATE
    if a == 10 or a == 100 and b & 0xC0 == 64 or a == 172 and b & 0xF0 == 16:
        return PRIVATE
    if a == 198 and b & 0xFE == 18 or ip[:2] in _PRIVATE_PREFIXES or ip[:3] in _PRIVATE_PREFIXES:
        return PRIVATE
    return GLOBAL


def _v6_scope(ip):
    a, b = ip[0], ip[1]
    if a == 0xFF:
        return MULTICAST
    if a == 0xFE and b & 0xC0 == 0x80:
        # fe80::1 is every machine's own loopback interface on some systems
        own = b == 0x80 and ip[2:12] == _ZEROS[2:] and ip[12:] == b"\x00\x00\x00\x01"
        return LOOPBACK if own else LINK_LOCAL
    if a & 0xFE == 0xFC:
        return PRIVATE
    if ip[:12] == _ZEROS and ip[12:15] == b"\x00\x00\x00" and ip[15] < 2:
        return LOOPBACK if ip[15] else NONE
    if ip[:12] == _MAPPED and ip[12] == 127:
        return LOOPBACK
    return GLOBAL


def _v4_parse(text):
    parts = text.split(".")
    if len(parts) != 4:
        raise ValueError("not an IP address: " + text)
    return bytes([_decimal(part, 255) for part in parts])


def _v6_parse(text):
    halves = text.split("::")
    if len(halves) > 2:
        raise ValueError("not an IPv6 address: " + text)
    head = _v6_groups(halves[0], len(halves) == 1)
    if len(halves) == 1:
        ip = head
    else:
        tail = _v6_groups(halves[1], True)
        if len(head) + len(tail) > 14:
            raise ValueError("not an IPv6 address: " + text)
        ip = head + bytes(16 - len(head) - len(tail)) + tail
    if len(ip) != 16:
        raise ValueError("not an IPv6 address: " + text)
    return ip


def _v6_groups(text, last):
    """Bytes of groups between colons; the last group of an address may be an IPv4 address."""
    if not text:
        return b""
    groups = text.split(":")
    out = b""
    for i, group in enumerate(groups):
        if last and "." in group and i == len(groups) - 1:
            out += _v4_parse(group)
        else:
            out += _number(group, 16, 4, 65535).to_bytes(2, "big")
    return out


def _decimal(text, most):
    if len(text) > 1 and text[0] == "0":
        raise ValueError("number with a leading zero: " + text)
    return _number(text, 10, 5, most)


def _number(text, base, digits, most):
    # int() also takes signs, underscores, blanks and other scripts' digits
    if not 0 < len(text) <= digits or not all([c in "0123456789abcdefABCDEF" for c in text]):
        raise ValueError("not a number: " + text)
    value = int(text, base)
    if value > most:
        raise ValueError("number too large: " + text)
    return value


def _halves(text, separator):
    halves = text.split(separator)
    if len(halves) != 2:
        raise ValueError("not an address and port: " + text)
    return halves


def _longest_zeros(groups):
    start = length = run = 0
    for i, group in enumerate(groups):
        run = 0 if group else run + 1
        if run > length:
            start, length = i + 1 - run, run
    return start, length


def _hex_groups(groups):
    return ":".join([f"{group:x}" for group in groups])
