"""A board at its virtual address, as a stream that mpremote's transport can use.

    with way("10.147.17.53", "me") as board:        # through a node of ours with this home
        with board.open() as link:
            print(link.run("print(42)"))

Without a home the machine's own network leads there: a stock ZeroTier that has joined, for
instance. With one, a node of this process does: each connection is one over the virtual network
and one from a port of 127.0.0.1, which is open until somebody, that is ourselves a moment later,
has connected to it.
"""

import asyncio
import contextlib
import ipaddress
import threading

from host_tools import home
from host_tools.desktop import outgoing, reach, session
from host_tools.device.link import LinkError, Lost, open_link
from mpcore import aio, upkeep
from mpcore.vl1.inet import ip_text

PATIENCE_S = 10         # for the answer of a board
_STOP_S = 5
_BUSY = "Another session"       # as mpcore/upkeep/service.py says it
_NO_ANSWER = ("is the board on, and does its node.secret.json have {who} in `allow`? Who is not "
              "in there gets no answer at all")


class NoAnswer(LinkError):
    """A board that is not there, or does not want us."""


def way(address, directory=None, **options):
    """The Way to a board: an IP address or a name, optionally with a port after a colon (IPv6
    then in brackets). directory: the home of the node to go by, or None. options: of
    session.node, such as bind. Raises ValueError for what is no address."""
    host, port = _split(address)
    if directory is None:
        return Way(host, port)
    return OverlayWay(host, port, directory, **options)


class Way:
    """By this machine's network."""

    def __init__(self, host, port):
        self.host = host
        self.port = port
        self.target = host if port == upkeep.PORT else f"{_bracketed(host)}:{port}"

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def url(self):
        """A pyserial URL, good for one connection. Raises LinkError."""
        return f"socket://{_bracketed(self.host)}:{self.port}"

    def open(self):
        """A Link to the board (host_tools/device/link.py). Raises LinkError."""
        url = self.url()
        try:
            return open_link(url, name=self.target)
        except LinkError as error:
            raise self._failure(error) from error

    def _failure(self, error):
        if _BUSY in getattr(error, "said", ""):
            return LinkError(f"{self.target}: another session is open on this board (a REPL, a "
                             "monitor or a deployment): close it, and repeat this")
        if "nobody answers" in str(error) or isinstance(error, Lost) and not error.said:
            return NoAnswer(f"{self.target}: no answer at port {self.port}; "
                            + _NO_ANSWER.format(who="this machine's node"))
        return error


class OverlayWay(Way):
    """By a node of this process, which runs in a thread of its own."""

    def __init__(self, host, port, directory, bind="0.0.0.0:0", networks=(), wait_s=30,
                 loopback=False, tell=None):
        super().__init__(host, port)
        self._options = {"directory": directory, "bind": bind, "wait_s": wait_s, "tell": tell,
                         "loopback": loopback,
                         "networks": [home.network_id(text) for text in networks]}
        self._ready = threading.Event()
        self._failure_at_start = None

    def __enter__(self):
        """Raises ValueError and OSError, as session.node."""
        self._thread = threading.Thread(target=self._run, name="filament", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure_at_start is not None:
            self._thread.join()
            raise self._failure_at_start
        return self

    def __exit__(self, *error):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_STOP_S)

    def url(self):
        port = asyncio.run_coroutine_threadsafe(self._dial(), self._loop).result()
        return f"socket://127.0.0.1:{port}"

    def serve(self, host, port, tell=lambda text: None):
        """Let programs connect to the board at a port of this machine, 0 for a free one, as often
        as they like; returns the port. tell(text) is told why one could not. Raises OSError."""
        return asyncio.run_coroutine_threadsafe(self._serve(host, port, tell), self._loop).result()

    def _run(self):
        try:
            asyncio.run(self._main())
        except Exception as error:
            self._failure_at_start = error
        finally:
            self._ready.set()

    async def _main(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with session.node(**self._options) as daemon:
            self._runtime = daemon.runtime
            self._tasks = set()
            self._ready.set()
            await self._stop.wait()
            for task in self._tasks:
                task.cancel()

    async def _connected(self):
        """(reader, writer) over the virtual network. Raises LinkError."""
        node = self._runtime.node
        try:
            ip = (await outgoing.resolve(self._runtime, self.host))[0]
        except (OSError, IndexError):
            raise NoAnswer(f"{self.host}: no such name on the networks of this node") from None
        if not reach.leads(node, ip):
            raise LinkError(f"{self.host}: no network of this node leads there; join the board's "
                            "with --join NWID")
        try:
            return await asyncio.wait_for(
                aio.open_connection(ip_text(ip), self.port, runtime=self._runtime), PATIENCE_S)
        except (OSError, TimeoutError):
            raise NoAnswer(f"{self.target}: no answer at port {self.port}; " + _NO_ANSWER.format(
                who=f"this node, {node.identity.address.hex()},")) from None

    async def _dial(self):
        """Connect; returns the port of 127.0.0.1 at which one connection leads there."""
        there = await self._connected()

        async def accept(reader, writer):
            server.close()
            await self._relay((reader, writer), there)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        return server.sockets[0].getsockname()[1]

    async def _serve(self, host, port, tell):
        async def accept(reader, writer):
            try:
                there = await self._connected()
            except LinkError as error:
                tell(str(error))
                return outgoing.abort(writer)
            await self._relay((reader, writer), there)

        server = await asyncio.start_server(accept, host, port)
        return server.sockets[0].getsockname()[1]

    async def _relay(self, here, there):
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await outgoing.relay(here, there)
        finally:
            self._tasks.discard(task)


def _split(text):
    """(host, port) of HOST, HOST:PORT, an IPv6 address, or one in brackets."""
    try:
        return str(ipaddress.ip_address(text)), upkeep.PORT
    except ValueError:
        pass
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, str(upkeep.PORT)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"'{text}' is no address of a board, such as 10.147.17.53 or bulb.local")
    return host, int(port)


def _bracketed(host):
    return f"[{host}]" if ":" in host else host
