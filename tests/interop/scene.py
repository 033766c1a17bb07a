"""The cast of a run: a root, a controller, and members of every kind on one switch."""

import shutil
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import lab
import peers
from infrastructure import KINDS
from wire import Recorder

ECHO_PORT = 7
POOL = "10.147.17.0/24"
READY_S = 40        # from joining to an address; busy machines are slow
_LOOK_S = 0.02
_KINDS = ("libzt", "zerotier-one", "cpython", "micropython")


class Unmet(Exception):
    """What a case waited for did not happen."""


def wait_for(what, condition, timeout_s):
    """The first true value of condition(). Raises Unmet."""
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Unmet(f"{what}: not within {timeout_s} s")
        time.sleep(_LOOK_S)


def check(condition, what):
    """Raises Unmet unless the condition holds."""
    if not condition:
        raise Unmet(what)


def together(*calls):
    """Results of callables that run at the same time."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


class Scene:
    """Members by name: `libzt`, `libzt-2`, `cpython`, `micropython`, and where there is a stock
    zerotier-one also `zerotier-one` and `cpython-2`, who keeps away from it for a while.

    kinds: of the root and of the controller, names in infrastructure.KINDS; where they are the
    same, one node is both.
    """

    def __init__(self, directory, library, kinds):
        self._directory = directory
        self._library = library
        self._lab = lab.Lab()
        self._identities = peers.identities()
        self._last_ip = 0
        self._nats = 0
        self._nodes = {}            # name -> (Host, Identity), kept for restarts
        self.members = {}
        self.services = {}
        self.recorder = Recorder()
        directory.mkdir(parents=True)
        self.planet = peers.make_world(self.place("root")[1], self.place("root")[0].ip)
        self.add_service("root", kinds[0], "both" if kinds[0] == kinds[1] else "root")
        if kinds[0] != kinds[1]:
            self.add_service("controller", kinds[1], "controller")
        self.network = self.controller.open_network(POOL)
        for name in ("libzt", "libzt-2", "cpython", "micropython"):
            self.add(name)
        if peers.desktop_program():
            self.add("zerotier-one")
            self.add("cpython-2")

    # --- root and controller -----------------------------------------------------------------

    @property
    def root(self):
        """The Service that everybody's planet names."""
        return self.services["root"]

    @property
    def controller(self):
        """The Service whose networks there are; the root itself, or another."""
        return self.services.get("controller", self.root)

    def add_service(self, name, kind, role, planet=None, moons=()):
        """Start one more Service and wait until it answers; kind: a name in KINDS."""
        host, identity = self.place(name)
        peers.lay_out(self.home(name), identity, planet or self.planet, moons)
        self._serve(name, kind, role)

    def _serve(self, name, kind, role):
        service = KINDS[kind](self._nodes[name][0], self.home(name), self._nodes[name][1], role)
        self.services[name] = service
        service.start(READY_S)

    def restart_service(self, name):
        """Stop a root or controller in an orderly way and start it again."""
        service = self.services[name]
        service.stop()
        self._serve(name, service.kind, service.role)

    def remove_service(self, name):
        """A Service that is not needed any more."""
        self.services.pop(name).stop()

    @property
    def foreign(self):
        """Names of those that nobody here wrote, one of each kind."""
        return [name for name in ("libzt", "zerotier-one") if name in self.members]

    @property
    def real_nodes(self):
        """Names of all nodes that nobody here wrote, those that have been removed too."""
        services = [name for name in self.services if self.services[name].kind == "zerotier-one"]
        return services + [name for name in self._nodes
                           if name.startswith(("libzt", "zerotier-one"))]

    def log(self, name):
        """The lines of a node's log."""
        return self.home(name).with_name(name + ".log").read_text(errors="replace").splitlines()

    def describe(self, name):
        """What and which version a node is, for the result."""
        process = self.members.get(name) or self.services[name]
        return {"name": name, "kind": process.kind, "version": process.version}

    def infrastructure(self):
        """What and which version root and controller are, for the result."""
        return {"root": self.describe("root"),
                "controller": self.describe("controller" if "controller" in self.services
                                            else "root")}

    def bad_line(self, name, **how):
        return self._lab.bad_line(self.members[name].host, **how)

    def home(self, name):
        return self._directory / name

    def _record(self, host, identity):
        with lab.namespace(lab.SWITCH):
            self.recorder.listen(host.port, host.ip, identity.address.hex())

    def _next_ip(self):
        self._last_ip += 1
        return f"10.209.0.{self._last_ip}"

    def place(self, name):
        """(Host on the switch, Identity) for the node of this name, which may be yet to come."""
        if name not in self._nodes:
            host, identity = self._lab.add_host(name, self._next_ip()), next(self._identities)
            self._nodes[name] = host, identity
            self._record(host, identity)
        return self._nodes[name]

    def add(self, name, planet=None, moons=()):
        """Start a node of the kind that its name begins with, on the switch."""
        host, identity = self.place(name)
        peers.lay_out(self.home(name), identity, planet or self.planet, moons)
        self._start(name)

    def add_behind_nat(self, kind, random_ports):
        """A node behind a router of its own, as lab.Lab.add_nat makes it; returns its name."""
        self._nats += 1
        name, inside = f"{kind}-nat{self._nats}", f"192.168.{self._nats}."
        router, switch = self._lab.add_nat(f"nat{self._nats}", self._next_ip(), inside + "1",
                                           random_ports)
        host = self._lab.add_host(name, inside + "2", switch)
        host.run("ip", "route", "add", "default", "via", inside + "1")
        identity = next(self._identities)
        self._nodes[name] = host, identity
        self._record(router, identity)
        peers.lay_out(self.home(name), identity, self.planet)
        self._start(name)
        return name

    def remove(self, name):
        """A node that is not needed any more."""
        self.members.pop(name).stop()

    def _start(self, name):
        host, identity = self._nodes[name]
        home = self.home(name)
        kind = next(kind for kind in _KINDS if name.startswith(kind))
        if kind == "libzt":
            member = peers.libzt(host, home, identity, self._library)
        elif kind == "zerotier-one":
            member = peers.desktop(host, home, identity)
        else:
            member = peers.filament(host, home, identity, kind)
        self.members[name] = member

    def restart(self, name):
        """Stop a node and start it again from what it has stored."""
        before = self.members[name]
        before.stop()
        self._start(name)
        self.members[name].ip, self.members[name].version = before.ip, before.version

    def revive(self):
        """Start who has died once more, as a member."""
        for name, member in list(self.members.items()):
            if not member.alive:
                self._start(name)
                self.enrol(name)

    # --- membership --------------------------------------------------------------------------

    def authorize(self, name, authorized=True):
        self.change_member(name, {"authorized": authorized})

    def change_member(self, name, fields):
        self.controller.change_member(self.network, self.members[name].address, fields)

    def change_network(self, fields):
        self.controller.change_network(self.network, fields)

    def status(self, name):
        return self.members[name].call("network", nwid=self.network)

    def online(self, name):
        """Wait until a root answers; learns the node's version."""
        def there():
            try:
                status = member.call("status")
            except peers.PeerFailure:
                if member.alive:
                    return None
                raise
            return status if status["online"] else None

        member = self.members[name]
        member.version = wait_for(f"{member} online", there, READY_S)["version"]

    def ready(self, name):
        """Wait until the member has its address."""
        member = self.members[name]
        status = wait_for(
            f"{member} has the network's status OK and an address", lambda: next(
                (s for s in [self.status(name)] if s["status"] == "OK" and s["addresses"]), None),
            READY_S)
        member.ip = status["addresses"][0]

    def enrol(self, name):
        """Make a running node a member with an address and an echo service."""
        self.online(name)
        self.members[name].call("join", nwid=self.network)
        self.authorize(name)
        self.ready(name)
        self.members[name].call("serve", port=ECHO_PORT)

    # --- what members do to each other -------------------------------------------------------

    def first_ping(self, name, other, timeout_s=20):
        """Milliseconds from the first try until an answer came, tries being lost or not."""
        began = time.monotonic()
        self.ping(name, other, timeout_s)
        return round((time.monotonic() - began) * 1000, 1)

    def ping(self, name, other, timeout_s=20, size=16):
        """Milliseconds of the first echo that is answered."""
        member, ip = self.members[name], self.members[other].ip
        ms = wait_for(f"{name} gets an echo of {size} bytes from {other}", lambda: member.call(
            "ping", ip=ip, size=size, timeout_ms=500), timeout_s)
        return round(ms, 2)

    def udp(self, name, other, sizes, **patience):
        """UDP datagrams of these sizes to an echo and back."""
        missing = self.members[name].call("udp", timeout_s=120, ip=self.members[other].ip,
                                          port=ECHO_PORT, sizes=sizes, **patience)
        check(not missing, f"UDP from {name} to {other} and back: sizes {missing} are lost")

    def plain_udp(self, name, other, count):
        """Milliseconds that each of `count` datagrams takes between two hosts, without overlay."""
        ends = []
        for each in (name, other):
            host = self.members[each].host
            with lab.namespace(host.name):
                ends.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            ends[-1].bind((host.ip, 0))
        times = []
        for number in range(count):
            began = time.monotonic()
            ends[0].sendto(bytes(100), ends[1].getsockname())
            ends[1].recv(200)
            times.append((time.monotonic() - began) * 1000)
        return times

    def connect(self, name, other):
        """A Connection to the other's echo."""
        return Connection(self, name, other)

    def tcp(self, name, other, size):
        """`size` bytes to an echo and back; returns figures."""
        connection = self.connect(name, other)
        ms = connection.transfer(size)
        connection.close()
        return {"connect_ms": connection.connect_ms, "transfer_ms": ms}

    def stop(self):
        for process in [*self.members.values(), *self.services.values()]:
            process.stop()


@contextmanager
def open_scene(directory, library, kinds):
    """A Scene in a new directory, which stays for who wants to read the logs."""
    shutil.rmtree(directory, ignore_errors=True)
    scene = Scene(directory, library, kinds)
    try:
        yield scene
    finally:
        scene.stop()


class Connection:
    """A TCP connection of one member to another's echo."""

    def __init__(self, scene, name, other):
        self._member = scene.members[name]
        self._what = f"TCP from {name} to {other}"
        opened = self._member.call("open", timeout_s=60, ip=scene.members[other].ip,
                                   port=ECHO_PORT)
        self._number, self.connect_ms = opened["connection"], round(opened["ms"], 2)
        self._at = 0

    def transfer(self, size, timeout_s=120):
        """`size` bytes there and back, compared; returns milliseconds."""
        done = self._member.call("transfer", timeout_s=timeout_s, connection=self._number,
                                 size=size, start=self._at)
        self._at += size
        check(done["intact"], f"{self._what}: what comes back is not what was sent")
        return round(done["ms"], 1)

    def close(self):
        self._member.call("close", connection=self._number)
