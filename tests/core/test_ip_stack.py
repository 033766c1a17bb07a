"""ARP, IPv4, ICMP, UDP and routes: one frame in, exact frames out."""

import errno
import struct

from ip_link import (ACK, ARP, BROADCAST_MAC, ICMP, IPV4, IPV6, OUR_MAC, PEER, PEER_MAC, SYN, UDP,
                     US, US6, Link, arp, checksum, entropy, give, icmp, icmpv6, ipv4, make, make6,
                     read_ipv4, read_udp, tcp, udp)
from mpcore import limits
from mpcore.ip import ipv6, stack as ip_stack
from mpcore.ip.events import ERROR, READ, WRITE
from mpcore.ip.tcp import TcpSocket
from mpcore.ip.udp import UdpSocket
from support import raises

ALL = b"\xff\xff\xff\xff"
SUBNET_ALL = bytes((10, 0, 0, 255))


def udp_socket(stack, port, ip=None):
    socket = UdpSocket(stack)
    socket.bind(ip, port)
    return socket


# --- ARP ---

def test_new_addresses_are_announced():
    stack = ip_stack.Stack(entropy)
    link = Link()
    interface = stack.add_interface(link)
    interface.set_addresses(5, [(US, 24)])
    assert link.take() == []
    stack.poll(5)
    announcement = arp(1, OUR_MAC, US, bytes(6), US)
    assert link.take() == [(5, BROADCAST_MAC, ARP, announcement)]
    interface.set_addresses(6, [(US, 24)])
    stack.poll(6)
    assert link.take() == []


def test_a_request_for_us_is_answered_and_teaches_the_sender():
    stack, interface, link = make(learn=False)
    give(interface, 7, arp(1, PEER_MAC, PEER, bytes(6), US), ARP, BROADCAST_MAC)
    assert link.take() == [(7, PEER_MAC, ARP, arp(2, OUR_MAC, US, PEER_MAC, PEER))]
    udp_socket(stack, 5).sendto(8, b"x", PEER, 9)
    assert [frame[1:3] for frame in link.take()] == [(PEER_MAC, IPV4)]


def test_requests_for_others_teach_nothing():
    stack, interface, link = make(learn=False)
    give(interface, 7, arp(1, PEER_MAC, PEER, bytes(6), bytes((10, 0, 0, 9))), ARP, BROADCAST_MAC)
    assert link.take() == []
    udp_socket(stack, 5).sendto(8, b"x", PEER, 9)
    assert [frame[2] for frame in link.take()] == [ARP]


def test_an_address_probe_is_answered():
    stack, interface, link = make(learn=False)
    give(interface, 7, arp(1, PEER_MAC, bytes(4), bytes(6), US), ARP, BROADCAST_MAC)
    assert link.take() == [(7, PEER_MAC, ARP, arp(2, OUR_MAC, US, PEER_MAC, bytes(4)))]


def test_packets_wait_for_the_answer():
    stack, interface, link = make(learn=False)
    socket = udp_socket(stack, 5)
    socket.sendto(100, b"one", PEER, 9)
    socket.sendto(100, b"two", PEER, 9)
    request = arp(1, OUR_MAC, US, bytes(6), PEER)
    assert link.take() == [(100, BROADCAST_MAC, ARP, request)]
    assert stack.poll(1099) == 1100 and link.take() == []
    assert stack.poll(1100) == 2100
    assert link.take() == [(1100, BROADCAST_MAC, ARP, request)]
    give(interface, 1150, arp(2, PEER_MAC, PEER, OUR_MAC, US), ARP)
    sent = link.take()
    assert [frame[:3] for frame in sent] == [(1150, PEER_MAC, IPV4)] * 2
    assert [read_udp(frame[3])[4] for frame in sent] == [b"one", b"two"]
    assert stack.poll(2100) is None


