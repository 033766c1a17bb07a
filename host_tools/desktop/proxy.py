"""`filament proxy`: a SOCKS5 server (RFC 1928) that leads to both networks."""

import asyncio
import errno
import hmac
import socket

from host_tools.desktop import outgoing, reach, socks
from host_tools.desktop.app.filament_sockets import addresses
from mpcore import aio
from mpcore.vl1.inet import ip_text

CLIENTS = 1024              # connections at once; more are closed as they come
NAMES = 256                 # that one UDP association has looked up, remembered
NEGOTIATION_S = 30          # for a client to say what it wants
CONNECT_S = 60

_REPLIES = {errno.EACCES: socks.NOT_ALLOWED, errno.ECONNREFUSED: socks.REFUSED,
            errno.EHOSTUNREACH: socks.HOST_UNREACHABLE,
            errno.ENETUNREACH: socks.NETWORK_UNREACHABLE, errno.ETIMEDOUT: socks.EXPIRED}


class Proxy:
    """Serves SOCKS5 on a listening socket of the platform.

    What listens on this machine's loopback addresses is only for clients on those.

    login: (user, password) as bytes that clients must give, or None.
    """

    def __init__(self, runtime, login=None):
        self._runtime = runtime
        self._login = login
        self._clients = 0
        self.refused = 0        # for there were CLIENTS already

    async def start(self, host, port):
        """Listen. Returns the asyncio.Server."""
        return await asyncio.start_server(self._serve, host, port)

    async def _serve(self, reader, writer):
        if self._clients >= CLIENTS:
            self.refused += 1
            return writer.close()
        self._clients += 1
        client = _Client(reader, writer)
        try:
            async with asyncio.timeout(NEGOTIATION_S):
                request = await self._negotiate(client)
            if request is not None:
                await self._obey(client, *request)
        except socks.SocksError as error:
            if error.reply is not None:
                client.say(error.reply)
        except (OSError, EOFError, TimeoutError):
            pass        # the client is gone, or never said what it wants
        finally:
            self._clients -= 1
            writer.close()

    async def _negotiate(self, client):
        """(command, host, port) that a client wants, None when it may not."""
        methods, = await client.message(socks.parse_greeting)
        wanted = socks.NO_LOGIN if self._login is None else socks.PASSWORD
        if wanted not in methods:
            client.say(socks.method(socks.NO_METHOD))
            return None
        client.say(socks.method(wanted))
        if wanted == socks.PASSWORD:
            user, password = await client.message(socks.parse_login)
            right = [hmac.compare_digest(*pair)
                     for pair in zip((user, password), self._login)]
            client.say(socks.login(all(right)))
            if not all(right):
                return None
        return await client.message(socks.parse_request)

    async def _obey(self, client, command, host, port):
        if command == socks.CONNECT:
            await self._connect(client, host, port)
        elif command == socks.UDP_ASSOCIATE:
            await self._associate(client, port)
        else:
            client.say(socks.reply(socks.NO_COMMAND))

    async def _connect(self, client, host, port):
        try:
            async with asyncio.timeout(CONNECT_S):
                peer = await outgoing.connect(self._runtime, host, port, client.is_inside)
        except OSError as error:        # TimeoutError is one
            code = _REPLIES.get(error.errno, socks.HOST_UNREACHABLE)
            return client.say(socks.reply(code))
        client.say(socks.reply(socks.SUCCEEDED, peer[1].get_extra_info("sockname")[:2]))
        peer[1].write(client.rest)
        await outgoing.relay((client.reader, client.writer), peer)

    async def _associate(self, client, port):
        """Serve datagrams for as long as the client keeps its connection."""
        loop = asyncio.get_running_loop()
        host = client.writer.get_extra_info("sockname")[0]
        peer = client.writer.get_extra_info("peername")[0]
        association = _Association(self._runtime, peer, port, client.is_inside)
        try:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: association, local_addr=(host, 0))
            client.say(socks.reply(socks.SUCCEEDED, transport.get_extra_info("sockname")[:2]))
            await association.serve_until(client.reader)
        finally:
            association.close()


