"""IPv6, ICMPv6, NDP, and UDP and TCP over them: one frame in, exact frames out."""

import errno
import struct

from ip_link import (ACK, ICMPV6, IPV6, OUR_MAC, PEER, PEER6, PEER_MAC, PSH, SYN, UDP, US, US6,
                     Link, advertisement, give, icmpv6, ipv6, make, make6, read_ipv6, read_tcp,
                     read_udp, solicitation, tcp, udp)
from mpcore import limits
from mpcore.ip import tcp as T
from mpcore.ip.events import ERROR, READ, WRITE
from mpcore.ip.tcp import TcpSocket
from mpcore.ip.udp import UdpSocket
from support import raises

LINK_LOCAL = b"\xfe\x80\0\0\0\0\0\0\0\0\0\xff\xfe\0\0\x01"      # of OUR_MAC
NOBODY6 = bytes(16)
ALL_NODES = b"\xff\x02" + bytes(13) + b"\x01"
ALL_NODES_MAC = b"\x33\x33\0\0\0\x01"
OUR_GROUP_MAC = b"\x33\x33\xff\0\0\x01"
PEER_GROUP = b"\xff\x02" + bytes(9) + b"\x01\xff\0\0\x02"
PEER_GROUP_MAC = b"\x33\x33\xff\0\0\x02"
DATA = bytes([i & 0xFF for i in range(5000)])


def udp_socket(stack, port, ip=None):
    socket = UdpSocket(stack)
    socket.bind(ip, port)
    return socket


# --- addresses ---

def test_without_an_address_there_is_no_ipv6():
    stack, interface, link = make()
    assert interface.ndp is None and list(stack.families) == [4]
    give(interface, 0, udp(9, 5, b"x", PEER6, US6), IPV6)
    assert stack.counters == {"ethertype": 1}
    socket = udp_socket(stack, 5)
    assert raises(OSError, socket.sendto, 0, b"x", PEER6, 9).errno == errno.EHOSTUNREACH
    assert not stack.echo(0, PEER6, 1, 1, b"", None)


def test_the_link_local_address_comes_with_the_first():
    stack, interface, link = make6()
    assert interface.addresses == {US6: 64, LINK_LOCAL: 64}
    peer = b"\xfe\x80" + bytes(13) + b"\x09"
    assert stack.route(peer).source == LINK_LOCAL
    assert stack.route(PEER6).source == US6
    interface.set_routes([(NOBODY6, 0, PEER6)])
    assert stack.route(b"\x20" + bytes(15)).source == US6
    interface.set_addresses(1, [(US, 24)])
    assert interface.addresses == {US: 24} and interface.groups == {}
    assert stack.route(PEER6) is None


def test_families_do_not_mix():
    stack, interface, link = make6()
    interface.set_addresses(0, [(US, 24), (US6, 64)])
    four, six = udp_socket(stack, 5, US), udp_socket(stack, 5, US6)
    assert raises(OSError, four.sendto, 0, b"x", PEER6, 9).errno == errno.EHOSTUNREACH
    assert raises(OSError, six.sendto, 0, b"x", PEER, 9).errno == errno.EHOSTUNREACH
    socket = TcpSocket(stack)
    socket.bind(US, 0)
    assert raises(OSError, socket.connect, 0, PEER6, 80).errno == errno.EHOSTUNREACH


def test_a_larger_mtu_is_taken_over_with_new_addresses():
    stack, interface, link = make6()
    link.mtu = 9000
    interface.set_addresses(0, [(US6, 64)])
    udp_socket(stack, 5).sendto(0, DATA, PEER6, 9)
    assert read_udp(link.take()[0][3])[4] == DATA


# --- neighbours ---

