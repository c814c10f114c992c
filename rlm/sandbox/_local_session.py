"""A session in a thread of this process: a namespace, and another when that one is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from rlm.errors import SandboxError
from rlm.sandbox._local_cells import MakeCells
from rlm.sandbox._local_live import LocalLive
from rlm.sandbox._local_values import Given
from rlm.sandbox.base import CellLimits, Execution, Functions, OnOutput, OpenOptions

__all__ = ["ThreadSession"]


class ThreadSession:
    """A Session whose cells run in a thread; one that does not stop is left behind.

    `variables` are closed by whoever made them. `max_steps` bounds the ticks of one cell.
    """

    def __init__(
        self,
        make: MakeCells,
        variables: Mapping[str, Given],
        functions: Functions,
        options: OpenOptions,
        limits: CellLimits,
        on_output: OnOutput | None = None,
        max_steps: int | None = None,
    ) -> None:
        self._make = make
        self._variables = variables
        self._functions = functions
        self._options = options
        self._limits = limits
        self._on_output = on_output
        self._max_steps = max_steps
        self._live: LocalLive | None = None
        self._busy = False

    async def execute(self, code: str) -> Execution:
        """Run a cell."""
        if self._busy:
            raise SandboxError("a session runs one cell at a time")
        self._busy = True
        try:
            if self._live is None or self._live.lost:
                await self.close()
                self._live = self._begin()
            return await self._live.run(code)
        except asyncio.CancelledError:
            await self.close()
            raise
        finally:
            self._busy = False

    async def close(self) -> None:
        """Tell the thread to end, and cancel what the host does for it."""
        live, self._live = self._live, None
        if live is not None:
            await live.close()

    def _begin(self) -> LocalLive:
        live = LocalLive(self._functions, self._limits, self._on_output, self._max_steps)
        live.bind(self._make, self._variables, self._options)
        return live
