"""A log written by the real trace: a run of two turns and some sub-calls, one of which failed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from rlm import events
from rlm.events import ErrorFact
from rlm.signature import Signature
from rlm.store.files import FileLog
from rlm.trace import Trace
from rlm.usage import Usage

ATTACK = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\x00"


def record(folder: Path, *, children: int = 3, text: str = "plain", end: bool = True) -> Path:
    """Write a log; `text` stands wherever a model or a cell may write."""
    trace = Trace("run-1", writer=FileLog(folder, "run-1"))
    contract = Signature.parse("context -> answer: str")
    trace.emit(
        events.RunStarted,
        version="1",
        python="3.11",
        task=f"Who signed? {text}",
        models=(events.ModelFact(name="m/root", role="root"),),
        sandbox="process",
    )
    trace.emit(
        events.CallStarted,
        "0",
        parent="",
        route="repl",
        model="m/root",
        depth=0,
        task="Who signed?",
        signature=contract.to_json(),
        inputs=(events.InputFact(name="context", type="File", length=1200, unit="bytes"),),
    )
    _reply(trace, "0", 1, f"I look. {text}\n```repl\nprint(context.text)\n```")
    _turn(trace, 1, f"print(context.text)  # {text}", stdout=f"{text}\n" * 60)
    for number in range(1, children + 1):
        _child(trace, f"0.{number}", number + 1, text, failed=number == children)
    _reply(trace, "0", children + 2, "```repl\nsubmit(1 / 0)\n```")
    error = ErrorFact(type="ZeroDivisionError", message=text, details={"line": 1})
    _turn(trace, 2, "submit(1 / 0)", error=error)
    if end:
        trace.emit(
            events.CallFinished,
            "0",
            output={"answer": f"Ada {text}"},
            iterations=2,
            ended_by="submitted",
        )
        trace.emit(events.RunFinished, status="completed", ended_by="submitted")
    trace.close()
    return folder / "run-1.jsonl"


def _reply(trace: Trace, call: str, ask: int, text: str) -> None:
    purpose = "turn" if call == "0" else "query"
    trace.emit(
        events.ModelAsked, call, ask=ask, model="m/root", purpose=purpose, messages=((0, 1),)
    )
    trace.emit(
        events.ModelReplied,
        call,
        ask=ask,
        model="m/root",
        text=text,
        usage=Usage(input_tokens=90, output_tokens=10),
        cost=Decimal("0.01"),
    )
    trace.emit(events.MessageAdded, call, index=ask, role="assistant", about="reply", ask=ask)


def _turn(
    trace: Trace, number: int, code: str, stdout: str = "", error: ErrorFact | None = None
) -> None:
    trace.emit(events.ActionParsed, "0", turn=number, kind="exec", dialect="fence")
    trace.emit(events.CellStarted, "0", turn=number, cell=number, code=code)
    trace.emit(events.CodeExecuted, "0", turn=number, cell=number, stdout=stdout, error=error)


def _child(trace: Trace, name: str, ask: int, text: str, *, failed: bool) -> None:
    trace.emit(events.CallStarted, name, parent="0", route="completion", model="m/sub", depth=1)
    trace.emit(
        events.MessageAdded,
        name,
        index=0,
        role="user",
        about="prompt",
        content=f"which part? {text}",
    )
    if failed:
        error = ErrorFact(type="RateLimited", message=f"slow down {text}")
        trace.emit(events.CallFailed, name, error=error, iterations=0)
        return
    _reply(trace, name, ask, text)
    trace.emit(events.CallFinished, name, output={"answer": text}, iterations=1)
