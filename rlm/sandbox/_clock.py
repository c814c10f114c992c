"""The clock of a cell: it stands still while the host answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["CellClock"]


class CellClock:
    """Measures a cell's own seconds and calls `on_end` when they exceed the limit.

    One timer a cell however often the clock is paused: it looks when it fires, and sleeps again.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limit: float | None,
        on_end: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._limit = limit
        self._on_end = on_end
        self._until = limit
        self._since: float | None = None
        self._before = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def spent(self) -> float:
        """The cell's own seconds so far."""
        return self._before + (0.0 if self._since is None else self._loop.time() - self._since)

    def start(self, paused: bool) -> None:
        """Begin a cell at zero."""
        self._before, self._since, self._until = 0.0, None, self._limit
        if not paused:
            self.resume()

    def stop(self) -> None:
        """The cell has ended; `spent` stays."""
        self.pause()
        self._until = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pause(self) -> None:
        """The host has something to answer."""
        self._before, self._since = self.spent, None

    def resume(self) -> None:
        """The host has answered everything."""
        if self._since is None:
            self._since = self._loop.time()
            self._arm()

    def extend(self, seconds: float) -> None:
        """Let `on_end` be called again after some more seconds."""
        self._until = self.spent + seconds
        self._arm()

    def _arm(self) -> None:
        if self._timer is None and self._until is not None:
            self._timer = self._loop.call_later(max(self._until - self.spent, 0.0), self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._until is None or self._since is None:
            return  # resume() arms it again
        if self.spent < self._until:
            self._arm()
        else:
            self._on_end()
