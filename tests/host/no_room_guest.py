"""Two members that meet and talk, on MicroPython where machine code finds little room: its bytes,
and those that each kernel takes, come from stdin. Who comes too late gets a MemoryError."""

import builtins
import json
import sys

sys.path[:] = [__file__.rsplit("/", 3)[0], ".frozen"]
room, SIZES = json.load(sys.stdin)
usual = builtins.__import__


def limited(name, *how):
    global room
    if name in SIZES and name not in sys.modules:
        if SIZES[name] > room:
            sys.modules[name] = None    # as a part of it would be there
            raise MemoryError("memory allocation failed, allocating %d bytes" % SIZES[name])
        room -= SIZES[name]
    return usual(name, *how)


builtins.__import__ = limited

from host_tools.simulation.lan import Lan
from mpcore import fallback
from mpcore.crypto import portable
from mpcore.ip.tcp import TcpSocket
from mpcore.vl1.hashcash_blocks import chain
from mpcore.vl1.identity import Identity
from tests.core.scenes import identity

TEXT = bytes(range(256)) * 8
Identity.locally_valid = lambda self: True      # 2 MiB of ciphers in bytecode take a minute
lan = Lan(identity)
joined = lan.joined()
one, other = lan.members
listener, stream = TcpSocket(other.stack), TcpSocket(one.stack)
listener.bind(None, 80)
listener.listen(1)
stream.connect(lan.wire.now, lan.ip(other), 80)
lan.wire.touch(one)
lan.run(2000)
talk = listener.accept()
sent = stream.send(lan.wire.now, TEXT)
lan.wire.touch(one)
lan.run(2000)
block = bytearray(len(TEXT))
memory = bytearray(b"\x01" * 64 + b"\x02" * 64)
chain(memory, len(memory))
print(json.dumps({
    "joined": joined, "answered": lan.ping(one, other) is not None,
    "heard": talk.recv(lan.wire.now, 2 * len(TEXT)) == TEXT[:sent],
    "sent": sent, "gmac": portable.gmac(bytes(32), bytes(12), TEXT).hex(),
    "lz4": portable.lz4_decompress(b"\x10a", 0, 2, block, 0, 1), "chain": memory[127],
    "room": room, "kernels": fallback.kernels}))
