"""A root that hands out the worlds in the file `offer` of its home, whoever says HELLO.

    python generous_root.py '{"directory": DIR, "bind": IP:PORT}'
"""

import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parents[2]))

from host_tools.serve import Server

OFFER = "offer"


class GenerousRoot(Server):
    def __init__(self, **options):
        super().__init__(controller=False, aes=True, **options)
        self.node.vl1.upstreams.newer_than = self._offer

    def _offer(self, *asked):
        self.node.vl1.count("offers")
        return self.port.load(OFFER) or b""


if __name__ == "__main__":
    asyncio.run(GenerousRoot(**json.loads(sys.argv[1])).run())
