"""A run while it goes on: its events and deltas as they come, and its result."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from rlm.events import Delta, Event
from rlm.program import Program
from rlm.result import Result
from rlm.trace import Sink

__all__ = ["AsyncStream", "Stream"]


class AsyncStream:
    """A run on the running loop: iterate over it for events and deltas, await its `result()`.

    It starts when it is made. `cancel()` ends it in good order; its result then has the status
    `aborted`. Leaving the iteration early does not stop the run.
    """

    def __init__(self, prepare: Callable[[Sink], Program]) -> None:
        self._came: asyncio.Queue[Event | Delta | None] = asyncio.Queue()
        self._program = prepare(self._came.put_nowait)
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(self._ended)

    async def _run(self) -> Result[Any]:
        return await self._program()

    def _ended(self, task: asyncio.Task[Result[Any]]) -> None:
        self._program.result.trace.close()  # it is open still when the run was never begun
        self._came.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Event | Delta]:
        while (item := await self._came.get()) is not None:
            yield item

    def cancel(self) -> None:
        """Stop the run; may be called again, and after its end."""
        if not self._task.cancelling():  # a second one would break off the cleaning up
            self._task.cancel()

    async def result(self) -> Result[Any]:
        """Wait for the end and return the Result."""
        try:
            return await asyncio.shield(self._task)
        except asyncio.CancelledError:
            if not self._task.cancelled():  # it is the one who waits that was cancelled
                raise
            return self._program.result


class Stream:
    """A run in a thread of its own: iterate over it for events and deltas, ask its `result()`.

    It starts when it is made; what is impossible raises ConfigurationError there. `cancel()` may
    be called from any thread, and from a signal handler. Leaving the iteration early does not stop
    the run.
    """

    def __init__(self, start: Callable[[], AsyncStream]) -> None:
        self._start = start
        self._came: queue.SimpleQueue[Event | Delta | None] = queue.SimpleQueue()
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inner: AsyncStream | None = None
        self._result: Result[Any] | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._body, name="rlm-stream", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._inner is None and self._error is not None:
            raise self._error

    def _body(self) -> None:
        try:
            self._result = asyncio.run(self._drive())
        except BaseException as error:
            self._error = error
        finally:
            self._ready.set()
            self._came.put(None)

    async def _drive(self) -> Result[Any]:
        self._loop = asyncio.get_running_loop()
        self._inner = self._start()
        self._ready.set()
        async for item in self._inner:
            self._came.put(item)
        return await self._inner.result()

    def __iter__(self) -> Iterator[Event | Delta]:
        while (item := self._came.get()) is not None:
            yield item
        self._came.put(None)  # iterating once more ends at once

    def cancel(self) -> None:
        """Stop the run; may be called again, and after its end."""
        if self._loop is not None and self._inner is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._inner.cancel)

    def result(self, timeout: float | None = None) -> Result[Any]:
        """Wait for the end and return the Result; raises TimeoutError after `timeout` seconds."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError(f"the run has not ended within {timeout} s")
        if self._result is None:
            raise self._error or RuntimeError("the run has no result")
        return self._result
