"""Sockets on the platform's network, until something puts them on a virtual one."""

import socket
import struct
import time

from . import addresses, line, names, streams
from .datagrams import open_datagrams
from .ends import keep, platform

_REMEMBERED_S = 1           # how long an answer of the node is believed,
_REMEMBERED = 256           # and how many are


class Outside:
    """The methods of METHODS that decide; the others are the platform's own."""

    def __init__(self):
        self._elsewhere = {}        # addresses of the platform's network, until when

    def bind(self, sock, address):
        ip = _ip(sock, address)
        if ip is None:
            return platform.bind(sock, address)
        udp = sock.type == socket.SOCK_DGRAM
        if not any(ip):
            platform.bind(sock, address)
            if udp:
                open_datagrams(sock, platform.getsockname(sock), both=True)
        elif not self._leads(ip) or "port" not in (answer := line.ask(
                "bind", ip=ip.hex(), port=address[1])[0]):
            platform.bind(sock, address)
        elif udp:
            open_datagrams(sock, address, both=False)
        else:
            keep(sock, streams.Bound(None, addresses.sockaddr(sock.family, ip, answer["port"])))

    def listen(self, sock, backlog=socket.SOMAXCONN):
        platform.listen(sock, backlog)
        if addresses.is_inet(sock):
            local = platform.getsockname(sock)
            if not any(addresses.parse(local[0])):
                streams.listen(sock, local, backlog, both=True)

    def connect(self, sock, address):
        ip = _ip(sock, address)
        if ip is None:
            return platform.connect(sock, address)
        numeric = (addresses.text(ip), *address[1:])
        if not self._may_leave(sock):
            return platform.connect(sock, numeric)
        if sock.type == socket.SOCK_STREAM:
            if not streams.connect(sock, numeric):
                platform.connect(sock, address)
        elif self._leads(ip):
            self._enter(sock).connect(sock, numeric)
        else:
            platform.connect(sock, address)

    def connect_ex(self, sock, address):
        if _ip(sock, address) is None:
            return platform.connect_ex(sock, address)
        return streams.code(self.connect, sock, address)

    def sendto(self, sock, data, *rest):
        end = self._entering(sock, rest[-1])
        return (end or platform).sendto(sock, data, *rest)

    def sendmsg(self, sock, buffers, ancillary=(), flags=0, address=None):
        end = None if address is None else self._entering(sock, address)
        return (end or platform).sendmsg(sock, buffers, ancillary, flags, address)

    def setsockopt(self, sock, level, option, value, *size):
        # To join a group by an address of ours puts a socket on the virtual network.
        if (level, option) == (socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP) and len(value) >= 8:
            interface = struct.unpack_from("4s", value, 4)[0]
            if any(interface) and "port" in line.ask("bind", ip=interface.hex(), port=0)[0]:
                return self._enter(sock).setsockopt(sock, level, option, value)
        return platform.setsockopt(sock, level, option, value, *size)

    def _entering(self, sock, address):
        """The end of a UDP socket for which a datagram to `address` is reason to have one."""
        ip = _ip(sock, address)
        if ip is None or sock.type != socket.SOCK_DGRAM or not self._leads(ip):
            return None
        return self._enter(sock) if self._may_leave(sock) else None

    def _enter(self, sock):
        return open_datagrams(sock, platform.getsockname(sock), both=True)

    def _may_leave(self, sock):
        """Is a socket not bound to an address of the platform?"""
        return not any(addresses.parse(platform.getsockname(sock)[0]))

    def _leads(self, ip):
        if addresses.is_local(ip) or addresses.is_group(ip) or not any(ip):
            return False
        now = time.monotonic()
        if self._elsewhere.get(ip, 0) > now:
            return False
        if line.ask("leads", ip=ip.hex())[0]["overlay"]:
            return True
        if len(self._elsewhere) >= _REMEMBERED:
            self._elsewhere.clear()
        self._elsewhere[ip] = now + _REMEMBERED_S
        return False


def _ip(sock, address):
    """The IP address (bytes) that is meant, or None where only the platform can tell."""
    if not addresses.is_inet(sock) or not isinstance(address, tuple) or len(address) < 2:
        return None
    host = address[0]
    if host == "":
        return bytes(4 if sock.family == socket.AF_INET else 16)
    ip = addresses.parse(host)
    if ip is None:
        ip = addresses.parse((names.lookup(host, sock.family) or [None])[0])
    return ip


outside = Outside()
