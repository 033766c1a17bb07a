from mpcore import crypto
from mpcore.vl1 import hashcash, hashcash_blocks, hashcash_bytecode, identity
from mpcore.vl1.identity import Identity
from support import raises, vectors

_VECTORS = vectors("identity.json")
_IDENTITIES = _VECTORS["identities"]
_BY_NAME = {v["name"]: Identity.from_text(v["secret_text"]) for v in _IDENTITIES}

# spec/identity.md 9
_A = ("3d39b0e815:0:f5c980e0300ceaa8b1478e7646514f79b18090c07abbad5b853c9373c7b29a1de8c458f7"
      "36bf5dbeec7c6cdf9a0edecb7d821465489d3f58ef80bca6abc1a97e:4cef67e8d71bcc1739d6d776ac61"
      "676678533ca27d5bba4f68704d445f2449a0887781a60169d662e9f6797434a7a438af9aaefd8bb51af93"
      "49b8b992fa98c8a")
_B = ("80c374debd:0:d78bd3a9843481387617f9853911aa60277d45c049bdfc04fe0cc0f490d04443cd5647bf"
      "32ce160675559fe93f8283449c40c817a13766d06e1f390f38186e2c:8b72204789e934cf17eb7d7f949c"
      "817995a5431c34cf1995ac751a998a9588f367478fbe19b8691fd0aedd688cc2e6680f49ed97b422949cb"
      "88fcb6af2cd5882")


def test_the_forms_of_the_vectors():
    for vector in _IDENTITIES:
        public = Identity.from_text(vector["public_text"])
        secret = Identity.from_text(vector["secret_text"])
        assert public == secret and hash(public) == hash(secret)
        assert public.address.hex() == vector["address"]
        assert public.public.hex() == vector["public_key"] and public.private is None
        assert secret.private.hex() == vector["private_key"]
        assert secret.to_text() == public.to_text(True) == vector["public_text"]
        assert secret.to_text(True) == vector["secret_text"]
        assert secret.to_bytes().hex() == vector["binary_public"]
        assert secret.to_bytes(True).hex() == vector["binary_secret"]
        assert secret.fingerprint().hex() == vector["public_key_hash"]
        assert identity.public_of(secret.private) == secret.public


def test_text_parsing_of_the_vectors():
    for vector in _VECTORS["text_parsing"]:
        if not vector["accepted"]:
            raises(ValueError, Identity.from_text, vector["text"])
        elif not vector["lenient_quirk"]:
            parsed = Identity.from_text(vector["text"])
            assert parsed.address.hex() == vector["address"]
            assert parsed.public.hex() == vector["public_key"]
            assert (parsed.private is not None) == vector["has_secret"]


def test_text_is_read_strictly_but_for_blanks_around_it():
    assert Identity.from_text("\n " + _A + "\r\n").to_text(True) == _A
    address, kind, public, private = _A.split(":")
    for text in (address + "0:" + kind + ":" + public, address[1:] + ":0:" + public,
                 address + ":0:" + public + "00", address + ":0:" + public[:-2] + "g0",
                 address + ":0:" + public[:-2] + "  ", address + ":0:" + public + ":",
                 address + "::0:" + public, "0x" + address + ":0:" + public,
                 address + ": 0:" + public, address + ":0:" + public[:-2] + "\u0663\u0663"):
        raises(ValueError, Identity.from_text, text)


def test_binary_parsing_of_the_vectors():
    for vector in _VECTORS["binary_parsing"]:
        data, start = bytes.fromhex(vector["bytes"]), vector["start"]
        if not vector["accepted"]:
            raises(ValueError, Identity.from_bytes, data, start)
            continue
        parsed, length = Identity.from_bytes(memoryview(data), start)
        assert length == vector["length"]
        assert parsed.to_text() == vector["public_text"]
        assert (parsed.private is not None) == vector["has_secret"]
        raises(ValueError, Identity.from_bytes, data, start, start + length - 1)


def test_reserved_addresses():
    for vector in vectors("addressing.json")["reserved_addresses"]:
        assert identity.is_reserved(bytes.fromhex(vector["address"])) == vector["reserved"]


def test_agreement():
    for vector in _VECTORS["agreements"]:
        a, b = _BY_NAME[vector["a"]], _BY_NAME[vector["b"]]
        assert a.agree(b).hex() == b.agree(a).hex() == vector["key48"]


