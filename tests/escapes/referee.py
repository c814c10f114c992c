"""Runs cases in a sandbox, and says what harm each of them did."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from rlm.guest.values import Record
from rlm.sandbox.base import CellLimits, Execution, OpenOptions, Place, Sandbox, Session

from .case import Case
from .kinds import Kind
from .said import SHARED, Offered, malformed
from .sight import shown_and_kept
from .world import World

__all__ = ["judged"]

_PRELUDE = Path(__file__).with_name("prelude.txt").read_text("utf-8")
_SLACK = 10.0
"""Seconds that a busy machine may add to a cell's own time before it counts as outlived."""
_STILL = 4.0
_GROWN_MB = 200

_SIBLING = """
import os
sibling_secret = "SIBLING=" + given
with open("mine.txt", "w") as file:
    file.write(sibling_secret)
(os.getpid(), os.getcwd(), id(sibling_secret))
"""

_SIBLING_WITHOUT_FILES = """
sibling_secret = "SIBLING=" + given
(0, "", 0)
"""


def judged(kind: Kind, cases: Iterable[Case]) -> dict[str, list[str]]:
    """Run cases in places of a kind, one place for all that have the same bounds."""
    ordered = sorted(cases, key=lambda one: one.bounds)
    groups = [list(group) for _, group in groupby(ordered, key=lambda one: one.bounds)]
    worlds = [World() for _ in groups]  # they fork, and must not fork threads

    async def main() -> dict[str, list[str]]:
        made = [
            _Group(kind, world, group).run() for world, group in zip(worlds, groups, strict=True)
        ]
        found: dict[str, list[str]] = {}
        for harms in await asyncio.gather(*made):
            found |= harms
        return found

    before = set(os.listdir(tempfile.gettempdir()))
    try:
        found = asyncio.run(main())
        left = [
            name
            for name in set(os.listdir(tempfile.gettempdir())) - before
            if _of_this_process(name)
        ]
        if left:
            found[ordered[-1].name].append(f"a place has left {left[0]}")
        return found
    finally:
        for world in worlds:
            world.close()


