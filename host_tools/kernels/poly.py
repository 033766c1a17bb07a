"""Generator of the Poly1305 kernel: ten limbs of 13 bits in locals, columns summed one by one."""

_LIMBS = 10
_MASK = 0x1FFF
_WORD = 1 << 32

# Largest value of each limb of r; the clamp clears bits in four places (RFC 8439 2.5).
_CLAMP = 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
_R = [_CLAMP >> 13 * i & _MASK for i in range(_LIMBS)]
# Largest value of each limb of a message block: 128 bits and the bit above them.
_M = [_MASK] * 9 + [0xFFF]
# Limbs of h between blocks. Limb 1 takes what the folded top carry leaves over; proved below.
_H = [_MASK] * _LIMBS
_H[1] += 330

_HEAD = '''\
"""Poly1305 (spec/crypto.md 1). Written by host_tools/kernels/poly.py, which proves the bounds."""

import micropython


@micropython.viper
def tag(d: int, e: int, key: ptr32, buf: ptr8, off: int, n: int, block: ptr32, out: ptr8):
    """out[0:16] = Poly1305 of buf[off:off+n] under the 32 bytes of `key`.

    d, e: anything; as the first arguments they live in registers. block: 4 words of scratch for
    the last block and for data not at a multiple of 4 bytes. Sums are unsigned 32-bit numbers:
    a word is masked whenever it is shifted down.
    """
'''

_BLOCK = '''\
    p = int(buf) + off
    high = 0x800
    while n > 0:
        m = ptr32(p)
        if n < 16 or p & 3:
            q = ptr8(p)
            b = ptr8(block)
            e = 0
            while e < 16 and e < n:
                b[e] = q[e]
                e += 1
            if n < 16:
                b[n] = 1
                high = 0
                e = n + 1
                while e < 16:
                    b[e] = 0
                    e += 1
            m = ptr32(block)
        p += 16
        n -= 16
'''


def _limb(word, i):
    """Expression of limb i of four 32-bit words, and the statement that must precede it."""
    w, shift = divmod(13 * i, 32)
    if w == 3 and shift + 13 > 32:
        return None, f"{word.format(3)} >> {shift} & 0x7ff"
    if shift + 13 <= 32:
        return None, word.format(w) + (f" >> {shift}" if shift else "") + " & 0x1fff"
    room = 32 - shift
    return (f"e = {word.format(w + 1)} << {room}",
            f"({word.format(w)} >> {shift} & {(1 << room) - 1} | e) & 0x1fff")


def _columns(out):
    """One multiplication h * r: statements, and the proof that no sum passes 32 bits."""
    h = [a + b for a, b in zip(_H, _M)]
    carry = 0
    for column in range(_LIMBS):
        total, extra = carry, 0
        for i in range(_LIMBS):
            j = column - i
            name, factor = (f"r{j}", _R[j]) if j >= 0 else (f"s{j + 10}", 5 * _R[j + 10])
            product = h[i] * factor
            if total + product >= _WORD:
                out += ["e = d >> 13 & 0x7ffff", "d = d & 0x1fff"]
                assert not extra
                extra, total = total >> 13, _MASK
            total += product
            assert total < _WORD
            out.append(f"d = h{i} * {name} + d" if column or i else f"d = h{i} * {name}")
        out += [f"g{column} = d & 0x1fff", "d = (d >> 13 & 0x7ffff) + e" if extra else
                "d = d >> 13 & 0x7ffff"]
        carry = (total >> 13) + extra
    # 2**130 = 5: what is above limb 9 comes back into limb 0.
    out += ["d = d * 5 + g0", "h0 = d & 0x1fff", "h1 = (d >> 13) + g1"]
    assert ((carry * 5 + _MASK) >> 13) + _MASK <= _H[1]
    out += [f"h{i} = g{i}" for i in range(2, _LIMBS)]


def _finish():
    """h mod 2**130 - 5, plus s, as 16 bytes."""
    out = []
    for start in (1, 0):    # the second pass settles what the folded carry of the first disturbs
        for i in range(start, 9):
            out += [f"h{i + 1} = (h{i} >> 13) + h{i + 1}", f"h{i} = h{i} & 0x1fff"]
        out += ["h0 = (h9 >> 13) * 5 + h0", "h9 = h9 & 0x1fff"]
    out += ["h1 = (h0 >> 13) + h1", "h0 = h0 & 0x1fff"]
    # h + 5 reaches 2**130 exactly when h is not below the modulus; then it is the answer.
    out.append("d = 5")
    for i in range(_LIMBS):
        out += [f"d = d + h{i}", f"g{i} = d & 0x1fff", "d = d >> 13"]
    out.append("e = 0 - d")
    out += [f"h{i} = (h{i} ^ g{i}) & e ^ h{i}" for i in range(_LIMBS)]
    out += ["s = ptr8(key)", "d = 0"]
    for k in range(8):
        i, shift = divmod(16 * k, 13)
        bits = (f"h{i} >> {shift}" if shift else f"h{i}") + f" | h{i + 1} << {13 - shift}"
        if 26 - shift < 16:
            bits += f" | h{i + 2} << {26 - shift}"
        out += [f"d = (({bits}) & 0xffff) + d",
                f"d = (s[{16 + 2 * k}] | s[{17 + 2 * k}] << 8) + d",
                f"out[{2 * k}] = d", f"out[{2 * k + 1}] = d >> 8", "d = d >> 16"]
    return out


def source():
    start = []
    for i in range(4):
        start.append(f"k{i} = key[{i}] & {_CLAMP >> 32 * i & 0xFFFFFFFF:#x}")
    for i in range(_LIMBS):
        before, limb = _limb("k{}", i)
        start += [before] if before else []
        start.append(f"r{i} = {limb}")
    start += [f"s{i} = r{i} * 5" for i in range(1, _LIMBS)]
    start += [f"h{i} = 0" for i in range(_LIMBS)]
    loop = []
    for i in range(_LIMBS):
        before, limb = _limb("m[{}]", i)
        loop += [before] if before else []
        loop.append(f"h{i} = ({limb}{' | high' if i == 9 else ''}) + h{i}")
    _columns(loop)
    return (_HEAD + "".join(f"    {line}\n" for line in start) + _BLOCK
            + "".join(f"        {line}\n" for line in loop)
            + "".join(f"    {line}\n" for line in _finish()))
