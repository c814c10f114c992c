"""`tree`, `runs` and `child`: many calls with sessions of their own, side by side."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import rlm
from bench.measure import Figure, interleaved
from bench.players import Played
from rlm import Request

__all__ = ["measure", "measure_child", "measure_runs"]

_DELAY = 0.02
_NODES = 1 + 4 + 16 + 64


def measure(quick: bool) -> list[Figure]:
    """Run trees of 85 nodes, each with four children of its own down to the leaves."""
    found: list[Figure] = []
    for at_once in (4, 16, 64):
        took = interleaved(
            2 if quick else 5,
            {
                "ours": partial(_tree, at_once),
                "bare": partial(_bare_tree, at_once),
            },
        )
        found.append(
            Figure(
                "tree",
                f"85 nodes right, {at_once} at once, 20 ms a reply",
                "ms",
                took["ours"],
                "bare asyncio, no sandbox",
                took["bare"],
            )
        )
    return found


def _node(request: Request) -> str:
    """Play one node: `path` is where it stands in the tree, a digit for each level."""
    found = re.findall(r"path=(\d*)\.", "".join(m.content for m in request.messages[:2]))
    path: str = found[0]
    if len(path) == 3:
        return path
    return (
        "```repl\n"
        f"asks = [dict(prompt=f'path={path}{{i}}.', recursive={len(path) < 2}) for i in range(4)]\n"
        "below = [str(reply) for reply in parallel_queries(*asks)]\n"
        f"submit(answer='{path or 'root'}(' + ','.join(below) + ')')\n```"
    )


def _expected(path: str = "") -> str:
    if len(path) == 3:
        return path
    below = ",".join(_expected(f"{path}{i}") for i in range(4))
    return f"{path or 'root'}({below})"


def _tree(at_once: int) -> float:
    began = time.perf_counter()
    result = rlm.completion(
        "path=.",
        context="unused",
        model=Played(_node, _DELAY),
        limits={"max_concurrency": at_once, "max_depth": 3},
    )
    took = time.perf_counter() - began
    assert result.value == _expected(), result
    started = sum(event.type == "call_started" for event in result.trace)
    assert started == _NODES, started
    return took * 1000


def _bare_tree(at_once: int) -> float:
    return asyncio.run(_abare_tree(at_once))


async def _abare_tree(at_once: int) -> float:
    slots = asyncio.Semaphore(at_once)

    async def node(level: int) -> None:
        async with slots:
            await asyncio.sleep(_DELAY)
        if level < 3:
            await asyncio.gather(*(node(level + 1) for _ in range(4)))

    began = time.perf_counter()
    await node(0)
    return (time.perf_counter() - began) * 1000


# Many runs at once ------------------------------------------------------------------------------


def measure_runs(quick: bool) -> list[Figure]:
    """Run 100 runs at once in this process, as tasks and as threads, beside one after another."""
    with tempfile.TemporaryDirectory() as folder:
        took = interleaved(
            1 if quick else 3,
            {
                "tasks": lambda: asyncio.run(_tasks(folder)),
                "threads": lambda: _threads(folder),
                "one": lambda: _one_by_one(folder),
            },
        )
    one = "one run alone, times 100"
    return [
        Figure("runs", "100 right at once, tasks", "ms", took["tasks"], one, took["one"]),
        Figure("runs", "100 right at once, threads", "ms", took["threads"], one, took["one"]),
    ]


def _secret(request: Request) -> str:
    """Play a run that reads its own context, prints it and submits it a turn later."""
    done = sum(message.role == "assistant" for message in request.messages)
    if done == 0:
        return "```repl\nprint(context)\n```"
    return "```repl\nsubmit(answer=context)\n```"


def _options(number: int, folder: str) -> dict[str, Any]:
    model: Any = Played(_secret)
    return {"context": f"secret {number}", "model": model, "log_dir": folder}


def _check(results: list[Any]) -> None:
    for number, result in enumerate(results):
        assert result.value == f"secret {number}", result
        assert result.turns()[0].execution.stdout == f"secret {number}\n", result


async def _tasks(folder: str) -> float:
    began = time.perf_counter()
    asks = [rlm.acompletion("What is it?", **_options(i, folder)) for i in range(100)]
    results = await asyncio.gather(*asks)
    took = time.perf_counter() - began
    _check(results)
    return took * 1000


def _threads(folder: str) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(100) as pool:
        results = list(
            pool.map(lambda i: rlm.completion("What is it?", **_options(i, folder)), range(100))
        )
    took = time.perf_counter() - began
    _check(results)
    return took * 1000


def _one_by_one(folder: str) -> float:
    began = time.perf_counter()
    results = [rlm.completion("What is it?", **_options(i, folder)) for i in range(20)]
    took = time.perf_counter() - began
    _check(results)
    return took * 5 * 1000


# One child --------------------------------------------------------------------------------------


def measure_child(quick: bool) -> list[Figure]:
    """Open 50 children with sessions of their own, one after the other, from one cell."""
    with tempfile.TemporaryDirectory() as folder:
        took = interleaved(
            3 if quick else 7, {"ours": lambda: _children(folder), "bare": _processes}
        )
    return [
        Figure(
            "child",
            "a child call with its own session",
            "ms",
            took["ours"],
            "a bare Python process (`-S -c pass`)",
            took["bare"],
            target=15,
        )
    ]


_CHILDREN = 50
_CELL = f"""
import time
began = time.perf_counter()
told = [llm_query(f"child {{i}}", recursive=True) for i in range({_CHILDREN})]
took = time.perf_counter() - began
assert told == [f"child {{i}}" for i in range({_CHILDREN})], told
submit(answer=str(took * 1000 / {_CHILDREN}))
"""


def _parent_or_child(request: Request) -> str:
    asked = re.search(r"child \d+", request.messages[1].content)
    if asked is None:
        return f"```repl{_CELL}```"
    return f"```repl\nsubmit(answer='{asked[0]}')\n```"


def _children(folder: str) -> float:
    model: Any = Played(_parent_or_child)
    result = rlm.completion("Ask below.", context="unused", model=model, log_dir=folder)
    return float(result.value)


def _processes() -> float:
    began = time.perf_counter()
    for _ in range(10):
        subprocess.run([sys.executable, "-S", "-c", "pass"], check=True)
    return (time.perf_counter() - began) / 10 * 1000
