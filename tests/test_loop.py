from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from runs import USED, cell, final, probe, run, scripted, sub, told

import rlm
from rlm import events

# What the model sees --------------------------------------------------------------------------


def test_an_observation_has_output_value_error_and_new_variables() -> None:
    code = "n = 41\nprint('printed')\nprint('to stderr', file=__import__('sys').stderr)\nn + 1"
    with scripted(cell(code), cell("m = 1\nn / 0"), final("a")) as lm:
        rlm.completion("x", model=lm)
    first, second = lm.prompts[1], lm.prompts[2]
    assert "<stdout>\nprinted\n</stdout>" in first
    assert "to stderr" in first
    assert "42" in first
    assert "n: int = 41" in first
    assert "ZeroDivisionError" in second
    assert "n / 0" in second
    assert "line 2" in second
    assert "m: int = 1" in second


def test_long_output_is_cut_in_the_middle_with_its_true_length() -> None:
    code = "print('head' + '.' * 100_000 + 'tail')"
    with scripted(cell(code), final("a")) as lm:
        rlm.completion("x", model=lm, limits={"max_output_chars": 1_000})
    shown = lm.prompts[1]
    assert len(shown) < 2_500
    assert "head..." in shown
    assert "...tail" in shown
    assert 'chars="100,008"' in shown  # the line end is not shown


def test_an_error_keeps_what_was_assigned_before_it() -> None:
    assert run(cell("kept = 'a'\n1 / 0"), cell("submit(kept)")).value == "a"


def test_only_the_first_of_several_cells_is_run() -> None:
    both = f"{cell('a = 1')}\n\n{cell('a = 2')}"
    with scripted(both, cell("submit(answer=str(a))")) as lm:
        result = rlm.completion("x", model=lm)
    assert result.value == "1"
    assert "Only the first block was run; one more was not" in lm.prompts[1]


def test_a_reply_without_an_action_costs_a_turn_and_is_told_why() -> None:
    with scripted("I shall call FINAL('a') soon.", "{}", final("a")) as lm:
        result = rlm.completion("x", model=lm)
    assert (result.value, result.iterations) == ("a", 3)
    assert [turn.kind for turn in result.turns()] == ["refused", "refused", "final"]
    assert "```repl" in lm.prompts[1]


@pytest.mark.parametrize("text", ["```repl\nx = [1,", "First I shall look at"])
def test_a_reply_that_was_cut_off_is_told_its_cap(text: str) -> None:
    half = rlm.Reply(text, usage=USED, finish="length")
    with scripted(half, final("a")) as lm:
        rlm.completion("x", model=lm, limits={"max_output_tokens": 512})
    assert "cut off at its cap of 512 tokens" in lm.prompts[1]


def test_what_is_left_is_told_each_turn() -> None:
    limits = {"max_iterations": 5, "max_sub_calls": 9, "max_cost_usd": 1}
    with scripted(cell("1"), final("a")) as lm:
        rlm.completion("x", model=lm, limits=limits)
    assert "5 of 5 turns" in lm.prompts[0]
    assert "4 of 5 turns" in lm.prompts[1]
    assert "9" in lm.prompts[1].splitlines()[-1]


def test_the_transcript_only_grows_so_that_providers_can_cache_it() -> None:
    with scripted(cell("x = 1"), cell("y = 2"), final("a")) as lm:
        rlm.completion("x", model=lm)
    before: tuple[rlm.Message, ...] = ()
    for request in lm.requests:
        stable = request.messages[: request.stable_messages]
        assert stable[: len(before)] == before
        assert len(request.messages) == request.stable_messages + 1
        before = stable


def test_a_transcript_that_outgrows_the_window_keeps_task_and_newest_turns() -> None:
    noisy = [cell(f"print('turn {n} ' + 'x' * 6_000)") for n in range(8)]
    root = scripted(*noisy, cell("submit(answer=str([t['turn'] for t in history]))"))
    root.window = 16_000
    result = rlm.completion("find it", model=root, limits={"max_output_tokens": 1_000})
    assert result.value == str(list(range(1, 9)))
    last = told(root)
    assert "find it" in last
    assert "turn 7 " in last
    assert "turn 0 " not in last
    assert "`history` has them" in last


