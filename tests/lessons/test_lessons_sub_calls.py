"""LESSONS 12-18: sub-calls and recursion."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from parts import Ask, cell, served

from rlm import events
from rlm.errors import ProviderError, RateLimited
from rlm.lm.base import Request
from rlm.testing import LoopbackServer, ScriptedLM, ServerReply, ServerRequest
from rlm.usage import Price, Usage


def test_lesson_12_a_failure_is_an_exception_in_the_cell(complete: Ask) -> None:
    code = """
try:
    llm_query("hopeless")
except ProviderError as error:
    submit(f"{type(error).__name__}: {error}")
"""
    with ScriptedLM({"hopeless": [ProviderError("no such model")], "": [cell(code)]}) as lm:
        result = complete("Ask", model=lm, sub_model=lm)
    assert result.value == "ProviderError: no such model"


def test_lesson_12_a_failure_in_a_batch_is_falsy_and_keeps_its_slot(predict: Ask) -> None:
    code = """
replies = parallel_queries(*[f"item-{n}-" for n in range(9)])
submit(
    length=len(replies),
    good=[str(r) for r in replies if r],
    kinds=sorted({f.error for f in replies.failures}),
    where=[n for n, r in enumerate(replies) if isinstance(r, Failure)],
    joined="".join(r for r in replies if r),
)
"""

    def answer(request: Request) -> str:
        number = int(request.prompt.split("-")[1])
        if number % 3 == 0:
            raise RateLimited("no", retry_after=3600)
        return f"<{number}>"

    with ScriptedLM({"item-": [answer] * 9, "": [cell(code)]}) as lm:
        result = predict(
            "-> length: int, good: list[str], kinds: list[str], where: list[int], joined: str",
            model=lm,
        )
    good = [f"<{n}>" for n in range(9) if n % 3]
    assert result.output == {
        "length": 9,
        "good": good,
        "kinds": ["RateLimited"],
        "where": [0, 3, 6],
        "joined": "".join(good),
    }


def test_lesson_12_a_batch_without_money_has_the_length_of_its_prompts(predict: Ask) -> None:
    code = """
replies = parallel_queries(*[f"item {n}" for n in range(20)])
submit(length=len(replies), good=sum(map(bool, replies)), kinds=[f.error for f in replies.failures])
"""
    with ScriptedLM({"item ": ["yes"] * 5, "": [cell(code)]}) as lm:
        result = predict(
            "-> length: int, good: int, kinds: list[str]", model=lm, limits={"max_sub_calls": 5}
        )
    assert result.output == {"length": 20, "good": 5, "kinds": ["BudgetExceeded"] * 15}


def test_lesson_13_every_sub_call_is_on_the_trace_and_in_the_count(complete: Ask) -> None:
    code = """
a = llm_query("one")
b, c = parallel_queries("two", {"prompt": "three"})
d = predict("x -> y: str", x="four")
e, = parallel_predict("x -> y: str", [{"x": "five"}])
f = rlm_query("six")
submit(a + b + c + d.y + e.y + f)
"""

    def play(request: ServerRequest) -> str:
        if any("submit(" in m.content for m in request.messages):
            return cell(code)
        number = str(next(n for n, word in enumerate(WORDS) if word in request.prompt))
        return json.dumps({"y": number}) if request.messages[0].role == "system" else number

    with LoopbackServer(play) as server:
        result = complete("Ask", model=served(server), limits={"max_llm_calls": 8})
        assert result.value == "012345"
        assert result.llm_calls == server.billed.requests == 7
        assert result.sub_calls == 6
    asked = {e.call for e in result.trace.of(events.ModelAsked)}
    assert asked == {"0", *(f"0.{n}" for n in range(1, 7))}


WORDS = ["one", "two", "three", "four", "five", "six"]


def test_lesson_14_a_childs_cost_is_in_the_total_and_equals_the_bill(complete: Ask) -> None:
    root = """
first = llm_query("part", context="a" * 50, recursive=True)
rest = parallel_queries("leaf 1", "leaf 2", max_concurrency=2)
submit(first + rest[0] + rest[1])
"""
    child = "submit(llm_query('grandchild ' + context[:3]))"

    def play(request: ServerRequest) -> ServerReply:
        text = "\n".join(m.content for m in request.messages)
        if "grandchild" in request.prompt:
            return ServerReply("G", usage=Usage(input_tokens=1_000, output_tokens=10))
        if request.prompt.startswith("leaf"):
            return ServerReply("L", usage=Usage(input_tokens=3, output_tokens=1))
        code = child if "part" in text and "Shout" not in text else root
        return ServerReply(cell(code), usage=Usage(input_tokens=200, output_tokens=20))

    with LoopbackServer(play, prices={"x": (3.0, 15.0)}) as server:
        result = complete("Shout", context="b", model=served(server))
        assert result.value == "GLL"
        assert result.cost == server.billed.dollars > 0
        assert result.usage == server.billed.usage
    calls = {call.id: call for call in result.calls()}
    assert calls["0.1"].route == "repl" and calls["0.1.1"].route == "completion"
    assert sum(call.cost or Decimal(0) for call in calls.values()) == result.cost
    assert calls["0.1.1"].cost == Price.per_million(3, 15).cost(
        Usage(input_tokens=1_000, output_tokens=10)
    )


def test_lesson_14_a_models_earlier_runs_are_not_in_the_cost(complete: Ask) -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    lm = ScriptedLM([cell("submit('x')")] * 2, usage=usage, price=Price.per_million(1, 1))
    first, second = (complete("Go", model=lm) for _ in range(2))
    assert first.cost == second.cost == Decimal(1)


def test_lesson_15_every_depth_and_route_has_one_return_type(predict: Ask) -> None:
    code = """
