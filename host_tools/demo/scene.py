"""The cast of the demonstration: root, controller, games and bulb as processes on loopback."""

import asyncio
import json
import secrets
import shutil
import sys
import time
from pathlib import Path

from host_tools import home, loopback, remote, serve, unix_port
from host_tools.demo.figures import Figures
from host_tools.demo.processes import Process
from mpcore.port import Port, entropy

GAMES = {"meadow": ["ann", "ben", "cleo", "dan"], "harbour": ["eve", "finn", "gus", "hope"]}
NODES = ["root", "controller", "bulb", *GAMES]
BOARD = "boards/unix"
BULB_PLACE = [500, 500]
BULB_RADIUS = 150
BULB_HEAP = "768K"
TOKEN_LIFETIME_S = 20
POOL = "10.73.0.0/24"
_WATCH_S = 1


class Scene:
    """Everything that runs, and what is known of it.

    directory: where the nodes' home directories are made anew. identities: one for each of NODES.
    `positions` (game -> its state), `led`, `log` and `figures` are for the view; `addresses` of
    the nodes by name and the `network` ID are text.
    """

    def __init__(self, directory, identities, seed):
        self.directory = Path(directory)
        self.figures = Figures()
        self.started_ns = None      # when the bulb was started
        self.positions = {}
        self.led = 0
        self.log = []
        self.processes = {}
        self._seed = seed
        self._secret = secrets.token_urlsafe(16)
        self._counters = {}
        self.network = None
        self._lay_out(dict(zip(NODES, identities)))

    def _lay_out(self, identities):
        """The home directories, the planet, and the bulb's config."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.addresses = {name: each.address.hex() for name, each in identities.items()}
        self._binds = {name: f"127.0.0.1:{port}"
                       for name, port in zip(NODES, loopback.free_ports(NODES))}
        for name, identity in identities.items():
            home.save_identity(self._store(name), identity)
        root = self._store("root")
        serve.ensure_planet(root, identities["root"], serve.reachable([self._binds["root"]]),
                            entropy)
        for name in NODES[1:]:
            self._store(name).store(home.PLANET_FILE, root.load(home.PLANET_FILE))

    def _store(self, name):
        return Port(str(self.directory / name), [])

    # --- starting and stopping ---------------------------------------------------------------

    async def start(self):
        """Start everything in the order in which it needs each other."""
        await self.start_root()
        await self.start_controller()
        for game in GAMES:
            await self.start_game(game)
        await self.start_bulb()

    async def start_root(self):
        await self._serve("root")

    async def start_controller(self):
        """The controller of a private network whose members are the games and the bulb."""
        members = [f"--authorize={self.addresses[name]}" for name in ("bulb", *GAMES)]
        facts = await self._serve("controller", "--name=demo", f"--pool={POOL}", *members)
        self.network = facts["network"]

    async def _serve(self, role, *options):
        """Run `filament serve` in one role; returns what it says first."""
        said = asyncio.get_running_loop().create_future()

        def on_line(facts):
            if not said.done():
                said.set_result(facts)

        await self._spawn(role, [
            sys.executable, "-m", "host_tools", "serve", "--json", "--loopback", "--role", role,
            "--home", str(self.directory / role), "--bind", self._binds[role], *options], on_line)
        ended = asyncio.create_task(self.processes[role].ended())
        await asyncio.wait([said, ended], return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if not said.done():
            raise RuntimeError(f"the {role} did not start; see {self.directory / role}.log")
        return said.result()

    async def start_game(self, name):
        config = self.directory / f"{name}.secret.json"
        _write(config, {
            "home": str(self.directory / name), "bind": self._binds[name],
            "network": self.network, "game": name, "players": GAMES[name], "seed": self._seed,
            "clients": {"bulb": self._secret}, "token_lifetime_s": TOKEN_LIFETIME_S})

        def on_line(facts):
            if "players" in facts:
                self.positions[name] = facts

        await self._spawn(name, [sys.executable, "-m", "host_tools.demo.instance", str(config)],
                          on_line)

    def furnish_bulb(self):
        """Write the bulb's config; returns its home directory, which has its identity and planet.

        The token in it is one that no game has given: the bulb will have to ask for one.
        """
        directory = self.directory / "bulb"
        _write(directory / "bulb.secret.json", {
            "network": self.network, "bind": self._binds["bulb"], "loopback": True,
            "place": BULB_PLACE, "radius": BULB_RADIUS, "client": "bulb", "secret": self._secret,
            "token": secrets.token_urlsafe(24)})
        return directory

    async def start_bulb(self):
        """The bulb, on the unix port."""
        directory = self.furnish_bulb()
        self.started_ns = time.time_ns()
        await self._spawn(
            "bulb", unix_port.command(BULB_HEAP, "boards/apps/bulb/main.py"), self._on_bulb,
            cwd=directory, env=unix_port.environment(BOARD, "boards/apps/bulb"))

    async def _spawn(self, name, command, on_line, **options):
        options.setdefault("cwd", unix_port.ROOT)
        log = self.directory / f"{name}.log"
        self.processes[name] = await Process.start(command, on_line, log, **options)

    async def stop(self):
        """End every process, in parallel."""
        await asyncio.gather(*(process.stop() for process in self.processes.values()))

    # --- what is heard -----------------------------------------------------------------------

    def note(self, text):
        """A line for the log of the view."""
        self.log.append(text)

    def _on_bulb(self, facts):
        figures, event = self.figures, facts.get("event")
        if event == "started":
            figures.runtime = facts["runtime"]
        elif event == "led":
            self.led = facts["led"]
            if facts["changed_ns"] is not None:
                figures.reactions_ms.append((facts["set_ns"] - facts["changed_ns"]) / 1e6)
        elif event == "following":
            self.note(f"bulb follows {facts['game']}")
            if figures.join_ms is None:
                figures.join_ms = (facts["at_ns"] - self.started_ns) / 1e6
        elif event == "heap":
            figures.heap_peak_bytes = max(figures.heap_peak_bytes, facts["peak"])
            self._count("bulb", facts["counters"])
        elif event == "problem":
            self.note(f"bulb, {facts.get('game', 'network')}: {facts['problem']}")
        elif event == "network":
            online = "a root answers" if facts["online"] else "no root answers"
            self.note(f"bulb, network: {facts['status']} {facts['address']}, {online}")

    async def watch(self):
        """Ask the nodes for their counters, and notice who has ended, every now and then."""
        fallen = set()
        while True:
            for name, process in self.processes.items():
                if process.returncode is not None and process not in fallen:
                    fallen.add(process)
                    self.note(f"{name} has ended ({process.returncode})")
            await self.count()
            await asyncio.sleep(_WATCH_S)

    async def count(self):
        """Ask the nodes for their counters; the bulb tells its own by itself."""
        for name in NODES:
            if name != "bulb":
                try:
                    control = remote.Control(self.directory / name)
                    facts = await asyncio.to_thread(control.get, "/status")
                except ValueError:
                    continue        # it is not there, or not yet
                self._count(name, facts["counters"])

    def _count(self, name, counters):
        self._counters[name] = counters
        known = self._counters.values()
        self.figures.datagrams = sum(each["port"]["sent"] for each in known)
        self.figures.relayed = sum(each["vl1"].get("relayed", 0) for each in known)


def _write(path, config):
    Port(str(path.parent), []).store(path.name, json.dumps(config).encode())
