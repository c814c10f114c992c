"""A sandbox without a process, for tests: cells run by `exec` in a thread of the host."""

from __future__ import annotations

import builtins
import sys
import types
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar

from rlm.errors import ConfigurationError
from rlm.sandbox._local_cells import ThreadCells
from rlm.sandbox._local_modules import seeded
from rlm.sandbox._local_place import thread_place
from rlm.sandbox.base import CellLimits, Execution, Functions, OnOutput, OpenOptions, Place, Session

__all__ = ["InMemorySandbox"]


class InMemorySandbox:
    """Runs cells by plain `exec`: fast, the same functions and results, and no confinement at all.

    For tests of code that one trusts: a cell has everything that the process has, its files, its
    keys, its memory. With `executions` no code runs: each cell is answered with the next of them,
    whatever it says, and `cells` has what was asked.
    """

    name: ClassVar[str] = "memory"

    def __init__(self, executions: Iterable[Execution] | None = None) -> None:
        self.cells: list[str] = []
        self._executions = None if executions is None else list(executions)

    def start(
        self, inputs: Mapping[str, Any], limits: CellLimits
    ) -> AbstractAsyncContextManager[Place]:
        """Start the place of one run."""
        if self._executions is None:
            return thread_place(_MemoryCells, inputs, limits, _FACTS)
        return _scripted_place(self._executions, self.cells)


_FACTS = {"sandbox": "memory", "missing": ["any confinement: this is for tests"]}


class _MemoryCells(ThreadCells):
    """Cells with everything, except what sessions in one process would take from each other."""

    def builtins(self) -> dict[str, Any]:
        own = {"random": types.ModuleType("random"), "sys": types.ModuleType("sys")}
        vars(own["random"]).update(seeded(self.kit.seed))
        vars(own["sys"]).update(vars(sys), stdout=self.kit.stdout, stderr=self.kit.stderr)

        def import_(name: str, *more: Any) -> Any:
            return own[name] if name in own else builtins.__import__(name, *more)

        return {**vars(builtins), "__import__": import_}


@asynccontextmanager
async def _scripted_place(executions: list[Execution], cells: list[str]) -> AsyncIterator[Place]:
    yield _ScriptedPlace(executions, cells)


class _ScriptedPlace:
    facts: Mapping[str, Any] = {**_FACTS, "scripted": True}

    def __init__(self, executions: list[Execution], cells: list[str]) -> None:
        self._executions = executions
        self._cells = cells

    @asynccontextmanager
    async def open(
        self,
        variables: Mapping[str, Any],
        functions: Functions,
        options: OpenOptions,
        on_output: OnOutput | None = None,
    ) -> AsyncIterator[Session]:
        """Open a session, which shares the script with all others."""
        yield self

    async def execute(self, code: str) -> Execution:
        """Answer a cell with the next execution."""
        self._cells.append(code)
        if len(self._cells) > len(self._executions):
            raise ConfigurationError(
                f"cell {len(self._cells)} has no execution: the script has {len(self._executions)}"
            )
        return self._executions[len(self._cells) - 1]
