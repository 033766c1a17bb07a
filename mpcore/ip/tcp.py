"""TCP (RFC 9293), for a few connections with small windows.

Positions in the sequence space are counted from the initial sequence numbers and never wrap: a
SYN has position 0, the first byte of data 1. Only the headers on the wire hold 32-bit numbers.

Sending. What the application gives leaves at once (no Nagle): a segment goes out when it is
full, or holds everything that is queued (then it carries PSH), or at least half of the largest
window the peer ever offered; else it waits for the window to open, or for a timer: then what
the window allows is sent, or one byte beyond a closed one.

Acknowledging. Every second segment with data is acknowledged at once, a single one after 20 ms
unless an answer has carried its ACK by then; a segment out of order, a filled gap, a duplicate
or a FIN at once. Data is given to the application before any of this.

Giving up. Without any progress a connection fails with ETIMEDOUT after `give_up_ms` (100 s), an
attempt to connect after `connect_ms` (30 s). A peer with a closed window that still answers
probes is waited for.

Not implemented: window scaling, timestamps, SACK, urgent data, keepalive, TCP Fast Open.
"""

from array import array
import hashlib

from micropython import const

from mpcore.ip import errors
from mpcore.ip.congestion import Congestion, RoundTrip
from mpcore.ip.events import ERROR, HUP, READ, WRITE
from mpcore.ip.headers import pseudo, tcp_read, tcp_write
from mpcore.ip.ring import Ring
from mpcore.limits import (TCP_BACKLOG, TCP_GAPS, TCP_RECEIVE_RING, TCP_SEND_RING, TCP_SOCKETS,
                           TCP_TIME_WAITS)

PROTOCOL = const(6)

# States. From ESTABLISHED on the connection is synchronized; from FIN_WAIT_1 on it is ending.
CLOSED = const(0)
LISTEN = const(1)
SYN_SENT = const(2)
SYN_RECEIVED = const(3)
ESTABLISHED = const(4)
CLOSE_WAIT = const(5)
FIN_WAIT_1 = const(6)
FIN_WAIT_2 = const(7)
CLOSING = const(8)
LAST_ACK = const(9)
TIME_WAIT = const(10)

_FIN = const(0x01)
_SYN = const(0x02)
_RST = const(0x04)
_PSH = const(0x08)
_ACK = const(0x10)

_HEADER = const(20)
_HEADER_WORD = const(0x5000)       # a header of 20 bytes, as the first bits of the control word
_SYN_HEADER = const(24)
_SYN_HEADER_WORD = const(0x6000)
_DEFAULT_MSS = const(536)
_MIN_MSS = const(64)
_MAX_WINDOW = const(0xFFFF)
_DELAYED_ACK_MS = const(20)
_TIME_WAIT_MS = const(5000)
_ORPHAN_MS = const(20000)          # FIN_WAIT_2 after the application has closed
_GIVE_UP_MS = const(100000)
_CONNECT_MS = const(30000)
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
        listener = None
        for socket in self.listeners.get(local_port, ()):
            if socket.local[0] is None or socket.local[0] == local:
                listener = socket
                break
        if listener is not None and flags & (_ACK | _SYN) != _ACK and not flags & _FIN:
            if flags & _ACK:
                return self._reset(now, local, remote, wire, ack, 0, _RST)
            if not flags & _SYN:
                return stack.count("tcp_stray")
            if not listener.has_room() or self.full():
                return stack.count("tcp_backlog")
            child = TcpSocket(stack)
            child.open_passive(now, listener, key, (local, local_port), (remote, remote_port),
                               wire, seq & 0xFFFFFFFF, out[3], _mss_option(buf, off, header))
            return
        stack.count("tcp_closed_port")
        if flags & _ACK:
            self._reset(now, local, remote, wire, ack, 0, _RST)
        else:
            length = n - header + (flags & _SYN) // _SYN + (flags & _FIN)
            self._reset(now, local, remote, wire, 0, seq + length, _RST | _ACK)

    def _reset(self, now, local, remote, wire, seq, ack, flags):
        stack = self._stack
        route = stack.route(remote, local)
        if route is not None:
            tcp_write(wire, stack.buffer, route.interface.start + route.family.HEADER, _HEADER,
                      seq, ack, _HEADER_WORD | flags, 0)
            route.family.send(now, route, local, remote, PROTOCOL, _HEADER)