def facts(reply):
    return [type(reply).__name__, isinstance(reply, str), str(reply), reply.value,
            reply.iterations, reply.forced, type(reply.cost).__name__]
flat = llm_query("plain")
deep = llm_query("deep", context="data", recursive=True)
batch = parallel_queries("plain b", {"prompt": "deep b", "context": "data", "recursive": True})
submit(rows=[facts(r) for r in (flat, deep, *batch)])
"""
    child = cell("submit('answer')")
    routes: dict[str, list[Any]] = {"plain": ["answer"] * 2, "Rows": [cell(code)], "": [child] * 2}
    price = Price.per_million(1, 1)
    with ScriptedLM(routes, usage=Usage(input_tokens=5, output_tokens=5), price=price) as lm:
        result = predict("-> rows: list[list]", model=lm, instructions="Rows")
    assert result.value == [["Episode", True, "answer", "answer", 1, False, "Decimal"]] * 4


def test_lesson_15_beyond_the_depth_it_is_an_exception_and_no_other_type(complete: Ask) -> None:
    child = """
try:
    llm_query("deeper", context="x", recursive=True)
except BudgetExceeded as error:
    submit(f"{type(error).__name__} {error.limit} {error.used} {error.cap}")
"""
    routes = {
        "Root": [cell("submit(llm_query('c', context='x', recursive=True))")],
        "": [cell(child)],
    }
    with ScriptedLM(routes) as lm:
        result = complete("Root", model=lm, limits={"max_depth": 2})
    assert result.value == "BudgetExceeded max_depth 2 2"


def test_lesson_16_a_child_is_a_full_node_with_its_own_sandbox_and_the_same_purse(
    complete: Ask,
) -> None:
    root = """
secret = "of the parent"
replies = [llm_query("child", context=f"ctx{n}", recursive=True, sample=n) for n in range(2)]
submit("|".join([*replies, secret, str(budget()["llm_calls"])]))
"""
    child = """
seen = "secret" in globals()
secret = "of a child"
submit(f"{context} {seen} {budget()['llm_calls']} {llm_query('grand ' + context)}")
"""
    routes = {"Root": [cell(root)], "grand": ["g"] * 2, "": [cell(child)] * 2}
    with ScriptedLM(routes) as lm:
        result = complete("Root", model=lm)
    assert result.value == "ctx0 False 2 g|ctx1 False 4 g|of the parent|5"
    assert [c.id for c in result.calls()] == ["0", "0.1", "0.1.1", "0.2", "0.2.1"]
    assert len(result.trace.of(events.SessionOpened)) == 3


def test_lesson_17_a_prompt_longer_than_the_window_is_refused_before_it_is_sent(
    predict: Ask,
) -> None:
    code = """
try:
    llm_query("count " + "word " * 30_000)
except ContextWindowExceeded as error:
    submit(said=str(error), tokens=error.tokens, window=error.window)
"""
    with LoopbackServer([cell(code)]) as server:
        result = predict(
            "-> said: str, tokens: int, window: int", model=served(server, window=12_000)
        )
        assert len(server.requests) == 1  # the root's own turn
    told = result.output
    assert told["window"] == 12_000 and 28_000 < told["tokens"] < 40_000
    assert "12,000" in told["said"] and f"{told['tokens']:,}" in told["said"]


def test_lesson_17_in_a_batch_only_the_long_one_fails(predict: Ask) -> None:
    code = """
replies = parallel_queries("short", "word " * 30_000, "brief")
submit(said=[str(r) if r else r.error for r in replies])
"""
    with LoopbackServer([cell(code), "ok", "ok"]) as server:
        result = predict("-> said: list[str]", model=served(server, window=12_000))
        assert len(server.requests) == 3
    assert result.value == ["ok", "ContextWindowExceeded", "ok"]


@pytest.mark.parametrize("concurrency", [1, 2])
def test_lesson_18_a_tree_of_depth_three_finishes_with_one_slot(
    complete: Ask, concurrency: int
) -> None:
    """Only leaves hold slots: a parent that waits for a child cannot starve it."""
    spread = """
parts = [llm_query(f"{context}.{n}", context=f"{context}.{n}", recursive=%s) for n in range(2)]
both = parallel_queries(*[
    {"prompt": f"{context}.p{n}", "context": f"{context}.p{n}", "recursive": %s} for n in range(2)
])
submit(" ".join([*parts, *both]))
"""

    def play(request: Request) -> str:
        if len(request.messages) == 1:
            return "leaf"
        opening = request.messages[1].content.split()
        recursive = max(word.count(".") for word in opening if "root" in word) < 2
        return cell(spread % (recursive, recursive))

    lm = ScriptedLM([play] * 85)
    limits = {"max_depth": 3, "max_concurrency": concurrency}
    result = complete("Go", context="root", model=lm, limits=limits)
    calls = result.calls()
    assert result.ok and len(calls) == 1 + 4 + 16 + 64
    assert result.value == " ".join(["leaf"] * 64)
    assert {c.status for c in calls} == {"finished"}
