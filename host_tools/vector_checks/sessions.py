"""sessions/*.json: every datagram of a recorded session, opened and read."""

from mpcore.vl1 import fragment, packet
from mpcore.vl1.world import World
from mpcore.vl2 import config_text, exchange, rules

from host_tools.vector_checks import Mismatch, same, unhex, verbs
from host_tools.vector_checks.wire import Receiver, Wire, known_identity


def checks(data):
    session = _Session(data)
    yield "planet", _planet, data
    for datagram in data["datagrams"]:
        yield f"datagrams[{datagram['n']}]", session.datagram, datagram
    for name in sorted(session.kinds):
        yield f"{name} cut short", verbs.check_prefixes, session.kinds[name]


def _planet(data):
    blob = unhex(data["planet"])
    planet, length = World.from_bytes(blob)
    same(length, len(blob), "length of the planet")
    same(planet.to_bytes(), blob, "planet written back")


class _Session:
    """What has to be remembered from one datagram to the next."""

    def __init__(self, data):
        self._identities = {}
        for node in data["nodes"]:
            identity = known_identity(node)
            self._identities[identity.address] = identity
        self._wire = Wire(self._identities.values())
        self._pieces = {}           # sender, receiver and packet ID -> datagrams that arrived
        self._updates = {}          # controller's and member's address -> Assembly
        self._seen = {}             # number of a datagram -> its payload
        self.kinds = {}             # verb, by what it answers -> one packet of it
        for entry in data["datagrams"]:
            if entry["kind"] in ("head", "fragment") and entry.get("delivered", True):
                self._pieces.setdefault(_way(entry), []).append(entry)

    def datagram(self, entry):
        data = unhex(entry["hex"])
        kind = _kind(data)
        same(kind, entry["kind"], "kind")
        if kind == "packet":
            self._packet(entry, data)
        elif kind == "fragment":
            self._fragment(data, entry["fragment"])
        if entry.get("completes"):
            self._packet(entry, self._assembled(entry))

    def _fragment(self, data, expected):
        same(data[:8].hex(), expected["packet_id"], "packet ID of the fragment")
        same((data[14] & 15, data[14] >> 4, data[15]),
             (expected["number"], expected["total"], expected["hops"]), "number, total and hops")

    def _assembled(self, entry):
        """The packet whose last piece to arrive this was, though others were sent later."""
        receiver = Receiver()
        for piece in sorted(self._pieces[_way(entry)], key=_arrival_ms):
            whole = receiver.take(_arrival_ms(piece), unhex(piece["hex"]))
            if whole is not None:
                return whole
        raise Mismatch("the pieces make no packet")

    def _packet(self, entry, whole):
        expected = entry["packet"]
        opened = self._wire.open(whole)
        received = opened.received
        payload = opened.payload
        self._seen[entry["n"]] = payload
        if "assembled" in expected:
            same(whole.hex(), expected["assembled"], "assembled packet")
        if "same_as" in expected:
            same(payload, self._seen[expected["same_as"]], "payload of the relayed packet")
            return
        same(received.id.hex(), expected["packet_id"], "packet ID")
        same(whole[packet.SOURCE:packet.FLAGS].hex(), expected["source"], "source")
        same(whole[packet.DESTINATION:packet.SOURCE].hex(), expected["destination"],
             "destination")
        same(opened.cipher, expected["cipher"], "cipher")
        same(received.hops, expected["hops"], "hops")
        same(opened.compressed, expected["compressed"], "compression")
        same(received.verb, expected["verb_id"], "verb")
        _named(received.verb, expected["verb"])
        _named(received.in_re_verb, expected.get("in_re_verb"))
        _named(received.error, expected.get("error"), "E_")
        same(payload.hex(), expected["payload"], "payload")
        name = f"{received.verb} {received.in_re_verb} {received.error}"
        if name not in self.kinds or received.end < self.kinds[name].end:
            self.kinds[name] = received
        reading = verbs.read(received)
        if reading is not None:
            verbs.compare(reading, expected.get("fields", ()), payload)
        if received.verb == packet.NETWORK_CONFIG or (
                received.verb == packet.OK
                and received.in_re_verb == packet.NETWORK_CONFIG_REQUEST):
            self._config(received, whole)

    def _config(self, received, whole):
        """Chunks of a config: signed by the controller, and a config when they are all there."""
        chunk = exchange.Chunk.from_bytes(received.buf, received.at, received.end)
        controller = self._identities.get(chunk.network_id[:5])
        if controller is None:
            raise Mismatch("config of an unknown controller")
        same(chunk.verify(controller), True, "signature of the config")
        source = whole[packet.SOURCE:packet.FLAGS]
        to = whole[packet.DESTINATION:packet.SOURCE]
        key = (source, to, chunk.network_id)
        if key not in self._updates:
            self._updates[key] = exchange.Assembly()
        assembly = self._updates[key]
        if not assembly.add(chunk, source, controller):
            return
        text = assembly.take(chunk.update_id)
        if text is not None:
            config = config_text.read(text)
            same(config.network_id, chunk.network_id, "network of the config")
            same(config.issued_to, to, "member of the config")
            same(config_text.write(config), text, "config written back")
            same(rules.emit(rules.parse(config.rules)), config.rules, "rules written back")
            if config.com is not None:
                same(config.com.verify(controller), True, "signature of the COM")
                same(config.com.agrees(config.com, self._identities[to]), True,
                     "agreement of the COM with itself")


def _named(number, name, prefix=""):
    """Compare a number with its name, as far as the product has that name."""
    if name is not None:
        same(getattr(packet, prefix + name, number), number, name)


def _way(entry):
    return f"{entry['from_node']} {entry['to_node']} {entry['hex'][:16]}"


def _arrival_ms(entry):
    return entry.get("recv_ms", entry["ms"])


def _kind(data):
    if len(data) <= fragment.HEADER:
        return "not a packet"
    if fragment.is_fragment(data, 0):
        return "fragment"
    return "head" if data[packet.FLAGS] & packet.FRAGMENTED else "packet"
