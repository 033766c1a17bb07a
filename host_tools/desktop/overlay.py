"""A node inside a Python program, for whatever uses sockets there."""

import asyncio
import contextlib
import tempfile
import threading
from pathlib import Path

from host_tools import home
from host_tools.desktop import session
from host_tools.desktop.app import filament_sockets
from host_tools.desktop.exchange import Exchange


@contextlib.asynccontextmanager
async def offered(daemon):
    """An Exchange for a Daemon's networks; gives the path of its Unix socket."""
    with tempfile.TemporaryDirectory(prefix="filament-") as directory:
        path = str(Path(directory, "exchange"))
        exchange = Exchange(daemon.runtime, path)
        try:
            yield path
        finally:
            exchange.close()


class Overlay:
    """Puts this process on virtual networks, by a node in a thread of its own.

        with Overlay("me", join=["8056c2e21c000001"]):
            asyncio.run(main())     # or anything else with sockets

    The program's sockets reach the networks' destinations over them and all others as before; see
    app/filament_sockets. Only one Overlay may be open in a process.
    """

    def __init__(self, directory, join=(), bind="0.0.0.0:0", wait_s=30, loopback=False):
        """
        directory: the node's home, with "identity.secret" and "planet".
        join: IDs (text) of networks to join beside those that the home has joined.
        bind: "ip:port" of the node's UDP socket. wait_s: how long to wait for the networks.
        """
        self._options = {"directory": directory, "bind": bind, "wait_s": wait_s,
                         "networks": [home.network_id(text) for text in join],
                         "loopback": loopback}
        self._ready = threading.Event()
        self._failure = None
        self.addresses = []         # of ours on the networks (text), once open

    def __enter__(self):
        """Open it. Raises ValueError and OSError, as host_tools.desktop.session.node."""
        self._thread = threading.Thread(target=self._run, name="filament", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        filament_sockets.install(self._path)
        return self

    def __exit__(self, *error):
        filament_sockets.uninstall()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self):
        try:
            asyncio.run(self._main())
        except Exception as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with session.node(**self._options) as daemon, offered(daemon) as self._path:
            self.addresses = [address.split("/")[0] for network in daemon.status()["networks"]
                              for address in network["assignedAddresses"]]
            self._ready.set()
            await self._stop.wait()
