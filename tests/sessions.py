"""Cells in real sessions of every sandbox that has a guest: what their tests share."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from rlm.sandbox.base import CellLimits, Execution, Functions, OpenOptions, Sandbox
from rlm.sandbox.command import CommandSandbox
from rlm.sandbox.docker import DockerSandbox
from rlm.sandbox.process import ProcessSandbox

__all__ = ["GUESTS", "LIMITS", "cells", "every_guest", "lost"]

LIMITS = CellLimits(seconds=20, memory_mb=512)

GUESTS: Mapping[str, Callable[[], Sandbox]] = {
    "process": ProcessSandbox,
    "docker": DockerSandbox,
    "command": lambda: CommandSandbox(["env"], python=sys.executable),
}


_MARKS = {"docker": [pytest.mark.docker, pytest.mark.soak], "command": [pytest.mark.soak]}

every_guest = pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=_MARKS.get(kind, [])) for kind in GUESTS]
)
"""Runs a test with `kind` in every sandbox whose sessions are guests; but one in the long run."""


def cells(
    *codes: str,
    kind: str | Sandbox = "process",
    inputs: Mapping[str, Any] | None = None,
    functions: Functions | None = None,
    limits: CellLimits = LIMITS,
    outputs: tuple[str, ...] = (),
    **more: Any,
) -> list[Execution]:
    """Run the cells in one session and return what they did."""
    sandbox = GUESTS[kind]() if isinstance(kind, str) else kind

    async def main() -> list[Execution]:
        given = dict(inputs or {})
        options = OpenOptions(outputs=outputs)
        async with (
            sandbox.start(given, limits) as place,
            place.open(given, functions or {}, options, **more) as session,
        ):
            return [await session.execute(code) for code in codes]

    return asyncio.run(main())


def lost(execution: Execution) -> str:
    """Return in what words a session was lost: one sentence that says what is gone."""
    error = execution.error
    assert error is not None and error.kind == "lost", execution
    assert error.message.count(". ") == 0
    assert "all variables are gone, the inputs are there again" in error.message
    return error.message
