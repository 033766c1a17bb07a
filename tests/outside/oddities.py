"""Frames that no honest host sends. After each kind of them the station serves as before."""

import random
import struct
from socket import AF_INET6, inet_pton

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_RR
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS,
                                ICMPv6ND_RA, ICMPv6ND_Redirect, ICMPv6NDOptDstLLAddr,
                                ICMPv6NDOptPrefixInfo, ICMPv6NDOptSrcLLAddr, ICMPv6PacketTooBig,
                                ICMPv6ParamProblem, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                                IPv6ExtHdrHopByHop, IPv6ExtHdrRouting)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw, fuzz
from scapy.utils import checksum

import expert
from bench import KERNEL, STATION, STATION_MAC, Unmet, expect
from stranger import IPS, MAC, Stranger, Talk, Tap, ip

ECHO, CLOSED, SOURCE, DEAF = 7, 1, 19, 11
FIN, SYN, RST, ACK = 1, 2, 4, 16
# What full tables of neighbours, routes and half-open connections take: bytes on MicroPython,
# blocks on CPython.
_GROWTH = 50000
_STATION_LINK_LOCAL = "fe80::ff:fe00:7701"


def flags_to_no_connection(stranger, bench):
    """All 256 combinations of flags, to an open port and to a closed one."""
    for family in (4, 6):
        for port in (ECHO, CLOSED):
            packets = []
            for flags in range(256):
                odd = ip(family) / TCP(sport=2000 + flags, dport=port, seq=100, ack=200)
                odd[TCP].flags = flags
                packets.append(odd)
                if flags & (SYN | RST | ACK) == SYN:    # makes room for the next
                    packets.append(ip(family) / TCP(sport=2000 + flags, dport=port, seq=101,
                                                    flags="R"))
            answers = {flags: [] for flags in range(256)}
            for answer in stranger.exchange(*packets):
                tcp = answer[TCP]
                answers[tcp.dport - 2000].append((str(tcp.flags), tcp.seq, tcp.ack))
            for flags, answered in answers.items():
                what = f"flags {flags:#x} to port {port}"
                if flags & RST or (port == ECHO and not flags & (SYN | ACK)):
                    expect(answered, [], what)
                elif flags & ACK:
                    expect([each[:2] for each in answered], [("R", 200)], what)
                elif port == ECHO:
                    expect([each[::2] for each in answered], [("SA", 101)], what)
                else:
                    length = bool(flags & SYN) + bool(flags & FIN)
                    expect([each[::2] for each in answered], [("RA", 100 + length)], what)


def flags_to_a_connection(stranger, bench):
    """Combinations that a connection must not fall for: beside the window, and a SYN in it."""
    for family in (4, 6):
        talk = Talk(stranger, family, ECHO, 3000 + family)
        seq, ack = talk.alive(1, 1, "at first")
        talk.give(*(talk.segment(seq + (-70000, 1 << 20, 1 << 31)[flags % 3], ack, b"xx", flags)
                    for flags in range(256)))
        seq, ack = talk.alive(seq, ack, "flags beside the window")
        within = []
        for flags in range(256):
            if flags & RST:
                within.append(talk.segment(seq + 5, ack, b"", flags))   # not at its edge
            elif flags & SYN or not flags & ACK:
                within.append(talk.segment(seq, ack, b"xx", flags))
        talk.give(*within, *(talk.segment(seq, ack + beside, b"xx")
                             for beside in (-100000, 1 << 20, 1 << 31)))
        seq, ack = talk.alive(seq, ack, "flags within the window")
        talk.reset(seq)


