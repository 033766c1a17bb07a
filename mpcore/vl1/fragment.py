"""Packets larger than a datagram: splitting and reassembly (spec/packet.md 3)."""

from micropython import const

from mpcore import limits
from mpcore.vl1 import packet

HEADER = const(16)
_INDICATOR = const(13)
_COUNTS = const(14)
_TIMEOUT_MS = const(5000)


def is_fragment(buf, off):
    """Whether the datagram of more than 16 bytes at buf[off] is a fragment, not a packet."""
    return buf[off + _INDICATOR] == 0xFF


def split(buf, off, n, mtu):
    """Cut the armored packet buf[off:off+n] into datagrams of at most `mtu` bytes.

    Yields (offset, length) of each datagram in `buf`, head first. A fragment's header overwrites
    the end of the piece before it, so each datagram must be sent before the next is asked for.
    """
    yield off, min(n, mtu)
    step = mtu - HEADER
    total = 1 + (n - mtu + step - 1) // step
    for number in range(1, total):
        at = off + mtu + (number - 1) * step
        length = min(step, off + n - at)
        if number == 1:
            ident = bytes(buf[off:off + _INDICATOR])  # packet ID and destination
        start = at - HEADER
        buf[start:start + _INDICATOR] = ident
        buf[start + _INDICATOR] = 0xFF
        buf[start + _COUNTS] = total << 4 | number
        buf[start + _COUNTS + 1] = 0  # hops
        yield start, HEADER + length


class _Slot:
    def __init__(self, now):
        self.since_ms = now
        self.endpoint = None
        self.total = 0  # unknown until a fragment other than the head came
        self.pieces = [None] * limits.MAX_FRAGMENTS
        self.held = 0
        self.size = 0


class Reassembler:
    """Collects the pieces of packets; bounded in slots, bytes and time."""

    def __init__(self, slots=limits.REASSEMBLY_SLOTS):
        self._limit = slots
        self._slots = {}

    def head(self, now, endpoint, buf, off, n):
        """Take the first piece, a packet with the FRAGMENTED flag.

        Returns (buffer, offset, length, endpoint) of the whole packet when it is complete, the
        endpoint being the one the head came from; else None.
        """
        slot = self._slot(now, bytes(buf[off:off + 8]))
        if slot.endpoint is None:
            slot.endpoint = endpoint
        return self._add(slot, 0, buf, off, n)

    def fragment(self, now, buf, off, n):
        """Take one of the other pieces. Returns as `head`; ValueError when it is malformed."""
        counts = buf[off + _COUNTS]
        total, number = counts >> 4, counts & 15
        if n <= HEADER or not 1 < total <= limits.MAX_FRAGMENTS or not 0 < number < total:
            raise ValueError("malformed fragment")
        slot = self._slot(now, bytes(buf[off:off + 8]))
        if slot.total not in (0, total):
            raise ValueError("fragment count changed")
        slot.total = total
        return self._add(slot, number, buf, off + HEADER, n - HEADER)

    def idle(self, now):
        """Whether it holds no pieces that more may follow."""
        for key in [k for k, slot in self._slots.items() if now - slot.since_ms >= _TIMEOUT_MS]:
            del self._slots[key]
        return not self._slots

    def _slot(self, now, packet_id):
        slots = self._slots
        slot = slots.get(packet_id)
        if slot is None:
            self.idle(now)
            if len(slots) >= self._limit:
                del slots[min(slots, key=lambda k: slots[k].since_ms)]
            slot = slots[packet_id] = _Slot(now)
            slot.packet_id = packet_id
        return slot

    def _add(self, slot, number, buf, off, n):
        if slot.pieces[number] is None:
            slot.size += n
            if slot.size > limits.MAX_PACKET:
                del self._slots[slot.packet_id]
                raise ValueError("reassembled packet too large")
            slot.pieces[number] = bytes(memoryview(buf)[off:off + n])
            slot.held += 1
        if slot.held != slot.total:
            return None
        del self._slots[slot.packet_id]
        whole = bytearray(packet.START + slot.size)
        at = packet.START
        for piece in slot.pieces:
            if piece is None:
                break
            whole[at:at + len(piece)] = piece
            at += len(piece)
        return whole, packet.START, slot.size, slot.endpoint
