"""A host that exists in this process alone: it sends whatever frames a test makes with scapy."""

import select
import socket
import time

from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import (ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr,
                                IPv6)
from scapy.layers.l2 import ARP, Ether

from bench import STATION, STATION_MAC, Unmet, expect
from bridge import DEVICE

MAC = "02:00:00:00:77:99"
IPS = {4: "10.77.0.99", 6: "fd77::99"}
_EVERYTHING = 3             # ETH_P_ALL
_OUTGOING = 4               # PACKET_OUTGOING
_PATIENCE_S = 20
_BURST = 100                # frames before the stranger waits for the station to have seen them


def ip(family, **fields):
    """An IP header from the stranger to the station, but for what `fields` say."""
    return (IP if family == 4 else IPv6)(**({"src": IPS[family], "dst": STATION[family]} | fields))


class Tap:
    """All that the station says to anybody."""

    def __init__(self):
        self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERYTHING))
        self._sock.bind((DEVICE, 0))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._sock.close()

    def raw(self, frame):
        self._sock.send(bytes(frame))

    def frame(self, seconds):
        """The station's next frame, None when the time is over."""
        late = time.monotonic() + seconds
        while select.select([self._sock], [], [], max(late - time.monotonic(), 0))[0]:
            data, where = self._sock.recvfrom(65536)
            if where[2] != _OUTGOING:
                return Ether(data)
        return None

    def packets(self):
        """The IP packets that are there already."""
        while True:
            frame = self.frame(0)
            if frame is None:
                return
            if IP in frame or IPv6 in frame:
                yield frame.payload


class Stranger(Tap):
    """The station knows its MAC; it has no stack, so nothing but the test answers."""

    def __init__(self):
        super().__init__()
        self._number = 0

    def __enter__(self):
        self._present()
        self.exchange()
        return self

    def _present(self):
        """Have the station know the MAC."""
        self.raw(Ether(src=MAC, dst="ff:ff:ff:ff:ff:ff")
                 / ARP(op=1, hwsrc=MAC, psrc=IPS[4], pdst=STATION[4]))
        self.raw(Ether(src=MAC, dst=STATION_MAC)
                 / ip(6, hlim=255) / ICMPv6ND_NS(tgt=STATION[6])
                 / ICMPv6NDOptSrcLLAddr(lladdr=MAC))

    def send(self, packet):
        """One frame as it is, or an IP packet, or the bytes of one, to the station's MAC."""
        if isinstance(packet, Ether):
            return self.raw(packet)
        data = bytes(packet)
        ethertype = 0x86DD if data[:1] and data[0] >> 4 == 6 else 0x0800
        self.raw(Ether(src=MAC, dst=STATION_MAC, type=ethertype) / data)

    def exchange(self, *packets):
        """Send packets as send() does; returns the answers to this host, without ARP and NDP.

        The station takes frames in order, so all answers are there when a ping's is.
        """
        answers = []
        for at in range(0, max(len(packets), 1), _BURST):
            for packet in packets[at:at + _BURST]:
                self.send(packet)
            answers += self._until_pong()
        return answers

    def listen(self, seconds):
        """What comes within this time."""
        late = time.monotonic() + seconds
        answers = []
        while True:
            packet = self.next(late - time.monotonic())
            if packet is None:
                return answers
            answers.append(packet)

    def _until_pong(self):
        self._number += 1
        self.send(ip(4) / ICMP(id=0x7799, seq=self._number))
        late = time.monotonic() + _PATIENCE_S
        answers = []
        while True:
            packet = self.next(late - time.monotonic())
            if packet is None:
                raise Unmet("the station answers no ping")
            if ICMP in packet and (packet[ICMP].type, packet[ICMP].id) == (0, 0x7799):
                if packet[ICMP].seq == self._number:
                    return answers
            else:
                answers.append(packet)

    def next(self, seconds):
        """The next IP packet for this host, None when the time is over."""
        late = time.monotonic() + seconds
        while True:
            frame = self.frame(late - time.monotonic())
            if frame is None:
                return None
            if ARP in frame and frame[ARP].pdst == IPS[4] or (
                    ICMPv6ND_NS in frame and frame[ICMPv6ND_NS].tgt == IPS[6]):
                self._present()
            elif frame.dst == MAC and (IP in frame or IPv6 in frame):
                if ICMPv6ND_NA not in frame:
                    return frame.payload


class Talk:
    """A TCP connection of the stranger, spoken by hand. Sequence numbers count from the SYNs."""

    def __init__(self, stranger, family, port, own_port, window=65535, options=()):
        self._stranger = stranger
        self.family, self.port, self.own_port = family, port, own_port
        self.window = window
        self._irs = 0
        answers = stranger.exchange(self.segment(0, flags="S", ack=0, options=options))
        expect(len(answers) == 1 and answers[0][TCP].flags == "SA", True, "a SYN-ACK")
        self._irs = answers[0][TCP].seq
        stranger.exchange(self.segment(1, 1))

    def segment(self, seq, ack, data=b"", flags="A", **fields):
        return (ip(self.family) / TCP(sport=self.own_port, dport=self.port,
                                      seq=1000 + seq & 0xFFFFFFFF, ack=self.sent(ack), flags=flags,
                                      **({"window": self.window} | fields)) / data)

    def sent(self, seq):
        """A sequence number of the station's, as it is on the wire."""
        return self._irs + seq & 0xFFFFFFFF

    def give(self, *segments):
        """Send segments; [(seq, ack, flags, data)] of those that come back."""
        return self.read(self._stranger.exchange(*segments))

    def read(self, packets):
        read = []
        for packet in packets:
            if TCP in packet and packet[TCP].dport == self.own_port:
                tcp = packet[TCP]
                read.append((tcp.seq - self._irs & 0xFFFFFFFF, tcp.ack - 1000 & 0xFFFFFFFF,
                             str(tcp.flags), _data(packet)))
        return read

    def alive(self, seq, ack, what):
        """An echo still comes, of the next byte."""
        back = self.until(1, self.give(self.segment(seq, ack, b"!", "PA")))
        if not any(data == b"!" for _, _, _, data in back):
            raise Unmet(f"{what}: the connection is gone: {back}")
        return seq + 1, ack + 1

    def until(self, n, back):
        """`back`, and what comes until there are n bytes of data in all, or nothing more."""
        while sum(len(data) for _, _, _, data in back) < n:
            packet = self._stranger.next(_PATIENCE_S)
            if packet is None:
                break
            back += self.read([packet])
        return back

    def reset(self, seq):
        self._stranger.exchange(self.segment(seq, 0, flags="R"))


def _data(packet):
    """The payload, without an Ethernet frame's padding."""
    tcp = packet[TCP]
    if IP in packet:
        n = packet[IP].len - (packet[IP].ihl << 2)
    else:
        n = packet[IPv6].plen
    return bytes(tcp)[tcp.dataofs << 2:n]
