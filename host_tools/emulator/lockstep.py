"""An emulated board among simulated nodes, in one time: all of it repeats to the cycle.

    with Play(directory, prepare(directory)) as play:
        play.follow()
        play.react(200)

The nodes are tests.core.scenes.Lan's, on a simulated wire; the board is run one millisecond at a
time, with what the wire has for it.
"""

import json
import struct

from host_tools.emulator import files
from host_tools.emulator.board import ROOMY, Board, Failure
from mpcore.ip.events import WRITE
from mpcore.ip.tcp import TcpSocket
from mpcore.ip.udp import UdpSocket

from tests.core.scenes import Lan, identity

BOARD_AT = "10.0.3.1/9993"
BOARD_IDENTITY = 4
BIND_PORT = 9993
DISCOVERY_PORT, HTTP_PORT, ECHO_PORT = 7300, 80, 7
CHANGE_MS = 250
LIMIT_MS = 60_000           # for anything that is waited for
STORED_MS = 35_000          # after so long what is known of peers is in storage
SIZE = 64                   # of what is echoed
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: %s\r\n%s\r\n"
_AROUND = 28 + 10 + 28      # of VL1, VL2, IPv4 and UDP: what is at least around it
_MORE_FROM = 5              # identities of further members


def prepare(directory, in_flash=True, program="bulb", roomy=False):
    """What a Board needs to be one of a Lan's, with its files as mpremote has put them there: the
    code in its flash or in .mpy files. roomy: with more heap than a Pico W has.

    program: "bulb", or "echo", of which there is only one in flash.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lan = Lan(members=1)
    own = directory / "own"
    installed = {"heap": ROOMY if roomy else None, "more": []}
    if in_flash:
        installed["more"].append(directory / "filament.uf2")
        files.in_flash(own, *installed["more"], program)
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
    """The board as a node of the wire. `facts` and `sent` are what it has told and sent."""

    def __init__(self, wire, board):
        self.port = wire.port(BOARD_AT)
        self.facts, self.sent = [], []
        self._start_ms = wire.now       # its clock begins at 0, the wire's has gone on
        self._wire = wire
        self._board = board
        self._inbox = []
        wire.attach(self)

    def receive(self, now, source, buf, off, n):
        self._inbox.append((BIND_PORT, int.from_bytes(source[:4], "big"),
                            int.from_bytes(source[4:], "big"), bytes(buf[off:off + n])))

    def poll(self, now):
        inbox, self._inbox = self._inbox, []
        sent, facts = self._board.step((now - self._start_ms) * 1_000_000, inbox)
        self.facts += facts
        self.sent += sent
        for each in sent:
            self._wire.transmit(self.port.endpoint, each.address.to_bytes(4, "big")
                                + each.port.to_bytes(2, "big"), each.data)
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


class Play:
    """A Lan of one member, which is the game, and the board, which is switched on.

    installed: from prepare().
    """

    def __init__(self, directory, installed):
        self.lan = Lan(members=1)
        if not self.lan.joined():
            raise Failure("the simulated member did not join")
        self._directory = directory
        self._installed = installed
        self._game = None
        self._switch_on()

    def _switch_on(self):
        self.lan.wire.run(1)
        self._start_ms = self.lan.wire.now
        self.board = Board(self._directory, stepped=True, **self._installed)
        self._machine = Machine(self.lan.wire, self.board)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.board.stop()

    # --- time --------------------------------------------------------------------------------

    @property
    def now_ms(self):
        """What the board's clock shows."""
        return self.lan.wire.now - self._start_ms

    def run(self, duration_ms):
        self.lan.run(duration_ms)

    def until(self, holds, what):
        """Let time pass until holds(); raises Failure, saying `what` did not come to be."""
        if not self.lan.run(LIMIT_MS, holds):
            raise Failure(f"no {what} within {LIMIT_MS} ms; the board printed:\n"
                          f"{self.board.tail()}")

    def wait_for(self, event, since=0, **expected):
        """The first fact of this kind after the first `since`; when it was told is now_ms."""
        def found():
            return next((facts for facts in self._machine.facts[since:]
                         if facts["event"] == event and expected.items() <= facts.items()), None)

        self.until(lambda: found() is not None, event)
        return found()

    # --- what happens ------------------------------------------------------------------------

    def power_cycle(self):
        """Switch the board off and on; what it has told before is forgotten."""
        flash = self._directory / "stored.bin"
        self.board.save(flash)
        self.lan.wire.detach(self._machine)
        self.board.stop()
        self._installed |= {"flash": flash}
        self._switch_on()

    def follow(self):
        """The bulb joins, and follows the game, which only then opens: {"joined_ms",
        "following_ms"} of board time, and "joined", the memory between the two."""
        self.wait_for("network", status="OK")
        joined_ms, joined = self.now_ms, self.memory()
        self._game = Game(self.lan, self.lan.members[0])
        opened_ms = self.now_ms
        self.wait_for("following")
        return {"joined_ms": joined_ms, "following_ms": joined_ms + self.now_ms - opened_ms,
                "joined": joined}

    def react(self, changes):
        """Let the bulb react so many times more: [[cycles, ns], …] from datagram in to pin set."""
        before = len(self._changes())
        self.until(lambda: len(self._changes()) >= before + changes, f"{changes} changes")
        return self._reactions(before)

    def react_for(self, duration_ms):
        """The same for so long."""
        before = len(self._changes())
        self.run(duration_ms)
        return self._reactions(before)

    def _reactions(self, since):
        return [[facts["since_rx_cycles"], facts["since_rx_nanos"]]
                for facts in self._changes()[since:]]

    def _changes(self):
        """The pin's changes since it was first on."""
        pins = [each for each in self._machine.facts if each["event"] == "pin"]
        first = next((i for i, each in enumerate(pins) if each["value"]), len(pins))
        return pins[first:]

    def meet(self, count):
        """So many more members join, and ping the board until it answers each. Returns how it
        reacts meanwhile, see react()."""
        before = len(self._changes())
        for i in range(_MORE_FROM, _MORE_FROM + count):
            member = self.lan.start_member(i)
            self.until(lambda: self.lan.network(member).status == "OK", "config")
            self.ping(member, self.address())
        return self._reactions(before)

    def ping(self, member, address, every_ms=200):
        """Ping the board at its address on the network from a member until it answers."""
        answers, due_ms = [], self.lan.wire.now

        def answered():
            nonlocal due_ms
            now = self.lan.wire.now
            if now >= due_ms:
                due_ms = now + every_ms
                member.stack.echo(now, address, 7, 1, b"ping",
                                  lambda now, ip, sequence, data: answers.append(data))
                self.lan.wire.touch(member)
            return any(answers)

        self.until(answered, "answer to pings")

    def address(self):
        """The board's on the network (4 bytes), once it has told it."""
        for facts in self._machine.facts:
            text = facts.get("address")
            if text and text != "0.0.0.0":
                return bytes(map(int, text.split(".")))
        raise Failure("the board has told no address")

    def memory(self):
        """Bytes `used`, `free` and in the `largest_free` block, after a collection."""
        known = len(self._machine.facts)
        self.board.ask()
        facts = self.wait_for("memory", known)
        return {name: facts[name] for name in ("used", "free", "largest_free")}

    def echo_udp(self, count, every_ms=50):
        """Datagrams of SIZE bytes to the echo: [[cycles, ns], …] from datagram in to out."""
        member = self.lan.members[0]
        socket = UdpSocket(member.stack)
        socket.bind(None, 0)
        address = self.address()

        def send(now, data):
            socket.sendto(now, data, address, ECHO_PORT)

        def receive(now):
            found = socket.recvfrom()
            return b"" if found is None else found[0]

        return self._echo(count, every_ms, send, receive)

    def echo_tcp(self, count, every_ms=50):
        """The same over one TCP stream: from segment in to segment out."""
        member = self.lan.members[0]
        socket = TcpSocket(member.stack)
        socket.connect(self.lan.wire.now, self.address(), ECHO_PORT)
        self.lan.wire.touch(member)
        self.until(lambda: socket.events() & WRITE, "connection")
        return self._echo(count, every_ms, socket.send,
                          lambda now: socket.recv(now, SIZE) or b"")

    def _echo(self, count, every_ms, send, receive):
        lan, found = self.lan, []
        for number in range(count):
            data, back = struct.pack(">I", number) * (SIZE // 4), []
            known = len(self._machine.sent)
            send(lan.wire.now, data)
            lan.wire.touch(lan.members[0])

            def answered():
                back.append(receive(lan.wire.now))
                return b"".join(back) == data

            self.until(answered, f"echo {number}")
            out = next(each for each in self._machine.sent[known:]
                       if len(each.data) >= SIZE + _AROUND)
            found.append([out.since_rx_cycles, out.since_rx_nanos])
            self.run(every_ms)
        return found


def play(directory, installed, changes):
    """Switch the board on and let it react to so many changes.

    Returns {"joined_ms", "following_ms", "joined", "reactions": [[cycles, ns], ...], "heap",
    "grown"}: memory once joined and after the reactions, and the bytes by which it grows with ten
    times more.
    """
    with Play(directory, installed) as found:
        facts = found.follow() | {"reactions": found.react(changes), "heap": found.memory()}
        found.react(10 * changes)
        return facts | {"grown": found.memory()["used"] - facts["heap"]["used"]}
