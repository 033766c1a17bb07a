"""Multicast: who listens to a group, and what travels about it (spec/vl2-multicast.md).

A group is keyed by the 18 bytes of a MULTICAST_LIKE record: network ID, MAC, ADI.
"""

import struct

from micropython import const

from mpcore import limits

KEY = const(18)

_EXPIRY_MS = const(600000)
_HOLD_MS = const(5000)

# Flags of MULTICAST_FRAME, section 6
_COM = const(0x01)
_GATHER = const(0x02)
_SOURCE = const(0x04)
_REPLICATE = const(0x08)

# OK(MULTICAST_FRAME), section 7
_RESULTS = const(0x02)

_LIKES = const(76)         # records in one packet, which then fits one datagram
_ADDRESSES = const(256)    # in one answer to a GATHER, likewise

DATA = const(25)           # where the Ethernet payload begins in what `frame` builds


class Groups:
    """The listeners of groups, as far as they told us or a root or controller named them.

    own: our address, which is never stored. most: how many groups are kept, and half as many
    listeners of each. No listener is kept in more than limits.GROUPS_OF_ONE groups, lest one node
    fills the table of a root.
    """

    def __init__(self, own, most=limits.PEERS):
        self._own = own
        self._most = most
        self._groups = {}       # key -> {address: when it was last named}
        self._of = {}           # address -> how many groups it is in

    def add(self, now, key, address, hearsay=False):
        """Note that a node listens; True when that is news.

        hearsay: others say so, who may not know that it has left: what it said itself counts on.
        """
        members = self._groups.get(key)
        named_ms = None if members is None else members.get(address)
        if named_ms is not None:
            expired = now - named_ms >= _EXPIRY_MS
            if expired or not hearsay:
                members[address] = now
            return expired
        if address == self._own or self._of.get(address, 0) >= limits.GROUPS_OF_ONE:
            return False
        if members is None:
            if len(self._groups) >= self._most:
                # Any: listeners announce themselves again within a minute.
                self._forget(next(iter(self._groups)))
            members = self._groups[key] = {}
        elif len(members) >= self._most // 2:
            self.remove(key, min(members, key=lambda a: members[a]))
            self._groups[key] = members
        members[address] = now
        self._of[address] = self._of.get(address, 0) + 1
        return True

    def remove(self, key, address):
        """The node no longer listens."""
        members = self._groups.get(key)
        if members is not None and members.pop(address, None) is not None:
            self._count_down(address)
            if not members:
                del self._groups[key]

    def _forget(self, key):
        for address in self._groups.pop(key):
            self._count_down(address)

    def _count_down(self, address):
        self._of[address] -= 1
        if not self._of[address]:
            del self._of[address]

    def members(self, now, key):
        """Addresses of the listeners."""
        members = self._groups.get(key)
        if members is None:
            return []
        return [a for a in members if now - members[a] < _EXPIRY_MS]

    def expire(self, now):
        """Forget who did not renew."""
        for key in list(self._groups):
            for address, named_ms in list(self._groups[key].items()):
                if now - named_ms >= _EXPIRY_MS:
                    self.remove(key, address)

    def gathered(self, now, key, asker, limit, own, start=0):
        """Body of the answer to a GATHER, from the total on (section 5), or None if there is none.

        own: we listen ourselves. start: a random number that says whom to name first.
        """
        members = self.members(now, key)
        total = len(members) + bool(own)
        members = rotated([a for a in members if a != asker], start)
        if own:
            members.insert(0, self._own)
        members = members[:min(limit, _ADDRESSES)]
        if not members:
            return None
        return struct.pack(">IH", total, len(members)) + b"".join(members)


class Outbound:
    """Multicasts of one network that wait, for 5 s at most, for listeners to become known."""

    _held = ()      # (until_ms, key, payload, addresses served, most of them)

    def hold(self, now, key, payload, served, limit):
        """Keep a frame; `served` have it already, and `limit` may get it in all."""
        self.expire(now)
        if len(self._held) >= limits.PENDING_MULTICASTS:
            self._held = self._held[1:]
        self._held += ((now + _HOLD_MS, key, payload, list(served), limit),)

    def due(self, now, key, address):
        """Payloads that a newly known listener is to get; they count as sent."""
        self.expire(now)
        payloads = []
        for _, held_key, payload, served, limit in self._held:
            if held_key == key and address not in served and len(served) < limit:
                served.append(address)
                payloads.append(payload)
        return payloads

    def expire(self, now):
        """Forget whom nobody was found for."""
        if self._held and self._held[0][0] <= now:
            self._held = tuple([item for item in self._held if item[0] > now])