def test_a_solicitation_for_us_is_answered_and_teaches_the_sender():
    stack, interface, link = make6(learn=False)
    for target, mac in ((US6, OUR_GROUP_MAC), (LINK_LOCAL, b"\x33\x33\xff\0\0\x01")):
        give(interface, 5, solicitation(target), IPV6, mac)
        assert link.take() == [(5, PEER_MAC, IPV6,
                                advertisement(target, 0x60, target, PEER6, OUR_MAC))]
    udp_socket(stack, 5).sendto(6, b"x", PEER6, 9)
    assert [frame[:3] for frame in link.take()] == [(6, PEER_MAC, IPV6)]
    # One without its MAC, as probes to us alone may be, is answered as far as the sender is known.
    give(interface, 7, solicitation(US6, destination=US6, mac=b""), IPV6)
    assert link.take()[0][:2] == (7, PEER_MAC)
    stranger = PEER6[:15] + b"\x03"
    give(interface, 7, solicitation(US6, stranger, US6, b""), IPV6)
    assert link.take() == [] and stack.counters == {}


def test_who_wants_our_address_is_told():
    stack, interface, link = make6()
    give(interface, 5, solicitation(US6, NOBODY6, mac=b""), IPV6, OUR_GROUP_MAC)
    assert link.take() == [(5, ALL_NODES_MAC, IPV6,
                            advertisement(US6, 0x20, US6, ALL_NODES, OUR_MAC))]


def test_packets_wait_for_the_answer_to_a_solicitation():
    stack, interface, link = make6(learn=False)
    socket = udp_socket(stack, 5)
    socket.sendto(100, b"one", PEER6, 9)
    socket.sendto(100, b"two", PEER6, 9)
    question = solicitation(PEER6, US6, mac=OUR_MAC)
    assert link.take() == [(100, PEER_GROUP_MAC, IPV6, question)]
    assert stack.poll(1100) == 2100
    assert link.take() == [(1100, PEER_GROUP_MAC, IPV6, question)]
    give(interface, 1150, advertisement(PEER6), IPV6)
    sent = link.take()
    assert [frame[:3] for frame in sent] == [(1150, PEER_MAC, IPV6)] * 2
    assert [read_udp(frame[3])[4] for frame in sent] == [b"one", b"two"]
    assert stack.poll(2100) is None


def test_who_does_not_answer_is_given_up():
    stack, interface, link = make6(learn=False)
    socket = TcpSocket(stack)
    socket.connect(0, PEER6, 80)
    now = 0
    while now is not None:
        last, now = now, stack.poll(now)
    assert last == 5000 and socket.error == errno.EHOSTUNREACH
    assert [frame[1] for frame in link.take()] == [PEER_GROUP_MAC] * 5


def test_the_answer_may_come_before_transmit_returns():
    class Emulating(Link):
        def transmit(self, now, destination_mac, ethertype, buf, off, n):
            super().transmit(now, destination_mac, ethertype, buf, off, n)
            if destination_mac == PEER_GROUP_MAC:
                give(interface, now, advertisement(PEER6), IPV6)

    stack, interface, link = make6(Emulating(), learn=False)
    socket = udp_socket(stack, 5)
    socket.sendto(0, DATA, PEER6, 9)                    # two fragments
    sent = link.take()
    assert [frame[1] for frame in sent] == [PEER_GROUP_MAC, PEER_MAC, PEER_MAC]
    socket.sendto(60000, b"fresh enough", PEER6, 9)     # asks again, and goes
    sent = link.take()
    assert [frame[1] for frame in sent] == [PEER_GROUP_MAC, PEER_MAC]
    assert read_udp(sent[1][3])[4] == b"fresh enough"
    assert stack.poll(61000) is None and link.take() == []


def test_an_advertisement_changes_a_mac_only_when_it_says_so():
    stack, interface, link = make6()
    other = b"\x02\0\0\0\0\x07"
    socket = udp_socket(stack, 5)

    def way(flags, mac, unicast=True):
        give(interface, 1, advertisement(PEER6, flags, PEER6, US6 if unicast else ALL_NODES, mac),
             IPV6, OUR_MAC if unicast else ALL_NODES_MAC)
        socket.sendto(1, b"x", PEER6, 9)
        return link.take()[-1][1]

    assert way(0x40, other) == PEER_MAC
    assert way(0x20, other, False) == other
    assert way(0x60, PEER_MAC) == PEER_MAC
    assert way(0x60, b"") == PEER_MAC
    # Nobody is learned by an advertisement that was not asked for.
    stranger = PEER6[:15] + b"\x03"
    give(interface, 2, advertisement(stranger), IPV6)
    socket.sendto(2, b"x", stranger, 9)
    assert link.take()[-1][1] == b"\x33\x33\xff\0\0\x03"


