"""UDP over virtual networks, and over the platform's at once, as asyncio's datagram transports."""

import asyncio

from host_tools.desktop import reach
from host_tools.desktop.app.filament_sockets import addresses
from host_tools.desktop.transport import Name, sockaddr
from host_tools.desktop.turn import Turn


class DatagramTransport(asyncio.DatagramTransport):
    """Serves a protocol with a UdpSocket. outside: the platform's transport with the same
    port, for a socket on both networks, or None."""

    def __init__(self, loop, runtime, udp, protocol, outside=None):
        name = Name(udp.local, udp.remote)
        super().__init__({"sockname": name.getsockname(), "socket": name,
                          "peername": sockaddr(udp.remote) if udp.remote else None})
        self._loop = loop
        self._runtime = runtime
        self._udp = udp
        self._protocol = protocol
        self._outside = outside
        udp.on_event = self._kick = Turn(loop, self._run)
        loop.call_soon(protocol.connection_made, self)
        self._kick()

    def _run(self):
        while self._udp is not None:
            try:
                received = self._udp.recvfrom()
            except OSError as error:
                self._protocol.error_received(error)
                continue
            if received is None:
                return
            data, ip, port = received
            self._protocol.datagram_received(data, sockaddr((ip, port)))

    def sendto(self, data, addr=None):
        if self._udp is None:
            return
        ip, port = self._udp.remote or (addresses.parse(addr[0]), addr[1])
        leads = ip is not None and reach.leads(self._runtime.node, ip)
        if self._outside is not None and not leads:
            self._outside.sendto(data, addr)
        if ip is None or not (leads or addresses.is_group(ip) or self._outside is None):
            return
        try:
            self._udp.sendto(self._runtime.now(), data, ip, port)
            self._runtime.kick()
        except OSError as error:
            self._protocol.error_received(error)

    def is_closing(self):
        return self._udp is None

    def close(self):
        if self._udp is not None:
            self._udp.on_event = None
            self._udp.close(self._runtime.now())
            self._udp = None
            self._runtime.kick()
            if self._outside is not None:
                self._outside.close()
            self._loop.call_soon(self._protocol.connection_lost, None)

    abort = close


class Outside(asyncio.DatagramProtocol):
    """Hands what comes over the platform's network to the protocol of a DatagramTransport."""

    def __init__(self, protocol):
        self.datagram_received = protocol.datagram_received
        self.error_received = protocol.error_received
