"""The straight way of TCP over IPv4: the segment that an established connection expects, and the
write that leaves at once as one segment. Most are such (Van Jacobson's header prediction).

`straight` of a connection says that nothing is under way by which a segment would have to be
judged. receive() finds that out, after a segment that took the way of all; whoever begins
something of the kind clears it. What is done here is what receive(), send() and _output() would
do with the same segment. Every attribute looked up and every function called costs a board more
than what is done with them, so here they are few.
"""

from array import array

import micropython
from micropython import const

from mpcore.ip.headers import flow_read, flow_write
from mpcore.octets import copy

_HEADERS = const(40)            # of IPv4 and TCP without options
_TCP_HEADER = const(20)
_CONTROL = const(0x5018)        # five words of header; ACK, PSH
_IPV4 = const(0x0800)
_SOON = const(2)                # as in connection.py: an ACK is due at the next poll
_FRESH_MS = const(60000)        # as in neighbours.py

_out = array("i", [0] * 4)      # what flow_read tells


@micropython.native
def take(self, now, buf, off, n):
    """Take the IPv4 packet buf[off:off + n] if it is the next segment of a straight connection.
    Returns whether it was; if not, nothing has happened."""
    if not self.straight:
        return False
    una, nxt = self.snd_una, self.rcv_nxt
    highest, out = self._snd_max, _out
    n = flow_read(self._flow, self.wire, buf, off, n, una, nxt, out)
    if n < 0:
        return False
    ack = una + out[0]
    if ack < una or ack > highest or n > self._rcv_edge - nxt or (ack == una and not n):
        return False
    if self._keepalive is not None:
        self._keepalive.heard(now)
    news = False
    if ack > una:
        if self._timed is not None and ack >= self._timed:
            self._timed = None
            self._trip.sample(now - self._timed_ms)
        ring = self._tx
        ring.used -= ack - una
        if ring.used:
            head = ring.head + ack - una
            ring.head = head if head < ring.size else head - ring.size
        else:
            ring.head = 0
        self.snd_una = ack
        self._progress_ms = now
        # A window that was not needed is not widened: nothing is known of a wider one.
        if highest - una << 1 >= self._congestion.window:
            self._congestion.acked(ack - una, ack, highest - ack)
        if ack == highest:
            self._rtx_ms = None
        else:
            self._arm(now)
        if self._blocked:
            self._blocked = False
            news = True
    window = out[2] << self._snd_scale
    if window != self._snd_wnd:
        self._snd_wnd = window
        if window > self._snd_wnd_max:
            self._snd_wnd_max = window
    if n:
        ring = self._rx
        used, size = ring.used, ring.size
        at = ring.head + used
        if at >= size:
            at -= size
        if n <= size - at:
            copy(ring.bytes, at, buf, off + _HEADERS, n)
        else:
            ring.write(used, buf, off + _HEADERS, n)
        ring.used = used + n
        self.rcv_nxt = nxt + n
        self._owed += _SOON if out[1] and n < self._mss else 1
        news = True
    if news and self.on_event is not None:
        self.on_event()
    # The application may have answered, or closed the connection.
    if not self.straight:
        self._settle(now)
        return True
    if self._tx.used > self.snd_nxt - self.snd_una:
        self._output(now)
    if n and self._owed:
        if self._owed < _SOON:
            self._owe(now)
        elif self._stack.on_schedule is not None:
            self._stack.wake(now)   # the poll asks the connection that had the last segment
    return True


@micropython.native
def give(self, now, data, n):
    """Send n bytes of `data` as one segment, if nothing else is on its way or waits and no window
    is too small for it. Returns whether that was so; if not, nothing has happened."""
    tx, una = self._tx, self.snd_una
    if (tx.used or n > self._mss or n > self._snd_wnd or n > self._congestion.window
            or n > tx.size or not self.nodelay or self._snd_max != una):
        return False
    stack, route = self._stack, self._route
    if self._generation != stack.generation or route is None:
        return False
    trip = self._trip
    if now - self._sent_ms > trip.timeout_ms:
        self._congestion.idle()
        if n > self._congestion.window:
            return False
    copy(tx.bytes, 0, data, 0, n)
    tx.head = 0
    tx.used = n
    self.snd_nxt = self._snd_max = una + n
    if self._timed is None and now != self._timed_ms:   # one sample a tick of the clock will do
        self._timed, self._timed_ms = una + n, now
    self._progress_ms = self._sent_ms = now
    due_ms = self._rtx_ms = now + trip.timeout_ms
    self._early = False
    if stack.next_ms is None or stack.next_ms > due_ms:
        stack.schedule(due_ms)
    interface, buf = route.interface, stack.buffer
    start = interface.start
    copy(buf, start + _HEADERS, data, 0, n)
    nxt, edge, rx = self.rcv_nxt, self._rcv_edge, self._rx
    gain = nxt + rx.size - rx.used - edge
    if gain >= rx.step:
        self._rcv_edge = edge = edge + gain
    self._owed = 0
    self._ack_ms = None
    flow_write(self._flow, self.wire, buf, start, n + _TCP_HEADER, una, nxt, _CONTROL,
               edge - nxt >> self._rcv_scale, self.ttl)
    n += _HEADERS
    if route.local:
        stack.loop_back(now, route, n)
        return True
    entry = route.neighbour
    mac = None if entry is None or now - entry.heard_ms >= _FRESH_MS else entry.mac
    if mac is None:
        mac = interface.arp.resolve(now, route.next_hop, start, n)
        route.neighbour = interface.arp.entry(now, route.next_hop, False)
    if mac is not None:
        interface.link.transmit(now, mac, _IPV4, buf, start, n)
    return True
