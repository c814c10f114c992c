from __future__ import annotations

from typing import Any

import pytest
from runs import cell, final, probe, run, sub

import rlm
from rlm import events


@rlm.tool
def add(left: int, right: int = 1) -> int:
    """Add two numbers."""
    return left + right


def test_each_crossing_has_a_call_and_a_return() -> None:
    code = """
for name in ("q", "q"):
    llm_query(name)
try:
    add("x")
except ToolError:
    pass
submit(str(budget()["tool_calls"]))
"""
    result = run(cell(code), sub_model=sub("r"), tools=[add])
    called = result.trace.of(events.BridgeCalled)
    returned = {e.bridge: e for e in result.trace.of(events.BridgeReturned)}
    assert [e.function for e in called] == ["llm_query", "llm_query", "add", "budget", "submit"]
    assert [e.bridge for e in called] == sorted(returned)
    failed = returned[called[2].bridge].error
    assert failed is not None
    assert failed.type == "ToolError"
    assert returned[called[3].bridge].value["tool_calls"] == 1


def test_equal_requests_have_equal_keys() -> None:
    code = "add(1)\nadd(1)\nadd(2)\nadd(left=1)\nsubmit('a')"
    result = run(cell(code), tools=[add])
    one, same, other, named, _ = (e.key for e in result.trace.of(events.BridgeCalled))
    assert one == same
    assert len({one, other, named}) == 3


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("llm_query(3)", "llm_query takes a text, not int"),
        ("llm_query('q', modle='x')", "modle"),
        ("predict(3)", "a signature is a text here, not int"),
        ("parallel_predict('a, b -> n', [1])", "inputs are given by name (a, b)"),
        ("parallel_predict('text -> n', 'rows')", "takes a list of rows"),
        ("parallel_queries('a', max_concurrency='many')", "max_concurrency = 'many'"),
        ("parallel_queries('a', max_concurrency=-1)", "max_concurrency = -1"),
        ("llm_query('q', sample='x')", "sample = 'x': give a whole number"),
        ("llm_query('q', model=3)", "the model 3 is not allowed"),
    ],
)
def test_wrong_arguments_are_an_exception_in_the_cell_and_nothing_more(
    call: str, said: str
) -> None:
    code = f"try:\n    found = [str(x) for x in [{call}]]\nexcept Exception as e: found = str(e)"
    assert said in str(probe(code))


def test_a_cell_that_calls_the_host_without_end_is_refused_and_leaves_no_more_facts() -> None:
    code = """
import time
def calls(function):
    for count in range(11_000):
        try:
            function()
        except ToolError as error:
            return count, str(error)
found = [calls(lambda: log("x" * 10_000)), calls(budget)]
found += [calls(budget)[0]]
print(found)
"""
    result = run(cell(code), cell("submit(str(found) + str(bool(budget())))"))
    logged, crossed, still = 100, 9_899, 0
    assert str(result.output["answer"]).endswith("True")  # the next cell begins anew
    assert f"({logged}, 'a cell may log 1,000,000 characters: print the rest')" in result.value
    assert f"({crossed}, 'a cell may call the host 10,000 times" in result.value
    assert f", {still}]" in result.value
    assert len(result.trace.of(events.BridgeCalled)) == 10_002


def test_more_sub_calls_at_once_than_may_be_are_refused_before_anything_is_made() -> None:
    code = """
found = []
for ask in (lambda: parallel_queries(*["q"] * 100_001), lambda: parallel_queries(*[0] * 3000)):
    try: found.append([str(each.error) for each in ask()][:1])
    except ToolError as error: found.append(str(error))
"""
    found = probe(code)
    assert found[0] == "100,001 sub-calls at once: 100,000 are the most"


def test_nothing_is_kept_of_what_is_too_long_to_be_asked() -> None:
    code = """
found = []
for more in ({}, {"output": "int"}, {"context": "short", "recursive": True}):
    try:
        llm_query("secret words " * 400_000, **more)
    except Exception as error:
        found.append(type(error).__name__)
submit(str(found))
"""
    result = run(cell(code), sub_model=sub("r"))
    assert result.value == str(["ContextWindowExceeded"] * 3)
    assert "secret words secret words" not in result.trace.to_jsonl().replace(code, "")
    assert len(result.trace.to_jsonl()) < 100_000


def test_what_a_cell_gives_is_quoted_by_its_ends() -> None:
    code = """
long = "y" * 2_000_000
def tried(function):
    try: function()
    except Exception as error: return len(str(error))
found = [
    tried(lambda: llm_query("x", model=long)), tried(lambda: llm_query("x", sample=long)),
    tried(lambda: llm_query("x", output=long)), tried(lambda: submit(**{long: 1})),
    tried(lambda: parallel_queries("x", max_concurrency=long)),
]
"""
    result = run(cell(code), cell("submit(str(max(found)))"), tools=[add])
    assert int(result.value) < 11_000
    assert len(result.trace.to_jsonl()) < 200_000


def test_the_host_runs_nothing_but_its_table() -> None:
    code = """
import sys
made = sys.modules["__main__"].llm_query.__closure__[0].cell_contents
found = []
for name in ("__class__", "eval", "_tool", "aclose", ""):
    try:
        made(name, (), {})
    except Exception as error:
        found.append(type(error).__name__)
"""
    found = probe(code)
    assert len(found) == 5


def test_without_depth_there_are_no_sub_calls_even_for_who_forges_one() -> None:
    code = """
import sys
call = sys.modules["__main__"].budget.__closure__[0].cell_contents
try:
    call("llm_query", ("q",), {})
    found = "it was asked"
except Exception as error:
    found = type(error).__name__
"""
    assert probe(code, limits={"max_depth": 0}) != "it was asked"


def test_a_note_is_an_event() -> None:
    result = run(cell("log('first')\nlog({'second': 2})"), final("a"))
    assert [e.message for e in result.trace.of(events.Logged)] == ["first", "{'second': 2}"]
    assert {e.level for e in result.trace.of(events.Logged)} == {"info"}


def test_the_budget_in_a_cell_has_a_forecast() -> None:
    code = "llm_query('q')\nfound = budget()"
    found: dict[str, Any] = probe(code, sub_model=sub("r"), limits={"max_cost_usd": 1})
    assert found["calls_affordable"] > 100
    assert float(found["usd_per_call"]) == pytest.approx(0.00012)
    assert float(found["spent_usd"]) == pytest.approx(0.00024)
