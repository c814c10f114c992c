"""Sleeping and awaiting in restricted cells: without an event loop, which would lead out."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from typing import Any

from rlm.sandbox._local_ticks import Ticker

__all__ = ["Task", "Waiting", "drive"]

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
            "wait": _wait,
            "to_thread": _to_thread,
            "create_task": Task,
            "ensure_future": Task,
            "as_completed": _each,
            "run": drive,
            "timeout": lambda delay: _Gate(),
            "TaskGroup": _TaskGroup,
            "Semaphore": _Gate,
            "BoundedSemaphore": _Gate,
            "Lock": _Gate,
            "Queue": _Queue,
            "Task": Task,
            "TimeoutError": TimeoutError,
            "CancelledError": CancelledError,
            "QueueEmpty": QueueEmpty,
            "ALL_COMPLETED": "ALL_COMPLETED",
            "FIRST_COMPLETED": "FIRST_COMPLETED",
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


def _each(awaitables: Iterable[Any], **how: Any) -> Iterator[Any]:
    return iter(awaitables)


async def _wait(tasks: Iterable[Any], **how: Any) -> tuple[set[Any], set[Any]]:
    done = set(tasks)
    for task in done:
        task.finish()
    return done, set()


class Task:
    """A coroutine that runs when it is first asked for, or at the end of its group."""

    def __init__(self, coroutine: Any, **how: Any) -> None:
        self._coroutine = coroutine
        self._value: Any = None
        self._error: Exception | None = None
        self._done = False

    def finish(self) -> None:
        """Run it to its end, unless that has been."""
        if self._done:
            return
        self._done = True
        try:
            self._value = drive(self._coroutine.__await__())
        except Exception as error:
            self._error = error

    def __await__(self) -> Generator[Any, None, Any]:
        yield from ()
        return self.result()

    def result(self) -> Any:
        """Return what it returns, or raise what it raises."""
        self.finish()
        if self._error is not None:
            raise self._error
        return self._value

    def exception(self) -> Exception | None:
        """Return what it raises, or None."""
        self.finish()
        return self._error

    def done(self) -> bool:
        """Whether it has run."""
        return self._done

    def cancel(self, message: Any = None) -> bool:
        """Keep it from running, if it has not."""
        if self._done:
            return False
        self._coroutine.close()
        self._done, self._error = True, CancelledError()
        return True

    def cancelled(self) -> bool:
        """Whether it was kept from running."""
        return isinstance(self._error, CancelledError)

    def add_done_callback(self, call: Callable[[Any], Any]) -> None:
        """Run it, and call with it."""
        self.finish()
        call(self)


class CancelledError(Exception):
    """A task was cancelled before it ran."""


class QueueEmpty(Exception):
    """Nothing is in a queue, and nothing runs that could put anything there."""


class _TaskGroup:
    """Runs its tasks at its end, one after the other."""

    def __init__(self) -> None:
        self._tasks: list[Task] = []

    def create_task(self, coroutine: Any, **how: Any) -> Task:
        """Take a coroutine."""
        self._tasks.append(Task(coroutine))
        return self._tasks[-1]

    async def __aenter__(self) -> _TaskGroup:
        return self

    async def __aexit__(self, kind: Any, *failure: Any) -> None:
        errors = []
        for task in self._tasks if kind is None else ():
            error = task.exception()
            if error is not None:
                errors.append(error)
        if errors:
            raise ExceptionGroup("unhandled errors in a TaskGroup", errors)


class _Queue:
    """A queue where nothing waits."""

    def __init__(self, maxsize: int = 0) -> None:
        self._items: deque[Any] = deque()

    async def put(self, item: Any) -> None:
        """Append."""
        self._items.append(item)

    async def get(self) -> Any:
        """Take the first."""
        return self.get_nowait()

    def put_nowait(self, item: Any) -> None:
        """Append."""
        self._items.append(item)

    def get_nowait(self) -> Any:
        """Take the first."""
        if not self._items:
            raise QueueEmpty
        return self._items.popleft()

    def empty(self) -> bool:
        """Whether nothing is in it."""
        return not self._items

    def qsize(self) -> int:
        """How many are in it."""
        return len(self._items)

    def task_done(self) -> None:
        """Nobody waits for it."""

    async def join(self) -> None:
        """Nothing is under way."""


class _Gate:
    """A lock or semaphore where nothing runs at the same time."""

    def __init__(self, value: int = 1) -> None:
        self.value = value

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *failure: Any) -> None:
        return None
