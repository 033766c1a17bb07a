"""UDP over virtual networks, and over the platform's at once where a socket is on both.

On the descriptor each message is a datagram with the address of the other side before it, or an
error number.
"""

import errno
import socket

from . import addresses, line
from .ends import End, adopt, platform

ERROR = 0                   # in the place of the length of an address
HEADER_BYTES = 19           # the longest: length, address, port
DATAGRAM_BYTES = 65535


class Datagrams(End):
    """A UDP socket on a virtual network."""

    def connect(self, sock, address):
        ip = addresses.parse(address[0])
        if ip is None:
            raise line.failure(errno.EINVAL)
        answer, _ = line.ask("peer", number=self.number, ip=ip.hex(), port=address[1])
        self.peer = addresses.sockaddr(sock.family, ip, address[1])
        self.local = addresses.sockaddr(sock.family, addresses.parse(answer["local"][0]),
                                        answer["local"][1])

    def connect_ex(self, sock, address):
        try:
            self.connect(sock, address)
        except OSError as error:
            return error.errno
        return 0

    def getpeername(self, sock):
        if self.peer is None:
            raise line.failure(errno.ENOTCONN)
        return self.peer

    def setsockopt(self, sock, level, option, value, size=None):
        super().setsockopt(sock, level, option, value, size)
        raw = value if isinstance(value, int) else bytes(value or b"").hex()
        line.ask("option", number=self.number, level=level, option=option, value=raw)

    def getsockopt(self, sock, level, option, size=0):
        if (level, option) == (socket.SOL_SOCKET, socket.SO_ERROR):
            return platform.getsockopt(sock, level, option)
        return super().getsockopt(sock, level, option, size)

    def send(self, sock, data, flags=0):
        if self.peer is None:
            raise line.failure(errno.EDESTADDRREQ)
        return self.sendto(sock, data, flags, self.peer)

    sendall = send

    def sendto(self, sock, data, *rest):
        host, port = rest[-1][:2]
        ip = addresses.parse(host)
        if ip is None:
            ip = addresses.parse(socket.getaddrinfo(host, port, sock.family)[0][4][0])
        data = bytes(data)
        if len(data) > DATAGRAM_BYTES:
            raise line.failure(errno.EMSGSIZE)
        platform.send(sock, bytes([len(ip)]) + ip + port.to_bytes(2, "big") + data,
                      rest[0] if len(rest) > 1 else 0)
        return len(data)

    def sendmsg(self, sock, buffers, ancillary=(), flags=0, address=None):
        address = address or self.peer
        if address is None:
            raise line.failure(errno.EDESTADDRREQ)
        return self.sendto(sock, b"".join(bytes(part) for part in buffers), flags, address)

    def recvfrom(self, sock, size, flags=0):
        message = platform.recv(sock, HEADER_BYTES + DATAGRAM_BYTES, flags)
        if not message:
            raise line.failure(errno.ENETDOWN)
        if message[0] == ERROR:
            raise line.failure(int.from_bytes(message[1:3], "big"))
        end = message[0] + 1
        port = int.from_bytes(message[end:end + 2], "big")
        return (message[end + 2:end + 2 + size],
                addresses.sockaddr(sock.family, message[1:end], port))

    def recv(self, sock, size, flags=0):
        return self.recvfrom(sock, size, flags)[0]

    def recvfrom_into(self, sock, buffer, nbytes=0, flags=0):
        view = memoryview(buffer).cast("B")
        data, address = self.recvfrom(sock, nbytes or len(view), flags)
        view[:len(data)] = data
        return len(data), address

    def recv_into(self, sock, buffer, nbytes=0, flags=0):
        return self.recvfrom_into(sock, buffer, nbytes, flags)[0]

    def recvmsg(self, sock, size, ancillary_size=0, flags=0):
        data, address = self.recvfrom(sock, size, flags)
        return data, [], 0, address


def open_datagrams(sock, local, both):
    """Put a UDP socket on the virtual networks; `both`: on the platform's too, as it is.

    local: (host, port) to bind to there, any address and 0 where it does not matter.
    """
    answer, descriptor = line.ask("datagrams", sock.fileno() if both else None, local=local[:2],
                                  size=4 if sock.family == socket.AF_INET else 16)
    end = Datagrams(answer["number"], addresses.sockaddr(
        sock.family, addresses.parse(answer["local"][0]), answer["local"][1]))
    broadcast = platform.getsockopt(sock, socket.SOL_SOCKET, socket.SO_BROADCAST)
    adopt(sock, descriptor, end)
    if broadcast:
        end.setsockopt(sock, socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    return end
