"""What MicroPython's asyncio waits in, for nodes.

A node has its turn when the tasks that its datagrams woke have had theirs: what they send is then
part of what it sees. So this queue, which the loop asks for events before every task that it runs,
gives nodes their turn when there is no task to run; and while there always is one, every
_LATE_MS.

asyncio waits for streams by polling them all, every millisecond where one of
them is written in Python. This queue wakes whoever waits for a socket of ours by the socket's own
event; all other streams it polls as before.

A stream that takes part has

    notify(waiter)  from now on call waiter() when ready() may have changed; None: no more. False
                    when the stream cannot tell, which takes a node that the running loop drives
    ready()         mask of select.POLL*
    natives()       sockets of the platform that it waits for too, and that are polled for it
"""

import select
from asyncio import core
from time import ticks_add, ticks_diff, ticks_ms

import micropython
from micropython import const

_LATE_MS = const(5)


class EventQueue(core.IOQueue):
    """asyncio's IOQueue, whose map has [reading task, writing task, stream] of all that wait."""

    def __init__(self):
        super().__init__()
        self.natives = {}       # id of a stream that tells by itself -> its natives
        self.owners = {}        # id of a native -> the entry of its stream
        self.watchers = {}      # id of a socket -> who is called when it can be read
        # Called before the loop sleeps, whether there is no task to run; they return 0 if they had
        # nothing to do, 1 if they did it, 3 if they have more to do.
        self.turns = []
        self._latest = ticks_ms()       # when they are called though there is a task to run
        self._looked = False    # what there was to see has just been seen, after a sleep

    def watch(self, sock, watcher):
        """Call watcher(sock) from now on whenever a socket of the platform can be read."""
        self.watchers[id(sock)] = watcher
        self.poller.register(sock, select.POLLIN)

    def unwatch(self, sock):
        """Undo watch()."""
        if self.watchers.pop(id(sock), None) is not None:
            self.poller.unregister(sock)

    @micropython.native
    def wait_io_event(self, dt):
        if self._looked and not dt:
            self._looked = False
            return
        if dt or ticks_diff(ticks_ms(), self._latest) >= 0:
            did = 0
            for turn in self.turns:
                did |= turn(dt != 0)
            self._latest = ticks_add(ticks_ms(), _LATE_MS)
            if did:
                if did == 1 and dt:
                    return      # the loop asks again: there may be a task, or another time to wake
                dt = 0
        self._looked = dt != 0
        for s, mask in self.poller.ipoll(dt):
            watcher = self.watchers.get(id(s))
            if watcher is not None:
                try:
                    watcher(s)
                except Exception as e:
                    failed(e)
                continue
            owner = self.owners.get(id(s))
            if owner is not None:
                self._wake(owner)
                continue
            entry = self.map[id(s)]
            self._resume(entry, mask)
            if entry[0] is entry[1] is None:
                self._dequeue(s)
            else:
                self.poller.modify(s, _wanted(entry))
        if dt:                  # after a sleep, who was woken comes first
            self._latest = ticks_add(ticks_ms(), _LATE_MS)

    def _enqueue(self, s, idx):
        entry = self.map.get(id(s))
        if entry is None:
            entry = [None, None, s]
            if not hasattr(s, "notify") or not s.notify(lambda: self._wake(entry)):
                return super()._enqueue(s, idx)
            self.map[id(s)] = entry
            self.natives[id(s)] = ()
        elif id(s) not in self.natives:
            return super()._enqueue(s, idx)
        entry[idx] = core.cur_task
        core.cur_task.data = self       # so that cancelling calls remove()
        self._wake(entry)

    def _dequeue(self, s):
        natives = self.natives.pop(id(s), None)
        if natives is None:
            return super()._dequeue(s)
        del self.map[id(s)]
        s.notify(None)
        for native in natives:
            del self.owners[id(native)]
            self.poller.unregister(native)

    def _wake(self, entry):
        s = entry[2]
        self._resume(entry, s.ready())
        if entry[0] is entry[1] is None:
            return self._dequeue(s)
        self.natives[id(s)] = s.natives()
        for native in self.natives[id(s)]:
            self.owners[id(native)] = entry
            self.poller.register(native, _wanted(entry))

    def _resume(self, entry, mask):
        if mask & ~select.POLLOUT and entry[0] is not None:
            core._task_queue.push(entry[0])
            entry[0] = None
        if mask & ~select.POLLIN and entry[1] is not None:
            core._task_queue.push(entry[1])
            entry[1] = None


def failed(e):
    """A callback has raised: asyncio's exception handler is told. Whatever happens, memory running
    out included, the node's turn comes again."""
    try:
        core.Loop.call_exception_handler(
            {"message": "node failed", "exception": e, "future": core.cur_task})
    except MemoryError:
        pass


def install():
    """Let asyncio use it, now and in every later event loop."""
    if core.IOQueue is not EventQueue:
        core.IOQueue = EventQueue
        queue = EventQueue()
        # Tasks that wait already have the queue before in hand, so the two share what they know.
        queue.map, queue.poller = core._io_queue.map, core._io_queue.poller
        core._io_queue = queue


def _wanted(entry):
    return ((0 if entry[0] is None else select.POLLIN)
            | (0 if entry[1] is None else select.POLLOUT))
