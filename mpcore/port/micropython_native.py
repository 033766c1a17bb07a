"""The platform's own sockets on MicroPython; loaded by who asks mpcore.port for one of its names."""

import select

from mpcore import port
from mpcore.port.native import NativeSocket, constant, lookup, native_module


class Native(NativeSocket):
    """See NativeSocket."""

    to_sockaddr = staticmethod(port.to_sockaddr)
    to_endpoint = staticmethod(port.to_endpoint)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._poller = select.poll()
        self._poller.register(self.sock, select.POLLIN | select.POLLOUT)

    def _ready(self):
        for _, mask in self._poller.ipoll(0):
            return mask
        return 0
