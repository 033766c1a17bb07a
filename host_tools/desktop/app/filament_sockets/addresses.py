"""Addresses as applications write them, and as 4 or 16 bytes."""

import _socket

_MAPPED = bytes(10) + b"\xff\xff"       # IPv4 as seen by an IPv6 socket
_SIZES = {_socket.AF_INET: 4, _socket.AF_INET6: 16}


def parse(host):
    """The bytes of a numeric host (IPv4 mapped into IPv6: those of IPv4); None for a name."""
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str):
        return None
    if host == "<broadcast>":
        return b"\xff" * 4
    for family in _SIZES:
        try:
            ip = _socket.inet_pton(family, host.partition("%")[0])
        except (OSError, ValueError):
            continue
        return ip[12:] if ip[:12] == _MAPPED else ip
    return None


def text(ip):
    """An IP address as people write it."""
    return _socket.inet_ntop(_socket.AF_INET if len(ip) == 4 else _socket.AF_INET6, ip)


def sockaddr(family, ip, port):
    """What a socket of this family calls an address; any address is the family's own."""
    if not any(ip):
        ip = bytes(_SIZES[family])
    if family == _socket.AF_INET:
        return text(ip), port
    return text(_MAPPED + ip if len(ip) == 4 else ip), port, 0, 0


def is_inet(sock):
    """Is this a TCP or UDP socket?"""
    return sock.family in _SIZES and sock.type in (_socket.SOCK_STREAM, _socket.SOCK_DGRAM)


def is_local(ip):
    """Does an address never leave this machine?"""
    return ip[0] == 127 if len(ip) == 4 else ip == bytes(15) + b"\1"


def is_group(ip):
    """Is it multicast, or a broadcast to whoever hears it?"""
    return ip[0] == 0xFF if len(ip) == 16 else ip[0] & 0xF0 == 0xE0 or ip == b"\xff" * 4
