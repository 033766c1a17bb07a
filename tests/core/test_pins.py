"""Connections that are bound to a member of the link: nobody else can say a word in them."""

from mpcore import limits
from mpcore.ip import tcp

from ip_link import (ACK, ARP, BROADCAST_MAC, FIN, IPV4, IPV6, OUR_MAC, PEER, PEER6, PEER_MAC, PSH,
                     RST, SYN, US, US6, Link, advertisement, arp, give, make, make6, read_tcp,
                     solicitation)
from ip_link import tcp as segment

EVIL_MAC = b"\x02\x00\x00\x00\x00\x66"
PORT = 2323


class Service:
    """A listener that admits PEER_MAC alone, and a peer that talks to it by hand."""

    def __init__(self, version=4, admit=None):
        self.stack, self.interface, self.link = make6() if version == 6 else make()
        self.us, self.peer = (US6, PEER6) if version == 6 else (US, PEER)
        self.ethertype = IPV6 if version == 6 else IPV4
        self.asked = []
        self.listener = tcp.TcpSocket(self.stack)
        self.listener.admit = admit or self._admit
        self.listener.bind(None, PORT)
        self.listener.listen(2)
        self.seq = 1000

    def _admit(self, ip, mac):
        self.asked.append((ip, mac))
        return mac == PEER_MAC

    def say(self, flags, ack=0, data=b"", mac=PEER_MAC, now=0, source=None, port=4000, seq=None):
        """A segment comes; returns what is sent: [(destination MAC, segment)]."""
        packet = segment(port, PORT, self.seq if seq is None else seq, ack, flags, data=data,
                         source=source or self.peer, destination=self.us)
        buf = bytearray(5) + packet
        self.interface.receive(now, mac, OUR_MAC, self.ethertype, buf, 5, len(packet))
        return self.sent(now)

    def sent(self, now=0):
        self.stack.poll(now)
        return [(mac, read_tcp(packet)) for _, mac, kind, packet in self.link.take()
                if kind == self.ethertype and packet[6 if kind == IPV6 else 9] == 6]

    def open(self):
        """The handshake; returns the accepted socket."""
        [(mac, answer)] = self.say(SYN)
        assert mac == PEER_MAC and answer[4] == SYN | ACK
        self.seq += 1
        self.iss = answer[2]
        self.say(ACK, self.iss + 1)
        return self.listener.accept()

    def count(self, cause):
        return self.stack.counters.get(cause, 0)


def _both(test):
    test(4)
    test(6)


def test_who_is_refused_gets_no_answer_and_is_counted():
    def test(version):
        service = Service(version)
        assert service.say(SYN, mac=EVIL_MAC) == []
        assert service.asked == [(service.peer, EVIL_MAC)]
        assert service.count("tcp_not_admitted") == 1
        assert not service.stack.tcp.half_open and service.interface.pins is None
        assert service.open() is not None       # the address is still the true one's to use

    _both(test)


def test_the_handshake_pins_and_a_spoofed_syn_or_ack_is_dropped():
    def test(version):
        service = Service(version)
        [(_, answer)] = service.say(SYN)
        assert service.say(SYN, mac=EVIL_MAC, port=4001) == []
        assert service.say(ACK, answer[2] + 1, mac=EVIL_MAC, seq=service.seq + 1) == []
        assert service.count("spoofed") == 2 and service.listener.accept() is None
        service.seq += 1
        service.say(ACK, answer[2] + 1)
        assert service.listener.accept() is not None

    _both(test)


def test_no_spoofed_byte_gets_into_a_straight_flow():
    def test(version):
        service = Service(version)
        accepted = service.open()
        service.say(PSH | ACK, service.iss + 1, b"good")
        service.seq += 4
        assert accepted.straight or version == 6
        assert service.say(PSH | ACK, service.iss + 1, b"evil", mac=EVIL_MAC) == []
        assert service.say(RST | ACK, service.iss + 1, mac=EVIL_MAC) == []
        assert service.say(FIN | ACK, service.iss + 1, mac=EVIL_MAC) == []
        assert service.count("spoofed") == 3
        service.say(PSH | ACK, service.iss + 1, b" too")
        assert accepted.recv(0, 100) == b"good too"
        accepted.send(0, b"secret")
        assert {mac for mac, _ in service.sent()} == {PEER_MAC}

    _both(test)


def test_arp_does_not_move_the_address():
    service = Service()
    accepted = service.open()
    for operation in 1, 2:
        for mac in EVIL_MAC, PEER_MAC:      # whoever the frame is from: what it says counts
            packet = arp(operation, EVIL_MAC, PEER, OUR_MAC, US)
            service.interface.receive(0, mac, BROADCAST_MAC, ARP, packet, 0, len(packet))
    assert service.count("spoofed") == 4
    accepted.send(0, b"secret")
    assert {mac for mac, _ in service.sent()} == {PEER_MAC}
    # Nor when it has to be asked for again, as nothing was heard of it for long.
    now = 200000
    accepted.send(now, b"again")
    give(service.interface, now, arp(2, EVIL_MAC, PEER, OUR_MAC, US), ARP)
    assert service.sent(now) == []
    give(service.interface, now, arp(2, PEER_MAC, PEER, OUR_MAC, US), ARP)
    sent = service.sent(now)
    assert sent and {mac for mac, _ in sent} == {PEER_MAC}


