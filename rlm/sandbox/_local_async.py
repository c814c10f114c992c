"""Sleeping and awaiting in restricted cells: without an event loop, which would lead out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from typing import Any

from rlm.sandbox._local_ticks import Ticker

__all__ = ["Waiting", "drive"]

_LONGEST_SLEEP = 3600.0


def drive(coroutine: Any) -> Any:
    """Run a coroutine to its end and return its value; nothing here ever suspends for long."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration as done:
        return done.value


class Waiting:
    """What `time.sleep` and `asyncio` are in a session: sleep ends when the cell is to stop.

    Awaitables run one after the other, in the order in which they are awaited.
    """

    def __init__(self, ticker: Ticker) -> None:
        self._ticker = ticker

    def functions(self) -> dict[str, Any]:
        """Return the content of the module `asyncio`."""
        return {
            "sleep": self._sleep,
            "gather": _gather,
            "wait_for": _wait_for,
            "to_thread": _to_thread,
            "create_task": _same,
            "ensure_future": _same,
            "as_completed": _each,
            "run": drive,
            "Semaphore": _Gate,
            "Lock": _Gate,
            "TimeoutError": TimeoutError,
        }

    def sleep(self, seconds: float) -> None:
        """Sleep, an hour at most."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self._ticker.stopped.wait(min(seconds, _LONGEST_SLEEP))
        self._ticker.tick()

    async def _sleep(self, seconds: float, result: Any = None) -> Any:
        self.sleep(seconds)
        return result


async def _gather(*awaitables: Awaitable[Any], return_exceptions: bool = False) -> list[Any]:
    found: list[Any] = []
    for one in awaitables:
        try:
            found.append(await one)
        except Exception as error:
            if not return_exceptions:
                raise
            found.append(error)
    return found


async def _wait_for(awaitable: Awaitable[Any], timeout: float | None = None) -> Any:
    return await awaitable


async def _to_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def _same(awaitable: Coroutine[Any, Any, Any], **how: Any) -> Coroutine[Any, Any, Any]:
    return awaitable


def _each(awaitables: Iterable[Awaitable[Any]], **how: Any) -> Iterator[Awaitable[Any]]:
    return iter(awaitables)


class _Gate:
    """A lock or semaphore where nothing runs at the same time."""

    def __init__(self, value: int = 1) -> None:
        self.value = value

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *failure: Any) -> None:
        return None
