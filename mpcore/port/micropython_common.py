"""What all ports of MicroPython share: the clock, receiving, and callbacks from asyncio."""

import select
import time
from asyncio import core
from errno import EAGAIN
from time import ticks_add, ticks_diff, ticks_ms

import micropython
from micropython import const

from mpcore.octets import copy
from mpcore.port import event_queue
from mpcore.port.base import START, BasePort, entropy

_EPOCH_OFFSET_MS = 946684800000 if time.gmtime(0)[0] == 2000 else 0
_LONGEST_SLEEP_MS = const(3600000)    # well within the range in which ticks can be compared

_SHORT = const(512)
_STEP_MS = const(0x10000000)    # of less than half the ticks' period
_PERIOD_MS = ticks_add(0, -1) + 1

_ticks = ticks_ms()             # at the last step
_base = -_ticks                 # what they count from


@micropython.native
def now_ms():
    """Milliseconds since an arbitrary origin; never steps back, never wraps."""
    ticks = ticks_ms()
    if 0 <= ticks - _ticks < _STEP_MS:
        return _base + ticks
    return _stepped(ticks)


def _stepped(ticks):
    global _ticks, _base
    if ticks < _ticks and ticks_diff(ticks, _ticks) > 0:
        _base += _PERIOD_MS
    _ticks = ticks
    return _base + ticks


def wall_ms():
    """Milliseconds since 1970, as far as the platform's clock has been set."""
    return time.time_ns() // 1000000 + _EPOCH_OFFSET_MS


def wait(sockets, timeout_ms, others=(), mask=select.POLLIN):
    """Sleep until one of `sockets` can be read or one of `others` is ready for `mask`."""
    poller = select.poll()
    for sock in sockets:
        poller.register(sock, select.POLLIN)
    for sock in others:
        poller.register(sock, mask)
    for _ in poller.ipoll(-1 if timeout_ms is None else timeout_ms):
        break


class MicroPythonPort(BasePort):
    """See BasePort. A platform registers the sockets that it opens with `_pending`."""

    def __init__(self, home, bind, buf, batch):
        """buf: START bytes and room for the largest datagram, of which all ports of a process may
        use one, as they receive by turns; batch: datagrams in one drain."""
        self._buf = buf
        self._longest = len(buf) - START
        self._batch = batch
        self._pending = select.poll()
        super().__init__(home, bind)

    @micropython.native
    def drain(self, receiver, now, ready=None):
        """Hand pending datagrams, at most a batch a socket, to receiver.receive(now(), endpoint,
        buf, off, n). Returns how many they were.

        The buffer is the same every time and may be overwritten by the receiver. ready: a socket
        that is known to have one. Short ones seldom come together: whoever waits for one, there,
        had better not wait for a look for others.
        """
        known = ready is not None
        for taken in range(self._batch):
            if ready is None:
                # Asking poll first is cheaper than the exception of a recvfrom that would block.
                for sock, _ in self._pending.ipoll(0):
                    ready = sock
                if ready is None:
                    return taken
            try:
                # Not readinto: it tells no sender and runs datagrams together.
                data, sockaddr = ready.recvfrom(self._longest)
            except OSError as e:
                if e.errno != EAGAIN:       # somebody else took it meanwhile
                    self.counters["receive_failed"] += 1
            else:
                buf, n = self._buf, len(data)
                copy(buf, START, data, 0, n)
                self.counters["received"] += 1
                receiver.receive(now(), self._endpoints.get(sockaddr) or self._source(sockaddr),
                                 buf, START, n)
                if known and n < _SHORT:
                    return taken + 1
            ready = None
        return self._batch

    def wait(self, timeout_ms):
        """Sleep until a datagram is there, for at most timeout_ms (None: for ever)."""
        for _ in self._pending.ipoll(-1 if timeout_ms is None else timeout_ms):
            break


class Wake:
    """`await wake` lasts until the next set(), for each task that waits by then.

    Unlike asyncio.Event this makes no generator for a wait: that takes several blocks of the heap,
    and to look for them costs more than all else that is done to wake a task. Nor does a wait end
    with an exception, which would have a traceback.
    """

    def __init__(self):
        self._waiting = core.TaskQueue()

    @micropython.native
    def set(self):
        """Let those who wait go on."""
        waiting = self._waiting
        while waiting.peek():
            core._task_queue.push(waiting.pop())

    @micropython.native
    def __iter__(self):
        task = core.cur_task
        self._waiting.push(task)
        task.data = self._waiting       # where cancelling takes the task from
        return iter(_ONCE)


class Turn:
    """`await turn` lets other tasks run, as asyncio.sleep(0) does for more."""

    @micropython.native
    def __iter__(self):
        core._task_queue.push(core.cur_task)
        return iter(_ONCE)


turn = Turn()
_ONCE = (None,)         # what a task gives the loop each time that it waits


class Loop:
    """Callbacks from asyncio: on_readable(socket), or on_alarm(idle) when the alarm is due, first
    of all at once. idle: there is no task to run.

    The sockets wait in asyncio's own poll set and the alarm in its own task queue, so an idle
    node costs the loop nothing. What a callback raises goes to asyncio's exception handler.
    """

    def __init__(self, sockets, on_readable, on_alarm):
        event_queue.install()
        self._on_alarm = on_alarm
        self._sockets = sockets
        self._polled = core._io_queue
        self._queue = core._task_queue
        self._clock = core.create_task(self._sleep())
        self._due = True
        self._on_turn = self._turn      # one and the same object, to be found again
        self._polled.turns.append(self._on_turn)
        for sock in sockets:
            self._polled.watch(sock, on_readable)

    def alive(self):
        """False once the asyncio loop that this was made for has been replaced."""
        return self._queue is core._task_queue

    @micropython.native
    def alarm(self, delay_ms):
        """Move the one alarm: call on_alarm in delay_ms; 0: when the tasks that are ready have
        run, None: never.

        It may also be called too early.
        """
        self._due = delay_ms == 0
        if delay_ms != 0:
            if delay_ms is None or delay_ms > _LONGEST_SLEEP_MS:
                delay_ms = _LONGEST_SLEEP_MS
            queue, clock = self._queue, self._clock
            queue.remove(clock)
            queue.push(clock, ticks_add(ticks_ms(), delay_ms))

    def close(self):
        for sock in self._sockets:
            self._polled.unwatch(sock)
        self._polled.turns.remove(self._on_turn)
        self._clock.cancel()

    @micropython.native
    def _turn(self, idle):
        if not self._due:
            return 0
        self._due = False
        try:
            self._on_alarm(idle)
        except Exception as e:
            event_queue.failed(e)
        return 3 if self._due else 1

    def _sleep(self):       # a coroutine in MicroPython's sense: it queues its task, then yields
        while True:
            self._due = True
            yield self._queue.push(core.cur_task, ticks_add(ticks_ms(), _LONGEST_SLEEP_MS))
