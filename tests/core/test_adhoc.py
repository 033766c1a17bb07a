"""Ad-hoc networks: the config that follows from the ID, and nodes on them."""

from mpcore.ip import tcp as T
from mpcore.ip.tcp import TcpSocket
from mpcore.vl1 import inet, packet
from mpcore.vl2 import adhoc, credentials, rules
from mpcore.vl2.addressing import mac_of
from mpcore.vl2.config import DEFAULT_MTU

from tests.core.scenes import Lan, identity
from tests.core.support import raises, vectors
from tests.core.vl2_scene import ANNE, ME, ROOT, Scene

SSH = bytes.fromhex("ff00160016000000")
ELEVEN = bytes.fromhex("ff0b000000000001")


def ids(status):
    for case in vectors("addressing.json")["adhoc_networks"]:
        if case["status"] == status:
            yield case, bytes.fromhex(case["network_id"]), bytes.fromhex(case["member"])


def test_configs_follow_from_ids():
    for case, network_id, member in ids("OK"):
        expected = case["config"]
        made = adhoc.config(network_id, member, 5)
        assert made.name.hex() == expected["name"]
        assert made.public and expected["type"] == "public" and made.com is None
        assert made.flags == int(expected["flags"], 16)
        assert made.multicast_limit == expected["multicast_limit"]
        assert made.mtu == expected["mtu"] == DEFAULT_MTU
        assert (made.timestamp, made.revision, made.credential_max_delta) == (5, 1, 7200000)
        assert [(ip, str(bits)) for ip, bits in made.static_ips] == [
            (inet.ip_parse(text.split("/")[0]), text.split("/")[1])
            for text in expected["static_ips"]]
        assert [(roles.to_bytes(3, "big") + address).hex()
                for address, roles in made.specialists] == expected["specialists"]
        assert not made.routes and not expected["routes"]
        parsed = rules.parse(made.rules)
        assert [t for t, _ in parsed] == [rule["t"] for rule in expected["rules"]]
        for (_, operand), rule in zip(parsed, expected["rules"]):
            if "port_from" in rule:
                assert operand == (rule["port_from"] << 16 | rule["port_to"]).to_bytes(4, "big")
            elif "ethertype" in rule:
                assert operand.hex() == rule["ethertype"]
            elif "ip_protocol" in rule:
                assert operand == bytes((rule["ip_protocol"],))
            elif "characteristics" in rule:
                assert operand.hex() == rule["characteristics"]
            else:
                assert operand == b""


def test_ids_without_a_config():
    for _, network_id, member in ids("NOT_FOUND"):
        raises(ValueError, adhoc.config, network_id, member, 0)
        scene = Scene(join=False)
        network = scene.vl2.join(0, network_id)
        assert network.status == "NOT_FOUND" and network.config is None
    for _, network_id, member in ids("REQUESTING_CONFIGURATION"):
        assert adhoc.config(network_id, member, 0) is None
        scene = Scene(join=False)
        network = scene.vl2.join(0, network_id)
        assert network.status == "REQUESTING_CONFIGURATION" and network.config is None


def test_nobody_is_asked_and_nobody_may_interfere():
    scene = Scene(join=False)
    network = scene.vl2.join(0, SSH)
    assert network.status == "OK" and network.controller is None
    renewed = network.config.timestamp
    now = 0
    while now <= 60000:
        now = scene.vl2.poll(now)
    assert network.config.timestamp == renewed + 60000
    sent = scene.vl1.take()
    assert [s.verb for s in sent if s.verb != packet.MULTICAST_LIKE] == []
    assert set([s.to for s in sent]) <= set((ROOT.address,))
    tag = credentials.Tag.issue(ANNE, SSH, 5, 1, 2, ME.address)
    scene.vl1.inject(now, ANNE, packet.NETWORK_CREDENTIALS, credentials.pack(tags=(tag,)))
    scene.vl1.inject(now, ANNE, packet.NETWORK_CONFIG, SSH + bytes(100))
    assert scene.vl1.take() == [] and scene.vl1.asked == [] and scene.vl1.counters == {}


def lan(network_id, members=2):
    scene = Lan(members=members)
    scene.nwid = network_id
    for node in scene.members:
        node.join(scene.wire.now, network_id)
        scene.wire.touch(node)
    return scene


def connect(scene, a, b, port):
    """Whether a TCP connection to a port of b comes to be within 3 s."""
    listener, client = TcpSocket(b.stack), TcpSocket(a.stack)
    listener.bind(None, port)
    listener.listen(1)
    client.connect(scene.wire.now, scene.ip(b), port)
    scene.wire.touch(a)
    return scene.run(3000, lambda: client.state == T.ESTABLISHED)


def test_ipv6_and_one_port():
    scene = lan(SSH)
    a, b = scene.members
    assert scene.ping(a, b) is not None
    assert connect(scene, a, b, 22)
    assert not connect(scene, a, b, 80)
    assert a.vl1.counters["rules_out"] >= 1


def test_ipv4_by_the_address():
    scene = lan(ELEVEN)
    a, b = scene.members
    assert connect(scene, a, b, 80)
    low = identity(3).address[2:]
    assert scene.network(b).config.static_ips[1] == (b"\x0b" + low, 8)
    answers = []
    a.stack.echo(scene.wire.now, b"\x0b" + low, 7, 1, b"", lambda *got: answers.append(got))
    scene.wire.touch(a)
    assert scene.run(5000, lambda: bool(answers))
    assert scene.network(a).mac == mac_of(ELEVEN, a.vl1.address)


def test_leaving():
    scene = lan(SSH)
    a, b = scene.members
    a.leave(scene.wire.now, SSH)
    assert SSH not in a.networks and scene.ping(b, b) is not None
