from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rlm.guest.relay import CHUNK
from rlm.guest.wire import Frames
from rlm.sandbox._relayed import Strand, carried


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
    strand = Strand(
        3,
        lambda message, blobs: sent.append((message, blobs)),
        partial(asyncio.sleep, 0),
        print,
        lost.append,
        Frames(),
    )
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


def test_who_sends_to_a_strand_waits_until_its_session_has_taken_it() -> None:
    async def main() -> None:
        sent = partial(asyncio.sleep, 0)
        strand = Strand(3, lambda message, blobs: None, sent, print, print, Frames())
        await strand.drained()
        strand.on_flow(full=True)
        waiting = asyncio.ensure_future(strand.drained())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
        strand.on_flow(full=False)
        await waiting
        strand.on_flow(full=True)
        strand.close()
        await strand.drained()

    asyncio.run(main())