def test_unusual_keys_agree_as_the_reference_does():
    for vector in _VECTORS["x25519_edge"]:
        mine = Identity(bytes(5), bytes(64), bytes.fromhex(vector["private"]) + bytes(32))
        other = Identity(bytes(5), bytes.fromhex(vector["public"]) + bytes(32))
        assert mine.agree(other).hex() == vector["key48"]


def test_signatures():
    for vector in _VECTORS["signatures"] + _VECTORS["bad_signatures"]:
        signer = _BY_NAME[vector["signer"]]
        message = bytes.fromhex(vector["message"])
        signature = bytes.fromhex(vector["signature"])
        if not vector.get("optional"):    # we refuse S + L, as RFC 8032 has it
            assert signer.verify(message, signature) == vector["valid"], vector
            if vector["valid"]:
                assert signer.sign(message) == signature


def test_a_signature_of_another_size_is_refused():
    signer = Identity.from_text(_A)
    signature = signer.sign(b"hello zerotier")
    assert signer.verify(b"hello zerotier", signature)
    for other in (b"", signature[:64], signature[:95], signature + b"\0"):
        assert not signer.verify(b"hello zerotier", other)


def test_the_memory_hard_hash_tells_valid_from_invalid():
    for vector in _IDENTITIES[:2]:
        valid = Identity.from_text(vector["public_text"])
        assert hashcash.digest(valid.public).hex() == vector["memory_hard_digest"]
        assert valid.locally_valid()
    for vector in _VECTORS["invalid_identities"]:
        data = bytes.fromhex(vector["binary_public"])
        if vector["name"] in ("bad00", "bad08", "bad13", "bad16"):
            assert not Identity.from_bytes(data)[0].locally_valid(), vector
    for vector in _VECTORS["digests"][:2]:
        digest = hashcash.digest(bytes.fromhex(vector["public_key"]))
        assert digest.hex() == vector["memory_hard_digest"]
        assert digest[59:].hex() == vector["address_from_digest"]


def test_the_two_phases_of_the_hash_in_small():
    for each in hashcash_blocks, hashcash_bytecode:     # with what the first took, and the twin
        in_small(each)


def in_small(each):
    memory = bytearray(crypto.sha512(b"memory") * 16)    # 1 KiB, 16 blocks
    expected = [memory[:64]]
    for at in range(64, 1024, 64):
        expected.append(bytes([a ^ b for a, b in zip(memory[at:at + 64], expected[-1])]))
    each.chain(memory, 1024)
    assert memory == b"".join(expected)

    for i in range(16):
        memory[64 * i:64 * i + 64] = crypto.sha512(bytes([i]))
    words = [bytes(memory[8 * i:8 * i + 8]) for i in range(128)]
    out = bytearray(crypto.sha512(b"digest"))
    stream = bytearray(crypto.sha512(b"a") + crypto.sha512(b"b"))
    digest = bytes(out)
    for step in range(2, 64):
        a, b = words[2 * step][7] % 8, int.from_bytes(words[2 * step + 1], "big") % 128
        if step % 2 == 0:
            block = bytes(stream[:64])
            other = bytes(stream[64:])
        else:
            block = other
        old, words[b] = words[b], digest[8 * a:8 * a + 8]
        digest = digest[:8 * a] + old + digest[8 * a + 8:]
        digest = bytes([x ^ y for x, y in zip(digest, block)])
        if step % 2:
            each.mix(memory, 64, out, stream, step - 1, 2)
            assert stream == bytes(128)
            stream[:] = crypto.sha512(digest) + crypto.sha512(block)
            assert out == digest and memory == b"".join(words)


def test_the_worked_example_of_the_specification():
    a, b = Identity.from_text(_A), Identity.from_text(_B)
    assert a.agree(b).hex() == ("21899bbdc85197ba6191720d45d00d372ebc9d7a40ef5d656a46fa256cbd898c"
                                "3d51632fef180293e099d44c0bac630d")
    signature = a.sign(b"hello zerotier")
    assert signature.hex()[:64] == ("3e707edba607c0ff35b5b4253bc1945b"
                                    "c59f837e42ec46818b064af2be8151c9")
    assert b.locally_valid()


def test_generation_ends_with_a_valid_identity_and_tells_its_progress():
    # Starts where the fourth number is the private key of a known identity.
    known = Identity.from_text(_A)
    numbers = [known.private[32:], b"\1" * 32, b"\2" * 32, known.private[:32]]
    tries = []
    made = Identity.generate(lambda n: numbers.pop(0), tries.append)
    assert made.to_text(True) == _A
    assert tries == [1, 2, 3]
