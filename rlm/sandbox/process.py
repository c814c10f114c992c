"""The default sandbox: guest processes, confined by what this machine's kernel offers."""

from __future__ import annotations

import asyncio
import sysconfig
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from rlm.errors import ConfigurationError, SandboxError
from rlm.guest.values import NotPortable
from rlm.sandbox._session import GuestSession
from rlm.sandbox._zygote import Zygote
from rlm.sandbox.base import CellLimits, Functions, OnOutput, OpenOptions, Place, Session

__all__ = ["ProcessSandbox"]

_FILE_MB = 1024


@dataclass(frozen=True, slots=True)
class ProcessSandbox:
    """Runs cells in processes of their own: clean environment, no network, bounded resources.

    One process a run, the zygote, loads the inputs; each session is a fork of it that shares them.
    `require_confinement` refuses to start where the kernel lacks a wall (`Place.facts["missing"]`
    names them). `packages` are modules to import beforehand, from where this process has them;
    `processes` allows cells to start programs. `hash_seed` fixes the order of sets.
    """

    require_confinement: bool = False
    packages: tuple[str, ...] = ()
    processes: int = 0
    hash_seed: int = 0

    name: ClassVar[str] = "process"

    def start(
        self, inputs: Mapping[str, Any], limits: CellLimits
    ) -> AbstractAsyncContextManager[Place]:
        """Start the zygote of one run and load its inputs."""
        return self._start(dict(inputs), limits)

    @asynccontextmanager
    async def _start(self, inputs: dict[str, Any], limits: CellLimits) -> AsyncIterator[Place]:
        place = _ProcessPlace(self, inputs, limits)
        try:
            await place.zygote()
            yield place
        finally:
            await place.close()

    def options(self, limits: CellLimits) -> dict[str, Any]:
        """Return what the zygote is told, as plain JSON values."""
        paths = sysconfig.get_paths()
        return {
            "hash_seed": self.hash_seed,
            "packages": list(self.packages),
            "path": sorted({paths["purelib"], paths["platlib"]}) if self.packages else [],
            "processes": self.processes,
            "memory_mb": limits.memory_mb,
            "file_mb": _FILE_MB,
        }


class _ProcessPlace:
    """The zygote of a run, started again should a cell have ended it."""

    def __init__(self, sandbox: ProcessSandbox, inputs: dict[str, Any], limits: CellLimits) -> None:
        self._sandbox = sandbox
        self._inputs = inputs
        self._limits = limits
        self._zygote: Zygote | None = None
        self._starting = asyncio.Lock()
        self._closed = False

    @property
    def facts(self) -> Mapping[str, Any]:
        """What confines the code here, and what is missing."""
        found = {} if self._zygote is None else self._zygote.facts
        return {"sandbox": "process", **self._sandbox.options(self._limits), **found}

    async def zygote(self) -> Zygote:
        """Return the zygote, alive."""
        async with self._starting:
            if self._closed:
                raise SandboxError("this place is closed")
            if self._zygote is None or not self._zygote.alive:
                await self._replace()
            assert self._zygote is not None
            return self._zygote

    async def _replace(self) -> None:
        if self._zygote is not None:
            await self._zygote.close()
        zygote = Zygote(self._sandbox.options(self._limits))
        try:
            await zygote.start(self._inputs)
        except NotPortable as error:
            raise ConfigurationError(str(error)) from None
        self._zygote = zygote
        missing = zygote.facts["missing"]
        if missing and self._sandbox.require_confinement:
            raise SandboxError(
                f"this machine cannot confine code fully; missing: {'; '.join(missing)}."
                " Use another sandbox, or require_confinement=False"
            )

    @asynccontextmanager
    async def open(
        self,
        variables: Mapping[str, Any],
        functions: Functions,
        options: OpenOptions,
        on_output: OnOutput | None = None,
    ) -> AsyncIterator[Session]:
        """Fork a session with these variables."""
        session = GuestSession(
            self.zygote, self._inputs, variables, functions, options, self._limits, on_output
        )
        try:
            await session.begin()
            yield session
        finally:
            await session.close()

    async def close(self) -> None:
        """End the zygote with all that it has started."""
        self._closed = True
        if self._zygote is not None:
            await self._zygote.close()
