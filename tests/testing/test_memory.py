"""The sandbox in memory: cells and functions as anywhere, without a process."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import pytest

from rlm import testing
from rlm.errors import ConfigurationError
from rlm.sandbox.base import CellLimits, Execution, OpenOptions, Place
from rlm.testing import InMemorySandbox

LIMITS = CellLimits(seconds=10)


async def _cells(place: Place, *codes: str, **functions: Any) -> list[Execution]:
    async with place.open({"x": [1]}, functions, OpenOptions(outputs=("answer",))) as session:
        return [await session.execute(code) for code in codes]


def run(sandbox: InMemorySandbox, *codes: str, **functions: Any) -> list[Execution]:
    async def main() -> list[Execution]:
        async with sandbox.start({}, LIMITS) as place:
            return await _cells(place, *codes, **functions)

    return asyncio.run(main())


def test_rb42_cells_run_without_a_process_and_call_the_bridge() -> None:
    taken: list[Any] = []

    async def look(page: int) -> str:
        return f"page {page}"

    async def submit(**outputs: Any) -> None:
        taken.append(outputs)

    first, second = run(
        InMemorySandbox(),
        "import os\npid = os.getpid()\nx.append(2)\nprint(look(3))",
        "submit(answer=pid)\nprint('ran on')",
        look=look,
        submit=submit,
    )
    assert (first.stdout, [one.name for one in first.variables]) == ("page 3\n", ["x", "pid"])
    assert (taken, second.stdout, second.ok) == ([{"answer": os.getpid()}], "", True)


def test_rb42_scripted_executions_answer_the_cells_in_turn() -> None:
    script = [Execution(stdout="one\n"), Execution(value="2")]
    sandbox = InMemorySandbox(executions=script)
    assert run(sandbox, "anything", "at all") == script
    assert sandbox.cells == ["anything", "at all"]
    with pytest.raises(ConfigurationError, match="cell 3 has no execution: the script has 2"):
        run(sandbox, "more")


def test_rb42_it_says_what_it_confines() -> None:
    async def main() -> Any:
        async with InMemorySandbox().start({}, LIMITS) as place:
            return place.facts

    assert asyncio.run(main()) == {
        "sandbox": "memory",
        "missing": ["any confinement: this is for tests"],
    }
    assert "no confinement at all" in (InMemorySandbox.__doc__ or "")
    assert "InMemorySandbox" in testing.__all__


def test_the_process_keeps_its_streams_its_main_module_and_its_random() -> None:
    import random

    before = (sys.stdout, sys.modules["__main__"], random.getstate())
    [done] = run(
        InMemorySandbox(),
        "import random, sys\nrandom.seed(1)\nsys.stdout.write('in')\nsys.stdout = None",
    )
    assert (done.stdout, done.error) == ("in", None)
    assert (sys.stdout, sys.modules["__main__"], random.getstate()) == before


def test_what_cannot_enter_a_sandbox_is_refused_at_the_start() -> None:
    async def main() -> None:
        async with InMemorySandbox().start({"odd": object()}, LIMITS):
            raise AssertionError("it started")

    with pytest.raises(ConfigurationError, match="input 'odd'"):
        asyncio.run(main())
