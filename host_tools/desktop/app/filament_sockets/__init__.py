"""Gives the sockets of this process Filament's virtual networks: `install(path)`.

The methods of `socket.socket` are replaced by ones that ask a node, over the Unix socket at
`path` (host_tools/desktop/exchange.py), who an address belongs to. When it is one of a virtual
network, the node makes a pair of Unix sockets, and one end of it takes the place of the socket's
own descriptor. So whatever works on descriptors goes on working: select, epoll, asyncio, ssl,
fork. Everything else stays with the platform's network.

Binding to any address (0.0.0.0, ::) listens on both networks. A UDP socket that is not bound
joins the virtual ones with the first datagram that is sent to them: before that it must not be
registered with epoll, which would lose it. Multicast and 255.255.255.255 leave by both networks
once a socket is on both.
"""

import socket

from . import line, names
from .ends import METHODS, of, platform
from .outside import outside

_OWN = {name: vars(socket.socket)[name] for name in METHODS if name in vars(socket.socket)}
VARIABLE = "FILAMENT_EXCHANGE"      # of the environment: the path, for processes to come


def install(path):
    """Replace the methods; a second call only changes the path."""
    line.path = path
    if socket.getaddrinfo is names.getaddrinfo:
        return
    for name in METHODS:
        setattr(socket.socket, name, _method(name))
    socket.getaddrinfo = names.getaddrinfo
    socket.gethostbyname = names.gethostbyname


def uninstall():
    """Give the platform its methods back; sockets that are on a virtual network are lost."""
    if socket.getaddrinfo is names.getaddrinfo:
        for name in METHODS:
            if name in _OWN:
                setattr(socket.socket, name, _OWN[name])
            else:
                delattr(socket.socket, name)
        socket.getaddrinfo = names.platform_getaddrinfo
        socket.gethostbyname = names.platform_gethostbyname


def _method(name):
    """The method of that name of a socket's end, or else the platform's."""
    usual = getattr(platform, name)

    def method(sock, *arguments, **options):
        handler = getattr(of(sock) or outside, name, None)
        if handler is None:
            return usual(sock, *arguments, **options)
        return handler(sock, *arguments, **options)

    method.__name__ = name
    method.__doc__ = usual.__doc__
    return method
