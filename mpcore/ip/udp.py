"""UDP (RFC 768)."""

import struct

from micropython import const

from mpcore.ip import errors
from mpcore.ip.events import ERROR, READ, WRITE
from mpcore.ip.headers import add, pseudo
from mpcore.limits import (UDP_DATAGRAM, UDP_GROUPS, UDP_QUEUE, UDP_QUEUE_BYTES,
                           UDP_SOCKETS)

PROTOCOL = const(17)
_HEADER = const(8)
_TTL = const(64)


class Udp:
    """All UDP sockets of a stack, by their port.

    max_sockets, max_queue, max_queue_bytes: limits that a host may raise (see limits.py).
    """

    def __init__(self, stack):
        self._stack = stack
        self.max_sockets = UDP_SOCKETS
        self.max_queue = UDP_QUEUE
        self.max_queue_bytes = UDP_QUEUE_BYTES
        self.ports = {}
        self.sockets = 0
        self.header = bytearray(_HEADER)

    def receive(self, now, interface, unicast, buf, addresses, size, off, n):
        """One datagram; source and destination are at buf[addresses:addresses + 2 * size]."""
        count = self._stack.count
        if n < _HEADER:
            return count("udp_malformed")
        length = buf[off + 4] << 8 | buf[off + 5]
        if not _HEADER <= length <= n:
            return count("udp_malformed")
        if buf[off + 6] or buf[off + 7] or size == 16:
            if add(buf, off, length, add(buf, addresses, 2 * size, PROTOCOL + length)) != 0xFFFF:
                return count("udp_checksum")
        source = bytes(buf[addresses:addresses + size])
        if self._stack.forged(source):
            return
        destination = bytes(buf[addresses + size:addresses + 2 * size])
        port = buf[off] << 8 | buf[off + 1]
        family = self._stack.families[size]
        group = (interface, destination) if family.is_multicast(destination) else None
        delivered = False
        for socket in self.ports.get(buf[off + 2] << 8 | buf[off + 3], ()):
            if socket.takes(unicast, group, destination, source, port):
                socket.deliver(bytes(buf[off + _HEADER:off + length]), source, port)
                delivered = True
                if unicast:
                    return
        if not delivered:
            count("udp_closed_port")
            if unicast:
                family.icmp.port_unreachable(now, buf, addresses, size, off + n)

    def unreachable(self, now, error, source, destination, buf, off):
        """An ICMP error quotes a datagram of ours, whose header is at buf[off:off + 8]."""
        remote = (destination, buf[off + 2] << 8 | buf[off + 3])
        for socket in self.ports.get(buf[off] << 8 | buf[off + 1], ()):
            if socket.remote == remote:
                socket.fail(error)

    def neighbour_unreachable(self, now, interface, ip):
        """Nobody answers for `ip` on the link. UDP promises nothing: nothing to do."""

    def add(self, socket, ip, port):
        if self.sockets >= self.max_sockets:
            raise errors.failure(errors.ENOBUFS)
        if port == 0:
            port = self._stack.ephemeral(self.ports)
        sockets = self.ports.setdefault(port, [])
        for other in sockets:
            if other.local[0] == ip and not (socket.reuse and other.reuse):
                raise errors.failure(errors.EADDRINUSE)
        # Those bound to an address come first: a unicast datagram goes to the first that takes it.
        sockets.insert(0 if ip else len(sockets), socket)
        self.sockets += 1
        return port

    def remove(self, socket):
        port = socket.local[1]
        self.ports[port].remove(socket)
        if not self.ports[port]:
            del self.ports[port]
        self.sockets -= 1


