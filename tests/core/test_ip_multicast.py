"""Multicast: groups joined at a link, and the sockets that hear them."""

import errno

from ip_link import (IPV4, IPV6, PEER, PEER6, US, US6, Link, give, make, make6, read_udp, udp)
from mpcore import limits
from mpcore.ip.udp import UdpSocket
from support import raises
from tests.core.scenes import Lan

GROUP = bytes((239, 129, 2, 3))
GROUP_MAC = b"\x01\x00\x5e\x01\x02\x03"
GROUP6 = b"\xff\x15" + bytes(12) + b"\x07\x08"
GROUP6_MAC = b"\x33\x33\0\0\x07\x08"
ALL_NODES_MAC = b"\x33\x33\0\0\0\x01"
SOLICITED_MAC = b"\x33\x33\xff\0\0\x01"


class Listening(Link):
    """A link that is told of groups: `told` has (time, joined, MAC)."""

    def __init__(self):
        super().__init__()
        self.told = []

    def subscribe(self, now, mac):
        self.told.append((now, True, mac))

    def unsubscribe(self, now, mac):
        self.told.append((now, False, mac))


def udp_socket(stack, port, ip=None):
    socket = UdpSocket(stack)
    socket.bind(ip, port)
    return socket


def test_who_joined_hears_the_group():
    for make_one, group, mac, ethertype, source in (
            (make, GROUP, GROUP_MAC, IPV4, PEER), (make6, GROUP6, GROUP6_MAC, IPV6, PEER6)):
        stack, interface, link = make_one()
        member, other, elsewhere = [udp_socket(stack, port, ip) for port, ip in (
            (5, None), (5, US if ethertype == IPV4 else US6), (6, None))]
        datagram = udp(9, 5, b"all", source, group)
        give(interface, 0, datagram, ethertype, mac)
        assert stack.counters == {"ip_not_ours": 1}
        member.join(0, group)
        elsewhere.join(0, group)
        give(interface, 0, datagram, ethertype, mac)
        assert member.recvfrom() == (b"all", source, 9)
        assert other.recvfrom() is None and elsewhere.recvfrom() is None
        other.join(0, group)
        give(interface, 0, datagram, ethertype, mac)
        assert member.recvfrom() and other.recvfrom()
        member.leave(0, group)
        give(interface, 0, datagram, ethertype, mac)
        assert other.recvfrom() and member.recvfrom() is None
        other.close(0)
        elsewhere.close(0)
        give(interface, 0, datagram, ethertype, mac)
        assert stack.counters == {"ip_not_ours": 2} and link.take() == []


def test_nobody_is_told_that_a_group_s_port_is_closed():
    stack, interface, link = make()
    udp_socket(stack, 6).join(0, GROUP)
    give(interface, 0, udp(9, 5, b"all", PEER, GROUP), IPV4, GROUP_MAC)
    assert stack.counters == {"udp_closed_port": 1} and link.take() == []


def test_sending_to_a_group():
    for make_one, group, mac, source in ((make, GROUP, GROUP_MAC, US),
                                         (make6, GROUP6, GROUP6_MAC, US6)):
        stack, interface, link = make_one()
        udp_socket(stack, 5).sendto(0, bytes(range(200)) * 20, group, 9)
        sent = link.take()
        assert [frame[1] for frame in sent] == [mac] * 2
        udp_socket(stack, 6).sendto(0, b"all", group, 9)
        assert read_udp(link.take()[0][3]) == (source, 6, group, 9, b"all")


def test_what_we_send_to_a_group_stays_in_the_network_unless_told_otherwise():
    for make_one, group, at in ((make, GROUP, 8), (make6, GROUP6, 7)):
        stack, interface, link = make_one()
        socket = udp_socket(stack, 5)
        socket.ttl = 9
        socket.sendto(0, b"x", group, 9)
        socket.multicast_ttl = 255
        socket.sendto(0, b"x", group, 9)
        socket.sendto(0, b"x", PEER if at == 8 else PEER6, 9)
        assert [frame[3][at] for frame in link.take()] == [1, 255, 9]


def test_our_own_members_hear_us_when_told_so():
    for make_one, group, us in ((make, GROUP, US), (make6, GROUP6, US6)):
        stack, interface, link = make_one()
        sender, member = udp_socket(stack, 5), udp_socket(stack, 6)
        member.join(0, group)
        data = bytes(range(250)) * 16
        sender.sendto(0, data, group, 6)
        stack.poll(0)
        assert member.recvfrom() is None and len(link.take()) == 2
        sender.multicast_loop = True
        sender.sendto(0, data, group, 6)
        assert member.recvfrom() is None and len(link.take()) == 2
        stack.poll(0)
        assert member.recvfrom() == (data, us, 5) and member.recvfrom() is None
        # Where nobody of us is in the group nothing loops.
        member.leave(0, group)
        sender.sendto(0, b"x", group, 6)
        stack.poll(0)
        assert stack.counters == {} and len(link.take()) == 1


