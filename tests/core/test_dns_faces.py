"""Names for programs: blocking, under asyncio, and where a host is named."""

from mpcore import aio, dns
from mpcore.dns import message
from mpcore.dns.mdns import Responder
from mpcore.dns.message import A, AAAA, name_from
from mpcore.dns.search import resolver
from lan import Lan, run
from name_server import NameServer, answer
from support import raises

DOMAIN = b"lab.example"
IP = b"\x0a\0\0\x02"


class Network:
    """As much of a vl2 Network as names need."""

    def __init__(self, domain, servers):
        self.config = self
        self.dns_domain = domain
        self.dns_servers = servers


class Bare:
    """A network without a config yet."""

    config = None


def _server(host, silent=False):
    """A name server on a host, which knows the host by the name bulb.lab.example."""
    server = NameServer(host.stack, {
        (name_from("bulb.lab.example"), A): [answer("bulb.lab.example", A, host.ip)]}, silent)
    host.services.append(server)
    return server


def _asker(host, server, domain=DOMAIN):
    host.networks = {b"a" * 8: Network(domain, [server.ip]), b"b" * 8: Bare(),
                     b"c" * 8: Network(b"\xff..", [server.ip]), b"d" * 8: Network(b"other", [])}
    return host.runtime


def _code(name, runtime, size=0):
    return raises(OSError, dns.lookup, runtime, name, size).errno


def test_a_name_is_looked_up_while_the_node_is_driven():
    lan = Lan(2, virtual_time=True)
    a, b = lan.hosts
    server = _server(b)
    runtime = _asker(a, b)
    assert dns.lookup(runtime, "bulb.lab.example") == [IP]
    assert dns.lookup(runtime, "bulb.lab.example.", 4) == [IP]
    assert dns.lookup(runtime, "Bulb") == [IP]             # in the network's domain
    assert len(server.asked) == 1                           # which is one and the same
    assert _code("lamp", runtime) == _code("lamp.lab.example", runtime) == -2
    assert _code("bulb.lab.example", runtime, 16) == -2
    assert [kind for _, _, kind, _ in server.asked].count(AAAA) == 1


def test_what_is_no_name_is_nobodys():
    lan = Lan(2, virtual_time=True)
    runtime = _asker(*lan.hosts)
    for name in ("", ".", "localhost", "10.0.0.256", "bulb..lab", "x" * 64, "1"):
        assert not dns.knows(runtime, name), name
        assert _code(name, runtime) == -2, name
    assert lan.now_ms == 0


def test_whose_affair_a_name_is():
    lan = Lan(2, virtual_time=True)
    runtime = _asker(*lan.hosts)
    for name in ("bulb.lab.example", "LAB.example.", "bulb", "bulb.local", "x.y.local."):
        assert dns.knows(runtime, name), name
    for name in ("example.org", "example", "collab.example.", "bulb."):
        assert dns.knows(runtime, name) == (name == "example"), name    # example.lab.example
    runtime = _asker(*lan.hosts, domain=b"")                # servers without a domain
    assert not dns.knows(runtime, "bulb") and not dns.knows(runtime, "bulb.lab.example")
    assert dns.knows(runtime, "bulb.local")


def test_servers_are_asked_for_other_names_too_when_somebody_asks_here():
    lan = Lan(2, virtual_time=True)
    a, b = lan.hosts
    server = _server(b)
    server.records[name_from("www.example.org"), A] = [answer("www.example.org", A, IP)]
    assert dns.lookup(_asker(a, b), "www.example.org") == [IP]
    assert dns.lookup(_asker(a, b, b""), "bulb.lab.example") == [IP]
    a.networks = {}
    before = lan.now_ms
    assert _code("lab.example.org", a.runtime) == -2 and lan.now_ms == before


def test_nobody_answering_is_another_error_than_no_such_name():
    lan = Lan(2, virtual_time=True)
    a, b = lan.hosts
    _server(b, silent=True)
    assert _code("bulb", _asker(a, b)) == -3
    assert 7000 <= lan.now_ms <= 7100
    started_ms = lan.now_ms
    assert _code("bulb.local", a.runtime) == -2
    assert 5000 <= lan.now_ms - started_ms <= 5100


def test_both_families_are_asked_for_where_there_are_both():
    lan = Lan(2, virtual_time=True)
    a, b = lan.hosts
    server = _server(b)
    ip6 = b"\xfd" + bytes(14) + b"\2"
    server.records[name_from("bulb.lab.example"), AAAA] = [
        answer("bulb.lab.example", AAAA, ip6)]
    a.interface.set_addresses(0, [(a.ip, 24), (b"\xfd" + bytes(14) + b"\1", 64)])
    runtime = _asker(a, b)
    assert dns.lookup(runtime, "bulb") == [IP, ip6]
    assert dns.lookup(runtime, "bulb", 4) == [IP] and dns.lookup(runtime, "bulb", 16) == [ip6]
    assert len(server.asked) == 2 and len(a.services) == 1
    assert resolver(runtime) is a.services[0]


def test_under_asyncio():
    async def main(a, b):
        _server(b)
        runtime = _asker(a, b)
        assert await dns.resolve(runtime, "bulb") == [IP]
        assert await dns.resolve(runtime, "bulb") == [IP]   # at once: it is known
        try:
            await dns.resolve(runtime, "lamp")
            assert False
        except OSError as error:
            assert error.errno == -2
        b.services.append(Responder(b.stack, "lamp", b.runtime.kick))
        b.runtime.kick()
        b.services[-1].advertise(b.runtime.now(), "_http._tcp", 80)
        assert await dns.resolve(runtime, "lamp.local") == [IP]
        pointers = await dns.records(runtime, "_http._tcp.local", message.PTR)
        assert pointers == [b"\4lamp" + name_from("_http._tcp.local")]

    run(main)


def test_hosts_may_be_named():
    async def main(a, b):
        async def greet(reader, writer):
            await writer.awrite(b"hello")
            await writer.aclose()

        _server(b)
        _asker(b, b)
        runtime = _asker(a, b)
        server = await aio.start_server(greet, "bulb", 7, runtime=b.runtime)
        reader, writer = await aio.open_connection("bulb.lab.example", 7, runtime=runtime)
        assert await reader.read() == b"hello"
        assert writer.get_extra_info("peername") == ("10.0.0.2", 7)
        await writer.aclose()
        server.close()
        try:
            await aio.open_connection("10.0.0.256", 7, runtime=runtime)
            assert False
        except OSError as error:
            assert error.errno == -2

    run(main)
