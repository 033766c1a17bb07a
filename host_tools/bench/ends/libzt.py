"""A member of ZeroTier's SDK, measured as node.py measures ours: tests/interop's peer, and more.

    python libzt.py '{"library": PATH, "shim": PATH, "home": DIR, "port": N}'
"""

import ctypes
import json
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[3] / "tests" / "interop"), str(Path(__file__).parent)]

import blocking
import libzt_peer
from plain import CHUNK, PAUSE_MS, SIZE, age_us, stamp, us_since

_LATE_S = 2


def read(sock, n):
    """Exactly n bytes, in calls that wait. Raises OSError."""
    data = b""
    while len(data) < n:
        data += read_some(sock, n - len(data))
    return data


def read_some(sock, n):
    into = ctypes.create_string_buffer(n)
    got = sock._call("recv", into, ctypes.c_size_t(n), 0)
    if not got:
        raise OSError("closed")
    return into.raw[:got]


def send(sock, data):
    while data:
        data = data[sock._call("send", data, ctypes.c_size_t(len(data)), 0):]


class End(libzt_peer.Peer):
    def _opened(self, ip, port):
        sock = self._sockets.tcp()
        sock.connect((ip, port))
        sock.send_at_once()
        return sock

    def do_udp_echo(self, ip, port, count):
        message, trips = bytes(SIZE), []
        with self._sockets.udp() as sock:
            sock.bind((blocking.ANY, 0))
            for _ in range(count):
                began_ns = time.time_ns()
                sock.sendto(message, (ip, port))
                sock.wait(False, _LATE_S)
                try:
                    sock.recvfrom(SIZE)
                except BlockingIOError:
                    continue
                trips.append(us_since(began_ns))
        return trips

    def do_tcp_echo(self, ip, port, count):
        message, trips = bytes(SIZE), []
        with self._opened(ip, port) as sock:
            for _ in range(count):
                began_ns = time.time_ns()
                send(sock, message)
                read(sock, SIZE)
                trips.append(us_since(began_ns))
        return trips

    def do_tcp_push(self, ip, port, count):
        with self._opened(ip, port) as sock:
            return [age_us(read(sock, SIZE)) for _ in range(count)]

    def do_serve_pushes(self, port):
        self._listen(port, self._push)

    def do_serve_bulk(self, port):
        self._listen(port, self._swallow)

    def _listen(self, port, handler):
        listener = self._sockets.tcp()
        listener.bind((blocking.ANY, port))
        listener.listen(8)
        blocking.start(self._serve, listener, handler)

    @staticmethod
    def _serve(listener, handler):
        while True:
            connection, _ = listener.accept()
            blocking.start(handler, connection)

    @staticmethod
    def _push(connection):
        with connection:
            connection.send_at_once()
            try:
                while True:
                    send(connection, stamp())
                    time.sleep(PAUSE_MS / 1000)
            except OSError:
                pass

    @staticmethod
    def _swallow(connection):
        with connection:
            try:
                left = int.from_bytes(read(connection, 8), "big")
                while left:
                    left -= len(read_some(connection, min(left, CHUNK)))
                send(connection, b"!")
                read(connection, 1)
            except OSError:
                pass

    def do_bulk(self, ip, port, size):
        with self._opened(ip, port) as sock:
            began_ns = time.time_ns()
            send(sock, size.to_bytes(8, "big"))
            while size:
                send(sock, bytes(min(size, CHUNK)))
                size -= min(size, CHUNK)
            read(sock, 1)
            return us_since(began_ns) / 1e6


if __name__ == "__main__":
    blocking.run(End(**json.loads(sys.argv[1])))
