"""Sinks that write lines: what each turn was and came to, and text as it streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from rlm import events
from rlm.events import Delta, Event
from rlm.sinks.wording import cost_text, excerpt, first_line, one_line, plain, seconds_text

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["TextStream", "Verbose"]


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
        self._print(f"[{one_line(call)}] {one_line(text)}", style)

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