def test_waiting_packets_are_bounded_and_given_up():
    stack, interface, link = make(learn=False)
    socket = udp_socket(stack, 5)
    for host in range(2, 6):
        for i in range(limits.NEIGHBOUR_PENDING + 2):
            socket.sendto(0, bytes((i,)), bytes((10, 0, 0, host)), 9)
    assert stack.counters == {"neighbour_pending_full": 2 * (limits.NEIGHBOUR_PENDING + 2)}
    now = 0
    while now is not None:
        last = now
        now = stack.poll(now)
        assert now is None or now > last
    assert last == 5000
    assert len(link.take()) == 4 * 5
    assert stack.counters["neighbour_unresolved"] == limits.NEIGHBOUR_PENDING_ALL
    # What is kept for one address is the newest.
    socket.sendto(6000, b"new", PEER, 9)
    for i in range(limits.NEIGHBOUR_PENDING):
        socket.sendto(6000, bytes((i,)), PEER, 9)
    link.take()
    give(interface, 6001, arp(2, PEER_MAC, PEER, OUR_MAC, US), ARP)
    assert [read_udp(f[3])[4] for f in link.take()] == [bytes((i,))
                                                        for i in range(limits.NEIGHBOUR_PENDING)]


def test_an_entry_is_refreshed_and_expires():
    stack, interface, link = make()
    socket = udp_socket(stack, 5)
    socket.sendto(59999, b"x", PEER, 9)
    assert [frame[2] for frame in link.take()] == [IPV4]
    socket.sendto(60000, b"kept", PEER, 9)
    sent = link.take()
    assert [frame[2] for frame in sent] == [ARP, IPV4] and read_udp(sent[1][3])[4] == b"kept"
    socket.sendto(60500, b"x", PEER, 9)
    assert [frame[2] for frame in link.take()] == [IPV4]
    socket.sendto(75000, b"x", PEER, 9)
    assert [frame[2] for frame in link.take()] == [ARP]


def test_the_cache_is_bounded():
    stack, interface, link = make()
    for host in range(2, 200):
        give(interface, host, arp(1, PEER_MAC, bytes((10, 0, 0, host)), bytes(6), US), ARP)
    assert stack.counters["neighbour_evicted"] == 198 - limits.NEIGHBOURS
    link.take()
    socket = udp_socket(stack, 5)
    socket.sendto(300, b"x", bytes((10, 0, 0, 199)), 9)
    socket.sendto(300, b"x", PEER, 9)
    assert [frame[2] for frame in link.take()] == [IPV4, ARP]


def test_bad_arp_is_counted():
    stack, interface, link = make()
    good = arp(1, PEER_MAC, PEER, bytes(6), US)
    for bad in (good[:27], b"\0\2" + good[2:], good[:7] + b"\3" + good[8:],
                good[:8] + BROADCAST_MAC + good[14:], good[:8] + bytes(6) + good[14:]):
        give(interface, 0, bad, ARP)
    give(interface, 0, arp(2, PEER_MAC, US, OUR_MAC, US), ARP)
    assert stack.counters == {"arp_malformed": 5, "arp_conflict": 1}
    assert link.take() == []


def test_addresses_where_nobody_is_push_no_neighbour_out():
    stack, interface, link = make()
    socket = udp_socket(stack, 5)
    for host in range(3, 3 + 2 * limits.NEIGHBOURS):
        socket.sendto(host, b"x", bytes((10, 0, 0, host)), 9)
    assert stack.counters["neighbour_evicted"] == limits.NEIGHBOURS + 1
    link.take()
    socket.sendto(100, b"x", PEER, 9)
    assert [frame[2] for frame in link.take()] == [IPV4]


# --- IPv4 ---

def test_bad_packets_are_counted_by_cause():
    stack, interface, link = make()
    good = udp(9, 5, b"data")
    causes = (
        (good[:19], "ip_malformed"), (good[:-1], "ip_malformed"),
        (good[:8] + b"\x01" + good[9:], "ip_checksum"),
        (udp(9, 5, b"x", destination=bytes((10, 0, 0, 9))), "ip_not_ours"),
        (udp(9, 5, b"x", source=SUBNET_ALL[:3] + b"\x02", destination=b"\xe0\0\0\1"),
         "ip_not_ours"),
        (udp(9, 5, b"x", source=b"\xe0\0\0\1"), "ip_bad_address"),
        (ipv4(47, b"gre"), "ip_protocol"),
        (ipv4(UDP, b"1234567"), "udp_malformed"),
        (ipv4(UDP, b"\0\1\0\5\0\x20\0\0"), "udp_malformed"),
        (ipv4(UDP, b"\0\1\0\5\0\x08\1\1"), "udp_checksum"),
        (ipv4(ICMP, b"1234567"), "icmp_malformed"),
        (ipv4(ICMP, b"12345678"), "icmp_checksum"),
        (icmp(13, 0, bytes(4)), "icmp_type"),
        (icmp(0, 0, bytes(4)), "icmp_unexpected"),
        (icmp(3, 3, bytes(4)), "icmp_malformed"),
    )
    for packet, cause in causes:
        before = stack.counters.get(cause, 0)
        give(interface, 0, packet)
        assert stack.counters.get(cause, 0) == before + 1, cause
    give(interface, 0, good, mac=BROADCAST_MAC)
    assert stack.counters["ip_bad_address"] == 2
    give(interface, 0, b"", 0x86DD)
    assert stack.counters["ethertype"] == 1
    interface.receive(0, PEER_MAC, OUR_MAC, IPV4, bytearray(30), 5, 26)
    assert stack.counters["frame_malformed"] == 1
    assert link.take() == []


