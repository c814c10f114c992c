from __future__ import annotations

import asyncio
import contextvars
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import rlm
from rlm._sync import run_sync


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


async def failing() -> int:
    await asyncio.sleep(0)
    raise KeyError("gone")


def under_a_loop(work: Any) -> Any:
    async def main() -> Any:
        return run_sync(work)

    return asyncio.run(main())


@pytest.mark.parametrize("where", [run_sync, under_a_loop])
def test_a_coroutine_is_run_to_its_end(where: Any) -> None:
    assert where(answer()) == 42


@pytest.mark.parametrize("where", [run_sync, under_a_loop])
def test_what_it_raises_is_raised_and_nothing_beside_it(where: Any) -> None:
    with pytest.raises(KeyError, match="gone") as caught:
        where(failing())
    assert caught.value.__context__ is None


def test_from_many_threads_at_once() -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(run_sync(answer()))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [42] * 20


def test_context_variables_are_seen() -> None:
    user = contextvars.ContextVar[str]("user")

    async def who() -> str:
        return user.get()

    user.set("Ada")
    assert run_sync(who()) == under_a_loop(who()) == "Ada"


def test_no_thread_is_left() -> None:
    before = threading.active_count()
    under_a_loop(answer())
    assert threading.active_count() == before


_NOTEBOOK = """
import asyncio, sys, rlm
from rlm.testing import ScriptedLM
lm = ScriptedLM(["```repl\\nprint('ready')\\nimport time\\ntime.sleep(3600)\\n```"])
def show(item):
    if getattr(item, "kind", "") == "stdout":
        print("running", flush=True)
async def cell():
    rlm.predict("-> answer", model=lm, log_dir=sys.argv[1], on_event=show)
loop = asyncio.new_event_loop()
try:
    loop.run_until_complete(cell())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_under_a_running_loop_ends_the_run_as_well(tmp_path: Path) -> None:
    program = [sys.executable, "-W", "ignore", "-c", _NOTEBOOK, str(tmp_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "running\n"
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=20)[0] == "interrupted\n"
    (log,) = tmp_path.glob("*.jsonl")
    result = rlm.Result[Any](rlm.Trace.read(log))
    assert (result.status, result.ended_by) == ("aborted", "cancelled")
