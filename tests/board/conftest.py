"""What the tests of the emulated board share. On CI nothing of it may be missing."""

import os
import shutil

import pytest

from host_tools.emulator import provisions


@pytest.fixture(scope="session", autouse=True)
def emulator():
    """Skips, or on CI fails, where the emulator is not installed."""
    try:
        provisions.runner()
        missing = None if shutil.which("node") else "node is not installed: `make setup` does it"
    except provisions.Missing as error:
        missing = str(error)
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing, pytrace=False)
    if missing:
        pytest.skip(missing)
