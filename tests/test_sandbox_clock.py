from __future__ import annotations

import asyncio
from typing import cast

from rlm.sandbox._clock import CellClock


class Loop:
    """A loop whose time is set by hand; it keeps the timers that were asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, asyncio.TimerHandle]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: object) -> asyncio.TimerHandle:
        loop = cast("asyncio.AbstractEventLoop", self)
        timer = asyncio.TimerHandle(self.now + delay, callback, (), loop)  # type: ignore[arg-type] # any callable
        self.timers.append((self.now + delay, timer))
        return timer

    def get_debug(self) -> bool:
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """asyncio tells its loop so."""

    def go(self, to: float) -> None:
        while due := [pair for pair in self.timers if pair[0] <= to and not pair[1].cancelled()]:
            pair = min(due, key=lambda pair: pair[0])
            self.timers.remove(pair)
            self.now = max(self.now, pair[0])
            pair[1]._run()
        self.now = to


def clock_of(loop: Loop, limit: float | None, ended: list[float]) -> CellClock:
    running = cast("asyncio.AbstractEventLoop", loop)
    return CellClock(running, limit, lambda: ended.append(loop.now))


def test_lesson_28_pauses_do_not_count() -> None:
    loop, ended = Loop(), list[float]()
    clock = clock_of(loop, 10, ended)
    clock.start(paused=False)
    loop.go(4)
    clock.pause()
    loop.go(100)
    assert (clock.spent, ended) == (4, [])
    clock.resume()
    loop.go(105)
    assert (clock.spent, ended) == (9, [])
    loop.go(107)
    assert ended == [106]


def test_it_can_be_extended_and_stopped() -> None:
    loop, ended = Loop(), list[float]()
    clock = clock_of(loop, 1, ended)
    clock.start(paused=False)
    loop.go(1)
    clock.extend(2)
    loop.go(3)
    assert ended == [1, 3]
    clock.stop()
    loop.go(50)
    assert (clock.spent, ended) == (3, [1, 3])


def test_no_limit_measures_only() -> None:
    loop, ended = Loop(), list[float]()
    clock = clock_of(loop, None, ended)
    clock.start(paused=True)
    loop.go(5)
    clock.resume()
    loop.go(8)
    assert (clock.spent, ended) == (3, [])
