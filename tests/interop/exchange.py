"""What peers of every kind send each other, and the lines by which they are told to.

Portable: a Filament peer on MicroPython uses it too.

A request is `{"id", "do", ...}`, one line of JSON on standard input; the answer is
`{"id", "result"}` or `{"id", "error"}` on standard output. All peers know these:

| do | arguments | result |
|---|---|---|
| status | | address, online, version |
| join, leave | nwid | |
| network | nwid | status, addresses, mtu |
| orbit | moon, seed | |
| deorbit | moon | |
| worlds | | planet: timestamp, moons: timestamp by ID; those held, so far as they can be seen |
| ping | ip, size, timeout_ms | ms or null |
| serve | port, ip | TCP and UDP echo on this port from now on; "::": of IPv6 |
| udp | ip, port, sizes, timeout_ms, attempts | sizes whose echo did not come back as sent |
| open | ip, port | connection, ms |
| transfer | connection, size, start | intact, ms: `size` bytes of `content` to an echo and back |
| close | connection | |
| listen | port, group or null | keeps the datagrams that come to this port |
| heard | port | them, as text |
| leave_group | port | leaves the group that it was told to listen to (Filament only) |
| say | ip, port, text | sends a datagram; broadcast and multicast addresses are fine |
| answer_for | hostname | is found as HOSTNAME.local from now on (Filament only) |
| resolve | name | addresses; a zerotier-one's host only asks by mDNS |
| serve_names | ip, names | serves the addresses of names as a DNS server (zerotier-one only) |
| capture | nwid | keeps the frames that arrive from now on |
| captured | | them: [[ethertype, payload in hex]] |
| transmit | nwid, source_mac, destination_mac, frames | sends frames like those of `captured` |
| bulb | config | follows the demonstration's games that it finds (not zerotier-one) |
| reactions | | milliseconds from each change in a game to the bulb's LED |
| game | clients | serves the demonstration's game (libzt only) |
"""

import hashlib

CHUNK = 2048
LATE_S = 60          # when a transfer that stands still has failed; lwIP doubles its patience
_PERIOD = 4093       # a prime: no segment or datagram repeats its neighbour's content


def _pattern():
    block, parts = b"filament", []
    for _ in range(_PERIOD // 32 + 1):
        block = hashlib.sha256(block).digest()
        parts.append(block)
    return b"".join(parts)[:_PERIOD]


_content = _pattern() * 2


def content(at, n):
    """n bytes (at most CHUNK) of the endless stream, from position `at`."""
    at %= _PERIOD
    return _content[at:at + n]


def datagram(size):
    """The datagram of this size; different sizes differ from the first byte on."""
    whole = b"".join([content(size + at, CHUNK) for at in range(0, size, CHUNK)])
    return whole[:size]
