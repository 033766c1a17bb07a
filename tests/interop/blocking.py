"""A peer with blocking sockets: its request loop and the verbs that libzt and the kernel share.

A platform gives `sockets`: an object with udp(ip) and tcp(ip), which make sockets with the methods
of the standard library's and `wait(write, timeout_s)`, which sleeps until the socket can be read
(or written); calls that would block raise BlockingIOError. Its icmp(ip) makes one with
`send(message, ip)`, which sees to the checksum in ICMPv6, and `receive(timeout_s)`. All are for
the family that an IP address is of.
"""

import itertools
import json
import os
import struct
import sys
import threading
import time

from exchange import CHUNK, LATE_S, content, datagram

ANY = "0.0.0.0"

_ECHO, _ECHO_REPLY = 8, 0
_ECHO_6, _ECHO_REPLY_6 = 128, 129


class Verbs:
    """The verbs of exchange.py that are about sockets."""

    def __init__(self, sockets):
        self._sockets = sockets
        self._connections = {}
        self._heard = {}
        self._numbers = itertools.count(1)

    def do_ping(self, ip, size=16, timeout_ms=1000):
        identifier, data = struct.pack(">H", next(self._numbers) & 0xFFFF), bytes(size)
        echo, reply = (_ECHO_6, _ECHO_REPLY_6) if ":" in ip else (_ECHO, _ECHO_REPLY)
        message = bytes((echo, 0, 0, 0)) + identifier + b"\0\1" + data
        if echo == _ECHO:
            message = with_checksum(message)
        with self._sockets.icmp(ip) as sock:
            began = time.monotonic()
            sock.send(message, ip)
            while (left := began + timeout_ms / 1000 - time.monotonic()) > 0:
                try:
                    answer = sock.receive(left)
                except TimeoutError:
                    break
                if answer[0] == reply and answer[4:6] == identifier:
                    return (time.monotonic() - began) * 1000
        return None

    def do_serve(self, port, ip=ANY):
        udp = self._sockets.udp(ip)
        udp.bind((ip, port))
        start(self._echo_datagrams, udp)
        listener = self._sockets.tcp(ip)
        listener.bind((ip, port))
        listener.listen(8)
        start(self._accept, listener)

    @staticmethod
    def _echo_datagrams(udp):
        while True:
            try:
                data, address = udp.recvfrom(65535)
            except BlockingIOError:
                udp.wait(False, None)
                continue
            udp.sendto(data, address)

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                listener.wait(False, None)
                continue
            start(self._echo_stream, connection)

    @staticmethod
    def _echo_stream(connection):
        with connection:
            while True:
                try:
                    data = connection.recv(CHUNK)
                except BlockingIOError:
                    connection.wait(False, None)
                    continue
                except OSError:
                    return
                if not data:
                    return
                while data:
                    try:
                        data = data[connection.send(data):]
                    except BlockingIOError:
                        connection.wait(True, None)
                    except OSError:
                        return

    def do_udp(self, ip, port, sizes, timeout_ms=2000, attempts=1):
        missing = []
        with self._sockets.udp(ip) as sock:
            sock.bind(("::" if ":" in ip else ANY, 0))
            for size in sizes:
                if not any(self._echoed(sock, ip, port, size, timeout_ms)
                           for _ in range(attempts)):
                    missing.append(size)
        return missing

    @staticmethod
    def _echoed(sock, ip, port, size, timeout_ms):
        data = datagram(size)
        sock.sendto(data, (ip, port))
        end = time.monotonic() + timeout_ms / 1000
        while (left := end - time.monotonic()) > 0:
            try:
                got, sender = sock.recvfrom(65535)
                if (got, *sender[:2]) == (data, ip, port):
                    return True
            except BlockingIOError:
                sock.wait(False, left)
        return False

    def do_open(self, ip, port):
        sock = self._sockets.tcp(ip)
        began = time.monotonic()
        sock.connect((ip, port))
        number = next(self._numbers)
        self._connections[number] = sock
        return {"connection": number, "ms": (time.monotonic() - began) * 1000}

    def do_transfer(self, connection, size, start=0):
        sock = self._connections[connection]
        began = progress = time.monotonic()
        sent = received = 0
        intact = True
        while received < size:
            moved = False
            if sent < size:
                try:
                    sent += sock.send(content(start + sent, min(CHUNK, size - sent)))
                    moved = True
                except BlockingIOError:
                    pass
            try:
                data = sock.recv(CHUNK)
                if not data:
                    raise OSError(f"closed after {received} bytes")
                intact = intact and data == content(start + received, len(data))
                received += len(data)
                moved = True
            except BlockingIOError:
                pass
            if moved:
                progress = time.monotonic()
            elif time.monotonic() - progress > LATE_S:
                raise OSError(f"{sent} bytes sent, {received} came back, then nothing")
            else:
                sock.wait(sent < size, 1)
        return {"intact": intact, "ms": (time.monotonic() - began) * 1000}

    def do_close(self, connection):
        self._connections.pop(connection).close()

    def do_listen(self, port, group=None):
        sock = self._sockets.udp(ANY)
        sock.bind((ANY, port))
        if group is not None:
            self._sockets.join_group(sock, group)
        self._heard[port] = []
        start(self._hear, sock, self._heard[port])

    @staticmethod
    def _hear(sock, heard):
        while True:
            try:
                heard.append(sock.recvfrom(65535)[0].decode())
            except BlockingIOError:
                sock.wait(False, None)

    def do_heard(self, port):
        return self._heard[port]

    def do_say(self, ip, port, text):
        with self._sockets.udp(ip) as sock:
            self._sockets.allow_groups(sock)
            sock.sendto(text.encode(), (ip, port))


def with_checksum(message, pseudo=b""):
    """An ICMP message with its checksum, over a pseudo-header too where there is one."""
    data = pseudo + message
    total = sum(struct.unpack(f">{len(data) // 2}H", data[:len(data) & ~1]))
    if len(data) & 1:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return message[:2] + struct.pack(">H", 0xFFFF - total) + message[4:]


def start(function, *arguments):
    """Run a function in a thread that ends with the process."""
    threading.Thread(target=function, args=arguments, daemon=True).start()


def run(peer):
    """Answer the requests on standard input until it ends; each runs in a thread of its own."""
    lock = threading.Lock()

    def answer(request):
        number, verb = request.pop("id"), request.pop("do")
        try:
            said = {"id": number, "result": getattr(peer, "do_" + verb)(**request)}
        except Exception as error:
            said = {"id": number, "error": f"{verb}: {error!r}"}
        with lock:
            print(json.dumps(said), flush=True)

    for line in sys.stdin:
        start(answer, json.loads(line))
    os._exit(0)     # libzt's threads would not let an ordinary exit finish