def test_nothing_is_said_to_who_cannot_be_the_source():
    for us, make_stack, sources, ping in (
            (US, make, (US, SUBNET_ALL, bytes(4), b"\0\1\2\3", b"\x7f\0\0\1", b"\xff" * 4),
             lambda source: icmp(8, 0, bytes(4), source)),
            (US6, make6, (US6, ipv6.link_local(OUR_MAC), bytes(16), bytes(15) + b"\1"),
             lambda source: icmpv6(128, 0, bytes(4), source))):
        stack, interface, link = make_stack()
        socket = udp_socket(stack, 5)
        listener = TcpSocket(stack)
        listener.bind(None, 80)
        listener.listen(1)
        ethertype = IPV4 if len(us) == 4 else IPV6
        for source in sources:
            for packet in (udp(5, 5, b"x", source, us), udp(5, 6, b"x", source, us),
                           tcp(80, 80, 1, 0, SYN, source=source, destination=us),
                           tcp(80, 81, 1, 0, SYN, source=source, destination=us),
                           tcp(80, 80, 1, 1, ACK, source=source, destination=us), ping(source)):
                give(interface, 0, packet, ethertype)
                stack.poll(0)
        assert stack.counters == {"ip_bad_address": 6 * len(sources)}
        assert link.take() == [] and socket.recvfrom() is None


def test_padding_behind_a_packet_and_options_in_it_are_skipped():
    stack, interface, link = make()
    socket = udp_socket(stack, 5)
    give(interface, 0, udp(9, 5, b"data") + b"padding")
    body = udp(9, 5, b"more")[20:]
    header = struct.pack(">BBHHHBBH4s4sI", 0x46, 0, 24 + len(body), 1, 0, 64, UDP, 0, PEER, US,
                         0x01010101)
    header = header[:10] + struct.pack(">H", checksum(header)) + header[12:]
    give(interface, 0, header + body)
    assert socket.recvfrom() == (b"data", PEER, 9)
    assert socket.recvfrom() == (b"more", PEER, 9)


def fragments(payload, sizes, identification=7):
    at = 0
    for size in sizes:
        more = 0x2000 if at + size < len(payload) else 0
        yield ipv4(UDP, payload[at:at + size], identification=identification,
                   fragment=more | at >> 3)
        at += size


def test_fragments_in_any_order_become_one_datagram():
    stack, interface, link = make()
    socket = udp_socket(stack, 5)
    data = bytes([i & 0xFF for i in range(4000)])
    payload = udp(9, 5, data)[20:]
    parts = list(fragments(payload, (1600, 800, 1608)))
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 1, 2), (2, 0, 1)):
        for i in order:
            assert socket.recvfrom() is None
            give(interface, 0, parts[i])
        assert socket.recvfrom() == (data, PEER, 9)
    assert stack.counters == {}