class UdpSocket:
    """A UDP socket. on_event, if set, is called without arguments when events() may have changed.

    reuse: may another one that says so, too, have the same address and port? Then a datagram to
    us goes to one of them, one to a group to all of its members.

    broadcast: may it send to broadcast addresses? ttl: of packets to one host; multicast_ttl: of
    those to a group, which by default do not leave the network. multicast_loop: do members of the
    group on this host receive what it sends, too? max_queue, max_queue_bytes: datagrams that may
    wait to be read.

    An ICMP unreachable is reported to a connected socket only: once, as OSError by the next call.
    """

    def __init__(self, stack):
        self._stack = stack
        self.local = (None, 0)
        self.remote = None
        self.reuse = False
        self.broadcast = False
        self.ttl = _TTL
        self.multicast_ttl = 1
        self.multicast_loop = False
        self.max_queue = stack.udp.max_queue
        self.max_queue_bytes = stack.udp.max_queue_bytes
        self.error = 0
        self.dropped = 0
        self.on_event = None
        self._groups = []
        self._queue = []
        self._queued = 0

    def bind(self, ip, port):
        """Receive what is sent to `port` (0: choose a free one) at `ip` (None: any of ours).

        Raises OSError EINVAL when already bound, EADDRINUSE, ENOBUFS at the limit of sockets.
        """
        if self.local[1]:
            raise errors.failure(errors.EINVAL)
        self.local = (ip, self._stack.udp.add(self, ip, port))

    def connect(self, ip, port):
        """Fix the peer: only its datagrams are received and its unreachables are reported."""
        if not self.local[1]:
            self.bind(None, 0)
        self.remote = (ip, port)

    def join(self, now, group, ip=None):
        """Receive what others send to a multicast group (4 or 16 bytes).

        ip: our address on the link in question; None: the link by which the group is routed.
        Raises OSError: EINVAL when `group` is none, EHOSTUNREACH when there is no such link,
        EADDRINUSE when joined already, ENOBUFS at the limit of a socket's groups.
        """
        membership = self._membership(group, ip)
        if membership in self._groups:
            raise errors.failure(errors.EADDRINUSE)
        if len(self._groups) >= UDP_GROUPS:
            raise errors.failure(errors.ENOBUFS)
        membership[0].join(now, group)
        self._groups.append(membership)

    def leave(self, now, group, ip=None):
        """Undo join(). Raises OSError EINVAL when not joined."""
        membership = self._membership(group, ip)
        if membership not in self._groups:
            raise errors.failure(errors.EINVAL)
        self._groups.remove(membership)
        membership[0].leave(now, group)

    def sendto(self, now, data, ip, port):
        """Send one datagram; binds to a free port when not bound. Returns its length.

        A limited broadcast (255.255.255.255) goes out on every interface, or on that of the bound
        address. Raises OSError: EHOSTUNREACH without a route, EMSGSIZE above UDP_DATAGRAM bytes,
        EACCES for a broadcast unless `broadcast` is set, or a pending error.
        """
        self._raise_pending()
        if len(data) > UDP_DATAGRAM:
            raise errors.failure(errors.EMSGSIZE)
        if not self.local[1]:
            self.bind(None, 0)
        routes = self._stack.routes(ip, self.local[0])
        if not routes:
            raise errors.failure(errors.EHOSTUNREACH)
        for route in routes:
            if route.broadcast and not self.broadcast:
                raise errors.failure(errors.EACCES)
            self._send(now, route, memoryview(data), ip, port)
            if self.multicast_loop and ip in route.interface.groups:
                self._send(now, route.looped(), memoryview(data), ip, port)
        return len(data)

    def recvfrom(self, peek=False):
        """(data, ip, port) of the oldest datagram, or None; peek: it stays to be read again.

        Raises OSError for a pending error.
        """
        self._raise_pending()
        if not self._queue:
            return None
        if peek:
            return self._queue[0]
        received = self._queue.pop(0)
        self._queued -= len(received[0])
        return received

    def recvfrom_into(self, buf, peek=False):
        """Like recvfrom, into a buffer: (length, ip, port) or None; what does not fit is lost."""
        received = self.recvfrom(peek)
        if received is None:
            return None
        data, ip, port = received
        n = min(len(data), len(buf))
        memoryview(buf)[:n] = memoryview(data)[:n]
        return n, ip, port

    def events(self):
        """Mask of READ, WRITE, ERROR: what would not have to wait."""
        mask = WRITE
        if self._queue:
            mask |= READ
        if self.error:
            mask |= READ | ERROR
        return mask

    def close(self, now):
        """Give the port back; what was not read is lost. Closing twice is harmless."""
        if self.local[1]:
            self._stack.udp.remove(self)
            self.local = (None, 0)
        for interface, group in self._groups:
            interface.leave(now, group)
        self._groups = []
        self._queue = []
        self._queued = 0

    def takes(self, unicast, group, destination, source, port):
        """Is a datagram of these addresses for this socket? group: None, or the interface and the
        multicast group that it came to."""
        if self.remote is not None and self.remote != (source, port):
            return False
        if group is not None:
            return group in self._groups
        return not unicast or self.local[0] is None or self.local[0] == destination

    def deliver(self, data, ip, port):
        if (len(self._queue) >= self.max_queue
                or self._queued + len(data) > self.max_queue_bytes):
            self.dropped += 1
            return self._stack.count("udp_queue_full")
        self._queue.append((data, ip, port))
        self._queued += len(data)
        if self.on_event is not None:
            self.on_event()

    def fail(self, error):
        self.error = error
        if self.on_event is not None:
            self.on_event()

    def _send(self, now, route, data, ip, port):
        source = self.local[0] or route.source
        n = _HEADER + len(data)
        header = self._stack.udp.header
        struct.pack_into(">HHHH", header, 0, self.local[1], port, n, 0)
        total = add(header, 0, _HEADER, pseudo(source, ip, PROTOCOL) + n)
        # A sum of 0 would say "no checksum": it is sent as its other form.
        check = 0xFFFF - add(data, 0, len(data), total) or 0xFFFF
        struct.pack_into(">H", header, 6, check)
        ttl = self.multicast_ttl if route.family.is_multicast(ip) else self.ttl
        route.family.send_datagram(now, route, source, ip, PROTOCOL, header, data, ttl)

    def _membership(self, group, ip):
        family = self._stack.families.get(len(group))
        if family is not None and not family.is_multicast(group):
            raise errors.failure(errors.EINVAL)
        route = self._stack.route(group, ip)
        if route is None:
            raise errors.failure(errors.EHOSTUNREACH)
        return route.interface, group

    def _raise_pending(self):
        if self.error:
            error, self.error = self.error, 0
            raise errors.failure(error)
