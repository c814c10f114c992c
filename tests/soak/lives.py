"""Lives of sessions, and how they end: everything that a host or a cell can do to one."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from rlm.errors import SandboxError
from rlm.sandbox.base import CellLimits, Execution, OpenOptions, Place, Sandbox, Session

__all__ = ["ENDS", "LIMITS", "Lives", "Victims", "live_together"]

Victims = Callable[[], set[int]]
"""Finds the processes that may be killed from outside."""

LIMITS = CellLimits(seconds=0.5, memory_mb=64, output_bytes=4000)

_JUNK = """
import os, random
draw = random.Random({seed})
for _ in range(3):
    for fd in range(1, 256):
        try:
            os.set_blocking(fd, False)
            os.write(fd, draw.randbytes(draw.randint(1, 4000)))
        except OSError:
            pass
"""
_GREEDY = "kept = []\nwhile True: kept.append(bytearray(1 << 22))"
_LEFT = """
import threading, time
for _ in range(3): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
open('left behind', 'w').write('x' * 10000)
"""
_CHILDREN = """
import os, time
try:
    for _ in range(2):
        if os.fork() == 0:
            os.setsid()
            time.sleep(60)
except OSError: pass
"""


class Lives:
    """Sessions of one place, each drawn from a seed; `ends` counts how cells ended.

    Any session may be lost at any time, as one of them kills processes from outside. What holds
    is that `execute` returns an Execution, right or lost, or raises SandboxError when there is no
    new session to be had.
    """

    def __init__(self, place: Place, draw: random.Random, victims: Victims) -> None:
        self._place = place
        self._draw = draw
        self._victims = victims
        self.ends: Counter[str] = Counter()

    async def live(self, number: int) -> None:
        """Live one life, of the end that is drawn for it."""
        end = self._draw.choice(ENDS)
        functions = {"wait": self._wait, "echo": self._echo}
        variables = {"n": number, "text": "é" * self._draw.choice((10, 100_000))}
        work = self._life(end, number, variables, functions)
        with suppress(SandboxError):  # the zygote was killed while it began
            if end is not _cancel_open:
                await work
                return
            task = asyncio.ensure_future(work)
            await asyncio.sleep(self._draw.random() * 0.006)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _life(self, end: End, number: int, variables: Any, functions: Any) -> None:
        async with self._place.open(variables, functions, OpenOptions(seed=number)) as session:
            self._judge(await session.execute("echo(n * 2)"), str(number * 2))
            await end(self, session)

    def _judge(self, done: Execution, value: str | None = None) -> None:
        assert type(done) is Execution
        if done.error is None and value is not None:
            assert done.value == value, done
        if value is not None and done.error is not None:
            assert done.error.kind in ("lost", "timeout"), done
        self.ends["ok" if done.error is None else done.error.kind] += 1

    async def _wait(self) -> None:
        await asyncio.sleep(60)

    async def _echo(self, value: Any) -> Any:
        return value

    async def run(self, session: Session, code: str) -> None:
        """Run a cell that may end in any way."""
        self._judge(await session.execute(code))

    async def cancel(self, session: Session, code: str) -> None:
        """Cancel a cell at a random moment."""
        cell = asyncio.ensure_future(session.execute(code))
        await asyncio.sleep(self._draw.random() * 0.01)
        cell.cancel()
        await asyncio.gather(cell, return_exceptions=True)

    async def kill(self, session: Session) -> None:
        """Kill any process of any session, or a zygote, while a cell runs."""
        cell = asyncio.ensure_future(session.execute("import time; time.sleep(0.02)"))
        await asyncio.sleep(self._draw.random() * 0.01)
        with suppress(ProcessLookupError, IndexError):
            os.kill(self._draw.choice(sorted(self._victims())), signal.SIGKILL)
        self._judge(await cell)

    def number(self) -> int:
        """Return a number for what a cell does."""
        return self._draw.randint(1, 10**6)


End = Callable[[Lives, Session], Awaitable[None]]


async def _close(lives: Lives, session: Session) -> None:
    await lives.run(session, "text[:3], n")


async def _cancel_open(lives: Lives, session: Session) -> None:
    await lives.run(session, "1")


async def _cancel_cell(lives: Lives, session: Session) -> None:
    await lives.cancel(session, "while True: pass")


async def _cancel_answer(lives: Lives, session: Session) -> None:
    await lives.cancel(session, "wait()")


async def _cancel_and_go_on(lives: Lives, session: Session) -> None:
    await lives.cancel(session, "while True: pass")
    await lives.run(session, "n + 1")


async def _leave_while_it_runs(lives: Lives, session: Session) -> None:
    task = asyncio.ensure_future(session.execute("while True: pass"))
    await asyncio.sleep(0.002)
    task.cancel()
    await asyncio.wait([task])


async def _exit(lives: Lives, session: Session) -> None:
    await lives.run(session, f"import os; os._exit({lives.number() % 200})")
    await lives.run(session, "n")


async def _killed_by_itself(lives: Lives, session: Session) -> None:
    await lives.run(session, "import os; os.kill(os.getpid(), 9)")


async def _segfault(lives: Lives, session: Session) -> None:
    await lives.run(session, "import ctypes; ctypes.string_at(0)")


async def _killed_from_outside(lives: Lives, session: Session) -> None:
    await lives.kill(session)


async def _memory(lives: Lives, session: Session) -> None:
    await lives.run(session, _GREEDY)


async def _time_out(lives: Lives, session: Session) -> None:
    if lives.number() % 4 == 0:
        await lives.run(session, "while True: pass")


async def _junk(lives: Lives, session: Session) -> None:
    await lives.run(session, _JUNK.format(seed=lives.number()))
    await lives.run(session, "n")


async def _left(lives: Lives, session: Session) -> None:
    await lives.run(session, _LEFT)


async def _children(lives: Lives, session: Session) -> None:
    await lives.run(session, _CHILDREN)


ENDS: tuple[End, ...] = (
    _close, _cancel_open, _cancel_cell, _cancel_answer, _cancel_and_go_on, _leave_while_it_runs,
    _exit, _killed_by_itself, _segfault, _killed_from_outside, _memory, _time_out, _junk, _left,
    _children,
)  # fmt: skip


async def live_together(sandbox: Sandbox, seed: int, count: int, victims: Victims) -> Counter[str]:
    """Let so many sessions of one place live, up to 16 at a time; return how cells ended."""
    draw = random.Random(seed)
    inputs = {"book": "a line\n" * draw.choice((1, 20_000)), "numbers": list(range(100))}
    lives = None
    with suppress(SandboxError):  # a zygote was killed that had just begun
        async with sandbox.start(inputs, LIMITS) as place:
            lives = Lives(place, draw, victims)
            slots = asyncio.Semaphore(draw.randint(1, 16))

            async def one(number: int) -> None:
                async with slots:
                    await lives.live(number)

            await asyncio.gather(*(one(number) for number in range(count)))
    return Counter() if lives is None else lives.ends
