"""packets.json: armor, compression, HELLO's mask, fragments (spec/packet.md, spec/crypto.md)."""

from mpcore import crypto, limits
from mpcore.vl1 import fragment, packet
from mpcore.vl1.packet import HEADER, START

from host_tools.vector_checks import each, refused, same, unhex
from host_tools.vector_checks.wire import Receiver, Refused, Wire, inflate, known_identity

_LABELS = (("aes_k0", 0x30), ("aes_k1", 0x31))


def checks(data):
    scene = _Scene(data)
    for label, entry in each(data, "pairs"):
        yield label, _pair, entry, scene
    for label, entry in each(data, "packets"):
        yield label, _packet, entry, scene
    for section in ("hops", "tampered"):
        for label, entry in each(data, section):
            yield label, _variant, entry, scene
    for label, entry in each(data, "other_ciphers"):
        yield label, _refused, entry, scene
    for label, entry in each(data, "compressed"):
        yield label, _compressed, entry, scene
    for label, entry in each(data, "crypt_field"):
        yield label, _mask, entry, scene
    for label, entry in each(data, "fragmented"):
        for check in _fragmented(label, entry, scene):
            yield check


class _Scene:
    """What the entries of a file refer to by name or number."""

    def __init__(self, data):
        self.identities = {v["name"]: known_identity(v) for v in data["identities"]}
        self.ciphers = {v["pair"]: crypto.PacketCipher(unhex(v["key"])) for v in data["pairs"]}
        self.packets = {v["name"]: v for v in data["packets"]}
        self.wire = Wire(self.identities.values())


def _buffer(data):
    return bytearray(START) + data


def _pair(entry, scene):
    a, b = scene.identities[entry["a"]], scene.identities[entry["b"]]
    key = a.agree(b)
    same(key.hex(), entry["key"], "key")
    same(b.agree(a), key, "key from the other side")
    for name, label in _LABELS:
        same(crypto.kbkdf(key, label, 0, 0)[:32].hex(), entry[name], name)


def _armor(cipher, plaintext, number):
    buf = _buffer(unhex(plaintext))
    cipher.armor(buf, START, len(buf) - START, number)
    return buf[START:].hex()


def _dearmor(cipher, wire):
    """The packet in clear, or None when it is not authentic."""
    buf = _buffer(unhex(wire))
    return bytes(buf[START:]) if cipher.dearmor(buf, START, len(buf) - START) else None


def _same_content(found, plaintext):
    """Compare the protected part and the addresses; ID, flags and MAC changed under way."""
    same(found is not None, True, "authenticity")
    expected = unhex(plaintext)
    same(found[packet.DESTINATION:packet.FLAGS], expected[packet.DESTINATION:packet.FLAGS],
         "addresses")
    same(found[packet.VERB:], expected[packet.VERB:], "content")


def _packet(entry, scene):
    cipher = scene.ciphers[entry["pair"]]
    plaintext = unhex(entry["plaintext"])
    same(plaintext[packet.SOURCE:packet.FLAGS].hex(), entry["source"], "source")
    same(plaintext[packet.DESTINATION:packet.SOURCE].hex(), entry["destination"], "destination")
    same(_armor(cipher, entry["plaintext"], entry["cipher"]), entry["wire"], "wire")
    opened = _dearmor(cipher, entry["wire"])
    _same_content(opened, entry["plaintext"])
    same(opened[packet.VERB] & packet.VERB_MASK, entry["verb"], "verb")
    same(len(opened) - HEADER, entry["payload_length"], "length of the payload")


def _variant(entry, scene):
    original = scene.packets[entry["of"]]
    opened = _dearmor(scene.ciphers[entry.get("with_pair", original["pair"])], entry["wire"])
    if entry["ok"]:
        _same_content(opened, original["plaintext"])
        same(opened[packet.FLAGS] & packet.HOPS, entry["hops"], "hops")
    else:
        same(opened is not None, False, "authenticity")


def _refused(entry, scene):
    same(unhex(entry["wire"])[packet.FLAGS] >> 3 & 7, entry["cipher"], "cipher")
    opened = _dearmor(scene.ciphers[entry["pair"]], entry["wire"])
    same(opened is not None, entry["ok"], "authenticity")


