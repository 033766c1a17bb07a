"""Listeners of applications on a virtual network, and on the platform's at once."""

import json
import os
import socket

from mpcore.ip import errors
from mpcore.ip.tcp import TcpSocket

_BUFFER = 1             # bytes to ask for: the kernel's least, a handful of connections


class Ports:
    """Who listens where. IPv4 and IPv6 may have different listeners on one port, and the worker
    processes of a server, which share a socket of the platform, take connections by turns.

    A listener has `sizes` (lengths of the addresses that it takes), offer(tcp) for a connection,
    has_room, whether it would take another, and `shared`, which is the same of all that may listen
    together, None of one that may not.
    """

    def __init__(self, runtime):
        self._runtime = runtime
        # (ip or None, port) -> (TcpSocket, {size of an address: [Listener]})
        self._shared = {}

    def add(self, listener, ip, port, backlog):
        """Have a listener be offered the connections to an address (ip None: any; port 0: a free
        one). Returns (ip, port). Raises OSError EADDRINUSE."""
        shared = self._shared.get((ip, port))
        if shared is None:
            tcp = TcpSocket(self._runtime.node.stack)
            tcp.bind(ip, port)
            tcp.listen(backlog)
            shared = self._shared[tcp.local] = (tcp, {})
            tcp.on_event = lambda: self._accept(*shared)
        tcp, takers = shared
        if any(listener.shared is None or other.shared != listener.shared
               for size in listener.sizes for other in takers.get(size, ())):
            raise errors.failure(errors.EADDRINUSE)
        for size in listener.sizes:
            takers.setdefault(size, []).append(listener)
        return tcp.local

    def remove(self, listener):
        for key, (tcp, takers) in list(self._shared.items()):
            for size, queue in list(takers.items()):
                if listener in queue:
                    queue.remove(listener)
                if not queue:
                    del takers[size]
            if not takers:
                tcp.close(self._runtime.now())
                self._runtime.kick()
                del self._shared[key]

    def accept(self, listener):
        """Take up again what a listener had no room for."""
        for tcp, takers in list(self._shared.values()):
            if any(listener in queue for queue in takers.values()):
                self._accept(tcp, takers)

    def _accept(self, tcp, takers):
        while takers and all(_with_room(queue) for queue in takers.values()):
            child = tcp.accept()
            if child is None:
                return
            queue = takers.get(len(child.remote[0]))
            if queue is None:
                child.abort(self._runtime.now())
            else:
                taker = _with_room(queue)
                queue.remove(taker)
                queue.append(taker)
                taker.offer(child)


def _with_room(queue):
    """The first of the listeners that would take a connection, or None."""
    return next((listener for listener in queue if listener.has_room), None)


class Listener:
    """A listening socket of an application: it gets a message with a descriptor per connection.

    sizes: lengths of the addresses that it takes. outside: the platform's listening socket that it
    had, or None. make_pump(tcp) -> (facts, descriptor's socket) of an overlay connection.
    """

    def __init__(self, loop, runtime, ports, sizes, outside, make_pump, on_end):
        self._loop = loop
        self._runtime = runtime
        self._ports = ports
        self.sizes = sizes
        self._outside = outside
        self.shared = outside and os.fstat(outside.fileno()).st_ino
        self._make_pump = make_pump
        self._on_end = on_end
        self._waiting = None        # a message for which there was no room
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)
        self._ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        loop.add_reader(self._ours, self.close)     # nothing comes but the end
        if outside is not None:
            outside.setblocking(False)
            loop.add_reader(outside, self._accept_outside)

    @property
    def has_room(self):
        return self._waiting is None

    def offer(self, tcp):
        """Hand a connection to the application; it is dropped when there are no descriptors."""
        try:
            facts, end = self._make_pump(tcp)
        except OSError:
            return tcp.abort(self._runtime.now())
        self._pass(facts, end)

    def _accept_outside(self):
        try:
            peer, _ = self._outside.accept()
        except OSError:
            return
        peer.setblocking(True)
        self._pass({"number": None}, peer)

    def _pass(self, facts, sock):
        self._waiting = json.dumps(facts).encode(), sock
        self._try()
        if self._waiting is not None:
            self._loop.add_writer(self._ours, self._resume)
            if self._outside is not None:
                self._loop.remove_reader(self._outside)

    def _try(self):
        message, sock = self._waiting
        try:
            socket.send_fds(self._ours, [message], [sock.fileno()])
        except BlockingIOError:
            return
        except OSError:
            self._waiting = None
            sock.close()
            return self.close()
        self._waiting = None
        sock.close()

    def _resume(self):
        self._try()
        if self._waiting is None and self._ours is not None:
            self._loop.remove_writer(self._ours)
            if self._outside is not None:
                self._loop.add_reader(self._outside, self._accept_outside)
            self._ports.accept(self)

    def close(self):
        """The application is gone, or the node stops."""
        if self._ours is None:
            return
        self._loop.remove_reader(self._ours)
        self._loop.remove_writer(self._ours)
        self._ours.close()
        self._ours = None
        if self._waiting is not None:
            self._waiting[1].close()
        if self._outside is not None:
            self._loop.remove_reader(self._outside)
            self._outside.close()
        self._ports.remove(self)
        self._on_end(0)

    abort = close
