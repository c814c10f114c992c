"""Probes: small cells that each try to climb one wall of a sandbox, and what came of them."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from rlm.errors import SandboxError
from rlm.sandbox._planted import Planted
from rlm.sandbox._probe_cells import CELLS, SIBLING
from rlm.sandbox.base import Execution, OpenOptions, Place

__all__ = ["PROBES", "WALLS", "Climb", "Planted", "Probe", "probe"]

_HARMLESS = ("MemoryError", "OSError", "PermissionError", "FileNotFoundError", "BlockingIOError")
"""Errors that a cell ends with where a wall stands, besides those that it tells of itself."""
_SAID = 300


@dataclass(frozen=True, slots=True)
class Probe:
    """A cell that tries to climb a wall; `what` says how, as in "forks".

    `bound` names the fact of a place whose value the cell tries to exceed; where the place says
    no such number the probe is not tried. It costs memory, space or threads for a moment.
    """

    wall: str
    what: str
    code: str
    bound: str = ""


@dataclass(frozen=True, slots=True)
class Climb:
    """What came of a probe: whether the wall held, `None` where it could not be tried, and why."""

    wall: str
    what: str
    held: bool | None
    said: str


PROBES = tuple(
    Probe(wall, what, code, bound) for wall, cells in CELLS.items() for what, bound, code in cells
)
"""Every probe there is, wall by wall."""

WALLS = tuple(CELLS)
"""The walls that are tried; `cpu` only where cells have little time: give its place a second."""


async def probe(
    place: Place, planted: Planted, probes: Iterable[Probe] = PROBES
) -> AsyncIterator[Climb]:
    """Run probes in a place, each in a session of its own, and say what came of each.

    What is planted must have been there before the place started. It also judges, beside what
    the cells say of themselves: a planted secret that is printed, a file that has changed, a
    listener that was reached are climbs.
    """
    async with AsyncExitStack() as stack:
        sibling = await _sibling(place, planted, stack)
        for each in probes:
            yield await _climb(place, planted, each, sibling)


async def _sibling(place: Place, planted: Planted, stack: AsyncExitStack) -> Mapping[str, Any]:
    """Open a session beside those of the probes, which keeps a secret; say where it is."""
    nothing = {"pid": 1, "folder": "/tmp"}
    try:
        session = await stack.enter_async_context(
            place.open({"token": planted.secret}, {}, OpenOptions())
        )
        ran = await session.execute(SIBLING)
        found = ast.literal_eval(ran.value or "")
    except (SandboxError, ValueError, SyntaxError):
        return nothing
    return found if isinstance(found, dict) else nothing


async def _climb(place: Place, planted: Planted, probe: Probe, sibling: Mapping[str, Any]) -> Climb:
    variables: dict[str, Any] = {
        "planted": planted.told,
        "sibling": dict(sibling),
        "promise": _promise(place, probe.wall),
    }
    if probe.bound:
        bound = place.facts.get(probe.bound)
        if isinstance(bound, bool) or not isinstance(bound, int | float):
            return Climb(probe.wall, probe.what, None, f"it has no {probe.bound} to exceed")
        variables["bound"] = int(bound)
    try:
        async with place.open(variables, {}, OpenOptions()) as session:
            ran = await session.execute(probe.code)
    except SandboxError as error:
        planted.marks()
        return Climb(probe.wall, probe.what, None, str(error)[:_SAID])
    marks = planted.marks()
    if planted.secret in ran.stdout + ran.stderr:
        marks.append("it printed what was planted")
    if marks:
        return Climb(probe.wall, probe.what, False, "; ".join(marks))
    held, said = _told(ran)
    return Climb(probe.wall, probe.what, held, said[:_SAID])


def _promise(place: Place, wall: str) -> str:
    """Return what a place says of a wall of its own."""
    walls = place.facts.get("walls")
    return str(walls.get(wall, "")) if isinstance(walls, Mapping) else ""


def _told(ran: Execution) -> tuple[bool | None, str]:
    """Return what a cell says of itself, or what its error does."""
    error = ran.error
    if error is None:
        word, _, said = ran.stdout.rstrip().rpartition("\n")[2].partition(" ")
        return {"climbed": False, "held": True}.get(word), said
    said = f"{error.type}: {error.message}"
    if error.kind == "lost":
        return True, f"its session was ended: {error.message}"
    if error.kind == "timeout":
        return True, "it was stopped"
    if error.kind == "syntax" or error.type in ("ImportError", *_HARMLESS):
        return True, said
    return None, said  # such as a module that is not there