def test_reassembly_is_bounded_and_suspicious():
    stack, interface, link = make()
    socket = udp_socket(stack, 5)
    payload = udp(9, 5, bytes(2000))[20:]
    first, second = fragments(payload, (1600, 408))
    give(interface, 0, first)
    give(interface, 0, ipv4(UDP, payload[1592:1600], identification=7, fragment=0x2000 | 199))
    assert stack.counters == {"ip_fragment_malformed": 1}   # overlaps: the datagram is dropped
    give(interface, 0, second)
    assert socket.recvfrom() is None
    give(interface, 0, ipv4(UDP, bytes(9), fragment=0x2000))
    give(interface, 0, ipv4(UDP, bytes(8), fragment=limits.REASSEMBLY_BYTES >> 3))
    assert stack.counters["ip_fragment_malformed"] == 3
    for i in range(limits.REASSEMBLIES + 1):
        give(interface, i, list(fragments(payload, (1600, 408), 100 + i))[0])
    assert stack.counters["ip_reassembly_evicted"] == 2
    now = 10
    while now is not None:
        last, now = now, stack.poll(now)
    assert stack.counters["ip_reassembly_timeout"] == limits.REASSEMBLIES
    assert last == 15000 + limits.REASSEMBLIES


def test_a_large_datagram_leaves_in_fragments():
    stack, interface, link = make()
    data = bytes([i * 7 & 0xFF for i in range(2800)])
    udp_socket(stack, 5).sendto(0, data, PEER, 9)
    sent = [read_ipv4(frame[3]) for frame in link.take()]
    assert [(part[3], len(part[4])) for part in sent] == [(0x2000, 2776), (347, 32)]
    whole = b"".join([part[4] for part in sent])
    assert read_udp(ipv4(UDP, whole, US, PEER)) == (US, 5, PEER, 9, data)


# --- ICMP ---

def test_echo_is_answered():
    stack, interface, link = make()
    for data in (b"", b"odd", bytes(2000)):
        give(interface, 3, icmp(8, 0, b"\x12\x34\x00\x05" + data))
        sent = link.take()
        assert len(sent) == 1 and sent[0][:3] == (3, PEER_MAC, IPV4)
        protocol, source, destination, _, body = read_ipv4(sent[0][3])
        assert (protocol, source, destination) == (ICMP, US, PEER)
        assert checksum(body) == 0 and body[:2] == b"\0\0" and body[4:] == b"\x12\x34\0\x05" + data


def test_ping():
    stack, interface, link = make()
    replies = []
    assert stack.echo(0, PEER, 0x1234, 1, b"ping", lambda *got: replies.append(got))
    body = read_ipv4(link.take()[0][3])[4]
    assert body[:2] == b"\x08\0" and checksum(body) == 0 and body[4:] == b"\x12\x34\0\1ping"
    give(interface, 20, icmp(0, 0, body[4:]))
    assert replies == [(20, PEER, 1, b"ping")]
    give(interface, 21, icmp(0, 0, body[4:]))
    assert stack.counters == {"icmp_unexpected": 1}
    assert not stack.echo(0, bytes((10, 9, 9, 9)), 1, 1, b"", None)
    for i in range(2 * limits.ECHO_REQUESTS):
        stack.echo(0, PEER, 1, i, b"", lambda *got: replies.append(got))
    for i in range(2 * limits.ECHO_REQUESTS):
        give(interface, 30, icmp(0, 0, struct.pack(">HH", 1, i)))
    assert len(replies) == 1 + limits.ECHO_REQUESTS
    stack.echo(0, PEER, 7, 7, b"", lambda *got: replies.append(got))
    give(interface, 40, icmp(3, 1, bytes(4) + link.take()[-1][3][:28]))
    assert replies[-1] == (40, PEER, 7, None)


def test_a_closed_port_is_reported_within_a_rate():
    stack, interface, link = make()
    packet = udp(9, 5, b"nobody there")
    give(interface, 3, packet)
    protocol, source, destination, _, body = read_ipv4(link.take()[0][3])
    assert (protocol, source, destination) == (ICMP, US, PEER)
    assert body[:2] == b"\3\3" and checksum(body) == 0 and body[8:] == packet
    for _ in range(20):
        give(interface, 4, packet)
    assert len(link.take()) == 9 and stack.counters["icmp_limited"] == 11
    give(interface, 1000, packet)
    assert len(link.take()) == 1
    give(interface, 1001, udp(9, 5, b"all", destination=SUBNET_ALL), mac=BROADCAST_MAC)
    assert link.take() == []


