"""TCP sockets: the application's calls.

What a connection does with segments and time is in connection.py, who a segment is for in
demux.py; the states have their names here too.
"""

from array import array

import micropython

from mpcore.ip import errors, straight
from mpcore.ip.connection import Connection
from mpcore.ip.events import ERROR, HUP, READ, WRITE
from mpcore.ip.headers import pseudo
from mpcore.ip.sender import PROTOCOL
from mpcore.ip.states import (CLOSE_WAIT, CLOSED, CLOSING, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2,
                              LAST_ACK, LISTEN, SYN_RECEIVED, SYN_SENT, TIME_WAIT)

_INHERITED = ("nodelay", "ttl", "linger_ms", "give_up_ms", "connect_ms", "send_ring",
              "receive_ring", "timestamps")


class TcpSocket(Connection):
    """A listener or one end of a connection.

    on_event, if set, is called without arguments when events() may have changed. error: 0, or
    the number that every later call raises as OSError. local, remote: (ip, port).

    At any time: nodelay (False: a short segment waits while an earlier short one is not
    acknowledged, Nagle as Minshall has it); ttl (1..255); linger_ms (of close(): None: what is
    queued is delivered, 0: as abort(), more: what is not delivered so many ms later is given up
    with a RST).

    Before connect() or listen(): give_up_ms, connect_ms; send_ring and receive_ring (bytes; one
    beyond 65535 has the windows scaled); timestamps (None: if windows are scaled).

    Before listen(): admit(ip, mac) -> bool, asked at each SYN from a neighbour, whose address then
    belongs to that MAC until the connection is closed (Interface.pin). Who is refused gets no
    answer, nor does who is no neighbour.

    Accepted sockets inherit all of these but admit.
    """

    take = straight.take
    _give = straight.give
    linger_ms = None
    admit = None
    _ready = ()                     # children of a listener that wait for accept()

    def bind(self, ip, port):
        """Set the local address (ip None: any; port 0: chosen later).

        Only a listener keeps an address for itself; connections, in TIME_WAIT or not, never do
        (as if SO_REUSEADDR was set). Raises OSError EINVAL when already bound or open, EADDRINUSE
        when a listener has it.
        """
        if self.state != CLOSED or self.local[1] or self.remote:
            raise errors.failure(errors.EINVAL)
        if port and self._stack.tcp.bound(ip, port):
            raise errors.failure(errors.EADDRINUSE)
        self.local = (ip, port)

    def listen(self, backlog):
        """Accept connections; `backlog` of them, at most Tcp.max_backlog, may wait for accept().

        Raises OSError: EINVAL, EADDRINUSE.
        """
        if self.state != CLOSED or self.remote:
            raise errors.failure(errors.EINVAL)
        ip, port = self.local
        if self._stack.tcp.bound(ip, port):
            raise errors.failure(errors.EADDRINUSE)
        self.local = (ip, port or self._stack.tcp.free_port())
        self._backlog = min(max(backlog, 1), self._stack.tcp.max_backlog)
        self._ready = []
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
        wire = array("I", (stack.tcp.initial_sequence(now, key), 0, local[1], port,
                           pseudo(local[0], ip, PROTOCOL)))
        stack.tcp.make_room()
        self.open(now, key, local, (ip, port), wire)
        self.open_active(now)

    @micropython.native
    def send(self, now, data):
        """Queue what there is room for and send what the windows allow; returns the bytes taken
        (0: wait for WRITE). Raises OSError: ENOTCONN, EPIPE after shutdown, or `error`."""
        size = len(data)
        if self.straight and size and self._give(now, data, size):
            return size
        if self.error:
            raise errors.failure(self.error)
        state = self.state
        if state != ESTABLISHED and state != CLOSE_WAIT:
            if state == SYN_SENT or state == SYN_RECEIVED:
                self._blocked = True
                return 0
            raise errors.failure(errors.EPIPE if self.remote else errors.ENOTCONN)
        ring = self._tx
        n = min(size, ring.size - ring.used)
        if n < size:
            self._blocked = True
        if n:
            ring.write(ring.used, data, 0, n)
            ring.used += n
            if self._rtx_ms is None and now - self._sent_ms > self._trip.timeout_ms:
                self._congestion.idle()
            self._output(now)
        return n

    def recv_into(self, now, buf, peek=False):
        """Read into `buf`: bytes read, 0 at the end of the stream, None when there is nothing yet.
        peek: what was read stays to be read again.

        Raises OSError: ENOTCONN, or `error` once what was received before it has been read.
        """
        ring = self._rx
        if ring is None or not ring.used:
            return self._at_end()
        n = min(len(buf), ring.used)
        ring.read(0, buf, 0, n)
        if not peek:
            self._consume(now, n)
        return n

    @micropython.native
    def recv(self, now, n, peek=False):
        """Like recv_into, but returns at most n bytes, b"" at the end of the stream."""
        ring = self._rx
        if ring is None or not ring.used:
            return None if self.straight or self._at_end() is None else b""
        used, head = ring.used, ring.head
        if n > used:
            n = used
        data = ring.peek(n)
        if not peek:
            end, size = head + n, ring.size
            ring.used = used - n
            ring.head = end if end < size else end - size
            if self.rcv_nxt + size - used + n - self._rcv_edge >= ring.step:
                self._widened(now)
        return data

    def shutdown_write(self, now):
        """Send no more: a FIN follows what is queued. Reading goes on."""
        self._raise_error()
        state = self.state
        if state < ESTABLISHED:
            raise errors.failure(errors.ENOTCONN)
        if state == ESTABLISHED or state == CLOSE_WAIT:
            self.end_writing(now)

    def shutdown_read(self, now):
        """Read no more: recv gives the end of the stream at once. What the peer still sends is
        acknowledged and dropped. Raises OSError ENOTCONN, or `error`."""
        self._raise_error()
        if self._rx is None:
            raise errors.failure(errors.ENOTCONN)
        self._deaf = True
        self.straight = False
        self._consume(now, self._rx.used)
        if self.on_event is not None:
            self.on_event()

    def close(self, now):
        """Be done with the socket: what is queued is still sent, then FIN (but see linger_ms).
        Data that was received and not read turns this into abort() (RFC 2525 2.17). Closing twice
        is harmless."""
        if self._closed:
            return
        self._closed = True
        self.straight = False
        self.on_event = None
        state = self.state
        if state == LISTEN:
            self._stack.tcp.remove_listener(now, self)
            self.state = CLOSED
            for child in self._ready:
                child.reset(now)
            self._ready = ()
        elif state == SYN_SENT or state == SYN_RECEIVED:
            self.reset(now)
        elif ESTABLISHED <= state <= FIN_WAIT_2 and self._rx.used:
            self.reset(now)
        elif self.linger_ms == 0 and state != TIME_WAIT:
            self.reset(now)
        elif state == FIN_WAIT_2:
            self.end_orphan(now)
        else:
            if state == ESTABLISHED or state == CLOSE_WAIT:
                self.end_writing(now)
            if self.linger_ms and self.state in (FIN_WAIT_1, CLOSING, LAST_ACK):
                self._end_later(now, self.linger_ms)
        self._rx = None

    def abort(self, now):
        """Drop the connection at once; the peer is told by a RST."""
        if self.state == LISTEN:
            self.close(now)
        else:
            self.reset(now)

    @micropython.native
    def events(self):
        """Mask of READ, WRITE, ERROR, HUP: what would not have to wait."""
        state = self.state
        if state == LISTEN:
            return READ if self._ready else 0
        if state == CLOSED:
            return READ | WRITE | HUP | (ERROR if self.error else 0)
        mask = 0
        if self._ended or self._deaf or (self._rx is not None and self._rx.used):
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
        """May another connection wait for accept()?"""
        return len(self._ready) < self._backlog

    def child(self, now, key, local, remote, wire):
        """A connection with this listener's settings."""
        child = TcpSocket(self._stack)
        for name in _INHERITED:
            value = getattr(self, name)
            if value != getattr(child, name):
                setattr(child, name, value)
        child.open(now, key, local, remote, wire)
        keepalive = self._keepalive
        if keepalive is not None:
            child.keep_alive(now, keepalive.idle_ms, keepalive.interval_ms, keepalive.count)
        return child

    def child_established(self, child):
        """A child of this listener can be accepted."""
        self._ready.append(child)
        if self.on_event is not None:
            self.on_event()

    # --- reading ---

    def _at_end(self):
        """With nothing to read: 0 when nothing will come any more, None when something may."""
        self._raise_error()
        if self.remote is None:
            raise errors.failure(errors.ENOTCONN)
        return 0 if self.state == CLOSED or self._ended or self._deaf else None

    def _consume(self, now, n):
        ring = self._rx
        ring.skip(n)
        if self.rcv_nxt + ring.size - ring.used - self._rcv_edge >= ring.step:
            self._widened(now)

    def _widened(self, now):
        """There is room of which the peer ought to know."""
        if self.state >= ESTABLISHED and not self._ended:
            self._ack(now)

    def _raise_error(self):
        if self.error:
            raise errors.failure(self.error)


def _key(remote_ip, local_ip, remote_port, local_port):
    return remote_ip + local_ip + remote_port.to_bytes(2, "big") + local_port.to_bytes(2, "big")