def test_bad_ndp_is_counted():
    stack, interface, link = make6(learn=False)
    good = solicitation(US6)
    bad = (
        solicitation(US6, hop_limit=254),
        icmpv6(135, 1, good[44:], hop_limit=255),
        icmpv6(135, 0, bytes(4) + US6[:15], hop_limit=255),
        icmpv6(135, 0, bytes(4) + ALL_NODES, hop_limit=255),
        icmpv6(135, 0, bytes(4) + US6 + b"\x01\x00" + PEER_MAC, hop_limit=255),
        icmpv6(135, 0, bytes(4) + US6 + b"\x01\x02" + PEER_MAC, hop_limit=255),
        icmpv6(135, 0, bytes(4) + US6 + b"\x0e\x01\0", hop_limit=255),
        solicitation(US6, mac=b"\x33\x33\0\0\0\x01"),
    )
    for packet in bad:
        give(interface, 0, packet, IPV6)
    give(interface, 0, advertisement(PEER6, 0x60, PEER6, ALL_NODES), IPV6, ALL_NODES_MAC)
    assert stack.counters == {"ndp_malformed": len(bad) + 1}
    give(interface, 0, advertisement(US6), IPV6)
    assert stack.counters["ndp_conflict"] == 1 and link.take() == []


# --- IPv6 ---

def chain(*headers):
    """Extension headers and what they hold: (kind, bytes behind the next header's kind)..."""
    kinds = [kind for kind, _ in headers] + [UDP]
    payload = b"".join([bytes((kinds[i + 1],)) + headers[i][1] for i in range(len(headers))])
    return ipv6(kinds[0], payload + udp(9, 5, b"data", PEER6, US6)[40:])


PADDING = b"\0\x01\x04\0\0\0\0"
ROUTER_ALERT = b"\0\x05\x02\0\0\0\0"
ATOMIC = b"\0\0\0\0\0\0\x07"


def test_extension_headers_are_passed():
    stack, interface, link = make6()
    socket = udp_socket(stack, 5)
    for headers in ([(0, PADDING)], [(60, PADDING)], [(0, ROUTER_ALERT), (60, PADDING)],
                    [(0, b"\1\x01\x0c" + bytes(12))], [(43, b"\0\4\0\0\0\0\0")], [(44, ATOMIC)],
                    [(60, PADDING)] * 7):
        give(interface, 0, chain(*headers), IPV6)
        assert socket.recvfrom() == (b"data", PEER6, 9), headers
    assert stack.counters == {}


def test_bad_packets_are_counted_by_cause():
    stack, interface, link = make6()
    good = udp(9, 5, b"data", PEER6, US6)
    other = US6[:15] + b"\x09"
    causes = (
        (good[:39], "ip_malformed"), (good[:-1], "ip_malformed"),
        (b"\x40" + good[1:], "ip_malformed"),
        (udp(9, 5, b"x", PEER6, other), "ip_not_ours"),
        (udp(9, 5, b"x", PEER6, PEER_GROUP), "ip_not_ours"),
        (udp(9, 5, b"x", ALL_NODES, US6), "ip_bad_address"),
        (ipv6(47, b"gre"), "ip_protocol"), (ipv6(1, bytes(8)), "ip_protocol"),
        (ipv6(0, b"\x11"), "ip_malformed"), (ipv6(60, b"\x11\x01" + bytes(8)), "ip_malformed"),
        (ipv6(44, b"\x11" + bytes(6)), "ip_malformed"),
        (chain(*[(60, PADDING)] * 8), "ip_malformed"),
        (chain((43, b"\0\0\1\0\0\0\0")), "ip_routed"),
        (chain((60, b"\0\x45\4\0\0\0\0")), "ip_option"),
        (chain((60, b"\0\1\5\0\0\0\0")), "ip_option"),
        (chain((60, b"\0\1\3\0\0\0\1")), "ip_option"),
        (ipv6(UDP, b"1234567"), "udp_malformed"),
        (good[:46] + b"\0\0" + good[48:], "udp_checksum"),
        (good[:46] + b"\1\1" + good[48:], "udp_checksum"),
        (ipv6(ICMPV6, b"1234567"), "icmp_malformed"),
        (ipv6(ICMPV6, b"12345678"), "icmp_checksum"),
        (icmpv6(130, 0, bytes(20)), "icmp_type"), (icmpv6(134, 0, bytes(12)), "icmp_type"),
        (icmpv6(129, 0, bytes(4)), "icmp_unexpected"),
        (icmpv6(1, 4, bytes(4)), "icmp_malformed"), (icmpv6(2, 0, bytes(44)), "icmp_malformed"),
    )
    for packet, cause in causes:
        before = stack.counters.get(cause, 0)
        give(interface, 0, packet, IPV6)
        assert stack.counters.get(cause, 0) == before + 1, (cause, stack.counters)
    give(interface, 0, good, IPV6, ALL_NODES_MAC)
    assert stack.counters["ip_bad_address"] == 2
    counters = dict(stack.counters)
    give(interface, 0, ipv6(59, b"ignored"), IPV6)
    assert stack.counters == counters and link.take() == []


