"""LESSONS 19-24: the budget."""

from __future__ import annotations

import asyncio
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lawful import checked
from parts import Ask, cell, served

import rlm
from rlm import events
from rlm.lm.base import Reply, Request
from rlm.testing import LoopbackServer, ScriptedLM, ServerReply, ServerRequest
from rlm.usage import Price, Usage

PRICES = {"x": (1.0, 100.0)}  # dollars a million tokens: output decides


def children(count: int, output_tokens: int, then: str = "submit(str(good))") -> Any:
    """Play a root that sends so many children at once, each of which bills so many tokens."""
    code = f"""
replies = parallel_queries(*[f"child {{n}}" for n in range({count})])
good = sum(map(bool, replies))
{then}
"""

    def play(request: ServerRequest) -> ServerReply:
        if request.prompt.startswith("child "):
            used = Usage(input_tokens=10, output_tokens=output_tokens)
            return ServerReply("yes", usage=used, delay=0.002)
        return ServerReply(cell(code), usage=Usage(input_tokens=100, output_tokens=20))

    return play


@pytest.mark.parametrize("concurrency", [2, 8, 64])
def test_lesson_19_parallel_children_cannot_all_pass_the_same_check(
    complete: Ask, concurrency: int
) -> None:
    cap = Decimal("0.25")
    with LoopbackServer(children(40, 200), prices=PRICES) as server:
        result = complete(
            "Ask",
            model=served(server),
            limits={
                "max_cost_usd": cap,
                "max_concurrency": concurrency,
                "max_output_tokens": 1_000,
            },
        )
        billed = server.billed.dollars
    assert billed <= cap
    assert result.cost == billed
    assert result.ok


@pytest.mark.parametrize("concurrency", [2, 16])
def test_lesson_19_tokens_are_held_like_money(complete: Ask, concurrency: int) -> None:
    with LoopbackServer(children(40, 200), prices=PRICES) as server:
        limits = {"max_tokens": 20_000, "max_concurrency": concurrency, "max_output_tokens": 500}
        result = complete("Ask", model=served(server), limits=limits)
        billed = server.billed.usage.total_tokens
    assert billed <= 20_000 and result.usage.total_tokens == billed
    assert result.ok


def test_lesson_20_the_last_request_is_paid_from_money_held_back(complete: Ask) -> None:
    """The cells spend all they may; what was held back still pays for the answer."""

    def play(request: ServerRequest) -> ServerReply:
        if request.prompt.startswith("child "):
            return ServerReply("yes", usage=Usage(input_tokens=10, output_tokens=900))
        if any("spend" in m.content and m.role == "assistant" for m in request.messages):
            return ServerReply("```final\n7\n```", usage=Usage(input_tokens=50, output_tokens=9))
        code = "for spend in range(100):\n    llm_query(f'child {spend}')"
        return ServerReply(cell(code), usage=Usage(input_tokens=100, output_tokens=20))

    cap = Decimal("0.50")
    with LoopbackServer(play, prices=PRICES) as server:
        limits = {"max_cost_usd": cap, "max_output_tokens": 1_000, "max_iterations": 2}
        result = complete("Ask", model=served(server), limits=limits)
        assert server.billed.dollars <= cap and result.cost == server.billed.dollars
    assert result.value == "7" and result.ok


def test_lesson_20_a_paid_answer_is_not_thrown_away(predict: Ask) -> None:
    """The reply that uses up the last of the money is still used."""
    usage = Usage(input_tokens=0, output_tokens=1_000)
    with ScriptedLM([cell("submit(n=1)")], usage=usage, price=Price.per_million(0, 1000)) as lm:
        result = predict(
            "-> n: int", model=lm, limits={"max_cost_usd": 1, "max_output_tokens": 1_000}
        )
    assert result.value == 1 and result.cost == 1 and len(lm.requests) == 1