def test_an_unreachable_reaches_the_connected_socket():
    stack, interface, link = make()
    events = []
    socket, other = udp_socket(stack, 5), udp_socket(stack, 6)
    socket.connect(PEER, 9)
    socket.on_event = lambda: events.append(socket.events())
    socket.sendto(0, b"x", PEER, 9)
    other.sendto(0, b"x", PEER, 9)
    for frame in link.take():
        give(interface, 1, icmp(3, 3, bytes(4) + frame[3][:28]))
    assert events == [READ | WRITE | ERROR]
    assert raises(OSError, socket.recvfrom).errno == errno.ECONNREFUSED
    assert socket.recvfrom() is None and other.recvfrom() is None


# --- UDP ---

def test_datagrams_both_ways():
    stack, interface, link = make()
    woken = []
    socket = udp_socket(stack, 0)
    assert socket.local[1] >= 49152
    socket.on_event = lambda: woken.append(True)
    assert socket.events() == WRITE and socket.recvfrom() is None
    assert socket.sendto(0, b"hello", PEER, 9) == 5
    assert read_udp(link.take()[0][3]) == (US, socket.local[1], PEER, 9, b"hello")
    give(interface, 1, udp(9, socket.local[1], b"answer"))
    assert woken == [True] and socket.events() == READ | WRITE
    buf = bytearray(4)
    assert socket.recvfrom_into(buf) == (4, PEER, 9) and buf == b"answ"
    unsummed = ipv4(UDP, struct.pack(">HHHH", 9, socket.local[1], 9, 0) + b"!")
    give(interface, 2, unsummed)
    assert socket.recvfrom() == (b"!", PEER, 9)
    socket.close(3)
    socket.close(3)
    give(interface, 4, unsummed)
    assert stack.counters == {"udp_closed_port": 1}


def test_a_checksum_of_zero_is_sent_as_ones():
    stack, interface, link = make()
    socket = udp_socket(stack, 5)
    for word in range(65536):
        packet = udp(5, 9, struct.pack(">H", word), US, PEER)
        if packet[26:28] == b"\xff\xff":
            break
    socket.sendto(0, struct.pack(">H", word), PEER, 9)
    assert link.take()[0][3][26:28] == b"\xff\xff"


def test_broadcasts_go_out_when_allowed():
    stack, interface, link = make()
    second = Link(mac=b"\x02\0\0\0\0\x09")
    stack.add_interface(second).set_addresses(0, [(b"\xac\x10\0\1", 16)])
    second.take()
    socket = udp_socket(stack, 5)
    assert raises(OSError, socket.sendto, 0, b"x", ALL, 9).errno == errno.EACCES
    socket.broadcast = True
    socket.sendto(0, b"x", ALL, 9)
    for at, own in ((link, US), (second, b"\xac\x10\0\1")):
        sent = at.take()
        assert [frame[1] for frame in sent] == [BROADCAST_MAC]
        assert read_udp(sent[0][3]) == (own, 5, ALL, 9, b"x")
    socket.sendto(0, b"y", SUBNET_ALL, 9)
    assert [frame[1] for frame in link.take()] == [BROADCAST_MAC] and not second.take()
    bound = udp_socket(stack, 5, b"\xac\x10\0\1")
    bound.broadcast = True
    bound.sendto(0, b"z", ALL, 9)
    assert len(second.take()) == 1 and not link.take()


def test_multicast_goes_to_its_mac():
    stack, interface, link = make()
    udp_socket(stack, 5).sendto(0, b"x", bytes((239, 255, 1, 2)), 9)
    assert [frame[1] for frame in link.take()] == [b"\x01\x00\x5e\x7f\x01\x02"]


def test_broadcasts_reach_every_socket_of_the_port():
    stack, interface, link = make()
    anyone, bound = udp_socket(stack, 5), udp_socket(stack, 5, US)
    for destination in (ALL, SUBNET_ALL):
        give(interface, 0, udp(9, 5, b"all", destination=destination), mac=BROADCAST_MAC)
        assert anyone.recvfrom() == bound.recvfrom() == (b"all", PEER, 9)
    give(interface, 0, udp(9, 5, b"one"))
    assert bound.recvfrom() == (b"one", PEER, 9) and anyone.recvfrom() is None


