"""A process that is killed loses at most the last line of its log, and leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lawful import check_order, lines

import rlm
from rlm import events

PROGRAM = """
import os, signal, sys
import rlm.events
from rlm.testing import ScriptedLM

folder, after = sys.argv[1], int(sys.argv[2])
seen = 0

def watch(what):
    global seen
    seen += isinstance(what, rlm.events.Event)
    if seen == after:
        os.kill(os.getpid(), signal.SIGKILL)

code = "import os\\nprint('guest', os.getpid())\\nprint(llm_query('q'))\\nprint('x' * 100_000)"
lm = ScriptedLM([f"```repl\\n{code}\\n```", "a"] * 50, name="scripted/x")
rlm.completion("Go", context="c", model=lm, log_dir=folder, on_event=watch)
"""


@pytest.mark.parametrize("after", [1, 2, 7, 12, 16, 20, 31])
def test_a_killed_run_has_every_line_that_it_had_shown(tmp_path: Path, after: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(after)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    (log,) = tmp_path.glob("*.jsonl")
    trace = rlm.Trace.read(log)
    assert trace.skipped == [] and len(trace) == after == len(lines(log))
    check_order(trace.events)
    result: rlm.Result[rlm.Output] = rlm.Result(trace)
    assert (result.status, result.ended_by) == ("aborted", "cut_off")
    with pytest.raises(rlm.RunError):
        _ = result.output
    assert_gone(trace)


def assert_gone(trace: rlm.Trace) -> None:
    """The guests of the killed run end by themselves, in a moment."""
    printed = [e.stdout.split() for e in trace.of(events.CodeExecuted)]
    guests = {int(words[1]) for words in printed if words[:1] == ["guest"]}
    for _ in range(500):
        if not any(Path(f"/proc/{pid}").exists() for pid in guests if pid > 100):
            return
        time.sleep(0.01)
    raise AssertionError(f"still there: {guests}")


def test_a_torn_last_line_is_left_out_and_said(tmp_path: Path) -> None:
    lm = rlm.testing.ScriptedLM(["```repl\nsubmit('x')\n```"])
    result = rlm.completion("Go", model=lm, log_dir=tmp_path)
    log = Path(result.log)
    whole = log.read_bytes()
    for cut in (1, 40, len(whole.splitlines()[-1]) - 1):
        log.write_bytes(whole[:-cut])
        trace = rlm.Trace.read(log)
        assert len(trace) == len(result.trace) - (cut > 1)
        assert len(trace.skipped) == (cut > 1)
    os.truncate(log, len(whole))
