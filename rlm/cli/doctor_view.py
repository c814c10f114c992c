"""What a doctor found, laid out for people: one line a thing, wrapped only on a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rlm.sinks.wording import one_line, seconds_text

if TYPE_CHECKING:
    from rich.console import Console

    from rlm.cli.doctor_findings import Finding
    from rlm.cli.doctor_sandboxes import Checkup, Wall

__all__ = ["View"]

_MARKS = {
    "ok": ("✓", "green"),
    "held": ("✓", "green"),
    "note": ("•", "yellow"),
    "open": ("•", "yellow"),
    "untried": ("·", "dim"),
    "bad": ("✗", "bold red"),
    "climbed": ("✗", "bold red"),
    "get it": ("→", "cyan"),
}
"""A glyph and a style for each word; the word is always there."""
_PLAIN = {"✓": "+", "•": "-", "·": ".", "✗": "x", "→": ">"}
_NARROW = 72


class View:
    """Writes findings to a console.

    On a terminal long lines are wrapped below their beginning; in a pipe each is one line, for
    programs such as grep.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._wide = console.width if console.is_terminal else None
        self._plain = not _can_encode(console, "".join(_PLAIN))

    def heading(self, name: str, text: str = "", style: str = "bold") -> None:
        """Write the line above a block."""
        self._console.print()
        self._console.print(name, style=style, end="")
        for line, first in self._wrapped(text, len(name) + 2, 4):
            self._console.print(("  " if first else "    ") + line, soft_wrap=True)
        if not text:
            self._console.print()

    def findings(self, found: Sequence[Finding]) -> None:
        """Write findings, each with what to do about it."""
        width = max((len(each.name) for each in found), default=0)
        for each in found:
            self._row(each.state, each.name, width, each.text)
            if each.how:
                self._row("get it", "", width, each.how)

    def checkup(self, found: Checkup) -> None:
        """Write what was found of a sandbox."""
        style = {"ok": "bold green", "note": "bold yellow", "bad": "bold red"}[found.state]
        self.heading(found.name, found.text, style)
        if found.start_seconds is not None and found.cell_seconds is not None:
            ready = seconds_text(found.start_seconds)
            cell = f"{found.cell_seconds * 1000:.1f} ms"
            self._line(f"Python {found.python} · ready in {ready} · a cell in {cell}")
        if found.how:
            self._row("get it", "", 0, found.how)
        self.findings(found.findings if found.start_seconds is not None else ())
        width = max((len(wall.wall) for wall in found.walls), default=0)
        for wall in found.walls:
            self._row(wall.state, wall.wall, width, _said(wall))
        for how in dict.fromkeys(lack.how for lack in found.missing):
            for lack in found.missing:
                if lack.how == how:
                    self._row("note", "missing", 7, lack.what)
            if how:
                self._row("get it", "", 7, how)

    def verdict(self, bad: Sequence[str]) -> None:
        """Write the last line: whether anything is bad."""
        self._console.print()
        if bad:
            self._console.print(f"bad: {', '.join(bad)}", style="bold red", soft_wrap=True)
        else:
            self._console.print("what has to work here works", style="green", soft_wrap=True)

    def _line(self, text: str) -> None:
        for line, _ in self._wrapped(text.replace("·", "-") if self._plain else text, 2, 2):
            self._console.print("  " + line, style="dim", soft_wrap=True)

    def _row(self, word: str, name: str, width: int, text: str) -> None:
        glyph, style = _MARKS[word]
        mark = _PLAIN[glyph] if self._plain else glyph
        head = f"{mark} {word:<7}"
        label = f" {name:<{width}}  " if width else "  "
        indent = 2 + len(head) + len(label)
        below = 6 if self._wide is not None and self._wide < _NARROW else indent
        self._console.print("  ", end="")
        self._console.print(head, style=style, end="")
        self._console.print(label, end="", soft_wrap=True)
        for line, first in self._wrapped(text, indent, below):
            self._console.print(("" if first else " " * below) + line, soft_wrap=True)

    def _wrapped(self, text: str, first: int, below: int) -> Iterable[tuple[str, bool]]:
        """Return the lines of a text that begins in column `first`, then in column `below`."""
        plain = one_line(text)
        if self._wide is None:
            return [(plain, True)] if plain else []
        lines = textwrap.wrap(
            plain,
            max(self._wide - below, 20),
            initial_indent=" " * max(first - below, 0),
            break_on_hyphens=False,
            break_long_words=False,  # commands and paths are to be copied whole
        )
        return [
            (line[max(first - below, 0) :] if i == 0 else line, i == 0)
            for i, line in enumerate(lines)
        ]


def _said(wall: Wall) -> str:
    """Return what a line says of a wall: what climbed it, or what holds and how often it did."""
    over = [climb for climb in wall.climbs if climb.held is False]
    if over:
        ways = "; ".join(f"{climb.what}: {climb.said}" for climb in over)
        return f"{wall.how}; but it {ways}" if wall.how else f"it {ways}"
    tries = [climb.what for climb in wall.climbs if climb.held]
    if wall.state != "held":
        why = "; ".join(dict.fromkeys(c.said for c in wall.climbs if c.held is None))
        return "; ".join(filter(None, [wall.how, why]))
    if not wall.how:
        return f"no cell {', or '.join(tries)}"
    return f"{wall.how} ({'1 climb' if len(tries) == 1 else f'{len(tries)} climbs'} failed)"


def _can_encode(console: Console, text: str) -> bool:
    try:
        text.encode(console.encoding)
    except (LookupError, UnicodeEncodeError):
        return False
    return True
