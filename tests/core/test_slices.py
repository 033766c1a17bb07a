"""The slices of boards, against the real implementation's values."""

from mpcore import crypto
from mpcore.crypto import portable
from mpcore.crypto.slices import finish, in_one
from mpcore.vl1.identity import Identity
from support import vectors

_VECTORS = vectors("identity.json")
_IDENTITIES = {i["name"]: Identity.from_text(i["secret_text"]) for i in _VECTORS["identities"]}
_SAME = crypto.x25519 is portable.x25519


def _count(slices):
    """(number of times it yields, what it returns)"""
    count = 0
    while True:
        try:
            next(slices)
        except StopIteration as end:
            return count, end.value
        count += 1


def _some(cases, most):
    """All of them where the arithmetic is not emulated."""
    return cases if _SAME else cases[:most]


def test_x25519_in_slices():
    for case in _some(_VECTORS["agreements"], 1):
        private = _IDENTITIES[case["a"]].private[:32]
        public = _IDENTITIES[case["b"]].public[:32]
        count, shared = _count(portable.x25519_slices(private, public))
        assert shared.hex() == case["x25519_raw"] and count > 5
    for case in _some(_VECTORS["x25519_edge"], 3):
        private, public = bytes.fromhex(case["private"]), bytes.fromhex(case["public"])
        assert _count(portable.x25519_slices(private, public))[1].hex() == case["shared"]


def test_ed25519_in_slices():
    for name in ("signatures", "bad_signatures"):
        for case in _some(_VECTORS[name], 2):
            public = _IDENTITIES[case["signer"]].public[32:]
            digest = crypto.sha512(bytes.fromhex(case["message"]))[:32]
            signature = bytes.fromhex(case["signature"])[:64]
            count, good = _count(portable.ed25519_verify_slices(public, digest, signature))
            assert good == crypto.ed25519_verify(public, digest, signature)
            if name == "signatures":
                assert good and count > 5


def test_identities_agree_and_verify_in_slices():
    for case in _VECTORS["agreements"]:
        a, b = _IDENTITIES[case["a"]], _IDENTITIES[case["b"]]
        assert finish(a.agreement(b)) == a.agree(b) == b.agree(a)
    for case in _VECTORS["bad_signatures"] + _VECTORS["signatures"]:
        message, signature = bytes.fromhex(case["message"]), bytes.fromhex(case["signature"])
        signer = _IDENTITIES[case["signer"]]
        assert finish(signer.verification(message, signature)) == signer.verify(message, signature)


def test_a_long_message_is_hashed_in_slices():
    data = bytes(range(256)) * 37
    for size in (0, 127, 128, 1024, 1025, 4096, len(data)):
        count, digest = _count(portable.sha512_slices(data[:size]))
        assert digest == crypto.sha512(data[:size])
        assert 0 <= count - (size + 17 + 127) // 128 <= 1      # blocks, and its code is loaded


def test_what_is_quick_has_no_slices():
    assert _count(in_one(lambda a, b: a + b)(1, 2)) == (0, 3)
