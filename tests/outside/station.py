"""The host under test: mpcore.ip's stack, with services, behind a cable of datagrams.

    station.py [RING]

Frames come and go by one local datagram socket, orders and reports in JSON by another; both wait
under names of this network namespace (cable.py). Portable: the same on CPython and
MicroPython. RING: size of the TCP rings in bytes.
"""

import errno
import gc
import json
import select
import socket
import struct
import sys

from mpcore.ip.stack import Stack
from mpcore.ip.tcp import TcpSocket
from mpcore.ip.udp import UdpSocket
from mpcore.port import entropy, now_ms
from cable import FRAMES, ORDERS, SO_FAR
from services import Caller, Digest, Echo, Http, Sleeper, Source

MAC = b"\x02\x00\x00\x00\x77\x01"
ADDRESSES = [(bytes((10, 77, 0, 1)), 24), (b"\xfd\x77" + bytes(13) + b"\x01", 64)]
ROUTES = [(bytes(4), 0, bytes((10, 77, 0, 2))), (bytes(16), 0, b"\xfd\x77" + bytes(13) + b"\x02")]
SERVICES = {7: Echo, 9: Digest, 13: Sleeper, 19: Source, 80: Http}
UDP_ECHO = 7
DEAF = 11                   # a listener that nobody accepts from until it is told to
BACKLOG = 8

_AF_UNIX, _SEQPACKET = 1, 5
_DONTWAIT = 0x40
_ETHERNET = 14
_FRAME = 4096
_BATCH = 64                 # frames taken before the services get their turn
_MICROPYTHON = sys.implementation.name == "micropython"


def _connect(name):
    sock = socket.socket(_AF_UNIX, _SEQPACKET)
    sock.connect(struct.pack("<H", _AF_UNIX) + name if _MICROPYTHON else name)
    return sock


class Line:
    """The station's link."""

    mac = MAC
    mtu = 1500
    headroom = _ETHERNET

    def __init__(self, cable):
        self._cable = cable
        self.oversize = 0

    def transmit(self, now, destination_mac, ethertype, buf, off, n):
        self.oversize += n > self.mtu
        start = off - _ETHERNET
        struct.pack_into(">6s6sH", buf, start, destination_mac, MAC, ethertype)
        self._cable.send(memoryview(buf)[start:off + n])


