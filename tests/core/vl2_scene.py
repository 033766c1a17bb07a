"""A VL2 on a VL1 that only records, with a controller and members to play the others' parts."""

import hashlib

from mpcore.vl1 import packet
from mpcore.vl1.identity import Identity
from mpcore.vl1.packet import Packet
from mpcore.vl1.peer import Peer
from mpcore.vl1.work import Work
from mpcore.vl2 import config_text, credentials, exchange
from mpcore.vl2.addressing import mac_of
from mpcore.vl2.config import NetworkConfig
from mpcore.vl2.vl2 import VL2

from tests.core.support import vectors

WINDOW_MS = 1800000
TIME = 1700000000000            # of the controller's clock in the first config
ROOT, CONTROLLER, ME, ANNE, BOB, CARL = [
    Identity.from_text(case["secret_text"])
    for case in vectors("identity.json")["identities"][:6]]
NWID = CONTROLLER.address + b"\0\0\xef"
MY_IP = b"\x0a\x93\x11\x5b"
MY_MAC = mac_of(NWID, ME.address)
ACCEPT_ALL = b"\x01\0"


class Sent:
    """One packet that VL2 gave to VL1."""

    def __init__(self, now, to, verb, payload, compress=False, answers=None, code=None):
        self.now = now
        self.to = to
        self.verb = verb
        self.payload = payload
        self.compress = compress
        self.answers = answers      # the verb that an OK or ERROR quotes
        self.code = code


class FakeVL1:
    """The face that VL2 sees of VL1; what is sent ends in `sent`."""

    def __init__(self, identity, root, sliced=False):
        self.identity = identity
        self.address = identity.address
        self.peers = {}
        self.root_peers = []
        self.counters = {}
        self.sent = []
        self.trusted = []
        self.wanted = set()
        self.asked = []             # addresses of WHOIS
        self.reachable = True
        self.lookup = self
        self.work = Work(sliced, self.count)
        self._verbs, self._ok, self._error = {}, {}, {}
        self._straight = None
        self._ids = 0
        if root is not None:
            self.root_peers.append(self.know(root))

    def know(self, identity):
        """Make a peer known."""
        peer = self.peers[identity.address] = Peer(identity, 0)
        return peer

    # what VL2 calls

    def on(self, verb, handler):
        self._verbs[verb] = handler

    def talk_to(self, network):
        self._straight = network

    def on_ok(self, verb, handler):
        self._ok[verb] = handler

    def on_error(self, verb, handler):
        self._error[verb] = handler

    def want(self, address, wanted):
        (self.wanted.add if wanted else self.wanted.discard)(address)

    def whois(self, now, address):
        self.asked.append(address)

    def roots(self):
        return self.root_peers

    def best_root(self, now):
        return self.root_peers[0] if self.root_peers else None

    def wall(self, now):
        return TIME + now

    def trust(self, now, peer, received):
        self.trusted.append(peer.address)

    def count(self, cause):
        self.counters[cause] = self.counters.get(cause, 0) + 1

    def entropy(self, n):
        return bytes(n)

    def send(self, now, address, verb, payload, compress=False):
        self.sent.append(Sent(now, address, verb, bytes(payload), compress))
        self._ids += 1
        return self._ids.to_bytes(8, "big") if self.reachable else None

    def send_frame(self, now, address, buf, off, n):
        assert off >= packet.START + packet.HEADER and off + n <= len(buf)
        return self.send(now, address, packet.FRAME, buf[off:off + n])

    def send_ok(self, now, peer, received, payload, compress=False, in_re_verb=None):
        verb = received.verb if in_re_verb is None else in_re_verb
        self.sent.append(Sent(now, peer.address, packet.OK, payload, compress, verb))

    def send_error(self, now, peer, received, code, payload=b""):
        self.sent.append(Sent(now, peer.address, packet.ERROR, payload, False, received.verb,
                              code))

    # what a test calls

    def inject(self, now, identity, verb, payload, handlers=None, at=packet.PAYLOAD):
        """A packet of this sender arrives; ValueError counts as VL1 would count it."""
        peer = self.peers.get(identity.address) or self.know(identity)
        buf = bytearray(packet.START + at) + payload
        buf[packet.START + packet.VERB] = verb
        received = Packet(buf, packet.START, len(buf), b"\x0a\0\0\x01\x27\x09")
        received.parse(b"\1\2\3\4\5\6\7\x08")
        try:
            if verb == packet.OK:
                self._ok[received.in_re_verb](now, peer, received)
            elif verb == packet.ERROR:
                self._error[received.in_re_verb](now, peer, received)
            elif verb != packet.FRAME or self._straight is None or not self._straight.receive_talk(
                    now, peer, buf, received.at, received.end):
                self._verbs[verb](now, peer, received)
        except ValueError:
            self.count("malformed")
        for i in range(len(buf)):
            buf[i] = 0xEE           # the buffer is used again: nobody may have kept it

    def inject_ok(self, now, identity, verb, payload):
        self.inject(now, identity, packet.OK, bytes((verb,)) + bytes(8) + payload)

    def inject_error(self, now, identity, verb, code, payload):
        self.inject(now, identity, packet.ERROR,
                    bytes((verb,)) + bytes(8) + bytes((code,)) + payload)

    def take(self, verb=None, to=None):
        """What was sent since the last call, with this verb and to this identity only if given."""
        sent, self.sent = self.sent, []
        return [s for s in sent if (verb is None or s.verb == verb)
                and (to is None or s.to == to.address)]


