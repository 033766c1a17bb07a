"""The cases. Each takes a Scene and returns its figures; a failure is an exception."""

import ipaddress
import time
from functools import partial

from host_tools.demo.figures import Figures
from scene import ECHO_PORT, POOL, Unmet, check, together, wait_for

POOL_HOSTS = list(ipaddress.IPv4Network(POOL).hosts())
BROADCAST = str(ipaddress.IPv4Network(POOL).broadcast_address)
MEGABYTE = 1_000_000
# Two libzt nodes need more than a minute for a megabyte there and back on the bad line.
BAD_LINE_BYTES = 100_000
SIZES = [1, 2, 3, 7, 64, 100, 1000, 1371, 1372, 1373, 1404, 1405, 1432, 1433, 1472, 1500, 2000,
         2771, 2772, 2773, 2799, 2800]
FEW_SIZES = [1, 1372, 2000, 2772, 2800]
REACTIONS = 200
BULB = {"place": [500, 500], "radius": 150, "client": "bulb", "secret": "interop",
        "broadcast": BROADCAST}
_FALLBACK_S = 6         # after which a Filament node leaves a path that does not answer
_SLACK_S = 4
_GROUPS_S = 75          # a real node asks for more listeners of a group once a minute
_SAY_EVERY_S = 0.2
_MOVE_S = 10            # within which both ends move to a direct path


class Case:
    def __init__(self, number, title, members, function, budget_s, arguments):
        self.number = number
        self.title = title
        self.members = members          # names of those whom it is about
        self._function = function
        self.budget_s = budget_s
        self._arguments = arguments

    @property
    def enrols(self):
        """Whether no other case can do without this one."""
        return self._function is enrol

    def run(self, scene):
        return self._function(scene, *self._arguments)


def plan(scene):
    """The cases for the members of a scene, in the order in which they need each other."""
    cases = []

    def add(number, title, function, members, *arguments, budget_s=60):
        cases.append(Case(number, title, members, function, budget_s, arguments))

    everybody = list(scene.members)
    add("7", "a private network admits who is authorised, and nobody else", enrol, everybody,
        budget_s=120)
    add("1", "two libzt nodes through our root and our controller", exchange,
        ["libzt", "libzt-2"], "libzt", "libzt-2")
    pairs = [(runtime, other) for other in scene.foreign for runtime in ("cpython", "micropython")]
    for runtime, other in pairs:
        add("2", f"{runtime} and {other}: ICMP, UDP, TCP both ways", both_ways, [runtime, other],
            runtime, other)
    for other in scene.foreign:
        add("2", f"the same with {other} on a line that loses, delays, reorders and doubles",
            bad_line, ["cpython", "micropython", other], other, budget_s=180)
    for runtime in ("cpython", "micropython"):
        add("4", f"{runtime} and libzt: relayed while blocked, direct afterwards", blocked,
            [runtime, "libzt-2"], runtime, "libzt-2", budget_s=90)
    if "zerotier-one" in scene.members:
        add("4", "cpython and zerotier-one: relayed while blocked, direct afterwards", blocked,
            ["cpython-2", "zerotier-one"], "cpython-2", "zerotier-one", budget_s=90)
    add("4", "cpython and micropython fall back to the relay and return", path_lost,
        ["cpython", "micropython"], "cpython", "micropython", budget_s=90)
    add("6", "ciphers on the wire", ciphers, everybody)
    add("6", "a config of several compressed chunks", long_config, everybody)
    add("7", "another address and another MTU without a restart", changed_config, everybody)
    add("8", "a broadcast reaches every member", broadcast, everybody,
        budget_s=90)
    add("8", "an IPv4 multicast reaches every member but libzt, which has no IGMP", multicast,
        [name for name in everybody if scene.members[name].kind != "libzt"], budget_s=90)
    add("7", "a member that is thrown out is cut off", thrown_out, everybody)
    add("3", "the bulb and a game whose HTTP runs over libzt's sockets", bulb,
        ["cpython", "micropython", "libzt", "libzt-2"])
    for other in scene.foreign:
        add("5", f"cpython and {other} behind cone NAT meet directly", behind_nat,
            ["cpython", other], other, False)
        add("5", f"cpython and {other} behind symmetric NAT are relayed", behind_nat,
            ["cpython", other], other, True)
    add("log", "no real node has logged an error", quiet_logs, everybody)
    return cases


# --- 7: membership ---------------------------------------------------------------------------


