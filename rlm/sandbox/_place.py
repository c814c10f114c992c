"""The place of one run that has a zygote, started again should a cell have ended it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from rlm.errors import ConfigurationError, SandboxError
from rlm.guest.values import NotPortable
from rlm.sandbox._session import GuestSession
from rlm.sandbox._zygote import Zygote
from rlm.sandbox.base import CellLimits, Functions, OnOutput, OpenOptions, Place, Session

__all__ = ["place_of"]


@asynccontextmanager
async def place_of(
    make: Callable[[], Zygote],
    facts: Mapping[str, Any],
    inputs: Mapping[str, Any],
    limits: CellLimits,
) -> AsyncIterator[Place]:
    """Start a place of the zygotes that `make` makes, and end it; `facts` are known beforehand."""
    place = _GuestPlace(make, facts, dict(inputs), limits)
    try:
        await place.zygote()
        yield place
    finally:
        await place.close()


class _GuestPlace:
    def __init__(
        self,
        make: Callable[[], Zygote],
        facts: Mapping[str, Any],
        inputs: dict[str, Any],
        limits: CellLimits,
    ) -> None:
        self._make = make
        self._facts = facts
        self._inputs = inputs
        self._limits = limits
        self._zygote: Zygote | None = None
        self._starting = asyncio.Lock()
        self._closed = False

    @property
    def facts(self) -> Mapping[str, Any]:
        """What confines the code here, and what is missing."""
        return {**self._facts, **({} if self._zygote is None else self._zygote.facts)}

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
        zygote = self._make()
        try:
            await zygote.start(self._inputs)
        except NotPortable as error:
            raise ConfigurationError(str(error)) from None
        self._zygote = zygote

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