def test_an_address_that_was_moved_before_the_handshake_moves_back():
    service = Service()
    give(service.interface, 0, arp(2, EVIL_MAC, PEER, OUR_MAC, US), ARP)
    [(mac, _)] = service.say(SYN)
    assert mac == PEER_MAC


def test_ndp_does_not_move_the_address():
    service = Service(6)
    accepted = service.open()
    for packet, mac in ((advertisement(PEER6, mac=EVIL_MAC), PEER_MAC),
                        (advertisement(PEER6, mac=EVIL_MAC, source=US6[:15] + b"\x09"), EVIL_MAC),
                        (solicitation(US6, mac=EVIL_MAC), PEER_MAC),
                        (solicitation(US6, mac=EVIL_MAC), EVIL_MAC)):
        service.interface.receive(0, mac, OUR_MAC, IPV6, packet, 0, len(packet))
    assert service.count("spoofed") == 4
    accepted.send(0, b"secret")
    assert {mac for mac, _ in service.sent()} == {PEER_MAC}


def test_the_pin_goes_with_the_last_connection():
    def test(version):
        service = Service(version)
        first = service.open()
        service.seq = 5000
        [(_, answer)] = service.say(SYN, port=4001)
        service.seq += 1
        service.say(ACK, answer[2] + 1, port=4001)
        second = service.listener.accept()
        assert service.interface.pins == {service.peer: [PEER_MAC, 2]}
        first.abort(0)
        assert service.interface.pins == {service.peer: [PEER_MAC, 1]}
        service.sent()
        assert service.say(SYN, mac=EVIL_MAC, port=4002) == []
        assert service.count("spoofed") == 1
        second.close(0)         # FIN, and the peer's; then TIME_WAIT
        fin = service.sent()[-1][1]
        service.say(FIN | ACK, fin[2] + 1, port=4001)
        assert service.interface.pins is not None
        service.stack.poll(10000)
        assert service.interface.pins is None and not service.stack.tcp.connections
        service.say(SYN, mac=EVIL_MAC, port=4003, now=10000)
        assert service.count("spoofed") == 1 and service.count("tcp_not_admitted") == 1

    _both(test)


def test_the_pin_goes_with_a_handshake_that_comes_to_nothing():
    for end in "reset", "silence", "closed":
        service = Service()
        service.say(SYN)
        assert service.interface.pins == {PEER: [PEER_MAC, 1]}
        if end == "reset":
            service.seq += 1
            service.say(RST)
        elif end == "silence":
            for now in range(0, 100000, 1000):
                service.stack.poll(now)
        else:
            service.listener.close(0)
        assert service.interface.pins is None and not service.stack.tcp.half_open, end


def test_there_are_no_cookies_for_those_who_must_be_asked():
    service = Service(admit=lambda ip, mac: True)
    for port in range(limits.TCP_HALF_OPEN):
        assert len(service.say(SYN, port=5000 + port)) == 1
    assert service.say(SYN, port=6000) == []
    assert service.count("tcp_syn_cookie") == 0 and service.count("tcp_not_admitted") == 1
    # A cookie that another listener gave does not open this one.
    other = tcp.TcpSocket(service.stack)
    other.bind(None, 80)
    other.listen(8)
    packet = segment(7000, 80, 1, 0, SYN)
    give(service.interface, 0, packet)
    assert service.count("tcp_syn_cookie") == 1
    [(_, answer)] = service.sent()
    assert service.say(ACK, answer[2] + 1, port=7000, seq=2)[0][1][4] & RST


def test_who_is_behind_a_router_is_not_admitted():
    service = Service(admit=lambda ip, mac: True)
    service.interface.set_routes([(bytes(4), 0, PEER)])
    assert service.say(SYN, source=bytes((192, 168, 1, 1))) == []
    assert service.count("tcp_not_admitted") == 1 and service.interface.pins is None


def test_a_listener_without_admit_pins_nobody():
    service = Service()
    service.listener.admit = None
    accepted = service.open()
    assert service.interface.pins is None
    service.say(PSH | ACK, service.iss + 1, b"anybody", mac=EVIL_MAC)
    assert accepted.recv(0, 100) == b"anybody"


def test_another_interface_is_not_concerned():
    service = Service()
    service.open()
    other = Link(mac=b"\x02\x00\x00\x00\x00\x09")
    interface = service.stack.add_interface(other)
    interface.set_addresses(0, [(bytes((10, 1, 0, 1)), 24)])
    assert interface.pins is None
    packet = segment(1, PORT, 1, 0, SYN, source=PEER, destination=US)
    interface.receive(0, EVIL_MAC, other.mac, IPV4, packet, 0, len(packet))
    assert service.count("ip_not_ours") == 1
