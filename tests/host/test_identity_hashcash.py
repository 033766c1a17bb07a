"""The memory-hard hash: its kernels on either word size, and devices that lack its memory."""

import subprocess
from pathlib import Path

import pytest

from mpcore.port import micropython_shim
from mpcore.vl1 import hashcash, hashcash_blocks, hashcash_integers
from tests.core import test_identity

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("bits", [32, 64])
def test_kernels_on_machine_words(bits):
    micropython_shim.machine_words(bits)
    try:
        test_identity.test_the_two_phases_of_the_hash_in_small()
    finally:
        micropython_shim.machine_words(None)


def test_this_runtime_takes_the_fast_way():
    assert hashcash.digest is hashcash_integers.digest
    assert hashcash_blocks.digest is not hashcash_integers.digest


def test_a_device_without_two_mebibytes_says_so_and_lives_on(micropython):
    script = """
from mpcore.vl1.identity import Identity
one = Identity(b"12345", bytes(64))
for attempt in (one.locally_valid, lambda: Identity.generate(bytes)):
    try:
        attempt()
    except MemoryError:
        print("MemoryError")
print(one.address)
"""
    done = subprocess.run([micropython, "-X", "heapsize=1M", "-c", script], cwd=ROOT, text=True,
                          capture_output=True, timeout=60)
    assert done.stdout.split("\n") == ["MemoryError", "MemoryError", "b'12345'", ""], done.stderr
