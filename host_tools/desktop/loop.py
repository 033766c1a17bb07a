"""asyncio's event loop with a node in it: connections without threads and descriptors between.

    from host_tools.desktop import loop
    loop.run(main, "me", join=["8056c2e21c000001"])

Streams and datagrams to the virtual networks are woken by the datagrams of the node themselves;
all other destinations are asyncio's own affair. Libraries that are written for asyncio need not
know. Code that blocks stops the node with the loop: for that is host_tools.desktop.Overlay.
"""

import asyncio
import errno
import socket
import weakref
from asyncio import sslproto

from host_tools import home
from host_tools.desktop import names, reach, session
from host_tools.desktop.app.filament_sockets import addresses
from host_tools.desktop.datagram_transport import DatagramTransport, Outside
from host_tools.desktop.listeners import Ports
from host_tools.desktop.transport import Name, Transport, connected
from mpcore.ip.udp import UdpSocket
from mpcore.vl1.inet import ip_text

_ANY = (None, "", "0.0.0.0", "::")


def run(main, directory, join=(), bind="0.0.0.0:0", wait_s=30, loopback=False):
    """asyncio.run(main()) on virtual networks. Arguments: as for host_tools.desktop.Overlay.

    Raises ValueError and OSError, as host_tools.desktop.session.node.
    """
    networks = [home.network_id(text) for text in join]

    async def with_node():
        async with session.node(directory, bind, networks, wait_s, loopback) as daemon:
            asyncio.get_running_loop().attach(daemon.runtime)
            return await main()

    with asyncio.Runner(loop_factory=OverlayEventLoop) as runner:
        return runner.run(with_node())


class OverlayEventLoop(asyncio.SelectorEventLoop):
    """The platform's networks until attach() adds those of a node that runs in this loop."""

    def __init__(self):
        super().__init__()
        self._runtime = None
        self._ports = None
        self._connected = weakref.WeakKeyDictionary()   # socket -> the TcpSocket it stands for

    def attach(self, runtime):
        """Reach the networks of a runtime's node."""
        self._runtime = runtime
        self._ports = Ports(runtime)

    # --- names and addresses ---

    async def getaddrinfo(self, host, port, *, family=0, type=0, proto=0, flags=0):
        found = await self._resolve(host, family)
        if not found:
            return await super().getaddrinfo(host, port, family=family, type=type, proto=proto,
                                             flags=flags)
        flags = flags & ~socket.AI_ADDRCONFIG
        return [entry for ip in found for entry in await super(OverlayEventLoop, self).getaddrinfo(
            ip_text(ip), port, family=family, type=type, proto=proto, flags=flags)]

    async def _resolve(self, host, family=0):
        """The addresses (bytes) that the virtual networks have for a host; [] for the others."""
        if self._runtime is None or not isinstance(host, str) or host in _ANY:
            return []
        size = {socket.AF_INET: 4, socket.AF_INET6: 16}.get(family, 0)
        ip = addresses.parse(host)
        if ip is not None:
            return [ip] if self._leads(ip) and size in (0, len(ip)) else []
        try:
            return await names.resolve(self._runtime, host, size)
        except OSError as error:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from error

    def _leads(self, ip):
        return self._runtime is not None and ip is not None and reach.leads(self._runtime.node, ip)

    # --- connections ---

    async def create_connection(self, protocol_factory, host=None, port=None, *, ssl=None,
                                server_hostname=None, sock=None, local_addr=None,
                                ssl_handshake_timeout=None, ssl_shutdown_timeout=None, **options):
        tcp = await self._dial(host, port, sock, local_addr, options.get("family", 0))
        if tcp is None:
            return await super().create_connection(
                protocol_factory, host, port, ssl=ssl, server_hostname=server_hostname, sock=sock,
                local_addr=local_addr, ssl_handshake_timeout=ssl_handshake_timeout,
                ssl_shutdown_timeout=ssl_shutdown_timeout, **options)
        if ssl and server_hostname is None:
            if not host:
                tcp.abort(self._runtime.now())
                raise ValueError("You must set server_hostname when using ssl without a host")
            server_hostname = host
        protocol, waiter = protocol_factory(), self.create_future()
        transport = self._serve(tcp, protocol, ssl, waiter, server_hostname=server_hostname,
                                ssl_handshake_timeout=ssl_handshake_timeout,
                                ssl_shutdown_timeout=ssl_shutdown_timeout)
        try:
            await waiter
        except BaseException:
            transport.abort()
            raise
        return transport, protocol

    async def _dial(self, host, port, sock, local_addr, family):
        """An established TcpSocket, or None for what the platform is to reach."""
        if sock is not None:
            tcp = self._connected.pop(sock, None)
            if tcp is not None:
                sock.close()
            return tcp
        failure = None
        for ip in await self._resolve(host, family):
            try:
                return await connected(self, self._runtime, ip, int(port), _local(local_addr))
            except OSError as error:
                failure = error
        if failure is not None:
            raise failure
        return None

    async def sock_connect(self, sock, address):
        """As asyncio's. A socket that is connected over a virtual network stands for that
        connection when it is given to create_connection(), and is good for nothing else."""
        ip = None
        if sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM:
            ip = addresses.parse(address[0])
        if not self._leads(ip):
            return await super().sock_connect(sock, address)
        self._connected[sock] = await connected(self, self._runtime, ip, address[1])

    def _serve(self, tcp, protocol, ssl, waiter=None, **options):
        """The transport by which a protocol is served, through TLS where `ssl` is a context or
        True."""
        if not ssl:
            return Transport(self, self._runtime, tcp, protocol, waiter)
        secured = sslproto.SSLProtocol(self, protocol, None if ssl is True else ssl, waiter,
                                       **options)
        Transport(self, self._runtime, tcp, secured)
        return secured._app_transport

    # --- servers ---

    async def create_server(self, protocol_factory, host=None, port=None, *, sock=None, ssl=None,
                            backlog=100, ssl_handshake_timeout=None, ssl_shutdown_timeout=None,
                            start_serving=True, **options):
        hosts = [host] if host is None or isinstance(host, str) else list(host)
        if sock is not None:
            hosts, port = [sock.getsockname()[0]], sock.getsockname()[1]
        ours = [each for each in hosts if self._is_ours(each)]
        theirs = [each for each in hosts if not self._is_own(each)]
        inner = None
        if theirs:
            inner = await super().create_server(
                protocol_factory, None if sock is not None or theirs == [None] else theirs,
                None if sock is not None else port, sock=sock, ssl=ssl, backlog=backlog,
                ssl_handshake_timeout=ssl_handshake_timeout, start_serving=start_serving,
                ssl_shutdown_timeout=ssl_shutdown_timeout, **options)
            port = inner.sockets[0].getsockname()[1]
        if not ours:
            return inner

        def accept(tcp):
            arguments = {"server_side": True, "ssl_handshake_timeout": ssl_handshake_timeout,
                         "ssl_shutdown_timeout": ssl_shutdown_timeout} if ssl else {}
            self._serve(tcp, protocol_factory(), ssl, **arguments)

        server = OverlayServer(self, self._ports, inner, accept)
        try:
            for each in ours:
                server.listen(None if each in _ANY else addresses.parse(each), port, backlog)
        except BaseException:
            server.close()
            raise
        return server

    def _is_own(self, host):
        """Is a host an address of ours on a virtual network?"""
        ip = None if host in _ANY else addresses.parse(host)
        return self._runtime is not None and ip is not None and reach.is_own(
            self._runtime.node, ip)

    def _is_ours(self, host):
        """Does what listens on a host listen on the virtual networks?"""
        return self._runtime is not None and (host in _ANY or self._is_own(host))

    # --- datagrams ---

    async def create_datagram_endpoint(self, protocol_factory, local_addr=None, remote_addr=None,
                                       *, family=0, allow_broadcast=None, sock=None, **options):
        found = await self._resolve(remote_addr[0], family) if remote_addr else []
        target = found[0] if found else None
        host = local_addr[0] if local_addr else None
        port = local_addr[1] if local_addr else 0
        both = not remote_addr and host in _ANY
        if self._runtime is None or sock is not None or not (
                target or both or not remote_addr and self._is_own(host)):
            return await super().create_datagram_endpoint(
                protocol_factory, local_addr, remote_addr, family=family,
                allow_broadcast=allow_broadcast, sock=sock, **options)
        protocol, outside = protocol_factory(), None
        if both:
            if family == socket.AF_UNSPEC:
                family = socket.AF_INET6 if host == "::" else socket.AF_INET
            outside, _ = await super().create_datagram_endpoint(
                lambda: Outside(protocol), local_addr or (None, 0), family=family,
                allow_broadcast=allow_broadcast, **options)
            port = outside.get_extra_info("sockname")[1]
        udp = UdpSocket(self._runtime.node.stack)
        udp.broadcast = bool(allow_broadcast)
        try:
            udp.bind(None if host in _ANY else addresses.parse(host), port)
            if target:
                udp.connect(target, remote_addr[1])
        except OSError:
            if outside is not None:
                outside.close()
            raise
        transport = DatagramTransport(self, self._runtime, udp, protocol, outside)
        await asyncio.sleep(0)          # the protocol has its connection
        return transport, protocol


