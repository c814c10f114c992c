"""`session`, `output`, `sharing` and `starts`: sandboxes without a run around them."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from bench.measure import Figure, interleaved, run_program
from rlm.errors import RLMError
from rlm.sandbox.base import CellLimits, OpenOptions, Place, Sandbox, Session
from rlm.sandbox.command import CommandSandbox
from rlm.sandbox.docker import DockerSandbox
from rlm.sandbox.process import ProcessSandbox

__all__ = ["measure_output", "measure_session", "measure_sharing", "measure_starts"]

_BARE = "a bare Python process (`-S -c pass`)"
_SIZES = {"a short input": (100, 4), "100 MB": (100_000_000, 4), "1 GB": (1_000_000_000, 12)}
_TOGETHER = 8
_ECHO = "import sys\nfor line in sys.stdin: exec(line); print(flush=True)"


def measure_session(quick: bool) -> list[Figure]:
    """Open sessions over inputs of three sizes, one by one and eight at once; run a cell of one."""
    found: list[Figure] = []
    for name, (size, target) in list(_SIZES.items())[: 2 if quick else 3]:
        text = "x" * size
        with _running(ProcessSandbox(), {"text": text}) as (place, run):
            took = interleaved(
                10 if quick else 30, {"ours": partial(_open_one, run, place, text), "bare": _bare}
            )
        found.append(
            Figure(
                "session", f"{name}: ready", "ms", took["ours"], _BARE, took["bare"], target=target
            )
        )
    return [*found, _together(quick), _round_trip(quick)]


def measure_output(quick: bool) -> list[Figure]:
    """Let a cell print 1 GB, 100 MB when quick."""
    size = 100_000_000 if quick else 1_000_000_000
    told = run_program("prints", str(size))
    name = f"a cell that prints {size // 1_000_000:,} MB"
    return [
        Figure("output", f"{name}: memory of the host", "MiB", (told["host"] / 1024,), target=50),
        Figure("output", f"{name}: time", "ms", (told["seconds"] * 1000,)),
    ]


def measure_sharing(quick: bool) -> list[Figure]:
    """Let eight sessions read all of a text, and count the memory and page tables of each."""
    size = 100_000_000 if quick else 1_000_000_000
    none = run_program("shares", "0", "none", str(_TOGETHER))["own"]
    found = []
    for kind, words in (("ascii", "ASCII"), ("wide", "two bytes a character")):
        told = run_program("shares", str(size), kind, str(_TOGETHER))
        found.append(
            Figure(
                "sharing",
                f"{size // 1_000_000:,} MB, {words}: added by {_TOGETHER} sessions that read it",
                "MiB",
                ((told["own"] - none) / 1024,),
                "the text itself",
                (told["input"] / 1024,),
                target=64,
            )
        )
    return found


def measure_starts(quick: bool) -> list[Figure]:
    """Start each kind of place until it is ready for sessions; docker where an engine is."""
    rounds = 3 if quick else 7
    command = CommandSandbox(["env"], python=sys.executable)
    found = [
        _start("process", ProcessSandbox(), rounds, None),
        _start("command, of this machine", command, rounds, None),
    ]
    try:
        found.append(_start("docker, cold", DockerSandbox(), rounds, 400))
        with DockerSandbox(pool=1) as pooled:
            found.append(_start("docker, from the pool", pooled, rounds, 20, pooled.warm))
    except RLMError as error:
        print(f"  no docker here: {error}", file=sys.stderr, flush=True)
    return found


def _start(
    name: str,
    sandbox: Sandbox,
    rounds: int,
    target: float | None,
    prepare: Callable[[], None] = lambda: None,
) -> Figure:
    def ours() -> float:
        prepare()
        return asyncio.run(_until_ready(sandbox))

    took = interleaved(rounds, {"ours": ours, "bare": _bare})
    return Figure(
        "starts", f"{name}: ready", "ms", took["ours"], _BARE, took["bare"], target=target
    )


async def _until_ready(sandbox: Sandbox) -> float:
    began = time.perf_counter()
    async with sandbox.start({"text": "x"}, CellLimits()):
        return (time.perf_counter() - began) * 1000


def _together(quick: bool) -> Figure:
    with _running(ProcessSandbox(), {"text": "x"}) as (place, run):
        took = interleaved(
            5 if quick else 15,
            {"ours": lambda: run(_all_opened(place)), "bare": _bare_together},
        )
    bare = f"{_TOGETHER} bare Python processes at once"
    return Figure(
        "session", f"{_TOGETHER} at once: all ready", "ms", took["ours"], bare, took["bare"]
    )


def _round_trip(quick: bool) -> Figure:
    """Run the smallest cell again and again; a bare process does the same over pipes."""
    with (
        _running(ProcessSandbox(), {}) as (place, run),
        contextlib.ExitStack() as stack,
    ):
        session: Any = run(_entered(place.open({}, {}, OpenOptions()), stack, run))
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-S", "-c", _ECHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        )
        took = interleaved(
            7 if quick else 21,
            {"ours": lambda: run(_cells(session)), "bare": lambda: _echoes(process)},
        )
        process.communicate()
    return Figure(
        "session",
        "round trip of a cell",
        "ms",
        took["ours"],
        "a line to a bare Python process, and back",
        took["bare"],
        target=0.2,
    )


Run = Callable[[Awaitable[Any]], Any]


@contextlib.contextmanager
def _running(sandbox: Sandbox, inputs: dict[str, Any]) -> Iterator[tuple[Place, Run]]:
    """Have a place, and a way to await what is done with it."""
    with asyncio.Runner() as runner, contextlib.ExitStack() as stack:

        def run(awaitable: Awaitable[Any]) -> Any:
            async def awaiting() -> Any:
                return await awaitable

            return runner.run(awaiting())

        place = run(_entered(sandbox.start(inputs, CellLimits()), stack, run))
        yield place, run


async def _entered(
    manager: AbstractAsyncContextManager[Any], stack: contextlib.ExitStack, run: Run
) -> Any:
    entered = await manager.__aenter__()
    stack.callback(lambda: run(manager.__aexit__(None, None, None)))
    return entered


def _open_one(run: Run, place: Place, text: str) -> float:
    milliseconds: float = run(_opened(place, text))
    return milliseconds


async def _opened(place: Place, text: str) -> float:
    began = time.perf_counter()
    async with place.open({"text": text}, {}, OpenOptions()):
        return (time.perf_counter() - began) * 1000


async def _all_opened(place: Place) -> float:
    began = time.perf_counter()
    async with contextlib.AsyncExitStack() as stack:
        opening = [
            stack.enter_async_context(place.open({}, {}, OpenOptions())) for _ in range(_TOGETHER)
        ]
        await asyncio.gather(*opening)
        return (time.perf_counter() - began) * 1000


async def _cells(session: Session) -> float:
    began = time.perf_counter()
    for _ in range(100):
        await session.execute("1")
    return (time.perf_counter() - began) / 100 * 1000


def _echoes(process: subprocess.Popen[bytes]) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    began = time.perf_counter()
    for _ in range(100):
        process.stdin.write(b"1\n")
        process.stdin.flush()
        process.stdout.readline()
    return (time.perf_counter() - began) / 100 * 1000


def _bare() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-S", "-c", "pass"], check=True)
    return (time.perf_counter() - began) * 1000


def _bare_together() -> float:
    began = time.perf_counter()
    processes = [subprocess.Popen([sys.executable, "-S", "-c", "pass"]) for _ in range(_TOGETHER)]
    for process in processes:
        process.wait()
    return (time.perf_counter() - began) * 1000
