"""One namespace in a thread of this process: the same functions, output and clock as anywhere."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from rlm.errors import RLMError, SandboxError, ToolError, told
from rlm.guest import errors
from rlm.guest.bridge import Closed
from rlm.guest.errors import CellTimeout
from rlm.guest.output import Capture, Flusher
from rlm.guest.values import LARGE, Blobs, decode, encode
from rlm.sandbox._clock import CellClock
from rlm.sandbox._inputs import FileNames
from rlm.sandbox._local_cells import Kit, MakeCells
from rlm.sandbox._local_ticks import Ticker
from rlm.sandbox._local_values import Given
from rlm.sandbox._said import execution
from rlm.sandbox.base import (
    CellError,
    CellLimits,
    Execution,
    Functions,
    OnOutput,
    OpenOptions,
)

__all__ = ["LocalLive"]

_GRACE_SECONDS = 1.0
_FLUSH_SECONDS = 0.05


class LocalLive:
    """One namespace with its thread, from the first cell to its end."""

    def __init__(
        self,
        functions: Functions,
        limits: CellLimits,
        on_output: OnOutput | None,
        max_steps: int | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._functions = functions
        self._limits = limits
        self._on_output = on_output
        self._ticker = Ticker(max_steps)
        self._clock = CellClock(self._loop, limits.seconds, self._time_is_up)
        self._waiting: asyncio.Future[Execution] | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self._captures = [Capture(n, self._ticker, self._emit) for n in ("stdout", "stderr")]
        self._jobs: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._names: dict[int, str] = {}
        self._ours: dict[str, Any] = {}
        self._reads: list[str] = []
        self._interrupted = False
        self.lost = False
        if on_output is not None:
            flusher = _LoopFlusher(self._captures, self._loop)
            for capture in self._captures:
                capture.flusher = flusher

    def bind(self, make: MakeCells, variables: Mapping[str, Given], options: OpenOptions) -> None:
        """Make the namespace, with copies of the variables, and start the thread."""
        copies = {}
        for name, given in variables.items():
            copies[name] = value = given.copy(self._limits.memory_mb, self._reads)
            self._ours.update(given.files)
            if isinstance(value, (str, bytes)) and len(value) > LARGE:
                self._names[id(value)] = name
                self._ours[name] = given.value
        self._file_names = FileNames({name: given.value for name, given in variables.items()})
        out, err = self._captures
        kit = Kit(self._ticker, out, err, options.seed, self._limits.memory_mb)
        self._cells = make(kit)
        self._cells.provide(self._call, self._functions, options, copies)
        threading.Thread(target=self._serve, name="rlm-session", daemon=True).start()

    async def run(self, code: str) -> Execution:
        """Run one cell to its end, or to where it has to be left behind."""
        self._waiting = self._loop.create_future()
        self._interrupted = False
        self._clock.start(paused=bool(self._calls))
        self._jobs.put(code)
        try:
            return await self._waiting
        finally:
            self._waiting = None
            self._clock.stop()

    async def close(self) -> None:
        """Stop the thread at its next tick, without waiting for it."""
        self.lost = True
        self._clock.stop()
        self._ticker.close()
        self._jobs.put(None)
        tasks = list(self._calls)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # in the thread

    def _serve(self) -> None:
        while (code := self._jobs.get()) is not None:
            try:
                self._post(self._done, self._run(code))
            except (Closed, CellTimeout):
                break  # the session is closed
            except BaseException as error:  # showing what a cell has left can run its code
                self._post(self._lose, f"{type(error).__name__}: {error}")
                break
        self._cells.close()

    def _run(self, code: str) -> dict[str, Any]:
        self._cells.history.forget()
        for capture in self._captures:
            capture.begin(self._limits.output_bytes)
        told = self._cells.run(code)
        for capture in self._captures:
            kept = capture.end()
            told[capture.name] = kept.text()
            told[f"{capture.name}_chars"] = kept.chars
        told["files"] = self._just_read()
        return told

    def _just_read(self) -> list[str]:
        """Return the names of the files that were read for the first time in this session."""
        read = [self._file_names.of(self._ours[ref]) for ref in self._reads]
        self._reads.clear()
        return read

    def _call(
        self, name: str, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call a host function, which gets copies of what a cell gives it."""
        self._ticker.tick()
        blobs = Blobs()
        trees = [encode(part, blobs, self._names) for part in (list(args), dict(kwargs or {}))]
        given = b"".join(blobs.pieces)
        for capture in self._captures:
            capture.flush()
        answer = _Answer()
        args_, kwargs_ = (decode(tree, given, self._ours) for tree in trees)
        self._post(self._begin_call, answer, name, args_, kwargs_)
        return answer.wait()

    def _post(self, function: Any, *args: Any) -> None:
        """Have the loop call a function, if it is still there."""
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            raise Closed from None

    def _emit(self, name: str, text: str) -> None:
        if self._on_output is not None:
            self._post(self._on_output, name, text)

    # on the loop

    def _done(self, told: dict[str, Any]) -> None:
        self._clock.stop()
        self._finish(execution(told, b"", self._limits.output_bytes, self._clock.spent))

    def _finish(self, execution: Execution) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(execution)

    def _begin_call(
        self, answer: _Answer, name: str, args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        if self.lost:
            answer.release()
            return
        self._clock.pause()
        task = self._loop.create_task(self._answer(answer, name, args, kwargs))
        self._calls.add(task)
        task.add_done_callback(lambda done: self._end_call(done, answer))

    def _end_call(self, task: asyncio.Task[None], answer: _Answer) -> None:
        self._calls.discard(task)
        if not self._calls:
            self._clock.resume()
        answer.release()

    async def _answer(
        self, answer: _Answer, name: str, args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        blobs = Blobs()
        try:
            value = encode(await self._function(name)(*args, **kwargs), blobs)
            answer.value, answer.blob = value, b"".join(blobs.pieces)
            answer.error = None
        except RLMError as error:
            answer.error = told(error)
        except Exception as error:
            answer.error = told(ToolError(f"{name}: {type(error).__name__}: {error}"))

    def _function(self, name: str) -> Any:
        function = self._functions.get(name) if isinstance(name, str) else None
        if function is None:
            raise ToolError(f"there is no function {name!r:.100} to call here")
        return function

    def _time_is_up(self) -> None:
        if not self._interrupted:
            self._interrupted = True
            self._ticker.interrupt()
            self._clock.extend(_GRACE_SECONDS)
            return
        limit = self._limits.seconds
        self._lose(
            f"it did not stop when its time of {limit:g} s was up, so its thread was left behind"
        )

    def _lose(self, why: str) -> None:
        """End with what there is: the next cell has a new thread and namespace."""
        self.lost = True
        self._ticker.close()
        self._jobs.put(None)
        kept = [capture.end() for capture in self._captures]
        message = (
            f"The session was lost: {why}. All variables are gone; the inputs are there again."
        )
        self._finish(
            Execution(
                stdout=kept[0].text(),
                stderr=kept[1].text(),
                stdout_chars=kept[0].chars,
                stderr_chars=kept[1].chars,
                error=CellError("SessionLost", message, kind="lost"),
                seconds=self._clock.spent,
            )
        )


class _Answer:
    """What a thread of a cell waits for."""

    def __init__(self) -> None:
        self.value: Any = None
        self.blob = b""
        self.error: dict[str, Any] | None = told(SandboxError("the session is closed"))
        self._ready = threading.Lock()
        self._ready.acquire()

    def release(self) -> None:
        """Let the thread go on."""
        self._ready.release()

    def wait(self) -> Any:
        """Return the value, or raise the error by its name in cells."""
        self._ready.acquire()
        if self.error is not None:
            raise errors.from_host(self.error)
        return decode(self.value, self.blob)


class _LoopFlusher(Flusher):
    """Sends output of a cell that has gone quiet, with a timer of the loop."""

    def __init__(self, captures: list[Capture], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(captures)
        self._loop = loop

    def wake(self) -> None:
        """Something is pending: look at it a little later."""
        if not self._pending.is_set():
            self._pending.set()
            self._loop.call_soon_threadsafe(self._loop.call_later, _FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._pending.clear()
        for capture in self._captures:
            capture.flush()
