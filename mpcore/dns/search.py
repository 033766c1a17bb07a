"""The search for a name's addresses: what may be meant by it, and whom to ask."""

from mpcore.dns import message
from mpcore.dns.multicast import LOCAL
from mpcore.dns.resolver import AGAIN, UNKNOWN, Resolver

_NOT_LOOKED_UP = ("", "localhost")


def knows(node, name):
    """See mpcore.dns.knows."""
    try:
        found = candidates(node, name)
    except ValueError:
        return False
    domains = [domain for domain, _ in zones(node) if domain != message.ROOT] + [LOCAL]
    return any([message.is_within(each, domain) for each in found for domain in domains])


def resolver(runtime):
    """The Resolver of a runtime's node, which is polled with it from now on."""
    node = runtime.node
    for service in node.services:
        if isinstance(service, Resolver):
            return service
    node.services.append(Resolver(node.stack, lambda: zones(node), runtime.kick))
    return node.services[-1]


def zones(node):
    """[(domain, [server IP])] as the configs of the node's networks have them."""
    found = []
    for network in node.networks.values():
        config = network.config
        if config is not None and config.dns_servers:
            try:
                found.append((message.name_from(config.dns_domain.decode()), config.dns_servers))
            except ValueError:
                continue        # what a controller says is not a name
    return found


def candidates(node, name):
    """The names that may be meant, the likeliest first. Raises ValueError for what is none."""
    absolute = message.name_from(name)
    bare = name.rstrip(".").lower()
    if bare in _NOT_LOOKED_UP or bare.rpartition(".")[2].isdigit():
        raise ValueError("not a name to look up: " + name)
    if "." in name:
        return [absolute]
    found = [absolute[:-1] + domain for domain, _ in zones(node) if domain != message.ROOT]
    return [name for name in found if len(name) <= message.MAX_NAME]


def address_kinds(node, size):
    """The types of records to ask for: no IPv6 addresses for who could not use them."""
    if size == 0 and 16 in node.stack.families:
        return [message.A, message.AAAA]
    return [message.AAAA if size == 16 else message.A]


class Search:
    """Asks for the records of a name, under one candidate after the other.

    kinds: types, all of which are asked for at once. on_end is called when it is over, perhaps
    before the constructor returns. error: None while it lasts, then 0 or what is the matter.
    """

    def __init__(self, runtime, name, kinds, on_end=None):
        self.error = None
        self._name = name
        self._on_end = on_end
        self._runtime = runtime
        self._failed = UNKNOWN
        self._kinds = kinds
        try:
            self._candidates = candidates(runtime.node, name)
        except ValueError:
            self._candidates = []
        self._next()

    def result(self):
        """The records' data in the order of their kinds. Raises OSError."""
        if self.error:
            raise OSError(self.error, "cannot find " + self._name)
        return [data for kind in self._kinds for data in self._found[kind]]

    def _next(self):
        self._found = {}
        self._missing = len(self._kinds)
        if not self._candidates:
            return self._end(self._failed)
        candidate = self._candidates.pop(0)
        asked = resolver(self._runtime)
        now = self._runtime.now()
        for kind in self._kinds:
            asked.query(now, candidate, kind, lambda error, data, kind=kind:
                        self._take(kind, error, data))

    def _take(self, kind, error, data):
        self._found[kind] = data
        if error == AGAIN:
            self._failed = AGAIN
        self._missing -= 1
        if not self._missing:
            if any(self._found.values()):
                self._end(0)
            else:
                self._next()

    def _end(self, error):
        self.error = error
        if self._on_end is not None:
            self._on_end()