def test_padding_behind_a_packet_is_ignored():
    stack, interface, link = make6()
    socket = udp_socket(stack, 5)
    give(interface, 0, udp(9, 5, b"data", PEER6, US6) + b"padding", IPV6)
    assert socket.recvfrom() == (b"data", PEER6, 9)


def fragments(payload, sizes, identification=7, before=b""):
    """Fragments of a UDP datagram; `before`: another header before the fragments'."""
    at = 0
    for size in sizes:
        more = at + size < len(payload)
        head = struct.pack(">BBHI", UDP, 0, at | more, identification)
        yield ipv6(60 if before else 44, before + head + payload[at:at + size])
        at += size


def test_fragments_in_any_order_become_one_datagram():
    stack, interface, link = make6()
    socket = udp_socket(stack, 5)
    data = DATA[:4000]
    payload = udp(9, 5, data, PEER6, US6)[40:]
    for before in (b"", b"\x2c" + PADDING):
        parts = list(fragments(payload, (1600, 800, 1608), before=before))
        for order in ((0, 1, 2), (2, 1, 0), (1, 0, 1, 2), (2, 0, 1)):
            for i in order:
                assert socket.recvfrom() is None
                give(interface, 0, parts[i], IPV6)
            assert socket.recvfrom() == (data, PEER6, 9)
    assert stack.counters == {}


def test_both_families_share_the_room_for_fragments():
    stack, interface, link = make6()
    payload = udp(9, 5, DATA[:2000], PEER6, US6)[40:]
    for i in range(limits.REASSEMBLIES + 1):
        give(interface, i, list(fragments(payload, (1600, 408), i))[0], IPV6)
    assert stack.counters == {"ip_reassembly_evicted": 1}
    give(interface, 9, ipv6(44, struct.pack(">BBHI", UDP, 0, 1, 2) + payload[8:1608]), IPV6)
    assert stack.counters["ip_fragment_malformed"] == 1     # overlaps
    give(interface, 9, ipv6(44, struct.pack(">BBHI", UDP, 0, 1, 9) + bytes(9)), IPV6)
    give(interface, 9, ipv6(44, struct.pack(">BBHI", UDP, 0, limits.REASSEMBLY_BYTES, 9) + b"x"),
         IPV6)
    assert stack.counters["ip_fragment_malformed"] == 3
    now = 10
    while now is not None:
        now = stack.poll(now)
    assert stack.counters["ip_reassembly_timeout"] == limits.REASSEMBLIES - 1


def test_a_large_datagram_leaves_in_fragments():
    stack, interface, link = make6()
    udp_socket(stack, 5).sendto(0, DATA, PEER6, 9)
    sent = [read_ipv6(frame[3]) for frame in link.take()]
    assert [(part[0], len(part[4])) for part in sent] == [(44, 2760), (44, 2264)]
    heads = [struct.unpack(">BBHI", part[4][:8]) for part in sent]
    assert [head[:3] for head in heads] == [(UDP, 0, 1), (UDP, 0, 2752)]
    assert heads[0][3] == heads[1][3]
    whole = b"".join([part[4][8:] for part in sent])
    assert read_udp(ipv6(UDP, whole, US6, PEER6)) == (US6, 5, PEER6, 9, DATA)


