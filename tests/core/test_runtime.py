"""How the runtime shares time between a node, its port and the application."""

import asyncio
import errno
import sys

from mpcore import runtimes
from mpcore.port import Port
from mpcore.runtime import Runtime
from mpcore.vl1.inet import ip_parse
from lan import TIMEOUT_S, Lan
from support import raises


class Recorder:
    """A node and a port at once, which note what the runtime asks of them."""

    sockets = behind = ()

    def __init__(self, delays):
        self.now = 1000
        self.delays = delays        # what poll() answers, one after the other
        self.polls = []
        self.waits = []
        self.pending = []
        self.received = []
        self.receiver = self
        self.runtime = Runtime(self, self)
        self.runtime.now = lambda: self.now

    def busy(self):
        return False

    def poll(self, now):
        self.polls.append(now)
        delay = self.delays.pop(0)
        if isinstance(delay, Exception):
            raise delay
        return None if delay is None else now + delay

    def receive(self, now, endpoint, buf, off, n):
        self.received.append((now, endpoint, bytes(buf[off:off + n])))

    def wait(self, timeout_ms):
        self.waits.append(timeout_ms)
        self.now += timeout_ms or 0

    def drain(self, receiver, now, ready=None):
        pending, self.pending = self.pending, []
        for data in pending:
            receiver.receive(now(), b"endpoint", b"." + data, 1, len(data))
        return len(pending)


def test_a_step_polls_or_sleeps_until_something_is_due():
    recorder = Recorder([500, 40, 0, None, None])
    step = recorder.runtime.step
    step(10)                                # a new node is polled at once
    assert (recorder.polls, recorder.waits) == ([1000], [])
    step(10)
    assert (recorder.polls, recorder.waits) == ([1000], [10])
    step()
    assert (recorder.polls, recorder.waits) == ([1000], [10, 490])
    step(1000)
    step(1000)
    assert (recorder.polls, recorder.waits) == ([1000, 1500], [10, 490, 40])
    for _ in range(3):
        step(1000)                          # twice it is due already
    step()
    assert recorder.polls == [1000, 1500, 1540, 1540]
    assert recorder.waits == [10, 490, 40, 1000, None]
    recorder.runtime.kick()
    step()
    assert recorder.polls[4:] == [2540] and recorder.waits[5:] == []


def test_a_step_hands_on_datagrams_and_what_follows_is_due_at_the_next():
    recorder = Recorder([500, 500])
    recorder.runtime.step(0)
    recorder.pending = [b"one", b"two"]
    recorder.runtime.step(0)
    assert recorder.received == [(1000, b"endpoint", b"one"), (1000, b"endpoint", b"two")]
    assert len(recorder.polls) == 1         # the application acts first
    recorder.runtime.step()
    assert len(recorder.polls) == 2 and recorder.waits == []


def test_a_failing_poll_is_told_and_tried_again():
    recorder = Recorder([ValueError(), 500])
    raises(ValueError, recorder.runtime.step, 0)
    recorder.runtime.step()
    recorder.runtime.step()
    assert recorder.waits == [1000] and recorder.polls == [1000, 2000]


def test_a_kick_moves_the_alarm():
    recorder = Recorder([3600000, None, 0, 1, None])

    async def main():
        runtime = recorder.runtime
        runtime.start()
        runtime.start()
        while len(recorder.polls) < 1:
            await asyncio.sleep(0)
        assert len(recorder.polls) == 1     # the next is an hour away ...
        runtime.kick()
        runtime.kick()
        while len(recorder.polls) < 2:      # ... but not after this
            await asyncio.sleep(0)
        runtime.kick()
        recorder.now += 10
        while len(recorder.polls) < 5:      # due at once, then in a moment, then never
            await asyncio.sleep(0)
            recorder.now += 1
        runtime.stop()
        runtime.kick()
        await asyncio.sleep(0)
        assert len(recorder.polls) == 5

    asyncio.run(asyncio.wait_for(main(), TIMEOUT_S))
    asyncio.new_event_loop()


def test_a_step_within_asyncio_moves_the_alarm_too():
    recorder = Recorder([3600000, 1, None])

    async def main():
        recorder.runtime.start()
        while len(recorder.polls) < 1:
            await asyncio.sleep(0)
        recorder.now += 3600000             # the loop's own alarm is still an hour away
        recorder.runtime.step(0)
        recorder.now += 1
        while len(recorder.polls) < 3:
            await asyncio.sleep(0)
        recorder.runtime.stop()

    asyncio.run(asyncio.wait_for(main(), TIMEOUT_S))
    asyncio.new_event_loop()


