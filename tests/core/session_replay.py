"""A whole node of ours in the place of one node of a recorded session (vectors/README.md).

It hears what that node heard, at the recorded times, from the recorded keys and endpoints, and is
told to do what that node was told to do. The others' answers quote packets that were never sent
here; they are sealed again with their own keys, quoting ours. What our node sends is opened with
the recorded keys, as the others would, and kept.
"""

from mpcore.roles.controller import Controller
from mpcore.roles.root import Root
from mpcore.vl1 import inet, packet
from mpcore.vl1.packet import HEADER, START
from mpcore.vl1.switch import VL1
from mpcore.vl1.world import World
from mpcore.vl2 import multicast
from mpcore.vl2.addressing import mac_of
from mpcore.vl2.vl2 import VL2

from host_tools.vector_checks import verbs
from host_tools.vector_checks.wire import Receiver, Wire, known_identity
from tests.core.support import vectors

_OK_HEAD = 9                # verb and packet ID that an OK quotes
_SOON_MS = 5
_BEACON = 16                # datagrams up to this size are no packets
_RETRY_MS = 5000            # after which an answer is not waited for any more


class Sent:
    """One packet of ours, opened."""

    def __init__(self, now, endpoint, opened):
        received = opened.received
        plain = opened.plaintext
        self.now = now
        self.endpoint = endpoint
        self.id = received.id
        self.to = plain[packet.DESTINATION:packet.SOURCE]
        self.verb = received.verb
        self.answers = received.in_re_verb
        self.quotes = received.in_re_id
        self.error = received.error
        self.payload = plain[HEADER:]
        self.cipher = opened.cipher

    @property
    def body(self):
        """What an OK says, after what it quotes."""
        return self.payload[_OK_HEAD:]


