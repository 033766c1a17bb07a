"""Generators of the unrolled kernels in mpcore/crypto.

`python -m host_tools.kernels` writes the files again. Each generator also proves, while it
writes, that no sum of its kernel outgrows a 32-bit word.
"""
