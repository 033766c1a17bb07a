"""The multicast DNS responder, and questions to it, on one virtual Ethernet in virtual time."""

from mpcore import limits
from mpcore.dns import message, multicast
from mpcore.dns.mdns import Responder
from mpcore.dns.message import (A, AAAA, ANY, FLUSH, IN, NSEC, PTR, SRV, TXT, Message, Record,
                                name_from)
from mpcore.dns.resolver import UNKNOWN, Resolver
from mpcore.ip.udp import UdpSocket

from dns_lan import Segment
from ip_link import IPV4, IPV6, read_udp
from support import raises

BULB = name_from("bulb.local")
HTTP = name_from("_http._tcp.local")
ESTABLISHED_MS = 2000
RESPONSE = 0x8400


class Scene:
    """Hosts 10.0.0.1, 10.0.0.2, ...; each of `names` has a Responder, whose delays are the
    shortest. The last host is without one: `peer`, with the socket `mouth` bound to 5353."""

    def __init__(self, *names, ipv6=False, services=()):
        self.segment = Segment(len(names) + 1, ipv6)
        self.hosts = self.segment.hosts
        self.responders = []
        for host, name in zip(self.hosts, names):
            host.stack.entropy = lambda n: bytes(n)
            responder = Responder(host.stack, name)
            for service in services:
                responder.advertise(0, *service)
            host.services.append(responder)
            self.responders.append(responder)
        self.peer = self.hosts[-1]
        self.mouth = UdpSocket(self.peer.stack)
        self.mouth.bind(self.peer.ip, multicast.PORT)
        self.mouth.join(0, multicast.GROUPS[4])

    def run(self, until_ms):
        """The messages of the time until then, as `said`."""
        before = len(self.segment.frames)
        self.segment.run(until_ms)
        return self.said(before)

    def said(self, before=0):
        """[(ms, host number, to whom, port, Message)] of mDNS over UDP."""
        found = []
        for now, source_mac, _, ethertype, packet in self.segment.frames[before:]:
            if ethertype in (IPV4, IPV6):
                source, source_port, destination, port, data = read_udp(packet)
                if multicast.PORT in (source_port, port):
                    found.append((now, source_mac[5], destination, port, Message(data)))
        return found

    def ask(self, questions, known=(), flags=0, socket=None, claims=(), until_ms=None):
        """What is said in answer to questions [(name, kind) or (name, kind, class)]."""
        now = self.segment.now
        questions = [message.question(*question) for question in questions]
        query = message.build(7, flags, questions, known, claims)
        (socket or self.mouth).sendto(now, query, multicast.GROUPS[4], multicast.PORT)
        return [each for each in self.run(until_ms or now + 1) if each[1] != len(self.hosts)]

    def tell(self, records, flags=RESPONSE):
        """The peer multicasts an answer."""
        self.mouth.sendto(self.segment.now, message.build(0, flags, (), records),
                          multicast.GROUPS[4], multicast.PORT)
        return self.run(self.segment.now + 1)


def established(**options):
    scene = Scene("bulb", **options)
    scene.run(ESTABLISHED_MS + 1000)
    assert scene.responders[0].established
    return scene


def record(name, kind, data, ttl=120, cls=IN | FLUSH):
    return Record(message.ANSWER, name, kind, cls, ttl, data)


def answers(said):
    return [each for each in said[4] if each.section == message.ANSWER]


def plain(records):
    return [(each.name, each.kind, each.ttl, each.data) for each in records]


def test_a_name_is_probed_for_announced_and_given_up():
    scene = Scene("bulb")
    responder = scene.responders[0]
    said = scene.run(600)
    assert [each[:4] for each in said] == [
        (ms, 1, multicast.GROUPS[4], 5353) for ms in (0, 250, 500)]
    for each in said:
        assert each[4].flags == 0 and list(each[4]) == [
            message.question(BULB, ANY, 0x8001),
            Record(message.AUTHORITY, BULB, A, IN, 120, scene.hosts[0].ip)]
    assert not responder.established
    said = scene.run(10000)
    assert [each[0] for each in said] == [750, 1750] and responder.established
    for each in said:
        assert each[4].flags == RESPONSE
        assert list(each[4]) == [record(BULB, A, scene.hosts[0].ip)]
    before = len(scene.segment.frames)
    responder.close(scene.segment.now)
    (goodbye,) = scene.said(before)
    assert list(goodbye[4]) == [record(BULB, A, scene.hosts[0].ip, ttl=0)]
    assert scene.hosts[0].stack.udp.sockets == 0 and not scene.hosts[0].groups