class Station:
    def __init__(self, cable, orders, ring):
        self.cable = cable
        self.orders = orders
        self.line = Line(cable)
        self.stack = Stack(entropy)
        if ring:
            self.stack.tcp.send_ring = self.stack.tcp.receive_ring = ring
        self.interface = self.stack.add_interface(self.line)
        self.interface.set_addresses(now_ms(), ADDRESSES)
        self.interface.set_routes(ROUTES)
        self.conversations = []
        self.woken = []
        self.exceptions = []
        self.results = []           # of what was ordered, by number: None until there is one
        for port, service in SERVICES.items():
            self.serve(port, service)
        self.deaf = self.listen(DEAF)
        self.udp = UdpSocket(self.stack)
        self.udp.bind(None, UDP_ECHO)

    def listen(self, port):
        listener = TcpSocket(self.stack)
        listener.bind(None, port)
        listener.listen(BACKLOG)
        return listener

    def serve(self, port, service):
        listener = self.listen(port)

        def accept():
            child = listener.accept()
            while child is not None:
                service(self, child)
                child = listener.accept()

        listener.on_event = accept

    # --- frames ---

    def take(self, now):
        """Take what has come, a batch at most; returns how many frames."""
        for taken in range(_BATCH):
            try:
                self.receive(now, self.cable.recv(_FRAME, _DONTWAIT))
            except OSError as error:
                _expect_nothing_more(error)
                return taken
        return _BATCH

    def catch_up(self, now):
        """Take all that the kernel has said until now: what the bridge was kept from passing on is
        not late."""
        self.cable.send(SO_FAR)
        frame = self.cable.recv(_FRAME)
        while frame != SO_FAR:
            self.receive(now, frame)
            frame = self.cable.recv(_FRAME)

    def receive(self, now, frame):
        try:
            self.interface.receive(now, frame[6:12], frame[:6], frame[12] << 8 | frame[13], frame,
                                   _ETHERNET, len(frame) - _ETHERNET)
        except Exception as error:
            if not frame:
                sys.exit()
            self.exceptions.append("%r: %s" % (error, bytes(frame[:200]).hex()))

    def work(self, now):
        """The services' turn."""
        while self.woken:
            self.woken.pop(0).run(now)
        received = self.udp.recvfrom()
        while received is not None:
            try:
                self.udp.sendto(now, *received)
            except OSError as error:
                self.stack.count("udp_error_%d" % error.errno)
            received = self.udp.recvfrom()

    # --- orders ---

    def obey(self, now):
        """Do what is ordered, if anything is, and answer it. False when there is nobody to obey
        any more."""
        try:
            order = self.orders.recv(_FRAME, _DONTWAIT)
        except OSError as error:
            _expect_nothing_more(error)
            return True
        if not order:
            return False
        arguments = json.loads(order)
        answer = getattr(self, "do_" + arguments.pop("do"))(now, **arguments)
        self.orders.send(json.dumps(answer).encode())
        return True

    def promise(self):
        """The number of a result that will be there later, and who takes it."""
        number = len(self.results)
        self.results.append(None)

        def deliver(result):
            self.results[number] = result

        return number, deliver

    def do_result(self, now, number):
        return self.results[number]

    def do_call(self, now, ip, port, send):
        """Connect as Caller does."""
        caller = TcpSocket(self.stack)
        number, deliver = self.promise()
        caller.connect(now, bytes.fromhex(ip), port)
        Caller(self, caller, send, lambda call: deliver(call.result()))
        return number

    def do_ping(self, now, ip, size):
        number, deliver = self.promise()
        self.stack.echo(now, bytes.fromhex(ip), 1, number, bytes(size),
                        lambda now, ip, sequence, data: deliver({"answer": data is not None
                                                                 and len(data)}))
        return number

    def do_datagram(self, now, ip, port):
        """Send a datagram by a connected socket; the result is what comes of it."""
        number, deliver = self.promise()
        sender = UdpSocket(self.stack)
        sender.connect(bytes.fromhex(ip), port)

        def on_event():
            try:
                deliver({"data": sender.recvfrom()[0].decode()})
            except OSError as error:
                deliver({"error": error.errno})
            sender.close(now)

        sender.on_event = on_event
        sender.sendto(now, b"station", bytes.fromhex(ip), port)
        return number

    def do_abort(self, now):
        """Break off all connections."""
        conversations = list(self.conversations)
        for conversation in conversations:
            conversation.socket.abort(now)
            conversation.end(now)
        return len(conversations)

    def do_accept(self, now):
        """Serve what the deaf listener has; returns how many those are."""
        n = 0
        child = self.deaf.accept()
        while child is not None:
            Echo(self, child)
            n += 1
            child = self.deaf.accept()
        return n

    def do_wake(self, now):
        """Have the sleepers read."""
        for conversation in self.conversations:
            if isinstance(conversation, Sleeper):
                conversation.asleep = False
                conversation.wake()

    def do_conversations(self, now):
        return len(self.conversations)

    def do_waiting(self, now):
        """How many the deaf listener has."""
        return len(self.deaf._ready)

    def do_connections(self, now):
        """Each connection's state, and what the window still takes: ours and the peer's."""
        return [{"state": each.state, "ours": each._rcv_edge - each.rcv_nxt,
                 "peers": each._snd_wnd} for each in self.stack.tcp.connections.values()]

    def do_mtu(self, now, mtu):
        self.line.mtu = mtu
        self.interface.set_addresses(now, ADDRESSES)

    def do_path_mtu(self, now, ip):
        """What the way of a connection to `ip` takes."""
        ip = bytes.fromhex(ip)
        ours = [address for address, _ in ADDRESSES if len(address) == len(ip)]
        return self.stack.route(ip, ours[0]).mtu

    def do_report(self, now):
        """What has happened, the exceptions since the last time, and what is held."""
        exceptions, self.exceptions = self.exceptions, []
        gc.collect()
        stack = self.stack
        return {
            "counters": stack.counters,
            "oversize": self.line.oversize,
            "exceptions": exceptions[:3],
            "connections": len(stack.tcp.connections),
            "memory": gc.mem_alloc() if _MICROPYTHON else sys.getallocatedblocks(),
        }


def _expect_nothing_more(error):
    if error.errno != errno.EAGAIN:
        raise error


def main():
    station = Station(_connect(FRAMES), _connect(ORDERS),
                      int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    poller = select.poll()
    poller.register(station.cable, select.POLLIN)
    poller.register(station.orders, select.POLLIN)
    due_ms = now_ms()
    while True:
        poller.poll(-1 if due_ms is None else max(due_ms - now_ms(), 0))
        now = now_ms()
        if not station.take(now) and due_ms is not None and due_ms <= now:
            station.catch_up(now)
        if not station.obey(now):
            return
        station.work(now)
        due_ms = station.stack.poll(now)


main()
