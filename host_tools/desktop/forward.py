"""`filament forward`: ports of this machine that lead to a virtual network, and the other way."""

import asyncio
import ipaddress
from collections import namedtuple

from host_tools.desktop import outgoing, reach
from host_tools.desktop.app.filament_sockets import addresses
from mpcore import aio

CONNECTIONS = 1024          # at once, over all forwards; more are closed as they come

Forward = namedtuple("Forward", "host port target target_port")


def parse(text, listen_host):
    """A Forward of "[HOST:]PORT=[HOST:]PORT" (IPv6 in brackets).

    listen_host: where to listen when the text does not say. The target is by default 127.0.0.1.
    Raises ValueError.
    """
    left, sign, right = text.partition("=")
    if not sign:
        raise ValueError(f"'{text}' is not LISTEN=TARGET, such as 8080=10.1.2.3:80")
    return Forward(*_split(left, listen_host), *_split(right, "127.0.0.1"))


def parse_place(text):
    """(host, port) to listen at, of "HOST:PORT" or of a port alone, which is 127.0.0.1's; port 0
    takes a free one. Raises ValueError."""
    return _split(text, "127.0.0.1", 0)


def _split(text, default, least=1):
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"'{text}': an IPv6 address is written [address]:port")
    if not port.isdecimal() or not least <= int(port) < 65536 or (colon and not host):
        raise ValueError(f"'{text}' is not [HOST:]PORT")
    return host or default, int(port)


def is_loopback(host):
    """Do only programs of this machine reach what listens there?"""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Forwarder:
    """Forwards over a runtime's node."""

    def __init__(self, runtime):
        self._runtime = runtime
        self._connections = 0
        self.refused = 0            # for there were CONNECTIONS already

    async def start(self, forward):
        """Listen on the platform's network for a target on either. Raises OSError."""
        return await asyncio.start_server(self._server(forward), forward.host, forward.port)

    async def start_reverse(self, forward):
        """Listen on the virtual network (host None: any address of ours there). Raises OSError,
        ValueError for a host that is no address of ours."""
        if forward.host is not None:
            ip = addresses.parse(forward.host)
            if ip is None or not reach.is_own(self._runtime.node, ip):
                raise ValueError(f"{forward.host} is no address of this node")
        return await aio.start_server(self._server(forward), forward.host, forward.port,
                                      runtime=self._runtime)

    def _server(self, forward):
        async def serve(reader, writer):
            if self._connections >= CONNECTIONS:
                self.refused += 1
                return outgoing.abort(writer)
            self._connections += 1
            try:
                peer = await outgoing.connect(self._runtime, forward.target, forward.target_port)
                await outgoing.relay((reader, writer), peer)
            except OSError:
                outgoing.abort(writer)
            finally:
                self._connections -= 1

        return serve
