"""A `socket` module for both networks: mpcore.interpose() puts it in place of the platform's.

Where a socket goes is decided by the first address that it is given:

* To connect or to send: an address within a joined network's routes (default routes apart) or
  its prefix lies on the virtual network, every other on the platform's. A datagram socket may
  send to both in turn, and receives from those that it has sent to. What it sends to a multicast
  group or to 255.255.255.255 leaves by all networks that it is bound to, or by all there are.
* To bind: an address of ours on a virtual network means that network, any other address the
  platform's.
* To bind to any address ("", 0.0.0.0, ::) means both: every active node and the platform, under
  the same port; when either is taken, bind raises EADDRINUSE. interpose("virtual") changes that
  to the nodes alone, interpose("platform") to the platform alone. What a network lets in then is
  up to its rules and to the listener.

Names are looked up on the virtual network when they lie in its DNS domain or end in ".local",
else by the platform.

A socket of either kind, and of both, is one stream: for select.poll, asyncio and ssl. While a call
blocks on any of them, every active node is driven; while the platform looks up a name, none is.

There is nothing here for AF_UNIX and raw sockets. On CPython this is for programs in MicroPython's
manner; `filament run` takes all others.
"""

from errno import EADDRINUSE

from mpcore import port as platform
from mpcore import runtimes
from mpcore import socket as virtual
from mpcore.ip.errors import ENOTCONN, failure
from mpcore.ip.events import HUP, WRITE
from mpcore.ip.tcp import TcpSocket
from mpcore.ip.udp import UdpSocket
from mpcore.socket import *
from mpcore.socket import addresses

BOTH = "both"
VIRTUAL = "virtual"
PLATFORM = "platform"

_FIRST_FREE_PORT = 49152
_ATTEMPTS = 32

any_address = BOTH      # what binding to any address means
_together = runtimes.Together()


class Ends:
    """The ends of a socket that is not bound to one network alone: any number, also none.

    It has the calls of mpcore.ip's sockets that such a one needs. members: [(end, runtime)],
    runtime None of the platform's.
    """

    remote = None
    error = 0

    def __init__(self, is_stream):
        self.members = []
        self._idle = WRITE | HUP if is_stream else WRITE
        self._on_event = None

    @property
    def local(self):
        return self.members[0][0].local if self.members else (None, 0)

    @property
    def on_event(self):
        return self._on_event

    @on_event.setter
    def on_event(self, callback):
        self._on_event = callback
        for end, _ in self.members:
            end.on_event = callback

    def add(self, end, runtime):
        end.on_event = self._on_event
        self.members.append((end, runtime))
        if self._on_event is not None:
            self._on_event()        # whoever waits has one more to wait for

    def events(self):
        mask = 0 if self.members else self._idle
        for end, _ in self.members:
            mask |= end.events()
        return mask

    def listen(self, backlog):
        for end, _ in self.members:
            end.listen(backlog)

    def accept(self):
        return self._first("accept")

    def recvfrom(self, *peek):
        return self._first("recvfrom", *peek)

    def recv(self, now, n):
        raise failure(ENOTCONN)

    def send(self, now, data):
        raise failure(ENOTCONN)

    def shutdown_write(self, now):
        raise failure(ENOTCONN)

    shutdown_read = shutdown_write

    def close(self, now):
        for end, _ in self.members:
            end.close(now)
        self.members = []

    def _first(self, name, *arguments):
        for end, _ in self.members:
            found = getattr(end, name)(*arguments)
            if found is not None:
                return found
        return None


