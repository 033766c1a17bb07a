"""What a socket is ready for: the bits of `events()`, with the values of select.POLL*."""

from micropython import const

READ = const(1)
WRITE = const(4)
ERROR = const(8)
HUP = const(16)