def test_a_datagram_wakes_its_task_before_the_poll():
    order = []
    awaited = asyncio.Event()
    port, sender = Port("unused", "127.0.0.1:0"), Port("unused", "127.0.0.1:0")

    class Node:
        def __init__(self):
            self.receiver = self

        def receive(self, now, endpoint, buf, off, n):
            order.append("receive")
            awaited.set()

        def poll(self, now):
            order.append("poll")

    async def main():
        runtime = Runtime(Node(), port)
        runtime.start()
        while not order:
            await asyncio.sleep(0)
        sender.send(port.local[0], bytearray(b"x"), 0, 1)
        await awaited.wait()
        order.append("task")
        while order[-1] != "poll":
            await asyncio.sleep(0)
        runtime.stop()

    try:
        asyncio.run(asyncio.wait_for(main(), TIMEOUT_S))
    finally:
        port.close()
        sender.close()
        asyncio.new_event_loop()
    assert order == ["poll", "receive", "task", "poll"]


def test_what_is_behind_takes_turns_with_the_poll_and_lets_tasks_go_before():
    recorder = Recorder([5] * 9)
    recorder.behind = [b"a", b"b", b"c"]
    drain = recorder.drain

    def one(receiver, now, ready=None):
        recorder.pending = [recorder.behind.pop(0)]
        return drain(receiver, now)

    recorder.drain = one
    done = []
    for idle in (True, True, True, False, False, True):
        recorder.runtime._due(idle)
        done.append((len(recorder.received), len(recorder.polls)))
    assert done == [(1, 0), (1, 1), (2, 1), (2, 2), (3, 2), (3, 3)]


def test_active_runtimes():
    one, two = Recorder([]).runtime, Recorder([]).runtime
    assert raises(OSError, runtimes.current).errno == errno.ENODEV
    runtimes.activate(one)
    runtimes.activate(two)
    assert runtimes.current() is one and runtimes.active() == [one, two]
    runtimes.deactivate(one)
    assert runtimes.current() is two
    runtimes.deactivate(two)
    runtimes.deactivate(two)
    assert runtimes.active() == []


def test_towards_the_runtime_whose_network_has_the_address():
    hosts = Lan().hosts
    one, two = [host.runtime for host in hosts]
    hosts[1].interface.set_addresses(0, [(b"\xc0\xa8\1\1", 24), (bytes(15) + b"\1", 64)])
    hosts[0].interface.set_routes([(b"\xac\x10\0\0", 12, hosts[0].ip), (bytes(4), 0, hosts[0].ip)])
    runtimes.activate(one)
    runtimes.activate(two)
    try:
        for address, expected in (("10.0.0.7", one), ("10.0.1.7", None), ("172.31.1.1", one),
                                  ("172.32.1.1", None), ("192.168.1.7", two), ("::7", two),
                                  ("192.168.1.255", two), ("255.255.255.255", None),
                                  ("224.0.0.251", None), ("8.8.8.8", None), ("ff02::1", None)):
            assert runtimes.towards(ip_parse(address)) is expected, address
    finally:
        runtimes.deactivate(one)
        runtimes.deactivate(two)


def test_who_waits_drives_all_of_them_and_sees_a_socket_of_the_platform():
    one, two = Recorder([5, 1000, 1000]), Recorder([1000, 1000])
    other, sender = Port("unused", "127.0.0.1:0"), Port("unused", "127.0.0.1:0")
    for recorder in (one, two):
        runtimes.activate(recorder.runtime)
    try:
        runtimes.drive(1000, one.runtime)
        assert len(one.polls) == len(two.polls) == 1        # both were due at once
        runtimes.drive(1000, one.runtime)
        sender.send(other.local[0], bytearray(b"x"), 0, 1)
        runtimes.Together().step(None, other.sockets)       # ends, though nothing is due
        one.now += 5
        runtimes.Together().kick()
        runtimes.drive(0, None)
        assert len(one.polls) == len(two.polls) == 2
    finally:
        for recorder in (one, two):
            runtimes.deactivate(recorder.runtime)
        other.close()
        sender.close()


def test_one_step_goes_on_with_long_arithmetic_for_a_while():
    recorder = Recorder([0] * 100)
    slices = 7

    def poll(now):
        recorder.now += 1
        recorder.polls.append(now)
        return now

    recorder.poll = poll
    recorder.busy = lambda: len(recorder.polls) < slices
    assert recorder.runtime.settle() and len(recorder.polls) == slices
    slices = 1000
    before = recorder.now
    assert recorder.runtime.settle() and recorder.now - before == 20


if sys.implementation.name == "micropython":
    def test_the_loop_looks_once_before_it_sleeps():
        from mpcore.port.event_queue import EventQueue

        class Looks(list):
            def ipoll(self, timeout_ms):
                self.append(timeout_ms)
                return ()

        queue, answers, idle = EventQueue(), [], []
        queue.poller = looks = Looks()

        def turn(nobody):
            idle.append(nobody)
            return answers.pop(0)

        queue.turns.append(turn)
        for told, expected in (
                (0, [7]),       # nothing to do: it sleeps
                (1, []),        # done: the loop asks anew, as a task may be ready now
                (3, [0]),       # there is more to do: what came meanwhile is seen
                ):
            answers.append(told)
            looks.clear()
            queue.wait_io_event(7)
            assert looks == expected and not answers
        assert idle == [True] * 3
