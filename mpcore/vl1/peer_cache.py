"""Peers that a restart should not have to look up again (spec/peers-and-paths.md 8).

A record tells who a peer is and where it was. The addresses are asked, not believed.
"""

import struct

from micropython import const

from mpcore.vl1 import inet
from mpcore.vl1.identity import Identity

_DIRECTORY = "peers.d/"
_SUFFIX = ".peer"
_FORMAT = const(2)
_WRITE_MS = const(30000)
_FIELDS = ">HHHHH"          # protocol, major, minor, revision, number of addresses
_FIELDS_SIZE = const(10)


def encode(peer):
    """The record of a Peer, as zerotier-one has it in peers.d, but for its software's version."""
    endpoints = [path.endpoint for path in peer.paths]
    return (bytes((_FORMAT,)) + peer.identity.to_bytes()
            + struct.pack(_FIELDS, peer.version, 0, 0, 0, len(endpoints))
            + b"".join([inet.encode(endpoint) for endpoint in endpoints]))


def decode(data):
    """(identity, protocol version, endpoints) of a record. Raises ValueError."""
    if not data or data[0] != _FORMAT:
        raise ValueError("not a peer record")
    identity, length = Identity.from_bytes(data, 1)
    at = 1 + length
    if identity.private or len(data) - at < _FIELDS_SIZE:
        raise ValueError("malformed peer record")
    version, _, _, _, count = struct.unpack_from(_FIELDS, data, at)
    at += _FIELDS_SIZE
    endpoints = []
    for _ in range(count):
        endpoint, length = inet.decode(data, at, len(data))
        at += length
        if endpoint is not None:
            endpoints.append(endpoint)
    return identity, version, endpoints


class PeerCache:
    """Keeps the records of a VL1's peers in storage, under "peers.d/<address>.peer".

    load(name), store(name, data), remove(name), names(prefix): the port's. limit: records kept.
    """

    def __init__(self, vl1, load, store, remove, names, limit):
        self._vl1 = vl1
        self._store = store
        self._remove = remove
        self._limit = limit
        self._write_ms = None
        self._kept = {}         # address -> record in storage
        for name in names(_DIRECTORY):
            if name.endswith(_SUFFIX):
                self._read(name, load(name))

    def _read(self, name, data):
        try:
            identity, version, endpoints = decode(data)
        except ValueError:
            return
        vl1 = self._vl1
        if name != _file(identity.address) or identity.address == vl1.address:
            return
        if len(self._kept) >= self._limit:
            return
        peer = vl1.add_peer(0, identity)
        if peer.identity != identity:
            return              # a root of the planet goes before what was remembered
        peer.version = version
        self._kept[identity.address] = data
        for endpoint in endpoints:
            if vl1.contact.acceptable(peer, endpoint):
                vl1.contact.expect(peer, endpoint)

    def poll(self, now):
        """Write what has changed, every 30 s; returns the ms at which to call again."""
        if self._write_ms is None:
            self._write_ms = now + _WRITE_MS
        if now >= self._write_ms:
            self._write_ms = now + _WRITE_MS
            self.write()
        return self._write_ms

    def write(self):
        """Bring the storage up to date; where it fails, that is only counted."""
        try:
            self._write()
        except OSError:
            self._vl1.count("peer_cache_failed")

    def _write(self):
        peers = self._vl1.peers
        for address in [a for a in self._kept if a not in peers]:
            del self._kept[address]
            self._remove(_file(address))
        for address in peers:
            record = encode(peers[address])
            known = self._kept.get(address)
            if record != known and peers[address].paths and (
                    known is not None or len(self._kept) < self._limit):
                self._store(_file(address), record)
                self._kept[address] = record


def _file(address):
    return _DIRECTORY + address.hex() + _SUFFIX
