"""Bytes of anybody into what the desktop parses: refused, never anything else."""

import asyncio
import errno
import json
import os
import socket

import pytest
from hypothesis import given, settings, strategies as st

from host_tools.desktop import exchange, forward, outgoing, socks
from host_tools.desktop.datagram_pump import DatagramPump
from host_tools.desktop.listeners import Listener
from mpcore.node import Node
from mpcore.port import Port
from mpcore.runtime import Runtime
from mpcore.vl1.identity import Identity
from mpcore.vl1.world import PLANET, World
from tests.core.support import vectors

modest = settings(derandomize=True, deadline=None, max_examples=200)
hosts = st.one_of(st.ip_addresses().map(str),
                  st.text("abcdefghijklmnopqrstuvwxyz0123456789.-", min_size=1, max_size=255))
ports = st.integers(0, 65535)


@modest
@given(st.binary(max_size=700))
def test_no_bytes_upset_socks(data):
    for parse in (socks.parse_greeting, socks.parse_login, socks.parse_request,
                  socks.parse_datagram):
        try:
            found = parse(data)
        except socks.SocksError:
            continue
        assert found is None or found[-1] <= min(len(data), socks.LONGEST)


@modest
@given(st.sampled_from([socks.parse_greeting, socks.parse_login, socks.parse_request]),
       st.binary(max_size=20))
def test_what_is_cut_off_is_waited_for(parse, data):
    """Once more bytes mean more, fewer never meant something else."""
    data = (b"\1" if parse is socks.parse_login else b"\5") + data
    try:
        whole = parse(data)
    except socks.SocksError:
        return
    for size in range(len(data)):
        try:
            part = parse(data[:size])
        except socks.SocksError:
            raise AssertionError("refused what was fine with more bytes") from None
        assert part is None or part == whole


@modest
@given(st.ip_addresses().map(str), ports, st.binary(max_size=100))
def test_datagrams_and_requests_say_what_they_were_made_of(host, port, payload):
    message = socks.datagram((host, port), payload)
    found, at, start = socks.parse_datagram(message)
    assert (found, at, message[start:]) == (host, port, payload)
    request = b"\5\1\0" + message[3:]
    assert socks.parse_request(request) == (socks.CONNECT, host, port, start)
    assert socks.reply(socks.SUCCEEDED, (host, port)) == b"\5\0\0" + message[3:start]


@modest
@given(hosts, ports)
def test_a_name_is_passed_on_as_it_is(host, port):
    raw = host.encode()
    request = b"\5\1\0\3" + bytes([len(raw)]) + raw + port.to_bytes(2, "big") + b"more"
    assert socks.parse_request(request) == (socks.CONNECT, host, port, len(request) - 4)


@modest
@given(st.text(max_size=40))
def test_no_text_upsets_forward(text):
    try:
        parsed = forward.parse(text, None)
    except ValueError as error:
        assert str(error)
    else:
        assert 0 < parsed.port < 65536 and 0 < parsed.target_port < 65536 and parsed.target


@pytest.mark.parametrize("text, expected", [
    ("8080=10.1.2.3:80", ("127.0.0.1", 8080, "10.1.2.3", 80)),
    ("0.0.0.0:1=2", ("0.0.0.0", 1, "127.0.0.1", 2)),
    ("[::1]:8=[fd00::1]:9", ("::1", 8, "fd00::1", 9)),
    ("8=name.test:9", ("127.0.0.1", 8, "name.test", 9))])
def test_forwards_are_read(text, expected):
    assert forward.parse(text, "127.0.0.1") == expected


# --- the exchange ---


