from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm.guest.wire import WireError, pack
from rlm.sandbox._docker_streams import Attached

MESSAGES = st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=200)), max_size=5)


def record(stream: int, content: bytes) -> bytes:
    return struct.pack("!BxxxI", stream, len(content)) + content


@given(MESSAGES, st.binary(max_size=50), st.lists(st.integers(1, 40), min_size=1), st.data())
def test_frames_are_found_however_the_engine_cuts_them(
    messages: list[tuple[str, bytes]], noise: bytes, cuts: list[int], data: Any
) -> None:
    wire = b"".join(b"".join(pack({"t": text}, (blob,))) for text, blob in messages)
    sent, place = b"", 0
    while place < len(wire):
        size = data.draw(st.sampled_from(cuts))
        sent += record(1, wire[place : place + size]) + record(2, noise)
        place += size
    attached, found, place = Attached(), [], 0
    while place < len(sent):
        size = data.draw(st.sampled_from(cuts))
        found += attached.feed(sent[place : place + size])
        place += size
    assert found == [({"t": text}, blob) for text, blob in messages]
    assert not wire or attached.complaints.endswith(noise)


def test_a_stream_that_no_container_has_is_refused() -> None:
    with pytest.raises(WireError, match="stream 7"):
        Attached().feed(record(7, b"x"))


def test_complaints_are_bounded() -> None:
    attached = Attached()
    attached.feed(record(2, b"x" * 100_000) + record(2, b"the last line"))
    assert len(attached.complaints) == 4096
    assert attached.complaints.endswith(b"the last line")
