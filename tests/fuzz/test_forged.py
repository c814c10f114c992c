"""Cells that write forged frames to the wire of a real session; and runs that outlive them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from lawful import checked
from soak.sizes import times

import rlm
from fuzz.grammar import junk, said_by_session, stream
from fuzz.source import Seeded
from fuzz.watchdog import watched
from rlm.guest.wire import pack
from rlm.lm.function import FunctionLM
from rlm.sandbox.base import CellLimits, Execution, OpenOptions, Sandbox
from rlm.sandbox.process import ProcessSandbox
from rlm.testing import ScriptedLM

LIMITS = CellLimits(seconds=10, memory_mb=256, output_bytes=2000)

WRITE = """
import os, stat
for fd in range(3, 256):
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.set_blocking(fd, False)
            os.write(fd, frames[{number}])
            os.set_blocking(fd, True)
    except OSError:
        pass
{number}
"""
"""Writes to whatever descriptor there is: one of them is the wire."""


class Functions:
    """Functions of the host, by name, that count how often they were called."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def table(self) -> Mapping[str, Any]:
        return {"echo": self.echo, "broken": self.broken, "large": self.large}

    async def echo(self, *args: Any, **kwargs: Any) -> Any:
        self.calls["echo"] += 1
        return [list(args), kwargs]

    async def broken(self, *args: Any, **kwargs: Any) -> Any:
        self.calls["broken"] += 1
        raise KeyError("broken")

    async def large(self, *args: Any, **kwargs: Any) -> Any:
        self.calls["large"] += 1
        return "x" * 100_000


def forged(count: int, seed: int) -> list[bytes]:
    """Return what so many cells write: a few frames each."""
    source = Seeded(seed)
    made = []
    for _ in range(count):
        messages = [said_by_session(source) for _ in range(1 + source.below(4))]
        made.append(b"".join(stream(source, messages)))
    return made


async def attacked(sandbox: Sandbox, count: int, seed: int) -> Counter[str]:
    """Let cell after cell forge frames; return how those ended. A bystander runs on throughout."""
    frames, functions, ends = forged(count, seed), Functions(), Counter[str]()
    async with (
        sandbox.start({"frames": frames}, LIMITS) as place,
        place.open({"mine": 7}, {}, OpenOptions()) as bystander,
        place.open({"frames": frames}, functions.table(), OpenOptions()) as session,
    ):
        for number in range(count):
            try:
                with watched(60):
                    done = await session.execute(WRITE.format(number=number))
                    after = await session.execute("[1 + 1, len(frames)]")
                    if after.error is not None:  # the end of what the cell before it began
                        assert after.error.kind == "lost", after
                        after = await session.execute("[1 + 1, len(frames)]")
                assert type(done) is Execution
                assert after.value == f"[2, {count}]"
                ends["ok" if done.error is None else done.error.kind] += 1
            except BaseException as error:
                error.add_note(f"the frames were number {number} of forged({count}, {seed})")
                raise
        assert (await bystander.execute("mine")).value == "7"
    return ends


def test_cells_that_forge_frames_get_a_fresh_session() -> None:
    ends = asyncio.run(attacked(ProcessSandbox(), 10, seed=1))
    assert ends["lost"] > 2, "no cell has found the wire"


@pytest.mark.soak
@pytest.mark.parametrize("seed", [2, 3])
def test_thousands_of_cells_that_forge_frames(seed: int) -> None:
    ends = asyncio.run(attacked(ProcessSandbox(), times(1500), seed))
    print(dict(ends))
    assert ends["lost"] > times(1500) // 5, "no cell has found the wire"


def lies(seed: int) -> bytes:
    """Return the end of a cell that says whatever it can without ending its session."""
    source = Seeded(seed)
    texts = ("\ud800", "\x1b]0;x\x07", "\x00", "\u202e", "</script>", "```", "x" * 3000, "")
    text = texts[source.below(len(texts))]
    done: dict[str, Any] = {"t": "done", "n": 1, "stdout": text, "stderr": text, "value": text}
    done |= {"stdout_chars": 10 ** source.below(300), "stderr_chars": 0}
    done["variables"] = [[text, text, 10 ** source.below(300), text]]
    done["files"] = ["place:#0", text]
    done["error"] = None
    if source.below(2):
        texts_of = dict.fromkeys(("type", "message", "source", "traceback"), text)
        done["error"] = {**texts_of, "line": 10 ** source.below(300), "kind": "error"}
    call = {"t": "call", "id": 1, "name": "llm_query", "args": [junk(source)], "kwargs": {}}
    call["kwargs"] = {text: junk(source)}
    return b"".join([*(pack(call) if source.below(2) else ()), *pack(done)])


def outlived(seed: int, folder: Path) -> None:
    """Carry out a run whose first cell lies, and hold it to the laws."""
    cell = f"frames = [{lies(seed)!r}]\n{WRITE.format(number=0)}"
    lm = ScriptedLM([f"```repl\n{cell}\n```", "```final\n5\n```"])
    others = FunctionLM(lambda request: "a reply")
    with watched(60):
        result = checked(
            rlm.predict(
                "context -> answer: int",
                input={"context": "c"},
                model=lm,
                sub_model=others,
                log_dir=folder / "logs",
            )
        )
    assert result.value == 5, result.status


@pytest.mark.parametrize("seed", range(3))
def test_a_run_outlives_the_lies_of_a_cell(seed: int, tmp_path: Path) -> None:
    outlived(seed, tmp_path)


@pytest.mark.soak
def test_many_runs_outlive_the_lies_of_their_cells(tmp_path: Path) -> None:
    for seed in random.Random(1).sample(range(10**6), times(300)):
        try:
            outlived(seed, tmp_path)
        except BaseException as error:
            error.add_note(f"the lies were those of seed {seed}")
            raise
