"""The way into the flash of a Pico W in front of its file system, see boards/renewal/image.py.

Stock firmware has rp2.Flash for the blocks of the file system. It takes the number of a block as
it is, and blocks before the first one have numbers below zero.
"""

import rp2
from machine import soft_reset as restart       # a reset of the chip would end the serial line
from micropython import const

__all__ = ("device", "restart")
_END = const(0x10200000)        # of the flash's addresses


def device(start, end):
    """(block device, number of its first block) of what lies at these addresses. Raises OSError
    where the file system does not begin at `end`."""
    flash = rp2.Flash()
    size = flash.ioctl(5, 0)
    if end + flash.ioctl(4, 0) * size != _END:
        raise OSError("the file system lies elsewhere: this is another firmware")
    return flash, (start - end) // size
