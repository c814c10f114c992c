"""What a bench reports, and how two things are timed fairly on a machine that others use too."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Figure", "Rounds", "interleaved", "run_program"]


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    `values` and `baseline` have one entry a round, taken side by side; `ratio` is the median of
    the rounds' own ratios, so that a noisy minute moves both sides. `target` is an upper bound of
    the ratio when `of_ratio`, else of the value; `None` reports without judging.
    """

    bench: str
    name: str
    unit: str
    values: tuple[float, ...]
    baseline_name: str = ""
    baseline: tuple[float, ...] = ()
    target: float | None = None
    of_ratio: bool = False
    note: str = ""
    ok: bool = field(init=False)

    def __post_init__(self) -> None:
        judged = self.ratio if self.of_ratio else self.value
        fine = self.target is None or (judged is not None and judged <= self.target)
        object.__setattr__(self, "ok", fine)

    @property
    def value(self) -> float:
        """The median."""
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """The median of ours over the baseline's, round by round."""
        if not self.baseline:
            return None
        return statistics.median(o / b for o, b in zip(self.values, self.baseline, strict=True))


Rounds = dict[str, tuple[float, ...]]
"""What each subject returned, round by round."""


def interleaved(
    rounds: int, subjects: Mapping[str, Callable[[], float]], warm_up: bool = True
) -> Rounds:
    """Call each subject once a round and return what each returned, round by round.

    Every other round goes backwards, so that nobody is always measured after the same neighbour.
    """
    found: dict[str, list[float]] = {name: [] for name in subjects}
    if warm_up:
        for measure in subjects.values():
            measure()
    for number in range(rounds):
        names = list(subjects)
        for name in names if number % 2 == 0 else reversed(names):
            found[name].append(subjects[name]())
    return {name: tuple(values) for name, values in found.items()}


def run_program(name: str, *arguments: str) -> dict[str, float]:
    """Run one of `programs/` in a process of its own and return what it tells as JSON."""
    path = Path(__file__).parent / "programs" / f"{name}.py"
    done = subprocess.run(
        [sys.executable, str(path), *arguments], stdout=subprocess.PIPE, check=True, text=True
    )
    told: dict[str, float] = json.loads(done.stdout)
    return told
