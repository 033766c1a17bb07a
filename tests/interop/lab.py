"""Hosts for the nodes under test: network namespaces joined by a bridge.

Everything happens inside namespaces of this process's own (network, mounts, processes; as an
unprivileged user also a user namespace), so that nothing of it can be seen outside and all of it,
processes included, is gone when this process ends, however it ends.
"""

import array
import ctypes
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

_INSIDE = "FILAMENT_INTEROP_INSIDE"
_CLONE_NEWNET = 0x40000000
_NAMES = "/run/netns"
SWITCH = "switch"
_WIRE = Path(__file__).with_name("wire.py")
_SIOCETHTOOL = 0x8946
_OFFLOADS = (0x1F, 0x24, 0x17)      # ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_STXCSUM
_TOOLS = ("ip", "nft", "nsenter", "unshare")

_libc = ctypes.CDLL(None, use_errno=True)


def unshared(*command):
    """The command that runs `command` in namespaces of its own, to be given inside_environment()
    when it is to find that out."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, "--mount", "--net", "--pid", "--fork", "--kill-child",
            "--mount-proc", *command]


def obstacle():
    """Why there can be no hosts here, or None."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        return (f"MISSING TOOLS: {' '.join(missing).upper()} "
                "(DEBIAN'S IPROUTE2, NFTABLES, UTIL-LINUX)")
    tried = subprocess.run(unshared("mount", "-t", "tmpfs", "tmpfs", "/run"), text=True,
                           capture_output=True)
    return f"NO NETWORK NAMESPACES: {tried.stderr.strip().upper()}" if tried.returncode else None


def inside():
    """Whether this process is in namespaces of its own already."""
    return _INSIDE in os.environ


def inside_environment():
    """The environment of a command that is unshared()."""
    return os.environ | {_INSIDE: "1"}


def enter():
    """Become this program inside: whoever ends this process then ends all that it has started."""
    command = unshared(sys.executable, *sys.argv)
    os.execvpe(command[0], command, inside_environment())


