"""Storage and UDP of the platform the test runs on."""

import os

from mpcore import port
from mpcore.port import base, storage
from mpcore.vl1 import packet
from scratch import Scratch
from support import raises


class _Failing(storage.Storage):
    """Storage that loses power at a chosen step of a store."""

    step = None

    def _settle(self, file):
        if self.step == "settle":
            raise OSError(5)

    def _replace(self, temporary, path):
        if self.step == "replace":
            raise OSError(5)
        super()._replace(temporary, path)


def test_store_load_remove():
    with Scratch() as home:
        blobs = port.Port(home + "/deep/home", "127.0.0.1:0")
        assert blobs.load("identity.secret") is None
        assert blobs.names() == []
        blobs.store("identity.secret", b"one")
        blobs.store("networks.d/8056c2e21c000001.conf", b"two")
        blobs.store("controller.d/network/a/member/b.json", b"")
        blobs.store("identity.secret", bytearray(b"three"))
        assert blobs.load("identity.secret") == b"three"
        assert blobs.load("controller.d/network/a/member/b.json") == b""
        assert blobs.names() == ["controller.d/network/a/member/b.json", "identity.secret",
                                 "networks.d/8056c2e21c000001.conf"]
        assert blobs.names("networks.d/") == ["networks.d/8056c2e21c000001.conf"]
        assert blobs.names("networks.d/9") == blobs.names("moons.d/") == []
        assert blobs.names("id") == ["identity.secret"]
        blobs.remove("identity.secret")
        blobs.remove("identity.secret")
        assert blobs.load("identity.secret") is None
        blobs.close()


def test_names_stay_inside_home():
    blobs = storage.Storage("unused")
    for name in ("", "/etc/passwd", "../x", "a/../../x"):
        raises(ValueError, blobs.load, name)
        raises(ValueError, blobs.store, name, b"")
        raises(ValueError, blobs.remove, name)


def test_failed_store_keeps_the_old_content():
    with Scratch() as home:
        blobs = _Failing(home)
        blobs.store("planet", b"old")
        for step in ("settle", "replace"):
            blobs.step = step
            raises(OSError, blobs.store, "planet", b"new")
            assert blobs.load("planet") == b"old"
            assert blobs.names() == ["planet"]
        raises(TypeError, blobs.store, "planet", 5)
        assert os.listdir(home) == ["planet"]


def test_leftover_of_a_crash_is_no_blob():
    with Scratch() as home:
        blobs = storage.Storage(home)
        blobs.store("planet", b"old")
        with open(home + "/planet.tmp", "wb") as file:
            file.write(b"half of a new one")
        assert blobs.names() == ["planet"]
        blobs.store("planet", b"new")
        assert blobs.load("planet") == b"new"
        assert os.listdir(home) == ["planet"]


def test_a_socket_bound_to_every_address_names_one_or_none():
    everywhere = port.Port("unused", "0.0.0.0:0")
    try:
        for endpoint in everywhere.endpoints():     # none where the platform cannot tell
            assert any(endpoint[:4]) and endpoint[4:] == everywhere.local[0][4:]
    finally:
        everywhere.close()


def test_datagrams():
    one, two = port.Port("unused", "127.0.0.1:0"), port.Port("unused", ["127.0.0.1:0"])
    got = []

    class Note:
        def receive(self, now, endpoint, buf, off, n):
            assert off == packet.START and now == 7
            got.append((endpoint, bytes(buf[off:off + n])))

    def drain(one):
        before = len(got)
        assert one.drain(Note(), lambda: 7) == len(got) - before

    try:
        drain(two)
        assert got == []
        assert len(one.local[0]) == 6 and one.local[0][:4] == b"\x7f\0\0\1"
        assert one.endpoints() == one.local
        one.send(two.local[0], bytearray(b"..hello.."), 2, 5)
        one.send(two.local[0], bytearray(1432), 0, 1432)
        while len(got) < 2:
            two.wait(1000)
            drain(two)
        assert got == [(one.local[0], b"hello"), (one.local[0], bytes(1432))]
        two.send(got[0][0], bytearray(b"back"), 0, 4)
        one.wait(1000)
        drain(one)
        assert got[2] == (two.local[0], b"back")
        assert one.counters == {"sent": 2, "send_failed": 0, "received": 1, "receive_failed": 0}
    finally:
        one.close()
        two.close()


def test_addresses_of_both_families():
    one = port.Port("unused", "127.0.0.1:0")
    for endpoint in (b"\x0a\1\2\3\x27\x09", bytes(range(16)) + b"\x27\x09"):
        assert one._endpoint(one._sockaddr(endpoint)) == endpoint
    one.close()


def test_sending_never_raises():
    one = port.Port("unused", "127.0.0.1:0")
    try:
        one.send(bytes(16) + b"\1\1", bytearray(4), 0, 4)           # no socket of that family
        one.send(one.local[0], bytearray(70000), 0, 70000)          # longer than UDP allows
        assert one.counters["send_failed"] == 2
    finally:
        one.close()
    one.send(one.local[0], bytearray(4), 0, 4)
    assert one.counters["send_failed"] == 3 and one.counters["sent"] == 0


def test_remembered_endpoints_are_bounded():
    one = port.Port("unused", "127.0.0.1:0")
    try:
        for i in range(1000):
            one.send(b"\x7f\0\0\1" + (20000 + i).to_bytes(2, "big"), bytearray(1), 0, 1)
        assert len(one._sockaddrs) <= base.limits.REMEMBERED_ENDPOINTS
        assert len(one._endpoints) <= base.limits.REMEMBERED_ENDPOINTS
    finally:
        one.close()


class Heard:
    @staticmethod
    def receive(now, endpoint, buf, off, n):
        pass


def test_both_forms_of_an_endpoint_are_kept_once():
    one, two = port.Port("unused", "127.0.0.1:0"), port.Port("unused", "127.0.0.1:0")
    try:
        for source, target in ((one, two), (two, one)):     # one sends first, two hears first
            source.send(target.local[0], bytearray(1), 0, 1)
            target.wait(1000)
            target.drain(Heard, lambda: 0)
        for each, other in ((one, two), (two, one)):
            [(endpoint, sockaddr)] = each._sockaddrs.items()
            [(known, found)] = each._endpoints.items()
            assert endpoint == other.local[0] and endpoint is found and sockaddr is known
    finally:
        one.close()


def test_malformed_binds():
    for text in ("", "9993", "127.0.0.1", ":9993", "127.0.0.1:", "127.0.0.1:70000", "::1:9993",
                 "127.0.0.1:-1"):
        raises(ValueError, port.Port, "unused", text)


def test_clock_and_entropy():
    before = port.now_ms()
    assert port.now_ms() >= before
    assert port.wall_ms() > 1600000000000
    assert len(port.entropy(32)) == 32 and port.entropy(32) != port.entropy(32)


def test_start_is_the_packet_start():
    assert base.START == packet.START
