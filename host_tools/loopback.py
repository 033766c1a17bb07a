"""A network of processes on loopback, for tests and measurements: `filament serve` and members."""

import json
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from host_tools import home, remote, unix_port
from host_tools.demo.processes import die_with_parent
from mpcore.port import Port

POOL = "10.73.1.0/24"
START_S = 60            # a busy machine is slow
_STOP_S = 3
_RETRY_S = 0.05


class Failure(Exception):
    """A process ended, or did not say in time what it was waited for; the message has its log."""


class Process:
    """A child process, the JSON lines it prints, and its log, which has everything else."""

    def __init__(self, command, log, **options):
        self.log = Path(log)
        self._lines = queue.SimpleQueue()
        with open(self.log, "ab") as file:
            self._log_start = file.tell()
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=file, text=True,
                bufsize=1, cwd=unix_port.ROOT, preexec_fn=die_with_parent, **options)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._child.stdout:
            try:
                facts = json.loads(line)
            except ValueError:
                facts = None
            if isinstance(facts, dict):
                self._lines.put(facts)
            else:
                with open(self.log, "a") as log:
                    log.write(line)
        self._lines.put(None)

    @property
    def alive(self):
        return self._child.poll() is None

    def wait_for(self, key, timeout_s=START_S):
        """The first line from now on that has this key. Raises Failure."""
        while True:
            try:
                facts = self._lines.get(timeout=timeout_s)
            except queue.Empty:
                raise Failure(f"no {key!r} within {timeout_s} s: {self.tail()}") from None
            if facts is None:
                raise Failure(f"ended with {self._child.wait()} before {key!r}: {self.tail()}")
            if key in facts:
                return facts

    def tail(self):
        """The end of its log."""
        return self.log.read_bytes()[self._log_start:][-2000:].decode(errors="replace").strip()

    def stop(self):
        """Ask it to end, then make it."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
        self._child.wait()
        self._reader.join()
        self._child.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()


class Network:
    """A root with the controller of a public network, and homes for its members.

    directory: where the homes are made anew. identities: the server's and one for each of `names`;
    `id` of the network and `binds` ("ip:port" by name) are text.
    """

    def __init__(self, directory, identities, names):
        self.directory = Path(directory).resolve()
        shutil.rmtree(self.directory, ignore_errors=True)
        names = ["server", *names]
        self.binds = {name: f"127.0.0.1:{port}" for name, port in zip(names, free_ports(names))}
        for name, identity in zip(names, identities, strict=True):
            home.save_identity(Port(str(self.home(name)), []), identity)
        self.server = Process(
            [sys.executable, "-m", "host_tools", "serve", "--json", "--loopback", "--public",
             "--pool", POOL, "--home", str(self.home("server")), "--bind", self.binds["server"]],
            self.directory / "server.log")
        self.id = self.server.wait_for("network")["network"]
        for name in names[1:]:
            shutil.copy(self.home("server") / home.PLANET_FILE, self.home(name))

    def home(self, name):
        """The home directory of a member."""
        return self.directory / name

    def node(self, name):
        """What mpcore.NIC wants to be this member, and the network to connect() to."""
        return {"home": str(self.home(name)), "bind": self.binds[name], "network": self.id}

    def change(self, path, fields):
        """Change the network's record, or with a path what is under it. Raises ValueError."""
        end = time.monotonic() + START_S
        while True:
            try:
                control = remote.Control(self.home("server"))
                return control.post(f"/controller/network/{self.id}{path}", fields)
            except ValueError:              # its control port may not be open yet
                if time.monotonic() > end:
                    raise
                time.sleep(_RETRY_S)

    def arguments(self, name, facts):
        """A file with these facts as JSON, for a member's process: MicroPython takes no argument
        of more than 255 bytes."""
        file = self.directory / f"{name}.json"
        file.write_text(json.dumps(facts))
        return str(file)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.server.stop()


def free_ports(names, kind=socket.SOCK_DGRAM):
    """Free ports of the loopback interface, UDP's or another kind's, one for each name."""
    sockets = [socket.socket(socket.AF_INET, kind) for _ in names]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
