"""Moves the bytes of an overlay connection to and from a Unix socket that an application has.

All of it runs in the node's asyncio loop. Nothing is read that cannot be passed on, so whoever is
slow slows down the one who sends.
"""

import errno
import select
import socket

from host_tools.desktop.turn import Turn
from mpcore.ip.events import ERROR, HUP, READ, WRITE

_CHUNK = 65536
_FULL = 65536           # bytes that make a pair's end not writable: more than a quarter of
_SEND_BUFFER = 131072   # what it may hold (the kernel doubles this)
_LOOK_S = 5             # how often it is looked whether a half-closed end is still open


class StreamPump:
    """A TCP connection and its pair of Unix stream sockets; `theirs` is the application's end.

    connecting: theirs becomes writable only when the connection is there; when there will be none
    it gets an error. on_end(errno) is called once, when both directions have ended.
    """

    def __init__(self, loop, runtime, tcp, on_end, connecting=False):
        self._loop = loop
        self._runtime = runtime
        self._tcp = tcp
        self._on_end = on_end
        self._ours, self.theirs = socket.socketpair()
        self._ours.setblocking(False)
        for end in (self._ours, self.theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        # Bytes that only keep their end from being writable.
        self._filling = self.theirs.send(bytes(_FULL), socket.MSG_DONTWAIT) if connecting else 0
        self._outgoing = b""        # read from the application, and TCP has no room for it
        self._incoming = b""        # read from TCP, and the application has no room for it
        self._reading = False       # whether the loop tells of what the application sends
        self._writing = False       # whether it tells of room there
        self._sent_all = False      # the application will send no more
        self._received_all = False  # nor the peer, and the application knows
        self._look = None
        tcp.on_event = self._kick = Turn(loop, self._run)
        self._kick()

    def _run(self):
        if self._ours is None:
            return
        mask = self._tcp.events()
        if self._filling:
            if self._tcp.error or not mask & (WRITE | READ):
                return self._fail() if mask & (ERROR | HUP) or self._tcp.error else None
            self._empty()
        if self._tcp.error and not mask & READ:
            return self._fail()
        try:
            self._receive()
            self._send()
        except OSError:
            if self._tcp.error:
                return self._fail()
            self._tcp.abort(self._runtime.now())    # the application is gone and has not read all
            self._end(0)
        self._runtime.kick()

    def _empty(self):
        while self._filling:
            self._filling -= len(self._ours.recv(self._filling))

    def _receive(self):
        """From the peer to the application."""
        while not self._received_all:
            if not self._incoming:
                data = self._tcp.recv(self._runtime.now(), _CHUNK)
                if data is None:
                    return
                if not data:
                    self._received_all = True
                    self._ours.shutdown(socket.SHUT_WR)
                    return self._finish()
                self._incoming = memoryview(data)
            try:
                n = self._ours.send(self._incoming)
            except BlockingIOError:
                n = 0
            self._incoming = self._incoming[n:]
            if self._incoming:
                return self._watch_room(True)
        self._watch_room(False)

    def _send(self):
        """From the application to the peer."""
        while not self._sent_all:
            if not self._outgoing:
                if not self._tcp.events() & WRITE:
                    return self._watch(False)
                try:
                    data = self._ours.recv(_CHUNK)
                except BlockingIOError:
                    return self._watch(True)
                if not data:
                    return self._stop_sending()
                self._outgoing = memoryview(data)
            n = self._tcp.send(self._runtime.now(), self._outgoing)
            self._outgoing = self._outgoing[n:]
            if self._outgoing:
                return self._watch(False)

    def _stop_sending(self):
        self._sent_all = True
        self._watch(False)
        if self._is_abandoned():
            self._tcp.close(self._runtime.now())
            return self._end(0)
        self._tcp.shutdown_write(self._runtime.now())
        if not self._finish():
            self._look = self._loop.call_later(_LOOK_S, self._look_after)

    def _look_after(self):
        """An application that only listens on, and closes while nobody sends, tells nobody."""
        self._look = None
        if self._is_abandoned():
            self._tcp.close(self._runtime.now())
            self._runtime.kick()
            self._end(0)
        elif self._ours is not None:
            self._look = self._loop.call_later(_LOOK_S, self._look_after)

    def _is_abandoned(self):
        poll = select.poll()
        poll.register(self._ours, 0)
        return bool(poll.poll(0))

    def _finish(self):
        if self._sent_all and self._received_all:
            self._tcp.close(self._runtime.now())
            self._end(0)
            return True
        return False

    def _fail(self):
        error = self._tcp.error or errno.ECONNRESET
        self._tcp.close(self._runtime.now())
        self._end(error)

    def abort(self):
        """Drop the connection, as when the node stops."""
        if self._ours is not None:
            self._tcp.abort(self._runtime.now())
            self._end(errno.ENETDOWN)

    def _end(self, error):
        # The number is there before the application can notice and ask for it.
        self._on_end(error)
        self._watch(False)
        self._watch_room(False)
        if self._look is not None:
            self._look.cancel()
        self._tcp.on_event = None
        self._ours.close()
        self._ours = None

    def _watch(self, reading):
        if reading != self._reading:
            self._reading = reading
            if reading:
                self._loop.add_reader(self._ours, self._run)
            else:
                self._loop.remove_reader(self._ours)

    def _watch_room(self, writing):
        if writing != self._writing:
            self._writing = writing
            if writing:
                self._loop.add_writer(self._ours, self._run)
            else:
                self._loop.remove_writer(self._ours)
