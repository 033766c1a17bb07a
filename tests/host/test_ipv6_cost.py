"""What a node without IPv6 does not load."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from mpcore.node import Node
from mpcore.ip.stack import Stack

class Link:
    mac, mtu, headroom = bytes((2, 0, 0, 0, 0, 1)), 2800, 60
    def transmit(self, *args):
        pass

OPTIONAL = ("mpcore.ip.ipv6", "mpcore.ip.icmpv6", "mpcore.ip.ndp", "mpcore.vl2.adhoc")
interface = Stack(lambda n: bytes(n)).add_interface(Link())
interface.set_addresses(0, [(bytes((10, 0, 0, 1)), 24)])
interface.receive(0, bytes(6), bytes(6), 0x86DD, bytes(60), 0, 60)
print(sum([name in sys.modules for name in OPTIONAL]))
interface.set_addresses(0, [(bytes((0xFD,)) + bytes(15), 64)])
print(sum([name in sys.modules for name in OPTIONAL]))
"""


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_ipv6_is_loaded_with_the_first_address(runtime, micropython, tmp_path):
    executable = sys.executable if runtime == "cpython" else micropython
    script = tmp_path / "load.py"
    script.write_text(SCRIPT)
    done = subprocess.run([executable, script, ROOT], check=True, capture_output=True, text=True,
                          timeout=60)
    assert done.stdout.split() == ["0", "3"]
