"""Attacks guided by coverage: `python -m fuzz.guided --frames N [--seed S] FOLDER`, with atheris.

An input is a first byte, which says what it is, and choices of the grammar or bytes as they arrive.
FOLDER has inputs to begin with. What fails is left in the working folder as `crash-…`; given that
file in the place of FOLDER, it is run alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["rlm.guest", "rlm.sandbox"]):
    from fuzz.attacks import ATTACKS
    from fuzz.host import STATES, Host
    from fuzz.source import Bytes

__all__ = ["main"]

_PER_PLACE = 500
_MOST_MB = 1024


class Fuzzed:
    """Takes inputs one after another on one event loop, until there were so many frames."""

    def __init__(self, enough: int) -> None:
        self._enough = enough
        self._loop = asyncio.new_event_loop()
        self._host: Host | None = None
        self._inputs = 0
        self._begun = time.process_time()
        self.frames = 0

    def take(self, data: bytes) -> None:
        """Take one input."""
        self._inputs += 1
        self.frames += self._run(self._attack(data))
        if self._inputs % _PER_PLACE == 0 or self.frames >= self._enough:
            self._run(self._leave())
            assert _peak_mb() < _MOST_MB, "the host's memory grows"
        if self.frames >= self._enough:
            rate = self.frames / (time.process_time() - self._begun)
            print(
                f"atheris: {self.frames} frames in {self._inputs} inputs, {rate:,.0f} a CPU second"
            )
            sys.stdout.flush()
            os._exit(0)  # the fuzzer knows no end but its own

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(work)

    async def _attack(self, data: bytes) -> int:
        if self._host is None:
            self._host = await Host().__aenter__()
        if not data:
            return 0
        kind, rest = data[0], data[1:]
        if kind < len(ATTACKS):
            return await ATTACKS[kind](self._host, Bytes(rest))
        half = len(rest) // 2
        pieces = [rest] if kind % 2 else [rest[:half], rest[half:]]
        await self._host.attack(STATES[kind // 2 % len(STATES)], pieces)
        return 1

    async def _leave(self) -> None:
        if self._host is not None:
            await self._host.__aexit__(None, None, None)
        self._host = None


def _peak_mb() -> int:
    """Return the most that this program has held; `getrusage` tells of who started it, too."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


def main() -> None:
    """Fuzz until there were so many frames; what fails ends the process with a traceback."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("corpus", type=Path)
    told = parser.parse_args()
    options = [f"-seed={told.seed}", "-max_len=2048", "-timeout=60", "-rss_limit_mb=0"]
    words = Path(__file__).with_name("words.dict")
    fuzzed = Fuzzed(told.frames)
    arguments = [sys.argv[0], *options, f"-dict={words}", "-verbosity=0", str(told.corpus)]
    atheris.Setup(arguments, fuzzed.take)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
