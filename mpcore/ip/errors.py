"""Error numbers of the socket calls; MicroPython's errno module does not name all of them."""

import errno
from errno import (EADDRINUSE, EALREADY, ECONNABORTED, ECONNREFUSED, ECONNRESET, EHOSTUNREACH,
                   EINVAL, ENOBUFS, ENOTCONN, ETIMEDOUT)

EPIPE = getattr(errno, "EPIPE", 32)
EMSGSIZE = getattr(errno, "EMSGSIZE", 90)
EISCONN = getattr(errno, "EISCONN", 106)
