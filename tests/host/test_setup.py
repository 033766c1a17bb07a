"""What a fresh clone needs: the pins agree, the make targets and the gate are there."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

from host_tools import package

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().splitlines()
            if not line.startswith("#"))


def test_every_direct_dependency_is_pinned_as_in_the_lock_file():
    project = PROJECT["project"]
    for pin in project["dependencies"] + project["optional-dependencies"]["dev"]:
        name, version = pin.split("==")
        assert LOCK[name] == version


def test_what_is_installed_is_what_is_locked():
    from importlib.metadata import version
    assert {name: version(name) for name in LOCK} == LOCK


def test_the_shell_scripts_parse():
    for script in ("host_tools/setup.sh", ".ci/run"):
        assert (ROOT / script).stat().st_mode & 0o111
        subprocess.run(["bash", "-n", ROOT / script], check=True)


def test_make_knows_the_targets_and_the_gate_runs_the_tests():
    makefile = (ROOT / "Makefile").read_text()
    for target in ("setup", "demo", "test", "clean"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_a_board_gets_every_file_of_the_core_that_it_can_use():
    assert (ROOT / "package.json").read_text() == package.text(), "`make package` writes it anew"


def test_the_version_is_the_same_everywhere():
    assert PROJECT["project"]["version"] == json.loads(package.text())["version"]
