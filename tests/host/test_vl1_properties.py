"""VL1 against any bytes: nothing but counted drops, and bounded memory."""

from hypothesis import given, settings, strategies as st

from mpcore import limits
from mpcore.vl1 import fragment, hello, inet, packet, traversal
from mpcore.vl1.packet import START, Packet

from tests.core.scenes import Segment

ENDPOINT = inet.parse("10.0.0.77/4000")


def settled(**options):
    segment = Segment(leaves=1, options=options)
    segment.run(2000)
    return segment, segment.leaves[0]


SEGMENT, LEAF = settled()
NOW = SEGMENT.wire.now


def header(destination, source):
    return st.builds(lambda i, f, m: i + destination + source + f + m,
                     st.binary(min_size=8, max_size=8), st.binary(min_size=1, max_size=1),
                     st.binary(min_size=8, max_size=8))


DATAGRAMS = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda h, p: h + p, header(LEAF.address, SEGMENT.root.address),
              st.binary(max_size=200)),
    # fragments for us
    st.builds(lambda i, c, p: i + LEAF.address + b"\xff" + c + p,
              st.binary(min_size=8, max_size=8), st.binary(min_size=2, max_size=2),
              st.binary(max_size=100)),
    # HELLOs from strangers
    st.builds(lambda i, a, p: i + LEAF.address + a + bytes(9) + b"\x01" + p,
              st.binary(min_size=8, max_size=8), st.binary(min_size=5, max_size=5),
              st.binary(max_size=200)))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(DATAGRAMS)
def test_any_datagram_waits_or_is_a_counted_drop_at_worst(data):
    before = sum(LEAF.vl1.counters.values())
    LEAF.receive(NOW, ENDPOINT, bytearray(START) + data, START, len(data))
    waiting = [bytes(packet[START:]) for _, _, _, packet in LEAF.vl1.lookup._incoming]
    fragment = data[13:14] == b"\xff" or len(data) > 18 and data[18] & 0x40
    assert (sum(LEAF.vl1.counters.values()) > before or data in waiting
            or fragment and LEAF.vl1._fragments()._slots)
    assert len(LEAF.vl1.lookup._incoming) <= limits.WAITING_IN
    assert len(LEAF.vl1._fragments()._slots) <= limits.REASSEMBLY_SLOTS


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.integers(0, 31), st.booleans(), st.binary(max_size=120))
def test_any_authentic_payload_is_handled(verb, compressed, payload):
    """What the root itself may send us, its MAC right: the worst an insider can do to a parser."""
    root = SEGMENT.root.vl1
    buf = bytearray(START + packet.HEADER) + payload
    n = packet.HEADER + len(payload)
    root.header(buf, START, n, LEAF.address, verb | (packet.COMPRESSED if compressed else 0))
    root.cipher(root.peers[LEAF.address]).armor(buf, START, n, packet.CIPHER_SALSA)
    macs = LEAF.vl1.counters.get("mac", 0)
    LEAF.receive(NOW, SEGMENT.root.port.endpoint, buf, START, n)
    assert LEAF.vl1.counters.get("mac", 0) == macs


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_parsers_raise_only_value_errors(data):
    def hello_in_full():
        greeting = hello.Hello(bytearray(data), 0, len(data))
        greeting.read_rest(data)
        greeting.read_moons(data)

    def rendezvous():
        traversal.parse_rendezvous(Packet(bytearray(28) + data, 0, 28 + len(data)))

    for parse in (hello_in_full, lambda: hello.HelloOk(data, 0, len(data)), rendezvous,
                  lambda: traversal.pushed_endpoints(data, 0, len(data))):
        try:
            parse()
        except ValueError:
            pass


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(limits.MTU + 1, 9928), st.randoms(use_true_random=False),
       st.integers(1400, limits.MTU))
def test_fragments_reassemble_in_any_order(size, random, mtu):
    data = bytearray(START) + random.randbytes(size)
    whole = bytes(data[START:])
    pieces = [(bytes(data[at:at + n]))
              for at, n in fragment.split(data, START, size, mtu)]
    if len(pieces) > limits.MAX_FRAGMENTS or pieces[0][13] == 0xFF:
        return
    order = list(range(len(pieces)))
    random.shuffle(order)
    reassembler = fragment.Reassembler()
    results = []
    for index in order:
        piece = bytearray(START) + pieces[index]
        n = len(pieces[index])
        results.append(reassembler.head(0, ENDPOINT, piece, START, n) if index == 0
                       else reassembler.fragment(0, piece, START, n))
    buf, off, n, _ = results[-1]
    assert bytes(buf[off:off + n]) == whole and results[:-1] == [None] * (len(pieces) - 1)
