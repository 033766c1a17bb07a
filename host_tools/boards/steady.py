"""What a member of a network goes on running: found by letting one do so, in virtual time.

The build puts aside what is not among it (rare.py), so this decides over memory and time, never
over what a board does. The member hears a stream over TCP and answers, sends broadcasts and hears
the answers, looks whether it is online, has addresses as text; keepalives and what is due every
few minutes come by themselves. A method that something holds all the time, to call it on an
occasion, is among it: its code is there anyway.
"""

import gc
import sys
import types
from functools import cache

from host_tools.simulation.identities import identity
from host_tools.simulation.lan import Lan
from host_tools.unix_port import ROOT
from mpcore.ip.tcp import TcpSocket
from mpcore.ip.udp import UdpSocket
from mpcore.vl1 import inet

# The simulation stands for what is above and below a node, and hosts have twins of ciphers, so
# nothing is known of these.
WATCHED = ("mpcore.crypto.cipher_suite", "mpcore.crypto.portable", "mpcore.ip.", "mpcore.vl1.",
           "mpcore.vl2.", "mpcore.node")
# But this is done at both ends of a connection, or of all, and nowhere between.
SELDOM = frozenset({
    ("mpcore.nic", "NIC._open"), ("mpcore.nic", "NIC._close"), ("mpcore.aio", "Stream._connect"),
    ("mpcore.aio", "Server._accept"), ("mpcore.aio", "Server._serve")})
_MINUTES = 12
_SETTLE_MS = 5000
_BEAT_MS = 500
_PORT = 80
_EVENT = bytes(70)      # so many of them that a ring ends within some
_CORE = str(ROOT / "mpcore") + "/"


@cache
def functions():
    """{(module, path of the function in it, such as "Network.poll")}."""
    lan = Lan(identity)
    node, peer = lan.members
    assert lan.joined()
    listener, broadcast, answering = TcpSocket(peer.stack), *(
        UdpSocket(each.stack) for each in lan.members)
    listener.bind(None, _PORT)
    listener.listen(1)
    broadcast.bind(None, _PORT)
    broadcast.broadcast = True
    answering.bind(None, _PORT)
    stream = TcpSocket(node.stack)
    stream.connect(lan.wire.now, lan.ip(peer), _PORT)
    lan.wire.touch(node)
    lan.wire.run(_SETTLE_MS)
    talk = listener.accept()
    found = set()
    watch = _Watch(found)
    for name in ("receive", "poll"):
        setattr(node, name, watch.around(getattr(node, name)))
    for beat in range(_MINUTES * 60000 // _BEAT_MS):
        now = lan.wire.now
        talk.send(now, _EVENT)
        while (heard := answering.recvfrom()) is not None:
            answering.sendto(now, *heard)
        lan.wire.touch(peer)
        lan.wire.run(_BEAT_MS)
        now = lan.wire.now
        watch.around(stream.recv)(now, 100)
        watch.around(broadcast.recvfrom)()
        watch.around(node.online)(now)
        watch.around(inet.ip_text)(watch.around(inet.ip_parse)("10.0.0.1"))
        if beat % 2:
            watch.around(stream.send)(now, b"answer")
            watch.around(broadcast.sendto)(now, b"look", b"\xff\xff\xff\xff", _PORT)
        lan.wire.touch(node)
        talk.recv(now, 100)
    return frozenset(found | _held(node))


def _held(node):
    """The methods that lasting objects of a node hold."""
    found, seen, waiting = set(), set(), [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, types.MethodType) and (path := _path(each.__func__.__code__)):
            found.add(path)
        if id(each) not in seen and not isinstance(each, (type, types.ModuleType)):
            seen.add(id(each))
            waiting += gc.get_referents(each)
    return found


def _path(code):
    """(module, path) of a function of the core, or None."""
    if not code.co_filename.startswith(_CORE):
        return None
    module = code.co_filename[len(_CORE) - len("mpcore/"):-3].replace("/", ".")
    return module.removesuffix(".__init__"), code.co_qualname.partition(".<locals>")[0]


class _Watch:
    """Notes the functions of the core that run within `around`."""

    def __init__(self, found):
        self._found = found

    def around(self, call):
        def watched(*arguments):
            before = sys.getprofile()
            sys.setprofile(self._see)
            try:
                return call(*arguments)
            finally:
                sys.setprofile(before)
        return watched

    def _see(self, frame, event, argument):
        if event == "call" and (path := _path(frame.f_code)):
            self._found.add(path)
