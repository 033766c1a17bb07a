"""Roots and controllers, ours and a zerotier-one's, asked in the same words over their HTTP."""

import ipaddress
import json
import sys
import time

from generous_root import OFFER
from host_tools.remote import Control
from lab import namespace
from peers import PORT, PeerFailure, Process, desktop_program

NAME = "interop"
_NETWORK = "000001"         # the controller's address with this is the network's ID
_RETRY_S = 0.1


class Service(Process):
    """A root, a controller, or both in one node.

    kind and version describe it; role: "root", "controller" or "both".
    """

    def __init__(self, host, home, identity, role, *command):
        self.host = host
        self.role = role
        self.address = identity.address.hex()
        self.version = None
        self._home = home
        super().__init__(host, command, f"{home}.log")

    def start(self, timeout_s):
        """Wait until it answers its HTTP. Raises PeerFailure."""
        end = time.monotonic() + timeout_s
        while self.version is None:
            try:
                self.version = self._control("get", "/status")["version"]
            except ValueError as error:
                if not self.alive or time.monotonic() > end:
                    raise PeerFailure(f"{self.kind} as {self.role}: {self.ended()}") from error
                time.sleep(_RETRY_S)

    def _control(self, verb, *arguments):
        with namespace(self.host.name):
            return getattr(Control(self._home), verb)(*arguments)

    def counters(self):
        """What a node of ours has counted in VL1."""
        return self._control("get", "/status")["counters"]["vl1"]

    def peers(self):
        """Whom it knows, as its HTTP tells it, by address."""
        return {peer["address"]: peer for peer in self._control("get", "/peer")}

    # --- a controller's ----------------------------------------------------------------------

    def open_network(self, pool, number=_NETWORK, **fields):
        """A private network with addresses from a pool (CIDR); its ID."""
        network, pool = self.address + number, ipaddress.IPv4Network(pool)
        self.change_network(network, {
            "name": NAME, "private": True, "v4AssignMode": {"zt": True},
            "routes": [{"target": str(pool), "via": None}],
            "ipAssignmentPools": [{"ipRangeStart": str(pool[2]),
                                   "ipRangeEnd": str(pool[-2])}]} | fields)
        return network

    def change_network(self, network, fields):
        self._control("post", f"/controller/network/{network}", fields)

    def close_network(self, network):
        self._control("delete", f"/controller/network/{network}")

    def members(self, network):
        """Records of who is or wants to be a member, by address."""
        path = f"/controller/network/{network}/member"
        return self._members(self._control("get", path), path)

    def change_member(self, network, address, fields):
        self._control("post", f"/controller/network/{network}/member/{address}", fields)


class Filament(Service):
    """`filament serve`."""

    kind = "filament"

    def __init__(self, host, home, identity, role):
        super().__init__(
            host, home, identity, role, sys.executable, "-m", "host_tools", "serve", "--json",
            "--role", role, "--home", str(home), "--bind", f"0.0.0.0:{PORT}",
            "--advertise", f"{host.ip}:{PORT}",
            *([] if role == "root" else ["--network", identity.address.hex() + _NETWORK]))

    def _members(self, found, path):
        return {record["id"]: record for record in found}


class Generous(Service):
    """A root of ours that hands out worlds to everybody; see generous_root.py."""

    kind = "generous"

    def __init__(self, host, home, identity, role):
        arguments = {"directory": str(home), "bind": f"0.0.0.0:{PORT}"}
        super().__init__(host, home, identity, role, sys.executable,
                         "tests/interop/generous_root.py", json.dumps(arguments))

    def offer(self, *worlds):
        """What to hand out from now on."""
        (self._home / OFFER).write_bytes(b"".join(world.to_bytes() for world in worlds))


class Stock(Service):
    """A zerotier-one; any is a controller, and a root when the planet says so."""

    kind = "zerotier-one"

    def __init__(self, host, home, identity, role):
        super().__init__(host, home, identity, role, desktop_program(), "-U", f"-p{PORT}",
                         str(home))

    def _members(self, found, path):
        return {address: self._control("get", f"{path}/{address}") for address in found}


KINDS = {service.kind: service for service in (Filament, Generous, Stock)}