class Replay:
    """The session `name`, our node being its node `place`.

    sent: [Sent]; relayed: [(endpoint, datagram)] of others; delivered: frames for the virtual
    interface as (source MAC, destination MAC, ethertype, payload).
    """

    def __init__(self, name, place):
        self.session = vectors("sessions/%s.json" % name)
        self.name = name
        self.place = place
        nodes = [(node["name"], known_identity(node)) for node in self.session["nodes"]]
        self.identities = dict(nodes)
        self.by_address = {identity.address: identity for _, identity in nodes}
        self.me = self.identities[place]
        self.wire = Wire(self.by_address.values())
        self.network_id = bytes.fromhex(self.session["networks"][0]["network_id"])
        self.sent, self.relayed, self.delivered = [], [], []
        self._receiver = Receiver()
        self._numbers = 0
        self._events = []           # [ms, number, function, argument], sorted
        self._answers = {}          # sender, verb and key -> body of the last answer so far
        self._asked = {}            # likewise -> (ms, ID) of our packets that wait for one
        self._mine = self._recorded_requests()
        self._now = 0
        self._make_node()
        self._plan()

    def _make_node(self):
        planet, _ = World.from_bytes(bytes.fromhex(self.session["planet"]))
        storage = self.storage = {}

        def store(name, data):
            storage[name] = data

        def names(prefix):
            return [name for name in storage if name.startswith(prefix)]

        def remove(name):
            storage.pop(name, None)

        self.vl1 = VL1(self.me, planet, self._send, self._entropy,
                       epoch_ms=int(self.session["t0"]), aes=True)
        self.vl2 = VL2(self.vl1, storage.get, store, remove)
        self.controller = None
        if self.place == "root":
            Root(self.vl1, self.vl2)
        elif self.place == "controller":
            self.controller = Controller(self.vl1, self.vl2, storage.get, store, names, remove)

    def _entropy(self, n):
        """Numbers that never repeat are random enough here."""
        self._numbers += 1
        return (self._numbers * 0x9E3779B97F4A7C15 & (1 << 64) - 1).to_bytes(8, "big")[:n] + bytes(
            max(0, n - 8))

    # --- the recorded session ----------------------------------------------------------------

    def packets(self):
        """Recorded packets as (datagram, packet); one that was relayed is told with each hop."""
        for datagram in self.session["datagrams"]:
            found = datagram.get("packet")
            if found is not None:
                if "same_as" in found:
                    found = self.session["datagrams"][found["same_as"]]["packet"]
                yield datagram, found

    def theirs(self):
        """Recorded packets for us from others, once each: (ms, datagram, packet)."""
        mine = self.me.address.hex()
        for datagram, found in self.packets():
            if datagram["to_node"] == self.place and datagram.get("delivered", True) and (
                    found["destination"] == mine):
                yield datagram.get("recv_ms", datagram["ms"]), datagram, found

    def ours(self, verb):
        """Packets with this verb that the real node sent of its own."""
        mine = self.me.address.hex()
        return [found for datagram, found in self.packets()
                if datagram["from_node"] == self.place and found["source"] == mine
                and found["verb"] == verb]

    def _recorded_requests(self):
        requests = {}
        for datagram, found in self.packets():
            if found["source"] == self.me.address.hex():
                requests[found["packet_id"]] = found
        return requests

    def _plan(self):
        answers = {}                # number of a datagram -> (ms, sender, verb, request, body)
        pieces = set()              # packet IDs of answers that came in pieces
        for ms, datagram, found in self.theirs():
            if found["verb"] == "OK":
                payload = bytes.fromhex(found["payload"])
                request = self._mine.get(payload[1:_OK_HEAD].hex())
                if request is not None:
                    answers[datagram["n"]] = (bytes.fromhex(found["source"]), payload[0],
                                              request, payload[_OK_HEAD:])
                    pieces.add(found["packet_id"])
        for datagram in self.session["datagrams"]:
            if datagram["to_node"] == self.place and datagram.get("delivered", True):
                ms = datagram.get("recv_ms", datagram["ms"])
                if datagram["n"] in answers:
                    self._at(ms, self._answer_comes, answers[datagram["n"]])
                elif datagram["hex"][:16] not in pieces:
                    self._at(ms, self._hear, datagram)
        for event in self.session["timeline"]:
            if event["node"] == self.place:
                self._at(event["ms"], self._act, event)
        if "frames_to_virtual_interfaces" not in self.session:
            self._plan_frames()
        for ms, found in self._first("MULTICAST_LIKE"):
            self._at(ms, self._subscribe, bytes.fromhex(found["payload"]))

    def _first(self, verb):
        """(ms, packet) of what the real node sent, where it sent it first."""
        mine = self.me.address.hex()
        for datagram in self.session["datagrams"]:
            found = datagram.get("packet", {})
            if datagram["from_node"] == self.place and found.get("verb") == verb and (
                    found["source"] == mine):
                yield datagram["ms"], found

    def _plan_frames(self):
        """Nobody noted what the kernel gave the real node: it is what that sent."""
        for ms, found in self._first("FRAME"):
            payload = bytes.fromhex(found["payload"])
            mac = mac_of(payload[:8], bytes.fromhex(found["destination"]))
            self._at(ms, self._transmit, (mac, payload[8:10], payload[10:]))
        for ms, found in self._first("MULTICAST_FRAME"):
            payload = bytes.fromhex(found["payload"])
            self._at(ms, self._transmit, (payload[13:19], payload[23:25],
                                          payload[multicast.DATA:]))

    def _subscribe(self, now, records):
        """To what the host had the real node listen to."""
        for at in range(0, len(records), 18):
            network = self.vl2.networks.get(records[at:at + 8])
            if network is not None:
                network.subscribe(now, records[at + 8:at + 14], records[at + 14:at + 18])

    def _transmit(self, now, frame):
        mac, ethertype, data = frame
        network = self.vl2.networks[self.network_id]
        room = network.headroom
        network.transmit(now, mac, int.from_bytes(ethertype, "big"), bytearray(room) + data, room,
                         len(data))

    # --- time --------------------------------------------------------------------------------

    def _at(self, ms, function, argument):
        i = len(self._events)
        while i and self._events[i - 1][0] > ms:
            i -= 1
        self._events.insert(i, (ms, function, argument))

    def run(self):
        """Play the session to its end."""
        self._now = self._events[0][0]
        polls = [vl.poll for vl in (self.vl1, self.vl2, self.controller) if vl is not None]
        while self._events:
            next_ms = max(self._now + 1, min([poll(self._now) for poll in polls]))
            while self._events and self._events[0][0] <= next_ms:
                ms, function, argument = self._events.pop(0)
                self._now = max(self._now, ms)
                function(self._now, argument)
                next_ms = self._now
            self._now = next_ms
        return self

    def _hear(self, now, datagram):
        self._receive(now, inet.parse(datagram["from"]), bytes.fromhex(datagram["hex"]))

    def _receive(self, now, endpoint, data):
        self.vl1.receive(now, endpoint, bytearray(START) + data, START, len(data))

    def _act(self, now, event):
        action, detail = event["action"], event.get("detail")
        if action == "join":
            network = self.vl2.join(now, bytes.fromhex(detail))
            network.above = self
        elif action == "leave":
            self.vl2.leave(now, bytes.fromhex(detail))
        elif action == "virtual interface sends":
            network = self.vl2.networks[self.network_id]
            if mac_bytes(detail["from"]) == network.mac:
                self._transmit(now, (mac_bytes(detail["to"]), bytes.fromhex(detail["ethertype"]),
                                     self._whole(detail["frame"])))
        elif self.controller is not None:
            self._control(now, action)

    def _control(self, now, action):
        """What people did to the controller."""
        controller, network_id = self.controller, self.network_id
        about = [self.identities[name].address for name in ("a", "b") if " %s" % name in action]
        if action in ("start", "network created") and not controller.networks():
            recorded = self.session["networks"][0]
            controller.create_network(now, {"private": True, "name": recorded["name"]}, network_id)
            events = " ".join([event["action"] for event in self.session["timeline"]])
            for member in recorded.get("members_at_end", ()):
                address = bytes.fromhex(member["address"])
                name = [n for n in self.identities if self.identities[n].address == address][0]
                if "authorize and push config to " + name not in events:
                    controller.authorize(now, network_id, address)
        elif action.startswith("authorize"):
            controller.authorize(now, network_id, about[0])
        elif action.startswith("deauthorize"):
            controller.authorize(now, network_id, about[0], False)
        elif action.startswith("revoke"):
            controller.authorize(now, network_id, self.identities["b"].address, False)
        elif action.startswith("push changed config"):
            controller.update_network(now, network_id, {"mtu": 1400})

    def _whole(self, frame):
        """A frame of the timeline, where long ones are cut: the rest is in what was sent."""
        start = frame[:-3] if frame.endswith("...") else frame
        if start != frame:
            for verb in ("FRAME", "EXT_FRAME", "MULTICAST_FRAME"):
                for found in self.ours(verb):
                    if start in found["payload"]:
                        return bytes.fromhex(found["payload"][found["payload"].index(start):])
        return bytes.fromhex(start)

    def receive(self, now, source_mac, destination_mac, ethertype, buf, off, n):
        self.delivered.append((source_mac, destination_mac, ethertype, bytes(buf[off:off + n])))

    # --- what we send, and its answers -------------------------------------------------------

    def _send(self, endpoint, buf, off, n):
        data = bytes(buf[off:off + n])
        if n <= _BEACON:
            return
        if data[packet.SOURCE:packet.FLAGS] != self.me.address and data[13] != 0xFF:
            self.relayed.append((endpoint, data))
            return
        whole = self._receiver.take(self._now, data)
        if whole is None:
            return
        opened = self.wire.open(whole)
        verbs.read(opened.received)
        sent = Sent(self._now, endpoint, opened)
        self.sent.append(sent)
        if sent.verb == packet.WHOIS:
            known = [sent.payload[at:at + 5] for at in range(0, len(sent.payload), 5)]
            body = b"".join([self.by_address[a].to_bytes() for a in known
                             if a in self.by_address and self._started(a)])
            if body:
                self._reply(sent, body)
        elif sent.verb == packet.ECHO:
            self._reply(sent, sent.payload)
        elif sent.verb not in (packet.OK, packet.ERROR):
            key = _key(sent.to, sent.verb, sent.payload)
            if key in self._answers:
                self._reply(sent, self._answers[key])
            else:
                self._asked.setdefault(key, []).append(sent)

    def _started(self, address):
        """Whether the root has heard of a node."""
        text = address.hex()
        return any([found["source"] == text and datagram["ms"] <= self._now
                    for datagram, found in self.packets()])

    def _answer_comes(self, now, answer):
        """Somebody answered the real node: that goes for our packets of that kind."""
        sender, verb, request, body = answer
        key = _key(sender, verb, bytes.fromhex(request["payload"]))
        if verb in (packet.HELLO, packet.MULTICAST_GATHER, packet.NETWORK_CONFIG_REQUEST):
            self._answers[key] = body
        for sent in self._asked.pop(key, ()):
            if now - sent.now < _RETRY_MS:
                self._reply(sent, body, 0)

    def _reply(self, sent, body, delay_ms=_SOON_MS):
        """Seal an OK with the keys of whom we sent something."""
        if sent.verb == packet.HELLO:
            body = sent.payload[5:13] + body[8:]        # the time that our HELLO told
        payload = bytes((sent.verb,)) + sent.id + body
        n = HEADER + len(payload)
        buf = bytearray(START + HEADER) + payload
        buf[START:START + 8] = self._entropy(8)
        buf[START + packet.DESTINATION:START + packet.SOURCE] = self.me.address
        buf[START + packet.SOURCE:START + packet.FLAGS] = sent.to
        buf[START + packet.VERB] = packet.OK
        self.wire.cipher(self.me.address, sent.to).armor(buf, START, n, packet.CIPHER_SALSA)
        data = bytes(buf[START:START + n])
        if delay_ms:
            self._at(self._now + delay_ms, self._arrive, (sent.endpoint, data))
        else:
            self._receive(self._now, sent.endpoint, data)

    def _arrive(self, now, datagram):
        self._receive(now, *datagram)


def _key(sender, verb, payload):
    """What an answer is for, beyond one packet."""
    if verb == packet.MULTICAST_GATHER:
        return sender, verb, payload[:8] + payload[9:19]
    if verb == packet.NETWORK_CONFIG_REQUEST:
        return sender, verb, payload[:8]
    if verb == packet.HELLO:
        return sender, verb, b""
    return sender, verb, payload


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))
