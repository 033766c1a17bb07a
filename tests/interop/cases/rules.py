"""Case 7: a network with rules, tags and capabilities decides the same on our side as on theirs.

Each probe is one frame. It goes from one member to another, passing the rules of both ends, and
either arrives or does not; each of ours takes the place of libzt-2, whose tags and capabilities it
has, so what becomes of its frames must be what becomes of those between two real nodes.
"""

import time
from functools import partial

from cases import frames
from cases.case import OURS, Case, joined
from cases.frames import ACK, ARP, ICMP, ICMPV6, SYN, TCP, UDP
from mpcore.vl2 import addressing
from scene import check, wait_for

_POOL = "10.147.18.0/24"
_AGAIN_S = 1.2              # real nodes take credentials from one sender once a second
_ARRIVE_S = 0.4
_ROUNDS = 3
_PATIENCE_S = 20
_LAST = 9999                # the port of a probe that every rule lets pass

# Tags and capabilities of the role that libzt and zerotier-one have, and of the other.
_A = {"tags": [[1000, 5], [1001, 6], [1002, 9]], "capabilities": [1]}
_B = {"tags": [[1000, 6], [1001, 3]], "capabilities": [2, 3, 4]}


def cases(scene):
    yield Case("7", "rules, tags and capabilities decide alike on every side", decisions,
               list(scene.members), budget_s=120)
    yield Case("7", "copies and redirected frames go where the rules send them", copies,
               list(scene.members), budget_s=120)


# --- rules in the words of the controller's API ---------------------------------------------


def _match(kind, inverted=False, alternative=False, **fields):
    return {"type": "MATCH_" + kind, "not": inverted, "or": alternative} | fields


_not = partial(_match, inverted=True)
_or = partial(_match, alternative=True)


def _port(start, end=None, make=_match, which="DEST"):
    return make(f"IP_{which}_PORT_RANGE", start=start, end=end or start)


def _protocol(number, make=_match):
    return make("IP_PROTOCOL", ipProtocol=number)


def _is(mask, make=_match):
    return make("CHARACTERISTICS", mask=f"{mask:016x}")


def _rule(action, *matches, **fields):
    return [*matches, {"type": "ACTION_" + action} | fields]


_drop, _accept, _break = (partial(_rule, action) for action in ("DROP", "ACCEPT", "BREAK"))
_INBOUND, _OWNED = 1 << 63, 1 << 60


def _rules(libzt, libzt_mac):
    return sum((
        _drop(_not("ETHERTYPE", etherType=frames.IPV4), _not("ETHERTYPE", etherType=ARP),
              _not("ETHERTYPE", etherType=frames.IPV6)),
        _drop(_match("ICMP", icmpType=13, icmpCode=None)),
        _drop(_match("ICMP", icmpType=3, icmpCode=4)),
        _drop(_match("ICMP", icmpType=129, icmpCode=0)),
        _drop(_protocol(UDP), _port(5000, 5010)),
        _drop(_protocol(UDP), _port(6000, which="SOURCE")),
        _drop(_protocol(UDP), _port(1, 20000, _not)),
        _drop(_protocol(UDP), _protocol(132, _or), _port(5020)),
        _drop(_is(SYN), _is(ACK, _not), _port(80, 81, _not), _port(7000, 7010, _not),
              _port(5000, 5999, _not)),
        _drop(_match("FRAME_SIZE_RANGE", start=1000, end=1100)),
        _drop(_match("IP_TOS", mask=0xFC, start=0x20, end=0x28)),
        _drop(_match("IPV4_DEST", ip="192.0.2.0/24")),
        _drop(_match("IPV4_SOURCE", ip="198.51.100.7/32")),
        _drop(_match("IPV6_SOURCE", ip="fd66::/64")),
        _drop(_match("IPV6_DEST", ip="fd66::/64")),
        _drop(_is(_INBOUND), _port(5100)),
        _drop(_is(_INBOUND, _not), _port(5101)),
        _drop(_match("SOURCE_ZEROTIER_ADDRESS", zt=libzt), _port(5110)),
        _drop(_match("DEST_ZEROTIER_ADDRESS", zt=libzt), _port(5111)),
        _drop(_match("MAC_SOURCE", mac=libzt_mac), _port(5112)),
        _drop(_match("MAC_DEST", mac=libzt_mac), _port(5113)),
        _drop(_port(5120), _is(_OWNED, _not)),
        _accept(_port(5200), _match("TAGS_DIFFERENCE", id=1000, value=1)),
        _accept(_port(5201), _match("TAGS_DIFFERENCE", id=1000, value=0)),
        _accept(_port(5202), _match("TAGS_EQUAL", id=1000, value=5)),
        _accept(_port(5203), _match("TAGS_EQUAL", id=1003, value=4)),
        _accept(_port(5204), _match("TAGS_BITWISE_AND", id=1001, value=2)),
        _accept(_port(5205), _match("TAGS_BITWISE_OR", id=1001, value=7)),
        _accept(_port(5206), _match("TAGS_BITWISE_XOR", id=1001, value=5)),
        _accept(_port(5207), _match("TAG_SENDER", id=1000, value=5)),
        _accept(_port(5208), _match("TAG_RECEIVER", id=1000, value=5)),
        _accept(_port(5209), _not("TAGS_DIFFERENCE", id=1000, value=0)),
        _accept(_port(5210), _match("TAGS_EQUAL", id=1002, value=9)),
        _drop(_port(5200, 5299)),
        _break(_port(5300, 5399)),
        _accept(),
    ), [])


