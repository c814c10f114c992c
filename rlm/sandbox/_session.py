"""A session on the host's side: a guest, and another when that one is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from rlm.errors import SandboxError
from rlm.guest.values import NotPortable, encode
from rlm.guest.wire import VERSION
from rlm.sandbox._inputs import FileNames, VariableBlobs
from rlm.sandbox._live import Live
from rlm.sandbox._zygote import Zygote
from rlm.sandbox.base import CellLimits, Execution, Functions, OnOutput, OpenOptions

__all__ = ["GuestSession"]


class GuestSession:
    """A Session whose guest was forked from a zygote; a lost one is replaced at the next cell.

    `zygote` gives a living zygote, `place` are the inputs that it has.
    """

    def __init__(
        self,
        zygote: Callable[[], Awaitable[Zygote]],
        place: Mapping[str, Any],
        variables: Mapping[str, Any],
        functions: Functions,
        options: OpenOptions,
        limits: CellLimits,
        on_output: OnOutput | None,
    ) -> None:
        self._zygote = zygote
        self._place = place
        self._variables = dict(variables)
        self._functions = functions
        self._options = options
        self._limits = limits
        self._on_output = on_output
        self._live: Live | None = None
        self._files: Mapping[str, Any] = {}
        self._file_names = FileNames(self._variables)
        self._busy = False

    async def begin(self) -> None:
        """Fork the guest and bind its variables."""
        zygote = await self._zygote()
        blobs = VariableBlobs()
        try:
            message = self._bind(blobs, zygote.files)
            self._files = {**zygote.files, **blobs.files}
            live = Live(zygote, self._functions, self._names(), self._limits, self._on_output)
            try:
                await live.bind(message, blobs)
            except BaseException:
                await live.close()
                raise
        finally:
            blobs.close()
        self._live = live

    async def execute(self, code: str) -> Execution:
        """Run a cell."""
        if self._busy:
            raise SandboxError("a session runs one cell at a time")
        self._busy = True
        try:
            if self._live is None:
                await self.begin()
            assert self._live is not None
            done = self._named(await self._live.run(code))
            if done.error is not None and done.error.kind == "lost":
                await self.close()  # the next cell has a fresh one
            return done
        except asyncio.CancelledError:
            await self.close()
            raise
        finally:
            self._busy = False

    async def close(self) -> None:
        """End the guest with its process group."""
        live, self._live = self._live, None
        if live is not None:
            await live.close()

    def _names(self) -> dict[str, Any]:
        """Return the host's objects that a cell may refer to."""
        place = {f"place:{name}": value for name, value in self._place.items()}
        own = {f"session:{name}": value for name, value in self._variables.items()}
        return {**self._files, **place, **own}

    def _named(self, execution: Execution) -> Execution:
        """Call files that were read what cells call them; a reference may be forged."""
        if not execution.files:
            return execution
        read = (self._files[ref] for ref in dict.fromkeys(execution.files) if ref in self._files)
        return replace(execution, files=tuple(self._file_names.of(file) for file in read))

    def _bind(self, blobs: VariableBlobs, files: Mapping[str, Any]) -> dict[str, Any]:
        shared = {id(file): ref for ref, file in files.items()}
        shared |= {id(value): f"place:{name}" for name, value in self._place.items()}
        variables = {}
        for name, value in self._variables.items():
            if id(value) in shared:
                variables[name] = {"$": "ref", "v": shared[id(value)]}
                continue
            try:
                variables[name] = encode(value, blobs, shared)
            except NotPortable as error:
                raise NotPortable(f"variable {name!r}: {error}") from None
        return {
            "t": "bind",
            "version": VERSION,
            "variables": variables,
            "functions": list(self._functions),
            "signatures": {
                name: list(pair) for name, pair in dict(self._options.signatures).items()
            },
            "outputs": list(self._options.outputs),
            "seed": self._options.seed,
        }