class _Client:
    """A connection of a client, and what came of the message that is awaited."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.rest = b""
        self.is_inside = outgoing.is_inside(
            addresses.parse(writer.get_extra_info("peername")[0]))

    def say(self, data):
        self.writer.write(data)

    async def message(self, parse):
        """What the next message says. Raises SocksError, EOFError."""
        while (found := parse(self.rest)) is None:
            data = await self.reader.read(socks.LONGEST)
            if not data:
                raise EOFError
            self.rest += data
        self.rest = self.rest[found[-1]:]
        return found[:-1]


class _Association(asyncio.DatagramProtocol):
    """Datagrams of one client, whose address is known from its connection.

    port: that it sends from, 0 where its first datagram tells. inside: whether it may reach
    what only this machine does.
    """

    _QUEUE = 64         # datagrams that wait for a name

    def __init__(self, runtime, host, port, inside):
        self._runtime = runtime
        self._inside = inside
        self._host = host
        self._peer = (host, port) if port else None
        self._transport = None
        self._overlay = None
        self._outside = {}          # size of an address -> transport on the platform's network
        self._names = {}
        self._waiting = asyncio.Queue(self._QUEUE)
        self._receiver = None

    def connection_made(self, transport):
        self._transport = transport

    def datagram_received(self, data, address):
        if address[0] != self._host or (self._peer and self._peer[1] != address[1]):
            return
        self._peer = address
        if not self._waiting.full():
            self._waiting.put_nowait(data)

    async def serve_until(self, reader):
        """Pass datagrams on until the client's connection ends."""
        task = asyncio.create_task(self._serve())
        try:
            while await reader.read(socks.LONGEST):
                pass
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _serve(self):
        while True:
            data = await self._waiting.get()
            try:
                host, port, start = socks.parse_datagram(data)
                ip = await self._resolve(host)
                await self._send(ip, port, data[start:])
            except (socks.SocksError, OSError):
                pass        # UDP promises nothing

    async def _resolve(self, host):
        ip = addresses.parse(host) or self._names.get(host)
        if ip is None:
            if len(self._names) >= NAMES:
                self._names.clear()
            ip = self._names[host] = (await outgoing.resolve(self._runtime, host))[0]
        return ip

    async def _send(self, ip, port, data):
        if reach.leads(self._runtime.node, ip):
            if self._overlay is None:
                self._overlay = aio.Datagrams(runtime=self._runtime)
                self._receiver = asyncio.create_task(self._receive())
            return self._overlay.sendto(data, (ip_text(ip), port))
        if not self._inside and outgoing.is_inside(ip):
            return None
        if len(ip) not in self._outside:
            family = socket.AF_INET if len(ip) == 4 else socket.AF_INET6
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Answers(self._answer), family=family,
                local_addr=("0.0.0.0" if len(ip) == 4 else "::", 0))
            self._outside[len(ip)] = transport
        self._outside[len(ip)].sendto(data, (ip_text(ip), port))

    async def _receive(self):
        while True:
            data, address = await self._overlay.recvfrom()
            self._answer(data, address)

    def _answer(self, data, address):
        if self._peer is not None:
            self._transport.sendto(socks.datagram(address[:2], data), self._peer)

    def close(self):
        if self._receiver is not None:
            self._receiver.cancel()
            self._overlay.close()
        for transport in self._outside.values():
            transport.close()
        if self._transport is not None:
            self._transport.close()


class _Answers(asyncio.DatagramProtocol):
    """Datagrams from the platform's network."""

    def __init__(self, answer):
        self._answer = answer

    def datagram_received(self, data, address):
        self._answer(data, (ip_text(addresses.parse(address[0])), address[1]))
