"""Sinks for a terminal: a live tree of calls, lines for each turn, text as it streams."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, TextIO

from rlm import events
from rlm.events import Delta, Event
from rlm.sinks.tree import Node, RunTree
from rlm.sinks.wording import cost_text, count_text, excerpt, first_line, plain, seconds_text

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

__all__ = ["LiveTree", "TextStream", "Verbose"]

_LOOKS = {
    "waiting": ("○", "o", "dim"),
    "asking": ("●", "*", "cyan"),
    "retrying": ("↻", "~", "yellow"),
    "running": ("●", "*", "cyan"),
    "calling": ("●", "*", "cyan"),
    "done": ("✓", "+", "green"),
    "failed": ("✗", "x", "red"),
}
"""The glyph of a state, the same in ASCII, and its colour; the word always stands beside it."""
_ORDER = ("done", "failed", "asking", "running", "calling", "retrying", "waiting")
_CHILDREN = 8
"""Children of one call that are shown before the rest is folded into one line."""


class LiveTree:
    """The tree of calls on a terminal, redrawn at most ten times a second while a run goes on.

    A context manager around the run, and a Sink. Each line has a glyph and a word for the state,
    so that it reads without colour; a thousand children take nine lines.
    """

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._console = console
        self._tree = RunTree()
        self._lock = threading.Lock()  # events come on the loop, frames are drawn in a thread
        self._ascii = not console.encoding.lower().startswith("utf")
        self._live = Live(
            get_renderable=self.frame,
            console=console,
            refresh_per_second=10,
            redirect_stdout=False,
            vertical_overflow="crop",
        )

    def __enter__(self) -> LiveTree:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def __call__(self, what: Event | Delta) -> None:
        """Take what happened; the next frame shows it."""
        if isinstance(what, Event):
            with self._lock:
                self._tree.add(what)

    def frame(self) -> Tree | Text:
        """Draw the tree as it is now."""
        from rich.text import Text
        from rich.tree import Tree

        with self._lock:
            root = self._tree.root
            if root is None:
                return Text("starting …", style="dim")
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
        parts = [plain(root.model), self._turn(root), seconds_text(tree.seconds)]
        parts += [f"{tree.llm_calls:,} calls", f"{count_text(tree.tokens)} tokens", self._spent()]
        text.append(self._dot().join(part for part in parts if part), style="bold")
        if not tree.status:
            text.append(f"\n{root.state} ", style=_LOOKS[root.state][2])
            text.append(plain(root.doing), style="dim")
        elif tree.status != "completed" or root.doing:
            said = f"{tree.status.replace('_', ' ')}: ended by {tree.ended_by}"
            text.append(f"\n{plain(said)}", style="yellow" if root.state == "done" else "red")
        return text

    def _line(self, node: Node, wide: int) -> Text:
        text = self._glyph(node)
        text.append(f"{plain(node.id):<{wide}} ")
        text.append(f"{node.state:<8} ", style=_LOOKS[node.state][2])
        text.append(f"{seconds_text(self._tree.seconds_of(node)):>6} ")
        if node.cost or not node.priced:
            text.append(f"{cost_text(node.total_cost)} ")
        if node.route == "repl":
            text.append(f"{self._turn(node)} ")
        said = [plain(node.model)]
        said += [plain(s) for s in (node.doing, node.task) if s and s != node.model][:1]
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

    def _turn(self, node: Node) -> str:
        limit = self._tree.limits.get("max_iterations")
        return f"turn {node.turn}" + (f"/{limit}" if limit else "") if node.turn else ""

    def _spent(self) -> str:
        limit = self._tree.limits.get("max_cost_usd")
        spent = cost_text(self._tree.total_cost)
        return f"{spent} of ${limit}" if limit is not None else spent

    def _dot(self) -> str:
        return " - " if self._ascii else " · "


class Verbose:
    """Lines for each turn: what the model asked for, and what came of it.

    A Sink for `rlm run -v`; it needs no terminal. Code and output are shown by head and tail.
    """

    def __init__(self, console: Console, *, lines: int = 12) -> None:
        self._console = console
        self._lines = lines
        self._routes: dict[str, str] = {}
        self._replies: dict[str, events.ModelReplied] = {}

    def __call__(self, what: Event | Delta) -> None:
        """Print what it says about a turn."""
        match what:
            case events.RunStarted():
                models = ", ".join(m.name for m in what.models)
                self._say("run", f"{what.run} · {models} · sandbox {what.sandbox}")
            case events.CallStarted():
                self._routes[what.call] = what.route
            case events.ModelReplied():
                self._replied(what)
            case events.ModelRetried():
                why = f"{what.error.type}: {first_line(what.error.message)}"
                self._say(what.call, f"retry in {what.wait:.1f} s: {why}", "yellow")
            case events.CellStarted():
                self._turn(what, "code")
                self._block(what.code, "│ ", "")
            case events.CodeExecuted():
                self._executed(what)
            case events.ActionParsed(kind="final"):
                self._turn(what, "final answer")
            case events.CallFailed():
                self._say(what.call, f"failed: {_error(what.error)}", "red")
            case events.CallFinished(call="0"):
                forced = ", forced" if what.forced else ""
                self._say("0", f"finished by {what.ended_by}{forced}", "green")
            case _:
                self._notice(what)

    def _notice(self, what: Event | Delta) -> None:
        match what:
            case events.ActionRefused():
                self._turn(what, "reply refused")
                self._say(what.call, first_line(what.problem), "yellow")
            case events.OutputRefused():
                self._say(what.call, "output refused: " + "; ".join(what.problems), "yellow")
            case events.ModelLost():
                self._say(what.call, f"no reply: {_error(what.error)}", "red")
            case events.SessionLost():
                self._say(what.call, f"session lost: {what.reason}", "yellow")
            case events.LimitReached():
                said = f"{what.limit} is reached: {what.used} of {what.cap}"
                self._say(what.call, said, "yellow")
            case events.Logged(level="warning"):
                self._say(what.call or "run", what.message, "yellow")

    def _replied(self, e: events.ModelReplied) -> None:
        if self._routes.get(e.call) == "repl":
            self._replies[e.call] = e
            return
        self._say(e.call, f"{_took(e)} · {first_line(e.text, 100)}")

    def _turn(
        self, e: events.CellStarted | events.ActionParsed | events.ActionRefused, what: str
    ) -> None:
        reply = self._replies.pop(e.call, None)
        self._say(
            e.call, f"turn {e.turn}: {what}" + (f" · {_took(reply)}" if reply else ""), "bold"
        )

    def _executed(self, e: events.CodeExecuted) -> None:
        self._block(e.stdout, "→ ", "dim")
        self._block(e.stderr, "! ", "dim")
        if e.value is not None:
            self._block(e.value, "= ", "dim")
        if e.error is not None:
            self._block(_error(e.error), "✗ ", "red")
        elif not (e.stdout or e.stderr or e.value is not None):
            self._block("no output", "→ ", "dim")

    def _say(self, call: str, text: str, style: str = "") -> None:
        self._print(f"[{plain(call)}] {plain(text)}", style)

    def _block(self, text: str, mark: str, style: str) -> None:
        if text:
            for line in excerpt(text, self._lines):
                self._print(f"  {mark}{line}", style)

    def _print(self, line: str, style: str) -> None:
        self._console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


class TextStream:
    """The root model's text as it streams, written to a text stream; a Sink."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._open = False

    def __call__(self, what: Event | Delta) -> None:
        """Write a piece of the root's reply."""
        if isinstance(what, Delta):
            if what.call == "0" and what.kind in ("text", "reasoning"):
                self._stream.write(plain(what.text))
                self._stream.flush()
                self._open = not what.text.endswith("\n")
        elif self._open and what.call == "0" and isinstance(what, _REPLY_ENDS):
            self._stream.write("\n")
            self._open = False


_REPLY_ENDS = (events.ModelReplied, events.ModelRetried, events.ModelLost)


def _error(fact: events.ErrorFact) -> str:
    line = fact.details.get("line")
    source = str(fact.details.get("source") or "").strip()
    where = f" (line {line}: {first_line(source)})" if line else ""
    return f"{fact.type}: {first_line(fact.message)}{where}"


def _took(e: events.ModelReplied) -> str:
    if e.cached:
        return f"{e.model} · from the cache"
    tokens = f"{e.usage.total_tokens:,} tokens"
    return f"{e.model} · {seconds_text(e.seconds)} · {tokens} · {cost_text(e.cost)}"
