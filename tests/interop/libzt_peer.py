"""A peer of ZeroTier's own SDK, in a process of its own.

    python libzt_peer.py '{"library": PATH, "shim": PATH, "home": DIR, "port": N}'

The C API of the extension module in the libzt wheel is called through ctypes
(spec/realworld.md 7).
"""

import ctypes
import errno
import json
import os
import queue
import socket
import struct
import sys

import blocking
import libzt_bulb
from blocking import ANY
from mpcore.vl1.world import World

_STATUS = ("REQUESTING_CONFIGURATION", "OK", "ACCESS_DENIED", "NOT_FOUND", "PORT_ERROR",
           "CLIENT_TOO_OLD")
_AF_INET, _AF_INET6 = 2, 10
_STREAM, _DGRAM = 1, 2
_IPPROTO_ICMP, _IPPROTO_ICMPV6 = 1, 58
_IPV4 = 0x0800
_IPV4_HEADER, _IPV6_HEADER = 20, 40
_IPPROTO_TCP, _TCP_NODELAY = 6, 1
_SOL_SOCKET, _SO_BROADCAST = 0xFFF, 0x20
_DONTWAIT = 8
_POLLIN, _POLLOUT = 1, 2
_TEXT_SIZE = 64
_ZONE = 4               # what follows the 16 bytes of lwIP's IPv6 addresses
_HEADROOM, _PBUF_RAM, _TTL = 64, 0x280, 64      # of lwIP's packet buffers
_NOTHING, _ICMP, _EVERYTHING = 0, 1, 2         # what the shim shows of arriving frames
_LWIP_FRAME = "_ZN8ZeroTier15zts_lwip_eth_rxEPNS_10VirtualTapERKNS_3MACES4_jPKvj"
_HEARD = ctypes.CFUNCTYPE(None, ctypes.c_uint, ctypes.c_void_p, ctypes.c_uint)
_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_VERSION = "1.8.4"


class Library:
    """libzt loaded into this process; failures of its calls become exceptions."""

    def __init__(self, path, shim):
        shim = ctypes.CDLL(shim, ctypes.RTLD_GLOBAL)
        library = ctypes.CDLL(path, use_errno=True)
        library.zts_node_get_id.restype = ctypes.c_uint64
        for function in ("pbuf_alloc", "ip4_route", "ip6_route", "ip6_select_source_address"):
            getattr(library, function).restype = ctypes.c_void_p
        for variable, function in (("libzt_frame", _LWIP_FRAME),
                                   ("libzt_ethernet_input", "ethernet_input"),
                                   ("libzt_tcpip_try_callback", "tcpip_try_callback")):
            _pointer(shim, variable).value = _code(library[function])
        self._library = library
        self.captured = []              # (ethertype, payload) of frames
        self.icmp_listeners = set()     # queues of who waits for ICMP messages
        self._hears = ctypes.c_int.in_dll(shim, "hears")
        self._hears.value = _ICMP
        self._kept = [_HEARD(self._hear)]
        _pointer(shim, "heard").value = _code(self._kept[0])

    def __getattr__(self, name):
        return getattr(self._library, "zts_" + name)

    def capture(self):
        """Keep each frame that arrives from now on."""
        self.captured = []
        self._hears.value = _EVERYTHING

    def _hear(self, ethertype, at, length):
        payload = ctypes.string_at(at, length)
        if self._hears.value == _EVERYTHING:
            self.captured.append((ethertype, payload))
        message = _icmp_message(ethertype, payload)
        for listener in list(self.icmp_listeners) if message else ():
            listener.put(message)

    def _on_lwips_thread(self, function):
        """What handles packets, lwIP demands to be done there."""
        callback = _CALLBACK(lambda _: function())
        self._kept.append(callback)
        self._library.tcpip_callback(callback, None)

    def _emit(self, data, output):
        """Hand `data` to a function of lwIP that sends a packet."""
        lwip = self._library
        packet = ctypes.c_void_p(lwip.pbuf_alloc(_HEADROOM, len(data), _PBUF_RAM))
        lwip.pbuf_take(packet, data, len(data))
        output(packet)
        lwip.pbuf_free(packet)

    def send_icmp(self, message, ip):
        """Send an ICMP message, or an ICMPv6 one, which gets its checksum here."""
        lwip = self._library

        def send():
            target = socket.inet_aton(ip)
            self._emit(message, lambda packet: lwip.ip4_output(
                packet, None, target, _TTL, 0, _IPPROTO_ICMP))

        def send_6():
            target = socket.inet_pton(socket.AF_INET6, ip) + bytes(_ZONE)
            interface = ctypes.c_void_p(lwip.ip6_route(bytes(len(target)), target))
            source = ctypes.string_at(lwip.ip6_select_source_address(interface, target),
                                      len(target))
            checked = blocking.with_checksum(
                message, source[:16] + target[:16] + struct.pack(">II", len(message),
                                                                 _IPPROTO_ICMPV6))
            self._emit(checked, lambda packet: lwip.ip6_output(
                packet, source, target, _TTL, 0, _IPPROTO_ICMPV6))

        self._on_lwips_thread(send_6 if ":" in ip else send)

    def transmit(self, ip, source_mac, destination_mac, frames):
        """Send frames [(ethertype, payload)] on the network that an IPv4 address is in."""
        def send():
            interface = ctypes.c_void_p(self._library.ip4_route(socket.inet_aton(ip)))
            for ethertype, payload in frames:
                self._emit(payload, lambda packet: self._library.ethernet_output(
                    interface, packet, source_mac, destination_mac, ethertype))

        self._on_lwips_thread(send)

    def checked(self, name, *arguments):
        """A call whose negative results are failures. Raises OSError, BlockingIOError."""
        result = getattr(self, name)(*arguments)
        if result < 0:
            number = ctypes.get_errno() if result == -1 else 0
            if number in (errno.EAGAIN, errno.EINPROGRESS):
                raise BlockingIOError(number, name)
            raise OSError(number, f"{name} returns {result}: {os.strerror(number)}")
        return result


