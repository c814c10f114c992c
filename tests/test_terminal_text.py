"""Nothing that a guest or a model wrote reaches a terminal as anything but text."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from sessions import cells, lost

import rlm
from rlm import events
from rlm.cli import exits, terminal
from rlm.cli.output import Printer
from rlm.events import Delta, ErrorFact
from rlm.sinks.console import LiveTree
from rlm.sinks.lines import TextStream, Verbose
from rlm.trace import Sink, Trace

OBEYED = {chr(c) for c in (*range(32), *range(0x7F, 0xA0))} - {"\n", "\t"}
OBEYED |= {chr(c) for c in (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}

hostile = st.text(
    st.sampled_from(sorted(OBEYED)) | st.sampled_from("ab\n\t[;m]é\u2028") | st.characters(),
    min_size=1,
    max_size=30,
)


class Screen(io.StringIO):
    """A terminal that shows what it was sent."""

    def isatty(self) -> bool:
        return True


def assert_text(shown: str) -> None:
    assert not OBEYED & set(shown), ascii(shown)


def everything(text: str, sink: Sink) -> Trace:
    """Let a run happen in which every word that is not of the host is this text."""
    trace = Trace("run", sinks=[sink])
    emit = trace.emit
    error = ErrorFact(type=text, message=text, details={"line": 1, "source": text})
    model = events.ModelFact(name=text, role="root")
    emit(events.RunStarted, version="1", python="3", task=text, models=(model,), sandbox=text)
    emit(events.CallStarted, "0", parent="", route="repl", model=text, depth=0, task=text)
    emit(events.MessageAdded, "0", index=0, role="user", about="prompt", content=text)
    emit(events.ModelAsked, "0", ask=0, model=text, purpose="turn", messages=((0, 1),))
    trace.show(Delta("0", "text", text))
    trace.show(Delta("0", "stdout", text))
    emit(events.ModelRetried, "0", ask=0, model=text, error=error, wait=0.1)
    emit(events.ModelReplied, "0", ask=0, model=text, text=text, reasoning=text, usage=rlm.Usage())
    emit(events.ActionRefused, "0", turn=1, problem=text)
    emit(events.CodeChecked, "0", turn=2, cell=1, problem=text, warnings=(text,))
    emit(events.ActionParsed, "0", turn=2, kind="exec", dialect="fence")
    emit(events.CellStarted, "0", turn=2, cell=1, code=text)
    emit(events.BridgeCalled, "0", bridge=1, cell=1, function=text)
    emit(events.ToolCalled, "0", bridge=1, tool=text, category="write", arguments={text: text})
    emit(events.SessionLost, "0", cell=1, reason=text)
    variable = events.VariableFact(name=text, type=text, preview=text)
    emit(
        events.CodeExecuted, "0", turn=2, cell=1, stdout=text, stderr=text, value=text,
        error=error, variables=(variable,),
    )  # fmt: skip
    emit(events.OutputRefused, "0", turn=2, problems=(text,), source="submit")
    emit(events.Logged, "0", message=text, level="warning")
    emit(events.ModelLost, "0", ask=0, model=text, error=error)
    emit(events.CallFailed, "0", error=error, iterations=2, ended_by=text)
    emit(events.RunFinished, status="tool_error", ended_by="tool_error", error=error)
    return trace


def screened(make: Callable[[Console], Sink], text: str) -> str:
    screen = Screen()
    everything(text, make(Console(file=screen, color_system=None, width=200, markup=False)))
    return screen.getvalue()


@settings(max_examples=60)
@given(hostile)
def test_sinks_show_text(text: str) -> None:
    assert_text(screened(Verbose, text))
    screen = Screen()
    everything(text, TextStream(screen))
    assert_text(screen.getvalue())


@settings(max_examples=40)
@given(hostile)
def test_the_tree_shows_text(text: str) -> None:
    tree = LiveTree(Console(file=io.StringIO()))

    def take(what: events.Event | Delta) -> None:
        if not isinstance(what, Delta):
            tree._tree.add(what)

    everything(text, take)
    screen = Screen()
    Console(file=screen, color_system=None, width=200, markup=False).print(tree.frame())
    assert_text(screen.getvalue())


@settings(max_examples=40)
@given(hostile)
def test_results_and_their_errors_show_text(text: str) -> None:
    result: rlm.Result[Any] = rlm.Result(everything(text, lambda what: None))
    assert_text(repr(result))
    assert_text(str(result))


@contextmanager
def screen() -> Iterator[Screen]:
    shown, outs = Screen(), (sys.stdout, sys.stderr)
    sys.stdout = sys.stderr = shown
    try:
        yield shown
    finally:
        sys.stdout, sys.stderr = outs


@settings(max_examples=60)
@given(hostile)
def test_the_command_line_shows_text(text: str) -> None:
    with screen() as shown:
        terminal.write_text(text)
        terminal.write_json({text: [text]})
        exits.complain(text)
        exits.write_plain(text)
        printer = Printer({"stdout": shown, "stderr": shown}, lambda: None)
        printer("stdout", text)
        printer.line("stderr", text)
        printer.close()
    assert_text(shown.getvalue())


def test_why_a_session_was_lost_is_text_whatever_it_said() -> None:
    code = (
        "import gc, time\n"
        "[bridge] = [o for o in gc.get_objects() if type(o).__name__ == 'Bridge']\n"
        "bridge.send({'t': 'call', 'id': 1, 'name': 'x', 'args': [], 'kwargs': {'$': E}})\n"
        "time.sleep(5)"
    )
    for spelled in ("'\\x1b[2J\\x9b31m'", "['\\u202e', '\\x07']", "{'\\x1b': '\\r'}"):
        [gone] = cells(code.replace("E}", f"{spelled}}}"))
        assert_text(lost(gone))


def test_what_a_cell_writes_is_for_the_model_as_it_is() -> None:
    [done] = cells("print('\\x1b[31mred')\nraise ValueError('\\x1b]0;t\\x07')")
    assert done.stdout == "\x1b[31mred\n"
    assert done.error is not None
    assert done.error.message == "\x1b]0;t\x07"