_CAPABILITIES = [
    {"id": 1, "rules": _accept(_port(5300))},
    {"id": 2, "rules": _accept(_port(5301)) + _drop(_port(5302))},
    {"id": 3, "rules": _accept(_port(5302))},
    {"id": 4, "rules": _accept(_port(5304), _match("TAG_RECEIVER", id=1000, value=5))},
]
_TAGS = [{"id": 1000, "default": None}, {"id": 1001, "default": None},
         {"id": 1002, "default": None}, {"id": 1003, "default": 4}]


# --- probes ---------------------------------------------------------------------------------


class _End:
    """A member on a network."""

    def __init__(self, scene, network, name, ip):
        member = scene.members[name]
        self.name = name
        self.ip = ip
        self.network = network
        self.mac = _mac(network, member)
        self.role = "A" if name in scene.foreign else "B"
        self.member = member


def _mac(network, member):
    return addressing.mac_of(bytes.fromhex(network), bytes.fromhex(member.address)).hex()


def _probes(source, target):
    """[(what it is, (ethertype, payload), whether it is to arrive)] for a way between two ends."""
    probes = []
    roles = source.role + target.role

    def probe(what, arrives, make=frames.ipv4, ends=(None, None), **more):
        protocol, data = more.pop("protocol", UDP), more.pop("data")
        ips = [given or end.ip for given, end in zip(ends, (source, target))]
        probes.append((what, make(len(probes) + 1, *ips, protocol, data, **more), arrives))

    def probe_6(what, arrives, protocol, data, ends=("fd77::1", "fd77::2")):
        probe(what, arrives, frames.ipv6, ends, protocol=protocol, data=data)

    for kind, code, arrives in ((8, 0, True), (0, 0, True), (13, 0, False), (13, 1, False),
                                (3, 4, False), (3, 1, True), (11, 0, True)):
        probe(f"ICMP {kind}/{code}", arrives, protocol=ICMP, data=frames.icmp(kind, code))
    for kind, arrives in ((128, True), (129, False)):
        probe_6(f"ICMPv6 {kind}", arrives, ICMPV6, frames.icmp(kind))
    for port, arrives in ((4999, True), (5000, False), (5005, False), (5010, False), (5011, True),
                          (5020, False), (20000, True), (20001, False), (53, True),
                          (5100, False), (5101, False), (5110, source.name != "libzt"),
                          (5111, target.name != "libzt"), (5112, source.name != "libzt"),
                          (5113, target.name != "libzt"), (5120, True)):
        probe(f"UDP to {port}", arrives, data=frames.udp(port))
        if port < 5110:
            probe_6(f"UDP to {port} over IPv6", arrives, UDP, frames.udp(port))
    probe("UDP from 6000", False, data=frames.udp(53, 6000))
    probe("UDP from 6001", True, data=frames.udp(53, 6001))
    for port, flags, arrives in ((80, SYN, True), (82, SYN, False), (82, SYN | ACK, True),
                                 (82, ACK, True), (7000, SYN, True), (7010, SYN, True),
                                 (7011, SYN, False), (5005, SYN, True), (5020, SYN, True)):
        probe(f"TCP {flags:02x} to {port}", arrives, protocol=TCP, data=frames.tcp(port, flags))
        probe_6(f"TCP {flags:02x} to {port} over IPv6", arrives, TCP, frames.tcp(port, flags))
    for size, arrives in ((971, True), (972, False), (1072, False), (1073, True)):
        probe(f"UDP of {size} bytes", arrives, data=frames.udp(53, size=size))
    for tos, arrives in ((0x1C, True), (0x20, False), (0x2B, False), (0x2C, True)):
        probe(f"TOS {tos:02x}", arrives, tos=tos, data=frames.udp(53))
    probe("to 192.0.2.255", False, ends=(None, "192.0.2.255"), data=frames.udp(53))
    probe("to 192.0.3.0", True, ends=(None, "192.0.3.0"), data=frames.udp(53))
    probe("from 198.51.100.7", False, ends=("198.51.100.7", None), data=frames.udp(53))
    probe("from 198.51.100.8", True, ends=("198.51.100.8", None), data=frames.udp(53))
    probe("from an address of others", False, ends=("198.51.100.8", None), data=frames.udp(5120))
    probe_6("from fd66::1", False, UDP, frames.udp(53), ("fd66::1", "fd77::1"))
    probe_6("to fd66::1", False, UDP, frames.udp(53), ("fd77::1", "fd66::1"))
    probe_6("to fd66:0:0:1::1", True, UDP, frames.udp(53), ("fd77::1", "fd66:0:0:1::1"))
    # What NOT makes of a tag that one end lacks is left out: 1.8.4 and 1.14.1 disagree.
    mixed = roles != "BB"
    for port, arrives in ((5200, True), (5201, not mixed), (5202, False), (5203, True),
                          (5204, mixed), (5205, mixed), (5206, mixed), (5207, roles == "AB"),
                          (5208, roles == "BA"), (5209, mixed), (5210, False)):
        probe(f"UDP to {port}, by tags", arrives, data=frames.udp(port))
    for port, arrives in ((5300, source.role == "A"), (5301, source.role == "B"),
                          (5302, source.role == "B"), (5303, False), (5304, roles == "BA")):
        probe(f"UDP to {port}, by capabilities", arrives, data=frames.udp(port))
    probes.append(("an unknown ethertype", (0x88B5, bytes(60)), False))
    probe("the last", True, data=frames.udp(_LAST))
    return probes


