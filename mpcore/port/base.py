"""What the ports of all platforms share: storage, counted sending, remembered addresses."""

import os

import micropython
from micropython import const

from mpcore import limits

# Where a datagram begins in the receive buffer: as the kernels of vl1 want a packet aligned.
START = const(1)


def entropy(n):
    """n random bytes fit for keys."""
    return os.urandom(n)


class BasePort:
    """The host as a node sees it: storage in a directory and UDP sockets that never block.

    A platform adds the sockets: `_open(address, port)` returns a bound socket and its endpoint,
    `_sockaddr(endpoint)` and `_endpoint(sockaddr)` translate, `drain` and `wait` receive.
    """

    behind = ()             # datagrams that were taken and are to be handed on by the next drain()
    rings = limits.TCP_SEND_RING, limits.TCP_RECEIVE_RING   # of a TCP connection, in bytes

    def __init__(self, home, bind):
        """
        home: directory of the storage.
        bind: "ip:port" or "[ipv6]:port", or a sequence of them; port 0 takes a free one.

        Raises ValueError for a malformed bind, OSError when an address cannot be bound.
        """
        self.home = home
        self.counters = {"sent": 0, "send_failed": 0, "received": 0, "receive_failed": 0}
        self.sockets = []
        self.local = []         # endpoints that are bound, one a socket
        self._by_family = {}    # length of an endpoint: socket to send from
        self._sockaddrs = {}    # endpoint: the same in the platform's form ...
        self._endpoints = {}    # ... and the other way about, of the same objects
        self._sent = self._view = None      # the buffer that was sent from last
        try:
            for text in [bind] if isinstance(bind, str) else bind:
                sock, endpoint = self._open(*_split(text))
                self.sockets.append(sock)
                self.local.append(endpoint)
                self._by_family.setdefault(len(endpoint), sock)
        except BaseException:
            self.close()
            raise

    @micropython.native
    def send(self, endpoint, buf, off, n):
        """Send buf[off:off+n] as one datagram. Losing it is not an error, only counted."""
        sockaddr = self._sockaddrs.get(endpoint)
        try:
            sock = self._by_family[len(endpoint)]
            if sockaddr is None:
                sockaddr = self._sockaddr(endpoint)
                self._remember(endpoint, sockaddr, sockaddr)
            if buf is not self._sent:
                self._sent, self._view = buf, memoryview(buf)
            sock.sendto(self._view[off:off + n], sockaddr)
            self.counters["sent"] += 1
        except (OSError, KeyError):
            self.counters["send_failed"] += 1

    def keep(self, sock):
        """Take a datagram that is to wait for the next drain() without a socket. False where that
        is not known: drain() is to be called as always."""
        return False

    # Storage is for moments of a node's life: loaded for them (mpcore/on_demand.py).

    def _storage(self):
        """The Storage at `home`; platforms with one of their own override it."""
        from mpcore.port.storage import Storage

        return Storage(self.home)

    def load(self, name):
        """See Storage."""
        return self._storage().load(name)

    def store(self, name, data):
        """See Storage."""
        self._storage().store(name, data)

    def remove(self, name):
        """See Storage."""
        self._storage().remove(name)

    def names(self, prefix=""):
        """See Storage."""
        return self._storage().names(prefix)

    def entropy(self, n):
        """n random bytes fit for keys."""
        return entropy(n)

    def endpoints(self):
        """Where a neighbour on the same physical network may reach our sockets.

        A socket bound to every address stands for the one that this host would use; where the
        platform does not tell that one, it is left out.
        """
        found = []
        for endpoint in self.local:
            ip = endpoint[:-2]
            if not any(ip):
                ip = self._own_address(len(ip))
            if ip:
                found.append(ip + endpoint[-2:])
        return found

    def _own_address(self, size):
        """This host's address of 4 or 16 bytes, or None; platforms that can tell override it."""
        return None

    def close(self):
        """Close the sockets."""
        for sock in self.sockets:
            sock.close()
        self.sockets = []
        self._by_family = {}

    def _source(self, sockaddr):
        """The endpoint a datagram came from; one and the same object as long as it is known."""
        endpoint = self._endpoints.get(sockaddr)
        if endpoint is None:
            endpoint = self._endpoint(sockaddr)
            address = self._sockaddr(endpoint)
            self._remember(endpoint, sockaddr, sockaddr if sockaddr == address else address)
        return endpoint

    def _remember(self, endpoint, sockaddr, address):
        """What comes from `sockaddr` is from this endpoint, and what is for it goes to `address`,
        mostly the same. A source may say more, such as a zone."""
        for cache in self._endpoints, self._sockaddrs:
            if len(cache) >= limits.REMEMBERED_ENDPOINTS:
                cache.clear()
        self._endpoints[sockaddr] = endpoint
        self._sockaddrs[endpoint] = address


def _split(text):
    address, _, port = text.rpartition(":")
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    elif ":" in address:
        raise ValueError("an IPv6 address is bound as [address]:port: " + text)
    if not address or not port.isdigit() or int(port) > 65535:
        raise ValueError("expected address:port to bind to: " + text)
    return address, int(port)
