"""A sandbox as a doctor sees it: one cell in it, then a climb of each of its walls."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rlm.cli.doctor_findings import Finding

if TYPE_CHECKING:
    from rlm.sandbox.base import CellLimits, Sandbox
    from rlm.sandbox.probes import Climb, Planted, Probe

__all__ = ["Checkup", "Lack", "Wall", "check_up"]

Say = Callable[[str], None]
"""Takes what is being done now, for somebody who waits."""

_CELL = "import sys; print(sum(range(101)), sys.version.partition(' ')[0])"
_SMALL_MB, _SMALL_SCRATCH_MB = 128, 16
_SHORT_SECONDS = 0.3

_OPENED = {"network": ("network",), "processes": ("processes", "signals")}
"""Options that open walls, where they are asked for."""
_LACKS = {
    "landlock": ("files", "siblings", "environment"),
    "root of its own": ("files", "namespaces"),
    "namespace": ("namespaces",),
    "read-only root": ("files", "disk"),
    "network": ("network",),
    "process numbers": ("signals", "siblings"),
    "capabilities": ("privileges",),
    "no_new_privs": ("privileges",),
    "seccomp": ("system_calls", "processes", "signals", "network", "memory"),
    "bound on all files": ("disk",),
    "number of processes": ("processes",),
    "limit of processes": ("processes",),
    "memory": ("memory",),
    "time": ("cpu",),
}
"""Walls that do not hold, or not wholly, where a sentence of `missing` has these words."""


@dataclass(frozen=True)
class Lack:
    """Something that the machine does not give a sandbox, and how to get it."""

    what: str
    how: str


@dataclass(frozen=True)
class Wall:
    """A wall, and what came of climbing it.

    `held`; `climbed`, though the sandbox says that it holds; `open`, as the sandbox itself says;
    `untried`. `how` is what the sandbox says of it.
    """

    wall: str
    state: Literal["held", "climbed", "open", "untried"]
    how: str
    climbs: tuple[Climb, ...] = ()


@dataclass(frozen=True)
class Checkup:
    """What was found of one sandbox. `state` is `bad` when it should work here and does not."""

    name: str
    state: Literal["ok", "note", "bad"]
    text: str
    how: str = ""
    python: str = ""
    start_seconds: float | None = None
    cell_seconds: float | None = None
    findings: tuple[Finding, ...] = ()
    missing: tuple[Lack, ...] = ()
    walls: tuple[Wall, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


async def check_up(name: str, kind: Sandbox, quick: bool, wanted: bool, say: Say) -> Checkup:
    """Start a sandbox, run a cell in it, and climb its walls unless it is to be quick.

    `name` is what it is called here; `wanted` is whether it has to work, which makes bad what
    would else be a note.
    """
    from rlm.errors import RLMError

    findings: tuple[Finding, ...] = ()
    if kind.name == "docker":
        from rlm.cli.doctor_docker import look_at_engine

        engine = look_at_engine(getattr(kind, "image", ""), getattr(kind, "runtime", None))
        findings = engine.findings
    try:
        tidy = _changed(kind, keep_alive=False)
        return await _examined(name, tidy, findings, quick, wanted, say)
    except (RLMError, OSError) as error:
        mends = [each.how for each in findings if each.how]
        return Checkup(
            name,
            "bad" if wanted else "note",
            f"it does not start: {error}",
            "; ".join(mends),
            findings=findings,
        )


async def _examined(
    name: str, kind: Sandbox, findings: tuple[Finding, ...], quick: bool, wanted: bool, say: Say
) -> Checkup:
    from rlm.cli.cell import run_cell
    from rlm.sandbox.base import CellLimits

    say(f"{name}: running a cell")
    began = time.monotonic()
    ran = await run_cell(_CELL, kind, {}, CellLimits(seconds=20))
    took = time.monotonic() - began
    done, facts = ran.execution, dict(ran.facts)
    words = done.stdout.split()
    if words[:1] != ["5050"]:
        why = f"{done.error.type}: {done.error.message}" if done.error else repr(done.stdout)
        state: Literal["bad", "note"] = "bad" if wanted else "note"
        text = f"it does not run a cell: {why}"
        return Checkup(name, state, text, findings=findings, facts=facts)
    climbs = () if quick else await _climbs(kind, lambda what: say(f"{name}: {what}"))
    walls = _walls(facts, climbs)
    runtime = str(facts.get("runtime") or "")
    missing = tuple(_lack(each, runtime) for each in facts.get("missing") or ())
    broken = any(wall.state == "climbed" for wall in walls)
    return Checkup(
        name,
        "bad" if broken else "note" if missing else "ok",
        _verdict(walls, len(missing), quick),
        python=" ".join(words[1:]),
        start_seconds=round(took - done.seconds, 4),
        cell_seconds=round(done.seconds, 4),
        findings=findings,
        missing=missing,
        walls=walls,
        facts=facts,
    )


def _verdict(walls: Sequence[Wall], lacks: int, quick: bool) -> str:
    """Return what a sandbox is worth here, in a few words."""
    climbed = [wall.wall for wall in walls if wall.state == "climbed"]
    opened = [wall.wall for wall in walls if wall.state == "open"]
    parts = []
    if climbed:
        parts.append(f"climbed: {', '.join(climbed)}")
    if opened:
        parts.append(f"open: {', '.join(opened)}")
    if quick:
        parts.append("it runs a cell; its walls were not tried")
    elif not parts:
        parts.append("every wall that was tried held")
    if lacks:
        parts.append(f"{lacks} {'thing is' if lacks == 1 else 'things are'} missing, see below")
    return "; ".join(parts)


def _lack(what: str, runtime: str) -> Lack:
    from rlm.sandbox.remedies import remedy

    return Lack(what, remedy(what, runtime))


async def _climbs(kind: Sandbox, say: Say) -> list[Climb]:
    """Climb every wall, of a sandbox whose bounds are small, so that exceeding them is."""
    from rlm.sandbox.base import CellLimits
    from rlm.sandbox.probes import PROBES, Planted

    say("climbing its walls")
    small = _small(kind)
    probes = [each for each in PROBES if each.wall != "cpu"]
    timed = [each for each in PROBES if each.wall == "cpu"]
    with Planted() as planted:
        found = await _probed(small, CellLimits(20, _SMALL_MB), planted, probes, say)
        short = CellLimits(_SHORT_SECONDS, _SMALL_MB)
        return [*found, *await _probed(small, short, planted, timed, say)]


async def _probed(
    kind: Sandbox, limits: CellLimits, planted: Planted, probes: Sequence[Probe], say: Say
) -> list[Climb]:
    from rlm.sandbox.probes import probe

    found = []
    async with kind.start({}, limits) as place:
        async for climb in probe(place, planted, probes):
            say(climb.wall)
            found.append(climb)
    return found


def _small(kind: Sandbox) -> Sandbox:
    """Return the sandbox with a small scratch, if it has a scratch that can be bounded."""
    room = getattr(kind, "scratch_mb", None)
    return _changed(kind, scratch_mb=min(room, _SMALL_SCRATCH_MB)) if room else kind


def _changed(kind: Sandbox, **options: Any) -> Sandbox:
    """Return the sandbox with other options, of those that it has."""
    from rlm.cli.sandboxes import options_of

    known = options_of(kind)
    changed: Any = kind
    wanted = {name: value for name, value in options.items() if name in known}
    made: Sandbox = dataclasses.replace(changed, **wanted) if wanted else kind
    return made


def _walls(facts: Mapping[str, Any], climbs: Sequence[Climb]) -> tuple[Wall, ...]:
    """Return every wall that the sandbox speaks of or that was tried, in the order of probes."""
    from rlm.sandbox.probes import WALLS

    told = facts.get("walls")
    says = {str(name): str(how) for name, how in told.items()} if isinstance(told, Mapping) else {}
    opened = _opened(facts)
    tried = {climb.wall for climb in climbs}
    names = [name for name in WALLS if name in tried or name in says]
    names += [name for name in says if name not in names]
    return tuple(
        _wall(name, says.get(name, ""), name in opened, [c for c in climbs if c.wall == name])
        for name in names
    )


def _wall(name: str, how: str, is_open: bool, climbs: Sequence[Climb]) -> Wall:
    state: Literal["held", "climbed", "open", "untried"]
    if any(climb.held is False for climb in climbs):
        state = "open" if is_open else "climbed"
    elif is_open and any(climb.held is None for climb in climbs):
        state = "open"
    else:
        state = "held" if any(climb.held for climb in climbs) else "open" if is_open else "untried"
    return Wall(name, state, how, tuple(climbs))


def _opened(facts: Mapping[str, Any]) -> set[str]:
    """Return the walls of which the sandbox itself says that they do not hold."""
    found = {wall for option, walls in _OPENED.items() if facts.get(option) for wall in walls}
    for sentence in facts.get("missing") or ():
        for words, walls in _LACKS.items():
            if words in str(sentence).lower():
                found.update(walls)
    return found
