"""Whole nodes with IPv6: addresses by the controller's two schemes, NDP emulated and real."""

from mpcore.ip import tcp as T
from mpcore.ip.tcp import TcpSocket
from mpcore.ip.udp import UdpSocket
from mpcore.vl2 import addressing

from tests.core.scenes import Lan

SCHEMES = (("rfc4193", addressing.rfc4193), ("6plane", addressing.sixplane))


def lan(scheme, **options):
    return Lan(fields={"v4AssignMode": {"zt": False}, "v6AssignMode": {scheme: True}}, **options)


def converse(scene, a, b, ip, port=80):
    """100 kB from a to b's port and back by TCP; returns the ms that it took, or None."""
    wire = scene.wire
    started_ms = wire.now
    listener, client = TcpSocket(b.stack), TcpSocket(a.stack)
    listener.bind(None, port)
    listener.listen(1)
    client.connect(wire.now, ip, port)
    data = bytes(range(250)) * 400
    sent, received, held, servers = [0], [], [b""], []

    def step():
        now = wire.now
        before = sent[0], len(received), held[0]
        if client.state == T.ESTABLISHED and sent[0] < len(data):
            sent[0] += client.send(now, data[sent[0]:sent[0] + 4000])
        server = servers[0] if servers else listener.accept()
        if server is not None:
            servers[:] = [server]
            held[0] = held[0] or server.recv(now, 4000) or b""
            held[0] = held[0][server.send(now, held[0]):]
        if client.state == T.ESTABLISHED:
            part = client.recv(now, 4000)
            if part:
                received.append(part)
        if (sent[0], len(received), held[0]) != before:
            wire.touch(a)
            wire.touch(b)
        return sum([len(part) for part in received]) == len(data)

    scene.run(30000, step)
    listener.close(wire.now)
    return wire.now - started_ms if b"".join(received) == data else None


def test_ping_and_tcp_over_either_scheme():
    for scheme, address in SCHEMES:
        scene = lan(scheme)
        assert scene.joined()
        a, b = scene.members
        ip = address(scene.nwid, b.vl1.address)
        assert scene.ip(b) == ip
        assert scene.ping(a, b) <= 100
        assert converse(scene, a, b, ip) is not None
        for node in (a, b):
            assert not [c for c in node.stack.counters if c[:2] in ("ip", "nd", "ic")]
            # Whose an address is needs no wire here.
            assert "neighbour_unresolved" not in node.stack.counters


def test_tcp_over_ipv6_survives_loss():
    scene = lan("6plane", loss=0.03, jitter_ms=5)
    assert scene.joined(60000)
    a, b = scene.members
    assert converse(scene, a, b, scene.ip(b)) is not None


def test_link_local_addresses_are_found_by_multicast():
    scene = lan("rfc4193")
    assert scene.joined()
    a, b = scene.members
    scene.run(2000)
    target = [ip for ip in b.interfaces[scene.nwid].addresses if ip[0] == 0xFE][0]
    answers = []
    a.stack.echo(scene.wire.now, target, 7, 1, b"", lambda now, ip, *rest: answers.append(ip))
    scene.wire.touch(a)
    assert scene.run(5000, lambda: answers == [target])


def test_all_nodes_hear_a_ping():
    scene = lan("6plane", members=3)
    assert scene.joined()
    scene.run(2000)
    a, b, c = scene.members
    everybody = b"\xff\x02" + bytes(13) + b"\x01"
    answers = []

    def ping():
        a.stack.echo(scene.wire.now, everybody, 7, 1, b"",
                     lambda now, ip, *rest: answers.append(ip))
        scene.wire.touch(a)
        scene.run(3000, lambda: bool(answers))

    ping()
    assert answers and answers[0] in (scene.ip(b), scene.ip(c))


def test_both_families_side_by_side():
    scene = Lan(fields={"v6AssignMode": {"6plane": True, "rfc4193": True}})
    assert scene.joined()
    a, b = scene.members
    ips = [ip for ip, _ in scene.network(b).config.static_ips]
    assert sorted([len(ip) for ip in ips]) == [4, 16, 16]
    sender, receiver = UdpSocket(a.stack), UdpSocket(b.stack)
    receiver.bind(None, 5)
    for ip in ips:
        sender.sendto(scene.wire.now, bytes(2800), ip, 5)
        scene.wire.touch(a)
        assert scene.run(5000, lambda: receiver.events() & 1)
        data, source, port = receiver.recvfrom()
        assert data == bytes(2800) and len(source) == len(ip) and port == sender.local[1]
