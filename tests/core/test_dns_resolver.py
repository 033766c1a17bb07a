"""The stub resolver against servers on one virtual Ethernet, in virtual time."""

from mpcore import limits
from mpcore.dns import message
from mpcore.dns.message import A, AAAA, CNAME, SOA, TXT, name_from
from mpcore.dns.resolver import AGAIN, UNKNOWN, Resolver
from mpcore.ip.udp import UdpSocket

from dns_lan import Segment
from name_server import NameServer, answer

SERVFAIL, NXDOMAIN, REFUSED = 2, 3, 5
BULB = name_from("bulb.lab.example")
IP, OTHER = b"\x0a\0\0\x63", b"\x0a\0\0\x64"


class Scene:
    """A host that asks, 10.0.0.1, and servers from 10.0.0.2 on; `results` of its questions."""

    def __init__(self, servers=1, absent=0, domain="lab.example", **options):
        self.segment = Segment(1 + servers)
        self.host = self.segment.hosts[0]
        self.servers = [NameServer(host.stack, {}, **options) for host in self.segment.hosts[1:]]
        for host, server in zip(self.segment.hosts[1:], self.servers):
            host.services.append(server)
        self.ips = [host.ip for host in self.segment.hosts[1:]]
        self.zones = [(name_from(domain), self.ips)]
        self.resolver = Resolver(self.host.stack, lambda: self.zones)
        self.host.services.append(self.resolver)
        self.results = []

    def ask(self, name=BULB, kind=A, limit_ms=60000):
        """The result, (error, data)."""
        before = len(self.results)
        self.send(name, kind)
        self.segment.run(self.segment.now + limit_ms, lambda: len(self.results) > before)
        return self.results[-1]

    def send(self, name=BULB, kind=A):
        name = name_from(name) if isinstance(name, str) else name
        self.resolver.query(self.segment.now, name, kind,
                            lambda error, data: self.results.append((error, data)))

    def sockets(self):
        return self.host.stack.udp.sockets, len(self.host.stack.tcp.connections)


def test_an_address_is_asked_once_and_kept_as_long_as_it_holds():
    scene = Scene()
    server = scene.servers[0]
    server.records[BULB, A] = [answer("bulb.lab.example", A, IP, 60),
                               answer("bulb.lab.example", A, OTHER, 30)]
    assert scene.ask() == (0, [IP, OTHER])
    assert scene.sockets() == (0, 0)
    scene.segment.run(29999)
    assert scene.ask() == (0, [IP, OTHER]) and len(server.asked) == 1
    assert scene.ask("BULB.Lab.example") == (0, [IP, OTHER]) and len(server.asked) == 1
    scene.segment.run(30000)
    assert scene.ask() == (0, [IP, OTHER])
    assert [now for now, _, _, _ in server.asked] == [0, 30000]
    assert server.asked[0][3] != server.asked[1][3]        # another ID every time


def test_no_such_name_and_nothing_of_this_type_hold_as_long_as_the_zone_says():
    scene = Scene()
    server = scene.servers[0]
    soa = name_from("ns.lab.example") + b"\0" + bytes(16) + (20).to_bytes(4, "big")
    server.authority = [answer("lab.example", SOA, soa, 40)]
    server.records[BULB, AAAA] = []
    assert scene.ask("nobody.lab.example") == (UNKNOWN, ())
    assert scene.ask(BULB, AAAA) == (UNKNOWN, ())
    scene.segment.run(19999)
    assert scene.ask("nobody.lab.example") == (UNKNOWN, ()) and len(server.asked) == 2
    scene.segment.run(20000)
    assert scene.ask("nobody.lab.example") == (UNKNOWN, ()) and len(server.asked) == 3
    server.authority = []           # then nothing is known of how long it holds
    assert scene.ask("else.lab.example") == scene.ask("else.lab.example") == (UNKNOWN, ())
    assert len(server.asked) == 5


def test_silent_servers_are_asked_in_turn_for_longer_and_longer():
    scene = Scene(servers=2, silent=True)
    assert scene.ask() == (AGAIN, ())
    assert scene.segment.now == 14000
    assert [now for now, _, _, _ in scene.servers[0].asked] == [0, 2000, 6000]
    assert [now for now, _, _, _ in scene.servers[1].asked] == [1000, 4000, 10000]
    assert scene.sockets() == (0, 0)
    scene.ask()                     # and a failure is not kept
    assert len(scene.servers[0].asked) == 6


