"""Identities: key pairs whose public half is bound to a 40-bit address (spec/identity.md)."""

from micropython import const

from mpcore import crypto
from mpcore.crypto.slices import finish

BINARY_SIZE = const(71)           # without the private key, as on the wire
SIGNATURE_SIZE = const(96)

_TYPE = const(5)                  # offsets of the binary form, spec/identity.md 3
_PUBLIC = const(6)
_PRIVATE_LENGTH = const(70)
_PRIVATE = const(71)
_KEY = const(64)
_MAX_TEXT = const(383)
_HASHCASH_LIMIT = const(17)


class Identity:
    """A node's address and keys.

    address: 5 bytes. public: 64 bytes, X25519 then Ed25519. private: 64 bytes in the same order,
    or None for somebody else's identity. Nothing here proves that address and key belong together:
    that is `locally_valid`.
    """

    private = None      # of most: there is room for it only where it is known

    def __init__(self, address, public, private=None):
        self.address = address
        self.public = public
        if private is not None:
            self.private = private

    def __eq__(self, other):
        return (isinstance(other, Identity) and self.address == other.address
                and self.public == other.public)

    def __hash__(self):
        return hash(self.address)

    def __repr__(self):
        return f"<Identity {self.address.hex()}>"

    @staticmethod
    def generate(entropy, progress=None):
        """A new identity, after about 15 memory-hard hashes (spec/identity.md 2).

        entropy: entropy(n) returns n random bytes. progress: called with the number of hashes done
        so far after each. Raises MemoryError where the hash's 2 MiB are not to be had.
        """
        seed = entropy(32)
        ed25519_public = crypto.ed25519_public(seed)
        tries = 0
        while True:
            scalar = entropy(32)
            public = crypto.x25519_public(scalar) + ed25519_public
            from mpcore.vl1 import hashcash     # seldom needed
            digest = hashcash.digest(public)
            tries += 1
            if progress is not None:
                progress(tries)
            if digest[0] < _HASHCASH_LIMIT and not is_reserved(digest[59:]):
                return Identity(digest[59:], public, scalar + seed)

    @staticmethod
    def from_text(text):
        """Read the form of the files identity.public and identity.secret (spec/identity.md 3).

        Blanks around it are ignored. Raises ValueError for anything else that is not exactly an
        identity, and for a reserved address.
        """
        if len(text) > _MAX_TEXT:
            raise ValueError("identity too long")
        fields = text.strip().split(":")
        if not 3 <= len(fields) <= 4 or fields[1] != "0":
            raise ValueError("not an identity of a known type")
        address = _unhex(fields[0], 5)
        if is_reserved(address):
            raise ValueError("identity with a reserved address")
        private = _unhex(fields[3], _KEY) if len(fields) == 4 else None
        return Identity(address, _unhex(fields[2], _KEY), private)

    def to_text(self, secret=False):
        """The text form, with the private key when secret is true and it is known."""
        text = f"{self.address.hex()}:0:{self.public.hex()}"
        if secret and self.private is not None:
            text += ":" + self.private.hex()
        return text

    @staticmethod
    def from_bytes(buf, off=0, end=None):
        """Read a binary form at buf[off:end]: (identity, its length of 71 or 135 bytes).

        A reserved address is accepted here, as `locally_valid` will find it. Raises ValueError.
        """
        if end is None:
            end = len(buf)
        if end - off < BINARY_SIZE:
            raise ValueError("identity cut short")
        if buf[off + _TYPE] != 0:
            raise ValueError("identity of an unknown type")
        length = BINARY_SIZE + buf[off + _PRIVATE_LENGTH]
        private = None
        if length != BINARY_SIZE:
            if length != BINARY_SIZE + _KEY or end - off < length:
                raise ValueError("identity with a malformed private key")
            private = bytes(buf[off + _PRIVATE:off + length])
        address = bytes(buf[off:off + _TYPE])
        public = bytes(buf[off + _PUBLIC:off + _PRIVATE_LENGTH])
        return Identity(address, public, private), length

    def to_bytes(self, secret=False):
        """The binary form: 71 bytes, or 135 with the private key when secret is true."""
        head = self.address + b"\x00" + self.public
        if secret and self.private is not None:
            return head + b"\x40" + self.private
        return head + b"\x00"

    def agree(self, other):
        """The 48-byte key shared with another identity, the same from either side."""
        return finish(self.agreement(other))

    def agreement(self, other):
        """As agree(), in slices (crypto/slices.py)."""
        secret = yield from crypto.x25519_slices(self.private[:32], other.public[:32])
        return crypto.sha512(secret)[:48]

    def sign(self, message):
        """A 96-byte signature of message (spec/identity.md 4)."""
        return sign(self.private, message)

    def verify(self, message, signature):
        """Whether signature is this identity's over message."""
        return finish(verification(self.public, message, signature))

    def verification(self, message, signature):
        """As verify(), in slices (crypto/slices.py)."""
        return verification(self.public, message, signature)

    def fingerprint(self):
        """48 bytes that stand for address and key together (spec/identity.md 7)."""
        return crypto.sha384(self.address + self.public)

    def locally_valid(self):
        """Whether the address belongs to the key, by the memory-hard hash.

        Raises MemoryError where its 2 MiB are not to be had.
        """
        if is_reserved(self.address):
            return False
        from mpcore.vl1 import hashcash     # seldom needed
        digest = hashcash.digest(self.public)
        return digest[0] < _HASHCASH_LIMIT and digest[59:] == self.address


def is_reserved(address):
    """Whether no node may have this 5-byte address."""
    return address[0] == 0xFF or address == b"\x00\x00\x00\x00\x00"


def public_of(private):
    """The 64-byte public key of a 64-byte private one."""
    return crypto.x25519_public(private[:32]) + crypto.ed25519_public(private[32:])


def sign(private, message):
    """A 96-byte signature of message by a 64-byte private key (spec/identity.md 4)."""
    digest = crypto.sha512(message)[:32]
    return crypto.ed25519_sign(private[32:], digest) + digest


def verify(public, message, signature):
    """Whether signature is over message by the key whose 64-byte public half this is."""
    return finish(verification(public, message, signature))


def verification(public, message, signature):
    """As verify(), in slices (crypto/slices.py)."""
    if len(signature) != SIGNATURE_SIZE:
        return False
    digest = (yield from crypto.sha512_slices(message))[:32]
    if not crypto.constant_time_equal(digest, signature[64:]):
        return False
    return (yield from crypto.ed25519_verify_slices(public[32:], digest, signature[:64]))


def _unhex(text, size):
    raw = bytes.fromhex(text)  # which skips blanks, so both lengths are looked at
    if len(raw) != size or len(text) != 2 * size:
        raise ValueError("identity with a field of a wrong length")
    return raw
