"""The cable between the TAP device and the station: passes frames, records them, spoils them.

    bridge.py

It obeys orders in JSON, one a line, and confirms each by a line: {"record": path or null} writes
what passes from now on into a pcap file; {"spoil": {...} or null} makes the line a bad one.
"""

import contextlib
import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import sys
import time
from collections import deque

from cable import FRAMES, SO_FAR

DEVICE = "tap0"

_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_FRAME = 65536
_ETHERNET = 14
_BATCH = 32
_PCAP = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, _FRAME, 1)     # nanoseconds, Ethernet


def open_tap():
    """The device's file; the device is made by this and goes with it."""
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), _IFF_TAP | _IFF_NO_PI))
    return tap


def wait_under(name):
    """A listener for the station's local datagram socket."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(name)
    listener.listen()
    return listener


class Bridge:
    def __init__(self, tap, station):
        self._tap = tap
        self._station = station
        self._file = None
        self._spoil = None
        self._random = random.Random(1)
        self._late = []             # (due, number, send, frame)
        self._full = deque()        # what the station's socket has no room for
        self._number = 0

    def record(self, path):
        if self._file:
            self._file.close()
        self._file = None
        if path:
            self._file = open(path, "wb")
            self._file.write(_PCAP)

    def spoil(self, how):
        """how: percentages loss, duplicate, reorder and corrupt, and delay_ms; None: a good line.

        A frame to be reordered is not delayed, so it overtakes.
        """
        self._spoil = how

    def run(self):
        os.set_blocking(self._tap, False)
        self._station.setblocking(False)
        while True:
            wait = max(self._late[0][0] - time.monotonic(), 0) if self._late else None
            ready = select.select([self._station, sys.stdin] + [self._tap] * (not self._full),
                                  [self._station] * bool(self._full), [], wait)[0]
            if sys.stdin in ready:
                self._obey(sys.stdin.readline())
            if self._full:
                self._drain()
            else:
                self._from_tap()
            self._from_station()
            while self._late and self._late[0][0] <= time.monotonic():
                _, _, send, frame = heapq.heappop(self._late)
                self._deliver(frame, send)

    def _obey(self, line):
        if not line:
            sys.exit()
        for order, argument in json.loads(line).items():
            getattr(self, order)(argument)
        print(line, end="", flush=True)

    def _from_tap(self):
        """Read all that is there, or until the station has enough to do."""
        with contextlib.suppress(BlockingIOError):
            while not self._full:
                self._pass(os.read(self._tap, _FRAME), self._to_station)

    def _from_station(self):
        for _ in range(_BATCH):
            try:
                frame = self._station.recv(_FRAME)
            except BlockingIOError:
                return
            if not frame:
                sys.exit()
            if frame == SO_FAR:
                self._from_tap()
                self._to_station(frame)
            else:
                self._pass(frame, self._to_tap)

    def _to_station(self, frame):
        """Where the station's socket is full, the kernel's queue fills meanwhile."""
        self._full.append(frame)
        self._drain()

    def _drain(self):
        with contextlib.suppress(BlockingIOError):
            while self._full:
                self._station.send(self._full[0])
                self._full.popleft()

    def _to_tap(self, frame):
        os.write(self._tap, frame)

    def _pass(self, frame, send):
        how = self._spoil
        if how is None:
            return self._deliver(frame, send)
        chance = self._random.uniform
        if chance(0, 100) < how["loss"]:
            return
        if chance(0, 100) < how["corrupt"]:
            at = self._random.randrange(_ETHERNET, len(frame))
            bit = 1 << self._random.randrange(8)
            frame = frame[:at] + bytes((frame[at] ^ bit,)) + frame[at + 1:]
        for _ in range(2 if chance(0, 100) < how["duplicate"] else 1):
            late = 0 if chance(0, 100) < how["reorder"] else how["delay_ms"] / 1000
            self._number += 1
            heapq.heappush(self._late, (time.monotonic() + late, self._number, send, frame))

    def _deliver(self, frame, send):
        if self._file:
            now = time.time_ns()
            self._file.write(struct.pack("<IIII", now // 10 ** 9, now % 10 ** 9, len(frame),
                                         len(frame)) + frame)
        send(frame)


if __name__ == "__main__":
    tap = open_tap()
    with wait_under(FRAMES) as listener:
        print(json.dumps({"device": DEVICE}), flush=True)
        station = listener.accept()[0]
    Bridge(tap, station).run()
