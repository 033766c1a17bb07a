"""Whatever comes from the link: nothing is raised, memory stays bounded, data stays right."""

import sys
from pathlib import Path

from hypothesis import given, settings, strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "core"))

import ip_link as wire  # noqa: E402
from mpcore import limits  # noqa: E402
from mpcore.ip import options, tcp as T  # noqa: E402
from mpcore.ip.ring import ReceiveRing  # noqa: E402
from mpcore.ip.scoreboard import Scoreboard  # noqa: E402
from mpcore.ip.tcp import TcpSocket  # noqa: E402
from mpcore.ip.udp import UdpSocket  # noqa: E402

RULES = settings(derandomize=True, deadline=None, max_examples=300)
PORT, PEER_PORT, ISS, IRS = 80, 50000, 0xFFFFFF00, 0xFFFFFFF0
ADDRESSES = st.sampled_from([wire.US, wire.PEER, bytes((10, 0, 0, 255)), b"\xff" * 4, bytes(4)]) \
    | st.binary(min_size=4, max_size=4)
MACS = st.sampled_from([wire.OUR_MAC, wire.PEER_MAC, wire.BROADCAST_MAC]) \
    | st.binary(min_size=6, max_size=6)
PORTS = st.sampled_from([PORT, 5, PEER_PORT]) | st.integers(0, 65535)
DATA = st.binary(max_size=60)


def ip_packets():
    """Packets that pass the first checks, to reach what lies behind them."""
    return st.one_of(
        st.builds(wire.ipv4, st.sampled_from([1, 6, 17, 47]), DATA, ADDRESSES, ADDRESSES,
                  st.integers(0, 3), st.integers(0, 0x3FFF)),
        st.builds(wire.udp, PORTS, PORTS, DATA, ADDRESSES, ADDRESSES),
        st.builds(wire.icmp, st.sampled_from([0, 3, 8, 13]), st.integers(0, 5), DATA, ADDRESSES,
                  ADDRESSES),
        st.builds(wire.icmp, st.just(3), st.integers(0, 5),
                  st.builds(lambda packet: bytes(4) + packet,
                            st.builds(wire.tcp, PORTS, PORTS, st.just(ISS), st.just(0),
                                      st.integers(0, 63), source=st.just(wire.US),
                                      destination=st.just(wire.PEER)))),
        st.builds(wire.tcp, PORTS, PORTS, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1),
                  st.integers(0, 255), st.integers(0, 65535), DATA,
                  st.binary(max_size=10).map(lambda o: o[:len(o) & ~3]), ADDRESSES, ADDRESSES))


def frames():
    return st.one_of(
        st.tuples(st.sampled_from([wire.IPV4, wire.ARP, 0x86DD]), st.binary(max_size=80)),
        st.tuples(st.just(wire.IPV4), ip_packets()),
        st.tuples(st.just(wire.ARP), st.builds(wire.arp, st.integers(0, 3), MACS, ADDRESSES, MACS,
                                               ADDRESSES)))


@RULES
@given(st.lists(st.tuples(frames(), MACS, st.integers(0, 3000)), max_size=30))
def test_any_frames(sequence):
    stack, interface, link = wire.make()
    listener, datagrams, client = TcpSocket(stack), UdpSocket(stack), TcpSocket(stack)
    listener.bind(None, PORT)
    listener.listen(4)
    datagrams.bind(None, 5)
    client.connect(0, wire.PEER, 80)
    now = 0
    for (ethertype, payload), mac, pause in sequence:
        now += pause
        wire.give(interface, now, payload, ethertype, mac)
        stack.poll(now)
    assert len(interface.arp._entries) <= limits.NEIGHBOURS
    if stack.reassembler is not None:
        assert len(stack.reassembler._datagrams) <= limits.REASSEMBLIES
    assert len(stack.tcp.connections) <= 1 + 4
    assert datagrams._queued <= limits.UDP_QUEUE_BYTES
    assert len(link.sent) <= 3 * len(sequence) + 60


@RULES
@given(st.integers(0, 20), st.binary(max_size=40))
def test_a_truncated_or_extended_packet(cut, tail):
    stack, interface, link = wire.make()
    socket = UdpSocket(stack)
    socket.bind(None, 5)
    packet = wire.udp(9, 5, b"twelve bytes")
    wire.give(interface, 0, packet[:len(packet) - cut] + tail)
    assert socket.recvfrom() in (None, (b"twelve bytes", wire.PEER, 9))


