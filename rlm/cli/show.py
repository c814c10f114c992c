"""`rlm show`: a run as its log tells it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.tree import Tree

    from rlm.events import InputFact
    from rlm.result import Result
    from rlm.trace import Trace
    from rlm.views import CallView, TurnView

__all__ = ["EXAMPLES", "show"]

EXAMPLES = """[bold]Examples[/bold]
  rlm show logs/                        [dim]# the newest run of a folder[/dim]
  rlm show logs/RUN.jsonl --call 0.2    [dim]# the turns of one sub-call[/dim]
  rlm show logs/RUN.jsonl --turn 3      [dim]# one turn, with all of its output[/dim]
  rlm show logs/RUN.jsonl --json | jq .output
"""

_LINES = 20  # of code or of output, when no turn was asked for
_CHILDREN = 20  # of one call, in the tree
_FAILED = 5  # of them at least, if so many failed


def show(
    log: Annotated[
        str, typer.Argument(metavar="LOG", help="A log file, or a folder: its newest log.")
    ],
    call: Annotated[
        str | None, typer.Option(metavar="ID", help="Show the turns of this call, as in 0.2.")
    ] = None,
    turn: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Show this turn only, in full.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a run from its log: what it did, its calls, its turns, its output.

    Whatever a model or a cell wrote is shown as text: nothing in it reaches
    the terminal as a command. Damaged lines of the log are named, and the
    rest is shown.
    """
    from rlm.cli import exits, terminal
    from rlm.errors import ConfigurationError
    from rlm.result import Result
    from rlm.trace import Trace

    path = _find(log)
    trace = Trace.read(path)
    result: Result[Any] = Result(trace)
    calls = {view.id: view for view in result.calls()}
    chosen = call or "0"
    if call is not None and call not in calls:
        raise ConfigurationError(f"{path} has no call {call!r}; it has {_some(list(calls))}")
    turns = [view for view in result.turns(chosen) if turn is None or view.number == turn]
    if turn is not None and not turns:
        raise ConfigurationError(f"call {chosen} of {path} has no turn {turn}")
    if as_json:
        terminal.write_json(_as_json(result, calls, turns, path))
        return
    console = terminal.output_console()
    if call is None and turn is None:
        _say_run(console, result, path)
        _say_tree(console, calls, _prompts(trace))
    if chosen in calls:
        _say_call(console, calls[chosen], turns, full=turn is not None)
    for problem in trace.skipped:
        exits.complain(f"{path.name}: left out {problem}")


def _find(log: str) -> Path:
    from rlm.errors import ConfigurationError

    path = Path(log).expanduser()
    if not path.is_dir():
        return path
    logs = sorted(path.glob("*.jsonl"), key=lambda found: found.stat().st_mtime_ns)
    if not logs:
        raise ConfigurationError(f"there is no log (*.jsonl) in {log!r}")
    return logs[-1]


