"""A node for as long as one command or program needs it."""

import asyncio
import contextlib
from pathlib import Path

from host_tools import home, remote
from host_tools.daemon import Daemon

# A desktop's programs have more connections than a board's, and longer distances are worth
# longer windows.
TCP_SOCKETS = 1024
TCP_BACKLOG = 128
TCP_RING = 131072           # bytes of each direction of a connection
UDP_SOCKETS = 1024
LOOPBACK_PACKETS = 1024     # 2.8 KB each
_HELP = {"ACCESS_DENIED": "the network's controller has not let this node in; there, run "
                          "`filament authorize {address}`",
         "NOT_FOUND": "its controller knows no such network",
         "RULES_UNSUPPORTED": "the network has rules that this node does not know"}


class NotReady(ValueError):
    """The networks were not usable in time; the message says what to do."""


@contextlib.asynccontextmanager
async def node(directory, bind, networks=(), wait_s=30, loopback=False, tell=None):
    """A running Daemon whose networks (those of its home and `networks`, 8 bytes each) are usable.

    tell(text) is told what is waited for, where that is more than an answer of the network.

    Raises NotReady when they are not within wait_s seconds; ValueError when a node runs with that
    home already or something in it is missing; OSError when `bind` cannot be bound.
    """
    _check_alone(directory)
    changed = asyncio.Event()
    daemon = Daemon(str(directory), bind, report=lambda **facts: changed.set(), aes=True,
                    loopback=loopback)
    _widen(daemon.node.stack)
    for nwid in [*home.joined(daemon.port), *networks]:
        daemon.join(nwid)
    task = asyncio.create_task(daemon.run())
    try:
        if not daemon.node.networks:
            raise NotReady(f"{directory} has joined no network: name one with --join")
        try:
            async with asyncio.timeout(wait_s):
                told = None
                while (missing := _missing(daemon)) and not task.done():
                    if tell and missing != told and _is_refused(daemon):
                        tell("waiting: " + missing)
                        told = missing
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            raise NotReady(_missing(daemon)) from None
        yield daemon
    finally:
        task.cancel()
        await asyncio.wait([task])
        daemon.runtime.stop()
        daemon.port.close()


def _check_alone(directory):
    if Path(directory, "identity.secret").exists():
        try:
            remote.Control(directory).get("/status")
        except ValueError:
            return
        raise ValueError(f"a node runs with the home directory {directory} already: stop it, or "
                         "give this one a home of its own")


def _widen(stack):
    stack.tcp.max_sockets = TCP_SOCKETS
    stack.tcp.max_backlog = stack.tcp.max_half_open = TCP_BACKLOG
    stack.tcp.send_ring = stack.tcp.receive_ring = TCP_RING
    stack.udp.max_sockets = UDP_SOCKETS
    stack.max_looped = LOOPBACK_PACKETS


def _is_refused(daemon):
    return any(network.status in _HELP for network in daemon.node.networks.values())


def _missing(daemon):
    """What keeps the networks from being used, in words; "" when nothing does."""
    for network in daemon.status()["networks"]:
        if network["status"] != "OK":
            text = _HELP.get(network["status"],
                             "no answer from its controller" if daemon.node.online(
                                 daemon.runtime.now()) else "no root answers")
            return f"network {network['id']}: " + text.format(
                address=daemon.node.identity.address.hex())
        if not network["assignedAddresses"]:
            return f"network {network['id']} gives this node no address"
    return ""
