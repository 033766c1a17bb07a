"""The text map of configs, against the real implementation's (spec/vl2-config.md 4)."""

from mpcore.vl2 import dictionary
from tests.core.support import vectors

_VECTORS = vectors("netconf.json")


def _value(kind, value):
    if kind == "bytes":
        return bytes.fromhex(value)
    if kind == "bool":
        return b"1" if value else b"0"
    return dictionary.number(int(value, 10 if kind == "i64" else 16))


def test_encode():
    done = 0
    for case in _VECTORS["dictionary_encode"]:
        entries = case["entries"]
        if any(e["kind"] == "i64" and e["value"][0] == "-" for e in entries):
            continue  # the reference loses the sign; negative numbers are not usable
        pairs = [(e["key"].encode(), _value(e["kind"], e["value"])) for e in entries]
        assert dictionary.encode(pairs) == bytes.fromhex(case["encoded"]), case["note"]
        decoded = dictionary.decode(bytes.fromhex(case["encoded"]))
        first = {}
        for key, value in pairs:
            if key not in first:
                first[key] = value
        assert decoded == first, case["note"]
        done += 1
    assert done >= 19


def test_decode():
    for case in _VECTORS["dictionary_decode"]:
        decoded = dictionary.decode(bytes.fromhex(case["encoded"]))
        for lookup in case["lookups"]:
            value = decoded.get(lookup["key"].encode())
            assert (value is not None) == lookup["found"], (case["note"], lookup)
            if value is None:
                continue
            assert value == bytes.fromhex(lookup["value"]), (case["note"], lookup)
            assert dictionary.boolean(value) == lookup["as_bool"], (case["note"], lookup)
            if value[:1] != b"-":
                expected = int(lookup["as_u64"], 16)
                assert dictionary.integer(value) == expected, (case["note"], lookup)


def test_missing_values_have_defaults():
    assert dictionary.integer(None) == 0
    assert dictionary.integer(None, 7) == 7
    assert dictionary.integer(b"") == 0
    assert not dictionary.boolean(None)


def test_the_example_of_the_spec():
    assert dictionary.encode([(b"n", b"a=b\\c\nd")]) == b"n=a\\eb\\\\c\\nd"
    assert dictionary.encode([(b"Z", b"\0\1\2\0")]) == bytes.fromhex("5a3d5c3001025c30")