def test_peeking_leaves_the_datagram():
    stack, interface, link = make()
    socket = udp_socket(stack, 5)
    assert socket.recvfrom(True) is None
    for data in (b"first", b"second"):
        give(interface, 0, udp(9, 5, data))
    buf = bytearray(3)
    assert socket.recvfrom(True) == socket.recvfrom(True) == (b"first", PEER, 9)
    assert socket.recvfrom_into(buf, True) == (3, PEER, 9) and bytes(buf) == b"fir"
    assert socket.recvfrom() == (b"first", PEER, 9)
    assert socket.recvfrom(peek=True) == (b"second", PEER, 9) == socket.recvfrom()


def test_a_packet_that_died_on_its_way_is_reported():
    stack, interface, link = make()
    socket = udp_socket(stack, 5)
    socket.connect(PEER, 9)
    socket.sendto(0, b"x", PEER, 9)
    give(interface, 1, icmp(11, 0, bytes(4) + link.take()[0][3][:28]))
    assert raises(OSError, socket.recvfrom).errno == errno.EHOSTUNREACH


def test_limits_can_be_raised():
    stack, interface, link = make()
    stack.udp.max_sockets, stack.udp.max_queue = limits.UDP_SOCKETS + 1, 2
    sockets = [udp_socket(stack, 100 + i) for i in range(limits.UDP_SOCKETS + 1)]
    assert raises(OSError, udp_socket, stack, 99).errno == errno.ENOBUFS
    for _ in range(3):
        give(interface, 0, udp(9, 100, b"x"))
    assert len(sockets[0]._queue) == 2 and sockets[0].dropped == 1
    sockets[0].max_queue = 5
    give(interface, 0, udp(9, 100, b"x"))
    assert sockets[0].dropped == 1


def test_a_connected_socket_hears_its_peer_only():
    stack, interface, link = make()
    socket = udp_socket(stack, 5)
    socket.connect(PEER, 9)
    give(interface, 0, udp(10, 5, b"other"))
    give(interface, 0, udp(9, 5, b"peer"))
    assert socket.recvfrom() == (b"peer", PEER, 9) and socket.recvfrom() is None


def test_the_receive_queue_is_bounded():
    stack, interface, link = make()
    socket = udp_socket(stack, 5)
    for i in range(limits.UDP_QUEUE + 3):
        give(interface, 0, udp(9, 5, bytes((i,))))
    assert socket.dropped == stack.counters["udp_queue_full"] == 3
    for i in range(limits.UDP_QUEUE):
        assert socket.recvfrom()[0] == bytes((i,))
    for i in range(4):
        give(interface, 0, udp(9, 5, bytes(2700)))
    assert socket.dropped == 4


def test_what_an_application_may_not_do():
    stack, interface, link = make()
    socket = udp_socket(stack, 5)
    assert raises(OSError, socket.bind, None, 6).errno == errno.EINVAL
    assert raises(OSError, udp_socket, stack, 5).errno == errno.EADDRINUSE
    far = bytes((8, 8, 8, 8))
    assert raises(OSError, socket.sendto, 0, b"", far, 1).errno == errno.EHOSTUNREACH
    assert raises(OSError, socket.sendto, 0, bytes(32001), PEER, 1).errno in (90, 40)
    for port in range(6, 6 + limits.UDP_SOCKETS - 1):
        udp_socket(stack, port)
    assert raises(OSError, udp_socket, stack, 0).errno == errno.ENOBUFS


# --- routes ---

def test_the_longest_prefix_wins():
    stack, interface, link = make(learn=False)
    gateway, host = bytes((10, 0, 0, 254)), bytes((10, 0, 0, 253))
    second = Link(mac=b"\x02\0\0\0\0\x09")
    other = stack.add_interface(second)
    other.set_addresses(0, [(b"\xac\x10\0\1", 12), (b"\xac\x10\0\2", 32)])
    interface.set_routes([(bytes(4), 0, gateway), (bytes((192, 168, 0, 0)), 17, host)])
    other.set_routes([(bytes((192, 168, 0, 0)), 16, None)])

    def way(*ip):
        route = stack.route(bytes(ip))
        return route.interface, route.source, route.next_hop

    assert way(8, 8, 8, 8) == (interface, US, gateway)
    assert way(192, 168, 127, 1) == (interface, US, host)
    assert way(192, 168, 128, 1) == (other, b"\xac\x10\0\1", bytes((192, 168, 128, 1)))
    assert way(172, 31, 1, 1) == (other, b"\xac\x10\0\1", bytes((172, 31, 1, 1)))
    assert way(10, 0, 0, 7) == (interface, US, bytes((10, 0, 0, 7)))
    assert stack.route(bytes((10, 0, 0, 7)), b"\xac\x10\0\1") is None
    for i in range(2 * limits.ROUTES_CACHED):
        assert way(10, 0, 0, 10 + i)[2] == bytes((10, 0, 0, 10 + i))
    interface.set_routes([])
    assert stack.route(bytes((8, 8, 8, 8))) is None
    stack.remove_interface(interface)
    assert stack.route(PEER) is None and stack.route(bytes(16)) is None


