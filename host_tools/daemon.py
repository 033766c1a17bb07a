"""A node in the foreground: `filament node`, on CPython and on MicroPython alike.

    FILAMENT_NODE='{"directory": DIR, "bind": IP:PORT, ...}' micropython host_tools/daemon.py

One JSON line on standard output tells the status whenever it changes; see `Daemon.status`.
"""

import asyncio
import json
import os
import sys
import time

if __name__ == "__main__":
    sys.path.insert(1, __file__.rpartition("/")[0] + "/..")

from host_tools import control, echo, home
from mpcore import VERSION, port as platform
from mpcore.node import Node
from mpcore.runtime import Runtime
from mpcore.vl1 import inet

# Of the environment, the arguments of main() as JSON: MicroPython's command line takes none of
# more than 255 bytes.
ARGUMENTS = "FILAMENT_NODE"
_LOOK_S = 0.25          # how often the status is compared with what was last told
_PING_BYTES = 16


def print_line(**facts):
    """Tell a fact as one JSON line on standard output."""
    print(json.dumps(facts))


class Daemon:
    """A node with its home directory, its drive and its control port.

    directory: the home, with an identity and a planet in it. bind: "ip:port" of the UDP socket.
    report(**facts): takes the status whenever it changes. options: other arguments of Node.
    Raises ValueError or OSError with a sentence that a person can act on.
    """

    controller = None       # a Controller where this node is one
    responder = None        # a dns.mdns.Responder once it has a hostname

    def __init__(self, directory, bind, report=print_line, **options):
        self.report = report
        self.port = platform.Port(directory, bind)
        identity = home.load_identity(self.port)
        planet = home.load_planet(self.port)
        if identity is None:
            raise ValueError("no identity in " + directory)
        epoch_ms = platform.wall_ms() - platform.now_ms()
        self.node = Node(self.port, identity, planet, epoch_ms=epoch_ms, remember=True, **options)
        self.runtime = Runtime(self.node, self.port)
        self._pings = 0

    def join(self, nwid):
        """Join a network (8 bytes), now and at every later start."""
        name = "networks.d/%s.conf" % nwid.hex()
        if self.port.load(name) is None:
            self.port.store(name, b"")
        self.node.join(self.runtime.now(), nwid)
        self.runtime.kick()

    def leave(self, nwid):
        """Leave a network (8 bytes) for good. Returns whether it was joined."""
        joined = nwid in self.node.networks
        self.node.leave(self.runtime.now(), nwid)
        self.runtime.kick()
        return joined

    def answer_for(self, hostname):
        """Be found as hostname.local from now on. Raises ValueError for what is no name."""
        from mpcore.dns.mdns import Responder
        self.responder = Responder(self.node.stack, hostname, self.runtime.kick)
        self.node.services.append(self.responder)

    def status(self):
        """What is told about the node, under the names of zerotier-one's API."""
        node = self.node
        status = {"address": node.identity.address.hex(),
                "online": node.online(self.runtime.now()),
                "version": "%d.%d.%d" % VERSION, "runtime": sys.implementation.name,
                "networks": [self.network_status(nwid) for nwid in node.networks]}
        if self.responder is not None:
            status["hostname"] = self.responder.hostname + ".local"
        return status

    def network_status(self, nwid):
        """What is told about a joined network."""
        return _network_status(self.node.networks[nwid])

    def counters(self):
        """What was counted so far, by floor."""
        return {"port": self.port.counters, "vl1": self.node.vl1.counters,
                "ip": self.node.stack.counters}

    def peers(self):
        """Everybody the node knows, with the paths to them."""
        now = self.runtime.now()
        vl1 = self.node.vl1
        planet = [root.address for root, _ in vl1.upstreams.planet.roots]
        return [{"address": peer.address.hex(),
                 "role": ("PLANET" if peer.address in planet else
                          "MOON" if vl1.is_upstream(peer.address) else "LEAF"),
                 "paths": [inet.text(path.endpoint) for path in peer.paths
                           if not path.expired(now)]}
                for peer in vl1.peers.values()]

    def moons(self):
        """The moons we follow, and those we have not got yet (waiting)."""
        upstreams = self.node.vl1.upstreams
        return ([{"id": moon.id.hex(), "timestamp": moon.timestamp, "waiting": False,
                  "roots": [root.address.hex() for root, _ in moon.roots]}
                 for moon in upstreams.moons.values()]
                + [{"id": moon_id.hex(), "timestamp": 0, "waiting": True, "roots": [seed.hex()]}
                   for moon_id, seed in upstreams.seeds.items()])

    def orbit(self, moon_id, seed):
        """Follow a moon (ID of 8 bytes) that the root `seed` (address) has. Raises ValueError."""
        self.node.orbit(self.runtime.now(), moon_id, seed)
        self.runtime.kick()

    def deorbit(self, moon_id):
        """Forget a moon. Raises ValueError when it was not followed."""
        if not self.node.deorbit(self.runtime.now(), moon_id):
            raise ValueError("moon %s is not followed" % moon_id.hex())

    async def ping(self, ip, timeout_ms):
        """Milliseconds that one echo to `ip` (4 or 16 bytes) took, or None without an answer."""
        answered = asyncio.Event()
        took_ms = None

        def on_reply(now, source, sequence, data):
            nonlocal took_ms
            if data is not None:
                took_ms = (time.time_ns() - sent_ns) / 1000000
            answered.set()

        self._pings = self._pings + 1 & 0xFFFF
        sent_ns = time.time_ns()
        if not self.node.stack.echo(self.runtime.now(), ip, self._pings, 1, bytes(_PING_BYTES),
                                    on_reply):
            raise ValueError("no network leads to " + inet.ip_text(ip))
        self.runtime.kick()
        try:
            await asyncio.wait_for(answered.wait(), timeout_ms / 1000)
        except asyncio.TimeoutError:
            pass
        return took_ms

    async def run(self):
        """Drives the node until cancelled."""
        self.runtime.start()
        controlling = asyncio.create_task(control.serve(self))
        told = None
        try:
            while True:
                status = self.status()
                if status != told:
                    told = status
                    self.report(**status)
                await asyncio.sleep(_LOOK_S)
        finally:
            controlling.cancel()
            if self.responder is not None:
                self.responder.close(self.runtime.now())
            self.node.save()