class TcpSocket:
    """A listener or one end of a connection.

    on_event, if set, is called without arguments when events() may have changed. error: 0, or
    the number that every later call raises as OSError. give_up_ms, connect_ms, send_ring and
    receive_ring (bytes, the latter at most 65535) may be set before connect() or listen();
    accepted sockets inherit them.
    """

    def __init__(self, stack):
        self._stack = stack
        self.state = CLOSED
        self.error = 0
        self.on_event = None
        self.local = (None, 0)
        self.remote = None
        self.give_up_ms = _GIVE_UP_MS
        self.connect_ms = _CONNECT_MS
        self.send_ring = TCP_SEND_RING
        self.receive_ring = TCP_RECEIVE_RING
        self.wire = None
        self._key = None
        self._tx = self._rx = None
        self._closed = False        # the application is done with it
        self._listener = None
        self._backlog = 0
        self._opening = 0           # children of a listener before ESTABLISHED
        self._ready = []            # and after, until accept()

    # --- the application's calls ---

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
        self._open(now, key, local, (ip, port), wire)
        self.state = SYN_SENT
        self._send_syn(now, _SYN)

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
            if self._rtx_ms is None and now - self._sent_ms > self._trip.timeout():
                self._congestion.idle()
            self._output(now)
        return n

    def recv_into(self, now, buf):
        """Read into `buf`: bytes read, 0 at the end of the stream, None when there is nothing yet.

        Raises OSError: ENOTCONN, or `error` once what was received before it has been read.
        """
        n = self._readable(len(buf))
        if n:
            self._rx.read(0, memoryview(buf), 0, n)
            self._consume(now, n)
        return n

    def recv(self, now, n):
        """Like recv_into, but returns at most n bytes, b"" at the end of the stream."""
        n = self._readable(n)
        if n is None:
            return None
        data = bytearray(n)
        if n:
            self._rx.read(0, data, 0, n)
            self._consume(now, n)
        return bytes(data)

    def shutdown_write(self, now):
        """Send no more: a FIN follows what is queued. Reading goes on."""
        self._raise_error()
        state = self.state
        if state == ESTABLISHED:
            self.state = FIN_WAIT_1
        elif state == CLOSE_WAIT:
            self.state = LAST_ACK
        elif state < ESTABLISHED:
            raise errors.failure(errors.ENOTCONN)
        else:
            return
        self._fin = True
        self._output(now)

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
                if child.state == SYN_RECEIVED and child._listener is self:
                    child.abort(now)
            for child in self._ready:
                child.abort(now)
            self._ready = []
        elif state == SYN_SENT:
            self.finish(0)
        elif ESTABLISHED <= state <= FIN_WAIT_2 and self._rx.used:
            self.abort(now)
        elif state == ESTABLISHED or state == CLOSE_WAIT:
            self.shutdown_write(now)
        elif state == FIN_WAIT_2:
            self._end_later(now, _ORPHAN_MS)
        self._rx = None

    def abort(self, now):
        """Drop the connection at once; the peer is told by a RST."""
        if self.state == LISTEN:
            return self.close(now)
        self._closed = True
        self.on_event = self._rx = None
        if SYN_RECEIVED <= self.state < TIME_WAIT:
            self._emit(now, self._snd_max, 0, _RST | _ACK)
        self.finish(0)

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

    # --- segments ---

    def receive(self, now, seq, ack, flags, window, buf, off, header, n):
        """One segment at buf[off:off + n], its checksum verified; seq and ack are positions.

        The order of the checks is that of RFC 9293 3.10.7.4, sharpened by RFC 5961.
        """
        state = self.state
        if state == SYN_SENT:
            return self._receive_syn_sent(now, seq, ack, flags, window, buf, off, header)
        n -= header
        fin = flags & _FIN
        nxt = self.rcv_nxt
        if seq > self._rcv_edge or (seq < nxt and seq + n + fin <= nxt):
            return self._receive_outside(now, flags, n + fin)
        if flags & _RST:
            return self._receive_reset(now, seq)
        if flags & _SYN:
            return self._challenge(now)
        if not flags & _ACK:
            return self._stack.count("tcp_stray")
        if state == SYN_RECEIVED:
            if ack != 1:
                return self._emit(now, ack, 0, _RST)
            self._establish()
        elif (ack > self._snd_max + self._probing
              or ack < self.snd_una - self._snd_wnd_max):
            return self._challenge(now)
        una = self.snd_una
        if self._probing:
            self._progress_ms = now
        if ack > una:
            self._acked(now, ack)
        elif (ack == una < self._snd_max and not n and not fin and window == self._snd_wnd
              and not self._probing and self._congestion.duplicate(una, self._snd_max)):
            self._retransmit(now)
        if self._snd_wl1 < seq or (self._snd_wl1 == seq and self._snd_wl2 <= ack):
            self._snd_wl1, self._snd_wl2 = seq, ack
            self._set_window(window)
        if n or fin:
            self._take(now, seq, buf, off + header, n, fin)
        self._settle(now)

    def poll(self, now):
        """Run what is due, schedule the rest."""
        if self._ack_ms is not None and now >= self._ack_ms:
            self._ack(now)
        if self._rtx_ms is not None and now >= self._rtx_ms:
            self._timed_out(now)
        if self._end_ms is not None and now >= self._end_ms:
            self.finish(0)
        for due in (self._ack_ms, self._rtx_ms, self._end_ms):
            if due is not None:
                self._stack.schedule(due)

    def has_room(self):
        """May this listener take another connection?"""
        return self._opening + len(self._ready) < self._backlog

    def established(self, child):
        """A child of this listener can be accepted."""
        self._opening -= 1
        self._ready.append(child)
        if self.on_event is not None:
            self.on_event()

    def leads_to(self, interface, ip):
        """Do our segments leave by this interface to this neighbour?"""
        route = self._stack.route(self.remote[0], self.local[0])
        return route is not None and route.interface is interface and route.next_hop == ip

    def open_passive(self, now, listener, key, local, remote, wire, irs, window, mss):
        """Answer a SYN for a listener: a connection in SYN_RECEIVED."""
        self._listener = listener
        listener._opening += 1
        self.give_up_ms, self.connect_ms = listener.give_up_ms, listener.connect_ms
        self.send_ring, self.receive_ring = listener.send_ring, listener.receive_ring
        self._open(now, key, local, remote, wire)
        self._synchronize(irs, window, mss)
        self.state = SYN_RECEIVED
        self._send_syn(now, _SYN | _ACK)

    def finish(self, error):
        """The connection is over. What was received can still be read."""
        tcp = self._stack.tcp
        if self.state == TIME_WAIT:
            tcp.time_waits.remove(self)
        if self._listener is not None:
            self._listener._opening -= 1
            self._listener = None
        self.state = CLOSED
        self.error = error
        self._ack_ms = self._rtx_ms = self._end_ms = self._tx = None
        if self._key is not None:
            del tcp.connections[self._key]
            self._key = None
        if self.on_event is not None:
            self.on_event()

    # --- opening ---

    def _open(self, now, key, local, remote, wire):
        self.local, self.remote, self.wire, self._key = local, remote, wire, key
        wire[0] = self._stack.tcp.initial_sequence(now, key)
        self._stack.tcp.connections[key] = self
        self._route = None
        self._generation = -1
        self.snd_una = self.snd_nxt = self._snd_max = 0
        self._snd_wnd = self._snd_wnd_max = self._snd_wl1 = self._snd_wl2 = 0
        self.rcv_nxt = 0
        self._rcv_edge = min(self.receive_ring, _MAX_WINDOW)    # end of the window we offered
        self._gaps = []                 # [start, end) positions received beyond rcv_nxt, sorted
        self._fin_at = None             # position of the peer's FIN
        self._ended = False             # it has been reached
        self._fin = False               # ours is to be sent after what is queued
        self._blocked = True            # the application found no room to write
        self._news = False              # it is to be told when the segment has been dealt with
        self._mss = _DEFAULT_MSS
        self._trip = RoundTrip()
        self._congestion = None
        self._timed = None              # position whose ACK gives a round-trip sample
        self._timed_ms = self._sent_ms = self._progress_ms = now
        self._probing = False
        self._owed = 0                  # segments with data not yet acknowledged
        self._ack_ms = self._rtx_ms = self._end_ms = None

    def _send_syn(self, now, flags):
        if self._timed is None and self._snd_max == 0:
            self._timed, self._timed_ms = 1, now
        self.snd_nxt = self._snd_max = 1
        self._arm(now)
        self._emit(now, 0, 0, flags)

    def _synchronize(self, irs, window, mss):
        """The peer's SYN gives its sequence number, its window and its segment size."""
        self.wire[1] = irs
        self.rcv_nxt = 1
        self._rcv_edge += 1
        self._snd_wnd = self._snd_wnd_max = window
        self._snd_wl1 = self._snd_wl2 = 0
        self._mss = min(mss, self._link_mss())
        self._congestion = Congestion(self._mss)

    def _establish(self):
        """Our SYN was acknowledged: only now memory is spent."""
        self.state = ESTABLISHED
        self._tx = Ring(self.send_ring)
        self._rx = Ring(self.receive_ring)
        self._news = True

    def _receive_syn_sent(self, now, seq, ack, flags, window, buf, off, header):
        acked = flags & _ACK and ack == 1
        if flags & _ACK and not acked:
            if not flags & _RST:
                self._emit(now, ack, 0, _RST)
        elif flags & _RST:
            if acked:
                self.finish(errors.ECONNREFUSED)
        elif flags & _SYN:
            self._synchronize(seq & 0xFFFFFFFF, window, _mss_option(buf, off, header))
            if acked:
                self._establish()
                self._acked(now, ack)
                self._owed = 2
                self._settle(now)
            else:
                self.state = SYN_RECEIVED
                self._send_syn(now, _SYN | _ACK)

    def _link_mss(self):
        route = self._find_route()
        if route is None:
            return _DEFAULT_MSS
        return route.interface.link.mtu - route.family.HEADER - _HEADER

    # --- receiving ---

    def _receive_outside(self, now, flags, length):
        """A segment with nothing in the window: what is old is acknowledged again."""
        if flags & _RST:
            return
        self._stack.count("tcp_out_of_window")
        if self.state == SYN_RECEIVED and flags & (_SYN | _ACK) == _SYN:
            return self._send_syn(now, _SYN | _ACK)
        if self.state == TIME_WAIT:
            self._end_later(now, _TIME_WAIT_MS)
        if length:
            self._ack(now)
        else:
            self._challenge(now)

    def _receive_reset(self, now, seq):
        state = self.state
        if seq != self.rcv_nxt:
            self._challenge(now)
        elif state == SYN_RECEIVED:
            self.finish(errors.ECONNREFUSED)
        elif state < CLOSING:
            self.finish(errors.ECONNRESET)
        elif state != TIME_WAIT:
            # Both sides have said all. TIME_WAIT is not to be cut short by anybody (RFC 1337).
            self.finish(0)

    def _take(self, now, seq, buf, start, n, fin):
        """Keep the data of a segment that overlaps the window, and its FIN."""
        nxt = self.rcv_nxt
        if seq < nxt:
            start += nxt - seq
            n -= nxt - seq
            seq = nxt
        if n > self._rcv_edge - seq:
            n = self._rcv_edge - seq
            fin = 0
        if n > 0 and self._closed and not self._ended:
            # Nobody will read it: say so rather than acknowledge it.
            return self.abort(now)
        self._owed += 1 if seq == nxt and n > 0 and not self._gaps else 2
        if self._ended:
            return
        if fin and self._fin_at is None:
            self._fin_at = seq + n
        if n > 0:
            self._store(seq, buf, start, n)
        if self._fin_at == self.rcv_nxt:
            self.rcv_nxt += 1
            self._ended = True
            self._owed = 2
            self._peer_closed(now)
        if self.rcv_nxt > nxt:
            self._news = True

    def _settle(self, now):
        """What a segment leads to: news for the application, who may answer at once; what may be
        sent by now; an ACK, if none has left with that."""
        if self._news:
            self._news = False
            if self._listener is not None:
                self._listener.established(self)
                self._listener = None
            if self.on_event is not None:
                self.on_event()
        if self._tx is not None and (self._tx.used or self._fin):
            self._output(now)
        if self.state == CLOSED:
            return
        if self._owed >= 2:
            self._ack(now)
        elif self._owed and self._ack_ms is None:
            self._ack_ms = now + _DELAYED_ACK_MS
            self._stack.schedule(self._ack_ms)

    def _store(self, seq, buf, start, n):
        """Put data into the receive ring, at its place; advance over what is complete."""
        ring = self._rx
        gaps = self._gaps
        nxt = self.rcv_nxt
        end = seq + n
        if seq > nxt and len(gaps) >= TCP_GAPS and not _touches(gaps, seq, end):
            return self._stack.count("tcp_gaps_full")
        ring.write(ring.used + seq - nxt, buf, start, n)
        if gaps or seq > nxt:
            end = _merge(gaps, seq, end, nxt)
        ring.used += end - nxt
        self.rcv_nxt = end

    def _peer_closed(self, now):
        """The peer's FIN was reached."""
        if self.state == ESTABLISHED:
            self.state = CLOSE_WAIT
        elif self.state == FIN_WAIT_1:
            self.state = CLOSING
        elif self.state == FIN_WAIT_2:
            self._time_wait(now)

    def _readable(self, n):
        """How much of n bytes can be read now: None for nothing yet, 0 for the end."""
        ring = self._rx
        if ring is not None and ring.used:
            return min(n, ring.used)
        self._raise_error()
        if self.state == CLOSED or self.state == LISTEN:
            if self.remote is None:
                raise errors.failure(errors.ENOTCONN)
            return 0
        return 0 if self._ended else None

    def _consume(self, now, n):
        self._rx.skip(n)
        if self.state >= ESTABLISHED and not self._ended and self._edge() > self._rcv_edge:
            self._ack(now)

    def _edge(self):
        """The right edge to offer: moves when that is worth a segment (RFC 9293 3.8.6.2.2)."""
        if self._rx is None:
            return self._rcv_edge
        size = self._rx.size
        edge = self.rcv_nxt + min(size - self._rx.used, _MAX_WINDOW)
        if edge - self._rcv_edge >= min(size >> 1, self._mss):
            return edge
        return self._rcv_edge

    # --- sending ---

    def _output(self, now, small=False):
        """Send what the windows allow, by the rule in the module's description.

        small: a part of the queue may go even though a window opened only a little.
        """
        used = self._tx.used
        mss = self._mss
        limit = min(self._snd_wnd, self._congestion.limit())
        while True:
            flight = self.snd_nxt - self.snd_una
            unsent = used - flight
            n = min(unsent, mss, limit - flight)
            fin = self._fin and n == unsent >= 0
            if n < 0 or not (n or fin):
                break
            if n < unsent and n < mss and n < self._snd_wnd_max >> 1 and not small:
                break
            seq = self.snd_nxt
            flags = _ACK
            if n and n == unsent:
                flags |= _PSH
            self.snd_nxt += n
            if fin:
                flags |= _FIN
                self.snd_nxt += 1
            if self.snd_nxt > self._snd_max:
                if seq == self._snd_max:
                    if self._timed is None:
                        self._timed, self._timed_ms = self.snd_nxt, now
                    if flight == 0:
                        self._progress_ms = now
                self._snd_max = self.snd_nxt
            if flight == 0:
                self._arm(now)
            self._sent_ms = now
            self._emit(now, seq, n, flags)
        if self._rtx_ms is None and unsent > 0:
            self._probing = True
            self._progress_ms = now
            self._arm(now)

    def _retransmit(self, now):
        """Send the first unacknowledged segment again; its round trip is not to be measured."""
        self._timed = None
        used = self._tx.used
        n = min(used, self._mss, self._snd_max - self.snd_una)
        flags = _ACK
        if self._fin and n == used and self._snd_max > self.snd_una + used:
            flags |= _FIN
        self._emit(now, self.snd_una, n, flags)

    def _emit(self, now, seq, n, flags):
        """Send one segment with n bytes of the send ring from position `seq`."""
        route = self._find_route()
        if route is None:
            return self._stack.count("tcp_no_route")
        family = route.family
        buf = self._stack.buffer
        at = route.interface.start + family.HEADER
        control = _HEADER_WORD | flags
        length = _HEADER
        if flags & _SYN:
            control = _SYN_HEADER_WORD | flags
            length = _SYN_HEADER
            mss = self._link_mss()
            buf[at + 20] = 2
            buf[at + 21] = 4
            buf[at + 22] = mss >> 8
            buf[at + 23] = mss & 0xFF
        if n:
            self._tx.read(seq - self.snd_una, buf, at + _HEADER, n)
            length += n
        window = 0
        if not flags & _RST:
            self._rcv_edge = self._edge()
            window = self._rcv_edge - self.rcv_nxt
            if flags & _ACK:
                self._owed = 0
                self._ack_ms = None
        tcp_write(self.wire, buf, at, length, seq, self.rcv_nxt if flags & _ACK else -self.wire[1],
                  control, window)
        family.send(now, route, self.local[0], self.remote[0], PROTOCOL, length)

    def _ack(self, now):
        self._emit(now, self._snd_max, 0, _ACK)

    def _acked(self, now, ack):
        """Everything up to `ack` has arrived."""
        n = ack - self.snd_una
        if self._timed is not None:
            if ack >= self._timed:
                self._trip.sample(now - self._timed_ms)
                self._timed = None
        elif self.snd_una == 0:
            self._trip.syn_was_lost()
        if self.snd_una == 0:
            n -= 1
        ring = self._tx
        fin_acked = n > ring.used
        ring.skip(min(n, ring.used))
        self.snd_una = ack
        self.snd_nxt = max(self.snd_nxt, ack)
        self._snd_max = max(self._snd_max, ack)
        self._progress_ms = now
        self._trip.progress()
        if n and self._congestion.acked(n, ack, self._snd_max - ack) and self._snd_max > ack:
            self._retransmit(now)
        if ack == self._snd_max:
            self._rtx_ms = None
        else:
            self._arm(now)
        if self._blocked:
            self._blocked = False
            self._news = True
        if fin_acked:
            self._fin_acked(now)

    def _fin_acked(self, now):
        self._fin = False
        if self.state == FIN_WAIT_1:
            self.state = FIN_WAIT_2
            if self._closed:
                self._end_later(now, _ORPHAN_MS)
        elif self.state == CLOSING:
            self._time_wait(now)
        elif self.state == LAST_ACK:
            self.finish(0)

    def _set_window(self, window):
        self._snd_wnd = window
        self._snd_wnd_max = max(self._snd_wnd_max, window)
        if self._probing and window:
            self._probing = False
            self._rtx_ms = None
            self._trip.restore()

    def _timed_out(self, now):
        """The retransmission or probe timer ran out."""
        self._rtx_ms = None
        limit = self.connect_ms if self.state <= SYN_RECEIVED else self.give_up_ms
        if now - self._progress_ms >= limit:
            self._stack.count("tcp_gave_up")
            return self.finish(errors.ETIMEDOUT)
        self._trip.back_off()
        self._timed = None
        if self.state == SYN_SENT:
            self._send_syn(now, _SYN)
        elif self.state == SYN_RECEIVED:
            self._send_syn(now, _SYN | _ACK)
        elif self._probing and self._snd_wnd:
            self._probing = False
            self._output(now, True)
        elif self._probing:
            # One byte beyond the window: the answer tells what the window is now.
            self._arm(now)
            self._emit(now, self.snd_una, 1, _ACK)
        else:
            self._stack.count("tcp_timeout")
            self._congestion.timed_out(self.snd_una, self._snd_max)
            self.snd_nxt = self.snd_una
            self._output(now)

    def _challenge(self, now):
        """An ACK that a true peer will act upon and a forger learns nothing from (RFC 5961)."""
        if self._stack.tcp.challenge_allowed(now):
            self._ack(now)
        else:
            self._stack.count("tcp_challenge_limited")

    # --- ends and odds ---

    def _time_wait(self, now):
        self.state = TIME_WAIT
        self._tx = None
        self._rtx_ms = None
        self._end_later(now, _TIME_WAIT_MS)
        self._stack.tcp.linger(self)

    def _end_later(self, now, ms):
        self._end_ms = now + ms
        self._stack.schedule(self._end_ms)

    def _arm(self, now):
        self._rtx_ms = now + self._trip.timeout()
        self._stack.schedule(self._rtx_ms)

    def _find_route(self):
        if self._generation != self._stack.generation:
            self._generation = self._stack.generation
            self._route = self._stack.route(self.remote[0], self.local[0])
        return self._route

    def _raise_error(self):
        if self.error:
            raise errors.failure(self.error)


