"""hello.json: HELLOs and their answers, as they were recorded and as our own root gives them
(spec/verbs.md 3, 4)."""

from mpcore.vl1 import inet, packet
from mpcore.vl1.identity import Identity
from mpcore.vl1.packet import START
from mpcore.vl1.switch import VL1
from mpcore.vl1.world import World

from host_tools.vector_checks import each, refused, same, unhex, verbs
from host_tools.vector_checks.wire import Receiver, Refused, Wire, known_identity

_PAUSE_MS = 3000      # between the HELLOs of a case that was made by hand


def checks(data):
    for label, case in each(data, "cases"):
        scene = _Case(case)
        yield label + " worlds", _worlds, case
        for number, datagram in enumerate(case["datagrams"]):
            yield f"{label} datagrams[{number}]", scene.datagram, datagram
        if "answers" in case:
            yield label + " answers", scene.answers


def _worlds(case):
    blobs = [case["planet"]] + case.get("leaf_moons", []) + case.get("root_moons", [])
    if "leaf_planet" in case:
        blobs.append(case["leaf_planet"])
    for blob in blobs:
        read, length = World.from_bytes(unhex(blob))
        same(length, len(blob) // 2, "length of a world")
        same(read.to_bytes().hex(), blob, "world written back")


class _Case:
    def __init__(self, case):
        self._case = case
        self._identities = {v["name"]: known_identity(v) for v in case["identities"]}
        self._wire = Wire(self._identities.values())
        self._first_wire = self._wire
        if "first_identity" in case:
            first = Identity.from_text(case["first_identity"])
            others = [one for one in self._identities.values() if one.address != first.address]
            self._first_wire = Wire(others + [first])
        self._planet = World.from_bytes(unhex(case["planet"]))[0]

    def datagram(self, entry):
        data = unhex(entry["hex"])
        wire = self._first_wire if entry.get("keys_of") == "first_identity" else self._wire
        if not entry["decodes"]:
            refused("packet", _open, wire, data)
            return
        opened = wire.open(data)
        received = opened.received
        plaintext = unhex(entry["plaintext"])
        same(opened.plaintext, plaintext, "plaintext")
        same(opened.cipher, entry["cipher"], "cipher")
        same(received.hops, entry["hops"], "hops")
        if "compressed" in entry:
            same(opened.compressed, entry["compressed"], "compression")
        if "masked_from" in entry:
            same(opened.masked_from, entry["masked_from"], "beginning of the masked end")
        fields = {field[0]: field[3] for field in entry["fields"] if len(field) > 3}
        same(received.id.hex(), fields["packet_id"], "packet ID")
        same(getattr(packet, fields["verb"]), received.verb, "verb")
        same(entry["verb"], fields["verb"], "name of the verb")
        reading = verbs.read(received)
        if reading is not None:
            verbs.compare(reading, entry["fields"], opened.payload)
        if not opened.compressed and opened.cipher != packet.CIPHER_AES:
            same(_armored(wire, data, opened), data, "packet armored again")

    def answers(self):
        """Our own root is greeted: it must answer as often as the reference did."""
        sent = []
        line = Receiver()

        def send(endpoint, buf, off, n):
            whole = line.take(0, bytes(memoryview(buf)[off:off + n]))
            if whole is not None:
                sent.append(whole)

        # Nobody else hears this node, so its packet IDs need not be random.
        vl1 = VL1(self._root(), self._planet, send, bytes, aes=True, sliced=False)
        now = 0
        for entry in self._case["datagrams"]:
            if "ms" not in entry:
                now += _PAUSE_MS
                data = bytearray(START) + unhex(entry["hex"])
                vl1.receive(now, inet.parse(entry["from"]), data, START, len(data) - START)
        answers = [data for data in sent if self._verb(data) in (packet.OK, packet.ERROR)]
        same(len(answers), self._case["answers"], "number of answers")

    def _root(self):
        return self._identities[[entry["to_node"] for entry in self._case["datagrams"]
                                 if "ms" not in entry][0]]

    def _verb(self, data):
        try:
            return self._wire.open(data).received.verb
        except Refused:
            return self._first_wire.open(data).received.verb


def _open(wire, data):
    try:
        return wire.open(data)
    except Refused as error:
        raise ValueError(str(error))


def _armored(wire, data, opened):
    """The packet, written again from what was read; only cipher 3 changes the packet ID."""
    buf = bytearray(START) + opened.plaintext
    n = len(buf) - START
    cipher = wire.cipher(data[packet.SOURCE:packet.FLAGS], data[packet.DESTINATION:packet.SOURCE])
    if opened.masked_from is not None and opened.masked_from < n:
        cipher.mask_hello(buf, START, opened.masked_from, n - opened.masked_from)
    cipher.armor(buf, START, n, opened.cipher)
    return bytes(buf[START:])