def overlaps(stranger, bench):
    """Segments that overlap: what was taken first stays."""
    for family in (4, 6):
        talk = Talk(stranger, family, ECHO, 3100 + family)
        came = []
        for at, data in ((0, b"aaaaaaaaaa"), (5, b"BBBBBbbbbb"), (0, b"CCCCCCCCCCCCCCCCCCCCcc"),
                         (30, b"dddddddddd"), (25, b"eeeeeEEEEE"), (40, b"ffff"), (38, b"GGGGGG"),
                         (22, b"hhhHHHHHHHHHHHHHHHHHHHHH"), (0, b"I" * 44)):
            came += talk.give(talk.segment(1 + at, 1, data, "PA"))
        came = talk.until(46, came)
        echo = bytearray(64)
        end = 0
        for seq, _, _, data in came:
            echo[seq - 1:seq - 1 + len(data)] = data
            end = max(end, seq - 1 + len(data))
        echo = bytes(echo[:end])
        expect(len(echo), 46, "bytes that came back")
        expect(echo[:22], b"aaaaaaaaaabbbbbCCCCCcc", "what was in order")
        expect(echo[22:25], b"hhh", "what filled the gap")
        expect(set(echo[25:40]) <= set(b"deEDH"), True, "what lay beyond the gap")
        talk.reset(47)


def zero_windows(stranger, bench):
    """A peer whose window is closed from the start, opens a little, shrinks, and opens."""
    for family in (4, 6):
        talk = Talk(stranger, family, SOURCE, 3200 + family, window=0)
        back = talk.give(talk.segment(1, 1, b"2000\n", "PA"))
        if sum(len(data) for _, _, _, data in back) > 1:
            raise Unmet(f"data into a closed window: {back}")
        talk.window = 10
        back = talk.give(talk.segment(6, 1))
        back += talk.read(stranger.listen(0.1))
        if any(seq - 1 + len(data) > 10 for seq, _, _, data in back):
            raise Unmet(f"data beyond the window: {back}")
        talk.window = 0
        talk.give(talk.segment(6, 1))
        talk.window = 65535
        had = 0
        for _ in range(100):
            back = talk.give(talk.segment(6, 1 + had)) or talk.read(stranger.listen(0.3))
            for seq, _, flags, data in sorted(back):
                if seq - 1 <= had:
                    had = max(had, seq - 1 + len(data))
            if had >= 2000:
                break
        expect(had, 2000, "bytes once the window is open")
        talk.reset(6)


