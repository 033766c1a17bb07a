"""Names over virtual networks: those in a network's DNS domain are asked of the servers that its
config names, those in ".local" of whoever is there (mDNS; a name of our own: mpcore.dns.mdns).

What does the work is loaded when the first name is looked up. `runtime` stands for the networks
of its node; size: 4 or 16 for the addresses of one family, 0 for both.
"""

import asyncio

from mpcore.runtimes import drive


def knows(runtime, name):
    """Whether a name is this node's affair: in the DNS domain of a network or in ".local", or
    without a dot while a network says in which domain such names are."""
    from mpcore.dns import search
    return search.knows(runtime.node, name)


def lookup(runtime, name, size=0):
    """The addresses (bytes, IPv4 first) of a name; drives the node until they are there.

    Raises OSError with the codes of getaddrinfo: -2 when there is no such name or it has no such
    address, -3 when nobody could tell.
    """
    from mpcore.dns.search import Search, address_kinds
    search = Search(runtime, name, address_kinds(runtime.node, size))
    while search.error is None:
        drive(None, runtime)
    return search.result()


async def resolve(runtime, name, size=0):
    """As lookup(), while asyncio drives the node."""
    from mpcore.dns.search import address_kinds
    return await _finished(runtime, name, address_kinds(runtime.node, size))


async def records(runtime, name, kind):
    """The data of a name's records of one kind (mpcore.dns.message), such as PTR, SRV and TXT of
    a service; names in it are whole. Raises OSError as lookup() does."""
    return await _finished(runtime, name, [kind])


async def _finished(runtime, name, kinds):
    from mpcore.dns.search import Search
    finished = asyncio.Event()
    search = Search(runtime, name, kinds, finished.set)
    if search.error is None:
        await finished.wait()
    return search.result()
