"""Splitting and reassembly against what real nodes sent and accepted (packets.json)."""

from mpcore import limits
from mpcore.vl1 import fragment
from mpcore.vl1.packet import START

from tests.core.support import raises, vectors

HERE = b"\x7f\0\0\1\0\1"


def feed(reassembler, datagram, now=0):
    """Give one datagram to a reassembler; returns the whole packet's bytes when it is complete."""
    buf = bytearray(START) + datagram
    if fragment.is_fragment(buf, START):
        whole = reassembler.fragment(now, buf, START, len(datagram))
    else:
        whole = reassembler.head(now, HERE, buf, START, len(datagram))
    if whole is None:
        return None
    buf, off, n, endpoint = whole
    assert endpoint == HERE
    return bytes(buf[off:off + n])


def split(data, mtu):
    buf = bytearray(START) + data
    return [bytes(buf[at:at + n]) for at, n in fragment.split(buf, START, len(data), mtu)]


def cases():
    for case in vectors("packets.json")["fragmented"]:
        if case.get("assembled"):
            yield case, [bytes.fromhex(d) for d in case["datagrams"]]


def test_splits_as_the_real_implementation_does():
    seen = 0
    for case, datagrams in cases():
        assert split(bytes.fromhex(case["assembled"]), case["mtu"]) == datagrams
        seen += 1
    assert seen


def test_reassembles_in_every_order_the_real_one_accepts():
    seen = 0
    for case, datagrams in cases():
        if not case["deliverable"]:
            continue
        for order in case["orders"]:
            reassembler = fragment.Reassembler()
            whole = []
            for index in order["order"]:
                packet = feed(reassembler, datagrams[index])
                if packet is not None:
                    whole.append(packet)
            if order["delivered"]:
                assert whole[0] == bytes.fromhex(case["assembled"])
            else:
                assert not whole
            seen += 1
    assert seen


def test_a_packet_of_more_than_seven_pieces_never_completes():
    datagrams = split(bytes(9929), limits.MTU)
    assert len(datagrams) == 8
    reassembler = fragment.Reassembler()
    assert feed(reassembler, datagrams[0]) is None
    for datagram in datagrams[1:]:
        raises(ValueError, feed, reassembler, datagram)


def test_malformed_fragments_are_refused():
    piece = bytearray(split(bytes(range(200)) * 15, limits.MTU)[1])
    for counts in (0x00, 0x11, 0x81, 0xF1, 0x30, 0x33, 0x37):
        piece[14] = counts
        raises(ValueError, feed, fragment.Reassembler(), bytes(piece))
    piece[14] = 0x31
    raises(ValueError, feed, fragment.Reassembler(), bytes(piece[:16]))


def test_a_changed_count_is_refused():
    datagrams = split(bytes(3000), limits.MTU)
    reassembler = fragment.Reassembler()
    feed(reassembler, datagrams[1])
    changed = bytearray(datagrams[2])
    changed[14] = 0x42
    raises(ValueError, feed, reassembler, bytes(changed))


def test_slots_are_bounded_and_the_oldest_gives_way():
    reassembler = fragment.Reassembler(slots=2)
    packets = [bytes([i]) * 2000 for i in range(3)]
    heads = [split(p, limits.MTU)[0] for p in packets]
    tails = [split(p, limits.MTU)[1] for p in packets]
    for now, head in enumerate(heads):
        feed(reassembler, head, now)
    assert feed(reassembler, tails[2], 3) == packets[2]
    assert feed(reassembler, tails[1], 3) == packets[1]
    assert feed(reassembler, tails[0], 3) is None


def test_a_stale_slot_gives_way_before_a_fresh_one():
    reassembler = fragment.Reassembler(slots=2)
    packets = [bytes([i]) * 2000 for i in range(3)]
    pieces = [split(p, limits.MTU) for p in packets]
    feed(reassembler, pieces[0][0], 0)
    feed(reassembler, pieces[1][0], 5000)
    feed(reassembler, pieces[2][0], 5001)
    assert feed(reassembler, pieces[1][1], 5002) == packets[1]
    assert feed(reassembler, pieces[2][1], 5002) == packets[2]


def test_a_lost_head_leaves_nothing():
    reassembler = fragment.Reassembler()
    assert feed(reassembler, split(bytes(3000), limits.MTU)[1]) is None