def enrol(scene):
    figures = {}
    for name in scene.members:
        scene.online(name)
    for name in scene.members:
        scene.members[name].call("join", nwid=scene.network)
    for name in scene.members:
        if scene.members[name].kind != "libzt":     # which does not tell
            wait_for(f"{name} shows ACCESS_DENIED",
                     lambda: scene.status(name)["status"] == "ACCESS_DENIED", 30)
    wait_for("the controller knows who has asked",
             lambda: len(scene.server.members()) >= len(scene.members), 30)
    records = scene.server.members()
    for member in scene.members.values():
        check(not records[member.address]["authorized"], f"{member} is a member without asking")
    for name in scene.members:
        check(not scene.status(name)["addresses"], f"{name} has an address already")
    began = time.monotonic()
    for name in scene.members:
        scene.authorize(name)
    for name in scene.members:
        scene.ready(name)
        figures[f"{name}_ready_ms"] = round((time.monotonic() - began) * 1000)
        scene.members[name].call("serve", port=ECHO_PORT)
    scene.enrolled = time.monotonic()
    return figures


def thrown_out(scene):
    figures = {}
    for name in [*scene.foreign, "cpython", "micropython"]:
        other = "libzt-2" if name == "libzt" else "libzt"
        scene.ping(other, name)
        began = time.monotonic()
        scene.authorize(name, False)
        member = scene.members[other]
        wait_for(f"{other} gets no answer from {name}", lambda: member.call(
            "ping", ip=scene.members[name].ip, timeout_ms=300) is None, 30)
        figures[f"{name}_cut_off_ms"] = round((time.monotonic() - began) * 1000)
        scene.authorize(name)
        began = time.monotonic()
        scene.ready(name)
        scene.ping(other, name, 40)
        figures[f"{name}_back_ms"] = round((time.monotonic() - began) * 1000)
    return figures


def changed_config(scene):
    figures = {}
    # zerotier-one looks at most every so often which addresses its interface has, and never
    # removes one that it has not seen yet.
    wait_for("addresses are no longer new", lambda: time.monotonic() > scene.enrolled + 10, 11)
    # Nobody gets an address that another had: neighbours would remember its old owner.
    taken = {member.ip for member in scene.members.values()}
    free = (ip for ip in map(str, POOL_HOSTS[100:]) if ip not in taken)
    for name in scene.members:
        old, new = scene.members[name].ip, next(free)
        began = time.monotonic()
        scene.change_member(name, {"ipAssignments": [new]})
        wait_for(f"{name} has {new} instead of {old}",
                 lambda: scene.status(name)["addresses"] == [new], 20)
        figures[f"{name}_address_ms"] = round((time.monotonic() - began) * 1000)
        scene.members[name].ip = new
    began = time.monotonic()
    scene.change_network({"mtu": 1400})
    for name in scene.members:
        wait_for(f"{name} has an MTU of 1400", lambda: scene.status(name)["mtu"] == 1400, 20)
    figures["mtu_ms"] = round((time.monotonic() - began) * 1000)
    for name in ("cpython", "micropython"):
        for other in scene.foreign:
            scene.ping(name, other)
            scene.ping(other, name)
            scene.udp(name, other, FEW_SIZES)
    scene.change_network({"mtu": 2800})
    for name in scene.members:
        wait_for(f"{name} has an MTU of 2800", lambda: scene.status(name)["mtu"] == 2800, 20)
    return figures


# --- 1, 2: traffic ---------------------------------------------------------------------------


def exchange(scene, name, other):
    """Echoes and a megabyte, from `name` to `other`."""
    figures = {"first_ping_ms": scene.first_ping(name, other)}
    figures["ping_ms"] = min(scene.ping(name, other) for _ in range(5))
    scene.ping(other, name)
    figures |= scene.tcp(name, other, MEGABYTE)
    return figures


def both_ways(scene, name, other):
    figures = {"first_ping_ms": scene.first_ping(name, other)}
    figures["ping_ms"] = min(scene.ping(name, other) for _ in range(5))
    figures["ping_back_ms"] = min(scene.ping(other, name) for _ in range(5))
    for size in (1, 1400, 2772):
        scene.ping(name, other, size=size)
        scene.ping(other, name, size=size)
    for kind, (client, server) in {"client": (name, other), "server": (other, name)}.items():
        scene.udp(client, server, SIZES)
        for key, value in scene.tcp(client, server, MEGABYTE).items():
            figures[f"{kind}_{key}"] = value
    return figures


def bad_line(scene, other):
    """Both runtimes and both directions at the same time, through the other's bad line."""
    def exercise(client, server):
        scene.ping(client, server, 30)
        scene.udp(client, server, FEW_SIZES, timeout_ms=1000, attempts=12)
        done = scene.tcp(client, server, BAD_LINE_BYTES)
        return {f"{client}_{server}_{key}": value for key, value in done.items()}

    pairs = []
    for name in ("cpython", "micropython"):
        pairs += [(name, other), (other, name)]
    with scene.bad_line(other, loss=5, delay_ms=40, jitter_ms=4, reorder=2, duplicate=2) as means:
        figures = {"means": means, "bytes": BAD_LINE_BYTES}
        for each in together(*(partial(exercise, *pair) for pair in pairs)):
            figures |= each
    return figures


