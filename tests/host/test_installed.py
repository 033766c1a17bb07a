"""The package as pip installs it: without the checkout around it."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from setuptools import find_namespace_packages

ROOT = Path(__file__).parent.parent.parent
ESP32 = """
import json
from host_tools.boards import facts, firmware
from host_tools.device import kept, tree
board = facts.load()["esp32"]
files = tree.tree(board) | tree.top(board, in_flash=True)
assert firmware.load("esp32").names
print(json.dumps([tree.__file__, str(kept.DIRECTORY), sorted(files)]))
"""


def test_it_brings_all_that_a_board_gets(tmp_path):
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    site, home = tmp_path / "site", tmp_path / "home"
    for package in find_namespace_packages(str(ROOT), **found["packages"]["find"]):
        directory = package.replace(".", "/")
        (site / directory).mkdir(parents=True, exist_ok=True)
        for pattern in "*.py", *found["package-data"]["*"]:
            for path in (ROOT / directory).glob(pattern):
                shutil.copy(path, site / directory)
    done = subprocess.run(
        [sys.executable, "-c", ESP32], cwd=tmp_path, capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(site), "XDG_CACHE_HOME": str(home)})
    module, kept, files = json.loads(done.stdout)
    assert module.startswith(str(site)) and kept == str(home / "filament" / "compiled")
    assert {"main.mpy", "board.mpy", "facts.mpy", "lib/mpcore/__init__.mpy", "/rom.mpy",
            "/renewal/image.mpy", "/renewal/place.mpy"} <= set(files)
