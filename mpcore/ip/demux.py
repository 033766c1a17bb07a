"""Who a TCP segment is for: a connection, a listener, or nobody, who answers with a RST."""

from array import array
import hashlib

import micropython
from micropython import const

from mpcore.ip import errors
from mpcore.ip.headers import pseudo, tcp_read, tcp_write
from mpcore.ip.states import SYN_SENT, TIME_WAIT
from mpcore.limits import (TCP_BACKLOG, TCP_HALF_OPEN, TCP_RECEIVE_RING, TCP_SEND_RING,
                           TCP_SOCKETS, TCP_TIME_WAITS)

PROTOCOL = const(6)
_FIN = const(0x01)
_SYN = const(0x02)
_RST = const(0x04)
_ACK = const(0x10)
_HEADER = const(20)
_TTL = const(64)


class Tcp:
    """All TCP sockets of a stack. Connections are found by source, destination and ports.

    send_ring, receive_ring: what a new socket begins with. max_sockets, max_backlog,
    max_half_open, max_time_waits: limits that a host may raise (see limits.py).
    """

    def __init__(self, stack):
        self._stack = stack
        self.send_ring = TCP_SEND_RING
        self.receive_ring = TCP_RECEIVE_RING
        self.max_sockets = TCP_SOCKETS
        self.max_backlog = TCP_BACKLOG
        self.max_half_open = TCP_HALF_OPEN
        self.max_time_waits = TCP_TIME_WAITS
        self.connections = {}
        self.listeners = {}
        self.half_open = {}
        self.time_waits = []
        self.owing = []                # connections that owe an ACK at the next poll
        self._cookies = None            # Cookies, once there were too many half-open connections
        self._secret = stack.entropy(16)
        self.out = array("i", [0] * 4)     # what the kernels tell of a segment

    def receive(self, now, interface, unicast, buf, addresses, size, off, n):
        """One segment; source and destination are at buf[addresses:addresses + 2 * size]."""
        if n < _HEADER or not unicast:
            return self._stack.count("tcp_malformed" if unicast else "tcp_broadcast")
        end = addresses + 2 * size
        if off == end:
            key = bytes(buf[addresses:off + 4])
        else:
            key = bytes(buf[addresses:end]) + bytes(buf[off:off + 4])
        out = self.out
        socket = self.connections.get(key)
        if socket is None:
            return self._stranger(now, interface, key, size, buf, off, n)
        if size == 4 and interface.flow is not socket:
            if interface.flow is not None:
                interface.flow.acknowledge(now)
            interface.flow = socket
        header = tcp_read(socket.wire, buf, off, n, socket.snd_una, socket.rcv_nxt, out)
        if header <= 0:
            return self._stack.count("tcp_checksum" if header else "tcp_malformed")
        if socket.state == TIME_WAIT and out[2] & (_SYN | _RST | _ACK) == _SYN and out[0] > 0:
            # A new connection of the same addresses (RFC 9293 3.10.7.4).
            socket.finish(0)
            return self._stranger(now, interface, key, size, buf, off, n)
        socket.receive(now, socket.rcv_nxt + out[0], socket.snd_una + out[1], out[2], out[3],
                       buf, off, header, n)

    def unreachable(self, now, error, source, destination, buf, off):
        """An ICMP error quotes a segment of ours, whose first 8 bytes are at buf[off:]. Only an
        attempt to connect fails by it (RFC 5927)."""
        socket = self._quoted(source, destination, buf, off)
        if socket is not None and socket.state == SYN_SENT:
            if int.from_bytes(bytes(buf[off + 4:off + 8]), "big") == socket.wire[0]:
                socket.finish(error)

    def too_big(self, now, mtu, source, destination, buf, off):
        """The path takes packets of `mtu` bytes, as an ICMP error says that quotes a segment of
        ours, whose first 8 bytes are at buf[off:]; believed if that is in flight (RFC 5927)."""
        socket = self._quoted(source, destination, buf, off)
        if socket is not None:
            seq = int.from_bytes(bytes(buf[off + 4:off + 8]), "big") - socket.wire[0]
            socket.fit_path(now, seq & 0xFFFFFFFF, mtu)

    def neighbour_unreachable(self, now, interface, ip):
        """Nobody answers for `ip` on the link: what is just connecting through it fails."""
        for socket in list(self.connections.values()):
            if socket.state == SYN_SENT and socket.leads_to(interface, ip):
                socket.finish(errors.EHOSTUNREACH)

    @micropython.native
    def owe(self, now, socket):
        """A connection owes an ACK, unless a segment carries it before the next poll."""
        if not socket.owing:
            socket.owing = True
            self.owing.append(socket)
            self._stack.wake(now)

    def acknowledge(self, now):
        """Send the ACKs that are owed."""
        for interface in self._stack.interfaces:
            if interface.flow is not None:
                interface.flow.acknowledge(now)
        if self.owing:
            owing, self.owing = self.owing, []
            for socket in owing:
                socket.owing = False
                socket.acknowledge(now)

    def routes_changed(self):
        """The stack's addresses, routes or MTUs are others."""
        for socket in self.connections.values():
            socket.fit_route()

    def poll(self, now):
        """Run the timers that are due and schedule the others."""
        for socket in list(self.connections.values()):
            socket.poll(now)
        for record in list(self.half_open.values()):
            record.poll(now)

    def initial_sequence(self, now, key):
        """RFC 6528: a clock of 4 us ticks plus a keyed hash of the connection's addresses."""
        digest = hashlib.sha256(self._secret + key).digest()
        return int.from_bytes(digest[:4], "big") + now * 250 & 0xFFFFFFFF

    def free_port(self):
        """A port that neither a listener nor a connection uses."""
        used = set(socket.local[1] for socket in self.connections.values())
        used.update(self.listeners)
        return self._stack.ephemeral(used)

    def full(self):
        """At the limit of sockets? Connections in TIME_WAIT do not count: see make_room()."""
        return len(self.connections) - len(self.time_waits) >= self.max_sockets

    def make_room(self):
        """For one more socket the oldest connection in TIME_WAIT may have to go."""
        if len(self.connections) >= self.max_sockets:
            self.time_waits[0].finish(0)

    def linger(self, socket):
        """A connection enters TIME_WAIT; the oldest one leaves it when there are too many."""
        if len(self.time_waits) >= self.max_time_waits:
            self._stack.count("tcp_time_wait_evicted")
            self.time_waits[0].finish(0)
        self.time_waits.append(socket)

    def add_listener(self, socket):
        ip, port = socket.local
        sockets = self.listeners.setdefault(port, [])
        sockets.insert(0 if ip else len(sockets), socket)

    def remove_listener(self, now, socket):
        """Forget a listener; those who are just connecting to it are told by a RST."""
        port = socket.local[1]
        self.listeners[port].remove(socket)
        if not self.listeners[port]:
            del self.listeners[port]
        for key, record in list(self.half_open.items()):
            if record.listener is socket:
                record.refuse(now)
                record.end()

    def bound(self, ip, port):
        """Does a listener have this address?"""
        return any(socket.local[0] == ip for socket in self.listeners.get(port, ()))

    def has_room(self, listener):
        """May a handshake with this listener be completed?"""
        if listener.has_room() and not self.full():
            return True
        self._stack.count("tcp_backlog")
        return False

    def send(self, now, local, remote, wire, seq, ack, flags, window=0, extra=b"", ttl=_TTL):
        """Send a segment without data for who has no socket. local, remote: (ip, port); ack is
        counted from wire[1]; extra: its options."""
        stack = self._stack
        route = stack.route(remote[0], local[0])
        if route is not None:
            at = route.interface.start + route.family.HEADER
            n = _HEADER + len(extra)
            stack.buffer[at + _HEADER:at + n] = extra
            tcp_write(wire, stack.buffer, at, n, seq, ack, n << 10 | flags, window)
            route.family.send(now, route, local[0], remote[0], PROTOCOL, n, ttl)

    def _quoted(self, source, destination, buf, off):
        """The connection whose segment an ICMP error quotes, or None."""
        ports = bytes(buf[off:off + 4])
        return self.connections.get(destination + source + ports[2:] + ports[:2])

    def _stranger(self, now, interface, key, size, buf, off, n):
        """A segment of no known connection: it completes a handshake, or begins one with a
        listener, or is answered by a RST."""
        stack = self._stack
        record = self.half_open.get(key)
        if record is not None:
            return record.receive(now, buf, off, n)
        local = key[size:2 * size], buf[off + 2] << 8 | buf[off + 3]
        remote = key[:size], buf[off] << 8 | buf[off + 1]
        if stack.forged(remote[0]):
            return
        wire = array("I", (0, 0, local[1], remote[1], pseudo(local[0], remote[0], PROTOCOL)))
        out = self.out
        header = tcp_read(wire, buf, off, n, 0, 0, out)
        if header <= 0:
            return stack.count("tcp_checksum" if header else "tcp_malformed")
        seq, ack, flags = out[0], out[1], out[2]
        if flags & _RST:
            return
        listener = self._listener(*local)
        if flags & _ACK:
            if (listener is not None and not flags & _SYN and self._cookies is not None
                    and listener.admit is None
                    and self._cookies.receive(now, key, listener, local, remote, wire, seq, ack,
                                              out[3], buf, off, n)):
                return
            stack.count("tcp_no_connection")
            self.send(now, local, remote, wire, ack, 0, _RST)
        elif listener is None:
            stack.count("tcp_closed_port")
            length = n - header + (flags & _SYN) // _SYN + (flags & _FIN)
            self.send(now, local, remote, wire, 0, seq + length, _RST | _ACK)
        elif not flags & _SYN:
            stack.count("tcp_stray")
        elif self.has_room(listener):
            wire[1] = seq & 0xFFFFFFFF
            from mpcore.ip import options

            offer = options.read_offer(buf, off + _HEADER, off + header, out[3])
            full = len(self.half_open) >= self.max_half_open
            if listener.admit is not None:
                if full or not self._admitted(now, interface, listener, local[0], remote[0]):
                    return stack.count("tcp_not_admitted")
            elif full:
                return self._send_cookie(now, key, listener, local, remote, wire, offer)
            wire[0] = self.initial_sequence(now, key)
            from mpcore.ip.half_open import HalfOpen    # a client alone has none

            record = HalfOpen(stack, key, listener, local, remote, wire, offer)
            self.half_open[key] = record
            if listener.admit is None:
                record.answer(now)
            else:
                record.pinned = interface
                record.answer_soon(now)

    def _admitted(self, now, interface, listener, local_ip, ip):
        """Does a listener with admit() want this neighbour? Its address is then pinned to the MAC
        that the SYN came from: a host behind a router has no MAC here, and is not admitted."""
        route = self._stack.route(ip, local_ip)
        mac = interface.sender
        return (route is not None and route.interface is interface and route.next_hop == ip
                and not route.local and listener.admit(ip, mac) and interface.pin(now, ip, mac))

    def _send_cookie(self, now, key, listener, local, remote, wire, offer):
        if self._cookies is None:
            from mpcore.ip.syn_cookies import Cookies

            self._cookies = Cookies(self._stack)
        self._stack.count("tcp_syn_cookie")
        self._cookies.answer(now, key, listener, local, remote, wire, offer)

    def _listener(self, ip, port):
        for socket in self.listeners.get(port, ()):
            if socket.local[0] is None or socket.local[0] == ip:
                return socket
        return None
