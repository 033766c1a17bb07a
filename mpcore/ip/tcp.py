"""TCP sockets (RFC 9293): the application's calls, listening, and who a segment is for.

What a connection does with segments and time is in connection.py; its states have their names
here too.
"""

from array import array
import hashlib

from micropython import const

from mpcore.ip import errors
from mpcore.ip.connection import (
    CLOSE_WAIT, CLOSED, CLOSING, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, LAST_ACK, LISTEN, PROTOCOL,
    SYN_RECEIVED, SYN_SENT, TIME_WAIT, Connection, mss_option)
from mpcore.ip.events import ERROR, HUP, READ, WRITE
from mpcore.ip.headers import pseudo, tcp_read, tcp_write
from mpcore.limits import TCP_BACKLOG, TCP_SOCKETS, TCP_TIME_WAITS

_FIN = const(0x01)
_SYN = const(0x02)
_RST = const(0x04)
_ACK = const(0x10)
_HEADER = const(20)
_HEADER_WORD = const(0x5000)
_CHALLENGES_PER_S = const(10)


class Tcp:
    """All TCP sockets of a stack. Connections are found by source, destination and ports."""

    def __init__(self, stack):
        self._stack = stack
        self.connections = {}
        self.listeners = {}
        self.time_waits = []
        self._secret = stack.entropy(16)
        self._out = array("i", [0] * 4)
        self._second = None
        self._challenges = 0

    def receive(self, now, interface, unicast, buf, addresses, size, off, n):
        """One segment; source and destination are at buf[addresses:addresses + 2 * size]."""
        if n < _HEADER or not unicast:
            return self._stack.count("tcp_malformed" if unicast else "tcp_broadcast")
        end = addresses + 2 * size
        if off == end:
            key = bytes(buf[addresses:off + 4])
        else:
            key = bytes(buf[addresses:end]) + bytes(buf[off:off + 4])
        out = self._out
        socket = self.connections.get(key)
        if socket is None:
            return self._stranger(now, key, size, buf, off, n)
        header = tcp_read(socket.wire, buf, off, n, socket.snd_una, socket.rcv_nxt, out)
        if header <= 0:
            return self._stack.count("tcp_checksum" if header else "tcp_malformed")
        socket.receive(now, socket.rcv_nxt + out[0], socket.snd_una + out[1], out[2], out[3],
                       buf, off, header, n)

    def unreachable(self, now, error, source, destination, buf, off):
        """An ICMP error quotes a segment of ours, whose first 8 bytes are at buf[off:]. Only an
        attempt to connect fails by it (RFC 5927)."""
        ports = bytes(buf[off:off + 4])
        socket = self.connections.get(destination + source + ports[2:] + ports[:2])
        if socket is not None and socket.state == SYN_SENT:
            if int.from_bytes(bytes(buf[off + 4:off + 8]), "big") == socket.wire[0]:
                socket.finish(error)

    def too_big(self, now, mtu, source, destination, buf, off):
        """The path takes packets of `mtu` bytes, as an ICMP error says that quotes a segment of
        ours, whose first 8 bytes are at buf[off:]; believed if that is in flight (RFC 5927)."""
        ports = bytes(buf[off:off + 4])
        socket = self.connections.get(destination + source + ports[2:] + ports[:2])
        if socket is not None:
            seq = int.from_bytes(bytes(buf[off + 4:off + 8]), "big") - socket.wire[0]
            socket.fit_path(now, seq & 0xFFFFFFFF, mtu)

    def neighbour_unreachable(self, now, interface, ip):
        """Nobody answers for `ip` on the link: what is just connecting through it fails."""
        for socket in list(self.connections.values()):
            if socket.state == SYN_SENT and socket.leads_to(interface, ip):
                socket.finish(errors.EHOSTUNREACH)

    def poll(self, now):
        """Run the timers that are due and schedule the others."""
        for socket in list(self.connections.values()):
            socket.poll(now)

    def challenge_allowed(self, now):
        """RFC 5961 7: ACKs that anybody could provoke are limited."""
        second = now // 1000
        if second != self._second:
            self._second = second
            self._challenges = 0
        self._challenges += 1
        return self._challenges <= _CHALLENGES_PER_S

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
        """At the limit of sockets? The oldest connection in TIME_WAIT makes room."""
        if len(self.connections) < TCP_SOCKETS:
            return False
        if self.time_waits:
            self.time_waits[0].finish(0)
            return False
        return True

    def linger(self, socket):
        """A connection enters TIME_WAIT; the oldest one leaves it when there are too many."""
        if len(self.time_waits) >= TCP_TIME_WAITS:
            self._stack.count("tcp_time_wait_evicted")
            self.time_waits[0].finish(0)
        self.time_waits.append(socket)

    def add_listener(self, socket):
        ip, port = socket.local
        sockets = self.listeners.setdefault(port, [])
        sockets.insert(0 if ip else len(sockets), socket)

    def remove_listener(self, socket):
        port = socket.local[1]
        self.listeners[port].remove(socket)
        if not self.listeners[port]:
            del self.listeners[port]

    def bound(self, ip, port):
        """Does a listener have this address?"""
        return any(socket.local[0] == ip for socket in self.listeners.get(port, ()))

    def _stranger(self, now, key, size, buf, off, n):
        """A segment of no known connection: a SYN for a listener, or answered by a RST."""
        stack = self._stack
        remote, local = key[:size], key[size:2 * size]
        local_port = buf[off + 2] << 8 | buf[off + 3]
        remote_port = buf[off] << 8 | buf[off + 1]
        wire = array("I", (0, 0, local_port, remote_port, pseudo(local, remote, PROTOCOL)))
        out = self._out
        header = tcp_read(wire, buf, off, n, 0, 0, out)
        if header <= 0:
            return stack.count("tcp_checksum" if header else "tcp_malformed")
        seq, ack, flags = out[0], out[1], out[2]
        if flags & _RST:
            return
        listener = self._listener(local, local_port)
        if flags & _ACK:
            stack.count("tcp_no_connection")
            self._reset(now, local, remote, wire, ack, 0, _RST)
        elif listener is None:
            stack.count("tcp_closed_port")
            length = n - header + (flags & _SYN) // _SYN + (flags & _FIN)
            self._reset(now, local, remote, wire, 0, seq + length, _RST | _ACK)
        elif not flags & _SYN:
            stack.count("tcp_stray")
        elif not listener.has_room() or self.full():
            stack.count("tcp_backlog")
        else:
            child = listener.child(now, key, (local, local_port), (remote, remote_port), wire)
            child.open_passive(now, listener, seq & 0xFFFFFFFF, out[3],
                               mss_option(buf, off, header))

    def _listener(self, ip, port):
        for socket in self.listeners.get(port, ()):
            if socket.local[0] is None or socket.local[0] == ip:
                return socket
        return None

    def _reset(self, now, local, remote, wire, seq, ack, flags):
        stack = self._stack
        route = stack.route(remote, local)
        if route is not None:
            tcp_write(wire, stack.buffer, route.interface.start + route.family.HEADER, _HEADER,
                      seq, ack, _HEADER_WORD | flags, 0)
            route.family.send(now, route, local, remote, PROTOCOL, _HEADER)


