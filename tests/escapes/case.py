"""A case of the escape suite, and where cases come from."""

from __future__ import annotations

import importlib
import json
import pkgutil
import random
import runpy
import textwrap
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

__all__ = ["BOUNDS", "Case", "case", "from_json", "from_path", "sample", "tables", "to_json"]

BOUNDS = {"seconds": 10.0, "memory_mb": 256, "scratch_mb": 64, "processes": 0, "threads": 64}
"""What a place allows where a case says nothing else."""


@dataclass(frozen=True, slots=True)
class Case:
    """One cell that tries to do one harm.

    `then` is a cell of a later session of the same place; `bounds` are those of the place.
    `control` says who does it without a sandbox, and `why` why nobody can. In places of the kinds
    `allowed_in` it is no harm, since they are there for it.
    """

    name: str
    code: str
    then: str = ""
    control: Literal["user", "root"] | None = "user"
    why: str = ""
    soak: bool = False
    bounds: tuple[tuple[str, float], ...] = field(default=())
    topic: str = ""
    allowed_in: tuple[str, ...] = ()

    @property
    def limits(self) -> dict[str, float]:
        """All bounds of its place."""
        return {**BOUNDS, **dict(self.bounds)}


def case(
    name: str,
    code: str,
    *,
    then: str = "",
    control: Literal["user", "root"] | None = "user",
    why: str = "",
    soak: bool = False,
    allowed_in: tuple[str, ...] = (),
    **bounds: float,
) -> Case:
    """Make a case; the texts may be indented."""
    unknown = bounds.keys() - BOUNDS.keys()
    if unknown:
        raise TypeError(f"{name}: no bound is called {', '.join(sorted(unknown))}")
    if (control is None) != bool(why):
        raise TypeError(f"{name}: a case has a control, or says why it has none")
    bounded = tuple(sorted(bounds.items()))
    return Case(
        name, _flush(code), _flush(then), control, why, soak, bounded, allowed_in=allowed_in
    )


def _flush(text: str) -> str:
    """Return code without the indent that it has in a table."""
    return textwrap.dedent(text).strip("\n") + "\n" if text else ""


def tables() -> tuple[Case, ...]:
    """Return the cases of this repository, by topic."""
    package = importlib.import_module(".tables", __package__)
    found: list[Case] = []
    for module in pkgutil.iter_modules(package.__path__):
        table = importlib.import_module(f".tables.{module.name}", __package__)
        found += (replace(one, topic=module.name) for one in table.CASES)
    return _distinct(found)


def from_path(path: Path) -> tuple[Case, ...]:
    """Return the cases of a file, or of all files of a folder."""
    files = sorted(path.glob("*.py")) if path.is_dir() else [path]
    found: list[Case] = []
    for file in files:
        given: Any = runpy.run_path(str(file)).get("CASES", ())
        found += (_mine(one, file.stem) for one in given)
    return _distinct(found)


def to_json(cases: Iterable[Case]) -> str:
    """Return cases as text, for another process."""
    return json.dumps([asdict(one) for one in cases])


def from_json(text: str) -> list[Case]:
    """Return the cases of a text of `to_json`."""
    read = json.loads(text)
    for one in read:
        one["bounds"] = tuple(map(tuple, one["bounds"]))
        one["allowed_in"] = tuple(one["allowed_in"])
    return [Case(**one) for one in read]


def sample(cases: tuple[Case, ...], share: float, seed: int) -> tuple[Case, ...]:
    """Return all quick cases and a seeded share of the long ones."""
    draw = random.Random(seed)
    return tuple(one for one in cases if not one.soak or draw.random() < share)


def _mine(one: Any, topic: str) -> Case:
    """Take over a case that was made by this module under another name."""
    names = [name for name in Case.__slots__ if name != "topic"]
    return Case(**{name: getattr(one, name) for name in names}, topic=topic)


def _distinct(cases: list[Case]) -> tuple[Case, ...]:
    names = [one.name for one in cases]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"two cases are called {', '.join(sorted(twice))}")
    return tuple(cases)
