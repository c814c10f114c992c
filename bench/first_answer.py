"""`first_answer`: from the start of a process to the answer of a two-turn run."""

from __future__ import annotations

import tempfile
import time

from bench.measure import Figure, interleaved, run_program
from bench.players import serving

__all__ = ["measure"]

_PARTS = {
    "interpreter": "the interpreter",
    "imports": "`import rlm; rlm.predict`",
    "session": "the run until its session is open",
    "rest": "the rest of two turns, and the end",
}


def measure(quick: bool) -> list[Figure]:
    """Start processes in turns: ours, and a bare client that runs the same two cells with exec."""
    found: list[Figure] = []
    with serving() as url, tempfile.TemporaryDirectory() as folder:
        for name, address in (("scripted model", ""), ("loopback server", url)):
            found += _figures(name, address, folder, 4 if quick else 12)
    return found


def _figures(name: str, url: str, folder: str, rounds: int) -> list[Figure]:
    parts: list[dict[str, float]] = []

    def ours() -> float:
        parts.append(_run("two_turns", folder, url))
        return parts[-1]["all"]

    took = interleaved(
        rounds, {"ours": ours, "bare": lambda: _run("two_turns_bare", folder, url)["all"]}
    )
    bare = "bare client and `exec`"
    measured = parts[1:]  # the first was the warm-up
    return [
        Figure("first_answer", name, "ms", took["ours"], bare, took["bare"], target=400),
        *(
            Figure("first_answer", f"— {said}", "ms", tuple(told[part] for told in measured))
            for part, said in _PARTS.items()
        ),
    ]


def _run(program: str, folder: str, url: str) -> dict[str, float]:
    """Return the milliseconds that a program tells of itself."""
    arguments = [str(time.monotonic()), folder, *([url] if url else [])]
    return {part: took * 1000 for part, took in run_program(program, *arguments).items()}