class Scene:
    """We are ME on NWID, whose controller and other members are played by the test."""

    def __init__(self, join=True, root=ROOT, known=(CONTROLLER,), me=ME, sliced=False):
        self.vl1 = FakeVL1(me, root, sliced)
        for identity in known:
            self.vl1.know(identity)
        self.storage = {}
        self.writes = 0
        self.vl2 = VL2(self.vl1, self.storage.get, self._store, self._remove)
        self.frames = []
        self.changes = []
        self.network = None
        if join:
            self.join()

    def _store(self, name, data):
        self.writes += 1
        self.storage[name] = data

    def _remove(self, name):
        self.storage.pop(name, None)

    def join(self, now=0):
        self.network = self.vl2.join(now, NWID)
        self.network.above = self
        self.network.on_change = self._on_change
        return self.network

    def receive(self, now, source_mac, destination_mac, ethertype, buf, off, n):
        self.frames.append((source_mac, destination_mac, ethertype, bytes(buf[off:off + n])))

    def _on_change(self, now, network):
        self.changes.append(network.status)

    def configured(self, now=0, **fields):
        """Let the controller answer with `config(**fields)`; forgets what that made us send."""
        for part in bodies(config(**fields)):
            self.vl1.inject_ok(now, CONTROLLER, packet.NETWORK_CONFIG_REQUEST, part)
        assert self.network.config is not None
        self.vl1.take()
        return self

    def transmit(self, now, destination_mac, ethertype, data):
        """Send a frame as the IP stack does."""
        headroom = self.network.headroom
        buf = bytearray(headroom) + data
        self.network.transmit(now, destination_mac, ethertype, buf, headroom, len(data))

    def frame(self, now, identity, data=b"hello", ethertype=0x0800):
        """A FRAME arrives."""
        self.vl1.inject(now, identity, packet.FRAME,
                        NWID + ethertype.to_bytes(2, "big") + data)

    def credentials(self, now, identity, *found):
        """NETWORK_CREDENTIALS with these arrive from a member."""
        kinds = [[c for c in found if c.TYPE == kind] for kind in (1, 2, 3, 6, 4)]
        self.vl1.inject(now, identity, packet.NETWORK_CREDENTIALS, credentials.pack(*kinds))

    def run(self, now, until):
        """Poll as a driver does, whenever it is due."""
        while now <= until:
            next_ms = self.vl2.poll(now)
            assert next_ms > now
            now = next_ms
        return until


_coms = {}


def com(identity=ME, timestamp=TIME, network_id=NWID):
    """A certificate of membership; signing is slow on MicroPython, so each is made once."""
    key = (identity.address, timestamp, network_id)
    if key not in _coms:
        _coms[key] = credentials.COM.issue(CONTROLLER, network_id, timestamp, WINDOW_MS, identity)
    return _coms[key]


def config(identity=ME, **fields):
    """A config for a private network with broadcast, one address and the rule ACCEPT."""
    made = NetworkConfig(NWID, identity.address)
    made.timestamp = TIME
    made.credential_max_delta = WINDOW_MS
    made.revision = 1
    made.flags = 0x02
    made.multicast_limit = 32
    made.name = b"lab"
    made.com = com(identity)
    made.static_ips = [(MY_IP, 24)]
    made.rules = ACCEPT_ALL
    for name in fields:
        assert hasattr(made, name)
        setattr(made, name, fields[name])
    return made


_bodies = {}


def bodies(made, flags=0, signer=CONTROLLER):
    """The signed chunks of a config; the update ID is its own for each config."""
    text = config_text.write(made)
    key = (text, flags, signer.address)
    if key not in _bodies:
        update_id = hashlib.sha256(text).digest()[:8]
        _bodies[key] = exchange.split(NWID, text, update_id, signer, flags)
    return _bodies[key]


def body(made, flags=0, signer=CONTROLLER):
    """The only chunk of a config."""
    one, = bodies(made, flags, signer)
    return one