class socket(virtual.socket):
    """A socket of the virtual network, of the platform, or of both; see above.

    Otherwise as mpcore.socket.socket.
    """

    def __init__(self, family=AF_INET, type=SOCK_STREAM, proto=0, ip=None):
        self._set = []          # options for ends that are still to be made
        self._any_size = 16 if family == AF_INET6 else 4
        super().__init__(family, type, proto, _together, ip)

    def listen(self, backlog=virtual.limits.TCP_BACKLOG):
        if isinstance(self._stream(), Ends) and not self._ip.members:
            self._bind(None, 0)
        super().listen(backlog)

    def getsockopt(self, level, option):
        ip = self._alive()
        if (level, option) not in ((SOL_SOCKET, SO_ERROR), (SOL_SOCKET, SO_TYPE)):
            if isinstance(ip, Ends) and ip.members:
                ip = ip.members[0][0]
            if isinstance(ip, platform.Native) and hasattr(ip.sock, "getsockopt"):
                return ip.sock.getsockopt(level, option)
        return super().getsockopt(level, option)

    def natives(self):
        """The platform's sockets among our ends."""
        ip = self._ip
        if isinstance(ip, Ends):
            return [end.sock for end, runtime in ip.members if runtime is None]
        return (ip.sock,) if isinstance(ip, platform.Native) else ()

    def _new(self, runtime):
        return Ends(self._is_stream)

    def _accepted(self, tcp):
        return socket(AF_INET, SOCK_STREAM, 0, tcp)

    def _lookup(self, host):
        return _lookup(host, 0)[0]

    def _drive(self, timeout_ms, mask):
        _together.step(timeout_ms, self.natives(), mask)

    def _end(self, runtime, size):
        """The end on a runtime, or (None) on the platform for addresses of `size`."""
        family = AF_INET if size == 4 else AF_INET6
        for end, where in self._ip.members:
            if where is runtime and (runtime or end.family == family):
                return end
        if runtime is None:
            end = platform.Native(family, SOCK_STREAM if self._is_stream else SOCK_DGRAM)
        else:
            end = (TcpSocket if self._is_stream else UdpSocket)(runtime.node.stack)
        for option in self._set:
            self._apply(end, *option)
        self._ip.add(end, runtime)
        return end

    def _bind(self, ip, port):
        ip = ip or self._options.source
        if ip is not None:
            return self._end(_owner(ip), len(ip)).bind(ip, port)
        attempts = 1 if port else _ATTEMPTS
        while True:
            attempts -= 1
            chosen = port or _free_port()
            try:
                for runtime in _everywhere():
                    self._end(runtime, self._any_size).bind(None, chosen)
                return
            except OSError as e:
                self._ip.close(_together.now())
                if e.errno != EADDRINUSE or not attempts:
                    raise

    def _start(self, ip, port):
        end = self._ip
        if isinstance(end, Ends):
            runtime = runtimes.towards(ip)
            end = self._end(runtime, len(ip))
            for other, _ in self._ip.members:
                if other is not end:
                    other.close(_together.now())
            self._ip = end
            if runtime is not None and self._options.source and not end.local[0]:
                end.bind(self._options.source, 0)
        if self._is_stream or isinstance(end, platform.Native):
            end.connect(_together.now(), ip, port)
        else:
            end.connect(ip, port)

    def _sendto(self, data, ip, port):
        if self._is_stream or not isinstance(self._alive(), Ends):
            return super()._sendto(data, ip, port)
        now = _together.now()
        if not _is_group(ip):
            n = self._end(runtimes.towards(ip), len(ip)).sendto(now, data, ip, port)
        else:
            if not self._ip.members:
                for runtime in _everywhere():
                    self._end(runtime, len(ip))
            n = _any_of([(end.sendto, (now, data, ip, port)) for end, _ in self._ip.members])
        _together.kick()
        return n

    def _set_option(self, ip, level, option, value):
        if not isinstance(ip, Ends):
            return self._apply(ip, level, option, value)
        if (level, option) == (SOL_SOCKET, SO_BINDTODEVICE):
            for runtime in runtimes.active():
                try:
                    return self._options.set(_together.now(), runtime.node, None, level, option,
                                             value)
                except OSError:
                    continue        # no network of this node
        self._set.append((level, option, value))
        if ip.members:
            _any_of([(self._apply, (end, level, option, value)) for end, _ in ip.members])

    def _apply(self, end, level, option, value):
        if isinstance(end, platform.Native):
            if option < UNKNOWN_OPTION:
                end.setsockopt(level, option, value)
        else:
            self._options.set(_together.now(), None, end, level, option, value)


def getaddrinfo(host, port, af=0, type=0, proto=0, flags=0):
    """[(family, type, protocol, "", address)] of a host; "" is any of ours.

    Addresses are tuples, also where the platform's own are not. Raises OSError: -2 for an unknown
    name, and what the platform raises.
    """
    return addresses.info(_lookup, host, port, af, type, proto)


def __getattr__(name):
    if name[:2] == "__":
        raise AttributeError(name)
    return getattr(platform.native_module, name)


def _lookup(host, size):
    if addresses.numeric(host) is None:
        for runtime in runtimes.active():
            if host.endswith(".local") or _has_dns(runtime):
                from mpcore import dns
                if dns.knows(runtime, host):
                    try:
                        return dns.lookup(runtime, host, size)
                    except OSError:
                        if "." in host:
                            raise           # else the platform may know it too
        return [platform.to_endpoint(found)[:-2] for found in platform.lookup(host, size)]
    return addresses.lookup(None, host, size)


def _has_dns(runtime):
    for network in runtime.node.networks.values():
        if network.config is not None and network.config.dns_servers:
            return True
    return False


def _owner(ip):
    """The active runtime that has this address of its own, None for the platform."""
    for runtime in runtimes.active():
        for interface in runtime.node.stack.interfaces:
            if ip in interface.addresses:
                return runtime
    return None


def _everywhere():
    """Where a socket bound to any address listens; None stands for the platform."""
    active = runtimes.active()
    if not active or any_address == PLATFORM:
        return [None]
    return active if any_address == VIRTUAL else active + [None]


def _any_of(calls):
    """Call all of them; the first result, and an error only where all failed."""
    results = []
    for call, arguments in calls:
        try:
            results.append(call(*arguments))
        except OSError as e:
            error = e
    if not results:
        raise error
    return results[0]


def _is_group(ip):
    if len(ip) == 16:
        return ip[0] == 0xFF
    return ip[0] & 0xF0 == 0xE0 or ip == b"\xff\xff\xff\xff"


def _free_port():
    offset = int.from_bytes(platform.entropy(2), "big")
    return _FIRST_FREE_PORT + offset % (65536 - _FIRST_FREE_PORT)
