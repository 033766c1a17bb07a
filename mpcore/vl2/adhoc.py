"""Ad-hoc networks: an ID that says everything, and no controller (spec/vl2-frames.md 10)."""

import struct

from micropython import const

from mpcore.vl2 import addressing
from mpcore.vl2.config import ACCEPT_ALL, NDP_EMULATION, NetworkConfig

_RENEW_MS = const(60000)
_MAX_DELTA_MS = const(7200000)
_MULTICAST_LIMIT = const(1024)

# Everything but IPv6 is dropped, and the opening of TCP connections to ports out of the range.
_BEFORE_RANGE = bytes.fromhex("a50286dd" "0000" "24013a" "0100" "240111" "640106" "2804")
_AFTER_RANGE = bytes.fromhex("0100" "a9080000000000000002" "0100"
                             "29080000000000000002" "29080000000000000010" "0100" "0000")


def config(network_id, address, timestamp):
    """The NetworkConfig of a member (address of 5 bytes); timestamp: ms since 1970.

    Returns None for an ID of no known form. Raises ValueError for a range of ports that ends
    before it starts: such a network is not found.
    """
    made = NetworkConfig(network_id, address)
    made.timestamp = timestamp
    made.credential_max_delta = _MAX_DELTA_MS
    made.revision = 1
    made.flags = NDP_EMULATION
    made.public = True
    made.static_ips = [(addressing.sixplane(network_id, address), addressing.SIXPLANE_BITS)]
    if network_id[5:] == b"\0\0\0":
        ports = network_id[1:5]
        start, end = struct.unpack(">HH", ports)
        if end < start:
            raise ValueError("the range of ports ends before it starts")
        made.name = b"adhoc-%04x-%04x" % (start, end)
        made.rules = _BEFORE_RANGE + ports + _AFTER_RANGE
    elif network_id[7] == 1:
        octet, hub = network_id[1:2], network_id[2:7]
        made.name = b"adhoc-%d.0.0.0" % octet[0]
        made.multicast_limit = _MULTICAST_LIMIT
        made.static_ips.append((octet + address[2:], 8))
        made.rules = ACCEPT_ALL
        if hub != bytes(5):
            made.specialists = [(hub, 0)]
    else:
        return None
    return made


class AdHoc:
    """What such a network has in place of an Enrolment: it configures itself."""

    def __init__(self, vl1, network):
        self._vl1 = vl1
        self._network = network
        self._renew_ms = 0

    def start(self, now):
        network = self._network
        try:
            made = config(network.id, self._vl1.address, self._vl1.wall(now))
        except ValueError as error:
            return network.set_status(now, "NOT_FOUND", str(error))
        self._renew_ms = now + _RENEW_MS
        if made is not None:
            network.configure(now, made)

    def poll(self, now):
        """Keep the config fresh; returns the ms at which to call again."""
        if now >= self._renew_ms:
            self._renew_ms = now + _RENEW_MS
            if self._network.config is not None:
                self._network.config.timestamp = self._vl1.wall(now)
        return self._renew_ms

    def controller(self):
        """None: nobody may issue credentials here."""
