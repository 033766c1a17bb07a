"""identity.json: forms, the memory-hard hash, agreement and signatures (spec/identity.md)."""

from mpcore import crypto
from mpcore.vl1 import hashcash, identity
from mpcore.vl1.identity import Identity

from host_tools.vector_checks import attempt, each, is_optional, refused, same, unhex


def checks(data):
    known = {}
    validity = _Validity()
    for label, entry in each(data, "identities"):
        known[entry["name"]] = Identity.from_text(entry["secret_text"])
        yield label, _identity, entry, validity
    for label, entry in each(data, "digests"):
        yield label, _digest, entry, validity
    for label, entry in each(data, "invalid_identities"):
        yield label, _invalid, entry, validity
    for label, entry in each(data, "mismatched_secret"):
        yield label, _mismatched, entry, validity
    for label, entry in each(data, "text_parsing"):
        yield label, _text, entry, validity
    for label, entry in each(data, "binary_parsing"):
        yield label, _binary, entry, validity
    for label, entry in each(data, "agreements"):
        yield label, _agreement, entry, known
    for label, entry in each(data, "x25519_edge"):
        yield label, _edge, entry
    for section in ("signatures", "bad_signatures"):
        for label, entry in each(data, section):
            yield label, _signature, entry, known


class _Validity:
    """Whether identities are valid, each worked out once: the hash takes its time."""

    def __init__(self):
        self._known = {}

    def of(self, one):
        key = one.to_bytes()
        if key not in self._known:
            self._known[key] = one.locally_valid()
        return self._known[key]


def _identity(entry, validity):
    public = Identity.from_text(entry["public_text"])
    secret = Identity.from_text(entry["secret_text"])
    same(secret, public, "identity with its secret")
    same(public.private, None, "private key in the public text")
    same(public.address.hex(), entry["address"], "address")
    same(public.public.hex(), entry["public_key"], "public key")
    same(secret.private.hex(), entry["private_key"], "private key")
    same(secret.to_text(), entry["public_text"], "public text")
    same(secret.to_text(True), entry["secret_text"], "secret text")
    for wire, one, private in ((entry["binary_public"], public, False),
                               (entry["binary_secret"], secret, True)):
        same(one.to_bytes(private).hex(), wire, "binary form")
        read, length = Identity.from_bytes(unhex(wire))
        same((read, length, read.private), (one, len(wire) // 2, one.private), "binary form read")
    same(identity.public_of(secret.private), public.public, "public key of the private key")
    same(public.fingerprint().hex(), entry["public_key_hash"], "fingerprint")
    same(crypto.sha512(secret.private).hex(), entry["sha512_of_private_key"],
         "SHA-512 of the private key")
    same(hashcash.digest(public.public).hex(), entry["memory_hard_digest"], "digest")
    same(validity.of(public), entry["valid"], "validity")


def _digest(entry, validity):
    public = unhex(entry["public_key"])
    digest = hashcash.digest(public)
    same(digest.hex(), entry["memory_hard_digest"], "digest")
    same(digest[59:].hex(), entry["address_from_digest"], "address")
    same(validity.of(Identity(digest[59:], public)), entry["locally_valid"], "validity")


def _invalid(entry, validity):
    if entry["text_parses"]:
        same(validity.of(Identity.from_text(entry["public_text"])), entry["valid"], "validity")
    else:
        refused("text", Identity.from_text, entry["public_text"])
    read, _ = Identity.from_bytes(unhex(entry["binary_public"]))
    same(validity.of(read), entry["valid"], "validity of the binary form")


def _mismatched(entry, validity):
    same(validity.of(Identity.from_text(entry["secret_text"])), entry["valid"], "validity")


def _text(entry, validity):
    read = attempt(Identity.from_text, entry["text"])
    if is_optional(entry):
        return
    same(read is not None, entry["accepted"], "acceptance")
    if read is not None:
        same(read.address.hex(), entry["address"], "address")
        same(read.public.hex(), entry["public_key"], "public key")
        same(read.private is not None, entry["has_secret"], "presence of a secret")
        if read.private is not None:
            same(read.private.hex(), entry["private_key"], "private key")
        same(validity.of(read), entry["valid"], "validity")


def _binary(entry, validity):
    read = attempt(Identity.from_bytes, unhex(entry["bytes"]), entry["start"])
    if is_optional(entry):
        return
    same(read is not None, entry["accepted"], "acceptance")
    if read is not None:
        one, length = read
        same(length, entry["length"], "length")
        same(one.to_text(), entry["public_text"], "public text")
        same(one.private is not None, entry["has_secret"], "presence of a secret")
        same(validity.of(one), entry["valid"], "validity")


def _agreement(entry, known):
    a, b = known[entry["a"]], known[entry["b"]]
    raw = crypto.x25519(a.private[:32], b.public[:32])
    same(raw.hex(), entry["x25519_raw"], "X25519")
    same(crypto.x25519(b.private[:32], a.public[:32]), raw, "X25519 from the other side")
    key = a.agree(b)
    same(b.agree(a), key, "key from the other side")
    same(key.hex(), entry["key48"], "key")
    same(key[:32].hex(), entry["key32"], "short key")
    longer = crypto.sha512(raw)
    same(longer.hex(), entry["key64"], "SHA-512 of X25519")
    if "key100" in entry:
        longer += crypto.sha512(longer)
        same(longer[:100].hex(), entry["key100"], "long key")
    for name, label in (("aes_k0_48", 0x30), ("aes_k1_48", 0x31)):
        if name in entry:
            same(crypto.kbkdf(key, label, 0, 0).hex(), entry[name], name)


def _edge(entry):
    shared = crypto.x25519(unhex(entry["private"]), unhex(entry["public"]))
    if not is_optional(entry):
        same(shared.hex(), entry["shared"], "X25519")
        mine = Identity(bytes(5), bytes(64), unhex(entry["private"]) + bytes(32))
        theirs = Identity(bytes(5), unhex(entry["public"]) + bytes(32))
        same(mine.agree(theirs).hex(), entry["key48"], "key")


def _signature(entry, known):
    signer, message = known[entry["signer"]], unhex(entry["message"])
    signature = unhex(entry["signature"])
    valid = signer.verify(message, signature)
    if not is_optional(entry):
        same(valid, entry["valid"], "validity")
        if valid:
            same(signer.sign(message), signature, "signature")