def run(*command):
    """Run a command to its end. Raises RuntimeError with what it complains about."""
    done = subprocess.run(command, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _on(name, *command):
    return ["nsenter", f"--net={_NAMES}/{name}", *command]


@contextmanager
def namespace(name):
    """Sockets that this thread makes meanwhile belong to the network namespace `name`."""
    with open("/proc/thread-self/ns/net") as before, open(f"{_NAMES}/{name}") as there:
        _setns(there)
        try:
            yield
        finally:
            _setns(before)


def _setns(file):
    if _libc.setns(file.fileno(), _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Host:
    """A namespace with one interface, eth0."""

    def __init__(self, name, ip, port):
        self.name = name
        self.ip = ip            # on the physical network
        self.port = port        # name of the switch's end of the cable

    def command(self, *command):
        """The command that runs `command` on this host."""
        return _on(self.name, *command)

    def run(self, *command):
        return run(*self.command(*command))

    def leave_nothing_to_hardware(self):
        """The kernel sends TCP in frames of the MTU with their checksums, so that a bad line of
        ours can pass them on: in a namespace there is no hardware to do that later."""
        with namespace(self.name), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for command in _OFFLOADS:
                value = array.array("I", (command, 0))
                request = struct.pack("16sP", b"eth0", value.buffer_info()[0])
                fcntl.ioctl(sock, _SIOCETHTOOL, request)

    def block(self, other):
        """Take no packets from another host any more."""
        self.run("nft", "add table ip block; add chain ip block input "
                 "{ type filter hook input priority 0; }; "
                 f"add rule ip block input ip saddr {other.ip} drop")

    def block_all_but(self, other):
        """Take packets from one host only."""
        self.run("nft", "add table ip block; add chain ip block input "
                 "{ type filter hook input priority 0; }; "
                 f"add rule ip block input iifname eth0 ip saddr != {other.ip} drop")

    def unblock(self):
        """Take them all again."""
        self.run("nft", "delete table ip block")


class Lab:
    """A switch and the hosts on it."""

    def __init__(self):
        run("mount", "-t", "tmpfs", "tmpfs", "/run")
        self._ports = 0
        self.add_switch(SWITCH)

    def add_switch(self, name):
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", name, "link", "set", "br0", "up")

    def add_host(self, name, ip, switch=SWITCH):
        """A host with this address (of a /24) on a switch."""
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        host = Host(name, ip, self._next_port())
        self.plug(host, "eth0", ip, switch, host.port)
        return host

    def _next_port(self):
        self._ports += 1
        return f"port{self._ports}"

    @staticmethod
    def plug(host, interface, ip, switch, port):
        """A cable from an interface of a host to a port of a switch."""
        run("ip", "link", "add", port, "netns", switch, "type", "veth",
            "peer", "name", interface, "netns", host.name)
        run("ip", "-n", switch, "link", "set", port, "master", "br0", "up")
        run("ip", "-n", host.name, "addr", "add", ip + "/24", "dev", interface)
        run("ip", "-n", host.name, "link", "set", interface, "up")

    @contextmanager
    def bad_line(self, host, loss, delay_ms, jitter_ms, reorder, duplicate):
        """The host's cable loses, reorders and doubles (percent) and delays, either way.

        Yields by what means: the kernel's netem where it has that, else a program of ours.
        """
        netem = ["netem", "delay", f"{delay_ms}ms", f"{jitter_ms}ms", "loss", f"{loss}%",
                 "duplicate", f"{duplicate}%", "reorder", f"{reorder}%"]
        ends = [_on(SWITCH, "tc", "qdisc"), host.command("tc", "qdisc")]
        devices = [host.port, "eth0"]
        try:
            for end, device in zip(ends, devices):
                run(*end, "add", "dev", device, "root", *netem)
        except RuntimeError:
            pass
        else:
            yield "netem"
            for end, device in zip(ends, devices):
                run(*end, "del", "dev", device, "root")
            return
        inner, outer = self._next_port(), self._next_port()
        run("ip", "-n", SWITCH, "link", "add", inner, "type", "veth", "peer", "name", outer)
        run("ip", "-n", SWITCH, "link", "set", outer, "master", "br0", "up")
        run("ip", "-n", SWITCH, "link", "set", inner, "up")
        run("ip", "-n", SWITCH, "link", "set", host.port, "nomaster")
        arguments = {"loss": loss, "delay_ms": delay_ms, "jitter_ms": jitter_ms,
                     "reorder": reorder, "duplicate": duplicate}
        line = subprocess.Popen(_on(SWITCH, sys.executable, str(_WIRE), host.port, inner,
                                    json.dumps(arguments)))
        try:
            yield "relay"
        finally:
            line.kill()
            line.wait()
            run("ip", "-n", SWITCH, "link", "del", inner)
            run("ip", "-n", SWITCH, "link", "set", host.port, "master", "br0")

    def add_nat(self, name, outside_ip, inside_ip, random_ports):
        """A router that rewrites addresses and ports; returns it and the switch behind it.

        random_ports: every destination sees another port (symmetric NAT); otherwise a port is
        kept where that is possible (as cone NAT does).
        """
        router = self.add_host(name, outside_ip)
        behind = name + "-lan"
        self.add_switch(behind)
        self.plug(router, "eth1", inside_ip, behind, self._next_port())
        router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        router.run("nft", "add table ip nat; add chain ip nat post "
                   "{ type nat hook postrouting priority 100; }; "
                   "add rule ip nat post oifname eth0 masquerade"
                   + (" fully-random" if random_ports else ""))
        # What nobody inside asked for is dropped, as routers at home do. Were it answered, its
        # entry in the kernel's table would take the port that a node inside is about to need.
        router.run("nft", "add table ip wall; add chain ip wall input "
                   "{ type filter hook input priority 0; }; "
                   "add rule ip wall input iifname eth0 drop")
        return router, behind
