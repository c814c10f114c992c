"""LESSONS 38-42: cache and trace."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lawful import check_endings, checked, lines
from parts import Ask, cell, served

import rlm
from rlm import events
from rlm.errors import AuthenticationFailed, ProviderError
from rlm.testing import LoopbackServer, ScriptedLM, ServerReply, ServerRequest
from rlm.trace import Trace


def test_lesson_38_500_queries_with_50_distinct_prompts_are_50_requests(predict: Ask) -> None:
    code = """
replies = parallel_queries(*[f"prompt {n % 50}" for n in range(500)])
submit(right=[str(r) for r in replies] == [f"<{n % 50}>" for n in range(500)], n=len(replies))
"""

    def play(request: ServerRequest) -> ServerReply:
        if request.prompt.startswith("prompt "):
            return ServerReply(f"<{request.prompt.split()[1]}>", delay=0.02)
        return ServerReply(cell(code))

    with LoopbackServer(play, prices={"x": (1.0, 1.0)}) as server:
        result = predict("-> right: bool, n: int", model=served(server))
        assert server.billed.requests == 51
        assert result.cost == server.billed.dollars and result.usage == server.billed.usage
    assert result.output == {"right": True, "n": 500}
    assert result.cache == {"hits": 450, "misses": 50, "size": 50}
    assert result.llm_calls == 51


@pytest.mark.parametrize(
    "differing",
    [
        ["llm_query('q', context='a')", "llm_query('q', context='b')"],
        ["llm_query('q', model='one/x')", "llm_query('q', model='two/x')"],
        ["llm_query('q')", "predict('-> y: str', instructions='q')"],
    ],
    ids=["content", "model", "contract"],
)
def test_lesson_38_what_decides_a_reply_is_part_of_the_key(
    complete: Ask, differing: list[str]
) -> None:
    code = "\n".join(f"r{n} = {call}" for n, call in enumerate(differing))
    root = ScriptedLM([cell(f"{code}\nsubmit('x')")], name="root/x")
    subs = [ScriptedLM(['{"y": "s"}'] * 2, name=f"{name}/x") for name in ("one", "two")]
    result = complete("Go", model=root, sub_model=subs[0], models=subs)
    assert result.value == "x" and result.cache["hits"] == 0
    assert sum(len(sub.requests) for sub in subs) == 2


def test_lesson_38_a_failure_is_not_kept(complete: Ask) -> None:
    code = """
try:
    llm_query("q")
except ProviderError:
    pass
submit(llm_query("q"))
"""
    sub = ScriptedLM([ProviderError("once"), "second time"], name="sub/x")
    with ScriptedLM([cell(code)]) as lm:
        assert complete("Go", model=lm, sub_model=sub).value == "second time"


def test_lesson_39_five_samples_are_five_requests(predict: Ask) -> None:
    code = """
