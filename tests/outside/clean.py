"""A good line: everything arrives, nothing is sent twice, and an expert finds nothing to say."""

import contextlib
import json
import re
import socket
import time
import urllib.request

import expert
from bench import KERNEL, STATION, Unmet, digest, expect, packed, read_all, talk, wait_for
from bridge import DEVICE
from lab import run
from mpcore.ip.states import FIN_WAIT_2
from pattern import whole

_MEGABYTE = 1 << 20
_MUCH = 1 << 18                # full windows, when the FIN comes
_ECONNREFUSED, _ECONNRESET = 111, 104


def ping(bench):
    """Echo requests of all sizes, in fragments too, both ways."""
    trips = []
    for family in (4, 6):
        for size in (0, 1, 56, 1452, 1453, 1472, 1473, 4000, 8000, 8184):
            said = run("ping", "-n", "-c", "1", "-W", "30", "-s", str(size), STATION[family])
            if size == 56:
                trips.append(float(re.search(r"= [\d.]+/([\d.]+)/", said)[1]))
        for size in (0, 100, 8000):
            expect(bench.promised("ping", ip=packed(KERNEL[family]), size=size),
                   {"answer": size}, "the kernel's answer")
    return {"ping4_ms": trips[0], "ping6_ms": trips[1]}


def udp(bench):
    """Datagrams of all sizes both ways; a closed port of the kernel is told to the socket."""
    for family, kind in ((4, socket.AF_INET), (6, socket.AF_INET6)):
        with socket.socket(kind, socket.SOCK_DGRAM) as sock:
            sock.settimeout(30)
            sock.connect((STATION[family], 7))
            for size in (0, 1, 2, 1452, 1453, 1472, 1473, 3000, 8000, 8184):
                sock.send(whole(size))
                expect(sock.recv(65536), whole(size), f"a datagram of {size} bytes")
        with socket.socket(kind, socket.SOCK_DGRAM) as sock:
            sock.settimeout(30)
            sock.connect((STATION[family], 1))
            sock.send(b"anybody?")
            with contextlib.suppress(ConnectionRefusedError):
                raise Unmet(f"an answer from a closed port: {sock.recv(100)}")
        with socket.socket(kind, socket.SOCK_DGRAM) as sock:
            sock.bind((KERNEL[family], 0))
            port = sock.getsockname()[1]
        expect(bench.promised("datagram", ip=packed(KERNEL[family]), port=port),
               {"error": _ECONNREFUSED}, "a closed port of the kernel")


def _rate(n, began):
    return round(n / (time.monotonic() - began) / 1000)


def transfer_to_station(bench):
    """A megabyte to the station, its digest back after the half-close."""
    data = whole(_MEGABYTE)
    figures = {}
    for family in (4, 6):
        began = time.monotonic()
        answer = bench.converse(9, data, family)
        figures[f"to_station{family}_kB_s"] = _rate(len(data), began)
        expect(json.loads(answer), digest(data), "the station's digest")
    return figures


def transfer_from_station(bench):
    """A megabyte from the station."""
    n = _MEGABYTE
    figures = {}
    for family in (4, 6):
        began = time.monotonic()
        data = bench.converse(19, b"%d\n" % n, family, end=False)
        figures[f"from_station{family}_kB_s"] = _rate(n, began)
        expect(digest(data), digest(whole(n)), "what came from the station")
    return figures


def both_ways_at_once(bench):
    """Much there and back at once, and small messages that wait for each other."""
    data = whole(_MUCH)
    figures = {}
    for family in (4, 6):
        expect(bench.converse(7, data, family) == data, True, "the echo of much")
        with bench.connect(7, family) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            trips = []
            for i in range(200):
                began = time.monotonic()
                sock.send(b"%04d" % i)
                expect(sock.recv(100), b"%04d" % i, "an echo")
                trips.append(time.monotonic() - began)
        figures[f"round_trip{family}_ms"] = round(sorted(trips)[100] * 1000, 2)
    return figures


