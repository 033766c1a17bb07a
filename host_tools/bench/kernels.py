"""Section kernels: instructions of the parts that a node's work is made of, on MicroPython."""

import subprocess

from host_tools import loopback, unix_port
from host_tools.bench.faces import Bench, network_of
from host_tools.bench.section import Result, Table, at_most
from host_tools.bench.valgrind import counted, need

ABOUT = ("Instructions on MicroPython's unix port (x86-64; code from source, kernels in viper), "
         "each the difference of two processes that did it many times and few times (valgrind's "
         "callgrind): noise of the machine is not in them. `heap` is what each leaves to the "
         "collector. Layers: one end's half of a 64-byte TCP round trip, each layer what the "
         "floors up to it cost more than the floors below. (VL1 is measured with a packet that "
         "takes the way of all; frames have a shorter one, so VL2 may come out below nothing.)")

PIECES = "host_tools/bench/ends/pieces.py"
_HEAP = "32M"
_ALLOCATIONS = 50           # times it is done to see what it allocates
_EVENT = ("micropython", "node", "event")

# (what it is called here, piece, few, many)
_STEADY = (
    ("frame of 128 bytes in, from VL1 to above VL2", "frame in 128", 20, 220),
    ("frame of 128 bytes out, from VL2 to the port", "frame out 128", 20, 220),
)
_KERNELS = (
    ("Salsa20/12 and Poly1305, armor, 64 bytes", "armor 64", 20, 220),
    ("Salsa20/12 and Poly1305, dearmor, 64 bytes", "dearmor 64", 20, 220),
    ("Salsa20/12 and Poly1305, armor, 1400 bytes", "armor 1400", 20, 120),
    ("Salsa20/12 and Poly1305, dearmor, 1400 bytes", "dearmor 1400", 20, 120),
    ("X25519", "x25519", 1, 4),
    ("Ed25519, verify", "ed25519 verify", 1, 4),
    ("packet of 128 bytes by the way of all: parse, dearmor, dispatch", "dispatch 128", 20, 220),
    *_STEADY,
)
_BLOCKS = ("sha512 block", "sha512 two blocks", 20, 120)
_LAYERS = (("armor segment", 20, 120), ("dearmor segment", 20, 120), ("port", 20, 120),
           ("vl1", 20, 120), ("vl2", 20, 120), ("tcp", 20, 120))


def instructions(piece, few, many):
    """Of one piece of work, see ends/pieces.py."""
    ports = [str(port) for port in loopback.free_ports(["near", "far"])]
    less, more = [counted(unix_port.command(_HEAP, PIECES, piece, str(count), *ports))
                  for count in (few, many)]
    return (more - less) // (many - few)


def allocated(piece):
    """Bytes of heap that one piece of work leaves behind."""
    ports = [str(port) for port in loopback.free_ports(["near", "far"])]
    done = subprocess.run(
        unix_port.command(_HEAP, PIECES, piece, str(_ALLOCATIONS), *ports), cwd=unix_port.ROOT,
        env=unix_port.environment(), text=True, capture_output=True)
    if done.returncode:
        raise loopback.Failure(done.stdout + done.stderr)
    return int(done.stdout.rpartition(":")[2].strip(" }\n"))


def layers(half, event):
    """[(layer, instructions)] of one end of a round trip through the aio face.

    half: instructions of a piece's half of a round trip, by name; event: of the whole end.
    """
    crypto = half["armor segment"] + half["dearmor segment"]
    return [("port: socket calls", half["port"]),
            ("crypto: armor and dearmor", crypto),
            ("VL1: headers, peers, paths", half["vl1"] - crypto),
            ("VL2: membership, rules, frames", half["vl2"] - half["vl1"]),
            ("IP: IPv4, TCP, sockets", half["tcp"] - half["vl2"]),
            ("runtime, aio and asyncio", event - half["tcp"] - half["port"])]


def measure(options):
    need()
    scale = 2 if options.quick else 1
    figures = {"kernels": [], "layers": []}
    for name, piece, few, many in _KERNELS[:1] if options.quick else _KERNELS:
        options.say(name)
        figures["kernels"].append({"kernel": name, "heap": allocated(piece),
                                   "instructions": instructions(piece, few, many // scale)})
    options.say("SHA-512")
    one, two, few, many = _BLOCKS
    figures["kernels"].append({
        "kernel": "SHA-512, a block", "heap": None,
        "instructions": instructions(two, few, many) - instructions(one, few, many)})
    half, heap = {}, {}
    for piece, few, many in _LAYERS:
        options.say(f"layers: {piece}")
        share = 1 if piece.endswith("segment") else 2
        half[piece] = instructions(piece, few, many // scale) // share
        heap[piece] = allocated(piece) // share
    figures["kernels"].append({
        "kernel": "TCP segment in, application called, segment out; all floors but port and aio",
        "heap": heap["tcp"], "instructions": half["tcp"]})
    with network_of(options, ["echo", "ping"]) as network:
        options.say("layers: all of it")
        event = Bench(network).instructions(_EVENT)
    figures["layers"] = [{"layer": name, "instructions": count, "share": round(count / event, 3)}
                         for name, count in layers(half, event)]
    figures["whole"] = {"instructions": event}
    return Result([
        Table("kernels", ["kernel", "instructions", "heap"],
              [[each["kernel"], each["instructions"], each["heap"]]
               for each in figures["kernels"]]),
        Table("layers, one end of a round trip", ["layer", "instructions", "%"], [
            *([each["layer"], each["instructions"], round(100 * each["share"], 1)]
              for each in figures["layers"]), ["together", event, 100]])],
        [at_most(f"{each['kernel']}: heap on the steady path", 0, each["heap"], "bytes")
         for each in figures["kernels"] if each["kernel"] in dict(row[:2] for row in _STEADY)],
        notes=["The heap of a segment is in part that of the test's own wire. The port's share is "
               "without the kernel's work, which valgrind does not see."], figures=figures)
