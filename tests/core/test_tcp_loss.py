"""Two stacks over a link that loses, duplicates and reorders, on a simulated clock."""

import hashlib
import random

from ip_link import IPV4, IPV6, OUR_MAC, PEER, PEER6, PEER_MAC, US, US6
from mpcore.ip import stack as ip_stack, tcp as T
from mpcore.ip.tcp import TcpSocket

SIZE = 40000
HOUR = 3600000


class Cable:
    """Joins two stacks; shares of frames (0..1) are lost, sent twice, or late."""

    def __init__(self, seed, loss, duplicated=0.0, late=0.0, delay_ms=15, mtu=1400,
                 ips=(US, PEER)):
        random.seed(seed)
        self.now = 0
        self.loss, self.duplicated, self.late, self.delay_ms = loss, duplicated, late, delay_ms
        self.flights = []
        self.packets = self.octets = 0
        self.ends = []
        self.server = ips[0]
        for mac, ip in zip((OUR_MAC, PEER_MAC), ips):
            stack = ip_stack.Stack(lambda n: bytes([random.getrandbits(8) for _ in range(n)]))
            interface = stack.add_interface(End(self, len(self.ends), mac, mtu))
            self.ends.append((stack, interface))
            interface.set_addresses(0, [(ip, 24)])

    def transmit(self, end, destination_mac, ethertype, data):
        if ethertype in (IPV4, IPV6):
            self.packets += 1
            self.octets += len(data)
            if random.random() < self.loss:
                return
            if random.random() < self.duplicated:
                self._launch(end, destination_mac, ethertype, data)
        self._launch(end, destination_mac, ethertype, data)

    def _launch(self, end, destination_mac, ethertype, data):
        at = self.now + self.delay_ms
        if ethertype in (IPV4, IPV6) and random.random() < self.late:
            at += random.randrange(1, 100)
        i = len(self.flights)
        while i and self.flights[i - 1][0] > at:
            i -= 1
        self.flights.insert(i, (at, 1 - end, destination_mac, ethertype, data))

    def run(self, step, until_ms=HOUR):
        """Advance from event to event; step(now) acts for the applications and says when done."""
        while not step(self.now):
            due = [stack.poll(self.now) for stack, _ in self.ends]
            due = [at for at in due if at is not None]
            if self.flights:
                due.append(self.flights[0][0])
            if not due:
                assert step(self.now), "nothing moves any more"
                return
            assert self.now < until_ms
            self.now = max(self.now, min(due))
            while self.flights and self.flights[0][0] <= self.now:
                _, end, mac, ethertype, data = self.flights.pop(0)
                buf = bytearray(1) + data
                self.ends[end][1].receive(self.now, self.ends[1 - end][1].link.mac, mac, ethertype,
                                          buf, 1, len(data))


class End:
    headroom = 60

    def __init__(self, cable, number, mac, mtu):
        self.cable, self.number, self.mac, self.mtu = cable, number, mac, mtu

    def transmit(self, now, destination_mac, ethertype, buf, off, n):
        self.cable.transmit(self.number, destination_mac, ethertype,
                            bytes(memoryview(buf)[off:off + n]))


class Transfer:
    """A client sends and half-closes; the server echoes; both compare checksums."""

    def __init__(self, cable, size, chunk=3000):
        self.cable = cable
        self.data = bytes([random.getrandbits(8) for _ in range(size)])
        self.chunk = chunk
        self.listener = TcpSocket(cable.ends[0][0])
        self.listener.bind(None, 80)
        self.listener.listen(1)
        self.client = TcpSocket(cable.ends[1][0])
        self.client.connect(0, cable.server, 80)
        self.server = None
        self.sent = 0
        self.pending = b""
        self.received = hashlib.sha256()
        self.count = 0

    def step(self, now):
        assert not self.client.error
        client = self.client
        while self.sent < len(self.data):
            n = client.send(now, self.data[self.sent:self.sent + self.chunk])
            if not n:
                break
            self.sent += n
            if self.sent == len(self.data):
                client.shutdown_write(now)
        if self.server is None:
            self.server = self.listener.accept()
        else:
            self._echo(now, self.server)
        while True:
            data = client.recv(now, self.chunk)
            if not data:
                break
            self.received.update(data)
            self.count += len(data)
        if data == b"" and client.state != T.CLOSED:
            client.close(now)
        return client.state == T.CLOSED and self.server.state == T.CLOSED

    def _echo(self, now, server):
        # Once closed it may not hear the client's last ACK: the client has gone after 5 s.
        assert not server.error or server.rcv_nxt == len(self.data) + 2
        while server.state in (T.ESTABLISHED, T.CLOSE_WAIT):
            if not self.pending:
                self.pending = server.recv(now, self.chunk)
                if self.pending == b"":
                    server.close(now)
            n = server.send(now, self.pending) if self.pending else 0
            if not n:
                break
            self.pending = self.pending[n:]


def transfer(seed, loss, duplicated=0.0, late=0.0, size=SIZE, mtu=1400, chunk=3000,
             ips=(US, PEER), ring=None):
    cable = Cable(seed, loss, duplicated, late, mtu=mtu, ips=ips)
    for stack, _ in cable.ends:
        if ring:
            stack.tcp.send_ring = stack.tcp.receive_ring = ring
    job = Transfer(cable, size, chunk)
    cable.run(job.step)
    assert job.count == size
    assert job.received.digest() == hashlib.sha256(job.data).digest()
    for stack, _ in cable.ends:
        assert stack.tcp.connections == {} and not stack.tcp.time_waits
    return cable


def test_without_loss_nothing_is_sent_twice():
    cable = transfer(1, 0.0)
    for stack, _ in cable.ends:
        assert stack.counters == {}
    assert cable.octets == 2 * SIZE + 40 * cable.packets + 2 * 8    # headers, options of SYNs


def test_loss():
    for percent in (1, 3, 10, 20, 30):
        transfer(40 + percent, percent / 100)


def test_reordering_alone():
    transfer(5, 0.0, late=0.3)


def test_duplication_alone():
    transfer(6, 0.0, duplicated=0.3)


def test_everything_at_once():
    for percent in (5, 15, 30):
        share = percent / 100
        transfer(100 + percent, share, share, share)


def test_large_segments_and_small_writes():
    transfer(7, 0.1, 0.1, 0.1, mtu=2800)
    transfer(8, 0.1, 0.1, 0.1, size=3000, chunk=70)


def test_large_rings():
    cable = transfer(11, 0.0, size=150000, ring=100000)
    assert cable.ends[0][0].counters == {}
    for loss in (0.02, 0.1):
        transfer(12, loss, loss, loss, size=150000, ring=100000)


def test_over_ipv6():
    transfer(9, 0.0, ips=(US6, PEER6))
    transfer(10, 0.1, 0.1, 0.1, ips=(US6, PEER6))
