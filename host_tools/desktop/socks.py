"""The messages of SOCKS5 (RFC 1928) and of its logins by password (RFC 1929), without I/O.

Each parse_… takes the bytes that came so far and gives what the message says with its length, or
None when there must come more; it raises SocksError for what is no such message.
"""

import ipaddress
import struct

NO_LOGIN, PASSWORD, NO_METHOD = 0, 2, 0xFF
CONNECT, BIND, UDP_ASSOCIATE = 1, 2, 3
(SUCCEEDED, FAILED, NOT_ALLOWED, NETWORK_UNREACHABLE, HOST_UNREACHABLE, REFUSED, EXPIRED,
 NO_COMMAND, NO_ADDRESS_TYPE) = range(9)
LONGEST = 600               # no message of a client is longer
DATAGRAM_HEADER = 262       # nor the header of a datagram

_VERSION = 5
_LOGIN_VERSION = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_SIZES = {_IPV4: 4, _IPV6: 16}


class SocksError(ValueError):
    """Not SOCKS5; reply is what there is to answer, or None."""

    def __init__(self, message, reply=None):
        super().__init__(message)
        self.reply = reply


def parse_greeting(data):
    """(methods of login that the client knows, length)."""
    _expect(data, _VERSION)
    if len(data) < 2 or len(data) < 2 + data[1]:
        return None
    return bytes(data[2:2 + data[1]]), 2 + data[1]


def parse_login(data):
    """(user, password, length), both as bytes."""
    _expect(data, _LOGIN_VERSION)
    if len(data) < 2 or len(data) < 3 + data[1]:
        return None
    end = 2 + data[1]
    last = end + 1 + data[end]
    if len(data) < last:
        return None
    return bytes(data[2:end]), bytes(data[end + 1:last]), last


def parse_request(data):
    """(command, host as text: an IP address or a name, port, length)."""
    _expect(data, _VERSION)
    if len(data) < 4:
        return None
    address = _parse_address(data, 3)
    return address and (data[1], *address)


def parse_datagram(data):
    """(host, port, where the payload begins). Raises SocksError for a fragment too."""
    address = _parse_address(data, 3) if len(data) >= 4 else None
    if address is None or data[0] or data[1]:
        raise SocksError("not a datagram of SOCKS5")
    if data[2]:
        raise SocksError("a fragment")
    return address


def method(number):
    """The answer to a greeting."""
    return bytes([_VERSION, number])


def login(succeeded):
    """The answer to a login."""
    return bytes([_LOGIN_VERSION, 0 if succeeded else 1])


def reply(code, address=("0.0.0.0", 0)):
    """The answer to a request; address: (IP address as text, port) that it got."""
    return bytes([_VERSION, code, 0]) + _address(*address)


def datagram(address, data):
    """A datagram that came from `address`."""
    return bytes(3) + _address(*address) + data


def _expect(data, version):
    if data and data[0] != version:
        raise SocksError("not SOCKS5")


def _parse_address(data, at):
    kind = data[at]
    at += 1
    if kind == _NAME:
        if len(data) < at + 1:
            return None
        size = data[at]
        at += 1
    elif kind in _SIZES:
        size = _SIZES[kind]
    else:
        raise SocksError("an unknown kind of address", reply(NO_ADDRESS_TYPE))
    end = at + size
    if len(data) < end + 2:
        return None
    raw = bytes(data[at:end])
    if kind == _NAME:
        try:
            host = raw.decode("ascii")
        except UnicodeDecodeError:
            host = ""
        if not host or not host.isprintable():
            raise SocksError("not a name", reply(HOST_UNREACHABLE))
    else:
        host = str(ipaddress.ip_address(raw))
    return host, struct.unpack_from("!H", data, end)[0], end + 2


def _address(host, port):
    ip = ipaddress.ip_address(host)
    kind = _IPV4 if ip.version == 4 else _IPV6
    return bytes([kind]) + ip.packed + struct.pack("!H", port)
