"""The host's view of a zygote, wherever it runs: its start, its sessions' lives, its end."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlm.errors import SandboxError
from rlm.guest.wire import Bounds, Frame
from rlm.sandbox._channel import Line, OnFrame, OnLost, bounds_of

__all__ = ["START_SECONDS", "Life", "Zygote"]

START_SECONDS = 60.0
_KILL_SECONDS = 10.0


@dataclass
class Life:
    """One session's process: its number in the zygote, its line to the host, its end.

    `gone` has the exit code, negative for a signal, and None when the zygote itself has gone;
    `why` says more where the process could not be had at all; `rest` is what it printed and could
    not send any more, by stream.
    """

    number: int
    line: Line
    gone: asyncio.Future[int | None]
    interrupted: asyncio.Future[None] | None = None
    why: str = ""
    rest: Mapping[str, Any] = field(default_factory=dict)


class Zygote(ABC):
    """A zygote and what it has said; how it is started and told things is for its kinds.

    `_options` is its `bind` message without what only its kind knows. `facts` are what confines its
    sessions, once it has started; `files` are those among its inputs, by their references in a
    guest.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = dict(options)
        self._lives: dict[int, Life] = {}
        self._last = 0
        self._ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())
        self.facts: dict[str, Any] = {}
        self.files: Mapping[str, Any] = {}
        self.alive = False

    @property
    def bounds(self) -> Bounds:
        """What a frame of a session has at most."""
        return bounds_of(self._options["memory_mb"])

    async def start(self, inputs: Mapping[str, Any]) -> None:
        """Start it and load the inputs; SandboxError when it cannot be had."""
        try:
            await self._start(inputs)
            async with asyncio.timeout(START_SECONDS):
                self.facts = await self._ready
        except TimeoutError:
            await self.close()
            raise SandboxError("the sandbox did not start within a minute") from None
        except BaseException:
            await self.close()
            raise
        finally:
            self._started()

    @abstractmethod
    async def open(self, on_frame: OnFrame, on_lost: OnLost, fds: Sequence[int]) -> Life:
        """Fork a session, to which these descriptors go; they stay the caller's."""

    @abstractmethod
    async def close(self) -> None:
        """End the zygote with all of its sessions, and leave nothing behind."""

    @abstractmethod
    async def _start(self, inputs: Mapping[str, Any]) -> None:
        """Start it; it says that it is ready by a frame."""

    @abstractmethod
    def _started(self) -> None:
        """It is ready, or never will be: let go of what only the start needed."""

    @abstractmethod
    def _tell(self, message: dict[str, Any]) -> None:
        """Send a message to the zygote."""

    @abstractmethod
    def _end_by_force(self) -> None:
        """End a zygote that hangs; `_bury` follows when it is gone."""

    async def interrupt(self, life: Life) -> None:
        """Send SIGINT to a session, and return when it is delivered."""
        if life.gone.done():
            return
        if life.interrupted is None:
            life.interrupted = asyncio.get_running_loop().create_future()
            self._tell({"t": "interrupt", "id": life.number})
        either: list[asyncio.Future[Any]] = [life.interrupted, life.gone]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)

    async def kill(self, life: Life) -> int | None:
        """End a session with its process group; return its exit code once it is reaped."""
        if not life.gone.done():
            self._tell({"t": "close", "id": life.number})
            await asyncio.wait([life.gone], timeout=_KILL_SECONDS)
        if not life.gone.done():  # the zygote hangs: with it end all of its sessions
            self._end_by_force()
        return await asyncio.shield(life.gone)

    def _born(self, line: Line) -> Life:
        """Number a session; one of a zygote that has ended is gone at once."""
        self._last += 1
        life = Life(self._last, line, asyncio.get_running_loop().create_future())
        if self.alive:
            self._lives[life.number] = life
        else:
            life.gone.set_result(None)
        return life

    def _bury(self, why: str = "") -> None:
        self.alive = False
        for life in self._lives.values():
            if not life.gone.done():
                life.why = why
                life.gone.set_result(None)
        self._lives.clear()

    def _on_frame(self, frame: Frame) -> None:
        message = frame[0]
        kind = message["t"]
        if kind == "gone":
            code = int(message["code"])
            life = self._lives.pop(message["id"])
            if not life.gone.done():
                life.why = str(message.get("why", ""))
                rest = message.get("rest")
                life.rest = rest if isinstance(rest, dict) else {}
                life.gone.set_result(code)
        elif kind == "interrupted":
            found = self._lives.get(message["id"])
            if found is not None and found.interrupted is not None:
                found.interrupted.set_result(None)
                found.interrupted = None
        elif kind == "ready" and not self._ready.done():
            self._ready.set_result({key: message[key] for key in ("missing", "walls", "python")})
        elif kind == "failed":
            self._fail(f"the sandbox cannot start: {message['message']}")

    def _fail(self, why: str) -> None:
        if not self._ready.done():
            self._ready.set_exception(SandboxError(why))
