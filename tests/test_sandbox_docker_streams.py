from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm.guest.relay import CHUNK
from rlm.guest.wire import Frames, WireError, pack
from rlm.sandbox._docker_streams import Attached, Strand, carried

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


@given(st.lists(st.binary(max_size=10), max_size=4), st.integers(0, 3 * CHUNK))
def test_what_is_carried_is_whole_and_in_pieces_that_let_others_through(
    pieces: list[bytes], size: int
) -> None:
    sent = carried(5, [*pieces, b"y" * size])
    assert b"".join(piece for _, piece in sent) == b"".join(pieces) + b"y" * size
    assert all(message == {"t": "bytes", "id": 5} for message, _ in sent)
    assert all(0 < len(piece) <= CHUNK for _, piece in sent)


def test_a_strand_ends_once_and_says_nothing_after() -> None:
    sent: list[Any] = []
    lost: list[str] = []
    strand = Strand(3, lambda message, blobs: sent.append((message, blobs)), print, lost.append)
    strand.send({"t": "bind"}, (b"blob",))
    assert Frames().feed(b"".join(blob for _, blobs in sent for blob in blobs)) == [
        ({"t": "bind"}, b"blob")
    ]
    sent.clear()
    strand.take(b"\xff" * 100)
    strand.lose("again")
    strand.send({"t": "late"})
    strand.close()
    assert sent == [({"t": "end", "id": 3}, ())]
    assert len(lost) == 1 and "protocol" in lost[0]
