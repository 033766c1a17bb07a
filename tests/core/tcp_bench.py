"""A connection spoken to by hand: one segment in, the segments that go out by it."""

from ip_link import (ACK, ARP, OUR_MAC, PEER, PEER_MAC, SYN, US, arp, give, make, read_tcp, tcp)
from mpcore import limits
from mpcore.ip.tcp import TcpSocket

MSS = b"\x02\x04\x05\xb4"           # 1460
OUR_MSS = b"\x02\x04\x0a\xc8"       # 2760
SACK_PERMITTED = b"\1\1\4\2"
WINDOW = limits.TCP_RECEIVE_RING
ISS = 0xFFFFFF00                    # ours; both sequences wrap within the tests
IRS = 0xFFFFFFF0                    # the peer's
PORT, PEER_PORT = 80, 50000


class Bench:
    """A stack whose one connection is spoken to by hand; sequence numbers count from the SYNs.

    options: of the segments that out() gave last. Unless `plain` is set to False those of a SYN
    must be the usual ones, and others must have none.
    """

    plain = True

    def __init__(self, link=None):
        self.stack, self.interface, self.link = make(link)
        self.stack.tcp.initial_sequence = lambda now, key: ISS
        self.now = 0
        self.port, self.peer_port = PORT, PEER_PORT

    def give(self, seq, ack, flags, data=b"", window=65535, options=b"", at=None):
        """A segment comes in; returns what goes out by it, as out() does."""
        if at is not None:
            self.now = at
        ack = ISS + ack if flags & ACK else 0
        segment = tcp(self.peer_port, self.port, IRS + seq, ack, flags, window, data, options)
        give(self.interface, self.now, segment)
        return self.out()

    def out(self):
        """[(seq, ack, flags, window, data)] of the segments sent meanwhile."""
        segments = []
        self.options = []
        while self.link.sent:
            now, _, ethertype, packet = self.link.sent.pop(0)
            assert now == self.now
            if ethertype == ARP:
                give(self.interface, now, arp(2, PEER_MAC, PEER, OUR_MAC, US), ARP)
                continue
            source, port, seq, ack, flags, window, options, data = read_tcp(packet)
            assert (source, port) == (self.port, self.peer_port)
            self.options.append(options)
            if self.plain and flags & SYN:
                assert options == OUR_MSS + (b"" if flags & ACK else SACK_PERMITTED)
            elif self.plain:
                assert options == b""
            ack = ack - IRS & 0xFFFFFFFF if flags & ACK else ack
            segments.append((seq - ISS & 0xFFFFFFFF, ack, flags, window, data))
        return segments

    def poll(self, at):
        """Time passes to `at`: (segments, next time)."""
        self.now = at
        next_ms = self.stack.poll(at)
        return self.out(), next_ms

    def poll_now(self):
        """Segments of the poll that follows what came in."""
        return self.poll(self.now)[0]

    def listen(self, backlog=4):
        self.listener = TcpSocket(self.stack)
        self.listener.bind(None, PORT)
        self.listener.listen(backlog)
        return self.listener

    def accept(self, window=65535, options=MSS, ring=None, then=b""):
        """An established connection that the peer opened. ring: bytes of both our rings; then:
        options of the peer's later segments."""
        self.listen()
        if ring:
            self.listener.send_ring = self.listener.receive_ring = ring
        assert self.give(0, 0, SYN, window=window, options=options) == [
            (0, 1, SYN | ACK, min(ring or WINDOW, 65535), b"")]
        self.answer_options = self.options[0]
        assert self.give(1, 1, ACK, window=window, options=then) == []
        self.socket = self.listener.accept()
        return self.socket

    def begin(self):
        """A connection that we are opening."""
        socket = self.socket = TcpSocket(self.stack)
        socket.bind(None, self.port)
        socket.connect(self.now, PEER, PEER_PORT)
        assert self.out() == [(0, 0, SYN, WINDOW, b"")]
        return socket

    def connect(self, window=65535, options=MSS):
        """An established connection that we opened."""
        socket = self.begin()
        assert self.give(0, 1, SYN | ACK, window=window, options=options) == []
        assert self.poll_now() == [(1, 1, ACK, WINDOW, b"")]
        return socket
