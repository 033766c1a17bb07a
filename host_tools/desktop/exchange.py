"""Where applications of this machine ask a node for sockets: a Unix socket in a private directory.

The other side is app/filament_sockets; line.py there has the form of the messages. A verb is
a method `_on_…` here, its fields are the arguments.
"""

import asyncio
import errno
import json
import os
import socket

from host_tools.desktop import names, reach
from host_tools.desktop.app.filament_sockets.addresses import parse, text
from host_tools.desktop.app.filament_sockets.line import MESSAGE_BYTES
from host_tools.desktop.datagram_pump import DatagramPump
from host_tools.desktop.listeners import Listener, Ports
from host_tools.desktop.stream_pump import StreamPump
from mpcore.ip.tcp import TcpSocket
from mpcore.ip.udp import UdpSocket

THREADS = 1024          # of applications, that may ask
SOCKETS = 4096          # of applications, at once
_ERRORS = 1024          # of connections that have ended, remembered
_VERBS = ("bind", "connect", "datagrams", "error", "leads", "listen", "option", "peer", "resolve")


class Exchange:
    """Serves applications with sockets of a runtime's node, inside its asyncio loop.

    path: of the Unix socket to make.
    """

    def __init__(self, runtime, path):
        self._runtime = runtime
        self._node = runtime.node
        self._loop = asyncio.get_running_loop()
        self._ports = Ports(runtime)
        self._sockets = {}          # number -> StreamPump, DatagramPump or Listener
        self._errors = {}           # number -> what ended it
        self._number = 0
        self._threads = set()
        self._tasks = set()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        self._socket.bind(path)
        os.chmod(path, 0o600)
        self._socket.listen()
        self._loop.add_reader(self._socket, self._accept)

    def close(self):
        """End whatever there is."""
        for each in list(self._sockets.values()):
            each.abort()
        for thread in list(self._threads):
            self._leave(thread)
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _accept(self):
        try:
            thread, _ = self._socket.accept()
        except OSError:         # gone already, or out of descriptors: it will try again
            return
        if len(self._threads) >= THREADS:
            return thread.close()
        thread.setblocking(False)
        self._threads.add(thread)
        self._loop.add_reader(thread, self._asked, thread)

    def _leave(self, thread):
        self._threads.discard(thread)
        self._loop.remove_reader(thread)
        thread.close()

    def _asked(self, thread):
        try:
            message, descriptors, _, _ = socket.recv_fds(thread, MESSAGE_BYTES, 1)
        except OSError:
            message, descriptors = b"", []
        if not message:
            return self._leave(thread)
        try:
            outside = socket.socket(fileno=descriptors[0]) if descriptors else None
        except OSError:
            os.close(descriptors[0])
            return self._answer(thread, {"error": errno.ENOTSOCK})
        answer, given = self._obey(thread, message, outside)
        if outside is not None and given is None:
            outside.close()
        if answer is not None:
            self._answer(thread, answer, given)
        self._runtime.kick()

    def _obey(self, thread, message, outside):
        """(answer, socket to go with it or None); no answer yet where it takes its time."""
        try:
            verb, fields = json.loads(message)
            if verb not in _VERBS or "outside" in fields or "thread" in fields:
                raise ValueError
            if verb == "resolve":
                task = asyncio.create_task(self._on_resolve(thread, **fields))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                return None, None
            if outside is not None:
                fields["outside"] = outside
            answer = getattr(self, "_on_" + verb)(**fields)
            return answer if isinstance(answer, tuple) else (answer, None)
        except OSError as error:
            return {"error": error.errno or errno.EIO}, None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return {"error": errno.EINVAL}, None

    def _answer(self, thread, answer, given=None):
        try:
            socket.send_fds(thread, [json.dumps(answer).encode()],
                            [] if given is None else [given.fileno()])
        except OSError:
            self._leave(thread)
        finally:
            if given is not None:
                given.close()

    # --- verbs ---

    def _on_leads(self, ip):
        return {"overlay": reach.leads(self._node, bytes.fromhex(ip))}

    def _on_error(self, number):
        return {"errno": self._errors.get(number, 0)}

    def _on_bind(self, ip, port):
        """The port that a socket bound to an address of ours has; nothing for other addresses."""
        if not reach.is_own(self._node, bytes.fromhex(ip)):
            return {}
        return {"port": _port(port) or self._node.stack.tcp.free_port()}

    def _on_connect(self, ip, port, local):
        """A connection in the making; nothing when the platform is to make it."""
        ip, port = bytes.fromhex(ip), _port(port)
        if not reach.leads(self._node, ip):
            if local is None:
                return {}
            raise OSError(errno.ENETUNREACH, "")
        tcp = TcpSocket(self._node.stack)
        if local is not None:
            tcp.bind(*_place(local))
        self._check_room()
        tcp.connect(self._runtime.now(), ip, port)
        try:
            return self._add_stream(tcp, connecting=True)
        except OSError:         # out of descriptors
            tcp.abort(self._runtime.now())
            raise

    def _on_listen(self, sizes, local, backlog, outside=None):
        """A listener; nothing when a socket that listens outside has to be content with that."""
        ip, port = _place(local)
        if not set(sizes) <= {4, 16} or not isinstance(backlog, int):
            raise ValueError
        self._check_room()
        number = self._next()
        listener = Listener(self._loop, self._runtime, self._ports, sizes, outside,
                            self._add_stream, lambda error: self._ended(number, error))
        try:
            self._ports.add(listener, ip, port, backlog)
        except OSError:
            listener.theirs.close()
            listener.close()
            if outside is None:
                raise
            return {}
        self._sockets[number] = listener
        return {"number": number}, listener.theirs

    def _on_datagrams(self, size, local, outside=None):
        self._check_room()
        udp = UdpSocket(self._node.stack)
        udp.bind(*_place(local))
        family = socket.AF_INET if size == 4 else socket.AF_INET6
        number = self._next()
        pump = DatagramPump(self._loop, self._runtime, udp, outside, family,
                            lambda error: self._ended(number, error))
        self._sockets[number] = pump
        return {"number": number, "local": _named(size, udp.local)}, pump.theirs

    def _on_peer(self, number, ip, port):
        pump, ip = self._datagrams(number), bytes.fromhex(ip)
        return {"local": _named(len(ip), pump.connect(ip, _port(port)))}

    def _on_option(self, number, level, option, value):
        if isinstance(value, str):
            value = bytes.fromhex(value)
        self._datagrams(number).set_option(level, option, value)
        return {}

    async def _on_resolve(self, thread, name, size):
        try:
            answer = {"ips": [text(ip) for ip in await names.resolve(self._runtime, name, size)]}
        except OSError as error:
            answer = {"error": error.errno or errno.EIO}
        if thread in self._threads:
            self._answer(thread, answer)

    # --- sockets ---

    def _add_stream(self, tcp, connecting=False):
        number = self._next()
        pump = StreamPump(self._loop, self._runtime, tcp,
                          lambda error: self._ended(number, error), connecting)
        self._sockets[number] = pump
        return {"number": number, "local": _named(4, tcp.local),
                "peer": _named(4, tcp.remote)}, pump.theirs

    def _datagrams(self, number):
        pump = self._sockets[number]
        if not isinstance(pump, DatagramPump):
            raise ValueError
        return pump

    def _next(self):
        self._number += 1
        return self._number

    def _check_room(self):
        if len(self._sockets) >= SOCKETS:
            raise OSError(errno.ENOBUFS, "")

    def _ended(self, number, error):
        self._sockets.pop(number, None)
        if error:
            if len(self._errors) >= _ERRORS:
                del self._errors[next(iter(self._errors))]
            self._errors[number] = error


def _port(value):
    if not isinstance(value, int) or not 0 <= value < 65536:
        raise ValueError("not a port")
    return value


def _place(local):
    """(IP address, None for any; port) to bind to, of (host, port)."""
    ip = parse(local[0])
    return ip if any(ip) else None, _port(local[1])


def _named(size, address):
    """(host, port) of an overlay address (bytes or None, port)."""
    ip = address[0] or bytes(size)
    return [text(ip), address[1]]