def _transmit(source, target, payloads):
    source.member.call("transmit", nwid=source.network, source_mac=source.mac,
                       destination_mac=target.mac,
                       frames=[[ethertype, payload.hex()] for ethertype, payload in payloads])


def _seen(end):
    return [(ethertype, bytes.fromhex(payload)) for ethertype, payload
            in end.member.call("captured")]


def _decide(source, target):
    """{what a probe is: whether it arrived}, once what is to arrive has had its chances."""
    probes = _probes(source, target)
    decisions = {}
    for _ in range(_ROUNDS):
        target.member.call("capture", nwid=target.network)
        _transmit(source, target, [frame for _, frame, _ in probes])
        time.sleep(_ARRIVE_S)
        seen = set(_seen(target))
        for what, frame, _ in probes:
            decisions[what] = decisions.get(what, False) or frame in seen
        if all(decisions[what] for what, _, arrives in probes if arrives):
            break
        time.sleep(_AGAIN_S)
    return decisions


# --- the cases ------------------------------------------------------------------------------


def decisions(scene):
    """On a network of its own: libzt tells others of its tags only once in 30 s."""
    names = [*scene.foreign, "libzt-2", *OURS]
    libzt, network = scene.members["libzt"], scene.controller.open_network(_POOL, "000007")
    mac = _mac(network, libzt)
    scene.controller.change_network(network, {
        "rules": _rules(libzt.address, ":".join(mac[at:at + 2] for at in range(0, 12, 2))),
        "capabilities": _CAPABILITIES, "tags": _TAGS})
    for name in names:
        scene.controller.change_member(network, scene.members[name].address, {
            "authorized": True} | (_A if name in scene.foreign else _B))
    with joined(scene, network, names, lambda member, status: next(
            (ip for ip in status["addresses"] if ":" not in ip), None)) as ips:
        return _compare(scene, {name: _End(scene, network, name, ips[name]) for name in names})