def _icmp_message(ethertype, packet):
    """The ICMP or ICMPv6 message that a packet is, or None."""
    if ethertype == _IPV4:
        return packet[_IPV4_HEADER:] if packet[9] == _IPPROTO_ICMP else None
    return packet[_IPV6_HEADER:] if packet[6] == _IPPROTO_ICMPV6 else None


def _pointer(library, variable):
    return ctypes.c_void_p.in_dll(library, variable)


def _code(function):
    return ctypes.cast(function, ctypes.c_void_p).value


class Sockets:
    def __init__(self, library):
        self._library = library

    def udp(self, ip=ANY):
        return self._new(ip, _DGRAM)

    def tcp(self, ip=ANY):
        return self._new(ip, _STREAM)

    def icmp(self, ip):
        return Icmp(self._library)

    def allow_groups(self, sock):
        sock.set(_SOL_SOCKET, _SO_BROADCAST, struct.pack("i", 1))

    def join_group(self, sock, group):
        raise OSError("libzt is built without IGMP")

    def _new(self, ip, kind):
        family = _AF_INET6 if ":" in ip else _AF_INET
        return Socket(self._library, self._library.checked("bsd_socket", family, kind, 0))


class Socket:
    """As the standard library's sockets, as far as blocking.py needs them."""

    def __init__(self, library, number):
        self._library = library
        self._number = number

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def _call(self, name, *arguments):
        return self._library.checked("bsd_" + name, self._number, *arguments)

    def set(self, level, option, value):
        self._call("setsockopt", level, option, value, len(value))

    def send_at_once(self):
        """Small pieces of a stream do not wait for the acknowledgement of others."""
        self.set(_IPPROTO_TCP, _TCP_NODELAY, struct.pack("i", 1))

    def bind(self, address):
        self._call("bind", *_sockaddr(address))

    def connect(self, address):
        self._call("connect", *_sockaddr(address))

    def listen(self, backlog):
        self._call("listen", backlog)

    def accept(self):
        # lwIP has no flag that would make this not wait; it may, for nobody else needs the thread.
        into, size = ctypes.create_string_buffer(_TEXT_SIZE), ctypes.c_uint(_TEXT_SIZE)
        number = self._call("accept", into, ctypes.byref(size))
        return Socket(self._library, number), _address(into.raw)

    def sendto(self, data, address):
        return self._call("sendto", data, ctypes.c_size_t(len(data)), 0, *_sockaddr(address))

    def recvfrom(self, n):
        into, name = ctypes.create_string_buffer(n), ctypes.create_string_buffer(_TEXT_SIZE)
        got = self._call("recvfrom", into, ctypes.c_size_t(n), _DONTWAIT, name,
                         ctypes.byref(ctypes.c_uint(_TEXT_SIZE)))
        return into.raw[:got], _address(name.raw)

    def send(self, data):
        return self._call("send", data, ctypes.c_size_t(len(data)), _DONTWAIT)

    def recv(self, n):
        into = ctypes.create_string_buffer(n)
        got = self._call("recv", into, ctypes.c_size_t(n), _DONTWAIT)
        return into.raw[:got]

    def wait(self, write, timeout_s):
        events = _POLLIN | (_POLLOUT if write else 0)
        asked = ctypes.create_string_buffer(struct.pack("ihh", self._number, events, 0))
        timeout_ms = -1 if timeout_s is None else int(timeout_s * 1000)
        self._library.checked("bsd_poll", asked, 1, timeout_ms)

    def close(self):
        self._library.bsd_close(self._number)


