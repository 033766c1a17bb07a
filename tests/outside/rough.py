"""A bad line, a router with a smaller MTU, more than there is room for."""

import contextlib
import json
import socket
import struct
from pathlib import Path

import expert
from bench import FAMILIES, STATION, Unmet, digest, expect, packed, read_all, talk, wait_for
from bridge import DEVICE
from lab import namespace, run
from mpcore.ip.states import ESTABLISHED
from pattern import whole

_BAD = {"loss": 4, "duplicate": 3, "reorder": 5, "corrupt": 2, "delay_ms": 2}
_BACKLOG = 8                 # of the station's deaf listener
_MUCH = 100000
_FAR = {4: "10.78.0.2", 6: "fd78::2"}
_NEAR = {4: "10.78.0.1", 6: "fd78::1"}
_NARROW = 1300
_AGAIN = "This frame is a (suspected) retransmission"
_OUT_OF_ORDER = "This frame is a (suspected) out-of-order segment"


def bad_line(bench):
    """Frames are lost, doubled, late and damaged; what was said arrives nevertheless."""
    data = whole(_MUCH)
    bench.bridge(spoil=_BAD)
    try:
        for family in (4, 6):
            expect(json.loads(bench.converse(9, data, family)), digest(data),
                   "the station's digest")
            came = bench.converse(19, b"%d\n" % _MUCH, family, end=False)
            expect(digest(came), digest(data), "what came from the station")
            expect(bench.converse(7, data[:50000], family) == data[:50000], True, "an echo")
    finally:
        bench.bridge(spoil=None)


def narrow_router(bench):
    """The kernel routes to a host behind a link with a smaller MTU, and says so."""
    run("ip", "netns", "add", "far")
    run("ip", "link", "add", "narrow", "type", "veth", "peer", "name", "eth0", "netns", "far")
    run("ip", "link", "set", "narrow", "mtu", str(_NARROW))
    for family, length in ((4, 24), (6, 64)):
        run("ip", "addr", "add", f"{_NEAR[family]}/{length}", "dev", "narrow", *_nodad(family))
        run("ip", "-n", "far", "addr", "add", f"{_FAR[family]}/{length}", "dev", "eth0",
            *_nodad(family))
    run("ip", "link", "set", "narrow", "up")
    run("ip", "-n", "far", "link", "set", "eth0", "up")
    for family in (4, 6):
        run("ip", "-n", "far", f"-{family}", "route", "add", "default", "via", _NEAR[family])
    for switch in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        Path("/proc/sys/net", switch).write_text("1")
    for family in (4, 6):
        with namespace("far"):
            sock = socket.socket(FAMILIES[family])
        with sock:
            sock.settimeout(30)
            sock.connect((STATION[family], 19))
            expect(digest(talk(sock, b"%d\n" % _MUCH, end=False)), digest(whole(_MUCH)),
                   "what came through the router")
        expect(bench.station("path_mtu", ip=packed(_FAR[family])), _NARROW, "the path's MTU")
    run("ip", "netns", "del", "far")


def _nodad(family):
    return ["nodad"] if family == 6 else []


def resets(bench):
    """Either side breaks off."""
    for family in (4, 6):
        with bench.connect(7, family) as sock:
            sock.send(b"hello")
            expect(sock.recv(10), b"hello", "an echo")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        bench.settled()
        with bench.connect(7, family) as sock:
            sock.send(b"hello")
            expect(sock.recv(10), b"hello", "an echo")
            expect(bench.station("abort"), 1, "connections to break off")
            with contextlib.suppress(ConnectionResetError):
                raise Unmet(f"not reset: {sock.recv(10)}")


def backlog(bench):
    """More connections than the station's application accepts: they wait, none is lost."""
    with contextlib.ExitStack() as stack:
        socks = []
        for _ in range(12):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex((STATION[4], 11))
            socks.append(sock)
        silent = dict(enumerate(socks))
        wait_for(lambda: bench.station("waiting") == _BACKLOG, "a full backlog")
        accepted = bench.station("accept")
        expect(accepted, _BACKLOG, "who may wait")

        def accept():
            nonlocal accepted
            accepted += bench.station("accept")
            for i, sock in list(silent.items()):
                with contextlib.suppress(BlockingIOError):
                    sock.send(b"%d" % i)
                    del silent[i]
            return accepted == len(socks) and not silent

        wait_for(accept, "twelve connections")
        for i, sock in enumerate(socks):
            sock.settimeout(30)
            expect(sock.recv(10), b"%d" % i, "an echo")
    bench.settled()


def zero_window(bench):
    """A closed window opens again: the station's, and the kernel's."""
    data = whole(1 << 19)       # more than any station's ring
    with bench.connect(13) as sock:
        sock.setblocking(False)
        n = 0

        def filled():
            nonlocal n
            with contextlib.suppress(BlockingIOError):
                n += sock.send(data[n:])
            return bench.has_connection(state=ESTABLISHED, ours=0)

        wait_for(filled, "the station's closed window")
        bench.station("wake")
        sock.settimeout(30)
        sock.shutdown(socket.SHUT_WR)
        expect(json.loads(read_all(sock)), digest(data[:n]), "the station's digest")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(30)
        sock.connect((STATION[4], 19))
        sock.send(b"200000\n")
        wait_for(lambda: bench.has_connection(peers=0), "the kernel's closed window")
        expect(read_all(sock) == whole(200000), True, "what waited for the window")


def mtu_shrinks(bench):
    """The link takes smaller frames while a connection is open."""
    run("ip", "link", "set", DEVICE, "mtu", "2800")
    bench.station("mtu", mtu=2800)
    with bench.connect(7) as sock:
        sock.send(b"hello")
        expect(sock.recv(10), b"hello", "an echo")
        run("ip", "link", "set", DEVICE, "mtu", "1500")
        bench.station("mtu", mtu=1500)
        expect(talk(sock, whole(100000)) == whole(100000), True, "the echo over a smaller link")


def judge(capture):
    """The expert, who finds nothing on a good line, sees what happened to this one."""
    seen = expert.Capture(capture)
    for message in ("Bad checksum", "Duplicate ACK", _OUT_OF_ORDER, _AGAIN):
        if not seen.times(message):
            raise Unmet(f"the expert overlooks: {message}")
    return {"retransmitted": seen.times(_AGAIN)}


CASES = [bad_line, narrow_router, resets, backlog, zero_window, mtu_shrinks]
