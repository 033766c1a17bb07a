"""The game and the bulb of the demonstration over libzt's sockets, as asyncio streams."""

import asyncio
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[1:1] = [str(ROOT), str(ROOT / "boards" / "apps" / "bulb"), str(ROOT / "boards" / "unix")]

import board
import bulb
from host_tools.demo.game import DISCOVERY_PORT, HTTP_PORT, Game, Tokens

_LIFETIME_S = 600
_FULL_S = 0.001         # before a full connection is tried again
_BATCH = 2048
_EVERYBODY = "255.255.255.255"


class Jumper:
    """A player who is in the middle of the map or in its corner, never twice in the same place."""

    name = "jumper"

    def __init__(self):
        self.position = 0, 0

    def step(self):
        self.position = (0, 0) if self.position[0] else (500, 500)


class Stream:
    """Reader and writer of one connection. A thread of its own waits for what comes."""

    def __init__(self, sock):
        self._sock = sock
        sock.send_at_once()
        self._rest = b""
        self._reader = asyncio.StreamReader()
        self.read, self.readline = self._reader.read, self._reader.readline
        self.readexactly = self._reader.readexactly
        _watch(sock, sock.recv, self._came)

    def _came(self, data):
        if data:
            self._reader.feed_data(data)
            return True
        self._reader.feed_eof()
        return False

    def write(self, data):
        self._rest = data

    async def drain(self):
        while self._rest:
            try:
                self._rest = self._rest[self._sock.send(self._rest):]
            except BlockingIOError:
                await asyncio.sleep(_FULL_S)

    async def awrite(self, data):
        self.write(data)
        await self.drain()

    def close(self):
        self._sock.close()

    async def aclose(self):
        self.close()

    wait_closed = aclose

    def get_extra_info(self, name, default=None):
        return default


class Datagrams:
    """broadcast: what 255.255.255.255 is to mean; lwIP knows no way there."""

    def __init__(self, sockets, port=0, broadcast=None):
        self._broadcast = broadcast
        self._sock = sockets.udp()
        self._sock.bind(("0.0.0.0", port))
        sockets.allow_groups(self._sock)
        self._came = asyncio.Queue()
        _watch(self._sock, self._sock.recvfrom, lambda got: self._came.put_nowait(got) or True)

    def sendto(self, data, address):
        host, port = address
        self._sock.sendto(data, (self._broadcast if host == _EVERYBODY else host, port))

    async def recvfrom(self):
        return await self._came.get()


def _watch(sock, receive, came):
    """A thread that calls came(what was received) in the loop until that is False."""
    loop = asyncio.get_running_loop()

    def run():
        while True:
            try:
                got = receive(_BATCH)
            except BlockingIOError:
                sock.wait(False, None)
                continue
            except OSError:
                got = b""
            loop.call_soon_threadsafe(came, got)
            if not got:
                return

    threading.Thread(target=run, daemon=True).start()


def start(coroutine):
    """Run it in a thread with a loop of its own."""
    threading.Thread(target=asyncio.run, args=(coroutine,), daemon=True).start()


async def play(sockets, clients):
    """The game: its HTTP, its answers to who looks for games, and the walk of its player.

    clients: name -> secret of those who get a token.
    """
    game = Game("interop", [Jumper()], Tokens(clients, _LIFETIME_S))
    loop = asyncio.get_running_loop()
    listener = sockets.tcp()
    listener.bind(("0.0.0.0", HTTP_PORT))
    listener.listen(8)

    async def serve(sock):
        stream = Stream(sock)
        await game.app.handle_request(stream, stream)

    def accept():
        while True:
            sock, _ = listener.accept()
            asyncio.run_coroutine_threadsafe(serve(sock), loop)

    threading.Thread(target=accept, daemon=True).start()
    lan = Datagrams(sockets, DISCOVERY_PORT)
    await asyncio.gather(game.walk(), _answer(game, lan))


async def _answer(game, lan):
    while True:
        data, address = await lan.recvfrom()
        found = game.discovered(data)
        if found is not None:
            lan.sendto(found, address)


async def follow(sockets, config, reactions):
    """The bulb, which adds to `reactions`."""
    def react(event, set_ns=None, changed_ns=None, **facts):
        if event == "led" and changed_ns is not None:
            reactions.append((set_ns - changed_ns) / 1000000)

    async def connect(host, port):
        sock = sockets.tcp()
        await asyncio.to_thread(sock.connect, (host, port))
        stream = Stream(sock)
        return stream, stream

    lan = Datagrams(sockets, broadcast=config["broadcast"])
    await bulb.Bulb(config, board.led(), connect, lan, react).run()
