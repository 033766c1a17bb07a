"""Whole nodes on a simulated Internet: a network of our own from the root up."""

from host_tools.simulation.lan import SIGNER
from mpcore.ip.tcp import TcpSocket
from mpcore.ip.udp import UdpSocket
from mpcore.vl1 import packet, traversal
from mpcore.vl1.world import MOON, World
from mpcore.vl2.addressing import mac_of

from tests.core.scenes import Lan, identity


class Transfer:
    """Sends `data` over TCP from one node to another; polled by the wire."""

    def __init__(self, lan, sender, receiver, data, port=7000):
        self.lan = lan
        self.data = memoryview(data)
        self.sent = 0
        self.received = bytearray()
        self.done = False
        self.accepted = None
        self.listener = TcpSocket(receiver.stack)
        self.listener.bind(None, port)
        self.listener.listen(1)
        self.client = TcpSocket(sender.stack)
        self.client.connect(lan.wire.now, lan.ip(receiver), port)
        self.ends = (sender, receiver)
        lan.wire.every(self.poll)

    def poll(self, now):
        if self.done:
            return None
        if self.sent < len(self.data):
            self.sent += self.client.send(now, self.data[self.sent:])
            if self.sent == len(self.data):
                self.client.shutdown_write(now)
        if self.accepted is None:
            self.accepted = self.listener.accept()
        if self.accepted is not None:
            while True:
                piece = self.accepted.recv(now, 4096)
                if piece is None:
                    break
                if not piece:
                    self.done = True
                    break
                self.received += piece
        for node in self.ends:
            self.lan.wire.touch(node)
        return now + 5


def test_members_join_resolve_each_other_and_ping():
    lan = Lan()
    assert lan.joined()
    a, b = lan.members
    assert lan.network(a).mac == mac_of(lan.nwid, a.identity.address)
    assert lan.ip(a) != lan.ip(b) and lan.ip(a)[:3] == bytes((10, 147, 17))
    assert lan.ping(a, b) is not None
    assert lan.ping(b, a) is not None
    lan.run(1000)
    relayed = lan.root.vl1.counters["relayed"]
    assert lan.ping(a, b) <= 4  # one round trip on the direct path
    assert lan.root.vl1.counters["relayed"] == relayed


def test_a_join_takes_few_round_trips():
    lan = Lan(delay_ms=10, options={"sliced": False})   # each slice takes 1 ms on this wire
    assert lan.joined()
    assert lan.wire.now < 400
    assert lan.ping(*lan.members) < 400


def test_members_of_a_private_network_need_authorisation():
    lan = Lan(private=True)
    lan.run(3000)
    a, b = lan.members
    assert lan.network(a).status == "ACCESS_DENIED"
    for member in lan.members:
        lan.controller.authorize(lan.wire.now, lan.nwid, member.identity.address)
    assert lan.joined()
    assert lan.ping(a, b) is not None
    lan.controller.authorize(lan.wire.now, lan.nwid, b.identity.address, False)
    lan.run(2000)
    assert lan.network(b).status == "ACCESS_DENIED"
    assert lan.ping(a, b) is None
    assert lan.ping(b, a) is None


def test_a_stranger_is_not_heard_on_a_private_network():
    lan = Lan(members=1, private=True)
    a = lan.members[0]
    lan.controller.authorize(lan.wire.now, lan.nwid, a.identity.address)
    assert lan.joined()
    stranger = lan.start_member(9)
    lan.run(6000)
    assert lan.network(stranger).status == "ACCESS_DENIED"
    assert lan.network(stranger).config is None


def test_udp_broadcast_reaches_every_member():
    lan = Lan(members=3)
    assert lan.joined()
    lan.run(1000)  # everyone has told the root which groups it is in
    sockets = []
    for member in lan.members:
        sock = UdpSocket(member.stack)
        sock.broadcast = True
        sock.bind(None, 4000)
        sockets.append(sock)
    sockets[0].sendto(lan.wire.now, b"who is there?", b"\xff\xff\xff\xff", 4000)
    lan.wire.touch(lan.members[0])
    heard = {}

    def all_heard():
        for i, sock in enumerate(sockets):
            message = sock.recvfrom()
            if message is not None:
                heard[i] = message
        return 1 in heard and 2 in heard

    assert lan.run(5000, all_heard)
    assert heard[1] == (b"who is there?", lan.ip(lan.members[0]), 4000)


