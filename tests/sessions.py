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

__all__ = ["GUESTS", "LIMITS", "cells", "every_end", "every_guest", "lost"]

LIMITS = CellLimits(seconds=20, memory_mb=512)

GUESTS: Mapping[str, Callable[[], Sandbox]] = {
    "process": ProcessSandbox,
    "docker": DockerSandbox,
    "command": lambda: CommandSandbox(["env"], python=sys.executable),
}


def _guests(at_once: set[str]) -> pytest.MarkDecorator:
    marks = {"docker": [pytest.mark.docker]}
    later = {kind: [] if kind in at_once else [pytest.mark.soak] for kind in GUESTS}
    kinds = [pytest.param(kind, marks=marks.get(kind, []) + later[kind]) for kind in GUESTS]
    return pytest.mark.parametrize("kind", kinds)


every_guest = _guests({"process"})
"""Runs a test with `kind` in every sandbox whose sessions are guests; but one in the long run."""

every_end = _guests({"process", "docker"})
"""The same for what ends a session, which containers do their own way."""


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
