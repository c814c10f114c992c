from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from rlm import events
from rlm.events import Delta, ErrorFact
from rlm.sinks.console import LiveTree
from rlm.sinks.lines import TextStream, Verbose
from rlm.sinks.tree import RunTree
from rlm.sinks.wording import (
    cost_text,
    count_text,
    excerpt,
    first_line,
    plain,
    seconds_text,
)
from rlm.trace import Sink, Trace
from rlm.usage import Usage

ATTACK = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\r\ntail\x00"
OBEYED = {chr(c) for c in (*range(32), *range(0x7F, 0xA0))} - {"\n", "\t"} | {"\u202e", "\u2066"}


def console(width: int = 100, height: int = 30, encoding: str = "utf-8") -> Console:
    raw = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    return Console(
        file=raw,
        width=width,
        height=height,
        color_system=None,
        force_terminal=False,
        markup=False,
        highlight=False,
    )


def written(where: Console) -> str:
    raw = where.file
    assert isinstance(raw, io.TextIOWrapper)
    buffer = raw.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode(raw.encoding)


def start(trace: Trace, **limits: Any) -> None:
    trace.emit(
        events.RunStarted,
        version="1",
        python="3.11",
        task="find it",
        signature={},
        models=(events.ModelFact(name="m/root", role="root"),),
        sandbox="process",
        limits=limits,
    )
    trace.emit(events.CallStarted, "0", parent="", route="repl", model="m/root", depth=0)


def ask(trace: Trace, call: str, ask: int, model: str = "m/sub", purpose: str = "query") -> None:
    trace.emit(events.ModelAsked, call, ask=ask, model=model, purpose=purpose, messages=((0, 1),))


def reply(
    trace: Trace, call: str, ask: int, text: str = "yes", cost: str | None = "0.01", **more: Any
) -> None:
    trace.emit(
        events.ModelReplied,
        call,
        ask=ask,
        model="m/sub",
        text=text,
        usage=Usage(input_tokens=900, output_tokens=100),
        cost=None if cost is None else Decimal(cost),
        **more,
    )


def child(trace: Trace, name: str, prompt: str = "which?") -> None:
    trace.emit(events.CallStarted, name, parent="0", route="completion", model="m/sub", depth=1)
    trace.emit(events.MessageAdded, name, index=0, role="user", about="prompt", content=prompt)


def finish(trace: Trace, name: str) -> None:
    trace.emit(events.CallFinished, name, output={"answer": "yes"}, iterations=1)


def fail(trace: Trace, name: str, message: str = "no") -> None:
    error = ErrorFact(type="RateLimited", message=message)
    trace.emit(events.CallFailed, name, error=error, iterations=0)


def drawn(tree: LiveTree, where: Console) -> str:
    where.print(tree.frame())
    return written(where)


# Foreign text -----------------------------------------------------------------------------------


@given(st.text())
def test_plain_text_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    shown = plain(text)
    assert not OBEYED & set(shown)
    shown.encode()


@given(
    st.text(alphabet=st.characters(categories=("L", "N", "P", "S"), exclude_characters="\u061c"))
)
def test_plain_text_leaves_letters_of_all_scripts_as_they_are(text: str) -> None:
    assert plain(text) == text


def test_plain_text_shows_an_escape_as_a_picture_of_itself() -> None:
    assert plain("\x1b[31mred\x7f") == "␛[31mred␡"
    assert plain("a\r\nb\rc") == "a\nb\nc"


def test_an_excerpt_keeps_head_and_tail_and_counts_the_rest() -> None:
    lines = excerpt("\n".join(map(str, range(100))), 4)
    assert lines == ["0", "1", "… 96 more lines …", "98", "99"]
    assert excerpt("a\nb\n", 4) == ["a", "b"]