class _Group:
    """The cases of one place."""

    def __init__(self, kind: Kind, world: World, cases: list[Case]) -> None:
        self._kind = kind
        self._world = world
        self._cases = cases
        self._bounds = cases[0].limits
        self._offered = Offered()
        self._offered["known"] = self._known
        self._offered["submit"] = self._submit
        self._secret = world.secrets["a sibling's session"] = os.urandom(12).hex()
        self._sibling: Session | None = None
        self._neighbour: dict[str, Any] = {}

    async def run(self) -> dict[str, list[str]]:
        """Return the harms of each case."""
        found = {}
        sandbox: Sandbox = self._kind.make(self._bounds)
        limits = CellLimits(self._bounds["seconds"], int(self._bounds["memory_mb"]))
        given = {"given": self._secret}
        async with (
            sandbox.start({"shared": "an input"}, limits) as place,
            place.open(given, {}, OpenOptions()) as self._sibling,
        ):
            await self._settle()
            for one in self._cases:
                found[one.name] = await self._judge(place, one)
        return found

    async def _settle(self) -> None:
        """Let the sibling keep a secret in its memory and its folder."""
        assert self._sibling is not None
        done = await self._sibling.execute(
            _SIBLING if self._kind.prelude else _SIBLING_WITHOUT_FILES
        )
        pid, folder, address = eval(done.value or "(0, '', 0)")
        told = {"sibling_pid": pid, "sibling_folder": folder, "sibling_address": address}
        self._neighbour |= told

    async def _judge(self, place: Place, one: Case) -> list[str]:
        self._world.next()
        peak = _peak()
        heart = _Heart()
        try:
            said, harms = await self._cell(place, one.code, one)
            if one.then:
                later, more = await self._cell(place, one.then, one)
                said, harms = said + later, harms + more
            harms += await self._aftermath(said)
        finally:
            stood = await heart.stop()
        harms += [f"{SHARED[0]} for {stood:.0f} s"] if stood > _STILL else []
        harms += [SHARED[1]] if _peak() - peak > _GROWN_MB else []
        return list(dict.fromkeys(harms))

    async def _cell(self, place: Place, code: str, one: Case) -> tuple[str, list[str]]:
        facts = {**self._world.facts, **self._neighbour, **one.limits, "wire": 0}
        given = {"host": Record("Host", facts)}
        streamed: list[str] = []
        options = OpenOptions(outputs=("answer",))
        done: Execution | None = None
        harms: list[str] = []
        try:
            async with place.open(
                given, self._offered, options, lambda stream, text: streamed.append(text)
            ) as session:
                if self._kind.prelude:
                    await session.execute(_PRELUDE)
                done, harms = await _timed(session, code, one.limits["seconds"])
                harms += await _answers(session)
        except Exception as error:
            harms.append(f"the host raised {type(error).__name__}: {error!s:.200}")
        text = "".join(streamed)
        if done is not None:
            told = dataclasses.asdict(done)
            told["variables"] = [dataclasses.astuple(each) for each in done.variables]
            harms += malformed(told) + await asyncio.to_thread(shown_and_kept, done)
            text += repr(told) + done.stdout + done.stderr + str(done.value)
        if os.environ.get("ESCAPES_SHOW"):
            sys.stderr.write(f"--- {one.name}\n{text[-3000:]}\n")
        return text, harms

    async def _aftermath(self, said: str) -> list[str]:
        harms = await self._works()
        await asyncio.sleep(0)
        harms += self._world.harms(said + self._offered.heard) + self._offered.harms()
        alive = self._world.left_alive()
        return harms + alive

    async def _works(self) -> list[str]:
        """Whether the sibling still has what it had; the next case tells of fresh sessions."""
        assert self._sibling is not None
        check = "(sibling_secret, open('mine.txt').read())"
        if not self._kind.prelude:
            check = "(sibling_secret, sibling_secret)"
        harms = []
        try:
            kept = await asyncio.wait_for(self._sibling.execute(check), 30)
            secret = "SIBLING=" + self._secret
            if kept.error is not None and kept.error.kind == "lost":
                harms.append("a sibling was ended")
                await self._settle()
            elif kept.value != repr((secret, secret)):
                harms.append("a sibling was changed")
                await self._settle()
        except Exception as error:
            harms.append(f"the host raised {type(error).__name__}: {error!s:.200}")
        return harms

    async def _known(self, *args: Any, **named: Any) -> str:
        self._offered.take(args, named)
        return "known"

    async def _submit(self, *args: Any, **named: Any) -> None:
        self._offered.take(args, named)


async def _timed(session: Session, code: str, seconds: float) -> tuple[Execution | None, list[str]]:
    begun = time.monotonic()
    try:
        done = await asyncio.wait_for(session.execute(code), seconds + 3 * _SLACK)
    except TimeoutError:
        return None, ["the host waits for ever"]
    took = time.monotonic() - begun
    return done, ["it did not stop when its time was up"] if took > seconds + _SLACK else []


async def _answers(session: Session) -> list[str]:
    """Whether a session works; one that is spoilt is replaced, which may take some cells."""
    for _ in range(4):
        after = await asyncio.wait_for(session.execute("1 + 1"), 30)
        if after.value == "2":
            return []
    return ["the session does not answer afterwards"]


class _Heart:
    """Beats on the event loop; `stop` returns the longest pause between two beats, in seconds."""

    def __init__(self) -> None:
        self._longest = 0.0
        self._task = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            begun = time.monotonic()
            await asyncio.sleep(0.1)
            self._longest = max(self._longest, time.monotonic() - begun - 0.1)

    async def stop(self) -> float:
        self._task.cancel()
        await asyncio.wait([self._task])
        return self._longest


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _of_this_process(name: str) -> bool:
    parts = name.split("-")
    own = [str(os.stat("/proc/self/ns/pid").st_ino), str(os.getpid())]
    return parts[0] == "rlm" and parts[1:3] == own