def rotated(items, start):
    """The list begun at a random place: fair, and cheaper than a shuffle."""
    start = start % len(items) if items else 0
    return items[start:] + items[:start]


# --- bytes ---------------------------------------------------------------------------------

def likes(network_id, groups):
    """Payloads of the MULTICAST_LIKEs for groups (10 bytes each) of a network, section 3."""
    return [b"".join([network_id + group for group in groups[at:at + _LIKES]])
            for at in range(0, len(groups), _LIKES)]


def parse_likes(buf, at, end):
    """Keys in the MULTICAST_LIKE payload buf[at:end]."""
    return [bytes(buf[i:i + KEY]) for i in range(at, end - KEY + 1, KEY)]


def gather(key, limit, com=b""):
    """Payload of a MULTICAST_GATHER that asks for `limit` addresses, section 4. com: the bytes of
    our COM."""
    return key[:8] + (b"\1" if com else b"\0") + key[8:] + struct.pack(">I", limit) + com


def parse_gather(buf, at, end):
    """(key, limit, COM or None) of a MULTICAST_GATHER. Raises ValueError."""
    if end - at < 23:
        raise ValueError("GATHER cut short")
    com = _com(buf, at + 23, end)[0] if buf[at + 8] & _COM else None
    key = bytes(buf[at:at + 8]) + bytes(buf[at + 9:at + 19])
    return key, struct.unpack_from(">I", buf, at + 19)[0], com


def parse_gathered(buf, at, end):
    """(key, addresses) of an OK(MULTICAST_GATHER), section 5. Raises ValueError."""
    return bytes(buf[at:at + KEY]), _addresses(buf, at + KEY, end)


def frame_answer(key, gathered):
    """What follows the head of an OK(MULTICAST_FRAME) with results, section 7."""
    return key + bytes((_RESULTS,)) + gathered


def parse_frame_answer(buf, at, end):
    """(key, addresses) of an OK(MULTICAST_FRAME). Raises ValueError."""
    if end - at < KEY + 1:
        raise ValueError("answer cut short")
    key, flags = bytes(buf[at:at + KEY]), buf[at + KEY]
    at += KEY + 1
    if flags & _COM:
        at += _com(buf, at, end)[1]
    return key, _addresses(buf, at, end) if flags & _RESULTS else []


def frame(key, limit, ethertype, data):
    """Payload of a MULTICAST_FRAME from us that asks for up to `limit` listeners, section 6."""
    return (key[:8] + bytes((_GATHER,)) + struct.pack(">I", limit) + key[8:]
            + struct.pack(">H", ethertype) + data)


def order(key, source_mac, ethertype, data):
    """Payload of a MULTICAST_FRAME that asks a replicator to send it to the listeners."""
    return (key[:8] + bytes((_SOURCE | _REPLICATE,)) + source_mac + key[8:]
            + struct.pack(">H", ethertype) + data)


def parse_frame(buf, at, end):
    """(COM, limit, source MAC, group, ethertype, offset of the Ethernet payload).

    COM and source MAC are None and limit is 0 where they are not given. Raises ValueError.
    """
    if end - at < 9:
        raise ValueError("MULTICAST_FRAME cut short")
    flags = buf[at + 8]
    at += 9
    com, limit, source = None, 0, None
    if flags & _COM:
        com, length = _com(buf, at, end)
        at += length
    if end - at < 12 + (4 if flags & _GATHER else 0) + (6 if flags & _SOURCE else 0):
        raise ValueError("MULTICAST_FRAME cut short")
    if flags & _GATHER:
        limit = struct.unpack_from(">I", buf, at)[0]
        at += 4
    if flags & _SOURCE:
        source = bytes(buf[at:at + 6])
        at += 6
    return com, limit, source, bytes(buf[at:at + 10]), buf[at + 10] << 8 | buf[at + 11], at + 12


def _com(buf, at, end):
    from mpcore.vl2.credentials import COM

    return COM.from_bytes(buf, at, end)


def _addresses(buf, at, end):
    if end - at < 6:
        raise ValueError("addresses cut short")
    count = buf[at + 4] << 8 | buf[at + 5]
    at += 6
    if end - at < 5 * count:
        raise ValueError("addresses cut short")
    return [bytes(buf[i:i + 5]) for i in range(at, at + 5 * count, 5)]