def test_lesson_20_a_last_request_that_is_tried_again_keeps_what_was_held_back(
    complete: Ask,
) -> None:
    """A retry of the last request is not refused for the reserve that exists for it."""
    script: list[Any] = [
        {"reply": cell("x = 1"), "usage": {"input_tokens": 100, "output_tokens": 7_000}},
        {"fault": {"status": 429, "retry_after": 0}},
        {"reply": "```final\nhere\n```", "usage": {"input_tokens": 100, "output_tokens": 9}},
    ]
    limits = {"max_cost_usd": "0.9", "max_output_tokens": 7_500, "max_iterations": 1}
    with LoopbackServer(script, prices=PRICES) as server:
        result = complete("Ask", model=served(server), limits=limits)
        assert server.billed.dollars <= Decimal("0.9")
    assert result.value == "here" and result.forced


def test_lesson_21_a_money_limit_with_an_unpriced_model_is_refused(tmp_path: Path) -> None:
    with ScriptedLM([]) as lm, pytest.raises(rlm.ConfigurationError) as refused:
        rlm.completion("Ask", model=lm, limits={"max_cost_usd": 1}, log_dir=tmp_path)
    assert "scripted/model" in str(refused.value) and "prices=" in str(refused.value)
    assert list(tmp_path.iterdir()) == []  # nothing was started


def test_lesson_21_an_unknown_price_is_none_and_one_that_is_given_counts(complete: Ask) -> None:
    usage = Usage(input_tokens=10, output_tokens=1_000)
    for prices, cost in (({}, None), ({"scripted/model": (0, 5)}, Decimal("0.005"))):
        with ScriptedLM([cell("submit('x')")], usage=usage) as lm:
            limits = {"max_cost_usd": 1} if prices else {}
            result = complete("Ask", model=lm, prices=prices, limits=limits)
        assert result.cost == cost


def test_lesson_21_one_unpriced_sub_model_makes_the_total_unknown_not_less(complete: Ask) -> None:
    priced = ScriptedLM(
        [cell("submit(llm_query('q'))")],
        usage=Usage(input_tokens=1, output_tokens=1),
        price=Price.per_million(1, 1),
    )
    sub = ScriptedLM(["x"], name="other/model", usage=Usage(input_tokens=1, output_tokens=1))
    result = complete("Ask", model=priced, sub_model=sub)
    assert result.cost is None
    assert result.cost_by_model == {"scripted/model": Decimal("0.000002"), "other/model": None}


def test_lesson_22_a_cancelled_request_keeps_its_estimate(tmp_path: Path) -> None:
    script = [{"reply": "late", "delay": 60}]
    with LoopbackServer(script, prices=PRICES) as server:

        async def main() -> rlm.Result[Any]:
            stream = rlm.astream("Ask", model=served(server), log_dir=tmp_path, stream=False)
            while not server.requests:  # noqa: ASYNC110 - the server lives in another thread
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.02)
            stream.cancel()
            return await stream.result()

        result = checked(asyncio.run(main()))
        assert server.billed.requests == 1
        assert result.status == "aborted"
        assert result.cost is not None and result.cost >= server.billed.dollars > 0
        assert result.usage.total_tokens >= server.billed.usage.total_tokens > 0
    (lost,) = result.trace.of(events.ModelLost)
    (asked,) = result.trace.of(events.ModelAsked)
    assert lost.cost == asked.held_cost and lost.usage.total_tokens == asked.held_tokens


def test_lesson_22_a_request_that_timed_out_keeps_its_estimate(complete: Ask) -> None:
    code = "a, = parallel_queries('slow')\nsubmit(a.error)"
    limits = {"max_cost_usd": 5, "max_output_tokens": 1_000}

    def play(request: ServerRequest) -> ServerReply:
        late = request.prompt == "slow"
        return ServerReply("late", delay=60) if late else ServerReply(cell(code))

    with LoopbackServer(play, prices=PRICES) as server:
        slow = served(server, timeout=0.15)
        result = complete("Ask", model=served(server), sub_model=slow, limits=limits)
        assert result.value == "ProviderTimeout"
        assert result.cost is not None and result.cost >= server.billed.dollars
        assert server.billed.requests > 1