# --- 3: the bulb -----------------------------------------------------------------------------


def bulb(scene):
    """A game on libzt; bulbs on both runtimes and, for comparison, on libzt, all at the same time.
    Then as many datagrams without any overlay."""
    scene.members["libzt"].call("game", clients={BULB["client"]: BULB["secret"]})
    names = ["cpython", "micropython", "libzt-2"]
    for name in names:
        scene.ping(name, "libzt")
        scene.ping("libzt", name)
        scene.members[name].call("bulb", config=BULB)
    figures = {}
    for name in names:
        member = scene.members[name]
        wait_for(f"{REACTIONS} reactions of the bulb on {name}",
                 lambda: len(member.call("reactions")) >= REACTIONS, 40)
        figures[name] = _percentiles(member.call("reactions")[:REACTIONS])
    figures["plain_udp"] = _percentiles(scene.plain_udp("libzt", "libzt-2", REACTIONS))
    return figures


def _percentiles(times_ms):
    figures = Figures()
    figures.reactions_ms = times_ms
    return {"reactions": len(times_ms), "p50_ms": figures.percentile(50),
            "p99_ms": figures.percentile(99), "max_ms": figures.percentile(100)}


# --- 4: paths --------------------------------------------------------------------------------


def moves(scene, name, other, direct, connection, timeout_s):
    """Wait until the frames of both ends go this way; returns the seconds it took."""
    ends = [scene.members[each].address for each in (name, other)]

    def goes():
        before = [scene.recorder.count(a, b, direct=not direct) for a, b in (ends, ends[::-1])]
        there = [scene.recorder.count(a, b, direct=direct) for a, b in (ends, ends[::-1])]
        connection.transfer(2000, 40)
        now = [scene.recorder.count(a, b, direct=not direct) for a, b in (ends, ends[::-1])]
        fresh = [scene.recorder.count(a, b, direct=direct) for a, b in (ends, ends[::-1])]
        return now == before and all(f > t for f, t in zip(fresh, there))

    began = time.monotonic()
    way = "direct" if direct else "relayed"
    wait_for(f"the frames of {name} and {other} are {way}", goes, timeout_s)
    return round(time.monotonic() - began, 2)


def blocked(scene, name, other):
    """For two that have not talked to each other before."""
    one, two = scene.members[name].host, scene.members[other].host
    one.block(two)
    two.block(one)
    try:
        figures = {"relayed_first_ping_ms": scene.first_ping(name, other, 30)}
        scene.ping(other, name)
        connection = scene.connect(name, other)
        connection.transfer(100_000)
        figures["relayed_ping_ms"] = min(scene.ping(name, other) for _ in range(5))
        moves(scene, name, other, False, connection, 10)
    finally:
        one.unblock()
        two.unblock()
    figures["to_direct_s"] = moves(scene, name, other, True, connection, _MOVE_S)
    connection.transfer(100_000)
    connection.close()
    figures["direct_ping_ms"] = min(scene.ping(name, other) for _ in range(5))
    return figures


def path_lost(scene, name, other):
    figures = {"first_ping_ms": scene.first_ping(name, other)}
    connection = scene.connect(name, other)
    moves(scene, name, other, True, connection, _MOVE_S)
    one, two = scene.members[name].host, scene.members[other].host
    one.block(two)
    two.block(one)
    began = time.monotonic()
    try:
        scene.ping(name, other, _FALLBACK_S + _SLACK_S)
        figures["to_relay_s"] = round(time.monotonic() - began, 2)
        moves(scene, name, other, False, connection, 30)
        figures["tcp_resumed_s"] = round(time.monotonic() - began, 2)
    finally:
        one.unblock()
        two.unblock()
    figures["to_direct_s"] = moves(scene, name, other, True, connection, _MOVE_S)
    connection.close()
    return figures


def behind_nat(scene, other, symmetric):
    names = [scene.add_behind_nat(kind, symmetric) for kind in ("cpython", other)]
    try:
        together(*(partial(scene.enrol, name) for name in names))
        figures = {"first_ping_ms": scene.first_ping(*names)}
        connection = scene.connect(*names)
        if symmetric:
            # As long as moving to a direct path might take.
            end = time.monotonic() + _MOVE_S
            while time.monotonic() < end:
                connection.transfer(20_000)
            one, two = (scene.members[name].address for name in names)
            relayed, direct = (scene.recorder.count(one, two, direct=way)
                               for way in (False, True))
            # Probes do go straight to where the other was said to be, and are lost.
            check(relayed > 10 * direct, f"{direct} packets past the root, {relayed} through it")
        else:
            figures["to_direct_s"] = moves(scene, *names, True, connection, _MOVE_S)
        figures["transfer_ms"] = connection.transfer(MEGABYTE)
        figures["ping_ms"] = min(scene.ping(*names) for _ in range(5))
        return figures
    finally:
        for name in names:
            scene.remove(name)


