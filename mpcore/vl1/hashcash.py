"""The memory-hard hash that binds an address to a key (spec/identity.md 2).

`digest(public)` is described in hashcash_blocks.py. It takes 2 MiB of memory wherever it runs.
"""

try:
    from mpcore.vl1.hashcash_integers import digest
except ImportError:
    from mpcore.vl1.hashcash_blocks import digest
