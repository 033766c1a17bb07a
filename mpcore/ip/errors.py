"""Errors of the socket calls; MicroPython's errno module does not name all of them."""

import errno
from errno import (EACCES, EADDRINUSE, EALREADY, ECONNREFUSED, ECONNRESET, EHOSTUNREACH, EINVAL,
                   ENOBUFS, ENOTCONN, ETIMEDOUT)

EPIPE = getattr(errno, "EPIPE", 32)
EMSGSIZE = getattr(errno, "EMSGSIZE", 90)
EISCONN = getattr(errno, "EISCONN", 106)


def failure(number):
    """The OSError to raise; CPython sets `errno` only when there is a text beside it."""
    return OSError(number, errno.errorcode.get(number, "E%d" % number))