def _compressed(entry, scene):
    cipher = scene.ciphers[entry["pair"]]
    plaintext = entry.get("plaintext_compressed") or entry["plaintext"]
    same(_armor(cipher, plaintext, entry["cipher"]), entry["wire"], "wire")
    opened = _dearmor(cipher, entry["wire"])
    same(opened is not None, entry.get("mac_ok", True), "authenticity")
    _same_content(opened, plaintext)
    if entry.get("decompresses") is False:
        refused("payload", inflate, _buffer(opened), len(opened))
        return
    compressed = bool(opened[packet.VERB] & packet.COMPRESSED)
    same(compressed, entry["compressed"], "compression")
    buf, n = inflate(_buffer(opened), len(opened)) if compressed else (
        _buffer(opened), len(opened))
    expected = unhex(entry["plaintext"])
    same(bytes(buf[START + HEADER:START + n]), expected[HEADER:], "payload")
    same(buf[START + packet.VERB] & packet.VERB_MASK, expected[packet.VERB], "verb")
    same(n - HEADER, entry["payload_length"], "length of the payload")


def _mask(entry, scene):
    cipher = scene.ciphers[entry["pair"]]
    buf = _buffer(unhex(entry["before"]))
    cipher.mask_hello(buf, START, entry["start"], entry["length"])
    same(buf[START:].hex(), entry["after"], "masked packet")
    cipher.mask_hello(buf, START, entry["start"], entry["length"])
    same(buf[START:].hex(), entry["before"], "unmasked packet")


def _fragmented(label, entry, scene):
    datagrams = [unhex(datagram) for datagram in entry["datagrams"]]
    same(len(datagrams), entry["fragment_count"], "number of datagrams")
    same(len(datagrams) <= limits.MAX_FRAGMENTS, entry["deliverable"], "deliverability")
    if "assembled" in entry:
        yield label + " split", _split, entry, datagrams
    elif len(datagrams) == 1:
        yield label + " whole", _whole, entry, datagrams[0], scene
    for order in entry.get("orders", ()):
        yield (f"{label} order {order['order']}", _delivery, entry, scene,
               [datagrams[i] for i in order["order"]], order["delivered"])
    if entry.get("accepted_with_hops_changed_to_2"):
        yield (label + " relayed", _delivery, entry, scene, [_hops(d, 2) for d in datagrams], 1)
    for change in entry.get("rejected", ()):
        if "datagram" in change:
            changed = list(datagrams)
            changed[change["index"]] = unhex(change["datagram"])
            yield (label + " " + change["change"], _delivery, entry, scene, changed,
                   change["delivered"])


def _split(entry, datagrams):
    buf = _buffer(unhex(entry["assembled"]))
    made = [bytes(buf[at:at + n])
            for at, n in fragment.split(buf, START, len(buf) - START, entry["mtu"])]
    same([d.hex() for d in made], [d.hex() for d in datagrams], "datagrams")


def _hops(datagram, hops):
    changed = bytearray(datagram)
    if fragment.is_fragment(changed, 0):
        changed[fragment.HEADER - 1] = hops
    else:
        changed[packet.FLAGS] = changed[packet.FLAGS] & ~packet.HOPS | hops
    return bytes(changed)


def _whole(entry, data, scene):
    same(len(data), entry["packet_length"], "length")
    opened = scene.wire.open(data)
    same(opened.received.verb, entry["verb"], "verb")
    same(opened.cipher, entry["cipher"], "cipher")
    same(scene.identities[entry["source"]].address,
         data[packet.SOURCE:packet.FLAGS], "source")
    same(scene.identities[entry["destination"]].address,
         data[packet.DESTINATION:packet.SOURCE], "destination")
    payload = opened.payload
    same(crypto.sha512(payload).hex(), entry["payload_sha512"], "SHA-512 of the payload")
    if "payload" in entry:
        same(payload.hex(), entry["payload"], "payload")


def _delivery(entry, scene, datagrams, expected):
    """Give datagrams to a receiver and count the packets that come out, which must be right."""
    receiver = Receiver()
    delivered = 0
    for datagram in datagrams:
        try:
            whole = receiver.take(0, datagram)
            if whole is not None:
                _whole(entry, whole, scene)
                delivered += 1
        except (ValueError, Refused):
            pass
    same(delivered, expected, "number of packets delivered")
