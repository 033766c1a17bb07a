"""The bulb's board among simulated nodes, in one time: all of it repeats to the cycle.

The nodes are tests.core.scenes.Lan's, on a simulated wire; the board is run one millisecond at a
time, with what the wire has for it.
"""

import json

from host_tools.emulator import files
from host_tools.emulator.board import ROOMY, Board
from mpcore.ip.tcp import TcpSocket
from mpcore.ip.udp import UdpSocket

from tests.core.scenes import Lan, identity

BOARD_AT = "10.0.3.1/9993"
BOARD_IDENTITY = 4
BIND_PORT = 9993
DISCOVERY_PORT, HTTP_PORT = 7300, 80
CHANGE_MS = 250
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: %s\r\n%s\r\n"


def prepare(directory, in_flash):
    """What a Board needs to be the bulb's, with its files as mpremote has put them there, and its
    code in the flash or, which needs more heap than a Pico W has, in .mpy files."""
    lan = Lan(members=1)
    own = directory / "own"
    installed = {"heap": None if in_flash else ROOMY, "more": []}
    if in_flash:
        installed["more"].append(directory / "filament.uf2")
        files.bulb_in_flash(own, *installed["more"])
    else:
        files.bulb(own)
    (own / "identity.secret").write_text(identity(BOARD_IDENTITY).to_text(secret=True))
    (own / "planet").write_bytes(lan.planet.to_bytes())
    (own / "bulb.secret.json").write_text(json.dumps({
        "network": lan.nwid.hex(), "bind": f"0.0.0.0:{BIND_PORT}", "loopback": False,
        "place": [0, 0], "radius": 1, "client": "bulb", "secret": "s", "token": None}))
    flash = directory / "flash.bin"
    with Board(directory, **installed) as board:
        board.copy(own)
        board.save(flash)
    return installed | {"flash": flash}


class Machine:
    """The board as a node of the wire."""

    def __init__(self, wire, board):
        self.port = wire.port(BOARD_AT)
        self.facts = []
        self._wire = wire
        self._board = board
        self._inbox = []
        wire.attach(self)

    def receive(self, now, source, buf, off, n):
        self._inbox.append((BIND_PORT, int.from_bytes(source[:4], "big"),
                            int.from_bytes(source[4:], "big"), bytes(buf[off:off + n])))

    def poll(self, now):
        inbox, self._inbox = self._inbox, []
        sent, facts = self._board.step(now * 1_000_000, inbox)
        self.facts += facts
        for address, port, data in sent:
            self._wire.transmit(self.port.endpoint,
                                address.to_bytes(4, "big") + port.to_bytes(2, "big"), data)
        return now + 1


class Game:
    """As much of a game as the bulb needs, scripted; somebody comes or goes every CHANGE_MS."""

    def __init__(self, lan, node):
        self.changes = 0
        self._lan = lan
        self._node = node
        self._due = None
        self._talks = []        # [socket, what it has said]
        self._stream = None
        self._udp = UdpSocket(node.stack)
        self._udp.bind(None, DISCOVERY_PORT)
        self._listener = TcpSocket(node.stack)
        self._listener.bind(None, HTTP_PORT)
        self._listener.listen(4)
        lan.wire.every(self.poll)

    def poll(self, now):
        while (found := self._udp.recvfrom()) is not None:
            _, ip, port = found
            self._udp.sendto(now, json.dumps({"game": "meadow", "port": HTTP_PORT}).encode(),
                             ip, port)
        while (talk := self._listener.accept()) is not None:
            self._talks.append([talk, b""])
        for talk in self._talks[:]:
            self._listen(now, talk)
        if self._due is not None and now >= self._due:
            self._due += CHANGE_MS
            self.changes += 1
            self._say(now, self._stream, {"count": self.changes & 1, "changed_ns": now})
        self._lan.wire.touch(self._node)
        return now + 1

    def _listen(self, now, talk):
        talk[1] += talk[0].recv(now, 1024) or b""
        head, end, body = talk[1].partition(b"\r\n\r\n")
        if not end:
            return
        if head.startswith(b"POST /token") and body:
            text = b'{"token": "t"}'
            talk[0].send(now, HEAD % (b"application/json", b"Content-Length: %d\r\n" % len(text))
                         + text)
            talk[0].close(now)
        elif head.startswith(b"GET /near"):
            talk[0].send(now, HEAD % (b"text/event-stream", b""))
            self._say(now, talk[0], {"count": 0})
            self._stream, self._due = talk[0], now + CHANGE_MS
        else:
            return
        self._talks.remove(talk)

    def _say(self, now, stream, facts):
        stream.send(now, b"event: near\ndata: " + json.dumps(facts).encode() + b"\n\n")


def play(directory, installed, changes, limit_ms=60_000):
    """Switch the board on and let it react to so many changes. installed: from prepare().

    Returns {"joined_ms", "following_ms", "reactions": [[cycles, ns], ...]}.
    """
    lan = Lan(members=1)
    assert lan.joined()
    lan.wire.run(1)
    start = lan.wire.now
    with Board(directory, stepped=True, **installed) as board:
        # The board's clock begins at 0, the wire's has gone on.
        machine = Machine(lan.wire, _Later(board, start))
        game = Game(lan, lan.members[0])

        def at(event, **expected):
            return next((i for i, facts in enumerate(machine.facts)
                         if facts["event"] == event and expected.items() <= facts.items()), None)

        def wait(event, **expected):
            if not lan.run(limit_ms, lambda: at(event, **expected) is not None):
                raise AssertionError(f"no {event} within {limit_ms} ms:\n{board.tail()}")
            return lan.wire.now - start

        joined_ms = wait("network", status="OK")
        following_ms = wait("following")
        assert lan.run(limit_ms, lambda: len(_changes(machine.facts)) >= changes), board.tail()
    return {"joined_ms": joined_ms, "following_ms": following_ms,
            "reactions": [[facts["since_rx_cycles"], facts["since_rx_nanos"]]
                          for facts in _changes(machine.facts)]}


class _Later:
    """A board whose clock began when the wire's showed start_ms."""

    def __init__(self, board, start_ms):
        self._board = board
        self._start_ns = start_ms * 1_000_000

    def step(self, nanos, datagrams):
        return self._board.step(nanos - self._start_ns, datagrams)


def _changes(facts):
    """The pin's changes since it was first on."""
    pins = [each for each in facts if each["event"] == "pin"]
    first = next((i for i, each in enumerate(pins) if each["value"]), len(pins))
    return pins[first:]
