"""The law of endings: each start has one ending, whatever ends it."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from lawful import checked
from parts import cell, served

import rlm
from rlm import events
from rlm.errors import ProviderError, SandboxError
from rlm.lm.base import Request
from rlm.testing import LoopbackServer, ScriptedLM, ServerReply, ServerRequest

TREE = """
first = llm_query("one", context="data " * 20, recursive=True)
rest = parallel_queries("leaf a", "leaf b", {"prompt": "two", "context": "x", "recursive": True})
looked = look("here")
print(first, rest, looked)
"""
CHILD = "import time\ntime.sleep(0.02)\nsubmit(llm_query('leaf of ' + context[:3]) + look('there'))"


async def look(where: str) -> str:
    """Look somewhere, which takes a while."""
    await asyncio.sleep(0.02)
    return where


def play(request: ServerRequest) -> ServerReply:
    if len(request.messages) == 1:
        return ServerReply("leaf", delay=0.02)
    if "Grow" not in "".join(m.content for m in request.messages[:2]):
        return ServerReply(cell(CHILD), delay=0.02)
    turn = sum(m.role == "assistant" for m in request.messages)
    return ServerReply(cell(TREE if turn < 2 else "submit('grown')"), delay=0.02)


def options(server: LoopbackServer, log: Path, **more: Any) -> Any:
    return {
        "model": served(server),
        "tools": [look],
        "log_dir": log,
        "on_event": (),
        **more,
    }


def test_a_run_that_ends_well_keeps_the_laws(tmp_path: Path) -> None:
    with LoopbackServer(play, prices={"x": (1, 1)}) as server:
        result = checked(rlm.completion("Grow", context="c", **options(server, tmp_path)))
        assert result.value == "grown" and result.cost == server.billed.dollars
    kinds = {e.type for e in result.trace}
    assert {"tool_called", "bridge_called", "session_opened", "cell_started"} <= kinds


@pytest.mark.parametrize("seed", range(20))
def test_a_run_cancelled_at_any_moment_keeps_the_laws(tmp_path: Path, seed: int) -> None:
    """Cancel after so many events: every start on the trace still has its one ending."""
    after = random.Random(seed).randrange(1, 110)

    async def main() -> tuple[rlm.Result[Any], int]:
        seen = 0
        with LoopbackServer(play, prices={"x": (1, 1)}) as server:
            stream = rlm.astream("Grow", input={"context": "c"}, **options(server, tmp_path))
            async for item in stream:
                seen += isinstance(item, events.Event)
                if seen == after:
                    stream.cancel()
            result = await stream.result()
            assert result.cost is not None and result.cost >= server.billed.dollars
            assert result.usage.total_tokens >= server.billed.usage.total_tokens
        return result, seen

    result, seen = asyncio.run(main())
    checked(result)
    assert result.status == ("aborted" if result.ended_by == "cancelled" else "completed")
    assert result.status == "aborted" or seen <= after + 3


@pytest.mark.parametrize("seed", range(8))
def test_a_task_cancelled_at_any_time_keeps_the_laws(tmp_path: Path, seed: int) -> None:
    """The same by the clock, from outside, through `apredict` itself."""
    delay = random.Random(seed).uniform(0, 0.5)

    async def main() -> list[events.Event]:
        found: list[events.Event] = []

        def keep(what: Any) -> None:
            if isinstance(what, events.Event):
                found.append(what)

        with LoopbackServer(play) as server:
            given = options(server, tmp_path, on_event=keep)
            task = asyncio.create_task(rlm.acompletion("Grow", context="c", **given))
            await asyncio.sleep(delay)
            task.cancel()
            await asyncio.wait([task])
        assert task.cancelled() or task.result().ok  # it may have ended before
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others
        return found

    found = asyncio.run(main())
    if found:
        checked(rlm.Result(rlm.Trace.read(next(tmp_path.glob("*.jsonl")))))


LIMITS: dict[str, dict[str, Any]] = {
    "max_iterations": {"max_iterations": 1},
    "max_depth": {"max_depth": 1},
    "no depth": {"max_depth": 0},
    "max_llm_calls": {"max_llm_calls": 4},
    "max_sub_calls": {"max_sub_calls": 2},
    "max_tool_calls": {"max_tool_calls": 1},
    "max_tokens": {"max_tokens": 20_000},
    "max_cost_usd": {"max_cost_usd": "0.02"},
    "max_seconds": {"max_seconds": 0.25},
    "cell_seconds": {"cell_seconds": 0.01},
    "max_errors": {"max_errors": 1, "max_sub_calls": 0},
    "max_result_bytes": {"max_result_bytes": 3},
    "max_concurrency": {"max_concurrency": 1},
}


@pytest.mark.parametrize(
    "on_exceeded",
    [
        "finalize",
        "fail",
        pytest.param("needs_review", marks=pytest.mark.soak),
        pytest.param("return_partial", marks=pytest.mark.soak),
    ],
)
@pytest.mark.parametrize("limit", LIMITS)
def test_every_limit_keeps_the_laws(tmp_path: Path, limit: str, on_exceeded: str) -> None:
    limits = {"max_iterations": 5, **LIMITS[limit], "on_exceeded": on_exceeded}
    with LoopbackServer(play, prices={"x": (1, 1)}) as server:
        result = checked(
            rlm.completion("Grow", context="c", **options(server, tmp_path, limits=limits))
        )
        assert result.cost is not None and result.cost >= server.billed.dollars
        assert result.usage.total_tokens >= server.billed.usage.total_tokens
        if not {"model_lost", "model_retried"} & {e.type for e in result.trace}:
            assert result.cost == server.billed.dollars
    assert result.status != "aborted"


@pytest.mark.parametrize("doomed", range(1, 9))
def test_a_provider_that_fails_at_any_request_keeps_the_laws(tmp_path: Path, doomed: int) -> None:
    count = 0

    def failing(request: Request) -> str:
        nonlocal count
        count += 1
        if count == doomed:
            raise ProviderError("gone")
        asked = [m.content for m in request.messages]
        if len(asked) == 1:
            return "leaf"
        if "Grow" not in "".join(asked[:2]):
            return cell(CHILD)
        return cell(TREE if len(asked) < 6 else "submit('grown')")

    lm = ScriptedLM([failing] * 60)
    result = checked(rlm.completion("Grow", context="c", model=lm, tools=[look], log_dir=tmp_path))
    assert result.status == ("provider_error" if doomed == 1 else "completed") or result.failed


class Broken:
    """A tool that raises what no tool should."""

    name = "look"
    category = "read_only"
    description = ""
    signature = "(where)"
    schema: dict[str, Any] = {}

    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def call(self, args: tuple[Any, ...], kwargs: Any) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [ValueError("v"), TypeError("t"), OSError("o"), KeyError("k")])
def test_a_tool_that_raises_anything_keeps_the_laws(tmp_path: Path, error: Exception) -> None:
    code = "try:\n    look('x')\nexcept ToolError as error:\n    submit(str(error))"
    with ScriptedLM([cell(code)]) as lm:
        result = checked(
            rlm.completion("Go", model=lm, tools=[Broken(error)], log_dir=tmp_path)  # type: ignore[list-item]
        )
    assert (result.ok and type(error).__name__ in result.value) or str(error) in result.value


@pytest.mark.parametrize(
    "call",
    [
        "llm_query('q', context={1: 'a', 'b': (2, {3})})",
        "llm_query('q', context={'nested': [b'raw', 1.5, None, {'x': 'y'}]})",
        "parallel_queries({'prompt': 'q', 'context': {2: 1, 'z': 0}})[0]",
        "predict('rows: dict -> answer: str', rows={1: 2, 'x': 3}).answer",
    ],
)
def test_any_value_may_cross_as_a_context(tmp_path: Path, call: str) -> None:
    routes = {"Go": [cell(f"submit(str({call}))")], "": ['{"answer": "fine"}']}
    with ScriptedLM(routes) as lm:
        result = checked(rlm.completion("Go", model=lm, log_dir=tmp_path))
    assert result.ok and "fine" in result.value


@pytest.mark.parametrize(
    "call",
    [
        "llm_query(42)",
        "llm_query()",
        "llm_query('q', nonsense=1)",
        "llm_query('q', model='unknown/model')",
        "llm_query('q', output='no such type!!')",
        "parallel_queries({'wrong': 1})",
        "parallel_queries(42, None)",
        "parallel_queries()",
        "predict('not a signature')",
        "predict('x: int -> y: str', x='not a number')",
        "parallel_predict('x -> y: str', [{'z': 1}])",
        "submit()",
        "submit(unknown=1)",
        "submit(object())",
        "look()",
        "budget(1)",
        "history[99]",
    ],
)
def test_any_misuse_in_a_cell_keeps_the_laws(tmp_path: Path, call: str) -> None:
    with ScriptedLM([cell(call), cell("submit(answer='well')")]) as lm:
        result = checked(
            rlm.completion("Go", model=lm, tools=[look], log_dir=tmp_path, limits={"max_errors": 9})
        )
    assert result.ok


class NoSandbox:
    """A sandbox that cannot be had, as is found out when it starts."""

    name = "none"

    def start(self, inputs: Any, limits: Any) -> NoSandbox:
        return self

    async def __aenter__(self) -> Any:
        await asyncio.sleep(0)
        raise SandboxError("no sandbox is left on this machine")

    async def __aexit__(self, *error: object) -> None:
        raise AssertionError("it was never entered")


def test_a_sandbox_that_cannot_be_had_ends_the_run_with_its_error(tmp_path: Path) -> None:
    with ScriptedLM([cell("1")]) as lm:
        result = checked(rlm.completion("Go", model=lm, sandbox=NoSandbox(), log_dir=tmp_path))
    assert result.status == "sandbox_error"
    assert "no sandbox is left" in str(result.error)


def test_a_session_that_is_lost_again_and_again_keeps_the_laws(tmp_path: Path) -> None:
    die = "import os\nprint('last words', flush=True)\nos._exit(1)"
    call = "import os, threading\nthreading.Timer(0.05, os._exit, [1]).start()\nllm_query('slow')"
    with (
        ScriptedLM([cell(die), cell(call), cell(die), cell("submit(context)")]) as lm,
        ScriptedLM(["too late"], name="sub/x", delay=5) as sub,
    ):
        result = checked(
            rlm.completion("Go", context="c", model=lm, sub_model=sub, log_dir=tmp_path)
        )
    assert result.value == "c"
    assert len(result.trace.of(events.SessionLost)) == 3
    (child,) = result.trace.of(events.CallFailed)
    assert child.ended_by == "cancelled"


def test_a_cancelled_stream_that_never_ran_ends_too(tmp_path: Path) -> None:
    async def main() -> rlm.Result[Any]:
        stream = rlm.astream("Go", model=ScriptedLM([]), log_dir=tmp_path)
        stream.cancel()
        async with asyncio.timeout(10):
            items = [item async for item in stream]
            result = await stream.result()
        assert [i for i in items if isinstance(i, events.Event)] == result.trace.events
        return result

    assert asyncio.run(main()).status == "aborted"


def test_a_stream_can_be_cancelled_from_another_thread(tmp_path: Path) -> None:
    with LoopbackServer([{"reply": "late", "delay": 60}]) as server:
        stream = rlm.stream("Go", model=served(server), log_dir=tmp_path)
        for item in stream:
            if isinstance(item, events.ModelAsked):
                stream.cancel()
        result = checked(stream.result(timeout=30))
    assert (result.status, result.ended_by) == ("aborted", "cancelled")


def test_a_validator_that_raises_what_it_should_not_keeps_the_laws(tmp_path: Path) -> None:
    def picky(output: Any) -> None:
        raise ValueError("not today")

    replies = [cell("submit('x')"), cell("submit('y')"), "```final\nz\n```"]
    with ScriptedLM(replies) as lm:
        result = checked(
            rlm.completion(
                "Go", model=lm, validators=[picky], log_dir=tmp_path, limits={"max_iterations": 2}
            )
        )
    assert result.status == "failed_validation" and "not today" in str(result.validation_errors)