@RULES
@given(st.binary(max_size=40), st.integers(0, 9))
def test_any_options(data, before):
    buf = memoryview(bytes(before) + data)
    for kind, at in options.read(buf, before, len(buf)).items():
        size = buf[at - 1]
        assert buf[at - 2] == kind and before + 2 <= at and at - 2 + size <= len(buf)
        if kind == options.SACK:
            assert len(options.read_sacks(buf, at)) == (size - 2) // 8 > 0
    offer = options.read_offer(buf, before, len(buf), 9)
    assert 64 <= offer.mss <= 65535 and (offer.scale is None or 0 <= offer.scale <= 14)


RANGES = st.lists(st.tuples(st.integers(1, 400), st.integers(1, 60)), max_size=60)


@RULES
@given(RANGES, st.integers(-10, 40), st.integers(0, 2**32 - 1))
def test_sacks_are_read_as_they_were_written(ranges, room, base):
    ranges = [(start, start + n) for start, n in ranges]
    buf = bytearray(48)
    end = options.write_sacks(buf, 4, room, base, ranges)
    assert end - 4 <= max(room, 0)
    found = options.read(buf, 4, end)
    read = options.read_sacks(buf, found[options.SACK]) if found else []
    assert [((low - base) % 2**32, (high - base) % 2**32) for low, high in read] \
        == ranges[:max(room - 4, 0) // 8]


STEPS = st.lists(st.tuples(st.sampled_from(["send", "sack", "sack", "ack", "find", "repeat",
                                            "timeout"]),
                           st.integers(0, 400), st.integers(1, 60), st.integers(0, 20)),
                 max_size=60)


@RULES
@given(STEPS)
def test_the_scoreboard_knows_what_has_become_of_each_byte(steps):
    una, highest, now, has = 1, 200, 50, set()
    board = Scoreboard(una, highest, 0, 30, 0, 4096)
    sent_ms = dict.fromkeys(range(una, highest), 0)
    for action, start, n, ms in steps:
        now += ms
        if action == "send":
            board.sent(now, highest, highest + n)
            sent_ms.update(dict.fromkeys(range(highest, highest + n), now))
            highest += n
        elif action == "sack" and una <= start:
            if board.take(now, [(start, start + n)], una, una, una, highest):
                has |= set(range(start, start + n))
        elif action == "ack" and una < start <= highest:
            una = start
            board.advance(now, una)
        elif action == "find":
            board.find_lost(now, 20, ms & 1)
            assert board.due_ms is None or board.due_ms > now
        elif action == "repeat" and (lost := board.first_lost(20)):
            assert una <= lost[0] < lost[1] <= min(highest, lost[0] + 20)
            assert not has & set(range(*lost))
            board.sent_again(now, *lost)
            sent_ms.update(dict.fromkeys(range(*lost), now))
        elif action == "timeout" and una < highest:
            board.timed_out(now)
            if una in has:
                has = set()         # the peer takes back its word
            assert board.first_lost(20)[0] == una
        assert [run[0] for run in board.runs] + [highest] == (
            [una] + [run[1] for run in board.runs] if una < highest else [highest])
        known = {i: run for run in board.runs for i in range(run[0], run[1])}
        assert {i for i in known if known[i][3] & 4} == {i for i in has if i >= una}
        assert board.away() == sum(1 for run in known.values() if run[3] & 6)
        assert all(known[i][2] >= sent_ms[i] for i in known)
        assert len(board.runs) <= limits.TCP_RUNS + 3


@RULES
@given(st.lists(st.tuples(st.integers(0, 250), st.integers(1, 40)), max_size=60))
def test_a_ring_puts_what_comes_in_any_order_in_order(pieces):
    ring, expected, data = ReceiveRing(256, 128), 0, bytes(range(256))
    kept = set()
    for position, n in pieces:
        n = min(n, 256 - position)
        if position + n <= expected:
            continue
        start = max(position, expected)
        end = ring.store(expected, start, memoryview(data), start, position + n - start)
        if end is not None:
            kept |= set(range(start, position + n))
            expected = end
    assert expected not in kept
    held = bytearray(ring.used)
    ring.read(0, held, 0, ring.used)
    assert held == data[:expected] and len(ring.gaps) <= limits.TCP_GAPS
    assert {i for low, high in ring.gaps for i in range(low, high)} == {
        i for i in kept if i > expected}


STREAM = bytes(i * 31 & 0xFF for i in range(256)) * 40


def sack(blocks):
    return b"\1\1\5" + bytes([2 + 8 * len(blocks)]) + b"".join(
        ((ISS + low) % 2**32).to_bytes(4, "big") + ((ISS + low + n) % 2**32).to_bytes(4, "big")
        for low, n in blocks)


OFFERS = st.sampled_from([b"", b"\1\1\4\2", b"\1\3\3\4", b"\1\1\x08\x0a\0\0\0\1\0\0\0\0",
                          b"\4\2\x08\x0a\0\0\0\1\0\0\0\0\1\3\3\1"])
BLOCKS = st.lists(st.tuples(st.integers(-5, 60), st.integers(0, 60)), min_size=1, max_size=4)
OPTIONS = st.just(b"") | st.binary(max_size=40).map(lambda data: data[:len(data) & ~3]) \
    | BLOCKS.map(sack) \
    | st.integers(0, 9).map(lambda value: b"\1\1\x08\x0a\0\0\0" + bytes([value]) + bytes(4))

# Segments near the window, most of them with the true content of the stream.
SEGMENTS = st.lists(st.tuples(
    st.integers(-20, 300) | st.integers(8000, 8400), st.integers(0, 120),
    st.integers(-5, 60) | st.integers(-70000, 70000),
    st.sampled_from([wire.ACK] * 6 + [wire.ACK | wire.FIN, wire.RST, wire.SYN, 0, 0xFF]),
    st.sampled_from([0, 1, 500, 65535]), st.sampled_from(["read", "send", "none", "poll"]),
    OPTIONS), max_size=40)


@RULES
@given(SEGMENTS, OFFERS, st.sampled_from([None, 100000]))
def test_any_segments_into_a_connection(segments, offer, ring):
    stack, interface, link = wire.make()
    stack.tcp.initial_sequence = lambda now, key: ISS
    listener = TcpSocket(stack)
    listener.bind(None, PORT)
    listener.listen(1)
    listener.send_ring = listener.receive_ring = ring or limits.TCP_RECEIVE_RING
    wire.give(interface, 0, wire.tcp(PEER_PORT, PORT, IRS, 0, wire.SYN, options=offer))
    stamps = b"\1\1\x08\x0a\0\0\0\1\0\0\0\0" if ring and b"\x08\x0a" in offer else b""
    wire.give(interface, 0, wire.tcp(PEER_PORT, PORT, IRS + 1, ISS + 1, wire.ACK, options=stamps))
    socket = listener.accept()
    received, now, written = b"", 0, 0
    for seq, n, ack, flags, window, action, options_bytes in segments:
        now += 7
        data = STREAM[max(seq - 1, 0):max(seq - 1, 0) + n] if seq > 0 else b""
        wire.give(interface, now, wire.tcp(PEER_PORT, PORT, IRS + seq, ISS + ack, flags, window,
                                           data, options_bytes or stamps))
        if action == "read" and not socket.error:
            received += socket.recv(now, 50) or b""
        elif action == "send" and socket.state in (T.ESTABLISHED, T.CLOSE_WAIT):
            written += socket.send(now, b"out" * 20)
        elif action == "poll":
            now += 300
            stack.poll(now)
        assert len(link.take()) <= 10
        assert socket.state == T.CLOSED or 0 <= socket.snd_una <= socket.snd_nxt <= written + 2
        if socket._rx is not None and socket.state != T.CLOSED:
            assert len(socket._rx.gaps) <= max(limits.TCP_GAPS, 6)
            assert socket._board is None or len(socket._board.runs) <= limits.TCP_RUNS + 3
            assert -1 <= socket._rcv_edge - socket.rcv_nxt <= socket._rx.size - socket._rx.used
    assert STREAM.startswith(received)
    assert len(stack.tcp.connections) <= 1
