"""Models that cost next to nothing: in this process, and behind a loopback server in another."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from urllib.request import urlopen

from rlm import Model, Price, Reply, Request, Usage

__all__ = ["Played", "answer_in_turns", "count_turns", "requests_so_far", "serving"]

_FREE = Price(input=Decimal(0), output=Decimal(0))
_USAGE = Usage(input_tokens=10, output_tokens=10)


class Played:
    """A model in this process: `play` is a function of the request."""

    def __init__(self, play: Callable[[Request], str], delay: float = 0.0) -> None:
        self.name = "bench/played"
        self.price = _FREE
        self.window = 128_000
        self._play = play
        self._delay = delay

    async def complete(self, request: Request, on_delta: object = None) -> Reply:
        """Answer, after `delay` seconds."""
        if self._delay:
            await asyncio.sleep(self._delay)
        return Reply(self._play(request), usage=_USAGE)

    async def aclose(self) -> None:
        """Nothing is held."""


def count_turns(turns: int) -> str:
    """Return a question that `answer_in_turns` answers in its last of so many turns."""
    return f"Count the turns={turns} of this call."


def answer_in_turns(request: Request) -> str:
    """Write a small cell for each turn, and submit in the last."""
    done = sum(message.role == "assistant" for message in request.messages)
    asked = re.search(r"turns=(\d+)", "".join(m.content for m in request.messages[:2]))
    if asked is None:
        return "ok"
    return turn(done + 1, int(asked[1]))


def turn(number: int, last: int) -> str:
    """Return the reply of one turn."""
    if number == last:
        return "That was all.\n```repl\nsubmit(answer='done')\n```"
    return f"Turn {number}.\n```repl\nx = {number}\nprint(x)\n```"


@contextmanager
def serving(*arguments: str) -> Iterator[str]:
    """Run a server in a process of its own and return its `base_url`.

    Without arguments it plays `answer_in_turns`; else it is `rlm.testing.server` with these.
    """
    module = "rlm.testing.server" if arguments else "bench.players"
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["openai_url"]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def served(url: str) -> Model:
    """Return the model behind a server, free of charge."""
    return Model("openai/bench", base_url=url, price=_FREE, window=128_000)


def requests_so_far(url: str) -> int:
    """Return how many requests a server has had."""
    with urlopen(url.removesuffix("/v1") + "/state") as response:
        return int(json.load(response)["requests"])


def _main() -> None:
    from rlm.testing.server import LoopbackServer

    server = LoopbackServer(answer_in_turns, keep_requests=False)

    def announce() -> None:
        print(json.dumps({"openai_url": server.openai_url}), flush=True)

    async def serve() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, server.stop)
        await server.serve(announce)

    asyncio.run(serve())


if __name__ == "__main__":
    _main()