def test_a_question_is_answered_at_once_to_all():
    scene = established()
    (said,) = scene.ask([(name_from("Bulb.LOCAL"), A)])
    assert said[:4] == (3000, 1, multicast.GROUPS[4], 5353) and said[4].id == 0
    assert list(said[4]) == [record(BULB, A, scene.hosts[0].ip)]
    assert scene.ask([(name_from("other.local"), A), (BULB, A, 3)]) == []


def test_the_same_is_not_said_to_all_twice_within_a_second_but_to_who_probes():
    scene = established()
    assert len(scene.ask([(BULB, A)])) == 1
    scene.run(3250)
    assert scene.ask([(BULB, A)]) == []
    claim = Record(message.AUTHORITY, BULB, A, IN, 120, scene.peer.ip)
    assert len(scene.ask([(BULB, ANY)], claims=[claim])) == 1
    scene.run(4250)
    assert scene.ask([(BULB, A)]) == []     # 3251 to 4250 is not yet a second
    assert len(scene.ask([(BULB, A)])) == 1


def test_who_wants_to_be_answered_alone_is_unless_others_have_not_heard_for_long():
    scene = established()
    (said,) = scene.ask([(BULB, A, 0x8001)])
    assert said[2:4] == (scene.peer.ip, 5353) and answers(said)[0].cls == IN | FLUSH
    scene.run(1750 + 30000)                 # a quarter of 120 s after the last announcement
    (said,) = scene.ask([(BULB, A, 0x8001)])
    assert said[2] == multicast.GROUPS[4]
    (said,) = scene.ask([(BULB, A, 0x8001)])
    assert said[2] == scene.peer.ip


def test_a_plain_resolver_is_answered_as_by_a_server():
    scene = established()
    plain_socket = UdpSocket(scene.peer.stack)
    (said,) = scene.ask([(BULB, A)], socket=plain_socket)
    assert said[2:4] == (scene.peer.ip, plain_socket.local[1])
    assert (said[4].id, said[4].flags) == (7, RESPONSE)
    assert list(said[4]) == [message.question(BULB, A),
                             record(BULB, A, scene.hosts[0].ip, ttl=10, cls=IN)]


def test_that_there_is_nothing_of_a_type_is_said():
    scene = established()
    (said,) = scene.ask([(BULB, AAAA)])
    assert list(said[4]) == [record(BULB, NSEC, BULB + b"\0\1\x40")]
    scene = established(ipv6=True)
    (said,) = scene.ask([(BULB, TXT)])
    assert list(said[4]) == [record(BULB, NSEC, BULB + b"\0\4\x40\0\0\x08")]


def test_what_the_questioner_knows_is_not_said():
    scene = established()
    known = record(BULB, A, scene.hosts[0].ip, ttl=60)
    assert scene.ask([(BULB, A)], known=[known]) == []
    assert len(scene.ask([(BULB, A)], known=[record(BULB, A, scene.hosts[0].ip, ttl=59)])) == 1
    scene.run(5000)
    assert len(scene.ask([(BULB, A)], known=[record(BULB, A, scene.peer.ip)])) == 1


def test_both_families_and_both_groups():
    scene = Scene("bulb", ipv6=True)
    host = scene.hosts[0]
    said = scene.run(800)
    assert [each[:3] for each in said] == [
        (ms, 1, multicast.GROUPS[size]) for ms in (0, 250, 500, 750) for size in (4, 16)]
    for each in said[-2:]:
        assert list(each[4]) == [record(BULB, A, host.ip), record(BULB, AAAA, host.ip6)]
    scene.run(3000)
    (said,) = scene.ask([(BULB, AAAA)])
    assert answers(said) == [record(BULB, AAAA, host.ip6)]
    assert list(said[4])[1].section == message.ADDITIONAL and list(said[4])[1].kind == A


def test_who_comes_second_takes_another_name():
    scene = Scene("bulb", "Bulb")
    first, second = scene.responders
    second.close(0)
    late = scene.hosts[1].services.pop()
    scene.run(3000)
    scene.hosts[1].services.append(late)
    late.__init__(scene.hosts[1].stack, "Bulb")
    scene.run(10000)
    assert (first.hostname, late.hostname) == ("bulb", "Bulb-2") and late.established
    said = scene.ask([(name_from("bulb-2.local"), A)])
    assert plain(answers(said[0])) == [(name_from("Bulb-2.local"), A, 120, scene.hosts[1].ip)]