class Icmp:
    """Sends ICMP messages and receives whatever comes."""

    def __init__(self, library):
        self._library = library
        self._heard = queue.Queue()

    def __enter__(self):
        self._library.icmp_listeners.add(self._heard)
        return self

    def __exit__(self, *error):
        self._library.icmp_listeners.discard(self._heard)

    def send(self, message, ip):
        self._library.send_icmp(message, ip)

    def receive(self, timeout_s):
        """The next message. Raises TimeoutError."""
        try:
            return self._heard.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError from None


def _sockaddr(address):
    """lwIP's sockaddr_in or sockaddr_in6, and its length."""
    host, port = address
    if ":" in host:
        raw = struct.pack(">BBHI16sI", 28, _AF_INET6, port, 0,
                          socket.inet_pton(socket.AF_INET6, host), 0)
    else:
        raw = struct.pack(">BBH4s8x", 16, _AF_INET, port, socket.inet_aton(host))
    return raw, ctypes.c_uint(len(raw))


def _address(raw):
    port = int.from_bytes(raw[2:4], "big")
    if raw[1] == _AF_INET6:
        return socket.inet_ntop(socket.AF_INET6, raw[8:24]), port
    return socket.inet_ntoa(raw[4:8]), port


class Peer(blocking.Verbs):
    def __init__(self, library, shim, home, port):
        self._zts = Library(library, shim)
        super().__init__(Sockets(self._zts))
        self._home = home
        with open(os.path.join(home, "planet"), "rb") as file:
            planet = file.read()
        for name, *arguments in (("init_from_storage", home.encode()), ("init_set_port", port),
                                 ("init_set_roots", planet, len(planet)),
                                 ("init_allow_secondary_port", 0),
                                 ("init_allow_port_mapping", 0), ("node_start",)):
            self._zts.checked(name, *arguments)

    def do_status(self):
        return {"address": "%010x" % self._zts.node_get_id(),
                "online": self._zts.node_is_online() == 1, "version": _VERSION}

    def do_orbit(self, moon, seed):
        self._zts.checked("moon_orbit", _network(moon), _network(seed))

    def do_deorbit(self, moon):
        self._zts.checked("moon_deorbit", _network(moon))

    def do_worlds(self):
        """It stores a planet that it takes over, and does not tell about moons."""
        with open(os.path.join(self._home, "roots"), "rb") as file:
            planet, _ = World.from_bytes(file.read())
        return {"planet": planet.timestamp, "moons": {}}

    def do_join(self, nwid):
        self._zts.checked("net_join", _network(nwid))

    def do_leave(self, nwid):
        self._zts.checked("net_leave", _network(nwid))

    def do_network(self, nwid):
        network = _network(nwid)
        status = self._zts.net_get_status(network)
        ready = self._zts.net_transport_is_ready(network) == 1
        if status == 1 and not ready:
            status = 0
        return {"status": _STATUS[status] if 0 <= status < len(_STATUS) else None,
                "addresses": list(self._addresses(network)),
                "mtu": self._zts.net_get_mtu(network)}

    def _addresses(self, network):
        text = ctypes.create_string_buffer(_TEXT_SIZE)
        for family in (_AF_INET, _AF_INET6):
            if self._zts.addr_get_str(network, family, text, _TEXT_SIZE) == 0:
                yield text.value.decode()

    def do_capture(self, nwid):
        self._zts.capture()

    def do_captured(self):
        return [[ethertype, payload.hex()] for ethertype, payload in self._zts.captured]

    def do_transmit(self, nwid, source_mac, destination_mac, frames):
        ip = next(self._addresses(_network(nwid)))
        self._zts.transmit(ip, bytes.fromhex(source_mac), bytes.fromhex(destination_mac),
                           [(ethertype, bytes.fromhex(payload)) for ethertype, payload in frames])

    def do_game(self, clients):
        """Serve the demonstration's game with a player who never stays where he is."""
        libzt_bulb.start(libzt_bulb.play(self._sockets, clients))

    def do_bulb(self, config):
        """Follow games; `reactions` tells how fast."""
        self._reactions = []
        libzt_bulb.start(libzt_bulb.follow(self._sockets, config, self._reactions))

    def do_reactions(self):
        """Milliseconds from each change in the game to the bulb's LED, as far as there are any."""
        return self._reactions


def _network(nwid):
    return ctypes.c_uint64(int(nwid, 16))


if __name__ == "__main__":
    blocking.run(Peer(**json.loads(sys.argv[1])))