def test_tcp_carries_what_does_not_fit_its_buffers():
    lan = Lan()
    assert lan.joined()
    data = bytes([i * 31 >> 3 & 255 for i in range(1 << 14)]) * 4
    transfer = Transfer(lan, lan.members[0], lan.members[1], data)
    assert lan.run(60000, lambda: transfer.done)
    assert bytes(transfer.received) == data


def test_tcp_survives_twenty_percent_loss():
    lan = Lan(seed=2, loss=0.2, delay_ms=5, jitter_ms=10)
    assert lan.joined(60000)
    data = bytes([i * 31 >> 3 & 255 for i in range(20000)])
    transfer = Transfer(lan, lan.members[0], lan.members[1], data)
    assert lan.run(600000, lambda: transfer.done)
    assert bytes(transfer.received) == data


def test_who_is_told_of_groups_in_turns_may_be_forgotten_before():
    lan = Lan(members=3, options={"sliced": True})
    assert lan.joined()
    a, b, c = lan.members
    assert lan.ping(a, b) is not None and lan.ping(a, c) is not None
    lan.run(600000)                     # since then nobody has said a word
    network = lan.network(a)
    members = network._listening_members()
    now = max([member.announced_ms for member in members]) + 200000
    for _ in network._announce(now):
        if [member for member in members if member.announced_ms == now]:
            for member in members:
                a.vl1.peers.pop(member.address, None)
    assert [member.announced_ms == now for member in members] == [True, False]


def test_large_frames_travel_in_two_fragments():
    lan = Lan()
    assert lan.joined()
    a, b = lan.members
    sock = UdpSocket(b.stack)
    sock.bind(None, 5000)
    sender = UdpSocket(a.stack)
    text = bytes([i & 255 for i in range(2700)])
    sender.sendto(lan.wire.now, text, lan.ip(b), 5000)
    lan.wire.touch(a)
    assert lan.run(3000, lambda: bool(sock.events() & 1))
    assert sock.recvfrom()[0] == text


def test_talk_goes_on_while_root_and_controller_are_away():
    lan = Lan()
    assert lan.joined()
    a, b = lan.members
    assert lan.ping(a, b) is not None
    lan.run(1000)
    lan.wire.detach(lan.root)
    lan.wire.detach(lan.controller_node)
    for _ in range(12):
        lan.run(10000)
        assert lan.ping(a, b) is not None


def test_a_restarted_root_serves_again():
    lan = Lan()
    assert lan.joined()
    lan.wire.detach(lan.root)
    lan.run(60000)
    lan.start_root()
    lan.run(15000)
    newcomer = lan.start_member(4)
    assert lan.joined(20000)
    assert lan.ping(newcomer, lan.members[0]) is not None


def test_a_restarted_controller_remembers_its_members():
    lan = Lan(private=True)
    a, b = lan.members
    for member in lan.members:
        lan.controller.authorize(lan.wire.now, lan.nwid, member.identity.address)
    assert lan.joined()
    ips = [lan.ip(m) for m in lan.members]
    lan.wire.detach(lan.controller_node)
    lan.run(30000)
    lan.start_controller()  # with what it stored
    lan.run(90000)
    assert [lan.ip(m) for m in lan.members] == ips
    newcomer = lan.start_member(4)
    lan.controller.authorize(lan.wire.now, lan.nwid, newcomer.identity.address)
    assert lan.joined(20000)
    assert lan.ping(newcomer, b) is not None


def test_a_member_starts_from_its_cached_config():
    lan = Lan()
    assert lan.joined()
    a, b = lan.members
    storage = a.port.storage
    lan.wire.detach(a)
    lan.wire.detach(lan.controller_node)
    lan.members.remove(a)
    again = lan.start_member(2, storage)
    assert lan.network(again).config is not None
    assert lan.ping(again, b, 20000) is not None


def test_a_dead_members_traffic_ends_and_the_rest_goes_on():
    lan = Lan(members=3)
    assert lan.joined()
    a, b, c = lan.members
    assert lan.ping(a, b) is not None and lan.ping(a, c) is not None
    lan.wire.detach(b)
    assert lan.ping(a, b) is None
    assert lan.ping(a, c) is not None


