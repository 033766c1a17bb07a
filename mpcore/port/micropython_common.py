"""What all ports of MicroPython share: the clock, receiving, and callbacks from asyncio."""

import select
import time
from asyncio import core
from errno import EAGAIN

import micropython
from micropython import const

from mpcore.port import event_queue
from mpcore.port.base import START, BasePort, entropy

_EPOCH_OFFSET_MS = 946684800000 if time.gmtime(0)[0] == 2000 else 0
_LONGEST_SLEEP_MS = const(3600000)    # well within the range in which ticks can be compared

_ticks = time.ticks_ms()
_unwrapped = 0


@micropython.native
def now_ms():
    """Milliseconds since an arbitrary origin; never steps back, never wraps."""
    global _ticks, _unwrapped
    ticks = time.ticks_ms()
    _unwrapped += time.ticks_diff(ticks, _ticks)
    _ticks = ticks
    return _unwrapped


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
    def drain(self, callback, ready=None):
        """Hand pending datagrams, at most a batch a socket, to callback(endpoint, buf, off, n).

        The buffer is the same every time and may be overwritten by the callback. ready: a socket
        that is known to have one.
        """
        batch = self._batch
        if ready is not None:
            self._take(ready, callback)
            batch -= 1
        for _ in range(batch):
            idle = True
            # Asking poll first is cheaper than the exception of a recvfrom that would block.
            for sock, _ in self._pending.ipoll(0):
                idle = False
                self._take(sock, callback)
            if idle:
                break

    @micropython.native
    def _take(self, sock, callback):
        try:
            # Not readinto: it tells no sender and runs datagrams together.
            data, sockaddr = sock.recvfrom(self._longest)
        except OSError as e:
            if e.errno != EAGAIN:       # somebody else took it meanwhile
                self.counters["receive_failed"] += 1
            return
        n = len(data)
        self._buf[START:START + n] = data
        self.counters["received"] += 1
        callback(self._endpoints.get(sockaddr) or self._source(sockaddr), self._buf, START, n)

    def wait(self, timeout_ms):
        """Sleep until a datagram is there, for at most timeout_ms (None: for ever)."""
        for _ in self._pending.ipoll(-1 if timeout_ms is None else timeout_ms):
            break


class Wake:
    """`await wake` lasts until the next set(), for each task that waits by then.

    Unlike asyncio.Event this makes no object for a wait. A generator takes several blocks of the
    heap, and to look for them costs more than all else that is done to wake a task.
    """

    def __init__(self):
        self._waiting = core.TaskQueue()
        self._begins = False

    @micropython.native
    def set(self):
        """Let those who wait go on."""
        waiting = self._waiting
        while waiting.peek():
            core._task_queue.push(waiting.pop())

    def __iter__(self):
        self._begins = True
        return self

    def __next__(self):
        # Called when a task begins to wait, right after __iter__, and when it goes on.
        if not self._begins:
            raise _awake
        self._begins = False
        self._waiting.push(core.cur_task)
        core.cur_task.data = self._waiting      # where cancelling takes the task from


_awake = StopIteration()


class Loop:
    """Callbacks from asyncio: on_readable(socket), or the alarm is due, first of all at once.

    The sockets wait in asyncio's own poll set and the alarm in its own task queue, so an idle
    node costs the loop nothing. What a callback raises goes to asyncio's exception handler.
    """

    def __init__(self, sockets, on_readable, on_alarm):
        event_queue.install()
        self._on_alarm = on_alarm
        self._on_readable = on_readable
        self._sockets = sockets
        self._polled = core._io_queue
        self._queue = core._task_queue
        self._deadline = core.ticks()
        self._asleep = True
        self._clock = core.create_task(self._sleep())
        for sock in sockets:
            self._polled.watch(sock, self._watch)

    def alive(self):
        """False once the asyncio loop that this was made for has been replaced."""
        return self._queue is core._task_queue

    @micropython.native
    def alarm(self, delay_ms):
        """Move the one alarm: call on_alarm in delay_ms; 0: at the end of this turn, None: never.

        It may also be called too early.
        """
        if delay_ms is None or delay_ms > _LONGEST_SLEEP_MS:
            delay_ms = _LONGEST_SLEEP_MS
        self._deadline = core.ticks_add(core.ticks(), delay_ms)
        if self._asleep:
            self._queue.remove(self._clock)
            self._queue.push(self._clock, self._deadline)

    def close(self):
        for sock in self._sockets:
            self._polled.unwatch(sock)
        self._clock.cancel()

    def _sleep(self):       # a coroutine in MicroPython's sense: it queues its task, then yields
        while True:
            self._asleep = False
            try:
                self._on_alarm()
            except Exception as e:
                _failed(e)
            self._asleep = True
            yield self._queue.push(core.cur_task, self._deadline)

    @micropython.native
    def _watch(self, sock):
        try:
            self._on_readable(sock)
        except Exception as e:
            _failed(e)


def _failed(e):
    # Whatever happens, memory running out included, the node's turn comes again.
    try:
        core.Loop.call_exception_handler(
            {"message": "node failed", "exception": e, "future": core.cur_task})
    except MemoryError:
        pass
