"""Upkeep of one board: who may connect, one session at a time, and the trial of an update.

A connection to the REPL is admitted by the MAC that its SYN came from, which on a ZeroTier network
follows from the node's address and is proven below (spec/vl2-frames.md 1); until it is closed its
IP address belongs to that MAC (mpcore/ip/stack.py, Interface.pin). So nobody else can say a word
in it, but a bridge that the network's controller trusts to speak for MACs that are no members'.
"""

import asyncio
import sys

from micropython import const

from mpcore.aio import Stream
from mpcore.ip.states import CLOSED, FIN_WAIT_2, TIME_WAIT
from mpcore.ip.tcp import TcpSocket
from mpcore.port import Wake, now_ms
from mpcore.vl2.addressing import mac_of

_BACKLOG = const(2)
_IDLE_MS = const(10000)         # a peer that was silent for so long is asked whether it is there,
_ASK_MS = const(5000)           # so often, ...
_ASKED = const(3)               # ... and so many times
_LOOK_S = 1                     # at whether a trial has come online
_LEAVE_S = 2                    # for the last words before a reset, ...
_LEAVE_LOOKS = const(40)        # ... and how often is looked whether they have arrived
_AWAY_S = 5                     # for who comes while another session is open, to go
_CHUNK = const(64)
_BUSY = b"Another session is open on this board: close it, and try again.\r\n"


class Upkeep:
    """nic: an active NIC. port: TCP, of the REPL. allow: addresses (text) of nodes that may use
    the REPL. slots: the module boards/slots.py, or None. reset: callable that does not return, or
    None: slots' or the machine's own."""

    def __init__(self, nic, port, allow=(), slots=None, reset=None):
        self.nic = nic
        self.slots = slots
        self._port = port
        self._allow = [_address(text) for text in allow]
        self._reset = reset
        self._began_ms = now_ms()
        self._tasks = []
        self._listener = None
        self._wake = Wake()
        self._session = None

    def start(self):
        """Serve from now on. Raises OSError EADDRINUSE."""
        if self._allow:
            listener = self._listener = TcpSocket(self.nic.node.stack)
            listener.admit = self._admit
            listener.keep_alive(self.nic.runtime.now(), _IDLE_MS, _ASK_MS, _ASKED)
            listener.bind(None, self._port)
            listener.listen(_BACKLOG)
            listener.on_event = self._wake.set
            self._tasks.append(asyncio.create_task(self._serve()))
        if self.slots is not None and self.slots.on_trial():
            self._tasks.append(asyncio.create_task(self._confirm()))

    def stop(self):
        """End it, and the session that is open."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        if self._session is not None:
            self._session.cancel()
        if self._listener is not None:
            self._listener.close(self.nic.runtime.now())
            self._listener = None

    def status(self):
        """What is to be known of the board, as JSON can hold it; see status.py. Its uptime counts
        from when the upkeep was made."""
        from mpcore.upkeep import status

        facts = status.of(self.nic, (now_ms() - self._began_ms) // 1000)
        facts["slots"] = None if self.slots is None else self.slots.state()
        return facts

    def _admit(self, ip, mac):
        network = self.nic.config("network")
        if network is None:
            return False
        network = bytes.fromhex(network)
        return any([mac == mac_of(network, address) for address in self._allow])

    async def _serve(self):
        while True:
            tcp = self._listener.accept()
            if tcp is None:
                await self._wake
                continue
            stream = Stream(tcp, self.nic.runtime)
            if self._session is None:
                from mpcore.upkeep.repl import Session

                session = Session(stream, tcp, self.nic.runtime, self._done)
                self._session = asyncio.create_task(session.run())
                continue
            asyncio.create_task(_turn_away(stream))

    def _done(self, session, resets):
        self._session = None
        if resets:
            self._tasks.append(asyncio.create_task(self._leave(session.tcp)))

    async def _leave(self, tcp):
        """Reset the board when the last words are acknowledged, or do not seem to be."""
        for _ in range(_LEAVE_LOOKS):
            if tcp.state in (CLOSED, FIN_WAIT_2, TIME_WAIT):
                break
            await asyncio.sleep(_LEAVE_S / _LEAVE_LOOKS)
        if self._reset is not None:
            self._reset()
        if self.slots is not None:
            self.slots.reset()
        import machine

        if hasattr(machine, "reset"):
            machine.reset()
        sys.exit(0)

    async def _confirm(self):
        """A trial is good once this node is on its network and a root answers."""
        while not (self.nic.status() == self.nic.STAT_GOT_IP and self.nic.status("online")):
            await asyncio.sleep(_LOOK_S)
        while True:
            try:
                self.slots.confirm()
                return
            except OSError:         # the file system is full: perhaps not for long
                await asyncio.sleep(_LOOK_S)


async def _turn_away(stream):
    """Tell that another session is open, and read until the peer ends: what came after a close
    would be answered by a reset, which may overtake these words."""
    try:
        await stream.awrite(_BUSY)
        stream.write_eof()
        await asyncio.wait_for(_swallow(stream), _AWAY_S)
    except (OSError, asyncio.TimeoutError):
        pass
    stream.close()


async def _swallow(stream):
    while await stream.read(_CHUNK):
        pass


def _address(text):
    try:
        address = bytes.fromhex(text)
    except (ValueError, TypeError):
        address = b""
    if len(address) != 5:
        raise ValueError("%r is no node's address of 10 digits" % (text,))
    return address
