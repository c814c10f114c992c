"""What a cell says by frames of its own cannot stop the clock, nor what is made of its end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fuzz.host import Host
from fuzz.test_found import WIRE
from fuzz.watchdog import watched
from rlm.guest.wire import pack
from rlm.sandbox.base import CellLimits, Execution, OpenOptions
from rlm.sandbox.process import ProcessSandbox


def test_the_clock_runs_while_an_answer_waits_to_be_read() -> None:
    async def function() -> str:
        return "x" * 100_000

    code = (
        f"{WIRE}\nfor number in range(300, 600):\n"
        "    send(t='call', id=number, name='function', args=[], kwargs={})\nwhile True: pass"
    )

    async def main() -> Execution:
        limits = CellLimits(seconds=1, memory_mb=256)
        async with (
            ProcessSandbox().start({}, limits) as place,
            place.open({}, {"function": function}, OpenOptions()) as session,
        ):
            return await session.execute(code)

    with watched(30):
        done = asyncio.run(main())
    assert done.error is not None
    assert done.error.kind in ("timeout", "lost")


@pytest.mark.parametrize("count", [-1, 1 << 70, 10**4299, 10**4300 - 1, True, 1.5, "7"])
@pytest.mark.parametrize("field", ["stdout_chars", "stderr_chars"])
def test_a_count_of_things_that_cannot_be_ends_the_session(field: str, count: Any) -> None:
    done: dict[str, Any] = {"t": "done", "n": 1, "stdout": "", "stderr": "", "value": None}
    done |= {"stdout_chars": 0, "stderr_chars": 0, "error": None, "variables": [], "files": []}
    done[field] = count

    async def main() -> None:
        async with Host() as host:
            end = await host.attack("running", pack(done))
            assert end is not None
            assert end.error is not None
            assert end.error.kind == "lost"

    asyncio.run(main())
