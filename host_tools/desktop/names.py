"""Names that belong to the virtual networks of a node."""

import asyncio

from mpcore import dns

_PATIENCE_S = 10


async def resolve(runtime, name, size=0):
    """The addresses (bytes) that the networks have for a name; [] where it is none of theirs.

    size: 4 or 16 for the addresses of one family, 0 for both. Raises OSError when the name is
    theirs and nobody has it. ".local" is the platform's too: there nobody is no failure.
    """
    if not dns.knows(runtime, name):
        return []
    try:
        return await asyncio.wait_for(dns.resolve(runtime, name, size), _PATIENCE_S)
    except (OSError, TimeoutError) as error:
        if name.rstrip(".").lower().endswith(".local"):
            return []
        raise OSError(-2, f"{name}: no such name on the network") from error
