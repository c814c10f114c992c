"""`context`: how long a large text takes to be there in a cell, and the memory it takes."""

from __future__ import annotations

from bench.measure import Figure, run_program

__all__ = ["measure"]


def measure(quick: bool) -> list[Figure]:
    """Give texts of 10 MB, 100 MB and (not when quick) 1 GB, each to a process of its own."""
    found: list[Figure] = []
    for megabytes in (10, 100) if quick else (10, 100, 1000):
        found += _figures(megabytes, 1 if quick or megabytes == 1000 else 3)
    return found


def _figures(megabytes: int, rounds: int) -> list[Figure]:
    runs = [run_program("large_text", str(megabytes * 1_000_000)) for _ in range(rounds)]

    def of(part: str, unit: float) -> tuple[float, ...]:
        return tuple(told[part] * unit for told in runs)

    text = ("the text itself", of("text", 1 / 1024))
    encoding = ("encoding the text once", of("encoding", 1000))
    size = f"{megabytes:,} MB"
    return [
        Figure(
            "context", f"{size}: until its first cell has run", "ms", of("cell", 1000), *encoding
        ),
        Figure("context", f"{size}: more memory in the host", "MiB", of("host", 1 / 1024), *text),
        Figure("context", f"{size}: memory of the guest", "MiB", of("guest", 1 / 1024), *text),
    ]