# --- ICMPv6 ---

def test_echo_is_answered():
    stack, interface, link = make6()
    for data in (b"", b"odd", DATA[:2000]):
        give(interface, 3, icmpv6(128, 0, b"\x12\x34\0\5" + data), IPV6)
        assert link.take() == [(3, PEER_MAC, IPV6,
                                icmpv6(129, 0, b"\x12\x34\0\5" + data, US6, PEER6))]
    give(interface, 3, icmpv6(128, 0, b"\x12\x34\0\6", PEER6, ALL_NODES), IPV6, ALL_NODES_MAC)
    assert link.take()[0][3] == icmpv6(129, 0, b"\x12\x34\0\6", US6, PEER6)


def test_ping():
    stack, interface, link = make6()
    replies = []
    assert stack.echo(0, PEER6, 0x1234, 1, b"ping", lambda *got: replies.append(got))
    assert link.take()[0][3] == icmpv6(128, 0, b"\x12\x34\0\1ping", US6, PEER6)
    give(interface, 20, icmpv6(129, 0, b"\x12\x34\0\1ping"), IPV6)
    assert replies == [(20, PEER6, 1, b"ping")]
    stack.echo(0, PEER6, 7, 7, b"", lambda *got: replies.append(got))
    give(interface, 40, icmpv6(1, 3, bytes(4) + link.take()[0][3]), IPV6)
    assert replies[-1] == (40, PEER6, 7, None)
    stack.echo(0, ALL_NODES, 7, 8, b"", lambda *got: replies.append(got))
    assert link.take()[0][1] == ALL_NODES_MAC
    give(interface, 50, icmpv6(129, 0, b"\0\7\0\x08"), IPV6)
    assert replies[-1] == (50, PEER6, 8, b"")
    stack.echo(0, US6, 7, 9, b"me", lambda *got: replies.append(got))
    stack.poll(60)
    stack.poll(60)
    assert replies[-1] == (60, US6, 9, b"me") and link.take() == []


def test_a_closed_port_is_reported():
    stack, interface, link = make6()
    for packet in (udp(9, 5, b"nobody there", PEER6, US6), udp(9, 5, DATA[:2000], PEER6, US6)):
        give(interface, 3, packet, IPV6)
        assert link.take()[0][3] == icmpv6(1, 4, bytes(4) + packet[:1232], US6, PEER6)


def test_an_unreachable_reaches_the_connected_socket():
    stack, interface, link = make6()
    socket = udp_socket(stack, 5)
    socket.connect(PEER6, 9)
    for data, kind, code, error in ((b"x", 1, 4, errno.ECONNREFUSED),
                                    (b"x", 4, 1, errno.ECONNREFUSED),
                                    (b"x", 1, 0, errno.EHOSTUNREACH),
                                    (b"x", 3, 0, errno.EHOSTUNREACH),
                                    (DATA, 1, 4, errno.ECONNREFUSED)):
        socket.sendto(0, data, PEER6, 9)
        quoted = link.take()[0][3][:1232]
        give(interface, 1, icmpv6(kind, code, bytes(4) + quoted), IPV6)
        assert socket.events() == READ | WRITE | ERROR
        assert raises(OSError, socket.recvfrom).errno == error


def test_datagrams_fit_a_path_that_was_too_small():
    stack, interface, link = make6()
    socket = udp_socket(stack, 5)
    socket.sendto(0, DATA[:2700], PEER6, 9)
    quoted = link.take()[0][3][:1232]
    give(interface, 1, icmpv6(2, 0, struct.pack(">I", 1400) + quoted), IPV6)
    socket.sendto(1, DATA[:2700], PEER6, 9)
    assert [len(frame[3]) for frame in link.take()] == [1400, 1400, 52]
    give(interface, 1, icmpv6(2, 0, struct.pack(">I", 68) + quoted), IPV6)
    socket.sendto(1, DATA[:1300], PEER6, 9)
    assert [len(frame[3]) for frame in link.take()] == [1280, 124]


# --- UDP and TCP ---

