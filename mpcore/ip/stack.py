"""The stack: interfaces, routes, the way from a link to a socket, and timers.

Nothing here opens a socket or reads a clock. `link.transmit` must not call back into the stack,
but for the answer to a neighbour solicitation. IPv6 is loaded with the first address of it.
"""

import micropython
from micropython import const

from mpcore.ip import demux, ethernet, udp
from mpcore.ip.arp import Arp
from mpcore.ip.ipv4 import Ipv4
from mpcore.limits import LOOPBACK_PACKETS, ROUTES_CACHED

_NO_ADDRESS = bytes(4)
_EPHEMERAL = 49152
_IPV4 = const(0x0800)
_SHORT = const(120)              # bytes of a packet, headers and all options included

# A buffer for packets that a link carries in one datagram, and what it writes before them: taken
# before code has cut a board's heap into pieces. The first stack that needs one has it.
_buffers = [bytearray(1440)]


class Route:
    """How a destination is reached. mac: fixed for a group, else None: next_hop is resolved.
    neighbour: the entry of next_hop that a connection has used."""

    neighbour = mac = None
    broadcast = local = False
    _mtu = None

    def __init__(self, interface, family, source, next_hop, mac=None, broadcast=False,
                 local=False):
        self.interface = interface
        self.family = family
        self.source = source
        self.next_hop = next_hop
        if mac is not None:         # seldom, and there are many
            self.mac = mac
            self.broadcast = broadcast
        if local:
            self.local = True

    @property
    def mtu(self):
        """Of the path: the link's, or what a router told of that is smaller."""
        return self._mtu or self.interface.link.mtu

    @mtu.setter
    def mtu(self, mtu):
        self._mtu = mtu

    def segment(self):
        """The largest IP packet for a TCP segment: what the path takes, and what the link carries
        as one datagram, if it tells. One lost half would lose the whole."""
        return self.mtu if self.local else min(self.mtu, self.interface.whole())

    def looped(self):
        """The way back to ourselves by the same interface."""
        return Route(self.interface, self.family, self.source, self.next_hop, local=True)