def test_of_two_who_come_at_once_the_later_address_wins():
    scene = Scene("bulb", "bulb")
    scene.run(10000)
    assert [each.hostname for each in scene.responders] == ["bulb-2", "bulb"]
    assert all([each.established for each in scene.responders])


def test_of_two_who_come_at_once_the_loser_waits_a_second_and_looks_whether_the_other_is_there():
    scene = Scene("bulb")
    scene.segment.run(100)
    claim = Record(message.AUTHORITY, BULB, A, IN, 120, scene.peer.ip)
    assert scene.ask([(BULB, ANY)], claims=[claim]) == []
    assert [each[0] for each in scene.run(3000)] == [1100, 1350, 1600, 1850, 2850]
    assert scene.responders[0].hostname == "bulb"
    lower = Scene("bulb")
    lower.segment.run(100)
    claim = Record(message.AUTHORITY, BULB, A, IN, 120, b"\x0a\0\0\0")
    lower.ask([(BULB, ANY)], claims=[claim])
    assert [each[0] for each in lower.run(3000)] == [250, 500, 750, 1750]
    same = Scene("bulb")
    same.segment.run(100)
    claim = Record(message.AUTHORITY, BULB, A, IN, 120, same.hosts[0].ip)
    same.ask([(BULB, ANY)], claims=[claim])
    assert [each[0] for each in same.run(3000)] == [250, 500, 750, 1750]


def test_an_established_name_is_probed_for_again_when_somebody_else_says_to_have_it():
    scene = established()
    responder = scene.responders[0]
    assert scene.tell([record(BULB, A, scene.hosts[0].ip)]) == []       # the same: no conflict
    assert scene.tell([record(BULB, A, scene.peer.ip, ttl=0)]) == []    # nor is a goodbye
    assert scene.tell([record(BULB, TXT, b"\0")]) == []                 # nor another type
    assert [each[0] for each in scene.tell([record(BULB, A, scene.peer.ip)])] == [3003]
    assert not responder.established and responder.hostname == "bulb"
    scene.tell([record(BULB, A, scene.peer.ip)])            # he insists
    assert responder.hostname == "bulb-2"
    scene.run(6000)
    assert responder.established
    assert scene.ask([(BULB, A)]) == []


def test_after_fifteen_conflicts_each_costs_five_seconds():
    scene = Scene("bulb")
    responder = scene.responders[0]
    scene.run(1)
    for number in range(2, 17):
        scene.tell([record(name_from(responder.hostname + ".local"), A, scene.peer.ip)])
        assert responder.hostname == "bulb-%d" % number
    now = scene.segment.now
    assert [each[0] for each in scene.run(now + 5300)] == [now + 4999, now + 5249]


def test_a_long_name_is_cut_for_its_number():
    scene = Scene("b" * 63)
    scene.run(1)
    scene.tell([record(name_from("b" * 63 + ".local"), A, scene.peer.ip)])
    assert scene.responders[0].hostname == "b" * 61 + "-2"
    for wrong in ("", "b" * 64):
        raises(ValueError, Responder, scene.peer.stack, wrong)


def test_a_service_is_found_with_all_that_is_needed_to_use_it():
    scene = established(services=[("_http._tcp", 80, {"path": "/", "a": 1})])
    instance = b"\4bulb" + HTTP
    pointer = record(HTTP, PTR, instance, 4500, IN)
    srv = record(instance, SRV, b"\0\0\0\0\0\x50" + BULB)
    txt = record(instance, TXT, b"\3a=1\6path=/", 4500)
    host = record(BULB, A, scene.hosts[0].ip)
    said = scene.ask([(HTTP, PTR)], until_ms=3100)
    assert [each[0] for each in said] == [3020]     # others may have such a service too
    assert answers(said[0]) == [pointer]
    assert plain(said[0][4])[1:] == plain([srv, txt, host])
    said = scene.ask([(instance, SRV)])
    assert answers(said[0]) == [srv] and plain(said[0][4])[1:] == plain([host])
    listed = scene.ask([(name_from("_services._dns-sd._udp.local"), PTR)], until_ms=3200)
    assert plain(answers(listed[0])) == [
        (name_from("_services._dns-sd._udp.local"), PTR, 4500, HTTP)]
    (said,) = scene.ask([(instance, A)])
    assert plain(said[4]) == [(instance, NSEC, 120, instance + b"\0\5\0\0\x80\0\x40")]