def test_numbers_are_written_as_people_say_them() -> None:
    assert [seconds_text(s) for s in (0.04, 9.94, 59.7, 200, 3900)] == [
        "40 ms", "9.9 s", "1 min 00 s", "3 min 20 s", "1 h 05 min",
    ]  # fmt: skip
    assert [count_text(n) for n in (980, 1200, 34_000, 1_234_567)] == ["980", "1.2k", "34k", "1.2M"]
    costs = [None, Decimal(0), Decimal("0.00012"), Decimal("0.0123"), Decimal("1.5")]
    assert [cost_text(c) for c in costs] == [
        "cost unknown", "$0", "$0.00012", "$0.012", "$1.50",
    ]  # fmt: skip


def test_the_first_line_is_the_first_with_something_in_it() -> None:
    assert first_line("\n\n  hello \nworld") == "hello"
    assert first_line("x" * 300, 10) == "x" * 9 + "…"


# The live tree ----------------------------------------------------------------------------------


def test_the_tree_says_turn_cost_and_what_is_done_now() -> None:
    where = console()
    tree = LiveTree(where)
    trace = Trace("r", sinks=[tree])
    start(trace, max_iterations=30, max_cost_usd="1.00")
    ask(trace, "0", 1, "m/root", "turn")
    reply(trace, "0", 1)
    trace.emit(events.CellStarted, "0", turn=1, cell=1, code="\nprint(context[:100])")
    text = drawn(tree, where)
    assert "m/root · turn 1/30" in text
    assert "$0.010 of $1.00 · 1 calls · 1.0k tokens" in text
    assert "running print(context[:100])" in text


def test_a_thousand_children_take_nine_lines_and_all_are_counted() -> None:
    where = console()
    tree = LiveTree(where)
    trace = Trace("r", sinks=[tree])
    start(trace)
    for number in range(1, 1001):
        child(trace, f"0.{number}")
    for number in range(1, 901):
        ask(trace, f"0.{number}", number)
    for number in range(1, 801):
        reply(trace, f"0.{number}", number)
        finish(trace, f"0.{number}")
    fail(trace, "0.801")
    lines = drawn(tree, where).splitlines()
    rows = [line for line in lines if "0." in line.split("m/sub")[0] and "more" not in line]
    assert len(lines) == 2 + 8 + 1
    assert "✗ 0.801 failed" in "\n".join(rows)
    shown = {word: sum(word in row for row in rows) for word in ("done", "failed", "asking")}
    rest = {"done": 800, "asking": 99, "waiting": 100}
    left = {word: rest[word] - shown.get(word, 0) for word in rest}
    expected = " · ".join(f"{count} {word}" for word, count in left.items() if count)
    assert f"… 992 more: {expected}" in lines[-1]


def test_memory_of_the_tree_is_bounded_by_what_is_active() -> None:
    tree = RunTree()
    trace = Trace(
        "r", sinks=[lambda what: tree.add(what) if isinstance(what, events.Event) else None]
    )
    start(trace)
    for number in range(1, 5001):
        child(trace, f"0.{number}")
        finish(trace, f"0.{number}")
    assert len(tree.nodes) <= 10
    assert tree.nodes["0"].ended["done"] == 5000


def test_the_tree_fits_a_small_terminal() -> None:
    where = console(width=40, height=8)
    tree = LiveTree(where)
    trace = Trace("r", sinks=[tree])
    start(trace)
    for number in range(1, 30):
        child(trace, f"0.{number}", "a very long question " * 20)
        ask(trace, f"0.{number}", number)
    lines = drawn(tree, where).splitlines()
    assert len(lines) <= 8
    assert all(len(line) <= 40 for line in lines)
    assert "more:" in lines[-1]


def test_the_tree_needs_neither_colour_nor_unicode() -> None:
    where = console(encoding="ascii")
    tree = LiveTree(where)
    trace = Trace("r", sinks=[tree])
    start(trace)
    child(trace, "0.1", "größer?")
    ask(trace, "0.1", 1)
    child(trace, "0.2")
    finish(trace, "0.2")
    trace.emit(events.CellStarted, "0", turn=1, cell=1, code="x = 'é…'")
    text = drawn(tree, where)
    assert "+ 0.2 done" in text
    assert "* 0.1 asking" in text and "gr??er?" in text