class Desk:
    """An Exchange of a node that is on no network, and a connection to it."""

    def __init__(self, directory):
        identity = Identity.from_text(vectors("identity.json")["identities"][0]["secret_text"])
        roots = [(identity, [b"\x7f\0\0\1\x27\x09"])]
        planet = World.make(PLANET, bytes([1] * 8), 1, roots, bytes(64))
        self.port = Port(str(directory), ["127.0.0.1:0"])
        self.runtime = Runtime(Node(self.port, identity, planet), self.port)
        self.exchange = exchange.Exchange(self.runtime, str(directory / "exchange"))
        self.line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.line.setblocking(False)
        self.line.connect(str(directory / "exchange"))

    async def ask(self, message, descriptors=()):
        """The answer and the descriptors with it."""
        loop = asyncio.get_running_loop()
        socket.send_fds(self.line, [message], descriptors)
        ready = loop.create_future()
        loop.add_reader(self.line, lambda: ready.done() or ready.set_result(None))
        await asyncio.wait_for(ready, 10)
        loop.remove_reader(self.line)
        data, given_to_us, _, _ = socket.recv_fds(self.line, 4096, 4)
        return json.loads(data), given_to_us

    def close(self):
        self.line.close()
        self.exchange.close()
        self.port.close()


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    loop = asyncio.new_event_loop()

    async def make():
        return Desk(tmp_path_factory.mktemp("desk"))

    desk = loop.run_until_complete(make())
    desk.loop = loop
    yield desk

    async def close():
        desk.close()

    loop.run_until_complete(close())
    loop.close()


values = st.one_of(st.none(), st.integers(-5, 1 << 40), st.text(max_size=12), st.booleans(),
                   st.sampled_from(["0a010203", "127.0.0.1", "00", "::"]),
                   st.lists(st.one_of(st.integers(0, 70000), st.sampled_from(["0.0.0.0", "::"])),
                            max_size=3))
names = st.sampled_from(["ip", "port", "local", "number", "size", "sizes", "backlog", "level",
                         "option", "value", "outside", "self"])
verbs = st.sampled_from([verb for verb in exchange._VERBS if verb != "resolve"])


@modest
@given(st.one_of(st.binary(min_size=1, max_size=60),
                 st.tuples(verbs, st.dictionaries(names, values)).map(
                     lambda request: json.dumps(request).encode())))
def test_no_request_upsets_the_exchange(desk, message):
    answer, descriptors = desk.loop.run_until_complete(desk.ask(message))
    assert isinstance(answer, dict)
    for descriptor in descriptors:
        os.close(descriptor)


def test_descriptors_that_come_for_nothing_are_closed(desk):
    reading, writing = os.pipe()
    answer, _ = desk.loop.run_until_complete(desk.ask(b'["leads", {"ip": "00"}]', [writing]))
    os.close(writing)
    assert answer["error"] == errno.ENOTSOCK
    assert os.read(reading, 1) == b""
    os.close(reading)
    one, other = socket.socketpair()
    answer, _ = desk.loop.run_until_complete(
        desk.ask(b'["leads", {"ip": "00"}]', [other.fileno()]))
    other.close()
    assert answer["error"] == errno.EINVAL and one.recv(1) == b""
    one.close()


@modest
@given(st.binary(min_size=1, max_size=80))
def test_no_datagram_of_an_application_upsets_the_pump(desk, message):
    async def main():
        answer, (descriptor,) = await desk.ask(
            b'["datagrams", {"size": 4, "local": ["0.0.0.0", 0]}]')
        end = socket.socket(fileno=descriptor)
        end.send(message)
        pump = desk.exchange._sockets[answer["number"]]
        assert isinstance(pump, DatagramPump)
        for _ in range(3):
            await asyncio.sleep(0)
        assert answer["number"] in desk.exchange._sockets
        end.close()
        for _ in range(3):
            await asyncio.sleep(0)
        assert answer["number"] not in desk.exchange._sockets

    desk.loop.run_until_complete(main())


def test_an_application_that_does_not_accept_stops_its_listener(desk):
    """Connections wait in the stack, not in the node's memory."""
    async def main():
        answer, (descriptor,) = await desk.ask(
            b'["listen", {"sizes": [4], "local": ["0.0.0.0", 5555], "backlog": 9}]')
        listener = desk.exchange._sockets[answer["number"]]
        assert isinstance(listener, Listener)
        offered = 0
        while listener.has_room and offered < 1000:
            listener._pass({"number": None}, socket.socket())
            offered += 1
        assert 0 < offered < 20
        message, received, _, _ = socket.recv_fds(socket.socket(fileno=descriptor), 4096, 1)
        assert json.loads(message) == {"number": None}
        for each in received:
            os.close(each)

    desk.loop.run_until_complete(main())


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "0.0.0.0", "::", "localhost",
                                  "::ffff:127.0.0.1"])
def test_what_is_of_this_machine_alone_is_not_for_others(desk, host):
    with pytest.raises(OSError) as raised:
        desk.loop.run_until_complete(outgoing.connect(desk.runtime, host, 80, inside=False))
    assert raised.value.errno == errno.EACCES
