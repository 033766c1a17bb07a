"""Generator of the Salsa20 kernel: the state in sixteen locals, two rounds unrolled."""

# Quarter rounds of the columns, then of the rows.
_QUARTERS = ((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11),
             (0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14))

_HEAD = '''\
"""Salsa20 keystream XOR (spec/crypto.md 1). Written by host_tools/kernels/salsa.py."""

import micropython


@micropython.viper
def xor_blocks(t: int, u: int, state: ptr32, block: ptr32, buf: ptr8, off: int, n: int,
               double_rounds: int):
    """XOR keystream over buf[off:off+n], from the block that `state` counts; counts on.

    t, u: anything; as the first arguments they live in registers. block: 16 words of scratch.
    The low 32 bits of a local never depend on what is above them, so nothing is masked but the
    bits that come down in a rotation. Data at a multiple of 4 bytes takes the quick way.
    """
    p = int(buf) + off
    while n > 0:
'''

_TAIL = '''\
            b = ptr8(p)
            k = ptr8(block)
            t = 0
            while t < 64 and t < n:
                b[t] = b[t] ^ k[t]
                t += 1
        state[8] = state[8] + 1
        p += 64
        n -= 64
'''


def source():
    lines = [f"        x{i} = state[{i}]" for i in range(16)]
    lines += ["        r = double_rounds", "        while r:", "            r -= 1"]
    for a, b, c, d in _QUARTERS:
        for target, one, other, turn in ((b, a, d, 7), (c, b, a, 9), (d, c, b, 13), (a, d, c, 18)):
            lines += [f"            t = x{other}",
                      f"            t = x{one} + t",
                      f"            u = t << {turn}",
                      f"            x{target} = (t >> {32 - turn} & {(1 << turn) - 1} | u)"
                      f" ^ x{target}"]
    lines += ["        if n >= 64 and p & 3 == 0:", "            w = ptr32(p)"]
    lines += [f"            w[{i}] = (x{i} + state[{i}]) ^ w[{i}]" for i in range(16)]
    lines += ["        else:"]
    lines += [f"            block[{i}] = x{i} + state[{i}]" for i in range(16)]
    return _HEAD + "\n".join(lines) + "\n" + _TAIL
