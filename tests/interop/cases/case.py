"""What a case is, and what several of them share."""

import ipaddress

from scene import POOL

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
