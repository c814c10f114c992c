"""A cell that prints SIZE bytes: how long it takes, and the memory that this process needs."""

import asyncio
import json
import sys
import time
from pathlib import Path

from rlm.sandbox.base import CellLimits, OpenOptions
from rlm.sandbox.process import ProcessSandbox

_LINE = 10_000


async def main(size: int) -> None:
    cell = f"for _ in range({size // _LINE}): print('x' * {_LINE - 1})"
    async with (
        ProcessSandbox().start({}, CellLimits()) as place,
        place.open({}, {}, OpenOptions(), lambda stream, text: None) as session,
    ):
        await session.execute("print('once')")
        before, began = _from_here(), time.perf_counter()
        execution = await session.execute(cell)
        took = time.perf_counter() - began
    assert execution.stdout_chars == size, (execution.stdout_chars, execution.error)
    print(json.dumps({"host": _resident("VmHWM") - before, "seconds": took}))


def _from_here() -> int:
    """Let the peak begin again, and return what is resident now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return _resident("VmRSS")


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


asyncio.run(main(int(sys.argv[1])))
