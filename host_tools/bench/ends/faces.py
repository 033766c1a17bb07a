"""One end of a ping-pong through one face, on either runtime.

    RUNTIME faces.py FILE       (JSON: "face", "role": "echo" or "ping", ...; see main)

Faces of a node (`node` holds what mpcore.NIC wants, and `network`): event (mpcore.aio), stream
(asyncio's own streams), poll (select.poll), blocking. Without `node` the same but event, over the
platform's sockets on loopback; with `crypto` each message there is as long as a node's datagram,
armored by who sends it and dearmored by who receives it.

The echo prints {"host": IP} once it listens on `port`. The ping, given `host`, sends `count`
messages of `size` bytes, each after the echo of the one before, then `bulk` messages of BULK
bytes, which one message answers; it prints {"us": the median round trip, "bulk_us"}.
"""

import asyncio
import json
import select
import sys
import time

if __name__ == "__main__":
    sys.path.insert(1, __file__.rpartition("/")[0] + "/../../..")

import mpcore
from mpcore import aio
from mpcore.crypto import PacketCipher

BULK = 1200
WARM_UP = 20
_HEADERS = 28 + 10 + 40     # of VL1, VL2, and IPv4 with TCP
_SALSA = 1
_TCP = 6                    # MicroPython's unix port has no names for these
_NODELAY = 1


class Plain:
    """Messages that are the payload itself."""

    def __init__(self, size):
        self.size = size
        self._message = bytes(size)

    def seal(self):
        return self._message

    def open(self, data):
        assert len(data) == self.size


class Armored:
    """Messages as long and as protected as a node's datagram with this payload."""

    def __init__(self, size):
        self.size = size + _HEADERS
        self._cipher = PacketCipher(bytes(48))
        self._buf = bytearray(1 + self.size)

    def seal(self):
        self._cipher.armor(self._buf, 1, self.size, _SALSA)
        return bytes(memoryview(self._buf)[1:])

    def open(self, data):
        self._buf[1:] = data
        assert self._cipher.dearmor(self._buf, 1, self.size)


if hasattr(time, "ticks_us"):
    def since_us(began):
        """Microseconds since a now_us()."""
        return time.ticks_diff(time.ticks_us(), began)

    now_us = time.ticks_us
else:
    def since_us(began):
        return now_us() - began

    def now_us():
        return time.perf_counter_ns() // 1000


def tell(**facts):
    print(json.dumps(facts))


# --- faces without asyncio -----------------------------------------------------------------


class Blocking:
    """A socket whose calls wait."""

    def __init__(self, sock):
        if hasattr(sock, "read"):       # a stream, as on MicroPython
            self.send, self.receive = sock.write, sock.read
        else:
            self.send, self.receive = sock.sendall, sock.makefile("rb").read


class Polled:
    """A socket whose calls do not wait, and select.poll."""

    def __init__(self, sock):
        sock.setblocking(False)
        self._socket = sock
        self._poll = select.poll()

    def _wait(self, event):
        self._poll.register(self._socket, event)
        self._poll.poll()

    def send(self, data):
        data = memoryview(data)
        while data:
            try:
                data = data[self._socket.send(data):]
            except OSError:
                self._wait(select.POLLOUT)

    def receive(self, n):
        parts = []
        while n:
            self._wait(select.POLLIN)
            parts.append(self._socket.recv(n))
            n -= len(parts[-1])
        return b"".join(parts)


def echo(channel, small, large, count, bulk):
    for _ in range(count + WARM_UP):
        small.open(channel.receive(small.size))
        channel.send(small.seal())
    for _ in range(bulk):
        large.open(channel.receive(large.size))
    channel.send(small.seal())


def ping(channel, small, large, count, bulk):
    trips = []
    for _ in range(count + WARM_UP):
        began = now_us()
        channel.send(small.seal())
        small.open(channel.receive(small.size))
        trips.append(since_us(began))
    began = now_us()
    for _ in range(bulk):
        channel.send(large.seal())
    small.open(channel.receive(small.size))
    tell(us=sorted(trips[WARM_UP:])[count // 2], bulk_us=since_us(began))


def without_asyncio(socket, face, role, host, port, work):
    own = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    address = socket.getaddrinfo(host, port)[0][-1]
    if role == "ping":
        own.connect(address)
        own.setsockopt(_TCP, getattr(socket, "TCP_NODELAY", _NODELAY), 1)
        ping((Polled if face == "poll" else Blocking)(own), *work)
    else:
        own.bind(address)
        own.listen(1)
        tell(host=host)
        connection = own.accept()[0]
        connection.setsockopt(_TCP, getattr(socket, "TCP_NODELAY", _NODELAY), 1)
        echo((Polled if face == "poll" else Blocking)(connection), *work)


# --- faces under asyncio -------------------------------------------------------------------


async def echo_stream(reader, writer, small, large, count, bulk):
    for _ in range(count + WARM_UP):
        small.open(await reader.readexactly(small.size))
        writer.write(small.seal())
        await writer.drain()
    for _ in range(bulk):
        large.open(await reader.readexactly(large.size))
    writer.write(small.seal())
    await writer.drain()


async def ping_stream(reader, writer, small, large, count, bulk):
    trips = []
    for _ in range(count + WARM_UP):
        began = now_us()
        writer.write(small.seal())
        await writer.drain()
        small.open(await reader.readexactly(small.size))
        trips.append(since_us(began))
    began = now_us()
    for _ in range(bulk):
        writer.write(large.seal())
        await writer.drain()
    small.open(await reader.readexactly(small.size))
    tell(us=sorted(trips[WARM_UP:])[count // 2], bulk_us=since_us(began))


async def with_asyncio(module, role, host, port, work):
    if role == "ping":
        reader, writer = await module.open_connection(host, port)
        return await ping_stream(reader, writer, *work)
    done = asyncio.Event()

    async def serve(reader, writer):
        await echo_stream(reader, writer, *work)
        done.set()

    await module.start_server(serve, host, port)
    tell(host=host)
    await done.wait()
    await asyncio.sleep(1)          # what was sent last is on its way


# --- a process -----------------------------------------------------------------------------


def join(home, bind, network):
    """A NIC on a network."""
    nic = mpcore.NIC(home=home, bind=bind, loopback=True)
    nic.active(True)
    nic.connect(network)
    while not nic.isconnected():
        nic.runtime.step(100)
    return nic


def main(face, role, port, size, count, bulk, host="127.0.0.1", node=None, crypto=False):
    message = Armored if crypto else Plain
    work = message(size), message(BULK), count, bulk
    if node is not None:
        nic = join(**node)
        if role == "echo":
            host = nic.ipconfig("addr4")[0]
        mpcore.interpose("virtual")
    import socket
    if face in ("poll", "blocking"):
        without_asyncio(socket, face, role, host, port, work)
    else:
        asyncio.run(with_asyncio(aio if face == "event" else asyncio, role, host, port, work))


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        main(**json.load(file))
