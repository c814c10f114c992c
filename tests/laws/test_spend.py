"""The law of spending: what a run reports covers all that can be billed, and is exact when told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lawful import checked
from parts import cell, served

import rlm
from rlm import events
from rlm.testing import Fault, LoopbackServer, ServerReply, ServerRequest
from rlm.usage import Usage

PRICES = {"x": (3.0, 15.0)}
CODE = "r = parallel_queries(*[f'leaf {n}' for n in range(6)])\nsubmit(str(sum(map(bool, r))))"

FAULTS: dict[str, Fault] = {
    "server error": Fault(kind="status", status=500),
    "rate limit": Fault(kind="status", status=429, retry_after=0),
    "bad request": Fault(kind="status", status=400),
    "no key": Fault(kind="status", status=401),
    "reset": Fault(kind="reset"),
    "stall": Fault(kind="stall", seconds=0.1),
    "malformed": Fault(kind="malformed"),
    "cut": Fault(kind="cut"),
    "stream error": Fault(kind="stream_error"),
    "empty": Fault(kind="empty"),
    "blocked": Fault(kind="blocked"),
    "cut off while thinking": Fault(kind="cut_off_thinking"),
}


def covered(result: rlm.Result[Any], server: LoopbackServer) -> None:
    billed = server.billed
    assert result.cost is not None and result.cost >= billed.dollars
    assert result.usage.input_tokens >= billed.usage.input_tokens
    assert result.usage.output_tokens >= billed.usage.output_tokens


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_in_one_of_six_sub_calls_is_covered(tmp_path: Path, kind: str) -> None:
    failed: list[int] = []

    def play(request: ServerRequest) -> ServerReply:
        if request.prompt == "leaf 3" and not failed:
            failed.append(request.number)
            return ServerReply("a long enough answer", reasoning="hm", fault=FAULTS[kind])
        return ServerReply("ok" if request.prompt.startswith("leaf") else cell(CODE))

    with LoopbackServer(play, prices=PRICES) as server:
        limits = {"max_output_tokens": 2_000}
        result = checked(
            rlm.completion("Go", model=served(server), limits=limits, log_dir=tmp_path)
        )
        covered(result, server)
        if not {"model_lost", "model_retried"} & {e.type for e in result.trace}:
            assert result.cost == server.billed.dollars
    assert result.value in ("5", "6") and failed


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_provider_tells_is_what_is_reported(tmp_path: Path, stream: bool) -> None:
    """Cached and reasoning tokens too, streamed or whole."""
    told = Usage(input_tokens=900, cached_tokens=700, output_tokens=50, reasoning_tokens=30)
    with LoopbackServer(
        lambda request: ServerReply(cell("submit('x')"), usage=told), prices=PRICES
    ) as server:
        result = checked(
            rlm.completion(
                "Go",
                model=served(server),
                stream=stream,
                on_event=lambda _: None,
                log_dir=tmp_path,
            )
        )
        assert result.usage == told == server.billed.usage
        assert result.cost == server.billed.dollars
    (replied,) = result.trace.of(events.ModelReplied)
    assert not replied.estimated


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_says_nothing_is_covered_by_the_estimate(
    tmp_path: Path, stream: bool
) -> None:
    with LoopbackServer(
        lambda request: ServerReply(cell("submit('x')"), usage=False), prices=PRICES
    ) as server:
        result = checked(
            rlm.completion(
                "Grüße, 世界! " * 50,
                model=served(server),
                stream=stream,
                on_event=lambda _: None,
                log_dir=tmp_path,
            )
        )
        covered(result, server)
    (replied,) = result.trace.of(events.ModelReplied)
    assert replied.estimated


def test_a_fallback_is_charged_at_its_own_price(tmp_path: Path) -> None:
    prices = {"down": (1.0, 1.0), "dear": (100.0, 100.0)}

    def play(request: ServerRequest) -> ServerReply:
        if request.model == "down":
            return ServerReply(fault=Fault(kind="status", status=400))
        return ServerReply(cell("submit('x')"))

    with LoopbackServer(play, prices=prices) as server:
        models = [served(server, "openai/down"), served(server, "openai/dear")]
        result = checked(
            rlm.completion("Go", model=models, limits={"max_cost_usd": 5}, log_dir=tmp_path)
        )
        assert result.cost == server.billed.dollars > 0
        assert result.cost_by_model["openai/dear"] == result.cost


def test_random_faults_in_a_tree_are_covered(tmp_path: Path) -> None:
    """A third of all requests go wrong in every way; what was billed is on the result."""
    spread = (
        "r = parallel_queries(*[{'prompt': f'leaf {n}', 'context': 'c', 'recursive': %s}"
        " for n in range(5)])\nsubmit(str(len(r)))"
    )
    kinds = [fault for name, fault in FAULTS.items() if name not in ("stall", "no key")]

    def play(request: ServerRequest) -> ServerReply:
        fault = kinds[request.number % len(kinds)] if request.number % 3 == 2 else None
        if len(request.messages) == 1:
            return ServerReply("leaf", fault=fault)
        root = "Spread" in request.messages[1].content
        return ServerReply(cell(spread % root), fault=fault if request.number > 1 else None)

    with LoopbackServer(play, prices=PRICES) as server:
        result = checked(
            rlm.completion(
                "Spread", context="c", model=served(server), log_dir=tmp_path,
                limits={"max_concurrency": 8, "max_cost_usd": 50},
            )
        )  # fmt: skip
        covered(result, server)
    assert result.value == "5"
    assert {"model_lost", "model_retried"} <= {e.type for e in result.trace}