def test_a_port_may_be_shared():
    stack, interface, link = make()
    first, second, third = [UdpSocket(stack) for _ in range(3)]
    first.reuse = second.reuse = True
    first.bind(None, 5353)
    assert raises(OSError, third.bind, None, 5353).errno == errno.EADDRINUSE
    second.bind(None, 5353)
    for socket in (first, second):
        socket.join(0, GROUP)
    give(interface, 0, udp(9, 5353, b"all", PEER, GROUP), IPV4, GROUP_MAC)
    assert first.recvfrom() == second.recvfrom() == (b"all", PEER, 9)
    give(interface, 0, udp(9, 5353, b"one"))
    assert first.recvfrom() == (b"one", PEER, 9) and second.recvfrom() is None
    first.close(0)
    give(interface, 0, udp(9, 5353, b"one"))
    assert second.recvfrom() == (b"one", PEER, 9)


def test_the_link_is_told_once():
    link = Listening()
    stack, interface, _ = make(link)
    first, second = udp_socket(stack, 5), udp_socket(stack, 6)
    first.join(1, GROUP)
    second.join(2, GROUP)
    first.leave(3, GROUP)
    assert link.told == [(1, True, GROUP_MAC)]
    second.close(4)
    assert link.told == [(1, True, GROUP_MAC), (4, False, GROUP_MAC)]
    second.close(5)
    assert len(link.told) == 2


def test_our_own_addresses_have_their_groups():
    link = Listening()
    stack, interface, _ = make6(link)
    assert link.told == [(0, True, ALL_NODES_MAC), (0, True, SOLICITED_MAC)]
    other = US6[:13] + b"\x0a\x0b\x0c"
    interface.set_addresses(1, [(US6, 64), (other, 64)])
    assert link.told[2:] == [(1, True, b"\x33\x33\xff\x0a\x0b\x0c")]
    interface.set_addresses(2, [(other, 64)])
    assert len(link.told) == 3              # the link-local address is in the group of US6
    interface.set_addresses(3, [])
    assert sorted(link.told[3:]) == [(3, False, ALL_NODES_MAC), (3, False, SOLICITED_MAC),
                                     (3, False, b"\x33\x33\xff\x0a\x0b\x0c")]


def test_wrong_memberships():
    stack, interface, link = make()
    socket = udp_socket(stack, 5)
    for group in (PEER, b"\xff" * 4):
        assert raises(OSError, socket.join, 0, group).errno == errno.EINVAL
    assert raises(OSError, socket.leave, 0, GROUP).errno == errno.EINVAL
    assert raises(OSError, socket.join, 0, GROUP6).errno == errno.EHOSTUNREACH
    assert raises(OSError, socket.join, 0, GROUP, PEER).errno == errno.EHOSTUNREACH
    socket.join(0, GROUP, US)
    assert raises(OSError, socket.join, 0, GROUP).errno == errno.EADDRINUSE
    for i in range(limits.UDP_GROUPS - 1):
        socket.join(0, GROUP[:3] + bytes((100 + i,)))
    assert raises(OSError, socket.join, 0, GROUP[:3] + b"\0").errno in (105, 55)


def test_a_group_is_joined_at_one_link():
    stack, interface, link = make()
    second = stack.add_interface(Link(mac=b"\x02\0\0\0\0\x09"))
    second.set_addresses(0, [(b"\xac\x10\0\1", 12)])
    socket, there = udp_socket(stack, 5), udp_socket(stack, 5, b"\xac\x10\0\1")
    socket.join(0, GROUP, US)
    there.join(0, GROUP, b"\xac\x10\0\1")
    give(second, 0, udp(9, 5, b"all", b"\xac\x10\0\2", GROUP), IPV4, GROUP_MAC)
    assert there.recvfrom() == (b"all", b"\xac\x10\0\2", 9) and socket.recvfrom() is None


def test_groups_and_broadcast_reach_all_members_of_a_network():
    scene = Lan(members=3, fields={"v6AssignMode": {"6plane": True}, "enableBroadcast": True})
    assert scene.joined()
    a, b, c = scene.members
    listeners = [udp_socket(node.stack, 5) for node in (b, c)]
    for node, socket in zip((b, c), listeners):
        socket.join(scene.wire.now, GROUP)
        socket.join(scene.wire.now, GROUP6)
        scene.wire.touch(node)
    scene.run(500)
    sender = udp_socket(a.stack, 7)
    sender.broadcast = True
    for ip in (GROUP, GROUP6, b"\xff" * 4, bytes((10, 147, 17, 255))):
        sender.sendto(scene.wire.now, b"to all", ip, 5)
        scene.wire.touch(a)
        assert scene.run(3000, lambda: all([socket.events() & 1 for socket in listeners])), ip
        for socket in listeners:
            data, source, port = socket.recvfrom()
            assert data == b"to all" and port == 7 and socket.recvfrom() is None
    # Who left is not served any more once the others noticed; its own stack is deaf at once.
    listeners[1].leave(scene.wire.now, GROUP)
    sender.sendto(scene.wire.now, b"again", GROUP, 5)
    scene.wire.touch(a)
    assert scene.run(3000, lambda: listeners[0].events() & 1)
    assert listeners[1].recvfrom() is None