class OverlayServer(asyncio.AbstractServer):
    """Listens on virtual networks, and by `inner`, asyncio's own Server or None, elsewhere."""

    def __init__(self, loop, ports, inner, accept):
        self._loop = loop
        self._ports = ports
        self._inner = inner
        self._accept = accept
        self._names = []
        self._closed = asyncio.Event()

    def listen(self, ip, port, backlog):
        """Listen on an address (None: any). Raises OSError EADDRINUSE, also for port 0 taken."""
        taker = _Taker((4, 16) if ip is None else (len(ip),), self._accept)
        local = self._ports.add(taker, ip, port or 0, backlog)
        self._names.append((taker, Name(local)))

    @property
    def sockets(self):
        """Of asyncio's Server, and what stands for those on the virtual networks."""
        inner = self._inner.sockets if self._inner is not None else ()
        return tuple(inner) + tuple(name for _, name in self._names)

    def get_loop(self):
        return self._loop

    def is_serving(self):
        return not self._closed.is_set()

    async def start_serving(self):
        if self._inner is not None:
            await self._inner.start_serving()

    async def serve_forever(self):
        await self.start_serving()
        try:
            await self._closed.wait()
        finally:
            self.close()
            await self.wait_closed()

    def close(self):
        for taker, _ in self._names:
            self._ports.remove(taker)
        self._names = []
        if self._inner is not None:
            self._inner.close()
        self._closed.set()

    async def wait_closed(self):
        await self._closed.wait()
        if self._inner is not None:
            await self._inner.wait_closed()


class _Taker:
    """Takes connections from Ports."""

    has_room = True
    shared = None

    def __init__(self, sizes, offer):
        self.sizes = sizes
        self.offer = offer


def _local(address):
    """(IP address or None, port) of an asyncio local_addr, None for None."""
    if address is None:
        return None
    ip = None if address[0] in _ANY else addresses.parse(address[0])
    if ip is None and address[0] not in _ANY:
        raise OSError(errno.EADDRNOTAVAIL, f"{address[0]} is no address of this node")
    return ip, address[1]
