"""Does one piece of a node's work COUNT times, in one MicroPython process, for its instructions to
be counted from outside; prints {"bytes": of heap for each}.

    micropython pieces.py PIECE COUNT

The pieces from `vl1` to `tcp` are round trips of 64 bytes of payload between two nodes that are
joined by a list in place of a wire; each contains the ones before it.
"""

import gc
import json
import sys

_ROOT = __file__.rpartition("/")[0] + "/../../.."
sys.path.insert(1, _ROOT)

from mpcore import crypto
from mpcore.crypto import PacketCipher

SIZE = 64
SALSA = 1
HEADERS = 28 + 10 + 40      # of VL1, VL2, and IPv4 with TCP: what a segment of SIZE has around it
ETHERTYPE = 0x88B5          # for experiments


# --- kernels -------------------------------------------------------------------------------


def armor(n):
    cipher, buf = PacketCipher(bytes(48)), bytearray(1 + n)
    return lambda: cipher.armor(buf, 1, n, SALSA)


def dearmor(n):
    cipher, armored = PacketCipher(bytes(48)), bytearray(1 + n)
    cipher.armor(armored, 1, n, SALSA)
    buf = bytearray(1 + n)

    def work():
        buf[:] = armored
        assert cipher.dearmor(buf, 1, n)

    return work


def sha512(n):
    data = bytes(n)
    return lambda: crypto.sha512(data)


def x25519():
    private, public = bytes(range(32)), crypto.x25519_public(bytes(range(1, 33)))
    return lambda: crypto.x25519(private, public)


def verify():
    seed, message = bytes(range(32)), bytes(32)
    public, signature = crypto.ed25519_public(seed), crypto.ed25519_sign(seed, message)

    def work():
        assert crypto.ed25519_verify(public, message, signature)

    return work


# --- a datagram in -------------------------------------------------------------------------


def leaves():
    """Two nodes up to floor 2 with a direct path, and their simulated wire."""
    from tests.core.scenes import Segment, identity
    segment = Segment(leaves=0)
    for i in (1, 2):
        segment.root.vl1.add_peer(0, identity(i))
        segment.start_leaf(i, validate=False)
    a, b = segment.leaves
    for _ in range(5):
        a.say(segment.wire.now, b, b"?")
        b.say(segment.wire.now, a, b"?")
        segment.run(2000)
    assert a.vl1.peers[b.address].direct(segment.wire.now)
    return a, b, segment.wire


def dispatch(n):
    """A datagram of n bytes comes in: parsed, dearmored, handed to its verb."""
    from mpcore.vl1 import packet
    a, b, wire = leaves()
    taken = []
    b.vl1.on(packet.USER_MESSAGE, lambda now, peer, received: None)
    wire.transmit = lambda source, destination, data: taken.append((source, data))
    a.vl1.send(wire.now, b.address, packet.USER_MESSAGE, bytes(n - packet.HEADER))
    ((source, armored),) = taken
    assert len(armored) == n
    buf, now = bytearray(1 + n), wire.now

    def work():
        buf[1:] = armored
        b.receive(now, source, buf, 1, n)

    return work


# --- round trips, layer by layer -----------------------------------------------------------


class Cable:
    """In place of the simulated wire: what one node has sent, the other has at once."""

    def __init__(self, wire, nodes):
        self._nodes = {node.port.endpoint: node for node in nodes}
        self._queue = []
        self.now = wire.now
        wire.transmit = self._transmit

    def _transmit(self, source, destination, data):
        self._queue.append((source, destination, data))

    def settle(self):
        queue, nodes = self._queue, self._nodes
        while queue:
            source, destination, data = queue.pop(0)
            node = nodes.get(destination)
            if node is not None:
                node.receive(self.now, source, bytearray(1) + data, 1, len(data))


def vl1():
    from mpcore.vl1 import packet
    from mpcore.vl1.packet import HEADER, START
    a, b, wire = leaves()
    cable = Cable(wire, (a, b))
    size = SIZE + HEADERS - HEADER
    off = START + HEADER
    trips = [0]

    def send(sender, to):
        sender.vl1.send_in_place(cable.now, to.address, packet.USER_MESSAGE,
                                 bytearray(off + size), off, size)

    def came_back(now, peer, received):
        trips[0] += 1

    a.vl1.on(packet.USER_MESSAGE, came_back)
    b.vl1.on(packet.USER_MESSAGE, lambda now, peer, received: send(b, a))

    def work():
        before = trips[0]
        send(a, b)
        cable.settle()
        assert trips[0] == before + 1

    return work


def members():
    """(two members with a direct path, their networks, a Cable)."""
    from tests.core.scenes import Lan, identity
    lan = Lan(members=0)
    for i in (1, 2, 3):
        lan.root.vl1.add_peer(0, identity(i))
    for i in (2, 3):
        lan.start_member(i, validate=False)
    assert lan.joined()
    a, b = lan.members
    for _ in range(5):
        lan.ping(a, b)
        lan.ping(b, a)
    assert a.vl1.peers[b.identity.address].direct(lan.wire.now)
    return lan, Cable(lan.wire, (a, b))