def test_the_answer_of_a_slow_server_is_taken_while_another_is_asked():
    scene = Scene(servers=2, silent=True)
    scene.send()
    scene.segment.run(1500)
    slow = scene.servers[0]
    slow.records[BULB, A] = [answer("bulb.lab.example", A, IP)]
    query = message.build(slow.asked[0][3], message.WANT_RECURSION, [message.question(BULB, A)])
    udp = scene.host.stack.udp
    port = [port for port in udp.ports][0]
    slow._udp.sendto(1500, slow.reply(1500, query), scene.host.ip, port)
    scene.segment.run(1501)
    assert scene.results == [(0, [IP])]


def test_a_server_that_cannot_tell_is_left_at_once_for_the_next():
    scene = Scene(servers=3)
    scene.servers[0].records[BULB, A] = SERVFAIL
    scene.servers[1].records[BULB, A] = REFUSED
    scene.servers[2].records[BULB, A] = [answer("bulb.lab.example", A, IP)]
    assert scene.ask() == (0, [IP]) and scene.segment.now == 0
    scene.servers[2].records[BULB, AAAA] = scene.servers[1].records[BULB, AAAA] = SERVFAIL
    scene.servers[0].records[BULB, AAAA] = SERVFAIL
    assert scene.ask(BULB, AAAA) == (AGAIN, ()) and scene.segment.now == 0
    assert [len(server.asked) for server in scene.servers] == [2, 2, 2]


def test_a_server_without_a_route_is_passed_over():
    scene = Scene()
    scene.servers[0].records[BULB, A] = [answer("bulb.lab.example", A, IP)]
    scene.zones = [(name_from("lab.example"), [b"\xc0\0\2\1"] + scene.ips)]
    assert scene.ask() == (0, [IP]) and scene.segment.now == 0


def test_aliases_are_followed_within_an_answer_and_by_asking_on():
    scene = Scene()
    records = scene.servers[0].records
    www = name_from("www.lab.example")
    # The chain is in no particular order, and its end has to be asked for.
    records[www, A] = [answer("b.lab.example", CNAME, "Bulb.lab.example", 5),
                       answer("www.lab.example", CNAME, "b.lab.example", 50)]
    records[BULB, A] = [answer("bulb.lab.example", A, IP)]
    assert scene.ask(www) == (0, [IP]) and len(scene.servers[0].asked) == 2
    scene.segment.run(4999)
    assert scene.ask(www) == (0, [IP]) and len(scene.servers[0].asked) == 2
    scene.segment.run(5000)
    records[www, A].append(answer("bulb.lab.example", A, OTHER))
    assert scene.ask(www) == (0, [OTHER]) and len(scene.servers[0].asked) == 3


def test_aliases_in_a_circle_end():
    scene = Scene()
    one, two = name_from("one.lab.example"), name_from("two.lab.example")
    scene.servers[0].records[one, A] = [answer("one.lab.example", CNAME, "two.lab.example")]
    scene.servers[0].records[two, A] = [answer("two.lab.example", CNAME, "one.lab.example")]
    assert scene.ask(one) == (AGAIN, ())
    assert len(scene.servers[0].asked) == 9
    scene.servers[0].records[two, AAAA] = [answer("two.lab.example", CNAME, "two.lab.example")]
    assert scene.ask(two, AAAA) == (AGAIN, ()) and len(scene.servers[0].asked) == 10
    assert not scene.resolver._queries


def test_an_answer_that_is_cut_short_is_asked_for_over_tcp():
    scene = Scene(servers=2, most=100)
    many = [answer("bulb.lab.example", A, bytes((10, 0, 1, i))) for i in range(12)]
    scene.servers[0].records[BULB, A] = many
    assert scene.ask() == (0, [record.data for record in many])
    assert scene.segment.now == 0 and not scene.servers[1].asked
    assert len(scene.servers[0].asked) == 2 and scene.servers[0].asked[0][3] == (
        scene.servers[0].asked[1][3])
    assert scene.host.stack.udp.sockets == 0
    # Of a longer one limits.DNS_RECORDS are kept; one above limits.DNS_ANSWER is refused.
    most = limits.DNS_RECORDS
    text = b"\x3f" + bytes(63)
    scene.servers[0].records[BULB, message.TXT] = [answer("bulb.lab.example", message.TXT, text)
                                                   for _ in range(most + 1)]
    assert scene.ask(BULB, message.TXT) == (0, [text] * most)
    scene.servers[0].records[BULB, message.SRV] = [
        answer("bulb.lab.example", message.TXT, text * 4) for _ in range(most)]
    scene.servers[1].records[BULB, message.SRV] = []
    assert scene.ask(BULB, message.SRV) == (UNKNOWN, ())


def test_a_server_that_does_not_answer_over_tcp_is_left_after_five_seconds():
    scene = Scene(servers=2, most=60)
    scene.servers[0]._poll_streams = lambda now: None
    many = [answer("bulb.lab.example", A, bytes((10, 0, 1, i))) for i in range(12)]
    scene.servers[0].records[BULB, A] = many
    scene.servers[1].records[BULB, A] = many[:1]
    assert scene.ask() == (0, [many[0].data]) and scene.segment.now == 5000


