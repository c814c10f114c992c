"""LESSONS 27-29, 33 and 35: the sandbox, seen from whole runs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from lawful import checked
from parts import Ask, cell

import rlm
from rlm import events
from rlm.testing import ScriptedLM


def executed(result: rlm.Result[Any]) -> list[events.CodeExecuted]:
    return result.trace.of(events.CodeExecuted)


def test_lesson_27_a_time_out_interrupts_and_the_state_survives(complete: Ask) -> None:
    replies = [cell("kept = 'alive'\nprint('begun')\nwhile True: pass"), cell("submit(kept)")]
    with ScriptedLM(replies) as lm:
        result = complete("Go", model=lm, limits={"cell_seconds": 0.4})
    assert result.value == "alive"
    first = executed(result)[0]
    assert first.error is not None and first.error.details["kind"] == "timeout"
    assert first.error.details["line"] == 3 and "begun" in first.stdout
    assert "begun" in lm.requests[1].prompt


def test_lesson_27_what_will_not_stop_is_killed_and_nothing_is_left(complete: Ask) -> None:
    deaf = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True: pass
"""
    with ScriptedLM([cell(deaf), cell("submit('went on')")]) as lm:
        result = complete("Go", model=lm, limits={"cell_seconds": 0.3})
    assert result.value == "went on"
    (lost,) = result.trace.of(events.SessionLost)
    assert lost.reason in lm.requests[1].prompt
    assert children_of_this_process() == []


def children_of_this_process() -> list[int]:
    """Return the processes that this one has started and that still are there."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(entry.name))
    return found


def test_lesson_28_the_clock_of_a_cell_stands_still_while_the_host_answers(complete: Ask) -> None:
    code = "a = llm_query('one')\nb = llm_query('two')\nsubmit(a + b)"
    root = ScriptedLM([cell(code)])
    slow = ScriptedLM(["a", "b"], delay=0.6)
    result = complete("Go", model=root, sub_model=slow, limits={"cell_seconds": 0.5})
    assert result.value == "ab"
    assert executed(result)[0].seconds < 0.5 < result.seconds


@pytest.mark.parametrize(
    "code",
    [
        "exit()",
        "import os; os._exit(3)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "def f(): f()\nf()",
        "import sys; sys.setrecursionlimit(10**9)\ndef f(x): return list(map(f, [x]))\nf(1)",
        "import ctypes; ctypes.string_at(0)",
        "x = 'a' * (8 << 30)",
        "import os; os.close(0); os.close(1); os.close(2)",
    ],
    ids=["exit", "_exit", "kill", "recursion", "overflow", "segfault", "memory", "close"],
)
def test_lesson_29_nothing_in_a_cell_ends_the_host(complete: Ask, code: str) -> None:
    with ScriptedLM([cell(code), cell("submit(context)")]) as lm:
        result = complete("Go", context="alive", model=lm, limits={"memory_mb": 256})
    assert result.value == "alive"


def test_lesson_29_keys_are_not_in_reach_of_a_cell(
    complete: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "sk-verysecret-0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", secret)
    monkeypatch.setenv("HARMLESS", "plain-value-in-sight")
    code = """
import glob, os
seen = repr(dict(os.environ))
for path in glob.glob("/proc/*/environ"):
    try:
        seen += open(path, "rb").read().decode("latin-1")
    except OSError:
        pass
submit("plain-value-in-sight" in seen or "verysecret" in seen)
"""
    with ScriptedLM([cell(code)]) as lm:
        result = complete("Go", model=lm)
    assert result.value == "False"


def test_lesson_33_a_cell_may_be_longer_than_128_kb(complete: Ask) -> None:
    code = f"text = {'é' * 300_000!r}\nsubmit(str(len(text)))"
    with ScriptedLM([cell(code)]) as lm:
        assert complete("Go", model=lm).value == "300000"


def test_lesson_33_binary_files_are_data(predict: Ask, tmp_path: Path) -> None:
    content = bytes(range(256)) * 1_000 + b"\xff\xfe\x00 needle \x80"
    path = tmp_path / "blob.bin"
    path.write_bytes(content)
    code = "submit(size=len(data.bytes), found='needle' in data.text, raw_size=len(raw))"
    with ScriptedLM([cell(code)]) as lm:
        result = predict(
            "data: File, raw: bytes -> size: int, found: bool, raw_size: int",
            input={"data": rlm.File(path), "raw": content},
            model=lm,
        )
    assert result.output == {"size": len(content), "found": True, "raw_size": len(content)}


def test_lesson_33_output_that_is_cut_does_not_end_the_run(complete: Ask) -> None:
    loud = "print('x' * 3_000_000)\nprint('the end')"
    with ScriptedLM([cell(loud), cell("submit('quiet')")]) as lm:
        result = complete("Go", model=lm, limits={"max_stdout_bytes": 10_000})
    assert result.value == "quiet"
    assert executed(result)[0].stdout_chars == 3_000_009
    assert len(executed(result)[0].stdout) < 20_000
    assert "the end" in lm.requests[1].prompt and "3,000,008" in lm.requests[1].prompt
    assert len(lm.requests[1].prompt) < 30_000


def test_lesson_33_undecodable_output_does_not_end_the_run(complete: Ask) -> None:
    code = r"import os, sys; os.write(1, b'\xff\xfe raw'); print('\ud800 lone')"
    with ScriptedLM([cell(code), cell("submit('fine')")]) as lm:
        result = complete("Go", model=lm)
    assert result.value == "fine" and "raw" in lm.requests[1].prompt


def test_lesson_35_nothing_blocks_the_loop_while_a_cell_runs(tmp_path: Path) -> None:
    """While one cell computes, this loop goes on: it is what sees the cell's limit, too."""
    ticks: list[int] = []

    async def main() -> rlm.Result[Any]:
        running = asyncio.Event()

        def watch(event: Any) -> None:
            if isinstance(event, events.CellStarted):
                running.set()
            if isinstance(event, events.CodeExecuted):
                running.clear()

        async def tick() -> None:
            await running.wait()
            while running.is_set():
                ticks.append(1)
                await asyncio.sleep(0)

        with ScriptedLM([cell("while True: pass"), cell("submit('x')")]) as lm:
            ticking = asyncio.create_task(tick())
            result = await rlm.acompletion(
                "Go", model=lm, limits={"cell_seconds": 0.3}, on_event=watch, log_dir=tmp_path
            )
            await ticking
        return result

    assert checked(asyncio.run(main())).value == "x"
    assert len(ticks) > 10


def test_lesson_35_a_slow_sync_tool_does_not_block_the_loop(tmp_path: Path) -> None:
    import threading

    release = threading.Event()

    def slow() -> str:
        """Wait until the loop has lived on."""
        assert release.wait(30)
        return "released"

    async def main() -> rlm.Result[Any]:
        def watch(event: Any) -> None:
            if isinstance(event, events.ToolCalled):
                asyncio.get_running_loop().call_later(0.05, release.set)

        with ScriptedLM([cell("submit(slow())")]) as lm:
            return await rlm.acompletion(
                "Go", model=lm, tools=[slow], on_event=watch, log_dir=tmp_path
            )

    assert checked(asyncio.run(main())).value == "released"
