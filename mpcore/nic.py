"""A virtual network in the shape of MicroPython's network interfaces.

    nic = mpcore.NIC(home="filament")
    nic.active(True)
    nic.connect("8056c2e21c000001")
    while not nic.isconnected():
        time.sleep_ms(100)
    print(nic.ifconfig())
"""

import asyncio
from errno import ENODEV, ENOENT, EPERM

from mpcore import on_demand, port as platform
from mpcore.node import Node
from mpcore.runtime import Runtime, activate, deactivate
from mpcore.vl1.identity import Identity
from mpcore.vl1.inet import ip_text

_ANY = "0.0.0.0"
_STATUS = {"REQUESTING_CONFIGURATION": 1, "NOT_FOUND": -2, "ACCESS_DENIED": -3,
           "AUTHENTICATION_REQUIRED": -4, "RULES_UNSUPPORTED": -5}


class NIC:
    """One node on one virtual network. Its methods are those of network.AbstractNIC.

    The addresses come from the network's controller, so they can be read but not set.
    """

    STAT_IDLE = 0
    STAT_CONNECTING = 1
    STAT_GOT_IP = 3
    STAT_NOT_FOUND = -2                 # there is no such network at its controller
    STAT_ACCESS_DENIED = -3             # the controller has not authorised this node
    STAT_AUTHENTICATION_REQUIRED = -4   # the controller wants a login elsewhere
    STAT_RULES_UNSUPPORTED = -5         # the network has rules that this node does not know

    def __init__(self, home="filament", bind="0.0.0.0:9993", loopback=False, hostname=None,
                 **options):
        """
        home: directory with the files "identity.secret" and "planet"; network configs are kept
            there too.
        bind: address and port of the UDP socket, or a sequence of them.
        loopback: let 127.0.0.0/8 be used for paths, as real nodes never do.
        hostname: name by which others on the network find this node: "bulb" is "bulb.local" to
            them, by mDNS. `responder` (mpcore.dns.mdns.Responder) then advertises services too.
        options: other arguments of mpcore.node.Node, such as low_bandwidth=True, with which an idle
            node needs less than 1 MB a day.
        """
        self.node = None
        self.runtime = None
        self.responder = None
        self._hostname = hostname
        self._home = home
        self._bind = bind
        self._options = dict(options, loopback=loopback)
        self._network = None
        self._changed = asyncio.Event()

    def active(self, is_active=None):
        """Open or close the interface; without an argument, whether it is open.

        The first NIC that is opened is the one whose network sockets use by default. Raises
        OSError ENOENT without an identity or a planet, or when bind fails; ValueError when a file,
        bind or the hostname is malformed.
        """
        if is_active is None:
            return self.node is not None
        if is_active and self.node is None:
            self._open()
        elif not is_active and self.node is not None:
            self._close()

    def connect(self, network_id):
        """Join a network, leaving the one before; it goes on by itself, see isconnected().

        network_id: 16 hexadecimal digits, or the number that they are. Raises ValueError for
        anything else, OSError ENODEV when not active.
        """
        network_id = _network_id(network_id)
        node = self._active()
        if self._network is not None and self._network.id != network_id:
            self.disconnect()
        self._network = node.join(self.runtime.now(), network_id)
        self.runtime.kick()

    def disconnect(self):
        """Leave the network."""
        if self._network is not None:
            network, self._network = self._network, None
            self.node.leave(self.runtime.now(), network.id)
            self.runtime.kick()

    def moved(self):
        """The physical network is another, or back: let the peers know our address at once, and
        not with the next keepalive. Raises OSError ENODEV when not active."""
        self._active().vl1.contact.moved(self.runtime.now())

    def isconnected(self):
        """Whether the network has given us an address. Drives the node if nobody else does."""
        if self._network is None:
            return False
        self.runtime.step(0)
        while self.node.busy():     # or who asks now and then would get a slice done each time
            self.runtime.step(0)
        return self._usable()

    async def wait_connected(self):
        """Wait until isconnected() would be True; asyncio.wait_for limits it."""
        self._active()
        self.runtime.start()
        while not self._usable():
            self._changed.clear()
            await self._changed.wait()

    def status(self, param=None):
        """One of the STAT_ constants, or about param:

        "reason" a text for people; "name" the status by its name in ZeroTier; "online" whether a
        root answers. Raises ValueError for another.
        """
        network = self._network
        if param is None:
            if network is None:
                return self.STAT_IDLE
            if self._usable():
                return self.STAT_GOT_IP
            return _STATUS.get(network.status, self.STAT_CONNECTING)
        if param == "reason":
            return network.reason if network is not None else ""
        if param == "name":
            return network.status if network is not None else ""
        if param == "online":
            return self.node is not None and self.node.online(self.runtime.now())
        raise ValueError("unknown status param")

    def ifconfig(self, config=None):
        """(address, netmask, gateway, DNS server) of IPv4, "0.0.0.0" where there is none."""
        if config is not None:
            raise OSError(EPERM, "the controller assigns addresses")
        dns = [ip_text(ip) for ip in self._config_list("dns_servers") if len(ip) == 4]
        return self.ipconfig("addr4") + (self.ipconfig("gw4"), dns[0] if dns else _ANY)

    def ipconfig(self, param=None, **settings):
        """"addr4": (address, netmask); "addr6": [(address, state, preferred, valid lifetime)];
        "gw4"; "dhcp4", "has_dhcp4", "autoconf6", "has_autoconf6": False.

        Raises ValueError for another, OSError EPERM for an attempt to set any.
        """
        if settings:
            raise OSError(EPERM, "the controller assigns addresses")
        ips = self._config_list("static_ips")
        if param == "addr4":
            for ip, bits in ips:
                if len(ip) == 4:
                    return ip_text(ip), _netmask(bits)
            return _ANY, _ANY
        if param == "addr6":
            return [(ip_text(ip), 0x30, None, None) for ip, _ in ips if len(ip) == 16]
        if param == "gw4":
            for route in self._config_list("routes"):
                target, bits, via = route[:3]
                if via is not None and len(target) == 4 and bits == 0:
                    return ip_text(via)
            return _ANY
        if param in ("dhcp4", "has_dhcp4", "autoconf6", "has_autoconf6"):
            return False
        raise ValueError("unknown ipconfig param")

    def config(self, param=None, **settings):
        """"mac" on the network (6 bytes), "mtu", "network" (its ID), "ssid" (its name), "address"
        (this node's, 10 digits), "hostname" (which is another than the given one while somebody
        else has that); None for what is not known yet. Nothing can be set.

        Raises ValueError for another.
        """
        network = self._network
        if settings or param not in ("mac", "mtu", "network", "ssid", "address", "hostname"):
            raise ValueError("unknown config param")
        if param == "hostname":
            return self._hostname if self.responder is None else self.responder.hostname
        if param == "address":
            return self._active().identity.address.hex()
        if network is None:
            return None
        if param == "network":
            return network.id.hex()
        if param == "ssid":
            return network.config.name.decode() if network.config is not None else None
        return network.mac if param == "mac" else network.mtu

    def _open(self):
        port = platform.Port(self._home, self._bind)
        from mpcore.vl1.world import World

        try:
            identity = Identity.from_text(_load(port, "identity.secret").decode())
            planet, _ = World.from_bytes(_load(port, "planet"))
            epoch_ms = platform.wall_ms() - platform.now_ms()
            node = Node(port, identity, planet, epoch_ms=epoch_ms,
                        on_change=self._on_change, **self._options)
            self.runtime = Runtime(node, port)
            if self._hostname is not None:
                from mpcore.dns.mdns import Responder   # costs nothing where it is not used
                self.responder = Responder(node.stack, self._hostname, self.runtime.kick)
                node.services.append(self.responder)
        except BaseException:
            port.close()
            raise
        self.node = node
        on_demand.make_room()
        activate(self.runtime)
        try:
            self.runtime.start()
        except RuntimeError:
            pass        # CPython, and no loop runs: whoever waits drives

    def _close(self):
        if self.responder is not None:
            self.responder.close(self.runtime.now())
        self.runtime.stop()
        self.runtime.port.close()
        deactivate(self.runtime)
        self.node = self.runtime = self.responder = self._network = None

    def _active(self):
        if self.node is None:
            raise OSError(ENODEV, "the NIC is not active")
        return self.node

    def _usable(self):
        network = self._network
        return network is not None and network.status == "OK" and bool(network.config.static_ips)

    def _config_list(self, name):
        if self._network is None or self._network.config is None:
            return ()
        return getattr(self._network.config, name)

    def _on_change(self, now, network):
        self._changed.set()


def _load(port, name):
    data = port.load(name)
    if data is None:
        raise OSError(ENOENT, "no file %s in %s" % (name, port.home))
    return data


def _network_id(value):
    if isinstance(value, int):
        value = "%016x" % value
    if len(value) != 16:
        raise ValueError("a network ID has 16 hexadecimal digits")
    return bytes.fromhex(value)


def _netmask(bits):
    return ip_text((0xFFFFFFFF << 32 - bits & 0xFFFFFFFF).to_bytes(4, "big"))