def test_a_routed_packet_asks_for_the_gateway():
    stack, interface, link = make(learn=False)
    interface.set_routes([(bytes(4), 0, bytes((10, 0, 0, 254)))])
    udp_socket(stack, 5).sendto(0, b"x", bytes((8, 8, 8, 8)), 53)
    assert link.take()[0][3] == arp(1, OUR_MAC, US, bytes(6), bytes((10, 0, 0, 254)))


def test_packets_to_ourselves_never_touch_the_link():
    stack, interface, link = make()
    due = []
    stack.on_schedule = due.append
    socket = udp_socket(stack, 5)
    socket.sendto(50, b"me", US, 5)
    assert due == [50] and socket.recvfrom() is None
    assert stack.poll(50) is None
    assert socket.recvfrom() == (b"me", US, 5) and link.take() == []


def test_packets_to_ourselves_are_limited_and_short_ones_find_places_beside_long_ones():
    stack, interface, link = make()
    socket = udp_socket(stack, 5)
    for i in range(limits.LOOPBACK_PACKETS + 1):
        socket.sendto(50, bytes(200), US, 5)
    assert stack.counters["loopback_full"] == 1
    for i in range(limits.LOOPBACK_PACKETS + 1):
        socket.sendto(50, b"me", US, 5)
    assert stack.counters["loopback_full"] == 2
    stack.poll(50)
    stack.max_looped += 1
    for i in range(stack.max_looped):
        socket.sendto(50, bytes(200), US, 5)
    assert stack.counters["loopback_full"] == 2


def test_the_payload_begins_where_the_floors_below_want_it():
    for headroom, start in ((0, 3), (3, 3), (4, 7), (38, 39), (60, 63), (64, 67)):
        stack = ip_stack.Stack(entropy)
        assert stack.add_interface(Link(headroom=headroom)).start == start
        assert len(stack.buffer) >= start + 2800


class Halves(Link):
    """A link that has to cut up what is longer than `whole`."""

    whole = 1394


def test_there_is_room_for_a_datagram_and_for_more_when_there_is_more():
    stack = ip_stack.Stack(entropy)
    link = Halves()
    interface = stack.add_interface(link)
    interface.set_addresses(0, [(US, 24)])
    give(interface, 0, arp(2, PEER_MAC, PEER, OUR_MAC, US), ARP)
    interface.arp.learn(0, interface.arp.entry(0, PEER, True), PEER_MAC)
    link.take()
    socket = udp_socket(stack, 5)
    socket.sendto(1, bytes(1394 - 28), PEER, 9)
    assert len(stack.buffer) < interface.start + link.mtu
    for size in (1394 - 27, link.mtu - 28, 5000):
        socket.sendto(1, bytes(range(250)) * 20 if size == 5000 else bytes(size), PEER, 9)
    assert len(stack.buffer) == interface.start + link.mtu
    sent = [frame[3] for frame in link.take()]
    assert [len(packet) for packet in sent] == [1394, 1395, 2800, 2796, 2252]
    assert sent[3][28:] + sent[4][20:] == bytes(range(250)) * 20
    # To ourselves a segment may be as long as a packet.
    assert stack.route(PEER).segment() == 1394 and stack.route(US).segment() == 2800


def test_a_route_and_a_neighbour_share_the_address():
    stack, interface, link = make(learn=False)
    give(interface, 7, arp(1, PEER_MAC, PEER, bytes(6), US), ARP, BROADCAST_MAC)
    route = stack.route(bytes(PEER[:2]) + PEER[2:])
    [known] = interface.arp._entries
    assert route.next_hop is known and [ip for ip in stack._routes if ip is known]