class TcpSocket(Connection):
    """A listener or one end of a connection.

    on_event, if set, is called without arguments when events() may have changed. error: 0, or
    the number that every later call raises as OSError. local, remote: (ip, port). give_up_ms,
    connect_ms, send_ring and receive_ring (bytes, the latter at most 65535) may be set before
    connect() or listen(); accepted sockets inherit them.
    """

    def __init__(self, stack):
        super().__init__(stack)
        self._backlog = 0
        self._opening = 0               # children of a listener before ESTABLISHED
        self._ready = []                # and after, until accept()

    def bind(self, ip, port):
        """Set the local address (ip None: any; port 0: chosen later).

        Raises OSError EINVAL when already bound or open, EADDRINUSE when a listener has it.
        """
        if self.state != CLOSED or self.local[1] or self.remote:
            raise errors.failure(errors.EINVAL)
        if port and self._stack.tcp.bound(ip, port):
            raise errors.failure(errors.EADDRINUSE)
        self.local = (ip, port)

    def listen(self, backlog):
        """Accept connections; `backlog` of them (at most TCP_BACKLOG) may wait for accept()."""
        if self.state != CLOSED or self.remote:
            raise errors.failure(errors.EINVAL)
        ip, port = self.local
        if self._stack.tcp.bound(ip, port):
            raise errors.failure(errors.EADDRINUSE)
        self.local = (ip, port or self._stack.tcp.free_port())
        self._backlog = min(max(backlog, 1), TCP_BACKLOG)
        self.state = LISTEN
        self._stack.tcp.add_listener(self)

    def accept(self):
        """The oldest established connection that waits, or None."""
        if self.state != LISTEN:
            raise errors.failure(errors.EINVAL)
        return self._ready.pop(0) if self._ready else None

    def connect(self, now, ip, port):
        """Begin to connect; WRITE in events() tells that it is done, ERROR that it failed.

        Raises OSError: EALREADY, EISCONN, EINVAL (closed), EHOSTUNREACH (no route), EADDRINUSE,
        ENOBUFS at the limit of sockets.
        """
        if self.state == SYN_SENT:
            raise errors.failure(errors.EALREADY)
        if self.state != CLOSED:
            raise errors.failure(errors.EISCONN)
        if self.remote or self._closed:
            raise errors.failure(errors.EINVAL)
        stack = self._stack
        route = stack.route(ip, self.local[0])
        if route is None or route.mac is not None:
            raise errors.failure(errors.EHOSTUNREACH)
        if stack.tcp.full():
            raise errors.failure(errors.ENOBUFS)
        local = (self.local[0] or route.source, self.local[1] or stack.tcp.free_port())
        key = _key(ip, local[0], port, local[1])
        if key in stack.tcp.connections:
            raise errors.failure(errors.EADDRINUSE)
        wire = array("I", (0, 0, local[1], port, pseudo(local[0], ip, PROTOCOL)))
        self.open(now, key, local, (ip, port), wire)
        self.open_active(now)

    def send(self, now, data):
        """Queue what there is room for and send what the windows allow; returns the bytes taken
        (0: wait for WRITE). Raises OSError: ENOTCONN, EPIPE after shutdown, or `error`."""
        self._raise_error()
        state = self.state
        if state != ESTABLISHED and state != CLOSE_WAIT:
            if state == SYN_SENT or state == SYN_RECEIVED:
                self._blocked = True
                return 0
            raise errors.failure(errors.EPIPE if self.remote else errors.ENOTCONN)
        ring = self._tx
        n = min(len(data), ring.size - ring.used)
        if n < len(data):
            self._blocked = True
        if n:
            ring.write(ring.used, memoryview(data), 0, n)
            ring.used += n
            if self._rtx_ms is None and now - self._sent_ms > self._trip.timeout_ms:
                self._congestion.idle()
            self._output(now)
        return n

    def recv_into(self, now, buf):
        """Read into `buf`: bytes read, 0 at the end of the stream, None when there is nothing yet.

        Raises OSError: ENOTCONN, or `error` once what was received before it has been read.
        """
        ring = self._rx
        if ring is None or not ring.used:
            return self._at_end()
        n = min(len(buf), ring.used)
        ring.read(0, memoryview(buf), 0, n)
        self._consume(now, n)
        return n

    def recv(self, now, n):
        """Like recv_into, but returns at most n bytes, b"" at the end of the stream."""
        ring = self._rx
        if ring is None or not ring.used:
            return None if self._at_end() is None else b""
        n = min(n, ring.used)
        data = bytearray(n)
        ring.read(0, data, 0, n)
        self._consume(now, n)
        return bytes(data)

    def shutdown_write(self, now):
        """Send no more: a FIN follows what is queued. Reading goes on."""
        self._raise_error()
        state = self.state
        if state < ESTABLISHED:
            raise errors.failure(errors.ENOTCONN)
        if state == ESTABLISHED or state == CLOSE_WAIT:
            self.end_writing(now)

    def close(self, now):
        """Be done with the socket: what is queued is still sent, then FIN. Data that was received
        and not read turns this into abort() (RFC 2525 2.17). Closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        self.on_event = None
        state = self.state
        if state == LISTEN:
            self._stack.tcp.remove_listener(self)
            self.state = CLOSED
            for child in list(self._stack.tcp.connections.values()):
                if child._parent is self or child in self._ready:
                    child.reset(now)
            self._ready = []
        elif state == SYN_SENT or state == SYN_RECEIVED:
            self.reset(now)
        elif ESTABLISHED <= state <= FIN_WAIT_2 and self._rx.used:
            self.reset(now)
        elif state == ESTABLISHED or state == CLOSE_WAIT:
            self.end_writing(now)
        elif state == FIN_WAIT_2:
            self.end_orphan(now)
        self._rx = None

    def abort(self, now):
        """Drop the connection at once; the peer is told by a RST."""
        if self.state == LISTEN:
            self.close(now)
        else:
            self.reset(now)

    def events(self):
        """Mask of READ, WRITE, ERROR, HUP: what would not have to wait."""
        state = self.state
        if state == LISTEN:
            return READ if self._ready else 0
        if state == CLOSED:
            return READ | WRITE | HUP | (ERROR if self.error else 0)
        mask = 0
        if self._ended or (self._rx is not None and self._rx.used):
            mask = READ
        if state == ESTABLISHED or state == CLOSE_WAIT:
            if self._tx.used < self._tx.size:
                mask |= WRITE
            else:
                self._blocked = True
        elif state >= CLOSING:
            mask |= HUP
        return mask

    # --- listening ---

    def has_room(self):
        """May this listener take another connection?"""
        return self._opening + len(self._ready) < self._backlog

    def child(self, now, key, local, remote, wire):
        """A connection with this listener's settings."""
        child = TcpSocket(self._stack)
        child.give_up_ms, child.connect_ms = self.give_up_ms, self.connect_ms
        child.send_ring, child.receive_ring = self.send_ring, self.receive_ring
        child.open(now, key, local, remote, wire)
        self._opening += 1
        return child

    def child_established(self, child):
        """A child of this listener can be accepted."""
        self._opening -= 1
        self._ready.append(child)
        if self.on_event is not None:
            self.on_event()

    def child_lost(self):
        """One of them will not become so."""
        self._opening -= 1

    # --- reading ---

    def _at_end(self):
        """With nothing to read: 0 when nothing will come any more, None when something may."""
        self._raise_error()
        if self.remote is None:
            raise errors.failure(errors.ENOTCONN)
        return 0 if self.state == CLOSED or self._ended else None

    def _consume(self, now, n):
        self._rx.skip(n)
        if self.state >= ESTABLISHED and not self._ended and self._edge() > self._rcv_edge:
            self._ack(now)

    def _raise_error(self):
        if self.error:
            raise errors.failure(self.error)


def _key(remote_ip, local_ip, remote_port, local_port):
    return remote_ip + local_ip + remote_port.to_bytes(2, "big") + local_port.to_bytes(2, "big")
