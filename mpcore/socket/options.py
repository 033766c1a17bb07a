"""What setsockopt() and getsockopt() do to a TcpSocket or a UdpSocket of mpcore.ip."""

from errno import EINVAL, ENODEV
import struct

from micropython import const

from mpcore.ip.errors import failure
from mpcore.socket.constants import (
    IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP, IP_MULTICAST_LOOP, IP_MULTICAST_TTL, IP_TTL, IPPROTO_IP,
    IPPROTO_IPV6, IPPROTO_TCP, IPV6_JOIN_GROUP, IPV6_LEAVE_GROUP, IPV6_V6ONLY, SO_BINDTODEVICE,
    SO_BROADCAST, SO_ERROR, SO_KEEPALIVE, SO_LINGER, SO_RCVBUF, SO_REUSEADDR, SO_SNDBUF, SO_TYPE,
    SOL_SOCKET, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_NODELAY)

ENOPROTOOPT = const(92)
_SMALLEST_RING = const(1024)

# Attributes of a socket that an option sets to a number: (level, option) -> (name, kinds).
_TCP = const(1)
_UDP = const(2)
_NUMBERS = {
    (SOL_SOCKET, SO_BROADCAST): ("broadcast", _UDP),
    (SOL_SOCKET, SO_REUSEADDR): ("reuse", _UDP),
    (IPPROTO_TCP, TCP_NODELAY): ("nodelay", _TCP),
    (IPPROTO_IP, IP_TTL): ("ttl", _TCP | _UDP),
    (IPPROTO_IP, IP_MULTICAST_TTL): ("multicast_ttl", _UDP),
    (IPPROTO_IP, IP_MULTICAST_LOOP): ("multicast_loop", _UDP),
}
_RINGS = {SO_SNDBUF: "send_ring", SO_RCVBUF: "receive_ring"}
_KEEP_ALIVE = {(SOL_SOCKET, SO_KEEPALIVE): 0, (IPPROTO_TCP, TCP_KEEPIDLE): 1,
               (IPPROTO_TCP, TCP_KEEPINTVL): 2, (IPPROTO_TCP, TCP_KEEPCNT): 3}
_ACCEPTED = ((SOL_SOCKET, SO_REUSEADDR), (IPPROTO_IPV6, IPV6_V6ONLY))
_GROUPS = {(IPPROTO_IP, IP_ADD_MEMBERSHIP): (True, 4),
           (IPPROTO_IP, IP_DROP_MEMBERSHIP): (False, 4),
           (IPPROTO_IPV6, IPV6_JOIN_GROUP): (True, 16),
           (IPPROTO_IPV6, IPV6_LEAVE_GROUP): (False, 16)}


class Options:
    """The options of one socket, which have to be known when an option after them is set."""

    def __init__(self, is_tcp):
        self.kind = _TCP if is_tcp else _UDP
        self.keep_alive = [0, 7200, 75, 9]      # on, idle s, interval s, count
        self.source = None                      # our address on the network that was chosen

    def set(self, now, node, ip, level, option, value):
        """Set an option of `ip`, a socket of `node`. value: an int, or bytes of C's int or struct;
        of SO_BINDTODEVICE the ID of a network.

        Raises OSError: ENOPROTOOPT for an unknown option, EINVAL for an impossible value, ENODEV
        for a network that is not joined, and what joining a group raises.
        """
        key = level, option
        attribute, kinds = _NUMBERS.get(key, (None, 0))
        if kinds & self.kind:
            value = number(value)
            if not attribute.endswith("ttl"):
                value = bool(value)
            elif not 0 < value < 256:
                raise failure(EINVAL)
            setattr(ip, attribute, value)
        elif key in _KEEP_ALIVE and self.kind == _TCP:
            self.keep_alive[_KEEP_ALIVE[key]] = number(value)
            on, idle, interval, count = self.keep_alive
            ip.keep_alive(now, idle * 1000 if on else None, interval * 1000, count)
        elif key in _GROUPS and self.kind == _UDP:
            _change_group(now, ip, value, *_GROUPS[key])
        elif level == SOL_SOCKET and option in _RINGS and self.kind == _TCP:
            setattr(ip, _RINGS[option], max(number(value), _SMALLEST_RING))
        elif key == (SOL_SOCKET, SO_LINGER) and self.kind == _TCP:
            on, seconds = _struct("ii", value)
            ip.linger_ms = seconds * 1000 if on else None
        elif key == (SOL_SOCKET, SO_BINDTODEVICE):
            self.source = _address_on(node, value)
        elif key not in _ACCEPTED and not (level == SOL_SOCKET and option in _RINGS):
            raise failure(ENOPROTOOPT)

    def get(self, ip, level, option):
        """The value of an option as an int. SO_ERROR is cleared by this. Raises ENOPROTOOPT."""
        key = level, option
        attribute, kinds = _NUMBERS.get(key, (None, 0))
        if kinds & self.kind:
            return int(getattr(ip, attribute))
        if key in _KEEP_ALIVE and self.kind == _TCP:
            return self.keep_alive[_KEEP_ALIVE[key]]
        if level == SOL_SOCKET and option in _RINGS and self.kind == _TCP:
            return getattr(ip, _RINGS[option])
        if key in _ACCEPTED:
            return 1
        raise failure(ENOPROTOOPT)


def number(value):
    """The int that an option's value is or holds."""
    return value if isinstance(value, int) else _struct("i", value)[0]


def _change_group(now, ip, value, join, size):
    if len(value) < size + 4:
        raise failure(EINVAL)
    own = None                  # of IPv6 the number of an interface follows: any of ours
    if size == 4 and any(value[4:8]):
        own = bytes(value[4:8])
    (ip.join if join else ip.leave)(now, bytes(value[:size]), own)


def _address_on(node, name):
    """Our address on a joined network, named by its ID (16 digits)."""
    if not isinstance(name, str):
        name = bytes(name).rstrip(b"\0").decode()
    for nwid, interface in node.interfaces.items():
        if nwid.hex() == name and interface.addresses:
            return interface.own if any(interface.own) else sorted(interface.addresses)[0]
    raise failure(ENODEV)


def _struct(form, value):
    if len(value) < struct.calcsize(form):
        raise failure(EINVAL)
    return struct.unpack_from(form, value)
