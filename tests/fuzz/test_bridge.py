"""The host's side of the wire, attacked by frames that a grammar makes: whatever a guest sends.

`make soak` sends a million; a failure names its seed, and `seeded(attack, 1, seed)` is that alone.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from soak.sizes import times

from fuzz.attacks import ATTACKS, Attack, by_session, by_value, seeded
from fuzz.host import Host
from fuzz.source import Drawn
from fuzz.watchdog import watched
from rlm.guest.wire import Frames, WireError, pack

SOAK = {"by_session": 200_000, "by_value": 100_000}
"""Frames of a whole soak; 70,000 of the other attacks."""


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_a_guest_sends_ends_at_worst_its_session(attack: Attack) -> None:
    assert seeded(attack, 500) >= 500


@pytest.mark.soak
@pytest.mark.parametrize("attack", ATTACKS)
def test_half_a_million_frames_of_seeds(attack: Attack) -> None:
    frames = times(SOAK.get(attack.__name__, 70_000))
    assert seeded(attack, frames, first=1_000_000) >= frames


def test_frames_of_hypothesis_end_at_worst_their_session() -> None:
    assert drawn(40, first=1) >= 40


@pytest.mark.soak
def test_two_hundred_thousand_frames_of_hypothesis() -> None:
    assert drawn(times(200_000), first=2) >= times(200_000)


def drawn(least: int, first: int) -> int:
    """Attack with frames of hypothesis until there were so many; return how many there were."""
    frames, part, begun = 0, first, time.process_time()

    @settings(
        max_examples=min(50, least // 4),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data(), st.lists(st.sampled_from(ATTACKS), min_size=8, max_size=8))
    def attack(data: st.DataObject, attacks: list[Attack]) -> None:
        async def main() -> int:
            async with Host() as host:
                return sum([await attack(host, Drawn(data)) for attack in attacks])

        nonlocal frames
        with watched():
            frames += asyncio.run(main())

    while frames < least:
        seed(part)(attack)()
        part += 1
    rate = frames / (time.process_time() - begun)
    print(f"hypothesis: {frames:,} frames, parts {first} to {part}, {rate:,.0f} a CPU second")
    return frames


# what is bounded


def test_a_frame_that_claims_too_much_is_refused_before_it_is_kept() -> None:
    for claim in (1 << 63, (1 << 64) - 1, 1 << 40):
        frames = Frames()
        tracemalloc.start()
        with pytest.raises(WireError, match="claims"):
            frames.feed(b"\x00\x00\x00\x02" + claim.to_bytes(8, "big") + b"{}")
        with pytest.raises(WireError, match="claims"):
            frames.feed(b"x" * 100_000)
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert kept < 500_000


def test_of_a_large_frame_only_what_has_arrived_is_kept() -> None:
    frames = Frames()
    tracemalloc.start()
    assert frames.feed(b"\x00\x00\x00\x09" + (1 << 30).to_bytes(8, "big") + b'{"t":"x"}') == []
    for _ in range(100):
        frames.feed(b"x" * 10_000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 3_000_000


@pytest.mark.parametrize("piece", [1, 7])
def test_bytes_that_come_one_by_one_cost_no_more_than_themselves(piece: int) -> None:
    data = b"".join(pack({"t": "call"}, [bytes(400_000)]))
    frames = Frames()
    with watched(60):  # were the rest copied each time, it would be 8 * 10**10 bytes
        found = [
            frame
            for place in range(0, len(data), piece)
            for frame in frames.feed(data[place : place + piece])
        ]
    assert [len(blob) for _, blob in found] == [400_000]


def test_many_frames_in_one_piece_cost_no_more_than_themselves() -> None:
    data = b"".join(pack({"t": "x"})) * 50_000
    with watched(60):
        assert len(Frames().feed(data)) == 50_000


def test_memory_does_not_grow_with_frames() -> None:
    assert grown(400) < 200_000


@pytest.mark.soak
def test_memory_does_not_grow_with_a_hundred_thousand_frames() -> None:
    frames = times(100_000)
    assert grown(frames) < 200_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seeded(by_session, frames, first=2_000_000)
    seeded(by_value, frames, first=2_000_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


def grown(frames: int) -> int:
    """Return how many bytes more are held after so many frames of sessions than before them."""
    seeded(by_session, 1_000, first=3_000_000)  # what is made once is made
    gc.collect()
    tracemalloc.start()
    seeded(by_session, 200, first=3_010_000)
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    seeded(by_session, frames, first=3_020_000)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return after - before