# Time -----------------------------------------------------------------------------------------


def test_a_cell_that_takes_too_long_is_interrupted_and_its_state_survives() -> None:
    with scripted(cell("kept = 1\nwhile True: pass"), cell("submit(answer=str(kept))")) as lm:
        result = rlm.completion("x", model=lm, limits={"cell_seconds": 0.3})
    assert result.value == "1"
    assert "CellTimeout" in lm.prompts[1]


def test_the_clock_of_a_cell_stands_still_while_the_host_answers() -> None:
    async def slow(request: rlm.Request) -> rlm.Reply:
        await asyncio.sleep(0.5)
        return rlm.Reply("late", usage=USED)

    limits = {"cell_seconds": 0.3}
    assert probe("found = llm_query('q')", sub_model=sub(slow), limits=limits) == "late"


def test_a_session_that_is_lost_is_told_and_replaced() -> None:
    code = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    with scripted(cell("x = 1"), cell(code), cell("submit(answer=str('x' in globals()))")) as lm:
        result = rlm.completion("x", model=lm)
    assert result.value == "False"
    assert len(result.trace.of(events.SessionLost)) == 1
    assert "lost" in lm.prompts[2]


@pytest.mark.skipif(sys.platform != "linux", reason="by the kernel's own list of children")
def test_nothing_is_left_running_after_a_run() -> None:
    def children() -> set[str]:
        tasks = Path("/proc/self/task").iterdir()
        return {pid for task in tasks for pid in (task / "children").read_text("ascii").split()}

    before = children()
    run(cell("submit(answer=1)"), signature="-> answer: int")
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and children() - before:
        time.sleep(0.01)
    assert not children() - before


# Cells ----------------------------------------------------------------------------------------


def test_top_level_await() -> None:
    code = """
import asyncio
async def one(n):
    await asyncio.sleep(0)
    return n
found = await asyncio.gather(one(1), one(2))
found.append(await llm_query("q"))
"""
    assert probe(code, sub_model=sub("r")) == [1, 2, "r"]


def test_threads_in_a_cell_ask_at_the_same_time() -> None:
    code = """
import threading
found = [None] * 8
def ask(n):
    found[n] = str(llm_query(str(n)))
threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
for t in threads: t.start()
for t in threads: t.join()
"""
    busy = asyncio.Semaphore(0)
    asked: list[str] = []

    async def together(request: rlm.Request) -> rlm.Reply:
        asked.append(request.prompt)
        if len(asked) == 8:
            for _ in range(8):
                busy.release()
        await busy.acquire()  # nobody is answered before all have asked
        return rlm.Reply(f"<{request.prompt}>", usage=USED)

    assert probe(code, sub_model=sub(*[together] * 8)) == [f"<{n}>" for n in range(8)]


def test_history_holds_the_earlier_turns() -> None:
    code = "submit(answer=[[t['turn'], t['code'], t['output'], t['error']] for t in history])"
    result = run(cell("print(1)"), cell("1/0"), cell(code), signature="-> answer: list[Any]")
    assert result.value == [
        [1, "print(1)", "1\n", None],
        [2, "1/0", "", "ZeroDivisionError: division by zero"],
    ]


def test_budget_and_show_vars_and_log() -> None:
    code = """
rows = [1, 2, 3]
log("a note")
found = [str(show_vars()), sorted(budget()["limits"]), budget()["llm_calls"]]
"""
    vars_, limits, calls = probe(code, limits={"max_sub_calls": 3, "max_tokens": 10**6})
    assert "rows: list (3) = [1, 2, 3]" in vars_
    assert "llm_query" not in vars_
    assert limits == ["max_sub_calls", "max_tokens"]
    assert calls == 1


def test_seeds_make_random_repeatable() -> None:
    code = "import random\nfound = [random.random(), hash('x')]"
    assert probe(code, seed=7) == probe(code, seed=7)
    assert probe(code, seed=7)[0] != probe(code, seed=8)[0]