class Interface:
    """One link of a stack, its addresses and the groups it is in.

    addresses: ip -> prefix length. With the first IPv6 address comes the link-local one.
    flow: the connection that had the last segment over IPv4 from here, or None.
    pins: None, or ip -> [MAC, by how many connections]: these addresses belong to these MACs, as
    long as such a connection lasts. What claims to be from one and has another MAC is dropped.
    sender: source MAC of the packet in hand, where it took the way of all.
    groups: multicast ip -> how many joined it here; a link that has subscribe(now, mac) and
    unsubscribe(now, mac) is told of those that come and go.

    `start` is where an Ethernet payload begins in the stack's buffer: at least the link's
    headroom, and 3 past a 4-byte boundary, so that headers of 28 + 10 bytes put in front of it
    begin 1 past one.
    """

    def __init__(self, stack, link):
        self.stack = stack
        self.link = link
        self.start = link.headroom + (3 - link.headroom) % 4
        self.addresses = {}
        self.broadcasts = {}
        self.routes = []
        self.own = _NO_ADDRESS
        self.flow = None
        self.pins = None
        self.sender = None
        self.groups = {}
        self._resolving = ()            # groups in which we answer for our addresses
        self.arp = Arp(self)
        self.ndp = None                 # until there is an IPv6 address

    @micropython.native
    def receive(self, now, source_mac, destination_mac, ethertype, buf, off, n):
        """One frame from the link: its payload is buf[off:off + n] and is not kept.

        Whatever the bytes are, nothing is raised; what is wrong is counted in stack.counters.
        """
        if n > len(buf) - off:
            return self.stack.count("frame_malformed")
        if self.pins is not None and self._forged(source_mac, ethertype, buf, off):
            return
        if ethertype == _IPV4:
            group = destination_mac[0] & 1
            if self.flow is None or group or not self.flow.take(now, buf, off, n):
                self.sender = source_mac
                self.stack.ipv4.receive(now, self, group, memoryview(buf), off, n)
        elif ethertype == ethernet.ARP:
            self.arp.receive(now, source_mac, memoryview(buf), off, n)
        elif ethertype == ethernet.IPV6 and self.ndp is not None:
            self.sender = source_mac
            self.stack.families[16].receive(now, self, destination_mac[0] & 1, memoryview(buf),
                                            off, n)
        else:
            self.stack.count("ethertype")

    def pin(self, now, ip, mac):
        """Bind a neighbour's address to a MAC until as many calls of unpin(). Returns whether no
        other MAC has it: otherwise nothing has happened."""
        if self.spoofed(ip, mac):
            return False
        if self.pins is None:
            self.pins = {}
        self.pins.setdefault(ip, [mac, 0])[1] += 1
        neighbours = self.neighbours(ip)
        neighbours.learn(now, neighbours.entry(now, ip, True), mac)
        return True

    def neighbours(self, ip):
        """The neighbours in the family of this address."""
        return self.arp if len(ip) == 4 else self.ndp

    def unpin(self, ip):
        """Undo one pin()."""
        pin = self.pins[ip]
        pin[1] -= 1
        if not pin[1]:
            del self.pins[ip]
            self.pins = self.pins or None

    def spoofed(self, ip, mac):
        """Does another MAC claim a pinned address? It is counted."""
        pin = self.pins and self.pins.get(ip)
        if not pin or pin[0] == mac:
            return False
        self.stack.count("spoofed")
        return True

    def _forged(self, mac, ethertype, buf, off):
        """Is the source of this IP packet spoofed? ARP and NDP look at theirs themselves."""
        if ethertype == _IPV4:
            return self.spoofed(bytes(buf[off + 12:off + 16]), mac)
        return ethertype == ethernet.IPV6 and self.spoofed(bytes(buf[off + 8:off + 24]), mac)

    def whole(self):
        """Bytes of the largest packet that the link carries as one datagram."""
        link = self.link
        return min(link.mtu, getattr(link, "whole", link.mtu))

    def set_addresses(self, now, addresses):
        """Replace the addresses: a list of (ip, prefix length). New ones of IPv4 are announced."""
        before = self.addresses
        self.addresses = dict(addresses)
        self.flow = None
        self.broadcasts = {}
        self.own = _NO_ADDRESS
        for ip, prefix in addresses:
            if len(ip) == 4:
                if self.own is _NO_ADDRESS:
                    self.own = ip
                if prefix < 31:
                    mask = (1 << 32 - prefix) - 1
                    last = int.from_bytes(ip, "big") | mask
                    self.broadcasts[last.to_bytes(4, "big")] = True
        resolving = ()
        if any(len(ip) == 16 for ip in self.addresses):
            resolving = self._begin_ipv6()
        for group in resolving:
            self.join(now, group)
        for group in self._resolving:
            self.leave(now, group)
        self._resolving = resolving
        self.stack.fit(self)
        self.stack.routes_changed()
        for ip, prefix in addresses:
            if len(ip) == 4 and ip not in before:
                self.arp.announce(now, ip)

    def join(self, now, group):
        """Receive what is sent to a multicast group (4 or 16 bytes)."""
        joined = self.groups.get(group, 0)
        self.groups[group] = joined + 1
        if not joined and hasattr(self.link, "subscribe"):
            self.link.subscribe(now, self.stack.families[len(group)].group_mac(group))

    def leave(self, now, group):
        """Undo one join()."""
        joined = self.groups.pop(group)
        if joined > 1:
            self.groups[group] = joined - 1
        elif hasattr(self.link, "unsubscribe"):
            self.link.unsubscribe(now, self.stack.families[len(group)].group_mac(group))

    def set_routes(self, routes):
        """Replace the routes: a list of (target, prefix length, via ip or None: on the link)."""
        self.routes = list(routes)
        self.stack.routes_changed()

    def in_subnet(self, ip):
        """Does `ip` agree with an address of ours, as far as that has its prefix?"""
        for address, prefix in self.addresses.items():
            if _matches(ip, address, prefix):
                return True
        return False

    def is_neighbour(self, ip):
        """Is `ip` on this link (by an address' prefix or a route without `via`), not a group?"""
        if ip in self.broadcasts or self.stack.families[len(ip)].is_group(ip):
            return False
        if self.in_subnet(ip):
            return True
        for target, prefix, via in self.routes:
            if via is None and _matches(ip, target, prefix):
                return True
        return False

    def source_for(self, ip):
        """Our address on this link that is nearest to `ip`, or None."""
        best, length = None, -1
        for address, prefix in self.addresses.items():
            if len(address) == len(ip):
                if prefix > length and _matches(ip, address, prefix):
                    best, length = address, prefix
                elif best is None or (length < 0 and _is_link_local(best)):
                    best = address
        return best

    def transmit(self, now, destination_mac, ethertype, n):
        """Send n bytes from `start` of the stack's buffer, whose content is lost by this."""
        self.link.transmit(now, destination_mac, ethertype, self.stack.buffer, self.start, n)

    def _begin_ipv6(self):
        """Add what every interface with IPv6 has; returns the groups of its addresses."""
        try:
            from mpcore.ip import ipv6
            from mpcore.ip.ndp import Ndp
        except ImportError:         # left out of what is on this board: these addresses as well
            self.addresses = {ip: prefix for ip, prefix in self.addresses.items() if len(ip) == 4}
            self.stack.count("ipv6_missing")
            return ()
        if 16 not in self.stack.families:
            self.stack.families[16] = ipv6.Ipv6(self.stack)
        if self.ndp is None:
            self.ndp = Ndp(self)
        self.addresses[ipv6.link_local(self.link.mac)] = 64
        return [ipv6.ALL_NODES] + [ipv6.solicited_node(ip) for ip in self.addresses
                                   if len(ip) == 16]