def connect_to_kernel(bench):
    """The station connects: sends much, half-closes, and reads as much."""
    data = whole(_MUCH)
    for family in (4, 6):
        came = []

        def take(sock):
            came.append(talk(sock, data))

        with bench.listener(family, take) as port:
            result = bench.promised("call", ip=packed(KERNEL[family]), port=port, send=_MUCH)
        expect(result, digest(data), "what the station got")
        expect(came == [data], True, "what the kernel got")


def refused(bench):
    """A closed port of the kernel, and one of the station."""
    for family in (4, 6):
        with contextlib.closing(socket.create_server(
                (KERNEL[family], 0), family=socket.AF_INET if family == 4 else socket.AF_INET6)
                ) as sock:
            port = sock.getsockname()[1]
        result = bench.promised("call", ip=packed(KERNEL[family]), port=port, send=1)
        expect(result["error"], _ECONNREFUSED, "a closed port of the kernel")
        with contextlib.suppress(ConnectionRefusedError):
            bench.connect(1, family).close()
            raise Unmet("connected to a closed port")


def http(bench):
    """An HTTP client that nobody here wrote."""
    for family, host in ((4, STATION[4]), (6, f"[{STATION[6]}]")):
        with urllib.request.urlopen(f"http://{host}/light?on=1", timeout=30) as answer:
            expect(answer.read(), b"GET /light?on=1 HTTP/1.1", "what was asked for")


def half_close(bench):
    """The station may go on sending after the kernel has ended, and the other way round."""
    with bench.connect(19) as sock:
        sock.send(b"%d\n" % _MUCH)
        sock.shutdown(socket.SHUT_WR)
        expect(read_all(sock) == whole(_MUCH), True, "what follows a half-close")

    def slow(sock):
        expect(read_all(sock), whole(100), "what the station sent")
        wait_for(lambda: bench.has_connection(state=FIN_WAIT_2), "the end of the station's half")
        sock.sendall(whole(50000))

    with bench.listener(4, slow) as port:
        expect(bench.promised("call", ip=packed(KERNEL[4]), port=port, send=100),
               digest(whole(50000)), "what came after the station's half-close")


def many_connections(bench):
    """Three hundred connections one after the other, twenty at a time."""
    began = time.monotonic()
    for i in range(300):
        with bench.connect(7, 4 if i % 2 else 6) as sock:
            sock.send(b"%d" % i)
            expect(sock.recv(10), b"%d" % i, "an echo")
    a_second = round(300 / (time.monotonic() - began))
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(bench.connect(7, 4 if i % 2 else 6)) for i in range(20)]
        for i, sock in enumerate(socks):
            sock.send(whole(1000 * i))
        for i, sock in enumerate(socks):
            sock.shutdown(socket.SHUT_WR)
            expect(read_all(sock), whole(1000 * i), "an echo")
    bench.settled()
    return {"connections_a_second": a_second}


def neighbours(bench):
    """The kernel forgets whom it knows, while they talk."""
    with bench.connect(7) as four, bench.connect(7, 6) as six:
        for i in range(5):
            run("ip", "neigh", "flush", "dev", DEVICE)
            for sock in (four, six):
                sock.send(b"%d" % i)
                expect(sock.recv(10), b"%d" % i, "an echo")


def larger_mtu(bench):
    """2800, as a virtual network has, and back."""
    run("ip", "link", "set", DEVICE, "mtu", "2800")
    bench.station("mtu", mtu=2800)
    data = whole(_MUCH)
    try:
        for family in (4, 6):
            expect(bench.converse(7, data, family) == data, True, "the echo of much")
            run("ping", "-n", "-c", "1", "-s", "8000", STATION[family])
    finally:
        run("ip", "link", "set", DEVICE, "mtu", "1500")
        bench.station("mtu", mtu=1500)
    expect(bench.converse(7, data) == data, True, "the echo of much")


def judge(capture):
    """Nothing is malformed, no checksum wrong, nothing sent twice or out of order."""
    seen = expert.Capture(capture)
    expect(seen.needless(), [], "the expert's remarks")
    return {"ack_ms": seen.ack_ms()}


CASES = [ping, udp, transfer_to_station, transfer_from_station, both_ways_at_once,
         connect_to_kernel, refused, http, half_close, many_connections, neighbours,
         larger_mtu]
