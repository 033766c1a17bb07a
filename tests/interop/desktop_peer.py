"""A peer that is a zerotier-one with its kernel interface.

    python desktop_peer.py '{"program": PATH, "home": DIR, "port": N}'
"""

import ctypes
import json
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parents[2]))

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

import blocking
from host_tools.remote import Control

_PR_SET_PDEATHSIG = 1
_GROUP_TTL = 4
_MDNS, _DNS_PORT = ("224.0.0.251", 5353), 53
_ANSWER_S = 1
_ETH_P_ALL, _OUTGOING = 3, 4        # of AF_PACKET


class Sockets:
    def __init__(self, peer):
        self._peer = peer

    def udp(self, ip):
        return self._new(ip, socket.SOCK_DGRAM)

    def tcp(self, ip):
        return self._new(ip, socket.SOCK_STREAM)

    @staticmethod
    def _new(ip, kind):
        sock = Socket(_family(ip), kind)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        return sock

    def icmp(self, ip):
        return Icmp(ip)

    def allow_groups(self, sock):
        """Broadcasts and multicasts are to leave by the virtual network, not the physical one."""
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._peer.device().encode())
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, _GROUP_TTL)

    def join_group(self, sock, group):
        index = socket.if_nametoindex(self._peer.device())
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                        socket.inet_aton(group) + bytes(4) + index.to_bytes(4, sys.byteorder))


class Socket(socket.socket):
    """Never waits but in wait() and connect()."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.setblocking(False)

    def connect(self, address):
        self.settimeout(60)
        super().connect(address)
        self.setblocking(False)

    def accept(self):
        number, address = self._accept()
        return Socket(fileno=number), address

    def wait(self, write, timeout_s):
        select.select([self], [self] if write else [], [], timeout_s)


class Icmp(socket.socket):
    """Sends ICMP messages and receives whatever comes."""

    def __init__(self, ip):
        family = _family(ip)
        super().__init__(family, socket.SOCK_RAW, socket.IPPROTO_ICMP
                         if family == socket.AF_INET else socket.IPPROTO_ICMPV6)

    def send(self, message, ip):
        self.sendto(message, (ip, 0))

    def receive(self, timeout_s):
        """The next message. Raises TimeoutError."""
        self.settimeout(timeout_s)
        packet = self.recv(65535)
        return packet[(packet[0] & 15) * 4:] if self.family == socket.AF_INET else packet


def _family(ip):
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


class Peer(blocking.Verbs):
    def __init__(self, program, home, port):
        super().__init__(Sockets(self))
        self._home = home
        libc = ctypes.CDLL(None)
        self._process = subprocess.Popen(
            [program, "-U", f"-p{port}", home], stdout=sys.stderr, stdin=subprocess.DEVNULL,
            preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL))

    def _control(self):
        if self._process.poll() is not None:
            raise OSError(f"zerotier-one has ended with {self._process.returncode}")
        return Control(self._home)

    def _networks(self):
        return self._control().get("/network")

    def device(self):
        """Name of the kernel interface of the first network."""
        return self._networks()[0]["portDeviceName"]

    def do_resolve(self, name):
        """As somebody asks who has never heard of mDNS but knows the group and the port."""
        with self._sockets.udp(blocking.ANY) as sock:
            self._sockets.allow_groups(sock)
            sock.sendto(dns.message.make_query(name, "A", flags=0).to_wire(), _MDNS)
            sock.wait(False, _ANSWER_S)
            try:
                answer = dns.message.from_wire(sock.recv(65535)).answer
            except BlockingIOError:
                return []
        return [rdata.address for rrset in answer for rdata in rrset]

    def do_serve_names(self, ip, names):
        udp = self._sockets.udp(ip)
        udp.bind((ip, _DNS_PORT))
        udp.setblocking(True)
        blocking.start(self._answer_names, udp, names)

    @staticmethod
    def _answer_names(udp, names):
        while True:
            data, address = udp.recvfrom(65535)
            query = dns.message.from_wire(data)
            reply = dns.message.make_response(query)
            name = query.question[0].name
            ip = names.get(name.to_text(omit_final_dot=True))
            if ip is None:
                reply.set_rcode(dns.rcode.NXDOMAIN)
            elif query.question[0].rdtype == dns.rdatatype.A:
                reply.answer.append(dns.rrset.from_text(name, 60, "IN", "A", ip))
            udp.sendto(reply.to_wire(), address)

    def _interface(self, nwid):
        """A socket for whole frames on a network's kernel interface."""
        (name,) = [network["portDeviceName"] for network in self._networks()
                   if network["id"] == nwid]
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        sock.bind((name, 0))
        return sock

    def do_capture(self, nwid):
        self._captured = captured = []

        def read(sock):
            while True:
                try:
                    frame, where = sock.recvfrom(65535)
                except OSError:     # the network has been left, and its interface is gone
                    return
                if where[2] != _OUTGOING:
                    captured.append([int.from_bytes(frame[12:14], "big"), frame[14:].hex()])

        blocking.start(read, self._interface(nwid))

    def do_captured(self):
        return self._captured

    def do_transmit(self, nwid, source_mac, destination_mac, frames):
        with self._interface(nwid) as sock:
            for ethertype, payload in frames:
                sock.send(bytes.fromhex(f"{destination_mac}{source_mac}{ethertype:04x}{payload}"))

    def do_status(self):
        status = self._control().get("/status")
        return {key: status[key] for key in ("address", "online", "version")}

    def do_orbit(self, moon, seed):
        # Of a moon it takes only an ID that is like an address.
        self._control().post(f"/moon/{moon[-10:]}", {"seed": seed})

    def do_deorbit(self, moon):
        self._control().delete(f"/moon/{moon[-10:]}")

    def do_peers(self):
        """Whom it knows: version and active paths, by address."""
        return {peer["address"]: {"version": peer["version"],
                                  "paths": [path["address"] for path in peer["paths"]
                                            if path["active"] and not path["expired"]]}
                for peer in self._control().get("/peer")}

    def do_worlds(self):
        return {"planet": self._control().get("/status")["planetWorldTimestamp"],
                "moons": {moon["id"]: moon["timestamp"] for moon in self._control().get("/moon")
                          if not moon["waiting"]}}

    def do_join(self, nwid):
        self._control().post(f"/network/{nwid}", {})

    def do_leave(self, nwid):
        self._control().delete(f"/network/{nwid}")

    def do_network(self, nwid):
        for network in self._networks():
            if network["id"] == nwid:
                return {"status": network["status"], "mtu": network["mtu"],
                        "addresses": [each.split("/")[0] for each in network["assignedAddresses"]]}
        return {"status": None, "addresses": [], "mtu": 0}


if __name__ == "__main__":
    blocking.run(Peer(**json.loads(sys.argv[1])))
