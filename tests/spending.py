"""What a value costs in memory, here and in a guest, measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

__all__ = ["measured"]

_MEASURED = """
import asyncio, json, sys, tempfile
from pathlib import Path
import rlm
from rlm.sandbox.base import CellLimits, OpenOptions
from rlm.sandbox.process import ProcessSandbox

def field(name, pid="self"):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

CELL = '''
fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(len(v), int(fields["RssAnon"].split()[0]) * 1024, int(fields["VmHWM"].split()[0]) * 1024)
'''

async def spent(inputs, variables, cells):
    Path("/proc/self/clear_refs").write_text("5")
    before, told = field("VmRSS"), []
    async with ProcessSandbox().start(inputs, CellLimits()) as place:
        for _ in range(cells):
            async with place.open(variables, {}, OpenOptions()) as session:
                done = await session.execute(CELL)
                assert done.error is None, done.error
                told.append(list(map(int, done.stdout.split())))
    return {"host": field("VmHWM") - before, "cells": told}

async def main():
    await spent({}, {"v": "x"}, 1)  # imports what the first time needs
    nothing = await spent({}, {"v": "x"}, 1)
    made = VALUE
    inputs = {"v": made} if INPUT else {}
    print(json.dumps({"nothing": nothing, "value": await spent(inputs, {"v": made}, 2)}))

asyncio.run(main())
"""


def measured(value: str, is_input: bool) -> dict[str, int]:
    """Return the bytes that a value takes here and in a guest, beyond those of a tiny one."""
    code = _MEASURED.replace("VALUE", value).replace("INPUT", str(is_input))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    _, own, peak = told["nothing"]["cells"][0]
    return {
        "length": told["value"]["cells"][0][0],
        "host": told["value"]["host"],
        "own": max(cell[1] for cell in told["value"]["cells"]) - own,
        "peak": max(cell[2] for cell in told["value"]["cells"]) - peak,
    }
