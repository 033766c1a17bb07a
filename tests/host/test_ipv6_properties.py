"""Whatever comes from the link over IPv6: nothing is raised, memory stays bounded."""

import struct
import sys
from pathlib import Path

from hypothesis import given, settings, strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "core"))

import ip_link as wire  # noqa: E402
from mpcore import limits  # noqa: E402
from mpcore.ip.tcp import TcpSocket  # noqa: E402
from mpcore.ip.udp import UdpSocket  # noqa: E402

RULES = settings(derandomize=True, deadline=None, max_examples=300)
GROUP = b"\xff\x02" + bytes(9) + b"\x01\xff\0\0\x01"
ALL_NODES = b"\xff\x02" + bytes(13) + b"\x01"
ADDRESSES = st.sampled_from([wire.US6, wire.PEER6, GROUP, ALL_NODES, bytes(16)]) \
    | st.binary(min_size=16, max_size=16)
OURS = st.sampled_from([wire.US6, wire.US6, GROUP, ALL_NODES])
MACS = st.sampled_from([wire.OUR_MAC, wire.PEER_MAC, b"\x33\x33\xff\0\0\1"]) \
    | st.binary(min_size=6, max_size=6)
DATA = st.binary(max_size=60)
PORTS = st.sampled_from([80, 5, 50000]) | st.integers(0, 65535)


def messages():
    """ICMPv6 that passes the checksum."""
    return st.one_of(
        st.builds(wire.icmpv6, st.sampled_from([1, 2, 3, 4, 128, 129, 134, 135, 136]),
                  st.integers(0, 5), DATA, ADDRESSES, OURS, st.sampled_from([64, 255])),
        st.builds(lambda kind, target, options, source, us: wire.icmpv6(
            kind, 0, bytes(4) + target + options, source, us, 255),
            st.sampled_from([135, 136]), ADDRESSES, st.binary(max_size=20), ADDRESSES, OURS),
        st.builds(wire.solicitation, ADDRESSES, ADDRESSES, OURS, MACS),
        st.builds(wire.advertisement, ADDRESSES, st.integers(0, 255), ADDRESSES, OURS, MACS),
        st.builds(lambda kind, code, mtu, quoted: wire.icmpv6(
            kind, code, struct.pack(">I", mtu) + quoted),
            st.sampled_from([1, 2, 4]), st.integers(0, 5), st.integers(0, 2**32 - 1),
            st.builds(wire.tcp, PORTS, PORTS, st.just(0), st.just(0), st.integers(0, 63),
                      source=st.just(wire.US6), destination=st.just(wire.PEER6))))


def packets():
    return st.one_of(
        messages(),
        st.builds(wire.ipv6, st.sampled_from([0, 6, 17, 43, 44, 58, 59, 60]), DATA, ADDRESSES,
                  OURS),
        st.builds(lambda kind, at, identification, data: wire.ipv6(
            44, struct.pack(">BBHI", kind, 0, at, identification) + data),
            st.sampled_from([0, 6, 17, 44, 58, 60]), st.integers(0, 0xFFFF), st.integers(0, 3),
            DATA),
        st.builds(wire.udp, PORTS, PORTS, DATA, ADDRESSES, OURS),
        st.builds(wire.tcp, PORTS, PORTS, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1),
                  st.integers(0, 255), st.integers(0, 65535), DATA, source=ADDRESSES,
                  destination=OURS),
        st.binary(max_size=80))


@RULES
@given(st.lists(st.tuples(packets(), MACS, st.integers(0, 3000)), max_size=30))
def test_any_frames(sequence):
    stack, interface, link = wire.make6()
    listener, datagrams, client = TcpSocket(stack), UdpSocket(stack), TcpSocket(stack)
    listener.bind(None, 80)
    listener.listen(4)
    datagrams.bind(None, 5)
    datagrams.join(0, ALL_NODES)
    client.connect(0, wire.PEER6, 80)
    now = 0
    for payload, mac, pause in sequence:
        now += pause
        wire.give(interface, now, payload, wire.IPV6, mac)
        stack.poll(now)
    assert len(interface.ndp._entries) <= limits.NEIGHBOURS
    if stack.reassembler is not None:
        assert len(stack.reassembler._datagrams) <= limits.REASSEMBLIES
    assert len(stack.tcp.connections) <= 1 + 4
    assert datagrams._queued <= limits.UDP_QUEUE_BYTES
    assert len(link.sent) <= 3 * len(sequence) + 60


@RULES
@given(st.integers(0, 20), st.binary(max_size=40))
def test_a_truncated_or_extended_packet(cut, tail):
    stack, interface, link = wire.make6()
    socket = UdpSocket(stack)
    socket.bind(None, 5)
    packet = wire.udp(9, 5, b"twelve bytes", wire.PEER6, wire.US6)
    wire.give(interface, 0, packet[:len(packet) - cut] + tail, wire.IPV6)
    assert socket.recvfrom() in (None, (b"twelve bytes", wire.PEER6, 9))