def test_the_instances_name_is_probed_for_too():
    scene = Scene("bulb", services=[("_http._tcp", 80)])
    probe = scene.run(10)[0]
    instance = b"\4bulb" + HTTP
    assert [(each.section, each.name, each.kind) for each in probe[4]] == [
        (0, BULB, ANY), (0, instance, ANY), (2, BULB, A), (2, instance, SRV), (2, instance, TXT)]
    scene.tell([record(instance, SRV, b"\0\0\0\0\0\x51" + BULB)])
    assert scene.responders[0].hostname == "bulb-2"


def test_answers_that_wait_are_left_out_when_they_have_become_known():
    scene = established(services=[("_http._tcp", 80)])
    instance = b"\4bulb" + HTTP
    pointer = record(HTTP, PTR, instance, 4500, IN)
    # The rest of what the questioner knows follows in another message, which TC announces.
    assert scene.ask([(HTTP, PTR)], flags=message.TRUNCATED) == []
    assert scene.ask([], known=[pointer], until_ms=4000) == []
    said = scene.ask([(HTTP, PTR)], flags=message.TRUNCATED, until_ms=5000)
    assert [each[0] for each in said] == [4400]
    assert scene.ask([(HTTP, PTR)], until_ms=5010) == []
    scene.tell([pointer])                   # somebody else has told everybody
    assert scene.run(6000) == []


def test_replies_that_wait_are_bounded():
    scene = established(services=[("_http._tcp", 80)])
    for _ in range(limits.MDNS_REPLIES + 5):
        scene.ask([(HTTP, PTR)], flags=message.TRUNCATED)
    assert len(scene.responders[0]._ways[0]._replies) == limits.MDNS_REPLIES
    assert len(scene.run(4000)) == 1        # and are said once a second at most


def test_what_is_malformed_or_comes_from_elsewhere_is_not_answered():
    scene = established()
    good = message.build(7, 0, [message.question(BULB, A)])
    for data in (good[:-1], b"", b"\0" * 11, good[:2] + b"\x28\0" + good[4:]):
        scene.mouth.sendto(3000, data, multicast.GROUPS[4], multicast.PORT)
    assert scene.run(3100) == []
    assert scene.hosts[0].stack.counters["mdns_malformed"] == 3
    scene.peer.interface.set_addresses(3100, [(b"\xc0\0\2\1", 24)])
    elsewhere = UdpSocket(scene.peer.stack)
    elsewhere.bind(None, multicast.PORT)
    assert scene.ask([(BULB, A)], socket=elsewhere) == []


def test_many_questions_make_no_large_answer():
    scene = established()
    names = [b"\4" + bytes([letter ^ (0x20 if case >> i & 1 else 0)
                            for i, letter in enumerate(b"bulb")]) + b"\5local\0"
             for case in range(16)] * 3
    claims = [Record(message.AUTHORITY, name, A, IN, 120, scene.peer.ip) for name in names]
    asking = UdpSocket(scene.peer.stack)
    (said,) = scene.ask([(name, A) for name in names], claims=claims, socket=asking)
    assert len(list(said[4])) == limits.DNS_RECORDS + 1


def test_answers_from_another_port_are_no_conflict():
    scene = established()
    other = UdpSocket(scene.peer.stack)
    other.sendto(3000, message.build(0, RESPONSE, (), [record(BULB, A, scene.peer.ip)]),
                 multicast.GROUPS[4], multicast.PORT)
    scene.run(3100)
    assert scene.responders[0].established


def test_new_addresses_are_announced_and_no_addresses_are_waited_for():
    scene = established()
    host = scene.hosts[0]
    host.interface.set_routes([])           # which a config does every few minutes
    assert scene.run(5000) == []
    host.interface.set_addresses(5000, [])
    assert scene.run(6000) == [] and host.stack.udp.sockets == 0
    host.interface.set_addresses(6000, [(b"\x0a\0\0\x63", 24)])
    said = scene.run(9000)
    assert [each[0] for each in said] == [6000, 6250, 6500, 6750, 7750]
    assert list(said[-1][4]) == [record(BULB, A, b"\x0a\0\0\x63")]


def test_when_somebody_else_keeps_the_port_the_name_is_not_answered_for():
    for shares in (False, True):
        scene = Scene("bulb")
        taken = UdpSocket(scene.hosts[0].stack)
        taken.reuse = shares
        taken.bind(scene.hosts[0].ip, multicast.PORT)
        scene.run(3000)
        assert scene.responders[0].established == shares
        assert scene.hosts[0].stack.counters.get("mdns_no_socket", 0) == 1 - shares


