"""All active runtimes together: for blocking sockets, and for addresses of several networks."""

from mpcore import port as platform
from mpcore.runtime import activate, current, deactivate, registered   # noqa: F401 - one face


def active():
    """The runtimes of all active NICs."""
    return list(registered)


class Together:
    """All active runtimes behind one face: for whoever may wait for any of them."""

    now = staticmethod(platform.now_ms)

    def kick(self):
        for runtime in registered:
            runtime.kick()

    def driven(self):
        return all(runtime.driven() for runtime in registered)

    def step(self, timeout_ms=None, others=(), mask=1):
        """As Runtime.step, for all; `others`, sockets of the platform, end the wait when they are
        ready for `mask` (select.POLL*)."""
        drive(timeout_ms, None, others, mask)


def drive(timeout_ms, runtime, others=(), mask=1):
    """Step `runtime` (or None) together with every active one; see Together.step."""
    if not others and (not registered or registered == [runtime]):
        return runtime.step(timeout_ms)
    runtimes = registered if runtime is None or runtime in registered else registered + [runtime]
    settled = [each for each in runtimes if each.settle()]
    wait = 0 if settled else timeout_ms
    for each in runtimes:
        due = each.wait_ms()
        if wait is None or due is not None and due < wait:
            wait = due
    if wait != 0:
        platform.wait([sock for each in runtimes for sock in each.port.sockets], wait, others,
                      mask)
    for each in runtimes:
        each.drain()


def leads(node, ip):
    """Whether an address (4 or 16 bytes) lies on a node's networks.

    That is: within the prefix of an address of ours or of a network's route. A default route does
    not count: a network does not take the whole Internet away from the platform. Nor do multicast
    and limited broadcast, which lie everywhere.
    """
    if len(ip) not in node.stack.families:
        return False
    for interface in node.stack.interfaces:
        if interface.is_neighbour(ip) or ip in interface.broadcasts:
            return True
        for target, prefix, _ in interface.routes:
            if prefix and _within(ip, target, prefix):
                return True
    return False


def towards(ip):
    """The active runtime on whose networks an address (4 or 16 bytes) lies, or None."""
    for runtime in registered:
        if leads(runtime.node, ip):
            return runtime
    return None


def _within(ip, target, prefix):
    shift = 8 * len(ip) - prefix
    return len(ip) == len(target) and (int.from_bytes(ip, "big") ^ int.from_bytes(target, "big")
                                       ) >> shift == 0