def test_only_what_answers_the_question_is_taken():
    scene = Scene(servers=2, silent=True)
    scene.send()
    scene.segment.run(10)
    asked = scene.servers[0].asked[0]
    port = [port for port in scene.host.stack.udp.ports][0]
    good = answer("bulb.lab.example", A, IP)
    right = message.build(asked[3], message.RESPONSE, [message.question(BULB, A)], [good])
    wrong = [
        message.build(asked[3] ^ 1, message.RESPONSE, [message.question(BULB, A)], [good]),
        message.build(asked[3], 0, [message.question(BULB, A)], [good]),
        message.build(asked[3], message.RESPONSE | 0x800, [message.question(BULB, A)], [good]),
        message.build(asked[3], message.RESPONSE, [message.question(BULB, AAAA)], [good]),
        message.build(asked[3], message.RESPONSE, [message.question(BULB[5:], A)], [good]),
        message.build(asked[3], message.RESPONSE, [], [good]),
        right[:-1], right[:20], b"", b"\xff" * 40]
    server, stranger = scene.servers
    for data in wrong:
        server._udp.sendto(10, data, scene.host.ip, port)
    stranger._udp.sendto(10, right, scene.host.ip, port)        # has not been asked yet
    elsewhere = UdpSocket(scene.segment.hosts[1].stack)         # the right host, a wrong port
    elsewhere.sendto(10, right, scene.host.ip, port)
    scene.segment.run(20)
    assert scene.results == []
    server._udp.sendto(20, right, scene.host.ip, port)
    scene.segment.run(21)
    assert scene.results == [(0, [IP])]


def test_each_name_is_asked_of_the_servers_of_its_nearest_domain():
    scene = Scene()
    one, two, three = bytes((1,) * 4), bytes((2,) * 4), bytes((3,) * 4)
    scene.zones = [(name_from("example"), [one]), (name_from("Lab.example"), [two, three]),
                   (message.ROOT, [three])]
    servers = scene.resolver.servers
    assert servers(name_from("bulb.lab.Example")) == [two, three]
    assert servers(name_from("lab.example")) == [two, three]
    assert servers(name_from("collab.example")) == [one]
    assert servers(name_from("example.org")) == [one, two, three]
    scene.zones = []
    assert scene.ask() == (UNKNOWN, ())


def test_a_question_under_way_is_not_asked_twice_and_their_number_is_bounded():
    scene = Scene(silent=True)
    for _ in range(3):
        scene.send()
    scene.segment.run(10)
    assert len(scene.servers[0].asked) == 1
    for i in range(limits.DNS_WAITING):
        scene.send("name%d.lab.example" % i)
    assert scene.results == [(AGAIN, ())]           # the last one found no room
    scene.segment.run(20)
    assert len(scene.servers[0].asked) == limits.DNS_QUERIES == scene.sockets()[0]
    scene.servers[0].silent = False
    scene.segment.run(8000)
    assert len(scene.results) == 1 + 3 + limits.DNS_WAITING - 1
    assert scene.sockets() == (0, 0)


def test_the_cache_is_bounded():
    scene = Scene(most=2000)
    for i in range(limits.DNS_CACHE + 4):
        name = "name%d.lab.example" % i
        scene.servers[0].records[name_from(name), A] = [answer(name, A, IP, 100 + i)]
        assert scene.ask(name) == (0, [IP])
    assert len(scene.resolver._cache) == limits.DNS_CACHE
    asked = len(scene.servers[0].asked)
    scene.ask("name4.lab.example")
    assert len(scene.servers[0].asked) == asked     # what holds for longest stayed
    scene.ask("name3.lab.example")
    assert len(scene.servers[0].asked) == asked + 1
    text = b"\xff" + bytes(255)
    for count in (2, 3):            # what is long is not kept
        found = answer("bulb.lab.example", TXT, text, count)
        scene.servers[0].records[BULB, TXT] = [found] * count
        assert scene.ask(BULB, TXT) == scene.ask(BULB, TXT) == (0, [text] * count)
        scene.segment.run(2000)
    assert len(scene.servers[0].asked) == asked + 4


def test_without_a_socket_to_be_had_nobody_can_tell():
    scene = Scene()
    scene.servers[0].records[BULB, A] = [answer("bulb.lab.example", A, IP)]
    held = [UdpSocket(scene.host.stack) for _ in range(limits.UDP_SOCKETS)]
    for socket in held:
        socket.bind(None, 0)
    assert scene.ask() == (AGAIN, ())
    assert scene.ask("bulb.local") == (AGAIN, ())
    held[0].close(0)
    assert scene.ask() == (0, [IP])