def malformed_headers(stranger, bench):
    """Lengths, versions, checksums and options that lie, and every truncation."""
    syn = ip(4) / TCP(sport=4000, dport=ECHO, flags="S", options=[("MSS", 1460)])
    query = ip(4) / UDP(sport=4000, dport=ECHO) / b"hello"
    ping = ip(4) / ICMP() / b"hello"
    syn6 = ip(6) / TCP(sport=4000, dport=ECHO, flags="S", options=[("MSS", 1440)])
    query6 = ip(6) / UDP(sport=4000, dport=ECHO) / b"hello"
    packets = []
    for whole in (syn, query, ping, syn6, query6):
        data = bytes(whole)
        packets += [data[:n] for n in range(len(data))]
    for field, values in (("version", (0, 5, 15)), ("ihl", range(5)), ("ihl", (15,)),
                          ("len", (0, 19, 20, 21, 39, 1000, 65535)), ("chksum", (0, 0xFFFF))):
        for value in values:
            packets += [ip(4, **{field: value}) / whole.payload.copy()
                        for whole in (syn, query, ping)]
    for field, values in (("version", (0, 4, 15)), ("plen", (0, 1, 19, 1000, 65535)),
                          ("nh", (0, 43, 44, 50, 51, 59, 60, 135, 253, 255))):
        for value in values:
            packets += [ip(6, **{field: value}) / whole.payload.copy() for whole in (syn6, query6)]
    for family in (4, 6):
        packets += [ip(family) / TCP(sport=4001, dport=ECHO, flags="S", dataofs=n)
                    for n in (0, 1, 4, 6, 15)]
        packets += [ip(family) / UDP(sport=4001, dport=ECHO, len=n) / b"hello"
                    for n in (0, 7, 8, 14, 1000, 65535)]
        packets += [ip(family) / UDP(sport=0, dport=0), ip(family) / TCP(sport=0, dport=0),
                    ip(family) / UDP(sport=4001, dport=ECHO, chksum=1) / b"hello"]
    before = bench.report()["connections"]
    stranger.exchange(*packets)
    for tail in (b"\x02", b"\x02\x00\x05\xb4", b"\x02\x01\x05\xb4", b"\x02\xff\x05\xb4",
                 b"\x02\x04\x00\x00", b"\x02\x04\x00\x01", b"\x03\x03\xff\x00",
                 b"\x08\x0a\x00\x00",
                 b"\x05\x22" + bytes(2), b"\xfe" * 40, b"\x01" * 39 + b"\x02", bytes(40),
                 b"\x03\x00\x08\x00", b"\x04\x00\x00\x00", b"\x05\x02\x04\x03",
                 b"\x1e\x00\x00\x00"):
        options = tail + bytes(-len(tail) % 4)
        for family in (4, 6):
            segment = TCP(sport=4100, dport=ECHO, flags="S", dataofs=5 + len(options) // 4)
            packet = ip(family) / segment / options
            answers = stranger.exchange(packet)
            expect([str(a[TCP].flags) for a in answers if TCP in a], ["SA"], f"options {tail!r}")
            stranger.exchange(ip(family) / TCP(sport=4100, dport=ECHO, seq=1, flags="R"))
    stranger.exchange(ip(4) / TCP(sport=4000, dport=ECHO, seq=1, flags="R"),
                      ip(6) / TCP(sport=4000, dport=ECHO, seq=1, flags="R"),
                      *(ip(family) / TCP(sport=port, dport=ECHO, seq=1, flags="R")
                        for family in (4, 6) for port in (4000, 4001)))
    expect(bench.report()["connections"], before, "connections")
    for options in ([IPOption_RR(pointer=4, routers=["0.0.0.0"] * 9)], b"\x07\x00\x00\x00",
                    b"\x83\x03\x04\x00", b"\x44\xff\x05\x00", b"\xff" * 40):
        stranger.exchange(ip(4, options=options) / ICMP() / b"x" if isinstance(options, list)
                          else ip(4, ihl=5 + len(options) // 4) / Raw(options + bytes(ICMP())))


def fragments(stranger, bench):
    """Tiny, overlapping, endless, too large ones, and the rest of nothing."""
    ping = bytes(ICMP(id=9, seq=9) / bytes(range(256)))
    rnd = random.Random(5)

    def piece(at, data, more, number, **fields):
        return ip(4, id=number, frag=at // 8, flags="MF" if more else 0, proto=1, **fields) / data

    def cut(number, size):
        return [piece(at, ping[at:at + size], at + size < len(ping), number)
                for at in range(0, len(ping), size)]

    def answered(*packets):
        return any(ICMP in answer and answer[ICMP].id == 9
                   for answer in stranger.exchange(*packets))

    expect(answered(*cut(1, 24)), True, "a ping in fragments of 24 bytes")
    expect(answered(*reversed(cut(2, 64))), True, "a ping in fragments backwards")
    expect(answered(*cut(3, 64)[:2], *cut(3, 64)), True, "fragments that come twice")
    expect(answered(piece(0, ping[:64], True, 4), piece(56, ping[56:], False, 4)), False,
           "an overlap")
    expect(answered(piece(0, ping[:64], True, 5), piece(24, b"x" * 8, False, 5)), False,
           "a teardrop")
    expect(answered(piece(0, ping[:64], True, 6), piece(65528, b"x" * 200, False, 6)), False,
           "a ping of death")
    packets = [piece(8 * i, b"12345678", True, 7) for i in range(100)]
    packets += [piece(0, b"12345678", True, number) for number in range(100, 200)]
    packets += [piece(0, b"1234567", True, 8), piece(0, b"", True, 9), piece(8, b"", False, 9)]
    packets += [piece(8 * rnd.randrange(8192), bytes(rnd.randrange(64)), rnd.random() < 0.5,
                      rnd.randrange(4)) for _ in range(150)]
    stranger.exchange(*packets)
    expect(answered(*cut(2000, 64)), True, "a ping in fragments after all that")
    fragments6(stranger, answered)


def fragments6(stranger, answered):
    ping = bytes(ip(6) / ICMPv6EchoRequest(id=9, seq=9, data=bytes(range(248))))[40:]

    def piece(at, data, more, number, nh=58):
        return (ip(6) / IPv6ExtHdrFragment(nh=nh, offset=at // 8, m=int(more), id=number)
                / Raw(data))

    def pong(*packets):
        return any(IPv6 in answer and answer[IPv6].nh == 58 and bytes(answer)[40] == 129
                   for answer in stranger.exchange(*packets))

    expect(pong(piece(0, ping[:64], True, 1), piece(64, ping[64:], False, 1)), True, "a ping")
    expect(pong(piece(0, ping, False, 2)), True, "a ping in one fragment")
    expect(pong(piece(0, ping[:64], True, 3), piece(56, ping[56:], False, 3)), False, "an overlap")
    expect(pong(piece(0, ping[:64], True, 4), piece(65528, b"x" * 8, False, 4)), False,
           "more than there may be")
    nested = piece(0, bytes(IPv6ExtHdrFragment(nh=58, id=5, m=0)) + ping, False, 5, nh=44)
    stranger.exchange(nested, *(piece(8 * i, b"12345678", True, 6) for i in range(100)),
                      *(piece(0, b"12345678", True, number) for number in range(100, 200)))
    expect(pong(piece(0, ping[:64], True, 7), piece(64, ping[64:], False, 7)), True, "a ping")


def false_sources(stranger, bench):
    """Our own address, groups and nobody as the source: nothing is said to them."""
    sources = {4: (STATION[4], "255.255.255.255", "10.77.0.255", "224.0.0.1", "240.0.0.1",
                   "0.0.0.0", "0.1.2.3", "127.0.0.1"),
               6: (STATION[6], _STATION_LINK_LOCAL, "ff02::1", "::", "::1", "::ffff:10.77.0.2")}
    before = bench.report()["connections"]
    with Tap() as tap:
        for family in (4, 6):
            for source in sources[family]:
                odd = ip(family, src=source)
                stranger.exchange(odd / TCP(sport=ECHO, dport=ECHO, flags="S"),
                                  odd / TCP(sport=5000, dport=CLOSED, flags="S"),
                                  odd / TCP(sport=5000, dport=ECHO, flags="A"),
                                  odd / UDP(sport=ECHO, dport=ECHO) / b"land",
                                  odd / UDP(sport=5000, dport=CLOSED) / b"x",
                                  odd / (ICMP() if family == 4 else ICMPv6EchoRequest()))
        bench.serves()
        wrong = [packet.summary() for packet in tap.packets()
                 if packet.dst in sources[4] + sources[6]]
    expect(wrong, [], "answers to such sources")
    expect(bench.report()["connections"], before, "connections")


def forged_errors(stranger, bench):
    """ICMP errors of all kinds about a connection that is well, and about nothing."""
    for family in (4, 6):
        talk = Talk(stranger, family, ECHO, 3300 + family)
        seq, ack = talk.alive(1, 1, "at first")
        ours = (IP if family == 4 else IPv6)(src=STATION[family], dst=IPS[family])
        kinds, others = (((3, 4, 5, 11, 12), (1, 2, 6, 7, *range(9, 20))) if family == 4
                         else ((1, 2, 3, 4), range(130, 144)))
        messages = []
        for quoted in (ours / TCP(sport=ECHO, dport=talk.own_port, seq=talk.sent(ack)),
                       ours / TCP(sport=ECHO, dport=talk.own_port, seq=12345),
                       ours / TCP(sport=CLOSED, dport=9), ours / UDP(sport=ECHO, dport=9),
                       ours / ICMP(), b"", b"\x45" + bytes(19), b"\x4f" + bytes(60),
                       b"\x60" + bytes(39), b"\x60" + bytes(5) + b"\x2c" + bytes(33)):
            quoted = bytes(quoted)
            messages += [bytes((kind, code, 0, 0, 0, 0, 0, 68)) + quoted
                         for kind in (*kinds, *others)
                         for code in range(5 if kind in kinds else 1)]
            messages += [bytes((kind, 0, 0, 0, 0, 0, 0, 68)) + quoted[:n] for kind in kinds
                         for n in (0, 20, 27, 28, 40, 47) if n < len(quoted)]
            messages += [bytes((*((3, 4) if family == 4 else (2, 0)), 0, 0)) + mtu + quoted
                         for mtu in (bytes(4), b"\0\0\0\x43", b"\0\0\4\xff", b"\xff" * 4)]
        stranger.exchange(*(_icmp(family, message) for message in messages))
        seq, ack = talk.alive(seq, ack, "forged ICMP errors")
        talk.reset(seq)


def _icmp(family, message):
    """The packet with an ICMP message, whose checksum is computed here."""
    packet = ip(family, **({"proto": 1} if family == 4 else {"nh": 58}))
    pseudo = b"" if family == 4 else (inet_pton(AF_INET6, packet.src)
                                      + inet_pton(AF_INET6, packet.dst)
                                      + struct.pack(">II", len(message), 58))
    return packet / Raw(message[:2] + struct.pack(">H", checksum(pseudo + message)) + message[4:])


def extension_headers(stranger, bench):
    """IPv6 headers in front of the payload, known, unknown and far too many."""
    ping = ICMPv6EchoRequest(id=9, seq=9)

    def pong(*headers):
        packet = ip(6)
        for header in headers:
            packet = packet / header
        return any(bytes(answer)[40] == 129 for answer in stranger.exchange(packet / ping))

    expect(pong(), True, "a ping")
    expect(pong(IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt()), True, "padding in options")
    expect(pong(*[IPv6ExtHdrDestOpt()] * 100), False, "a hundred headers")
    expect(pong(IPv6ExtHdrRouting(type=0, segleft=1, addresses=[KERNEL[6]])), False,
           "a routing header")
    for option in (b"\xc2\x04\x00\x01\x00\x00", b"\x3e\xff\x00\x00\x00\x00",
                   b"\x05\x02\x00\x00\x01\xff", b"\xff" * 6, b"\x01\x10" + bytes(4)):
        for kind in (0, 60):
            stranger.exchange(ip(6, nh=kind) / Raw(bytes((58, 0)) + option) / bytes(8))
    stranger.exchange(*(ip(6, nh=kind) / Raw(rest) for kind in range(256) for rest in
                        (bytes((kind, 0)) * 40, bytes((58, 255)) + bytes(6), b"")))


def forged_neighbours(stranger, bench):
    """ARP and NDP that lie: nobody else becomes us, no router is followed, tables are bounded."""
    station, kernel = STATION_MAC, "02:00:00:00:77:66"

    def ether(kind=None, dst=station):
        return Ether(src=MAC, dst=dst, **({"type": kind} if kind else {}))

    frames = [ether(dst="ff:ff:ff:ff:ff:ff") / ARP(op=op, hwsrc=mac, psrc=source, pdst=target)
              for op in (0, 1, 2, 3, 255)
              for mac in (MAC, "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00")
              for source in (STATION[4], "0.0.0.0", "224.0.0.1", "10.77.0.255", "192.0.2.1")
              for target in (STATION[4], "10.77.0.50")]
    frames += [ether(0x806) / Raw(bytes(ARP(**lie))) for lie in
               ({"hwlen": 0}, {"plen": 255}, {"hwtype": 6}, {"ptype": 0x86DD})]
    frames += [ether(0x806) / bytes(n) for n in range(28)]
    frames += [ether(dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=kernel, psrc=f"10.77.0.{n}",
                                                    pdst=STATION[4]) for n in range(100, 250)]
    frames += [ether() / ip(6, hlim=hops, src=source) / message
               for hops in (64, 255) for source in (IPS[6], "fe80::99", "::")
               for message in (
                   ICMPv6ND_NA(tgt=STATION[6], O=1) / ICMPv6NDOptDstLLAddr(lladdr=MAC),
                   ICMPv6ND_NA(tgt="ff02::1", O=1) / ICMPv6NDOptDstLLAddr(lladdr=MAC),
                   ICMPv6ND_NA(tgt=IPS[6], O=1) / Raw(b"\x02\x00" + bytes(6)),
                   ICMPv6ND_NS(tgt=STATION[6]) / Raw(b"\x01\xff" + bytes(6)),
                   ICMPv6ND_NS(tgt=STATION[6]) / ICMPv6NDOptSrcLLAddr(lladdr="ff:ff:ff:ff:ff:ff"),
                   ICMPv6ND_RA(routerlifetime=1800) / ICMPv6NDOptPrefixInfo(
                       prefix="2001:db8::", prefixlen=64) / ICMPv6NDOptSrcLLAddr(lladdr=MAC),
                   ICMPv6ND_Redirect(tgt=IPS[6], dst=KERNEL[6]))]
    frames += [ether() / ip(6, src=f"fd77::1:{n:x}", hlim=255) / ICMPv6ND_NS(tgt=STATION[6])
               / ICMPv6NDOptSrcLLAddr(lladdr=MAC) for n in range(200)]
    stranger.exchange(*frames)


def syn_flood(stranger, bench):
    """SYNs of hosts that never answer must not shut out those that do."""
    for family in (4, 6):
        net = "10.77.0." if family == 4 else "fd77::2:"
        stranger.exchange(*(ip(family, src=f"{net}{100 + n % 100}")
                            / TCP(sport=6000 + n, dport=ECHO, seq=n, flags="S")
                            for n in range(150)))
        bench.serves(family)


def udp_flood(stranger, bench):
    """More datagrams than anybody reads, to ports open and closed."""
    for family in (4, 6):
        stranger.exchange(*[bytes(ip(family) / UDP(sport=7000, dport=port) / bytes(1000))
                            for port in (ECHO, CLOSED)] * 300)


def fuzzed(stranger, bench):
    """Fields at random; the checksums are right where scapy computes them. Seeded."""
    random.seed(7)
    packets = []
    for _ in range(50):
        for family in (4, 6):
            for payload in (TCP(dport=ECHO), UDP(dport=ECHO), ICMP() if family == 4
                            else ICMPv6EchoRequest(), ICMPv6ParamProblem(), ICMPv6DestUnreach(),
                            ICMPv6PacketTooBig()):
                packets.append(bytes(ip(family) / fuzz(payload) / bytes(random.randrange(60))))
    packets += [bytes(fuzz(IP(src=IPS[4], dst=STATION[4])) / TCP(dport=ECHO)) for _ in range(150)]
    for at in range(len(packets)):
        if random.random() < 0.3:
            data = bytearray(packets[at])
            for _ in range(random.randrange(1, 4)):
                data[random.randrange(len(data))] = random.randrange(256)
            packets[at] = bytes(data)
    stranger.exchange(*packets)


def judge(capture):
    """What the station said to all that was well formed."""
    expect(expert.broken(capture), [], "the expert's remarks")


CASES = [flags_to_no_connection, flags_to_a_connection, overlaps, zero_windows, malformed_headers,
         fragments, false_sources, forged_errors, extension_headers, forged_neighbours, syn_flood,
         udp_flood, fuzzed]


def cases():
    """Each kind of oddity as a case of the bench."""
    def make(oddity):
        def case(bench):
            before = bench.settled()
            with Stranger() as stranger:
                oddity(stranger, bench)
            for family in (4, 6):
                bench.serves(family)
            grown = bench.settled()["memory"] - before["memory"]
            if grown > _GROWTH:
                raise Unmet(f"memory has grown by {grown}")
            return {"memory": grown}
        case.__name__ = oddity.__name__
        case.__doc__ = oddity.__doc__
        return case

    return [make(oddity) for oddity in CASES]