def _network_status(network):
    status = {"id": network.id.hex(), "status": network.status, "reason": network.reason,
              "mac": ":".join("%02x" % byte for byte in network.mac), "name": "", "type": None,
              "assignedAddresses": [], "dns": {}}
    config = network.config
    if config is not None:
        status["name"] = _text(config.name)
        status["type"] = "PUBLIC" if config.public else "PRIVATE"
        status["assignedAddresses"] = ["%s/%d" % (inet.ip_text(ip), bits)
                                       for ip, bits in config.static_ips]
        if config.dns_servers:
            status["dns"] = {"domain": _text(config.dns_domain),
                             "servers": [inet.ip_text(ip) for ip in config.dns_servers]}
    return status


def _text(data):
    """What somebody else wrote, as text if it is some."""
    try:
        return data.decode()
    except UnicodeError:
        return ""


async def main(directory, bind, join=(), echo_port=None, hostname=None, **options):
    """Run a node: join `join` (network IDs as text) and what its home says, echo if asked to,
    answer for hostname.local."""
    daemon = Daemon(directory, bind, **options)
    if hostname is not None:
        daemon.answer_for(hostname)
    for nwid in home.joined(daemon.port) + [home.network_id(text) for text in join]:
        daemon.join(nwid)
    daemon.runtime.start()
    if echo_port is not None:
        await echo.serve(echo_port, daemon.runtime)
    await daemon.run()


if __name__ == "__main__":
    try:
        asyncio.run(main(**json.loads(os.getenv(ARGUMENTS))))
    except (ValueError, OSError) as error:
        print_line(error=str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        pass