def _some(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _say_run(console: Console, result: Result[Any], path: Path) -> None:
    """Print the header: what was asked, how it ended, what it took."""
    from rlm import events
    from rlm.cli.asking import summary
    from rlm.sinks.wording import first_line, one_line

    started = result.trace.first(events.RunStarted)
    style = "green" if result.ok else "yellow" if result.needs_review else "red"
    console.print(one_line(f"{result.run_id}  {path}"), style="bold", soft_wrap=True)
    if started is not None:
        names = ", ".join(f"{m.name} ({m.role})" for m in started.models)
        root = result.trace.first(events.CallStarted)
        inputs = ", ".join(map(_input, root.inputs if root else ())) or "none"
        console.print(f"task     {first_line(started.task, 500)}", soft_wrap=True)
        console.print(f"inputs   {one_line(inputs)}", soft_wrap=True)
        console.print(f"models   {one_line(names)}", soft_wrap=True)
        console.print(f"sandbox  {one_line(started.sandbox)}", soft_wrap=True)
    console.print(f"outcome  {one_line(summary(result))}", style=style, soft_wrap=True)
    if result.ended_by == "cut_off":
        console.print("         the log ends before the run did", style=style)
    for warning in result.warnings:
        console.print(f"warning  {one_line(warning)}", style="yellow", soft_wrap=True)


def _input(fact: InputFact) -> str:
    size = f" of {fact.length:,} {fact.unit}".rstrip() if fact.length is not None else ""
    return f"{fact.name}: {fact.type}{size}"


def _prompts(trace: Trace) -> dict[str, str]:
    """Return what each plain completion was asked: its one message says it, not its start."""
    from rlm.events import MessageAdded

    asked = [e for e in trace.of(MessageAdded) if e.about == "prompt" and e.role == "user"]
    return {e.call: e.content or "" for e in reversed(asked)}


def _say_tree(console: Console, calls: dict[str, CallView], prompts: dict[str, str]) -> None:
    from rich.tree import Tree

    if len(calls) < 2:
        return
    children: dict[str, list[CallView]] = {}
    for view in calls.values():
        children.setdefault(view.parent, []).append(view)

    def grow(branch: Tree, view: CallView) -> None:
        below = children.get(view.id, [])
        chosen = _few(below)
        for child in chosen:
            grow(branch.add(_call_line(child, prompts)), child)
        if len(below) > len(chosen):
            rest = Counter(c.status for c in below) - Counter(c.status for c in chosen)
            counts = " · ".join(f"{count:,} {status}" for status, count in rest.items())
            branch.add(f"… {rest.total():,} more: {counts}", style="dim")

    for root in children.get("", []):
        tree = Tree(_call_line(root, prompts), guide_style="dim", highlight=False)
        grow(tree, root)
        console.print()
        console.print(tree)


def _few(views: list[CallView]) -> list[CallView]:
    """Return up to twenty calls in their order, among them some that failed, if any did."""
    if len(views) <= _CHILDREN:
        return views
    failed = {view.id for view in views if view.status == "failed"}
    chosen = [view.id for view in views if view.id in failed][:_FAILED]
    chosen += [view.id for view in views if view.id not in failed][: _CHILDREN - len(chosen)]
    return [view for view in views if view.id in set(chosen)]


def _call_line(view: CallView, prompts: dict[str, str]) -> Any:
    from rich.text import Text

    from rlm.sinks.wording import cost_text, first_line, one_line, seconds_text

    style = {"finished": "green", "failed": "red"}.get(view.status, "yellow")
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{one_line(view.id)} ")
    text.append(view.status, style=style)
    cost = "from the cache" if view.cached else cost_text(view.cost)
    turns = f" · {view.iterations} turns" if view.route == "repl" else ""
    text.append(f" {seconds_text(view.seconds)} · {cost}{turns} · {one_line(view.model)}")
    said = f"{view.error.type}: {view.error.message}" if view.error else view.task
    said = said or prompts.get(view.id, "")
    return text.append(f" · {first_line(said, 120)}" if said else "", style="dim")


def _say_call(console: Console, view: CallView, turns: list[TurnView], *, full: bool) -> None:
    """Print the turns of a call and, unless one turn was asked for, what it came to."""
    for turn in turns:
        console.print()
        _say_turn(console, view.id, turn, lines=10_000 if full else _LINES)
    if full:
        return
    console.print()
    if view.output is not None:
        console.print(f"output of {view.id}" + (" (forced)" if view.forced else ""), style="bold")
        for name, value in view.output.items():
            _block(console, _pretty(value), 100, prefix=f"{name} = ")
    elif view.error is not None:
        _block(console, f"{view.error.type}: {view.error.message}", 20, prefix="✗ ", style="red")


def _say_turn(console: Console, call: str, turn: TurnView, *, lines: int) -> None:
    from rlm.sinks.wording import one_line

    console.print(
        one_line(f"[{call}] turn {turn.number}: {turn.kind or 'no action'}"), style="bold"
    )
    _block(console, _prose(turn.reasoning), lines, style="italic dim")
    _code(console, turn.code, lines)
    for warning in turn.warnings:
        _block(console, warning, 5, prefix="warning: ", style="yellow")
    ran = turn.execution
    if ran is not None:
        _block(console, ran.stdout, lines, prefix="→ ")
        _block(console, ran.stderr, lines, prefix="! ")
        _block(console, ran.value or "", lines, prefix="= ")
        if ran.error is not None:
            line = ran.error.details.get("line")
            where = f" (line {line})" if line else ""
            said = f"{ran.error.type}: {ran.error.message}{where}"
            _block(console, said, 5, prefix="✗ ", style="red")
    _block(console, turn.problem, 10, prefix="refused: ", style="yellow")


def _prose(reply: str) -> str:
    """Return what a reply says before its action, which is shown as code."""
    ends = [reply.find(mark) for mark in ("```", "<rlm-", '{"action"')]
    return reply[: min((end for end in ends if end >= 0), default=len(reply))].strip()


def _code(console: Console, code: str, lines: int) -> None:
    if not code.strip():
        return
    from rlm.sinks.wording import excerpt

    shown = "\n".join(excerpt(code, lines))
    if not console.is_terminal or console.no_color:
        _block(console, shown, lines, prefix="  ")
        return
    from rich.padding import Padding
    from rich.syntax import Syntax

    syntax = Syntax(shown, "python", theme="ansi_dark", background_color="default", word_wrap=True)
    console.print(Padding(syntax, (0, 0, 0, 2)))


def _block(console: Console, text: str, lines: int, *, prefix: str = "", style: str = "") -> None:
    from rlm.sinks.wording import excerpt

    if not text:
        return
    for number, line in enumerate(excerpt(text, lines)):
        start = prefix if number == 0 else " " * len(prefix)
        console.print(f"  {start}{line}", style=style, soft_wrap=True)


def _pretty(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _as_json(
    result: Result[Any], calls: dict[str, CallView], turns: list[TurnView], path: Path
) -> dict[str, Any]:
    from dataclasses import asdict

    def fields(view: CallView) -> dict[str, Any]:
        return {
            **asdict(view),
            "usage": view.usage.model_dump(),
            "cost": None if view.cost is None else str(view.cost),
            "error": view.error.model_dump(mode="json") if view.error else None,
        }

    def turn_fields(view: TurnView) -> dict[str, Any]:
        ran = view.execution
        return {**vars(view), "execution": ran.model_dump(mode="json") if ran else None}

    return {
        **result.to_dict(),
        "log": str(path),
        "calls": [fields(view) for view in calls.values()],
        "turns": [turn_fields(view) for view in turns],
        "skipped": result.trace.skipped,
    }
