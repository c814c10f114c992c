"""A sink for a terminal: the tree of calls, drawn while a run goes on."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from rlm import events
from rlm.events import Delta, Event
from rlm.sinks.tree import Node, RunTree
from rlm.sinks.wording import cost_text, count_text, one_line, seconds_text

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console
    from rich.live import Live
    from rich.text import Text
    from rich.tree import Tree

__all__ = ["LiveTree"]

_LOOKS = {
    "waiting": ("○", "o", "dim"),
    "asking": ("●", "*", "cyan"),
    "retrying": ("↻", "~", "yellow"),
    "running": ("●", "*", "cyan"),
    "calling": ("●", "*", "cyan"),
    "done": ("✓", "+", "green"),
    "failed": ("✗", "x", "red"),
    "stopped": ("■", "#", "dim"),
}
"""The glyph of a state, the same in ASCII, and its colour; the word always stands beside it."""
_ORDER = ("done", "failed", "stopped", "asking", "running", "calling", "retrying", "waiting")
_CHILDREN = 8
"""Children of one call that are shown before the rest is folded into one line."""


class LiveTree:
    """The tree of calls on a terminal, redrawn at most ten times a second while a run goes on.

    A Sink, and a context manager around one run or several in turn: it begins to draw when a run
    starts, and its last frame stays when the run ends. Each line has a glyph and a word for the
    state, so that it reads without colour; a thousand children take nine lines.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tree = RunTree()
        self._lock = threading.Lock()  # events come on the loop, frames are drawn in a thread
        self._ascii = not console.encoding.lower().startswith("utf")
        self._live: Live | None = None

    def __enter__(self) -> LiveTree:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def __call__(self, what: Event | Delta) -> None:
        """Take what happened; the next frame shows it."""
        if isinstance(what, Delta):
            return
        if type(what) is events.RunStarted:
            self._start()
        with self._lock:
            self._tree.add(what)
        if type(what) is events.RunFinished:
            self._stop()

    def _start(self) -> None:
        from rich.live import Live

        self._stop()
        self._tree = RunTree()
        self._live = Live(
            get_renderable=self.frame,
            console=self._console,
            refresh_per_second=10,
            redirect_stdout=False,
            vertical_overflow="crop",
        )
        self._live.start()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def frame(self) -> Tree | Text:
        """Draw the tree as it is now."""
        from rich.text import Text
        from rich.tree import Tree

        with self._lock:
            root = self._tree.root
            if root is None:
                return Text("starting", style="dim")
            top = Tree(self._head(root), guide_style="dim", highlight=False)
            self._grow(top, root, max(self._console.height - 4, 2))
            return top

    def _grow(self, branch: Tree, node: Node, room: int) -> int:
        """Add the children of a node within `room` lines; return how many lines are left."""
        shown = self._tree.shown(node, min(_CHILDREN, room))
        rest = self._tree.folded(node, shown)
        if rest and len(shown) >= room:
            rest += Counter(child.state for child in shown[room - 1 :])
            shown = shown[: room - 1]
        room -= len(shown) + bool(rest)
        wide = max((len(child.id) for child in shown), default=0)
        for child in shown:
            twig = branch.add(self._line(child, wide))
            if room > 0:
                room = self._grow(twig, child, room)
        if rest:
            branch.add(self._folded(rest))
        return room

    def _head(self, root: Node) -> Text:
        tree = self._tree
        text = self._glyph(root)
        parts = [
            self._said(root.model),
            self._turn(root),
            seconds_text(tree.seconds),
            self._spent(),
        ]
        parts += [f"{tree.llm_calls:,} calls", f"{count_text(tree.tokens)} tokens"]
        text.append(self._dot().join(part for part in parts if part), style="bold")
        if not tree.status:
            text.append(f"\n{root.state} ", style=_LOOKS[root.state][2])
            text.append(self._said(root.doing), style="dim")
        elif tree.status != "completed" or root.doing:
            said = f"{tree.status.replace('_', ' ')}: ended by {tree.ended_by}"
            text.append(f"\n{self._said(said)}", style="yellow" if root.state == "done" else "red")
        return text

    def _line(self, node: Node, wide: int) -> Text:
        text = self._glyph(node)
        text.append(f"{self._said(node.id):<{wide}} ")
        text.append(f"{node.state:<8} ", style=_LOOKS[node.state][2])
        took = seconds_text(self._tree.seconds_of(node)) if node.state != "waiting" else ""
        text.append(f"{took:>6} ")
        if node.cost or not node.priced:
            text.append(f"{cost_text(node.total_cost)} ")
        if node.route == "repl":
            text.append(f"{self._turn(node)} ")
        said = [self._said(node.model)]
        said += [self._said(s) for s in (node.doing, node.task) if s and s != node.model][:1]
        text.append(self._dot().join(said), style="dim")
        return text

    def _folded(self, counts: Counter[str]) -> Text:
        from rich.text import Text

        said = self._dot().join(f"{counts[state]:,} {state}" for state in _ORDER if counts[state])
        more = "..." if self._ascii else "…"
        return Text(f"{more} {counts.total():,} more: {said}", style="dim", no_wrap=True)

    def _glyph(self, node: Node) -> Text:
        from rich.text import Text

        fine, coarse, style = _LOOKS[node.state]
        text = Text(no_wrap=True, overflow="crop" if self._ascii else "ellipsis")
        return text.append(f"{coarse if self._ascii else fine} ", style=style)

    def _said(self, text: str) -> str:
        said = one_line(text)
        return said.encode("ascii", "replace").decode() if self._ascii else said

    def _turn(self, node: Node) -> str:
        limit = self._tree.limits.get("max_iterations")
        return f"turn {node.turn}" + (f"/{limit}" if limit else "") if node.turn else ""

    def _spent(self) -> str:
        limit = self._tree.limits.get("max_cost_usd")
        spent = cost_text(self._tree.total_cost)
        return f"{spent} of ${limit}" if limit is not None else spent

    def _dot(self) -> str:
        return " - " if self._ascii else " · "
