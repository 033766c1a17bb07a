"""AES-256 blocks where the platform has no `cryptolib`: small and slow (FIPS 197).

Table look-ups take a time that depends on the data: where that matters, use a platform's own.
"""


def _times_x(b):
    return b << 1 & 0xFF ^ (0x1B if b & 0x80 else 0)


def _tables():
    """The S-box and its inverse, from the powers of 3, a generator of the field."""
    sbox = bytearray(256)
    power = inverse = 1
    sbox[0] = 0x63
    for _ in range(255):
        power ^= _times_x(power)
        for shift in (1, 2, 4):             # divide by 3
            inverse ^= inverse << shift & 0xFF
        if inverse & 0x80:
            inverse ^= 0x09
        twice = inverse * 0x101             # a shift right is a rotation of the low byte
        sbox[power] = 0x63 ^ (twice ^ twice >> 4 ^ twice >> 5 ^ twice >> 6 ^ twice >> 7) & 0xFF
    back = bytearray(256)
    for i in range(256):
        back[sbox[i]] = i
    return bytes(sbox), bytes(back)


_SBOX, _BACK = _tables()


def _expand(key):
    words = [key[i:i + 4] for i in range(0, 32, 4)]
    constant = 1
    for i in range(8, 60):
        word = words[-1]
        if i % 8 == 0:
            word = bytes((_SBOX[word[1]] ^ constant, _SBOX[word[2]], _SBOX[word[3]],
                          _SBOX[word[0]]))
            constant = _times_x(constant)
        elif i % 8 == 4:
            word = bytes(_SBOX[b] for b in word)
        words.append(bytes(a ^ b for a, b in zip(words[-8], word)))
    return b"".join(words)


def _mix(state):
    """MixColumns in place."""
    for c in (0, 4, 8, 12):
        column = state[c:c + 4]
        every = column[0] ^ column[1] ^ column[2] ^ column[3]
        for i in range(4):
            state[c + i] = column[i] ^ every ^ _times_x(column[i] ^ column[i + 1 & 3])


class aes:
    """As `cryptolib.aes` in its mode 1."""

    def __init__(self, key, mode):
        self._keys = _expand(key)

    def encrypt(self, data, out=None):
        return self._each(self._encrypt, data, out)

    def decrypt(self, data, out=None):
        return self._each(self._decrypt, data, out)

    def _each(self, block, data, out):
        target = bytearray(len(data)) if out is None else out
        for at in range(0, len(data), 16):
            target[at:at + 16] = block(bytearray(data[at:at + 16]))
        return bytes(target) if out is None else out

    def _add(self, state, number):
        for i in range(16):
            state[i] ^= self._keys[16 * number + i]

    def _encrypt(self, state):
        for number in range(14):
            self._add(state, number)
            state = bytearray(_SBOX[state[5 * i & 15]] for i in range(16))
            if number < 13:
                _mix(state)
        self._add(state, 14)
        return state

    def _decrypt(self, state):
        self._add(state, 14)
        for number in range(13, -1, -1):
            if number < 13:
                for _ in range(3):          # MixColumns has order four
                    _mix(state)
            state = bytearray(_BACK[state[13 * i & 15]] for i in range(16))
            self._add(state, number)
        return state
