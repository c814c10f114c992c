"""The law of the purse: one budget for the whole tree, never exceeded, never needlessly refused."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lawful import checked
from parts import cell, served

import rlm
from rlm import events
from rlm.testing import Fault, LoopbackServer, ServerReply, ServerRequest
from rlm.usage import Usage

CAP = Decimal("1.00")
CHILD = Decimal("0.06")
PRICES = {"root": (1.0, 2.0), "child": (1.0, 100.0)}  # dollars a million tokens
ROOT = """
page = "word " * 990  # so that a thousand tokens of input are an honest count
replies = parallel_queries(*[f"child {n} {page}" for n in range(64)])
kinds = sorted({f.message.split()[0] for f in replies.failures})
submit(answered=sum(map(bool, replies)), length=len(replies), kinds=kinds)
"""


def play(request: ServerRequest) -> ServerReply:
    """Bill each child 0.06 dollars: 590 tokens of output at 100, and 1,000 of input at 1."""
    if request.prompt.startswith("child "):
        used = Usage(input_tokens=1_000, output_tokens=590)
        return ServerReply("yes", usage=used, delay=0.01)
    return ServerReply(cell(ROOT), usage=Usage(input_tokens=1_500, output_tokens=100))


def run(log: Path, server: LoopbackServer, concurrency: int, output_cap: int) -> rlm.Result[Any]:
    return checked(
        rlm.predict(
            "-> answered: int, length: int, kinds: list[str]",
            model=served(server, "openai/root"),
            sub_model=served(server, "openai/child"),
            limits={
                "max_cost_usd": CAP,
                "max_concurrency": concurrency,
                "max_output_tokens": output_cap,
            },
            log_dir=log,
        )
    )


@pytest.mark.parametrize("output_cap", [590, 1_000, 4_000, 8_192])
@pytest.mark.parametrize("concurrency", [1, 4, 16, 64])
def test_a_dollar_and_64_children_of_six_cents(
    tmp_path: Path, concurrency: int, output_cap: int
) -> None:
    with LoopbackServer(play, prices=PRICES, keep_requests=False) as server:
        result = run(tmp_path, server, concurrency, output_cap)
        billed = server.billed.dollars
        children = server.billed.by_model["child"].output_tokens // 590
    assert billed <= CAP
    assert result.cost == billed
    assert result.ok and result.output["length"] == 64
    assert result.output["answered"] == children
    assert result.output["kinds"] == ["max_cost_usd"]
    kept_back = last_request(result)
    assert CAP - billed < CHILD + kept_back  # nobody was refused whom the money would have covered
    assert children >= 15


def last_request(result: rlm.Result[Any]) -> Decimal:
    """Return what the root's last request was held to need: its price, by bounds."""
    opening = sum(
        len(e.content or "") for e in result.trace.of(events.MessageAdded, call="0") if e.index < 2
    )
    into, out = PRICES["root"]
    million = Decimal(1_000_000)
    return (opening + 1_000) * Decimal(into) / million + 2_048 * Decimal(out) / million


def test_children_that_cost_nothing_like_their_hold_are_all_answered(tmp_path: Path) -> None:
    """A hold of 41 cents for a child of a tenth of a cent makes it wait, never refuses it."""

    def answer(request: ServerRequest) -> ServerReply:
        if request.prompt.startswith("child "):
            return ServerReply("yes", usage=Usage(input_tokens=10, output_tokens=10))
        return ServerReply(cell(ROOT), usage=Usage(input_tokens=1_500, output_tokens=100))

    with LoopbackServer(answer, prices=PRICES, keep_requests=False) as server:
        result = run(tmp_path, server, 64, 4_096)
        assert server.billed.dollars == result.cost
        assert result.cost is not None and result.cost < Decimal("0.08")
    assert result.output == {"answered": 64, "length": 64, "kinds": []}


def test_faults_are_paid_from_the_same_purse(tmp_path: Path) -> None:
    """Broken connections are billed and tried again; the cap holds all the same."""

    reset = Fault(kind="reset")

    def answer(request: ServerRequest) -> ServerReply:
        reply = play(request)
        broken = request.prompt.startswith("child ") and request.number % 3 == 0
        return dataclasses.replace(reply, fault=reset) if broken else reply

    with LoopbackServer(answer, prices=PRICES, keep_requests=False) as server:
        result = run(tmp_path, server, 16, 1_000)
        assert server.billed.dollars <= CAP
        assert result.cost is not None and server.billed.dollars <= result.cost <= CAP
    assert result.ok and result.output["length"] == 64


def test_a_deep_tree_shares_one_purse(tmp_path: Path) -> None:
    """Every node of three levels asks for as much as it can get."""
    spread = """
replies = parallel_queries(*[
    {"prompt": f"{context}{n}", "context": f"{context}{n}", "recursive": %s} for n in range(4)
])
submit(str(sum(map(bool, replies))))
"""

    def answer(request: ServerRequest) -> ServerReply:
        used = Usage(input_tokens=100, output_tokens=200)
        if len(request.messages) == 1:
            return ServerReply("leaf", usage=used)
        deep = "tree" not in request.messages[1].content
        return ServerReply(cell(spread % (not deep)), usage=used)

    with LoopbackServer(answer, prices=PRICES, keep_requests=False) as server:
        result = checked(
            rlm.completion(
                "Spread",
                context="tree",
                model=served(server, "openai/child"),
                limits={"max_cost_usd": "0.5", "max_depth": 3, "max_output_tokens": 300},
                log_dir=tmp_path,
            )
        )
        assert server.billed.dollars <= Decimal("0.5")
        assert result.cost == server.billed.dollars
    assert result.ok
