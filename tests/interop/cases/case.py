"""What a case is, and what several of them share."""

import ipaddress
from contextlib import contextmanager

from scene import POOL, READY_S, wait_for

POOL_HOSTS = list(ipaddress.IPv4Network(POOL).hosts())
BROADCAST = str(ipaddress.IPv4Network(POOL).broadcast_address)
OURS = ("cpython", "micropython")


class Case:
    """function(scene, *arguments) returns figures; a failure is an exception.

    number: of issue 3; members: names of those whom it is about; enrols: whether no other case
    can do without this one.
    """

    def __init__(self, number, title, function, members, *arguments, budget_s=60, enrols=False):
        self.number = number
        self.title = title
        self.members = members
        self.budget_s = budget_s
        self.enrols = enrols
        self._function = function
        self._arguments = arguments

    def run(self, scene):
        return self._function(scene, *self._arguments)


@contextmanager
def joined(scene, network, names, find):
    """Members on one more network; yields {name: address}.

    find(member, status) -> the address that is meant, or None while there is none.
    """
    def address(member):
        status = member.call("network", nwid=network)
        return find(member, status) if status["status"] == "OK" else None

    members = {name: scene.members[name] for name in names}
    for member in members.values():
        member.call("join", nwid=network)
    try:
        yield {name: wait_for(f"{name} has an address on {network}", lambda: address(member),
                              READY_S) for name, member in members.items()}
    finally:
        for member in members.values():
            if member.kind != "libzt":      # which logs that it cannot write, when it leaves
                member.call("leave", nwid=network)
