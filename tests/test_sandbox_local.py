"""The sandbox `local`: what models write works, what is known to lead out does not."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import random
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from programs import programs
from snippets.language import LANGUAGE
from snippets.ordinary import ORDINARY
from snippets.stubborn import MISTAKES, OVERSIZED, STUBBORN

from rlm.errors import ConfigurationError
from rlm.files import File
from rlm.sandbox import remedies
from rlm.sandbox.base import CellLimits, Execution, Functions, OpenOptions, Sandbox
from rlm.sandbox.local import LocalSandbox
from rlm.testing import InMemorySandbox

LIMITS = CellLimits(seconds=10)


@dataclasses.dataclass
class Kind:
    """A record whose fields are called as methods are."""

    format: str
    obj: int


def cells(
    *codes: str,
    sandbox: Sandbox | None = None,
    inputs: Mapping[str, Any] | None = None,
    functions: Functions | None = None,
    options: OpenOptions | None = None,
    limits: CellLimits = LIMITS,
) -> list[Execution]:
    """Run the cells in one session and return what they did."""

    async def main() -> list[Execution]:
        given = dict(inputs or {})
        async with (
            (sandbox or LocalSandbox()).start(given, limits) as place,
            place.open(given, functions or {}, options or OpenOptions()) as session,
        ):
            return [await session.execute(code) for code in codes]

    return asyncio.run(main())


_SESSION = re.compile(r" of session \d+")


def told(execution: Execution) -> tuple[Any, ...]:
    error = execution.error
    return (
        execution.stdout,
        execution.stderr,
        execution.value,
        None
        if error is None
        else (error.type, _SESSION.sub("", error.message), error.line, error.source),
        [(one.name, one.type, one.length) for one in execution.variables],
    )


WRITTEN = {**ORDINARY, **LANGUAGE}


@pytest.mark.parametrize("name", WRITTEN)
def test_rr29_what_models_write_does_the_same_as_anywhere(name: str) -> None:
    [here] = cells(WRITTEN[name])
    [there] = cells(WRITTEN[name], sandbox=InMemorySandbox())
    assert there.error is None
    assert told(here) == told(there)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs())
def test_rr29_any_program_does_the_same_as_in_plain_python(code: str) -> None:
    [here], [there] = cells(code), cells(code, sandbox=InMemorySandbox())
    assert told(here) == told(there)


def test_rr29_what_is_printed_elsewhere_is_not_printed() -> None:
    code = (
        "import io, contextlib\nbuf = io.StringIO()\n"
        "with contextlib.redirect_stdout(buf):\n    print('in')\nprint('out')\nbuf.getvalue()"
    )
    [done] = cells(code)
    assert (done.stdout, done.value) == ("out\n", "'in\\n'")


@pytest.mark.parametrize("name", MISTAKES)
def test_rr29_mistakes_are_told_as_anywhere(name: str) -> None:
    [here] = cells(MISTAKES[name])
    [there] = cells(MISTAKES[name], sandbox=InMemorySandbox())
    assert here.error is not None and there.error is not None
    assert (here.error.type, here.error.line) == (there.error.type, there.error.line)


def test_a_session_has_so_many_threads_and_the_process_waits_for_none() -> None:
    code = (
        "import threading\nevent = threading.Event()\n"
        "ts = [threading.Thread(target=event.wait) for _ in range(100)]\n"
        "try:\n    for t in ts: t.start()\nfinally:\n    event.set()"
    )
    [done] = cells(code)
    assert done.error is not None
    assert (done.error.type, "64 at most" in done.error.message) == ("RuntimeError", True)
    script = (
        "from rlm.sandbox.local import LocalSandbox\nfrom test_sandbox_local import cells\n"
        "cells('import threading\\nfrom concurrent.futures import ThreadPoolExecutor\\n'\n"
        "      'ThreadPoolExecutor(1).submit(threading.Event().wait)')"
    )
    folder = Path(__file__).parent
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True, timeout=60)


def test_rr29_files_are_read_as_anywhere() -> None:
    code = (
        "print(len(doc), doc.size, doc[0:5], doc.find('seven'), doc.name)\n"
        "print([m.line for m in doc.search(r'n\\w+')], list(doc.lines())[:2], 'two' in doc)\n"
        "doc.text.upper()[:3], doc.bytes[:3]"
    )
    text = "one\ntwo\nseven é nine\n"
    inputs = {"doc": File(text=text, name="notes.txt")}
    [here] = cells(code, inputs=inputs)
    [there] = cells(code, inputs=inputs, sandbox=InMemorySandbox())
    assert here.error is None, here.error
    assert told(here) == told(there)
    assert here.files == ("doc",)


def test_rb43_cells_leave_the_streams_and_the_folder_of_the_process_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = (sys.stdout, sys.stderr, os.getcwd(), sys.modules["__main__"])
    [done] = cells("import sys\nprint('in')\nsys.stdout.write('side\\n')\nhelp(chunk_text)")
    assert done.stdout.startswith("in\nside\n")
    assert "Split a text into chunks" in done.stdout
    assert (sys.stdout, sys.stderr, os.getcwd(), sys.modules["__main__"]) == before
    assert capsys.readouterr() == ("", "")


def test_rb43_sessions_at_once_keep_their_output_and_variables_apart() -> None:
    async def one(place: Any, number: int) -> str:
        async with place.open({"n": number}, {}, OpenOptions()) as session:
            await session.execute("import random\nrows = []")
            done = await session.execute("for i in range(200):\n    print(n, i); rows.append(n)")
            counted = await session.execute("len(rows), set(rows)")
            assert counted.value == f"(200, {{{number}}})"
            return str(done.stdout)

    async def main() -> list[str]:
        async with LocalSandbox().start({}, LIMITS) as place:
            return await asyncio.gather(*(one(place, number) for number in range(8)))

    for number, output in enumerate(asyncio.run(main())):
        assert output == "".join(f"{number} {i}\n" for i in range(200))


def test_rb43_sessions_of_event_loops_in_many_threads_keep_apart() -> None:
    code = (
        "import threading, random, contextlib, io\n"
        "def work():\n    for i in range(50): print(n, i)\n"
        "ts = [threading.Thread(target=work) for _ in range(3)]\n"
        "for t in ts: t.start()\nfor t in ts: t.join()\nrandom.seed(n)\n[n, random.random()]"
    )
    with ThreadPoolExecutor(6) as threads:
        ran = list(threads.map(lambda n: cells(code, inputs={"n": n})[0], range(12)))
    for number, done in enumerate(ran):
        said = sorted(done.stdout.splitlines())
        assert said == sorted(f"{number} {i}" for i in range(50) for _ in range(3))
        assert done.value == repr([number, random.Random(number).random()])


@pytest.mark.parametrize("name", STUBBORN)
def test_lesson_27_what_runs_on_is_stopped_and_variables_live(name: str) -> None:
    code = "kept = 1\n" + STUBBORN[name]
    stopped, after = cells(code, "kept", limits=CellLimits(seconds=0.2))
    assert stopped.error is not None
    assert (stopped.error.type, stopped.error.kind) == ("CellTimeout", "timeout")
    assert stopped.error.line is not None and stopped.error.line > 1
    assert after.value == "1"


@pytest.mark.parametrize("name", OVERSIZED)
def test_lesson_36_what_one_operation_would_make_too_large_is_refused(name: str) -> None:
    code, limits = "kept = 1\n" + OVERSIZED[name], CellLimits(seconds=10, memory_mb=16)
    refused, after = cells(code, "kept", limits=limits)
    assert refused.error is not None
    assert (refused.error.type, refused.error.line) == ("MemoryError", 2)
    assert after.value == "1"


def test_rr29_a_step_limit_ends_a_cell_the_same_on_every_machine() -> None:
    code = "n = 0\nwhile True:\n    n += 1"
    ends = {cells(code, "n", sandbox=LocalSandbox(max_steps=1000))[1].value for _ in range(2)}
    assert len(ends) == 1
    with pytest.raises(ConfigurationError, match="max_steps = 0"):
        LocalSandbox(max_steps=0)


def test_what_does_not_stop_is_left_behind_and_the_next_cell_is_told_nothing_is_left() -> None:
    code = "made = 1\nimport threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()"
    lost, after = cells(code, "x, 'made' in globals()", inputs={"x": 3}, limits=CellLimits(0.1))
    assert lost.error is not None
    assert (lost.error.type, lost.error.kind) == ("SessionLost", "lost")
    assert after.value == "(3, False)"


def test_a_variable_whose_repr_exits_is_shown_as_that_and_ends_nothing() -> None:
    code = "class A:\n    def __repr__(self):\n        raise SystemExit(1)\na = A()"
    made, after = cells(code, "1 + 1")
    assert made.error is None
    assert "SystemExit" in made.variables[-1].preview
    assert after.value == "2"


def test_rr29_what_is_missing_is_said(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remedies, "_warned_of", set())

    async def main() -> Any:
        async with LocalSandbox().start({}, LIMITS) as place:
            return place.facts

    with caplog.at_level(logging.WARNING, logger="rlm"):
        facts, _ = asyncio.run(main()), asyncio.run(main())
    assert facts["sandbox"] == "local"
    assert facts["walls"] == {}
    [warned] = [record.getMessage() for record in caplog.records]
    documented = " ".join((LocalSandbox.__doc__ or "").split())
    for said in (" ".join(facts["missing"]), warned, documented):
        assert "memory" in said and "C code" in said
    assert "trusted prompts" in warned and "trusted prompts" in documented
    assert "never a wall" in documented and "never a wall" in " ".join(facts["missing"])


def test_host_functions_get_copies_and_never_what_a_cell_has_made() -> None:
    seen: list[Any] = []

    async def look(*args: Any) -> Any:
        seen.extend(args)
        return {"rows": [1]}

    code = (
        "class D(dict):\n    def items(self): return [('a', 2)]\n    def keys(self): return ['a']\n"
        "rows = [1]\nlook(rows, D(a=1))\nrows.append(2)\n"
        "try:\n    look(object())\nexcept TypeError as e:\n    print(str(e)[:40])"
    )
    [done] = cells(code, functions={"look": look})
    assert seen[0] == [1]
    assert type(seen[1]) is dict
    assert "cannot leave" in done.stdout


def test_no_thread_outlives_its_session() -> None:
    def alive() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one.name == "rlm-session"]

    before = alive()
    cells("1 + 1")
    for thread in alive():
        if thread not in before:
            thread.join(5)
            assert not thread.is_alive()


def test_lesson_27_a_cancelled_cell_stops_and_the_loop_is_never_held_up() -> None:
    async def main() -> str | None:
        async with (
            LocalSandbox().start({"x": 3}, LIMITS) as place,
            place.open({"x": 3}, {}, OpenOptions()) as session,
        ):
            running = asyncio.create_task(session.execute("x = 4\nwhile True: pass"))
            for _ in range(20):
                await asyncio.sleep(0.005)  # the loop goes round beside the cell
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            return (await session.execute("x")).value

    assert asyncio.run(main()) == "3"


def test_rr29_records_have_their_fields_whatever_these_are_called() -> None:
    given = {"kind": Kind(format="pdf", obj=1)}
    [done] = cells("kind.format, kind.obj, '{0.format}'.format(kind)", inputs=given)
    assert done.value == "('pdf', 1, 'pdf')"


def test_rr29_a_run_goes_through_it() -> None:
    import rlm
    from rlm.testing import ScriptedLM

    lm = ScriptedLM(["```repl\nn = len(context)\nprint(n)\n```", "```repl\nsubmit(n)\n```"])
    given = {"context": "x" * 1000}
    result = rlm.predict("context -> n: int", input=given, model=lm, sandbox="local")
    assert (result.status, result.value) == ("completed", 1000)