def test_a_syntax_error_and_warnings_are_told_to_the_model() -> None:
    with scripted(cell("for"), cell("eval('1')"), final("a")) as lm:
        result = rlm.completion("x", model=lm)
    assert "line 1" in lm.prompts[1]
    assert "eval() " in lm.prompts[2]
    assert [check.problem is None for check in result.trace.of(events.CodeChecked)] == [False, True]


# The last request -----------------------------------------------------------------------------

ONE_TURN: dict[str, Any] = {"max_iterations": 1}


def test_the_last_request_may_be_met_by_a_cell() -> None:
    result = run(cell("total = 7"), cell("submit(total)"), signature="-> n: int", limits=ONE_TURN)
    assert (result.value, result.forced, result.ended_by) == (7, True, "max_iterations")


def test_the_last_answer_is_validated_like_any_other() -> None:
    result = run(cell("1"), final("many"), signature="-> n: int", limits=ONE_TURN)
    assert (result.status, result.error.__class__) == ("failed_validation", rlm.ValidationFailed)
    (problem,) = result.validation_errors
    assert problem.startswith("n: 'many' is not int")


def test_the_last_answer_in_plain_words_is_taken_for_a_text_only() -> None:
    assert run(cell("1"), "It is seven.", limits=ONE_TURN).value == "It is seven."
    result = run(cell("1"), "It is seven.", signature="-> n: int", limits=ONE_TURN)
    assert result.status == "budget_exceeded"


@pytest.mark.parametrize(
    "last",
    [
        "<think>Perhaps seven",
        "<think>Perhaps seven.</think>\n",
        rlm.Reply("```repl\nsubm", finish="length"),
    ],
)
def test_thinking_and_half_a_cell_are_no_last_answer(last: Any) -> None:
    assert run(cell("1"), last, limits=ONE_TURN).status == "budget_exceeded"


def test_the_last_answer_in_plain_words_is_without_its_thinking() -> None:
    last = "<think>Six? No.</think>\nIt is seven."
    assert run(cell("1"), last, limits=ONE_TURN).value == "It is seven."


def test_raw_action_json_is_no_answer() -> None:
    action = '{"action": "exec", "code": "print(1)"}'
    assert run(cell("1"), action, limits=ONE_TURN).status == "budget_exceeded"


def test_the_money_for_the_last_request_was_held_back() -> None:
    def dear(request: rlm.Request) -> rlm.Reply:
        if "last request" in request.prompt:
            return rlm.Reply(final("paid for"), usage=USED)
        most = rlm.Usage(input_tokens=1_500, output_tokens=request.max_output_tokens)
        return rlm.Reply(cell("parallel_queries(*'abcdefgh')"), usage=most)

    def child(request: rlm.Request) -> rlm.Reply:
        return rlm.Reply("r", usage=rlm.Usage(input_tokens=5, output_tokens=4_000))

    result = rlm.completion(
        "x",
        model=scripted(*[dear] * 9),
        sub_model=sub(*[child] * 64),
        limits={"max_cost_usd": "0.06"},
    )
    assert (result.value, result.forced) == ("paid for", True)
    assert result.cost is not None
    assert float(result.cost) <= 0.06


# What the trace tells -------------------------------------------------------------------------


def test_a_run_leaves_no_file_beside_its_log(tmp_path: Path) -> None:
    result = run(cell("print(1)"), final("a"), log_dir=tmp_path)
    assert [str(path) for path in tmp_path.iterdir()] == [result.log]


def test_a_message_is_written_once() -> None:
    result = run(cell("print('once ' + 'upon')"), cell("x = 1"), final("a"))
    assert result.trace.to_jsonl().count("<stdout>\\nonce upon") == 1


@pytest.mark.parametrize("route", ["submit", "final"])
def test_an_output_that_is_refused_is_an_event_with_its_source(route: str) -> None:
    wrong = cell("submit(n='many')") if route == "submit" else final("many")
    result = run(wrong, cell("submit(n=1)"), signature="-> n: int")
    (refused,) = result.trace.of(events.OutputRefused)
    assert (refused.source, refused.turn) == (route, 1)
    assert "n: 'many' is not int" in refused.problems[0]
