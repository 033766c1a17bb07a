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

_STATUS = ("REQUESTING_CONFIGURATION", "OK", "ACCESS_DENIED", "NOT_FOUND", "PORT_ERROR",
           "CLIENT_TOO_OLD")
_AF_INET = 2
_STREAM, _DGRAM = 1, 2
_IPPROTO_ICMP = 1
_IPPROTO_TCP, _TCP_NODELAY = 6, 1
_SOL_SOCKET, _SO_BROADCAST = 0xFFF, 0x20
_DONTWAIT = 8
_POLLIN, _POLLOUT = 1, 2
_TEXT_SIZE = 64
_HEADROOM, _PBUF_RAM, _TTL = 64, 0x280, 64      # of lwIP's packet buffers
_HEARD = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int)
_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_VERSION = "1.8.4"


class Library:
    """libzt loaded into this process; failures of its calls become exceptions."""

    def __init__(self, path, shim):
        shim = ctypes.CDLL(shim, ctypes.RTLD_GLOBAL)
        library = ctypes.CDLL(path, use_errno=True)
        library.zts_node_get_id.restype = ctypes.c_uint64
        library.pbuf_alloc.restype = ctypes.c_void_p
        _pointer(shim, "libzt_icmp_input").value = _code(library.icmp_input)
        self._library = library
        self.icmp_listeners = set()     # queues of who waits for ICMP messages
        self._kept = [_HEARD(self._hear_icmp)]
        _pointer(shim, "heard").value = _code(self._kept[0])

    def __getattr__(self, name):
        return getattr(self._library, "zts_" + name)

    def _hear_icmp(self, at, length):
        for listener in list(self.icmp_listeners):
            listener.put(ctypes.string_at(at, length))

    def send_icmp(self, message, ip):
        """Send an ICMP message, on lwIP's own thread as it demands."""
        def send(_):
            lwip = self._library
            packet = ctypes.c_void_p(lwip.pbuf_alloc(_HEADROOM, len(message), _PBUF_RAM))
            lwip.pbuf_take(packet, message, len(message))
            lwip.ip4_output(packet, None, socket.inet_aton(ip), _TTL, 0, _IPPROTO_ICMP)
            lwip.pbuf_free(packet)

        callback = _CALLBACK(send)
        self._kept.append(callback)
        self._library.tcpip_callback(callback, None)

    def checked(self, name, *arguments):
        """A call whose negative results are failures. Raises OSError, BlockingIOError."""
        result = getattr(self, name)(*arguments)
        if result < 0:
            number = ctypes.get_errno() if result == -1 else 0
            if number in (errno.EAGAIN, errno.EINPROGRESS):
                raise BlockingIOError(number, name)
            raise OSError(number, f"{name} returns {result}: {os.strerror(number)}")
        return result


def _pointer(library, variable):
    return ctypes.c_void_p.in_dll(library, variable)


def _code(function):
    return ctypes.cast(function, ctypes.c_void_p).value


class Sockets:
    def __init__(self, library):
        self._library = library

    def udp(self):
        return Socket(self._library, self._new(_DGRAM, 0))

    def tcp(self):
        return Socket(self._library, self._new(_STREAM, 0))

    def icmp(self):
        return Icmp(self._library)

    def allow_groups(self, sock):
        sock.set(_SOL_SOCKET, _SO_BROADCAST, struct.pack("i", 1))

    def join_group(self, sock, group):
        raise OSError("libzt is built without IGMP")

    def _new(self, kind, protocol):
        return self._library.checked("bsd_socket", _AF_INET, kind, protocol)


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
    """lwIP's sockaddr_in and its length."""
    host, port = address
    raw = struct.pack(">BBH", 16, _AF_INET, port) + socket.inet_aton(host) + bytes(8)
    return raw, ctypes.c_uint(len(raw))


def _address(raw):
    return socket.inet_ntoa(raw[4:8]), int.from_bytes(raw[2:4], "big")


class Peer(blocking.Verbs):
    def __init__(self, library, shim, home, port):
        self._zts = Library(library, shim)
        super().__init__(Sockets(self._zts))
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

    def do_join(self, nwid):
        self._zts.checked("net_join", _network(nwid))

    def do_leave(self, nwid):
        self._zts.checked("net_leave", _network(nwid))

    def do_network(self, nwid):
        network = _network(nwid)
        status = self._zts.net_get_status(network)
        text = ctypes.create_string_buffer(_TEXT_SIZE)
        found = self._zts.addr_get_str(network, _AF_INET, text, _TEXT_SIZE)
        ready = self._zts.net_transport_is_ready(network) == 1
        if status == 1 and not ready:
            status = 0
        return {"status": _STATUS[status] if 0 <= status < len(_STATUS) else None,
                "addresses": [text.value.decode()] if found == 0 else [],
                "mtu": self._zts.net_get_mtu(network)}


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