def vl2():
    lan, cable = members()
    a, b = [lan.network(member) for member in lan.members]
    size, room = SIZE + 40, a.headroom
    trips = [0]

    def send(network, to):
        network.transmit(cable.now, to.mac, ETHERTYPE, bytearray(room + size), room, size)

    class Back:
        def receive(self, *frame):
            trips[0] += 1

    class Answer:
        def receive(self, *frame):
            send(b, a)

    a.above, b.above = Back(), Answer()

    def work():
        before = trips[0]
        send(a, b)
        cable.settle()
        assert trips[0] == before + 1

    return work


def frame(n, out):
    """A frame whose datagram has n bytes, out of one member or into another."""
    from mpcore.octets import copy
    lan, cable = members()
    a, b = [lan.network(member) for member in lan.members]
    size, room, now, taken = n - 38, a.headroom, cable.now, []
    payload = bytearray(room + size)
    heard = [0]

    class Hear:
        def receive(self, *frame):
            heard[0] += 1

    class HearNothing:
        def receive(self, now, source_mac, destination_mac, ethertype, buf, off, n):
            pass

    def send():
        a.transmit(now, b.mac, ETHERTYPE, payload, room, size)

    b.above = Hear()
    for _ in range(3):
        send()
        cable.settle()
    assert heard == [3]
    vl1 = lan.members[0].vl1
    if out:
        vl1.datagram = lambda endpoint, buf, off, n: None
        return send
    vl1.datagram = lambda endpoint, buf, off, n: taken.append(bytes(buf[off:off + n]))
    send()
    armored, source = taken[0], lan.members[0].port.endpoint
    assert len(armored) == n
    buf, receiver = bytearray(1 + n), lan.members[1].receiver
    b.above = HearNothing()

    def work():
        copy(buf, 1, armored, 0, n)
        receiver.receive(now, source, buf, 1, n)

    return work


def tcp():
    from mpcore.ip.tcp import TcpSocket
    lan, cable = members()
    a, b = lan.members
    now = cable.now
    listener = TcpSocket(b.stack)
    listener.bind(None, 80)
    listener.listen(1)
    client = TcpSocket(a.stack)
    client.bind(None, 50000)
    client.connect(now, lan.ip(b), 80)
    for _ in range(10):
        cable.settle()
        a.stack.poll(now)
        b.stack.poll(now)
    server = listener.accept()
    message, trips = bytes(SIZE), [0]

    def echo():
        data = server.recv(now, SIZE)
        if data:
            server.send(now, data)

    def came_back():
        if client.recv(now, SIZE):
            trips[0] += 1

    server.on_event, client.on_event = echo, came_back

    def work():
        # The application's task runs, then the poll that its kick asked for (runtime.py).
        before = trips[0]
        client.send(now, message)
        a.stack.poll(now)
        cable.settle()
        b.stack.poll(now)
        cable.settle()
        assert trips[0] == before + 1

    return work


def port():
    """A datagram of a segment's size there and back between two sockets of ours."""
    from mpcore.port import Port, now_ms
    near, far = [Port("/tmp", "127.0.0.1:%d" % number) for number in map(int, sys.argv[3:5])]
    buf = bytearray(1 + SIZE + HEADERS)
    there, here = far.endpoints()[0], near.endpoints()[0]
    trips = [0]

    class Echo:
        def receive(self, now, endpoint, data, off, n):
            far.send(here, data, off, n)

    class Back:
        def receive(self, now, endpoint, data, off, n):
            trips[0] += 1

    echo, back = Echo(), Back()

    def work():
        before = trips[0]
        near.send(there, buf, 1, SIZE + HEADERS)
        far.drain(echo, now_ms)
        near.drain(back, now_ms)
        assert trips[0] == before + 1

    return work


PIECES = {
    "armor 64": lambda: armor(64), "armor 1400": lambda: armor(1400),
    "dearmor 64": lambda: dearmor(64), "dearmor 1400": lambda: dearmor(1400),
    "sha512 block": lambda: sha512(100), "sha512 two blocks": lambda: sha512(200),
    "x25519": x25519, "ed25519 verify": verify, "dispatch 128": lambda: dispatch(128),
    "frame in 128": lambda: frame(128, False), "frame out 128": lambda: frame(128, True),
    "armor segment": lambda: armor(SIZE + HEADERS),
    "dearmor segment": lambda: dearmor(SIZE + HEADERS),
    "vl1": vl1, "vl2": vl2, "tcp": tcp, "port": port,
}


def main(piece, count):
    work = PIECES[piece]()
    work()
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(min(count, 100)):
        work()
    used = gc.mem_alloc() - before
    gc.enable()
    for _ in range(count - 100):
        work()
    print(json.dumps({"bytes": used // max(1, min(count, 100))}))


main(sys.argv[1], int(sys.argv[2]))
