"""What a member of a network goes on running: found by letting one do so, in virtual time.

The build puts aside what is not among it (rare.py), so this decides over memory and time, never
over what a board does. The member hears a stream over TCP and answers, sends broadcasts and hears
the answers, looks whether it is online; keepalives and what is due every few minutes come by
themselves.
"""

import sys
from functools import cache

from host_tools.simulation.identities import identity
from host_tools.simulation.lan import Lan
from host_tools.unix_port import ROOT
from mpcore.ip.tcp import TcpSocket
from mpcore.ip.udp import UdpSocket

# The simulation stands for what is above and below a node, so nothing is known of that.
WATCHED = ("mpcore.crypto.", "mpcore.ip.", "mpcore.vl1.", "mpcore.vl2.")
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
        if beat % 2:
            watch.around(stream.send)(now, b"answer")
            watch.around(broadcast.sendto)(now, b"look", b"\xff\xff\xff\xff", _PORT)
        lan.wire.touch(node)
        talk.recv(now, 100)
    return frozenset(found)


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
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(_CORE):
            module = code.co_filename[len(_CORE) - len("mpcore/"):-3].replace("/", ".")
            self._found.add((module.removesuffix(".__init__"),
                             code.co_qualname.partition(".<locals>")[0]))