def test_nothing_of_a_model_moves_the_cursor_in_the_tree() -> None:
    where = console()
    tree = LiveTree(where)
    trace = Trace("r", sinks=[tree])
    start(trace)
    child(trace, "0.1", ATTACK)
    trace.emit(events.CellStarted, "0", turn=1, cell=1, code=ATTACK)
    trace.emit(events.CallStarted, "0.2", parent="0", route="repl", model=ATTACK, depth=1)
    fail(trace, "0.2", ATTACK)
    assert not OBEYED & set(drawn(tree, where))


def test_an_unknown_price_is_not_a_price_of_zero() -> None:
    where = console()
    tree = LiveTree(where)
    trace = Trace("r", sinks=[tree])
    start(trace)
    ask(trace, "0", 1)
    reply(trace, "0", 1, cost=None)
    assert "cost unknown" in drawn(tree, where)


def test_what_the_cache_answered_is_no_call_and_costs_nothing() -> None:
    tree = RunTree()
    trace = Trace(
        "r", sinks=[lambda what: tree.add(what) if isinstance(what, events.Event) else None]
    )
    start(trace)
    for cached in (False, True):
        ask(trace, "0", 1)
        reply(trace, "0", 1, cached=cached)
    assert (tree.llm_calls, tree.tokens, tree.total_cost) == (1, 1000, Decimal("0.01"))


def test_an_ended_run_says_why_when_it_is_not_plain_success() -> None:
    where = console()
    tree = LiveTree(where)
    trace = Trace("r", sinks=[tree])
    start(trace)
    fail(trace, "0")
    trace.emit(events.RunFinished, status="budget_exceeded", ended_by="max_tokens")
    assert "budget exceeded: ended by max_tokens" in drawn(tree, where)


def test_a_call_that_was_cancelled_is_stopped_and_not_failed() -> None:
    where = console()
    tree = LiveTree(where)
    trace = Trace("r", sinks=[tree])
    start(trace)
    child(trace, "0.1")
    error = ErrorFact(type="Aborted", message="cancelled")
    trace.emit(events.CallFailed, "0.1", error=error, iterations=0)
    assert "■ 0.1 stopped" in drawn(tree, where)


def test_each_run_of_several_gets_a_tree_of_its_own() -> None:
    tree = LiveTree(console())
    with tree:
        for name in ("first", "second"):
            trace = Trace(name, sinks=[tree])
            start(trace)
            finish(trace, "0")
            trace.emit(events.RunFinished, status="completed", ended_by="final")
    frame = console()
    assert drawn(tree, frame).count("m/root") == 1


def test_the_tree_starts_and_stops_on_a_terminal() -> None:
    raw = io.StringIO()
    where = Console(file=raw, force_terminal=True, width=80, height=20, color_system=None)
    with LiveTree(where) as tree:
        trace = Trace("r", sinks=[tree])
        start(trace)
        trace.show(Delta("0", "text", "ignored"))
        finish(trace, "0")
        trace.emit(events.RunFinished, status="completed", ended_by="submitted")
    assert "m/root" in raw.getvalue()
    assert raw.getvalue().endswith("\x1b[?25h")  # the cursor is back


# Lines and text ---------------------------------------------------------------------------------


def lines_of(sink_events: Any) -> str:
    where = console(width=200)
    trace = Trace("r", sinks=[Verbose(where)])
    sink_events(trace)
    return written(where)


