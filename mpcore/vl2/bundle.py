"""Credentials on their way, as bytes: who only passes its own on needs no code that reads them."""


def bundle(coms, sections):
    """Payload of a NETWORK_CREDENTIALS (spec/vl2-credentials.md 6). coms: bytes of COMs, one after
    the other. sections: of capabilities, tags, revocations and certificates of ownership, lists of
    the bytes of each."""
    parts = [coms, b"\0"]
    for section in sections:
        parts.append(len(section).to_bytes(2, "big"))
        parts.extend(section)
    return b"".join(parts)