def test_lesson_22_a_run_that_is_out_of_time_keeps_the_estimates_of_its_children(
    complete: Ask,
) -> None:
    def play(request: ServerRequest) -> ServerReply:
        if request.prompt.startswith("child"):
            return ServerReply("late", delay=60)
        if len(request.messages) > 2:
            return ServerReply("```final\ngave up\n```")
        return ServerReply(cell("parallel_queries(*[f'child {n}' for n in range(5)])"))

    with LoopbackServer(play, prices=PRICES) as server:
        result = complete("Ask", model=served(server), limits={"max_seconds": 1.5})
        assert result.cost is not None and result.cost >= server.billed.dollars
        assert server.billed.requests == 7
    assert (result.value, result.ended_by) == ("gave up", "max_seconds")
    assert len(result.trace.of(events.ModelLost)) == 5


def test_lesson_23_a_refused_sub_call_is_an_exception_and_the_run_goes_on(complete: Ask) -> None:
    code = """
said = []
for n in range(4):
    try:
        said.append(str(llm_query(f"q{n}")))
    except BudgetExceeded as error:
        said.append(error.limit)
submit(" ".join(said))
"""
    with ScriptedLM([cell(code), "a", "b"]) as lm:
        result = complete("Ask", model=lm, limits={"max_sub_calls": 2})
    assert result.value == "a b max_sub_calls max_sub_calls"
    assert (result.status, result.ended_by, result.forced) == ("completed", "submitted", False)


def test_lesson_23_an_uncaught_refusal_is_an_observation(complete: Ask) -> None:
    replies = [cell("x = 1\nllm_query('q')"), cell("submit(x)")]
    with ScriptedLM(replies) as lm:
        result = complete("Ask", model=lm, limits={"max_sub_calls": 0})
    assert result.value == "1" and "max_sub_calls" in lm.requests[1].prompt


def test_lesson_24_calls_of_0_0004_dollars_add_up_exactly(complete: Ask) -> None:
    code = """
replies = parallel_queries(*[f"q{n}" for n in range(250)])
submit(str(replies[0].cost) + " " + str(budget()["spent_usd"]))
"""
    usage = Usage(input_tokens=0, output_tokens=4)
    sub = ScriptedLM(["a"] * 250, name="sub/x", usage=usage, price=Price.per_million(0, 100))
    root = ScriptedLM([cell(code)], usage=Usage(), price=Price.per_million(0, 0))
    result = complete("Ask", model=root, sub_model=sub)
    assert isinstance(result.cost, Decimal) and result.cost == Decimal("0.1000")
    one, spent = map(Decimal, result.value.split())
    assert (one, spent) == (Decimal("0.0004"), Decimal("0.1"))


def test_lesson_24_a_limit_is_met_to_the_last_fraction_of_a_cent(complete: Ask) -> None:
    """Ten calls of 0.0001 fit into 0.001; as floats they would not."""
    code = "r = parallel_queries(*[f'q{n}' for n in range(11)])\nsubmit(sum(map(bool, r)))"
    usage = Usage(input_tokens=0, output_tokens=1)
    sub = ScriptedLM(["a"] * 11, name="sub/x", usage=usage, price=Price.per_million(0, 100))
    root = ScriptedLM([cell(code)], usage=Usage(), price=Price.per_million(0, 0))
    limits = {"max_cost_usd": "0.001", "max_output_tokens": 1}
    result = complete("Ask", model=root, sub_model=sub, limits=limits)
    assert result.value == "10" and result.cost == Decimal("0.001")


def test_lesson_24_concurrent_runs_do_not_share_a_purse(tmp_path: Path) -> None:
    usage = Usage(input_tokens=0, output_tokens=10)

    def one(found: list[rlm.Result[Any]]) -> None:
        lm = ScriptedLM([cell("submit('x')")], usage=usage, price=Price.per_million(0, 1))
        found.append(rlm.completion("Ask", model=lm, log_dir=tmp_path))

    found: list[rlm.Result[Any]] = []
    threads = [threading.Thread(target=one, args=(found,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [checked(result).cost for result in found] == [Decimal("0.00001")] * 8


def test_lesson_21_a_fallback_without_price_is_refused_too() -> None:
    priced = ScriptedLM([], price=Price.per_million(1, 1))

    def unpriced(request: Request) -> Reply:
        raise AssertionError("never asked")

    with pytest.raises(rlm.ConfigurationError, match="price"):
        rlm.completion("Ask", model=[priced, unpriced], limits={"max_cost_usd": 1})
