"""Whatever comes from the link: nothing is raised, memory stays bounded, data stays right."""

import sys
from pathlib import Path

from hypothesis import given, settings, strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "core"))

import ip_link as wire  # noqa: E402
from mpcore import limits  # noqa: E402
from mpcore.ip import tcp as T  # noqa: E402
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


STREAM = bytes(i * 31 & 0xFF for i in range(256)) * 40

# Segments near the window, most of them with the true content of the stream.
SEGMENTS = st.lists(st.tuples(
    st.integers(-20, 300) | st.integers(8000, 8400), st.integers(0, 120),
    st.integers(-5, 60) | st.integers(-70000, 70000),
    st.sampled_from([wire.ACK] * 6 + [wire.ACK | wire.FIN, wire.RST, wire.SYN, 0, 0xFF]),
    st.sampled_from([0, 1, 500, 65535]), st.sampled_from(["read", "send", "none", "poll"])),
    max_size=40)


@RULES
@given(SEGMENTS)
def test_any_segments_into_a_connection(segments):
    stack, interface, link = wire.make()
    stack.tcp.initial_sequence = lambda now, key: ISS
    listener = TcpSocket(stack)
    listener.bind(None, PORT)
    listener.listen(1)
    wire.give(interface, 0, wire.tcp(PEER_PORT, PORT, IRS, 0, wire.SYN))
    wire.give(interface, 0, wire.tcp(PEER_PORT, PORT, IRS + 1, ISS + 1, wire.ACK))
    socket = listener.accept()
    received, now, written = b"", 0, 0
    for seq, n, ack, flags, window, action in segments:
        now += 7
        data = STREAM[max(seq - 1, 0):max(seq - 1, 0) + n] if seq > 0 else b""
        wire.give(interface, now, wire.tcp(PEER_PORT, PORT, IRS + seq, ISS + ack, flags, window,
                                           data))
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
            assert len(socket._rx.gaps) <= limits.TCP_GAPS
            assert 0 <= socket._rcv_edge - socket.rcv_nxt <= socket._rx.size - socket._rx.used
    assert STREAM.startswith(received)
    assert len(stack.tcp.connections) <= 1
