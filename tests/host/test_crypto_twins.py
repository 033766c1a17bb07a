"""Two implementations of everything: what one says of any input, the other says too."""

import pytest
from hypothesis import example, given, settings, strategies as st

from mpcore import crypto
from mpcore.crypto import native, portable, salsa_lanes

settings.register_profile("crypto", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("crypto")

TWINS = (native, portable)
keys = st.binary(min_size=32, max_size=32)
shared = st.binary(min_size=48, max_size=48)
packets = st.binary(min_size=28, max_size=200).map(bytearray)
starts = st.integers(0, 3)

# Text that repeats itself at all distances, and noise.
payloads = st.one_of(
    st.binary(max_size=300),
    st.lists(st.sampled_from((b"a", b"abc", b"0123456789", bytes(40), b"\xff" * 270)),
             max_size=12).map(b"".join))


def both(call):
    one, other = (call(twin) for twin in TWINS)
    assert one == other
    return one


def test_the_facade_is_native_here():
    assert crypto.salsa20_xor is native.salsa20_xor


def test_both_twins_have_the_whole_facade():
    names = [name for name in dir(crypto) if callable(getattr(crypto, name))]
    assert len(names) == 21
    for name in names:
        assert callable(getattr(portable, name))


@given(keys, st.binary(min_size=8, max_size=8), st.sampled_from((0, 1, 5, (1 << 30) - 3)),
       st.binary(max_size=200), starts, st.sampled_from((12, 20)))
def test_salsa20(key, iv, counter, data, start, rounds):
    def call(twin):
        buf = bytearray(start) + data
        twin.salsa20_xor(key, iv, counter, buf, start, len(data), rounds)
        return buf
    both(call)


@pytest.mark.parametrize("counter", (0, 7, (1 << 32) - 2, (1 << 64) - 5))
@pytest.mark.parametrize("blocks", (1, 2, 5))
def test_salsa20_by_lanes_counts_as_libsodium_does(counter, blocks):
    key, iv = bytes(range(32)), bytes(range(100, 108))
    expected = bytearray(64 * blocks)
    native.salsa20_xor(key, iv, counter, expected, 0, len(expected), 20)
    assert salsa_lanes.keystream(key, iv, counter, blocks, 20) == expected


def test_packets_without_a_system_libsodium(monkeypatch):
    wires = []
    for stream in (native._stream12, None):
        monkeypatch.setattr(native, "_stream12", stream)
        buf = bytearray(range(200))
        native.PacketCipher(bytes(range(48))).armor(buf, 0, 200, 1)
        wires.append(buf)
    assert wires[0] == wires[1]


@given(keys, st.binary(max_size=120), starts)
@example(b"\xff" * 32, b"\xff" * 64, 0)
def test_poly1305(key, data, start):
    both(lambda twin: twin.poly1305(key, bytes(start) + data + b"\1", start, len(data)))


@settings(max_examples=15)
@given(st.binary(max_size=300), shared)
@example(bytes(111), bytes(48))
@example(bytes(112), bytes(48))
@example(bytes(128), bytes(48))
def test_hashes(data, key):
    both(lambda twin: (twin.sha512(data), twin.sha384(data), twin.hmac_sha384(key, data)))


@settings(max_examples=15)
@given(keys, keys, st.binary(min_size=8, max_size=8), st.binary(max_size=20),
       st.binary(max_size=300), starts)
def test_aes_gmac_siv(k0, k1, iv, aad, data, start):
    def call(twin):
        siv = twin.AesGmacSiv(k0, k1)
        buf = bytearray(start) + data
        tag = siv.seal(iv, aad, buf, start, len(data))
        sealed = bytes(buf)
        assert siv.open(tag, aad, buf, start, len(data))
        assert buf[start:] == data
        return tag, sealed
    both(call)


@given(shared, packets, starts, st.sampled_from((0, 1, 3)))
def test_armor_and_back(key, packet, start, cipher):
    packet[18] &= 0x47

    def call(twin):
        buf = bytearray(start) + packet
        twin.PacketCipher(key).armor(buf, start, len(packet), cipher)
        return buf
    wire = both(call)
    for twin in TWINS:
        buf = bytearray(wire)
        assert twin.PacketCipher(key).dearmor(buf, start, len(packet))
        assert buf[start + 27:] == packet[27:]


@given(shared, packets, st.sampled_from((0, 1, 3)), st.data())
def test_any_change_but_of_the_hops_is_seen(key, packet, cipher, data):
    packet[18] &= 0x40
    native.PacketCipher(key).armor(packet, 0, len(packet), cipher)
    bit = data.draw(st.integers(0, 8 * len(packet) - 1).filter(lambda bit: not 144 <= bit < 147))
    packet[bit >> 3] ^= 1 << (bit & 7)
    for twin in TWINS:
        assert not twin.PacketCipher(key).dearmor(bytearray(packet), 0, len(packet))


@given(shared, st.binary(min_size=27, max_size=200))
def test_any_bytes_may_come_in(key, data):
    for twin in TWINS:
        assert not twin.PacketCipher(key).dearmor(bytearray(data), 0, len(data))


@given(shared, st.binary(min_size=28, max_size=120), st.data())
def test_mask_of_hello(key, packet, data):
    start = data.draw(st.integers(28, len(packet)))

    def call(twin):
        buf = bytearray(b"\0") + packet
        twin.PacketCipher(key).mask_hello(buf, 1, start, len(packet) - start)
        return buf
    both(call)


@given(payloads)
@example(bytes(70000)[:65535])
def test_lz4_round_trip(plain):
    for twin in TWINS if len(plain) < 3000 else (native,):
        block = bytearray(len(plain) + len(plain) // 255 + 16)
        length = twin.lz4_compress(plain, 0, len(plain), block, 0, len(block))
        assert length
        for reader in TWINS if len(plain) < 3000 else (native,):
            out = bytearray(len(plain))
            if plain:
                assert reader.lz4_decompress(block, 0, length, out, 0, len(out)) == len(plain)
                assert out == plain


@given(payloads, st.integers(0, 300))
def test_lz4_compressor_keeps_to_its_room(plain, room):
    for twin in TWINS:
        block = bytearray(room + 4)
        length = twin.lz4_compress(plain, 0, len(plain), block, 2, room)
        assert 0 <= length <= room
        assert not any(block[:2]) and not any(block[2 + max(length, room):])


def decoded(twin, block, room):
    out = bytearray(room + 2)
    try:
        return bytes(out[1:1 + twin.lz4_decompress(block, 0, len(block), out, 1, room)])
    except ValueError:
        return None
    finally:
        assert out[0] == 0 and out[-1] == 0


@settings(max_examples=300)
@given(st.binary(max_size=60), st.integers(0, 200))
@example(b"\x11a\x01\x00", 10)
@example(b"\xf0" + b"\xff" * 40, 200)
@example(b"\x1fa\x01\x00" + b"\xff" * 40, 200)
@example(b"\x10a\x00\x00", 10)
@example(b"\x10a\x02\x00", 10)
@example(b"\x10a\x01", 10)
def test_lz4_takes_any_bytes(block, room):
    both(lambda twin: decoded(twin, block, room))


@settings(max_examples=3)
@given(keys, keys, st.binary(max_size=40))
def test_curves(private, point, message):
    both(lambda twin: twin.x25519(private, point))
    public = both(lambda twin: twin.ed25519_public(private))
    signature = both(lambda twin: twin.ed25519_sign(private, message))
    assert both(lambda twin: twin.ed25519_verify(public, message, signature))


@settings(max_examples=12)
@given(keys, st.binary(min_size=64, max_size=64))
@example(b"\xff" * 32, bytes(64))
@example(b"\xec" + b"\xff" * 31, b"\x01" + bytes(63))
def test_any_key_and_signature(public, signature):
    assert not both(lambda twin: twin.ed25519_verify(public, b"message", signature))