five = parallel_queries(*[{"prompt": "toss", "sample": n} for n in range(5)])
again = [llm_query("toss", sample=n) for n in range(5)]
submit(distinct=len(set(five)), same=again == five)
"""
    with ScriptedLM([cell(code), "a", "b", "c", "d", "e"]) as lm:
        result = predict("-> distinct: int, same: bool", model=lm)
    assert result.output == {"distinct": 5, "same": True}
    assert [c.sample for c in result.trace.of(events.CallStarted)][1:] == [0, 1, 2, 3, 4] * 2


@pytest.mark.parametrize("observed", ["print('line ' * 50)", "x = 1"])
def test_lesson_40_a_log_grows_with_the_turns_and_not_with_their_square(
    complete: Ask, observed: str
) -> None:
    sizes = []
    for turns in (50, 100):
        with ScriptedLM([*[cell(observed)] * (turns - 1), cell("submit('x')")]) as lm:
            result = complete("Go", model=lm, limits={"max_iterations": 200})
        sizes.append(Path(result.log).stat().st_size)
    assert sizes[1] < 2.1 * sizes[0]


def test_lesson_40_each_message_is_written_once(complete: Ask) -> None:
    replies = [cell(f"print('unique-{n}')") for n in range(6)]
    with ScriptedLM([*replies, cell("submit('x')")]) as lm:
        result = complete("The only task of its kind", context="d" * 5_000, model=lm)
    messages = [line for line in lines(result.log) if line["type"] == "message_added"]
    contents = [m["content"] for m in messages if "content" in m]
    assert len(contents) == len(set(contents))
    asked = [line for line in lines(result.log) if line["type"] == "model_asked"]
    assert all("content" not in json.dumps(line) for line in asked)
    assert sum("The only task of its kind" in json.dumps(m) for m in messages) == 1


FAILING: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "provider": ([ProviderError("down")], {}),
    "key": ([AuthenticationFailed("who?")], {}),
    "garbage": (["?"] * 3, {"max_errors": 3, "on_exceeded": "fail"}),
    "failing cells": ([cell("1/0")] * 3, {"max_errors": 3, "on_exceeded": "fail"}),
    "turns": ([cell("1")] * 2, {"max_iterations": 2, "on_exceeded": "fail"}),
    "a bad last answer": ([cell("1"), ""], {"max_iterations": 1}),
    "no last answer": ([cell("1"), ProviderError("down")], {"max_iterations": 1}),
    "time": ([cell("import time; time.sleep(30)")], {"max_seconds": 1, "on_exceeded": "fail"}),
}


@pytest.mark.parametrize("kind", FAILING)
def test_lesson_41_a_failure_has_exactly_one_ending(complete: Ask, kind: str) -> None:
    replies, limits = FAILING[kind]
    with ScriptedLM(replies) as lm:
        result = complete("Go", model=lm, limits=limits)
    assert result.failed and result.error is not None
    assert lines(result.log)[-1]["type"] == "run_finished"
    with pytest.raises(type(result.error)):
        _ = result.output


def test_lesson_41_two_failures_at_once_have_their_endings(complete: Ask) -> None:
    code = "r = parallel_queries('a', 'b', 'c')\nraise RuntimeError('and then this')"
    with (
        ScriptedLM([cell(code), ProviderError("down as well")]) as lm,
        ScriptedLM([ProviderError("down")] * 3, name="sub/x") as sub,
    ):
        result = complete("Go", model=lm, sub_model=sub, limits={"max_iterations": 2})
    assert result.status == "provider_error"
    assert len(result.trace.of(events.CallFailed)) == 4


def test_lesson_42_the_log_the_live_view_and_the_result_tell_the_same(tmp_path: Path) -> None:
    seen: list[events.Event] = []

    def watch(what: Any) -> None:
        if isinstance(what, events.Event):
            seen.append(what)

    with ScriptedLM([cell("print(llm_query('q'))"), "a", cell("submit('x')")]) as lm:
        result = checked(rlm.completion("Go", model=lm, log_dir=tmp_path, on_event=watch))
    assert seen == result.trace.events
    assert [e.type for e in seen] == [line["type"] for line in lines(result.log)]
    assert seen[-1].type == "run_finished"


def test_lesson_42_a_late_reader_sees_the_success_and_nothing_after_it(tmp_path: Path) -> None:
    async def main() -> rlm.Result[Any]:
        with ScriptedLM([cell("submit('x')")]) as lm:
            stream = rlm.astream("Go", model=lm, log_dir=tmp_path, stream=True)
            result = await stream.result()
            stream.cancel()  # too late to change anything
            late = [item async for item in stream]
        facts = [item for item in late if isinstance(item, events.Event)]
        assert facts == result.trace.events
        return result

    result = checked(asyncio.run(main()))
    assert result.ok and isinstance(result.trace.events[-1], events.RunFinished)
    assert result.trace.events[-1].status == "completed"


def test_lesson_42_a_view_that_fails_changes_nothing(
    complete: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(what: Any) -> None:
        raise RuntimeError("a view of somebody's")

    views: list[Callable[[Any], None]] = [broken]
    with ScriptedLM([cell("submit('x')")]) as lm:
        result = complete("Go", model=lm, on_event=views)
    assert result.ok
    assert len(caplog.records) == 1 and "a sink failed" in caplog.text


def test_lesson_42_the_log_can_be_read_while_the_run_goes_on(tmp_path: Path) -> None:
    found: list[int] = []

    def watch(what: Any) -> None:
        (log,) = tmp_path.glob("*.jsonl")
        found.append(len(Trace.read(log)))

    with ScriptedLM([cell("1"), cell("submit('x')")]) as lm:
        result = checked(rlm.completion("Go", model=lm, log_dir=tmp_path, on_event=watch))
    assert found == list(range(1, len(result.trace) + 1))  # each is on disk before it is shown
    check_endings(Trace.read(result.log).events)
