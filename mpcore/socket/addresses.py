"""Addresses as MicroPython's sockets take them and give them, and names.

A function that takes an address takes a tuple (host, port, ...), or what the platform's own
getaddrinfo gives, which on MicroPython's unix port is a sockaddr in bytes.
"""

from errno import EINVAL

from micropython import const

from mpcore import port as platform
from mpcore.ip.errors import failure
from mpcore.runtime import current
from mpcore.runtimes import active
from mpcore.socket.constants import AF_INET, AF_INET6, SOCK_STREAM
from mpcore.vl1.inet import ip_parse, ip_text

_UNKNOWN_NAME = const(-2)
_ANY = {AF_INET: "0.0.0.0", AF_INET6: "::"}


def split(address):
    """(host, port) of an address. Raises TypeError, ValueError for what is none."""
    if isinstance(address, (tuple, list)):
        return address[0], address[1]
    endpoint = platform.to_endpoint(address)
    return ip_text(endpoint[:-2]), endpoint[-2] << 8 | endpoint[-1]


def join(ip, port):
    """The address that a program sees: (host, port), of IPv6 (host, port, 0, 0)."""
    return (ip_text(ip), port) if len(ip) == 4 else (ip_text(ip), port, 0, 0)


def numeric(host):
    """The 4 or 16 bytes of an address in text, or None when `host` is a name."""
    try:
        return ip_parse(host)
    except ValueError:
        return None


def local(host):
    """The address to bind to: None for any. Raises OSError -2 for a name."""
    if not host:
        return None
    ip = numeric(host)
    if ip is None:
        raise OSError(_UNKNOWN_NAME, "not an address of ours: " + host)
    return ip if any(ip) else None


def lookup(runtime, host, size=0):
    """The addresses of a host, numeric or a name of a virtual network; size: 4, 16 or 0 (both).

    runtime: None for current(). Drives the node while it waits. Raises OSError -2 when there is
    none, -3 without an answer.
    """
    ip = numeric(host)
    if ip is None:
        if runtime is None and not active():
            raise OSError(_UNKNOWN_NAME, host)
        from mpcore import dns      # costs nothing until the first name comes
        return dns.lookup(runtime or current(), host, size)
    if size not in (0, len(ip)):
        raise OSError(_UNKNOWN_NAME, host)
    return [ip]


def info(resolve, host, port, af, type, proto):
    """What getaddrinfo() returns; resolve(host, size) gives the addresses."""
    host = host or _ANY.get(af, "0.0.0.0")
    found = []
    for ip in resolve(host, 4 if af == AF_INET else 16 if af == AF_INET6 else 0):
        family = AF_INET if len(ip) == 4 else AF_INET6
        found.append((family, type or SOCK_STREAM, proto, "", join(ip, int(port))))
    return found


def inet_pton(af, text):
    """The 4 or 16 bytes of an IP address. Raises OSError EINVAL for a malformed one."""
    ip = numeric(text)
    if ip is None or len(ip) != (4 if af == AF_INET else 16):
        raise failure(EINVAL)
    return ip


def inet_ntop(af, ip):
    """The text of an IP address of 4 or 16 bytes. Raises OSError EINVAL for another length."""
    if len(ip) != (4 if af == AF_INET else 16):
        raise failure(EINVAL)
    return ip_text(bytes(ip))


def inet_aton(text):
    """The 4 bytes of an IPv4 address. Raises OSError EINVAL for a malformed one."""
    return inet_pton(AF_INET, text)


def inet_ntoa(ip):
    """The text of an IPv4 address of 4 bytes. Raises OSError EINVAL for another length."""
    return inet_ntop(AF_INET, ip)
