"""Drives a node, which does nothing by itself, with datagrams and with time.

Under asyncio `start()` once; code that blocks calls `step()` instead. Both may be mixed.
"""

from errno import ENODEV

from mpcore import port as platform

_RETRY_MS = 1000    # when to poll again after a poll that failed

_current = None


class Runtime:
    """Brings one node its datagrams and its due times.

    node: has receive(now, endpoint, buf, off, n) and poll(now) -> when to poll again or None.
    port: has sockets, drain(callback) and wait(timeout_ms), as mpcore.port.Port.
    """

    def __init__(self, node, port):
        self.node = node
        self.port = port
        self.now = platform.now_ms
        self._next = None       # when the node wants to be polled
        self._kicked = True     # it is to be polled as soon as the application waits
        self._loop = None

    def start(self):
        """Let the running asyncio loop drive the node. Does nothing when it already does.

        Raises RuntimeError on CPython when no loop runs.
        """
        if not (self._loop and self._loop.alive()):
            self._loop = platform.Loop(self.port.sockets, self._readable, self._due)

    def stop(self):
        """Leave the asyncio loop; the node rests until start() or step()."""
        if self._loop:
            self._loop.close()
            self._loop = None

    def kick(self):
        """The application did something: its consequences are due when it next waits."""
        if not self._kicked:
            self._kicked = True
            if self._loop:
                self._loop.alarm(0)

    def step(self, timeout_ms=None):
        """Wait for a datagram or a due time, at most timeout_ms (None: no limit), and handle it.

        The thread sleeps while it waits. Raises what the node raises.
        """
        wait = self._wait_ms()
        if wait is None or timeout_ms is not None and timeout_ms < wait:
            wait = timeout_ms
        if wait != 0:
            self.port.wait(wait)
        self.port.drain(self._receive)
        if self._wait_ms() == 0:
            self._due()

    def _wait_ms(self):
        if self._kicked:
            return 0
        return None if self._next is None else max(0, self._next - self.now())

    def _receive(self, endpoint, buf, off, n):
        self.node.receive(self.now(), endpoint, buf, off, n)

    def _readable(self):
        # Tasks that these datagrams wake run before the poll, which then sees what they sent.
        try:
            self.port.drain(self._receive)
        finally:
            self.kick()

    def _due(self):
        now = self.now()
        self._kicked = False
        self._next = now + _RETRY_MS
        try:
            self._next = self.node.poll(now)
        finally:
            if self._loop:
                self._loop.alarm(self._wait_ms())


def current():
    """The runtime of the active NIC, used by sockets that name none.

    Raises OSError when there is none.
    """
    if _current is None:
        raise OSError(ENODEV, "no active NIC")
    return _current


def has_current(runtime=None):
    """Whether there is a default runtime; given one, whether that is it."""
    return _current is not None and runtime in (None, _current)


def set_current(runtime):
    """Make runtime (or None) the one that current() gives."""
    global _current
    _current = runtime