# --- 6: ciphers, chunks ----------------------------------------------------------------------


def ciphers(scene):
    """Nodes of hosts prefer AES among each other; whoever talks to a board keeps to Salsa20."""
    figures = {}
    members = scene.members
    for name in ("cpython", "micropython"):
        for other in [*scene.foreign, "micropython" if name == "cpython" else "cpython"]:
            scene.ping(name, other)
            scene.ping(other, name)
            pair = members[name].address, members[other].address
            salsa, aes = (sum(scene.recorder.count(*way, kind=kind) for way in (pair, pair[::-1]))
                          for kind in (1, 3))
            figures[f"{name}_{other}_salsa"], figures[f"{name}_{other}_aes"] = salsa, aes
            if "micropython" in (name, other):
                check(salsa and not aes, f"{name} and {other}: {aes} packets under AES")
            else:
                before = aes
                scene.udp(name, other, [100] * 20)
                aes = sum(scene.recorder.count(*way, kind=3) for way in (pair, pair[::-1]))
                check(aes >= before + 40, f"{name} and {other}: only {aes - before} packets of "
                      "some 40 under AES")
    return figures


def long_config(scene):
    """700 rules do not fit one packet; every member must still take the next config."""
    rules = []
    for port in range(700):
        rules.append({"type": "MATCH_IP_DEST_PORT_RANGE", "start": 20000 + port,
                      "end": 20000 + port, "or": False, "not": False})
        if port % 50 == 49:
            rules.append({"type": "ACTION_DROP"})
    rules.append({"type": "ACTION_ACCEPT"})
    fragments = scene.recorder.count(source=scene.server.address, kind="fragment")
    scene.change_network({"rules": rules, "mtu": 2000})
    try:
        for name in scene.members:
            wait_for(f"{name} takes a config with {len(rules)} rules",
                     lambda: scene.status(name)["mtu"] == 2000, 20)
            check(scene.status(name)["status"] == "OK", f"{name} is not OK with many rules")
        fragments = scene.recorder.count(source=scene.server.address, kind="fragment") - fragments
        check(fragments > 0, "no config came in fragments")
        for name in ("cpython", "micropython"):
            scene.ping(name, "libzt")
    finally:
        scene.change_network({"rules": [{"type": "ACTION_ACCEPT"}], "mtu": 2800})
    for name in scene.members:
        wait_for(f"{name} is back", lambda: scene.status(name)["mtu"] == 2800, 20)
    return {"rules": len(rules), "fragments": fragments}


def quiet_logs(scene):
    """What libzt and zerotier-one wrote to their logs."""
    complaints = [f"{name}: {line}" for name in scene.real_nodes for line in scene.log(name)
                  if "error" in line.lower()]
    check(not complaints, "; ".join(complaints))
    return {}


# --- 8: groups -------------------------------------------------------------------------------


def broadcast(scene):
    return _to_all(scene, list(scene.members), 4001, BROADCAST, None)


def multicast(scene):
    able = [name for name, member in scene.members.items() if member.kind != "libzt"]
    return _to_all(scene, able, 4002, "239.18.4.2", "239.18.4.2")


def _to_all(scene, names, port, ip, group):
    """Each member sends to `ip` again and again until all others have heard it: a real node asks
    for more listeners of a group once a minute."""
    for name in names:
        scene.members[name].call("listen", port=port, group=group)
    unheard = {name: set(names) - {name} for name in names}
    began = time.monotonic()
    figures = {}

    def everybody_heard():
        for name in [name for name in unheard if unheard[name]]:
            scene.members[name].call("say", ip=ip, port=port, text=name)
        time.sleep(_SAY_EVERY_S)
        for other in names:
            for name in set(scene.members[other].call("heard", port=port)):
                unheard[name].discard(other)
        for name, deaf in unheard.items():
            if not deaf and name not in figures:
                figures[name] = round((time.monotonic() - began) * 1000)
        return not any(unheard.values())

    try:
        wait_for("all hear all", everybody_heard, _GROUPS_S)
    except Unmet:
        raise Unmet("; ".join(f"{name} was not heard by {', '.join(sorted(deaf))}"
                              for name, deaf in unheard.items() if deaf)) from None
    return {f"{name}_ms": ms for name, ms in figures.items()}
