"""One guest from its fork to its end: its cells, and the answers to what they call."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any

from rlm.errors import RLMError, SandboxError, ToolError, told
from rlm.guest.session import BROKEN
from rlm.guest.values import Blobs, decode, encode
from rlm.guest.wire import VERSION, Frame, Message, WireError
from rlm.sandbox._channel import Line
from rlm.sandbox._clock import CellClock
from rlm.sandbox._inputs import VariableBlobs
from rlm.sandbox._said import execution, lost
from rlm.sandbox._zygote import Life, Zygote
from rlm.sandbox.base import CellLimits, Execution, Functions, OnOutput

__all__ = ["Live"]

_GRACE_SECONDS = 1.0
_LAST_SECONDS = 0.5
"""What a process may take to end once its wire is closed, before it is killed."""
_MOST_CALLS = 4096
_OPEN_SECONDS = 60.0
_LONGEST_REASON = 500
_MOST_PIECES = 4096


class Live:
    """One guest from its fork to its end."""

    def __init__(
        self,
        zygote: Zygote,
        functions: Functions,
        names: Mapping[str, Any],
        limits: CellLimits,
        on_output: OnOutput | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._zygote = zygote
        self._functions = functions
        self._names = names
        self._limits = limits
        self._on_output = on_output
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._answering = 0
        self._held = 0
        self._sending = asyncio.Lock()
        self._clock = CellClock(self._loop, limits.seconds, self._time_is_up)
        self._waiting: asyncio.Future[Any] | None = None
        self._interrupting: asyncio.Task[None] | None = None
        self._cell = 0
        self._output: dict[str, list[str]] = {}
        self._output_size = 0
        self._overdue = False
        self._reason = ""
        self._line: Line | None = None
        self._life: Life | None = None
        self.lost = False

    async def bind(self, message: dict[str, Any], blobs: VariableBlobs) -> None:
        """Fork, bind, and wait until the guest is ready."""
        self._life = await self._zygote.open(self._on_frame, self._on_lost, blobs.fds)
        self._line = self._life.line
        self._waiting = self._loop.create_future()
        self._life.gone.add_done_callback(lambda gone: self._on_lost(""))
        self._line.send({**message, "most": self._zygote.bounds}, blobs.pieces)
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                ready = await self._waiting
        except (_Lost, TimeoutError):
            code = await self._end()
            why = _cause(code, self._reason or self._life.why)
            raise SandboxError(f"a session did not start: {why}") from None
        finally:
            self._waiting = None
        if ready["t"] != "ready" or ready.get("version") != VERSION:
            raise SandboxError("a session speaks another version of the wire")

    async def run(self, code: str) -> Execution:
        """Run one cell to its end, its time-out, or the end of the guest."""
        assert self._line is not None
        self._cell += 1
        self._output, self._output_size = {"stdout": [], "stderr": []}, 0
        if self.lost:
            return await self._lost_execution(" before this cell, which has not run")
        blobs = Blobs()
        message = {"t": "execute", "n": self._cell, "code": encode(code, blobs)}
        message["output_bytes"] = self._limits.output_bytes
        self._waiting = self._loop.create_future()
        self._clock.start(paused=bool(self._answering))
        self._line.send(message, blobs.pieces)
        try:
            done: Execution = await self._waiting
            if self._interrupting is not None:
                await self._interrupting
                self._interrupting = None
            return done
        except _Lost:
            return await self._lost_execution()
        finally:
            self._waiting = None
            self._clock.stop()

    async def close(self) -> None:
        """Kill the guest, cancel what the host does for it, and wait for both."""
        await self._end()

    async def _end(self) -> int | None:
        self.lost = True
        self._clock.stop()
        if self._line is not None:
            self._line.close()
        tasks = list(self._calls.values())
        if self._interrupting is not None:
            tasks.append(self._interrupting)
        for task in tasks:
            task.cancel()
        code = None
        if self._life is not None:
            code = await self._zygote.kill(self._life)
        if tasks:
            await asyncio.wait(tasks)
        return code

    # what the guest says

    @property
    def _due(self) -> str:
        """What ends what is waited for: the start, or a cell."""
        return "done" if self._cell else "ready"

    def _on_frame(self, frame: Frame) -> None:
        message, blob = frame
        kind = message["t"]
        if kind == "call":
            self._on_call(message, blob)
        elif kind == "output":
            self._on_text(message["stream"], message["text"])
        elif kind == self._due and self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(message if kind == "ready" else self._done(message, blob))
        else:
            raise WireError(f"it said {kind!r:.40} out of turn")

    def _on_lost(self, reason: str) -> None:
        if self._line is not None:
            self._line.close()
        self.lost = True
        if not self._reason:  # a part of it may be what the guest said
            shown = reason[:_LONGEST_REASON]
            self._reason = "".join(
                c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown
            )
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(_Lost())

    def _on_text(self, stream: str, text: str) -> None:
        pieces = self._output[stream]
        if not isinstance(text, str):
            raise WireError("output that is not text")
        room = self._limits.output_bytes - self._output_size
        if room <= 0 or not text:
            return
        pieces.append(text[:room])
        if len(pieces) > _MOST_PIECES:  # of one character each they would cost eighty times that
            pieces[:] = ["".join(pieces)]
        self._output_size += min(len(text), room)
        if self._on_output is not None:
            self._on_output("stdout" if stream == "stdout" else "stderr", text[:room])

    def _done(self, done: dict[str, Any], blob: bytes) -> Execution:
        if done["n"] != self._cell:
            raise WireError("it ended a cell that was not running")
        self._clock.stop()
        return execution(done, blob, self._limits.output_bytes, self._clock.spent)

    # what the guest calls

    def _on_call(self, message: Message, blob: bytes) -> None:
        number, name = message["id"], message["name"]
        if type(number) is not int or number in self._calls or len(self._calls) >= _MOST_CALLS:
            raise WireError("a call without a number of its own, or too many calls at once")
        size = message.size + len(blob)
        if self._calls and self._held + size > self._zygote.bounds.blob:
            raise WireError("its calls that wait for an answer hold too much")
        args, kwargs = (
            decode(message[part], blob, self._names, record=_fields, foreign=True)
            for part in ("args", "kwargs")
        )
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise WireError("a call without arguments")
        self._held += size
        task = self._loop.create_task(self._answer(number, name, args, kwargs))
        task.add_done_callback(partial(self._let_go, size))
        self._calls[number] = task

    def _let_go(self, size: int, task: asyncio.Task[None]) -> None:
        self._held -= size

    async def _answer(
        self, number: int, name: Any, args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        line = self._line
        assert line is not None
        try:
            await line.drained()  # who reads no answers gets no more of them, nor time
            if self.lost:
                return
            outcome = await self._outcome(name, args, kwargs)
            async with self._sending:  # of many answers, one at a time waits to be taken
                await line.drained()
                self._send(line, {"t": "answer", "id": number, **outcome}, name)
        finally:
            del self._calls[number]

    async def _outcome(self, name: Any, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return what came of a call: its `value`, or the `error` to raise in the cell."""
        try:
            return {"value": await self._timeless(name, args, kwargs)}
        except RLMError as error:
            return {"error": told(error)}
        except Exception as error:
            return {"error": told(ToolError(f"{name}: {type(error).__name__}: {error}"))}

    def _send(self, line: Line, answer: dict[str, Any], name: Any) -> None:
        """Send an answer, or say why its value cannot be sent."""
        blobs = Blobs()
        try:
            if "value" in answer:
                answer["value"] = encode(answer["value"], blobs)
            line.send(answer, blobs.pieces)
        except Exception as error:  # of foreign objects; nothing of it was sent
            failed = ToolError(f"{name}: {type(error).__name__}: {error}")
            line.send({"t": "answer", "id": answer["id"], "error": told(failed)})

    async def _timeless(self, name: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call a function while the clock of the cell stands still."""
        self._answering += 1
        self._clock.pause()
        try:
            return await self._call(name, args, kwargs)
        finally:
            self._answering -= 1
            if not self._answering and not self.lost:
                self._clock.resume()

    def _call(self, name: Any, args: list[Any], kwargs: dict[str, Any]) -> Awaitable[Any]:
        function = self._functions.get(name) if isinstance(name, str) else None
        if function is None:
            raise ToolError(f"there is no function {name!r:.100} to call here")
        return function(*args, **kwargs)

    # when it takes too long

    def _time_is_up(self) -> None:
        if self._life is None or self.lost:
            return
        if self._interrupting is None:
            self._interrupting = self._loop.create_task(self._zygote.interrupt(self._life))
            self._clock.extend(_GRACE_SECONDS)
        else:
            self._overdue = True
            self._on_lost("")

    async def _lost_execution(self, when: str = "") -> Execution:
        seconds, life = self._clock.spent, self._life
        assert life is not None
        if not (self._overdue or self._reason):  # it has let go of the wire: most likely it is dead
            await asyncio.wait([life.gone], timeout=_LAST_SECONDS)
            self._reason = "" if life.gone.done() else "a cell closed its connection to the host"
        code = await self._end()
        if self._overdue:
            limit = self._limits.seconds
            why = f"it did not stop when its time of {limit:g} s was up, so it was ended by force"
        else:
            why = _cause(code, self._reason or life.why) + when
        return lost(why, self._output, life.rest, self._limits.output_bytes, seconds)


def _fields(type_name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """What a cell's dataclass is to the host: its fields."""
    return fields


class _Lost(Exception):
    """The guest is gone."""


def _cause(code: int | None, reason: str) -> str:
    if reason:
        return reason
    if code is None:
        return "the process that it came from has ended"
    if code < 0:
        return f"its process {_end_by(-code)}"
    if code == BROKEN:
        return "a cell broke the program that runs cells, by closing or replacing what that needs"
    return f"its process ended itself with exit code {code}"


def _end_by(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = str(number)
    return _ENDS.get(name, f"was ended by signal {name}")


_ENDS = {
    "SIGKILL": "was killed, most likely for using too much memory",
    "SIGSEGV": "crashed (segmentation fault, as after too deep a recursion)",
    "SIGBUS": "crashed (bus error)",
    "SIGFPE": "crashed (floating point exception)",
    "SIGILL": "crashed (illegal instruction)",
    "SIGABRT": "aborted, as C code does that finds itself broken",
    "SIGALRM": "was ended by an alarm that a cell had set",
    "SIGXCPU": "used up the processor time that a session has",
    "SIGSYS": "made a system call that is not allowed here",
}
