"""RubyRLM's cache, budget, routing, parallelism and logs, in the form of this runtime."""

from __future__ import annotations

import ast
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from runs import CHEAP, USED, cell, final, probe, run, scripted, sub, told

import rlm
from rlm.testing import ScriptedLM
from rlm.usage import Price

# Cache ----------------------------------------------------------------------------------------


def test_rr35_identical_queries_are_asked_once() -> None:
    with sub("one", "another model's question", "another sample") as small:
        found = probe(
            "found = [llm_query('q'), llm_query('q'), *parallel_queries('q', 'q'),"
            " llm_query('other'), llm_query('q', sample=1)]",
            sub_model=small,
        )
    assert found == ["one"] * 4 + ["another model's question", "another sample"]
    assert small.prompts == ["q", "other", "q"]


def test_rr35_the_model_is_part_of_the_key() -> None:
    with sub("a") as small, sub("b", name="scripted/other") as other:
        code = "found = [llm_query('q'), llm_query('q', model='scripted/other')]"
        assert probe(code, sub_model=small, models=[other]) == ["a", "b"]


def test_rr36_cache_statistics() -> None:
    result = run(
        cell("parallel_queries('a', 'b', 'a', 'a')\nsubmit('done')"),
        sub_model=sub("1", "2"),
    )
    assert result.cache == {"hits": 2, "misses": 2, "size": 2}


def test_rr37_threads_share_cache_and_budget() -> None:
    code = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(16) as pool:
    replies = list(pool.map(lambda n: str(llm_query(f"question {n % 10}")), range(100)))
found = [len(replies), sorted(set(replies)), budget()["sub_calls"], budget()["llm_calls"]]
"""

    def echo(request: rlm.Request) -> rlm.Reply:
        return rlm.Reply(request.prompt[-1], usage=USED)

    found = probe(code, sub_model=sub(*[echo] * 10))
    assert found == [100, [str(n) for n in range(10)], 100, 11]


# Budget ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limits", [{"max_sub_calls": 3}, {"max_tokens": 40_000}, {"max_cost_usd": "0.05"}]
)
def test_rr42_one_purse_for_the_whole_tree(limits: dict[str, Any]) -> None:
    spends = rlm.Usage(input_tokens=10, output_tokens=8_000)
    child = cell("replies = parallel_queries(*map(str, range(20)))\nsubmit('done')")
    replies: dict[str, Any] = {
        "dig": [rlm.Reply(child, usage=USED)],
        "": [rlm.Reply(str(n), usage=spends) for n in range(20)],
    }
    result = run(
        cell("e = llm_query('dig', recursive=True)\nsubmit(answer='found')"),
        sub_model=ScriptedLM(replies, name="scripted/sub", price=CHEAP),
        limits=limits,
    )
    assert result.value == "found"
    answered = [call for call in result.calls() if call.parent == "0.1" and not call.error]
    assert 0 < len(answered) < 20
    assert result.sub_calls <= (3 if "max_sub_calls" in limits else 21)
    assert result.usage.total_tokens <= (40_000 if "max_tokens" in limits else 200_000)
    assert result.cost is not None
    assert result.cost <= Decimal("0.05" if "max_cost_usd" in limits else "1")


def test_rr43_the_budget_as_a_result_and_in_a_cell() -> None:
    result = run(
        cell("llm_query('x')\nleft = budget()\nprint(left)"),
        cell("submit(answer=left)"),
        signature="-> answer: dict[str, Any]",
        sub_model=sub("y"),
        limits={"max_sub_calls": 5, "max_cost_usd": 1},
    )
    assert (result.sub_calls, result.usage.total_tokens) == (1, 330)
    assert result.cost == 3 * CHEAP.cost(USED)
    assert result.value["sub_calls"] == 1
    assert result.value["tokens"] == 220
    assert set(result.value["limits"]) == {"max_sub_calls", "max_cost_usd"}
    assert Decimal(str(result.value["left_usd"])) < 1


@pytest.mark.parametrize("limits", [{"max_llm_calls": 2}, {"max_iterations": 1}])
def test_rr44_a_limit_forces_an_answer_and_raises_nothing(limits: dict[str, Any]) -> None:
    result = run(cell("x = 1"), final("what I know"), limits=limits)
    assert (result.status, result.forced) == ("completed", True)
    assert result.value == "what I know"
    assert result.ended_by == next(iter(limits))


def test_rr44_a_limit_on_sub_calls_is_told_to_the_cell() -> None:
    code = """
llm_query("first")
try:
    llm_query("second")
except BudgetExceeded as error:
    found = [error.limit, str(error)]
