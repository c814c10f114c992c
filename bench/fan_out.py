"""`fan_out` and `duplicates`: many sub-calls of one cell, and equal ones among them."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import rlm
from bench.measure import Figure, interleaved
from bench.players import Played, requests_so_far, served, serving
from rlm import Request

__all__ = ["measure", "measure_duplicates"]

_DELAY = "0.05"


def measure(quick: bool) -> list[Figure]:
    """Ask 1,000 prompts in one cell, beside a bare aiohttp client at the same concurrency."""
    prompts = [f"q{number}" for number in range(1000)]
    found: list[Figure] = []
    with serving("--delay", _DELAY) as url, tempfile.TemporaryDirectory() as folder:
        for at_once in (64, 256):
            clocks: dict[str, list[float]] = {"ours": [], "bare": []}
            took = interleaved(
                3 if quick else 9,
                {
                    "ours": partial(_clocked, clocks["ours"], ours, prompts, url, at_once, folder),
                    "bare": partial(_clocked, clocks["bare"], _bare, prompts, url, at_once),
                },
            )
            spent = {name: tuple(each[1:]) for name, each in clocks.items()}  # after the warm-up
            name, bare = f"1,000 prompts, {at_once} in flight, 50 ms each", "bare aiohttp"
            found += [
                Figure(
                    "fan_out",
                    name,
                    "ms",
                    took["ours"],
                    bare,
                    took["bare"],
                    target=1.5,
                    of_ratio=True,
                ),
                Figure(
                    "fan_out",
                    "— processor time of one, beyond the bare client's",
                    "ms",
                    tuple((o - b) / 1000 for o, b in zip(*spent.values(), strict=True)),
                    target=0.2,
                ),
            ]
    return found


def _clocked(clock: list[float], do: Callable[..., float], *arguments: Any) -> float:
    """Do it, and note the milliseconds of this process's processor time that it took."""
    began = time.process_time()
    result = do(*arguments)
    clock.append((time.process_time() - began) * 1000)
    return result


def measure_duplicates(quick: bool) -> list[Figure]:
    """Ask 500 prompts of which 50 are distinct, side by side and shuffled."""
    adjacent = [f"q{number // 10}" for number in range(500)]
    shuffled = random.Random(7).sample(adjacent, len(adjacent))
    found: list[Figure] = []
    with serving("--delay", _DELAY) as url, tempfile.TemporaryDirectory() as folder:
        for name, prompts in (("adjacent", adjacent), ("shuffled", shuffled)):
            before = requests_so_far(url)
            milliseconds = ours(prompts, url, 64, folder)
            sent = requests_so_far(url) - before
            found += [
                Figure(
                    "duplicates",
                    f"500 prompts, 50 distinct, {name}: requests",
                    "",
                    (sent,),
                    target=50,
                ),
                Figure("duplicates", f"— {name}: wall time", "ms", (milliseconds,)),
            ]
    return found


def ours(prompts: list[str], url: str, at_once: int, folder: str) -> float:
    """Return the milliseconds that `parallel_queries` took, seen from its cell."""
    cell = (
        "import time\nbegan = time.perf_counter()\n"
        "replies = parallel_queries(*context)\n"
        "took = time.perf_counter() - began\n"
        "assert len(replies) == len(context) and all(reply == 'ok' for reply in replies)\n"
        "submit(answer=took * 1000)"
    )

    def root(request: Request) -> str:
        return f"```repl\n{cell}\n```"

    model: Any = Played(root)
    result = rlm.predict(
        "context: list -> answer: float",
        input={"context": prompts},
        model=model,
        sub_model=served(url),
        limits={"max_concurrency": at_once, "max_output_tokens": 100},
        log_dir=folder,
    )
    return float(result.value)


def _bare(prompts: list[str], url: str, at_once: int) -> float:
    return asyncio.run(_abare(prompts, url, at_once))


async def _abare(prompts: list[str], url: str, at_once: int) -> float:
    import aiohttp

    slots = asyncio.Semaphore(at_once)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(prompt: str) -> str:
            message = {"role": "user", "content": prompt}
            body = {"model": "bench", "messages": [message], "max_tokens": 100}
            async with slots, session.post(f"{url}/chat/completions", json=body) as response:
                told = await response.json()
                return str(told["choices"][0]["message"]["content"])

        began = time.perf_counter()
        replies = await asyncio.gather(*map(ask, prompts))
        took = time.perf_counter() - began
    assert all(reply == "ok" for reply in replies)
    return took * 1000
