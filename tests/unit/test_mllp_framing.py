"""Frames come out of a stream the same, however its bytes were cut, and nothing makes it grow."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.feeds.mllp.framing import END, START, Framed, Frames, FramingError, frame

MAX_BYTES = 64

contents = st.binary(max_size=3 * MAX_BYTES).filter(
    lambda each: START not in each and END not in each + b"\r"
)
#: Anything a peer may send, rich in the bytes that mean something.
noise = st.lists(st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\n", b"M", b"x" * 40]), max_size=30).map(
    b"".join
)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    at = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[begin:end] for begin, end in pairwise(at)]


def taken(chunks: list[bytes]) -> tuple[list[tuple[bytes, bool]], bool]:
    """Messages that came out, and whether the stream then broke."""
    frames, messages = Frames(MAX_BYTES), []
    try:
        for chunk in chunks:
            for framed in frames.feed(chunk):
                messages.append((framed.content, framed.is_cut))
    except FramingError:
        return messages, True
    return messages, False


@given(st.lists(contents, max_size=6), st.lists(st.integers(0, 10_000), max_size=20))
def test_messages_are_the_same_however_the_bytes_were_cut(messages: list[bytes], places: list[int]) -> None:
    stream = b"\r\n".join(frame(message) for message in messages)
    expected = [
        (message[:MAX_BYTES], True) if len(message) > MAX_BYTES else (message, False) for message in messages
    ]
    assert taken(cut(stream, places)) == (expected, False)


@given(noise, st.lists(st.integers(0, 10_000), max_size=20))
@example(b"\x0b" + b"x" * 64 + b"\x1c\x1c\r", [65, 66])
def test_hostile_bytes_end_the_same_however_they_were_cut(stream: bytes, places: list[int]) -> None:
    assert taken(cut(stream, places)) == taken([stream])


@given(st.lists(st.binary(min_size=1, max_size=50).filter(lambda each: START not in each), max_size=40))
def test_a_message_without_end_is_passed_over_and_not_kept(chunks: list[bytes]) -> None:
    frames = Frames(MAX_BYTES)
    for framed in frames.feed(START):
        pytest.fail(f"nothing is complete, got {framed}")
    for chunk in chunks:
        for _ in frames.feed(chunk.replace(b"\x1c", b".")):
            pytest.fail("nothing is complete")
        assert len(frames._buffer) <= MAX_BYTES + 1


@pytest.mark.parametrize(
    "stream",
    [b"GET / HTTP/1.1\r\n", b"MSH|^~\\&|", b"\x0bMSH|\x0bMSH|\x1c\r", b"\x16\x03\x01\x02\x00", b"\x1c\r"],
    ids=["http", "no start", "start in a message", "tls", "end alone"],
)
def test_what_is_no_mllp_breaks_the_stream(stream: bytes) -> None:
    assert taken([stream]) == ([], True)


def test_messages_before_the_break_are_given_first() -> None:
    assert taken([frame(b"MSH|1") + b"garbage"]) == ([(b"MSH|1", False)], True)


def test_a_stream_that_ends_within_a_message_gives_none_of_it() -> None:
    frames = Frames(MAX_BYTES)
    assert list(frames.feed(frame(b"one") + b"\x0btw")) == [Framed(content=b"one")]
    assert frames.is_inside
