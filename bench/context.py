"""`context`: how long a large input takes to be there in a cell, and the memory it takes."""

from __future__ import annotations

from bench.measure import Figure, run_program

__all__ = ["measure"]

_NAMES = {"ascii": "ASCII", "wide": "two bytes a character", "bytes": "bytes"}
_LARGEST = 1000


def measure(quick: bool) -> list[Figure]:
    """Give inputs of 10 MB, 100 MB and (not when quick) 1 GB, each to a process of its own."""
    found: list[Figure] = []
    for megabytes in (10, 100) if quick else (10, 100, _LARGEST):
        found += _figures(megabytes, "ascii", 1 if quick else 3)
    if not quick:
        found += [*_figures(_LARGEST, "wide", 1), *_figures(_LARGEST, "bytes", 1)]
    return found


def _figures(megabytes: int, kind: str, rounds: int) -> list[Figure]:
    size = str(megabytes * 1_000_000)
    runs = [run_program("large_text", size, kind) for _ in range(rounds)]

    def of(part: str, unit: float) -> tuple[float, ...]:
        return tuple(told[part] * unit for told in runs)

    itself = ("the input itself", of("input", 1 / 1024))
    reading = ("reading and encoding it once", of("copying", 1000))
    name = f"{megabytes:,} MB, {_NAMES[kind]}"
    seconds, memory = (2500, 1.1e9 / (1 << 20)) if megabytes == _LARGEST else (None, None)
    return [
        Figure(
            "context",
            f"{name}: until its session is there",
            "ms",
            of("cell", 1000),
            *reading,
            target=seconds,
        ),
        Figure(
            "context",
            f"{name}: memory beyond the input",
            "MiB",
            of("host", 1 / 1024),
            *itself,
            target=memory,
        ),
        Figure("context", f"{name}: peak of the session", "MiB", of("guest", 1 / 1024), *itself),
    ]
