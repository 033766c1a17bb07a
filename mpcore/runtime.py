"""Drives a node, which does nothing by itself, with datagrams and with time.

Under asyncio `start()` once; code that blocks calls `step()` instead. Both may be mixed.
"""

from errno import ENODEV

import micropython

from mpcore import port as platform

_BUSY_MS = 20       # of arithmetic in one step
_RETRY_MS = 1000    # when to poll again after a poll that failed

registered = []     # of all NICs that are active, in the order in which they became so


class Runtime:
    """Brings one node its datagrams and its due times.

    node: has poll(now) -> when to poll again or None, busy() -> whether poll() has arithmetic to go
    on with, and `receiver`, with receive(now, endpoint, buf, off, n), foremost(data) and
    talked_ms(data), see VL1. port: has sockets, drain(), keep(), `behind` and wait(timeout_ms), as
    mpcore.port.Port.
    """

    def __init__(self, node, port):
        self.node = node
        self.port = port
        self.now = platform.now_ms
        self._next = None       # when the node wants to be polled
        self._kicked = True     # it is to be polled as soon as the application waits
        self._loop = None
        self._put_off = False   # what is behind, at the last turn
        self._polled = True     # the node, in that turn
        self._receiver = node.receiver

    def start(self):
        """Let the running asyncio loop drive the node. Does nothing when it already does.

        Raises RuntimeError on CPython when no loop runs.
        """
        if not self.driven():
            self._loop = platform.Loop(self.port.sockets, self._readable, self._due)

    def stop(self):
        """Leave the asyncio loop; the node rests until start() or step()."""
        if self._loop:
            self._loop.close()
            self._loop = None

    def driven(self):
        """Whether a running asyncio loop drives the node."""
        return bool(self._loop and self._loop.alive())

    @micropython.native
    def kick(self):
        """The application did something: its consequences are due when it next waits."""
        if not self._kicked:
            self._kicked = True
            if self._loop:
                self._loop.alarm(0)

    def step(self, timeout_ms=None):
        """Do what is due, or else wait until something is or a datagram comes, at most timeout_ms
        (None: no limit). Hand the node the datagrams that are there; what follows from them is
        due at the next step, after the application could act on them.

        The thread sleeps while it waits. Raises what the node raises.
        """
        if not self.settle():
            wait = self.wait_ms()
            if wait is None or timeout_ms is not None and timeout_ms < wait:
                wait = timeout_ms
            if wait != 0:
                self.port.wait(wait)
        self.drain()

    def settle(self):
        """Poll the node if that is due, for some ms where it has long arithmetic to go on with:
        who steps seldom would wait for each slice of it. Returns whether it was due."""
        if self.wait_ms() != 0:
            return False
        end = self.now() + _BUSY_MS
        self._due()
        while self.node.busy() and self.now() < end:
            self._due()
        return True

    def drain(self):
        """Hand the node the datagrams that are there; what follows from them is due then."""
        if self.port.drain(self._receiver, self.now):
            self.kick()

    @micropython.native
    def wait_ms(self):
        """For how long there is nothing to do but for datagrams; None: for ever."""
        if self._kicked:
            return 0
        return None if self._next is None else max(0, self._next - self.now())

    @micropython.native
    def _readable(self, ready=None):
        # The poll moves behind the tasks that these datagrams wake, or that are about to read
        # them: it then sees what they sent, and an answer carries the ACK.
        try:
            # What comes before those tasks had their turn waits for them.
            if not self._kicked or not self.port.keep(ready):
                self.port.drain(self._receiver, self.now, ready)
        finally:
            self._kicked = True
            self._loop.alarm(0)

    @micropython.native
    def _due(self, idle=True):
        now = self.now()
        self._kicked = False
        self._next = now + _RETRY_MS
        try:
            if self.port.behind:
                self._kicked = True
                # Tasks that are woken and had no turn yet go before, but not for ever; and it is
                # by turns with what may take longer.
                if self._polled and (idle or self._put_off):
                    self._polled = self._put_off = False
                    self.port.drain(self._receiver, self.now)
                    return
                self._put_off = not idle
            self._polled = True
            self._next = self.node.poll(now)
        finally:
            if self._loop:
                # What has been kicked meanwhile is due at once.
                self._loop.alarm(0 if self._kicked else self._next and max(0, self._next - now))


def current():
    """The runtime of the NIC that has been active for longest, used by sockets that name none.

    Raises OSError when there is none.
    """
    if not registered:
        raise OSError(ENODEV, "no active NIC")
    return registered[0]


def activate(runtime):
    """A NIC's runtime takes part from now on."""
    registered.append(runtime)


def deactivate(runtime):
    """Undo activate()."""
    if runtime in registered:
        registered.remove(runtime)