def test_leaving_ends_membership():
    lan = Lan()
    assert lan.joined()
    a, b = lan.members
    a.leave(lan.wire.now, lan.nwid)
    assert lan.nwid not in a.networks and not a.stack.interfaces
    assert lan.ping(b, b) is not None  # loopback to its own address


def test_no_path_leads_through_a_network_of_ours():
    lan = Lan()
    assert lan.joined()
    a, b = lan.members
    inside = lan.ip(b) + b"\x27\x09"
    outside = b.port.endpoint[:3] + b"\x63\x27\x09"
    told = traversal.push_payload([inside, outside])
    asked = []
    lan.wire.passes = lambda source, destination: asked.append(destination) or True
    b.vl1.send(lan.wire.now, a.identity.address, packet.PUSH_DIRECT_PATHS, told)
    lan.wire.touch(b)
    lan.run(1000)
    assert outside in asked and inside not in asked
    # Neither do we tell of such an address of our own.
    a.port.endpoints = lambda: [inside, outside]
    a.vl1.contact.local_endpoints = a.port.endpoints
    lan.run(130000)
    del asked[:]
    assert lan.ping(a, b) is not None
    lan.run(5000)
    assert outside in asked and inside not in asked
    peer = a.vl1.peers[b.identity.address]
    assert not a.vl1.contact.acceptable(peer, inside)
    a.leave(lan.wire.now, lan.nwid)
    assert a.vl1.contact.acceptable(peer, inside)


def test_a_lean_node_joins_and_is_reached():
    lan = Lan(members=1)
    lean = lan.start_member(5, validate=False)
    assert lan.joined()
    assert lan.ping(lan.members[0], lean) is not None
    assert lan.ping(lean, lan.members[0]) is not None


def test_two_networks_at_once():
    lan = Lan(members=1)
    second = identity(1).address + b"\0\0\x02"
    lan.controller.create_network(lan.wire.now, {
        "private": False, "v4AssignMode": {"zt": True},
        "routes": [{"target": "10.99.0.0/24", "via": None}],
        "ipAssignmentPools": [{"ipRangeStart": "10.99.0.1", "ipRangeEnd": "10.99.0.99"}]}, second)
    other = lan.start_member(3)
    for member in lan.members:
        member.join(lan.wire.now, second)
    assert lan.joined()
    assert lan.run(6000, lambda: all(m.networks[second].status == "OK" for m in lan.members))
    assert lan.ping(lan.members[0], other) is not None
    lan.nwid = second
    assert lan.ip(other)[:3] == bytes((10, 99, 0))
    assert lan.ping(lan.members[0], other) is not None


def test_a_newcomer_hears_broadcasts_within_seconds():
    lan = Lan()
    assert lan.joined()
    a = lan.members[0]
    sender = UdpSocket(a.stack)
    sender.broadcast = True

    def look(now):
        sender.sendto(now, b"anybody new?", b"\xff\xff\xff\xff", 4000)
        lan.wire.touch(a)
        return now + 1000

    lan.wire.every(look)
    lan.run(10000)
    newcomer = lan.start_member(4)
    assert lan.joined()
    joined_ms = lan.wire.now
    sock = UdpSocket(newcomer.stack)
    sock.bind(None, 4000)
    assert lan.run(10000, lambda: bool(sock.events() & 1))
    assert lan.wire.now - joined_ms < 7000


def test_moons_are_stored_and_found_at_the_next_start():
    lan = Lan()
    a, b = lan.members
    assert lan.joined()
    moon_id = b"\0\0\0" + b.identity.address
    made = World.make(MOON, moon_id, 5, [(b.identity, [])], SIGNER)
    b.vl1.upstreams.moons[moon_id] = made
    a.orbit(lan.wire.now, moon_id, b.identity.address)
    assert lan.run(40000, lambda: moon_id in a.vl1.upstreams.moons)
    name = "moons.d/%s.moon" % moon_id.hex()
    assert a.port.storage[name] == made.to_bytes()
    lan.wire.detach(a)
    lan.members.remove(a)
    a.port.storage["moons.d/%s.moon" % bytes(8).hex()] = made.to_bytes()  # not its name
    a.port.storage["moons.d/x.moon"] = b"?"
    again = lan.start_member(2, a.port.storage)
    assert list(again.vl1.upstreams.moons) == [moon_id]
    assert again.deorbit(lan.wire.now, moon_id)
    assert name not in again.port.storage
