import os

from hypothesis import given, settings, strategies as st

from mpcore.vl2 import rules

SIZES = {t: size for t, (size, _) in rules._MATCHES.items()}
SIZES.update({0: 0, 1: 0, 2: 14, 3: 14, 4: 14, 5: 0, 6: 0, 7: 0, 20: 2, 60: 1})


@st.composite
def entries(draw):
    kind = draw(st.sampled_from(sorted(SIZES)))
    flags = draw(st.sampled_from((0, 0x40, 0x80, 0xC0))) if kind > 15 else 0
    size = SIZES[kind]
    return kind | flags, draw(st.binary(min_size=size, max_size=size))


frames = st.builds(
    rules.Frame, st.booleans(), *[st.binary(min_size=n, max_size=n) for n in (5, 5, 5, 6, 6)],
    st.sampled_from((0x0800, 0x0806, 0x86DD, 0x88CC)),
    st.one_of(st.binary(max_size=90), st.builds(
        lambda head, rest: head + rest,
        st.sampled_from((b"\x45" + bytes(8) + b"\x06", b"\x60" + bytes(5) + b"\x00\x40",
                         b"\x60" + bytes(5) + b"\x3a\x40")), st.binary(max_size=90))),
    st.dictionaries(st.integers(0, 3), st.integers(0, 2**32 - 1)),
    st.none() | st.dictionaries(st.integers(0, 3), st.integers(0, 2**32 - 1)),
    st.sampled_from((0, 8)), st.just(lambda address: len(address) == 4), st.just(os.urandom))


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(entries(), max_size=12), frames)
def test_any_set_over_any_frame_has_a_verdict(entries, frame):
    verdict = rules.evaluate(rules.parse(rules.emit(entries)), frame)
    assert rules.NO_MATCH <= verdict <= rules.REDIRECT
    assert (frame.redirect is not None) == (verdict == rules.REDIRECT)
    if frame.copy is not None:
        assert frame.copy[1] <= len(frame.payload)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(entries(), max_size=12))
def test_what_is_emitted_is_parsed(entries):
    assert rules.parse(rules.emit(entries)) == tuple(entries)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(st.binary(max_size=64), frames)
def test_any_bytes_are_a_set_or_malformed(data, frame):
    try:
        parsed = rules.parse(data)
    except ValueError:
        return
    assert rules.emit(parsed) == data
    rules.evaluate(parsed, frame)
