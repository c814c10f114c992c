"""The place of a run whose sessions are threads of this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from rlm.errors import ConfigurationError, SandboxError
from rlm.guest.values import NotPortable
from rlm.sandbox._local_cells import MakeCells
from rlm.sandbox._local_session import ThreadSession
from rlm.sandbox._local_values import Given
from rlm.sandbox.base import CellLimits, Functions, OnOutput, OpenOptions, Session

__all__ = ["ThreadPlace", "thread_place"]


class ThreadPlace:
    """Inputs, encoded once, and sessions that each get a copy; `facts` is what it tells of itself.

    `max_steps` bounds the ticks of one cell.
    """

    def __init__(
        self,
        make: MakeCells,
        inputs: Mapping[str, Any],
        limits: CellLimits,
        facts: Mapping[str, Any],
        max_steps: int | None = None,
    ) -> None:
        self._make = make
        self._limits = limits
        self._max_steps = max_steps
        self.facts = facts
        self._closed = False
        self._inputs: dict[int, Given] = {}
        for name, value in inputs.items():
            self._inputs[id(value)] = Given(f"input {name!r}", value)

    @asynccontextmanager
    async def open(
        self,
        variables: Mapping[str, Any],
        functions: Functions,
        options: OpenOptions,
        on_output: OnOutput | None = None,
    ) -> AsyncIterator[Session]:
        """Open a session; its thread starts with its first cell."""
        if self._closed:
            raise SandboxError("this place is closed")
        own: list[Given] = []
        given: dict[str, Given] = {}
        session = ThreadSession(
            self._make, given, functions, options, self._limits, on_output, self._max_steps
        )
        try:
            for name, value in variables.items():
                found = self._inputs.get(id(value))
                if found is None:
                    found = Given(f"variable {name!r}", value)
                    own.append(found)
                given[name] = found
            yield session
        finally:
            await session.close()
            for one in own:
                one.close()

    def close(self) -> None:
        """Close the files among the inputs."""
        self._closed = True
        for given in self._inputs.values():
            given.close()


@asynccontextmanager
async def thread_place(
    make: MakeCells,
    inputs: Mapping[str, Any],
    limits: CellLimits,
    facts: Mapping[str, Any],
    max_steps: int | None = None,
) -> AsyncIterator[ThreadPlace]:
    """Have a place for the time of a run."""
    try:
        place = ThreadPlace(make, inputs, limits, facts, max_steps)
    except NotPortable as error:
        raise ConfigurationError(str(error)) from None
    try:
        yield place
    finally:
        place.close()