def _resolver(scene):
    resolver = Resolver(scene.peer.stack, lambda: [], scene.peer.kick)
    scene.peer.services.append(resolver)
    results = []

    def ask(name, kind):
        before = len(results)
        resolver.query(scene.segment.now, name_from(name), kind,
                       lambda error, data: results.append((error, data)))
        scene.segment.run(scene.segment.now + 60000, lambda: len(results) > before)
        return results[-1]

    return ask


def test_the_resolver_finds_a_board_by_its_name():
    scene = established(services=[("_http._tcp", 80)])
    ask = _resolver(scene)
    assert ask("BULB.local", A) == (0, [scene.hosts[0].ip])
    assert ask("bulb.local", AAAA) == (UNKNOWN, ()) and scene.segment.now == 3000    # an NSEC
    assert ask("_http._tcp.local", PTR) == (0, [b"\4bulb" + HTTP])
    assert scene.peer.stack.udp.sockets == 1        # the mouth


def test_our_own_name_is_found_too():
    scene = Scene("bulb")
    scene.peer.services.append(Responder(scene.peer.stack, "lamp", scene.peer.kick))
    scene.mouth.close(0)
    scene.run(3000)
    ask = _resolver(scene)
    assert ask("lamp.local", A) == (0, [scene.peer.ip]) and scene.segment.now == 3000


def test_what_is_sent_can_be_seen_not_to_come_from_afar():
    scene = established(ipv6=True)
    _resolver(scene)("bulb.local", A)
    kinds = set()
    for _, _, destination, ethertype, packet in scene.segment.frames:
        if ethertype == IPV4:
            assert packet[8] == 255
            kinds.add((4, destination[0]))
        elif ethertype == IPV6 and packet[6] == 17:
            assert packet[7] == 255
            kinds.add((16, destination[0]))
    assert kinds == {(4, 1), (4, 2), (16, 0x33), (16, 2)}       # groups, and the one who asked


def test_the_resolver_keeps_what_it_found_for_ten_seconds():
    scene = established()
    ask = _resolver(scene)
    assert ask("bulb.local", A) == (0, [scene.hosts[0].ip])
    scene.responders[0].close(3000)
    scene.segment.run(12999)
    assert ask("bulb.local", A) == (0, [scene.hosts[0].ip])
    scene.segment.run(13000)
    assert ask("bulb.local", A) == (UNKNOWN, ()) and scene.segment.now == 18000


def test_the_resolver_asks_three_times_in_five_seconds_on_both_families():
    scene = Scene(ipv6=True)
    ask = _resolver(scene)
    assert ask("bulb.local", A) == (UNKNOWN, ()) and scene.segment.now == 5000
    assert [each[0] for each in scene.said()] == [0, 0, 1000, 1000, 3000, 3000]
    scene = Scene()
    scene.peer.interface.set_addresses(0, [])
    assert _resolver(scene)("bulb.local", A) == (UNKNOWN, ())


def test_the_resolver_takes_only_what_answers_it():
    scene = Scene("bulb")           # who says nothing yet
    results = []
    resolver = Resolver(scene.peer.stack, lambda: [])
    scene.peer.services.append(resolver)
    resolver.query(0, BULB, A, lambda error, data: results.append((error, data)))
    scene.run(1)
    other = UdpSocket(scene.hosts[0].stack)
    query = [each for each in scene.said() if each[1] == 2][0]
    ports = [port for port in scene.peer.stack.udp.ports if port != multicast.PORT]
    good = record(BULB, A, b"\x0a\0\0\x63", 10, IN)

    def give(socket, identifier, flags, found, port=ports[0]):
        socket.sendto(1, message.build(identifier, flags, (), [found]), scene.peer.ip, port)
        scene.segment.run(scene.segment.now + 1)
        return results

    identifier = query[4].id
    assert give(other, identifier, RESPONSE, good) == []            # from another port than 5353
    mouth = scene.responders[0]._ways[0].link._udp
    assert give(mouth, identifier ^ 1, RESPONSE, good) == []
    assert give(mouth, identifier, 0, good) == []
    assert give(mouth, identifier, RESPONSE, record(HTTP, A, b"\x0a\0\0\x63")) == []
    mouth.sendto(1, b"\xff" * 30, scene.peer.ip, ports[0])
    assert give(mouth, identifier, RESPONSE, good) == [(0, [b"\x0a\0\0\x63"])]
