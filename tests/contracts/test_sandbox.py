"""What every sandbox does, whatever it is made of."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from rlm.errors import BudgetExceeded, ContextWindowExceeded, ValidationFailed
from rlm.sandbox.base import CellLimits, Execution, Functions, OpenOptions, Sandbox, Session
from rlm.sandbox.command import CommandSandbox
from rlm.sandbox.docker import DockerSandbox
from rlm.sandbox.local import LocalSandbox
from rlm.sandbox.process import ProcessSandbox
from rlm.testing import InMemorySandbox

SANDBOXES: dict[str, Callable[[], Sandbox]] = {
    "command": lambda: CommandSandbox(["env"], python=sys.executable),
    "docker": DockerSandbox,
    "local": LocalSandbox,
    "memory": InMemorySandbox,
    "process": ProcessSandbox,
}

ELSEWHERE = {
    # cells of these two run in the host's process: they share its folder, and stop at a tick
    "test_lesson_30_parallel_sessions_do_not_mix_their_output": ("local", "memory"),
    "test_a_cell_that_awaits_too_long_is_told_its_line_and_does_not_go_on": ("local", "memory"),
    "test_lesson_25_only_the_bridge_can_be_called": ("local",),  # no cell sees a closure there
    "test_lesson_29_keys_are_not_in_reach": ("memory",),  # it confines nothing
    "test_a_submit_in_a_thread_ends_the_cell_too": ("memory",),  # its sleep is Python's own
}
"""Which sandboxes a test is not about; their own tests say what they do instead."""

LIMITS = CellLimits(seconds=20, memory_mb=512)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "sandbox" in metafunc.fixturenames:
        but = ELSEWHERE.get(metafunc.function.__name__, ())
        names = [
            pytest.param(name, marks=[pytest.mark.docker] if name == "docker" else [])
            for name in sorted(SANDBOXES)
            if name not in but
        ]
        metafunc.parametrize("sandbox", names, indirect=True)


@pytest.fixture
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    return SANDBOXES[request.param]()


def reply(text: str, **more: Any) -> dict[str, Any]:
    return {
        "text": text,
        "value": text,
        "iterations": 1,
        "forced": False,
        "summary": "asked once",
        "cost": None,
        "sources": [],
        "route": "completion",
        **more,
    }


def cells(
    sandbox: Sandbox,
    *codes: str,
    inputs: Mapping[str, Any] | None = None,
    functions: Functions | None = None,
    options: OpenOptions | None = None,
    limits: CellLimits = LIMITS,
    **more: Any,
) -> list[Execution]:
    """Run the cells in one session and return what they did."""

    async def main() -> list[Execution]:
        given = dict(inputs or {})
        async with (
            sandbox.start(given, limits) as place,
            place.open(given, functions or {}, options or OpenOptions(), **more) as session,
        ):
            return [await session.execute(code) for code in codes]

    return asyncio.run(main())


def test_a_last_expression_is_echoed_and_prints_are_kept(sandbox: Sandbox) -> None:
    [done] = cells(sandbox, "print('hello'); 6 * 7")
    assert (done.stdout, done.stdout_chars, done.value, done.ok) == ("hello\n", 6, "42", True)


def test_rr28_variables_live_on_from_cell_to_cell(sandbox: Sandbox) -> None:
    first, second = cells(sandbox, "rows = [1, 2]", "rows.append(3); sum(rows)")
    assert [(one.name, one.type, one.length) for one in first.variables] == [("rows", "list", 2)]
    assert second.value == "6"
    assert [one.preview for one in second.variables] == ["[1, 2, 3]"]


def test_rr17_inputs_are_variables(sandbox: Sandbox) -> None:
    given = {"context": "some text", "rows": [{"a": 1}, {"a": 2}]}
    [done] = cells(sandbox, "(context.upper(), rows[1]['a'])", inputs=given)
    assert done.value == "('SOME TEXT', 2)"


def test_rr32_a_syntax_error_is_told_without_running(sandbox: Sandbox) -> None:
    broken, after = cells(sandbox, "made = 1\nif made\n    print(made)", "'made' in globals()")
    assert broken.error is not None
    assert (broken.error.kind, broken.error.line, broken.error.source) == ("syntax", 2, "if made")
    assert (broken.stdout, after.value) == ("", "False")


def test_lesson_02_an_exception_is_told_with_its_line(sandbox: Sandbox) -> None:
    code = "def half(n):\n    return n / 0\n\nprint('so far')\nhalf(3)"
    [done] = cells(sandbox, code)
    assert done.error is not None
    assert (done.error.type, done.error.message) == ("ZeroDivisionError", "division by zero")
    assert (done.error.line, done.error.source.strip()) == (2, "return n / 0")
    assert "line 5" in done.error.traceback
    assert "in half" in done.error.traceback


def test_lesson_03_variables_and_output_before_an_exception_are_kept(sandbox: Sandbox) -> None:
    failed, after = cells(sandbox, "kept = 5\nprint('partial')\nraise ValueError('no')", "kept")
    assert (failed.stdout, after.value) == ("partial\n", "5")


def test_lesson_04_functions_see_what_later_cells_define(sandbox: Sandbox) -> None:
    *_, last = cells(sandbox, "def f(): return later + 1", "later = 1", "later = 41\nf()")
    assert last.value == "42"


def test_lesson_11_inputs_are_bound_once(sandbox: Sandbox) -> None:
    *_, last = cells(
        sandbox, "context = context.upper(); rows.pop()", "(context, rows)",
        inputs={"context": "abc", "rows": [1, 2]},
    )  # fmt: skip
    assert last.value == "('ABC', [1])"


def test_lesson_29_exit_ends_only_its_cell(sandbox: Sandbox) -> None:
    done = cells(sandbox, "x = 1", "exit()", "import sys; sys.exit(3)", "quit()", "x")
    for ended in done[1:4]:
        assert ended.error is not None
        assert (ended.error.type, ended.error.kind) == ("SystemExit", "error")
    assert done[4].value == "1"


def test_lesson_29_keys_are_not_in_reach(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    [done] = cells(sandbox, "import os\nstr(dict(os.environ))")
    assert "sk-very-secret" not in str(done)


def test_lesson_33_a_cell_may_be_larger_than_128_kib(sandbox: Sandbox) -> None:
    [done] = cells(sandbox, f"text = '{'x' * 300_000}'\nlen(text)")
    assert done.value == "300000"


def test_input_is_refused_in_words(sandbox: Sandbox) -> None:
    [done] = cells(sandbox, "input('name? ')")
    assert done.error is not None
    assert "nobody to ask" in done.error.message


def test_top_level_await_is_understood(sandbox: Sandbox) -> None:
    code = "import asyncio\nasync def f(n):\n    await asyncio.sleep(0)\n    return n\n"
    one, two = cells(sandbox, code + "await f(1)", "sum(await asyncio.gather(f(2), f(3)))")
    assert (one.value, two.value) == ("1", "5")


def test_a_long_output_keeps_head_and_tail_and_its_true_length(sandbox: Sandbox) -> None:
    code = "print('first'); print('x' * 5_000_000); print('last')"
    [done] = cells(sandbox, code, limits=CellLimits(output_bytes=10_000))
    assert done.stdout.startswith("first\n")
    assert done.stdout.endswith("last\n")
    assert len(done.stdout) < 10_200
    assert done.stdout_chars == 5_000_012


def test_a_bridge_call_carries_values_both_ways(sandbox: Sandbox) -> None:
    seen: list[Any] = []

    async def look(*args: Any, **kwargs: Any) -> Any:
        seen.append((args, kwargs))
        return {"pages": (1, 2), "found": {3, 4}}

    [done] = cells(sandbox, "look([1, 'é'], deep={2: b'x'})", functions={"look": look})
    assert seen == [(([1, "é"],), {"deep": {2: b"x"}})]
    assert done.value == "{'pages': (1, 2), 'found': {3, 4}}"


def test_a_dataclass_of_a_cell_reaches_the_host_as_its_fields(sandbox: Sandbox) -> None:
    seen: list[Any] = []

    async def look(value: Any) -> None:
        seen.append(value)

    code = (
        "from dataclasses import dataclass\n@dataclass\nclass Row:\n    items: list\n"
        "    n: int = 2\nlook(Row([1]))"
    )
    cells(sandbox, code, functions={"look": look})
    assert seen == [{"items": [1], "n": 2}]


def test_a_tool_looks_like_a_plain_function(sandbox: Sandbox) -> None:
    async def lookup(*args: Any, **kwargs: Any) -> Any:
        return [args, kwargs]

    options = OpenOptions(
        signatures={"lookup": ("(query: str, limit: int = 10) -> list[str]", "Find pages.")}
    )
    code = "import inspect\nprint(inspect.signature(lookup)); help(lookup)"
    [done] = cells(sandbox, code, functions={"lookup": lookup}, options=options)
    assert "(query: 'str', limit: 'int' = 10) -> 'list[str]'" in done.stdout
    assert "Find pages." in done.stdout


def test_rr18_rr19_llm_query_returns_a_string_with_more(sandbox: Sandbox) -> None:
    async def llm_query(prompt: str, **named: Any) -> Any:
        return reply(f"{prompt}!", value={"label": "x"}, named=named)

    code = "e = llm_query('hi', model='m')\n(e, e.upper(), e.label, e.iterations, e.forced_final)"
    told, awaited = cells(sandbox, code, "await llm_query('a')", functions={"llm_query": llm_query})
    assert told.value == "('hi!', 'HI!', 'x', 1, False)"
    assert awaited.value == "'a!'"


def test_rr20_lesson_12_a_batch_is_aligned_and_failures_are_falsy(sandbox: Sandbox) -> None:
    async def parallel_queries(*items: Any, **named: Any) -> Any:
        failure = {"type": "BudgetExceeded", "message": "no money", "retryable": False}
        return [{"failure": failure} if item == "b" else reply(str(item)) for item in items]

    code = (
        "r = parallel_queries('a', 'b', {'prompt': 'c'})\n"
        "(len(r), r[0], bool(r[1]), r[1].error, str(r[1]), 'c' in r[2])"
    )
    functions = {"parallel_queries": parallel_queries}
    told, listed = cells(
        sandbox, code, "[bool(x) for x in llm_query_batched(['a', 'b'])]", functions=functions
    )
    assert told.value == "(3, 'a', False, 'BudgetExceeded', 'BudgetExceeded: no money', True)"
    assert listed.value == "[True, False]"


def test_a_host_error_is_raised_in_the_cell_by_name(sandbox: Sandbox) -> None:
    async def spend() -> None:
        raise BudgetExceeded("max_cost_usd", 2, 1)

    async def fill() -> None:
        raise ContextWindowExceeded("too long", tokens=9, window=5)

    functions: Functions = {"spend": spend, "fill": fill}

    code = (
        "try:\n    fill()\nexcept ContextWindowExceeded as e:\n"
        "    print(e.tokens, e.window)\nspend()"
    )
    [done] = cells(sandbox, code, functions=functions)
    assert done.stdout == "9 5\n"
    assert done.error is not None
    assert (done.error.type, done.error.line) == ("BudgetExceeded", 5)


def test_lesson_25_only_the_bridge_can_be_called(sandbox: Sandbox) -> None:
    async def known() -> str:
        return "yes"

    code = (
        "call = known.__closure__ and [c.cell_contents for c in known.__closure__"
        " if callable(c.cell_contents)][0]\n"
        "for name in ('__class__', 'keys', 'eval', 'submit', 'known'):\n"
        "    try: print(call(name, (), {}))\n"
        "    except RLMError as e: print(type(e).__name__)"
    )
    [done] = cells(sandbox, code, functions={"known": known})
    assert done.stdout.split() == ["ToolError"] * 4 + ["yes"]


def test_submit_ends_the_cell_once_accepted(sandbox: Sandbox) -> None:
    taken: list[Any] = []

    async def submit(**outputs: Any) -> None:
        taken.append(outputs)

    code = "try:\n    submit(answer=1)\nexcept:\n    print('eaten')\nprint('ran on')"
    options = OpenOptions(outputs=("answer",))
    done = cells(
        sandbox, code, "submit(2); print('on')", "FINAL(3)", "x = 4\nFINAL_VAR('x')",
        "SUBMIT(answer=5)", "answer = {'content': 6, 'ready': True}",
        functions={"submit": submit}, options=options,
    )  # fmt: skip
    assert [one["answer"] for one in taken] == [1, 2, 3, 4, 5, 6]
    assert [one.stdout for one in done] == [""] * 6
    assert all(one.ok for one in done)


@pytest.mark.parametrize("code", ["submit = 1", "submit = None", "del submit"])
def test_a_cell_cannot_lose_submit_for_good(sandbox: Sandbox, code: str) -> None:
    taken: list[Any] = []

    async def submit(**outputs: Any) -> None:
        taken.append(outputs)

    options = OpenOptions(outputs=("answer",))
    cells(sandbox, code, "submit(7)", functions={"submit": submit}, options=options)
    assert taken == [{"answer": 7}]


def test_a_refused_submit_is_an_exception_with_its_problems(sandbox: Sandbox) -> None:
    async def submit(**outputs: Any) -> None:
        raise ValidationFailed(["pages: not a list"])

    code = "try:\n    submit(pages=1)\nexcept SubmitRefused as e:\n    print(e.problems)\n'went on'"
    [done] = cells(sandbox, code, functions={"submit": submit})
    assert (done.stdout, done.value) == ("['pages: not a list']\n", "'went on'")


def test_budget_history_log_and_show_vars(sandbox: Sandbox) -> None:
    logged: list[str] = []

    async def budget() -> Any:
        return {"left": 3}

    async def history() -> Any:
        return [{"turn": 1}, {"turn": 2}]

    async def log(message: str) -> None:
        logged.append(message)

    code = "log('looked'); n = len(history); (budget()['left'], history[-1]['turn'], n)"
    functions: Functions = {"budget": budget, "history": history, "log": log}
    done, shown = cells(sandbox, code, "show_vars()", functions=functions)
    assert (done.value, logged) == ("(3, 2, 2)", ["looked"])
    assert shown.value is not None
    assert "n: int = 2" in shown.value


def test_threads_of_a_cell_may_call_at_the_same_time(sandbox: Sandbox) -> None:
    at_once = 0
    most = 0

    async def double(n: int) -> int:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.001)
        at_once -= 1
        return 2 * n

    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(16) as pool:\n"
        "    r = list(pool.map(double, range(1000)))\n"
        "r == [2 * n for n in range(1000)]"
    )
    [done] = cells(sandbox, code, functions={"double": double})
    assert done.value == "True"
    assert most > 1


def test_lesson_28_the_clock_stands_still_while_the_host_answers(sandbox: Sandbox) -> None:
    async def slow() -> str:
        await asyncio.sleep(1.2)
        return "done"

    [done] = cells(sandbox, "slow()", functions={"slow": slow}, limits=CellLimits(seconds=0.6))
    assert done.value == "'done'"
    assert done.seconds < 0.6


def test_lesson_27_a_timeout_interrupts_and_the_state_survives(sandbox: Sandbox) -> None:
    code = "kept = 1\ntry:\n    while True:\n        pass\nexcept Exception:\n    print('eaten')"
    limits = CellLimits(seconds=0.3)
    stopped, after, again = cells(sandbox, code, "kept", "sum(range(1000))", limits=limits)
    assert stopped.error is not None
    assert (stopped.error.type, stopped.error.kind) == ("CellTimeout", "timeout")
    assert stopped.error.line in (3, 4)
    assert (after.value, again.value) == ("1", "499500")


def test_a_cell_that_awaits_too_long_is_told_its_line_and_does_not_go_on(sandbox: Sandbox) -> None:
    code = (
        "import asyncio\nticks = []\nasync def tick():\n    while True:\n"
        "        await asyncio.sleep(0.01)\n        ticks.append(1)\nawait tick()"
    )
    stopped, first, second = cells(
        sandbox, code, "n = len(ticks); await asyncio.sleep(0.1)", "n == len(ticks)",
        limits=CellLimits(seconds=0.5),
    )  # fmt: skip
    assert stopped.error is not None
    assert (stopped.error.kind, stopped.error.line) == ("timeout", 5)
    assert (first.ok, second.value) == (True, "True")


def test_a_cell_that_takes_stdout_away_has_it_back_in_the_next(sandbox: Sandbox) -> None:
    _, after = cells(sandbox, "import sys; sys.stdout = None", "print('back')")
    assert after.stdout == "back\n"


def test_lesson_30_parallel_sessions_do_not_mix_their_output(sandbox: Sandbox) -> None:
    async def one(place: Any, number: int) -> str:
        async with place.open({"n": number}, {}, OpenOptions()) as session:
            code = "import os\nfor i in range(200): print(n, i)\nopen('f', 'w').write(str(n))"
            done = await session.execute(code)
            read = await session.execute("open('f').read()")
            assert read.value == repr(str(number))
            return str(done.stdout)

    async def main() -> list[str]:
        async with sandbox.start({}, LIMITS) as place:
            return await asyncio.gather(*(one(place, number) for number in range(8)))

    for number, output in enumerate(asyncio.run(main())):
        assert output == "".join(f"{number} {i}\n" for i in range(200))


def test_output_streams_while_a_cell_runs(sandbox: Sandbox) -> None:
    order: list[str] = []

    async def now() -> None:
        order.append("call")

    code = "print('before')\nnow()\nprint('after')"
    [done] = cells(
        sandbox, code, functions={"now": now}, on_output=lambda stream, text: order.append(text)
    )
    assert order[:2] == ["before\n", "call"]
    assert done.stdout == "before\nafter\n"


def test_a_session_is_cancelled_and_can_be_used_again(sandbox: Sandbox) -> None:
    async def main() -> Execution:
        async with (
            sandbox.start({"x": 3}, LIMITS) as place,
            place.open({"x": 3}, {}, OpenOptions()) as session,
        ):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(session.execute("while True: pass"), 0.2)
            return await _execute(session, "x")

    assert asyncio.run(main()).value == "3"


async def _execute(session: Session, code: str) -> Execution:
    return await session.execute(code)


def test_the_seed_makes_random_repeatable(sandbox: Sandbox) -> None:
    code = "import random\n(random.random(), list({'a', 'b', 'c'}))"
    runs = {cells(sandbox, code, options=OpenOptions(seed=7))[0].value for _ in range(2)}
    assert len(runs) == 1


def test_a_submit_in_a_thread_ends_the_cell_too(sandbox: Sandbox) -> None:
    taken: list[Any] = []

    async def submit(**outputs: Any) -> None:
        taken.append(outputs)

    code = (
        "import threading, time\nthreading.Thread(target=lambda: submit(answer=1)).start()\n"
        "time.sleep(10)\nprint('ran on')"
    )
    done, after = cells(sandbox, code, "1 + 1", functions={"submit": submit})
    assert (taken, done.ok, done.stdout, done.stderr) == ([{"answer": 1}], True, "", "")
    assert after.value == "2"


def test_modules_are_no_variables(sandbox: Sandbox) -> None:
    [done] = cells(sandbox, "import json, re\nfound = re.findall('a', 'banana')")
    assert [one.name for one in done.variables] == ["found"]