class Stack:
    """entropy: callable(n) -> n random bytes.

    on_schedule, if set, is called with a time in ms when poll() must be called earlier than it
    last said; next_ms: when that is, None: never. counters: what was dropped or limited, by cause.
    max_looped: a limit that a host may raise (see limits.py).
    """

    def __init__(self, entropy):
        self.entropy = entropy
        self.buffer = bytearray(0)
        self.interfaces = []
        self.counters = {}
        self.on_schedule = None
        self.generation = 0
        self.next_ms = None
        self._polling = False
        self._routes = {}
        self.max_looped = LOOPBACK_PACKETS
        self._looped = ()
        self._looping = False
        self.reassembler = None         # until the first fragment
        self.udp = udp.Udp(self)
        self.tcp = demux.Tcp(self)
        self.protocols = {udp.PROTOCOL: self.udp, demux.PROTOCOL: self.tcp}
        self.ipv4 = Ipv4(self)
        self.families = {4: self.ipv4}  # by the length of their addresses

    def add_interface(self, link):
        """Attach a link: mac (6 bytes), mtu, headroom, perhaps whole (bytes that it carries
        without cutting them up), and
        transmit(now, destination_mac, ethertype, buf, off, n), which may overwrite
        buf[off - headroom:off + n]."""
        interface = Interface(self, link)
        self.fit(interface)
        self.interfaces.append(interface)
        self.routes_changed()
        return interface

    def remove_interface(self, interface):
        """Detach a link; connections over it find no route any more."""
        self.interfaces.remove(interface)
        self.routes_changed()

    def poll(self, now):
        """Do what is due; returns the absolute ms of the next call, or None."""
        self.tcp.acknowledge(now)
        if self.next_ms is None or now < self.next_ms:
            return self.next_ms
        self.next_ms = None
        self._polling = True
        try:
            looped, self._looped = self._looped, ()
            self._looping = True
            for route, packet in looped:
                route.family.receive(now, route.interface, 0, packet, 0, len(packet))
            self._looping = False
            for interface in self.interfaces:
                interface.arp.poll(now)
                if interface.ndp is not None:
                    interface.ndp.poll(now)
            if self.reassembler is not None:
                self.reassembler.poll(now)
            self.tcp.poll(now)
        finally:
            self._polling = self._looping = False
        return now if self.tcp.owing else self.next_ms

    def echo(self, now, ip, identifier, sequence, data, callback):
        """Ping: send an echo request (identifier, sequence: 16 bits).

        callback(now, ip, sequence, data) is called with the reply; data is None when the host was
        reported unreachable. Returns False when there is no route.
        """
        family = self.families.get(len(ip))
        if family is None:
            return False
        return family.icmp.echo(now, ip, identifier, sequence, data, callback)

    def reassemble(self, now, key, at, piece, more):
        """One fragment of a datagram; see Reassembler.add."""
        if self.reassembler is None:
            from mpcore.ip.reassembly import Reassembler

            self.reassembler = Reassembler(self)
        return self.reassembler.add(now, key, at, piece, more)

    def route(self, destination, source=None):
        """The Route to an address, from the interface that has `source` if given; None if none."""
        route = self._routes.get(destination) or self._cache(destination, destination, None)
        if source is None or route is not None and route.source == source:
            return route
        key = source + destination
        return self._routes.get(key) or self._cache(key, destination, source)

    def _cache(self, key, destination, source):
        route = self._find(destination, source)
        if route is not None:
            if len(self._routes) >= ROUTES_CACHED:
                self._routes.clear()
            self._routes[route.next_hop if key == route.next_hop else key] = route
        return route

    def routes(self, destination, source=None):
        """As route(), but a list: a limited broadcast leaves by every interface."""
        found = []
        family = self.families.get(len(destination))
        if family is not None and source is None and family.is_limited_broadcast(destination):
            for interface in self.interfaces:
                address = interface.source_for(destination)
                if address is not None:
                    found.append(self.route(destination, address))
        else:
            route = self.route(destination, source)
            if route is not None:
                found.append(route)
        return found

    def path_mtu(self, destination, source, mtu):
        """A router on the way to `destination` passes packets of at most `mtu` bytes."""
        for key in (destination, source + destination):
            route = self._routes.get(key)
            if route is not None and mtu < route.mtu:
                route.mtu = mtu

    def ephemeral(self, used):
        """A random port of the dynamic range that is not in `used`."""
        port = int.from_bytes(self.entropy(2), "big")
        while True:
            port = port & 0x3FFF | _EPHEMERAL
            if port not in used:
                return port
            port += 1

    @micropython.native
    def schedule(self, at_ms):
        """Have poll() called at `at_ms` at the latest."""
        if self.next_ms is None or at_ms < self.next_ms:
            self.next_ms = at_ms
            if self.on_schedule is not None and not self._polling:
                self.on_schedule(at_ms)

    @micropython.native
    def wake(self, now):
        """Have poll() called soon, though no timer is due."""
        if self.on_schedule is not None and not self._polling:
            self.on_schedule(now)

    def loop_back(self, now, route, n):
        """Keep a packet to ourselves, from the buffer, until the next poll. Short ones find places
        when no others do: what is lost is sent again, but nobody repeats a RST."""
        if len(self._looped) >= (self.max_looped << 1 if n <= _SHORT else self.max_looped):
            return self.count("loopback_full")
        start = route.interface.start
        if not self._looped:
            self._looped = []
        self._looped.append((route, memoryview(self.buffer[start:start + n])))
        self.schedule(now)

    def count(self, cause, n=1):
        self.counters[cause] = self.counters.get(cause, 0) + n

    def forged(self, source):
        """Is this a source that no other host has (RFC 1122 3.2.1.3)? Our own addresses are such,
        unless we talk to ourselves. It is counted: what comes from there is to be dropped."""
        forged = source.startswith(self.families[len(source)].NOBODY)
        for interface in self.interfaces:
            if (source in interface.broadcasts
                    or (source in interface.addresses and not self._looping)):
                forged = True
        if forged:
            self.count("ip_bad_address")
        return forged

    def fit(self, interface):
        """Have the buffer hold what an interface, whose MTU may have changed, sends as one
        datagram. What is longer is seldom: room is made for it when there is some, by reserve().
        """
        size = interface.start + interface.whole()
        if len(self.buffer) < size:
            ready = _buffers and size <= len(_buffers[0])
            self.buffer = _buffers.pop() if ready else bytearray(size)

    def reserve(self, interface, size):
        """Have the buffer hold `size` bytes, or an interface's longest packet if they are more
        than there is room for. What was in it is lost then."""
        if len(self.buffer) < size:
            self.buffer = bytearray(interface.start + interface.link.mtu)

    def routes_changed(self):
        self._routes.clear()
        self.generation += 1
        self.tcp.routes_changed()

    def neighbour_unreachable(self, now, interface, ip):
        """Nobody answers for `ip` on an interface's link."""
        self.count("neighbour_unreachable")
        self.tcp.neighbour_unreachable(now, interface, ip)

    def _find(self, destination, source):
        family = self.families.get(len(destination))
        if family is None or (source is not None and len(source) != len(destination)):
            return None
        best, length, next_hop = None, -1, None
        group = family.is_group(destination)
        for interface in self.interfaces:
            if source is not None and source not in interface.addresses:
                continue
            if destination in interface.addresses:
                self.reserve(interface, interface.start + interface.link.mtu)   # see segment()
                return Route(interface, family, destination, destination, local=True)
            if destination in interface.broadcasts:
                return Route(interface, family, source or interface.source_for(destination), None,
                             ethernet.BROADCAST, broadcast=True)
            if group:
                address = source or interface.source_for(destination)
                if address is not None:
                    return Route(interface, family, address, None, family.group_mac(destination),
                                 family.is_limited_broadcast(destination))
                continue
            for address, prefix in interface.addresses.items():
                if prefix > length and _matches(destination, address, prefix):
                    best, length, next_hop = interface, prefix, destination
            for target, prefix, via in interface.routes:
                if prefix > length and _matches(destination, target, prefix):
                    best, length, next_hop = interface, prefix, via or destination
        if best is None:
            return None
        address = source or best.source_for(next_hop)
        if address is None:
            return None
        return Route(best, family, address, best.neighbours(next_hop).same(next_hop))


def _is_link_local(ip):
    return ip[0] == 0xFE and ip[1] & 0xC0 == 0x80


def _matches(ip, network, prefix):
    """Do the first `prefix` bits agree?"""
    if len(ip) != len(network):
        return False
    whole = prefix >> 3
    if ip[:whole] != network[:whole]:
        return False
    rest = prefix & 7
    return not rest or (ip[whole] ^ network[whole]) >> 8 - rest == 0
