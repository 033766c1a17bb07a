"""Names: those of a virtual network by its own DNS, the others by the platform."""

import _socket
import socket

from . import addresses, line

platform_getaddrinfo = socket.getaddrinfo
platform_gethostbyname = socket.gethostbyname


def lookup(host, family=0):
    """The addresses (text) that the virtual networks know under a name; [] when that is none of
    theirs. Raises gaierror for a name of theirs that nobody has."""
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str) or not host or addresses.parse(host) is not None:
        return []
    try:
        answer, _ = line.ask("resolve", name=host,
                             size={_socket.AF_INET: 4, _socket.AF_INET6: 16}.get(family, 0))
    except OSError as error:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from error
    return answer["ips"]


def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    """As socket.getaddrinfo, with the names of the virtual networks."""
    found = lookup(host, family)
    if not found:
        if host is not None and addresses.parse(host) is not None:
            # Whether the platform has an address of that family says nothing about our networks.
            flags &= ~socket.AI_ADDRCONFIG
        return platform_getaddrinfo(host, port, family, type, proto, flags)
    return [entry for ip in found for entry in
            platform_getaddrinfo(ip, port, family, type, proto, flags & ~socket.AI_ADDRCONFIG)]


def gethostbyname(host):
    """As socket.gethostbyname, with the names of the virtual networks."""
    found = lookup(host, _socket.AF_INET)
    return found[0] if found else platform_gethostbyname(host)
