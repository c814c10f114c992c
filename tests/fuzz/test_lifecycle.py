"""The life of a place raced: sessions opened, used, cancelled, killed and closed in any order."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import tempfile
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from soak.leftovers import Held, held, kin, marked
from soak.sizes import times

from fuzz.watchdog import watched
from rlm.errors import SandboxError
from rlm.sandbox.base import CellLimits, Execution, OpenOptions, Place, Session
from rlm.sandbox.process import ProcessSandbox

LIMITS = CellLimits(seconds=0.3, memory_mb=64, output_bytes=4000)
CELLS = (
    "1 + 1",
    "while True: pass",
    "wait()",
    "import os; os._exit(3)",
    "import os; os.kill(os.getpid(), 9)",
    "print('x' * 100_000)",
    "import threading, time; threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
)
MARK = os.getpid() % 2**32


class One:
    """A session of the machine: what enters and leaves it, and the one thing it is doing."""

    def __init__(self, context: AbstractAsyncContextManager[Session]) -> None:
        self.context = context
        self.session: Session | None = None
        self.doing: asyncio.Task[Any] | None = None
        self.entered = False
        self.left = False

    @property
    def busy(self) -> bool:
        """Whether something of it is under way."""
        return self.doing is not None and not self.doing.done()


class Races(RuleBasedStateMachine):
    """One place; rules begin things, and let time pass, so that they meet in every order."""

    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.before: Held = held(self.folder)
        self.loop = asyncio.new_event_loop()
        self.told: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.told.append(context))
        sandbox = ProcessSandbox(hash_seed=MARK, processes=1)
        self.context = sandbox.start({"book": "a line\n" * 100}, LIMITS)
        self.place: Place = self.run(self.context.__aenter__())
        self.ones: list[One] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.closed = False

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do something to its end."""
        with watched(60):
            return self.loop.run_until_complete(work)

    def begin(self, one: One, work: Coroutine[Any, Any, Any]) -> None:
        """Begin something, and let it get as far as its first wait."""
        one.doing = self.loop.create_task(work)
        self.tasks.append(one.doing)
        self.run(asyncio.sleep(0))

    def free(self) -> list[One]:
        """Return the sessions that do nothing now."""
        return [one for one in self.ones if one.entered and not one.left and not one.busy]

    def one_of(self, ones: list[One], which: int) -> One | None:
        """Choose a session. No rule asks beforehand for what time decides."""
        return ones[which % len(ones)] if ones else None

    @rule(seed=st.integers(0, 9), large=st.booleans())
    def open(self, seed: int, large: bool) -> None:
        variables = {"n": seed, "text": "x" * (300_000 if large else 3)}
        functions = {"wait": lambda: asyncio.sleep(0.2)}
        one = One(self.place.open(variables, functions, OpenOptions(seed=seed)))
        self.ones.append(one)
        self.begin(one, self._enter(one))

    async def _enter(self, one: One) -> None:
        one.session = await one.context.__aenter__()
        one.entered = True

    @rule(code=st.sampled_from(CELLS), which=st.integers(0, 99))
    def execute(self, code: str, which: int) -> None:
        one = self.one_of(self.free(), which)
        if one is not None and one.session is not None:
            self.begin(one, one.session.execute(code))

    @rule(which=st.integers(0, 99))
    def cancel(self, which: int) -> None:
        one = self.one_of([one for one in self.ones if one.busy and not one.left], which)
        if one is not None and one.doing is not None:
            one.doing.cancel()

    @rule(which=st.integers(0, 99))
    def leave(self, which: int) -> None:
        one = self.one_of(self.free(), which)
        if one is not None:
            one.left = True
            self.begin(one, self._leave(one))

    async def _leave(self, one: One) -> None:
        await one.context.__aexit__(None, None, None)

    @rule(milliseconds=st.sampled_from([0, 1, 3, 10]))
    def let_time_pass(self, milliseconds: int) -> None:
        self.run(asyncio.sleep(milliseconds / 1000))

    @rule(which=st.integers(0, 99))
    def kill(self, which: int) -> None:
        victims = sorted(kin(os.getpid()) - self.before.processes)
        if victims:
            with suppress(ProcessLookupError):
                os.kill(victims[which % len(victims)], signal.SIGKILL)

    @rule()
    def wait_for_all(self) -> None:
        self.run(self._settled())

    async def _settled(self) -> None:
        if self.tasks:
            await asyncio.wait(self.tasks)

    @rule()
    def close_the_place(self) -> None:
        if not self.closed:
            self.closed = True
            self.run(self._close())

    async def _close(self) -> None:
        await self.context.__aexit__(None, None, None)

    def teardown(self) -> None:
        try:
            self.run(self._end())
        finally:
            self.loop.close()
        gc.collect()
        assert not self.told, self.told[0]
        assert held(self.folder) == self.before
        assert not marked(MARK)

    async def _end(self) -> None:
        await self._settled()
        for one in self.ones:
            if one.entered and not one.left:
                await one.context.__aexit__(None, None, None)
        if not self.closed:
            await self._close()
        for task in self.tasks:
            if task.cancelled():
                continue
            error = task.exception()
            assert error is None or isinstance(error, SandboxError), error
            assert error is not None or task.result() is None or _right(task.result())
        self.tasks.clear()
        await asyncio.get_running_loop().shutdown_default_executor()


def _right(done: Any) -> bool:
    assert type(done) is Execution
    return done.error is not None or done.value in (None, "2")


def raced(folder: Path, monkeypatch: pytest.MonkeyPatch, examples: int, steps: int) -> None:
    """Let so many machines take their steps."""
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    Races.folder = folder
    asyncio.run(asyncio.sleep(0))  # what is made once is made
    run_state_machine_as_test(
        Races,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # what time decides does not become smaller
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_place_leaves_nothing_whatever_happens_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raced(tmp_path, monkeypatch, examples=3, steps=12)


@pytest.mark.soak
def test_hundreds_of_places_leave_nothing_whatever_happens_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raced(tmp_path, monkeypatch, examples=times(150), steps=40)