def _key(remote_ip, local_ip, remote_port, local_port):
    return remote_ip + local_ip + remote_port.to_bytes(2, "big") + local_port.to_bytes(2, "big")


def _mss_option(buf, off, header):
    """The MSS option of a SYN (RFC 9293 3.2), or the default."""
    at, end = off + _HEADER, off + header
    while at < end and buf[at] != 0:
        if buf[at] == 1:
            at += 1
            continue
        if at + 1 >= end or buf[at + 1] < 2 or at + buf[at + 1] > end:
            break
        if buf[at] == 2 and buf[at + 1] == 4:
            return max(buf[at + 2] << 8 | buf[at + 3], _MIN_MSS)
        at += buf[at + 1]
    return _DEFAULT_MSS


def _touches(gaps, start, end):
    """Does [start, end) overlap or adjoin a range?"""
    return any(start <= g[1] and g[0] <= end for g in gaps)


def _merge(gaps, start, end, nxt):
    """Add [start, end) to the sorted ranges in place; returns up to where all is complete."""
    merged = []
    for low, high in gaps:
        if start <= high and low <= end:
            start, end = min(start, low), max(end, high)
        else:
            merged.append((low, high))
    if start == nxt:
        gaps[:] = merged
        return end
    merged.append((start, end))
    gaps[:] = sorted(merged)
    return nxt
