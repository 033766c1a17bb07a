"""In which order a board hands on datagrams that came together. Its sockets are made up, so this
runs on MicroPython's unix port; the module itself is only for MicroPython."""

import sys
from errno import EAGAIN

from mpcore import limits

ON_MICROPYTHON = sys.implementation.name == "micropython"
if ON_MICROPYTHON:
    from mpcore.port.micropython_board import Port

    class Made(Port):
        """A board's port with one socket, whose datagrams a test puts into `queue`."""

        def __init__(self):
            self.queue = []
            self.looks = 0          # how often it was asked whether there is one
            super().__init__("unused", "0.0.0.0:9993")
            self._pending = self

        def _open(self, address, port):
            return self, b"\0\0\0\0\x27\x09"

        def ipoll(self, timeout_ms):
            self.looks += 1
            return [(self, 1)] if self.queue else []

        def recvfrom(self, size):
            if not self.queue:
                raise OSError(EAGAIN)
            return self.queue.pop(0), ("10.0.0.1", 9993)


class Taker:
    """A node as far as the port sees it: a datagram's first byte says who sent it."""

    def __init__(self, talked_ms):
        self._talked_ms = talked_ms     # by sender
        self.taken = []

    def foremost(self, data):
        return self._talked_ms.get(data[:1]) == max(self._talked_ms.values())

    def talked_ms(self, data):
        return self._talked_ms.get(data[:1], -1000)

    def receive(self, now, endpoint, buf, off, n):
        assert endpoint == b"\x0a\0\0\1\x27\x09"
        self.taken.append(bytes(buf[off:off + n]))


def now():
    return 5


def handed_on(port, taker, ready=None):
    """What was taken until there was nothing more."""
    while port.drain(taker, now, ready):
        ready = None
    taken, taker.taken = taker.taken, []
    return taken


def scene():
    return Made(), Taker({b"g": 100, b"m": 50})


def _who_talked_last_waits_for_no_look_at_others():
    port, taker = scene()
    port.queue = [b"g1", b"m1"]
    assert port.drain(taker, now, port) == 1
    assert taker.taken == [b"g1"] and port.looks == 0 and port.queue == [b"m1"]


def _of_several_who_talked_last_is_first_and_each_sender_keeps_its_order():
    port, taker = scene()
    port.queue = [b"x1", b"m1", b"x2", b"g1", b"m2", b"g2"]
    assert handed_on(port, taker, port) == [b"g1", b"g2", b"m1", b"m2", b"x1", b"x2"]
    assert not port.behind and port.counters["received"] == 6


def _what_came_first_is_not_passed_over_for_ever():
    port, taker = scene()
    port.queue = [b"x"]
    assert port.keep(port)
    taken = []
    while b"x" not in taken:
        port.queue.append(b"g")
        assert port.drain(taker, now) == 1
        taken = taker.taken
    assert 4 < len(taken) < 20


def _what_is_kept_waits_for_the_next_drain():
    port, taker = scene()
    port.queue = [b"g1"]
    assert port.keep(port) and not taker.taken and len(port.behind) == 1
    assert not port.keep(port)          # somebody else took it
    assert handed_on(port, taker) == [b"g1"]


def _no_more_is_taken_than_there_is_room_for():
    for size, most in (1, limits.BEHIND), (1400, -(-limits.BEHIND_BYTES // 1400)):
        port, taker = scene()
        port.queue = [b"x" * size] * 20
        for _ in range(20):
            assert port.keep(port)
        assert len(port.behind) == most
        assert len(handed_on(port, taker)) == 20


if ON_MICROPYTHON:
    test_who_talked_last_waits_for_no_look_at_others = (
        _who_talked_last_waits_for_no_look_at_others)
    test_of_several_who_talked_last_is_first = (
        _of_several_who_talked_last_is_first_and_each_sender_keeps_its_order)
    test_what_came_first_is_not_passed_over_for_ever = _what_came_first_is_not_passed_over_for_ever
    test_what_is_kept_waits_for_the_next_drain = _what_is_kept_waits_for_the_next_drain
    test_no_more_is_taken_than_there_is_room_for = _no_more_is_taken_than_there_is_room_for
