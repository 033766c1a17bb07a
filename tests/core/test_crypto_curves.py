"""X25519 and Ed25519 against the real implementation's values (spec/identity.md 2, 4, 5)."""

from mpcore import crypto
from mpcore.crypto import portable
from support import vectors

_VECTORS = vectors("identity.json")
_IDENTITIES = {i["name"]: i for i in _VECTORS["identities"]}
_SAME = crypto.x25519 is portable.x25519
_ORDER = (1 << 252) + 27742317777372353535851937790883648493
_h = bytes.fromhex


def _cases(cases, portable_cases):
    """All cases for the facade; the first few for the twin where it is emulated."""
    for number, case in enumerate(cases):
        yield crypto, case
        if not _SAME and number < portable_cases:
            yield portable, case


def _ed25519_key(name):
    return _h(_IDENTITIES[name]["public_key"])[32:]


def test_public_keys():
    for twin, identity in _cases(_VECTORS["identities"], 1):
        private, public = _h(identity["private_key"]), _h(identity["public_key"])
        assert twin.x25519_public(private[:32]) == public[:32]
        assert twin.ed25519_public(private[32:]) == public[32:]


def test_agreement():
    for twin, case in _cases(_VECTORS["agreements"], 1):
        private = _h(_IDENTITIES[case["a"]]["private_key"])[:32]
        public = _h(_IDENTITIES[case["b"]]["public_key"])[:32]
        assert twin.x25519(private, public).hex() == case["x25519_raw"]


def test_x25519_of_unusual_points():
    for twin, case in _cases(_VECTORS["x25519_edge"], 7):
        assert twin.x25519(_h(case["private"]), _h(case["public"])).hex() == case["shared"], case


def test_signatures():
    for twin, case in _cases(_VECTORS["signatures"], 2):
        digest, signature = crypto.sha512(_h(case["message"]))[:32], _h(case["signature"])
        seed = _h(_IDENTITIES[case["signer"]]["private_key"])[32:]
        assert twin.ed25519_sign(seed, digest) == signature[:64]
        assert twin.ed25519_verify(_ed25519_key(case["signer"]), digest, signature[:64])


def test_bad_signatures():
    refused = 0
    for twin, case in _cases(_VECTORS["bad_signatures"], 3):
        message, signature = _h(case["message"]), _h(case["signature"])
        digest = crypto.sha512(message)[:32]
        if len(signature) == 96 and signature[64:] == digest:
            refused += 1
            key = _ed25519_key(case["signer"])
            assert not twin.ed25519_verify(key, digest, signature[:64]), case["note"]
    assert refused


def test_what_is_no_signature():
    case = _VECTORS["signatures"][0]
    key, good = _ed25519_key(case["signer"]), _h(case["signature"])[:64]
    digest = crypto.sha512(_h(case["message"]))[:32]
    malleated = int.from_bytes(good[32:], "little") + _ORDER
    not_on_the_curve = b"\x02" + bytes(31)
    for twin in (crypto, portable):
        for public, signature in (
                (key, good[:32] + malleated.to_bytes(32, "little")),
                (key, good[:63]), (key, good + b"\0"), (key, b""), (key[:31], good), (b"", good),
                (key, b"\xff" * 64), (b"\xff" * 32, good), (not_on_the_curve, good)):
            assert not twin.ed25519_verify(public, digest, signature)


def _secret_scalar(seed):
    scalar = bytearray(crypto.sha512(seed)[:32])
    scalar[0] &= 0xF8
    scalar[31] = scalar[31] & 0x7F | 0x40
    return int.from_bytes(scalar, "little")


def test_keys_of_small_order_sign_nothing():
    # Under the neutral point as key, any S with R = S * B satisfies the bare equation; under its
    # second encoding too, and under the points of order 2, 4 and 8 for some messages.
    seed = bytes(range(32))
    s = _secret_scalar(seed) % _ORDER
    signature = crypto.ed25519_public(seed) + s.to_bytes(32, "little")
    eight = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
    for key in ("01" + "00" * 31, "ee" + "ff" * 30 + "7f", "ec" + "ff" * 30 + "7f", "00" * 32,
                "ed" + "ff" * 30 + "7f", eight):
        for twin in (crypto, portable):
            for message in range(24 if twin is crypto else 1):
                assert not twin.ed25519_verify(_h(key), bytes((message,)), signature)


def test_nonces_of_small_order_sign_nothing():
    # R the neutral point and S = challenge * key satisfies the bare equation.
    seed, message = bytes(range(32)), b"message"
    r, key = b"\x01" + bytes(31), crypto.ed25519_public(seed)
    challenge = int.from_bytes(crypto.sha512(r + key + message), "little")
    s = challenge * _secret_scalar(seed) % _ORDER
    for twin in (crypto, portable):
        assert not twin.ed25519_verify(key, message, r + s.to_bytes(32, "little"))
