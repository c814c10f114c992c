"""`turn` and `trace`: what a turn costs in the process sandbox, and what of it the log costs."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import rlm
from bench.measure import Figure, interleaved
from bench.players import Played, answer_in_turns, count_turns, served, serving, turn

__all__ = ["measure", "measure_trace"]

Ask = Callable[[list[dict[str, str]]], Awaitable[str]]


def measure(quick: bool) -> list[Figure]:
    """Run trivial turns, ours with sandbox and log, and bare ones with exec."""
    turns, rounds = (60, 3) if quick else (150, 7)
    played = Played(answer_in_turns)
    with tempfile.TemporaryDirectory() as folder, serving() as url:
        model = served(url)
        in_process = interleaved(
            rounds,
            {
                "ours": lambda: ours(turns, played, folder),
                "bare": lambda: asyncio.run(_bare(turns, _scripted(turns))),
            },
        )
        over_http = interleaved(
            rounds,
            {
                "ours": lambda: ours(turns, model, folder),
                "bare": lambda: asyncio.run(_bare_http(turns, url)),
            },
        )
    beyond = tuple(o - b for o, b in zip(over_http["ours"], over_http["bare"], strict=True))
    bare = "bare client and `exec`"
    return [
        Figure(
            "turn",
            "scripted model",
            "ms",
            in_process["ours"],
            bare,
            in_process["bare"],
            target=1.5,
        ),
        Figure(
            "turn",
            "loopback server, its request included",
            "ms",
            over_http["ours"],
            bare,
            over_http["bare"],
        ),
        Figure("turn", "loopback server, beyond the bare client", "ms", beyond, target=1.5),
    ]


def measure_trace(quick: bool) -> list[Figure]:
    """Run the same turns with and without a log."""
    turns, rounds = (100, 3) if quick else (300, 7)
    played = Played(answer_in_turns)
    with tempfile.TemporaryDirectory() as folder:
        found = interleaved(
            rounds,
            {
                "with": lambda: ours(turns, played, folder),
                "without": lambda: ours(turns, played, None),
            },
        )
        sizes = tuple(log.stat().st_size / turns for log in Path(folder).glob("*.jsonl"))
    return [
        Figure(
            "trace", "a turn with a log", "ms", found["with"], "without a log", found["without"]
        ),
        Figure("trace", "the log of a turn", "bytes", sizes[:1]),
    ]


def ours(turns: int, model: Any, folder: str | None) -> float:
    """Return the milliseconds of a turn of a run, from its first request to its last."""
    result = rlm.completion(
        count_turns(turns),
        context="abc",
        model=model,
        log_dir=folder,
        limits={"max_iterations": turns},
    )
    assert result.ok and result.value == "done", result
    asked = [event.t for event in result.trace if event.type == "model_asked"]
    assert len(asked) == turns
    return (asked[-1] - asked[1]) / (turns - 2) * 1000  # the first turn starts the sandbox


async def _bare(turns: int, ask: Ask) -> float:
    names: dict[str, Any] = {"context": "abc", "submit": lambda **fields: None}
    messages = [
        {"role": "system", "content": "You work in a REPL."},
        {"role": "user", "content": count_turns(turns)},
    ]
    began = time.perf_counter()
    for _ in range(turns):
        text = await ask(messages)
        messages.append({"role": "assistant", "content": text})
        cell = re.search(r"```repl\n(.*?)```", text, re.DOTALL)
        assert cell is not None
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(cell[1], names)
        messages.append({"role": "user", "content": out.getvalue()})
    return (time.perf_counter() - began) / turns * 1000


def _scripted(turns: int) -> Ask:
    async def ask(messages: list[dict[str, str]]) -> str:
        return turn(sum(m["role"] == "assistant" for m in messages) + 1, turns)

    return ask


async def _bare_http(turns: int, url: str) -> float:
    import aiohttp

    async with aiohttp.ClientSession() as session:

        async def ask(messages: list[dict[str, str]]) -> str:
            body = {"model": "bench", "messages": messages, "max_tokens": 100}
            async with session.post(f"{url}/chat/completions", json=body) as response:
                told = await response.json()
                return str(told["choices"][0]["message"]["content"])

        return await _bare(turns, ask)
