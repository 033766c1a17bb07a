"""Moves the datagrams of an overlay socket to and from a Unix socket that an application has."""

import errno
import socket

from host_tools.desktop import reach
from host_tools.desktop.app.filament_sockets import datagrams
from host_tools.desktop.app.filament_sockets.addresses import is_group

_REPORTED = (errno.ECONNREFUSED, errno.EMSGSIZE, errno.EACCES)


class DatagramPump:
    """A UDP socket and its pair of Unix sockets, whose messages are those of datagrams.py.

    outside: the platform's socket that the application had, if it is to be on both networks.
    on_end(0) is called once.
    """

    def __init__(self, loop, runtime, udp, outside, family, on_end):
        self._loop = loop
        self._runtime = runtime
        self._udp = udp
        self._outside = outside
        self._family = family
        self._on_end = on_end
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)
        udp.on_event = self._receive
        loop.add_reader(self._ours, self._send)
        if outside is not None:
            outside.setblocking(False)
            loop.add_reader(outside, self._receive_outside)

    def _deliver(self, message):
        try:
            self._ours.send(message)
        except BlockingIOError:
            pass                # whoever does not read loses datagrams
        except OSError:
            self.close()

    def _report(self, error):
        self._deliver(bytes([datagrams.ERROR]) + error.errno.to_bytes(2, "big"))

    def _receive(self):
        while self._ours is not None:
            try:
                received = self._udp.recvfrom()
            except OSError as error:
                self._report(error)
                continue
            if received is None:
                return
            data, ip, port = received
            self._deliver(bytes([len(ip)]) + ip + port.to_bytes(2, "big") + data)

    def _receive_outside(self):
        try:
            data, (host, port, *_) = self._outside.recvfrom(datagrams.DATAGRAM_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            return self._report(error)
        ip = socket.inet_pton(self._family, host.partition("%")[0])
        self._deliver(bytes([len(ip)]) + ip + port.to_bytes(2, "big") + data)

    def _send(self):
        try:
            message = self._ours.recv(datagrams.HEADER_BYTES + datagrams.DATAGRAM_BYTES)
        except OSError:
            message = b""
        if not message:
            return self.close()
        size = message[0]
        ip, data = message[1:1 + size], message[3 + size:]
        if size not in (4, 16) or len(message) < 3 + size:
            return
        port = int.from_bytes(message[1 + size:3 + size], "big")
        leads = reach.leads(self._runtime.node, ip)
        try:
            if leads or is_group(ip) or self._outside is None:
                self._udp.sendto(self._runtime.now(), data, ip, port)
                self._runtime.kick()
        except OSError:
            pass                # a datagram without a way is a lost one
        if self._outside is not None and not leads:
            self._send_outside(data, ip, port)

    def _send_outside(self, data, ip, port):
        if self._family == socket.AF_INET6 and len(ip) == 4:
            ip = bytes(10) + b"\xff\xff" + ip
        try:
            self._outside.sendto(data, (socket.inet_ntop(self._family, ip), port))
        except OSError as error:
            if error.errno in _REPORTED:
                self._report(error)

    def connect(self, ip, port):
        """Have one peer only; returns our address (bytes or None, port) towards it."""
        if self._outside is not None and not reach.leads(self._runtime.node, ip):
            self._outside.connect((socket.inet_ntop(self._family, ip), port))
            host, port = self._outside.getsockname()[:2]
            return socket.inet_pton(self._family, host), port
        self._udp.connect(ip, port)
        self._leave_outside()
        route = self._runtime.node.stack.route(ip, self._udp.local[0])
        if route is None:
            raise OSError(errno.EHOSTUNREACH, "")
        return route.source, self._udp.local[1]

    def set_option(self, level, option, value):
        """As setsockopt: on both networks, a group only on those where its interface is."""
        now, interface = self._runtime.now(), None
        if (level, option) == (socket.SOL_SOCKET, socket.SO_BROADCAST):
            self._udp.broadcast = bool(value)
        group = self._group(level, option, value)
        if group is not None:
            group, interface = group
            if interface is None or reach.is_own(self._runtime.node, interface):
                self._udp.join(now, group, interface)
                if interface is not None:
                    return
        if self._outside is not None:
            self._outside.setsockopt(level, option, value)

    def _group(self, level, option, value):
        """(group, address of the interface or None) that an option says to join, or None."""
        if (level, option) == (socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP):
            return value[:4], value[4:8] if any(value[4:8]) else None
        if (level, option) == (socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP):
            return value[:16], None
        return None

    def close(self):
        """The application is gone, or the node stops."""
        if self._ours is None:
            return
        self._loop.remove_reader(self._ours)
        self._ours.close()
        self._ours = None
        self._udp.on_event = None
        self._udp.close(self._runtime.now())
        self._runtime.kick()
        self._leave_outside()
        self._on_end(0)

    def _leave_outside(self):
        if self._outside is not None:
            self._loop.remove_reader(self._outside)
            self._outside.close()
            self._outside = None

    abort = close