def _compare(scene, ends):
    """Decisions between ours and real nodes with those between real nodes, and with the rules."""
    ways = [way for other in scene.foreign for name in ("libzt-2", *OURS)
            for way in ((name, other), (other, name))] + [OURS, OURS[::-1]]
    for source, target in ways:
        _ping(ends[source], ends[target])
    unlike, found = [], {}
    for way in ways:
        source, target = (ends[name] for name in way)
        found[way] = _decide(source, target)
        unlike += [f"{what} from {way[0]} to {way[1]}: {found[way][what]}"
                   for what, _, arrives in _probes(source, target) if found[way][what] != arrives]
        real = found.get(tuple("libzt-2" if name in OURS else name for name in way), found[way])
        unlike += [f"{what} from {way[0]} to {way[1]}: not as between real nodes"
                   for what, arrived in real.items() if found[way][what] != arrived]
    check(not unlike, "; ".join(unlike))
    return {"ways": len(ways), "decisions": sum(len(each) for each in found.values())}


def _ping(source, target):
    """Let each know the other's credentials, which come with its frames."""
    wait_for(f"{source.name} gets an echo from {target.name}", lambda: source.member.call(
        "ping", ip=target.ip, timeout_ms=500), _PATIENCE_S)


def _apply(scene, rules, mtu):
    """Give the scene's network other rules and wait until all have them."""
    _change(scene, {"rules": rules, "mtu": mtu})
    time.sleep(_AGAIN_S)


def _change(scene, fields):
    scene.change_network(fields)
    for name in scene.members:
        wait_for(f"{name} has the config", lambda: scene.status(name)["mtu"] == fields["mtu"],
                 _PATIENCE_S)
        check(scene.status(name)["status"] == "OK", f"{name} cannot honour the rules")


def copies(scene):
    """REDIRECT, TEE and WATCH to an observer, from and to a real node, and with ours observing."""
    names = ["libzt-2", *OURS] + [name for name in scene.foreign if name != "libzt"]
    scenes = [(sender, receiver, observer) for observer in names
              for sender, receiver in (("libzt", names[names.index(observer) - 1]),
                                       (names[names.index(observer) - 1], "libzt"))]
    try:
        for number, names in enumerate(scenes):
            sender, receiver, observer = (_End(scene, scene.network, name, scene.members[name].ip)
                                          for name in names)
            address = observer.member.address
            _apply(scene, sum((
                _rule("REDIRECT", _port(5700), address=address, flags=0),
                _rule("TEE", _port(5701), address=address, flags=0, length=28),
                _rule("WATCH", _port(5702), address=address, flags=0, length=0),
                _accept()), []), 2400 + number)
            for way in ((sender, receiver), (sender, observer), (receiver, observer)):
                _ping(*way)
                _ping(*way[::-1])
            _observe(sender, receiver, observer)
    finally:
        _apply(scene, _accept(), 2800)
    return {"ways": [" ".join(each) for each in scenes]}


def _observe(sender, receiver, observer):
    redirected, copied, watched, last = [
        frames.ipv4(number + 1, sender.ip, receiver.ip, UDP, frames.udp(port))
        for number, port in enumerate((5700, 5701, 5702, _LAST))]
    start = copied[0], copied[1][:28]
    ends = {"the receiver": (receiver, {redirected: 0, copied: 1, watched: 1, last: 1}),
            "the observer": (observer, {redirected: 1, start: 2, watched: 2, last: 0})}
    for end, _ in ends.values():
        end.member.call("capture", nwid=end.network)
    _transmit(sender, receiver, [redirected, copied, watched, last])

    def counts():
        return {who: {frame: _seen(end).count(frame) for frame in expected}
                for who, (end, expected) in ends.items()}

    wanted = {who: expected for who, (_, expected) in ends.items()}
    way = f"{sender.name} to {receiver.name}, observed by {observer.name}"
    try:
        wait_for(way, lambda: counts() == wanted, _PATIENCE_S)
    except Exception:
        check(False, f"{way}: " + "; ".join(
            f"{who} got {list(got.values())} instead of {list(wanted[who].values())} of "
            "redirected, copied, watched, other" for who, got in counts().items()))
    time.sleep(_ARRIVE_S)
    check(counts() == wanted, f"{way}: more than was to come")
