"""What passes the switch: a recorder, and a bad line.

    python wire.py IN OUT '{"loss": 5, ...}'     passes frames between two interfaces, badly
"""

import heapq
import json
import random
import select
import socket
import struct
import sys
import threading
import time
from collections import Counter

_ALL = 3                    # ETH_P_ALL
_OUTGOING = 4               # PACKET_OUTGOING: what the interface sends, seen a second time
_IPV4, _UDP = 0x0800, 17
_VL1 = 42                   # Ethernet 14, IPv4 20, UDP 8
_FRAME_MAX = 65535
_LOOK_S = 0.1               # how soon a new port is listened to


def _open(interface):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
    sock.bind((interface, 0))
    return sock


def _is_udp(frame):
    return len(frame) > _VL1 and frame[12:15] == b"\x08\x00\x45" and frame[23] == _UDP


class Recorder:
    """Counts VL1 datagrams that enter the switch, by what can be read without any key.

    `seen[(source address, destination address, kind, direct)]`: kind is the cipher (0, 1, 3) of a
    packet or "fragment"; direct, whether it goes straight from one to the other, by its IPs.
    Addresses are text.
    """

    def __init__(self):
        self._addresses = {}        # physical IP -> VL1 address of the node there
        self._sockets = []
        self.seen = Counter()
        threading.Thread(target=self._read, daemon=True).start()

    def listen(self, port, ip, address):
        """Count what comes from this port of the switch, where a node has its physical IP."""
        self._addresses[ip] = address
        self._sockets.append(_open(port))

    def _read(self):
        while True:
            for sock in select.select(self._sockets, [], [], _LOOK_S)[0]:
                frame, where = sock.recvfrom(_FRAME_MAX)
                if where[2] != _OUTGOING and _is_udp(frame):
                    self._note(frame)

    def _note(self, frame):
        from_ip, to_ip = (socket.inet_ntoa(frame[at:at + 4]) for at in (26, 30))
        packet = frame[_VL1:]
        if len(packet) < 17:
            return
        sender, receiver = self._addresses.get(from_ip), self._addresses.get(to_ip)
        destination = packet[8:13].hex()
        if packet[13] == 0xFF:
            key = sender, destination, "fragment", receiver == destination
        elif len(packet) < 28:
            return
        else:
            source = packet[13:18].hex()
            key = (source, destination, packet[18] >> 3 & 7,
                   (sender, receiver) == (source, destination))
        self.seen[key] += 1

    def count(self, source=None, destination=None, kind=None, direct=None):
        """Datagrams of this description; None is any."""
        asked = source, destination, kind, direct
        return sum(n for key, n in list(self.seen.items())
                   if all(want is None or want == have for want, have in zip(asked, key)))


class BadLine:
    """Passes frames between two interfaces: loses, doubles, delays, reorders. Seeded.

    loss, duplicate, reorder: percent; delay_ms, jitter_ms. A frame to be reordered is not
    delayed, so it overtakes.
    """

    def __init__(self, ends, loss=0, duplicate=0, reorder=0, delay_ms=0, jitter_ms=0, seed=1):
        self._sockets = [_open(end) for end in ends]
        self._loss, self._duplicate, self._reorder = loss, duplicate, reorder
        self._delay_s, self._jitter_s = delay_ms / 1000, jitter_ms / 1000
        self._random = random.Random(seed)
        self._waiting = []      # (due, number, socket, frame)
        self._number = 0

    def run(self):
        """Forever."""
        while True:
            now = time.monotonic()
            while self._waiting and self._waiting[0][0] <= now:
                _, _, out, frame = heapq.heappop(self._waiting)
                out.send(frame)
            wait = self._waiting[0][0] - now if self._waiting else None
            for sock in select.select(self._sockets, [], [], wait)[0]:
                frame, where = sock.recvfrom(_FRAME_MAX)
                if where[2] != _OUTGOING:
                    self._take(self._sockets[sock is self._sockets[0]], frame)

    def _take(self, out, frame):
        if _is_udp(frame):
            # The kernel leaves this checksum to the hardware, which there is none of; 0 means that
            # there is none (RFC 768).
            frame = frame[:40] + b"\0\0" + frame[42:]
        elif struct.unpack_from(">H", frame, 12)[0] != _IPV4:
            return self._later(out, frame, 0)       # ARP
        chance = self._random.uniform
        if chance(0, 100) < self._loss:
            return
        for _ in range(2 if chance(0, 100) < self._duplicate else 1):
            delay_s = self._delay_s + chance(-self._jitter_s, self._jitter_s)
            self._later(out, frame, 0 if chance(0, 100) < self._reorder else delay_s)

    def _later(self, out, frame, delay_s):
        self._number += 1
        heapq.heappush(self._waiting, (time.monotonic() + delay_s, self._number, out, frame))


if __name__ == "__main__":
    BadLine(sys.argv[1:3], **json.loads(sys.argv[3])).run()