"""
    found = probe(code, sub_model=sub("a"), limits={"max_sub_calls": 1})
    assert found[0] == "max_sub_calls"


# Routing --------------------------------------------------------------------------------------


def test_rr45_a_model_of_their_own_for_sub_calls() -> None:
    with sub("from the small one") as small:
        result = run(cell("submit(answer=llm_query('x'))"), sub_model=small)
    assert result.value == "from the small one"
    assert [call.model for call in result.calls()] == ["scripted/root", "scripted/sub"]


def test_rr45_without_one_the_root_model_answers_sub_calls() -> None:
    assert run(cell("submit(answer=llm_query('x'))"), "itself").value == "itself"


def test_rr46_the_roster_stands_in_the_prompt_by_cost() -> None:
    dear = sub(name="scripted/dear", price=Price.per_million(10, 30))
    small = sub(name="scripted/small", price=Price.per_million("0.1", "0.4"))
    unpriced = sub(name="scripted/unpriced", price=None)
    with scripted(final("a")) as lm:
        rlm.predict(
            "text -> answer: str",
            input={"text": "t"},
            model=lm,
            sub_model=small,
            models=[unpriced, dear],
        )
    shown = told(lm)
    names = ["scripted/small", "scripted/root", "scripted/dear", "scripted/unpriced"]
    places = [shown.index(f"`{name}`") for name in names]
    assert places == sorted(places)
    assert "$0.1 in and $0.4 out" in shown
    assert "price unknown" in shown


def test_rr47_an_explicit_model_beats_the_default() -> None:
    with sub() as small, sub("named", name="scripted/other") as other:
        code = "found = llm_query('x', model='scripted/other')"
        assert probe(code, sub_model=small, models=[other]) == "named"


def test_rr47_a_model_that_is_not_allowed_is_refused_and_the_run_goes_on() -> None:
    code = """
try:
    llm_query("x", model="scripted/forbidden")
except PolicyViolation as error:
    found = str(error)
"""
    found = probe(code)
    assert "'scripted/forbidden' is not allowed" in found
    assert "'scripted/root'" in found


def test_rr48_routing_by_query_and_at_most_so_many_at_once() -> None:
    busy = {"now": 0, "most": 0}

    async def slow(request: rlm.Request) -> rlm.Reply:
        import asyncio

        busy["now"] += 1
        busy["most"] = max(busy["most"], busy["now"])
        await asyncio.sleep(0.005)
        busy["now"] -= 1
        return rlm.Reply("slow " + request.prompt, usage=USED)

    with sub(*[slow] * 6) as small, sub("fast", name="scripted/fast") as fast:
        found = probe(
            "found = parallel_queries(*[f'q{n}' for n in range(6)],"
            " {'prompt': 'z', 'model': 'scripted/fast'}, max_concurrency=3)",
            sub_model=small,
            models=[fast],
        )
    assert found == [*[f"slow q{n}" for n in range(6)], "fast"]
    assert busy["most"] == 3


# Logs -----------------------------------------------------------------------------------------


def test_rr96_one_jsonl_file_a_run(tmp_path: Path) -> None:
    results = [run(final(answer), log_dir=tmp_path / "logs") for answer in ("a", "b")]
    files = sorted((tmp_path / "logs").glob("*.jsonl"))
    assert sorted(result.log for result in results) == [str(file) for file in files]
    for result in results:
        lines = Path(result.log).read_text(encoding="utf-8").splitlines()
        assert [json.loads(line)["seq"] for line in lines] == list(range(len(lines)))
        assert rlm.Result(rlm.Trace.read(result.log)) == result


def test_rr97_a_log_tells_of_start_turns_executions_children_and_end(tmp_path: Path) -> None:
    result = run(
        cell("print(llm_query('dig', recursive=True))"),
        cell("submit(answer='deep')"),
        final("done"),
        log_dir=tmp_path,
    )
    logged = [json.loads(line) for line in Path(result.log).read_text("utf-8").splitlines()]
    types = [line["type"] for line in logged]
    assert types[0] == "run_started"
    assert types[-1] == "run_finished"
    for each in ("action_parsed", "cell_started", "code_executed", "model_replied"):
        assert types.count(each) >= 2
    parents = {e["call"]: e["parent"] for e in logged if e["type"] == "call_started"}
    assert parents == {"0": "", "0.1": "0"}


@pytest.mark.parametrize("part", ["reply", "loop", "sandbox_process", "subcalls", "lm_resilient"])
def test_rr99_parser_loop_repl_recursion_and_retries_have_tests(part: str) -> None:
    tree = ast.parse((Path(__file__).parents[1] / f"test_{part}.py").read_text(encoding="utf-8"))
    tests = [each for each in tree.body if isinstance(each, ast.FunctionDef)]
    assert any(each.name.startswith("test_") for each in tests)