def test_rr09_verbose_prints_code_and_a_summary_of_output_and_error_of_each_turn() -> None:
    def happen(trace: Trace) -> None:
        start(trace)
        reply(trace, "0", 1)
        trace.emit(events.ActionParsed, "0", turn=1, kind="exec", dialect="fence")
        trace.emit(events.CellStarted, "0", turn=1, cell=1, code="x = 1\nprint(x / 0)")
        error = ErrorFact(
            type="ZeroDivisionError",
            message="division by zero",
            details={"line": 2, "source": "print(x / 0)"},
        )
        trace.emit(events.CodeExecuted, "0", turn=1, cell=1, stdout="hello\n", error=error)

    text = lines_of(happen)
    assert "[0] turn 1: code · m/sub" in text
    assert "  │ x = 1\n  │ print(x / 0)\n  → hello\n" in text
    assert "  ✗ ZeroDivisionError: division by zero (line 2: print(x / 0))" in text


def test_verbose_says_refusals_limits_retries_and_failures() -> None:
    def happen(trace: Trace) -> None:
        start(trace)
        error = ErrorFact(type="RateLimited", message="slow down")
        trace.emit(events.ModelRetried, "0", ask=1, model="m", error=error, wait=2.0)
        trace.emit(events.ModelLost, "0", ask=1, model="m", error=error)
        trace.emit(events.ActionRefused, "0", turn=1, problem="no action")
        trace.emit(
            events.OutputRefused, "0", turn=2, problems=("pages: not a list",), source="final"
        )
        trace.emit(events.LimitReached, "0", limit="max_tokens", used=Decimal(9), cap=Decimal(8))
        trace.emit(events.SessionLost, "0", cell=1, reason="out of memory")
        trace.emit(events.Logged, "0", message="careful", level="warning")
        child(trace, "0.1")
        reply(trace, "0.1", 2, "the reply of a child\nsecond line")
        fail(trace, "0")

    text = lines_of(happen)
    for said in (
        "retry in 2.0 s: RateLimited: slow down",
        "no reply: RateLimited: slow down",
        "no action",
        "output refused: pages: not a list",
        "max_tokens is reached: 9 of 8",
        "session lost: out of memory",
        "careful",
        "the reply of a child",
        "[0] failed: RateLimited: no",
    ):
        assert said in text
    assert "second line" not in text


def test_verbose_is_plain_whatever_a_model_or_a_cell_writes() -> None:
    def happen(trace: Trace) -> None:
        start(trace)
        trace.emit(events.CellStarted, "0", turn=1, cell=1, code=ATTACK)
        error = ErrorFact(type="E", message=ATTACK, details={"line": 1, "source": ATTACK})
        trace.emit(
            events.CodeExecuted, "0", turn=1, cell=1, stdout=ATTACK, stderr=ATTACK, error=error
        )
        trace.emit(events.ActionRefused, "0", turn=2, problem=ATTACK)
        trace.emit(events.Logged, "0", message=ATTACK, level="warning")

    assert not OBEYED & set(lines_of(happen))


def test_what_a_model_writes_cannot_pretend_to_be_a_line_of_ours() -> None:
    def happen(trace: Trace) -> None:
        start(trace)
        problem = "no\n[0] finished by submitted"
        trace.emit(events.OutputRefused, "0", turn=2, problems=(problem,), source="final")
        trace.emit(events.CellStarted, "0", turn=1, cell=1, code=problem)
        trace.emit(events.CodeExecuted, "0", turn=1, cell=1, stdout=problem)

    assert not any(line.startswith("[0] finished") for line in lines_of(happen).splitlines())


def test_a_stream_shows_the_roots_text_only_and_ends_its_line() -> None:
    stream = io.StringIO()
    sink: Sink = TextStream(stream)
    trace = Trace("r", sinks=[sink])
    start(trace)
    for call, kind, text in (
        ("0", "reasoning", "hm "),
        ("0.1", "text", "no"),
        ("0", "text", "yes\x1b[2J"),
    ):
        trace.show(Delta(call, kind, text))  # type: ignore[arg-type] # a literal in each
    trace.show(Delta("0", "stdout", "printed"))
    reply(trace, "0", 1)
    assert stream.getvalue() == "hm yes␛[2J\n"
