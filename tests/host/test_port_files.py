"""Who may read what a node stores, seen from outside, for both runtimes."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
STORE = """
import sys
sys.path.insert(0, sys.argv[1])
from mpcore.port import Port
port = Port(sys.argv[2], "127.0.0.1:0")
port.store("identity.secret", b"private")
port.store("identity.secret", b"private again")
port.store("identity.public", b"public")
port.store("networks.d/x.conf", b"")
"""


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_secrets_are_private(runtime, micropython, tmp_path):
    home = tmp_path / "it's a \"home\" $(x)"
    executable = sys.executable if runtime == "cpython" else micropython
    script = tmp_path / "store.py"
    script.write_text(STORE)
    subprocess.run([executable, script, ROOT, home], check=True, timeout=60)
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "networks.d").stat().st_mode & 0o777 == 0o700
    assert (home / "identity.secret").read_bytes() == b"private again"
    assert (home / "identity.secret").stat().st_mode & 0o777 == 0o600
    assert (home / "identity.public").stat().st_mode & 0o444
    assert not list(home.glob("**/*.tmp"))