def test_datagrams_both_ways():
    stack, interface, link = make6()
    socket = udp_socket(stack, 5)
    assert socket.sendto(0, b"hello", PEER6, 9) == 5
    assert link.take()[0][3] == udp(5, 9, b"hello", US6, PEER6)
    give(interface, 1, udp(9, 5, b"answer", PEER6, US6), IPV6)
    assert socket.recvfrom() == (b"answer", PEER6, 9)
    socket.sendto(2, b"me", US6, 5)
    assert stack.poll(2) is None
    assert socket.recvfrom() == (b"me", US6, 5) and link.take() == []


ISS, IRS = 0xFFFFFF00, 0xFFFFFFF0


def segment(stack, interface, link, seq, ack, flags, data=b"", options=b""):
    """A segment from port 50000 to 80; returns those that answer it, as the next poll does."""
    give(interface, 0, tcp(50000, 80, IRS + seq, ISS + ack if flags & ACK else 0, flags,
                           data=data, options=options, source=PEER6, destination=US6), IPV6)
    stack.poll(0)
    return [read_tcp(frame[3]) for frame in link.take()]


def test_a_connection():
    stack, interface, link = make6()
    stack.tcp.initial_sequence = lambda now, key: ISS
    listener = TcpSocket(stack)
    listener.bind(None, 80)
    listener.listen(1)
    syn = segment(stack, interface, link, 0, 0, SYN, options=b"\x02\x04\x0a\xb4")[0]
    assert syn[4] == SYN | ACK and syn[6] == b"\x02\x04\x0a\xb4"    # 2800 - 60
    segment(stack, interface, link, 1, 1, ACK)
    socket = listener.accept()
    assert socket.local == (US6, 80) and socket.remote == (PEER6, 50000)
    assert segment(stack, interface, link, 1, 1, ACK, b"ping") == []
    assert socket.recv(0, 9) == b"ping"
    socket.send(0, DATA[:4000])
    sent = [read_tcp(frame[3]) for frame in link.take()]
    assert [(p[4], len(p[7])) for p in sent] == [(ACK, 2740), (ACK | PSH, 1260)]
    assert b"".join([p[7] for p in sent]) == DATA[:4000]
    assert segment(stack, interface, link, 5, 4001, ACK) == []


def test_a_flood_and_what_follows():
    stack, interface, link = make6()
    stack.tcp.initial_sequence = lambda now, key: ISS
    stack.tcp.max_half_open = 0
    listener = TcpSocket(stack)
    listener.bind(None, 80)
    listener.listen(1)
    syn = segment(stack, interface, link, 0, 0, SYN, options=b"\x02\x04\x05\xa0")[0]
    assert syn[6] == b"\x02\x04\x0a\xb4" and stack.counters == {"tcp_syn_cookie": 1}
    segment(stack, interface, link, 1, syn[2] + 1 - ISS, ACK)
    socket = listener.accept()
    socket.send(0, DATA[:2000])
    assert [len(read_tcp(frame[3])[7]) for frame in link.take()] == [1440, 560]


def test_segments_fit_a_path_that_was_too_small():
    for kind in ("forged", "true"):
        stack, interface, link = make6()
        stack.tcp.initial_sequence = lambda now, key: ISS
        listener = TcpSocket(stack)
        listener.bind(None, 80)
        listener.listen(1)
        segment(stack, interface, link, 0, 0, SYN, options=b"\x02\x04\x0a\xb4")
        segment(stack, interface, link, 1, 1, ACK)
        socket = listener.accept()
        socket.send(0, DATA[:3000])
        quoted = link.take()[0][3][:1232]
        if kind == "forged":
            quoted = quoted[:44] + b"\1\2\3\4" + quoted[48:]
        give(interface, 1, icmpv6(2, 0, struct.pack(">I", 1300) + quoted), IPV6)
        sent = [read_tcp(frame[3])[7] for frame in link.take()]
        if kind == "forged":
            assert sent == [] and stack.counters == {"icmp_stray": 1}
        else:
            assert [len(data) for data in sent] == [1240, 1240, 520]
            assert b"".join(sent) == DATA[:3000] and socket.state == T.ESTABLISHED
